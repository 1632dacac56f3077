/*
 * The NDJSON framer: the vectors, every way of cutting the bytes, bounds,
 * lack of memory, time.
 */

#include "unit_framer.h"
#include "llm_json.h"
#include "llm_utf8.h"


#define PLENTY  FRAMER_PLENTY


static const framer_case_t  line_case = { LLM_FRAMING_NDJSON, 0, 0, 0 };


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


/* Record i of the vector is r. */
static void
check_record(const char *name, size_t i, const json_t *want,
    const llm_slice_t *r)
{
    size_t         n;
    json_t        *value;
    llm_u8        *raw;
    json_error_t   error;

    raw = unit_base64(json_string_value(json_object_get(want, "raw_b64")),
                      &n);

    if (r->n != n || memcmp(raw, r->p, n) != 0) {
        fail_msg("%s: record %zu has other bytes", name, i);
    }

    free(raw);

    if (valid(r->p, n) != json_is_true(json_object_get(want, "valid"))) {
        fail_msg("%s: record %zu: another verdict", name, i);
    }

    if (!valid(r->p, n)) {
        return;
    }

    value = unit_parse(r->p, n, &error);

    if (value == NULL || !json_equal(value, json_object_get(want, "value"))) {
        fail_msg("%s: record %zu: another value", name, i);
    }

    json_decref(value);
}


static void
check_vector(const char *name, const json_t *v, const framer_result_t *r)
{
    size_t         i;
    unsigned       truncated;
    const char    *end;
    llm_slice_t    frame;
    const json_t  *records;

    end = json_string_value(json_object_get(v, "eof"));
    truncated = strcmp(end, "truncated") == 0;

    assert_int_equal(r->end, LLM_DONE);
    assert_int_equal(r->tail, strcmp(end, "clean") != 0);

    records = json_object_get(v, "records");

    if (json_array_size(records) + truncated != r->n) {
        fail_msg("%s: %zu records, not %zu", name, r->n,
                 json_array_size(records) + truncated);
    }

    for (i = 0; i < r->n; i++) {
        frame = framer_frame(r, i);

        if (i < json_array_size(records)) {
            check_record(name, i, json_array_get(records, i), &frame);

        } else {
            assert_false(valid(frame.p, frame.n));
        }
    }
}


static void
one_vector(const char *path, const char *name)
{
    size_t           i, k, n, cuts[FRAMER_MAX_CUTS];
    json_t          *v, *splits, *list, *at;
    llm_u8          *p;
    framer_result_t  whole, r;

    p = framer_vector(path, &v, &n);

    framer_run(&whole, &line_case, p, n, NULL, 0);
    check_vector(name, v, &whole);
    framer_all_cuts(name, &line_case, p, n, &whole);

    splits = json_object_get(v, "splits");

    json_array_foreach (splits, i, list) {
        assert_true(json_array_size(list) <= FRAMER_MAX_CUTS);

        json_array_foreach (list, k, at) {
            cuts[k] = (size_t) json_number_value(at);
        }

        framer_run(&r, &line_case, p, n, cuts, k);
        framer_compare(name, &whole, &r);
    }

    framer_forget(&whole);
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
    size_t           i;
    framer_result_t  r;

    /* a stream, its records, whether the last has no LF */
    static const struct {
        const char  *text;
        const char  *records;
        unsigned     unterminated;
    } rows[] = {
        { "", "", 0 },
        { " \t\r\n \r\n", "", 0 },
        { "1", "1\n", 1 },
        { "1 \t\r", "1\n", 1 },
        { "\n 1 \n\r\n\t2 3\t\n", "1\n2 3\n", 0 },
        { "\xef\xbb\xbf", "", 0 },
        { "\xef\xbb\xbf\n1\n", "1\n", 0 },
        { "\xef\xbb\xbf\xef\xbb\xbf\n", "\xef\xbb\xbf\n", 0 },
        { " \xef\xbb\xbf\n", "\xef\xbb\xbf\n", 0 },
        { "\xef\xbb", "\xef\xbb\n", 1 },
        { "\xef\n1\n", "\xef\n1\n", 0 },
        { "\xef\xbbz\n1\n", "\xef\xbbz\n1\n", 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        framer_expect(&line_case, rows[i].text, rows[i].records, LLM_DONE, 0,
                      0);

        framer_run_text(&r, &line_case, rows[i].text);
        assert_int_equal(r.tail, rows[i].unterminated);
        framer_forget(&r);
    }
}


/* The bound is met exactly, wherever the bytes are cut. */
static void
test_too_big(void **state)
{
    (void) state;

    framer_bounds(&line_case, "1\n   0123456789 \r\n2\n", 12, 1);
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
    framer_case_t    c;
    framer_result_t  r;

    (void) state;

    framer_no_memory(&line_case,
                     "\xef\xbb{\"a\":1}\n{\"b\":2}\n{\"c\":3}");

    /* the half of a BOM that turns out to be a record at the very end */

    c = line_case;
    c.fail_at = 1;

    framer_run_text(&r, &c, "\xef\xbb");
    assert_int_equal(r.end, LLM_NOMEM);
    assert_int_equal(r.n, 0);
    framer_forget(&r);
}


static void
test_memory(void **state)
{
    (void) state;

    framer_memory(&line_case, "\n");
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
