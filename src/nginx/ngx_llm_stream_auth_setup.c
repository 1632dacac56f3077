/*
 * What a worker needs of a provider block, made by the master once all of
 * "http" is known: addresses, TLS context, the bytes of the request, and the
 * fingerprint of the configuration.
 */

#include "ngx_llm_stream_auth.h"

#include <ngx_sha1.h>


#define NGX_LLM_STREAM_AUTH_DEPTH  4    /* of certificates */


static ngx_int_t ngx_llm_stream_auth_parse_url(ngx_conf_t *cf,
    ngx_llm_stream_auth_t *auth);
static ngx_int_t ngx_llm_stream_auth_bad_url(ngx_conf_t *cf,
    ngx_llm_stream_auth_t *auth);
static ngx_int_t ngx_llm_stream_auth_addresses(ngx_conf_t *cf,
    ngx_llm_stream_auth_t *auth);
static ngx_int_t ngx_llm_stream_auth_group(ngx_conf_t *cf,
    ngx_llm_stream_auth_t *auth, ngx_http_upstream_srv_conf_t *uscf);
static ngx_int_t ngx_llm_stream_auth_ssl(ngx_conf_t *cf,
    ngx_llm_stream_auth_t *auth);
static ngx_int_t ngx_llm_stream_auth_request(ngx_conf_t *cf,
    ngx_llm_stream_auth_t *auth);
static void ngx_llm_stream_auth_fingerprint(ngx_llm_stream_auth_t *auth);


/* Runs when all of "http" is known, "upstream" blocks too. */

ngx_int_t
ngx_llm_stream_auth_finish(ngx_conf_t *cf)
{
    ngx_uint_t                    i;
    ngx_llm_stream_auth_t       **auth;
    ngx_llm_stream_main_conf_t   *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_llm_stream_module);
    auth = lmcf->auths->elts;

    for (i = 0; i < lmcf->auths->nelts; i++) {
        if (ngx_llm_stream_auth_addresses(cf, auth[i]) != NGX_OK
            || ngx_llm_stream_auth_ssl(cf, auth[i]) != NGX_OK
            || ngx_llm_stream_auth_request(cf, auth[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_llm_stream_auth_fingerprint(auth[i]);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_auth_parse_url(ngx_conf_t *cf, ngx_llm_stream_auth_t *auth)
{
    size_t      add;
    in_port_t   port;
    ngx_uint_t  ssl;

    if (ngx_llm_stream_schema(&auth->address, &add, &port, &ssl) != NGX_OK) {
        auth->url.err = "invalid URL prefix";
        return ngx_llm_stream_auth_bad_url(cf, auth);
    }

    if (ssl) {
        auth->ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
        if (auth->ssl == NULL) {
            return NGX_ERROR;
        }
    }

    auth->url.url.data = auth->address.data + add;
    auth->url.url.len = auth->address.len - add;
    auth->url.default_port = port;
    auth->url.uri_part = 1;
    auth->url.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &auth->url) != NGX_OK) {
        return ngx_llm_stream_auth_bad_url(cf, auth);
    }

    auth->host = auth->url.host;

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_auth_bad_url(ngx_conf_t *cf, ngx_llm_stream_auth_t *auth)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%s in \"%V\" in %s:%ui",
                  auth->url.err ? auth->url.err : "invalid URL",
                  &auth->address, auth->file, auth->line);

    return NGX_ERROR;
}


/* The servers of a group of that name, else what the name resolves to. */

static ngx_int_t
ngx_llm_stream_auth_addresses(ngx_conf_t *cf, ngx_llm_stream_auth_t *auth)
{
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **uscfp;
    ngx_http_upstream_main_conf_t   *umcf;

    if (ngx_llm_stream_auth_parse_url(cf, auth) != NGX_OK) {
        return NGX_ERROR;
    }

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscfp = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if ((uscfp[i]->flags & NGX_HTTP_UPSTREAM_CREATE)
            && auth->url.no_port
            && uscfp[i]->host.len == auth->host.len
            && ngx_strncasecmp(uscfp[i]->host.data, auth->host.data,
                               auth->host.len)
               == 0)
        {
            return ngx_llm_stream_auth_group(cf, auth, uscfp[i]);
        }
    }

    if (auth->url.naddrs) {
        return NGX_OK;
    }

    auth->url.no_resolve = 0;

    return ngx_parse_url(cf->pool, &auth->url) == NGX_OK
           ? NGX_OK : ngx_llm_stream_auth_bad_url(cf, auth);
}


