/*
 * OpenAI's legacy completions: chunks and answers to events, events to chunks
 * and answers, log probabilities in their old shape both ways.
 */

#include "unit_codec.h"

#include "llm_encode.h"


#define LEGACY  &llm_dialect_completions
#define OPENAI  &llm_dialect_openai
#define OLLAMA  &llm_dialect_ollama

#define HEAD                                                                \
    "data: {\"id\":\"c\",\"object\":\"text_completion\",\"created\":5,"     \
    "\"model\":\"river\",\"choices\":["
#define TAIL  "],\"usage\":null}\n\n"
#define DONE  "data: [DONE]\n\n"


static void
check(const char *stream, const char *expect)
{
    json_t  *said;

    said = codec_text(LEGACY, stream);
    codec_same(stream, said, expect);
    json_decref(said);
}


static void
check_fixture(const char *name, const char *expect)
{
    char    *path;
    size_t   n;
    json_t  *said;
    llm_u8  *p;

    path = unit_path(name);
    p = unit_read(path, &n);
    said = strstr(name, ".json") != NULL ? codec_answer(LEGACY, p, n)
                                         : codec_stream(LEGACY, p, n);
    codec_same(name, said, expect);
    json_decref(said);
    free(p);
    free(path);
}


/* What an openai stream becomes. */
static void
check_client(const char *stream, unsigned answer, const char *expect)
{
    char      *out;
    llm_rc_t   rc;

    out = codec_convert(OPENAI, LEGACY, stream, strlen(stream), 0, answer,
                        &rc);
    assert_int_equal(rc, LLM_OK);

    if (strcmp(out, expect) != 0) {
        fail_msg("got:\n%s\nexpected:\n%s", out, expect);
    }

    free(out);
}


static void
test_text(void **state)
{
    (void) state;

    check_fixture("t/fixtures/openai-completions/text-usage.sse",
        "{\"id\":\"cmpl-7\",\"model\":\"delta-2\",\"created\":1770000000,"
        "\"choices\":{\"0\":{\"text\":\"Low water 😀 \\\"now\\\"\","
        "\"finish\":\"length\",\"word\":\"length\"}},"
        "\"usage\":{\"input\":5,\"output\":4,\"total\":9},"
        "\"order\":\"start text finish usage end\",\"end\":\"done\"}");

    check_fixture("t/fixtures/openai-completions/answer.json",
        "{\"id\":\"cmpl-10\",\"model\":\"delta-2\",\"created\":1770000003,"
        "\"choices\":{\"0\":{\"text\":\"One\",\"finish\":\"stop\","
        "\"word\":\"stop\"},\"1\":{\"text\":\"Two\",\"finish\":\"length\","
        "\"word\":\"length\",\"logprobs\":[{\"token\":\"Two\","
        "\"logprob\":null,\"bytes\":null,\"top_logprobs\":[]}]}},"
        "\"usage\":{\"input\":5,\"output\":2,\"total\":7},"
        "\"order\":\"start text finish text logprobs finish usage end\","
        "\"end\":\"done\"}");
}


static void
test_errors(void **state)
{
    json_t  *said;

    (void) state;

    check_fixture("t/fixtures/openai-completions/error-mid-stream.sse",
        "{\"id\":\"cmpl-9\",\"model\":\"delta-2\",\"created\":1770000002,"
        "\"choices\":{\"0\":{\"text\":\"Low\"}},"
        "\"errors\":[{\"message\":\"The server had an error\","
        "\"type\":\"server_error\",\"status\":500,\"class\":10}],"
        "\"order\":\"start text error\",\"end\":\"failed\"}");

    said = codec_answer(LEGACY, "{\"error\":{\"message\":\"no\"}}", 26);
    assert_int_equal(json_array_size(codec_at(said, "errors", NULL, NULL)),
                     1);
    assert_string_equal(codec_string(said, "end", NULL, NULL), "failed");
    json_decref(said);

    said = codec_text(LEGACY, "data: {\"choices\":[{\"text\":\"a}]}\n\n");
    assert_string_equal(codec_string(said, "end", NULL, NULL), "invalid");
    json_decref(said);
}


