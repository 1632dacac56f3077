/*
 * Running a chain of stages in a test, in a time of its own: events in, ticks
 * when they are due, and all that comes out with the time at which it came.
 */

#ifndef UNIT_STAGE_H
#define UNIT_STAGE_H

#include "unit_support.h"
#include "llm_stage.h"


/* One event that came out. */
typedef struct {
    llm_event_type_t    type;
    unsigned            choice;
    unsigned            tool;
    unsigned            refused;
    int64_t             at;
    size_t              from;       /* of the harness's text */
    size_t              n;
    int64_t             output;     /* of a USAGE */
    unsigned            named;      /* has an id, a name, a signature, raw */
} stage_out_t;

typedef struct {
    llm_stage_chain_t   chain;
    llm_stage_t         last;
    unit_alloc_t        u;
    stage_out_t        *out;
    size_t              nout;
    llm_u8             *text;       /* of all of them, decoded; LOGPROBS: raw */
    size_t              ntext;
    size_t              room;       /* events that are taken, 0: all */
    llm_rc_t            rc;         /* the first that was not LLM_OK */
} stage_run_t;

/* n stages; fail_at: of the allocator, 0: none. */
void stage_open(stage_run_t *r, const llm_stage_conf_t *conf, unsigned n,
    size_t fail_at);

/* The time passes: what is due is woken, at the time that it is due. */
void stage_until(stage_run_t *r, int64_t now);

/* An event, at that time. */
void stage_event(stage_run_t *r, const llm_event_t *ev, int64_t now);

/* The same with a text: p is copied, and gone afterwards. */
void stage_text(stage_run_t *r, llm_event_type_t type, unsigned choice,
    const void *p, size_t n, int64_t now);

/* Nothing may be left behind. */
void stage_close(stage_run_t *r);

llm_event_t stage_ev(llm_event_type_t type);


#endif /* UNIT_STAGE_H */
