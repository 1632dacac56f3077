/*
 * What is read of a request's body: every known member with every type, what
 * is refused and how it is called; and the body for a prompt.
 */

#include "llm_json.h"
#include "request_support.h"


typedef struct {
    const char  *in;
    llm_rc_t     rc;
    const char  *model;         /* as written */
    int          stream;
    int          usage;
    unsigned     messages;
    unsigned     empty;
} read_case_t;

typedef struct {
    const char  *in;
    const char  *member;
} wrong_case_t;


static const read_case_t  read_cases[] = {
    { "{}", LLM_OK, NULL, -1, -1, 0, 1 },
    { " {\t} ", LLM_OK, NULL, -1, -1, 0, 1 },
    { "{\"a\":1}", LLM_OK, NULL, -1, -1, 0, 0 },
    { "{\"model\":\"m\",\"stream\":true,\"messages\":[{}],"
      "\"stream_options\":{\"include_usage\":true}}",
      LLM_OK, "m", 1, 1, 1, 0 },
    { "{\"model\":\"\",\"stream\":false,\"messages\":[ ],"
      "\"stream_options\":{\"include_usage\":false}}",
      LLM_OK, "", 0, 0, 0, 0 },
    { "{\"model\":null,\"stream\":null,\"messages\":null,"
      "\"stream_options\":null}", LLM_OK, NULL, -1, -1, 0, 0 },
    { "{\"stream_options\":{}}", LLM_OK, NULL, -1, -1, 0, 0 },
    { "{\"stream_options\":{\"include_usage\":null}}",
      LLM_OK, NULL, -1, -1, 0, 0 },
    { "{\"stream_options\":{\"include_usage\":\"true\"}}",
      LLM_OK, NULL, -1, -1, 0, 0 },
    { "{\"stream_options\":{\"include_usage\":[true]}}",
      LLM_OK, NULL, -1, -1, 0, 0 },
    { "{\"stream_options\":{\"x\":{\"include_usage\":true}},"
      "\"include_usage\":true}", LLM_OK, NULL, -1, -1, 0, 0 },
    { "{\"x\":{\"model\":\"m\",\"stream\":true,\"messages\":[1]}}",
      LLM_OK, NULL, -1, -1, 0, 0 },
    { "{\"m\\u006fdel\":\"m\",\"str\\u0065am\":true,"
      "\"stream\\u005foptions\":{\"\\u0069nclude_usage\":true},"
      "\"messa\\u0067es\":[0]}", LLM_OK, "m", 1, 1, 1, 0 },
    { "{\"model\":\"a\\\"\\u00e9\"}", LLM_OK, "a\\\"\\u00e9", -1, -1,
      0, 0 },

    /* the last one counts */

    { "{\"model\":\"a\",\"model\":\"b\"}", LLM_OK, "b", -1, -1, 0, 0 },
    { "{\"model\":\"a\",\"model\":null}", LLM_OK, NULL, -1, -1, 0, 0 },
    { "{\"stream\":true,\"stream\":false}", LLM_OK, NULL, 0, -1, 0,
      0 },
    { "{\"stream\":true,\"stream\":null}", LLM_OK, NULL, -1, -1, 0,
      0 },
    { "{\"messages\":[1,2],\"messages\":[]}", LLM_OK, NULL, -1, -1, 0,
      0 },
    { "{\"messages\":[],\"messages\":[[]]}", LLM_OK, NULL, -1, -1, 1,
      0 },
    { "{\"stream_options\":{\"include_usage\":false,"
      "\"include_usage\":true}}", LLM_OK, NULL, -1, 1, 0, 0 },
    { "{\"stream_options\":{\"include_usage\":true},"
      "\"stream_options\":{}}", LLM_OK, NULL, -1, -1, 0, 0 },
    { "{\"stream_options\":{\"include_usage\":true},"
      "\"stream_options\":null}", LLM_OK, NULL, -1, -1, 0, 0 }
};


static void
test_read(void **state)
{
    size_t         i, n;
    llm_u8        *body;
    llm_request_t  r;

    (void) state;

    for (i = 0; i < sizeof(read_cases) / sizeof(read_cases[0]); i++) {
        n = strlen(read_cases[i].in);
        body = unit_copy(read_cases[i].in, n);
        memset(&r, 0xff, sizeof(r));

        assert_int_equal(llm_request_read(&r, body, n, 0,
                                          &llm_dialect_openai),
                         read_cases[i].rc);
        assert_int_equal(r.stream, read_cases[i].stream);
        assert_int_equal(r.include_usage, read_cases[i].usage);
        assert_int_equal(r.needed, read_cases[i].messages);
        assert_int_equal(r.empty, read_cases[i].empty);

        if (read_cases[i].model == NULL) {
            assert_null(r.model.p);

        } else {
            assert_non_null(r.model.p);
            assert_int_equal(r.model.n, strlen(read_cases[i].model));
            assert_memory_equal(r.model.p, read_cases[i].model, r.model.n);
            assert_int_equal(r.model.escaped,
                             strchr(read_cases[i].model, '\\') != NULL);
        }

        free(body);
    }
}


