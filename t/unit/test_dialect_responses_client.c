/*
 * The openai-responses dialect's client half: the life cycle of a stream as
 * the official SDKs read it, the response object, errors.
 */

#include "unit_codec.h"
#include "unit_responses.h"
#include "llm_encode.h"


#define CHAT(delta)                                                          \
    "data: {\"id\":\"c1\",\"created\":7,\"model\":\"m\",\"choices\":[{"      \
    "\"index\":0,\"delta\":" delta "}]}\n\n"
#define CHAT_END(reason)                                                     \
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},"           \
    "\"finish_reason\":\"" reason "\"}]}\n\ndata: [DONE]\n\n"
#define CALL(index, rest)                                                    \
    CHAT("{\"tool_calls\":[{\"index\":" index "," rest "}]}")


/* A stream of another dialect: the order of events, and what the last one's
 * response has (a subset of its members). */
static void
check_from(const llm_dialect_t *from, const char *in, const char *order,
    const char *expect)
{
    char         *out;
    json_t       *keep, *want, *v, *got;
    llm_rc_t      rc;
    responses_reader_t      r;
    const char   *name;

    out = codec_convert(from, &llm_dialect_responses, in, strlen(in), 0, 0,
                        &rc);
    assert_int_equal(rc, LLM_OK);

    responses_read(&r, out, &keep);

    if (order != NULL) {
        assert_string_equal(r.order, order);
    }

    if (strstr(r.order, "completed") != NULL
        || strstr(r.order, "incomplete") != NULL)
    {
        responses_check_output(&r);
    }

    want = json_loads(expect, JSON_DECODE_INT_AS_REAL, NULL);
    assert_non_null(want);

    json_object_foreach (want, name, v) {
        got = json_object_get(json_object_get(r.last, "response"), name);

        if (!json_equal(got, v)) {
            fail_msg("%s: %s: got\n%s", in, name,
                     json_dumps(got, JSON_ENCODE_ANY|JSON_INDENT(1)));
        }
    }

    json_decref(want);
    responses_close(&r, keep);
    free(out);
}

#define check_chat(in, order, expect)                                        \
    check_from(&llm_dialect_openai, in, order, expect)


#define BEGIN    "created in_progress"
#define MESSAGE  " output_item.added content_part.added"
#define SAID     " output_text.delta"
#define SAID_ALL " output_text.done content_part.done output_item.done"
#define CALLED   " function_call_arguments.delta"
#define CALL_ALL " function_call_arguments.done output_item.done"
#define THOUGHT  " output_item.added reasoning_summary_part.added"
#define THOUGHT_ALL                                                          \
    " reasoning_summary_text.done reasoning_summary_part.done"               \
    " output_item.done"
#define DELTA_S  " reasoning_summary_text.delta"


static void
test_text(void **state)
{
    (void) state;

    check_chat(CHAT("{\"role\":\"assistant\",\"content\":\"\"}")
               CHAT("{\"content\":\"He\"}")
               CHAT("{\"content\":\"\\ud83d\\ude00\\n\"}")
               "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},"
               "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,"
               "\"completion_tokens\":4,\"total_tokens\":13,"
               "\"prompt_tokens_details\":{\"cached_tokens\":5},"
               "\"completion_tokens_details\":{\"reasoning_tokens\":2}}}\n\n"
               "data: [DONE]\n\n",
               BEGIN MESSAGE SAID SAID SAID_ALL " completed",
               "{\"id\":\"c1\",\"created_at\":7,\"model\":\"m\","
               "\"status\":\"completed\",\"error\":null,"
               "\"incomplete_details\":null,\"metadata\":{},\"tools\":[],"
               "\"usage\":{\"input_tokens\":9,\"input_tokens_details\":{"
               "\"cached_tokens\":5,\"cache_write_tokens\":0},"
               "\"output_tokens\":4,\"output_tokens_details\":{"
               "\"reasoning_tokens\":2},\"total_tokens\":13}}");

    /* nothing was said, not even how much */

    check_chat("data: [DONE]\n\n", BEGIN " completed",
               "{\"output\":[],\"usage\":null,\"model\":\"\"}");
}


