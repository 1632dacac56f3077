/*
 * Status line and header lines of the provider's answer.  A provider is not
 * trusted: what is not HTTP/1.x, what contradicts itself, and what could
 * steer nginx (X-Accel-*, cookies, CORS, Location) stops here.  Only headers
 * of the allow-list go on to the client.
 */

#include "ngx_llm_stream.h"


#define NGX_LLM_STREAM_MAX_HEADERS  200
#define NGX_LLM_STREAM_MAX_INTERIM  16384    /* bytes of 1xx answers */


typedef ngx_int_t (*ngx_llm_stream_header_pt)(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *value);

typedef struct {
    ngx_str_t                  name;
    ngx_llm_stream_header_pt   handler;
} ngx_llm_stream_header_t;


static ngx_int_t ngx_llm_stream_process_header(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_clear_text(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_more_header(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_interim(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_bad_header(ngx_llm_stream_ctx_t *ctx,
    const char *what);
static ngx_int_t ngx_llm_stream_header_line(ngx_llm_stream_ctx_t *ctx);
static ngx_uint_t ngx_llm_stream_passes(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *name);
static ngx_int_t ngx_llm_stream_push_header(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_llm_stream_content_type(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *value);
static ngx_int_t ngx_llm_stream_content_length(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *value);
static ngx_int_t ngx_llm_stream_transfer_encoding(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *value);
static ngx_int_t ngx_llm_stream_content_encoding(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *value);
static ngx_int_t ngx_llm_stream_connection(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *value);
static ngx_int_t ngx_llm_stream_should_retry(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *value);
static ngx_int_t ngx_llm_stream_retry_hint(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *value);
static ngx_int_t ngx_llm_stream_retry_hint_ms(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *value);
static int64_t ngx_llm_stream_thousandths(ngx_str_t *value);


/* what we read ourselves */
static ngx_llm_stream_header_t  ngx_llm_stream_known[] = {
    { ngx_string("content-type"), ngx_llm_stream_content_type },
    { ngx_string("content-length"), ngx_llm_stream_content_length },
    { ngx_string("transfer-encoding"), ngx_llm_stream_transfer_encoding },
    { ngx_string("content-encoding"), ngx_llm_stream_content_encoding },
    { ngx_string("connection"), ngx_llm_stream_connection },
    { ngx_string("x-should-retry"), ngx_llm_stream_should_retry },
    { ngx_string("retry-after"), ngx_llm_stream_retry_hint },
    { ngx_string("retry-after-ms"), ngx_llm_stream_retry_hint_ms },
    { ngx_null_string, NULL }
};


/* what passes to the client; a name that ends in '-' is a prefix */
static ngx_str_t  ngx_llm_stream_allowed[] = {
    ngx_string("x-request-id"),
    ngx_string("request-id"),
    ngx_string("x-generation-id"),
    ngx_string("apim-request-id"),
    ngx_string("x-ms-request-id"),
    ngx_string("openai-processing-ms"),
    ngx_string("openai-version"),
    ngx_string("retry-after"),
    ngx_string("retry-after-ms"),
    ngx_string("x-should-retry"),
    ngx_string("x-ratelimit-"),
    ngx_string("ratelimit-"),
    ngx_string("anthropic-ratelimit-"),
    ngx_null_string
};


/*
 * u->process_header until the status line is there.  NGX_AGAIN: read more
 * (a full buffer is then a 502); NGX_HTTP_UPSTREAM_INVALID_HEADER: next peer
 * or 502; NGX_ERROR: 500.
 */

ngx_int_t
ngx_llm_stream_process_status_line(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_upstream_t   *u;
    ngx_llm_stream_ctx_t  *ctx;

    u = r->upstream;
    ctx = u->input_filter_ctx;

    if (u->ssl && !ctx->a.sent) {
        return ngx_llm_stream_clear_text(ctx);
    }

    if (!ctx->a.started) {
        ctx->a.started = 1;
        u->conf = &ctx->conf->upstream_sent;
    }

    rc = ngx_http_parse_status_line(r, &u->buffer, &ctx->a.status);

    if (rc == NGX_AGAIN) {
        return ngx_llm_stream_more_header(ctx);
    }

    if (rc == NGX_ERROR
        || ctx->a.status.http_version / 1000 != 1)
    {
        return ngx_llm_stream_bad_header(ctx, "no valid HTTP/1.1 status");
    }

    if (u->state && u->state->status == 0) {
        u->state->status = ctx->a.status.code;
    }

    u->headers_in.status_n = ctx->a.status.code;

    if (ctx->a.status.http_version < NGX_HTTP_VERSION_11) {
        ctx->a.connection_close = 1;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "llm_stream upstream status %ui", ctx->a.status.code);

    ctx->a.length = -1;
    u->process_header = ngx_llm_stream_process_header;

    return ngx_llm_stream_process_header(r);
}


static ngx_int_t
ngx_llm_stream_process_header(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_upstream_t   *u;
    ngx_llm_stream_ctx_t  *ctx;

    u = r->upstream;
    ctx = u->input_filter_ctx;

    for ( ;; ) {

        rc = ngx_http_parse_header_line(r, &u->buffer, 1);

        if (rc == NGX_OK) {
            rc = ngx_llm_stream_header_line(ctx);
            if (rc != NGX_OK) {
                return rc;
            }

            continue;
        }

        if (rc == NGX_AGAIN) {
            return ngx_llm_stream_more_header(ctx);
        }

        if (rc != NGX_HTTP_PARSE_HEADER_DONE) {
            return ngx_llm_stream_bad_header(ctx, "an invalid header line");
        }

        if (ctx->a.status.code < NGX_HTTP_OK) {
            return ngx_llm_stream_interim(ctx);
        }

        ctx->a.header_done = 1;
        ctx->a.header_at = ngx_current_msec;

        return ngx_llm_stream_response(ctx);
    }
}


/*
 * Bytes came before the TLS handshake: not from the provider, or not for us.
 * nginx before 1.28.2 and 1.29.5 would take them for the answer
 * (CVE-2026-1642).
 */

static ngx_int_t
ngx_llm_stream_clear_text(ngx_llm_stream_ctx_t *ctx)
{
    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "upstream sent clear text before the TLS handshake");

    ctx->a.fault = LLM_FAULT_TLS;
    ngx_llm_stream_retry_tls(ctx);

    return NGX_HTTP_UPSTREAM_INVALID_HEADER;
}


/* The core would say so too, but knows nothing of our classes of retry. */

static ngx_int_t
ngx_llm_stream_more_header(ngx_llm_stream_ctx_t *ctx)
{
    ngx_buf_t  *b;

    b = &ctx->request->upstream->buffer;

    return b->last == b->end
           ? ngx_llm_stream_bad_header(ctx, "too big header") : NGX_AGAIN;
}


/* 1xx: swallowed; the final answer follows on the same connection. */

static ngx_int_t
ngx_llm_stream_interim(ngx_llm_stream_ctx_t *ctx)
{
    size_t                n;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = ctx->request;
    u = r->upstream;

    if (ctx->a.status.code == NGX_HTTP_SWITCHING_PROTOCOLS) {
        return ngx_llm_stream_bad_header(ctx, "an unexpected status 101");
    }

    ctx->a.interim += u->buffer.pos - u->buffer.start;

    if (ctx->a.interim > NGX_LLM_STREAM_MAX_INTERIM) {
        return ngx_llm_stream_bad_header(ctx, "too many 1xx answers");
    }

    ctx->a.nheaders = 0;
    ctx->a.has_length = 0;
    ctx->a.framing = ngx_llm_stream_body_close;
    ctx->a.encoded = 0;
    ngx_str_null(&ctx->a.content_type);
    ngx_memzero(&ctx->a.status, sizeof(ngx_http_status_t));

    if (u->state) {
        u->state->status = 0;
    }

    n = u->buffer.last - u->buffer.pos;
    ngx_memmove(u->buffer.start, u->buffer.pos, n);
    u->buffer.pos = u->buffer.start;
    u->buffer.last = u->buffer.start + n;

    r->state = 0;
    u->process_header = ngx_llm_stream_process_status_line;

    return n ? ngx_llm_stream_process_status_line(r) : NGX_AGAIN;
}


static ngx_int_t
ngx_llm_stream_bad_header(ngx_llm_stream_ctx_t *ctx, const char *what)
{
    ngx_int_t  rc;

    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "upstream sent %s", what);

    ctx->a.fault = LLM_FAULT_PROTOCOL;
    rc = ngx_llm_stream_retry_invalid(ctx);

    return rc == NGX_DECLINED ? NGX_HTTP_UPSTREAM_INVALID_HEADER : rc;
}


static ngx_int_t
ngx_llm_stream_header_line(ngx_llm_stream_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_str_t                 name, value;
    ngx_uint_t                i;
    ngx_http_request_t       *r;
    ngx_llm_stream_header_t  *h;

    r = ctx->request;

    name.data = r->header_name_start;
    name.len = r->header_name_end - r->header_name_start;
    value.data = r->header_start;
    value.len = r->header_end - r->header_start;

    if (++ctx->a.nheaders > NGX_LLM_STREAM_MAX_HEADERS) {
        return ngx_llm_stream_bad_header(ctx, "too many header lines");
    }

    for (h = ngx_llm_stream_known; h->handler; h++) {
        if (h->name.len == name.len
            && ngx_strncasecmp(h->name.data, name.data, name.len) == 0)
        {
            rc = h->handler(ctx, &value);
            if (rc != NGX_OK) {
                return rc;
            }

            break;
        }
    }

    if (ctx->a.status.code < NGX_HTTP_OK
        || !ngx_llm_stream_passes(ctx, &name))
    {
        return NGX_OK;
    }

    for (i = 0; i < value.len; i++) {
        if (value.data[i] < 0x20 && value.data[i] != '\t') {
            return ngx_llm_stream_bad_header(ctx, "an invalid header value");
        }
    }

    return ngx_llm_stream_push_header(ctx, &name, &value);
}


static ngx_uint_t
ngx_llm_stream_passes(ngx_llm_stream_ctx_t *ctx, ngx_str_t *name)
{
    ngx_str_t    *s;
    ngx_uint_t    i;
    ngx_array_t  *pass;

    if (ngx_llm_stream_limit_says(ctx, name)) {
        return 0;
    }

    for (s = ngx_llm_stream_allowed; s->len; s++) {
        if ((name->len == s->len
             || (name->len > s->len && s->data[s->len - 1] == '-'))
            && ngx_strncasecmp(name->data, s->data, s->len) == 0)
        {
            return 1;
        }
    }

    pass = ctx->conf->upstream.pass_headers;

    if (pass == NULL || pass == NGX_CONF_UNSET_PTR) {
        return 0;
    }

    s = pass->elts;

    for (i = 0; i < pass->nelts; i++) {
        if (s[i].len == name->len
            && ngx_strncasecmp(s[i].data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* Copied: the buffer it lies in is emptied before the header is sent. */

static ngx_int_t
ngx_llm_stream_push_header(ngx_llm_stream_ctx_t *ctx, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char               *p;
    ngx_table_elt_t      *h;
    ngx_http_request_t   *r;

    r = ctx->request;

    h = ngx_list_push(&r->upstream->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 0;

    p = ngx_pnalloc(r->pool, 2 * name->len + value->len + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_llm_stream_header_init(h);

    h->key.len = name->len;
    h->key.data = p;
    p = ngx_cpymem(p, name->data, name->len);
    *p++ = '\0';

    h->value.len = value->len;
    h->value.data = p;
    p = ngx_cpymem(p, value->data, value->len);
    *p++ = '\0';

    h->lowcase_key = p;
    h->hash = ngx_hash_strlow(p, name->data, name->len);

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_content_type(ngx_llm_stream_ctx_t *ctx, ngx_str_t *value)
{
    u_char  *p;

    p = ngx_pnalloc(ctx->request->pool, value->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(p, value->data, value->len);

    ctx->a.content_type.data = p;
    ctx->a.content_type.len = value->len;

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_content_length(ngx_llm_stream_ctx_t *ctx, ngx_str_t *value)
{
    off_t  n;

    n = ngx_atoof(value->data, value->len);

    if (n == NGX_ERROR
        || (ctx->a.has_length && n != ctx->a.length)
        || ctx->a.framing == ngx_llm_stream_body_chunked)
    {
        return ngx_llm_stream_bad_header(ctx, "an invalid Content-Length");
    }

    ctx->a.length = n;
    ctx->a.has_length = 1;
    ctx->a.framing = ngx_llm_stream_body_length;

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_transfer_encoding(ngx_llm_stream_ctx_t *ctx, ngx_str_t *value)
{
    if (ctx->a.framing != ngx_llm_stream_body_close
        || value->len != sizeof("chunked") - 1
        || ngx_strncasecmp(value->data, (u_char *) "chunked", value->len)
           != 0)
    {
        return ngx_llm_stream_bad_header(ctx, "an invalid Transfer-Encoding");
    }

    ctx->a.framing = ngx_llm_stream_body_chunked;

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_content_encoding(ngx_llm_stream_ctx_t *ctx, ngx_str_t *value)
{
    if (value->len
        && (value->len != sizeof("identity") - 1
            || ngx_strncasecmp(value->data, (u_char *) "identity",
                               value->len)
               != 0))
    {
        ctx->a.encoded = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_connection(ngx_llm_stream_ctx_t *ctx, ngx_str_t *value)
{
    if (ngx_strlcasestrn(value->data, value->data + value->len,
                         (u_char *) "close", 5 - 1)
        != NULL)
    {
        ctx->a.connection_close = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_should_retry(ngx_llm_stream_ctx_t *ctx, ngx_str_t *value)
{
    ctx->a.no_retry = (value->len == sizeof("false") - 1
                       && ngx_strncasecmp(value->data, (u_char *) "false",
                                          value->len)
                          == 0);

    ctx->a.may_retry = (value->len == sizeof("true") - 1
                        && ngx_strncasecmp(value->data, (u_char *) "true",
                                           value->len)
                           == 0);

    return NGX_OK;
}


/* In seconds, with a fraction if it likes, or a date. */

static ngx_int_t
ngx_llm_stream_retry_hint(ngx_llm_stream_ctx_t *ctx, ngx_str_t *value)
{
    time_t   at;
    int64_t  ms;

    if (ctx->a.retry_exact) {
        return NGX_OK;
    }

    ms = ngx_llm_stream_thousandths(value);

    if (ms < 0) {
        at = ngx_parse_http_time(value->data, value->len);
        ms = (at == NGX_ERROR) ? 0 : (int64_t) (at - ngx_time()) * 1000;
    }

    if (ms > 0) {
        ctx->a.retry_after = ms;
    }

    return NGX_OK;
}


/* In milliseconds: of more worth than seconds, wherever it stands. */

static ngx_int_t
ngx_llm_stream_retry_hint_ms(ngx_llm_stream_ctx_t *ctx, ngx_str_t *value)
{
    int64_t  n;

    n = ngx_llm_stream_thousandths(value);

    if (n > 0) {
        ctx->a.retry_after = (n + 999) / 1000;
        ctx->a.retry_exact = 1;
    }

    return NGX_OK;
}


/* A decimal number in thousandths, of at most 8 digits before the point; -1:
 * it is none. */

static int64_t
ngx_llm_stream_thousandths(ngx_str_t *value)
{
    u_char      *p, *last;
    int64_t      n;
    ngx_uint_t   digits;

    n = 0;
    p = value->data;
    last = p + value->len;

    for (digits = 0; p < last && *p >= '0' && *p <= '9'; p++) {
        if (++digits > 8) {
            return (int64_t) NGX_MAX_INT32_VALUE * 1000;
        }

        n = n * 10 + (*p - '0');
    }

    if (digits == 0 || (p < last && *p != '.')) {
        return -1;
    }

    for (digits = 0; digits < 3; digits++) {
        n *= 10;

        if (p < last && ++p < last && *p >= '0' && *p <= '9') {
            n += *p - '0';

        } else {
            p = last;
        }
    }

    return n;
}


/* A provider's hint in its body, as the header that every client knows. */

ngx_int_t
ngx_llm_stream_retry_after(ngx_llm_stream_ctx_t *ctx, int64_t ms)
{
    u_char     buf[NGX_INT64_LEN];
    ngx_str_t  value, name = ngx_string("Retry-After");

    if (ms <= 0 || ctx->a.retry_after) {
        return NGX_OK;
    }

    value.data = buf;
    value.len = ngx_sprintf(buf, "%L", (ms + 999) / 1000) - buf;

    return ngx_llm_stream_push_header(ctx, &name, &value);
}
