/*
 * Requests of Ollama's chat and generate and of OpenAI's legacy completions:
 * read as another dialect's, written from another dialect's, compared as
 * JSON with what the target's own client would send.
 */

#include "unit_codec.h"

#include "llm_encode.h"


#define CHAT        &llm_dialect_ollama
#define GENERATE    &llm_dialect_generate
#define COMPLETIONS &llm_dialect_completions
#define OPENAI      &llm_dialect_openai


static const llm_provider_t *
provider(const llm_dialect_t *d)
{
    const llm_provider_t  *p;

    p = llm_provider_find(d->name.p, d->name.n);
    assert_non_null(p);

    return p;
}


/* lost and refused: NULL for "not looked at". */
static void
check(const llm_dialect_t *from, const llm_dialect_t *to, const char *body,
    unsigned stream, const char *expect, const char *lost,
    const char *refused)
{
    codec_request_t  r;

    codec_request(&r, from, provider(to), body, stream);
    assert_int_equal(r.rc, LLM_OK);
    codec_same(body, r.json, expect);

    if (lost != NULL && strcmp(r.lost, lost) != 0) {
        fail_msg("%s: lost %s", body, r.lost);
    }

    if (refused != NULL && strcmp(r.refused, refused) != 0) {
        fail_msg("%s: refused %s", body, r.refused);
    }

    codec_request_free(&r);
}


static void
check_wrong(const llm_dialect_t *from, const char *body, const char *member)
{
    codec_request_t  r;

    codec_request(&r, from, provider(OPENAI), body, 0);
    assert_int_equal(r.rc, LLM_INVALID);

    if (member == NULL) {
        assert_null(r.member);

    } else if (r.member == NULL || strcmp(r.member, member) != 0) {
        fail_msg("%s: %s", body, r.member != NULL ? r.member : "(none)");
    }

    codec_request_free(&r);
}


/* The default of Ollama's server is to stream, so it is always said. */
static void
test_plain(void **state)
{
    (void) state;

    check(OPENAI, CHAT,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":"
        "\"S\"},{\"role\":\"user\",\"content\":\"H\\u00e9\"}]}", 0,
        "{\"model\":\"m\",\"stream\":false,\"messages\":[{\"role\":"
        "\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":"
        "\"Hé\"}]}", "", "");

    check(OPENAI, CHAT,
        "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\","
        "\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\","
        "\"text\":\"b\"}]}]}", 1,
        "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\","
        "\"content\":\"a\\n\\nb\"}]}", "", "");

    check(CHAT, OPENAI,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":"
        "\"S\"},{\"role\":\"user\",\"content\":\"H\"},{\"role\":"
        "\"assistant\",\"content\":\"\"}],\"stream\":true}", 1,
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":"
        "{\"include_usage\":true},\"messages\":[{\"role\":\"system\","
        "\"content\":\"S\"},{\"role\":\"user\",\"content\":\"H\"},"
        "{\"role\":\"assistant\",\"content\":\"\"}]}", "", "");
}


