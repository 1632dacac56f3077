/*
 * OpenAI's chat request as it is written: canonical forms, the quirks of
 * providers, what cannot be said, and that large strings are not copied.
 */

#include "chat_support.h"


typedef struct {
    unsigned     quirks;
    const char  *in;
    const char  *want;
    const char  *lost;          /* NULL: nothing */
    const char  *refused;
} write_case_t;


static void
check_case(const llm_dialect_t *from, const write_case_t *c,
    const chat_how_t *how)
{
    chat_how_t     h;
    chat_result_t  r;

    h = *how;
    h.quirks = c->quirks;

    chat_translate(&r, from, &llm_dialect_openai, c->in, strlen(c->in), &h);

    if (r.rc != LLM_OK) {
        fail_msg("%d (%s): %s", r.rc, r.member, c->in);
    }

    chat_same(r.body, c->want);
    assert_string_equal(r.lost, c->lost != NULL ? c->lost : "");
    assert_string_equal(r.refused, c->refused != NULL ? c->refused : "");
    chat_done(&r);
}


static void
check_cases(const write_case_t *c, size_t n)
{
    size_t      i;
    chat_how_t  how;

    memset(&how, 0, sizeof(how));

    for (i = 0; i < n; i++) {
        check_case(&llm_dialect_openai, &c[i], &how);
    }
}


#define check_table(t)  check_cases(t, sizeof(t) / sizeof((t)[0]))

#define MESSAGES(m)  "{\"messages\":[" m "]}"
#define EMPTY        "\"messages\":[]"


static void
test_members(void **state)
{
    static const write_case_t  cases[] = {
        { 0, "{\"model\":\"m\\n\"}", "{\"model\":\"m\\n\"," EMPTY "}",
          NULL, NULL },
        { 0, "{\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
          "{" EMPTY "}", NULL, NULL },
        { 0, "{\"temperature\":0.5,\"top_p\":1,\"seed\":7,"
          "\"presence_penalty\":-1,\"frequency_penalty\":2,\"n\":2,"
          "\"logprobs\":true,\"top_logprobs\":5,\"user\":\"u\","
          "\"metadata\":{\"a\":\"b\"},\"stop\":\"x\",\"max_tokens\":9}",
          "{" EMPTY ",\"temperature\":0.5,\"top_p\":1,\"seed\":7,"
          "\"presence_penalty\":-1,\"frequency_penalty\":2,\"n\":2,"
          "\"logprobs\":true,\"top_logprobs\":5,\"user\":\"u\","
          "\"metadata\":{\"a\":\"b\"},\"stop\":[\"x\"],"
          "\"max_completion_tokens\":9}", NULL, NULL },
        { 0, "{\"logprobs\":false,\"stop\":[\"a\",\"b\\\"\"]}",
          "{" EMPTY ",\"logprobs\":false,\"stop\":[\"a\",\"b\\\"\"]}",
          NULL, NULL },

        /* quirks */

        { LLM_QUIRK_MAX_TOKENS, "{\"max_completion_tokens\":9}",
          "{" EMPTY ",\"max_tokens\":9}", NULL, NULL },
        { LLM_QUIRK_RANDOM_SEED, "{\"seed\":9}",
          "{" EMPTY ",\"random_seed\":9}", NULL, NULL },
        { LLM_QUIRK_TOP_K, "{\"top_k\":9,\"min_p\":0.1}",
          "{" EMPTY ",\"top_k\":9,\"min_p\":0.1}", NULL, NULL },
        { 0, "{\"top_k\":9,\"min_p\":0.1}", "{" EMPTY "}", "top_k, min_p",
          NULL },
        { LLM_QUIRK_NO_OPTIONS, "{\"logprobs\":true,\"top_logprobs\":2,"
          "\"user\":\"u\",\"metadata\":{},\"store\":true,"
          "\"verbosity\":\"low\"}", "{" EMPTY ",\"metadata\":{}}",
          "top_logprobs, logprobs, user, store, verbosity", NULL },

        /* extras that OpenAI has a place for, and others */

        { 0, "{\"store\":false,\"logit_bias\":{\"1\":2},\"store\":true,"
          "\"repetition_penalty\":1.1,\"plugins\":[]}",
          "{" EMPTY ",\"store\":true,\"logit_bias\":{\"1\":2}}",
          "repetition_penalty, plugins", NULL }
    };

    (void) state;

    check_table(cases);
}


