/*
 * How much a request asks for: the limit of output, answers and messages, in
 * each dialect; numbers as they are written; names in any spelling.
 */

#include "request_support.h"


typedef struct {
    const llm_dialect_t  *dialect;
    const char           *in;
    int64_t               output;
    int64_t               answers;
    int64_t               tries;
    int64_t               prompts;
    const char           *more;
    int64_t               messages;
} asked_case_t;

#define OPENAI     &llm_dialect_openai
#define COMPLETE   &llm_dialect_completions
#define RESPONSES  &llm_dialect_responses
#define ANTHROPIC  &llm_dialect_anthropic
#define GEMINI     &llm_dialect_gemini
#define OLLAMA     &llm_dialect_ollama
#define GENERATE   &llm_dialect_generate
#define FLOWISE    &llm_dialect_flowise


static const asked_case_t  asked_cases[] = {
    { OPENAI, "{}", -1, 1, 1, 1, NULL, 0 },
    { NULL, "{\"n\":3,\"max_tokens\":5}", -1, 1, 1, 1, NULL, 0 },

    { OPENAI, "{\"max_tokens\":5}", 5, 1, 1, 1, NULL, 0 },
    { OPENAI, "{\"max_tokens\":5,\"max_completion_tokens\":9}", 9, 1, 1,
      1, NULL, 0 },
    { OPENAI, "{\"max_tokens\":5,\"max_tokens\":null}", 5, 1, 1, 1, NULL,
      0 },
    { OPENAI, "{\"max_tokens\":-1}", -1, 1, 1, 1, NULL, 0 },
    { OPENAI, "{\"max_tokens\":\"70\"}", 70, 1, 1, 1, NULL, 0 },
    { OPENAI, "{\"max_tokens\":1e99}", INT64_MAX, 1, 1, 1, NULL, 0 },
    { RESPONSES, "{\"max_output_tokens\":5}", 5, 1, 1, 1, NULL, 0 },
    { GEMINI, "{\"generation_config\":{\"max_output_tokens\":5}}", 5, 1,
      1, 1, NULL, 0 },
    { GEMINI, "{\"generationConfig\":{\"maxOutputTokens\":0}}", -1, 1, 1,
      1, NULL, 0 },
    { OLLAMA, "{\"options\":{\"num_predict\":5}}", 5, 1, 1, 1, NULL, 0 },
    { GENERATE, "{\"Options\":{\"num_predict\":7},\"options\":null}", 7,
      1, 1, 1, NULL, 0 },
    { OLLAMA, "{\"options\":{\"num_predict\":-2}}", -1, 1, 1, 1, NULL,
      0 },
    { FLOWISE, "{\"overrideConfig\":{\"maxTokens\":\"8\"}}", 8, 1, 1, 1,
      NULL, 0 },

    { OPENAI, "{\"n\":1}", -1, 1, 1, 1, NULL, 0 },
    { OPENAI, "{\"n\":3}", -1, 3, 3, 1, "n", 0 },
    { OPENAI, "{\"N\":3}", -1, 3, 3, 1, "n", 0 },
    { OPENAI, "{\"n\":\"3\"}", -1, 3, 3, 1, "n", 0 },
    { OPENAI, "{\"n\":2.5}", -1, 3, 3, 1, "n", 0 },
    { OPENAI, "{\"n\":-3}", -1, 1, 1, 1, NULL, 0 },
    { OPENAI, "{\"n\":null}", -1, 1, 1, 1, NULL, 0 },
    { OPENAI, "{\"n\":1e30}", -1, INT32_MAX, INT32_MAX, 1, "n", 0 },
    { OPENAI, "{\"n\":3,\"n\":1}", -1, 3, 3, 1, "n", 0 },
    { OPENAI, "{\"n\":2,\"best_of\":4}", -1, 2, 4, 1, "best_of", 0 },
    { COMPLETE, "{\"best_of\":4,\"n\":2}", -1, 2, 4, 1, "best_of", 0 },
    { COMPLETE, "{\"prompt\":[\"a\",\"b\",\"c\"],\"n\":2}", -1, 2, 2, 3,
      "prompt", 0 },
    { COMPLETE, "{\"prompt\":[1,2,3],\"n\":2}", -1, 2, 2, 1, "n", 0 },
    { COMPLETE, "{\"prompt\":[[1,2],[3]]}", -1, 1, 1, 2, "prompt", 0 },
    { COMPLETE, "{\"prompt\":\"a\"}", -1, 1, 1, 1, NULL, 0 },
    { GEMINI, "{\"generationConfig\":{\"candidateCount\":3}}", -1, 3, 3,
      1, "candidateCount", 0 },
    { ANTHROPIC, "{\"n\":3}", -1, 1, 1, 1, NULL, 0 },

    { OPENAI, "{\"messages\":[]}", -1, 1, 1, 1, NULL, 0 },
    { OPENAI, "{\"messages\":[{},{\"a\":[1,2,3]}]}", -1, 1, 1, 1, NULL,
      2 },
    { OPENAI, "{\"messages\":[{},{}],\"messages\":[{}]}", -1, 1, 1, 1,
      NULL, 2 },
    { OPENAI, "{\"Messages\":[{},{},{}],\"messages\":[{}]}", -1, 1, 1, 1,
      NULL, 3 },
    { OPENAI, "{\"messages\":null}", -1, 1, 1, 1, NULL, 0 },
    { ANTHROPIC, "{\"messages\":[{},{}]}", -1, 1, 1, 1, NULL, 2 },
    { GEMINI, "{\"contents\":[{},{}]}", -1, 1, 1, 1, NULL, 2 },
    { RESPONSES, "{\"input\":[{},{},{}]}", -1, 1, 1, 1, NULL, 3 },
    { RESPONSES, "{\"input\":\"a\"}", -1, 1, 1, 1, NULL, 0 },
    { OLLAMA, "{\"messages\":[{},{}]}", -1, 1, 1, 1, NULL, 2 },
    { FLOWISE, "{\"question\":\"q\",\"history\":[{},{}]}", -1, 1, 1, 1,
      NULL, 3 }
};


