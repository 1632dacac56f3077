/*
 * UTF-8: what the check says, what the repair gives, and the decoder of the
 * WHATWG Encoding standard must agree on any bytes.
 */

#include "fuzz_support.h"
#include "llm_json.h"
#include "llm_utf8.h"
#include "llm_write.h"


/*
 * The length of the character at p, or minus that of its maximal ill-formed
 * subpart.  The code point is put together and judged as a number, which is
 * not how the library does it.
 */
static int
step(const llm_u8 *p, size_t n)
{
    int       i, len;
    uint32_t  low, high;

    static const uint32_t  first[5] = { 0, 0, 0x80, 0x800, 0x10000 };

    if (p[0] < 0x80) {
        return 1;
    }

    len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

    if (p[0] < 0xc0 || p[0] >= 0xf8) {
        return -1;
    }

    low = p[0] & (0x7f >> len);
    high = low;

    /* as long as what is there can still become a character */

    for (i = 1; i <= len; i++) {
        uint32_t  from, to;

        from = low << 6 * (len - i);
        to = high << 6 * (len - i) | ((UINT32_C(1) << 6 * (len - i)) - 1);

        if (to < first[len] || from > 0x10ffff
            || (from >= 0xd800 && to <= 0xdfff))
        {
            return i == 1 ? -1 : -(i - 1);
        }

        if (i == len) {
            break;
        }

        if ((size_t) i >= n || (p[i] & 0xc0) != 0x80) {
            return -i;
        }

        low = low << 6 | (p[i] & 0x3f);
        high = low;
    }

    return len;
}


static void
check_repair(const llm_u8 *p, size_t n, unsigned flags)
{
    int           len;
    size_t        at, to, count;
    llm_block_t   b;

    memset(&b, 0, sizeof(llm_block_t));
    FUZZ_CHECK(llm_utf8_repair(&b, &fuzz_alloc, p, n) == LLM_OK);

    count = 0;
    to = 0;

    for (at = 0; at < n; at += (size_t) abs(len)) {
        len = step(p + at, n - at);

        if (len < 0) {
            FUZZ_CHECK(flags & LLM_UTF8_INVALID);
            FUZZ_CHECK(b.n - to >= 3
                       && memcmp(b.p + to, "\xef\xbf\xbd", 3) == 0);
            to += 3;

        } else {
            FUZZ_CHECK(b.n - to >= (size_t) len
                       && memcmp(b.p + to, p + at, (size_t) len) == 0);
            to += (size_t) len;
        }

        count++;
    }

    FUZZ_CHECK(to == b.n);
    FUZZ_CHECK((flags & LLM_UTF8_INVALID)
               || (b.n == n && (n == 0 || memcmp(b.p, p, n) == 0)));
    FUZZ_CHECK(!(llm_utf8_check(b.p, b.n) & LLM_UTF8_INVALID));
    FUZZ_CHECK(llm_utf8_count(b.p, b.n) == count);
    FUZZ_CHECK((llm_utf8_check(b.p, b.n) & LLM_UTF8_LINESEP)
               == (flags & LLM_UTF8_LINESEP));

    llm_block_free(&b, &fuzz_alloc);
}


/* Escaped, it is a JSON string without separators; decoded, it is back. */
static void
check_escape(const llm_u8 *p, size_t n, unsigned flags)
{
    llm_u8       *back;
    fuzz_out_t    o;
    llm_json_t    j;
    llm_slice_t   s;

    s.p = p;
    s.n = n;
    s.escaped = 0;

    fuzz_out_init(&o);
    llm_write_string(&o.out, &s, 0);
    fuzz_out_end(&o);

    llm_json_init(&j, o.block.p, o.block.n, 0);
    FUZZ_CHECK(llm_json_next(&j) == LLM_JSON_STRING);

    back = malloc(j.tok.n + 1);
    FUZZ_CHECK(back != NULL);
    FUZZ_CHECK(llm_json_unescape(back, j.tok.p, j.tok.n) == n);
    FUZZ_CHECK(n == 0 || memcmp(back, p, n) == 0);
    FUZZ_CHECK(llm_json_eq(&j.tok, (const char *) p, n));
    FUZZ_CHECK(llm_json_next(&j) == LLM_JSON_END);

    if (!(flags & LLM_UTF8_INVALID)) {
        FUZZ_CHECK(!(llm_utf8_check(o.block.p, o.block.n)
                     & (LLM_UTF8_LINESEP | LLM_UTF8_INVALID)));
    }

    free(back);
    fuzz_out_free(&o);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t     i;
    llm_u8    *p;
    unsigned   flags, multi;

    p = fuzz_copy(data, size);
    flags = llm_utf8_check(p, size);

    for (multi = 0, i = 0; i < size; i++) {
        multi |= p[i] >= 0x80;
    }

    FUZZ_CHECK(((flags & LLM_UTF8_MULTI) != 0) == multi);

    check_repair(p, size, flags);
    check_escape(p, size, flags);

    free(p);

    return 0;
}
