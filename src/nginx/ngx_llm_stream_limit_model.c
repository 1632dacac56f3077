/*
 * What was learned of the models that a zone's requests were for: how far the
 * estimate is from the provider's own count, and how long an answer is.  A
 * bounded number of them; only answers with a usage teach, so that a client
 * cannot fill it with names it made up.
 */

#include "ngx_llm_stream_limit.h"


#define NGX_LLM_STREAM_LIMIT_WEIGHT     8       /* of the answers before */
#define NGX_LLM_STREAM_LIMIT_RATIO_MIN  (NGX_LLM_STREAM_LIMIT_ONE / 8)
#define NGX_LLM_STREAM_LIMIT_RATIO_MAX  (NGX_LLM_STREAM_LIMIT_ONE * 8)
#define NGX_LLM_STREAM_LIMIT_MEAN_MAX   1000000


static ngx_llm_stream_limit_model_t *ngx_llm_stream_limit_new_model(
    ngx_llm_stream_limit_models_t *models, ngx_str_t *name);
static void ngx_llm_stream_limit_smooth(uint32_t *value, ngx_uint_t seen,
    uint64_t now);
static uint64_t ngx_llm_stream_limit_ratio(int64_t said, uint64_t estimate);


/* By the first bytes of its name; NULL: not known. */

ngx_llm_stream_limit_model_t *
ngx_llm_stream_limit_find_model(ngx_llm_stream_limit_models_t *models,
    ngx_str_t *name)
{
    size_t                         len;
    ngx_uint_t                     i;
    ngx_llm_stream_limit_model_t  *m;

    len = ngx_min(name->len, NGX_LLM_STREAM_LIMIT_NAME);

    for (i = 0; i < NGX_LLM_STREAM_LIMIT_MODELS; i++) {
        m = &models->model[i];

        if (m->seen && m->len == len
            && ngx_memcmp(m->name, name->data, len) == 0)
        {
            m->used = ++models->count;
            return m;
        }
    }

    return NULL;
}


/* In a free place, else in that of the one not asked for the longest. */

static ngx_llm_stream_limit_model_t *
ngx_llm_stream_limit_new_model(ngx_llm_stream_limit_models_t *models,
    ngx_str_t *name)
{
    ngx_uint_t                     i;
    ngx_llm_stream_limit_model_t  *m, *old;

    old = &models->model[0];

    for (i = 0; i < NGX_LLM_STREAM_LIMIT_MODELS; i++) {
        m = &models->model[i];

        if (m->seen == 0) {
            old = m;
            break;
        }

        if (models->count - m->used > models->count - old->used) {
            old = m;
        }
    }

    ngx_memzero(old, sizeof(ngx_llm_stream_limit_model_t));

    old->input = NGX_LLM_STREAM_LIMIT_ONE;
    old->output = NGX_LLM_STREAM_LIMIT_ONE;
    old->used = ++models->count;
    old->len = ngx_min(name->len, NGX_LLM_STREAM_LIMIT_NAME);
    ngx_memcpy(old->name, name->data, old->len);

    return old;
}


void
ngx_llm_stream_limit_learn(ngx_llm_stream_limit_models_t *models,
    ngx_llm_stream_limit_lesson_t *lesson)
{
    ngx_llm_stream_limit_model_t  *m;

    m = ngx_llm_stream_limit_find_model(models, &lesson->model);

    if (m == NULL) {
        m = ngx_llm_stream_limit_new_model(models, &lesson->model);
    }

    if (m->seen < NGX_LLM_STREAM_LIMIT_WEIGHT) {
        m->seen++;
    }

    if (lesson->est_input) {
        ngx_llm_stream_limit_smooth(&m->input, m->seen,
            ngx_llm_stream_limit_ratio(lesson->input, lesson->est_input));
    }

    if (lesson->est_output) {
        ngx_llm_stream_limit_smooth(&m->output, m->seen,
            ngx_llm_stream_limit_ratio(lesson->output, lesson->est_output));
    }

    ngx_llm_stream_limit_smooth(&m->mean, m->seen,
        ngx_min(lesson->output, NGX_LLM_STREAM_LIMIT_MEAN_MAX));
}


/* A mean of the first ones, then one that forgets. */

static void
ngx_llm_stream_limit_smooth(uint32_t *value, ngx_uint_t seen, uint64_t now)
{
    *value = (uint32_t) ((*value * (uint64_t) (seen - 1) + now) / seen);
}


static uint64_t
ngx_llm_stream_limit_ratio(int64_t said, uint64_t estimate)
{
    uint64_t  ratio;

    ratio = (uint64_t) said * 1000 * NGX_LLM_STREAM_LIMIT_ONE / estimate;

    ratio = ngx_max(ratio, NGX_LLM_STREAM_LIMIT_RATIO_MIN);

    return ngx_min(ratio, NGX_LLM_STREAM_LIMIT_RATIO_MAX);
}
