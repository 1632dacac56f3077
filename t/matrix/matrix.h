/*
 * The matrix: every upstream dialect by every client dialect, run through the
 * flow, read back by readers that share nothing with the library.
 *
 * What an answer says is kept as JSON, whoever said it:
 *
 *   choices   by index as a string: text, reasoning, refusal, signature,
 *             withheld (reasoning that is encrypted), sealed (both, as they
 *             came), finish (stop, length, tool_calls, content_filter, error,
 *             or the upstream's own word), calls [{id, name, args (parsed;
 *             {"broken":true} when it is no object)}], logprobs [{token,
 *             logprob}], refused (those of the refusal), citations [url],
 *             each once
 *   usage     input, output, cached, reasoning, total: OpenAI's sense
 *   id, model
 *   error     the message, "" for none
 *   outcome   done, error, cut
 *   unread    true: it holds what the reader cannot read
 */

#ifndef MATRIX_H
#define MATRIX_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "llm_flow.h"


#define MATRIX_NOW    1700000000
#define MATRIX_BOUND  (64 * 1024 * 1024)


/* One frame of the wire, or one whole answer (type is then NULL). */
typedef struct {
    const char  *type;          /* SSE event type, or NULL */
    const char  *data;
    size_t       n;
    json_t      *doc;           /* of data; NULL: no JSON object */
    unsigned     answer;
} matrix_frame_t;

typedef void (*matrix_read_pt)(json_t *said, const matrix_frame_t *f);

/* A row or a column. */
typedef struct {
    const char           *name;
    const llm_dialect_t  *dialect;
    matrix_read_pt        read;
    llm_framing_t         framing;
    unsigned              upstream;
    unsigned              client;
    unsigned              says;     /* MATRIX_SAYS_* */
} matrix_side_t;

/* What a dialect can say to a client. */
#define MATRIX_SAYS_CHOICES    0x0001   /* more than one */
#define MATRIX_SAYS_REASONING  0x0002
#define MATRIX_SAYS_SIGNATURE  0x0004   /* of reasoning */
#define MATRIX_SAYS_REFUSAL    0x0008   /* else it is text */
#define MATRIX_SAYS_CALLS      0x0010
#define MATRIX_SAYS_CALL_IDS   0x0020
#define MATRIX_SAYS_OBJECTS    0x0040   /* arguments are objects, so what a
                                           limit cut cannot be said */
#define MATRIX_SAYS_LOGPROBS   0x0080
#define MATRIX_SAYS_CITATIONS  0x0100
#define MATRIX_SAYS_FINISH     0x0200
#define MATRIX_SAYS_DERIVED    0x0400   /* tool_calls is said by the calls */
#define MATRIX_SAYS_REFUSED    0x0800   /* a refusal by the finish reason */
#define MATRIX_SAYS_FAILED     0x1000   /* finish "error" as an error */
#define MATRIX_SAYS_USAGE      0x2000   /* input and output */
#define MATRIX_SAYS_CACHED     0x4000
#define MATRIX_SAYS_DETAILS    0x8000   /* reasoning */
#define MATRIX_SAYS_TOTAL      0x10000
#define MATRIX_SAYS_ID         0x20000
#define MATRIX_SAYS_MODEL      0x40000
#define MATRIX_SAYS_WITHHELD   0x80000
#define MATRIX_SAYS_SEALED     0x100000 /* a signature as what is withheld */

extern const matrix_side_t  matrix_sides[];
extern const size_t         matrix_nsides;


/* A run of the flow. */
typedef struct {
    const matrix_side_t  *from;
    const matrix_side_t  *to;
    unsigned              answer_in;
    unsigned              answer_out;
} matrix_case_t;

typedef struct {
    char         *p;            /* what was written, NUL-terminated */
    size_t        n;
    llm_rc_t      rc;           /* of feed or eof */
    llm_rc_t      fail;         /* of llm_flow_fail() */
    llm_fault_t   fault;
    int           status;
    char         *body;         /* of the HTTP error, or NULL */
    size_t        leaked;       /* blocks that were not freed */
} matrix_run_t;

/* cuts: k ascending offsets. */
void matrix_run(matrix_run_t *r, const matrix_case_t *c, const char *p,
    size_t n, const size_t *cuts, size_t k);
void matrix_run_free(matrix_run_t *r);

/* What the client has when the upstream has sent n bytes and no more; an
 * array is closed so that it can be read. */
void matrix_run_so_far(matrix_run_t *r, const matrix_case_t *c,
    const char *p, size_t n);

