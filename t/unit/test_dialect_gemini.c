/*
 * Gemini's chunks and answers to events: what the fixtures say.
 */

#include "unit_codec.h"


#define GEMINI    (&llm_dialect_gemini)
#define FIXTURES  "t/fixtures/gemini"

#define LABEL     "\"id\":\"tide-0001\",\"model\":\"gemini-2.5-flash\","
#define VERTEX    "\"id\":\"tide-0001\",\"model\":\"gemini-3.1-pro-preview\"," \
                  "\"created\":1775149430,"


/* The gemini row for a stream that is an array. */
static llm_dialect_t
array_row(void)
{
    llm_dialect_t  row;

    row = llm_dialect_gemini;
    row.framing = LLM_FRAMING_ARRAY;

    return row;
}


static json_t *
read_fixture(const char *name)
{
    char          *path, file[128];
    size_t         n;
    json_t        *said;
    llm_u8        *p;
    llm_dialect_t  row;

    (void) snprintf(file, sizeof(file), "%s/%s", FIXTURES, name);
    path = unit_path(file);
    p = unit_read(path, &n);

    if (strstr(name, ".sse") != NULL) {
        said = codec_stream(GEMINI, p, n);

    } else if (strstr(name, ".json-array") != NULL) {
        row = array_row();
        said = codec_stream(&row, p, n);

    } else {
        said = codec_answer(GEMINI, p, n);
    }

    free(p);
    free(path);

    return said;
}


static void
check_fixture(const char *name, const char *expect)
{
    json_t  *said;

    said = read_fixture(name);
    codec_same(name, said, expect);
    json_decref(said);
}


static void
check_stream(const char *stream, const char *expect)
{
    json_t  *said;

    said = codec_text(GEMINI, stream);
    codec_same(stream, said, expect);
    json_decref(said);
}


static void
test_text(void **state)
{
    static const char  expect[] = "{" LABEL
        "\"choices\":{\"0\":{\"text\":\"The sea is \\\"deep\\\" \\\\ and blue "
        "\xe2\x80\x94 \xf0\x9f\x8c\x8a\\n\",\"finish\":\"stop\","
        "\"word\":\"STOP\"}},\"usage\":{\"input\":7,\"output\":12,"
        "\"cached\":3,\"total\":19},\"order\":\"start text usage text usage "
        "text usage finish usage\",\"end\":\"ok\"}";

    (void) state;

    check_fixture("text.sse", expect);
    check_fixture("lf.sse", expect);
    check_fixture("text.json-array", expect);
}


static void
test_thinking(void **state)
{
    static const char  expect[] = "{" LABEL
        "\"choices\":{\"0\":{\"text\":\"Twice a day.\",\"reasoning\":"
        "\"**Tides**\\n\\nMoon first. Then the sun.\",\"finish\":\"stop\","
        "\"word\":\"STOP\"}},\"usage\":{\"input\":5,\"output\":24,"
        "\"reasoning\":20,\"total\":29},\"order\":\"start reasoning usage "
        "reasoning usage text usage finish usage\",\"end\":\"ok\"}";

    (void) state;

    check_fixture("thinking.sse", expect);
    check_fixture("thinking.json-array", expect);
}


/* Google's own calls: whole, with and without an id. */
static void
test_calls(void **state)
{
    char        *args;
    size_t       i, k;
    json_t      *said, *calls, *call, *v;
    const char  *id, *first;

    static const char *const  names[] = { "get_tide", "get_wind", "now" };
    static const char *const  files[] = { "tool-calls.sse",
                                          "tool-calls.json-array" };

    (void) state;

    for (i = 0; i < 2; i++) {
        said = read_fixture(files[i]);
        calls = codec_at(said, "choices", "0", "calls");
        assert_int_equal(json_array_size(calls), 3);
        first = NULL;

        for (k = 0; k < 3; k++) {
            call = json_array_get(calls, k);
            assert_string_equal(codec_string(call, "name", NULL, NULL),
                                names[k]);
            assert_true(json_is_true(json_object_get(call, "whole")));

            id = codec_string(call, "id", NULL, NULL);

            if (k == 1) {
                assert_string_equal(id, "own-1");

            } else {
                assert_int_equal(strlen(id), 21);
                assert_int_equal(strncmp(id, "call_", 5), 0);
                assert_true(first == NULL || strcmp(first, id) != 0);
                first = id;
            }

            args = strdup(codec_string(call, "args", NULL, NULL));
            v = json_loads(args, 0, NULL);
            assert_true(json_is_object(v));
            assert_int_equal(json_object_size(v), k == 0 ? 3 : 0);
            json_decref(v);
            free(args);
        }

        assert_string_equal(codec_string(json_array_get(calls, 0),
                                         "signature", NULL, NULL),
                            "a2VlcA==");
        assert_string_equal(codec_string(said, "choices", "0", "finish"),
                            "tool_calls");
        assert_string_equal(codec_string(said, "choices", "0", "word"),
                            "STOP");
        assert_string_equal(codec_string(said, "choices", "0", "text"),
                            "Let me look.");
        json_decref(said);
    }
}


