/*
 * Errors of providers: every shape they come in, status, class and retry
 * hint; the words of each class; hostile bodies; what was recorded.
 */

#include "unit_support.h"
#include "llm_error.h"


#define RECORDED  "../shared/recorded"


static llm_slice_t
text_slice(const char *text)
{
    return (llm_slice_t) { (const llm_u8 *) text, strlen(text), 0 };
}


static void
expect_slice(const char *data, const char *what, const llm_slice_t *s,
    const char *want)
{
    if (want == NULL) {
        if (s->p != NULL) {
            fail_msg("%s: %s is %.*s", data, what, (int) s->n, s->p);
        }

        return;
    }

    if (s->p == NULL || s->n != strlen(want) || memcmp(s->p, want, s->n) != 0)
    {
        fail_msg("%s: %s is %.*s, not %s", data, what, (int) s->n,
                 s->p != NULL ? (const char *) s->p : "", want);
    }

    assert_int_equal(s->escaped, 1);
}


typedef struct {
    const char         *data;
    const char         *message;    /* NULL: absent */
    const char         *type;
    const char         *code;
    int                 status;
    int64_t             retry_after;
    llm_error_class_t   cls;
} shape_t;


static const shape_t  openai_shapes[] = {
    { "{\"error\":{\"message\":\"No.\",\"type\":\"invalid_request_error\","
      "\"param\":null,\"code\":\"invalid_api_key\"}}",
      "No.", "invalid_request_error", "invalid_api_key", 401, -1,
      LLM_ERROR_AUTH },
    { "{\"error\":{\"type\":\"insufficient_quota\",\"code\":"
      "\"insufficient_quota\",\"message\":\"No.\"}}",
      "No.", "insufficient_quota", "insufficient_quota", 429, -1,
      LLM_ERROR_CREDIT },
    { "{\"error\":{\"code\":\"context_length_exceeded\",\"type\":"
      "\"invalid_request_error\"}}",
      NULL, "invalid_request_error", "context_length_exceeded", 400, -1,
      LLM_ERROR_TOO_LARGE },
    { "{\"error\":{\"code\":\"content_filter\",\"status\":400,\"message\":"
      "\"No.\",\"innererror\":{\"code\":\"x\"}}}",
      "No.", NULL, "content_filter", 400, -1, LLM_ERROR_BLOCKED },
    { "{\"error\":{\"code\":\"401\",\"message\":\"No.\"}}",
      "No.", NULL, "401", 401, -1, LLM_ERROR_AUTH },
    { "{\"error\":{\"code\":502,\"message\":\"No.\",\"metadata\":"
      "{\"provider_name\":\"p\",\"raw\":\"r\"}},\"user_id\":\"u\"}",
      "No.", NULL, "502", 502, -1, LLM_ERROR_GATEWAY },
    { "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":"
      "\"unavailable_error\"}}",
      "Loading model", "unavailable_error", "503", 503, -1,
      LLM_ERROR_OVERLOADED },
    { "{\"error\":{\"message\":\"A\"},\"message\":\"B\",\"code\":\"x\"}",
      "A", NULL, NULL, 0, -1, LLM_ERROR_UNKNOWN },
    { "\n\n {\"error\":{\"message\":\"A\"}} ", "A", NULL, NULL, 0, -1,
      LLM_ERROR_UNKNOWN },
    { "{\"error\":{\"message\":7,\"code\":[1],\"type\":{},\"status\":null}}",
      NULL, NULL, NULL, 0, -1, LLM_ERROR_UNKNOWN },
    { "{\"error\":{}}", NULL, NULL, NULL, 0, -1, LLM_ERROR_UNKNOWN },

    /* flat */

    { "{\"object\":\"error\",\"message\":\"No.\",\"type\":\"NotFoundError\","
      "\"param\":null,\"code\":404}",
      "No.", "NotFoundError", "404", 404, -1, LLM_ERROR_NOT_FOUND },
    { "{\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":"
      "\"No.\",\"param\":null,\"sequence_number\":2}",
      "No.", NULL, "rate_limit_exceeded", 429, -1, LLM_ERROR_RATE },
    { "{\"detail\":\"Unauthorized\"}", "Unauthorized", NULL, NULL, 0, -1,
      LLM_ERROR_UNKNOWN },
    { "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"field required\","
      "\"type\":\"value_error\"}]}", "field required", "value_error", NULL, 0,
      -1, LLM_ERROR_UNKNOWN },
    { "{\"message\":\"Unauthorized\",\"request_id\":\"r\"}", "Unauthorized",
      NULL, NULL, 0, -1, LLM_ERROR_UNKNOWN },
    { "{\"id\":\"7\",\"message\":\"removed\"}", "removed", NULL, NULL, 0, -1,
      LLM_ERROR_UNKNOWN },
    { "{\"code\":\"Some words\",\"error\":\"gone\"}", "gone", NULL,
      "Some words", 0, -1, LLM_ERROR_UNKNOWN },
    { "{\"error\":\"model 'x' not found\"}", "model 'x' not found", NULL,
      NULL, 0, -1, LLM_ERROR_UNKNOWN },
    { "{\"statusCode\":503,\"success\":false,\"message\":\"No.\",\"stack\":"
      "{}}", "No.", NULL, NULL, 503, -1, LLM_ERROR_OVERLOADED }
};


