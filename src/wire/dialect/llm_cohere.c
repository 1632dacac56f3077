/*
 * Cohere's chat API, version 2, as an upstream: the row of the table, and
 * frames to events.
 *
 * The plan that comes before tool calls (tool_plan) is reasoning.  Of the
 * two token counts "tokens" is the model's, "billed_units" leaves out what
 * is not paid for.  The finish reasons ERROR and TIMEOUT are errors: what
 * came before them is no answer.
 *
 * Nothing here may keep a slice beyond the call.
 */

#include "llm_cohere.h"


static const llm_json_word_t  llm_cohere_words[] = {
    { llm_str("COMPLETE"), LLM_FINISH_STOP },
    { llm_str("STOP_SEQUENCE"), LLM_FINISH_STOP },
    { llm_str("MAX_TOKENS"), LLM_FINISH_LENGTH },
    { llm_str("TOOL_CALL"), LLM_FINISH_TOOL_CALLS },
    { llm_str("ERROR_LIMIT"), LLM_FINISH_LENGTH },
    { llm_str("ERROR_TOXIC"), LLM_FINISH_CONTENT_FILTER },
    { llm_str("ERROR"), LLM_FINISH_ERROR },
    { llm_str("TIMEOUT"), LLM_FINISH_ERROR },
    { { NULL, 0, 0 }, 0 }
};


static llm_rc_t
llm_cohere_start(llm_cohere_frame_t *f)
{
    llm_rc_t  rc;

    if (f->d->started) {
        return LLM_OK;
    }

    f->d->started = 1;
    f->ev.id = f->id.n != 0 ? f->id : llm_slice_null;

    rc = llm_cohere_emit(f, LLM_EV_START);

    f->ev.id = llm_slice_null;
    f->emitted = 0;

    return rc;
}


/* {"input_tokens":n,"output_tokens":n} */
static void
llm_cohere_tokens(llm_usage_t *u, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type != LLM_JSON_NUMBER) {
            continue;
        }

        if (llm_json_is(&key, "input_tokens")) {
            u->input = llm_json_uint(&v);

        } else if (llm_json_is(&key, "output_tokens")) {
            u->output = llm_json_uint(&v);
        }
    }
}


static llm_rc_t
llm_cohere_usage(llm_cohere_frame_t *f)
{
    llm_rc_t         rc;
    unsigned         counted;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_usage_t      usage;
    llm_json_type_t  type;

    counted = 0;
    usage = llm_usage_none;
    llm_json_reopen(&j, &f->usage);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_NUMBER && llm_json_is(&key, "cached_tokens")) {
            usage.cached = llm_json_uint(&v);

        } else if (type != LLM_JSON_OBJECT) {
            continue;

        } else if (llm_json_is(&key, "tokens")) {
            llm_cohere_tokens(&usage, &v);
            counted = usage.input >= 0 || usage.output >= 0;

        } else if (llm_json_is(&key, "billed_units") && !counted) {
            llm_cohere_tokens(&usage, &v);
        }
    }

    if (usage.input < 0 && usage.output < 0) {
        return LLM_OK;
    }

    f->ev.usage = &usage;
    f->ev.raw = f->usage;

    rc = llm_cohere_emit(f, LLM_EV_USAGE);

    f->ev.usage = NULL;
    f->ev.raw = llm_slice_null;

    return rc;
}


static llm_rc_t
llm_cohere_failed(llm_cohere_frame_t *f)
{
    llm_error_t  err;

    memset(&err, 0, sizeof(llm_error_t));

    err.retry_after = -1;
    err.type = f->finish;
    err.message = f->error.n != 0 ? f->error : f->finish;
    err.cls = llm_json_is(&f->finish, "TIMEOUT") ? LLM_ERROR_TIMEOUT
                                                 : LLM_ERROR_SERVER;
    f->ev.error = &err;

    return llm_cohere_emit(f, LLM_EV_ERROR);
}


/* What message-end and an answer say of the end. */
static llm_rc_t
llm_cohere_finish(llm_cohere_frame_t *f)
{
    llm_rc_t  rc;

    rc = LLM_OK;

    if (f->finish.n != 0) {
        f->ev.finish = llm_json_find(llm_cohere_words, &f->finish,
                                     LLM_FINISH_OTHER);

        if (f->ev.finish == LLM_FINISH_ERROR) {
            return llm_cohere_failed(f);
        }

        f->ev.text = f->finish;
        rc = llm_cohere_emit(f, LLM_EV_FINISH);

        f->ev.finish = LLM_FINISH_NONE;
        f->ev.text = llm_slice_null;
    }

    if (rc == LLM_OK && f->usage.p != NULL) {
        rc = llm_cohere_usage(f);
    }

    return rc;
}


