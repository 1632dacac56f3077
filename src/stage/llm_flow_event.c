/*
 * The events of a flow: what a decoder says is tracked, measured, kept when
 * it is an error, and handed to the client's encoder.
 */

#include "llm_flow_private.h"


/* choices that are tracked */
#define LLM_FLOW_CHOICES  128


llm_rc_t
llm_flow_check_failed(llm_flow_t *f)
{
    switch (f->encoder.rc) {

    case LLM_TOO_BIG:
        return llm_flow_fault(f, LLM_FAULT_RESPONSE_TOO_LARGE);

    case LLM_INVALID:
        return llm_flow_fault(f, LLM_FAULT_INVALID_EVENT);

    default:
        return llm_flow_fault(f, LLM_FAULT_INTERNAL);
    }
}


/* Remembers which choices there are and which have finished. */
static inline void
llm_flow_track(llm_flow_t *f, const llm_event_t *ev)
{
    uint64_t  bit;
    unsigned  word;

    if (ev->choice >= LLM_FLOW_CHOICES) {
        f->beyond = 1;
        f->finish = 0;
        return;
    }

    word = ev->choice / 64;
    bit = (uint64_t) 1 << (ev->choice % 64);

    if (ev->type == LLM_EV_FINISH) {
        f->finished[word] |= bit;

    } else if (f->seen[word] & bit) {
        return;
    }

    f->seen[word] |= bit;

    f->finish = !f->beyond && f->seen[0] == f->finished[0]
                && f->seen[1] == f->finished[1];
}


static llm_rc_t
llm_flow_block_full(llm_out_t *out)
{
    (void) out;

    return LLM_TOO_BIG;
}


/* Appends the block of ev, as it would be passed on, to b. */
static llm_rc_t
llm_flow_block(llm_flow_t *f, llm_block_t *b, const llm_framed_t *ev)
{
    llm_rc_t   rc;
    llm_out_t  out;

    rc = llm_block_reserve(b, &f->conf.alloc, ev->raw.n + 1);
    if (rc != LLM_OK) {
        return rc;
    }

    out.pos = b->p + b->n;
    out.end = out.pos + ev->raw.n + 1;
    out.more = llm_flow_block_full;
    out.ctx = NULL;
    out.failed = 0;

    llm_framer_write_raw(&f->framer, &out, ev);

    b->n = (size_t) (out.pos - b->p);

    return LLM_OK;
}


/* A slice that borrows from the frame's data, in its copy at p; any other is
 * a literal or in the decoder's scratch, which nobody writes to from here
 * on. */
static llm_slice_t
llm_flow_moved(const llm_flow_t *f, const llm_slice_t *s, const llm_u8 *p)
{
    llm_slice_t  moved;

    moved = *s;

    if ((uintptr_t) s->p - (uintptr_t) f->data.p <= f->data.n) {
        moved.p = p + (s->p - f->data.p);
    }

    return moved;
}


/* Keeps what the upstream says went wrong. */
static llm_rc_t
llm_flow_said(llm_flow_t *f, const llm_error_t *err)
{
    llm_rc_t       rc;
    const llm_u8  *p;

    f->said.n = 0;
    f->said_block = 0;

    rc = f->event != NULL ? llm_flow_block(f, &f->said, f->event) : LLM_OK;

    if (rc == LLM_OK) {
        f->said_block = f->said.n;
        rc = llm_block_append(&f->said, &f->conf.alloc, f->data.p,
                              f->data.n);
    }

    if (rc != LLM_OK) {
        f->said.n = 0;
        f->said_block = 0;
        return llm_flow_fault(f, LLM_FAULT_INTERNAL);
    }

    p = f->said.p + f->said_block;

    f->error = *err;
    f->error.type = llm_flow_moved(f, &err->type, p);
    f->error.code = llm_flow_moved(f, &err->code, p);
    f->error.message = llm_flow_moved(f, &err->message, p);
    f->error.param = llm_flow_moved(f, &err->param, p);

    return llm_flow_fault(f, LLM_FAULT_UPSTREAM_ERROR);
}


/* START: a client is told the model that was asked where the upstream names
 * none. */
static void
llm_flow_start(llm_flow_t *f, const llm_event_t *ev)
{
    llm_event_t  start;

    start = *ev;

    if (start.model.n == 0) {
        start.model = f->conf.model;
    }

    f->encode(&f->encoder, f->state, &start);
}


/* What the upstream says: an error is kept, the rest tracked and measured. */
static inline llm_rc_t
llm_flow_in(llm_flow_t *f, const llm_event_t *ev)
{
    switch (ev->type) {

    case LLM_EV_ERROR:
        return llm_flow_said(f, ev->error);

    case LLM_EV_USAGE:
        f->said_usage = 1;
        break;

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
    case LLM_EV_TOOL_CALL: case LLM_EV_LOGPROBS: case LLM_EV_CITATION:
    case LLM_EV_FINISH:
        llm_flow_track(f, ev);
        break;

    default:
        break;
    }

    llm_measure(&f->measure, ev, f->now_ms);

    return LLM_OK;
}


/* What the client is told. */
static inline llm_rc_t
llm_flow_out(llm_flow_t *f, const llm_event_t *ev)
{
    if (f->passing) {
        return LLM_OK;
    }

    if (ev->type == LLM_EV_FINISH && ev->finish == LLM_FINISH_ERROR
        && ev->choice == 0 && !f->conf.client->failure)
    {
        return llm_flow_fault(f, LLM_FAULT_UPSTREAM_ERROR);
    }

    if (ev->type == LLM_EV_START) {
        llm_flow_start(f, ev);

    } else {
        f->encode(&f->encoder, f->state, ev);
    }

    return llm_flow_check(f);
}


llm_rc_t
llm_flow_emit(void *ctx, const llm_event_t *ev)
{
    llm_flow_t  *f;

    f = ctx;

    if (llm_flow_in(f, ev) != LLM_OK) {
        return LLM_FAILED;
    }

    return llm_flow_out(f, ev);
}


llm_rc_t
llm_flow_take(llm_flow_t *f, const llm_event_t *ev)
{
    return llm_flow_in(f, ev);
}


llm_rc_t
llm_flow_give(llm_flow_t *f, const llm_event_t *ev)
{
    return llm_flow_out(f, ev);
}
