/*
 * What is counted of a request: which series, and what.  Chunks count as they
 * pass, in the measuring stage; all else once, when the context of the request
 * goes, after the log phase.  Every value is that of the variable of its name.
 * It must never allocate nor lock for an event.
 *
 * A context counts if the variables of the request have an ending: one that an
 * error_page leads to a second location of ours counts in both.
 */

#include "ngx_llm_stream_zone.h"


/* of what was not said: none */
#define ngx_llm_stream_tokens_of(n)                                         \
    (uint64_t) ngx_min(ngx_max((n), 0), NGX_LLM_STREAM_TOKENS_MAX)


static void ngx_llm_stream_metrics_failed(ngx_llm_stream_ctx_t *ctx,
    llm_count_id_t id);
static llm_count_id_t ngx_llm_stream_metrics_class(
    ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_metrics_unsent(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t last);
static llm_count_id_t ngx_llm_stream_metrics_by_state(
    ngx_llm_stream_ctx_t *ctx, ngx_uint_t i);
static ngx_llm_stream_block_t *ngx_llm_stream_metrics_block(
    ngx_llm_stream_ctx_t *ctx, ngx_uint_t accepted);
static void ngx_llm_stream_metrics_count(ngx_llm_stream_ctx_t *ctx,
    llm_counts_t *counts);
static llm_end_t ngx_llm_stream_metrics_how(ngx_llm_stream_ctx_t *ctx,
    llm_counts_t *counts);
static void ngx_llm_stream_metrics_tokens(ngx_llm_stream_ctx_t *ctx,
    llm_counts_t *counts);
static void ngx_llm_stream_metrics_times(ngx_llm_stream_ctx_t *ctx,
    llm_counts_t *counts);


/* The handler has taken the request: from here on it is open. */

void
ngx_llm_stream_metrics_open(ngx_llm_stream_ctx_t *ctx)
{
    ngx_llm_stream_place_t  *place;

    place = ctx->conf->place;

    if (place == NULL) {
        return;
    }

    ctx->opened = ngx_llm_stream_zone_block(place->zone, place->series);

    if (ctx->opened) {
        ctx->opened->open++;
    }
}


/* It is over.  Runs more than once. */

void
ngx_llm_stream_metrics_close(ngx_llm_stream_ctx_t *ctx)
{
    if (ctx->opened) {
        ctx->opened->open--;
        ctx->opened = NULL;
    }
}


/* The provider has accepted the request: its answer counts as it comes. */

void
ngx_llm_stream_metrics_accepted(ngx_llm_stream_ctx_t *ctx)
{
    if (!ctx->counts) {
        return;
    }

    if (ctx->block == NULL) {
        ctx->block = ngx_llm_stream_metrics_block(ctx, 1);
    }

    if (ctx->block) {
        ctx->a.flow.measure.live = &ctx->block->counts;
    }
}


/* The block of the request's model; NULL: no room. */

static ngx_llm_stream_block_t *
ngx_llm_stream_metrics_block(ngx_llm_stream_ctx_t *ctx, ngx_uint_t accepted)
{
    ngx_int_t                series;
    ngx_str_t               *model;
    ngx_llm_stream_block_t  *block;
    ngx_llm_stream_place_t  *place;

    static ngx_str_t  none = ngx_string("none");

    place = ctx->conf->place;
    series = -1;
    model = ctx->model.len ? &ctx->model : &none;

    if (place->series == -1) {
        return NULL;
    }

    if (ctx->model.len || ctx->request_bufs) {
        series = ngx_llm_stream_zone_model(place, model, accepted);
    }

    block = ngx_llm_stream_zone_block(place->zone, series);

    return block ? block
                 : ngx_llm_stream_zone_block(place->zone, place->series);
}


/* An attempt begins to be sent: those since the one before were not. */

void
ngx_llm_stream_metrics_sent(ngx_llm_stream_ctx_t *ctx)
{
    ngx_llm_stream_metrics_unsent(ctx,
                               ctx->request->upstream_states->nelts - 1);
}


/*
 * The attempt that was sent is over, and another one has begun.  One on a
 * pooled connection that was no more, or of another name, is none.
 */

void
ngx_llm_stream_metrics_again(ngx_llm_stream_ctx_t *ctx)
{
    llm_count_id_t  id;

    id = ngx_llm_stream_metrics_class(ctx);

    if (id != LLM_COUNT_MAX) {
        ngx_llm_stream_metrics_failed(ctx, id);
        ctx->retries++;
    }

    ctx->tried++;

    ngx_llm_stream_metrics_unsent(ctx,
                               ctx->request->upstream_states->nelts - 1);
}


/* Attempts that failed before they were sent, and were followed by others. */

static void
ngx_llm_stream_metrics_unsent(ngx_llm_stream_ctx_t *ctx, ngx_uint_t last)
{
    for ( /* void */ ; ctx->tried < last; ctx->tried++) {
        ngx_llm_stream_metrics_failed(ctx,
                        ngx_llm_stream_metrics_by_state(ctx, ctx->tried));
        ctx->retries++;
    }
}


/* No attempt follows.  The last one failed if the request did, by the
 * provider's fault. */

void
ngx_llm_stream_metrics_attempts(ngx_llm_stream_ctx_t *ctx)
{
    ngx_uint_t       n;
    llm_count_id_t   id;
    ngx_array_t     *states;

    states = ctx->request->upstream_states;
    n = states ? states->nelts : 0;

    if (ctx->a.sent && ctx->tried + 1 < n) {

        /* it is not the one that a.* is of */

        ngx_llm_stream_metrics_again(ctx);
        id = ngx_llm_stream_metrics_by_state(ctx, n - 1);

    } else {

        if (n != 0) {
            ngx_llm_stream_metrics_unsent(ctx, n - 1);
        }

        id = ngx_llm_stream_metrics_class(ctx);

        if (id == LLM_COUNT_MAX) {
            id = llm_counts_of_fault(ctx->fault);
        }
    }

    ngx_llm_stream_metrics_failed(ctx, id);
}


static void
ngx_llm_stream_metrics_failed(ngx_llm_stream_ctx_t *ctx, llm_count_id_t id)
{
    if (id != LLM_COUNT_MAX) {
        ctx->failures[id - LLM_COUNT_ERR_CONNECT]++;
    }
}


/* Of an attempt that had an answer. */

static llm_count_id_t
ngx_llm_stream_metrics_class(ngx_llm_stream_ctx_t *ctx)
{
    if (ctx->a.error_status) {
        return ctx->a.status.code >= NGX_HTTP_BAD_REQUEST
               ? llm_counts_of_status(ctx->a.status.code)
               : LLM_COUNT_ERR_STREAM;
    }

    return llm_counts_of_fault(ctx->a.fault ? ctx->a.fault : ctx->a.failed);
}


/* Of one that had none, as the core has it. */

static llm_count_id_t
ngx_llm_stream_metrics_by_state(ngx_llm_stream_ctx_t *ctx, ngx_uint_t i)
{
    ngx_http_upstream_state_t  *state;

    state = ctx->request->upstream_states->elts;

    switch (state[i].status) {

    case NGX_HTTP_BAD_GATEWAY:
    case NGX_HTTP_SERVICE_UNAVAILABLE:
        return LLM_COUNT_ERR_CONNECT;

    case NGX_HTTP_GATEWAY_TIME_OUT:
        return LLM_COUNT_ERR_TIMEOUT;

    default:
        return LLM_COUNT_MAX;
    }
}


/* Runs when the request's pool is destroyed, after the log phase. */

void
ngx_llm_stream_metrics_end(ngx_llm_stream_ctx_t *ctx)
{
    ngx_llm_stream_zone_t  *zone;

    ngx_llm_stream_metrics_close(ctx);

    if (!ctx->counts) {
        return;
    }

    ctx->counts = 0;
    zone = ctx->conf->place->zone;

    if (ctx->block == NULL) {
        ctx->block = ngx_llm_stream_metrics_block(ctx, 0);
    }

    if (ctx->block == NULL) {
        ngx_llm_stream_zone_lose(zone, ctx->request->connection->log);
        return;
    }

    ngx_llm_stream_metrics_count(ctx, &ctx->block->counts);
}


static void
ngx_llm_stream_metrics_count(ngx_llm_stream_ctx_t *ctx, llm_counts_t *counts)
{
    int64_t              n;
    llm_end_t            end;
    ngx_uint_t           i;
    ngx_http_request_t  *r;

    r = ctx->request;

    end = ngx_llm_stream_metrics_how(ctx, counts);
    ngx_llm_stream_metrics_tokens(ctx, counts);
    ngx_llm_stream_metrics_times(ctx, counts);

    counts->n[LLM_COUNT_STREAMING] += ctx->streaming;
    counts->n[LLM_COUNT_BYTES_IN] += ctx->a.bytes;

    if (r == r->main && ngx_http_get_module_ctx(r, ngx_llm_stream_module)
                        == ctx)
    {
        counts->n[LLM_COUNT_BYTES_OUT] += ngx_llm_stream_bytes_out(ctx);
    }

    for (i = 0; i < NGX_LLM_STREAM_FAILURES; i++) {
        counts->n[LLM_COUNT_ERR_CONNECT + i] += ctx->failures[i];
    }

    counts->n[LLM_COUNT_RETRIES] += ctx->retries;
    counts->n[LLM_COUNT_HEARTBEATS] += ctx->heartbeats;
    counts->n[LLM_COUNT_LIMITED] += (ngx_llm_stream_limit_wait(ctx) >= 0);

    n = ngx_llm_stream_redact_count(ctx);

    if (n > 0) {
        counts->n[LLM_COUNT_REDACTED] += n;
    }

    /* last: whoever sees the request sees all that it counts */

    ngx_memory_barrier();
    counts->end[end]++;
}


/* The error if it had one; its ending, which is yet to be counted. */

static llm_end_t
ngx_llm_stream_metrics_how(ngx_llm_stream_ctx_t *ctx, llm_counts_t *counts)
{
    llm_end_t            end;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->fault == LLM_FAULT_CLIENT_ABORT && !ctx->body_read
        && !r->post_action
        && ngx_http_get_module_ctx(r, ngx_llm_stream_module) != ctx)
    {
        /* the core refused the body; "error_page 413 =" hides why */
        ctx->fault = r->err_status >= NGX_HTTP_BAD_REQUEST
                     ? llm_fault_by_status(r->err_status)
                     : LLM_FAULT_BAD_REQUEST;
    }

    if (!ngx_llm_stream_ending(ctx, &end)) {
        /* an error_page of nginx took it before it was read */
        ctx->fault = LLM_FAULT_INTERNAL;
        end = LLM_END_INTERNAL;
    }

    if (ctx->fault) {
        counts->error[ctx->fault]++;
    }

    if (ctx->fault == LLM_FAULT_AUTH && ctx->request_bufs == NULL) {
        /* no token: not one attempt */
        counts->n[LLM_COUNT_ERR_AUTH]++;
    }

    return end;
}


