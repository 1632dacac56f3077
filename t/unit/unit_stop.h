/*
 * Running the stop stage by itself in a test: events in, and what came out.
 */

#ifndef UNIT_STOP_H
#define UNIT_STOP_H

#include "unit_match.h"
#include "llm_stage_stop.h"


#define STOP_CHOICES  4
#define STOP_TYPES    3
#define STOP_TEXT     4096


/* What came out of the stage. */
typedef struct {
    llm_u8             text[STOP_CHOICES][STOP_TYPES][STOP_TEXT];
    size_t             n[STOP_CHOICES][STOP_TYPES];
    char               log[STOP_TEXT];      /* one letter an event */
    size_t             nlog;
    unsigned           finished[STOP_CHOICES];
    llm_u8             name[STOP_CHOICES][LLM_MATCH_LENGTH];
    size_t             nname[STOP_CHOICES];
    const llm_event_t *same;                /* that came, if it is it */
} stop_out_t;

typedef struct {
    llm_match_t        match;
    void              *memory;
    llm_stage_chain_t  chain;
    llm_stage_t        last;
    unit_alloc_t       u;
    stop_out_t        *out;
} stop_run_t;


void stop_begin(stop_run_t *r, const llm_slice_t *list, unsigned n,
    size_t fail_at);
void stop_end(stop_run_t *r);

llm_event_t stop_event(llm_event_type_t type, unsigned choice, const void *p,
    size_t n, unsigned escaped);

/* Sends an event whose bytes are gone afterwards. */
llm_rc_t stop_send(stop_run_t *r, llm_event_type_t type, unsigned choice,
    const void *p, size_t n, unsigned escaped);

/* The same, which must be taken: plain text, or any other event. */
void stop_text(stop_run_t *r, unsigned choice, const char *text);
void stop_other(stop_run_t *r, llm_event_type_t type, unsigned choice);


#endif /* UNIT_STOP_H */
