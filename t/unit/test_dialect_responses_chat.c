/*
 * Requests of the openai-responses dialect: what a client asks to what a
 * provider of another dialect is asked, and the other way round.
 */

#include "unit_codec.h"


typedef struct {
    const char  *body;
    const char  *expect;        /* a JSON object, or the member that is
                                   wrong; "" for no JSON object */
    const char  *lost;          /* NULL: nothing */
    const char  *refused;
} row_t;


static void
check_rows(const llm_dialect_t *from, const char *to, const row_t *rows,
    size_t n)
{
    size_t                 i;
    codec_request_t        r;
    const llm_provider_t  *provider;

    provider = llm_provider_find((const llm_u8 *) to, strlen(to));
    assert_non_null(provider);

    for (i = 0; i < n; i++) {
        codec_request(&r, from, provider, rows[i].body, 0);

        if (rows[i].expect[0] != '{') {
            assert_int_equal(r.rc, LLM_INVALID);
            assert_string_equal(r.member != NULL ? r.member : "",
                                rows[i].expect);

        } else {
            if (r.rc != LLM_OK) {
                fail_msg("%s: rc %d, %s", rows[i].body, r.rc, r.member);
            }

            codec_same(rows[i].body, r.json, rows[i].expect);
            assert_string_equal(r.lost, rows[i].lost != NULL
                                        ? rows[i].lost : "");
            assert_string_equal(r.refused, rows[i].refused != NULL
                                           ? rows[i].refused : "");
        }

        codec_request_free(&r);
    }
}

#define check_to(to, rows)                                                   \
    check_rows(&llm_dialect_responses, to, rows,                             \
               sizeof(rows) / sizeof(rows[0]))
#define check_from_chat(rows)                                                \
    check_rows(&llm_dialect_openai, "openai-responses", rows,                \
               sizeof(rows) / sizeof(rows[0]))

#define IN(input)     "{\"model\":\"m\",\"input\":" input "}"
#define OUT(list)     "{\"model\":\"m\",\"messages\":" list "}"
#define USER(content) "{\"role\":\"user\",\"content\":" content "}"
#define WITH(member)  "{\"model\":\"m\",\"input\":\"Hi\"," member "}"
#define ASKED(member) "{\"model\":\"m\",\"messages\":[" USER("\"Hi\"") "],"   \
                      member "}"


static void
test_input(void **state)
{
    static const row_t  rows[] = {
        { IN("\"H\\u00e9 \\\"x\\\"\""), OUT("[" USER("\"H\\u00e9 \\\"x\\\"\"")
                                            "]"), NULL, NULL },
        { IN("[" USER("\"Hi\"") "]"), OUT("[" USER("\"Hi\"") "]"),
          NULL, NULL },
        { IN("[{\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},"
             "{\"text\":\"b\",\"type\":\"input_text\"}],\"type\":\"message\","
             "\"role\":\"user\"}]"),
          OUT("[" USER("[{\"type\":\"text\",\"text\":\"a\"},"
                       "{\"type\":\"text\",\"text\":\"b\"}]") "]"),
          NULL, NULL },

        /* instructions come first, wherever they stand */

        { "{\"input\":[" USER("\"Hi\"") ",{\"role\":\"developer\","
          "\"content\":\"Be kind\"}],\"instructions\":\"Be brief\","
          "\"model\":\"m\"}",
          OUT("[{\"role\":\"system\",\"content\":\"Be brief\"},"
              USER("\"Hi\"") ",{\"role\":\"system\",\"content\":"
              "\"Be kind\"}]"), NULL, NULL },

        { IN("[" USER("\"a\"") ",{\"role\":\"assistant\",\"content\":[{"
             "\"type\":\"output_text\",\"text\":\"b\",\"annotations\":[]}],"
             "\"id\":\"msg_1\",\"status\":\"completed\",\"type\":\"message\"}"
             "," USER("\"c\"") "]"),
          OUT("[" USER("\"a\"") ",{\"role\":\"assistant\",\"content\":\"b\"},"
              USER("\"c\"") "]"), NULL, NULL },

        { IN("[{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\","
             "\"refusal\":\"No.\"}]}]"),
          OUT("[{\"role\":\"assistant\",\"content\":null,"
              "\"refusal\":\"No.\"}]"), NULL, NULL },

        { IN("null"), OUT("[]"), NULL, NULL },
        { IN("[]"), OUT("[]"), NULL, NULL },
        { IN("7"), "input", NULL, NULL },
        { IN("{\"role\":\"user\"}"), "input", NULL, NULL },
        { IN("[7]"), "input", NULL, NULL },
        { IN("[{}]"), "input", NULL, NULL },
        { IN("[[{}]," USER("\"a\"") "]"), "input", NULL, NULL },
        { IN("[{\"role\":\"boss\",\"content\":\"a\"}]"), "input",
          NULL, NULL },
        { "{\"model\":7,\"input\":\"a\"}", "model", NULL, NULL },
        { IN("[" USER("\"a\"") ""), "", NULL, NULL },
        { IN("[{\"role\":\"boss\"}]") "x", "", NULL, NULL },
        { "[]", "", NULL, NULL }
    };

    (void) state;

    check_to("openai", rows);
}