static void
test_endings(void **state)
{
    (void) state;

    check_chat(CHAT("{\"content\":\"a\"}") CHAT_END("length"),
               BEGIN MESSAGE SAID SAID_ALL " incomplete",
               "{\"status\":\"incomplete\",\"incomplete_details\":{"
               "\"reason\":\"max_output_tokens\"}}");

    check_chat(CHAT("{\"content\":\"a\"}") CHAT_END("content_filter"),
               BEGIN MESSAGE SAID SAID_ALL " incomplete",
               "{\"status\":\"incomplete\",\"incomplete_details\":{"
               "\"reason\":\"content_filter\"}}");

    check_chat(CHAT_END("length"), BEGIN " incomplete", "{\"output\":[]}");

    check_chat(CHAT("{\"content\":\"a\"}") CHAT_END("error"),
               BEGIN MESSAGE SAID " failed",
               "{\"status\":\"failed\",\"error\":{\"type\":\"server_error\","
               "\"code\":\"server_error\","
               "\"message\":\"The response ended with an error.\"}}");

    check_chat(CHAT("{\"content\":\"a\"}") CHAT_END("unheard of"),
               BEGIN MESSAGE SAID SAID_ALL " completed",
               "{\"status\":\"completed\"}");

    /* only the first choice is one here */

    check_chat("data: {\"id\":\"c1\",\"choices\":[{\"index\":1,\"delta\":{"
               "\"content\":\"no\"}},{\"index\":0,\"delta\":{\"content\":"
               "\"yes\"}},{\"index\":1,\"delta\":{},\"finish_reason\":"
               "\"length\"}]}\n\n" CHAT_END("stop"),
               BEGIN MESSAGE SAID SAID_ALL " completed",
               "{\"status\":\"completed\"}");
}


static void
test_calls(void **state)
{
    (void) state;

    /* in turns: both are open at the same time; one has no arguments */

    check_chat(CHAT("{\"content\":\"So:\"}")
               CALL("0", "\"id\":\"a\",\"function\":{\"name\":\"f\","
                    "\"arguments\":\"\"}")
               CALL("1", "\"id\":\"b\",\"function\":{\"name\":\"g\","
                    "\"arguments\":\"{\\\"y\\\"\"}")
               CALL("0", "\"function\":{\"arguments\":\"{\\\"x\\\":1}\"}")
               CALL("1", "\"id\":\"other\",\"function\":{\"arguments\":"
                    "\":2}\"}")
               CALL("2", "\"function\":{\"name\":\"h\"}")
               CHAT_END("tool_calls"),
               BEGIN MESSAGE SAID SAID_ALL " output_item.added"
               " output_item.added" CALLED CALLED CALLED
               " output_item.added" CALL_ALL CALL_ALL CALLED CALL_ALL
               " completed", "{\"status\":\"completed\"}");
}


