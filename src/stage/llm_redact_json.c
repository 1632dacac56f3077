/*
 * The search in the strings and numbers of JSON that comes in pieces.  It
 * must never write what is no JSON where JSON came in, and never give a value
 * away that was not searched.  What comes in was made by a model: it may be
 * anything.
 */

#include "llm_redact.h"
#include "llm_json.h"
#include "llm_utf8.h"
#include "llm_write.h"


/* llm_redact_json_t.state */
#define LLM_REDACT_BETWEEN  0
#define LLM_REDACT_NAME     1
#define LLM_REDACT_STRING   2
#define LLM_REDACT_SCALAR   3
#define LLM_REDACT_PLAIN    4           /* it is no JSON */

/* llm_redact_json_t.open: what the innermost object, array or document lacks
 * so that it can end */
#define LLM_REDACT_EMPTY    0           /* nothing: it has just begun */
#define LLM_REDACT_WHOLE    1           /* nothing: a value has ended */
#define LLM_REDACT_VALUE    2           /* "[1,": an element; "{\"a\":" */
#define LLM_REDACT_COLON    3           /* "{\"a\"" */
#define LLM_REDACT_MEMBER   4           /* "{\"a\":1," */

/* llm_redact_json_t.escape */
#define LLM_REDACT_NAME_ESC  1          /* a backslash was read */
#define LLM_REDACT_NAME_HEX  2          /* "\\u", or more by one for each digit
                                           of it */

/* bytes of a number, true, false or null */
#define LLM_REDACT_NUMBER   1024

/* and with the spaces behind it, as far as they are looked at */
#define LLM_REDACT_SPACED   2048

#define llm_redact_lit(run, out, lit)                                       \
    llm_block_append(out, &(run)->alloc, lit, sizeof(lit) - 1)


static int
llm_redact_in_object(const llm_redact_json_t *j)
{
    unsigned  at;

    at = j->depth - 1;

    return j->depth != 0 && (j->stack[at / 32] >> (at % 32) & 1);
}


/* 0: too deep */
static int
llm_redact_push(llm_redact_json_t *j, unsigned object)
{
    unsigned  at;

    at = j->depth;

    if (at == sizeof(j->stack) * 8) {
        return 0;
    }

    j->stack[at / 32] &= ~((uint32_t) 1 << (at % 32));
    j->stack[at / 32] |= (uint32_t) object << (at % 32);
    j->depth++;

    return 1;
}


/* Appends a text as the inside of a string. */
static llm_rc_t
llm_redact_escaped(llm_redact_run_t *run, llm_block_t *out, const llm_u8 *p,
    size_t n)
{
    llm_rc_t         rc;
    llm_block_out_t  bo;

    if (n == 0) {
        return LLM_OK;
    }

    rc = llm_block_out_open(&bo, out, &run->alloc);
    if (rc != LLM_OK) {
        return rc;
    }

    llm_write_escaped(&bo.out, p, n);

    return llm_block_out_close(&bo);
}


/* A decoded piece of a string goes through the search. */
static llm_rc_t
llm_redact_chars(llm_redact_run_t *run, llm_redact_json_t *j,
    const llm_u8 *p, size_t n, unsigned last, llm_block_t *out)
{
    llm_rc_t  rc, written;

    run->text.n = 0;
    rc = llm_redact_feed(run, &j->text, p, n, last, &run->text);

    if (rc != LLM_OK && rc != LLM_DONE) {
        return rc;
    }

    written = llm_redact_escaped(run, out, run->text.p, run->text.n);

    return written != LLM_OK ? written : rc;
}


/* The escape that was gathered goes through the search. */
static llm_rc_t
llm_redact_unescape(llm_redact_run_t *run, llm_redact_json_t *j,
    llm_block_t *out)
{
    size_t  n;
    llm_u8  c[12];

    n = llm_json_unescape(c, j->esc, j->nesc);
    j->nesc = 0;

    return llm_redact_chars(run, j, c, n, 0, out);
}


