/*
 * The engine on our own sockets: HTTP/1.1 without TLS, one recv() a wake-up.
 * It says what libcurl costs.  It owns the connections and keeps idle ones;
 * like libcurl it sends a request once more when a connection that was used
 * before turns out to be closed.
 */

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_engine.h"
#include "bench_http.h"
#include "bench_memory.h"
#include "bench_stream.h"


#define BENCH_RAW_BUFFER  65536

typedef struct bench_conn_s  bench_conn_t;

typedef struct {
    bench_loop_t           *loop;
    struct addrinfo        *addresses;
    const struct addrinfo  *address;    /* that answered last */
    llm_block_t             head;       /* up to the body's length */
    bench_conn_t           *idle;       /* used last first */
    llm_u8                  buffer[BENCH_RAW_BUFFER];
} bench_raw_t;

struct bench_conn_s {
    bench_raw_t            *raw;
    bench_watch_t          *watch;
    const struct addrinfo  *address;
    bench_stream_t         *stream;     /* NULL: idle */
    bench_conn_t           *next;       /* of those that are idle */
    bench_conn_t           *prev;
    int                     fd;
    unsigned                connected;
    unsigned                used;       /* for a request before */
    unsigned                got;        /* something came for this one */
    unsigned                told;       /* the stream knows the status */
    uint64_t                reads;
    llm_block_t             out;
    size_t                  sent;
    bench_http_t            http;
};


static const char *bench_conn_open(bench_raw_t *r, bench_stream_t *s,
    const struct addrinfo *address);


static void
bench_conn_close(bench_conn_t *c)
{
    bench_watch_close(c->raw->loop, c->watch);
    (void) close(c->fd);

    bench_http_free(&c->http);
    llm_block_free(&c->out, &bench_allocator);
    free(c);
}


static void
bench_conn_park(bench_conn_t *c)
{
    c->stream = NULL;
    c->used = 1;
    c->prev = NULL;
    c->next = c->raw->idle;

    if (c->next != NULL) {
        c->next->prev = c;
    }

    c->raw->idle = c;
}


static void
bench_conn_unpark(bench_conn_t *c)
{
    if (c->prev != NULL) {
        c->prev->next = c->next;

    } else {
        c->raw->idle = c->next;
    }

    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
}


/* The stream is over with this connection; error: NULL, or what was wrong. */
static void
bench_conn_over(bench_conn_t *c, const char *error, int keep)
{
    bench_stream_t  *s;

    s = c->stream;
    s->transfer = NULL;

    if (keep) {
        bench_conn_park(c);

    } else {
        bench_conn_close(c);
    }

    bench_stream_end(s, error);
}


/*
 * The connection failed.  A server may have closed one that was idle, and
 * there may be another address: then the request goes out again.
 */
static void
bench_conn_failed(bench_conn_t *c, const char *error)
{
    bench_raw_t            *r;
    bench_stream_t         *s;
    const struct addrinfo  *address;

    r = c->raw;
    s = c->stream;
    address = NULL;

    if (!c->connected) {
        address = c->address->ai_next;

    } else if (c->used && !c->got) {
        address = c->address;
    }

    if (address == NULL) {
        bench_conn_over(c, error, 0);
        return;
    }

    bench_conn_close(c);
    s->transfer = NULL;

    error = bench_conn_open(r, s, address);

    if (error != NULL) {
        bench_stream_end(s, error);
    }
}


/* Writes what is left of the request.  0, or -1: errno. */
static int
bench_conn_send(bench_conn_t *c)
{
    ssize_t  n;

    while (c->sent < c->out.n) {
        n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent,
                 MSG_NOSIGNAL);

        if (n == -1) {
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        }

        c->sent += (size_t) n;
    }

    return 0;
}