static const shape_t  other_shapes[] = {
    { "{\"type\":\"error\",\"error\":{\"details\":null,\"type\":"
      "\"overloaded_error\",\"message\":\"Overloaded\"},\"request_id\":"
      "\"req_1\"}",
      "Overloaded", "overloaded_error", NULL, 529, -1,
      LLM_ERROR_OVERLOADED },
    { "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\","
      "\"message\":\"A\"}}", "A", "not_found_error", NULL, 404, -1,
      LLM_ERROR_NOT_FOUND },
    { "{\"type\":\"error\",\"error\":{\"type\":\"billing_error\"}}",
      NULL, "billing_error", NULL, 402, -1, LLM_ERROR_CREDIT },
    { "{\"type\":\"error\",\"sequence_number\":2,\"error\":{\"type\":"
      "\"server_error\",\"code\":\"server_error\",\"message\":\"A\","
      "\"param\":null}}",
      "A", "server_error", "server_error", 500, -1, LLM_ERROR_SERVER },

    /* Google's, bare and as the only element of an array */

    { "{\"error\":{\"code\":503,\"message\":\"A\",\"status\":"
      "\"UNAVAILABLE\"}}", "A", NULL, "503", 503, -1, LLM_ERROR_OVERLOADED },
    { "[{\"error\":{\"code\":1,\"message\":\"A\",\"status\":"
      "\"DEADLINE_EXCEEDED\"}}\n]", "A", NULL, "1", 504, -1,
      LLM_ERROR_TIMEOUT },
    { "[{\"message\":\"A\",\"code\":404}]", "A", NULL, "404", 404, -1,
      LLM_ERROR_NOT_FOUND },
    { "{\"error\":{\"code\":429,\"message\":\"A\",\"status\":"
      "\"RESOURCE_EXHAUSTED\",\"details\":[4,{\"@type\":\"x\",\"a\":[{}]},"
      "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
      "\"retryDelay\":\"34.4s\"}]}}", "A", NULL, "429", 429, 34400,
      LLM_ERROR_RATE },
    { "{\"error\":{\"code\":400,\"message\":\"A\",\"status\":"
      "\"INVALID_ARGUMENT\",\"details\":[{\"reason\":\"API_KEY_INVALID\"}]}}",
      "A", NULL, "API_KEY_INVALID", 400, -1, LLM_ERROR_AUTH },
    { "{\"error\":{\"code\":400,\"message\":\"A\",\"details\":"
      "[{\"reason\":\"SOMETHING\"}]}}",
      "A", NULL, "400", 400, -1, LLM_ERROR_BAD_REQUEST },
    { "{\"error\":{\"code\":\"model_not_found\",\"details\":"
      "[{\"reason\":\"API_KEY_INVALID\"}]}}",
      NULL, NULL, "model_not_found", 404, -1, LLM_ERROR_NOT_FOUND },

    /* details beside the error are not its own */

    { "{\"error\":{\"message\":\"A\"},\"details\":[{\"retryDelay\":\"9s\"}]}",
      "A", NULL, NULL, 0, -1, LLM_ERROR_UNKNOWN },

    { "{\"error\":\"Model x is loading\",\"estimated_time\":20.5}",
      "Model x is loading", NULL, NULL, 503, 20500, LLM_ERROR_OVERLOADED },
    { "{\"error\":\"A\",\"estimated_time\":\"20\"}", "A", NULL, NULL, 0, -1,
      LLM_ERROR_UNKNOWN },
    { "{\"error\":\"A\",\"estimated_time\":-2e1}", "A", NULL, NULL, 0, -1,
      LLM_ERROR_UNKNOWN },

    { "{\"error\":{\"message\":\"Limit. Please try again in 6.78s. Bye.\","
      "\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}",
      "Limit. Please try again in 6.78s. Bye.", "tokens",
      "rate_limit_exceeded", 429, 6780, LLM_ERROR_RATE },
    { "{\"error\":{\"message\":\"Please try again in 6.78s.\",\"code\":503}}",
      "Please try again in 6.78s.", NULL, "503", 503, -1,
      LLM_ERROR_OVERLOADED }
};


