/*
 * The stage that redacts, by itself, where the arguments of tool calls meet
 * other things: signatures, the end of a choice, a great number of them.
 */

#include "unit_redact.h"
#include "unit_stage.h"


#define ARGS   LLM_REDACT_TOOL_ARGS
#define LARGE  100000


/* What came out of a type, for one tool call. */
static void
said_is(const stage_run_t *r, llm_event_type_t type, unsigned tool,
    const char *want)
{
    size_t              i, n;
    char               *got;
    const stage_out_t  *o;

    got = calloc(1, r->ntext + 1);
    assert_non_null(got);

    for (i = 0, n = 0; i < r->nout; i++) {
        o = &r->out[i];

        if (o->type == type && o->tool == tool && o->n != 0) {
            memcpy(got + n, r->text + o->from, o->n);
            n += o->n;
        }
    }

    assert_string_equal(got, want);
    free(got);
}


static void
open_rules(stage_run_t *r, const unit_redact_t *u)
{
    llm_stage_conf_t  c;

    c = unit_redact_stage(u);
    stage_open(r, &c, 1, 0);
    assert_int_equal(r->rc, LLM_OK);
}


static void
say(stage_run_t *r, llm_event_type_t type, const char *text, size_t n)
{
    stage_text(r, type, 0, text, n, 0);
}


/* An event that signs a text, or stands in for one. */
static void
sign(stage_run_t *r, llm_event_type_t type, const char *text, unsigned raw)
{
    llm_event_t  ev;

    ev = stage_ev(type);
    ev.text.p = (const llm_u8 *) text;
    ev.text.n = strlen(text);

    if (raw) {
        ev.raw = llm_slice("{\"k\":1}");

    } else {
        ev.signature = llm_slice("SIG");
    }

    stage_event(r, &ev, 0);
}


static void
finish(stage_run_t *r)
{
    llm_event_t  ev;

    ev = stage_ev(LLM_EV_FINISH);
    ev.finish = LLM_FINISH_LENGTH;
    stage_event(r, &ev, 0);

    ev = stage_ev(LLM_EV_END);
    stage_event(r, &ev, 0);
}


/* A signature in the middle of arguments does not end them. */
static void
test_signed(void **state)
{
    size_t         i, k, n;
    unsigned       t;
    stage_run_t    r;
    unit_redact_t  u;

    static const char  args[] =
        "{\"a\":\"x\\n\",\"b\":1234,\"c\":\"secre\\u0074 \\ud83d\\ude00\"}";

    static const llm_event_type_t  types[] = { LLM_EV_REASONING, LLM_EV_TEXT };

    (void) state;

    unit_redact_begin(&u);
    unit_redact_rule(&u, "secret", UNIT_REDACT_ALL, LLM_REDACT_MASK, "***");
    n = sizeof(args) - 1;

    for (t = 0; t < 2; t++) {
        for (i = 1; i < n; i++) {
            for (k = i; k < n; k++) {
                open_rules(&r, &u);
                say(&r, LLM_EV_TOOL_CALL, args, i);
                sign(&r, types[t], "", (unsigned) i & 1);
                say(&r, LLM_EV_TOOL_CALL, args + i, k - i);
                sign(&r, types[t], i & 2 ? "why" : "", (unsigned) k & 1);
                say(&r, LLM_EV_TOOL_CALL, args + k, n - k);
                finish(&r);

                assert_int_equal(r.rc, LLM_OK);
                said_is(&r, LLM_EV_TOOL_CALL, 0, "{\"a\":\"x\\n\",\"b\":1234,"
                        "\"c\":\"*** \xf0\x9f\x98\x80\"}");
                said_is(&r, types[t], 0, i & 2 ? "why" : "");
                stage_close(&r);
            }
        }
    }

    unit_redact_end(&u);
}


/* But it ends what it signs: that goes first. */
static void
test_signed_text(void **state)
{
    stage_run_t    r;
    unit_redact_t  u;

    (void) state;

    unit_redact_begin(&u);
    unit_redact_rule(&u, "secret", UNIT_REDACT_ALL, LLM_REDACT_MASK, "***");
    open_rules(&r, &u);

    say(&r, LLM_EV_REASONING, "a sec", 5);
    sign(&r, LLM_EV_REASONING, "", 0);
    assert_int_equal(r.nout, 3);
    assert_int_equal(r.out[1].n, 3);
    assert_true(r.out[2].named);
    assert_int_equal(r.chain.first->held, 0);

    say(&r, LLM_EV_REASONING, "ret", 3);
    finish(&r);
    assert_int_equal(r.rc, LLM_OK);
    said_is(&r, LLM_EV_REASONING, 0, "a secret");

    stage_close(&r);
    unit_redact_end(&u);
}


/* A match that only the end of truncated arguments makes one: they are closed
 * like others. */
