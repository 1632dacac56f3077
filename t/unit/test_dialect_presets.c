/*
 * Providers that speak openai with habits of their own: what each recorded
 * stream says (../shared/recorded, if it is there) against a reader of its
 * lines that knows nothing of ours, and each habit on its own.
 */

#include <dirent.h>

#include "unit_codec.h"


#define RECORDED  "../shared/recorded"

static const char *const  folders[] = {
    "openai-chat", "azure-openai", "deepseek", "groq", "mistral",
    "openrouter", "qwen", "vllm", "xai", "other"
};

/* of another dialect, or no JSON */
static const char *const  others[] = {
    "responses-text.sse", "responses-function-call.sse", "responses-api.sse",
    "responses-image.sse", "openai-assistants-thread-run.sse",
    "replicate-multiline-data.sse", "watsonx.sse", "broken-sse.sse"
};

static size_t  compared;


static const char *
text_of(json_t *v)
{
    return json_is_string(v) ? json_string_value(v) : "";
}


/* Appends to a string member, which is there only when it has a byte. */
static void
add(json_t *to, const char *name, const char *s)
{
    char        *text;
    const char  *before;

    if (*s == '\0') {
        return;
    }

    before = text_of(json_object_get(to, name));
    text = malloc(strlen(before) + strlen(s) + 1);
    assert_non_null(text);
    sprintf(text, "%s%s", before, s);
    json_object_set_new(to, name, json_string(text));
    free(text);
}


/* The object `name` of another, made when it is not there. */
static json_t *
object_in(json_t *root, const char *name)
{
    if (json_object_get(root, name) == NULL) {
        json_object_set_new(root, name, json_object());
    }

    return json_object_get(root, name);
}


/* Content: a string, or parts. */
static void
read_content(json_t *choice, json_t *content)
{
    size_t   i, k;
    json_t  *part, *piece, *list;

    add(choice, "text", text_of(content));

    json_array_foreach(content, i, part) {

        if (strcmp(text_of(json_object_get(part, "type")), "text") == 0) {
            add(choice, "text", text_of(json_object_get(part, "text")));
        }

        list = json_object_get(part, "thinking");

        json_array_foreach(list, k, piece) {
            add(choice, "reasoning", text_of(json_object_get(piece, "text")));
        }
    }
}


static void
read_reasoning(json_t *choice, json_t *delta)
{
    size_t       i;
    json_t      *detail;
    const char  *text;

    text = text_of(json_object_get(delta, "reasoning_content"));

    if (*text == '\0') {
        text = text_of(json_object_get(delta, "reasoning"));
    }

    if (*text == '\0') {
        json_array_foreach(json_object_get(delta, "reasoning_details"), i,
                           detail)
        {
            add(choice, "reasoning", text_of(json_object_get(detail,
                                                             "text")));
        }
    }

    add(choice, "reasoning", text);

    json_array_foreach(json_object_get(delta, "reasoning_details"), i,
                       detail)
    {
        add(choice, "signature", text_of(json_object_get(detail,
                                                         "signature")));
        add(choice, "withheld", text_of(json_object_get(detail, "data")));
    }
}


static void
read_calls(json_t *choice, json_t *calls)
{
    char         key[32];
    size_t       i;
    json_t      *call, *said, *function, *index;

    json_array_foreach(calls, i, call) {
        index = json_object_get(call, "index");
        sprintf(key, "%d", index ? (int) json_number_value(index) : (int) i);

        said = object_in(object_in(choice, "calls"), key);
        function = json_object_get(call, "function");

        if (json_object_get(said, "id") == NULL) {
            add(said, "id", text_of(json_object_get(call, "id")));
        }

        if (json_object_get(said, "name") == NULL) {
            add(said, "name", text_of(json_object_get(function, "name")));
        }

        add(said, "args", text_of(json_object_get(function, "arguments")));
    }
}


static void
read_notes(json_t *choice, json_t *notes)
{
    size_t   i;
    json_t  *note, *cited;

    json_array_foreach(notes, i, note) {
        cited = json_object_get(note, "url_citation");

        if (cited == NULL) {
            continue;
        }

        add(choice, "cited", text_of(json_object_get(cited, "url")));
        add(choice, "cited", "\n");
    }
}


