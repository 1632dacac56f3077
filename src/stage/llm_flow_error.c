/*
 * How a flow ends that did not finish: the error event, the body of an HTTP
 * error, the status.  It must never write a terminator.
 */

#include "llm_flow_private.h"
#include "llm_error.h"
#include "llm_json.h"


/* characters of an upstream's message that another dialect is told */
#define LLM_FLOW_MESSAGE  200


/* Whether the upstream's words are withheld: it refused a key that is not
 * the client's, and quotes it. */
static int
llm_flow_secret(const llm_flow_t *f)
{
    int  status;

    status = llm_flow_status(f);

    return f->conf.secret
           && (status == 401 || status == 403
               || (f->fault == LLM_FAULT_UPSTREAM_ERROR
                   && f->error.cls == LLM_ERROR_AUTH));
}


void
llm_flow_carry_error(const llm_dialect_t *upstream, llm_error_t *err)
{
    const llm_error_words_t  *words;

    if (err->message.n == 0) {
        err->message = llm_fault_info(LLM_FAULT_UPSTREAM_ERROR)->message;
    }

    if (err->cls == LLM_ERROR_UNKNOWN) {
        return;
    }

    words = llm_error_words(err->cls);

    if (err->type.p == NULL
        || llm_json_eq(&err->type, (const char *) words->anthropic_type.p,
                       words->anthropic_type.n))
    {
        err->type = words->openai_type;
    }

    /* outside of OpenAI's world a number is the status again */

    if (err->code.p == NULL
        || (words->openai_code.p != NULL && upstream != &llm_dialect_openai
            && llm_json_uint(&err->code) >= 0))
    {
        err->code = words->openai_code;
    }

    /* Gemini says 400 of a bad key */

    if (err->status == 400 && err->cls == LLM_ERROR_AUTH) {
        err->status = words->status;
    }
}


/* What the client is told of f->fault. */
static void
llm_flow_error(const llm_flow_t *f, llm_error_t *err)
{
    const llm_fault_info_t  *info;

    info = llm_fault_info(f->fault);

    memset(err, 0, sizeof(llm_error_t));

    err->type = info->type;
    err->code = info->code;
    err->message = info->message;
    err->status = llm_flow_status(f);
    err->retry_after = -1;
    llm_error_classify(err);

    if (f->fault != LLM_FAULT_UPSTREAM_ERROR || llm_flow_secret(f)) {
        return;
    }

    err->retry_after = f->error.retry_after;
    err->param = f->error.param;
    err->cls = f->error.cls;

    if (f->error.type.n != 0) {
        err->type = f->error.type;
    }

    if (f->error.code.n != 0) {
        err->code = f->error.code;
    }

    if (f->error.message.n != 0) {
        err->message = llm_slice_first(&f->error.message, LLM_FLOW_MESSAGE);
    }

    if (!f->same) {
        llm_flow_carry_error(f->conf.upstream, err);
    }
}


/* Whether the provider's error event has a member "error". */
static int
llm_flow_said_member(const llm_flow_t *f)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_init(&j, f->said.p + f->said_block, f->said.n - f->said_block,
                  LLM_JSON_DEPTH_MAX);

    if (llm_json_next(&j) != LLM_JSON_OBJECT) {
        return 0;
    }

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_OBJECT && llm_json_is(&key, "error")) {
            return 1;
        }
    }

    return 0;
}


/* Writes the error event for f->fault. */
static llm_rc_t
llm_flow_tell(llm_flow_t *f)
{
    llm_error_t  err;
    llm_event_t  ev;

    if (f->passing && f->fault == LLM_FAULT_UPSTREAM_ERROR
        && f->said_block != 0 && !llm_flow_secret(f))
    {
        if (f->conf.array_out) {
            llm_frame_open(&f->encoder, LLM_FRAMING_ARRAY, NULL);
        }

        llm_out(f->out, f->said.p, f->said_block);
        f->encoder.passed++;

        if (!f->conf.client->error_member || llm_flow_said_member(f)) {
            llm_frame_end(&f->encoder);

            return f->out->failed ? LLM_FAILED : LLM_OK;
        }
    }

    llm_flow_error(f, &err);

    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = LLM_EV_ERROR;
    ev.created = -1;
    ev.error = &err;

    f->encode(&f->encoder, f->state, &ev);

    return f->out->failed ? LLM_FAILED : LLM_OK;
}


llm_rc_t
llm_flow_fail(llm_flow_t *f, llm_fault_t fault)
{
    if (fault != LLM_FAULT_NONE) {
        f->fault = fault;

    } else if (f->fault == LLM_FAULT_NONE) {
        f->fault = LLM_FAULT_INTERNAL;
    }

    if (f->done || f->closed) {
        return LLM_OK;
    }

    if (f->conf.answer_out) {
        return LLM_AGAIN;
    }

    llm_flow_release(f);

    if (f->conf.client->framing == LLM_FRAMING_NONE) {
        return LLM_AGAIN;
    }

    f->closed = 1;

    return llm_flow_written(f, llm_flow_tell(f));
}


void
llm_flow_error_body(llm_flow_t *f, llm_out_t *out)
{
    llm_error_t  err;
    llm_slice_t  data;

    if (f->same && f->fault == LLM_FAULT_UPSTREAM_ERROR
        && !llm_flow_secret(f))
    {
        data.p = f->said.p + f->said_block;
        data.n = f->said.n - f->said_block;
        data.escaped = 0;

        /* an event of type "error" may hold anything */

        if (llm_error_read(&data, &err) == LLM_OK) {
            llm_out(out, data.p, data.n);
            return;
        }
    }

    llm_flow_error(f, &err);

    f->conf.client->error_body(out, &err);
}


int
llm_flow_status(const llm_flow_t *f)
{
    llm_error_t  err;

    if (f->fault == LLM_FAULT_UPSTREAM_ERROR && f->error.status != 0) {
        err = f->error;

        if (!f->same) {
            llm_flow_carry_error(f->conf.upstream, &err);
        }

        return err.status;
    }

    return llm_fault_info(f->fault)->status;
}
