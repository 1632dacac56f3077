/*
 * The framer of JSON arrays.  It owns the element that is cut between two
 * inputs, nothing else.  It must never look at a byte of an element twice,
 * and never take a bracket in a string for one.
 */

#include "llm_array.h"
#include "llm_swar.h"


/* s->state: where the next byte stands */
typedef enum {
    LLM_ARRAY_BETWEEN = 0,
    LLM_ARRAY_INSIDE,           /* an object or an array; the first byte of a
                                   string */
    LLM_ARRAY_STRING,
    LLM_ARRAY_ESCAPE,           /* behind a backslash */
    LLM_ARRAY_WORD              /* a number, true, false, null */
} llm_array_state_t;

/* memory above this is given back after the element that needed it */
#define LLM_ARRAY_KEEP  65536


void
llm_array_init(llm_array_t *s, const llm_alloc_t *a, size_t max)
{
    memset(s, 0, sizeof(llm_array_t));

    s->alloc = *a;
    s->max = max;
}


void
llm_array_free(llm_array_t *s)
{
    llm_block_free(&s->carry, &s->alloc);
}


void
llm_array_feed(llm_array_t *s, const llm_u8 *p, size_t n)
{
    s->p = p;
    s->end = n != 0 ? p + n : p;
}


/* Forgets a carried element that was handed out. */
static inline void
llm_array_reset(llm_array_t *s)
{
    if (!s->handed) {
        return;
    }

    s->handed = 0;
    s->carry.n = 0;

    llm_block_trim(&s->carry, &s->alloc, LLM_ARRAY_KEEP);
}


static inline int
llm_array_is_word(llm_u8 c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
           || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' || c == '.';
}


/* Takes a byte that is no white space and stands between elements; s->state
 * says afterwards whether it begins one. */
static llm_rc_t
llm_array_begin(llm_array_t *s, llm_u8 c)
{
    unsigned  first;

    first = !s->any;
    s->any = 1;

    if (s->closed) {
        return LLM_INVALID;
    }

    switch (c) {

    case ',':
        return LLM_OK;

    case ']':
        s->closed = s->array;
        return s->array ? LLM_OK : LLM_INVALID;

    case '[':
        if (first) {
            s->array = 1;
            return LLM_OK;
        }

        s->state = LLM_ARRAY_INSIDE;
        return LLM_OK;

    case '{': case '"':
        s->state = LLM_ARRAY_INSIDE;
        return LLM_OK;

    case 't': case 'f': case 'n': case '-':
        s->state = LLM_ARRAY_WORD;
        return LLM_OK;

    default:
        s->state = LLM_ARRAY_WORD;
        return c >= '0' && c <= '9' ? LLM_OK : LLM_INVALID;
    }
}


/* Goes to the element that comes next.  LLM_OK: its first byte is at s->p,
 * not yet looked into. */
static llm_rc_t
llm_array_between(llm_array_t *s)
{
    llm_u8    c;
    llm_rc_t  rc;

    for ( /* void */ ; s->p != s->end; s->p++) {
        c = *s->p;

        if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
            continue;
        }

        rc = llm_array_begin(s, c);

        if (rc != LLM_OK || s->state != LLM_ARRAY_BETWEEN) {
            return rc;
        }
    }

    return LLM_AGAIN;
}


/* The next quote, bracket or brace. */
static inline const llm_u8 *
llm_array_bracket(const llm_u8 *p, const llm_u8 *end)
{
    llm_marks_t  m;

    while (end - p >= LLM_STRIDE) {
        m = llm_brackets(p);

        if (m != 0) {
            return p + llm_marks_first(m);
        }

        p += LLM_STRIDE;
    }

    while (p != end && *p != '"' && (*p | 0x20) != '{'
           && (*p | 0x20) != '}')
    {
        p++;
    }

    return p;
}


