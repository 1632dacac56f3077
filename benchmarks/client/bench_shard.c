/*
 * One run in one process, or handed to several (bench_fork.c).  It joins the
 * run with those who watch it; it must never count.
 */

#include <string.h>

#include "bench_desk.h"
#include "bench_fork.h"
#include "bench_loop.h"
#include "bench_run.h"
#include "bench_shard.h"


typedef struct {
    const bench_options_t  *options;
    bench_counts_t          counts;
    bench_desk_t            desk;
} bench_alone_t;


static int64_t
bench_alone_begin(void *ctx)
{
    bench_alone_t  *a;

    a = ctx;
    bench_desk_begin(&a->desk, a->options, &a->counts, 1, NULL, 0);

    return bench_now();
}


static void
bench_alone_steady(void *ctx)
{
    bench_meter_steady(&((bench_alone_t *) ctx)->desk.meter);
}


static void
bench_alone_first_end(void *ctx)
{
    bench_meter_first_end(&((bench_alone_t *) ctx)->desk.meter);
}


static void
bench_alone_look(void *ctx, int64_t now)
{
    bench_desk_look(&((bench_alone_t *) ctx)->desk, now);
}


static void
bench_alone_end(void *ctx)
{
    bench_desk_end(&((bench_alone_t *) ctx)->desk);
}


static bench_tally_t *
bench_shard_alone(const bench_options_t *o, const bench_body_t *b,
    const int64_t *schedule, int *signal)
{
    bench_alone_t   a;
    bench_share_t   s;
    bench_tally_t  *t;

    memset(&a, 0, sizeof(bench_alone_t));
    memset(&s, 0, sizeof(bench_share_t));

    a.options = o;
    a.desk.options = o;
    a.desk.meter.options = o;

    s.options = o;
    s.body = b;
    s.schedule = schedule;
    s.step = 1;
    s.places = o->max_concurrency;
    s.counts = &a.counts;
    s.begin = bench_alone_begin;
    s.steady = bench_alone_steady;
    s.first_end = bench_alone_first_end;
    s.look = bench_alone_look;
    s.wake = &a.desk.wake;
    s.end = bench_alone_end;
    s.ctx = &a;

    t = bench_run(&s, signal);

    if (t != NULL) {
        bench_meter_tell(&a.desk.meter, t);
    }

    return t;
}


unsigned
bench_shard_processes(const bench_options_t *o)
{
    uint64_t  n;

    n = o->processes;

    if (n > o->num_prompts) {
        n = o->num_prompts;
    }

    if (o->max_concurrency != 0 && n > o->max_concurrency) {
        n = o->max_concurrency;
    }

    return n == 0 ? 1 : (unsigned) n;
}


bench_tally_t *
bench_shard_run(const bench_options_t *o, const bench_body_t *b,
    const int64_t *schedule, int *signal)
{
    if (o->processes > 1) {
        return bench_fork_run(o, b, schedule, signal);
    }

    return bench_shard_alone(o, b, schedule, signal);
}
