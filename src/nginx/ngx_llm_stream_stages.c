/*
 * The stages of an answer: which of them are on for a request, in which
 * order, and with what.  What each needs is found by its own file.
 */

#include "ngx_llm_stream_store.h"

#include "llm_stage_stop.h"
#include "llm_stage_length.h"
#include "llm_estimate.h"
#include "llm_stage_redact.h"


typedef struct {
    const llm_stage_type_t   *type;

    /* NGX_OK: conf->conf is set, for as long as the request lives;
     * NGX_DECLINED: off; NGX_ERROR. */
    ngx_int_t               (*conf)(ngx_llm_stream_ctx_t *ctx,
                                    llm_stage_conf_t *conf);
} ngx_llm_stream_stage_t;


/* In the order in which events pass them. */

static ngx_llm_stream_stage_t  ngx_llm_stream_stages[] = {
    { &llm_stage_estimate, ngx_llm_stream_estimate_stage },
    { &llm_stage_stop, ngx_llm_stream_stage_stop },
    { &llm_stage_length, ngx_llm_stream_length_conf },
    { &llm_stage_redact, ngx_llm_stream_redact_stage },
    { &llm_stage_coalesce, ngx_llm_stream_coalesce },
    { &llm_stage_tap, ngx_llm_stream_store_stage },
    { NULL, NULL }
};


#define NGX_LLM_STREAM_STAGES                                               \
    (sizeof(ngx_llm_stream_stages) / sizeof(ngx_llm_stream_stage_t) - 1)


/* Runs before the flow of an attempt is set up.  NGX_OK or NGX_ERROR. */

ngx_int_t
ngx_llm_stream_set_stages(ngx_llm_stream_ctx_t *ctx, llm_flow_conf_t *flow)
{
    ngx_int_t                rc;
    llm_stage_conf_t        *list;
    llm_stage_conf_t         one;
    ngx_llm_stream_stage_t  *stage;

    list = NULL;

    for (stage = ngx_llm_stream_stages; stage->type; stage++) {

        ngx_memzero(&one, sizeof(llm_stage_conf_t));
        one.type = stage->type;

        rc = stage->conf(ctx, &one);

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        if (list == NULL) {
            list = ngx_palloc(ctx->request->pool, NGX_LLM_STREAM_STAGES
                                                  * sizeof(llm_stage_conf_t));
            if (list == NULL) {
                return NGX_ERROR;
            }
        }

        list[flow->nstages++] = one;
    }

    flow->stages = list;
    flow->input = ngx_llm_stream_estimated_input(ctx);

    return NGX_OK;
}


/* After events went through the flow: a stage may want to be woken earlier
 * than the timer runs. */

void
ngx_llm_stream_stages_due(ngx_llm_stream_ctx_t *ctx)
{
    int64_t  due;

    due = llm_flow_due(&ctx->a.flow);

    if (due != -1
        && (!ctx->timer.timer_set
            || (ngx_msec_int_t) (ctx->timer.timer.key - (ngx_msec_t) due)
               > 0))
    {
        ngx_llm_stream_timer_update(ctx);
    }
}
