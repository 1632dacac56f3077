/*
 * A request as a value: its lists, data URLs, efforts, and what the readers
 * of all dialects share.
 */

#include "llm_chat.h"
#include "unit_support.h"


static llm_slice_t
chars(const char *s)
{
    llm_slice_t  slice;

    slice.p = (const llm_u8 *) s;
    slice.n = strlen(s);
    slice.escaped = 1;

    return slice;
}


static void
check_slice(const llm_slice_t *s, const char *want)
{
    if (want == NULL) {
        assert_null(s->p);
        return;
    }

    assert_non_null(s->p);
    assert_int_equal(s->n, strlen(want));
    assert_memory_equal(s->p, want, s->n);
}


static void
test_init(void **state)
{
    llm_chat_t    c;
    llm_alloc_t   a;
    unit_alloc_t  heap;

    (void) state;

    a = unit_alloc(&heap);
    memset(&c, 0xff, sizeof(c));
    llm_chat_init(&c, &a, 7);

    assert_int_equal(c.max_depth, 7);
    assert_null(c.member);
    assert_null(c.model.p);
    assert_int_equal(c.stream, -1);
    assert_int_equal(c.include_usage, -1);
    assert_int_equal(c.logprobs, -1);
    assert_int_equal(c.parallel_tools, -1);
    assert_int_equal(c.thoughts, -1);
    assert_int_equal(c.schema_strict, -1);
    assert_int_equal(c.effort, LLM_EFFORT_UNSAID);
    assert_int_equal(c.choose, LLM_CHOOSE_UNSAID);
    assert_int_equal(c.format, LLM_FORMAT_UNSAID);
    assert_int_equal(llm_chat_nparts(&c) + llm_chat_ntools(&c)
                     + llm_chat_nstops(&c) + llm_chat_nextras(&c), 0);

    llm_chat_free(&c);
    assert_int_equal(heap.calls, 0);
}


static void
test_lists(void **state)
{
    size_t        i;
    llm_tool_t   *tool;
    llm_part_t   *part;
    llm_chat_t    c;
    llm_alloc_t   a;
    llm_slice_t   s;
    unit_alloc_t  heap;

    (void) state;

    a = unit_alloc(&heap);
    llm_chat_init(&c, &a, 0);
    s = llm_slice("x");

    for (i = 0; i < 100; i++) {
        part = llm_chat_part(&c, LLM_PART_IMAGE, LLM_ROLE_USER,
                             (unsigned) i);
        assert_non_null(part);
        assert_null(part->text.p);
        assert_int_equal(part->inner, 0);
        part->text = s;

        tool = llm_chat_tool(&c);
        assert_non_null(tool);
        assert_int_equal(tool->strict, -1);
        assert_null(tool->name.p);

        assert_int_equal(llm_chat_stop(&c, &s), LLM_OK);
        assert_int_equal(llm_chat_extra(&c, &s, &s), LLM_OK);
    }

    assert_int_equal(llm_chat_nparts(&c), 100);
    assert_int_equal(llm_chat_ntools(&c), 100);
    assert_int_equal(llm_chat_nstops(&c), 100);
    assert_int_equal(llm_chat_nextras(&c), 100);
    assert_int_equal(llm_chat_parts(&c)[99].message, 99);
    assert_int_equal(llm_chat_parts(&c)[50].type, LLM_PART_IMAGE);
    check_slice(&llm_chat_stops(&c)[99], "x");
    check_slice(&llm_chat_extras(&c)[99].raw, "x");

    llm_chat_free(&c);
    assert_int_equal(heap.live, 0);
}


/* A string in the body is kept with its quotes. */
static void
test_extra_string(void **state)
{
    llm_chat_t    c;
    llm_alloc_t   a;
    llm_slice_t   name, v;
    unit_alloc_t  heap;

    (void) state;

    a = unit_alloc(&heap);
    llm_chat_init(&c, &a, 0);

    name = llm_slice("n");
    v = chars("\"a\\n\"");
    v.p++;
    v.n -= 2;

    assert_int_equal(llm_chat_extra(&c, &name, &v), LLM_OK);
    check_slice(&llm_chat_extras(&c)[0].raw, "\"a\\n\"");
    assert_int_equal(llm_chat_extras(&c)[0].raw.escaped, 0);

    llm_chat_free(&c);
}


static void
test_lists_nomem(void **state)
{
    llm_chat_t    c;
    llm_alloc_t   a;
    llm_slice_t   s;
    unit_alloc_t  heap;

    (void) state;

    a = unit_alloc(&heap);
    llm_chat_init(&c, &a, 0);
    s = llm_slice("x");

    heap.fail_at = 1;
    assert_null(llm_chat_part(&c, LLM_PART_TEXT, LLM_ROLE_USER, 0));
    heap.fail_at = 2;
    assert_null(llm_chat_tool(&c));
    heap.fail_at = 3;
    assert_int_equal(llm_chat_stop(&c, &s), LLM_NOMEM);
    heap.fail_at = 4;
    assert_int_equal(llm_chat_extra(&c, &s, &s), LLM_NOMEM);

    assert_int_equal(llm_chat_nparts(&c) + llm_chat_ntools(&c)
                     + llm_chat_nstops(&c) + llm_chat_nextras(&c), 0);
    llm_chat_free(&c);
}


