/*
 * The stage that redacts: over whole flows, between dialects, at every cut.
 */

#include "flow_chunks.h"
#include "llm_stage_redact.h"


#define RULES_MAX  8

/* a card number, an address, and a word that must not be said */
#define CARD   "\\b(?:\\d[ -]?){15}\\d\\b"
#define MAIL   "[\\w.+-]{1,64}@[\\w-]{1,63}(?:\\.[\\w-]{2,24}){1,3}"

#define ALL    (LLM_REDACT_CONTENT|LLM_REDACT_REASONING|LLM_REDACT_TOOL_ARGS)

#define CALL(more)  CH("{\"tool_calls\":[{\"index\":0," more "}]}")
#define ARGS(t)     CALL("\"function\":{\"arguments\":\"" t "\"}")
#define BEGIN       CALL("\"id\":\"call_1\",\"type\":\"function\","         \
                         "\"function\":{\"name\":\"pay\",\"arguments\":\"\"}")
#define THINK(t)    CH("{\"reasoning_content\":\"" t "\"}")

typedef struct {
    unit_alloc_t             unit;
    llm_alloc_t              alloc;
    llm_redact_t             redact;
    uint64_t                 counts[RULES_MAX];
    unsigned                 gave_up;
    llm_stage_redact_conf_t  conf;
    llm_stage_conf_t         stage;
    flow_case_t              flow;
} set_t;


static void
set_begin(set_t *s, const llm_dialect_t *client)
{
    memset(s, 0, sizeof(set_t));

    s->alloc = unit_alloc(&s->unit);
    llm_redact_init(&s->redact, &s->alloc);

    s->conf.redact = &s->redact;
    s->conf.counts = s->counts;
    s->conf.gave_up = &s->gave_up;
    s->stage.type = &llm_stage_redact;
    s->stage.conf = &s->conf;

    s->flow.client = client;
    s->flow.stages = &s->stage;
    s->flow.nstages = 1;
}


static void
set_rule(set_t *s, const char *regex, unsigned in,
    llm_redact_action_t action, const char *with)
{
    llm_redact_why_t   why;
    llm_redact_rule_t  rule;

    memset(&rule, 0, sizeof(llm_redact_rule_t));

    rule.name = llm_slice("rule");
    rule.with.p = (const llm_u8 *) with;
    rule.with.n = strlen(with);
    rule.action = action;
    rule.in = in;
    rule.max = 300;

    assert_int_equal(llm_redact_regex(&s->redact, &rule,
                                      (const llm_u8 *) regex, strlen(regex),
                                      &why), LLM_OK);

    s->stage.observes = llm_stage_redact_observes(&s->redact);
}


static void
set_end(set_t *s)
{
    llm_redact_free(&s->redact);
    assert_int_equal(s->unit.live, 0);
}


/* What an openai client gathers of one member of the deltas. */
static char *
said(const flow_result_t *r, const char *name)
{
    char          *text;
    size_t         n;
    json_t        *root, *delta, *v;
    const char    *inner;
    const llm_u8  *p, *end, *eol;

    text = calloc(1, r->n + 1);
    inner = strcmp(name, "arguments") == 0 ? "tool_calls" : name;

    for (p = r->p, end = r->p + r->n; p < end; p = eol + 2) {
        eol = memchr(p, '\n', (size_t) (end - p));
        n = (size_t) (eol - p) - 6;

        if (p[6] != '{') {
            continue;
        }

        root = flow_json(p + 6, n);
        delta = json_object_get(json_array_get(json_object_get(root,
                                               "choices"), 0), "delta");
        v = json_object_get(delta, inner);

        if (v != NULL && inner != name) {
            v = json_object_get(json_object_get(json_array_get(v, 0),
                                                "function"), name);
        }

        if (json_is_string(v)) {
            (void) strcat(text, json_string_value(v));
        }

        json_decref(root);
    }

    return text;
}


static void
said_is(const flow_result_t *r, const char *name, const char *want)
{
    char  *text;

    text = said(r, name);
    assert_string_equal(text, want);
    free(text);
}


static int
holds(const flow_result_t *r, const char *what)
{
    return strstr((const char *) r->p, what) != NULL;
}


/* A stream, whole and in one cut everywhere; each way the same text. */
static void
run_is(set_t *s, const char *stream, const char *name, const char *want)
{
    size_t         i, n;
    flow_result_t  r;

    n = strlen(stream);

    for (i = 0; i < n; i += 1 + n / 97) {
        memset(s->counts, 0, sizeof(s->counts));
        flow_run(&r, &s->flow, stream, n, &i, i != 0);
        assert_int_equal(r.rc, LLM_DONE);
        said_is(&r, name, want);
        flow_forget(&r);
    }
}