static ngx_int_t
ngx_llm_stream_auth_group(ngx_conf_t *cf, ngx_llm_stream_auth_t *auth,
    ngx_http_upstream_srv_conf_t *uscf)
{
    ngx_addr_t                   *to;
    ngx_uint_t                    i, j, n;
    ngx_http_upstream_server_t   *server;

    n = 0;
    server = uscf->servers->elts;

    for (i = 0; i < uscf->servers->nelts; i++) {
        n += server[i].down ? 0 : server[i].naddrs;
    }

    if (n == 0) {
        auth->url.err = "no server with an address in upstream";
        return ngx_llm_stream_auth_bad_url(cf, auth);
    }

    to = ngx_palloc(cf->pool, n * sizeof(ngx_addr_t));
    if (to == NULL) {
        return NGX_ERROR;
    }

    auth->url.addrs = to;
    auth->url.naddrs = n;

    for (i = 0; i < uscf->servers->nelts; i++) {
        for (j = 0; !server[i].down && j < server[i].naddrs; j++) {
            *to++ = server[i].addrs[j];
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_auth_ssl(ngx_conf_t *cf, ngx_llm_stream_auth_t *auth)
{
    ngx_pool_cleanup_t  *cln;

    if (auth->ssl == NULL) {
        return NGX_OK;
    }

    auth->ssl->log = cf->log;

    if (ngx_ssl_create(auth->ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(auth->ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = auth->ssl;

    if (!auth->ssl_verify) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"ssl_verify\" of \"llm_stream_auth_provider\" "
                      "\"%V\" is off: whoever answers gets the secret",
                      &auth->name);
        return NGX_OK;
    }

    return ngx_llm_stream_ssl_trust(cf, auth->ssl, &auth->trusted,
                                    NGX_LLM_STREAM_AUTH_DEPTH);
}


static ngx_int_t
ngx_llm_stream_auth_request(ngx_conf_t *cf, ngx_llm_stream_auth_t *auth)
{
    u_char       *body;
    size_t        n;
    ngx_str_t     host, uri = ngx_string("/");
    llm_out_t     out;
    const char   *type;

    /* each byte is three or six at most */

    n = 256 + 6 * (auth->ask.id.n + auth->ask.secret.n + auth->ask.scope.n);

    body = ngx_pnalloc(cf->pool, n);
    auth->request.data = ngx_pnalloc(cf->pool,
                                     n + 256 + 2 * auth->address.len);

    if (body == NULL || auth->request.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&out, sizeof(llm_out_t));
    out.pos = body;
    out.end = body + n;

    llm_token_write(&out, &auth->ask);

    type = auth->ask.format == LLM_TOKEN_FORM
           ? "application/x-www-form-urlencoded" : "application/json";

    if (auth->url.uri.len) {
        uri = auth->url.uri;
    }

    ngx_llm_stream_url_host(&auth->url, &host);

    auth->request.len = ngx_sprintf(auth->request.data,
                                    "POST %s%V HTTP/1.1" CRLF
                                    "Host: %V" CRLF
                                    "Content-Type: %s" CRLF
                                    "Accept: application/json" CRLF
                                    "Content-Length: %uz" CRLF
                                    "Connection: close" CRLF CRLF
                                    "%*s",
                                    uri.data[0] == '/' ? "" : "/", &uri,
                                    &host, type,
                                    (size_t) (out.pos - body),
                                    (size_t) (out.pos - body), body)
                        - auth->request.data;

    ngx_explicit_memzero(body, n);

    return NGX_OK;
}


/* Of all that says whose token it is. */

static void
ngx_llm_stream_auth_fingerprint(ngx_llm_stream_auth_t *auth)
{
    size_t       i;
    ngx_sha1_t   sha1;
    llm_slice_t  part[4];

    part[0].p = auth->address.data;
    part[0].n = auth->address.len;
    part[1] = auth->ask.id;
    part[2] = auth->ask.secret;
    part[3] = auth->ask.scope;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, &auth->ask.format, sizeof(auth->ask.format));

    for (i = 0; i < 4; i++) {
        ngx_sha1_update(&sha1, &part[i].n, sizeof(size_t));
        ngx_sha1_update(&sha1, part[i].p, part[i].n);
    }

    ngx_sha1_final(auth->mark, &sha1);
}
