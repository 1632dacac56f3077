/*
 * A histogram of whole numbers (nanoseconds, bytes) from 0 to 2^44 with three
 * significant digits, in the manner of HdrHistogram: buckets of one width
 * within a power of two, 2,048 of them.  What is larger counts as the largest.
 * Histograms of several processes can be added; percentiles never are.
 */

#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stddef.h>
#include <stdint.h>


#define BENCH_HIST_HALF     1024    /* buckets of a power of two */
#define BENCH_HIST_MAX_BIT  44
#define BENCH_HIST_BUCKETS  (2 * BENCH_HIST_HALF                             \
                             + (BENCH_HIST_MAX_BIT - 11) * BENCH_HIST_HALF)

typedef struct {
    uint64_t  count;
    int64_t   min;
    int64_t   max;              /* exact */
    double    sum;
    double    squares;          /* for the standard deviation */
    uint64_t  bucket[BENCH_HIST_BUCKETS];
} bench_hist_t;


/* value < 0 counts as 0. */
void bench_hist_record(bench_hist_t *h, int64_t value);

void bench_hist_add(bench_hist_t *h, const bench_hist_t *other);

/* The smallest bucket's upper edge that at least p percent (0..100) of the
 * values do not exceed, never above max; 0 when there is none. */
int64_t bench_hist_percentile(const bench_hist_t *h, double p);

double bench_hist_mean(const bench_hist_t *h);
double bench_hist_deviation(const bench_hist_t *h);

/* Walks non-empty buckets: *i starts at 0; 0 when there is no more. */
int bench_hist_next(const bench_hist_t *h, size_t *i, int64_t *edge,
    uint64_t *count);


#endif /* BENCH_HIST_H */
