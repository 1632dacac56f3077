/*
 * One request: what came back, when, and how it ended.
 */

#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include "bench.h"
#include "bench_decode.h"
#include "bench_engine.h"
#include "bench_stamp.h"


/* What can be read by another process while the run goes on. */
typedef struct {
    uint64_t          events;       /* with content */
    uint64_t          tokens;       /* stamps, else events */
    uint64_t          content;      /* streams that had some */
    uint64_t          open;
    uint64_t          ended;
} bench_counts_t;

/* What the streams of a run share. */
typedef struct {
    const bench_options_t  *options;
    bench_tally_t          *tally;
    bench_counts_t         *counts;
    void                  (*ended)(void *ctx, bench_stream_t *s);
    void                   *ctx;
} bench_common_t;

struct bench_stream_s {
    bench_common_t   *common;
    bench_record_t   *record;
    char             *body;
    size_t            body_n;
    void             *transfer;     /* the engine's */
    bench_stream_t   *next[2];      /* of the run's lists */
    bench_stream_t   *prev[2];
    unsigned          listed[2];
    bench_decode_t    decode;
    bench_stamps_t    stamps;
    unsigned          status;
    uint64_t          read;         /* number of the read in hand, 0: none */
    int64_t           now;          /* when it returned */
    uint64_t          read_bytes;
    uint64_t          read_events;
    uint64_t          piece_stamps; /* of what was fed last */
    size_t            room;         /* of record->gaps */
};


/* Memory for one; used again and again. */
bench_stream_t *bench_stream_open(bench_common_t *c,
    const llm_dialect_t *dialect, size_t body);
void bench_stream_free(bench_stream_t *s);

void bench_stream_begin(bench_stream_t *s, bench_record_t *r);

/* The head is there. */
void bench_stream_status(bench_stream_t *s, unsigned status);

/*
 * n bytes of the body, of the read with that number (from 1, never the same
 * twice in a stream), which returned `now`; woke: when the loop woke up for
 * it.  0, or -1: no more is wanted, the engine ends the stream.
 */
int bench_stream_data(bench_stream_t *s, const char *p, size_t n,
    uint64_t read, int64_t now, int64_t woke);

/* The last call: the stream has ended.  error: what went wrong below, NULL:
 * nothing did. */
void bench_stream_end(bench_stream_t *s, const char *error);

/* The same for one that we ended, with bench_engine_t's cancel(). */
void bench_stream_abort(bench_stream_t *s);


#endif /* BENCH_STREAM_H */
