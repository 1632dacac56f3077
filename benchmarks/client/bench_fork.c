/*
 * Several processes, one run.  The parent starts no request: it says when all
 * begin, watches, and adds up.
 *
 * A child says one byte each: R ready (warm-up done), S all its streams have
 * content, F its first one ended, E all ended; behind that its tally follows.
 * The parent says once when the run begins, -1: not at all.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_desk.h"
#include "bench_fork.h"
#include "bench_loop.h"
#include "bench_memory.h"
#include "bench_pipe.h"
#include "bench_run.h"
#include "bench_tally.h"


/* from the word of the parent to the first request: all must have heard it */
#define BENCH_FORK_NOTICE  (20 * BENCH_MS)

typedef struct bench_fork_s  bench_fork_t;

typedef struct {
    bench_fork_t           *fork;
    int                     from;       /* pipes of the parent */
    int                     to;
    bench_watch_t          *watch;
    unsigned                waits;      /* for the word to begin */
} bench_child_t;

struct bench_fork_s {
    const bench_options_t  *options;
    const bench_body_t     *body;
    const int64_t          *schedule;
    size_t                  n;
    pid_t                  *pids;
    bench_child_t          *children;
    bench_counts_t         *counts;     /* shared memory */
    bench_loop_t            loop;
    bench_desk_t            desk;
    size_t                  ready;
    size_t                  steady;
    size_t                  ended;
    unsigned                first_end;  /* was heard */
    unsigned                began;
    unsigned                told;       /* the signal was passed on */
    unsigned                lost;       /* a child is gone */
};

/* Within a child. */
typedef struct {
    int                     from;
    int                     to;
    int64_t                 wake;
} bench_part_t;


static void
bench_part_say(void *ctx, char what)
{
    /* a parent that is gone has ended us as well */

    (void) bench_pipe_write(((bench_part_t *) ctx)->to, &what, 1);
}


static int64_t
bench_part_begin(void *ctx)
{
    int64_t  at;

    bench_part_say(ctx, 'R');

    if (bench_pipe_read(((bench_part_t *) ctx)->from, &at, sizeof(at)) == -1) {
        return -1;
    }

    return at;
}


static void
bench_part_steady(void *ctx)
{
    bench_part_say(ctx, 'S');
}


static void
bench_part_first_end(void *ctx)
{
    bench_part_say(ctx, 'F');
}


static void
bench_part_end(void *ctx)
{
    bench_part_say(ctx, 'E');
}


static void
bench_part_look(void *ctx, int64_t now)
{
    (void) ctx;
    (void) now;
}


/* Child k; does not return. */
static void
bench_fork_child(const bench_fork_t *f, size_t k, int from, int to)
{
    int             sig, status;
    uint64_t        all;
    bench_part_t    part;
    bench_share_t   s;
    bench_tally_t  *t;

    memset(&s, 0, sizeof(bench_share_t));

    part.from = from;
    part.to = to;
    part.wake = 0;

    all = f->options->max_concurrency;

    s.options = f->options;
    s.body = f->body;
    s.schedule = f->schedule;
    s.first = k;
    s.step = f->n;
    s.places = all == 0 ? 0 : (all + f->n - 1 - k) / f->n;
    s.counts = &f->counts[k];
    s.begin = bench_part_begin;
    s.steady = bench_part_steady;
    s.first_end = bench_part_first_end;
    s.look = bench_part_look;
    s.wake = &part.wake;
    s.end = bench_part_end;
    s.ctx = &part;

    t = bench_run(&s, &sig);

    status = 1;

    if (t != NULL) {
        status = bench_pipe_send(to, t) == 0 ? 0 : 1;
        bench_tally_free(t);
    }

    _exit(status);
}


static int
bench_fork_start(bench_fork_t *f, size_t k)
{
    int    down[2], up[2];
    pid_t  pid;

    if (pipe(down) == -1) {
        return -1;
    }

    if (pipe(up) == -1) {
        (void) close(down[0]);
        (void) close(down[1]);
        return -1;
    }

    pid = fork();

    if (pid == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) close(down[1]);
        (void) close(up[0]);
        bench_fork_child(f, k, down[0], up[1]);
    }

    (void) close(down[0]);
    (void) close(up[1]);

    f->pids[k] = pid;
    f->children[k].fork = f;
    f->children[k].from = up[0];
    f->children[k].to = down[1];

    return pid == -1 ? -1 : 0;
}


/* All are ready: when they begin. */
static void
bench_fork_begin(bench_fork_t *f)
{
    size_t   i;
    int64_t  at;

    f->began = 1;

    bench_desk_begin(&f->desk, f->options, f->counts, f->n, f->pids, f->n);

    at = f->loop.signal == 0 ? bench_now() + BENCH_FORK_NOTICE : -1;

    for (i = 0; i < f->n; i++) {
        if (f->children[i].waits) {
            (void) bench_pipe_write(f->children[i].to, &at, sizeof(at));
        }
    }
}


