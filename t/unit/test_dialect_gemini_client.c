/*
 * What a Gemini client is sent: chunks in events and in an array, one answer,
 * errors.
 */

#include "llm_error.h"
#include "unit_codec.h"
#include "unit_dialect.h"


#define GEMINI  (&llm_dialect_gemini)

#define LABEL   "\"modelVersion\":\"river\",\"responseId\":\"c\\u0031\"}"
#define CD(parts, i, more)                                                  \
    "{\"content\":{\"parts\":[" parts "],\"role\":\"model\"}" more
#define CHUNK(parts, i)                                                     \
    "{\"candidates\":[" CD(parts, i, ",\"index\":" i "}]," LABEL)
#define TEXT(s)  "{\"text\":\"" s "\"}"
#define FIN(w, i)                                                           \
    CD(TEXT(""), i, ",\"finishReason\":\"" w "\",\"index\":" i)
#define USAGE                                                               \
    "\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":4," \
    "\"totalTokenCount\":7},"

#define EV(json)  "data: " json "\n\n"

#define LOGPROBS                                                            \
    "{\"candidates\":[" CD(TEXT(""), "0", ",\"index\":0,\"logprobsResult\":" \
    "{\"chosenCandidates\":[{\"token\":\"O\",\"logProbability\":0}]}}],")   \
    LABEL

#define SCRIPT(open, sep, close)                                            \
    open CHUNK("{\"text\":\"Hm\",\"thought\":true}", "0") sep               \
    CHUNK(TEXT("One\\n"), "0") sep CHUNK(TEXT("Two"), "1") sep              \
    LOGPROBS sep LOGPROBS sep CHUNK(TEXT("No"), "0") sep                    \
    CHUNK("{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":1},"           \
          "\"id\":\"call\"}}", "1") sep                                     \
    "{\"candidates\":[" FIN("OTHER", "0") "}," FIN("STOP", "1")             \
    "}],\"usageMetadata\":{\"promptTokenCount\":3,"                         \
    "\"cachedContentTokenCount\":2,\"candidatesTokenCount\":2,"             \
    "\"thoughtsTokenCount\":2,\"totalTokenCount\":7}," LABEL close


static void
test_script(void **state)
{
    client_t  c;

    (void) state;

    client_open(&c, GEMINI, 0);
    client_script(&c);
    client_close(&c, SCRIPT("data: ", "\n\ndata: ", "\n\n"));

    client_open(&c, GEMINI, 0);
    c.e.array = 1;
    client_script(&c);
    client_close(&c, SCRIPT("[", ",\r\n", "]"));

    client_open(&c, GEMINI, 1);
    client_script(&c);
    client_close(&c,
        "{\"candidates\":["
        CD("{\"text\":\"Hm\",\"thought\":true}," TEXT("One\\n") "," TEXT("No"),
           "0", ",\"finishReason\":\"OTHER\",\"index\":0,\"logprobsResult\":"
           "{\"chosenCandidates\":[{\"token\":\"O\",\"logProbability\":0},"
           "{\"token\":\"O\",\"logProbability\":0}]}},")
        CD(TEXT("Two") ",{\"functionCall\":{\"name\":\"f\",\"args\":"
           "{\"a\":1},\"id\":\"call\"}}", "1",
           ",\"finishReason\":\"STOP\",\"index\":1}],")
        "\"usageMetadata\":{\"promptTokenCount\":3,"
        "\"cachedContentTokenCount\":2,\"candidatesTokenCount\":2,"
        "\"thoughtsTokenCount\":2,\"totalTokenCount\":7}," LABEL);
}


/* Each event is in the client's hands before the next one comes. */
static void
test_at_once(void **state)
{
    client_t  c;

    (void) state;

    client_open(&c, GEMINI, 0);
    c.e.array = 1;
    client_start(&c);
    unit_out_end(&c.o);
    assert_int_equal(c.o.n, 0);

    client_text(&c, LLM_EV_TEXT, 0, "One");
    unit_out_end(&c.o);
    assert_string_equal((char *) c.o.p, "[" CHUNK(TEXT("One"), "0"));

    client_text(&c, LLM_EV_TEXT, 0, "Two");
    unit_out_end(&c.o);
    assert_string_equal((char *) c.o.p, "[" CHUNK(TEXT("One"), "0") ",\r\n"
                                        CHUNK(TEXT("Two"), "0"));

    /* nothing finished: the array stays open */

    client_finish(&c, 0, LLM_FINISH_STOP, "stop");
    unit_out_end(&c.o);
    assert_string_equal((char *) c.o.p, "[" CHUNK(TEXT("One"), "0") ",\r\n"
                                        CHUNK(TEXT("Two"), "0"));
    client_drop(&c);
}


