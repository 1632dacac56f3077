/*
 * The JSON pull scanner.  It must never look at a byte twice (but for the
 * few of an escape), never recurse, and never read past the document's end.
 *
 * llm_json_next() is the hottest function of the library.  It calls nothing
 * but in tail position, so that it needs no stack frame: what is rare (an
 * escape, a fraction, white space, the last bytes, an error) is finished by
 * functions of its own.
 *
 * Errors: LLM_AGAIN says that the document is a proper beginning of a valid
 * one, LLM_INVALID that no bytes could make it valid.
 */

#include "llm_json.h"
#include "llm_swar.h"


/*
 * The state is where the scanner stands (low bits) in which container.  KEY
 * swallows its colon, so that only these are left:
 */
#define LLM_JSON_VALUE   0      /* a value must come */
#define LLM_JSON_FIRST   1      /* just opened: an item or the end */
#define LLM_JSON_AFTER   2      /* a value ended: a comma or the end */
#define LLM_JSON_WHERE   3

#define LLM_JSON_ROOT    0
#define LLM_JSON_IN_OBJ  4
#define LLM_JSON_IN_ARR  8
#define LLM_JSON_FAILED  (12 | LLM_JSON_FIRST)

/* space, LF, CR, TAB */
#define llm_json_space(c)                                                   \
    ((c) <= 0x20 && ((UINT64_C(1) << (c)) & UINT64_C(0x100002600)))


void
llm_json_init(llm_json_t *j, const llm_u8 *p, size_t n, unsigned max_depth)
{
    if (max_depth == 0) {
        max_depth = LLM_JSON_DEPTH;
    }

    if (max_depth > LLM_JSON_DEPTH_MAX) {
        max_depth = LLM_JSON_DEPTH_MAX;
    }

    j->p = p;
    j->end = n != 0 ? p + n : p;
    j->wide = n > LLM_STRIDE ? j->end - LLM_STRIDE : p;
    j->start = p;
    j->tok = llm_slice_null;
    j->error = LLM_OK;
    j->depth = 0;
    j->max_depth = max_depth;
    j->state = LLM_JSON_ROOT | LLM_JSON_VALUE;
}


static llm_noinline llm_json_type_t
llm_json_fail(llm_json_t *j, const llm_u8 *p, llm_rc_t rc)
{
    j->p = p;
    j->error = rc;
    j->tok = llm_slice_null;
    j->state = LLM_JSON_FAILED;

    return LLM_JSON_ERROR;
}


/* The byte at p is wrong, or the document ended in front of it. */
static llm_noinline llm_json_type_t
llm_json_wrong(llm_json_t *j, const llm_u8 *p)
{
    return llm_json_fail(j, p, p == j->end ? LLM_AGAIN : LLM_INVALID);
}


static inline const llm_u8 *
llm_json_spaces(const llm_u8 *p, const llm_u8 *end)
{
    while (p < end && llm_json_space(*p)) {
        p++;
    }

    return p;
}


/* A value other than a container ended at p. */
static inline llm_json_type_t
llm_json_done(llm_json_t *j, const llm_u8 *p, llm_json_type_t type)
{
    j->p = p;
    j->state = (j->state & ~LLM_JSON_WHERE) | LLM_JSON_AFTER;

    return type;
}


static inline void
llm_json_token(llm_json_t *j, const llm_u8 *p, const llm_u8 *end,
    unsigned escaped)
{
    j->tok.p = p;
    j->tok.n = (size_t) (end - p);
    j->tok.escaped = escaped;
}


/* The name of a member ended in front of p: now its colon. */
static llm_noinline llm_json_type_t
llm_json_colon(llm_json_t *j, const llm_u8 *p)
{
    p = llm_json_spaces(p, j->end);

    if (p == j->end || *p != ':') {
        return llm_json_wrong(j, p);
    }

    j->p = p + 1;
    j->state = LLM_JSON_IN_OBJ | LLM_JSON_VALUE;

    return LLM_JSON_KEY;
}


/*
 * p stands after a backslash.  Returns the first byte after the escape, or
 * NULL; *bad is then the byte that is wrong.
 */
