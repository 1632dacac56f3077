/*
 * The plan of edits, held against exact bytes, rule by rule; what it refuses;
 * and what happens when memory is short.
 */

#include "llm_json.h"
#include "request_support.h"


typedef struct {
    const char  *in;
    int          stream;
    unsigned     usage;
    const char  *model;
    const char  *want;          /* NULL: as it came, and no edit */
} plan_case_t;


static void
check_change(const char *in, const llm_request_change_t *change,
    const char *want)
{
    char    *out;
    size_t   edits;

    edits = 0;
    out = change_body(in, change, &edits);

    if (want == NULL) {
        assert_string_equal(out, in);
        assert_int_equal(edits, 0);

    } else {
        assert_string_equal(out, want);
    }

    free(out);
}


static void
check_cases(const plan_case_t *c, size_t n)
{
    size_t                i;
    llm_request_change_t  change;

    for (i = 0; i < n; i++) {
        memset(&change, 0, sizeof(change));
        change.stream = c[i].stream;
        change.usage = c[i].usage;
        change.model = chars(c[i].model);

        check_change(c[i].in, &change, c[i].want);
    }
}


#define check_table(t)  check_cases(t, sizeof(t) / sizeof((t)[0]))


static const char  usage_in[] =
    "{\"stream_options\":{\"include_usage\":true}}";


static void
test_plan_stream(void **state)
{
    static const plan_case_t  cases[] = {
        { "{}", 1, 0, NULL, "{\"stream\":true}" },
        { "{ }", 1, 0, NULL, "{\"stream\":true }" },
        { "\r\n\t {\n} ", 0, 0, NULL, "\r\n\t {\"stream\":false\n} " },
        { "{\"a\":1}", 1, 0, NULL, "{\"stream\":true,\"a\":1}" },
        { " { \"a\" : 1 } ", 1, 0, NULL,
          " {\"stream\":true, \"a\" : 1 } " },
        { "{\"stream\":false}", 1, 0, NULL, "{\"stream\":true}" },
        { "{\"stream\":true}", 0, 0, NULL, "{\"stream\":false}" },
        { "{\"stream\" :\tnull ,\"b\":2}", 1, 0, NULL,
          "{\"stream\" :\ttrue ,\"b\":2}" },
        { "{\"stream\":true}", 1, 0, NULL, NULL },
        { "{\"stream\":false}", 0, 0, NULL, NULL },
        { "{\"stream\":false}", -1, 0, NULL, NULL },
        { "{}", -1, 0, NULL, NULL },
        { "{\"stream\":false,\"a\":[],\"stream\":null,\"stream\":true}",
          1, 0, NULL,
          "{\"stream\":true,\"a\":[],\"stream\":true,\"stream\":true}" },
        { "{\"str\\u0065am\":false}", 1, 0, NULL,
          "{\"str\\u0065am\":true}" },
        { "{\"\\u0073\\u0074ream\":null,\"stream\":false}", 1, 0, NULL,
          "{\"\\u0073\\u0074ream\":true,\"stream\":true}" },
        { "{\"a\":{\"stream\":false},\"b\":[{\"stream\":false}]}", 1, 0,
          NULL, "{\"stream\":true,\"a\":{\"stream\":false},"
          "\"b\":[{\"stream\":false}]}" },
        { "{\"strea\":0,\"streams\":0,\"Stream\":0,\"\":0}", 1, 0, NULL,
          "{\"stream\":true,\"strea\":0,\"streams\":0,\"Stream\":0,"
          "\"\":0}" },
        { "{\"stream\\u0000\":0,\"stream\\ud83d\":0}", 1, 0, NULL,
          "{\"stream\":true,\"stream\\u0000\":0,\"stream\\ud83d\":0}" }
    };

    (void) state;

    check_table(cases);
}


