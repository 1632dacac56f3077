/*
 * The result's JSON, read by another library: its keys, its numbers, that
 * nothing breaks it and that nothing secret is in it; and its file.
 */

#include <dirent.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench_support.h"

#include "bench_result.h"


static char  written[1 << 20];      /* the last result */


static json_t *
result(const bench_options_t *o, const bench_tally_t *t, const char *curl)
{
    FILE          *f;
    json_t        *j;
    json_error_t   error;

    memset(written, 0, sizeof(written));
    f = fmemopen(written, sizeof(written) - 1, "w");
    assert_non_null(f);
    assert_int_equal(bench_result_write(f, o, t, curl), 0);
    assert_int_equal(fclose(f), 0);

    j = json_loads(written, JSON_REJECT_DUPLICATES, &error);

    if (j == NULL) {
        fail_msg("%s at %d: %.200s", error.text, error.position, written);
    }

    return j;
}


/* A number at a path "proxy.cpu.events"; -1 for null, -2: none. */
static double
number(json_t *j, const char *path)
{
    char    name[64];
    size_t  n;

    for ( ;; ) {
        /* a dot may be of the name: "p99.9" */
        if (json_object_get(j, path)) {
            j = json_object_get(j, path);
            break;
        }

        n = strcspn(path, ".");
        assert_true(n < sizeof(name));
        memcpy(name, path, n);
        name[n] = '\0';
        j = json_object_get(j, name);

        if (j == NULL || path[n] == '\0') {
            return -2;
        }

        path += n + 1;
    }

    return json_is_null(j) ? -1 : json_is_number(j) ? json_number_value(j)
                                                    : -2;
}


static void
check_number(json_t *j, const char *path, double expected)
{
    double  v;

    v = number(j, path);

    if (fabs(v - expected) > fabs(expected) * 1e-9) {
        fail_msg("%s: %.12g instead of %.12g", path, v, expected);
    }
}


static void
check_string(json_t *j, const char *key, const char *expected)
{
    if (!json_is_string(json_object_get(j, key))
        || strcmp(json_string_value(json_object_get(j, key)), expected) != 0)
    {
        fail_msg("%s is not \"%s\"", key, expected);
    }
}


static void
test_numbers(void **state)
{
    size_t            i;
    json_t           *j;
    bench_tally_t    *t;
    bench_options_t   o;

    static const struct {
        const char  *path;
        double       value;
    } rows[] = {
        { "num_prompts", 4 }, { "burstiness", 1 }, { "max_concurrency", 2 },
        { "duration", 2 }, { "completed", 2 }, { "failed", 1 },
        { "total_input_tokens", 23 }, { "total_output_tokens", 6 },
        { "request_throughput", 1 }, { "request_goodput", -1 },
        { "output_throughput", 3 }, { "total_token_throughput", 14.5 },
        { "max_output_tokens_per_s", 4 }, { "max_concurrent_requests", 2 },
        { "mean_ttft_ms", 15 }, { "std_ttft_ms", 5 }, { "p99_ttft_ms", 20 },
        { "mean_tpot_ms", 10 }, { "median_tpot_ms", 10 },
        { "std_tpot_ms", 0 }, { "p99_tpot_ms", 10 }, { "mean_itl_ms", 10 },
        { "median_itl_ms", 10 }, { "std_itl_ms", 0 }, { "p99_itl_ms", 10 },
        { "mean_e2el_ms", 35 }, { "std_e2el_ms", 15 }, { "p99_e2el_ms", 50 },
        { "errors_summary.HTTP 502", 1 }, { "proxy.schema", 1 },
        { "proxy.processes", 1 }, { "proxy.events", 7 },
        { "proxy.tokens", 7 }, { "proxy.bytes", 700 }, { "proxy.reads", 2 },
        { "proxy.event_throughput", 3.5 }, { "proxy.byte_throughput", 350 },
        { "proxy.events_per_read", 3.5 }, { "proxy.bytes_per_read", 150 },
        { "proxy.aborted", 1 }, { "proxy.lost", -1 },
        { "proxy.duplicated", -1 }, { "proxy.reordered", -1 },
        { "proxy.corrupted", -1 }, { "proxy.stalls", 0 },
        { "proxy.cpu", -1 }, { "proxy.memory", -1 },
        { "proxy.event_delay_us.count", 0 },
        { "proxy.event_delay_us.p99.9", -1 },
        { "proxy.ttft_ms.count", 2 }, { "proxy.ttft_ms.mean", 15 },
        { "proxy.read_bytes.count", 2 }, { "proxy.read_bytes.mean", 150 },
        { "proxy.read_bytes.min", 100 }, { "proxy.read_bytes.max", 200 },
        { "proxy.read_bytes.p50", 100 }, { "proxy.read_bytes.p90", 200 }
    };

    (void) state;
    run_options(&o);
    t = run_tally(&o, "HTTP 502");
    j = result(&o, t, "7.88.1");

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_number(j, rows[i].path, rows[i].value);
    }

    assert_true(fabs(number(j, "median_ttft_ms") - 10) <= 0.01);

    check_string(j, "backend", "llm-bench");
    check_string(j, "endpoint_type", "openai");
    check_string(j, "model_id", "mock");
    check_string(j, "request_rate", "inf");
    check_string(json_object_get(j, "proxy"), "engine", "curl");
    check_string(json_object_get(j, "proxy"), "libcurl", "7.88.1");
    check_string(json_object_get(j, "proxy"), "http_version", "1.1");
    assert_true(json_is_null(json_object_get(j, "label")));
    assert_int_equal(strlen(json_string_value(json_object_get(j, "date"))),
                     15);
    assert_true(json_is_false(json_object_get(json_object_get(j, "proxy"),
                                              "stopped")));
    assert_null(json_object_get(j, "ttfts"));
    json_decref(j);
    run_free(t);
}


