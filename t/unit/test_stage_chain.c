/*
 * A chain of stages that is flushed: what one stage cannot do is no reason to
 * lose what the others hold.
 */

#include "flow_chunks.h"
#include "unit_redact.h"
#include "unit_stage.h"
#include "llm_stage_coalesce.h"
#include "llm_stage_stop.h"


/* a rule that gives up, and what makes it */
#define COSTLY  "x(?:a|aa|aaa)*?(?:a|aa)*?(?:a|aaa)*?@"
#define A20     "aaaaaaaaaaaaaaaaaaaa"
#define A100    A20 A20 A20 A20 A20


/* A stage whose flush passes a text on, or returns what its conf says. */
typedef struct {
    llm_rc_t     rc;
    unsigned     pass;
    unsigned     flushed;
} fake_conf_t;

typedef struct {
    llm_stage_t  stage;
    fake_conf_t *conf;
} fake_t;


static llm_rc_t
fake_init(llm_stage_t *s, const void *conf)
{
    ((fake_t *) s)->conf = (fake_conf_t *) (uintptr_t) conf;

    return LLM_OK;
}


static llm_rc_t
fake_flush(llm_stage_t *s)
{
    fake_t       *f;
    llm_event_t   ev;

    f = (fake_t *) s;
    f->conf->flushed++;

    if (!f->conf->pass) {
        return f->conf->rc;
    }

    ev = stage_ev(LLM_EV_TEXT);
    ev.text = llm_slice("t");

    return llm_stage_pass(s, &ev);
}


static llm_rc_t
fake_event(llm_stage_t *s, const llm_event_t *ev)
{
    return llm_stage_pass(s, ev);
}


static const llm_stage_type_t  fake_type = {
    "fake", sizeof(fake_t), fake_init, fake_event, fake_flush, NULL, NULL
};


