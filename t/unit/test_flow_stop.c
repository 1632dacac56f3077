/*
 * The stop stage in a flow: each client's answer ends as if the provider
 * itself had stopped at the string, whatever the cuts.
 */

#include "flow_support.h"
#include "llm_stage_stop.h"


#define STOP_MEMORY  (64 * 1024)


typedef struct {
    llm_match_t       match;
    llm_stage_conf_t  conf;
    llm_u8            memory[STOP_MEMORY];
} stop_stage_t;

static stop_stage_t  stop_stage, stop_never;


static void
stop_strings(stop_stage_t *s, const char *first, const char *second)
{
    unsigned     n;
    llm_slice_t  list[2];

    list[0] = (llm_slice_t) { (const llm_u8 *) first, strlen(first), 0 };
    n = 1;

    if (second != NULL) {
        list[n++] = (llm_slice_t) { (const llm_u8 *) second, strlen(second),
                                    0 };
    }

    assert_true(llm_match_size(list, n) <= STOP_MEMORY);

    llm_match_init(&s->match, s->memory, list, n);
    s->conf = (llm_stage_conf_t) { &llm_stage_stop, &s->match, 0 };
}


static void
stop_case(flow_case_t *c, const stop_stage_t *s)
{
    *c = flow_default;

    c->stages = &s->conf;
    c->nstages = 1;
}


/* Anthropic's stream of these pieces, NULL at their end. */
static char *
stop_anthropic(const char *const *pieces, const char *reason,
    const char *string, unsigned tokens)
{
    char    *p;
    size_t   n;

    p = malloc(16384);
    assert_non_null(p);

    n = (size_t) sprintf(p, "event: message_start\ndata: {\"type\":"
        "\"message_start\",\"message\":{\"id\":\"m1\",\"type\":\"message\","
        "\"role\":\"assistant\",\"model\":\"river\",\"content\":[],"
        "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":"
        "{\"input_tokens\":7,\"output_tokens\":1}}}\n\n"
        "event: content_block_start\ndata: {\"type\":"
        "\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
        "\"text\",\"text\":\"\"}}\n\n");

    for ( /* void */ ; *pieces != NULL; pieces++) {
        n += (size_t) sprintf(p + n, "event: content_block_delta\ndata: "
            "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
            "{\"type\":\"text_delta\",\"text\":\"%s\"}}\n\n", *pieces);
    }

    (void) sprintf(p + n, "event: content_block_stop\ndata: {\"type\":"
        "\"content_block_stop\",\"index\":0}\n\n"
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":"
        "{\"stop_reason\":\"%s\",\"stop_sequence\":%s},\"usage\":"
        "{\"output_tokens\":%u}}\n\n"
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", reason,
        string, tokens);

    return p;
}


/* OpenAI's stream of these lines' choices. */
static char *
stop_openai(const char *const *choices)
{
    char    *p;
    size_t   n;

    p = malloc(65536);
    assert_non_null(p);

    for (n = 0; *choices != NULL; choices++) {
        n += (size_t) sprintf(p + n, "data: {\"id\":\"c1\",\"object\":"
            "\"chat.completion.chunk\",\"created\":1700000000,\"model\":"
            "\"river\",\"choices\":[%s]}\n\n", *choices);
    }

    (void) sprintf(p + n, "data: [DONE]\n\n");

    return p;
}


/* Every client: what it gets is what it would get of a provider that stopped
 * at the string itself, and wrote none of it. */