/* The end of the event that byte n of a stream is in; 0: it has none. */
size_t matrix_event_end(const matrix_side_t *side, const char *p, size_t n);

/* Runs it whole, which is *r, byte by byte, and in two at every place, or at
 * `cuts` places when there are more.  The checks made; *differ says which
 * differed first, or is NULL. */
size_t matrix_run_cuts(matrix_run_t *r, const matrix_case_t *c,
    const char *p, size_t n, size_t cuts, char **differ);


/* Reads bytes of a dialect, a stream or one answer; the caller drops it. */
json_t *matrix_read(const matrix_side_t *side, const char *p, size_t n,
    unsigned answer);

/* Takes out what the module cannot carry on when it reads these bytes as an
 * upstream's, though a client reads it: Flowise's id comes when the stream is
 * over. */
void matrix_carried(json_t *said, const matrix_side_t *side,
    unsigned answer);

/* What `side` can say of it. */
json_t *matrix_project(const json_t *said, const matrix_side_t *side,
    unsigned answer);

/* The checks made; *differ names the first member that is not as expected,
 * or is NULL.  whole: what came before an error was said too. */
size_t matrix_compare(const json_t *expect, const json_t *got,
    unsigned whole, char **differ);

/* The same for text and reasoning of a stream that is not over. */
size_t matrix_compare_so_far(const json_t *expect, const json_t *got,
    char **differ);

/* Whether a stream that was written anew has the form that the dialect's own
 * SDK reads; NULL, or what is wrong. */
char *matrix_strict(const matrix_side_t *side, const matrix_run_t *r,
    size_t *checks);
char *matrix_strict_responses(const matrix_side_t *side,
    const matrix_run_t *r, size_t *checks);

/* All frames of a stream, given to side->read, which adds to "frames". */
json_t *matrix_frames(const matrix_side_t *side, const char *p, size_t n);


/* For the readers. */
json_t *said_choice(json_t *said, json_int_t index);
void said_add(json_t *said, json_int_t index, const char *member,
    const json_t *text);
void said_add_text(json_t *said, json_int_t index, const char *member,
    const char *text);

/* The call of a key, made if there is none; its id and name are what was said
 * of them first. */
json_t *said_call(json_t *said, json_int_t index, const char *key);
void said_call_is(json_t *call, const json_t *id, const json_t *name);
void said_call_args(json_t *call, const json_t *piece);
void said_call_object(json_t *call, const json_t *object);

void said_finish(json_t *said, json_int_t index, const char *reason);
void said_usage(json_t *said, const char *member, const json_t *n);
void said_logprob(json_t *said, json_int_t index, const char *member,
    const json_t *token, const json_t *logprob);
void said_citation(json_t *said, json_int_t index, const json_t *url);
void said_once(json_t *said, const char *member, const json_t *text);
void said_error(json_t *said, const json_t *message);
void said_done(json_t *said);
int said_over(const json_t *said);

/* Whether two texts are the same when halves of pairs are joined. */
int said_same(const char *a, const char *b);

/* A member, or NULL for null too. */
json_t *at(const json_t *o, const char *member);
const char *word(const json_t *o, const char *member);

/* Text as JSON, halves of surrogate pairs allowed; NULL: it is none. */
json_t *matrix_load(const char *p, size_t n);

char *matrix_say(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

void matrix_read_openai(json_t *said, const matrix_frame_t *f);
void matrix_read_completions(json_t *said, const matrix_frame_t *f);
void matrix_read_responses(json_t *said, const matrix_frame_t *f);
void matrix_read_anthropic(json_t *said, const matrix_frame_t *f);
void matrix_read_gemini(json_t *said, const matrix_frame_t *f);
void matrix_read_ollama(json_t *said, const matrix_frame_t *f);
void matrix_read_generate(json_t *said, const matrix_frame_t *f);
void matrix_read_flowise(json_t *said, const matrix_frame_t *f);
void matrix_read_cohere(json_t *said, const matrix_frame_t *f);
void matrix_read_simple(json_t *said, const matrix_frame_t *f);
void matrix_read_typed(json_t *said, const matrix_frame_t *f);
void matrix_read_text(json_t *said, const matrix_frame_t *f);


/* A file's bytes with a NUL behind them; NULL: there is none. */
char *matrix_slurp(const char *path, size_t *n);

/* matrix_golden.c: between open and close, a section for each client.  NULL:
 * the text is the golden's, or was written to it; else what is wrong. */
void matrix_golden_open(const char *from, const char *name, unsigned update);
char *matrix_golden(const char *heading, const char *text);
void matrix_golden_close(void);


#endif /* MATRIX_H */