static const llm_u8 *
llm_json_escape(const llm_u8 *p, const llm_u8 *end, const llm_u8 **bad)
{
    int  i;

    *bad = p;

    if (p == end) {
        return NULL;
    }

    switch (*p++) {

    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r':
    case 't':
        return p;

    case 'u':
        for (i = 0; i < 4; i++, p++) {
            if (p == end || llm_hex_digit(*p) < 0) {
                *bad = p;
                return NULL;
            }
        }

        return p;

    default:
        return NULL;
    }
}


/*
 * A string (or KEY) with an escape, an error, or its end among the last
 * bytes.  It started at j->start and is known to be plain up to p.
 */
static llm_noinline llm_json_type_t
llm_json_string_rest(llm_json_t *j, const llm_u8 *p, llm_json_type_t type)
{
    unsigned       escaped;
    llm_marks_t    marks;
    const llm_u8  *end, *bad;

    end = j->end;
    escaped = 0;

    for ( ;; ) {

        if (end - p >= LLM_STRIDE) {
            marks = llm_marks(p);

            if (marks == 0) {
                p += LLM_STRIDE;
                continue;
            }

            p += llm_marks_first(marks);
        }

        if (p == end || *p < 0x20) {
            return llm_json_wrong(j, p);
        }

        if (*p == '"') {
            break;
        }

        if (*p++ == '\\') {
            escaped = 1;

            p = llm_json_escape(p, end, &bad);
            if (p == NULL) {
                return llm_json_wrong(j, bad);
            }
        }
    }

    llm_json_token(j, j->start + 1, p, escaped);

    return type == LLM_JSON_KEY ? llm_json_colon(j, p + 1)
                                : llm_json_done(j, p + 1, type);
}


/* A string or KEY; p is its opening quote. */
static inline llm_json_type_t
llm_json_string(llm_json_t *j, const llm_u8 *p, llm_json_type_t type)
{
    llm_marks_t    marks;
    const llm_u8  *start;

    j->start = p;
    start = ++p;

    /* one byte more than a stride, so that the one after the quote is there */

    for ( ;; ) {

        if (p >= j->wide) {
            return llm_json_string_rest(j, p, type);
        }

        marks = llm_marks(p);

        if (marks != 0) {
            break;
        }

        p += LLM_STRIDE;
    }

    p += llm_marks_first(marks);

    if (*p != '"') {
        return llm_json_string_rest(j, p, type);
    }

    llm_json_token(j, start, p, 0);
    p++;

    if (type != LLM_JSON_KEY) {
        return llm_json_done(j, p, type);
    }

    if (*p != ':') {
        return llm_json_colon(j, p);
    }

    j->p = p + 1;
    j->state = LLM_JSON_IN_OBJ | LLM_JSON_VALUE;

    return LLM_JSON_KEY;
}


/* The first byte at or after p that is no digit. */
static inline const llm_u8 *
llm_json_digits(const llm_u8 *p, const llm_u8 *end)
{
    uint64_t  x;

    while (end - p >= 8) {

        /* a digit is 0x30 plus 0..9, which 0x76 does not lift to 0x80 */

        x = llm_swar_load(p) ^ LLM_ONES * 0x30;
        x = (((x & ~LLM_HIGHS) + LLM_ONES * 0x76) | x) & LLM_HIGHS;

        if (x != 0) {
            return p + llm_swar_first(x);
        }

        p += 8;
    }

    while (p < end && (unsigned) (*p - '0') <= 9) {
        p++;
    }

    return p;
}


/* A number that is more than digits: p is its first byte. */
static llm_noinline llm_json_type_t
llm_json_number_rest(llm_json_t *j, const llm_u8 *p)
{
    const llm_u8  *end, *last;

    end = j->end;
    p += *p == '-';
    last = p;

    if (p < end && *p == '0') {
        p++;

    } else {
        p = llm_json_digits(p, end);
    }

    if (p == last) {
        return llm_json_wrong(j, p);
    }

    if (p < end && *p == '.') {
        last = ++p;
        p = llm_json_digits(p, end);

        if (p == last) {
            return llm_json_wrong(j, p);
        }
    }

    if (p < end && (*p | 0x20) == 'e') {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        last = p;
        p = llm_json_digits(p, end);

        if (p == last) {
            return llm_json_wrong(j, p);
        }
    }

    llm_json_token(j, j->start, p, 0);

    return llm_json_done(j, p, LLM_JSON_NUMBER);
}


