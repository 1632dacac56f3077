/*
 * Ollama's chat and generate: events to lines and answers.
 */

#include "unit_codec.h"

#include "llm_encode.h"


#define CHAT      &llm_dialect_ollama
#define GENERATE  &llm_dialect_generate
#define OPENAI    &llm_dialect_openai

/* what every line of a client begins with */
#define HEAD                                                                \
    "{\"model\":\"river\",\"created_at\":\"2023-11-14T22:13:20Z\","
#define MESSAGE  HEAD "\"message\":{\"role\":\"assistant\",\"content\":\""
#define RESPONSE HEAD "\"response\":\""
#define TIMES                                                               \
    ",\"total_duration\":0,\"load_duration\":0,\"prompt_eval_duration\":0,"  \
    "\"eval_duration\":0}\n"


/* A stream, or one answer, of openai as this dialect's stream or answer. */
static void
check_client(const llm_dialect_t *to, const char *stream, unsigned answer,
    const char *expect)
{
    char      *out;
    llm_rc_t   rc;

    out = codec_convert(OPENAI, to, stream, strlen(stream), 0, answer, &rc);
    assert_int_equal(rc, LLM_OK);

    if (strcmp(out, expect) != 0) {
        fail_msg("got:\n%s\nexpected:\n%s", out, expect);
    }

    free(out);
}


/* A chunk of openai with a delta; one with a finish reason. */
#define DELTA(delta)                                                        \
    "data: {\"id\":\"c\",\"model\":\"river\",\"created\":5,\"choices\":["   \
    "{\"index\":0,\"delta\":" delta "}]}\n\n"
#define FINISH(word)                                                        \
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\""    \
    word "\"}]}\n\n"
#define USAGE                                                               \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,"                 \
    "\"completion_tokens\":3,\"prompt_tokens_details\":"                    \
    "{\"cached_tokens\":2}}}\n\n"
#define DONE  "data: [DONE]\n\n"
#define CALL(index, id, args)                                               \
    DELTA("{\"tool_calls\":[{\"index\":" index ",\"id\":\"" id "\","        \
          "\"type\":\"function\",\"function\":{\"name\":\"f" index "\","    \
          "\"arguments\":\"" args "\"}}]}")
#define MORE(index, args)                                                   \
    DELTA("{\"tool_calls\":[{\"index\":" index ",\"function\":"             \
          "{\"arguments\":\"" args "\"}}]}")


static void
test_client_stream(void **state)
{
    (void) state;

    check_client(CHAT,
        DELTA("{\"role\":\"assistant\",\"content\":\"\"}")
        DELTA("{\"reasoning_content\":\"Hm\"}")
        DELTA("{\"content\":\"One\\n\"}") DELTA("{\"refusal\":\"No\"}")
        FINISH("stop") USAGE DONE, 0,
        MESSAGE "\",\"thinking\":\"Hm\"},\"done\":false}\n"
        MESSAGE "One\\n\"},\"done\":false}\n"
        MESSAGE "No\"},\"done\":false}\n"
        MESSAGE "\"},\"done\":true,\"done_reason\":\"stop\","
        "\"total_duration\":0,\"load_duration\":0,\"prompt_eval_count\":7,"
        "\"prompt_eval_cached_count\":2,\"prompt_eval_duration\":0,"
        "\"eval_count\":3,\"eval_duration\":0}\n");

    check_client(GENERATE,
        DELTA("{\"reasoning_content\":\"Hm\"}") DELTA("{\"content\":\"One\"}")
        CALL("0", "a", "{}") FINISH("length") DONE, 0,
        RESPONSE "\",\"thinking\":\"Hm\",\"done\":false}\n"
        RESPONSE "One\",\"done\":false}\n"
        RESPONSE "\",\"done\":true,\"done_reason\":\"length\"" TIMES);

    /* no reason was given, and none is invented; no model either */

    check_client(CHAT, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}"
        "\n\n" DONE, 0,
        "{\"model\":\"\",\"created_at\":\"2023-11-14T22:13:20Z\",\"message\":"
        "{\"role\":\"assistant\",\"content\":\"a\"},\"done\":false}\n"
        "{\"model\":\"\",\"created_at\":\"2023-11-14T22:13:20Z\",\"message\":"
        "{\"role\":\"assistant\",\"content\":\"\"},\"done\":true" TIMES);

    /* an error, and nothing behind it; a cut stream has no last line */

    check_client(CHAT, DELTA("{\"content\":\"a\"}")
        "data: {\"error\":{\"message\":\"sl\\u006fw\\n\"}}\n\n", 0,
        MESSAGE "a\"},\"done\":false}\n{\"error\":\"sl\\u006fw\\n\"}\n");

    check_client(GENERATE, DELTA("{\"content\":\"a\"}"), 0,
        RESPONSE "a\",\"done\":false}\n");

    /* other choices than the first cannot be said */

    check_client(CHAT, DELTA("{\"content\":\"a\"}")
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"},"
        "\"finish_reason\":\"length\"}]}\n\n"
        FINISH("content_filter") DONE, 0,
        MESSAGE "a\"},\"done\":false}\n"
        MESSAGE "\"},\"done\":true,\"done_reason\":\"content_filter\""
        TIMES);

    /* log probabilities in a line of their own */

    check_client(CHAT,
        "data: {\"model\":\"river\",\"choices\":[{\"delta\":{\"content\":"
        "\"a\"},\"logprobs\":{\"content\":[{\"token\":\"a\"}]}}]}\n\n", 0,
        MESSAGE "a\"},\"done\":false}\n"
        MESSAGE "\"},\"logprobs\":[{\"token\":\"a\"}],\"done\":false}\n");
}