static void
expect_shapes(const shape_t *rows, size_t n)
{
    size_t       i;
    llm_error_t  err;
    llm_slice_t  data;

    for (i = 0; i < n; i++) {
        data = text_slice(rows[i].data);

        if (llm_error_read(&data, &err) != LLM_OK) {
            fail_msg("%s is no error", rows[i].data);
        }

        expect_slice(rows[i].data, "message", &err.message, rows[i].message);
        expect_slice(rows[i].data, "type", &err.type, rows[i].type);
        expect_slice(rows[i].data, "code", &err.code, rows[i].code);

        if (err.status != rows[i].status || err.cls != rows[i].cls
            || err.retry_after != rows[i].retry_after)
        {
            fail_msg("%s: status %d, class %d, retry %lld", rows[i].data,
                     err.status, err.cls, (long long) err.retry_after);
        }
    }
}


static void
test_shapes(void **state)
{
    (void) state;

    expect_shapes(openai_shapes,
                  sizeof(openai_shapes) / sizeof(openai_shapes[0]));
    expect_shapes(other_shapes,
                  sizeof(other_shapes) / sizeof(other_shapes[0]));
}


static void
test_none(void **state)
{
    size_t       i;
    llm_error_t  err;
    llm_slice_t  data;

    static const char *const  rows[] = {
        "", "null", "\"error\"", "[]", "{}", "{\"choices\":[]}",
        "{\"detail\":[]}", "{\"detail\":[4,[{\"msg\":\"x\"}]]}",
        "{\"detail\":{\"msg\":\"x\"}}", "{\"error\":null}", "{\"error\":[]}",
        "{\"error\":true}", "{\"message\":{\"content\":\"Hi\"}}",
        "[{\"error\":{}},{}]", "[[{\"error\":{}}]]", "[{\"error\":{}}",
        "<html>", "{\"error\":{\"message\":\"cut", "{\"error\":{}}}",
        "{\"error\":{\"message\":\"A\"},}"
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        data = text_slice(rows[i]);

        if (llm_error_read(&data, &err) != LLM_INVALID) {
            fail_msg("%s is an error", rows[i]);
        }

        assert_null(err.message.p);
        assert_null(err.type.p);
        assert_null(err.code.p);
        assert_int_equal(err.status, 0);
        assert_int_equal(err.cls, LLM_ERROR_UNKNOWN);
        assert_true(err.retry_after == -1);
    }

    /* no message, but something that was said */

    data = text_slice("{\"object\":\"error\",\"code\":404,\"type\":\"t\"}");
    assert_int_equal(llm_error_read(&data, &err), LLM_INVALID);
    assert_int_equal(err.status, 404);
    assert_int_equal(err.cls, LLM_ERROR_NOT_FOUND);
    expect_slice("flat", "type", &err.type, "t");
    expect_slice("flat", "code", &err.code, "404");
}


