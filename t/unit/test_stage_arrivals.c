/*
 * Times of arrival against a list of all of them: never younger, and older by
 * less than is told apart.
 */

#include "unit_support.h"
#include "llm_arrivals.h"


#define BYTES  20000


/* Bytes come and go at random; none waits for more than `longest` ms. */
static void
run(unsigned step, int64_t longest)
{
    size_t          i, k, n;
    int64_t         now, at, all[BYTES];
    unsigned        round;
    llm_arrivals_t  a;

    memset(&a, 0, sizeof(llm_arrivals_t));
    n = 0;
    now = 0;

    for (round = 0; round < 3000; round++) {

        k = n + 1 + unit_random(9);
        assert_true(k < BYTES);
        llm_arrivals_add(&a, n, now, longest);

        while (n < k) {
            all[n++] = now;
        }

        for (i = 0; i < n; i++) {
            at = llm_arrivals_at(&a, i);
            assert_true(at <= all[i]);
            assert_true(all[i] - at <= longest / LLM_ARRIVALS_MAX);
        }

        now += unit_random(step + 1);

        for (k = 0; k < n && now - llm_arrivals_at(&a, k) >= longest; k++) {
            /* void */
        }

        if (unit_random(20) == 0) {
            k = 1 + unit_random((uint32_t) n);
        }

        if (k != 0) {
            llm_arrivals_move(&a, k, n);
            n -= k;
            memmove(all, all + k, n * sizeof(int64_t));
        }
    }
}


static void
test_times(void **state)
{
    size_t  i;

    static const int64_t  longest[] = {
        1, 2, 100, 126, 127, 128, 129, 250, 255, 256, 1000, 60000
    };

    (void) state;

    for (i = 0; i < sizeof(longest) / sizeof(longest[0]); i++) {
        run(1, longest[i]);
        run(2, longest[i]);
        run(50, longest[i]);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times)
    };

    printf("seed %llu\n", (unsigned long long) unit_seed());

    return cmocka_run_group_tests(tests, NULL, NULL);
}
