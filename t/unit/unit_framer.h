/*
 * Running a framer in a test: any of the three, cut anywhere.
 */

#ifndef UNIT_FRAMER_H
#define UNIT_FRAMER_H

#include "unit_support.h"
#include "llm_framer.h"


#define FRAMER_PLENTY    (64 * 1024 * 1024)
#define FRAMER_MAX_CUTS  128

typedef struct {
    llm_framing_t   framing;
    size_t          max;        /* 0: plenty */
    size_t          fail_at;    /* allocation that fails, 0: none */
    unsigned        error_lines;
} framer_case_t;

typedef struct {
    unit_out_t      frames;     /* the data of each, and a LF */
    unit_out_t      raw;        /* as llm_framer_write_raw() writes them */
    size_t         *ends;       /* of each frame in frames.p, LF excluded */
    size_t          n;
    size_t          in_input;   /* how many of them */
    unsigned        tail;       /* the last is from llm_framer_finish() */
    llm_rc_t        end;        /* LLM_DONE, or what stopped the framer */
    int             closed;
    int             cut;
    uint64_t        comments;
    size_t          calls;      /* of the allocator */
    size_t          peak;
} framer_result_t;


/* Runs a stream, cut at k places, from the start to its end. */
void framer_run(framer_result_t *r, const framer_case_t *c, const llm_u8 *p,
    size_t n, const size_t *cuts, size_t k);
void framer_run_text(framer_result_t *r, const framer_case_t *c,
    const char *text);
void framer_forget(framer_result_t *r);

/* Fails the test if b is not what a was, wherever the bytes lay; forgets
 * b. */
void framer_compare(const char *what, const framer_result_t *a,
    framer_result_t *b);

/* Every way of cutting gives what the whole gave. */
void framer_all_cuts(const char *name, const framer_case_t *c,
    const llm_u8 *p, size_t n, const framer_result_t *whole);

/* The data of frame i. */
llm_slice_t framer_frame(const framer_result_t *r, size_t i);

/* Runs a text whole and in all cuts, and checks what it gives: the data of
 * all frames, each with a LF; how it ends; whether it is cut. */
void framer_expect(const framer_case_t *c, const char *text,
    const char *frames, llm_rc_t end, int closed, int cut);

/* Cut anywhere, a text gives all its frames when `bound` bytes are allowed
 * and only `before` of them with one byte less. */
void framer_bounds(const framer_case_t *c, const char *text, size_t bound,
    size_t before);

/* Each allocation fails once, for each cut: LLM_NOMEM and fewer frames. */
void framer_no_memory(const framer_case_t *c, const char *text);

/* White space takes no memory; what a large frame needed, which `after` ends,
 * is given back. */
void framer_memory(const framer_case_t *c, const char *after);

/* The bytes of a vector, to be freed; *v is the vector. */
llm_u8 *framer_vector(const char *path, json_t **v, size_t *n);


#endif /* UNIT_FRAMER_H */