#define TOKEN(text, token)                                                   \
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{"           \
    "\"content\":\"" text "\"},\"logprobs\":{\"content\":[{\"token\":\""   \
    token "\",\"logprob\":-1,\"bytes\":null,\"top_logprobs\":[]}]}}]}\n\n"


/* Tokens before there is a text, and behind a refusal: none is lost, and the
 * parts repeat what was said. */
static void
test_logprobs(void **state)
{
    (void) state;

    check_chat(TOKEN("", "a") TOKEN("b", "b") TOKEN("c", "c")
               CHAT_END("stop"),
               BEGIN MESSAGE SAID SAID SAID SAID SAID_ALL " completed",
               "{\"status\":\"completed\"}");

    check_chat(CHAT("{\"refusal\":\"No\"}") TOKEN("", "a")
               CHAT_END("stop"),
               BEGIN MESSAGE " refusal.delta refusal.done content_part.done"
               " output_item.done completed", "{\"status\":\"completed\"}");
}


/* Log probabilities of a second message come back once: the last event says
 * those of all messages with the first. */
static void
test_logprobs_once(void **state)
{
    char      *out;
    json_t    *said;
    llm_rc_t   rc;

    static const char  in[] =
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":"
        "{\"content\":\"a\"}}]}\n\n"
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":"
        "{\"reasoning\":\"m\"}}]}\n\n"
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":"
        "{\"content\":\"b\"},\"logprobs\":{\"content\":[{\"token\":"
        "\"b\",\"logprob\":-1}]},\"finish_reason\":\"stop\"}]}\n\n"
        "data: [DONE]\n\n";

    (void) state;

    out = codec_convert(&llm_dialect_openai, &llm_dialect_responses, in,
                        sizeof(in) - 1, 0, 0, &rc);
    assert_int_equal(rc, LLM_OK);

    said = codec_text(&llm_dialect_responses, out);
    codec_same("logprobs", codec_at(said, "choices", "0", "logprobs"),
               "[{\"token\":\"b\",\"logprob\":-1}]");
    json_decref(said);
    free(out);
}


/* The calls of the response at the end, without their ids. */
static void
test_call_items(void **state)
{
    char     *out;
    size_t    i;
    json_t   *root, *list, *item;
    llm_rc_t  rc;

    static const char  in[] =
        CALL("0", "\"id\":\"a\",\"function\":{\"name\":\"f\\\"\","
             "\"arguments\":\"{\\\"q\\\":\\\"\\\\u00e9\\\"}\"}")
        CALL("1", "\"function\":{\"name\":\"h\"}") CHAT_END("length");

    (void) state;

    out = codec_convert(&llm_dialect_openai, &llm_dialect_responses, in,
                        strlen(in), 0, 1, &rc);
    assert_int_equal(rc, LLM_OK);

    root = unit_parse((llm_u8 *) out, strlen(out), NULL);
    assert_non_null(root);
    list = json_object_get(root, "output");
    assert_int_equal(json_array_size(list), 2);

    json_array_foreach (list, i, item) {
        assert_int_equal(strncmp(responses_str(item, "id"), "fc_", 3), 0);
        json_object_del(item, "id");
    }

    item = json_array_get(list, 1);
    assert_int_equal(strncmp(responses_str(item, "call_id"), "call_", 5), 0);
    json_object_del(item, "call_id");

    codec_same("calls", list,
               "[{\"type\":\"function_call\",\"status\":\"completed\","
               "\"arguments\":\"{\\\"q\\\":\\\"\\\\u00e9\\\"}\","
               "\"call_id\":\"a\",\"name\":\"f\\\"\"},"
               "{\"type\":\"function_call\",\"status\":\"incomplete\","
               "\"arguments\":\"{}\",\"name\":\"h\"}]");

    json_decref(root);
    free(out);
}


static void
test_reasoning(void **state)
{
    (void) state;

    check_chat(CHAT("{\"reasoning_content\":\"Hm\"}")
               CHAT("{\"reasoning_content\":\"m.\"}")
               CHAT("{\"content\":\"So\"}")
               CHAT("{\"reasoning_content\":\"Wait\"}")
               CHAT("{\"refusal\":\"No\"}") CHAT("{\"content\":\"Yes\"}")
               CHAT_END("stop"),
               BEGIN THOUGHT DELTA_S DELTA_S THOUGHT_ALL MESSAGE SAID
               SAID_ALL THOUGHT DELTA_S THOUGHT_ALL MESSAGE
               " refusal.delta refusal.done content_part.done"
               " content_part.added" SAID SAID_ALL " completed",
               "{\"status\":\"completed\"}");
}


/* An upstream of the same dialect, made anew: everything it said is there. */
static void
test_round_trip(void **state)
{
    char      path[96], *out, *again;
    size_t    i, n;
    json_t   *a, *b, *keep;
    llm_u8   *p;
    llm_rc_t  rc;
    responses_reader_t  r;

    static const char *const  names[] = {
        "text", "tools", "reasoning", "reasoning-text", "refusal",
        "citations", "logprobs", "done-only", "completed-only", "incomplete",
        "filtered"
    };

    (void) state;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "t/fixtures/responses/%s.sse", names[i]);
        p = unit_read(path, &n);

        out = codec_convert(&llm_dialect_responses, &llm_dialect_responses,
                            p, n, 0, 0, &rc);
        assert_int_equal(rc, LLM_OK);

        a = codec_stream(&llm_dialect_responses, p, n);
        b = codec_stream(&llm_dialect_responses, out, strlen(out));

        /* a call that came whole is written in fragments */

        json_object_del(a, "order");
        json_object_del(b, "order");
        json_object_del(a, "meta");

        assert_true(json_object_update(json_object_get(a, "usage"),
            json_object_get(b, "usage")) == 0);

        if (strstr(names[i], "only") != NULL) {
            json_object_del(codec_at(a, "choices", "0", NULL), "calls");
            json_object_del(codec_at(b, "choices", "0", NULL), "calls");
        }

        if (!json_equal(a, b)) {
            fail_msg("%s: was\n%s\nis\n%s", names[i],
                     json_dumps(a, JSON_INDENT(1)),
                     json_dumps(b, JSON_INDENT(1)));
        }

        /* one answer of the stream is the object at the stream's end */

        again = codec_convert(&llm_dialect_responses, &llm_dialect_responses,
                              p, n, 0, 1, &rc);
        assert_int_equal(rc, LLM_OK);
        responses_read(&r, out, &keep);
        responses_check_output(&r);

        json_decref(a);
        a = unit_parse((llm_u8 *) again, strlen(again), NULL);
        assert_non_null(a);

        if (strstr(names[i], "only") == NULL) {
            assert_true(json_equal(a, json_object_get(r.last, "response")));
        }

        json_decref(a);
        json_decref(b);
        responses_close(&r, keep);
        free(again);
        free(out);
        free(p);
    }
}


