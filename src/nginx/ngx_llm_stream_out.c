/*
 * The sink: what the flow writes becomes buffers of the client's response.
 * The core recycles them through u->free_bufs.  A buffer either owns memory
 * and is written to, or refers to the upstream buffer, whose bytes the core
 * keeps until all output was taken.  The first is small, as most events are;
 * each further one that a batch needs is twice as large, up to a limit.
 * Nothing is allocated per event once a stream is under way, and nothing is
 * ever freed here: HTTP/2 frames may still point at it.
 */

#include "ngx_llm_stream.h"


#define NGX_LLM_STREAM_OUT_MIN  1024
#define NGX_LLM_STREAM_OUT_MAX  4096


static llm_rc_t ngx_llm_stream_out_more(llm_out_t *out);
static ngx_buf_t *ngx_llm_stream_out_buf(ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_out_publish(ngx_llm_stream_ctx_t *ctx);


void
ngx_llm_stream_out_init(ngx_llm_stream_ctx_t *ctx)
{
    ngx_memzero(&ctx->out, sizeof(llm_out_t));

    ctx->out.more = ngx_llm_stream_out_more;
    ctx->out.ctx = ctx;
}


/* Before a batch of events: finds the end of what is queued. */

void
ngx_llm_stream_out_begin(ngx_llm_stream_ctx_t *ctx)
{
    ngx_chain_t          *cl;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    ctx->out_tail = NULL;

    for (cl = u->out_bufs; cl; cl = cl->next) {
        ctx->out_tail = cl;
    }
}


/*
 * After a batch: the last buffer flushes, so that all of the batch leaves in
 * one write.  NGX_ERROR: no memory.
 */

ngx_int_t
ngx_llm_stream_out_end(ngx_llm_stream_ctx_t *ctx)
{
    ngx_llm_stream_out_publish(ctx);
    ctx->out_ref = NULL;

    if (ctx->out.failed) {
        return NGX_ERROR;
    }

    if (ctx->out_tail) {
        ctx->out_tail->buf->flush = 1;
        ctx->written_at = ngx_current_msec;
    }

    return NGX_OK;
}


/* Takes everything back that was not given to the client. */

void
ngx_llm_stream_out_drop(ngx_llm_stream_ctx_t *ctx)
{
    ngx_chain_t          *cl;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    while (u->out_bufs) {
        cl = u->out_bufs;
        u->out_bufs = cl->next;

        cl->buf->pos = cl->buf->start;
        cl->buf->last = cl->buf->start;
        cl->next = u->free_bufs;
        u->free_bufs = cl;
    }

    ngx_llm_stream_out_init(ctx);

    ctx->out_buf = NULL;
    ctx->out_ref = NULL;
    ctx->out_tail = NULL;
    ctx->out_bytes = 0;
}


/*
 * llm_flow_conf_t.pass: bytes of the upstream buffer go on without a copy;
 * adjacent ones share a buffer.
 */

llm_rc_t
ngx_llm_stream_out_pass(void *data, const llm_u8 *p, size_t n)
{
    ngx_llm_stream_ctx_t  *ctx = data;

    ngx_buf_t  *b;

    if (ctx->out_buf) {
        ngx_llm_stream_out_publish(ctx);
    }

    ctx->out_bytes += n;

    if (ctx->out_ref && ctx->out_ref->last == p) {
        ctx->out_ref->last += n;
        return LLM_OK;
    }

    b = ngx_llm_stream_out_buf(ctx);
    if (b == NULL) {
        ctx->out.failed = 1;
        return LLM_NOMEM;
    }

    b->pos = (u_char *) p;
    b->last = (u_char *) p + n;
    ctx->out_ref = b;

    return LLM_OK;
}


/* A comment line, or what the client's dialect has in its place. */

void
ngx_llm_stream_out_comment(ngx_llm_stream_ctx_t *ctx, const char *line)
{
    const llm_slice_t  *blank;

    blank = &ctx->client->blank;

    if (blank->n) {
        llm_out(&ctx->out, blank->p, blank->n);
        return;
    }

    llm_out(&ctx->out, line, ngx_strlen(line));
}


/* llm_out_t.more: called with at least one byte to write. */

static llm_rc_t
ngx_llm_stream_out_more(llm_out_t *out)
{
    ngx_buf_t             *b;
    ngx_llm_stream_ctx_t  *ctx;

    ctx = out->ctx;

    ngx_llm_stream_out_publish(ctx);

    b = ngx_llm_stream_out_buf(ctx);
    if (b == NULL) {
        return LLM_NOMEM;
    }

    if (b->start == NULL) {
        ctx->out_size = ctx->out_size
                        ? ngx_min(2 * ctx->out_size, NGX_LLM_STREAM_OUT_MAX)
                        : NGX_LLM_STREAM_OUT_MIN;

        b->start = ngx_palloc(ctx->request->pool, ctx->out_size);
        if (b->start == NULL) {
            return LLM_NOMEM;
        }

        b->end = b->start + ctx->out_size;
    }

    b->pos = b->start;
    b->last = b->start;

    ctx->out_buf = b;
    out->pos = b->start;
    out->end = b->end;

    return LLM_OK;
}


/* A recycled buffer comes with stale flags. */

static ngx_buf_t *
ngx_llm_stream_out_buf(ngx_llm_stream_ctx_t *ctx)
{
    ngx_buf_t            *b;
    ngx_chain_t          *cl;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    cl = ngx_chain_get_free_buf(ctx->request->pool, &u->free_bufs);
    if (cl == NULL) {
        return NULL;
    }

    b = cl->buf;

    b->memory = 1;
    b->temporary = 0;
    b->flush = 0;
    b->sync = 0;
    b->last_buf = 0;
    b->last_in_chain = 0;
    b->tag = u->output.tag;

    if (ctx->out_tail) {
        ctx->out_tail->next = cl;

    } else {
        u->out_bufs = cl;
    }

    cl->next = NULL;
    ctx->out_tail = cl;
    ctx->out_ref = NULL;

    return b;
}


static void
ngx_llm_stream_out_publish(ngx_llm_stream_ctx_t *ctx)
{
    if (ctx->out_buf == NULL) {
        return;
    }

    ctx->out_buf->last = ctx->out.pos;
    ctx->out_bytes += ctx->out_buf->last - ctx->out_buf->pos;

    ctx->out_buf = NULL;
    ctx->out.pos = NULL;
    ctx->out.end = NULL;
}