static void
test_stream(void **state)
{
    chat_how_t           how;
    write_case_t         c;
    llm_request_set_t    set;

    (void) state;

    memset(&how, 0, sizeof(how));
    memset(&c, 0, sizeof(c));
    c.in = "{\"model\":\"own\",\"stream\":false}";
    how.stream = 1;

    c.want = "{\"model\":\"own\"," EMPTY ",\"stream\":true}";
    check_case(&llm_dialect_openai, &c, &how);

    how.usage = 1;
    how.model = "o\"";
    c.want = "{\"model\":\"o\\\"\"," EMPTY ",\"stream\":true,"
             "\"stream_options\":{\"include_usage\":true}}";
    check_case(&llm_dialect_openai, &c, &how);

    /* llm_stream_param wins */

    set.name = llm_slice("stream_options");
    set.value = llm_slice("{\"x\":1}");
    set.if_absent = 0;
    how.set = &set;
    how.nset = 1;
    c.want = "{\"model\":\"o\\\"\"," EMPTY ",\"stream\":true,"
             "\"stream_options\":{\"x\":1}}";
    check_case(&llm_dialect_openai, &c, &how);

    how.nset = 0;
    c.quirks = LLM_QUIRK_NO_OPTIONS;
    c.want = "{\"model\":\"o\\\"\"," EMPTY ",\"stream\":true}";
    check_case(&llm_dialect_openai, &c, &how);

    how.stream = 0;
    c.quirks = 0;
    c.want = "{\"model\":\"o\\\"\"," EMPTY "}";
    check_case(&llm_dialect_openai, &c, &how);
}


static void
test_reasoning(void **state)
{
    static const write_case_t  cases[] = {
        { 0, "{\"reasoning_effort\":\"xhigh\"}",
          "{" EMPTY ",\"reasoning_effort\":\"xhigh\"}", NULL, NULL },
        { 0, "{\"reasoning\":{\"max_tokens\":8000,\"exclude\":true}}",
          "{" EMPTY ",\"reasoning_effort\":\"medium\"}",
          "reasoning budget, reasoning visibility", NULL },
        { 0, "{\"reasoning\":{\"enabled\":true}}", "{" EMPTY "}", NULL,
          NULL },
        { LLM_QUIRK_DETAILS, "{\"reasoning_effort\":\"low\"}",
          "{" EMPTY ",\"reasoning\":{\"effort\":\"low\"}}", NULL, NULL },
        { LLM_QUIRK_DETAILS,
          "{\"reasoning\":{\"max_tokens\":5,\"exclude\":true}}",
          "{" EMPTY ",\"reasoning\":{\"max_tokens\":5,\"exclude\":true}}",
          NULL, NULL },
        { LLM_QUIRK_DETAILS, "{\"reasoning\":{\"exclude\":false}}",
          "{" EMPTY ",\"reasoning\":{\"exclude\":false}}", NULL, NULL },
        { LLM_QUIRK_DETAILS, "{\"reasoning\":{\"enabled\":true}}",
          "{" EMPTY ",\"reasoning\":{\"enabled\":true}}", NULL, NULL },
        { LLM_QUIRK_DETAILS, "{\"reasoning\":{\"max_tokens\":0}}",
          "{" EMPTY ",\"reasoning\":{\"effort\":\"none\"}}", NULL, NULL },
        { LLM_QUIRK_DETAILS, "{\"reasoning\":{\"max_tokens\":-1}}",
          "{" EMPTY ",\"reasoning\":{\"enabled\":true}}", NULL, NULL },
        { LLM_QUIRK_DETAILS, "{}", "{" EMPTY "}", NULL, NULL }
    };

    (void) state;

    check_table(cases);
}


#define TOOL  "{\"type\":\"function\",\"function\":{\"name\":"