static void
test_clients(void **state)
{
    char                 *in, *ideal, what[100];
    size_t                i;
    unsigned              k;
    flow_case_t           c, like;
    flow_result_t         r, same;
    const llm_dialect_t  *d;

    static const char *const  all[] = {
        "One ", "two <", "<\xe2\x8f\xb9> three", " four", NULL
    };

    /* "<" waits for the next piece, and comes with it */

    static const char *const  said[] = { "One ", "two ", "<", NULL };

    (void) state;

    stop_strings(&stop_stage, "<\xe2\x8f\xb9>", "never");
    stop_strings(&stop_never, "\x01", NULL);

    in = stop_anthropic(all, "end_turn", "null", 99);
    ideal = stop_anthropic(said, "stop_sequence", "\"<\xe2\x8f\xb9>\"", 1);

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {

        for (k = 0; k < 5; k++) {

            if (d->encode == NULL || (k == 4 && d != &llm_dialect_gemini)) {
                continue;
            }

            stop_case(&c, &stop_stage);
            c.upstream = &llm_dialect_anthropic;
            c.client = d;
            c.answer_out = k & 1;
            c.usage = k < 2;
            c.array_out = k == 4;

            like = c;
            like.stages = &stop_never.conf;

            (void) snprintf(what, sizeof(what), "%.*s, %u", (int) d->name.n,
                            (const char *) d->name.p, k);

            flow_run_text(&same, &like, ideal);
            flow_all_cuts(what, &r, &c, (llm_u8 *) in, strlen(in), 7, 20);

            assert_int_equal(r.rc, LLM_DONE);

            if (r.n != same.n || memcmp(r.p, same.p, r.n) != 0) {
                fail_msg("%s: not as its provider would:\n--- %s\n--- %s",
                         what, (const char *) r.p, (const char *) same.p);
            }

            assert_int_equal(r.measure.estimated, 1);
            assert_int_equal(r.measure.nfinish, 4);
            assert_memory_equal(r.measure.finish, "stop", 4);

            flow_forget(&r);
            flow_forget(&same);
        }
    }

    free(in);
    free(ideal);
}


#define STOP_SAY(text, finish)                                              \
    "{\"index\":0,\"delta\":{\"content\":\"" text "\"},"                     \
    "\"finish_reason\":" finish "}"


typedef struct {
    const char  *name;
    const char  *choices[8];
    const char  *text;          /* what a client of text gets */
    unsigned     cut;          /* 2: the upstream had finished */
} stop_row_t;


static const stop_row_t  stop_rows[] = {
    { "inside one event",
      { STOP_SAY("ab\xf0\x9f\x9b\x91\\n\xe2\x8f\xb9xyz", "null"),
        STOP_SAY("more", "null"), STOP_SAY("", "\"stop\"") }, "ab", 1 },
    { "a character an event",
      { STOP_SAY("ab", "null"), STOP_SAY("\xf0\x9f\x9b\x91", "null"),
        STOP_SAY("\\n", "null"), STOP_SAY("\xe2\x8f\xb9", "null"),
        STOP_SAY("x", "null"), STOP_SAY("", "\"stop\"") }, "ab", 1 },
    { "escapes, and halves of pairs",
      { STOP_SAY("ab\\ud83d", "null"), STOP_SAY("\\uDED1\\u000a", "null"),
        STOP_SAY("\\u23F9", "null"), STOP_SAY("", "\"stop\"") }, "ab", 1 },
    { "another half",
      { STOP_SAY("ab\\ud83d", "null"), STOP_SAY("\\uDED0\\n", "null"),
        STOP_SAY("\\u23F9", "null"), STOP_SAY("", "\"stop\"") },
      "ab\xf0\x9f\x9b\x90\n\xe2\x8f\xb9", 0 },
    { "a half without another",
      { STOP_SAY("ab\\ud83d", "null"), STOP_SAY("\\n", "null"),
        STOP_SAY("\\u23F9\\ud83d", "null"), STOP_SAY("", "\"stop\"") },
      "ab\xef\xbf\xbd\n\xe2\x8f\xb9\xef\xbf\xbd", 0 },
    { "with the finish reason",
      { STOP_SAY("ab\xf0\x9f\x9b\x91\\n\xe2\x8f\xb9", "\"length\"") }, "ab",
      1 },
    { "at the very end",
      { STOP_SAY("ab\xf0\x9f\x9b\x91\\n\xe2\x8f\xb9", "null"),
        STOP_SAY("", "\"stop\"") }, "ab", 1 },
    { "at the very beginning",
      { STOP_SAY("\xf0\x9f\x9b\x91\\n\xe2\x8f\xb9 ab", "null"),
        STOP_SAY("", "\"stop\"") }, "", 1 },
    { "the beginning of one only",
      { STOP_SAY("ab\xf0\x9f\x9b\x91", "null"), STOP_SAY("\\n", "null"),
        STOP_SAY("", "\"stop\"") }, "ab\xf0\x9f\x9b\x91\n", 0 },
    { "one that could be longer, ended",
      { STOP_SAY("ab??", "null"), STOP_SAY("", "\"stop\"") }, "ab", 2 },
    { "none", { STOP_SAY("ab", "null"), STOP_SAY("", "\"stop\"") }, "ab", 0 }
};