/* Calls in fragments are gathered, interleaved or not, and go out whole when
 * the choice ends. */
static void
test_client_calls(void **state)
{
    (void) state;

    check_client(CHAT,
        CALL("0", "c0", "{\\\"a\\\"") CALL("1", "c1", "")
        MORE("0", ":\\\"x\\\\ny\\\"}") MORE("1", " {\\n} ")
        DELTA("{\"content\":\"a\"}")
        CALL("2", "c2", "") FINISH("tool_calls") DONE, 0,
        MESSAGE "a\"},\"done\":false}\n"
        MESSAGE "\",\"tool_calls\":[{\"id\":\"c0\",\"function\":{\"index\":0,"
        "\"name\":\"f0\",\"arguments\":{\"a\":\"x\\ny\"}}}]},"
        "\"done\":false}\n"
        MESSAGE "\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"index\":1,"
        "\"name\":\"f1\",\"arguments\": {} }}]},\"done\":false}\n"
        MESSAGE "\",\"tool_calls\":[{\"id\":\"c2\",\"function\":{\"index\":2,"
        "\"name\":\"f2\",\"arguments\":{}}}]},\"done\":false}\n"
        MESSAGE "\"},\"done\":true,\"done_reason\":\"stop\"" TIMES);

    /* cut by the limit: what is whole is said */

    check_client(CHAT, CALL("0", "c0", "{}") CALL("1", "c1", "{\\\"a\\\":")
        FINISH("length") DONE, 0,
        MESSAGE "\",\"tool_calls\":[{\"id\":\"c0\",\"function\":{\"index\":0,"
        "\"name\":\"f0\",\"arguments\":{}}}]},\"done\":false}\n"
        MESSAGE "\"},\"done\":true,\"done_reason\":\"length\"" TIMES);

    check_client(CHAT, CALL("0", "c0", "{}") CALL("1", "c1", "{\\\"a\\\":")
        FINISH("length") DONE, 1,
        "{\"model\":\"river\",\"created_at\":\"1970-01-01T00:00:05Z\","
        "\"message\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":"
        "[{\"id\":\"c0\",\"function\":{\"index\":0,\"name\":\"f0\","
        "\"arguments\":{}}}]},\"done\":true,\"done_reason\":\"length\","
        "\"total_duration\":0,\"load_duration\":0,\"prompt_eval_duration\":0,"
        "\"eval_duration\":0}");
}


/* Arguments that are no object, and a reason that does not explain it. */
static void
test_client_broken(void **state)
{
    char      *out;
    size_t     i, k;
    llm_rc_t   rc;

    static const char *const  streams[] = {
        CALL("0", "c0", "{\\\"a\\\":") FINISH("tool_calls") DONE,
        CALL("0", "c0", "[1]") FINISH("stop") DONE,
        CALL("0", "c0", "{}{}") DONE
    };

    (void) state;

    for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        for (k = 0; k < 2; k++) {
            out = codec_convert(OPENAI, CHAT, streams[i], strlen(streams[i]),
                                0, (unsigned) k, &rc);
            assert_int_equal(rc, LLM_INVALID);

            assert_string_equal(out, "");
            free(out);
        }
    }
}


