/*
 * Errors of OpenAI and its look-alikes: their shapes, the status that their
 * words mean, and the body that a client gets.
 *
 * Shapes: {"error":{…}}, {"error":"…"}, {"object":"error","message":…},
 * {"message":…}, {"detail":"…"}, {"detail":[{"msg":…}]}.
 */

#include "llm_openai.h"


typedef struct {
    llm_slice_t  error;
    llm_slice_t  detail;
    llm_slice_t  word;          /* "status" as a word: Gemini's */
    unsigned     object;        /* error is an object */
    unsigned     list;          /* detail is an array */
} llm_openai_said_t;


/* What a code, a type or a status word means as an HTTP status. */
static const struct {
    llm_slice_t  word;
    int          status;
} llm_openai_statuses[] = {
    { llm_openai_str("invalid_api_key"), 401 },
    { llm_openai_str("authentication_error"), 401 },
    { llm_openai_str("UNAUTHENTICATED"), 401 },
    { llm_openai_str("billing_error"), 402 },
    { llm_openai_str("permission_error"), 403 },
    { llm_openai_str("permission_denied"), 403 },
    { llm_openai_str("PERMISSION_DENIED"), 403 },
    { llm_openai_str("model_not_found"), 404 },
    { llm_openai_str("not_found_error"), 404 },
    { llm_openai_str("NotFoundError"), 404 },
    { llm_openai_str("DeploymentNotFound"), 404 },
    { llm_openai_str("NOT_FOUND"), 404 },
    { llm_openai_str("request_too_large"), 413 },
    { llm_openai_str("rate_limit_exceeded"), 429 },
    { llm_openai_str("rate_limit_error"), 429 },
    { llm_openai_str("insufficient_quota"), 429 },
    { llm_openai_str("tokens"), 429 },
    { llm_openai_str("requests"), 429 },
    { llm_openai_str("RESOURCE_EXHAUSTED"), 429 },
    { llm_openai_str("context_length_exceeded"), 400 },
    { llm_openai_str("exceed_context_size_error"), 400 },
    { llm_openai_str("content_filter"), 400 },
    { llm_openai_str("content_policy_violation"), 400 },
    { llm_openai_str("invalid_request_error"), 400 },
    { llm_openai_str("BadRequestError"), 400 },
    { llm_openai_str("INVALID_ARGUMENT"), 400 },
    { llm_openai_str("FAILED_PRECONDITION"), 400 },
    { llm_openai_str("server_error"), 500 },
    { llm_openai_str("internal_server_error"), 500 },
    { llm_openai_str("InternalServerError"), 500 },
    { llm_openai_str("api_error"), 500 },
    { llm_openai_str("INTERNAL"), 500 },
    { llm_openai_str("overloaded"), 503 },
    { llm_openai_str("unavailable_error"), 503 },
    { llm_openai_str("service_unavailable"), 503 },
    { llm_openai_str("UNAVAILABLE"), 503 },
    { llm_openai_str("timeout_error"), 504 },
    { llm_openai_str("DEADLINE_EXCEEDED"), 504 },
    { llm_openai_str("overloaded_error"), 529 }
};


static int
llm_openai_status(const llm_slice_t *word)
{
    size_t              i;
    const llm_slice_t  *w;

    if (word->p == NULL) {
        return 0;
    }

    for (i = 0; i < sizeof(llm_openai_statuses)
                    / sizeof(llm_openai_statuses[0]); i++)
    {
        w = &llm_openai_statuses[i].word;

        if (llm_json_eq(word, (const char *) w->p, w->n)) {
            return llm_openai_statuses[i].status;
        }
    }

    return 0;
}


/* Takes a number, or a string of digits, that is an error status. */
static void
llm_openai_number(llm_error_t *err, const llm_slice_t *v)
{
    int64_t  n;

    n = llm_json_uint(v);

    if (n >= 400 && n <= 599 && err->status == 0) {
        err->status = (int) n;
    }
}


