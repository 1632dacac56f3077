/*
 * Anthropic messages: events of ours to a client's stream, read back by a
 * strict reader, and to one answer.
 */

#include "unit_anthropic.h"
#include "unit_codec.h"
#include "unit_dialect.h"


/* The message that a client got; strict. */
static json_t *
client_message(client_t *c)
{
    json_t  *m;

    unit_out_end(&c->o);
    assert_int_equal(c->e.rc, LLM_OK);
    m = anthropic_read("stream", c->o.p, c->o.n, 1);
    client_drop(c);

    return m;
}


/* The message is as expected, with the events in this order. */
static void
client_is(client_t *c, const char *expect, const char *events)
{
    json_t  *m;

    m = client_message(c);
    assert_string_equal(codec_string(m, "events", NULL, NULL), events);
    json_object_del(m, "events");
    codec_same("message", m, expect);
    json_decref(m);
}


static void
open_stream(client_t *c)
{
    client_open(c, &llm_dialect_anthropic, 0);
    client_start(c);
}


static void
reasoning(client_t *c, const char *text, const char *signature,
    const char *raw)
{
    llm_event_t  ev;

    ev = client_ev(LLM_EV_REASONING);
    ev.text = client_slice(text);

    if (signature != NULL) {
        ev.signature = client_slice(signature);
    }

    if (raw != NULL) {
        ev.raw = client_slice(raw);
    }

    client_event(c, &ev);
}


static void
citation(client_t *c, const char *url, const char *raw)
{
    llm_event_t  ev;

    ev = client_ev(LLM_EV_CITATION);
    ev.id = client_slice(url);
    ev.name = client_slice("T\\u0041");
    ev.start = 3;
    ev.end = 5;

    if (raw != NULL) {
        ev.raw = client_slice(raw);
    }

    client_event(c, &ev);
}


static void
meta(client_t *c, const char *name, const char *raw)
{
    llm_event_t  ev;

    ev = client_ev(LLM_EV_META);
    ev.name = (llm_slice_t) { (const llm_u8 *) name, strlen(name), 0 };
    ev.raw = (llm_slice_t) { (const llm_u8 *) raw, strlen(raw), 0 };
    client_event(c, &ev);
}


/* The bytes of a whole stream. */
static void
test_bytes(void **state)
{
    client_t  c;

    (void) state;

    open_stream(&c);
    client_text(&c, LLM_EV_TEXT, 0, "");
    client_text(&c, LLM_EV_TEXT, 0, "Hi \\ud83d");
    client_text(&c, LLM_EV_TEXT, 0, "\\ude00");
    client_usage(&c, 2);
    client_finish(&c, 0, LLM_FINISH_STOP, "stop");
    client_end(&c);

    client_close(&c,
        "event: message_start\n"
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"c\\u0031\","
        "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"river\","
        "\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,"
        "\"usage\":{\"input_tokens\":0,\"output_tokens\":0}}}\n\n"
        "event: content_block_start\n"
        "data: {\"type\":\"content_block_start\",\"index\":0,"
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        "event: content_block_delta\n"
        "data: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi \\ud83d\"}}\n\n"
        "event: content_block_delta\n"
        "data: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"\\ude00\"}}\n\n"
        "event: content_block_stop\n"
        "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "event: message_delta\n"
        "data: {\"type\":\"message_delta\",\"delta\":{"
        "\"stop_reason\":\"end_turn\",\"stop_sequence\":null},"
        "\"usage\":{\"input_tokens\":1,\"cache_read_input_tokens\":2,"
        "\"output_tokens\":4,"
        "\"output_tokens_details\":{\"thinking_tokens\":2}}}\n\n"
        "event: message_stop\n"
        "data: {\"type\":\"message_stop\"}\n\n");
}


#define STARTED  "\"id\":\"c1\",\"model\":\"river\","
#define UNUSED   "\"usage\":{\"input_tokens\":0,\"output_tokens\":0},"
#define ENDED    "\"stop_reason\":\"end_turn\",\"ended\":true"
#define BLOCK    " content_block_start"
#define DELTA    " content_block_delta"
#define STOP     " content_block_stop"
#define TAIL     " message_delta message_stop"


