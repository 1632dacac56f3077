/*
 * A completion in the chat-completions dialect: its plan, its events, and
 * the answer that carries them.
 */

#ifndef MOCK_CHAT_H
#define MOCK_CHAT_H

#include "mock_answer.h"
#include "mock_chat_request.h"
#include "mock_delay.h"
#include "mock_gzip.h"
#include "mock_text.h"


typedef struct mock_chat_s   mock_chat_t;
typedef struct mock_fault_s  mock_fault_t;

/* Events in the order of the stream; each kind has a range of numbers. */
typedef enum {
    MOCK_KIND_ROLE = 0,
    MOCK_KIND_REASONING,
    MOCK_KIND_CONTENT,
    MOCK_KIND_TOOL,
    MOCK_KIND_FINISH,
    MOCK_KIND_USAGE,
    MOCK_KIND_DONE,
    MOCK_KIND_BODY,         /* the only one when not streaming */
    MOCK_KINDS
} mock_kind_t;

/* What follows when a fault has had its turn.  Bytes that it put into
 * answer->out go first in every case. */
typedef enum {
    MOCK_VERDICT_GO = 0,    /* the event, or the head, as usual */
    MOCK_VERDICT_SKIP,      /* the event was replaced */
    MOCK_VERDICT_AGAIN,     /* call again when this was sent */
    MOCK_VERDICT_TAIL,      /* no more events; the framing's proper end */
    MOCK_VERDICT_DONE,      /* that was the whole answer */
    MOCK_VERDICT_FIN,
    MOCK_VERDICT_RESET,
    MOCK_VERDICT_HALF,
    MOCK_VERDICT_STALL
} mock_verdict_t;

struct mock_chat_s {
    mock_answer_t        *answer;
    mock_options_t        opt;
    mock_chat_request_t   req;
    mock_text_t           text;
    mock_delay_t          delay;
    const mock_fault_t   *fault;
    char                  auth[128];    /* credential of the request */
    uint64_t              reused;       /* requests before, this connection */

    /* the plan */
    uint64_t              edges[MOCK_KINDS];    /* end of each kind */
    uint64_t              total;
    uint64_t              k;            /* next event, from 0 */
    uint64_t              at;           /* event of the fault, from 0 */
    unsigned              no_finish:1;
    unsigned              no_done:1;

    /* the response's head and framing */
    int                   status;
    int                   framing;      /* MOCK_FRAMING_* */
    unsigned              minor;
    unsigned              close;
    const char           *type;         /* Content-Type */
    const char           *coding;       /* Transfer-Encoding, NULL: none */
    int64_t               more;         /* added to Content-Length */
    mock_buf_t            before;       /* bytes ahead of the status line */
    mock_buf_t            lines;        /* more header lines */
    unsigned              gzip;         /* times */
    mock_gzip_t           z[2];

    /* parts of every event, built once */
    mock_buf_t            lead;         /* up to "choices":[ */
    mock_buf_t            rest;         /* after choices' ] */
    const char           *eol;
    const char           *id_more;      /* fault: put behind the id */

    mock_buf_t            event;        /* the last one built */
    size_t                event_at;     /* where it starts, after comments */
    mock_buf_t            token;
    mock_buf_t            scratch;
    mock_buf_t            scratch2;

    /* the answer's state */
    unsigned              phase;
    unsigned              ready:1;      /* pace of the next event is known */
    unsigned              acked:1;
    unsigned              again:1;      /* the fault is not through */
    unsigned              late:1;       /* the pause before `last` is over */
    mock_step_t           last;
    int64_t               due;          /* of the next event */
    uint64_t              calls;        /* of the fault at this event */
    uint64_t              pos;          /* the fault's own */
    int64_t               fault_due;    /* no call before */
};

/*
 * Answers a chat-completions request.  req is taken over.  -1 and a sentence
 * in *err when the options cannot be served.
 */
int mock_chat(mock_conn_t *c, const mock_request_t *r,
    const mock_options_t *o, mock_chat_request_t *req, mock_buf_t *err);

/* mock_chat.c: the events */

/* Plan and constant parts, from options and request. */
void mock_chat_plan(mock_chat_t *x);

mock_kind_t mock_chat_kind(const mock_chat_t *x, uint64_t k);

/* Builds event k in x->event. */
void mock_chat_build(mock_chat_t *x, uint64_t k);

/* Builds a chunk in x->event; delta: a whole JSON object, not checked. */
void mock_chat_delta(mock_chat_t *x, unsigned choice, const char *delta,
    size_t n, const char *finish);

/* Ends the event being built as the options want it (padding, stamp). */
void mock_chat_close(mock_chat_t *x, uint64_t k);

void mock_chat_usage(const mock_chat_t *x, mock_buf_t *b);

/* mock_chat_answer.c: the answer */

/* The response's head, to answer->out. */
void mock_chat_head(mock_chat_t *x);

/* Bytes of the body, framed (one chunk), to answer->out. */
void mock_chat_body(mock_chat_t *x, const void *p, size_t n);

/* Event k, or whatever is in x->event, framed and counted. */
void mock_chat_emit(mock_chat_t *x, uint64_t k);
void mock_chat_emit_event(mock_chat_t *x);

/* The framing's end. */
void mock_chat_tail(mock_chat_t *x);

/* A whole response with Content-Length instead of the stream. */
mock_verdict_t mock_chat_respond(mock_chat_t *x, int status,
    const char *type, const char *lines, const void *body, size_t n);


#endif /* MOCK_CHAT_H */
