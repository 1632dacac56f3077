/*
 * Server-sent events: any bytes give the same events whole, byte by byte and
 * cut at the places that the first bytes of the input name; a block written
 * out is the same event again; the size bound holds.
 */

#include "fuzz_support.h"
#include "llm_sse.h"


#define MAX_SIZE  1000000

/* The first bytes of the input: how it is cut and bounded. */
#define HEADER    4


/* A run, as one string: everything that was said, with lengths. */
typedef struct {
    llm_block_t     said;
    llm_rc_t        end;
    size_t          largest;    /* raw bytes of an event */
} run_t;


static void
say(run_t *r, const void *p, size_t n)
{
    FUZZ_CHECK(llm_block_append(&r->said, &fuzz_alloc, &n, sizeof(n))
               == LLM_OK);
    FUZZ_CHECK(llm_block_append(&r->said, &fuzz_alloc, p, n) == LLM_OK);
}


static int
inside(const llm_slice_t *s, const llm_u8 *p, size_t n)
{
    return s->p >= p && s->p <= p + n && s->n <= (size_t) (p + n - s->p);
}


static void
check_again(const llm_sse_event_t *ev, const llm_block_t *raw)
{
    llm_sse_t        s;
    llm_sse_event_t  again;

    llm_sse_init(&s, &fuzz_alloc, MAX_SIZE);

    /* a blank line first: no BOM is looked for behind it */

    llm_sse_feed(&s, (const llm_u8 *) "\n", 1);
    FUZZ_CHECK(llm_sse_next(&s, &again) == LLM_AGAIN);

    llm_sse_feed(&s, raw->p, raw->n);
    FUZZ_CHECK(llm_sse_next(&s, &again) == LLM_OK);

    FUZZ_CHECK(again.data.n == ev->data.n
               && memcmp(again.data.p, ev->data.p, ev->data.n) == 0);
    FUZZ_CHECK(again.type.n == ev->type.n
               && (ev->type.n == 0
                   || memcmp(again.type.p, ev->type.p, ev->type.n) == 0));
    FUZZ_CHECK(again.retry == ev->retry);
    FUZZ_CHECK(again.in_input && !again.cr);
    FUZZ_CHECK(again.raw.n == raw->n - 1);

    FUZZ_CHECK(llm_sse_next(&s, &again) == LLM_AGAIN);
    FUZZ_CHECK(s.comments == 0);
    FUZZ_CHECK(llm_sse_finish(&s, &again) == LLM_DONE);

    llm_sse_free(&s);
}


static void
event(run_t *r, const llm_sse_event_t *ev, const llm_u8 *in, size_t n)
{
    fuzz_out_t  o;

    FUZZ_CHECK(ev->raw.p != NULL && ev->raw.n >= 5 && ev->data.p != NULL);

    if (ev->in_input) {
        FUZZ_CHECK(inside(&ev->raw, in, n) && inside(&ev->type, in, n)
                   == (ev->type.p != NULL));
        FUZZ_CHECK(ev->raw.p + ev->raw.n < in + n);
        FUZZ_CHECK(ev->raw.p[ev->raw.n] == '\n');
    }

    FUZZ_CHECK(ev->cr
               == (memchr(ev->raw.p, '\r', ev->raw.n) != NULL));

    fuzz_out_init(&o);
    llm_sse_write_raw(&o.out, ev);
    fuzz_out_end(&o);

    FUZZ_CHECK(memchr(o.block.p, '\r', o.block.n) == NULL);
    check_again(ev, &o.block);

    if (o.block.n - 1 > r->largest) {
        r->largest = o.block.n - 1;
    }

    say(r, o.block.p, o.block.n);
    say(r, ev->data.p, ev->data.n);
    say(r, ev->type.p, ev->type.n);
    say(r, ev->id.p, ev->id.n);
    say(r, &ev->retry, sizeof(ev->retry));

    fuzz_out_free(&o);
}


/* Feeds pieces of `step` bytes, the first one of `first`. */
static void
run(run_t *r, const uint8_t *p, size_t n, size_t first, size_t step,
    size_t max)
{
    size_t            at, k;
    llm_u8           *in;
    llm_sse_t         s;
    llm_sse_event_t   ev;

    memset(r, 0, sizeof(run_t));
    llm_sse_init(&s, &fuzz_alloc, max);

    at = 0;
    k = first;

    do {
        k = k < n - at ? k : n - at;
        in = fuzz_copy(p + at, k);
        llm_sse_feed(&s, in, k);

        while ((r->end = llm_sse_next(&s, &ev)) == LLM_OK) {
            event(r, &ev, in, k);
        }

        free(in);
        at += k;
        k = step;
    } while (at < n);

    say(r, &s.comments, sizeof(s.comments));
    say(r, &s.reconnection, sizeof(s.reconnection));
    say(r, s.last_id.p, s.last_id.n);

    if (r->end == LLM_AGAIN) {
        r->end = llm_sse_finish(&s, &ev);

        if (r->end == LLM_OK) {
            say(r, "pending", 7);
            event(r, &ev, NULL, 0);
            r->end = llm_sse_finish(&s, &ev);
        }
    }

    FUZZ_CHECK(r->end == LLM_DONE || r->end == LLM_TOO_BIG);
    FUZZ_CHECK(r->largest <= max);

    llm_sse_free(&s);
}


static void
same(const run_t *a, run_t *b)
{
    FUZZ_CHECK(a->end == b->end);
    FUZZ_CHECK(a->said.n == b->said.n
               && memcmp(a->said.p, b->said.p, a->said.n) == 0);

    llm_block_free(&b->said, &fuzz_alloc);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          n, max;
    run_t           whole, r;
    const uint8_t  *p;

    if (size < HEADER || size > MAX_SIZE / 2) {
        return 0;
    }

    p = data + HEADER;
    n = size - HEADER;
    max = data[3] < 128 ? MAX_SIZE : (size_t) (data[3] - 128) * 2;

    run(&whole, p, n, n, n, max);

    run(&r, p, n, 1, 1, max);
    same(&whole, &r);

    run(&r, p, n, n != 0 ? (data[0] | data[1] << 8) % (n + 1) : 0, n, max);
    same(&whole, &r);

    run(&r, p, n, data[0] % 8, 1 + data[2] % 31, max);
    same(&whole, &r);

    llm_block_free(&whole.said, &fuzz_alloc);

    return 0;
}
