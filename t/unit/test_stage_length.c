/*
 * The stage that ends an answer at the limit of output.  A stage in front of
 * it stands for the estimate: a byte of text is a token.
 */

#include "flow_support.h"
#include "llm_channel.h"
#include "llm_stage_length.h"


typedef struct {
    llm_stage_t   stage;
    llm_block_t   text;
} count_t;


static llm_rc_t
count_init(llm_stage_t *s, const void *conf)
{
    (void) s;
    (void) conf;

    return LLM_OK;
}


static llm_rc_t
count_event(llm_stage_t *s, const llm_event_t *ev)
{
    count_t        *c;
    llm_channel_t   ch;

    c = (count_t *) s;

    if (ev->type == LLM_EV_TEXT || ev->type == LLM_EV_REASONING
        || ev->type == LLM_EV_TOOL_CALL)
    {
        memset(&ch, 0, sizeof(ch));
        c->text.n = 0;

        if (llm_channel_decode(&ch, &c->text, &s->chain->alloc, &ev->text)
            != LLM_OK)
        {
            return LLM_NOMEM;
        }

        s->chain->output += c->text.n * 1000;
    }

    return llm_stage_pass(s, ev);
}


static void
count_drop(llm_stage_t *s)
{
    llm_block_free(&((count_t *) s)->text, &s->chain->alloc);
}


static const llm_stage_type_t  count_type = {
    "count", sizeof(count_t), count_init, count_event, NULL, NULL, count_drop
};


/* A stream of Flowise of these texts, each a JSON string's inside. */
static char *
flowise(const char *const *texts, size_t n)
{
    char    *s, *p;
    size_t   i, size;

    size = 200;

    for (i = 0; i < n; i++) {
        size += strlen(texts[i]) + 60;
    }

    p = s = malloc(size);
    assert_non_null(s);

    p += sprintf(p, "message:\ndata:{\"event\":\"start\",\"data\":\"\"}\n\n");

    for (i = 0; i < n; i++) {
        p += sprintf(p, "message:\ndata:{\"event\":\"token\",\"data\":\"%s\"}"
                     "\n\n", texts[i]);
    }

    sprintf(p, "message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n");

    return s;
}


static void
limited(flow_result_t *r, const llm_dialect_t *upstream,
    const llm_dialect_t *client, const char *in, uint64_t limit,
    unsigned choices)
{
    flow_case_t       c;
    llm_stage_conf_t  stages[2];

    memset(stages, 0, sizeof(stages));
    stages[0].type = &count_type;
    stages[0].observes = 1;
    stages[1].type = &llm_stage_length;
    stages[1].conf = &limit;

    c = flow_default;
    c.upstream = upstream;
    c.client = client;
    c.stages = stages;
    c.nstages = 2;
    c.choices = choices;

    flow_all_cuts("length", r, &c, (const llm_u8 *) in, strlen(in), 7, 20);
}


static void
test_length_text(void **state)
{
    char           *in;
    size_t          n, i;
    flow_result_t   r;

    static const char *const  texts[] = {
        "Hello", ",", " wor\\u006cd", "!\\n", "", " One long piece \\\"x\\\"."
    };

    static const char  all[] = "Hello, world!\n One long piece \"x\".";

    (void) state;

    in = flowise(texts, sizeof(texts) / sizeof(texts[0]));
    n = sizeof(all) - 1;

    for (i = 1; i <= n + 1; i++) {
        limited(&r, &llm_dialect_flowise, &llm_dialect_text, in, i * 1000, 0);

        assert_int_equal(r.rc, LLM_DONE);
        assert_int_equal(r.n, i < n ? i : n);
        assert_memory_equal(r.p, all, r.n);
        assert_int_equal(r.fault, LLM_FAULT_NONE);

        if (i < n) {
            assert_int_equal(r.measure.nfinish, 6);
            assert_memory_equal(r.measure.finish, "length", 6);
            assert_int_equal(r.measure.estimated, 1);
        }

        flow_forget(&r);
    }

    free(in);
}


