/*
 * The flow: what goes out of it for what came in, and above all how it ends.
 */

#include "flow_chunks.h"


static const llm_dialect_t *const  clients[] = {
    &llm_dialect_openai, &llm_dialect_simple, &llm_dialect_typed,
    &llm_dialect_text
};


typedef struct {
    const char   *in;
    llm_eof_t     how;
    llm_rc_t      rc;
    llm_fault_t   fault;
    const char   *out;          /* before llm_flow_fail() */
} ending_t;


/* openai on both sides: blocks as they came. */
static void
test_passing(void **state)
{
    size_t         i, k;
    flow_case_t    c;
    flow_result_t  r;

    static const ending_t  rows[] = {
        { ROLE TEXT("a") FIN("0", "stop") DONE, LLM_EOF_FRAMED, LLM_DONE,
          LLM_FAULT_NONE, ROLE TEXT("a") FIN("0", "stop") DONE },

        /* fields nobody knows, other types, comments, no space */

        { "event: x\nid: 7\nfoo: bar\ndata:{\"choices\":[]}\n\n: hb\n" DONE,
          LLM_EOF_FRAMED, LLM_DONE, LLM_FAULT_NONE,
          "event: x\nid: 7\nfoo: bar\ndata:{\"choices\":[]}\n\n" DONE },

        /* nothing after [DONE], whatever it is written like */

        { DONE TEXT("late") DONE, LLM_EOF_FRAMED, LLM_DONE, LLM_FAULT_NONE,
          DONE },
        { "data:[DONE] \n\n" DONE, LLM_EOF_BROKEN, LLM_DONE, LLM_FAULT_NONE,
          "data:[DONE] \n\n" },

        /* [DONE] without a reason, twice a reason, content after it */

        { ROLE DONE, LLM_EOF_FRAMED, LLM_DONE, LLM_FAULT_NONE, ROLE DONE },
        { FIN("0", "stop") FIN("0", "stop") TEXT("x") DONE, LLM_EOF_FRAMED,
          LLM_DONE, LLM_FAULT_NONE,
          FIN("0", "stop") FIN("0", "stop") TEXT("x") DONE },

        /* line ends become LF, and nothing else changes */

        { "data: {\"a\":\r\ndata:1}\r\n\r\ndata: [DONE]\r\r", LLM_EOF_FRAMED,
          LLM_DONE, LLM_FAULT_NONE, "data: {\"a\":\ndata:1}\n\n" DONE },

        /* a terminator that is ours because the upstream had finished */

        { ROLE TEXT("a") FIN("0", "stop"), LLM_EOF_FRAMED, LLM_DONE,
          LLM_FAULT_NONE, ROLE TEXT("a") FIN("0", "stop") DONE },
        { ROLE TEXT("a") FIN("0", "stop"), LLM_EOF_CLOSED, LLM_DONE,
          LLM_FAULT_NONE, ROLE TEXT("a") FIN("0", "stop") DONE },
        { FIN("0", "stop") USE, LLM_EOF_FRAMED, LLM_DONE, LLM_FAULT_NONE,
          FIN("0", "stop") USE DONE }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (k = 0; k < 2; k++) {
            c = flow_default;
            c.how = rows[i].how;
            c.pass = k;

            flow_run_text(&r, &c, rows[i].in);

            assert_int_equal(r.rc, rows[i].rc);
            assert_string_equal((char *) r.p, rows[i].out);
            flow_forget(&r);
        }
    }
}


