/*
 * Bytes to events.  It owns a stream's framer and decoder; it must never look
 * at the time.
 */

#include <stdio.h>

#include "bench_decode.h"
#include "bench_memory.h"
#include "llm_encode.h"
#include "llm_utf8.h"


static void
bench_decode_wrong(bench_decode_t *d, const char *what)
{
    if (d->wrong[0] == '\0') {
        (void) snprintf(d->wrong, sizeof(d->wrong), "%s", what);
    }
}


/* "error event: overloaded_error": its type, else its code; never its
 * message, which can hold parts of a key. */
static void
bench_decode_error(bench_decode_t *d, const llm_error_t *e)
{
    char                what[BENCH_WORDS];
    size_t              i, n;
    const llm_slice_t  *word;

    word = e->type.n != 0 ? &e->type : &e->code;
    n = word->n < 64 ? word->n : 64;

    (void) snprintf(what, sizeof(what), "error event%s%.*s",
                    n != 0 ? ": " : "", (int) n,
                    n != 0 ? (const char *) word->p : "");

    for (i = 0, n = strlen(what); i < n; i++) {
        if (what[i] < ' ' || what[i] > '~') {
            what[i] = '?';
        }
    }

    bench_decode_wrong(d, what);
}


static void
bench_decode_text(bench_decode_t *d, const llm_event_t *ev)
{
    d->content = 1;

    if (d->text == NULL || ev->type == LLM_EV_REASONING || ev->choice != 0) {
        return;
    }

    if (!ev->text.escaped) {
        d->text(d->ctx, ev->text.p, ev->text.n);
        return;
    }

    d->plain.n = 0;
    (void) llm_block_reserve(&d->plain, &bench_allocator, ev->text.n);
    d->plain.n = llm_json_unescape(d->plain.p, ev->text.p, ev->text.n);

    d->text(d->ctx, d->plain.p, d->plain.n);
}


static llm_rc_t
bench_decode_emit(void *ctx, const llm_event_t *ev)
{
    bench_decode_t  *d;

    d = ctx;
    d->any = 1;

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
        if (ev->text.n != 0) {
            bench_decode_text(d, ev);
        }

        break;

    case LLM_EV_USAGE:
        llm_usage_merge(&d->usage, ev->usage);
        break;

    case LLM_EV_FINISH:
        d->finish = 1;
        break;

    case LLM_EV_ERROR:
        bench_decode_error(d, ev->error);
        break;

    case LLM_EV_END:
        d->end = 1;
        break;

    default:
        break;
    }

    return LLM_OK;
}


void
bench_decode_init(bench_decode_t *d, const llm_dialect_t *dialect,
    bench_text_pt text, void *ctx)
{
    memset(d, 0, sizeof(bench_decode_t));

    d->dialect = dialect;
    d->decode = dialect->decode != NULL ? dialect->decode
                                        : bench_decode_own(dialect);
    d->text = text;
    d->ctx = ctx;
}


void
bench_decode_free(bench_decode_t *d)
{
    llm_block_free(&d->plain, &bench_allocator);
}


void
bench_decode_begin(bench_decode_t *d)
{
    d->any = 0;
    d->finish = 0;
    d->end = 0;
    d->usage = llm_usage_none;
    d->wrong[0] = '\0';

    llm_framer_init(&d->framer, d->dialect->framing, &bench_allocator,
                    BENCH_FRAME_MAX);

    /* what llama.cpp sent for errors, as the module reads it */

    if (d->dialect == &llm_dialect_openai
        || d->dialect == &llm_dialect_completions)
    {
        d->framer.sse.error_lines = 1;
    }

    memset(&d->decoder, 0, sizeof(llm_decoder_t));

    d->decoder.emit = bench_decode_emit;
    d->decoder.ctx = d;
    d->decoder.alloc = bench_allocator;

    if (d->dialect->decode_size != 0) {
        d->decoder.state = bench_alloc_zero(1, d->dialect->decode_size);
    }
}


void
bench_decode_end(bench_decode_t *d)
{
    llm_framer_free(&d->framer);

    if (d->decoder.state != NULL && d->dialect->decode_drop != NULL) {
        d->dialect->decode_drop(&d->decoder);
    }

    if (d->decoder.state != NULL) {
        bench_allocator.resize(NULL, d->decoder.state,
                               d->dialect->decode_size, 0);
        d->decoder.state = NULL;
    }

    llm_block_free(&d->decoder.scratch, &bench_allocator);
}


void
bench_decode_feed(bench_decode_t *d, const llm_u8 *p, size_t n)
{
    if (d->decode == NULL) {
        d->fed = (llm_slice_t) { p, n, 0 };
        return;
    }

    llm_framer_feed(&d->framer, p, n);
}


/* Plain text: what was fed is the frame. */
static int
bench_decode_plain(bench_decode_t *d)
{
    llm_event_t  ev;

    if (d->fed.n == 0) {
        return 0;
    }

    memset(&ev, 0, sizeof(llm_event_t));
    ev.type = LLM_EV_TEXT;
    ev.text = d->fed;

    d->bytes = d->fed.n;
    d->fed.n = 0;

    (void) bench_decode_emit(d, &ev);

    return 1;
}


static int
bench_decode_unframed(bench_decode_t *d, llm_rc_t rc)
{
    if (rc == LLM_AGAIN) {
        return 0;
    }

    bench_decode_wrong(d, rc == LLM_TOO_BIG ? "event too large"
                                            : "invalid stream");

    return -1;
}


int
bench_decode_next(bench_decode_t *d)
{
    llm_rc_t      rc;
    unsigned      check;
    llm_frame_t   frame;
    llm_framed_t  framed;

    d->content = 0;

    if (d->decode == NULL) {
        return bench_decode_plain(d);
    }

    rc = llm_framer_next(&d->framer, &framed);

    if (rc != LLM_OK) {
        return bench_decode_unframed(d, rc);
    }

    check = llm_utf8_check(framed.data.p, framed.data.n);

    if (check & LLM_UTF8_INVALID) {
        bench_decode_wrong(d, "event is not UTF-8");
        return -1;
    }

    frame.data = framed.data;
    frame.type = framed.type;
    frame.linesep = (check & LLM_UTF8_LINESEP) != 0;
    frame.max_depth = LLM_JSON_DEPTH;
    frame.choices = 0;

    d->bytes = framed.raw.n + (d->framer.framing != LLM_FRAMING_ARRAY);
    d->any = 1;

    rc = d->decode(&d->decoder, &frame);

    if (rc != LLM_OK && rc != LLM_DONE) {
        bench_decode_wrong(d, "invalid event");
        return -1;
    }

    return 1;
}


int
bench_decode_finish(bench_decode_t *d)
{
    if (d->wrong[0] != '\0') {
        return 0;
    }

    /* plain text has no terminator; Gemini says no more than that it has
     * finished */

    if (d->end || (d->dialect == &llm_dialect_text && d->any)
        || (d->dialect == &llm_dialect_gemini && d->finish))
    {
        return 1;
    }

    bench_decode_wrong(d, d->any ? "no terminator" : "no event");

    return 0;
}
