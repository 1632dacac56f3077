/*
 * Gemini (generateContent, streamGenerateContent): the row of the table, and
 * chunks to events.
 *
 * A chunk is validated whole before the first of its events is emitted.
 * There is no terminator: a stream is over when its bytes are, and whole when
 * each choice had its finish reason.  A finish reason is STOP for calls too:
 * that there were any is remembered.
 */

#include "llm_gemini.h"


llm_rc_t
llm_gemini_emit(llm_gemini_chunk_t *c, llm_event_type_t type)
{
    c->emitted++;
    c->ev.type = type;

    return c->d->emit(c->d->ctx, &c->ev);
}


static llm_rc_t
llm_gemini_start(llm_gemini_chunk_t *c)
{
    llm_rc_t  rc;

    c->d->started = 1;

    c->ev.id = c->id.n != 0 ? c->id : llm_slice_null;
    c->ev.model = c->model.n != 0 ? c->model : llm_slice_null;
    c->ev.created = c->created.p != NULL ? llm_gemini_time(&c->created) : -1;

    rc = llm_gemini_emit(c, LLM_EV_START);

    c->ev.id = llm_slice_null;
    c->ev.model = llm_slice_null;
    c->ev.created = -1;

    return rc;
}


llm_gemini_choice_t *
llm_gemini_choice(llm_gemini_chunk_t *c)
{
    size_t               need;
    llm_gemini_state_t  *s;

    s = c->d->state;
    need = (c->ev.choice + 1) * sizeof(llm_gemini_choice_t);

    if (s->choices.n < need) {
        if (llm_block_reserve(&s->choices, &c->d->alloc, need - s->choices.n)
            != LLM_OK)
        {
            return NULL;
        }

        memset(s->choices.p + s->choices.n, 0, need - s->choices.n);
        s->choices.n = need;
    }

    return &llm_gemini_choices(s)[c->ev.choice];
}


llm_finish_t
llm_gemini_reason(const llm_slice_t *word)
{
    static const llm_json_word_t  words[] = {
        { llm_str("STOP"), LLM_FINISH_STOP },
        { llm_str("MAX_TOKENS"), LLM_FINISH_LENGTH },
        { llm_str("SAFETY"), LLM_FINISH_CONTENT_FILTER },
        { llm_str("RECITATION"), LLM_FINISH_CONTENT_FILTER },
        { llm_str("BLOCKLIST"), LLM_FINISH_CONTENT_FILTER },
        { llm_str("PROHIBITED_CONTENT"), LLM_FINISH_CONTENT_FILTER },
        { llm_str("SPII"), LLM_FINISH_CONTENT_FILTER },
        { llm_str("MODEL_ARMOR"), LLM_FINISH_CONTENT_FILTER },
        { llm_str("IMAGE_SAFETY"), LLM_FINISH_CONTENT_FILTER },
        { llm_str("IMAGE_PROHIBITED_CONTENT"), LLM_FINISH_CONTENT_FILTER },
        { llm_str("IMAGE_RECITATION"), LLM_FINISH_CONTENT_FILTER },
        { llm_str("MALFORMED_FUNCTION_CALL"), LLM_FINISH_ERROR },
        { llm_str("UNEXPECTED_TOOL_CALL"), LLM_FINISH_ERROR },
        { llm_str("TOO_MANY_TOOL_CALLS"), LLM_FINISH_ERROR },
        { llm_str("MISSING_THOUGHT_SIGNATURE"), LLM_FINISH_ERROR },
        { llm_str("MALFORMED_RESPONSE"), LLM_FINISH_ERROR },
        { llm_str("LANGUAGE"), LLM_FINISH_ERROR },
        { llm_str("OTHER"), LLM_FINISH_ERROR },
        { llm_str("IMAGE_OTHER"), LLM_FINISH_ERROR },
        { llm_str("NO_IMAGE"), LLM_FINISH_ERROR },
        { { NULL, 0, 0 }, 0 }
    };

    return (llm_finish_t) llm_json_find(words, word, LLM_FINISH_OTHER);
}


