/*
 * Anthropic messages, both halves at once: what Anthropic sends, of our own
 * fixtures and of what was recorded (../shared/recorded, if it is there),
 * against an independent reader; and one answer.
 */

#include <dirent.h>

#include "unit_anthropic.h"
#include "unit_codec.h"


#define RECORDED  "../shared/recorded/anthropic-messages"


/* Leaves out of a message what is not carried: extras of the counts, and of
 * the blocks. */
static void
trim_message(json_t *m)
{
    size_t   i;
    json_t  *b, *usage;

    json_object_del(m, "events");

    if (!json_is_true(codec_at(m, "ended", NULL, NULL))) {

        /* what was cut says its counts no more */

        json_object_del(m, "usage");
    }

    usage = codec_at(m, "usage", NULL, NULL);

    json_object_del(usage, "cache_creation");
    json_object_del(usage, "service_tier");
    json_object_del(usage, "server_tool_use");

    json_array_foreach(json_object_get(m, "content"), i, b) {
        if (json_array_size(json_object_get(b, "citations")) == 0) {
            json_object_del(b, "citations");
        }
    }
}


static void
same_json(const char *what, json_t *got, json_t *expect)
{
    char  *text;

    text = json_dumps(expect, JSON_ENCODE_ANY);
    codec_same(what, got, text);
    free(text);
}


/* What Anthropic sends, decoded and encoded again, is the same message. */
static void
test_round_trip(void **state)
{
    static const char *const  names[] = {
        "text", "no-ping", "text-multibyte", "linesep", "thinking",
        "thinking-hidden", "redacted", "tool", "tools-parallel", "tool-cut",
        "thinking-tool", "web-search", "citations", "stop-sequence",
        "refusal-after-text", "pause-turn", "context-window", "error-mid",
        "duplicate-start", "no-event-lines", "no-space", "no-final-blank",
        "key-order", "cut"
    };

    char       *out, *path, name[128];
    size_t      i, n;
    json_t     *a, *b;
    llm_u8     *p;
    llm_rc_t    rc;

    (void) state;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        sprintf(name, "t/fixtures/anthropic/%s.sse", names[i]);
        path = unit_path(name);
        p = unit_read(path, &n);
        out = codec_convert(&llm_dialect_anthropic, &llm_dialect_anthropic,
                            p, n, 0, 0, &rc);
        assert_int_equal(rc, LLM_OK);

        a = anthropic_read(name, p, n, 0);
        b = anthropic_read(name, out, strlen(out), 1);
        trim_message(a);
        trim_message(b);
        same_json(name, b, a);

        json_decref(a);
        json_decref(b);
        free(out);
        free(path);
        free(p);
    }
}


/* All calls of a message as the codec says them, without their blocks. */
static json_t *
calls_of(json_t *m)
{
    size_t   i;
    json_t  *b, *list;

    list = json_array();

    json_array_foreach(json_object_get(m, "content"), i, b) {
        if (strcmp(codec_string(b, "type", NULL, NULL), "tool_use") == 0) {
            json_array_append_new(list, json_pack("{sOsOsO}",
                "id", json_object_get(b, "id"),
                "name", json_object_get(b, "name"),
                "args", json_object_get(b, "json")));
        }
    }

    return list;
}


/* A string that the decoder said, against the blocks of the reader. */
static void
same_text(const char *name, json_t *said, const char *as, json_t *m,
    const char *type, const char *member)
{
    char        *all;
    const char  *got;

    all = anthropic_join(m, type, member);
    got = codec_string(codec_at(said, "choices", "0", NULL), as, NULL, NULL);

    if (strcmp(got != NULL ? got : "", all) != 0) {
        fail_msg("%s: %s is \"%s\", not \"%s\"", name, as, got, all);
    }

    free(all);
}


static double
count(json_t *usage, const char *name)
{
    return json_number_value(json_object_get(usage, name));
}