static void
test_waits(void **state)
{
    size_t       i;
    char         text[256];
    llm_error_t  err;
    llm_slice_t  data;

    static const struct {
        const char  *text;
        int64_t      wait;
    } rows[] = {
        { "0s", 0 },
        { "7s", 7000 },
        { "34.074824224s", 34075 },
        { "1.000s", 1000 },
        { "0.0001s", 1 },
        { "350ms", 350 },
        { "1.5ms", 2 },
        { "2m", 120000 },
        { "1m26.4s", 86400 },
        { "1h2m3s", 3723000 },
        { "24h", 86400000 },
        { "99999999999999999999h99999999999999999999h", 86400000 },
        { "", -1 },
        { "s", -1 },
        { "7", -1 },
        { "7 s", -1 },
        { "-7s", -1 },
        { ".5s", -1 },
        { "7d", -1 },
        { "7seconds", -1 },
        { "1.", -1 },
        { "1m2", -1 }
    };

    static const char *const  shapes[] = {
        "{\"error\":{\"code\":429,\"details\":[{\"retryDelay\":\"%s\"}]}}",
        "{\"error\":{\"code\":429,\"message\":\"try again in %s\"}}",
        "{\"code\":429,\"message\":\"try again in a, try again in %s\"}"
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]) * 3; i++) {
        (void) snprintf(text, sizeof(text), shapes[i % 3], rows[i / 3].text);

        data = text_slice(text);
        assert_int_equal(llm_error_read(&data, &err), LLM_OK);

        /* only the first hint of a message is read */

        if (err.retry_after != (i % 3 == 2 ? -1 : rows[i / 3].wait)) {
            fail_msg("%s: %lld", text, (long long) err.retry_after);
        }
    }
}


/* A status from elsewhere outweighs words that are said of anything, but not
 * the others. */
static void
test_classify(void **state)
{
    size_t       i;
    llm_error_t  err;

    static const struct {
        const char         *type;
        const char         *code;
        int                 status;
        llm_error_class_t   cls;
    } rows[] = {
        { NULL, NULL, 0, LLM_ERROR_UNKNOWN },
        { NULL, NULL, 200, LLM_ERROR_UNKNOWN },
        { NULL, NULL, 400, LLM_ERROR_BAD_REQUEST },
        { NULL, NULL, 401, LLM_ERROR_AUTH },
        { NULL, NULL, 402, LLM_ERROR_CREDIT },
        { NULL, NULL, 403, LLM_ERROR_FORBIDDEN },
        { NULL, NULL, 404, LLM_ERROR_NOT_FOUND },
        { NULL, NULL, 405, LLM_ERROR_METHOD },
        { NULL, NULL, 408, LLM_ERROR_TIMEOUT },
        { NULL, NULL, 409, LLM_ERROR_BAD_REQUEST },
        { NULL, NULL, 413, LLM_ERROR_TOO_LARGE },
        { NULL, NULL, 422, LLM_ERROR_BAD_REQUEST },
        { NULL, NULL, 429, LLM_ERROR_RATE },
        { NULL, NULL, 500, LLM_ERROR_SERVER },
        { NULL, NULL, 502, LLM_ERROR_GATEWAY },
        { NULL, NULL, 503, LLM_ERROR_OVERLOADED },
        { NULL, NULL, 504, LLM_ERROR_TIMEOUT },
        { NULL, NULL, 529, LLM_ERROR_OVERLOADED },
        { NULL, NULL, 599, LLM_ERROR_SERVER },
        { "invalid_request_error", NULL, 401, LLM_ERROR_AUTH },
        { "invalid_request_error", NULL, 0, LLM_ERROR_BAD_REQUEST },
        { "server_error", "x", 503, LLM_ERROR_OVERLOADED },
        { "api_error", "server_error", 0, LLM_ERROR_SERVER },
        { "x", "y", 0, LLM_ERROR_UNKNOWN },
        { "rate_limit_error", NULL, 400, LLM_ERROR_RATE },
        { "overloaded_error", "context_length_exceeded", 500,
          LLM_ERROR_TOO_LARGE },
        { "insufficient_quota", NULL, 429, LLM_ERROR_CREDIT }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(&err, 0, sizeof(llm_error_t));

        err.status = rows[i].status;
        err.cls = LLM_ERROR_METHOD;

        if (rows[i].type != NULL) {
            err.type = text_slice(rows[i].type);
        }

        if (rows[i].code != NULL) {
            err.code = text_slice(rows[i].code);
        }

        llm_error_classify(&err);

        if (err.cls != rows[i].cls) {
            fail_msg("row %zu: class %d", i, err.cls);
        }
    }
}