/* Calls that come whole go out at once: the ones of this very dialect. */
static void
test_client_whole(void **state)
{
    char      *path, *out, *again;
    size_t     n;
    json_t    *a, *b;
    llm_u8    *p;
    llm_rc_t   rc;

    (void) state;

    path = unit_path("t/fixtures/ollama/tool-calls.ndjson");
    p = unit_read(path, &n);
    out = codec_convert(CHAT, CHAT, p, n, 0, 0, &rc);
    assert_int_equal(rc, LLM_OK);

    a = codec_stream(CHAT, p, n);
    b = codec_text(CHAT, out);
    json_object_del(a, "created");
    json_object_del(b, "created");
    assert_true(json_equal(a, b));
    json_decref(b);

    /* and as one answer */

    again = codec_convert(CHAT, CHAT, p, n, 0, 1, &rc);
    assert_int_equal(rc, LLM_OK);
    b = codec_answer(CHAT, again, strlen(again));
    json_object_del(b, "created");
    assert_true(json_equal(a, b));

    json_decref(a);
    json_decref(b);
    free(out);
    free(again);
    free(p);
    free(path);
}


static void
test_client_answer(void **state)
{
    (void) state;

    check_client(CHAT,
        DELTA("{\"reasoning_content\":\"Hm\"}") DELTA("{\"content\":\"One\"}")
        DELTA("{\"content\":\" two\"}") DELTA("{\"refusal\":\" No\"}")
        FINISH("stop") USAGE DONE, 1,
        "{\"model\":\"river\",\"created_at\":\"1970-01-01T00:00:05Z\","
        "\"message\":{\"role\":\"assistant\",\"content\":\"One two No\","
        "\"thinking\":\"Hm\"},\"done\":true,\"done_reason\":\"stop\","
        "\"total_duration\":0,\"load_duration\":0,\"prompt_eval_count\":7,"
        "\"prompt_eval_cached_count\":2,\"prompt_eval_duration\":0,"
        "\"eval_count\":3,\"eval_duration\":0}");

    check_client(GENERATE,
        DELTA("{\"content\":\"One\"}") CALL("0", "a", "{\\\"")
        "data: {\"choices\":[{\"delta\":{},\"logprobs\":{\"content\":["
        "{\"token\":\"a\"}]}}]}\n\n"
        "data: {\"choices\":[{\"delta\":{},\"logprobs\":{\"content\":["
        "{\"token\":\"b\"}]}}]}\n\n" FINISH("length") DONE, 1,
        "{\"model\":\"river\",\"created_at\":\"1970-01-01T00:00:05Z\","
        "\"response\":\"One\",\"logprobs\":[{\"token\":\"a\"},"
        "{\"token\":\"b\"}],\"done\":true,\"done_reason\":\"length\","
        "\"total_duration\":0,\"load_duration\":0,\"prompt_eval_duration\":0,"
        "\"eval_duration\":0}");

    check_client(CHAT, DONE, 1,
        "{\"model\":\"\",\"created_at\":\"2023-11-14T22:13:20Z\",\"message\":"
        "{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,"
        "\"total_duration\":0,\"load_duration\":0,\"prompt_eval_duration\":0,"
        "\"eval_duration\":0}");
}


/* The model's name is repeated in each line: only so much of it is. */
static void
test_client_label(void **state)
{
    char      *out, *text, *p;
    size_t     n;
    llm_rc_t   rc;

    (void) state;

    text = malloc(20000);
    assert_non_null(text);

    n = (size_t) sprintf(text, "{\"model\":\"");
    memset(text + n, 'm', 10000);
    n += 10000;
    sprintf(text + n, "\",\"response\":\"a\xe2\x80\xa8\",\"done\":true}");

    out = codec_convert(GENERATE, CHAT, text, strlen(text), 0, 0, &rc);
    assert_int_equal(rc, LLM_OK);

    p = strchr(out, 'd');
    p = strstr(p, "mmm");
    assert_int_equal(strspn(p, "m"), 256);

    free(out);
    free(text);
}


static void
test_error_body(void **state)
{
    char         *out;
    llm_error_t   err;

    (void) state;

    memset(&err, 0, sizeof(llm_error_t));
    err.message = llm_slice("no \"such\" model\n");
    err.type = llm_slice("not_found");

    out = codec_error(CHAT, &err);
    assert_string_equal(out, "{\"error\":\"no \\\"such\\\" model\\n\"}");
    free(out);

    err.message = llm_slice_null;
    out = codec_error(GENERATE, &err);
    assert_string_equal(out, "{\"error\":\"not_found\"}");
    free(out);

    err.type = llm_slice_null;
    out = codec_error(CHAT, &err);
    assert_string_equal(out, "{\"error\":\"error\"}");
    free(out);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_stream),
        cmocka_unit_test(test_client_calls),
        cmocka_unit_test(test_client_broken),
        cmocka_unit_test(test_client_whole),
        cmocka_unit_test(test_client_answer),
        cmocka_unit_test(test_client_label),
        cmocka_unit_test(test_error_body)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
