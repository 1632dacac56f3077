/*
 * The dialects that the mock speaks: by which path each is asked for, and
 * what the mock must know of its events beyond what the wire library's
 * encoders do.  It builds nothing.
 */

#ifndef MOCK_DIALECT_H
#define MOCK_DIALECT_H

#include "llm_dialect.h"
#include "mock_http.h"


/* What a stream has.  A fault that needs what it has not makes no sense; what
 * is asked of its content and cannot be said is left out. */
#define MOCK_HAS_LINES    0x01  /* of SSE: comments, CR, event names */
#define MOCK_HAS_INDEX    0x02  /* numbers of choices or of blocks */
#define MOCK_HAS_FINISH   0x04  /* a reason that can be left out alone */
#define MOCK_HAS_DONE     0x08  /* a terminator */
#define MOCK_HAS_LATE     0x10  /* room behind the reason */
#define MOCK_HAS_TOOLS    0x20
#define MOCK_HAS_THOUGHTS 0x40  /* reasoning */
#define MOCK_HAS_ALL      0x7f

typedef struct {
    const char  *name;          /* of the wire library's row */
    const char  *tail;          /* what its paths end in */
    unsigned     has;
    unsigned     own;           /* events are built in mock_chat.c */
    unsigned     whole;         /* tool calls are not sent in fragments */
    unsigned     crlf;          /* line ends, unless eol= says others */
    unsigned     usage_first;   /* the input's tokens are said at once */
    const char  *id;            /* what the id of an answer begins with */

    /* how frames are told: bytes that stand in no text, for its quotes would
     * be escaped; NULL: there is none of the kind */
    const char  *finish;        /* a frame that says the reason, no more */
    const char  *reason;        /* the member that says it, elsewhere */
    const char  *done[2];       /* the terminator */

    const char  *ping;          /* an event without content, 20 bytes or so */
    const char  *ping_type;     /* its event: line, or NULL */

    const char  *lines;         /* of the response's head */
    const char  *id_header;
} mock_dialect_t;

enum {
    MOCK_SERVES_NOTHING = 0,    /* no path of the tables */
    MOCK_SERVES_CHAT,
    MOCK_SERVES_EMBED,
    MOCK_SERVES_PROBE           /* Flowise: can the flow stream? */
};

/* What a request's path and query say. */
typedef struct {
    const mock_dialect_t  *dialect;     /* OpenAI's when nothing tells */
    const llm_dialect_t   *row;
    unsigned               serves;
    int                    stream;      /* -1: the body says it */
    unsigned               array;       /* a stream is a JSON array */
    mock_buf_t             model;       /* characters; may be empty */
} mock_route_t;

/*
 * Finds the route of a request.  name: the option dialect=, or "", which
 * serves that dialect at any path.
 */
void mock_route(mock_route_t *route, const mock_request_t *r,
    const char *name);
void mock_route_free(mock_route_t *route);

/* What the stream of this route has: MOCK_HAS_*. */
unsigned mock_route_has(const mock_route_t *route);

/* Is it one of OpenAI's, which have their errors in common? */
int mock_dialect_openai(const mock_route_t *route);

/* Is the option's value a dialect of the table? */
int mock_dialect_known(const char *name);


#endif /* MOCK_DIALECT_H */