static void
test_block_at_end(void **state)
{
    size_t         i, k;
    stage_run_t    r;
    llm_event_t    ev;
    unit_redact_t  u;

    static const char *const  cases[][2] = {
        { "{\"a\":\"x secret", "{\"a\":\"x \"}" },
        { "{\"a\":\"x secret ", "{\"a\":\"x \"}" },
        { "{\"a\":\"x secre\\u0074", "{\"a\":\"x \"}" },
        { "[{\"a\":{\"b\":\"secret", "[{\"a\":{\"b\":\"\"}}]" },
        { "{\"a\":[1,42", "{\"a\":[1,\"\"]}" },
        { "pay secret", "pay " }
    };

    (void) state;

    unit_redact_begin(&u);
    unit_redact_rule(&u, "\\bsecret\\b|\\b42\\b", UNIT_REDACT_ALL,
                     LLM_REDACT_BLOCK, "No.");

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (k = 0; k < 3; k++) {
            open_rules(&r, &u);

            ev = stage_ev(LLM_EV_TOOL_CALL);
            ev.text.p = (const llm_u8 *) cases[i][0];
            ev.text.n = strlen(cases[i][0]);
            ev.whole = k == 2;
            stage_event(&r, &ev, 0);

            if (k == 0) {
                finish(&r);

            } else {
                ev = stage_ev(LLM_EV_END);
                stage_event(&r, &ev, 0);
            }

            assert_int_equal(r.rc, LLM_OK);
            said_is(&r, LLM_EV_TOOL_CALL, 0, cases[i][1]);
            said_is(&r, LLM_EV_REFUSAL, 0, "No.");
            assert_int_equal(r.out[r.nout - 1].type, LLM_EV_END);
            assert_int_equal(r.out[r.nout - 2].type, LLM_EV_FINISH);
            assert_int_equal(r.out[r.nout - 3].type, LLM_EV_REFUSAL);
            assert_int_equal(r.chain.first->held, 0);
            stage_close(&r);
        }
    }

    /* of any text nothing waits any more */

    open_rules(&r, &u);
    say(&r, LLM_EV_TEXT, "x secret", 8);
    assert_int_equal(r.chain.first->held, 6);
    finish(&r);
    said_is(&r, LLM_EV_TEXT, 0, "x ");
    assert_int_equal(r.chain.first->held, 0);
    stage_close(&r);

    unit_redact_end(&u);
}


/* A number waits until it is known to be one, and no longer. */
static void
test_scalar_held(void **state)
{
    stage_run_t    r;
    unit_redact_t  u;

    (void) state;

    unit_redact_begin(&u);
    unit_redact_rule(&u, "\\bsecret\\b", ARGS, LLM_REDACT_BLOCK, "No.");
    open_rules(&r, &u);

    say(&r, LLM_EV_TOOL_CALL, "{\"a\":12", 7);
    assert_int_equal(r.chain.first->held, 2);
    say(&r, LLM_EV_TOOL_CALL, ",\"b\":", 5);
    assert_int_equal(r.chain.first->held, 0);
    say(&r, LLM_EV_TOOL_CALL, "true", 4);
    assert_int_equal(r.chain.first->held, 4);

    /* no JSON: a text, in which a match may begin */

    say(&r, LLM_EV_TOOL_CALL, "?", 1);
    assert_int_equal(r.chain.first->held, 5);
    finish(&r);
    assert_int_equal(r.chain.first->held, 0);
    said_is(&r, LLM_EV_TOOL_CALL, 0, "{\"a\":12,\"b\":true?");

    stage_close(&r);
    unit_redact_end(&u);
}


/* An error comes: what is in front of the match goes out, and no more of it
 * later. */
static void
test_block_at_error(void **state)
{
    stage_run_t    r;
    unit_redact_t  u;

    (void) state;

    unit_redact_begin(&u);
    unit_redact_rule(&u, "\\bsecret\\b", ARGS, LLM_REDACT_BLOCK, "No.");
    open_rules(&r, &u);

    say(&r, LLM_EV_TOOL_CALL, "{\"a\":\"x secret", 14);
    assert_int_equal(llm_stage_chain_flush(&r.chain), LLM_OK);
    assert_int_equal(llm_stage_chain_flush(&r.chain), LLM_OK);
    said_is(&r, LLM_EV_TOOL_CALL, 0, "{\"a\":\"x ");
    said_is(&r, LLM_EV_REFUSAL, 0, "");
    assert_int_equal(r.chain.first->held, 0);
    assert_int_equal(u.counts[0], 1);

    stage_close(&r);
    unit_redact_end(&u);
}


