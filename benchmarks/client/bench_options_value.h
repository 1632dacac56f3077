/*
 * Kinds of values of the command line: from text to a member of
 * bench_options_t, checked.
 */

#ifndef BENCH_OPTIONS_VALUE_H
#define BENCH_OPTIONS_VALUE_H

#include "bench_options.h"


typedef struct bench_option_s  bench_option_t;

/* Takes a value.  NULL, or what is wrong with it: a text that does not hold
 * the value, which may be secret. */
typedef const char *(*bench_option_pt)(bench_options_t *o,
    const bench_option_t *row, const char *value);

struct bench_option_s {
    const char       *name;         /* NULL: a group's title is in help */
    const char       *arg;          /* NULL: a flag */
    const char       *value;        /* default, or NULL: not set */
    const char       *help;
    bench_option_pt   take;
    size_t            at;           /* of the member, for some */
    double            min;
    double            max;
};

/* Into the member at row->at. */
const char *bench_value_string(bench_options_t *o, const bench_option_t *row,
    const char *value);
const char *bench_value_uint(bench_options_t *o, const bench_option_t *row,
    const char *value);
const char *bench_value_number(bench_options_t *o, const bench_option_t *row,
    const char *value);
const char *bench_value_flag(bench_options_t *o, const bench_option_t *row,
    const char *value);

/* A number above 0, or "inf", which is kept as 0. */
const char *bench_value_inf(bench_options_t *o, const bench_option_t *row,
    const char *value);

/* Into members of their own. */
const char *bench_value_url(bench_options_t *o, const bench_option_t *row,
    const char *value);
const char *bench_value_dialect(bench_options_t *o, const bench_option_t *row,
    const char *value);
const char *bench_value_header(bench_options_t *o, const bench_option_t *row,
    const char *value);
const char *bench_value_json(bench_options_t *o, const bench_option_t *row,
    const char *value);
const char *bench_value_http(bench_options_t *o, const bench_option_t *row,
    const char *value);
const char *bench_value_processes(bench_options_t *o,
    const bench_option_t *row, const char *value);
const char *bench_value_pids(bench_options_t *o, const bench_option_t *row,
    const char *value);
const char *bench_value_engine(bench_options_t *o, const bench_option_t *row,
    const char *value);
const char *bench_value_metrics(bench_options_t *o, const bench_option_t *row,
    const char *value);
const char *bench_value_percentiles(bench_options_t *o,
    const bench_option_t *row, const char *value);
const char *bench_value_goodput(bench_options_t *o, const bench_option_t *row,
    const char *value);


#endif /* BENCH_OPTIONS_VALUE_H */