/* Arguments of the first call, or NULL when the stream is broken. */
static void
check_partial(const char *name, const char *args, const char *finish,
    const char *end)
{
    json_t      *said;
    const char  *got;

    said = read_fixture(name);
    got = codec_string(json_array_get(codec_at(said, "choices", "0",
                                               "calls"), 0),
                       "args", NULL, NULL);

    assert_string_equal(got, args);
    assert_string_equal(codec_string(said, "choices", "0", "finish"),
                        finish);
    assert_string_equal(codec_string(said, "end", NULL, NULL), end);
    json_decref(said);
}


static void
test_partial(void **state)
{
    json_t  *said, *calls;

    (void) state;

    check_partial("tool-partial-args.sse",
                  "{\"ship\":{\"name\":\"Arabella \\\\\\\"II\\\\\\\"\","
                  "\"cabins\":[{\"berths\":2,\"sea\":true},"
                  "{\"berths\":4.5}]},\"to port\":\"Brest\",\"note\":null}",
                  "tool_calls", "ok");
    check_partial("tool-no-terminal.sse",
                  "{\"list\":[{\"a\":\"x\"},{\"a\":0.5}]}", "tool_calls",
                  "ok");

    /* cut by the limit: what was said, and never closed */

    check_partial("tool-cut-args.sse", "{\"name\":\"Ara", "length", "ok");

    said = read_fixture("tool-partial-args.sse");
    calls = codec_at(said, "choices", "0", "calls");
    assert_int_equal(json_array_size(calls), 2);
    assert_string_equal(codec_string(json_array_get(calls, 0), "signature",
                                     NULL, NULL), "c2ln");
    assert_string_equal(codec_string(json_array_get(calls, 1), "args", NULL,
                                     NULL), "{}");
    json_decref(said);
}


static void
test_citations(void **state)
{
    (void) state;

    check_fixture("grounding.sse", "{" LABEL
        "\"choices\":{\"0\":{\"text\":\"Twice a day or so.\","
        "\"finish\":\"stop\",\"word\":\"STOP\",\"citations\":["
        "{\"url\":\"https://sea.example/tides?a=1&b=2\","
        "\"title\":\"sea.example\",\"text\":\"Twice a day\"},"
        "{\"url\":\"https://moon.example/\",\"title\":\"moon.example\","
        "\"text\":\"Twice a day\"},"
        "{\"url\":\"gs://shelf/tide.txt\",\"title\":\"tide.txt\","
        "\"text\":\"High water.\"},"
        "{\"url\":\"https://book.example/1\"}]}},"
        "\"usage\":{\"input\":49,\"output\":6,\"total\":55},"
        "\"order\":\"start text usage text citation usage citation finish "
        "usage\",\"end\":\"ok\"}");

    /* lists that are none, indexes of no chunk */

    check_stream("data: {\"candidates\":[{\"groundingMetadata\":{"
        "\"groundingChunks\":[{\"web\":{\"uri\":\"u\"}},{\"web\":7},{},3,"
        "{\"maps\":{\"uri\":\"u\"}}],\"groundingSupports\":[{},{\"segment\":"
        "{\"text\":\"t\"},\"groundingChunkIndices\":[0,-1,999999,\"x\"]}]},"
        "\"citationMetadata\":{\"citations\":[{\"uri\":\"u\",\"title\":"
        "\"w\"},4,{\"title\":\"\"}]},\"finishReason\":\"RECITATION\"}]}\n\n",
        "{\"choices\":{\"0\":{\"finish\":\"content_filter\",\"word\":"
        "\"RECITATION\",\"citations\":[{\"url\":\"u\",\"text\":\"t\"},"
        "{\"url\":\"u\",\"title\":\"w\"}]}},\"order\":\"start citation "
        "finish\",\"end\":\"ok\"}");
}