static void
test_plan_model(void **state)
{
    static const plan_case_t  cases[] = {
        { "{\"model\":\"a\"}", -1, 0, "b", "{\"model\":\"b\"}" },
        { "{\"model\":\"a\"}", -1, 0, "a", NULL },
        { "{\"model\":\"a\"}", -1, 0, NULL, NULL },
        { "{\"model\":\"a\"}", -1, 0, "", "{\"model\":\"\"}" },
        { "{\"model\" : null }", -1, 0, "b", "{\"model\" : \"b\" }" },
        { "{}", -1, 0, "b", "{\"model\":\"b\"}" },
        { "{\"model\":\"a\",\"x\":1,\"mode\\u006C\":\"c\"}", -1, 0, "b",
          "{\"model\":\"b\",\"x\":1,\"mode\\u006C\":\"b\"}" },
        { "{\"model\":\"\\u0062\"}", -1, 0, "b", "{\"model\":\"b\"}" },
        { "{}", -1, 0, "\"},\\\r\n\x01\x7f", "{\"model\":"
          "\"\\\"},\\\\\\r\\n\\u0001\\u007f\"}" },
        { "{}", -1, 0, "\xc3\xa9\xf0\x9f\x98\x80\xe2\x80\xa8",
          "{\"model\":\"\xc3\xa9\xf0\x9f\x98\x80\\u2028\"}" },
        { "{\"a\":0}", 0, 0, "b",
          "{\"model\":\"b\",\"stream\":false,\"a\":0}" },
        { "{\"stream\":true,\"a\":0}", 0, 0, "b",
          "{\"model\":\"b\",\"stream\":false,\"a\":0}" }
    };

    (void) state;

    check_table(cases);
}


/* An own model that is still escaped is put back as it was. */
static void
test_plan_model_escaped(void **state)
{
    llm_request_change_t  change;

    (void) state;

    memset(&change, 0, sizeof(change));
    change.stream = -1;
    change.model = chars("a\\u00e9\\\"");
    change.model.escaped = 1;

    check_change("{}", &change, "{\"model\":\"a\\u00e9\\\"\"}");
}


static void
test_plan_usage(void **state)
{
    static const plan_case_t  cases[] = {
        { "{}", 1, 1, NULL, "{\"stream\":true,"
          "\"stream_options\":{\"include_usage\":true}}" },
        { "{\"stream\":true}", -1, 1, NULL,
          "{\"stream_options\":{\"include_usage\":true},"
          "\"stream\":true}" },
        { usage_in, 1, 1, NULL, "{\"stream\":true,"
          "\"stream_options\":{\"include_usage\":true}}" },
        { "{\"stream_options\":{},\"stream\":true}", 1, 1, NULL,
          "{\"stream_options\":{\"include_usage\":true},"
          "\"stream\":true}" },
        { "{\"stream_options\": { } ,\"stream\":true}", -1, 1, NULL,
          "{\"stream_options\": {\"include_usage\":true } ,"
          "\"stream\":true}" },
        { "{\"stream_options\":{ \"a\":[{}] },\"stream\":true}", -1, 1,
          NULL, "{\"stream_options\":{\"include_usage\":true,"
          " \"a\":[{}] },\"stream\":true}" },
        { "{\"stream_options\":{\"include_usage\":false,\"a\":1},"
          "\"stream\":true}", 1, 1, NULL,
          "{\"stream_options\":{\"include_usage\":true,\"a\":1},"
          "\"stream\":true}" },
        { "{\"stream\":true,\"stream_options\":{\"a\":1,"
          "\"include\\u005fusage\" : null }}", 1, 1, NULL,
          "{\"stream\":true,\"stream_options\":{\"a\":1,"
          "\"include\\u005fusage\" : true }}" },
        { "{\"stream\":true,\"stream_options\":"
          "{\"include_usage\":{\"x\":[]}}}", 1, 1, NULL,
          "{\"stream\":true,\"stream_options\":"
          "{\"include_usage\":true}}" },
        { "{\"stream\":true,\"stream_options\":"
          "{\"include_usage\":true,\"b\":0}}", 1, 1, NULL, NULL },
        { "{\"stream\":true,\"stream_options\": null }", 1, 1, NULL,
          "{\"stream\":true,\"stream_options\": "
          "{\"include_usage\":true} }" },
        { "{\"stream\":true,\"stream_options\":"
          "{\"a\":{\"include_usage\":false}},\"include_usage\":0}", 1, 1,
          NULL, "{\"stream\":true,\"stream_options\":"
          "{\"include_usage\":true,\"a\":{\"include_usage\":false}},"
          "\"include_usage\":0}" },
        { "{\"x\":{\"stream_options\":{}},\"stream\":true}", 1, 1, NULL,
          "{\"stream_options\":{\"include_usage\":true},"
          "\"x\":{\"stream_options\":{}},\"stream\":true}" },
        { "{\"stream\":true,\"stream_options\":{}}", 1, 0, NULL, NULL }
    };

    (void) state;

    check_table(cases);
}


