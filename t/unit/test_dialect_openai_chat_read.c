/*
 * OpenAI's chat request as a value: every member, every part of a message,
 * legacy forms and those of compatible servers, and what is refused.
 */

#include "chat_dump.h"


typedef struct {
    const char  *in;
    const char  *want;
} read_case_t;


static void
check_cases(const read_case_t *c, size_t n)
{
    size_t         i;
    chat_how_t     how;
    chat_result_t  r;

    memset(&how, 0, sizeof(how));

    for (i = 0; i < n; i++) {
        chat_translate(&r, &llm_dialect_openai, &dump_row, c[i].in,
                       strlen(c[i].in), &how);

        if (r.rc != LLM_OK) {
            fail_msg("%d (%s): %s", r.rc, r.member, c[i].in);
        }

        chat_same(r.body, c[i].want);
        chat_done(&r);
    }
}


#define check_table(t)  check_cases(t, sizeof(t) / sizeof((t)[0]))


static void
test_members(void **state)
{
    static const read_case_t  cases[] = {
        { "{}", "{}" },
        { "{\"model\":\"m\",\"stream\":true,\"stream_options\":"
          "{\"include_usage\":true},\"temperature\":0.50,\"top_p\":1e0,"
          "\"top_k\":3,\"min_p\":0.1,\"seed\":7,\"presence_penalty\":-1,"
          "\"frequency_penalty\":2,\"n\":2,\"logprobs\":true,"
          "\"top_logprobs\":5,\"parallel_tool_calls\":false,"
          "\"user\":\"u\\\"\",\"metadata\":{\"a\":\"b\"}}",
          "{\"model\":\"m\",\"stream\":1,\"include_usage\":1,"
          "\"temperature\":0.50,\"top_p\":1e0,\"top_k\":3,\"min_p\":0.1,"
          "\"seed\":7,\"presence\":-1,\"frequency\":2,\"n\":2,"
          "\"logprobs\":1,\"top_logprobs\":5,\"parallel_tools\":0,"
          "\"user\":\"u\\\"\",\"metadata\":{\"a\":\"b\"}}" },

        /* null is as if not said; the last of duplicates counts */

        { "{\"model\":null,\"stream\":null,\"stream_options\":null,"
          "\"temperature\":null,\"stop\":null,\"tools\":null,"
          "\"tool_choice\":null,\"response_format\":null,\"user\":null,"
          "\"reasoning_effort\":null,\"reasoning\":null,\"store\":null,"
          "\"metadata\":null,\"functions\":null,\"messages\":null}", "{}" },
        { "{\"temperature\":1,\"temperature\":2,\"seed\":1,\"seed\":null,"
          "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],"
          "\"messages\":[]}", "{\"temperature\":2}" },
        { "{\"temp\\u0065rature\":1}", "{\"temperature\":1}" },

        /* one member says what another says */

        { "{\"max_tokens\":1}", "{\"max_tokens\":1}" },
        { "{\"max_completion_tokens\":2,\"max_tokens\":1}",
          "{\"max_tokens\":2}" },
        { "{\"max_tokens\":1,\"max_completion_tokens\":2}",
          "{\"max_tokens\":2}" },
        { "{\"max_tokens\":1,\"max_completion_tokens\":null}",
          "{\"max_tokens\":1}" },
        { "{\"safety_identifier\":\"s\"}", "{\"user\":\"s\"}" },
        { "{\"safety_identifier\":\"s\",\"user\":\"u\"}",
          "{\"user\":\"u\"}" },
        { "{\"random_seed\":4}", "{\"seed\":4}" },

        { "{\"stop\":\"a\\n\"}", "{\"stops\":[\"a\\n\"]}" },
        { "{\"stop\":[\"a\",\"b\"]}", "{\"stops\":[\"a\",\"b\"]}" },
        { "{\"stop\":[]}", "{}" },

        /* what is unknown is kept as it came */

        { "{\"store\":true,\"service_tier\":\"auto\","
          "\"logit_bias\":{\"5\": -1},\"stream_options\":"
          "{\"include_obfuscation\":false}}",
          "{\"extras\":[{\"name\":\"store\",\"raw\":true},"
          "{\"name\":\"service_tier\",\"raw\":\"auto\"},"
          "{\"name\":\"logit_bias\",\"raw\":{\"5\":-1}},"
          "{\"name\":\"stream_options.include_obfuscation\","
          "\"raw\":false}]}" }
    };

    (void) state;

    check_table(cases);
}