/* Calls that are large, and end: what they needed is given back. */
static void
test_memory(void **state)
{
    char          *args, *word;
    unsigned       i, k;
    stage_run_t    r;
    llm_event_t    ev;
    unit_redact_t  u;

    (void) state;

    args = malloc(LARGE + 1);
    assert_non_null(args);
    memset(args, 'y', LARGE);
    memcpy(args, "{\"a\":\"", 6);
    memcpy(args + LARGE - 2, "\"}", 3);

    unit_redact_begin(&u);
    unit_redact_rule(&u, "secret", UNIT_REDACT_ALL, LLM_REDACT_MASK, "***");

    /* JSON and not; whole, and ended by the finish */

    for (k = 0; k < 4; k++) {
        args[LARGE - 2] = k & 1 ? 'y' : '"';
        word = k & 1 ? args + 6 : args;
        open_rules(&r, &u);

        for (i = 0; i < 40; i++) {
            ev = stage_ev(LLM_EV_TOOL_CALL);
            ev.tool_index = i;
            ev.whole = k < 2;
            ev.text.p = (const llm_u8 *) word;
            ev.text.n = strlen(word);
            stage_event(&r, &ev, 0);
        }

        /* only what is open, and no JSON, may still become another */

        if (k != 3) {
            assert_in_range(r.u.bytes, 1, LARGE);
        }

        finish(&r);
        assert_int_equal(r.rc, LLM_OK);
        assert_in_range(r.u.bytes, 1, LARGE);
        said_is(&r, LLM_EV_TOOL_CALL, 39, word);
        stage_close(&r);
    }

    unit_redact_end(&u);
    free(args);
}


/* Strings of a usual size cost no allocation each. */
static void
test_calls_of_allocator(void **state)
{
    size_t         calls;
    unsigned       i;
    stage_run_t    r;
    unit_redact_t  u;

    (void) state;

    unit_redact_begin(&u);
    unit_redact_rule(&u, "secret", UNIT_REDACT_ALL, LLM_REDACT_MASK, "***");
    open_rules(&r, &u);

    say(&r, LLM_EV_TOOL_CALL, "[\"\",\"first\"", 11);
    calls = r.u.calls;

    for (i = 0; i < 200; i++) {
        say(&r, LLM_EV_TOOL_CALL, ",\"seven\",\"ei", 12);
        say(&r, LLM_EV_TOOL_CALL, "ght\"", 4);
    }

    assert_int_equal(r.u.calls, calls);

    stage_close(&r);
    unit_redact_end(&u);
}


static void
calls(stage_run_t *r, unsigned n)
{
    unsigned     i;
    llm_event_t  ev;

    for (i = 0; i < n; i++) {
        ev = stage_ev(LLM_EV_TOOL_CALL);
        ev.tool_index = i;
        ev.text = llm_slice("[\"secret\"]");
        stage_event(r, &ev, 0);
    }
}


/* More texts than are known: a rule that only counts lets them pass, and does
 * not take the place of what others read. */
static void
test_many(void **state)
{
    stage_run_t    r;
    unit_redact_t  u;

    (void) state;

    unit_redact_begin(&u);
    unit_redact_rule(&u, "secret", ARGS, LLM_REDACT_LOG, "");
    open_rules(&r, &u);

    calls(&r, 1100);
    calls(&r, 1100);
    finish(&r);
    assert_int_equal(r.rc, LLM_OK);
    assert_int_equal(r.nout, 2202);
    assert_int_equal(u.counts[0], 2048);
    stage_close(&r);

    unit_redact_rule(&u, "secret", LLM_REDACT_CONTENT, LLM_REDACT_MASK,
                     "***");
    open_rules(&r, &u);
    calls(&r, 1100);
    say(&r, LLM_EV_TEXT, "a sec", 5);
    say(&r, LLM_EV_TEXT, "ret", 3);
    finish(&r);
    assert_int_equal(r.rc, LLM_OK);
    said_is(&r, LLM_EV_TEXT, 0, "a ***");
    said_is(&r, LLM_EV_TOOL_CALL, 1099, "[\"secret\"]");
    stage_close(&r);
    unit_redact_end(&u);

    /* what would be masked does not pass unread */

    unit_redact_begin(&u);
    unit_redact_rule(&u, "secret", ARGS, LLM_REDACT_MASK, "***");
    open_rules(&r, &u);
    calls(&r, 1025);
    assert_int_equal(r.rc, LLM_TOO_BIG);
    said_is(&r, LLM_EV_TOOL_CALL, 1023, "[\"***\"]");
    said_is(&r, LLM_EV_TOOL_CALL, 1024, "");
    stage_close(&r);
    unit_redact_end(&u);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signed),
        cmocka_unit_test(test_signed_text),
        cmocka_unit_test(test_block_at_end),
        cmocka_unit_test(test_scalar_held),
        cmocka_unit_test(test_block_at_error),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_calls_of_allocator),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
