/*
 * Ollama's chat and generate: lines and answers to events.
 */

#include "unit_codec.h"


#define CHAT      &llm_dialect_ollama
#define GENERATE  &llm_dialect_generate

static void
check(const llm_dialect_t *d, const char *stream, const char *expect)
{
    json_t  *said;

    said = codec_text(d, stream);
    codec_same(stream, said, expect);
    json_decref(said);
}


static void
check_fixture(const llm_dialect_t *d, const char *name, const char *expect)
{
    char    *path;
    size_t   n;
    json_t  *said;
    llm_u8  *p;

    path = unit_path(name);
    p = unit_read(path, &n);
    said = strstr(name, ".json") != NULL ? codec_answer(d, p, n)
                                         : codec_stream(d, p, n);
    codec_same(name, said, expect);
    json_decref(said);
    free(p);
    free(path);
}


static void
test_text(void **state)
{
    (void) state;

    check_fixture(CHAT, "t/fixtures/ollama/text.ndjson",
        "{\"model\":\"river:3b\",\"created\":1770091506,\"choices\":{\"0\":{"
        "\"text\":\"The tide\\n <turns> \\ud83d\\ude00 — 潮\","
        "\"finish\":\"stop\",\"word\":\"stop\"}},"
        "\"usage\":{\"input\":14,\"output\":9},"
        "\"order\":\"start text finish usage end\",\"end\":\"done\"}");

    check_fixture(CHAT, "t/fixtures/ollama/thinking-length.ndjson",
        "{\"model\":\"ford:8b\",\"created\":1770105600,\"choices\":{\"0\":{"
        "\"reasoning\":\"Let me see.\",\"text\":\"Seven\","
        "\"finish\":\"length\",\"word\":\"length\"}},"
        "\"usage\":{\"input\":30,\"output\":12,\"cached\":11},"
        "\"order\":\"start reasoning text finish usage end\","
        "\"end\":\"done\"}");

    check_fixture(GENERATE, "t/fixtures/ollama-generate/text.ndjson",
        "{\"model\":\"river:3b\",\"created\":1770091506,\"choices\":{\"0\":{"
        "\"reasoning\":\"Is it?\",\"text\":\"Low water \\ud83d\\ude00\","
        "\"finish\":\"stop\",\"word\":\"stop\"}},"
        "\"usage\":{\"input\":8,\"output\":3},"
        "\"order\":\"start text reasoning text finish usage end\","
        "\"end\":\"done\"}");
}


/* Without reason or counts, without a line end, with a model that was only
 * loaded. */
static void
test_ends(void **state)
{
    (void) state;

    check(CHAT, "{\"message\":{\"content\":\"a\"}}\n{\"done\":true}",
        "{\"choices\":{\"0\":{\"text\":\"a\",\"finish\":\"stop\","
        "\"word\":\"stop\"}},\"order\":\"start text finish end\","
        "\"end\":\"done\"}");

    check_fixture(GENERATE, "t/fixtures/ollama-generate/load.ndjson",
        "{\"model\":\"river:3b\",\"created\":1770091506,\"choices\":{\"0\":{"
        "\"finish\":\"stop\",\"word\":\"load\"}},"
        "\"order\":\"start finish end\",\"end\":\"done\"}");

    check(CHAT, "{\"done\":true,\"done_reason\":\"unload\"}",
        "{\"choices\":{\"0\":{\"finish\":\"stop\",\"word\":\"unload\"}},"
        "\"order\":\"start finish end\",\"end\":\"done\"}");

    check(CHAT, "{\"done\":true,\"done_reason\":\"t\\u0069de\"}",
        "{\"choices\":{\"0\":{\"finish\":\"other\",\"word\":\"tide\"}},"
        "\"order\":\"start finish end\",\"end\":\"done\"}");

    /* cut: what was there, and no end */

    check(CHAT, "{\"message\":{\"content\":\"a\"},\"done\":false}\n",
        "{\"choices\":{\"0\":{\"text\":\"a\"}},\"order\":\"start text\","
        "\"end\":\"ok\"}");

    /* nothing behind the last line counts */

    check(CHAT, "{\"response\":\"a\",\"done\":true,\"done_reason\":\"stop\"}"
          "\n{\"response\":\"b\"}\n",
        "{\"choices\":{\"0\":{\"text\":\"a\",\"finish\":\"stop\","
        "\"word\":\"stop\"}},\"order\":\"start text finish end\","
        "\"end\":\"done\"}");
}


