/*
 * Token-rate limits: what their files share.
 *
 *   limit        a request: reserves before the provider is asked, counts
 *                while the answer comes, settles at its end
 *   limit_zone   the shared memory: keys, and who has reserved what
 *   limit_model  what was learned of the models, in the same memory
 *   limit_conf   the directives
 *
 * A bucket is counted in units: a token is 60000, so that a rate of N tokens
 * a minute is N units a millisecond, and nothing is ever rounded.
 */

#ifndef NGX_LLM_STREAM_LIMIT_H
#define NGX_LLM_STREAM_LIMIT_H

#include "ngx_llm_stream.h"
#include "ngx_llm_stream_owner.h"


#define NGX_LLM_STREAM_LIMIT_UNIT    60000
#define NGX_LLM_STREAM_LIMIT_CHOICES 128            /* reserved for at most */

#define NGX_LLM_STREAM_LIMIT_MODELS  64
#define NGX_LLM_STREAM_LIMIT_NAME    64
#define NGX_LLM_STREAM_LIMIT_ONE     1024           /* of a ratio */


/* What is known of a model. */
typedef struct {
    ngx_uint_t                    seen;         /* answers, 0: a free place */
    ngx_uint_t                    used;         /* by count, for the oldest */
    uint32_t                      input;        /* usage / estimate */
    uint32_t                      output;
    uint32_t                      mean;         /* tokens of an answer */
    uint32_t                      len;
    u_char                        name[NGX_LLM_STREAM_LIMIT_NAME];
} ngx_llm_stream_limit_model_t;


typedef struct {
    ngx_uint_t                    count;
    ngx_llm_stream_limit_model_t  model[NGX_LLM_STREAM_LIMIT_MODELS];
} ngx_llm_stream_limit_models_t;


/* A bucket.  It begins at the color of its ngx_rbtree_node_t. */
typedef struct {
    u_char                        color;
    u_char                        dummy;
    u_short                       len;
    uint32_t                      taken;        /* reservations */

    union {
        ngx_queue_t               queue;        /* without any */

        struct {
            int64_t               debt;         /* of the level: settled */
            int64_t               gone;         /* flowed off of those that
                                                   are not */
        } with;
    } u;

    ngx_msec_t                    last;
    int64_t                       level;        /* units, at that time */
    u_char                        data[1];
} ngx_llm_stream_limit_node_t;


/* A worker that has reservations, or had. */
typedef struct {
    ngx_queue_t                   queue;
    ngx_queue_t                   records;
    ngx_llm_stream_owner_t        process;
} ngx_llm_stream_limit_owner_t;


typedef struct {
    ngx_queue_t                   queue;        /* of its owner */
    ngx_llm_stream_limit_node_t  *node;
    ngx_msec_t                    start;
    int64_t                       units;        /* reserved */
    int64_t                       most;         /* the bucket and its debt */

    /* 1/1000 tokens so far: stored by the owner without the mutex, read by
     * others when the owner is dead */
    uint64_t                      used;
} ngx_llm_stream_limit_record_t;


typedef struct {
    ngx_rbtree_t                  rbtree;
    ngx_rbtree_node_t             sentinel;
    ngx_queue_t                   idle;         /* nodes, the oldest last */
    ngx_queue_t                   owners;
    ngx_llm_stream_limit_models_t models;
} ngx_llm_stream_limit_shared_t;


typedef struct {
    ngx_llm_stream_limit_shared_t  *sh;
    ngx_slab_pool_t                *shpool;
    ngx_http_complex_value_t        key;
    ngx_uint_t                      tokens;     /* of the rate, as said */
    int64_t                         rate;       /* tokens a minute */
    ngx_msec_t                      swept;      /* by this worker */
    unsigned                        begun:1;
} ngx_llm_stream_limit_zone_t;


/* One llm_stream_limit. */
typedef struct {
    ngx_shm_zone_t                 *zone;
    ngx_uint_t                      burst;      /* tokens, 0: as the rate */
} ngx_llm_stream_limit_t;


/* What is wanted of a bucket, and what was said to it. */
typedef struct {
    ngx_str_t                       key;
    ngx_str_t                       model;
    uint64_t                        input;      /* 1/1000 tokens, estimated */
    int64_t                         output;     /* tokens, -1: not known */
    ngx_uint_t                      choices;
    ngx_uint_t                      burst;      /* tokens */

    ngx_llm_stream_limit_record_t  *record;
    uint32_t                        ratio_in;
    uint32_t                        ratio_out;
    ngx_uint_t                      remaining;  /* tokens */
    ngx_msec_t                      reset;      /* until the bucket is full */
    ngx_msec_t                      wait;       /* until there is room */
} ngx_llm_stream_limit_ask_t;


/* What an answer has taught: tokens by the provider's word, and what the
 * estimate was, 1/1000. */
typedef struct {
    ngx_str_t                       model;
    int64_t                         input;
    int64_t                         output;
    uint64_t                        est_input;
    uint64_t                        est_output;
} ngx_llm_stream_limit_lesson_t;


/* limit_zone */
ngx_int_t ngx_llm_stream_limit_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
ngx_int_t ngx_llm_stream_limit_reserve(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_ask_t *ask);
void ngx_llm_stream_limit_release(ngx_llm_stream_limit_zone_t *zone,
    ngx_llm_stream_limit_record_t *record,
    ngx_llm_stream_limit_lesson_t *lesson);
ngx_uint_t ngx_llm_stream_limit_sweep(ngx_llm_stream_limit_zone_t *zone);
void ngx_llm_stream_limit_watch(void);

/* limit_model; under the mutex */
ngx_llm_stream_limit_model_t *ngx_llm_stream_limit_find_model(
    ngx_llm_stream_limit_models_t *models, ngx_str_t *name);
void ngx_llm_stream_limit_learn(ngx_llm_stream_limit_models_t *models,
    ngx_llm_stream_limit_lesson_t *lesson);


#endif /* NGX_LLM_STREAM_LIMIT_H */
