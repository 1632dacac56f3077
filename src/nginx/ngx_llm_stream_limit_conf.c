/*
 * llm_stream_limit_zone and llm_stream_limit: their arguments and merge.
 */

#include "ngx_llm_stream_limit.h"


static ngx_int_t ngx_llm_stream_limit_rate(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_llm_stream_limit_zone_t *zone);
static ngx_int_t ngx_llm_stream_limit_add_zone(ngx_conf_t *cf,
    ngx_llm_stream_main_conf_t *lmcf, ngx_str_t *name, ssize_t size,
    ngx_llm_stream_limit_zone_t *zone);
static ngx_int_t ngx_llm_stream_limit_parse(ngx_conf_t *cf,
    ngx_llm_stream_limit_t *limit);
static char *ngx_llm_stream_limit_add(ngx_array_t *limits,
    ngx_llm_stream_limit_t *limit);


/* zones of other kinds cannot be taken for these */
static ngx_uint_t  ngx_llm_stream_limit_tag;


/* llm_stream_limit_zone KEY zone=NAME:SIZE rate=N t/s or t/m */

char *
ngx_llm_stream_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_main_conf_t *lmcf = conf;

    ssize_t                       size;
    ngx_str_t                    *value, name;
    ngx_uint_t                    i;
    ngx_llm_stream_limit_zone_t  *zone;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_llm_stream_limit_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    ngx_str_null(&name);
    size = 0;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0) {
            if (ngx_llm_stream_zone_size(cf, &value[i], 5, &name, &size)
                != NGX_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "rate=", 5) == 0) {
            if (ngx_llm_stream_limit_rate(cf, &value[i], zone) != NGX_OK) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    if (name.len == 0 || zone->rate == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must have \"%s\" parameter",
                           &cmd->name, name.len ? "rate" : "zone");
        return NGX_CONF_ERROR;
    }

    if (ngx_llm_stream_compile(cf, &value[1], &zone->key) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_llm_stream_limit_add_zone(cf, lmcf, &name, size, zone)
           == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* rate=N, with t/s or t/m */

static ngx_int_t
ngx_llm_stream_limit_rate(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_llm_stream_limit_zone_t *zone)
{
    u_char     *p;
    size_t      len;
    ngx_int_t   n, scale;

    p = arg->data + 5;
    len = arg->len - 5;
    scale = 0;

    if (len > 3) {
        len -= 3;

        if (ngx_strcmp(p + len, "t/s") == 0) {
            scale = 60;

        } else if (ngx_strcmp(p + len, "t/m") == 0) {
            scale = 1;
        }
    }

    n = ngx_atoi(p, len);

    if (scale == 0 || n <= 0 || n > NGX_LLM_STREAM_TOKENS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid rate \"%V\"", arg);
        return NGX_ERROR;
    }

    zone->tokens = n;
    zone->rate = (int64_t) n * scale;

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_limit_add_zone(ngx_conf_t *cf,
    ngx_llm_stream_main_conf_t *lmcf, ngx_str_t *name, ssize_t size,
    ngx_llm_stream_limit_zone_t *zone)
{
    ngx_shm_zone_t               *shm_zone, **z;
    ngx_llm_stream_limit_zone_t  *bound;

    shm_zone = ngx_shared_memory_add(cf, name, size,
                                     &ngx_llm_stream_limit_tag);
    if (shm_zone == NULL) {
        return NGX_ERROR;
    }

    if (shm_zone->data) {
        bound = shm_zone->data;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is already bound to key \"%V\"",
                           name, &bound->key.value);
        return NGX_ERROR;
    }

    shm_zone->init = ngx_llm_stream_limit_init_zone;
    shm_zone->data = zone;

    if (lmcf->limit_zones == NULL) {
        lmcf->limit_zones = ngx_array_create(cf->pool, 2,
                                             sizeof(ngx_shm_zone_t *));
        if (lmcf->limit_zones == NULL) {
            return NGX_ERROR;
        }
    }

    z = ngx_array_push(lmcf->limit_zones);
    if (z == NULL) {
        return NGX_ERROR;
    }

    *z = shm_zone;

    return NGX_OK;
}


/* llm_stream_limit zone=NAME [burst=N] | off */

char *
ngx_llm_stream_set_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    ngx_str_t               *value;
    ngx_llm_stream_limit_t   limit;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        if (llcf->limits != NGX_CONF_UNSET_PTR) {
            return "is duplicate";
        }

        llcf->limits = NULL;
        return NGX_CONF_OK;
    }

    if (llcf->limits == NULL) {
        return "is off already";
    }

    ngx_memzero(&limit, sizeof(ngx_llm_stream_limit_t));

    if (ngx_llm_stream_limit_parse(cf, &limit) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (limit.zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must have \"zone\" parameter", &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (llcf->limits == NGX_CONF_UNSET_PTR) {
        llcf->limits = ngx_array_create(cf->pool, 1,
                                        sizeof(ngx_llm_stream_limit_t));
        if (llcf->limits == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return ngx_llm_stream_limit_add(llcf->limits, &limit);
}


static ngx_int_t
ngx_llm_stream_limit_parse(ngx_conf_t *cf, ngx_llm_stream_limit_t *limit)
{
    ngx_int_t    n;
    ngx_str_t   *value, name;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0
            && value[i].len > 5)
        {
            name.data = value[i].data + 5;
            name.len = value[i].len - 5;

            limit->zone = ngx_shared_memory_add(cf, &name, 0,
                                                &ngx_llm_stream_limit_tag);
            if (limit->zone == NULL) {
                return NGX_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "burst=", 6) == 0) {

            n = ngx_atoi(value[i].data + 6, value[i].len - 6);

            if (n <= 0 || n > NGX_LLM_STREAM_TOKENS_MAX) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid burst value \"%V\"", &value[i]);
                return NGX_ERROR;
            }

            limit->burst = n;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\"", &value[i]);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static char *
ngx_llm_stream_limit_add(ngx_array_t *limits, ngx_llm_stream_limit_t *limit)
{
    ngx_uint_t               i;
    ngx_llm_stream_limit_t  *l;

    l = limits->elts;

    for (i = 0; i < limits->nelts; i++) {
        if (l[i].zone == limit->zone) {
            return "is duplicate";
        }
    }

    l = ngx_array_push(limits);
    if (l == NULL) {
        return NGX_CONF_ERROR;
    }

    *l = *limit;

    return NGX_CONF_OK;
}


void
ngx_llm_stream_unset_limit(ngx_llm_stream_loc_conf_t *conf)
{
    conf->limits = NGX_CONF_UNSET_PTR;
}


/* Limits are inherited as a whole, or not. */

void
ngx_llm_stream_merge_limit(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf)
{
    ngx_conf_merge_ptr_value(conf->limits, prev->limits, NULL);
}
