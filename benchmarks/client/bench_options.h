/*
 * The command line of llm-bench.
 */

#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>


#define BENCH_HEADERS      64
#define BENCH_PERCENTILES  16
#define BENCH_PIDS         64

/* Strings belong to argv.  Metrics: bits. */
enum {
    BENCH_TTFT = 1,
    BENCH_TPOT = 2,
    BENCH_ITL = 4,
    BENCH_E2EL = 8
};

enum { BENCH_ENGINE_CURL = 0, BENCH_ENGINE_RAW };

typedef struct {
    const char   *base_url;
    const char   *endpoint;         /* NULL: the dialect's */
    const char   *dialect;
    const char   *model;
    const char   *headers[BENCH_HEADERS];   /* K=V */
    size_t        nheaders;
    const char   *extra_body;       /* JSON object, or NULL */
    int           http2;
    int           insecure;
    const char   *cacert;

    uint64_t      num_prompts;
    double        request_rate;     /* 0: inf */
    double        burstiness;       /* 0: inf, constant gaps */
    uint64_t      max_concurrency;  /* 0: no limit */
    uint64_t      num_warmups;
    uint64_t      seed;
    uint64_t      input_len;        /* words */
    uint64_t      output_len;       /* 0: not sent */
    unsigned      processes;
    double        timeout;          /* seconds */
    double        ramp;
    double        cancel_rate;      /* percent */
    double        cancel_delay;     /* seconds */

    uint64_t      stamps;           /* 0: content is not stamped */
    pid_t         pids[BENCH_PIDS];
    size_t        npids;
    int           engine;

    unsigned      metrics;
    double        percentiles[BENCH_PERCENTILES];
    size_t        npercentiles;
    double        goodput[4];       /* ms of TTFT, TPOT, ITL (unused), E2EL in
                                       the order of the bits; < 0: not set */
    int           save_result;
    int           save_detailed;
    const char   *result_dir;
    const char   *result_filename;
    const char   *label;
    int           quiet;
} bench_options_t;


/* 0: go on.  1: help or version was printed, end with 0.  -1: a message went
 * to stderr, end with 2. */
int bench_options_parse(bench_options_t *o, int argc, char **argv);


#endif /* BENCH_OPTIONS_H */
