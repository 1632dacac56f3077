/*
 * Every fixture to every client dialect, as a stream and as one answer:
 * what comes out, the same for all cuts, and honest when the stream ends
 * too early at any byte.
 */

#include "flow_support.h"


typedef struct {
    const char   *file;
    const char   *text;         /* what a text client gets; NULL: not told */
    uint64_t      chunks;
    uint64_t      chars;
    const char   *finish;       /* the last reason, "" none */
    const char   *model;
    int64_t       total;        /* of the usage, -1 none */
    llm_fault_t   fault;        /* the same for every client, but: */
    unsigned      invalid;      /* frames that pass and else are a fault */
} fixture_t;

typedef void (*each_pt)(const char *what, const fixture_t *fx,
    const flow_case_t *c, const llm_u8 *p, size_t n);


static const fixture_t  fixtures[] = {
    { "text.sse", "The river\nruns \xc3\xa9 \xe2\x86\x92 \xf0\x9f\x8c\x8a "
      "\"home\".", 4, 28, "stop", "river-1", -1, LLM_FAULT_NONE, 0 },
    { "usage.sse", "Four words are here", 4, 19, "stop", "river-1", 15,
      LLM_FAULT_NONE, 0 },
    { "usage-before-finish.sse", "Early bill!", 3, 11, "stop", "river-1", 15,
      LLM_FAULT_NONE, 0 },
    { "usage-on-finish.sse", "Late bill", 2, 9, "length", "river-1", 10,
      LLM_FAULT_NONE, 0 },
    { "tools-parallel.sse", "", 6, 0, "tool_calls", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "tool-no-index.sse", "", 2, 0, "tool_calls", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "function-call.sse", "", 2, 0, "function_call", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "refusal.sse", "I will not do that.", 2, 19, "stop", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "logprobs.sse", "High tide", 2, 9, "stop", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "n2.sse", "Ebb goes", 4, 19, "stop", "river-1", -1, LLM_FAULT_NONE, 0 },
    { "reasoning.sse", "Down.", 6, 27, "stop", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "error-first.sse", "", 0, 0, "", "", -1, LLM_FAULT_UPSTREAM_ERROR, 0 },
    { "error-after-role.sse", "", 0, 0, "", "river-1", -1,
      LLM_FAULT_UPSTREAM_ERROR, 0 },
    { "error-mid.sse", "Half a sentence", 2, 15, "", "river-1", 15,
      LLM_FAULT_UPSTREAM_ERROR, 0 },
    { "error-event.sse", "Half", 1, 4, "", "river-1", -1,
      LLM_FAULT_UPSTREAM_ERROR, 0 },
    { "error-flat.sse", "", 0, 0, "", "river-1", -1,
      LLM_FAULT_UPSTREAM_ERROR, 0 },
    { "error-last.sse", "All said", 1, 8, "stop", "river-1", -1,
      LLM_FAULT_UPSTREAM_ERROR, 0 },
    { "no-done.sse", "All said", 2, 8, "stop", "river-1", 15,
      LLM_FAULT_NONE, 0 },
    { "no-finish.sse", "No word", 2, 7, "", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "no-end.sse", "Cut off", 2, 7, "", "river-1", -1,
      LLM_FAULT_TRUNCATED, 0 },
    { "done-only.sse", "", 0, 0, "", "", -1, LLM_FAULT_NONE, 0 },
    { "comments.sse", "Dammed", 2, 6, "stop", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "crlf.sse", "Cr \xc3\xa9\xe2\x80\xa8 lf", 2, 8, "stop", "river-1", 15,
      LLM_FAULT_NONE, 0 },
    { "cr.sse", "Cr \xc3\xa9\xe2\x80\xa8 lf", 2, 8, "stop", "river-1", 15,
      LLM_FAULT_NONE, 0 },
    { "key-order.sse", "Upside down", 3, 11, "stop", "river-1", 15,
      LLM_FAULT_NONE, 0 },
    { "padding.sse", "Silt", 2, 4, "stop", "river-1", -1, LLM_FAULT_NONE, 0 },
    { "unicode-escapes.sse", "<b> \xf0\x9f\x98\x80 \xf0\x9f\x9a\x80\n/"
      "\xef\xbf\xbd lone \xef\xbf\xbdx" "end \xef\xbf\xbd", 5, 24, "stop",
      "river-1", -1, LLM_FAULT_NONE, 0 },
    { "invalid-utf8.sse", "a\xef\xbf\xbd\xef\xbf\xbd" "b\xef\xbf\xbd "
      "\xef\xbf\xbd" "c", 2, 8, "stop", "river-1", -1, LLM_FAULT_NONE, 0 },
    { "big-event.sse", NULL, 1, 16200, "stop", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "content-parts.sse", "Shallow wordsno", 5, 27, "stop", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "finish-then-content.sse", "OneTwo", 2, 6, "length", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "type-confusion.sse", "still here", 1, 10, "stop", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "not-json.sse", "Good more", 2, 9, "stop", "river-1", -1,
      LLM_FAULT_INVALID_EVENT, 1 },
    { "blank-data.sse", "Good", 1, 4, "stop", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "done-no-blank.sse", "Brim", 1, 4, "stop", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "millis-no-id.sse", "Time", 1, 4, "tidal", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "multi-line.sse", "Three lines", 1, 11, "stop", "river-1", -1,
      LLM_FAULT_NONE, 0 },
    { "linesep.sse", "a\xe2\x80\xa8" "b\xe2\x80\xa9" "c\xc2\x85" "d", 1, 7,
      "stop", "river-1", -1, LLM_FAULT_NONE, 0 },
    { "x-groq.sse", "Swift", 1, 5, "stop", "river-1", 15, LLM_FAULT_NONE, 0 },
    { "message-chunk.sse", "Whole", 1, 5, "stop", "river-1", -1,
      LLM_FAULT_NONE, 0 },

    { "answer-text.json", "The river\nruns \xc3\xa9 \xf0\x9f\x8c\x8a "
      "\xe2\x80\xa8.", 1, 21, "stop", "river-1", 15, LLM_FAULT_NONE, 0 },
    { "answer-tools.json", "", 2, 0, "tool_calls", "river-1", 15,
      LLM_FAULT_NONE, 0 },
    { "answer-n2.json", "Ebb", 3, 13, "length", "river-1", 15,
      LLM_FAULT_NONE, 0 },
    { "answer-parts.json", "Shallow", 2, 11, "stop", "river-1", 15,
      LLM_FAULT_NONE, 0 },
    { "answer-error.json", "", 0, 0, "", "", -1, LLM_FAULT_UPSTREAM_ERROR,
      0 },
    { "answer-no-choices.json", "", 0, 0, "", "", -1,
      LLM_FAULT_INVALID_STREAM, 1 },
    { "answer-keepalive.json", "Patience.", 1, 9, "stop", "river-1", 15,
      LLM_FAULT_NONE, 0 }
};

