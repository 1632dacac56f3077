/*
 * What kind of answer the provider gives, by its status and header lines: a
 * stream in one of the framings, one JSON answer, or nothing that is one.
 */

#include "ngx_llm_stream.h"


#define ngx_llm_stream_type_is(type, lit)                                   \
    ((type)->len == sizeof(lit) - 1                                         \
     && ngx_memcmp((type)->data, lit, sizeof(lit) - 1) == 0)


static llm_fault_t ngx_llm_stream_by_type(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t *answer, llm_framing_t *framing);
static ngx_uint_t ngx_llm_stream_is_lines(ngx_str_t *type);


/* What a 2xx or 3xx answer is; *answer: one JSON object, not a stream. */

llm_fault_t
ngx_llm_stream_classify(ngx_llm_stream_ctx_t *ctx, ngx_uint_t *answer,
    llm_framing_t *framing)
{
    if (ctx->a.status.code >= NGX_HTTP_SPECIAL_RESPONSE) {
        return LLM_FAULT_REDIRECT;
    }

    if (ctx->a.encoded) {
        return LLM_FAULT_ENCODING;
    }

    if (ctx->a.status.code == NGX_HTTP_NO_CONTENT
        || (ctx->a.framing == ngx_llm_stream_body_length
            && ctx->a.length == 0))
    {
        return LLM_FAULT_EMPTY;
    }

    return ngx_llm_stream_by_type(ctx, answer, framing);
}


static llm_fault_t
ngx_llm_stream_by_type(ngx_llm_stream_ctx_t *ctx, ngx_uint_t *answer,
    llm_framing_t *framing)
{
    u_char     *p, *last;
    ngx_str_t   type, *t;

    t = &ctx->a.content_type;
    last = t->data + t->len;

    for (p = t->data; p < last && *p != ';' && *p != ' '; p++) {
        /* void */
    }

    type.data = t->data;
    type.len = p - t->data;

    if (type.len == 0) {
        *answer = !ctx->ask_stream;
        return LLM_FAULT_NONE;
    }

    if (ngx_llm_stream_type_is(&type, "application/json")) {

        /* Gemini's stream is an array, or one chunk, of this type */

        if (ctx->conf->dialect->array && ctx->ask_stream) {
            *framing = LLM_FRAMING_ARRAY;

        } else {
            *answer = 1;
        }

        return LLM_FAULT_NONE;
    }

    if (ctx->conf->dialect->framing != LLM_FRAMING_NDJSON
        || !ngx_llm_stream_is_lines(&type))
    {
        if (!ngx_llm_stream_type_is(&type, "text/event-stream")) {
            return LLM_FAULT_CONTENT_TYPE;
        }

        *framing = LLM_FRAMING_SSE;
    }

    /* both are UTF-8 and nothing else */

    p = ngx_strnstr(t->data, "charset=", t->len);

    if (p && ngx_strlcasestrn(p, last, (u_char *) "utf-8", 5 - 1) == NULL
        && ngx_strlcasestrn(p, last, (u_char *) "utf8", 4 - 1) == NULL)
    {
        return LLM_FAULT_CONTENT_TYPE;
    }

    return LLM_FAULT_NONE;
}


/* The names that JSON lines go by. */

static ngx_uint_t
ngx_llm_stream_is_lines(ngx_str_t *type)
{
    ngx_uint_t  i;

    static ngx_str_t  names[] = {
        ngx_string("application/x-ndjson"), ngx_string("application/ndjson"),
        ngx_string("application/jsonl"), ngx_string("application/stream+json")
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (type->len == names[i].len
            && ngx_memcmp(type->data, names[i].data, type->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
