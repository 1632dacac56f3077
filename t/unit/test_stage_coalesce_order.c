/*
 * The shaping of text among other things: what comes first goes first, tool
 * calls are joined by time only, and what is hostile stays bounded.
 */

#include "unit_stage.h"
#include "llm_stage_coalesce.h"


static const llm_coalesce_conf_t  timed = { 40, 100, 0, LLM_BREAK_CLUSTER };
static const llm_coalesce_conf_t  worded = { 0, 100, 0, LLM_BREAK_WORD };
static const llm_coalesce_conf_t  sized = { 0, 100, 8, LLM_BREAK_CLUSTER };


static void
open_one(stage_run_t *r, const llm_coalesce_conf_t *conf, size_t fail_at)
{
    llm_stage_conf_t  c;

    memset(&c, 0, sizeof(llm_stage_conf_t));
    c.type = &llm_stage_coalesce;
    c.conf = conf;

    stage_open(r, &c, 1, fail_at);
}


static void
say(stage_run_t *r, const char *text, int64_t now)
{
    stage_text(r, LLM_EV_TEXT, 0, text, strlen(text), now);
}


/* All that came out so far: type, choice, text and time of each. */
static void
expect(const char *what, const stage_run_t *r, const char *expected)
{
    char                got[2000];
    size_t              i, k;
    const stage_out_t  *o;

    for (i = 0, k = 0; i < r->nout; i++) {
        o = &r->out[i];
        k += (size_t) sprintf(got + k, "%d.%u %.*s@%d|", o->type, o->choice,
                              (int) o->n, (char *) r->text + o->from,
                              (int) o->at);
    }

    got[k] = '\0';

    if (strcmp(got, expected) != 0) {
        fail_msg("%s: %s, not %s", what, got, expected);
    }
}