/* pass() gets bytes that lie in the input, neighbours in one call. */
static void
test_pass_hook(void **state)
{
    size_t         n;
    flow_case_t    c;
    flow_result_t  r;

    static const char  in[] = ROLE TEXT("a") ": hb\n" TEXT("b")
                              "data: {}\r\n\r\n" TEXT("c") DONE;

    (void) state;

    c = flow_default;
    c.pass = 1;

    flow_run_text(&r, &c, in);

    n = strlen(ROLE TEXT("a") TEXT("b") TEXT("c") DONE);
    assert_int_equal(r.passed, n);
    assert_int_equal(r.passes, 3);
    assert_int_equal(r.n, n + strlen(EV("{}")));
    flow_forget(&r);

    /* a block that was cut is copied, its neighbours are not */

    n = strlen(ROLE) + 9;
    flow_run(&r, &c, ROLE TEXT("a") DONE, strlen(ROLE TEXT("a") DONE), &n, 1);
    assert_int_equal(r.passed, strlen(ROLE DONE));
    assert_string_equal((char *) r.p, ROLE TEXT("a") DONE);
    flow_forget(&r);
}


static void
test_hide_usage(void **state)
{
    size_t         i;
    flow_case_t    c;
    flow_result_t  r;

#define BOTH  EV("{" ID ",\"choices\":[{\"index\":0,\"delta\":{}}],"         \
                 "\"usage\":{\"total_tokens\":7}}")
#define MOD   EV("{" ID ",\"choices\":[],\"moderation\":{\"a\":1}}")
#define NIL   EV("{" ID ",\"choices\":[],\"usage\":null}")

    static const struct {
        const char  *in;
        const char  *out;
    } rows[] = {
        { ROLE FIN("0", "stop") USE DONE, ROLE FIN("0", "stop") DONE },
        { ROLE USE FIN("0", "stop") DONE, ROLE FIN("0", "stop") DONE },
        { ROLE BOTH MOD NIL DONE, ROLE BOTH MOD NIL DONE },
        { ROLE FIN("0", "stop") USE, ROLE FIN("0", "stop") DONE }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        c = flow_default;
        c.hide_usage = 1;
        flow_run_text(&r, &c, rows[i].in);

        assert_int_equal(r.rc, LLM_DONE);
        assert_string_equal((char *) r.p, rows[i].out);
        assert_int_equal(r.measure.has_usage, 1);
        assert_int_equal(r.measure.usage.total, 7);
        flow_forget(&r);
    }

    flow_run_text(&r, &flow_default, rows[0].in);
    assert_string_equal((char *) r.p, rows[0].in);
    flow_forget(&r);
}


/* The fault that a run must have ended with, and no terminator. */
static void
check_fault(const flow_case_t *c, const flow_result_t *r, llm_fault_t fault)
{
    assert_int_equal(r->rc, LLM_FAILED);
    assert_int_equal(r->fault, fault);
    assert_int_equal(r->status, 502);
    assert_int_equal(r->done, 0);
    assert_null(strstr((char *) r->p, "[DONE]"));
    assert_null(strstr((char *) r->p, "{\"done\":true}"));
    assert_null(strstr((char *) r->p, "\"type\":\"done\""));

    if (c->answer_out || c->client == &llm_dialect_text) {
        assert_int_equal(r->fail, LLM_AGAIN);
        assert_int_equal(r->before, r->n);
        assert_true(!c->answer_out || r->n == 0);
        return;
    }

    assert_int_equal(r->fail, LLM_OK);
    assert_true(r->n > r->before);
    assert_non_null(strstr((char *) r->p + r->before, "error"));
    assert_int_equal(flow_check_sse("fail", r->p + r->before,
                                    r->n - r->before), 1);
}


/* Streams that did not finish, for every client: what was whole goes out, a
 * terminator never. */