/* A number; p is its first byte, a digit. */
static inline llm_json_type_t
llm_json_number(llm_json_t *j, const llm_u8 *p, const llm_u8 *end)
{
    const llm_u8  *start;

    start = p++;

    if (p < end && (unsigned) (*p - '0') <= 9) {

        if (*start == '0') {
            return llm_json_number_rest(j, start);
        }

        p = llm_json_digits(p + 1, end);
    }

    /* a comma or a closing bracket proves that the digits were all of it */

    if (p == end || (*p != ',' && *p != '}' && *p != ']')) {
        return llm_json_number_rest(j, start);
    }

    llm_json_token(j, start, p, 0);

    return llm_json_done(j, p, LLM_JSON_NUMBER);
}


/* The literal was expected at p but is not there. */
static llm_noinline llm_json_type_t
llm_json_no_literal(llm_json_t *j, const llm_u8 *p, const char *word)
{
    while (p < j->end && *word != '\0' && *p == (llm_u8) *word) {
        p++;
        word++;
    }

    return llm_json_wrong(j, p);
}


static inline llm_json_type_t
llm_json_literal(llm_json_t *j, const llm_u8 *p, const char *word, size_t n,
    llm_json_type_t type)
{
    if ((size_t) (j->end - p) < n || memcmp(p, word, n) != 0) {
        return llm_json_no_literal(j, p, word);
    }

    llm_json_token(j, p, p + n, 0);

    return llm_json_done(j, p + n, type);
}


static inline llm_json_type_t
llm_json_open(llm_json_t *j, const llm_u8 *p, unsigned object)
{
    uint32_t   bit;
    uint32_t  *word;

    if (j->depth == j->max_depth) {
        return llm_json_fail(j, p, LLM_TOO_DEEP);
    }

    word = &j->stack[j->depth / 32];
    bit = (uint32_t) 1 << (j->depth % 32);
    *word = object ? *word | bit : *word & ~bit;

    j->depth++;
    j->p = p + 1;
    j->state = LLM_JSON_FIRST | (object ? LLM_JSON_IN_OBJ : LLM_JSON_IN_ARR);

    return object ? LLM_JSON_OBJECT : LLM_JSON_ARRAY;
}


static inline llm_json_type_t
llm_json_close(llm_json_t *j, const llm_u8 *p, llm_json_type_t type)
{
    unsigned  at, state;

    at = --j->depth;
    state = LLM_JSON_ROOT | LLM_JSON_AFTER;

    if (at-- != 0) {
        state = LLM_JSON_AFTER
                | (j->stack[at / 32] >> (at % 32) & 1 ? LLM_JSON_IN_OBJ
                                                      : LLM_JSON_IN_ARR);
    }

    j->start = p;
    j->p = p + 1;
    j->state = state;

    return type;
}


/* A value that starts with the byte at p, p < end. */
static inline llm_json_type_t
llm_json_begin(llm_json_t *j, const llm_u8 *p, const llm_u8 *end)
{
    llm_u8  c;

    c = *p;

    if (c == '"') {
        return llm_json_string(j, p, LLM_JSON_STRING);
    }

    j->start = p;

    /* by frequency; a table's indirect jump costs more than these tests */

    if (c == '{') {
        return llm_json_open(j, p, 1);
    }

    if ((unsigned) (c - '0') <= 9) {
        return llm_json_number(j, p, end);
    }

    if (c == 'n') {
        return llm_json_literal(j, p, "null", 4, LLM_JSON_NULL);
    }

    switch (c) {

    case '[':
        return llm_json_open(j, p, 0);

    case 't':
        return llm_json_literal(j, p, "true", 4, LLM_JSON_TRUE);

    case 'f':
        return llm_json_literal(j, p, "false", 5, LLM_JSON_FALSE);

    case '-':
        return llm_json_number_rest(j, p);

    default:
        return llm_json_wrong(j, p);
    }
}