/* Whatever comes first, and nothing at all. */
static void
test_life_cycle(void **state)
{
    client_t     c;
    llm_event_t  ev;
    json_t      *m;

    (void) state;

    client_open(&c, &llm_dialect_anthropic, 0);
    client_text(&c, LLM_EV_TEXT, 0, "Hi");
    client_end(&c);
    m = client_message(&c);
    assert_memory_equal(codec_string(m, "id", NULL, NULL), "msg_", 4);
    assert_string_equal(codec_string(m, "model", NULL, NULL), "");
    assert_true(json_is_true(codec_at(m, "ended", NULL, NULL)));
    json_decref(m);

    client_open(&c, &llm_dialect_anthropic, 0);
    ev = client_ev(LLM_EV_PING);
    client_event(&c, &ev);
    client_text(&c, LLM_EV_TEXT, 1, "not this choice");
    client_text(&c, LLM_EV_TEXT, 0, "");
    assert_int_equal(c.o.out.pos - c.o.p, 0);
    client_end(&c);
    m = client_message(&c);
    assert_string_equal(codec_string(m, "events", NULL, NULL),
                        "message_start message_delta message_stop");
    json_decref(m);

    /* what no place is for, the other choices */

    open_stream(&c);
    client_text(&c, LLM_EV_TEXT, 0, "Hi");
    ev = client_ev(LLM_EV_LOGPROBS);
    ev.raw = client_slice("[{\"token\":\"Hi\"}]");
    client_event(&c, &ev);
    client_text(&c, LLM_EV_TEXT, 1, "x");
    client_call(&c, 1, 0, "a", "f", "{}");
    client_finish(&c, 1, LLM_FINISH_LENGTH, "length");
    meta(&c, "usedTools", "[1]");
    meta(&c, "content_block_delta", "{\"type\":\"x_delta\"}");
    client_finish(&c, 0, LLM_FINISH_STOP, "stop");
    client_end(&c);
    client_close(&c,
        "event: message_start\n"
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"c\\u0031\","
        "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"river\","
        "\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,"
        "\"usage\":{\"input_tokens\":0,\"output_tokens\":0}}}\n\n"
        "event: content_block_start\n"
        "data: {\"type\":\"content_block_start\",\"index\":0,"
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        "event: content_block_delta\n"
        "data: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n"
        "event: content_block_stop\n"
        "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "event: message_delta\n"
        "data: {\"type\":\"message_delta\",\"delta\":{"
        "\"stop_reason\":\"end_turn\",\"stop_sequence\":null},"
        "\"usage\":{\"output_tokens\":0}}\n\n"
        "event: message_stop\n"
        "data: {\"type\":\"message_stop\"}\n\n");
}


static void
test_blocks(void **state)
{
    client_t  c;

    (void) state;

    open_stream(&c);
    reasoning(&c, "H", NULL, NULL);
    reasoning(&c, "m", NULL, NULL);
    reasoning(&c, "", "Sg==", NULL);
    reasoning(&c, "again", "Sh==", NULL);
    reasoning(&c, "", NULL, "Eg==");
    client_text(&c, LLM_EV_TEXT, 0, "So");
    citation(&c, "u", NULL);
    citation(&c, "u", "{\"type\": \"page_location\",\n \"start\": 1}");
    client_call(&c, 0, 0, "a", "f", "");
    client_call(&c, 0, 0, NULL, NULL, "{}");
    client_text(&c, LLM_EV_TEXT, 0, "!");
    client_end(&c);

    client_is(&c, "{" STARTED UNUSED "\"content\":["
        "{\"type\":\"thinking\",\"thinking\":\"Hm\",\"signature\":\"Sg==\"},"
        "{\"type\":\"thinking\",\"thinking\":\"again\","
        "\"signature\":\"Sh==\"},"
        "{\"type\":\"redacted_thinking\",\"data\":\"Eg==\"},"
        "{\"type\":\"text\",\"text\":\"So\",\"citations\":["
        "{\"type\":\"web_search_result_location\",\"url\":\"u\","
        "\"title\":\"TA\",\"cited_text\":\"\",\"encrypted_index\":\"\"},"
        "{\"type\":\"page_location\",\"start\":1}]},"
        "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{},"
        "\"json\":\"{}\"},{\"type\":\"text\",\"text\":\"!\"}],"
        "\"stop_reason\":\"tool_use\",\"ended\":true}",
        "message_start" BLOCK DELTA DELTA DELTA STOP BLOCK DELTA DELTA STOP
        BLOCK STOP BLOCK DELTA DELTA DELTA STOP BLOCK DELTA STOP BLOCK DELTA
        STOP TAIL);

    /* a citation alone, a signature alone, withheld with text */

    open_stream(&c);
    citation(&c, "u", "{\"type\":\"url_citation\"}");
    reasoning(&c, "", "Sg==", NULL);
    reasoning(&c, "Hm", NULL, "Eg==");
    client_end(&c);

    client_is(&c, "{" STARTED UNUSED "\"content\":["
        "{\"type\":\"text\",\"text\":\"\",\"citations\":["
        "{\"type\":\"web_search_result_location\",\"url\":\"u\","
        "\"title\":\"TA\",\"cited_text\":\"\",\"encrypted_index\":\"\"}]},"
        "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"Sg==\"},"
        "{\"type\":\"thinking\",\"thinking\":\"Hm\",\"signature\":\"\"},"
        "{\"type\":\"redacted_thinking\",\"data\":\"Eg==\"}]," ENDED "}",
        "message_start" BLOCK DELTA STOP BLOCK DELTA STOP BLOCK DELTA STOP
        BLOCK STOP TAIL);
}


