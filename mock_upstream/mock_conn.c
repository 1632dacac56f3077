/*
 * Connections.  It owns sockets and bufferevents and notices when a peer
 * goes away: the read side is always armed, also while an answer waits for
 * its time or for room.  What is sent, and when, is not decided here.
 */

#include <errno.h>
#include <netinet/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/bufferevent_ssl.h>

#include "mock_answer.h"
#include "mock_conn.h"
#include "mock_control.h"
#include "mock_serve.h"
#include "mock_tls.h"


/* more than this, sent ahead of its turn, is no pipelining */
#define MOCK_CONN_AHEAD  (MOCK_HTTP_BODY_MAX + 2 * MOCK_HTTP_HEAD_MAX)


static void
mock_conn_count(mock_conn_t *c, size_t n)
{
    if (c->answer) {
        mock_answer_count(c->answer, n);
    }
}


static void
mock_conn_drained(struct evbuffer *out, const struct evbuffer_cb_info *info,
    void *arg)
{
    (void) out;

    if (info->n_deleted) {
        mock_conn_count(arg, info->n_deleted);
    }
}


/* The peer went away. */
static void
mock_conn_gone(mock_conn_t *c)
{
    if (c->dead) {
        return;
    }

    if (c->answer) {
        mock_answer_end(c->answer, MOCK_END_ABORTED);
    }

    mock_conn_close(c, MOCK_CLOSE_FIN);
}


static void
mock_conn_tls_alert(mock_conn_t *c)
{
    static const unsigned char  alert[] = { 21, 3, 3, 0, 2, 2, 40 };

    /* one read of the ClientHello is enough: nothing of it matters */
    evbuffer_drain(bufferevent_get_input(c->bev),
                   evbuffer_get_length(bufferevent_get_input(c->bev)));
    (void) mock_conn_send(c, alert, sizeof(alert));
    mock_conn_close(c, MOCK_CLOSE_FIN);
}


/* A connection counts from its first request on, if that is none of the
 * control requests, or, without any request, when it is closed. */
static void
mock_conn_counted(mock_conn_t *c)
{
    if (!c->counted) {
        c->counted = 1;
        c->mock->stats.connections++;
        c->mock->stats.open_connections++;
        mock_control_kick(c->mock);
    }
}


/* A request's head or the whole request has come. */
static void
mock_conn_request(mock_conn_t *c, int rc)
{
    const char      *sni;
    mock_request_t  *r;

    r = c->request;

    if (rc == MOCK_HTTP_HEAD) {
        c->requests++;
        r->connection = c->number;

        if (!mock_control_is(r)) {
            mock_conn_counted(c);
        }

        sni = c->ssl ? SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name)
                     : NULL;

        if (sni) {
            strncpy(r->sni, sni, sizeof(r->sni) - 1);
        }

        mock_serve_head(c);
        return;
    }

    c->busy = 1;

    if (rc == MOCK_HTTP_DONE) {
        mock_serve(c);
    } else {
        mock_serve_refuse(c, rc);
    }
}


static void
mock_conn_read(mock_conn_t *c)
{
    int               rc;
    struct evbuffer  *in;

    if (c->reading) {
        return;
    }

    c->reading = 1;

    while (!c->dead && !c->busy) {
        in = bufferevent_get_input(c->bev);

        if (c->request == NULL) {
            if (evbuffer_get_length(in) == 0) {
                break;
            }

            c->request = mock_http_request();
        }

        rc = mock_http_read(c->request, in);

        if (rc == MOCK_HTTP_AGAIN) {
            break;
        }

        mock_conn_request(c, rc);
    }

    c->reading = 0;
}


static void
mock_conn_on_read(struct bufferevent *bev, void *arg)
{
    mock_conn_t      *c;
    struct evbuffer  *in;

    c = arg;
    in = bufferevent_get_input(bev);

    if (c->dead) {
        return;
    }

    if (c->alert) {
        mock_conn_tls_alert(c);
        return;
    }

    if (c->half) {
        evbuffer_drain(in, evbuffer_get_length(in));
        return;
    }

    if (evbuffer_get_length(in) > MOCK_CONN_AHEAD) {
        mock_conn_gone(c);
        return;
    }

    mock_conn_read(c);
}


static void
mock_conn_on_write(struct bufferevent *bev, void *arg)
{
    mock_conn_t  *c;

    (void) bev;
    c = arg;

    if (c->dead) {
        return;
    }

    if (c->answer) {
        mock_answer_run(c->answer);

    } else if (c->finish) {
        mock_conn_finish(c);
    }
}


static void
mock_conn_on_event(struct bufferevent *bev, short what, void *arg)
{
    (void) bev;

    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
        mock_conn_gone(arg);
    }
}


/* The bytes that fault tls-plaintext-first sends ahead of the handshake. */
static void
mock_conn_plaintext(evutil_socket_t fd)
{
    ssize_t            n;
    static const char  text[] = "HTTP/1.1 200 OK\r\n"
        "Content-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":"
        "\"cleartext\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

    n = send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL);
    (void) n;   /* a new socket's buffer takes it, or the peer is gone */
}


