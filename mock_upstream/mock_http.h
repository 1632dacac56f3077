/*
 * HTTP/1.x: reading requests from whatever pieces they come in, and writing
 * the parts of a response.
 */

#ifndef MOCK_HTTP_H
#define MOCK_HTTP_H

#include <event2/buffer.h>

#include "mock_buf.h"


#define MOCK_HTTP_HEAD_MAX  (1 << 20)
#define MOCK_HTTP_BODY_MAX  (64 << 20)

/* Answers of mock_http_read(); anything from 400 is a status to refuse
 * with. */
#define MOCK_HTTP_AGAIN     0
#define MOCK_HTTP_HEAD      1   /* once: the head is there, the body follows */
#define MOCK_HTTP_DONE      2

typedef struct {
    char      *name;            /* into head, ends in zero */
    char      *value;
} mock_header_t;

typedef struct mock_request_s {
    mock_buf_t      head;
    mock_buf_t      body;
    char           *method;
    char           *path;       /* without the query */
    char           *query;      /* "" when there is none */
    unsigned        minor;      /* HTTP/1.minor */
    unsigned        keepalive;
    unsigned        expect;     /* 100-continue */

    mock_header_t  *headers;
    size_t          nheaders;

    uint64_t        connection;
    char            sni[256];

    size_t          body_length;    /* sealed: of the whole body */
    char            sha256[65];

    /* private to the reader */
    unsigned        state;
    size_t          scanned;
    size_t          left;       /* of the body, or of the chunk */
} mock_request_t;

mock_request_t *mock_http_request(void);
void mock_http_free(mock_request_t *r);

/* Takes from in what belongs to this request, in time linear in it. */
int mock_http_read(mock_request_t *r, struct evbuffer *in);

/* The first header of that name, or NULL. */
const char *mock_http_header(const mock_request_t *r, const char *name);

/* Copies a field of "name=value&...", decoded; 0 when there is none. */
int mock_http_field(const char *fields, const char *name, char *dst,
    size_t size);

/* The same of the query. */
int mock_http_arg(const mock_request_t *r, const char *name, char *dst,
    size_t size);

/* Copies the credential from wherever providers look for it: Authorization
 * (Bearer), x-api-key, api-key, x-goog-api-key, or key= in the query; "" when
 * there is none. */
void mock_http_key(const mock_request_t *r, char *dst, size_t size);

/* Computes length and digest of the body and keeps its first max bytes. */
void mock_http_seal(mock_request_t *r, size_t max);

/* A sealed request as a JSON object. */
void mock_http_json(const mock_request_t *r, mock_buf_t *b);

const char *mock_http_reason(int status);

/* "HTTP/1.1 200 OK" and "Server", then whole lines may follow. */
void mock_http_status(mock_buf_t *b, unsigned minor, int status);

/* A whole response with Content-Length; lines: more header lines or NULL. */
void mock_http_answer(mock_buf_t *b, int status, const char *type,
    const char *lines, int keepalive, const void *body, size_t n);

/* Size line of a chunk with n bytes. */
void mock_http_chunk(mock_buf_t *b, size_t n);


#endif /* MOCK_HTTP_H */
