/*
 * The sums of a run: made, filled in as requests end, added to those of
 * another process.
 */

#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H

#include "bench.h"
#include "bench_options.h"


/* Zeroed, with n records whose times are 0.  Free it with the other. */
bench_tally_t *bench_tally_open(size_t n);
void bench_tally_free(bench_tally_t *t);

/* The index of an error, which is counted; past BENCH_ERRORS different ones
 * all others are the last, "other". */
int bench_tally_error(bench_tally_t *t, const char *what);

/* So many tokens came now. */
void bench_tally_second(bench_tally_t *t, int64_t now, uint64_t tokens);

/* A request of the tally ended: what its record says goes into the sums. */
void bench_tally_request(bench_tally_t *t, const bench_options_t *o,
    const bench_record_t *r);

/*
 * Adds another one to t.  Its record i becomes record first + i * step, whose
 * gaps t owns from then on.
 */
void bench_tally_add(bench_tally_t *t, bench_tally_t *other, size_t first,
    size_t step);


#endif /* BENCH_TALLY_H */
