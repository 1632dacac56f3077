/*
 * The content handler: a request comes in, its body is read, the provider's
 * request is planned, nginx's upstream machinery takes over.  Owns the life
 * of the request's context; what is in it belongs to the other files.
 */

#include "ngx_llm_stream.h"


static ngx_uint_t ngx_llm_stream_is_probe(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_answer_probe(ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_start(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_prepare(ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_cleanup(void *data);


/*
 * Runs in the content phase.  NGX_DONE: the request goes on elsewhere; a
 * status finalizes it, and ngx_llm_stream_error.c gives that its body.
 */

ngx_int_t
ngx_llm_stream_handler(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_llm_stream_ctx_t  *ctx;

    ctx = ngx_llm_stream_create_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_llm_stream_is_probe(ctx)) {
        ctx->counts = 0;
        return ngx_llm_stream_answer_probe(ctx);
    }

    if (!(r->method & NGX_HTTP_POST)
        && !((r->method & NGX_HTTP_GET) && ctx->conf->prompt))
    {
        ctx->fault = LLM_FAULT_METHOD;
        ngx_llm_stream_over(ctx);
        return NGX_HTTP_NOT_ALLOWED;
    }

    ngx_llm_stream_metrics_open(ctx);

    r->request_body_in_single_buf = 1;

    /* what the log says if this is where it ends */

    ctx->fault = LLM_FAULT_CLIENT_ABORT;

    rc = ngx_http_read_client_request_body(r, ngx_llm_stream_start);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {

        if (!r->connection->error) {
            ctx->fault = llm_fault_by_status(rc);
        }

        ngx_llm_stream_over(ctx);

        return rc;
    }

    return NGX_DONE;
}


/* flowise-sdk asks this before every prediction: whether the flow streams. */

static ngx_uint_t
ngx_llm_stream_is_probe(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    return ctx->client == &llm_dialect_flowise
           && (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
           && ngx_strnstr(r->uri.data, "/chatflows-streaming/", r->uri.len);
}


/* Every flow does: what a provider sends as one answer is made a stream. */

static ngx_int_t
ngx_llm_stream_answer_probe(ngx_llm_stream_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_request_t       *r;
    ngx_http_complex_value_t  cv;

    static ngx_str_t  type = ngx_string("application/json");

    r = ctx->request;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));
    ngx_str_set(&cv.value, "{\"isStreaming\":true}");

    ctx->response = 1;
    ctx->finished = 1;
    ngx_llm_stream_over(ctx);

    return ngx_http_send_response(r, NGX_HTTP_OK, &type, &cv);
}


ngx_llm_stream_ctx_t *
ngx_llm_stream_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t    *cln;
    ngx_llm_stream_ctx_t  *ctx;

    /* for itself: most of a block of the pool's would stay empty beside it */

    ctx = ngx_pmemalign(r->pool, sizeof(ngx_llm_stream_ctx_t),
                        NGX_ALIGNMENT);
    if (ctx == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    ngx_memzero(ctx, sizeof(ngx_llm_stream_ctx_t));

    cln->data = ctx;
    cln->handler = ngx_llm_stream_cleanup;

    ctx->request = r;
    ctx->conf = ngx_http_get_module_loc_conf(r, ngx_llm_stream_module);
    ngx_llm_stream_guess_client(ctx);
    ctx->start = ngx_current_msec;
    ctx->keepalive = r->keepalive;
    ctx->counts = (ctx->conf->place != NULL);
    ctx->alloc.resize = ngx_llm_stream_resize;
    ctx->alloc.ctx = r->connection->log;

    llm_measure_init(&ctx->measure);
    ngx_llm_stream_timer_init(ctx);

    ngx_http_set_ctx(r, ctx, ngx_llm_stream_module);

    return ctx;
}


/*
 * Runs once the whole body was read, from the handler or from a read event.
 * Returns nothing to nginx: errors are finalized here.
 */

static void
ngx_llm_stream_start(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_llm_stream_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_llm_stream_module);

    ctx->body_read = 1;
    ctx->fault = LLM_FAULT_NONE;

    rc = ngx_llm_stream_prepare(ctx);

    if (rc == NGX_OK) {
        rc = ngx_llm_stream_sign_in(ctx);
    }

    if (rc != NGX_AGAIN) {
        ngx_llm_stream_go(ctx, rc);
    }
}


/* Asks the provider if rc is NGX_OK; else it is the status of the answer.
 * The request may be finalized when it returns. */

void
ngx_llm_stream_go(ngx_llm_stream_ctx_t *ctx, ngx_int_t rc)
{
    if (rc == NGX_OK) {
        rc = ngx_llm_stream_limit(ctx);
    }

    if (rc == NGX_OK) {
        rc = ngx_llm_stream_build_request(ctx);
    }

    if (rc != NGX_OK) {
        /* an error page may lead to another limit */
        ngx_llm_stream_limit_settle(ctx);
        ngx_llm_stream_over(ctx);
        ngx_http_finalize_request(ctx->request, rc);
        return;
    }

    ngx_http_upstream_init(ctx->request);
}


/* The request is at its end here, though its connection may linger, or an
 * error page go on with it elsewhere.  Runs more than once. */

void
ngx_llm_stream_over(ngx_llm_stream_ctx_t *ctx)
{
    if (!ctx->over) {
        ctx->over = 1;
        ctx->duration = ngx_current_msec - ctx->start;
    }

    ngx_llm_stream_metrics_close(ctx);
}


static ngx_int_t
ngx_llm_stream_prepare(ngx_llm_stream_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    rc = ngx_llm_stream_read_request(ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_upstream_create(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_llm_stream_init_upstream(ctx);

    rc = ngx_llm_stream_eval_model(ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_llm_stream_eval_url(ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_llm_stream_plan_request(ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_llm_stream_plan_stop(ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_llm_stream_estimate_request(ctx);

    return NGX_OK;
}


/*
 * The wire library's memory: from the heap, because it grows and shrinks
 * with the stream and must not pile up in the request's pool.  data: a log.
 */

void *
ngx_llm_stream_resize(void *data, void *p, size_t old, size_t n)
{
    void  *new;

    if (n == 0) {
        if (p) {
            ngx_free(p);
        }

        return NULL;
    }

    new = ngx_alloc(n, data);
    if (new == NULL) {
        return NULL;
    }

    if (p) {
        ngx_memcpy(new, p, ngx_min(old, n));
        ngx_free(p);
    }

    return new;
}


/* Runs when the request's pool is destroyed, after the log phase. */

static void
ngx_llm_stream_cleanup(void *data)
{
    ngx_llm_stream_ctx_t  *ctx = data;

    ngx_llm_stream_timer_stop(ctx);
    ngx_llm_stream_wait_no_more(ctx);
    ngx_llm_stream_limit_settle(ctx);
    ngx_llm_stream_metrics_end(ctx);

    if (ctx->a.flow_live) {
        llm_flow_free(&ctx->a.flow);
        ctx->a.flow_live = 0;
    }

    llm_block_free(&ctx->a.error_body, &ctx->alloc);
    llm_block_free(&ctx->said.body, &ctx->alloc);
    ngx_llm_stream_plan_drop(ctx);
    ngx_llm_stream_store_drop(ctx);
}