/* Members of chat completions are none here, and "text" is none there. */
static void
test_shapes(void **state)
{
    json_t  *said;

    (void) state;

    check("data: {\"choices\":[{\"text\":\"a\",\"index\":1},{\"text\":null,"
          "\"index\":0,\"finish_reason\":7},{\"text\":[\"b\"],\"index\":2}]}"
          "\n\n" DONE,
        "{\"choices\":{\"0\":{\"text\":\"\"},\"1\":{\"text\":\"a\"},"
        "\"2\":{\"text\":\"\"}},\"order\":\"start text end\","
        "\"end\":\"done\"}");

    said = codec_text(OPENAI, "data: {\"choices\":[{\"text\":\"a\",\"index\":"
                      "0,\"delta\":{\"content\":\"a\"}}]}\n\n");
    assert_string_equal(codec_string(said, "choices", "0", "text"), "a");
    json_decref(said);

    said = codec_text(OPENAI, "data: {\"choices\":[{\"text\":\"a\",\"index\":"
                      "0}],\"id\":\"x\"}\n\n");
    assert_string_equal(codec_string(said, "choices", "0", "text"), "");
    json_decref(said);
}


static void
test_logprobs(void **state)
{
    (void) state;

    check_fixture("t/fixtures/openai-completions/choices-logprobs.sse",
        "{\"id\":\"cmpl-8\",\"model\":\"delta-2\",\"created\":1770000001,"
        "\"choices\":{\"0\":{\"text\":\"Yes é\",\"finish\":\"stop\","
        "\"word\":\"stop\",\"logprobs\":["
        "{\"token\":\"Yes\",\"logprob\":-0.25,\"bytes\":null,"
        "\"top_logprobs\":[{\"token\":\"Yes\",\"logprob\":-0.25,"
        "\"bytes\":null},{\"token\":\"No\",\"logprob\":-1.5,"
        "\"bytes\":null}]},"
        "{\"token\":\" é\",\"logprob\":-0.125,\"bytes\":null,"
        "\"top_logprobs\":[]}]},"
        "\"1\":{\"text\":\"No\",\"finish\":\"stop\",\"word\":\"stop\","
        "\"logprobs\":["
        "{\"token\":\"N\",\"logprob\":-2,\"bytes\":null,"
        "\"top_logprobs\":[]},"
        "{\"token\":\"o\",\"logprob\":-0.0005,\"bytes\":null,"
        "\"top_logprobs\":[]}]}},"
        "\"order\":\"start text logprobs text logprobs text logprobs finish "
        "end\",\"end\":\"done\"}");

    /* lists of different lengths, the new shape, nothing */

    check("data: {\"choices\":[{\"text\":\"a\",\"logprobs\":{\"tokens\":"
          "[\"a\",3,\"b\",\"c\"],\"token_logprobs\":[-1],\"top_logprobs\":"
          "[{\"x\":null,\"y\":-4}]}}]}\n\n",
        "{\"choices\":{\"0\":{\"text\":\"a\",\"logprobs\":["
        "{\"token\":\"a\",\"logprob\":-1,\"bytes\":null,\"top_logprobs\":"
        "[{\"token\":\"y\",\"logprob\":-4,\"bytes\":null}]},"
        "{\"token\":\"b\",\"logprob\":null,\"bytes\":null,"
        "\"top_logprobs\":[]},"
        "{\"token\":\"c\",\"logprob\":null,\"bytes\":null,"
        "\"top_logprobs\":[]}]}},"
        "\"order\":\"start text logprobs\",\"end\":\"ok\"}");

    check("data: {\"choices\":[{\"text\":\"a\",\"logprobs\":{\"content\":"
          "[{\"token\":\"a\"}]}}]}\n\n"
          "data: {\"choices\":[{\"text\":\"b\",\"logprobs\":{}}]}\n\n",
        "{\"choices\":{\"0\":{\"text\":\"ab\",\"logprobs\":["
        "{\"token\":\"a\"}]}},\"order\":\"start text logprobs text\","
        "\"end\":\"ok\"}");
}