/* What looked like an escape is none: a backslash and what was behind it. */
static llm_rc_t
llm_redact_no_escape(llm_redact_run_t *run, llm_redact_json_t *j,
    llm_block_t *out)
{
    unsigned  n;

    n = j->nesc;
    j->nesc = 0;

    return llm_redact_chars(run, j, j->esc, n, 0, out);
}


static int
llm_redact_hex(llm_u8 c)
{
    return (c >= '0' && c <= '9')
           || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}


/* Whether esc holds \uD8xx or the like, at `at`. */
static int
llm_redact_high(const llm_redact_json_t *j, unsigned at)
{
    llm_u8  c;

    c = j->esc[at + 3] | 0x20;

    return (j->esc[at + 2] | 0x20) == 'd'
           && (j->esc[at + 3] == '8' || j->esc[at + 3] == '9' || c == 'a'
               || c == 'b');
}


/* Two \uXXXX: a pair, or the second begins one. */
static llm_rc_t
llm_redact_pair(llm_redact_run_t *run, llm_redact_json_t *j,
    llm_block_t *out)
{
    llm_rc_t  rc;

    if (!llm_redact_high(j, 6)) {
        return llm_redact_unescape(run, j, out);
    }

    j->nesc = 6;
    rc = llm_redact_unescape(run, j, out);

    memmove(j->esc, j->esc + 6, 6);
    j->nesc = 6;

    return rc;
}


/*
 * One more byte of an escape, which stands in esc.  *again: it was not part of
 * it, and is to be read once more.
 */
static llm_rc_t
llm_redact_escape_byte(llm_redact_run_t *run, llm_redact_json_t *j, llm_u8 c,
    unsigned *again, llm_block_t *out)
{
    unsigned  at;
    llm_rc_t  rc;

    *again = 0;
    at = j->nesc % 6;

    if (at == 0) {
        if (c == '\\') {
            j->esc[j->nesc++] = c;
            return LLM_OK;
        }

        *again = 1;
        return llm_redact_unescape(run, j, out);
    }

    if (j->nesc == 7 && c != 'u') {

        /* the half before stands alone, another escape has begun */

        j->nesc = 6;
        rc = llm_redact_unescape(run, j, out);
        j->esc[0] = '\\';
        j->nesc = 1;
        *again = 1;

        return rc;
    }

    if ((at == 1 && (c == '\0' || strchr("\"\\/bfnrtu", c) == NULL))
        || (at > 1 && !llm_redact_hex(c)))
    {
        *again = 1;
        return llm_redact_no_escape(run, j, out);
    }

    j->esc[j->nesc++] = c;

    if (j->nesc == 2 && c != 'u') {
        return llm_redact_unescape(run, j, out);
    }

    if (j->nesc == 12) {
        return llm_redact_pair(run, j, out);
    }

    return j->nesc == 6 && !llm_redact_high(j, 0)
           ? llm_redact_unescape(run, j, out) : LLM_OK;
}


/* A value, or a name, has ended. */
static void
llm_redact_ended(llm_redact_json_t *j, unsigned open)
{
    j->state = LLM_REDACT_BETWEEN;
    j->open = open;
}


/* Inside of a string: *p is moved behind what was read. */
static llm_rc_t
llm_redact_string(llm_redact_run_t *run, llm_redact_json_t *j,
    const llm_u8 **p, const llm_u8 *end, llm_block_t *out)
{
    llm_rc_t       rc;
    unsigned       again;
    const llm_u8  *from;

    if (j->nesc != 0) {
        rc = llm_redact_escape_byte(run, j, **p, &again, out);
        *p += !again;
        return rc;
    }

    for (from = *p; *p < end && **p != '"' && **p != '\\'; (*p)++) {
        /* void */
    }

    if (*p != from) {
        return llm_redact_chars(run, j, from, (size_t) (*p - from), 0, out);
    }

    if (*(*p)++ == '\\') {
        j->esc[0] = '\\';
        j->nesc = 1;
        return LLM_OK;
    }

    rc = llm_redact_chars(run, j, NULL, 0, 1, out);
    if (rc != LLM_OK) {
        return rc;
    }

    llm_redact_ended(j, LLM_REDACT_WHOLE);

    return llm_redact_lit(run, out, "\"");
}