#define CALL(name, args, id)                                                \
    "{\"functionCall\":{\"name\":\"" name "\",\"args\":" args ",\"id\":\""  \
    id "\"}}"

static void
test_calls(void **state)
{
    client_t     c;
    llm_event_t  ev;

    (void) state;

    /* fragments of several calls, one of which is no JSON */

    client_open(&c, GEMINI, 0);
    client_start(&c);
    client_call(&c, 0, 0, "a", "f", "{\\\"x\\\":");
    client_call(&c, 0, 1, "b", "g", "");
    client_call(&c, 0, 0, NULL, NULL, "[1,\\n 2]}");
    client_call(&c, 0, 2, "c", "h", "{\\\"br");
    client_finish(&c, 0, LLM_FINISH_TOOL_CALLS, "tool_calls");
    client_usage(&c, -1);
    client_end(&c);
    client_close(&c,
        EV(CHUNK(CALL("f", "{\"x\":[1, 2]}", "a"), "0"))
        EV(CHUNK(CALL("g", "{}", "b"), "0"))
        EV("{\"candidates\":[" FIN("MALFORMED_FUNCTION_CALL", "0") "}],"
           USAGE LABEL));

    /* the limit explains it */

    client_open(&c, GEMINI, 0);
    client_start(&c);
    client_call(&c, 0, 0, "c", "h", "{\\\"br");
    client_finish(&c, 0, LLM_FINISH_LENGTH, "length");
    client_finish(&c, 0, LLM_FINISH_LENGTH, "length");
    client_end(&c);
    client_close(&c, EV("{\"candidates\":[" FIN("MAX_TOKENS", "0") "}],"
                        LABEL));

    /* one that is whole goes out at once, with what must come back */

    client_open(&c, GEMINI, 0);
    client_start(&c);
    ev = client_ev(LLM_EV_TOOL_CALL);
    ev.id = client_slice("a");
    ev.name = client_slice("f");
    ev.signature = client_slice("cw==");
    ev.text = llm_slice("{ }");
    ev.whole = 1;
    client_event(&c, &ev);
    unit_out_end(&c.o);
    assert_string_equal((char *) c.o.p,
        EV(CHUNK("{\"functionCall\":{\"name\":\"f\",\"args\":{ },\"id\":"
                 "\"a\"},\"thoughtSignature\":\"cw==\"}", "0")));
    client_drop(&c);

    /* no finish reason, but the end */

    client_open(&c, GEMINI, 0);
    client_start(&c);
    client_call(&c, 0, 0, "a", "f", "{}");
    client_call(&c, 0, 1, "b", "g", "7");
    client_end(&c);
    client_close(&c,
        EV(CHUNK(CALL("f", "{}", "a"), "0"))
        EV("{\"candidates\":[" FIN("MALFORMED_FUNCTION_CALL", "0") "}],"
           LABEL));
}


static void
test_answer_calls(void **state)
{
    client_t  c;

    (void) state;

    client_open(&c, GEMINI, 1);
    client_call(&c, 0, 0, "a", "f", "{\\\"br");
    client_call(&c, 0, 1, "b", "g", "{}");
    client_finish(&c, 0, LLM_FINISH_TOOL_CALLS, "");
    client_end(&c);
    client_close(&c, "{\"candidates\":[" CD(CALL("g", "{}", "b"), "0",
        ",\"finishReason\":\"MALFORMED_FUNCTION_CALL\",\"index\":0}],"
        "\"responseId\":\"511e7260d5db62e2\"}"));

    client_open(&c, GEMINI, 1);
    client_start(&c);
    client_call(&c, 0, 0, "a", "f", "{\\\"br");
    client_finish(&c, 0, LLM_FINISH_LENGTH, "");
    client_end(&c);
    client_close(&c, "{\"candidates\":[" FIN("MAX_TOKENS", "0") "}]," LABEL);

    client_open(&c, GEMINI, 1);
    client_start(&c);
    client_end(&c);
    client_close(&c, "{\"candidates\":[]," LABEL);
}


static void
test_signatures(void **state)
{
    client_t     c;
    llm_event_t  ev;

    (void) state;

    client_open(&c, GEMINI, 0);
    client_start(&c);

    ev = client_ev(LLM_EV_REASONING);
    ev.text = client_slice("");
    ev.signature = client_slice("cw==");
    client_event(&c, &ev);

    ev.type = LLM_EV_TEXT;
    ev.text = (llm_slice_t) { (const llm_u8 *) "a\xe2\x80\xa8\"", 5, 0 };
    ev.linesep = 1;
    client_event(&c, &ev);

    /* withheld reasoning of another provider cannot be said */

    ev = client_ev(LLM_EV_REASONING);
    ev.raw = client_slice("secret");
    client_event(&c, &ev);

    client_close(&c,
        EV(CHUNK("{\"text\":\"\",\"thought\":true,\"thoughtSignature\":"
                 "\"cw==\"}", "0"))
        EV(CHUNK("{\"text\":\"a\\u2028\\\"\",\"thoughtSignature\":"
                 "\"cw==\"}", "0")));
}


