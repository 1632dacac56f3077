/*
 * The framer of JSON arrays: elements of every kind, every way of cutting
 * the bytes, endings, bounds, lack of memory, time; what Gemini really sent.
 */

#include "unit_framer.h"


#define RECORDED  "../shared/recorded/gemini"


static const framer_case_t  whole_case = { LLM_FRAMING_ARRAY, 0, 0, 0 };


/* A stream, its elements, how it ends, closed, cut. */
static const struct {
    const char  *text;
    const char  *frames;
    llm_rc_t     end;
    int          closed;
    int          cut;
} rows[] = {
    { "", "", LLM_DONE, 0, 0 },
    { " \r\n\t", "", LLM_DONE, 0, 0 },
    { "[]", "", LLM_DONE, 1, 0 },
    { " [ ] ", "", LLM_DONE, 1, 0 },
    { "[{}]", "{}\n", LLM_DONE, 1, 0 },
    { "[{\"a\":1}\n,\r\n{\"b\":[2,{}]}\n]\n",
      "{\"a\":1}\n{\"b\":[2,{}]}\n", LLM_DONE, 1, 0 },
    { "[{},,{}]", "{}\n{}\n", LLM_DONE, 1, 0 },
    { "[{},]", "{}\n", LLM_DONE, 1, 0 },
    { "[{}{}]", "{}\n{}\n", LLM_DONE, 1, 0 },

    /* brackets and quotes in strings */

    { "[{\"a\":\"}]\"}]", "{\"a\":\"}]\"}\n", LLM_DONE, 1, 0 },
    { "[{\"a\":\"\\\"}\"},{\"\\\\\":\"\\\\\"}]",
      "{\"a\":\"\\\"}\"}\n{\"\\\\\":\"\\\\\"}\n", LLM_DONE, 1, 0 },
    { "[{\"long enough for a stride\":\"{[{[{[{[{[{[{[\\\\\\\"\"}]",
      "{\"long enough for a stride\":\"{[{[{[{[{[{[{[\\\\\\\"\"}\n",
      LLM_DONE, 1, 0 },
    { "[{\"a\":\"line\nfeed\x01\"}]", "{\"a\":\"line\nfeed\x01\"}\n",
      LLM_DONE, 1, 0 },
    { "[{\"a\":\"\xdb\xfb\xdd\xfd\xa2\"}]",
      "{\"a\":\"\xdb\xfb\xdd\xfd\xa2\"}\n", LLM_DONE, 1, 0 },

    /* elements that are no objects */

    { "[[1,[2]],\"a]\\\"b\",1,-2.5e+3,true,false,null]",
      "[1,[2]]\n\"a]\\\"b\"\n1\n-2.5e+3\ntrue\nfalse\nnull\n",
      LLM_DONE, 1, 0 },
    { "[\"\"]", "\"\"\n", LLM_DONE, 1, 0 },

    /* bare values */

    { "{\"error\":{}}", "{\"error\":{}}\n", LLM_DONE, 0, 0 },
    { "\n{}\n{}, {}{} \n", "{}\n{}\n{}\n{}\n", LLM_DONE, 0, 0 },
    { "{}[1]", "{}\n[1]\n", LLM_DONE, 0, 0 },
    { ",[1]", "[1]\n", LLM_DONE, 0, 0 },
    { "1 2", "1\n", LLM_DONE, 0, 1 },
    { "{}]", "{}\n", LLM_INVALID, 0, 0 },
    { "]", "", LLM_INVALID, 0, 0 },

    /* cut */

    { "[", "", LLM_DONE, 0, 1 },
    { "[{}", "{}\n", LLM_DONE, 0, 1 },
    { "[{},", "{}\n", LLM_DONE, 0, 1 },
    { "[{},{\"a\":{}", "{}\n", LLM_DONE, 0, 1 },
    { "[{},{\"a", "{}\n", LLM_DONE, 0, 1 },
    { "[{},{\"a\\", "{}\n", LLM_DONE, 0, 1 },
    { "[12", "", LLM_DONE, 0, 1 },
    { "{\"a\":1", "", LLM_DONE, 0, 1 },

    /* a bracket of the other kind counts: the decoder sees it */

    { "[{]]", "{]\n", LLM_DONE, 1, 0 },

    /* no array of values */

    { "<html>", "", LLM_INVALID, 0, 1 },
    { "data: {}", "", LLM_INVALID, 0, 1 },
    { "\xef\xbb\xbf[]", "", LLM_INVALID, 0, 1 },
    { "[{};{}]", "{}\n", LLM_INVALID, 0, 1 },
    { "[{}:1]", "{}\n", LLM_INVALID, 0, 1 },
    { "[}]", "", LLM_INVALID, 0, 1 },
    { "[]]", "", LLM_INVALID, 1, 0 },
    { "[{}]{}", "{}\n", LLM_INVALID, 1, 0 },
    { "[{}] ,", "{}\n", LLM_INVALID, 1, 0 },
    { "[][]", "", LLM_INVALID, 1, 0 }
};


