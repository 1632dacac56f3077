/*
 * Requests of Gemini to others, of others to Gemini, and back to itself:
 * each against the body that the target's own client would send.
 */

#include "unit_codec.h"


typedef struct {
    const char  *body;
    const char  *expect;
    const char  *lost;
    const char  *refused;
} case_t;

#define CONTENTS  "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":"   \
                  "\"hi\"}]}]"
#define MESSAGES  "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"


static const llm_provider_t *
provider(const char *name)
{
    return llm_provider_find((const llm_u8 *) name, strlen(name));
}


static void
check(const llm_dialect_t *from, const char *to, const case_t *c)
{
    codec_request_t  r;

    codec_request(&r, from, provider(to), c->body, 0);

    if (r.rc != LLM_OK) {
        fail_msg("%s: %d, %s", c->body, r.rc, r.member);
    }

    codec_same(c->body, r.json, c->expect);

    if (strcmp(r.lost, c->lost) != 0 || strcmp(r.refused, c->refused) != 0) {
        fail_msg("%s: lost '%s', refused '%s'", c->body, r.lost, r.refused);
    }

    codec_request_free(&r);
}


static void
check_all(const llm_dialect_t *from, const char *to, const case_t *c,
    size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        check(from, to, &c[i]);
    }
}

#define check_list(from, to, list)                                          \
    check_all(from, to, list, sizeof(list) / sizeof(list[0]))


static const case_t  messages_out[] = {

    /* systems anywhere, roles that follow each other, empty texts */

    { "{\"messages\":[{\"role\":\"system\",\"content\":\"be\"},"
      "{\"role\":\"user\",\"content\":\"a\"},"
      "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"b\"},"
      "{\"type\":\"text\",\"text\":\"\"}]},"
      "{\"role\":\"developer\",\"content\":\"brief\"},"
      "{\"role\":\"assistant\",\"content\":\"c\",\"refusal\":\"no\"},"
      "{\"role\":\"assistant\",\"content\":\"\"},"
      "{\"role\":\"user\",\"content\":\"\\ud83c\\udf0a\"}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"},"
      "{\"text\":\"b\"}]},{\"role\":\"model\",\"parts\":[{\"text\":\"c\"},"
      "{\"text\":\"no\"}]},{\"role\":\"user\",\"parts\":[{\"text\":"
      "\"\\ud83c\\udf0a\"}]}],\"systemInstruction\":{\"parts\":[{\"text\":"
      "\"be\"},{\"text\":\"brief\"}]}}", "", "" },

    /* images, a link, sound, a file */

    { "{\"messages\":[{\"role\":\"user\",\"content\":["
      "{\"type\":\"image_url\",\"image_url\":{\"url\":"
      "\"data:image/png;base64,AAAA\"}},"
      "{\"type\":\"image_url\",\"image_url\":{\"url\":"
      "\"https://a.example/x.JPG?w=1\"}},"
      "{\"type\":\"image_url\",\"image_url\":{\"url\":"
      "\"https://a.example/x\"}},"
      "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"BBBB\","
      "\"format\":\"wav\"}},"
      "{\"type\":\"file\",\"file\":{\"filename\":\"f.pdf\",\"file_data\":"
      "\"data:application/pdf;base64,CCCC\"}},"
      "{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}]}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":["
      "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AAAA\"}},"
      "{\"fileData\":{\"mimeType\":\"image/jpeg\",\"fileUri\":"
      "\"https://a.example/x.JPG?w=1\"}},"
      "{\"fileData\":{\"fileUri\":\"https://a.example/x\"}},"
      "{\"inlineData\":{\"mimeType\":\"audio/wav\",\"data\":\"BBBB\"}},"
      "{\"inlineData\":{\"mimeType\":\"application/pdf\",\"data\":"
      "\"CCCC\"}}]}]}", "", "messages[].content[].file" },

    /* calls, and answers that are objects, texts, of no call */

    { "{\"messages\":[{\"role\":\"assistant\",\"content\":null,"
      "\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":"
      "{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": [1]}\"},"
      "\"extra_content\":{\"google\":{\"thought_signature\":\"cw==\"}}},"
      "{\"id\":\"2\",\"type\":\"function\",\"function\":{\"name\":\"g\","
      "\"arguments\":\"\"}},{\"id\":\"3\",\"type\":\"function\","
      "\"function\":{\"name\":\"h\",\"arguments\":\"{\\\"a\"}}]},"
      "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":"
      "\"{\\\"b\\\":2}\"},"
      "{\"role\":\"tool\",\"tool_call_id\":\"2\",\"content\":[{\"type\":"
      "\"text\",\"text\":\"x\"},{\"type\":\"text\",\"text\":\"y\"}]},"
      "{\"role\":\"tool\",\"tool_call_id\":\"3\",\"content\":\"{x\"},"
      "{\"role\":\"tool\",\"tool_call_id\":\"9\",\"content\":\"\"}]}",
      "{\"contents\":[{\"role\":\"model\",\"parts\":["
      "{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":[1]},\"id\":\"1\"},"
      "\"thoughtSignature\":\"cw==\"},"
      "{\"functionCall\":{\"name\":\"g\",\"args\":{},\"id\":\"2\"}},"
      "{\"functionCall\":{\"name\":\"h\",\"args\":{},\"id\":\"3\"}}]},"
      "{\"role\":\"user\",\"parts\":["
      "{\"functionResponse\":{\"name\":\"f\",\"response\":{\"b\":2},"
      "\"id\":\"1\"}},"
      "{\"functionResponse\":{\"name\":\"g\",\"response\":{\"result\":"
      "\"x\\n\\ny\"},\"id\":\"2\"}},"
      "{\"functionResponse\":{\"name\":\"h\",\"response\":{\"result\":"
      "\"{x\"},\"id\":\"3\"}},"
      "{\"functionResponse\":{\"name\":\"function\",\"response\":"
      "{\"result\":\"\"},\"id\":\"9\"}}]}]}",
      "", "messages[].tool_calls[].function.arguments, "
          "messages[].tool_call_id" }
};


