/*
 * The meter: looks at /proc at few moments.  It must never be asked once an
 * event, for a look costs more than the event.
 */

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench_loop.h"
#include "bench_meter.h"
#include "bench_proc.h"


/* a window must hold this share of all events, 1/n */
#define BENCH_METER_SHARE  5


static uint64_t
bench_meter_open(const bench_meter_t *m)
{
    size_t    i;
    uint64_t  n;

    for (n = 0, i = 0; i < m->n; i++) {
        n += m->counts[i].open;
    }

    return n;
}


static void
bench_meter_moment(const bench_meter_t *m, bench_moment_t *at)
{
    pid_t    self;
    size_t   i;
    int64_t  children;

    at->events = 0;
    at->tokens = 0;

    for (i = 0; i < m->n; i++) {
        at->events += m->counts[i].events;
        at->tokens += m->counts[i].tokens;
    }

    at->at = bench_now();
    at->proxy = m->options->npids != 0
                ? bench_proc_cpu(m->options->pids, m->options->npids) : -1;
    at->client = bench_proc_self();

    self = getpid();
    at->wait = bench_proc_wait(&self, 1);

    if (m->nchildren != 0) {
        children = bench_proc_cpu(m->children, m->nchildren);
        at->client += children > 0 ? children : 0;
    }
}


static int64_t
bench_meter_memory(const bench_meter_t *m)
{
    if (m->options->npids == 0) {
        return -1;
    }

    return bench_proc_rss(m->options->pids, m->options->npids);
}


void
bench_meter_begin(bench_meter_t *m, const bench_options_t *o,
    const bench_counts_t *counts, size_t n, const pid_t *children,
    size_t nchildren)
{
    memset(m, 0, sizeof(bench_meter_t));

    m->options = o;
    m->counts = counts;
    m->n = n;
    m->children = children;
    m->nchildren = nchildren;

    m->idle_kb = bench_meter_memory(m);
    m->peak_kb = -1;
    bench_meter_moment(m, &m->began);

    if (o->npids != 0) {
        m->next = m->began.at + BENCH_METER_EVERY;
    }
}


void
bench_meter_steady(bench_meter_t *m)
{
    if (m->steady.at != 0) {
        return;
    }

    bench_meter_moment(m, &m->steady);
    m->steady_kb = bench_meter_memory(m);
    m->steady_streams = bench_meter_open(m);
}


void
bench_meter_first_end(bench_meter_t *m)
{
    if (m->steady.at != 0 && m->first_end.at == 0) {
        bench_meter_moment(m, &m->first_end);
    }
}


void
bench_meter_end(bench_meter_t *m)
{
    if (m->ended.at == 0) {
        bench_meter_moment(m, &m->ended);
        m->next = 0;
    }
}


void
bench_meter_look(bench_meter_t *m, int64_t now)
{
    int64_t  kb;

    if (m->next == 0 || now < m->next) {
        return;
    }

    m->next = now + BENCH_METER_EVERY;

    if (m->steady.at != 0) {
        return;
    }

    kb = bench_meter_memory(m);

    if (kb > m->peak_kb) {
        m->peak_kb = kb;
        m->peak_streams = bench_meter_open(m);
    }
}


static void
bench_meter_tell_cpu(const bench_meter_t *m, bench_cpu_t *cpu)
{
    const bench_moment_t  *from, *to;

    from = &m->steady;
    to = &m->first_end;

    cpu->steady = from->at != 0 && to->at != 0
                  && (to->events - from->events) * BENCH_METER_SHARE
                     >= m->ended.events - m->began.events;

    if (!cpu->steady) {
        from = &m->began;
        to = &m->ended;
    }

    cpu->known = from->proxy >= 0 && to->proxy >= 0;
    cpu->wall = (double) (to->at - from->at) / BENCH_S;
    cpu->proxy = cpu->known ? (double) (to->proxy - from->proxy) / BENCH_S
                            : 0;
    cpu->client = (double) (to->client - from->client) / BENCH_S;
    cpu->wait = (double) (to->wait - from->wait) / BENCH_S;
    cpu->run_wait = (double) (m->ended.wait - m->began.wait) / BENCH_S;
    cpu->events = to->events - from->events;
    cpu->tokens = to->tokens - from->tokens;
}


static void
bench_meter_tell_memory(const bench_meter_t *m, bench_memory_t *memory)
{
    int  steady;

    steady = m->steady.at != 0 && m->steady_kb >= 0;

    memory->idle_kb = m->idle_kb;
    memory->after_kb = bench_meter_memory(m);
    memory->steady_kb = steady ? m->steady_kb : m->peak_kb;
    memory->streams = steady ? m->steady_streams : m->peak_streams;
    memory->known = memory->idle_kb >= 0 && memory->after_kb >= 0
                    && memory->steady_kb >= 0;
}


void
bench_meter_tell(bench_meter_t *m, bench_tally_t *t)
{
    struct timespec  left;

    if (m->began.at == 0) {
        return;                         /* a signal came before */
    }

    if (m->options->npids != 0) {
        left.tv_sec = 0;
        left.tv_nsec = BENCH_METER_AFTER;

        while (nanosleep(&left, &left) == -1 && errno == EINTR) {
            /* void */
        }
    }

    bench_meter_tell_cpu(m, &t->cpu);
    bench_meter_tell_memory(m, &t->memory);
}
