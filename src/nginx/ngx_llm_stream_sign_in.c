/*
 * The requests that wait for a token: before the provider is asked, and once
 * more when it refused the token.  A request waits without a connection to
 * the provider, or with one that is read no more; it is continued from the
 * event loop, never from inside the fetch.
 */

#include "ngx_llm_stream_auth.h"


static ngx_int_t ngx_llm_stream_wait(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t stale);
static ngx_int_t ngx_llm_stream_wait_client(ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_resume(ngx_event_t *ev);
static ngx_int_t ngx_llm_stream_process_renewal(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_repeat(ngx_llm_stream_ctx_t *ctx);


/*
 * Gets a token before the request is built.  NGX_OK: it is there, or none is
 * needed; NGX_AGAIN: the request goes on later, in ngx_llm_stream_go(); else
 * a status.
 */

ngx_int_t
ngx_llm_stream_sign_in(ngx_llm_stream_ctx_t *ctx)
{
    ngx_int_t               rc;
    ngx_llm_stream_auth_t  *auth;

    auth = ctx->conf->auth;

    if (auth == NULL) {
        return NGX_OK;
    }

    rc = ngx_llm_stream_auth_get(auth, &ctx->token, &ctx->token_number);

    if (rc == NGX_AGAIN) {
        return ngx_llm_stream_wait_client(ctx);
    }

    if (rc == NGX_DECLINED) {
        ctx->fault = LLM_FAULT_AUTH;
        return NGX_HTTP_BAD_GATEWAY;
    }

    return NGX_OK;
}


/* Waits while there is no connection but the client's, whose end must be
 * noticed. */

static ngx_int_t
ngx_llm_stream_wait_client(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->read_event_handler = ctx->conf->upstream.ignore_client_abort
                            ? ngx_http_block_reading : ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    /* its end may have come with the body: there is no event for it again */

    if (r->connection->read->ready && r->http_version < NGX_HTTP_VERSION_20) {
        ngx_post_event(r->connection->read, &ngx_posted_events);
    }

    /* what the log says if this is where it ends */

    ctx->fault = LLM_FAULT_CLIENT_ABORT;

    return ngx_llm_stream_wait(ctx, 0);
}


static ngx_int_t
ngx_llm_stream_wait(ngx_llm_stream_ctx_t *ctx, ngx_uint_t stale)
{
    ctx->waiting = 1;
    ngx_queue_insert_tail(&ctx->conf->auth->waiting, &ctx->wait);

    ngx_llm_stream_auth_want(ctx->conf->auth, stale);

    return NGX_AGAIN;
}


/* Also when the request ends. */

void
ngx_llm_stream_wait_no_more(ngx_llm_stream_ctx_t *ctx)
{
    if (ctx->waiting) {
        ctx->waiting = 0;
        ngx_queue_remove(&ctx->wait);
    }

    if (ctx->resume.posted) {
        ngx_delete_posted_event(&ctx->resume);
    }
}


void
ngx_llm_stream_auth_wake(ngx_llm_stream_auth_t *auth)
{
    ngx_event_t           *ev;
    ngx_queue_t           *q;
    ngx_llm_stream_ctx_t  *ctx;

    while (!ngx_queue_empty(&auth->waiting)) {
        q = ngx_queue_head(&auth->waiting);
        ctx = ngx_queue_data(q, ngx_llm_stream_ctx_t, wait);

        ngx_llm_stream_wait_no_more(ctx);

        if (ctx->renewed) {
            ngx_llm_stream_unpark(ctx);
            ev = ctx->request->upstream->peer.connection->read;

        } else {
            ev = &ctx->resume;
            ev->handler = ngx_llm_stream_resume;
            ev->data = ctx;
            ev->log = ctx->request->connection->log;
        }

        ngx_post_event(ev, &ngx_posted_events);
    }
}


/* Runs once for each time the request was woken, from the event loop.  The
 * request may be gone when it returns. */

static void
ngx_llm_stream_resume(ngx_event_t *ev)
{
    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_http_request_t    *r;
    ngx_llm_stream_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ctx->fault = LLM_FAULT_NONE;
    rc = ngx_llm_stream_sign_in(ctx);

    if (rc != NGX_AGAIN) {
        r->read_event_handler = ngx_http_block_reading;
        ngx_llm_stream_go(ctx, rc);
    }

    ngx_http_run_posted_requests(c);
}


/*
 * The provider's answer has this status.  NGX_DECLINED: it is none that a new
 * token could change, or the second one; else as process_header's.
 */

ngx_int_t
ngx_llm_stream_sign_in_again(ngx_llm_stream_ctx_t *ctx, ngx_uint_t status)
{
    ngx_int_t               rc;
    ngx_llm_stream_auth_t  *auth;

    auth = ctx->conf->auth;

    if (auth == NULL || ctx->renewed
        || (status != NGX_HTTP_UNAUTHORIZED && status != NGX_HTTP_FORBIDDEN))
    {
        return NGX_DECLINED;
    }

    rc = ngx_llm_stream_auth_refused(auth, ctx->token_number, status);

    if (rc == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                  "llm_stream auth \"%V\": upstream refused the token with "
                  "status %ui", &auth->name, status);

    ctx->renewed = 1;

    if (rc == NGX_OK) {
        return ngx_llm_stream_repeat(ctx);
    }

    ngx_llm_stream_park(ctx, ngx_llm_stream_process_renewal);

    return ngx_llm_stream_wait(ctx, ctx->token_number);
}


/*
 * u->process_header while the refused request waits: runs once, when it was
 * woken, because nothing of the connection is read until then.
 */

static ngx_int_t
ngx_llm_stream_process_renewal(ngx_http_request_t *r)
{
    ngx_llm_stream_ctx_t  *ctx;

    ctx = r->upstream->input_filter_ctx;

    (void) ngx_llm_stream_woken(ctx);

    return ngx_llm_stream_repeat(ctx);
}


/*
 * Has the core send the request again, with another token.  Not to another
 * peer: none did anything wrong, so all are there to be chosen from.
 */

static ngx_int_t
ngx_llm_stream_repeat(ngx_llm_stream_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_str_t   token;
    ngx_uint_t  number;

    rc = ngx_llm_stream_auth_get(ctx->conf->auth, &token, &number);

    if (rc != NGX_OK || number == ctx->token_number) {
        ctx->a.error_status = 0;
        ctx->a.fault = LLM_FAULT_AUTH;
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    ctx->token = token;
    ctx->token_number = number;
    ctx->rebuild = 1;

    ngx_llm_stream_resend(ctx);

    if (ngx_llm_stream_peers_again(ctx,
                               ctx->conf->upstream.next_upstream_tries)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->request->upstream->peer.start_time = ngx_current_msec;

    return NGX_HTTP_UPSTREAM_INVALID_HEADER;
}


/*
 * The balancer begins anew, for so many peers (0: all).  The addresses of a
 * name that was resolved for this request are gone, but nothing is around
 * their peers.
 */

ngx_int_t
ngx_llm_stream_peers_again(ngx_llm_stream_ctx_t *ctx, ngx_uint_t tries)
{
    ngx_uint_t                         bits;
    ngx_http_upstream_t               *u;
    ngx_http_upstream_rr_peer_data_t  *rrp;

    u = ctx->request->upstream;

    ngx_llm_stream_leave_peer(ctx);

    if (u->upstream) {
        u->peer.data = NULL;

        if (u->upstream->peer.init(ctx->request, u->upstream) != NGX_OK) {
            return NGX_ERROR;
        }

    } else {
        rrp = u->peer.data;
        bits = 8 * sizeof(uintptr_t);

        ngx_memzero(rrp->tried, (rrp->peers->number + bits - 1) / bits
                                * sizeof(uintptr_t));
        rrp->current = NULL;
        u->peer.tries = rrp->peers->number;
    }

    if (tries && u->peer.tries > tries) {
        u->peer.tries = tries;
    }

    return NGX_OK;
}
