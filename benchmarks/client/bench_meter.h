/*
 * Processor time and memory of the proxy over the run, and over its steady
 * part: while all streams of the only wave have content and none has ended.
 */

#ifndef BENCH_METER_H
#define BENCH_METER_H

#include "bench.h"
#include "bench_options.h"
#include "bench_stream.h"


#define BENCH_METER_EVERY  (100 * BENCH_MS)     /* memory is looked at */
#define BENCH_METER_AFTER  (200 * BENCH_MS)     /* behind the end */

/* One moment. */
typedef struct {
    int64_t                 at;         /* 0: it did not come */
    int64_t                 proxy;      /* ns, -1 unknown */
    int64_t                 client;
    int64_t                 wait;       /* of the client */
    uint64_t                events;
    uint64_t                tokens;
} bench_moment_t;

typedef struct {
    const bench_options_t  *options;
    const bench_counts_t   *counts;     /* n of them */
    size_t                  n;
    const pid_t            *children;   /* of ours, that count as client */
    size_t                  nchildren;
    bench_moment_t          began;
    bench_moment_t          steady;
    bench_moment_t          first_end;
    bench_moment_t          ended;
    int64_t                 idle_kb;
    int64_t                 steady_kb;
    int64_t                 peak_kb;
    uint64_t                steady_streams;
    uint64_t                peak_streams;
    int64_t                 next;       /* look at the memory, 0: not */
} bench_meter_t;


/* Right before the first request that is measured. */
void bench_meter_begin(bench_meter_t *m, const bench_options_t *o,
    const bench_counts_t *counts, size_t n, const pid_t *children,
    size_t nchildren);

/* All streams have content; the first one ended; all did.  Each counts once,
 * when it happens first. */
void bench_meter_steady(bench_meter_t *m);
void bench_meter_first_end(bench_meter_t *m);
void bench_meter_end(bench_meter_t *m);

/* When it is m->next. */
void bench_meter_look(bench_meter_t *m, int64_t now);

/* After bench_meter_end(), and after the client's connections were closed:
 * waits BENCH_METER_AFTER if somebody is watched and fills in t->cpu and
 * t->memory. */
void bench_meter_tell(bench_meter_t *m, bench_tally_t *t);


#endif /* BENCH_METER_H */
