/*
 * Shaped streams, whole: whatever the client's dialect, the pieces, their
 * times and the end, the client reads what it would have read without it.
 */

#include "flow_support.h"
#include "llm_stage_coalesce.h"
#include "unit_clusters.h"


static const llm_coalesce_conf_t  confs[] = {
    { 40, 100, 0, LLM_BREAK_CLUSTER },
    { 0, 100, 16, LLM_BREAK_CLUSTER },
    { 0, 100, 0, LLM_BREAK_WORD },
    { 30, 250, 64, LLM_BREAK_SENTENCE },
    { 0, 100, 0, LLM_BREAK_LINE }
};

#define CONFS  (sizeof(confs) / sizeof(confs[0]))


/* A client's case with the i-th way of shaping. */
static flow_case_t
shaped(llm_stage_conf_t *stage, const llm_dialect_t *client, size_t i)
{
    flow_case_t  c;

    memset(stage, 0, sizeof(llm_stage_conf_t));
    stage->type = &llm_stage_coalesce;
    stage->conf = &confs[i];

    c = flow_default;
    c.client = client;
    c.usage = 1;
    c.stages = stage;
    c.nstages = 1;

    return c;
}


/* The text in events of those that only clients speak. */
static void
said_events(flow_result_t *r, const llm_u8 *p, size_t n)
{
    json_t        *event, *s;
    const llm_u8  *end, *eol;

    r->p = malloc(n + 1);
    assert_non_null(r->p);
    r->n = 0;

    for (end = p + n; p < end; p = eol + 2) {
        eol = memchr(p, '\n', (size_t) (end - p));
        assert_non_null(eol);

        event = flow_json(p + 6, (size_t) (eol - p) - 6);
        s = json_object_get(event, "content");

        if (s == NULL) {
            s = json_object_get(json_object_get(event, "data"), "token");
        }

        if (s != NULL) {
            memcpy(r->p + r->n, json_string_value(s), json_string_length(s));
            r->n += json_string_length(s);
        }

        json_decref(event);
    }

    r->p[r->n] = '\0';
}


/* What a client of the dialect reads of its stream: as text, or all of it as
 * one answer. */
static void
said(flow_result_t *r, const llm_dialect_t *d, const flow_result_t *stream,
    unsigned answer)
{
    flow_case_t  c;

    memset(r, 0, sizeof(flow_result_t));

    if (d->decode != NULL) {
        c = flow_default;
        c.upstream = d;
        c.client = answer ? &llm_dialect_openai : &llm_dialect_text;
        c.answer_out = answer;
        flow_run(r, &c, stream->p, stream->n, NULL, 0);

    } else if (d == &llm_dialect_text) {
        r->p = unit_copy(stream->p, stream->n + 1);
        r->n = stream->n;

    } else {
        said_events(r, stream->p, stream->n);
    }
}


/* A stream of the text in chunks of random length; returns where they end. */
static size_t
stream_of(unit_out_t *o, const clusters_t *t, size_t *cuts)
{
    char    *json;
    size_t   i, k, n;
    json_t  *s;

    unit_out_init(o, 0, 0);

    for (i = 0, n = 0; i < t->n; i = k) {
        k = i + 1 + unit_random(12);
        k = k < t->n ? k : t->n;

        while (k < t->n && (t->p[k] & 0xc0) == 0x80) {
            k++;
        }

        s = json_stringn((const char *) t->p + i, k - i);
        assert_non_null(s);
        json = json_dumps(s, JSON_ENCODE_ANY
                             | (unit_random(2) ? JSON_ENSURE_ASCII : 0));
        json_decref(s);

        llm_out_lit(&o->out, "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":"
                    "[{\"index\":0,\"delta\":{\"content\":");
        llm_out(&o->out, json, strlen(json));
        llm_out_lit(&o->out, "}}]}\n\n");
        free(json);

        cuts[n++] = (size_t) (o->out.pos - o->p);
    }

    llm_out_lit(&o->out, "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":"
                "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
                "data: [DONE]\n\n");
    unit_out_end(o);

    return n;
}


