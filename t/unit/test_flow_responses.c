/*
 * A Responses upstream through the flow, and a Responses client: the same
 * for all cuts, byte for byte what came where both speak it, honest endings.
 */

#include "flow_support.h"
#include "unit_responses.h"


#define FIXTURES  "t/fixtures/responses"


/* Those that do not end as they should. */
static int
is_unfinished(const char *name)
{
    return strncmp(name, "error", 5) == 0 || strncmp(name, "failed", 6) == 0
           || strncmp(name, "truncated", 9) == 0
           || strcmp(name, "answer-error.json") == 0
           || strcmp(name, "answer-failed.json") == 0;
}


/* What a Responses client reads is a whole life cycle, or one that failed. */
static void
check_client(flow_result_t *r)
{
    json_t              *keep;
    responses_reader_t   reader;

    responses_read(&reader, (char *) r->p, &keep);

    /* in a response that failed an item may be open */

    if (r->rc == LLM_DONE
        && strcmp(responses_str(reader.last, "type"), "response.failed") != 0)
    {
        responses_check_output(&reader);

    } else {
        assert_string_equal(responses_str(reader.last, "type"),
                            "response.failed");
    }

    responses_close(&reader, keep);
}


static void
check_cuts(const char *path, const char *name)
{
    size_t         i, n;
    llm_u8        *p;
    flow_case_t    c;
    flow_result_t  r;

    static const llm_dialect_t *const  clients[] = {
        &llm_dialect_responses, &llm_dialect_openai, &llm_dialect_simple
    };

    p = unit_read(path, &n);

    for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        c = flow_default;
        c.upstream = &llm_dialect_responses;
        c.client = clients[i];
        c.usage = 1;

        flow_all_cuts(name, &r, &c, p, n, 3, 20);

        if ((r.rc == LLM_DONE) == is_unfinished(name)) {
            fail_msg("%s: ends with %d", name, r.rc);
        }

        if (i != 0) {
            (void) flow_check_sse(name, r.p, r.n);
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


/* A chat upstream for a Responses client, cut anywhere. */
static void
check_chat(const char *path, const char *name)
{
    size_t         n;
    llm_u8        *p;
    flow_case_t    c;
    flow_result_t  r;

    p = unit_read(path, &n);

    c = flow_default;
    c.client = &llm_dialect_responses;

    flow_all_cuts(name, &r, &c, p, n, 29, 5);

    if (r.n != 0) {
        check_client(&r);
    }

    flow_forget(&r);
    free(p);
}


static void
test_chat(void **state)
{
    (void) state;

    (void) unit_each("t/fixtures/openai", ".sse", check_chat);
}


/* What came goes out untouched, to the terminator. */
static void
check_passing(const char *path, const char *name)
{
    size_t         n;
    llm_u8        *p;
    unit_out_t     o;
    flow_case_t    c;
    flow_result_t  r;

    p = unit_read(path, &n);

    c = flow_default;
    c.upstream = &llm_dialect_responses;
    c.client = &llm_dialect_responses;

    flow_run(&r, &c, p, n, NULL, 0);

    if (r.rc == LLM_DONE) {
        flow_events(&o, p, n, "{\"type\":\"response.completed\"");

        /* nothing is missing, and nothing is added but that [DONE] may be
         * behind it */

        assert_true(r.n <= o.n);

        if (memcmp(r.p, o.p, r.n) != 0) {
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


/*
 * Behind a response that another wrote there is one event more, the error,
 * and it goes on counting: a client must not be told of a second response.
 */

static void
test_broken(void **state)
{
    size_t         n, events;
    char          *path, *at, want[64];
    llm_u8        *p;
    flow_case_t    c;
    flow_result_t  r;

    (void) state;

    path = unit_path(FIXTURES "/truncated.sse");
    p = unit_read(path, &n);

    c = flow_default;
    c.upstream = &llm_dialect_responses;
    c.client = &llm_dialect_responses;

    flow_run(&r, &c, p, n, NULL, 0);

    assert_int_equal(r.fail, LLM_OK);
    assert_true(r.before != 0);

    events = 0;

    for (at = strstr((char *) r.p, "data: ");
         at != NULL && at < (char *) r.p + r.before;
         at = strstr(at + 1, "\ndata: "))
    {
        events++;
    }

    snprintf(want, sizeof(want), "event: error\ndata: {\"type\":\"error\","
             "\"sequence_number\":%zu,", events);

    at = (char *) r.p + r.before;
    assert_memory_equal(at, want, strlen(want));
    assert_null(strstr(at, "response."));
    assert_null(strstr(strstr(at, "data: ") + 1, "data: "));

    flow_forget(&r);
    free(path);
    free(p);
}


/*
 * An error that the provider says in a form without the member "error" passes
 * as it came, and one with the member follows; no third one.
 */
static void
test_flat(void **state)
{
    size_t         i;
    char          *at, text[1024];
    flow_case_t    c;
    flow_result_t  r;

    static const char  begin[] =
        "event: response.created\n"
        "data: {\"type\":\"response.created\",\"sequence_number\":0,"
        "\"response\":{\"id\":\"r\",\"object\":\"response\","
        "\"model\":\"m\",\"status\":\"in_progress\",\"output\":[]}}\n\n"
        "event: response.output_text.delta\n"
        "data: {\"type\":\"response.output_text.delta\","
        "\"sequence_number\":1,\"item_id\":\"i\",\"output_index\":0,"
        "\"content_index\":0,\"delta\":\"Hel\"}\n\n";
    static const char  *errors[] = {
        "event: error\n"
        "data: {\"type\":\"error\",\"sequence_number\":2,"
        "\"code\":\"server_error\",\"message\":\"Sorry.\","
        "\"param\":null}\n\n",
        "event: response.failed\n"
        "data: {\"type\":\"response.failed\",\"sequence_number\":2,"
        "\"response\":{\"id\":\"r\",\"object\":\"response\","
        "\"status\":\"failed\",\"error\":{\"code\":\"server_error\","
        "\"message\":\"Sorry.\"}}}\n\n",
        "event: error\n"
        "data: {\"type\":\"error\",\"sequence_number\":2,\"error\":{"
        "\"code\":\"server_error\",\"message\":\"Sorry.\"}}\n\n"
    };

    (void) state;

    c = flow_default;
    c.upstream = &llm_dialect_responses;
    c.client = &llm_dialect_responses;

    for (i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "%s%s", begin, errors[i]);

        flow_run(&r, &c, (llm_u8 *) text, strlen(text), NULL, 0);

        assert_int_equal(r.fail, LLM_OK);
        assert_true(r.n >= strlen(text));
        assert_memory_equal(r.p, text, strlen(text));

        at = (char *) r.p + strlen(text);

        if (i == 2) {
            assert_int_equal(r.n, strlen(text));

        } else {
            assert_memory_equal(at, "event: error\ndata: {\"type\":\"error\","
                                "\"sequence_number\":3,", 54);
            assert_non_null(strstr(at, "\"error\":{\"type\":"));
            assert_non_null(strstr(at, "\"message\":\"Sorry.\""));
            assert_null(strstr(strstr(at, "data: ") + 1, "data: "));
        }

        flow_forget(&r);
    }
}


static void
test_endings(void **state)
{
    size_t         i, n;
    char          *path, name[128];
    llm_u8        *p;
    flow_case_t    c;
    flow_result_t  r;

    static const struct {
        const char   *name;
        llm_fault_t   fault;
        int           status;
    } rows[] = {
        { "truncated", LLM_FAULT_TRUNCATED, 502 },
        { "error-first", LLM_FAULT_UPSTREAM_ERROR, 429 },
        { "error-nested", LLM_FAULT_UPSTREAM_ERROR, 429 },
        { "error-flat", LLM_FAULT_UPSTREAM_ERROR, 429 },
        { "failed", LLM_FAULT_UPSTREAM_ERROR, 429 }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(name, sizeof(name), FIXTURES "/%s.sse", rows[i].name);
        path = unit_path(name);
        p = unit_read(path, &n);

        c = flow_default;
        c.upstream = &llm_dialect_responses;
        c.client = &llm_dialect_openai;

        flow_run(&r, &c, p, n, NULL, 0);

        assert_int_equal(r.rc, LLM_FAILED);
        assert_int_equal(r.fault, rows[i].fault);
        assert_int_equal(r.status, rows[i].status);
        assert_null(strstr((char *) r.p, "[DONE]"));

        flow_forget(&r);
        free(path);
        free(p);
    }
}


/* A decoder that cannot go on says so: more items than it tells apart must
 * not be a stream with a hole in it. */

static void
test_items(void **state)
{
    char          *text, *p;
    unsigned       i;
    flow_case_t    c;
    flow_result_t  r;

    enum { ITEMS = 1100, LINE = 200 };

    (void) state;

    text = malloc(ITEMS * LINE);
    assert_non_null(text);

    p = text;

    for (i = 0; i < ITEMS; i++) {
        p += snprintf(p, LINE, "data: {\"type\":\"response.output_text.delta"
                      "\",\"item_id\":\"i%u\",\"output_index\":%u,"
                      "\"content_index\":0,\"delta\":\"a\"}\n\n", i, i);
    }

    c = flow_default;
    c.upstream = &llm_dialect_responses;
    c.client = &llm_dialect_openai;

    flow_run_text(&r, &c, text);

    assert_int_equal(r.rc, LLM_FAILED);
    assert_int_equal(r.fault, LLM_FAULT_RESPONSE_TOO_LARGE);
    assert_int_equal(r.status, 502);

    flow_forget(&r);
    free(text);
}


/* Answers, to a stream and to an answer of each. */
static void
check_answer(const char *path, const char *name)
{
    size_t         i, n;
    llm_u8        *p;
    flow_case_t    c;
    flow_result_t  r;

    p = unit_read(path, &n);

    for (i = 0; i < 4; i++) {
        c = flow_default;
        c.upstream = &llm_dialect_responses;
        c.client = i & 1 ? &llm_dialect_responses : &llm_dialect_openai;
        c.answer_in = 1;
        c.answer_out = i / 2;

        flow_all_cuts(name, &r, &c, p, n, 7, 5);

        assert_int_equal(r.rc == LLM_DONE, !is_unfinished(name));

        if (i == 1) {
            check_client(&r);
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
        cmocka_unit_test(test_chat),
        cmocka_unit_test(test_passing),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_answers)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
