/*
 * Cohere's chat API, version 2, as an upstream: frames and answers to events,
 * and the same by the half that speaks for the mock.  What streams say is
 * held against a reader of their lines that knows nothing of ours.
 */

#include <dirent.h>

#include "unit_codec.h"


#define FIXTURES  "t/fixtures/cohere"
#define RECORDED  "../shared/recorded/cohere"


static json_t *
at(json_t *v, const char *a, const char *b, const char *c)
{
    v = json_object_get(v, a);
    v = b != NULL ? json_object_get(v, b) : v;

    return c != NULL ? json_object_get(v, c) : v;
}


/* Appends a string to one that is said once it has a byte. */
static void
add(json_t *to, const char *name, json_t *piece)
{
    char        *text;
    const char  *before, *s;

    s = json_string_value(piece);

    if (s == NULL || *s == '\0') {
        return;
    }

    before = json_string_value(json_object_get(to, name));
    before = before != NULL ? before : "";

    text = malloc(strlen(before) + strlen(s) + 1);
    assert_non_null(text);
    sprintf(text, "%s%s", before, s);
    json_object_set_new(to, name, json_string(text));
    free(text);
}


static void
read_delta(json_t *choice, json_t *message, const char *type)
{
    json_t  *call, *calls;

    add(choice, "reasoning", at(message, "tool_plan", NULL, NULL));
    add(choice, "reasoning", at(message, "content", "thinking", NULL));
    add(choice, "text", at(message, "content", "text", NULL));

    call = json_object_get(message, "tool_calls");

    if (!json_is_object(call)) {
        return;
    }

    calls = json_object_get(choice, "calls");

    if (calls == NULL) {
        calls = json_array();
        json_object_set_new(choice, "calls", calls);
    }

    if (strcmp(type, "tool-call-start") == 0) {
        json_array_append_new(calls, json_object());
    }

    message = json_array_get(calls, json_array_size(calls) - 1);

    add(message, "id", json_object_get(call, "id"));
    add(message, "name", at(call, "function", "name", NULL));
    add(message, "args", at(call, "function", "arguments", NULL));
}


/* A call of which no arguments were said has none. */
static void
read_call_end(json_t *choice)
{
    json_t  *calls, *call;

    calls = json_object_get(choice, "calls");
    call = json_array_get(calls, json_array_size(calls) - 1);

    if (json_object_get(call, "args") == NULL) {
        json_object_set_new(call, "args", json_string("{}"));
    }
}


static json_t *
read_stream(const char *p)
{
    json_t      *root, *choice, *frame, *usage;
    const char  *type;

    root = json_object();
    choice = json_object();

    for (p = strstr(p, "data: {"); p != NULL; p = strstr(p + 1, "data: {")) {
        frame = unit_parse((const llm_u8 *) p + 6, strcspn(p + 6, "\n"),
                           NULL);
        assert_non_null(frame);
        type = json_string_value(json_object_get(frame, "type"));

        read_delta(choice, at(frame, "delta", "message", NULL), type);

        if (strcmp(type, "tool-call-end") == 0) {
            read_call_end(choice);
        }

        if (strcmp(type, "message-start") == 0) {
            json_object_set(root, "id", json_object_get(frame, "id"));
        }

        if (strcmp(type, "message-end") == 0) {
            usage = at(frame, "delta", "usage", NULL);

            json_object_set(choice, "word", at(frame, "delta",
                                               "finish_reason", NULL));
            json_object_set_new(root, "usage", json_pack("{s:O,s:O,s:O*}",
                "input", at(usage, "tokens", "input_tokens", NULL),
                "output", at(usage, "tokens", "output_tokens", NULL),
                "cached", json_object_get(usage, "cached_tokens")));
        }

        json_decref(frame);
    }

    json_object_set_new(root, "choices", json_pack("{s:o}", "0", choice));

    return root;
}