/* The inside of a name: as it is. */
static llm_rc_t
llm_redact_name(llm_redact_run_t *run, llm_redact_json_t *j,
    const llm_u8 **p, const llm_u8 *end, llm_block_t *out)
{
    const llm_u8  *from;

    from = *p;

    while (*p < end) {

        if (j->escape == LLM_REDACT_NAME_ESC) {
            j->escape = **p == 'u' ? LLM_REDACT_NAME_HEX : 0;

        } else if (**p == '\\') {
            j->escape = LLM_REDACT_NAME_ESC;

        } else if (**p == '"') {
            llm_redact_ended(j, LLM_REDACT_COLON);
            (*p)++;
            break;

        } else if (j->escape != 0) {
            j->escape++;
            j->escape %= LLM_REDACT_NAME_HEX + 4;
        }

        (*p)++;
    }

    return llm_block_append(out, &run->alloc, from, (size_t) (*p - from));
}


static int
llm_redact_delimits(llm_u8 c)
{
    return c <= ' ' || strchr(",:[]{}\"", c) != NULL;
}


static int
llm_redact_is_space(llm_u8 c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}


/* It waits no longer; its bytes stay where they are until the next one.
 * Returns how many they are. */
static size_t
llm_redact_scalar_take(llm_redact_json_t *j)
{
    size_t  n;

    n = j->scalar.n;
    j->scalar.n = 0;

    return n;
}


/* A number or a word is whole, spaces may be behind it; with a match in it it
 * becomes a string. */
static llm_rc_t
llm_redact_scalar_end(llm_redact_run_t *run, llm_redact_json_t *j,
    llm_block_t *out)
{
    size_t    n, size;
    llm_rc_t  rc, written;
    uint64_t  before;

    size = llm_redact_scalar_take(j);

    for (n = size; n != 0 && llm_redact_is_space(j->scalar.p[n - 1]); n--) {
        /* void */
    }

    before = run->changed;
    run->text.n = 0;

    rc = llm_redact_feed(run, &j->text, j->scalar.p, n, 1, &run->text);

    if (rc != LLM_OK && rc != LLM_DONE) {
        return rc;
    }

    llm_redact_ended(j, LLM_REDACT_WHOLE);

    if (rc == LLM_OK && before == run->changed) {
        return llm_block_append(out, &run->alloc, j->scalar.p, size);
    }

    written = llm_redact_lit(run, out, "\"");

    if (written == LLM_OK) {
        written = llm_redact_escaped(run, out, run->text.p, run->text.n);
    }

    if (written == LLM_OK) {
        written = llm_redact_lit(run, out, "\"");
    }

    if (written == LLM_OK && rc == LLM_OK) {
        written = llm_block_append(out, &run->alloc, j->scalar.p + n,
                                   size - n);
    }

    return written != LLM_OK ? written : rc;
}


/* What looked like a number or a word is none: it is the beginning of a text
 * that is no JSON. */
static llm_rc_t
llm_redact_no_scalar(llm_redact_run_t *run, llm_redact_json_t *j,
    llm_block_t *out)
{
    size_t  n;

    n = llm_redact_scalar_take(j);
    j->state = LLM_REDACT_PLAIN;

    return llm_redact_feed(run, &j->text, j->scalar.p, n, 0, out);
}


/* Whether what is too long, and continues at p, is a number so far: JSON, then,
 * whose escapes must not be searched as they are.  It must not depend on the
 * piece, which may have more. */
static int
llm_redact_numeric(const llm_block_t *scalar, const llm_u8 *p)
{
    size_t  i;
    llm_u8  c;

    for (i = 0; i <= LLM_REDACT_NUMBER; i++) {
        c = i < scalar->n ? scalar->p[i] : p[i - scalar->n];

        if (!(c >= '0' && c <= '9') && (c == '\0' || !strchr("+-.eE", c))) {
            return 0;
        }
    }

    return 1;
}


/*
 * Inside of a number or a word, or in the spaces behind it.  It is not known
 * to be one before what follows it: "4111 1111" is not two.
 */