static void
test_tools(void **state)
{
    static const write_case_t  cases[] = {
        { 0, "{\"tools\":[" TOOL "\"a\",\"description\":\"d\","
          "\"parameters\":{\"type\":\"object\"},\"strict\":true}}," TOOL
          "\"b\",\"strict\":false}}],\"tool_choice\":\"required\","
          "\"parallel_tool_calls\":false}",
          "{" EMPTY ",\"tools\":[" TOOL "\"a\",\"description\":\"d\","
          "\"parameters\":{\"type\":\"object\"},\"strict\":true}}," TOOL
          "\"b\",\"strict\":false}}],\"tool_choice\":\"required\","
          "\"parallel_tool_calls\":false}", NULL, NULL },
        { 0, "{\"functions\":[{\"name\":\"f\"}],\"function_call\":"
          "{\"name\":\"f\"}}", "{" EMPTY ",\"tools\":[" TOOL "\"f\"}}],"
          "\"tool_choice\":" TOOL "\"f\"}}}", NULL, NULL },
        { 0, "{\"tools\":[" TOOL "\"f\"}}],\"tool_choice\":\"none\"}",
          "{" EMPTY ",\"tools\":[" TOOL "\"f\"}}],\"tool_choice\":"
          "\"none\"}", NULL, NULL },
        { 0, "{\"tools\":[" TOOL "\"f\"}}],\"tool_choice\":\"auto\"}",
          "{" EMPTY ",\"tools\":[" TOOL "\"f\"}}],\"tool_choice\":"
          "\"auto\"}", NULL, NULL },

        /* a choice among no tools is refused by OpenAI */

        { 0, "{\"tools\":[],\"tool_choice\":\"auto\","
          "\"parallel_tool_calls\":true}", "{" EMPTY "}", NULL, NULL },
        { 0, "{\"tools\":[{\"type\":\"web_search\"}," TOOL "\"f\"}},"
          "{\"type\":\"x\"}]}", "{" EMPTY ",\"tools\":[" TOOL "\"f\"}}]}",
          NULL, "tools[].type" }
    };

    (void) state;

    check_table(cases);
}


static void
test_format(void **state)
{
    static const write_case_t  cases[] = {
        { 0, "{\"response_format\":{\"type\":\"text\"}}",
          "{" EMPTY ",\"response_format\":{\"type\":\"text\"}}", NULL,
          NULL },
        { 0, "{\"response_format\":{\"type\":\"json_object\"}}",
          "{" EMPTY ",\"response_format\":{\"type\":\"json_object\"}}", NULL,
          NULL },
        { 0, "{\"response_format\":{\"type\":\"json_schema\","
          "\"json_schema\":{\"schema\":{\"a\":1},\"strict\":true}}}",
          "{" EMPTY ",\"response_format\":{\"type\":\"json_schema\","
          "\"json_schema\":{\"name\":\"response\",\"schema\":{\"a\":1},"
          "\"strict\":true}}}", NULL, NULL },
        { 0, "{\"response_format\":{\"type\":\"json_schema\","
          "\"json_schema\":{\"schema\":{},\"name\":\"n\","
          "\"strict\":false}}}",
          "{" EMPTY ",\"response_format\":{\"type\":\"json_schema\","
          "\"json_schema\":{\"name\":\"n\",\"schema\":{},"
          "\"strict\":false}}}", NULL, NULL }
    };

    (void) state;

    check_table(cases);
}


