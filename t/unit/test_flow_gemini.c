/*
 * A Gemini upstream through the flow, as events and as an array: the same
 * for all cuts, untouched for a client of the same dialect and framing,
 * honest endings; and the round trip through Gemini's own encoder.
 */

#include "flow_support.h"
#include "unit_codec.h"


#define GEMINI    (&llm_dialect_gemini)
#define FIXTURES  "t/fixtures/gemini"


static int
begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}


/* The streams that do not end as they should. */
static int
is_unfinished(const char *name)
{
    return begins(name, "error") || begins(name, "no-end");
}


/* The model failed, in a finish reason that not every client has. */
static int
is_failed(const char *name, const llm_dialect_t *client)
{
    return !client->failure
           && (begins(name, "finish-other") || begins(name, "malformed"));
}


static void
check_cuts(const char *path, const char *name)
{
    size_t         i, n;
    llm_u8        *p;
    json_t        *v;
    flow_case_t    c;
    flow_result_t  r;

    static const llm_dialect_t *const  clients[] = {
        &llm_dialect_gemini, &llm_dialect_gemini, &llm_dialect_openai,
        &llm_dialect_anthropic, &llm_dialect_ollama, &llm_dialect_simple
    };

    p = unit_read(path, &n);

    for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        c = flow_default;
        c.upstream = GEMINI;
        c.client = clients[i];
        c.usage = 1;
        c.array_out = i == 1;
        c.framing = strstr(name, ".sse") != NULL ? LLM_FRAMING_SSE
                                                 : LLM_FRAMING_ARRAY;

        flow_all_cuts(name, &r, &c, p, n, 3, 10);

        if ((r.rc == LLM_DONE)
            == (is_unfinished(name) || is_failed(name, clients[i])))
        {
            fail_msg("%s: ends with %d, %d", name, r.rc, (int) r.fault);
        }

        if (i == 1) {

            /* an array is whole in both cases, and whole only at the end */

            v = json_loadb((char *) r.p, r.n, 0, NULL);
            assert_true(json_is_array(v));
            json_decref(v);

            if (r.rc != LLM_DONE) {
                v = json_loadb((char *) r.p, r.before, 0, NULL);
                assert_null(v);
            }

        } else if (clients[i]->framing == LLM_FRAMING_SSE
                   && clients[i] != &llm_dialect_anthropic)
        {
            (void) flow_check_sse(name, r.p, r.n);
        }

        flow_forget(&r);
    }

    free(p);
}


static void
test_cuts(void **state)
{
    (void) state;

    (void) unit_each(FIXTURES, ".sse", check_cuts);
    (void) unit_each(FIXTURES, ".json-array", check_cuts);
}


/* Calls that came in pieces go out whole: that is no difference. */
static json_t *
without_whole(json_t *said)
{
    size_t       i;
    json_t      *choice, *call;
    const char  *index;

    json_object_foreach(json_object_get(said, "choices"), index, choice) {
        json_array_foreach(json_object_get(choice, "calls"), i, call) {
            json_object_del(call, "whole");
        }
    }

    return said;
}


/* What comes in one framing and goes out in the other says the same. */
static void
check_reframed(const char *path, const char *name)
{
    size_t          i, n;
    llm_u8         *p;
    json_t         *said, *again, *a, *b;
    flow_case_t     c;
    flow_result_t   r;
    llm_dialect_t   row;

    static const char *const  same[] = {
        "id", "model", "choices", "usage", "meta"
    };

    /* of calls that were cut nothing can be said */

    if (is_unfinished(name) || begins(name, "tool-cut")) {
        return;
    }

    p = unit_read(path, &n);

    c = flow_default;
    c.upstream = GEMINI;
    c.client = GEMINI;
    c.array_out = 1;

    flow_run(&r, &c, p, n, NULL, 0);
    assert_int_equal(r.rc, LLM_DONE);

    row = llm_dialect_gemini;
    row.framing = LLM_FRAMING_ARRAY;

    said = without_whole(codec_stream(GEMINI, p, n));
    again = without_whole(codec_stream(&row, r.p, r.n));

    for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        a = json_object_get(said, same[i]);
        b = json_object_get(again, same[i]);

        /* an id that was not said is made */

        if (a != b && !json_equal(a, b) && (i != 0 || a != NULL)) {
            fail_msg("%s: other %s: %s", name, same[i], (char *) r.p);
        }
    }

    json_decref(said);
    json_decref(again);
    flow_forget(&r);
    free(p);
}


static void
test_reframed(void **state)
{
    (void) state;

    (void) unit_each(FIXTURES, ".sse", check_reframed);
}


/* Endings: only a stream in which each choice finished is whole. */
static void
test_endings(void **state)
{
    size_t         i;
    flow_case_t    c;
    flow_result_t  r;

#define CHUNK(more)  "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":"  \
                     "\"a\"}]}" more "}],\"responseId\":\"r\"}"

    static const struct {
        const char  *bytes;
        unsigned     array;
        llm_eof_t    how;
        llm_rc_t     rc;
    } cases[] = {
        { "data: " CHUNK(",\"finishReason\":\"STOP\"") "\r\n\r\n", 0,
          LLM_EOF_FRAMED, LLM_DONE },
        { "data: " CHUNK(",\"finishReason\":\"STOP\"") "\r\n\r\n", 0,
          LLM_EOF_CLOSED, LLM_DONE },
        { "data: " CHUNK(",\"finishReason\":\"STOP\"") "\r\n\r\n", 0,
          LLM_EOF_BROKEN, LLM_FAILED },
        { "data: " CHUNK("") "\r\n\r\n", 0, LLM_EOF_FRAMED, LLM_FAILED },
        { "[" CHUNK(",\"finishReason\":\"STOP\"") "\n]", 1, LLM_EOF_FRAMED,
          LLM_DONE },
        { "[" CHUNK("") "\n]", 1, LLM_EOF_FRAMED, LLM_FAILED },
        { "[" CHUNK(",\"finishReason\":\"STOP\"") ",", 1, LLM_EOF_FRAMED,
          LLM_FAILED },
        { "", 0, LLM_EOF_FRAMED, LLM_FAILED },
        { "data: {\"candidates\":\r\n\r\n", 0, LLM_EOF_FRAMED, LLM_FAILED }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        c = flow_default;
        c.upstream = GEMINI;
        c.how = cases[i].how;
        c.framing = cases[i].array ? LLM_FRAMING_ARRAY : LLM_FRAMING_SSE;

        flow_run_text(&r, &c, cases[i].bytes);

        if (r.rc != cases[i].rc
            || (strstr((char *) r.p, "[DONE]") != NULL)
               != (r.rc == LLM_DONE))
        {
            fail_msg("%s (%d): %d\n%s", cases[i].bytes, (int) cases[i].how,
                     r.rc, (char *) r.p);
        }

        flow_forget(&r);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_reframed),
        cmocka_unit_test(test_endings)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