static void
test_not_finished(void **state)
{
    size_t         i, k;
    flow_case_t    c;
    flow_result_t  r;

    static const struct {
        const char   *in;
        llm_eof_t     how;
        llm_fault_t   fault;
    } rows[] = {
        { "", LLM_EOF_FRAMED, LLM_FAULT_EMPTY },
        { "", LLM_EOF_BROKEN, LLM_FAULT_EMPTY },
        { "\n", LLM_EOF_FRAMED, LLM_FAULT_INVALID_STREAM },
        { ": hb\n\n", LLM_EOF_FRAMED, LLM_FAULT_INVALID_STREAM },
        { "{\"id\":\"c1\",\"choices\":[]}", LLM_EOF_FRAMED,
          LLM_FAULT_INVALID_STREAM },
        { "<html>\n\n</html>", LLM_EOF_CLOSED, LLM_FAULT_INVALID_STREAM },
        { "data: {\"choi", LLM_EOF_CLOSED, LLM_FAULT_TRUNCATED },
        { ROLE, LLM_EOF_FRAMED, LLM_FAULT_TRUNCATED },
        { ROLE TEXT("a"), LLM_EOF_CLOSED, LLM_FAULT_TRUNCATED },
        { ROLE TEXT("a") "data: [DON", LLM_EOF_FRAMED, LLM_FAULT_TRUNCATED },
        { ROLE TEXT("a") FIN("0", "stop"), LLM_EOF_BROKEN,
          LLM_FAULT_TRUNCATED },
        { ROLE TEXT("a") FIN("0", "stop") "data: [DONE]", LLM_EOF_BROKEN,
          LLM_FAULT_TRUNCATED },
        { ROLE FIN("1", "stop"), LLM_EOF_FRAMED, LLM_FAULT_TRUNCATED },
        { ROLE FIN("0", "stop") FIN("500", "stop"), LLM_EOF_FRAMED,
          LLM_FAULT_TRUNCATED },
        { FIN("500", "stop") FIN("0", "stop"), LLM_EOF_FRAMED,
          LLM_FAULT_TRUNCATED },
        { EV("{" ID ",\"choices\":[{\"index\":70,\"delta\":{}}]}")
          FIN("0", "stop"), LLM_EOF_FRAMED, LLM_FAULT_TRUNCATED },
        { EV("{" ID ",\"choices\":[]}") USE, LLM_EOF_FRAMED,
          LLM_FAULT_TRUNCATED }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (k = 0; k < 8; k++) {
            c = flow_default;
            c.how = rows[i].how;
            c.client = clients[k / 2];
            c.answer_out = k % 2;

            flow_run_text(&r, &c, rows[i].in);

            check_fault(&c, &r, rows[i].fault);
            flow_forget(&r);
        }
    }
}


/* An end in order after the last event lacks its blank line, or its LF. */
static void
test_tail(void **state)
{
    size_t         i, k;
    flow_case_t    c;
    flow_result_t  r;

    static const char *const  tails[] = {
        "data: [DONE]", "data: [DONE]\n", "data:[DONE]\r", "data: [DONE]\r\n"
    };

    (void) state;

    for (i = 0; i < 4; i++) {
        for (k = 0; k < 2; k++) {
            char  in[1000];

            (void) snprintf(in, sizeof(in), "%s%s", ROLE TEXT("a"), tails[i]);

            c = flow_default;
            c.how = k == 0 ? LLM_EOF_FRAMED : LLM_EOF_CLOSED;

            flow_run_text(&r, &c, in);
            assert_int_equal(r.rc, LLM_DONE);
            assert_non_null(strstr((char *) r.p, "[DONE]\n\n"));
            assert_int_equal(r.frames, 3);
            flow_forget(&r);
        }
    }

    /* the finish reason, whole but for the line's end; content likewise */

    flow_run_text(&r, &flow_default, ROLE "data: {\"choices\":[{\"index\":0,"
                  "\"delta\":{},\"finish_reason\":\"stop\"}]}");
    assert_int_equal(r.rc, LLM_DONE);
    assert_non_null(strstr((char *) r.p, "\"stop\"}]}\n\ndata: [DONE]\n\n"));
    flow_forget(&r);

}


