/*
 * Anthropic messages (anthropic-version 2023-06-01): the row of the table,
 * and the events of a stream.
 *
 *   message_start, then for each block content_block_start,
 *   content_block_delta ..., content_block_stop, then message_delta (one or
 *   more) and message_stop; ping and error at any place.
 *
 * The type in the data counts, the event: line only where that is missing.
 * An event is validated whole before the first of ours is emitted.  Nothing
 * here may allocate or keep a slice beyond the call.
 */

#include "llm_anthropic.h"


/* what begins nearly every event */
#define LLM_ANTHROPIC_HEAD                                                  \
    "{\"type\":\"content_block_delta\",\"index\":"

#define llm_anthropic_empty  ((llm_slice_t) { (const llm_u8 *) "", 0, 1 })


static llm_rc_t
llm_anthropic_ping(llm_anthropic_frame_t *f)
{
    f->ev.text = llm_slice_null;

    return llm_anthropic_emit(f, LLM_EV_PING);
}


/* An extra, as it came. */
static llm_rc_t
llm_anthropic_meta(llm_anthropic_frame_t *f, const llm_slice_t *name,
    const llm_slice_t *raw)
{
    llm_rc_t  rc;

    f->ev.name = *name;
    f->ev.raw = *raw;

    rc = llm_anthropic_emit(f, LLM_EV_META);

    f->ev.name = llm_slice_null;
    f->ev.raw = llm_slice_null;

    return rc;
}


/* The block that a fragment or a stop is for, or NULL. */
static llm_anthropic_open_t *
llm_anthropic_find(llm_anthropic_frame_t *f)
{
    unsigned                  i;
    llm_anthropic_decoder_t  *s;

    s = f->s;

    for (i = s->nopen; i != 0; i--) {
        if (f->index < 0 || s->open[i - 1].index == f->index) {
            return &s->open[i - 1];
        }
    }

    return NULL;
}


static void
llm_anthropic_forget(llm_anthropic_decoder_t *s, llm_anthropic_open_t *open)
{
    size_t  after;

    after = s->nopen - (size_t) (open - s->open) - 1;
    memmove(open, open + 1, after * sizeof(llm_anthropic_open_t));
    s->nopen--;
}


/* A call whose block ends without a word of arguments has none. */
static llm_rc_t
llm_anthropic_close(llm_anthropic_frame_t *f, llm_anthropic_open_t *open)
{
    llm_rc_t  rc;
    unsigned  bare, index;

    bare = open->tool && !open->said;
    index = open->tool_index;

    llm_anthropic_forget(f->s, open);

    if (!bare) {
        return LLM_OK;
    }

    f->ev.tool_index = index;
    f->ev.text = llm_slice("{}");

    rc = llm_anthropic_emit(f, LLM_EV_TOOL_CALL);

    f->ev.text = llm_slice_null;
    f->ev.tool_index = 0;

    return rc;
}


static llm_rc_t
llm_anthropic_close_all(llm_anthropic_frame_t *f)
{
    llm_rc_t  rc;

    rc = LLM_OK;

    while (rc == LLM_OK && f->s->nopen != 0) {
        rc = llm_anthropic_close(f, &f->s->open[0]);
    }

    return rc;
}


static llm_rc_t
llm_anthropic_message_start(llm_anthropic_frame_t *f)
{
    llm_rc_t  rc;
    unsigned  first;

    f->frame->choices = 1;
    first = !f->d->started;

    /* a gateway that asked again sends a second one: blocks count anew */

    rc = llm_anthropic_close_all(f);

    if (f->message.p != NULL) {
        llm_anthropic_message(f, &f->message);
    }

    if (rc == LLM_OK) {
        rc = llm_anthropic_begin(f);
    }

    if (rc == LLM_OK && first) {
        rc = llm_anthropic_emit_content(f);
    }

    return rc == LLM_OK ? llm_anthropic_emit_usage(f) : rc;
}