static void
same_usage(const char *name, json_t *said, json_t *m)
{
    json_t  *a, *b;

    a = codec_at(said, "usage", NULL, NULL);
    b = codec_at(m, "usage", NULL, NULL);

    if (b == NULL) {
        return;
    }

    if (count(a, "input") != count(b, "input_tokens")
                             + count(b, "cache_read_input_tokens")
                             + count(b, "cache_creation_input_tokens")
        || count(a, "output") != count(b, "output_tokens")
        || count(a, "cached") != count(b, "cache_read_input_tokens"))
    {
        fail_msg("%s: other counts", name);
    }
}


/* The decoder says what the reader reads. */
static void
check_decoded(const char *name, const llm_u8 *p, size_t n)
{
    json_t      *said, *m, *calls, *got;
    const char  *word, *reason;

    m = anthropic_read(name, p, n, 0);
    said = codec_stream(&llm_dialect_anthropic, p, n);

    same_text(name, said, "text", m, "text", "text");
    same_text(name, said, "reasoning", m, "thinking", "thinking");
    same_text(name, said, "signature", m, "thinking", "signature");
    same_usage(name, said, m);

    calls = calls_of(m);
    got = codec_at(codec_at(said, "choices", "0", NULL), "calls", NULL,
                   NULL);

    if (json_array_size(calls) != json_array_size(got)
        || (got != NULL && !json_equal(calls, got)))
    {
        fail_msg("%s: other calls", name);
    }

    word = codec_string(codec_at(said, "choices", "0", NULL), "word", NULL,
                        NULL);
    reason = codec_string(m, "stop_reason", NULL, NULL);
    assert_string_equal(word != NULL ? word : "",
                        reason != NULL ? reason : "");
    assert_true((strcmp(codec_string(said, "end", NULL, NULL), "done") == 0)
                == json_is_true(codec_at(m, "ended", NULL, NULL)));

    json_decref(calls);
    json_decref(said);
    json_decref(m);
}


/* Leaves out of what was said how it was cut, and texts that are empty. */
static void
trim_said(json_t *said)
{
    size_t        i;
    json_t       *choice;
    const char   *s;

    static const char *const  names[] = { "text", "reasoning" };

    json_object_del(said, "order");
    choice = codec_at(said, "choices", "0", NULL);

    for (i = 0; i < 2; i++) {
        s = codec_string(choice, names[i], NULL, NULL);

        if (s != NULL && s[0] == '\0') {
            json_object_del(choice, names[i]);
        }
    }
}


/* What goes out again is legal, and the same in all that is read. */
static void
check_encoded(const char *name, const llm_u8 *p, size_t n)
{
    char      *out;
    json_t    *a, *b;
    llm_rc_t   rc;

    out = codec_convert(&llm_dialect_anthropic, &llm_dialect_anthropic, p, n,
                        0, 0, &rc);
    assert_int_equal(rc, LLM_OK);

    a = codec_stream(&llm_dialect_anthropic, p, n);
    b = codec_text(&llm_dialect_anthropic, out);

    trim_said(a);
    trim_said(b);

    if (strcmp(codec_string(a, "end", NULL, NULL), "done") == 0) {
        json_decref(anthropic_read(name, out, strlen(out), 1));
        same_json(name, b, a);
    }

    json_decref(a);
    json_decref(b);
    free(out);
}


static void
test_recorded(void **state)
{
    DIR            *dir;
    char            path[512];
    size_t          n, files;
    llm_u8         *p;
    const char     *dot;
    struct dirent  *entry;

    (void) state;

    dir = opendir(RECORDED);

    if (dir == NULL) {
        printf("skip: %s is not there\n", RECORDED);
        skip();
    }

    files = 0;

    while ((entry = readdir(dir)) != NULL) {
        dot = strrchr(entry->d_name, '.');

        if (dot == NULL || strcmp(dot, ".sse") != 0) {
            continue;
        }

        sprintf(path, "%s/%s", RECORDED, entry->d_name);
        p = unit_read(path, &n);
        check_decoded(entry->d_name, p, n);
        check_encoded(entry->d_name, p, n);
        free(p);
        files++;
    }

    closedir(dir);
    assert_true(files >= 20);
}


