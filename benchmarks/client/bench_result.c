/*
 * The result's JSON: which keys it has and what they say.  Its file is
 * not known here.
 */

#include <math.h>

#include "bench_figures.h"
#include "bench_json.h"
#include "bench_result.h"


#define BENCH_RESULT_SCHEMA  1

#define bench_seconds(ns)  ((double) (ns) / (double) BENCH_S)

/* A number of each record, for --save-detailed. */
typedef double (*bench_result_pt)(const bench_options_t *o,
    const bench_record_t *r);


static void
bench_result_metric(bench_json_t *j, const bench_options_t *o,
    const bench_tally_t *t, const bench_metric_t *m)
{
    char                 key[64], word[BENCH_PERCENTILE_TEXT];
    size_t               i;
    const bench_hist_t  *h;

    h = bench_figures_hist(t, m->bit);

    snprintf(key, sizeof(key), "mean_%s_ms", m->key);
    bench_json_number(j, key, bench_hist_mean(h) / (double) BENCH_MS);

    snprintf(key, sizeof(key), "median_%s_ms", m->key);
    bench_json_number(j, key, (double) bench_hist_percentile(h, 50)
                              / (double) BENCH_MS);

    snprintf(key, sizeof(key), "std_%s_ms", m->key);
    bench_json_number(j, key, bench_hist_deviation(h) / (double) BENCH_MS);

    for (i = 0; i < o->npercentiles; i++) {
        bench_figures_percentile(word, o->percentiles[i]);
        snprintf(key, sizeof(key), "p%s_%s_ms", word, m->key);
        bench_json_number(j, key,
                          (double) bench_hist_percentile(h, o->percentiles[i])
                          / (double) BENCH_MS);
    }
}


/* A number that is "inf" when it is 0. */
static void
bench_result_or_inf(bench_json_t *j, const char *key, double value)
{
    if (value > 0) {
        bench_json_number(j, key, value);

    } else {
        bench_json_string(j, key, "inf");
    }
}


static void
bench_result_head(bench_json_t *j, const bench_options_t *o)
{
    char  date[BENCH_DATE];

    bench_figures_date(date);

    bench_json_string(j, "date", date);
    bench_json_string(j, "label", o->label);
    bench_json_string(j, "backend", "llm-bench");
    bench_json_string(j, "endpoint_type", o->dialect);
    bench_json_string(j, "model_id", o->model);
    bench_json_uint(j, "num_prompts", o->num_prompts);
    bench_result_or_inf(j, "request_rate", o->request_rate);
    bench_result_or_inf(j, "burstiness", o->burstiness);

    if (o->max_concurrency) {
        bench_json_uint(j, "max_concurrency", o->max_concurrency);

    } else {
        bench_json_null(j, "max_concurrency");
    }
}


static int
bench_result_has_goodput(const bench_options_t *o)
{
    size_t  i;

    for (i = 0; i < BENCH_METRICS; i++) {
        if (o->goodput[i] >= 0) {
            return 1;
        }
    }

    return 0;
}


static void
bench_result_figures(bench_json_t *j, const bench_options_t *o,
    const bench_tally_t *t, const bench_figures_t *f)
{
    size_t  i;

    bench_json_number(j, "duration", f->duration);
    bench_json_uint(j, "completed", f->completed);
    bench_json_uint(j, "failed", f->failed);
    bench_json_uint(j, "total_input_tokens", f->input_tokens);
    bench_json_uint(j, "total_output_tokens", f->output_tokens);
    bench_json_number(j, "request_throughput",
                      (double) f->completed / f->duration);

    if (bench_result_has_goodput(o)) {
        bench_json_number(j, "request_goodput",
                          (double) f->good / f->duration);
    } else {
        bench_json_null(j, "request_goodput");
    }

    bench_json_number(j, "output_throughput",
                      (double) f->output_tokens / f->duration);
    bench_json_number(j, "total_token_throughput",
                      (double) (f->input_tokens + f->output_tokens)
                      / f->duration);
    bench_json_number(j, "max_output_tokens_per_s", f->peak_tokens);
    bench_json_uint(j, "max_concurrent_requests", f->peak_requests);

    for (i = 0; i < BENCH_METRICS; i++) {
        bench_result_metric(j, o, t, &bench_metrics[i]);
    }
}


static double
bench_result_input(const bench_options_t *o, const bench_record_t *r)
{
    return r->input_tokens >= 0 ? (double) r->input_tokens
                                : (double) o->input_len;
}


