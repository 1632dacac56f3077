/*
 * Running the server-sent events framer in a test.
 */

#ifndef UNIT_SSE_H
#define UNIT_SSE_H

#include "unit_support.h"
#include "llm_sse.h"


#define SSE_MAX_CUTS  128
#define SSE_PLENTY    (64 * 1024 * 1024)

typedef struct {
    llm_u8         *p;
    size_t          n;
} sse_bytes_t;

/* One event, copied out of the framer. */
typedef struct {
    sse_bytes_t         type;
    sse_bytes_t         data;
    sse_bytes_t         id;
    sse_bytes_t         raw;        /* as llm_sse_write_raw() writes it */
    int64_t         retry;
    unsigned        in_input;
} sse_seen_t;

/* What a stream amounts to. */
typedef struct {
    sse_seen_t         *events;
    size_t          n;
    unsigned        pending;    /* the last one is from llm_sse_finish() */
    llm_rc_t        end;        /* LLM_AGAIN, or what stopped the framer */
    uint64_t        comments;
    int64_t         reconnection;
    sse_bytes_t         last_id;
    size_t          peak;
    size_t          calls;      /* of the allocator */
} sse_result_t;

typedef struct {
    size_t          max;
    size_t          fail_at;
} sse_limits_t;


extern const sse_limits_t  sse_no_limits;

/* Runs a stream, cut at k places, from the start to its end. */
void sse_run(sse_result_t *r, const llm_u8 *p, size_t n, const size_t *cuts,
    size_t k, const sse_limits_t *limits);
void sse_run_text(sse_result_t *r, const char *text,
    const sse_limits_t *limits);
void sse_forget(sse_result_t *r);

/* Fails the test if b is not what a was; forgets b. */
void sse_compare(const char *what, const sse_result_t *a, sse_result_t *b);

/* Byte by byte, in two at every place, 100 times at random. */
void sse_all_cuts(const char *name, const llm_u8 *p, size_t n,
    const sse_result_t *whole);

sse_bytes_t sse_keep(const llm_u8 *p, size_t n);
int sse_same(const sse_bytes_t *a, const sse_bytes_t *b);
void sse_add(sse_bytes_t *b, const llm_u8 *p, size_t n);
void sse_set(sse_bytes_t *b, const llm_u8 *p, size_t n);
void sse_expect(const sse_bytes_t *b, const char *text);


#endif /* UNIT_SSE_H */