static llm_rc_t
llm_cohere_gather(llm_cohere_frame_t *f, const char *text,
    const llm_slice_t *s)
{
    llm_rc_t  rc;

    rc = llm_block_append(&f->d->scratch, &f->d->alloc, text, strlen(text));

    return rc == LLM_OK && s->n != 0
           ? llm_block_append(&f->d->scratch, &f->d->alloc, s->p, s->n) : rc;
}


/*
 * One {"text","logprobs":[…]}; j stands behind its brace.  Several numbers
 * for one text are left out: which part of it each is of is not said.
 */
static llm_rc_t
llm_cohere_logprob(llm_cohere_frame_t *f, llm_json_t *j)
{
    llm_rc_t         rc;
    unsigned         n;
    llm_json_t       inner;
    llm_slice_t      key, v, text, number;
    llm_json_type_t  type;

    n = 0;
    text = llm_slice_null;
    number = llm_slice_null;

    while (llm_json_member(j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && llm_json_is(&key, "text")) {
            text = v;

        } else if (type == LLM_JSON_ARRAY && llm_json_is(&key, "logprobs")) {
            llm_json_reopen(&inner, &v);

            while (llm_json_element(&inner, &v, &type)) {
                if (type == LLM_JSON_NUMBER) {
                    number = v;
                    n++;
                }
            }
        }
    }

    if (n != 1 || text.p == NULL) {
        return LLM_OK;
    }

    rc = llm_cohere_gather(f, f->d->scratch.n == 0 ? "[{\"token\":\""
                                                   : ",{\"token\":\"",
                           &text);

    if (rc == LLM_OK) {
        rc = llm_cohere_gather(f, "\",\"logprob\":", &number);
    }

    number.n = 0;

    return rc == LLM_OK
           ? llm_cohere_gather(f, ",\"bytes\":null,\"top_logprobs\":[]}",
                               &number)
           : rc;
}


static llm_rc_t
llm_cohere_logprobs(llm_cohere_frame_t *f)
{
    llm_rc_t    rc;
    llm_json_t  j;

    f->d->scratch.n = 0;
    llm_json_reopen(&j, &f->logprobs);

    if (*f->logprobs.p == '{') {
        rc = llm_cohere_logprob(f, &j);

    } else {
        rc = LLM_OK;

        while (rc == LLM_OK && llm_json_object(&j)) {
            rc = llm_cohere_logprob(f, &j);
        }
    }

    if (rc != LLM_OK || f->d->scratch.n == 0) {
        return rc;
    }

    rc = llm_block_append(&f->d->scratch, &f->d->alloc, "]", 1);

    if (rc == LLM_OK) {
        f->ev.raw.p = f->d->scratch.p;
        f->ev.raw.n = f->d->scratch.n;
        rc = llm_cohere_emit(f, LLM_EV_LOGPROBS);
        f->ev.raw = llm_slice_null;
    }

    return rc;
}


/* A member of the frame, of its delta or of an answer. */
static void
llm_cohere_member(llm_cohere_frame_t *f, const llm_slice_t *key,
    const llm_slice_t *v, llm_json_type_t type)
{
    if (type == LLM_JSON_STRING) {

        if (llm_json_is(key, "type")) {
            f->type = *v;

        } else if (llm_json_is(key, "id")) {
            f->id = *v;

        } else if (llm_json_is(key, "finish_reason")) {
            f->finish = *v;

        } else if (llm_json_is(key, "error")) {
            f->error = *v;
        }

    } else if (type == LLM_JSON_OBJECT) {

        if (llm_json_is(key, "delta")) {
            f->delta = *v;

        } else if (llm_json_is(key, "message")) {
            f->message = *v;

        } else if (llm_json_is(key, "usage")) {
            f->usage = *v;

        } else if (llm_json_is(key, "logprobs")) {
            f->logprobs = *v;
        }

    } else if (type == LLM_JSON_ARRAY) {

        if (llm_json_is(key, "logprobs")) {
            f->logprobs = *v;
        }

    } else if (type == LLM_JSON_NUMBER && llm_json_is(key, "index")) {
        f->index = llm_json_uint(v);
    }
}


/* Reads a frame or an answer; 0: it is no JSON object. */
static int
llm_cohere_scan(llm_cohere_frame_t *f)
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
        llm_cohere_member(f, &key, &v, type);
    }

    if (llm_json_next(&j) != LLM_JSON_END) {
        return 0;
    }

    if (f->delta.p != NULL) {
        llm_json_reopen(&j, &f->delta);

        while (llm_json_member(&j, &key, &v, &type)) {
            if (!llm_json_is(&key, "type")) {
                llm_cohere_member(f, &key, &v, type);
            }
        }
    }

    return 1;
}


