/*
 * Figures of a run and their formulas.
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench_figures.h"
#include "bench_memory.h"


typedef struct {
    int64_t   at;
    int       step;                 /* 1: a request began, -1: one ended */
} bench_edge_t;


const bench_metric_t  bench_metrics[BENCH_METRICS] = {
    { BENCH_TTFT, "ttft", "TTFT", "Time to First Token" },
    { BENCH_TPOT, "tpot", "TPOT", "Time per Output Token (excl. 1st token)" },
    { BENCH_ITL, "itl", "ITL", "Inter-token Latency" },
    { BENCH_E2EL, "e2el", "E2EL", "End-to-end Latency" }
};


/* Each fits a line of the table. */
const bench_formula_t  bench_formulas[] = {
    { "start", "when it was due if there is a rate, else when sent" },
    { "ttft", "first text or reasoning that is not empty - start" },
    { "tpot", "(E2EL - TTFT) / (output tokens - 1), one of a request" },
    { "itl", "gaps between content events, all requests together" },
    { "e2el", "last content event - start" },
    { "percentile", "smallest value that p % of all do not exceed, to 0.1 %" },
    { "output_tokens", "as usage says, else content events" },
    { "input_tokens", "as usage says, else words of the prompt" },
    { "duration", "last end - first due, warm-ups left out" },
    { "throughput", "of completed requests, / duration" },
    { "request_goodput", "requests within all of --goodput / duration" },
    { "max_output_tokens_per_s", "most tokens that came in one second" },
    { "max_concurrent_requests", "most requests sent and not ended at once" },
    { "completed", "200, a terminator and no error, within the timeout" },
    { "ttft_role", "first event of any kind - start" },
    { "event_throughput", "content events / duration" },
    { "byte_throughput", "bytes of bodies / duration" },
    { "events_per_read", "content events / reads that brought content" },
    { "bytes_per_read", "mean of what those reads brought" },
    { "event_delay", "return of the read - mock's clock, of every stamp" },
    { "first_event_delay", "event_delay of each stream's first token" },
    { "mock_emit_lag", "mock's clock before its write - when it was due" },
    { "client_lag", "return of the read - return of epoll_wait" },
    { "client_wait", "the client stood ready without a processor (schedstat)" },
    { "schedule_delay", "sent - due, without queue_time" },
    { "queue_time", "wait for a place below --max-concurrency" },
    { "lost", "stamps 1..N that never came" },
    { "duplicated", "stamps that came again" },
    { "reordered", "stamps that came after a higher one" },
    { "corrupted", "places that are no stamp or have a wrong check sum" },
    { "stalls", "gaps > 10 x median ITL" },
    { "cpu", "run time of all threads (schedstat) / content events" },
    { "cpu_window", "steady: last first content to first end; else the run" },
    { "memory", "(RssAnon steady - idle) / streams" },
    { NULL, NULL }
};


int64_t
bench_figures_start(const bench_options_t *o, const bench_record_t *r)
{
    return o->request_rate > 0 ? r->due : r->sent;
}


int64_t
bench_figures_ttft(const bench_options_t *o, const bench_record_t *r)
{
    return r->first_content ? r->first_content - bench_figures_start(o, r)
                            : -1;
}


int64_t
bench_figures_e2el(const bench_options_t *o, const bench_record_t *r)
{
    return r->last_content ? r->last_content - bench_figures_start(o, r) : -1;
}


int64_t
bench_figures_tpot(const bench_options_t *o, const bench_record_t *r)
{
    int64_t  first, last;

    first = bench_figures_ttft(o, r);
    last = bench_figures_e2el(o, r);

    return first >= 0 && last >= 0 && r->output_tokens > 1
           ? (last - first) / (r->output_tokens - 1) : -1;
}


/* A stream of one token has no time per token that could be too long. */
static int
bench_figures_good(const bench_options_t *o, const bench_record_t *r)
{
    size_t   i;
    int64_t  value[BENCH_METRICS];

    value[0] = bench_figures_ttft(o, r);
    value[1] = bench_figures_tpot(o, r);
    value[2] = 0;
    value[3] = bench_figures_e2el(o, r);

    if (value[0] >= 0 && value[1] == -1) {
        value[1] = 0;
    }

    for (i = 0; i < BENCH_METRICS; i++) {
        if (o->goodput[i] >= 0
            && (value[i] < 0
                || (double) value[i] > o->goodput[i] * (double) BENCH_MS))
        {
            return 0;
        }
    }

    return 1;
}


