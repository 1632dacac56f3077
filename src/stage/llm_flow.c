/*
 * The flow of one answer.  It must never write a terminator that the
 * upstream did not earn, and nothing at all after one or after an error.
 *
 * Two ways lead through it.  With one dialect on both sides the bytes go
 * out as they came and the events are only measured (passing); else the
 * events go to the client's encoder.
 */

#include "llm_flow_private.h"
#include "llm_json.h"
#include "llm_utf8.h"


/* The client gets one answer: events are gathered, END writes it. */
static void
llm_flow_answer_event(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    llm_flow_t  *f;

    f = state;

    if (ev->type != LLM_EV_END) {

        /* what the client is never told is not kept */

        if (ev->choice == 0 || f->conf.client->choices) {
            llm_answer_event(e, &f->answer, ev);
        }

        return;
    }

    if (e->rc == LLM_OK) {
        f->conf.client->write_answer(e, &f->answer);
    }
}


/* n zeroed bytes at *p; nothing for 0. */
static llm_rc_t
llm_flow_alloc(llm_flow_t *f, void **p, size_t n)
{
    if (n == 0) {
        return LLM_OK;
    }

    *p = f->conf.alloc.resize(f->conf.alloc.ctx, NULL, 0, n);
    if (*p == NULL) {
        return LLM_NOMEM;
    }

    memset(*p, 0, n);

    return LLM_OK;
}


/* From here on everything is written to the padding's block first. */
static llm_rc_t
llm_flow_pad(llm_flow_t *f)
{
    f->padded = f->out;
    f->out = &f->pad.out.out;
    f->encoder.out = f->out;

    return llm_pad_open(&f->pad, &f->conf.alloc);
}


static llm_rc_t
llm_flow_init_pad(llm_flow_t *f, llm_framing_t framing)
{
    const llm_pad_conf_t  *pad;

    pad = f->conf.pad;

    if (pad == NULL || f->conf.answer_out || framing == LLM_FRAMING_NONE
        || (pad->lost && f->passing))
    {
        return LLM_OK;
    }

    llm_pad_init(&f->pad, pad, f->conf.client, framing);

    return pad->lost ? LLM_OK : llm_flow_pad(f);
}


/* What was written since the last time goes to the caller's output; or, now
 * that the upstream is known to pad, what is written from now on is padded. */
llm_rc_t
llm_flow_write_padded(llm_flow_t *f)
{
    llm_rc_t  rc;

    if (f->padded != NULL) {
        rc = llm_pad_close(&f->pad, f->padded);

        if (rc == LLM_OK) {
            rc = llm_pad_open(&f->pad, &f->conf.alloc);
        }

    } else {
        rc = llm_flow_pad(f);
    }

    if (rc != LLM_OK) {
        f->done = 0;
        return llm_flow_fault(f, LLM_FAULT_INTERNAL);
    }

    return LLM_OK;
}


static void
llm_flow_init_encoder(llm_flow_t *f)
{
    f->encoder.out = f->out;
    f->encoder.alloc = f->conf.alloc;
    f->encoder.max_response = f->conf.max_response;
    f->encoder.usage = f->conf.usage;
    f->encoder.array = f->conf.array_out;
    f->encoder.now = f->conf.now;
    f->encoder.unique = f->conf.unique;
}


