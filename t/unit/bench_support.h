/*
 * A run of the load client that never was: four requests of which every
 * figure can be computed by hand.  For the tests of what is made of it.
 *
 *     ms   due   sent  first content  last  ended  tokens
 *     0    1000  1000  1010           1050  1060   5        complete
 *     1    1000  1000  1020           1020  1030   1        complete
 *     2    1000  1030  -              -     1040   -        failed
 *     3    1000  1060  1065           1065  1070   1        aborted
 *
 * It is measured from 1000 to 3000 ms.
 */

#ifndef BENCH_SUPPORT_H
#define BENCH_SUPPORT_H

#include "unit_support.h"

#include "bench.h"
#include "bench_figures.h"
#include "bench_options.h"


#define RECORDS  4

static const bench_record_t  run_records[RECORDS] = {
    { 1000 * BENCH_MS, 1000 * BENCH_MS, 1005 * BENCH_MS, 1010 * BENCH_MS,
      1050 * BENCH_MS, 1060 * BENCH_MS, 500, 5, 7, 5, BENCH_COMPLETE, -1,
      NULL, 0 },
    { 1000 * BENCH_MS, 1000 * BENCH_MS, 1020 * BENCH_MS, 1020 * BENCH_MS,
      1020 * BENCH_MS, 1030 * BENCH_MS, 100, 1, -1, 1, BENCH_COMPLETE, -1,
      NULL, 0 },
    { 1000 * BENCH_MS, 1030 * BENCH_MS, 0, 0,
      0, 1040 * BENCH_MS, 0, 0, -1, 0, BENCH_FAILED, 0, NULL,
      25 * BENCH_MS },
    { 1000 * BENCH_MS, 1060 * BENCH_MS, 1065 * BENCH_MS, 1065 * BENCH_MS,
      1065 * BENCH_MS, 1070 * BENCH_MS, 100, 1, -1, 1, BENCH_ABORTED, -1,
      NULL, 0 },
};

static const uint64_t  run_per_second[] = { 4, 0, 3 };


/* The options of such a run. */
static inline void
run_options(bench_options_t *o)
{
    char  name[] = "llm-bench", *argv[] = { name, NULL };

    assert_int_equal(bench_options_parse(o, 1, argv), 0);
    o->num_prompts = RECORDS;
    o->max_concurrency = 2;
}


/* error: what the one failed of. */
static inline bench_tally_t *
run_tally(const bench_options_t *o, const char *error)
{
    size_t          i, k;
    bench_tally_t  *t;

    t = calloc(1, sizeof(*t));
    assert_non_null(t);

    t->records = malloc(sizeof(run_records));
    assert_non_null(t->records);
    memcpy(t->records, run_records, sizeof(run_records));
    t->nrecords = RECORDS;

    snprintf(t->errors[0].what, sizeof(t->errors[0].what), "%s", error);
    t->errors[0].count = 1;
    t->nerrors = 1;

    for (i = 0; i < RECORDS; i++) {
        if (run_records[i].end != BENCH_COMPLETE) {
            continue;
        }

        bench_hist_record(&t->ttft, bench_figures_ttft(o, &run_records[i]));
        bench_hist_record(&t->e2el, bench_figures_e2el(o, &run_records[i]));

        for (k = 1; k < run_records[i].events; k++) {
            bench_hist_record(&t->itl, 10 * BENCH_MS);
        }
    }

    bench_hist_record(&t->tpot, 10 * BENCH_MS);
    bench_hist_record(&t->read_bytes, 100);
    bench_hist_record(&t->read_bytes, 200);

    t->events = 7;
    t->tokens = 7;
    t->bytes = 700;
    t->reads = 2;
    t->began = 1000 * BENCH_MS;
    t->ended = 3000 * BENCH_MS;
    t->per_second = malloc(sizeof(run_per_second));
    assert_non_null(t->per_second);
    memcpy(t->per_second, run_per_second, sizeof(run_per_second));
    t->nper_second = 3;

    return t;
}


/* With stamps, processor time and memory beside. */
static inline void
run_measured(bench_options_t *o, bench_tally_t *t)
{
    o->stamps = 5;
    t->lost = 1;
    t->duplicated = 2;
    t->reordered = 3;
    t->corrupted = 4;

    bench_hist_record(&t->event_delay, 30000);
    bench_hist_record(&t->event_delay, 50000);

    t->cpu = (bench_cpu_t) { 1, 1, 1.5, 0.25, 0.5, 1000, 4000, 0.02,
                             0.03 };
    t->memory = (bench_memory_t) { 1, 10, 1000, 1200, 1010 };
}


static inline void
run_free(bench_tally_t *t)
{
    free(t->records);
    free(t->per_second);
    free(t);
}


#endif /* BENCH_SUPPORT_H */
