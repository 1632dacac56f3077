/*
 * The flow: what a client is told when the upstream says that it failed, or
 * when the flow is ended from outside.
 */

#include "flow_chunks.h"


static const llm_dialect_t *const  clients[] = {
    &llm_dialect_openai, &llm_dialect_simple, &llm_dialect_typed,
    &llm_dialect_text
};


#define SAID  "{\"error\":{\"message\":\"Slow \\u0064own.\",\"type\":\"t\"," \
              "\"param\":null,\"code\":429},\"extra\":1}"


#define SAID_EVENT  "event: error\ndata: " SAID "\n\n"

static const char *const  said_events[] = {
    SAID_EVENT,
    "data: {\"error\":\"Slow down.\",\"code\":\"429\",\"type\":\"t\"}\n\n",
    ("data: {\"error\":{\"message\":\"Slow down.\",\"code\":\"429\","
     "\"type\":\"t\"}}\n\n")
};

static const char *const  said_bodies[] = {
    NULL,
    "{\"error\":\"Slow down.\",\"code\":\"429\",\"done\":true}",
    "{\"type\":\"error\",\"data\":{\"message\":\"Slow down.\","
    "\"type\":\"t\",\"code\":\"429\"}}",
    "Slow down.\n"
};


/* What client k gets of the e-th of said_events after `before`. */
static void
check_said(size_t e, size_t k, const char *before)
{
    char           in[2000], out[400];
    flow_case_t    c;
    flow_result_t  r;

    (void) snprintf(in, sizeof(in), "%s%s%s", before, said_events[e],
                    TEXT("late") DONE);

    c = flow_default;
    c.client = clients[k];
    flow_run_text(&r, &c, in);

    assert_int_equal(r.rc, LLM_FAILED);
    assert_int_equal(r.fault, LLM_FAULT_UPSTREAM_ERROR);
    assert_int_equal(r.status, 429);
    assert_int_equal(r.fail, k == 3 ? LLM_AGAIN : LLM_OK);
    assert_null(strstr((char *) r.p, "late"));

    if (k == 0) {
        assert_int_equal(r.before, strlen(before));
        assert_memory_equal(r.p, before, r.before);
        assert_string_equal((char *) r.p + r.before, said_events[e]);
        assert_non_null(strstr(said_events[e], r.body));

    } else if (k == 3) {
        assert_int_equal(r.before, r.n);
        assert_string_equal(r.body, said_bodies[k]);

    } else if (e == 0) {
        assert_string_equal(r.message, "Slow \\u0064own.");
        assert_non_null(strstr((char *) r.p + r.before,
                               "\"Slow \\u0064own.\""));

    } else {
        (void) snprintf(out, sizeof(out), "data: %s\n\n", said_bodies[k]);
        assert_string_equal((char *) r.p + r.before, out);
        assert_string_equal(r.body, said_bodies[k]);
    }

    flow_forget(&r);
}


/* The upstream's own error: as it came for its own dialect, translated for
 * others, and nothing after it. */
static void
test_upstream_error(void **state)
{
    size_t  e, k;

    (void) state;

    for (e = 0; e < 3; e++) {
        for (k = 0; k < 4; k++) {
            check_said(e, k, "");
            check_said(e, k, ROLE);
            check_said(e, k, ROLE TEXT("a"));
            check_said(e, k, ROLE TEXT("a") FIN("0", "stop"));
        }
    }
}


/* What a provider says of a key that is not the client's quotes the key: it
 * does not get out in any dialect or form, and other errors still do. */
static void
test_secret(void **state)
{
    size_t         i, k;
    char           in[400];
    flow_case_t    c;
    flow_result_t  r;

    static const int  statuses[] = { 401, 403, 429 };

    (void) state;

    for (i = 0; i < 3; i++) {
        (void) snprintf(in, sizeof(in), EV("{\"error\":{\"message\":"
                        "\"Key sk-canary.\",\"type\":\"sk-canary\",\"param\":"
                        "\"sk-canary\",\"code\":\"%d\"}}"), statuses[i]);

        for (k = 0; k < 8; k++) {
            c = flow_default;
            c.client = clients[k / 2];
            c.answer_out = k % 2;
            c.secret = 1;

            flow_run_text(&r, &c, in);
            assert_int_equal(r.status, statuses[i]);
            assert_int_equal(strstr(r.body, "canary") != NULL, i == 2);
            assert_int_equal(strstr((char *) r.p, "canary") != NULL,
                             i == 2 && !c.answer_out && k < 6);
            flow_forget(&r);
        }
    }

    c = flow_default;
    flow_run_text(&r, &c, EV("{\"error\":{\"message\":\"sk-canary\",\"code\":"
                             "401}}"));
    assert_non_null(strstr(r.body, "canary"));
    flow_forget(&r);
}


