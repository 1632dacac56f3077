/*
 * Reads a request with the wire library's reader of its dialect, and takes
 * from it what the mock needs: model, stream, usage, choices, the last thing
 * that the user said.
 */

#include <string.h>

#include "llm_json.h"
#include "mock_chat_request.h"


static int
mock_chat_wrong(mock_buf_t *err, const char **param, const char *name,
    const char *what)
{
    *param = name;

    if (name) {
        mock_buf_fmt(err, "Invalid '%s': %s", name, what);
    } else {
        mock_buf_str(err, what);
    }

    return -1;
}


static void
mock_chat_unescape(mock_buf_t *b, const llm_slice_t *s)
{
    mock_buf_reserve(b, s->n + 1);
    b->n += llm_json_unescape(b->p + b->n, s->p, s->n);
}


/* Text parts of the last message of the user's that has any. */
static void
mock_chat_user(mock_chat_request_t *r, const llm_chat_t *c)
{
    size_t             i;
    unsigned           message;
    const llm_part_t  *part;

    message = 0;

    for (i = 0; i < llm_chat_nparts(c); i++) {
        part = &llm_chat_parts(c)[i];

        if (part->type != LLM_PART_TEXT || part->role != LLM_ROLE_USER
            || part->inner)
        {
            continue;
        }

        if (r->user.n == 0 || part->message != message) {
            message = part->message;
            r->user.n = 0;
        }

        mock_chat_unescape(&r->user, &part->text);
    }
}


/* Bytes of what is asked, whatever the dialect calls it.  The body is known to
 * be a JSON object. */
static size_t
mock_chat_prompt(const unsigned char *p, size_t n)
{
    size_t       i, size;
    llm_json_t   j;
    llm_slice_t  key, raw;

    static const char  *names[] = {
        "messages", "prompt", "input", "contents", "question"
    };

    size = 0;
    llm_json_init(&j, p, n, LLM_JSON_DEPTH_MAX);
    (void) llm_json_next(&j);

    while (llm_json_next(&j) == LLM_JSON_KEY) {
        key = j.tok;

        if (llm_json_skip(&j, &raw) == LLM_JSON_ERROR) {
            break;
        }

        for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            if (llm_json_eq(&key, names[i], strlen(names[i]))) {
                size = raw.n;
            }
        }
    }

    return size;
}


static int
mock_chat_taken(mock_chat_request_t *r, const mock_route_t *route,
    const llm_chat_t *c, mock_buf_t *err, const char **param)
{
    int64_t  choices;

    if (c->model.n) {
        r->model.n = 0;
        mock_buf_add(&r->model, c->model.p, c->model.n);
    }

    r->stream = route->stream >= 0 ? route->stream
                : c->stream >= 0 ? c->stream
                : (int) route->row->stream_default;
    r->include_usage = c->include_usage == 1 || !route->row->usage_option;
    mock_chat_user(r, c);

    if (r->model.n == 0) {
        return mock_chat_wrong(err, param, "model",
                               "you must provide a model parameter.");
    }

    if (llm_chat_nparts(c) == 0) {
        return mock_chat_wrong(err, param,
                               (const char *) route->row->needs.p,
                               "there is nothing in it.");
    }

    choices = c->n.p ? llm_json_uint(&c->n) : 1;

    if (choices < 1 || choices > 128) {
        return mock_chat_wrong(err, param, "n", "it must be 1 to 128.");
    }

    r->n = (unsigned) choices;

    return 0;
}


int
mock_chat_request(mock_chat_request_t *r, const mock_route_t *route,
    const unsigned char *p, size_t n, mock_buf_t *err, const char **param)
{
    int                   rc;
    llm_chat_t            c;
    llm_rc_t              read;
    const llm_dialect_t  *row;

    memset(r, 0, sizeof(*r));
    *param = NULL;
    r->n = 1;
    mock_buf_json(&r->model, route->model.p, route->model.n);

    /* a buffer that is empty has no address */
    p = p ? p : (const unsigned char *) "";

    /* Cohere's is read as OpenAI's: what is looked for has the same names */
    row = route->row->read_chat ? route->row : &llm_dialect_openai;

    llm_chat_init(&c, &mock_buf_alloc, LLM_JSON_DEPTH_MAX);
    read = row->read_chat(&c, p, n);

    if (read == LLM_OK) {
        r->prompt = mock_chat_prompt(p, n);
        rc = mock_chat_taken(r, route, &c, err, param);

    } else if (c.member) {
        rc = mock_chat_wrong(err, param, c.member,
                             "it is missing or of the wrong type.");

    } else {
        rc = mock_chat_wrong(err, param, NULL, "We could not parse the JSON "
                             "body of your request.");
    }

    llm_chat_free(&c);

    return rc;
}


void
mock_chat_request_free(mock_chat_request_t *r)
{
    mock_buf_free(&r->model);
    mock_buf_free(&r->user);
}