static void
test_messages(void **state)
{
    static const write_case_t  cases[] = {
        { 0, MESSAGES("{\"role\":\"developer\",\"content\":\"s\"},"
                      "{\"role\":\"user\",\"content\":\"u\\u00e9\","
                      "\"name\":\"bob\"},"
                      "{\"role\":\"assistant\",\"content\":\"\"}"),
          MESSAGES("{\"role\":\"system\",\"content\":\"s\"},"
                   "{\"role\":\"user\",\"content\":\"u\\u00e9\"},"
                   "{\"role\":\"assistant\",\"content\":\"\"}"),
          "messages[].name", NULL },
        { 0, MESSAGES("{\"role\":\"user\",\"content\":[{\"type\":\"text\","
                      "\"text\":\"a\"}]},{\"role\":\"system\",\"content\":"
                      "[{\"type\":\"text\",\"text\":\"a\"},"
                      "{\"type\":\"text\",\"text\":\"b\"}]}"),
          MESSAGES("{\"role\":\"user\",\"content\":\"a\"},"
                   "{\"role\":\"system\",\"content\":\"a\\n\\nb\"}"),
          NULL, NULL },
        { 0, MESSAGES("{\"role\":\"user\",\"content\":["
                      "{\"type\":\"image_url\",\"image_url\":"
                      "{\"url\":\"http://a\",\"detail\":\"low\"}},"
                      "{\"type\":\"image_url\",\"image_url\":"
                      "\"data:image/png;base64,iV\"},"
                      "{\"type\":\"input_audio\",\"input_audio\":"
                      "{\"data\":\"QQ\",\"format\":\"mp3\"}},"
                      "{\"type\":\"file\",\"file\":{\"file_id\":\"f\"}},"
                      "{\"type\":\"file\",\"file\":{\"file_data\":\"JV\"}}"
                      "]}"),
          MESSAGES("{\"role\":\"user\",\"content\":["
                   "{\"type\":\"image_url\",\"image_url\":"
                   "{\"url\":\"http://a\",\"detail\":\"low\"}},"
                   "{\"type\":\"image_url\",\"image_url\":"
                   "{\"url\":\"data:image/png;base64,iV\"}},"
                   "{\"type\":\"input_audio\",\"input_audio\":"
                   "{\"data\":\"QQ\",\"format\":\"mp3\"}},"
                   "{\"type\":\"file\",\"file\":{\"file_id\":\"f\"}},"
                   "{\"type\":\"file\",\"file\":{\"file_data\":"
                   "\"data:application/pdf;base64,JV\",\"filename\":"
                   "\"file\"}}]}"), NULL, NULL },

        /* nothing is left of a message */

        { 0, MESSAGES("{\"role\":\"user\",\"content\":[{\"type\":"
                      "\"video_url\"},{\"type\":\"input_audio\","
                      "\"input_audio\":{\"data\":\"x\",\"format\":\"y\"}}]},"
                      "{\"role\":\"user\",\"content\":\"u\"}"),
          MESSAGES("{\"role\":\"user\",\"content\":\"u\"}"), NULL,
          "messages[].content[].type, messages[].content[].audio" },
        { 0, MESSAGES("{\"role\":\"assistant\",\"content\":[{\"type\":"
                      "\"image_url\",\"image_url\":\"http://a\"}]}"),
          MESSAGES(""), NULL, "messages[].content[].image" }
    };

    (void) state;

    check_table(cases);
}


#define CALL(id, name, args)                                                \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\""    \
    name "\",\"arguments\":\"" args "\"}}"

static void
test_calls(void **state)
{
    static const write_case_t  cases[] = {
        { 0, MESSAGES("{\"role\":\"assistant\",\"content\":null,"
                      "\"tool_calls\":[" CALL("c1", "f", "{\\\"a\\\":1}")
                      "," CALL("c2", "g", "") "]},"
                      "{\"role\":\"tool\",\"tool_call_id\":\"c1\","
                      "\"content\":\"r\"},{\"role\":\"tool\","
                      "\"tool_call_id\":\"c2\",\"content\":[]}"),
          MESSAGES("{\"role\":\"assistant\",\"content\":null,"
                   "\"tool_calls\":[" CALL("c1", "f", "{\\\"a\\\":1}")
                   "," CALL("c2", "g", "{}") "]},"
                   "{\"role\":\"tool\",\"tool_call_id\":\"c1\","
                   "\"content\":\"r\"},{\"role\":\"tool\","
                   "\"tool_call_id\":\"c2\",\"content\":\"\"}"), NULL,
          NULL },
        { 0, MESSAGES("{\"role\":\"assistant\",\"content\":\"x\","
                      "\"tool_calls\":[{\"id\":\"c\",\"function\":"
                      "{\"name\":\"f\",\"arguments\":{\"a\":\"\\n\"}},"
                      "\"extra_content\":{\"google\":"
                      "{\"thought_signature\":\"s\"}}}]}"),
          MESSAGES("{\"role\":\"assistant\",\"content\":\"x\","
                   "\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
                   "\"function\":{\"name\":\"f\",\"arguments\":"
                   "\"{\\\"a\\\":\\\"\\\\n\\\"}\"},\"extra_content\":"
                   "{\"google\":{\"thought_signature\":\"s\"}}}]}"), NULL,
          NULL },

        /* without ids: made ones, that match */

        { 0, MESSAGES("{\"role\":\"assistant\",\"function_call\":{\"name\":"
                      "\"f\",\"arguments\":\"{}\"}},{\"role\":\"function\","
                      "\"name\":\"f\",\"content\":\"r\"}"),
          MESSAGES("{\"role\":\"assistant\",\"content\":null,"
                   "\"tool_calls\":[" CALL("call_0", "f", "{}") "]},"
                   "{\"role\":\"tool\",\"tool_call_id\":\"call_0\","
                   "\"content\":\"r\"}"), NULL, NULL },

        /* a tool's image */

        { 0, MESSAGES("{\"role\":\"tool\",\"tool_call_id\":\"c\","
                      "\"content\":[{\"type\":\"text\",\"text\":\"t\"},"
                      "{\"type\":\"image_url\",\"image_url\":\"http://a\"}"
                      "]}"),
          MESSAGES("{\"role\":\"tool\",\"tool_call_id\":\"c\","
                   "\"content\":\"t\"}"), NULL,
          "messages[].content[].image" }
    };

    (void) state;

    check_table(cases);
}


