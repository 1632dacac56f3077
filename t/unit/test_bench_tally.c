/*
 * The sums of a run: what a request adds to them, several processes' together,
 * and their way through a pipe.
 */

#include <unistd.h>

#include "bench_options.h"
#include "bench_pipe.h"
#include "bench_tally.h"
#include "unit_support.h"


/* A request that was due at 1 s and had four events, 1 ms apart. */
static void
request(bench_tally_t *t, size_t i, bench_end_t end)
{
    bench_record_t   *r;
    bench_options_t   o;

    memset(&o, 0, sizeof(o));
    o.request_rate = 1;

    r = &t->records[i];
    r->due = BENCH_S;
    r->sent = BENCH_S + 3 * BENCH_MS;
    r->first_event = BENCH_S + 4 * BENCH_MS;
    r->first_content = BENCH_S + 5 * BENCH_MS;
    r->last_content = BENCH_S + 8 * BENCH_MS;
    r->ended = BENCH_S + 9 * BENCH_MS;
    r->events = 4;
    r->output_tokens = 4;
    r->end = end;

    bench_tally_request(t, &o, r);
}


static void
test_request(void **state)
{
    bench_tally_t  *t;

    (void) state;

    t = bench_tally_open(3);
    assert_int_equal(t->records[2].input_tokens, -1);
    assert_int_equal(t->records[2].error, -1);

    request(t, 0, BENCH_COMPLETE);
    request(t, 1, BENCH_FAILED);
    request(t, 2, BENCH_ABORTED);

    assert_int_equal(t->ended, BENCH_S + 9 * BENCH_MS);
    assert_int_equal(t->ttft.count, 1);
    assert_int_equal(t->ttft.max, 5 * BENCH_MS);
    assert_int_equal(t->ttft_role.max, 4 * BENCH_MS);
    assert_int_equal(t->e2el.max, 8 * BENCH_MS);
    assert_int_equal(t->tpot.max, BENCH_MS);

    bench_tally_free(t);
}


static void
test_errors(void **state)
{
    int             i;
    char            what[200];
    bench_tally_t  *t;

    (void) state;

    t = bench_tally_open(0);

    for (i = 0; i < 100; i++) {
        (void) snprintf(what, sizeof(what), "error %d", i / 2);
        assert_int_equal(bench_tally_error(t, what),
                         i / 2 < BENCH_ERRORS - 1 ? i / 2
                                                  : BENCH_ERRORS - 1);
    }

    assert_int_equal(t->nerrors, BENCH_ERRORS);
    assert_int_equal(t->errors[3].count, 2);
    assert_string_equal(t->errors[BENCH_ERRORS - 1].what, "other");
    assert_int_equal(t->errors[BENCH_ERRORS - 1].count,
                     100 - 2 * (BENCH_ERRORS - 1));
    bench_tally_free(t);

    /* what is cut is still the same error */

    t = bench_tally_open(0);
    memset(what, 'x', sizeof(what));
    what[sizeof(what) - 1] = '\0';
    assert_int_equal(bench_tally_error(t, what), 0);
    assert_int_equal(bench_tally_error(t, what), 0);
    assert_int_equal(strlen(t->errors[0].what),
                     sizeof(t->errors[0].what) - 1);
    bench_tally_free(t);
}


static void
test_seconds(void **state)
{
    bench_tally_t  *t;

    (void) state;

    t = bench_tally_open(0);
    t->began = 10 * BENCH_S;

    bench_tally_second(t, 10 * BENCH_S - 1, 1);
    bench_tally_second(t, 11 * BENCH_S - 1, 2);
    bench_tally_second(t, 14 * BENCH_S, 4);
    bench_tally_second(t, 12 * BENCH_S, 8);

    assert_int_equal(t->nper_second, 5);
    assert_int_equal(t->per_second[0], 3);
    assert_int_equal(t->per_second[1], 0);
    assert_int_equal(t->per_second[2], 8);
    assert_int_equal(t->per_second[4], 4);

    bench_tally_free(t);
}


