/*
 * Ends an answer that became too long.  Of the text that passes the limit
 * that much is given on as there was room for, to the character.  It must
 * never hold anything back, nor end a choice that says nothing more.
 */

#include "llm_stage_length.h"
#include "llm_channel.h"


typedef struct {
    llm_stage_t   stage;
    uint64_t      limit;
    uint64_t      before;       /* the estimate before this event, or limit */
    uint64_t      ended[2];     /* choices, by this stage */
    llm_block_t   text;
} llm_length_t;


static llm_rc_t
llm_length_init(llm_stage_t *s, const void *conf)
{
    llm_length_t  *l;

    l = (llm_length_t *) s;
    l->limit = *(const uint64_t *) conf;

    return LLM_OK;
}


static void
llm_length_drop(llm_stage_t *s)
{
    llm_block_free(&((llm_length_t *) s)->text, &s->chain->alloc);
}


/* The beginning of a text, of `room` of `all` parts, and the other half of a
 * character that has begun. */
static llm_rc_t
llm_length_begin(llm_length_t *l, const llm_event_t *ev, uint64_t room,
    uint64_t all)
{
    size_t          n;
    llm_rc_t        rc;
    llm_event_t     part;
    llm_slice_t     rest;
    llm_channel_t   c;

    memset(&c, 0, sizeof(llm_channel_t));

    c.type = ev->type;
    c.choice = ev->choice;
    l->text.n = 0;
    rest = ev->text;
    n = llm_channel_low(&rest);

    if (n != 0) {
        part = llm_channel_event(&c, rest.p, n);
        part.text.escaped = 1;

        rc = llm_stage_pass(&l->stage, &part);
        if (rc != LLM_OK) {
            return rc;
        }

        rest.p += n;
        rest.n -= n;
    }

    rc = llm_channel_decode(&c, &l->text, &l->stage.chain->alloc, &rest);
    if (rc != LLM_OK) {
        return rc;
    }

    n = (size_t) ((double) l->text.n * (double) room / (double) all);

    while (n != 0 && n < l->text.n && (l->text.p[n] & 0xc0) == 0x80) {
        n--;
    }

    if (n == 0) {
        return LLM_OK;
    }

    part = llm_channel_event(&c, l->text.p, n);

    return llm_stage_pass(&l->stage, &part);
}


static llm_rc_t
llm_length_end(llm_length_t *l, const llm_event_t *ev)
{
    llm_rc_t     rc;
    llm_event_t  finish;

    if (ev->type != LLM_EV_TOOL_CALL) {
        rc = llm_length_begin(l, ev, l->limit - l->before,
                              l->stage.chain->output - l->before);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    l->before = l->limit;
    l->ended[ev->choice / 64] |= (uint64_t) 1 << (ev->choice % 64);

    memset(&finish, 0, sizeof(llm_event_t));

    finish.type = LLM_EV_FINISH;
    finish.choice = ev->choice;
    finish.finish = LLM_FINISH_LENGTH;
    finish.created = -1;

    rc = llm_stage_pass(&l->stage, &finish);

    llm_stage_cut(&l->stage, ev->choice, LLM_CUT_LENGTH);

    return rc;
}


static llm_rc_t
llm_length_event(llm_stage_t *s, const llm_event_t *ev)
{
    llm_length_t  *l;

    l = (llm_length_t *) s;

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
    case LLM_EV_TOOL_CALL: case LLM_EV_LOGPROBS: case LLM_EV_CITATION:
    case LLM_EV_FINISH:
        break;

    default:
        return llm_stage_pass(s, ev);
    }

    if (ev->choice >= 128) {
        return llm_stage_pass(s, ev);
    }

    if (l->ended[ev->choice / 64] >> (ev->choice % 64) & 1) {
        return LLM_OK;
    }

    if (s->chain->output <= l->limit) {
        l->before = s->chain->output;

    } else if (ev->type <= LLM_EV_TOOL_CALL) {
        return llm_length_end(l, ev);
    }

    return llm_stage_pass(s, ev);
}


const llm_stage_type_t  llm_stage_length = {
    "length", sizeof(llm_length_t), llm_length_init, llm_length_event, NULL,
    NULL, llm_length_drop
};
