/*
 * Requests that were recorded: read and written again they say the same.
 * The request as it was is put into today's form by jansson, independent of
 * our reader.
 */

#include "chat_support.h"


static size_t  requests;


/* A null says nothing, but for a message's content. */
static void
drop_nulls(json_t *object)
{
    void        *next;
    json_t      *v;
    const char  *key;

    json_object_foreach_safe(object, next, key, v) {
        if (json_is_null(v) && strcmp(key, "content") != 0) {
            json_object_del(object, key);
        }
    }
}


/* What OpenAI's client would not send, or has another name for today. */
static void
modernise(json_t *body)
{
    size_t   i;
    json_t  *v, *list, *m;

    static const char * const  dropped[] = {
        "stream", "stream_options", "top_k", "min_p", "repetition_penalty",
        "echo", "safety_model", "thinking", "plugins", "usage", "provider",
        "reasoning", "transforms", "route"
    };

    for (i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++) {
        json_object_del(body, dropped[i]);
    }

    v = json_object_get(body, "max_tokens");

    if (v != NULL) {
        if (json_object_get(body, "max_completion_tokens") == NULL) {
            json_object_set(body, "max_completion_tokens", v);
        }

        json_object_del(body, "max_tokens");
    }

    v = json_object_get(body, "stop");

    if (json_is_string(v)) {
        list = json_array();
        json_array_append(list, v);
        json_object_set_new(body, "stop", list);
    }

    list = json_object_get(body, "tools");

    for (i = json_array_size(list); i != 0; i--) {
        v = json_array_get(list, i - 1);

        if (json_object_get(v, "function") == NULL) {
            json_array_remove(list, i - 1);
        }
    }

    if (json_array_size(list) == 0) {
        json_object_del(body, "tools");
        json_object_del(body, "tool_choice");
    }

    drop_nulls(body);
    list = json_object_get(body, "messages");

    json_array_foreach(list, i, m) {
        drop_nulls(m);
    }
}


/* A message that says nothing at all is not sent. */
static void
drop_empty(json_t *body)
{
    size_t   i;
    json_t  *list, *m;

    list = json_object_get(body, "messages");

    for (i = json_array_size(list); i != 0; i--) {
        m = json_array_get(list, i - 1);

        if (json_is_null(json_object_get(m, "content"))
            && json_object_get(m, "tool_calls") == NULL)
        {
            json_array_remove(list, i - 1);
        }
    }
}


static void
check_request(const char *path, const char *name)
{
    char           *want;
    size_t          n;
    llm_u8         *in;
    json_t         *body, *v, *effort;
    chat_how_t      how;
    chat_result_t   r;

    in = unit_read(path, &n);
    body = json_loadb((char *) in, n, 0, NULL);

    if (json_object_get(body, "messages") == NULL) {
        json_decref(body);
        free(in);
        return;
    }

    v = json_object_get(body, "reasoning");
    effort = json_incref(json_object_get(v, "effort"));

    modernise(body);
    drop_empty(body);

    if (effort != NULL) {
        json_object_set_new(body, "reasoning_effort", effort);
    }

    want = json_dumps(body, 0);
    json_decref(body);

    memset(&how, 0, sizeof(how));
    chat_translate(&r, &llm_dialect_openai, &llm_dialect_openai,
                   (char *) in, n, &how);

    if (r.rc != LLM_OK) {
        fail_msg("%s: %d (%s)", name, r.rc, r.member);
    }

    chat_same(r.body, want);
    chat_done(&r);
    requests++;

    free(want);
    free(in);
}


static void
test_recorded(void **state)
{
    size_t  i, files;

    static const char * const  folders[] = {
        "openai-chat", "openrouter", "mistral", "groq", "azure-openai",
        "deepseek", "vllm", "other"
    };

    (void) state;

    files = 0;

    for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char  folder[64];

        snprintf(folder, sizeof(folder), "requests/%s", folders[i]);
        files += unit_each_recorded(folder, "json", check_request);
    }

    if (files == 0) {
        skip();
    }

    printf("%zu recorded requests\n", requests);
    assert_true(requests > 30);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_recorded)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
