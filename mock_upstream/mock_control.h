/*
 * The control side: what tests ask and tell the mock under /mock/.
 */

#ifndef MOCK_CONTROL_H
#define MOCK_CONTROL_H

#include "mock.h"
#include "mock_conn.h"


int mock_control_is(const mock_request_t *r);

/* Answers a control request at once, or keeps it (GET /mock/wait). */
void mock_control(mock_conn_t *c, const mock_request_t *r);

/* Something changed: look at what is waited for, soon. */
void mock_control_kick(mock_t *mock);

/* Callback of mock->kick. */
void mock_control_on_kick(evutil_socket_t fd, short what, void *arg);

/* The connection of a waiter is closed. */
void mock_control_forget(mock_waiter_t *w);


#endif /* MOCK_CONTROL_H */
