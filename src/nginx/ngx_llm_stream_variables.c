/*
 * $llm_stream_*: what is known of a request, also while it runs, and in any
 * location and phase: without a context they are not found.  Never cached,
 * because they change until the log phase.  None holds content or a secret.
 */

#include "ngx_llm_stream.h"


typedef enum {
    ngx_llm_stream_var_ttft = 0,
    ngx_llm_stream_var_duration,
    ngx_llm_stream_var_itl
} ngx_llm_stream_time_e;

typedef enum {
    ngx_llm_stream_var_chunks = 0,
    ngx_llm_stream_var_chars,
    ngx_llm_stream_var_bytes_in,
    ngx_llm_stream_var_bytes_out,
    ngx_llm_stream_var_chars_per_second,
    ngx_llm_stream_var_chunks_per_second,
    ngx_llm_stream_var_chunk_size,
    ngx_llm_stream_var_tokens_in,
    ngx_llm_stream_var_tokens_out,
    ngx_llm_stream_var_tokens_cached,
    ngx_llm_stream_var_tokens_reasoning,
    ngx_llm_stream_var_held,
    ngx_llm_stream_var_redacted
} ngx_llm_stream_number_e;

typedef enum {
    ngx_llm_stream_var_model = 0,
    ngx_llm_stream_var_request_model,
    ngx_llm_stream_var_client,
    ngx_llm_stream_var_upstream,
    ngx_llm_stream_var_tokens_source,
    ngx_llm_stream_var_finish,
    ngx_llm_stream_var_limit,
    ngx_llm_stream_var_end,
    ngx_llm_stream_var_error
} ngx_llm_stream_word_e;


static ngx_int_t ngx_llm_stream_time_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_llm_stream_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_llm_stream_word_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static int64_t ngx_llm_stream_number(ngx_llm_stream_ctx_t *ctx,
    llm_measure_t *m, uintptr_t data);
static ngx_int_t ngx_llm_stream_word(ngx_llm_stream_ctx_t *ctx,
    uintptr_t data, ngx_str_t *s);


#define ngx_llm_stream_var(name, kind)                                      \
    { ngx_string("llm_stream_" #name), NULL,                                \
      ngx_llm_stream_##kind##_variable, ngx_llm_stream_var_##name,          \
      NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_NOHASH, 0 }


static ngx_http_variable_t  ngx_llm_stream_vars[] = {
    ngx_llm_stream_var(model, word),
    ngx_llm_stream_var(request_model, word),
    ngx_llm_stream_var(client, word),
    ngx_llm_stream_var(upstream, word),
    ngx_llm_stream_var(tokens_source, word),
    ngx_llm_stream_var(finish, word),
    ngx_llm_stream_var(limit, word),
    ngx_llm_stream_var(end, word),
    ngx_llm_stream_var(error, word),
    ngx_llm_stream_var(ttft, time),
    ngx_llm_stream_var(duration, time),
    ngx_llm_stream_var(itl, time),
    ngx_llm_stream_var(chunks, number),
    ngx_llm_stream_var(chars, number),
    ngx_llm_stream_var(bytes_in, number),
    ngx_llm_stream_var(bytes_out, number),
    ngx_llm_stream_var(chars_per_second, number),
    ngx_llm_stream_var(chunks_per_second, number),
    ngx_llm_stream_var(chunk_size, number),
    ngx_llm_stream_var(tokens_in, number),
    ngx_llm_stream_var(tokens_out, number),
    ngx_llm_stream_var(tokens_cached, number),
    ngx_llm_stream_var(tokens_reasoning, number),
    ngx_llm_stream_var(held, number),
    ngx_llm_stream_var(redacted, number),
    { ngx_null_string, NULL, NULL, 0, 0, 0 }
};


ngx_int_t
ngx_llm_stream_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_llm_stream_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


/* Seconds with milliseconds, as nginx's own times. */

static ngx_int_t
ngx_llm_stream_time_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                *p;
    int64_t                ms;
    llm_measure_t         *m;
    ngx_llm_stream_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_llm_stream_module);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    m = ngx_llm_stream_measured(ctx);
    ms = -1;

    if (data == ngx_llm_stream_var_duration) {
        ms = ngx_llm_stream_elapsed(ctx);

    } else if (data == ngx_llm_stream_var_ttft) {
        ms = ngx_llm_stream_ttft(ctx);

    } else if (data == ngx_llm_stream_var_itl && m->chunks > 1) {
        ms = (m->last - m->first) / (int64_t) (m->chunks - 1);
    }

    if (ms < 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN + 5);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->len = ngx_sprintf(p, "%L.%03L", ms / 1000, ms % 1000) - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = p;

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                *p;
    int64_t                n;
    ngx_llm_stream_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_llm_stream_module);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    n = ngx_llm_stream_number(ctx, ngx_llm_stream_measured(ctx), data);

    if (n < 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->len = ngx_sprintf(p, "%L", n) - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = p;

    return NGX_OK;
}


