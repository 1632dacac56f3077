/*
 * Histograms and counts: borders of every bucket, sums, quantiles, and that
 * the tables of names are whole.
 */

#include <math.h>

#include "unit_support.h"
#include "llm_counts.h"


static void
test_borders(void **state)
{
    unsigned                i, id;
    llm_hist_t              h;
    const llm_hist_info_t  *info;

    (void) state;

    for (id = 0; id < LLM_HIST_MAX; id++) {
        info = &llm_hist_infos[id];

        assert_true(info->n > 0 && info->n < LLM_HIST_BUCKETS);
        assert_true(info->name.n != 0 && info->help.n != 0);
        assert_true(info->scale == 1 || info->scale == 1000);

        for (i = 0; i < info->n; i++) {
            assert_true(i == 0 || info->bounds[i - 1] < info->bounds[i]);

            memset(&h, 0, sizeof(h));
            llm_hist_add(&h, (llm_hist_id_t) id, info->bounds[i]);
            llm_hist_add(&h, (llm_hist_id_t) id,
                         (int64_t) info->bounds[i] + 1);

            assert_int_equal(h.bucket[i], 1
                             + (i + 1 < info->n
                                && info->bounds[i + 1] == info->bounds[i]));
            assert_int_equal(h.bucket[i + 1], 1);
            assert_int_equal(h.sum, 2 * (uint64_t) info->bounds[i] + 1);
            assert_int_equal(llm_hist_count(&h), 2);
        }
    }
}


static void
test_ends(void **state)
{
    llm_hist_t  h;

    (void) state;

    memset(&h, 0, sizeof(h));
    llm_hist_add(&h, LLM_HIST_ITL, -5);
    llm_hist_add(&h, LLM_HIST_ITL, 0);
    llm_hist_add(&h, LLM_HIST_ITL, INT64_MAX);

    assert_int_equal(h.bucket[0], 2);
    assert_int_equal(h.bucket[llm_hist_infos[LLM_HIST_ITL].n], 1);
    assert_int_equal(h.sum, INT64_MAX);
}


/* Against sorted values: the quantile is in the bucket of the value. */
static void
test_quantiles(void **state)
{
    double                  q, got;
    size_t                  i, j, rank;
    int64_t                 v[500], tmp;
    unsigned                b;
    llm_hist_t              h;
    const llm_hist_info_t  *info;

    (void) state;

    info = &llm_hist_infos[LLM_HIST_TTFT];
    memset(&h, 0, sizeof(h));
    assert_true(llm_hist_quantile(&h, LLM_HIST_TTFT, 0.5) == -1);

    for (i = 0; i < 500; i++) {
        v[i] = (int64_t) unit_random(90000);
        llm_hist_add(&h, LLM_HIST_TTFT, v[i]);

        for (j = i; j > 0 && v[j - 1] > v[j]; j--) {
            tmp = v[j];
            v[j] = v[j - 1];
            v[j - 1] = tmp;
        }
    }

    for (q = 0.01; q < 1; q += 0.01) {
        got = llm_hist_quantile(&h, LLM_HIST_TTFT, q);
        rank = (size_t) ceil(q * 500 - 1e-9);
        rank = rank == 0 ? 0 : rank - 1;

        for (b = 0; v[rank] > info->bounds[b]; b++) { /* void */ }

        assert_true(got <= info->bounds[b]);
        assert_true(got >= (b == 0 ? 0 : info->bounds[b - 1]));
    }

    memset(&h, 0, sizeof(h));
    llm_hist_add(&h, LLM_HIST_TTFT, 10000000);
    assert_true(llm_hist_quantile(&h, LLM_HIST_TTFT, 0.5)
                == info->bounds[info->n - 1]);
}


static void
fill(llm_counts_t *c, uint64_t from)
{
    size_t  i;

    for (i = 0; i < sizeof(*c) / sizeof(uint64_t); i++) {
        ((uint64_t *) (void *) c)[i] = from + i;
    }
}


/* Every number of both is in the sum: the structure has nothing else. */
static void
test_merge(void **state)
{
    size_t        i;
    llm_counts_t  a, b;

    (void) state;

    fill(&a, 7);
    fill(&b, 1000);
    llm_counts_merge(&a, &b);

    for (i = 0; i < sizeof(a) / sizeof(uint64_t); i++) {
        assert_int_equal(((uint64_t *) (void *) &a)[i], 1007 + 2 * i);
    }
}


static void
test_names(void **state)
{
    unsigned                 i;
    const llm_count_info_t  *info;

    (void) state;

    for (i = 0; i < LLM_COUNT_MAX; i++) {
        info = &llm_count_infos[i];
        assert_true(info->name.n != 0 && info->help.n != 0);
        assert_int_equal(info->label.n != 0, info->value.n != 0);
        assert_int_equal(info->label2.n != 0, info->value2.n != 0);
    }
}


/* Whose fault it is: of every fault, so that a new one is thought of. */
static void
test_classes(void **state)
{
    unsigned        i;
    llm_end_t       end;
    llm_count_id_t  id;

    (void) state;

    for (i = 0; i < LLM_FAULT_MAX; i++) {
        id = llm_counts_of_fault((llm_fault_t) i);

        if (i == LLM_FAULT_NONE) {
            assert_int_equal(id, LLM_COUNT_MAX);
            continue;
        }

        end = llm_fault_info((llm_fault_t) i)->end;

        assert_true(id == LLM_COUNT_MAX || (id >= LLM_COUNT_ERR_CONNECT
                                            && id <= LLM_COUNT_ERR_INVALID));
        assert_int_equal(id == LLM_COUNT_MAX,
                         end == LLM_END_CLIENT_ABORT
                         || end == LLM_END_REJECTED
                         || end == LLM_END_INTERNAL
                         || i == LLM_FAULT_RATE_LIMIT
                         || i == LLM_FAULT_BUSY);
    }

    assert_int_equal(llm_counts_of_status(200), LLM_COUNT_MAX);
    assert_int_equal(llm_counts_of_status(399), LLM_COUNT_MAX);
    assert_int_equal(llm_counts_of_status(400), LLM_COUNT_ERR_4XX);
    assert_int_equal(llm_counts_of_status(428), LLM_COUNT_ERR_4XX);
    assert_int_equal(llm_counts_of_status(429), LLM_COUNT_ERR_429);
    assert_int_equal(llm_counts_of_status(430), LLM_COUNT_ERR_4XX);
    assert_int_equal(llm_counts_of_status(499), LLM_COUNT_ERR_4XX);
    assert_int_equal(llm_counts_of_status(500), LLM_COUNT_ERR_5XX);
    assert_int_equal(llm_counts_of_status(599), LLM_COUNT_ERR_5XX);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_borders),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_classes)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
