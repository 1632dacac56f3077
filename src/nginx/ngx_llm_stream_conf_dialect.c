/*
 * The directives that name a dialect: llm_stream, whose provider is one or
 * speaks one, and llm_stream_client.
 */

#include "ngx_llm_stream.h"


static const llm_dialect_t *ngx_llm_stream_dialect(ngx_conf_t *cf,
    ngx_str_t *name);


/* llm_stream <provider> <url> */

char *
ngx_llm_stream_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    if (llcf->provider) {
        return "is duplicate";
    }

    value = cf->args->elts;

    llcf->provider = llm_provider_find(value[1].data, value[1].len);

    if (llcf->provider == NULL) {
        if (ngx_llm_stream_dialect(cf, &value[1])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "dialect \"%V\" is one of clients only",
                               &value[1]);
        }

        return NGX_CONF_ERROR;
    }

    llcf->dialect = llcf->provider->dialect;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_llm_stream_handler;

    if (ngx_http_script_variables_count(&value[2]) == 0) {
        return ngx_llm_stream_url(cf, llcf, &value[2]);
    }

    llcf->url = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (llcf->url == NULL) {
        return NGX_CONF_ERROR;
    }

    /* https, as far as can be known now */

    llcf->ssl = (ngx_strncasecmp(value[2].data, (u_char *) "http://", 7)
                 != 0);

    return ngx_llm_stream_compile(cf, &value[2], llcf->url);
}


char *
ngx_llm_stream_set_client(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    ngx_str_t  *value;

    if (llcf->client_set) {
        return "is duplicate";
    }

    value = cf->args->elts;
    llcf->client_set = 1;

    if (ngx_strcmp(value[1].data, "auto") == 0) {
        return NGX_CONF_OK;
    }

    llcf->client = ngx_llm_stream_dialect(cf, &value[1]);
    if (llcf->client == NULL) {
        return NGX_CONF_ERROR;
    }

    if (llcf->client->decode && llcf->client->read_chat == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "dialect \"%V\" is one of providers only",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static const llm_dialect_t *
ngx_llm_stream_dialect(ngx_conf_t *cf, ngx_str_t *name)
{
    const llm_dialect_t  *dialect;

    dialect = llm_dialect_find(name->data, name->len);

    if (dialect == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "unknown dialect \"%V\"",
                           name);
    }

    return dialect;
}