static void
test_content(void **state)
{
    set_t  s;

    (void) state;

    set_begin(&s, NULL);
    set_rule(&s, CARD, LLM_REDACT_CONTENT, LLM_REDACT_MASK, "***");
    set_rule(&s, MAIL, LLM_REDACT_CONTENT, LLM_REDACT_MASK, "<mail>");

    run_is(&s, ROLE TEXT("It is 4111") TEXT(" 1111 ") TEXT("1111") TEXT(" 11")
           TEXT("11, not 12.") FIN("0", "stop") DONE,
           "content", "It is ***, not 12.");
    assert_int_equal(s.counts[0], 1);

    run_is(&s, TEXT("\\u0061nn\\u00e9@ma") TEXT("il.\\u0065xample") TEXT("!")
           FIN("0", "stop") DONE, "content", "<mail>!");
    assert_int_equal(s.counts[1], 1);

    /* what never becomes a match comes out at the end, also of a text that
     * ends with a match */

    run_is(&s, TEXT("4111 1111 1111") FIN("0", "stop") DONE, "content",
           "4111 1111 1111");
    run_is(&s, TEXT("4111 1111 1111 ") TEXT("1111") FIN("0", "stop") DONE,
           "content", "***");

    /* a rule for content is none for thoughts */

    run_is(&s, THINK("a@b.example") TEXT("x") FIN("0", "stop") DONE,
           "reasoning_content", "a@b.example");

    set_end(&s);
}


/* A surrogate pair cut in two, and what a mask holds is escaped. */
static void
test_escapes(void **state)
{
    set_t  s;

    (void) state;

    set_begin(&s, NULL);
    set_rule(&s, "\xf0\x9f\x98\x80+", LLM_REDACT_CONTENT, LLM_REDACT_MASK,
             "\"\\\n");

    run_is(&s, TEXT("a\\ud83d") TEXT("\\ude00b") FIN("0", "stop") DONE,
           "content", "a\"\\\nb");

    set_end(&s);
}


static void
test_order(void **state)
{
    char          *at, *call;
    set_t          s;
    flow_result_t  r;

    (void) state;

    set_begin(&s, NULL);
    set_rule(&s, MAIL, LLM_REDACT_CONTENT, LLM_REDACT_MASK, "***");

    /* what waits comes out in front of what follows it */

    flow_run_text(&r, &s.flow, THINK("why") TEXT("Let me see") BEGIN
                  ARGS("{}") FIN("0", "tool_calls") DONE);
    assert_int_equal(r.rc, LLM_DONE);

    at = strstr((const char *) r.p, "see");
    call = strstr((const char *) r.p, "call_1");
    assert_true(at != NULL && call != NULL && at < call);
    flow_forget(&r);

    set_end(&s);
}


static void
test_arguments(void **state)
{
    set_t  s;

    (void) state;

    set_begin(&s, NULL);
    set_rule(&s, CARD, LLM_REDACT_TOOL_ARGS, LLM_REDACT_MASK, "*\"*");
    set_rule(&s, "\\bsecret\\b", LLM_REDACT_TOOL_ARGS, LLM_REDACT_MASK, "");

    run_is(&s, BEGIN ARGS("{\\\"card\\\":\\\"4111 1111") ARGS(" 1111 1111")
           ARGS("\\\",\\\"n\\\":411111") ARGS("1111111111,\\\"secret\\\":")
           ARGS("[tru") ARGS("e,\\\"a \\\\u0073ecret\\\",null,-1.5e3]}")
           FIN("0", "tool_calls") DONE, "arguments",
           "{\"card\":\"*\\\"*\",\"n\":\"*\\\"*\",\"secret\":[true,\"a \","
           "null,-1.5e3]}");

    /* each string is a text by itself */

    run_is(&s, BEGIN ARGS("[\\\"4111 1111 1111\\\",\\\" 1111\\\"]")
           FIN("0", "tool_calls") DONE, "arguments",
           "[\"4111 1111 1111\",\" 1111\"]");

    /* what is no JSON is one text */

    run_is(&s, BEGIN ARGS("pay sec") ARGS("ret now") FIN("0", "tool_calls")
           DONE, "arguments", "pay  now");

    run_is(&s, BEGIN ARGS("{'a': 'secret'}") FIN("0", "tool_calls") DONE,
           "arguments", "{'a': ''}");

    set_end(&s);
}


