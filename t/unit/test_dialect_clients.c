/*
 * The client half of every dialect: events to bytes, as a stream and as one
 * answer, and the bodies of errors.
 */

#include "flow_support.h"


typedef struct {
    const llm_dialect_t  *dialect;
    llm_encoder_t         e;
    unit_out_t            o;
    unit_alloc_t          u;
    void                 *state;
    size_t                size;
    unsigned              answer;
} client_t;


static void
client_open(client_t *c, const llm_dialect_t *d, unsigned answer)
{
    memset(c, 0, sizeof(client_t));

    c->dialect = d;
    c->answer = answer;
    c->size = answer ? d->answer_size : d->stream_size;
    c->state = calloc(1, c->size + 1);
    assert_non_null(c->state);

    unit_out_init(&c->o, 0, 0);

    c->e.out = &c->o.out;
    c->e.alloc = unit_alloc(&c->u);
    c->e.max_response = FLOW_PLENTY;
    c->e.now = FLOW_NOW;
}


static void
client_event(client_t *c, const llm_event_t *ev)
{
    (c->answer ? c->dialect->answer : c->dialect->encode)(&c->e, c->state,
                                                          ev);
}


static void
client_drop(client_t *c)
{
    void  (*drop)(llm_encoder_t *e, void *state);

    drop = c->answer ? c->dialect->answer_drop : c->dialect->stream_drop;

    if (drop != NULL) {
        drop(&c->e, c->state);
    }

    assert_int_equal(c->u.live, 0);

    free(c->state);
    unit_out_free(&c->o);
}


/* Ends the client; the output must be as expected. */
static void
client_close(client_t *c, const char *expect)
{
    unit_out_end(&c->o);

    if (strcmp((char *) c->o.p, expect) != 0) {
        fail_msg("got:\n%s\nexpected:\n%s", (char *) c->o.p, expect);
    }

    client_drop(c);
}


static llm_event_t
event(llm_event_type_t type)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(llm_event_t));
    ev.type = type;
    ev.created = -1;

    return ev;
}


static llm_slice_t
slice(const char *s)
{
    return (llm_slice_t) { (const llm_u8 *) s, strlen(s), 1 };
}


static void
client_text(client_t *c, llm_event_type_t type, unsigned choice,
    const char *text)
{
    llm_event_t  ev;

    ev = event(type);
    ev.choice = choice;
    ev.text = slice(text);
    client_event(c, &ev);
}


static void
client_finish(client_t *c, unsigned choice, llm_finish_t finish,
    const char *word)
{
    llm_event_t  ev;

    ev = event(LLM_EV_FINISH);
    ev.choice = choice;
    ev.finish = finish;
    ev.text = slice(word);
    client_event(c, &ev);
}


static void
client_start(client_t *c)
{
    llm_event_t  ev;

    ev = event(LLM_EV_START);
    ev.id = slice("c\\u0031");
    ev.model = slice("river");
    ev.created = 17;
    client_event(c, &ev);
}


static void
client_usage(client_t *c, int64_t cached)
{
    llm_event_t  ev;
    llm_usage_t  u;

    u = (llm_usage_t) { 3, 4, cached, cached, -1 };
    ev = event(LLM_EV_USAGE);
    ev.usage = &u;
    client_event(c, &ev);
}


static void
client_end(client_t *c)
{
    llm_event_t  ev;

    ev = event(LLM_EV_END);
    client_event(c, &ev);
}


static void
client_error(client_t *c, const char *message)
{
    llm_event_t  ev;
    llm_error_t  err;

    memset(&err, 0, sizeof(llm_error_t));
    err.message = (llm_slice_t) { (const llm_u8 *) message, strlen(message),
                                  0 };
    err.type = slice("server_error");
    err.code = slice("tide");

    ev = event(LLM_EV_ERROR);
    ev.error = &err;
    client_event(c, &ev);
}


