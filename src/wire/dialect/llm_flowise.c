/*
 * Flowise's prediction API: the row of the table, and frames to events.
 *
 *   message:
 *   data:{"event":"token","data":"Hel"}
 *
 * "message:" is no event: line but an unknown field, older servers leave its
 * colon out; what a frame is stands in its JSON.  start.data repeats the
 * first token, so it is never content.  There is no finish reason: "end" is
 * the end, and "abort" says that the flow was stopped, which no client may
 * take for an end.
 *
 * Tools that a flow ran itself (usedTools) are extras, since a client that
 * is handed a call is asked to run it; what the model called and nobody ran
 * (calledTools) are calls.
 *
 * Nothing here may keep a slice beyond the call.
 */

#include "llm_flowise.h"


typedef enum {
    LLM_FLOWISE_META = 0,
    LLM_FLOWISE_START,
    LLM_FLOWISE_TOKEN,
    LLM_FLOWISE_THINKING,
    LLM_FLOWISE_CALLS,
    LLM_FLOWISE_SOURCES,
    LLM_FLOWISE_USAGE,
    LLM_FLOWISE_ERROR,
    LLM_FLOWISE_ABORT,
    LLM_FLOWISE_END
} llm_flowise_name_t;

/* Events and members that are carried as they are. */
static const llm_json_word_t  llm_flowise_extras[] = {
    { llm_str("usedTools"), 1 },
    { llm_str("artifacts"), 1 },
    { llm_str("fileAnnotations"), 1 },
    { llm_str("tool"), 1 },
    { llm_str("agentReasoning"), 1 },
    { llm_str("nextAgent"), 1 },
    { llm_str("agentFlowEvent"), 1 },
    { llm_str("agentFlowExecutedData"), 1 },
    { llm_str("nextAgentFlow"), 1 },
    { llm_str("action"), 1 },
    { llm_str("metadata"), 1 },
    { { NULL, 0, 0 }, 0 }
};


int
llm_flowise_is_extra(const llm_slice_t *name)
{
    return llm_json_find(llm_flowise_extras, name, 0);
}


static const llm_json_word_t  llm_flowise_names[] = {
    { llm_str("token"), LLM_FLOWISE_TOKEN },
    { llm_str("thinking"), LLM_FLOWISE_THINKING },
    { llm_str("start"), LLM_FLOWISE_START },
    { llm_str("end"), LLM_FLOWISE_END },
    { llm_str("calledTools"), LLM_FLOWISE_CALLS },
    { llm_str("sourceDocuments"), LLM_FLOWISE_SOURCES },
    { llm_str("usageMetadata"), LLM_FLOWISE_USAGE },
    { llm_str("error"), LLM_FLOWISE_ERROR },
    { llm_str("abort"), LLM_FLOWISE_ABORT },
    { { NULL, 0, 0 }, 0 }
};


llm_rc_t
llm_flowise_emit(llm_flowise_frame_t *f, llm_event_type_t type)
{
    f->ev.type = type;

    return f->d->emit(f->d->ctx, &f->ev);
}


llm_rc_t
llm_flowise_start(llm_flowise_frame_t *f, const llm_slice_t *id)
{
    llm_rc_t  rc;

    if (f->d->started) {
        return LLM_OK;
    }

    f->d->started = 1;
    f->ev.id = id != NULL && id->n != 0 ? *id : llm_slice_null;

    rc = llm_flowise_emit(f, LLM_EV_START);

    f->ev.id = llm_slice_null;

    return rc;
}


/* An empty text says that the choice is there; other empty ones nothing. */
llm_rc_t
llm_flowise_text(llm_flowise_frame_t *f, llm_event_type_t type,
    const llm_slice_t *text)
{
    llm_rc_t  rc;

    if (text->n == 0) {
        type = LLM_EV_TEXT;
    }

    f->ev.text = *text;
    rc = llm_flowise_emit(f, type);
    f->ev.text = llm_slice_null;

    return rc;
}


/* The JSON of a value as it stands in the frame. */
llm_slice_t
llm_flowise_raw(const llm_slice_t *v, llm_json_type_t type)
{
    llm_slice_t  raw;

    raw = *v;

    if (type == LLM_JSON_STRING) {
        raw.p--;
        raw.n += 2;
        raw.escaped = 0;
    }

    return raw;
}


