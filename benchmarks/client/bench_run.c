/*
 * The run of one process.  It owns the loop, the engine, the streams and the
 * schedule's progress; it must never look into what a stream received.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_loop.h"
#include "bench_memory.h"
#include "bench_run.h"
#include "bench_tally.h"
#include "mock_delay.h"


/* lists of open streams, each in the order in which they started */
enum {
    BENCH_RUN_OPEN = 0,
    BENCH_RUN_LEAVING,          /* they will be cancelled */
    BENCH_RUN_LISTS
};

typedef struct {
    bench_stream_t         *head;
    bench_stream_t         *tail;
} bench_list_t;

typedef struct {
    const bench_share_t    *share;
    const bench_options_t  *options;
    const bench_engine_t   *engine;
    void                   *engine_ctx;
    bench_loop_t            loop;
    bench_common_t          common;
    bench_counts_t          warm_counts;
    bench_list_t            lists[BENCH_RUN_LISTS];
    bench_stream_t         *idle;
    const int64_t          *schedule;   /* NULL: warm-up, all at once */
    size_t                  n;          /* requests of this phase */
    size_t                  next;       /* the next to be started */
    uint64_t                open;
    uint64_t                ended;
    unsigned                steady;     /* was told */
    unsigned                first_end;
    int64_t                 began;
    int64_t                 freed;      /* when a place became free last */
    int64_t                 timeout;
    int64_t                 leave;
} bench_run_t;


/* How many requests a share has of n. */
static size_t
bench_share_count(const bench_share_t *s, size_t n)
{
    return n > s->first ? (n - s->first - 1) / s->step + 1 : 0;
}


static void
bench_list_add(bench_list_t *lists, unsigned i, bench_stream_t *s)
{
    bench_list_t  *l;

    l = &lists[i];

    s->listed[i] = 1;
    s->next[i] = NULL;
    s->prev[i] = l->tail;

    if (l->tail != NULL) {
        l->tail->next[i] = s;

    } else {
        l->head = s;
    }

    l->tail = s;
}


static void
bench_list_remove(bench_list_t *lists, unsigned i, bench_stream_t *s)
{
    bench_list_t  *l;

    if (!s->listed[i]) {
        return;
    }

    l = &lists[i];
    s->listed[i] = 0;

    if (s->prev[i] != NULL) {
        s->prev[i]->next[i] = s->next[i];

    } else {
        l->head = s->next[i];
    }

    if (s->next[i] != NULL) {
        s->next[i]->prev[i] = s->prev[i];

    } else {
        l->tail = s->prev[i];
    }
}


static void
bench_run_ended(void *ctx, bench_stream_t *s)
{
    unsigned      i;
    bench_run_t  *r;

    r = ctx;

    for (i = 0; i < BENCH_RUN_LISTS; i++) {
        bench_list_remove(r->lists, i, s);
    }

    if (r->share->places != 0 && r->open == r->share->places) {
        r->freed = s->record->ended;
    }

    r->open--;
    r->ended++;

    s->next[0] = r->idle;
    r->idle = s;
}


/* The number of request i of this process among all. */
static size_t
bench_run_number(const bench_run_t *r, size_t i)
{
    return r->share->first + i * r->share->step;
}


static int64_t
bench_run_due(const bench_run_t *r)
{
    if (r->schedule == NULL) {
        return r->began;
    }

    return r->began + r->schedule[bench_run_number(r, r->next)];
}


/* Whether the client of that request leaves early. */
static int
bench_run_leaves(const bench_run_t *r, size_t number)
{
    if (r->schedule == NULL || r->options->cancel_rate <= 0) {
        return 0;
    }

    /* other bits than those that choose the words */

    return mock_delay_hash(~r->options->seed, number) % 10000
           < (uint64_t) (r->options->cancel_rate * 100);
}


