/*
 * May another peer be tried?  nginx knows one mask per location and, for a
 * POST that was sent, one bit that allows everything.  Here it depends on
 * what happened: a peer that took no byte is safe to leave; a pooled
 * connection that was already closed likewise; everything else may be billed
 * twice and needs the user's word, class by class.
 *
 * The core looks at u->conf->next_upstream, so u->conf points to one of three
 * static copies of the location's configuration:
 *
 *   upstream         until the request is sent: error, timeout
 *   upstream_sent    after that: nothing
 *   upstream_resend  when this file has decided that it may be sent again;
 *                    also lets the core intercept an error status
 *
 * The keepalive cache compares the pointer in nginx 1.29.7 and later: the
 * first attempt takes its connection as "upstream", every answer gives it back
 * as "upstream", and a retry, which is to be on a new connection anyway, finds
 * none.
 */

#include "ngx_llm_stream.h"


typedef struct {
    ngx_uint_t  status;
    ngx_uint_t  bit;
} ngx_llm_stream_next_status_t;


static ngx_llm_stream_next_status_t  ngx_llm_stream_next_statuses[] = {
    { 403, NGX_LLM_STREAM_NEXT_HTTP_403 },
    { 404, NGX_LLM_STREAM_NEXT_HTTP_404 },
    { 408, NGX_LLM_STREAM_NEXT_HTTP_408 },
    { 409, NGX_LLM_STREAM_NEXT_HTTP_409 },
    { 429, NGX_LLM_STREAM_NEXT_HTTP_429 },
    { 500, NGX_LLM_STREAM_NEXT_HTTP_500 },
    { 502, NGX_LLM_STREAM_NEXT_HTTP_502 },
    { 503, NGX_LLM_STREAM_NEXT_HTTP_503 },
    { 504, NGX_LLM_STREAM_NEXT_HTTP_504 },
    { 529, NGX_LLM_STREAM_NEXT_HTTP_529 },
    { 0, 0 }
};


/* At the end of the merge: everything else in "upstream" is final. */

char *
ngx_llm_stream_next_merge(ngx_llm_stream_loc_conf_t *llcf)
{
    ngx_uint_t  mask;

    mask = 0;

    if (llcf->next & NGX_LLM_STREAM_NEXT_ERROR) {
        mask |= NGX_HTTP_UPSTREAM_FT_ERROR;
    }

    if (llcf->next & NGX_LLM_STREAM_NEXT_TIMEOUT) {
        mask |= NGX_HTTP_UPSTREAM_FT_TIMEOUT;
    }

    llcf->upstream.intercept_errors = 0;

    llcf->upstream_sent = llcf->upstream;
    llcf->upstream_resend = llcf->upstream;

    llcf->upstream.next_upstream = mask;
    llcf->upstream_sent.next_upstream = 0;
    llcf->upstream_resend.next_upstream = NGX_HTTP_UPSTREAM_FT_ERROR
                                          |NGX_HTTP_UPSTREAM_FT_INVALID_HEADER
                                          |NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT;
    llcf->upstream_resend.intercept_errors = 1;

    return NGX_CONF_OK;
}


/*
 * The first byte of the request is about to go out.  On a pooled connection
 * an error before any byte of the answer means that the peer had closed it.
 */

void
ngx_llm_stream_retry_sent(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    if (u->peer.cached && (ctx->conf->next & NGX_LLM_STREAM_NEXT_STALE)) {
        u->conf = &ctx->conf->upstream_resend;
        return;
    }

    u->conf = &ctx->conf->upstream_sent;
}


/*
 * The pool gave a TLS connection that was made for another name: nothing was
 * sent on it, another one is taken whatever the configuration allows.
 */

void
ngx_llm_stream_retry_unfit(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                  "llm_stream leaves a pooled connection that was verified "
                  "for another name");

    /* the peer did nothing wrong: it must not count as failed */

    u->peer.free(&u->peer, u->peer.data, NGX_PEER_NEXT);
    u->peer.sockaddr = NULL;

    u->conf = &ctx->conf->upstream_resend;
}


/*
 * Whether the request may be sent to another peer for a failure of class
 * `bit`, found before anything was sent to the client.  1: the caller has the
 * core go to "next upstream".
 */

ngx_uint_t
ngx_llm_stream_retry(ngx_llm_stream_ctx_t *ctx, ngx_uint_t bit)
{
    ngx_msec_t            timeout;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;
    timeout = ctx->conf->upstream.next_upstream_timeout;

    if (!(ctx->conf->next & bit)
        || ctx->a.no_retry
        || ctx->a.open
        || u->peer.tries <= 1
        || (ctx->a.flow_live && ctx->a.flow.measure.chunks)
        || (timeout && ngx_current_msec - u->peer.start_time >= timeout))
    {
        return 0;
    }

    ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                  "llm_stream upstream failed with status %ui, \"%*s\", "
                  "trying the next one", ctx->a.status.code,
                  llm_fault_info(ctx->a.fault)->code.n,
                  llm_fault_info(ctx->a.fault)->code.p);

    ngx_llm_stream_resend(ctx);

    return 1;
}


/*
 * The core is to send the request again.  It may not have sent it at all, if
 * the answer was there first; then it would not have the attempt's state
 * reset.
 */

void
ngx_llm_stream_resend(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    u->conf = &ctx->conf->upstream_resend;
    u->request_sent = 1;
}


ngx_uint_t
ngx_llm_stream_retry_status(ngx_llm_stream_ctx_t *ctx, ngx_uint_t status)
{
    ngx_llm_stream_next_status_t  *next;

    for (next = ngx_llm_stream_next_statuses; next->status; next++) {
        if (next->status == status) {
            ctx->a.fault = LLM_FAULT_UPSTREAM_ERROR;

            if (ngx_llm_stream_retry(ctx, next->bit)) {
                return 1;
            }

            ctx->a.fault = LLM_FAULT_NONE;
            return 0;
        }
    }

    return 0;
}


/*
 * Whether error_page takes a provider's status over: by
 * llm_stream_intercept_errors, or, when that is not set, if error_page leads
 * to a named location, which cannot be meant as an error document.  The core
 * does it when process_header returns NGX_OK.
 */

ngx_uint_t
ngx_llm_stream_intercepts(ngx_llm_stream_ctx_t *ctx, ngx_uint_t status)
{
    ngx_str_t                 *uri;
    ngx_uint_t                 i;
    ngx_http_request_t        *r;
    ngx_http_err_page_t       *page;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->error_pages == NULL || ctx->conf->intercept_errors == 0
        || r->error_page)
    {
        return 0;
    }

    page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        uri = &page[i].value.value;

        if (page[i].status == (ngx_int_t) status
            && (ctx->conf->intercept_errors == 1
                || (uri->len && uri->data[0] == '@')))
        {
            r->upstream->headers_in.status_n = status;
            r->upstream->conf = &ctx->conf->upstream_resend;
            return 1;
        }
    }

    return 0;
}