static void
test_messages_out(void **state)
{
    (void) state;

    check_list(&llm_dialect_openai, "gemini", messages_out);
}


static const case_t  settings_out[] = {

    { "{\"model\":\"m\"," MESSAGES ",\"max_completion_tokens\":9,"
      "\"temperature\":0.5,\"top_p\":1e-1,\"top_k\":3,\"min_p\":0.1,"
      "\"seed\":4,\"presence_penalty\":1,\"frequency_penalty\":-1,\"n\":2,"
      "\"stop\":[\"a\",\"\\u0062\"],\"logprobs\":true,\"top_logprobs\":5,"
      "\"user\":\"u\",\"metadata\":{\"a\":\"b\"},\"store\":true,"
      "\"parallel_tool_calls\":false,\"stream\":false}",
      "{" CONTENTS ",\"generationConfig\":{\"temperature\":"
      "0.5,\"topP\":0.1,\"topK\":3,\"candidateCount\":2,"
      "\"maxOutputTokens\":9,\"stopSequences\":[\"a\",\"b\"],\"seed\":4,"
      "\"presencePenalty\":1,\"frequencyPenalty\":-1,\"responseLogprobs\":"
      "true,\"logprobs\":5}}",
      "min_p, parallel_tool_calls, user, metadata, store", "" },

    { "{" MESSAGES ",\"response_format\":{\"type\":\"json_object\"}}",
      "{" CONTENTS ",\"generationConfig\":{\"responseMimeType\":"
      "\"application/json\"}}", "", "" },

    { "{" MESSAGES ",\"response_format\":{\"type\":\"json_schema\","
      "\"json_schema\":{\"name\":\"x\",\"strict\":true,\"schema\":"
      "{\"type\":\"object\"}}}}",
      "{" CONTENTS ",\"generationConfig\":{\"responseMimeType\":"
      "\"application/json\",\"responseJsonSchema\":{\"type\":\"object\"}}}",
      "", "" },

    { "{" MESSAGES ",\"response_format\":{\"type\":\"text\"}}",
      "{" CONTENTS "}", "", "" },

    { "{" MESSAGES ",\"tools\":[{\"type\":\"function\",\"function\":"
      "{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":"
      "\"object\"}}},{\"type\":\"function\",\"function\":{\"name\":\"g\"}},"
      "{\"type\":\"web_search\"}],\"tool_choice\":\"auto\"}",
      "{" CONTENTS ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\","
      "\"description\":\"d\",\"parametersJsonSchema\":{\"type\":"
      "\"object\"}},{\"name\":\"g\"}]}],\"toolConfig\":"
      "{\"functionCallingConfig\":{\"mode\":\"AUTO\"}}}",
      "", "tools[].type" }
};

