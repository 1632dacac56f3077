/*
 * UTF-8: one validating pass, repair, counting, writing.  It must never read
 * past the end that was given, whatever the last bytes promise.
 */

#include "llm_utf8.h"
#include "llm_swar.h"


/*
 * The character at p, which is not ASCII.  Returns its length, or, when it is
 * ill-formed, minus the length of the maximal subpart that one U+FFFD
 * replaces (Unicode, section 3.9, table 3-7).
 */
static int
llm_utf8_step(const llm_u8 *p, const llm_u8 *end)
{
    int     n, i;
    llm_u8  c, low, high;

    c = *p;

    if (c < 0xc2 || c > 0xf4) {
        return -1;
    }

    n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    /* the second byte keeps out overlong forms, surrogates, > U+10FFFF */

    low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;

    if (end - p < 2 || p[1] < low || p[1] > high) {
        return -1;
    }

    for (i = 2; i < n; i++) {
        if (end - p <= i || (p[i] & 0xc0) != 0x80) {
            return -i;
        }
    }

    return n;
}


/*
 * The first byte at or after p that is not ASCII, or end.  start <= p is
 * where the bytes that may be read begin.
 */
static inline const llm_u8 *
llm_utf8_ascii(const llm_u8 *p, const llm_u8 *end, const llm_u8 *start)
{
    size_t    rest;
    uint64_t  x;

    while (end - p >= 32) {
        x = llm_swar_load(p) | llm_swar_load(p + 8)
            | llm_swar_load(p + 16) | llm_swar_load(p + 24);

        if (x & LLM_HIGHS) {
            break;
        }

        p += 32;
    }

    while (end - p >= 8) {
        x = llm_swar_load(p) & LLM_HIGHS;

        if (x != 0) {
            return p + llm_swar_first(x);
        }

        p += 8;
    }

    rest = (size_t) (end - p);

    if (rest != 0 && end - start >= 8) {

        /* the last word, without the bytes in front of p */

        x = llm_swar_load(end - 8) >> (64 - 8 * rest) & LLM_HIGHS;

        return x != 0 ? p + llm_swar_first(x) : end;
    }

    while (p < end && *p < 0x80) {
        p++;
    }

    return p;
}


/* U+0085 is C2 85; U+2028 and U+2029 are E2 80 A8 and E2 80 A9. */
static inline int
llm_utf8_linesep(const llm_u8 *p)
{
    if (p[0] == 0xc2) {
        return p[1] == 0x85;
    }

    return p[0] == 0xe2 && p[1] == 0x80 && (p[2] & 0xfe) == 0xa8;
}


unsigned
llm_utf8_check(const llm_u8 *p, size_t n)
{
    int            len;
    unsigned       flags;
    const llm_u8  *start, *end;

    if (n == 0) {
        return 0;
    }

    flags = 0;
    start = p;
    end = p + n;

    for ( ;; ) {
        p = llm_utf8_ascii(p, end, start);

        if (p == end) {
            return flags;
        }

        flags |= LLM_UTF8_MULTI;

        /* scripts other than Latin come in runs: no word test in between */

        do {
            len = llm_utf8_step(p, end);

            if (len < 0) {
                flags |= LLM_UTF8_INVALID;
                len = -len;

            } else if (llm_utf8_linesep(p)) {
                flags |= LLM_UTF8_LINESEP;
            }

            p += len;

        } while (p < end && *p >= 0x80);
    }
}


llm_rc_t
llm_utf8_repair(llm_block_t *b, const llm_alloc_t *a, const llm_u8 *p,
    size_t n)
{
    int            len;
    llm_rc_t       rc;
    const llm_u8  *good, *start, *end;

    if (n == 0) {
        return LLM_OK;
    }

    good = p;
    start = p;
    end = p + n;

    for ( ;; ) {
        p = llm_utf8_ascii(p, end, start);

        if (p == end) {
            return llm_block_append(b, a, good, (size_t) (end - good));
        }

        len = llm_utf8_step(p, end);

        if (len > 0) {
            p += len;
            continue;
        }

        rc = llm_block_append(b, a, good, (size_t) (p - good));
        if (rc != LLM_OK) {
            return rc;
        }

        rc = llm_block_append(b, a, "\xef\xbf\xbd", 3);
        if (rc != LLM_OK) {
            return rc;
        }

        p += -len;
        good = p;
    }
}


size_t
llm_utf8_count(const llm_u8 *p, size_t n)
{
    size_t         count;
    uint64_t       x;
    const llm_u8  *end;

    if (n == 0) {
        return 0;
    }

    count = n;
    end = p + n;

    /* every byte but a continuation (10xxxxxx) starts a character */

    while (end - p >= 8) {
        x = llm_swar_load(p);
        x = (x >> 7) & ~(x >> 6) & LLM_ONES;
        count -= (size_t) ((x * LLM_ONES) >> 56);
        p += 8;
    }

    while (p < end) {
        count -= (*p++ & 0xc0) == 0x80;
    }

    return count;
}


size_t
llm_utf8_label(llm_u8 *dst, size_t size, const llm_u8 *p, size_t n)
{
    int            len;
    llm_u8        *start;
    const llm_u8  *end;

    if (n == 0) {
        return 0;
    }

    start = dst;
    end = p + n;

    while (p < end && size != 0) {

        len = *p < 0x80 ? 1 : llm_utf8_step(p, end);

        if (len < 0 || *p < 0x20 || *p == 0x7f
            || (p[0] == 0xc2 && p[1] < 0xa0))
        {
            *dst++ = '?';
            size--;
            p += len < 0 ? -len : len;
            continue;
        }

        if ((size_t) len > size) {
            break;
        }

        memcpy(dst, p, (size_t) len);
        dst += len;
        size -= (size_t) len;
        p += len;
    }

    return (size_t) (dst - start);
}


size_t
llm_utf8_put(llm_u8 *dst, uint32_t cp)
{
    if (cp < 0x80) {
        dst[0] = (llm_u8) cp;
        return 1;
    }

    if (cp < 0x800) {
        dst[0] = (llm_u8) (0xc0 | cp >> 6);
        dst[1] = (llm_u8) (0x80 | (cp & 0x3f));
        return 2;
    }

    if (cp < 0x10000) {
        dst[0] = (llm_u8) (0xe0 | cp >> 12);
        dst[1] = (llm_u8) (0x80 | (cp >> 6 & 0x3f));
        dst[2] = (llm_u8) (0x80 | (cp & 0x3f));
        return 3;
    }

    dst[0] = (llm_u8) (0xf0 | cp >> 18);
    dst[1] = (llm_u8) (0x80 | (cp >> 12 & 0x3f));
    dst[2] = (llm_u8) (0x80 | (cp >> 6 & 0x3f));
    dst[3] = (llm_u8) (0x80 | (cp & 0x3f));
    return 4;
}
