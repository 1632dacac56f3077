/*
 * The table of options, from which values are taken, defaults set and --help
 * is printed.  What an option does is not known here.
 */

#include <stdio.h>
#include <string.h>

#include "bench_options.h"
#include "bench_options_value.h"
#include "llm_dialect.h"


#define BENCH_VERSION  "llm-bench of ngx_llm_stream, unreleased"

#define BENCH_BIG      1e15         /* whole numbers that a double holds */
#define BENCH_LONG     1e6          /* seconds */

#define bench_at(m)    offsetof(bench_options_t, m)

#define BENCH_GROUP(title)  { NULL, NULL, NULL, title, NULL, 0, 0, 0 }
#define BENCH_STRING(name, arg, value, m, help)                              \
    { name, arg, value, help, bench_value_string, bench_at(m), 0, 0 }
#define BENCH_UINT(name, value, m, min, max, help)                           \
    { name, "N", value, help, bench_value_uint, bench_at(m), min, max }
#define BENCH_NUMBER(name, arg, value, m, max, help)                         \
    { name, arg, value, help, bench_value_number, bench_at(m), 0, max }
#define BENCH_INF(name, arg, value, m, help)                                 \
    { name, arg, value, help, bench_value_inf, bench_at(m), 1e-3, 1e9 }
#define BENCH_FLAG(name, m, help)                                            \
    { name, NULL, NULL, help, bench_value_flag, bench_at(m), 0, 0 }
#define BENCH_OWN(name, arg, value, take, min, max, help)                    \
    { name, arg, value, help, take, 0, min, max }


static const bench_option_t  bench_option_table[] = {

    BENCH_GROUP("Target"),
    BENCH_OWN("base-url", "URL", "http://127.0.0.1:8000", bench_value_url,
              0, 0, "where the server is"),
    BENCH_STRING("endpoint", "PATH", NULL, endpoint,
                 "path of the request; else the dialect's"),
    BENCH_OWN("dialect", "NAME", "openai", bench_value_dialect, 0, 0,
              "what the server speaks to clients"),
    BENCH_STRING("model", "NAME", "mock", model, "model to ask for"),
    BENCH_OWN("header", "NAME=VALUE", NULL, bench_value_header, 0, 0,
              "send it; repeatable; never in results"),
    BENCH_OWN("extra-body", "JSON", NULL, bench_value_json, 0, 0,
              "members that are put into the body"),
    BENCH_OWN("http-version", "1.1|2", "1.1", bench_value_http, 0, 0,
              "2: h2 by ALPN, over http:// h2c"),
    BENCH_FLAG("insecure", insecure, "take any certificate"),
    BENCH_STRING("cacert", "FILE", NULL, cacert,
                 "authorities to check it by (PEM)"),

    BENCH_GROUP("Load"),
    BENCH_UINT("num-prompts", "100", num_prompts, 1, 1e8,
               "requests of the measured part"),
    BENCH_INF("request-rate", "R|inf", "inf", request_rate,
              "requests per second; inf: all at once"),
    BENCH_INF("burstiness", "B|inf", "1.0", burstiness,
              "gamma gaps; 1: Poisson, inf: constant"),
    BENCH_UINT("max-concurrency", NULL, max_concurrency, 1, 1e8,
               "most requests in flight; else no limit"),
    BENCH_UINT("num-warmups", "0", num_warmups, 0, 1e8,
               "requests before, not measured"),
    BENCH_UINT("seed", "0", seed, 0, BENCH_BIG,
               "of arrivals, prompts, cancellations"),
    BENCH_UINT("random-input-len", "16", input_len, 1, 1e8,
               "words of a prompt"),
    BENCH_UINT("random-output-len", NULL, output_len, 1, 1e8,
               "max_tokens; else not sent"),
    BENCH_OWN("processes", "N", "1", bench_value_processes, 1, 256,
              "split load and places among so many"),
    BENCH_NUMBER("timeout", "S", "600", timeout, BENCH_LONG,
                 "seconds that a request may take"),
    BENCH_NUMBER("ramp", "S", "0", ramp, BENCH_LONG,
                 "seconds to start the first requests in"),
    BENCH_NUMBER("request-cancellation-rate", "PCT", "0", cancel_rate, 100,
                 "percent of clients that leave early"),
    BENCH_NUMBER("request-cancellation-delay", "S", "0", cancel_delay,
                 BENCH_LONG, "seconds from sending to leaving"),

    BENCH_GROUP("Measure"),
    BENCH_UINT("stamps", NULL, stamps, 1, 16777215,
               "content is N stamps (llm-mock text=stamp)"),
    BENCH_OWN("proxy-pid", "PID[,PID]", NULL, bench_value_pids, 1,
              2147483647, "CPU and memory of these and children"),
    BENCH_OWN("engine", "curl|raw", "curl", bench_value_engine, 0, 0,
              "raw: own sockets, http:// 1.1 only"),

    BENCH_GROUP("Output"),
    BENCH_OWN("percentile-metrics", "LIST", "ttft,tpot,itl",
              bench_value_metrics, 0, 0, "tables: ttft,tpot,itl,e2el"),
    BENCH_OWN("metric-percentiles", "LIST", "99", bench_value_percentiles,
              0, 100, "percentiles of each, as 50,90,99.9"),
    BENCH_OWN("goodput", "NAME:MS...", NULL, bench_value_goodput, 0, 1e9,
              "most ms of ttft, tpot, e2el to be good"),
    BENCH_FLAG("save-result", save_result, "write the result as JSON"),
    BENCH_FLAG("save-detailed", save_detailed,
               "with the numbers of each request"),
    BENCH_STRING("result-dir", "DIR", NULL, result_dir,
                 "its folder; else where you are"),
    BENCH_STRING("result-filename", "FILE", NULL, result_filename,
                 "its name; else of label, rate, time"),
    BENCH_STRING("label", "L", NULL, label, "a name for this run"),
    BENCH_FLAG("quiet", quiet, "print no table")
};

