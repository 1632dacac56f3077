/*
 * Flowise as a client's dialect: frames to the byte, since its SDK cuts them
 * by hand, and one answer; requests, both ways.
 */

#include "unit_codec.h"


#define ROLE                                                                \
    "data: {\"id\":\"c1\",\"model\":\"m\",\"created\":7,\"choices\":["      \
    "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"

#define DELTA(d)                                                            \
    "data: {\"choices\":[{\"index\":0,\"delta\":{" d "}}]}\n\n"

#define FINISH(word)                                                        \
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"      \
    "\"" word "\"}]}\n\n"

#define USAGE                                                               \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,"                 \
    "\"completion_tokens\":6,\"total_tokens\":11,"                          \
    "\"prompt_tokens_details\":{\"cached_tokens\":2},"                      \
    "\"completion_tokens_details\":{\"reasoning_tokens\":3}}}\n\n"

#define DONE  "data: [DONE]\n\n"

#define FRAME(event, data)                                                  \
    "message:\ndata:{\"event\":\"" event "\",\"data\":" data "}\n\n"

#define ENDING                                                              \
    FRAME("metadata", "{\"chatId\":\"chat-0123456789abcdef\","              \
          "\"chatMessageId\":\"c1\"}") FRAME("end", "\"[DONE]\"")


/* Sixteen digits behind "chat-" are made up: any will do. */
static void
blank_id(char *p)
{
    p = strstr(p, "\"chatId\":\"chat-");

    if (p != NULL) {
        p += sizeof("\"chatId\":\"chat-") - 1;
        assert_int_equal(strspn(p, "0123456789abcdef"), 16);
        memcpy(p, "0123456789abcdef", 16);
    }
}


static char *
convert(const char *in, unsigned answer_in, unsigned answer_out,
    llm_rc_t expect)
{
    char      *out;
    llm_rc_t   rc;

    out = codec_convert(&llm_dialect_openai, &llm_dialect_flowise, in,
                        strlen(in), answer_in, answer_out, &rc);
    assert_int_equal(rc, expect);
    blank_id(out);

    return out;
}


static void
check(const char *in, const char *expect)
{
    char  *out;

    out = convert(in, 0, 0, LLM_OK);
    assert_string_equal(out, expect);
    free(out);
}


static void
test_text(void **state)
{
    (void) state;

    check(ROLE DELTA("\"content\":\"In \\\"a\\\"\"") DELTA("\"content\":\" "
          "sea\"") FINISH("stop") DONE,
          FRAME("start", "\"\"") FRAME("token", "\"In \\\"a\\\"\"")
          FRAME("token", "\" sea\"") ENDING);
}


static void
test_all(void **state)
{
    (void) state;

    check(ROLE DELTA("\"reasoning_content\":\"Hm\"")
          DELTA("\"content\":\"Look\"")
          DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"k\",\"function\":"
                "{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\"}}]")
          DELTA("\"tool_calls\":[{\"index\":1,\"id\":\"l\",\"function\":"
                "{\"name\":\"g\",\"arguments\":\"\"}}]")
          DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":"
                "\" \\\"\\\\n\\\"}\"}}]")
          FINISH("tool_calls") USAGE DONE,
          FRAME("start", "\"\"") FRAME("thinking", "\"Hm\"")
          FRAME("token", "\"Look\"")
          FRAME("calledTools", "[{\"tool\":\"f\",\"toolInput\":{\"a\": "
                "\"\\n\"},\"toolOutput\":\"\",\"id\":\"k\"},{\"tool\":\"g\","
                "\"toolInput\":{},\"toolOutput\":\"\",\"id\":\"l\"}]")
          FRAME("usageMetadata", "{\"input_tokens\":5,\"output_tokens\":6,"
                "\"total_tokens\":11,\"input_token_details\":{\"cache_read\":"
                "2},\"output_token_details\":{\"reasoning\":3}}") ENDING);
}