static void
test_reasoning(void **state)
{
    static const read_case_t  cases[] = {
        { "{\"reasoning_effort\":\"none\"}", "{\"effort\":1}" },
        { "{\"reasoning_effort\":\"xhigh\"}", "{\"effort\":6}" },
        { "{\"reasoning\":{\"effort\":\"low\",\"exclude\":true}}",
          "{\"effort\":3,\"thoughts\":0}" },
        { "{\"reasoning\":{\"max_tokens\":2000,\"exclude\":false}}",
          "{\"budget\":2000,\"thoughts\":1}" },
        { "{\"reasoning\":{\"enabled\":true}}", "{\"effort\":8}" },
        { "{\"reasoning\":{\"enabled\":false}}", "{\"effort\":1}" },
        { "{\"reasoning\":{\"effort\":\"high\",\"enabled\":true}}",
          "{\"effort\":5}" },
        { "{\"reasoning\":{\"enabled\":true,\"effort\":\"high\"}}",
          "{\"effort\":5}" },
        { "{\"reasoning\":{}}", "{}" }
    };

    (void) state;

    check_table(cases);
}


#define TOOL  "{\"type\":\"function\",\"function\":{\"name\":"

static void
test_tools(void **state)
{
    static const read_case_t  cases[] = {
        { "{\"tools\":[" TOOL "\"a\",\"description\":\"d\",\"parameters\":"
          "{\"type\":\"object\"},\"strict\":true}}," TOOL "\"b\"}}]}",
          "{\"tools\":[{\"name\":\"a\",\"description\":\"d\","
          "\"schema\":{\"type\":\"object\"},\"strict\":1},"
          "{\"name\":\"b\"}]}" },
        { "{\"tools\":[{\"type\":\"web_search\"},{\"type\":\"custom\","
          "\"custom\":{\"name\":\"c\",\"description\":\"d\"}}]}",
          "{\"tools\":[{\"type\":\"web_search\"},{\"type\":\"custom\","
          "\"name\":\"c\",\"description\":\"d\"}]}" },
        { "{\"functions\":[{\"name\":\"f\",\"parameters\":{}}],"
          "\"function_call\":{\"name\":\"f\"}}",
          "{\"tools\":[{\"name\":\"f\",\"schema\":{}}],\"choose\":\"tool\","
          "\"choose_name\":\"f\"}" },
        { "{\"function_call\":\"none\"}", "{\"choose\":\"none\"}" },
        { "{\"tool_choice\":\"auto\"}", "{\"choose\":\"auto\"}" },
        { "{\"tool_choice\":\"required\"}", "{\"choose\":\"required\"}" },
        { "{\"tool_choice\":\"any\"}", "{\"choose\":\"required\"}" },
        { "{\"tool_choice\":" TOOL "\"a\"}}}",
          "{\"choose\":\"tool\",\"choose_name\":\"a\"}" },
        { "{\"tool_choice\":{\"custom\":{\"name\":\"c\"},"
          "\"type\":\"custom\"}}",
          "{\"choose\":\"tool\",\"choose_name\":\"c\"}" },

        /* a list of allowed ones is a shorter list of tools */

        { "{\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":"
          "{\"mode\":\"required\",\"tools\":[" TOOL "\"c\"}}," TOOL
          "\"a\"}},{\"type\":\"web_search\"}]}},\"tools\":[" TOOL "\"a\"}},"
          TOOL "\"b\"}}," TOOL "\"c\"}},{\"type\":\"web_search\"},"
          "{\"type\":\"x\"}]}",
          "{\"choose\":\"required\",\"tools\":[{\"name\":\"a\"},"
          "{\"name\":\"c\"},{\"type\":\"web_search\"}]}" }
    };

    (void) state;

    check_table(cases);
}


