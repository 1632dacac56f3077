/*
 * A completion: its plan, its events, and the answer that carries them.
 */

#ifndef MOCK_CHAT_H
#define MOCK_CHAT_H

#include "mock_answer.h"
#include "mock_chat_request.h"
#include "mock_delay.h"
#include "mock_gzip.h"
#include "mock_stamp.h"
#include "mock_text.h"
#include "mock_wire.h"


typedef struct mock_chat_s   mock_chat_t;
typedef struct mock_fault_s  mock_fault_t;

/* Events in the order of the stream; each kind has a range of numbers.  What
 * a dialect does not say is an event without bytes, which is passed over. */
typedef enum {
    MOCK_KIND_ROLE = 0,
    MOCK_KIND_REASONING,
    MOCK_KIND_CONTENT,
    MOCK_KIND_CITATION,
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
    mock_route_t          route;
    mock_chat_request_t   req;
    mock_text_t           text;
    mock_delay_t          delay;
    const mock_fault_t   *fault;
    char                  key[128];     /* credential of the request */
    uint64_t              reused;       /* requests before, this connection */

    /* the plan */
    uint64_t              edges[MOCK_KINDS];    /* end of each kind */
    uint64_t              total;
    uint64_t              k;            /* next event, from 0 */
    uint64_t              at;           /* event of the fault, from 0 */
    unsigned              pieces;       /* events of a tool call */
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

    /* dialects of the wire library's encoders */
    mock_wire_t           wire;
    uint64_t              encoded;      /* events that the encoder has seen */
    mock_buf_t            bytes;        /* of the last of them, unmarked */

    mock_buf_t            event;        /* the last one built */
    size_t                event_at;     /* where it starts, after comments */
    mock_stamp_t          stamp;        /* of its tokens */
    mock_buf_t            token;
    mock_buf_t            scratch;
    mock_buf_t            scratch2;

    /* the answer's state */
    unsigned              phase;
    unsigned              ready:1;      /* pace of the next event is known */
    unsigned              acked:1;
    unsigned              again:1;      /* the fault is not through */
    unsigned              through:1;    /* it had its one turn */
    unsigned              late:1;       /* the pause before `last` is over */
    mock_step_t           last;
    int64_t               due;          /* of the next event */
    uint64_t              pos;          /* the fault's own */
    int64_t               fault_due;    /* no call before */
};

/*
 * Answers a request by the route that it came.  req and route are taken over.
 * -1 and a sentence in *err when the options cannot be served.
 */
int mock_chat(mock_conn_t *c, const mock_request_t *r,
    const mock_options_t *o, mock_route_t *route, mock_chat_request_t *req,
    mock_buf_t *err);

/* mock_chat.c: the plan, and events in OpenAI's own dialect */

/* Plan and constant parts, from options and request. */
void mock_chat_plan(mock_chat_t *x);

mock_kind_t mock_chat_kind(const mock_chat_t *x, uint64_t k);

/* What event k is about: which of its kind, of which choice. */
uint64_t mock_chat_which(const mock_chat_t *x, uint64_t k,
    unsigned *choice);

/* Builds event k in x->event; it may come out empty. */
void mock_chat_build(mock_chat_t *x, uint64_t k);

/* Builds an event of text in x->event; text: the inside of a JSON string,
 * which is not checked. */
void mock_chat_say(mock_chat_t *x, unsigned choice, const void *text,
    size_t n);

/* Builds an event of that payload, as it stands, in x->event; type: its
 * event: line, or NULL. */
void mock_chat_data(mock_chat_t *x, const char *type, const void *data,
    size_t n);

/* Builds a chunk of OpenAI's in x->event; delta: a whole JSON object, not
 * checked. */
void mock_chat_delta(mock_chat_t *x, unsigned choice, const char *delta,
    size_t n, const char *finish);

/* Members that mark event k (padding, stamp), each with a comma before. */
void mock_chat_marks(mock_chat_t *x, mock_buf_t *b, uint64_t k);

/* mock_chat_parts.c: what events consist of, in any dialect */

typedef struct {
    uint64_t  input;
    uint64_t  output;           /* with reasoning */
    uint64_t  reasoning;
} mock_counts_t;

void mock_chat_counts(const mock_chat_t *x, mock_counts_t *counts);

/* The text of event i of a choice, to x->token: characters.  kind: content
 * or reasoning, here and below. */
void mock_chat_tokens(mock_chat_t *x, mock_kind_t kind, unsigned choice,
    uint64_t i);

/* All of them, as the inside of a string. */
void mock_chat_whole(mock_chat_t *x, mock_kind_t kind, unsigned choice,
    mock_buf_t *b);

/* The element of a list of logprobs that belongs to x->token. */
void mock_chat_logprobs(const mock_chat_t *x, mock_buf_t *b);

/* Fragments of a tool call's arguments, after its name. */
#define MOCK_CHAT_FRAGMENTS  4

void mock_chat_arguments(mock_buf_t *b, unsigned fragment, uint64_t call);

/* The call's id, OpenAI's. */
void mock_chat_call_id(mock_buf_t *b, unsigned choice, uint64_t call);

/* Citation i: its link. */
void mock_chat_link(mock_buf_t *b, uint64_t i);

/* mock_chat_wire.c: events in the dialects of the wire library */

/* A new encoder, which has seen nothing. */
void mock_chat_begin(mock_chat_t *x);

/* Event k to x->bytes, as the encoder wrote it. */
void mock_chat_encode(mock_chat_t *x, uint64_t k);

/* Puts bytes of the encoder into x->event, with line ends, comments and the
 * marks of event seq (from 1; 0: without marks). */
void mock_chat_put(mock_chat_t *x, const mock_buf_t *bytes, uint64_t seq);

/* The answer that is no stream, to x->event. */
void mock_chat_json(mock_chat_t *x);

/* mock_embed.c: the answer to a request for embeddings, to x->event. */
void mock_embed(mock_chat_t *x);

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