static void
test_logprobs(void **state)
{
    (void) state;

    check_fixture("logprobs.sse", "{" LABEL
        "\"choices\":{\"0\":{\"text\":\"The \\\"sea\\\".\","
        "\"finish\":\"stop\",\"word\":\"STOP\",\"logprobs\":["
        "{\"token\":\"The\",\"logprob\":-0.01,\"bytes\":null,"
        "\"top_logprobs\":[{\"token\":\"The\",\"logprob\":-0.01,"
        "\"bytes\":null},{\"token\":\"A\",\"logprob\":-4.5,"
        "\"bytes\":null}]},"
        "{\"token\":\" \\\"sea\\\"\",\"logprob\":-0.2,\"bytes\":null,"
        "\"top_logprobs\":[{\"token\":\" \\\"sea\\\"\",\"logprob\":-0.2,"
        "\"bytes\":null}]},"
        "{\"token\":\".\",\"logprob\":-1e-05,\"bytes\":null,"
        "\"top_logprobs\":[]}]}},"
        "\"usage\":{\"input\":4,\"output\":3,\"total\":7},"
        "\"order\":\"start text logprobs usage text logprobs finish "
        "usage\",\"end\":\"ok\"}");
}


static void
test_candidates(void **state)
{
    (void) state;

    check_fixture("candidates.sse", "{" LABEL
        "\"choices\":{\"0\":{\"text\":\"One two\",\"finish\":\"stop\","
        "\"word\":\"STOP\"},\"1\":{\"text\":\"Uno dos\","
        "\"finish\":\"length\",\"word\":\"MAX_TOKENS\"}},"
        "\"usage\":{\"input\":3,\"output\":4,\"total\":7},"
        "\"order\":\"start text usage text finish usage text usage finish "
        "usage\",\"end\":\"ok\"}");

    /* an index that is too large is none: the place counts */

    check_stream("data: {\"candidates\":[{\"index\":128},{\"index\":-1,"
        "\"content\":{\"parts\":[{\"text\":\"b\"}]}}]}\n\n",
        "{\"choices\":{\"0\":{\"text\":\"\"},\"1\":{\"text\":\"b\"}},"
        "\"order\":\"start text\",\"end\":\"ok\"}");
}


static void
test_blocked(void **state)
{
    (void) state;

    check_fixture("blocked-prompt.sse", "{" LABEL
        "\"choices\":{\"0\":{\"finish\":\"content_filter\","
        "\"word\":\"PROHIBITED_CONTENT\"}},\"usage\":{\"input\":8,"
        "\"total\":8},\"order\":\"start finish usage\",\"end\":\"ok\"}");

    check_fixture("blocked-output.sse", "{" LABEL
        "\"choices\":{\"0\":{\"text\":\"I can\","
        "\"finish\":\"content_filter\",\"word\":\"SAFETY\"}},"
        "\"usage\":{\"input\":8,\"output\":2,\"total\":10},"
        "\"order\":\"start text usage finish usage\",\"end\":\"ok\"}");

    check_fixture("no-parts.sse", "{" LABEL
        "\"choices\":{\"0\":{\"finish\":\"length\",\"word\":"
        "\"MAX_TOKENS\"}},\"usage\":{\"input\":8,\"output\":40,"
        "\"reasoning\":40,\"total\":48},\"order\":\"start finish usage\","
        "\"end\":\"ok\"}");

    check_fixture("answer-blocked.json",
        "{\"model\":\"gemini-2.5-flash\",\"choices\":{\"0\":{\"finish\":"
        "\"content_filter\",\"word\":\"SAFETY\"}},\"usage\":{\"input\":8,"
        "\"total\":8},\"order\":\"start finish usage end\","
        "\"end\":\"done\"}");

    /* a candidate that finished is not finished once more */

    check_stream("data: {\"candidates\":[{\"finishReason\":\"SPII\"}],"
        "\"promptFeedback\":{\"blockReason\":\"OTHER\"}}\n\n",
        "{\"choices\":{\"0\":{\"finish\":\"content_filter\",\"word\":"
        "\"SPII\"}},\"order\":\"start finish\",\"end\":\"ok\"}");
}


