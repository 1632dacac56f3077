/*
 * Decoders of the dialects that only clients speak, as `docs/dialects.md` has
 * them: simple and typed.  They read what the wire library's encoders write;
 * it must never take another's word for content.
 */

#include "bench_decode.h"


static llm_rc_t
bench_own_emit(llm_decoder_t *d, llm_event_type_t type,
    const llm_slice_t *text)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(llm_event_t));
    ev.type = type;

    if (text != NULL) {
        ev.text = *text;
    }

    return d->emit(d->ctx, &ev);
}


static llm_rc_t
bench_own_error(llm_decoder_t *d, const llm_slice_t *type,
    const llm_slice_t *code)
{
    llm_event_t  ev;
    llm_error_t  error;

    memset(&ev, 0, sizeof(llm_event_t));
    memset(&error, 0, sizeof(llm_error_t));

    ev.type = LLM_EV_ERROR;
    ev.error = &error;
    error.type = *type;
    error.code = *code;

    return d->emit(d->ctx, &ev);
}


/* A frame that differs from the one before in nothing but its text. */
static int
bench_own_repeats(llm_decoder_t *d, const llm_frame_t *frame, llm_rc_t *rc)
{
    llm_slice_t  text;

    if (!llm_repeat_match(&d->repeat, &frame->data, &text)) {
        return 0;
    }

    *rc = bench_own_emit(d, LLM_EV_TEXT, &text);

    return 1;
}


/* Text, and what such a frame looks like. */
static llm_rc_t
bench_own_text(llm_decoder_t *d, const llm_frame_t *frame,
    const llm_slice_t *text)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(llm_event_t));
    ev.type = LLM_EV_TEXT;
    ev.text = *text;

    llm_repeat_learn(&d->repeat, &frame->data, &ev);

    return d->emit(d->ctx, &ev);
}


/* Goes into the object that the document is. */
static int
bench_own_open(llm_json_t *j, const llm_frame_t *frame)
{
    llm_json_init(j, frame->data.p, frame->data.n, frame->max_depth);

    return llm_json_next(j) == LLM_JSON_OBJECT;
}


/* Nothing was wrong with it, and nothing is behind it. */
static int
bench_own_closed(llm_json_t *j)
{
    return j->error == LLM_OK && llm_json_next(j) == LLM_JSON_END;
}


static llm_rc_t
bench_own_end(llm_decoder_t *d)
{
    llm_rc_t  rc;

    rc = bench_own_emit(d, LLM_EV_END, NULL);

    return rc == LLM_OK ? LLM_DONE : rc;
}


static llm_rc_t
bench_decode_simple(llm_decoder_t *d, llm_frame_t *frame)
{
    int              done;
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, text, code, error;
    llm_json_type_t  type;

    if (bench_own_repeats(d, frame, &rc)) {
        return rc;
    }

    if (!bench_own_open(&j, frame)) {
        return LLM_INVALID;
    }

    done = 0;
    text = llm_slice_null;
    code = llm_slice_null;
    error = llm_slice_null;

    while (llm_json_member(&j, &key, &v, &type)) {

        if (llm_json_is(&key, "content") && type == LLM_JSON_STRING) {
            text = v;

        } else if (llm_json_is(&key, "done")) {
            done = type == LLM_JSON_TRUE;

        } else if (llm_json_is(&key, "error")) {
            error = v;

        } else if (llm_json_is(&key, "code") && type == LLM_JSON_STRING) {
            code = v;
        }
    }

    if (!bench_own_closed(&j)) {
        return LLM_INVALID;
    }

    if (error.p != NULL) {
        return bench_own_error(d, &llm_slice_null, &code);
    }

    if (text.p != NULL && !done) {
        return bench_own_text(d, frame, &text);
    }

    return done ? bench_own_end(d) : LLM_OK;
}


static llm_rc_t
bench_own_usage(llm_decoder_t *d, const llm_slice_t *raw)
{
    llm_event_t  ev;
    llm_usage_t  usage;

    memset(&ev, 0, sizeof(llm_event_t));
    ev.type = LLM_EV_USAGE;
    ev.usage = &usage;

    usage = llm_usage_none;
    usage.input = llm_json_count(raw, "prompt_tokens");
    usage.output = llm_json_count(raw, "completion_tokens");

    return d->emit(d->ctx, &ev);
}


/* The members of "data" that matter. */
typedef struct {
    llm_slice_t  token;
    llm_slice_t  usage;
    llm_slice_t  type;
    llm_slice_t  code;
} bench_typed_t;


static void
bench_typed_read(const llm_slice_t *data, bench_typed_t *t)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    memset(t, 0, sizeof(bench_typed_t));

    llm_json_init(&j, data->p, data->n, 0);
    (void) llm_json_next(&j);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (llm_json_is(&key, "usage") && type == LLM_JSON_OBJECT) {
            t->usage = v;
        }

        if (type != LLM_JSON_STRING) {
            continue;
        }

        if (llm_json_is(&key, "token")) {
            t->token = v;

        } else if (llm_json_is(&key, "type")) {
            t->type = v;

        } else if (llm_json_is(&key, "code")) {
            t->code = v;
        }
    }
}


static llm_rc_t
bench_decode_typed(llm_decoder_t *d, llm_frame_t *frame)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, name, data;
    bench_typed_t    t;
    llm_json_type_t  type;

    if (bench_own_repeats(d, frame, &rc)) {
        return rc;
    }

    if (!bench_own_open(&j, frame)) {
        return LLM_INVALID;
    }

    name = llm_slice_null;
    data = llm_slice_null;

    while (llm_json_member(&j, &key, &v, &type)) {

        if (llm_json_is(&key, "type") && type == LLM_JSON_STRING) {
            name = v;

        } else if (llm_json_is(&key, "data") && type == LLM_JSON_OBJECT) {
            data = v;
        }
    }

    if (!bench_own_closed(&j) || data.p == NULL) {
        return LLM_INVALID;
    }

    bench_typed_read(&data, &t);

    if (llm_json_is(&name, "token") && t.token.p != NULL) {
        return bench_own_text(d, frame, &t.token);
    }

    if (llm_json_is(&name, "error")) {
        return bench_own_error(d, &t.type, &t.code);
    }

    if (!llm_json_is(&name, "done")) {
        return LLM_OK;
    }

    if (t.usage.p != NULL) {
        rc = bench_own_usage(d, &t.usage);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return bench_own_end(d);
}


bench_decode_pt
bench_decode_own(const llm_dialect_t *dialect)
{
    if (dialect == &llm_dialect_simple) {
        return bench_decode_simple;
    }

    return dialect == &llm_dialect_typed ? bench_decode_typed : NULL;
}