static int64_t
ngx_llm_stream_number(ngx_llm_stream_ctx_t *ctx, llm_measure_t *m,
    uintptr_t data)
{
    switch (data) {

    case ngx_llm_stream_var_chunks:
        return m->chunks;

    case ngx_llm_stream_var_chars:
        return m->chars;

    case ngx_llm_stream_var_bytes_in:
        return ctx->a.bytes;

    case ngx_llm_stream_var_bytes_out:
        return ngx_llm_stream_bytes_out(ctx);

    case ngx_llm_stream_var_chars_per_second:
        return ngx_llm_stream_rate(ctx, m->chars);

    case ngx_llm_stream_var_chunks_per_second:
        return ngx_llm_stream_rate(ctx, m->chunks);

    case ngx_llm_stream_var_chunk_size:
        return m->chunks ? (int64_t) (m->chars / m->chunks) : -1;

    case ngx_llm_stream_var_tokens_in:
        return m->has_usage ? m->usage.input : -1;

    case ngx_llm_stream_var_tokens_out:
        return m->has_usage ? m->usage.output : -1;

    case ngx_llm_stream_var_tokens_cached:
        return m->has_usage ? m->usage.cached : -1;

    case ngx_llm_stream_var_tokens_reasoning:
        return m->has_usage ? m->usage.reasoning : -1;

    case ngx_llm_stream_var_redacted:
        return ngx_llm_stream_redact_count(ctx);

    default: /* ngx_llm_stream_var_held */
        return ngx_llm_stream_held(ctx);
    }
}


/* Milliseconds from the request sent to the first content, -1: none came. */

int64_t
ngx_llm_stream_ttft(ngx_llm_stream_ctx_t *ctx)
{
    llm_measure_t  *m;

    m = ngx_llm_stream_measured(ctx);

    return m->chunks ? m->first - (int64_t) ctx->a.sent_at : -1;
}


/* Of the body, by now. */

int64_t
ngx_llm_stream_bytes_out(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    return ngx_max(r->connection->sent - (off_t) r->header_size, 0);
}


int64_t
ngx_llm_stream_held(ngx_llm_stream_ctx_t *ctx)
{
    return ctx->a.flow_live ? (int64_t) ctx->a.flow.stages.held_max
                            : (int64_t) ctx->held;
}


/* Per second between the first and the last content, -1: there is no time
 * between them. */

int64_t
ngx_llm_stream_rate(ngx_llm_stream_ctx_t *ctx, uint64_t n)
{
    int64_t         ms;
    llm_measure_t  *m;

    m = ngx_llm_stream_measured(ctx);
    ms = m->last - m->first;

    if (m->chunks < 2 || ms <= 0) {
        return -1;
    }

    return (int64_t) (n * 1000 / (uint64_t) ms);
}


static ngx_int_t
ngx_llm_stream_word_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t              s;
    ngx_llm_stream_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_llm_stream_module);

    if (ctx == NULL || ngx_llm_stream_word(ctx, data, &s) != NGX_OK
        || s.len == 0)
    {
        v->not_found = 1;
        return NGX_OK;
    }

    v->len = s.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = s.data;

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_word(ngx_llm_stream_ctx_t *ctx, uintptr_t data, ngx_str_t *s)
{
    llm_end_t       end;
    llm_slice_t     slice;
    llm_measure_t  *m;

    m = ngx_llm_stream_measured(ctx);
    slice = llm_slice_null;

    switch (data) {

    case ngx_llm_stream_var_model:
        if (m->nmodel == 0) {
            *s = ctx->model;
            return NGX_OK;
        }

        slice.p = m->model;
        slice.n = m->nmodel;
        break;

    case ngx_llm_stream_var_request_model:
        *s = ctx->request_model;
        return NGX_OK;

    case ngx_llm_stream_var_client:
        slice = ctx->client ? ctx->client->name : llm_slice_null;
        break;

    case ngx_llm_stream_var_upstream:
        slice = ctx->conf->provider->name;
        break;

    case ngx_llm_stream_var_tokens_source:
        if (m->has_usage) {
            slice = m->estimated ? llm_slice("estimate")
                                 : llm_slice("usage");
        }

        break;

    case ngx_llm_stream_var_finish:
        slice.p = m->finish;
        slice.n = m->nfinish;
        break;

    case ngx_llm_stream_var_limit:
        slice = ngx_llm_stream_limit_status(ctx);
        break;

    case ngx_llm_stream_var_end:
        if (ngx_llm_stream_ending(ctx, &end)) {
            slice = llm_end_name(end);
        }

        break;

    default: /* ngx_llm_stream_var_error */
        slice = ctx->fault ? llm_fault_info(ctx->fault)->code
                           : llm_slice_null;
        break;
    }

    s->data = (u_char *) slice.p;
    s->len = slice.n;

    return NGX_OK;
}


llm_measure_t *
ngx_llm_stream_measured(ngx_llm_stream_ctx_t *ctx)
{
    return ctx->a.flow_live ? &ctx->a.flow.measure : &ctx->measure;
}


ngx_msec_t
ngx_llm_stream_elapsed(ngx_llm_stream_ctx_t *ctx)
{
    return ctx->over ? ctx->duration : ngx_current_msec - ctx->start;
}