/* Nothing but white space is left. */
static llm_noinline llm_json_type_t
llm_json_finish(llm_json_t *j, const llm_u8 *p)
{
    switch (j->state) {

    case LLM_JSON_ROOT | LLM_JSON_AFTER:
        j->p = p;
        return LLM_JSON_END;

    case LLM_JSON_FAILED:
        return LLM_JSON_ERROR;

    default:
        return llm_json_fail(j, p, LLM_AGAIN);
    }
}


/* A comma was passed: a member's name, or an array's element, must come. */
static inline llm_json_type_t
llm_json_item(llm_json_t *j, const llm_u8 *p, const llm_u8 *end)
{
    if (p == end || *p <= ' ') {
        p = llm_json_spaces(p, end);

        if (p == end) {
            return llm_json_wrong(j, p);
        }
    }

    if (j->state != (LLM_JSON_IN_OBJ | LLM_JSON_AFTER)) {
        return llm_json_begin(j, p, end);
    }

    if (*p != '"') {
        return llm_json_wrong(j, p);
    }

    return llm_json_string(j, p, LLM_JSON_KEY);
}


llm_json_type_t
llm_json_next(llm_json_t *j)
{
    unsigned       state;
    const llm_u8  *p, *end;

    p = j->p;
    end = j->end;
    state = j->state;

    if (p == end || *p <= ' ') {
        p = llm_json_spaces(p, end);

        if (p == end) {
            return llm_json_finish(j, p);
        }
    }

    /* by frequency: after a name, after a member, after a bracket */

    if ((state & LLM_JSON_WHERE) == LLM_JSON_VALUE) {
        return llm_json_begin(j, p, end);
    }

    if (*p == ',' && (state & LLM_JSON_AFTER) && state != LLM_JSON_AFTER) {
        return llm_json_item(j, p + 1, end);
    }

    switch (state) {

    case LLM_JSON_IN_OBJ | LLM_JSON_FIRST:
        if (*p == '"') {
            return llm_json_string(j, p, LLM_JSON_KEY);
        }

        /* fall through */

    case LLM_JSON_IN_OBJ | LLM_JSON_AFTER:
        if (*p == '}') {
            return llm_json_close(j, p, LLM_JSON_OBJECT_END);
        }

        return llm_json_wrong(j, p);

    case LLM_JSON_IN_ARR | LLM_JSON_FIRST:
        if (*p != ']') {
            return llm_json_begin(j, p, end);
        }

        /* fall through */

    case LLM_JSON_IN_ARR | LLM_JSON_AFTER:
        if (*p == ']') {
            return llm_json_close(j, p, LLM_JSON_ARRAY_END);
        }

        return llm_json_wrong(j, p);

    case LLM_JSON_FAILED:
        return LLM_JSON_ERROR;

    default:
        return llm_json_wrong(j, p);
    }
}


llm_json_type_t
llm_json_skip_rest(llm_json_t *j, llm_slice_t *raw)
{
    unsigned         outer;
    const llm_u8    *start;
    llm_json_type_t  type;

    start = j->start;
    outer = j->depth - 1;
    type = (j->state & LLM_JSON_IN_OBJ) ? LLM_JSON_OBJECT : LLM_JSON_ARRAY;

    do {
        if (llm_json_next(j) == LLM_JSON_ERROR) {
            return LLM_JSON_ERROR;
        }

    } while (j->depth != outer);

    raw->p = start;
    raw->n = (size_t) (j->p - start);
    raw->escaped = 0;

    return type;
}


llm_json_type_t
llm_json_skip(llm_json_t *j, llm_slice_t *raw)
{
    llm_json_type_t  type;

    type = llm_json_next(j);

    if (type == LLM_JSON_OBJECT || type == LLM_JSON_ARRAY) {
        return llm_json_skip_rest(j, raw);
    }

    raw->p = j->start;
    raw->n = (size_t) (j->p - j->start);
    raw->escaped = 0;

    return type;
}
