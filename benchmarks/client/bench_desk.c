/*
 * The desk.  It owns the line on stderr, and writes it to a terminal only; it
 * must never write anything else.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench_desk.h"


#define BENCH_DESK_EVERY  (500 * BENCH_MS)


static void
bench_desk_next(bench_desk_t *d)
{
    d->wake = d->meter.next;

    if (d->progress != 0 && (d->wake == 0 || d->progress < d->wake)) {
        d->wake = d->progress;
    }
}


void
bench_desk_begin(bench_desk_t *d, const bench_options_t *o,
    const bench_counts_t *counts, size_t n, const pid_t *children,
    size_t nchildren)
{
    memset(d, 0, sizeof(bench_desk_t));

    d->options = o;
    d->counts = counts;
    d->n = n;

    bench_meter_begin(&d->meter, o, counts, n, children, nchildren);

    d->written = d->meter.began.at;

    if (isatty(STDERR_FILENO)) {
        d->progress = d->written + BENCH_DESK_EVERY;
    }

    bench_desk_next(d);
}


static void
bench_desk_line(bench_desk_t *d, int64_t now)
{
    size_t    i;
    double    seconds;
    uint64_t  events, open, ended;

    events = 0;
    open = 0;
    ended = 0;

    for (i = 0; i < d->n; i++) {
        events += d->counts[i].events;
        open += d->counts[i].open;
        ended += d->counts[i].ended;
    }

    seconds = (double) (now - d->written) / BENCH_S;

    fprintf(stderr, "\r%llu of %llu requests, %llu open, %.0f events/s\033[K",
            (unsigned long long) ended,
            (unsigned long long) d->options->num_prompts,
            (unsigned long long) open,
            (double) (events - d->events) / seconds);

    d->events = events;
    d->written = now;
    d->progress = now + BENCH_DESK_EVERY;
}


void
bench_desk_look(bench_desk_t *d, int64_t now)
{
    bench_meter_look(&d->meter, now);

    if (d->progress != 0 && now >= d->progress) {
        bench_desk_line(d, now);
    }

    bench_desk_next(d);
}


void
bench_desk_end(bench_desk_t *d)
{
    bench_meter_end(&d->meter);

    if (d->progress != 0) {
        fputs("\r\033[K", stderr);
        d->progress = 0;
    }

    d->wake = 0;
}