static void
test_asked(void **state)
{
    size_t         i;
    llm_u8        *body;
    llm_asked_t   *a;
    llm_request_t  r;

    (void) state;

    for (i = 0; i < sizeof(asked_cases) / sizeof(asked_cases[0]); i++) {
        body = unit_copy(asked_cases[i].in, strlen(asked_cases[i].in));

        if (llm_request_read(&r, body, strlen(asked_cases[i].in), 0,
                             asked_cases[i].dialect)
            != LLM_OK)
        {
            fail_msg("%s", asked_cases[i].in);
        }

        a = &r.asked;

        if (a->output != asked_cases[i].output
            || a->answers != asked_cases[i].answers
            || a->tries != asked_cases[i].tries
            || a->prompts != asked_cases[i].prompts
            || a->messages != asked_cases[i].messages)
        {
            fail_msg("%s: %jd %jd %jd %jd %jd", asked_cases[i].in,
                     (intmax_t) a->output, (intmax_t) a->answers,
                     (intmax_t) a->tries, (intmax_t) a->prompts,
                     (intmax_t) a->messages);
        }

        if (asked_cases[i].more == NULL) {
            assert_null(a->more);

        } else {
            assert_string_equal(a->more->name, asked_cases[i].more);
        }

        assert_true(a->messages == 0 || a->list != NULL);
        free(body);
    }
}


