/*
 * Running the server-sent events framer in a test: feeding with cuts,
 * keeping what it says, comparing two runs.  It must never know what a
 * stream should give.
 */

#include "unit_sse.h"


#define MAX_EVENTS  20000


const sse_limits_t  sse_no_limits = { SSE_PLENTY, 0 };


sse_bytes_t
sse_keep(const llm_u8 *p, size_t n)
{
    sse_bytes_t  b;

    b.p = unit_copy(p, n);
    b.n = n;

    return b;
}


int
sse_same(const sse_bytes_t *a, const sse_bytes_t *b)
{
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}


void
sse_add(sse_bytes_t *b, const llm_u8 *p, size_t n)
{
    b->p = realloc(b->p, b->n + n + 1);
    assert_non_null(b->p);
    memcpy(b->p + b->n, p, n);
    b->n += n;
}


void
sse_set(sse_bytes_t *b, const llm_u8 *p, size_t n)
{
    b->n = 0;
    sse_add(b, p, n);
}


static void
record(sse_result_t *r, const llm_sse_event_t *ev)
{
    sse_seen_t      *e;
    unit_out_t   out;

    assert_true(r->n < MAX_EVENTS);

    r->events = realloc(r->events, (r->n + 1) * sizeof(sse_seen_t));
    assert_non_null(r->events);

    e = &r->events[r->n++];

    assert_non_null(ev->data.p);
    assert_int_equal(ev->data.escaped, 0);

    unit_out_init(&out, 7, 0);
    llm_sse_write_raw(&out.out, ev);
    unit_out_end(&out);

    e->type = sse_keep(ev->type.p, ev->type.n);
    e->data = sse_keep(ev->data.p, ev->data.n);
    e->id = sse_keep(ev->id.p, ev->id.n);
    e->raw = sse_keep(out.p, out.n);
    e->retry = ev->retry;
    e->in_input = ev->in_input;

    unit_out_free(&out);
}


void
sse_forget(sse_result_t *r)
{
    size_t  i;

    for (i = 0; i < r->n; i++) {
        free(r->events[i].type.p);
        free(r->events[i].data.p);
        free(r->events[i].id.p);
        free(r->events[i].raw.p);
    }

    free(r->events);
    free(r->last_id.p);
}


/* Feeds one piece, which is gone afterwards. */
static void
feed(llm_sse_t *s, sse_result_t *r, const llm_u8 *p, size_t n)
{
    llm_u8           *input;
    llm_sse_event_t   ev;

    input = unit_copy(p, n);
    llm_sse_feed(s, input, n);

    while ((r->end = llm_sse_next(s, &ev)) == LLM_OK) {

        if (ev.in_input) {
            assert_true(ev.raw.p >= input);
            assert_true(ev.raw.p + ev.raw.n < input + n);
            assert_int_equal(ev.raw.p[ev.raw.n], '\n');
            assert_int_equal(ev.raw.p[ev.raw.n - 1], '\n');
            assert_int_equal(ev.cr, 0);
        }

        record(r, &ev);
    }

    memset(input, 0xdb, n);
    free(input);
}


void
sse_run(sse_result_t *r, const llm_u8 *p, size_t n, const size_t *cuts,
    size_t k, const sse_limits_t *limits)
{
    size_t           i, at;
    llm_sse_t        s;
    llm_alloc_t      a;
    unit_alloc_t     u;
    llm_sse_event_t  ev;

    memset(r, 0, sizeof(sse_result_t));

    a = unit_alloc(&u);
    u.fail_at = limits->fail_at;
    llm_sse_init(&s, &a, limits->max);

    at = 0;

    for (i = 0; i < k; i++) {
        feed(&s, r, p + at, cuts[i] - at);
        at = cuts[i];
    }

    feed(&s, r, p + at, n - at);

    r->reconnection = s.reconnection;
    r->comments = s.comments;
    r->last_id = sse_keep(s.last_id.p, s.last_id.n);

    if (r->end == LLM_AGAIN) {
        r->end = llm_sse_finish(&s, &ev);

        if (r->end == LLM_OK) {
            r->pending = 1;
            record(r, &ev);
            r->end = llm_sse_finish(&s, &ev);
        }
    }

    r->peak = u.peak;
    r->calls = u.calls;

    llm_sse_free(&s);
    assert_int_equal(u.live, 0);
}


/* Two runs must not differ in anything but where the bytes lay. */
void
sse_compare(const char *what, const sse_result_t *a, sse_result_t *b)
{
    size_t  i;

    if (a->n != b->n || a->end != b->end || a->pending != b->pending
        || a->comments != b->comments || a->reconnection != b->reconnection
        || !sse_same(&a->last_id, &b->last_id))
    {
        fail_msg("%s: another result: %zu events, end %d, %llu comments",
                 what, b->n, b->end, (unsigned long long) b->comments);
    }

    for (i = 0; i < a->n; i++) {
        if (!sse_same(&a->events[i].type, &b->events[i].type)
            || !sse_same(&a->events[i].data, &b->events[i].data)
            || !sse_same(&a->events[i].id, &b->events[i].id)
            || !sse_same(&a->events[i].raw, &b->events[i].raw)
            || a->events[i].retry != b->events[i].retry)
        {
            fail_msg("%s: event %zu differs", what, i);
        }
    }

    sse_forget(b);
}


typedef struct {
    const llm_u8         *p;
    size_t                n;
    const sse_result_t   *whole;
} sse_cut_t;


static void
cut_run(void *ctx, const char *what, const size_t *cuts, size_t k)
{
    sse_cut_t     *c;
    sse_result_t   r;

    c = ctx;

    sse_run(&r, c->p, c->n, cuts, k, &sse_no_limits);
    sse_compare(what, c->whole, &r);
}


/* Every way of cutting gives what the whole gave. */
void
sse_all_cuts(const char *name, const llm_u8 *p, size_t n,
    const sse_result_t *whole)
{
    sse_cut_t  c;

    c = (sse_cut_t) { p, n, whole };

    unit_all_cuts(name, n, cut_run, &c);
}


void
sse_run_text(sse_result_t *r, const char *text, const sse_limits_t *limits)
{
    sse_run(r, (const llm_u8 *) text, strlen(text), NULL, 0, limits);
}


void
sse_expect(const sse_bytes_t *b, const char *text)
{
    if (b->n != strlen(text) || memcmp(b->p, text, b->n) != 0) {
        fail_msg("\"%.*s\", not \"%s\"", (int) b->n, b->p, text);
    }
}
