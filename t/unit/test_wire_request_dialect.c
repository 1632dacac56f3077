/*
 * Requests of other dialects than OpenAI's: what the row changes in reading
 * and in planning, the shape that tells whose client it is, and members that
 * a provider calls otherwise.
 */

#include "request_support.h"


static const llm_dialect_t  path_row = {
    .needs = llm_str("contents"),
    .model_in_path = 1
};

static const llm_dialect_t  text_row = {
    .needs = llm_str("question"),
    .stream_member = llm_str("streaming")
};

static const llm_dialect_t  plain_row = {
    .stream_member = llm_str("stream")
};


typedef struct {
    const llm_dialect_t  *row;
    const char           *in;
    const char           *model;
    int                   stream;
    int                   usage;
    unsigned              needed;
} read_case_t;


static const read_case_t  read_cases[] = {

    /* the path says it */

    { &path_row, "{\"model\":1,\"stream\":\"x\",\"contents\":[{}],"
      "\"stream_options\":3}", NULL, -1, -1, 1 },
    { &path_row, "{\"contents\":[]}", NULL, -1, -1, 0 },
    { &path_row, "{\"contents\":null}", NULL, -1, -1, 0 },
    { &path_row, "{\"messages\":[1]}", NULL, -1, -1, 0 },

    /* Flowise */

    { &text_row, "{\"question\":\"hi\",\"streaming\":true,\"model\":\"m\","
      "\"stream\":7}", "m", 1, -1, 1 },
    { &text_row, "{\"question\":\"\",\"streaming\":\"true\"}", NULL, 1, -1,
      0 },
    { &text_row, "{\"question\":[1],\"streaming\":\"false\"}", NULL, 0, -1,
      1 },
    { &text_row, "{\"question\":[1],\"question\":[],\"streaming\":true,"
      "\"streaming\":null}", NULL, -1, -1, 0 },
    { &text_row, "{\"question\":\"x\",\"question\":null}", NULL, -1, -1, 0 },
    { &text_row, "{\"streaming\":\"tr\\u0075e\"}", NULL, 1, -1, 0 },

    /* nothing is needed, usage is no option */

    { &plain_row, "{\"stream\":true,\"stream_options\":"
      "{\"include_usage\":true}}", NULL, 1, -1, 1 },
    { &plain_row, "{\"messages\":3}", NULL, -1, -1, 1 },

    /* no row */

    { NULL, "{\"model\":\"m\",\"stream\":false,\"messages\":1,"
      "\"stream_options\":{\"include_usage\":true}}", "m", 0, 1, 1 }
};


static void
test_read(void **state)
{
    size_t              i, n;
    llm_u8             *body;
    llm_request_t       r;
    const read_case_t  *c;

    (void) state;

    for (i = 0; i < sizeof(read_cases) / sizeof(read_cases[0]); i++) {
        c = &read_cases[i];
        n = strlen(c->in);
        body = unit_copy(c->in, n);

        assert_int_equal(llm_request_read(&r, body, n, 0, c->row), LLM_OK);
        assert_int_equal(r.stream, c->stream);
        assert_int_equal(r.include_usage, c->usage);
        assert_int_equal(r.needed, c->needed);

        if (c->model == NULL) {
            assert_null(r.model.p);

        } else {
            assert_int_equal(r.model.n, strlen(c->model));
            assert_memory_equal(r.model.p, c->model, r.model.n);
        }

        free(body);
    }
}


static void
test_read_wrong(void **state)
{
    size_t         i;
    llm_request_t  r;

    static const struct {
        const llm_dialect_t  *row;
        const char           *in;
        const char           *member;
    } cases[] = {
        { &path_row, "{\"contents\":\"hi\"}", "contents" },
        { &path_row, "{\"contents\":{}}", "contents" },
        { &text_row, "{\"question\":{}}", "question" },
        { &text_row, "{\"question\":4}", "question" },
        { &text_row, "{\"streaming\":1}", "streaming" },
        { &text_row, "{\"streaming\":\"yes\"}", "streaming" },
        { &text_row, "{\"model\":1}", "model" },
        { &plain_row, "{\"stream\":\"true\"}", "stream" },
        { NULL, "{\"stream\":\"true\"}", "stream" },
        { NULL, "{\"stream_options\":1}", "stream_options" },
        { NULL, "{\"model\":[]}", "model" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(llm_request_read(&r, (const llm_u8 *) cases[i].in,
                                          strlen(cases[i].in), 0,
                                          cases[i].row), LLM_INVALID);
        assert_non_null(r.member);
        assert_string_equal(r.member, cases[i].member);
    }
}


static void
test_shape(void **state)
{
    char           body[200];
    int            n;
    size_t         i;
    unsigned       all;
    llm_request_t  r;

    static const struct {
        const char  *name;
        unsigned     shape;
    } cases[] = {
        { "messages", LLM_SHAPE_MESSAGES },
        { "contents", LLM_SHAPE_CONTENTS },
        { "input", LLM_SHAPE_INPUT },
        { "prompt", LLM_SHAPE_PROMPT },
        { "question", LLM_SHAPE_QUESTION },
        { "system", LLM_SHAPE_SYSTEM },
        { "options", LLM_SHAPE_OPTIONS },
        { "keep_\\u0061live", LLM_SHAPE_KEEP_ALIVE },
        { "max_tokens", LLM_SHAPE_MAX_TOKENS },
        { "generationConfig", LLM_SHAPE_GENERATION_CONFIG },
        { "anthropic_version", LLM_SHAPE_ANTHROPIC_VERSION },
        { "model", 0 }, { "Messages", 0 }, { "", 0 }
    };

    (void) state;

    all = 0;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        n = snprintf(body, sizeof(body), "{\"%s\":null,\"x\":{\"input\":0}}",
                     cases[i].name);

        assert_int_equal(llm_request_read(&r, (llm_u8 *) body, (size_t) n, 0,
                                          NULL), LLM_OK);
        assert_int_equal(r.shape, cases[i].shape);
        assert_int_equal(all & cases[i].shape, 0);
        all |= cases[i].shape;
    }

    n = snprintf(body, sizeof(body), "{\"messages\":[],\"system\":1,"
                 "\"max_tokens\":1,\"messages\":[1]}");
    assert_int_equal(llm_request_read(&r, (llm_u8 *) body, (size_t) n, 0,
                                      &path_row), LLM_OK);
    assert_int_equal(r.shape, LLM_SHAPE_MESSAGES|LLM_SHAPE_SYSTEM
                              |LLM_SHAPE_MAX_TOKENS);
}