static void
bench_fork_heard(bench_watch_t *w, uint32_t events)
{
    char            what;
    bench_fork_t   *f;
    bench_child_t  *c;

    (void) events;

    c = w->ctx;
    f = c->fork;

    if (bench_pipe_read(c->from, &what, 1) == -1) {
        f->lost = 1;
        return;
    }

    switch (what) {

    case 'R':
        c->waits = 1;
        f->ready++;
        break;

    case 'S':
        if (++f->steady == f->n && !f->first_end) {
            bench_meter_steady(&f->desk.meter);
        }

        break;

    case 'F':
        f->first_end = 1;
        bench_meter_first_end(&f->desk.meter);
        break;

    default:
        bench_watch_close(&f->loop, c->watch);
        f->ready += !c->waits;
        f->ended++;
    }

    if (f->ready == f->n && !f->began) {
        bench_fork_begin(f);
    }
}


static void
bench_fork_tell_signal(bench_fork_t *f)
{
    size_t  i;

    if (f->loop.signal == 0 || f->told) {
        return;
    }

    f->told = 1;

    for (i = 0; i < f->n; i++) {
        (void) kill(f->pids[i], f->loop.signal);
    }
}


/* 0: all have ended. */
static int
bench_fork_watch(bench_fork_t *f)
{
    size_t  i;

    for (i = 0; i < f->n; i++) {
        f->children[i].watch = bench_watch_open(&f->loop,
                                                f->children[i].from, EPOLLIN,
                                                bench_fork_heard,
                                                &f->children[i]);
        if (f->children[i].watch == NULL) {
            return -1;
        }
    }

    while (f->ended < f->n && !f->lost) {

        if (bench_loop_round(&f->loop, f->desk.wake) == -1) {
            return -1;
        }

        bench_fork_tell_signal(f);

        if (f->desk.wake != 0 && f->desk.wake <= f->loop.woke) {
            bench_desk_look(&f->desk, f->loop.woke);
        }
    }

    bench_desk_end(&f->desk);

    return f->lost ? -1 : 0;
}


static bench_tally_t *
bench_fork_gather(bench_fork_t *f)
{
    size_t          i;
    bench_tally_t  *t, *part;

    t = bench_tally_open((size_t) f->options->num_prompts);

    for (i = 0; i < f->n; i++) {
        part = bench_pipe_receive(f->children[i].from);

        if (part == NULL) {
            bench_tally_free(t);
            return NULL;
        }

        bench_tally_add(t, part, i, f->n);
        bench_tally_free(part);
    }

    return t;
}


/* started: how many children there are; failed: they are not to go on. */
static void
bench_fork_reap(bench_fork_t *f, size_t started, int failed)
{
    size_t  i;

    for (i = 0; i < started; i++) {
        (void) close(f->children[i].from);
        (void) close(f->children[i].to);

        if (failed) {
            (void) kill(f->pids[i], SIGKILL);
        }

        (void) waitpid(f->pids[i], NULL, 0);
    }
}


static bench_tally_t *
bench_fork_go(bench_fork_t *f)
{
    size_t          started;
    bench_tally_t  *t;

    t = NULL;

    for (started = 0; started < f->n; started++) {
        if (bench_fork_start(f, started) == -1) {
            break;
        }
    }

    if (started == f->n && bench_fork_watch(f) == 0) {
        t = bench_fork_gather(f);
    }

    if (t == NULL) {
        fputs("llm-bench: a process of the client failed\n", stderr);
        bench_fork_reap(f, started, 1);
        return NULL;
    }

    bench_fork_reap(f, started, 0);
    bench_meter_tell(&f->desk.meter, t);

    return t;
}


bench_tally_t *
bench_fork_run(const bench_options_t *o, const bench_body_t *b,
    const int64_t *schedule, int *signal)
{
    size_t          size;
    bench_fork_t    f;
    bench_tally_t  *t;

    memset(&f, 0, sizeof(bench_fork_t));

    f.options = o;
    f.body = b;
    f.schedule = schedule;
    f.n = o->processes;
    f.desk.meter.options = o;

    size = f.n * sizeof(bench_counts_t);
    f.counts = mmap(NULL, size, PROT_READ|PROT_WRITE,
                    MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (f.counts == MAP_FAILED || bench_loop_open(&f.loop) == -1) {
        perror("llm-bench");
        return NULL;
    }

    f.pids = bench_alloc_zero(f.n, sizeof(pid_t));
    f.children = bench_alloc_zero(f.n, sizeof(bench_child_t));

    t = bench_fork_go(&f);
    *signal = f.loop.signal;

    bench_loop_close(&f.loop);
    free(f.children);
    free(f.pids);
    (void) munmap(f.counts, size);

    return t;
}
