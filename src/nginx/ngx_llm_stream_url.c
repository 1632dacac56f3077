/*
 * Where to: the URL of llm_stream, static or with variables.  A URL without
 * a path gets the provider's own.  The client's path and arguments never go
 * upstream.
 */

#include "ngx_llm_stream.h"


static ngx_int_t ngx_llm_stream_eval_variables(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *uri);
static ngx_int_t ngx_llm_stream_own_path(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *args);
static ngx_uint_t ngx_llm_stream_climbs(ngx_str_t *model);
static u_char *ngx_llm_stream_escape(u_char *p, ngx_str_t *model);
static ngx_int_t ngx_llm_stream_resolved(ngx_llm_stream_ctx_t *ctx,
    ngx_url_t *u, in_port_t port);


/* At configuration: a URL without variables.  Returns NGX_CONF_*, or what is
 * wrong with it. */

char *
ngx_llm_stream_url(ngx_conf_t *cf, ngx_llm_stream_loc_conf_t *llcf,
    ngx_str_t *url)
{
    size_t     add, i;
    in_port_t  port;
    ngx_url_t  u;

    if (ngx_llm_stream_schema(url, &add, &port, &llcf->ssl) != NGX_OK) {
        return "invalid URL prefix";
    }

    for (i = 0; i < url->len; i++) {
        if (url->data[i] <= 0x20 || url->data[i] == 0x7f) {
            return "has an invalid character in its URL";
        }
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.len = url->len - add;
    u.url.data = url->data + add;
    u.default_port = port;
    u.uri_part = 1;
    u.no_resolve = 1;

    llcf->upstream.upstream = ngx_http_upstream_add(cf, &u, 0);
    if (llcf->upstream.upstream == NULL) {
        return NGX_CONF_ERROR;
    }

    llcf->schema.len = add;
    llcf->schema.data = url->data;
    llcf->uri = u.uri;
    ngx_llm_stream_url_host(&u, &llcf->host);

    return NGX_CONF_OK;
}


/* At request time.  NGX_OK, or a status; what is wrong was logged. */

ngx_int_t
ngx_llm_stream_eval_url(ngx_llm_stream_ctx_t *ctx)
{
    ngx_str_t  uri;

    if (ctx->conf->url == NULL) {
        uri = ctx->conf->uri;
        ctx->host = ctx->conf->host;
        ctx->request->upstream->schema = ctx->conf->schema;
        ctx->request->upstream->ssl = ctx->conf->ssl;

    } else if (ngx_llm_stream_eval_variables(ctx, &uri) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (uri.len && uri.data[0] == '/') {
        ctx->uri = uri;
        return NGX_OK;
    }

    ctx->own_path = 1;

    return ngx_llm_stream_own_path(ctx, &uri);
}


static ngx_int_t
ngx_llm_stream_eval_variables(ngx_llm_stream_ctx_t *ctx, ngx_str_t *uri)
{
    size_t                add;
    in_port_t             port;
    ngx_str_t             url;
    ngx_url_t             u;
    ngx_uint_t            ssl;
    ngx_http_request_t   *r;

    r = ctx->request;

    if (ngx_http_complex_value(r, ctx->conf->url, &url) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_llm_stream_schema(&url, &add, &port, &ssl) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "invalid URL prefix in the value of \"llm_stream\"");
        return NGX_ERROR;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.len = url.len - add;
    u.url.data = url.data + add;
    u.default_port = port;
    u.uri_part = 1;
    u.no_resolve = 1;

    if (ngx_parse_url(r->pool, &u) != NGX_OK) {
        if (u.err) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "%s in upstream \"%V\"", u.err, &u.url);
        }

        return NGX_ERROR;
    }

    r->upstream->schema.len = add;
    r->upstream->schema.data = url.data;
    r->upstream->ssl = ssl;

    *uri = u.uri;
    ngx_llm_stream_url_host(&u, &ctx->host);

    return ngx_llm_stream_resolved(ctx, &u, port);
}


/* http:// or https://: the length of it, the port it stands for. */

ngx_int_t
ngx_llm_stream_schema(ngx_str_t *url, size_t *add, in_port_t *port,
    ngx_uint_t *ssl)
{
    if (url->len > 7
        && ngx_strncasecmp(url->data, (u_char *) "http://", 7) == 0)
    {
        *add = 7;
        *port = 80;
        *ssl = 0;
        return NGX_OK;
    }

    if (url->len > 8
        && ngx_strncasecmp(url->data, (u_char *) "https://", 8) == 0)
    {
        *add = 8;
        *port = 443;
        *ssl = 1;
        return NGX_OK;
    }

    return NGX_ERROR;
}