/* Content in the chunk of an error is not lost; a long message is cut; bare
 * text and an error that says nothing get words. */
static void
test_upstream_error_odd(void **state)
{
    size_t         i;
    char           in[4096];
    json_t        *root;
    flow_case_t    c;
    flow_result_t  r;

    (void) state;

    c = flow_default;
    c.client = &llm_dialect_simple;

    flow_run_text(&r, &c, EV("{\"error\":{\"code\":500},\"choices\":[{"
                  "\"index\":0,\"delta\":{\"content\":\"last\"}}]}"));
    assert_string_equal((char *) r.p,
        "data: {\"content\":\"last\",\"done\":false}\n\n"
        "data: {\"error\":\"The provider reported an error.\","
        "\"code\":\"500\",\"done\":true}\n\n");
    assert_int_equal(r.status, 500);
    flow_forget(&r);

    (void) snprintf(in, sizeof(in), "data: {\"error\":\"");

    for (i = 0; i < 300; i++) {
        strcat(in, "\\u00e9");
    }

    strcat(in, "\"}\n\n");
    flow_run_text(&r, &c, in);
    assert_int_equal(r.status, 502);

    root = flow_event(r.p, r.n, 0);
    assert_int_equal(strlen(json_string_value(json_object_get(root,
                                                              "error"))),
                     400);
    assert_string_equal(json_string_value(json_object_get(root, "code")),
                        "upstream_error");
    json_decref(root);
    flow_forget(&r);

    /* a cut never parts a pair */

    (void) snprintf(in, sizeof(in), "data: {\"error\":\"");

    for (i = 0; i < 201; i++) {
        strcat(in, "\\uD83D\\ude00");
    }

    strcat(in, "\"}\n\n");
    flow_run_text(&r, &c, in);

    root = flow_event(r.p, r.n, 0);
    assert_int_equal(strlen(json_string_value(json_object_get(root,
                                                              "error"))),
                     4 * 200);
    json_decref(root);
    flow_forget(&r);
}


/* Errors in bare text, errors that say nothing, and what they leave out. */
static void
test_upstream_error_bare(void **state)
{
    flow_case_t    c;
    flow_result_t  r;

    (void) state;

    c = flow_default;
    c.client = &llm_dialect_simple;

    flow_run_text(&r, &c, "event: error\ndata: out of \"water\"\n\n");
    assert_string_equal((char *) r.p, "data: {\"error\":\"out of \\\"water"
                        "\\\"\",\"code\":\"upstream_error\",\"done\":true}"
                        "\n\n");
    flow_forget(&r);

    flow_run_text(&r, &flow_default, "event: error\ndata: out of water\n\n");
    assert_string_equal((char *) r.p, "event: error\ndata: out of water\n\n");
    assert_string_equal(r.body, "{\"error\":{\"message\":\"out of water\","
                        "\"type\":\"server_error\",\"param\":null,\"code\":"
                        "\"upstream_error\"}}");
    flow_forget(&r);

    flow_run_text(&r, &flow_default, "event: error\ndata: {}\n\n");
    assert_int_equal(r.fault, LLM_FAULT_UPSTREAM_ERROR);
    assert_string_equal(r.body, "{\"error\":{\"message\":\"The provider "
                        "reported an error.\",\"type\":\"server_error\","
                        "\"param\":null,\"code\":\"upstream_error\"}}");
    flow_forget(&r);
}


