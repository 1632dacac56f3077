/*
 * Recorded streams of the openai-responses dialect against an independent
 * reader of the same bytes.  The recordings are not part of the project.
 */

#include <dirent.h>

#include "unit_codec.h"


#define RECORDED  "../shared/recorded/"


/* What the plain reader finds. */
typedef struct {
    unit_out_t      text;
    unit_out_t      reasoning;
    unit_out_t      refusal;
    unit_out_t      args;           /* of all calls, "name(arguments)\n" */
    json_t         *usage;
    const char     *end;            /* type of the last event of the whole */
    char            reason[64];
    unsigned        calls;
    unsigned        broken;         /* data that is no JSON */
} plain_t;


static void
add(unit_out_t *o, const char *s)
{
    if (s != NULL) {
        llm_out(&o->out, s, strlen(s));
    }
}


static const char *
member(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}


static void
plain_over(plain_t *p, const json_t *ev, const char *end)
{
    json_t      *response;
    const char  *reason;

    response = json_object_get(ev, "response");
    reason = member(json_object_get(response, "incomplete_details"),
                    "reason");

    p->end = end;
    p->usage = json_incref(json_object_get(response, "usage"));
    snprintf(p->reason, sizeof(p->reason), "%s",
             reason != NULL ? reason : "");
}


static void
plain_event(plain_t *p, const json_t *ev)
{
    json_t      *item;
    const char  *type;

    type = member(ev, "type");

    if (type == NULL || p->end != NULL) {
        return;
    }

    item = json_object_get(ev, "item");

    if (strcmp(type, "response.output_text.delta") == 0) {
        add(&p->text, member(ev, "delta"));

    } else if (strcmp(type, "response.refusal.delta") == 0) {
        add(&p->refusal, member(ev, "delta"));

    } else if (strcmp(type, "response.reasoning_text.delta") == 0
               || strcmp(type, "response.reasoning_summary_text.delta") == 0)
    {
        add(&p->reasoning, member(ev, "delta"));

    } else if (strcmp(type, "response.output_item.done") == 0
               && strcmp(member(item, "type"), "function_call") == 0)
    {
        p->calls++;
        add(&p->args, member(item, "name"));
        add(&p->args, "(");
        add(&p->args, member(item, "arguments"));
        add(&p->args, ")\n");

    } else if (strcmp(type, "response.completed") == 0) {
        plain_over(p, ev, "completed");

    } else if (strcmp(type, "response.incomplete") == 0) {
        plain_over(p, ev, "incomplete");

    } else if (strcmp(type, "error") == 0) {
        p->end = "error";
    }
}


/* Line by line; all of these streams have one data: line an event. */
static void
plain_read(plain_t *p, const llm_u8 *bytes, size_t n)
{
    size_t   len;
    json_t  *ev;
    const char  *line, *end, *last;

    memset(p, 0, sizeof(plain_t));
    unit_out_init(&p->text, 0, 0);
    unit_out_init(&p->reasoning, 0, 0);
    unit_out_init(&p->refusal, 0, 0);
    unit_out_init(&p->args, 0, 0);

    last = (const char *) bytes + n;

    for (line = (const char *) bytes; line < last; line = end + 1) {
        end = memchr(line, '\n', (size_t) (last - line));
        end = end != NULL ? end : last;
        len = (size_t) (end - line);

        if (len < 6 || memcmp(line, "data:", 5) != 0) {
            continue;
        }

        ev = json_loadb(line + 5, len - 5, JSON_DECODE_INT_AS_REAL, NULL);

        if (ev != NULL) {
            plain_event(p, ev);
            json_decref(ev);

        } else if (strncmp(line, "data: [DONE]", 12) != 0) {
            p->broken++;
        }
    }

    unit_out_end(&p->text);
    unit_out_end(&p->reasoning);
    unit_out_end(&p->refusal);
    unit_out_end(&p->args);
}


static void
plain_close(plain_t *p)
{
    unit_out_free(&p->text);
    unit_out_free(&p->reasoning);
    unit_out_free(&p->refusal);
    unit_out_free(&p->args);
    json_decref(p->usage);
}


static void
same_text(const char *path, json_t *said, const char *name,
    const unit_out_t *plain)
{
    const char  *s;

    s = codec_string(said, "choices", "0", name);
    s = s != NULL ? s : "";

    if (strcmp(s, (char *) plain->p) != 0) {
        fail_msg("%s: %s is\n%s\nnot\n%s", path, name, s, (char *) plain->p);
    }
}


