/*
 * Reads a chat-completions request with the wire library's scanner: model,
 * messages, stream, stream_options.include_usage, n.  Everything else only
 * has to be JSON.
 */

#include <string.h>

#include "llm_json.h"
#include "mock_chat_request.h"


typedef struct {
    mock_chat_request_t  *r;
    llm_slice_t           messages;
    const char          **err;
    const char          **param;
} mock_chat_reader_t;


static int
mock_chat_wrong(mock_chat_reader_t *x, const char *param, const char *err)
{
    *x->param = param;
    *x->err = err;

    return -1;
}


/* A text: a string, or the text parts of an array of parts. */
static void
mock_chat_text(mock_buf_t *b, const llm_slice_t *value)
{
    llm_json_t       j;
    llm_slice_t      raw;
    llm_json_type_t  type;

    llm_json_init(&j, value->p, value->n, LLM_JSON_DEPTH_MAX);

    for (type = llm_json_next(&j);
         type != LLM_JSON_END && type != LLM_JSON_ERROR;
         type = llm_json_next(&j))
    {
        if (type == LLM_JSON_KEY) {
            if (!llm_json_is(&j.tok, "text")) {
                (void) llm_json_skip(&j, &raw);
                continue;
            }

            type = llm_json_next(&j);
        }

        if (type == LLM_JSON_STRING) {
            mock_buf_reserve(b, j.tok.n + 1);
            b->n += llm_json_unescape(b->p + b->n, j.tok.p, j.tok.n);
        }
    }
}


/* One message: its text replaces r->user when the role is "user". */
static void
mock_chat_message(mock_chat_reader_t *x, llm_json_t *j)
{
    int          user;
    llm_slice_t  content, raw;

    user = 0;
    content = llm_slice_null;

    while (llm_json_next(j) == LLM_JSON_KEY) {

        if (llm_json_is(&j->tok, "role")) {
            user = llm_json_skip(j, &raw) == LLM_JSON_STRING
                   && llm_json_is(&j->tok, "user");

        } else if (llm_json_is(&j->tok, "content")) {
            llm_json_skip(j, &content);

        } else {
            llm_json_skip(j, &raw);
        }
    }

    if (user && content.p) {
        x->r->user.n = 0;
        mock_chat_text(&x->r->user, &content);
    }
}


/* Returns how many there are. */
static unsigned
mock_chat_messages(mock_chat_reader_t *x)
{
    unsigned         n;
    llm_json_t       j;
    llm_slice_t      raw;
    llm_json_type_t  type;

    llm_json_init(&j, x->messages.p, x->messages.n, LLM_JSON_DEPTH_MAX);
    (void) llm_json_next(&j);

    for (n = 0; ; n++) {
        type = llm_json_next(&j);

        if (type == LLM_JSON_OBJECT) {
            mock_chat_message(x, &j);

        } else if (type == LLM_JSON_ARRAY) {
            (void) llm_json_skip_rest(&j, &raw);

        } else if (type == LLM_JSON_ARRAY_END || type == LLM_JSON_ERROR
                   || type == LLM_JSON_END)
        {
            return n;
        }
    }
}


static int
mock_chat_options(mock_chat_reader_t *x, llm_json_t *j)
{
    llm_slice_t      raw;
    llm_json_type_t  type;

    type = llm_json_next(j);

    if (type == LLM_JSON_NULL) {
        return 0;
    }

    if (type != LLM_JSON_OBJECT) {
        return mock_chat_wrong(x, "stream_options",
                               "'stream_options' must be an object.");
    }

    while (llm_json_next(j) == LLM_JSON_KEY) {
        if (!llm_json_is(&j->tok, "include_usage")) {
            (void) llm_json_skip(j, &raw);
            continue;
        }

        type = llm_json_next(j);

        if (type != LLM_JSON_TRUE && type != LLM_JSON_FALSE) {
            return mock_chat_wrong(x, "stream_options.include_usage",
                                   "'include_usage' must be a boolean.");
        }

        x->r->include_usage = type == LLM_JSON_TRUE;
    }

    return 0;
}