static void
test_plan_usage_duplicates(void **state)
{
    static const plan_case_t  cases[] = {
        { "{\"stream\":true,\"stream_options\":{\"include_usage\":false,"
          "\"a\":0,\"include_usage\":null,\"include_usage\":true}}",
          1, 1, NULL,
          "{\"stream\":true,\"stream_options\":{\"include_usage\":true,"
          "\"a\":0,\"include_usage\":true,\"include_usage\":true}}" },
        { "{\"stream_options\":{},\"stream_options\":null,\"stream\":true,"
          "\"stream_options\":{\"a\":1},"
          "\"stream_options\":{\"include_usage\":false}}", 1, 1, NULL,
          "{\"stream_options\":{\"include_usage\":true},"
          "\"stream_options\":{\"include_usage\":true},\"stream\":true,"
          "\"stream_options\":{\"include_usage\":true,\"a\":1},"
          "\"stream_options\":{\"include_usage\":true}}" }
    };

    (void) state;

    check_table(cases);
}


/* usage is only for what streams, wherever "stream" stands. */
static void
test_plan_usage_no_stream(void **state)
{
    static const plan_case_t  cases[] = {
        { "{}", 0, 1, NULL, "{\"stream\":false}" },
        { "{}", -1, 1, NULL, NULL },
        { "{\"stream\":false}", -1, 1, NULL, NULL },
        { "{\"stream\":null}", -1, 1, NULL, NULL },
        { "{\"stream\":true}", 0, 1, NULL, "{\"stream\":false}" },
        { "{\"stream_options\":null,\"stream\":false}", -1, 1, NULL,
          NULL },
        { "{\"stream_options\":{},\"stream\":true}", 0, 1, NULL,
          "{\"stream_options\":{},\"stream\":false}" },
        { "{\"stream_options\":{\"include_usage\":false}}", 0, 1, "m",
          "{\"model\":\"m\",\"stream\":false,"
          "\"stream_options\":{\"include_usage\":false}}" },
        { "{\"stream\":true,\"stream_options\":{\"a\":1},"
          "\"stream\":false}", -1, 1, NULL, NULL },
        { "{\"stream\":false,\"stream_options\":{\"a\":1},"
          "\"stream\":true}", -1, 1, NULL,
          "{\"stream\":false,\"stream_options\":"
          "{\"include_usage\":true,\"a\":1},\"stream\":true}" }
    };

    (void) state;

    check_table(cases);
}


/* A request that is to be no stream, whoever wrote it for one. */
static void
test_plan_no_options(void **state)
{
    size_t                i;
    llm_request_set_t     set;
    llm_request_change_t  change;

    static const struct {
        const char  *in;
        const char  *want;
    } cases[] = {
        { "{}", "{\"stream\":false}" },
        { "{\"stream\":true,\"stream_options\":{\"include_usage\":true},"
          "\"a\":1}",
          "{\"stream\":false,\"stream_options\":null,\"a\":1}" },
        { "{\"stream_options\": {} ,\"stream\":true,"
          "\"stream_options\":{\"b\":[1]}}",
          "{\"stream_options\": null ,\"stream\":false,"
          "\"stream_options\":null}" },
        { "{\"stream_options\":null,\"stream\":false}", NULL }
    };

    (void) state;

    memset(&change, 0, sizeof(change));
    change.no_options = 1;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_change(cases[i].in, &change, cases[i].want);
    }

    /* but what is configured is meant */

    memset(&set, 0, sizeof(set));
    set.name = chars("stream_options");
    set.value = chars("{\"x\":1}");
    change.set = &set;
    change.nset = 1;

    check_change("{\"stream\":false,\"stream_options\":{}}", &change,
                 "{\"stream\":false,\"stream_options\":{\"x\":1}}");
    check_change("{\"stream\":false}", &change,
                 "{\"stream_options\":{\"x\":1},\"stream\":false}");
}


static void
check_set(const char *in, const char *model, int stream, unsigned usage,
    const llm_request_set_t *set, size_t nset, const char *want)
{
    llm_request_change_t  change;

    memset(&change, 0, sizeof(change));
    change.model = chars(model);
    change.stream = stream;
    change.usage = usage;
    change.set = set;
    change.nset = nset;

    check_change(in, &change, want);
}