/* What a client got so far has this, or has not. */
static void
has(client_t *c, const char *what, int is)
{
    size_t   n;
    char    *got;

    n = (size_t) (c->o.out.pos - c->o.p);
    got = malloc(n + 1);
    assert_non_null(got);
    memcpy(got, c->o.p, n);
    got[n] = '\0';

    if ((strstr(got, what) != NULL) != is) {
        fail_msg("%s\nis %sin\n%s", what, is ? "not " : "", got);
    }

    free(got);
}


static void
test_calls(void **state)
{
    client_t  c;

    (void) state;

    /* one after the other: nothing waits, the second begins as soon as it
     * is heard of */

    open_stream(&c);
    client_call(&c, 0, 0, "a", "f", "");
    client_call(&c, 0, 0, NULL, NULL, "{\\\"x\\\":\\\"}\\\\\\\"\\u007d\\\"");
    client_call(&c, 0, 0, NULL, NULL, ",\\\"y\\\":[1]}");
    client_call(&c, 0, 1, "b", "g", "");
    has(&c, "\"g\"", 1);
    client_call(&c, 0, 1, NULL, NULL, "{}");
    client_finish(&c, 0, LLM_FINISH_TOOL_CALLS, "tool_calls");
    client_end(&c);

    client_is(&c, "{" STARTED UNUSED "\"content\":["
        "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{},"
        "\"json\":\"{\\\"x\\\":\\\"}\\\\\\\"}\\\",\\\"y\\\":[1]}\"},"
        "{\"type\":\"tool_use\",\"id\":\"b\",\"name\":\"g\",\"input\":{},"
        "\"json\":\"{}\"}],\"stop_reason\":\"tool_use\",\"ended\":true}",
        "message_start" BLOCK DELTA DELTA STOP BLOCK DELTA STOP TAIL);

    /* interleaved, with text in between: what waits comes in order as soon
     * as the open call is whole */

    open_stream(&c);
    client_call(&c, 0, 0, "a", "f", "");
    client_call(&c, 0, 1, "b", "g", "{\\\"b\\\"");
    client_call(&c, 0, 0, NULL, NULL, "{\\\"a\\\"");
    client_text(&c, LLM_EV_TEXT, 0, "te");
    client_text(&c, LLM_EV_TEXT, 0, "xt");
    client_call(&c, 0, 1, NULL, NULL, ":2");
    has(&c, "\"g\"", 0);
    client_call(&c, 0, 0, NULL, NULL, ":1}");
    has(&c, "\"g\"", 1);
    has(&c, "text_delta", 0);
    client_call(&c, 0, 1, NULL, NULL, "}");
    has(&c, "text_delta", 1);
    client_text(&c, LLM_EV_TEXT, 0, "!");
    client_call(&c, 0, 0, NULL, NULL, " \\n");
    client_call(&c, 0, 2, "c", "h", "{}");
    client_finish(&c, 0, LLM_FINISH_TOOL_CALLS, "tool_calls");
    client_end(&c);

    client_is(&c, "{" STARTED UNUSED "\"content\":["
        "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{},"
        "\"json\":\"{\\\"a\\\":1}\"},"
        "{\"type\":\"tool_use\",\"id\":\"b\",\"name\":\"g\",\"input\":{},"
        "\"json\":\"{\\\"b\\\":2}\"},{\"type\":\"text\",\"text\":\"text!\"},"
        "{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"h\",\"input\":{},"
        "\"json\":\"{}\"}],\"stop_reason\":\"tool_use\",\"ended\":true}",
        "message_start" BLOCK DELTA DELTA STOP BLOCK DELTA DELTA STOP BLOCK
        DELTA DELTA STOP BLOCK DELTA STOP TAIL);
}


