/*
 * How many requests of an upstream may be sent again: a part of those that
 * came in the last ten seconds.  A provider that fails under load must not
 * get twice the load for it, and clients try again by themselves.  Counted
 * in each worker for itself, over all locations with the same upstream; a
 * location whose URL has variables counts for itself.
 */

#include "ngx_llm_stream.h"


#define NGX_LLM_STREAM_BUDGET_TIME   5000   /* ms, of the two periods */
#define NGX_LLM_STREAM_BUDGET_FLOOR  10     /* in any case */


struct ngx_llm_stream_budget_s {
    ngx_llm_stream_budget_t       *next;
    ngx_http_upstream_srv_conf_t  *upstream;

    /* this period and the one before */
    ngx_msec_t                     since;
    ngx_uint_t                     requests[2];
    ngx_uint_t                     retries[2];
};


static void ngx_llm_stream_budget_now(ngx_llm_stream_budget_t *b);


/* llm_stream_retry_budget PERCENT% | off */

char *
ngx_llm_stream_set_budget(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (llcf->retry_percent != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        llcf->retry_percent = 0;
        return NGX_CONF_OK;
    }

    n = NGX_ERROR;

    if (value[1].len && value[1].data[value[1].len - 1] == '%') {
        n = ngx_atoi(value[1].data, value[1].len - 1);
    }

    if (n == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid value \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (n < 1 || n > 100) {
        return "must be from 1% to 100%";
    }

    llcf->retry_percent = n;

    return NGX_CONF_OK;
}


/* For a location with a provider, once its upstream is known. */

char *
ngx_llm_stream_budget_merge(ngx_conf_t *cf, ngx_llm_stream_loc_conf_t *llcf)
{
    ngx_llm_stream_budget_t     *b;
    ngx_llm_stream_main_conf_t  *lmcf;

    llcf->budget = NULL;

    if (llcf->retry_percent == 0) {
        return NGX_CONF_OK;
    }

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_llm_stream_module);

    for (b = lmcf->budgets; b; b = b->next) {
        if (llcf->upstream.upstream && b->upstream == llcf->upstream.upstream)
        {
            llcf->budget = b;
            return NGX_CONF_OK;
        }
    }

    b = ngx_pcalloc(cf->pool, sizeof(ngx_llm_stream_budget_t));
    if (b == NULL) {
        return NGX_CONF_ERROR;
    }

    b->upstream = llcf->upstream.upstream;
    b->next = lmcf->budgets;
    lmcf->budgets = b;
    llcf->budget = b;

    return NGX_CONF_OK;
}


/* A request of a client goes to the upstream. */

void
ngx_llm_stream_budget_request(ngx_llm_stream_ctx_t *ctx)
{
    ngx_llm_stream_budget_t  *b;

    b = ctx->conf->budget;

    if (b) {
        ngx_llm_stream_budget_now(b);
        b->requests[0]++;
    }
}


/* One more attempt is wanted.  NGX_DECLINED: there were too many already. */

ngx_int_t
ngx_llm_stream_budget_retry(ngx_llm_stream_ctx_t *ctx)
{
    ngx_uint_t                retries, requests;
    ngx_llm_stream_budget_t  *b;

    b = ctx->conf->budget;

    if (b == NULL) {
        return NGX_OK;
    }

    ngx_llm_stream_budget_now(b);

    retries = b->retries[0] + b->retries[1];
    requests = b->requests[0] + b->requests[1];

    if (retries >= NGX_LLM_STREAM_BUDGET_FLOOR
        && (retries + 1) * 100 > requests * ctx->conf->retry_percent)
    {
        ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                      "llm_stream retry budget is spent: %ui of the last %ui "
                      "requests were sent again", retries, requests);
        return NGX_DECLINED;
    }

    b->retries[0]++;

    return NGX_OK;
}


static void
ngx_llm_stream_budget_now(ngx_llm_stream_budget_t *b)
{
    ngx_msec_t  past;

    past = ngx_current_msec - b->since;

    if (past < NGX_LLM_STREAM_BUDGET_TIME) {
        return;
    }

    b->requests[1] = b->requests[0];
    b->retries[1] = b->retries[0];

    if (past >= 2 * NGX_LLM_STREAM_BUDGET_TIME) {
        b->requests[1] = 0;
        b->retries[1] = 0;
    }

    b->requests[0] = 0;
    b->retries[0] = 0;
    b->since = ngx_current_msec;
}
