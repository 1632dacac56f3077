/*
 * Bearer tokens.  It owns what was issued, the last few thousand, and the
 * counters of sign-ins.  A token is good as long as it lives and was not
 * revoked, however many were issued after it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/rand.h>

#include "mock.h"
#include "mock_token.h"


static const char  mock_token_start[] = "mock-token-";


void
mock_token_issue(mock_tokens_t *t, int64_t life, mock_buf_t *b)
{
    size_t         i;
    mock_token_t  *token;
    unsigned char  bytes[MOCK_TOKEN_HEX / 2];

    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        fputs("llm-mock: no random bytes\n", stderr);
        abort();
    }

    token = &t->tokens[++t->last % MOCK_TOKENS];
    token->until = mock_now() + life;

    for (i = 0; i < sizeof(bytes); i++) {
        (void) snprintf(token->hex + 2 * i, 3, "%02x", bytes[i]);
    }

    t->issued++;
    mock_buf_fmt(b, "%s%llu-%s", mock_token_start,
                 (unsigned long long) t->last, token->hex);
}


static int
mock_token_good(const mock_tokens_t *t, const char *authorization)
{
    char                *end;
    uint64_t             n;
    const char          *p;
    const mock_token_t  *token;

    if (authorization == NULL
        || strncasecmp(authorization, "Bearer ", 7) != 0
        || strncmp(authorization + 7, mock_token_start,
                   sizeof(mock_token_start) - 1) != 0)
    {
        return 0;
    }

    p = authorization + 7 + sizeof(mock_token_start) - 1;
    n = strtoull(p, &end, 10);

    if (end == p || *end != '-' || n == 0 || n > t->last
        || t->last - n >= MOCK_TOKENS)
    {
        return 0;
    }

    token = &t->tokens[n % MOCK_TOKENS];

    return strcmp(end + 1, token->hex) == 0 && mock_now() < token->until;
}


int
mock_token_check(mock_tokens_t *t, const char *authorization)
{
    int  good;

    good = mock_token_good(t, authorization);

    if (good) {
        t->accepted++;
    } else {
        t->rejected++;
    }

    return good;
}


uint64_t
mock_token_revoke(mock_tokens_t *t)
{
    size_t    i;
    int64_t   now;
    uint64_t  n;

    now = mock_now();
    n = 0;

    for (i = 0; i < MOCK_TOKENS; i++) {
        n += t->tokens[i].until > now;
        t->tokens[i].until = 0;
    }

    return n;
}


void
mock_token_json(const mock_tokens_t *t, mock_buf_t *b)
{
    mock_buf_fmt(b, "{\"requests\":%llu,\"issued\":%llu,\"refused\":%llu,"
                 "\"accepted\":%llu,\"rejected\":%llu}",
                 (unsigned long long) t->requests,
                 (unsigned long long) t->issued,
                 (unsigned long long) t->refused,
                 (unsigned long long) t->accepted,
                 (unsigned long long) t->rejected);
}


void
mock_token_reset(mock_tokens_t *t)
{
    t->requests = 0;
    t->issued = 0;
    t->refused = 0;
    t->accepted = 0;
    t->rejected = 0;
}
