/*
 * The engine on libcurl: its multi interface, driven by our loop.  It owns
 * the easy handles, which are used again and again; it must never print, and
 * never touch a signal.
 *
 * Before 8.0 libcurl cannot use a connection again that was opened for HTTP/2
 * with prior knowledge (curl's pull request 10643).  Those who ask for
 * HTTP/2 without that can, only they must not open one.  So, where needed,
 * one request opens the connection and all others join it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "bench_engine.h"
#include "bench_memory.h"
#include "bench_stream.h"


#define BENCH_CURL_BUFFER  32768L
#define BENCH_CURL_JOINS   0x080000     /* the version that can */

typedef struct bench_curl_easy_s  bench_curl_easy_t;

typedef struct {
    CURLM                 *multi;
    struct curl_slist     *fields;
    const bench_options_t *options;
    const bench_body_t    *body;
    bench_loop_t          *loop;
    bench_curl_easy_t     *idle;
    int64_t                due;         /* of libcurl's timer, 0: none */
    unsigned               joins;       /* requests join a connection */
    unsigned               sockets;     /* open, counted with `joins` */
    bench_curl_easy_t     *opener;      /* opens a connection just now */
    uint64_t               read;        /* number of the action in hand */
    int64_t                returned;    /* when its first bytes came, 0: none
                                           did yet */
} bench_curl_t;

/* A handle and the stream it works for. */
struct bench_curl_easy_s {
    bench_curl_t          *engine;
    CURL                  *easy;
    bench_stream_t        *stream;
    unsigned               status;      /* was told to the stream */
    unsigned               opens;       /* a connection, else it joins one */
    unsigned               refused;     /* there was none to join */
    const char            *wrong;
    bench_curl_easy_t     *next;
};


/* Tells the stream the status, once; -1: it is the wrong protocol. */
static int
bench_curl_head(bench_curl_easy_t *e)
{
    long  status, version;

    status = 0;
    version = 0;
    e->status = 1;

    (void) curl_easy_getinfo(e->easy, CURLINFO_RESPONSE_CODE, &status);
    (void) curl_easy_getinfo(e->easy, CURLINFO_HTTP_VERSION, &version);

    bench_stream_status(e->stream, (unsigned) status);

    if (e->engine->options->http2 && status != 0
        && version != CURL_HTTP_VERSION_2_0)
    {
        e->wrong = "no HTTP/2";
        return -1;
    }

    return 0;
}


static size_t
bench_curl_write(char *p, size_t size, size_t n, void *ctx)
{
    bench_curl_t       *c;
    bench_curl_easy_t  *e;

    (void) size;

    e = ctx;
    c = e->engine;

    if (c->returned == 0) {
        c->returned = bench_now();
    }

    if (!e->status && bench_curl_head(e) == -1) {
        return CURL_WRITEFUNC_ERROR;
    }

    if (bench_stream_data(e->stream, p, n, c->read, c->returned,
                          c->loop->woke) == -1)
    {
        return CURL_WRITEFUNC_ERROR;
    }

    return n;
}


/* Gives the handle to libcurl. */
static CURLMcode
bench_curl_add(bench_curl_t *c, bench_curl_easy_t *e)
{
    if (c->joins) {
        e->opens = c->sockets == 0 && c->opener == NULL;

        if (e->refused && c->opener == NULL) {
            e->opens = 1;
        }

        if (e->opens) {
            c->opener = e;
        }

        e->refused = 0;

        (void) curl_easy_setopt(e->easy, CURLOPT_HTTP_VERSION,
                                (long) (e->opens
                                        ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE
                                        : CURL_HTTP_VERSION_2_0));
        (void) curl_easy_setopt(e->easy, CURLOPT_FRESH_CONNECT,
                                (long) e->opens);
    }

    return curl_multi_add_handle(c->multi, e->easy);
}


/* Takes it back; it is idle then. */
static void
bench_curl_remove(bench_curl_t *c, bench_curl_easy_t *e)
{
    (void) curl_multi_remove_handle(c->multi, e->easy);

    if (c->opener == e) {
        c->opener = NULL;
    }

    e->stream->transfer = NULL;
    e->stream = NULL;
    e->next = c->idle;
    c->idle = e;
}


/* There was no connection to join, or no place on one: another try, at a
 * connection of its own unless one is being opened. */
static int
bench_curl_again(bench_curl_t *c, bench_curl_easy_t *e)
{
    if (!e->refused) {
        return 0;
    }

    (void) curl_multi_remove_handle(c->multi, e->easy);

    return bench_curl_add(c, e) == CURLM_OK;
}


/* Tells the stream how its transfer ended. */
static void
bench_curl_ended(bench_curl_t *c, CURL *easy, CURLcode code)
{
    bench_stream_t     *s;
    bench_curl_easy_t  *e;

    e = NULL;

    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &e) != CURLE_OK
        || e == NULL)
    {
        return;
    }

    if (bench_curl_again(c, e)) {
        return;
    }

    if (!e->status) {
        (void) bench_curl_head(e);
    }

    s = e->stream;
    bench_curl_remove(c, e);

    if (e->wrong == NULL && code != CURLE_OK) {
        e->wrong = curl_easy_strerror(code);
    }

    bench_stream_end(s, e->wrong);
}