/* The next byte in a string that may end it or begin an escape. */
static inline const llm_u8 *
llm_array_quote(const llm_u8 *p, const llm_u8 *end)
{
    llm_marks_t  m;

    while (end - p >= LLM_STRIDE) {
        m = llm_marks(p);

        if (m != 0) {
            return p + llm_marks_first(m);
        }

        p += LLM_STRIDE;
    }

    while (p != end && *p != '"' && *p != '\\') {
        p++;
    }

    return p;
}


/* Inside an element but not in a string, at *pp.  1: it ended there. */
static inline int
llm_array_inside(llm_array_t *s, const llm_u8 **pp)
{
    const llm_u8  *p;

    p = llm_array_bracket(*pp, s->end);

    *pp = p;

    if (p == s->end) {
        return 0;
    }

    *pp = p + 1;

    switch (*p) {

    case '"':
        s->state = LLM_ARRAY_STRING;
        return 0;

    case '{': case '[':
        s->depth++;
        return 0;

    default:
        s->depth--;
        return s->depth == 0;
    }
}


/* In a string, likewise. */
static inline int
llm_array_string(llm_array_t *s, const llm_u8 **pp)
{
    const llm_u8  *p;

    p = llm_array_quote(*pp, s->end);

    *pp = p;

    if (p == s->end) {
        return 0;
    }

    *pp = p + 1;

    if (*p == '\\') {
        s->state = LLM_ARRAY_ESCAPE;

    } else if (*p == '"') {
        s->state = LLM_ARRAY_INSIDE;
        return s->depth == 0;
    }

    return 0;
}


/* Goes to the end of the element.  1: it ended, s->p stands behind it. */
static int
llm_array_scan(llm_array_t *s)
{
    int            over;
    const llm_u8  *p;

    p = s->p;
    over = 0;

    while (p != s->end && !over) {

        switch (s->state) {

        case LLM_ARRAY_INSIDE:
            over = llm_array_inside(s, &p);
            break;

        case LLM_ARRAY_STRING:
            over = llm_array_string(s, &p);
            break;

        case LLM_ARRAY_ESCAPE:
            s->state = LLM_ARRAY_STRING;
            p++;
            break;

        default:
            over = !llm_array_is_word(*p);
            p += !over;
        }
    }

    s->p = p;

    return over;
}


static llm_rc_t
llm_array_element(llm_array_t *s, llm_slice_t *element)
{
    int            over;
    size_t         n;
    llm_rc_t       rc;
    const llm_u8  *p;

    if (s->state == LLM_ARRAY_BETWEEN) {
        rc = llm_array_between(s);

        if (rc != LLM_OK) {
            return rc;
        }
    }

    p = s->p;
    over = llm_array_scan(s);
    n = (size_t) (s->p - p);

    if (n > s->max - s->carry.n) {
        return LLM_TOO_BIG;
    }

    if (!over || s->carry.n != 0) {
        rc = llm_block_append(&s->carry, &s->alloc, p, n);

        if (rc != LLM_OK || !over) {
            return rc != LLM_OK ? rc : LLM_AGAIN;
        }

        p = s->carry.p;
        n = s->carry.n;
        s->handed = 1;
    }

    s->state = LLM_ARRAY_BETWEEN;

    element->p = p;
    element->n = n;
    element->escaped = 0;

    return LLM_OK;
}


llm_rc_t
llm_array_next(llm_array_t *s, llm_slice_t *element)
{
    llm_rc_t  rc;

    if (s->failed) {
        return s->failed;
    }

    llm_array_reset(s);

    rc = llm_array_element(s, element);

    if (rc != LLM_OK && rc != LLM_AGAIN) {
        s->failed = rc;
    }

    return rc;
}


llm_rc_t
llm_array_finish(llm_array_t *s)
{
    if (s->failed) {
        return s->failed;
    }

    llm_array_reset(s);

    return LLM_DONE;
}


int
llm_array_cut(const llm_array_t *s)
{
    return s->state != LLM_ARRAY_BETWEEN || (s->array && !s->closed);
}