static double
bench_result_output(const bench_options_t *o, const bench_record_t *r)
{
    (void) o;

    return r->output_tokens > 0 ? (double) r->output_tokens : 0;
}


static double
bench_result_ttft(const bench_options_t *o, const bench_record_t *r)
{
    int64_t  ns;

    ns = bench_figures_ttft(o, r);

    return ns > 0 ? bench_seconds(ns) : 0;
}


static double
bench_result_latency(const bench_options_t *o, const bench_record_t *r)
{
    int64_t  ns;

    ns = bench_figures_e2el(o, r);

    return ns > 0 ? bench_seconds(ns) : 0;
}


static double
bench_result_sent(const bench_options_t *o, const bench_record_t *r)
{
    (void) o;

    return bench_seconds(r->sent);
}


static double
bench_result_queue(const bench_options_t *o, const bench_record_t *r)
{
    (void) o;

    return bench_seconds(r->queued);
}


static void
bench_result_list(bench_json_t *j, const bench_options_t *o,
    const bench_tally_t *t, const char *key, bench_result_pt number)
{
    size_t  i;

    bench_json_begin(j, key, "[");

    for (i = 0; i < t->nrecords; i++) {
        bench_json_number(j, NULL, number(o, &t->records[i]));
    }

    bench_json_end(j, "]");
}


/* One entry a request, as vLLM's: 0 or "" where it has nothing to say. */
static void
bench_result_detailed(bench_json_t *j, const bench_options_t *o,
    const bench_tally_t *t)
{
    size_t                 i;
    uint64_t               k;
    const bench_record_t  *r;

    bench_result_list(j, o, t, "input_lens", bench_result_input);
    bench_result_list(j, o, t, "output_lens", bench_result_output);
    bench_result_list(j, o, t, "ttfts", bench_result_ttft);
    bench_result_list(j, o, t, "latencies", bench_result_latency);
    bench_result_list(j, o, t, "start_times", bench_result_sent);
    bench_result_list(j, o, t, "queue_times", bench_result_queue);

    bench_json_begin(j, "itls", "[");

    for (i = 0; i < t->nrecords; i++) {
        r = &t->records[i];
        bench_json_begin(j, NULL, "[");

        for (k = 1; r->gaps && k < r->events; k++) {
            bench_json_number(j, NULL, bench_seconds(r->gaps[k - 1]));
        }

        bench_json_end(j, "]");
    }

    bench_json_end(j, "]");
    bench_json_begin(j, "errors", "[");

    for (i = 0; i < t->nrecords; i++) {
        r = &t->records[i];
        bench_json_string(j, NULL,
                          r->error >= 0 && (size_t) r->error < t->nerrors
                          ? t->errors[r->error].what : "");
    }

    bench_json_end(j, "]");
}


static void
bench_result_errors(bench_json_t *j, const bench_tally_t *t)
{
    size_t  i;

    bench_json_begin(j, "errors_summary", "{");

    for (i = 0; i < t->nerrors; i++) {
        bench_json_uint(j, t->errors[i].what, t->errors[i].count);
    }

    bench_json_end(j, "}");
}


static void
bench_result_formulas(bench_json_t *j)
{
    const bench_formula_t  *row;

    bench_json_begin(j, "formulas", "{");

    for (row = bench_formulas; row->key; row++) {
        bench_json_string(j, row->key, row->text);
    }

    bench_json_end(j, "}");
}


static void
bench_result_hists(bench_json_t *j, const bench_tally_t *t)
{
    bench_json_hist(j, "ttft_ms", &t->ttft, 1e6);
    bench_json_hist(j, "ttft_role_ms", &t->ttft_role, 1e6);
    bench_json_hist(j, "queue_time_ms", &t->queue_time, 1e6);
    bench_json_hist(j, "event_delay_us", &t->event_delay, 1e3);
    bench_json_hist(j, "first_event_delay_us", &t->first_delay, 1e3);
    bench_json_hist(j, "mock_emit_lag_us", &t->emit_lag, 1e3);
    bench_json_hist(j, "client_lag_us", &t->client_lag, 1e3);
    bench_json_hist(j, "schedule_delay_us", &t->schedule_delay, 1e3);
    bench_json_hist(j, "event_bytes", &t->event_bytes, 1);
    bench_json_hist(j, "read_bytes", &t->read_bytes, 1);
}


static void
bench_result_stamps(bench_json_t *j, const bench_options_t *o,
    const bench_tally_t *t)
{
    size_t  i;

    const struct {
        const char  *key;
        uint64_t     value;
    } rows[] = {
        { "lost", t->lost },
        { "duplicated", t->duplicated },
        { "reordered", t->reordered },
        { "corrupted", t->corrupted }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (o->stamps) {
            bench_json_uint(j, rows[i].key, rows[i].value);

        } else {
            bench_json_null(j, rows[i].key);
        }
    }
}


