/*
 * The table: vLLM's lines to the letter, then those of the proxy.
 */

#include "bench_support.h"

#include "bench_report.h"


/* The table as a string; the caller frees it. */
static char *
report(const bench_options_t *o, const bench_tally_t *t)
{
    char    *text;
    FILE    *f;
    size_t   n;

    f = open_memstream(&text, &n);
    assert_non_null(f);
    bench_report(f, o, t);
    assert_int_equal(fclose(f), 0);

    return text;
}


static void
check_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("%snot in:\n%s", part, text);
    }
}


static void
test_layout(void **state)
{
    char             *text;
    bench_tally_t    *t;
    bench_options_t   o;

    static const char  expected[] =
        "============ Serving Benchmark Result ============\n"
        "Successful requests:                     2\n"
        "Failed requests:                         1\n"
        "Maximum request concurrency:             2\n"
        "Request rate configured (RPS):           8.00\n"
        "Benchmark duration (s):                  2.00\n"
        "Total input tokens:                      23\n"
        "Total generated tokens:                  6\n"
        "Request throughput (req/s):              1.00\n"
        "Request goodput (req/s):                 0.50\n"
        "Output token throughput (tok/s):         3.00\n"
        "Peak output token throughput (tok/s):    4.00\n"
        "Peak concurrent requests:                2.00\n"
        "Total token throughput (tok/s):          14.50\n"
        "---------------Time to First Token----------------\n"
        "Mean TTFT (ms):                          15.00\n"
        "Median TTFT (ms):                        10.00\n"
        "P90 TTFT (ms):                           20.00\n"
        "P99.9 TTFT (ms):                         20.00\n"
        "-----Time per Output Token (excl. 1st token)------\n"
        "Mean TPOT (ms):                          10.00\n"
        "Median TPOT (ms):                        10.00\n"
        "P90 TPOT (ms):                           10.00\n"
        "P99.9 TPOT (ms):                         10.00\n"
        "---------------Inter-token Latency----------------\n"
        "Mean ITL (ms):                           10.00\n"
        "Median ITL (ms):                         10.00\n"
        "P90 ITL (ms):                            10.00\n"
        "P99.9 ITL (ms):                          10.00\n"
        "----------------End-to-end Latency----------------\n"
        "Mean E2EL (ms):                          35.00\n"
        "Median E2EL (ms):                        20.00\n"
        "P90 E2EL (ms):                           50.00\n"
        "P99.9 E2EL (ms):                         50.00\n"
        "----------------------Proxy-----------------------\n"
        "Aborted requests:                        1\n"
        "Content events:                          7\n";

    (void) state;
    run_options(&o);
    o.request_rate = 8;
    o.metrics = BENCH_TTFT | BENCH_TPOT | BENCH_ITL | BENCH_E2EL;
    o.npercentiles = 2;
    o.percentiles[0] = 90;
    o.percentiles[1] = 99.9;
    o.goodput[0] = 15;

    t = run_tally(&o, "x");
    text = report(&o, t);
    text[sizeof(expected) - 1] = '\0';
    assert_string_equal(text, expected);
    free(text);
    run_free(t);
}


static void
test_proxy(void **state)
{
    char             *text;
    bench_tally_t    *t;
    bench_options_t   o;

    (void) state;
    run_options(&o);
    t = run_tally(&o, "HTTP 502");
    run_measured(&o, t);
    text = report(&o, t);

    check_has(text, "\nEvents per read:                         3.50\n");
    check_has(text, "\nBytes per read:                          150.0\n");
    check_has(text, "\nP50 / P99 / P99.9 / max of\n"
                    "  Event delay (us):                      "
                    "30.0 / 50.0 / 50.0 / 50.0\n");
    check_has(text, "\nLost / dup. / reordered / corrupted:     "
                    "1 / 2 / 3 / 4\n");
    check_has(text, "\nStalls (gaps > 10 x median ITL):         0\n");
    check_has(text, "\nCPU window, its events:                  "
                    "steady, 1000\n");
    check_has(text, "\nProxy CPU per event (us):                250.00\n");
    check_has(text, "\nClient CPU per event (us):               500.00\n");
    check_has(text, "\nProxy CPU per million tokens (s):        62.50\n");
    check_has(text, "\nProxy memory idle / steady / after (kB): "
                    "1000 / 1200 / 1010\n");
    check_has(text, "\nProxy memory per stream (kB):            20.00\n");
    check_has(text, "\n----------------------Errors----------------------\n"
                    "1 x HTTP 502\n"
                    "---------------------Formulas---------------------\n");
    check_has(text, "\ntpot                    = (E2EL - TTFT) / "
                    "(output tokens - 1), one of a request\n");
    free(text);
    run_free(t);
}


/* What was not asked for, or is not known, is not there. */
static void
test_absent(void **state)
{
    size_t            i;
    char             *text;
    bench_tally_t    *t;
    bench_options_t   o;

    static const char  *const words[] = {
        "rate configured", "goodput (req/s)", "Maximum request",
        "E2EL (ms)", "ITL (ms)", "Lost /", "Event delay (us)", "CPU per event",
        "memory per stream", "Errors", "Aborted"
    };

    (void) state;
    run_options(&o);
    o.max_concurrency = 0;
    o.metrics = BENCH_TTFT;
    t = run_tally(&o, "x");
    t->nerrors = 0;
    t->nrecords = 2;
    text = report(&o, t);

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strstr(text, words[i])) {
            fail_msg("\"%s\" in:\n%s", words[i], text);
        }
    }

    free(text);
    run_free(t);
}


/* Nothing was measured: no number is made of nothing. */
static void
test_empty(void **state)
{
    char             *text;
    bench_tally_t    *t;
    bench_options_t   o;

    (void) state;
    run_options(&o);
    o.stamps = 5;
    t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->cpu.known = 1;
    t->memory.known = 1;
    text = report(&o, t);

    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf\n"));
    check_has(text, "\nSuccessful requests:                     0\n");
    free(text);
    free(t);
}


/* A server's words cannot move the cursor, a header's value is not there. */
static void
test_hostile(void **state)
{
    char             *text, *p;
    bench_tally_t    *t;
    bench_options_t   o;

    (void) state;
    run_options(&o);
    o.headers[o.nheaders++] = "Authorization=Bearer hush";
    o.extra_body = "{\"key\":\"hush\"}";
    o.base_url = "http://me:hush@host";
    t = run_tally(&o, "error event: \x1b[2J\r\x7f\x01 %s%n");
    text = report(&o, t);

    check_has(text, "\n1 x error event: ?[2J??? %s%n\n");
    assert_null(strstr(text, "hush"));

    for (p = text; *p; p++) {
        assert_true(*p == '\n' || (unsigned char) *p >= 0x20);
    }

    free(text);
    run_free(t);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
