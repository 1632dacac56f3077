/*
 * Arrivals.  The generator and the gamma distribution are those of the mock's
 * paces; here gaps become offsets that end where the rate says.
 */

#include <math.h>

#include "bench.h"
#include "bench_memory.h"
#include "bench_schedule.h"
#include "mock_delay.h"


/* The mock's streams may be given the same seed: arrivals must not follow the
 * gaps within streams. */
#define BENCH_SCHEDULE_SALT  0x617272697665u

/* The mean gap in units of the generator, which gives whole numbers: large, so
 * that nothing is lost by that.  The scale comes from the rate. */
#define BENCH_SCHEDULE_MEAN  1e9


static void
bench_schedule_rate(const bench_options_t *o, int64_t *at, size_t n)
{
    size_t        i;
    double        spread, scale;
    mock_delay_t  gaps;

    spread = o->burstiness > 0 ? BENCH_SCHEDULE_MEAN / sqrt(o->burstiness) : 0;

    mock_delay_init(&gaps, MOCK_DIST_GAMMA, BENCH_SCHEDULE_MEAN, spread,
                    mock_delay_hash(o->seed, BENCH_SCHEDULE_SALT));

    for (i = 1; i < n; i++) {
        at[i] = at[i - 1] + mock_delay_next(&gaps);
    }

    /* a sum of gaps that are all but 0 says nothing: the last is at its place
     * all the same */
    if (at[n - 1] == 0) {
        at[n - 1] = 1;
    }

    scale = (double) (n - 1) / o->request_rate * (double) BENCH_S
            / (double) at[n - 1];

    for (i = 1; i < n; i++) {
        at[i] = llround((double) at[i] * scale);
    }
}


static void
bench_schedule_ramp(const bench_options_t *o, int64_t *at, size_t n)
{
    size_t  i, first;

    first = o->max_concurrency && o->max_concurrency < n
            ? (size_t) o->max_concurrency : n;

    for (i = 1; i < n; i++) {
        at[i] = i < first ? llround(o->ramp * (double) BENCH_S * (double) i
                                    / (double) first)
                          : at[i - 1];
    }
}


int64_t *
bench_schedule_make(const bench_options_t *o, size_t n)
{
    int64_t  *at;

    at = bench_alloc_zero(n, sizeof(int64_t));

    if (n < 2) {
        return at;
    }

    if (o->request_rate > 0) {
        bench_schedule_rate(o, at, n);

    } else {
        bench_schedule_ramp(o, at, n);
    }

    return at;
}