/* What makes all that is held go at once. */
static void
test_barriers(void **state)
{
    size_t              i;
    char                out[100];
    stage_run_t         r;
    llm_event_t         ev;

    static const struct {
        llm_event_type_t  type;
        unsigned          choice;
        const char       *text;
    } cases[] = {
        { LLM_EV_START, 0, NULL }, { LLM_EV_FINISH, 0, NULL },
        { LLM_EV_FINISH, 1, NULL }, { LLM_EV_CITATION, 0, NULL },
        { LLM_EV_META, 0, NULL }, { LLM_EV_END, 0, NULL },
        { LLM_EV_REASONING, 0, "z" }, { LLM_EV_REFUSAL, 0, "z" },
        { LLM_EV_TEXT, 1, "z" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_one(&r, &timed, 0);
        say(&r, "a", 0);
        say(&r, "b c", 1);

        ev = stage_ev(cases[i].type);
        ev.choice = cases[i].choice;
        ev.text.p = (const llm_u8 *) cases[i].text;
        ev.text.n = cases[i].text != NULL ? 1 : 0;
        stage_event(&r, &ev, 2);

        (void) sprintf(out, "1.0 a@0|1.0 b c@2|%d.%u %s@2|", cases[i].type,
                       cases[i].choice,
                       cases[i].text != NULL ? cases[i].text : "");
        expect("barrier", &r, out);
        stage_close(&r);
    }

    /* and what does not */

    open_one(&r, &timed, 0);
    say(&r, "a", 0);
    say(&r, "bc", 1);
    ev = stage_ev(LLM_EV_PING);
    stage_event(&r, &ev, 2);
    say(&r, "", 2);
    stage_text(&r, LLM_EV_REASONING, 0, "", 0, 2);
    say(&r, "d", 3);
    stage_until(&r, 41);
    expect("no barrier", &r, "1.0 a@0|10.0 @2|1.0 bc@41|");
    stage_close(&r);
}


/* A signature is of the text before it. */
static void
test_signature(void **state)
{
    stage_run_t  r;
    llm_event_t  ev;

    (void) state;

    open_one(&r, &timed, 0);
    stage_text(&r, LLM_EV_REASONING, 0, "I", 1, 0);
    stage_text(&r, LLM_EV_REASONING, 0, " th", 3, 1);

    ev = stage_ev(LLM_EV_REASONING);
    ev.text = llm_slice("ink");
    ev.signature = llm_slice("xyz");
    stage_event(&r, &ev, 2);

    expect("signature", &r, "2.0 I@0|2.0  think@2|2.0 @2|");
    assert_true(r.out[2].named);
    assert_false(r.out[1].named);
    stage_close(&r);
}


static void
call(stage_run_t *r, unsigned tool, unsigned begins, const char *args,
    int64_t now)
{
    llm_event_t  ev;

    ev = stage_ev(LLM_EV_TOOL_CALL);
    ev.tool_index = tool;
    ev.whole = begins == 2;

    if (begins) {
        ev.id = llm_slice("id");
        ev.name = llm_slice("f");
    }

    ev.text.p = (const llm_u8 *) args;
    ev.text.n = strlen(args);
    ev.text.escaped = 1;

    stage_event(r, &ev, now);
}


static void
test_calls(void **state)
{
    char         big[1001];
    unsigned     i;
    stage_run_t  r;

    (void) state;

    /* but no more of them than of text */

    memset(big, 'x', 1000);
    big[1000] = '\0';

    open_one(&r, &timed, 0);
    call(&r, 0, 1, "", 0);

    for (i = 0; i < 12; i++) {
        call(&r, 0, 0, big, 1);
    }

    assert_int_equal(r.nout, 3);
    assert_true(r.chain.held_max <= LLM_COALESCE_HELD);
    stage_close(&r);

    /* by time only, whatever their size and words */

    open_one(&r, &timed, 0);
    say(&r, "a", 0);
    say(&r, "b", 1);
    call(&r, 0, 1, "", 2);
    call(&r, 0, 0, "{\\\"a b c\\\"", 3);
    call(&r, 0, 0, ": \\\"d e f g h i j", 20);
    call(&r, 0, 0, " k", 50);
    call(&r, 1, 1, "{", 55);
    call(&r, 1, 0, "}", 60);
    call(&r, 0, 0, "\\\"}", 70);
    call(&r, 2, 2, "{}", 71);
    stage_until(&r, 500);

    expect("calls", &r, "1.0 a@0|1.0 b@2|4.0 @2|"
           "4.0 {\"a b c\": \"d e f g h i j@43|4.0  k@55|4.0 {@55|4.0 }@70|"
           "4.0 \"}@71|4.0 {}@71|");
    stage_close(&r);

    open_one(&r, &sized, 0);
    call(&r, 0, 1, "{", 0);
    call(&r, 0, 0, "0123456789 0123456789", 0);
    stage_until(&r, 500);
    expect("calls, without a time", &r,
           "4.0 {@0|4.0 0123456789 0123456789@100|");
    stage_close(&r);
}


/* Halves of a pair in several events, whatever is between them. */
static void
test_halves(void **state)
{
    stage_run_t  r;
    llm_event_t  ev;

    (void) state;

    open_one(&r, &timed, 0);
    ev = stage_ev(LLM_EV_TEXT);
    ev.text = llm_slice("a\\ud83d");
    ev.text.escaped = 1;
    stage_event(&r, &ev, 0);

    ev = stage_ev(LLM_EV_REASONING);
    ev.text = llm_slice("r");
    stage_event(&r, &ev, 1);

    ev = stage_ev(LLM_EV_TEXT);
    ev.text = llm_slice("\\ude00\\ud83d");
    ev.text.escaped = 1;
    stage_event(&r, &ev, 2);

    ev = stage_ev(LLM_EV_FINISH);
    stage_event(&r, &ev, 3);

    expect("halves", &r, "1.0 a@0|2.0 r@1|1.0 \xf0\x9f\x98\x80@3|"
           "1.0 \xef\xbf\xbd@3|8.0 @3|");
    stage_close(&r);

    open_one(&r, &timed, 0);
    call(&r, 0, 1, "\\ud83d", 0);
    call(&r, 0, 0, "\\ude00", 1);
    stage_until(&r, 100);
    expect("halves of arguments", &r, "4.0 @0|4.0 \xf0\x9f\x98\x80@41|");
    stage_close(&r);
}


static void
probs(stage_run_t *r, const char *raw, unsigned refused, int64_t now)
{
    llm_event_t  ev;

    ev = stage_ev(LLM_EV_LOGPROBS);
    ev.raw.p = (const llm_u8 *) raw;
    ev.raw.n = strlen(raw);
    ev.refused = refused;

    stage_event(r, &ev, now);
}


/* They come with every token, and interrupt nothing. */
static void
test_with_each_token(void **state)
{
    stage_run_t  r;
    llm_event_t  ev;
    llm_usage_t  usage;

    (void) state;

    open_one(&r, &timed, 0);
    ev = stage_ev(LLM_EV_USAGE);
    ev.usage = &usage;
    usage = llm_usage_none;

    say(&r, "a", 0);
    probs(&r, "[1]", 0, 0);
    usage.output = 1;
    stage_event(&r, &ev, 0);

    say(&r, "b", 1);
    probs(&r, "[2, 3]", 0, 1);
    usage.output = 2;
    stage_event(&r, &ev, 1);

    say(&r, "c", 2);
    probs(&r, "[ ]", 0, 2);
    probs(&r, "[ 4]", 0, 2);
    usage.output = 3;
    stage_event(&r, &ev, 2);

    stage_until(&r, 50);
    say(&r, "d", 50);
    probs(&r, "[5]", 1, 50);

    ev = stage_ev(LLM_EV_FINISH);
    stage_event(&r, &ev, 51);

    expect("each token", &r,
           "1.0 a@0|5.0 [1]@0|7.0 @0|1.0 b@41|5.0 [2, 3,4]@41|"
           "1.0 c@50|1.0 d@51|5.0 [5]@51|7.0 @51|8.0 @51|");
    assert_int_equal(r.out[2].output, 1);
    assert_int_equal(r.out[8].output, 3);
    assert_int_equal(r.out[7].refused, 1);
    stage_close(&r);

    /* those of a refusal are not joined with others, nor those of another
     * choice */

    open_one(&r, &timed, 0);
    say(&r, "a", 0);
    say(&r, "b", 1);
    probs(&r, "[1]", 0, 1);
    probs(&r, "[2]", 1, 1);
    probs(&r, "[3]", 1, 1);
    stage_until(&r, 200);
    expect("of a refusal", &r,
           "1.0 a@0|5.0 [1]@1|1.0 b@101|5.0 [2,3]@101|");
    assert_int_equal(r.out[1].refused, 0);
    assert_int_equal(r.out[3].refused, 1);
    stage_close(&r);

    open_one(&r, &timed, 0);
    say(&r, "a", 0);
    say(&r, "b", 1);

    ev = stage_ev(LLM_EV_LOGPROBS);
    ev.choice = 1;
    ev.raw = llm_slice("[1]");
    stage_event(&r, &ev, 2);
    expect("of another choice", &r, "1.0 a@0|1.0 b@2|5.1 [1]@2|");
    stage_close(&r);
}


static void
test_probs_bounded(void **state)
{
    char         big[1001];
    unsigned     i;
    stage_run_t  r;

    (void) state;

    memset(big, '1', 1000);
    big[0] = '[';
    big[999] = ']';
    big[1000] = '\0';

    open_one(&r, &timed, 0);
    say(&r, "a", 0);
    say(&r, "b", 1);

    for (i = 0; i < 1000; i++) {
        probs(&r, big, 0, 1);
    }

    assert_true(r.nout > 10);
    assert_true(r.u.bytes < 400000);
    stage_close(&r);
}


/* A million marks on one letter: bounded, in events of any size. */
static void
test_marks(void **state)
{
    size_t       i, step, n;
    char        *text;
    stage_run_t  r;

    (void) state;

    n = 400000;
    text = malloc(n + 1);
    assert_non_null(text);

    for (i = 0; i < n; i += 2) {
        memcpy(text + i, "\xcc\x81", 2);
    }

    for (step = 2; step <= n; step = step < 1000 ? step * 25 : n + 1) {
        open_one(&r, &worded, 0);
        say(&r, "x", 0);

        for (i = 0; i < n; i += step) {
            stage_text(&r, LLM_EV_TEXT, 0, text + i,
                       i + step < n ? step : n - i, 0);
            assert_true(r.chain.held_max <= LLM_COALESCE_HELD);
        }

        stage_until(&r, 1000);
        assert_int_equal(r.ntext, n + 1);
        assert_true(step > LLM_COALESCE_HELD || r.nout < 200);
        assert_true(r.u.bytes < 64 * 1024);
        stage_close(&r);
    }

    /* one event: it leaves no memory behind */

    open_one(&r, &worded, 0);
    say(&r, "x", 0);
    stage_text(&r, LLM_EV_TEXT, 0, text, n, 0);
    say(&r, "y", 1);
    assert_true(r.u.bytes < 64 * 1024);
    stage_close(&r);

    free(text);
}


/* More texts than are told apart: shaped no more, but said. */
static void
test_many_calls(void **state)
{
    unsigned     i;
    stage_run_t  r;

    (void) state;

    open_one(&r, &timed, 0);

    for (i = 0; i < 3000; i++) {
        call(&r, i, 1, "", 0);
        call(&r, i, 0, "x", 0);
    }

    stage_until(&r, 100);
    assert_int_equal(r.rc, LLM_OK);
    assert_int_equal(r.ntext, 3000);
    stage_close(&r);
}


/* Without memory it says so, and loses none that it has. */
static void
test_no_memory(void **state)
{
    size_t       fail_at;
    stage_run_t  r;
    llm_event_t  ev;

    (void) state;

    for (fail_at = 1; ; fail_at++) {
        open_one(&r, &worded, fail_at);

        if (r.rc == LLM_OK) {
            say(&r, "one two three", 0);
            say(&r, " four five", 1);
            probs(&r, "[1]", 0, 1);
            call(&r, 0, 1, "{", 2);
            call(&r, 0, 0, "}", 3);
            ev = stage_ev(LLM_EV_END);
            stage_event(&r, &ev, 4);
        }

        if (r.rc == LLM_OK) {
            assert_true(r.u.calls < fail_at);
            stage_close(&r);
            break;
        }

        assert_int_equal(r.rc, LLM_NOMEM);
        stage_close(&r);
    }

    assert_true(fail_at > 4);
}


/* Warmed up, it asks for no memory: 1000 tokens cost what 100 do. */
static void
test_no_allocation(void **state)
{
    size_t       i, calls;
    stage_run_t  r;

    (void) state;

    open_one(&r, &timed, 0);
    calls = 0;

    for (i = 0; i < 1000; i++) {
        say(&r, " token", (int64_t) i * 7);

        if (i == 100) {
            calls = r.u.calls;
        }
    }

    assert_int_equal(r.u.calls, calls);
    assert_true(r.nout < 250);
    stage_close(&r);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_barriers),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_with_each_token),
        cmocka_unit_test(test_probs_bounded),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_many_calls),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_no_allocation)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
