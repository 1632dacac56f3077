/*
 * The one epoll of a process, with its timer (absolute, CLOCK_MONOTONIC) and
 * its signals.  Who watches a descriptor is called with what is ready; the
 * timer is asked for anew after each round.
 */

#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>


typedef struct bench_watch_s  bench_watch_t;

/* events: EPOLLIN ...; edge is never asked for. */
typedef void (*bench_ready_pt)(bench_watch_t *w, uint32_t events);

struct bench_watch_s {
    bench_ready_pt  ready;      /* NULL: it was closed */
    void           *ctx;
    int             fd;
    bench_watch_t  *next;       /* private */
};

typedef struct {
    int             epoll;
    int             timer;
    int             signals;
    int             signal;     /* SIGINT or SIGTERM came; else 0 */
    int64_t         armed;      /* when the timer will ring, 0: never */
    int64_t         woke;       /* when epoll_wait() returned last */
    bench_watch_t  *closed;     /* freed after the round */
    bench_watch_t   timer_watch;
    bench_watch_t   signal_watch;
} bench_loop_t;


/* Now, in ns. */
static inline int64_t
bench_now(void)
{
    struct timespec  t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t);

    return (int64_t) t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}


/* Blocks SIGINT and SIGTERM and ignores SIGPIPE.  0, or -1 with a message on
 * stderr; the same for bench_loop_round(). */
int bench_loop_open(bench_loop_t *l);
void bench_loop_close(bench_loop_t *l);

/* A watch belongs to the loop until bench_watch_close(), which does not
 * close the descriptor.  NULL: the kernel refused. */
bench_watch_t *bench_watch_open(bench_loop_t *l, int fd, uint32_t events,
    bench_ready_pt ready, void *ctx);
int bench_watch_change(bench_loop_t *l, bench_watch_t *w, uint32_t events);
void bench_watch_close(bench_loop_t *l, bench_watch_t *w);

/* Waits until something is ready or it is `at` (ns; 0: for ever), and calls
 * those whose descriptors are.  When `at` has passed it does not wait. */
int bench_loop_round(bench_loop_t *l, int64_t at);


#endif /* BENCH_LOOP_H */
