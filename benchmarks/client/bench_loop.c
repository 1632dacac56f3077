/*
 * The event loop.  It owns the epoll descriptor, the timer's and that of
 * signals; it must never know what is watched.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bench_loop.h"
#include "bench_memory.h"


#define BENCH_LOOP_EVENTS  1024


static int
bench_loop_failed(const char *what)
{
    fprintf(stderr, "llm-bench: %s: %s\n", what, strerror(errno));

    return -1;
}


static void
bench_loop_rang(bench_watch_t *w, uint32_t events)
{
    uint64_t       times;
    bench_loop_t  *l;

    (void) events;

    l = w->ctx;

    if (read(w->fd, &times, sizeof(times)) == sizeof(times)) {
        l->armed = 0;
    }
}


static void
bench_loop_signalled(bench_watch_t *w, uint32_t events)
{
    bench_loop_t             *l;
    struct signalfd_siginfo   info;

    (void) events;

    l = w->ctx;

    if (read(w->fd, &info, sizeof(info)) == sizeof(info)) {
        l->signal = (int) info.ssi_signo;
    }
}


static int
bench_loop_add(bench_loop_t *l, bench_watch_t *w, int fd,
    bench_ready_pt ready)
{
    struct epoll_event  ee;

    w->fd = fd;
    w->ready = ready;
    w->ctx = l;

    ee.events = EPOLLIN;
    ee.data.ptr = w;

    return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ee);
}


int
bench_loop_open(bench_loop_t *l)
{
    sigset_t  set;

    memset(l, 0, sizeof(bench_loop_t));

    (void) signal(SIGPIPE, SIG_IGN);

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);

    if (sigprocmask(SIG_BLOCK, &set, NULL) == -1) {
        return bench_loop_failed("sigprocmask()");
    }

    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK|TFD_CLOEXEC);
    l->signals = signalfd(-1, &set, SFD_NONBLOCK|SFD_CLOEXEC);

    if (l->epoll == -1 || l->timer == -1 || l->signals == -1
        || bench_loop_add(l, &l->timer_watch, l->timer, bench_loop_rang) == -1
        || bench_loop_add(l, &l->signal_watch, l->signals,
                          bench_loop_signalled) == -1)
    {
        return bench_loop_failed("epoll");
    }

    return 0;
}


static void
bench_loop_free_closed(bench_loop_t *l)
{
    bench_watch_t  *w;

    while (l->closed != NULL) {
        w = l->closed;
        l->closed = w->next;
        free(w);
    }
}


void
bench_loop_close(bench_loop_t *l)
{
    bench_loop_free_closed(l);

    (void) close(l->signals);
    (void) close(l->timer);
    (void) close(l->epoll);
}


bench_watch_t *
bench_watch_open(bench_loop_t *l, int fd, uint32_t events,
    bench_ready_pt ready, void *ctx)
{
    bench_watch_t       *w;
    struct epoll_event   ee;

    w = bench_alloc(sizeof(bench_watch_t));

    w->ready = ready;
    w->ctx = ctx;
    w->fd = fd;
    w->next = NULL;

    ee.events = events;
    ee.data.ptr = w;

    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ee) == -1) {
        free(w);
        return NULL;
    }

    return w;
}


int
bench_watch_change(bench_loop_t *l, bench_watch_t *w, uint32_t events)
{
    struct epoll_event  ee;

    ee.events = events;
    ee.data.ptr = w;

    return epoll_ctl(l->epoll, EPOLL_CTL_MOD, w->fd, &ee);
}


void
bench_watch_close(bench_loop_t *l, bench_watch_t *w)
{
    (void) epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL);

    /* events of this round may still point to it */

    w->ready = NULL;
    w->next = l->closed;
    l->closed = w;
}


static int
bench_loop_arm(bench_loop_t *l, int64_t at)
{
    struct itimerspec  t;

    if (at == l->armed) {
        return 0;
    }

    memset(&t, 0, sizeof(t));

    t.it_value.tv_sec = (time_t) (at / 1000000000);
    t.it_value.tv_nsec = (long) (at % 1000000000);

    if (timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &t, NULL) == -1) {
        return bench_loop_failed("timerfd_settime()");
    }

    l->armed = at;

    return 0;
}


int
bench_loop_round(bench_loop_t *l, int64_t at)
{
    int                 i, n, past;
    bench_watch_t      *w;
    struct epoll_event  ready[BENCH_LOOP_EVENTS];

    past = at != 0 && at <= bench_now();

    if (!past && bench_loop_arm(l, at) == -1) {
        return -1;
    }

    n = epoll_wait(l->epoll, ready, BENCH_LOOP_EVENTS, past ? 0 : -1);
    l->woke = bench_now();

    if (n == -1) {
        return errno == EINTR ? 0 : bench_loop_failed("epoll_wait()");
    }

    for (i = 0; i < n; i++) {
        w = ready[i].data.ptr;

        if (w->ready != NULL) {
            w->ready(w, ready[i].events);
        }
    }

    bench_loop_free_closed(l);

    return 0;
}