/* All kinds of events, the same for every dialect. */
static void
client_script(client_t *c)
{
    llm_event_t  ev;

    client_start(c);
    client_text(c, LLM_EV_TEXT, 0, "");
    client_text(c, LLM_EV_REASONING, 0, "Hm");
    client_text(c, LLM_EV_TEXT, 0, "One\\n");
    client_text(c, LLM_EV_TEXT, 1, "Two");

    ev = event(LLM_EV_TOOL_CALL);
    ev.choice = 1;
    ev.tool_index = 1;
    ev.id = slice("call");
    ev.name = slice("f");
    ev.text = slice("");
    client_event(c, &ev);

    ev.id = llm_slice_null;
    ev.name = llm_slice_null;
    ev.text = (llm_slice_t) { (const llm_u8 *) "{\"a\":1}", 7, 0 };
    client_event(c, &ev);

    ev = event(LLM_EV_LOGPROBS);
    ev.raw = slice("{\n \"content\": [\r\n {\"token\":\"O\"} ],"
                   "\"refusal\":null}");
    client_event(c, &ev);
    client_event(c, &ev);

    ev = event(LLM_EV_PING);
    client_event(c, &ev);
    ev = event(LLM_EV_META);
    client_event(c, &ev);

    client_usage(c, -1);
    client_text(c, LLM_EV_REFUSAL, 0, "No");
    client_finish(c, 1, LLM_FINISH_TOOL_CALLS, "function_call");
    client_finish(c, 0, LLM_FINISH_OTHER, "ti\\u0064al");
    client_usage(c, 2);
    client_end(c);
}


#define HEAD  "data: {\"id\":\"c\\u0031\",\"object\":"                       \
              "\"chat.completion.chunk\",\"created\":17,\"model\":\"river\"," \
              "\"choices\":["
#define DELTA0(d)  HEAD "{\"index\":0,\"delta\":{" d "},\"logprobs\":null,"  \
                   "\"finish_reason\":null}]"
#define DELTA1(d)  HEAD "{\"index\":1,\"delta\":{" d "},\"logprobs\":null,"  \
                   "\"finish_reason\":null}]"
#define ROLE  "\"role\":\"assistant\",\"content\":\"\""
#define LOGS  HEAD "{\"index\":0,\"delta\":{},\"logprobs\":{ \"content\": [" \
              " {\"token\":\"O\"} ],\"refusal\":null},\"finish_reason\":null}]"
#define ENDS(n, w)  HEAD "{\"index\":" n ",\"delta\":{},\"logprobs\":null,"  \
                    "\"finish_reason\":\"" w "\"}]"

#define SCRIPT(end)                                                         \
    DELTA0(ROLE) end                                                        \
    DELTA0("\"reasoning_content\":\"Hm\"") end                              \
    DELTA0("\"content\":\"One\\n\"") end                                    \
    DELTA1(ROLE) end                                                        \
    DELTA1("\"content\":\"Two\"") end                                       \
    DELTA1("\"tool_calls\":[{\"index\":1,\"id\":\"call\",\"type\":"         \
           "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}" \
           "]") end                                                         \
    DELTA1("\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":"      \
           "\"{\\\"a\\\":1}\"}}]") end                                      \
    LOGS end LOGS end                                                       \
    DELTA0("\"refusal\":\"No\"") end                                        \
    ENDS("1", "tool_calls") end                                             \
    ENDS("0", "ti\\u0064al") end