/* An encoder by itself. */
typedef struct {
    llm_encoder_t   e;
    unit_alloc_t    heap;
    unit_out_t      o;
    void           *state;
} encoder_t;


static void
encoder_open(encoder_t *t, size_t max)
{
    memset(t, 0, sizeof(encoder_t));
    unit_out_init(&t->o, 0, 0);

    t->e.out = &t->o.out;
    t->e.alloc = unit_alloc(&t->heap);
    t->e.max_response = max;
    t->e.now = CODEC_NOW;
    t->state = calloc(1, llm_dialect_responses.stream_size);
    assert_non_null(t->state);
}


static void
encoder_say(encoder_t *t, llm_event_type_t type, const char *text)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(ev));
    ev.type = type;
    ev.created = -1;
    ev.start = -1;
    ev.end = -1;
    ev.linesep = 1;

    if (text != NULL) {
        ev.text = (llm_slice_t) { (const llm_u8 *) text, strlen(text), 0 };
    }

    llm_dialect_responses.encode(&t->e, t->state, &ev);
}


static void
encoder_fail(encoder_t *t, const char *message)
{
    llm_error_t  err;
    llm_event_t  ev;

    memset(&ev, 0, sizeof(ev));
    memset(&err, 0, sizeof(err));

    err.message = (llm_slice_t) { (const llm_u8 *) message, strlen(message),
                                  0 };
    err.type = llm_slice("requests");
    err.code = llm_slice("rate_limit_exceeded");
    err.retry_after = -1;
    err.cls = LLM_ERROR_RATE;
    ev.type = LLM_EV_ERROR;
    ev.error = &err;

    llm_dialect_responses.encode(&t->e, t->state, &ev);
}


static void
encoder_close(encoder_t *t)
{
    llm_dialect_responses.stream_drop(&t->e, t->state);
    assert_int_equal(t->heap.live, 0);
    unit_out_free(&t->o);
    free(t->state);
}


/* What an error looks like in the middle of a stream; nothing after it. */
static void
test_error(void **state)
{
    json_t     *keep, *output;
    responses_reader_t    r;
    encoder_t   t;

    (void) state;

    encoder_open(&t, 1000000);
    encoder_say(&t, LLM_EV_TEXT, "so far");
    encoder_fail(&t, "Slow \"down\"\n");
    encoder_say(&t, LLM_EV_TEXT, "more");
    encoder_say(&t, LLM_EV_END, NULL);
    unit_out_end(&t.o);

    responses_read(&r, (char *) t.o.p, &keep);
    assert_string_equal(r.order, BEGIN MESSAGE SAID " error failed");

    codec_same("error", json_array_get(keep, 5),
               "{\"type\":\"error\",\"sequence_number\":5,"
               "\"code\":\"rate_limit_exceeded\","
               "\"message\":\"Slow \\\"down\\\"\\n\",\"param\":null,"
               "\"error\":{\"type\":\"requests\","
               "\"code\":\"rate_limit_exceeded\","
               "\"message\":\"Slow \\\"down\\\"\\n\",\"param\":null}}");

    codec_same("response.error", codec_at(r.last, "response", "error", NULL),
               "{\"type\":\"requests\",\"code\":\"rate_limit_exceeded\","
               "\"message\":\"Slow \\\"down\\\"\\n\"}");

    assert_string_equal(codec_string(r.last, "response", "status", NULL),
                        "failed");
    output = codec_at(r.last, "response", "output", NULL);
    assert_string_equal(responses_str(json_array_get(output, 0),
                                      "status"), "incomplete");
    responses_close(&r, keep);
    encoder_close(&t);
}