/* llm_flow_fail() with a fault of the caller's, after content. */
static void
test_fail(void **state)
{
    size_t           k;
    llm_flow_t       f;
    unit_out_t       o;
    unit_alloc_t     u;
    llm_flow_conf_t  conf;

    static const char *const  errors[] = {
        "data: {\"error\":{\"message\":\"The provider stopped sending before "
        "the answer was finished.\",\"type\":\"server_error\",\"param\":null,"
        "\"code\":\"upstream_timeout_idle\"}}\n\n",
        "data: {\"error\":\"The provider stopped sending before the answer "
        "was finished.\",\"code\":\"upstream_timeout_idle\",\"done\":true}"
        "\n\n",
        "data: {\"type\":\"error\",\"data\":{\"message\":\"The provider "
        "stopped sending before the answer was finished.\",\"type\":"
        "\"server_error\",\"code\":\"upstream_timeout_idle\"}}\n\n",
        ""
    };

    (void) state;

    for (k = 0; k < 4; k++) {
        unit_out_init(&o, 0, 0);
        memset(&conf, 0, sizeof(llm_flow_conf_t));

        conf.upstream = &llm_dialect_openai;
        conf.client = clients[k];
        conf.max_event = FLOW_PLENTY;
        conf.max_response = FLOW_PLENTY;
        conf.alloc = unit_alloc(&u);

        assert_int_equal(llm_flow_init(&f, &conf, &o.out), LLM_OK);
        assert_int_equal(llm_flow_feed(&f, (const llm_u8 *) ROLE,
                                       strlen(ROLE), 0), LLM_OK);

        o.out.pos = o.p;    /* what was written so far is of no interest */

        assert_int_equal(llm_flow_fail(&f, LLM_FAULT_TIMEOUT_IDLE),
                         k == 3 ? LLM_AGAIN : LLM_OK);
        assert_int_equal(llm_flow_status(&f), 504);
        assert_int_equal(llm_flow_feed(&f, (const llm_u8 *) DONE,
                                       strlen(DONE), 0), LLM_FAILED);

        (void) llm_flow_fail(&f, LLM_FAULT_RESET);
        unit_out_end(&o);
        assert_string_equal((char *) o.p, errors[k]);

        llm_flow_free(&f);
        assert_int_equal(u.live, 0);
        unit_out_free(&o);
    }
}


static void
flow_open(llm_flow_t *f, unit_out_t *o, unit_alloc_t *u,
    const llm_dialect_t *client, const char *in)
{
    llm_flow_conf_t  conf;

    unit_out_init(o, 0, 0);
    memset(&conf, 0, sizeof(llm_flow_conf_t));

    conf.upstream = &llm_dialect_openai;
    conf.client = client;
    conf.max_event = FLOW_PLENTY;
    conf.max_response = FLOW_PLENTY;
    conf.alloc = unit_alloc(u);

    assert_int_equal(llm_flow_init(f, &conf, &o->out), LLM_OK);
    (void) llm_flow_feed(f, (const llm_u8 *) in, strlen(in), 0);
}


static void
flow_close(llm_flow_t *f, unit_out_t *o, unit_alloc_t *u)
{
    llm_flow_free(f);
    assert_int_equal(u->live, 0);
    unit_out_free(o);
}


/* After a terminator nothing is written, whatever the caller says. */
static void
test_fail_once(void **state)
{
    size_t        k;
    llm_flow_t    f;
    unit_out_t    o;
    unit_alloc_t  u;
    size_t        n;

    (void) state;

    for (k = 0; k < 4; k++) {
        flow_open(&f, &o, &u, clients[k], TEXT("a") DONE);
        assert_int_equal(f.done, 1);
        n = (size_t) (o.out.pos - o.p);

        assert_int_equal(llm_flow_fail(&f, LLM_FAULT_RESET), LLM_OK);
        assert_int_equal(o.out.pos - o.p, n);
        flow_close(&f, &o, &u);
    }
}


/* An upstream's error that turned into a fault of ours is told as ours. */
static void
test_fail_other(void **state)
{
    size_t        k;
    llm_flow_t    f;
    unit_out_t    o, body;
    unit_alloc_t  u;

    (void) state;

    for (k = 0; k < 3; k++) {
        flow_open(&f, &o, &u, clients[k],
                  EV("{\"error\":{\"message\":\"No.\",\"param\":\"p\"}}"));
        assert_int_equal(f.fault, LLM_FAULT_UPSTREAM_ERROR);

        unit_out_init(&body, 0, 0);
        f.same = 0;         /* as if translated: param is carried */
        llm_flow_error_body(&f, &body.out);
        unit_out_end(&body);
        assert_int_equal(strstr((char *) body.p, "\"param\":\"p\"") != NULL,
                         k == 0);
        unit_out_free(&body);
        f.same = k == 0;

        assert_int_equal(llm_flow_fail(&f, LLM_FAULT_SHUTDOWN), LLM_OK);
        unit_out_end(&o);
        assert_non_null(strstr((char *) o.p, "server_shutdown"));
        assert_null(strstr((char *) o.p, "No."));

        unit_out_init(&body, 0, 0);
        llm_flow_error_body(&f, &body.out);
        unit_out_end(&body);
        assert_non_null(strstr((char *) body.p, "server_shutdown"));
        assert_int_equal(llm_flow_status(&f), 503);
        unit_out_free(&body);

        flow_close(&f, &o, &u);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_upstream_error),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_upstream_error_odd),
        cmocka_unit_test(test_upstream_error_bare),
        cmocka_unit_test(test_fail_once),
        cmocka_unit_test(test_fail_other),
        cmocka_unit_test(test_fail)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
