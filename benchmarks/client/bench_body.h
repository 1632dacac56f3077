/*
 * The request: where it goes, its header fields, and its body, which is the
 * same for all but for the words of the prompt.
 */

#ifndef BENCH_BODY_H
#define BENCH_BODY_H

#include "bench_options.h"
#include "llm_dialect.h"


#define BENCH_FIELDS  (BENCH_HEADERS + 4)

typedef struct {
    const llm_dialect_t  *dialect;      /* what the answer is in */
    char                 *url;
    int                   tls;
    char                  host[256];    /* a name or address, no brackets */
    char                  port[8];
    const char           *authority;    /* host[:port] as the URL has it */
    size_t                authority_n;
    const char           *target;       /* path and query, "/…" */
    char                 *fields[BENCH_FIELDS];     /* "Name: value" */
    size_t                nfields;
    llm_block_t           before;       /* of the body: before the words */
    llm_block_t           after;
    uint64_t              seed;
    uint64_t              words;
    size_t                max;          /* bytes of the longest body */
} bench_body_t;


/* 0, or -1 with a message on stderr. */
int bench_body_make(bench_body_t *b, const bench_options_t *o);
void bench_body_free(bench_body_t *b);

/* Writes the body of request i to `to`, which has room for b->max bytes;
 * returns its length. */
size_t bench_body_write(const bench_body_t *b, uint64_t i, char *to);


#endif /* BENCH_BODY_H */
