/*
 * Metrics: what their files share.  A number goes one way:
 *
 *   a chunk  -> llm_stage_measure.c -.
 *                                     >- block -> zone_read -> a format
 *   its end  -> metrics -------------'
 *
 *   metrics      a request: which series it counts in, what it adds, once
 *   zone         the shared memory: series, and a block of counts for each
 *                worker and series (llm_counts.h, llm_hist.h: what is in it)
 *   zone_read    the sums of all blocks
 *   zone_conf    llm_stream_zone
 *   status       llm_stream_status: the request, what format, the answer
 *   status_prometheus, status_json, status_html  the formats
 *   status_page_style, status_page_script  parts of the page, its own header
 *   status_text  the writer that all formats use: a chain of buffers
 *
 * A series is a server, a location, a provider and a model.  Series are only
 * ever added, under the zone's mutex; reading them, and counting, takes no
 * lock: a worker writes to blocks of its own.  A worker that ends leaves its
 * blocks to the next one, so that no count is ever lost; streams that a dead
 * worker had open are not open.
 *
 * The models that are shown are bounded: a new one is only taken from a
 * request that the provider has accepted (a status below 400), the others,
 * and those for which there is no room, are "other".  That series is there
 * for each location from the start, and knows what is open there.
 */

#ifndef NGX_LLM_STREAM_ZONE_H
#define NGX_LLM_STREAM_ZONE_H

#include "ngx_llm_stream.h"
#include "ngx_llm_stream_owner.h"

#include "llm_counts.h"


#define NGX_LLM_STREAM_SERIES   256     /* of a zone */
#define NGX_LLM_STREAM_SPARE    32      /* of these, not for models: a reload
                                           may bring locations */
#define NGX_LLM_STREAM_HASH     512     /* a power of 2, above that */
#define NGX_LLM_STREAM_SLOTS    256     /* workers, with those that end */
#define NGX_LLM_STREAM_LABEL    64      /* bytes of a label, at most */


/* Whose counts these are.  Valid UTF-8 without control characters. */
typedef struct {
    ngx_str_t                      server;      /* server_name, or empty */
    ngx_str_t                      location;    /* as configured */
    ngx_str_t                      upstream;    /* the provider's word in
                                                   llm_stream */
    ngx_str_t                      model;       /* "other": not one of its
                                                   own; "none": not said */
} ngx_llm_stream_series_t;

/* What one worker has counted of one series.  Nobody else writes to it. */
struct ngx_llm_stream_block_s {
    llm_counts_t                   counts;
    int64_t                        open;        /* of a dead one: nothing */
};

/* A series in the zone, which has only as much of it as is used: the four
 * labels, one after another. */
typedef struct {
    u_char                         len[4];
    u_char                         data[4 * NGX_LLM_STREAM_LABEL];
} ngx_llm_stream_row_t;

/* A location that counts. */
struct ngx_llm_stream_place_s {
    ngx_llm_stream_zone_t         *zone;
    ngx_llm_stream_series_t        labels;      /* as configured */
    ngx_int_t                      series;      /* "other", -1: no room */
    ngx_llm_stream_row_t           row;         /* but for the model */
};

/* Blocks by series, of a process or of one that has ended (pid is 0, or it is
 * dead).  A block stays where it is. */
typedef struct {
    ngx_llm_stream_owner_t         owner;
    ngx_llm_stream_block_t       **blocks;      /* NULL: never used */
} ngx_llm_stream_slot_t;

typedef struct {
    ngx_atomic_t                   n;           /* rows: written before */
    ngx_atomic_t                   lost;
    ngx_msec_t                     made;
    uint16_t                       index[NGX_LLM_STREAM_HASH];
                                                /* by hash: 1 + a row's
                                                   number, or 0 */
    ngx_llm_stream_row_t          *rows[NGX_LLM_STREAM_SERIES];
    ngx_llm_stream_slot_t          slots[NGX_LLM_STREAM_SLOTS];
} ngx_llm_stream_zone_shared_t;

struct ngx_llm_stream_zone_s {
    ngx_llm_stream_zone_shared_t  *sh;
    ngx_slab_pool_t               *shpool;
    ngx_str_t                      name;
    ngx_array_t                    locations;   /* ngx_llm_stream_place_t * */
    ngx_llm_stream_slot_t         *slot;        /* of this process, or NULL */
    unsigned                       full:1;      /* the log was told */
};


/* zone, for the others */
ngx_int_t ngx_llm_stream_zone_init(ngx_shm_zone_t *shm_zone, void *data);
ngx_llm_stream_block_t *ngx_llm_stream_zone_block(
    ngx_llm_stream_zone_t *zone, ngx_int_t series);
ngx_int_t ngx_llm_stream_zone_model(ngx_llm_stream_place_t *place,
    ngx_str_t *model, ngx_uint_t add);
void ngx_llm_stream_zone_lose(ngx_llm_stream_zone_t *zone, ngx_log_t *log);

/* zone_read */

/* For status: how many series there are; grows only. */
ngx_uint_t ngx_llm_stream_zone_series(ngx_llm_stream_zone_t *zone);

/*
 * Series i: its labels, which point into the zone, and the sum of all
 * workers' counts.  *open: streams open at the location, -1 for series that
 * are not "other".
 */
void ngx_llm_stream_zone_read(ngx_llm_stream_zone_t *zone, ngx_uint_t i,
    ngx_llm_stream_series_t *labels, llm_counts_t *counts, int64_t *open);

/* Requests that found no room even for their worker's counts. */
uint64_t ngx_llm_stream_zone_lost(ngx_llm_stream_zone_t *zone);

/* Milliseconds since the zone was made. */
ngx_msec_t ngx_llm_stream_zone_age(ngx_llm_stream_zone_t *zone);


#endif /* NGX_LLM_STREAM_ZONE_H */
