/*
 * Who watches the run: the meter, and the line on a terminal that says how
 * far it is.
 */

#ifndef BENCH_DESK_H
#define BENCH_DESK_H

#include "bench_meter.h"


typedef struct {
    const bench_options_t  *options;
    const bench_counts_t   *counts;     /* n of them */
    size_t                  n;
    bench_meter_t           meter;
    int64_t                 progress;   /* when the line is due, 0: never */
    int64_t                 wake;       /* when bench_desk_look() is, 0:
                                           never */
    uint64_t                events;     /* when the line was written last */
    int64_t                 written;
} bench_desk_t;


/* The arguments of bench_meter_begin(). */
void bench_desk_begin(bench_desk_t *d, const bench_options_t *o,
    const bench_counts_t *counts, size_t n, const pid_t *children,
    size_t nchildren);

void bench_desk_look(bench_desk_t *d, int64_t now);

/* All requests have ended. */
void bench_desk_end(bench_desk_t *d);


#endif /* BENCH_DESK_H */