llm_rc_t
llm_flowise_meta(llm_flowise_frame_t *f, const llm_slice_t *name,
    const llm_slice_t *raw)
{
    llm_rc_t  rc;

    f->ev.name = *name;
    f->ev.raw = *raw;

    rc = llm_flowise_emit(f, LLM_EV_META);

    f->ev.name = llm_slice_null;
    f->ev.raw = llm_slice_null;

    return rc;
}


/*
 * One call; j stands behind its brace.  Both shapes: {"name","args","id"}
 * as the model said it, {"tool","toolInput"} as Flowise shows it.
 */
static llm_rc_t
llm_flowise_call(llm_flowise_frame_t *f, llm_json_t *j)
{
    llm_rc_t              rc;
    llm_slice_t           key, v;
    llm_json_type_t       type;
    llm_flowise_state_t  *s;

    s = f->d->state;

    f->ev.id = llm_slice_null;
    f->ev.name = llm_slice_null;
    f->ev.text = (llm_slice_t) { (const llm_u8 *) "", 0, 1 };

    while (llm_json_member(j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && v.n != 0) {

            if (llm_json_is(&key, "name") || llm_json_is(&key, "tool")) {
                f->ev.name = v;

            } else if (llm_json_is(&key, "id")) {
                f->ev.id = v;
            }

        } else if (type == LLM_JSON_OBJECT
                   && (llm_json_is(&key, "args")
                       || llm_json_is(&key, "toolInput")))
        {
            f->ev.text = v;
        }
    }

    rc = LLM_OK;

    if (f->ev.name.p != NULL) {
        f->ev.tool_index = s->calls++;
        f->ev.whole = 1;
        rc = llm_flowise_emit(f, LLM_EV_TOOL_CALL);
    }

    f->ev.id = llm_slice_null;
    f->ev.name = llm_slice_null;
    f->ev.text = llm_slice_null;
    f->ev.tool_index = 0;
    f->ev.whole = 0;

    return rc;
}


/* Where a document is from; j stands behind metadata's brace. */
static void
llm_flowise_source(llm_flowise_frame_t *f, llm_json_t *j)
{
    llm_slice_t      key, v;
    llm_json_type_t  type;

    while (llm_json_member(j, &key, &v, &type)) {

        if (type != LLM_JSON_STRING || v.n == 0) {
            continue;
        }

        if (llm_json_is(&key, "source")) {
            f->ev.id = v;

        } else if (llm_json_is(&key, "title")) {
            f->ev.name = v;
        }
    }
}


/* One of sourceDocuments, raw. */
static llm_rc_t
llm_flowise_document(llm_flowise_frame_t *f, const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j, inner;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    f->ev.raw = *raw;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && llm_json_is(&key, "pageContent")) {
            f->ev.text = v;

        } else if (type == LLM_JSON_OBJECT && llm_json_is(&key, "metadata")) {
            llm_json_reopen(&inner, &v);
            llm_flowise_source(f, &inner);
        }
    }

    rc = llm_flowise_emit(f, LLM_EV_CITATION);

    f->ev.id = llm_slice_null;
    f->ev.name = llm_slice_null;
    f->ev.text = llm_slice_null;
    f->ev.raw = llm_slice_null;

    return rc;
}


llm_rc_t
llm_flowise_calls(llm_flowise_frame_t *f, const llm_slice_t *list)
{
    llm_rc_t    rc;
    llm_json_t  j;

    rc = LLM_OK;
    llm_json_reopen(&j, list);

    while (rc == LLM_OK && llm_json_object(&j)) {
        rc = llm_flowise_call(f, &j);
    }

    return rc;
}


llm_rc_t
llm_flowise_documents(llm_flowise_frame_t *f, const llm_slice_t *list)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      v;
    llm_json_type_t  type;

    rc = LLM_OK;
    llm_json_reopen(&j, list);

    while (rc == LLM_OK && llm_json_element(&j, &v, &type)) {
        if (type == LLM_JSON_OBJECT) {
            rc = llm_flowise_document(f, &v);
        }
    }

    return rc;
}


/* The number `name` of an object, or -1. */
static int64_t
llm_flowise_number(const llm_slice_t *raw, const char *name)
{
    int64_t          n;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    n = -1;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (type == LLM_JSON_NUMBER
            && llm_json_eq(&key, name, strlen(name)))
        {
            n = llm_json_uint(&v);
        }
    }

    return n;
}