static llm_rc_t
llm_gemini_emit_part(llm_gemini_chunk_t *c, const llm_gemini_part_t *part)
{
    llm_rc_t  rc;

    rc = LLM_OK;

    if (part->call.p != NULL) {
        return llm_gemini_emit_call(c, part);
    }

    c->ev.signature = part->signature;

    if (part->value.p != NULL) {
        c->ev.name = part->name;
        c->ev.raw = part->value;
        rc = llm_gemini_emit(c, LLM_EV_META);
        c->ev.name = llm_slice_null;
        c->ev.raw = llm_slice_null;

    } else if (part->text.n != 0 || part->signature.n != 0) {
        c->ev.text = part->text.p != NULL
                     ? part->text
                     : (llm_slice_t) { (const llm_u8 *) "", 0, 1 };
        rc = llm_gemini_emit(c, part->thought ? LLM_EV_REASONING
                                              : LLM_EV_TEXT);
        c->ev.text = llm_slice_null;
    }

    c->ev.signature = llm_slice_null;

    return rc;
}


static llm_rc_t
llm_gemini_emit_parts(llm_gemini_chunk_t *c, const llm_slice_t *raw)
{
    llm_rc_t            rc;
    llm_json_t          j;
    llm_gemini_part_t   part;

    llm_json_reopen(&j, raw);

    while (llm_json_object(&j)) {
        memset(&part, 0, sizeof(llm_gemini_part_t));
        (void) llm_gemini_part(&j, &part);

        rc = llm_gemini_emit_part(c, &part);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


static llm_rc_t
llm_gemini_emit_finish(llm_gemini_chunk_t *c, const llm_slice_t *word)
{
    llm_rc_t              rc;
    llm_finish_t          finish;
    llm_gemini_choice_t  *ch;

    ch = llm_gemini_choice(c);
    if (ch == NULL) {
        return LLM_NOMEM;
    }

    finish = llm_gemini_reason(word);

    rc = llm_gemini_end_call(c, ch, finish != LLM_FINISH_STOP);

    if (rc == LLM_INVALID) {
        finish = LLM_FINISH_ERROR;

    } else if (rc != LLM_OK) {
        return rc;

    } else if (finish == LLM_FINISH_STOP && ch->tools != 0) {
        finish = LLM_FINISH_TOOL_CALLS;
    }

    ch->finished = 1;

    c->ev.text = *word;
    c->ev.finish = finish;

    rc = llm_gemini_emit(c, LLM_EV_FINISH);

    c->ev.text = llm_slice_null;
    c->ev.finish = LLM_FINISH_NONE;

    return rc;
}


static llm_rc_t
llm_gemini_emit_rare(llm_gemini_chunk_t *c, const llm_gemini_candidate_t *cd)
{
    llm_rc_t  rc;

    rc = LLM_OK;

    if (cd->logprobs.p != NULL) {
        rc = llm_gemini_emit_logprobs(c, &cd->logprobs);
    }

    if (rc == LLM_OK && cd->grounding.p != NULL) {
        rc = llm_gemini_emit_grounding(c, &cd->grounding);
    }

    if (rc == LLM_OK && cd->citation.p != NULL) {
        rc = llm_gemini_emit_citations(c, &cd->citation);
    }

    if (rc == LLM_OK && cd->finish.n != 0) {
        rc = llm_gemini_emit_finish(c, &cd->finish);
    }

    return rc;
}


/* The events of one candidate, the pos-th of its chunk. */
static llm_rc_t
llm_gemini_emit_candidate(llm_gemini_chunk_t *c,
    const llm_gemini_candidate_t *cd, unsigned pos)
{
    llm_rc_t  rc;

    c->emitted = 0;
    c->ev.choice = cd->has_index ? cd->index
                   : pos < LLM_GEMINI_CHOICES ? pos : 0;

    if (cd->nparts <= 1) {
        rc = cd->nparts ? llm_gemini_emit_part(c, &cd->first) : LLM_OK;

    } else {
        rc = llm_gemini_emit_parts(c, &cd->parts);
    }

    if (rc == LLM_OK && (cd->logprobs.p != NULL || cd->grounding.p != NULL
                         || cd->citation.p != NULL || cd->finish.n != 0))
    {
        rc = llm_gemini_emit_rare(c, cd);
    }

    if (rc == LLM_OK && c->emitted == 0) {

        /* an empty text says that the choice is there */

        c->ev.text = (llm_slice_t) { (const llm_u8 *) "", 0, 1 };
        rc = llm_gemini_emit(c, LLM_EV_TEXT);
        c->ev.text = llm_slice_null;
    }

    return rc;
}


static llm_rc_t
llm_gemini_emit_candidates(llm_gemini_chunk_t *c)
{
    llm_rc_t                rc;
    unsigned                pos;
    llm_json_t              j;
    llm_gemini_candidate_t  cd;

    if (c->frame->choices <= 1) {
        return c->frame->choices ? llm_gemini_emit_candidate(c, &c->first, 0)
                                 : LLM_OK;
    }

    llm_json_reopen(&j, &c->candidates);

    for (pos = 0; llm_json_object(&j); pos++) {
        memset(&cd, 0, sizeof(llm_gemini_candidate_t));
        (void) llm_gemini_candidate(&j, &cd);

        rc = llm_gemini_emit_candidate(c, &cd, pos);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* promptFeedback: a prompt that was blocked has no candidates. */
static llm_rc_t
llm_gemini_emit_feedback(llm_gemini_chunk_t *c)
{
    llm_rc_t              rc;
    llm_json_t            j;
    llm_slice_t           key, v, reason;
    llm_json_type_t       type;
    llm_gemini_choice_t  *ch;

    reason = llm_slice_null;
    llm_json_reopen(&j, &c->feedback);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (type == LLM_JSON_STRING && llm_gemini_is(&key, "blockReason")) {
            reason = v;
        }
    }

    c->ev.choice = 0;

    ch = llm_gemini_choice(c);
    if (ch == NULL) {
        return LLM_NOMEM;
    }

    if (reason.n == 0 || ch->finished) {
        return LLM_OK;
    }

    ch->finished = 1;

    if (c->frame->choices == 0) {
        c->frame->choices = 1;
    }

    c->ev.text = reason;
    c->ev.finish = LLM_FINISH_CONTENT_FILTER;

    rc = llm_gemini_emit(c, LLM_EV_FINISH);

    c->ev.text = llm_slice_null;
    c->ev.finish = LLM_FINISH_NONE;

    return rc;
}


static llm_rc_t
llm_gemini_emit_usage(llm_gemini_chunk_t *c)
{
    llm_rc_t  rc;

    c->ev.choice = 0;
    c->ev.usage = &c->usage;

    rc = llm_gemini_emit(c, LLM_EV_USAGE);

    c->ev.usage = NULL;

    return rc;
}


static llm_rc_t
llm_gemini_emit_error(llm_gemini_chunk_t *c)
{
    llm_rc_t     rc;
    llm_error_t  err;

    (void) llm_error_read(&c->frame->data, &err);

    c->ev.choice = 0;
    c->ev.error = &err;

    rc = llm_gemini_emit(c, LLM_EV_ERROR);

    c->ev.error = NULL;

    return rc;
}


static void
llm_gemini_open(llm_gemini_chunk_t *c, llm_decoder_t *d, llm_frame_t *frame)
{
    c->d = d;
    c->frame = frame;
    c->emitted = 0;
    c->usage_said = 0;
    c->ncounts = 0;
    c->id = llm_slice_null;
    c->model = llm_slice_null;
    c->created = llm_slice_null;
    c->candidates = llm_slice_null;
    c->feedback = llm_slice_null;
    c->error = llm_slice_null;

    memset(&c->first, 0, sizeof(llm_gemini_candidate_t));
    memset(&c->ev, 0, sizeof(llm_event_t));

    c->ev.linesep = frame->linesep;
    c->ev.created = -1;
    c->ev.start = -1;
    c->ev.end = -1;

    frame->choices = 0;

    llm_json_init(&c->json, frame->data.p, frame->data.n, frame->max_depth);
}


/* The events of a chunk that was read. */
static llm_rc_t
llm_gemini_emit_chunk(llm_gemini_chunk_t *c)
{
    llm_rc_t  rc;

    if (!c->d->started
        && (c->frame->choices != 0 || c->feedback.p != NULL
            || (c->error.p == NULL && (c->usage_said || c->id.n != 0))))
    {
        rc = llm_gemini_start(c);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    rc = llm_gemini_emit_candidates(c);

    if (rc == LLM_OK && c->feedback.p != NULL) {
        rc = llm_gemini_emit_feedback(c);
    }

    if (rc == LLM_OK && c->usage_said && c->d->started) {
        rc = llm_gemini_emit_usage(c);
    }

    if (rc == LLM_OK && c->error.p != NULL) {
        rc = llm_gemini_emit_error(c);
    }

    return rc;
}


/* A chunk like one before it, but for its text and its counts. */
static llm_rc_t
llm_gemini_repeat(llm_decoder_t *d, llm_frame_t *frame,
    const llm_slice_t *text, const int64_t *values)
{
    llm_rc_t             rc;
    unsigned             i;
    llm_event_t          ev;
    llm_usage_t          usage;
    llm_gemini_state_t  *s;

    s = d->state;
    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = s->repeat.type;
    ev.choice = s->repeat.choice;
    ev.linesep = frame->linesep;
    ev.text = *text;
    ev.created = -1;
    ev.start = -1;
    ev.end = -1;

    frame->choices = 1;

    rc = d->emit(d->ctx, &ev);

    if (rc != LLM_OK || !s->usage_said) {
        return rc;
    }

    for (i = 0; i < s->repeat.counts; i++) {
        s->counts.n[s->which[i]] = values[i];
    }

    (void) llm_gemini_usage(&usage, &s->counts);

    ev.type = LLM_EV_USAGE;
    ev.choice = 0;
    ev.text = llm_slice_null;
    ev.usage = &usage;

    return d->emit(d->ctx, &ev);
}


/* Remembers a chunk that said nothing but one piece of text, and usage. */
static void
llm_gemini_learn(llm_gemini_chunk_t *c)
{
    llm_gemini_state_t            *s;
    const llm_gemini_candidate_t  *cd;

    s = c->d->state;
    cd = &c->first;

    if (c->frame->choices != 1 || c->feedback.p != NULL
        || c->error.p != NULL || cd->nparts != 1 || cd->first.text.n == 0
        || cd->first.signature.n != 0 || cd->first.value.p != NULL
        || cd->first.call.p != NULL || cd->finish.n != 0
        || cd->grounding.p != NULL || cd->citation.p != NULL
        || cd->logprobs.p != NULL)
    {
        return;
    }

    c->ev.choice = cd->has_index ? cd->index : 0;
    c->ev.type = cd->first.thought ? LLM_EV_REASONING : LLM_EV_TEXT;
    c->ev.text = cd->first.text;

    llm_repeat_counts_learn(&s->repeat, &c->frame->data, &c->ev, c->count,
                            c->ncounts);

    s->counts = c->counts;
    s->usage_said = c->usage_said;
    memcpy(s->which, c->which, sizeof(s->which));
}


/* Data that does not begin with a brace: nothing, or an error in an array;
 * LLM_AGAIN: go on. */
static llm_rc_t
llm_gemini_odd(llm_gemini_chunk_t *c)
{
    size_t         n;
    llm_error_t    err;
    const llm_u8  *p;

    p = c->frame->data.p;
    n = c->frame->data.n;

    while (n != 0 && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
        n--;
    }

    if (n == 0) {
        return llm_gemini_emit(c, LLM_EV_PING);
    }

    if (*p == '[' && llm_error_read(&c->frame->data, &err) == LLM_OK) {
        return llm_gemini_emit_error(c);
    }

    return LLM_AGAIN;
}


static llm_rc_t
llm_gemini_decode(llm_decoder_t *d, llm_frame_t *frame)
{
    int64_t              values[LLM_REPEAT_COUNTS];
    llm_rc_t             rc;
    llm_slice_t          text;
    llm_gemini_chunk_t   c;
    llm_gemini_state_t  *s;

    s = d->state;

    if (llm_repeat_counts_match(&s->repeat, &frame->data, &text, values)) {
        return llm_gemini_repeat(d, frame, &text, values);
    }

    llm_gemini_open(&c, d, frame);

    if (frame->data.n == 0 || frame->data.p[0] != '{') {
        rc = llm_gemini_odd(&c);
        if (rc != LLM_AGAIN) {
            return rc;
        }
    }

    if (!llm_gemini_scan(&c)) {
        frame->choices = 0;
        return LLM_INVALID;
    }

    rc = llm_gemini_emit_chunk(&c);

    if (rc == LLM_OK && d->started) {
        llm_gemini_learn(&c);
    }

    return rc;
}


static llm_rc_t
llm_gemini_decode_answer(llm_decoder_t *d, llm_frame_t *answer)
{
    llm_rc_t            rc;
    llm_gemini_chunk_t  c;

    llm_gemini_open(&c, d, answer);

    if (answer->data.n == 0 || answer->data.p[0] != '{') {
        rc = llm_gemini_odd(&c);
        if (rc != LLM_AGAIN) {
            return rc;
        }
    }

    if (!llm_gemini_scan(&c)
        || (answer->choices == 0 && c.feedback.p == NULL
            && c.error.p == NULL))
    {
        return LLM_INVALID;
    }

    rc = llm_gemini_emit_chunk(&c);

    if (rc != LLM_OK || c.error.p != NULL) {
        return rc;
    }

    c.ev.choice = 0;
    rc = llm_gemini_emit(&c, LLM_EV_END);

    return rc == LLM_OK ? LLM_DONE : rc;
}


static void
llm_gemini_decode_drop(llm_decoder_t *d)
{
    size_t               i;
    llm_gemini_state_t  *s;

    s = d->state;

    for (i = 0; i < llm_gemini_nchoices(s); i++) {
        llm_gemini_drop_call(d, &llm_gemini_choices(s)[i]);
    }

    llm_block_free(&s->choices, &d->alloc);
    llm_block_free(&s->cited, &d->alloc);
}


/* JSON of protocol buffers: each name in two spellings, and of a number 0 is
 * as if not said */
#define LLM_GEMINI_MAX                                                      \
    LLM_ASK_OUTPUT|LLM_ASK_SAYS|LLM_ASK_ZERO

static const llm_ask_t  llm_gemini_asks[] = {
    { "generationConfig", "maxOutputTokens", LLM_GEMINI_MAX, 0, NULL },
    { "generationConfig", "max_output_tokens", LLM_GEMINI_MAX, 0, NULL },
    { "generation_config", "maxOutputTokens", LLM_GEMINI_MAX, 0, NULL },
    { "generation_config", "max_output_tokens", LLM_GEMINI_MAX, 0, NULL },
    { "generationConfig", "candidateCount", LLM_ASK_ANSWERS, 0, NULL },
    { "generationConfig", "candidate_count", LLM_ASK_ANSWERS, 0, NULL },
    { "generation_config", "candidateCount", LLM_ASK_ANSWERS, 0, NULL },
    { "generation_config", "candidate_count", LLM_ASK_ANSWERS, 0, NULL },
    { NULL, "contents", LLM_ASK_MESSAGES, 0, NULL },
    { NULL, NULL, 0, 0, NULL }
};


const llm_dialect_t  llm_dialect_gemini = {
    .name = llm_str("gemini"),
    .framing = LLM_FRAMING_SSE,
    .failure = 1,
    .choices = 1,
    .array = 1,
    .stream_type = llm_str("text/event-stream"),
    .answer_type = llm_str("application/json; charset=UTF-8"),

    /* a comment is an error for google-genai in Python and Go, which read
     * lines; in Node it hides the event behind it */
    .blank = llm_str("\n\n"),

    .needs = llm_str("contents"),
    .model_in_path = 1,
    .asks = llm_gemini_asks,
    .read_chat = llm_gemini_read_chat,
    .write_chat = llm_gemini_write_chat,

    .decode = llm_gemini_decode,
    .decode_answer = llm_gemini_decode_answer,
    .decode_size = sizeof(llm_gemini_state_t),
    .decode_drop = llm_gemini_decode_drop,

    .stream_size = sizeof(llm_gemini_stream_t),
    .encode = llm_gemini_encode,
    .stream_drop = llm_gemini_stream_drop,

    .write_answer = llm_gemini_write_answer,
    .error_body = llm_gemini_error_body
};