static void
check_stream(const char *path, const char *name)
{
    size_t   n;
    llm_u8  *p;
    json_t  *said, *read, *choice;

    p = unit_read(path, &n);
    said = codec_stream(&llm_dialect_cohere, p, n);
    read = read_stream((char *) p);

    assert_string_equal(codec_string(said, "end", NULL, NULL), "done");

    choice = codec_at(said, "choices", "0", NULL);
    assert_non_null(json_object_get(choice, "finish"));
    json_object_del(choice, "finish");
    json_object_del(choice, "citations");

    if (json_string_length(json_object_get(choice, "text")) == 0) {
        json_object_del(choice, "text");
    }

    json_object_del(said, "order");
    json_object_del(said, "end");

    if (!json_equal(said, read)) {
        fail_msg("%s: got\n%s\nexpected\n%s", name,
                 json_dumps(said, JSON_SORT_KEYS|JSON_INDENT(1)),
                 json_dumps(read, JSON_SORT_KEYS|JSON_INDENT(1)));
    }

    json_decref(said);
    json_decref(read);
    free(p);
}


static void
check_own(const char *name)
{
    char  path[256];

    snprintf(path, sizeof(path), FIXTURES "/%s", name);
    check_stream(path, name);
}


static void
test_streams(void **state)
{
    (void) state;

    check_own("text.sse");
    check_own("thinking.sse");
    check_own("tools.sse");
    check_own("tools-from-one.sse");
    check_own("citations.sse");
    check_own("max-tokens.sse");
    check_own("stop-sequence.sse");
    check_own("unknown-word.sse");
}


static void
test_recorded(void **state)
{
    DIR  *dir;

    (void) state;

    dir = opendir(RECORDED);

    if (dir == NULL) {
        printf("skip: no " RECORDED "\n");
        return;
    }

    closedir(dir);
    assert_int_equal(unit_each(RECORDED, "sse", check_stream), 3);
}