/* Parts of Gemini's own come back as they were; extras of others do not. */
static void
test_other_parts(void **state)
{
    client_t     c;
    llm_event_t  ev;

    (void) state;

    client_open(&c, GEMINI, 0);
    client_start(&c);

    ev = client_ev(LLM_EV_META);
    ev.name = client_slice("executableCode");
    ev.raw = client_slice("{\r\n \"code\":\"c\"}");
    ev.signature = client_slice("cw==");
    client_event(&c, &ev);

    ev.name = client_slice("sources");
    client_event(&c, &ev);
    ev.name = llm_slice_null;
    client_event(&c, &ev);

    client_close(&c,
        EV(CHUNK("{\"executableCode\":{ \"code\":\"c\"},"
                 "\"thoughtSignature\":\"cw==\"}", "0")));
}


static void
cite(client_t *c, const char *url, const char *title, const char *text)
{
    llm_event_t  ev;

    ev = client_ev(LLM_EV_CITATION);
    ev.id = client_slice(url);
    ev.name = client_slice(title);
    ev.text = client_slice(text);
    ev.start = -1;
    ev.end = -1;
    client_event(c, &ev);
}


#define GROUNDING                                                           \
    ",\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"u\"," \
    "\"title\":\"\"}},{\"web\":{\"uri\":\"v\",\"title\":\"V\"}}],"          \
    "\"groundingSupports\":[{\"segment\":{\"text\":\"t\"},"                 \
    "\"groundingChunkIndices\":[1]}]}"

static void
test_citations(void **state)
{
    unsigned  answer;
    client_t  c;

    (void) state;

    for (answer = 0; answer < 2; answer++) {
        client_open(&c, GEMINI, answer);
        client_start(&c);
        cite(&c, "u", "", "");
        cite(&c, "", "", "nothing");
        cite(&c, "v", "V", "t");
        client_finish(&c, 0, LLM_FINISH_CONTENT_FILTER, "");
        client_end(&c);

        if (answer) {
            client_close(&c, "{\"candidates\":[" FIN("SAFETY", "0") GROUNDING
                             "}]," LABEL);

        } else {
            client_close(&c, EV("{\"candidates\":[" FIN("SAFETY", "0")
                                GROUNDING "}]," LABEL));
        }
    }
}


/* Items of OpenAI's in several shapes. */
static void
test_logprobs(void **state)
{
    client_t     c;
    llm_event_t  ev;

    (void) state;

    client_open(&c, GEMINI, 0);
    client_start(&c);

    ev = client_ev(LLM_EV_LOGPROBS);
    ev.raw = client_slice("[ {\"token\":\"a\\n\",\"logprob\":-1.5e-2,"
                          "\"bytes\":[97],\"top_logprobs\":[{\"token\":"
                          "\"a\",\"logprob\":-1},{}]}, 7, null,[1],"
                          "{\"token\":null,\"top_logprobs\":null} ]");
    client_event(&c, &ev);
    ev.raw = client_slice("[]");
    client_event(&c, &ev);

    client_close(&c, EV("{\"candidates\":[" CD(TEXT(""), "0",
        ",\"index\":0,\"logprobsResult\":{\"chosenCandidates\":[{\"token\":"
        "\"a\\n\",\"logProbability\":-1.5e-2},{\"token\":\"\","
        "\"logProbability\":0}],\"topCandidates\":[{\"candidates\":["
        "{\"token\":\"a\",\"logProbability\":-1},{\"token\":\"\","
        "\"logProbability\":0}]},{\"candidates\":[]}]}}],") LABEL));
}


/* What was said of usage, and no more. */
static void
test_usage(void **state)
{
    size_t       i;
    client_t     c;
    llm_event_t  ev;

    static const struct {
        llm_usage_t  said;
        const char  *expect;
    } cases[] = {
        { { 3, 4, -1, -1, -1, -1 },
          "\"promptTokenCount\":3,\"candidatesTokenCount\":4,"
          "\"totalTokenCount\":7" },
        { { 3, 10, 1, 11, 14, 2 },
          "\"promptTokenCount\":3,\"cachedContentTokenCount\":1,"
          "\"candidatesTokenCount\":0,\"thoughtsTokenCount\":11,"
          "\"totalTokenCount\":14" },
        { { INT64_MAX, 1, -1, 0, -1, -1 },
          "\"promptTokenCount\":9223372036854775807,"
          "\"candidatesTokenCount\":1,\"thoughtsTokenCount\":0" },
        { { -1, -1, -1, -1, 9, -1 }, "\"totalTokenCount\":9" }
    };

    char  expect[512];

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        client_open(&c, GEMINI, 0);
        client_start(&c);
        ev = client_ev(LLM_EV_USAGE);
        ev.usage = &cases[i].said;
        client_event(&c, &ev);
        client_end(&c);

        (void) snprintf(expect, sizeof(expect), "data: {\"candidates\":["
                        FIN("STOP", "0") "}],\"usageMetadata\":{%s}," LABEL
                        "\n\n", cases[i].expect);
        client_close(&c, expect);
    }
}


