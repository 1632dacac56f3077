/*
 * Running a flow in a test: bytes in, cut anywhere, and all that can be seen
 * of it afterwards.
 */

#ifndef FLOW_SUPPORT_H
#define FLOW_SUPPORT_H

#include "unit_support.h"
#include "llm_flow.h"


#define FLOW_PLENTY    (64 * 1024 * 1024)
#define FLOW_NOW       1700000000

typedef struct {
    const llm_dialect_t  *client;       /* NULL: openai */
    unsigned              answer_in;
    unsigned              answer_out;
    unsigned              hide_usage;
    unsigned              usage;
    unsigned              secret;
    size_t                max_event;    /* 0: plenty */
    size_t                max_response;
    unsigned              max_depth;
    llm_eof_t             how;
    unsigned              pass;         /* give the flow a pass() */
    size_t                step;         /* of the sink, 0: plenty */
    size_t                limit;        /* of the sink, 0: none */
    size_t                fail_at;      /* allocation that fails */
    unsigned              forget;       /* before each piece what the decoder
                                           learned of earlier frames */
    const llm_dialect_t  *upstream;     /* NULL: openai */
    llm_framing_t         framing;      /* 0: the upstream's own */
    unsigned              array_out;
    const llm_pad_conf_t *pad;
    const llm_stage_conf_t  *stages;    /* woken when they are due */
    unsigned              nstages;
    unsigned              choices;
    int64_t               pace;         /* ms between pieces, 0: one for each
                                           byte */
} flow_case_t;

/* Runs to the first LLM_DONE or LLM_FAILED, else to the end; after a failure
 * llm_flow_fail() is called.  Slices of errors are copied to strings. */
typedef struct {
    llm_u8               *p;            /* what was written, with a NUL */
    size_t                n;
    size_t                before;       /* bytes of it before fail() */
    llm_rc_t              rc;           /* of init, feed or eof */
    llm_rc_t              fail;         /* of fail() */
    llm_fault_t           fault;
    llm_measure_t         measure;
    uint64_t              frames;
    uint64_t              invalid;
    uint64_t              repaired;
    unsigned              done;
    unsigned              finish;
    int                   status;
    char                 *message;      /* the flow's error, as written */
    char                 *code;
    char                 *type;
    char                 *body;         /* llm_flow_error_body() */
    size_t                peak;         /* bytes allocated at once */
    size_t                calls;        /* of the allocator */
    size_t                passed;       /* bytes given to pass() */
    size_t                passes;       /* calls of it */
} flow_result_t;

extern const flow_case_t  flow_default;

void flow_run(flow_result_t *r, const flow_case_t *c, const void *p,
    size_t n, const size_t *cuts, size_t k);
void flow_run_text(flow_result_t *r, const flow_case_t *c, const char *text);
void flow_forget(flow_result_t *r);

/* Fails the test when two runs differ in anything a client could see. */
void flow_same(const char *what, const flow_result_t *a,
    const flow_result_t *b);

/* Runs whole, byte by byte, in two at every step-th place, and at `random`
 * random places; all must be as the first, which is returned. */
void flow_all_cuts(const char *what, flow_result_t *r, const flow_case_t *c,
    const llm_u8 *p, size_t n, size_t step, size_t random);

/* A fixture of t/fixtures/openai. */
llm_u8 *flow_fixture(const char *name, size_t *n);

/* The events of a stream, framed one by one and written with LF, up to and
 * including the first whose data begins with `last` (NULL: all). */
void flow_events(unit_out_t *o, const llm_u8 *p, size_t n, const char *last);

/* Checks that a text is a stream of events with JSON data or [DONE], LF
 * only, one data: line each; returns how many. */
size_t flow_check_sse(const char *what, const llm_u8 *p, size_t n);

/* The n-th event's JSON (0 first) of such a stream; the caller drops it. */
json_t *flow_event(const llm_u8 *p, size_t n, size_t at);

/* Loads JSON with halves of surrogate pairs allowed. */
json_t *flow_json(const void *p, size_t n);


#endif /* FLOW_SUPPORT_H */
