/*
 * The server-sent events framer at its bounds: size, lack of memory, memory
 * per event, time.
 */

#include "unit_sse.h"


/* The bound is met exactly, comments apart, however the bytes are cut. */
static void
test_too_big(void **state)
{
    size_t     i, k, n, cut;
    sse_limits_t   limits;
    sse_result_t   r;

    static const struct {
        const char  *text;
        size_t       size;      /* of the largest event */
    } rows[] = {
        { "data: a\n\ndata: 0123456789\n\n", 17 },
        { "data: a\n\ndata: 0123456789\r\n\r\n", 17 },
        { "data: a\n\n: c\ndata: 01234\n: comment\ndata: 6\n\n", 20 },
        { "data: a\n\nunknown\nevent: e\ndata: 1\n\n", 25 },
        { "data: a\n\n\xef\xbb\xbf" "0123456789\n", 14 }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        n = strlen(rows[i].text);

        for (k = 0; k < 2; k++) {
            limits.max = rows[i].size - k;
            limits.fail_at = 0;

            for (cut = 0; cut <= n; cut++) {
                sse_run(&r, (const llm_u8 *) rows[i].text, n, &cut, 1, &limits);
                assert_int_equal(r.end, k == 0 ? LLM_DONE : LLM_TOO_BIG);
                assert_true(r.n >= 1);
                assert_true(k == 0 || r.n == 1);
                sse_forget(&r);
            }
        }
    }
}


static void
test_failure_is_final(void **state)
{
    llm_sse_t        s;
    llm_alloc_t      a;
    unit_alloc_t     u;
    llm_sse_event_t  ev;

    (void) state;

    a = unit_alloc(&u);
    llm_sse_init(&s, &a, 8);

    llm_sse_feed(&s, (const llm_u8 *) "data: 0123\n\ndata: 1\n\n", 21);
    assert_int_equal(llm_sse_next(&s, &ev), LLM_TOO_BIG);
    assert_int_equal(llm_sse_next(&s, &ev), LLM_TOO_BIG);

    llm_sse_feed(&s, (const llm_u8 *) "data: 1\n\n", 9);
    assert_int_equal(llm_sse_next(&s, &ev), LLM_TOO_BIG);
    assert_int_equal(llm_sse_finish(&s, &ev), LLM_TOO_BIG);

    llm_sse_free(&s);
    assert_int_equal(u.live, 0);
}


/* Each allocation fails in turn: LLM_NOMEM, what came before is right. */
static void
starve(const char *text, size_t n, size_t events)
{
    size_t         i, k, cuts[6];
    sse_limits_t   limits;
    sse_result_t   good, r;

    for (k = 0; k <= 6; k++) {

        for (i = 0; i < k; i++) {
            cuts[i] = (i + 1) * n / (k + 1);
        }

        sse_run(&good, (const llm_u8 *) text, n, cuts, k, &sse_no_limits);
        assert_int_equal(good.n, events);
        assert_true(good.calls >= 1);

        limits = sse_no_limits;

        for (limits.fail_at = 1; limits.fail_at <= good.calls;
             limits.fail_at++)
        {
            sse_run(&r, (const llm_u8 *) text, n, cuts, k, &limits);
            assert_int_equal(r.end, LLM_NOMEM);
            assert_true(r.n <= good.n);

            for (i = 0; i < r.n; i++) {
                assert_true(sse_same(&r.events[i].data,
                                     &good.events[i].data));
            }

            sse_forget(&r);
        }

        sse_run(&r, (const llm_u8 *) text, n, cuts, k, &limits);
        sse_compare("enough memory", &good, &r);
        sse_forget(&good);
    }
}


static void
test_no_memory(void **state)
{
    size_t  n;
    char    text[1024];

    static const char  mixed[] =
        "id: 1\ndata: a\n\nevent: e\ndata: first\ndata: second\nid: 22\n\n"
        "data: x\n: comment\ndata: y\n\ndata: pending\ndata: it";

    (void) state;

    starve(mixed, sizeof(mixed) - 1, 4);

    /* joined for the first time at the very end */

    starve("data: a\ndata: b", 15, 1);

    /* a first line after which the joined block is full, or nearly so */

    for (n = 250; n <= 260; n++) {
        (void) snprintf(text, sizeof(text), "data: %0*d\ndata: b\n\n",
                        (int) n, 0);
        starve(text, strlen(text), 1);
    }
}


/* A comment is not stored, however long it is. */
static void
test_endless_comment(void **state)
{
    size_t           i;
    llm_u8           piece[4096];
    llm_sse_t        s;
    llm_alloc_t      a;
    unit_alloc_t     u;
    llm_sse_event_t  ev;

    (void) state;

    a = unit_alloc(&u);
    llm_sse_init(&s, &a, 100);

    llm_sse_feed(&s, (const llm_u8 *) "data: a\n:", 9);
    assert_int_equal(llm_sse_next(&s, &ev), LLM_AGAIN);

    memset(piece, 'c', sizeof(piece));

    for (i = 0; i < 4096; i++) {
        llm_sse_feed(&s, piece, sizeof(piece));
        assert_int_equal(llm_sse_next(&s, &ev), LLM_AGAIN);
    }

    assert_true(u.peak <= 4096);
    assert_int_equal(s.comments, 0);

    llm_sse_feed(&s, (const llm_u8 *) "\ndata: b\n\n", 10);
    assert_int_equal(llm_sse_next(&s, &ev), LLM_OK);
    assert_int_equal(ev.data.n, 3);
    assert_memory_equal(ev.data.p, "a\nb", 3);
    assert_int_equal(ev.raw.n, 16);
    assert_memory_equal(ev.raw.p, "data: a\ndata: b\n", 16);
    assert_int_equal(s.comments, 1);

    llm_sse_free(&s);
    assert_int_equal(u.live, 0);
}


