/*
 * Habits of providers that speak openai, through the flow: what is no success
 * must not end as one.
 */

#include "flow_support.h"


#define HELLO                                                               \
    "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,"        \
    "\"delta\":{\"content\":\"Hello\"},\"finish_reason\":null}]}\n\n"

#define FINISH                                                              \
    "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,"        \
    "\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"


/* Runs a stream for clients of several dialects, cut anywhere. */
static void
check_failure(const char *stream, llm_fault_t fault, const char *message)
{
    size_t         i;
    flow_case_t    c;
    flow_result_t  r;

    static const llm_dialect_t *const  clients[] = {
        &llm_dialect_openai, &llm_dialect_simple, &llm_dialect_flowise,
        &llm_dialect_anthropic
    };

    for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        c = flow_default;
        c.client = clients[i];

        flow_all_cuts(stream, &r, &c, (const llm_u8 *) stream,
                      strlen(stream), 1, 20);

        assert_int_equal(r.rc, LLM_FAILED);
        assert_int_equal(r.fault, fault);
        assert_null(strstr((char *) r.p, "[DONE]"));
        assert_null(strstr((char *) r.p, "message_stop"));
        assert_null(strstr((char *) r.p, "\"done\":true}\n\ndata"));

        if (message != NULL) {
            assert_non_null(r.message);
            assert_string_equal(r.message, message);
        }

        flow_forget(&r);
    }
}


/* llama.cpp before September 2025: a field line, and then [DONE]. */
static void
test_error_line(void **state)
{
    (void) state;

    check_failure(HELLO
                  "error: {\"code\":500,\"message\":\"Context is full\","
                  "\"type\":\"server_error\"}\n\ndata: [DONE]\n\n",
                  LLM_FAULT_UPSTREAM_ERROR, "Context is full");
    check_failure("error: {\"code\":503,\"message\":\"Loading model\","
                  "\"type\":\"unavailable_error\"}\n\ndata: [DONE]\n\n",
                  LLM_FAULT_UPSTREAM_ERROR, "Loading model");
}


/* Groq: an event of type error, and no terminator. */
static void
test_error_event(void **state)
{
    (void) state;

    check_failure(HELLO
                  "event: error\ndata: {\"error\":{\"message\":\"No such "
                  "tool\",\"type\":\"invalid_request_error\",\"code\":"
                  "\"tool_use_failed\"}}\n\n",
                  LLM_FAULT_UPSTREAM_ERROR, "No such tool");
}


/* OpenRouter: finished, and then an error that says it was not. */
static void
test_error_after_finish(void **state)
{
    (void) state;

    check_failure(HELLO FINISH
                  "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{"
                  "\"index\":0,\"delta\":{\"content\":\"\"},"
                  "\"finish_reason\":null}],\"error\":{\"message\":\"Token "
                  "limit reached\",\"code\":400}}\n\ndata: [DONE]\n\n",
                  LLM_FAULT_UPSTREAM_ERROR, "Token limit reached");
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_line),
        cmocka_unit_test(test_error_event),
        cmocka_unit_test(test_error_after_finish)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