static json_t *
tool_call(json_t *said, size_t i)
{
    return json_array_get(codec_at(said, "choices", "0", "calls"), i);
}


/* Several in a line, with and without id and index, on the last line. */
static void
test_tools(void **state)
{
    char     *path, seen[3][32];
    size_t    i, n;
    json_t   *said, *id;
    llm_u8   *p;

    (void) state;

    path = unit_path("t/fixtures/ollama/tool-calls.ndjson");
    p = unit_read(path, &n);
    said = codec_stream(CHAT, p, n);

    assert_string_equal(codec_string(said, "choices", "0", "finish"),
                        "tool_calls");
    assert_string_equal(codec_string(said, "choices", "0", "word"), "stop");

    for (i = 0; i < 3; i++) {
        id = json_object_get(tool_call(said, i), "id");
        assert_true(json_string_length(id) > 0
                    && json_string_length(id) <= 40);
        strcpy(seen[i], json_string_value(id));
        json_object_del(tool_call(said, i), "id");
    }

    assert_string_equal(seen[1], "call_k7");
    assert_string_not_equal(seen[0], seen[2]);

    codec_same("calls", codec_at(said, "choices", "0", "calls"),
        "[{\"name\":\"depth\",\"whole\":true,\"args\":"
        "\"{\\\"place\\\":\\\"Ford \\\\\\\"A\\\\\\\"\\\",\\\"unit\\\":"
        "\\\"m\\\"}\"},"
        "{\"name\":\"wind\",\"whole\":true,\"args\":\"{}\"},"
        "{\"name\":\"tide\",\"whole\":true,\"args\":"
        "\"{\\\"days\\\":[1,2],\\\"deep\\\":{\\\"a\\\":null}}\"}]");

    json_decref(said);

    /* an id is the same for the same line, another in the next turn */

    said = codec_stream(CHAT, p, n);
    assert_string_equal(json_string_value(
        json_object_get(tool_call(said, 0), "id")), seen[0]);
    json_decref(said);

    strstr((char *) p, "06.2Z")[3] = '7';

    said = codec_stream(CHAT, p, n);
    assert_string_not_equal(json_string_value(
        json_object_get(tool_call(said, 0), "id")), seen[0]);
    json_decref(said);

    /* what is odd in a call, and arguments in a string */

    said = codec_text(CHAT, "{\"message\":{\"tool_calls\":[{},3,{\"function\":"
                      "{\"name\":null,\"arguments\":null}},{\"function\":"
                      "{\"name\":\"s\",\"arguments\":\"{\\\"a\\\":1}\"}}]},"
                      "\"created_at\":\"x\"}");
    assert_int_equal(json_array_size(codec_at(said, "choices", "0",
                                              "calls")), 3);
    assert_string_equal(json_string_value(
        json_object_get(tool_call(said, 2), "args")), "{\"a\":1}");
    assert_string_equal(json_string_value(
        json_object_get(tool_call(said, 0), "args")), "{}");
    json_decref(said);

    free(p);
    free(path);
}


static void
test_logprobs(void **state)
{
    (void) state;

    check_fixture(CHAT, "t/fixtures/ollama/logprobs.ndjson",
        "{\"model\":\"river:3b\",\"created\":1770091506,\"choices\":{\"0\":{"
        "\"text\":\"Yes\",\"finish\":\"stop\",\"word\":\"stop\","
        "\"logprobs\":[{\"token\":\"Yes\",\"logprob\":-0.25,\"bytes\":"
        "[89,101,115],\"top_logprobs\":[{\"token\":\"Yes\",\"logprob\":-0.25,"
        "\"bytes\":[89,101,115]},{\"token\":\"No\",\"logprob\":-1.5,"
        "\"bytes\":[78,111]}]}]}},"
        "\"usage\":{\"input\":3,\"output\":1},"
        "\"order\":\"start text logprobs finish usage end\","
        "\"end\":\"done\"}");
}


static void
check_error(const llm_dialect_t *d, const char *stream, unsigned answer,
    const char *message, double status)
{
    json_t  *said, *err;

    said = answer ? codec_answer(d, stream, strlen(stream))
                  : codec_text(d, stream);
    err = json_array_get(codec_at(said, "errors", NULL, NULL), 0);

    assert_non_null(err);
    assert_string_equal(json_string_value(json_object_get(err, "message")),
                        message);
    assert_true(json_number_value(json_object_get(err, "status")) == status);
    assert_string_equal(codec_string(said, "end", NULL, NULL), "failed");
    json_decref(said);
}