static void
bench_figures_count(bench_figures_t *f, const bench_options_t *o,
    const bench_record_t *r)
{
    switch (r->end) {

    case BENCH_COMPLETE:
        f->completed++;
        f->good += (uint64_t) bench_figures_good(o, r);
        f->input_tokens += r->input_tokens >= 0 ? (uint64_t) r->input_tokens
                                                : o->input_len;
        f->output_tokens += r->output_tokens > 0
                            ? (uint64_t) r->output_tokens : 0;
        break;

    case BENCH_FAILED:
        f->failed++;
        break;

    default:
        /* what was sent when a signal came is ended by us, too */
        f->aborted += r->sent != 0;
        break;
    }
}


/* Ends come before begins of the same time. */
static int
bench_figures_compare(const void *one, const void *two)
{
    const bench_edge_t  *a = one, *b = two;

    if (a->at != b->at) {
        return a->at < b->at ? -1 : 1;
    }

    return a->step - b->step;
}


static void
bench_figures_concurrency(bench_figures_t *f, const bench_tally_t *t)
{
    size_t                 i, n;
    int64_t                now;
    bench_edge_t          *edges;
    const bench_record_t  *r;

    edges = bench_alloc(2 * t->nrecords * sizeof(bench_edge_t));
    n = 0;

    for (i = 0; i < t->nrecords; i++) {
        r = &t->records[i];

        if (r->sent) {
            edges[n++] = (bench_edge_t) { r->sent, 1 };
            edges[n++] = (bench_edge_t) { r->ended ? r->ended : t->ended, -1 };
        }
    }

    qsort(edges, n, sizeof(bench_edge_t), bench_figures_compare);
    now = 0;

    for (i = 0; i < n; i++) {
        now += edges[i].step;

        if (now > (int64_t) f->peak_requests) {
            f->peak_requests = (uint64_t) now;
        }
    }

    free(edges);
}


static int64_t
bench_figures_stalls(const bench_hist_t *itl)
{
    size_t    i;
    int64_t   edge, limit, stalls;
    uint64_t  count;

    i = 0;
    stalls = 0;
    limit = 10 * bench_hist_percentile(itl, 50);

    if (itl->count && limit == 0) {
        return -1;
    }

    while (bench_hist_next(itl, &i, &edge, &count)) {
        if (edge > limit) {
            stalls += (int64_t) count;
        }
    }

    return stalls;
}


void
bench_figures_make(bench_figures_t *f, const bench_options_t *o,
    const bench_tally_t *t)
{
    size_t  i;

    *f = (bench_figures_t) { 0 };

    for (i = 0; i < t->nrecords; i++) {
        bench_figures_count(f, o, &t->records[i]);
    }

    for (i = 0; i < t->nper_second; i++) {
        if ((double) t->per_second[i] > f->peak_tokens) {
            f->peak_tokens = (double) t->per_second[i];
        }
    }

    f->duration = t->ended > t->began
                  ? (double) (t->ended - t->began) / (double) BENCH_S : 1e-9;
    f->stalls = bench_figures_stalls(&t->itl);

    bench_figures_concurrency(f, t);
}


const bench_hist_t *
bench_figures_hist(const bench_tally_t *t, unsigned bit)
{
    switch (bit) {
    case BENCH_TTFT:
        return &t->ttft;
    case BENCH_TPOT:
        return &t->tpot;
    case BENCH_ITL:
        return &t->itl;
    default:
        return &t->e2el;
    }
}


void
bench_figures_percentile(char text[BENCH_PERCENTILE_TEXT], double p)
{
    snprintf(text, BENCH_PERCENTILE_TEXT, "%.10g", p);
}


void
bench_figures_date(char text[BENCH_DATE])
{
    time_t     now;
    struct tm  tm;

    now = time(NULL);
    localtime_r(&now, &tm);
    strftime(text, BENCH_DATE, "%Y%m%d-%H%M%S", &tm);
}