static void
test_words(void **state)
{
    char     path[256];
    size_t   i;
    json_t  *said;

    static const struct {
        const char  *name;
        const char  *finish;
    } cases[] = {
        { "text.sse", "stop" },
        { "stop-sequence.sse", "stop" },
        { "max-tokens.sse", "length" },
        { "tools.sse", "tool_calls" },
        { "unknown-word.sse", "other" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(path, sizeof(path), FIXTURES "/%s", cases[i].name);
        said = codec_file(&llm_dialect_cohere, path, 0);
        assert_string_equal(codec_string(said, "choices", "0", "finish"),
                            cases[i].finish);
        json_decref(said);
    }
}


static void
test_errors(void **state)
{
    (void) state;

    codec_check(&llm_dialect_cohere, FIXTURES "/error.sse", 0,
          "{\"id\":\"lake-1\",\"choices\":{\"0\":{\"text\":\"The\"}},"
          "\"errors\":[{\"message\":\"the lake froze\",\"type\":\"ERROR\","
          "\"class\":10}],\"order\":\"start text ping error\","
          "\"end\":\"failed\"}");
    codec_check(&llm_dialect_cohere, FIXTURES "/timeout.sse", 0,
          "{\"id\":\"lake-1\",\"choices\":{\"0\":{\"text\":\"\"}},"
          "\"errors\":[{\"message\":\"TIMEOUT\",\"type\":\"TIMEOUT\","
          "\"class\":9}],\"order\":\"start text error\","
          "\"end\":\"failed\"}");
    codec_check(&llm_dialect_cohere, FIXTURES "/answer-error.json", 1,
          "{\"choices\":{},\"errors\":[{\"message\":\"invalid api token\","
          "\"class\":0}],\"order\":\"error\",\"end\":\"failed\"}");
}


static void
test_rest(void **state)
{
    json_t  *said;

    (void) state;

    said = codec_file(&llm_dialect_cohere, FIXTURES "/citations.sse", 0);
    codec_same("citations", codec_at(said, "choices", "0", "citations"),
               "[{\"url\":\"https://reed.example/blue\",\"title\":\"Lakes\","
               "\"text\":\"Blue\",\"start\":0,\"end\":4}]");
    json_decref(said);

    said = codec_file(&llm_dialect_cohere, FIXTURES "/logprobs.sse", 0);
    assert_string_equal(codec_string(said, "choices", "0", "text"),
                        "The sea");
    codec_same("logprobs", codec_at(said, "choices", "0", "logprobs"),
               "[{\"token\":\"The\",\"logprob\":-0.5,\"bytes\":null,"
               "\"top_logprobs\":[]}]");
    json_decref(said);

    said = codec_file(&llm_dialect_cohere, FIXTURES "/no-end.sse", 0);
    assert_string_equal(codec_string(said, "end", NULL, NULL), "ok");
    assert_null(codec_at(said, "choices", "0", "finish"));
    json_decref(said);

    said = codec_file(&llm_dialect_cohere, FIXTURES "/type-confusion.sse", 0);
    codec_same("type confusion", json_object_get(said, "choices"),
               "{\"0\":{\"text\":\"ab\",\"finish\":\"stop\",\"word\":"
               "\"COMPLETE\"}}");
    codec_same("billed units", json_object_get(said, "usage"),
               "{\"output\":4}");
    assert_string_equal(codec_string(said, "end", NULL, NULL), "done");
    json_decref(said);
}


static void
test_answers(void **state)
{
    (void) state;

    codec_check(&llm_dialect_cohere, FIXTURES "/answer-text.json", 1,
          "{\"id\":\"lake-2\",\"choices\":{\"0\":{\"text\":\"In the sea.\","
          "\"reasoning\":\"Hm.\",\"finish\":\"stop\",\"word\":\"COMPLETE\","
          "\"citations\":[{\"text\":\"In\",\"start\":0,\"end\":2}],"
          "\"logprobs\":[{\"token\":\"In\",\"logprob\":-1,\"bytes\":null,"
          "\"top_logprobs\":[]},{\"token\":\" the\",\"logprob\":-2.5,"
          "\"bytes\":null,\"top_logprobs\":[]}]}},"
          "\"usage\":{\"input\":3,\"output\":2},"
          "\"order\":\"start reasoning text citation logprobs finish usage "
          "end\",\"end\":\"done\"}");
    codec_check(&llm_dialect_cohere, FIXTURES "/answer-tools.json", 1,
          "{\"id\":\"lake-3\",\"choices\":{\"0\":{\"reasoning\":\"Look.\","
          "\"finish\":\"tool_calls\",\"word\":\"TOOL_CALL\",\"calls\":["
          "{\"id\":\"a\",\"name\":\"depth\",\"args\":\"{\\\"lake\\\":1}\","
          "\"whole\":true},{\"id\":\"b\",\"name\":\"wind\",\"args\":\"{}\","
          "\"whole\":true}]}},\"usage\":{\"input\":5,\"output\":6},"
          "\"order\":\"start reasoning call finish usage end\","
          "\"end\":\"done\"}");
}


static void
test_invalid(void **state)
{
    (void) state;

    codec_invalid(&llm_dialect_cohere, "data: [1]\n\n", 0);
    codec_invalid(&llm_dialect_cohere,
                  "data: {\"type\":\"content-delta\"\n\n", 0);
    codec_invalid(&llm_dialect_cohere, "data: {} {}\n\n", 0);
    codec_invalid(&llm_dialect_cohere, "[]", 1);
    codec_invalid(&llm_dialect_cohere, "{\"id\":\"x\"}", 1);
    codec_invalid(&llm_dialect_cohere, "{\"message\":{}", 1);
}


/* A frame with more than its text must not be learned as one of text. */
static void
test_repeats(void **state)
{
    json_t  *said;

    (void) state;

    said = codec_text(&llm_dialect_cohere,
        "data: {\"type\":\"content-delta\",\"delta\":{\"message\":{"
        "\"content\":{\"text\":\"a\"},\"tool_calls\":{\"function\":"
        "{\"arguments\":\"{\"}}}}}\n\n"
        "data: {\"type\":\"content-delta\",\"delta\":{\"message\":{"
        "\"content\":{\"text\":\"b\"},\"tool_calls\":{\"function\":"
        "{\"arguments\":\"{\"}}}}}\n\n"
        "data: {\"type\":\"content-delta\",\"delta\":{\"message\":{"
        "\"content\":{\"text\":\"c\"}}}}\n\n"
        "data: {\"type\":\"content-delta\",\"delta\":{\"message\":{"
        "\"content\":{\"text\":\"d\"}}}}\n\n");
    codec_same("repeats", codec_at(said, "choices", "0", NULL),
               "{\"text\":\"abcd\",\"calls\":[{\"args\":\"{{\"}]}");
    json_decref(said);
}


/* What the mock says reads as what was to be said, as a stream and whole. */
static void
check_round(const char *name, unsigned answer_out)
{
    char      path[256];
    char     *out;
    size_t    i, n;
    llm_u8   *p;
    json_t   *a, *b, *call;
    llm_rc_t  rc;

    snprintf(path, sizeof(path), FIXTURES "/%s", name);
    p = unit_read(path, &n);

    out = codec_convert(&llm_dialect_cohere, &llm_dialect_cohere, p, n, 0,
                        answer_out, &rc);
    assert_int_equal(rc, LLM_OK);

    a = codec_stream(&llm_dialect_cohere, p, n);
    b = answer_out ? codec_answer(&llm_dialect_cohere, out, strlen(out))
                   : codec_stream(&llm_dialect_cohere, out, strlen(out));

    json_object_del(a, "order");
    json_object_del(b, "order");

    if (answer_out) {
        json_array_foreach(codec_at(b, "choices", "0", "calls"), i, call) {
            json_object_del(call, "whole");
        }
    }

    if (json_string_length(codec_at(a, "choices", "0", "text")) == 0) {
        json_object_del(codec_at(a, "choices", "0", NULL), "text");
        json_object_del(codec_at(b, "choices", "0", NULL), "text");
    }

    if (!json_equal(a, b)) {
        fail_msg("%s: got\n%s\nexpected\n%s\n%s", name,
                 json_dumps(b, JSON_SORT_KEYS|JSON_INDENT(1)),
                 json_dumps(a, JSON_SORT_KEYS|JSON_INDENT(1)), out);
    }

    json_decref(a);
    json_decref(b);
    free(out);
    free(p);
}


static void
test_round(void **state)
{
    size_t  i;

    static const char *const  names[] = {
        "text.sse", "thinking.sse", "tools.sse", "tools-from-one.sse",
        "citations.sse", "max-tokens.sse"
    };

    (void) state;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        check_round(names[i], 0);
        check_round(names[i], 1);
    }
}


