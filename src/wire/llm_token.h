/*
 * What is said to an identity service and what it answers: a pair of id and
 * secret for a bearer token with a life.  Source: RFC 6749, section 4.4
 * (client credentials) and 5.1; Cloud.ru's API of access tokens, which has
 * JSON and other names.
 */

#ifndef LLM_TOKEN_H
#define LLM_TOKEN_H

#include "llm_wire.h"


#define LLM_TOKEN_MAX        8192           /* bytes of a token */
#define LLM_TOKEN_LIFE       3600           /* s, when the answer says none */
#define LLM_TOKEN_LIFE_MAX   (30 * 86400)   /* s */

typedef enum {
    LLM_TOKEN_FORM = 0,         /* oauth2, application/x-www-form-urlencoded */
    LLM_TOKEN_JSON,             /* oauth2, application/json */
    LLM_TOKEN_EVOLUTION         /* {"keyId":…,"secret":…} */
} llm_token_format_t;

typedef struct {
    llm_token_format_t  format;
    llm_slice_t         id;
    llm_slice_t         secret;
    llm_slice_t         scope;          /* n == 0: none */
} llm_token_ask_t;

typedef struct {
    llm_u8              token[LLM_TOKEN_MAX];
    size_t              n;
    int64_t             life;           /* ms, 1 and more */
} llm_token_t;

/* The body of the request. */
void llm_token_write(llm_out_t *out, const llm_token_ask_t *ask);

/*
 * Reads the body of an answer.  NULL: *t is filled; else what is wrong with
 * the answer, in fixed words that hold nothing of it.
 */
const char *llm_token_read(const llm_u8 *p, size_t n, llm_token_t *t);


#endif /* LLM_TOKEN_H */