#define BENCH_OPTIONS  (sizeof(bench_option_table) / sizeof(bench_option_t))


static const char  bench_options_usage[] =
    "Usage: llm-bench [OPTION]...\n"
    "\n"
    "Sends streaming requests to a server of a language model and says how\n"
    "its tokens came: latencies as `vllm bench serve` names them, and what a\n"
    "proxy in between did to the stream.  --x V and --x=V are the same;\n"
    "defaults are in brackets.\n";

static const char  bench_options_terms[] =
    "  -h, --help                        print this\n"
    "  --version                         print the version\n"
    "\n"
    "Examples:\n"
    "  # closed loop: 8 requests in flight, 200 in all\n"
    "  llm-bench --base-url http://127.0.0.1:8080 --max-concurrency 8 \\\n"
    "      --num-prompts 200\n"
    "\n"
    "  # open loop: 50 requests per second, Poisson; what was good enough?\n"
    "  llm-bench --request-rate 50 --num-prompts 1000 \\\n"
    "      --goodput ttft:200 tpot:50 --percentile-metrics ttft,tpot,itl,e2el\n"
    "\n"
    "  # what a proxy costs: llm-mock text=stamp tokens=100 behind it\n"
    "  llm-bench --base-url http://127.0.0.1:8080 --stamps 100 \\\n"
    "      --proxy-pid \"$(cat nginx.pid)\" --save-result --label nginx\n"
    "\n"
    "Terms:\n"
    "  TTFT         time to first token: to the first text or reasoning\n"
    "               that is not empty\n"
    "  ITL          inter-token latency: the gaps between content events, of\n"
    "               all requests together\n"
    "  TPOT         time per output token: (E2EL - TTFT) / (tokens - 1), one\n"
    "               number of a request\n"
    "  E2EL         end-to-end latency: to the last content event\n"
    "  goodput      requests per second that kept every limit of --goodput\n"
    "  open loop    (--request-rate) requests come when they are due, as\n"
    "               users do; latency starts when one was due, so that a late\n"
    "               client or a full server is not hidden\n"
    "  closed loop  (--max-concurrency) a request starts when another ended;\n"
    "               latency starts when it was sent\n"
    "  event delay  (--stamps) from the mock's writing of an event to its\n"
    "               being read here, through the proxy\n"
    "A figure's formula is printed below the table.\n"
    "\n"
    "Exit status: 0 every request was well, 1 some failed, 2 wrong usage,\n"
    "130 and 143 ended by SIGINT and SIGTERM (what there is, is printed).\n";


