/*
 * Anthropic messages: what was read of an event or an answer, as events of
 * ours.  It must never emit anything before START but ERROR and PING, nor
 * add up counts that are cumulative.
 */

#include "llm_anthropic.h"


llm_rc_t
llm_anthropic_emit(llm_anthropic_frame_t *f, llm_event_type_t type)
{
    f->ev.type = type;

    return f->d->emit(f->d->ctx, &f->ev);
}


llm_rc_t
llm_anthropic_begin(llm_anthropic_frame_t *f)
{
    llm_rc_t  rc;

    if (f->d->started) {
        return LLM_OK;
    }

    f->d->started = 1;

    f->ev.id = f->id.n != 0 ? f->id : llm_slice_null;
    f->ev.model = f->model.n != 0 ? f->model : llm_slice_null;

    rc = llm_anthropic_emit(f, LLM_EV_START);

    f->ev.id = llm_slice_null;
    f->ev.model = llm_slice_null;

    return rc;
}


llm_rc_t
llm_anthropic_emit_citation(llm_anthropic_frame_t *f,
    const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    rc = llm_anthropic_begin(f);
    if (rc != LLM_OK) {
        return rc;
    }

    f->ev.raw = *raw;
    f->ev.text = llm_slice_null;

    llm_json_reopen(&j, raw);

    /* its places are those in the source, not in the text */

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type != LLM_JSON_STRING) {
            continue;
        }

        if (llm_json_is(&key, "url") || llm_json_is(&key, "source")) {
            f->ev.id = v;

        } else if (llm_json_is(&key, "title")
                   || llm_json_is(&key, "document_title"))
        {
            f->ev.name = v;

        } else if (llm_json_is(&key, "cited_text")) {
            f->ev.text = v;
        }
    }

    rc = llm_anthropic_emit(f, LLM_EV_CITATION);

    f->ev.raw = llm_slice_null;
    f->ev.text = llm_slice_null;
    f->ev.name = llm_slice_null;
    f->ev.id = llm_slice_null;

    return rc;
}


/* A text block: what it cites comes before its text, as in a stream. */
static llm_rc_t
llm_anthropic_emit_text(llm_anthropic_frame_t *f,
    const llm_anthropic_block_t *b)
{
    llm_rc_t     rc;
    llm_json_t   j;
    llm_slice_t  raw;

    rc = LLM_OK;

    if (b->citations.p != NULL) {
        llm_json_reopen(&j, &b->citations);

        while (rc == LLM_OK && llm_json_skip(&j, &raw) == LLM_JSON_OBJECT) {
            rc = llm_anthropic_emit_citation(f, &raw);
        }
    }

    if (rc != LLM_OK) {
        return rc;
    }

    /* an empty one says that the choice is there */

    f->ev.text = b->text.p != NULL ? b->text : llm_slice("");
    rc = llm_anthropic_emit(f, LLM_EV_TEXT);
    f->ev.text = llm_slice_null;

    return rc;
}


static llm_rc_t
llm_anthropic_emit_call(llm_anthropic_frame_t *f,
    const llm_anthropic_block_t *b)
{
    llm_rc_t  rc;

    f->ev.tool_index = f->s->calls++;
    f->ev.id = b->id.n != 0 ? b->id : llm_slice_null;
    f->ev.name = b->name.n != 0 ? b->name : llm_slice_null;
    f->ev.whole = f->whole || b->input.p != NULL;

    f->ev.text = b->input.p != NULL ? b->input
                 : f->whole ? llm_slice("{}") : llm_slice("");

    rc = llm_anthropic_emit(f, LLM_EV_TOOL_CALL);

    f->ev.tool_index = 0;
    f->ev.whole = 0;
    f->ev.id = llm_slice_null;
    f->ev.name = llm_slice_null;
    f->ev.text = llm_slice_null;

    return rc;
}