static void
test_elements(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        framer_expect(&whole_case, rows[i].text, rows[i].frames, rows[i].end,
                      rows[i].closed, rows[i].cut);
    }
}


static void
test_nul(void **state)
{
    framer_result_t  r;

    (void) state;

    framer_run(&r, &whole_case, (const llm_u8 *) "[{}\0]", 5, NULL, 0);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.end, LLM_INVALID);
    framer_forget(&r);
}


/* An element that lies whole in the input is not copied. */
static void
test_slices(void **state)
{
    llm_alloc_t   a;
    llm_array_t   s;
    llm_slice_t   e;
    unit_alloc_t  u;

    static const char  text[] = "[{\"a\":1},{\"b\":2},{\"c";

    (void) state;

    a = unit_alloc(&u);
    llm_array_init(&s, &a, FRAMER_PLENTY);

    llm_array_feed(&s, (const llm_u8 *) text, sizeof(text) - 1);

    assert_int_equal(llm_array_next(&s, &e), LLM_OK);
    assert_ptr_equal(e.p, text + 1);
    assert_int_equal(e.n, 7);
    assert_int_equal(llm_array_next(&s, &e), LLM_OK);
    assert_ptr_equal(e.p, text + 9);
    assert_int_equal(u.calls, 0);

    assert_int_equal(llm_array_next(&s, &e), LLM_AGAIN);
    assert_int_equal(u.calls, 1);

    llm_array_free(&s);
    assert_int_equal(u.live, 0);
}


/* The bound is met exactly, wherever the bytes are cut. */
static void
test_too_big(void **state)
{
    (void) state;

    framer_bounds(&whole_case, "[1,\n   {\"a\":\"456789\"} \r\n, 2]", 14, 1);
}


static void
test_failure_is_final(void **state)
{
    size_t        i;
    llm_alloc_t   a;
    llm_array_t   s;
    llm_slice_t   e;
    unit_alloc_t  u;

    static const struct {
        const char  *text;
        llm_rc_t     rc;
    } bad[] = {
        { "[{\"a\":1}]", LLM_TOO_BIG },
        { "[<]", LLM_INVALID }
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        a = unit_alloc(&u);
        llm_array_init(&s, &a, 6);

        llm_array_feed(&s, (const llm_u8 *) bad[i].text,
                       strlen(bad[i].text));
        assert_int_equal(llm_array_next(&s, &e), bad[i].rc);
        assert_int_equal(llm_array_next(&s, &e), bad[i].rc);

        llm_array_feed(&s, (const llm_u8 *) "{}", 2);
        assert_int_equal(llm_array_next(&s, &e), bad[i].rc);
        assert_int_equal(llm_array_finish(&s), bad[i].rc);

        llm_array_free(&s);
        assert_int_equal(u.live, 0);
    }
}