static void
test_client(void **state)
{
    (void) state;

    check_client(
        "data: {\"id\":\"c\",\"model\":\"river\",\"created\":5,\"choices\":["
        "{\"delta\":{\"reasoning_content\":\"Hm\"}}]}\n\n"
        "data: {\"choices\":[{\"delta\":{\"content\":\"One\"}},"
        "{\"index\":1,\"delta\":{\"refusal\":\"N\\u006f\"}}]}\n\n"
        "data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":"
        "\"length\"}]}\n\n"
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,"
        "\"completion_tokens\":3}}\n\n" DONE, 0,
        HEAD "{\"text\":\"One\",\"index\":0,\"logprobs\":null,"
        "\"finish_reason\":null}" TAIL
        HEAD "{\"text\":\"N\\u006f\",\"index\":1,\"logprobs\":null,"
        "\"finish_reason\":null}" TAIL
        HEAD "{\"text\":\"\",\"index\":1,\"logprobs\":null,"
        "\"finish_reason\":\"length\"}" TAIL
        HEAD "{\"text\":\"\",\"index\":0,\"logprobs\":null,"
        "\"finish_reason\":\"stop\"}" TAIL
        HEAD "],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,"
        "\"total_tokens\":10}}\n\n" DONE);

    /* an error ends it, without a terminator of its own */

    check_client("data: {\"id\":\"c\",\"model\":\"river\",\"created\":5,"
        "\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
        "data: {\"error\":{\"message\":\"slow\",\"type\":\"server_error\"}}"
        "\n\n", 0,
        HEAD "{\"text\":\"a\",\"index\":0,\"logprobs\":null,"
        "\"finish_reason\":null}" TAIL
        "data: {\"error\":{\"message\":\"slow\",\"type\":\"server_error\","
        "\"param\":null,\"code\":null}}\n\n");
}


/* An id of its own where the upstream has none. */
static void
test_client_id(void **state)
{
    char      *out;
    json_t    *said;
    llm_rc_t   rc;

    static const char  line[] =
        "{\"model\":\"m\",\"message\":{\"content\":\"a\"},\"done\":true}";

    (void) state;

    out = codec_convert(OLLAMA, LEGACY, line, sizeof(line) - 1, 0, 0, &rc);
    said = codec_text(LEGACY, out);
    assert_true(strncmp(codec_string(said, "id", NULL, NULL), "cmpl-", 5)
                == 0);
    assert_string_equal(codec_string(said, "choices", "0", "text"), "a");
    assert_true(json_number_value(codec_at(said, "created", NULL, NULL))
                == CODEC_NOW);
    json_decref(said);
    free(out);
}


#define ITEMS                                                               \
    "[{\"token\":\"é\\u00e9\",\"logprob\":-1,\"bytes\":[1],"                \
    "\"top_logprobs\":[{\"token\":\"x\",\"logprob\":-2},"                   \
    "{\"token\":\"y\",\"logprob\":null}]},"                                 \
    "{\"token\":\"b\",\"logprob\":null}]"
#define LISTS(first, second)                                                \
    "{\"tokens\":[\"é\\u00e9\",\"b\"],\"token_logprobs\":[-1,null],"        \
    "\"top_logprobs\":[{\"x\":-2},{}],\"text_offset\":[" first "," second   \
    "]}"


