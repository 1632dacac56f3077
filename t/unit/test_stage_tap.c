/*
 * The tap: it hands out the text of choice 0, whole characters, the same
 * wherever the stream was cut; and no byte of the answer is other than
 * without it.  The text client, which decodes by itself, says what is right.
 */

#include "flow_support.h"
#include "llm_stage_tap.h"


typedef struct {
    llm_u8    text[65536];
    size_t    n;
    unsigned  lost;
    unsigned  ragged;           /* a piece that began inside a character */
} tapped_t;

typedef struct {
    const char           *name;
    const llm_dialect_t  *upstream;
    const llm_dialect_t  *client;
    const char           *fixture;
    const llm_u8         *p;
    size_t                n;
    flow_result_t         right;        /* the text */
    flow_result_t         bare;         /* without the tap */
    unsigned              answer_out;
} run_t;


static tapped_t  tapped;


static void
take(void *ctx, const llm_u8 *p, size_t n)
{
    tapped_t  *t;

    t = ctx;

    if (p == NULL) {
        t->lost++;
        return;
    }

    assert_int_not_equal(n, 0);
    assert_true(n <= sizeof(t->text) - t->n);

    if ((p[0] & 0xc0) == 0x80) {
        t->ragged++;
    }

    memcpy(t->text + t->n, p, n);
    t->n += n;
}


static const llm_tap_conf_t    tap_conf = { take, &tapped };
static const llm_stage_conf_t  tap_stage = { &llm_stage_tap, &tap_conf, 1 };


static void
tapped_is(const char *what, const void *p, size_t n)
{
    if (tapped.n != n || memcmp(tapped.text, p, n) != 0) {
        fail_msg("%s: tapped\n--- %.*s\n--- %.*s", what, (int) tapped.n,
                 (const char *) tapped.text, (int) n, (const char *) p);
    }

    assert_int_equal(tapped.ragged, 0);
}


typedef struct {
    llm_event_type_t  type;
    unsigned          choice;
    unsigned          escaped;
    const char       *text;
    const char       *all;      /* what was handed out by then */
} row_t;


static llm_rc_t
last_event(llm_stage_t *s, const llm_event_t *ev)
{
    (void) s;

    return ev->type == LLM_EV_ERROR ? LLM_FAILED : LLM_OK;
}


static void
test_events(void **state)
{
    size_t             i;
    llm_event_t        ev;
    llm_stage_t        last;
    unit_alloc_t       u;
    llm_stage_chain_t  chain;

    static const llm_stage_type_t  type = {
        "last", sizeof(llm_stage_t), NULL, last_event, NULL, NULL, NULL
    };

    static const row_t  rows[] = {
        { LLM_EV_START, 0, 0, NULL, "" },
        { LLM_EV_TEXT, 0, 0, "", "" },
        { LLM_EV_TEXT, 0, 0, "a\\n", "a\\n" },
        { LLM_EV_TEXT, 1, 0, "other", "a\\n" },
        { LLM_EV_TEXT, 0, 1, "\\n\\u00e9", "a\\n\n\xc3\xa9" },
        { LLM_EV_REASONING, 0, 1, "hm", "a\\n\n\xc3\xa9" },
        { LLM_EV_TOOL_CALL, 0, 1, "{}", "a\\n\n\xc3\xa9" },
        { LLM_EV_FINISH, 1, 0, "stop", "a\\n\n\xc3\xa9" },
        { LLM_EV_TEXT, 0, 1, "x\\ud83d", "a\\n\n\xc3\xa9x" },
        { LLM_EV_REFUSAL, 0, 1, "no", "a\\n\n\xc3\xa9xno" },
        { LLM_EV_FINISH, 1, 0, "stop", "a\\n\n\xc3\xa9xno" },
        { LLM_EV_TEXT, 0, 1, "\\ude00", "a\\n\n\xc3\xa9xno\xf0\x9f\x98\x80" },
        { LLM_EV_REFUSAL, 0, 1, "\\ud83d",
          "a\\n\n\xc3\xa9xno\xf0\x9f\x98\x80" },
        { LLM_EV_FINISH, 0, 0, "stop",
          "a\\n\n\xc3\xa9xno\xf0\x9f\x98\x80\xef\xbf\xbd" },
        { LLM_EV_END, 0, 0, NULL,
          "a\\n\n\xc3\xa9xno\xf0\x9f\x98\x80\xef\xbf\xbd" }
    };

    (void) state;

    memset(&tapped, 0, sizeof(tapped_t));
    memset(&chain, 0, sizeof(llm_stage_chain_t));
    memset(&last, 0, sizeof(llm_stage_t));
    chain.alloc = unit_alloc(&u);
    last.type = &type;

    assert_int_equal(llm_stage_chain_init(&chain, &tap_stage, 1, &last),
                     LLM_OK);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(&ev, 0, sizeof(llm_event_t));
        ev.type = rows[i].type;
        ev.choice = rows[i].choice;

        if (rows[i].text != NULL) {
            ev.text.p = (const llm_u8 *) rows[i].text;
            ev.text.n = strlen(rows[i].text);
            ev.text.escaped = rows[i].escaped;
        }

        assert_int_equal(chain.first->type->event(chain.first, &ev), LLM_OK);
        tapped_is("by hand", rows[i].all, strlen(rows[i].all));
    }

    /* what the client was not told */

    ev.type = LLM_EV_ERROR;
    assert_int_equal(chain.first->type->event(chain.first, &ev), LLM_FAILED);

    assert_int_equal(llm_stage_chain_due(&chain), -1);
    llm_stage_chain_drop(&chain);
    assert_int_equal(u.live, 0);
}


