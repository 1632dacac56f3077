/*
 * The histogram's buckets.  It owns nothing but the arithmetic: which bucket a
 * value falls into and which values that bucket stands for.
 */

#include <math.h>

#include "bench_hist.h"


#define BENCH_HIST_LINEAR  (2 * BENCH_HIST_HALF)    /* below: each value its
                                                       own bucket */


/*
 * A value from 2,048 on keeps its leading 11 bits: between two powers of two
 * there are 1,024 buckets, so none is wider than 1/1024 of its values.
 */
static size_t
bench_hist_index(int64_t value)
{
    int  bit;

    if (value < BENCH_HIST_LINEAR) {
        return (size_t) value;
    }

    bit = 63 - __builtin_clzll((unsigned long long) value);

    if (bit >= BENCH_HIST_MAX_BIT) {
        return BENCH_HIST_BUCKETS - 1;
    }

    return BENCH_HIST_LINEAR + (size_t) (bit - 11) * BENCH_HIST_HALF
           + (size_t) (value >> (bit - 10)) - BENCH_HIST_HALF;
}


/* The largest value of a bucket. */
static int64_t
bench_hist_edge(size_t index)
{
    int      shift;
    int64_t  lead;

    if (index < BENCH_HIST_LINEAR) {
        return (int64_t) index;
    }

    index -= BENCH_HIST_LINEAR;
    shift = (int) (index / BENCH_HIST_HALF) + 1;
    lead = (int64_t) (index % BENCH_HIST_HALF) + BENCH_HIST_HALF;

    return ((lead + 1) << shift) - 1;
}


void
bench_hist_record(bench_hist_t *h, int64_t value)
{
    if (value < 0) {
        value = 0;
    }

    if (h->count == 0 || value < h->min) {
        h->min = value;
    }

    if (h->count == 0 || value > h->max) {
        h->max = value;
    }

    h->count++;
    h->sum += (double) value;
    h->squares += (double) value * (double) value;
    h->bucket[bench_hist_index(value)]++;
}


void
bench_hist_add(bench_hist_t *h, const bench_hist_t *other)
{
    size_t  i;

    if (other->count == 0) {
        return;
    }

    if (h->count == 0 || other->min < h->min) {
        h->min = other->min;
    }

    if (h->count == 0 || other->max > h->max) {
        h->max = other->max;
    }

    h->count += other->count;
    h->sum += other->sum;
    h->squares += other->squares;

    for (i = 0; i < BENCH_HIST_BUCKETS; i++) {
        h->bucket[i] += other->bucket[i];
    }
}


int64_t
bench_hist_percentile(const bench_hist_t *h, double p)
{
    size_t    i;
    double    rank;
    int64_t   edge;
    uint64_t  seen;

    if (h->count == 0) {
        return 0;
    }

    /* 99.9 is not a sum of powers of two: without the factor 99.9 % of 1,000
     * could be 1,000 */
    rank = ceil(p * (double) h->count / 100 * (1 - 1e-14));
    seen = 0;

    for (i = 0; i < BENCH_HIST_BUCKETS; i++) {
        seen += h->bucket[i];

        if (seen > 0 && (double) seen >= rank) {
            edge = bench_hist_edge(i);
            return edge < h->max ? edge : h->max;
        }
    }

    return h->max;
}


double
bench_hist_mean(const bench_hist_t *h)
{
    return h->count ? h->sum / (double) h->count : 0;
}


double
bench_hist_deviation(const bench_hist_t *h)
{
    double  mean, variance;

    if (h->count == 0) {
        return 0;
    }

    mean = h->sum / (double) h->count;
    variance = h->squares / (double) h->count - mean * mean;

    /* equal values: rounding may leave less than nothing */
    return variance > 0 ? sqrt(variance) : 0;
}


int
bench_hist_next(const bench_hist_t *h, size_t *i, int64_t *edge,
    uint64_t *count)
{
    while (*i < BENCH_HIST_BUCKETS) {

        if (h->bucket[*i]) {
            *edge = bench_hist_edge(*i);
            *count = h->bucket[*i];
            (*i)++;
            return 1;
        }

        (*i)++;
    }

    return 0;
}
