/*
 * From a request to its answer.
 */

#ifndef MOCK_SERVE_H
#define MOCK_SERVE_H

#include "mock_conn.h"


/* The head of c->request has come, its body not yet. */
void mock_serve_head(mock_conn_t *c);

/* c->request is there as a whole. */
void mock_serve(mock_conn_t *c);

/* What came is no HTTP request that can be served. */
void mock_serve_refuse(mock_conn_t *c, int status);


#endif /* MOCK_SERVE_H */
