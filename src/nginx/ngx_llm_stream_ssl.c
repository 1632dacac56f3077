/*
 * TLS towards the provider.  Verification and SNI are on by default: an API
 * key must not go to whoever answers.  Without a trusted certificate of the
 * user's the system's CA file is used.
 */

#include "ngx_llm_stream.h"


static char *ngx_llm_stream_ssl_conf_command_check(ngx_conf_t *cf,
    void *post, void *data);
static ngx_int_t ngx_llm_stream_ssl_passwords(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *conf);
static ngx_int_t ngx_llm_stream_ssl_certificate(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *conf);
static ngx_int_t ngx_llm_stream_ssl_verification(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *conf);
static ngx_uint_t ngx_llm_stream_ssl_inherits(ngx_llm_stream_loc_conf_t *conf);


ngx_conf_bitmask_t  ngx_llm_stream_ssl_protocols[] = {
    { ngx_string("SSLv2"), NGX_SSL_SSLv2 },
    { ngx_string("SSLv3"), NGX_SSL_SSLv3 },
    { ngx_string("TLSv1"), NGX_SSL_TLSv1 },
    { ngx_string("TLSv1.1"), NGX_SSL_TLSv1_1 },
    { ngx_string("TLSv1.2"), NGX_SSL_TLSv1_2 },
    { ngx_string("TLSv1.3"), NGX_SSL_TLSv1_3 },
    { ngx_null_string, 0 }
};

ngx_conf_post_t  ngx_llm_stream_ssl_conf_command_post = {
    ngx_llm_stream_ssl_conf_command_check
};


void
ngx_llm_stream_unset_ssl(ngx_llm_stream_loc_conf_t *conf)
{
    conf->upstream.ssl_session_reuse = NGX_CONF_UNSET;
    conf->upstream.ssl_name = NGX_CONF_UNSET_PTR;
    conf->upstream.ssl_server_name = NGX_CONF_UNSET;
    conf->upstream.ssl_verify = NGX_CONF_UNSET;
    conf->upstream.ssl_certificate = NGX_CONF_UNSET_PTR;
    conf->upstream.ssl_certificate_key = NGX_CONF_UNSET_PTR;
    conf->upstream.ssl_passwords = NGX_CONF_UNSET_PTR;
    conf->ssl_verify_depth = NGX_CONF_UNSET_UINT;
    conf->ssl_conf_commands = NGX_CONF_UNSET_PTR;
}


/*
 * Takes over the context of the level above when nothing of TLS is set here,
 * so that hundreds of locations share one.
 */

ngx_int_t
ngx_llm_stream_merge_ssl(ngx_conf_t *cf, ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf)
{
    ngx_uint_t  inherits;

    inherits = ngx_llm_stream_ssl_inherits(conf);

    if (inherits && prev->upstream.ssl) {
        conf->upstream.ssl = prev->upstream.ssl;

    } else {
        conf->upstream.ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
        if (conf->upstream.ssl == NULL) {
            return NGX_ERROR;
        }

        conf->upstream.ssl->log = cf->log;

        if (inherits) {
            prev->upstream.ssl = conf->upstream.ssl;
        }
    }

    ngx_conf_merge_value(conf->upstream.ssl_session_reuse,
                         prev->upstream.ssl_session_reuse, 1);
    ngx_conf_merge_bitmask_value(conf->ssl_protocols, prev->ssl_protocols,
                                 (NGX_CONF_BITMASK_SET
                                  |NGX_SSL_DEFAULT_PROTOCOLS));
    ngx_conf_merge_str_value(conf->ssl_ciphers, prev->ssl_ciphers,
                             "DEFAULT");
    ngx_conf_merge_ptr_value(conf->upstream.ssl_name,
                             prev->upstream.ssl_name, NULL);
    ngx_conf_merge_value(conf->upstream.ssl_server_name,
                         prev->upstream.ssl_server_name, 1);
    ngx_conf_merge_value(conf->upstream.ssl_verify,
                         prev->upstream.ssl_verify, 1);
    ngx_conf_merge_uint_value(conf->ssl_verify_depth,
                              prev->ssl_verify_depth, 4);
    ngx_conf_merge_str_value(conf->ssl_trusted_certificate,
                             prev->ssl_trusted_certificate, "");
    ngx_conf_merge_str_value(conf->ssl_crl, prev->ssl_crl, "");
    ngx_conf_merge_ptr_value(conf->upstream.ssl_certificate,
                             prev->upstream.ssl_certificate, NULL);
    ngx_conf_merge_ptr_value(conf->upstream.ssl_certificate_key,
                             prev->upstream.ssl_certificate_key, NULL);
    ngx_conf_merge_ptr_value(conf->upstream.ssl_passwords,
                             prev->upstream.ssl_passwords, NULL);
    ngx_conf_merge_ptr_value(conf->ssl_conf_commands,
                             prev->ssl_conf_commands, NULL);

    return NGX_OK;
}


static ngx_uint_t
ngx_llm_stream_ssl_inherits(ngx_llm_stream_loc_conf_t *conf)
{
    return conf->ssl_protocols == 0
           && conf->ssl_ciphers.data == NULL
           && conf->upstream.ssl_certificate == NGX_CONF_UNSET_PTR
           && conf->upstream.ssl_certificate_key == NGX_CONF_UNSET_PTR
           && conf->upstream.ssl_passwords == NGX_CONF_UNSET_PTR
           && conf->upstream.ssl_verify == NGX_CONF_UNSET
           && conf->ssl_verify_depth == NGX_CONF_UNSET_UINT
           && conf->ssl_trusted_certificate.data == NULL
           && conf->ssl_crl.data == NULL
           && conf->upstream.ssl_session_reuse == NGX_CONF_UNSET
           && conf->ssl_conf_commands == NGX_CONF_UNSET_PTR;
}


