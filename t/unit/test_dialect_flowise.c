/*
 * Flowise's prediction API: frames and answers to events, events to frames
 * and answers.  What streams say is held against a reader of their lines that
 * knows nothing of ours.
 */

#include <dirent.h>

#include "unit_codec.h"


#define FIXTURES  "t/fixtures/flowise"
#define RECORDED  "../shared/recorded/flowise"


/* A string's member s appended to the member of `to`; not said when empty. */
static void
join(json_t *to, const char *name, json_t *s)
{
    char        *text;
    const char  *before;

    before = json_string_value(json_object_get(to, name));

    if (before == NULL) {
        before = "";
    }

    text = malloc(strlen(before) + strlen(json_string_value(s)) + 1);
    assert_non_null(text);
    sprintf(text, "%s%s", before, json_string_value(s));
    json_object_set_new(to, name, json_string(text));
    free(text);
}


/* The first of two members that is there. */
static json_t *
either(json_t *from, const char *a, const char *b)
{
    json_t  *v;

    v = json_object_get(from, a);

    return v != NULL ? v : json_object_get(from, b);
}


static void
read_calls(json_t *choice, json_t *data)
{
    char    *args;
    size_t   i;
    json_t  *call, *said, *list;

    list = json_object_get(choice, "calls");

    json_array_foreach(data, i, call) {

        if (!json_is_string(either(call, "name", "tool"))) {
            continue;
        }

        if (list == NULL) {
            list = json_array();
            json_object_set_new(choice, "calls", list);
        }

        said = json_pack("{s:O,s:b}", "name", either(call, "name", "tool"),
                         "whole", 1);

        if (json_object_get(call, "id") != NULL) {
            json_object_set(said, "id", json_object_get(call, "id"));
        }

        args = json_dumps(either(call, "args", "toolInput"), JSON_COMPACT);
        json_object_set_new(said, "args", json_string(args));
        json_array_append_new(list, said);
        free(args);
    }
}


static void
read_documents(json_t *choice, json_t *data)
{
    size_t   i;
    json_t  *doc, *said, *about, *list;

    list = json_array();

    json_array_foreach(data, i, doc) {

        if (!json_is_object(doc)) {
            continue;
        }

        about = json_object_get(doc, "metadata");
        said = json_pack("{s:O}", "text", json_object_get(doc,
                                                          "pageContent"));

        if (json_object_get(about, "source") != NULL) {
            json_object_set(said, "url", json_object_get(about, "source"));
        }

        if (json_object_get(about, "title") != NULL) {
            json_object_set(said, "title", json_object_get(about, "title"));
        }

        json_array_append_new(list, said);
    }

    if (json_array_size(list) != 0) {
        json_object_set(choice, "citations", list);
    }

    json_decref(list);
}


static void
count(json_t *to, const char *name, json_t *from, const char *a)
{
    if (json_is_number(json_object_get(from, a))) {
        json_object_set(to, name, json_object_get(from, a));
    }
}


static void
read_usage(json_t *root, json_t *data)
{
    json_t  *u;

    u = json_object();

    count(u, "input", data, "input_tokens");
    count(u, "output", data, "output_tokens");
    count(u, "total", data, "total_tokens");

    if (json_object_size(u) != 0) {
        count(u, "cached", json_object_get(data, "input_token_details"),
              "cache_read");
        count(u, "reasoning", json_object_get(data, "output_token_details"),
              "reasoning");
        json_object_set(root, "usage", u);
    }

    json_decref(u);
}