static void
test_reasons(void **state)
{
    size_t   i;
    char     stream[256];
    json_t  *said;

    static const char *const  words[] = {
        "STOP", "stop", "MAX_TOKENS", "length", "SAFETY", "content_filter",
        "RECITATION", "content_filter", "BLOCKLIST", "content_filter",
        "PROHIBITED_CONTENT", "content_filter", "SPII", "content_filter",
        "MODEL_ARMOR", "content_filter", "IMAGE_SAFETY", "content_filter",
        "MALFORMED_FUNCTION_CALL", "error", "UNEXPECTED_TOOL_CALL", "error",
        "TOO_MANY_TOOL_CALLS", "error", "LANGUAGE", "error", "OTHER",
        "error", "ST\\u004fP", "stop", "EBB", "other"
    };

    (void) state;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i += 2) {
        (void) snprintf(stream, sizeof(stream), "data: {\"candidates\":[{"
                        "\"finishReason\":\"%s\"}]}\n\n", words[i]);
        said = codec_text(GEMINI, stream);
        assert_string_equal(codec_string(said, "choices", "0", "finish"),
                            words[i + 1]);
        json_decref(said);
    }

    /* not said */

    said = codec_text(GEMINI, "data: {\"candidates\":[{\"finishReason\":"
                              "\"FINISH_REASON_UNSPECIFIED\"}]}\n\n");
    assert_null(codec_at(said, "choices", "0", "finish"));
    json_decref(said);
}


static void
test_errors(void **state)
{
    size_t   i;
    json_t  *said;

    static const char *const  files[] = {
        "error-first.sse", "error-first.json-array", "error-429.json"
    };

    static const char  mid[] = "{" LABEL
        "\"choices\":{\"0\":{\"text\":\"The sea\"}},\"usage\":{\"input\":7,"
        "\"output\":2,\"total\":9},\"errors\":[{\"message\":\"The model is "
        "overloaded.\",\"code\":\"503\",\"status\":503,\"class\":11}],"
        "\"order\":\"start text usage error\",\"end\":\"failed\"}";

    static const char  wrapped[] = "[{\"error\":{\"message\":\"m\"}}]";

    (void) state;

    assert_int_equal(LLM_ERROR_OVERLOADED, 11);
    assert_int_equal(LLM_ERROR_RATE, 8);

    check_fixture("error-mid.sse", mid);
    check_fixture("error-mid.json-array", mid);

    for (i = 0; i < 3; i++) {
        said = read_fixture(files[i]);
        codec_same(files[i], codec_at(said, "errors", NULL, NULL),
                   "[{\"message\":\"Quota is used up.\",\"code\":\"429\","
                   "\"status\":429,\"class\":8,\"retry_after\":34400}]");
        assert_string_equal(codec_string(said, "order", NULL, NULL),
                            "error");
        json_decref(said);
    }

    /* wrapped in an array, in an event and in an answer */

    said = codec_text(GEMINI, "data: [{\"error\":{\"code\":500,"
                              "\"message\":\"m\"}}]\n\n");
    assert_string_equal(codec_string(said, "order", NULL, NULL), "error");
    json_decref(said);

    said = codec_answer(GEMINI, wrapped, strlen(wrapped));
    assert_string_equal(codec_string(said, "order", NULL, NULL), "error");
    json_decref(said);
}


static void
test_other_parts(void **state)
{
    json_t  *said;

    (void) state;

    said = read_fixture("code.sse");

    codec_same("code.sse", codec_at(said, "meta", NULL, NULL),
        "[{\"name\":\"executableCode\",\"raw\":{\"language\":\"PYTHON\","
        "\"code\":\"print(6 * 7)\",\"id\":\"x1\"}},"
        "{\"name\":\"codeExecutionResult\",\"raw\":{\"outcome\":"
        "\"OUTCOME_OK\",\"output\":\"42\\n\",\"id\":\"x1\"}},"
        "{\"name\":\"toolCall\",\"raw\":{\"toolType\":\"FILE_SEARCH\","
        "\"id\":\"s1\"}},{\"name\":\"inlineData\",\"raw\":{\"mimeType\":"
        "\"image/png\",\"data\":\"iVBORw0KGgo=\"}}]");
    assert_string_equal(codec_string(said, "choices", "0", "finish"),
                        "stop");
    json_decref(said);
}


