/*
 * The table.  Labels take 40 columns, values 10 or what they need; titles are
 * centred in 50.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "bench_figures.h"
#include "bench_report.h"


#define BENCH_REPORT_WIDTH  50


static void
bench_report_title(FILE *f, const char *title, char fill)
{
    int  i, left, n;

    n = (int) strlen(title);
    left = (BENCH_REPORT_WIDTH - n) / 2;

    for (i = 0; i < left; i++) {
        fputc(fill, f);
    }

    fputs(title, f);

    for (i = left + n; i < BENCH_REPORT_WIDTH; i++) {
        fputc(fill, f);
    }

    fputc('\n', f);
}


__attribute__((format(printf, 3, 4)))
static void
bench_report_row(FILE *f, const char *label, const char *value, ...)
{
    va_list  args;

    fprintf(f, "%-40s ", label);
    va_start(args, value);
    vfprintf(f, value, args);
    va_end(args);
    fputc('\n', f);
}


static void
bench_report_head(FILE *f, const bench_options_t *o, const bench_figures_t *r)
{
    size_t  i;

    bench_report_title(f, " Serving Benchmark Result ", '=');
    bench_report_row(f, "Successful requests:", "%" PRIu64, r->completed);
    bench_report_row(f, "Failed requests:", "%" PRIu64, r->failed);

    if (o->max_concurrency) {
        bench_report_row(f, "Maximum request concurrency:", "%" PRIu64,
                         o->max_concurrency);
    }

    if (o->request_rate > 0) {
        bench_report_row(f, "Request rate configured (RPS):", "%.2f",
                         o->request_rate);
    }

    bench_report_row(f, "Benchmark duration (s):", "%.2f", r->duration);
    bench_report_row(f, "Total input tokens:", "%" PRIu64, r->input_tokens);
    bench_report_row(f, "Total generated tokens:", "%" PRIu64,
                     r->output_tokens);
    bench_report_row(f, "Request throughput (req/s):", "%.2f",
                     (double) r->completed / r->duration);

    for (i = 0; i < BENCH_METRICS; i++) {
        if (o->goodput[i] >= 0) {
            bench_report_row(f, "Request goodput (req/s):", "%.2f",
                             (double) r->good / r->duration);
            break;
        }
    }

    bench_report_row(f, "Output token throughput (tok/s):", "%.2f",
                     (double) r->output_tokens / r->duration);
    bench_report_row(f, "Peak output token throughput (tok/s):", "%.2f",
                     r->peak_tokens);
    bench_report_row(f, "Peak concurrent requests:", "%.2f",
                     (double) r->peak_requests);
    bench_report_row(f, "Total token throughput (tok/s):", "%.2f",
                     (double) (r->input_tokens + r->output_tokens)
                     / r->duration);
}


static void
bench_report_metric(FILE *f, const bench_options_t *o,
    const bench_metric_t *m, const bench_hist_t *h)
{
    char    label[64], word[BENCH_PERCENTILE_TEXT];
    size_t  i;

    bench_report_title(f, m->title, '-');

    snprintf(label, sizeof(label), "Mean %s (ms):", m->name);
    bench_report_row(f, label, "%.2f", bench_hist_mean(h) / 1e6);

    snprintf(label, sizeof(label), "Median %s (ms):", m->name);
    bench_report_row(f, label, "%.2f",
                     (double) bench_hist_percentile(h, 50) / 1e6);

    for (i = 0; i < o->npercentiles; i++) {
        bench_figures_percentile(word, o->percentiles[i]);
        snprintf(label, sizeof(label), "P%s %s (ms):", word, m->name);
        bench_report_row(f, label, "%.2f",
                         (double) bench_hist_percentile(h, o->percentiles[i])
                         / 1e6);
    }
}


/* P50, P99, P99.9 and the largest of a distribution, if there is one. */
static void
bench_report_hist(FILE *f, const char *label, const bench_hist_t *h,
    double scale)
{
    if (h->count == 0) {
        return;
    }

    bench_report_row(f, label, "%.1f / %.1f / %.1f / %.1f",
                     (double) bench_hist_percentile(h, 50) / scale,
                     (double) bench_hist_percentile(h, 99) / scale,
                     (double) bench_hist_percentile(h, 99.9) / scale,
                     (double) h->max / scale);
}


static void
bench_report_reads(FILE *f, const bench_tally_t *t, const bench_figures_t *r)
{
    bench_report_row(f, "Content events:", "%" PRIu64, t->events);
    bench_report_row(f, "Event throughput (ev/s):", "%.2f",
                     (double) t->events / r->duration);
    bench_report_row(f, "Byte throughput (MB/s):", "%.2f",
                     (double) t->bytes / r->duration / 1e6);

    if (t->reads) {
        bench_report_row(f, "Events per read:", "%.2f",
                         (double) t->events / (double) t->reads);
    }

    if (t->read_bytes.count) {
        bench_report_row(f, "Bytes per read:", "%.1f",
                         bench_hist_mean(&t->read_bytes));
    }

    if (t->event_bytes.count) {
        bench_report_row(f, "Bytes per event:", "%.1f",
                         bench_hist_mean(&t->event_bytes));
    }
}