#define HISTORY                                                             \
    MESSAGES("{\"role\":\"assistant\",\"content\":\"c\","                   \
             "\"reasoning_details\":[{\"type\":\"reasoning.text\","         \
             "\"text\":\"t\",\"signature\":\"g\"},{\"type\":"               \
             "\"reasoning.encrypted\",\"data\":\"e\"},{\"type\":"           \
             "\"reasoning.text\",\"text\":\"u\"}],\"refusal\":\"no\"}")

static void
test_history(void **state)
{
    static const write_case_t  cases[] = {
        { 0, HISTORY,
          MESSAGES("{\"role\":\"assistant\",\"content\":\"c\","
                   "\"refusal\":\"no\"}"), "messages[].reasoning", NULL },
        { LLM_QUIRK_REASONING, HISTORY,
          MESSAGES("{\"role\":\"assistant\",\"content\":\"c\","
                   "\"refusal\":\"no\",\"reasoning_content\":\"tu\"}"),
          NULL, NULL },
        { LLM_QUIRK_DETAILS, HISTORY,
          MESSAGES("{\"role\":\"assistant\",\"content\":\"c\","
                   "\"refusal\":\"no\",\"reasoning_details\":["
                   "{\"type\":\"reasoning.text\",\"text\":\"t\","
                   "\"signature\":\"g\",\"index\":0},{\"type\":"
                   "\"reasoning.encrypted\",\"data\":\"e\",\"index\":1},"
                   "{\"type\":\"reasoning.text\",\"text\":\"u\","
                   "\"index\":2}]}"), NULL, NULL },

        /* a message of nothing but reasoning */

        { 0, MESSAGES("{\"role\":\"assistant\",\"reasoning\":\"r\"}"),
          MESSAGES(""), "messages[].reasoning", NULL },
        { LLM_QUIRK_REASONING,
          MESSAGES("{\"role\":\"assistant\",\"reasoning\":\"r\"}"),
          MESSAGES("{\"role\":\"assistant\",\"content\":null,"
                   "\"reasoning_content\":\"r\"}"), NULL, NULL }
    };

    (void) state;

    check_table(cases);
}


/* What only other dialects' clients say. */
static llm_rc_t
foreign_read(llm_chat_t *c, const llm_u8 *body, size_t n)
{
    size_t       i;
    llm_part_t  *part;

    static const struct {
        llm_part_type_t  type;
        llm_role_t       role;
        unsigned         inner;
    } parts[] = {
        { LLM_PART_TEXT, LLM_ROLE_USER, 0 },
        { LLM_PART_TOOL_RESULT, LLM_ROLE_TOOL, 0 },
        { LLM_PART_TEXT, LLM_ROLE_TOOL, 1 },
        { LLM_PART_TOOL_RESULT, LLM_ROLE_TOOL, 0 },
        { LLM_PART_TEXT, LLM_ROLE_USER, 0 },
        { LLM_PART_IMAGE, LLM_ROLE_USER, 0 }
    };

    (void) body;
    (void) n;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        part = llm_chat_part(c, parts[i].type, parts[i].role, 0);
        if (part == NULL) {
            return LLM_NOMEM;
        }

        part->inner = parts[i].inner;
        part->error = i == 1;
        part->text = llm_slice("t");
        part->id = i == 1 ? llm_slice("a") : llm_slice("b");
        part->data = llm_slice("/9j/4AAQ");
    }

    c->suffix = llm_slice("s");
    c->session = llm_slice("s");

    return LLM_OK;
}