/* Only the first of several choices; a refusal is what the model says. */
static void
test_choices(void **state)
{
    (void) state;

    check(ROLE "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":"
          "\"other\"}},{\"index\":0,\"delta\":{\"refusal\":\"No\"}}]}\n\n"
          FINISH("stop") DONE,
          FRAME("start", "\"\"") FRAME("token", "\"No\"") ENDING);
}


/* What is no end gets none; nothing follows an error. */
static void
test_ends(void **state)
{
    (void) state;

    check(ROLE DELTA("\"content\":\"In\""),
          FRAME("start", "\"\"") FRAME("token", "\"In\""));
    check(ROLE DELTA("\"content\":\"In\"")
          "data: {\"error\":{\"message\":\"a \\\"tide\\\"\"}}\n\n" DONE,
          FRAME("start", "\"\"") FRAME("token", "\"In\"")
          FRAME("error", "\"a \\\"tide\\\"\""));
    check("data: {\"error\":{\"code\":429}}\n\n",
          FRAME("error", "\"rate_limit_error\""));
}


#define BROKEN                                                              \
    ROLE DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"k\",\"function\":"   \
    "{\"name\":\"f\",\"arguments\":\"{}\"}},{\"index\":1,\"id\":\"l\","  \
    "\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"a\"}}]")


/* Arguments that are no object cannot be said: not a byte of their frame. */
static void
test_broken_call(void **state)
{
    char  *out;

    (void) state;

    out = convert(BROKEN FINISH("tool_calls") DONE, 0, 0, LLM_INVALID);
    assert_string_equal(out, FRAME("start", "\"\""));
    free(out);

    out = convert(BROKEN FINISH("tool_calls") DONE, 0, 1, LLM_INVALID);
    assert_string_equal(out, "");
    free(out);
}


/* A call that the token limit cut is left out; the others are said. */
static void
test_cut_call(void **state)
{
    char  *out;

    (void) state;

    out = convert(BROKEN FINISH("length") DONE, 0, 0, LLM_OK);
    assert_string_equal(out,
        FRAME("start", "\"\"")
        FRAME("calledTools", "[{\"tool\":\"f\",\"toolInput\":{},"
              "\"toolOutput\":\"\",\"id\":\"k\"}]") ENDING);
    free(out);

    out = convert(BROKEN FINISH("length") DONE, 0, 1, LLM_OK);
    assert_string_equal(out,
        "{\"text\":\"\",\"chatId\":\"chat-0123456789abcdef\","
        "\"chatMessageId\":\"c1\",\"calledTools\":[{\"tool\":\"f\","
        "\"toolInput\":{},\"toolOutput\":\"\",\"id\":\"k\"}]}");
    free(out);
}


static void
test_answer(void **state)
{
    char  *out;

    (void) state;

    out = convert(ROLE DELTA("\"reasoning_content\":\"Hm\"")
                  DELTA("\"content\":\"In\"") DELTA("\"content\":\" sea\"")
                  FINISH("stop") USAGE DONE, 0, 1, LLM_OK);
    assert_string_equal(out,
        "{\"text\":\"In sea\",\"chatId\":\"chat-0123456789abcdef\","
        "\"chatMessageId\":\"c1\",\"reasonContent\":{\"thinking\":\"Hm\"},"
        "\"usageMetadata\":{\"input_tokens\":5,\"output_tokens\":6,"
        "\"total_tokens\":11,\"input_token_details\":{\"cache_read\":2},"
        "\"output_token_details\":{\"reasoning\":3}}}");
    free(out);

    /* text and refusal in the order in which they were said */

    out = convert(ROLE DELTA("\"refusal\":\"No: \"")
                  DELTA("\"content\":\"ask\"") FINISH("stop") DONE, 0, 1,
                  LLM_OK);
    assert_string_equal(out,
        "{\"text\":\"No: ask\",\"chatId\":\"chat-0123456789abcdef\","
        "\"chatMessageId\":\"c1\"}");
    free(out);
}


