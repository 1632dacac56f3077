/*
 * A flow with stages: the decoder's events go down their chain before they
 * reach the encoder, time wakes them, and a stage can end the answer.  It
 * must never let what a stage holds be lost, nor end an answer that still has
 * an open choice.
 */

#include "llm_flow_private.h"
#include "llm_encode.h"


/* The words of measure.finish for an answer that a stage ended. */
static const char *const  llm_flow_cut_words[] = {
    "", "stop", "length", "content_filter"
};


/* A fault of a stage, unless one is set by what it called. */
static llm_rc_t
llm_flow_stage_failed(llm_flow_t *f, llm_rc_t rc)
{
    if (f->fault != LLM_FAULT_NONE) {
        return LLM_FAILED;
    }

    return llm_flow_fault(f, rc == LLM_TOO_BIG ? LLM_FAULT_RESPONSE_TOO_LARGE
                                               : LLM_FAULT_INTERNAL);
}


static llm_rc_t
llm_flow_send(llm_flow_t *f, const llm_event_t *ev)
{
    llm_rc_t  rc;

    rc = f->stages.first->type->event(f->stages.first, ev);

    return rc == LLM_OK ? LLM_OK : llm_flow_stage_failed(f, rc);
}


/* Whether stages have ended all that is still said.  An upstream that has
 * finished by itself will say its usage, and one answer has it with it: that
 * is waited for. */
static int
llm_flow_all_cut(const llm_flow_t *f)
{
    unsigned  i, n;
    uint64_t  seen;

    if (f->stages.cut == LLM_CUT_NONE || f->beyond || f->finish
        || f->conf.answer_in)
    {
        return 0;
    }

    n = 0;

    for (i = 0; i < 2; i++) {

        if (f->seen[i] & ~(f->finished[i] | f->stages.over[i])) {
            return 0;
        }

        for (seen = f->seen[i]; seen != 0; seen &= seen - 1) {
            n++;
        }
    }

    return n >= f->conf.choices;
}


/* The usage of an answer that was not read to its end: what the upstream has
 * said so far counts if it is more. */
static llm_rc_t
llm_flow_cut_usage(llm_flow_t *f)
{
    int64_t       output;
    llm_event_t   ev;
    llm_usage_t  *usage;

    usage = &f->measure.usage;
    output = (int64_t) ((f->stages.output + 999) / 1000);

    f->measure.input_said = usage->input > 0;

    if (!f->measure.input_said) {
        usage->input = f->conf.input;
    }

    f->measure.output_said = usage->output >= output;

    if (!f->measure.output_said) {
        usage->output = output;
    }

    usage->total = -1;

    if (usage->input >= 0) {
        usage->total = usage->input + usage->output;
    }

    f->measure.has_usage = 1;
    f->measure.estimated = 1;

    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = LLM_EV_USAGE;
    ev.created = -1;
    ev.usage = usage;

    return llm_flow_send(f, &ev);
}


static void
llm_flow_cut_finish(llm_flow_t *f)
{
    const char  *word;

    word = llm_flow_cut_words[f->stages.cut];
    f->measure.nfinish = (unsigned) strlen(word);
    memcpy(f->measure.finish, word, f->measure.nfinish);
}


/* Ends the stream if nothing is left of it: LLM_DONE, then; else LLM_OK. */
static llm_rc_t
llm_flow_cut(llm_flow_t *f)
{
    llm_event_t  ev;

    if (!llm_flow_all_cut(f)) {
        return LLM_OK;
    }

    llm_flow_cut_finish(f);

    if (llm_flow_cut_usage(f) != LLM_OK) {
        return LLM_FAILED;
    }

    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = LLM_EV_END;
    ev.created = -1;

    return llm_flow_send(f, &ev) == LLM_OK ? LLM_DONE : LLM_FAILED;
}


/* llm_decoder_t.emit of a flow with stages. */
static llm_rc_t
llm_flow_staged(void *ctx, const llm_event_t *ev)
{
    llm_flow_t  *f;

    f = ctx;

    if (llm_flow_take(f, ev) != LLM_OK) {
        return LLM_FAILED;
    }

    f->stages.now = f->now_ms;

    if (llm_flow_send(f, ev) != LLM_OK) {
        return LLM_FAILED;
    }

    if (ev->type != LLM_EV_END) {
        return llm_flow_cut(f);
    }

    if (f->conf.answer_in && llm_stage_is_cut(&f->stages, 0)) {
        llm_flow_cut_finish(f);
    }

    return LLM_OK;
}


/* The last of the chain: the way to the encoder. */
static llm_rc_t
llm_flow_last(llm_stage_t *s, const llm_event_t *ev)
{
    llm_rc_t     rc;
    llm_flow_t  *f;

    f = (llm_flow_t *) (void *) ((char *) s - offsetof(llm_flow_t, last));

    rc = llm_flow_give(f, ev);
    s->chain->closed = f->encoder.rc != LLM_OK || f->out->failed;

    return rc;
}


static const llm_stage_type_t  llm_flow_last_type = {
    "client", sizeof(llm_stage_t), NULL, llm_flow_last, NULL, NULL, NULL
};


llm_rc_t
llm_flow_stages(llm_flow_t *f)
{
    unsigned  i;

    if (f->conf.nstages == 0) {
        return LLM_OK;
    }

    for (i = 0; i < f->conf.nstages; i++) {
        if (!f->conf.stages[i].observes) {
            f->passing = 0;
        }
    }

    f->decoder.emit = llm_flow_staged;
    f->last.type = &llm_flow_last_type;
    f->stages.alloc = f->conf.alloc;

    return llm_stage_chain_init(&f->stages, f->conf.stages, f->conf.nstages,
                                &f->last);
}


void
llm_flow_release(llm_flow_t *f)
{
    if (f->stages.first != NULL) {
        (void) llm_stage_chain_flush(&f->stages);
    }
}


int64_t
llm_flow_due(const llm_flow_t *f)
{
    return f->stages.first != NULL ? llm_stage_chain_due(&f->stages) : -1;
}


llm_rc_t
llm_flow_tick(llm_flow_t *f, int64_t now_ms)
{
    llm_rc_t  rc;

    if (f->fault != LLM_FAULT_NONE) {
        return LLM_FAILED;
    }

    if (f->done || f->stages.first == NULL) {
        return f->done ? LLM_DONE : LLM_OK;
    }

    f->now_ms = now_ms;
    f->stages.now = now_ms;

    rc = llm_stage_chain_tick(&f->stages);

    if (rc != LLM_OK) {
        return llm_flow_stage_failed(f, rc);
    }

    rc = llm_flow_cut(f);

    if (rc == LLM_DONE) {
        f->done = 1;
    }

    return llm_flow_written(f, rc);
}
