/*
 * The time until a request is sent to the same server again: how long, and
 * how it waits.  It does so inside process_header, with the refused
 * connection open and unread, so that the core still watches the client; the
 * request's one timer ends it.  It must never wait longer than the user has
 * allowed: what does not fit is not begun.
 */

#include "ngx_llm_stream.h"


#define NGX_LLM_STREAM_WAIT_ALL    5000     /* ms, all waits of a request
                                               where nothing else is said */
#define NGX_LLM_STREAM_WAIT_FIRST  500      /* ms, doubled each time */
#define NGX_LLM_STREAM_WAIT_TWICE  4        /* so often at most: 8 s */


static ssize_t ngx_llm_stream_recv_nothing(ngx_connection_t *c, u_char *buf,
    size_t size);
static void ngx_llm_stream_write_nothing(ngx_http_request_t *r,
    ngx_http_upstream_t *u);
static ngx_int_t ngx_llm_stream_process_retry(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_round(ngx_llm_stream_ctx_t *ctx);


/*
 * The attempt is over, the next one comes later: nothing more of this one is
 * written or read until a wake byte has process_header called.
 */

void
ngx_llm_stream_park(ngx_llm_stream_ctx_t *ctx,
    ngx_int_t (*process_header)(ngx_http_request_t *r))
{
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    ngx_llm_stream_watch(ctx);
    u->peer.connection->recv = ngx_llm_stream_recv_nothing;

    u->process_header = process_header;
    u->buffer.pos = u->buffer.start;
    u->buffer.last = u->buffer.start;

    ngx_llm_stream_timer_stop(ctx);

    /* a peer that refused before it took the whole request, or any of it, may
     * be gone */

    u->request_sent = 1;
    u->write_event_handler = ngx_llm_stream_write_nothing;

    if (u->peer.connection->write->timer_set) {
        ngx_del_timer(u->peer.connection->write);
    }
}


/* The wait is over: the next read is a wake byte. */

void
ngx_llm_stream_unpark(ngx_llm_stream_ctx_t *ctx)
{
    ngx_llm_stream_watch(ctx);
    ctx->a.wake = ngx_llm_stream_wake_open;
}


/* The connection's recv() while the refused request waits: the rest of what
 * was refused, its end too, is of no use. */

static ssize_t
ngx_llm_stream_recv_nothing(ngx_connection_t *c, u_char *buf, size_t size)
{
    return NGX_AGAIN;
}


/* u->write_event_handler while the refused request waits.  With poll() and
 * the like the event would be there again at once. */

static void
ngx_llm_stream_write_nothing(ngx_http_request_t *r, ngx_http_upstream_t *u)
{
    (void) ngx_handle_write_event(u->peer.connection->write, 0);
}


/*
 * How long to wait: what the provider said, ms, else (said <= 0) a random
 * part of a time that doubles.  NGX_DECLINED: there is no time for that.
 */

ngx_int_t
ngx_llm_stream_wait_time(ngx_llm_stream_ctx_t *ctx, int64_t said,
    ngx_msec_t *wait)
{
    int64_t                     left, all;
    ngx_llm_stream_loc_conf_t  *llcf;

    llcf = ctx->conf;

    if (llcf->upstream.next_upstream_timeout) {
        left = (int64_t) llcf->upstream.next_upstream_timeout
               - (ngx_msec_int_t) (ngx_current_msec
                                - ctx->request->upstream->peer.start_time);

    } else {
        left = NGX_LLM_STREAM_WAIT_ALL - (int64_t) ctx->waited;
    }

    if (llcf->total_timeout) {
        all = (int64_t) llcf->total_timeout
              - (ngx_msec_int_t) (ngx_current_msec - ctx->start);
        left = ngx_min(left, all);
    }

    if (left <= 0 || said >= left) {
        ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                      "llm_stream has no time left to ask upstream again");
        return NGX_DECLINED;
    }

    if (said <= 0) {
        said = NGX_LLM_STREAM_WAIT_FIRST
               << ngx_min(ctx->rounds, NGX_LLM_STREAM_WAIT_TWICE);
        said = ngx_random() % ngx_min(said, left);
    }

    *wait = (ngx_msec_t) said;

    return NGX_OK;
}


/* Has the request sent again after that time; as process_header's. */

ngx_int_t
ngx_llm_stream_wait_retry(ngx_llm_stream_ctx_t *ctx, ngx_msec_t wait)
{
    if (wait == 0) {
        return ngx_llm_stream_round(ctx);
    }

    ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                  "llm_stream waits %M ms to ask upstream again", wait);

    ngx_llm_stream_park(ctx, ngx_llm_stream_process_retry);

    /* if the client leaves now, that is how it ended */

    ctx->a.failed = ctx->a.fault;
    ctx->a.fault = LLM_FAULT_NONE;

    ctx->a.waits = 1;
    ctx->a.wait = wait;
    ctx->a.wait_since = ngx_current_msec;
    ctx->waited += wait;

    ngx_llm_stream_timer_update(ctx);

    return NGX_AGAIN;
}


/*
 * u->process_header while the request waits: runs once, when the time is
 * over, because nothing of the connection is read until then.
 */

static ngx_int_t
ngx_llm_stream_process_retry(ngx_http_request_t *r)
{
    ngx_msec_t             timeout;
    ngx_http_upstream_t   *u;
    ngx_llm_stream_ctx_t  *ctx;

    u = r->upstream;
    ctx = u->input_filter_ctx;
    timeout = ctx->conf->upstream.next_upstream_timeout;

    (void) ngx_llm_stream_woken(ctx);

    if (timeout && ngx_current_msec - u->peer.start_time >= timeout) {
        /* a late timer: the wait had its place in that time */
        u->peer.start_time = ngx_current_msec - timeout + 1;
    }

    return ngx_llm_stream_round(ctx);
}


/* All peers are there to be asked anew, so many times as is left. */

static ngx_int_t
ngx_llm_stream_round(ngx_llm_stream_ctx_t *ctx)
{
    ctx->rounds++;

    ngx_llm_stream_resend(ctx);

    return ngx_llm_stream_peers_again(ctx, ngx_llm_stream_tries_left(ctx))
           == NGX_OK ? NGX_HTTP_UPSTREAM_INVALID_HEADER : NGX_ERROR;
}
