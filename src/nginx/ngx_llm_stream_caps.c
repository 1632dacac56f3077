/*
 * How much a request may ask for: tokens of output, answers, messages.  What
 * is too much is lowered (tokens) or refused (the others); what the provider
 * cannot be asked for at all is kept for the stages that do it instead.  The
 * client's body is never changed here.
 */

#include "ngx_llm_stream.h"

#include "llm_json.h"


static ngx_int_t ngx_llm_stream_refuse_much(ngx_llm_stream_ctx_t *ctx,
    const llm_ask_t *ask);


void
ngx_llm_stream_unset_caps(ngx_llm_stream_loc_conf_t *conf)
{
    conf->prompt = NGX_CONF_UNSET_PTR;
    conf->system = NGX_CONF_UNSET_PTR;
    conf->max_output_tokens = NGX_CONF_UNSET_UINT;
    conf->max_choices = NGX_CONF_UNSET_UINT;
    conf->max_messages = NGX_CONF_UNSET_UINT;
}


void
ngx_llm_stream_merge_caps(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf)
{
    ngx_conf_merge_ptr_value(conf->prompt, prev->prompt, NULL);
    ngx_conf_merge_ptr_value(conf->system, prev->system, NULL);
    ngx_conf_merge_uint_value(conf->max_output_tokens,
                              prev->max_output_tokens, 0);
    ngx_conf_merge_uint_value(conf->max_choices, prev->max_choices, 0);
    ngx_conf_merge_uint_value(conf->max_messages, prev->max_messages, 0);
}


/* A number at cmd->offset, or "off", which is 0. */

char *
ngx_llm_stream_set_count(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char        *p = conf;
    ngx_int_t    n;
    ngx_str_t   *value;
    ngx_uint_t  *field;

    field = (ngx_uint_t *) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        *field = 0;
        return NGX_CONF_OK;
    }

    n = ngx_atoi(value[1].data, value[1].len);

    if (n == NGX_ERROR) {
        return "invalid number";
    }

    if (n == 0 || n > NGX_MAX_INT32_VALUE) {
        return "must be \"off\", or from 1 to 2147483647";
    }

    *field = n;

    return NGX_CONF_OK;
}


/* Whether the request asks for more than it may.  NGX_OK, or a status.  That
 * of llm_stream_prompt is not the client's. */

