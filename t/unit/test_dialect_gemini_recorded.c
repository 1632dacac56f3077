/*
 * Gemini's streams that were recorded, if they are there: text, thoughts,
 * calls, usage and finish reason as a reader finds them that knows nothing of
 * ours.
 */

#include "unit_codec.h"


#define GEMINI    (&llm_dialect_gemini)
#define RECORDED  "../shared/recorded/gemini"


/* The gemini row for a stream that is an array. */
static llm_dialect_t
array_row(void)
{
    llm_dialect_t  row;

    row = llm_dialect_gemini;
    row.framing = LLM_FRAMING_ARRAY;

    return row;
}


/* The text that jansson finds in the data of one chunk. */
static void
read_chunk(json_t *chunk, char *text, char *thoughts, unsigned *calls,
    double *total, const char **finish)
{
    size_t   i;
    json_t  *cd, *part, *v;

    cd = json_array_get(json_object_get(chunk, "candidates"), 0);

    json_array_foreach(json_object_get(json_object_get(cd, "content"),
                                       "parts"), i, part)
    {
        v = json_object_get(part, "text");

        if (json_is_string(v)) {
            strcat(json_is_true(json_object_get(part, "thought"))
                   ? thoughts : text, json_string_value(v));
        }

        *calls += json_is_string(json_object_get(
                      json_object_get(part, "functionCall"), "name"));
    }

    v = json_object_get(json_object_get(chunk, "usageMetadata"),
                        "totalTokenCount");
    *total = v != NULL ? json_number_value(v) : *total;

    v = json_object_get(cd, "finishReason");

    if (v != NULL) {
        *finish = json_string_value(v);
    }
}


static void
same_string(const char *name, const char *got, const char *expect)
{
    if (strcmp(got != NULL ? got : "", expect) != 0) {
        fail_msg("%s: got '%s', expected '%s'", name, got, expect);
    }
}


/* What jansson finds in all chunks. */
typedef struct {
    json_t      *list;
    char        *text;
    char        *thoughts;
    unsigned     calls;
    double       total;
    const char  *finish;
} reader_t;


/* The chunks of a stream of events, or of an array; none when that was
 * recorded in part. */
static json_t *
read_chunks(const char *name, const llm_u8 *p, size_t n)
{
    json_t      *list, *root;
    const char  *line, *next;

    if (strstr(name, ".sse") == NULL) {
        root = json_loadb((const char *) p, n, 0, NULL);
        return root != NULL ? root : json_array();
    }

    list = json_array();

    for (line = (const char *) p; *line != '\0'; line = next) {
        next = line + strcspn(line, "\n");

        if (strncmp(line, "data: ", 6) == 0) {
            json_array_append_new(list,
                                  json_loadb(line + 6,
                                             (size_t) (next - line) - 6,
                                             JSON_DISABLE_EOF_CHECK, NULL));
        }

        next += *next == '\n';
    }

    return list;
}


static void
check_calls(const char *name, json_t *said, const reader_t *r)
{
    size_t   i;
    json_t  *calls, *args;

    calls = codec_at(said, "choices", "0", "calls");
    assert_int_equal(json_array_size(calls), r->calls);

    if (r->calls != 0 && strcmp(r->finish, "STOP") == 0) {
        same_string(name, codec_string(said, "choices", "0", "finish"),
                    "tool_calls");
    }

    for (i = 0; i < r->calls; i++) {
        args = json_loads(codec_string(json_array_get(calls, i), "args",
                                       NULL, NULL), 0, NULL);
        assert_true(json_is_object(args));
        json_decref(args);
    }
}


static void
recorded_stream(const char *path, const char *name)
{
    size_t          i, n;
    json_t         *said, *v;
    llm_u8         *p;
    reader_t        r;
    llm_dialect_t   row;

    p = unit_read(path, &n);
    memset(&r, 0, sizeof(reader_t));

    r.list = read_chunks(name, p, n);
    r.text = calloc(1, n + 1);
    r.thoughts = calloc(1, n + 1);
    r.total = -1;
    r.finish = "";
    assert_non_null(r.text);
    assert_non_null(r.thoughts);

    row = array_row();
    said = codec_stream(strstr(name, ".sse") != NULL ? GEMINI : &row, p, n);

    json_array_foreach(r.list, i, v) {
        read_chunk(v, r.text, r.thoughts, &r.calls, &r.total, &r.finish);
    }

    if (json_array_size(r.list) != 0) {
        same_string(name, codec_string(said, "choices", "0", "text"),
                    r.text);
        same_string(name, codec_string(said, "choices", "0", "reasoning"),
                    r.thoughts);
        same_string(name, codec_string(said, "choices", "0", "word"),
                    r.finish);
        check_calls(name, said, &r);

        v = codec_at(said, "usage", "total", NULL);
        assert_true((v != NULL ? json_number_value(v) : -1) == r.total);
    }

    json_decref(r.list);
    json_decref(said);
    free(r.thoughts);
    free(r.text);
    free(p);
}


static void
test_recorded(void **state)
{
    char  *path;
    FILE  *f;

    (void) state;

    path = unit_path("../shared/recorded/INDEX.tsv");
    f = fopen(path, "r");
    free(path);

    if (f == NULL) {
        printf("skip: no ../shared/recorded\n");
        return;
    }

    fclose(f);

    (void) unit_each(RECORDED, ".sse", recorded_stream);
    (void) unit_each(RECORDED, ".json-array", recorded_stream);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
