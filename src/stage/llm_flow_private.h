/*
 * What the files of the flow share.  Private to them.
 */

#ifndef LLM_FLOW_PRIVATE_H
#define LLM_FLOW_PRIVATE_H

#include "llm_flow.h"
#include "llm_encode.h"


/* The decoder's events: tracked, measured, handed to the encoder. */
llm_rc_t llm_flow_emit(void *ctx, const llm_event_t *ev);

/* The two halves of it: LLM_OK, LLM_FAILED. */
llm_rc_t llm_flow_take(llm_flow_t *f, const llm_event_t *ev);
llm_rc_t llm_flow_give(llm_flow_t *f, const llm_event_t *ev);

/* Sets up the chain of stages; f->passing is known.  LLM_OK, LLM_NOMEM. */
llm_rc_t llm_flow_stages(llm_flow_t *f);

/* Writes what the stages hold, before an error. */
void llm_flow_release(llm_flow_t *f);


static inline llm_rc_t
llm_flow_fault(llm_flow_t *f, llm_fault_t fault)
{
    f->fault = fault;

    return LLM_FAILED;
}


llm_rc_t llm_flow_write_padded(llm_flow_t *f);

/* The end of a function that wrote: rc, or what padding could not do.  A frame
 * that repeats has an end only behind the upstream's padding. */
static inline llm_rc_t
llm_flow_written(llm_flow_t *f, llm_rc_t rc)
{
    if (f->pad.conf == NULL
        || (f->padded == NULL && !f->decoder.padded
            && f->decoder.repeat.end == 0))
    {
        return rc;
    }

    return llm_flow_write_padded(f) == LLM_OK ? rc : LLM_FAILED;
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
