/*
 * Bodies of HTTP errors.  Those of OpenAI's dialects are written here, with its
 * own words; the others' by the wire library, by the class of the status; and
 * what only Gemini says of a bad key.
 */

#include <stdio.h>
#include <string.h>

#include "llm_error.h"
#include "mock_error.h"
#include "mock_wire.h"


typedef struct {
    int          status;
    const char  *type;
    const char  *code;
    const char  *message;
} mock_error_row_t;


void
mock_error_openai(mock_buf_t *b, const char *message, const char *type,
    const char *param, const char *code)
{
    mock_buf_lit(b, "{\"error\":{\"message\":\"");
    mock_buf_json(b, message, strlen(message));
    mock_buf_fmt(b, "\",\"type\":\"%s\",\"param\":", type);

    if (param) {
        mock_buf_fmt(b, "\"%s\"", param);
    } else {
        mock_buf_lit(b, "null");
    }

    if (code) {
        mock_buf_fmt(b, ",\"code\":\"%s\"}}", code);
    } else {
        mock_buf_lit(b, ",\"code\":null}}");
    }
}


static const mock_error_row_t *
mock_error_row(int status)
{
    size_t  i;

    static const mock_error_row_t  rows[] = {
        { 400, "invalid_request_error", NULL,
          "The mock calls this request bad, as asked." },
        { 401, "invalid_request_error", "invalid_api_key",
          "Incorrect API key provided." },
        { 403, "invalid_request_error", "permission_denied",
          "The mock does not permit this, as asked." },
        { 404, "invalid_request_error", "model_not_found",
          "The model does not exist or you do not have access to it." },
        { 408, "timeout", NULL, "The mock timed out, as asked." },
        { 413, "invalid_request_error", "context_length_exceeded",
          "The request is too large." },
        { 422, "invalid_request_error", NULL,
          "The mock cannot process this, as asked." },
        { 429, "requests", "rate_limit_exceeded",
          "Rate limit reached. Please try again later." },
        { 500, "server_error", NULL,
          "The server had an error while processing your request." },
        { 502, "server_error", NULL, "Bad gateway." },
        { 503, "server_error", "overloaded",
          "The engine is currently overloaded." },
        { 504, "server_error", NULL, "Gateway timeout." },
        { 529, "overloaded_error", "overloaded", "Overloaded." }
    };
    static const mock_error_row_t  below = {
        0, "invalid_request_error", NULL, "The mock failed as asked."
    };
    static const mock_error_row_t  above = {
        0, "server_error", NULL, "The mock failed as asked."
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].status == status) {
            return &rows[i];
        }
    }

    return status < 500 ? &below : &above;
}


/* Another dialect's body; Gemini wraps it where a stream would be an
 * array. */
static void
mock_error_other(const mock_route_t *route, mock_buf_t *b, int status,
    const char *message, const char *param, int64_t retry)
{
    llm_error_t  err;

    memset(&err, 0, sizeof(err));
    err.message = (llm_slice_t) { (const llm_u8 *) message, strlen(message),
                                  0 };
    err.status = status;
    err.retry_after = retry;

    if (param) {
        err.param = (llm_slice_t) { (const llm_u8 *) param, strlen(param),
                                    0 };
    }

    llm_error_classify(&err);
    mock_buf_str(b, route->array ? "[" : "");
    mock_wire_error(route->row, b, &err);
    mock_buf_str(b, route->array ? "\n]" : "");
}


void
mock_error_said(const mock_route_t *route, mock_buf_t *b, int status,
    const char *message, const char *param, const char *code)
{
    if (mock_dialect_openai(route)) {
        mock_error_openai(b, message, mock_error_row(status)->type, param,
                          code);
        return;
    }

    mock_error_other(route, b, status, message, param, -1);
}


void
mock_error_status(const mock_route_t *route, mock_buf_t *b, int status,
    int64_t retry)
{
    const mock_error_row_t  *row;

    row = mock_error_row(status);

    if (mock_dialect_openai(route)) {
        mock_error_openai(b, row->message, row->type, NULL, row->code);
        return;
    }

    mock_error_other(route, b, status, row->message, NULL, retry);
}


int
mock_error_key(const mock_route_t *route, mock_buf_t *b, int status,
    const char *key)
{
    size_t      n;
    mock_buf_t  text;

    static const char  gemini[] = "{\n  \"error\": {\n    \"code\": 400,\n"
        "    \"message\": \"API key not valid. Please pass a valid API key."
        "\",\n    \"status\": \"INVALID_ARGUMENT\",\n    \"details\": [\n"
        "      {\n        \"@type\": "
        "\"type.googleapis.com/google.rpc.ErrorInfo\",\n"
        "        \"reason\": \"API_KEY_INVALID\",\n"
        "        \"domain\": \"googleapis.com\",\n        \"metadata\": {"
        "\"service\": \"generativelanguage.googleapis.com\"}\n"
        "      }\n    ]\n  }\n}\n";

    if (status == 401 && strcmp(route->dialect->name, "gemini") == 0) {
        mock_buf_str(b, route->array ? "[" : "");
        mock_buf_str(b, gemini);
        mock_buf_str(b, route->array ? "]" : "");
        return 400;
    }

    memset(&text, 0, sizeof(text));
    n = strlen(key);
    mock_buf_lit(&text, "Incorrect API key provided: ");
    mock_buf_add(&text, key, n < 8 ? n : 8);
    mock_buf_lit(&text, "********");
    mock_buf_str(&text, n > 12 ? key + n - 4 : "");
    mock_buf_lit(&text, ".");
    mock_error_said(route, b, status, mock_buf_cstr(&text), NULL,
                    "invalid_api_key");
    mock_buf_free(&text);

    return status;
}


void
mock_error_retry(const mock_route_t *route, mock_buf_t *lines,
    int64_t retry)
{
    if (strcmp(route->dialect->name, "gemini") != 0) {
        mock_buf_fmt(lines, "Retry-After: %lld\r\n",
                     (long long) (retry + 999) / 1000);
    }
}


const char *
mock_error_type(const mock_route_t *route)
{
    return (const char *) route->row->answer_type.p;
}