/* What the model did in one turn is one message. */
static void
test_turns(void **state)
{
    static const row_t  rows[] = {
        { IN("[" USER("\"a\"") ",{\"type\":\"reasoning\",\"id\":\"rs\","
             "\"summary\":[{\"type\":\"summary_text\",\"text\":\"hm\"}]},"
             "{\"type\":\"message\",\"role\":\"assistant\",\"content\":["
             "{\"type\":\"output_text\",\"text\":\"b\"}]},"
             "{\"type\":\"function_call\",\"id\":\"fc\",\"call_id\":\"c1\","
             "\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"},"
             "{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"g\","
             "\"arguments\":\"\"},"
             "{\"type\":\"function_call_output\",\"call_id\":\"c1\","
             "\"output\":\"1\"},"
             "{\"output\":[{\"type\":\"input_text\",\"text\":\"2\"}],"
             "\"call_id\":\"c2\",\"type\":\"function_call_output\"}]"),
          OUT("[" USER("\"a\"") ",{\"role\":\"assistant\",\"content\":\"b\","
              "\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\","
              "\"function\":{\"name\":\"f\",\"arguments\":"
              "\"{\\\"x\\\":1}\"}},{\"id\":\"c2\",\"type\":\"function\","
              "\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},"
              "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"1\"},"
              "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"2\"}"
              "]"), "messages[].reasoning", NULL },

        /* a text behind a call is of the same turn, a second text is not */

        { IN("[{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\","
             "\"arguments\":\"{}\"},{\"role\":\"assistant\",\"content\":"
             "\"b\"},{\"type\":\"function_call_output\",\"call_id\":\"c\","
             "\"output\":\"\"},{\"role\":\"assistant\",\"content\":\"d\"},"
             "{\"role\":\"assistant\",\"content\":\"e\"}]"),
          OUT("[{\"role\":\"assistant\",\"content\":\"b\",\"tool_calls\":[{"
              "\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":"
              "\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\","
              "\"tool_call_id\":\"c\",\"content\":\"\"},"
              "{\"role\":\"assistant\",\"content\":\"d\"},"
              "{\"role\":\"assistant\",\"content\":\"e\"}]"), NULL, NULL },

        { IN("[{\"type\":\"function_call\",\"call_id\":\"c\"}]"), "input",
          NULL, NULL },

        /* Gemini's signature of a call comes back as it went out */

        { IN("[{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\","
             "\"arguments\":{\"a\":1},\"extra_content\":{\"google\":{"
             "\"thought_signature\":\"sig\"}}}]"),
          OUT("[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{"
              "\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":"
              "\"f\",\"arguments\":\"{\\\"a\\\":1}\"},\"extra_content\":{"
              "\"google\":{\"thought_signature\":\"sig\"}}}]}]"),
          NULL, NULL }
    };

    (void) state;

    check_to("openai", rows);
}


