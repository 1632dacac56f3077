/*
 * Error bodies.  Whoever finds the error, the module, nginx's upstream code,
 * limit_req or a body that is too large, a client of a completion API must
 * get JSON in its dialect, not HTML.  nginx makes its error pages far from
 * here, so a header and a body filter put ours in their place; error_page
 * has had its turn by then.  The body is one fixed sentence per fault: no
 * text of the provider, no name of an upstream.
 */

#include "ngx_llm_stream.h"

#include "llm_error.h"
#include "llm_json.h"
#include "llm_utf8.h"


static ngx_int_t ngx_llm_stream_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_uint_t ngx_llm_stream_is_error_page(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_make_error(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_make_fault(ngx_llm_stream_ctx_t *ctx,
    llm_out_t *out);
static ngx_int_t ngx_llm_stream_make_said(ngx_llm_stream_ctx_t *ctx,
    llm_out_t *out);
static void ngx_llm_stream_error_status(ngx_http_request_t *r,
    ngx_uint_t status);
static llm_rc_t ngx_llm_stream_read_said(ngx_llm_stream_ctx_t *ctx,
    llm_error_t *err);
static ngx_uint_t ngx_llm_stream_keep_event(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_describe(ngx_llm_stream_ctx_t *ctx,
    llm_error_t *err);
static ngx_uint_t ngx_llm_stream_of_key(ngx_llm_stream_ctx_t *ctx,
    const llm_error_t *err, ngx_uint_t *status);
static ngx_uint_t ngx_llm_stream_is_json(const llm_slice_t *body);
static llm_rc_t ngx_llm_stream_error_more(llm_out_t *out);
static ngx_int_t ngx_llm_stream_add_retry_after(ngx_http_request_t *r,
    int64_t ms);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


ngx_int_t
ngx_llm_stream_error_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_llm_stream_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_llm_stream_body_filter;

    return NGX_OK;
}


/* Runs for every response of the server; acts on nginx's own error pages in
 * locations of ours. */

static ngx_int_t
ngx_llm_stream_header_filter(ngx_http_request_t *r)
{
    ngx_llm_stream_ctx_t       *ctx;
    ngx_llm_stream_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_llm_stream_module);

    if (llcf->dialect == NULL || r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_llm_stream_module);

    if ((ctx && ctx->response) || !ngx_llm_stream_is_error_page(r)) {
        return ngx_http_next_header_filter(r);
    }

    if (ctx == NULL) {
        ctx = ngx_llm_stream_create_ctx(r);
        if (ctx == NULL) {
            return NGX_ERROR;
        }
    }

    if (ngx_llm_stream_make_error(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    /* nginx closes after a 400 or 500 for fear of an unread body */

    if (ctx->body_read) {
        r->keepalive = ctx->keepalive;
    }

    return ngx_http_next_header_filter(r);
}


/* Runs for every piece of every response: one test when it is not ours. */

static ngx_int_t
ngx_llm_stream_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t            out, *cl;
    ngx_llm_stream_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_llm_stream_module);

    if (ctx == NULL || ctx->error == NULL || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
    }

    if (ctx->error_sent) {
        return NGX_OK;
    }

    ctx->error_sent = 1;

    out.buf = ctx->error;
    out.next = NULL;

    return ngx_http_next_body_filter(r, &out);
}


/*
 * A page of ngx_http_send_special_response(), not the text of a "return":
 * only the handler of special responses has set expect_tested by then.
 */

static ngx_uint_t
ngx_llm_stream_is_error_page(ngx_http_request_t *r)
{
    return r->headers_out.status >= NGX_HTTP_BAD_REQUEST
           && r->expect_tested
           && r->headers_out.content_type.len == sizeof("text/html") - 1
           && ngx_memcmp(r->headers_out.content_type.data, "text/html",
                         sizeof("text/html") - 1)
              == 0;
}


static ngx_int_t
ngx_llm_stream_make_error(ngx_llm_stream_ctx_t *ctx)
{
    size_t               n;
    llm_out_t            out;
    ngx_http_request_t  *r;

    r = ctx->request;

    /* all of what was said may have to be escaped */

    n = 4096 + (ctx->as_said ? 6 * ctx->a.error_body.n : 0);

    ngx_llm_stream_over(ctx);

    if (ngx_llm_stream_limit_headers(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->error = ngx_create_temp_buf(r->pool, n);
    if (ctx->error == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&out, sizeof(llm_out_t));
    out.pos = ctx->error->pos;
    out.end = ctx->error->end;
    out.more = ngx_llm_stream_error_more;

    if ((ctx->as_said ? ngx_llm_stream_make_said(ctx, &out)
                      : ngx_llm_stream_make_fault(ctx, &out))
        != NGX_OK
        || out.failed)
    {
        return NGX_ERROR;
    }

    ctx->error->last = out.pos;
    ctx->error->last_buf = 1;
    ctx->error->last_in_chain = 1;

    r->headers_out.content_type.data = (u_char *) ctx->client->answer_type.p;
    r->headers_out.content_type.len = ctx->client->answer_type.n;
    r->headers_out.content_type_len = ctx->client->answer_type.n;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = out.pos - ctx->error->pos;

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_make_fault(ngx_llm_stream_ctx_t *ctx, llm_out_t *out)
{
    llm_error_t          err;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->fault == LLM_FAULT_NONE
        || ctx->fault == LLM_FAULT_UPSTREAM_ERROR
        || (ctx->fault == LLM_FAULT_CLIENT_ABORT && !ctx->body_read))
    {
        ctx->fault = llm_fault_by_status(r->headers_out.status);
    }

    if (ctx->fault == LLM_FAULT_UNAVAILABLE || ctx->fault == LLM_FAULT_BUSY) {
        ngx_llm_stream_error_status(r, NGX_HTTP_SERVICE_UNAVAILABLE);

        /* a limit has said it */

        if (ngx_llm_stream_limit_wait(ctx) < 0
            && ngx_llm_stream_add_retry_after(r, 1000) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_llm_stream_describe(ctx, &err) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->client->error_body(out, &err);

    return NGX_OK;
}


/* What a provider has said before nobody was left to be asked. */

static ngx_int_t
ngx_llm_stream_make_said(ngx_llm_stream_ctx_t *ctx, llm_out_t *out)
{
    int64_t     ms;
    ngx_uint_t  status;

    if (ctx->said.ready) {
        status = ctx->a.error_status;
        ms = 0;
        llm_out(out, ctx->a.error_body.p, ctx->a.error_body.n);

    } else {
        status = ngx_llm_stream_provider_error(ctx, out, &ms);
    }

    ngx_llm_stream_error_status(ctx->request, status);

    if (ctx->a.retry_after > 0) {
        ms = ctx->a.retry_after;
    }

    return ms > 0 ? ngx_llm_stream_add_retry_after(ctx->request, ms)
                  : NGX_OK;
}


static void
ngx_llm_stream_error_status(ngx_http_request_t *r, ngx_uint_t status)
{
    r->headers_out.status = status;

    if (r->err_status) {
        r->err_status = status;     /* $status */
    }
}


/* ctx->fault in words. */

static ngx_int_t
ngx_llm_stream_describe(ngx_llm_stream_ctx_t *ctx, llm_error_t *err)
{
    u_char                  *p;
    ngx_str_t               *member;
    const llm_fault_info_t  *info;

    info = llm_fault_info(ctx->fault);

    ngx_memzero(err, sizeof(llm_error_t));
    err->type = info->type;
    err->code = info->code;
    err->message = info->message;
    err->status = ctx->request->headers_out.status;
    err->retry_after = ngx_llm_stream_limit_wait(ctx);
    llm_error_classify(err);

    member = &ctx->member;

    if (member->len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(ctx->request->pool, 80 + member->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    err->message.p = p;
    err->message.n = ngx_sprintf(p, ctx->fault == LLM_FAULT_UNSUPPORTED
                                    ? "The provider cannot do what \"%V\" "
                                      "of the request asks."
                                    : "The member \"%V\" of the request is "
                                      "missing or invalid.", member) - p;
    err->param.p = member->data;
    err->param.n = member->len;

    return NGX_OK;
}


/* Fixed sentences fit: reached only by a bug. */

static llm_rc_t
ngx_llm_stream_error_more(llm_out_t *out)
{
    return LLM_NOMEM;
}


static ngx_int_t
ngx_llm_stream_add_retry_after(ngx_http_request_t *r, int64_t ms)
{
    u_char           *p;
    ngx_table_elt_t  *h;

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_llm_stream_header_init(h);
    ngx_str_set(&h->key, "Retry-After");
    h->value.data = p;
    h->value.len = ngx_sprintf(p, "%L", (ms + 999) / 1000) - p;
    h->lowcase_key = (u_char *) "retry-after";

    return NGX_OK;
}


/* The wait that the error asks for, ms; -1: it does not say. */

int64_t
ngx_llm_stream_said_wait(ngx_llm_stream_ctx_t *ctx)
{
    llm_error_t  err;

    (void) ngx_llm_stream_read_said(ctx, &err);

    return err.retry_after;
}


static llm_rc_t
ngx_llm_stream_read_said(ngx_llm_stream_ctx_t *ctx, llm_error_t *err)
{
    llm_slice_t  body;

    body.p = ctx->a.error_body.p;
    body.n = ctx->a.error_body.n;
    body.escaped = 0;

    ngx_memzero(err, sizeof(llm_error_t));
    err->retry_after = -1;

    if (ctx->a.encoded || !ngx_llm_stream_is_json(&body)) {
        return LLM_INVALID;
    }

    return llm_error_read(&body, err);
}


/*
 * Before the next attempt, which may bring no answer, or at the end: keeps
 * the whole error of this one, or one inside a 200, if the client was not
 * told of it.  Returns 1 if there is one.
 */

ngx_uint_t
ngx_llm_stream_keep_said(ngx_llm_stream_ctx_t *ctx)
{
    ngx_llm_stream_said_t  *said;

    said = &ctx->said;

    if (ctx->a.open || ctx->rebuild) {
        return 0;
    }

    if (ctx->a.flow_live && ctx->a.flow.fault == LLM_FAULT_UPSTREAM_ERROR) {
        return ngx_llm_stream_keep_event(ctx);
    }

    if (ctx->a.error_status == 0 || !ctx->a.body_end) {
        return 0;
    }

    llm_block_free(&said->body, &ctx->alloc);

    said->body = ctx->a.error_body;
    said->status = ctx->a.error_status;
    said->retry_after = ctx->a.retry_after;
    said->encoded = ctx->a.encoded;
    said->ready = 0;

    ngx_memzero(&ctx->a.error_body, sizeof(llm_block_t));

    return 1;
}


static ngx_uint_t
ngx_llm_stream_keep_event(ngx_llm_stream_ctx_t *ctx)
{
    llm_block_out_t         bo;
    ngx_llm_stream_said_t  *said;

    said = &ctx->said;

    llm_block_free(&said->body, &ctx->alloc);
    ngx_memzero(said, sizeof(ngx_llm_stream_said_t));

    if (llm_block_out_open(&bo, &said->body, &ctx->alloc) != LLM_OK) {
        return 0;
    }

    llm_flow_error_body(&ctx->a.flow, &bo.out);

    if (llm_block_out_close(&bo) != LLM_OK) {
        return 0;
    }

    said->status = llm_flow_status(&ctx->a.flow);
    said->retry_after = ctx->a.retry_after ? ctx->a.retry_after
                                           : ctx->a.flow.error.retry_after;
    said->ready = 1;

    return 1;
}


/*
 * The request failed, rc being the core's word for it.  If its last attempt
 * brought no byte of an answer (latest: it was not even begun), the client is
 * told what the provider had answered before: it knows what to do about a
 * 429, but not about the server behind it.
 */

void
ngx_llm_stream_end_as_said(ngx_llm_stream_ctx_t *ctx, ngx_uint_t latest,
    ngx_int_t rc)
{
    if (ctx->said.status == 0
        || (!latest && (ctx->a.started || ctx->a.fault))
        || ctx->fault == LLM_FAULT_CLIENT_ABORT
        || ctx->fault == LLM_FAULT_SHUTDOWN
        || (rc != NGX_HTTP_BAD_GATEWAY && rc != NGX_HTTP_GATEWAY_TIME_OUT))
    {
        return;
    }

    llm_block_free(&ctx->a.error_body, &ctx->alloc);

    ctx->a.error_body = ctx->said.body;
    ctx->a.error_status = ctx->said.status;
    ctx->a.status.code = ctx->said.status;
    ctx->a.retry_after = ctx->said.retry_after;
    ctx->a.encoded = ctx->said.encoded;

    ngx_memzero(&ctx->said.body, sizeof(llm_block_t));

    ctx->as_said = 1;
    ctx->fault = LLM_FAULT_UPSTREAM_ERROR;
}


/*
 * The body for a status that the provider sent: its own JSON, byte for byte,
 * when the client speaks its dialect; else the same error in the client's
 * words; a neutral sentence when it is not JSON, and for 401 and 403 with our
 * key, because providers quote a part of the key there.
 */

ngx_uint_t
ngx_llm_stream_provider_error(ngx_llm_stream_ctx_t *ctx, llm_out_t *out,
    int64_t *retry_after)
{
    llm_rc_t                 rc;
    ngx_uint_t               status, secret;
    llm_slice_t              body;
    llm_error_t              err;
    const llm_fault_info_t  *info;

    status = ctx->a.error_status;

    body.p = ctx->a.error_body.p;
    body.n = ctx->a.error_body.n;
    body.escaped = 0;

    rc = ngx_llm_stream_read_said(ctx, &err);

    secret = ctx->key_ours && ngx_llm_stream_of_key(ctx, &err, &status);
    if (secret) {
        rc = LLM_INVALID;
        ngx_memzero(&err, sizeof(llm_error_t));
        err.retry_after = -1;
    }

    *retry_after = err.retry_after;

    if (ctx->client == ctx->conf->dialect && !secret && !ctx->a.encoded
        && ngx_llm_stream_is_json(&body))
    {
        llm_out(out, body.p, body.n);
        return status;
    }

    if (rc != LLM_OK) {
        info = llm_fault_info(LLM_FAULT_UPSTREAM_ERROR);
        err.type = info->type;
        err.code = info->code;
        err.message = info->message;
    }

    if (err.retry_after < 0 && ctx->a.retry_after) {
        err.retry_after = ctx->a.retry_after;
    }

    err.status = status;
    llm_error_classify(&err);

    if (ctx->client != ctx->conf->dialect) {
        llm_flow_carry_error(ctx->conf->dialect, &err);
    }

    ctx->client->error_body(out, &err);

    return err.status;
}


/* Whether the provider refuses the key.  Gemini says 400 then, which becomes
 * the status that a client of another dialect expects. */

static ngx_uint_t
ngx_llm_stream_of_key(ngx_llm_stream_ctx_t *ctx, const llm_error_t *err,
    ngx_uint_t *status)
{
    if (*status == NGX_HTTP_BAD_REQUEST && err->cls == LLM_ERROR_AUTH) {

        if (ctx->client != ctx->conf->dialect) {
            *status = NGX_HTTP_UNAUTHORIZED;
        }

        return 1;
    }

    return *status == NGX_HTTP_UNAUTHORIZED || *status == NGX_HTTP_FORBIDDEN;
}


static ngx_uint_t
ngx_llm_stream_is_json(const llm_slice_t *body)
{
    llm_json_t       json;
    llm_slice_t      raw;
    llm_json_type_t  type;

    if (body->n == 0) {
        return 0;
    }

    llm_json_init(&json, body->p, body->n, LLM_JSON_DEPTH);
    type = llm_json_skip(&json, &raw);

    return (type == LLM_JSON_OBJECT || type == LLM_JSON_ARRAY)
           && llm_json_next(&json) == LLM_JSON_END
           && !(llm_utf8_check(body->p, body->n) & LLM_UTF8_INVALID);
}
