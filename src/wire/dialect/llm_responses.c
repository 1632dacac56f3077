/*
 * OpenAI Responses: the row of the table, and frames to events.
 *
 * A frame is validated whole before the first of its events is emitted.
 * Everything is said several times here: as deltas, as *.done events, in
 * output_item.done and in the response object at the end.  What counts is
 * what came first; the rest is read only for what was not said before.  Items
 * are told apart by output_index, never by their ids: some servers make a new
 * id for each event.
 */

#include "llm_openai.h"
#include "llm_responses.h"


/* r: the response object that a stream begins with, or NULL. */
static llm_rc_t
llm_responses_start(llm_responses_frame_t *f,
    const llm_responses_object_t *r)
{
    llm_event_t  start;

    if (f->d->started) {
        return LLM_OK;
    }

    f->d->started = 1;

    memset(&start, 0, sizeof(llm_event_t));
    start.type = LLM_EV_START;
    start.linesep = f->ev.linesep;
    start.created = -1;

    if (r != NULL) {
        start.id = r->id.n != 0 ? r->id : llm_slice_null;
        start.model = r->model.n != 0 ? r->model : llm_slice_null;
        start.created = r->created > 0 ? r->created : -1;
    }

    return f->d->emit(f->d->ctx, &start);
}


llm_rc_t
llm_responses_emit(llm_responses_frame_t *f, llm_event_type_t type)
{
    llm_rc_t  rc;

    rc = llm_responses_start(f, NULL);
    if (rc != LLM_OK) {
        return rc;
    }

    f->ev.type = type;

    return f->d->emit(f->d->ctx, &f->ev);
}


llm_rc_t
llm_responses_say(llm_responses_frame_t *f, llm_event_type_t type,
    const llm_slice_t *text)
{
    llm_rc_t  rc;

    f->frame->choices = 1;

    if (text->n == 0) {
        return LLM_OK;
    }

    f->ev.text = *text;
    rc = llm_responses_emit(f, type);
    f->ev.text = llm_slice_null;

    return rc;
}


/* What a delta or a *.done event of a text is about: the event that says it,
 * and where it is noted that something was said of the part. */
static uint32_t *
llm_responses_said_mask(llm_responses_seen_t *seen,
    llm_responses_type_t type, llm_event_type_t *ev)
{
    switch (type) {

    case LLM_RESPONSES_TEXT_DELTA: case LLM_RESPONSES_TEXT_DONE:
        seen->kind = LLM_RESPONSES_MESSAGE;
        *ev = LLM_EV_TEXT;
        return &seen->texts;

    case LLM_RESPONSES_REFUSAL_DELTA: case LLM_RESPONSES_REFUSAL_DONE:
        seen->kind = LLM_RESPONSES_MESSAGE;
        *ev = LLM_EV_REFUSAL;
        return &seen->texts;

    case LLM_RESPONSES_SUMMARY_DELTA: case LLM_RESPONSES_SUMMARY_DONE:
        seen->kind = LLM_RESPONSES_REASONING;
        *ev = LLM_EV_REASONING;
        return &seen->summaries;

    default:    /* LLM_RESPONSES_THOUGHT_DELTA, LLM_RESPONSES_THOUGHT_DONE */
        seen->kind = LLM_RESPONSES_REASONING;
        *ev = LLM_EV_REASONING;
        return &seen->thoughts;
    }
}


/* A piece of a part. */
static llm_rc_t
llm_responses_delta(llm_responses_frame_t *f, llm_responses_type_t type)
{
    uint32_t              *mask;
    llm_rc_t               rc;
    llm_event_type_t       ev;
    llm_responses_seen_t  *seen;

    seen = llm_responses_seen(f, f->output);
    if (seen == NULL) {
        return f->rc;
    }

    if (type == LLM_RESPONSES_ARGS_DELTA) {
        return llm_responses_call(f, seen, NULL, NULL, &f->delta);
    }

    mask = llm_responses_said_mask(seen, type, &ev);

    if (f->delta.n != 0) {
        *mask |= llm_responses_bit(f->content);
    }

    rc = llm_responses_say(f, ev, &f->delta);

    return rc == LLM_OK && f->logprobs.n > 2 && ev == LLM_EV_TEXT
           ? llm_responses_tokens(f, seen, &f->logprobs) : rc;
}