static int
bench_conn_writable(bench_conn_t *c)
{
    int        error;
    socklen_t  n;

    if (!c->connected) {
        n = sizeof(error);

        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n) == -1) {
            return -1;
        }

        if (error != 0) {
            errno = error;
            return -1;
        }

        c->connected = 1;
        c->raw->address = c->address;
    }

    if (bench_conn_send(c) == -1) {
        return -1;
    }

    if (c->sent == c->out.n) {
        return bench_watch_change(c->raw->loop, c->watch, EPOLLIN);
    }

    return 0;
}


/* Tells the stream what came; c may be gone then. */
static void
bench_conn_take(bench_conn_t *c, size_t n, int64_t now)
{
    llm_slice_t       data;
    const llm_u8     *p, *end;
    bench_http_rc_t   rc;

    p = c->raw->buffer;
    end = p + n;
    c->got = 1;
    c->reads++;

    do {
        rc = bench_http_next(&c->http, &p, end, &data);

        if (c->http.status != 0 && !c->told) {
            bench_stream_status(c->stream, c->http.status);
            c->told = 1;
        }

        if (rc == BENCH_HTTP_DATA
            && bench_stream_data(c->stream, (const char *) data.p, data.n,
                                 c->reads, now, c->raw->loop->woke) == -1)
        {
            bench_conn_over(c, NULL, 0);
            return;
        }

    } while (rc == BENCH_HTTP_DATA);

    if (rc == BENCH_HTTP_WRONG) {
        bench_conn_over(c, c->http.wrong, 0);
    }

    if (rc == BENCH_HTTP_DONE) {
        bench_conn_over(c, NULL, c->http.keep && p == end
                                 && c->sent == c->out.n);
    }
}


static void
bench_conn_readable(bench_conn_t *c)
{
    int64_t  now;
    ssize_t  n;

    n = recv(c->fd, c->raw->buffer, BENCH_RAW_BUFFER, 0);
    now = bench_now();

    if (n > 0) {
        bench_conn_take(c, (size_t) n, now);
        return;
    }

    if (n == -1) {
        if (errno != EAGAIN && errno != EINTR) {
            bench_conn_failed(c, strerror(errno));
        }

        return;
    }

    if (bench_http_eof(&c->http) == BENCH_HTTP_DONE) {
        bench_conn_over(c, NULL, 0);

    } else {
        bench_conn_failed(c, c->http.wrong);
    }
}


static void
bench_conn_ready(bench_watch_t *w, uint32_t events)
{
    bench_conn_t  *c;

    c = w->ctx;

    if (c->stream == NULL) {

        /* idle: the server has closed it, or says what nobody asked */

        bench_conn_unpark(c);
        bench_conn_close(c);
        return;
    }

    if (c->sent < c->out.n && (events & (EPOLLOUT|EPOLLERR|EPOLLHUP))
        && bench_conn_writable(c) == -1)
    {
        if (!c->connected) {
            bench_conn_failed(c, strerror(errno));
            return;
        }

        /* an answer may have come before it broke */

        events = EPOLLIN;
    }

    if (c->connected && (events & (EPOLLIN|EPOLLERR|EPOLLHUP))) {
        bench_conn_readable(c);
    }
}


/* A connection gets a stream. */
static void
bench_conn_assign(bench_conn_t *c, bench_stream_t *s)
{
    char  length[48];
    int   n;

    c->stream = s;
    c->got = 0;
    c->told = 0;
    c->sent = 0;
    c->reads = 0;
    s->transfer = c;

    bench_http_begin(&c->http);

    n = snprintf(length, sizeof(length), "Content-Length: %zu\r\n\r\n",
                 s->body_n);

    c->out.n = 0;
    (void) llm_block_append(&c->out, &bench_allocator, c->raw->head.p,
                            c->raw->head.n);
    (void) llm_block_append(&c->out, &bench_allocator, length, (size_t) n);
    (void) llm_block_append(&c->out, &bench_allocator, s->body, s->body_n);
}


