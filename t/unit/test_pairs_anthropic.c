/*
 * Every stream of our fixtures, and every one that was recorded, whatever its
 * dialect, is legal for an Anthropic client: in order, complete, and with all
 * that was said.  Every request that was recorded is one that Anthropic takes.
 */

#include <dirent.h>

#include "unit_anthropic.h"
#include "unit_codec.h"


static size_t  streams;


static const char *
said_string(json_t *said, const char *name)
{
    const char  *s;

    s = codec_string(codec_at(said, "choices", "0", NULL), name, NULL, NULL);

    return s != NULL ? s : "";
}


/* Text and refusal are both text blocks.  Of halves of a character that came
 * in two deltas the reader makes two U+FFFD. */
static void
check_texts(const char *name, json_t *said, json_t *m)
{
    char    *text, *thinking;
    size_t   n;

    text = anthropic_join(m, "text", "text");
    thinking = anthropic_join(m, "thinking", "thinking");
    n = strlen(said_string(said, "text"))
        + strlen(said_string(said, "refusal"));

    if (strstr(text, "\xef\xbf\xbd") == NULL
        && (strlen(text) != n
            || (strcmp(text, said_string(said, "text")) != 0
                && said_string(said, "refusal")[0] == '\0')))
    {
        fail_msg("%s: text is \"%s\"", name, text);
    }

    if (strcmp(thinking, said_string(said, "reasoning")) != 0) {
        fail_msg("%s: thinking is \"%s\"", name, thinking);
    }

    free(text);
    free(thinking);
}


/* The calls of both, in the order in which they were begun. */
static void
check_calls(const char *name, json_t *said, json_t *m)
{
    size_t       i, n, same;
    json_t      *b, *call, *calls;
    const char  *args, *json;

    n = 0;
    calls = codec_at(codec_at(said, "choices", "0", NULL), "calls", NULL,
                     NULL);

    json_array_foreach(json_object_get(m, "content"), i, b) {

        if (strcmp(codec_string(b, "type", NULL, NULL), "tool_use") != 0) {
            continue;
        }

        call = json_array_get(calls, n++);
        args = codec_string(call, "args", NULL, NULL);

        if (args == NULL || args[0] == '\0') {
            args = "{}";
        }

        /* space behind arguments that were whole has no place */

        json = codec_string(b, "json", NULL, NULL);
        same = strlen(json);

        if (strncmp(args, json, same) != 0
            || args[same + strspn(args + same, " ")] != '\0'
            || !json_equal(json_object_get(b, "name"),
                           json_object_get(call, "name")))
        {
            fail_msg("%s: another call %zu", name, n - 1);
        }
    }

    assert_int_equal(n, json_array_size(calls));
}


static void
check_usage(const char *name, json_t *said, json_t *m)
{
    double   input;
    json_t  *a, *b;

    a = codec_at(said, "usage", NULL, NULL);
    b = codec_at(m, "usage", NULL, NULL);

    input = json_number_value(json_object_get(b, "input_tokens"))
            + json_number_value(json_object_get(b, "cache_read_input_tokens"))
            + json_number_value(json_object_get(b,
                                           "cache_creation_input_tokens"));

    if (json_object_get(a, "input") != NULL
        && json_number_value(json_object_get(a, "input")) != input)
    {
        fail_msg("%s: %f tokens of input", name, input);
    }

    if (json_number_value(json_object_get(a, "output"))
        != json_number_value(json_object_get(b, "output_tokens")))
    {
        fail_msg("%s: other tokens of output", name);
    }
}


static void
check_stream(const llm_dialect_t *from, const char *path, const char *name)
{
    char      *out;
    size_t     n;
    json_t    *said, *m;
    llm_u8    *p;
    llm_rc_t   rc;

    p = unit_read(path, &n);
    said = codec_stream(from, p, n);
    out = codec_convert(from, &llm_dialect_anthropic, p, n, 0, 0, &rc);

    if (rc != LLM_OK) {
        fail_msg("%s: %d", name, rc);
    }

    m = anthropic_read(name, out, strlen(out), 1);

    if (strcmp(codec_string(said, "end", NULL, NULL), "done") == 0
        && strcmp(said_string(said, "finish"), "error") != 0)
    {
        assert_true(json_is_true(json_object_get(m, "ended")));
        check_texts(name, said, m);
        check_calls(name, said, m);
        check_usage(name, said, m);
        streams++;

    } else {
        assert_true(json_is_false(json_object_get(m, "ended")));
    }

    json_decref(m);
    json_decref(said);
    free(out);
    free(p);
}