/* Arguments that are whole: said now if none of them were said before. */
static llm_rc_t
llm_responses_args_done(llm_responses_frame_t *f, llm_responses_seen_t *seen)
{
    llm_rc_t  rc;

    if (seen->args) {
        return LLM_OK;
    }

    f->ev.whole = 1;
    rc = llm_responses_call(f, seen, NULL, NULL, &f->text);
    f->ev.whole = 0;

    return rc;
}


/* A part that is whole: said now if nothing of it was said before. */
static llm_rc_t
llm_responses_done(llm_responses_frame_t *f, llm_responses_type_t type)
{
    uint32_t              *mask, bit;
    llm_rc_t               rc;
    llm_event_type_t       ev;
    llm_responses_seen_t  *seen;

    seen = llm_responses_seen(f, f->output);
    if (seen == NULL) {
        return f->rc;
    }

    if (type == LLM_RESPONSES_ARGS_DONE) {
        return llm_responses_args_done(f, seen);
    }

    if (type == LLM_RESPONSES_PART_DONE) {
        return f->part.p != NULL
               ? llm_responses_part(f, seen, f->content, &f->part) : LLM_OK;
    }

    mask = llm_responses_said_mask(seen, type, &ev);
    bit = llm_responses_bit(f->content);
    rc = LLM_OK;

    if (f->text.n != 0 && !(*mask & bit)) {
        *mask |= bit;
        rc = llm_responses_say(f, ev, &f->text);
    }

    return rc == LLM_OK && f->logprobs.p != NULL && ev == LLM_EV_TEXT
           && !seen->logprobs
           ? llm_responses_tokens(f, seen, &f->logprobs) : rc;
}


static llm_rc_t
llm_responses_annotation(llm_responses_frame_t *f)
{
    llm_responses_seen_t  *seen;

    if (f->annotation.p == NULL) {
        return LLM_OK;
    }

    seen = llm_responses_seen(f, f->output);
    if (seen == NULL) {
        return f->rc;
    }

    seen->kind = LLM_RESPONSES_MESSAGE;
    seen->citations++;

    return llm_responses_citation(f, &f->annotation);
}


static llm_rc_t
llm_responses_emit_error(llm_responses_frame_t *f, llm_error_t *err)
{
    llm_event_t             ev;
    llm_responses_state_t  *s;

    s = f->d->state;

    if (s->failed) {
        return LLM_OK;          /* response.failed repeats the error event */
    }

    s->failed = 1;

    memset(&ev, 0, sizeof(llm_event_t));
    ev.type = LLM_EV_ERROR;
    ev.linesep = f->ev.linesep;
    ev.created = -1;
    ev.error = err;

    return f->d->emit(f->d->ctx, &ev);
}


/* An error in any of its shapes; `what` is said when it holds none. */
static llm_rc_t
llm_responses_error(llm_responses_frame_t *f, const llm_slice_t *data,
    const char *what)
{
    llm_error_t  err;

    if (llm_error_read(data, &err) != LLM_OK) {
        err.message.p = (const llm_u8 *) what;
        err.message.n = strlen(what);
    }

    /* the event's own type, where an error is flat */

    if (err.type.p != NULL && llm_json_is(&err.type, "error")) {
        err.type = llm_slice_null;
        llm_error_classify(&err);
    }

    return llm_responses_emit_error(f, &err);
}


