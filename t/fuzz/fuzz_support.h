/*
 * What the fuzz targets share: a check that stays in every build, an
 * allocator, an output sink.
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


#endif /* FUZZ_SUPPORT_H */