static void
test_format(void **state)
{
    static const read_case_t  cases[] = {
        { "{\"response_format\":{\"type\":\"text\"}}",
          "{\"format\":\"text\"}" },
        { "{\"response_format\":{\"type\":\"json_object\"}}",
          "{\"format\":\"object\"}" },
        { "{\"response_format\":{\"json_schema\":{\"schema\":{\"a\":[1]},"
          "\"name\":\"n\",\"strict\":true},\"type\":\"json_schema\"}}",
          "{\"format\":\"schema\",\"schema\":{\"a\":[1]},"
          "\"schema_name\":\"n\",\"schema_strict\":1}" }
    };

    (void) state;

    check_table(cases);
}


#define MESSAGES(m)   "{\"messages\":[" m "]}"
#define PARTS(p)      "{\"parts\":[" p "]}"
#define PART(t, r, n) "{\"type\":\"" t "\",\"role\":\"" r "\",\"message\":" n

static void
test_messages(void **state)
{
    static const read_case_t  cases[] = {
        { MESSAGES("{\"role\":\"system\",\"content\":\"s\"},"
                   "{\"content\":\"d\",\"role\":\"developer\"},"
                   "{\"role\":\"user\",\"content\":\"\\u00e9\"},"
                   "{\"role\":\"assistant\",\"content\":\"a\"}"),
          PARTS(PART("text", "system", "0") ",\"text\":\"s\"},"
                PART("text", "system", "1") ",\"text\":\"d\"},"
                PART("text", "user", "2") ",\"text\":\"\\u00e9\"},"
                PART("text", "assistant", "3") ",\"text\":\"a\"}") },
        { MESSAGES("{\"role\":\"user\",\"content\":\"\",\"name\":\"bob\"}"),
          "{\"parts\":[" PART("text", "user", "0") ",\"text\":\"\"}],"
          "\"extras\":[{\"name\":\"messages[].name\",\"raw\":\"bob\"}]}" },
        { MESSAGES("{\"role\":\"user\",\"content\":[]},"
                   "{\"role\":\"user\",\"content\":[{\"text\":\"a\","
                   "\"type\":\"text\",\"cache_control\":{}}]}"),
          PARTS(PART("text", "user", "1") ",\"text\":\"a\"}") }
    };

    (void) state;

    check_table(cases);
}


static void
test_content(void **state)
{
    static const read_case_t  cases[] = {
        { MESSAGES("{\"role\":\"user\",\"content\":["
                   "{\"type\":\"image_url\",\"image_url\":{\"url\":"
                   "\"https:\\/\\/a\\/b.png\",\"detail\":\"low\"}},"
                   "{\"image_url\":\"data:image/gif;base64,R0\","
                   "\"type\":\"image_url\"}]}"),
          PARTS(PART("image", "user", "0") ",\"url\":\"https://a/b.png\","
                "\"name\":\"low\"}," PART("image", "user", "0")
                ",\"media\":\"image/gif\",\"data\":\"R0\"}") },
        { MESSAGES("{\"role\":\"user\",\"content\":["
                   "{\"type\":\"input_audio\",\"input_audio\":"
                   "{\"data\":\"QQ\",\"format\":\"mp3\"}},"
                   "{\"type\":\"input_audio\",\"input_audio\":"
                   "{\"data\":\"data:audio/wav;base64,Qg\","
                   "\"format\":\"wav\"}},"
                   "{\"type\":\"input_audio\",\"input_audio\":"
                   "{\"data\":\"Qw\",\"format\":\"new\"}}]}"),
          PARTS(PART("audio", "user", "0") ",\"media\":\"audio/mpeg\","
                "\"data\":\"QQ\"}," PART("audio", "user", "0")
                ",\"media\":\"audio/wav\",\"data\":\"Qg\"},"
                PART("audio", "user", "0") ",\"data\":\"Qw\"}") },
        { MESSAGES("{\"role\":\"user\",\"content\":["
                   "{\"type\":\"file\",\"file\":{\"filename\":\"f.pdf\","
                   "\"file_data\":\"data:application/pdf;base64,JV\"}},"
                   "{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}},"
                   "{\"type\":\"file\",\"file\":{\"file_data\":\"JV\"}}]}"),
          PARTS(PART("file", "user", "0") ",\"name\":\"f.pdf\","
                "\"media\":\"application/pdf\",\"data\":\"JV\"},"
                PART("file", "user", "0") ",\"id\":\"file-1\"},"
                PART("file", "user", "0") ",\"media\":\"application/pdf\","
                "\"data\":\"JV\"}") },
        { MESSAGES("{\"role\":\"assistant\",\"content\":["
                   "{\"type\":\"refusal\",\"refusal\":\"no\"},"
                   "{\"type\":\"thinking\",\"thinking\":[{\"type\":"
                   "\"text\",\"text\":\"h\"},{\"text\":\"m\"}]},"
                   "{\"type\":\"thinking\",\"thinking\":\"t\"}]}"),
          PARTS(PART("refusal", "assistant", "0") ",\"text\":\"no\"},"
                PART("reasoning", "assistant", "0") ",\"text\":\"h\"},"
                PART("reasoning", "assistant", "0") ",\"text\":\"m\"},"
                PART("reasoning", "assistant", "0") ",\"text\":\"t\"}") },

        /* what none of the others is, or lacks what it needs */

        { MESSAGES("{\"role\":\"user\",\"content\":["
                   "{\"type\":\"video_url\",\"video_url\":{\"url\":\"v\"}},"
                   "{\"type\":\"text\"},{\"type\":\"image_url\","
                   "\"image_url\":[1]},{}]}"),
          PARTS(PART("other", "user", "0") ",\"name\":\"video_url\"},"
                PART("other", "user", "0") ",\"name\":\"text\"},"
                PART("other", "user", "0") ",\"name\":\"image_url\"},"
                PART("other", "user", "0") "}") }
    };

    (void) state;

    check_table(cases);
}