static void
test_parts(void **state)
{
    static const row_t  rows[] = {
        { IN("[" USER("[{\"type\":\"input_image\",\"detail\":\"low\","
                      "\"image_url\":\"data:image/png;base64,AAAA\"},"
                      "{\"type\":\"input_image\",\"image_url\":"
                      "\"https://x/y.png\"},{\"type\":\"input_file\","
                      "\"filename\":\"a.pdf\",\"file_data\":"
                      "\"data:application/pdf;base64,BBBB\"},"
                      "{\"type\":\"input_file\",\"file_id\":\"file-1\"},"
                      "{\"type\":\"input_audio\",\"input_audio\":{"
                      "\"data\":\"CCCC\",\"format\":\"mp3\"}}]") "]"),
          OUT("[" USER("[{\"type\":\"image_url\",\"image_url\":{\"url\":"
                       "\"data:image/png;base64,AAAA\",\"detail\":\"low\"}},"
                       "{\"type\":\"image_url\",\"image_url\":{\"url\":"
                       "\"https://x/y.png\"}},{\"type\":\"file\",\"file\":{"
                       "\"filename\":\"a.pdf\",\"file_data\":"
                       "\"data:application/pdf;base64,BBBB\"}},"
                       "{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}"
                       ",{\"type\":\"input_audio\",\"input_audio\":{"
                       "\"data\":\"CCCC\",\"format\":\"mp3\"}}]") "]"),
          NULL, NULL },

        /* what only OpenAI could find, or do */

        { IN("[" USER("[{\"type\":\"input_text\",\"text\":\"a\"},"
                      "{\"type\":\"input_image\",\"file_id\":\"file-1\"}]")
             "]"), OUT("[" USER("\"a\"") "]"), NULL,
          "messages[].content[].type" },
        { IN("[" USER("\"a\"") ",{\"type\":\"web_search_call\",\"id\":\"w\","
             "\"status\":\"completed\"},{\"id\":\"msg_1\"},{\"type\":"
             "\"computer_call_output\",\"call_id\":\"c\",\"output\":{"
             "\"type\":\"computer_screenshot\",\"image_url\":\"x\"}},"
             "{\"role\":\"assistant\",\"content\":\"b\"}]"),
          OUT("[" USER("\"a\"") ",{\"role\":\"assistant\",\"content\":\"b\"}"
              "]"), NULL, "messages[].content[].type" }
    };

    (void) state;

    check_to("openai", rows);
}


static void
test_members(void **state)
{
    static const row_t  rows[] = {
        { WITH("\"max_output_tokens\":9,\"temperature\":0.5,\"top_p\":1,"
               "\"top_logprobs\":3,\"include\":["
               "\"message.output_text.logprobs\"],\"user\":\"u\","
               "\"metadata\":{\"a\":\"b\"},\"parallel_tool_calls\":true,"
               "\"store\":false,\"service_tier\":\"flex\","
               "\"text\":{\"verbosity\":\"low\"}"),
          ASKED("\"max_completion_tokens\":9,\"temperature\":0.5,\"top_p\":1,"
                "\"logprobs\":true,\"top_logprobs\":3,\"user\":\"u\","
                "\"metadata\":{\"a\":\"b\"},\"store\":false,"
                "\"service_tier\":\"flex\",\"verbosity\":\"low\""),
          NULL, NULL },

        { WITH("\"reasoning\":{\"effort\":\"high\",\"summary\":\"auto\"},"
               "\"safety_identifier\":\"s\",\"truncation\":\"auto\","
               "\"previous_response_id\":null,\"background\":false"),
          ASKED("\"reasoning_effort\":\"high\",\"user\":\"s\""),
          "truncation, background", NULL },

        { WITH("\"top_logprobs\":2"),
          ASKED("\"logprobs\":true,\"top_logprobs\":2"), NULL, NULL },
        { WITH("\"top_logprobs\":0"),
          "{\"model\":\"m\",\"messages\":[" USER("\"Hi\"") "]}",
          NULL, NULL },

        /* words that lead to what was said before */

        { WITH("\"previous_response_id\":\"resp_1\",\"conversation\":{"
               "\"id\":\"conv_1\"},\"prompt\":{\"id\":\"p\"},"
               "\"background\":true,\"max_tool_calls\":3"),
          "{\"model\":\"m\",\"messages\":[" USER("\"Hi\"") "]}",
          "max_tool_calls",
          "previous_response_id, conversation, prompt, background" },

        { WITH("\"text\":{\"format\":{\"type\":\"text\"}}"),
          ASKED("\"response_format\":{\"type\":\"text\"}"), NULL, NULL },
        { WITH("\"text\":{\"format\":{\"type\":\"json_object\"}}"),
          ASKED("\"response_format\":{\"type\":\"json_object\"}"),
          NULL, NULL },
        { WITH("\"text\":{\"format\":{\"strict\":true,\"schema\":{\"a\":1},"
               "\"name\":\"n\",\"type\":\"json_schema\"}}"),
          ASKED("\"response_format\":{\"type\":\"json_schema\","
                "\"json_schema\":{\"name\":\"n\",\"strict\":true,"
                "\"schema\":{\"a\":1}}}"), NULL, NULL },

        { WITH("\"text\":{\"format\":{\"type\":\"json_schema\"}}"), "text",
          NULL, NULL },
        { WITH("\"text\":7"), "text", NULL, NULL },
        { WITH("\"stream\":\"yes\""), "stream", NULL, NULL },
        { WITH("\"temperature\":\"hot\""), "temperature", NULL, NULL },
        { WITH("\"reasoning\":{\"effort\":\"heroic\"}"), "reasoning",
          NULL, NULL },
        { WITH("\"metadata\":[]"), "metadata", NULL, NULL },
        { WITH("\"include\":{}"), "include", NULL, NULL },
        { WITH("\"instructions\":[]"), "instructions", NULL, NULL }
    };

    (void) state;

    check_to("openai", rows);
}