static llm_rc_t
llm_redact_scalar(llm_redact_run_t *run, llm_redact_json_t *j,
    const llm_u8 **p, const llm_u8 *end, llm_block_t *out)
{
    size_t         n;
    llm_rc_t       rc;
    const llm_u8  *from;

    from = *p;
    n = j->scalar.n;

    if (n == 0 || !llm_redact_is_space(j->scalar.p[n - 1])) {

        while (*p < end && !llm_redact_delimits(**p)) {
            (*p)++;
        }

        if ((size_t) (*p - from) + n > LLM_REDACT_NUMBER) {

            if (llm_redact_numeric(&j->scalar, from)) {
                return LLM_TOO_BIG;
            }

            *p = from;

            return llm_redact_no_scalar(run, j, out);
        }
    }

    while (*p < end && llm_redact_is_space(**p)
           && (size_t) (*p - from) + n < LLM_REDACT_SPACED)
    {
        (*p)++;
    }

    rc = llm_block_append(&j->scalar, &run->alloc, from,
                          (size_t) (*p - from));
    if (rc != LLM_OK) {
        return rc;
    }

    if (j->scalar.n == LLM_REDACT_SPACED) {
        return llm_redact_scalar_end(run, j, out);
    }

    if (*p == end) {
        return LLM_OK;
    }

    return j->depth != 0 && (**p == ',' || **p == ']' || **p == '}')
           ? llm_redact_scalar_end(run, j, out)
           : llm_redact_no_scalar(run, j, out);
}


/* Whether a value can stand here. */
static int
llm_redact_value_next(const llm_redact_json_t *j)
{
    return j->open == LLM_REDACT_VALUE
           || (j->open == LLM_REDACT_EMPTY && !llm_redact_in_object(j));
}


/* A string begins. */
static int
llm_redact_quote(llm_redact_json_t *j)
{
    if (llm_redact_value_next(j)) {
        j->state = LLM_REDACT_STRING;
        return 1;
    }

    j->state = LLM_REDACT_NAME;
    j->escape = 0;

    return j->open == LLM_REDACT_EMPTY || j->open == LLM_REDACT_MEMBER;
}


/* An object or an array ends. */
static int
llm_redact_pop(llm_redact_json_t *j, int object)
{
    if (j->depth == 0 || llm_redact_in_object(j) != object
        || (j->open != LLM_REDACT_EMPTY && j->open != LLM_REDACT_WHOLE))
    {
        return 0;
    }

    j->depth--;
    j->open = LLM_REDACT_WHOLE;

    return 1;
}


/* A byte between tokens: 0: it has no place in JSON. */
static int
llm_redact_token(llm_redact_json_t *j, llm_u8 c)
{
    unsigned  open;

    open = j->open;

    switch (c) {

    case ' ': case '\t': case '\r': case '\n':
        return 1;

    case '{': case '[':

        if (!llm_redact_value_next(j)) {
            return 0;
        }

        j->open = LLM_REDACT_EMPTY;
        return llm_redact_push(j, c == '{');

    case '}': case ']':
        return llm_redact_pop(j, c == '}');

    case ':':
        j->open = LLM_REDACT_VALUE;
        return open == LLM_REDACT_COLON;

    case ',':
        j->open = llm_redact_in_object(j) ? LLM_REDACT_MEMBER
                                          : LLM_REDACT_VALUE;
        return open == LLM_REDACT_WHOLE && j->depth != 0;

    case '"':
        return llm_redact_quote(j);

    default:
        return 0;
    }
}


static llm_rc_t
llm_redact_between(llm_redact_run_t *run, llm_redact_json_t *j,
    const llm_u8 **p, llm_block_t *out)
{
    llm_u8  c;

    c = **p;

    if ((c == '-' || c == 't' || c == 'f' || c == 'n'
         || (c >= '0' && c <= '9'))
        && llm_redact_value_next(j))
    {
        j->state = LLM_REDACT_SCALAR;
        return LLM_OK;
    }

    if (!llm_redact_token(j, c)) {
        j->state = LLM_REDACT_PLAIN;
        return LLM_OK;
    }

    (*p)++;

    return llm_block_append(out, &run->alloc, &c, 1);
}


