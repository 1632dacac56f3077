/*
 * UTF-8: against a slow reference, the decoder of the WHATWG Encoding
 * standard taken one byte at a time, for every border byte at every place.
 */

#include "unit_support.h"
#include "llm_utf8.h"


/* What the reference makes of some bytes. */
typedef struct {
    llm_u8          out[1024];  /* repaired */
    size_t          n;
    size_t          count;      /* code points in it */
    unsigned        flags;      /* as llm_utf8_check() gives them */
} reference_t;

/* The decoder's row for a lead byte: what must follow it. */
typedef struct {
    llm_u8          from, to;
    unsigned        needed;
    llm_u8          low, high;  /* of the second byte */
} row_t;


static const row_t  rows[] = {
    { 0xc2, 0xdf, 1, 0x80, 0xbf },
    { 0xe0, 0xe0, 2, 0xa0, 0xbf },
    { 0xe1, 0xec, 2, 0x80, 0xbf },
    { 0xed, 0xed, 2, 0x80, 0x9f },
    { 0xee, 0xef, 2, 0x80, 0xbf },
    { 0xf0, 0xf0, 3, 0x90, 0xbf },
    { 0xf1, 0xf3, 3, 0x80, 0xbf },
    { 0xf4, 0xf4, 3, 0x80, 0x8f }
};

/* Bytes on both sides of every border, and those of line separators. */
static const llm_u8  borders[] = {
    0x00, 0x41, 0x7f, 0x80, 0x85, 0x8f, 0x90, 0x9f, 0xa0, 0xa8, 0xa9, 0xaa,
    0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xe2, 0xec, 0xed, 0xee, 0xef,
    0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff
};

#define N_BORDERS  sizeof(borders)


static void
emit(reference_t *r, const llm_u8 *p, size_t n)
{
    assert_true(r->n + n <= sizeof(r->out));
    memcpy(r->out + r->n, p, n);
    r->n += n;
    r->count++;
}


static void
replace(reference_t *r)
{
    r->flags |= LLM_UTF8_INVALID;
    emit(r, (const llm_u8 *) "\xef\xbf\xbd", 3);
}


static const row_t *
lead(llm_u8 c)
{
    size_t  i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (c >= rows[i].from && c <= rows[i].to) {
            return &rows[i];
        }
    }

    return NULL;
}


static void
reference(reference_t *r, const llm_u8 *p, size_t n)
{
    size_t        i, start = 0;
    llm_u8        low = 0x80, high = 0xbf;
    uint32_t      cp = 0;
    unsigned      needed = 0;
    const row_t  *row;

    memset(r, 0, sizeof(reference_t));

    for (i = 0; i < n; i++) {

        if (p[i] >= 0x80) {
            r->flags |= LLM_UTF8_MULTI;
        }

        if (needed != 0) {

            if (p[i] >= low && p[i] <= high) {
                low = 0x80;
                high = 0xbf;
                cp = cp << 6 | (p[i] & 0x3f);

                if (--needed == 0) {
                    emit(r, p + start, i + 1 - start);

                    if (cp == 0x85 || cp == 0x2028 || cp == 0x2029) {
                        r->flags |= LLM_UTF8_LINESEP;
                    }
                }

                continue;
            }

            /* the byte is looked at again, as a first one */

            replace(r);
            needed = 0;
        }

        row = lead(p[i]);

        if (p[i] < 0x80) {
            emit(r, p + i, 1);

        } else if (row == NULL) {
            replace(r);

        } else {
            start = i;
            needed = row->needed;
            low = row->low;
            high = row->high;
            cp = p[i] & (0x3f >> needed);
        }
    }

    if (needed != 0) {
        replace(r);
    }
}


