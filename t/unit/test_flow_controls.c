/*
 * All stages and padding at once, from every dialect to every other: at any
 * cuts and any pace a client reads the same, and no secret, however it ends.
 */

#include "flow_chunks.h"
#include "llm_estimate.h"
#include "llm_stage_coalesce.h"
#include "llm_stage_length.h"
#include "llm_stage_redact.h"
#include "llm_stage_stop.h"
#include "llm_stage_tap.h"


#define SECRET  "hunter2secret"
#define STAGES  6
#define ROUNDS  200

/* what else is on */
#define BLOCK   1
#define STOP    2
#define LENGTH  4
#define BUCKET  8

#define NAME(dialect)  ((const char *) (dialect)->name.p)

typedef struct {
    unit_alloc_t             unit;
    llm_alloc_t              alloc;
    llm_redact_t             redact;
    uint64_t                 counts[4];
    unsigned                 gave_up;
    llm_stage_redact_conf_t  redacts;
    llm_match_t              match;
    llm_slice_t              strings[2];
    void                    *memory;
    uint64_t                 length;
    llm_coalesce_conf_t      coalesce;
    llm_block_t              tapped;
    llm_tap_conf_t           tap;
    llm_pad_conf_t           pad;
    llm_stage_conf_t         stages[STAGES];
    flow_case_t              flow;
} all_t;

static const llm_dialect_t *const  clients[] = {
    &llm_dialect_openai, &llm_dialect_completions, &llm_dialect_responses,
    &llm_dialect_anthropic, &llm_dialect_gemini, &llm_dialect_ollama,
    &llm_dialect_generate, &llm_dialect_flowise, &llm_dialect_cohere,
    &llm_dialect_simple, &llm_dialect_typed, &llm_dialect_text
};

#define CLIENTS  (sizeof(clients) / sizeof(clients[0]))


static void
all_tapped(void *ctx, const llm_u8 *p, size_t n)
{
    all_t  *a;

    a = ctx;
    assert_non_null(p);
    assert_int_equal(llm_block_append(&a->tapped, &a->alloc, p, n), LLM_OK);
}


static void
all_bytes(void *ctx, llm_u8 *p, size_t n)
{
    (void) ctx;

    while (n-- != 0) {
        *p++ = (llm_u8) unit_random(256);
    }
}


static void
all_rule(all_t *a, const char *regex, llm_redact_action_t action,
    const char *with)
{
    llm_redact_why_t   why;
    llm_redact_rule_t  rule;

    memset(&rule, 0, sizeof(llm_redact_rule_t));

    rule.name = llm_slice("rule");
    rule.with.p = (const llm_u8 *) with;
    rule.with.n = strlen(with);
    rule.action = action;
    rule.in = LLM_REDACT_CONTENT|LLM_REDACT_REASONING|LLM_REDACT_TOOL_ARGS;
    rule.max = 64;

    assert_int_equal(llm_redact_regex(&a->redact, &rule,
                                      (const llm_u8 *) regex, strlen(regex),
                                      &why), LLM_OK);
}