/* What a process of the client would have, distinct by `by`. */
static bench_tally_t *
part(size_t n, int by)
{
    size_t          i;
    char            what[32];
    bench_tally_t  *t;

    t = bench_tally_open(n);
    t->began = by * BENCH_S;
    t->events = (uint64_t) by;
    t->tokens = 2 * (uint64_t) by;
    t->bytes = 3 * (uint64_t) by;
    t->reads = 4 * (uint64_t) by;
    t->lost = 5 * (uint64_t) by;
    t->duplicated = 6 * (uint64_t) by;
    t->reordered = 7 * (uint64_t) by;
    t->corrupted = 8 * (uint64_t) by;

    for (i = 0; i < n; i++) {
        request(t, i, BENCH_FAILED);
        t->records[i].sent = (int64_t) (100 * by) + (int64_t) i;
        t->records[i].gaps = malloc(3 * sizeof(int64_t));
        assert_non_null(t->records[i].gaps);
        t->records[i].gaps[0] = by;
        t->records[i].gaps[2] = (int64_t) i;
        (void) snprintf(what, sizeof(what), "error %d", by);
        t->records[i].error = bench_tally_error(t, what);
    }

    bench_tally_second(t, t->began + by * BENCH_S, 9);
    bench_hist_record(&t->itl, by);
    bench_hist_record(&t->read_bytes, by);

    return t;
}


static void
test_add(void **state)
{
    bench_tally_t  *all, *one, *two;

    (void) state;

    all = bench_tally_open(5);
    one = part(3, 1);
    two = part(2, 2);

    bench_tally_add(all, one, 0, 2);
    bench_tally_add(all, two, 1, 2);
    bench_tally_free(one);
    bench_tally_free(two);

    assert_int_equal(all->events, 3);
    assert_int_equal(all->tokens, 6);
    assert_int_equal(all->bytes, 9);
    assert_int_equal(all->reads, 12);
    assert_int_equal(all->lost, 15);
    assert_int_equal(all->duplicated, 18);
    assert_int_equal(all->reordered, 21);
    assert_int_equal(all->corrupted, 24);
    assert_int_equal(all->began, BENCH_S);
    assert_int_equal(all->ended, BENCH_S + 9 * BENCH_MS);
    assert_int_equal(all->itl.count, 2);
    assert_int_equal(all->read_bytes.max, 2);
    assert_int_equal(all->nper_second, 3);
    assert_int_equal(all->per_second[1] + all->per_second[2], 18);

    /* each process had the same number for another error */

    assert_int_equal(all->nerrors, 2);
    assert_string_equal(all->errors[all->records[4].error].what, "error 1");
    assert_string_equal(all->errors[all->records[3].error].what, "error 2");
    assert_int_equal(all->errors[0].count, 3);
    assert_int_equal(all->errors[1].count, 2);

    assert_int_equal(all->records[2].sent, 101);
    assert_int_equal(all->records[3].sent, 201);
    assert_int_equal(all->records[3].gaps[0], 2);
    assert_int_equal(all->records[3].gaps[2], 1);

    bench_tally_free(all);
}


static void
test_pipe(void **state)
{
    int             fd;
    char            byte;
    off_t           n, i;
    FILE           *f;
    bench_tally_t  *one, *two;

    (void) state;

    /* a file, which holds all of it */

    f = tmpfile();
    assert_non_null(f);
    fd = fileno(f);

    one = part(3, 2);
    free(one->records[1].gaps);
    one->records[1].gaps = NULL;
    assert_int_equal(bench_pipe_send(fd, one), 0);
    n = lseek(fd, 0, SEEK_CUR);
    (void) lseek(fd, 0, SEEK_SET);

    two = bench_pipe_receive(fd);
    assert_non_null(two);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), n);
    assert_int_equal(two->lost, one->lost);
    assert_int_equal(two->nrecords, 3);
    assert_int_equal(two->records[2].sent, one->records[2].sent);
    assert_int_equal(two->records[2].gaps[2], 2);
    assert_null(two->records[1].gaps);
    assert_int_equal(two->per_second[2], 9);
    assert_memory_equal(&two->itl, &one->itl, sizeof(bench_hist_t));
    bench_tally_free(two);

    /* wherever it is cut, nothing comes out; nor of another program */

    for (i = 1; i <= n; i = i < 32 ? i + 1 : i * 2) {
        assert_int_equal(ftruncate(fd, n - i), 0);
        (void) lseek(fd, 0, SEEK_SET);
        assert_null(bench_pipe_receive(fd));
    }

    (void) lseek(fd, 0, SEEK_SET);
    assert_int_equal(bench_pipe_send(fd, one), 0);
    (void) lseek(fd, 7, SEEK_SET);
    byte = '2';
    assert_int_equal(write(fd, &byte, 1), 1);
    (void) lseek(fd, 0, SEEK_SET);
    assert_null(bench_pipe_receive(fd));

    bench_tally_free(one);
    (void) fclose(f);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_pipe)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
