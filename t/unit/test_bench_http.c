/*
 * The client's HTTP/1.1 response parser: good and bad responses, cut in every
 * way.
 */

#include "bench_http.h"
#include "unit_support.h"


typedef struct {
    const char  *bytes;
    unsigned     status;
    const char  *body;
    const char  *wrong;         /* NULL: complete */
    unsigned     keep;
    unsigned     eof;           /* the connection is closed behind it */
    size_t       rest;          /* bytes behind the response */
} http_case_t;

typedef struct {
    bench_http_t     http;
    bench_http_rc_t  rc;
    char             body[256];
    size_t           n;
    size_t           rest;
} http_run_t;


static void
take(http_run_t *r, const llm_u8 *p, size_t n)
{
    llm_slice_t    data;
    const llm_u8  *at;

    at = p;

    while (r->rc == BENCH_HTTP_AGAIN) {
        r->rc = bench_http_next(&r->http, &at, p + n, &data);

        if (r->rc == BENCH_HTTP_DATA) {
            assert_true(data.n != 0 && r->n + data.n < sizeof(r->body));
            memcpy(r->body + r->n, data.p, data.n);
            r->n += data.n;
            r->rc = BENCH_HTTP_AGAIN;
            continue;
        }

        break;
    }

    r->rest += n - (size_t) (at - p);
}


static void
cut(void *ctx, const char *what, const size_t *cuts, size_t k)
{
    size_t              i, n, from, to;
    llm_u8             *copy;
    http_run_t          r;
    const http_case_t  *c;

    c = ctx;
    n = strlen(c->bytes);

    memset(&r, 0, sizeof(r));
    bench_http_begin(&r.http);

    for (from = 0, i = 0; i <= k; i++, from = to) {
        to = i < k ? cuts[i] : n;
        copy = unit_copy(c->bytes + from, to - from);
        take(&r, copy, to - from);
        free(copy);
    }

    if (c->eof && r.rc == BENCH_HTTP_AGAIN) {
        r.rc = bench_http_eof(&r.http);
    }

    r.body[r.n] = '\0';

    if (r.rc != (c->wrong != NULL ? BENCH_HTTP_WRONG : BENCH_HTTP_DONE)
        || (c->wrong != NULL && strcmp(c->wrong, r.http.wrong) != 0)
        || r.http.status != c->status || strcmp(r.body, c->body) != 0
        || r.http.keep != c->keep
        || (c->wrong == NULL && r.rest != c->rest))
    {
        fail_msg("%s: rc %d, %s, status %u, body %s, keep %u, rest %zu of %s",
                 what, r.rc, r.http.wrong, r.http.status, r.body,
                 r.http.keep, r.rest, c->bytes);
    }

    bench_http_free(&r.http);
}


static void
check(const http_case_t *c, size_t n)
{
    size_t       i;
    http_case_t  one;

    for (i = 0; i < n; i++) {
        one = c[i];
        cut(&one, "whole", NULL, 0);
        unit_all_cuts("response", strlen(one.bytes), cut, &one);
    }
}

#define check_all(cases)  check(cases, sizeof(cases) / sizeof((cases)[0]))

#define OK      "HTTP/1.1 200 OK\r\n"
#define CHUNKS  OK "Transfer-Encoding: chunked\r\n\r\n"


static void
test_good(void **state)
{
    static const http_case_t  cases[] = {
        { OK "Content-Length: 5\r\n\r\nhello", 200, "hello", NULL, 1, 0, 0 },
        { OK "Content-Length: 0\r\n\r\n", 200, "", NULL, 1, 0, 0 },
        { OK "content-length:5\r\nContent-Length: 5 \r\n\r\nhello",
          200, "hello", NULL, 1, 0, 0 },
        { OK "Content-Length: 5\r\nConnection: close\r\n\r\nhello",
          200, "hello", NULL, 0, 0, 0 },
        { OK "Content-Length: 1\r\n\r\nxrest", 200, "x", NULL, 1, 0, 4 },
        { "HTTP/1.0 200 OK\r\n\r\nhello", 200, "hello", NULL, 0, 1, 0 },
        { "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
          200, "x", NULL, 0, 0, 0 },
        { "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
          "Content-Length: 1\r\n\r\nx", 200, "x", NULL, 1, 0, 0 },
        { "HTTP/1.1 502\r\nContent-Length: 1\r\n\r\nx",
          502, "x", NULL, 1, 0, 0 },
        { "HTTP/1.1 204 No Content\r\n\r\n", 204, "", NULL, 1, 0, 0 },
        { "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" OK
          "Content-Length: 1\r\n\r\nx", 200, "x", NULL, 1, 0, 0 },
        { CHUNKS "5\r\nhello\r\n0\r\n\r\n", 200, "hello", NULL, 1, 0, 0 },
        { CHUNKS "3\r\nhel\r\n002 ;x=\"y\"\r\nlo\r\n0\r\nTrailer: x\r\n\r\n",
          200, "hello", NULL, 1, 0, 0 },
        { CHUNKS "A\r\n0123456789\r\n0\r\n\r\nHTTP/1.1 ",
          200, "0123456789", NULL, 1, 0, 9 }
    };

    (void) state;

    check_all(cases);
}