/* Takes a scalar member that an error object or a flat error may have. */
static void
llm_openai_error_scalar(llm_error_t *err, llm_openai_said_t *said,
    const llm_slice_t *key, const llm_slice_t *v, llm_json_type_t type)
{
    unsigned  string;

    string = type == LLM_JSON_STRING;

    if (llm_json_is(key, "message") || llm_json_is(key, "msg")) {
        if (string && err->message.p == NULL) {
            err->message = *v;
        }

    } else if (llm_json_is(key, "type")) {
        if (string) {
            err->type = *v;
        }

    } else if (llm_json_is(key, "param")) {
        if (string) {
            err->param = *v;
        }

    } else if (llm_json_is(key, "code")) {
        err->code = *v;
        err->code.escaped = 1;
        llm_openai_number(err, v);

    } else if (llm_json_is(key, "status") || llm_json_is(key, "status_code")
               || llm_json_is(key, "statusCode"))
    {
        llm_openai_number(err, v);

        if (string) {
            said->word = *v;
        }
    }
}


/* Reads the members of an error object, or of a document that is or holds
 * one; j stands behind its brace.  0 when it is not valid. */
static int
llm_openai_error_members(llm_json_t *j, llm_error_t *err,
    llm_openai_said_t *said)
{
    llm_slice_t      key, v;
    llm_json_type_t  type;

    while ((type = llm_json_next(j)) == LLM_JSON_KEY) {
        key = j->tok;
        type = llm_openai_value(j, &v);

        if (type == LLM_JSON_STRING || type == LLM_JSON_NUMBER) {
            llm_openai_error_scalar(err, said, &key, &v, type);
        }

        if (llm_json_is(&key, "error")
            && (type == LLM_JSON_OBJECT || type == LLM_JSON_STRING))
        {
            said->error = v;
            said->object = type == LLM_JSON_OBJECT;

        } else if (llm_json_is(&key, "detail")
                   && (type == LLM_JSON_ARRAY || type == LLM_JSON_STRING))
        {
            said->detail = v;
            said->list = type == LLM_JSON_ARRAY;
        }
    }

    return type == LLM_JSON_OBJECT_END;
}


/* Follows what the document's own members lead to. */
static void
llm_openai_error_inner(llm_error_t *err, llm_openai_said_t *said)
{
    llm_json_t         j;
    llm_openai_said_t  deeper;

    if (said->error.p != NULL && said->object) {

        /* what stands beside "error" belongs to the chunk, not to it */

        *err = (llm_error_t) { .status = err->status, .retry_after = -1 };

        llm_openai_reopen(&j, &said->error);
        (void) llm_openai_error_members(&j, err, said);

    } else if (said->error.p != NULL) {
        err->message = said->error;

    } else if (said->detail.p != NULL && said->list) {
        llm_openai_reopen(&j, &said->detail);

        if (llm_openai_object(&j)) {
            memset(&deeper, 0, sizeof(llm_openai_said_t));
            (void) llm_openai_error_members(&j, err, &deeper);
        }

    } else if (said->detail.p != NULL && err->message.p == NULL) {
        err->message = said->detail;
    }
}


llm_rc_t
llm_openai_decode_error(const llm_slice_t *data, llm_error_t *err)
{
    llm_json_t         j;
    llm_openai_said_t  said;

    memset(err, 0, sizeof(llm_error_t));
    memset(&said, 0, sizeof(llm_openai_said_t));

    err->retry_after = -1;

    llm_json_init(&j, data->p, data->n, LLM_JSON_DEPTH_MAX);

    if (llm_json_next(&j) != LLM_JSON_OBJECT
        || !llm_openai_error_members(&j, err, &said)
        || llm_json_next(&j) != LLM_JSON_END)
    {
        memset(err, 0, sizeof(llm_error_t));
        err->retry_after = -1;
        return LLM_INVALID;
    }

    llm_openai_error_inner(err, &said);

    if (err->status == 0) {
        err->status = llm_openai_status(&err->code);
    }

    if (err->status == 0) {
        err->status = llm_openai_status(&said.word);
    }

    if (err->status == 0) {
        err->status = llm_openai_status(&err->type);
    }

    return err->message.p != NULL || said.error.p != NULL ? LLM_OK
                                                          : LLM_INVALID;
}


void
llm_openai_error_body(llm_out_t *out, const llm_error_t *err)
{
    llm_out_lit(out, "{\"error\":{\"message\":");
    llm_write_string(out, &err->message, 1);
    llm_out_lit(out, ",\"type\":");
    llm_write_string(out, &err->type, 1);
    llm_out_lit(out, ",\"param\":");
    llm_write_string(out, &err->param, 1);
    llm_out_lit(out, ",\"code\":");
    llm_write_string(out, &err->code, 1);
    llm_out_lit(out, "}}");
}
