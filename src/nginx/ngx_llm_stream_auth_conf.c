/*
 * The block llm_stream_auth_provider and the directive llm_stream_auth: what
 * is said, and whether it can be meant.  What follows from it is made in
 * ngx_llm_stream_auth_setup.c.
 */

#include "ngx_llm_stream_auth.h"

#include "llm_utf8.h"


#define NGX_LLM_STREAM_AUTH_ZONE     65536
#define NGX_LLM_STREAM_AUTH_TIMEOUT  10000


typedef enum {
    ngx_llm_stream_auth_type = 0,
    ngx_llm_stream_auth_url,
    ngx_llm_stream_auth_id,
    ngx_llm_stream_auth_secret,
    ngx_llm_stream_auth_format,
    ngx_llm_stream_auth_scope,
    ngx_llm_stream_auth_timeout,
    ngx_llm_stream_auth_verify,
    ngx_llm_stream_auth_trusted,
    ngx_llm_stream_auth_noptions
} ngx_llm_stream_auth_option_e;

typedef struct {
    ngx_str_t               said[ngx_llm_stream_auth_noptions];
    ngx_llm_stream_auth_t  *auth;
} ngx_llm_stream_auth_block_t;


static char *ngx_llm_stream_auth_option(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf);
static char *ngx_llm_stream_auth_read(ngx_conf_t *cf,
    ngx_llm_stream_auth_block_t *block);
static char *ngx_llm_stream_auth_read_rest(
    ngx_llm_stream_auth_block_t *block);
static ngx_int_t ngx_llm_stream_auth_word(ngx_str_t *said, const char *first,
    const char *second);
static char *ngx_llm_stream_auth_secrets(ngx_conf_t *cf,
    ngx_llm_stream_auth_block_t *block);
static ngx_int_t ngx_llm_stream_auth_zone(ngx_conf_t *cf,
    ngx_llm_stream_auth_t *auth);
static ngx_llm_stream_auth_t *ngx_llm_stream_auth_find(ngx_conf_t *cf,
    ngx_str_t *name);


static ngx_str_t  ngx_llm_stream_auth_names[] = {
    ngx_string("type"),
    ngx_string("url"),
    ngx_string("client_id"),
    ngx_string("client_secret"),
    ngx_string("format"),
    ngx_string("scope"),
    ngx_string("timeout"),
    ngx_string("ssl_verify"),
    ngx_string("ssl_trusted_certificate")
};


void *
ngx_llm_stream_create_main_conf(ngx_conf_t *cf)
{
    ngx_llm_stream_main_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_llm_stream_main_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->auths = ngx_array_create(cf->pool, 2,
                                   sizeof(ngx_llm_stream_auth_t *));

    return conf->auths ? conf : NULL;
}


/* llm_stream_auth_provider NAME { ... } */

char *
ngx_llm_stream_auth_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_main_conf_t *lmcf = conf;

    char                          *rv;
    ngx_str_t                     *value;
    ngx_conf_t                     save;
    ngx_llm_stream_auth_t         *auth, **slot;
    ngx_llm_stream_auth_block_t    block;

    value = cf->args->elts;

    if (value[1].len == 0 || ngx_strcmp(value[1].data, "off") == 0) {
        return "has an invalid name";
    }

    if (ngx_llm_stream_auth_find(cf, &value[1])) {
        return "is duplicate";
    }

    auth = ngx_pcalloc(cf->pool, sizeof(ngx_llm_stream_auth_t));
    slot = ngx_array_push(lmcf->auths);

    if (auth == NULL || slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = auth;
    auth->name = value[1];
    auth->file = cf->conf_file->file.name.data;
    auth->line = cf->conf_file->line;

    ngx_memzero(&block, sizeof(ngx_llm_stream_auth_block_t));
    block.auth = auth;

    save = *cf;
    cf->handler = ngx_llm_stream_auth_option;
    cf->handler_conf = (void *) &block;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_llm_stream_auth_read(cf, &block);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    ngx_llm_stream_auth_init(auth, &cf->cycle->new_log);

    return ngx_llm_stream_auth_zone(cf, auth) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* Runs for each line of the block. */

static char *
ngx_llm_stream_auth_option(ngx_conf_t *cf, ngx_command_t *dummy, void *conf)
{
    ngx_llm_stream_auth_block_t *block = (void *) conf;

    ngx_str_t   *value, *name;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 0; i < ngx_llm_stream_auth_noptions; i++) {
        name = &ngx_llm_stream_auth_names[i];

        if (name->len == value[0].len
            && ngx_strncmp(name->data, value[0].data, name->len) == 0)
        {
            break;
        }
    }

    if (i == ngx_llm_stream_auth_noptions) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown parameter \"%V\" of "
                           "\"llm_stream_auth_provider\"", &value[0]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts != 2 || value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs one value", &value[0]);
        return NGX_CONF_ERROR;
    }

    if (block->said[i].len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is duplicate",
                           &value[0]);
        return NGX_CONF_ERROR;
    }

    block->said[i] = value[1];

    return NGX_CONF_OK;
}


