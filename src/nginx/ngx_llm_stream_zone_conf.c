/*
 * llm_stream_zone: its argument, and the locations that count in it.
 */

#include "ngx_llm_stream_zone.h"


/* zones of other kinds cannot be taken for it */
static ngx_uint_t  ngx_llm_stream_zone_tag;


/* llm_stream_zone NAME:SIZE */

char *
ngx_llm_stream_set_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_main_conf_t *lmcf = conf;

    ssize_t                 size;
    ngx_str_t              *value, name;
    ngx_shm_zone_t         *shm_zone;
    ngx_llm_stream_zone_t  *zone;

    if (lmcf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_llm_stream_zone_size(cf, &value[1], 0, &name, &size) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_llm_stream_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_array_init(&zone->locations, cf->pool, 4,
                       sizeof(ngx_llm_stream_place_t *))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    shm_zone = ngx_shared_memory_add(cf, &name, size,
                                     &ngx_llm_stream_zone_tag);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_llm_stream_zone_init;
    shm_zone->data = zone;

    zone->name = name;
    lmcf->zone = zone;

    return NGX_CONF_OK;
}


/* NAME:SIZE, behind the first bytes of an argument. */

ngx_int_t
ngx_llm_stream_zone_size(ngx_conf_t *cf, ngx_str_t *arg, size_t skip,
    ngx_str_t *name, ssize_t *size)
{
    u_char     *p;
    ngx_str_t   s;

    name->data = arg->data + skip;
    *size = NGX_ERROR;

    p = (u_char *) ngx_strchr(name->data, ':');

    if (p && p != name->data) {
        name->len = p - name->data;

        s.data = p + 1;
        s.len = arg->data + arg->len - s.data;

        *size = ngx_parse_size(&s);
    }

    if (*size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\"", arg);
        return NGX_ERROR;
    }

    if (*size < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is too small", arg);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * At the merge of a location of ours, when the zone is known if there is one.
 * "if" and "limit_except" have the name of what they are in.
 */

ngx_int_t
ngx_llm_stream_zone_place(ngx_conf_t *cf, ngx_llm_stream_loc_conf_t *conf)
{
    ngx_llm_stream_place_t      *place, **p;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_core_srv_conf_t    *cscf;
    ngx_llm_stream_main_conf_t  *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_llm_stream_module);

    if (lmcf->zone == NULL || conf->provider == NULL) {
        return NGX_OK;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    place = ngx_pcalloc(cf->pool, sizeof(ngx_llm_stream_place_t));
    if (place == NULL) {
        return NGX_ERROR;
    }

    p = ngx_array_push(&lmcf->zone->locations);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *p = place;

    place->zone = lmcf->zone;
    place->labels.server = cscf->server_name;
    place->labels.location = clcf->name;
    place->labels.upstream.data = (u_char *) conf->provider->name.p;
    place->labels.upstream.len = conf->provider->name.n;
    ngx_str_set(&place->labels.model, "other");

    conf->place = place;

    return NGX_OK;
}