static llm_rc_t
llm_anthropic_block_start(llm_anthropic_frame_t *f)
{
    llm_anthropic_open_t     *open;
    llm_anthropic_block_t     b;
    llm_anthropic_decoder_t  *s;

    f->frame->choices = 1;

    if (f->block.p == NULL) {
        return llm_anthropic_ping(f);
    }

    llm_anthropic_block(&b, &f->block);
    s = f->s;

    if (!llm_json_is(&b.type, "text") && !llm_json_is(&b.type, "thinking")) {

        if (s->nopen == LLM_ANTHROPIC_OPEN) {
            llm_anthropic_forget(s, &s->open[0]);
        }

        open = &s->open[s->nopen++];
        open->index = f->index;
        open->tool = llm_json_is(&b.type, "tool_use");
        open->tool_index = s->calls;
        open->said = b.input.p != NULL;
        open->whole = open->said;
    }

    return llm_anthropic_emit_block(f, &b, &f->block);
}


static llm_rc_t
llm_anthropic_arguments(llm_anthropic_frame_t *f, const llm_slice_t *text)
{
    llm_rc_t               rc;
    llm_anthropic_open_t  *open;

    open = llm_anthropic_find(f);

    if (text->n == 0 || open == NULL || open->whole) {
        return llm_anthropic_ping(f);
    }

    rc = llm_anthropic_begin(f);
    if (rc != LLM_OK) {
        return rc;
    }

    open->said = 1;

    if (!open->tool) {
        return llm_anthropic_meta(f, &llm_slice(LLM_ANTHROPIC_DELTA),
                                  &f->delta);
    }

    f->ev.tool_index = open->tool_index;
    f->ev.text = *text;

    return llm_anthropic_emit(f, LLM_EV_TOOL_CALL);
}


/* What a delta says by a string. */
static llm_rc_t
llm_anthropic_delta_string(llm_anthropic_frame_t *f, const llm_slice_t *name,
    const llm_slice_t *v)
{
    llm_rc_t          rc;
    llm_event_type_t  type;

    if (llm_json_is(name, "partial_json")) {
        return llm_anthropic_arguments(f, v);
    }

    if (v->n == 0) {
        return llm_anthropic_ping(f);
    }

    rc = llm_anthropic_begin(f);
    if (rc != LLM_OK) {
        return rc;
    }

    type = LLM_EV_REASONING;

    if (llm_json_is(name, "signature")) {
        f->ev.text = llm_anthropic_empty;
        f->ev.signature = *v;

    } else {
        f->ev.text = *v;

        if (llm_json_is(name, "text")) {
            type = LLM_EV_TEXT;
        }

        f->ev.type = type;
        llm_repeat_learn(&f->d->repeat, &f->frame->data, &f->ev);
    }

    return llm_anthropic_emit(f, type);
}


static llm_rc_t
llm_anthropic_block_delta(llm_anthropic_frame_t *f)
{
    llm_json_t       j;
    llm_slice_t      key, v, name, said, kind;
    llm_json_type_t  type;

    f->frame->choices = 1;

    if (f->delta.p == NULL) {
        return llm_anthropic_ping(f);
    }

    name = llm_slice_null;
    said = llm_slice_null;
    kind = llm_slice_null;

    llm_json_reopen(&j, &f->delta);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_OBJECT && llm_json_is(&key, "citation")) {
            return llm_anthropic_emit_citation(f, &v);
        }

        if (type != LLM_JSON_STRING) {
            continue;
        }

        if (llm_json_is(&key, "type")) {
            kind = v;

        } else if (llm_json_is(&key, "text") || llm_json_is(&key, "thinking")
                   || llm_json_is(&key, "signature")
                   || llm_json_is(&key, "partial_json"))
        {
            name = key;
            said = v;
        }
    }

    if (name.p != NULL) {
        return llm_anthropic_delta_string(f, &name, &said);
    }

    /* a kind of ours without what it should say says nothing */

    if (kind.p == NULL || llm_json_is(&kind, "text_delta")
        || llm_json_is(&kind, "thinking_delta")
        || llm_json_is(&kind, "signature_delta")
        || llm_json_is(&kind, "input_json_delta")
        || llm_json_is(&kind, "citations_delta"))
    {
        return llm_anthropic_ping(f);
    }

    return llm_anthropic_meta(f, &llm_slice(LLM_ANTHROPIC_DELTA), &f->delta);
}