static int
mock_chat_count(mock_chat_reader_t *x, llm_json_t *j)
{
    int64_t          n;
    llm_json_type_t  type;

    type = llm_json_next(j);

    if (type == LLM_JSON_NULL) {
        return 0;
    }

    n = type == LLM_JSON_NUMBER ? llm_json_uint(&j->tok) : 0;

    if (n < 1 || n > 128) {
        return mock_chat_wrong(x, "n", "'n' must be 1 to 128.");
    }

    x->r->n = (unsigned) n;

    return 0;
}


/* The value of the member whose key was just read. */
static int
mock_chat_member(mock_chat_reader_t *x, llm_json_t *j)
{
    llm_slice_t      raw;
    llm_json_type_t  type;

    if (llm_json_is(&j->tok, "model")) {
        if (llm_json_next(j) != LLM_JSON_STRING) {
            return mock_chat_wrong(x, "model", "'model' must be a string.");
        }

        x->r->model.n = 0;
        mock_buf_add(&x->r->model, j->tok.p, j->tok.n);
        return 0;
    }

    if (llm_json_is(&j->tok, "messages")) {
        type = llm_json_skip(j, &x->messages);
        if (type != LLM_JSON_ARRAY && type != LLM_JSON_ERROR) {
            return mock_chat_wrong(x, "messages",
                                   "'messages' must be an array.");
        }

        return 0;
    }

    if (llm_json_is(&j->tok, "stream")) {
        type = llm_json_next(j);
        if (type != LLM_JSON_TRUE && type != LLM_JSON_FALSE
            && type != LLM_JSON_NULL)
        {
            return mock_chat_wrong(x, "stream",
                                   "'stream' must be a boolean.");
        }

        x->r->stream = type == LLM_JSON_TRUE;
        return 0;
    }

    if (llm_json_is(&j->tok, "stream_options")) {
        return mock_chat_options(x, j);
    }

    if (llm_json_is(&j->tok, "n")) {
        return mock_chat_count(x, j);
    }

    (void) llm_json_skip(j, &raw);

    return 0;
}


int
mock_chat_request(mock_chat_request_t *r, const unsigned char *p, size_t n,
    const char **err, const char **param)
{
    llm_json_t          j;
    llm_slice_t         raw;
    llm_json_type_t     type;
    mock_chat_reader_t  x;

    memset(r, 0, sizeof(*r));
    memset(&x, 0, sizeof(x));
    r->n = 1;
    x.r = r;
    x.err = err;
    x.param = param;

    /* the whole document first: what is read below is known to be JSON */
    llm_json_init(&j, p, n, LLM_JSON_DEPTH_MAX);
    type = n ? llm_json_skip(&j, &raw) : LLM_JSON_ERROR;

    if (type == LLM_JSON_ERROR || llm_json_next(&j) != LLM_JSON_END) {
        return mock_chat_wrong(&x, NULL, "We could not parse the JSON body "
                               "of your request.");
    }

    if (type != LLM_JSON_OBJECT) {
        return mock_chat_wrong(&x, NULL, "The body must be a JSON object.");
    }

    llm_json_init(&j, p, n, LLM_JSON_DEPTH_MAX);
    (void) llm_json_next(&j);

    while (llm_json_next(&j) == LLM_JSON_KEY) {
        if (mock_chat_member(&x, &j) != 0) {
            return -1;
        }
    }

    if (r->model.n == 0) {
        return mock_chat_wrong(&x, "model", "You must provide a model "
                               "parameter.");
    }

    if (x.messages.p == NULL) {
        return mock_chat_wrong(&x, "messages", "Missing required parameter: "
                               "'messages'.");
    }

    r->prompt = x.messages.n;

    if (mock_chat_messages(&x) == 0) {
        return mock_chat_wrong(&x, "messages", "Invalid 'messages': empty "
                               "array.");
    }

    return 0;
}


void
mock_chat_request_free(mock_chat_request_t *r)
{
    mock_buf_free(&r->model);
    mock_buf_free(&r->user);
}
