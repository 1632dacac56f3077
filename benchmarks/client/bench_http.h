/*
 * An HTTP/1.1 response out of bytes that come in any pieces: the status, and
 * what of it is body.  Strict: what RFC 9112 forbids is refused, for a proxy
 * that sends it is broken.  It keeps nothing but a line that was cut.
 */

#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include "llm_wire.h"


#define BENCH_HTTP_LINE    65536    /* bytes of a line, of all header lines */
#define BENCH_HTTP_INTERIM 32       /* responses before the final one */

typedef enum {
    BENCH_HTTP_AGAIN = 0,           /* all bytes were taken */
    BENCH_HTTP_DATA,                /* *data is the next piece of the body */
    BENCH_HTTP_DONE,                /* the response is complete */
    BENCH_HTTP_WRONG                /* h->wrong says why; final */
} bench_http_rc_t;

typedef struct {
    unsigned      status;           /* 0: the head is not complete */
    unsigned      keep;             /* the connection can be used again */
    const char   *wrong;            /* a literal */
    /* private */
    unsigned      state;
    unsigned      code;
    unsigned      old;              /* HTTP/1.0 */
    unsigned      chunked;
    unsigned      has_length;
    unsigned      asks_close;
    unsigned      asks_keep;
    unsigned      interim;
    uint64_t      left;             /* of the body, of the chunk */
    size_t        head;             /* bytes of header lines so far */
    llm_block_t   line;
} bench_http_t;


/* Once, zeroed; then begin for each response. */
void bench_http_begin(bench_http_t *h);
void bench_http_free(bench_http_t *h);

/* Takes bytes from *p up to end and moves *p behind them. */
bench_http_rc_t bench_http_next(bench_http_t *h, const llm_u8 **p,
    const llm_u8 *end, llm_slice_t *data);

/* The connection was closed: DONE, or WRONG. */
bench_http_rc_t bench_http_eof(bench_http_t *h);


#endif /* BENCH_HTTP_H */
