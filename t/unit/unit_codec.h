/*
 * One dialect in a test, whatever it is: bytes to what they say, as JSON that
 * an independent reader's can be compared with; what was said to bytes of
 * another dialect; requests of one dialect to requests of another.
 */

#ifndef UNIT_CODEC_H
#define UNIT_CODEC_H

#include "llm_dialect.h"
#include "llm_framer.h"
#include "llm_provider.h"
#include "unit_support.h"


#define CODEC_NOW  1700000000

/*
 * What a stream, or one JSON answer, said:
 *
 *   id, model, created     of START, when said
 *   choices                by index as a string: text, reasoning, refusal,
 *                          signature, withheld (a REASONING's raw),
 *                          calls [{id,name,args,whole,signature}],
 *                          finish ("stop"), word, stop, citations [{url,
 *                          title,text,start,end}], logprobs []
 *   usage                  the counts that were said
 *   errors                 [{message,type,code,status,class}]
 *   meta                   [{name,raw}]
 *   order                  names of the events, a space between them, equal
 *                          ones that follow each other once
 *   end                    "done", "ok" (no terminator), "invalid", "failed"
 *                          (an error was said: nothing is read after it)
 *
 * Texts that were not said are absent.  The caller drops it.
 */
json_t *codec_stream(const llm_dialect_t *d, const void *p, size_t n);
json_t *codec_answer(const llm_dialect_t *d, const void *p, size_t n);

/* The same of a file; fails the test unless it is as expected; fails it
 * unless the end is "invalid". */
json_t *codec_file(const llm_dialect_t *d, const char *path, unsigned answer);
void codec_check(const llm_dialect_t *d, const char *path, unsigned answer,
    const char *expect);
void codec_invalid(const llm_dialect_t *d, const char *data,
    unsigned answer);

/* The same of a literal. */
json_t *codec_text(const llm_dialect_t *d, const char *stream);

/*
 * The same bytes in another dialect: the upstream's events (of one answer if
 * answer_in), written as a stream or as one answer.  NUL-terminated, the
 * caller frees it; *rc is the encoder's.
 */
char *codec_convert(const llm_dialect_t *from, const llm_dialect_t *to,
    const void *p, size_t n, unsigned answer_in, unsigned answer_out,
    llm_rc_t *rc);

/* An error's body, to be freed. */
char *codec_error(const llm_dialect_t *d, const llm_error_t *err);

/* A request in another dialect. */
typedef struct {
    llm_rc_t     rc;
    char        *body;          /* NULL unless rc is LLM_OK */
    json_t      *json;
    char        *lost;          /* names, ", " between them */
    char        *refused;
    char        *member;        /* that is wrong, or NULL */
    char        *model;         /* as the request said it, or NULL */
    int          stream;        /* likewise, -1 unsaid */
} codec_request_t;

void codec_request(codec_request_t *r, const llm_dialect_t *from,
    const llm_provider_t *to, const char *body, unsigned stream);
void codec_request_free(codec_request_t *r);

/* Fails the test unless a document reads as expected; says both. */
void codec_same(const char *what, const json_t *got, const char *expect);

/* The member at a path ("choices", "0", "text"), or NULL. */
json_t *codec_at(json_t *root, const char *a, const char *b, const char *c);
const char *codec_string(json_t *root, const char *a, const char *b,
    const char *c);


#endif /* UNIT_CODEC_H */