static void
check(const llm_u8 *p, size_t n)
{
    llm_u8       *copy;
    llm_alloc_t   a;
    llm_block_t   b;
    reference_t   r;
    unit_alloc_t  u;

    copy = unit_copy(p, n);
    reference(&r, p, n);

    if (llm_utf8_check(copy, n) != r.flags) {
        fail_msg("flags %u, not %u: %02x %02x %02x %02x, %zu bytes",
                 llm_utf8_check(copy, n), r.flags, p[0], n > 1 ? p[1] : 0,
                 n > 2 ? p[2] : 0, n > 3 ? p[3] : 0, n);
    }

    if (!(r.flags & LLM_UTF8_INVALID)) {
        assert_int_equal(llm_utf8_count(copy, n), r.count);
    }

    a = unit_alloc(&u);
    memset(&b, 0, sizeof(llm_block_t));

    assert_int_equal(llm_utf8_repair(&b, &a, copy, n), LLM_OK);

    if (b.n != r.n || (b.n != 0 && memcmp(b.p, r.out, b.n) != 0)) {
        fail_msg("repaired otherwise: %02x %02x %02x %02x, %zu bytes",
                 p[0], n > 1 ? p[1] : 0, n > 2 ? p[2] : 0,
                 n > 3 ? p[3] : 0, n);
    }

    llm_block_free(&b, &a);
    assert_int_equal(u.live, 0);
    free(copy);
}


static void
test_pairs(void **state)
{
    unsigned  i;
    llm_u8    p[2];

    (void) state;

    for (i = 0; i < 65536; i++) {
        p[0] = (llm_u8) (i >> 8);
        p[1] = (llm_u8) i;

        check(p, 2);
        check(p, 1);
    }
}


static void
test_borders(void **state)
{
    size_t  a, b, c, d;
    llm_u8  p[4];

    (void) state;

    for (a = 0; a < N_BORDERS; a++) {
        for (b = 0; b < N_BORDERS; b++) {
            for (c = 0; c < N_BORDERS; c++) {
                p[0] = borders[a];
                p[1] = borders[b];
                p[2] = borders[c];

                check(p, 3);

                for (d = 0; d < N_BORDERS; d++) {
                    p[3] = borders[d];

                    /* three of four lead bytes have said all by now */

                    if (p[0] >= 0xe0 || d % 8 == 0) {
                        check(p, 4);
                    }
                }
            }
        }
    }
}


/* Each sequence at each place of a longer text: words, ends, overlaps. */
static void
test_places(void **state)
{
    size_t  i, n, at, len;
    llm_u8  p[96];

    static const char *const  pieces[] = {
        "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xc2\x85",
        "\xe2\x80\xa8", "\xe2\x80\xa9", "\xff", "\xc3", "\xe2\x82",
        "\xf0\x9f\x98", "\xed\xa0\x80", "\xe4\xb8\xad\xe6\x96\x87",
        "\x80\x80\x80", "\xe2\x80\xaa", "\xc2\x84"
    };

    (void) state;

    for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        len = strlen(pieces[i]);

        for (n = len; n <= sizeof(p); n++) {
            memset(p, 'a', n);

            for (at = 0; at + len <= n; at++) {
                memset(p, 'a', n);
                memcpy(p + at, pieces[i], len);
                check(p, n);
            }
        }
    }
}


static void
test_random(void **state)
{
    size_t  i, k, n;
    llm_u8  p[200];

    (void) state;

    for (i = 0; i < 100000; i++) {
        n = unit_random(sizeof(p));

        for (k = 0; k < n; k++) {
            p[k] = unit_random(3) == 0 ? borders[unit_random(N_BORDERS)]
                                       : (llm_u8) unit_random(128);
        }

        check(p, n);
    }
}


/* Every code point is written as the reference reads it. */
static void
test_put(void **state)
{
    size_t       n;
    llm_u8       p[4];
    uint32_t     cp;
    reference_t  r;

    (void) state;

    for (cp = 0; cp <= 0x10ffff; cp++) {

        if (cp >= 0xd800 && cp <= 0xdfff) {
            continue;
        }

        n = llm_utf8_put(p, cp);
        reference(&r, p, n);

        if ((r.flags & LLM_UTF8_INVALID) || r.count != 1 || r.n != n) {
            fail_msg("U+%04x is written wrong", cp);
        }
    }

    assert_int_equal(llm_utf8_put(p, 0x20ac), 3);
    assert_memory_equal(p, "\xe2\x82\xac", 3);
    assert_int_equal(llm_utf8_put(p, 0x1f600), 4);
    assert_memory_equal(p, "\xf0\x9f\x98\x80", 4);
}