/* The same string however it is written, and wherever the bytes are cut; the
 * same in a JSON document. */
static void
test_written(void **state)
{
    char              *in, doc[1024];
    size_t             i, n;
    flow_case_t        c;
    flow_result_t      r;
    const stop_row_t  *row;

    (void) state;

    stop_strings(&stop_stage, "\xf0\x9f\x9b\x91\n\xe2\x8f\xb9", "??");
    stop_strings(&stop_never, "??", "???");

    for (i = 0; i < sizeof(stop_rows) / sizeof(stop_rows[0]); i++) {
        row = &stop_rows[i];
        in = stop_openai(row->choices);

        stop_case(&c, strstr(in, "??") != NULL ? &stop_never : &stop_stage);
        c.client = &llm_dialect_text;

        flow_all_cuts(row->name, &r, &c, (llm_u8 *) in, strlen(in), 3, 50);

        assert_int_equal(r.rc, LLM_DONE);
        assert_string_equal((char *) r.p, row->text);
        assert_int_equal(r.measure.estimated, row->cut == 1);
        flow_forget(&r);

        c.answer_in = 1;
        n = (size_t) sprintf(doc, "{\"id\":\"c1\",\"model\":\"river\","
            "\"choices\":[{\"index\":0,\"finish_reason\":\"stop\","
            "\"message\":{\"role\":\"assistant\",\"content\":\"ab"
            "\\ud83d\\uded1\\n\xe2\x8f\xb9 more\"}}],\"usage\":"
            "{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}"
            "}");

        if (i == 0) {
            flow_all_cuts("document", &r, &c, (llm_u8 *) doc, n, 3, 50);
            assert_int_equal(r.rc, LLM_DONE);
            assert_string_equal((char *) r.p, "ab");

            /* it comes with the usage: nothing is to be estimated */

            assert_int_equal(r.measure.estimated, 0);
            assert_int_equal(r.measure.usage.input, 3);
            assert_int_equal(r.measure.usage.output, 4);
            flow_forget(&r);
        }

        free(in);
    }
}


/* The last event that has a choice of this index and says its finish. */
static void
stop_reason(const flow_result_t *r, int choice, const char *want,
    const char *text)
{
    char         said[200];
    size_t       i, n;
    json_t      *event, *ch, *v;
    const char  *reason;

    said[0] = '\0';
    reason = "none";
    n = flow_check_sse("choices", r->p, r->n) - 1;

    for (i = 0; i < n; i++) {
        event = flow_event(r->p, r->n, i);
        ch = json_array_get(json_object_get(event, "choices"), 0);

        if ((int) json_number_value(json_object_get(ch, "index")) == choice) {
            v = json_object_get(json_object_get(ch, "delta"), "content");

            if (json_is_string(v)) {
                strcat(said, json_string_value(v));
            }

            v = json_object_get(ch, "finish_reason");

            if (json_is_string(v)) {
                assert_string_equal(reason, "none");
                reason = strcmp(json_string_value(v), "stop") == 0
                         ? "stop" : "length";
            }
        }

        json_decref(event);
    }

    assert_string_equal(said, text);
    assert_string_equal(reason, want);
}


