/*
 * Token-rate limits, the side of a request: what it may come to is reserved
 * before the provider is asked, what it came to is settled at its end,
 * whatever end that is.  While the answer comes, the count so far goes to the
 * shared memory by a plain store, for the case that this worker is killed.
 *
 * A key is never logged: it may be a secret.
 */

#include "ngx_llm_stream_limit.h"


typedef struct {
    ngx_llm_stream_limit_zone_t  *zone;
    ngx_llm_stream_limit_ask_t    ask;
} ngx_llm_stream_limit_take_t;


struct ngx_llm_stream_limited_s {
    ngx_uint_t                    n;
    ngx_llm_stream_limit_take_t  *take;
    ngx_llm_stream_limit_ask_t   *told;     /* the one with the least room */
    ngx_msec_t                    wait;     /* if rejected: to come again */
    unsigned                      rejected:1;
    unsigned                      said:1;   /* in headers */
};


static ngx_int_t ngx_llm_stream_limit_take(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_limit_t *limit);
static ngx_int_t ngx_llm_stream_limit_key(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_limit_zone_t *zone, ngx_str_t *key);
static ngx_llm_stream_limited_t *ngx_llm_stream_limit_begin(
    ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_limit_no_room(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_limit_t *limit, ngx_int_t rc);
static uint64_t ngx_llm_stream_limit_count(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_limit_ask_t *ask, llm_measure_t *m, uint64_t output,
    ngx_uint_t final);
static uint64_t ngx_llm_stream_limit_at_end(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_limit_ask_t *ask);
static ngx_uint_t ngx_llm_stream_limit_lesson(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_limit_lesson_t *lesson);
static ngx_int_t ngx_llm_stream_limit_tell(ngx_http_request_t *r,
    ngx_llm_stream_limit_ask_t *told);
static ngx_int_t ngx_llm_stream_limit_header(ngx_http_request_t *r,
    const char *name, const char *format, ngx_uint_t n);
static const char *ngx_llm_stream_limit_reset(ngx_http_request_t *r,
    ngx_msec_t ms);


/* The three that are ours where a limit is. */

static ngx_str_t  ngx_llm_stream_limit_headers_out[] = {
    ngx_string("x-ratelimit-limit-tokens"),
    ngx_string("x-ratelimit-remaining-tokens"),
    ngx_string("x-ratelimit-reset-tokens"),
    ngx_null_string
};


/*
 * Runs before the provider is asked.  NGX_OK: there is room in every bucket,
 * and it is reserved; else the status of the answer, and nothing is.
 */

ngx_int_t
ngx_llm_stream_limit(ngx_llm_stream_ctx_t *ctx)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_array_t             *limits;
    ngx_llm_stream_limit_t  *limit;

    limits = ctx->conf->limits;

    if (limits == NULL) {
        return NGX_OK;
    }

    limit = limits->elts;

    for (i = 0; i < limits->nelts; i++) {

        rc = ngx_llm_stream_limit_take(ctx, &limit[i]);

        if (rc != NGX_OK) {
            return ngx_llm_stream_limit_no_room(ctx, &limit[i], rc);
        }
    }

    return NGX_OK;
}


/* NGX_OK, also without a key; NGX_BUSY: no room; NGX_DECLINED: the zone is
 * full; NGX_ERROR. */