static void
test_settings_out(void **state)
{
    size_t           i;
    char             body[512];
    codec_request_t  r;

    static const char *const  choices[] = {
        "\"none\"", "{\"mode\":\"NONE\"}",
        "\"required\"", "{\"mode\":\"ANY\"}",
        "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}",
        "{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]}"
    };

    (void) state;

    check_list(&llm_dialect_openai, "gemini", settings_out);

    for (i = 0; i < 6; i += 2) {
        (void) snprintf(body, sizeof(body), "{" MESSAGES ",\"tools\":[{"
                        "\"type\":\"function\",\"function\":{\"name\":\"f\"}"
                        "}],\"tool_choice\":%s}", choices[i]);
        codec_request(&r, &llm_dialect_openai, provider("gemini"), body, 1);
        codec_same(body, codec_at(r.json, "toolConfig",
                                  "functionCallingConfig", NULL),
                   choices[i + 1]);
        codec_request_free(&r);
    }
}


/* Tokens of thinking for models up to 2.5, levels for later ones. */
static void
test_thinking_out(void **state)
{
    size_t           i;
    char             body[512];
    codec_request_t  r;

    static const struct {
        const char  *model;
        const char  *effort;
        const char  *expect;
    } cases[] = {
        { "gemini-2.5-flash", "low", "{\"thinkingBudget\":1024}" },
        { "gemini-2.5-flash", "none", "{\"thinkingBudget\":0}" },
        { "gemini-3-pro", "low", "{\"thinkingLevel\":\"low\"}" },
        { "gemini-3-pro", "minimal", "{\"thinkingLevel\":\"minimal\"}" },
        { "gemini-3-pro", "medium", "{\"thinkingLevel\":\"medium\"}" },
        { "gemini-3-pro", "xhigh", "{\"thinkingLevel\":\"high\"}" },
        { "google/gemini-3.1-flash", "high",
          "{\"thinkingLevel\":\"high\"}" },
        { "gemini-3-pro", "none", "{\"thinkingBudget\":0}" },
        { "tide", "high", "{\"thinkingBudget\":24576}" },
        { "gemini-", "medium", "{\"thinkingBudget\":8192}" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void) snprintf(body, sizeof(body), "{\"model\":\"%s\"," MESSAGES
                        ",\"reasoning_effort\":\"%s\"}", cases[i].model,
                        cases[i].effort);
        codec_request(&r, &llm_dialect_openai, provider("gemini"), body, 1);
        codec_same(body, codec_at(r.json, "generationConfig",
                                  "thinkingConfig", NULL), cases[i].expect);
        codec_request_free(&r);
    }
}