static void
test_options(void **state)
{
    (void) state;

    check(OPENAI, CHAT,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"H\"}],"
        "\"max_completion_tokens\":9,\"temperature\":0.5,\"top_p\":1e0,"
        "\"top_k\":4,\"min_p\":0.1,\"seed\":-7,\"presence_penalty\":1,"
        "\"frequency_penalty\":-1,\"stop\":[\"a\\n\",\"b\"],\"n\":1,"
        "\"logprobs\":true,\"top_logprobs\":2,\"reasoning_effort\":"
        "\"medium\",\"response_format\":{\"type\":\"json_object\"}}", 0,
        "{\"stream\":false,\"messages\":[{\"role\":\"user\",\"content\":"
        "\"H\"}],\"options\":{\"num_predict\":9,\"temperature\":0.5,"
        "\"top_p\":1e0,\"top_k\":4,\"min_p\":0.1,\"seed\":-7,"
        "\"presence_penalty\":1,\"frequency_penalty\":-1,\"stop\":[\"a\\n\","
        "\"b\"]},\"logprobs\":true,\"top_logprobs\":2,\"think\":\"medium\","
        "\"format\":\"json\"}", "", "");

    check(CHAT, OPENAI,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"H\"}],\"options\":{"
        "\"num_predict\":9,\"temperature\":0.5,\"top_p\":1,\"seed\":7,"
        "\"presence_penalty\":1,\"frequency_penalty\":-1,\"stop\":[\"a\"],"
        "\"num_ctx\":4096,\"mirostat\":null,\"wave\":1},\"keep_alive\":\"5m\","
        "\"format\":{\"type\":\"object\"},\"think\":true,"
        "\"logprobs\":true}", 0,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"H\"}],"
        "\"max_completion_tokens\":9,\"temperature\":0.5,\"top_p\":1,"
        "\"seed\":7,\"presence_penalty\":1,\"frequency_penalty\":-1,"
        "\"stop\":[\"a\"],\"logprobs\":true,\"response_format\":{\"type\":"
        "\"json_schema\",\"json_schema\":{\"name\":\"response\",\"schema\":"
        "{\"type\":\"object\"}}}}", "options.num_ctx, options, keep_alive",
        "");

    /* no limit is none, values that say nothing are nothing */

    check(CHAT, OPENAI,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"H\"}],\"options\":{"
        "\"num_predict\":-1},\"format\":\"\",\"keep_alive\":null,"
        "\"think\":null}", 0,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"H\"}]}", "", "");

    /* from one of the two paths to the other */

    check(GENERATE, CHAT,
        "{\"model\":\"m\",\"prompt\":\"H\",\"options\":{\"num_ctx\":8,"
        "\"top_k\":3},\"keep_alive\":0,\"template\":\"\",\"raw\":false,"
        "\"think\":false}", 1,
        "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\","
        "\"content\":\"H\"}],\"options\":{\"num_ctx\":8,\"top_k\":3},"
        "\"keep_alive\":0,\"think\":false}", "", "");
}