static void
all_begin(all_t *a, unsigned how)
{
    size_t  size;

    memset(a, 0, sizeof(all_t));

    a->alloc = unit_alloc(&a->unit);

    llm_redact_init(&a->redact, &a->alloc);
    all_rule(a, SECRET, LLM_REDACT_MASK, "\xe2\x96\x88");
    all_rule(a, "\\d{4}", LLM_REDACT_LOG, "");
    all_rule(a, "t\\w{0,3}2s", LLM_REDACT_MASK, "<\"\\>");

    if (how & BLOCK) {
        all_rule(a, "forbid+en", LLM_REDACT_BLOCK, "I must not.");
    }

    a->redacts.redact = &a->redact;
    a->redacts.counts = a->counts;
    a->redacts.gave_up = &a->gave_up;

    a->strings[0] = (how & STOP) ? llm_slice("STOP") : llm_slice("never-ever");
    a->strings[1] = llm_slice("secretly-hunter2");
    size = llm_match_size(a->strings, 2);
    a->memory = malloc(size);
    assert_non_null(a->memory);
    llm_match_init(&a->match, a->memory, a->strings, 2);

    a->length = (how & LENGTH) ? 30 * 1000 : 1000000 * 1000;

    a->coalesce.time = 40;
    a->coalesce.max_delay = 100;
    a->coalesce.boundary = LLM_BREAK_WORD;

    a->tap.text = all_tapped;
    a->tap.ctx = a;

    a->pad.bucket = (how & BUCKET) ? 128 : 0;
    a->pad.random = 32;
    a->pad.bytes = all_bytes;

    a->stages[0] = (llm_stage_conf_t) { &llm_stage_estimate, NULL, 1 };
    a->stages[1] = (llm_stage_conf_t) { &llm_stage_stop, &a->match, 0 };
    a->stages[2] = (llm_stage_conf_t) { &llm_stage_length, &a->length, 0 };
    a->stages[3] = (llm_stage_conf_t) { &llm_stage_redact, &a->redacts, 0 };
    a->stages[4] = (llm_stage_conf_t) { &llm_stage_coalesce, &a->coalesce,
                                        0 };
    a->stages[5] = (llm_stage_conf_t) { &llm_stage_tap, &a->tap, 1 };

    a->flow.stages = a->stages;
    a->flow.nstages = STAGES;
    a->flow.choices = 1;
    a->flow.usage = 1;
    a->flow.pad = &a->pad;
}


static void
all_end(all_t *a)
{
    llm_redact_free(&a->redact);
    llm_block_free(&a->tapped, &a->alloc);
    free(a->memory);
    assert_int_equal(a->unit.live, 0);
}


/* Pieces of what a model says, as they are in JSON. */
static const char *const  words[] = {
    "hunter2", "secret", "hunt", "er2sec", "ret", SECRET, "STOP", "ST", "OP",
    "forbid", "den", "forbidden", " ", ". ", "\\n", "\\\"", "\\\\", "a",
    "\\u0068unter", "2s\\u0065cret", "\xd0\xb4\xd0\xb0 ", "\xf0\x9f\x91\xa9",
    "\\ud83d\\ude00", "1234", "e\xcc\x81", "\xe4\xbd\xa0\xe5\xa5\xbd", "</a>",
    "\xe2\x80\xa8", "word word ", "!"
};


static void
put_words(char *s, unsigned most, unsigned rare)
{
    unsigned  i, n;

    *s = '\0';
    n = unit_random(most + 1);

    while (n-- != 0) {
        i = (unsigned) unit_random(sizeof(words) / sizeof(words[0]));

        if (i >= 6 && i < 12 && !rare) {
            continue;
        }

        (void) strcat(s, words[i]);
    }
}


/* A random stream of OpenAI's. */
static char *
random_stream(unsigned rare)
{
    char      *s, *p, text[400];
    unsigned   i, n, calls;

    s = malloc(65536);
    assert_non_null(s);

    p = s + sprintf(s, "%s", ROLE);
    calls = 0;
    n = 3 + (unsigned) unit_random(30);

    for (i = 0; i < n; i++) {
        put_words(text, 3, rare);

        if (i < n / 4) {
            p += sprintf(p, "data: {" ID ",\"choices\":[{\"index\":0,"
                         "\"delta\":{\"reasoning_content\":\"%s\"}}]}\n\n",
                         text);

        } else if (i > 3 * n / 4 && calls < 3 && unit_random(2)) {
            p += sprintf(p, "data: {" ID ",\"choices\":[{\"index\":0,"
                         "\"delta\":{\"tool_calls\":[{\"index\":%u,\"id\":"
                         "\"call_%u\",\"type\":\"function\",\"function\":"
                         "{\"name\":\"f\",\"arguments\":\"{\\\"k\\\":\"}}]}}"
                         "]}\n\n", calls, calls);
            p += sprintf(p, "data: {" ID ",\"choices\":[{\"index\":0,"
                         "\"delta\":{\"tool_calls\":[{\"index\":%u,"
                         "\"function\":{\"arguments\":\"[1234,\\\"hun"
                         "\"}}]}}]}\n\n", calls);
            p += sprintf(p, "data: {" ID ",\"choices\":[{\"index\":0,"
                         "\"delta\":{\"tool_calls\":[{\"index\":%u,"
                         "\"function\":{\"arguments\":\"ter2s\\\\u0065cret "
                         "%s\\\"]}\"}}]}}]}\n\n", calls,
                         unit_random(2) ? "x" : "hunter2secret");
            calls++;

        } else if (calls == 0) {
            p += sprintf(p, "data: {" ID ",\"choices\":[{\"index\":0,"
                         "\"delta\":{\"content\":\"%s\"}}]}\n\n", text);
        }
    }

    p += sprintf(p, "%s%s%s", calls ? FIN("0", "tool_calls")
                                    : FIN("0", "stop"), USE, DONE);

    return s;
}


