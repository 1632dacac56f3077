/*
 * llm-relay: a proxy that does nothing, or exactly what it is told to.
 *
 *   main      options, the listening socket, what is told at the end
 *   pair      a client's connection and the one to the server, bytes between
 *   lies      answers cut into chunks; what is done to which
 *
 * A benchmark measures what it costs to be in between with it (nothing
 * asked: recv() and send()), and proves with it that a known delay and a known
 * fault are reported as what they are.  All times are nanoseconds of
 * CLOCK_MONOTONIC.
 */

#ifndef RELAY_H
#define RELAY_H

#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>

#include "bench_hist.h"
#include "bench_loop.h"
#include "mock_heap.h"


#define RELAY_READ   65536      /* bytes a recv() */
#define RELAY_AHEAD  (1 << 20)  /* bytes that wait for one peer; then the
                                   other is not read */

typedef struct relay_side_s  relay_side_t;
typedef struct relay_pair_s  relay_pair_t;

/* EVERY: of the events of all connections each n-th; 0: none. */
typedef struct {
    uint64_t             drop;
    uint64_t             duplicate;
    uint64_t             swap;
    uint64_t             corrupt;
    uint64_t             stall;
    int64_t              delay;
    int64_t              stall_for;
    unsigned             cuts;          /* anything of the above */
    in_port_t            port;
    int                  parent_pipe;
    struct sockaddr_in   to;
} relay_options_t;

/* Bytes that go in one send(): an HTTP chunk, a head, what cannot be read. */
typedef struct relay_unit_s  relay_unit_t;

struct relay_unit_s {
    relay_unit_t    *next;
    int64_t          came;      /* when its last byte was received */
    int64_t          due;       /* 0: now */
    size_t           n;
    size_t           sent;
    unsigned         event;     /* counts: a chunk with a stamp in it */
    unsigned char    bytes[];
};

/* One of the two connections of a pair. */
struct relay_side_s {
    relay_pair_t    *pair;
    bench_watch_t   *watch;
    int              fd;
    uint32_t         wants;     /* EPOLLIN, EPOLLOUT, as the kernel knows */
    unsigned         eof:1;     /* nothing more comes from it */
    unsigned         shut:1;    /* nothing more goes to it */
    unsigned         blocked:1; /* it takes nothing now */

    relay_unit_t    *out;       /* not yet sent to it, in order */
    relay_unit_t   **last;
    size_t           waiting;   /* bytes of out */
};

/* Where in an answer its reader is. */
typedef enum {
    RELAY_HEAD = 0,
    RELAY_BODY,                 /* of a known length */
    RELAY_CHUNK,
    RELAY_RAW                   /* until the end: no length, or no HTTP */
} relay_state_t;

struct relay_pair_s {
    mock_heap_item_t  wait;     /* for the time of the first unit; it stands
                                   first, the heap gives it back */
    relay_side_t     client;
    relay_side_t     server;
    unsigned         connected:1;

    /* of the answers, only when something is to be done to them */
    relay_state_t    state;
    unsigned char   *in;        /* of the unit that is not complete */
    size_t           n;
    size_t           size;
    uint64_t         left;      /* of a body */
    relay_unit_t    *held;      /* goes behind the next event */
    int64_t          latest;    /* when the last unit is due */

    relay_pair_t    *next;      /* all pairs, or the dead ones */
    relay_pair_t    *prev;
};

typedef struct {
    uint64_t         connections;
    uint64_t         broken;    /* ended by an error, not by FIN */
    uint64_t         unread;    /* answers that could not be read */
    uint64_t         chunks;
    uint64_t         events;
    uint64_t         dropped;
    uint64_t         duplicated;
    uint64_t         swapped;
    uint64_t         corrupted;
    uint64_t         stalled;
    bench_hist_t     delay;     /* of events: last byte in, last byte out */
} relay_counts_t;

typedef struct {
    relay_options_t  options;
    relay_counts_t   counts;
    bench_loop_t     loop;
    bench_watch_t   *listen;
    bench_watch_t   *input;     /* of --parent-pipe, or NULL */
    relay_pair_t    *pairs;
    relay_pair_t    *dead;

    mock_heap_t      waiting;
} relay_t;

/* There is one. */
extern relay_t  relay;


/* relay_pair.c */

/* A client's connection; fd is taken over.  The server's is opened. */
void relay_pair_open(int fd);

/* Sends what has become due; `now` is when the loop woke up. */
void relay_pair_flush_due(int64_t now);

/* A unit of those bytes, not yet due. */
relay_unit_t *relay_unit(const void *p, size_t n, int64_t came);

/* Puts a unit behind what waits for that side; it is taken over. */
void relay_pair_put(relay_side_t *to, relay_unit_t *u);

/* Frees the pairs that ended in this round; ends all pairs. */
void relay_pair_reap(void);
void relay_pair_close_all(void);


/* relay_lies.c */

/* Bytes of answers, received now: into units for the client, with what the
 * options say done to them. */
void relay_lies_feed(relay_pair_t *p, const unsigned char *b, size_t n,
    int64_t now);

/* Nothing more comes: what was held back or is incomplete goes as it is. */
void relay_lies_end(relay_pair_t *p, int64_t now);


#endif /* RELAY_H */
