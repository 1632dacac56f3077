/*
 * Embeddings: vectors that depend on the input and on nothing else.
 */

#ifndef MOCK_EMBED_H
#define MOCK_EMBED_H

#include "mock_chat_request.h"


/* Reads a body as mock_chat_request() does: r->user is the JSON value of the
 * input. */
int mock_embed_request(mock_chat_request_t *r, const unsigned char *p,
    size_t n, mock_buf_t *err, const char **param);


#endif /* MOCK_EMBED_H */