ngx_int_t
ngx_llm_stream_check_caps(ngx_llm_stream_ctx_t *ctx)
{
    uint64_t      n;
    llm_asked_t  *asked;

    asked = &ctx->req.asked;

    if (ctx->prompt.n) {
        return NGX_OK;
    }

    n = (uint64_t) asked->prompts * asked->tries;

    if (ctx->conf->max_choices && n > ctx->conf->max_choices) {
        return ngx_llm_stream_refuse_much(ctx, asked->more);
    }

    if (ctx->conf->max_messages
        && (uint64_t) asked->messages > ctx->conf->max_messages)
    {
        return ngx_llm_stream_refuse_much(ctx, asked->list);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_refuse_much(ngx_llm_stream_ctx_t *ctx, const llm_ask_t *ask)
{
    size_t  n;

    if (ask->outer == NULL) {
        return ngx_llm_stream_refuse(ctx, LLM_FAULT_BAD_REQUEST, ask->name);
    }

    n = ngx_strlen(ask->outer) + 1 + ngx_strlen(ask->name);

    ctx->member.data = ngx_pnalloc(ctx->request->pool, n);
    if (ctx->member.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->member.len = ngx_sprintf(ctx->member.data, "%s.%s", ask->outer,
                                  ask->name)
                      - ctx->member.data;

    return ngx_llm_stream_refuse(ctx, LLM_FAULT_BAD_REQUEST, NULL);
}


/* Lowers the limits that llm_stream_param says; in the memory of the plan. */

ngx_int_t
ngx_llm_stream_cap_params(ngx_llm_stream_ctx_t *ctx, llm_request_set_t *set,
    size_t nset)
{
    size_t       i;
    llm_rc_t     rc;
    llm_block_t  value;

    if (ctx->conf->max_output_tokens == 0) {
        return NGX_OK;
    }

    for (i = 0; i < nset; i++) {

        ngx_memzero(&value, sizeof(llm_block_t));

        rc = llm_request_cap_value(&value, &ctx->plan->alloc,
                                   ctx->conf->dialect,
                                   ctx->conf->max_output_tokens, &set[i]);

        if (rc == LLM_INVALID) {
            ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                          "value of \"llm_stream_param\" \"%*s\" cannot "
                          "hold the limit of \"llm_stream_max_output_tokens\"",
                          set[i].name.n, set[i].name.p);
        }

        if (rc == LLM_OK) {
            set[i].value.p = value.p;
            set[i].value.n = value.n;

        } else if (rc != LLM_AGAIN) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* What the provider is asked for, for those who count on it. */

void
ngx_llm_stream_asked(ngx_llm_stream_ctx_t *ctx, const llm_request_set_t *set,
    size_t nset)
{
    size_t                i;
    llm_json_t            j;
    llm_asked_t           asked, given;
    llm_slice_t           raw;
    llm_json_type_t       type;
    const llm_dialect_t  *to;

    to = ctx->conf->dialect;
    asked = ctx->req.asked;

    for (i = 0; i < nset && to->asks; i++) {
        llm_asked_init(&given);
        given.answers = 0;

        llm_json_init(&j, set[i].value.p, set[i].value.n, LLM_JSON_DEPTH);
        type = llm_json_skip(&j, &raw);
        llm_asked_member(&given, to->asks, &set[i].name, type, &raw);

        if (given.output != -1
            && (!set[i].if_absent || asked.output == -1))
        {
            asked.output = given.output;
        }

        if (given.answers && !(set[i].if_absent && asked.answers > 1)) {
            asked.answers = given.answers;
        }
    }

    if (ctx->conf->max_output_tokens
        && (asked.output == -1
            || asked.output > (int64_t) ctx->conf->max_output_tokens))
    {
        asked.output = ctx->conf->max_output_tokens;
    }

    ctx->max_output = asked.output;
    ctx->choices = 1;

    if (to->choices) {
        ctx->choices = ngx_min(asked.answers * asked.prompts,
                               NGX_MAX_INT32_VALUE);
    }
}


/* Copies the stop strings that the provider cannot be asked for: the plan does
 * not live as long as the answer. */

ngx_int_t
ngx_llm_stream_take_stops(ngx_llm_stream_ctx_t *ctx)
{
    size_t        i, n;
    ngx_str_t    *stop;
    llm_block_t  *stops;
    llm_slice_t  *from;

    stops = &ctx->plan->writer.stops;

    from = (llm_slice_t *) stops->p;
    n = stops->n / sizeof(llm_slice_t);

    ctx->stops = NULL;

    if (n == 0) {
        return NGX_OK;
    }

    ctx->stops = ngx_array_create(ctx->request->pool, n, sizeof(ngx_str_t));
    if (ctx->stops == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        stop = ngx_array_push(ctx->stops);
        if (stop == NULL) {
            return NGX_ERROR;
        }

        stop->data = ngx_pnalloc(ctx->request->pool, from[i].n);
        if (stop->data == NULL) {
            return NGX_ERROR;
        }

        stop->len = llm_json_unescape(stop->data, from[i].p, from[i].n);
    }

    return NGX_OK;
}


/* Whether the limit of output is kept here, by the estimate of the answer: the
 * provider cannot be asked to. */

ngx_uint_t
ngx_llm_stream_keeps_length(ngx_llm_stream_ctx_t *ctx)
{
    return ctx->conf->max_output_tokens
           && llm_ask_output(ctx->conf->dialect->asks) == NULL;
}


/* Runs when the stages of an answer are set up. */

ngx_int_t
ngx_llm_stream_length_conf(ngx_llm_stream_ctx_t *ctx, llm_stage_conf_t *conf)
{
    uint64_t  *limit;

    if (!ngx_llm_stream_keeps_length(ctx)) {
        return NGX_DECLINED;
    }

    limit = ngx_palloc(ctx->request->pool, sizeof(uint64_t));
    if (limit == NULL) {
        return NGX_ERROR;
    }

    *limit = (uint64_t) ctx->conf->max_output_tokens * 1000;
    conf->conf = limit;

    return NGX_OK;
}