static const wrong_case_t  wrong_cases[] = {
    { "", NULL }, { " ", NULL }, { "[]", NULL }, { "[{}]", NULL },
    { "\"{}\"", NULL }, { "1", NULL }, { "null", NULL }, { "{", NULL },
    { "{\"a\":1", NULL }, { "{\"a\":1,}", NULL }, { "{}{}", NULL },
    { "{},", NULL }, { "{'a':1}", NULL }, { "{\"a\" 1}", NULL },
    { "\xef\xbb\xbf{}", NULL }, { "{\"a\":\"\n\"}", NULL },
    { "{\"model\":\"", NULL }, { "{\"stream\":tru}", NULL },
    { "{\"messages\":[", NULL }, { "{\"messages\":[1,]}", NULL },
    { "{\"stream_options\":{\"include_usage\":}}", NULL },
    { "{\"stream_options\":{\"a\"}}", NULL },
    { "{\"model\":[1,}", NULL }, { "{\"stream\":{\"a\":[}}", NULL },
    { "{\"model\":", NULL }, { "{\"stream\":", NULL },
    { "{\"messages\":", NULL }, { "{\"stream_options\":", NULL },

    { "{\"model\":1}", "model" }, { "{\"model\":true}", "model" },
    { "{\"model\":[\"m\"]}", "model" }, { "{\"model\":{}}", "model" },
    { "{\"stream\":1}", "stream" }, { "{\"stream\":\"true\"}",
      "stream" }, { "{\"stream\":[true]}", "stream" },
    { "{\"stream\":{}}", "stream" },
    { "{\"messages\":\"hi\"}", "messages" },
    { "{\"messages\":{\"a\":[1]}}", "messages" },
    { "{\"messages\":false}", "messages" },
    { "{\"stream_options\":[]}", "stream_options" },
    { "{\"stream_options\":true}", "stream_options" },
    { "{\"stream_options\":\"\"}", "stream_options" },

    /* any of the duplicates, the first wrong one, and escaped names */

    { "{\"model\":1,\"model\":\"m\"}", "model" },
    { "{\"model\":\"m\",\"model\":1}", "model" },
    { "{\"messages\":{},\"model\":2,\"stream\":3}", "messages" },
    { "{\"\\u0073tream\":[[],{\"a\":{}}],\"b\":0}", "stream" },

    /* what is no JSON at all is not about one member */

    { "{\"model\":1,}", NULL }, { "{\"model\":1} 2", NULL },
    { "{\"model\":1,\"a\":\"\xff\"}", NULL }
};


static void
test_read_invalid(void **state)
{
    size_t         i, n;
    llm_u8        *body;
    llm_request_t  r;

    (void) state;

    for (i = 0; i < sizeof(wrong_cases) / sizeof(wrong_cases[0]); i++) {
        n = strlen(wrong_cases[i].in);
        body = unit_copy(wrong_cases[i].in, n);
        memset(&r, 0xff, sizeof(r));

        assert_int_equal(llm_request_read(&r, body, n, 0,
                                          &llm_dialect_openai), LLM_INVALID);

        if (wrong_cases[i].member == NULL) {
            assert_null(r.member);

        } else {
            assert_non_null(r.member);
            assert_string_equal(r.member, wrong_cases[i].member);
        }

        free(body);
    }

    assert_int_equal(llm_request_read(&r, NULL, 0, 0,
                                      &llm_dialect_openai), LLM_INVALID);
    assert_int_equal(llm_request_read(&r, (const llm_u8 *) "{}\0", 3, 0,
                                      &llm_dialect_openai),
                     LLM_INVALID);
}


static void
test_read_utf8(void **state)
{
    size_t         i;
    char           body[64];
    int            n;
    llm_request_t  r;

    static const char * const  good[] = {
        "", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
        "\xf4\x8f\xbf\xbf", "\x7f"
    };
    static const char * const  bad[] = {
        "\x80", "\xc3", "\xc0\x80", "\xe2\x82", "\xed\xa0\x80",
        "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xff"
    };
    static const char * const  where[] = {
        "{\"a\":\"%s\"}", "{\"a%s\":0}", "{\"model\":\"%s\"}",
        "{\"messages\":[{\"x\":\"12345678%s\"}]}"
    };

    (void) state;

    for (i = 0; i < 4 * sizeof(good) / sizeof(good[0]); i++) {
        n = snprintf(body, sizeof(body), where[i % 4], good[i / 4]);
        assert_int_equal(llm_request_read(&r, (const llm_u8 *) body,
                                          (size_t) n, 0,
                                          &llm_dialect_openai), LLM_OK);
    }

    for (i = 0; i < 4 * sizeof(bad) / sizeof(bad[0]); i++) {
        n = snprintf(body, sizeof(body), where[i % 4], bad[i / 4]);
        assert_int_equal(llm_request_read(&r, (const llm_u8 *) body,
                                          (size_t) n, 0,
                                          &llm_dialect_openai), LLM_INVALID);
        assert_null(r.member);
    }
}