static void
bench_curl_action(bench_curl_t *c, curl_socket_t fd, int what)
{
    int       running, left;
    CURLMsg  *msg;

    c->read++;
    c->returned = 0;

    (void) curl_multi_socket_action(c->multi, fd, what, &running);

    for ( ;; ) {
        msg = curl_multi_info_read(c->multi, &left);

        if (msg == NULL) {
            break;
        }

        if (msg->msg == CURLMSG_DONE) {
            bench_curl_ended(c, msg->easy_handle, msg->data.result);
        }
    }
}


static void
bench_curl_ready(bench_watch_t *w, uint32_t events)
{
    int  what;

    what = 0;

    if (events & EPOLLIN) {
        what |= CURL_CSELECT_IN;
    }

    if (events & EPOLLOUT) {
        what |= CURL_CSELECT_OUT;
    }

    if (events & (EPOLLERR|EPOLLHUP)) {
        what |= CURL_CSELECT_ERR;
    }

    bench_curl_action(w->ctx, w->fd, what);
}


static int
bench_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx,
    void *watch)
{
    uint32_t       events;
    bench_curl_t  *c;

    (void) easy;

    c = ctx;

    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            bench_watch_close(c->loop, watch);
            (void) curl_multi_assign(c->multi, fd, NULL);
        }

        return 0;
    }

    events = (what & CURL_POLL_IN ? EPOLLIN : 0u)
             | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);

    if (watch != NULL) {
        return bench_watch_change(c->loop, watch, events);
    }

    watch = bench_watch_open(c->loop, fd, events, bench_curl_ready, c);
    if (watch == NULL) {
        return -1;
    }

    (void) curl_multi_assign(c->multi, fd, watch);

    return 0;
}


static int
bench_curl_set_timer(CURLM *multi, long ms, void *ctx)
{
    bench_curl_t  *c;

    (void) multi;

    c = ctx;
    c->due = ms < 0 ? 0 : bench_now() + ms * BENCH_MS;

    return 0;
}


static curl_socket_t
bench_curl_open_socket(void *ctx, curlsocktype purpose,
    struct curl_sockaddr *a)
{
    curl_socket_t       fd;
    bench_curl_easy_t  *e;

    (void) purpose;

    e = ctx;

    if (!e->opens) {
        e->refused = 1;
        return CURL_SOCKET_BAD;
    }

    fd = socket(a->family, a->socktype, a->protocol);

    if (fd != CURL_SOCKET_BAD) {
        e->engine->sockets++;
    }

    return fd;
}


static int
bench_curl_close_socket(void *ctx, curl_socket_t fd)
{
    ((bench_curl_t *) ctx)->sockets--;

    return close(fd);
}


/* Connected: from now on others can join. */
static int
bench_curl_connected(void *ctx, char *to, char *from, int to_port,
    int from_port)
{
    bench_curl_easy_t  *e;

    (void) to;
    (void) from;
    (void) to_port;
    (void) from_port;

    e = ctx;

    if (e->engine->opener == e) {
        e->engine->opener = NULL;
    }

    return CURL_PREREQFUNC_OK;
}


static int64_t
bench_curl_due(void *engine)
{
    return ((bench_curl_t *) engine)->due;
}


static void
bench_curl_timer(void *engine)
{
    bench_curl_t  *c;

    c = engine;
    c->due = 0;

    bench_curl_action(c, CURL_SOCKET_TIMEOUT, 0);
}


static void *
bench_curl_open(const bench_options_t *o, const bench_body_t *b,
    bench_loop_t *l)
{
    size_t         i;
    bench_curl_t  *c;

    c = bench_alloc_zero(1, sizeof(bench_curl_t));

    c->options = o;
    c->body = b;
    c->loop = l;
    c->joins = o->http2 && !b->tls
               && curl_version_info(CURLVERSION_NOW)->version_num
                  < BENCH_CURL_JOINS;
    c->multi = curl_multi_init();

    if (c->multi == NULL) {
        fputs("llm-bench: curl_multi_init() failed\n", stderr);
        free(c);
        return NULL;
    }

    for (i = 0; i < b->nfields; i++) {
        c->fields = curl_slist_append(c->fields, b->fields[i]);
    }

    /* without it libcurl asks before it sends a large body */

    c->fields = curl_slist_append(c->fields, "Expect:");

    (void) curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION,
                             bench_curl_socket);
    (void) curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    (void) curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION,
                             bench_curl_set_timer);
    (void) curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    (void) curl_multi_setopt(c->multi, CURLMOPT_PIPELINING,
                             (long) (o->http2 ? CURLPIPE_MULTIPLEX
                                              : CURLPIPE_NOTHING));
    (void) curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, 20000L);

    return c;
}