static const case_t  messages_in[] = {

    /* one object for a list, snake_case, roles that are left out */

    { "{\"contents\":{\"parts\":{\"text\":\"hi\"}},\"system_instruction\":"
      "{\"parts\":{\"text\":\"be\"}},\"tools\":{\"function_declarations\":"
      "{\"name\":\"f\",\"parameters_json_schema\":{\"type\":\"object\"}}}}",
      "{\"messages\":[{\"role\":\"system\",\"content\":\"be\"},"
      "{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":[{\"type\":"
      "\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":"
      "\"object\"}}}]}", "", "" },

    { "{\"systemInstruction\":\"be\",\"contents\":[{\"role\":\"user\","
      "\"parts\":[{\"text\":\"a\"},{\"inlineData\":{\"mimeType\":"
      "\"image/png\",\"data\":\"AAAA\"}},{\"inline_data\":{\"data\":"
      "\"BBBB\",\"mime_type\":\"audio/wav\"}},{\"fileData\":{\"fileUri\":"
      "\"https://a.example/x.png\",\"mimeType\":\"image/png\"}},"
      "{\"inlineData\":{\"mimeType\":\"application/pdf\",\"data\":\"CCCC\","
      "\"displayName\":\"f.pdf\"}},{\"videoMetadata\":{}},{}]}]}",
      "{\"messages\":[{\"role\":\"system\",\"content\":\"be\"},"
      "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
      "{\"type\":\"image_url\",\"image_url\":{\"url\":"
      "\"data:image/png;base64,AAAA\"}},{\"type\":\"input_audio\","
      "\"input_audio\":{\"data\":\"BBBB\",\"format\":\"wav\"}},"
      "{\"type\":\"image_url\",\"image_url\":{\"url\":"
      "\"https://a.example/x.png\"}},{\"type\":\"file\",\"file\":"
      "{\"file_data\":\"data:application/pdf;base64,CCCC\",\"filename\":"
      "\"f.pdf\"}}]}]}", "", "" },

    /* a turn with answers of functions and a text is two messages */

    { "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":"
      "{\"name\":\"f\",\"args\":{\"a\":1},\"id\":\"1\"},"
      "\"thoughtSignature\":\"cw==\"},{\"functionCall\":{\"name\":\"g\","
      "\"id\":\"2\"}}]},{\"role\":\"user\",\"parts\":["
      "{\"functionResponse\":{\"id\":\"1\",\"name\":\"f\",\"response\":"
      "{\"output\":\"x\"}}},{\"functionResponse\":{\"id\":\"2\",\"name\":"
      "\"g\",\"response\":{\"b\":\"\\\"\",\"result\":\"r\"}}},{\"text\":"
      "\"now?\"}]}]}",
      "{\"messages\":[{\"role\":\"assistant\",\"content\":null,"
      "\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":"
      "{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"},\"extra_content\":"
      "{\"google\":{\"thought_signature\":\"cw==\"}}},{\"id\":\"2\","
      "\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":"
      "\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":"
      "\"x\"},{\"role\":\"tool\",\"tool_call_id\":\"2\",\"content\":"
      "\"{\\\"b\\\":\\\"\\\\\\\"\\\",\\\"result\\\":\\\"r\\\"}\"},"
      "{\"role\":\"user\",\"content\":\"now?\"}]}", "", "" },

    { "{\"contents\":[{\"parts\":[{\"executableCode\":{\"code\":\"c\"}},"
      "{\"text\":\"a\"}]}]}",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", "",
      "messages[].content[].type" }
};

static const case_t  settings_in[] = {

    { "{\"model\":\"models/m\"," CONTENTS ",\"generationConfig\":"
      "{\"temperature\":0.5,\"topP\":0.1,\"candidateCount\":2,"
      "\"maxOutputTokens\":9,\"stop_sequences\":[\"a\"],\"seed\":4,"
      "\"presencePenalty\":1,\"frequencyPenalty\":-1,\"responseLogprobs\":"
      "true,\"logprobs\":5,\"thinkingConfig\":{\"thinkingLevel\":\"LOW\"},"
      "\"topK\":null,\"responseModalities\":[\"TEXT\"],\"odd\":1}}",
      "{\"model\":\"m\"," MESSAGES ",\"temperature\":0.5,\"top_p\":0.1,"
      "\"n\":2,\"max_completion_tokens\":9,\"stop\":[\"a\"],\"seed\":4,"
      "\"presence_penalty\":1,\"frequency_penalty\":-1,\"logprobs\":true,"
      "\"top_logprobs\":5,\"reasoning_effort\":\"low\"}",
      "generationConfig.responseModalities, odd", "" },

    { "{" CONTENTS ",\"generationConfig\":{\"responseModalities\":"
      "[\"TEXT\",\"IMAGE\"]},\"safetySettings\":[],\"cachedContent\":"
      "\"c\",\"cached_content\":null}",
      "{" MESSAGES "}", "safetySettings, cachedContent",
      "generationConfig.responseModalities" },

    /* OpenAPI's types are not JSON Schema's */

    { "{" CONTENTS ",\"generationConfig\":{\"response_mime_type\":"
      "\"application/json\",\"response_schema\":{\"type\":\"OBJECT\","
      "\"properties\":{\"type\":{\"type\":\"STRING\",\"enum\":[\"STRING\"],"
      "\"description\":\"OBJECT\"}}}}}",
      "{" MESSAGES ",\"response_format\":{\"type\":\"json_schema\","
      "\"json_schema\":{\"name\":\"response\",\"schema\":{\"type\":"
      "\"object\",\"properties\":{\"type\":{\"type\":\"string\",\"enum\":"
      "[\"STRING\"],\"description\":\"OBJECT\"}}}}}}", "", "" },

    { "{" CONTENTS ",\"generationConfig\":{\"responseMimeType\":"
      "\"application/json\"}}",
      "{" MESSAGES ",\"response_format\":{\"type\":\"json_object\"}}", "",
      "" },

    { "{" CONTENTS ",\"generationConfig\":{\"responseMimeType\":"
      "\"text/x.enum\"}}",
      "{" MESSAGES "}", "generationConfig.responseMimeType", "" },

    /* names that are allowed: one, several */

    { "{" CONTENTS ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":"
      "\"ANY\",\"allowedFunctionNames\":[\"g\"]}},\"tools\":["
      "{\"functionDeclarations\":[{\"name\":\"f\",\"parameters\":{\"type\":"
      "\"OBJECT\"}},{\"name\":\"g\"}]}]}",
      "{" MESSAGES ",\"tools\":[{\"type\":\"function\",\"function\":"
      "{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}},{\"type\":"
      "\"function\",\"function\":{\"name\":\"g\"}}],\"tool_choice\":"
      "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}}", "", "" },

    { "{" CONTENTS ",\"toolConfig\":{\"functionCallingConfig\":{"
      "\"allowedFunctionNames\":[\"g\",\"h\"],\"mode\":\"ANY\"},"
      "\"retrievalConfig\":{}},\"tools\":[{\"functionDeclarations\":["
      "{\"name\":\"f\"},{\"name\":\"g\"},{\"name\":\"h\"}]}]}",
      "{" MESSAGES ",\"tools\":[{\"type\":\"function\",\"function\":"
      "{\"name\":\"g\"}},{\"type\":\"function\",\"function\":{\"name\":"
      "\"h\"}}],\"tool_choice\":\"required\"}",
      "toolConfig.retrievalConfig", "" },

    { "{" CONTENTS ",\"tools\":[{\"googleSearch\":{}}]}",
      "{" MESSAGES "}", "", "tools[].type" }
};

static void
test_in(void **state)
{
    (void) state;

    check_list(&llm_dialect_gemini, "openai", messages_in);
    check_list(&llm_dialect_gemini, "openai", settings_in);
}


/* What is written is read again as the same. */
static const char *const  same[] = {

    "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"},"
    "{\"fileData\":{\"mimeType\":\"video/mp4\",\"fileUri\":\"gs://a/b\"}}]},"
    "{\"role\":\"model\",\"parts\":[{\"text\":\"t\",\"thought\":true,"
    "\"thoughtSignature\":\"cw==\"},{\"text\":\"\",\"thoughtSignature\":"
    "\"dA==\"},{\"executableCode\":{\"code\":\"c\"},\"thoughtSignature\":"
    "\"dQ==\"},{\"functionCall\":{\"name\":\"f\",\"args\":{}}}]},"
    "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"f\","
    "\"response\":{\"error\":\"e\"}}},{\"functionResponse\":{\"name\":"
    "\"f\",\"response\":{\"a\":\"\\\"\\n\",\"b\":[1]}}},{\"functionResponse\""
    ":{\"name\":\"g\",\"response\":{\"result\":\"r\"}}},{\"text\":\"b\"}]}],"
    "\"systemInstruction\":{\"parts\":[{\"text\":\"s\"},{\"text\":\"u\"}]}}",

    "{" CONTENTS ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\","
    "\"parametersJsonSchema\":{\"type\":\"object\"}}]},{\"googleSearch\":"
    "{\"x\":1}},{\"urlContext\":{}}],\"toolConfig\":"
    "{\"functionCallingConfig\":{\"mode\":\"NONE\"},\"retrievalConfig\":"
    "{\"languageCode\":\"en\"}},\"safetySettings\":[{\"category\":\"c\"}],"
    "\"cachedContent\":\"c/1\",\"labels\":{\"a\":\"b\"},"
    "\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":-1,"
    "\"includeThoughts\":true},\"responseModalities\":[\"IMAGE\"],"
    "\"speechConfig\":{\"languageCode\":\"en\"},\"mediaResolution\":"
    "\"MEDIA_RESOLUTION_LOW\"}}",

    "{" CONTENTS ",\"generationConfig\":{\"thinkingConfig\":{"
    "\"includeThoughts\":false}}}"
};

