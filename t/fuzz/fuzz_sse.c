/*
 * Server-sent events: any bytes give the same events whole, byte by byte and
 * cut at the places that the first bytes of the input name; a block written
 * out is the same event again; the size bound holds.
 */

#include "fuzz_framer.h"


/* The first bytes of the input: how it is cut and bounded, and whether lines
 * "error:" are events. */
#define HEADER  4


static size_t    bound;
static unsigned  error_lines;


static void
check_again(const llm_sse_event_t *ev, const llm_block_t *raw)
{
    llm_sse_t        s;
    llm_sse_event_t  again;

    llm_sse_init(&s, &fuzz_alloc, FUZZ_MAX_SIZE);
    s.error_lines = error_lines;

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
event(fuzz_run_t *r, const llm_framed_t *ev, const llm_u8 *in, size_t n)
{
    fuzz_out_t  o;

    FUZZ_CHECK(ev->raw.p != NULL && ev->raw.n >= 5 && ev->data.p != NULL);

    if (ev->in_input) {
        FUZZ_CHECK(fuzz_inside(&ev->raw, in, n)
                   && fuzz_inside(&ev->type, in, n) == (ev->type.p != NULL));
        FUZZ_CHECK(ev->raw.p + ev->raw.n < in + n);
        FUZZ_CHECK(ev->raw.p[ev->raw.n] == '\n');
    }

    FUZZ_CHECK(ev->cr
               == (memchr(ev->raw.p, '\r', ev->raw.n) != NULL));

    fuzz_out_init(&o);
    llm_sse_write_raw(&o.out, ev);
    fuzz_out_end(&o);

    FUZZ_CHECK(memchr(o.block.p, '\r', o.block.n) == NULL);
    FUZZ_CHECK(o.block.n - 1 <= bound);
    check_again(ev, &o.block);

    fuzz_say(r, o.block.p, o.block.n);
    fuzz_say(r, ev->data.p, ev->data.n);
    fuzz_say(r, ev->type.p, ev->type.n);
    fuzz_say(r, ev->id.p, ev->id.n);
    fuzz_say(r, &ev->retry, sizeof(ev->retry));

    fuzz_out_free(&o);
}


static void
end(fuzz_run_t *r, const llm_framer_t *f)
{
    fuzz_say(r, &f->sse.comments, sizeof(f->sse.comments));
    fuzz_say(r, &f->sse.reconnection, sizeof(f->sse.reconnection));
    fuzz_say(r, f->sse.last_id.p, f->sse.last_id.n);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          n;
    fuzz_run_t      whole;
    fuzz_framing_t  how;
    const uint8_t  *p;

    if (size < HEADER || size > FUZZ_MAX_SIZE / 2) {
        return 0;
    }

    p = data + HEADER;
    n = size - HEADER;
    bound = data[3] < 128 ? FUZZ_MAX_SIZE : (size_t) (data[3] - 128) * 2;
    error_lines = data[2] & 1;

    how = (fuzz_framing_t) {
        LLM_FRAMING_SSE, bound, event, end, error_lines
    };

    fuzz_frames(&whole, &how, p, n, n, n);
    fuzz_cuts(&whole, &how, data, p, n);
    fuzz_run_free(&whole);

    return 0;
}