static void
read_choice(json_t *choices, json_t *from, size_t at)
{
    char         key[32];
    json_t      *choice, *delta, *index;
    const char  *word;

    index = json_object_get(from, "index");
    sprintf(key, "%d", index ? (int) json_number_value(index) : (int) at);

    choice = object_in(choices, key);
    delta = json_object_get(from, "delta");

    if (delta == NULL) {
        delta = json_object_get(from, "message");
    }

    read_reasoning(choice, delta);
    read_content(choice, json_object_get(delta, "content"));
    add(choice, "refusal", text_of(json_object_get(delta, "refusal")));
    read_calls(choice, json_object_get(delta, "tool_calls"));
    read_notes(choice, json_object_get(delta, "annotations"));

    word = text_of(json_object_get(from, "finish_reason"));

    if (*word != '\0' && strcmp(word, "null") != 0) {
        json_object_set_new(choice, "word", json_string(word));
    }
}


static void
take(json_t *to, const char *name, json_t *from, const char *a)
{
    if (json_is_number(json_object_get(from, a))) {
        json_object_set(to, name, json_object_get(from, a));
    }
}


static double
number(json_t *o, const char *name)
{
    return json_number_value(json_object_get(o, name));
}


static void
read_usage(json_t *root, json_t *from)
{
    json_t  *u;

    if (!json_is_object(from)) {
        return;
    }

    u = object_in(root, "usage");

    take(u, "input", from, "prompt_tokens");
    take(u, "output", from, "completion_tokens");
    take(u, "total", from, "total_tokens");
    take(u, "cached", from, "prompt_cache_hit_tokens");
    take(u, "cached", json_object_get(from, "prompt_tokens_details"),
         "cached_tokens");
    take(u, "reasoning", json_object_get(from, "completion_tokens_details"),
         "reasoning_tokens");

    /* a total that is more than both: reasoning is counted beside */

    if (number(u, "reasoning") > 0 && number(u, "total") ==
        number(u, "input") + number(u, "output") + number(u, "reasoning"))
    {
        json_object_set_new(u, "output",
                            json_real(number(u, "output")
                                      + number(u, "reasoning")));
    }
}


/* One data line; 0: nothing counts after it. */
static int
read_chunk(json_t *root, const char *p, size_t n)
{
    size_t   i;
    json_t  *chunk, *choice, *usage;

    if (n >= 6 && memcmp(p, "[DONE]", 6) == 0) {
        json_object_set_new(root, "end", json_string("done"));
        return 0;
    }

    chunk = unit_parse((const llm_u8 *) p, n, NULL);
    assert_non_null(chunk);

    json_array_foreach(json_object_get(chunk, "choices"), i, choice) {
        read_choice(json_object_get(root, "choices"), choice, i);
    }

    usage = json_object_get(chunk, "usage");

    if (!json_is_object(usage)) {
        usage = json_object_get(json_object_get(chunk, "x_groq"), "usage");
    }

    read_usage(root, usage);

    i = json_is_object(json_object_get(chunk, "error"));
    json_decref(chunk);

    if (i) {
        json_object_set_new(root, "end", json_string("failed"));
    }

    return !i;
}


static json_t *
read_stream(const char *p)
{
    int          on;
    size_t       n;
    json_t      *root;
    const char  *line;

    root = json_pack("{s:s,s:{}}", "end", "ok", "choices");

    for (on = 1; *p != '\0' && on; p += n + strspn(p + n, "\r\n")) {
        n = strcspn(p, "\r\n");
        line = p;

        if (strncmp(line, "data:", 5) != 0) {
            continue;
        }

        line += line[5] == ' ' ? 6 : 5;
        on = read_chunk(root, line, n - (size_t) (line - p));
    }

    return root;
}


/* Ours in the form of the reader's. */
static void
simplify(json_t *said)
{
    char         key[32];
    size_t       i;
    json_t      *choice, *list, *calls, *v, *usage;
    const char  *name;
    void        *tmp;

    usage = json_object_get(said, "usage");
    json_object_del(usage, "cache_write");

    json_object_foreach_safe(json_object_get(said, "choices"), tmp, name,
                             choice)
    {
        json_object_del(choice, "finish");
        json_object_del(choice, "logprobs");

        if (*text_of(json_object_get(choice, "text")) == '\0') {
            json_object_del(choice, "text");
        }

        list = json_object_get(choice, "citations");

        json_array_foreach(list, i, v) {
            add(choice, "cited", text_of(json_object_get(v, "url")));
            add(choice, "cited", "\n");
        }

        json_object_del(choice, "citations");
        list = json_incref(json_object_get(choice, "calls"));

        if (list != NULL) {
            calls = json_object();
            json_object_set_new(choice, "calls", calls);

            json_array_foreach(list, i, v) {
                sprintf(key, "%zu", i);
                json_object_set(calls, key, v);
            }
        }

        json_decref(list);
    }

    json_object_del(said, "order");
    json_object_del(said, "id");
    json_object_del(said, "model");
    json_object_del(said, "created");
    json_object_del(said, "errors");
}


