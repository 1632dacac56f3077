/*
 * A growing block of bytes.  It owns its memory and knows nothing of what
 * the bytes mean; escaping is the wire library's.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llm_utf8.h"
#include "llm_write.h"
#include "mock_buf.h"


static void
mock_buf_no_memory(void)
{
    fputs("llm-mock: out of memory\n", stderr);
    exit(2);
}


void *
mock_zalloc(size_t n)
{
    void  *p;

    p = calloc(1, n);
    if (p == NULL) {
        mock_buf_no_memory();
    }

    return p;
}


void *
mock_resize(void *p, size_t n)
{
    p = realloc(p, n);
    if (p == NULL) {
        mock_buf_no_memory();
    }

    return p;
}


void
mock_buf_grow(mock_buf_t *b, size_t n)
{
    size_t  cap;

    cap = b->cap ? b->cap : 256;

    while (cap - b->n < n) {
        cap *= 2;
    }

    b->p = mock_resize(b->p, cap);
    b->cap = cap;
}


void
mock_buf_fill(mock_buf_t *b, int c, size_t n)
{
    if (n == 0) {
        return;
    }

    mock_buf_reserve(b, n);
    memset(b->p + b->n, c, n);
    b->n += n;
}


void
mock_buf_fmt(mock_buf_t *b, const char *fmt, ...)
{
    int      n;
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);

    if (n <= 0) {
        return;
    }

    mock_buf_reserve(b, (size_t) n + 1);

    va_start(args, fmt);
    vsnprintf((char *) b->p + b->n, (size_t) n + 1, fmt, args);
    va_end(args);

    b->n += (size_t) n;
}


void
mock_buf_uint(mock_buf_t *b, uint64_t v)
{
    size_t         n;
    unsigned char  s[20];

    n = sizeof(s);

    do {
        s[--n] = (unsigned char) ('0' + v % 10);
        v /= 10;
    } while (v);

    mock_buf_add(b, s + n, sizeof(s) - n);
}


void
mock_buf_hex(mock_buf_t *b, uint64_t v)
{
    size_t         n;
    unsigned char  s[16];

    n = sizeof(s);

    do {
        s[--n] = (unsigned char) "0123456789abcdef"[v & 15];
        v >>= 4;
    } while (v);

    mock_buf_add(b, s + n, sizeof(s) - n);
}


static void *
mock_buf_wire_resize(void *ctx, void *p, size_t old, size_t n)
{
    (void) ctx;
    (void) old;

    if (n == 0) {
        free(p);
        return NULL;
    }

    return mock_resize(p, n);
}


const llm_alloc_t  mock_buf_alloc = { mock_buf_wire_resize, NULL };


static llm_rc_t
mock_buf_more(llm_out_t *out)
{
    mock_buf_t  *b;

    b = out->ctx;
    b->n = (size_t) (out->pos - b->p);
    mock_buf_reserve(b, b->cap);
    out->pos = b->p + b->n;
    out->end = b->p + b->cap;

    return LLM_OK;
}


void
mock_buf_open(mock_buf_t *b, llm_out_t *out)
{
    mock_buf_reserve(b, 64);
    out->ctx = b;
    out->more = mock_buf_more;
    out->failed = 0;
    out->pos = b->p + b->n;
    out->end = b->p + b->cap;
}


void
mock_buf_close(mock_buf_t *b, const llm_out_t *out)
{
    b->n = (size_t) (out->pos - b->p);
}


void
mock_buf_json(mock_buf_t *b, const void *p, size_t n)
{
    llm_out_t    out;
    llm_block_t  fixed;

    memset(&fixed, 0, sizeof(fixed));

    if (llm_utf8_check(p, n) & LLM_UTF8_INVALID) {
        if (llm_utf8_repair(&fixed, &mock_buf_alloc, p, n) != LLM_OK) {
            mock_buf_no_memory();
        }

        p = fixed.p;
        n = fixed.n;
    }

    mock_buf_reserve(b, n + 64);
    mock_buf_open(b, &out);
    llm_write_escaped(&out, p, n);
    mock_buf_close(b, &out);
    llm_block_free(&fixed, &mock_buf_alloc);
}


int
mock_buf_file(mock_buf_t *b, const char *path, size_t max)
{
    int      failed;
    FILE    *f;
    size_t   n;

    f = fopen(path, "rb");
    if (f == NULL) {
        return -1;
    }

    do {
        mock_buf_reserve(b, 65536);
        n = fread(b->p + b->n, 1, 65536, f);
        b->n += n;
    } while (n && b->n <= max);

    failed = ferror(f);
    fclose(f);

    if (failed || b->n > max) {
        errno = failed ? EIO : EFBIG;
        return -1;
    }

    return 0;
}


const char *
mock_buf_cstr(mock_buf_t *b)
{
    mock_buf_reserve(b, 1);
    b->p[b->n] = '\0';

    return (const char *) b->p;
}


void
mock_buf_free(mock_buf_t *b)
{
    free(b->p);
    memset(b, 0, sizeof(*b));
}
