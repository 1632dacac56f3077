/*
 * The one thing that all parts of the mock share: the running server.
 */

#ifndef MOCK_H
#define MOCK_H

#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>

#include "mock_buf.h"
#include "mock_options.h"
#include "mock_stats.h"
#include "mock_timer.h"
#include "mock_token.h"


typedef struct mock_conn_s    mock_conn_t;
typedef struct mock_answer_s  mock_answer_t;
typedef struct mock_waiter_s  mock_waiter_t;
typedef struct mock_blob_s    mock_blob_t;

typedef struct mock_s {
    struct event_base  *base;
    mock_timers_t       timers;     /* of answers under way */
    SSL_CTX            *ssl;

    mock_options_t      started;    /* of the command line */
    mock_options_t      defaults;   /* in force: started, then the body of
                                       POST /mock/defaults */
    mock_stats_t        stats;
    mock_tokens_t       tokens;

    mock_blob_t        *blobs;      /* uploaded scripts and replays */
    mock_waiter_t      *waiters;    /* GET /mock/wait without answer yet */
    struct event        kick;       /* looks at the waiters again */

    mock_conn_t        *conns;
    mock_conn_t        *dead;       /* closed, freed by `reap` */
    struct event        reap;

    mock_buf_t          text;       /* --text FILE */
    mock_buf_t          script;     /* --script FILE */
    const char         *script_dir;
    const char         *replay_dir;
    const char         *require_key;
    unsigned            scripted;   /* --script was given */
} mock_t;


/* CLOCK_MONOTONIC in microseconds, in nanoseconds. */
int64_t mock_now(void);
int64_t mock_now_ns(void);


#endif /* MOCK_H */
