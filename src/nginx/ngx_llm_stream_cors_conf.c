/*
 * The directive llm_stream_cors: which origins are said, and whether a
 * browser could ever send them.  It must accept nothing that would never
 * match, nor what would let in more than was meant.
 */

#include "ngx_llm_stream.h"


static ngx_int_t ngx_llm_stream_cors_add(ngx_conf_t *cf,
    ngx_llm_stream_cors_t *cors, ngx_str_t *value);
static const char *ngx_llm_stream_cors_check(ngx_str_t *origin);
static const char *ngx_llm_stream_cors_host(ngx_str_t *scheme, u_char *p,
    u_char *last);
static const char *ngx_llm_stream_cors_port(ngx_str_t *scheme, u_char *p,
    u_char *last);


static ngx_llm_stream_cors_t  ngx_llm_stream_cors_off;


/* llm_stream_cors origin ... [credentials] | off */

char *
ngx_llm_stream_set_cors(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    ngx_str_t                   *value;
    ngx_uint_t                   i, n;
    ngx_llm_stream_cors_t       *cors;
    ngx_llm_stream_main_conf_t  *lmcf;

    if (llcf->cors) {
        return "is duplicate";
    }

    value = cf->args->elts;
    n = cf->args->nelts;

    if (n == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        llcf->cors = &ngx_llm_stream_cors_off;
        return NGX_CONF_OK;
    }

    cors = ngx_pcalloc(cf->pool, sizeof(ngx_llm_stream_cors_t));
    if (cors == NULL
        || ngx_array_init(&cors->origins, cf->pool, n, sizeof(ngx_str_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    cors->on = 1;
    llcf->cors = cors;

    if (ngx_strcmp(value[n - 1].data, "credentials") == 0) {
        cors->credentials = 1;
        n--;
    }

    if (n == 1) {
        return "has no origin";
    }

    for (i = 1; i < n; i++) {
        if (ngx_llm_stream_cors_add(cf, cors, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (cors->any && cors->origins.nelts) {
        return "takes no origin beside \"*\"";
    }

    if (cors->any && cors->credentials) {
        return "takes no \"credentials\" with \"*\"";
    }

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_llm_stream_module);
    lmcf->cors = 1;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_llm_stream_cors_add(ngx_conf_t *cf, ngx_llm_stream_cors_t *cors,
    ngx_str_t *value)
{
    ngx_str_t   *origin;
    const char  *why;

    if (ngx_strcmp(value->data, "*") == 0) {
        cors->any = 1;
        return NGX_OK;
    }

    ngx_strlow(value->data, value->data, value->len);

    why = ngx_llm_stream_cors_check(value);

    if (why) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid origin \"%V\": %s",
                           value, why);
        return NGX_ERROR;
    }

    origin = ngx_array_push(&cors->origins);
    if (origin == NULL) {
        return NGX_ERROR;
    }

    *origin = *value;

    return NGX_OK;
}


/* What is wrong with an origin in lower case, NULL if nothing is: it must be
 * byte for byte what a browser sends, or it would never match. */

static const char *
ngx_llm_stream_cors_check(ngx_str_t *origin)
{
    u_char     *p, *last, *slash;
    ngx_str_t   scheme;

    if (origin->len == 4 && ngx_strncmp(origin->data, "null", 4) == 0) {
        return "any page in a sandbox and any file sends it";
    }

    last = origin->data + origin->len;

    if (ngx_strlchr(origin->data, last, '*')) {
        return "\"*\" can only stand alone";
    }

    p = (u_char *) ngx_strstr(origin->data, "://");

    if (p == NULL || p == origin->data) {
        return "it has no scheme";
    }

    scheme.data = origin->data;
    scheme.len = p - origin->data;

    for (p = scheme.data; p < scheme.data + scheme.len; p++) {
        if ((*p < 'a' || *p > 'z')
            && (p == scheme.data
                || ((*p < '0' || *p > '9')
                    && *p != '+' && *p != '-' && *p != '.')))
        {
            return "its scheme is invalid";
        }
    }

    p = scheme.data + scheme.len + sizeof("://") - 1;

    slash = ngx_strlchr(p, last, '/');

    if (slash) {
        return slash + 1 == last ? "it ends with a slash" : "it has a path";
    }

    return ngx_llm_stream_cors_host(&scheme, p, last);
}


static const char *
ngx_llm_stream_cors_host(ngx_str_t *scheme, u_char *p, u_char *last)
{
    u_char  *host, *end, addr[16];

    host = p;

    if (p < last && *p == '[') {

        end = ngx_strlchr(p, last, ']');

        if (end == NULL || ngx_inet6_addr(p + 1, end - p - 1, addr) != NGX_OK)
        {
            return "its IPv6 address is invalid";
        }

        return ngx_llm_stream_cors_port(scheme, end + 1, last);
    }

    for ( /* void */ ; p < last; p++) {

        if ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9')
            || *p == '-' || *p == '.' || *p == '_')
        {
            continue;
        }

        if (*p >= 0x80) {
            return "browsers send such a name as \"xn--...\"";
        }

        break;
    }

    if (p == host) {
        return "it has no host";
    }

    return ngx_llm_stream_cors_port(scheme, p, last);
}


/* What is behind the host: a port, or nothing. */

static const char *
ngx_llm_stream_cors_port(ngx_str_t *scheme, u_char *p, u_char *last)
{
    ngx_int_t  port;

    if (p == last) {
        return NULL;
    }

    if (*p != ':') {
        return "it has an invalid character";
    }

    p++;
    port = ngx_atoi(p, last - p);

    if (port < 1 || port > 65535 || *p == '0') {
        return "its port is invalid";
    }

    if ((port == 443 && scheme->len == 5
         && ngx_strncmp(scheme->data, "https", 5) == 0)
        || (port == 80 && scheme->len == 4
            && ngx_strncmp(scheme->data, "http", 4) == 0))
    {
        return "browsers leave out the default port";
    }

    return NULL;
}