static void
test_calls(void **state)
{
    static const read_case_t  cases[] = {
        { MESSAGES("{\"role\":\"assistant\",\"tool_calls\":["
                   "{\"id\":\"c1\",\"type\":\"function\",\"function\":"
                   "{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},"
                   "{\"id\":\"c2\",\"function\":{\"arguments\":{\"b\":2},"
                   "\"name\":\"g\"},\"extra_content\":{\"google\":"
                   "{\"thought_signature\":\"sig\"}}}],\"content\":\"x\"},"
                   "{\"role\":\"tool\",\"tool_call_id\":\"c1\","
                   "\"content\":\"r\"},"
                   "{\"role\":\"tool\",\"tool_call_id\":\"c2\","
                   "\"content\":[{\"type\":\"text\",\"text\":\"p\"},"
                   "{\"type\":\"text\",\"text\":\"q\"}]}"),
          PARTS(PART("text", "assistant", "0") ",\"text\":\"x\"},"
                PART("call", "assistant", "0") ",\"id\":\"c1\","
                "\"name\":\"f\",\"args\":\"{\\\"a\\\":1}\"},"
                PART("call", "assistant", "0") ",\"id\":\"c2\","
                "\"name\":\"g\",\"args\":{\"b\":2},\"signature\":\"sig\"},"
                PART("result", "tool", "1") ",\"id\":\"c1\"},"
                PART("text", "tool", "1") ",\"inner\":1,\"text\":\"r\"},"
                PART("result", "tool", "2") ",\"id\":\"c2\"},"
                PART("text", "tool", "2") ",\"inner\":1,\"text\":\"p\"},"
                PART("text", "tool", "2") ",\"inner\":1,\"text\":\"q\"}") },

        /* legacy, and a call that is no function's */

        { MESSAGES("{\"role\":\"assistant\",\"content\":null,"
                   "\"function_call\":{\"name\":\"f\",\"arguments\":"
                   "\"{}\"}},{\"role\":\"function\",\"name\":\"f\","
                   "\"content\":\"r\"}"),
          PARTS(PART("call", "assistant", "0") ",\"name\":\"f\","
                "\"args\":\"{}\"}," PART("result", "tool", "1")
                ",\"name\":\"f\"}," PART("text", "tool", "1")
                ",\"inner\":1,\"text\":\"r\"}") },
        { MESSAGES("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\","
                   "\"type\":\"custom\",\"custom\":{\"name\":\"x\","
                   "\"input\":\"i\"}}]}"),
          PARTS(PART("other", "assistant", "0") ",\"id\":\"c\","
                "\"name\":\"custom\"}") },
        { MESSAGES("{\"role\":\"assistant\",\"tool_calls\":[{\"function\":"
                   "{\"name\":\"f\",\"arguments\":null}}]}"),
          PARTS(PART("call", "assistant", "0") ",\"name\":\"f\"}") }
    };

    (void) state;

    check_table(cases);
}