static void
bench_report_delays(FILE *f, const bench_options_t *o, const bench_tally_t *t,
    const bench_figures_t *r)
{
    fputs("P50 / P99 / P99.9 / max of\n", f);
    bench_report_hist(f, "  TTFT incl. role chunk (ms):", &t->ttft_role, 1e6);
    bench_report_hist(f, "  Queue time (ms):", &t->queue_time, 1e6);
    bench_report_hist(f, "  Event delay (us):", &t->event_delay, 1e3);
    bench_report_hist(f, "  First event delay (us):", &t->first_delay, 1e3);
    bench_report_hist(f, "  Mock emit lag (us):", &t->emit_lag, 1e3);
    bench_report_hist(f, "  Client lag (us):", &t->client_lag, 1e3);
    bench_report_hist(f, "  Schedule delay (us):", &t->schedule_delay, 1e3);

    if (o->stamps) {
        bench_report_row(f, "Lost / dup. / reordered / corrupted:",
                         "%" PRIu64 " / %" PRIu64 " / %" PRIu64 " / %" PRIu64,
                         t->lost, t->duplicated, t->reordered, t->corrupted);
    }

    if (r->stalls >= 0) {
        bench_report_row(f, "Stalls (gaps > 10 x median ITL):", "%" PRId64,
                         r->stalls);
    }
}


static void
bench_report_costs(FILE *f, const bench_cpu_t *c, const bench_memory_t *m)
{
    if (c->known && c->events) {
        bench_report_row(f, "CPU window, its events:", "%s, %" PRIu64,
                         c->steady ? "steady" : "run", c->events);
        bench_report_row(f, "Proxy CPU per event (us):", "%.2f",
                         c->proxy * 1e6 / (double) c->events);
        bench_report_row(f, "Client CPU per event (us):", "%.2f",
                         c->client * 1e6 / (double) c->events);
    }

    if (c->known && c->tokens) {
        bench_report_row(f, "Proxy CPU per million tokens (s):", "%.2f",
                         c->proxy * 1e6 / (double) c->tokens);
    }

    if (m->known) {
        bench_report_row(f, "Proxy memory idle / steady / after (kB):",
                         "%" PRId64 " / %" PRId64 " / %" PRId64,
                         m->idle_kb, m->steady_kb, m->after_kb);
    }

    if (m->known && m->streams) {
        bench_report_row(f, "Proxy memory per stream (kB):", "%.2f",
                         (double) (m->steady_kb - m->idle_kb)
                         / (double) m->streams);
    }
}


/* Texts of errors may come from a server: what could move a terminal's cursor
 * does not get there. */
static void
bench_report_errors(FILE *f, const bench_tally_t *t)
{
    size_t       i;
    const char  *p;

    if (t->nerrors) {
        bench_report_title(f, "Errors", '-');
    }

    for (i = 0; i < t->nerrors; i++) {
        fprintf(f, "%" PRIu64 " x ", t->errors[i].count);

        for (p = t->errors[i].what; *p; p++) {
            fputc((unsigned char) *p < 0x20 || *p == 0x7f ? '?' : *p, f);
        }

        fputc('\n', f);
    }
}


static void
bench_report_formulas(FILE *f)
{
    const bench_formula_t  *row;

    bench_report_title(f, "Formulas", '-');

    for (row = bench_formulas; row->key; row++) {
        fprintf(f, "%-23s = %s\n", row->key, row->text);
    }
}


void
bench_report(FILE *f, const bench_options_t *o, const bench_tally_t *t)
{
    size_t           i;
    bench_figures_t  figures;

    bench_figures_make(&figures, o, t);
    bench_report_head(f, o, &figures);

    for (i = 0; i < BENCH_METRICS; i++) {
        if (o->metrics & bench_metrics[i].bit) {
            bench_report_metric(f, o, &bench_metrics[i],
                                bench_figures_hist(t, bench_metrics[i].bit));
        }
    }

    bench_report_title(f, "Proxy", '-');

    if (figures.aborted) {
        bench_report_row(f, "Aborted requests:", "%" PRIu64, figures.aborted);
    }

    bench_report_reads(f, t, &figures);
    bench_report_delays(f, o, t, &figures);
    bench_report_costs(f, &t->cpu, &t->memory);
    bench_report_errors(f, t);
    bench_report_formulas(f);
    bench_report_title(f, "", '=');
}
