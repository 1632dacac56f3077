/*
 * How bytes come: what libcurl and our own sockets have in common.  An engine
 * sends the request of a stream and tells the stream what comes back, by
 * bench_stream_*(), always from within the loop's round or its own timer,
 * never from within start() or cancel().
 */

#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include "bench_body.h"
#include "bench_loop.h"
#include "bench_options.h"


typedef struct bench_stream_s  bench_stream_t;

typedef struct {
    /* NULL, with a message on stderr: it cannot work here */
    void    *(*open)(const bench_options_t *o, const bench_body_t *b,
                     bench_loop_t *l);
    void     (*close)(void *engine);

    /* The stream's body must stay until it ends.  NULL: it has begun; else
     * what is wrong, and the stream will hear nothing more. */
    const char *(*start)(void *engine, bench_stream_t *s);

    /* No more of it: its connection is closed (HTTP/2: its stream). */
    void     (*cancel)(void *engine, bench_stream_t *s);

    /* When timer() wants to be called, ns; 0: never. */
    int64_t  (*due)(void *engine);
    void     (*timer)(void *engine);
} bench_engine_t;

extern const bench_engine_t  bench_engine_curl;
extern const bench_engine_t  bench_engine_raw;


#endif /* BENCH_ENGINE_H */