/* Reasoning goes in front of what it led to. */
static void
test_history(void **state)
{
    static const read_case_t  cases[] = {
        { MESSAGES("{\"role\":\"assistant\",\"content\":\"c\","
                   "\"reasoning_content\":\"r\",\"refusal\":\"no\"}"),
          PARTS(PART("reasoning", "assistant", "0") ",\"text\":\"r\"},"
                PART("text", "assistant", "0") ",\"text\":\"c\"},"
                PART("refusal", "assistant", "0") ",\"text\":\"no\"}") },
        { MESSAGES("{\"role\":\"assistant\",\"reasoning\":\"r\","
                   "\"reasoning_content\":\"s\",\"refusal\":null}"),
          PARTS(PART("reasoning", "assistant", "0") ",\"text\":\"s\"}") },
        { MESSAGES("{\"role\":\"assistant\",\"reasoning\":\"r\","
                   "\"reasoning_details\":[{\"type\":\"reasoning.text\","
                   "\"text\":\"t\",\"signature\":\"g\"},"
                   "{\"type\":\"reasoning.encrypted\",\"data\":\"e\"},"
                   "{\"type\":\"reasoning.summary\",\"summary\":\"u\"},7]}"),
          PARTS(PART("reasoning", "assistant", "0") ",\"text\":\"t\","
                "\"signature\":\"g\"}," PART("reasoning", "assistant", "0")
                ",\"data\":\"e\"}," PART("reasoning", "assistant", "0")
                ",\"text\":\"u\"}") },

        /* a signature that came in a chunk of its own */

        { MESSAGES("{\"role\":\"assistant\",\"reasoning_content\":\"r\","
                   "\"reasoning_details\":[{\"type\":\"reasoning.text\","
                   "\"signature\":\"g\"}]}"),
          PARTS(PART("reasoning", "assistant", "0") ",\"text\":\"r\","
                "\"signature\":\"g\"}") },
        { MESSAGES("{\"role\":\"assistant\",\"reasoning_content\":\"r\","
                   "\"reasoning_details\":[{\"type\":"
                   "\"reasoning.encrypted\",\"data\":\"e\"}]}"),
          PARTS(PART("reasoning", "assistant", "0") ",\"data\":\"e\"},"
                PART("reasoning", "assistant", "0") ",\"text\":\"r\"}") }
    };

    (void) state;

    check_table(cases);
}


static const struct {
    const char  *in;
    const char  *member;
} wrong_cases[] = {
    { "", NULL }, { "[]", NULL }, { "{", NULL }, { "{}x", NULL },
    { "{\"model\":1,}", NULL }, { "{\"messages\":[{\"role\":1,", NULL },
    { "{\"messages\":[{\"role\":\"user\",\"content\":[{]}]}", NULL },
    { "{\"messages\":[1,{]}", NULL }, { "{\"messages\":[[}", NULL },

    { "{\"model\":1}", "model" }, { "{\"stream\":\"true\"}", "stream" },
    { "{\"temperature\":\"1\"}", "temperature" },
    { "{\"max_tokens\":\"1\"}", "max_tokens" },
    { "{\"max_completion_tokens\":[]}", "max_completion_tokens" },
    { "{\"user\":1}", "user" },
    { "{\"safety_identifier\":{}}", "safety_identifier" },
    { "{\"metadata\":[]}", "metadata" }, { "{\"stop\":1}", "stop" },
    { "{\"stop\":[1]}", "stop" },
    { "{\"stream_options\":1}", "stream_options" },
    { "{\"reasoning_effort\":\"big\"}", "reasoning_effort" },
    { "{\"reasoning_effort\":1}", "reasoning_effort" },
    { "{\"reasoning\":\"low\"}", "reasoning" },
    { "{\"logprobs\":1}", "logprobs" },
    { "{\"tools\":{}}", "tools" }, { "{\"tools\":[1]}", "tools" },
    { "{\"tools\":[{\"type\":\"function\"}]}", "tools" },
    { "{\"functions\":[{}]}", "functions" },
    { "{\"functions\":7}", "functions" },
    { "{\"tool_choice\":\"maybe\"}", "tool_choice" },
    { "{\"tool_choice\":{}}", "tool_choice" },
    { "{\"tool_choice\":1}", "tool_choice" },
    { "{\"function_call\":[]}", "function_call" },
    { "{\"response_format\":\"json\"}", "response_format" },
    { "{\"response_format\":{\"type\":\"xml\"}}", "response_format" },
    { "{\"response_format\":{\"type\":\"json_schema\"}}",
      "response_format" },

    { "{\"messages\":\"x\"}", "messages" },
    { "{\"messages\":{\"a\":[]}}", "messages" },
    { "{\"messages\":[\"x\",{\"a\":1}]}", "messages" },
    { "{\"messages\":[[],{}]}", "messages" },
    { MESSAGES("{\"content\":\"x\"}"), "messages" },
    { MESSAGES("{\"role\":\"robot\",\"content\":\"x\"}"), "messages" },
    { MESSAGES("{\"role\":\"user\",\"content\":1}"), "messages" },
    { MESSAGES("{\"role\":\"user\",\"content\":[\"x\"]}"), "messages" },
    { MESSAGES("{\"role\":\"assistant\",\"tool_calls\":[{}]}"),
      "messages" },
    { MESSAGES("{\"role\":\"assistant\",\"tool_calls\":[4]}"),
      "messages" },

    /* the first one is named */

    { "{\"messages\":3,\"model\":1}", "messages" },
    { "{\"model\":1,\"messages\":3}", "model" }
};