/* The end of the block.  What is wrong follows the directive's name. */

static char *
ngx_llm_stream_auth_read(ngx_conf_t *cf, ngx_llm_stream_auth_block_t *block)
{
    ngx_int_t               evolution, form;
    ngx_str_t              *said;
    ngx_llm_stream_auth_t  *auth;

    static ngx_str_t  token =
                  ngx_string("https://iam.api.cloud.ru/api/v1/auth/token");

    auth = block->auth;
    said = block->said;

    evolution = ngx_llm_stream_auth_word(&said[ngx_llm_stream_auth_type],
                                         "oauth2", "evolution");
    if (evolution == NGX_ERROR) {
        return "has a \"type\" that is not \"oauth2\" or \"evolution\"";
    }

    form = ngx_llm_stream_auth_word(&said[ngx_llm_stream_auth_format],
                                    "json", "form");
    if (form == NGX_ERROR) {
        return "has a \"format\" that is not \"form\" or \"json\"";
    }

    if (evolution == 1 && (form == 1 || said[ngx_llm_stream_auth_scope].len))
    {
        return "of type \"evolution\" has a \"scope\", or a \"format\" "
               "other than \"json\"";
    }

    auth->ask.format = evolution == 1 ? LLM_TOKEN_EVOLUTION
                       : form == 0 ? LLM_TOKEN_JSON : LLM_TOKEN_FORM;

    auth->address = said[ngx_llm_stream_auth_url];

    if (auth->address.len == 0) {

        if (evolution != 1) {
            return "has no \"url\"";
        }

        auth->address = token;
    }

    if (ngx_llm_stream_auth_secrets(cf, block) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_llm_stream_auth_read_rest(block);
}


static char *
ngx_llm_stream_auth_read_rest(ngx_llm_stream_auth_block_t *block)
{
    size_t                  i;
    ngx_int_t               off;
    ngx_str_t              *said;
    ngx_llm_stream_auth_t  *auth;

    auth = block->auth;
    said = block->said;

    for (i = 0; i < auth->address.len; i++) {
        if (auth->address.data[i] <= 0x20 || auth->address.data[i] >= 0x7f) {
            return "has an invalid character in its \"url\"";
        }
    }

    auth->timeout = NGX_LLM_STREAM_AUTH_TIMEOUT;

    if (said[ngx_llm_stream_auth_timeout].len) {
        auth->timeout = ngx_parse_time(&said[ngx_llm_stream_auth_timeout], 0);

        if (auth->timeout == (ngx_msec_t) NGX_ERROR || auth->timeout == 0) {
            return "has an invalid \"timeout\"";
        }
    }

    off = ngx_llm_stream_auth_word(&said[ngx_llm_stream_auth_verify],
                                   "on", "off");
    if (off == NGX_ERROR) {
        return "has an \"ssl_verify\" that is not \"on\" or \"off\"";
    }

    auth->ssl_verify = off != 1;
    auth->trusted = said[ngx_llm_stream_auth_trusted];

    if (auth->ask.format != LLM_TOKEN_FORM
        && ((llm_utf8_check(auth->ask.id.p, auth->ask.id.n)
             | llm_utf8_check(auth->ask.secret.p, auth->ask.secret.n)
             | llm_utf8_check(auth->ask.scope.p, auth->ask.scope.n))
            & LLM_UTF8_INVALID))
    {
        return "has a value that is not UTF-8, as JSON must be";
    }

    return NGX_CONF_OK;
}


/* 0 for the first word, 1 for the second, NGX_DECLINED if nothing was said. */

static ngx_int_t
ngx_llm_stream_auth_word(ngx_str_t *said, const char *first,
    const char *second)
{
    if (said->len == 0) {
        return NGX_DECLINED;
    }

    if (ngx_strcmp(said->data, first) == 0) {
        return 0;
    }

    return ngx_strcmp(said->data, second) == 0 ? 1 : NGX_ERROR;
}


/* A secret is never in the configuration itself: that is read by more people
 * than the secret. */

static char *
ngx_llm_stream_auth_secrets(ngx_conf_t *cf,
    ngx_llm_stream_auth_block_t *block)
{
    ngx_str_t              *said, id, secret;
    ngx_llm_stream_auth_t  *auth;

    auth = block->auth;
    said = block->said;

    id = said[ngx_llm_stream_auth_id];
    ngx_str_null(&secret);

    if (id.len
        && ngx_llm_stream_secret(cf, &said[ngx_llm_stream_auth_id], &id)
           == NGX_ERROR)
    {
        return NGX_CONF_ERROR;
    }

    if (said[ngx_llm_stream_auth_secret].len) {

        switch (ngx_llm_stream_secret(cf, &said[ngx_llm_stream_auth_secret],
                                      &secret))
        {
        case NGX_OK:
            break;

        case NGX_DECLINED:
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"client_secret\" must be \"file:PATH\" or "
                               "\"env:NAME\"");
            /* fall through */

        default:
            return NGX_CONF_ERROR;
        }
    }

    if (id.len == 0 || secret.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"%s\" in \"llm_stream_auth_provider\"",
                           id.len ? "client_secret" : "client_id");
        return NGX_CONF_ERROR;
    }

    auth->ask.id.p = id.data;
    auth->ask.id.n = id.len;
    auth->ask.secret.p = secret.data;
    auth->ask.secret.n = secret.len;
    auth->ask.scope.p = said[ngx_llm_stream_auth_scope].data;
    auth->ask.scope.n = said[ngx_llm_stream_auth_scope].len;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_llm_stream_auth_zone(ngx_conf_t *cf, ngx_llm_stream_auth_t *auth)
{
    ngx_str_t  name;

    name.len = sizeof("llm_stream_auth_") - 1 + auth->name.len;
    name.data = ngx_pnalloc(cf->pool, name.len);
    if (name.data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(name.data, "llm_stream_auth_%V", &auth->name);

    auth->zone = ngx_shared_memory_add(cf, &name, NGX_LLM_STREAM_AUTH_ZONE,
                                       &ngx_llm_stream_module);
    if (auth->zone == NULL) {
        return NGX_ERROR;
    }

    auth->zone->init = ngx_llm_stream_auth_init_zone;
    auth->zone->data = auth;

    return NGX_OK;
}


static ngx_llm_stream_auth_t *
ngx_llm_stream_auth_find(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t                    i;
    ngx_llm_stream_auth_t       **auth;
    ngx_llm_stream_main_conf_t   *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_llm_stream_module);
    auth = lmcf->auths->elts;

    for (i = 0; i < lmcf->auths->nelts; i++) {
        if (auth[i]->name.len == name->len
            && ngx_memcmp(auth[i]->name.data, name->data, name->len) == 0)
        {
            return auth[i];
        }
    }

    return NULL;
}


