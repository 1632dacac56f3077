/*
 * What the files of the flow share.  Private to them.
 */

#ifndef LLM_FLOW_PRIVATE_H
#define LLM_FLOW_PRIVATE_H

#include "llm_flow.h"
#include "llm_encode.h"


/* The decoder's events: tracked, measured, handed to the encoder. */
llm_rc_t llm_flow_emit(void *ctx, const llm_event_t *ev);


static inline llm_rc_t
llm_flow_fault(llm_flow_t *f, llm_fault_t fault)
{
    f->fault = fault;

    return LLM_FAILED;
}


llm_rc_t llm_flow_check_failed(llm_flow_t *f);

/* LLM_OK, or what the encoder or the sink could not do. */
static inline llm_rc_t
llm_flow_check(llm_flow_t *f)
{
    if (f->encoder.rc == LLM_OK && !f->out->failed) {
        return LLM_OK;
    }

    return llm_flow_check_failed(f);
}


#endif /* LLM_FLOW_PRIVATE_H */