llm_rc_t
llm_flow_init(llm_flow_t *f, const llm_flow_conf_t *conf, llm_out_t *out)
{
    llm_rc_t       rc;
    llm_framing_t  framing;

    memset(f, 0, sizeof(llm_flow_t));

    f->conf = *conf;
    f->out = out;
    f->error.retry_after = -1;

    framing = conf->array_out ? LLM_FRAMING_ARRAY : conf->client->framing;

    f->same = conf->upstream == conf->client;
    f->passing = f->same && !conf->answer_in == !conf->answer_out
                 && (conf->answer_out || conf->framing == framing);

    llm_measure_init(&f->measure);
    llm_answer_init(&f->answer);
    llm_framer_init(&f->framer, conf->framing, &conf->alloc,
                    conf->max_event);

    if (conf->framing == LLM_FRAMING_SSE
        && (conf->upstream == &llm_dialect_openai
            || conf->upstream == &llm_dialect_completions))
    {
        f->framer.sse.error_lines = 1;
    }

    f->decoder.emit = llm_flow_emit;
    f->decoder.ctx = f;
    f->decoder.alloc = conf->alloc;

    rc = llm_flow_stages(f);
    if (rc != LLM_OK) {
        return rc;
    }

    llm_flow_init_encoder(f);
    rc = llm_flow_init_pad(f, framing);

    if (rc == LLM_OK) {
        rc = llm_flow_alloc(f, &f->decoder.state,
                            conf->upstream->decode_size);
    }

    if (rc != LLM_OK) {
        return rc;
    }

    if (conf->answer_out) {
        f->encode = llm_flow_answer_event;
        f->state = f;
        return LLM_OK;
    }

    f->encode = conf->client->encode;

    return llm_flow_alloc(f, &f->state, conf->client->stream_size);
}


void
llm_flow_free(llm_flow_t *f)
{
    const llm_alloc_t    *a;
    const llm_dialect_t  *client, *upstream;

    a = &f->conf.alloc;
    client = f->conf.client;
    upstream = f->conf.upstream;

    if (f->decoder.state != NULL) {
        if (upstream->decode_drop != NULL) {
            upstream->decode_drop(&f->decoder);
        }

        (void) a->resize(a->ctx, f->decoder.state, upstream->decode_size, 0);
        f->decoder.state = NULL;
    }

    if (f->state != NULL && !f->conf.answer_out) {
        if (client->stream_drop != NULL) {
            client->stream_drop(&f->encoder, f->state);
        }

        (void) a->resize(a->ctx, f->state, client->stream_size, 0);
    }

    f->state = NULL;

    llm_stage_chain_drop(&f->stages);
    llm_answer_free(&f->encoder, &f->answer);
    llm_framer_free(&f->framer);
    llm_block_free(&f->decoder.scratch, a);
    llm_block_free(&f->said, a);
    llm_block_free(&f->body, a);
    llm_block_free(&f->fixed, a);
    llm_block_free(&f->pad.block, a);
}


/* Hands on the blocks of the input that were put together. */
static llm_rc_t
llm_flow_flush(llm_flow_t *f)
{
    size_t         n;
    const llm_u8  *p;

    p = f->run;
    n = f->run_n;

    if (n == 0) {
        return LLM_OK;
    }

    f->run_n = 0;

    if (f->conf.pass == NULL || f->padded != NULL) {
        llm_out(f->out, p, n);
        return llm_flow_check(f);
    }

    if (f->conf.pass(f->conf.pass_ctx, p, n) != LLM_OK) {
        return llm_flow_fault(f, LLM_FAULT_INTERNAL);
    }

    return LLM_OK;
}


/* An event goes out as it came. */
static inline llm_rc_t
llm_flow_pass(llm_flow_t *f, const llm_framed_t *ev)
{
    f->encoder.passed++;

    if (ev->in_input) {

        if (f->run_n != 0 && f->run + f->run_n == ev->raw.p) {
            f->run_n += ev->raw.n + 1;
            return LLM_OK;
        }

        if (llm_flow_flush(f) != LLM_OK) {
            return LLM_FAILED;
        }

        f->run = ev->raw.p;
        f->run_n = ev->raw.n + 1;

        return LLM_OK;
    }

    if (llm_flow_flush(f) != LLM_OK) {
        return LLM_FAILED;
    }

    if (f->conf.array_out) {
        llm_frame_open(&f->encoder, LLM_FRAMING_ARRAY, NULL);
    }

    llm_framer_write_raw(&f->framer, f->out, ev);

    return llm_flow_check(f);
}


