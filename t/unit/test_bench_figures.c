/*
 * Figures of a run, against those computed by hand.
 */

#include "bench_support.h"


static void
test_one(void **state)
{
    bench_record_t   r;
    bench_options_t  o;

    (void) state;
    run_options(&o);
    r = run_records[0];
    r.due = 900 * BENCH_MS;

    /* at once: the clock starts when it was sent */
    assert_int_equal(bench_figures_start(&o, &r), 1000 * BENCH_MS);
    assert_int_equal(bench_figures_ttft(&o, &r), 10 * BENCH_MS);
    assert_int_equal(bench_figures_e2el(&o, &r), 50 * BENCH_MS);
    assert_int_equal(bench_figures_tpot(&o, &r), 10 * BENCH_MS);

    /* with a rate: when it was due; TPOT does not know the start */
    o.request_rate = 5;
    assert_int_equal(bench_figures_start(&o, &r), 900 * BENCH_MS);
    assert_int_equal(bench_figures_ttft(&o, &r), 110 * BENCH_MS);
    assert_int_equal(bench_figures_e2el(&o, &r), 150 * BENCH_MS);
    assert_int_equal(bench_figures_tpot(&o, &r), 10 * BENCH_MS);

    /* one token has no time between tokens, no content no latency */
    assert_int_equal(bench_figures_tpot(&o, &run_records[1]), -1);
    assert_int_equal(bench_figures_ttft(&o, &run_records[2]), -1);
    assert_int_equal(bench_figures_e2el(&o, &run_records[2]), -1);
    assert_int_equal(bench_figures_tpot(&o, &run_records[2]), -1);
}


static void
test_run(void **state)
{
    bench_tally_t    *t;
    bench_figures_t   f;
    bench_options_t   o;

    (void) state;
    run_options(&o);
    t = run_tally(&o, "x");
    bench_figures_make(&f, &o, t);

    assert_int_equal(f.completed, 2);
    assert_int_equal(f.failed, 1);
    assert_int_equal(f.aborted, 1);
    assert_int_equal(f.good, 2);
    assert_int_equal(f.input_tokens, 7 + 16);
    assert_int_equal(f.output_tokens, 6);
    assert_true(f.duration == 2);
    assert_true(f.peak_tokens == 4);

    /* the third was sent as the second ended */
    assert_int_equal(f.peak_requests, 2);
    assert_int_equal(f.stalls, 0);
    run_free(t);
}


static uint64_t
good(bench_options_t *o, const bench_tally_t *t, double ttft, double tpot,
    double e2el)
{
    bench_figures_t  f;

    o->goodput[0] = ttft;
    o->goodput[1] = tpot;
    o->goodput[3] = e2el;
    bench_figures_make(&f, o, t);

    return f.good;
}


static void
test_goodput(void **state)
{
    bench_tally_t    *t;
    bench_options_t   o;

    (void) state;
    run_options(&o);
    t = run_tally(&o, "x");

    assert_int_equal(good(&o, t, 20, -1, -1), 2);
    assert_int_equal(good(&o, t, 19.9, -1, -1), 1);
    assert_int_equal(good(&o, t, 9.9, -1, -1), 0);
    assert_int_equal(good(&o, t, -1, 10, -1), 2);

    /* the one of one token is good by its TPOT, whatever that may be */
    assert_int_equal(good(&o, t, -1, 9.9, -1), 1);
    assert_int_equal(good(&o, t, -1, -1, 49), 1);
    assert_int_equal(good(&o, t, 15, -1, 49), 0);

    /* an answer without content is not */
    t->records[1].first_content = 0;
    t->records[1].last_content = 0;
    assert_int_equal(good(&o, t, 1000, -1, -1), 1);
    assert_int_equal(good(&o, t, -1, 1000, -1), 1);
    assert_int_equal(good(&o, t, -1, -1, 1000), 1);
    run_free(t);
}


static void
test_stalls(void **state)
{
    int               i;
    bench_tally_t    *t;
    bench_figures_t   f;
    bench_options_t   o;

    (void) state;
    run_options(&o);
    t = run_tally(&o, "x");

    bench_hist_record(&t->itl, 99 * BENCH_MS);
    bench_hist_record(&t->itl, 102 * BENCH_MS);
    bench_hist_record(&t->itl, 9000 * BENCH_MS);
    bench_figures_make(&f, &o, t);
    assert_int_equal(f.stalls, 2);

    /* most gaps are 0: ten times that is no measure */
    for (i = 0; i < 20; i++) {
        bench_hist_record(&t->itl, 0);
    }

    bench_figures_make(&f, &o, t);
    assert_int_equal(f.stalls, -1);
    run_free(t);
}


/* A signal came: one is open, one was never sent. */
static void
test_stopped(void **state)
{
    bench_tally_t    *t;
    bench_figures_t   f;
    bench_options_t   o;

    (void) state;
    run_options(&o);
    t = run_tally(&o, "x");
    t->records[0].end = BENCH_OPEN;
    t->records[0].ended = 0;
    memset(&t->records[3], 0, sizeof(bench_record_t));
    bench_figures_make(&f, &o, t);

    assert_int_equal(f.completed, 1);
    assert_int_equal(f.aborted, 1);
    assert_int_equal(f.peak_requests, 2);
    run_free(t);

    /* nothing at all */
    t = calloc(1, sizeof(*t));
    assert_non_null(t);
    bench_figures_make(&f, &o, t);
    assert_true(f.duration > 0);
    assert_int_equal(f.peak_requests, 0);
    assert_int_equal(f.stalls, 0);
    free(t);
}


static void
test_names(void **state)
{
    char    text[BENCH_PERCENTILE_TEXT];
    size_t  i, k;

    (void) state;
    bench_figures_percentile(text, 99);
    assert_string_equal(text, "99");
    bench_figures_percentile(text, 99.9);
    assert_string_equal(text, "99.9");
    bench_figures_percentile(text, 99.99999);
    assert_string_equal(text, "99.99999");

    for (i = 0; bench_formulas[i].key; i++) {
        assert_true(strlen(bench_formulas[i].key) <= 23);
        assert_true(strlen(bench_formulas[i].text) <= 80 - 26);

        for (k = 0; k < i; k++) {
            assert_string_not_equal(bench_formulas[i].key,
                                    bench_formulas[k].key);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_goodput),
        cmocka_unit_test(test_stalls),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
