/*
 * The one timer of a request.  It stands for every limit in time that is
 * ours: first token, idle, total, gate, heartbeat, drain, the time in which a
 * pooled connection may turn out to be closed, and for the wait before the
 * same server is asked again.  Events of the
 * stream never touch it: they leave their time in the measure stage, and the
 * handler, when it runs, finds out what is really due and sets itself to the
 * next deadline.  Only content counts for the first-token and idle limits;
 * comments and pings do not.
 */

#include "ngx_llm_stream.h"


#define NGX_LLM_STREAM_DRAIN_TIME  1000     /* ms, after the terminator */
#define NGX_LLM_STREAM_ERROR_TIME  5000     /* ms, for an error's body */
#define NGX_LLM_STREAM_RECHECK     1000     /* ms, while no peer is there */
#define NGX_LLM_STREAM_STALE_TIME  1000     /* ms, until a peer that does not
                                               close has the request */
#define NGX_LLM_STREAM_BUSY        50       /* ms, while the client is slow */


typedef enum {
    ngx_llm_stream_due_nothing = 0,
    ngx_llm_stream_due_total,
    ngx_llm_stream_due_stale,
    ngx_llm_stream_due_content,
    ngx_llm_stream_due_gate,
    ngx_llm_stream_due_drain,
    ngx_llm_stream_due_error_body,
    ngx_llm_stream_due_retry,
    ngx_llm_stream_due_stage,
    ngx_llm_stream_due_heartbeat
} ngx_llm_stream_due_e;


static void ngx_llm_stream_timer_handler(ngx_event_t *ev);
static ngx_llm_stream_due_e ngx_llm_stream_due(ngx_llm_stream_ctx_t *ctx,
    ngx_msec_int_t *left);
static void ngx_llm_stream_due_over(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_due_e *due, ngx_msec_int_t *left);
static void ngx_llm_stream_due_flow(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_due_e *due, ngx_msec_int_t *left);
static void ngx_llm_stream_due_at(ngx_llm_stream_due_e what, ngx_msec_t since,
    ngx_msec_t limit, ngx_llm_stream_due_e *due, ngx_msec_int_t *left);