static void
bench_run_start(bench_run_t *r, int64_t due)
{
    size_t           number;
    int64_t          ready;
    const char      *wrong;
    bench_record_t  *record;
    bench_stream_t  *s;

    s = r->idle;

    if (s != NULL) {
        r->idle = s->next[0];

    } else {
        s = bench_stream_open(&r->common, r->share->body->dialect,
                              r->share->body->max);
    }

    number = bench_run_number(r, r->next);
    record = &r->common.tally->records[r->next++];
    ready = due > r->freed ? due : r->freed;

    s->body_n = bench_body_write(r->share->body, number, s->body);
    bench_stream_begin(s, record);

    record->due = due;
    record->sent = bench_now();

    record->queued = ready - due;

    bench_hist_record(&r->common.tally->queue_time, record->queued);
    bench_hist_record(&r->common.tally->schedule_delay,
                      record->sent - ready);

    bench_list_add(r->lists, BENCH_RUN_OPEN, s);

    if (bench_run_leaves(r, number)) {
        bench_list_add(r->lists, BENCH_RUN_LEAVING, s);
    }

    r->open++;

    wrong = r->engine->start(r->engine_ctx, s);

    if (wrong != NULL) {
        bench_stream_end(s, wrong);
    }
}


static void
bench_run_start_due(bench_run_t *r)
{
    int64_t  due;

    while (r->next < r->n
           && (r->share->places == 0 || r->open < r->share->places))
    {
        due = bench_run_due(r);

        if (due > bench_now()) {
            break;
        }

        bench_run_start(r, due);
    }
}


/* Ends those whose client leaves, and those that last too long. */
static void
bench_run_expire(bench_run_t *r, int64_t now)
{
    bench_stream_t  *s;

    for ( ;; ) {
        s = r->lists[BENCH_RUN_LEAVING].head;

        if (s == NULL || s->record->sent + r->leave > now) {
            break;
        }

        r->engine->cancel(r->engine_ctx, s);
        bench_stream_abort(s);
    }

    for ( ;; ) {
        s = r->lists[BENCH_RUN_OPEN].head;

        if (s == NULL || s->record->sent + r->timeout > now) {
            break;
        }

        r->engine->cancel(r->engine_ctx, s);
        bench_stream_end(s, "timeout");
    }
}


static int64_t
bench_run_sooner(int64_t a, int64_t b)
{
    if (a == 0 || b == 0) {
        return a == 0 ? b : a;
    }

    return a < b ? a : b;
}


/* When there is something to do though nothing is ready. */
static int64_t
bench_run_wake(const bench_run_t *r)
{
    int64_t                at;
    const bench_stream_t  *s;

    at = r->schedule != NULL ? *r->share->wake : 0;
    at = bench_run_sooner(at, r->engine->due(r->engine_ctx));

    if (r->next < r->n
        && (r->share->places == 0 || r->open < r->share->places))
    {
        at = bench_run_sooner(at, bench_run_due(r));
    }

    s = r->lists[BENCH_RUN_OPEN].head;

    if (s != NULL) {
        at = bench_run_sooner(at, s->record->sent + r->timeout);
    }

    s = r->lists[BENCH_RUN_LEAVING].head;

    if (s != NULL) {
        at = bench_run_sooner(at, s->record->sent + r->leave);
    }

    return at;
}


/* What time brings. */
static void
bench_run_timers(bench_run_t *r)
{
    int64_t  now, due;

    now = bench_now();

    bench_run_expire(r, now);
    bench_run_start_due(r);

    if (r->schedule != NULL && *r->share->wake != 0
        && *r->share->wake <= now)
    {
        r->share->look(r->share->ctx, now);
    }

    due = r->engine->due(r->engine_ctx);

    if (due != 0 && due <= bench_now()) {
        r->engine->timer(r->engine_ctx);
    }
}


/* The moments that are looked at: behind a round, for a look takes time that
 * what is ready would have to wait. */
static void
bench_run_marks(bench_run_t *r)
{
    if (r->schedule == NULL) {
        return;
    }

    if (!r->steady && r->ended == 0 && r->common.counts->content == r->n) {
        r->steady = 1;
        r->share->steady(r->share->ctx);
    }

    if (!r->first_end && r->ended != 0) {
        r->first_end = 1;
        r->share->first_end(r->share->ctx);
    }
}