static void
test_same(void **state)
{
    size_t  i;
    case_t  c;

    (void) state;

    for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        c = (case_t) { same[i], same[i], "", "" };
        check(&llm_dialect_gemini, "gemini", &c);
    }
}


/* A file that a function answered with follows the answer. */
static void
test_answer_files(void **state)
{
    case_t  c;

    (void) state;

    c = (case_t) {
        "{\"contents\":[{\"parts\":[{\"functionResponse\":{\"name\":\"f\","
        "\"response\":{\"result\":\"r\"},\"parts\":[{\"inlineData\":"
        "{\"mimeType\":\"image/png\",\"data\":\"AAAA\"}},{\"text\":\"no\"}]"
        "}}]}]}",
        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"functionResponse\":"
        "{\"name\":\"f\",\"response\":{\"result\":\"r\"}}},{\"inlineData\":"
        "{\"mimeType\":\"image/png\",\"data\":\"AAAA\"}}]}]}", "", ""
    };

    check(&llm_dialect_gemini, "gemini", &c);
}


static void
test_wrong(void **state)
{
    size_t           i;
    codec_request_t  r;

    static const char *const  wrong[] = {
        "{}", "contents",
        "{\"contents\":\"hi\"}", "contents",
        "{\"contents\":[\"hi\"]}", "contents",
        "{\"contents\":[[]]}", "contents",
        "{\"contents\":[{\"role\":\"assistant\",\"parts\":[]}]}", "contents",
        "{\"contents\":[{\"parts\":[{\"functionCall\":{}}]}]}", "contents",
        "{" CONTENTS ",\"tools\":7}", "tools",
        "{" CONTENTS ",\"tools\":[{\"functionDeclarations\":[{}]}]}",
        "tools",
        "{" CONTENTS ",\"toolConfig\":7}", "toolConfig",
        "{" CONTENTS ",\"toolConfig\":{\"functionCallingConfig\":{"
        "\"allowedFunctionNames\":[7]}}}", "toolConfig",
        "{" CONTENTS ",\"generationConfig\":[]}", "generationConfig",
        "{" CONTENTS ",\"generationConfig\":{\"temperature\":\"1\"}}",
        "generationConfig",
        "{" CONTENTS ",\"generationConfig\":{\"responseSchema\":1}}",
        "generationConfig",
        "{" CONTENTS ",\"generationConfig\":{\"stopSequences\":[1]}}",
        "generationConfig",
        "{" CONTENTS ",\"systemInstruction\":7}", "systemInstruction",
        "{" CONTENTS ",\"model\":7}", "model"
    };

    static const char *const  broken[] = {
        "", "[]", "7", "{\"contents\":", "{\"contents\":[{\"parts\":[{]}",
        "{" CONTENTS "}x", "{" CONTENTS ",}",
        "{\"contents\":[{\"parts\":[{\"inlineData\":{\"data\":\"A}]}]}"
    };

    (void) state;

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i += 2) {
        codec_request(&r, &llm_dialect_gemini, provider("openai"), wrong[i],
                      0);

        if (r.rc != LLM_INVALID || r.member == NULL
            || strcmp(r.member, wrong[i + 1]) != 0)
        {
            fail_msg("%s: %d %s", wrong[i], r.rc, r.member);
        }

        codec_request_free(&r);
    }

    for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        codec_request(&r, &llm_dialect_gemini, provider("openai"), broken[i],
                      0);

        if (r.rc != LLM_INVALID || r.member != NULL) {
            fail_msg("%s: %d %s", broken[i], r.rc, r.member);
        }

        codec_request_free(&r);
    }
}


