/*
 * The limit of output in a body that stays in its dialect: exact bytes, every
 * other byte as it came; hostile values, held against a reader that knows
 * nothing of the code; and how it meets llm_stream_param and other names.
 */

#include "llm_provider.h"
#include "request_support.h"
#include "cap_said.h"


typedef struct {
    const llm_dialect_t  *dialect;
    const char           *in;
    const char           *want;     /* of a cap of 100; NULL: as it came */
} cap_case_t;


static char *
capped(const llm_dialect_t *d, const char *in, int64_t cap,
    const llm_request_set_t *set, size_t nset)
{
    char                  *out;
    size_t                 edits;
    llm_request_change_t   change;

    memset(&change, 0, sizeof(change));
    change.stream = -1;
    change.dialect = d;
    change.cap = cap;
    change.set = set;
    change.nset = nset;

    out = change_body(in, &change, &edits);

    return out;
}


static void
check_cases(const cap_case_t *c, size_t n)
{
    char    *out;
    size_t   i;

    for (i = 0; i < n; i++) {
        out = capped(c[i].dialect, c[i].in, 100, NULL, 0);

        if (strcmp(out, c[i].want != NULL ? c[i].want : c[i].in) != 0) {
            fail_msg("%s\n in: %s\ngot: %s", c[i].dialect->name.p, c[i].in,
                     out);
        }

        free(out);
    }
}


#define check_table(t)  check_cases(t, sizeof(t) / sizeof((t)[0]))

#define OPENAI     &llm_dialect_openai
#define COMPLETE   &llm_dialect_completions
#define RESPONSES  &llm_dialect_responses
#define ANTHROPIC  &llm_dialect_anthropic
#define GEMINI     &llm_dialect_gemini
#define OLLAMA     &llm_dialect_ollama
#define GENERATE   &llm_dialect_generate
#define FLOWISE    &llm_dialect_flowise


static const cap_case_t  plain_cases[] = {

    /* none is said */

    { OPENAI, "{}", "{\"max_completion_tokens\":100}" },
    { OPENAI, " { \"a\" : 1 } ",
      " {\"max_completion_tokens\":100, \"a\" : 1 } " },
    { COMPLETE, "{\"a\":1}", "{\"max_tokens\":100,\"a\":1}" },
    { RESPONSES, "{\"a\":1}", "{\"max_output_tokens\":100,\"a\":1}" },
    { ANTHROPIC, "{\"a\":1}", "{\"max_tokens\":100,\"a\":1}" },

    /* within */

    { OPENAI, "{\"max_tokens\":100}", NULL },
    { OPENAI, "{\"max_completion_tokens\" : 7}", NULL },
    { OPENAI, "{\"max_tokens\":1e2}", NULL },
    { OPENAI, "{\"max_tokens\":99.5}", NULL },
    { OPENAI, "{\"max_tokens\":0.1e3}", NULL },
    { OPENAI, "{\"max_tokens\":10000e-2}", NULL },
    { OPENAI, "{\"max_tokens\":0}", NULL },
    { OPENAI, "{\"max_tokens\":\"50\"}", NULL },
    { COMPLETE, "{\"max_tokens\":0,\"echo\":true}", NULL },

    /* above */

    { OPENAI, "{\"a\":1, \"max_tokens\" : 101 ,\"b\":2}",
      "{\"a\":1, \"max_tokens\" : 100 ,\"b\":2}" },
    { OPENAI, "{\"max_completion_tokens\":100.5}",
      "{\"max_completion_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":1e99}", "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":1E+3}", "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":100000000000000000000000000000}",
      "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":1e99999999999999999999}",
      "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":-1}", "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":-1e-999}", "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":\"101\"}", "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":\"1e9\"}", "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":\"1_0\"}", "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":\"\\u0035\"}", "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":\"\"}", "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":true}", "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":[1]}", "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":{\"a\":1}}", "{\"max_tokens\":100}" },
    { RESPONSES, "{\"max_output_tokens\":5000}",
      "{\"max_output_tokens\":100}" },

    /* other spellings, duplicates */

    { OPENAI, "{\"max_tokens\":1,\"max_tokens\":900}",
      "{\"max_tokens\":1,\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":900,\"max_completion_tokens\":800}",
      "{\"max_tokens\":100,\"max_completion_tokens\":100}" },
    { OPENAI, "{\"max\\u005ftokens\":900}",
      "{\"max\\u005ftokens\":100}" },
    { OPENAI, "{\"Max_Tokens\":900}",
      "{\"max_completion_tokens\":100,\"Max_Tokens\":100}" },
    { OPENAI, "{\"max_token\xc5\xbf\":900,\"max_to\xe2\x84\xaa" "ens\":"
      "null}",
      "{\"max_completion_tokens\":100,\"max_token\xc5\xbf\":100,"
      "\"max_to\xe2\x84\xaa" "ens\":100}" },
    { OPENAI, "{\"n_predict\":-1,\"max_tokens\":5}",
      "{\"n_predict\":100,\"max_tokens\":5}" },
    { OPENAI, "{\"n_predict\":5}",
      "{\"max_completion_tokens\":100,\"n_predict\":5}" },
    { OPENAI, "{\"a\":{\"max_tokens\":900}}",
      "{\"max_completion_tokens\":100,\"a\":{\"max_tokens\":900}}" },

    /* null is as if not said, unless it would win over another */

    { OPENAI, "{\"max_tokens\":null}", "{\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":null,\"max_completion_tokens\":9}",
      NULL },
    { OPENAI, "{\"max_tokens\":9,\"max_tokens\":null}",
      "{\"max_tokens\":9,\"max_tokens\":100}" },
    { OPENAI, "{\"max_tokens\":null,\"max_completion_tokens\":null}",
      "{\"max_tokens\":100,\"max_completion_tokens\":100}" }
};


