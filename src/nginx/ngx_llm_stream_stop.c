/*
 * Stop strings: those of llm_stream_stop, and those of a request that its
 * provider cannot be told of.  The automaton of a location is made once, one
 * of a request only if that brings its own.  It must never write a request's
 * strings to a log.
 */

#include "ngx_llm_stream.h"

#include "llm_stage_stop.h"
#include "llm_utf8.h"


#define NGX_LLM_STREAM_STOPS  64        /* of a location, of a request */


struct ngx_llm_stream_stop_s {
    llm_match_t    match;
    ngx_uint_t     n;
    llm_slice_t    strings[1];
};


static ngx_llm_stream_stop_t *ngx_llm_stream_stop_create(ngx_pool_t *pool,
    ngx_uint_t n);
static ngx_int_t ngx_llm_stream_stop_build(ngx_pool_t *pool,
    ngx_llm_stream_stop_t *stop);
static char *ngx_llm_stream_check_stop(ngx_str_t *string);


/* llm_stream_stop string ... | off */

char *
ngx_llm_stream_set_stop(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    char                   *rv;
    ngx_str_t              *value;
    ngx_uint_t              i;
    ngx_llm_stream_stop_t  *stop;

    if (llcf->stop != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        llcf->stop = NULL;
        return NGX_CONF_OK;
    }

    if (cf->args->nelts - 1 > NGX_LLM_STREAM_STOPS) {
        return "has more than 64 strings";
    }

    stop = ngx_llm_stream_stop_create(cf->pool, cf->args->nelts - 1);
    if (stop == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "off") == 0) {
            return "has \"off\" beside other strings";
        }

        rv = ngx_llm_stream_check_stop(&value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }

        stop->strings[stop->n].p = value[i].data;
        stop->strings[stop->n++].n = value[i].len;
    }

    if (ngx_llm_stream_stop_build(cf->pool, stop) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    llcf->stop = stop;

    return NGX_CONF_OK;
}


static char *
ngx_llm_stream_check_stop(ngx_str_t *string)
{
    if (string->len == 0) {
        return "has an empty string";
    }

    if (string->len > LLM_MATCH_LENGTH) {
        return "has a string longer than 256 bytes";
    }

    if (llm_utf8_check(string->data, string->len) & LLM_UTF8_INVALID) {
        return "has a string that is not UTF-8";
    }

    return NGX_CONF_OK;
}


/* Room for n strings, none in it. */

static ngx_llm_stream_stop_t *
ngx_llm_stream_stop_create(ngx_pool_t *pool, ngx_uint_t n)
{
    return ngx_pcalloc(pool, sizeof(ngx_llm_stream_stop_t)
                             + n * sizeof(llm_slice_t));
}


static ngx_int_t
ngx_llm_stream_stop_build(ngx_pool_t *pool, ngx_llm_stream_stop_t *stop)
{
    void  *memory;

    memory = ngx_palloc(pool, llm_match_size(stop->strings, stop->n));
    if (memory == NULL) {
        return NGX_ERROR;
    }

    llm_match_init(&stop->match, memory, stop->strings, stop->n);

    return NGX_OK;
}


/*
 * Runs once a request is planned: makes the automaton of its own strings and
 * the location's, if it has any.  Strings that are empty stop nothing.  NGX_OK,
 * or a status.
 */

ngx_int_t
ngx_llm_stream_plan_stop(ngx_llm_stream_ctx_t *ctx)
{
    ngx_str_t              *own;
    ngx_uint_t              i;
    ngx_pool_t             *pool;
    ngx_llm_stream_stop_t  *stop, *all;

    all = ctx->conf->stop;
    ctx->stop = all;

    if (ctx->stops == NULL) {
        return NGX_OK;
    }

    own = ctx->stops->elts;

    if (ctx->stops->nelts > NGX_LLM_STREAM_STOPS) {
        return ngx_llm_stream_refuse(ctx, LLM_FAULT_BAD_REQUEST, "stop");
    }

    pool = ctx->request->pool;

    stop = ngx_llm_stream_stop_create(pool, ctx->stops->nelts
                                            + (all ? all->n : 0));
    if (stop == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < ctx->stops->nelts; i++) {

        if (own[i].len > LLM_MATCH_LENGTH) {
            return ngx_llm_stream_refuse(ctx, LLM_FAULT_BAD_REQUEST, "stop");
        }

        if (own[i].len) {
            stop->strings[stop->n].p = own[i].data;
            stop->strings[stop->n++].n = own[i].len;
        }
    }

    if (stop->n == 0) {
        return NGX_OK;
    }

    for (i = 0; all && i < all->n; i++) {
        stop->strings[stop->n++] = all->strings[i];
    }

    if (ngx_llm_stream_stop_build(pool, stop) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->stop = stop;

    return NGX_OK;
}


/* The stage of an attempt: NGX_OK, or NGX_DECLINED if there is none. */

ngx_int_t
ngx_llm_stream_stage_stop(ngx_llm_stream_ctx_t *ctx, llm_stage_conf_t *conf)
{
    if (ctx->stop == NULL) {
        return NGX_DECLINED;
    }

    conf->conf = &ctx->stop->match;

    return NGX_OK;
}
