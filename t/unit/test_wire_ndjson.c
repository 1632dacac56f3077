/*
 * The NDJSON framer: the vectors, every way of cutting the bytes, bounds,
 * lack of memory, time.
 */

#include "unit_support.h"
#include "llm_json.h"
#include "llm_ndjson.h"
#include "llm_utf8.h"


#define MAX_CUTS  128
#define PLENTY    (64 * 1024 * 1024)


/* The records of a stream, each followed by a LF, and how it ended. */
typedef struct {
    llm_u8         *p;
    size_t          n;
    size_t          records;
    unsigned        unterminated;   /* the last is from ..._finish() */
    llm_rc_t        end;
    size_t          calls;          /* of the allocator */
    size_t          peak;
} result_t;


static void
record(result_t *r, const llm_slice_t *s)
{
    assert_true(s->n != 0);
    assert_int_equal(s->escaped, 0);

    r->p = realloc(r->p, r->n + s->n + 1);
    assert_non_null(r->p);

    memcpy(r->p + r->n, s->p, s->n);
    r->n += s->n;
    r->p[r->n++] = '\n';
    r->records++;
}


static void
feed(llm_ndjson_t *s, result_t *r, const llm_u8 *p, size_t n)
{
    llm_u8       *input;
    llm_slice_t   slice;

    input = unit_copy(p, n);
    llm_ndjson_feed(s, input, n);

    while ((r->end = llm_ndjson_next(s, &slice)) == LLM_OK) {
        record(r, &slice);
    }

    memset(input, 0xdb, n);
    free(input);
}


static void
run(result_t *r, const llm_u8 *p, size_t n, const size_t *cuts, size_t k,
    size_t max, size_t fail_at)
{
    size_t        i, at;
    llm_slice_t   slice;
    llm_alloc_t   a;
    llm_ndjson_t  s;
    unit_alloc_t  u;

    memset(r, 0, sizeof(result_t));

    a = unit_alloc(&u);
    u.fail_at = fail_at;
    llm_ndjson_init(&s, &a, max);

    at = 0;

    for (i = 0; i < k; i++) {
        feed(&s, r, p + at, cuts[i] - at);
        at = cuts[i];
    }

    feed(&s, r, p + at, n - at);

    if (r->end == LLM_AGAIN) {
        r->end = llm_ndjson_finish(&s, &slice);

        if (r->end == LLM_OK) {
            r->unterminated = 1;
            record(r, &slice);
            r->end = llm_ndjson_finish(&s, &slice);
        }
    }

    r->calls = u.calls;
    r->peak = u.peak;

    llm_ndjson_free(&s);
    assert_int_equal(u.live, 0);
}


static void
compare(const char *what, const result_t *a, result_t *b)
{
    if (a->n != b->n || a->records != b->records || a->end != b->end
        || a->unterminated != b->unterminated
        || (a->n != 0 && memcmp(a->p, b->p, a->n) != 0))
    {
        fail_msg("%s: another result: %zu records, end %d", what, b->records,
                 b->end);
    }

    free(b->p);
}


static void
all_cuts(const char *name, const llm_u8 *p, size_t n, const result_t *whole)
{
    char      what[128];
    size_t    i, k, *all, cuts[MAX_CUTS];
    result_t  r;

    all = malloc((n + 1) * sizeof(size_t));
    assert_non_null(all);

    for (i = 0; i + 1 < n; i++) {
        all[i] = i + 1;
    }

    run(&r, p, n, all, i, PLENTY, 0);
    (void) snprintf(what, sizeof(what), "%s, byte by byte", name);
    compare(what, whole, &r);
    free(all);

    for (i = 0; n <= 300 && i <= n; i++) {
        run(&r, p, n, &i, 1, PLENTY, 0);
        (void) snprintf(what, sizeof(what), "%s, cut at %zu", name, i);
        compare(what, whole, &r);
    }

    for (i = 0; i < 100; i++) {
        k = unit_random_cuts(n, cuts, MAX_CUTS);
        run(&r, p, n, cuts, k, PLENTY, 0);
        (void) snprintf(what, sizeof(what), "%s, random cuts %zu", name, i);
        compare(what, whole, &r);
    }
}


static int
valid(const llm_u8 *p, size_t n)
{
    llm_json_t   j;
    llm_slice_t  raw;

    llm_json_init(&j, p, n, 0);

    return llm_json_skip(&j, &raw) != LLM_JSON_ERROR
           && llm_json_next(&j) == LLM_JSON_END
           && !(llm_utf8_check(p, n) & LLM_UTF8_INVALID);
}


