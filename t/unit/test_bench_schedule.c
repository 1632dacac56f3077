/*
 * Arrivals of the load client: seeded, ascending, ending where the rate says,
 * distributed as asked.
 */

#include <math.h>

#include "unit_support.h"

#include "bench.h"
#include "bench_schedule.h"


#define REQUESTS  20001


static int64_t *
make(double rate, double burstiness, uint64_t seed, size_t n)
{
    size_t           i;
    int64_t         *at;
    bench_options_t  o;

    memset(&o, 0, sizeof(o));
    o.request_rate = rate;
    o.burstiness = burstiness;
    o.seed = seed;

    at = bench_schedule_make(&o, n);
    assert_int_equal(at[0], 0);

    for (i = 1; i < n; i++) {
        assert_true(at[i] >= at[i - 1]);
    }

    return at;
}


static void
test_end(void **state)
{
    size_t    i, k, n;
    int64_t  *at;

    static const double  rates[] = { 0.001, 1, 3, 333.3, 1e6 };
    static const double  shapes[] = { 0, 0.001, 0.5, 1, 7, 1e6 };
    static const size_t  sizes[] = { 1, 2, 3, 1000 };

    (void) state;

    for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        for (k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
            for (n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
                at = make(rates[i], shapes[k], 1, sizes[n]);

                assert_true(llabs(at[sizes[n] - 1]
                                  - llround((double) (sizes[n] - 1) / rates[i]
                                            * 1e9)) <= 1);
                free(at);
            }
        }
    }
}


static void
test_seed(void **state)
{
    int64_t  *one, *same, *other;

    (void) state;
    one = make(100, 1, 42, REQUESTS);
    same = make(100, 1, 42, REQUESTS);
    other = make(100, 1, 43, REQUESTS);

    assert_memory_equal(one, same, REQUESTS * sizeof(int64_t));
    assert_memory_not_equal(one, other, REQUESTS * sizeof(int64_t));

    free(one);
    free(same);
    free(other);
}


/*
 * Gaps of a gamma distribution of shape b have the mean 1/rate (exactly so,
 * by the scale) and the variance mean^2/b.  That of n gaps varies by about
 * sqrt((2 + 6/b) / n) of itself: five times that is allowed.
 */
static void
check_variance(double b)
{
    size_t    i;
    double    gap, mean, sum, bound;
    int64_t  *at;

    at = make(100, b, 7, REQUESTS);
    mean = 1e9 / 100;
    sum = 0;

    for (i = 1; i < REQUESTS; i++) {
        gap = (double) (at[i] - at[i - 1]);
        sum += (gap - mean) * (gap - mean);
    }

    sum = sum / (REQUESTS - 1) / (mean * mean) * b;
    bound = 5 * sqrt((2 + 6 / b) / (REQUESTS - 1));

    if (fabs(sum - 1) > bound) {
        fail_msg("shape %g: variance %g of what it should be, bound %g", b,
                 sum, bound);
    }

    free(at);
}


static void
test_variance(void **state)
{
    (void) state;

    check_variance(0.25);
    check_variance(0.5);
    check_variance(1);
    check_variance(2);
    check_variance(10);
}


/* Of Poisson arrivals, a share exp(-x) of gaps is longer than x times their
 * mean, and successive gaps are not correlated. */
static void
test_poisson(void **state)
{
    size_t    i, longer;
    double    a, b, product, share, bound;
    int64_t  *at;

    (void) state;
    at = make(1000, 1, 11, REQUESTS);
    longer = 0;
    product = 0;

    for (i = 2; i < REQUESTS; i++) {
        a = (double) (at[i - 1] - at[i - 2]) / 1e6 - 1;
        b = (double) (at[i] - at[i - 1]) / 1e6 - 1;
        longer += b > 1;
        product += a * b;
    }

    share = exp(-2);
    bound = 5 * sqrt(share * (1 - share) / REQUESTS);
    assert_true(fabs((double) longer / (REQUESTS - 2) - share) < bound);
    assert_true(fabs(product / (REQUESTS - 2)) < 5 / sqrt(REQUESTS));
    free(at);
}


static void
test_constant(void **state)
{
    size_t    i;
    int64_t  *at;

    (void) state;
    at = make(8, 0, 5, 1000);

    for (i = 0; i < 1000; i++) {
        assert_int_equal(at[i], (int64_t) i * 125 * BENCH_MS);
    }

    free(at);
}


static void
test_all_at_once(void **state)
{
    size_t    i;
    int64_t  *at;

    (void) state;
    at = make(0, 1, 5, 100);

    for (i = 0; i < 100; i++) {
        assert_int_equal(at[i], 0);
    }

    free(at);
    free(bench_schedule_make(&(bench_options_t) { 0 }, 0));
}


static void
test_ramp(void **state)
{
    size_t           i;
    int64_t         *at;
    bench_options_t  o;

    (void) state;
    memset(&o, 0, sizeof(o));
    o.ramp = 2;
    o.max_concurrency = 10;

    at = bench_schedule_make(&o, 30);

    for (i = 0; i < 30; i++) {
        assert_int_equal(at[i], (int64_t) (i < 10 ? i : 9) * 200 * BENCH_MS);
    }

    free(at);

    /* no limit, or one above: all of them are spread */
    o.max_concurrency = 0;
    at = bench_schedule_make(&o, 4);
    assert_int_equal(at[3], 1500 * BENCH_MS);
    free(at);

    o.max_concurrency = 99;
    at = bench_schedule_make(&o, 4);
    assert_int_equal(at[1], 500 * BENCH_MS);
    assert_int_equal(at[3], 1500 * BENCH_MS);
    free(at);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_variance),
        cmocka_unit_test(test_poisson),
        cmocka_unit_test(test_constant),
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_ramp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
