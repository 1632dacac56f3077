/*
 * How a request ended: one word for $llm_stream_end, one line in the error
 * log where llm_stream_log says so.  The line has numbers and words of the
 * module only: no byte of the provider's body, nor of the client's, is ever
 * logged.
 */

#include "ngx_llm_stream.h"


/* what is optional in a line: two times, two numbers of tokens */
#define NGX_LLM_STREAM_LOG_TEXT  (4 * NGX_INT64_LEN + 64)


static void ngx_llm_stream_leave_flow(ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_log_end(ngx_llm_stream_ctx_t *ctx);
static ngx_uint_t ngx_llm_stream_log_level(ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_log_line(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t level);
static u_char *ngx_llm_stream_log_times(ngx_llm_stream_ctx_t *ctx, u_char *p);
static u_char *ngx_llm_stream_log_tokens(llm_measure_t *m, u_char *p);
static llm_fault_t ngx_llm_stream_find_fault(ngx_llm_stream_ctx_t *ctx,
    ngx_int_t rc);
static ngx_uint_t ngx_llm_stream_shut_down(ngx_llm_stream_ctx_t *ctx);
static llm_fault_t ngx_llm_stream_bad_gateway(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_log_handler(ngx_http_request_t *r);


ngx_conf_enum_t  ngx_llm_stream_log_enum[] = {
    { ngx_string("off"), NGX_LLM_STREAM_LOG_OFF },
    { ngx_string("errors"), NGX_LLM_STREAM_LOG_ERRORS },
    { ngx_string("all"), NGX_LLM_STREAM_LOG_ALL },
    { ngx_null_string, 0 }
};


/* The index of $request_id, which is made only when a line is written. */

ngx_int_t
ngx_llm_stream_log_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt         *h;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_llm_stream_main_conf_t  *lmcf;

    static ngx_str_t  name = ngx_string("request_id");

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_llm_stream_module);

    lmcf->request_id = ngx_http_get_variable_index(cf, &name);
    if (lmcf->request_id == NGX_ERROR) {
        return NGX_ERROR;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_llm_stream_log_handler;

    return NGX_OK;
}


/*
 * Runs once, from the upstream's finalize callback.  rc as there.  The flow's
 * memory is released here, at every ending.
 */

void
ngx_llm_stream_finish(ngx_llm_stream_ctx_t *ctx, ngx_int_t rc)
{
    ngx_uint_t  latest;

    if (ctx->finished) {
        return;
    }

    ctx->finished = 1;
    latest = ngx_llm_stream_keep_said(ctx);

    if (ctx->fault == LLM_FAULT_NONE) {
        ctx->fault = ngx_llm_stream_find_fault(ctx, rc);
        ngx_llm_stream_metrics_attempts(ctx);
        ngx_llm_stream_end_as_said(ctx, latest, rc);

    } else {
        ngx_llm_stream_metrics_attempts(ctx);
    }

    ngx_llm_stream_leave_flow(ctx);
    ngx_llm_stream_redact_log(ctx);
    ngx_llm_stream_over(ctx);
    ngx_llm_stream_limit_settle(ctx);

    ctx->has_end = 1;

    if (ctx->fault == LLM_FAULT_NONE) {
        ctx->end = ctx->cut == LLM_CUT_BLOCK ? LLM_END_BLOCKED
                                             : LLM_END_COMPLETE;
    } else {
        ctx->end = llm_fault_info(ctx->fault)->end;
    }

    ngx_llm_stream_log_end(ctx);
}


/* What is still wanted of the flow; it ends here. */

static void
ngx_llm_stream_leave_flow(ngx_llm_stream_ctx_t *ctx)
{
    if (!ctx->a.flow_live) {
        return;
    }

    ctx->measure = ctx->a.flow.measure;
    ctx->cut = ctx->a.flow.stages.cut;
    ctx->held = ctx->a.flow.stages.held_max;
    ngx_llm_stream_estimate_end(ctx);
    llm_flow_free(&ctx->a.flow);
    ctx->a.flow_live = 0;
}


/*
 * Runs in the log phase, for every request of every location.  Those that a
 * provider was asked for have had their line when it was done; these were
 * refused before, or nobody waited.
 */

static ngx_int_t
ngx_llm_stream_log_handler(ngx_http_request_t *r)
{
    ngx_llm_stream_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_llm_stream_module);

    if (ctx && !ctx->finished) {
        ngx_llm_stream_log_end(ctx);
    }

    return NGX_OK;
}


static void
ngx_llm_stream_log_end(ngx_llm_stream_ctx_t *ctx)
{
    switch (ctx->conf->log) {

    case NGX_LLM_STREAM_LOG_OFF:
        return;

    case NGX_LLM_STREAM_LOG_ERRORS:
        if (ctx->has_end && ctx->fault == LLM_FAULT_NONE) {
            return;
        }

        break;

    default: /* NGX_LLM_STREAM_LOG_ALL */
        break;
    }

    ngx_llm_stream_log_line(ctx, ngx_llm_stream_log_level(ctx));
}


static ngx_uint_t
ngx_llm_stream_log_level(ngx_llm_stream_ctx_t *ctx)
{
    if (!ctx->has_end) {
        /* the client's mistake, or something that has a line of its own */
        return NGX_LOG_INFO;
    }

    if (ctx->fault == LLM_FAULT_NONE) {
        return NGX_LOG_NOTICE;
    }

    if (ctx->fault == LLM_FAULT_CLIENT_ABORT
        || ctx->fault == LLM_FAULT_AUTH)
    {
        /* a failed sign-in has its own line, not one for each request */
        return NGX_LOG_INFO;
    }

    if (ctx->a.error_status == 0 || ctx->a.error_status >= 500) {
        return NGX_LOG_ERR;
    }

    /* a key that is refused, and an error inside a 200, concern us */

    return (ctx->a.status.code != ctx->a.error_status
            || ctx->a.error_status == NGX_HTTP_UNAUTHORIZED
            || ctx->a.error_status == NGX_HTTP_FORBIDDEN)
           ? NGX_LOG_WARN : NGX_LOG_INFO;
}


static void
ngx_llm_stream_log_line(ngx_llm_stream_ctx_t *ctx, ngx_uint_t level)
{
    u_char                      *p;
    ngx_log_t                   *log;
    llm_end_t                    end;
    llm_slice_t                  word, error;
    ngx_http_variable_value_t   *id;
    ngx_llm_stream_main_conf_t  *lmcf;
    u_char                       text[NGX_LLM_STREAM_LOG_TEXT];

    log = ctx->request->connection->log;

    if (log->log_level < level) {
        return;
    }

    lmcf = ngx_http_get_module_main_conf(ctx->request, ngx_llm_stream_module);

    id = ngx_http_get_indexed_variable(ctx->request, lmcf->request_id);
    if (id == NULL || id->not_found) {
        id = &ngx_http_variable_null_value;
    }

    word = ngx_llm_stream_ending(ctx, &end) ? llm_end_name(end)
                                            : llm_slice("");
    error = ctx->fault ? llm_fault_info(ctx->fault)->code : llm_slice("");

    p = ngx_llm_stream_log_times(ctx, text);
    p = ngx_llm_stream_log_tokens(&ctx->measure, p);

    ngx_log_error(level, log, 0,
                  "llm_stream ended: %*s, \"%*s\", upstream status %ui, "
                  "%uL chunks, %O bytes read, request id \"%v\"%*s",
                  word.n, word.p, error.n, error.p, ctx->a.status.code,
                  ctx->measure.chunks, ctx->a.bytes, id,
                  (size_t) (p - text), text);
}


static u_char *
ngx_llm_stream_log_times(ngx_llm_stream_ctx_t *ctx, u_char *p)
{
    int64_t  ms;

    ms = ngx_llm_stream_ttft(ctx);

    if (ms >= 0) {
        p = ngx_sprintf(p, ", ttft %L.%03L", ms / 1000, ms % 1000);
    }

    ms = ngx_llm_stream_elapsed(ctx);

    return ngx_sprintf(p, ", total %L.%03L", ms / 1000, ms % 1000);
}


static u_char *
ngx_llm_stream_log_tokens(llm_measure_t *m, u_char *p)
{
    if (!m->has_usage || (m->usage.input < 0 && m->usage.output < 0)) {
        return p;
    }

    p = ngx_cpymem(p, ", tokens", sizeof(", tokens") - 1);

    if (m->usage.input >= 0) {
        p = ngx_sprintf(p, " %L in", m->usage.input);
    }

    if (m->usage.output >= 0) {
        p = ngx_sprintf(p, " %L out", m->usage.output);
    }

    return ngx_sprintf(p, " by %s", m->estimated ? "estimate" : "usage");
}


/* 1: the request has ended, or will, like that. */

ngx_uint_t
ngx_llm_stream_ending(ngx_llm_stream_ctx_t *ctx, llm_end_t *end)
{
    if (ctx->has_end) {
        *end = ctx->end;
        return 1;
    }

    if (ctx->fault) {
        *end = llm_fault_info(ctx->fault)->end;
        return 1;
    }

    return 0;
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

        if (ctx->a.error_status) {
            return LLM_FAULT_UPSTREAM_ERROR;
        }

        /* of a subrequest such as mirror's only the header is wanted: the
         * core leaves the provider in the middle of its answer */

        return ctx->request->header_only ? LLM_FAULT_CLIENT_ABORT
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
