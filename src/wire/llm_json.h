/*
 * The JSON pull scanner: validating, bounded depth, zero copy, no tree, no
 * recursion.  It works on one document that lies whole in memory (an SSE
 * event, an NDJSON record, a request body).  Source: RFC 8259.
 *
 * The scanner does not check UTF-8 (llm_utf8_check() does, once an event).
 */

#ifndef LLM_JSON_H
#define LLM_JSON_H

#include "llm_wire.h"


#define LLM_JSON_DEPTH      128
#define LLM_JSON_DEPTH_MAX  1024

typedef enum {
    LLM_JSON_END = 0,           /* document complete, only space after it */
    LLM_JSON_OBJECT,            /* { */
    LLM_JSON_OBJECT_END,
    LLM_JSON_ARRAY,             /* [ */
    LLM_JSON_ARRAY_END,
    LLM_JSON_KEY,               /* tok = inside the quotes */
    LLM_JSON_STRING,            /* tok = inside the quotes */
    LLM_JSON_NUMBER,            /* tok = as written */
    LLM_JSON_TRUE,
    LLM_JSON_FALSE,
    LLM_JSON_NULL,
    LLM_JSON_ERROR              /* j->error says why */
} llm_json_type_t;

typedef struct {
    const llm_u8   *p;          /* next byte to read */
    const llm_u8   *end;
    const llm_u8   *start;      /* first byte of the last token, with quote */
    llm_slice_t     tok;        /* last token; tok.escaped: holds a '\\',
                                   so it differs from its decoded form */
    llm_rc_t        error;      /* LLM_AGAIN: input ended inside the document;
                                   LLM_INVALID; LLM_TOO_DEEP */
    unsigned        depth;
    unsigned        max_depth;
    unsigned        state;      /* private, as the two below */
    const llm_u8   *wide;       /* in front of it whole strides can be read */
    uint32_t        stack[LLM_JSON_DEPTH_MAX / 32];  /* bit: 1 = object */
} llm_json_t;

/* max_depth 0: LLM_JSON_DEPTH.  Above LLM_JSON_DEPTH_MAX: clamped. */
void llm_json_init(llm_json_t *j, const llm_u8 *p, size_t n,
    unsigned max_depth);

llm_json_type_t llm_json_next(llm_json_t *j);

/*
 * Skips the value that comes next (after a KEY, or an array's element), with
 * full validation.  *raw is the value's bytes, from its first to its last
 * byte.  Returns the type of the value (OBJECT for an object), ARRAY_END if
 * an array ended instead, or ERROR.
 */
llm_json_type_t llm_json_skip(llm_json_t *j, llm_slice_t *raw);

/* As llm_json_skip() when the value's opening token was just returned by
 * llm_json_next(): skips to the matching end of an OBJECT or ARRAY. */
llm_json_type_t llm_json_skip_rest(llm_json_t *j, llm_slice_t *raw);

/* Compares the last KEY or STRING, after unescaping, with n bytes.  A lone
 * surrogate equals nothing. */
int llm_json_eq_escaped(const llm_slice_t *tok, const char *s, size_t n);

static inline int
llm_json_eq(const llm_slice_t *tok, const char *s, size_t n)
{
    if (tok->escaped) {
        return llm_json_eq_escaped(tok, s, n);
    }

    return tok->n == n && (n == 0 || memcmp(tok->p, s, n) == 0);
}

#define llm_json_is(tok, lit)  llm_json_eq(tok, lit, sizeof(lit) - 1)

/* 1 for true, 0 for false, -1 for what is neither. */
#define llm_json_flag(type)                                                 \
    ((type) == LLM_JSON_TRUE ? 1 : (type) == LLM_JSON_FALSE ? 0 : -1)

/*
 * Walking over a document that was validated before, or is while walking:
 * the value that comes next is the inside of a string, or the bytes of any
 * other value; its type as llm_json_skip() gives it.
 */
llm_json_type_t llm_json_value(llm_json_t *j, llm_slice_t *v);

/* The next member of the object that j stands in: its name, its value as
 * above, and the value's type.  0 at the object's end. */
int llm_json_member(llm_json_t *j, llm_slice_t *key, llm_slice_t *v,
    llm_json_type_t *type);

/* The next element of the array that j stands in, likewise; 0 at its end. */
int llm_json_element(llm_json_t *j, llm_slice_t *v, llm_json_type_t *type);

/* Starts to read an array or an object: j stands behind its first bracket. */
void llm_json_reopen(llm_json_t *j, const llm_slice_t *raw);

/* Goes into the next object of the array that j stands in; 0 at its end. */
int llm_json_object(llm_json_t *j);

/* A word and what it means.  Lists of them end with an absent word. */
typedef struct {
    llm_slice_t     word;
    int             means;
} llm_json_word_t;

/* What the word means that a STRING is, after unescaping; `otherwise` when
 * it is none of the list. */
int llm_json_find(const llm_json_word_t *words, const llm_slice_t *tok,
    int otherwise);

/* The count that a member of the object raw is, by llm_json_uint(); -1 when it
 * is no number or is not there.  The last of equal names counts. */
int64_t llm_json_count(const llm_slice_t *raw, const char *name);

/*
 * Decodes the inside of a JSON string into dst, which has room for n bytes
 * (the result is never longer than the input) and may be p itself.  Lone
 * surrogates become U+FFFD.  Returns the length.
 */
size_t llm_json_unescape(llm_u8 *dst, const llm_u8 *p, size_t n);

/* Number of characters (code points) the inside of a JSON string decodes
 * to; a surrogate pair is one, a lone half is one. */
size_t llm_json_chars(const llm_u8 *p, size_t n);

/* A number token as an unsigned integer; -1 when it is none (sign, point,
 * exponent, overflow of int64_t). */
int64_t llm_json_uint(const llm_slice_t *tok);

/* Any number token as an integer: the next below, or with up above it; -1
 * for one below 0, INT64_MAX for one that is not below 2^53. */
int64_t llm_json_integer(const llm_slice_t *tok, unsigned up);


#endif /* LLM_JSON_H */
