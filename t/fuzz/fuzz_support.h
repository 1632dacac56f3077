/*
 * What the fuzz targets share: a check that stays in every build, an
 * allocator, an output sink, an input in pieces, what a run said.
 */

#ifndef FUZZ_SUPPORT_H
#define FUZZ_SUPPORT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llm_wire.h"


/* A property that does not hold ends the program, as a crash would. */
#define FUZZ_CHECK(e)                                                       \
    do {                                                                    \
        if (!(e)) {                                                         \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__,    \
                    #e);                                                    \
            abort();                                                        \
        }                                                                   \
    } while (0)


/* What every target defines. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static inline void *
fuzz_resize(void *ctx, void *p, size_t old, size_t n)
{
    (void) ctx;
    (void) old;

    if (n == 0) {
        free(p);
        return NULL;
    }

    return realloc(p, n);
}


static const llm_alloc_t  fuzz_alloc = { fuzz_resize, NULL };


/* An allocator that counts, moves every block, and fails once. */
typedef struct {
    unsigned        calls;
    unsigned        fail;       /* this call for memory fails; 0: none */
    size_t          live;       /* bytes not freed */
} fuzz_heap_t;


static inline void *
fuzz_heap_resize(void *ctx, void *p, size_t old, size_t n)
{
    void         *to;
    fuzz_heap_t  *h;

    h = ctx;

    if (n == 0) {
        h->live -= old;
        free(p);
        return NULL;
    }

    if (++h->calls == h->fail) {
        return NULL;
    }

    to = malloc(n);
    FUZZ_CHECK(to != NULL);

    if (p != NULL) {
        memcpy(to, p, old < n ? old : n);
        free(p);
    }

    h->live += n - old;

    return to;
}


static inline llm_alloc_t
fuzz_heap(fuzz_heap_t *h, unsigned fail)
{
    llm_alloc_t  a;

    memset(h, 0, sizeof(fuzz_heap_t));
    h->fail = fail;
    a.resize = fuzz_heap_resize;
    a.ctx = h;

    return a;
}


/* A copy of exactly n bytes, so that the sanitizer sees an overread. */
static inline llm_u8 *
fuzz_copy(const void *p, size_t n)
{
    llm_u8  *copy;

    copy = n != 0 ? malloc(n) : calloc(1, 1);
    FUZZ_CHECK(copy != NULL);

    if (n != 0) {
        memcpy(copy, p, n);
    }

    return copy;
}


/* A sink that keeps everything in a block, a few bytes of room at a time. */
typedef struct {
    llm_out_t       out;
    llm_block_t     block;
    llm_u8          room[13];
} fuzz_out_t;


static inline llm_rc_t
fuzz_out_more(llm_out_t *out)
{
    fuzz_out_t  *o;

    o = out->ctx;

    FUZZ_CHECK(llm_block_append(&o->block, &fuzz_alloc, o->room,
                                (size_t) (out->pos - o->room))
               == LLM_OK);

    out->pos = o->room;
    out->end = o->room + sizeof(o->room);

    return LLM_OK;
}


static inline void
fuzz_out_init(fuzz_out_t *o)
{
    memset(o, 0, sizeof(fuzz_out_t));

    o->out.pos = o->room;
    o->out.end = o->room + sizeof(o->room);
    o->out.more = fuzz_out_more;
    o->out.ctx = o;
}


/* Ends the output, which is then o->block, never with p == NULL. */
static inline void
fuzz_out_end(fuzz_out_t *o)
{
    (void) fuzz_out_more(&o->out);
    FUZZ_CHECK(llm_block_reserve(&o->block, &fuzz_alloc, 1) == LLM_OK);
    FUZZ_CHECK(!o->out.failed);
}


static inline void
fuzz_out_free(fuzz_out_t *o)
{
    llm_block_free(&o->block, &fuzz_alloc);
}


/*
 * An input in pieces of `step` bytes, the first one of `first`; each lies in
 * memory of its own that is gone when the next one is taken.
 */
typedef struct {
    const uint8_t  *p;
    size_t          n;
    size_t          first;
    size_t          step;
    size_t          at;         /* bytes taken */
    unsigned        begun;
    llm_u8         *in;         /* the piece */
    size_t          k;
} fuzz_pieces_t;


/* Takes the next piece: one at least, also of an empty input.  0: none. */
static inline int
fuzz_piece(fuzz_pieces_t *c)
{
    free(c->in);
    c->in = NULL;

    if (c->begun && c->at >= c->n) {
        return 0;
    }

    c->k = c->begun ? c->step : c->first;
    c->k = c->k < c->n - c->at ? c->k : c->n - c->at;
    c->in = fuzz_copy(c->p + c->at, c->k);
    c->at += c->k;
    c->begun = 1;

    return 1;
}


/* A run, as one string: everything that was said. */
typedef struct {
    llm_block_t     said;
    llm_rc_t        end;
} fuzz_run_t;


static inline void
fuzz_say(fuzz_run_t *r, const void *p, size_t n)
{
    FUZZ_CHECK(llm_block_append(&r->said, &fuzz_alloc, &n, sizeof(n))
               == LLM_OK);
    FUZZ_CHECK(llm_block_append(&r->said, &fuzz_alloc, p, n) == LLM_OK);
}


static inline void
fuzz_run_free(fuzz_run_t *r)
{
    llm_block_free(&r->said, &fuzz_alloc);
}


/* b must be what a was; it is forgotten. */
static inline void
fuzz_same(const fuzz_run_t *a, fuzz_run_t *b)
{
    FUZZ_CHECK(a->end == b->end);
    FUZZ_CHECK(a->said.n == b->said.n
               && (a->said.n == 0
                   || memcmp(a->said.p, b->said.p, a->said.n) == 0));

    fuzz_run_free(b);
}


#endif /* FUZZ_SUPPORT_H */
