/*
 * nginx's upstream callbacks, and the one place that sees the end of the
 * provider's answer.  Says for each callback when it runs and which return
 * values nginx acts on; the work itself is in the other files.
 *
 * The core hides the end of a connection from a module: in the header phase
 * an EOF goes straight to "next upstream", later it finalizes the request.
 * An honest ending needs to know whether what came was whole, so once the
 * header is parsed the connection's recv() is replaced by
 * ngx_llm_stream_recv(): it turns "closed", "broken" and "open the gate now"
 * into one byte that means nothing and a note in a.wake, and the callback
 * that the core then calls acts on the note.
 */

#include "ngx_llm_stream.h"


static ngx_int_t ngx_llm_stream_create_request(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_reinit_request(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_rebuild(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t status);
static void ngx_llm_stream_abort_request(ngx_http_request_t *r);
static void ngx_llm_stream_finalize_request(ngx_http_request_t *r,
    ngx_int_t rc);
static ngx_int_t ngx_llm_stream_output(void *data, ngx_chain_t *in);
static ngx_int_t ngx_llm_stream_refused(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_filter_init(void *data);
static ngx_int_t ngx_llm_stream_filter(void *data, ssize_t bytes);


void
ngx_llm_stream_init_upstream(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = ctx->request;
    u = r->upstream;

    u->output.tag = (ngx_buf_tag_t) &ngx_llm_stream_module;
    u->output.output_filter = ngx_llm_stream_output;
    u->output.filter_ctx = ctx;

    u->conf = &ctx->conf->upstream;
    u->create_request = ngx_llm_stream_create_request;
    u->reinit_request = ngx_llm_stream_reinit_request;
    u->process_header = ngx_llm_stream_process_status_line;
    u->abort_request = ngx_llm_stream_abort_request;
    u->finalize_request = ngx_llm_stream_finalize_request;

    u->input_filter_init = ngx_llm_stream_filter_init;
    u->input_filter = ngx_llm_stream_filter;
    u->input_filter_ctx = ctx;

    u->buffering = 0;
    u->accel = 1;
    r->state = 0;

    ngx_llm_stream_out_init(ctx);
}


/* Runs once a request, before a peer is chosen.  Not NGX_OK: 500. */

static ngx_int_t
ngx_llm_stream_create_request(ngx_http_request_t *r)
{
    ngx_llm_stream_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_llm_stream_module);
    r->upstream->request_bufs = ctx->request_bufs;

    /* of a location before an error_page, and one that parts them from ours */

    ctx->states = r->upstream_states ? r->upstream_states->nelts + 1 : 0;
    ctx->tried = ctx->states;
    ngx_llm_stream_budget_request(ctx);

    return NGX_OK;
}


/*
 * Runs before the request is sent to a further peer.  All state of the
 * failed attempt goes at once; nothing of it was sent to the client.
 */

static ngx_int_t
ngx_llm_stream_reinit_request(ngx_http_request_t *r)
{
    ngx_uint_t             status;
    ngx_http_upstream_t   *u;
    ngx_llm_stream_ctx_t  *ctx;

    u = r->upstream;
    ctx = u->input_filter_ctx;

    status = ctx->a.status.code;

    ngx_llm_stream_count_attempt(ctx);
    ngx_llm_stream_metrics_again(ctx);
    (void) ngx_llm_stream_keep_said(ctx);

    if (ctx->a.flow_live) {
        llm_flow_free(&ctx->a.flow);
    }

    llm_block_free(&ctx->a.error_body, &ctx->alloc);
    ngx_llm_stream_out_drop(ctx);
    ngx_llm_stream_wait_no_more(ctx);
    ngx_memzero(&ctx->a, sizeof(ngx_llm_stream_attempt_t));

    u->conf = &ctx->conf->upstream;
    u->process_header = ngx_llm_stream_process_status_line;
    r->state = 0;

    if (ctx->replan && ngx_llm_stream_without_stream(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    return ctx->rebuild ? ngx_llm_stream_rebuild(ctx, status) : NGX_OK;
}


/* The request with another token; $upstream_status says what the one before
 * was answered with, where the core has put a 502. */

static ngx_int_t
ngx_llm_stream_rebuild(ngx_llm_stream_ctx_t *ctx, ngx_uint_t status)
{
    ngx_array_t                *states;
    ngx_http_upstream_state_t  *state;

    ctx->rebuild = 0;

    states = ctx->request->upstream_states;
    state = states->elts;

    if (states->nelts > 1) {
        state[states->nelts - 2].status = status;
    }

    if (ngx_llm_stream_build_request(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->request->upstream->request_bufs = ctx->request_bufs;

    return NGX_OK;
}


/* The core never calls it, but wants it set. */

static void
ngx_llm_stream_abort_request(ngx_http_request_t *r)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "llm_stream abort request");
}


/*
 * Runs exactly once, when the core is done with the upstream: rc is 0 (the
 * answer is complete), NGX_ERROR (the client cannot be written to, or a
 * callback failed), NGX_DONE (cleanup), or a status.  The connection is still
 * there and may be cached afterwards.
 */

static void
ngx_llm_stream_finalize_request(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_upstream_t   *u;
    ngx_llm_stream_ctx_t  *ctx;

    u = r->upstream;
    ctx = u->input_filter_ctx;

    ngx_llm_stream_timer_stop(ctx);
    ngx_llm_stream_wait_no_more(ctx);

    if (ctx->a.recv && u->peer.connection) {
        u->peer.connection->recv = ctx->a.recv;
    }

    ctx->a.recv = NULL;

    /* an error page may lead to another provider, with a plan of its own */

    ngx_llm_stream_plan_drop(ctx);
    ngx_llm_stream_finish(ctx, rc);
    ngx_llm_stream_store_end(ctx);
}


/*
 * Runs each time a part of the request is written to the peer.  The first
 * time a peer was connected and nothing was sent: from here on a second
 * attempt may be billed twice.  NGX_ERROR: next peer.
 */

static ngx_int_t
ngx_llm_stream_output(void *data, ngx_chain_t *in)
{
    ngx_llm_stream_ctx_t  *ctx = data;

    ngx_int_t  rc;

    if (!ctx->a.sent) {
        ctx->a.sent = 1;
        ctx->a.sent_at = ngx_current_msec;
        ngx_llm_stream_metrics_sent(ctx);

        if (!ngx_llm_stream_ssl_fits(ctx)) {
            ngx_llm_stream_retry_unfit(ctx);
            return NGX_ERROR;
        }

        ngx_llm_stream_retry_sent(ctx);
        ngx_llm_stream_timer_update(ctx);
        ngx_llm_stream_limit_used(ctx);
    }

    rc = ngx_chain_writer(&ctx->request->upstream->writer, in);

    return (rc == NGX_ERROR) ? ngx_llm_stream_refused(ctx) : rc;
}


/*
 * The peer closed while the request was being written.  If it said why before
 * (413, 400), its answer lies unread in the socket and is what the client
 * must see: the rest of the request is dropped and the core told to read.
 */

static ngx_int_t
ngx_llm_stream_refused(ngx_llm_stream_ctx_t *ctx)
{
    char                  byte;
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;
    c = u->peer.connection;

    if (recv(c->fd, &byte, 1, MSG_PEEK) <= 0) {
        return NGX_ERROR;
    }

    u->writer.out = NULL;
    u->writer.last = &u->writer.out;

    c->read->ready = 1;
    ngx_post_event(c->read, &ngx_posted_events);

    return NGX_AGAIN;
}


/*
 * In place of the peer connection's recv() once its header was parsed.  One
 * byte of room is always there: the buffer is emptied before each read while
 * the gate is closed, and the core does not read without room later.
 */

static ssize_t
ngx_llm_stream_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    ssize_t                n;
    ngx_http_request_t    *r;
    ngx_llm_stream_ctx_t  *ctx;

    r = c->data;
    ctx = r->upstream->input_filter_ctx;

    if (ctx->a.wake == ngx_llm_stream_wake_none) {

        n = ctx->a.recv(c, buf, size);

        if (n > 0 || n == NGX_AGAIN || ctx->a.told) {
            return n;
        }

        /* once: a callback that still wants more must not be asked again */

        ctx->a.told = 1;
        c->read->ready = 0;
        ctx->a.wake = (n == 0) ? ngx_llm_stream_wake_closed
                               : ngx_llm_stream_wake_broken;
    }

    *buf = '\0';

    return 1;
}


void
ngx_llm_stream_watch(ngx_llm_stream_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = ctx->request->upstream->peer.connection;

    if (ctx->a.recv == NULL) {
        ctx->a.recv = c->recv;
    }

    c->recv = ngx_llm_stream_recv;
}


/* Takes note of a wake byte.  Returns 1 if the byte just read was one. */

ngx_uint_t
ngx_llm_stream_woken(ngx_llm_stream_ctx_t *ctx)
{
    ngx_llm_stream_wake_e  wake;

    wake = ctx->a.wake;

    if (wake == ngx_llm_stream_wake_none) {
        return 0;
    }

    ctx->a.wake = ngx_llm_stream_wake_none;
    ctx->request->upstream->state->bytes_received--;

    if (wake == ngx_llm_stream_wake_closed) {
        ngx_llm_stream_eof(ctx, LLM_EOF_CLOSED);

    } else if (wake == ngx_llm_stream_wake_broken) {
        ngx_llm_stream_eof(ctx, LLM_EOF_BROKEN);
    }

    return 1;
}


/* Runs after the header was sent.  NGX_ERROR: the request is finalized. */

static ngx_int_t
ngx_llm_stream_filter_init(void *data)
{
    ngx_llm_stream_ctx_t  *ctx = data;

    /*
     * Never -1: the core would take any end of the connection for a proper
     * end of the answer.  0: all was said, finalize when it is written.
     */

    ctx->request->upstream->length = ctx->a.ended ? 0 : 1;

    return NGX_OK;
}


/*
 * Runs for every read of the provider's body: `bytes` new ones at
 * u->buffer.last.  The advance of u->buffer.last is the back-pressure: the
 * core reads no more than the buffer holds and empties it only when the
 * client has taken everything.  NGX_ERROR: the request is finalized at once,
 * what is queued may be lost.
 */

static ngx_int_t
ngx_llm_stream_filter(void *data, ssize_t bytes)
{
    ngx_llm_stream_ctx_t  *ctx = data;

    ngx_buf_t            *b;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;
    b = &u->buffer;

    if (ctx->a.primed) {
        ctx->a.primed = 0;
        u->state->response_length -= bytes;
        ngx_llm_stream_out_begin(ctx);

    } else if (ctx->a.wake != ngx_llm_stream_wake_none) {
        u->state->response_length -= bytes;
        ngx_llm_stream_out_begin(ctx);
        (void) ngx_llm_stream_woken(ctx);

    } else {
        b->pos = b->last;
        b->last += bytes;

        if (ctx->a.ended) {
            ctx->a.leftover = 1;
            u->keepalive = 0;
            return NGX_OK;
        }

        ngx_llm_stream_out_begin(ctx);

        if (ngx_llm_stream_feed(ctx, b) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_llm_stream_end(ctx);

    return ngx_llm_stream_out_end(ctx);
}