/* One phase: until all its requests have ended, or a signal came. */
static int
bench_run_phase(bench_run_t *r)
{
    while (r->ended < r->n && r->loop.signal == 0) {

        bench_run_timers(r);

        if (r->ended == r->n) {
            break;
        }

        if (bench_loop_round(&r->loop, bench_run_wake(r)) == -1) {
            return -1;
        }

        bench_run_marks(r);
    }

    while (r->lists[BENCH_RUN_OPEN].head != NULL) {
        r->engine->cancel(r->engine_ctx, r->lists[BENCH_RUN_OPEN].head);
        bench_stream_abort(r->lists[BENCH_RUN_OPEN].head);
    }

    return 0;
}


static void
bench_run_prepare(bench_run_t *r, bench_tally_t *t, bench_counts_t *counts,
    const int64_t *schedule)
{
    r->common.tally = t;
    r->common.counts = counts;
    r->schedule = schedule;
    r->n = t->nrecords;
    r->next = 0;
    r->ended = 0;
    r->freed = 0;
    r->began = bench_now();
}


/* Requests that nobody counts: connections are open and caches warm then. */
static int
bench_run_warm(bench_run_t *r)
{
    int             rc;
    size_t          i, n;
    bench_tally_t  *t;

    n = bench_share_count(r->share, (size_t) r->options->num_warmups);

    if (n == 0) {
        return 0;
    }

    t = bench_tally_open(n);
    bench_run_prepare(r, t, &r->warm_counts, NULL);

    rc = bench_run_phase(r);

    for (i = 0; i < t->nerrors; i++) {
        fprintf(stderr, "llm-bench: %llu of %zu warm-up requests failed: "
                "%s\n", (unsigned long long) t->errors[i].count, n,
                t->errors[i].what);
    }

    bench_tally_free(t);

    return rc;
}


static bench_tally_t *
bench_run_measure(bench_run_t *r)
{
    int64_t         began;
    bench_tally_t  *t;

    t = bench_tally_open(bench_share_count(r->share,
                                     (size_t) r->options->num_prompts));
    bench_run_prepare(r, t, r->share->counts, r->share->schedule);

    began = r->loop.signal == 0 ? r->share->begin(r->share->ctx) : -1;

    if (began == -1) {
        began = bench_now();
        r->n = 0;
    }

    r->began = began;
    t->began = began;
    t->ended = began;

    if (bench_run_phase(r) == -1) {
        bench_tally_free(t);
        return NULL;
    }

    r->share->end(r->share->ctx);
    t->stopped = r->loop.signal != 0;

    return t;
}


static void
bench_run_free(bench_run_t *r)
{
    bench_stream_t  *s;

    r->engine->close(r->engine_ctx);

    while (r->idle != NULL) {
        s = r->idle;
        r->idle = s->next[0];
        bench_stream_free(s);
    }

    bench_loop_close(&r->loop);
}


bench_tally_t *
bench_run(const bench_share_t *s, int *signal)
{
    bench_run_t     r;
    bench_tally_t  *t;

    memset(&r, 0, sizeof(bench_run_t));

    r.share = s;
    r.options = s->options;
    r.engine = s->options->engine == BENCH_ENGINE_RAW ? &bench_engine_raw
                                                      : &bench_engine_curl;
    r.timeout = (int64_t) (s->options->timeout * BENCH_S);
    r.leave = (int64_t) (s->options->cancel_delay * BENCH_S);

    r.common.options = s->options;
    r.common.ended = bench_run_ended;
    r.common.ctx = &r;

    if (bench_loop_open(&r.loop) == -1) {
        return NULL;
    }

    r.engine_ctx = r.engine->open(s->options, s->body, &r.loop);

    if (r.engine_ctx == NULL) {
        bench_loop_close(&r.loop);
        return NULL;
    }

    t = NULL;

    if (bench_run_warm(&r) == 0) {
        t = bench_run_measure(&r);
    }

    *signal = r.loop.signal;
    bench_run_free(&r);

    return t;
}
