/*
 * One run in one process or several, and one result.
 */

#ifndef BENCH_SHARD_H
#define BENCH_SHARD_H

#include "bench.h"
#include "bench_body.h"
#include "bench_options.h"


/* As many processes as --processes says, but never more than requests, or than
 * may be open at once. */
unsigned bench_shard_processes(const bench_options_t *o);

/*
 * In o->processes processes: runs o->num_prompts requests at the times that
 * the schedule says; the caller frees the tally.  NULL: it could not be done,
 * a message is on stderr.  *signal: which one ended it early, else as it was.
 */
bench_tally_t *bench_shard_run(const bench_options_t *o,
    const bench_body_t *b, const int64_t *schedule, int *signal);


#endif /* BENCH_SHARD_H */
