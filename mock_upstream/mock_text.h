/*
 * The texts that completions consist of, token by token.
 */

#ifndef MOCK_TEXT_H
#define MOCK_TEXT_H

#include "mock_options.h"


/* Tokens are computed from their number, nothing is kept between them. */
typedef struct {
    int          kind;          /* MOCK_TEXT_* */
    size_t       size;          /* bytes a token, 0: one word */
    mock_buf_t   own;           /* marker, or the text of echo */
    const unsigned char *p;     /* the text of lorem, unicode, echo, file */
    size_t       n;
    size_t      *words;         /* where each word starts, and n */
    size_t       nwords;
} mock_text_t;

/* user: the message that echo sends back; file: --text.  Beside stamps,
 * which are no text of their own, stands lorem. */
void mock_text_init(mock_text_t *t, const mock_options_t *o,
    const mock_buf_t *user, const mock_buf_t *file, const char *id);
void mock_text_free(mock_text_t *t);

/* Tokens until the text is used up once. */
uint64_t mock_text_count(const mock_text_t *t);

/* Appends token k of a choice: characters, not escaped. */
void mock_text_token(const mock_text_t *t, unsigned choice, uint64_t k,
    mock_buf_t *b);


#endif /* MOCK_TEXT_H */
