/*
 * llm_stream_coalesce: what it is given, and for whom it is on.  What is done
 * with the text is the stage's.
 */

#include "ngx_llm_stream.h"


#define NGX_LLM_STREAM_COALESCE_DELAY     100     /* ms */
#define NGX_LLM_STREAM_COALESCE_SENTENCE  250     /* the same */
#define NGX_LLM_STREAM_COALESCE_TIME      60000

/* no more than the stage holds, whatever the characters */
#define NGX_LLM_STREAM_COALESCE_SIZE      (LLM_COALESCE_HELD / 4)


/* What one parameter is: its name with "=", where it goes. */

typedef struct {
    ngx_str_t        name;
    char          *(*set)(llm_coalesce_conf_t *conf, ngx_str_t *value);
} ngx_llm_stream_coalesce_param_t;


static char *ngx_llm_stream_coalesce_time(llm_coalesce_conf_t *conf,
    ngx_str_t *value);
static char *ngx_llm_stream_coalesce_delay(llm_coalesce_conf_t *conf,
    ngx_str_t *value);
static char *ngx_llm_stream_coalesce_size(llm_coalesce_conf_t *conf,
    ngx_str_t *value);
static char *ngx_llm_stream_coalesce_boundary(llm_coalesce_conf_t *conf,
    ngx_str_t *value);


static ngx_llm_stream_coalesce_param_t  ngx_llm_stream_coalesce_params[] = {
    { ngx_string("time="), ngx_llm_stream_coalesce_time },
    { ngx_string("size="), ngx_llm_stream_coalesce_size },
    { ngx_string("boundary="), ngx_llm_stream_coalesce_boundary },
    { ngx_string("max_delay="), ngx_llm_stream_coalesce_delay },
    { ngx_null_string, NULL }
};


/* 0 if it is no time, or none that a client should wait. */

static int64_t
ngx_llm_stream_coalesce_ms(ngx_str_t *value)
{
    ngx_int_t  ms;

    ms = ngx_parse_time(value, 0);

    return (ms == NGX_ERROR || ms > NGX_LLM_STREAM_COALESCE_TIME) ? 0 : ms;
}


static char *
ngx_llm_stream_coalesce_time(llm_coalesce_conf_t *conf, ngx_str_t *value)
{
    if (conf->time != 0) {
        return "duplicate";
    }

    conf->time = ngx_llm_stream_coalesce_ms(value);

    return conf->time == 0 ? "invalid" : NGX_CONF_OK;
}


static char *
ngx_llm_stream_coalesce_delay(llm_coalesce_conf_t *conf, ngx_str_t *value)
{
    if (conf->max_delay != 0) {
        return "duplicate";
    }

    conf->max_delay = ngx_llm_stream_coalesce_ms(value);

    return conf->max_delay == 0 ? "invalid" : NGX_CONF_OK;
}


static char *
ngx_llm_stream_coalesce_size(llm_coalesce_conf_t *conf, ngx_str_t *value)
{
    ngx_int_t  n;

    if (conf->size != 0) {
        return "duplicate";
    }

    n = ngx_atoi(value->data, value->len);

    if (n < 1 || n > NGX_LLM_STREAM_COALESCE_SIZE) {
        return "invalid";
    }

    conf->size = n;

    return NGX_CONF_OK;
}


static char *
ngx_llm_stream_coalesce_boundary(llm_coalesce_conf_t *conf,
    ngx_str_t *value)
{
    size_t  i;

    static struct {
        ngx_str_t       name;
        llm_break_at_t  at;
    } words[] = {
        { ngx_string("word"), LLM_BREAK_WORD },
        { ngx_string("sentence"), LLM_BREAK_SENTENCE },
        { ngx_string("line"), LLM_BREAK_LINE }
    };

    if (conf->boundary != LLM_BREAK_CLUSTER) {
        return "duplicate";
    }

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {

        if (value->len == words[i].name.len
            && ngx_strncmp(value->data, words[i].name.data, value->len) == 0)
        {
            conf->boundary = words[i].at;
            return NGX_CONF_OK;
        }
    }

    return "invalid";
}


static char *
ngx_llm_stream_coalesce_param(ngx_conf_t *cf, llm_coalesce_conf_t *conf,
    ngx_str_t *arg)
{
    char                             *rv;
    ngx_str_t                         value;
    ngx_llm_stream_coalesce_param_t  *p;

    rv = "invalid";

    for (p = ngx_llm_stream_coalesce_params; p->name.len; p++) {

        if (arg->len < p->name.len
            || ngx_strncmp(arg->data, p->name.data, p->name.len) != 0)
        {
            continue;
        }

        value.data = arg->data + p->name.len;
        value.len = arg->len - p->name.len;

        rv = p->set(conf, &value);
        break;
    }

    if (rv != NGX_CONF_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s parameter \"%V\"", rv,
                           arg);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* llm_stream_coalesce off | [time=] [size=] [boundary=] [max_delay=] */

char *
ngx_llm_stream_set_coalesce(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    ngx_str_t            *value;
    ngx_uint_t            i;
    llm_coalesce_conf_t  *c;

    if (llcf->coalesce != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        llcf->coalesce = NULL;
        return NGX_CONF_OK;
    }

    c = ngx_pcalloc(cf->pool, sizeof(llm_coalesce_conf_t));
    if (c == NULL) {
        return NGX_CONF_ERROR;
    }

    c->boundary = LLM_BREAK_CLUSTER;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_llm_stream_coalesce_param(cf, c, &value[i]) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (c->time == 0 && c->size == 0 && c->boundary == LLM_BREAK_CLUSTER) {
        return "needs \"time\", \"size\" or \"boundary\"";
    }

    if (c->max_delay == 0) {
        c->max_delay = (c->boundary == LLM_BREAK_SENTENCE)
                       ? NGX_LLM_STREAM_COALESCE_SENTENCE
                       : NGX_LLM_STREAM_COALESCE_DELAY;
        c->max_delay = ngx_max(c->max_delay, c->time);
    }

    if (c->max_delay < c->time) {
        return "has a \"max_delay\" that is less than its \"time\"";
    }

    llcf->coalesce = c;

    return NGX_CONF_OK;
}


/* One answer is not shaped: it goes when it is whole. */

ngx_int_t
ngx_llm_stream_coalesce(ngx_llm_stream_ctx_t *ctx, llm_stage_conf_t *conf)
{
    if (ctx->conf->coalesce == NULL || !ctx->stream) {
        return NGX_DECLINED;
    }

    conf->conf = ctx->conf->coalesce;

    return NGX_OK;
}