static const llm_dialect_t *const  clients[] = {
    &llm_dialect_openai, &llm_dialect_simple, &llm_dialect_typed,
    &llm_dialect_text
};


/* Calls f for each fixture, client and form; `all`: big ones too. */
static void
each(each_pt f, unsigned all)
{
    size_t            i, k, n;
    char              what[200];
    llm_u8           *p;
    flow_case_t       c;
    const fixture_t  *fx;

    for (i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++) {
        fx = &fixtures[i];
        p = flow_fixture(fx->file, &n);

        for (k = 0; k < 8 && (all || n < 8192); k++) {
            c = flow_default;
            c.client = clients[k / 2];
            c.answer_out = k % 2;
            c.answer_in = strstr(fx->file, ".json") != NULL;
            c.usage = 1;

            (void) snprintf(what, sizeof(what), "%s to %s %s", fx->file,
                            (const char *) c.client->name.p,
                            c.answer_out ? "answer" : "stream");
            f(what, fx, &c, p, n);
        }

        free(p);
    }
}


static int
is_passing(const flow_case_t *c)
{
    return c->client == &llm_dialect_openai && c->answer_in == c->answer_out;
}


/* The text of all contents of choice 0 that a JSON client got. */
static char *
text_of(const flow_case_t *c, const llm_u8 *p, size_t n)
{
    size_t       i, count;
    char        *text;
    json_t      *root, *v;
    const char  *part;

    text = calloc(1, 2 * n + 1);
    assert_non_null(text);

    count = c->answer_out ? 1 : flow_check_sse("text", p, n);

    for (i = 0; i < count; i++) {
        root = c->answer_out ? flow_json(p, n) : NULL;

        if (root == NULL) {
            if (c->client == &llm_dialect_openai && i + 1 == count) {
                break;      /* [DONE] */
            }

            root = flow_event(p, n, i);
        }

        v = root;

        if (c->client == &llm_dialect_typed) {
            v = json_object_get(root, "data");
            part = json_string_value(json_object_get(v,
                                     c->answer_out ? "full_text" : "token"));

        } else if (c->client == &llm_dialect_simple) {
            part = json_string_value(json_object_get(v, "content"));

        } else {
            v = json_array_get(json_object_get(root, "choices"), 0);

            if (json_integer_value(json_object_get(v, "index")) != 0) {
                v = NULL;
            }

            v = json_object_get(v, c->answer_out ? "message" : "delta");
            part = json_string_value(json_object_get(v, "content"));

            if (part == NULL || *part == '\0') {
                part = json_string_value(json_object_get(v, "refusal"));
            }
        }

        if (part != NULL) {
            strcat(text, part);
        }

        json_decref(root);
    }

    return text;
}


