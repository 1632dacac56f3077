/*
 * Secrets of the configuration, read by the master at start and reload.  What
 * is read is never logged, quoted in an error, or compiled: a "$" in it is a
 * "$".
 */

#include "ngx_llm_stream.h"


static ngx_int_t ngx_llm_stream_secret_file(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *secret);
static ngx_int_t ngx_llm_stream_secret_env(ngx_conf_t *cf, u_char *name,
    ngx_str_t *secret);


/*
 * file:PATH without the white space at its end, or env:NAME; one line, not
 * empty.  NGX_DECLINED: the value is neither; NGX_ERROR: what is wrong was
 * logged.
 */

ngx_int_t
ngx_llm_stream_secret(ngx_conf_t *cf, ngx_str_t *value, ngx_str_t *secret)
{
    size_t      i;
    ngx_int_t   rc;
    ngx_str_t   path, name;

    name = *value;

    if (ngx_strncmp(name.data, "file:", 5) == 0) {
        path.data = name.data + 5;
        path.len = name.len - 5;
        rc = ngx_llm_stream_secret_file(cf, &path, secret);

    } else if (ngx_strncmp(name.data, "env:", 4) == 0) {
        rc = ngx_llm_stream_secret_env(cf, name.data + 4, secret);

    } else {
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (secret->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is empty", &name);
        return NGX_ERROR;
    }

    for (i = 0; i < secret->len; i++) {
        if (secret->data[i] < 0x20 || secret->data[i] == 0x7f) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" has an invalid character", &name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_secret_env(ngx_conf_t *cf, u_char *name, ngx_str_t *secret)
{
    char  *env;

    env = getenv((char *) name);

    if (env == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "environment variable \"%s\" is not set", name);
        return NGX_ERROR;
    }

    secret->len = ngx_strlen(env);
    secret->data = ngx_pnalloc(cf->pool, secret->len + 1);
    if (secret->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(secret->data, env, secret->len + 1);

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_secret_file(ngx_conf_t *cf, ngx_str_t *path, ngx_str_t *secret)
{
    u_char      buf[4096];
    ssize_t     n;
    ngx_fd_t    fd;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, buf, sizeof(buf));

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", path);
    }

    if (n < 0) {
        ngx_conf_log_error(NGX_LOG_CRIT, cf, ngx_errno,
                           ngx_read_fd_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    if (n == sizeof(buf)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "key file \"%V\" is too large", path);
        ngx_explicit_memzero(buf, sizeof(buf));
        return NGX_ERROR;
    }

    while (n && (buf[n - 1] == LF || buf[n - 1] == CR || buf[n - 1] == ' ')) {
        n--;
    }

    secret->len = n;
    secret->data = ngx_pnalloc(cf->pool, n + 1);
    if (secret->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(secret->data, buf, n);
    secret->data[n] = '\0';
    ngx_explicit_memzero(buf, sizeof(buf));

    return NGX_OK;
}