static void
test_integer(void **state)
{
    size_t       i;
    llm_slice_t  s;

    static const struct {
        const char  *in;
        int64_t      low;
        int64_t      high;
    } cases[] = {
        { "0", 0, 0 }, { "-0", 0, 0 }, { "-0.0e9", 0, 0 }, { "1", 1, 1 },
        { "12345", 12345, 12345 }, { "1.5", 1, 2 }, { "0.5", 0, 1 },
        { "-0.5", -1, -1 }, { "-7", -1, -1 }, { "1e3", 1000, 1000 },
        { "1E+3", 1000, 1000 }, { "1.25e1", 12, 13 }, { "1250e-1", 125, 125 },
        { "1251e-1", 125, 126 }, { "1e-1", 0, 1 }, { "1e-999999", 0, 1 },
        { "0e999999", 0, 0 }, { "1e999999", INT64_MAX, INT64_MAX },
        { "1e99999999999999999999", INT64_MAX, INT64_MAX },
        { "1e-99999999999999999999", 0, 1 },
        { "9007199254740991", 9007199254740991, 9007199254740991 },
        { "9007199254740992", INT64_MAX, INT64_MAX },
        { "99999999999999999999999999", INT64_MAX, INT64_MAX },
        { "1.00000000000000000000000001", 1, 2 },
        { "1.00000000000000000000000000", 1, 1 },
        { "100000000000000000000000000e-24", 100, 100 },
        { "100000000000000000000000001e-24", 100, 101 },
        { "0.00000000000000000000000000001e29", 1, 1 },
        { "123456789012345678901234567890e-20", 1234567890, 1234567891 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s.p = unit_copy(cases[i].in, strlen(cases[i].in));
        s.n = strlen(cases[i].in);
        s.escaped = 0;

        if (llm_json_integer(&s, 0) != cases[i].low
            || llm_json_integer(&s, 1) != cases[i].high)
        {
            fail_msg("%s: %jd %jd", cases[i].in,
                     (intmax_t) llm_json_integer(&s, 0),
                     (intmax_t) llm_json_integer(&s, 1));
        }

        free((void *) s.p);
    }
}


/* Against the C library, for numbers of any form. */
static void
test_integer_random(void **state)
{
    char         buf[80];
    size_t       i, n;
    double       v;
    llm_slice_t  s;

    (void) state;
    (void) unit_seed();

    for (i = 0; i < 100000; i++) {
        n = (size_t) snprintf(buf, sizeof(buf), "%u", unit_random(100000));

        if (unit_random(2)) {
            n += (size_t) snprintf(buf + n, sizeof(buf) - n, ".%0*u",
                                   1 + (int) unit_random(5),
                                   unit_random(100));
        }

        if (unit_random(2)) {
            n += (size_t) snprintf(buf + n, sizeof(buf) - n, "e%d",
                                   (int) unit_random(20) - 12);
        }

        s.p = (const llm_u8 *) buf;
        s.n = n;
        s.escaped = 0;
        v = strtod(buf, NULL);

        if (v < 1e15
            && (llm_json_integer(&s, 0) > v + v * 1e-12
                || (double) llm_json_integer(&s, 0) + 1 < v - v * 1e-12
                || (double) llm_json_integer(&s, 1) < v - v * 1e-12
                || (double) llm_json_integer(&s, 1) - 1 > v + v * 1e-12))
        {
            fail_msg("%s", buf);
        }
    }
}


static void
test_names(void **state)
{
    size_t       i;
    llm_slice_t  s;

    static const struct {
        const char  *key;
        unsigned     escaped;
        const char  *name;
        int          is;
    } cases[] = {
        { "n", 0, "n", 1 }, { "N", 0, "n", 1 }, { "", 0, "n", 0 },
        { "n", 0, "nn", 0 }, { "nn", 0, "n", 0 },
        { "GENERATIONCONFIG", 0, "generationConfig", 1 },
        { "generation_config", 0, "generationConfig", 0 },
        { "max\\u005Ftokens", 1, "max_tokens", 1 },
        { "max_to\\u212Aens", 1, "max_tokens", 1 },
        { "max_token\\u017f", 1, "max_tokens", 1 },
        { "max_token\xc5\xbf", 0, "max_tokens", 1 },
        { "max_token\xc5", 0, "max_tokens", 0 },
        { "max_token\xe2\x84", 0, "max_tokens", 0 },
        { "max_token\xc5\xbe", 0, "max_tokens", 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s.p = unit_copy(cases[i].key, strlen(cases[i].key));
        s.n = strlen(cases[i].key);
        s.escaped = cases[i].escaped;

        if ((llm_ask_is(&s, cases[i].name) != 0) != cases[i].is) {
            fail_msg("%s, %s", cases[i].key, cases[i].name);
        }

        free((void *) s.p);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_asked),
        cmocka_unit_test(test_integer),
        cmocka_unit_test(test_integer_random),
        cmocka_unit_test(test_names)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