static ngx_int_t
ngx_llm_stream_limit_take(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_limit_t *limit)
{
    ngx_int_t                     rc;
    ngx_str_t                     key;
    ngx_llm_stream_limited_t     *limited;
    ngx_llm_stream_limit_ask_t   *ask;
    ngx_llm_stream_limit_take_t  *take;
    ngx_llm_stream_limit_zone_t  *zone;

    zone = limit->zone->data;

    rc = ngx_llm_stream_limit_key(ctx, zone, &key);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
    }

    limited = ngx_llm_stream_limit_begin(ctx);
    if (limited == NULL) {
        return NGX_ERROR;
    }

    take = &limited->take[limited->n++];
    take->zone = zone;

    ask = &take->ask;
    ask->key = key;
    ask->model = ctx->model;
    ask->input = ctx->input;
    ask->choices = ngx_min(ctx->choices, NGX_LLM_STREAM_LIMIT_CHOICES);
    ask->output = ctx->max_output;

    if (ask->output > 0) {
        ask->output = ngx_min(ask->output, NGX_LLM_STREAM_TOKENS_MAX)
                      * (int64_t) ask->choices;
    }

    ask->burst = limit->burst ? limit->burst : zone->tokens;

    rc = ngx_llm_stream_limit_reserve(zone, ask);

    if (rc == NGX_ERROR) {
        return NGX_DECLINED;
    }

    if (limited->told == NULL || rc == NGX_BUSY
        || ask->remaining < limited->told->remaining)
    {
        limited->told = ask;
    }

    return rc;
}


/* NGX_DECLINED: none, so there is no limit either. */

static ngx_int_t
ngx_llm_stream_limit_key(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_limit_zone_t *zone, ngx_str_t *key)
{
    if (ngx_http_complex_value(ctx->request, &zone->key, key) != NGX_OK) {
        return NGX_ERROR;
    }

    if (key->len == 0) {
        return NGX_DECLINED;
    }

    if (key->len > 65535) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "the value of the \"%V\" key is more than 65535 bytes",
                      &zone->key.value);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_llm_stream_limited_t *
ngx_llm_stream_limit_begin(ngx_llm_stream_ctx_t *ctx)
{
    ngx_pool_t                *pool;
    ngx_llm_stream_limited_t  *limited;

    if (ctx->limited) {
        return ctx->limited;
    }

    pool = ctx->request->pool;

    limited = ngx_pcalloc(pool, sizeof(ngx_llm_stream_limited_t));
    if (limited == NULL) {
        return NULL;
    }

    limited->take = ngx_pcalloc(pool, ctx->conf->limits->nelts
                                      * sizeof(ngx_llm_stream_limit_take_t));
    if (limited->take == NULL) {
        return NULL;
    }

    ctx->limited = limited;

    return limited;
}


static ngx_int_t
ngx_llm_stream_limit_no_room(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_limit_t *limit, ngx_int_t rc)
{
    ngx_log_t  *log;

    log = ctx->request->connection->log;

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "could not allocate memory in llm_stream_limit_zone "
                      "\"%V\"", &limit->zone->shm.name);

        ctx->limited->rejected = 1;
        ctx->limited->wait = 1000;
        ctx->fault = LLM_FAULT_BUSY;

        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "limiting tokens, room in %M ms by zone \"%V\"",
                  ctx->limited->told->wait, &limit->zone->shm.name);

    ctx->limited->rejected = 1;
    ctx->limited->wait = ctx->limited->told->wait;
    ctx->fault = LLM_FAULT_RATE_LIMIT;

    return NGX_HTTP_TOO_MANY_REQUESTS;
}


/*
 * What was used so far, 1/1000 tokens: the provider's word for what it says,
 * else the estimate, corrected by what was learned of the model.  Its word on
 * the output is not the last one before the end: some begin with 1.  A zero is
 * no word: dialects that must have a usage say it for one that is not known.
 */

static uint64_t
ngx_llm_stream_limit_count(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_limit_ask_t *ask, llm_measure_t *m, uint64_t output,
    ngx_uint_t final)
{
    uint64_t    in, out, said;
    ngx_uint_t  usage;

    usage = m->has_usage && !m->estimated;

    in = ctx->input * ask->ratio_in / NGX_LLM_STREAM_LIMIT_ONE;
    out = output * ask->ratio_out / NGX_LLM_STREAM_LIMIT_ONE;

    if ((usage || m->input_said) && m->usage.input > 0) {
        in = (uint64_t) ngx_min(m->usage.input, NGX_LLM_STREAM_TOKENS_MAX)
             * 1000;
    }

    if ((usage || m->output_said) && m->usage.output > 0) {
        said = (uint64_t) ngx_min(m->usage.output, NGX_LLM_STREAM_TOKENS_MAX)
               * 1000;
        out = (final && usage) ? said : ngx_max(out, said);
    }

    return in + out;
}


