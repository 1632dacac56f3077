/*
 * Pairs of connections.  It owns the sockets and what waits to be sent, and
 * passes on how a side ends: FIN as FIN when everything before it is sent, an
 * error as RST at once.  What bytes mean is not known here.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "bench_memory.h"
#include "relay.h"


static unsigned char  relay_buffer[RELAY_READ];


static relay_side_t *
relay_side_other(const relay_side_t *s)
{
    return s == &s->pair->client ? &s->pair->server : &s->pair->client;
}


relay_unit_t *
relay_unit(const void *p, size_t n, int64_t came)
{
    relay_unit_t  *u;

    u = bench_alloc(sizeof(relay_unit_t) + n);
    u->next = NULL;
    u->came = came;
    u->due = 0;
    u->n = n;
    u->sent = 0;
    u->event = 0;
    memcpy(u->bytes, p, n);

    return u;
}


void
relay_pair_put(relay_side_t *to, relay_unit_t *u)
{
    *to->last = u;
    to->last = &u->next;
    to->waiting += u->n;
}


/* Closes the connection, with RST if it has not ended by itself. */
static void
relay_side_close(relay_side_t *s, int reset)
{
    struct linger  linger;

    if (s->fd == -1) {
        return;
    }

    if (reset) {
        linger.l_onoff = 1;
        linger.l_linger = 0;
        (void) setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger,
                          sizeof(linger));
    }

    if (s->watch) {
        bench_watch_close(&relay.loop, s->watch);
        s->watch = NULL;
    }

    (void) close(s->fd);
    s->fd = -1;
}


static void
relay_pair_end(relay_pair_t *p, int reset)
{
    relay_side_close(&p->client, reset);
    relay_side_close(&p->server, reset);
    mock_heap_take(&relay.waiting, &p->wait);

    if (p->prev) {
        p->prev->next = p->next;
    } else {
        relay.pairs = p->next;
    }

    if (p->next) {
        p->next->prev = p->prev;
    }

    p->next = relay.dead;
    relay.dead = p;
}


static int
relay_pair_broken(relay_pair_t *p)
{
    relay.counts.broken++;
    relay_pair_end(p, 1);

    return -1;
}


/* Tells the kernel what a side is waited for; a side that has ended in both
 * directions is closed, and with the second one the pair is gone. */
static int
relay_side_update(relay_side_t *s)
{
    uint32_t       wants;
    relay_side_t  *other;

    other = relay_side_other(s);

    if (s->fd == -1) {
        return 0;
    }

    if (s->eof && s->shut) {
        relay_side_close(s, 0);

        if (other->fd == -1) {
            relay_pair_end(s->pair, 0);
            return -1;
        }

        return 0;
    }

    wants = s->blocked ? EPOLLOUT : 0;

    if (s->pair->connected && !s->eof && other->waiting < RELAY_AHEAD) {
        wants |= EPOLLIN;
    }

    if (wants == s->wants) {
        return 0;
    }

    s->wants = wants;

    if (bench_watch_change(&relay.loop, s->watch, wants) != 0) {
        return relay_pair_broken(s->pair);
    }

    return 0;
}


static int
relay_pair_update(relay_pair_t *p)
{
    if (relay_side_update(&p->client) != 0) {
        return -1;
    }

    return relay_side_update(&p->server);
}


/* Bytes that the kernel took, -1: the connection is broken. */
static ssize_t
relay_side_send(relay_side_t *s, const unsigned char *b, size_t n)
{
    ssize_t  sent;

    sent = send(s->fd, b, n, MSG_NOSIGNAL);

    if (sent == -1) {
        if (errno != EAGAIN && errno != EINTR) {
            return -1;
        }

        sent = 0;
    }

    s->blocked = (size_t) sent < n;

    return sent;
}


/* All of it was sent. */
static void
relay_side_sent(relay_side_t *s, relay_unit_t *u)
{
    s->out = u->next;
    s->waiting -= u->n;

    if (s->out == NULL) {
        s->last = &s->out;
    }

    if (u->event) {
        bench_hist_record(&relay.counts.delay, bench_now() - u->came);
    }

    free(u);
}


/* Sends what waits for a side and is due.  0, or -1: the pair is gone. */
static int
relay_side_flush(relay_side_t *s)
{
    ssize_t        n;
    relay_pair_t  *p;
    relay_unit_t  *u;

    p = s->pair;

    for (u = s->out; u; u = s->out) {

        if (u->due && u->due > bench_now()) {
            mock_heap_set(&relay.waiting, &p->wait, u->due);
            break;
        }

        n = relay_side_send(s, u->bytes + u->sent, u->n - u->sent);
        if (n == -1) {
            return relay_pair_broken(p);
        }

        u->sent += (size_t) n;

        if (u->sent < u->n) {
            break;
        }

        relay_side_sent(s, u);
    }

    if (s->out == NULL && relay_side_other(s)->eof && !s->shut) {
        s->shut = 1;
        (void) shutdown(s->fd, SHUT_WR);
    }

    return relay_pair_update(p);
}


