/*
 * The answer of a provider: the gate, and the way of its body through the
 * flow.  While the gate is closed nothing went to the client: a
 * failure can still become an HTTP status, another peer, another location.
 * Once it is open a failure is an error event in the client's dialect.
 */

#include "ngx_llm_stream_auth.h"


#define NGX_LLM_STREAM_DRAIN       65536    /* bytes read after the end */
#define NGX_LLM_STREAM_FRAMING     16384    /* bytes of one chunk's framing */
#define NGX_LLM_STREAM_ERROR_BODY  65536    /* bytes kept of an error */
#define NGX_LLM_STREAM_HELD        8192     /* output that opens the gate */


static ngx_int_t ngx_llm_stream_error_response(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_init_flow(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t answer, llm_framing_t framing);
static ngx_int_t ngx_llm_stream_process_held(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_open(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t status);
static ngx_int_t ngx_llm_stream_held_fault(ngx_llm_stream_ctx_t *ctx);
static ngx_uint_t ngx_llm_stream_gate_opens(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_whole_error(ngx_llm_stream_ctx_t *ctx);
static ngx_int_t ngx_llm_stream_open_error(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t status, ngx_uint_t from_flow);
static ngx_int_t ngx_llm_stream_stream_header(ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_consume(ngx_llm_stream_ctx_t *ctx, u_char *p,
    size_t n);
static ngx_int_t ngx_llm_stream_feed_chunked(ngx_llm_stream_ctx_t *ctx,
    ngx_buf_t *b);


/*
 * The header of the final answer is complete; u->buffer holds what came
 * behind it.  Return values as process_header's.
 */

ngx_int_t
ngx_llm_stream_response(ngx_llm_stream_ctx_t *ctx)
{
    ngx_uint_t            answer;
    llm_framing_t         framing;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;
    u->headers_in.content_length_n = -1;

    ngx_llm_stream_watch(ctx);

    if (ctx->a.status.code >= NGX_HTTP_BAD_REQUEST) {
        return ngx_llm_stream_error_response(ctx);
    }

    if (ctx->conf->auth) {
        ngx_llm_stream_auth_accepted(ctx->conf->auth, ctx->token_number);
    }

    answer = 0;
    framing = ctx->conf->dialect->framing;
    ctx->a.fault = ngx_llm_stream_classify(ctx, &answer, &framing);

    if (ctx->a.fault) {
        return ngx_llm_stream_held_fault(ctx);
    }

    if (ngx_llm_stream_init_flow(ctx, answer, framing) != NGX_OK) {
        return NGX_ERROR;
    }

    u->process_header = ngx_llm_stream_process_held;
    ngx_llm_stream_timer_update(ctx);

    return ngx_llm_stream_process_held(ctx->request);
}


/* An answer of 400 and above: another attempt, error_page, or its body. */

static ngx_int_t
ngx_llm_stream_error_response(ngx_llm_stream_ctx_t *ctx)
{
    ngx_int_t             rc;
    ngx_uint_t            status;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;
    status = ctx->a.status.code;

    ctx->a.error_status = status;

    rc = ngx_llm_stream_sign_in_again(ctx, status);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_llm_stream_retry_judges(ctx)) {
        ctx->a.judged = 1;

    } else if (ngx_llm_stream_intercepts(ctx, status)) {
        return NGX_OK;
    }

    if (ctx->a.framing == ngx_llm_stream_body_length && ctx->a.length == 0) {
        ctx->a.body_end = 1;
    }

    u->process_header = ngx_llm_stream_process_held;
    ngx_llm_stream_timer_update(ctx);

    return ngx_llm_stream_process_held(ctx->request);
}


static ngx_int_t
ngx_llm_stream_init_flow(ngx_llm_stream_ctx_t *ctx, ngx_uint_t answer,
    llm_framing_t framing)
{
    llm_rc_t                    rc;
    llm_flow_conf_t             conf;
    ngx_llm_stream_loc_conf_t  *llcf;

    llcf = ctx->conf;
    ngx_memzero(&conf, sizeof(llm_flow_conf_t));

    conf.upstream = llcf->dialect;
    conf.client = ctx->client;
    conf.framing = framing;
    conf.answer_in = answer;
    conf.answer_out = !ctx->stream;
    conf.array_out = ctx->stream && ctx->array;
    conf.hide_usage = ctx->ask_usage;
    conf.usage = ctx->show_usage;
    conf.secret = ctx->key_ours;
    conf.max_event = llcf->max_event_size;
    conf.max_response = llcf->max_response_size;
    conf.max_depth = llcf->max_depth;
    conf.choices = ctx->choices;
    conf.now = ngx_time();
    conf.unique = (int64_t) ngx_random() << 31 ^ ngx_random();
    conf.model.p = ctx->model.data;
    conf.model.n = ctx->model.len;
    conf.alloc = ctx->alloc;
    conf.pad = llcf->padding;
    conf.pass_ctx = ctx;

    if (ngx_llm_stream_set_stages(ctx, &conf) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->a.flow_live = 1;
    rc = llm_flow_init(&ctx->a.flow, &conf, &ctx->out);

    ngx_llm_stream_metrics_accepted(ctx);

    return rc == LLM_OK ? NGX_OK : NGX_ERROR;
}


/*
 * u->process_header once the header is parsed: runs for every read until
 * the gate opens.  The buffer is emptied each time, so that it is never
 * "full" in the core's eyes.  NGX_OK: the core sends the header; NGX_AGAIN:
 * read on; NGX_HTTP_UPSTREAM_INVALID_HEADER: next peer or 502.
 */

static ngx_int_t
ngx_llm_stream_process_held(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_buf_t             *b;
    ngx_llm_stream_ctx_t  *ctx;

    b = &r->upstream->buffer;
    ctx = r->upstream->input_filter_ctx;

    ngx_llm_stream_out_begin(ctx);

    rc = ngx_llm_stream_woken(ctx) ? NGX_OK : ngx_llm_stream_feed(ctx, b);

    b->pos = b->start;
    b->last = b->start;

    if (ngx_llm_stream_out_end(ctx) != NGX_OK || rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->a.error_status) {

        if (ctx->a.fault) {
            /* its status is what matters: show what came of the body */
            ctx->a.fault = LLM_FAULT_NONE;
            ctx->a.body_end = 1;
            ctx->a.leftover = 1;
        }

        return ctx->a.body_end ? ngx_llm_stream_whole_error(ctx)
                               : NGX_AGAIN;
    }

    if (ngx_llm_stream_gate_opens(ctx)) {
        return ngx_llm_stream_open(ctx, NGX_HTTP_OK);
    }

    if (ctx->a.fault) {
        return ngx_llm_stream_held_fault(ctx);
    }

    return NGX_AGAIN;
}


/*
 * Whether the header may go.  Judged by what is written for the client, not
 * by how the bytes were cut: an error that comes in the same read as the
 * content before it is the same as one that comes a second later.
 */

static ngx_uint_t
ngx_llm_stream_gate_opens(ngx_llm_stream_ctx_t *ctx)
{
    if (ctx->a.ended || (ctx->a.flow_done && !ctx->a.fault)) {
        return 1;
    }

    if (!ctx->stream) {
        return 0;
    }

    if (ctx->a.release || ctx->conf->gate == NGX_LLM_STREAM_GATE_OFF) {
        return 1;
    }

    if (ctx->conf->gate == NGX_LLM_STREAM_GATE_EVENT) {
        return ctx->out_bytes != 0;
    }

    /* the second: what is held must be bounded */

    return ctx->a.flow.measure.chunks != 0
           || ctx->out_bytes >= NGX_LLM_STREAM_HELD;
}


/* A fault before anything was sent. */

static ngx_int_t
ngx_llm_stream_held_fault(ngx_llm_stream_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_uint_t  status;

    if (ctx->request->upstream->conf == &ctx->conf->upstream_resend) {
        /* the timer decided already */
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    if (ctx->a.fault != LLM_FAULT_UPSTREAM_ERROR) {
        rc = ngx_llm_stream_retry_invalid(ctx);
        return rc == NGX_DECLINED ? NGX_HTTP_UPSTREAM_INVALID_HEADER : rc;
    }

    /* an error inside a 200: from here on it is the status it should be, also
     * for a client that leaves before it is sent again */

    status = llm_flow_status(&ctx->a.flow);
    ctx->a.error_status = status;

    rc = ngx_llm_stream_retry_stream(ctx, status);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_llm_stream_intercepts(ctx, status)) {
        return NGX_OK;
    }

    return ngx_llm_stream_open_error(ctx, status, 1);
}


/* An answer of 400 and above is there, or what came of it. */

static ngx_int_t
ngx_llm_stream_whole_error(ngx_llm_stream_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->a.judged) {
        ctx->a.judged = 0;

        rc = ngx_llm_stream_retry_status(ctx);
        if (rc != NGX_DECLINED) {
            return rc;
        }

        if (ngx_llm_stream_intercepts(ctx, ctx->a.error_status)) {
            return NGX_OK;
        }
    }

    return ngx_llm_stream_open_error(ctx, ctx->a.error_status, 0);
}


/* The provider's error as the answer, with its status. */

static ngx_int_t
ngx_llm_stream_open_error(ngx_llm_stream_ctx_t *ctx, ngx_uint_t status,
    ngx_uint_t from_flow)
{
    int64_t  retry_after;

    ngx_llm_stream_out_drop(ctx);
    ngx_llm_stream_out_begin(ctx);

    if (from_flow) {
        retry_after = ctx->a.flow.error.retry_after;
        llm_flow_error_body(&ctx->a.flow, &ctx->out);

    } else {
        status = ngx_llm_stream_provider_error(ctx, &ctx->out, &retry_after);
    }

    if (ngx_llm_stream_out_end(ctx) != NGX_OK
        || ngx_llm_stream_retry_after(ctx, retry_after) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->stream = 0;
    ctx->fault = LLM_FAULT_UPSTREAM_ERROR;
    ctx->a.ended = 1;

    return ngx_llm_stream_open(ctx, status);
}


/* The header goes out with what was held. */

static ngx_int_t
ngx_llm_stream_open(ngx_llm_stream_ctx_t *ctx, ngx_uint_t status)
{
    ngx_buf_t            *b;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;
    const llm_slice_t    *type;

    r = ctx->request;
    u = r->upstream;

    type = (ctx->stream && !ctx->array) ? &ctx->client->stream_type
                                        : &ctx->client->answer_type;

    r->headers_out.content_type.data = (u_char *) type->p;
    r->headers_out.content_type.len = type->n;
    r->headers_out.content_type_len = type->n;
    r->headers_out.content_type_lowcase = NULL;

    u->headers_in.status_n = status;
    ngx_str_null(&u->headers_in.status_line);

    if (ngx_llm_stream_limit_headers(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->stream) {
        if (ngx_llm_stream_stream_header(ctx) != NGX_OK) {
            return NGX_ERROR;
        }

    } else {
        u->headers_in.content_length_n = ctx->out_bytes;
    }

    u->conf = &ctx->conf->upstream;

    ctx->response = 1;
    ctx->a.open = 1;
    ctx->a.flow.conf.pass = ngx_llm_stream_out_pass;
    ctx->written_at = ngx_current_msec;
    ngx_llm_stream_timer_update(ctx);

    if (u->request_body_sent) {
        ngx_llm_stream_plan_drop(ctx);
    }

    /*
     * The core runs the input filter, and with it the output, only when
     * bytes are left behind the header: one that stands for what is held.
     */

    b = &u->buffer;
    b->pos = b->start;
    b->last = b->start;

    if (u->out_bufs) {
        ctx->a.primed = 1;
        *b->last++ = '\0';
    }

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_stream_header(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    /* never stored, never transformed on the way, never held by an outer
     * nginx, never taken for HTML */

    if (ngx_llm_stream_add_out_header(r, "Cache-Control",
                                      "no-store, no-transform")
        != NGX_OK
        || ngx_llm_stream_add_out_header(r, "X-Accel-Buffering", "no")
           != NGX_OK
        || ngx_llm_stream_add_out_header(r, "X-Content-Type-Options",
                                         "nosniff")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

#if (NGX_HTTP_GZIP)
    /* compression adds delay, and lengths that tell of the content */
    r->gzip_tested = 1;
    r->gzip_ok = 0;
#endif

    if (!NGX_LLM_STREAM_HEADER_FLUSHES && r->upstream->out_bufs == NULL
        && ngx_llm_stream_comments(ctx))
    {
        ngx_llm_stream_out_begin(ctx);
        ngx_llm_stream_out_comment(ctx, ": open\n");
        return ngx_llm_stream_out_end(ctx);
    }

    return NGX_OK;
}


/* A line of the header that the client gets; both are kept, not copied. */

ngx_int_t
ngx_llm_stream_add_out_header(ngx_http_request_t *r, const char *name,
    const char *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_llm_stream_header_init(h);

    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = (u_char *) value;
    h->value.len = ngx_strlen(value);

    h->lowcase_key = ngx_pnalloc(r->pool, h->key.len);
    if (h->lowcase_key == NULL) {
        h->hash = 0;
        return NGX_ERROR;
    }

    ngx_strlow(h->lowcase_key, h->key.data, h->key.len);

    return NGX_OK;
}


/*
 * Takes the transfer framing off [b->pos, b->last) and gives the rest to the
 * flow.  Only NGX_OK: what went wrong is in a.fault.
 */

ngx_int_t
ngx_llm_stream_feed(ngx_llm_stream_ctx_t *ctx, ngx_buf_t *b)
{
    size_t  n;

    while (b->pos < b->last && !ctx->a.body_end && !ctx->a.fault) {

        n = b->last - b->pos;

        switch (ctx->a.framing) {

        case ngx_llm_stream_body_chunked:
            if (ngx_llm_stream_feed_chunked(ctx, b) == NGX_AGAIN) {
                return NGX_OK;
            }

            break;

        case ngx_llm_stream_body_length:
            n = ngx_min((off_t) n, ctx->a.length);
            ngx_llm_stream_consume(ctx, b->pos, n);
            b->pos += n;
            ctx->a.length -= n;
            ctx->a.body_end = (ctx->a.length == 0);
            break;

        default: /* ngx_llm_stream_body_close */
            ngx_llm_stream_consume(ctx, b->pos, n);
            b->pos += n;
            break;
        }
    }

    if (b->pos < b->last) {
        ctx->a.leftover = 1;
    }

    if (ctx->a.body_end && !ctx->a.fault) {
        ngx_llm_stream_eof(ctx, LLM_EOF_FRAMED);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_feed_chunked(ngx_llm_stream_ctx_t *ctx, ngx_buf_t *b)
{
    size_t     n;
    u_char    *p;
    ngx_int_t  rc;

    p = b->pos;
    rc = ngx_llm_stream_parse_chunked(ctx->request, b, &ctx->a.chunked);

    ctx->a.framed += b->pos - p;

    if (ctx->a.framed > NGX_LLM_STREAM_FRAMING) {
        rc = NGX_ERROR;
    }

    if (rc == NGX_OK) {
        ctx->a.framed = 0;
        n = ngx_min((off_t) (b->last - b->pos), ctx->a.chunked.size);
        ngx_llm_stream_consume(ctx, b->pos, n);
        b->pos += n;
        ctx->a.chunked.size -= n;
        return NGX_OK;
    }

    if (rc == NGX_DONE) {
        ctx->a.body_end = 1;
        return NGX_OK;
    }

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "upstream sent invalid chunked response");

    if (ctx->a.flow_done) {
        ctx->a.ended = 1;
        ctx->a.leftover = 1;

    } else {
        ctx->a.fault = LLM_FAULT_PROTOCOL;
    }

    return NGX_AGAIN;
}


static void
ngx_llm_stream_consume(ngx_llm_stream_ctx_t *ctx, u_char *p, size_t n)
{
    llm_rc_t    rc;
    ngx_uint_t  first;

    ctx->a.bytes += n;

    if (ctx->a.error_status) {
        n = ngx_min(n, NGX_LLM_STREAM_ERROR_BODY - ctx->a.error_body.n);

        if (llm_block_append(&ctx->a.error_body, &ctx->alloc, p, n)
            != LLM_OK)
        {
            ctx->a.fault = LLM_FAULT_INTERNAL;
        }

        return;
    }

    if (ctx->a.flow_done) {
        /* who talks on after the end is not trusted with another request */
        ctx->a.drained += n;
        ctx->a.leftover = 1;

        if (ctx->a.drained > NGX_LLM_STREAM_DRAIN) {
            ctx->a.ended = 1;
        }

        return;
    }

    first = (ctx->a.flow.measure.chunks == 0);

    rc = llm_flow_feed(&ctx->a.flow, p, n, ngx_current_msec);

    if (first && ctx->a.flow.measure.chunks) {
        /* from here on another limit holds, which may be nearer */
        ngx_llm_stream_timer_update(ctx);
    }

    if (ctx->a.flow.stages.first) {
        ngx_llm_stream_stages_due(ctx);
        ngx_llm_stream_limit_used(ctx);
    }

    if (rc != LLM_OK) {
        ngx_llm_stream_fed(ctx, rc);
    }
}


/* The flow is at its end: what llm_flow_feed() or llm_flow_tick() returned. */

void
ngx_llm_stream_fed(ngx_llm_stream_ctx_t *ctx, llm_rc_t rc)
{
    if (rc != LLM_DONE) {
        ctx->a.fault = (rc == LLM_FAILED) ? ctx->a.flow.fault
                                          : LLM_FAULT_INTERNAL;
        return;
    }

    ctx->a.flow_done = 1;
    ctx->a.done_at = ngx_current_msec;

    if (ctx->a.flow.stages.cut) {
        /* the provider may go on for long: it is not listened to */
        ctx->a.leftover = 1;
        ctx->a.ended = 1;
    }

    ngx_llm_stream_timer_update(ctx);
}


/* The body ended: as its framing promised, or with its connection. */

void
ngx_llm_stream_eof(ngx_llm_stream_ctx_t *ctx, llm_eof_t how)
{
    llm_rc_t    rc;
    ngx_uint_t  reset;

    if (ctx->a.ended || ctx->a.fault) {
        return;
    }

    reset = (how == LLM_EOF_BROKEN);

    if (how != LLM_EOF_FRAMED) {
        ctx->a.leftover = 1;
    }

    if (how == LLM_EOF_CLOSED
        && ctx->a.framing != ngx_llm_stream_body_close)
    {
        how = LLM_EOF_BROKEN;
    }

    ctx->a.body_end = 1;

    if (ctx->a.error_status) {
        return;
    }

    if (ctx->a.flow_done) {
        ctx->a.ended = 1;
        return;
    }

    rc = llm_flow_eof(&ctx->a.flow, how);

    if (rc == LLM_DONE) {
        ctx->a.flow_done = 1;
        ctx->a.ended = 1;
        return;
    }

    ctx->a.fault = (rc == LLM_FAILED) ? ctx->a.flow.fault
                                      : LLM_FAULT_INTERNAL;

    if (reset && ctx->a.fault != LLM_FAULT_INTERNAL) {
        ctx->a.fault = LLM_FAULT_RESET;
    }
}


/*
 * After the header was sent: turns a fault into the client's error event,
 * and lets the core finalize once everything is written.
 */

void
ngx_llm_stream_end(ngx_llm_stream_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    if (u->error) {
        /* an unclean end is decided: it must not become a clean one */
        return;
    }

    if (ctx->a.fault && !ctx->a.ended) {
        ctx->a.ended = 1;
        ctx->fault = ctx->a.fault;
        u->keepalive = 0;

        if (llm_flow_fail(&ctx->a.flow, ctx->a.fault) != LLM_OK) {
            /* no error event: end without a last chunk */
            u->error = 1;
            return;
        }

        u->length = 0;
        return;
    }

    if (ctx->a.ended) {
        u->length = 0;
        u->keepalive = (ctx->a.body_end && !ctx->a.leftover
                        && !ctx->a.fault && !ctx->a.connection_close
                        && ctx->a.framing != ngx_llm_stream_body_close);
    }
}
