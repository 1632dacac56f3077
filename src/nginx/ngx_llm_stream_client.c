/*
 * What the client speaks.  llm_stream_client says it; else the request tells:
 * its path, method and headers before the body is read (an error may have to
 * be answered by then), the members of its body after that.  docs/dialects.md
 * has the decisions as a table, t/client_auto.t a test for each row.
 *
 * Also what a path says of a request where the dialect puts it there: model,
 * stream and its form in Gemini's, the flow in Flowise's.
 */

#include "ngx_llm_stream.h"


typedef enum {
    ngx_llm_stream_path_ends = 0,
    ngx_llm_stream_path_has
} ngx_llm_stream_path_e;

typedef struct {
    ngx_llm_stream_path_e   how;
    ngx_str_t               text;
    const llm_dialect_t    *dialect;
} ngx_llm_stream_path_t;

typedef struct {
    ngx_str_t               name;
    const llm_dialect_t    *dialect;
} ngx_llm_stream_hint_t;


static ngx_uint_t ngx_llm_stream_path_is(ngx_str_t *uri,
    const ngx_llm_stream_path_t *path);
static const llm_dialect_t *ngx_llm_stream_by_header(ngx_http_request_t *r);
static u_char *ngx_llm_stream_path_models(ngx_str_t *uri, u_char *p);
static ngx_int_t ngx_llm_stream_path_model(ngx_llm_stream_ctx_t *ctx,
    u_char *p, u_char *last);


/* the first that fits */
static const ngx_llm_stream_path_t  ngx_llm_stream_paths[] = {
    { ngx_llm_stream_path_ends, ngx_string("/chat/completions"),
      &llm_dialect_openai },
    { ngx_llm_stream_path_ends, ngx_string("/completions"),
      &llm_dialect_completions },
    { ngx_llm_stream_path_ends, ngx_string("/responses"),
      &llm_dialect_responses },
    { ngx_llm_stream_path_ends, ngx_string("/messages"),
      &llm_dialect_anthropic },
    { ngx_llm_stream_path_ends, ngx_string(":generateContent"),
      &llm_dialect_gemini },
    { ngx_llm_stream_path_ends, ngx_string(":streamGenerateContent"),
      &llm_dialect_gemini },
    { ngx_llm_stream_path_ends, ngx_string("/api/chat"),
      &llm_dialect_ollama },
    { ngx_llm_stream_path_ends, ngx_string("/api/generate"),
      &llm_dialect_generate },
    { ngx_llm_stream_path_has, ngx_string("/prediction/"),
      &llm_dialect_flowise },
    { ngx_llm_stream_path_has, ngx_string("/chatflows-streaming/"),
      &llm_dialect_flowise }
};


static const ngx_llm_stream_hint_t  ngx_llm_stream_hints[] = {
    { ngx_string("anthropic-version"), &llm_dialect_anthropic },
    { ngx_string("x-goog-api-key"), &llm_dialect_gemini }
};


/* As far as it is known before the body; ctx->client_known says whether the
 * body may still tell otherwise. */

void
ngx_llm_stream_guess_client(ngx_llm_stream_ctx_t *ctx)
{
    ngx_uint_t           i, n;
    ngx_http_request_t  *r;

    r = ctx->request;
    ctx->client_known = 1;

    if (ctx->conf->client) {
        ctx->client = ctx->conf->client;
        return;
    }

    n = sizeof(ngx_llm_stream_paths) / sizeof(ngx_llm_stream_paths[0]);

    for (i = 0; i < n; i++) {
        if (ngx_llm_stream_path_is(&r->uri, &ngx_llm_stream_paths[i])) {
            ctx->client = ngx_llm_stream_paths[i].dialect;
            return;
        }
    }

    if (r->method & NGX_HTTP_GET) {
        ctx->client = &llm_dialect_simple;
        return;
    }

    ctx->client = ngx_llm_stream_by_header(r);

    if (ctx->client == NULL) {
        ctx->client_known = 0;
        ctx->client = ctx->conf->dialect->read_chat ? ctx->conf->dialect
                                                    : &llm_dialect_openai;
    }
}


/*
 * Which dialect a body of these members is in.  Where several have the same
 * members, the one that is preferred.
 */