static void
test_measured(void **state)
{
    json_t           *j;
    bench_tally_t    *t;
    bench_options_t   o;

    (void) state;
    run_options(&o);
    o.request_rate = 2.5;
    o.burstiness = 0;
    o.max_concurrency = 0;
    o.http2 = 1;
    o.npercentiles = 2;
    o.percentiles[0] = 99.9;
    o.percentiles[1] = 50;
    o.goodput[3] = 49;
    t = run_tally(&o, "x");
    run_measured(&o, t);
    t->stopped = 1;
    j = result(&o, t, NULL);

    check_number(j, "request_rate", 2.5);
    check_string(j, "burstiness", "inf");
    check_number(j, "max_concurrency", -1);
    check_number(j, "request_goodput", 0.5);
    check_number(j, "p99.9_ttft_ms", 20);
    assert_true(number(j, "p50_ttft_ms") == number(j, "median_ttft_ms"));
    check_number(j, "p99_ttft_ms", -2);

    check_number(j, "proxy.lost", 1);
    check_number(j, "proxy.duplicated", 2);
    check_number(j, "proxy.reordered", 3);
    check_number(j, "proxy.corrupted", 4);
    check_number(j, "proxy.event_delay_us.mean", 40);
    check_number(j, "proxy.event_delay_us.min", 30);
    check_number(j, "proxy.event_delay_us.max", 50);
    check_number(j, "proxy.event_delay_us.p99", 50);

    check_number(j, "proxy.cpu.wall_s", 1.5);
    check_number(j, "proxy.cpu.proxy_s", 0.25);
    check_number(j, "proxy.cpu.client_s", 0.5);
    check_number(j, "proxy.cpu.client_wait_s", 0.02);
    check_number(j, "proxy.client_wait_s", 0.03);
    check_number(j, "proxy.cpu.events", 1000);
    check_number(j, "proxy.cpu.proxy_us_per_event", 250);
    check_number(j, "proxy.cpu.client_us_per_event", 500);
    check_number(j, "proxy.cpu.proxy_s_per_mtok", 62.5);
    check_number(j, "proxy.memory.streams", 10);
    check_number(j, "proxy.memory.idle_kb", 1000);
    check_number(j, "proxy.memory.steady_kb", 1200);
    check_number(j, "proxy.memory.after_kb", 1010);
    check_number(j, "proxy.memory.kb_per_stream", 20);
    check_number(j, "proxy.libcurl", -1);
    check_string(json_object_get(j, "proxy"), "http_version", "2");
    check_string(json_object_get(json_object_get(j, "proxy"), "cpu"),
                 "window", "steady");
    assert_true(json_is_true(json_object_get(json_object_get(j, "proxy"),
                                             "stopped")));
    json_decref(j);
    run_free(t);
}