static void
test_errors(void **state)
{
    (void) state;

    check_error(CHAT, "{\"error\":\"bad\"}\n", 0, "bad", 0);
    check_error(GENERATE, "{\"response\":\"a\"}\n{\"status_code\":503,"
                "\"error\":\"full\"}\n", 0, "full", 503);
    check_error(CHAT, "{\"error\":{\"message\":\"no\",\"code\":404}}", 0,
                "no", 404);
    check_error(CHAT, "{\"error\":\"model 'x' not found\"}", 1,
                "model 'x' not found", 0);

    /* done beside an error is no success */

    check_error(CHAT, "{\"error\":\"bad\",\"done\":true}\n", 0, "bad", 0);

    /* null and "" are none */

    check(CHAT, "{\"error\":null,\"message\":{\"content\":\"a\"}}\n"
          "{\"error\":\"\",\"message\":{\"content\":\"b\"}}\n",
        "{\"choices\":{\"0\":{\"text\":\"ab\"}},\"order\":\"start text\","
        "\"end\":\"ok\"}");
}


/* What is odd, but no reason to give up; and what is. */
static void
test_odd(void **state)
{
    size_t   i;
    json_t  *said;

    static const char *const  broken[] = {
        "{", "[]", "3", "nope", "{\"message\":}", "{\"a\":1}x",
        "{\"message\":{\"content\":\"a}", "{\"message\":[1}",
        "{\"message\":{\"a\":[}}", "\"done\""
    };

    (void) state;

    /* wrong types count as absent, members have any order and escapes */

    check(CHAT, "{\"done\":\"true\",\"message\":[{\"content\":\"x\"}],"
          "\"model\":7,\"created_at\":null,\"logprobs\":{},"
          "\"tool_calls\":3,\"prompt_eval_count\":\"9\",\"eval_count\":-3,"
          "\"done_reason\":[],\"response\":7}",
        "{\"choices\":{},\"end\":\"ok\"}");

    check(CHAT, "{\"m\\u0065ssage\":{\"role\":null,\"images\":[],"
          "\"con\\u0074ent\":\"a\",\"thinking\":null,\"tool_calls\":null},"
          "\"x\":{\"message\":{\"content\":\"z\"}},\"model\":\"\"}\n",
        "{\"choices\":{\"0\":{\"text\":\"a\"}},\"order\":\"start text\","
        "\"end\":\"ok\"}");

    check(CHAT, "{\"status\":\"pulling manifest\"}\n",
        "{\"choices\":{},\"end\":\"ok\"}");

    for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        said = codec_text(CHAT, broken[i]);
        assert_string_equal(codec_string(said, "end", NULL, NULL),
                            "invalid");
        assert_null(codec_at(said, "order", NULL, NULL));
        json_decref(said);

        said = codec_answer(GENERATE, broken[i], strlen(broken[i]));
        assert_string_equal(codec_string(said, "end", NULL, NULL),
                            "invalid");
        json_decref(said);
    }

    said = codec_answer(CHAT, "{\"model\":\"x\"}", 13);
    assert_string_equal(codec_string(said, "end", NULL, NULL), "invalid");
    json_decref(said);
}


static void
test_times(void **state)
{
    size_t   i;
    char     line[128];
    json_t  *said, *created;

    static const struct {
        const char  *text;
        double       seconds;   /* -1: none */
    } times[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2000-02-29T23:59:59.999999999Z", 951868799 },
        { "2100-03-01T00:00:00+00:00", 4107542400 },
        { "2026-02-03T04:05:06-07:30", 1770118506 },
        { "2026-02-03T04:05:06z", 1770091506 },
        { "0001-01-01T00:00:00Z", -1 },
        { "2026-13-03T04:05:06Z", -1 },
        { "2026-02-03T04:05:06", -1 },
        { "2026-02-03T04:05:06.5", -1 },
        { "2026-02-03T04:05:06Q", -1 },
        { "2026-02-03T04:05:06+99:00", -1 },
        { "2026-02-03T04:05:06+0x:00", -1 },
        { "20y6-02-03T04:05:06Z", -1 },
        { "2026/02/03T04:05:06Z", -1 },
        { "", -1 }
    };

    (void) state;

    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        sprintf(line, "{\"created_at\":\"%s\",\"response\":\"a\"}",
                times[i].text);
        said = codec_text(GENERATE, line);
        created = codec_at(said, "created", NULL, NULL);

        if (times[i].seconds < 0) {
            assert_null(created);

        } else if (json_number_value(created) != times[i].seconds) {
            fail_msg("%s: %f", times[i].text, json_number_value(created));
        }

        json_decref(said);
    }
}