const llm_dialect_t *
ngx_llm_stream_by_shape(unsigned shape, const llm_dialect_t *preferred)
{
    if (shape & LLM_SHAPE_CONTENTS) {
        return &llm_dialect_gemini;
    }

    if (shape & LLM_SHAPE_QUESTION) {
        return &llm_dialect_flowise;
    }

    if (shape & LLM_SHAPE_MESSAGES) {

        if (shape & (LLM_SHAPE_SYSTEM|LLM_SHAPE_ANTHROPIC_VERSION)) {
            return &llm_dialect_anthropic;
        }

        if (shape & (LLM_SHAPE_OPTIONS|LLM_SHAPE_KEEP_ALIVE)) {
            return &llm_dialect_ollama;
        }

        if (preferred == &llm_dialect_anthropic
            || preferred == &llm_dialect_ollama)
        {
            return preferred;
        }

        return &llm_dialect_openai;
    }

    if (shape & LLM_SHAPE_INPUT) {
        return &llm_dialect_responses;
    }

    if (shape & LLM_SHAPE_PROMPT) {

        if (preferred == &llm_dialect_generate
            || (shape & (LLM_SHAPE_OPTIONS|LLM_SHAPE_KEEP_ALIVE
                         |LLM_SHAPE_SYSTEM)))
        {
            return &llm_dialect_generate;
        }

        return &llm_dialect_completions;
    }

    return preferred;
}


/* What the path of a client's request says.  NGX_OK, or NGX_ERROR when there
 * is no memory. */

ngx_int_t
ngx_llm_stream_read_path(ngx_llm_stream_ctx_t *ctx)
{
    u_char     *p, *last, *colon;
    ngx_str_t   alt, *uri;

    ctx->path_stream = -1;
    uri = &ctx->request->uri;

    if (!ctx->client->model_in_path) {
        return NGX_OK;
    }

    last = uri->data + uri->len;

    for (p = last; p > uri->data && p[-1] != '/'; p--) {
        /* void */
    }

    if (ctx->client == &llm_dialect_gemini) {
        p = ngx_llm_stream_path_models(uri, p);

        for (colon = last - 1; colon > p && *colon != ':'; colon--) {
            /* void */
        }

        if (*colon != ':') {
            return NGX_OK;
        }

        ctx->path_stream = (last - colon
                            == sizeof(":streamGenerateContent") - 1);

        ctx->array = ctx->path_stream
                     && (ngx_http_arg(ctx->request, (u_char *) "alt", 3,
                                      &alt)
                         != NGX_OK
                         || alt.len != 3
                         || ngx_strncmp(alt.data, "sse", 3) != 0);
        last = colon;
    }

    return ngx_llm_stream_path_model(ctx, p, last);
}


/* What is behind the last "/models/": a model's name may hold a slash, too. */

static u_char *
ngx_llm_stream_path_models(ngx_str_t *uri, u_char *p)
{
    size_t  i;

    static ngx_str_t  models = ngx_string("/models/");

    for (i = uri->len; i >= models.len; i--) {
        if (ngx_memcmp(uri->data + i - models.len, models.data, models.len)
            == 0)
        {
            return uri->data + i;
        }
    }

    return p;
}


static ngx_int_t
ngx_llm_stream_path_model(ngx_llm_stream_ctx_t *ctx, u_char *p, u_char *last)
{
    ctx->request_model.data = ngx_pstrdup(ctx->request->pool,
                                          &(ngx_str_t) { last - p, p });
    if (ctx->request_model.data == NULL) {
        return NGX_ERROR;
    }

    ctx->request_model.len = last - p;

    return NGX_OK;
}


static ngx_uint_t
ngx_llm_stream_path_is(ngx_str_t *uri, const ngx_llm_stream_path_t *path)
{
    if (uri->len < path->text.len) {
        return 0;
    }

    if (path->how == ngx_llm_stream_path_has) {
        return ngx_strnstr(uri->data, (char *) path->text.data, uri->len)
               != NULL;
    }

    return ngx_memcmp(uri->data + uri->len - path->text.len, path->text.data,
                      path->text.len)
           == 0;
}


static const llm_dialect_t *
ngx_llm_stream_by_header(ngx_http_request_t *r)
{
    ngx_uint_t  i, n;

    n = sizeof(ngx_llm_stream_hints) / sizeof(ngx_llm_stream_hints[0]);

    for (i = 0; i < n; i++) {
        if (ngx_llm_stream_find_header(r, ngx_llm_stream_hints[i].name.data,
                                       ngx_llm_stream_hints[i].name.len))
        {
            return ngx_llm_stream_hints[i].dialect;
        }
    }

    return NULL;
}


/* The first request header of a name, in any case; NULL: not sent. */

ngx_table_elt_t *
ngx_llm_stream_find_header(ngx_http_request_t *r, const u_char *name,
    size_t n)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NULL;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == n
            && ngx_strncasecmp(h[i].key.data, (u_char *) name, n) == 0)
        {
            return &h[i];
        }
    }
}
