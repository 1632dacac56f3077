/*
 * When requests are due: an absolute schedule, made before the first one is
 * sent.  It owns the arithmetic of arrivals; it must never know how late
 * requests really are.
 */

#ifndef BENCH_SCHEDULE_H
#define BENCH_SCHEDULE_H

#include "bench_options.h"


/*
 * Offsets from the start of n requests, ns, ascending, the first 0; the
 * caller frees them..  The seed decides.
 *
 * With a rate, gaps are gamma distributed (shape: burstiness) and scaled so
 * that the last offset is (n - 1) / rate.  Without one all are 0, or with a
 * ramp the first max_concurrency (else all) are spread evenly over it and the
 * others are due with the last of those.
 */
int64_t *bench_schedule_make(const bench_options_t *o, size_t n);


#endif /* BENCH_SCHEDULE_H */
