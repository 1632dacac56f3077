/*
 * Bearer tokens: those that the mock's identity service issued, and which of
 * them are still good.
 */

#ifndef MOCK_TOKEN_H
#define MOCK_TOKEN_H

#include <stdint.h>

#include "mock_buf.h"


#define MOCK_TOKENS     4096    /* the last ones; older ones are not good */
#define MOCK_TOKEN_HEX  32

typedef struct {
    char      hex[MOCK_TOKEN_HEX + 1];  /* the random part */
    int64_t   until;                    /* microseconds; 0: revoked */
} mock_token_t;

typedef struct {
    uint64_t      last;         /* number of the newest token, from 1 */
    mock_token_t  tokens[MOCK_TOKENS];

    uint64_t      requests;     /* to the identity service */
    uint64_t      issued;
    uint64_t      refused;
    uint64_t      accepted;     /* calls of a model with a good token */
    uint64_t      rejected;
} mock_tokens_t;

/* Appends a new token that is good for so many microseconds. */
void mock_token_issue(mock_tokens_t *t, int64_t life, mock_buf_t *b);

/* Is the value of Authorization (NULL: there is none) "Bearer" with a token
 * that is good now?  Counts the answer. */
int mock_token_check(mock_tokens_t *t, const char *authorization);

/* Makes all tokens bad.  Returns how many were good. */
uint64_t mock_token_revoke(mock_tokens_t *t);

/* The counters as a JSON object. */
void mock_token_json(const mock_tokens_t *t, mock_buf_t *b);

/* Forgets the counters; good tokens stay good. */
void mock_token_reset(mock_tokens_t *t);


#endif /* MOCK_TOKEN_H */