/* A split pair reaches a JSON client as two halves, which flow_json() makes
 * two U+FFFD: such texts are compared in the text dialect only. */
static int
has_halves(const fixture_t *fx)
{
    return strcmp(fx->file, "unicode-escapes.sse") == 0;
}


static void
check_text(const char *what, const fixture_t *fx, const flow_case_t *c,
    const flow_result_t *r)
{
    char  *text;

    if (fx->text == NULL) {
        return;
    }

    if (c->client == &llm_dialect_text) {
        if (strcmp((char *) r->p, fx->text) != 0) {
            fail_msg("%s: %s", what, (char *) r->p);
        }

        return;
    }

    /* two parts of one answer: a client sees content or refusal */

    if (has_halves(fx) || (c->client == &llm_dialect_openai
                           && strcmp(fx->file, "content-parts.sse") == 0))
    {
        return;
    }

    text = text_of(c, r->p, r->n);

    if (strcmp(text, fx->text) != 0) {
        fail_msg("%s: %s\nin %s", what, text, (char *) r->p);
    }

    free(text);
}


/* As the bytes came, up to [DONE]. */
static void
check_passing(const char *what, const flow_case_t *c, const llm_u8 *p,
    size_t n, const flow_result_t *r)
{
    unit_out_t  o;

    if (c->answer_in) {
        assert_int_equal(r->n, n);
        assert_memory_equal(r->p, p, n);
        return;
    }

    flow_events(&o, p, n, "[DONE]");

    if (strstr(what, "no-done") != NULL) {
        assert_int_equal(r->n, o.n + 14);
        assert_memory_equal(r->p, o.p, o.n);
        assert_string_equal((char *) r->p + o.n, "data: [DONE]\n\n");

    } else if (strstr(what, "invalid-utf8") == NULL
               && (r->n != o.n || memcmp(r->p, o.p, o.n) != 0))
    {
        fail_msg("%s: not as it came:\n%s", what, (char *) r->p);
    }

    unit_out_free(&o);
}


static void
check_whole(const char *what, const fixture_t *fx, const flow_case_t *c,
    const llm_u8 *p, size_t n)
{
    llm_fault_t    fault;
    flow_result_t  r;

    fault = fx->fault;

    if (is_passing(c) && fx->invalid) {
        fault = LLM_FAULT_NONE;
    }

    flow_run(&r, c, p, n, NULL, 0);

    if (r.fault != fault || (r.rc == LLM_DONE) != (fault == LLM_FAULT_NONE)) {
        fail_msg("%s: rc %d, fault %d", what, r.rc, r.fault);
    }

    assert_int_equal(r.n != r.before, fault != LLM_FAULT_NONE
                     && !c->answer_out && c->client != &llm_dialect_text);

    if (r.rc == LLM_DONE) {
        if (is_passing(c)) {
            check_passing(what, c, p, n, &r);

        } else {
            check_text(what, fx, c, &r);
        }
    }

    if (r.rc == LLM_DONE || !fx->invalid) {
        if (r.measure.chunks != fx->chunks || r.measure.chars != fx->chars) {
            fail_msg("%s: %d chunks, %d chars", what, (int) r.measure.chunks,
                     (int) r.measure.chars);
        }

        assert_int_equal(r.measure.nfinish, strlen(fx->finish));
        assert_memory_equal(r.measure.finish, fx->finish, r.measure.nfinish);
        assert_int_equal(r.measure.nmodel, strlen(fx->model));
        assert_memory_equal(r.measure.model, fx->model, r.measure.nmodel);
        assert_int_equal(r.measure.usage.total, fx->total);
    }

    flow_forget(&r);
}


