/*
 * What is computed from a tally when the run is over, the same for the table
 * and for the JSON, and the figures of one request.  Every figure has its
 * formula here.  It must never count while requests run.
 */

#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include "bench.h"
#include "bench_options.h"


/* Of one record, ns.  When its latency starts: when it was due if there is a
 * rate (so that a late client does not hide latency), else when it was sent.
 * The others are -1 where the record does not say (no content, fewer than two
 * tokens). */
int64_t bench_figures_start(const bench_options_t *o, const bench_record_t *r);
int64_t bench_figures_ttft(const bench_options_t *o, const bench_record_t *r);
int64_t bench_figures_e2el(const bench_options_t *o, const bench_record_t *r);
int64_t bench_figures_tpot(const bench_options_t *o, const bench_record_t *r);


typedef struct {
    uint64_t      completed;
    uint64_t      failed;
    uint64_t      aborted;
    uint64_t      good;             /* within every --goodput */
    uint64_t      input_tokens;     /* of completed requests */
    uint64_t      output_tokens;
    double        duration;         /* seconds, > 0 */
    double        peak_tokens;      /* of a second */
    uint64_t      peak_requests;    /* in flight */
    int64_t       stalls;           /* gaps > 10 x the median; -1: the
                                       median is 0, that says nothing */
} bench_figures_t;

void bench_figures_make(bench_figures_t *f, const bench_options_t *o,
    const bench_tally_t *t);

/* The metrics of --percentile-metrics, in the order of their bits. */
typedef struct {
    unsigned             bit;       /* BENCH_TTFT ... */
    const char          *key;       /* "ttft" */
    const char          *name;      /* "TTFT" */
    const char          *title;     /* "Time to First Token" */
} bench_metric_t;

#define BENCH_METRICS  4

extern const bench_metric_t  bench_metrics[BENCH_METRICS];

const bench_hist_t *bench_figures_hist(const bench_tally_t *t, unsigned bit);

/* "99", "99.9": a percentile as options and keys write it. */
#define BENCH_PERCENTILE_TEXT  24

void bench_figures_percentile(char text[BENCH_PERCENTILE_TEXT], double p);

/* The local time now, as results and their names say it. */
#define BENCH_DATE  32

void bench_figures_date(char text[BENCH_DATE]);

/* Name and formula; ended by NULL. */
typedef struct {
    const char          *key;
    const char          *text;
} bench_formula_t;

extern const bench_formula_t  bench_formulas[];


#endif /* BENCH_FIGURES_H */
