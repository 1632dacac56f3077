/*
 * The table: the layout of `vllm bench serve`, below it what a proxy did, and
 * the formulas.  It must never print a header's value.
 */

#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "bench.h"
#include "bench_options.h"


/* f has an error set (ferror()) when it could not be written. */
void bench_report(FILE *f, const bench_options_t *o, const bench_tally_t *t);


#endif /* BENCH_REPORT_H */
