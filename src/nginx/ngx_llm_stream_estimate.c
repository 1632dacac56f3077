/*
 * The estimate of tokens: for which requests it is made, what the request
 * itself costs, and the usage of an answer whose provider said none.
 */

#include "ngx_llm_stream.h"

#include "llm_estimate.h"


static llm_chat_t *ngx_llm_stream_estimate_read(ngx_llm_stream_ctx_t *ctx,
    llm_chat_t *own);
static ngx_uint_t ngx_llm_stream_has_answered(ngx_llm_stream_ctx_t *ctx);


/* Whether something is in need of it: a limit, or a stage that can end an
 * answer before its usage is said. */

ngx_uint_t
ngx_llm_stream_needs_estimate(ngx_llm_stream_ctx_t *ctx)
{
    return ctx->conf->limits || ctx->conf->redact || ctx->stop
           || ngx_llm_stream_keeps_length(ctx);
}


ngx_int_t
ngx_llm_stream_estimate_stage(ngx_llm_stream_ctx_t *ctx,
    llm_stage_conf_t *conf)
{
    conf->observes = 1;

    return ngx_llm_stream_needs_estimate(ctx) ? NGX_OK : NGX_DECLINED;
}


/* Runs when the request is planned, before the provider is asked. */

void
ngx_llm_stream_estimate_request(ngx_llm_stream_ctx_t *ctx)
{
    llm_chat_t  own, *chat;

    if (!ngx_llm_stream_needs_estimate(ctx)) {
        return;
    }

    llm_chat_init(&own, &ctx->alloc, ctx->conf->max_depth);
    chat = ngx_llm_stream_estimate_read(ctx, &own);

    if (chat == NULL) {
        /* not quite of its dialect: the provider has to judge it */
        ctx->input = llm_estimate(ctx->body.data, ctx->body.len);
        llm_chat_free(&own);
        return;
    }

    ctx->input = llm_estimate_chat(chat);
    llm_chat_free(&own);
}


/* The request as a value: as the plan has it, or read for this. */

static llm_chat_t *
ngx_llm_stream_estimate_read(ngx_llm_stream_ctx_t *ctx, llm_chat_t *own)
{
    if (ctx->asker != ctx->conf->dialect) {
        return &ctx->plan->chat;
    }

    return ctx->asker->read_chat(own, ctx->body.data, ctx->body.len)
           == LLM_OK ? own : NULL;
}


/* Whole tokens of the request, -1: not estimated. */

int64_t
ngx_llm_stream_estimated_input(ngx_llm_stream_ctx_t *ctx)
{
    return ngx_llm_stream_needs_estimate(ctx)
           ? (int64_t) ((ctx->input + 999) / 1000) : -1;
}


/*
 * Runs at the end, while the flow is there, and when ctx->fault is known:
 * ctx->measure is of the flow.  A usage of zeros is none: dialects that must
 * have one say that.
 */

void
ngx_llm_stream_estimate_end(ngx_llm_stream_ctx_t *ctx)
{
    ngx_uint_t      said;
    llm_measure_t  *m;

    m = &ctx->measure;

    said = m->usage.input > 0 || m->usage.output > 0;
    ctx->answered = said || ngx_llm_stream_has_answered(ctx);

    if (!ngx_llm_stream_needs_estimate(ctx)) {
        return;
    }

    ctx->output = ctx->a.flow.stages.output;

    if (!ctx->answered || said) {
        return;
    }

    m->usage.input = ngx_llm_stream_estimated_input(ctx);
    m->usage.output = (int64_t) ((ctx->output + 999) / 1000);
    m->usage.total = m->usage.input + m->usage.output;
    m->usage.cached = -1;
    m->usage.reasoning = -1;
    m->has_usage = 1;
    m->estimated = 1;
}


/* A provider that fails before its first content has used nothing that the
 * client had something of, with the header sent or not; if the client leaves
 * before that, the request has been used. */

static ngx_uint_t
ngx_llm_stream_has_answered(ngx_llm_stream_ctx_t *ctx)
{
    return ctx->measure.chunks
           || (!ctx->a.error_status
               && llm_counts_of_fault(ctx->fault) == LLM_COUNT_MAX);
}
