/*
 * The client half of the openai dialect: events to chunks, and to one
 * answer.
 */

#include "unit_dialect.h"


#define HEAD  "data: {\"id\":\"c\\u0031\",\"object\":"                       \
              "\"chat.completion.chunk\",\"created\":17,\"model\":\"river\"," \
              "\"choices\":["
#define DELTA0(d)  HEAD "{\"index\":0,\"delta\":{" d "},\"logprobs\":null,"  \
                   "\"finish_reason\":null}]"
#define DELTA1(d)  HEAD "{\"index\":1,\"delta\":{" d "},\"logprobs\":null,"  \
                   "\"finish_reason\":null}]"
#define ROLE  "\"role\":\"assistant\",\"content\":\"\""
#define LOGS  HEAD "{\"index\":0,\"delta\":{},\"logprobs\":{\"content\":[ "  \
              "{\"token\":\"O\"} ],\"refusal\":null},\"finish_reason\":null}]"
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

    /* counts that were not said are not made up */

    client_open(&c, &llm_dialect_openai, 0);
    c.e.usage = 1;
    client_start(&c);
    client_usage(&c, -1);
    client_end(&c);
    client_close(&c, DELTA0(ROLE) ",\"usage\":null}\n\n"
                 HEAD "],\"usage\":{\"prompt_tokens\":3,"
                 "\"completion_tokens\":4,\"total_tokens\":7}}\n\n"
                 "data: [DONE]\n\n");

    /* choices beyond the table pass without a role */

    client_open(&c, &llm_dialect_openai, 0);
    client_start(&c);
    client_text(&c, LLM_EV_TEXT, 4000000000, "x");
    client_close(&c, DELTA0(ROLE) "}\n\n" HEAD "{\"index\":4000000000,"
                 "\"delta\":{\"content\":\"x\"},\"logprobs\":null,"
                 "\"finish_reason\":null}]}\n\n");

    /* nothing but the end */

    client_open(&c, &llm_dialect_openai, 0);
    client_end(&c);
    client_close(&c, "data: [DONE]\n\n");
}


/* Objects of a list in deltas are counted, each choice its own: libraries
 * that put deltas together fail where there is no index. */
static void
test_openai_lists(void **state)
{
    size_t       i;
    client_t     c;
    llm_event_t  ev;

    static const unsigned  choices[] = { 0, 1, 0 };

#define NOTE(n)  "\"annotations\":[{\"index\":" n ",\"type\":"             \
                 "\"url_citation\",\"url_citation\":{\"url\":\"u\","       \
                 "\"title\":\"t\",\"start_index\":2,\"end_index\":5}}]"
#define SEAL(n)  "\"reasoning_details\":[{\"index\":" n ",\"type\":"       \
                 "\"reasoning.encrypted\",\"data\":\"d\"}]"
#define SIGN(n)  "\"reasoning_details\":[{\"index\":" n ",\"type\":"       \
                 "\"reasoning.text\",\"signature\":\"s\"}]"

    (void) state;

    client_open(&c, &llm_dialect_openai, 0);
    client_start(&c);

    for (i = 0; i < 3; i++) {
        memset(&ev, 0, sizeof(llm_event_t));

        ev.type = LLM_EV_CITATION;
        ev.choice = choices[i];
        ev.id = llm_slice("u");
        ev.name = llm_slice("t");
        ev.start = 2;
        ev.end = 5;
        client_event(&c, &ev);
    }

    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = LLM_EV_REASONING;
    ev.raw = llm_slice("d");
    client_event(&c, &ev);

    ev.raw = llm_slice_null;
    ev.signature = llm_slice("s");
    client_event(&c, &ev);

    client_close(&c, DELTA0(ROLE) "}\n\n" DELTA0(NOTE("0")) "}\n\n"
                 DELTA1(ROLE) "}\n\n" DELTA1(NOTE("0")) "}\n\n"
                 DELTA0(NOTE("1")) "}\n\n" DELTA0(SEAL("0")) "}\n\n"
                 DELTA0(SIGN("1")) "}\n\n");
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
    ev = client_ev(LLM_EV_START);
    ev.model = client_slice("sea");
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
    ev = client_ev(LLM_EV_START);
    ev.model = client_slice(name);
    ev.id = client_slice(name);
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

    for (i = 0; i < 1025; i++) {
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


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_openai_stream),
        cmocka_unit_test(test_openai_lists),
        cmocka_unit_test(test_openai_made_up),
        cmocka_unit_test(test_openai_long_label),
        cmocka_unit_test(test_openai_answer),
        cmocka_unit_test(test_openai_answer_order),
        cmocka_unit_test(test_openai_answer_bounds)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