static void
test_plan_set(void **state)
{
    const llm_request_set_t  two[] = {
        { llm_slice("temperature"), llm_slice("0.5"), 0 },
        { llm_slice("stop"), llm_slice(" [\"a\", {}]\n"), 0 }
    };
    const llm_request_set_t  same[] = {
        { llm_slice("t"), llm_slice("1"), 0 },
        { llm_slice("u"), llm_slice("2"), 0 },
        { llm_slice("t"), llm_slice("3"), 0 }
    };
    const llm_request_set_t  odd[] = {
        { llm_slice("a\"\n\xc3\xa9"), llm_slice("1"), 0 },
        { { NULL, 0, 0 }, llm_slice("null"), 0 }
    };

    (void) state;

    check_set("{}", NULL, -1, 0, two, 2,
              "{\"temperature\":0.5,\"stop\":[\"a\", {}]}");
    check_set("{\"stop\":\"x\"}", NULL, -1, 0, two, 2,
              "{\"temperature\":0.5,\"stop\":[\"a\", {}]}");
    check_set("{\"temperature\":1,\"stop\":{\"stop\":1},"
              "\"temper\\u0061ture\":2}", NULL, -1, 0, two, 2,
              "{\"temperature\":0.5,\"stop\":[\"a\", {}],"
              "\"temper\\u0061ture\":0.5}");
    check_set("{\"stop\":[\"a\", {}],\"temperature\":0.5}", NULL, -1, 0,
              two, 2, NULL);

    check_set("{}", NULL, -1, 0, same, 3, "{\"t\":3,\"u\":2}");
    check_set("{\"t\":0,\"t\":1}", NULL, -1, 0, same, 3,
              "{\"u\":2,\"t\":3,\"t\":3}");

    check_set("{}", NULL, -1, 0, odd, 2,
              "{\"a\\\"\\n\xc3\xa9\":1,\"\":null}");
    check_set("{\"a\\u0022\\n\\u00e9\":0,\"\":0,\"\\u0061\":0}", NULL, -1,
              0, odd, 2,
              "{\"a\\u0022\\n\\u00e9\":1,\"\":null,\"\\u0061\":0}");
}


static void
test_plan_set_if_absent(void **state)
{
    const llm_request_set_t  one[] = {
        { llm_slice("t"), llm_slice("1"), 1 }
    };
    const llm_request_set_t  mixed[] = {
        { llm_slice("t"), llm_slice("1"), 0 },
        { llm_slice("t"), llm_slice("2"), 1 },
        { llm_slice("u"), llm_slice("3"), 1 },
        { llm_slice("u"), llm_slice("4"), 0 }
    };
    const llm_request_set_t  model[] = {
        { llm_slice("model"), llm_slice("\"s\""), 1 }
    };

    (void) state;

    check_set("{}", NULL, -1, 0, one, 1, "{\"t\":1}");
    check_set("{\"t\":0}", NULL, -1, 0, one, 1, NULL);
    check_set("{\"t\":null,\"\\u0074\":[]}", NULL, -1, 0, one, 1, NULL);
    check_set("{\"x\":{\"t\":0}}", NULL, -1, 0, one, 1,
              "{\"t\":1,\"x\":{\"t\":0}}");

    check_set("{}", NULL, -1, 0, mixed, 4, "{\"t\":2,\"u\":4}");
    check_set("{\"t\":0,\"u\":0}", NULL, -1, 0, mixed, 4,
              "{\"t\":1,\"u\":4}");

    check_set("{}", "m", -1, 0, model, 1, "{\"model\":\"s\"}");
    check_set("{\"model\":\"b\"}", "m", -1, 0, model, 1,
              "{\"model\":\"m\"}");
    check_set("{\"model\":\"b\"}", NULL, -1, 0, model, 1, NULL);
}


