/*
 * Where to: the URL of llm_stream, static or with variables.  A URL without
 * a path gets the dialect's own.  The client's path and arguments never go
 * upstream.
 */

#include "ngx_llm_stream.h"


static ngx_int_t ngx_llm_stream_schema(ngx_str_t *url, size_t *add,
    in_port_t *port, ngx_uint_t *ssl);
static void ngx_llm_stream_host(ngx_url_t *u, ngx_str_t *host);
static ngx_int_t ngx_llm_stream_set_uri(ngx_pool_t *pool, ngx_url_t *u,
    const llm_dialect_t *dialect, ngx_str_t *uri);
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
    ngx_llm_stream_host(&u, &llcf->host);

    if (ngx_llm_stream_set_uri(cf->pool, &u, llcf->dialect, &llcf->uri)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* At request time.  NGX_ERROR was logged. */

ngx_int_t
ngx_llm_stream_eval_url(ngx_llm_stream_ctx_t *ctx)
{
    size_t                add;
    in_port_t             port;
    ngx_str_t             url;
    ngx_url_t             u;
    ngx_uint_t            ssl;
    ngx_http_request_t   *r;

    r = ctx->request;

    if (ctx->conf->url == NULL) {
        ctx->host = ctx->conf->host;
        ctx->uri = ctx->conf->uri;
        r->upstream->schema = ctx->conf->schema;
        r->upstream->ssl = ctx->conf->ssl;
        return NGX_OK;
    }

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

    ngx_llm_stream_host(&u, &ctx->host);

    if (ngx_llm_stream_set_uri(r->pool, &u, ctx->conf->dialect, &ctx->uri)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_llm_stream_resolved(ctx, &u, port);
}


static ngx_int_t
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

static void
ngx_llm_stream_host(ngx_url_t *u, ngx_str_t *host)
{
    if (u->family == AF_UNIX) {
        ngx_str_set(host, "localhost");
        return;
    }

    host->data = u->url.data;
    host->len = u->url.len - u->uri.len;
}


static ngx_int_t
ngx_llm_stream_set_uri(ngx_pool_t *pool, ngx_url_t *u,
    const llm_dialect_t *dialect, ngx_str_t *uri)
{
    size_t       n;
    u_char      *p;
    llm_slice_t  path;

    path = dialect->path;

    if (u->uri.len && u->uri.data[0] == '/') {
        *uri = u->uri;
        return NGX_OK;
    }

    /* no path: the dialect's own, and "?key=value" after it if given */

    n = path.n + u->uri.len;

    p = ngx_pnalloc(pool, n);
    if (p == NULL) {
        return NGX_ERROR;
    }

    uri->data = p;
    uri->len = n;

    p = ngx_cpymem(p, path.p, path.n);
    ngx_memcpy(p, u->uri.data, u->uri.len);

    return NGX_OK;
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