/* An answer of Flowise's as a stream of Flowise's: its extras stay. */
static void
test_extras(void **state)
{
    char      *out;
    llm_rc_t   rc;

    static const char  in[] =
        "{\"text\":\"Deep.\",\"chatId\":\"c\",\"chatMessageId\":\"m\","
        "\"usedTools\":[{\"tool\":\"map\"}],\"sourceDocuments\":"
        "[{\"pageContent\":\"p\",\"metadata\":{\"source\":\"s\",\"x\":1}}]}";

    (void) state;

    out = codec_convert(&llm_dialect_flowise, &llm_dialect_flowise, in,
                        strlen(in), 1, 0, &rc);
    assert_int_equal(rc, LLM_OK);
    assert_string_equal(out,
        FRAME("start", "\"\"") FRAME("token", "\"Deep.\"")
        FRAME("usedTools", "[{\"tool\":\"map\"}]")
        FRAME("sourceDocuments", "[{\"pageContent\":\"p\",\"metadata\":"
              "{\"source\":\"s\",\"x\":1}}]")
        FRAME("metadata", "{\"chatId\":\"c\",\"chatMessageId\":\"m\"}")
        FRAME("end", "\"[DONE]\""));
    free(out);

    out = codec_convert(&llm_dialect_flowise, &llm_dialect_openai, in,
                        strlen(in), 1, 1, &rc);
    assert_int_equal(rc, LLM_OK);
    assert_non_null(strstr(out, "\"content\":\"Deep.\""));
    assert_null(strstr(out, "usedTools"));
    free(out);
}


static void
test_error_body(void **state)
{
    char         *out;
    llm_error_t   err;

    (void) state;

    memset(&err, 0, sizeof(llm_error_t));
    err.message = llm_slice("a \"tide\"");
    err.cls = LLM_ERROR_RATE;

    out = codec_error(&llm_dialect_flowise, &err);
    assert_string_equal(out, "{\"statusCode\":429,\"success\":false,"
                             "\"message\":\"a \\\"tide\\\"\",\"stack\":{}}");
    free(out);
}


static const llm_provider_t *
provider(const char *name)
{
    const llm_provider_t  *p;

    p = llm_provider_find((const llm_u8 *) name, strlen(name));
    assert_non_null(p);

    return p;
}


/* A request of Flowise's client, to another provider. */
static void
check_from(const char *body, const char *expect, const char *lost,
    const char *refused)
{
    codec_request_t  r;

    codec_request(&r, &llm_dialect_flowise, provider("vllm"), body, 0);
    assert_int_equal(r.rc, LLM_OK);
    codec_same(body, r.json, expect);
    assert_string_equal(r.lost, lost);
    assert_string_equal(r.refused, refused);
    codec_request_free(&r);
}