static void
tap_case(flow_case_t *c, const run_t *run, unsigned tap)
{
    *c = flow_default;

    c->upstream = run->upstream;
    c->client = run->client;
    c->answer_out = run->answer_out;
    c->pass = 1;
    c->stages = tap ? &tap_stage : NULL;
    c->nstages = tap;
}


static void
cut(void *ctx, const char *what, const size_t *cuts, size_t k)
{
    run_t          *run;
    flow_case_t     c;
    flow_result_t   r;

    run = ctx;
    tap_case(&c, run, 1);
    memset(&tapped, 0, sizeof(tapped_t));

    flow_run(&r, &c, run->p, run->n, cuts, k);
    flow_same(what, &run->bare, &r);

    assert_int_equal(tapped.lost, 0);

    if (r.rc == LLM_DONE && run->right.rc == LLM_DONE) {
        tapped_is(what, run->right.p, run->right.n);
    }

    flow_forget(&r);
}


static run_t        current;
static size_t       compared;


static void
fixture(const char *path, const char *name)
{
    size_t        i;
    char          what[200];
    llm_u8       *p;
    flow_case_t   c;

    static const struct {
        const llm_dialect_t  *client;
        unsigned              answer_out;
    } clients[] = {
        { NULL, 0 }, { NULL, 1 }, { &llm_dialect_typed, 0 },
        { &llm_dialect_anthropic, 0 }
    };

    p = unit_read(path, &current.n);
    current.p = p;
    current.fixture = name;

    for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        current.client = &llm_dialect_text;
        current.answer_out = 0;
        tap_case(&c, &current, 0);
        flow_run(&current.right, &c, p, current.n, NULL, 0);

        current.client = clients[i].client != NULL ? clients[i].client
                                                   : current.upstream;
        current.answer_out = clients[i].answer_out;

        if (current.client->encode == NULL) {
            current.client = &llm_dialect_openai;
        }

        tap_case(&c, &current, 0);
        flow_run(&current.bare, &c, p, current.n, NULL, 0);

        (void) snprintf(what, sizeof(what), "%s/%s to %.*s%s", current.name,
                        name, (int) current.client->name.n,
                        (const char *) current.client->name.p,
                        current.answer_out ? ", gathered" : "");

        cut(&current, what, NULL, 0);
        unit_all_cuts(what, current.n, cut, &current);

        compared += current.right.rc == LLM_DONE && current.right.n != 0;

        flow_forget(&current.bare);
        flow_forget(&current.right);
    }

    free(p);
}