static void
test_cap_plain(void **state)
{
    (void) state;

    check_table(plain_cases);
}


static const cap_case_t  inside_cases[] = {
    { GEMINI, "{\"contents\":[]}",
      "{\"generationConfig\":{\"maxOutputTokens\":100},"
      "\"contents\":[]}" },
    { GEMINI, "{\"generationConfig\":{}}",
      "{\"generationConfig\":{\"maxOutputTokens\":100}}" },
    { GEMINI, "{\"generationConfig\" : { \"topK\" : 1 } }",
      "{\"generationConfig\" : {\"maxOutputTokens\":100, \"topK\" : 1 } "
      "}" },
    { GEMINI, "{\"generationConfig\":{\"maxOutputTokens\": 99 }}", NULL },
    { GEMINI, "{\"generationConfig\":{\"maxOutputTokens\":\"99\"}}",
      NULL },
    { GEMINI, "{\"generationConfig\":{\"a\":{\"maxOutputTokens\":7},"
      "\"maxOutputTokens\":999}}",
      "{\"generationConfig\":{\"a\":{\"maxOutputTokens\":7},"
      "\"maxOutputTokens\":100}}" },
    { GEMINI, "{\"generationConfig\":{\"max_output_tokens\":999}}",
      "{\"generationConfig\":{\"max_output_tokens\":100}}" },
    { GEMINI, "{\"generation_config\":{\"max_output_tokens\":999}}",
      "{\"generation_config\":{\"max_output_tokens\":100}}" },
    { GEMINI, "{\"generation_config\":{}}",
      "{\"generation_config\":{\"maxOutputTokens\":100}}" },
    { GEMINI, "{\"generationConfig\":null}",
      "{\"generationConfig\":{\"maxOutputTokens\":100}}" },
    { GEMINI, "{\"generationConfig\":{\"maxOutputTokens\":null}}",
      "{\"generationConfig\":{\"maxOutputTokens\":100}}" },
    { GEMINI, "{\"generationConfig\":{\"maxOutputTokens\":0}}",
      "{\"generationConfig\":{\"maxOutputTokens\":100}}" },
    { GEMINI, "{\"generationConfig\":{\"maxOutputTokens\":5},"
      "\"generationConfig\":{}}",
      "{\"generationConfig\":{\"maxOutputTokens\":5},"
      "\"generationConfig\":{\"maxOutputTokens\":100}}" },
    { GEMINI, "{\"generationConfig\":[]}", "invalid" },
    { GEMINI, "{\"generationConfig\":\"x\"}", "invalid" },

    { OLLAMA, "{\"model\":\"m\"}",
      "{\"options\":{\"num_predict\":100},\"model\":\"m\"}" },
    { OLLAMA, "{\"options\":{\"num_predict\":-1}}",
      "{\"options\":{\"num_predict\":100}}" },
    { OLLAMA, "{\"options\":{\"num_predict\":-2}}",
      "{\"options\":{\"num_predict\":100}}" },
    { OLLAMA, "{\"options\":{\"num_predict\":0}}",
      "{\"options\":{\"num_predict\":100}}" },
    { OLLAMA, "{\"options\":{\"num_predict\":0.9}}",
      "{\"options\":{\"num_predict\":100}}" },
    { OLLAMA, "{\"options\":{\"num_predict\":1e-400}}",
      "{\"options\":{\"num_predict\":100}}" },
    { OLLAMA, "{\"options\":{\"num_predict\":1.9}}", NULL },
    { OLLAMA, "{\"options\":{\"stop\":[],\"num_predict\":3}}", NULL },
    { OLLAMA, "{\"options\":{\"num_predict\":3},\"Options\":null}",
      "{\"options\":{\"num_predict\":3},"
      "\"Options\":{\"num_predict\":100}}" },
    { OLLAMA, "{\"OPTIONS\":{\"num_predict\":-1}}",
      "{\"options\":{\"num_predict\":100},"
      "\"OPTIONS\":{\"num_predict\":100}}" },
    { GENERATE, "{\"option\xc5\xbf\":{\"a\":1}}",
      "{\"options\":{\"num_predict\":100},"
      "\"option\xc5\xbf\":{\"num_predict\":100,\"a\":1}}" },
    { GENERATE, "{\"options\":7}", "invalid" },

    /* it cannot be said there: what is said is lowered */

    { FLOWISE, "{\"question\":\"q\"}", NULL },
    { FLOWISE, "{\"overrideConfig\":null}", NULL },
    { FLOWISE, "{\"overrideConfig\":{}}", NULL },
    { FLOWISE, "{\"overrideConfig\":{\"maxTokens\":\"50\"}}", NULL },
    { FLOWISE, "{\"overrideConfig\":{\"maxTokens\":\"500\",\"a\":1}}",
      "{\"overrideConfig\":{\"maxTokens\":100,\"a\":1}}" }
};


