/*
 * May another peer be tried, or the same one again?  nginx knows one mask per
 * location and, for a POST that was sent, one bit that allows everything.
 * Here it depends on what happened: a peer that took no byte is safe to
 * leave; a pooled connection that was already closed likewise; everything
 * else may be billed twice and needs the user's word, class by class, and a
 * place in the upstream's budget.  After the first content nothing is sent
 * again, whatever was said.
 *
 * Peers that were not asked yet are asked at once.  When all were, and the
 * user allows more attempts than that, they are asked anew, after the time
 * that the last one has said.
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


static ngx_uint_t ngx_llm_stream_status_class(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t status);
static ngx_int_t ngx_llm_stream_retry(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t bit, int64_t said);


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


void
ngx_llm_stream_unset_retry(ngx_llm_stream_loc_conf_t *conf)
{
    conf->upstream.next_upstream_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.next_upstream_tries = NGX_CONF_UNSET_UINT;
    conf->retry_percent = NGX_CONF_UNSET_UINT;
    conf->fallback = NGX_CONF_UNSET_UINT;
}


void
ngx_llm_stream_merge_retry(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf)
{
    ngx_conf_merge_msec_value(conf->upstream.next_upstream_timeout,
                              prev->upstream.next_upstream_timeout, 0);
    ngx_conf_merge_uint_value(conf->upstream.next_upstream_tries,
                              prev->upstream.next_upstream_tries, 0);
    ngx_conf_merge_uint_value(conf->retry_percent, prev->retry_percent, 10);
    ngx_conf_merge_uint_value(conf->fallback, prev->fallback, 0);

    ngx_conf_merge_bitmask_value(conf->next, prev->next,
                                 (NGX_CONF_BITMASK_SET
                                  |NGX_LLM_STREAM_NEXT_ERROR
                                  |NGX_LLM_STREAM_NEXT_TIMEOUT
                                  |NGX_LLM_STREAM_NEXT_STALE));

    if (conf->next & NGX_LLM_STREAM_NEXT_OFF) {
        conf->next = NGX_CONF_BITMASK_SET|NGX_LLM_STREAM_NEXT_OFF;
    }
}


/* At the end of the merge: everything else in "upstream" is final. */

char *
ngx_llm_stream_next_merge(ngx_conf_t *cf, ngx_llm_stream_loc_conf_t *llcf)
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

    return ngx_llm_stream_budget_merge(cf, llcf);
}


/*
 * The first byte of the request is about to go out.  On a pooled connection
 * an error before any byte of the answer means that the peer had closed it, if
 * it comes at once: see ngx_llm_stream_retry_is_taken().
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


/* The request was sent on a pooled connection, which may yet turn out to be
 * closed. */

ngx_uint_t
ngx_llm_stream_retry_may_be_stale(ngx_llm_stream_ctx_t *ctx)
{
    return ctx->a.sent && !ctx->a.started
           && ctx->request->upstream->conf == &ctx->conf->upstream_resend;
}


/* Who closes a connection now has had the request for long enough to work on
 * it. */

void
ngx_llm_stream_retry_is_taken(ngx_llm_stream_ctx_t *ctx)
{
    ctx->request->upstream->conf = &ctx->conf->upstream_sent;
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

    ngx_llm_stream_leave_peer(ctx);

    u->conf = &ctx->conf->upstream_resend;
}


/* Another peer, or the same one anew, and this one did nothing wrong: the core
 * must not tell the balancer that it failed. */

void
ngx_llm_stream_leave_peer(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    u->state->bytes_sent = u->peer.connection->sent;
    u->peer.free(&u->peer, u->peer.data, NGX_PEER_NEXT);
    u->peer.sockaddr = NULL;
}


/*
 * Sends the request again after a failure of class `bit`, found before
 * anything was sent to the client; said: the wait that the provider asks for,
 * ms, if it is > 0.  NGX_DECLINED: it must not be; else as process_header's,
 * and what the core is told with NGX_HTTP_UPSTREAM_INVALID_HEADER is to send
 * it now.
 */

static ngx_int_t
ngx_llm_stream_retry(ngx_llm_stream_ctx_t *ctx, ngx_uint_t bit, int64_t said)
{
    ngx_msec_t            timeout, wait;
    ngx_uint_t            another;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;
    timeout = ctx->conf->upstream.next_upstream_timeout;
    another = (u->peer.tries > 1);
    wait = 0;

    if (!(ctx->conf->next & bit)
        || ctx->a.no_retry
        || ctx->a.open
        || ctx->fallen
        || (ctx->a.flow_live && ctx->a.flow.measure.chunks)
        || (timeout && ngx_current_msec - u->peer.start_time >= timeout))
    {
        return NGX_DECLINED;
    }

    if (!another
        && (!(bit & NGX_LLM_STREAM_NEXT_AGAIN)
            || ngx_llm_stream_tries_left(ctx) == 0
            || ngx_llm_stream_wait_time(ctx, said, &wait) != NGX_OK))
    {
        return NGX_DECLINED;
    }

    if (bit != NGX_LLM_STREAM_NEXT_ERROR
        && ngx_llm_stream_budget_retry(ctx) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                  "llm_stream upstream failed with status %ui, \"%*s\", "
                  "trying %s", ctx->a.status.code,
                  llm_fault_info(ctx->a.fault)->code.n,
                  llm_fault_info(ctx->a.fault)->code.p,
                  another ? "the next one" : "again");

    if (!another) {
        return ngx_llm_stream_wait_retry(ctx, wait);
    }

    if (ctx->a.error_status == NGX_HTTP_FORBIDDEN
        || ctx->a.error_status == NGX_HTTP_NOT_FOUND)
    {
        /* as in nginx: a model that is not there is no peer that is down */
        ngx_llm_stream_leave_peer(ctx);
    }

    ngx_llm_stream_resend(ctx);

    return NGX_HTTP_UPSTREAM_INVALID_HEADER;
}