static llm_rc_t
llm_responses_emit_usage(llm_responses_frame_t *f,
    const llm_responses_object_t *r)
{
    llm_rc_t     rc;
    llm_usage_t  usage;

    if (r->usage.p == NULL || !llm_responses_usage(&usage, &r->usage)) {
        return LLM_OK;
    }

    f->ev.usage = &usage;
    f->ev.raw = r->usage;

    rc = llm_responses_emit(f, LLM_EV_USAGE);

    f->ev.usage = NULL;
    f->ev.raw = llm_slice_null;

    return rc;
}


static llm_rc_t
llm_responses_failed(llm_responses_frame_t *f,
    const llm_responses_object_t *r)
{
    llm_rc_t     rc;
    llm_slice_t  none;

    if (f->d->started) {
        rc = llm_responses_emit_usage(f, r);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    none = llm_slice("{}");

    return llm_responses_error(f, r->error.p != NULL ? &r->error : &none,
                               "the response failed");
}


static llm_rc_t
llm_responses_finish(llm_responses_frame_t *f,
    const llm_responses_object_t *r, unsigned incomplete)
{
    llm_rc_t                rc;
    llm_responses_state_t  *s;

    s = f->d->state;

    if (!incomplete) {
        f->ev.text = llm_slice("completed");
        f->ev.finish = s->calls != 0 ? LLM_FINISH_TOOL_CALLS
                                     : LLM_FINISH_STOP;

    } else {
        f->ev.text = r->reason.n != 0 ? r->reason : llm_slice("incomplete");
        f->ev.finish = r->reason.n == 0
                       || llm_json_is(&r->reason, "max_output_tokens")
                       ? LLM_FINISH_LENGTH
                       : llm_json_is(&r->reason, "content_filter")
                         ? LLM_FINISH_CONTENT_FILTER : LLM_FINISH_OTHER;
    }

    f->frame->choices = 1;

    rc = llm_responses_emit(f, LLM_EV_FINISH);

    f->ev.text = llm_slice_null;
    f->ev.finish = LLM_FINISH_NONE;

    return rc;
}


/* A response that is over: what of it was not said, finish, usage, end. */
static llm_rc_t
llm_responses_over(llm_responses_frame_t *f, const llm_responses_object_t *r,
    unsigned incomplete)
{
    llm_rc_t                rc;
    llm_responses_state_t  *s;

    s = f->d->state;

    rc = llm_responses_start(f, r);

    if (rc == LLM_OK && r->output.p != NULL) {
        llm_responses_settle_tokens(s);
        rc = llm_responses_output(f, &r->output);
    }

    if (rc == LLM_OK) {
        rc = llm_responses_finish(f, r, incomplete);
    }

    if (rc == LLM_OK) {
        rc = llm_responses_emit_usage(f, r);
    }

    if (rc != LLM_OK) {
        return rc;
    }

    s->ended = 1;
    rc = llm_responses_emit(f, LLM_EV_END);

    return rc == LLM_OK ? LLM_DONE : rc;
}


/* An event of the response as a whole. */
static llm_rc_t
llm_responses_life(llm_responses_frame_t *f, llm_responses_type_t type)
{
    llm_slice_t             none;
    llm_responses_object_t  r;

    none = llm_slice("{}");

    if (!llm_responses_object(&r, f->response.p != NULL ? &f->response
                                                        : &none,
                              LLM_JSON_DEPTH_MAX))
    {
        return LLM_INVALID;
    }

    switch (type) {

    case LLM_RESPONSES_LIFE:
        return llm_responses_start(f, &r);

    case LLM_RESPONSES_FAILED:
        return llm_responses_failed(f, &r);

    case LLM_RESPONSES_COMPLETED:

        /* seen under the wrong event */

        if (r.error.p != NULL && llm_json_is(&r.status, "failed")) {
            return llm_responses_failed(f, &r);
        }

        return llm_responses_over(f, &r,
                                  llm_json_is(&r.status, "incomplete"));

    default:    /* LLM_RESPONSES_INCOMPLETE */
        return llm_responses_over(f, &r, 1);
    }
}


/* An event of no type that we know. */
static llm_rc_t
llm_responses_unknown(llm_responses_frame_t *f)
{
    llm_rc_t     rc;
    llm_event_t  ev;

    if (f->error.p != NULL) {
        return llm_responses_error(f, &f->frame->data, "error");
    }

    if (f->type.n == 0) {
        return LLM_OK;
    }

    if (f->type.n < 9 || memcmp(f->type.p, "response.", 9) != 0) {

        /* "keepalive" */

        memset(&ev, 0, sizeof(llm_event_t));
        ev.type = LLM_EV_PING;
        ev.created = -1;

        return f->d->emit(f->d->ctx, &ev);
    }

    f->ev.name = f->type;
    f->ev.name.escaped = 1;
    f->ev.raw = f->frame->data;
    rc = llm_responses_emit(f, LLM_EV_META);
    f->ev.name = llm_slice_null;
    f->ev.raw = llm_slice_null;

    return rc;
}


static llm_rc_t
llm_responses_dispatch(llm_responses_frame_t *f, llm_responses_type_t type)
{
    switch (type) {

    case LLM_RESPONSES_TEXT_DELTA: case LLM_RESPONSES_REFUSAL_DELTA:
    case LLM_RESPONSES_ARGS_DELTA: case LLM_RESPONSES_SUMMARY_DELTA:
    case LLM_RESPONSES_THOUGHT_DELTA:
        return llm_responses_delta(f, type);

    case LLM_RESPONSES_TEXT_DONE: case LLM_RESPONSES_REFUSAL_DONE:
    case LLM_RESPONSES_ARGS_DONE: case LLM_RESPONSES_SUMMARY_DONE:
    case LLM_RESPONSES_THOUGHT_DONE: case LLM_RESPONSES_PART_DONE:
        return llm_responses_done(f, type);

    case LLM_RESPONSES_ANNOTATION:
        return llm_responses_annotation(f);

    case LLM_RESPONSES_ITEM_ADDED: case LLM_RESPONSES_ITEM_DONE:
        return f->item.p != NULL
               ? llm_responses_item(f, f->output, &f->item,
                                    type == LLM_RESPONSES_ITEM_DONE)
               : LLM_OK;

    case LLM_RESPONSES_QUIET:
        return LLM_OK;

    case LLM_RESPONSES_ERROR:
        return llm_responses_error(f, &f->frame->data, "error");

    case LLM_RESPONSES_UNKNOWN:
        return llm_responses_unknown(f);

    default:
        return llm_responses_life(f, type);
    }
}


static void
llm_responses_open(llm_responses_frame_t *f, llm_decoder_t *d,
    llm_frame_t *frame)
{
    memset(f, 0, sizeof(llm_responses_frame_t));

    f->d = d;
    f->frame = frame;
    f->output = -1;
    f->content = -1;
    f->ev.linesep = frame->linesep;
    f->ev.created = -1;
    f->ev.start = -1;
    f->ev.end = -1;

    frame->choices = 0;
}


/* Data that is no object: the [DONE] that some servers send behind the last
 * event ends nothing. */
static int
llm_responses_bare(const llm_slice_t *data)
{
    size_t         n;
    const llm_u8  *p;

    p = data->p;
    n = data->n;

    while (n != 0 && (*p == ' ' || *p == '\n' || *p == '\t')) {
        p++;
        n--;
    }

    return n == 0 || (n >= 6 && memcmp(p, "[DONE]", 6) == 0);
}


/* A frame like the one before it, but for its text. */
static llm_rc_t
llm_responses_repeat(llm_decoder_t *d, llm_frame_t *frame,
    const llm_slice_t *text)
{
    llm_event_t             ev;
    llm_responses_state_t  *s;

    s = d->state;
    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = s->repeat.type;
    ev.linesep = frame->linesep;
    ev.text = *text;
    ev.created = -1;

    frame->choices = 1;

    return d->emit(d->ctx, &ev);
}


static llm_rc_t
llm_responses_decode(llm_decoder_t *d, llm_frame_t *frame)
{
    llm_rc_t                rc;
    unsigned                said;
    llm_slice_t             text;
    llm_responses_type_t    type;
    llm_responses_frame_t   f;
    llm_responses_state_t  *s;

    s = d->state;

    if (!s->ended && llm_responses_match(s, &frame->data, &text)) {
        return llm_responses_repeat(d, frame, &text);
    }

    llm_responses_open(&f, d, frame);

    if (s->ended || llm_responses_bare(&frame->data)) {
        return LLM_OK;
    }

    if (!llm_responses_scan(&f)) {

        if (frame->type.p != NULL && llm_json_is(&frame->type, "error")) {
            return llm_responses_error(&f, &frame->data, "error");
        }

        return LLM_INVALID;
    }

    said = f.type.n != 0;

    if (!said && frame->type.p != NULL) {
        f.type = frame->type;
    }

    type = llm_responses_type(&f.type);
    rc = llm_responses_dispatch(&f, type);

    if (rc == LLM_OK && said) {
        llm_responses_learn(&f, type);
    }

    return rc;
}


/* The states of an answer that is not whole; NULL: it is. */
static const char *
llm_responses_unfinished(const llm_slice_t *status)
{
    if (llm_json_is(status, "queued") || llm_json_is(status, "in_progress")) {
        return "the response is not complete";
    }

    return llm_json_is(status, "cancelled") ? "the response was cancelled"
                                            : NULL;
}


static llm_rc_t
llm_responses_decode_answer(llm_decoder_t *d, llm_frame_t *answer)
{
    llm_slice_t             none;
    const char             *what;
    llm_responses_frame_t   f;
    llm_responses_object_t  r;

    llm_responses_open(&f, d, answer);

    if (!llm_responses_object(&r, &answer->data, answer->max_depth)) {
        return LLM_INVALID;
    }

    if (r.output.p == NULL) {
        return r.error.p != NULL
               ? llm_responses_error(&f, &answer->data, "error")
               : LLM_INVALID;
    }

    what = llm_responses_unfinished(&r.status);
    none = llm_slice("{}");

    if (what != NULL) {
        return llm_responses_error(&f, &none, what);
    }

    if (r.error.p != NULL || llm_json_is(&r.status, "failed")) {
        return llm_responses_failed(&f, &r);
    }

    return llm_responses_over(&f, &r, llm_json_is(&r.status, "incomplete"));
}


static void
llm_responses_decode_drop(llm_decoder_t *d)
{
    llm_responses_state_t  *s;

    s = d->state;

    llm_block_free(&s->items, &d->alloc);
}


static const llm_ask_t  llm_responses_asks[] = {
    { NULL, "max_output_tokens", LLM_ASK_OUTPUT|LLM_ASK_SAYS, 0, NULL },
    { NULL, "input", LLM_ASK_MESSAGES, 0, NULL },
    { NULL, NULL, 0, 0, NULL }
};


const llm_dialect_t  llm_dialect_responses = {
    .name = llm_str("openai-responses"),
    .framing = LLM_FRAMING_SSE,
    .failure = 1,

    /* openai-node takes the API's own, flat, and response.failed for events
     * like all others, and the end behind them for a good one */
    .error_member = 1,

    .stream_type = llm_str("text/event-stream; charset=utf-8"),
    .answer_type = llm_str("application/json"),

    .stream_member = llm_str("stream"),
    .needs = llm_str("input"),
    .asks = llm_responses_asks,
    .read_chat = llm_responses_read_chat,
    .write_chat = llm_responses_write_chat,

    .decode = llm_responses_decode,
    .decode_answer = llm_responses_decode_answer,
    .decode_size = sizeof(llm_responses_state_t),
    .decode_drop = llm_responses_decode_drop,

    .stream_size = sizeof(llm_responses_stream_t),
    .encode = llm_responses_encode,
    .stream_drop = llm_responses_stream_drop,
    .write_answer = llm_responses_write_answer,

    .error_body = llm_openai_error_body
};