static void
test_openai_stream(void **state)
{
    client_t  c;

    (void) state;

    client_open(&c, &llm_dialect_openai, 0);
    client_script(&c);
    client_close(&c, SCRIPT("}\n\n") "data: [DONE]\n\n");

    client_open(&c, &llm_dialect_openai, 0);
    c.e.usage = 1;
    client_script(&c);
    client_close(&c, SCRIPT(",\"usage\":null}\n\n")
                 HEAD "],\"usage\":{\"prompt_tokens\":3,"
                 "\"completion_tokens\":4,\"total_tokens\":7,"
                 "\"prompt_tokens_details\":{\"cached_tokens\":2},"
                 "\"completion_tokens_details\":{\"reasoning_tokens\":2}}}"
                 "\n\ndata: [DONE]\n\n");

    /* an error before, in the middle; no terminator after it is asked for */

    client_open(&c, &llm_dialect_openai, 0);
    client_error(&c, "a \"b\"\n\xe2\x80\xa8");
    client_close(&c, "data: {\"error\":{\"message\":\"a \\\"b\\\"\\n\\u2028\""
                 ",\"type\":\"server_error\",\"param\":null,\"code\":\"tide\""
                 "}}\n\n");

    /* nothing but the end */

    client_open(&c, &llm_dialect_openai, 0);
    client_end(&c);
    client_close(&c, "data: [DONE]\n\n");
}


/* What an upstream does not say is made up alike in both forms. */
static void
test_openai_made_up(void **state)
{
    json_t      *root, *first;
    client_t     c;
    char         id[64];
    llm_event_t  ev;

    (void) state;

    client_open(&c, &llm_dialect_openai, 0);
    client_text(&c, LLM_EV_TEXT, 0, "Hi");
    unit_out_end(&c.o);

    first = flow_event(c.o.p, c.o.n, 0);
    root = flow_event(c.o.p, c.o.n, 1);

    assert_int_equal(flow_check_sse("made up", c.o.p, c.o.n), 2);
    assert_int_equal(json_integer_value(json_object_get(root, "created")),
                     FLOW_NOW);
    assert_string_equal(json_string_value(json_object_get(root, "model")),
                        "");

    (void) snprintf(id, sizeof(id), "%s",
                    json_string_value(json_object_get(root, "id")));

    assert_int_equal(strlen(id), 9 + 16);
    assert_memory_equal(id, "chatcmpl-", 9);
    assert_string_equal(json_string_value(json_object_get(first, "id")), id);

    json_decref(first);
    json_decref(root);
    client_drop(&c);

    client_open(&c, &llm_dialect_openai, 1);
    client_text(&c, LLM_EV_TEXT, 0, "Hi");
    client_end(&c);
    unit_out_end(&c.o);

    root = flow_json(c.o.p, c.o.n);

    assert_string_equal(json_string_value(json_object_get(root, "id")), id);
    assert_int_equal(json_integer_value(json_object_get(root, "created")),
                     FLOW_NOW);

    json_decref(root);
    client_drop(&c);

    /* another model, another id */

    client_open(&c, &llm_dialect_openai, 0);
    ev = event(LLM_EV_START);
    ev.model = slice("sea");
    client_event(&c, &ev);
    unit_out_end(&c.o);

    root = flow_event(c.o.p, c.o.n, 0);
    assert_string_not_equal(json_string_value(json_object_get(root, "id")),
                            id);
    json_decref(root);
    client_drop(&c);
}


/* A model's name that is megabytes long is not repeated in each chunk. */
static void
test_openai_long_label(void **state)
{
    size_t       n;
    char        *name;
    client_t     c;
    llm_event_t  ev;

    (void) state;

    name = malloc(1000001);
    assert_non_null(name);
    memset(name, 'm', 1000000);
    name[1000000] = '\0';

    client_open(&c, &llm_dialect_openai, 0);
    ev = event(LLM_EV_START);
    ev.model = slice(name);
    ev.id = slice(name);
    client_event(&c, &ev);
    unit_out_end(&c.o);

    n = c.o.n;
    assert_in_range(n, 512, 1024);
    assert_int_equal(flow_check_sse("label", c.o.p, c.o.n), 1);

    client_drop(&c);
    free(name);
}


