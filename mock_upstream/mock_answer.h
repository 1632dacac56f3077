/*
 * An answer under way: a source says what comes next (bytes, a pause, an
 * acknowledgement to wait for, an end), this runs it.
 */

#ifndef MOCK_ANSWER_H
#define MOCK_ANSWER_H

#include "mock.h"
#include "mock_conn.h"


typedef enum {
    MOCK_STEP_SEND = 0,     /* answer->out, one send; then it is emptied */
    MOCK_STEP_SLEEP,        /* until answer->due */
    MOCK_STEP_ACK,          /* until one more acknowledgement came */
    MOCK_STEP_STALL,        /* until the peer goes away */
    MOCK_STEP_SHUT,         /* shut the write side and go on */
    MOCK_STEP_DONE,         /* complete; the connection is used again */
    MOCK_STEP_CLOSE,        /* complete; the connection is closed */
    MOCK_STEP_FIN,          /* bad end: FIN (TLS: no close_notify) */
    MOCK_STEP_RESET,        /* bad end: RST */
    MOCK_STEP_HALF          /* bad end: write side shut, read side open */
} mock_step_t;

typedef struct {
    mock_step_t  (*next)(mock_answer_t *a);
    void         (*free)(void *data);
} mock_source_t;

struct mock_answer_s {
    mock_conn_t          *conn;
    mock_record_t        *record;
    const mock_source_t  *source;
    void                 *data;     /* the source's */

    mock_buf_t            out;
    unsigned              events;   /* in out */
    size_t                body;     /* bytes of a body in out: no head, no
                                       framing */
    int64_t               due;      /* microseconds, of MOCK_STEP_SLEEP */
    unsigned              blocked;  /* the peer did not keep up since the
                                       source looked (and cleared it) */

    mock_timer_t          timer;
    mock_step_t           waits;    /* SLEEP, ACK, STALL; SEND: for room */
};

/* Opens the record of the request.  Runs nothing yet. */
mock_answer_t *mock_answer_new(mock_conn_t *c, const mock_request_t *r,
    const char *id, const mock_source_t *source, void *data);

/* Goes on as far as possible.  The answer may be gone afterwards. */
void mock_answer_run(mock_answer_t *a);

/* k acknowledgements came. */
void mock_answer_ack(mock_record_t *r, uint64_t k);

/* n bytes of the answer went out. */
void mock_answer_count(mock_answer_t *a, size_t n);

/* Ends the record and frees the answer; the connection is the caller's. */
void mock_answer_end(mock_answer_t *a, mock_end_t end);

/* An answer that is there as a whole, the last n bytes of it its body; takes
 * the bytes from b. */
void mock_answer_whole(mock_conn_t *c, const mock_request_t *r,
    const char *id, mock_buf_t *b, size_t n, int keepalive);


#endif /* MOCK_ANSWER_H */
