/*
 * The writer of all formats of llm_stream_status: a text in a chain of
 * buffers of a pool, each filled before the next one is made.  It must never
 * move what was written, and never know what it says.
 */

#include "ngx_llm_stream_status.h"

#include "llm_utf8.h"


#define NGX_LLM_STREAM_TEXT_BUFFER  32768       /* bytes */
#define NGX_LLM_STREAM_TEXT_ONCE    512         /* bytes, of a format */


static ngx_int_t ngx_llm_stream_text_more(ngx_llm_stream_text_t *text);


void
ngx_llm_stream_text_init(ngx_llm_stream_text_t *text, ngx_pool_t *pool)
{
    ngx_memzero(text, sizeof(ngx_llm_stream_text_t));

    text->pool = pool;
    text->last = &text->out;
}


void
ngx_llm_stream_text(ngx_llm_stream_text_t *text, const char *fmt, ...)
{
    u_char   once[NGX_LLM_STREAM_TEXT_ONCE], *p;
    va_list  args;

    va_start(args, fmt);
    p = ngx_vslprintf(once, once + sizeof(once), fmt, args);
    va_end(args);

    ngx_llm_stream_text_put(text, once, p - once);
}


void
ngx_llm_stream_text_put(ngx_llm_stream_text_t *text, const void *data,
    size_t n)
{
    size_t         part;
    const u_char  *p;

    p = data;

    while (n) {

        if ((text->buf == NULL || text->buf->last == text->buf->end)
            && ngx_llm_stream_text_more(text) != NGX_OK)
        {
            return;
        }

        part = ngx_min(n, (size_t) (text->buf->end - text->buf->last));

        text->buf->last = ngx_cpymem(text->buf->last, p, part);
        text->size += part;

        p += part;
        n -= part;
    }
}


static ngx_int_t
ngx_llm_stream_text_more(ngx_llm_stream_text_t *text)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (text->failed) {
        return NGX_ERROR;
    }

    b = ngx_create_temp_buf(text->pool, NGX_LLM_STREAM_TEXT_BUFFER);
    cl = ngx_alloc_chain_link(text->pool);

    if (b == NULL || cl == NULL) {
        text->failed = 1;
        text->buf = NULL;
        return NGX_ERROR;
    }

    cl->buf = b;
    cl->next = NULL;

    *text->last = cl;
    text->last = &cl->next;
    text->buf = b;

    return NGX_OK;
}


void
ngx_llm_stream_text_scaled(ngx_llm_stream_text_t *text, uint64_t n,
    ngx_uint_t scale)
{
    u_char  buf[NGX_INT64_LEN + sizeof(".000")], *p;

    if (scale != 1000 || n % 1000 == 0) {
        ngx_llm_stream_text(text, "%uL", n / scale);
        return;
    }

    p = ngx_sprintf(buf, "%uL.%03uL", n / 1000, n % 1000);

    while (p[-1] == '0') {
        p--;
    }

    ngx_llm_stream_text_put(text, buf, p - buf);
}


/* A label that no format can break at: what is no UTF-8 becomes U+FFFD.  An
 * empty one if there is no memory. */

ngx_str_t
ngx_llm_stream_text_label(ngx_llm_stream_text_t *text, const ngx_str_t *label)
{
    ngx_str_t    s;
    llm_alloc_t  alloc;
    llm_block_t  block;

    if (!(llm_utf8_check(label->data, label->len) & LLM_UTF8_INVALID)) {
        return *label;
    }

    ngx_str_null(&s);
    ngx_memzero(&block, sizeof(llm_block_t));

    alloc.resize = ngx_llm_stream_resize;
    alloc.ctx = text->pool->log;

    if (llm_utf8_repair(&block, &alloc, label->data, label->len) == LLM_OK) {
        s.data = ngx_pnalloc(text->pool, block.n);
    }

    if (s.data) {
        s.len = block.n;
        ngx_memcpy(s.data, block.p, block.n);

    } else {
        text->failed = 1;
        text->buf = NULL;
    }

    llm_block_free(&block, &alloc);

    return s;
}
