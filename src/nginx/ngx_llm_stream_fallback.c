/*
 * llm_stream_fallback: when streaming fails before the first content, the
 * same request once without a stream; its one answer becomes the client's
 * stream.  It must never be asked for after content, or twice; and, because
 * the failed stream may be billed, only where the user has said so.
 */

#include "ngx_llm_stream.h"


ngx_conf_enum_t  ngx_llm_stream_fallbacks[] = {
    { ngx_string("off"), 0 },
    { ngx_string("non_stream"), 1 },
    { ngx_null_string, 0 }
};


/* Statuses that may mean "not as a stream", if the error says so. */

ngx_uint_t
ngx_llm_stream_of_stream(ngx_uint_t status)
{
    return status == 400 || status == 404 || status == 405 || status == 415
           || status == 422 || status == 501;
}


/* Not where the path of the URL is what makes it a stream. */

ngx_uint_t
ngx_llm_stream_can_fall_back(ngx_llm_stream_ctx_t *ctx)
{
    return ctx->conf->fallback && ctx->ask_stream && !ctx->fallen
           && (ctx->own_path || ctx->conf->provider->answer_path.p == NULL);
}


/* Whether an error speaks of streams.  OpenAI: "param": "stream"; others
 * have whole sentences.  One of an "upstream" is something else. */

ngx_uint_t
ngx_llm_stream_says_stream(const llm_block_t *body)
{
    u_char  *p, *last;

    p = body->p;
    last = p + body->n;

    while (body->n != 0) {

        p = ngx_strlcasestrn(p, last, (u_char *) "stream",
                             sizeof("stream") - 2);
        if (p == NULL) {
            return 0;
        }

        if (p - body->p < 2
            || ngx_strncasecmp(p - 2, (u_char *) "up", 2) != 0)
        {
            return 1;
        }

        p += sizeof("stream") - 1;
    }

    return 0;
}


/*
 * Has the request sent without a stream; said: the wait that the provider
 * asks for, ms.  NGX_DECLINED: it must not be; else as process_header's.
 */

ngx_int_t
ngx_llm_stream_fall_back(ngx_llm_stream_ctx_t *ctx, int64_t said)
{
    ngx_msec_t            timeout, wait;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;
    timeout = ctx->conf->upstream.next_upstream_timeout;
    wait = 0;

    if (!ngx_llm_stream_can_fall_back(ctx)
        || ctx->a.open
        || (ctx->a.flow_live && ctx->a.flow.measure.chunks)
        || (timeout && ngx_current_msec - u->peer.start_time >= timeout)
        || (said > 0 && ngx_llm_stream_wait_time(ctx, said, &wait) != NGX_OK)
        || ngx_llm_stream_budget_retry(ctx) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                  "llm_stream upstream failed to stream with status %ui, "
                  "\"%*s\", asking once without a stream",
                  ctx->a.status.code, llm_fault_info(ctx->a.fault)->code.n,
                  llm_fault_info(ctx->a.fault)->code.p);

    ctx->fallen = 1;
    ctx->replan = 1;

    return ngx_llm_stream_wait_retry(ctx, wait);
}


/* Before it is sent: makes the request anew, of what the client has said. */

ngx_int_t
ngx_llm_stream_without_stream(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_upstream_t           *u;
    ngx_http_upstream_resolved_t  *resolved;

    u = ctx->request->upstream;

    ctx->replan = 0;
    ctx->ask_stream = 0;
    ctx->ask_usage = 0;

    if (ctx->conf->provider->answer_path.p) {

        /* the path; the peers stay those that were found */

        resolved = u->resolved;

        if (ngx_llm_stream_eval_url(ctx) != NGX_OK) {
            return NGX_ERROR;
        }

        u->resolved = resolved;
    }

    if (ngx_llm_stream_plan_again(ctx) != NGX_OK
        || ngx_llm_stream_build_request(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    u->request_bufs = ctx->request_bufs;

    return NGX_OK;
}