static void
check_from(const llm_dialect_t *from, const char *body, const char *expect,
    const char *lost, const char *refused)
{
    codec_request_t        r;
    const llm_provider_t  *to;

    to = llm_provider_find((const llm_u8 *) "cohere", 6);
    assert_non_null(to);

    codec_request(&r, from, to, body, 1);
    assert_int_equal(r.rc, LLM_OK);
    codec_same(body, r.json, expect);
    assert_string_equal(r.lost, lost);
    assert_string_equal(r.refused, refused);
    codec_request_free(&r);
}


static void
check_request(const char *body, const char *expect, const char *lost,
    const char *refused)
{
    check_from(&llm_dialect_openai, body, expect, lost, refused);
}


static void
check_effort(const char *config, const char *thinking)
{
    char  body[256], expect[256];

    snprintf(body, sizeof(body),
             "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":"
             "\"a\"}]}],\"generationConfig\":{\"thinkingConfig\":"
             "{%s}}}", config);
    snprintf(expect, sizeof(expect),
             "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],"
             "\"stream\":true,\"thinking\":%s}", thinking);

    check_from(&llm_dialect_gemini, body, expect, "", "");
}


/* Budgets as Gemini says them: -1 is none, 0 is no thinking. */
static void
test_request_thinking(void **state)
{
    (void) state;

    check_effort("\"thinkingBudget\":900",
                 "{\"type\":\"enabled\",\"token_budget\":900}");
    check_effort("\"thinkingBudget\":-1", "{\"type\":\"enabled\"}");
    check_effort("\"thinkingBudget\":0", "{\"type\":\"disabled\"}");
}


/* Gemini's signature of a call, in OpenAI's form. */
static void
test_request_signature(void **state)
{
    (void) state;

    check_request(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\","
        "\"tool_calls\":[{\"id\":\"i\",\"type\":\"function\",\"function\":"
        "{\"name\":\"f\",\"arguments\":\"{}\"},\"extra_content\":{"
        "\"google\":{\"thought_signature\":\"c2ln\"}}}]}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\","
        "\"tool_calls\":[{\"id\":\"i\",\"type\":\"function\",\"function\":"
        "{\"name\":\"f\",\"arguments\":\"{}\"}}]}],\"stream\":true}",
        "messages[].tool_calls[].extra_content", "");
}