static void
check_file(const char *path, const char *name)
{
    size_t   i, n;
    llm_u8  *p;
    json_t  *said, *read;

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(name, others[i]) == 0) {
            return;
        }
    }

    p = unit_read(path, &n);
    said = codec_stream(&llm_dialect_openai, p, n);
    read = read_stream((char *) p);
    simplify(said);

    if (!json_equal(said, read)) {
        fail_msg("%s: got\n%s\nexpected\n%s", path,
                 json_dumps(said, JSON_SORT_KEYS|JSON_INDENT(1)),
                 json_dumps(read, JSON_SORT_KEYS|JSON_INDENT(1)));
    }

    compared++;
    json_decref(said);
    json_decref(read);
    free(p);
}


static void
test_recorded(void **state)
{
    DIR     *dir;
    char     folder[128];
    size_t   i;

    (void) state;

    for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(folder, sizeof(folder), RECORDED "/%s", folders[i]);
        dir = opendir(folder);

        if (dir == NULL) {
            printf("skip: no %s\n", folder);
            continue;
        }

        closedir(dir);

        if (strcmp(folders[i], "vllm") != 0) {
            unit_each(folder, "sse", check_file);
        }
    }

    printf("compared %zu recorded streams\n", compared);
}


#define CHUNK(delta)                                                        \
    "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,"        \
    "\"delta\":{" delta "},\"finish_reason\":null}]}\n\n"


static void
check(const char *stream, const char *member, const char *expect)
{
    json_t  *said;

    said = codec_text(&llm_dialect_openai, stream);
    codec_same(stream, codec_at(said, "choices", "0", member), expect);
    json_decref(said);
}


/* OpenRouter: signatures and what is withheld, beside the same text. */
static void
test_details(void **state)
{
    json_t  *said;

    static const char  stream[] =
        CHUNK("\"role\":\"assistant\",\"content\":\"\",\"reasoning\":\"Hm\","
              "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":"
              "\"Hm\",\"format\":null}]")
        CHUNK("\"content\":\"\",\"reasoning\":null,\"reasoning_details\":["
              "{\"type\":\"reasoning.text\",\"signature\":\"c2ln\"},"
              "{\"type\":\"reasoning.encrypted\",\"data\":\"ZGF0YQ\"}]")
        CHUNK("\"content\":\"Yes\",\"reasoning_details\":[]")
        CHUNK("\"reasoning\":\"\",\"reasoning_details\":[{\"type\":"
              "\"reasoning.summary\",\"summary\":\"?\"},7,{\"text\":8}]")
        "data: [DONE]\n\n";

    (void) state;

    said = codec_text(&llm_dialect_openai, stream);
    codec_same("details", codec_at(said, "choices", "0", NULL),
               "{\"text\":\"Yes\",\"reasoning\":\"Hm?\","
               "\"signature\":\"c2ln\",\"withheld\":\"ZGF0YQ\"}");
    assert_string_equal(codec_string(said, "order", NULL, NULL),
                        "start reasoning text reasoning end");
    json_decref(said);
}


/* The signature stands where the reasoning ends, not behind the answer. */
static void
test_details_answer(void **state)
{
    json_t  *said;

    static const char  answer[] =
        "{\"id\":\"c\",\"choices\":[{\"message\":{\"content\":\"Yes\","
        "\"reasoning\":\"Hm\",\"reasoning_details\":[{\"type\":"
        "\"reasoning.text\",\"text\":\"H\",\"signature\":\"c2\"},"
        "{\"type\":\"reasoning.text\",\"text\":\"m\",\"signature\":"
        "\"ln\"}]},\"finish_reason\":\"stop\"}]}";

    (void) state;

    said = codec_answer(&llm_dialect_openai, answer, sizeof(answer) - 1);
    codec_same("details", json_object_get(said, "choices"),
               "{\"0\":{\"text\":\"Yes\",\"reasoning\":\"Hm\",\"signature\":"
               "\"c2ln\",\"finish\":\"stop\",\"word\":\"stop\"}}");
    assert_string_equal(codec_string(said, "order", NULL, NULL),
                        "start reasoning text finish end");
    json_decref(said);
}