static void
test_cap_inside(void **state)
{
    (void) state;

    check_table(inside_cases);
}


/* Anthropic's budget stays below the limit, or there is none. */
static void
test_cap_budget(void **state)
{
    char    *out;
    size_t   i;

    static const struct {
        int64_t      cap;
        const char  *in;
        const char  *want;
    } cases[] = {
        { 2000, "{\"max_tokens\":9000,\"thinking\":{\"type\":\"enabled\","
          "\"budget_tokens\":8000}}",
          "{\"max_tokens\":2000,\"thinking\":{\"type\":\"enabled\","
          "\"budget_tokens\":1999}}" },
        { 2000, "{\"thinking\":{\"budget_tokens\":2000,\"type\":\"enabled\"}"
          ",\"max_tokens\":9000}",
          "{\"thinking\":{\"budget_tokens\":1999,\"type\":\"enabled\"}"
          ",\"max_tokens\":2000}" },
        { 2000, "{\"max_tokens\":2000,\"thinking\":{\"type\":\"enabled\","
          "\"budget_tokens\":1999}}", NULL },
        { 1025, "{\"max_tokens\":1025,\"thinking\":{\"type\":\"enabled\","
          "\"budget_tokens\":1e9}}",
          "{\"max_tokens\":1025,\"thinking\":{\"type\":\"enabled\","
          "\"budget_tokens\":1024}}" },
        { 1024, "{\"max_tokens\":9,\"thinking\":{\"type\":\"enabled\","
          "\"budget_tokens\":1024}}",
          "{\"max_tokens\":9,\"thinking\":{\"type\":\"disabled\"}}" },
        { 1024, "{\"max_tokens\":9,\"thinking\":{\"type\":\"adaptive\"}}",
          NULL },
        { 1024, "{\"max_tokens\":9,\"thinking\":[1]}", NULL },
        { 1024, "{\"max_tokens\":9,\"thinking\":null}", NULL }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        out = capped(ANTHROPIC, cases[i].in, cases[i].cap, NULL, 0);
        assert_string_equal(out, cases[i].want != NULL ? cases[i].want
                                                       : cases[i].in);
        free(out);
    }
}


