/*
 * OpenAI chat completions: the row of the table, and chunks to events.
 *
 * A chunk is validated whole before the first of its events is emitted.
 * Only what is rare is read a second time: further choices of one chunk,
 * tool calls, lists of parts.  Nothing here may allocate or keep a slice
 * beyond the call.
 */

#include "llm_openai.h"


/* a time above this is in milliseconds, as some servers say it */
#define LLM_OPENAI_MILLISECONDS  INT64_C(100000000000)


static inline llm_rc_t
llm_openai_emit(llm_openai_chunk_t *c, llm_event_type_t type)
{
    c->emitted++;
    c->ev.type = type;

    return c->d->emit(c->d->ctx, &c->ev);
}


static llm_rc_t
llm_openai_start(llm_openai_chunk_t *c)
{
    llm_rc_t  rc;

    c->d->started = 1;

    c->ev.id = c->id.n != 0 ? c->id : llm_slice_null;
    c->ev.model = c->model.n != 0 ? c->model : llm_slice_null;
    c->ev.created = c->created > 0 ? c->created : -1;

    if (c->created >= LLM_OPENAI_MILLISECONDS) {
        c->ev.created = c->created / 1000;
    }

    rc = llm_openai_emit(c, LLM_EV_START);

    c->ev.id = llm_slice_null;
    c->ev.model = llm_slice_null;
    c->ev.created = -1;

    return rc;
}


/* TEXT, REASONING or REFUSAL; nothing for an empty or absent string. */
static inline llm_rc_t
llm_openai_text(llm_openai_chunk_t *c, llm_event_type_t type,
    const llm_slice_t *text)
{
    if (text->n == 0) {
        return LLM_OK;
    }

    c->ev.text = *text;

    return llm_openai_emit(c, type);
}