#define TOOLS  "\"tools\":[{\"type\":\"function\",\"name\":\"f\","           \
               "\"description\":\"d\",\"parameters\":{\"type\":\"object\"}," \
               "\"strict\":true},{\"type\":\"function\",\"name\":\"g\","     \
               "\"parameters\":null}]"
#define TOOL_F "{\"type\":\"function\",\"function\":{\"name\":\"f\","        \
               "\"description\":\"d\",\"parameters\":{\"type\":\"object\"}," \
               "\"strict\":true}}"
#define TOOL_G "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}"


static void
test_tools(void **state)
{
    static const row_t  rows[] = {
        { WITH(TOOLS ",\"tool_choice\":\"required\","
               "\"parallel_tool_calls\":false"),
          ASKED("\"tools\":[" TOOL_F "," TOOL_G "],"
                "\"tool_choice\":\"required\","
                "\"parallel_tool_calls\":false"), NULL, NULL },
        { WITH(TOOLS ",\"tool_choice\":{\"type\":\"function\","
               "\"name\":\"g\"}"),
          ASKED("\"tools\":[" TOOL_F "," TOOL_G "],\"tool_choice\":{"
                "\"type\":\"function\",\"function\":{\"name\":\"g\"}}"),
          NULL, NULL },
        { WITH(TOOLS ",\"tool_choice\":\"none\""),
          ASKED("\"tools\":[" TOOL_F "," TOOL_G "],\"tool_choice\":\"none\""),
          NULL, NULL },

        /* some of the tools: the others need not be there */

        { WITH("\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":"
               "\"required\",\"tools\":[{\"type\":\"function\","
               "\"name\":\"g\"},7]}," TOOLS),
          ASKED("\"tools\":[" TOOL_G "],\"tool_choice\":\"required\""),
          NULL, NULL },

        { WITH("\"tools\":[{\"type\":\"web_search\"}],"
               "\"tool_choice\":\"auto\""),
          "{\"model\":\"m\",\"messages\":[" USER("\"Hi\"") "]}", NULL,
          "tools[].type" },
        { WITH("\"tools\":7"), "tools", NULL, NULL },
        { WITH("\"tools\":[7]"), "tools", NULL, NULL },
        { WITH("\"tools\":[{\"type\":\"function\"}]"), "tools", NULL, NULL },
        { WITH("\"tool_choice\":\"maybe\""), "tool_choice", NULL, NULL },
        { WITH("\"tool_choice\":{}"), "tool_choice", NULL, NULL },
        { WITH("\"tool_choice\":7"), "tool_choice", NULL, NULL }
    };

    (void) state;

    check_to("openai", rows);
}


#define CHAT(list, rest)  "{\"model\":\"m\",\"messages\":[" list "]" rest "}"
#define SAYS(text)        "{\"role\":\"system\",\"content\":\"" text "\"}"


