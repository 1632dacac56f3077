/*
 * Streams and answers that were recorded from real providers, if they are
 * there (../shared/recorded): the same output for all cuts, for every client
 * dialect, and byte for byte what came where nothing is rewritten.
 */

#include <dirent.h>
#include <unistd.h>

#include "flow_support.h"


#define RECORDED  "../shared/recorded"

/* files above this are not cut at every byte */
#define RECORDED_BIG  8192


static const char *const  folders[] = {
    "openai-chat", "openrouter", "azure-openai", "deepseek", "groq", "xai",
    "vllm", "mistral", "qwen", "other"
};

static const llm_dialect_t *const  clients[] = {
    &llm_dialect_openai, &llm_dialect_simple, &llm_dialect_typed,
    &llm_dialect_text
};

static size_t  finished;


/* openai to openai: every event before the end as it came. */
static void
check_passing(const char *what, const llm_u8 *p, size_t n,
    const flow_result_t *r)
{
    unit_out_t  o;

    flow_events(&o, p, n, "[DONE]");

    if (r->before > o.n) {

        /* our own terminator after a stream that had finished */

        if (r->rc != LLM_DONE || !r->finish || r->before != o.n + 14
            || memcmp(r->p + o.n, "data: [DONE]\n\n", 14) != 0)
        {
            fail_msg("%s: more came out than went in", what);
        }

        assert_memory_equal(r->p, o.p, o.n);

    } else if (memcmp(r->p, o.p, r->before) != 0) {
        fail_msg("%s: not as it came", what);

    } else if (r->rc == LLM_DONE && r->before != o.n) {
        fail_msg("%s: events are missing", what);

    } else if (r->fault == LLM_FAULT_UPSTREAM_ERROR) {

        /* the error itself is the next event, and the last */

        assert_true(r->n <= o.n);
        assert_memory_equal(r->p, o.p, r->n);
    }

    unit_out_free(&o);
}


static void
check_output(const char *what, const flow_case_t *c, const flow_result_t *r)
{
    json_t  *root;

    if (c->client == &llm_dialect_text || r->n == 0) {
        return;
    }

    if (!c->answer_out) {
        (void) flow_check_sse(what, r->p, r->n);

    } else if (r->rc == LLM_DONE) {
        root = flow_json(r->p, r->n);
        assert_true(json_is_object(root));
        json_decref(root);
    }
}


static void
check_case(const char *what, const flow_case_t *c, const llm_u8 *p, size_t n)
{
    size_t         step;
    flow_result_t  r;

    step = n > RECORDED_BIG ? 37 : 1;

    flow_all_cuts(what, &r, c, p, n, step, n > RECORDED_BIG ? 100 : 0);

    if (c->client == &llm_dialect_openai && c->answer_in == c->answer_out) {
        if (!c->answer_in) {
            check_passing(what, p, n, &r);

        } else if (r.rc == LLM_DONE) {
            assert_int_equal(r.n, n);
            assert_memory_equal(r.p, p, n);
        }

    } else {
        check_output(what, c, &r);
    }

    finished += r.rc == LLM_DONE;

    flow_forget(&r);
}


static void
check_file(const char *path, const char *name, unsigned answer_in)
{
    size_t       k, n;
    char         what[300];
    llm_u8      *p;
    flow_case_t  c;

    p = unit_read(path, &n);

    for (k = 0; k < 8; k++) {
        c = flow_default;
        c.client = clients[k / 2];
        c.answer_in = answer_in;
        c.answer_out = k % 2;
        c.usage = 1;

        (void) snprintf(what, sizeof(what), "%s to %s %s", name,
                        (const char *) c.client->name.p,
                        c.answer_out ? "answer" : "stream");
        check_case(what, &c, p, n);
    }

    free(p);
}


static void
check_stream(const char *path, const char *name)
{
    check_file(path, name, 0);
}


static void
check_answer(const char *path, const char *name)
{
    check_file(path, name, 1);
}