static void
test_wrong(void **state)
{
    llm_chat_t    c;
    llm_alloc_t   a;
    unit_alloc_t  heap;

    (void) state;

    a = unit_alloc(&heap);
    llm_chat_init(&c, &a, 0);

    assert_int_equal(llm_chat_wrong(&c, "first"), LLM_INVALID);
    assert_int_equal(llm_chat_wrong(&c, "second"), LLM_INVALID);
    assert_string_equal(c.member, "first");
}


static void
test_read_values(void **state)
{
    int           flag;
    llm_chat_t    c;
    llm_alloc_t   a;
    llm_slice_t   to, v;
    unit_alloc_t  heap;

    (void) state;

    a = unit_alloc(&heap);
    llm_chat_init(&c, &a, 0);
    v = chars("1e3");

    assert_int_equal(llm_chat_read_number(&c, &to, LLM_JSON_NUMBER, &v, "n"),
                     LLM_OK);
    check_slice(&to, "1e3");
    assert_int_equal(llm_chat_read_number(&c, &to, LLM_JSON_NULL, &v, "n"),
                     LLM_OK);
    assert_null(to.p);
    assert_int_equal(llm_chat_read_string(&c, &to, LLM_JSON_STRING, &v, "s"),
                     LLM_OK);
    check_slice(&to, "1e3");
    assert_int_equal(llm_chat_read_string(&c, &to, LLM_JSON_NULL, &v, "s"),
                     LLM_OK);
    assert_null(to.p);

    flag = -1;
    assert_int_equal(llm_chat_read_flag(&c, &flag, LLM_JSON_TRUE, "f"),
                     LLM_OK);
    assert_int_equal(flag, 1);
    assert_int_equal(llm_chat_read_flag(&c, &flag, LLM_JSON_FALSE, "f"),
                     LLM_OK);
    assert_int_equal(flag, 0);
    assert_int_equal(llm_chat_read_flag(&c, &flag, LLM_JSON_NULL, "f"),
                     LLM_OK);
    assert_int_equal(flag, -1);
    assert_null(c.member);

    assert_int_equal(llm_chat_read_number(&c, &to, LLM_JSON_STRING, &v, "n"),
                     LLM_INVALID);
    assert_string_equal(c.member, "n");
    c.member = NULL;
    assert_int_equal(llm_chat_read_string(&c, &to, LLM_JSON_NUMBER, &v, "s"),
                     LLM_INVALID);
    assert_string_equal(c.member, "s");
    c.member = NULL;
    assert_int_equal(llm_chat_read_flag(&c, &flag, LLM_JSON_NUMBER, "f"),
                     LLM_INVALID);
    assert_string_equal(c.member, "f");
}


static void
test_read_stops(void **state)
{
    llm_chat_t    c;
    llm_alloc_t   a;
    llm_slice_t   v;
    unit_alloc_t  heap;

    (void) state;

    a = unit_alloc(&heap);
    llm_chat_init(&c, &a, 0);

    v = chars("\\n");
    assert_int_equal(llm_chat_read_stops(&c, LLM_JSON_STRING, &v, "stop"),
                     LLM_OK);
    assert_int_equal(llm_chat_nstops(&c), 1);
    check_slice(&llm_chat_stops(&c)[0], "\\n");

    v = chars("[\"a\" , \"b\\\"\"]");
    assert_int_equal(llm_chat_read_stops(&c, LLM_JSON_ARRAY, &v, "stop"),
                     LLM_OK);
    assert_int_equal(llm_chat_nstops(&c), 2);
    check_slice(&llm_chat_stops(&c)[1], "b\\\"");

    assert_int_equal(llm_chat_read_stops(&c, LLM_JSON_NULL, &v, "stop"),
                     LLM_OK);
    assert_int_equal(llm_chat_nstops(&c), 0);

    v = chars("[\"a\",1]");
    assert_int_equal(llm_chat_read_stops(&c, LLM_JSON_ARRAY, &v, "stop"),
                     LLM_INVALID);
    assert_string_equal(c.member, "stop");
    assert_int_equal(llm_chat_read_stops(&c, LLM_JSON_NUMBER, &v, "stop"),
                     LLM_INVALID);

    llm_chat_free(&c);
    assert_int_equal(heap.live, 0);
}