/* An error is one without its blank line, and half of one is none. */
static void
test_tail_error(void **state)
{
    size_t         i;
    flow_result_t  r;

    static const char *const  halves[] = {
        ROLE TEXT("a") "event: error\ndata: {\"error\":{\"mes",
        ROLE TEXT("a") "event: error\ndata: out of wat",
        ROLE TEXT("a") "event: error\ndata"
    };

    (void) state;

    flow_run_text(&r, &flow_default, ROLE "data: {\"error\":{\"message\":"
                  "\"No.\"}}\n");
    assert_int_equal(r.fault, LLM_FAULT_UPSTREAM_ERROR);
    assert_string_equal((char *) r.p, ROLE EV("{\"error\":{\"message\":"
                                              "\"No.\"}}"));
    flow_forget(&r);

    for (i = 0; i < 3; i++) {
        flow_run_text(&r, &flow_default, halves[i]);
        assert_int_equal(r.fault, LLM_FAULT_TRUNCATED);
        assert_int_equal(r.before, strlen(ROLE TEXT("a")));
        assert_int_equal(r.frames, 2);
        flow_forget(&r);
    }

    flow_run_text(&r, &flow_default, ROLE FIN("0", "stop")
                  "data: {\"error\":{\"mes");
    assert_int_equal(r.rc, LLM_DONE);
    assert_string_equal((char *) r.p, ROLE FIN("0", "stop") DONE);
    flow_forget(&r);
}


/* Frames that are not the dialect's JSON: pass where nothing is rewritten,
 * end the stream where it is. */
static void
test_invalid_frame(void **state)
{
    size_t         i, k;
    flow_case_t    c;
    flow_result_t  r;

    static const char *const  frames[] = {
        "data: no json\n\n", "data: {\"a\":}\n\n", "data: [[[\n\n",
        "data: {\"id\":\"c1\"\n\n", "data: 7\n\n", "event: x\ndata: x\n\n",
        "data: {\"a\":[[[[[1]]]]]}\n\n"
    };

    (void) state;

    for (i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        for (k = 0; k < 4; k++) {
            char  in[1000];

            (void) snprintf(in, sizeof(in), "%s%s%s", ROLE TEXT("a"),
                            frames[i], FIN("0", "stop") DONE);

            c = flow_default;
            c.client = clients[k];
            c.max_depth = 5;
            flow_run_text(&r, &c, in);

            if (k == 0) {
                assert_int_equal(r.rc, LLM_DONE);
                assert_string_equal((char *) r.p, in);
                assert_int_equal(r.invalid, 1);
                assert_int_equal(r.frames, 5);

            } else {
                assert_int_equal(r.rc, LLM_FAILED);
                assert_int_equal(r.fault, LLM_FAULT_INVALID_EVENT);
                assert_int_equal(r.invalid, 0);
                assert_int_equal(r.measure.chunks, 1);
                assert_null(r.message);
            }

            flow_forget(&r);
        }
    }
}


/* The event bound: what is below it passes, then the fault. */
static void
test_event_bound(void **state)
{
    size_t         k;
    flow_case_t    c;
    flow_result_t  r;

    (void) state;

    for (k = 0; k < 4; k++) {
        c = flow_default;
        c.client = clients[k];
        c.max_event = 200;
        flow_run_text(&r, &c, ROLE TEXT("ok")
                      TEXT("0123456789012345678901234567890123456789"
                           "0123456789012345678901234567890123456789"
                           "0123456789012345678901234567890123456789"
                           "0123456789012345678901234567890123456789")
                      DONE);

        assert_int_equal(r.rc, LLM_FAILED);
        assert_int_equal(r.fault, LLM_FAULT_EVENT_TOO_LARGE);
        assert_non_null(strstr((char *) r.p, "ok"));
        assert_null(strstr((char *) r.p, "0123456789"));
        assert_true(r.before > 0);
        assert_true(r.peak < 4096);
        flow_forget(&r);
    }
}


/* What the flow gives its encoder and its measure: the time, whether usage
 * was asked for, whether a text may break a client's line splitter. */
