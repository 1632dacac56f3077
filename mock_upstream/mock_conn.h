/*
 * Connections: bytes in and out, plain or TLS, and how they end.
 */

#ifndef MOCK_CONN_H
#define MOCK_CONN_H

#include <event2/bufferevent.h>
#include <event2/buffer.h>

#include "mock.h"
#include "mock_http.h"


typedef enum {
    MOCK_CLOSE_CLEAN = 0,   /* FIN, with close_notify before it */
    MOCK_CLOSE_FIN,         /* FIN, TLS is not told */
    MOCK_CLOSE_RESET        /* RST */
} mock_close_t;

struct mock_conn_s {
    mock_t              *mock;
    struct bufferevent  *bev;
    evutil_socket_t      fd;
    SSL                 *ssl;       /* the bufferevent's, or NULL */
    uint64_t             number;
    uint64_t             requests;  /* read so far, control included */

    mock_request_t      *request;   /* being read or answered */
    mock_answer_t       *answer;
    mock_waiter_t       *waiter;

    unsigned             busy:1;    /* a request is being answered */
    unsigned             reading:1; /* inside mock_conn_read() */
    unsigned             counted:1; /* in the statistics */
    unsigned             alert:1;   /* fault tls-alert */
    unsigned             half:1;    /* write side shut, waits for the peer */
    unsigned             finish:1;  /* to be closed when all is sent */
    unsigned             dead:1;    /* closed; memory goes a moment later */

    mock_conn_t         *next;
    mock_conn_t         *prev;
};

void mock_conn_accept(mock_t *mock, evutil_socket_t fd, int tls);

/*
 * Sends n bytes with one send() where the kernel takes them; the rest waits
 * in the output buffer, and mock_answer_run() is called when that is empty.
 * -1: the connection is broken.
 */
int mock_conn_send(mock_conn_t *c, const void *p, size_t n);

/* Bytes the kernel did not take yet. */
size_t mock_conn_pending(const mock_conn_t *c);

/* The answer is over, the connection lives on: reads the next request. */
void mock_conn_next(mock_conn_t *c);

/* Shuts the write side and waits until the peer closes. */
void mock_conn_half_close(mock_conn_t *c);

/* Closes cleanly as soon as everything is sent. */
void mock_conn_finish(mock_conn_t *c);

/* Closes now; what waits in the output buffer is lost.  The structure stays
 * valid, with `dead` set, until the event loop runs again. */
void mock_conn_close(mock_conn_t *c, mock_close_t how);

/* Frees what is dead. */
void mock_conn_reap(evutil_socket_t fd, short what, void *arg);


#endif /* MOCK_CONN_H */