static void
test_wrong(void **state)
{
    size_t         i;
    chat_how_t     how;
    chat_result_t  r;

    (void) state;

    memset(&how, 0, sizeof(how));

    for (i = 0; i < sizeof(wrong_cases) / sizeof(wrong_cases[0]); i++) {
        chat_translate(&r, &llm_dialect_openai, &dump_row, wrong_cases[i].in,
                       strlen(wrong_cases[i].in), &how);
        assert_int_equal(r.rc, LLM_INVALID);

        if (wrong_cases[i].member == NULL) {
            assert_null(r.member);

        } else {
            assert_non_null(r.member);
            assert_string_equal(r.member, wrong_cases[i].member);
        }

        chat_done(&r);
    }
}


static void
test_depth(void **state)
{
    chat_how_t     how;
    chat_result_t  r;

    static const char  in[] = "{\"metadata\":{\"a\":[[]]}}";

    (void) state;

    memset(&how, 0, sizeof(how));
    how.max_depth = 4;
    chat_translate(&r, &llm_dialect_openai, &dump_row, in, sizeof(in) - 1,
                   &how);
    assert_int_equal(r.rc, LLM_OK);
    chat_done(&r);

    how.max_depth = 3;
    chat_translate(&r, &llm_dialect_openai, &dump_row, in, sizeof(in) - 1,
                   &how);
    assert_int_equal(r.rc, LLM_TOO_DEEP);
    chat_done(&r);
}


/* Cut anywhere, a body is no body; and nothing is read behind its end. */
static void
test_cuts(void **state)
{
    size_t         i;
    chat_how_t     how;
    chat_result_t  r;

    static const char  in[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
        "\"image_url\",\"image_url\":{\"url\":\"data:a;base64,AA\"}},"
        "{\"type\":\"file\",\"file\":{\"file_id\":\"x\"}}]},"
        "{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":"
        "\"f\",\"arguments\":\"{}\"}}],\"reasoning_details\":[{\"text\":"
        "\"t\"}]}],\"stop\":[\"a\"],\"tools\":[{\"function\":{\"name\":"
        "\"f\"}}],\"tool_choice\":\"auto\",\"reasoning\":{\"effort\":"
        "\"low\"}}";

    (void) state;

    memset(&how, 0, sizeof(how));

    for (i = 0; i < sizeof(in) - 1; i++) {
        chat_translate(&r, &llm_dialect_openai, &dump_row, in, i, &how);
        assert_int_equal(r.rc, LLM_INVALID);
        assert_null(r.member);
        chat_done(&r);
    }

    chat_translate(&r, &llm_dialect_openai, &dump_row, in, i, &how);
    assert_int_equal(r.rc, LLM_OK);
    chat_done(&r);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_reasoning),
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_cuts)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