/* One event; 0: it was the last one. */
static int
read_event(json_t *root, json_t *choice, const char *event, json_t *data)
{
    if (strcmp(event, "token") == 0 || strcmp(event, "thinking") == 0) {
        if (json_is_string(data)) {
            join(choice, event[1] == 'o' && *json_string_value(data) != '\0'
                         ? "text" : *json_string_value(data) == '\0'
                           ? "text" : "reasoning", data);
        }

    } else if (strcmp(event, "calledTools") == 0) {
        if (json_is_array(data)) {
            read_calls(choice, data);
        }

    } else if (strcmp(event, "sourceDocuments") == 0) {
        read_documents(choice, data);

    } else if (strcmp(event, "usageMetadata") == 0) {
        read_usage(root, data);

    } else if (strcmp(event, "end") == 0) {
        json_object_set_new(choice, "word", json_string("end"));
        json_object_set_new(choice, "finish",
                            json_string(json_object_get(choice, "calls")
                                        ? "tool_calls" : "stop"));
        json_object_set_new(root, "end", json_string("done"));
        return 0;

    } else if (strcmp(event, "error") == 0 || strcmp(event, "abort") == 0) {
        json_object_set_new(root, "end", json_string("failed"));
        return 0;
    }

    return 1;
}


/* What a stream says, read line by line. */
static json_t *
read_stream(const char *p)
{
    int          on;
    json_t      *root, *choice, *frame;
    const char  *line, *event;

    root = json_pack("{s:s}", "end", "ok");
    choice = json_object();
    on = 1;

    for (line = strstr(p, "data:"); line != NULL && on;
         line = strstr(line + 5, "\ndata:"))
    {
        line += *line == '\n';

        frame = unit_parse((const llm_u8 *) line + 5,
                           strcspn(line + 5, "\r\n"), NULL);
        assert_non_null(frame);

        event = json_string_value(json_object_get(frame, "event"));

        if (event != NULL) {
            on = read_event(root, choice, event,
                            json_object_get(frame, "data"));
        }

        json_decref(frame);
    }

    if (json_object_size(choice) == 0) {
        json_object_set_new(root, "choices", json_object());
        json_decref(choice);

    } else {
        json_object_set_new(root, "choices", json_pack("{s:o}", "0", choice));
    }

    return root;
}


/* Everything but the order, the extras and the words of errors. */
static void
check_stream(const char *what, const char *p, size_t n)
{
    json_t  *said, *read;

    said = codec_stream(&llm_dialect_flowise, p, n);
    read = read_stream(p);

    json_object_del(said, "errors");
    json_object_del(said, "meta");
    json_object_del(said, "order");

    if (!json_equal(said, read)) {
        fail_msg("%s: got\n%s\nexpected\n%s", what,
                 json_dumps(said, JSON_SORT_KEYS|JSON_INDENT(1)),
                 json_dumps(read, JSON_SORT_KEYS|JSON_INDENT(1)));
    }

    json_decref(said);
    json_decref(read);
}


static void
check_file(const char *path, const char *name)
{
    size_t   n;
    llm_u8  *p;

    /* halves of a pair that came in two events are not for a line's reader */

    if (strcmp(name, "escapes.sse") == 0) {
        return;
    }

    p = unit_read(path, &n);
    check_stream(name, (char *) p, n);
    free(p);
}


static void
test_fixtures(void **state)
{
    (void) state;

    assert_true(unit_each(FIXTURES, "sse", check_file) >= 17);
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
    assert_int_equal(unit_each(RECORDED, "sse", check_file), 4);
}


static void
check_order(const char *name, const char *order)
{
    char     path[256];
    json_t  *said;

    snprintf(path, sizeof(path), FIXTURES "/%s", name);
    said = codec_file(&llm_dialect_flowise, path, 0);
    assert_string_equal(codec_string(said, "order", NULL, NULL), order);
    json_decref(said);
}


/* The order of events, and what is carried as it is. */
static void
test_order(void **state)
{
    (void) state;

    check_order("text.sse", "start ping text meta finish end");
    check_order("start-repeats.sse", "start ping text meta finish end");
    check_order("legacy.sse", "start ping text meta finish end");
    check_order("empty-token.sse", "start text meta finish end");
    check_order("agentflow.sse", "meta start reasoning text usage meta finish "
                                 "end");
    check_order("called-tools.sse", "start ping text call meta finish end");
    check_order("sources.sse", "start ping text citation meta finish end");
    check_order("abort.sse", "start ping text error");
    check_order("error-mid.sse", "start ping text error");
    check_order("error-first.sse", "error");
    check_order("no-end.sse", "start ping text meta");
    check_order("end-only.sse", "start finish end");
    check_order("type-confusion.sse", "ping start ping meta ping text meta "
                                      "finish end");
}