static void
test_hists(void **state)
{
    size_t         i, k;
    double         edge, seen;
    json_t        *h, *j, *pair;
    bench_tally_t *t;
    bench_options_t  o;

    static const char  *const names[] = {
        "ttft_ms", "ttft_role_ms", "queue_time_ms", "event_delay_us",
        "first_event_delay_us", "mock_emit_lag_us", "client_lag_us",
        "schedule_delay_us", "event_bytes", "read_bytes"
    };

    (void) state;
    run_options(&o);
    t = run_tally(&o, "x");

    for (i = 0; i < 500; i++) {
        bench_hist_record(&t->ttft_role, unit_random(1000000000));
        bench_hist_record(&t->client_lag, unit_random(1000));
        bench_hist_record(&t->schedule_delay, unit_random(100000000));
    }

    j = result(&o, t, NULL);

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        h = json_object_get(json_object_get(j, "proxy"), names[i]);
        assert_true(json_is_object(h));
        edge = -1;
        seen = 0;

        json_array_foreach(json_object_get(h, "hist"), k, pair) {
            assert_int_equal(json_array_size(pair), 2);
            assert_true(json_number_value(json_array_get(pair, 0)) > edge);
            edge = json_number_value(json_array_get(pair, 0));
            seen += json_number_value(json_array_get(pair, 1));
        }

        assert_true(seen == number(h, "count"));
        assert_true(seen == 0 || (edge >= number(h, "max")
                                  && edge <= number(h, "max") * 1.001));
    }

    json_decref(j);
    run_free(t);
}


static double
item(json_t *j, const char *key, size_t i)
{
    assert_int_equal(json_array_size(json_object_get(j, key)), RECORDS);

    return json_number_value(json_array_get(json_object_get(j, key), i));
}


static void
test_detailed(void **state)
{
    json_t           *j, *list;
    int64_t           gaps[] = { 1 * BENCH_MS, 2 * BENCH_MS, 3 * BENCH_MS,
                                 34 * BENCH_MS };
    bench_tally_t    *t;
    bench_options_t   o;

    (void) state;
    run_options(&o);
    o.save_detailed = 1;
    t = run_tally(&o, "no \"terminator\"");
    t->records[0].gaps = gaps;
    t->records[3].sent += 1234567;
    j = result(&o, t, NULL);

    assert_true(item(j, "input_lens", 0) == 7);
    assert_true(item(j, "input_lens", 1) == 16);
    assert_true(item(j, "output_lens", 0) == 5);
    assert_true(item(j, "output_lens", 2) == 0);
    assert_true(item(j, "ttfts", 0) == 0.01);
    assert_true(item(j, "ttfts", 2) == 0);
    assert_true(item(j, "latencies", 0) == 0.05);
    assert_true(item(j, "start_times", 1) == 1);
    assert_true(item(j, "start_times", 3) == 1.061234567);
    assert_true(item(j, "queue_times", 0) == 0);
    assert_true(item(j, "queue_times", 2) == 0.025);

    list = json_object_get(j, "itls");
    assert_int_equal(json_array_size(list), RECORDS);
    assert_int_equal(json_array_size(json_array_get(list, 0)), 4);
    assert_true(json_number_value(json_array_get(json_array_get(list, 0), 3))
                == 0.034);
    assert_int_equal(json_array_size(json_array_get(list, 1)), 0);

    list = json_object_get(j, "errors");
    assert_int_equal(json_array_size(list), RECORDS);
    assert_string_equal(json_string_value(json_array_get(list, 0)), "");
    assert_string_equal(json_string_value(json_array_get(list, 2)),
                        "no \"terminator\"");
    json_decref(j);
    run_free(t);
}


/* Labels and servers say what they like; it is read back as it was. */
static void
test_hostile(void **state)
{
    size_t            i;
    json_t           *j;
    const char       *expected;
    bench_tally_t    *t;
    bench_options_t   o;

    static const char  *const texts[][2] = {
        { "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f", NULL },
        { "\",\"completed\":99,\"x\":\"", NULL },
        { "h\xc3\xa9 \xe2\x80\xa8\xe2\x80\xa9\xc2\x85 \xf0\x9f\x98\x80",
          NULL },
        { "%s%n%d", NULL },
        { "cut \xf0\x9f\x98", "cut \xef\xbf\xbd" },
        { "\xff\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }
    };

    (void) state;
    run_options(&o);
    o.headers[o.nheaders++] = "Authorization=Bearer hush";
    o.extra_body = "{\"key\":\"hush\"}";
    o.base_url = "http://me:hush@host";
    o.endpoint = "/v1?key=hush";
    o.save_detailed = 1;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        o.label = texts[i][0];
        o.model = texts[i][0];
        t = run_tally(&o, texts[i][0]);
        j = result(&o, t, texts[i][0]);
        expected = texts[i][1] ? texts[i][1] : texts[i][0];

        check_string(j, "label", expected);
        check_string(j, "model_id", expected);
        check_string(json_object_get(j, "proxy"), "libcurl", expected);
        check_number(j, "completed", 2);
        assert_int_equal(json_integer_value(json_object_get(
                             json_object_get(j, "errors_summary"), expected)),
                         1);
        assert_null(strstr(written, "hush"));
        json_decref(j);
        run_free(t);
    }
}