static size_t
check_folder(const llm_dialect_t *from, const char *folder, const char *ext)
{
    DIR            *dir;
    char            path[512];
    size_t          n, files;
    struct dirent  *entry;

    dir = opendir(folder);

    if (dir == NULL) {
        return 0;
    }

    files = 0;

    while ((entry = readdir(dir)) != NULL) {
        n = strlen(entry->d_name);

        /* repairing UTF-8 is the flow's business */

        if (n < strlen(ext)
            || strcmp(entry->d_name + n - strlen(ext), ext) != 0
            || strcmp(entry->d_name, "invalid-utf8.sse") == 0)
        {
            continue;
        }

        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        check_stream(from, path, path);
        files++;
    }

    closedir(dir);

    return files;
}


static const struct {
    const char           *folder;
    const char           *ext;
    const llm_dialect_t  *dialect;
} folders[] = {
    { "openai-chat", ".sse", &llm_dialect_openai },
    { "openrouter", ".sse", &llm_dialect_openai },
    { "azure-openai", ".sse", &llm_dialect_openai },
    { "deepseek", ".sse", &llm_dialect_openai },
    { "groq", ".sse", &llm_dialect_openai },
    { "xai", ".sse", &llm_dialect_openai },
    { "vllm", ".sse", &llm_dialect_openai },
    { "mistral", ".sse", &llm_dialect_openai },
    { "openai-completions", ".sse", &llm_dialect_completions },
    { "openai-responses", ".sse", &llm_dialect_responses },
    { "anthropic-messages", ".sse", &llm_dialect_anthropic },
    { "gemini", ".sse", &llm_dialect_gemini },
    { "ollama-chat", ".ndjson", &llm_dialect_ollama },
    { "ollama-generate", ".ndjson", &llm_dialect_generate },
    { "flowise", ".sse", &llm_dialect_flowise }
};


static void
test_recorded(void **state)
{
    char    path[256];
    size_t  i, files;

    (void) state;

    files = 0;

    for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, sizeof(path), "../shared/recorded/%s",
                 folders[i].folder);
        files += check_folder(folders[i].dialect, path, folders[i].ext);
    }

    if (files == 0) {
        printf("skip: ../shared/recorded is not there\n");
        skip();
    }

    printf("%zu streams, %zu whole\n", files, streams);
    assert_true(streams >= 60);
}


static void
test_fixtures(void **state)
{
    char   *path, name[128];
    size_t  i, files;

    static const struct {
        const char           *folder;
        const char           *ext;
        const llm_dialect_t  *dialect;
    } own[] = {
        { "openai", ".sse", &llm_dialect_openai },
        { "openai-completions", ".sse", &llm_dialect_completions },
        { "responses", ".sse", &llm_dialect_responses },
        { "anthropic", ".sse", &llm_dialect_anthropic },
        { "gemini", ".sse", &llm_dialect_gemini },
        { "ollama", ".ndjson", &llm_dialect_ollama },
        { "ollama-generate", ".ndjson", &llm_dialect_generate },
        { "flowise", ".sse", &llm_dialect_flowise },
        { "cohere", ".sse", &llm_dialect_cohere }
    };

    (void) state;

    files = 0;
    streams = 0;

    for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        snprintf(name, sizeof(name), "t/fixtures/%s", own[i].folder);
        path = unit_path(name);
        files += check_folder(own[i].dialect, path, own[i].ext);
        free(path);
    }

    printf("%zu streams of our own, %zu whole\n", files, streams);
    assert_true(streams >= 60);
}