/* One text to every client, shaped in every way. */
static void
one_text(const clusters_t *t, void *ctx)
{
    size_t                i, k, n, cuts[2000];
    unit_out_t            o;
    flow_case_t           c;
    flow_result_t         r, text;
    llm_stage_conf_t      stage;
    const llm_dialect_t  *d;

    static const int64_t  paces[] = { 1, 30, 200 };

    (void) ctx;

    for (i = 0; i < CONFS; i++) {
        for (k = 0; (d = llm_dialect_at(k)) != NULL; k++) {

            if (d->encode == NULL) {
                continue;
            }

            c = shaped(&stage, d, i);
            c.pace = paces[unit_random(3)];
            n = stream_of(&o, t, cuts);

            flow_run(&r, &c, o.p, o.n, cuts, n);
            assert_int_equal(r.rc, LLM_DONE);
            said(&text, d, &r, 0);

            if (text.n != t->n || memcmp(text.p, t->p, t->n) != 0) {
                fail_msg("%s, %s, way %zu: the text differs: %s", t->name,
                         (const char *) d->name.p, i, (char *) text.p);
            }

            flow_forget(&text);
            flow_forget(&r);
            unit_out_free(&o);
        }
    }
}


static void
test_texts(void **state)
{
    (void) state;

    clusters_each(one_text, NULL);
}


/* The plain stream and the shaped one mean the same. */
static void
same_meaning(const char *what, const llm_dialect_t *d,
    const flow_result_t *plain, const flow_result_t *r)
{
    int            same;
    json_t        *left, *right;
    unsigned       answer;
    flow_result_t  a, b;

    if (plain->rc != r->rc || plain->fault != r->fault) {
        fail_msg("%s: the end differs: rc %d %d, fault %d %d", what,
                 plain->rc, r->rc, plain->fault, r->fault);
    }

    answer = r->rc == LLM_DONE;

    said(&a, d, plain, answer);
    said(&b, d, r, answer);

    /* half a character at a sudden end is shown, or not */

    if (!answer && b.n == a.n + 3
        && memcmp(b.p + a.n, "\xef\xbf\xbd", 3) == 0)
    {
        b.n = a.n;
    }

    same = a.n == b.n && memcmp(a.p, b.p, a.n) == 0;

    if (!same && answer && d->decode != NULL) {
        left = flow_json(a.p, a.n);
        right = flow_json(b.p, b.n);
        same = json_equal(left, right);
        json_decref(left);
        json_decref(right);
    }

    if (!same) {
        fail_msg("%s: read differently:\n--- %s\n--- %s", what, (char *) a.p,
                 (char *) b.p);
    }

    flow_forget(&a);
    flow_forget(&b);
}


/* A fixture to one client, whole and cut off anywhere. */
static void
one_client(const char *name, const llm_dialect_t *d, const llm_u8 *p,
    size_t n)
{
    char              what[200];
    size_t            i, k, end, cuts[64];
    flow_case_t       c;
    flow_result_t     plain, r;
    llm_stage_conf_t  stage;

    for (i = 0; i < CONFS; i++) {
        for (k = 0; k < 3; k++) {
            end = k == 0 ? n : 1 + unit_random((uint32_t) n - 1);

            (void) snprintf(what, sizeof(what), "%s, %s, way %zu, %zu bytes",
                            name, (const char *) d->name.p, i, end);

            c = shaped(&stage, d, i);
            c.how = end == n ? LLM_EOF_FRAMED : LLM_EOF_BROKEN;
            c.pace = 1 + unit_random(60);
            flow_run(&r, &c, p, end, cuts, unit_random_cuts(end, cuts, 64));

            c.stages = NULL;
            c.nstages = 0;
            flow_run(&plain, &c, p, end, NULL, 0);

            /* what is no JSON passes only where nothing is decoded */

            if (plain.invalid == 0) {
                same_meaning(what, d, &plain, &r);
            }

            flow_forget(&plain);
            flow_forget(&r);
        }
    }
}


static void
one_fixture(const char *path, const char *name)
{
    size_t                k, n;
    llm_u8               *p;
    const llm_dialect_t  *d;

    p = unit_read(path, &n);

    for (k = 0; (d = llm_dialect_at(k)) != NULL; k++) {
        /* clients that read event by event see a pair in halves as two
         * replacements, without shaping */

        if (d->encode != NULL
            && (strcmp(name, "unicode-escapes.sse") != 0
                || d->decode != NULL || d == &llm_dialect_text))
        {
            one_client(name, d, p, n);
        }
    }

    free(p);
}


static void
test_fixtures(void **state)
{
    (void) state;

    assert_true(unit_each("t/fixtures/openai", ".sse", one_fixture) > 30);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_fixtures)
    };

    printf("seed %llu\n", (unsigned long long) unit_seed());

    return cmocka_run_group_tests(tests, NULL, NULL);
}