/* Whether the client says which encodings it takes: then it must read them. */
static int
bench_curl_inflates(const bench_body_t *b)
{
    size_t             i;
    static const char  name[] = "Accept-Encoding:";

    for (i = 0; i < b->nfields; i++) {
        if (strncasecmp(b->fields[i], name, sizeof(name) - 1) == 0) {
            return 1;
        }
    }

    return 0;
}


static long
bench_curl_version(const bench_curl_t *c)
{
    if (!c->options->http2) {
        return CURL_HTTP_VERSION_1_1;
    }

    return c->body->tls ? CURL_HTTP_VERSION_2TLS
                        : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
}


static bench_curl_easy_t *
bench_curl_new(bench_curl_t *c)
{
    CURL               *h;
    bench_curl_easy_t  *e;

    h = curl_easy_init();
    if (h == NULL) {
        return NULL;
    }

    e = bench_alloc_zero(1, sizeof(bench_curl_easy_t));
    e->engine = c;
    e->easy = h;

    (void) curl_easy_setopt(h, CURLOPT_PRIVATE, e);
    (void) curl_easy_setopt(h, CURLOPT_URL, c->body->url);
    (void) curl_easy_setopt(h, CURLOPT_HTTPHEADER, c->fields);
    (void) curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, bench_curl_write);
    (void) curl_easy_setopt(h, CURLOPT_WRITEDATA, e);
    (void) curl_easy_setopt(h, CURLOPT_BUFFERSIZE, BENCH_CURL_BUFFER);
    (void) curl_easy_setopt(h, CURLOPT_HTTP_VERSION, bench_curl_version(c));
    (void) curl_easy_setopt(h, CURLOPT_PIPEWAIT, (long) c->options->http2);
    (void) curl_easy_setopt(h, CURLOPT_TCP_NODELAY, 1L);
    (void) curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    (void) curl_easy_setopt(h, CURLOPT_NOPROGRESS, 1L);

    /* an environment's proxy is not what is measured */

    (void) curl_easy_setopt(h, CURLOPT_PROXY, "");

    if (bench_curl_inflates(c->body)) {
        (void) curl_easy_setopt(h, CURLOPT_ACCEPT_ENCODING, "");
    }

    if (c->joins) {
        (void) curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION,
                                bench_curl_open_socket);
        (void) curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, e);
        (void) curl_easy_setopt(h, CURLOPT_CLOSESOCKETFUNCTION,
                                bench_curl_close_socket);
        (void) curl_easy_setopt(h, CURLOPT_CLOSESOCKETDATA, c);
        (void) curl_easy_setopt(h, CURLOPT_PREREQFUNCTION,
                                bench_curl_connected);
        (void) curl_easy_setopt(h, CURLOPT_PREREQDATA, e);
    }

    if (c->options->insecure) {
        (void) curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
        (void) curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
    }

    if (c->options->cacert != NULL) {
        (void) curl_easy_setopt(h, CURLOPT_CAINFO, c->options->cacert);
    }

    return e;
}


static const char *
bench_curl_start(void *engine, bench_stream_t *s)
{
    CURLMcode           code;
    bench_curl_t       *c;
    bench_curl_easy_t  *e;

    c = engine;
    e = c->idle;

    if (e != NULL) {
        c->idle = e->next;

    } else {
        e = bench_curl_new(c);
        if (e == NULL) {
            return "curl_easy_init() failed";
        }
    }

    e->stream = s;
    e->status = 0;
    e->refused = 0;
    e->wrong = NULL;
    s->transfer = e;

    (void) curl_easy_setopt(e->easy, CURLOPT_POSTFIELDS, s->body);
    (void) curl_easy_setopt(e->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t) s->body_n);

    code = bench_curl_add(c, e);

    if (code != CURLM_OK) {
        bench_curl_remove(c, e);
        return curl_multi_strerror(code);
    }

    return NULL;
}


static void
bench_curl_cancel(void *engine, bench_stream_t *s)
{
    bench_curl_easy_t  *e;

    e = s->transfer;

    if (!e->status) {
        (void) bench_curl_head(e);
    }

    bench_curl_remove(engine, e);
}


/* All streams have ended: all handles are idle. */
static void
bench_curl_close(void *engine)
{
    bench_curl_t       *c;
    bench_curl_easy_t  *e;

    c = engine;

    while (c->idle != NULL) {
        e = c->idle;
        c->idle = e->next;
        curl_easy_cleanup(e->easy);
        free(e);
    }

    (void) curl_multi_cleanup(c->multi);
    curl_slist_free_all(c->fields);
    free(c);
}


const bench_engine_t  bench_engine_curl = {
    bench_curl_open,
    bench_curl_close,
    bench_curl_start,
    bench_curl_cancel,
    bench_curl_due,
    bench_curl_timer
};
