/*
 * Reads a request's body: what is to be known of its top level.  It must
 * never copy or decode a value: a large string costs one look.
 */

#include "llm_json.h"
#include "llm_request.h"
#include "llm_utf8.h"


static llm_json_type_t
llm_request_rest(llm_json_t *j, llm_json_type_t type)
{
    llm_slice_t  raw;

    if (type == LLM_JSON_OBJECT || type == LLM_JSON_ARRAY) {
        return llm_json_skip_rest(j, &raw);
    }

    return type;
}


/* The first wrong member is the one that is reported. */
static llm_json_type_t
llm_request_wrong(llm_request_t *r, llm_json_t *j, llm_json_type_t type,
    const char *member)
{
    if (r->member == NULL) {
        r->member = member;
    }

    return llm_request_rest(j, type);
}


static llm_json_type_t
llm_request_model(llm_request_t *r, llm_json_t *j)
{
    llm_json_type_t  type;

    type = llm_json_next(j);

    if (type == LLM_JSON_STRING) {
        r->model = j->tok;
        return type;
    }

    r->model = llm_slice_null;

    if (type == LLM_JSON_NULL) {
        return type;
    }

    return llm_request_wrong(r, j, type, "model");
}


static llm_json_type_t
llm_request_stream(llm_request_t *r, llm_json_t *j)
{
    llm_json_type_t  type;

    type = llm_json_next(j);

    switch (type) {

    case LLM_JSON_TRUE:
        r->stream = 1;
        return type;

    case LLM_JSON_FALSE:
        r->stream = 0;
        return type;

    case LLM_JSON_NULL:
        r->stream = -1;
        return type;

    default:
        return llm_request_wrong(r, j, type, "stream");
    }
}


static llm_json_type_t
llm_request_messages(llm_request_t *r, llm_json_t *j)
{
    llm_slice_t      raw;
    llm_json_type_t  type;

    r->messages = 0;

    type = llm_json_next(j);

    if (type == LLM_JSON_NULL) {
        return type;
    }

    if (type != LLM_JSON_ARRAY) {
        return llm_request_wrong(r, j, type, "messages");
    }

    for ( ;; ) {
        type = llm_json_skip(j, &raw);

        if (type == LLM_JSON_ARRAY_END || type == LLM_JSON_ERROR) {
            return type;
        }

        r->messages = 1;
    }
}


/* include_usage of another type than a boolean is not asking for usage. */
static llm_json_type_t
llm_request_options(llm_request_t *r, llm_json_t *j)
{
    unsigned         usage;
    llm_slice_t      raw;
    llm_json_type_t  type;

    r->include_usage = -1;

    type = llm_json_next(j);

    if (type == LLM_JSON_NULL) {
        return type;
    }

    if (type != LLM_JSON_OBJECT) {
        return llm_request_wrong(r, j, type, "stream_options");
    }

    for ( ;; ) {
        type = llm_json_next(j);

        if (type != LLM_JSON_KEY) {
            return type;
        }

        usage = llm_json_is(&j->tok, "include_usage") != 0;

        type = llm_json_skip(j, &raw);
        if (type == LLM_JSON_ERROR) {
            return type;
        }

        if (usage) {
            r->include_usage = type == LLM_JSON_TRUE ? 1
                               : type == LLM_JSON_FALSE ? 0 : -1;
        }
    }
}


/* The value of the member whose name was just read. */
static llm_json_type_t
llm_request_member(llm_request_t *r, llm_json_t *j)
{
    llm_slice_t  raw;

    if (llm_json_is(&j->tok, "model")) {
        return llm_request_model(r, j);
    }

    if (llm_json_is(&j->tok, "stream")) {
        return llm_request_stream(r, j);
    }

    if (llm_json_is(&j->tok, "messages")) {
        return llm_request_messages(r, j);
    }

    if (llm_json_is(&j->tok, "stream_options")) {
        return llm_request_options(r, j);
    }

    return llm_json_skip(j, &raw);
}


llm_rc_t
llm_request_read(llm_request_t *r, const llm_u8 *body, size_t n,
    unsigned max_depth)
{
    llm_json_t       j;
    llm_json_type_t  type;

    memset(r, 0, sizeof(llm_request_t));
    r->stream = -1;
    r->include_usage = -1;
    r->empty = 1;

    llm_json_init(&j, body, n, max_depth);

    type = llm_json_next(&j);

    if (type != LLM_JSON_OBJECT) {
        return LLM_INVALID;
    }

    do {
        type = llm_json_next(&j);

        if (type == LLM_JSON_KEY) {
            r->empty = 0;
            type = llm_request_member(r, &j);

        } else if (type == LLM_JSON_OBJECT_END) {
            type = llm_json_next(&j);
        }

    } while (type != LLM_JSON_ERROR && type != LLM_JSON_END);

    /* a broken document is no reason to name one of its members */

    if (type == LLM_JSON_ERROR) {
        r->member = NULL;
        return j.error == LLM_TOO_DEEP ? LLM_TOO_DEEP : LLM_INVALID;
    }

    if (llm_utf8_check(body, n) & LLM_UTF8_INVALID) {
        r->member = NULL;
        return LLM_INVALID;
    }

    return r->member == NULL ? LLM_OK : LLM_INVALID;
}