static void
test_whole(void **state)
{
    (void) state;

    each(check_whole, 1);
}


static void
check_cuts(const char *what, const fixture_t *fx, const flow_case_t *c,
    const llm_u8 *p, size_t n)
{
    flow_case_t    passing;
    flow_result_t  r, hooked;

    (void) fx;

    flow_all_cuts(what, &r, c, p, n, n < 8192 ? 1 : 37, 20);

    if (is_passing(c) && !c->answer_in) {
        passing = *c;
        passing.pass = 1;
        flow_all_cuts(what, &hooked, &passing, p, n, n < 8192 ? 3 : 97, 20);
        flow_same(what, &r, &hooked);
        flow_forget(&hooked);
    }

    flow_forget(&r);
}


static void
test_cuts(void **state)
{
    (void) state;

    (void) unit_seed();
    each(check_cuts, 1);
}


static int
is_terminated(const flow_case_t *c, const flow_result_t *r)
{
    const char  *out;

    out = (char *) r->p;

    if (c->client == &llm_dialect_text) {
        return 0;       /* it has no terminator; the code tells */
    }

    if (c->answer_out) {
        return r->n != 0;
    }

    if (c->client == &llm_dialect_simple) {
        return strstr(out, "{\"done\":true}") != NULL;
    }

    if (c->client == &llm_dialect_typed) {
        return strstr(out, "{\"type\":\"done\"") != NULL;
    }

    return r->n >= 8 && memcmp(out + r->n - 8, "[DONE]\n\n", 8) == 0;
}


/* Whether the upstream had finished by its bytes p: what the flow is to
 * find out, told from whole frames only. */
static int
has_finished(const char *frames, llm_eof_t how)
{
    if (strstr(frames, "[DONE]") != NULL) {
        return 1;
    }

    return how != LLM_EOF_BROKEN
           && (strstr(frames, "\"finish_reason\":\"") != NULL
               || strstr(frames, "\"finish_reason\": \"") != NULL);
}


/* One stream that is cut off after n bytes. */
static void
check_cut_off(const char *what, const flow_case_t *c, const llm_u8 *p,
    size_t n, const flow_result_t *whole)
{
    char           name[300];
    unit_out_t     o;
    flow_result_t  r;

    (void) snprintf(name, sizeof(name), "%s, end %d at %zu", what, c->how, n);

    flow_run(&r, c, p, n, NULL, 0);
    flow_events(&o, p, n, NULL);

    if (r.rc == LLM_DONE) {
        if (!has_finished((char *) o.p, c->how)) {
            fail_msg("%s: made up an end: %s", name, (char *) r.p);
        }

        if (!is_terminated(c, &r) && c->client != &llm_dialect_text) {
            fail_msg("%s: no terminator: %s", name, (char *) r.p);
        }

    } else if (is_terminated(c, &r)) {
        fail_msg("%s: a terminator: %s", name, (char *) r.p);
    }

    /* what was written before the end is a beginning of the whole */

    if (r.rc == LLM_FAILED
        && (r.before > whole->n || memcmp(r.p, whole->p, r.before) != 0))
    {
        fail_msg("%s: not a beginning: %s", name, (char *) r.p);
    }

    if (c->client != &llm_dialect_text && !c->answer_out && !is_passing(c)) {
        (void) flow_check_sse(name, r.p, r.n);
    }

    unit_out_free(&o);
    flow_forget(&r);
}