/* Back to the four lists; offsets go on from chunk to chunk. */
static void
test_client_logprobs(void **state)
{
    (void) state;

    check_client(
        "data: {\"id\":\"c\",\"model\":\"river\",\"created\":5,\"choices\":["
        "{\"delta\":{},\"logprobs\":{\"content\":" ITEMS "}}]}\n\n"
        "data: {\"choices\":[{\"delta\":{},\"logprobs\":{\"content\":" ITEMS
        "}}]}\n\n"
        "data: {\"choices\":[{\"delta\":{},\"logprobs\":{\"content\":"
        "[{\"token\":\"z\",\"logprob\":-9,\"top_logprobs\":[]}, 3, {}]}}]}"
        "\n\n", 0,
        HEAD "{\"text\":\"\",\"index\":0,\"logprobs\":" LISTS("0", "2")
        ",\"finish_reason\":null}" TAIL
        HEAD "{\"text\":\"\",\"index\":0,\"logprobs\":" LISTS("3", "5")
        ",\"finish_reason\":null}" TAIL
        HEAD "{\"text\":\"\",\"index\":0,\"logprobs\":{\"tokens\":[\"z\"],"
        "\"token_logprobs\":[-9],\"top_logprobs\":null,\"text_offset\":[6]}"
        ",\"finish_reason\":null}" TAIL);

    check_client(
        "data: {\"id\":\"c\",\"model\":\"river\",\"created\":5,\"choices\":["
        "{\"delta\":{\"content\":\"ééb\"},\"logprobs\":{\"content\":" ITEMS
        "}}]}\n\n" DONE, 1,
        "{\"id\":\"c\",\"object\":\"text_completion\",\"created\":5,"
        "\"model\":\"river\",\"choices\":[{\"text\":\"ééb\",\"index\":0,"
        "\"logprobs\":" LISTS("0", "2") ",\"finish_reason\":null}]}");
}


/* Old shape to old shape by way of the new one. */
static void
test_round_trip(void **state)
{
    char      *path, *out;
    size_t     i, k, n;
    json_t    *a, *b;
    llm_u8    *p;
    llm_rc_t   rc;

    static const char *const  names[] = {
        "t/fixtures/openai-completions/choices-logprobs.sse",
        "t/fixtures/openai-completions/text-usage.sse",
        "t/fixtures/openai-completions/answer.json"
    };

    (void) state;

    for (i = 0; i < 3; i++) {
        path = unit_path(names[i]);
        p = unit_read(path, &n);
        a = i == 2 ? codec_answer(LEGACY, p, n) : codec_stream(LEGACY, p, n);
        json_object_del(a, "order");

        for (k = 0; k < 2; k++) {
            out = codec_convert(LEGACY, LEGACY, p, n, i == 2, (unsigned) k,
                                &rc);
            assert_int_equal(rc, LLM_OK);

            b = k == 1 ? codec_answer(LEGACY, out, strlen(out))
                       : codec_text(LEGACY, out);
            json_object_del(b, "order");

            if (!json_equal(a, b)) {
                fail_msg("%s: %s", names[i], out);
            }

            json_decref(b);
            free(out);
        }

        json_decref(a);
        free(p);
        free(path);
    }
}


/* What jansson finds in the chunks of a recorded stream. */
static void
recorded(const char *path, const char *name)
{
    char     *line, *next, *end;
    char      text[65536];
    size_t    n;
    json_t   *said, *v, *choice, *usage;
    llm_u8   *p;

    (void) name;

    p = unit_read(path, &n);
    said = codec_stream(LEGACY, p, n);
    text[0] = '\0';
    end = text;
    usage = NULL;

    for (line = (char *) p; *line != '\0'; line = next) {
        next = line + strcspn(line, "\n");
        v = NULL;

        if (strncmp(line, "data: {", 7) == 0) {
            v = json_loadb(line + 6, (size_t) (next - line - 6),
                           JSON_DECODE_INT_AS_REAL, NULL);
        }

        next += *next == '\n';
        choice = json_array_get(json_object_get(v, "choices"), 0);

        if (choice != NULL) {
            assert_true((size_t) (end - text) + 1024 < sizeof(text));
            end += sprintf(end, "%s", json_string_value(
                json_object_get(choice, "text")));
        }

        if (json_is_object(json_object_get(v, "usage"))) {
            usage = json_incref(json_object_get(v, "usage"));
        }

        json_decref(v);
    }

    assert_string_equal(codec_string(said, "choices", "0", "text"), text);
    assert_string_equal(codec_string(said, "end", NULL, NULL), "done");
    assert_true(json_equal(codec_at(said, "usage", "output", NULL),
                           json_object_get(usage, "completion_tokens"))
                || usage == NULL);

    json_decref(usage);
    json_decref(said);
    free(p);
}


static void
test_recorded(void **state)
{
    (void) state;

    (void) unit_each_recorded("openai-completions", "sse", recorded);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_client_id),
        cmocka_unit_test(test_client_logprobs),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_recorded)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