/* To the character; in one piece, too. */
static void
test_length_characters(void **state)
{
    char           *in;
    size_t          i, k, n;
    flow_result_t   r;

    static const char *const  texts[] = {
        "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, "
        "\xf0\x9f\x98\x80\\ud83d\\ude00\xe4\xb8\xad\xe6\x96\x87"
    };

    static const char  all[] =
        "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, "
        "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xe4\xb8\xad\xe6\x96\x87";

    (void) state;

    in = flowise(texts, 1);
    n = sizeof(all) - 1;

    for (i = 1; i < n; i++) {
        limited(&r, &llm_dialect_flowise, &llm_dialect_text, in, i * 1000, 0);

        for (k = i; (all[k] & 0xc0) == 0x80; k--) { /* void */ }

        assert_int_equal(r.rc, LLM_DONE);
        assert_int_equal(r.n, k);
        assert_memory_equal(r.p, all, k);
        flow_forget(&r);
    }

    free(in);
}


/* A character whose half has gone out gets the other one. */
static void
test_length_halves(void **state)
{
    char           *in;
    size_t          i;
    flow_result_t   r;

    static const char *const  texts[] = { "ab\\ud83d", "\\uDE00cdefgh" };

    static const struct {
        uint64_t     limit;
        const char  *text;
    } cases[] = {
        { 2000, "ab\xf0\x9f\x98\x80" },     /* nothing more has room */
        { 4000, "ab\xf0\x9f\x98\x80" "c" }
    };

    (void) state;

    in = flowise(texts, 2);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        limited(&r, &llm_dialect_flowise, &llm_dialect_text, in,
                cases[i].limit, 0);

        assert_int_equal(r.rc, LLM_DONE);
        assert_int_equal(r.n, strlen(cases[i].text));
        assert_memory_equal(r.p, cases[i].text, r.n);
        flow_forget(&r);
    }

    free(in);
}


/* Each client's word for it, and an end as it should be. */
static void
test_length_clients(void **state)
{
    char           *in;
    size_t          i;
    flow_result_t   r;

    static const char *const  texts[] = { "abc", "defgh", "ijk" };

    static const struct {
        const llm_dialect_t  *client;
        const char           *has;
    } clients[] = {
        { &llm_dialect_openai, "\"finish_reason\":\"length\"" },
        { &llm_dialect_completions, "\"finish_reason\":\"length\"" },
        { &llm_dialect_responses, "\"reason\":\"max_output_tokens\"" },
        { &llm_dialect_anthropic, "\"stop_reason\":\"max_tokens\"" },
        { &llm_dialect_gemini, "\"finishReason\":\"MAX_TOKENS\"" },
        { &llm_dialect_ollama, "\"done_reason\":\"length\"" },
        { &llm_dialect_generate, "\"done_reason\":\"length\"" },
        { &llm_dialect_flowise, "\"event\":\"end\"" },
        { &llm_dialect_simple, "\"done\":true" }
    };

    (void) state;

    in = flowise(texts, 3);

    for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        limited(&r, &llm_dialect_flowise, clients[i].client, in, 5000, 0);

        assert_int_equal(r.rc, LLM_DONE);

        if (strstr((char *) r.p, clients[i].has) == NULL
            || strstr((char *) r.p, "def") != NULL
            || strstr((char *) r.p, "ij") != NULL)
        {
            fail_msg("%s: %s", clients[i].client->name.p, r.p);
        }

        flow_forget(&r);
    }

    free(in);
}


/* Several choices: what is left is shared, each ends by itself. */
static void
test_length_choices(void **state)
{
    flow_result_t  r;

#define CHUNK(i, what)                                                      \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\","             \
    "\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":" #i ","         \
    what "}]}\n\n"