/* Three stages, the first two as given: the third is flushed or not. */
static void
test_failures(void **state)
{
    unsigned          i, k;
    fake_conf_t       conf[3];
    stage_run_t       r;
    llm_stage_conf_t  list[3];

    static const struct {
        llm_rc_t  first;
        llm_rc_t  second;
        llm_rc_t  rc;
        unsigned  flushed;
    } cases[] = {
        { LLM_OK, LLM_OK, LLM_OK, 3 },
        { LLM_FAILED, LLM_OK, LLM_FAILED, 3 },
        { LLM_OK, LLM_TOO_BIG, LLM_TOO_BIG, 3 },
        { LLM_TOO_BIG, LLM_FAILED, LLM_TOO_BIG, 3 },
        { LLM_NOMEM, LLM_FAILED, LLM_NOMEM, 3 },
        { LLM_DONE, LLM_OK, LLM_DONE, 1 },
        { LLM_FAILED, LLM_DONE, LLM_FAILED, 2 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(conf, 0, sizeof(conf));
        memset(list, 0, sizeof(list));
        conf[0].rc = cases[i].first;
        conf[1].rc = cases[i].second;
        conf[2].pass = 1;

        for (k = 0; k < 3; k++) {
            list[k].type = &fake_type;
            list[k].conf = &conf[k];
        }

        stage_open(&r, list, 3, 0);
        assert_int_equal(llm_stage_chain_flush(&r.chain), cases[i].rc);
        assert_int_equal(conf[0].flushed + conf[1].flushed + conf[2].flushed,
                         cases[i].flushed);
        assert_int_equal(r.nout, cases[i].flushed == 3);
        stage_close(&r);
    }
}


/* Where nothing more can be said no stage is asked for it. */
static void
test_closed(void **state)
{
    unsigned          k;
    fake_conf_t       conf[3];
    stage_run_t       r;
    llm_stage_conf_t  list[3];

    (void) state;

    memset(conf, 0, sizeof(conf));
    memset(list, 0, sizeof(list));

    for (k = 0; k < 3; k++) {
        conf[k].pass = 1;
        list[k].type = &fake_type;
        list[k].conf = &conf[k];
    }

    stage_open(&r, list, 3, 0);
    r.room = 1;
    assert_int_equal(llm_stage_chain_flush(&r.chain), LLM_FAILED);
    assert_int_equal(conf[1].flushed, 1);
    assert_int_equal(conf[2].flushed, 0);
    assert_int_equal(r.nout, 1);
    stage_close(&r);
}


/* Stop strings, a rule and pieces that are joined, as in a location. */
typedef struct {
    unit_redact_t        rules;
    llm_match_t          match;
    void                *memory;
    llm_coalesce_conf_t  coalesce;
    llm_stage_conf_t     list[3];
    flow_case_t          flow;
} set_t;


static void
set_begin(set_t *s)
{
    llm_slice_t  stop;

    memset(s, 0, sizeof(set_t));

    stop = llm_slice("###");
    s->memory = malloc(llm_match_size(&stop, 1));
    assert_non_null(s->memory);
    llm_match_init(&s->match, s->memory, &stop, 1);

    unit_redact_begin(&s->rules);
    unit_redact_rule(&s->rules, COSTLY, LLM_REDACT_CONTENT, LLM_REDACT_MASK,
                     "***");

    s->coalesce.time = 10000;
    s->coalesce.max_delay = 10000;
    s->coalesce.boundary = LLM_BREAK_CLUSTER;

    s->list[0].type = &llm_stage_stop;
    s->list[0].conf = &s->match;
    s->list[1] = unit_redact_stage(&s->rules);
    s->list[2].type = &llm_stage_coalesce;
    s->list[2].conf = &s->coalesce;

    s->flow.stages = s->list;
    s->flow.nstages = 3;
}


static void
set_end(set_t *s)
{
    unit_redact_end(&s->rules);
    free(s->memory);
}


/* A search that gives up: what was read before goes to the client, and
 * nothing else. */
static void
test_gives_up(void **state)
{
    size_t          i;
    set_t           s;
    const char     *text;
    stage_run_t     r;
    flow_result_t   f;

    static const char *const  costly[] = {
        "x" A100 "! #", "x" A100 "! b", "x" A100
    };

    (void) state;

    set_begin(&s);

    for (i = 0; i < 3; i++) {
        stage_open(&r, s.list, 3, 0);
        stage_text(&r, LLM_EV_TEXT, 0, "First. ", 7, 0);
        stage_text(&r, LLM_EV_TEXT, 0, "Second, approved. ", 18, 0);
        assert_int_equal(r.ntext, 7);
        stage_text(&r, LLM_EV_TEXT, 0, costly[i], strlen(costly[i]), 0);

        (void) llm_stage_chain_flush(&r.chain);
        assert_int_equal(s.rules.gave_up, 1);
        assert_int_equal(r.ntext, 25);
        assert_memory_equal(r.text, "First. Second, approved. ", 25);
        stage_close(&r);
    }

    /* the same to a client, who is told of the error behind it */

    flow_run_text(&f, &s.flow, ROLE TEXT("First. ") TEXT("Second, approved. ")
                  TEXT("x" A100 "! #"));
    assert_int_equal(f.rc, LLM_FAILED);
    assert_int_equal(f.fault, LLM_FAULT_INTERNAL);

    text = strstr((const char *) f.p, "Second, approved. ");
    assert_non_null(text);
    assert_non_null(strstr(text, "\"error\""));
    assert_null(strstr((const char *) f.p, "aaa"));
    assert_null(strchr((const char *) f.p, '#'));
    flow_forget(&f);

    set_end(&s);
}


/* No memory at any allocation, a sink that fails at any byte: no gap in what
 * the client has, and never what the search did not read. */
static void
test_faults(void **state)
{
    size_t          i;
    set_t           s;
    const char     *text;
    flow_result_t   f;

    (void) state;

    set_begin(&s);

    for (i = 1; i < 600; i++) {
        s.flow.fail_at = i < 100 ? i : 0;
        s.flow.limit = i < 100 ? 0 : i - 99;

        flow_run_text(&f, &s.flow, ROLE TEXT("First. ")
                      TEXT("Second, approved. ") TEXT("x" A100 "! #"));
        assert_true(f.rc != LLM_OK && f.rc != LLM_DONE);

        text = (const char *) f.p;
        assert_null(strstr(text, "aaa"));
        assert_null(strchr(text, '#'));
        assert_true(strstr(text, "Second") == NULL
                    || (strstr(text, "First. ") != NULL
                        && strstr(text, "First. ") < strstr(text, "Second")));
        flow_forget(&f);
    }

    set_end(&s);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