/* Of the Host header: host and port as written; a socket has no name. */

void
ngx_llm_stream_url_host(ngx_url_t *u, ngx_str_t *host)
{
    if (u->family == AF_UNIX) {
        ngx_str_set(host, "localhost");
        return;
    }

    host->data = u->url.data;
    host->len = u->url.len - u->uri.len;
}


/*
 * The URL has no path: the provider's own for what is asked, with the model
 * in its place, and "?key=value" behind it if the URL has that.
 */

static ngx_int_t
ngx_llm_stream_own_path(ngx_llm_stream_ctx_t *ctx, ngx_str_t *args)
{
    u_char                *p;
    ngx_str_t              before, after, model = ngx_string("{model}");
    const llm_slice_t     *path;
    const llm_provider_t  *provider;

    provider = ctx->conf->provider;
    path = &provider->path;

    if (!ctx->ask_stream && provider->answer_path.p) {
        path = &provider->answer_path;

    } else if (ctx->array && ctx->client == ctx->conf->dialect
               && provider->array_path.p)
    {
        path = &provider->array_path;
    }

    before.data = (u_char *) path->p;
    before.len = path->n;

    p = ngx_strnstr(before.data, (char *) model.data, before.len);

    if (p) {
        if (ctx->model.len == 0 || ngx_llm_stream_climbs(&ctx->model)) {
            return ngx_llm_stream_refuse(ctx, LLM_FAULT_BAD_REQUEST, "model");
        }

        before.len = p - before.data;
    }

    after.data = before.data + before.len + (p ? model.len : 0);
    after.len = path->n - (after.data - before.data);

    ctx->uri.data = ngx_pnalloc(ctx->request->pool, before.len + after.len
                                + args->len + 3 * ctx->model.len);
    if (ctx->uri.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_cpymem(ctx->uri.data, before.data, before.len);

    if (after.data != before.data + before.len) {
        p = ngx_llm_stream_escape(p, &ctx->model);
    }

    p = ngx_cpymem(p, after.data, after.len);

    if (args->len) {
        *p++ = ngx_strlchr(before.data, before.data + path->n, '?') ? '&'
                                                                    : '?';
        p = ngx_cpymem(p, args->data + 1, args->len - 1);
    }

    ctx->uri.len = p - ctx->uri.data;

    return NGX_OK;
}


/* A name with "." or ".." for a segment: escaped or not, servers resolve
 * these. */

static ngx_uint_t
ngx_llm_stream_climbs(ngx_str_t *model)
{
    size_t  i, n;

    n = 0;      /* characters of the segment, if all are dots */

    for (i = 0; i <= model->len; i++) {

        if (i == model->len || model->data[i] == '/'
            || model->data[i] == '\\')
        {
            if (n == 1 || n == 2) {
                return 1;
            }

            n = 0;
            continue;
        }

        n = (model->data[i] == '.' && n <= 2) ? n + 1 : 3;
    }

    return 0;
}


/*
 * A model's name as one segment of a path: whoever chose it cannot choose
 * another path.  Gemini's clients may name a model "models/x".
 */

static u_char *
ngx_llm_stream_escape(u_char *p, ngx_str_t *model)
{
    u_char   c;
    size_t   i;

    static u_char  hex[] = "0123456789ABCDEF";

    i = 0;

    if (model->len > sizeof("models/") - 1
        && ngx_strncmp(model->data, "models/", sizeof("models/") - 1) == 0)
    {
        i = sizeof("models/") - 1;
    }

    for ( /* void */ ; i < model->len; i++) {
        c = model->data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'
            || c == '~')
        {
            *p++ = c;
            continue;
        }

        *p++ = '%';
        *p++ = hex[c >> 4];
        *p++ = hex[c & 0xf];
    }

    return p;
}


static ngx_int_t
ngx_llm_stream_resolved(ngx_llm_stream_ctx_t *ctx, ngx_url_t *u,
    in_port_t port)
{
    ngx_http_upstream_resolved_t  *resolved;

    resolved = ngx_pcalloc(ctx->request->pool,
                           sizeof(ngx_http_upstream_resolved_t));
    if (resolved == NULL) {
        return NGX_ERROR;
    }

    if (u->addrs) {
        resolved->sockaddr = u->addrs[0].sockaddr;
        resolved->socklen = u->addrs[0].socklen;
        resolved->name = u->addrs[0].name;
        resolved->naddrs = 1;
    }

    resolved->host = u->host;
    resolved->port = (in_port_t) (u->no_port ? port : u->port);
    resolved->no_port = u->no_port;

    ctx->request->upstream->resolved = resolved;

    return NGX_OK;
}
