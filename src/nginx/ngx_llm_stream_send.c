/*
 * The bytes of the provider's request: head and spliced body.  Which of the
 * client's headers go on is decided here and nowhere else: credentials only
 * the dialect's own and only when the location has no key of its own; cookies
 * and what tells of the client's network never.
 */

#include "ngx_llm_stream.h"


typedef struct {
    ngx_str_t  name;
    ngx_str_t  value;
} ngx_llm_stream_line_t;


static ngx_int_t ngx_llm_stream_own_lines(ngx_llm_stream_ctx_t *ctx,
    ngx_array_t *lines);
static ngx_int_t ngx_llm_stream_required_line(ngx_llm_stream_ctx_t *ctx,
    ngx_array_t *lines);
static ngx_int_t ngx_llm_stream_key_line(ngx_llm_stream_ctx_t *ctx,
    ngx_array_t *lines);
static ngx_int_t ngx_llm_stream_token_line(ngx_llm_stream_ctx_t *ctx,
    ngx_array_t *lines);
static ngx_uint_t ngx_llm_stream_sets_key(ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_client_key(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *key);
static ngx_int_t ngx_llm_stream_set_lines(ngx_llm_stream_ctx_t *ctx,
    ngx_array_t *lines);
static ngx_int_t ngx_llm_stream_client_lines(ngx_llm_stream_ctx_t *ctx,
    ngx_array_t *lines);
static ngx_table_elt_t *ngx_llm_stream_token(ngx_llm_stream_ctx_t *ctx);
static ngx_uint_t ngx_llm_stream_forwards(ngx_llm_stream_ctx_t *ctx,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_llm_stream_listed(const char **list, ngx_str_t *key);
static ngx_uint_t ngx_llm_stream_is_set(ngx_llm_stream_ctx_t *ctx,
    u_char *name, size_t n);
static ngx_int_t ngx_llm_stream_line(ngx_array_t *lines, const void *name,
    size_t nname, const void *value, size_t nvalue);
static ngx_buf_t *ngx_llm_stream_head(ngx_llm_stream_ctx_t *ctx,
    ngx_array_t *lines);
static ngx_int_t ngx_llm_stream_splice(ngx_llm_stream_ctx_t *ctx,
    ngx_buf_t *head);
static ngx_uint_t ngx_llm_stream_safe(const u_char *p, size_t n);


/*
 * Client headers that never go to the provider: of the connection, of the
 * body we rewrite, credentials (added back by rule), what tells who and
 * where the client is.  Names that end in '*' are prefixes.
 */

static const char  *ngx_llm_stream_dropped[] = {
    "accept", "accept-encoding", "access-control-*", "api-key",
    "authorization", "cdn-loop", "cf-*", "client-ip", "connection",
    "content-encoding", "content-length", "content-type", "cookie", "expect",
    "forwarded", "host", "http2-settings", "if-*", "keep-alive",
    "last-event-id", "origin", "proxy-*", "range", "referer", "sec-*", "te",
    "trailer", "transfer-encoding", "true-client-ip", "upgrade", "via",
    "x-api-key", "x-accel-*", "x-forwarded-*", "x-goog-api-key",
    "x-real-ip", NULL
};


/* What another dialect's client says to its own provider. */

static const char  *ngx_llm_stream_foreign[] = {
    "anthropic-*", "openai-*", "x-goog-*", "x-stainless-*", NULL
};


/* Makes ctx->request_bufs.  NGX_OK, or a status; what is wrong was logged. */

ngx_int_t
ngx_llm_stream_build_request(ngx_llm_stream_ctx_t *ctx)
{
    ngx_buf_t    *head;
    ngx_array_t   lines;

    if (ngx_array_init(&lines, ctx->request->pool, 16,
                       sizeof(ngx_llm_stream_line_t))
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_llm_stream_own_lines(ctx, &lines) != NGX_OK
        || ngx_llm_stream_key_line(ctx, &lines) != NGX_OK
        || ngx_llm_stream_required_line(ctx, &lines) != NGX_OK
        || ngx_llm_stream_set_lines(ctx, &lines) != NGX_OK
        || ngx_llm_stream_client_lines(ctx, &lines) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!ngx_llm_stream_safe(ctx->uri.data, ctx->uri.len)
        || ngx_strlchr(ctx->uri.data, ctx->uri.data + ctx->uri.len, ' ')
        || ngx_strlchr(ctx->uri.data, ctx->uri.data + ctx->uri.len, '\t'))
    {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "invalid character in the path of \"llm_stream\"");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    head = ngx_llm_stream_head(ctx, &lines);
    if (head == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_llm_stream_splice(ctx, head) == NGX_OK
           ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_llm_stream_own_lines(ngx_llm_stream_ctx_t *ctx, ngx_array_t *lines)
{
    u_char      *p;
    size_t       n;
    ngx_uint_t   i;
    ngx_str_t    accept = ngx_string("application/json");

    static const char  *names[] = { "Content-Type", "Accept",
                                    "Accept-Encoding", "Host" };
    ngx_str_t    values[4] = {
        ngx_string("application/json"), ngx_null_string,
        ngx_string("identity"), ngx_null_string
    };

    if (ctx->ask_stream) {
        if (ctx->conf->dialect->framing == LLM_FRAMING_NDJSON) {
            ngx_str_set(&accept, "application/x-ndjson, application/json");

        } else {
            ngx_str_set(&accept, "text/event-stream, application/json");
        }
    }

    values[1] = accept;
    values[3] = ctx->host;

    for (i = 0; i < 4; i++) {
        n = ngx_strlen(names[i]);

        if (ngx_llm_stream_is_set(ctx, (u_char *) names[i], n)) {
            continue;
        }

        if (ngx_llm_stream_line(lines, names[i], n, values[i].data,
                                values[i].len)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    p = ngx_pnalloc(ctx->request->pool, NGX_SIZE_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    n = ngx_sprintf(p, "%uz", llm_rope_length(&ctx->plan->writer.rope)) - p;

    return ngx_llm_stream_line(lines, "Content-Length",
                               sizeof("Content-Length") - 1, p, n);
}


/* The header that a provider insists on, unless the configuration or a client
 * of its dialect says it. */

static ngx_int_t
ngx_llm_stream_required_line(ngx_llm_stream_ctx_t *ctx, ngx_array_t *lines)
{
    const llm_provider_t  *p;

    p = ctx->conf->provider;

    if (p->header.p == NULL
        || ngx_llm_stream_is_set(ctx, (u_char *) p->header.p, p->header.n)
        || (ctx->asker == ctx->conf->dialect
            && ngx_llm_stream_find_header(ctx->request, p->header.p,
                                          p->header.n)))
    {
        return NGX_OK;
    }

    return ngx_llm_stream_line(lines, p->header.p, p->header.n,
                               p->header_value.p, p->header_value.n);
}


/* The location's own key, in the provider's header; else the client's. */

static ngx_int_t
ngx_llm_stream_key_line(ngx_llm_stream_ctx_t *ctx, ngx_array_t *lines)
{
    u_char                *p;
    size_t                 n;
    ngx_str_t              key;
    const llm_provider_t  *to;

    to = ctx->conf->provider;

    if (ctx->conf->auth) {
        return ngx_llm_stream_token_line(ctx, lines);
    }

    if (ngx_llm_stream_is_set(ctx, (u_char *) to->auth_header.p,
                              to->auth_header.n))
    {
        ctx->key_ours = 1;
        return NGX_OK;
    }

    if (ctx->conf->api_key == NULL) {

        if (ngx_llm_stream_sets_key(ctx)) {
            ctx->key_ours = 1;
            return NGX_OK;
        }

        ngx_llm_stream_client_key(ctx, &key);

    } else {
        if (ngx_http_complex_value(ctx->request, ctx->conf->api_key, &key)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ctx->key_ours = 1;
    }

    if (key.len == 0) {
        return NGX_OK;
    }

    n = to->auth_prefix.n + key.len;

    p = ngx_pnalloc(ctx->request->pool, n);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, to->auth_prefix.p, to->auth_prefix.n);
    ngx_memcpy(p + to->auth_prefix.n, key.data, key.len);

    return ngx_llm_stream_line(lines, to->auth_header.p, to->auth_header.n,
                               p, n);
}


/* The token of llm_stream_auth, in the header of all tokens. */

static ngx_int_t
ngx_llm_stream_token_line(ngx_llm_stream_ctx_t *ctx, ngx_array_t *lines)
{
    u_char  *p, *last;

    ctx->key_ours = 1;

    if (ngx_llm_stream_is_set(ctx, (u_char *) "Authorization",
                              sizeof("Authorization") - 1))
    {
        return NGX_OK;
    }

    p = ngx_pnalloc(ctx->request->pool,
                    sizeof("Bearer ") - 1 + ctx->token.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = ngx_sprintf(p, "Bearer %V", &ctx->token);

    return ngx_llm_stream_line(lines, "Authorization",
                               sizeof("Authorization") - 1, p, last - p);
}


/* Whether llm_stream_set_header says a credential, in whatever header: a
 * token for Vertex or Entra beside which no key of the client belongs. */

static ngx_uint_t
ngx_llm_stream_sets_key(ngx_llm_stream_ctx_t *ctx)
{
    ngx_uint_t                    i;
    ngx_llm_stream_set_header_t  *set;

    static const char  *names[] = {
        "authorization", "x-api-key", "x-goog-api-key", "api-key", NULL
    };

    if (ctx->conf->headers == NULL) {
        return 0;
    }

    set = ctx->conf->headers->elts;

    for (i = 0; i < ctx->conf->headers->nelts; i++) {
        if (set[i].value.value.len
            && ngx_llm_stream_listed(names, &set[i].name))
        {
            return 1;
        }
    }

    return 0;
}


/*
 * The client's own credential, where it has to change its header: each
 * dialect's SDK has another one.  Empty when there is none, or when it goes
 * on as it is.
 */

static void
ngx_llm_stream_client_key(ngx_llm_stream_ctx_t *ctx, ngx_str_t *key)
{
    ngx_uint_t             i;
    ngx_table_elt_t       *h;
    const llm_provider_t  *to;

    static ngx_str_t  names[] = {
        ngx_string("x-api-key"), ngx_string("x-goog-api-key"),
        ngx_string("api-key")
    };

    ngx_str_null(key);
    to = ctx->conf->provider;

    if (ngx_llm_stream_find_header(ctx->request, to->auth_header.p,
                                   to->auth_header.n))
    {
        return;
    }

    if (ngx_llm_stream_token(ctx)) {
        return;
    }

    h = ctx->request->headers_in.authorization;

    if (h && h->value.len > sizeof("Bearer ") - 1
        && ngx_strncasecmp(h->value.data, (u_char *) "Bearer ",
                           sizeof("Bearer ") - 1)
           == 0)
    {
        key->data = h->value.data + sizeof("Bearer ") - 1;
        key->len = h->value.len - (sizeof("Bearer ") - 1);
        return;
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        h = ngx_llm_stream_find_header(ctx->request, names[i].data,
                                       names[i].len);
        if (h) {
            *key = h->value;
            return;
        }
    }

    if (ctx->client == &llm_dialect_gemini
        && ngx_http_arg(ctx->request, (u_char *) "key", 3, key) != NGX_OK)
    {
        ngx_str_null(key);
    }
}


static ngx_int_t
ngx_llm_stream_set_lines(ngx_llm_stream_ctx_t *ctx, ngx_array_t *lines)
{
    ngx_str_t                     value;
    ngx_uint_t                    i;
    ngx_llm_stream_set_header_t  *set;

    if (ctx->conf->headers == NULL) {
        return NGX_OK;
    }

    set = ctx->conf->headers->elts;

    for (i = 0; i < ctx->conf->headers->nelts; i++) {
        if (ngx_http_complex_value(ctx->request, &set[i].value, &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (value.len
            && ngx_llm_stream_line(lines, set[i].name.data, set[i].name.len,
                                   value.data, value.len)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_client_lines(ngx_llm_stream_ctx_t *ctx, ngx_array_t *lines)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &ctx->request->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NGX_OK;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (!ngx_llm_stream_forwards(ctx, &h[i])
            || ngx_llm_stream_is_set(ctx, h[i].key.data, h[i].key.len))
        {
            continue;
        }

        if (ngx_llm_stream_line(lines, h[i].key.data, h[i].key.len,
                                h[i].value.data, h[i].value.len)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }
}


/*
 * The Authorization of a client that speaks to its own provider, where that
 * has another header for keys: an OAuth token, which goes on as it is.
 * NULL: there is none.
 */

static ngx_table_elt_t *
ngx_llm_stream_token(ngx_llm_stream_ctx_t *ctx)
{
    if (ctx->key_ours || ctx->asker != ctx->conf->dialect
        || (ctx->asker != &llm_dialect_anthropic
            && ctx->asker != &llm_dialect_gemini)
        || ngx_llm_stream_find_header(ctx->request,
                                      ctx->conf->provider->auth_header.p,
                                      ctx->conf->provider->auth_header.n))
    {
        return NULL;
    }

    return ctx->request->headers_in.authorization;
}


static ngx_uint_t
ngx_llm_stream_forwards(ngx_llm_stream_ctx_t *ctx, ngx_table_elt_t *h)
{
    const llm_provider_t  *to;

    to = ctx->conf->provider;

    if (!ctx->key_ours
        && h->key.len == to->auth_header.n
        && ngx_strncasecmp(h->key.data, (u_char *) to->auth_header.p,
                           h->key.len)
           == 0)
    {
        return 1;
    }

    if (h == ngx_llm_stream_token(ctx)) {
        return 1;
    }

    if (ctx->asker != ctx->conf->dialect
        && ngx_llm_stream_listed(ngx_llm_stream_foreign, &h->key))
    {
        return 0;
    }

    return !ngx_llm_stream_listed(ngx_llm_stream_dropped, &h->key);
}


static ngx_uint_t
ngx_llm_stream_listed(const char **list, ngx_str_t *key)
{
    size_t       n;
    const char  *name;

    for ( /* void */ ; *list; list++) {
        name = *list;
        n = ngx_strlen(name);

        if (name[n - 1] == '*') {
            n--;

            if (key->len < n) {
                continue;
            }

        } else if (key->len != n) {
            continue;
        }

        if (ngx_strncasecmp(key->data, (u_char *) name, n) == 0) {
            return 1;
        }
    }

    return 0;
}


/* Whether llm_stream_set_header names this header. */

static ngx_uint_t
ngx_llm_stream_is_set(ngx_llm_stream_ctx_t *ctx, u_char *name, size_t n)
{
    ngx_uint_t                    i;
    ngx_llm_stream_set_header_t  *set;

    if (ctx->conf->headers == NULL) {
        return 0;
    }

    set = ctx->conf->headers->elts;

    for (i = 0; i < ctx->conf->headers->nelts; i++) {
        if (set[i].name.len == n
            && ngx_strncasecmp(set[i].name.data, name, n) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_llm_stream_line(ngx_array_t *lines, const void *name, size_t nname,
    const void *value, size_t nvalue)
{
    ngx_llm_stream_line_t  *line;

    line = ngx_array_push(lines);
    if (line == NULL) {
        return NGX_ERROR;
    }

    line->name.data = (u_char *) name;
    line->name.len = nname;
    line->value.data = (u_char *) value;
    line->value.len = nvalue;

    return NGX_OK;
}


/* The head in one buffer, start == pos, as a retry rewinds it. */

static ngx_buf_t *
ngx_llm_stream_head(ngx_llm_stream_ctx_t *ctx, ngx_array_t *lines)
{
    size_t                  n;
    ngx_buf_t              *b;
    ngx_uint_t              i;
    ngx_llm_stream_line_t  *line;

    n = sizeof("POST  HTTP/1.1" CRLF CRLF) - 1 + ctx->uri.len;
    line = lines->elts;

    for (i = 0; i < lines->nelts; i++) {

        if (!ngx_llm_stream_safe(line[i].value.data, line[i].value.len)) {
            ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                          "invalid character in the value of the request "
                          "header \"%V\"", &line[i].name);
            return NULL;
        }

        n += line[i].name.len + line[i].value.len + sizeof(": " CRLF) - 1;
    }

    b = ngx_create_temp_buf(ctx->request->pool, n);
    if (b == NULL) {
        return NULL;
    }

    b->last = ngx_cpymem(b->last, "POST ", sizeof("POST ") - 1);
    b->last = ngx_cpymem(b->last, ctx->uri.data, ctx->uri.len);
    b->last = ngx_cpymem(b->last, " HTTP/1.1" CRLF,
                         sizeof(" HTTP/1.1" CRLF) - 1);

    for (i = 0; i < lines->nelts; i++) {
        b->last = ngx_cpymem(b->last, line[i].name.data, line[i].name.len);
        *b->last++ = ':';
        *b->last++ = ' ';
        b->last = ngx_cpymem(b->last, line[i].value.data, line[i].value.len);
        *b->last++ = CR;
        *b->last++ = LF;
    }

    *b->last++ = CR;
    *b->last++ = LF;

    return b;
}


/* The body: the pieces of the rope.  Nothing is copied. */

static ngx_int_t
ngx_llm_stream_splice(ngx_llm_stream_ctx_t *ctx, ngx_buf_t *head)
{
    size_t         i;
    ngx_buf_t     *b;
    llm_rope_t    *rope;
    ngx_chain_t   *cl, **ll;

    cl = ngx_alloc_chain_link(ctx->request->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = b = head;
    ctx->request_bufs = cl;
    ll = &cl->next;
    rope = &ctx->plan->writer.rope;

    for (i = 0; i < llm_rope_npieces(rope); i++) {

        cl = ngx_alloc_chain_link(ctx->request->pool);
        b = ngx_calloc_buf(ctx->request->pool);

        if (cl == NULL || b == NULL) {
            return NGX_ERROR;
        }

        b->start = b->pos = (u_char *) llm_rope_bytes(rope, i);
        b->end = b->last = b->pos + llm_rope_pieces(rope)[i].n;
        b->memory = 1;

        cl->buf = b;
        *ll = cl;
        ll = &cl->next;
    }

    b->flush = 1;
    *ll = NULL;

    return NGX_OK;
}


/* No byte that could end a header line early. */

static ngx_uint_t
ngx_llm_stream_safe(const u_char *p, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if ((p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f) {
            return 0;
        }
    }

    return 1;
}