static struct bufferevent *
mock_conn_bufferevent(mock_conn_t *c, int tls)
{
    const char          *fault;
    struct bufferevent  *bev;

    fault = tls ? c->mock->defaults.fault : "";

    if (strcmp(fault, "tls-alert") == 0) {
        c->alert = 1;
        tls = 0;
    }

    if (strcmp(fault, "tls-plaintext-first") == 0) {
        mock_conn_plaintext(c->fd);
    }

    if (!tls) {
        return bufferevent_socket_new(c->mock->base, c->fd,
                                      BEV_OPT_CLOSE_ON_FREE);
    }

    c->ssl = SSL_new(c->mock->ssl);
    if (c->ssl == NULL) {
        return NULL;
    }

    bev = bufferevent_openssl_socket_new(c->mock->base, c->fd, c->ssl,
                                         BUFFEREVENT_SSL_ACCEPTING,
                                         BEV_OPT_CLOSE_ON_FREE);
    if (bev == NULL) {
        SSL_free(c->ssl);
        c->ssl = NULL;
    }

    return bev;
}


void
mock_conn_accept(mock_t *mock, evutil_socket_t fd, int tls)
{
    int                 on;
    mock_conn_t        *c;
    static uint64_t     number;

    c = mock_zalloc(sizeof(*c));
    c->mock = mock;
    c->fd = fd;
    c->number = ++number;

    on = 1;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

    c->bev = mock_conn_bufferevent(c, tls);
    if (c->bev == NULL) {
        evutil_closesocket(fd);
        free(c);
        return;
    }

    c->next = mock->conns;

    if (mock->conns) {
        mock->conns->prev = c;
    }

    mock->conns = c;

    evbuffer_add_cb(bufferevent_get_output(c->bev), mock_conn_drained, c);
    bufferevent_setcb(c->bev, mock_conn_on_read, mock_conn_on_write,
                      mock_conn_on_event, c);

    if (bufferevent_enable(c->bev, EV_READ | EV_WRITE) != 0) {
        mock_conn_close(c, MOCK_CLOSE_RESET);
    }
}


size_t
mock_conn_pending(const mock_conn_t *c)
{
    return c->dead ? 0 : evbuffer_get_length(bufferevent_get_output(c->bev));
}


int
mock_conn_send(mock_conn_t *c, const void *p, size_t n)
{
    ssize_t               sent;
    const unsigned char  *from;

    from = p;

    if (c->dead) {
        return -1;
    }

    /* what is sent at once does not wait for the event loop, and each call
     * is a segment of its own */
    if (c->ssl == NULL && mock_conn_pending(c) == 0) {

        sent = send(c->fd, from, n, MSG_NOSIGNAL);

        if (sent < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
                return -1;
            }

            sent = 0;
        }

        mock_conn_count(c, (size_t) sent);
        from += sent;
        n -= (size_t) sent;
    }

    if (n == 0) {
        return 0;
    }

    return bufferevent_write(c->bev, from, n);
}


void
mock_conn_next(mock_conn_t *c)
{
    if (c->request) {
        mock_http_free(c->request);
        c->request = NULL;
    }

    c->busy = 0;
    mock_conn_read(c);
}


void
mock_conn_half_close(mock_conn_t *c)
{
    c->half = 1;

    if (c->ssl) {
        (void) SSL_shutdown(c->ssl);
    }

    (void) shutdown(c->fd, SHUT_WR);
}


void
mock_conn_finish(mock_conn_t *c)
{
    c->busy = 1;
    c->finish = 1;

    if (mock_conn_pending(c) == 0) {
        mock_conn_close(c, MOCK_CLOSE_CLEAN);
    }
}


void
mock_conn_close(mock_conn_t *c, mock_close_t how)
{
    struct linger  linger;
    mock_t        *mock;

    if (c->dead) {
        return;
    }

    mock = c->mock;
    c->dead = 1;

    if (how == MOCK_CLOSE_RESET) {
        linger.l_onoff = 1;
        linger.l_linger = 0;
        (void) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger,
                          sizeof(linger));

    } else if (how == MOCK_CLOSE_CLEAN && c->ssl) {
        (void) SSL_shutdown(c->ssl);
    }

    if (c->waiter) {
        mock_control_forget(c->waiter);
    }

    evbuffer_remove_cb(bufferevent_get_output(c->bev), mock_conn_drained, c);
    bufferevent_setcb(c->bev, NULL, NULL, NULL, NULL);
    bufferevent_free(c->bev);
    c->bev = NULL;
    c->ssl = NULL;

    if (c->prev) {
        c->prev->next = c->next;
    } else {
        mock->conns = c->next;
    }

    if (c->next) {
        c->next->prev = c->prev;
    }

    if (c->requests == 0) {
        mock_conn_counted(c);
    }

    if (c->counted) {
        mock->stats.open_connections--;
        mock_control_kick(mock);
    }

    c->next = mock->dead;
    mock->dead = c;
    event_active(&mock->reap, EV_TIMEOUT, 0);
}


void
mock_conn_reap(evutil_socket_t fd, short what, void *arg)
{
    mock_t       *mock;
    mock_conn_t  *c;

    (void) fd;
    (void) what;
    mock = arg;

    while (mock->dead) {
        c = mock->dead;
        mock->dead = c->next;

        if (c->request) {
            mock_http_free(c->request);
        }

        free(c);
    }
}