static void
test_openai_answer(void **state)
{
    client_t  c;

    (void) state;

    client_open(&c, &llm_dialect_openai, 1);
    client_script(&c);
    client_close(&c,
        "{\"id\":\"c\\u0031\",\"object\":\"chat.completion\",\"created\":17,"
        "\"model\":\"river\",\"choices\":["
        "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
        "\"One\\n\",\"reasoning_content\":\"Hm\",\"refusal\":\"No\"},"
        "\"logprobs\":{\"content\":[{\"token\":\"O\"} ,{\"token\":\"O\"} ],"
        "\"refusal\":null},\"finish_reason\":\"ti\\u0064al\"},"
        "{\"index\":1,\"message\":{\"role\":\"assistant\",\"content\":"
        "\"Two\",\"refusal\":null,\"tool_calls\":[{\"id\":\"call\",\"type\":"
        "\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
        "\"{\\\"a\\\":1}\"}}]},\"logprobs\":null,\"finish_reason\":"
        "\"tool_calls\"}],\"usage\":{\"prompt_tokens\":3,"
        "\"completion_tokens\":4,\"total_tokens\":7,"
        "\"prompt_tokens_details\":{\"cached_tokens\":2},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":2}}}");
}


static void
client_call(client_t *c, unsigned choice, unsigned index, const char *id,
    const char *name, const char *text)
{
    llm_event_t  ev;

    ev = event(LLM_EV_TOOL_CALL);
    ev.choice = choice;
    ev.tool_index = index;
    ev.id = id != NULL ? slice(id) : llm_slice_null;
    ev.name = name != NULL ? slice(name) : llm_slice_null;
    ev.text = slice(text);
    client_event(c, &ev);
}


#define CALL(id, name, args)                                                \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\""     \
    name "\",\"arguments\":\"" args "\"}}"


/* Choices and calls come in any order and leave by index; an id or a name
 * that is said again does not replace the first. */
static void
test_openai_answer_order(void **state)
{
    client_t  c;

    (void) state;

    client_open(&c, &llm_dialect_openai, 1);
    client_start(&c);
    client_call(&c, 5, 9, "i9", "n9", "a");
    client_call(&c, 5, 2, "i2", "n2", "b");
    client_text(&c, LLM_EV_REFUSAL, 2, "No");
    client_call(&c, 5, 9, "other", "other", "c");
    client_call(&c, 5, 4, NULL, NULL, "d");
    client_call(&c, 5, 4, "i4", "n4", "e");
    client_text(&c, LLM_EV_TEXT, 0, "");
    client_finish(&c, 5, LLM_FINISH_LENGTH, "x");
    client_finish(&c, 5, LLM_FINISH_STOP, "y");
    client_end(&c);
    client_close(&c,
        "{\"id\":\"c\\u0031\",\"object\":\"chat.completion\",\"created\":17,"
        "\"model\":\"river\",\"choices\":["
        "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"\","
        "\"refusal\":null},\"logprobs\":null,\"finish_reason\":null},"
        "{\"index\":2,\"message\":{\"role\":\"assistant\",\"content\":null,"
        "\"refusal\":\"No\"},\"logprobs\":null,\"finish_reason\":null},"
        "{\"index\":5,\"message\":{\"role\":\"assistant\",\"content\":null,"
        "\"refusal\":null,\"tool_calls\":[" CALL("i2", "n2", "b") ","
        CALL("i4", "n4", "de") "," CALL("i9", "n9", "ac") "]},"
        "\"logprobs\":null,\"finish_reason\":\"stop\"}]}");
}


/* The tables are bounded, and what does not fit is not lost silently. */
static void
test_openai_answer_bounds(void **state)
{
    unsigned  i;
    client_t  c;

    (void) state;

    client_open(&c, &llm_dialect_openai, 1);

    for (i = 0; i < 128; i++) {
        client_text(&c, LLM_EV_TEXT, 1000 - i, "x");
        client_call(&c, 900, i * 3, "i", "n", "x");
    }

    assert_int_equal(c.e.rc, LLM_OK);
    client_text(&c, LLM_EV_TEXT, 1, "x");
    assert_int_equal(c.e.rc, LLM_TOO_BIG);
    client_drop(&c);

    client_open(&c, &llm_dialect_openai, 1);

    for (i = 0; i < 129; i++) {
        client_call(&c, 0, i, "i", "n", "x");
    }

    assert_int_equal(c.e.rc, LLM_TOO_BIG);
    client_drop(&c);

    client_open(&c, &llm_dialect_openai, 1);
    c.e.max_response = 10;
    client_text(&c, LLM_EV_TEXT, 0, "12345");
    client_call(&c, 1, 0, "67", "89", "0");
    assert_int_equal(c.e.rc, LLM_OK);
    client_text(&c, LLM_EV_REASONING, 2, "x");
    assert_int_equal(c.e.rc, LLM_TOO_BIG);
    unit_out_end(&c.o);
    assert_int_equal(c.o.n, 0);
    client_drop(&c);
}