/* Every class has words, and an error made of them is of the class again. */
static void
test_words(void **state)
{
    int                       i;
    llm_error_t               err;
    const llm_error_words_t  *w;

    (void) state;

    for (i = LLM_ERROR_UNKNOWN + 1; i < LLM_ERROR_MAX; i++) {
        w = llm_error_words((llm_error_class_t) i);

        assert_in_range(w->status, 400, 504);
        assert_in_range(w->anthropic_status, 400, 529);
        assert_true(w->openai_type.n != 0);
        assert_true(w->anthropic_type.n != 0);
        assert_true(w->gemini_status.n != 0);

        memset(&err, 0, sizeof(llm_error_t));
        err.type = w->openai_type;
        err.code = w->openai_code;
        err.status = w->status;
        llm_error_classify(&err);
        assert_int_equal(err.cls, i);

        /* Anthropic has no words for a filtered prompt */

        if (i == LLM_ERROR_BLOCKED) {
            continue;
        }

        memset(&err, 0, sizeof(llm_error_t));
        err.type = w->anthropic_type;
        err.status = w->anthropic_status;
        llm_error_classify(&err);
        assert_int_equal(err.cls, i);
    }

    assert_ptr_equal(llm_error_words(LLM_ERROR_MAX),
                     llm_error_words(LLM_ERROR_UNKNOWN));
    assert_int_equal(llm_error_words(LLM_ERROR_UNKNOWN)->status, 502);
    assert_int_equal(llm_error_words(LLM_ERROR_OVERLOADED)->anthropic_status,
                     529);
}


/* Every beginning of a body, in memory of just that size. */
static void
test_cut(void **state)
{
    size_t       i, n;
    llm_u8      *p;
    llm_error_t  err;
    llm_slice_t  data;

    static const char  text[] =
        "[{\"error\":{\"code\":429,\"message\":\"try again in 1m2.5s\","
        "\"details\":[{\"retryDelay\":\"7.5s\",\"reason\":\"x\"}]},"
        "\"estimated_time\":2.5}]";

    (void) state;

    n = sizeof(text) - 1;

    for (i = 0; i <= n; i++) {
        p = unit_copy(text, i);
        data = (llm_slice_t) { p, i, 0 };

        assert_int_equal(llm_error_read(&data, &err),
                         i == n ? LLM_OK : LLM_INVALID);
        assert_true(err.retry_after == (i == n ? 7500 : -1));
        free(p);
    }
}