static void
check(const char *in, const llm_request_change_t *change, const char *want)
{
    char    *out;
    size_t   edits;

    out = change_body(in, change, &edits);
    assert_string_equal(out, want);
    assert_int_equal(edits == 0, strcmp(in, want) == 0);
    free(out);
}


static void
test_plan(void **state)
{
    llm_request_change_t  change;

    (void) state;

    memset(&change, 0, sizeof(change));
    change.model = chars("m");
    change.stream = 1;
    change.usage = 1;

    /* everything is in the path */

    change.dialect = &path_row;
    check("{}", &change, "{}");
    check("{\"model\":\"x\",\"stream\":false,\"stream_options\":{}}",
          &change, "{\"model\":\"x\",\"stream\":false,\"stream_options\":{}}");

    /* another switch */

    change.dialect = &text_row;
    check("{}", &change, "{\"model\":\"m\",\"streaming\":true}");
    check("{\"streaming\":\"true\",\"stream\":false}", &change,
          "{\"model\":\"m\",\"streaming\":true,\"stream\":false}");

    change.stream = 0;
    check("{\"streaming\":true}", &change,
          "{\"model\":\"m\",\"streaming\":false}");

    /* usage that is no option */

    change.dialect = &plain_row;
    change.stream = 1;
    check("{\"stream_options\":{}}", &change,
          "{\"model\":\"m\",\"stream\":true,\"stream_options\":{}}");
}


static void
test_renames(void **state)
{
    llm_request_change_t  change;

    static const llm_rename_t  renames[] = {
        { llm_str("max_completion_tokens"), llm_str("max_tokens") },
        { llm_str("seed"), llm_str("random_seed") },
        { { NULL, 0, 0 }, { NULL, 0, 0 } }
    };
    const llm_request_set_t  set[] = {
        { llm_slice("max_tokens"), llm_slice("5"), 1 },
        { llm_slice("random_seed"), llm_slice("7"), 0 }
    };

    (void) state;

    memset(&change, 0, sizeof(change));
    change.stream = -1;
    change.renames = renames;

    check("{}", &change, "{}");
    check("{\"max_tokens\":1}", &change, "{\"max_tokens\":1}");
    check("{\"max_completion_tokens\": 1, \"a\" :\"seed\", \"seed\" : 2}",
          &change, "{\"max_tokens\": 1, \"a\" :\"seed\", \"random_seed\" : 2}");
    check("{\"max\\u005fcompletion_tokens\":1,\"x\":{\"seed\":1}}",
          &change, "{\"max_tokens\":1,\"x\":{\"seed\":1}}");
    check("{\"seed\":1,\"seed\":2}", &change,
          "{\"random_seed\":1,\"random_seed\":2}");

    /* the new name is the one that llm_stream_param means */

    change.set = set;
    change.nset = 2;
    change.stream = 1;
    change.usage = 1;

    check("{\"max_completion_tokens\":1,\"seed\":3}", &change,
          "{\"stream\":true,\"stream_options\":{\"include_usage\":true},"
          "\"max_tokens\":1,\"random_seed\":7}");
    check("{\"seed\":3,\"stream\":true,\"stream_options\":{}}", &change,
          "{\"max_tokens\":5,\"random_seed\":7,\"stream\":true,"
          "\"stream_options\":{\"include_usage\":true}}");
}


/* Renaming is bounded as replacing is. */
static void
test_renames_bound(void **state)
{
    char                  *body, *out, *p;
    size_t                 i, n, edits;
    llm_request_change_t   change;

    static const llm_rename_t  renames[] = {
        { llm_str("a"), llm_str("b") }, { { NULL, 0, 0 }, { NULL, 0, 0 } }
    };

    (void) state;

    memset(&change, 0, sizeof(change));
    change.stream = -1;
    change.renames = renames;

    for (n = LLM_REQUEST_EDITS_MAX; n <= LLM_REQUEST_EDITS_MAX + 1; n++) {
        body = malloc(n * 6 + 3);
        assert_non_null(body);

        for (i = 0, p = body; i < n; i++) {
            p += sprintf(p, "%s\"a\":1", i == 0 ? "{" : ",");
        }

        sprintf(p, "}");
        out = change_body(body, &change, &edits);

        if (n == LLM_REQUEST_EDITS_MAX) {
            assert_int_equal(edits, n);
            assert_int_equal(strlen(out), strlen(body));
            assert_null(strchr(out, 'a'));

        } else {
            assert_string_equal(out, "invalid");
        }

        free(out);
        free(body);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_wrong),
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_renames),
        cmocka_unit_test(test_renames_bound)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