static void
test_no_memory(void **state)
{
    (void) state;

    framer_no_memory(&whole_case, "[{\"a\":1},{\"b\":2},{\"c\":3}]");
}


static void
test_memory(void **state)
{
    (void) state;

    framer_memory(&whole_case, ",");
}


/* Elements of 4 MB, byte by byte, of what is slowest to look at (backslashes
 * in pairs): linear time. */
static void
test_linear(void **state)
{
    size_t        i, k, n, elements;
    llm_u8        c;
    llm_alloc_t   a;
    llm_array_t   s;
    llm_slice_t   e;
    unit_alloc_t  u;

    static const char  bytes[] = "x{\\";

    (void) state;

    n = 4 * 1024 * 1024;

    for (k = 0; k < sizeof(bytes) - 1; k++) {
        a = unit_alloc(&u);
        llm_array_init(&s, &a, FRAMER_PLENTY);
        elements = 0;

        for (i = 0; i < n; i++) {
            c = i == 0 ? '[' : i == 1 ? '{' : i == 2 ? '"'
                : i + 3 == n ? '"' : i + 2 == n ? '}' : i + 1 == n ? ']'
                : (llm_u8) bytes[k];

            llm_array_feed(&s, &c, 1);

            while (llm_array_next(&s, &e) == LLM_OK) {
                assert_int_equal(e.n, n - 2);
                elements++;
            }
        }

        assert_int_equal(elements, 1);
        assert_true(llm_array_closed(&s));

        llm_array_free(&s);
        assert_int_equal(u.live, 0);
    }
}


/* Any depth: it is only counted. */
static void
test_depth(void **state)
{
    size_t           n;
    llm_u8          *p;
    framer_result_t  r;

    (void) state;

    n = 1000000;
    p = malloc(2 * n);
    assert_non_null(p);

    memset(p, '[', n);
    memset(p + n, ']', n);

    framer_run(&r, &whole_case, p, 2 * n, NULL, 0);
    assert_int_equal(r.n, 1);
    assert_int_equal(framer_frame(&r, 0).n, 2 * n - 2);
    assert_int_equal(r.end, LLM_DONE);
    assert_true(r.closed);

    framer_forget(&r);
    free(p);
}


/* What was recorded: whole arrays are read by jansson as well. */
static void
one_recorded(const char *path, const char *name)
{
    size_t           i, n;
    json_t          *all, *one;
    llm_u8          *p;
    llm_slice_t      e;
    json_error_t     error;
    framer_result_t  r;

    p = unit_read(path, &n);
    framer_run(&r, &whole_case, p, n, NULL, 0);
    framer_all_cuts(name, &whole_case, p, n, &r);

    all = unit_parse(p, n, &error);

    if (all != NULL) {
        assert_int_equal(r.end, LLM_DONE);
        assert_true(r.closed);
        assert_int_equal(r.n, json_array_size(all));
    }

    for (i = 0; i < r.n && all != NULL; i++) {
        e = framer_frame(&r, i);
        one = unit_parse(e.p, e.n, &error);

        assert_non_null(one);
        assert_true(json_equal(one, json_array_get(all, i)));
        json_decref(one);
    }

    json_decref(all);
    framer_forget(&r);
    free(p);
}


static void
test_recorded(void **state)
{
    char  *path;
    FILE  *there;

    (void) state;

    path = unit_path(RECORDED "/json-array-text.json-array");
    there = fopen(path, "r");
    free(path);

    if (there == NULL) {
        printf("# skipped: no arrays in %s\n", RECORDED);
        skip();
    }

    fclose(there);

    assert_true(unit_each(RECORDED, ".json-array", one_recorded) >= 5);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_too_big),
        cmocka_unit_test(test_failure_is_final),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_recorded)
    };

    (void) unit_seed();

    return cmocka_run_group_tests_name("wire_array", tests, NULL, NULL);
}