/* Fills the context of a location with an https URL, or with variables. */

ngx_int_t
ngx_llm_stream_set_ssl(ngx_conf_t *cf, ngx_llm_stream_loc_conf_t *conf)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = conf->upstream.ssl;

    if (conf->ssl && !conf->upstream.ssl_verify) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"llm_stream_ssl_verify\" is off: the provider's "
                           "identity is not checked, and whoever answers "
                           "gets the API key");
    }

    if (ngx_llm_stream_ssl_passwords(cf, conf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ssl->ctx) {
        return NGX_OK;
    }

    if (ngx_ssl_create(ssl, conf->ssl_protocols, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    if (ngx_ssl_ciphers(cf, ssl, &conf->ssl_ciphers, 0) != NGX_OK
        || ngx_llm_stream_ssl_certificate(cf, conf) != NGX_OK
        || ngx_llm_stream_ssl_verification(cf, conf) != NGX_OK
        || ngx_ssl_client_session_cache(cf, ssl,
                                        conf->upstream.ssl_session_reuse)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_ssl_conf_commands(cf, ssl, conf->ssl_conf_commands);
}


/*
 * A client certificate with variables is loaded for each connection: every
 * location keeps its passwords, also one that shares a context made before.
 */

static ngx_int_t
ngx_llm_stream_ssl_passwords(ngx_conf_t *cf, ngx_llm_stream_loc_conf_t *conf)
{
    ngx_http_complex_value_t  *cert, *key;

    cert = conf->upstream.ssl_certificate;
    key = conf->upstream.ssl_certificate_key;

    if (cert == NULL || cert->value.len == 0) {
        return NGX_OK;
    }

    if (key == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no \"llm_stream_ssl_certificate_key\" is defined "
                      "for certificate \"%V\"", &cert->value);
        return NGX_ERROR;
    }

    if (cert->lengths == NULL && key->lengths == NULL) {
        return NGX_OK;
    }

    conf->upstream.ssl_passwords =
               ngx_ssl_preserve_passwords(cf, conf->upstream.ssl_passwords);

    return conf->upstream.ssl_passwords ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_llm_stream_ssl_certificate(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *conf)
{
    ngx_http_complex_value_t  *cert, *key;

    cert = conf->upstream.ssl_certificate;
    key = conf->upstream.ssl_certificate_key;

    if (cert == NULL || cert->value.len == 0 || cert->lengths || key->lengths)
    {
        return NGX_OK;
    }

    return ngx_ssl_certificate(cf, conf->upstream.ssl, &cert->value,
                               &key->value, conf->upstream.ssl_passwords);
}


static ngx_int_t
ngx_llm_stream_ssl_verification(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *conf)
{
    if (!conf->upstream.ssl_verify) {
        return NGX_OK;
    }

    if (ngx_llm_stream_ssl_trust(cf, conf->upstream.ssl,
                                 &conf->ssl_trusted_certificate,
                                 conf->ssl_verify_depth)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_ssl_crl(cf, conf->upstream.ssl, &conf->ssl_crl);
}


/* Whom to believe: the file's certificates, or the system's without one. */

ngx_int_t
ngx_llm_stream_ssl_trust(ngx_conf_t *cf, ngx_ssl_t *ssl, ngx_str_t *file,
    ngx_uint_t depth)
{
    if (file->len) {
        return ngx_ssl_trusted_certificate(cf, ssl, file, depth);
    }

    SSL_CTX_set_verify_depth(ssl->ctx, depth);

    if (SSL_CTX_set_default_verify_paths(ssl->ctx) == 0) {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Whether a connection from the pool may carry this request.  The keepalive
 * cache knows addresses only; several providers share one.  A connection is
 * good for the name it was verified for, under the same rules.
 */

ngx_uint_t
ngx_llm_stream_ssl_fits(ngx_llm_stream_ctx_t *ctx)
{
    u_char               *p, *last;
    SSL                  *ssl;
    ngx_str_t             name;
    const char           *sni;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = ctx->request;
    u = r->upstream;

    if (!u->peer.cached || u->peer.connection->ssl == NULL) {
        return 1;
    }

    ssl = u->peer.connection->ssl->connection;

    if (SSL_get_SSL_CTX(ssl) != u->conf->ssl->ctx) {
        return 0;
    }

    sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    if (u->conf->ssl_name == NULL) {
        name = u->ssl_name;

    } else if (ngx_http_complex_value(r, u->conf->ssl_name, &name) != NGX_OK) {
        return 0;
    }

    /* without the port, as the core sends it */

    last = name.data + name.len;
    p = ngx_strlchr(name.data, last, ':');

    if (p) {
        name.len = p - name.data;
    }

    if (sni == NULL) {
        /* made for an address, or without SNI: nothing tells which name */
        return u->conf->ssl_name == NULL
               && (!u->conf->ssl_server_name || name.data[0] == '['
                   || ngx_inet_addr(name.data, name.len) != INADDR_NONE);
    }

    return ngx_strlen(sni) == name.len
           && ngx_strncasecmp((u_char *) sni, name.data, name.len) == 0;
}


char *
ngx_llm_stream_ssl_password_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    ngx_str_t  *value;

    if (llcf->upstream.ssl_passwords != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    llcf->upstream.ssl_passwords = ngx_ssl_read_password_file(cf, &value[1]);

    return llcf->upstream.ssl_passwords ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_llm_stream_ssl_conf_command_check(ngx_conf_t *cf, void *post, void *data)
{
#ifndef SSL_CONF_FLAG_FILE
    return "is not supported on this platform";
#else
    return NGX_CONF_OK;
#endif
}