void
relay_pair_flush_due(int64_t now)
{
    relay_pair_t      *p;
    mock_heap_item_t  *first;

    while ((first = mock_heap_first(&relay.waiting)) && first->at <= now) {
        p = (relay_pair_t *) first;
        mock_heap_take(&relay.waiting, first);
        (void) relay_side_flush(&p->client);
    }
}


/* Bytes came from s.  What can go at once is not copied. */
static int
relay_side_pass(relay_side_t *s, size_t n)
{
    ssize_t        sent;
    relay_side_t  *to;

    to = relay_side_other(s);

    if (relay.options.cuts && s == &s->pair->server) {
        relay_lies_feed(s->pair, relay_buffer, n, bench_now());

        /* whoever waits for a time is flushed when it has come */
        return s->pair->wait.place ? relay_pair_update(s->pair)
                                   : relay_side_flush(to);
    }

    sent = 0;

    if (to->out == NULL) {
        sent = relay_side_send(to, relay_buffer, n);
        if (sent == -1) {
            return relay_pair_broken(s->pair);
        }

        if ((size_t) sent == n) {
            return 0;
        }
    }

    relay_pair_put(to, relay_unit(relay_buffer + sent, n - (size_t) sent, 0));

    return relay_pair_update(s->pair);
}


static int
relay_side_read(relay_side_t *s)
{
    ssize_t  n;

    n = recv(s->fd, relay_buffer, sizeof(relay_buffer), 0);

    if (n == -1) {
        return errno == EAGAIN || errno == EINTR ? 0
                                                 : relay_pair_broken(s->pair);
    }

    if (n > 0) {
        return relay_side_pass(s, (size_t) n);
    }

    s->eof = 1;

    if (relay.options.cuts && s == &s->pair->server) {
        relay_lies_end(s->pair, bench_now());
    }

    return relay_side_flush(relay_side_other(s));
}


/* The server's connection is open, or will never be. */
static int
relay_pair_connected(relay_pair_t *p)
{
    int        error;
    socklen_t  n;

    n = sizeof(error);

    if (getsockopt(p->server.fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0
        || error != 0)
    {
        return relay_pair_broken(p);
    }

    p->connected = 1;
    p->server.blocked = 0;

    return relay_pair_update(p);
}


static void
relay_side_ready(bench_watch_t *w, uint32_t events)
{
    relay_side_t  *s;

    s = w->ctx;

    if (events & EPOLLERR) {
        (void) relay_pair_broken(s->pair);
        return;
    }

    if (!s->pair->connected) {
        (void) relay_pair_connected(s->pair);
        return;
    }

    if ((events & EPOLLOUT) && relay_side_flush(s) != 0) {
        return;
    }

    /* EPOLLHUP cannot be unasked for: then it is read, whoever waits */
    if ((events & (EPOLLIN|EPOLLHUP)) && s->fd != -1 && !s->eof) {
        (void) relay_side_read(s);
    }
}


static int
relay_side_open(relay_pair_t *p, relay_side_t *s, int fd, uint32_t wants)
{
    int  on;

    s->pair = p;
    s->fd = fd;
    s->wants = wants;
    s->blocked = wants != 0;
    s->last = &s->out;

    if (fd == -1) {
        return -1;
    }

    on = 1;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    s->watch = bench_watch_open(&relay.loop, fd, wants, relay_side_ready, s);

    return s->watch ? 0 : -1;
}


void
relay_pair_open(int fd)
{
    int            rc, to;
    relay_pair_t  *p;

    p = bench_alloc_zero(1, sizeof(relay_pair_t));
    p->next = relay.pairs;

    if (p->next) {
        p->next->prev = p;
    }

    relay.pairs = p;
    relay.counts.connections++;

    to = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    rc = relay_side_open(p, &p->client, fd, 0);

    if (relay_side_open(p, &p->server, to, EPOLLOUT) != 0 || rc != 0
        || (connect(to, (struct sockaddr *) &relay.options.to,
                    sizeof(relay.options.to)) != 0
            && errno != EINPROGRESS))
    {
        (void) relay_pair_broken(p);
    }
}


static void
relay_pair_free_units(relay_unit_t *u)
{
    relay_unit_t  *next;

    for ( /* void */ ; u; u = next) {
        next = u->next;
        free(u);
    }
}


void
relay_pair_reap(void)
{
    relay_pair_t  *p;

    while (relay.dead) {
        p = relay.dead;
        relay.dead = p->next;

        relay_pair_free_units(p->client.out);
        relay_pair_free_units(p->server.out);
        relay_pair_free_units(p->held);
        free(p->in);
        free(p);
    }
}


void
relay_pair_close_all(void)
{
    while (relay.pairs) {
        relay_pair_end(relay.pairs, 1);
    }

    relay_pair_reap();
}