static ngx_uint_t ngx_llm_stream_client_busy(ngx_llm_stream_ctx_t *ctx);
static llm_fault_t ngx_llm_stream_silence(ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_act(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_due_e due);
static void ngx_llm_stream_act_for_client(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_due_e due);
static void ngx_llm_stream_wake(ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_time_out(ngx_llm_stream_ctx_t *ctx,
    llm_fault_t fault);
static void ngx_llm_stream_heartbeat(ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_tick(ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_write(ngx_llm_stream_ctx_t *ctx);


void
ngx_llm_stream_timer_init(ngx_llm_stream_ctx_t *ctx)
{
    ctx->timer.handler = ngx_llm_stream_timer_handler;
    ctx->timer.data = ctx;
    ctx->timer.log = ctx->request->connection->log;
}


/* After a change of state: the next deadline may be nearer now. */

void
ngx_llm_stream_timer_update(ngx_llm_stream_ctx_t *ctx)
{
    ngx_msec_int_t  left;

    /* deleted first: nginx ignores a change of less than 300 ms */

    ngx_llm_stream_timer_stop(ctx);

    if (ngx_llm_stream_due(ctx, &left) != ngx_llm_stream_due_nothing) {
        ngx_add_timer(&ctx->timer, (ngx_msec_t) ngx_max(left, 1));
    }
}


void
ngx_llm_stream_timer_stop(ngx_llm_stream_ctx_t *ctx)
{
    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }
}


/*
 * Runs from the event loop.  What it does may finalize the request and free
 * the context: it sets the timer first, acts last, and touches only the
 * connection after that.
 */

static void
ngx_llm_stream_timer_handler(ngx_event_t *ev)
{
    ngx_msec_int_t         left;
    ngx_connection_t      *c;
    ngx_http_request_t    *r;
    ngx_llm_stream_due_e   due;
    ngx_llm_stream_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (ctx->finished) {
        return;
    }

    due = ngx_llm_stream_due(ctx, &left);

    if (due == ngx_llm_stream_due_nothing) {
        return;
    }

    if (left > 0 || r->upstream->peer.connection == NULL
        || !r->upstream->request_sent)
    {
        ngx_add_timer(ev, left > 0 ? (ngx_msec_t) left
                                   : NGX_LLM_STREAM_RECHECK);
        return;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "llm_stream timer due: %d", (int) due);

    ngx_llm_stream_act(ctx, due);

    ngx_http_run_posted_requests(c);
}


/* The deadline that comes first, and the time left until it. */

static ngx_llm_stream_due_e
ngx_llm_stream_due(ngx_llm_stream_ctx_t *ctx, ngx_msec_int_t *left)
{
    ngx_msec_t                  last;
    ngx_llm_stream_due_e        due;
    ngx_llm_stream_loc_conf_t  *llcf;

    llcf = ctx->conf;
    due = ngx_llm_stream_due_nothing;
    *left = 0;

    if (ctx->a.ended) {
        return due;
    }

    if (ctx->a.flow_done || ctx->a.waits || ctx->a.error_status) {
        ngx_llm_stream_due_over(ctx, &due, left);
        return due;
    }

    ngx_llm_stream_due_at(ngx_llm_stream_due_total, ctx->start,
                          llcf->total_timeout, &due, left);

    if (!ctx->a.sent
        || (due == ngx_llm_stream_due_total && *left <= 0))
    {
        /* what waits for a slow client may be due for longer */
        return due;
    }

    if (ngx_llm_stream_retry_may_be_stale(ctx)) {
        ngx_llm_stream_due_at(ngx_llm_stream_due_stale, ctx->a.sent_at,
                              NGX_LLM_STREAM_STALE_TIME, &due, left);
    }

    /* an answer that is not streamed has no first token */

    if (ctx->a.flow_live && ctx->a.flow.measure.chunks) {
        last = (ngx_msec_t) ctx->a.flow.measure.last;
        ngx_llm_stream_due_at(ngx_llm_stream_due_content, last,
                              llcf->idle_timeout, &due, left);

    } else if (ctx->ask_stream) {
        ngx_llm_stream_due_at(ngx_llm_stream_due_content, ctx->a.sent_at,
                              llcf->first_token_timeout, &due, left);
    }

    if (ctx->a.flow_live && ctx->stream && !ctx->a.open) {
        ngx_llm_stream_due_at(ngx_llm_stream_due_gate, ctx->a.header_at,
                              llcf->gate_timeout, &due, left);
    }

    if (ctx->a.flow_live) {
        ngx_llm_stream_due_flow(ctx, &due, left);
    }

    return due;
}


/* The provider has said all that matters: one thing is waited for. */

static void
ngx_llm_stream_due_over(ngx_llm_stream_ctx_t *ctx, ngx_llm_stream_due_e *due,
    ngx_msec_int_t *left)
{
    if (ctx->a.waits) {
        /* it ends before any other limit */
        ngx_llm_stream_due_at(ngx_llm_stream_due_retry, ctx->a.wait_since,
                              ctx->a.wait, due, left);

    } else if (ctx->a.flow_done) {
        ngx_llm_stream_due_at(ngx_llm_stream_due_drain, ctx->a.done_at,
                              NGX_LLM_STREAM_DRAIN_TIME, due, left);

    } else {
        ngx_llm_stream_due_at(ngx_llm_stream_due_error_body,
                              ctx->a.header_at, NGX_LLM_STREAM_ERROR_TIME,
                              due, left);
    }
}


/* What is done for the client alone.  What a stage gives up opens a closed
 * gate, like all that is written. */

static void
ngx_llm_stream_due_flow(ngx_llm_stream_ctx_t *ctx, ngx_llm_stream_due_e *due,
    ngx_msec_int_t *left)
{
    int64_t  stage;

    stage = llm_flow_due(&ctx->a.flow);

    if (stage != -1) {
        ngx_llm_stream_due_at(ngx_llm_stream_due_stage,
                              (ngx_msec_t) stage - 1, 1, due, left);
    }

    if (ctx->a.open && ngx_llm_stream_comments(ctx)) {
        ngx_llm_stream_due_at(ngx_llm_stream_due_heartbeat, ctx->written_at,
                              ctx->conf->heartbeat, due, left);
    }
}


static void
ngx_llm_stream_due_at(ngx_llm_stream_due_e what, ngx_msec_t since,
    ngx_msec_t limit, ngx_llm_stream_due_e *due, ngx_msec_int_t *left)
{
    ngx_msec_int_t  n;

    if (limit == 0) {
        return;
    }

    n = (ngx_msec_int_t) (since + limit - ngx_current_msec);

    if (*due == ngx_llm_stream_due_nothing || n < *left) {
        *due = what;
        *left = n;
    }
}


/* The provider is not read while the client has not taken what there is. */

static ngx_uint_t
ngx_llm_stream_client_busy(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    return u->out_bufs || u->busy_bufs || ctx->request->connection->buffered;
}


/* Which silence it is. */

static llm_fault_t
ngx_llm_stream_silence(ngx_llm_stream_ctx_t *ctx)
{
    if (!ctx->a.header_done) {
        return LLM_FAULT_TIMEOUT_HEADER;
    }

    return (ctx->a.flow_live && ctx->a.flow.measure.chunks)
           ? LLM_FAULT_TIMEOUT_IDLE : LLM_FAULT_TIMEOUT_FIRST;
}


static void
ngx_llm_stream_act(ngx_llm_stream_ctx_t *ctx, ngx_llm_stream_due_e due)
{
    switch (due) {

    case ngx_llm_stream_due_total:
        ngx_llm_stream_time_out(ctx, LLM_FAULT_TOO_LONG);
        return;

    case ngx_llm_stream_due_stale:
        ngx_llm_stream_retry_is_taken(ctx);
        ngx_llm_stream_timer_update(ctx);
        return;

    case ngx_llm_stream_due_gate:
        ctx->a.release = 1;
        ngx_llm_stream_wake(ctx);
        return;

    case ngx_llm_stream_due_error_body:
        ctx->a.body_end = 1;
        ctx->a.leftover = 1;
        ngx_llm_stream_wake(ctx);
        return;

    case ngx_llm_stream_due_retry:
        ctx->a.waits = 0;
        ngx_llm_stream_unpark(ctx);
        ngx_llm_stream_wake(ctx);
        return;

    case ngx_llm_stream_due_drain:
        ctx->a.leftover = 1;
        ctx->a.ended = 1;
        ngx_llm_stream_end(ctx);
        ngx_llm_stream_write(ctx);
        return;

    default:
        ngx_llm_stream_act_for_client(ctx, due);
        return;
    }
}


/* What depends on whether the client takes what there is. */

static void
ngx_llm_stream_act_for_client(ngx_llm_stream_ctx_t *ctx,
    ngx_llm_stream_due_e due)
{
    ngx_uint_t  gone, slow;

    /*
     * A client that is gone may still have a request, by
     * llm_stream_ignore_client_abort: the limits hold for it too.
     */

    gone = ctx->a.open && ctx->request->connection->error;
    slow = ctx->a.open && !gone && ngx_llm_stream_client_busy(ctx);

    switch (due) {

    case ngx_llm_stream_due_content:

        if (slow) {
            /* the client's slowness is not the provider's silence */
            ngx_add_timer(&ctx->timer, NGX_LLM_STREAM_RECHECK);
            return;
        }

        ngx_llm_stream_time_out(ctx, ngx_llm_stream_silence(ctx));
        return;

    case ngx_llm_stream_due_stage:

        if (slow) {
            /* it would only wait in another place */
            ngx_add_timer(&ctx->timer, NGX_LLM_STREAM_BUSY);
            return;
        }

        ngx_llm_stream_tick(ctx);
        return;

    case ngx_llm_stream_due_heartbeat:

        if (slow || gone) {
            ctx->written_at = ngx_current_msec;
            ngx_llm_stream_timer_update(ctx);
            return;
        }

        ngx_llm_stream_heartbeat(ctx);
        return;

    default:
        return;
    }
}


/* Makes the core call process_held() although nothing came. */

static void
ngx_llm_stream_wake(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    ctx->a.wake = ngx_llm_stream_wake_open;
    r->upstream->read_event_handler(r, r->upstream);
}


static void
ngx_llm_stream_time_out(ngx_llm_stream_ctx_t *ctx, llm_fault_t fault)
{
    ngx_int_t             rc;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = ctx->request;
    u = r->upstream;

    ctx->a.fault = fault;

    if (ctx->a.open) {
        ngx_llm_stream_out_begin(ctx);
        ngx_llm_stream_end(ctx);
        (void) ngx_llm_stream_out_end(ctx);
        ngx_llm_stream_write(ctx);
        return;
    }

    /* when the total is over there is no time for another peer either */

    if (ctx->a.header_done && fault != LLM_FAULT_TOO_LONG) {
        rc = ngx_llm_stream_retry_invalid(ctx);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc == NGX_HTTP_UPSTREAM_INVALID_HEADER) {
            ngx_llm_stream_wake(ctx);
            return;
        }
    }

    /* 504, by the core */

    u->peer.connection->read->timedout = 1;
    u->read_event_handler(r, u);
}


/* One comment line without a blank line behind it: several SDKs take a block
 * without data for an event. */

static void
ngx_llm_stream_heartbeat(ngx_llm_stream_ctx_t *ctx)
{
    ngx_llm_stream_out_begin(ctx);
    ngx_llm_stream_out_comment(ctx, ": hb\n");
    ctx->heartbeats++;

    if (ngx_llm_stream_out_end(ctx) != NGX_OK) {
        ctx->request->upstream->error = 1;
    }

    ngx_llm_stream_timer_update(ctx);
    ngx_llm_stream_write(ctx);
}


/* A stage has held what it holds for long enough. */

static void
ngx_llm_stream_tick(ngx_llm_stream_ctx_t *ctx)
{
    llm_rc_t  rc;

    ngx_llm_stream_out_begin(ctx);

    rc = llm_flow_tick(&ctx->a.flow, ngx_current_msec);

    if (rc != LLM_OK) {
        ngx_llm_stream_fed(ctx, rc);
    }

    if (rc != LLM_OK && ctx->a.open) {
        ngx_llm_stream_end(ctx);
    }

    if (ngx_llm_stream_out_end(ctx) != NGX_OK) {
        ctx->request->upstream->error = 1;
    }

    ngx_llm_stream_timer_update(ctx);

    if (!ctx->a.open) {
        ngx_llm_stream_wake(ctx);
        return;
    }

    ngx_llm_stream_write(ctx);
}


/* The core writes what is queued, and finalizes when told so. */

static void
ngx_llm_stream_write(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;
    r->write_event_handler(r);
}
