/*
 * Flowise and Cohere upstreams through the flow: the same for all cuts, byte
 * for byte what came for a client of the same dialect, honest endings.
 */

#include "flow_support.h"


/* The streams that do not end as they should. */
static const char *const  unfinished[] = {
    "abort.sse", "error-mid.sse", "error-first.sse", "error-object.sse",
    "no-end.sse", "error.sse", "timeout.sse", NULL
};

static const llm_dialect_t  *upstream;


static int
is_unfinished(const char *name)
{
    size_t  i;

    for (i = 0; unfinished[i] != NULL; i++) {
        if (strcmp(unfinished[i], name) == 0) {
            return 1;
        }
    }

    return 0;
}


/* Whether the client was told that the answer is whole. */
static void
check_ending(const char *name, const llm_dialect_t *client,
    const flow_result_t *r)
{
    const char  *out;

    out = (const char *) r->p;

    if ((r->rc == LLM_DONE) == is_unfinished(name)) {
        fail_msg("%s: ends with %d", name, r->rc);
    }

    if (client == &llm_dialect_openai) {
        assert_int_equal(strstr(out, "data: [DONE]") != NULL,
                         r->rc == LLM_DONE);
        (void) flow_check_sse(name, r->p, r->n);

    } else if (client == &llm_dialect_flowise) {
        assert_int_equal(strstr(out, "\"event\":\"end\"") != NULL,
                         r->rc == LLM_DONE);
    }
}


static void
check_cuts(const char *path, const char *name)
{
    size_t         i, n;
    llm_u8        *p;
    flow_case_t    c;
    flow_result_t  r;

    static const llm_dialect_t *const  clients[] = {
        &llm_dialect_flowise, &llm_dialect_openai, &llm_dialect_simple
    };

    p = unit_read(path, &n);

    for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        c = flow_default;
        c.upstream = upstream;
        c.client = clients[i];
        c.usage = 1;

        flow_all_cuts(name, &r, &c, p, n, 1, 20);
        check_ending(name, clients[i], &r);

        if (r.rc == LLM_DONE && clients[i] == upstream
            && strstr((char *) p, ":heartbeat") == NULL
            && strchr((char *) p, '\r') == NULL)
        {
            assert_int_equal(r.n, n);
            assert_memory_equal(r.p, p, n);
        }

        flow_forget(&r);
    }

    free(p);
}


static void
test_flowise(void **state)
{
    (void) state;

    upstream = &llm_dialect_flowise;
    unit_each("t/fixtures/flowise", "sse", check_cuts);
}


static void
test_cohere(void **state)
{
    (void) state;

    upstream = &llm_dialect_cohere;
    unit_each("t/fixtures/cohere", "sse", check_cuts);
}


/* Each allocation fails once: an error or nothing, never an end. */
static void
check_memory(const char *path)
{
    size_t         i, n, calls;
    llm_u8        *p;
    flow_case_t    c;
    flow_result_t  r;

    p = unit_read(path, &n);

    c = flow_default;
    c.upstream = &llm_dialect_openai;
    c.client = &llm_dialect_flowise;
    c.usage = 1;

    flow_run(&r, &c, p, n, NULL, 0);
    assert_int_equal(r.rc, LLM_DONE);
    calls = r.calls;
    flow_forget(&r);

    for (i = 1; i <= calls; i++) {
        c.fail_at = i;
        flow_run(&r, &c, p, n, NULL, 0);

        if (r.rc != LLM_DONE) {
            assert_null(strstr((char *) r.p, "\"event\":\"end\""));
        }

        flow_forget(&r);
    }

    free(p);
}


static void
test_memory(void **state)
{
    (void) state;

    check_memory("t/fixtures/openai/tools-parallel.sse");
    check_memory("t/fixtures/openai/usage.sse");
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flowise),
        cmocka_unit_test(test_cohere),
        cmocka_unit_test(test_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
