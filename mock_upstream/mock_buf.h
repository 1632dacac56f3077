/*
 * A growing block of bytes, the only string type of the mock.  Running out
 * of memory ends the process: a test tool has nothing better to do.
 */

#ifndef MOCK_BUF_H
#define MOCK_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "llm_wire.h"


typedef struct {
    unsigned char  *p;
    size_t          n;
    size_t          cap;
} mock_buf_t;

/* calloc(), malloc() and realloc() that do not return NULL */
void *mock_zalloc(size_t n);
void *mock_resize(void *p, size_t n);

void mock_buf_grow(mock_buf_t *b, size_t n);


/* Makes room for n more bytes. */
static inline void
mock_buf_reserve(mock_buf_t *b, size_t n)
{
    if (b->cap - b->n < n) {
        mock_buf_grow(b, n);
    }
}


/* An event consists of some thirty pieces: this is inline for them. */
static inline void
mock_buf_add(mock_buf_t *b, const void *p, size_t n)
{
    if (n) {
        mock_buf_reserve(b, n);
        memcpy(b->p + b->n, p, n);
        b->n += n;
    }
}


static inline void
mock_buf_str(mock_buf_t *b, const char *s)
{
    mock_buf_add(b, s, strlen(s));
}


#define mock_buf_lit(b, lit)  mock_buf_add(b, lit, sizeof(lit) - 1)
void mock_buf_fill(mock_buf_t *b, int c, size_t n);
void mock_buf_fmt(mock_buf_t *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void mock_buf_uint(mock_buf_t *b, uint64_t v);
void mock_buf_hex(mock_buf_t *b, uint64_t v);

/* Appends [p, p + n) as the inside of a JSON string; ill-formed UTF-8
 * becomes U+FFFD. */
void mock_buf_json(mock_buf_t *b, const void *p, size_t n);

/* Lets the wire library write to the end of b, until the close. */
void mock_buf_open(mock_buf_t *b, llm_out_t *out);
void mock_buf_close(mock_buf_t *b, const llm_out_t *out);

/* malloc() for the wire library; never out of memory. */
extern const llm_alloc_t  mock_buf_alloc;

/* Reads a whole file, at most max bytes.  0, or -1 with errno set. */
int mock_buf_file(mock_buf_t *b, const char *path, size_t max);

/* A terminating zero behind the last byte, not counted in n. */
const char *mock_buf_cstr(mock_buf_t *b);

void mock_buf_free(mock_buf_t *b);


#endif /* MOCK_BUF_H */