static void
test_annotations(void **state)
{
    (void) state;

    check(CHUNK("\"content\":\"Blue.\",\"annotations\":[{\"type\":"
                "\"url_citation\",\"url_citation\":{\"url\":"
                "\"https://x.example/\",\"title\":\"T\",\"start_index\":0,"
                "\"end_index\":5,\"content\":\"It is blue\"}},"
                "{\"type\":\"file_citation\",\"file_id\":\"f\"},9,"
                "{\"url_citation\":{\"url\":\"https://y.example/\"}},"
                "{\"url_citation\":{\"title\":\"no url\"}}]"),
          "citations",
          "[{\"url\":\"https://x.example/\",\"title\":\"T\",\"text\":"
          "\"It is blue\",\"start\":0,\"end\":5},"
          "{\"url\":\"https://y.example/\"}]");
}


/* Mistral: no index; others: index 0 for each of several whole calls. */
static void
test_numbers(void **state)
{
    (void) state;

    check(CHUNK("\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":"
                "\"f\",\"arguments\":\"{}\"}},{\"id\":\"b\",\"function\":"
                "{\"name\":\"g\",\"arguments\":\"{}\"}}]"),
          "calls",
          "[{\"id\":\"a\",\"name\":\"f\",\"args\":\"{}\"},"
          "{\"id\":\"b\",\"name\":\"g\",\"args\":\"{}\"}]");

    check(CHUNK("\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":"
                "\"f\",\"arguments\":\"{}\"}}]")
          CHUNK("\"tool_calls\":[{\"id\":\"b\",\"function\":{\"name\":"
                "\"g\",\"arguments\":\"{\"}}]")
          CHUNK("\"tool_calls\":[{\"id\":\"b\",\"function\":{"
                "\"arguments\":\"}\"}}]"),
          "calls",
          "[{\"id\":\"a\",\"name\":\"f\",\"args\":\"{}\"},"
          "{\"id\":\"b\",\"name\":\"g\",\"args\":\"{}\"}]");

    check(CHUNK("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":"
                "{\"name\":\"f\",\"arguments\":\"{}\"}}]")
          CHUNK("\"tool_calls\":[{\"index\":0,\"id\":\"b\",\"function\":"
                "{\"name\":\"f\",\"arguments\":\"{}\"},\"extra_content\":"
                "{\"google\":{\"thought_signature\":\"c2ln\"}}}]"),
          "calls",
          "[{\"id\":\"a\",\"name\":\"f\",\"args\":\"{}\"},"
          "{\"id\":\"b\",\"name\":\"f\",\"args\":\"{}\",\"signature\":"
          "\"c2ln\"}]");

    /* counted from 1; a name that comes again is no new call */

    check(CHUNK("\"tool_calls\":[{\"index\":1,\"id\":\"a\",\"function\":"
                "{\"name\":\"f\",\"arguments\":\"\"}}]")
          CHUNK("\"tool_calls\":[{\"index\":1,\"id\":\"\",\"function\":"
                "{\"name\":\"f\",\"arguments\":\"{\"}}]")
          CHUNK("\"tool_calls\":[{\"index\":2,\"id\":\"b\",\"function\":"
                "{\"name\":\"g\",\"arguments\":null}}]")
          CHUNK("\"tool_calls\":[{\"index\":1,\"id\":\"c\",\"function\":"
                "{\"arguments\":\"}\"}}]"),
          "calls",
          "[{\"id\":\"a\",\"name\":\"f\",\"args\":\"{}\"},"
          "{\"id\":\"b\",\"name\":\"g\"}]");
}


