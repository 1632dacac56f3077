/*
 * The command line of the load client: every option, what is refused, what
 * --help says, and that no secret is repeated.
 */

#include <fcntl.h>
#include <unistd.h>

#include "unit_support.h"

#include "bench_options.h"


#define ARGS  24


/* What a call printed, of stdout (1) or stderr (2). */
static char    printed[16384];
static int     saved;


static void
capture(int fd)
{
    FILE  *f;

    fflush(NULL);
    f = tmpfile();
    assert_non_null(f);
    saved = dup(fd);
    assert_true(saved >= 0);
    assert_int_equal(dup2(fileno(f), fd), fd);
    fclose(f);
}


static void
captured(int fd)
{
    ssize_t  n;

    fflush(NULL);
    n = pread(fd, printed, sizeof(printed) - 1, 0);
    assert_int_equal(dup2(saved, fd), fd);
    close(saved);
    assert_true(n >= 0);
    printed[n] = '\0';
}


/* Parses words that are separated by `|`; line must live as long as o. */
static int
parse(bench_options_t *o, char *line, int fd)
{
    int    rc, argc;
    char  *argv[ARGS], *p;

    argv[0] = (char *) "llm-bench";
    argc = 1;

    for (p = line; p && argc < ARGS; argc++) {
        argv[argc] = p;
        p = strchr(p, '|');

        if (p) {
            *p++ = '\0';
        }
    }

    assert_null(p);
    capture(fd);
    rc = bench_options_parse(o, argc, argv);
    captured(fd);

    return rc;
}


#define with(o, text)                                                        \
    char line[] = text;                                                      \
    assert_int_equal(parse(o, line, STDERR_FILENO), 0);                      \
    assert_string_equal(printed, "")


static void
test_defaults(void **state)
{
    size_t           i;
    char             name[] = "llm-bench", *argv[] = { name, NULL };
    bench_options_t  o;

    (void) state;
    memset(&o, 0x55, sizeof(o));
    assert_int_equal(bench_options_parse(&o, 1, argv), 0);

    assert_string_equal(o.base_url, "http://127.0.0.1:8000");
    assert_null(o.endpoint);
    assert_string_equal(o.dialect, "openai");
    assert_string_equal(o.model, "mock");
    assert_true(o.nheaders == 0 && o.extra_body == NULL && !o.http2);
    assert_true(!o.insecure && o.cacert == NULL);
    assert_true(o.num_prompts == 100 && o.request_rate == 0);
    assert_true(o.burstiness == 1 && o.max_concurrency == 0);
    assert_true(o.num_warmups == 0 && o.seed == 0 && o.input_len == 16);
    assert_true(o.output_len == 0 && o.processes == 1 && o.timeout == 600);
    assert_true(o.ramp == 0 && o.cancel_rate == 0 && o.cancel_delay == 0);
    assert_true(o.stamps == 0 && o.npids == 0);
    assert_int_equal(o.engine, BENCH_ENGINE_CURL);
    assert_int_equal(o.metrics, BENCH_TTFT | BENCH_TPOT | BENCH_ITL);
    assert_true(o.npercentiles == 1 && o.percentiles[0] == 99);

    for (i = 0; i < 4; i++) {
        assert_true(o.goodput[i] < 0);
    }

    assert_true(!o.save_result && !o.save_detailed && !o.quiet);
    assert_true(o.result_dir == NULL && o.result_filename == NULL);
    assert_null(o.label);
}


static void
test_target(void **state)
{
    bench_options_t  o;

    (void) state;
    with(&o, "--base-url|https://h:1/x|--endpoint=/v1/messages|--dialect|"
             "anthropic|--model=a=b|--header|X-A=1|--header=Authorization="
             "Bearer s=|--header|Empty=|--extra-body|{\"a\": [1, {}]}|"
             "--http-version=2|--insecure|--cacert|ca.pem");

    assert_string_equal(o.base_url, "https://h:1/x");
    assert_string_equal(o.endpoint, "/v1/messages");
    assert_string_equal(o.dialect, "anthropic");
    assert_string_equal(o.model, "a=b");
    assert_int_equal(o.nheaders, 3);
    assert_string_equal(o.headers[0], "X-A=1");
    assert_string_equal(o.headers[1], "Authorization=Bearer s=");
    assert_string_equal(o.headers[2], "Empty=");
    assert_string_equal(o.extra_body, "{\"a\": [1, {}]}");
    assert_true(o.http2 && o.insecure);
    assert_string_equal(o.cacert, "ca.pem");
}