/* {"a":[[[…]]]} with so many levels in all */
static char *
deep(size_t levels)
{
    char  *s;

    s = malloc(5 + 2 * levels + 1);
    assert_non_null(s);

    memcpy(s, "{\"a\":", 5);
    memset(s + 5, '[', levels - 1);
    memset(s + 5 + levels - 1, ']', levels - 1);
    s[5 + 2 * (levels - 1)] = '}';
    s[5 + 2 * (levels - 1) + 1] = '\0';

    return s;
}


static llm_rc_t
read_deep(size_t levels, unsigned max_depth)
{
    char           *s;
    llm_rc_t        rc;
    llm_request_t   r;

    s = deep(levels);
    rc = llm_request_read(&r, (const llm_u8 *) s, strlen(s), max_depth,
                          &llm_dialect_openai);
    assert_null(r.member);
    free(s);

    return rc;
}


static void
test_read_depth(void **state)
{
    char           *s, *out;
    size_t          edits;
    llm_request_t   r;

    static const char  options[] =
        "{\"model\":[[1]],\"stream_options\":{\"x\":{\"y\":[]}}}";

    (void) state;

    assert_int_equal(read_deep(2, 2), LLM_OK);
    assert_int_equal(read_deep(3, 2), LLM_TOO_DEEP);
    assert_int_equal(read_deep(LLM_JSON_DEPTH, 0), LLM_OK);
    assert_int_equal(read_deep(LLM_JSON_DEPTH + 1, 0), LLM_TOO_DEEP);
    assert_int_equal(read_deep(LLM_JSON_DEPTH_MAX, 100000), LLM_OK);
    assert_int_equal(read_deep(LLM_JSON_DEPTH_MAX + 1, 100000),
                     LLM_TOO_DEEP);
    assert_int_equal(read_deep(200000, 0), LLM_TOO_DEEP);

    /* inside of a known member, too, and before its type is judged */

    assert_int_equal(llm_request_read(&r, (const llm_u8 *) options,
                                      sizeof(options) - 1, 2,
                                      &llm_dialect_openai),
                     LLM_TOO_DEEP);
    assert_null(r.member);
    assert_int_equal(llm_request_read(&r, (const llm_u8 *) options,
                                      sizeof(options) - 1, 3,
                                      &llm_dialect_openai),
                     LLM_TOO_DEEP);
    assert_int_equal(llm_request_read(&r, (const llm_u8 *) options,
                                      sizeof(options) - 1, 4,
                                      &llm_dialect_openai),
                     LLM_INVALID);
    assert_string_equal(r.member, "model");

    /* what was accepted with any limit can be planned */

    s = deep(LLM_JSON_DEPTH_MAX);
    out = change_body(s, &(llm_request_change_t) { .stream = 1 }, &edits);
    assert_int_equal(edits, 1);
    assert_int_equal(strlen(out), strlen(s) + 14);
    free(out);
    free(s);
}


static void
check_prompt(const char *in, size_t n, const char *want)
{
    llm_u8        *prompt;
    llm_alloc_t    a;
    llm_block_t    b;
    llm_slice_t    text;
    unit_alloc_t   heap;
    llm_request_t  r;

    a = unit_alloc(&heap);
    memset(&b, 0, sizeof(b));
    prompt = unit_copy(in, n);
    text.p = prompt;
    text.n = n;
    text.escaped = 0;

    assert_int_equal(llm_request_prompt(&b, &a, &llm_slice_null, &text),
                     LLM_OK);
    assert_int_equal(b.n, strlen(want));
    assert_memory_equal(b.p, want, b.n);

    assert_int_equal(llm_request_read(&r, b.p, b.n, 0,
                                      &llm_dialect_openai), LLM_OK);
    assert_int_equal(r.needed, 1);
    assert_int_equal(r.stream, -1);

    free(prompt);
    llm_block_free(&b, &a);
    assert_int_equal(heap.live, 0);
}


#define PROMPT(s)  "{\"messages\":[{\"role\":\"user\",\"content\":\"" s  \
                   "\"}]}"