static void
same_calls(const char *path, json_t *said, const plain_t *p)
{
    size_t       i;
    json_t      *calls, *call;
    unit_out_t   o;

    unit_out_init(&o, 0, 0);
    calls = codec_at(said, "choices", "0", "calls");

    json_array_foreach (calls, i, call) {
        add(&o, member(call, "name"));
        add(&o, "(");
        add(&o, member(call, "args"));
        add(&o, ")\n");
    }

    unit_out_end(&o);

    if (strcmp((char *) o.p, (char *) p->args.p) != 0) {
        fail_msg("%s: calls are\n%s\nnot\n%s", path, (char *) o.p,
                 (char *) p->args.p);
    }

    unit_out_free(&o);
}


static void
same_count(const char *path, json_t *said, const char *name,
    const json_t *usage, const char *details, const char *theirs)
{
    json_t  *v;

    if (details != NULL) {
        usage = json_object_get(usage, details);
    }

    v = codec_at(said, "usage", name, NULL);

    if (!json_equal(v, json_object_get(usage, theirs))) {
        fail_msg("%s: usage %s is %f", path, name, json_number_value(v));
    }
}


static void
same_usage(const char *path, json_t *said, const plain_t *p)
{
    if (!json_is_object(p->usage)) {
        assert_null(json_object_get(said, "usage"));
        return;
    }

    same_count(path, said, "input", p->usage, NULL, "input_tokens");
    same_count(path, said, "output", p->usage, NULL, "output_tokens");
    same_count(path, said, "total", p->usage, NULL, "total_tokens");
    same_count(path, said, "cached", p->usage, "input_tokens_details",
               "cached_tokens");
    same_count(path, said, "reasoning", p->usage, "output_tokens_details",
               "reasoning_tokens");
}


static void
same_end(const char *path, json_t *said, const plain_t *p)
{
    const char  *finish, *expect;

    if (strcmp(p->end, "error") == 0) {
        assert_int_equal(json_array_size(json_object_get(said, "errors")),
                         1);
        return;
    }

    expect = strcmp(p->end, "incomplete") == 0
             ? strcmp(p->reason, "content_filter") == 0 ? "content_filter"
                                                        : "length"
             : p->calls != 0 ? "tool_calls" : "stop";

    finish = codec_string(said, "choices", "0", "finish");

    if (finish == NULL || strcmp(finish, expect) != 0) {
        fail_msg("%s: finish is %s, not %s", path, finish, expect);
    }

    assert_string_equal(codec_string(said, "end", NULL, NULL), "done");
}


/* 1: it is a stream of this dialect. */
static int
is_responses(const llm_u8 *p)
{
    return strstr((const char *) p, "\"response.created\"") != NULL;
}


static int
check_file(const char *path)
{
    size_t    n;
    json_t   *said;
    llm_u8   *p;
    plain_t   plain;

    p = unit_read(path, &n);

    if (!is_responses(p)) {
        free(p);
        return 0;
    }

    plain_read(&plain, p, n);
    said = codec_stream(&llm_dialect_responses, p, n);

    if (plain.broken != 0) {
        assert_string_equal(codec_string(said, "end", NULL, NULL),
                            "invalid");

    } else {
        assert_non_null(plain.end);
        same_text(path, said, "text", &plain.text);
        same_text(path, said, "reasoning", &plain.reasoning);
        same_text(path, said, "refusal", &plain.refusal);
        same_calls(path, said, &plain);
        same_usage(path, said, &plain);
        same_end(path, said, &plain);
    }

    plain_close(&plain);
    json_decref(said);
    free(p);

    return 1;
}


static size_t
check_folder(const char *name)
{
    DIR            *dir;
    char           *path, file[512];
    size_t          n;
    struct dirent  *e;

    snprintf(file, sizeof(file), RECORDED "%s", name);
    path = unit_path(file);
    dir = opendir(path);
    n = 0;

    while (dir != NULL && (e = readdir(dir)) != NULL) {
        if (strlen(e->d_name) > 4
            && strcmp(e->d_name + strlen(e->d_name) - 4, ".sse") == 0)
        {
            snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
            n += (size_t) check_file(file);
        }
    }

    if (dir != NULL) {
        closedir(dir);
    }

    free(path);

    return n;
}


static void
test_streams(void **state)
{
    size_t  i, n;

    static const char *const  folders[] = {
        "openai-responses", "openrouter", "azure-openai", "deepseek", "xai"
    };

    (void) state;

    for (i = 0, n = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        n += check_folder(folders[i]);
    }

    if (n == 0) {
        printf("# skipped: no streams in %s\n", RECORDED);
        skip();
    }

    printf("# %zu streams\n", n);
    assert_true(n >= 14);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
