/*
 * The JSON scanner: a slow second opinion on the grammar, tokens inside the
 * input, skipping that equals walking, verdicts that do not depend on where
 * the document lies.
 */

#include "fuzz_support.h"
#include "llm_json.h"
#include "llm_utf8.h"
#include "llm_write.h"


#define DEPTH  20


/*
 * The reference: one byte at a time, the grammar as a machine with a stack.
 * What may come next is one of:
 */
enum {
    VALUE, FIRST_VALUE, NAME, FIRST_NAME, COLON, AFTER, STRING, ESCAPE, HEX,
    WORD, MINUS, ZERO, DIGITS, POINT, FRACTION, EXP, EXP_SIGN, EXP_DIGITS
};

typedef struct {
    int             state;
    int             is_name;    /* the string is a member's name */
    int             hex;        /* digits still to come */
    const char     *word;       /* rest of a literal */
    unsigned        depth;
    char            open[DEPTH];
} machine_t;


static int
space(llm_u8 c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}


static int
value(machine_t *m, llm_u8 c)
{
    switch (c) {

    case '"':
        m->is_name = 0;
        m->state = STRING;
        return LLM_OK;

    case '{':
    case '[':
        if (m->depth == DEPTH) {
            return LLM_TOO_DEEP;
        }

        m->open[m->depth++] = (char) c;
        m->state = c == '{' ? FIRST_NAME : FIRST_VALUE;
        return LLM_OK;

    case 't':
    case 'f':
    case 'n':
        m->word = c == 't' ? "rue" : c == 'f' ? "alse" : "ull";
        m->state = WORD;
        return LLM_OK;

    case '-':
        m->state = MINUS;
        return LLM_OK;

    default:
        m->state = c == '0' ? ZERO : DIGITS;
        return c >= '0' && c <= '9' ? LLM_OK : LLM_INVALID;
    }
}


static int
after(machine_t *m, llm_u8 c)
{
    m->state = AFTER;

    if (space(c)) {
        return LLM_OK;
    }

    if (m->depth == 0) {
        return LLM_INVALID;
    }

    if (c == ',') {
        m->state = m->open[m->depth - 1] == '{' ? NAME : VALUE;
        return LLM_OK;
    }

    if (c != (m->open[m->depth - 1] == '{' ? '}' : ']')) {
        return LLM_INVALID;
    }

    m->depth--;

    return LLM_OK;
}


static int
number(machine_t *m, llm_u8 c)
{
    int  digit, point, e;

    digit = c >= '0' && c <= '9';
    point = c == '.' && (m->state == ZERO || m->state == DIGITS);
    e = (c | 0x20) == 'e'
        && (m->state == ZERO || m->state == DIGITS || m->state == FRACTION);

    if (point || e) {
        m->state = point ? POINT : EXP;
        return LLM_OK;
    }

    switch (m->state) {

    case MINUS:
        m->state = c == '0' ? ZERO : DIGITS;
        return digit ? LLM_OK : LLM_INVALID;

    case EXP:
        if (c == '+' || c == '-') {
            m->state = EXP_SIGN;
            return LLM_OK;
        }

        /* fall through */

    case EXP_SIGN:
        m->state = EXP_DIGITS;
        return digit ? LLM_OK : LLM_INVALID;

    case POINT:
        m->state = FRACTION;
        return digit ? LLM_OK : LLM_INVALID;

    case ZERO:
        return after(m, c);

    default:
        return digit ? LLM_OK : after(m, c);
    }
}


static int
text(machine_t *m, llm_u8 c)
{
    switch (m->state) {

    case ESCAPE:
        m->hex = 4;
        m->state = c == 'u' ? HEX : STRING;
        return c != '\0' && strchr("\"\\/bfnrtu", c) ? LLM_OK : LLM_INVALID;

    case HEX:
        m->state = --m->hex != 0 ? HEX : STRING;
        return c != '\0' && strchr("0123456789abcdefABCDEF", c)
               ? LLM_OK : LLM_INVALID;

    default:
        break;
    }

    if (c == '"') {
        m->state = m->is_name ? COLON : AFTER;

    } else if (c == '\\') {
        m->state = ESCAPE;
    }

    return c < 0x20 ? LLM_INVALID : LLM_OK;
}


static int
feed(machine_t *m, llm_u8 c)
{
    switch (m->state) {

    case STRING:
    case ESCAPE:
    case HEX:
        return text(m, c);

    case WORD:
        if (*m->word++ != (char) c) {
            return LLM_INVALID;
        }

        m->state = *m->word != '\0' ? WORD : AFTER;
        return LLM_OK;

    case AFTER:
        return after(m, c);

    case VALUE:
    case FIRST_VALUE:
    case NAME:
    case FIRST_NAME:
    case COLON:
        break;

    default:
        return number(m, c);
    }

    if (space(c)) {
        return LLM_OK;
    }

    if ((m->state == FIRST_VALUE && c == ']')
        || (m->state == FIRST_NAME && c == '}'))
    {
        return after(m, c);
    }

    if (m->state == COLON) {
        m->state = VALUE;
        return c == ':' ? LLM_OK : LLM_INVALID;
    }

    if (m->state == NAME || m->state == FIRST_NAME) {
        m->is_name = 1;
        m->state = STRING;
        return c == '"' ? LLM_OK : LLM_INVALID;
    }

    return value(m, c);
}