/* Deep and long bodies: refused or read, in linear time. */
static void
test_large(void **state)
{
    size_t       i, n;
    char        *p;
    llm_error_t  err;
    llm_slice_t  data;

    static const char  head[] = "{\"error\":{\"code\":429,\"message\":\"";
    static const char  tail[] = "\"}}";
    static const char  hint[] = "try again i";

    (void) state;

    n = 4 * 1024 * 1024;
    p = malloc(n + 64);
    assert_non_null(p);

    memset(p, '[', n);
    data = (llm_slice_t) { (const llm_u8 *) p, n, 0 };
    assert_int_equal(llm_error_read(&data, &err), LLM_INVALID);

    memcpy(p, head, sizeof(head) - 1);

    for (i = sizeof(head) - 1; i < n; i += sizeof(hint) - 1) {
        memcpy(p + i, hint, sizeof(hint) - 1);
    }

    memcpy(p + i, tail, sizeof(tail) - 1);
    data.n = i + sizeof(tail) - 1;

    assert_int_equal(llm_error_read(&data, &err), LLM_OK);
    assert_int_equal(err.cls, LLM_ERROR_RATE);
    assert_true(err.retry_after == -1);
    assert_int_equal(err.message.n, i - (sizeof(head) - 1));

    free(p);
}


static const struct {
    const char         *name;
    int                 status;
    llm_error_class_t   cls;
    int64_t             retry_after;
} recorded[] = {
    { "azure-openai/error-404-deployment-not-found.json", 404,
      LLM_ERROR_NOT_FOUND, -1 },
    { "openai-chat/error-400-unsupported-parameter.json", 400,
      LLM_ERROR_BAD_REQUEST, -1 },
    { "openai-chat/error-401-mocked.json", 401, LLM_ERROR_AUTH, -1 },
    { "gemini/error-404-not-found.json", 404, LLM_ERROR_NOT_FOUND, -1 },
    { "gemini/error-400-vertex-invalid-role.json", 400,
      LLM_ERROR_BAD_REQUEST, -1 },
    { "gemini/error-429-retry-info.json", 429, LLM_ERROR_RATE, 34400 },
    { "anthropic-messages/error-404-model-not-found.json", 404,
      LLM_ERROR_NOT_FOUND, -1 },
    { "anthropic-messages/error-400-invalid-request.json", 400,
      LLM_ERROR_BAD_REQUEST, -1 },
    { "anthropic-messages/error-529-overloaded.json", 529,
      LLM_ERROR_OVERLOADED, -1 },
    { "openai-completions/error-404-model-not-found.json", 404,
      LLM_ERROR_NOT_FOUND, -1 },
    { "groq/error-404-model-not-found.json", 404, LLM_ERROR_NOT_FOUND,
      -1 },
    { "flowise/error-500.json", 500, LLM_ERROR_SERVER, -1 },
    { "cohere/error-404-model-removed.json", 0, LLM_ERROR_UNKNOWN, -1 }
};


/* 0: the file is not there. */
static unsigned
one_recorded(size_t i)
{
    char         *path, name[160];
    FILE         *there;
    size_t        n;
    llm_u8       *p;
    llm_error_t   err;
    llm_slice_t   data;

    (void) snprintf(name, sizeof(name), "%s/%s", RECORDED, recorded[i].name);
    path = unit_path(name);
    there = fopen(path, "r");

    if (there == NULL) {
        free(path);
        return 0;
    }

    fclose(there);

    p = unit_read(path, &n);
    data = (llm_slice_t) { p, n, 0 };

    assert_int_equal(llm_error_read(&data, &err), LLM_OK);
    assert_true(err.message.n > 0);
    assert_int_equal(err.status, recorded[i].status);
    assert_int_equal(err.cls, recorded[i].cls);
    assert_true(err.retry_after == recorded[i].retry_after);

    free(p);
    free(path);

    return 1;
}


static void
test_recorded(void **state)
{
    size_t  i, found;

    (void) state;

    found = 0;

    for (i = 0; i < sizeof(recorded) / sizeof(recorded[0]); i++) {
        found += one_recorded(i);
    }

    if (found == 0) {
        printf("# skipped: no errors in %s\n", RECORDED);
        skip();
    }

    assert_int_equal(found, sizeof(recorded) / sizeof(recorded[0]));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_classify),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_recorded)
    };

    return cmocka_run_group_tests_name("wire_error", tests, NULL, NULL);
}