/* llm_stream_auth NAME | off */

char *
ngx_llm_stream_set_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    ngx_str_t  *value;

    if (llcf->auth_name.data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    llcf->auth_name = value[1];
    llcf->auth_file = cf->conf_file->file.name.data;
    llcf->auth_line = cf->conf_file->line;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        llcf->auth_name.len = 0;
    }

    return ngx_llm_stream_key_or_auth(llcf);
}


/* One level has a key or a token: called for the second that it sets. */

char *
ngx_llm_stream_key_or_auth(ngx_llm_stream_loc_conf_t *llcf)
{
    return (llcf->api_key != NGX_CONF_UNSET_PTR && llcf->api_key
            && llcf->auth_name.len)
           ? "excludes \"llm_stream_api_key\" or \"llm_stream_auth\" of the "
             "same level" : NGX_CONF_OK;
}


/*
 * A location has a key, or a token, or the client's own credential: a level
 * that says one of them says all.
 */

char *
ngx_llm_stream_merge_key(ngx_conf_t *cf, ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf)
{
    if (conf->auth_name.data == NULL && conf->api_key == NGX_CONF_UNSET_PTR) {
        conf->auth_name = prev->auth_name;
        conf->auth_file = prev->auth_file;
        conf->auth_line = prev->auth_line;
        conf->api_key = prev->api_key;
    }

    ngx_conf_init_ptr_value(conf->api_key, NULL);

    if (conf->auth_name.len == 0) {
        return NGX_CONF_OK;
    }

    conf->auth = ngx_llm_stream_auth_find(cf, &conf->auth_name);

    if (conf->auth == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no \"llm_stream_auth_provider\" \"%V\" in %s:%ui",
                      &conf->auth_name, conf->auth_file, conf->auth_line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