static void
test_simple(void **state)
{
    client_t  c;

    (void) state;

    client_open(&c, &llm_dialect_simple, 0);
    client_script(&c);
    client_close(&c, "data: {\"content\":\"One\\n\",\"done\":false}\n\n"
                 "data: {\"content\":\"No\",\"done\":false}\n\n"
                 "data: {\"done\":true}\n\n");

    client_open(&c, &llm_dialect_simple, 1);
    client_script(&c);
    client_close(&c, "{\"content\":\"One\\nNo\",\"done\":true}");

    client_open(&c, &llm_dialect_simple, 0);
    client_error(&c, "a \"b\"");
    client_close(&c, "data: {\"error\":\"a \\\"b\\\"\",\"code\":\"tide\","
                 "\"done\":true}\n\n");

    client_open(&c, &llm_dialect_simple, 1);
    c.e.max_response = 3;
    client_text(&c, LLM_EV_TEXT, 0, "123");
    assert_int_equal(c.e.rc, LLM_OK);
    client_text(&c, LLM_EV_TEXT, 0, "4");
    assert_int_equal(c.e.rc, LLM_TOO_BIG);
    client_close(&c, "");
}


#define META  "data: {\"type\":\"metadata\",\"data\":{\"id\":\"c\\u0031\","  \
              "\"model\":\"river\",\"created\":17}}\n\n"
#define TOKEN(t)  "data: {\"type\":\"token\",\"data\":{\"token\":\"" t       \
                  "\"}}\n\n"


static void
test_typed(void **state)
{
    client_t     c;
    llm_event_t  ev;

    (void) state;

    client_open(&c, &llm_dialect_typed, 0);
    client_script(&c);
    client_close(&c, META TOKEN("One\\n") TOKEN("No")
                 "data: {\"type\":\"done\",\"data\":{\"full_text\":"
                 "\"One\\nNo\",\"finish_reason\":\"ti\\u0064al\",\"usage\":"
                 "{\"prompt_tokens\":3,\"completion_tokens\":4,"
                 "\"total_tokens\":7}}}\n\n");

    client_open(&c, &llm_dialect_typed, 1);
    client_script(&c);
    client_close(&c, "{\"type\":\"done\",\"data\":{\"full_text\":"
                 "\"One\\nNo\",\"finish_reason\":\"ti\\u0064al\",\"usage\":"
                 "{\"prompt_tokens\":3,\"completion_tokens\":4,"
                 "\"total_tokens\":7},\"id\":\"c\\u0031\",\"model\":"
                 "\"river\"}}");

    client_open(&c, &llm_dialect_typed, 0);
    ev = event(LLM_EV_START);
    client_event(&c, &ev);
    client_end(&c);
    client_close(&c, "data: {\"type\":\"metadata\",\"data\":{\"id\":null,"
                 "\"model\":null,\"created\":null}}\n\n"
                 "data: {\"type\":\"done\",\"data\":{\"full_text\":\"\","
                 "\"finish_reason\":null,\"usage\":null}}\n\n");

    client_open(&c, &llm_dialect_typed, 1);
    client_end(&c);
    client_close(&c, "{\"type\":\"done\",\"data\":{\"full_text\":\"\","
                 "\"finish_reason\":null,\"usage\":null,\"id\":null,"
                 "\"model\":null}}");

    client_open(&c, &llm_dialect_typed, 0);
    client_error(&c, "a \"b\"");
    client_close(&c, "data: {\"type\":\"error\",\"data\":{\"message\":"
                 "\"a \\\"b\\\"\",\"type\":\"server_error\",\"code\":\"tide\""
                 "}}\n\n");
}