llm_rc_t
llm_flowise_usage(llm_flowise_frame_t *f, const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_usage_t      usage;
    llm_json_type_t  type;

    usage = llm_usage_none;
    usage.input = llm_flowise_number(raw, "input_tokens");
    usage.output = llm_flowise_number(raw, "output_tokens");
    usage.total = llm_flowise_number(raw, "total_tokens");

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type != LLM_JSON_OBJECT) {
            continue;
        }

        if (llm_json_is(&key, "input_token_details")) {
            usage.cached = llm_flowise_number(&v, "cache_read");
            usage.cache_write = llm_flowise_number(&v, "cache_creation");

        } else if (llm_json_is(&key, "output_token_details")) {
            usage.reasoning = llm_flowise_number(&v, "reasoning");
        }
    }

    if (usage.input < 0 && usage.output < 0 && usage.total < 0) {
        return LLM_OK;
    }

    f->ev.usage = &usage;
    f->ev.raw = *raw;

    rc = llm_flowise_emit(f, LLM_EV_USAGE);

    f->ev.usage = NULL;
    f->ev.raw = llm_slice_null;

    return rc;
}


/* What went wrong is a text, an error's object, or the frame itself. */
static llm_rc_t
llm_flowise_error(llm_flowise_frame_t *f, const llm_slice_t *said,
    llm_json_type_t type)
{
    llm_error_t  err;

    if (type != LLM_JSON_OBJECT || llm_error_read(said, &err) != LLM_OK) {
        memset(&err, 0, sizeof(llm_error_t));

        err.retry_after = -1;
        err.message = type == LLM_JSON_STRING ? *said : llm_slice_null;

        llm_error_classify(&err);
    }

    f->ev.error = &err;

    return llm_flowise_emit(f, LLM_EV_ERROR);
}


/* The end of an answer: it is one of calls when there are any. */
llm_rc_t
llm_flowise_end(llm_flowise_frame_t *f)
{
    llm_rc_t              rc;
    llm_flowise_state_t  *s;

    s = f->d->state;
    rc = llm_flowise_start(f, NULL);

    if (rc == LLM_OK) {
        f->ev.finish = s->calls ? LLM_FINISH_TOOL_CALLS : LLM_FINISH_STOP;
        f->ev.text = llm_slice("end");

        rc = llm_flowise_emit(f, LLM_EV_FINISH);

        f->ev.finish = LLM_FINISH_NONE;
        f->ev.text = llm_slice_null;
    }

    if (rc == LLM_OK) {
        rc = llm_flowise_emit(f, LLM_EV_END);
    }

    return rc == LLM_OK ? LLM_DONE : rc;
}


/* Reads a frame whole; 0: it is no JSON object. */
static int
llm_flowise_scan(llm_flowise_frame_t *f)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_init(&j, f->frame->data.p, f->frame->data.n,
                  f->frame->max_depth);

    if (llm_json_next(&j) != LLM_JSON_OBJECT) {
        return 0;
    }

    while (llm_json_member(&j, &key, &v, &type)) {

        if (llm_json_is(&key, "event")) {
            if (type == LLM_JSON_STRING) {
                f->event = v;
            }

        } else if (llm_json_is(&key, "data")) {
            f->data = v;
            f->type = type;
        }
    }

    return llm_json_next(&j) == LLM_JSON_END;
}


/* A frame that does not say which event it is. */
static llm_rc_t
llm_flowise_nameless(llm_flowise_frame_t *f)
{
    llm_error_t  err;

    if (llm_error_read(&f->frame->data, &err) == LLM_OK) {
        f->ev.error = &err;
        return llm_flowise_emit(f, LLM_EV_ERROR);
    }

    return llm_flowise_emit(f, LLM_EV_PING);
}


/* A piece of text; the frames after it may be the same but for it. */
static llm_rc_t
llm_flowise_token(llm_flowise_frame_t *f, llm_event_type_t type)
{
    llm_rc_t     rc;
    llm_event_t  ev;

    f->frame->choices = 1;

    if (f->type != LLM_JSON_STRING) {
        return llm_flowise_emit(f, LLM_EV_PING);
    }

    rc = llm_flowise_start(f, NULL);

    if (rc == LLM_OK) {
        rc = llm_flowise_text(f, type, &f->data);
    }

    if (rc == LLM_OK && f->data.n != 0) {
        ev = f->ev;
        ev.type = type;
        ev.text = f->data;

        llm_repeat_learn(&f->d->repeat, &f->frame->data, &ev);
    }

    return rc;
}