/* The strings "text" or "summary" of an array's objects. */
static llm_rc_t
llm_openai_texts(llm_openai_chunk_t *c, const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, text;
    llm_json_type_t  type;

    llm_openai_reopen(&j, raw);

    while (llm_openai_object(&j)) {
        text = llm_slice_null;

        while (llm_openai_member(&j, &key, &v, &type)) {
            if (type == LLM_JSON_STRING
                && (llm_json_is(&key, "text")
                    || llm_json_is(&key, "summary")))
            {
                text = v;
            }
        }

        rc = llm_openai_text(c, LLM_EV_REASONING, &text);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* One object of a content that is an array; j stands behind its brace. */
static llm_rc_t
llm_openai_part(llm_openai_chunk_t *c, llm_json_t *j)
{
    llm_rc_t          rc;
    llm_slice_t       key, v, text, refusal, list;
    llm_json_type_t   type;
    llm_event_type_t  ev;

    ev = LLM_EV_TEXT;
    text = llm_slice_null;
    refusal = llm_slice_null;
    list = llm_slice_null;

    while (llm_openai_member(j, &key, &v, &type)) {

        if (llm_json_is(&key, "thinking") && type == LLM_JSON_ARRAY) {
            list = v;

        } else if (type != LLM_JSON_STRING) {
            continue;

        } else if (llm_json_is(&key, "type")) {
            if (llm_json_is(&v, "thinking") || llm_json_is(&v, "reasoning")) {
                ev = LLM_EV_REASONING;
            }

        } else if (llm_json_is(&key, "text")
                   || llm_json_is(&key, "thinking"))
        {
            text = v;

        } else if (llm_json_is(&key, "refusal")) {
            refusal = v;
        }
    }

    rc = list.p != NULL ? llm_openai_texts(c, &list) : LLM_OK;

    if (rc == LLM_OK) {
        rc = llm_openai_text(c, ev, &text);
    }

    if (rc == LLM_OK) {
        rc = llm_openai_text(c, LLM_EV_REFUSAL, &refusal);
    }

    return rc;
}


/* Content that is an array: Mistral's text and thinking parts. */
static llm_rc_t
llm_openai_parts(llm_openai_chunk_t *c, const llm_slice_t *raw)
{
    llm_rc_t    rc;
    llm_json_t  j;

    llm_openai_reopen(&j, raw);

    while (llm_openai_object(&j)) {
        rc = llm_openai_part(c, &j);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* Reads the name and the arguments of a call into c->ev. */
static void
llm_openai_function(llm_openai_chunk_t *c, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      v, key;
    llm_json_type_t  type;

    llm_openai_reopen(&j, raw);

    while (llm_openai_member(&j, &key, &v, &type)) {

        if (llm_json_is(&key, "name")) {
            if (type == LLM_JSON_STRING && v.n != 0) {
                c->ev.name = v;
            }

        } else if (llm_json_is(&key, "arguments")) {

            /* an object is against the rules, but seen: its bytes are text */

            if (type == LLM_JSON_STRING || type == LLM_JSON_OBJECT) {
                c->ev.text = v;
            }
        }
    }
}


/* Emits the call that was read into c->ev, if it says anything. */
static llm_rc_t
llm_openai_call(llm_openai_chunk_t *c)
{
    llm_rc_t  rc;

    rc = LLM_OK;

    if (c->ev.id.p != NULL || c->ev.name.p != NULL || c->ev.text.n != 0) {
        rc = llm_openai_emit(c, LLM_EV_TOOL_CALL);
    }

    c->ev.id = llm_slice_null;
    c->ev.name = llm_slice_null;
    c->ev.text = llm_slice_null;
    c->ev.tool_index = 0;

    return rc;
}


/* One of tool_calls, the pos-th; j stands behind its brace. */
static llm_rc_t
llm_openai_tool(llm_openai_chunk_t *c, llm_json_t *j, unsigned pos)
{
    int64_t          index;
    llm_slice_t      v, key;
    llm_json_type_t  type;

    c->ev.text = llm_slice_null;
    c->ev.tool_index = pos;

    while (llm_openai_member(j, &key, &v, &type)) {

        if (type == LLM_JSON_OBJECT && llm_json_is(&key, "function")) {
            llm_openai_function(c, &v);

        } else if (type == LLM_JSON_STRING && llm_json_is(&key, "id")) {
            if (v.n != 0) {
                c->ev.id = v;
            }

        } else if (type == LLM_JSON_NUMBER && llm_json_is(&key, "index")) {
            index = llm_json_uint(&v);

            if (index >= 0 && index <= INT32_MAX) {
                c->ev.tool_index = (unsigned) index;
            }
        }
    }

    return llm_openai_call(c);
}


static llm_rc_t
llm_openai_tools(llm_openai_chunk_t *c, const llm_slice_t *raw)
{
    llm_rc_t    rc;
    unsigned    pos;
    llm_json_t  j;

    llm_openai_reopen(&j, raw);

    for (pos = 0; llm_openai_object(&j); pos++) {
        rc = llm_openai_tool(c, &j, pos);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


static llm_finish_t
llm_openai_reason(const llm_slice_t *word)
{
    static const struct {
        llm_slice_t   word;
        llm_finish_t  finish;
    } words[] = {
        { llm_openai_str("stop"), LLM_FINISH_STOP },
        { llm_openai_str("length"), LLM_FINISH_LENGTH },
        { llm_openai_str("tool_calls"), LLM_FINISH_TOOL_CALLS },
        { llm_openai_str("content_filter"), LLM_FINISH_CONTENT_FILTER },
        { llm_openai_str("function_call"), LLM_FINISH_TOOL_CALLS },
        { llm_openai_str("error"), LLM_FINISH_ERROR },
        { llm_openai_str("insufficient_system_resource"), LLM_FINISH_ERROR },
        { llm_openai_str("eos"), LLM_FINISH_STOP },
        { llm_openai_str("eos_token"), LLM_FINISH_STOP },
        { llm_openai_str("model_length"), LLM_FINISH_LENGTH }
    };

    size_t  i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (llm_json_eq(word, (const char *) words[i].word.p,
                        words[i].word.n))
        {
            return words[i].finish;
        }
    }

    return LLM_FINISH_OTHER;
}


/* What is rare in a choice: all that has to be read a second time. */
static llm_rc_t
llm_openai_emit_rare(llm_openai_chunk_t *c, const llm_openai_choice_t *ch)
{
    llm_rc_t  rc;

    rc = LLM_OK;

    if (ch->details.p != NULL && ch->reasoning.n == 0) {
        rc = llm_openai_texts(c, &ch->details);
    }

    if (rc == LLM_OK && ch->parts.p != NULL) {
        rc = llm_openai_parts(c, &ch->parts);
    }

    if (rc == LLM_OK && ch->tools.p != NULL) {
        rc = llm_openai_tools(c, &ch->tools);
    }

    if (rc == LLM_OK && ch->call.p != NULL) {
        c->ev.text = llm_slice_null;
        llm_openai_function(c, &ch->call);
        rc = llm_openai_call(c);
    }

    if (rc == LLM_OK && ch->logprobs.p != NULL) {
        c->ev.text = llm_slice_null;
        c->ev.raw = ch->logprobs;
        rc = llm_openai_emit(c, LLM_EV_LOGPROBS);
        c->ev.raw = llm_slice_null;
    }

    return rc;
}


static llm_rc_t
llm_openai_emit_finish(llm_openai_chunk_t *c, const llm_slice_t *word)
{
    llm_rc_t  rc;

    c->ev.text = *word;
    c->ev.finish = llm_openai_reason(word);

    rc = llm_openai_emit(c, LLM_EV_FINISH);

    c->ev.finish = LLM_FINISH_NONE;

    return rc;
}


static inline int
llm_openai_is_rare(const llm_openai_choice_t *ch)
{
    return ch->details.p != NULL || ch->parts.p != NULL
           || ch->tools.p != NULL || ch->call.p != NULL
           || ch->logprobs.p != NULL;
}


/* The events of one choice, the pos-th of its chunk. */
static llm_rc_t
llm_openai_emit_choice(llm_openai_chunk_t *c, const llm_openai_choice_t *ch,
    unsigned pos)
{
    llm_rc_t  rc;

    if (!c->d->started) {
        if (ch->content.n == 0 && ch->reasoning.n == 0
            && ch->refusal.n == 0 && ch->finish.n == 0
            && !llm_openai_is_rare(ch))
        {
            return LLM_OK;      /* nothing that would need a START */
        }

        rc = llm_openai_start(c);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    c->emitted = 0;
    c->ev.choice = ch->has_index ? ch->index : pos;

    rc = llm_openai_text(c, LLM_EV_REASONING, &ch->reasoning);

    if (rc == LLM_OK) {
        rc = llm_openai_text(c, LLM_EV_TEXT, &ch->content);
    }

    if (rc == LLM_OK) {
        rc = llm_openai_text(c, LLM_EV_REFUSAL, &ch->refusal);
    }

    if (rc == LLM_OK && llm_openai_is_rare(ch)) {
        rc = llm_openai_emit_rare(c, ch);
    }

    if (rc == LLM_OK && ch->finish.n != 0) {
        rc = llm_openai_emit_finish(c, &ch->finish);
    }

    if (rc == LLM_OK && c->emitted == 0) {

        /* an empty text says that the choice is there */

        c->ev.text = (llm_slice_t) { (const llm_u8 *) "", 0, 1 };
        rc = llm_openai_emit(c, LLM_EV_TEXT);
    }

    c->ev.text = llm_slice_null;

    return rc;
}


static llm_rc_t
llm_openai_emit_choices(llm_openai_chunk_t *c)
{
    llm_rc_t             rc;
    unsigned             pos;
    llm_json_t           j;
    llm_openai_choice_t  ch;

    if (c->frame->choices <= 1) {
        return c->frame->choices ? llm_openai_emit_choice(c, &c->first, 0)
                                 : LLM_OK;
    }

    llm_openai_reopen(&j, &c->choices);

    for (pos = 0; llm_openai_object(&j); pos++) {
        memset(&ch, 0, sizeof(llm_openai_choice_t));
        (void) llm_openai_choice(c, &j, &ch);

        rc = llm_openai_emit_choice(c, &ch, pos);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


static llm_rc_t
llm_openai_emit_usage(llm_openai_chunk_t *c)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, raw;
    llm_usage_t      usage;
    llm_json_type_t  type;

    raw = c->usage;

    if (raw.p == NULL) {
        llm_openai_reopen(&j, &c->groq);

        while (llm_openai_member(&j, &key, &v, &type)) {
            if (type == LLM_JSON_OBJECT && llm_json_is(&key, "usage")) {
                raw = v;
            }
        }
    }

    if (raw.p == NULL || !llm_openai_usage(&usage, &raw)) {
        return LLM_OK;
    }

    if (!c->d->started) {
        rc = llm_openai_start(c);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    c->ev.choice = 0;
    c->ev.raw = raw;
    c->ev.usage = &usage;

    rc = llm_openai_emit(c, LLM_EV_USAGE);

    c->ev.raw = llm_slice_null;
    c->ev.usage = NULL;

    return rc;
}


/* The frame is an error event.  Bytes that are no error of a known shape
 * are its message when they are bare text. */
static llm_rc_t
llm_openai_emit_error(llm_openai_chunk_t *c)
{
    llm_rc_t     rc;
    llm_error_t  err;

    rc = llm_openai_decode_error(&c->frame->data, &err);

    if (rc != LLM_OK && c->frame->data.n != 0
        && c->frame->data.p[0] != '{' && c->frame->data.p[0] != '[')
    {
        err.message = c->frame->data;
    }

    c->ev.choice = 0;
    c->ev.error = &err;

    rc = llm_openai_emit(c, LLM_EV_ERROR);

    c->ev.error = NULL;

    return rc;
}


static void
llm_openai_open(llm_openai_chunk_t *c, llm_decoder_t *d, llm_frame_t *frame)
{
    c->d = d;
    c->frame = frame;
    c->answer = 0;
    c->flat = 0;
    c->emitted = 0;
    c->id = llm_slice_null;
    c->model = llm_slice_null;
    c->choices = llm_slice_null;
    c->usage = llm_slice_null;
    c->groq = llm_slice_null;
    c->error = llm_slice_null;
    c->created = -1;

    memset(&c->first, 0, sizeof(llm_openai_choice_t));
    memset(&c->ev, 0, sizeof(llm_event_t));

    c->ev.linesep = frame->linesep;
    c->ev.created = -1;

    frame->choices = 0;

    llm_json_init(&c->json, frame->data.p, frame->data.n, frame->max_depth);
}


/* The events of a chunk that was read. */
static llm_rc_t
llm_openai_emit_chunk(llm_openai_chunk_t *c)
{
    llm_rc_t  rc;
    unsigned  error;

    error = c->error.p != NULL || c->flat;

    if (error && c->frame->choices <= 1 && c->first.content.n == 0
        && c->first.reasoning.n == 0 && c->first.refusal.n == 0
        && !llm_openai_is_rare(&c->first))
    {
        /* it starts nothing, and of what it says beside the error only the
         * count is true */

        rc = c->d->started && c->usage.p != NULL
             ? llm_openai_emit_usage(c) : LLM_OK;

        return rc == LLM_OK ? llm_openai_emit_error(c) : rc;
    }

    /* Azure's first chunk has no id: the next one says it */

    if (!c->d->started && c->id.n != 0) {
        rc = llm_openai_start(c);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    rc = llm_openai_emit_choices(c);

    if (rc == LLM_OK && (c->usage.p != NULL || c->groq.p != NULL)) {
        rc = llm_openai_emit_usage(c);
    }

    if (rc == LLM_OK && error) {
        rc = llm_openai_emit_error(c);
    }

    return rc;
}


static inline int
llm_openai_is_error_event(const llm_frame_t *frame)
{
    return frame->type.p != NULL && frame->type.n == 5
           && memcmp(frame->type.p, "error", 5) == 0;
}


/* A chunk like the one before it, but for its text. */
static llm_rc_t
llm_openai_repeat(llm_decoder_t *d, llm_frame_t *frame,
    const llm_slice_t *text)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = d->repeat.type;
    ev.choice = d->repeat.choice;
    ev.linesep = frame->linesep;
    ev.text = *text;
    ev.created = -1;

    frame->choices = 1;

    return d->emit(d->ctx, &ev);
}


/* Remembers a chunk that said nothing but one piece of text. */
static void
llm_openai_learn(llm_openai_chunk_t *c)
{
    llm_openai_choice_t  *ch;

    ch = &c->first;

    if (c->emitted != 1 || c->frame->choices != 1 || c->usage.p != NULL
        || c->groq.p != NULL || ch->finish.n != 0 || ch->refusal.n != 0
        || llm_openai_is_rare(ch))
    {
        return;
    }

    c->ev.type = ch->content.n != 0 ? LLM_EV_TEXT : LLM_EV_REASONING;
    c->ev.text = ch->content.n != 0 ? ch->content : ch->reasoning;

    if (c->ev.text.n != 0) {
        llm_repeat_learn(&c->d->repeat, &c->frame->data, &c->ev);
    }
}


/* Data that does not begin with a brace; LLM_AGAIN: it may be JSON. */
static llm_rc_t
llm_openai_bare(llm_openai_chunk_t *c)
{
    size_t         n;
    llm_rc_t       rc;
    const llm_u8  *p;

    p = c->frame->data.p;
    n = c->frame->data.n;

    while (n != 0 && (*p == ' ' || *p == '\n' || *p == '\t')) {
        p++;
        n--;
    }

    if (n == 0) {
        return llm_openai_emit(c, LLM_EV_PING);
    }

    if (n < 6 || memcmp(p, "[DONE]", 6) != 0) {
        return LLM_AGAIN;
    }

    rc = llm_openai_emit(c, LLM_EV_END);

    return rc == LLM_OK ? LLM_DONE : rc;
}


static llm_rc_t
llm_openai_decode(llm_decoder_t *d, llm_frame_t *frame)
{
    llm_rc_t            rc;
    unsigned            error;
    llm_slice_t         text;
    llm_openai_chunk_t  c;

    error = llm_openai_is_error_event(frame);

    if (!error && llm_repeat_match(&d->repeat, &frame->data, &text)) {
        return llm_openai_repeat(d, frame, &text);
    }

    llm_openai_open(&c, d, frame);

    if (frame->data.n == 0 || frame->data.p[0] != '{') {
        rc = llm_openai_bare(&c);
        if (rc != LLM_AGAIN) {
            return rc;
        }
    }

    if (!llm_openai_scan(&c)) {
        frame->choices = 0;

        return error ? llm_openai_emit_error(&c) : LLM_INVALID;
    }

    c.flat |= error;
    rc = llm_openai_emit_chunk(&c);

    if (rc == LLM_OK && d->started) {
        llm_openai_learn(&c);
    }

    return rc;
}


static llm_rc_t
llm_openai_decode_answer(llm_decoder_t *d, llm_frame_t *answer)
{
    llm_rc_t            rc;
    llm_openai_chunk_t  c;

    llm_openai_open(&c, d, answer);
    c.answer = 1;

    if (!llm_openai_scan(&c)
        || (answer->choices == 0 && c.error.p == NULL && !c.flat))
    {
        return LLM_INVALID;
    }

    rc = llm_openai_emit_chunk(&c);

    if (rc != LLM_OK || c.error.p != NULL || c.flat) {
        return rc;
    }

    c.ev.choice = 0;
    rc = llm_openai_emit(&c, LLM_EV_END);

    return rc == LLM_OK ? LLM_DONE : rc;
}


const llm_dialect_t  llm_dialect_openai = {
    .name = llm_openai_str("openai"),
    .framing = LLM_FRAMING_SSE,
    .stream_type = llm_openai_str("text/event-stream; charset=utf-8"),
    .answer_type = llm_openai_str("application/json"),
    .stream_default = 0,

    .path = llm_openai_str("/v1/chat/completions"),
    .auth_header = llm_openai_str("Authorization"),
    .auth_prefix = llm_openai_str("Bearer "),

    .decode = llm_openai_decode,
    .decode_answer = llm_openai_decode_answer,
    .decode_error = llm_openai_decode_error,

    .stream_size = sizeof(llm_openai_stream_t),
    .encode = llm_openai_encode,
    .stream_drop = llm_openai_stream_drop,

    .answer_size = sizeof(llm_openai_answer_t),
    .answer = llm_openai_answer,
    .answer_drop = llm_openai_answer_drop,

    .error_body = llm_openai_error_body
};
