/*
 * llm-bench: what its files share, namely the numbers of one run.
 *
 *   options, schedule    what to do and when
 *   body                 the request that is sent
 *   curl, raw            how bytes come: engines
 *   decode, stamp        bytes to events, the mock's stamps in them
 *   stream               one request: what it saw and when
 *   run                  starts requests when they are due, ends the run
 *   shard                several processes, one result
 *   tally, hist          sums and distributions, which can be added
 *   proc                 processor time and memory of the proxy
 *   figures              what is computed when the run is over, its formulas
 *   report, result       the table and the JSON
 *
 * All times are nanoseconds of CLOCK_MONOTONIC.
 */

#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "bench_hist.h"


#define BENCH_MS  INT64_C(1000000)
#define BENCH_S   INT64_C(1000000000)

#define BENCH_ERRORS  32        /* different errors that are kept */

/* How a request ended. */
typedef enum {
    BENCH_OPEN = 0,
    BENCH_COMPLETE,
    BENCH_FAILED,
    BENCH_ABORTED               /* by us: --request-cancellation-rate */
} bench_end_t;

/* One request, as it is kept until the end of the run. */
typedef struct {
    int64_t       due;          /* when it should have been sent */
    int64_t       sent;
    int64_t       first_event;  /* 0: none came */
    int64_t       first_content;
    int64_t       last_content;
    int64_t       ended;
    uint64_t      bytes;        /* of the body */
    uint64_t      events;       /* with content */
    int64_t       input_tokens;     /* as told by usage; else -1 */
    int64_t       output_tokens;    /* as told by usage, else events */
    bench_end_t   end;
    int           error;        /* index into the tally's errors, -1 */
    int64_t      *gaps;         /* between content events, with
                                   --save-detailed; events - 1 of them */
    int64_t       queued;       /* of sent - due, the wait for a place below
                                   --max-concurrency */
} bench_record_t;

typedef struct {
    char          what[96];
    uint64_t      count;
} bench_error_t;

/* Of processes that were watched; -1 or 0 seconds where nobody was. */
typedef struct {
    int           known;
    int           steady;       /* over the steady window, else over the run */
    double        wall;         /* seconds */
    double        proxy;        /* processor seconds of the proxy */
    double        client;       /* and of all our own processes */
    uint64_t      events;       /* in that window */
    uint64_t      tokens;
    double        wait;         /* seconds that our processes were ready
                                   without a processor */
    double        run_wait;     /* the same over the run, known or not */
} bench_cpu_t;

typedef struct {
    int           known;
    uint64_t      streams;      /* open when `steady` was read */
    int64_t       idle_kb;
    int64_t       steady_kb;
    int64_t       after_kb;
} bench_memory_t;

/* Everything that a run counts; can be added (bench_tally_add()). */
typedef struct {
    bench_record_t   *records;
    size_t            nrecords;

    bench_error_t     errors[BENCH_ERRORS];
    size_t            nerrors;

    bench_hist_t      ttft;         /* ns, of completed requests */
    bench_hist_t      ttft_role;
    bench_hist_t      tpot;
    bench_hist_t      itl;
    bench_hist_t      e2el;
    bench_hist_t      event_delay;
    bench_hist_t      first_delay;
    bench_hist_t      emit_lag;
    bench_hist_t      client_lag;
    bench_hist_t      schedule_delay;
    bench_hist_t      queue_time;
    bench_hist_t      event_bytes;  /* bytes */
    bench_hist_t      read_bytes;

    uint64_t          events;       /* with content */
    uint64_t          tokens;       /* stamps, else what output_tokens says */
    uint64_t          bytes;
    uint64_t          reads;        /* with content */

    uint64_t          lost;
    uint64_t          duplicated;
    uint64_t          reordered;
    uint64_t          corrupted;

    bench_cpu_t       cpu;
    bench_memory_t    memory;

    int64_t           began;        /* the first due, and the last end, of */
    int64_t           ended;        /* what is measured (no warm-up) */
    uint64_t         *per_second;   /* tokens (stamps, else content events)
                                       that came in second i since `began` */
    size_t            nper_second;
    int               stopped;      /* a signal ended it */
} bench_tally_t;


#endif /* BENCH_H */