static const char *
bench_conn_open(bench_raw_t *r, bench_stream_t *s,
    const struct addrinfo *address)
{
    int            fd, on;
    bench_conn_t  *c;

    fd = socket(address->ai_family, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return strerror(errno);
    }

    on = 1;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

    if (connect(fd, address->ai_addr, address->ai_addrlen) == -1
        && errno != EINPROGRESS)
    {
        on = errno;
        (void) close(fd);

        return address->ai_next != NULL
               ? bench_conn_open(r, s, address->ai_next) : strerror(on);
    }

    c = bench_alloc_zero(1, sizeof(bench_conn_t));
    c->raw = r;
    c->fd = fd;
    c->address = address;
    c->watch = bench_watch_open(r->loop, fd, EPOLLIN|EPOLLOUT,
                                bench_conn_ready, c);

    if (c->watch == NULL) {
        on = errno;
        (void) close(fd);
        free(c);
        return strerror(on);
    }

    bench_conn_assign(c, s);

    return NULL;
}


static const char *
bench_raw_start(void *engine, bench_stream_t *s)
{
    bench_raw_t   *r;
    bench_conn_t  *c;

    r = engine;
    c = r->idle;

    if (c == NULL) {
        return bench_conn_open(r, s, r->address);
    }

    bench_conn_unpark(c);
    bench_conn_assign(c, s);

    if (bench_conn_send(c) == 0 && c->sent == c->out.n) {
        return NULL;
    }

    /* the rest, or the failure, is seen in the next round */

    (void) bench_watch_change(r->loop, c->watch, EPOLLIN|EPOLLOUT);

    return NULL;
}


static void
bench_raw_cancel(void *engine, bench_stream_t *s)
{
    (void) engine;

    bench_conn_close(s->transfer);
    s->transfer = NULL;
}


static int64_t
bench_raw_due(void *engine)
{
    (void) engine;

    return 0;
}


static void
bench_raw_timer(void *engine)
{
    (void) engine;
}


static void
bench_raw_head(bench_raw_t *r, const bench_body_t *b)
{
    size_t           i;
    llm_block_out_t  bo;

    (void) llm_block_out_open(&bo, &r->head, &bench_allocator);

    llm_out_lit(&bo.out, "POST ");
    llm_out(&bo.out, b->target, strlen(b->target));
    llm_out_lit(&bo.out, " HTTP/1.1\r\nHost: ");
    llm_out(&bo.out, b->authority, b->authority_n);
    llm_out_lit(&bo.out, "\r\n");

    for (i = 0; i < b->nfields; i++) {
        llm_out(&bo.out, b->fields[i], strlen(b->fields[i]));
        llm_out_lit(&bo.out, "\r\n");
    }

    (void) llm_block_out_close(&bo);
}


static void *
bench_raw_open(const bench_options_t *o, const bench_body_t *b,
    bench_loop_t *l)
{
    int               rc;
    bench_raw_t      *r;
    struct addrinfo   hints, *found;

    if (b->tls || o->http2) {
        fputs("llm-bench: --engine raw speaks HTTP/1.1 to http:// only\n",
              stderr);
        return NULL;
    }

    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;

    rc = getaddrinfo(b->host, b->port, &hints, &found);

    if (rc != 0) {
        fprintf(stderr, "llm-bench: %s: %s\n", b->host, gai_strerror(rc));
        return NULL;
    }

    r = bench_alloc_zero(1, sizeof(bench_raw_t));
    r->loop = l;
    r->addresses = found;
    r->address = found;

    bench_raw_head(r, b);

    return r;
}


/* All streams have ended: all connections are idle. */
static void
bench_raw_close(void *engine)
{
    bench_raw_t   *r;
    bench_conn_t  *c;

    r = engine;

    while (r->idle != NULL) {
        c = r->idle;
        bench_conn_unpark(c);
        bench_conn_close(c);
    }

    freeaddrinfo(r->addresses);
    llm_block_free(&r->head, &bench_allocator);
    free(r);
}


const bench_engine_t  bench_engine_raw = {
    bench_raw_open,
    bench_raw_close,
    bench_raw_start,
    bench_raw_cancel,
    bench_raw_due,
    bench_raw_timer
};