/* set wins over model, stream and usage, and decides what streams. */
static void
test_plan_set_wins(void **state)
{
    const llm_request_set_t  on[] = {
        { llm_slice("stream"), llm_slice(" true "), 0 }
    };
    const llm_request_set_t  off[] = {
        { llm_slice("stream"), llm_slice("false"), 0 }
    };
    const llm_request_set_t  on_absent[] = {
        { llm_slice("stream"), llm_slice("true"), 1 }
    };
    const llm_request_set_t  options[] = {
        { llm_slice("stream_options"), llm_slice("{\"a\":1}"), 0 }
    };
    const llm_request_set_t  options_absent[] = {
        { llm_slice("stream_options"), llm_slice("{\"a\":1}"), 1 }
    };
    const llm_request_set_t  model[] = {
        { llm_slice("model"), llm_slice("\"s\""), 0 }
    };

    (void) state;

    check_set("{\"model\":\"b\"}", "m", -1, 0, model, 1,
              "{\"model\":\"s\"}");

    check_set("{}", NULL, 1, 1, off, 1, "{\"stream\":false}");
    check_set("{\"stream_options\":{},\"stream\":true}", NULL, 1, 1, off,
              1, "{\"stream_options\":{},\"stream\":false}");
    check_set("{\"stream_options\":{},\"stream\":false}", NULL, 0, 1, on,
              1, "{\"stream_options\":{\"include_usage\":true},"
              "\"stream\":true}");
    check_set("{}", NULL, 0, 1, on, 1, "{\"stream\":true,"
              "\"stream_options\":{\"include_usage\":true}}");

    check_set("{}", NULL, -1, 1, on_absent, 1, "{\"stream\":true,"
              "\"stream_options\":{\"include_usage\":true}}");
    check_set("{\"stream_options\":{},\"stream\":false}", NULL, -1, 1,
              on_absent, 1, NULL);
    check_set("{\"stream_options\":{}}", NULL, -1, 1, on_absent, 1,
              "{\"stream\":true,"
              "\"stream_options\":{\"include_usage\":true}}");

    check_set("{\"stream\":true}", NULL, -1, 1, options, 1,
              "{\"stream_options\":{\"a\":1},\"stream\":true}");
    check_set("{\"stream_options\":{},\"stream\":true}", NULL, -1, 1,
              options, 1,
              "{\"stream_options\":{\"a\":1},\"stream\":true}");
    check_set("{\"stream_options\":\"x\"}", NULL, 0, 1, options, 1,
              "{\"stream\":false,\"stream_options\":{\"a\":1}}");

    check_set("{\"stream\":true}", NULL, -1, 1, options_absent, 1,
              "{\"stream_options\":{\"a\":1},\"stream\":true}");
    check_set("{\"stream\":false}", NULL, -1, 1, options_absent, 1,
              "{\"stream_options\":{\"a\":1},\"stream\":false}");
    check_set("{\"stream_options\":{},\"stream\":true}", NULL, -1, 1,
              options_absent, 1,
              "{\"stream_options\":{\"include_usage\":true},"
              "\"stream\":true}");
}


static void
test_plan_invalid(void **state)
{
    size_t             i;
    llm_request_set_t  set;

    static const char * const  bodies[] = {
        "", " ", "[]", "1", "\"a\"", "null", "{", "{\"a\"", "{\"a\":",
        "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{}{}", "{} x", "{a:1}",
        "{\"stream\":", "{\"stream_options\":{", "{\"stream_options\":",
        "{\"stream_options\":{\"include_usage\":", "{\"a\":tru}",
        "{\"stream_options\":{\"a\":1,}}", "{\"stream_options\":[]}",
        "{\"stream_options\":{}"
    };
    static const char * const  values[] = {
        "", " ", "tru", "1 2", "{", "[1,]", "{\"a\":1}}", "\"", "'a'",
        "01", "\"\n\""
    };

    (void) state;

    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        check_set(bodies[i], "m", 1, 1, NULL, 0, "invalid");
    }

    memset(&set, 0, sizeof(set));
    set.name = llm_slice("t");

    check_set("{}", "m", 1, 1, &set, 1, "invalid");

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        set.value = chars(values[i]);

        check_set("{}", "m", 1, 1, &set, 1, "invalid");
        check_set("{\"t\":1}", "m", 1, 1, &set, 1, "invalid");
    }
}


/* "a":1 as often as said */
static char *
repeated(size_t times)
{
    char    *s;
    size_t   i, n;

    s = malloc(times * 6 + 3);
    assert_non_null(s);

    s[0] = '{';
    n = 1;

    for (i = 0; i < times; i++) {
        memcpy(s + n, "\"a\":1,", 6);
        n += 6;
    }

    if (times != 0) {
        n--;
    }

    s[n++] = '}';
    s[n] = '\0';

    return s;
}