/* Writes the client's terminator: the upstream has finished. */
static llm_rc_t
llm_flow_end(llm_flow_t *f)
{
    llm_event_t         ev;
    const llm_slice_t  *last;

    if (f->passing) {
        last = &f->conf.client->terminator;

        if (last->n != 0) {
            llm_out(f->out, last->p, last->n);
        }

        llm_frame_end(&f->encoder);

        return llm_flow_check(f);
    }

    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = LLM_EV_END;
    ev.created = -1;

    return f->decoder.emit(f, &ev);
}


/* Makes an event of well-formed UTF-8 of one that is not. */
static llm_rc_t
llm_flow_repair(llm_flow_t *f, llm_framed_t *ev)
{
    size_t    raw;
    llm_rc_t  rc;

    f->fixed.n = 0;

    rc = llm_utf8_repair(&f->fixed, &f->conf.alloc, ev->raw.p, ev->raw.n);
    raw = f->fixed.n;

    if (rc == LLM_OK && ev->data.n != 0) {
        rc = llm_utf8_repair(&f->fixed, &f->conf.alloc, ev->data.p,
                             ev->data.n);
    }

    if (rc != LLM_OK) {
        return llm_flow_fault(f, LLM_FAULT_INTERNAL);
    }

    ev->raw.p = f->fixed.p;
    ev->raw.n = raw;
    ev->data.p = f->fixed.p + raw;
    ev->data.n = f->fixed.n - raw;
    ev->in_input = 0;

    f->repaired++;

    return LLM_OK;
}


/* A frame that is not the dialect's JSON. */
static llm_rc_t
llm_flow_invalid(llm_flow_t *f, const llm_framed_t *ev)
{
    if (!f->passing) {
        return llm_flow_fault(f, LLM_FAULT_INVALID_EVENT);
    }

    f->invalid++;

    return llm_flow_pass(f, ev);
}


/* What a decoder could not do; a fault of an event was set with the event. */
static llm_rc_t
llm_flow_undecoded(llm_flow_t *f, llm_rc_t rc)
{
    if (f->fault != LLM_FAULT_NONE) {
        return LLM_FAILED;
    }

    return llm_flow_fault(f, rc == LLM_TOO_BIG ? LLM_FAULT_RESPONSE_TOO_LARGE
                                               : LLM_FAULT_INTERNAL);
}


/* The end of a frame that was decoded with rc. */
static llm_rc_t
llm_flow_decoded(llm_flow_t *f, const llm_framed_t *ev,
    const llm_frame_t *frame, llm_rc_t rc)
{
    f->frames++;

    switch (rc) {

    case LLM_OK: case LLM_DONE:
        break;

    case LLM_INVALID:
        return llm_flow_invalid(f, ev);

    default:
        return llm_flow_undecoded(f, rc);
    }

    if (f->passing
        && !(f->conf.hide_usage && f->said_usage && frame->choices == 0)
        && llm_flow_pass(f, ev) != LLM_OK)
    {
        return LLM_FAILED;
    }

    if (rc == LLM_DONE) {
        f->done = 1;
    }

    return rc;
}


/* Whether the bytes are one JSON document: LLM_OK, LLM_AGAIN: its beginning
 * only, LLM_INVALID. */
static llm_rc_t
llm_flow_whole(const llm_flow_t *f, const llm_u8 *p, size_t n)
{
    llm_json_t   j;
    llm_slice_t  raw;

    llm_json_init(&j, p, n, f->conf.max_depth);

    if (llm_json_skip(&j, &raw) != LLM_JSON_ERROR
        && llm_json_next(&j) == LLM_JSON_END)
    {
        return LLM_OK;
    }

    return j.error == LLM_AGAIN ? LLM_AGAIN : LLM_INVALID;
}


/*
 * One event of the upstream's.  tail: the stream ended before its blank
 * line, so it counts only when it is whole.  LLM_OK, LLM_DONE, LLM_FAILED.
 */