/* What one large event needed is given back after it. */
static void
test_memory_given_back(void **state)
{
    size_t           i;
    llm_u8           piece[65536];
    llm_sse_t        s;
    llm_alloc_t      a;
    unit_alloc_t     u;
    llm_sse_event_t  ev;

    (void) state;

    a = unit_alloc(&u);
    llm_sse_init(&s, &a, SSE_PLENTY);
    memset(piece, 'x', sizeof(piece));

    llm_sse_feed(&s, (const llm_u8 *) "data: a\ndata: ", 14);
    assert_int_equal(llm_sse_next(&s, &ev), LLM_AGAIN);

    for (i = 0; i < 32; i++) {
        llm_sse_feed(&s, piece, sizeof(piece));
        assert_int_equal(llm_sse_next(&s, &ev), LLM_AGAIN);
    }

    llm_sse_feed(&s, (const llm_u8 *) "\n\n", 2);
    assert_int_equal(llm_sse_next(&s, &ev), LLM_OK);
    assert_int_equal(ev.data.n, 2 + 32 * sizeof(piece));
    assert_true(u.bytes >= 2 * ev.data.n);

    assert_int_equal(llm_sse_next(&s, &ev), LLM_AGAIN);
    assert_true(u.bytes <= 65536);

    llm_sse_free(&s);
    assert_int_equal(u.live, 0);
}


/*
 * Constant memory: a million events, cut anywhere, allocate no more than the
 * first few did.
 */
static void
test_no_allocation_per_event(void **state)
{
    size_t           i, calls, seen;
    llm_sse_t        s;
    llm_alloc_t      a;
    unit_alloc_t     u;
    llm_sse_event_t  ev;

    static const char  text[] = "id: 7\ndata: a\ndata: b\n\n: c\n";

    (void) state;

    a = unit_alloc(&u);
    llm_sse_init(&s, &a, SSE_PLENTY);

    calls = 0;
    seen = 0;

    for (i = 0; i < 1000000; i++) {
        llm_sse_feed(&s, (const llm_u8 *) text, 10);

        while (llm_sse_next(&s, &ev) == LLM_OK) {
            seen++;
        }

        llm_sse_feed(&s, (const llm_u8 *) text + 10, sizeof(text) - 11);

        while (llm_sse_next(&s, &ev) == LLM_OK) {
            seen++;
        }

        if (i == 10) {
            calls = u.calls;
        }
    }

    assert_int_equal(seen, 1000000);
    assert_int_equal(s.comments, 1000000);
    assert_int_equal(u.calls, calls);

    llm_sse_free(&s);
}


/* Feeds n bytes in pieces of `step`; the events' number and bytes of data. */
static size_t
flood(const llm_u8 *p, size_t n, size_t step, size_t *bytes)
{
    size_t           at, k, events;
    llm_sse_t        s;
    llm_alloc_t      a;
    unit_alloc_t     u;
    llm_sse_event_t  ev;

    a = unit_alloc(&u);
    llm_sse_init(&s, &a, SSE_PLENTY);

    events = 0;
    *bytes = 0;

    for (at = 0; at < n; at += k) {
        k = step < n - at ? step : n - at;
        llm_sse_feed(&s, p + at, k);

        while (llm_sse_next(&s, &ev) == LLM_OK) {
            events++;
            *bytes += ev.data.n;
        }
    }

    llm_sse_free(&s);
    assert_int_equal(u.live, 0);

    return events;
}


/*
 * Time must be linear in the bytes: quadratic ones would take hours here.
 * First a line of 16 MB byte by byte, then floods of line ends.
 */
static void
test_linear(void **state)
{
    size_t   n, i, bytes;
    llm_u8  *p;

    (void) state;

    n = 16 * 1024 * 1024;

    p = malloc(n);
    assert_non_null(p);

    memset(p, 'x', n);
    memcpy(p, "data: ", 6);
    memcpy(p + n - 2, "\n\n", 2);

    assert_int_equal(flood(p, n, 1, &bytes), 1);
    assert_int_equal(bytes, n - 8);

    /* one kind of line end only, and in the whole of it none of the other */

    n = 1024 * 1024;

    memset(p, '\r', n);
    assert_int_equal(flood(p, n, n, &bytes), 0);
    assert_int_equal(flood(p, n, 1, &bytes), 0);

    memset(p, '\n', n);
    assert_int_equal(flood(p, n, n, &bytes), 0);
    assert_int_equal(flood(p, n, 1, &bytes), 0);

    /* comments, and lines of data, of one byte each and ended by CR */

    for (i = 0; i < n; i += 2) {
        memcpy(p + i, ":\r", 2);
    }

    assert_int_equal(flood(p, n, n, &bytes), 0);
    assert_int_equal(flood(p, n, 1, &bytes), 0);

    for (i = 0; i + 8 <= n; i += 8) {
        memcpy(p + i, "data: x\r", 8);
    }

    p[n - 1] = '\n';
    p[n - 2] = '\n';

    assert_int_equal(flood(p, n, n, &bytes), 1);
    assert_int_equal(bytes, n / 4 - 2);
    assert_int_equal(flood(p, n, 5, &bytes), 1);
    assert_int_equal(bytes, n / 4 - 2);

    free(p);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_too_big),
        cmocka_unit_test(test_failure_is_final),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_endless_comment),
        cmocka_unit_test(test_memory_given_back),
        cmocka_unit_test(test_no_allocation_per_event),
        cmocka_unit_test(test_linear)
    };

    return cmocka_run_group_tests_name("wire_sse_bounds", tests, NULL, NULL);
}