static void
test_reasoning(void **state)
{
    set_t  s;

    (void) state;

    set_begin(&s, NULL);
    set_rule(&s, "secret", ALL, LLM_REDACT_MASK, "***");

    run_is(&s, THINK("a sec") THINK("ret th") THINK("ing") TEXT("sec")
           TEXT("ret") FIN("0", "stop") DONE, "reasoning_content",
           "a *** thing");

    /* each is a text by itself */

    run_is(&s, THINK("a sec") TEXT("ret") FIN("0", "stop") DONE,
           "reasoning_content", "a sec");

    set_end(&s);
}


/* Blocking, for each client dialect: the words, the finish, nothing behind. */
static void
test_block(void **state)
{
    size_t                i;
    set_t                 s;
    flow_result_t         r;
    const llm_dialect_t  *d;

    (void) state;

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {

        if (d->encode == NULL) {
            continue;
        }

        set_begin(&s, d);
        set_rule(&s, "forbidden", LLM_REDACT_CONTENT, LLM_REDACT_BLOCK,
                 "Not said here.");

        flow_run_text(&r, &s.flow, ROLE TEXT("Well, for") TEXT("bid")
                      TEXT("den things") TEXT("more") FIN("0", "stop") DONE);

        assert_int_equal(r.rc, LLM_DONE);
        assert_true(holds(&r, "Well, "));
        assert_true(holds(&r, "Not said here."));
        assert_false(holds(&r, "forb"));
        assert_false(holds(&r, "den"));
        assert_false(holds(&r, "things"));
        assert_false(holds(&r, "more"));
        assert_int_equal(s.counts[0], 1);
        assert_int_equal(r.measure.estimated, 1);
        flow_forget(&r);

        /* as one answer */

        s.flow.answer_out = 1;
        flow_run_text(&r, &s.flow, ROLE TEXT("Well, for") TEXT("bid")
                      TEXT("den things") TEXT("more") FIN("0", "stop") DONE);

        assert_int_equal(r.rc, LLM_DONE);
        assert_true(holds(&r, "Not said here."));
        assert_false(holds(&r, "forb"));
        assert_false(holds(&r, "things"));
        flow_forget(&r);

        set_end(&s);
    }
}


/* In the middle of arguments: they stay JSON. */
static void
test_block_arguments(void **state)
{
    char          *args;
    set_t          s;
    json_t        *root;
    flow_result_t  r;

    (void) state;

    set_begin(&s, NULL);
    set_rule(&s, "forbidden", LLM_REDACT_TOOL_ARGS, LLM_REDACT_BLOCK, "No.");

    flow_run_text(&r, &s.flow, ROLE BEGIN ARGS("{\\\"a\\\":[{\\\"b\\\":1},"
                  "\\\"x forbid") ARGS("den\\\"],\\\"c\\\":2}")
                  FIN("0", "tool_calls") DONE);

    assert_int_equal(r.rc, LLM_DONE);
    assert_true(holds(&r, "\"content_filter\""));
    said_is(&r, "refusal", "No.");
    args = said(&r, "arguments");
    assert_string_equal(args, "{\"a\":[{\"b\":1},\"x \"]}");
    root = flow_json(args, strlen(args));
    json_decref(root);
    free(args);
    flow_forget(&r);

    set_end(&s);
}


/* One choice of two is blocked: the other goes on. */
static void
test_choices(void **state)
{
    set_t          s;
    flow_result_t  r;

#define OTHER(t)  EV("{" ID ",\"choices\":[{\"index\":1,\"delta\":"          \
                     "{\"content\":\"" t "\"}}]}")

    (void) state;

    set_begin(&s, NULL);
    s.flow.choices = 2;
    set_rule(&s, "forbidden", LLM_REDACT_CONTENT, LLM_REDACT_BLOCK, "No.");

    flow_run_text(&r, &s.flow, TEXT("a") OTHER("for") TEXT("forbidden")
                  TEXT("gone") OTHER("bearing") FIN("1", "stop") FIN("0",
                  "stop") DONE);

    assert_int_equal(r.rc, LLM_DONE);
    assert_false(holds(&r, "gone"));
    assert_true(holds(&r, "bearing"));
    assert_true(holds(&r, "\"content_filter\""));
    flow_forget(&r);

    set_end(&s);
}