/* Record i of the vector is [p, p + n). */
static void
check_record(const char *name, size_t i, const json_t *want,
    const llm_u8 *p, size_t n)
{
    size_t         len;
    json_t        *value;
    llm_u8        *raw;
    json_error_t   error;

    raw = unit_base64(json_string_value(json_object_get(want, "raw_b64")),
                      &len);

    if (len != n || memcmp(raw, p, n) != 0) {
        fail_msg("%s: record %zu has other bytes", name, i);
    }

    free(raw);

    if (valid(p, n) != json_is_true(json_object_get(want, "valid"))) {
        fail_msg("%s: record %zu: another verdict", name, i);
    }

    if (!valid(p, n)) {
        return;
    }

    value = unit_parse(p, n, &error);

    if (value == NULL || !json_equal(value, json_object_get(want, "value"))) {
        fail_msg("%s: record %zu: another value", name, i);
    }

    json_decref(value);
}


static void
check_vector(const char *name, const json_t *v, const result_t *r)
{
    size_t         i, n;
    unsigned       truncated;
    const char    *end;
    const llm_u8  *p, *lf;
    const json_t  *records;

    end = json_string_value(json_object_get(v, "eof"));
    truncated = strcmp(end, "truncated") == 0;

    assert_int_equal(r->end, LLM_DONE);
    assert_int_equal(r->unterminated, strcmp(end, "clean") != 0);

    records = json_object_get(v, "records");

    if (json_array_size(records) + truncated != r->records) {
        fail_msg("%s: %zu records, not %zu", name, r->records,
                 json_array_size(records) + truncated);
    }

    p = r->p;

    for (i = 0; i < r->records; i++) {
        lf = memchr(p, '\n', (size_t) (r->p + r->n - p));
        assert_non_null(lf);
        n = (size_t) (lf - p);

        if (i < json_array_size(records)) {
            check_record(name, i, json_array_get(records, i), p, n);

        } else {
            assert_false(valid(p, n));
        }

        p = lf + 1;
    }
}


static void
one_vector(const char *path, const char *name)
{
    size_t     i, k, n, cuts[MAX_CUTS];
    json_t    *v, *splits, *list, *at;
    llm_u8    *p;
    result_t   whole, r;

    v = unit_json(path);
    p = unit_base64(json_string_value(json_object_get(v, "input_b64")), &n);

    run(&whole, p, n, NULL, 0, PLENTY, 0);
    check_vector(name, v, &whole);
    all_cuts(name, p, n, &whole);

    splits = json_object_get(v, "splits");

    json_array_foreach (splits, i, list) {
        assert_true(json_array_size(list) <= MAX_CUTS);

        json_array_foreach (list, k, at) {
            cuts[k] = (size_t) json_number_value(at);
        }

        run(&r, p, n, cuts, k, PLENTY, 0);
        compare(name, &whole, &r);
    }

    free(whole.p);
    free(p);
    json_decref(v);
}


static void
test_vectors(void **state)
{
    (void) state;

    assert_true(unit_each("t/vectors/ndjson", ".json", one_vector) >= 43);
}