static void
test_context(void **state)
{
    size_t         cut;
    flow_case_t    c;
    flow_result_t  r;

    (void) state;

    c = flow_default;
    c.answer_in = 1;

    flow_run_text(&r, &c, "{\"choices\":[{\"message\":{\"content\":\"a\"}}],"
                  "\"usage\":{\"total_tokens\":3}}");
    assert_non_null(strstr((char *) r.p, "\"created\":1700000000,"));
    assert_null(strstr((char *) r.p, "usage"));
    assert_int_equal(r.frames, 1);
    flow_forget(&r);

    c.usage = 1;
    flow_run_text(&r, &c, "{\"choices\":[{\"message\":{\"content\":\"a\"}}],"
                  "\"usage\":{\"total_tokens\":3}}");
    assert_non_null(strstr((char *) r.p, "\"total_tokens\":3}}\n\n"));
    flow_forget(&r);

    c = flow_default;
    c.client = &llm_dialect_simple;
    flow_run_text(&r, &c, TEXT("a\xe2\x80\xa8") TEXT("b") DONE);
    assert_string_equal((char *) r.p,
                        "data: {\"content\":\"a\\u2028\",\"done\":false}\n\n"
                        "data: {\"content\":\"b\",\"done\":false}\n\n"
                        "data: {\"done\":true}\n\n");
    flow_forget(&r);

    /* the clock of a piece is where it begins in the stream */

    cut = strlen(ROLE TEXT("a"));
    flow_run(&r, &flow_default, ROLE TEXT("a") TEXT("b") DONE,
             strlen(ROLE TEXT("a") TEXT("b") DONE), &cut, 1);
    assert_int_equal(r.measure.first, 0);
    assert_int_equal(r.measure.last, cut);
    flow_forget(&r);
}


/* A JSON answer, or one that is gathered, is bounded. */
static void
test_response_bound(void **state)
{
    size_t         k, at;
    flow_case_t    c;
    flow_result_t  r;

    static const char  answer[] = "{\"choices\":[{\"message\":{\"content\":"
                                  "\"0123456789\"}}]}";

    (void) state;

    for (k = 0; k < 8; k++) {
        c = flow_default;
        c.client = clients[k / 2];
        c.answer_in = 1;
        c.answer_out = k % 2;
        c.max_response = strlen(answer) - 1;

        for (at = 1; at < strlen(answer); at++) {
            flow_run(&r, &c, answer, strlen(answer), &at, 1);
            check_fault(&c, &r, LLM_FAULT_RESPONSE_TOO_LARGE);
            assert_int_equal(r.before, 0);
            flow_forget(&r);
        }

        c.max_response++;
        flow_run_text(&r, &c, answer);
        assert_int_equal(r.rc, LLM_DONE);
        flow_forget(&r);

        /* a stream's text, gathered for one answer */

        c.answer_in = 0;
        c.answer_out = 1;
        c.max_response = 9;
        flow_run_text(&r, &c, CH("{\"content\":\"0123456789\"}") DONE);
        check_fault(&c, &r, LLM_FAULT_RESPONSE_TOO_LARGE);
        flow_forget(&r);
    }
}