static void
test_from_chat(void **state)
{
    static const row_t  rows[] = {
        { CHAT(USER("\"Hi\""), ""), IN("\"Hi\""), NULL, NULL },
        { CHAT(SAYS("a") "," SAYS("b") "," USER("\"Hi\""), ""),
          "{\"model\":\"m\",\"instructions\":\"a\\n\\nb\",\"input\":\"Hi\"}",
          NULL, NULL },
        { CHAT(SAYS("a"), ""), IN("[" SAYS("a") "]"), NULL, NULL },
        { CHAT(USER("\"Hi\"") "," SAYS("a"), ""),
          IN("[" USER("\"Hi\"") "," SAYS("a") "]"), NULL, NULL },

        { CHAT(USER("[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
                    "\"image_url\",\"image_url\":{\"url\":"
                    "\"data:image/png;base64,AAAA\",\"detail\":\"high\"}},"
                    "{\"type\":\"image_url\",\"image_url\":{\"url\":"
                    "\"https://x\"}},{\"type\":\"file\",\"file\":{"
                    "\"filename\":\"a.pdf\",\"file_data\":"
                    "\"data:application/pdf;base64,BB\"}},{\"type\":\"file\","
                    "\"file\":{\"file_id\":\"f\"}},{\"type\":\"input_audio\","
                    "\"input_audio\":{\"data\":\"CC\",\"format\":\"wav\"}}]"),
               ""),
          IN("[" USER("[{\"type\":\"input_text\",\"text\":\"a\"},"
                      "{\"type\":\"input_image\",\"image_url\":"
                      "\"data:image/png;base64,AAAA\",\"detail\":\"high\"},"
                      "{\"type\":\"input_image\",\"image_url\":\"https://x\","
                      "\"detail\":\"auto\"},{\"type\":\"input_file\","
                      "\"filename\":\"a.pdf\",\"file_data\":"
                      "\"data:application/pdf;base64,BB\"},"
                      "{\"type\":\"input_file\",\"file_id\":\"f\"},"
                      "{\"type\":\"input_audio\",\"input_audio\":{"
                      "\"data\":\"CC\",\"format\":\"wav\"}}]") "]"),
          NULL, NULL },

        { CHAT(USER("\"a\"") ",{\"role\":\"assistant\",\"content\":\"b\","
               "\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
               "\"function\":{\"name\":\"f\",\"arguments\":"
               "\"{\\\"x\\\":1}\"}}]},{\"role\":\"tool\",\"tool_call_id\":"
               "\"c\",\"content\":\"2\"},{\"role\":\"assistant\",\"refusal\":"
               "\"No.\"}", ""),
          IN("[" USER("\"a\"") ",{\"role\":\"assistant\",\"content\":\"b\"},"
             "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\","
             "\"arguments\":\"{\\\"x\\\":1}\"},{\"type\":"
             "\"function_call_output\",\"call_id\":\"c\",\"output\":\"2\"},"
             "{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\","
             "\"refusal\":\"No.\"}]}]"), NULL, NULL },

        /* reasoning is of use only where it was encrypted */

        { CHAT("{\"role\":\"assistant\",\"content\":\"b\","
               "\"reasoning_content\":\"hm\"}", ""),
          IN("[{\"role\":\"assistant\",\"content\":\"b\"}]"),
          "messages[].reasoning", NULL }
    };

    (void) state;

    check_from_chat(rows);
}


static void
test_members_from_chat(void **state)
{
    static const row_t  rows[] = {
        { CHAT(USER("\"Hi\""), ",\"max_completion_tokens\":9,"
               "\"temperature\":0.5,\"top_p\":1,\"logprobs\":true,"
               "\"top_logprobs\":3,\"user\":\"u\",\"metadata\":{\"a\":\"b\"},"
               "\"store\":true,\"verbosity\":\"high\",\"n\":1,"
               "\"reasoning_effort\":\"low\",\"prompt_cache_key\":\"k\""),
          WITH("\"max_output_tokens\":9,\"temperature\":0.5,\"top_p\":1,"
               "\"top_logprobs\":3,\"include\":["
               "\"message.output_text.logprobs\"],\"user\":\"u\","
               "\"metadata\":{\"a\":\"b\"},\"store\":true,"
               "\"text\":{\"verbosity\":\"high\"},"
               "\"reasoning\":{\"effort\":\"low\"},"
               "\"prompt_cache_key\":\"k\""), NULL, NULL },

        { CHAT(USER("\"Hi\""), ",\"seed\":1,\"presence_penalty\":1,"
               "\"frequency_penalty\":1,\"logit_bias\":{\"1\":2},\"n\":2,"
               "\"stop\":[\"x\"]"),
          IN("\"Hi\""),
          "seed, presence_penalty, frequency_penalty, logit_bias",
          "n, stop" },

        { CHAT(USER("\"Hi\""), ",\"response_format\":{\"type\":"
               "\"json_schema\",\"json_schema\":{\"schema\":{\"a\":1},"
               "\"strict\":false}},\"verbosity\":\"low\""),
          WITH("\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":"
               "\"response\",\"schema\":{\"a\":1},\"strict\":false},"
               "\"verbosity\":\"low\"}"), NULL, NULL },

        /* a tool that does not say so is not strict in chat, but here */

        { CHAT(USER("\"Hi\""), ",\"tools\":[" TOOL_F "," TOOL_G "],"
               "\"tool_choice\":{\"type\":\"function\",\"function\":{"
               "\"name\":\"f\"}},\"parallel_tool_calls\":true"),
          WITH("\"tools\":[{\"type\":\"function\",\"name\":\"f\","
               "\"description\":\"d\",\"parameters\":{\"type\":\"object\"},"
               "\"strict\":true},{\"type\":\"function\",\"name\":\"g\","
               "\"parameters\":{\"type\":\"object\",\"properties\":{}},"
               "\"strict\":false}],\"tool_choice\":{\"type\":\"function\","
               "\"name\":\"f\"},\"parallel_tool_calls\":true"), NULL, NULL },

        { CHAT(USER("\"Hi\""), ",\"tools\":[{\"type\":\"custom\","
               "\"custom\":{\"name\":\"f\"}}],\"tool_choice\":\"auto\""),
          IN("\"Hi\""), NULL, "tools[].type" }
    };

    (void) state;

    check_from_chat(rows);
}


