/*
 * Bytes of one stream to what was said: the wire library's framer and the
 * decoder of a dialect, own decoders for those that only clients speak.
 *
 * A frame is an event of the stream (of server-sent events, a line, an element
 * of an array); of plain text it is what was fed at once.
 */

#ifndef BENCH_DECODE_H
#define BENCH_DECODE_H

#include "llm_dialect.h"


#define BENCH_FRAME_MAX  (16 * 1024 * 1024)     /* bytes */
#define BENCH_WORDS      96

typedef llm_rc_t (*bench_decode_pt)(llm_decoder_t *d, llm_frame_t *frame);

/* Text of choice 0, characters (no escapes); lives for the call. */
typedef void (*bench_text_pt)(void *ctx, const llm_u8 *p, size_t n);

typedef struct {
    const llm_dialect_t  *dialect;
    bench_decode_pt       decode;       /* NULL: plain text */
    bench_text_pt         text;         /* NULL: nobody wants it */
    void                 *ctx;

    /* of the frame in hand, after bench_decode_next() */
    unsigned              content;      /* not empty: text, reasoning, a
                                           refusal */
    size_t                bytes;        /* as they came, with their end */

    /* of the stream so far */
    unsigned              any;          /* an event of any kind */
    unsigned              finish;
    unsigned              end;          /* the terminator */
    llm_usage_t           usage;
    char                  wrong[BENCH_WORDS];   /* empty: nothing is; of
                                           several the first */

    /* private */
    llm_framer_t          framer;
    llm_decoder_t         decoder;
    llm_block_t           plain;        /* text without its escapes */
    llm_slice_t           fed;          /* plain text */
} bench_decode_t;


/* Once; then begin and end for each stream. */
void bench_decode_init(bench_decode_t *d, const llm_dialect_t *dialect,
    bench_text_pt text, void *ctx);
void bench_decode_free(bench_decode_t *d);

void bench_decode_begin(bench_decode_t *d);
void bench_decode_end(bench_decode_t *d);

/* The next n bytes; they must stay until bench_decode_next() said 0. */
void bench_decode_feed(bench_decode_t *d, const llm_u8 *p, size_t n);

/* 1: one more frame was decoded.  0: all bytes were used up.  -1: the stream
 * cannot be read on, d->wrong says why. */
int bench_decode_next(bench_decode_t *d);

/* The stream ended, cleanly as HTTP goes.  1: it is complete; 0: d->wrong says
 * what is missing.  A last frame without its end is not counted. */
int bench_decode_finish(bench_decode_t *d);

/* The decoder of a dialect without one: simple, typed; NULL for text. */
bench_decode_pt bench_decode_own(const llm_dialect_t *dialect);


#endif /* BENCH_DECODE_H */