/* No more comes. */
static llm_rc_t
llm_redact_json_last(llm_redact_run_t *run, llm_redact_json_t *j,
    llm_block_t *out)
{
    llm_rc_t  rc;

    switch (j->state) {

    case LLM_REDACT_STRING:

        if (j->nesc != 0) {
            rc = j->nesc % 6 == 0 ? llm_redact_unescape(run, j, out)
                                  : llm_redact_no_escape(run, j, out);
            if (rc != LLM_OK) {
                return rc;
            }
        }

        return llm_redact_chars(run, j, NULL, 0, 1, out);

    case LLM_REDACT_SCALAR:
        return llm_redact_scalar_end(run, j, out);

    case LLM_REDACT_PLAIN:
        return llm_redact_feed(run, &j->text, NULL, 0, 1, out);

    default:
        return LLM_OK;
    }
}


llm_rc_t
llm_redact_json(llm_redact_run_t *run, llm_redact_json_t *j, const llm_u8 *p,
    size_t n, unsigned last, llm_block_t *out)
{
    llm_rc_t       rc;
    const llm_u8  *end;

    rc = LLM_OK;

    for (end = n != 0 ? p + n : p; p != end && rc == LLM_OK; /* void */ ) {

        switch (j->state) {

        case LLM_REDACT_NAME:
            rc = llm_redact_name(run, j, &p, end, out);
            break;

        case LLM_REDACT_STRING:
            rc = llm_redact_string(run, j, &p, end, out);
            break;

        case LLM_REDACT_SCALAR:
            rc = llm_redact_scalar(run, j, &p, end, out);
            break;

        case LLM_REDACT_PLAIN:
            rc = llm_redact_feed(run, &j->text, p, (size_t) (end - p), 0,
                                 out);
            p = end;
            break;

        default:    /* LLM_REDACT_BETWEEN */
            rc = llm_redact_between(run, j, &p, out);
            break;
        }
    }

    return rc == LLM_OK && last ? llm_redact_json_last(run, j, out) : rc;
}


/* The end of a name that may be cut in an escape. */
static llm_rc_t
llm_redact_name_close(llm_redact_run_t *run, llm_redact_json_t *j,
    llm_block_t *out)
{
    const char  *rest;

    static const char  digits[] = "0021\"";

    rest = j->escape == 0 ? "\""
           : j->escape == LLM_REDACT_NAME_ESC ? "\\\""
           : digits + (j->escape - LLM_REDACT_NAME_HEX);

    llm_redact_ended(j, LLM_REDACT_COLON);

    return llm_block_append(out, &run->alloc, rest, strlen(rest));
}


llm_rc_t
llm_redact_json_close(llm_redact_run_t *run, llm_redact_json_t *j,
    llm_block_t *out)
{
    llm_rc_t  rc;

    rc = LLM_OK;

    if (j->state == LLM_REDACT_PLAIN) {
        return LLM_OK;
    }

    if (j->state == LLM_REDACT_NAME) {
        rc = llm_redact_name_close(run, j, out);

    } else if (j->state == LLM_REDACT_STRING) {
        rc = llm_redact_lit(run, out, "\"");
        llm_redact_ended(j, LLM_REDACT_WHOLE);

    } else if (j->state == LLM_REDACT_SCALAR) {
        rc = llm_redact_lit(run, out, "null");
        llm_redact_ended(j, LLM_REDACT_WHOLE);
    }

    if (rc == LLM_OK && j->open >= LLM_REDACT_VALUE) {
        rc = j->open == LLM_REDACT_VALUE ? llm_redact_lit(run, out, "null")
             : j->open == LLM_REDACT_COLON ? llm_redact_lit(run, out, ":null")
             : llm_redact_lit(run, out, "\"\":null");
    }

    for ( /* void */ ; rc == LLM_OK && j->depth != 0; j->depth--) {
        rc = llm_block_append(out, &run->alloc,
                              llm_redact_in_object(j) ? "}" : "]", 1);
    }

    j->open = LLM_REDACT_WHOLE;

    return rc;
}


void
llm_redact_json_free(llm_redact_run_t *run, llm_redact_json_t *j)
{
    llm_redact_text_free(run, &j->text);
    llm_block_free(&j->scalar, &run->alloc);
}
