/*
 * Stamps in a text: every way of cutting it, what is missing, double, late or
 * damaged.
 */

#include "bench_stamp.h"
#include "unit_support.h"


typedef struct {
    const char  *text;
    uint64_t     expected;
    uint64_t     count;
    uint64_t     lost;
    uint64_t     duplicated;
    uint64_t     reordered;
    uint64_t     corrupted;
} stamp_case_t;


/* The stamp of token k, written by the rule in the header. */
static const char *
stamp(unsigned k)
{
    char         body[32];
    size_t       i;
    unsigned     sum;
    static char  text[8][48];
    static int   used;

    used = (used + 1) % 8;

    (void) snprintf(body, sizeof(body), "%06x.%014x.%08x", k, 1000 * k, k);

    for (sum = 0, i = 0; body[i] != '\0'; i++) {
        sum += (unsigned char) body[i];
    }

    (void) snprintf(text[used], sizeof(text[used]), "~%s.%02x;", body,
                    sum & 0xff);

    return text[used];
}


/* Feeds the text cut at the given places. */
static void
feed(const stamp_case_t *c, const char *what, const size_t *cuts, size_t k)
{
    size_t           i, from, to, n;
    llm_u8          *copy;
    const llm_u8    *p;
    bench_stamp_t    got;
    bench_stamps_t   s;

    n = strlen(c->text);
    bench_stamps_begin(&s, c->expected);

    for (from = 0, i = 0; i <= k; i++, from = to) {
        to = i < k ? cuts[i] : n;
        copy = unit_copy(c->text + from, to - from);
        p = copy;

        while (bench_stamps_next(&s, &p, copy + (to - from), &got)) {
            if (got.sent != (int64_t) (1000 * got.seq)
                || got.lag != (int64_t) got.seq)
            {
                fail_msg("%s: stamp %llu is read wrong", what,
                         (unsigned long long) got.seq);
            }
        }

        free(copy);
    }

    bench_stamps_end(&s);

    if (s.count != c->count || s.lost != c->lost
        || s.duplicated != c->duplicated || s.reordered != c->reordered
        || s.corrupted != c->corrupted)
    {
        fail_msg("%s: count %llu lost %llu duplicated %llu reordered %llu "
                 "corrupted %llu of %s", what, (unsigned long long) s.count,
                 (unsigned long long) s.lost,
                 (unsigned long long) s.duplicated,
                 (unsigned long long) s.reordered,
                 (unsigned long long) s.corrupted, c->text);
    }
}


static void
cut(void *ctx, const char *what, const size_t *cuts, size_t k)
{
    feed(ctx, what, cuts, k);
}


static void
check(stamp_case_t c)
{
    feed(&c, "whole", NULL, 0);

    if (c.text[0] != '\0') {
        unit_all_cuts("stamps", strlen(c.text), cut, &c);
    }
}


static const char *
text(const char *fmt, ...)
{
    va_list      args;
    static char  buf[1024];

    va_start(args, fmt);
    assert_true(vsnprintf(buf, sizeof(buf), fmt, args) < (int) sizeof(buf));
    va_end(args);

    return buf;
}


/* 5 * '0' + '1' + '.' + 14 * '0' + '.' + 8 * '0' is 0x59d */
static void
test_format(void **state)
{
    const llm_u8    *p, *end;
    bench_stamp_t    got;
    bench_stamps_t   s;
    const char      *line = "~000001.00000000000000.00000000.9d;"
                            "~000002.0123456789abcd.ffffffff.45;";

    (void) state;

    p = (const llm_u8 *) line;
    end = p + strlen(line);
    bench_stamps_begin(&s, 2);

    assert_int_equal(bench_stamps_next(&s, &p, end, &got), 1);
    assert_int_equal(got.seq, 1);
    assert_int_equal(bench_stamps_next(&s, &p, end, &got), 1);
    assert_int_equal(got.seq, 2);
    assert_int_equal(got.sent, 0x0123456789abcd);
    assert_int_equal(got.lag, 0xffffffff);
    assert_int_equal(bench_stamps_next(&s, &p, end, &got), 0);

    bench_stamps_end(&s);
    assert_int_equal(s.lost + s.corrupted, 0);
}