/* A block of a request, as the API takes it. */
static void
check_block(const char *name, json_t *b, unsigned user)
{
    const char  *type;

    type = codec_string(b, "type", NULL, NULL);

    if (type == NULL) {
        fail_msg("%s: a block without type", name);
        return;
    }

    if (strcmp(type, "text") == 0) {
        assert_true(json_string_length(json_object_get(b, "text")) != 0);

    } else if (strcmp(type, "tool_use") == 0) {
        assert_false(user);
        assert_true(json_is_object(json_object_get(b, "input")));
        assert_true(json_string_length(json_object_get(b, "id")) != 0);
        assert_true(json_string_length(json_object_get(b, "name")) != 0);

    } else if (strcmp(type, "tool_result") == 0) {
        assert_true(user);
        assert_true(json_string_length(json_object_get(b, "tool_use_id"))
                    != 0);

    } else if (strcmp(type, "thinking") == 0) {
        assert_false(user);
        assert_true(json_string_length(json_object_get(b, "signature"))
                    != 0);

    } else if (strcmp(type, "redacted_thinking") != 0) {
        assert_true(strcmp(type, "image") == 0
                    || strcmp(type, "document") == 0);
        assert_non_null(codec_string(b, "source", "type", NULL));
    }
}


/* A body, as the API takes it. */
static void
check_body(const char *name, json_t *body)
{
    size_t       i, k;
    json_t      *m, *b, *content;
    unsigned     user, last;
    const char  *role;

    assert_true(json_number_value(json_object_get(body, "max_tokens")) >= 1);
    assert_true(json_is_array(json_object_get(body, "messages")));

    last = 2;

    json_array_foreach(json_object_get(body, "messages"), i, m) {
        role = codec_string(m, "role", NULL, NULL);
        user = strcmp(role, "user") == 0;
        assert_true(user || strcmp(role, "assistant") == 0);

        if (user == last) {
            fail_msg("%s: %s twice", name, role);
        }

        last = user;
        content = json_object_get(m, "content");

        if (json_is_string(content)) {
            assert_true(json_string_length(content) != 0);
            continue;
        }

        assert_true(json_array_size(content) != 0);

        json_array_foreach(content, k, b) {
            check_block(name, b, user);
        }
    }
}


static void
check_request(const llm_dialect_t *from, const char *path)
{
    size_t                 n;
    llm_u8                *p;
    codec_request_t        r;
    const llm_provider_t  *to;

    to = llm_provider_find((const llm_u8 *) "anthropic", 9);
    p = unit_read(path, &n);

    if (strstr((char *) p, "\"input\"") != NULL
        && strstr((char *) p, "\"messages\"") == NULL)
    {
        from = &llm_dialect_responses;
    }

    codec_request(&r, from, to, (char *) p, 1);

    if (r.rc != LLM_OK) {
        fail_msg("%s: %d, %s", path, r.rc, r.member);
    }

    check_body(path, r.json);
    codec_request_free(&r);
    free(p);
}


static void
test_requests(void **state)
{
    DIR            *dir;
    char            path[768];
    size_t          i, n, files;
    struct dirent  *entry;

    (void) state;

    files = 0;

    for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, sizeof(path), "../shared/recorded/requests/%s",
                 folders[i].folder);
        dir = opendir(path);

        while (dir != NULL && (entry = readdir(dir)) != NULL) {
            n = strlen(entry->d_name);

            /* those that were refused are wrong in any dialect */

            if (n > 5 && strcmp(entry->d_name + n - 5, ".json") == 0
                && strncmp(entry->d_name, "error-", 6) != 0)
            {
                snprintf(path, sizeof(path),
                         "../shared/recorded/requests/%s/%s",
                         folders[i].folder, entry->d_name);
                check_request(folders[i].dialect, path);
                files++;
            }
        }

        if (dir != NULL) {
            closedir(dir);
        }
    }

    if (files == 0) {
        printf("skip: ../shared/recorded/requests is not there\n");
        skip();
    }

    printf("%zu requests\n", files);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_fixtures),
        cmocka_unit_test(test_requests)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
