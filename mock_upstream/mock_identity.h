/*
 * The identity service: credentials in, a token out, or whatever the options
 * ask for instead.
 */

#ifndef MOCK_IDENTITY_H
#define MOCK_IDENTITY_H

#include "mock_conn.h"


/* Is the request's path one of the service's? */
int mock_identity_is(const mock_request_t *r);

/* Answers it. */
void mock_identity(mock_conn_t *c, const mock_request_t *r,
    const mock_options_t *o);


#endif /* MOCK_IDENTITY_H */
