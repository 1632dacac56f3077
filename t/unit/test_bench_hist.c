/*
 * The client's histogram against sorted arrays of random values.
 */

#include <math.h>

#include "unit_support.h"

#include "bench_hist.h"


#define VALUES  3000


static bench_hist_t *
hist_new(void)
{
    bench_hist_t  *h;

    h = calloc(1, sizeof(*h));
    assert_non_null(h);

    return h;
}


/* Of any size, and many of every size. */
static int64_t
random_value(void)
{
    uint64_t  v;

    v = (uint64_t) unit_random(UINT32_MAX) << 32 | unit_random(UINT32_MAX);

    return (int64_t) (v >> (64 - BENCH_HIST_MAX_BIT)
                      >> unit_random(BENCH_HIST_MAX_BIT));
}


static int
compare(const void *a, const void *b)
{
    int64_t  x, y;

    x = *(const int64_t *) a;
    y = *(const int64_t *) b;

    return x < y ? -1 : x > y;
}


/* What the header says: never below, at most 1/1000 above, exact if small. */
static void
check_close(int64_t got, int64_t exact, double p)
{
    if (got < exact || got - exact > exact / 1000
        || (exact < 2048 && got != exact))
    {
        fail_msg("%g %%: %lld instead of %lld", p, (long long) got,
                 (long long) exact);
    }
}


static void
test_percentiles(void **state)
{
    size_t         i, k, n, round;
    double         p;
    int64_t        values[VALUES];
    bench_hist_t  *h;

    static const double  some[] = { 0, 0.1, 1, 25, 50, 90, 99, 99.9, 100 };

    (void) state;

    for (round = 0; round < 20; round++) {
        h = hist_new();
        n = 1 + unit_random(VALUES);

        for (i = 0; i < n; i++) {
            values[i] = random_value();
            bench_hist_record(h, values[i]);
        }

        qsort(values, n, sizeof(values[0]), compare);

        for (i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
            p = some[i];
            k = (size_t) ceill((long double) (p * 10) * n / 1000);
            check_close(bench_hist_percentile(h, p), values[k ? k - 1 : 0], p);
        }

        assert_true(h->min == values[0]);
        assert_true(h->max == values[n - 1]);
        assert_true(h->count == n);
        assert_true(bench_hist_percentile(h, 100) == values[n - 1]);
        free(h);
    }
}


/* 99.9 % of a thousand is the 999th, not the 1000th: no rounding of doubles
 * moves a rank. */
static void
test_ranks(void **state)
{
    int            i;
    bench_hist_t  *h;

    (void) state;
    h = hist_new();

    for (i = 1; i <= 1000; i++) {
        bench_hist_record(h, i);
    }

    for (i = 1; i <= 1000; i++) {
        assert_int_equal(bench_hist_percentile(h, i / 10.0), i);
    }

    assert_int_equal(bench_hist_percentile(h, 50.01), 501);
    assert_int_equal(bench_hist_percentile(h, 0), 1);
    free(h);
}


static void
test_moments(void **state)
{
    size_t         i;
    double         deviation;
    int64_t        values[VALUES];
    long double    mean, sum;
    bench_hist_t  *h;

    (void) state;
    h = hist_new();
    mean = 0;
    sum = 0;

    for (i = 0; i < VALUES; i++) {
        values[i] = unit_random(1000000000);
        bench_hist_record(h, values[i]);
        mean += (long double) values[i] / VALUES;
    }

    for (i = 0; i < VALUES; i++) {
        sum += (values[i] - mean) * (values[i] - mean) / VALUES;
    }

    deviation = sqrt((double) sum);

    assert_true(fabs(bench_hist_mean(h) / (double) mean - 1) < 1e-12);
    assert_true(fabs(bench_hist_deviation(h) / deviation - 1) < 1e-9);
    free(h);

    /* equal values have none but for rounding, which may go below 0 */
    h = hist_new();

    for (i = 0; i < VALUES; i++) {
        memset(h, 0, offsetof(bench_hist_t, bucket));
        bench_hist_record(h, values[i]);
        bench_hist_record(h, values[i]);
        bench_hist_record(h, values[i]);
        assert_true(bench_hist_deviation(h) <= 1e-7 * (double) values[i]);
    }

    free(h);
}