static llm_rc_t
llm_anthropic_emit_thinking(llm_anthropic_frame_t *f,
    const llm_anthropic_block_t *b)
{
    llm_rc_t  rc;

    f->ev.text = b->thinking.p != NULL ? b->thinking : llm_slice("");
    f->ev.signature = b->signature.n != 0 ? b->signature : llm_slice_null;
    f->ev.raw = b->data.n != 0 ? b->data : llm_slice_null;

    rc = f->ev.text.n != 0 || f->ev.signature.n != 0 || f->ev.raw.n != 0
         ? llm_anthropic_emit(f, LLM_EV_REASONING)
         : llm_anthropic_emit(f, LLM_EV_TEXT);

    f->ev.text = llm_slice_null;
    f->ev.signature = llm_slice_null;
    f->ev.raw = llm_slice_null;

    return rc;
}


llm_rc_t
llm_anthropic_emit_block(llm_anthropic_frame_t *f,
    const llm_anthropic_block_t *b, const llm_slice_t *raw)
{
    llm_rc_t  rc;

    rc = llm_anthropic_begin(f);
    if (rc != LLM_OK) {
        return rc;
    }

    if (llm_json_is(&b->type, "text")) {
        return llm_anthropic_emit_text(f, b);
    }

    if (llm_json_is(&b->type, "tool_use")) {
        return llm_anthropic_emit_call(f, b);
    }

    if (llm_json_is(&b->type, "thinking")
        || llm_json_is(&b->type, "redacted_thinking"))
    {
        return llm_anthropic_emit_thinking(f, b);
    }

    /* what the provider's own tools do */

    f->ev.name = llm_slice(LLM_ANTHROPIC_BLOCK);
    f->ev.raw = *raw;

    rc = llm_anthropic_emit(f, LLM_EV_META);

    f->ev.name = llm_slice_null;
    f->ev.raw = llm_slice_null;

    return rc;
}


llm_rc_t
llm_anthropic_emit_content(llm_anthropic_frame_t *f)
{
    llm_rc_t               rc;
    llm_json_t             j;
    llm_slice_t            raw;
    llm_json_type_t        type;
    llm_anthropic_block_t  b;

    if (f->content.p == NULL) {
        return LLM_OK;
    }

    rc = LLM_OK;
    f->whole = 1;

    llm_json_reopen(&j, &f->content);

    while (rc == LLM_OK && llm_json_element(&j, &raw, &type)) {
        if (type == LLM_JSON_OBJECT) {
            llm_anthropic_block(&b, &raw);
            rc = llm_anthropic_emit_block(f, &b, &raw);
        }
    }

    f->whole = 0;

    return rc;
}


/* Takes over what is said of the input; 1 when anything is. */
static int
llm_anthropic_input_count(llm_usage_t *known, const llm_slice_t *key,
    int64_t n)
{
    if (llm_json_is(key, "input_tokens")) {
        known->input = n;

    } else if (llm_json_is(key, "cache_read_input_tokens")) {
        known->cached = n;

    } else if (llm_json_is(key, "cache_creation_input_tokens")) {
        known->cache_write = n;

    } else {
        return 0;
    }

    return 1;
}


/* All of the input: Anthropic counts what was cached beside the rest. */
static int64_t
llm_anthropic_input(const llm_usage_t *known)
{
    int64_t  sum;

    if (known->input < 0) {
        return -1;
    }

    sum = known->input;

    if (known->cached > 0) {
        sum = known->cached > INT64_MAX - sum ? INT64_MAX
                                              : sum + known->cached;
    }

    if (known->cache_write > 0) {
        sum = known->cache_write > INT64_MAX - sum ? INT64_MAX
                                                   : sum + known->cache_write;
    }

    return sum;
}


/*
 * Both the first and the last event may say any of the counts; a later one
 * says some of them again or anew, and the sum is of what was said last.
 */
llm_rc_t
llm_anthropic_emit_usage(llm_anthropic_frame_t *f)
{
    llm_rc_t         rc;
    unsigned         input;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_usage_t      u, *known;
    llm_json_type_t  type;

    if (f->usage.p == NULL) {
        return LLM_OK;
    }

    input = 0;
    u = llm_usage_none;
    known = &f->s->usage;

    llm_json_reopen(&j, &f->usage);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_OBJECT) {
            if (llm_json_is(&key, "output_tokens_details")) {
                u.reasoning = llm_json_count(&v, "thinking_tokens");
            }

        } else if (type == LLM_JSON_NUMBER) {
            if (llm_json_is(&key, "output_tokens")) {
                u.output = llm_json_uint(&v);

            } else {
                input |= llm_anthropic_input_count(known, &key,
                                                   llm_json_uint(&v));
            }
        }
    }

    if (input) {
        u.input = llm_anthropic_input(known);
        u.cached = known->cached;
        u.cache_write = known->cache_write;
    }

    if (!input && u.output < 0 && u.reasoning < 0) {
        return LLM_OK;
    }

    f->ev.usage = &u;
    f->ev.raw = f->usage;

    rc = llm_anthropic_emit(f, LLM_EV_USAGE);

    f->ev.usage = NULL;
    f->ev.raw = llm_slice_null;

    return rc;
}


