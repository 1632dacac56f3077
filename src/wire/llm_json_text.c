/*
 * What the inside of a JSON string means: comparing, decoding, counting, and
 * numbers.  It must stay safe for bytes that the scanner never saw.
 */

#include "llm_json.h"
#include "llm_swar.h"
#include "llm_utf8.h"


/* up to here a double holds every integer */
#define LLM_JSON_EXACT  ((int64_t) 1 << 53)


/*
 * The code unit or character of the escape at p ("\\" and what follows);
 * *len is its length.  A pair of surrogates is one character.  What the
 * scanner would have refused stands for itself, one byte at a time.
 */
static uint32_t
llm_json_unit(const llm_u8 *p, const llm_u8 *end, size_t *len)
{
    int       i, h;
    uint32_t  u;

    *len = 2;

    if (end - p < 2) {
        *len = 1;
        return *p;
    }

    switch (p[1]) {

    case 'b':
        return '\b';

    case 'f':
        return '\f';

    case 'n':
        return '\n';

    case 'r':
        return '\r';

    case 't':
        return '\t';

    case 'u':
        break;

    case '"': case '\\': case '/':
        return p[1];

    default:
        *len = 1;
        return *p;
    }

    u = 0;

    for (i = 2; i < 6; i++) {
        h = end - p > i ? llm_hex_digit(p[i]) : -1;

        if (h < 0) {
            *len = 1;
            return *p;
        }

        u = u << 4 | (uint32_t) h;
    }

    *len = 6;

    return u;
}


/* As above, with surrogates put together; a lone half stays a half. */
static uint32_t
llm_json_char(const llm_u8 *p, const llm_u8 *end, size_t *len)
{
    size_t    n;
    uint32_t  u, low;

    u = llm_json_unit(p, end, len);

    if ((u & 0xfffffc00) != 0xd800 || (size_t) (end - p) <= *len
        || p[*len] != '\\')
    {
        return u;
    }

    low = llm_json_unit(p + *len, end, &n);

    if ((low & 0xfffffc00) != 0xdc00) {
        return u;
    }

    *len += n;

    return 0x10000 + ((u & 0x3ff) << 10 | (low & 0x3ff));
}


int
llm_json_eq_escaped(const llm_slice_t *tok, const char *s, size_t n)
{
    size_t         len, put;
    llm_u8         buf[4];
    uint32_t       u;
    const llm_u8  *p, *end, *t;

    if (tok->n == 0) {
        return n == 0;
    }

    t = (const llm_u8 *) s;
    p = tok->p;
    end = p + tok->n;

    while (p < end) {
        buf[0] = *p;
        len = 1;
        put = 1;

        if (*p == '\\') {
            u = llm_json_char(p, end, &len);

            if ((u & 0xfffff800) == 0xd800) {
                return 0;       /* a lone half equals no character */
            }

            put = llm_utf8_put(buf, u);
        }

        if (n < put || memcmp(t, buf, put) != 0) {
            return 0;
        }

        p += len;
        t += put;
        n -= put;
    }

    return n == 0;
}


size_t
llm_json_unescape(llm_u8 *dst, const llm_u8 *p, size_t n)
{
    size_t         len;
    llm_u8        *d;
    uint32_t       u;
    const llm_u8  *end, *next;

    if (n == 0) {
        return 0;
    }

    d = dst;
    end = p + n;

    while (p < end) {
        next = memchr(p, '\\', (size_t) (end - p));
        len = (size_t) ((next != NULL ? next : end) - p);

        memmove(d, p, len);
        d += len;

        if (next == NULL) {
            break;
        }

        u = llm_json_char(next, end, &len);

        if ((u & 0xfffff800) == 0xd800) {
            u = 0xfffd;
        }

        d += llm_utf8_put(d, u);
        p = next + len;
    }

    return (size_t) (d - dst);
}


size_t
llm_json_chars(const llm_u8 *p, size_t n)
{
    size_t         count, len;
    const llm_u8  *end, *next;

    if (n == 0) {
        return 0;
    }

    count = 0;
    end = p + n;

    while (p < end) {
        next = memchr(p, '\\', (size_t) (end - p));

        if (next == NULL) {
            return count + llm_utf8_count(p, (size_t) (end - p));
        }

        (void) llm_json_char(next, end, &len);
        count += llm_utf8_count(p, (size_t) (next - p)) + 1;
        p = next + len;
    }

    return count;
}


int64_t
llm_json_uint(const llm_slice_t *tok)
{
    size_t   i;
    int64_t  v;

    if (tok->n == 0) {
        return -1;
    }

    v = 0;

    for (i = 0; i < tok->n; i++) {
        if (tok->p[i] < '0' || tok->p[i] > '9'
            || v > (INT64_MAX - (tok->p[i] - '0')) / 10)
        {
            return -1;
        }

        v = v * 10 + (tok->p[i] - '0');
    }

    return v;
}


/* The exponent of a number, as far as it matters; p stands behind its "e". */
static int64_t
llm_json_exponent(const llm_u8 *p, const llm_u8 *end)
{
    int64_t   v;
    unsigned  negative;

    v = 0;
    negative = p < end && *p == '-';

    if (p < end && (*p == '-' || *p == '+')) {
        p++;
    }

    for ( /* void */ ; p < end && v < INT32_MAX; p++) {
        v = v * 10 + (*p - '0');
    }

    return negative ? -v : v;
}


int64_t
llm_json_integer(const llm_slice_t *tok, unsigned up)
{
    int64_t        v, exp;
    unsigned       point, some, rest;
    const llm_u8  *p, *end;

    p = tok->p;
    end = p + tok->n;
    v = 0;
    exp = 0;
    some = 0;       /* a digit that is not 0 */
    rest = 0;       /* and one that v has not */
    point = 0;

    for (p += *p == '-'; p < end && *p != 'e' && *p != 'E'; p++) {

        if (*p == '.') {
            point = 1;
            continue;
        }

        some |= *p != '0';

        if (v < LLM_JSON_EXACT) {
            v = v * 10 + (*p - '0');
            exp -= point;

        } else {
            rest |= *p != '0';
            exp += !point;
        }
    }

    if (tok->p[0] == '-') {
        return some ? -1 : 0;
    }

    if (p < end) {
        exp += llm_json_exponent(p + 1, end);
    }

    for ( /* void */ ; exp < 0 && v != 0; exp++) {
        rest |= v % 10 != 0;
        v /= 10;
    }

    for ( /* void */ ; exp > 0 && v != 0 && v < LLM_JSON_EXACT; exp--) {
        v *= 10;
    }

    if (v >= LLM_JSON_EXACT) {
        return INT64_MAX;
    }

    return v + (up && rest);
}