static void
test_addition(void **state)
{
    size_t         i;
    int64_t        v;
    bench_hist_t  *all, *parts[3];

    (void) state;
    all = hist_new();

    for (i = 0; i < 3; i++) {
        parts[i] = hist_new();
    }

    for (i = 0; i < VALUES; i++) {
        v = 1 + random_value();
        bench_hist_record(all, v);
        bench_hist_record(parts[unit_random(2)], v);    /* the last: none */
    }

    /* both ends are of the one that is added */
    bench_hist_record(all, 0);
    bench_hist_record(parts[1], 0);
    bench_hist_record(all, (int64_t) 1 << 50);
    bench_hist_record(parts[1], (int64_t) 1 << 50);

    bench_hist_add(parts[0], parts[1]);
    bench_hist_add(parts[0], parts[2]);
    bench_hist_add(parts[2], parts[0]);

    for (i = 0; i < 3; i += 2) {
        assert_true(parts[i]->count == all->count);
        assert_true(parts[i]->min == all->min);
        assert_true(parts[i]->max == all->max);
        assert_true(fabs(parts[i]->sum / all->sum - 1) < 1e-12);
        assert_true(fabs(parts[i]->squares / all->squares - 1) < 1e-12);
        assert_memory_equal(parts[i]->bucket, all->bucket,
                            sizeof(all->bucket));
    }

    free(all);

    for (i = 0; i < 3; i++) {
        free(parts[i]);
    }
}


/* Every bucket's edge is of it, and one more is of the next. */
static void
test_edges(void **state)
{
    size_t         i, n;
    int64_t        edge, before, edges[2];
    uint64_t       count, seen;
    bench_hist_t  *h, *one;

    (void) state;
    h = hist_new();
    one = hist_new();

    for (i = 0; i < VALUES; i++) {
        bench_hist_record(h, random_value());
    }

    i = 0;
    seen = 0;
    before = -1;

    while (bench_hist_next(h, &i, &edge, &count)) {
        assert_true(edge > before);
        assert_true(count > 0);
        before = edge;
        seen += count;

        memset(one, 0, sizeof(*one));
        bench_hist_record(one, edge);
        bench_hist_record(one, edge + 1);

        n = 0;
        assert_true(bench_hist_next(one, &n, &edges[0], &count));
        assert_true(bench_hist_next(one, &n, &edges[1], &count));
        assert_true(edges[0] == edge);
        assert_true(edges[1] > edge);
    }

    assert_true(seen == h->count);
    free(h);
    free(one);
}


static void
test_bounds(void **state)
{
    size_t         i;
    int64_t        edge, last;
    uint64_t       count;
    bench_hist_t  *h;

    (void) state;
    h = hist_new();
    last = ((int64_t) 1 << BENCH_HIST_MAX_BIT) - 1;

    assert_int_equal(bench_hist_percentile(h, 50), 0);
    assert_true(bench_hist_mean(h) == 0 && bench_hist_deviation(h) == 0);
    i = 0;
    assert_false(bench_hist_next(h, &i, &edge, &count));

    bench_hist_record(h, -5);
    bench_hist_record(h, 0);
    assert_int_equal(h->min, 0);
    assert_int_equal(h->max, 0);
    assert_int_equal(h->bucket[0], 2);

    bench_hist_record(h, last);
    bench_hist_record(h, last + 1);
    bench_hist_record(h, INT64_MAX);
    assert_int_equal(h->bucket[BENCH_HIST_BUCKETS - 1], 3);
    assert_true(h->max == INT64_MAX);
    assert_true(bench_hist_percentile(h, 100) == last);
    free(h);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_addition),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_bounds),
    };

    (void) unit_seed();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