static void
test_plan_duplicates_bounded(void **state)
{
    char                     *in, *out;
    size_t                    i, n, edits;
    llm_request_change_t      change;
    const llm_request_set_t   set[] = {
        { llm_slice("a"), llm_slice("2"), 0 }
    };

    (void) state;

    memset(&change, 0, sizeof(change));
    change.stream = 1;
    change.set = set;
    change.nset = 1;

    in = repeated(LLM_REQUEST_EDITS_MAX);
    out = change_body(in, &change, &edits);
    assert_int_equal(edits, LLM_REQUEST_EDITS_MAX + 1);

    assert_memory_equal(out, "{\"stream\":true,", 15);
    n = strlen(out);
    assert_int_equal(n, 15 + LLM_REQUEST_EDITS_MAX * 6);

    for (i = 15; i < n; i += 6) {
        assert_memory_equal(out + i, i + 6 < n ? "\"a\":2," : "\"a\":2}",
                            6);
    }

    free(out);
    free(in);

    in = repeated(LLM_REQUEST_EDITS_MAX + 1);
    check_change(in, &change, "invalid");
    free(in);
}


static void
test_plan_too_many_set(void **state)
{
    unit_alloc_t          heap;
    llm_plan_t            plan;
    llm_alloc_t           a;
    llm_request_change_t  change;

    (void) state;

    a = unit_alloc(&heap);
    memset(&change, 0, sizeof(change));
    change.nset = SIZE_MAX / 8;

    assert_int_equal(llm_request_plan(&plan, (const llm_u8 *) "{}", 2,
                                      &change, &a), LLM_NOMEM);
    assert_int_equal(heap.calls, 0);

    llm_plan_free(&plan);
}


/* Every allocation fails once; nothing leaks, the last run is right. */
static size_t
check_nomem(const char *in, const llm_request_change_t *change)
{
    char          *out, *want;
    size_t         k, n, len;
    llm_rc_t       rc;
    llm_plan_t     plan;
    llm_alloc_t    a;
    unit_alloc_t   heap;

    n = strlen(in);
    want = change_body(in, change, &len);

    for (k = 1; ; k++) {
        a = unit_alloc(&heap);
        heap.fail_at = k;

        rc = llm_request_plan(&plan, (const llm_u8 *) in, n, change, &a);

        if (rc == LLM_OK) {
            break;
        }

        assert_int_equal(rc, LLM_NOMEM);
        assert_int_equal(heap.live, 0);
        llm_plan_free(&plan);
    }

    out = apply(&plan, (const llm_u8 *) in, n, &len);
    assert_string_equal(out, want);

    llm_plan_free(&plan);
    llm_plan_free(&plan);
    assert_int_equal(heap.live, 0);

    free(out);
    free(want);

    return k - 1;
}


/* A model of every length, so that the text is full at every place. */
static void
test_plan_nomem(void **state)
{
    char                     *many, model[700];
    size_t                    i;
    llm_request_change_t      change;
    const llm_request_set_t   set[] = {
        { llm_slice("a"), llm_slice("2"), 0 },
        { llm_slice("b"), llm_slice("\"0123456789012345678901234567890123"
                                    "456789012345678901234567890123456\""),
          1 }
    };

    static const char  usage[] =
        "{\"stream_options\":{\"include_usage\":0,\"include_usage\":0,"
        "\"include_usage\":0,\"include_usage\":0,\"include_usage\":0,"
        "\"include_usage\":0,\"include_usage\":0,\"include_usage\":0,"
        "\"include_usage\":0}}";

    (void) state;

    memset(model, 'm', sizeof(model));
    memset(&change, 0, sizeof(change));
    change.model.p = (const llm_u8 *) model;
    change.stream = 1;
    change.set = set;
    change.nset = 2;

    many = repeated(40);

    for (i = 0; i < sizeof(model); i++) {
        change.model.n = i;
        change.usage = i & 1;
        change.no_options = (i & 2) != 0;

        /* the targets, the text, the edits and their growth */

        assert_true(check_nomem("{}", &change) >= 3);
        assert_true(check_nomem(many, &change) >= 6);
        assert_true(check_nomem(usage, &change)
                    >= (change.usage && !change.no_options ? 4u : 3u));
    }

    free(many);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_plan_stream),
        cmocka_unit_test(test_plan_model),
        cmocka_unit_test(test_plan_model_escaped),
        cmocka_unit_test(test_plan_usage),
        cmocka_unit_test(test_plan_usage_duplicates),
        cmocka_unit_test(test_plan_usage_no_stream),
        cmocka_unit_test(test_plan_no_options),
        cmocka_unit_test(test_plan_set),
        cmocka_unit_test(test_plan_set_if_absent),
        cmocka_unit_test(test_plan_set_wins),
        cmocka_unit_test(test_plan_invalid),
        cmocka_unit_test(test_plan_duplicates_bounded),
        cmocka_unit_test(test_plan_too_many_set),
        cmocka_unit_test(test_plan_nomem)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
