/*
 * How a request ended: one word for $llm_stream_end, one line in the error
 * log when it did not end well.  No byte of the provider's body is ever
 * logged.
 */

#include "ngx_llm_stream.h"


static llm_fault_t ngx_llm_stream_find_fault(ngx_llm_stream_ctx_t *ctx,
    ngx_int_t rc);
static ngx_uint_t ngx_llm_stream_shut_down(ngx_llm_stream_ctx_t *ctx);
static llm_fault_t ngx_llm_stream_bad_gateway(ngx_llm_stream_ctx_t *ctx);


/*
 * Runs once, from the upstream's finalize callback.  rc as there.  The flow's
 * memory is released here, at every ending.
 */

void
ngx_llm_stream_finish(ngx_llm_stream_ctx_t *ctx, ngx_int_t rc)
{
    ngx_uint_t               level;
    ngx_http_request_t      *r;
    const llm_fault_info_t  *info;

    if (ctx->finished) {
        return;
    }

    r = ctx->request;

    ctx->finished = 1;
    ctx->duration = ngx_current_msec - ctx->start;

    if (ctx->a.flow_live) {
        ctx->measure = ctx->a.flow.measure;
        llm_flow_free(&ctx->a.flow);
        ctx->a.flow_live = 0;
    }

    if (ctx->fault == LLM_FAULT_NONE) {
        ctx->fault = ngx_llm_stream_find_fault(ctx, rc);
    }

    if (ctx->fault == LLM_FAULT_NONE) {
        ngx_str_set(&ctx->end, "complete");
        return;
    }

    info = llm_fault_info(ctx->fault);
    ctx->end.data = (u_char *) info->end.p;
    ctx->end.len = info->end.n;

    level = NGX_LOG_ERR;

    if (ctx->fault == LLM_FAULT_CLIENT_ABORT
        || ctx->fault == LLM_FAULT_AUTH)
    {
        /* a failed sign-in has its own line, not one for each request */
        level = NGX_LOG_INFO;

    } else if (ctx->a.error_status && ctx->a.error_status < 500) {
        /* a key that is refused, and an error inside a 200, concern us */
        level = (ctx->a.status.code != ctx->a.error_status
                 || ctx->a.error_status == NGX_HTTP_UNAUTHORIZED
                 || ctx->a.error_status == NGX_HTTP_FORBIDDEN)
                ? NGX_LOG_WARN : NGX_LOG_INFO;
    }

    ngx_log_error(level, r->connection->log, 0,
                  "llm_stream ended: %V, \"%*s\", upstream status %ui, "
                  "%uL chunks, %O bytes read",
                  &ctx->end, info->code.n, info->code.p,
                  ctx->a.status.code, ctx->measure.chunks, ctx->a.bytes);
}


static llm_fault_t
ngx_llm_stream_find_fault(ngx_llm_stream_ctx_t *ctx, ngx_int_t rc)
{
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    c = ctx->request->connection;
    u = ctx->request->upstream;

    if (ctx->a.fault) {
        return ctx->a.fault;
    }

    if (ctx->a.flow_done && ctx->a.open && !u->out_bufs && !u->busy_bufs) {
        /* the client may leave once it has the terminator */
        return LLM_FAULT_NONE;
    }

    if (ngx_exiting && rc != NGX_OK && ngx_llm_stream_shut_down(ctx)) {
        return LLM_FAULT_SHUTDOWN;
    }

    if (rc == NGX_OK) {
        return ctx->a.error_status ? LLM_FAULT_UPSTREAM_ERROR
                                   : LLM_FAULT_NONE;
    }

    if (rc == NGX_HTTP_CLIENT_CLOSED_REQUEST
        || rc == NGX_HTTP_REQUEST_TIME_OUT
        || c->error || c->timedout)
    {
        return LLM_FAULT_CLIENT_ABORT;
    }

    if (ctx->a.error_status) {
        return LLM_FAULT_UPSTREAM_ERROR;
    }

    switch (rc) {

    case NGX_DONE:
        /* the request was terminated */
        return LLM_FAULT_CLIENT_ABORT;

    case NGX_HTTP_GATEWAY_TIME_OUT:
        return ctx->a.sent ? LLM_FAULT_TIMEOUT_HEADER
                           : LLM_FAULT_CONNECT_TIMEOUT;

    case NGX_HTTP_BAD_GATEWAY:
        return ngx_llm_stream_bad_gateway(ctx);

    default:
        return LLM_FAULT_INTERNAL;
    }
}


/* Whether worker_shutdown_timeout closed the client's connection. */

static ngx_uint_t
ngx_llm_stream_shut_down(ngx_llm_stream_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = ctx->request->connection;

#if (NGX_HTTP_V2)

    if (ctx->request->stream) {

        /* c->close is gone by now: an error that is not the client's */

        c = ctx->request->stream->connection->connection;

        return c->error && !c->read->eof && !c->read->pending_eof
               && !c->read->error;
    }

#endif

    return c->close;
}


/* Which 502 it is, by how far the attempt had come. */

static llm_fault_t
ngx_llm_stream_bad_gateway(ngx_llm_stream_ctx_t *ctx)
{
    socklen_t             len;
    ngx_sockaddr_t        sa;
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;
    c = u->peer.connection;

    if (ctx->a.started) {
        return LLM_FAULT_PROTOCOL;
    }

    if (ctx->a.sent) {
        return LLM_FAULT_RESET;
    }

    if (c == NULL) {
        return (u->state == NULL || u->state->peer == NULL)
               ? LLM_FAULT_DNS : LLM_FAULT_UNAVAILABLE;
    }

    if (c->ssl) {
        return c->ssl->handshaked ? LLM_FAULT_TLS_VERIFY : LLM_FAULT_TLS;
    }

    /* TLS to be, and a peer that answers before the handshake */

    len = sizeof(ngx_sockaddr_t);

    if (u->ssl && getpeername(c->fd, &sa.sockaddr, &len) == 0) {
        return LLM_FAULT_TLS;
    }

    return LLM_FAULT_CONNECT;
}
