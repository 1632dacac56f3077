/*
 * Errors: those of upstreams in every shape, the bodies that clients get,
 * the table of our own faults.
 */

#include "unit_dialect.h"


typedef struct {
    const char  *data;
    const char  *expect;        /* lines; "" nothing */
} row_t;


static void
expect_rows(const row_t *rows, size_t n, unsigned started, llm_rc_t rc)
{
    size_t    i;
    seen_t    s;
    llm_rc_t  got;

    for (i = 0; i < n; i++) {
        got = seen_decode(&s, rows[i].data, NULL, started, 0);

        if (got != rc || strcmp(s.text, rows[i].expect) != 0) {
            fail_msg("%s\nrc %d, got:\n%s-- expected:\n%s", rows[i].data, got,
                     s.text, rows[i].expect);
        }
    }
}

#define expect_all(rows, started, rc)                                       \
    expect_rows(rows, sizeof(rows) / sizeof(rows[0]), started, rc)


static void
test_errors(void **state)
{
    static const row_t  rows[] = {
        { "{\"error\":{\"message\":\"No.\",\"type\":\"server_error\","
          "\"param\":null,\"code\":null}}",
          "error message=No. type=server_error status=500\n" },
        { "{\"error\":{\"message\":\"No.\",\"param\":\"p\",\"code\":429}}",
          "error message=No. code=429 param=p status=429\n" },
        { "{\"error\":{\"code\":\"401\",\"message\":\"No.\"}}",
          "error message=No. code=401 status=401\n" },
        { "{\"error\":{\"code\":\"model_not_found\",\"type\":"
          "\"invalid_request_error\"}}",
          "error type=invalid_request_error code=model_not_found "
          "status=404\n" },
        { "{\"error\":{\"code\":200,\"type\":\"overloaded_error\"}}",
          "error type=overloaded_error code=200 status=529\n" },
        { "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\",\"code\":1}}",
          "error code=1 status=429\n" },
        { "{\"error\":{\"status_code\":400,\"code\":\"tool_use_failed\"}}",
          "error code=tool_use_failed status=400\n" },
        { "{\"error\":\"the model is gone\"}",
          "error message=the model is gone status=0\n" },
        { "{\"code\":\"x\",\"error\":\"gone\"}",
          "error message=gone code=x status=0\n" },
        { "{\"object\":\"error\",\"message\":\"No.\",\"type\":"
          "\"NotFoundError\",\"param\":null,\"code\":404}",
          "error message=No. type=NotFoundError code=404 status=404\n" },
        { "{\"error\":{}}", "error status=0\n" },

        /* content and usage of the same chunk come first */

        { "{\"error\":{\"code\":502,\"message\":\"No.\"},\"choices\":"
          "[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":"
          "\"error\"}],\"usage\":{\"total_tokens\":3}}",
          "text text=Hi\nfinish text=error finish=5\n"
          "usage -1 -1 -1 -1 3\n"
          "error message=No. code=502 status=502\n" }
    };

    (void) state;

    expect_all(rows, 1, LLM_OK);
}


/* An error in a chunk that says who it is starts nothing; what the chunk says
 * besides goes before it. */
static void
test_error_start(void **state)
{
    static const row_t  rows[] = {
        { "{\"id\":\"c1\",\"model\":\"m\",\"error\":{\"message\":\"No.\"}}",
          "error message=No. status=0\n" },
        { "{\"id\":\"c1\",\"choices\":[{\"delta\":{\"role\":\"assistant\","
          "\"content\":\"\"}}],\"error\":\"No.\"}",
          "error message=No. status=0\n" },
        { "{\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"a\"}}],"
          "\"error\":\"No.\"}",
          "start id=c1\ntext text=a\nerror message=No. status=0\n" },
        { "{\"id\":\"c1\",\"choices\":[{\"delta\":{\"tool_calls\":"
          "[{\"id\":\"t\"}]}}],\"error\":\"No.\"}",
          "start id=c1\ntool at=0 id=t\nerror message=No. status=0\n" },
        { "{\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":"
          "[{\"text\":\"a\"}]}}],\"error\":\"No.\"}",
          "start id=c1\ntext text=a\nerror message=No. status=0\n" }
    };

    static const row_t  started[] = {
        { "{\"choices\":[{\"delta\":{\"content\":\"\"}}],\"error\":\"No.\","
          "\"usage\":{\"total_tokens\":3}}",
          "usage -1 -1 -1 -1 3\nerror message=No. status=0\n" }
    };

    (void) state;

    expect_all(rows, 0, LLM_OK);
    expect_all(started, 1, LLM_OK);
}