/* Calls, documents, usage and extras: what comes once in an answer. */
static llm_rc_t
llm_flowise_rare(llm_flowise_frame_t *f, int name)
{
    llm_rc_t     rc;
    llm_slice_t  raw;

    raw = llm_flowise_raw(&f->data, f->type);

    if (name == LLM_FLOWISE_USAGE && f->type == LLM_JSON_OBJECT) {
        return llm_flowise_usage(f, &f->data);
    }

    if (name == LLM_FLOWISE_META || f->type != LLM_JSON_ARRAY) {
        return f->type == LLM_JSON_END ? llm_flowise_emit(f, LLM_EV_PING)
                                       : llm_flowise_meta(f, &f->event, &raw);
    }

    f->frame->choices = 1;

    rc = llm_flowise_start(f, NULL);
    if (rc != LLM_OK) {
        return rc;
    }

    return name == LLM_FLOWISE_CALLS ? llm_flowise_calls(f, &f->data)
                                     : llm_flowise_documents(f, &f->data);
}


static llm_rc_t
llm_flowise_event(llm_flowise_frame_t *f)
{
    int       name;
    llm_rc_t  rc;

    name = llm_json_find(llm_flowise_names, &f->event, LLM_FLOWISE_META);

    switch (name) {

    case LLM_FLOWISE_START:
        f->frame->choices = 1;
        rc = llm_flowise_start(f, NULL);

        return rc == LLM_OK ? llm_flowise_emit(f, LLM_EV_PING) : rc;

    case LLM_FLOWISE_TOKEN:
        return llm_flowise_token(f, LLM_EV_TEXT);

    case LLM_FLOWISE_THINKING:
        return llm_flowise_token(f, LLM_EV_REASONING);

    case LLM_FLOWISE_ERROR:
        return llm_flowise_error(f, &f->data, f->type);

    case LLM_FLOWISE_ABORT:
        return llm_flowise_error(f, &f->event, LLM_JSON_STRING);

    case LLM_FLOWISE_END:
        f->frame->choices = 1;
        return llm_flowise_end(f);

    default:
        return llm_flowise_rare(f, name);
    }
}


void
llm_flowise_open(llm_flowise_frame_t *f, llm_decoder_t *d, llm_frame_t *frame)
{
    memset(f, 0, sizeof(llm_flowise_frame_t));

    f->d = d;
    f->frame = frame;
    f->type = LLM_JSON_END;
    f->ev.linesep = frame->linesep;
    f->ev.created = -1;
    f->ev.start = -1;
    f->ev.end = -1;

    frame->choices = 0;
}


static llm_rc_t
llm_flowise_decode(llm_decoder_t *d, llm_frame_t *frame)
{
    llm_slice_t          text;
    llm_flowise_frame_t  f;

    llm_flowise_open(&f, d, frame);

    if (llm_repeat_match(&d->repeat, &frame->data, &text)) {
        frame->choices = 1;
        f.ev.text = text;

        return llm_flowise_emit(&f, d->repeat.type);
    }

    if (!llm_flowise_scan(&f)) {
        frame->choices = 0;
        return LLM_INVALID;
    }

    return f.event.p != NULL ? llm_flowise_event(&f)
                             : llm_flowise_nameless(&f);
}


/* a flow takes the limit only where its owner lets it be set */
static const llm_ask_t  llm_flowise_asks[] = {
    { "overrideConfig", "maxTokens", LLM_ASK_OUTPUT, 0, NULL },
    { NULL, "history", LLM_ASK_HISTORY, 0, NULL },
    { NULL, NULL, 0, 0, NULL }
};


const llm_dialect_t  llm_dialect_flowise = {
    .name = llm_str("flowise"),
    .framing = LLM_FRAMING_SSE,
    .stream_type = llm_str("text/event-stream"),
    .answer_type = llm_str("application/json; charset=utf-8"),

    .stream_default = 0,
    .stream_member = llm_str("streaming"),
    .needs = llm_str("question"),
    .asks = llm_flowise_asks,
    .model_in_path = 1,
    .read_chat = llm_flowise_read_chat,
    .write_chat = llm_flowise_write_chat,

    .decode = llm_flowise_decode,
    .decode_answer = llm_flowise_decode_answer,
    .decode_size = sizeof(llm_flowise_state_t),

    .stream_size = sizeof(llm_flowise_stream_t),
    .encode = llm_flowise_encode,
    .stream_drop = llm_flowise_stream_drop,
    .write_answer = llm_flowise_write_answer,
    .error_body = llm_flowise_error_body
};
