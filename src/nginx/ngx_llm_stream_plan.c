/*
 * What the provider is asked: the model, and the body in the provider's
 * dialect.  In the same dialect a few members are replaced and every other
 * byte goes on as it came; between dialects the body is translated.  Large
 * strings are referred to, never copied.
 */

#include "ngx_llm_stream.h"

#include "llm_json.h"
#include "llm_utf8.h"


#define NGX_LLM_STREAM_PLAN_POOL  4096
#define NGX_LLM_STREAM_LOG_NAMES  512       /* bytes of a line of the log */


static ngx_int_t ngx_llm_stream_plan_create(ngx_llm_stream_ctx_t *ctx);
static void *ngx_llm_stream_plan_resize(void *data, void *p, size_t old,
    size_t n);
static ngx_int_t ngx_llm_stream_eval_params(ngx_llm_stream_ctx_t *ctx,
    llm_request_set_t **set);
static ngx_int_t ngx_llm_stream_edit(ngx_llm_stream_ctx_t *ctx,
    llm_request_set_t *set, size_t nset);
static ngx_int_t ngx_llm_stream_translate(ngx_llm_stream_ctx_t *ctx,
    llm_request_set_t *set, size_t nset);
static ngx_int_t ngx_llm_stream_losses(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_refuse_lost(ngx_llm_stream_ctx_t *ctx,
    llm_block_t *names);


/* The model that the provider is asked for.  NGX_OK, or a status. */

ngx_int_t
ngx_llm_stream_eval_model(ngx_llm_stream_ctx_t *ctx)
{
    ngx_str_t  model;

    if (ctx->conf->model == NULL) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(ctx->request, ctx->conf->model, &model)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_llm_stream_check_model(ctx, &model) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "invalid \"llm_stream_model\" value");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (model.len) {
        ctx->model = model;
        ctx->model_set = 1;
    }

    return NGX_OK;
}


/*
 * Makes the provider's body in ctx->plan->writer.rope.  Runs after the
 * upstream was created, because values may use any variable of the request.
 * NGX_OK, or a status.
 */