/* The full text is bounded; beyond it is left out and said so. */
static void
test_typed_omitted(void **state)
{
    client_t  c;

    (void) state;

    client_open(&c, &llm_dialect_typed, 0);
    c.e.max_response = 6;
    client_text(&c, LLM_EV_TEXT, 0, "123456");
    client_end(&c);
    client_close(&c, TOKEN("123456")
                 "data: {\"type\":\"done\",\"data\":{\"full_text\":"
                 "\"123456\",\"finish_reason\":null,\"usage\":null}}\n\n");

    client_open(&c, &llm_dialect_typed, 0);
    c.e.max_response = 6;
    client_text(&c, LLM_EV_TEXT, 0, "123456");
    client_text(&c, LLM_EV_TEXT, 0, "7");
    assert_int_equal(c.e.rc, LLM_OK);
    assert_int_equal(c.u.live, 0);
    client_text(&c, LLM_EV_TEXT, 0, "8");
    client_finish(&c, 0, LLM_FINISH_STOP, "");
    client_end(&c);
    client_close(&c, TOKEN("123456") TOKEN("7") TOKEN("8")
                 "data: {\"type\":\"done\",\"data\":{\"full_text\":null,"
                 "\"full_text_omitted\":true,\"finish_reason\":\"stop\","
                 "\"usage\":null}}\n\n");

    client_open(&c, &llm_dialect_typed, 1);
    c.e.max_response = 6;
    client_text(&c, LLM_EV_TEXT, 0, "1234567");
    assert_int_equal(c.e.rc, LLM_TOO_BIG);
    client_close(&c, "");
}


/* Texts of one choice, one event each; NULL ends them. */
static void
expect_text(const char *const *texts, const char *expect)
{
    size_t    i;
    unsigned  answer;
    client_t  c;

    for (answer = 0; answer < 2; answer++) {
        client_open(&c, &llm_dialect_text, answer);
        client_start(&c);

        for (i = 0; texts[i] != NULL; i++) {
            client_text(&c, LLM_EV_TEXT, 0, texts[i]);
        }

        client_end(&c);
        client_close(&c, expect);
    }
}