llm_finish_t
llm_anthropic_reason(const llm_slice_t *word)
{
    static const llm_json_word_t  words[] = {
        { llm_str("end_turn"), LLM_FINISH_STOP },
        { llm_str("tool_use"), LLM_FINISH_TOOL_CALLS },
        { llm_str("max_tokens"), LLM_FINISH_LENGTH },
        { llm_str("stop_sequence"), LLM_FINISH_STOP },
        { llm_str("refusal"), LLM_FINISH_CONTENT_FILTER },
        { llm_str("model_context_window_exceeded"), LLM_FINISH_LENGTH },

        /* no other dialect can say that the turn is to be taken up again,
         * and their clients do not know the word */

        { llm_str("pause_turn"), LLM_FINISH_STOP },
        { { NULL, 0, 0 }, 0 }
    };

    return (llm_finish_t) llm_json_find(words, word, LLM_FINISH_OTHER);
}


llm_rc_t
llm_anthropic_emit_finish(llm_anthropic_frame_t *f)
{
    llm_rc_t  rc;

    if (f->reason.n == 0) {
        return LLM_OK;
    }

    f->ev.text = f->reason;
    f->ev.finish = llm_anthropic_reason(&f->reason);
    f->ev.name = f->sequence.n != 0 ? f->sequence : llm_slice_null;

    rc = llm_anthropic_emit(f, LLM_EV_FINISH);

    f->ev.text = llm_slice_null;
    f->ev.finish = LLM_FINISH_NONE;
    f->ev.name = llm_slice_null;

    return rc;
}


/* Bytes that are no error of a known shape are its message when they are
 * bare text. */
llm_rc_t
llm_anthropic_emit_error(llm_anthropic_frame_t *f)
{
    llm_rc_t     rc;
    llm_error_t  err;

    rc = llm_error_read(&f->frame->data, &err);

    if (rc != LLM_OK && f->frame->data.n != 0
        && f->frame->data.p[0] != '{' && f->frame->data.p[0] != '[')
    {
        err.message = f->frame->data;
    }

    f->frame->choices = 0;
    f->ev.error = &err;

    rc = llm_anthropic_emit(f, LLM_EV_ERROR);

    f->ev.error = NULL;

    return rc;
}


llm_rc_t
llm_anthropic_decode_answer(llm_decoder_t *d, llm_frame_t *answer)
{
    llm_rc_t               rc;
    llm_anthropic_frame_t  f;

    llm_anthropic_open(&f, d, answer);

    if (!llm_anthropic_scan(&f)) {
        return LLM_INVALID;
    }

    if (f.error.p != NULL || llm_json_is(&f.type, "error")) {
        return llm_anthropic_emit_error(&f);
    }

    if (f.content.p == NULL && f.reason.p == NULL) {
        return LLM_INVALID;
    }

    answer->choices = 1;

    rc = llm_anthropic_begin(&f);

    if (rc == LLM_OK) {
        rc = llm_anthropic_emit_content(&f);
    }

    if (rc == LLM_OK && f.details.p != NULL) {
        f.ev.name = llm_slice(LLM_ANTHROPIC_STOP);
        f.ev.raw = f.details;
        rc = llm_anthropic_emit(&f, LLM_EV_META);
        f.ev.name = llm_slice_null;
        f.ev.raw = llm_slice_null;
    }

    if (rc == LLM_OK) {
        rc = llm_anthropic_emit_usage(&f);
    }

    if (rc == LLM_OK) {
        rc = llm_anthropic_emit_finish(&f);
    }

    if (rc == LLM_OK) {
        rc = llm_anthropic_emit(&f, LLM_EV_END);
    }

    return rc == LLM_OK ? LLM_DONE : rc;
}