/* Bytes that are no UTF-8 are repaired in every direction, and counted. */
static void
test_repair(void **state)
{
    flow_case_t    c;
    flow_result_t  r;

    (void) state;

    flow_run_text(&r, &flow_default, ROLE TEXT("a\xff" "b\xe2\x82")
                  "event: \xfe\r\ndata: {}\r\n\r\n" DONE);
    assert_int_equal(r.rc, LLM_DONE);
    assert_int_equal(r.repaired, 2);
    assert_int_equal(r.invalid, 0);
    assert_string_equal((char *) r.p,
                        ROLE TEXT("a\xef\xbf\xbd" "b\xef\xbf\xbd")
                        "event: \xef\xbf\xbd\ndata: {}\n\n" DONE);
    assert_int_equal(r.measure.chars, 4);
    flow_forget(&r);

    c = flow_default;
    c.client = &llm_dialect_text;
    flow_run_text(&r, &c, TEXT("a\xff" "b\xe2\x82") DONE);
    assert_string_equal((char *) r.p, "a\xef\xbf\xbd" "b\xef\xbf\xbd");
    flow_forget(&r);

    flow_run_text(&r, &flow_default, EV("{\"error\":\"\xff\"}"));
    assert_int_equal(r.fault, LLM_FAULT_UPSTREAM_ERROR);
    assert_string_equal((char *) r.p, EV("{\"error\":\"\xef\xbf\xbd\"}"));
    assert_string_equal(r.message, "\xef\xbf\xbd");
    flow_forget(&r);

    c = flow_default;
    c.answer_in = 1;
    c.answer_out = 1;
    flow_run_text(&r, &c, "{\"choices\":[{\"message\":{\"content\":\"\xff\""
                  "}}]}");
    assert_int_equal(r.repaired, 1);
    assert_string_equal((char *) r.p, "{\"choices\":[{\"message\":"
                        "{\"content\":\"\xef\xbf\xbd\"}}]}");
    flow_forget(&r);
}


/* A sink that fails, after each byte it could take. */
static void
test_sink_fails(void **state)
{
    size_t         k, limit;
    flow_case_t    c;
    flow_result_t  r;

    (void) state;

    for (k = 0; k < 8; k++) {
        c = flow_default;
        c.client = clients[k / 2];
        c.answer_out = k % 2;
        c.step = 7;

        for (limit = 1; limit < 2000; limit++) {
            c.limit = limit;
            flow_run_text(&r, &c, ROLE TEXT("a") FIN("0", "stop") USE DONE);
            assert_true(r.n <= limit);

            if (r.rc == LLM_DONE) {
                flow_forget(&r);
                break;
            }

            assert_int_equal(r.rc, LLM_FAILED);
            assert_int_equal(r.fault, LLM_FAULT_INTERNAL);
            flow_forget(&r);
        }

        assert_int_not_equal(limit, 2000);
    }
}


/* A long stream costs what a short one does. */
static void
test_memory(void **state)
{
    size_t           i, k;
    llm_flow_t       f;
    unit_out_t       o;
    unit_alloc_t     u;
    llm_flow_conf_t  conf;

    static const char  in[] = ROLE TEXT("0123456789")
                              CH("{\"reasoning\":\"x\"}")
                              CH("{\"tool_calls\":[{\"id\":\"a\"}]}");

    (void) state;

    for (k = 0; k < 4; k++) {
        unit_out_init(&o, 0, 0);
        memset(&conf, 0, sizeof(llm_flow_conf_t));

        conf.upstream = &llm_dialect_openai;
        conf.client = clients[k];
        conf.max_event = FLOW_PLENTY;
        conf.max_response = 4096;
        conf.alloc = unit_alloc(&u);

        assert_int_equal(llm_flow_init(&f, &conf, &o.out), LLM_OK);

        for (i = 0; i < 50000; i++) {
            o.out.pos = o.p;
            assert_int_equal(llm_flow_feed(&f, (const llm_u8 *) in,
                                           sizeof(in) - 1, 0), LLM_OK);
        }

        assert_int_equal(f.measure.chunks, 150000);
        assert_true(u.peak < 16384);

        llm_flow_free(&f);
        unit_out_free(&o);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_passing),
        cmocka_unit_test(test_pass_hook),
        cmocka_unit_test(test_hide_usage),
        cmocka_unit_test(test_not_finished),
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_tail_error),
        cmocka_unit_test(test_invalid_frame),
        cmocka_unit_test(test_event_bound),
        cmocka_unit_test(test_context),
        cmocka_unit_test(test_response_bound),
        cmocka_unit_test(test_repair),
        cmocka_unit_test(test_sink_fails),
        cmocka_unit_test(test_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