/* An SSE event of type "error" is one, whatever it holds. */
static void
test_error_event(void **state)
{
    size_t  i;
    seen_t  s;

    static const row_t  rows[] = {
        { "{\"error\":{\"message\":\"No.\"}}",
          "error message=No. status=0\n" },
        { "{\"message\":\"No.\"}", "error message=No. status=0\n" },
        { "{\"choices\":[]}", "error status=0\n" },
        { "out of water", "error message(plain)=out of water status=0\n" },
        { "{\"cut", "error status=0\n" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(seen_decode(&s, rows[i].data, "error", 1, 0),
                         LLM_OK);
        assert_string_equal(s.text, rows[i].expect);
    }

    assert_int_equal(seen_decode(&s, "{\"choices\":[]}", "message", 1, 0),
                     LLM_OK);
    assert_string_equal(s.text, "");
}


/* A body with nothing and one with all that can be said, of each dialect
 * that has no test of its own for it. */
static void
test_error_body(void **state)
{
    size_t       i;
    unit_out_t   o;
    llm_error_t  err;

    static const struct {
        const llm_dialect_t  *dialect;
        const char           *bare;
        const char           *full;
    } rows[] = {
        { &llm_dialect_openai,
          "{\"error\":{\"message\":null,\"type\":null,\"param\":null,"
          "\"code\":null}}",
          "{\"error\":{\"message\":\"a\\nb\",\"type\":\"t\",\"param\":\"p\","
          "\"code\":\"429\"}}" },
        { &llm_dialect_simple,
          "{\"error\":null,\"code\":null,\"done\":true}",
          "{\"error\":\"a\\nb\",\"code\":\"429\",\"done\":true}" },
        { &llm_dialect_typed,
          "{\"type\":\"error\",\"data\":{\"message\":null,\"type\":null,"
          "\"code\":null}}",
          "{\"type\":\"error\",\"data\":{\"message\":\"a\\nb\",\"type\":\"t\","
          "\"code\":\"429\"}}" },
        { &llm_dialect_text, "\n", "a\nb\n" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(&err, 0, sizeof(llm_error_t));

        unit_out_init(&o, 1, 0);
        rows[i].dialect->error_body(&o.out, &err);
        unit_out_end(&o);
        assert_string_equal((char *) o.p, rows[i].bare);
        unit_out_free(&o);

        err.message = client_slice("a\\nb");
        err.type = client_slice("t");
        err.param = client_slice("p");
        err.code = client_slice("429");

        unit_out_init(&o, 1, 0);
        rows[i].dialect->error_body(&o.out, &err);
        unit_out_end(&o);
        assert_string_equal((char *) o.p, rows[i].full);
        unit_out_free(&o);
    }
}


static void
test_faults(void **state)
{
    int                      i, k;
    llm_fault_t              f;
    const llm_fault_info_t  *a, *b;

    (void) state;

    for (i = LLM_FAULT_NONE + 1; i < LLM_FAULT_MAX; i++) {
        a = llm_fault_info((llm_fault_t) i);

        assert_true(a->code.n != 0 && a->type.n != 0);
        assert_true(llm_end_name(a->end).n != 0);
        assert_in_range(a->status, 400, 504);

        /* a sentence, that needs no escapes anywhere */

        assert_in_range(a->message.p[0], 'A', 'Z');
        assert_int_equal(a->message.p[a->message.n - 1], '.');
        assert_null(memchr(a->message.p, '"', a->message.n));
        assert_null(memchr(a->message.p, '\\', a->message.n));

        for (k = 1; k < i; k++) {
            b = llm_fault_info((llm_fault_t) k);
            assert_false(a->code.n == b->code.n
                         && memcmp(a->code.p, b->code.p, a->code.n) == 0);
        }
    }

    assert_ptr_equal(llm_fault_info(LLM_FAULT_MAX),
                     llm_fault_info(LLM_FAULT_INTERNAL));

    for (i = 400; i < 600; i++) {
        f = llm_fault_by_status(i);
        assert_int_equal(llm_fault_info(f)->status / 100, i / 100);
    }

    assert_int_equal(llm_fault_by_status(413), LLM_FAULT_TOO_LARGE);
    assert_int_equal(llm_fault_by_status(429), LLM_FAULT_RATE_LIMIT);
    assert_int_equal(llm_fault_by_status(503), LLM_FAULT_BUSY);
    assert_int_equal(llm_fault_by_status(504), LLM_FAULT_TIMEOUT_HEADER);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_error_start),
        cmocka_unit_test(test_error_event),
        cmocka_unit_test(test_error_body),
        cmocka_unit_test(test_faults)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
