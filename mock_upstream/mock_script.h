/*
 * Scripts: an answer written byte by byte, with pauses and waits between.
 * And the names under which scripts and replays are kept.
 */

#ifndef MOCK_SCRIPT_H
#define MOCK_SCRIPT_H

#include "mock_conn.h"


/* Uploaded bytes: kind is 's' (script) or 'r' (replay). */
struct mock_blob_s {
    int           kind;
    char          name[64];
    mock_buf_t    bytes;
    mock_blob_t  *next;
};

/* Keeps the bytes of b (which is emptied).  -1: the name is no name. */
int mock_blob_put(mock_t *mock, int kind, const char *name, mock_buf_t *b);

/* Appends the bytes of that name, uploaded or from the directory, to *b.
 * -1: there are none. */
int mock_blob_get(mock_t *mock, int kind, const char *name, mock_buf_t *b);

void mock_blob_forget(mock_t *mock);

/* Checks a script.  0, or -1 with the line's number and a word in *err. */
int mock_script_check(const mock_buf_t *text, mock_buf_t *err);

/* Answers the request with a script.  -1: it has a fault, see err. */
int mock_script(mock_conn_t *c, const mock_request_t *r, const char *id,
    const mock_buf_t *text, mock_buf_t *err);


#endif /* MOCK_SCRIPT_H */