/* The same dialect: what is said again is the same request. */
static void
test_same(void **state)
{
    size_t       i;
    row_t        rows[1];

    static const char *const  bodies[] = {
        WITH("\"stream_options\":{\"include_obfuscation\":false},"
             "\"previous_response_id\":\"r\",\"truncation\":\"auto\","
             "\"include\":[\"reasoning.encrypted_content\"],"
             "\"conversation\":\"c\",\"background\":true,"
             "\"max_tool_calls\":2,\"reasoning\":{\"effort\":\"none\","
             "\"summary\":\"auto\"}"),
        IN("[" USER("\"a\"") ",{\"type\":\"reasoning\",\"summary\":[{"
           "\"type\":\"summary_text\",\"text\":\"t\"}]},{\"type\":"
           "\"reasoning\",\"summary\":[],\"encrypted_content\":\"e\"},"
           "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\","
           "\"arguments\":\"{}\"},{\"type\":\"function_call_output\","
           "\"call_id\":\"c\",\"output\":[{\"type\":\"input_text\","
           "\"text\":\"1\"},{\"type\":\"input_image\",\"detail\":\"low\","
           "\"image_url\":\"https://x\"}]}]")
    };

    static const char *const  expects[] = {
        WITH("\"previous_response_id\":\"r\",\"truncation\":\"auto\","
             "\"include\":[\"reasoning.encrypted_content\"],"
             "\"conversation\":\"c\",\"background\":true,"
             "\"max_tool_calls\":2,\"reasoning\":{\"effort\":\"none\","
             "\"summary\":\"auto\"}"),
        IN("[" USER("\"a\"") ",{\"type\":\"reasoning\",\"summary\":[{"
           "\"type\":\"summary_text\",\"text\":\"t\"}],"
           "\"encrypted_content\":\"e\"},"
           "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\","
           "\"arguments\":\"{}\"},{\"type\":\"function_call_output\","
           "\"call_id\":\"c\",\"output\":[{\"type\":\"input_text\","
           "\"text\":\"1\"},{\"type\":\"input_image\",\"detail\":\"low\","
           "\"image_url\":\"https://x\"}]}]")
    };

    (void) state;

    memset(rows, 0, sizeof(rows));

    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        rows[0].body = bodies[i];
        rows[0].expect = expects[i];
        check_to("openai-responses", rows);
    }
}


/* Every allocation may be the one that fails. */
static void
test_no_memory(void **state)
{
    size_t        at;
    llm_rc_t      rc;
    llm_chat_t    c;
    llm_alloc_t   a;
    unit_alloc_t  heap;

    static const char  body[] =
        WITH("\"instructions\":\"x\",\"store\":true,\"tool_choice\":{"
             "\"type\":\"allowed_tools\",\"tools\":[{\"type\":\"function\","
             "\"name\":\"g\"}]}," TOOLS ",\"input\":[" USER("\"a\"")
             ",{\"type\":\"reasoning\",\"encrypted_content\":\"e\"}]");

    (void) state;

    for (at = 1, rc = LLM_NOMEM; rc != LLM_OK; at++) {
        a = unit_alloc(&heap);
        heap.fail_at = at;

        llm_chat_init(&c, &a, LLM_JSON_DEPTH);
        rc = llm_dialect_responses.read_chat(&c, (const llm_u8 *) body,
                                             sizeof(body) - 1);
        assert_true(rc == LLM_OK || rc == LLM_NOMEM);

        llm_chat_free(&c);
        assert_int_equal(heap.live, 0);
        assert_true(at < 100);
    }

    assert_true(at > 3);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_from_chat),
        cmocka_unit_test(test_members_from_chat),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_no_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
