/*
 * The client half of the dialects that are only that: events to bytes, as a
 * stream and as one answer.
 */

#include "unit_dialect.h"


static void
test_simple(void **state)
{
    client_t     c;
    llm_event_t  ev;

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

    /* the bound is that of what is gathered, after it was escaped */

    client_open(&c, &llm_dialect_simple, 1);
    c.e.max_response = 5;
    ev = client_ev(LLM_EV_TEXT);
    ev.linesep = 1;
    ev.text = client_slice("\xe2\x80\xa8");
    client_event(&c, &ev);
    assert_int_equal(c.e.rc, LLM_TOO_BIG);
    client_close(&c, "");

    client_open(&c, &llm_dialect_simple, 1);
    c.e.max_response = 6;
    client_event(&c, &ev);
    assert_int_equal(c.e.rc, LLM_OK);
    client_end(&c);
    client_close(&c, "{\"content\":\"\\u2028\",\"done\":true}");

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
    ev = client_ev(LLM_EV_START);
    client_event(&c, &ev);
    client_end(&c);
    client_close(&c, "data: {\"type\":\"metadata\",\"data\":{\"id\":null,"
                 "\"model\":null,\"created\":null}}\n\n"
                 "data: {\"type\":\"done\",\"data\":{\"full_text\":\"\","
                 "\"finish_reason\":null,\"usage\":null}}\n\n");

    /* the last reason of choice 0 */

    client_open(&c, &llm_dialect_typed, 0);
    client_finish(&c, 0, LLM_FINISH_STOP, "stop");
    client_finish(&c, 0, LLM_FINISH_LENGTH, "length");
    client_finish(&c, 1, LLM_FINISH_STOP, "stop");
    client_end(&c);
    client_close(&c, "data: {\"type\":\"done\",\"data\":{\"full_text\":\"\","
                 "\"finish_reason\":\"length\",\"usage\":null}}\n\n");

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
    ev = client_ev(LLM_EV_TEXT);
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

        ev = client_ev(LLM_EV_START);
        ev.linesep = 1;
        ev.id = client_slice("i\xc2\x85");
        ev.model = client_slice("m\xe2\x80\xa8");
        client_event(&c, &ev);

        ev = client_ev(LLM_EV_TEXT);
        ev.linesep = 1;
        ev.text = client_slice("a\xe2\x80\xa8" "b\xe2\x80\xa9\xc2\x85\\u00e9"
                        "\xc3\xa9");
        client_event(&c, &ev);

        ev = client_ev(LLM_EV_LOGPROBS);
        ev.linesep = 1;
        ev.raw = client_slice("{\"content\":[\"\xe2\x80\xa8\"]}");
        client_event(&c, &ev);

        ev = client_ev(LLM_EV_TOOL_CALL);
        ev.linesep = 1;
        ev.id = client_slice("\xe2\x80\xa8");
        ev.name = client_slice("\xe2\x80\xa8");
        ev.text = client_slice("\xe2\x80\xa8");
        client_event(&c, &ev);

        ev = client_ev(LLM_EV_FINISH);
        ev.linesep = 1;
        ev.finish = LLM_FINISH_OTHER;
        ev.text = client_slice("w\xc2\x85");
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
test_table(void **state)
{
    size_t                i, k;
    const llm_dialect_t  *d;

    static const char *const  names[] = {
        "openai", "openai-completions", "openai-responses", "anthropic",
        "gemini", "ollama", "ollama-generate", "flowise", "cohere", "simple",
        "typed", "text"
    };

    (void) state;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        d = llm_dialect_find((const llm_u8 *) names[i], strlen(names[i]));
        assert_non_null(d);
        assert_ptr_equal(d, llm_dialect_at(i));
        assert_int_equal(d->name.n, strlen(names[i]));
        assert_int_equal(d->decode != NULL, i < 9);
        assert_int_equal(d->stream_default, i == 5 || i == 6 || i > 8);
        assert_true(d->stream_type.n != 0 && d->answer_type.n != 0);

        /* a part of its name is another's, or nobody's */

        for (k = 0; k < d->name.n; k++) {
            assert_ptr_not_equal(llm_dialect_find(d->name.p, k), d);
        }
    }

    assert_null(llm_dialect_at(i));
    assert_null(llm_dialect_find((const llm_u8 *) "OpenAI", 6));
    assert_null(llm_dialect_find((const llm_u8 *) "simples", 7));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_simple),
        cmocka_unit_test(test_typed),
        cmocka_unit_test(test_typed_omitted),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_linesep),
        cmocka_unit_test(test_table)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