/* While the request runs, after anything that changes the count. */

void
ngx_llm_stream_limit_used(ngx_llm_stream_ctx_t *ctx)
{
    uint64_t                     used;
    ngx_uint_t                   i;
    llm_measure_t               *m;
    ngx_llm_stream_limit_ask_t  *ask;

    if (ctx->limited == NULL) {
        return;
    }

    m = &ctx->a.flow.measure;

    for (i = 0; i < ctx->limited->n; i++) {
        ask = &ctx->limited->take[i].ask;

        if (ask->record == NULL) {
            continue;
        }

        used = 0;

        if (ctx->a.flow_live) {
            used = ngx_llm_stream_limit_count(ctx, ask, m,
                                              ctx->a.flow.stages.output,
                                              m->nfinish);
        } else if (ctx->a.sent && !ctx->a.header_done) {
            used = ctx->input * ask->ratio_in / NGX_LLM_STREAM_LIMIT_ONE;
        }

        ask->record->used = used;
    }
}


/*
 * What is charged at the end.  Nothing if no answer began, or one that failed
 * before its first content; but who leaves while the provider is at work on
 * the request has made it read that.
 */

static uint64_t
ngx_llm_stream_limit_at_end(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_limit_ask_t *ask)
{
    if (ctx->answered) {
        return ngx_llm_stream_limit_count(ctx, ask, &ctx->measure,
                                          ctx->output,
                                          ctx->measure.nfinish
                                          || ctx->fault == LLM_FAULT_NONE);
    }

    if (ctx->fault == LLM_FAULT_CLIENT_ABORT && ctx->a.sent
        && !ctx->a.header_done)
    {
        return ctx->input * ask->ratio_in / NGX_LLM_STREAM_LIMIT_ONE;
    }

    return 0;
}


/* Runs at every ending, more than once at some.  ctx->fault says which. */

void
ngx_llm_stream_limit_settle(ngx_llm_stream_ctx_t *ctx)
{
    ngx_uint_t                      i, taught;
    ngx_llm_stream_limit_take_t    *take;
    ngx_llm_stream_limit_lesson_t   lesson;

    if (ctx->limited == NULL) {
        return;
    }

    taught = ngx_llm_stream_limit_lesson(ctx, &lesson);

    for (i = 0; i < ctx->limited->n; i++) {
        take = &ctx->limited->take[i];

        if (take->ask.record == NULL) {
            continue;
        }

        take->ask.record->used = ngx_llm_stream_limit_at_end(ctx, &take->ask);

        ngx_llm_stream_limit_release(take->zone, take->ask.record,
                                     taught ? &lesson : NULL);
        take->ask.record = NULL;
    }
}


/* 1: a whole answer, and the provider's word on it. */

static ngx_uint_t
ngx_llm_stream_limit_lesson(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_limit_lesson_t *lesson)
{
    llm_measure_t  *m;

    m = &ctx->measure;

    if (!ctx->answered || ctx->fault != LLM_FAULT_NONE || !m->has_usage
        || m->estimated || m->usage.input <= 0 || m->usage.output <= 0)
    {
        return 0;
    }

    lesson->model = ctx->model;
    lesson->input = ngx_min(m->usage.input, NGX_LLM_STREAM_TOKENS_MAX);
    lesson->output = ngx_min(m->usage.output, NGX_LLM_STREAM_TOKENS_MAX)
                     / (int64_t) ctx->choices;
    lesson->est_input = ctx->input;
    lesson->est_output = ctx->output / ctx->choices;

    return 1;
}