static void
test_think(void **state)
{
    char    body[256], expect[256];
    size_t  i;

    static const struct {
        const char  *effort;
        const char  *think;
    } rows[] = {
        { "\"none\"", "false" },
        { "\"minimal\"", "\"low\"" },
        { "\"low\"", "\"low\"" },
        { "\"high\"", "\"high\"" },
        { "\"xhigh\"", "\"high\"" },
        { "\"max\"", "\"max\"" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprintf(body, "{\"messages\":[{\"role\":\"user\",\"content\":\"H\"}],"
                "\"reasoning_effort\":%s}", rows[i].effort);
        sprintf(expect, "{\"stream\":false,\"messages\":[{\"role\":\"user\","
                "\"content\":\"H\"}],\"think\":%s}", rows[i].think);
        check(OPENAI, CHAT, body, 0, expect, "", "");
    }

    check(CHAT, GENERATE, "{\"messages\":[{\"role\":\"user\",\"content\":"
        "\"H\"}],\"think\":\"low\"}", 0,
        "{\"stream\":false,\"prompt\":\"H\",\"think\":\"low\"}", "", "");
    check(CHAT, GENERATE, "{\"messages\":[{\"role\":\"user\",\"content\":"
        "\"H\"}],\"think\":true}", 0,
        "{\"stream\":false,\"prompt\":\"H\",\"think\":true}", "", "");
}


#define TOOL                                                                \
    "{\"type\":\"function\",\"function\":{\"name\":\"depth\","              \
    "\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}}"

static void
test_tools(void **state)
{
    (void) state;

    check(OPENAI, CHAT,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"H\"},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":"
        "\"c1\",\"type\":\"function\",\"function\":{\"name\":\"depth\","
        "\"arguments\":\"{\\\"a\\\":\\\"x\\\\ny\\\"}\"}},{\"id\":\"c2\","
        "\"type\":\"function\",\"function\":{\"name\":\"wind\","
        "\"arguments\":\"\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"3 m\"}],"
        "\"tools\":[" TOOL "],\"tool_choice\":\"auto\"}", 0,
        "{\"stream\":false,\"messages\":[{\"role\":\"user\",\"content\":"
        "\"H\"},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":["
        "{\"id\":\"c1\",\"function\":{\"name\":\"depth\",\"arguments\":"
        "{\"a\":\"x\\ny\"}}},{\"id\":\"c2\",\"function\":{\"name\":\"wind\","
        "\"arguments\":{}}}]},{\"role\":\"tool\",\"content\":\"3 m\","
        "\"tool_name\":\"depth\",\"tool_call_id\":\"c1\"}],"
        "\"tools\":[" TOOL "]}", "", "");

    check(CHAT, OPENAI,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"H\"},"
        "{\"role\":\"assistant\",\"thinking\":\"Hm\",\"content\":\"Ok\","
        "\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"name\":\"depth\","
        "\"arguments\":{\"a\":1}}}]},"
        "{\"role\":\"tool\",\"tool_name\":\"depth\",\"tool_call_id\":\"c1\","
        "\"content\":\"3 m\"}],\"tools\":[" TOOL "]}", 0,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"H\"},{\"role\":"
        "\"assistant\",\"content\":\"Ok\",\"tool_calls\":[{\"id\":\"c1\","
        "\"type\":\"function\",\"function\":{\"name\":\"depth\","
        "\"arguments\":\"{\\\"a\\\":1}\"}}]},{\"role\":\"tool\","
        "\"tool_call_id\":\"c1\",\"content\":\"3 m\"}],\"tools\":[" TOOL
        "]}", "messages[].reasoning", "");

    /* thinking comes back to the dialect that had it; no tool may be called;
     * one must be called */

    check(CHAT, CHAT,
        "{\"messages\":[{\"role\":\"assistant\",\"thinking\":\"Hm\","
        "\"content\":\"\"},{\"role\":\"tool\",\"tool_name\":\"f\"}]}", 0,
        "{\"stream\":false,\"messages\":[{\"role\":\"assistant\","
        "\"thinking\":\"Hm\",\"content\":\"\"},{\"role\":\"tool\","
        "\"content\":\"\",\"tool_name\":\"f\"}]}", "", "");

    check(OPENAI, CHAT, "{\"messages\":[],\"tools\":[" TOOL "],"
        "\"tool_choice\":\"none\"}", 0,
        "{\"stream\":false,\"messages\":[]}", "", "");
    check(OPENAI, CHAT, "{\"messages\":[],\"tools\":[" TOOL "],"
        "\"tool_choice\":\"required\",\"parallel_tool_calls\":false}", 0,
        "{\"stream\":false,\"messages\":[],\"tools\":[" TOOL "]}",
        "parallel_tool_calls", "tool_choice");

    /* arguments that are none are said so */

    check(OPENAI, CHAT, "{\"messages\":[{\"role\":\"assistant\","
        "\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":"
        "{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\"}}]}]}", 0,
        "{\"stream\":false,\"messages\":[{\"role\":\"assistant\","
        "\"content\":\"\",\"tool_calls\":[{\"id\":\"c\",\"function\":"
        "{\"name\":\"f\",\"arguments\":{}}}]}]}", "",
        "messages[].tool_calls[].function."
        "arguments");
}


static void
test_images(void **state)
{
    (void) state;

    check(OPENAI, CHAT,
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
        "\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
        "\"data:image/png;base64,iVBORw0KGgoA\"}},{\"type\":\"image_url\","
        "\"image_url\":{\"url\":\"https://x.test/a.png\"}}]}]}", 0,
        "{\"stream\":false,\"messages\":[{\"role\":\"user\",\"content\":"
        "\"a\",\"images\":[\"iVBORw0KGgoA\"]}]}", "",
        "messages[].image_url");

    check(CHAT, OPENAI,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"images\":["
        "\"data:image/gif;base64,R0lGODdh\"]}]}", 0,
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
        "\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
        "\"data:image/gif;base64,R0lGODdh\"}}]}]}", "", "");

    check(CHAT, GENERATE,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"images\":["
        "\"AAAA\"]},{\"role\":\"user\",\"content\":\"b\",\"images\":["
        "\"BBBB\",\"CC==\"]}]}", 0,
        "{\"stream\":false,\"prompt\":\"User: a\\n\\nUser: b\\n\\n"
        "Assistant:\",\"images\":[\"AAAA\",\"BBBB\",\"CC==\"]}", "", "");

    check(GENERATE, CHAT, "{\"prompt\":\"\",\"images\":[\"AAAA\"]}", 0,
        "{\"stream\":false,\"messages\":[{\"role\":\"user\",\"content\":"
        "\"\",\"images\":[\"AAAA\"]}]}", "", "");

    check(CHAT, COMPLETIONS,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"images\":["
        "\"AAAA\"]}]}", 0, "{\"prompt\":\"a\",\"max_tokens\":1024}", "",
        "messages[].image_url");
}


/* One user's message is the prompt; with more of them each is labelled. */
static void
test_prompt(void **state)
{
    (void) state;

    check(OPENAI, GENERATE,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":"
        "\"S\"},{\"role\":\"user\",\"content\":\"H\"}],\"stop\":\"x\"}", 0,
        "{\"model\":\"m\",\"stream\":false,\"prompt\":\"H\",\"system\":"
        "\"S\",\"options\":{\"stop\":[\"x\"]}}", "", "");

    check(OPENAI, GENERATE,
        "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":"
        "\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":"
        "\"b\"},{\"role\":\"system\",\"content\":\"T\"},{\"role\":\"user\","
        "\"content\":[{\"type\":\"text\",\"text\":\"c\"},{\"type\":\"text\","
        "\"text\":\"d\"}]}]}", 0,
        "{\"stream\":false,\"system\":\"S\\n\\nT\",\"prompt\":\"User: a\\n\\n"
        "Assistant: b\\n\\nUser: c\\n\\nd\\n\\nAssistant:\"}", "", "");

    check(OPENAI, COMPLETIONS,
        "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":"
        "\"user\",\"content\":\"a\"}],\"max_tokens\":5}", 1,
        "{\"prompt\":\"S\\n\\na\",\"max_tokens\":5,\"stream\":true,"
        "\"stream_options\":{\"include_usage\":true}}", "", "");

    /* the last one is the assistant's: the model goes on with it */

    check(OPENAI, COMPLETIONS,
        "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":"
        "\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":"
        "\"Th\"}],\"max_tokens\":5}", 0,
        "{\"prompt\":\"System: S\\n\\nUser: a\\n\\nAssistant: Th\","
        "\"max_tokens\":5}", "", "");

    check(OPENAI, COMPLETIONS,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":"
        "\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\","
        "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
        "\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":"
        "\"z\"}],\"tools\":[" TOOL "],\"max_tokens\":5,\"n\":2,"
        "\"response_format\":{\"type\":\"json_object\"},\"metadata\":{},"
        "\"reasoning_effort\":\"low\"}", 0,
        "{\"prompt\":\"a\",\"max_tokens\":5,\"n\":2}",
        "reasoning_effort, metadata",
        "messages[].tool_calls, messages[].tool_call_id, tools, "
        "response_format");

    check(OPENAI, GENERATE, "{\"messages\":[],\"n\":2,\"user\":\"u\"}", 0,
        "{\"stream\":false,\"prompt\":\"\"}", "user", "n");
}


static void
test_generate(void **state)
{
    (void) state;

    check(GENERATE, OPENAI,
        "{\"images\":[],\"prompt\":\"H\",\"system\":\"S\",\"model\":\"m\","
        "\"context\":[ ],\"template\":\"\",\"format\":\"json\"}", 0,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":"
        "\"S\"},{\"role\":\"user\",\"content\":\"H\"}],\"response_format\":"
        "{\"type\":\"json_object\"}}", "", "");

    check(GENERATE, CHAT,
        "{\"prompt\":\"H\",\"context\":[1,2],\"template\":\"{{ }}\","
        "\"raw\":true,\"suffix\":\"x\"}", 0,
        "{\"stream\":false,\"messages\":[{\"role\":\"user\",\"content\":"
        "\"H\"}]}", "", "context, template, raw, suffix");

    check(GENERATE, COMPLETIONS,
        "{\"prompt\":\"H\",\"suffix\":\"x\",\"system\":\"S\","
        "\"options\":{\"num_predict\":3}}", 0,
        "{\"prompt\":\"S\\n\\nH\",\"suffix\":\"x\",\"max_tokens\":3}", "",
        "");
}


static void
test_completions(void **state)
{
    (void) state;

    check(COMPLETIONS, OPENAI,
        "{\"model\":\"m\",\"prompt\":\"H\",\"max_tokens\":7,\"temperature\":"
        "0,\"logprobs\":3,\"n\":2,\"stop\":\"\\n\",\"seed\":1,\"user\":\"u\","
        "\"stream\":true,\"stream_options\":{\"include_usage\":true}}", 1,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":"
        "\"H\"}],\"max_completion_tokens\":7,\"temperature\":0,\"logprobs\":"
        "true,\"top_logprobs\":3,\"n\":2,\"stop\":[\"\\n\"],\"seed\":1,"
        "\"user\":\"u\",\"stream\":true,\"stream_options\":"
        "{\"include_usage\":true}}", "", "");

    check(OPENAI, COMPLETIONS,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"H\"}],"
        "\"logprobs\":true,\"top_logprobs\":3,\"max_tokens\":7,"
        "\"logit_bias\":{\"5\":-100},\"presence_penalty\":1}", 0,
        "{\"prompt\":\"H\",\"logprobs\":3,\"max_tokens\":7,\"logit_bias\":"
        "{\"5\":-100},\"presence_penalty\":1}", "", "");

    check(COMPLETIONS, CHAT,
        "{\"prompt\":[\"H\"],\"logprobs\":0,\"echo\":true,\"best_of\":1}", 0,
        "{\"stream\":false,\"messages\":[{\"role\":\"user\",\"content\":"
        "\"H\"}],\"logprobs\":true,\"top_logprobs\":0}", "echo, best_of",
        "");

    /* several prompts, and tokens, are nobody else's */

    check(COMPLETIONS, GENERATE, "{\"prompt\":[\"a\",\"b\"]}", 0,
        "{\"stream\":false,\"prompt\":\"a\"}", "", "prompt");
    check(COMPLETIONS, CHAT, "{\"prompt\":[1,2]}", 0,
        "{\"stream\":false,\"messages\":[]}", "", "prompt");
    check(COMPLETIONS, COMPLETIONS, "{\"prompt\":[[1],[2]],\"n\":1,"
        "\"max_tokens\":1}", 0,
        "{\"prompt\":\"\",\"n\":1,\"max_tokens\":1}", "", "prompt");

    /* of two prompts the last counts */

    check(COMPLETIONS, GENERATE, "{\"prompt\":[\"a\",\"b\"],\"prompt\":"
        "\"c\"}", 0, "{\"stream\":false,\"prompt\":\"c\"}", "", "");
}


static void
test_wrong(void **state)
{
    size_t  i;

    static const struct {
        const llm_dialect_t  *from;
        const char           *body;
        const char           *member;
    } rows[] = {
        { CHAT, "[]", NULL },
        { CHAT, "{\"messages\":[", NULL },
        { CHAT, "{\"messages\":[]}x", NULL },
        { CHAT, "{\"messages\":{}}", "messages" },
        { CHAT, "{\"messages\":[3]}", "messages" },
        { CHAT, "{\"messages\":[{}]}", "messages[].role" },
        { CHAT, "{\"messages\":[{\"role\":\"x\"}]}", "messages[].role" },
        { CHAT, "{\"messages\":[{\"role\":3}]}", "messages[].role" },
        { CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":[]}]}",
          "messages[].content" },
        { CHAT, "{\"messages\":[{\"role\":\"user\",\"images\":\"a\"}]}",
          "messages[].images" },
        { CHAT, "{\"messages\":[{\"role\":\"user\",\"images\":[3]}]}",
          "images" },
        { CHAT, "{\"model\":3}", "model" },
        { CHAT, "{\"stream\":\"true\"}", "stream" },
        { CHAT, "{\"format\":\"xml\"}", "format" },
        { CHAT, "{\"think\":\"much\"}", "think" },
        { CHAT, "{\"think\":3}", "think" },
        { CHAT, "{\"options\":[]}", "options" },
        { CHAT, "{\"options\":{\"seed\":\"1\"}}", "options" },
        { CHAT, "{\"options\":{\"stop\":[1]}}", "options.stop" },
        { CHAT, "{\"tools\":{}}", "tools" },
        { GENERATE, "{\"prompt\":[]}", "prompt" },
        { COMPLETIONS, "{\"prompt\":{}}", "prompt" },
        { COMPLETIONS, "{\"prompt\":[]}", "prompt" },
        { COMPLETIONS, "{\"logprobs\":true}", "logprobs" },
        { COMPLETIONS, "{\"prompt\":\"a\"", NULL }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_wrong(rows[i].from, rows[i].body, rows[i].member);
    }
}


/* Depth, and an allocation that fails wherever it may. */
static void
test_bounds(void **state)
{
    char             deep[700];
    size_t           at, i;
    llm_rc_t         rc;
    llm_chat_t       chat;
    llm_alloc_t      a;
    unit_alloc_t     heap;
    codec_request_t  r;

    static const llm_u8  body[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"H\",\"images\":["
        "\"AAAA\"]},{\"role\":\"tool\",\"content\":\"x\"}],\"options\":{"
        "\"stop\":[\"a\"],\"num_ctx\":1},\"tools\":[" TOOL "],"
        "\"keep_alive\":1}";

    (void) state;

    at = (size_t) sprintf(deep, "{\"messages\":");
    memset(deep + at, '[', 300);
    memset(deep + at + 300, ']', 300);
    strcpy(deep + at + 600, "}");

    codec_request(&r, CHAT, provider(OPENAI), deep, 0);
    assert_int_equal(r.rc, LLM_TOO_DEEP);
    codec_request_free(&r);

    rc = LLM_NOMEM;

    for (i = 1; rc == LLM_NOMEM; i++) {
        a = unit_alloc(&heap);
        heap.fail_at = i;
        llm_chat_init(&chat, &a, LLM_JSON_DEPTH);
        rc = llm_dialect_ollama.read_chat(&chat, body, sizeof(body) - 1);
        llm_chat_free(&chat);
        assert_int_equal(heap.live, 0);
    }

    assert_int_equal(rc, LLM_OK);
    assert_true(i > 4);
}


/* What a recorded request is in the other two, and back: the same. */
static void
recorded(const char *path, const char *name)
{
    size_t                n;
    json_t               *v;
    llm_u8               *p;
    codec_request_t       r, back;
    const llm_dialect_t  *from;

    (void) name;

    p = unit_read(path, &n);
    v = unit_parse(p, n, NULL);
    assert_non_null(v);

    from = json_object_get(v, "messages") != NULL ? CHAT
           : strstr(path, "ollama") != NULL ? GENERATE : COMPLETIONS;

    codec_request(&r, from, provider(OPENAI), (char *) p, 1);

    if (json_is_array(json_object_get(v, "prompt"))) {
        assert_string_equal(r.refused, "prompt");

    } else {
        assert_string_equal(r.refused, "");
        codec_request(&back, OPENAI, provider(from), r.body, 1);
        assert_true(json_equal(json_object_get(v, "messages"),
                               json_object_get(back.json, "messages"))
                    || from != CHAT);
        assert_true(json_equal(json_object_get(v, "prompt"),
                               json_object_get(back.json, "prompt"))
                    || from == CHAT);
        assert_true(json_equal(json_object_get(v, "max_tokens"),
                               json_object_get(back.json, "max_tokens"))
                    || json_object_get(v, "max_tokens") == NULL);
        assert_true(json_equal(json_object_get(v, "temperature"),
                               json_object_get(back.json, "temperature"))
                    || json_object_get(v, "temperature") == NULL);
        assert_string_equal(back.refused, "");
        codec_request_free(&back);
    }

    codec_request_free(&r);
    json_decref(v);
    free(p);
}


static void
test_recorded(void **state)
{
    (void) state;

    (void) unit_each_recorded("requests/ollama-chat", "json", recorded);
    (void) unit_each_recorded("requests/ollama-generate", "json", recorded);
    (void) unit_each_recorded("requests/openai-completions", "json", recorded);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_think),
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_prompt),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_completions),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_recorded)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