/* Characters that would end a string, a line or an event are none here. */
static void
test_hostile(void **state)
{
    json_t     *keep;
    responses_reader_t    r;
    encoder_t   t;

    static const char  text[] = "\"\\\n\r\t\x01\x7f\xe2\x80\xa8\xc2\x85"
                                "data: {}\n\nevent: error";

    (void) state;

    encoder_open(&t, 1000000);
    encoder_say(&t, LLM_EV_REASONING, text);
    encoder_say(&t, LLM_EV_TEXT, text);
    encoder_say(&t, LLM_EV_REFUSAL, text);
    encoder_say(&t, LLM_EV_PING, NULL);
    encoder_say(&t, LLM_EV_META, NULL);
    encoder_say(&t, LLM_EV_TEXT, "");
    encoder_say(&t, LLM_EV_REASONING, "");
    encoder_say(&t, LLM_EV_TOOL_CALL, text);
    encoder_say(&t, LLM_EV_CITATION, text);
    encoder_say(&t, LLM_EV_END, NULL);
    unit_out_end(&t.o);

    assert_null(memchr(t.o.p, 0x7f, t.o.n));
    assert_null(strstr((char *) t.o.p, "\xe2\x80\xa8"));
    assert_null(strstr((char *) t.o.p, "\xc2\x85"));

    responses_read(&r, (char *) t.o.p, &keep);
    responses_check_output(&r);
    assert_int_equal(r.items, 4);

    assert_string_equal(json_string_value(json_object_get(json_array_get(
        json_object_get(json_array_get(codec_at(r.last, "response", "output",
                                                NULL), 1), "content"), 0),
        "text")), text);

    responses_close(&r, keep);
    encoder_close(&t);
}


/* What is gathered has a bound; the error behind it is written still. */
static void
test_bound(void **state)
{
    size_t      max;
    encoder_t   t;

    (void) state;

    for (max = 0; max < 40; max++) {
        encoder_open(&t, max);
        encoder_say(&t, LLM_EV_REASONING, "0123456789");
        encoder_say(&t, LLM_EV_TEXT, "0123456789");
        encoder_say(&t, LLM_EV_TOOL_CALL, "0123456789");
        encoder_say(&t, LLM_EV_TEXT, "0123456789");

        if (t.e.rc != LLM_OK) {
            assert_int_equal(t.e.rc, LLM_TOO_BIG);
            encoder_fail(&t, "too big");

        } else {
            encoder_say(&t, LLM_EV_END, NULL);
        }

        unit_out_end(&t.o);

        assert_int_equal(t.e.rc == LLM_OK, strstr((char *) t.o.p,
                         "\"type\":\"response.completed\"") != NULL);
        assert_int_equal(t.e.rc != LLM_OK, strstr((char *) t.o.p,
                         "\"type\":\"response.failed\"") != NULL);
        encoder_close(&t);
    }
}


static void
test_no_memory(void **state)
{
    size_t      at;
    encoder_t   t;

    (void) state;

    for (at = 1; at < 100; at++) {
        encoder_open(&t, 1000000);
        t.heap.fail_at = at;

        encoder_say(&t, LLM_EV_REASONING, "a");
        encoder_say(&t, LLM_EV_TEXT, "b");
        encoder_say(&t, LLM_EV_TOOL_CALL, "c");
        encoder_say(&t, LLM_EV_REFUSAL, "d");
        encoder_say(&t, LLM_EV_END, NULL);
        encoder_fail(&t, "no memory");

        if (t.e.rc == LLM_OK) {
            assert_true(t.heap.calls < at);
            at = 100;

        } else {
            assert_int_equal(t.e.rc, LLM_NOMEM);
        }

        encoder_close(&t);
    }

    assert_int_equal(at, 101);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_logprobs_once),
        cmocka_unit_test(test_call_items),
        cmocka_unit_test(test_reasoning),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_no_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