static int
has(const flow_result_t *r, const char *what)
{
    return r->n != 0 && memmem(r->p, r->n, what, strlen(what)) != NULL;
}


/* What an openai client gathers: texts, arguments, finish. */
static char *
gathered(const llm_u8 *p, size_t n, unsigned whole)
{
    char          *out[8], *all;
    size_t         i, len;
    json_t        *root, *choice, *delta, *call;
    unsigned       k;
    const char    *s;
    const llm_u8  *end, *eol;

    for (i = 0; i < 8; i++) {
        out[i] = calloc(1, n + 1);
    }

    for (end = p + n; p < end; p = eol + 1) {
        eol = memchr(p, '\n', (size_t) (end - p));
        assert_non_null(eol);
        len = (size_t) (eol - p);

        if (len < 7 || p[6] != '{') {
            continue;
        }

        root = flow_json(p + 6, len - 6);
        choice = json_array_get(json_object_get(root, "choices"), 0);
        delta = json_object_get(choice, "delta");

        s = json_string_value(json_object_get(delta, "content"));
        (void) strcat(out[0], s ? s : "");
        s = json_string_value(json_object_get(delta, "reasoning_content"));
        (void) strcat(out[1], s ? s : "");
        s = json_string_value(json_object_get(delta, "refusal"));
        (void) strcat(out[2], s ? s : "");
        s = json_string_value(json_object_get(choice, "finish_reason"));
        (void) strcat(out[3], s ? s : "");

        call = json_array_get(json_object_get(delta, "tool_calls"), 0);

        if (call != NULL) {
            k = (unsigned) json_integer_value(json_object_get(call, "index"));
            assert_true(k < 4);
            s = json_string_value(json_object_get(json_object_get(call,
                                                  "function"), "arguments"));
            (void) strcat(out[4 + k], s ? s : "");
        }

        json_decref(root);
    }

    all = malloc(8 * n + 100);
    assert_non_null(all);
    *all = '\0';

    for (i = 0; i < 8; i++) {
        (void) strcat(strcat(all, out[i]), i < 7 ? "|" : "");

        if (i >= 4 && whole && out[i][0] != '\0') {
            root = json_loads(out[i], JSON_DECODE_ANY, NULL);

            if (root == NULL) {
                fail_msg("arguments are no JSON: %s", out[i]);
            }

            json_decref(root);
        }

        free(out[i]);
    }

    return all;
}


/* What a client reads of it. */
static char *
all_read(const all_t *a, unsigned how, const flow_result_t *r)
{
    char                 *all;
    flow_case_t           back;
    flow_result_t         q;
    const llm_dialect_t  *client;

    client = a->flow.client;

    if (client == &llm_dialect_openai) {
        return gathered(r->p, r->n, !(how & LENGTH));
    }

    if (client == &llm_dialect_text || client->decode == NULL) {

        /* for the others the tap says enough */

        all = calloc(1, r->n + 1);

        if (client == &llm_dialect_text && r->n != 0) {
            memcpy(all, r->p, r->n);
        }

        return all;
    }

    back = flow_default;
    back.upstream = client;
    flow_run(&q, &back, r->p, r->n, NULL, 0);

    /* some dialects have no word for a block but that of an error */

    if (q.rc != LLM_DONE && a->counts[3] == 0) {
        fail_msg("%s: not read, fault %d: %s", NAME(client), q.fault,
                 (char *) r->p);
    }

    all = gathered(q.p, q.n, !(how & LENGTH));
    flow_forget(&q);

    return all;
}


/* Runs a stream of the dialect through all stages to the client, and reads
 * it. */
