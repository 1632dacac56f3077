/*
 * What the mock has seen: counters, a record of each stream, the last
 * requests.
 */

#ifndef MOCK_STATS_H
#define MOCK_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "mock_buf.h"


#define MOCK_STATS_STREAMS   256    /* ended streams that are remembered */
#define MOCK_STATS_REQUESTS  256
#define MOCK_STATS_BODY      65536  /* bytes of a request's body kept */
#define MOCK_STATS_HASH      4096

struct mock_s;
struct mock_answer_s;
struct mock_request_s;

typedef enum {
    MOCK_END_OPEN = 0,
    MOCK_END_COMPLETE,
    MOCK_END_ABORTED,       /* the peer went away before the end */
    MOCK_END_FAULT          /* ended badly by the mock, as asked */
} mock_end_t;

/* Times in microseconds of CLOCK_MONOTONIC, 0 = not yet. */
typedef struct mock_record_s {
    char                   id[64];
    char                   method[16];
    char                   path[128];
    uint64_t               connection;
    int64_t                started;
    int64_t                first_sent;
    int64_t                ended;
    int64_t                abort_at;
    mock_end_t             end;
    uint64_t               events;
    uint64_t               bytes;
    uint64_t               body;        /* of these; of completions and
                                           errors */
    uint64_t               acks;        /* received */
    uint64_t               acks_used;

    struct mock_answer_s  *answer;      /* while open */
    struct mock_record_s  *newer;
    struct mock_record_s  *older;
    struct mock_record_s  *hash_next;   /* newest first */
} mock_record_t;

typedef struct {
    uint64_t               requests;
    uint64_t               open;
    uint64_t               connections;
    uint64_t               open_connections;
    uint64_t               events_sent;
    uint64_t               bytes_sent;
    uint64_t               body_sent;
    uint64_t               complete;
    uint64_t               aborts;
    uint64_t               faults;

    uint64_t               names;       /* streams without a name so far */
    uint64_t               ended;       /* records kept of ended streams */
    mock_record_t         *newest;
    mock_record_t         *oldest;
    mock_record_t         *hash[MOCK_STATS_HASH];

    struct mock_request_s *last[MOCK_STATS_REQUESTS];
    uint64_t               nlast;
} mock_stats_t;

/* A new open stream; an empty id gets one.  Counts the request. */
mock_record_t *mock_stats_open(struct mock_s *mock, const char *id,
    const char *method, const char *path, uint64_t connection);

void mock_stats_end(struct mock_s *mock, mock_record_t *r, mock_end_t end);

/* The newest stream of that name, or NULL. */
mock_record_t *mock_stats_find(struct mock_s *mock, const char *id);

/* Keeps the request, which is the statistics' from now on. */
void mock_stats_keep(struct mock_s *mock, struct mock_request_s *r);

/* JSON of one stream, of everything, of the last n requests. */
void mock_stats_record(mock_buf_t *b, const mock_record_t *r);
void mock_stats_counters(struct mock_s *mock, mock_buf_t *b);
void mock_stats_json(struct mock_s *mock, mock_buf_t *b);
void mock_stats_requests(struct mock_s *mock, mock_buf_t *b, uint64_t n);

/* Forgets all but what is open now. */
void mock_stats_reset(struct mock_s *mock);

/* Frees everything; no stream is open any more. */
void mock_stats_free(struct mock_s *mock);


#endif /* MOCK_STATS_H */