static llm_rc_t
llm_anthropic_message_delta(llm_anthropic_frame_t *f)
{
    llm_rc_t  rc;

    f->frame->choices = 1;

    if (f->delta.p != NULL) {
        llm_anthropic_stopped(f, &f->delta);
    }

    rc = llm_anthropic_begin(f);

    if (rc == LLM_OK) {
        rc = llm_anthropic_close_all(f);
    }

    if (rc == LLM_OK && f->details.p != NULL) {
        rc = llm_anthropic_meta(f, &llm_slice(LLM_ANTHROPIC_STOP),
                                &f->details);
    }

    if (rc == LLM_OK) {
        rc = llm_anthropic_emit_usage(f);
    }

    return rc == LLM_OK ? llm_anthropic_emit_finish(f) : rc;
}


static llm_rc_t
llm_anthropic_event(llm_anthropic_frame_t *f, const llm_slice_t *type)
{
    llm_rc_t               rc;
    llm_anthropic_open_t  *open;

    if (llm_json_is(type, "content_block_delta")) {
        return llm_anthropic_block_delta(f);
    }

    if (llm_json_is(type, "content_block_start")) {
        return llm_anthropic_block_start(f);
    }

    if (llm_json_is(type, "content_block_stop")) {
        f->frame->choices = 1;
        open = llm_anthropic_find(f);

        return open != NULL ? llm_anthropic_close(f, open) : LLM_OK;
    }

    if (llm_json_is(type, "message_start")) {
        return llm_anthropic_message_start(f);
    }

    if (llm_json_is(type, "message_delta")) {
        return llm_anthropic_message_delta(f);
    }

    if (llm_json_is(type, "message_stop")) {
        rc = llm_anthropic_close_all(f);

        if (rc == LLM_OK) {
            f->ev.text = llm_slice_null;
            rc = llm_anthropic_emit(f, LLM_EV_END);
        }

        return rc == LLM_OK ? LLM_DONE : rc;
    }

    if (llm_json_is(type, "ping") || type->n == 0) {
        return llm_anthropic_ping(f);
    }

    /* of a later version */

    return llm_anthropic_meta(f, type, &f->frame->data);
}


/* Data that is no object: LLM_AGAIN, or it says nothing. */
static llm_rc_t
llm_anthropic_bare(llm_anthropic_frame_t *f)
{
    size_t         n;
    const llm_u8  *p;

    p = f->frame->data.p;
    n = f->frame->data.n;

    while (n != 0 && (*p == ' ' || *p == '\n' || *p == '\t')) {
        p++;
        n--;
    }

    /* some gateways add the terminator of another dialect */

    if (n == 0 || (n >= 6 && memcmp(p, "[DONE]", 6) == 0)) {
        return llm_anthropic_ping(f);
    }

    return LLM_AGAIN;
}


static inline int
llm_anthropic_is_error(const llm_frame_t *frame)
{
    return frame->type.n == 5 && memcmp(frame->type.p, "error", 5) == 0;
}


/*
 * The delta that nearly all events are, written as Anthropic writes it: any
 * index, one string, any space before the last brace (there is padding).
 * 1: it is one, *text is not empty.
 */