/* OpenRouter's, likewise. */
static void
test_cap_reasoning(void **state)
{
    char  *out;

    (void) state;

    out = capped(OPENAI, "{\"reasoning\":{\"max_tokens\":8000},"
                 "\"max_tokens\":9000}", 2000, NULL, 0);
    assert_string_equal(out, "{\"reasoning\":{\"max_tokens\":1999},"
                        "\"max_tokens\":2000}");
    free(out);

    out = capped(OPENAI, "{\"reasoning\":{\"max_tokens\":8000},"
                 "\"max_tokens\":9000}", 1000, NULL, 0);
    assert_string_equal(out, "{\"reasoning\":{\"enabled\":false},"
                        "\"max_tokens\":1000}");
    free(out);
}


/* A provider that knows the older name only. */
static void
test_cap_renamed(void **state)
{
    char                  *out;
    size_t                 i, edits;
    llm_request_change_t   change;

    static const char  *cases[][2] = {
        { "{\"max_completion_tokens\":900}", "{\"max_tokens\":100}" },
        { "{\"max_completion_tokens\":9}", "{\"max_tokens\":9}" },
        { "{\"max_completion_tokens\":null}", "{\"max_tokens\":100}" },
        { "{\"max_completion_tokens\":null,\"max_tokens\":9}",
          "{\"max_tokens\":100,\"max_tokens\":9}" },
        { "{}", "{\"max_tokens\":100}" }
    };

    (void) state;

    memset(&change, 0, sizeof(change));
    change.stream = -1;
    change.dialect = OPENAI;
    change.cap = 100;
    change.renames = llm_provider_find((const llm_u8 *) "deepseek", 8)
                     ->renames;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        out = change_body(cases[i][0], &change, &edits);
        assert_string_equal(out, cases[i][1]);
        free(out);
    }
}


