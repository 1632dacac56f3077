/*
 * The estimating stage: counts what the model says, in chain->output, for
 * where the provider does not.  It must never change an event, nor keep
 * anything of it.
 */

#include "llm_estimate.h"


static llm_rc_t
llm_stage_estimate_init(llm_stage_t *s, const void *conf)
{
    (void) s;
    (void) conf;

    return LLM_OK;
}


static llm_rc_t
llm_stage_estimate_event(llm_stage_t *s, const llm_event_t *ev)
{
    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
    case LLM_EV_TOOL_CALL:
        s->chain->output += llm_estimate_slice(&ev->text);
        break;

    default:
        break;
    }

    return llm_stage_pass(s, ev);
}


const llm_stage_type_t  llm_stage_estimate = {
    "estimate", sizeof(llm_stage_t), llm_stage_estimate_init,
    llm_stage_estimate_event, NULL, NULL, NULL
};