/* NaN, which is written as null, where there is nothing to divide by. */
static double
bench_result_ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}


static void
bench_result_cpu(bench_json_t *j, const bench_cpu_t *c)
{
    if (!c->known) {
        bench_json_null(j, "cpu");
        return;
    }

    bench_json_begin(j, "cpu", "{");
    bench_json_string(j, "window", c->steady ? "steady" : "run");
    bench_json_number(j, "wall_s", c->wall);
    bench_json_number(j, "proxy_s", c->proxy);
    bench_json_number(j, "client_s", c->client);
    bench_json_number(j, "client_wait_s", c->wait);
    bench_json_uint(j, "events", c->events);
    bench_json_number(j, "proxy_us_per_event",
                      bench_result_ratio(c->proxy * 1e6, (double) c->events));
    bench_json_number(j, "client_us_per_event",
                      bench_result_ratio(c->client * 1e6, (double) c->events));
    bench_json_number(j, "proxy_s_per_mtok",
                      bench_result_ratio(c->proxy * 1e6, (double) c->tokens));
    bench_json_end(j, "}");
}


static void
bench_result_memory(bench_json_t *j, const bench_memory_t *m)
{
    if (!m->known) {
        bench_json_null(j, "memory");
        return;
    }

    bench_json_begin(j, "memory", "{");
    bench_json_uint(j, "streams", m->streams);
    bench_json_number(j, "idle_kb", (double) m->idle_kb);
    bench_json_number(j, "steady_kb", (double) m->steady_kb);
    bench_json_number(j, "after_kb", (double) m->after_kb);
    bench_json_number(j, "kb_per_stream",
                      bench_result_ratio((double) (m->steady_kb - m->idle_kb),
                                         (double) m->streams));
    bench_json_end(j, "}");
}


static void
bench_result_proxy(bench_json_t *j, const bench_options_t *o,
    const bench_tally_t *t, const bench_figures_t *f, const char *curl_version)
{
    bench_json_begin(j, "proxy", "{");
    bench_json_uint(j, "schema", BENCH_RESULT_SCHEMA);
    bench_json_string(j, "engine",
                      o->engine == BENCH_ENGINE_RAW ? "raw" : "curl");
    bench_json_string(j, "libcurl", curl_version);
    bench_json_string(j, "http_version", o->http2 ? "2" : "1.1");
    bench_json_uint(j, "processes", o->processes);
    bench_json_flag(j, "stopped", t->stopped);
    bench_json_uint(j, "aborted", f->aborted);
    bench_json_uint(j, "events", t->events);
    bench_json_uint(j, "tokens", t->tokens);
    bench_json_uint(j, "bytes", t->bytes);
    bench_json_uint(j, "reads", t->reads);
    bench_json_number(j, "event_throughput",
                      (double) t->events / f->duration);
    bench_json_number(j, "byte_throughput", (double) t->bytes / f->duration);
    bench_json_number(j, "events_per_read",
                      bench_result_ratio((double) t->events,
                                         (double) t->reads));
    bench_json_number(j, "bytes_per_read",
                      t->read_bytes.count ? bench_hist_mean(&t->read_bytes)
                                          : NAN);
    bench_result_hists(j, t);
    bench_result_stamps(j, o, t);

    if (f->stalls >= 0) {
        bench_json_uint(j, "stalls", (uint64_t) f->stalls);

    } else {
        bench_json_null(j, "stalls");
    }

    bench_json_number(j, "client_wait_s", t->cpu.run_wait);
    bench_result_cpu(j, &t->cpu);
    bench_result_memory(j, &t->memory);
    bench_json_end(j, "}");
}


int
bench_result_write(FILE *f, const bench_options_t *o, const bench_tally_t *t,
    const char *curl_version)
{
    bench_json_t     j;
    bench_figures_t  figures;

    bench_figures_make(&figures, o, t);

    bench_json_open(&j, f);
    bench_json_begin(&j, NULL, "{");

    bench_result_head(&j, o);
    bench_result_figures(&j, o, t, &figures);
    bench_result_errors(&j, t);

    if (o->save_detailed) {
        bench_result_detailed(&j, o, t);
    }

    bench_result_formulas(&j);
    bench_result_proxy(&j, o, t, &figures, curl_version);
    bench_json_end(&j, "}");

    return bench_json_close(&j);
}
