/*
 * The client's request: its body, or the prompt that stands for one, and what
 * it asks at its top level.  The body is never edited in place: a fallback
 * location must find it as the client sent it.
 */

#include "ngx_llm_stream.h"

#include "llm_json.h"
#include "llm_utf8.h"


static ngx_int_t ngx_llm_stream_read_body(ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_decide(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_collect_body(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_copy_body(ngx_llm_stream_ctx_t *ctx,
    ngx_chain_t *in, size_t size);
static ngx_int_t ngx_llm_stream_prompt_body(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_eval_prompt(ngx_llm_stream_ctx_t *ctx,
    ngx_http_complex_value_t *cv, llm_slice_t *text);
static ngx_int_t ngx_llm_stream_decode_prompt(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *value);
static ngx_int_t ngx_llm_stream_read_model(ngx_llm_stream_ctx_t *ctx);
static ngx_uint_t ngx_llm_stream_sets(ngx_llm_stream_ctx_t *ctx,
    const char *name, size_t n);


/* NGX_OK, or the status to answer with; ctx->fault says why. */

ngx_int_t
ngx_llm_stream_read_request(ngx_llm_stream_ctx_t *ctx)
{
    ngx_int_t  status;

    status = ngx_llm_stream_collect_body(ctx);
    if (status != NGX_OK) {
        return status;
    }

    status = ngx_llm_stream_read_body(ctx);
    if (status != NGX_OK) {
        return status;
    }

    status = ngx_llm_stream_check_caps(ctx);
    if (status != NGX_OK) {
        return status;
    }

    if (ngx_llm_stream_read_path(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!ctx->req.needed
        && !ngx_llm_stream_sets(ctx, (const char *) ctx->asker->needs.p,
                                ctx->asker->needs.n))
    {
        return ngx_llm_stream_refuse(ctx, LLM_FAULT_BAD_REQUEST,
                                     (const char *) ctx->asker->needs.p);
    }

    status = ngx_llm_stream_read_model(ctx);
    if (status != NGX_OK) {
        return status;
    }

    ngx_llm_stream_decide(ctx);

    return NGX_OK;
}


/*
 * Reads what the body says at its top level, in the dialect it is in: the
 * client's, or, where that has no requests of its own or is not known yet,
 * the one that its members tell of.
 */

static ngx_int_t
ngx_llm_stream_read_body(ngx_llm_stream_ctx_t *ctx)
{
    llm_rc_t              rc;
    const llm_dialect_t  *preferred;

    ctx->asker = ctx->client;

    if (ctx->prompt.n) {
        ctx->asker = &llm_dialect_openai;

    } else if (!ctx->client_known || ctx->client->read_chat == NULL) {

        rc = llm_request_read(&ctx->req, ctx->body.data, ctx->body.len,
                              ctx->conf->max_depth, NULL);
        if (rc != LLM_OK && ctx->req.member == NULL) {
            return ngx_llm_stream_refuse(ctx, LLM_FAULT_BAD_JSON, NULL);
        }

        preferred = ctx->conf->dialect->read_chat ? ctx->conf->dialect
                                                  : &llm_dialect_openai;
        ctx->asker = ngx_llm_stream_by_shape(ctx->req.shape, preferred);

        if (!ctx->client_known) {
            ctx->client = ctx->asker;
        }
    }

    rc = llm_request_read(&ctx->req, ctx->body.data, ctx->body.len,
                          ctx->conf->max_depth, ctx->asker);

    if (rc != LLM_OK) {
        return ngx_llm_stream_refuse(ctx, ctx->req.member
                                          ? LLM_FAULT_BAD_REQUEST
                                          : LLM_FAULT_BAD_JSON,
                                     ctx->req.member);
    }

    return NGX_OK;
}


/* What is given to the client, and what is asked of the provider. */

static void
ngx_llm_stream_decide(ngx_llm_stream_ctx_t *ctx)
{
    const llm_dialect_t  *upstream;

    upstream = ctx->conf->dialect;

    if (ctx->prompt.n) {
        ctx->stream = 1;

    } else if (ctx->path_stream != -1) {
        ctx->stream = ctx->path_stream;

    } else if (ctx->req.stream == -1) {
        ctx->stream = ctx->client->stream_default;

    } else {
        ctx->stream = ctx->req.stream;
    }

    ctx->streaming = ctx->stream;

    /*
     * Between dialects the provider is always asked for a stream, and one
     * answer is made of it; in the same dialect a client that wants one JSON
     * answer gets the provider's own, byte for byte.
     */

    ctx->ask_stream = ctx->stream || ctx->client != upstream;
    ctx->show_usage = !ctx->client->usage_option || !ctx->stream
                      || ctx->req.include_usage == 1;

    if (ctx->ask_stream && ctx->conf->usage && upstream->usage_option
        && !(ctx->conf->provider->quirks & LLM_QUIRK_NO_OPTIONS)
        && ctx->req.include_usage != 1)
    {
        ctx->ask_usage = 1;
    }
}


static ngx_int_t
ngx_llm_stream_collect_body(ngx_llm_stream_ctx_t *ctx)
{
    size_t               size;
    ngx_buf_t           *b;
    ngx_uint_t           n;
    ngx_chain_t         *cl, *in;
    ngx_http_request_t  *r;

    r = ctx->request;
    in = r->request_body ? r->request_body->bufs : NULL;
    size = 0;
    n = 0;

    b = NULL;

    /* a chunked body ends with an empty buffer that is neither */

    for (cl = in; cl; cl = cl->next) {
        if (ngx_buf_size(cl->buf)) {
            size += ngx_buf_size(cl->buf);
            b = cl->buf;
            n++;
        }
    }

    if (size == 0) {
        return ngx_llm_stream_prompt_body(ctx);
    }

    if (n == 1 && ngx_buf_in_memory(b)) {
        ctx->body.data = b->pos;
        ctx->body.len = b->last - b->pos;
        return NGX_OK;
    }

    return ngx_llm_stream_copy_body(ctx, in, size);
}


/* A body in several buffers, or in a temporary file: in one piece for as long
 * as the provider's is made of it. */

static ngx_int_t
ngx_llm_stream_copy_body(ngx_llm_stream_ctx_t *ctx, ngx_chain_t *in,
    size_t size)
{
    u_char     *p;
    size_t      n;
    ssize_t     got;
    ngx_buf_t  *b;

    p = ngx_alloc(size, ctx->request->connection->log);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->copy = p;
    ctx->body.data = p;
    ctx->body.len = size;

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;
        n = ngx_buf_size(b);

        if (n == 0) {
            continue;
        }

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, n);
            continue;
        }

        got = ngx_read_file(b->file, p, n, b->file_pos);

        if (got == NGX_ERROR || (size_t) got != n) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        p += n;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_prompt_body(ngx_llm_stream_ctx_t *ctx)
{
    llm_rc_t     rc;
    llm_slice_t  system, prompt;

    if (ctx->conf->prompt == NULL) {
        return ngx_llm_stream_refuse(ctx, LLM_FAULT_BAD_JSON, NULL);
    }

    if (ngx_llm_stream_eval_prompt(ctx, ctx->conf->prompt, &prompt) != NGX_OK
        || ngx_llm_stream_eval_prompt(ctx, ctx->conf->system, &system)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (prompt.n == 0) {
        return ngx_llm_stream_refuse(ctx, LLM_FAULT_BAD_REQUEST, "prompt");
    }

    rc = llm_request_prompt(&ctx->prompt, &ctx->alloc, &system, &prompt);
    if (rc != LLM_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->body.data = ctx->prompt.p;
    ctx->body.len = ctx->prompt.n;

    return NGX_OK;
}


/* The text of llm_stream_prompt or llm_stream_system: what variables say is
 * decoded, a text without any is meant as it is.  NULL: none. */

static ngx_int_t
ngx_llm_stream_eval_prompt(ngx_llm_stream_ctx_t *ctx,
    ngx_http_complex_value_t *cv, llm_slice_t *text)
{
    ngx_str_t  value;

    ngx_str_null(&value);

    if (cv
        && (ngx_http_complex_value(ctx->request, cv, &value) != NGX_OK
            || (cv->lengths
                && ngx_llm_stream_decode_prompt(ctx, &value) != NGX_OK)))
    {
        return NGX_ERROR;
    }

    text->p = value.data;
    text->n = value.len;
    text->escaped = 0;

    return NGX_OK;
}


/*
 * $arg_message is as it stood in the query string: "+" and %XX.  A "%" that
 * begins no escape stays, as browsers and the URL standard have it; nginx's
 * own unescaper would swallow it.
 */

static ngx_int_t
ngx_llm_stream_decode_prompt(ngx_llm_stream_ctx_t *ctx, ngx_str_t *value)
{
    size_t     i;
    u_char    *p, *src;
    ngx_int_t  byte;

    src = value->data;

    p = ngx_pnalloc(ctx->request->pool, value->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;

    for (i = 0; i < value->len; i++) {
        byte = NGX_ERROR;

        if (src[i] == '%' && value->len - i > 2) {
            byte = ngx_hextoi(&src[i + 1], 2);
        }

        if (byte != NGX_ERROR) {
            *p++ = (u_char) byte;
            i += 2;

        } else {
            *p++ = (src[i] == '+') ? ' ' : src[i];
        }
    }

    value->len = p - value->data;

    return NGX_OK;
}


/* The answer to a request that cannot be sent on.  member: a literal. */

ngx_int_t
ngx_llm_stream_refuse(ngx_llm_stream_ctx_t *ctx, llm_fault_t fault,
    const char *member)
{
    ctx->fault = fault;

    if (member) {
        ctx->member.data = (u_char *) member;
        ctx->member.len = ngx_strlen(member);
    }

    return llm_fault_info(fault)->status;
}


static ngx_int_t
ngx_llm_stream_read_model(ngx_llm_stream_ctx_t *ctx)
{
    u_char       *p;
    llm_slice_t  *m;

    m = &ctx->req.model;

    if (m->p && m->n && !ctx->client->model_in_path) {

        p = ngx_pnalloc(ctx->request->pool, m->n);
        if (p == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ctx->request_model.len = llm_json_unescape(p, m->p, m->n);
        ctx->request_model.data = p;
    }

    if (ngx_llm_stream_check_model(ctx, &ctx->request_model) != NGX_OK) {
        ngx_str_null(&ctx->request_model);
        return ngx_llm_stream_refuse(ctx, LLM_FAULT_BAD_REQUEST, "model");
    }

    ctx->model = ctx->request_model;

    return NGX_OK;
}


/*
 * The client's model name ends in variables, and from there in headers, maps
 * and logs: no control byte, nothing that is not UTF-8, a bounded length.
 */

ngx_int_t
ngx_llm_stream_check_model(ngx_llm_stream_ctx_t *ctx, ngx_str_t *model)
{
    size_t  i;

    if (model->len > 256
        || (llm_utf8_check(model->data, model->len) & LLM_UTF8_INVALID))
    {
        return NGX_ERROR;
    }

    for (i = 0; i < model->len; i++) {
        if (model->data[i] < 0x20 || model->data[i] == 0x7f) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Whether llm_stream_param provides a member. */

static ngx_uint_t
ngx_llm_stream_sets(ngx_llm_stream_ctx_t *ctx, const char *name, size_t n)
{
    ngx_uint_t               i;
    ngx_llm_stream_param_t  *param;

    if (ctx->conf->params == NULL) {
        return 0;
    }

    param = ctx->conf->params->elts;

    for (i = 0; i < ctx->conf->params->nelts; i++) {
        if (param[i].name.len == n
            && ngx_memcmp(param[i].name.data, name, n) == 0)
        {
            return 1;
        }
    }

    return 0;
}
