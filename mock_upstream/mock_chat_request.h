/*
 * What the mock needs to know of a request, in any dialect.
 */

#ifndef MOCK_CHAT_REQUEST_H
#define MOCK_CHAT_REQUEST_H

#include "mock_dialect.h"


typedef struct {
    mock_buf_t  model;          /* inside of a JSON string, escaped */
    mock_buf_t  user;           /* text of the last user message */
    int         stream;
    int         include_usage;
    unsigned    n;              /* choices, 1..128 */
    size_t      prompt;         /* bytes of the messages */
    unsigned    dimensions;     /* embeddings: 0 is not said */
    unsigned    base64;
} mock_chat_request_t;

/*
 * Reads a request body.  0; or -1 with a sentence in *err and the member
 * that is wrong in *param (NULL: the body as such).
 */
int mock_chat_request(mock_chat_request_t *r, const mock_route_t *route,
    const unsigned char *p, size_t n, mock_buf_t *err, const char **param);

void mock_chat_request_free(mock_chat_request_t *r);


#endif /* MOCK_CHAT_REQUEST_H */