/* Calls of two choices are counted apart. */
static void
test_numbers_of_choices(void **state)
{
    json_t  *said;

    static const char  stream[] =
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{"
        "\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\"}}]}},"
        "{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"b\","
        "\"function\":{\"name\":\"g\"}}]}}]}\n\n";

    (void) state;

    said = codec_text(&llm_dialect_openai, stream);
    codec_same("calls", json_object_get(said, "choices"),
               "{\"0\":{\"calls\":[{\"id\":\"b\",\"name\":\"g\"}]},"
               "\"1\":{\"calls\":[{\"id\":\"a\",\"name\":\"f\"}]}}");
    json_decref(said);
}


/* More calls than are told apart by their ids. */
static void
test_many_calls(void **state)
{
    char     *p, *stream;
    size_t    i;
    json_t   *said;

    (void) state;

    stream = malloc(200 * 32);
    assert_non_null(stream);

    for (p = stream, i = 0; i < 32; i++) {
        p += sprintf(p, CHUNK("\"tool_calls\":[{\"index\":0,\"id\":\"i%zu\","
                              "\"function\":{\"name\":\"f\"}}]"), i);
    }

    said = codec_text(&llm_dialect_openai, stream);
    assert_int_equal(json_array_size(codec_at(said, "choices", "0",
                                              "calls")), 32);
    json_decref(said);
    free(stream);
}


/* Azure's first chunk has no choices, no id and no model of its own. */
/* A text that nobody signed is not lost beside one that somebody did. */
static void
test_details_mixed(void **state)
{
    char      *out;
    json_t    *said;
    llm_rc_t   rc;

    static const char  stream[] =
        "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"reasoning\":"
        "\"H\",\"reasoning_details\":[{\"type\":\"reasoning.text\","
        "\"text\":\"H\",\"signature\":\"c2ln\"}]}}]}\n\n"
        "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"reasoning\":"
        "\"m\"},\"finish_reason\":\"stop\"}]}\n\n"
        "data: [DONE]\n\n";

    (void) state;

    out = codec_convert(&llm_dialect_openai, &llm_dialect_openai, stream,
                        sizeof(stream) - 1, 0, 1, &rc);
    assert_int_equal(rc, LLM_OK);

    said = codec_answer(&llm_dialect_openai, out, strlen(out));
    codec_same("details", json_object_get(said, "choices"),
               "{\"0\":{\"reasoning\":\"Hm\",\"signature\":\"c2ln\","
               "\"finish\":\"stop\",\"word\":\"stop\"}}");
    json_decref(said);
    free(out);
}


/* Of one answer each is a call of its own, also when an id comes twice. */
static void
test_calls_of_one_id(void **state)
{
    json_t  *said;

    static const char  answer[] =
        "{\"choices\":[{\"index\":0,\"message\":{\"tool_calls\":["
        "{\"id\":\"a\",\"function\":{\"name\":\"f\","
        "\"arguments\":\"{}\"}},{\"id\":\"a\",\"function\":"
        "{\"name\":\"g\",\"arguments\":\"{}\"}}]},"
        "\"finish_reason\":\"tool_calls\"}]}";

    (void) state;

    said = codec_answer(&llm_dialect_openai, answer, sizeof(answer) - 1);
    codec_same("calls", codec_at(said, "choices", "0", "calls"),
               "[{\"id\":\"a\",\"name\":\"f\",\"args\":\"{}\","
               "\"whole\":true},{\"id\":\"a\",\"name\":\"g\","
               "\"args\":\"{}\",\"whole\":true}]");
    json_decref(said);
}


static void
test_azure(void **state)
{
    json_t  *said;

    (void) state;

    said = codec_text(&llm_dialect_openai,
        "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\","
        "\"object\":\"\",\"prompt_filter_results\":[{\"prompt_index\":0}]}"
        "\n\n" CHUNK("\"role\":\"assistant\",\"content\":\"Hi\"")
        "data: [DONE]\n\n");
    assert_string_equal(codec_string(said, "id", NULL, NULL), "c");
    assert_string_equal(codec_string(said, "model", NULL, NULL), "m");
    json_decref(said);
}


/* llama.cpp's old line is an error, not the beginning of a success. */
static void
test_error_line(void **state)
{
    json_t  *said;

    (void) state;

    said = codec_text(&llm_dialect_openai,
        CHUNK("\"role\":\"assistant\",\"content\":\"Hi\"")
        "error: {\"code\":500,\"message\":\"Context is full\",\"type\":"
        "\"server_error\"}\n\ndata: [DONE]\n\n");
    assert_string_equal(codec_string(said, "end", NULL, NULL), "failed");
    codec_same("error", json_object_get(said, "errors"),
               "[{\"message\":\"Context is full\",\"code\":\"500\","
               "\"type\":\"server_error\",\"status\":500,\"class\":10}]");
    json_decref(said);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_details),
        cmocka_unit_test(test_details_answer),
        cmocka_unit_test(test_details_mixed),
        cmocka_unit_test(test_annotations),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_numbers_of_choices),
        cmocka_unit_test(test_many_calls),
        cmocka_unit_test(test_calls_of_one_id),
        cmocka_unit_test(test_azure),
        cmocka_unit_test(test_error_line)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