static void
check_endings(const char *what, const fixture_t *fx, const flow_case_t *c,
    const llm_u8 *p, size_t n)
{
    int            how;
    size_t         i;
    flow_case_t    cut;
    flow_result_t  whole;

    /* several choices: the words that has_finished() looks for tell less */

    if (c->answer_in || fx->fault != LLM_FAULT_NONE
        || strstr(fx->file, "n2") != NULL
        || strstr(fx->file, "escapes") != NULL)
    {
        return;
    }

    flow_run(&whole, c, p, n, NULL, 0);

    for (how = LLM_EOF_FRAMED; how <= LLM_EOF_BROKEN; how++) {
        cut = *c;
        cut.how = (llm_eof_t) how;

        for (i = 0; i < n; i++) {
            check_cut_off(what, &cut, p, i, &whole);
        }
    }

    flow_forget(&whole);
}


static void
test_endings(void **state)
{
    (void) state;

    each(check_endings, 0);
}


/* Every choice must have finished. */
static void
test_endings_choices(void **state)
{
    size_t         n, stop, length;
    llm_u8        *p;
    flow_result_t  r;

    (void) state;

    p = flow_fixture("n2.sse", &n);
    length = (size_t) (strstr((char *) p, "\"length\"") - (char *) p);
    stop = (size_t) (strstr((char *) p, "\"stop\"") - (char *) p);
    assert_true(length < stop);

    flow_run(&r, &flow_default, p, stop, NULL, 0);
    assert_int_equal(r.fault, LLM_FAULT_TRUNCATED);
    assert_int_equal(r.finish, 0);
    flow_forget(&r);

    flow_run(&r, &flow_default, p, stop + strlen("\"stop\"}]}\n\n"), NULL, 0);
    assert_int_equal(r.rc, LLM_DONE);
    assert_int_equal(r.finish, 1);
    flow_forget(&r);

    free(p);
}


/* A JSON answer that is cut anywhere gives nothing but a fault. */
static void
check_answer_cut_off(const char *what, const fixture_t *fx,
    const flow_case_t *c, const llm_u8 *p, size_t n)
{
    size_t         i, end;
    flow_result_t  r;

    if (!c->answer_in) {
        return;
    }

    (void) fx;

    for (end = n; p[end - 1] != '}'; end--) {
        /* space after the document is no part of it */
    }

    for (i = 0; i < end; i++) {
        flow_run(&r, c, p, i, NULL, 0);

        if (r.fault != (i == 0 ? LLM_FAULT_EMPTY : LLM_FAULT_TRUNCATED)
            || r.before != 0)
        {
            fail_msg("%s at %zu: fault %d", what, i, r.fault);
        }

        flow_forget(&r);
    }
}


static void
test_answer_cut_off(void **state)
{
    (void) state;

    each(check_answer_cut_off, 1);
}


static void
check_alloc(const char *what, const fixture_t *fx, const flow_case_t *c,
    const llm_u8 *p, size_t n)
{
    size_t         i, k, cuts[16];
    flow_case_t    failing;
    flow_result_t  whole, r;

    (void) fx;

    for (k = 0; k < 16; k++) {
        cuts[k] = (k + 1) * n / 17;
    }

    flow_run(&whole, c, p, n, cuts, 16);

    failing = *c;

    for (i = 1; i <= whole.calls; i++) {
        failing.fail_at = i;
        flow_run(&r, &failing, p, n, cuts, 16);

        if (r.rc == LLM_FAILED && whole.rc != LLM_FAILED) {
            assert_int_equal(r.fault, LLM_FAULT_INTERNAL);
        }

        if (r.rc == LLM_DONE) {
            fail_msg("%s: allocation %zu failed and nobody cared", what, i);
        }

        assert_false(r.rc == LLM_FAILED && whole.rc == LLM_DONE
                     && is_terminated(c, &r));
        assert_true(r.before <= whole.n);
        assert_memory_equal(r.p, whole.p, r.before);
        flow_forget(&r);
    }

    flow_forget(&whole);
}


static void
test_alloc(void **state)
{
    (void) state;

    each(check_alloc, 1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_endings_choices),
        cmocka_unit_test(test_answer_cut_off),
        cmocka_unit_test(test_alloc)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