ngx_int_t
ngx_llm_stream_plan_request(ngx_llm_stream_ctx_t *ctx)
{
    size_t              nset;
    llm_request_set_t  *set;

    set = NULL;
    nset = ctx->conf->params ? ctx->conf->params->nelts : 0;

    if (nset && ngx_llm_stream_eval_params(ctx, &set) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_llm_stream_plan_create(ctx) != NGX_OK
        || ngx_llm_stream_cap_params(ctx, set, nset) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_llm_stream_asked(ctx, set, nset);

    return ctx->asker == ctx->conf->dialect
           ? ngx_llm_stream_edit(ctx, set, nset)
           : ngx_llm_stream_translate(ctx, set, nset);
}


static ngx_int_t
ngx_llm_stream_plan_create(ngx_llm_stream_ctx_t *ctx)
{
    ngx_pool_t             *pool;
    ngx_llm_stream_plan_t  *plan;

    pool = ngx_create_pool(NGX_LLM_STREAM_PLAN_POOL,
                           ctx->request->connection->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    plan = ngx_pcalloc(pool, sizeof(ngx_llm_stream_plan_t));
    if (plan == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    plan->pool = pool;
    plan->alloc.resize = ngx_llm_stream_plan_resize;
    plan->alloc.ctx = pool;

    llm_chat_writer_init(&plan->writer, &plan->alloc);
    ctx->plan = plan;

    return NGX_OK;
}


/* The wire library's memory: large pieces are freed when it says so, the
 * others with the pool. */

static void *
ngx_llm_stream_plan_resize(void *data, void *p, size_t old, size_t n)
{
    ngx_pool_t  *pool = data;

    void  *new;

    new = NULL;

    if (n) {
        new = ngx_palloc(pool, n);
        if (new == NULL) {
            return NULL;
        }
    }

    if (p) {
        if (new) {
            ngx_memcpy(new, p, ngx_min(old, n));
        }

        ngx_pfree(pool, p);
    }

    return new;
}


/* The same request once more, as it is to be asked now.  What it was made of
 * before is gone then. */

ngx_int_t
ngx_llm_stream_plan_again(ngx_llm_stream_ctx_t *ctx)
{
    ngx_destroy_pool(ctx->plan->pool);
    ctx->plan = NULL;

    return ngx_llm_stream_plan_request(ctx);
}


/*
 * Frees what the provider's body was made of: at the end, or as soon as the
 * body is sent and can no more be asked for again.  A stream may last for
 * long.
 */

void
ngx_llm_stream_plan_drop(ngx_llm_stream_ctx_t *ctx)
{
    llm_block_free(&ctx->prompt, &ctx->alloc);

    if (ctx->copy) {
        ngx_free(ctx->copy);
        ctx->copy = NULL;
    }

    if (ctx->plan) {
        ngx_destroy_pool(ctx->plan->pool);
        ctx->plan = NULL;
    }
}


static ngx_int_t
ngx_llm_stream_edit(ngx_llm_stream_ctx_t *ctx, llm_request_set_t *set,
    size_t nset)
{
    llm_rc_t              rc;
    llm_request_change_t  change;

    ngx_memzero(&change, sizeof(llm_request_change_t));

    change.dialect = ctx->asker;
    change.renames = ctx->conf->provider->renames;
    change.set = set;
    change.nset = nset;

    if (ctx->model_set && !ctx->asker->model_in_path) {
        change.model.p = ctx->model.data;
        change.model.n = ctx->model.len;
    }

    /* not where it is said already, if only by silence */

    if (ctx->ask_stream) {
        change.stream = ctx->req.stream == -1 && ctx->asker->stream_default
                        ? -1 : 1;
    } else {
        change.stream = ctx->req.stream == 1
                        || (ctx->req.stream == -1
                            && ctx->asker->stream_default)
                        ? 0 : -1;
    }

    change.usage = ctx->ask_usage;
    change.cap = ctx->conf->max_output_tokens;
    change.no_options = ctx->fallen;

    rc = llm_request_plan(&ctx->plan->plan, ctx->body.data, ctx->body.len,
                          &change, &ctx->plan->alloc);

    if (rc == LLM_OK) {
        rc = llm_plan_rope(&ctx->plan->plan, ctx->body.data, ctx->body.len,
                           &ctx->plan->writer.rope);
    }

    if (rc == LLM_INVALID) {
        /* no object for the limit, or more duplicates than anybody needs */
        return ngx_llm_stream_refuse(ctx, ctx->plan->plan.member
                                          ? LLM_FAULT_BAD_REQUEST
                                          : LLM_FAULT_BAD_JSON,
                                     ctx->plan->plan.member);
    }

    return rc == LLM_OK ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_llm_stream_translate(ngx_llm_stream_ctx_t *ctx, llm_request_set_t *set,
    size_t nset)
{
    llm_rc_t            rc;
    llm_chat_writer_t  *w;

    w = &ctx->plan->writer;

    w->max_depth = ctx->conf->max_depth;
    w->quirks = ctx->conf->provider->quirks;
    w->stream = ctx->ask_stream;
    w->usage = ctx->ask_usage || ctx->req.include_usage == 1;
    w->set = set;
    w->nset = nset;
    w->cap = ctx->conf->max_output_tokens;
    w->take_stops = 1;

    if (ctx->model.len) {
        w->model.p = ctx->model.data;
        w->model.n = ctx->model.len;
    }

    rc = llm_chat_translate(w, &ctx->plan->chat, ctx->asker,
                            ctx->conf->dialect, ctx->body.data,
                            ctx->body.len);

    if (rc == LLM_NOMEM) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != LLM_OK) {
        return ngx_llm_stream_refuse(ctx, ctx->plan->chat.member
                                          ? LLM_FAULT_BAD_REQUEST
                                          : LLM_FAULT_BAD_JSON,
                                     ctx->plan->chat.member);
    }

    if (ngx_llm_stream_take_stops(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_llm_stream_losses(ctx);
}


/* What the provider's dialect cannot say: told in the log, or refused.  The
 * names may be the client's own. */

static ngx_int_t
ngx_llm_stream_losses(ngx_llm_stream_ctx_t *ctx)
{
    size_t              n;
    llm_block_t        *b;
    llm_chat_writer_t  *w;
    llm_u8              names[NGX_LLM_STREAM_LOG_NAMES];

    w = &ctx->plan->writer;

    if (w->refused.n && !ctx->conf->unsupported_drop) {
        return ngx_llm_stream_refuse_lost(ctx, &w->refused);
    }

    for (b = &w->lost; b; b = (b == &w->lost) ? &w->refused : NULL) {

        if (b->n == 0) {
            continue;
        }

        n = llm_utf8_label(names, sizeof(names), b->p, b->n);

        ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                      "llm_stream dropped \"%*s\" of the request: upstream "
                      "\"%*s\" cannot say it", n, names,
                      ctx->conf->dialect->name.n,
                      ctx->conf->dialect->name.p);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_refuse_lost(ngx_llm_stream_ctx_t *ctx, llm_block_t *names)
{
    ctx->fault = LLM_FAULT_UNSUPPORTED;

    ctx->member.len = names->n;
    ctx->member.data = ngx_pnalloc(ctx->request->pool, names->n);

    if (ctx->member.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(ctx->member.data, names->p, names->n);

    return llm_fault_info(ctx->fault)->status;
}


static ngx_int_t
ngx_llm_stream_eval_params(ngx_llm_stream_ctx_t *ctx,
    llm_request_set_t **list)
{
    llm_json_t               json;
    ngx_str_t                value;
    ngx_uint_t               i;
    llm_slice_t              raw;
    llm_request_set_t       *set;
    ngx_llm_stream_param_t  *param;

    param = ctx->conf->params->elts;

    set = ngx_pcalloc(ctx->request->pool, ctx->conf->params->nelts
                                          * sizeof(llm_request_set_t));
    if (set == NULL) {
        return NGX_ERROR;
    }

    *list = set;

    for (i = 0; i < ctx->conf->params->nelts; i++) {
        if (ngx_http_complex_value(ctx->request, &param[i].value, &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        llm_json_init(&json, value.data, value.len, LLM_JSON_DEPTH);

        if (llm_json_skip(&json, &raw) == LLM_JSON_ERROR
            || llm_json_next(&json) != LLM_JSON_END
            || (llm_utf8_check(value.data, value.len) & LLM_UTF8_INVALID))
        {
            ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                          "value of \"llm_stream_param\" \"%V\" is not "
                          "valid JSON", &param[i].name);
            return NGX_ERROR;
        }

        set[i].name.p = param[i].name.data;
        set[i].name.n = param[i].name.len;
        set[i].value.p = value.data;
        set[i].value.n = value.len;
        set[i].if_absent = param[i].if_absent;
    }

    return NGX_OK;
}