static void
test_foreign(void **state)
{
    chat_how_t    how;
    write_case_t  c;

    static const llm_dialect_t  foreign = { .read_chat = foreign_read };

    (void) state;

    memset(&how, 0, sizeof(how));
    memset(&c, 0, sizeof(c));

    c.in = "";
    c.want = MESSAGES("{\"role\":\"user\",\"content\":\"t\"},"
                      "{\"role\":\"tool\",\"tool_call_id\":\"a\","
                      "\"content\":\"t\"},"
                      "{\"role\":\"tool\",\"tool_call_id\":\"b\","
                      "\"content\":\"\"},"
                      "{\"role\":\"user\",\"content\":[{\"type\":\"text\","
                      "\"text\":\"t\"},{\"type\":\"image_url\","
                      "\"image_url\":{\"url\":"
                      "\"data:image/jpeg;base64,/9j/4AAQ\"}}]}");
    c.lost = "messages[].content[].is_error, session";
    c.refused = "suffix";
    check_case(&foreign, &c, &how);
}


/* A large image is one piece of the client's body, in linear time. */
static void
test_large(void **state)
{
    char           *in;
    size_t          n, at;
    chat_how_t      how;
    chat_result_t   r;

    static const char  head[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
        "\"image_url\",\"image_url\":{\"url\":\"data:image\\/png;base64,";
    static const char  tail[] = "\"}},{\"type\":\"text\",\"text\":\"t\"}]}]}";

    (void) state;

    n = 10 * 1024 * 1024;
    in = malloc(n + sizeof(head) + sizeof(tail));
    assert_non_null(in);

    memcpy(in, head, sizeof(head) - 1);
    at = sizeof(head) - 1;
    memset(in + at, 'A', n);
    memcpy(in + at + n, tail, sizeof(tail) - 1);
    n += at + sizeof(tail) - 1;

    memset(&how, 0, sizeof(how));
    chat_translate(&r, &llm_dialect_openai, &llm_dialect_openai, in, n,
                   &how);
    assert_int_equal(r.rc, LLM_OK);
    assert_int_equal(r.n, n);
    assert_memory_equal(r.body, in, n);
    assert_int_equal(r.spliced, 10 * 1024 * 1024);
    assert_true(r.peak < 8192);

    chat_done(&r);
    free(in);
}


static void
test_nomem(void **state)
{
    size_t         k;
    chat_how_t     how;
    chat_result_t  r;

    static const char  in[] =
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":["
        "{\"type\":\"text\",\"text\":\"a\"}],\"name\":\"n\"},"
        "{\"role\":\"assistant\",\"reasoning\":\"r\",\"refusal\":\"x\","
        "\"reasoning_details\":[{\"data\":\"e\"}],"
        "\"function_call\":{\"name\":\"f\"}},{\"role\":\"function\","
        "\"content\":\"b\"},{\"role\":\"assistant\",\"tool_calls\":["
        "{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
        "\"thinking\":[{\"text\":\"t\"}]},{\"type\":\"thinking\","
        "\"thinking\":\"t\"}]}],\"stop\":[\"a\"],\"top_k\":1,\"x\":1,"
        "\"stream_options\":{\"include_obfuscation\":true},"
        "\"tools\":[{\"function\":{\"name\":\"f\"}}],\"functions\":"
        "[{\"name\":\"f\"}]}";

    (void) state;

    memset(&how, 0, sizeof(how));
    how.quirks = LLM_QUIRK_DETAILS;

    for (k = 1; ; k++) {
        how.fail_at = k;
        chat_translate(&r, &llm_dialect_openai, &llm_dialect_openai, in,
                       sizeof(in) - 1, &how);

        if (r.rc == LLM_OK) {
            assert_true(r.calls < k);
            chat_done(&r);
            break;
        }

        assert_int_equal(r.rc, LLM_NOMEM);
        chat_done(&r);
    }

    assert_true(k > 6);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_reasoning),
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_nomem)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