static int
is_there(const char *folder, const char *ext)
{
    DIR            *dir;
    char           *path;
    size_t          n, found;
    struct dirent  *entry;

    found = 0;
    path = unit_path(folder);
    dir = opendir(path);
    free(path);

    if (dir == NULL) {
        return 0;
    }

    while ((entry = readdir(dir)) != NULL) {
        n = strlen(entry->d_name);
        found += n > strlen(ext)
                 && strcmp(entry->d_name + n - strlen(ext), ext) == 0;
    }

    closedir(dir);

    return found != 0;
}


static size_t
each_recorded(const char *ext, void (*f)(const char *path, const char *name))
{
    char    folder[200];
    size_t  i, files;

    files = 0;

    for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        (void) snprintf(folder, sizeof(folder), "%s/%s", RECORDED,
                        folders[i]);

        if (is_there(folder, ext)) {
            files += unit_each(folder, ext, f);
        }
    }

    if (files == 0) {
        printf("# skipped: no %s files in %s\n", ext, RECORDED);
        skip();
    }

    return files;
}


static void
test_streams(void **state)
{
    size_t  files;

    (void) state;

    (void) unit_seed();

    finished = 0;
    files = each_recorded(".sse", check_stream);
    printf("# %zu streams, %zu of %zu runs finished\n", files, finished,
           8 * files);
    assert_true(finished > files);
}


static void
test_answers(void **state)
{
    size_t  files;

    (void) state;

    (void) unit_seed();

    finished = 0;
    files = each_recorded(".json", check_answer);
    printf("# %zu answers, %zu of %zu runs finished\n", files, finished,
           8 * files);
    assert_true(finished > files);
}


/* What some of them hold, counted by hand. */
static const struct {
    const char   *file;
    uint64_t      chunks;
    const char   *finish;
    int64_t       input;
    int64_t       output;
    int64_t       reasoning;
    llm_fault_t   fault;
} contents[] = {
    { "openai-chat/length.sse", 1, "length", 79, 1, 0, LLM_FAULT_NONE },
    { "openai-chat/error-mid-stream.sse", 1, "", -1, -1, -1,
      LLM_FAULT_UPSTREAM_ERROR },
    { "openai-chat/error-numeric-code.sse", 0, "", -1, -1, -1,
      LLM_FAULT_UPSTREAM_ERROR },
    { "openrouter/error-mid-stream.sse", 2, "length", 43, 10, 11,
      LLM_FAULT_UPSTREAM_ERROR },
    { "openrouter/usage-with-choices.sse", 1, "stop", 20, 1, 0,
      LLM_FAULT_NONE },
    { "openrouter/tool-call-null-arguments.sse", 1, "tool_calls", 57, 17,
      0, LLM_FAULT_NONE },
    { "mistral/tool-call.sse", 1, "tool_calls", 124, 22, -1,
      LLM_FAULT_NONE },
    { "qwen/compat-tool-call.sse", 3, "tool_calls", 295, 22, -1,
      LLM_FAULT_NONE },
    { "other/moonshot-kimi.sse", 4, "stop", 9, 12, 7, LLM_FAULT_NONE },
    { "other/snowflake-no-finish-reason.sse", 1, "", 22, 5, 0,
      LLM_FAULT_NONE }
};


static void
test_contents(void **state)
{
    char            file[200], *path;
    size_t          i, n;
    llm_u8         *p;
    flow_result_t   r;

    (void) state;

    for (i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        (void) snprintf(file, sizeof(file), "%s/%s", RECORDED,
                        contents[i].file);
        path = unit_path(file);

        if (access(path, R_OK) != 0) {
            printf("# skipped: no %s\n", file);
            free(path);
            skip();
        }

        p = unit_read(path, &n);
        flow_run(&r, &flow_default, p, n, NULL, 0);

        if (r.fault != contents[i].fault
            || r.measure.chunks != contents[i].chunks
            || r.measure.usage.input != contents[i].input
            || r.measure.usage.output != contents[i].output
            || r.measure.usage.reasoning != contents[i].reasoning
            || r.measure.nfinish != strlen(contents[i].finish))
        {
            fail_msg("%s: fault %d, %d chunks, usage %d %d %d", file,
                     r.fault, (int) r.measure.chunks,
                     (int) r.measure.usage.input,
                     (int) r.measure.usage.output,
                     (int) r.measure.usage.reasoning);
        }

        flow_forget(&r);
        free(p);
        free(path);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_contents)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
