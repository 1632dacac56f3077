/*
 * A stage: what may happen to events on their way from the decoder to the
 * client's encoder.  Adding one is one file with an llm_stage_type_t, and one
 * row where the chain of a location is made.
 *
 * Events go down the chain by llm_stage_pass(); their slices are borrowed and
 * live for that call.  A stage keeps what it must, bounded, in memory of the
 * chain's allocator, and gives it back in drop().  It never waits for an event
 * to give up what it holds: FINISH ends the text of its choice, END and
 * flush() that of all.
 *
 * Text comes as the upstream wrote it, escaped or not (llm_channel.h decodes
 * it), and in any pieces: what comes out must not depend on the pieces.
 */

#ifndef LLM_STAGE_H
#define LLM_STAGE_H

#include "llm_event.h"


typedef struct llm_stage_s         llm_stage_t;
typedef struct llm_stage_chain_s   llm_stage_chain_t;

/* Why a stage ended an answer that the upstream had not. */
typedef enum {
    LLM_CUT_NONE = 0,
    LLM_CUT_STOP,           /* a stop string */
    LLM_CUT_LENGTH,         /* the limit of output */
    LLM_CUT_BLOCK           /* what must not be said */
} llm_cut_t;

typedef struct {
    const char     *name;

    /* bytes of the stage, which begins with an llm_stage_t */
    size_t          size;

    /* s is zeroed but for the llm_stage_t; conf outlives the stage.  LLM_OK
     * or LLM_NOMEM; drop() runs in both cases. */
    llm_rc_t      (*init)(llm_stage_t *s, const void *conf);

    /*
     * Takes one event.  LLM_OK, or what llm_stage_pass() returned, or
     * LLM_NOMEM, or LLM_TOO_BIG.  All but LLM_OK ends the answer with a fault.
     */
    llm_rc_t      (*event)(llm_stage_t *s, const llm_event_t *ev);

    /* Gives away all that is held: nothing more comes, or not in time.  It
     * runs, and what is held by stages before it comes, after a fault, too:
     * a stage that must not let through what it did not read says LLM_FAILED
     * to that, and keeps what it holds.  NULL: it never holds. */
    llm_rc_t      (*flush)(llm_stage_t *s);

    /* s->due has come.  It must be later, or -1, afterwards.  NULL: has none */
    llm_rc_t      (*tick)(llm_stage_t *s);

    void          (*drop)(llm_stage_t *s);              /* may be NULL */
} llm_stage_type_t;

/* One stage of a chain, as configured. */
typedef struct {
    const llm_stage_type_t  *type;
    const void              *conf;
    unsigned                 observes;  /* events leave as they came: with one
                                           dialect on both sides, and no other
                                           stage, the bytes still do */
} llm_stage_conf_t;

struct llm_stage_s {
    const llm_stage_type_t  *type;
    llm_stage_t             *next;
    llm_stage_chain_t       *chain;
    int64_t                  due;       /* of chain->now, -1: no wish */
    size_t                   held;      /* bytes of text that wait in it */
};

struct llm_stage_chain_s {
    llm_alloc_t              alloc;
    int64_t                  now;       /* ms, the flow's clock */
    llm_stage_t             *first;     /* the last is the flow's own */
    unsigned                 closed;    /* set by the last: the client cannot
                                           be told any more */
    size_t                   held_max;  /* bytes that waited at once, most */
    uint64_t                 output;    /* 1/1000 tokens of output, estimated;
                                           0 without the estimate stage */
    llm_cut_t                cut;       /* the first reason */
    uint64_t                 over[2];   /* choices that were cut */
};


static inline llm_rc_t
llm_stage_pass(llm_stage_t *s, const llm_event_t *ev)
{
    return s->next->type->event(s->next, ev);
}


/*
 * A stage has ended the answer of a choice: it has passed a FINISH of its own
 * and from now on drops what comes for that choice.  Once no choice is left
 * the flow ends the stream in order and reads no more.
 */
void llm_stage_cut(llm_stage_t *s, unsigned choice, llm_cut_t why);

/* Choices beyond those that are tracked are never cut. */
int llm_stage_is_cut(const llm_stage_chain_t *chain, unsigned choice);

/* To be called when s->held has changed: keeps chain->held_max. */
void llm_stage_held(llm_stage_t *s, size_t held);

/* the chain: n stages and, as its end, `last`, which is the caller's and has
 * its type set */
llm_rc_t llm_stage_chain_init(llm_stage_chain_t *chain,
    const llm_stage_conf_t *conf, unsigned n, llm_stage_t *last);

/* All that is held, from the first stage on.  What one stage cannot do does
 * not keep the others from it: what they hold came before.  The first that
 * was not LLM_OK. */
llm_rc_t llm_stage_chain_flush(llm_stage_chain_t *chain);
llm_rc_t llm_stage_chain_tick(llm_stage_chain_t *chain);
int64_t llm_stage_chain_due(const llm_stage_chain_t *chain);    /* or -1 */
void llm_stage_chain_drop(llm_stage_chain_t *chain);


#endif /* LLM_STAGE_H */