/* Each allocation can fail. */
static void
test_memory(void **state)
{
    size_t        i, at;
    llm_u8       *copy;
    llm_rc_t      rc;
    llm_chat_t    c;
    llm_alloc_t   a;
    unit_alloc_t  heap;

    (void) state;

    for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        for (at = 1; ; at++) {
            copy = unit_copy(same[i], strlen(same[i]));
            a = unit_alloc(&heap);
            heap.fail_at = at;
            llm_chat_init(&c, &a, LLM_JSON_DEPTH);

            rc = llm_dialect_gemini.read_chat(&c, copy, strlen(same[i]));

            llm_chat_free(&c);
            free(copy);
            assert_int_equal(heap.live, 0);

            if (heap.calls < at) {
                assert_int_equal(rc, LLM_OK);
                break;
            }

            assert_int_equal(rc, LLM_NOMEM);
        }

        assert_true(at > 1);
    }
}


/* A body that is cut anywhere is broken, and nothing else. */
static void
test_cuts(void **state)
{
    size_t           i, n;
    char            *body;
    codec_request_t  r;

    (void) state;

    for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        for (n = strlen(same[i]) - 1; n != 0; n--) {
            body = strdup(same[i]);
            body[n] = '\0';
            codec_request(&r, &llm_dialect_gemini, provider("openai"), body,
                          0);
            assert_int_equal(r.rc, LLM_INVALID);
            assert_null(r.member);
            codec_request_free(&r);
            free(body);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_out),
        cmocka_unit_test(test_settings_out),
        cmocka_unit_test(test_thinking_out),
        cmocka_unit_test(test_in),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_answer_files),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_cuts)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