static void
test_text(void **state)
{
    size_t       i;
    client_t     c;
    llm_event_t  ev;

    static const struct {
        const char  *texts[5];
        const char  *expect;
    } rows[] = {
        { { "a\\n\\t\\r\\b\\f\\/\\\\\\\"b" }, "a\n\t\r\b\f/\\\"b" },
        { { "\\u0041\\u00e9\\u20AC\\uFFFF" }, "A\xc3\xa9\xe2\x82\xac"
          "\xef\xbf\xbf" },
        { { "\\ud83d\\ude00" }, "\xf0\x9f\x98\x80" },
        { { "x\\uD83D", "\\uDE00y" }, "x\xf0\x9f\x98\x80y" },
        { { "x\\uD83D", "", "\\uDE00" }, "x\xf0\x9f\x98\x80" },
        { { "x\\uD83D", "y" }, "x\xef\xbf\xbdy" },
        { { "x\\uD83D", "\\n" }, "x\xef\xbf\xbd\n" },
        { { "\\uD83D", "\\uD83D", "\\uDE00" },
          "\xef\xbf\xbd\xf0\x9f\x98\x80" },
        { { "\\uDE00", "z\\uD83D" }, "\xef\xbf\xbdz\xef\xbf\xbd" },
        { { "\xe2\x80\xa8", "\\u2028" }, "\xe2\x80\xa8\xe2\x80\xa8" },
        { { "\\\\u0041" }, "\\u0041" },
        { { "" }, "" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_text(rows[i].texts, rows[i].expect);
    }

    client_open(&c, &llm_dialect_text, 0);
    client_script(&c);
    client_close(&c, "One\nNo");

    client_open(&c, &llm_dialect_text, 1);
    client_script(&c);
    client_close(&c, "One\nNo");

    /* characters that were never JSON; no event for an error */

    client_open(&c, &llm_dialect_text, 0);
    client_text(&c, LLM_EV_TEXT, 0, "\\uD83D");
    ev = event(LLM_EV_TEXT);
    ev.text = (llm_slice_t) { (const llm_u8 *) "a\\n", 3, 0 };
    client_event(&c, &ev);
    client_error(&c, "x");
    client_close(&c, "\xef\xbf\xbd" "a\\n");

    client_open(&c, &llm_dialect_text, 1);
    c.e.max_response = 2;
    client_text(&c, LLM_EV_TEXT, 0, "123");
    assert_int_equal(c.e.rc, LLM_TOO_BIG);
    client_close(&c, "");
}


/* Line separators that a library's line splitter would cut at. */
static void
test_linesep(void **state)
{
    size_t       i;
    client_t     c;
    llm_event_t  ev;

    static const llm_dialect_t *const  dialects[] = {
        &llm_dialect_openai, &llm_dialect_simple, &llm_dialect_typed
    };

    (void) state;

    for (i = 0; i < 6; i++) {
        client_open(&c, dialects[i / 2], i % 2);

        ev = event(LLM_EV_START);
        ev.linesep = 1;
        ev.id = slice("i\xc2\x85");
        ev.model = slice("m\xe2\x80\xa8");
        client_event(&c, &ev);

        ev = event(LLM_EV_TEXT);
        ev.linesep = 1;
        ev.text = slice("a\xe2\x80\xa8" "b\xe2\x80\xa9\xc2\x85\\u00e9"
                        "\xc3\xa9");
        client_event(&c, &ev);

        ev = event(LLM_EV_LOGPROBS);
        ev.linesep = 1;
        ev.raw = slice("{\"content\":[\"\xe2\x80\xa8\"]}");
        client_event(&c, &ev);

        ev = event(LLM_EV_TOOL_CALL);
        ev.linesep = 1;
        ev.id = slice("\xe2\x80\xa8");
        ev.name = slice("\xe2\x80\xa8");
        ev.text = slice("\xe2\x80\xa8");
        client_event(&c, &ev);

        ev = event(LLM_EV_FINISH);
        ev.linesep = 1;
        ev.finish = LLM_FINISH_OTHER;
        ev.text = slice("w\xc2\x85");
        client_event(&c, &ev);

        client_end(&c);
        unit_out_end(&c.o);

        assert_null(strstr((char *) c.o.p, "\xe2\x80"));
        assert_null(strstr((char *) c.o.p, "\xc2\x85"));
        assert_non_null(strstr((char *) c.o.p,
                               "a\\u2028b\\u2029\\u0085\\u00e9\xc3\xa9"));

        client_drop(&c);
    }
}


static void
test_error_body(void **state)
{
    size_t       i;
    unit_out_t   o;
    llm_error_t  err;

    static const char *const  full[] = {
        "{\"error\":{\"message\":\"a\\nb\",\"type\":\"t\",\"param\":\"p\","
        "\"code\":\"429\"}}",
        "{\"error\":\"a\\nb\",\"code\":\"429\",\"done\":true}",
        "{\"type\":\"error\",\"data\":{\"message\":\"a\\nb\",\"type\":\"t\","
        "\"code\":\"429\"}}",
        "a\nb\n"
    };

    static const char *const  bare[] = {
        "{\"error\":{\"message\":null,\"type\":null,\"param\":null,"
        "\"code\":null}}",
        "{\"error\":null,\"code\":null,\"done\":true}",
        "{\"type\":\"error\",\"data\":{\"message\":null,\"type\":null,"
        "\"code\":null}}",
        "\n"
    };

    (void) state;

    for (i = 0; llm_dialect_at(i) != NULL; i++) {
        memset(&err, 0, sizeof(llm_error_t));

        unit_out_init(&o, 1, 0);
        llm_dialect_at(i)->error_body(&o.out, &err);
        unit_out_end(&o);
        assert_string_equal((char *) o.p, bare[i]);
        unit_out_free(&o);

        err.message = slice("a\\nb");
        err.type = slice("t");
        err.param = slice("p");
        err.code = slice("429");

        unit_out_init(&o, 1, 0);
        llm_dialect_at(i)->error_body(&o.out, &err);
        unit_out_end(&o);
        assert_string_equal((char *) o.p, full[i]);
        unit_out_free(&o);
    }
}


static void
test_table(void **state)
{
    size_t                i, k;
    const llm_dialect_t  *d;

    static const char *const  names[] = { "openai", "simple", "typed",
                                          "text" };

    (void) state;

    for (i = 0; i < 4; i++) {
        d = llm_dialect_find((const llm_u8 *) names[i], strlen(names[i]));
        assert_non_null(d);
        assert_ptr_equal(d, llm_dialect_at(i));
        assert_int_equal(d->name.n, strlen(names[i]));
        assert_int_equal(d->decode != NULL, i == 0);
        assert_int_equal(d->stream_default, i != 0);
        assert_true(d->stream_type.n != 0 && d->answer_type.n != 0);

        /* not by a part of its name */

        for (k = 0; k < d->name.n; k++) {
            assert_null(llm_dialect_find(d->name.p, k));
        }
    }

    assert_null(llm_dialect_at(4));
    assert_null(llm_dialect_find((const llm_u8 *) "OpenAI", 6));
    assert_null(llm_dialect_find((const llm_u8 *) "simples", 7));
}


static void
test_faults(void **state)
{
    int                      i, k;
    llm_fault_t              f;
    const llm_fault_info_t  *a, *b;

    (void) state;

    for (i = LLM_FAULT_NONE + 1; i < LLM_FAULT_MAX; i++) {
        a = llm_fault_info((llm_fault_t) i);

        assert_true(a->code.n != 0 && a->type.n != 0 && a->end.n != 0);
        assert_in_range(a->status, 400, 504);

        /* a sentence, that needs no escapes anywhere */

        assert_in_range(a->message.p[0], 'A', 'Z');
        assert_int_equal(a->message.p[a->message.n - 1], '.');
        assert_null(memchr(a->message.p, '"', a->message.n));
        assert_null(memchr(a->message.p, '\\', a->message.n));

        for (k = 1; k < i; k++) {
            b = llm_fault_info((llm_fault_t) k);
            assert_false(a->code.n == b->code.n
                         && memcmp(a->code.p, b->code.p, a->code.n) == 0);
        }
    }

    assert_ptr_equal(llm_fault_info(LLM_FAULT_MAX),
                     llm_fault_info(LLM_FAULT_INTERNAL));

    for (i = 400; i < 600; i++) {
        f = llm_fault_by_status(i);
        assert_int_equal(llm_fault_info(f)->status / 100, i / 100);
    }

    assert_int_equal(llm_fault_by_status(413), LLM_FAULT_TOO_LARGE);
    assert_int_equal(llm_fault_by_status(429), LLM_FAULT_RATE_LIMIT);
    assert_int_equal(llm_fault_by_status(503), LLM_FAULT_UNAVAILABLE);
    assert_int_equal(llm_fault_by_status(504), LLM_FAULT_TIMEOUT_HEADER);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_openai_stream),
        cmocka_unit_test(test_openai_made_up),
        cmocka_unit_test(test_openai_long_label),
        cmocka_unit_test(test_openai_answer),
        cmocka_unit_test(test_openai_answer_order),
        cmocka_unit_test(test_openai_answer_bounds),
        cmocka_unit_test(test_simple),
        cmocka_unit_test(test_typed),
        cmocka_unit_test(test_typed_omitted),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_linesep),
        cmocka_unit_test(test_error_body),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_faults)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