static void
test_in_order(void **state)
{
    (void) state;

    check((stamp_case_t) { text("%s%s%s", stamp(1), stamp(2), stamp(3)),
                           3, 3, 0, 0, 0, 0 });
    check((stamp_case_t) { text("%sab%sabcdefghijklmnopqrstuvwxyzab%s",
                                stamp(1), stamp(2), stamp(3)),
                           3, 3, 0, 0, 0, 0 });
    check((stamp_case_t) { "", 4, 0, 4, 0, 0, 0 });
}


static void
test_out_of_order(void **state)
{
    (void) state;

    check((stamp_case_t) { text("%s%s", stamp(1), stamp(3)),
                           3, 2, 1, 0, 0, 0 });
    check((stamp_case_t) { text("%s%s%s", stamp(1), stamp(3), stamp(2)),
                           3, 3, 0, 0, 1, 0 });
    check((stamp_case_t) { text("%s%s%s", stamp(1), stamp(1), stamp(2)),
                           3, 3, 1, 1, 0, 0 });
    check((stamp_case_t) { text("%s%s%s%s", stamp(2), stamp(1), stamp(2),
                                stamp(1)),
                           2, 4, 0, 2, 1, 0 });
    check((stamp_case_t) { text("%s%s", stamp(17), stamp(9)),
                           17, 2, 15, 0, 1, 0 });
}


static void
test_damaged(void **state)
{
    char  bad[BENCH_STAMP + 1];

    (void) state;

    (void) strcpy(bad, stamp(2));
    bad[5] ^= 1;

    check((stamp_case_t) { text("%s%s%s", stamp(1), bad, stamp(3)),
                           3, 2, 1, 0, 0, 1 });

    /* a byte is missing, one is there twice */

    check((stamp_case_t) { text("%s%.20s%s%s", stamp(1), stamp(2),
                                stamp(2) + 21, stamp(3)),
                           3, 2, 1, 0, 0, 1 });
    check((stamp_case_t) { text("%s%.20s%s%s", stamp(1), stamp(2),
                                stamp(2) + 19, stamp(3)),
                           3, 2, 1, 0, 0, 1 });

    /* the end is missing, another text is before and between */

    check((stamp_case_t) { text("%s%.20s", stamp(1), stamp(2)),
                           2, 1, 1, 0, 0, 1 });
    check((stamp_case_t) { text("Hello%s", stamp(1)), 1, 1, 0, 0, 0, 1 });
    check((stamp_case_t) { text("%sabd%sac", stamp(1), stamp(2)),
                           2, 2, 0, 0, 0, 2 });
    check((stamp_case_t) { text("~~~%s", stamp(1)), 1, 1, 0, 0, 0, 3 });

    /* numbers that nobody gave */

    check((stamp_case_t) { text("%s%s", stamp(1), stamp(2)),
                           1, 1, 0, 0, 0, 1 });
    check((stamp_case_t) { text("%s%s", stamp(0), stamp(1)),
                           1, 1, 0, 0, 0, 1 });
}


/* A thousand texts with one byte changed: one place is damaged, no more than
 * a stamp is lost, and none is made up. */
static void
test_random(void **state)
{
    int              i;
    char             buf[16 * BENCH_STAMP + 1];
    unsigned         k;
    const llm_u8    *p;
    bench_stamp_t    got;
    bench_stamps_t   s;

    (void) state;
    (void) unit_seed();

    for (i = 0; i < 1000; i++) {
        buf[0] = '\0';

        for (k = 1; k <= 16; k++) {
            (void) strcat(buf, stamp(k));
        }

        buf[unit_random(16 * BENCH_STAMP)] ^= (char) (1 + unit_random(127));

        p = (const llm_u8 *) buf;
        bench_stamps_begin(&s, 16);

        while (bench_stamps_next(&s, &p, (const llm_u8 *) buf
                                         + 16 * BENCH_STAMP, &got))
        {
            assert_int_equal(got.sent, 1000 * got.seq);
        }

        bench_stamps_end(&s);

        assert_int_equal(s.count, 15);
        assert_int_equal(s.lost, 1);
        assert_true(s.corrupted >= 1 && s.corrupted <= 2);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_out_of_order),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_random)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