/* Whether a header of the provider's is one that we say ourselves. */

ngx_uint_t
ngx_llm_stream_limit_says(ngx_llm_stream_ctx_t *ctx, ngx_str_t *name)
{
    ngx_str_t  *s;

    if (ctx->limited == NULL) {
        return 0;
    }

    for (s = ngx_llm_stream_limit_headers_out; s->len; s++) {
        if (name->len == s->len
            && ngx_strncasecmp(name->data, s->data, s->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* Adds the state of the bucket with the least room to what is answered, and
 * when to come again if there was none. */

ngx_int_t
ngx_llm_stream_limit_headers(ngx_llm_stream_ctx_t *ctx)
{
    ngx_llm_stream_limited_t  *limited;

    limited = ctx->limited;

    if (limited == NULL || limited->said) {
        return NGX_OK;
    }

    limited->said = 1;

    if (limited->told
        && ngx_llm_stream_limit_tell(ctx->request, limited->told) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return limited->rejected
           ? ngx_llm_stream_limit_header(ctx->request, "Retry-After", "%ui%Z",
                                         ngx_max((limited->wait + 999) / 1000,
                                                 1))
           : NGX_OK;
}


static ngx_int_t
ngx_llm_stream_limit_tell(ngx_http_request_t *r,
    ngx_llm_stream_limit_ask_t *told)
{
    ngx_str_t   *name;
    const char  *reset;

    name = ngx_llm_stream_limit_headers_out;

    reset = ngx_llm_stream_limit_reset(r, told->reset);

    if (reset == NULL
        || ngx_llm_stream_limit_header(r, (char *) name[0].data, "%ui%Z",
                                       told->burst)
           != NGX_OK
        || ngx_llm_stream_limit_header(r, (char *) name[1].data, "%ui%Z",
                                       told->remaining)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_llm_stream_add_out_header(r, (char *) name[2].data, reset);
}


static ngx_int_t
ngx_llm_stream_limit_header(ngx_http_request_t *r, const char *name,
    const char *format, ngx_uint_t n)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(p, format, n);

    return ngx_llm_stream_add_out_header(r, name, (char *) p);
}


/* As OpenAI has it: "0s", "120ms", "6m0s". */

static const char *
ngx_llm_stream_limit_reset(ngx_http_request_t *r, ngx_msec_t ms)
{
    u_char      *p;
    ngx_uint_t   s;

    p = ngx_pnalloc(r->pool, 3 * NGX_INT_T_LEN);
    if (p == NULL) {
        return NULL;
    }

    s = (ms + 999) / 1000;

    if (ms == 0) {
        ngx_sprintf(p, "0s%Z");

    } else if (ms < 1000) {
        ngx_sprintf(p, "%Mms%Z", ms);

    } else if (s < 60) {
        ngx_sprintf(p, "%uis%Z", s);

    } else if (s < 3600) {
        ngx_sprintf(p, "%uim%uis%Z", s / 60, s % 60);

    } else {
        ngx_sprintf(p, "%uih%uim%uis%Z", s / 3600, s / 60 % 60, s % 60);
    }

    return (char *) p;
}


/* How long a client that was refused is to wait, ms; -1: it was not. */

int64_t
ngx_llm_stream_limit_wait(ngx_llm_stream_ctx_t *ctx)
{
    return ctx->limited && ctx->limited->rejected
           ? (int64_t) ctx->limited->wait : -1;
}


/* $llm_stream_limit; absent: there was no limit, or no key. */

llm_slice_t
ngx_llm_stream_limit_status(ngx_llm_stream_ctx_t *ctx)
{
    if (ctx->limited == NULL) {
        return llm_slice_null;
    }

    return ctx->limited->rejected ? llm_slice("rejected")
                                  : llm_slice("passed");
}
