/*
 * The run in several processes: each has its part of the one schedule and
 * starts at the same moment; their tallies are added.
 */

#ifndef BENCH_FORK_H
#define BENCH_FORK_H

#include "bench_shard.h"


/* As bench_shard_run(), for more than one process. */
bench_tally_t *bench_fork_run(const bench_options_t *o, const bench_body_t *b,
    const int64_t *schedule, int *signal);


#endif /* BENCH_FORK_H */