/* Calls that begin in another order than that of their indexes. */
static void
test_call_order(void **state)
{
    size_t     i;
    json_t    *m, *content;
    client_t   c;

    static const char *const  names[] = { "f5", "f3", "f2", "f4" };

    (void) state;

    open_stream(&c);
    client_call(&c, 0, 5, "c5", "f5", "{");
    client_call(&c, 0, 3, "c3", "f3", "{");
    client_call(&c, 0, 4, "c4", "f4", "{\\\"x\\\":4}");
    client_call(&c, 0, 5, NULL, NULL, "}");
    has(&c, "f3", 1);
    client_call(&c, 0, 2, "c2", "f2", "{}");
    client_call(&c, 0, 3, NULL, NULL, "}");
    has(&c, "f2", 1);
    has(&c, "f4", 1);
    client_end(&c);

    m = client_message(&c);
    content = codec_at(m, "content", NULL, NULL);
    assert_int_equal(json_array_size(content), 4);

    for (i = 0; i < 4; i++) {
        assert_string_equal(codec_string(json_array_get(content, i), "name",
                                         NULL, NULL), names[i]);
        assert_string_equal(codec_string(json_array_get(content, i), "json",
                                         NULL, NULL),
                            i == 3 ? "{\"x\":4}" : "{}");
    }

    json_decref(m);
}


/* Names that come late, calls without id, whole ones, cut ones. */
static void
test_odd_calls(void **state)
{
    client_t     c;
    llm_event_t  ev;
    json_t      *m, *content;

    (void) state;

    open_stream(&c);
    client_call(&c, 0, 0, "a", NULL, "");
    client_text(&c, LLM_EV_TEXT, 0, "x");
    client_call(&c, 0, 0, NULL, "f", "{");
    has(&c, "\"f\"", 1);
    client_call(&c, 0, 1, "b", "g", "{\\\"b");
    client_call(&c, 0, 2, NULL, NULL, "");
    client_finish(&c, 0, LLM_FINISH_LENGTH, "length");
    client_end(&c);

    m = client_message(&c);
    content = codec_at(m, "content", NULL, NULL);
    assert_int_equal(json_array_size(content), 4);
    assert_string_equal(codec_string(json_array_get(content, 0), "json",
                                     NULL, NULL), "{");
    assert_string_equal(codec_string(json_array_get(content, 1), "text",
                                     NULL, NULL), "x");
    assert_string_equal(codec_string(json_array_get(content, 2), "json",
                                     NULL, NULL), "{\"b");
    assert_memory_equal(codec_string(json_array_get(content, 3), "id", NULL,
                                     NULL), "toolu_", 6);
    assert_string_equal(codec_string(m, "stop_reason", NULL, NULL),
                        "max_tokens");
    json_decref(m);

    /* a whole one that is no object, plain characters */

    open_stream(&c);
    ev = client_ev(LLM_EV_TOOL_CALL);
    ev.name = client_slice("f");
    ev.text = (llm_slice_t) { (const llm_u8 *) "\"\\\"\n\"", 5, 0 };
    ev.whole = 1;
    client_event(&c, &ev);
    client_text(&c, LLM_EV_TEXT, 0, "x");
    has(&c, "text_delta", 1);
    client_end(&c);

    m = client_message(&c);
    content = codec_at(m, "content", NULL, NULL);
    assert_string_equal(codec_string(json_array_get(content, 0), "json",
                                     NULL, NULL), "\"\\\"\n\"");
    json_decref(m);
}


/* Space behind a call that is whole is no argument, however it is written. */
static void
test_space_behind(void **state)
{
    json_t    *m;
    client_t   c;

    (void) state;

    open_stream(&c);
    client_call(&c, 0, 0, "a", "f", "{}");
    client_text(&c, LLM_EV_TEXT, 0, "x");
    client_call(&c, 0, 0, NULL, NULL, "\\n \\u000a\\u0020\\r\\t");
    assert_int_equal(c.e.rc, LLM_OK);
    client_end(&c);

    m = client_message(&c);
    assert_string_equal(codec_string(json_array_get(
        codec_at(m, "content", NULL, NULL), 0), "json", NULL, NULL), "{}");
    json_decref(m);
}


