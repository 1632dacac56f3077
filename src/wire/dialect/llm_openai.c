/*
 * OpenAI chat completions: the row of the table, and chunks to events.
 *
 * A chunk is validated whole before the first of its events is emitted.
 * Only what is rare is read a second time: further choices of one chunk,
 * tool calls, lists of parts.  Nothing here may allocate or keep a slice
 * beyond the call.
 */

#include "llm_openai.h"
#include "llm_error.h"


/* a time above this is in milliseconds, as some servers say it */
#define LLM_OPENAI_MILLISECONDS  INT64_C(100000000000)


/* finish reasons, OpenAI's and those of others that speak its dialect */
static const llm_json_word_t  llm_openai_words[] = {
    { llm_str("stop"), LLM_FINISH_STOP },
    { llm_str("length"), LLM_FINISH_LENGTH },
    { llm_str("tool_calls"), LLM_FINISH_TOOL_CALLS },
    { llm_str("content_filter"), LLM_FINISH_CONTENT_FILTER },
    { llm_str("function_call"), LLM_FINISH_TOOL_CALLS },
    { llm_str("error"), LLM_FINISH_ERROR },
    { llm_str("insufficient_system_resource"), LLM_FINISH_ERROR },
    { llm_str("eos"), LLM_FINISH_STOP },
    { llm_str("eos_token"), LLM_FINISH_STOP },
    { llm_str("model_length"), LLM_FINISH_LENGTH },
    { { NULL, 0, 0 }, 0 }
};


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


static llm_rc_t
llm_openai_emit_finish(llm_openai_chunk_t *c, const llm_slice_t *word)
{
    llm_rc_t  rc;

    c->ev.text = *word;
    c->ev.finish = llm_json_find(llm_openai_words, word, LLM_FINISH_OTHER);

    rc = llm_openai_emit(c, LLM_EV_FINISH);

    c->ev.finish = LLM_FINISH_NONE;

    return rc;
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

    rc = ch->details.p == NULL
         ? llm_openai_text(c, LLM_EV_REASONING, &ch->reasoning)
         : llm_openai_emit_details(c, ch);

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

    llm_json_reopen(&j, &c->choices);

    for (pos = 0; llm_json_object(&j); pos++) {
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
        llm_json_reopen(&j, &c->groq);

        while (llm_json_member(&j, &key, &v, &type)) {
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

    rc = llm_error_read(&c->frame->data, &err);

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
llm_openai_open(llm_openai_chunk_t *c, llm_decoder_t *d, llm_frame_t *frame,
    unsigned legacy)
{
    c->d = d;
    c->frame = frame;
    c->answer = 0;
    c->legacy = legacy;
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


llm_rc_t
llm_openai_decode_chunk(llm_decoder_t *d, llm_frame_t *frame,
    unsigned legacy)
{
    llm_rc_t            rc;
    unsigned            error;
    llm_slice_t         text;
    llm_openai_chunk_t  c;

    error = llm_openai_is_error_event(frame);

    if (!error && llm_repeat_match(&d->repeat, &frame->data, &text)) {
        return llm_openai_repeat(d, frame, &text);
    }

    llm_openai_open(&c, d, frame, legacy);

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


llm_rc_t
llm_openai_decode_whole(llm_decoder_t *d, llm_frame_t *answer,
    unsigned legacy)
{
    llm_rc_t            rc;
    llm_openai_chunk_t  c;

    llm_openai_open(&c, d, answer, legacy);
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


static llm_rc_t
llm_openai_decode(llm_decoder_t *d, llm_frame_t *frame)
{
    return llm_openai_decode_chunk(d, frame, 0);
}


static llm_rc_t
llm_openai_decode_answer(llm_decoder_t *d, llm_frame_t *answer)
{
    return llm_openai_decode_whole(d, answer, 0);
}


static void
llm_openai_decode_drop(llm_decoder_t *d)
{
    llm_openai_state_t  *s;

    s = d->state;
    llm_block_free(&s->calls, &d->alloc);
}


static const llm_ask_t  llm_openai_asks[] = {
    { NULL, "max_completion_tokens", LLM_ASK_OUTPUT|LLM_ASK_SAYS, 0, NULL },
    { NULL, "max_tokens", LLM_ASK_OUTPUT|LLM_ASK_SAYS, 0, NULL },
    { NULL, "n_predict", LLM_ASK_OUTPUT, 0, NULL },         /* llama.cpp */
    { "reasoning", "max_tokens", LLM_ASK_BUDGET, 1024,
      "{\"enabled\":false}" },                              /* OpenRouter */
    { NULL, "n", LLM_ASK_ANSWERS, 0, NULL },
    { NULL, "n_cmpl", LLM_ASK_ANSWERS, 0, NULL },           /* llama.cpp */
    { NULL, "best_of", LLM_ASK_TRIES, 0, NULL },            /* vLLM */
    { NULL, "messages", LLM_ASK_MESSAGES, 0, NULL },
    { NULL, NULL, 0, 0, NULL }
};


const llm_dialect_t  llm_dialect_openai = {
    .name = llm_str("openai"),
    .framing = LLM_FRAMING_SSE,
    .failure = 1,
    .choices = 1,
    .stream_type = llm_str("text/event-stream; charset=utf-8"),
    .answer_type = llm_str("application/json"),

    .usage_option = 1,
    .stream_member = llm_str("stream"),
    .needs = llm_str("messages"),
    .asks = llm_openai_asks,
    .read_chat = llm_openai_read_chat,
    .write_chat = llm_openai_write_chat,

    .decode = llm_openai_decode,
    .decode_answer = llm_openai_decode_answer,
    .decode_size = sizeof(llm_openai_state_t),
    .decode_drop = llm_openai_decode_drop,

    .stream_size = sizeof(llm_openai_stream_t),
    .encode = llm_openai_encode,
    .stream_drop = llm_openai_stream_drop,

    .terminator = llm_str("data: [DONE]\n\n"),

    .write_answer = llm_openai_write_answer,
    .error_body = llm_openai_error_body
};
