/*
 * The result as JSON: the keys of `vllm bench serve --save-result`, beside
 * them "formulas" and "proxy".  It must never hold a header's value: those are
 * keys of accounts.
 */

#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H

#include <stdio.h>

#include "bench.h"
#include "bench_options.h"


/* curl_version: "7.88.1", or NULL with the raw engine.  0, or -1: f could
 * not be written. */
int bench_result_write(FILE *f, const bench_options_t *o,
    const bench_tally_t *t, const char *curl_version);

/*
 * Writes the file that --result-dir and --result-filename name (its name is
 * else made of label, rate, concurrency, model and time, as vLLM's); the
 * folder is made.  The file is there whole or not at all.  0, or -1 with a
 * message on stderr.
 */
int bench_result_save(const bench_options_t *o, const bench_tally_t *t,
    const char *curl_version);


#endif /* BENCH_RESULT_H */