static char *
all_run(unsigned how, const llm_dialect_t *upstream,
    const llm_dialect_t *client, const llm_u8 *p, size_t n, unsigned cut,
    llm_block_t *tapped)
{
    all_t          a;
    char          *all;
    size_t         k, *cuts;
    flow_result_t  r;

    all_begin(&a, how);
    a.flow.upstream = upstream;
    a.flow.client = client;
    a.flow.pace = cut ? 1 + (int64_t) unit_random(60) : 1;

    cuts = malloc((n + 1) * sizeof(size_t));
    k = cut ? unit_random_cuts(n, cuts, n < 64 ? n : 64) : 0;

    flow_run(&r, &a.flow, p, n, cuts, k);
    free(cuts);

    if (r.rc != LLM_DONE || has(&r, SECRET)) {
        fail_msg("%s to %s: fault %d, or a secret: %s", NAME(upstream),
                 NAME(client), r.fault, (char *) r.p);
    }

    all = all_read(&a, how, &r);

    assert_int_equal(llm_block_append(&a.tapped, &a.alloc, "", 1), LLM_OK);

    if (strstr((char *) a.tapped.p, SECRET) != NULL) {
        fail_msg("%s to %s: a secret in the tap", NAME(upstream),
                 NAME(client));
    }

    *tapped = a.tapped;
    tapped->p = malloc(tapped->n);
    memcpy(tapped->p, a.tapped.p, tapped->n);

    flow_forget(&r);
    all_end(&a);

    return all;
}


static void
all_compare(unsigned how, const llm_dialect_t *upstream,
    const llm_dialect_t *client, const llm_u8 *p, size_t n)
{
    char         *whole, *cut;
    unsigned      i;
    llm_block_t   t, u;

    whole = all_run(how, upstream, client, p, n, 0, &t);

    for (i = 0; i < 3; i++) {
        cut = all_run(how, upstream, client, p, n, 1, &u);

        if (strcmp(whole, cut) != 0 || t.n != u.n
            || memcmp(t.p, u.p, t.n) != 0)
        {
            fail_msg("%s to %s, %u:\n--- %s\n--- %s\n--- %s\n--- %s\n%s",
                     NAME(upstream), NAME(client), how, whole, cut,
                     (char *) t.p, (char *) u.p, (const char *) p);
        }

        free(cut);
        free(u.p);
    }

    free(whole);
    free(t.p);
}


/* No byte of a secret whatever the stream ends with. */
static void
all_broken(unsigned how, const llm_dialect_t *upstream,
    const llm_dialect_t *client, const llm_u8 *p, size_t n)
{
    all_t          a;
    size_t         at;
    flow_result_t  r;

    all_begin(&a, how);
    a.flow.upstream = upstream;
    a.flow.client = client;
    a.flow.how = (llm_eof_t) unit_random(3);

    if (unit_random(2)) {
        a.flow.fail_at = 1 + unit_random(80);
    }

    at = unit_random(n);
    flow_run(&r, &a.flow, p, at, &at, 0);

    if (has(&r, SECRET)) {
        fail_msg("%s to %s: a secret: %s", NAME(upstream), NAME(client),
                 (char *) r.p);
    }

    flow_forget(&r);
    all_end(&a);
}


static void
test_all(void **state)
{
    char                 *s;
    unsigned              i, how;
    flow_case_t           c;
    flow_result_t         r;
    const llm_dialect_t  *upstream, *client;

    (void) state;

    for (i = 0; i < ROUNDS; i++) {
        how = (unsigned) unit_random(16);
        s = random_stream((how & (BLOCK|STOP)) != 0);

        do {
            upstream = clients[unit_random(CLIENTS)];
        } while (upstream->decode == NULL || upstream == &llm_dialect_text);

        client = clients[unit_random(CLIENTS)];

        c = flow_default;
        c.client = upstream;
        c.usage = 1;
        flow_run_text(&r, &c, s);
        assert_int_equal(r.rc, LLM_DONE);

        all_compare(how, upstream, client, r.p, r.n);
        all_broken(how, upstream, client, r.p, r.n);

        flow_forget(&r);
        free(s);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_all)
    };

    unit_seed();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