static void
bench_options_help(void)
{
    size_t                 i;
    char                   text[64];
    const llm_dialect_t   *dialect;
    const bench_option_t  *row;

    fputs(bench_options_usage, stdout);

    for (i = 0; i < BENCH_OPTIONS; i++) {
        row = &bench_option_table[i];

        if (row->name == NULL) {
            printf("\n%s:\n", row->help);
            continue;
        }

        snprintf(text, sizeof(text), "--%s%s%s", row->name,
                 row->arg ? " " : "", row->arg ? row->arg : "");
        printf("  %-33s %s", text, row->help);

        if (row->value) {
            printf(" (%s)", row->value);
        }

        putchar('\n');
    }

    fputs(bench_options_terms, stdout);
    fputs("\nDialects:", stdout);

    for (i = 0; (dialect = llm_dialect_at(i)) != NULL; i++) {
        printf(i % 6 ? " %.*s" : "\n  %.*s", (int) dialect->name.n,
               dialect->name.p);
    }

    putchar('\n');
}


static const bench_option_t *
bench_options_find(const char *name, size_t n)
{
    size_t                 i;
    const bench_option_t  *row;

    for (i = 0; i < BENCH_OPTIONS; i++) {
        row = &bench_option_table[i];

        if (row->name && strlen(row->name) == n
            && strncmp(row->name, name, n) == 0)
        {
            return row;
        }
    }

    return NULL;
}


static void
bench_options_defaults(bench_options_t *o)
{
    size_t                 i;
    const bench_option_t  *row;

    memset(o, 0, sizeof(*o));

    for (i = 0; i < sizeof(o->goodput) / sizeof(o->goodput[0]); i++) {
        o->goodput[i] = -1;
    }

    for (i = 0; i < BENCH_OPTIONS; i++) {
        row = &bench_option_table[i];

        if (row->name && row->value) {
            (void) row->take(o, row, row->value);
        }
    }
}


/* What no single option can see. */
static const char *
bench_options_together(const bench_options_t *o)
{
    if (o->engine == BENCH_ENGINE_RAW
        && (o->http2 || strncmp(o->base_url, "https://", 8) == 0))
    {
        return "--engine raw knows http:// and HTTP/1.1 only";
    }

    if (o->ramp > 0 && o->request_rate > 0) {
        return "--ramp is for --request-rate inf: a rate says when all start";
    }

    if (o->timeout == 0) {
        return "--timeout: must be more than 0";
    }

    if (o->num_warmups + o->num_prompts > 100000000) {
        return "--num-warmups: too many";
    }

    if (o->endpoint && o->endpoint[0] != '/') {
        return "--endpoint: must begin with /";
    }

    if (o->save_detailed && !o->save_result) {
        return "--save-detailed: needs --save-result";
    }

    return NULL;
}


/* Takes the option at argv[*i] and its values; *i is then at the last of
 * them. */
static int
bench_options_take(bench_options_t *o, int argc, char **argv, int *i)
{
    size_t                 n;
    const char            *name, *value, *wrong;
    const bench_option_t  *row;

    if (strncmp(argv[*i], "--", 2) != 0) {
        /* it may be half of a header, and so be a secret */
        fprintf(stderr, "llm-bench: argument %d is no option, see --help\n",
                *i);
        return -1;
    }

    name = argv[*i] + 2;
    n = strcspn(name, "=");
    row = bench_options_find(name, n);

    if (row == NULL) {
        fprintf(stderr, "llm-bench: unknown option --%.*s, see --help\n",
                (int) n, name);
        return -1;
    }

    value = name[n] == '=' ? name + n + 1 : NULL;

    if (row->arg == NULL) {
        wrong = value ? "takes no value" : row->take(o, row, NULL);

    } else if (value) {
        wrong = row->take(o, row, value);

    } else if (*i + 1 < argc) {
        wrong = row->take(o, row, argv[++*i]);

    } else {
        wrong = "needs a value";
    }

    /* vLLM's --goodput ttft:200 tpot:50 */
    while (wrong == NULL && row->take == bench_value_goodput && *i + 1 < argc
           && strncmp(argv[*i + 1], "--", 2) != 0)
    {
        wrong = row->take(o, row, argv[++*i]);
    }

    if (wrong) {
        fprintf(stderr, "llm-bench: --%s: %s\n", row->name, wrong);
        return -1;
    }

    return 0;
}


int
bench_options_parse(bench_options_t *o, int argc, char **argv)
{
    int          i;
    const char  *wrong;

    bench_options_defaults(o);

    for (i = 1; i < argc; i++) {

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            bench_options_help();
            return 1;
        }

        if (strcmp(argv[i], "--version") == 0) {
            puts(BENCH_VERSION);
            return 1;
        }

        if (bench_options_take(o, argc, argv, &i) == -1) {
            return -1;
        }
    }

    wrong = bench_options_together(o);

    if (wrong) {
        fprintf(stderr, "llm-bench: %s\n", wrong);
        return -1;
    }

    return 0;
}
