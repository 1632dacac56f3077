/*
 * The one interface over the framings: each gives what it gives by itself,
 * frames go out as they came, and what only one of them has is absent
 * elsewhere.
 */

#include "unit_framer.h"


static const framer_case_t  cases[] = {
    { LLM_FRAMING_SSE, 0, 0, 0 },
    { LLM_FRAMING_NDJSON, 0, 0, 0 },
    { LLM_FRAMING_ARRAY, 0, 0, 0 },
    { LLM_FRAMING_SSE, 0, 0, 1 }
};

#define CASES  (sizeof(cases) / sizeof(cases[0]))


static void
test_frames(void **state)
{
    size_t           i;
    framer_result_t  r;

    /* a stream, the data of its frames, what goes out, how many of them
     * needed no copy */
    static const struct {
        llm_framing_t  framing;
        const char    *text;
        const char    *frames;
        const char    *raw;
        size_t         in_input;
        unsigned       tail;
        unsigned       comments;
    } rows[] = {
        { LLM_FRAMING_SSE, ": hi\ndata: {}\n\nevent: a\r\ndata: 1\r\n\r\n",
          "{}\n1\n", "data: {}\n\nevent: a\ndata: 1\n\n", 1, 0, 1 },
        { LLM_FRAMING_SSE, "data: {}\n\ndata: 1", "{}\n1\n",
          "data: {}\n\ndata: 1\n\n", 1, 1, 0 },
        { LLM_FRAMING_NDJSON, "{}\n {\"a\":1}\n\n{}\r\n[1] \n",
          "{}\n{\"a\":1}\n{}\n[1]\n", "{}\n{\"a\":1}\n{}\n[1]\n", 2, 0, 0 },
        { LLM_FRAMING_NDJSON, "{}\n{\"a\"", "{}\n{\"a\"\n", "{}\n{\"a\"\n",
          1, 1, 0 },
        { LLM_FRAMING_ARRAY, "[{}\n,\n{\"a\":[\n]}\n]\n",
          "{}\n{\"a\":[\n]}\n", "{}{\"a\":[\n]}", 0, 0, 0 },
        { LLM_FRAMING_NONE, "data: {}\n\n", "{}\n", "data: {}\n\n", 1, 0, 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        framer_run_text(&r, &(framer_case_t) { .framing = rows[i].framing },
                        rows[i].text);

        assert_int_equal(r.end, LLM_DONE);
        assert_string_equal((char *) r.frames.p, rows[i].frames);
        assert_string_equal((char *) r.raw.p, rows[i].raw);
        assert_int_equal(r.in_input, rows[i].in_input);
        assert_int_equal(r.tail, rows[i].tail);
        assert_int_equal(r.comments, rows[i].comments);

        framer_forget(&r);
    }
}


/* An event stream keeps its types, ids and times. */
static void
test_event(void **state)
{
    llm_alloc_t   a;
    unit_alloc_t  u;
    llm_framed_t  framed;
    llm_framer_t  f;

    static const char  text[] = "event: e\nid: 7\nretry: 20\ndata: {}\n\n";

    (void) state;

    a = unit_alloc(&u);
    llm_framer_init(&f, LLM_FRAMING_SSE, &a, FRAMER_PLENTY);
    llm_framer_feed(&f, (const llm_u8 *) text, sizeof(text) - 1);

    assert_int_equal(llm_framer_next(&f, &framed), LLM_OK);
    assert_int_equal(framed.type.n, 1);
    assert_memory_equal(framed.type.p, "e", 1);
    assert_int_equal(framed.id.n, 1);
    assert_memory_equal(framed.id.p, "7", 1);
    assert_true(framed.retry == 20);
    assert_int_equal(framed.in_input, 1);

    llm_framer_free(&f);
    assert_int_equal(u.live, 0);
}


/* llama.cpp's "error:" lines are events when they are asked for, else fields
 * that nobody knows. */
static void
test_error_lines(void **state)
{
    size_t        i;
    llm_alloc_t   a;
    unit_alloc_t  u;
    llm_framed_t  framed;
    llm_framer_t  f;

    static const char  text[] =
        "data: {}\n\nerror: {\"code\":500}\n\ndata: [DONE]\n\n";

    (void) state;

    framer_expect(&cases[0], text, "{}\n[DONE]\n", LLM_DONE, 0, 0);
    framer_expect(&cases[3], text, "{}\n{\"code\":500}\n[DONE]\n", LLM_DONE,
                  0, 0);
    framer_expect(&cases[3], "errors: 1\n\nerror\n\nerror:1\ndata: 2\n\n",
                  "\n1\n2\n", LLM_DONE, 0, 0);

    for (i = 0; i < sizeof(text); i++) {
        a = unit_alloc(&u);
        llm_framer_init(&f, LLM_FRAMING_SSE, &a, FRAMER_PLENTY);
        f.sse.error_lines = 1;

        llm_framer_feed(&f, (const llm_u8 *) text, i);

        while (llm_framer_next(&f, &framed) == LLM_OK) { /* void */ }

        /* the type is the field's name, also when its line was cut */

        llm_framer_feed(&f, (const llm_u8 *) text + i, sizeof(text) - 1 - i);

        while (llm_framer_next(&f, &framed) == LLM_OK) {

            if (framed.data.n != 12) {
                assert_null(framed.type.p);
                continue;
            }

            assert_int_equal(framed.type.n, 5);
            assert_memory_equal(framed.type.p, "error", 5);
        }

        llm_framer_free(&f);
        assert_int_equal(u.live, 0);
    }
}


/* Any bytes, in any framing, give the same however they are cut. */
static void
one_vector(const char *path, const char *name)
{
    size_t           i, n;
    json_t          *v;
    llm_u8          *p;
    framer_result_t  whole;

    p = framer_vector(path, &v, &n);

    for (i = 0; i < CASES && n <= 20000; i++) {
        framer_run(&whole, &cases[i], p, n, NULL, 0);

        assert_true(whole.end == LLM_DONE
                    || (whole.end == LLM_INVALID
                        && cases[i].framing == LLM_FRAMING_ARRAY));

        framer_all_cuts(name, &cases[i], p, n, &whole);
        framer_forget(&whole);
    }

    free(p);
    json_decref(v);
}


static void
test_vectors(void **state)
{
    (void) state;

    assert_true(unit_each("t/vectors/ndjson", ".json", one_vector) >= 43);
    assert_true(unit_each("t/vectors/sse", ".json", one_vector) >= 151);
}


static void
test_bounds(void **state)
{
    size_t           i;
    framer_case_t    c;
    framer_result_t  r;

    static const char *const  texts[] = {
        "data: {\"a\":1}\n\n", "{\"a\":1}\n", "[{\"a\":1}]"
    };

    (void) state;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        c = cases[i];
        c.max = 4;

        framer_run_text(&r, &c, texts[i]);
        assert_int_equal(r.end, LLM_TOO_BIG);
        assert_int_equal(r.n, 0);
        framer_forget(&r);

        c.max = 64;

        framer_run_text(&r, &c, texts[i]);
        assert_int_equal(r.end, LLM_DONE);
        assert_int_equal(r.n, 1);
        framer_forget(&r);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_event),
        cmocka_unit_test(test_error_lines),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_bounds)
    };

    (void) unit_seed();

    return cmocka_run_group_tests_name("wire_framer", tests, NULL, NULL);
}