#define MORE  "{\"message\":{\"content\":\"The\"},\"done\":false}"

static void
test_answers(void **state)
{
    char     *path;
    size_t    n;
    json_t   *said;
    llm_u8   *p;

    (void) state;

    path = unit_path("t/fixtures/ollama/answer.json");
    p = unit_read(path, &n);
    said = codec_answer(CHAT, p, n);
    json_object_del(tool_call(said, 0), "id");

    codec_same("answer", said,
        "{\"model\":\"river:3b\",\"created\":1770091506,\"choices\":{\"0\":{"
        "\"text\":\"The tide turns.\",\"reasoning\":\"Hm.\",\"calls\":[{"
        "\"name\":\"depth\",\"whole\":true,"
        "\"args\":\"{\\\"place\\\":\\\"Ford\\\"}\"}],"
        "\"finish\":\"tool_calls\",\"word\":\"stop\"}},"
        "\"usage\":{\"input\":14,\"output\":9},"
        "\"order\":\"start reasoning text call finish usage end\","
        "\"end\":\"done\"}");

    json_decref(said);
    free(p);
    free(path);

    /* the first line of a stream is no answer */

    said = codec_answer(CHAT, (const llm_u8 *) MORE, sizeof(MORE) - 1);
    codec_same("a line", said, "{\"choices\":{},\"end\":\"invalid\"}");
    json_decref(said);

    check_fixture(GENERATE, "t/fixtures/ollama-generate/answer.json",
        "{\"model\":\"river:3b\",\"created\":1770091506,\"choices\":{\"0\":{"
        "\"text\":\"Low water.\",\"finish\":\"length\","
        "\"word\":\"length\"}},\"usage\":{\"output\":2},"
        "\"order\":\"start text finish usage end\",\"end\":\"done\"}");
}


/* What jansson finds in a recorded stream. */
static void
recorded_stream(const char *path, const char *name)
{
    char        *line, *next;
    char         text[65536], *end;
    size_t       n;
    json_t      *said, *v, *message, *last;
    llm_u8      *p;
    const char  *s, *got;

    (void) name;

    p = unit_read(path, &n);
    said = codec_stream(CHAT, p, n);
    text[0] = '\0';
    end = text;
    last = NULL;

    for (line = (char *) p; *line != '\0'; line = next) {
        next = line + strcspn(line, "\n");
        v = json_loadb(line, (size_t) (next - line), 0, NULL);
        next += *next == '\n';

        if (v == NULL) {
            continue;
        }

        message = json_object_get(v, "message");
        s = json_string_value(json_object_get(message != NULL ? message : v,
                                              message != NULL ? "content"
                                                              : "response"));
        assert_true((size_t) (end - text) + 1024 < sizeof(text));
        end += sprintf(end, "%s", s != NULL ? s : "");

        json_decref(last);
        last = v;
    }

    got = codec_string(said, "choices", "0", "text");
    assert_string_equal(got != NULL ? got : "", text);

    if (json_is_true(json_object_get(last, "done"))) {
        assert_string_equal(codec_string(said, "end", NULL, NULL), "done");
        assert_true(json_number_value(codec_at(said, "usage", "output",
                                               NULL))
                    == json_number_value(json_object_get(last,
                                                         "eval_count")));

    } else {
        assert_non_null(json_object_get(last, "error"));
        assert_int_equal(json_array_size(codec_at(said, "errors", NULL,
                                                  NULL)), 1);
    }

    json_decref(last);
    json_decref(said);
    free(p);
}


static void
test_recorded(void **state)
{
    (void) state;

    (void) unit_each_recorded("ollama-chat", "ndjson", recorded_stream);
    (void) unit_each_recorded("ollama-generate", "ndjson", recorded_stream);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_odd),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_recorded)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
