/*
 * Embeddings in OpenAI's shape and in Ollama's.  A vector is made from a
 * hash of the input's bytes and has length 1, so that equal inputs are equal
 * and others are near a right angle.
 */

#include <math.h>
#include <string.h>

#include <openssl/evp.h>

#include "llm_json.h"
#include "mock_chat.h"
#include "mock_embed.h"


/* Takes the value of one member.  The body is known to be an object. */
static int
mock_embed_member(mock_chat_request_t *r, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v, const llm_slice_t *raw)
{
    int64_t  n;

    if (llm_json_is(key, "model")) {
        mock_buf_add(&r->model, v->p, v->n);
        return type == LLM_JSON_STRING;
    }

    if (llm_json_is(key, "input")) {
        mock_buf_add(&r->user, raw->p, raw->n);
        return type == LLM_JSON_STRING
               || (type == LLM_JSON_ARRAY && raw->n > 2);
    }

    if (llm_json_is(key, "dimensions")) {
        n = type == LLM_JSON_NUMBER ? llm_json_uint(v) : 0;
        r->dimensions = (unsigned) (n <= 65536 ? n : 0);
        return type == LLM_JSON_NULL || r->dimensions != 0;
    }

    if (llm_json_is(key, "encoding_format")) {
        r->base64 = llm_json_is(v, "base64");
        return r->base64 || llm_json_is(v, "float");
    }

    return 1;
}


int
mock_embed_request(mock_chat_request_t *r, const unsigned char *p, size_t n,
    mock_buf_t *err, const char **param)
{
    llm_json_t       j;
    llm_slice_t      key, v, raw;
    llm_json_type_t  type;

    memset(r, 0, sizeof(*r));
    r->n = 1;
    *param = NULL;

    llm_json_init(&j, p ? p : (const unsigned char *) "", n,
                  LLM_JSON_DEPTH_MAX);

    if (llm_json_next(&j) != LLM_JSON_OBJECT) {
        mock_buf_lit(err, "The body must be a JSON object.");
        return -1;
    }

    while (llm_json_next(&j) == LLM_JSON_KEY) {
        key = j.tok;
        type = llm_json_skip(&j, &raw);
        v = type == LLM_JSON_STRING || type == LLM_JSON_NUMBER ? j.tok : raw;

        if (type != LLM_JSON_ERROR
            && !mock_embed_member(r, &key, type, &v, &raw))
        {
            mock_buf_lit(err, "A member is of the wrong type or value.");
            return -1;
        }
    }

    if (j.error != LLM_OK || llm_json_next(&j) != LLM_JSON_END) {
        mock_buf_lit(err, "The body is no JSON.");
        return -1;
    }

    if (r->model.n == 0 || r->user.n == 0) {
        *param = r->model.n ? "input" : "model";
        mock_buf_fmt(err, "Missing required parameter: '%s'.", *param);
        return -1;
    }

    r->prompt = r->user.n;

    return 0;
}


static float
mock_embed_component(uint64_t hash, uint64_t i)
{
    return (float) ((double) (mock_delay_hash(hash, i) >> 11) / 0x1p52 - 1);
}


/* One vector as a JSON value. */
static void
mock_embed_vector(const mock_chat_t *x, mock_buf_t *b, const void *p,
    size_t n)
{
    float                 v;
    double                sum;
    uint64_t              hash;
    mock_buf_t            bytes;
    unsigned              i, dims;
    const unsigned char  *c;

    dims = x->req.dimensions ? x->req.dimensions
                             : (unsigned) x->opt.dimensions;
    hash = UINT64_C(14695981039346656037);
    sum = 0;

    for (c = p; c < (const unsigned char *) p + n; c++) {
        hash = (hash ^ *c) * UINT64_C(1099511628211);
    }

    for (i = 0; i < dims; i++) {
        v = mock_embed_component(hash, i);
        sum += (double) v * (double) v;
    }

    memset(&bytes, 0, sizeof(bytes));
    mock_buf_str(b, x->req.base64 ? "\"" : "[");

    for (i = 0; i < dims; i++) {
        v = (float) ((double) mock_embed_component(hash, i) / sqrt(sum));

        if (x->req.base64) {
            mock_buf_add(&bytes, &v, sizeof(v));
        } else {
            mock_buf_fmt(b, "%s%.9g", i ? "," : "", (double) v);
        }
    }

    mock_buf_reserve(b, 4 * (bytes.n / 3) + 8);
    b->n += (size_t) EVP_EncodeBlock(b->p + b->n, bytes.n ? bytes.p : b->p,
                                     (int) bytes.n);
    mock_buf_str(b, x->req.base64 ? "\"" : "]");
    mock_buf_free(&bytes);
}


/* Vector i of the list. */
static void
mock_embed_item(mock_chat_t *x, uint64_t i, const llm_slice_t *input)
{
    mock_buf_t  *b;

    b = &x->event;
    mock_buf_str(b, i ? "," : "");

    if (!x->route.dialect->own) {
        mock_embed_vector(x, b, input->p, input->n);
        return;
    }

    mock_buf_fmt(b, "{\"object\":\"embedding\",\"index\":%llu,"
                 "\"embedding\":", (unsigned long long) i);
    mock_embed_vector(x, b, input->p, input->n);
    mock_buf_lit(b, "}");
}


/* A vector for each input: one string, one list of tokens, or several of
 * either. */
static void
mock_embed_list(mock_chat_t *x)
{
    uint64_t         i;
    llm_json_t       j;
    llm_slice_t      whole, raw;
    llm_json_type_t  type;

    whole = (llm_slice_t) { x->req.user.p, x->req.user.n, 0 };

    llm_json_init(&j, whole.p, whole.n, LLM_JSON_DEPTH_MAX);

    if (llm_json_next(&j) != LLM_JSON_ARRAY) {
        mock_embed_item(x, 0, &whole);
        return;
    }

    for (i = 0; ; i++) {
        type = llm_json_skip(&j, &raw);

        if (type == LLM_JSON_NUMBER) {
            mock_embed_item(x, 0, &whole);
            return;
        }

        if (type == LLM_JSON_ARRAY_END || type == LLM_JSON_ERROR) {
            return;
        }

        mock_embed_item(x, i, &raw);
    }
}


void
mock_embed(mock_chat_t *x)
{
    mock_buf_t          *b;
    mock_counts_t        c;
    unsigned long long   n;

    b = &x->event;
    mock_chat_counts(x, &c);
    n = (unsigned long long) c.input;

    if (x->route.dialect->own) {
        mock_buf_lit(b, "{\"object\":\"list\",\"data\":[");
        mock_embed_list(x);
        mock_buf_lit(b, "],\"model\":\"");
        mock_buf_add(b, x->req.model.p, x->req.model.n);
        mock_buf_fmt(b, "\",\"usage\":{\"prompt_tokens\":%llu,"
                     "\"total_tokens\":%llu}}", n, n);
        return;
    }

    mock_buf_lit(b, "{\"model\":\"");
    mock_buf_add(b, x->req.model.p, x->req.model.n);
    mock_buf_lit(b, "\",\"embeddings\":[");
    mock_embed_list(x);
    mock_buf_fmt(b, "],\"total_duration\":1000000,\"load_duration\":1000,"
                 "\"prompt_eval_count\":%llu}", n);
}