static void
test_bad(void **state)
{
    static const http_case_t  cases[] = {
        { "220 mock.example\r\n\r\n", 0, "", "bad HTTP: no status line",
          0, 0, 0 },
        { "HTTP/1.1 2x0 OK\r\n\r\n", 0, "", "bad HTTP: no status line",
          0, 0, 0 },
        { "HTTP/2.0 200 OK\r\n\r\n", 0, "", "bad HTTP: no status line",
          0, 0, 0 },
        { "HTTP/1.1 200 OK\n\n", 0, "", "bad HTTP: a line without CR",
          0, 0, 0 },
        { OK "a\rb: c\r\n\r\n", 0, "", "bad HTTP: a control character",
          0, 0, 0 },
        { OK "a : c\r\n\r\n", 0, "", "bad HTTP: a header field", 0, 0, 0 },
        { OK "abc\r\n\r\n", 0, "", "bad HTTP: a header field", 0, 0, 0 },
        { OK "Content-Length: 5x\r\n\r\n", 0, "",
          "bad HTTP: Content-Length", 0, 0, 0 },
        { OK "Content-Length: 99999999999999999999\r\n\r\n", 0, "",
          "bad HTTP: Content-Length", 0, 0, 0 },
        { OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 0, "",
          "bad HTTP: Content-Length", 0, 0, 0 },
        { OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0, "",
          "bad HTTP: chunked and Content-Length", 0, 0, 0 },
        { OK "Content-Encoding: gzip\r\n\r\n", 0, "",
          "the body is encoded", 0, 0, 0 },
        { OK "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, "",
          "bad HTTP: Transfer-Encoding", 0, 0, 0 },
        { "HTTP/1.1 101 Switching\r\n\r\n", 0, "",
          "bad HTTP: an interim response", 0, 0, 0 },
        { CHUNKS "zz\r\n", 200, "", "bad HTTP: a chunk's size", 0, 0, 0 },
        { CHUNKS "\r\n", 200, "", "bad HTTP: a chunk's size", 0, 0, 0 },
        { CHUNKS "ffffffffffffffff\r\n", 200, "",
          "bad HTTP: a chunk's size", 0, 0, 0 },
        { CHUNKS "1\r\nxx\r\n", 200, "x", "bad HTTP: no end of a chunk",
          0, 0, 0 }
    };

    (void) state;

    check_all(cases);
}


static void
test_closed(void **state)
{
    static const http_case_t  cases[] = {
        { OK, 0, "", "closed before an answer", 0, 1, 0 },
        { OK "Content-Length: 6\r\n\r\nhello", 200, "hello",
          "closed within the body", 0, 1, 0 },
        { CHUNKS "6\r\nhello", 200, "hello", "closed within the body",
          0, 1, 0 },
        { CHUNKS "5\r\nhello\r\n", 200, "hello", "closed within the body",
          0, 1, 0 },
        { OK "\r\nhello", 200, "hello", NULL, 0, 1, 0 }
    };

    (void) state;

    check_all(cases);
}


/* Neither a line nor a head without end is gathered. */
static void
test_bounds(void **state)
{
    int            i;
    llm_u8         x[1024];
    llm_slice_t    data;
    bench_http_t   h;
    const llm_u8  *p;
    const char    *field = "a: b\r\n";

    (void) state;

    memset(&h, 0, sizeof(h));
    memset(x, 'x', sizeof(x));
    bench_http_begin(&h);

    for (i = 0; i < 65; i++) {
        p = x;
        (void) bench_http_next(&h, &p, x + sizeof(x), &data);
    }

    assert_string_equal(h.wrong, "bad HTTP: a line is too long");

    bench_http_begin(&h);
    p = (const llm_u8 *) OK;
    (void) bench_http_next(&h, &p, p + strlen(OK), &data);

    for (i = 0; h.wrong == NULL && i < 100000; i++) {
        p = (const llm_u8 *) field;
        (void) bench_http_next(&h, &p, p + strlen(field), &data);
    }

    assert_string_equal(h.wrong, "bad HTTP: a head is too large");
    bench_http_free(&h);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_bounds)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