/* What llm_stream_param says stands for the limit, in whatever name. */
static void
test_cap_given(void **state)
{
    char    *out;
    size_t   i;

    static const struct {
        const llm_dialect_t  *dialect;
        llm_request_set_t     set;
        const char           *in;
        const char           *want;
    } cases[] = {
        { OPENAI, { llm_str("max_tokens"), llm_str("5"), 0 },
          "{}", "{\"max_tokens\":5}" },
        { OPENAI, { llm_str("max_tokens"), llm_str("5"), 1 },
          "{}", "{\"max_tokens\":5}" },
        { OPENAI, { llm_str("max_tokens"), llm_str("5"), 0 },
          "{\"max_tokens\":900}", "{\"max_tokens\":5}" },
        { OPENAI, { llm_str("max_tokens"), llm_str("5"), 1 },
          "{\"max_tokens\":900}", "{\"max_tokens\":100}" },
        { OPENAI, { llm_str("max_completion_tokens"), llm_str("5"), 1 },
          "{\"max_tokens\":900}",
          "{\"max_completion_tokens\":5,\"max_tokens\":100}" },
        { OPENAI, { llm_str("max_tokens"), llm_str("5"), 1 },
          "{\"max_tokens\":null}", "{\"max_tokens\":100}" },
        { OPENAI, { llm_str("n_predict"), llm_str("5"), 0 },
          "{}", "{\"max_completion_tokens\":100,\"n_predict\":5}" },
        { OLLAMA, { llm_str("options"), llm_str("{\"num_predict\":5}"), 1 },
          "{}", "{\"options\":{\"num_predict\":5}}" },
        { OLLAMA, { llm_str("options"), llm_str("{\"num_predict\":5}"), 1 },
          "{\"options\":{\"seed\":1}}",
          "{\"options\":{\"num_predict\":100,\"seed\":1}}" },
        { OLLAMA, { llm_str("options"), llm_str("{\"num_predict\":5}"), 0 },
          "{\"options\":[]}", "{\"options\":{\"num_predict\":5}}" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        out = capped(cases[i].dialect, cases[i].in, 100, &cases[i].set, 1);
        assert_string_equal(out, cases[i].want);
        free(out);
    }
}


static llm_rc_t
cap_value(const llm_dialect_t *d, const char *name, const char *value,
    size_t fail_at, char **out)
{
    llm_rc_t           rc;
    llm_alloc_t        a;
    llm_block_t        b;
    unit_alloc_t       heap;
    llm_request_set_t  set;

    a = unit_alloc(&heap);
    heap.fail_at = fail_at;

    memset(&b, 0, sizeof(b));
    memset(&set, 0, sizeof(set));
    set.name = chars(name);
    set.value = chars(value);

    rc = llm_request_cap_value(&b, &a, d, 100, &set);

    *out = rc == LLM_OK ? strndup((const char *) b.p, b.n) : NULL;

    if (rc != LLM_OK) {
        assert_null(b.p);
    }

    llm_block_free(&b, &a);
    assert_int_equal(heap.live, 0);

    return rc;
}


static void
test_cap_value(void **state)
{
    char      *out;
    size_t     i, k;
    llm_rc_t   rc;

    static const struct {
        const llm_dialect_t  *dialect;
        const char           *name;
        const char           *value;
        llm_rc_t              rc;
        const char           *want;
    } cases[] = {
        { OPENAI, "max_tokens", "900", LLM_OK, "100" },
        { OPENAI, "max_tokens", " 900 ", LLM_OK, " 100 " },
        { OPENAI, "max_tokens", "100", LLM_AGAIN, NULL },
        { OPENAI, "max_tokens", "null", LLM_OK, "100" },
        { OPENAI, "n_predict", "-1", LLM_OK, "100" },
        { OPENAI, "seed", "900", LLM_AGAIN, NULL },
        { OPENAI, "metadata", "{\"max_tokens\":900}", LLM_AGAIN, NULL },
        { OPENAI, "a\"b", "900", LLM_AGAIN, NULL },
        { OLLAMA, "options", "{\"num_ctx\":8192}", LLM_OK,
          "{\"num_predict\":100,\"num_ctx\":8192}" },
        { OLLAMA, "options", "{\"num_predict\":-1}", LLM_OK,
          "{\"num_predict\":100}" },
        { OLLAMA, "options", "[]", LLM_INVALID, NULL },
        { GEMINI, "generationConfig", "{}", LLM_OK,
          "{\"maxOutputTokens\":100}" },
        { ANTHROPIC, "thinking",
          "{\"type\":\"enabled\",\"budget_tokens\":9000}", LLM_OK,
          "{\"type\":\"disabled\"}" },
        { &llm_dialect_cohere, "max_tokens", "900", LLM_OK, "100" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rc = cap_value(cases[i].dialect, cases[i].name, cases[i].value, 0,
                       &out);
        assert_int_equal(rc, cases[i].rc);

        if (out != NULL) {
            assert_string_equal(out, cases[i].want);
        }

        free(out);
    }

    for (k = 1; ; k++) {
        rc = cap_value(OLLAMA, "options", "{\"num_ctx\":8192}", k, &out);
        free(out);

        if (rc == LLM_OK) {
            break;
        }

        assert_int_equal(rc, LLM_NOMEM);
    }

    assert_true(k > 3);
}


static const char *const  hostile[] = {
    "1", "100", "101", "0", "-1", "-2", "1e99", "1e-99", "99.9", "100.1",
    "1E2", "1e+2", "10e1", "1001e-1", "0.0000001e9", "0.00000001e9",
    "9007199254740993", "18446744073709551716", "4294967396", "null", "true",
    "false", "\"5\"", "\"500\"", "\" 7 \"", "\"-1\"", "\"\"", "\"1e9\"",
    "\"null\"", "[5]", "{}", "{\"max_tokens\":5}"
};

static const char *const  spelled[] = {
    "max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict",
    "Max_Tokens", "MAX_COMPLETION_TOKENS", "max\\u005ftokens", "model",
    "generationConfig", "generation_config", "options", "OPTIONS", "Options",
    "\\u006fptions", "overrideConfig", "x"
};

static const char *const  inner[] = {
    "maxOutputTokens", "max_output_tokens", "num_predict", "NUM_PREDICT",
    "maxTokens", "seed"
};

#define pick(list)  list[unit_random(sizeof(list) / sizeof(list[0]))]


static void
random_body(char *buf)
{
    size_t       i, k, n, m;
    const char  *name;

    strcpy(buf, "{");
    n = unit_random(6);

    for (i = 0; i < n; i++) {
        name = pick(spelled);
        sprintf(buf + strlen(buf), "%s\"%s\":", i != 0 ? ", " : "", name);

        if (strcasestr(name, "config") == NULL
            && strcasestr(name, "ptions") == NULL)
        {
            strcat(buf, pick(hostile));
            continue;
        }

        if (unit_random(8) == 0) {
            strcat(buf, "null");
            continue;
        }

        strcat(buf, "{");
        m = unit_random(4);

        for (k = 0; k < m; k++) {
            sprintf(buf + strlen(buf), "%s\"%s\" :%s", k != 0 ? "," : "",
                    pick(inner), pick(hostile));
        }

        strcat(buf, "}");
    }

    strcat(buf, "}");
}


/* The members that say no limit are there byte for byte, in order. */
static void
check_others(const char *in, const char *out)
{
    size_t       i, k;
    llm_json_t   a, b;
    llm_slice_t  key, v, other;

    llm_json_init(&a, (const llm_u8 *) in, strlen(in), 0);
    llm_json_init(&b, (const llm_u8 *) out, strlen(out), 0);
    (void) llm_json_next(&a);
    (void) llm_json_next(&b);

    for (i = 0; llm_json_next(&a) == LLM_JSON_KEY; i++) {
        key = a.tok;
        (void) llm_json_skip(&a, &v);

        for (k = 0; k < 2; k++) {
            assert_int_equal(llm_json_next(&b), LLM_JSON_KEY);
            other = b.tok;

            if (other.n == key.n && memcmp(other.p, key.p, key.n) == 0) {
                (void) llm_json_skip(&b, &other);
                break;
            }

            /* what was inserted is before all */

            assert_int_equal(i, 0);
            (void) llm_json_skip(&b, &other);
        }

        if (llm_json_is(&key, "model") || llm_json_is(&key, "x")) {
            assert_int_equal(v.n, other.n);
            assert_memory_equal(v.p, other.p, v.n);
        }
    }
}


static void
test_cap_random(void **state)
{
    char                  in[2000], *out, *again;
    size_t                i, n;
    const char           *wrong;
    const llm_dialect_t  *d;

    static const llm_dialect_t *const  dialects[] = {
        OPENAI, COMPLETE, RESPONSES, ANTHROPIC, GEMINI, OLLAMA, FLOWISE
    };

    (void) state;
    (void) unit_seed();

    n = 0;

    for (i = 0; i < 40000; i++) {
        d = dialects[i % 7];
        random_body(in);

        out = capped(d, in, 100, NULL, 0);
        wrong = cap_wrong(d, (const llm_u8 *) out, strlen(out), 100);

        if (wrong != NULL) {
            fail_msg("%s: %s\n in: %s\nout: %s", d->name.p, wrong, in, out);
        }

        check_others(in, out);

        /* what is capped stays as it is */

        again = capped(d, out, 100, NULL, 0);
        assert_string_equal(again, out);

        n += strcmp(in, out) != 0;
        free(again);
        free(out);
    }

    assert_true(n > 10000);
}


static void
test_cap_nomem(void **state)
{
    size_t                k;
    llm_rc_t              rc;
    llm_plan_t            plan;
    llm_alloc_t           a;
    unit_alloc_t          heap;
    llm_request_change_t  change;

    static const char  body[] = "{\"options\":{\"num_predict\":-1},"
                                "\"Options\":null,\"options\":{}}";

    (void) state;

    memset(&change, 0, sizeof(change));
    change.stream = -1;
    change.dialect = OLLAMA;
    change.cap = 100;

    for (k = 1; ; k++) {
        a = unit_alloc(&heap);
        heap.fail_at = k;

        rc = llm_request_plan(&plan, (const llm_u8 *) body,
                              sizeof(body) - 1, &change, &a);
        if (rc == LLM_OK) {
            break;
        }

        assert_int_equal(rc, LLM_NOMEM);
        assert_int_equal(heap.live, 0);
    }

    assert_true(k > 2);
    llm_plan_free(&plan);
    assert_int_equal(heap.live, 0);
}


/* A body of nothing but limits costs no more edits than any other may. */
static void
test_cap_many(void **state)
{
    char        *in, *out, *p;
    size_t       i;

    (void) state;

    p = in = malloc(2000 * 20);
    assert_non_null(in);

    p += sprintf(p, "{\"a\":1");

    for (i = 0; i < 1100; i++) {
        p += sprintf(p, ",\"options\":{}");
    }

    sprintf(p, "}");

    out = capped(OLLAMA, in, 100, NULL, 0);
    assert_string_equal(out, "invalid");

    free(out);
    free(in);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cap_plain),
        cmocka_unit_test(test_cap_inside),
        cmocka_unit_test(test_cap_budget),
        cmocka_unit_test(test_cap_reasoning),
        cmocka_unit_test(test_cap_renamed),
        cmocka_unit_test(test_cap_given),
        cmocka_unit_test(test_cap_value),
        cmocka_unit_test(test_cap_random),
        cmocka_unit_test(test_cap_nomem),
        cmocka_unit_test(test_cap_many)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