static void
test_fixtures(void **state)
{
    size_t  i;

    static const struct {
        const char           *folder;
        const char           *ext;
        const llm_dialect_t  *upstream;
    } folders[] = {
        { "openai", "sse", &llm_dialect_openai },
        { "openai-completions", "sse", &llm_dialect_completions },
        { "responses", "sse", &llm_dialect_responses },
        { "anthropic", "sse", &llm_dialect_anthropic },
        { "gemini", "sse", &llm_dialect_gemini },
        { "ollama", "ndjson", &llm_dialect_ollama },
        { "flowise", "sse", &llm_dialect_flowise },
        { "cohere", "sse", &llm_dialect_cohere }
    };

    (void) state;

    for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char  folder[80];

        (void) snprintf(folder, sizeof(folder), "t/fixtures/%s",
                        folders[i].folder);

        current.name = folders[i].folder;
        current.upstream = folders[i].upstream;
        unit_each(folder, folders[i].ext, fixture);
    }

    assert_true(compared > 100);
}


/* A stage before it: what the tap sees is what that one says. */

static llm_rc_t
shout_init(llm_stage_t *s, const void *conf)
{
    (void) s;
    (void) conf;

    return LLM_OK;
}


static llm_rc_t
shout_event(llm_stage_t *s, const llm_event_t *ev)
{
    llm_event_t  loud;

    loud = *ev;

    if (ev->type == LLM_EV_TEXT) {
        loud.text = llm_slice("HEY \\ud83d\\ude00");
        loud.text.escaped = 1;
    }

    return llm_stage_pass(s, &loud);
}


static void
test_after_stage(void **state)
{
    size_t         n;
    llm_u8        *p;
    flow_case_t    c;
    flow_result_t  r;

    static const llm_stage_type_t  shout = {
        "shout", sizeof(llm_stage_t), shout_init, shout_event, NULL, NULL,
        NULL
    };

    static const llm_stage_conf_t  stages[] = {
        { &shout, NULL, 0 },
        { &llm_stage_tap, &tap_conf, 1 }
    };

    (void) state;

    p = flow_fixture("usage.sse", &n);
    c = flow_default;
    c.client = &llm_dialect_text;
    c.stages = stages;
    c.nstages = 2;

    memset(&tapped, 0, sizeof(tapped_t));
    flow_run(&r, &c, p, n, NULL, 0);

    assert_int_equal(r.rc, LLM_DONE);
    assert_memory_equal(r.p, "HEY \xf0\x9f\x98\x80HEY", 11);
    tapped_is("after a stage", r.p, r.n);

    flow_forget(&r);
    free(p);
}


/* One JSON answer of the provider, as it is and as a stream. */

static void
test_answer(void **state)
{
    size_t         i, n;
    llm_u8        *p;
    flow_case_t    c;
    flow_result_t  text, r;

    (void) state;

    p = flow_fixture("answer-text.json", &n);

    c = flow_default;
    c.answer_in = 1;
    c.client = &llm_dialect_text;
    flow_run(&text, &c, p, n, NULL, 0);
    assert_int_equal(text.rc, LLM_DONE);
    assert_true(text.n > 0);

    c.stages = &tap_stage;
    c.nstages = 1;

    for (i = 0; i < 2; i++) {
        memset(&tapped, 0, sizeof(tapped_t));
        c.client = &llm_dialect_openai;
        c.answer_out = i == 0;

        flow_run(&r, &c, p, n, NULL, 0);
        assert_int_equal(r.rc, LLM_DONE);
        tapped_is("answer", text.p, text.n);

        if (i == 0) {
            assert_int_equal(r.n, n);
            assert_memory_equal(r.p, p, n);
        }

        flow_forget(&r);
    }

    flow_forget(&text);
    free(p);
}


/* The tap's own want of memory is told, and is not the client's. */

static void
test_no_memory(void **state)
{
    size_t         n, lost;
    llm_u8        *p;
    flow_case_t    c;
    flow_result_t  bare, r;

    (void) state;

    p = flow_fixture("unicode-escapes.sse", &n);
    c = flow_default;
    flow_run(&bare, &c, p, n, NULL, 0);

    c.stages = &tap_stage;
    c.nstages = 1;
    lost = 0;

    for (c.fail_at = 1; /* void */; c.fail_at++) {
        memset(&tapped, 0, sizeof(tapped_t));
        flow_run(&r, &c, p, n, NULL, 0);

        if (r.calls < c.fail_at) {
            break;
        }

        if (tapped.lost != 0) {
            lost++;
            flow_same("no memory for the tap", &bare, &r);
        }

        flow_forget(&r);
    }

    assert_true(lost > 0);

    flow_forget(&r);
    flow_forget(&bare);
    free(p);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_fixtures),
        cmocka_unit_test(test_after_stage),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_no_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