static void
llm_cohere_open(llm_cohere_frame_t *f, llm_decoder_t *d, llm_frame_t *frame)
{
    memset(f, 0, sizeof(llm_cohere_frame_t));

    f->d = d;
    f->frame = frame;
    f->ev.linesep = frame->linesep;
    f->ev.created = -1;
    f->ev.start = -1;
    f->ev.end = -1;

    frame->choices = 0;
}


/* An error of any shape; LLM_AGAIN: it is none. */
static llm_rc_t
llm_cohere_error(llm_cohere_frame_t *f)
{
    llm_error_t  err;

    if (llm_error_read(&f->frame->data, &err) != LLM_OK) {
        return LLM_AGAIN;
    }

    f->ev.error = &err;

    return llm_cohere_emit(f, LLM_EV_ERROR);
}


static llm_rc_t
llm_cohere_events(llm_cohere_frame_t *f)
{
    llm_rc_t  rc;

    rc = llm_cohere_start(f);

    if (rc == LLM_OK && f->message.p != NULL) {
        rc = llm_cohere_message(f, &f->message);
    }

    if (rc == LLM_OK && f->logprobs.p != NULL) {
        rc = llm_cohere_logprobs(f);
    }

    if (rc == LLM_OK) {
        rc = llm_cohere_finish(f);
    }

    if (rc == LLM_OK && f->emitted == 0) {

        /* an empty text says that the choice is there */

        f->ev.text = (llm_slice_t) { (const llm_u8 *) "", 0, 1 };
        rc = llm_cohere_emit(f, LLM_EV_TEXT);
    }

    return rc;
}


static llm_rc_t
llm_cohere_end(llm_cohere_frame_t *f)
{
    llm_rc_t  rc;

    rc = llm_cohere_emit(f, LLM_EV_END);

    return rc == LLM_OK ? LLM_DONE : rc;
}


static llm_rc_t
llm_cohere_decode(llm_decoder_t *d, llm_frame_t *frame)
{
    llm_rc_t            rc;
    llm_slice_t         text;
    llm_cohere_frame_t  f;

    llm_cohere_open(&f, d, frame);

    if (llm_repeat_match(&d->repeat, &frame->data, &text)) {
        frame->choices = 1;
        f.ev.text = text;

        return llm_cohere_emit(&f, d->repeat.type);
    }

    if (frame->data.n >= 6 && memcmp(frame->data.p, "[DONE]", 6) == 0) {
        return llm_cohere_end(&f);
    }

    if (!llm_cohere_scan(&f)) {
        return LLM_INVALID;
    }

    if (llm_json_is(&f.type, "tool-call-end")) {
        return llm_cohere_call_end(&f);
    }

    if (f.delta.p == NULL) {
        rc = llm_cohere_error(&f);

        return rc == LLM_AGAIN ? llm_cohere_emit(&f, LLM_EV_PING) : rc;
    }

    frame->choices = 1;
    rc = llm_cohere_events(&f);

    /* frames that differ in nothing but their text may follow */

    if (rc == LLM_OK && f.emitted == 1 && f.said.text.n != 0) {
        llm_repeat_learn(&d->repeat, &frame->data, &f.said);
    }

    return rc;
}


static llm_rc_t
llm_cohere_decode_answer(llm_decoder_t *d, llm_frame_t *answer)
{
    llm_rc_t            rc;
    llm_cohere_frame_t  f;

    llm_cohere_open(&f, d, answer);
    f.answer = 1;

    if (!llm_cohere_scan(&f)) {
        return LLM_INVALID;
    }

    if (f.message.p == NULL) {
        rc = llm_cohere_error(&f);

        return rc == LLM_AGAIN ? LLM_INVALID : rc;
    }

    answer->choices = 1;
    rc = llm_cohere_events(&f);

    if (rc != LLM_OK || f.ev.error != NULL) {
        return rc;
    }

    f.ev.text = llm_slice_null;

    return llm_cohere_end(&f);
}


static const llm_ask_t  llm_cohere_asks[] = {
    { NULL, "max_tokens", LLM_ASK_OUTPUT|LLM_ASK_SAYS, 0, NULL },
    { NULL, NULL, 0, 0, NULL }
};


const llm_dialect_t  llm_dialect_cohere = {
    .name = llm_str("cohere"),
    .framing = LLM_FRAMING_SSE,
    .failure = 1,
    .stream_type = llm_str("text/event-stream"),
    .answer_type = llm_str("application/json"),

    .stream_default = 0,
    .stream_member = llm_str("stream"),
    .needs = llm_str("messages"),
    .asks = llm_cohere_asks,
    .write_chat = llm_cohere_write_chat,

    .decode = llm_cohere_decode,
    .decode_answer = llm_cohere_decode_answer,
    .decode_size = sizeof(llm_cohere_state_t),

    .stream_size = sizeof(llm_cohere_stream_t),
    .encode = llm_cohere_encode,
    .write_answer = llm_cohere_write_answer,
    .error_body = llm_cohere_error_body
};