static int
llm_anthropic_plain(llm_anthropic_frame_t *f, llm_event_type_t *type,
    llm_slice_t *text)
{
    size_t         n, i;
    llm_json_t     j;
    const llm_u8  *p, *end;

    static const llm_slice_t  kinds[] = {
        llm_str(",\"delta\":{\"type\":\"text_delta\",\"text\":"),
        llm_str(",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":")
    };

    p = f->frame->data.p;
    end = p + f->frame->data.n;
    n = sizeof(LLM_ANTHROPIC_HEAD) - 1;

    if (f->frame->data.n < n + kinds[0].n
        || memcmp(p, LLM_ANTHROPIC_HEAD, n) != 0 || p[n] < '0' || p[n] > '9'
        || (p[n] == '0' && p[n + 1] != ','))
    {
        return 0;
    }

    for (p += n, i = 0; i < 6 && *p >= '0' && *p <= '9'; i++) {
        p++;
    }

    n = (size_t) (end - p);
    i = n > kinds[0].n && memcmp(p, kinds[0].p, kinds[0].n) == 0 ? 0 : 1;

    if (n <= kinds[i].n || memcmp(p, kinds[i].p, kinds[i].n) != 0) {
        return 0;
    }

    p += kinds[i].n;

    llm_json_init(&j, p, (size_t) (end - p), 1);

    if (llm_json_next(&j) != LLM_JSON_STRING) {
        return 0;
    }

    p = j.p;

    if (j.tok.n == 0 || p == end || *p++ != '}') {
        return 0;
    }

    while (p < end && *p == ' ') {
        p++;
    }

    *text = j.tok;
    text->escaped = 1;
    *type = i == 0 ? LLM_EV_TEXT : LLM_EV_REASONING;

    return end - p == 1 && *p == '}';
}


/* A delta of text or of thinking, read the short way: as Anthropic writes it,
 * or as the one before it was written.  1: f->ev is it. */
static int
llm_anthropic_quick(llm_anthropic_frame_t *f)
{
    llm_slice_t       text;
    llm_event_type_t  type;

    if (!llm_anthropic_plain(f, &type, &text)) {

        if (!llm_repeat_match(&f->d->repeat, &f->frame->data, &text)) {
            return 0;
        }

        type = f->d->repeat.type;
    }

    f->frame->choices = 1;
    f->ev.type = type;
    f->ev.text = text;

    return 1;
}


llm_rc_t
llm_anthropic_decode(llm_decoder_t *d, llm_frame_t *frame)
{
    int                    known, error;
    llm_rc_t               rc;
    llm_anthropic_frame_t  f;

    llm_anthropic_open(&f, d, frame);
    error = llm_anthropic_is_error(frame);

    if (d->started && !error && llm_anthropic_quick(&f)) {
        return llm_anthropic_emit(&f, f.ev.type);
    }

    if (frame->data.n == 0 || frame->data.p[0] != '{') {
        rc = llm_anthropic_bare(&f);
        if (rc != LLM_AGAIN) {
            return rc;
        }
    }

    known = llm_anthropic_scan(&f);

    if (error) {
        return llm_anthropic_emit_error(&f);
    }

    if (!known) {
        return LLM_INVALID;
    }

    if (f.type.p == NULL) {
        f.type = frame->type;
    }

    if (llm_json_is(&f.type, "error")
        || (f.type.n == 0 && f.error.p != NULL))
    {
        return llm_anthropic_emit_error(&f);
    }

    return llm_anthropic_event(&f, &f.type);
}


static const llm_ask_t  llm_anthropic_asks[] = {
    { NULL, "max_tokens", LLM_ASK_OUTPUT|LLM_ASK_SAYS, 0, NULL },
    { "thinking", "budget_tokens", LLM_ASK_BUDGET, LLM_ANTHROPIC_MIN_BUDGET,
      "{\"type\":\"disabled\"}" },
    { NULL, "messages", LLM_ASK_MESSAGES, 0, NULL },
    { NULL, NULL, 0, 0, NULL }
};


const llm_dialect_t  llm_dialect_anthropic = {
    .name = llm_str("anthropic"),
    .framing = LLM_FRAMING_SSE,
    .stream_type = llm_str("text/event-stream; charset=utf-8"),
    .answer_type = llm_str("application/json"),

    .stream_member = llm_str("stream"),
    .needs = llm_str("messages"),
    .asks = llm_anthropic_asks,
    .read_chat = llm_anthropic_read_chat,
    .write_chat = llm_anthropic_write_chat,

    .decode = llm_anthropic_decode,
    .decode_answer = llm_anthropic_decode_answer,
    .decode_size = sizeof(llm_anthropic_decoder_t),

    .stream_size = sizeof(llm_anthropic_stream_t),
    .encode = llm_anthropic_encode,
    .stream_drop = llm_anthropic_stream_drop,
    .terminator = llm_str("event: message_stop\n"
                          "data: {\"type\":\"message_stop\"}\n\n"),

    .write_answer = llm_anthropic_write_answer,
    .error_body = llm_anthropic_error_body
};