static void
test_errors(void **state)
{
    char         *body;
    client_t      c;
    llm_error_t   err;
    llm_event_t   ev;

    (void) state;

    memset(&err, 0, sizeof(llm_error_t));
    err.message = client_slice("slow \\\"down\\\"");
    err.status = 429;
    err.retry_after = 34400;
    llm_error_classify(&err);

    ev = client_ev(LLM_EV_ERROR);
    ev.error = &err;

#define SLOW  "{\"error\":{\"code\":429,\"message\":\"slow \\\"down\\\"\"," \
              "\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":"  \
              "\"type.googleapis.com/google.rpc.RetryInfo\","               \
              "\"retryDelay\":\"34.4s\"}]}}"

    client_open(&c, GEMINI, 0);
    client_event(&c, &ev);
    client_close(&c, EV(SLOW));

    client_open(&c, GEMINI, 0);
    c.e.array = 1;
    client_event(&c, &ev);
    client_close(&c, "[" SLOW "]");

    client_open(&c, GEMINI, 0);
    c.e.array = 1;
    client_start(&c);
    client_text(&c, LLM_EV_TEXT, 0, "a");
    client_event(&c, &ev);
    client_close(&c, "[" CHUNK(TEXT("a"), "0") ",\r\n" SLOW "]");

    memset(&err, 0, sizeof(llm_error_t));
    err.retry_after = 2005;
    err.status = 418;
    body = codec_error(GEMINI, &err);
    assert_non_null(strstr(body, "\"code\":418,\"message\":\"\",\"status\":"
                                 "\"UNKNOWN\""));
    assert_non_null(strstr(body, "\"2.005s\""));
    free(body);

    err.retry_after = -1;
    err.cls = LLM_ERROR_OVERLOADED;
    err.status = 529;
    body = codec_error(GEMINI, &err);
    assert_string_equal(body, "{\"error\":{\"code\":503,\"message\":\"\","
                              "\"status\":\"UNAVAILABLE\"}}");
    free(body);
}


/* Nothing was said, or nothing but that it began.  An end is an end, and is
 * said by a finish reason. */
static void
test_empty(void **state)
{
    client_t  c;

    (void) state;

    client_open(&c, GEMINI, 0);
    client_end(&c);
    client_close(&c, EV("{\"candidates\":[" FIN("STOP", "0") "}],"
                        "\"responseId\":\"511e7260d5db62e2\"}"));

    client_open(&c, GEMINI, 0);
    c.e.array = 1;
    client_start(&c);
    client_end(&c);
    client_close(&c, "[{\"candidates\":[" FIN("STOP", "0") "}]," LABEL "]");

    client_open(&c, GEMINI, 0);
    client_text(&c, LLM_EV_TEXT, 0, "");
    client_text(&c, LLM_EV_TEXT, 0, "a");
    client_close(&c, EV("{\"candidates\":[" CD(TEXT("a"), "0",
        ",\"index\":0}],\"responseId\":\"511e7260d5db62e2\"}")));
}


/* What is held is bounded, and memory may end. */
static void
test_bounds(void **state)
{
    size_t       at, calls;
    client_t     c;

    (void) state;

    client_open(&c, GEMINI, 0);
    c.e.max_response = 20;
    client_call(&c, 0, 0, "a", "f", "{\\\"a\\\":1}");
    assert_int_equal(c.e.rc, LLM_OK);
    client_call(&c, 0, 0, NULL, NULL, "            ");
    assert_int_equal(c.e.rc, LLM_TOO_BIG);
    client_end(&c);
    client_close(&c, "");

    client_open(&c, GEMINI, 0);
    client_script(&c);
    cite(&c, "u", "t", "x");
    calls = c.u.calls;
    client_drop(&c);
    assert_true(calls > 3);

    for (at = 1; at <= calls; at++) {
        client_open(&c, GEMINI, 0);
        c.u.fail_at = at;
        client_script(&c);
        cite(&c, "u", "t", "x");
        assert_int_equal(c.e.rc, LLM_NOMEM);
        client_drop(&c);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_script),
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_answer_calls),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_other_parts),
        cmocka_unit_test(test_citations),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_bounds)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