/* A provider may say anything: no counter may wrap. */

static void
ngx_llm_stream_metrics_tokens(ngx_llm_stream_ctx_t *ctx,
    llm_counts_t *counts)
{
    llm_usage_t    *usage;
    llm_measure_t  *m;

    m = ngx_llm_stream_measured(ctx);

    if (!m->has_usage) {
        return;
    }

    usage = &m->usage;

    counts->n[m->estimated ? LLM_COUNT_INPUT_ESTIMATE
                           : LLM_COUNT_INPUT_USAGE]
        += ngx_llm_stream_tokens_of(usage->input);

    counts->n[m->estimated ? LLM_COUNT_OUTPUT_ESTIMATE
                           : LLM_COUNT_OUTPUT_USAGE]
        += ngx_llm_stream_tokens_of(usage->output);

    counts->n[LLM_COUNT_CACHED]
        += ngx_llm_stream_tokens_of(usage->cached);
    counts->n[LLM_COUNT_REASONING]
        += ngx_llm_stream_tokens_of(usage->reasoning);
}


static void
ngx_llm_stream_metrics_times(ngx_llm_stream_ctx_t *ctx, llm_counts_t *counts)
{
    int64_t      n;
    llm_hist_t  *hist;

    hist = counts->hist;

    n = ngx_llm_stream_ttft(ctx);

    if (n >= 0) {
        llm_hist_add(&hist[LLM_HIST_TTFT], LLM_HIST_TTFT, n);
    }

    llm_hist_add(&hist[LLM_HIST_DURATION], LLM_HIST_DURATION,
                 ngx_llm_stream_elapsed(ctx));

    n = ngx_llm_stream_rate(ctx, ngx_llm_stream_measured(ctx)->chars);

    if (n >= 0) {
        llm_hist_add(&hist[LLM_HIST_CHARS_PER_SECOND],
                     LLM_HIST_CHARS_PER_SECOND, n);
    }

    n = ngx_llm_stream_held(ctx);

    if (n > 0) {
        llm_hist_add(&hist[LLM_HIST_HELD], LLM_HIST_HELD, n);
    }
}
