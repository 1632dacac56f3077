/*
 * The sums of a run.  It owns the records and what hangs on them; it must
 * never decide what a request was (that is the stream's).
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_figures.h"
#include "bench_memory.h"
#include "bench_tally.h"


bench_tally_t *
bench_tally_open(size_t n)
{
    size_t          i;
    bench_tally_t  *t;

    t = bench_alloc_zero(1, sizeof(bench_tally_t));

    t->records = bench_alloc_zero(n, sizeof(bench_record_t));
    t->nrecords = n;

    for (i = 0; i < n; i++) {
        t->records[i].input_tokens = -1;
        t->records[i].error = -1;
    }

    return t;
}


void
bench_tally_free(bench_tally_t *t)
{
    size_t  i;

    for (i = 0; i < t->nrecords; i++) {
        free(t->records[i].gaps);
    }

    free(t->records);
    free(t->per_second);
    free(t);
}


int
bench_tally_error(bench_tally_t *t, const char *what)
{
    size_t  i;

    for (i = 0; i < t->nerrors; i++) {
        if (strncmp(t->errors[i].what, what, sizeof(t->errors[i].what) - 1)
            == 0)
        {
            break;
        }
    }

    if (i == t->nerrors && i < BENCH_ERRORS) {
        (void) snprintf(t->errors[i].what, sizeof(t->errors[i].what), "%s",
                        i < BENCH_ERRORS - 1 ? what : "other");
        t->nerrors++;
    }

    if (i == BENCH_ERRORS) {
        i--;
    }

    t->errors[i].count++;

    return (int) i;
}


static void
bench_tally_seconds(bench_tally_t *t, size_t n)
{
    size_t  more;

    if (n <= t->nper_second) {
        return;
    }

    more = n - t->nper_second;

    t->per_second = bench_resize(t->per_second, n * sizeof(uint64_t));
    memset(t->per_second + t->nper_second, 0, more * sizeof(uint64_t));
    t->nper_second = n;
}


void
bench_tally_second(bench_tally_t *t, int64_t now, uint64_t tokens)
{
    size_t  i;

    i = now > t->began ? (size_t) ((now - t->began) / BENCH_S) : 0;

    bench_tally_seconds(t, i + 1);
    t->per_second[i] += tokens;
}


static void
bench_tally_record(bench_hist_t *h, int64_t v)
{
    if (v >= 0) {
        bench_hist_record(h, v);
    }
}


void
bench_tally_request(bench_tally_t *t, const bench_options_t *o,
    const bench_record_t *r)
{
    if (r->ended > t->ended) {
        t->ended = r->ended;
    }

    if (r->end != BENCH_COMPLETE) {
        return;
    }

    bench_tally_record(&t->ttft, bench_figures_ttft(o, r));
    bench_tally_record(&t->tpot, bench_figures_tpot(o, r));
    bench_tally_record(&t->e2el, bench_figures_e2el(o, r));

    if (r->first_event != 0) {
        bench_tally_record(&t->ttft_role,
                           r->first_event - bench_figures_start(o, r));
    }
}


static void
bench_tally_add_hists(bench_tally_t *t, const bench_tally_t *other)
{
    bench_hist_add(&t->ttft, &other->ttft);
    bench_hist_add(&t->ttft_role, &other->ttft_role);
    bench_hist_add(&t->tpot, &other->tpot);
    bench_hist_add(&t->itl, &other->itl);
    bench_hist_add(&t->e2el, &other->e2el);
    bench_hist_add(&t->event_delay, &other->event_delay);
    bench_hist_add(&t->first_delay, &other->first_delay);
    bench_hist_add(&t->emit_lag, &other->emit_lag);
    bench_hist_add(&t->client_lag, &other->client_lag);
    bench_hist_add(&t->schedule_delay, &other->schedule_delay);
    bench_hist_add(&t->queue_time, &other->queue_time);
    bench_hist_add(&t->event_bytes, &other->event_bytes);
    bench_hist_add(&t->read_bytes, &other->read_bytes);
}


static void
bench_tally_add_counts(bench_tally_t *t, const bench_tally_t *other)
{
    size_t  i;

    t->events += other->events;
    t->tokens += other->tokens;
    t->bytes += other->bytes;
    t->reads += other->reads;
    t->lost += other->lost;
    t->duplicated += other->duplicated;
    t->reordered += other->reordered;
    t->corrupted += other->corrupted;
    t->stopped |= other->stopped;

    if (t->began == 0 || (other->began != 0 && other->began < t->began)) {
        t->began = other->began;
    }

    if (other->ended > t->ended) {
        t->ended = other->ended;
    }

    bench_tally_seconds(t, other->nper_second);

    for (i = 0; i < other->nper_second; i++) {
        t->per_second[i] += other->per_second[i];
    }
}


/* Errors are told by their words: each process has its own numbers. */
static int
bench_tally_same_error(bench_tally_t *t, const bench_tally_t *other,
    const bench_record_t *r)
{
    if (r->error == -1) {
        return -1;
    }

    return bench_tally_error(t, other->errors[r->error].what);
}


void
bench_tally_add(bench_tally_t *t, bench_tally_t *other, size_t first,
    size_t step)
{
    size_t           i;
    bench_record_t  *to;

    bench_tally_add_hists(t, other);
    bench_tally_add_counts(t, other);

    for (i = 0; i < other->nrecords; i++) {
        to = &t->records[first + i * step];

        *to = other->records[i];
        to->error = bench_tally_same_error(t, other, to);
        other->records[i].gaps = NULL;
    }
}