static void
test_data_url(void **state)
{
    size_t       i;
    llm_u8      *url;
    llm_slice_t  s, media, data;

    static const struct {
        const char  *url;
        const char  *media;     /* NULL: it is none */
        const char  *data;
    } cases[] = {
        { "data:image/png;base64,AAAA", "image/png", "AAAA" },
        { "data:image\\/png;base64,A\\/A=", "image\\/png", "A\\/A=" },
        { "DATA:image/png;Base64,", "image/png", "" },
        { "data:;base64,QQ==", "text/plain", "QQ==" },
        { "data:text/plain;charset=utf-8;base64,QQ", "text/plain", "QQ" },
        { "data:image/png,AAAA", NULL, NULL },
        { "data:image/png;base64", NULL, NULL },
        { "data:base64,AAAA", NULL, NULL },
        { "data:,", NULL, NULL },
        { "data:", NULL, NULL },
        { "dat", NULL, NULL },
        { "", NULL, NULL },
        { "https://a/data:image/png;base64,AAAA", NULL, NULL },
        { "http:;base64,", NULL, NULL }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s = chars(cases[i].url);
        url = unit_copy(s.p, s.n);
        s.p = url;

        assert_int_equal(llm_chat_data_url(&s, &media, &data),
                         cases[i].media != NULL);

        if (cases[i].media != NULL) {
            check_slice(&media, cases[i].media);
            check_slice(&data, cases[i].data);
            assert_int_equal(data.escaped, 1);
        }

        free(url);
    }

    s = llm_slice_null;
    assert_int_equal(llm_chat_data_url(&s, &media, &data), 0);
}


/* A media type that no data URL could hold is none: told by the data. */
static void
test_media_long(void **state)
{
    llm_u8       long_one[201];
    llm_part_t   part;
    llm_slice_t  media;

    (void) state;

    memset(&part, 0, sizeof(llm_part_t));
    memset(long_one, 'a', sizeof(long_one));

    part.type = LLM_PART_IMAGE;
    part.data = llm_slice("R0lGOD");
    part.media = (llm_slice_t) { long_one, 200, 1 };
    media = llm_chat_media(&part);
    assert_int_equal(media.n, 200);

    part.media.n = 201;
    media = llm_chat_media(&part);
    assert_int_equal(media.n, sizeof("image/gif") - 1);
    assert_memory_equal(media.p, "image/gif", media.n);
}


/* A comma far away is not looked for. */
static void
test_data_url_long(void **state)
{
    char         url[1000];
    llm_slice_t  s, media, data;

    (void) state;

    memset(url, 'x', sizeof(url));
    memcpy(url, "data:", 5);
    memcpy(url + sizeof(url) - 8, ";base64,", 8);

    s = chars("");
    s.p = (const llm_u8 *) url;
    s.n = sizeof(url);
    assert_int_equal(llm_chat_data_url(&s, &media, &data), 0);
}


static void
test_efforts(void **state)
{
    size_t       i;
    llm_slice_t  s;

    static const char * const  words[] = {
        "none", "minimal", "low", "medium", "high", "xhigh", "max"
    };
    static const int64_t  budgets[] = {
        0, 1024, 1024, 8192, 24576, 32768, 32768
    };

    (void) state;

    for (i = 0; i < 7; i++) {
        s = llm_effort_word((llm_effort_t) (LLM_EFFORT_NONE + i));
        check_slice(&s, words[i]);
        assert_int_equal(llm_effort_find(&s), LLM_EFFORT_NONE + i);
        assert_int_equal(llm_effort_budget((llm_effort_t)
                                           (LLM_EFFORT_NONE + i)),
                         budgets[i]);
    }

    s = chars("l\\u006fw");
    assert_int_equal(llm_effort_find(&s), LLM_EFFORT_LOW);
    s = chars("lower");
    assert_int_equal(llm_effort_find(&s), LLM_EFFORT_UNSAID);
    s = chars("");
    assert_int_equal(llm_effort_find(&s), LLM_EFFORT_UNSAID);
    assert_int_equal(llm_effort_find(&llm_slice_null), LLM_EFFORT_UNSAID);

    s = llm_effort_word(LLM_EFFORT_UNSAID);
    assert_null(s.p);
    s = llm_effort_word(LLM_EFFORT_AUTO);
    assert_null(s.p);
    assert_int_equal(llm_effort_budget(LLM_EFFORT_UNSAID), -1);
    assert_int_equal(llm_effort_budget(LLM_EFFORT_AUTO), -1);
}


static void
test_budgets(void **state)
{
    size_t       i;
    llm_slice_t  s;

    static const struct {
        const char    *budget;
        llm_effort_t   effort;
    } cases[] = {
        { "0", LLM_EFFORT_NONE }, { "1", LLM_EFFORT_LOW },
        { "1024", LLM_EFFORT_LOW }, { "1025", LLM_EFFORT_MEDIUM },
        { "8192", LLM_EFFORT_MEDIUM }, { "8193", LLM_EFFORT_HIGH },
        { "1000000", LLM_EFFORT_HIGH }, { "-1", LLM_EFFORT_AUTO },
        { "1.5", LLM_EFFORT_AUTO }, { "99999999999999999999999",
          LLM_EFFORT_AUTO }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s = chars(cases[i].budget);
        assert_int_equal(llm_effort_of_budget(&s), cases[i].effort);
    }

    assert_int_equal(llm_effort_of_budget(&llm_slice_null),
                     LLM_EFFORT_UNSAID);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_extra_string),
        cmocka_unit_test(test_lists_nomem),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_read_values),
        cmocka_unit_test(test_read_stops),
        cmocka_unit_test(test_data_url),
        cmocka_unit_test(test_data_url_long),
        cmocka_unit_test(test_media_long),
        cmocka_unit_test(test_efforts),
        cmocka_unit_test(test_budgets)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