static void
test_load(void **state)
{
    bench_options_t  o;

    (void) state;
    with(&o, "--num-prompts|100000000|--request-rate=12.5|--burstiness|inf|"
             "--max-concurrency=7|--seed=999999999999999|"
             "--random-input-len=3|--random-output-len=9|--processes=4|"
             "--timeout=0.5|--request-cancellation-rate=12.5|"
             "--request-cancellation-delay=1e-3");

    assert_true(o.num_prompts == 100000000 && o.request_rate == 12.5);
    assert_true(o.burstiness == 0 && o.max_concurrency == 7);
    assert_true(o.seed == 999999999999999 && o.input_len == 3);
    assert_true(o.output_len == 9 && o.processes == 4 && o.timeout == 0.5);
    assert_true(o.cancel_rate == 12.5 && o.cancel_delay == 1e-3);
}


static void
test_measure(void **state)
{
    bench_options_t  o;

    (void) state;
    with(&o, "--num-warmups=5|--ramp=2.5|--stamps|100|--proxy-pid|12,345|"
             "--proxy-pid=6|--engine=raw|--request-rate|inf");

    assert_true(o.num_warmups == 5 && o.ramp == 2.5 && o.request_rate == 0);
    assert_int_equal(o.stamps, 100);
    assert_int_equal(o.npids, 3);
    assert_int_equal(o.pids[0], 12);
    assert_int_equal(o.pids[1], 345);
    assert_int_equal(o.pids[2], 6);
    assert_int_equal(o.engine, BENCH_ENGINE_RAW);
}


static void
test_output(void **state)
{
    bench_options_t  o;

    (void) state;
    with(&o, "--percentile-metrics=e2el,ttft|--metric-percentiles|"
             "50,90,99.9,100|--goodput|ttft:200|tpot:50.5|e2el:1e3|"
             "--save-result|--save-detailed|--result-dir=d|"
             "--result-filename|f.json|--label=a \"b\"|--quiet");

    assert_int_equal(o.metrics, BENCH_TTFT | BENCH_E2EL);
    assert_int_equal(o.npercentiles, 4);
    assert_true(o.percentiles[0] == 50 && o.percentiles[2] == 99.9);
    assert_true(o.percentiles[3] == 100);
    assert_true(o.goodput[0] == 200 && o.goodput[1] == 50.5);
    assert_true(o.goodput[2] < 0 && o.goodput[3] == 1000);
    assert_true(o.save_result && o.save_detailed && o.quiet);
    assert_string_equal(o.result_dir, "d");
    assert_string_equal(o.result_filename, "f.json");
    assert_string_equal(o.label, "a \"b\"");
}