static void
test_errors(void **state)
{
    (void) state;

    codec_check(&llm_dialect_flowise, FIXTURES "/abort.sse", 0,
        "{\"choices\":{\"0\":{\"text\":\"In\"}},\"errors\":[{\"message\":"
        "\"abort\",\"class\":0}],\"order\":\"start ping text error\","
        "\"end\":\"failed\"}");
    codec_check(&llm_dialect_flowise, FIXTURES "/error-mid.sse", 0,
        "{\"choices\":{\"0\":{\"text\":\"In\"}},\"errors\":[{\"message\":"
        "\"Error: the model \\\"reed\\\" is gone\",\"class\":0}],"
        "\"order\":\"start ping text error\",\"end\":\"failed\"}");
    codec_check(&llm_dialect_flowise, FIXTURES "/error-object.sse", 0,
        "{\"choices\":{\"0\":{\"text\":\"In\"}},\"errors\":[{\"message\":"
        "\"Too many boats\",\"code\":\"rate_limit_exceeded\",\"status\":429,"
        "\"class\":8}],\"order\":\"start text error\",\"end\":\"failed\"}");
    codec_check(&llm_dialect_flowise, FIXTURES "/answer-error.json", 1,
        "{\"choices\":{},\"errors\":[{\"message\":\"Error: the flow sank\","
        "\"status\":500,\"class\":10}],\"order\":\"error\","
        "\"end\":\"failed\"}");
}


static void
test_escapes(void **state)
{
    json_t  *said;

    (void) state;

    said = codec_file(&llm_dialect_flowise, FIXTURES "/escapes.sse", 0);
    assert_string_equal(codec_string(said, "choices", "0", "text"),
                        "tab\t \"quote\" \\ \u00e9 \U0001F30A\U0001F30A");
    json_decref(said);
}


static void
test_extras(void **state)
{
    json_t  *said;

    (void) state;

    said = codec_file(&llm_dialect_flowise, FIXTURES "/used-tools.sse", 0);
    codec_same("used tools", json_object_get(said, "meta"),
        "[{\"name\":\"usedTools\",\"raw\":[{\"tool\":\"depth\","
        "\"toolInput\":{\"lake\":\"Blue\"},\"toolOutput\":\"42\"}]},"
        "{\"name\":\"artifacts\",\"raw\":[{\"type\":\"png\","
        "\"data\":\"f/1.png\"}]},"
        "{\"name\":\"fileAnnotations\",\"raw\":[{\"filePath\":\"a.txt\"}]},"
        "{\"name\":\"metadata\",\"raw\":{\"chatId\":\"3f0c1a52-lake\","
        "\"chatMessageId\":\"b7d9-reed\",\"question\":\"Where does the "
        "river end?\",\"sessionId\":\"3f0c1a52-lake\",\"memoryType\":"
        "\"Buffer Memory\"}}]");
    json_decref(said);

    said = codec_file(&llm_dialect_flowise,
                      FIXTURES "/type-confusion.sse", 0);
    assert_string_equal(codec_string(said, "choices", "0", "text"), "ok");
    assert_null(json_object_get(said, "usage"));
    json_decref(said);
}