static void
test_request(void **state)
{
    (void) state;

    check_request(
        "{\"model\":\"m\\u0031\",\"messages\":[{\"role\":\"system\","
        "\"content\":\"Be\"},{\"role\":\"user\",\"content\":[{\"type\":"
        "\"text\",\"text\":\"What?\"},{\"type\":\"image_url\",\"image_url\":"
        "{\"url\":\"data:image/png;base64,AA==\",\"detail\":\"low\"}}]},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":"
        "\"i\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":\"{\\\"a\\\":1}\"}}]},{\"role\":\"tool\","
        "\"tool_call_id\":\"i\",\"content\":\"done\"},{\"role\":\"user\","
        "\"content\":\"And?\"}],\"max_tokens\":9,\"temperature\":0.5,"
        "\"top_p\":0.1,\"seed\":4,\"stop\":[\"x\",\"\\n\"],"
        "\"frequency_penalty\":1,\"presence_penalty\":0,\"logprobs\":true,"
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"description\":\"d\",\"parameters\":{\"type\":\"object\"},"
        "\"strict\":true}},{\"type\":\"function\",\"function\":{\"name\":"
        "\"g\"}}],\"tool_choice\":\"required\",\"response_format\":{"
        "\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":"
        "{\"type\":\"object\"}}},\"stream\":true}",

        "{\"model\":\"m1\",\"messages\":[{\"role\":\"system\",\"content\":"
        "\"Be\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\","
        "\"text\":\"What?\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
        "\"data:image/png;base64,AA==\",\"detail\":\"low\"}}]},{\"role\":"
        "\"assistant\",\"tool_calls\":[{\"id\":\"i\",\"type\":\"function\","
        "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"i\",\"content\":\"done\"},"
        "{\"role\":\"user\",\"content\":\"And?\"}],\"stream\":true,"
        "\"max_tokens\":9,\"temperature\":0.5,\"p\":0.1,\"seed\":4,"
        "\"frequency_penalty\":1,\"presence_penalty\":0,"
        "\"stop_sequences\":[\"x\",\"\\n\"],\"tools\":[{\"type\":"
        "\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","
        "\"parameters\":{\"type\":\"object\"}}},{\"type\":\"function\","
        "\"function\":{\"name\":\"g\",\"parameters\":{\"type\":\"object\","
        "\"properties\":{}}}}],\"strict_tools\":true,\"tool_choice\":"
        "\"REQUIRED\",\"response_format\":{\"type\":\"json_object\","
        "\"json_schema\":{\"type\":\"object\"}},\"logprobs\":true}", "", "");
}


/* To have one tool called, only that one is offered. */
static void
test_request_choice(void **state)
{
    (void) state;

    check_request(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":"
        "\"a\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
        "\"f\"}},{\"type\":\"function\",\"function\":{\"name\":\"g\","
        "\"parameters\":{}}}],\"tool_choice\":{\"type\":\"function\","
        "\"function\":{\"name\":\"g\"}},\"reasoning_effort\":\"none\"}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":"
        "\"a\"}],\"stream\":true,\"tools\":[{\"type\":\"function\","
        "\"function\":{\"name\":\"g\",\"parameters\":{}}}],\"tool_choice\":"
        "\"REQUIRED\",\"thinking\":{\"type\":\"disabled\"}}", "", "");
}


static void
test_request_lost(void **state)
{
    (void) state;

    check_request(
        "{\"model\":\"m\",\"n\":3,\"user\":\"u\",\"store\":true,"
        "\"top_logprobs\":2,\"parallel_tool_calls\":false,\"messages\":["
        "{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\","
        "\"input_audio\":{\"data\":\"AA==\",\"format\":\"wav\"}},{\"type\":"
        "\"text\",\"text\":\"a\"},{\"type\":\"file\",\"file\":{\"file_id\":"
        "\"f\"}}]}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":"
        "\"a\"}],\"stream\":true}",
        "top_logprobs, parallel_tool_calls, user, store",
        "messages[].content[].audio, messages[].content[].file, n");
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_request_choice),
        cmocka_unit_test(test_request_thinking),
        cmocka_unit_test(test_request_signature),
        cmocka_unit_test(test_request_lost)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