/* Rules that only count: the bytes are those that came. */
static void
test_log(void **state)
{
    set_t          s;
    flow_result_t  r;
    const char    *stream;

    (void) state;

    stream = ROLE TEXT("4111 1111 \\u0031") TEXT("111 1111.") THINK("x@y.zz")
             BEGIN ARGS("{\\\"a\\\":\\\"x@y.zz\\/\\\"}") FIN("0", "stop")
             DONE;

    set_begin(&s, NULL);
    set_rule(&s, CARD, ALL, LLM_REDACT_LOG, "");
    set_rule(&s, MAIL, ALL, LLM_REDACT_LOG, "");
    s.flow.pass = 1;

    flow_run_text(&r, &s.flow, stream);
    assert_int_equal(r.rc, LLM_DONE);
    assert_string_equal((const char *) r.p, stream);
    assert_int_equal(s.counts[0], 1);
    assert_int_equal(s.counts[1], 2);
    flow_forget(&r);

    set_end(&s);
}


/* What else repeats the text. */
static void
test_repeats(void **state)
{
    set_t          s;
    flow_result_t  r;

    (void) state;

    set_begin(&s, NULL);
    set_rule(&s, "secret", LLM_REDACT_CONTENT, LLM_REDACT_MASK, "***");

    flow_run_text(&r, &s.flow, EV("{" ID ",\"choices\":[{\"index\":0,"
        "\"delta\":{\"content\":\"secret\"},\"logprobs\":{\"content\":[{"
        "\"token\":\"secret\",\"logprob\":-1,\"bytes\":null,"
        "\"top_logprobs\":[]}]}}]}") FIN("0", "stop") DONE);
    assert_int_equal(r.rc, LLM_DONE);
    assert_false(holds(&r, "secret"));
    assert_true(holds(&r, "***"));
    flow_forget(&r);

    /* the last events of this dialect say all once more */

    s.flow.client = &llm_dialect_responses;
    flow_run_text(&r, &s.flow, ROLE TEXT("a sec") TEXT("ret") FIN("0", "stop")
                  DONE);
    assert_int_equal(r.rc, LLM_DONE);
    assert_true(holds(&r, "output_text.done"));
    assert_false(holds(&r, "secret"));
    assert_false(holds(&r, "\"ret"));
    flow_forget(&r);

    set_end(&s);
}


