/*
 * The run: starts requests when they are due and a place is free, gives up on
 * those that last too long, and ends when all have ended.
 */

#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "bench.h"
#include "bench_body.h"
#include "bench_options.h"
#include "bench_stream.h"


/* What a process does of it: requests first, first + step, ... of the one
 * schedule. */
typedef struct {
    const bench_options_t  *options;
    const bench_body_t     *body;
    const int64_t          *schedule;   /* offsets of all requests */
    size_t                  first;
    size_t                  step;
    uint64_t                places;     /* at once, 0: no limit */
    bench_counts_t         *counts;

    /* Called once each; steady: all requests of this process are open and
     * have content, or not at all; first_end: the first one ended. */
    void                  (*steady)(void *ctx);
    void                  (*first_end)(void *ctx);

    /* Called before the first request that is measured: when it begins, ns;
     * -1: not at all. */
    int64_t               (*begin)(void *ctx);

    /* Called after the last has ended, connections still open. */
    void                  (*end)(void *ctx);

    /* Called when it is *wake (0: never), and sets it anew. */
    void                  (*look)(void *ctx, int64_t now);
    const int64_t          *wake;
    void                   *ctx;
} bench_share_t;


/*
 * Runs it, warm-up first.  NULL: it could not begin, a message is on stderr.
 * *signal: SIGINT or SIGTERM ended it, else 0.
 */
bench_tally_t *bench_run(const bench_share_t *s, int *signal);


#endif /* BENCH_RUN_H */
