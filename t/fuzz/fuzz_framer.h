/*
 * What the fuzz targets of the framers share: a stream is run whole and in
 * pieces, and must say the same each time.
 */

#ifndef FUZZ_FRAMER_H
#define FUZZ_FRAMER_H

#include "fuzz_support.h"
#include "llm_framer.h"


#define FUZZ_MAX_SIZE  1000000

typedef struct {
    llm_framing_t   framing;
    size_t          max;

    /* checks a frame of the input's piece and says what it is */
    void          (*frame)(fuzz_run_t *r, const llm_framed_t *framed,
                           const llm_u8 *in, size_t n);

    /* says what else there is at the end; may be NULL */
    void          (*end)(fuzz_run_t *r, const llm_framer_t *f);

    unsigned        error_lines;
} fuzz_framing_t;


static inline int
fuzz_inside(const llm_slice_t *s, const llm_u8 *p, size_t n)
{
    return s->p >= p && s->p <= p + n && s->n <= (size_t) (p + n - s->p);
}


static inline void
fuzz_frames(fuzz_run_t *r, const fuzz_framing_t *how, const uint8_t *p,
    size_t n, size_t first, size_t step)
{
    llm_framer_t   f;
    llm_framed_t   framed;
    fuzz_pieces_t  c;

    memset(r, 0, sizeof(fuzz_run_t));
    llm_framer_init(&f, how->framing, &fuzz_alloc, how->max);

    if (how->error_lines) {
        f.sse.error_lines = 1;
    }

    c = (fuzz_pieces_t) { .p = p, .n = n, .first = first, .step = step };

    while (fuzz_piece(&c)) {
        llm_framer_feed(&f, c.in, c.k);

        while ((r->end = llm_framer_next(&f, &framed)) == LLM_OK) {
            how->frame(r, &framed, c.in, c.k);
        }
    }

    if (r->end == LLM_AGAIN) {
        r->end = llm_framer_finish(&f, &framed);

        if (r->end == LLM_OK) {
            how->frame(r, &framed, NULL, 0);
            r->end = llm_framer_finish(&f, &framed);
        }
    }

    FUZZ_CHECK(r->end == LLM_DONE || r->end == LLM_TOO_BIG
               || (r->end == LLM_INVALID
                   && how->framing == LLM_FRAMING_ARRAY));

    if (how->end != NULL) {
        how->end(r, &f);
    }

    llm_framer_free(&f);
}


/* Whole, byte by byte, and cut at the places that the bytes of `cut` name:
 * each time what `want` says. */
static inline void
fuzz_cuts(const fuzz_run_t *want, const fuzz_framing_t *how,
    const uint8_t *cut, const uint8_t *p, size_t n)
{
    fuzz_run_t  r;

    fuzz_frames(&r, how, p, n, n, n);
    fuzz_same(want, &r);

    fuzz_frames(&r, how, p, n, 1, 1);
    fuzz_same(want, &r);

    fuzz_frames(&r, how, p, n, (cut[0] | (size_t) cut[1] << 8) % (n + 1), n);
    fuzz_same(want, &r);

    fuzz_frames(&r, how, p, n, cut[0] % 8, 1 + cut[1] % 31);
    fuzz_same(want, &r);
}


#endif /* FUZZ_FRAMER_H */