static void
test_lines(void **state)
{
    size_t    i;
    result_t  r;

    /* a stream, its records, how many of them, whether the last has no LF */
    static const struct {
        const char  *text;
        const char  *records;
        size_t       n;
        unsigned     unterminated;
    } rows[] = {
        { "", "", 0, 0 },
        { " \t\r\n \r\n", "", 0, 0 },
        { "1", "1\n", 1, 1 },
        { "1 \t\r", "1\n", 1, 1 },
        { "\n 1 \n\r\n\t2 3\t\n", "1\n2 3\n", 2, 0 },
        { "\xef\xbb\xbf", "", 0, 0 },
        { "\xef\xbb\xbf\n1\n", "1\n", 1, 0 },
        { "\xef\xbb\xbf\xef\xbb\xbf\n", "\xef\xbb\xbf\n", 1, 0 },
        { " \xef\xbb\xbf\n", "\xef\xbb\xbf\n", 1, 0 },
        { "\xef\xbb", "\xef\xbb\n", 1, 1 },
        { "\xef\n1\n", "\xef\n1\n", 2, 0 },
        { "\xef\xbbz\n1\n", "\xef\xbbz\n1\n", 2, 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        run(&r, (const llm_u8 *) rows[i].text, strlen(rows[i].text), NULL, 0,
            PLENTY, 0);

        assert_int_equal(r.end, LLM_DONE);
        assert_int_equal(r.records, rows[i].n);
        assert_int_equal(r.unterminated, rows[i].unterminated);
        assert_int_equal(r.n, strlen(rows[i].records));

        if (r.n != 0) {
            assert_memory_equal(r.p, rows[i].records, r.n);
        }

        all_cuts(rows[i].text, (const llm_u8 *) rows[i].text,
                 strlen(rows[i].text), &r);
        free(r.p);
    }
}


/* The bound is met exactly, wherever the bytes are cut. */
static void
test_too_big(void **state)
{
    size_t    k, n, cut;
    result_t  r;

    static const char  text[] = "1\n   0123456789 \r\n2\n";

    (void) state;

    n = sizeof(text) - 1;

    for (k = 0; k < 2; k++) {
        for (cut = 0; cut <= n; cut++) {
            run(&r, (const llm_u8 *) text, n, &cut, 1, 12 - k, 0);

            assert_int_equal(r.end, k == 0 ? LLM_DONE : LLM_TOO_BIG);
            assert_int_equal(r.records, k == 0 ? 3 : 1);
            free(r.p);
        }
    }
}


static void
test_failure_is_final(void **state)
{
    llm_alloc_t   a;
    llm_slice_t   s;
    llm_ndjson_t  f;
    unit_alloc_t  u;

    (void) state;

    a = unit_alloc(&u);
    llm_ndjson_init(&f, &a, 3);

    llm_ndjson_feed(&f, (const llm_u8 *) "1234\n5\n", 7);
    assert_int_equal(llm_ndjson_next(&f, &s), LLM_TOO_BIG);
    assert_int_equal(llm_ndjson_next(&f, &s), LLM_TOO_BIG);

    llm_ndjson_feed(&f, (const llm_u8 *) "5\n", 2);
    assert_int_equal(llm_ndjson_next(&f, &s), LLM_TOO_BIG);
    assert_int_equal(llm_ndjson_finish(&f, &s), LLM_TOO_BIG);

    llm_ndjson_free(&f);
    assert_int_equal(u.live, 0);
}


static void
test_no_memory(void **state)
{
    size_t    cut, n, fail_at;
    result_t  good, r;

    static const char  text[] = "\xef\xbb{\"a\":1}\n{\"b\":2}\n{\"c\":3}";

    (void) state;

    n = sizeof(text) - 1;

    for (cut = 0; cut <= n; cut++) {
        run(&good, (const llm_u8 *) text, n, &cut, 1, PLENTY, 0);
        assert_int_equal(good.records, 3);
        assert_true(good.calls >= 1);

        for (fail_at = 1; fail_at <= good.calls; fail_at++) {
            run(&r, (const llm_u8 *) text, n, &cut, 1, PLENTY, fail_at);
            assert_int_equal(r.end, LLM_NOMEM);
            assert_true(r.records < 3);
            free(r.p);
        }

        free(good.p);
    }

    /* the half of a BOM that turns out to be a record at the very end */

    run(&r, (const llm_u8 *) "\xef\xbb", 2, NULL, 0, PLENTY, 1);
    assert_int_equal(r.end, LLM_NOMEM);
    assert_int_equal(r.records, 0);
}


/* Memory: none for white space, given back after a large record. */
static void
test_memory(void **state)
{
    size_t        i;
    llm_u8        piece[65536];
    llm_alloc_t   a;
    llm_slice_t   s;
    llm_ndjson_t  f;
    unit_alloc_t  u;

    (void) state;

    a = unit_alloc(&u);
    llm_ndjson_init(&f, &a, PLENTY);

    memset(piece, ' ', sizeof(piece));

    for (i = 0; i < 256; i++) {
        llm_ndjson_feed(&f, piece, sizeof(piece));
        assert_int_equal(llm_ndjson_next(&f, &s), LLM_AGAIN);
    }

    assert_int_equal(u.calls, 0);

    memset(piece, '1', sizeof(piece));

    for (i = 0; i < 32; i++) {
        llm_ndjson_feed(&f, piece, sizeof(piece));
        assert_int_equal(llm_ndjson_next(&f, &s), LLM_AGAIN);
    }

    llm_ndjson_feed(&f, (const llm_u8 *) "\n", 1);
    assert_int_equal(llm_ndjson_next(&f, &s), LLM_OK);
    assert_int_equal(s.n, 32 * sizeof(piece));
    assert_true(u.bytes >= s.n);

    assert_int_equal(llm_ndjson_next(&f, &s), LLM_AGAIN);
    assert_int_equal(u.bytes, 0);

    llm_ndjson_free(&f);
}


/* A line of 16 MB byte by byte, then 1 MB of line ends: linear time. */
static void
test_linear(void **state)
{
    size_t        i, n, records;
    llm_u8        c;
    llm_alloc_t   a;
    llm_slice_t   s;
    llm_ndjson_t  f;
    unit_alloc_t  u;

    (void) state;

    a = unit_alloc(&u);
    llm_ndjson_init(&f, &a, PLENTY);

    n = 16 * 1024 * 1024;
    records = 0;

    for (i = 0; i < n + 1024 * 1024; i++) {
        c = i < n ? 'x' : '\n';
        llm_ndjson_feed(&f, &c, 1);

        while (llm_ndjson_next(&f, &s) == LLM_OK) {
            assert_int_equal(s.n, n);
            records++;
        }
    }

    assert_int_equal(records, 1);

    llm_ndjson_free(&f);
    assert_int_equal(u.live, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_too_big),
        cmocka_unit_test(test_failure_is_final),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_linear)
    };

    (void) unit_seed();

    return cmocka_run_group_tests_name("wire_ndjson", tests, NULL, NULL);
}