/*
 * How many more requests may be sent when every peer had one.  Without
 * llm_stream_next_upstream_tries a group has had enough then; a single server
 * gets a second one.
 */

ngx_uint_t
ngx_llm_stream_tries_left(ngx_llm_stream_ctx_t *ctx)
{
    ngx_uint_t  limit, used;

    limit = ctx->conf->upstream.next_upstream_tries;
    used = ctx->request->upstream_states->nelts - ctx->states
           - ctx->uncounted;

    if (limit == 0) {
        limit = 2;
    }

    return (limit > used) ? limit - used : 0;
}


/* An attempt is over, another begins: one that was for our own reasons, or on
 * a connection that was no more, is none. */

void
ngx_llm_stream_count_attempt(ngx_llm_stream_ctx_t *ctx)
{
    if (ctx->rebuild || !ctx->a.started) {
        ctx->uncounted++;
    }
}


/* A provider that is not the one that TLS was to prove. */

void
ngx_llm_stream_retry_tls(ngx_llm_stream_ctx_t *ctx)
{
    (void) ngx_llm_stream_retry(ctx, NGX_LLM_STREAM_NEXT_ERROR, 0);
}


/* The answer is none: as process_header's; 502 if nobody else is asked. */

ngx_int_t
ngx_llm_stream_retry_invalid(ngx_llm_stream_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_llm_stream_retry(ctx, NGX_LLM_STREAM_NEXT_INVALID,
                              ctx->a.retry_after);

    if (rc == NGX_DECLINED && ctx->a.header_done
        && ctx->a.fault != LLM_FAULT_REDIRECT)
    {
        rc = ngx_llm_stream_fall_back(ctx, ctx->a.retry_after);
    }

    return rc;
}


/* An error inside a 200, which stands for a status: as process_header's. */

ngx_int_t
ngx_llm_stream_retry_stream(ngx_llm_stream_ctx_t *ctx, ngx_uint_t status)
{
    int64_t    said;
    ngx_int_t  rc;

    rc = NGX_DECLINED;
    said = ctx->a.retry_after ? ctx->a.retry_after
                              : ctx->a.flow.error.retry_after;

    if (status >= 500 || status == 429 || status == 408 || status == 409) {
        rc = ngx_llm_stream_retry(ctx, NGX_LLM_STREAM_NEXT_STREAM_ERROR,
                                  said);

    } else if (!ngx_llm_stream_of_stream(status)
               || !ngx_llm_stream_says_stream(&ctx->a.flow.said))
    {
        return NGX_DECLINED;
    }

    return rc == NGX_DECLINED ? ngx_llm_stream_fall_back(ctx, said) : rc;
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


/*
 * The classes of a status that the provider answered with.  OpenAI's SDKs
 * obey x-should-retry before they look at the status; here, too, but only
 * where the user has named a status at all.
 */

static ngx_uint_t
ngx_llm_stream_status_class(ngx_llm_stream_ctx_t *ctx, ngx_uint_t status)
{
    ngx_llm_stream_next_status_t  *next;

    if (ctx->a.may_retry && (ctx->conf->next & NGX_LLM_STREAM_NEXT_STATUS)) {
        return NGX_LLM_STREAM_NEXT_STATUS;
    }

    for (next = ngx_llm_stream_next_statuses; next->status; next++) {
        if (next->status == status) {
            return next->bit;
        }
    }

    return 0;
}


/* Whether the answer's status may have it sent again: then the whole error
 * is read first, for what it says of that. */

ngx_uint_t
ngx_llm_stream_retry_judges(ngx_llm_stream_ctx_t *ctx)
{
    ngx_uint_t  status;

    status = ctx->a.error_status;

    return (ctx->conf->next & ngx_llm_stream_status_class(ctx, status))
           || (ngx_llm_stream_of_stream(status)
               && ngx_llm_stream_can_fall_back(ctx));
}


/* The same when it is there: NGX_DECLINED, or as process_header's. */

ngx_int_t
ngx_llm_stream_retry_status(ngx_llm_stream_ctx_t *ctx)
{
    int64_t     said;
    ngx_int_t   rc;
    ngx_uint_t  status;

    status = ctx->a.error_status;
    said = ctx->a.retry_after ? ctx->a.retry_after
                              : ngx_llm_stream_said_wait(ctx);

    ctx->a.fault = LLM_FAULT_UPSTREAM_ERROR;

    rc = ngx_llm_stream_retry(ctx, ngx_llm_stream_status_class(ctx, status),
                              said);

    if (rc == NGX_DECLINED && ngx_llm_stream_of_stream(status)
        && ngx_llm_stream_says_stream(&ctx->a.error_body))
    {
        rc = ngx_llm_stream_fall_back(ctx, said);
    }

    ctx->a.fault = LLM_FAULT_NONE;

    return rc;
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