/* Choice 0 is cut while choice 1 goes on; the stream ends when both are. */
static void
test_choices(void **state)
{
    char           *in;
    flow_case_t     c;
    flow_result_t   r;

    static const char *const  both[] = {
        STOP_SAY("ab#", "null"),
        "{\"index\":1,\"delta\":{\"content\":\"x#\"},"
        "\"finish_reason\":null}",
        STOP_SAY("#cd", "null"), STOP_SAY("lost", "null"),
        "{\"index\":1,\"delta\":{\"content\":\" y#\"},"
        "\"finish_reason\":null}",
        STOP_SAY("", "\"stop\""),
        "{\"index\":1,\"delta\":{\"content\":\"z\"},"
        "\"finish_reason\":\"length\"}", NULL
    };

    static const char *const  one[] = {
        STOP_SAY("ab##", "null"),
        "{\"index\":1,\"delta\":{\"content\":\"x##\"},"
        "\"finish_reason\":null}",
        "{\"index\":1,\"delta\":{\"content\":\"z\"},"
        "\"finish_reason\":\"length\"}", NULL
    };

    (void) state;

    stop_strings(&stop_stage, "##", NULL);
    stop_case(&c, &stop_stage);
    c.choices = 2;

    in = stop_openai(both);
    flow_all_cuts("two choices", &r, &c, (llm_u8 *) in, strlen(in), 3, 50);
    free(in);

    assert_int_equal(r.rc, LLM_DONE);
    stop_reason(&r, 0, "stop", "ab");
    stop_reason(&r, 1, "length", "x# y#z");
    flow_forget(&r);

    c.answer_out = 1;
    in = stop_openai(both);
    flow_all_cuts("two in one", &r, &c, (llm_u8 *) in, strlen(in), 3, 50);
    free(in);

    assert_int_equal(r.rc, LLM_DONE);
    assert_non_null(strstr((char *) r.p, "\"content\":\"ab\""));
    assert_non_null(strstr((char *) r.p, "\"content\":\"x# y#z\""));
    assert_null(strstr((char *) r.p, "lost"));
    flow_forget(&r);
    c.answer_out = 0;

    /* both cut; what was asked for is waited for, though not yet seen */

    in = stop_openai(one);
    flow_all_cuts("both cut", &r, &c, (llm_u8 *) in, strlen(in), 3, 50);
    assert_int_equal(r.rc, LLM_DONE);
    assert_int_equal(r.measure.estimated, 1);
    stop_reason(&r, 0, "stop", "ab");
    stop_reason(&r, 1, "stop", "x");
    flow_forget(&r);

    c.choices = 1;
    flow_run_text(&r, &c, in);
    assert_int_equal(r.rc, LLM_DONE);
    stop_reason(&r, 0, "stop", "ab");
    stop_reason(&r, 1, "none", "");
    flow_forget(&r);

    free(in);
}


/* A stream that breaks gives away what it held before its error, and no more
 * than was said; no memory is lost wherever there is none. */
static void
test_broken(void **state)
{
    char           *in;
    size_t          i;
    flow_case_t     c;
    flow_result_t   r;

    static const char *const  choices[] = {
        STOP_SAY("ab\\ud83d\\uded1\\n", "null"), STOP_SAY("cut off", "null"),
        NULL
    };

    static const char *const  held[] = {
        STOP_SAY("ab\\ud83d\\uded1", "null"), NULL
    };

    (void) state;

    stop_strings(&stop_stage, "\xf0\x9f\x9b\x91\n\xe2\x8f\xb9", NULL);
    stop_case(&c, &stop_stage);
    c.client = &llm_dialect_simple;
    c.how = LLM_EOF_BROKEN;

    in = stop_openai(held);
    *strstr(in, "data: [DONE]") = '\0';

    flow_all_cuts("broken", &r, &c, (llm_u8 *) in, strlen(in), 1, 20);
    assert_int_equal(r.fault, LLM_FAULT_TRUNCATED);
    assert_non_null(strstr((char *) r.p, "{\"content\":\"ab\",\"done\":false}"
                           "\n\ndata: {\"content\":\"\xf0\x9f\x9b\x91\","
                           "\"done\":false}\n\ndata: {\"error\""));
    flow_forget(&r);

    c.client = &llm_dialect_text;
    flow_run_text(&r, &c, in);
    assert_int_equal(r.fail, LLM_AGAIN);
    assert_string_equal((char *) r.p, "ab\xf0\x9f\x9b\x91");
    flow_forget(&r);
    free(in);

    in = stop_openai(choices);

    for (i = 1; i < 30; i++) {
        c.fail_at = i;
        flow_run_text(&r, &c, in);
        assert_true(r.rc == LLM_DONE || r.fault == LLM_FAULT_INTERNAL
                    || r.rc == LLM_NOMEM);
        flow_forget(&r);
    }

    free(in);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_clients),
        cmocka_unit_test(test_written),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_broken)
    };

    (void) unit_seed();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