static int
reference(const llm_u8 *p, size_t n)
{
    int        rc;
    size_t     i;
    machine_t  m;

    memset(&m, 0, sizeof(machine_t));
    m.state = VALUE;

    for (i = 0; i < n; i++) {
        rc = feed(&m, p[i]);

        if (rc != LLM_OK) {
            return rc;
        }
    }

    return m.depth == 0
           && (m.state == AFTER || m.state == ZERO || m.state == DIGITS
               || m.state == FRACTION || m.state == EXP_DIGITS)
           ? LLM_OK : LLM_AGAIN;
}


/* A string's inside, decoded, counted, and written again. */
static void
check_string(const llm_slice_t *tok)
{
    size_t       n, wide;
    llm_u8      *plain;
    fuzz_out_t   o;
    llm_json_t   j;
    llm_slice_t  s;

    plain = malloc(tok->n + 1);
    FUZZ_CHECK(plain != NULL);

    n = llm_json_unescape(plain, tok->p, tok->n);
    FUZZ_CHECK(n <= tok->n);
    FUZZ_CHECK(tok->escaped || n == tok->n);

    if (!(llm_utf8_check(tok->p, tok->n) & LLM_UTF8_INVALID)) {
        FUZZ_CHECK(!(llm_utf8_check(plain, n) & LLM_UTF8_INVALID));
        FUZZ_CHECK(llm_json_chars(tok->p, tok->n)
                   == llm_utf8_count(plain, n));
    }

    /* a copy with separators escaped still says the same */

    s = *tok;
    s.escaped = 1;

    fuzz_out_init(&o);
    llm_write_string(&o.out, &s, 1);
    fuzz_out_end(&o);

    llm_json_init(&j, o.block.p, o.block.n, 0);
    FUZZ_CHECK(llm_json_next(&j) == LLM_JSON_STRING);

    wide = llm_json_unescape(o.block.p, j.tok.p, j.tok.n);
    FUZZ_CHECK(wide == n && memcmp(o.block.p, plain, n) == 0);

    fuzz_out_free(&o);
    free(plain);
}


/* Walks the document; at token number `at` the value is skipped as well. */
static llm_rc_t
walk(const llm_u8 *p, size_t n, size_t at, size_t *tokens)
{
    llm_json_t        j, aside;
    llm_slice_t       raw;
    const llm_u8     *before;
    llm_json_type_t   type, skipped;

    llm_json_init(&j, p, n, DEPTH);
    memset(&raw, 0, sizeof(raw));
    skipped = LLM_JSON_END;

    for (*tokens = 0; /* void */; (*tokens)++) {
        before = j.p;

        if (*tokens == at) {
            aside = j;
            skipped = llm_json_skip(&aside, &raw);
        }

        type = llm_json_next(&j);

        if (*tokens == at && skipped != LLM_JSON_ERROR) {
            FUZZ_CHECK(skipped == type);
        }

        if (type == LLM_JSON_END || type == LLM_JSON_ERROR) {
            break;
        }

        FUZZ_CHECK(j.start >= before && j.p > j.start && j.p <= j.end);

        if (type == LLM_JSON_STRING || type == LLM_JSON_KEY) {
            FUZZ_CHECK(j.tok.p == j.start + 1 && j.tok.p + j.tok.n < j.p);
            check_string(&j.tok);
        }

        if (*tokens == at && type != LLM_JSON_KEY
            && skipped != LLM_JSON_ERROR)
        {
            FUZZ_CHECK(raw.p == j.start);

            /* the walk must come by the end of what was skipped */

            if (type != LLM_JSON_OBJECT && type != LLM_JSON_ARRAY) {
                FUZZ_CHECK(raw.p + raw.n == j.p);
            }

            before = raw.p + raw.n;
            at = SIZE_MAX;

            while (j.p < before) {
                type = llm_json_next(&j);
                FUZZ_CHECK(type != LLM_JSON_ERROR && type != LLM_JSON_END);
                (*tokens)++;
            }

            FUZZ_CHECK(j.p == before && j.depth == aside.depth
                       && j.state == aside.state);
        }
    }

    return type == LLM_JSON_END ? LLM_OK : j.error;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int       want;
    size_t    n, tokens, at;
    llm_u8   *p, *wide;

    p = fuzz_copy(data, size);
    want = reference(p, size);

    FUZZ_CHECK((int) walk(p, size, SIZE_MAX, &tokens) == want);

    /* each skip from a token on; few of them, or it takes too long */

    for (at = 0; at < tokens && at < 64; at++) {
        FUZZ_CHECK((int) walk(p, size, at, &n) == want);
        FUZZ_CHECK(n == tokens);
    }

    /* spaces behind the document take it out of the last bytes' path */

    wide = malloc(size + 40);
    FUZZ_CHECK(wide != NULL);
    memset(wide, ' ', size + 40);

    if (size != 0) {
        memcpy(wide, p, size);
    }

    if (want != LLM_AGAIN) {
        FUZZ_CHECK((int) walk(wide, size + 40, SIZE_MAX, &n) == want);
        FUZZ_CHECK(n == tokens);
    }

    free(wide);
    free(p);

    return 0;
}