/* The option that is wrong, and a word that its message must have. */
static void
test_refused(void **state)
{
    size_t           i;
    char             line[200];
    bench_options_t  o;

    static const char  *const rows[][2] = {
        { "--nonsense", "--nonsense" }, { "--nonsense=1", "--nonsense" },
        { "-x", "--help" }, { "", "--help" }, { "-", "--help" },
        { "--", "unknown" }, { "--seed", "value" }, { "--quiet=1", "value" },
        { "--base-url=ftp://x", "http://" }, { "--base-url=http://", "host" },
        { "--endpoint=v1", "/" }, { "--dialect=klingon", "dialect" },
        { "--header=novalue", "NAME=VALUE" }, { "--header==x", "NAME=VALUE" },
        { "--header=a b=x", "NAME=VALUE" }, { "--header=a:=x", "NAME=VALUE" },
        { "--header=a=x\r\ny: z", "line break" },
        { "--extra-body=[1]", "JSON" }, { "--extra-body={\"a\":}", "JSON" },
        { "--extra-body={} {}", "JSON" }, { "--extra-body=", "JSON" },
        { "--extra-body={\"a\":\"\xff\"}", "JSON" },
        { "--http-version=3", "1.1" }, { "--num-prompts=0", "range" },
        { "--num-prompts=-1", "range" }, { "--num-prompts=1.5", "range" },
        { "--num-prompts=", "range" }, { "--num-prompts=1 ", "range" },
        { "--seed=18446744073709551616", "range" },
        { "--request-rate=0", "inf" }, { "--request-rate=-3", "inf" },
        { "--request-rate=nan", "inf" }, { "--request-rate=0x10", "inf" },
        { "--request-rate=1e999", "inf" }, { "--request-rate=infinity", "inf" },
        { "--burstiness=0", "inf" }, { "--max-concurrency=0", "range" },
        { "--processes=0", "range" }, { "--processes=257", "range" },
        { "--timeout=0", "--timeout" }, { "--timeout=x", "range" },
        { "--request-cancellation-rate=100.1", "range" },
        { "--ramp=1|--request-rate=5", "--ramp" },
        { "--proxy-pid=0", "process" }, { "--proxy-pid=1,", "process" },
        { "--proxy-pid=1,,2", "process" }, { "--proxy-pid=a", "process" },
        { "--engine=wget", "raw" }, { "--engine=raw|--http-version=2", "raw" },
        { "--engine=raw|--base-url=https://h", "raw" },
        { "--percentile-metrics=", "ttft" },
        { "--percentile-metrics=ttft,x", "ttft" },
        { "--metric-percentiles=101", "percent" },
        { "--metric-percentiles=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
          "many" },
        { "--goodput=itl:5", "ttft" }, { "--goodput=ttft", "ttft" },
        { "--goodput=ttft:x", "ttft" }, { "--goodput|ttft:5|bad:5", "ttft" },
        { "--save-detailed", "--save-result" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        strcpy(line, rows[i][0]);

        if (parse(&o, line, STDERR_FILENO) != -1
            || strncmp(printed, "llm-bench: ", 11) != 0
            || strstr(printed, rows[i][1]) == NULL
            || strchr(printed, '\n') != printed + strlen(printed) - 1)
        {
            fail_msg("%s: %s", rows[i][0], printed);
        }
    }
}


/* Keys of accounts are in headers, and headers may be written wrong. */
static void
test_secret(void **state)
{
    size_t           i;
    char             line[100];
    bench_options_t  o;

    static const char  *const rows[] = {
        "--header|Authorization:Bearer hush", "--header=Authorization|hush",
        "--header|Authorization=Bearer|hush", "--haeder=Authorization=hush",
        "--header|X-Key=hush\n", "--extra-body=hush"
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        strcpy(line, rows[i]);
        assert_int_equal(parse(&o, line, STDERR_FILENO), -1);

        if (printed[0] == '\0' || strstr(printed, "hush")) {
            fail_msg("%s: %s", rows[i], printed);
        }
    }
}


static void
test_too_many_headers(void **state)
{
    int              i;
    char             name[] = "llm-bench", header[] = "--header=a=b";
    char            *argv[BENCH_HEADERS + 2];
    bench_options_t  o;

    (void) state;
    argv[0] = name;

    for (i = 1; i < BENCH_HEADERS + 2; i++) {
        argv[i] = header;
    }

    assert_int_equal(bench_options_parse(&o, BENCH_HEADERS + 1, argv), 0);
    assert_int_equal(o.nheaders, BENCH_HEADERS);

    capture(STDERR_FILENO);
    assert_int_equal(bench_options_parse(&o, BENCH_HEADERS + 2, argv), -1);
    captured(STDERR_FILENO);
    assert_non_null(strstr(printed, "too many"));
}


/* Whatever came before it; lines fit a terminal; the words of the field. */
static void
test_help(void **state)
{
    char            *p, *end;
    size_t           i;
    char             line[] = "--seed=1|-h|--nonsense", version[] = "--version";
    bench_options_t  o;

    static const char  *const words[] = {
        "\nTarget:\n", "\nLoad:\n", "\nMeasure:\n", "\nOutput:\n",
        "\nExamples:\n", "TTFT", "ITL", "TPOT", "goodput", "open loop",
        "closed loop", "--num-prompts N ", "(100)", " anthropic ", " text\n"
    };

    (void) state;
    assert_int_equal(parse(&o, line, STDOUT_FILENO), 1);

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strstr(printed, words[i]) == NULL) {
            fail_msg("--help does not say \"%s\"", words[i]);
        }
    }

    for (p = printed; (end = strchr(p, '\n')) != NULL; p = end + 1) {
        if (end - p > 80) {
            fail_msg("too long: %.*s", (int) (end - p), p);
        }
    }

    assert_int_equal(parse(&o, version, STDOUT_FILENO), 1);
    assert_int_equal(strncmp(printed, "llm-bench ", 10), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_target),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_measure),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_too_many_headers),
        cmocka_unit_test(test_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
