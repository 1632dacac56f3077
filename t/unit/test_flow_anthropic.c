/*
 * An Anthropic upstream through the flow: the same for all cuts, byte for
 * byte what came for a client of the same dialect, honest endings.
 */

#include "flow_support.h"
#include "unit_anthropic.h"


#define FIXTURES  "t/fixtures/anthropic"


static int
is_name(const char *name, const char *const *names)
{
    for ( /* void */ ; *names != NULL; names++) {
        if (strcmp(name, *names) == 0) {
            return 1;
        }
    }

    return 0;
}


/* The streams that do not end as they should. */
static const char *const  unfinished[] = {
    "cut.sse", "cut-in-event.sse", "error-first.sse", "error-mid.sse", NULL
};


static void
check_cuts(const char *path, const char *name)
{
    size_t         i, n;
    llm_u8        *p;
    flow_case_t    c;
    flow_result_t  r;

    static const llm_dialect_t *const  clients[] = {
        &llm_dialect_anthropic, &llm_dialect_openai, &llm_dialect_simple
    };

    p = unit_read(path, &n);

    for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        c = flow_default;
        c.upstream = &llm_dialect_anthropic;
        c.client = clients[i];
        c.usage = 1;

        flow_all_cuts(name, &r, &c, p, n, 1, 20);

        if ((r.rc == LLM_DONE) == is_name(name, unfinished)) {
            fail_msg("%s: ends with %d", name, r.rc);
        }

        if (i != 0) {
            (void) flow_check_sse(name, r.p, r.n);

        } else if (r.rc == LLM_DONE) {
            json_decref(anthropic_read(name, r.p, r.n, 0));
        }

        flow_forget(&r);
    }

    free(p);
}


static void
test_cuts(void **state)
{
    (void) state;

    (void) unit_each(FIXTURES, ".sse", check_cuts);
}


/* What came goes out untouched, with the terminator if it is lacking. */
static void
check_passing(const char *path, const char *name)
{
    size_t         n, had;
    llm_u8        *p;
    unit_out_t     o;
    flow_case_t    c;
    flow_result_t  r;

    static const char  stop[] =
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

    p = unit_read(path, &n);

    c = flow_default;
    c.upstream = &llm_dialect_anthropic;
    c.client = &llm_dialect_anthropic;

    flow_run(&r, &c, p, n, NULL, 0);

    if (r.rc == LLM_DONE) {
        flow_events(&o, p, n, NULL);
        had = o.n;

        if (r.n > had) {
            assert_int_equal(r.n, had + sizeof(stop) - 1);
            assert_memory_equal(r.p + had, stop, sizeof(stop) - 1);
        }

        if (memcmp(r.p, o.p, had) != 0) {
            fail_msg("%s: not as it came", name);
        }

        unit_out_free(&o);
    }

    flow_forget(&r);
    free(p);
}


static void
test_passing(void **state)
{
    (void) state;

    (void) unit_each(FIXTURES, ".sse", check_passing);
}


/* The message of a client whose upstream failed. */
static void
test_endings(void **state)
{
    size_t         i, n;
    char          *path, name[128];
    json_t        *m;
    llm_u8        *p;
    flow_case_t    c;
    flow_result_t  r;

    static const struct {
        const char   *name;
        llm_fault_t   fault;
        const char   *type;
        int           status;
    } rows[] = {
        { "cut", LLM_FAULT_TRUNCATED, NULL, 502 },
        { "error-first", LLM_FAULT_UPSTREAM_ERROR, "overloaded_error", 529 },
        { "error-mid", LLM_FAULT_UPSTREAM_ERROR, "api_error", 500 }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprintf(name, FIXTURES "/%s.sse", rows[i].name);
        path = unit_path(name);
        p = unit_read(path, &n);

        c = flow_default;
        c.upstream = &llm_dialect_anthropic;
        c.client = &llm_dialect_anthropic;

        flow_run(&r, &c, p, n, NULL, 0);
        assert_int_equal(r.rc, LLM_FAILED);
        assert_int_equal(r.fault, rows[i].fault);
        assert_int_equal(r.status, rows[i].status);

        m = anthropic_read(name, r.p, r.n, 0);
        assert_true(json_is_false(json_object_get(m, "ended")));
        assert_non_null(json_object_get(m, "error"));

        if (rows[i].type != NULL) {
            assert_string_equal(json_string_value(json_object_get(
                                    json_object_get(m, "error"), "type")),
                                rows[i].type);
        }

        json_decref(m);
        flow_forget(&r);
        free(path);
        free(p);
    }
}


/* No reason of this dialect says that the model failed: a stream and an
 * answer end with the same fault, whatever the provider speaks. */
static void
test_failed_finish(void **state)
{
    unsigned       i;
    flow_case_t    c;
    flow_result_t  r;

    (void) state;

    for (i = 0; i < 2; i++) {
        c = flow_default;
        c.client = &llm_dialect_anthropic;
        c.answer_out = i;

        flow_run_text(&r, &c,
            "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":"
            "{\"content\":\"x\"}}]}\n\n"
            "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{},"
            "\"finish_reason\":\"error\"}]}\n\n"
            "data: [DONE]\n\n");

        assert_int_equal(r.rc, LLM_FAILED);
        assert_int_equal(r.fault, LLM_FAULT_UPSTREAM_ERROR);
        assert_non_null(strstr(i ? r.body : (char *) r.p, "api_error"));
        assert_null(strstr((char *) r.p, "message_stop"));

        flow_forget(&r);
    }
}


/* Answers, to a stream and to an answer of each. */
static void
check_answer(const char *path, const char *name)
{
    size_t         i, n;
    json_t        *m;
    llm_u8        *p;
    flow_case_t    c;
    flow_result_t  r;

    p = unit_read(path, &n);

    for (i = 0; i < 4; i++) {
        c = flow_default;
        c.upstream = &llm_dialect_anthropic;
        c.client = i & 1 ? &llm_dialect_anthropic : &llm_dialect_openai;
        c.answer_in = 1;
        c.answer_out = i / 2;

        flow_all_cuts(name, &r, &c, p, n, 7, 5);
        assert_true((r.rc == LLM_DONE)
                    == (strcmp(name, "answer-error.json") != 0));

        if (i == 1 && r.rc == LLM_DONE) {
            m = anthropic_read(name, r.p, r.n, 1);
            assert_true(json_is_true(json_object_get(m, "ended")));
            json_decref(m);
        }

        if (i == 3 && r.rc == LLM_DONE) {
            assert_int_equal(r.n, n);
            assert_memory_equal(r.p, p, n);
        }

        flow_forget(&r);
    }

    free(p);
}


static void
test_answers(void **state)
{
    (void) state;

    (void) unit_each(FIXTURES, ".json", check_answer);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_passing),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_failed_finish),
        cmocka_unit_test(test_answers)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