static llm_rc_t
llm_flow_frame(llm_flow_t *f, llm_framed_t *ev, unsigned tail)
{
    unsigned     check, cut;
    llm_rc_t     rc;
    llm_frame_t  frame;

    check = llm_utf8_check(ev->raw.p, ev->raw.n);

    if ((check & LLM_UTF8_INVALID) && llm_flow_repair(f, ev) != LLM_OK) {
        return LLM_FAILED;
    }

    frame.data = ev->data;
    frame.type = ev->type;
    frame.linesep = (check & LLM_UTF8_LINESEP) != 0;
    frame.max_depth = f->conf.max_depth;
    frame.choices = 0;

    cut = tail
          && llm_flow_whole(f, frame.data.p, frame.data.n) != LLM_OK;

    if (cut) {
        frame.type = llm_slice_null;    /* bare text may be half a text */
    }

    f->data = frame.data;
    f->event = ev;
    f->said_usage = 0;

    rc = f->conf.upstream->decode(&f->decoder, &frame);

    if (cut && (rc == LLM_OK || rc == LLM_INVALID)) {
        return LLM_OK;
    }

    return llm_flow_decoded(f, ev, &frame, rc);
}


/* A part of a JSON answer. */
static llm_rc_t
llm_flow_gather(llm_flow_t *f, const llm_u8 *p, size_t n)
{
    if (f->conf.max_response < f->body.n
        || n > f->conf.max_response - f->body.n)
    {
        return llm_flow_fault(f, LLM_FAULT_RESPONSE_TOO_LARGE);
    }

    if (llm_block_append(&f->body, &f->conf.alloc, p, n) != LLM_OK) {
        return llm_flow_fault(f, LLM_FAULT_INTERNAL);
    }

    return LLM_OK;
}


/* A first byte that no stream of a provider has, but a page or, where events
 * are expected, a JSON document: not a stream that was cut, but none. */
static inline unsigned
llm_flow_is_odd(const llm_flow_t *f, llm_u8 c)
{
    return c == '<' || c == '\0'
           || (f->conf.framing == LLM_FRAMING_SSE
               && (c == '{' || c == '[' || c == ' '));
}


/* The framer could not go on. */
static llm_rc_t
llm_flow_unframed(llm_flow_t *f, llm_rc_t rc)
{
    switch (rc) {

    case LLM_TOO_BIG:
        return llm_flow_fault(f, LLM_FAULT_EVENT_TOO_LARGE);

    case LLM_INVALID:
        return llm_flow_fault(f, f->frames == 0 ? LLM_FAULT_INVALID_STREAM
                                                : LLM_FAULT_INVALID_EVENT);

    default:
        return llm_flow_fault(f, LLM_FAULT_INTERNAL);
    }
}


llm_rc_t
llm_flow_feed(llm_flow_t *f, const llm_u8 *p, size_t n, int64_t now_ms)
{
    llm_rc_t         rc, framed;
    llm_framed_t  ev;

    if (f->fault != LLM_FAULT_NONE) {
        return LLM_FAILED;
    }

    if (f->done) {
        return LLM_DONE;
    }

    f->now_ms = now_ms;

    if (!f->any && n != 0) {
        f->any = 1;
        f->odd = llm_flow_is_odd(f, p[0]);
    }

    if (f->conf.answer_in) {
        return llm_flow_gather(f, p, n);
    }

    rc = LLM_OK;
    llm_framer_feed(&f->framer, p, n);

    while (rc == LLM_OK) {
        framed = llm_framer_next(&f->framer, &ev);

        if (framed == LLM_AGAIN) {
            break;
        }

        rc = framed == LLM_OK ? llm_flow_frame(f, &ev, 0)
                              : llm_flow_unframed(f, framed);
    }

    if (f->run_n != 0 && llm_flow_flush(f) != LLM_OK) {
        f->done = 0;
        return LLM_FAILED;
    }

    return llm_flow_written(f, rc);
}