#define TEXT(i, s)  CHUNK(i, "\"delta\":{\"content\":\"" s "\"},"           \
                             "\"finish_reason\":null")

    static const char  in[] =
        TEXT(0, "abcd") TEXT(1, "efgh") TEXT(0, "ijkl") TEXT(0, "mnop")
        TEXT(1, "qrst") TEXT(1, "uvwx")
        CHUNK(0, "\"delta\":{},\"finish_reason\":\"stop\"")
        CHUNK(1, "\"delta\":{},\"finish_reason\":\"stop\"")
        "data: [DONE]\n\n";

    (void) state;

    limited(&r, &llm_dialect_openai, &llm_dialect_openai, in, 10000, 2);

    assert_int_equal(r.rc, LLM_DONE);
    assert_non_null(strstr((char *) r.p, "\"ij\""));
    assert_null(strstr((char *) r.p, "mnop"));
    assert_null(strstr((char *) r.p, "q"));
    assert_null(strstr((char *) r.p, "\"stop\""));
    assert_non_null(strstr((char *) r.p, "[DONE]"));
    flow_forget(&r);

    /* one that says nothing more ends as it ended */

    limited(&r, &llm_dialect_openai, &llm_dialect_openai,
            TEXT(0, "abcd") TEXT(1, "ef")
            CHUNK(1, "\"delta\":{},\"finish_reason\":\"stop\"")
            TEXT(0, "ijkl") TEXT(0, "mnop") "data: [DONE]\n\n", 8000, 2);

    assert_int_equal(r.rc, LLM_DONE);
    assert_non_null(strstr((char *) r.p, "\"stop\""));
    assert_non_null(strstr((char *) r.p, "\"length\""));
    assert_non_null(strstr((char *) r.p, "\"ij\""));
    flow_forget(&r);
}


/* Half a call is none: it is left out as a whole. */
static void
test_length_call(void **state)
{
    flow_result_t  r;

    static const char  in[] =
        TEXT(0, "abcd")
        CHUNK(0, "\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\","
              "\"type\":\"function\",\"function\":{\"name\":\"f\","
              "\"arguments\":\"{\\\"a\\\":1}\"}}]},\"finish_reason\":null")
        "data: [DONE]\n\n";

    (void) state;

    limited(&r, &llm_dialect_openai, &llm_dialect_anthropic, in, 6000, 0);

    assert_int_equal(r.rc, LLM_DONE);
    assert_non_null(strstr((char *) r.p, "abcd"));
    assert_null(strstr((char *) r.p, "tool_use"));
    assert_non_null(strstr((char *) r.p, "max_tokens"));
    flow_forget(&r);
}


static void
test_length_nomem(void **state)
{
    char              *in;
    size_t             i;
    uint64_t           limit;
    flow_case_t        c;
    flow_result_t      r;
    llm_stage_conf_t   stages[2];

    static const char *const  texts[] = { "abc\\n", "defgh" };

    (void) state;

    in = flowise(texts, 2);
    limit = 6000;

    memset(stages, 0, sizeof(stages));
    stages[0].type = &count_type;
    stages[1].type = &llm_stage_length;
    stages[1].conf = &limit;

    c = flow_default;
    c.upstream = &llm_dialect_flowise;
    c.stages = stages;
    c.nstages = 2;

    for (i = 1; ; i++) {
        c.fail_at = i;
        flow_run(&r, &c, in, strlen(in), NULL, 0);

        if (r.rc == LLM_DONE) {
            break;
        }

        flow_forget(&r);
    }

    assert_true(i > 3);
    flow_forget(&r);
    free(in);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_length_text),
        cmocka_unit_test(test_length_characters),
        cmocka_unit_test(test_length_halves),
        cmocka_unit_test(test_length_clients),
        cmocka_unit_test(test_length_choices),
        cmocka_unit_test(test_length_call),
        cmocka_unit_test(test_length_nomem)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