static void
test_answers(void **state)
{
    (void) state;

    codec_check(&llm_dialect_flowise, FIXTURES "/answer-text.json", 1,
        "{\"id\":\"b7d9-reed\",\"choices\":{\"0\":{\"text\":\"In the sea.\","
        "\"finish\":\"stop\",\"word\":\"end\"}},\"meta\":[{\"name\":"
        "\"metadata\",\"raw\":{\"question\":\"Where does the river end?\","
        "\"chatId\":\"3f0c1a52-lake\",\"chatMessageId\":\"b7d9-reed\","
        "\"sessionId\":\"3f0c1a52-lake\",\"memoryType\":\"Buffer Memory\"}}],"
        "\"order\":\"start text meta finish end\",\"end\":\"done\"}");
    codec_check(&llm_dialect_flowise, FIXTURES "/answer-agent.json", 1,
        "{\"id\":\"m1\",\"choices\":{\"0\":{\"text\":\"Let me look.\","
        "\"reasoning\":\"Hm.\",\"finish\":\"tool_calls\",\"word\":\"end\","
        "\"calls\":[{\"id\":\"call_1\",\"name\":\"depth\",\"args\":"
        "\"{\\\"lake\\\": \\\"Blue\\\"}\",\"whole\":true}],"
        "\"citations\":[{\"url\":\"lake.txt\",\"text\":\"Deep.\"}]}},"
        "\"usage\":{\"input\":3,\"output\":4,\"total\":7},"
        "\"meta\":[{\"name\":\"agentFlowExecutedData\",\"raw\":[{\"nodeId\":"
        "\"n\"}]},{\"name\":\"usedTools\",\"raw\":[{\"tool\":\"map\","
        "\"toolInput\":{},\"toolOutput\":\"ok\"}]},{\"name\":\"metadata\","
        "\"raw\":{\"question\":\"?\",\"chatId\":\"c1\",\"chatMessageId\":"
        "\"m1\"}}],\"order\":\"start reasoning text call citation usage meta "
        "finish end\",\"end\":\"done\"}");
    codec_check(&llm_dialect_flowise, FIXTURES "/answer-json.json", 1,
        "{\"id\":\"m1\",\"choices\":{\"0\":{\"text\":\"{\\\"end\\\": "
        "\\\"sea\\\", \\\"sure\\\": true}\",\"finish\":\"stop\",\"word\":"
        "\"end\"}},\"meta\":[{\"name\":\"metadata\",\"raw\":{\"chatId\":"
        "\"c1\",\"chatMessageId\":\"m1\"}}],"
        "\"order\":\"start text meta finish end\",\"end\":\"done\"}");
}


static void
test_invalid(void **state)
{
    (void) state;

    codec_invalid(&llm_dialect_flowise, "data:[1]\n\n", 0);
    codec_invalid(&llm_dialect_flowise,
                  "data:{\"event\":\"token\",\"data\":\"a\"\n\n", 0);
    codec_invalid(&llm_dialect_flowise,
                  "data:{\"event\":\"token\",\"data\":\"a\"} x\n\n", 0);
    codec_invalid(&llm_dialect_flowise, "data:[DONE]\n\n", 0);
    codec_invalid(&llm_dialect_flowise, "[]", 1);
    codec_invalid(&llm_dialect_flowise, "{}", 1);
    codec_invalid(&llm_dialect_flowise, "{\"choices\":[]}", 1);
    codec_invalid(&llm_dialect_flowise, "{\"text\":\"a\"", 1);
}


/* A stream that repeats is decoded by comparison: a frame that differs must
 * not be taken for one that repeats. */
static void
test_repeats(void **state)
{
    json_t  *said;

    (void) state;

    said = codec_text(&llm_dialect_flowise,
        "data:{\"event\":\"token\",\"data\":\"a\"}\n\n"
        "data:{\"event\":\"token\",\"data\":\"b\"}\n\n"
        "data:{\"event\":\"token\",\"data\":\"c\"} \n\n"
        "data:{\"event\":\"thinking\",\"data\":\"d\"}\n\n"
        "data:{\"event\":\"thinking\",\"data\":\"e\"}\n\n"
        "data:{\"event\":\"token\",\"data\":\"f\",\"event\":\"thinking\"}\n\n"
        "data:{\"event\":\"token\",\"data\":\"g\"}\n\n"
        "data:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n");
    assert_string_equal(codec_string(said, "choices", "0", "text"), "abcg");
    assert_string_equal(codec_string(said, "choices", "0", "reasoning"),
                        "def");
    json_decref(said);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures),
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_extras),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_repeats)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
