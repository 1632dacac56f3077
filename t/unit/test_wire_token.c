/*
 * Bodies of a sign-in: what is asked, and which answers hold a token.
 */

#include "unit_support.h"

#include "llm_token.h"


#define ask_of(f, i, s, sc)                                                 \
    ((llm_token_ask_t) { f, llm_slice(i), llm_slice(s), llm_slice(sc) })


static void
check_ask(llm_token_ask_t ask, const char *expected)
{
    char       text[512];
    llm_out_t  out;

    memset(&out, 0, sizeof(out));
    out.pos = (llm_u8 *) text;
    out.end = out.pos + sizeof(text) - 1;

    llm_token_write(&out, &ask);
    *out.pos = '\0';

    assert_int_equal(out.failed, 0);
    assert_string_equal(text, expected);
}


static void
test_asks(void **state)
{
    (void) state;

    check_ask(ask_of(LLM_TOKEN_EVOLUTION, "id", "a\"b\\c", ""),
              "{\"keyId\":\"id\",\"secret\":\"a\\\"b\\\\c\"}");

    check_ask(ask_of(LLM_TOKEN_JSON, "id", "s", "a b"),
              "{\"grant_type\":\"client_credentials\",\"client_id\":\"id\","
              "\"client_secret\":\"s\",\"scope\":\"a b\"}");

    check_ask(ask_of(LLM_TOKEN_JSON, "id", "s", ""),
              "{\"grant_type\":\"client_credentials\",\"client_id\":\"id\","
              "\"client_secret\":\"s\"}");

    check_ask(ask_of(LLM_TOKEN_FORM, "i d", "%&+=\"\\\xc3\xa9-._~", "a b"),
              "grant_type=client_credentials&client_id=i%20d"
              "&client_secret=%25%26%2B%3D%22%5C%C3%A9-._~&scope=a%20b");
}


/* life < 0: it must be refused with a text that has `token` in it */

static void
check_answer(const char *body, const char *token, int64_t life)
{
    const char   *why;
    llm_token_t   t;

    why = llm_token_read((const llm_u8 *) body, strlen(body), &t);

    if (life < 0) {
        if (why == NULL || strstr(why, token) == NULL) {
            fail_msg("%s: %s", body, why ? why : "taken");
        }

        return;
    }

    if (why) {
        fail_msg("%s: %s", body, why);
    }

    assert_int_equal(t.n, strlen(token));
    assert_memory_equal(t.token, token, t.n);
    assert_int_equal(t.life, life);
}


static void
test_answers(void **state)
{
    (void) state;

    check_answer("{\"access_token\":\"abc\",\"expires_in\":60}", "abc", 60000);
    check_answer(" {\"expires_in\":\"60\",\"x\":{},\"access_token\":\"a/b\"} ",
                 "a/b", 60000);
    check_answer("{\"access_token\":\"abc\"}", "abc", 3600000);
    check_answer("{\"access_token\":\"abc\",\"expires_in\":null,"
                 "\"token_type\":\"bEARER\"}", "abc", 3600000);
    check_answer("{\"access_token\":\"abc\",\"token_type\":null,"
                 "\"expires_in\":0.5}", "abc", 500);
    check_answer("{\"access_token\":\"abc\",\"expires_in\":1.0004}", "abc",
                 1000);
    check_answer("{\"access_token\":\"\\u0061bc\"}", "abc", 3600000);
    check_answer("{\"access_token\":\"abc\","
                 "\"expires_in\":99999999999999999999999999.5}", "abc",
                 (int64_t) LLM_TOKEN_LIFE_MAX * 1000);

    check_answer("{\"access_token\":\"abc\",\"expires_in\":3.6e3}", "abc",
                 3600000);
    check_answer("{\"access_token\":\"abc\",\"expires_in\":1e400}", "abc",
                 (int64_t) LLM_TOKEN_LIFE_MAX * 1000);

    /* of two, the last */
    check_answer("{\"access_token\":\"a\",\"access_token\":\"b\"}", "b",
                 3600000);
}


static void
test_refused(void **state)
{
    size_t  i;

    static const char  *lives[] = {
        "0", "-1", "0.0", "0.0001", "1e-4", "-1e400", "\"x\"", "\"1e3\"",
        "\"\"", "\"1.5\"",
        "\"-1\"", "true", "[60]", "{}", NULL
    };
    static const char  *tokens[] = {
        "\"\"", "null", "7", "[]", "{}", "\"a b\"", "\"a\\r\\nX: y\"",
        "\"a\\u0000\"", "\"\xc3\xa9\"", NULL
    };

    char  body[128];

    (void) state;

    for (i = 0; lives[i]; i++) {
        snprintf(body, sizeof(body),
                 "{\"access_token\":\"a\",\"expires_in\":%s}", lives[i]);
        check_answer(body, "expires_in", -1);
    }

    for (i = 0; tokens[i]; i++) {
        snprintf(body, sizeof(body), "{\"access_token\":%s}", tokens[i]);
        check_answer(body, "access_token", -1);
    }

    check_answer("{\"access_token\":\"a\",\"token_type\":\"mac\"}", "bearer",
                 -1);
    check_answer("{\"access_token\":\"a\",\"token_type\":7}", "bearer", -1);
    check_answer("{\"access_token\":\"a\"", "valid JSON", -1);
    check_answer("{\"access_token\":\"a\"} x", "valid JSON", -1);
    check_answer("{}", "access_token", -1);
    check_answer("", "JSON object", -1);
    check_answer("[]", "JSON object", -1);
    check_answer("<html>", "JSON object", -1);
}


static void
test_long(void **state)
{
    char         *body;
    size_t        n;
    llm_token_t   t;

    (void) state;

    for (n = LLM_TOKEN_MAX; n <= LLM_TOKEN_MAX + 1; n++) {
        body = malloc(n + 64);
        assert_non_null(body);

        strcpy(body, "{\"access_token\":\"");
        memset(body + strlen("{\"access_token\":\""), 'x', n);
        strcpy(body + strlen("{\"access_token\":\"") + n, "\"}");

        if (n == LLM_TOKEN_MAX) {
            assert_null(llm_token_read((llm_u8 *) body, strlen(body), &t));
            assert_int_equal(t.n, n);

        } else {
            assert_non_null(llm_token_read((llm_u8 *) body, strlen(body),
                                           &t));
        }

        free(body);
    }
}


/* Every cut of an answer is no answer. */

static void
test_cuts(void **state)
{
    size_t        n;
    llm_token_t   t;

    static const char  body[] = "{\"access_token\":\"abc\",\"expires_in\":60,"
                                "\"token_type\":\"Bearer\"}";

    (void) state;

    for (n = 0; n < sizeof(body) - 1; n++) {
        assert_non_null(llm_token_read((const llm_u8 *) body, n, &t));
    }

    assert_null(llm_token_read((const llm_u8 *) body, n, &t));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_asks),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_cuts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