static void
test_nothing(void **state)
{
    llm_alloc_t   a;
    llm_block_t   b;
    unit_alloc_t  u;

    (void) state;

    a = unit_alloc(&u);
    memset(&b, 0, sizeof(llm_block_t));

    assert_int_equal(llm_utf8_check(NULL, 0), 0);
    assert_int_equal(llm_utf8_count(NULL, 0), 0);
    assert_int_equal(llm_utf8_repair(&b, &a, NULL, 0), LLM_OK);
    assert_int_equal(b.n, 0);
    assert_int_equal(u.calls, 0);
}


/* Repair appends, and says so when there is no memory. */
static void
test_no_memory(void **state)
{
    size_t        i, fail_at, calls;
    llm_u8        p[3000];
    llm_alloc_t   a;
    llm_block_t   b;
    unit_alloc_t  u;

    (void) state;

    for (i = 0; i < sizeof(p); i++) {
        p[i] = i % 3 == 0 ? 0xff : 'a';
    }

    calls = 0;

    for (fail_at = 0; fail_at <= calls; fail_at++) {
        a = unit_alloc(&u);
        u.fail_at = fail_at;
        memset(&b, 0, sizeof(llm_block_t));

        if (llm_block_append(&b, &a, "before", 6) == LLM_OK) {
            assert_int_equal(llm_utf8_repair(&b, &a, p, sizeof(p)),
                             fail_at == 0 ? LLM_OK : LLM_NOMEM);
            assert_memory_equal(b.p, "before", 6);
        }

        if (fail_at == 0) {
            assert_int_equal(b.n, 6 + 5000);
            calls = u.calls;
            assert_true(calls >= 3);
        }

        llm_block_free(&b, &a);
        assert_int_equal(u.live, 0);
    }
}


/* Labels: always well-formed, never a control character, never longer than
 * asked for, and a label of a label is the same. */
static void
test_label(void **state)
{
    size_t  i, n, m, size, len;
    llm_u8  p[40], out[64], again[64];

    static const struct {
        const char  *in;
        size_t       size;
        const char  *out;
    } labels[] = {
        { "", 8, "" },
        { "gpt-4", 8, "gpt-4" },
        { "gpt-4", 3, "gpt" },
        { "a\nb\x7f\x1f", 8, "a?b??" },
        { "\xc3\xa9\xc3\xa9", 3, "\xc3\xa9" },
        { "\xff" "a\xc3", 8, "?a?" },
        { "\xe2\x82" "b", 8, "?b" },
        { "\xc2\x85" "c\xc2\xa0", 8, "?c\xc2\xa0" },
        { "\xf0\x9f\x98\x80", 3, "" },
        { "\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80" }
    };

    (void) state;

    for (i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        n = llm_utf8_label(out, labels[i].size, (const llm_u8 *) labels[i].in,
                           strlen(labels[i].in));
        assert_int_equal(n, strlen(labels[i].out));
        assert_memory_equal(out, labels[i].out, n);
    }

    for (i = 0; i < 20000; i++) {
        len = unit_random(sizeof(p) - 1);
        size = unit_random(sizeof(p));

        for (n = 0; n < len; n++) {
            p[n] = borders[unit_random(N_BORDERS - 1)];
        }

        memset(out, 0xee, sizeof(out));
        n = llm_utf8_label(out, size, p, len);

        assert_true(n <= size && n <= len);
        assert_int_equal(out[n], 0xee);
        assert_int_equal(llm_utf8_check(out, n) & LLM_UTF8_INVALID, 0);

        m = llm_utf8_label(again, sizeof(again), out, n);
        assert_int_equal(m, n);
        assert_memory_equal(again, out, n);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_borders),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_label),
        cmocka_unit_test(test_no_memory)
    };

    (void) unit_seed();

    return cmocka_run_group_tests_name("wire_utf8", tests, NULL, NULL);
}