static void
test_read(void **state)
{
    (void) state;

    check_from("{\"question\":\"Why?\"}",
               "{\"messages\":[{\"role\":\"user\",\"content\":\"Why?\"}]}",
               "", "");

    check_from("{\"question\":\"Why?\",\"history\":[{\"role\":"
               "\"apiMessage\",\"content\":\"Hello\"},{\"type\":"
               "\"userMessage\",\"message\":\"Hi \\u00e9\"}],"
               "\"overrideConfig\":{\"systemMessage\":\"Be \\\"brief\\\"\","
               "\"temperature\":\"0.5\",\"maxTokens\":30,\"topP\":1e-1,"
               "\"sessionId\":\"s\"},\"chatId\":\"c\",\"streaming\":\"true\"}",
               "{\"messages\":[{\"role\":\"system\",\"content\":"
               "\"Be \\\"brief\\\"\"},{\"role\":\"assistant\",\"content\":"
               "\"Hello\"},{\"role\":\"user\",\"content\":\"Hi \u00e9\"},"
               "{\"role\":\"user\",\"content\":\"Why?\"}],"
               "\"max_completion_tokens\":30,\"temperature\":0.5,"
               "\"top_p\":0.1}", "session", "");

    check_from("{\"question\":\"\",\"uploads\":[{\"data\":"
               "\"data:image/png;base64,AAAA\",\"type\":\"file\",\"name\":"
               "\"a.png\",\"mime\":\"image/png\"},{\"data\":"
               "\"https://x.example/b.jpg\",\"type\":\"url\",\"name\":\"b\","
               "\"mime\":\"image/jpeg\"},{\"data\":"
               "\"data:application/pdf;base64,BBBB\",\"type\":\"file:full\","
               "\"name\":\"c.pdf\",\"mime\":\"application/pdf\"},{\"data\":"
               "\"data:audio/wav;base64,CCCC\",\"type\":\"audio\",\"name\":"
               "\"d.wav\",\"mime\":\"audio/wav\"}]}",
               "{\"messages\":[{\"role\":\"user\",\"content\":["
               "{\"type\":\"image_url\",\"image_url\":{\"url\":"
               "\"data:image/png;base64,AAAA\"}},{\"type\":\"image_url\","
               "\"image_url\":{\"url\":\"https://x.example/b.jpg\"}},"
               "{\"type\":\"file\",\"file\":{\"file_data\":"
               "\"data:application/pdf;base64,BBBB\",\"filename\":"
               "\"c.pdf\"}},{\"type\":\"input_audio\",\"input_audio\":"
               "{\"data\":\"CCCC\",\"format\":\"wav\"}},{\"type\":\"text\","
               "\"text\":\"\"}]}]}", "", "");

    check_from("{\"question\":\"a\",\"overrideConfig\":{\"vars\":{\"x\":1}},"
               "\"leadEmail\":\"e\",\"uploads\":[{\"type\":\"file\",\"name\":"
               "\"stored\"}]}",
               "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
               "leadEmail, overrideConfig",
               "messages[].content[].type");
}


static void
check_wrong(const char *body, const char *member)
{
    codec_request_t  r;

    codec_request(&r, &llm_dialect_flowise, provider("openai"), body, 0);
    assert_int_equal(r.rc, LLM_INVALID);

    if (member == NULL) {
        assert_null(r.member);

    } else {
        assert_string_equal(r.member, member);
    }

    codec_request_free(&r);
}


static void
test_wrong(void **state)
{
    (void) state;

    check_wrong("{\"streaming\":true}", "question");
    check_wrong("{\"question\":7}", "question");
    check_wrong("{\"question\":null}", "question");
    check_wrong("{\"question\":\"a\",\"streaming\":7}", "streaming");
    check_wrong("{\"question\":\"a\",\"history\":{}}", "history");
    check_wrong("{\"question\":\"a\",\"history\":[{\"role\":\"x\"}]}",
                "history");
    check_wrong("{\"question\":\"a\",\"overrideConfig\":[]}",
                "overrideConfig");
    check_wrong("{\"question\":\"a\",\"uploads\":[1]}", "uploads");
    check_wrong("[]", NULL);
    check_wrong("{\"question\":\"a\"", NULL);
}