static void
test_spelling(void **state)
{
    (void) state;

    check_fixture("snake-case.sse",
        "{\"id\":\"r\",\"model\":\"m\",\"choices\":{\"0\":{"
        "\"reasoning\":\"Hm\",\"signature\":\"c2ln\",\"finish\":"
        "\"tool_calls\",\"word\":\"STOP\",\"calls\":[{\"id\":"
        "\"call_50204c5711c25b39\",\"name\":\"now\",\"args\":\"{}\","
        "\"whole\":true}]}},\"usage\":{\"input\":5,\"output\":9,"
        "\"cached\":1,\"reasoning\":5,\"total\":14},\"order\":\"start "
        "reasoning call finish usage\",\"end\":\"ok\"}");

    check_fixture("type-confusion.sse",
        "{\"choices\":{\"0\":{\"text\":\"ok\",\"finish\":\"stop\","
        "\"word\":\"STOP\"}},\"order\":\"start text finish\","
        "\"end\":\"ok\"}");

    /* names with escapes, members in any order */

    check_stream("data: {\"r\\u0065sponseId\":\"r\",\"usageMetadata\":"
        "{\"total\\u0054okenCount\":9},\"c\\u0061ndidates\":[{\"finish"
        "Re\\u0061son\":\"STOP\",\"c\\u006fntent\":{\"p\\u0061rts\":["
        "{\"t\\u0065xt\":\"a\"}]}}]}\n\n",
        "{\"id\":\"r\",\"choices\":{\"0\":{\"text\":\"a\",\"finish\":"
        "\"stop\",\"word\":\"STOP\"}},\"usage\":{\"total\":9},\"order\":"
        "\"start text finish usage\",\"end\":\"ok\"}");
}


static void
test_answers(void **state)
{
    json_t  *said;

    (void) state;

    check_fixture("answer.json", "{" LABEL
        "\"choices\":{\"0\":{\"text\":\"The sea is deep.\",\"reasoning\":"
        "\"Hm.\",\"finish\":\"stop\",\"word\":\"STOP\"}},\"usage\":"
        "{\"input\":7,\"output\":7,\"reasoning\":2,\"total\":14},"
        "\"order\":\"start reasoning text finish usage end\","
        "\"end\":\"done\"}");

    said = read_fixture("answer-tools.json");
    assert_int_equal(json_array_size(codec_at(said, "choices", "0",
                                              "calls")), 2);
    assert_string_equal(codec_string(said, "choices", "0", "finish"),
                        "tool_calls");
    json_decref(said);

    said = codec_answer(GEMINI, "{}", 2);
    assert_string_equal(codec_string(said, "end", NULL, NULL), "invalid");
    json_decref(said);
}


/* Times of Vertex, and what is none. */
static void
test_times(void **state)
{
    size_t   i;
    char     stream[256];
    json_t  *said, *v;

    static const struct {
        const char  *time;
        double       seconds;
    } times[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2000-02-29T23:59:59.5Z", 951868799 },
        { "2026-04-02T17:03:50.399550Z", 1775149430 },
        { "2026-04-02T17:03:50+02:00", -1 },
        { "2026-04-02", -1 },
        { "2026-13-02T17:03:50Z", -1 },
        { "2026-0x-02T17:03:50Z", -1 },
        { "1969-12-31T23:59:59Z", -1 }
    };

    (void) state;

    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        (void) snprintf(stream, sizeof(stream), "data: {\"candidates\":[{}],"
                        "\"createTime\":\"%s\"}\n\n", times[i].time);
        said = codec_text(GEMINI, stream);
        v = json_object_get(said, "created");

        assert_true((v != NULL ? json_number_value(v) : -1)
                    == times[i].seconds);
        json_decref(said);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_thinking),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_citations),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_candidates),
        cmocka_unit_test(test_blocked),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_other_parts),
        cmocka_unit_test(test_spelling),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_times)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