/* What cannot be said ends the stream instead of being said wrongly. */
static void
test_limits(void **state)
{
    int       i;
    client_t  c;

    (void) state;

    /* more arguments for a call that was closed */

    open_stream(&c);
    client_call(&c, 0, 0, "a", "f", "{}");
    client_text(&c, LLM_EV_TEXT, 0, "x");
    client_call(&c, 0, 0, NULL, NULL, "{}");
    assert_int_equal(c.e.rc, LLM_INVALID);
    client_text(&c, LLM_EV_TEXT, 0, "never");
    client_end(&c);
    has(&c, "never", 0);
    has(&c, "message_stop", 0);
    client_error(&c, "broken");
    has(&c, "event: error\ndata: {\"type\":\"error\",", 1);
    client_drop(&c);

    /* what waits is bounded */

    open_stream(&c);
    c.e.max_response = 100;
    client_call(&c, 0, 0, "a", "f", "{");

    for (i = 0; i < 20 && c.e.rc == LLM_OK; i++) {
        client_text(&c, LLM_EV_TEXT, 0, "0123456789");
    }

    assert_int_equal(c.e.rc, LLM_TOO_BIG);
    assert_true(i == 11);
    client_drop(&c);

    /* so are calls */

    open_stream(&c);
    client_call(&c, 0, LLM_ANSWER_ITEMS, "a", "f", "{");
    assert_int_equal(c.e.rc, LLM_TOO_BIG);
    client_drop(&c);

    /* a bound that is used over and over is not used up */

    open_stream(&c);
    c.e.max_response = 100;

    for (i = 0; i < 50; i++) {
        client_call(&c, 0, (unsigned) i * 2, "a", "f", "{");
        client_call(&c, 0, (unsigned) i * 2 + 1, "b", "g", "{}");
        client_text(&c, LLM_EV_TEXT, 0, "0123456789");
        client_call(&c, 0, (unsigned) i * 2, NULL, NULL, "}");
    }

    client_end(&c);
    json_decref(client_message(&c));
}


#define REASON(finish_, word_, stop_, expect_)                              \
    { LLM_FINISH_ ## finish_, word_, stop_, expect_ }


static void
test_reasons(void **state)
{
    static const struct {
        llm_finish_t  finish;
        const char   *word;
        const char   *stop;
        const char   *expect;
    } rows[] = {
        REASON(STOP, "stop", NULL, "end_turn"),
        REASON(STOP, "STOP_SEQUENCE", "#", "stop_sequence"),
        REASON(STOP, "pause_turn", NULL, "pause_turn"),
        REASON(STOP, "max_tokens", NULL, "end_turn"),
        REASON(LENGTH, "length", NULL, "max_tokens"),
        REASON(LENGTH, "model_context_window_exceeded", NULL,
               "model_context_window_exceeded"),
        REASON(TOOL_CALLS, "tool_calls", NULL, "tool_use"),
        REASON(CONTENT_FILTER, "SAFETY", NULL, "refusal"),
        REASON(OTHER, "ti\\u0064al", NULL, "tidal"),
        REASON(OTHER, "", NULL, "end_turn"),
        REASON(NONE, "", NULL, "end_turn")
    };

    size_t       i;
    json_t      *m, *stop;
    client_t     c;
    llm_event_t  ev;

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        open_stream(&c);
        client_text(&c, LLM_EV_TEXT, 0, "x");
        client_finish(&c, 0, LLM_FINISH_LENGTH, "length");

        ev = client_ev(LLM_EV_FINISH);
        ev.finish = rows[i].finish;
        ev.text = client_slice(rows[i].word);

        if (rows[i].stop != NULL) {
            ev.name = client_slice(rows[i].stop);
        }

        client_event(&c, &ev);
        client_end(&c);

        m = client_message(&c);
        stop = codec_at(m, "stop_sequence", NULL, NULL);
        assert_string_equal(codec_string(m, "stop_reason", NULL, NULL),
                            rows[i].expect);
        assert_true((stop != NULL) == (rows[i].stop != NULL));
        json_decref(m);
    }
}