/* Makes well-formed UTF-8 of a body that is not. */
static llm_rc_t
llm_flow_repair_body(llm_flow_t *f)
{
    llm_block_t  body;

    f->fixed.n = 0;

    if (llm_utf8_repair(&f->fixed, &f->conf.alloc, f->body.p, f->body.n)
        != LLM_OK)
    {
        return llm_flow_fault(f, LLM_FAULT_INTERNAL);
    }

    body = f->body;
    f->body = f->fixed;
    f->fixed = body;

    f->repaired++;

    return LLM_OK;
}


/* The body is one JSON document: decodes it, writes what it becomes. */
static llm_rc_t
llm_flow_answer(llm_flow_t *f)
{
    llm_rc_t     rc;
    unsigned     check;
    llm_frame_t  frame;

    check = llm_utf8_check(f->body.p, f->body.n);

    if ((check & LLM_UTF8_INVALID) && llm_flow_repair_body(f) != LLM_OK) {
        return LLM_FAILED;
    }

    frame.data = (llm_slice_t) { f->body.p, f->body.n, 0 };
    frame.type = llm_slice_null;
    frame.linesep = (check & LLM_UTF8_LINESEP) != 0;
    frame.max_depth = f->conf.max_depth;
    frame.choices = 0;

    f->data = frame.data;
    f->event = NULL;
    f->frames++;

    rc = f->conf.upstream->decode_answer(&f->decoder, &frame);

    if (rc == LLM_INVALID && !f->passing) {
        return llm_flow_fault(f, LLM_FAULT_INVALID_STREAM);
    }

    if (rc != LLM_DONE && rc != LLM_INVALID) {
        return llm_flow_undecoded(f, rc);
    }

    if (f->passing) {
        llm_out(f->out, f->body.p, f->body.n);
    }

    if (llm_flow_check(f) != LLM_OK) {
        return LLM_FAILED;
    }

    f->done = 1;

    return LLM_DONE;
}


static llm_rc_t
llm_flow_eof_answer(llm_flow_t *f)
{
    switch (llm_flow_whole(f, f->body.p, f->body.n)) {

    case LLM_OK:
        return llm_flow_answer(f);

    case LLM_AGAIN:
        return llm_flow_fault(f, LLM_FAULT_TRUNCATED);

    default:
        return llm_flow_fault(f, LLM_FAULT_INVALID_STREAM);
    }
}


/* An event that lacks its blank line counts when the end was in order.
 * LLM_OK: the stream was not ended by it. */
static llm_rc_t
llm_flow_tail(llm_flow_t *f)
{
    llm_rc_t         rc;
    llm_framed_t  ev;

    rc = llm_framer_finish(&f->framer, &ev);

    switch (rc) {

    case LLM_OK:
        return llm_flow_frame(f, &ev, 1);

    case LLM_DONE:
        return LLM_OK;

    default:
        return llm_flow_unframed(f, rc);
    }
}


static llm_rc_t
llm_flow_ended(llm_flow_t *f, llm_eof_t how)
{
    llm_rc_t  rc;

    if (f->fault != LLM_FAULT_NONE) {
        return LLM_FAILED;
    }

    if (f->done) {
        return LLM_DONE;
    }

    if (!f->any) {
        return llm_flow_fault(f, LLM_FAULT_EMPTY);
    }

    if (f->conf.answer_in) {
        return llm_flow_eof_answer(f);
    }

    if (how != LLM_EOF_BROKEN) {
        rc = llm_flow_tail(f);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    if (f->frames == 0 && (f->odd || how == LLM_EOF_FRAMED)) {
        return llm_flow_fault(f, LLM_FAULT_INVALID_STREAM);
    }

    if (how == LLM_EOF_BROKEN || !f->finish || llm_framer_cut(&f->framer)) {
        return llm_flow_fault(f, LLM_FAULT_TRUNCATED);
    }

    if (llm_flow_end(f) != LLM_OK) {
        return LLM_FAILED;
    }

    f->done = 1;

    return LLM_DONE;
}


llm_rc_t
llm_flow_eof(llm_flow_t *f, llm_eof_t how)
{
    return llm_flow_written(f, llm_flow_ended(f, how));
}
