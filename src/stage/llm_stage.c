/*
 * The chain of stages of one answer: made, flushed, woken and taken down.  It
 * must never look into an event.
 */

#include "llm_stage.h"


llm_rc_t
llm_stage_chain_init(llm_stage_chain_t *chain, const llm_stage_conf_t *conf,
    unsigned n, llm_stage_t *last)
{
    llm_rc_t      rc;
    unsigned      i;
    llm_stage_t  *s, **link;

    last->chain = chain;
    last->next = NULL;
    last->due = -1;

    chain->first = last;
    link = &chain->first;

    for (i = 0; i < n; i++) {
        s = chain->alloc.resize(chain->alloc.ctx, NULL, 0,
                                conf[i].type->size);
        if (s == NULL) {
            return LLM_NOMEM;
        }

        memset(s, 0, conf[i].type->size);

        s->type = conf[i].type;
        s->chain = chain;
        s->due = -1;
        s->next = last;

        *link = s;
        link = &s->next;

        rc = s->type->init(s, conf[i].conf);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


llm_rc_t
llm_stage_chain_flush(llm_stage_chain_t *chain)
{
    llm_rc_t      rc, first;
    llm_stage_t  *s;

    first = LLM_OK;

    for (s = chain->first; s != NULL; s = s->next) {
        rc = s->type->flush != NULL ? s->type->flush(s) : LLM_OK;

        if (first == LLM_OK) {
            first = rc;
        }

        if (rc == LLM_DONE || (rc != LLM_OK && chain->closed)) {
            break;
        }
    }

    return first;
}


llm_rc_t
llm_stage_chain_tick(llm_stage_chain_t *chain)
{
    llm_rc_t      rc;
    llm_stage_t  *s;

    for (s = chain->first; s != NULL; s = s->next) {

        if (s->due == -1 || s->due > chain->now) {
            continue;
        }

        rc = s->type->tick(s);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


int64_t
llm_stage_chain_due(const llm_stage_chain_t *chain)
{
    int64_t             due;
    const llm_stage_t  *s;

    due = -1;

    for (s = chain->first; s != NULL; s = s->next) {
        if (s->due != -1 && (due == -1 || s->due < due)) {
            due = s->due;
        }
    }

    return due;
}


void
llm_stage_chain_drop(llm_stage_chain_t *chain)
{
    llm_stage_t  *s, *next;

    /* the last is the flow's own */

    for (s = chain->first; s != NULL && s->next != NULL; s = next) {
        next = s->next;

        if (s->type->drop != NULL) {
            s->type->drop(s);
        }

        (void) chain->alloc.resize(chain->alloc.ctx, s, s->type->size, 0);
    }

    chain->first = NULL;
}


void
llm_stage_cut(llm_stage_t *s, unsigned choice, llm_cut_t why)
{
    llm_stage_chain_t  *chain;

    chain = s->chain;

    if (choice >= 128) {
        return;
    }

    chain->over[choice / 64] |= (uint64_t) 1 << (choice % 64);

    if (chain->cut == LLM_CUT_NONE) {
        chain->cut = why;
    }
}


int
llm_stage_is_cut(const llm_stage_chain_t *chain, unsigned choice)
{
    return choice < 128
           && (chain->over[choice / 64] >> (choice % 64) & 1) != 0;
}


void
llm_stage_held(llm_stage_t *s, size_t held)
{
    size_t              sum;
    llm_stage_t        *stage;
    llm_stage_chain_t  *chain;

    chain = s->chain;
    s->held = held;
    sum = 0;

    for (stage = chain->first; stage != NULL; stage = stage->next) {
        sum += stage->held;
    }

    if (sum > chain->held_max) {
        chain->held_max = sum;
    }
}
