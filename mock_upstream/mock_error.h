/*
 * Bodies of HTTP errors, in the shape of the dialect that was asked.
 */

#ifndef MOCK_ERROR_H
#define MOCK_ERROR_H

#include "mock_dialect.h"


/* OpenAI's object, which the control side has too. */
void mock_error_openai(mock_buf_t *b, const char *message, const char *type,
    const char *param, const char *code);

/* An error with a message of its own; param: the member that is wrong; code:
 * OpenAI's word for it; NULL: none. */
void mock_error_said(const mock_route_t *route, mock_buf_t *b, int status,
    const char *message, const char *param, const char *code);

/* What goes with a status; the message is a fixed sentence.  retry:
 * milliseconds, -1: not said. */
void mock_error_status(const mock_route_t *route, mock_buf_t *b, int status,
    int64_t retry);

/* A key that is bad (401) or has no right to it (403); it is quoted as
 * providers do: its beginning and its end.  Returns the provider's own status
 * for it. */
int mock_error_key(const mock_route_t *route, mock_buf_t *b, int status,
    const char *key);

/* The header line that says when to come again, where it is a header. */
void mock_error_retry(const mock_route_t *route, mock_buf_t *lines,
    int64_t retry);

/* Content-Type of all of them. */
const char *mock_error_type(const mock_route_t *route);


#endif /* MOCK_ERROR_H */