/* Reasons that are not taken as they came. */
static void
test_other_reasons(void **state)
{
    json_t    *m;
    client_t   c;

    (void) state;

    /* a failure is no reason: an error, and no message_stop */

    open_stream(&c);
    client_text(&c, LLM_EV_TEXT, 0, "x");
    client_finish(&c, 0, LLM_FINISH_ERROR, "error");
    client_end(&c);
    m = client_message(&c);
    assert_string_equal(codec_string(m, "error", "type", NULL), "api_error");
    assert_true(json_is_false(codec_at(m, "ended", NULL, NULL)));
    json_decref(m);

    /* "stop" after a call, and after a refusal */

    open_stream(&c);
    client_call(&c, 0, 0, "a", "f", "{}");
    client_finish(&c, 0, LLM_FINISH_STOP, "stop");
    client_end(&c);
    m = client_message(&c);
    assert_string_equal(codec_string(m, "stop_reason", NULL, NULL),
                        "tool_use");
    json_decref(m);

    open_stream(&c);
    client_text(&c, LLM_EV_REFUSAL, 0, "I");
    client_text(&c, LLM_EV_REFUSAL, 0, " can't");
    client_finish(&c, 0, LLM_FINISH_STOP, "stop");
    client_end(&c);
    client_is(&c, "{" STARTED UNUSED "\"content\":[{\"type\":\"text\","
              "\"text\":\"I can't\"}],\"stop_reason\":\"refusal\","
              "\"ended\":true}",
              "message_start" BLOCK DELTA DELTA STOP TAIL);
}


static void
test_usage(void **state)
{
    size_t       i;
    client_t     c;
    json_t      *m;
    llm_event_t  ev;
    llm_usage_t  u;

    static const struct {
        llm_usage_t  usage;
        const char  *expect;
    } rows[] = {
        { { 10, 4, -1, -1, 14, -1 },
          "{\"input_tokens\":10,\"output_tokens\":4}" },
        { { 10, 4, 3, 2, 14, 5 },
          "{\"input_tokens\":2,\"cache_creation_input_tokens\":5,"
          "\"cache_read_input_tokens\":3,\"output_tokens\":4,"
          "\"output_tokens_details\":{\"thinking_tokens\":2}}" },
        { { 3, 4, 7, -1, -1, 9 },
          "{\"input_tokens\":0,\"cache_creation_input_tokens\":9,"
          "\"cache_read_input_tokens\":7,\"output_tokens\":4}" },
        { { -1, -1, -1, -1, 7, -1 },
          "{\"input_tokens\":0,\"output_tokens\":0}" },
        { { -1, 4, 2, -1, -1, -1 },
          "{\"input_tokens\":0,\"cache_read_input_tokens\":2,"
          "\"output_tokens\":4}" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        open_stream(&c);

        u = llm_usage_none;
        u.output = 1;
        ev = client_ev(LLM_EV_USAGE);
        ev.usage = &u;
        client_event(&c, &ev);

        u = rows[i].usage;

        if (u.output < 0) {
            u.output = 0;
        }

        client_event(&c, &ev);
        client_end(&c);
        m = client_message(&c);
        codec_same("usage", codec_at(m, "usage", NULL, NULL),
                   rows[i].expect);
        json_decref(m);
    }
}


static void
test_error(void **state)
{
    client_t     c;
    json_t      *m;
    llm_error_t  err;
    char        *body;

    (void) state;

    open_stream(&c);
    client_text(&c, LLM_EV_TEXT, 0, "x");
    client_error(&c, "the \"tide\"\n");
    m = client_message(&c);
    codec_same("error", codec_at(m, "error", NULL, NULL),
               "{\"type\":\"api_error\",\"message\":\"the \\\"tide\\\"\\n\"}");
    json_decref(m);

    memset(&err, 0, sizeof(llm_error_t));
    err.cls = LLM_ERROR_OVERLOADED;
    body = codec_error(&llm_dialect_anthropic, &err);
    assert_string_equal(body, "{\"type\":\"error\",\"error\":{\"type\":"
                        "\"overloaded_error\",\"message\":"
                        "\"The request failed.\"}}");
    free(body);
}


/* No memory: whatever fails, nothing is leaked and the fault is said. */
static void
test_no_memory(void **state)
{
    size_t    at;
    client_t  c;

    (void) state;

    for (at = 1; at < 30; at++) {
        open_stream(&c);
        c.u.fail_at = at;

        client_call(&c, 0, 0, "a", "f", "{");
        client_call(&c, 0, 1, "b", "g", "{\\\"b\\\":1}");
        client_text(&c, LLM_EV_TEXT, 0, "x");
        citation(&c, "u", NULL);
        meta(&c, "stop_details", "{\"a\":1}");
        client_finish(&c, 0, LLM_FINISH_OTHER, "tidal");
        client_end(&c);

        assert_true(c.e.rc == LLM_NOMEM || c.u.calls < at);
        has(&c, "message_stop", c.e.rc == LLM_OK);
        client_drop(&c);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_life_cycle),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_call_order),
        cmocka_unit_test(test_odd_calls),
        cmocka_unit_test(test_space_behind),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_other_reasons),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_no_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