static void
test_answer(void **state)
{
    static const char  stream[] =
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\","
        "\"model\":\"claude\",\"usage\":{\"input_tokens\":3,"
        "\"cache_read_input_tokens\":2,\"output_tokens\":1}}}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":0,"
        "\"content_block\":{\"type\":\"thinking\",\"thinking\":\"Hm\","
        "\"signature\":\"Sg\"}}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":1,"
        "\"content_block\":{\"type\":\"redacted_thinking\","
        "\"data\":\"Eg\"}}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":2,"
        "\"content_block\":{\"type\":\"text\",\"text\":\"a\","
        "\"citations\":[{\"type\":\"page_location\", \"x\":1}]}}\n\n"
        "data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":"
        "{\"type\":\"text_delta\",\"text\":\"\\\"b\"}}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":3,"
        "\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\","
        "\"name\":\"f\",\"input\":{}}}\n\n"
        "data: {\"type\":\"content_block_delta\",\"index\":3,\"delta\":"
        "{\"type\":\"input_json_delta\",\"partial_json\":"
        "\"{\\\"x\\\":\\\"\\\\n\\\"}\"}}\n\n"
        "data: {\"type\":\"message_delta\",\"delta\":{"
        "\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":9}}\n\n"
        "data: {\"type\":\"message_stop\"}\n\n";

    char       *out;
    json_t     *m;
    llm_rc_t    rc;

    (void) state;

    out = codec_convert(&llm_dialect_anthropic, &llm_dialect_anthropic,
                        stream, sizeof(stream) - 1, 0, 1, &rc);
    assert_int_equal(rc, LLM_OK);
    m = anthropic_answer(out, strlen(out));
    codec_same("answer", m,
        "{\"id\":\"m1\",\"type\":\"message\",\"role\":\"assistant\","
        "\"model\":\"claude\",\"content\":["
        "{\"type\":\"thinking\",\"thinking\":\"Hm\",\"signature\":\"Sg\"},"
        "{\"type\":\"redacted_thinking\",\"data\":\"Eg\"},"
        "{\"type\":\"text\",\"text\":\"a\\\"b\",\"citations\":["
        "{\"type\":\"page_location\",\"x\":1}]},"
        "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":"
        "{\"x\":\"\\n\"}}],\"stop_reason\":\"tool_use\","
        "\"stop_sequence\":null,\"usage\":{\"input_tokens\":3,"
        "\"cache_read_input_tokens\":2,\"output_tokens\":9}}");
    json_decref(m);
    free(out);
}


static void
answer_of(const char *stream, llm_rc_t expect, const char *reason)
{
    char      *out;
    json_t    *m;
    llm_rc_t   rc;

    out = codec_convert(&llm_dialect_anthropic, &llm_dialect_anthropic,
                        stream, strlen(stream), 1, 1, &rc);
    assert_int_equal(rc, expect);

    if (rc == LLM_OK) {
        m = anthropic_answer(out, strlen(out));
        assert_string_equal(codec_string(m, "stop_reason", NULL, NULL),
                            reason);
        json_decref(m);
    }

    free(out);
}


static void
test_odd_answers(void **state)
{
    (void) state;

    answer_of("{\"content\":[]}", LLM_OK, "end_turn");
    answer_of("{\"content\":[],\"stop_reason\":\"stop_sequence\","
              "\"stop_sequence\":\"#\"}", LLM_OK, "stop_sequence");
    answer_of("{\"content\":[],\"stop_reason\":\"tidal\"}", LLM_OK, "tidal");
    answer_of("{\"content\":[{\"type\":\"tool_use\",\"name\":\"f\","
              "\"input\":{}}]}", LLM_OK, "tool_use");

    /* arguments that are no object have no place in an answer; those that
     * the limit cut are left out */

    answer_of("{\"content\":[{\"type\":\"tool_use\",\"name\":\"f\","
              "\"input\":\"{\"}],\"stop_reason\":\"tool_use\"}",
              LLM_INVALID, NULL);
    answer_of("{\"content\":[{\"type\":\"tool_use\",\"name\":\"f\","
              "\"input\":\"{\"}],\"stop_reason\":\"max_tokens\"}",
              LLM_OK, "max_tokens");
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_odd_answers)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