/* A search that takes too long ends the answer; nothing of it comes out. */
static void
test_limits(void **state)
{
    set_t          s;
    flow_result_t  r;

    (void) state;

    set_begin(&s, NULL);
    set_rule(&s, "(?:a{1,9}){1,9}(?:a{1,9}){1,9}(?:a|aa){1,20}!",
             LLM_REDACT_CONTENT, LLM_REDACT_MASK, "***");

    flow_run_text(&r, &s.flow, ROLE TEXT("b ") TEXT("aaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        ". ") TEXT("x") FIN("0", "stop") DONE);

    assert_int_equal(r.rc, LLM_FAILED);
    assert_int_equal(r.fault, LLM_FAULT_INTERNAL);
    assert_int_equal(s.gave_up, 1);
    assert_true(holds(&r, "b "));
    assert_false(holds(&r, "aaa"));
    flow_forget(&r);

    set_end(&s);
}


/* A stream that breaks: what waits comes out, masked; a block then is the end
 * of the text and no finish. */
static void
test_broken(void **state)
{
    set_t          s;
    flow_result_t  r;

    (void) state;

    set_begin(&s, NULL);
    set_rule(&s, "secret|sec", LLM_REDACT_CONTENT, LLM_REDACT_MASK, "***");
    set_rule(&s, "bomb|bo", LLM_REDACT_CONTENT, LLM_REDACT_BLOCK, "No.");

    flow_run_text(&r, &s.flow, ROLE TEXT("a sec"));
    assert_int_equal(r.rc, LLM_FAILED);
    said_is(&r, "content", "a ***");
    assert_true(holds(&r, "\"error\""));
    flow_forget(&r);

    flow_run_text(&r, &s.flow, ROLE TEXT("a bo"));
    assert_int_equal(r.rc, LLM_FAILED);
    said_is(&r, "content", "a ");
    assert_false(holds(&r, "No."));
    assert_false(holds(&r, "content_filter"));
    assert_true(holds(&r, "\"error\""));
    flow_forget(&r);

    set_end(&s);
}


/* No memory at any allocation: a fault, no leak, and never the secret. */
static void
test_memory(void **state)
{
    size_t         i;
    set_t          s;
    flow_result_t  r;

    (void) state;

    set_begin(&s, NULL);
    set_rule(&s, "secret", ALL, LLM_REDACT_MASK, "***");

    for (i = 1; i < 300; i++) {
        s.flow.fail_at = i;
        flow_run_text(&r, &s.flow, ROLE THINK("secret") TEXT("a sec")
                      TEXT("ret") BEGIN ARGS("{\\\"a\\\":\\\"secret\\\"}")
                      FIN("0", "stop") DONE);
        assert_false(holds(&r, "secret"));

        if (r.rc == LLM_DONE) {
            flow_forget(&r);
            break;
        }

        flow_forget(&r);
    }

    assert_true(i > 10 && i < 300);
    set_end(&s);
}


/* The longest word of the text, of six letters at least. */
static int
longest(const flow_result_t *r, char *word, size_t room)
{
    size_t  i, n, most;

    for (i = 0, n = 0, most = 5; i <= r->n && n < room; i++) {

        if (i < r->n && (r->p[i] | 0x20) >= 'a' && (r->p[i] | 0x20) <= 'z') {
            n++;
            continue;
        }

        if (n > most) {
            most = n;
            memcpy(word, r->p + i - n, n);
            word[n] = '\0';
        }

        n = 0;
    }

    return most > 5;
}


static const llm_dialect_t  *upstream;
static size_t                checked;


/* The longest word of a fixture is hidden: no client is told it, wherever
 * else the provider repeats it. */
static void
fixture_is_masked(const char *path, const char *name)
{
    char                  word[64];
    size_t                i, n;
    set_t                 s;
    llm_u8               *p;
    flow_result_t         r;
    const llm_dialect_t  *d;

    /* a finish in the middle of the word makes two texts of it */

    if (strcmp(name, "finish-then-content.sse") == 0) {
        return;
    }

    p = unit_read(path, &n);

    set_begin(&s, &llm_dialect_text);
    s.flow.upstream = upstream;
    s.flow.nstages = 0;
    flow_run(&r, &s.flow, p, n, NULL, 0);

    word[0] = '\0';

    if (r.rc != LLM_DONE || !longest(&r, word, sizeof(word) - 1)) {
        word[0] = '\0';
    }

    flow_forget(&r);

    for (i = 0; word[0] != '\0' && (d = llm_dialect_at(i)) != NULL; i++) {

        if (d->encode == NULL) {
            continue;
        }

        set_end(&s);
        set_begin(&s, d);
        s.flow.upstream = upstream;
        set_rule(&s, word, ALL, LLM_REDACT_MASK, "***");
        flow_run(&r, &s.flow, p, n, NULL, 0);

        if (holds(&r, word)) {
            fail_msg("%s to %.*s: %s in %s", name, (int) d->name.n,
                     (const char *) d->name.p, word, (const char *) r.p);
        }

        assert_true(s.counts[0] != 0);
        flow_forget(&r);
        checked++;
    }

    set_end(&s);
    free(p);
}


static void
test_fixtures(void **state)
{
    int          n;
    char         folder[200];
    size_t       i;
    const char  *name;

    (void) state;

    for (i = 0; (upstream = llm_dialect_at(i)) != NULL; i++) {

        if (upstream->decode == NULL) {
            continue;
        }

        name = (const char *) upstream->name.p;
        n = (int) upstream->name.n;

        if (upstream == &llm_dialect_responses) {
            name = "responses";
            n = 9;
        }

        (void) snprintf(folder, sizeof(folder), "t/fixtures/%.*s", n, name);
        (void) unit_each(folder, upstream->framing == LLM_FRAMING_SSE
                                 ? "sse" : "ndjson", fixture_is_masked);
    }

    assert_true(checked > 100);
}


/* Nothing follows a block, of whatever choice. */
static void
test_block_beyond(void **state)
{
    set_t          s;
    flow_result_t  r;

    (void) state;

    set_begin(&s, NULL);
    set_rule(&s, "bomb", LLM_REDACT_CONTENT, LLM_REDACT_BLOCK, "No.");

    flow_run_text(&r, &s.flow, EV("{" ID ",\"choices\":[{\"index\":200,"
                  "\"delta\":{\"content\":\"a bomb is\"}}]}")
                  EV("{" ID ",\"choices\":[{\"index\":200,\"delta\":"
                  "{\"content\":\" made of what is here\"}}]}")
                  FIN("200", "stop") DONE);

    assert_int_equal(r.rc, LLM_FAILED);
    assert_true(holds(&r, "No."));
    assert_false(holds(&r, "here"));

    flow_forget(&r);
    set_end(&s);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_reasoning),
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_block_arguments),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_block_beyond),
        cmocka_unit_test(test_fixtures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