/* Whether a stream is asked for, and the flow that the SDK names. */
static void
test_streaming(void **state)
{
    size_t           i;
    codec_request_t  r;

    static const struct {
        const char  *body;
        int          stream;
        const char  *model;
    } cases[] = {
        { "{\"question\":\"a\"}", -1, NULL },
        { "{\"question\":\"a\",\"streaming\":true}", 1, NULL },
        { "{\"question\":\"a\",\"streaming\":\"true\"}", 1, NULL },
        { "{\"question\":\"a\",\"streaming\":\"false\"}", 0, NULL },
        { "{\"question\":\"a\",\"streaming\":false}", 0, NULL },
        { "{\"question\":\"a\",\"streaming\":null}", -1, NULL },
        { "{\"question\":\"a\",\"chatflowId\":\"f-1\"}", -1, "f-1" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        codec_request(&r, &llm_dialect_flowise, provider("openai"),
                      cases[i].body, 0);
        assert_int_equal(r.rc, LLM_OK);
        assert_int_equal(r.stream, cases[i].stream);

        if (cases[i].model == NULL) {
            assert_null(r.model);

        } else {
            assert_string_equal(r.model, cases[i].model);
        }

        codec_request_free(&r);
    }
}


/* A request of OpenAI's client, to a flow. */
static void
check_to(const char *body, const char *expect, const char *lost,
    const char *refused)
{
    codec_request_t  r;

    codec_request(&r, &llm_dialect_openai, provider("flowise"), body, 1);
    assert_int_equal(r.rc, LLM_OK);
    codec_same(body, r.json, expect);
    assert_string_equal(r.lost, lost);
    assert_string_equal(r.refused, refused);
    codec_request_free(&r);
}


static void
test_write(void **state)
{
    (void) state;

    check_to("{\"model\":\"f\",\"messages\":[{\"role\":\"user\",\"content\":"
             "\"Why?\"}]}",
             "{\"question\":\"Why?\",\"streaming\":true}", "", "");

    check_to("{\"model\":\"f\",\"temperature\":0.5,\"max_tokens\":9,"
             "\"seed\":4,\"user\":\"u\",\"messages\":["
             "{\"role\":\"system\",\"content\":\"Be\"},{\"role\":\"user\","
             "\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":"
             "\"Yes?\"},{\"role\":\"developer\",\"content\":\"brief\"},"
             "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
             "\"What\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
             "\"data:image/png;base64,AA==\"}},{\"type\":\"text\",\"text\":"
             "\"is it?\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
             "\"https://x.example/y\"}}]}]}",
             "{\"question\":\"What\\n\\nis it?\",\"overrideConfig\":"
             "{\"systemMessage\":\"Be\\n\\nbrief\",\"temperature\":0.5,"
             "\"maxTokens\":9},\"history\":[{\"role\":\"userMessage\","
             "\"content\":\"Hi\"},{\"role\":\"apiMessage\",\"content\":"
             "\"Yes?\"}],\"uploads\":[{\"data\":"
             "\"data:image/png;base64,AA==\",\"type\":\"file\",\"name\":"
             "\"image\",\"mime\":\"image/png\"},{\"data\":"
             "\"https://x.example/y\",\"type\":\"url\",\"name\":\"image\","
             "\"mime\":\"image/*\"}],\"streaming\":true}", "seed, user", "");
}


/* What no flow can be asked changes the meaning. */
static void
test_write_lost(void **state)
{
    (void) state;

    check_to("{\"n\":2,\"stop\":\"x\",\"tools\":[{\"type\":\"function\","
             "\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"required\","
             "\"response_format\":{\"type\":\"json_object\"},"
             "\"messages\":[{\"role\":\"user\",\"content\":"
             "[{\"type\":\"image_url\",\"image_url\":{\"url\":"
             "\"data:image/png;base64,AA==\"}}]},{\"role\":\"user\","
             "\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\","
             "\"tool_calls\":[{\"id\":\"i\",\"type\":\"function\","
             "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
             "{\"role\":\"tool\",\"tool_call_id\":\"i\",\"content\":\"c\"}]}",
             "{\"question\":\"a\",\"streaming\":true}", "",
             "messages[].content[].image, messages[].tool_calls, "
             "messages[].tool_call_id, messages, n, stop, tools, "
             "tool_choice, response_format");

    check_to("{\"n\":1,\"tool_choice\":\"auto\",\"messages\":[{\"role\":"
             "\"user\",\"content\":\"a\"}],\"response_format\":{\"type\":"
             "\"text\"}}",
             "{\"question\":\"a\",\"streaming\":true}", "", "");
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_broken_call),
        cmocka_unit_test(test_cut_call),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_extras),
        cmocka_unit_test(test_error_body),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_streaming),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_lost)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