static void
test_prompt(void **state)
{
    (void) state;

    check_prompt("", 0, PROMPT(""));
    check_prompt("Hi there", 8, PROMPT("Hi there"));
    check_prompt("a\"b\\c/\n\r\t", 9, PROMPT("a\\\"b\\\\c/\\n\\r\\t"));
    check_prompt("a\0b\x1f\x7f", 5, PROMPT("a\\u0000b\\u001f\\u007f"));
    check_prompt("\"}],\"model\":\"x", 14,
                 PROMPT("\\\"}],\\\"model\\\":\\\"x"));
    check_prompt("\xc3\xa9\xf0\x9f\x98\x80", 6,
                 PROMPT("\xc3\xa9\xf0\x9f\x98\x80"));
    check_prompt("\xe2\x80\xa8\xe2\x80\xa9\xc2\x85", 8,
                 PROMPT("\\u2028\\u2029\\u0085"));

    /* repaired, then escaped */

    check_prompt("a\xff\"\xc3", 4,
                 PROMPT("a\xef\xbf\xbd\\\"\xef\xbf\xbd"));
    check_prompt("\xed\xa0\x80", 3, PROMPT("\xef\xbf\xbd\xef\xbf\xbd"
                 "\xef\xbf\xbd"));
    check_prompt("\xf0\x9f\x98", 3, PROMPT("\xef\xbf\xbd"));
}


static void
test_prompt_system(void **state)
{
    size_t         i;
    llm_alloc_t    a;
    llm_block_t    b;
    llm_slice_t    system, prompt;
    unit_alloc_t   heap;

    static const struct {
        const char  *system;
        const char  *want;      /* inside of the string */
    } cases[] = {
        { "Be brief.", "Be brief." },
        { "a\n\"b\"\\", "a\\n\\\"b\\\"\\\\" },
        { "\"}],\"model\":\"x", "\\\"}],\\\"model\\\":\\\"x" },
        { "a\xff\xc3", "a\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xe2\x80\xa8", "\\u2028" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char  want[200];

        a = unit_alloc(&heap);
        memset(&b, 0, sizeof(b));
        system = chars(cases[i].system);
        prompt = chars("hi");

        assert_int_equal(llm_request_prompt(&b, &a, &system, &prompt),
                         LLM_OK);

        snprintf(want, sizeof(want), "{\"messages\":[{\"role\":\"system\","
                 "\"content\":\"%s\"},{\"role\":\"user\",\"content\":"
                 "\"hi\"}]}", cases[i].want);

        assert_int_equal(b.n, strlen(want));
        assert_memory_equal(b.p, want, b.n);

        llm_block_free(&b, &a);
        assert_int_equal(heap.live, 0);
    }
}


/* It is appended; when memory is short the block holds what it held. */
static size_t
check_prompt_nomem(const char *prompt, size_t n, const char *before,
    size_t len)
{
    size_t        k, had;
    llm_rc_t      rc;
    llm_alloc_t   a;
    llm_block_t   b;
    llm_slice_t   text;
    unit_alloc_t  heap;

    for (k = 0; ; k++) {
        a = unit_alloc(&heap);
        memset(&b, 0, sizeof(b));

        assert_int_equal(llm_block_append(&b, &a, before, len), LLM_OK);

        had = heap.calls;
        heap.fail_at = had + 1 + k;

        text.p = (const llm_u8 *) prompt;
        text.n = n;
        text.escaped = 0;

        rc = llm_request_prompt(&b, &a, &text, &text);

        if (rc == LLM_OK) {
            break;
        }

        assert_int_equal(rc, LLM_NOMEM);
        assert_int_equal(b.n, len);
        assert_memory_equal(b.p, before, len);

        llm_block_free(&b, &a);
        assert_int_equal(heap.live, 0);
    }

    assert_memory_equal(b.p, before, len);
    assert_memory_equal(b.p + len, "{\"messages\":[{\"role\":", 21);
    assert_memory_equal(b.p + b.n - 4, "\"}]}", 4);

    llm_block_free(&b, &a);
    assert_int_equal(heap.live, 0);

    return k;
}


static void
test_prompt_nomem(void **state)
{
    char    prompt[2000], before[300];
    size_t  i;

    (void) state;

    memset(prompt, '\n', sizeof(prompt));
    memset(before, 'b', sizeof(before));

    for (i = 1; i < sizeof(before); i++) {
        assert_true(check_prompt_nomem(prompt, sizeof(prompt), before, i)
                    >= 1);
    }

    /* the repaired copy comes on top */

    prompt[77] = '\xff';

    for (i = 1; i < sizeof(before); i++) {
        assert_true(check_prompt_nomem(prompt, sizeof(prompt), before, i)
                    >= 2);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_invalid),
        cmocka_unit_test(test_read_utf8),
        cmocka_unit_test(test_read_depth),
        cmocka_unit_test(test_prompt),
        cmocka_unit_test(test_prompt_system),
        cmocka_unit_test(test_prompt_nomem)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