/* Nothing came: no figure is made of it, and the JSON holds. */
static void
test_empty(void **state)
{
    json_t           *j;
    bench_tally_t    *t;
    bench_options_t   o;

    (void) state;
    run_options(&o);
    o.save_detailed = 1;
    t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->cpu.known = 1;
    t->memory.known = 1;
    j = result(&o, t, NULL);

    check_number(j, "completed", 0);
    check_number(j, "proxy.events_per_read", -1);
    check_number(j, "proxy.bytes_per_read", -1);
    check_number(j, "proxy.cpu.proxy_us_per_event", -1);
    check_number(j, "proxy.cpu.proxy_s_per_mtok", -1);
    check_number(j, "proxy.memory.kb_per_stream", -1);
    assert_int_equal(json_array_size(json_object_get(j, "ttfts")), 0);
    json_decref(j);
    free(t);
}


static void
test_formulas(void **state)
{
    size_t                  n;
    json_t                 *formulas, *j;
    bench_tally_t          *t;
    bench_options_t         o;
    const bench_formula_t  *row;

    (void) state;
    run_options(&o);
    t = run_tally(&o, "x");
    j = result(&o, t, NULL);
    formulas = json_object_get(j, "formulas");
    n = 0;

    for (row = bench_formulas; row->key; row++) {
        check_string(formulas, row->key, row->text);
        n++;
    }

    assert_int_equal(json_object_size(formulas), n);
    json_decref(j);
    run_free(t);
}


/* A device that is full, and a file that cannot be. */
static void
test_unwritable(void **state)
{
    FILE             *f;
    bench_tally_t    *t;
    bench_options_t   o;

    (void) state;
    run_options(&o);
    t = run_tally(&o, "x");

    f = fopen("/dev/full", "w");
    assert_non_null(f);
    assert_int_equal(bench_result_write(f, &o, t, NULL), -1);
    fclose(f);

    o.result_dir = "/dev/null/x";
    o.result_filename = "f.json";
    assert_int_equal(bench_result_save(&o, t, NULL), -1);
    run_free(t);
}


/* The only file of a folder, which is then removed; its name is freed. */
static char *
only_file(const char *dir)
{
    DIR            *d;
    char           *name;
    struct dirent  *entry;

    name = NULL;
    d = opendir(dir);
    assert_non_null(d);

    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.') {
            assert_null(name);
            name = strdup(entry->d_name);
        }
    }

    closedir(d);
    assert_non_null(name);

    return name;
}


static void
check_saved(const char *dir, const bench_options_t *o, const bench_tally_t *t,
    const char *head, const char *tail)
{
    char    *name, path[600];
    size_t   n;
    json_t  *j;

    assert_int_equal(bench_result_save(o, t, NULL), 0);
    name = only_file(dir);
    n = strlen(name);

    if (strncmp(name, head, strlen(head)) != 0
        || strcmp(name + n - strlen(tail), tail) != 0)
    {
        fail_msg("%s is not %s...%s", name, head, tail);
    }

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    j = json_load_file(path, 0, NULL);
    assert_non_null(j);
    check_number(j, "completed", 2);
    json_decref(j);
    assert_int_equal(unlink(path), 0);
    free(name);
}


static void
test_file(void **state)
{
    char              root[256], dir[300], file[330];
    bench_tally_t    *t;
    bench_options_t   o;

    (void) state;
    snprintf(root, sizeof(root), "%s/bench_result.XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(root));
    snprintf(dir, sizeof(dir), "%s/a/b", root);

    run_options(&o);
    o.result_dir = dir;
    t = run_tally(&o, "x");
    check_saved(dir, &o, t, "llm-bench-infqps-concurrency2-mock-2", ".json");

    o.label = "../my run/\n\xc3\xa9";
    o.model = "org/Model-7B";
    o.request_rate = 2.5;
    o.max_concurrency = 0;
    check_saved(dir, &o, t, "_._my_run____-2.5qps-Model-7B-2", ".json");

    o.result_filename = "named";
    check_saved(dir, &o, t, "named", "named");

    /* a path of its own does not lie in the folder; it replaces what is
     * there */
    snprintf(file, sizeof(file), "%s/old.json", dir);
    o.result_filename = file;
    o.result_dir = "/dev/null";
    assert_int_equal(bench_result_save(&o, t, NULL), 0);
    check_saved(dir, &o, t, "old.json", "old.json");

    assert_int_equal(rmdir(dir), 0);
    snprintf(dir, sizeof(dir), "%s/a", root);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(rmdir(root), 0);
    run_free(t);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_measured),
        cmocka_unit_test(test_hists),
        cmocka_unit_test(test_detailed),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_file),
    };

    (void) unit_seed();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
