/*
 * The limit of output between dialects: every client's request, with every
 * limit, in every provider's dialect.  And stop strings that the provider
 * cannot be asked for, given back.
 */

#include "chat_support.h"
#include "cap_said.h"


typedef struct {
    const llm_dialect_t  *dialect;
    const char           *plain;        /* with room for the limit at %s */
    const char           *limit;        /* with its value at %s */
} cap_client_t;

static const cap_client_t  clients[] = {
    { &llm_dialect_openai, "{%s\"messages\":[{\"role\":\"user\","
      "\"content\":\"hi\"}]}", "\"max_completion_tokens\":%s," },
    { &llm_dialect_openai, "{%s\"messages\":[{\"role\":\"user\","
      "\"content\":\"hi\"}],\"temperature\":0.5,"
      "\"reasoning_effort\":\"high\"}", "\"max_tokens\":%s," },
    { &llm_dialect_completions, "{%s\"prompt\":\"hi\"}",
      "\"max_tokens\":%s," },
    { &llm_dialect_responses, "{%s\"input\":\"hi\"}",
      "\"max_output_tokens\":%s," },
    { &llm_dialect_anthropic, "{%s\"messages\":[{\"role\":\"user\","
      "\"content\":\"hi\"}],\"thinking\":{\"type\":\"enabled\","
      "\"budget_tokens\":5000}}", "\"max_tokens\":%s," },
    { &llm_dialect_gemini, "{%s\"contents\":[{\"role\":\"user\","
      "\"parts\":[{\"text\":\"hi\"}]}]}",
      "\"generationConfig\":{\"maxOutputTokens\":%s,\"topK\":3}," },
    { &llm_dialect_ollama, "{%s\"messages\":[{\"role\":\"user\","
      "\"content\":\"hi\"}]}", "\"options\":{\"num_predict\":%s}," },
    { &llm_dialect_generate, "{%s\"prompt\":\"hi\"}",
      "\"options\":{\"seed\":1,\"num_predict\":%s}," },
    { &llm_dialect_flowise, "{%s\"question\":\"hi\"}",
      "\"overrideConfig\":{\"maxTokens\":%s}," }
};

static const llm_dialect_t *const  providers[] = {
    &llm_dialect_openai, &llm_dialect_completions, &llm_dialect_responses,
    &llm_dialect_anthropic, &llm_dialect_gemini, &llm_dialect_ollama,
    &llm_dialect_generate, &llm_dialect_flowise, &llm_dialect_cohere
};

#define count(list)  (sizeof(list) / sizeof((list)[0]))


/* Where a provider's body says the limit; NULL: it does not. */
static const json_t *
limit_of(const json_t *body, const llm_dialect_t *d)
{
    size_t         i;
    const json_t  *v;

    static const char *const  names[] = {
        "max_completion_tokens", "max_tokens", "max_output_tokens"
    };

    if (d == &llm_dialect_gemini) {
        return json_object_get(json_object_get(body, "generationConfig"),
                               "maxOutputTokens");
    }

    if (d == &llm_dialect_ollama || d == &llm_dialect_generate) {
        return json_object_get(json_object_get(body, "options"),
                               "num_predict");
    }

    if (d == &llm_dialect_flowise) {
        return json_object_get(json_object_get(body, "overrideConfig"),
                               "maxTokens");
    }

    for (i = 0; i < count(names); i++) {
        v = json_object_get(body, names[i]);

        if (v != NULL) {
            return v;
        }
    }

    return NULL;
}


static void
check_pair(const cap_client_t *from, const llm_dialect_t *to,
    const char *limit, double want)
{
    char           in[600], member[200], what[900];
    double         got, budget;
    json_t        *body;
    chat_how_t     how;
    const json_t  *v;
    chat_result_t  r;

    member[0] = '\0';

    if (limit != NULL) {
        snprintf(member, sizeof(member), from->limit, limit);
    }

    snprintf(in, sizeof(in), from->plain, member);

    memset(&how, 0, sizeof(how));
    how.cap = 2000;

    chat_translate(&r, from->dialect, to, in, strlen(in), &how);
    snprintf(what, sizeof(what), "%s: %s", to->name.p, in);

    if (r.rc != LLM_OK) {
        fail_msg("%s: %d", what, r.rc);
    }

    body = json_loads(r.body, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL,
                      NULL);
    assert_non_null(body);

    v = limit_of(body, to);

    if (v == NULL) {
        if (to != &llm_dialect_flowise || limit != NULL) {
            fail_msg("%s: no limit: %s", what, r.body);
        }

        want = got = 0;

    } else {
        got = json_number_value(v);
    }

    if (got != want) {
        fail_msg("%s: %s", what, r.body);
    }

    v = json_object_get(json_object_get(body, "thinking"), "budget_tokens");
    budget = v != NULL && to == &llm_dialect_anthropic
             ? json_number_value(v) : 0;

    if (budget != 0 && (budget >= got || budget < 1024)) {
        fail_msg("%s: budget: %s", what, r.body);
    }

    json_decref(body);
    chat_done(&r);
}


static void
test_cap_pairs(void **state)
{
    size_t  i, k, m;

    static const struct {
        const char  *limit;
        double       want;
    } cases[] = {
        { NULL, 2000 }, { "5", 5 }, { "2000", 2000 }, { "2001", 2000 },
        { "1e99", 2000 }, { "1.5e3", 1500 }, { "90071992547409930", 2000 },
        { "1e400000000000", 2000 }, { "1200", 1200 }
    };

    (void) state;

    for (i = 0; i < count(clients); i++) {
        for (k = 0; k < count(providers); k++) {
            for (m = 0; m < count(cases); m++) {
                check_pair(&clients[i], providers[k], cases[m].limit,
                           cases[m].want);
            }
        }
    }

    /* what stands for none, or is below 0 */

    for (k = 0; k < count(providers); k++) {
        check_pair(&clients[0], providers[k], "-1", 2000);
        check_pair(&clients[4], providers[k], "-5", 2000);
    }

    check_pair(&clients[0], &llm_dialect_ollama, "0", 2000);
    check_pair(&clients[0], &llm_dialect_gemini, "0.5", 2000);
    check_pair(&clients[2], &llm_dialect_openai, "0", 0);
}


static void
check_how(const llm_dialect_t *to, const char *in, const chat_how_t *how,
    const char *want)
{
    chat_result_t  r;

    chat_translate(&r, &llm_dialect_openai, to, in, strlen(in), how);
    assert_int_equal(r.rc, LLM_OK);
    chat_same(r.body, want);
    chat_done(&r);
}


#define HI       "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define GEMINI   "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":"   \
                 "\"hi\"}]}]"


/* A limit of llm_stream_param's own is the one that is sent. */
static void
test_cap_given(void **state)
{
    size_t      i;
    chat_how_t  how;

    static const struct {
        const llm_dialect_t  *to;
        unsigned              quirks;
        llm_request_set_t     set;
        const char           *in;
        const char           *want;
    } cases[] = {
        { &llm_dialect_openai, LLM_QUIRK_MAX_TOKENS,
          { llm_str("seed"), llm_str("1"), 0 },
          "{" HI "}", "{" HI ",\"max_tokens\":50,\"seed\":1}" },
        { &llm_dialect_openai, LLM_QUIRK_MAX_TOKENS | LLM_QUIRK_DETAILS,
          { llm_str("seed"), llm_str("1"), 0 },
          "{" HI ",\"reasoning\":{\"max_tokens\":7e9}}",
          "{" HI ",\"max_tokens\":50,\"reasoning\":{\"max_tokens\":49},"
          "\"seed\":1}" },
        { &llm_dialect_openai, 0, { llm_str("max_tokens"), llm_str("5"), 0 },
          "{" HI "}", "{" HI ",\"max_tokens\":5}" },
        { &llm_dialect_openai, 0,
          { llm_str("max_completion_tokens"), llm_str("5"), 1 },
          "{" HI "}", "{" HI ",\"max_completion_tokens\":5}" },
        { &llm_dialect_openai, 0,
          { llm_str("max_completion_tokens"), llm_str("5"), 1 },
          "{" HI ",\"max_tokens\":70}",
          "{" HI ",\"max_completion_tokens\":50}" },
        { &llm_dialect_completions, 0,
          { llm_str("max_tokens"), llm_str("5"), 1 },
          "{" HI "}", "{\"prompt\":\"hi\",\"max_tokens\":5}" },
        { &llm_dialect_ollama, 0,
          { llm_str("options"), llm_str("{\"num_ctx\":1}"), 1 },
          "{" HI "}", "{" HI ",\"stream\":false,"
          "\"options\":{\"num_ctx\":1}}" },
        { &llm_dialect_ollama, 0,
          { llm_str("options"), llm_str("{\"num_ctx\":1}"), 1 },
          "{" HI ",\"seed\":3}", "{" HI ",\"stream\":false,"
          "\"options\":{\"num_predict\":50,\"seed\":3}}" },
        { &llm_dialect_gemini, 0,
          { llm_str("generationConfig"), llm_str("{\"topK\":1}"), 1 },
          "{" HI "}", "{" GEMINI ",\"generationConfig\":{\"topK\":1}}" },
        { &llm_dialect_gemini, 0,
          { llm_str("generationConfig"), llm_str("{\"topK\":1}"), 1 },
          "{" HI ",\"seed\":3}", "{" GEMINI ",\"generationConfig\":"
          "{\"maxOutputTokens\":50,\"seed\":3}}" },
        { &llm_dialect_gemini, 0,
          { llm_str("generationConfig"), llm_str("{\"topK\":1}"), 0 },
          "{" HI ",\"seed\":3}",
          "{" GEMINI ",\"generationConfig\":{\"topK\":1}}" }
    };

    (void) state;

    for (i = 0; i < count(cases); i++) {
        memset(&how, 0, sizeof(how));
        how.cap = 50;
        how.quirks = cases[i].quirks;
        how.set = &cases[i].set;
        how.nset = 1;

        check_how(cases[i].to, cases[i].in, &how, cases[i].want);
    }
}


static void
check_stops(const llm_dialect_t *to, const char *stops, unsigned take,
    const char *given, const char *refused)
{
    char          *in;
    chat_how_t     how;
    chat_result_t  r;

    in = malloc(strlen(stops) + 200);
    assert_non_null(in);
    sprintf(in, "{" HI ",\"stop\":%s}", stops);

    memset(&how, 0, sizeof(how));
    how.take_stops = take;

    chat_translate(&r, &llm_dialect_openai, to, in, strlen(in), &how);
    assert_int_equal(r.rc, LLM_OK);
    assert_string_equal(r.stops, given);
    assert_string_equal(r.refused, refused);

    chat_done(&r);
    free(in);
}


/* So many strings of so many bytes. */
static char *
many(size_t n, size_t bytes)
{
    char    *s, *p;
    size_t   i;

    p = s = malloc(n * (bytes + 3) + 3);
    assert_non_null(s);
    *p++ = '[';

    for (i = 0; i < n; i++) {
        *p++ = '"';
        memset(p, 'a', bytes);
        p += bytes;
        *p++ = '"';
        *p++ = ',';
    }

    p[-1] = ']';
    *p = '\0';

    return s;
}


static void
test_stops(void **state)
{
    char    *s;
    size_t   i;

    static const llm_dialect_t *const  none[] = {
        &llm_dialect_flowise, &llm_dialect_responses
    };

    (void) state;

    for (i = 0; i < count(none); i++) {
        check_stops(none[i], "\"END\"", 1, "END\n", "");
        check_stops(none[i], "[\"a\",\"\\u0041\\n\",\"\\ud83d\\ude00\"]", 1,
                    "a\nA\n\n\xf0\x9f\x98\x80\n", "");
        check_stops(none[i], "[\"\\ud83d\",\"\"]", 1, "\xef\xbf\xbd\n", "");
        check_stops(none[i], "[]", 1, "", "");
        check_stops(none[i], "null", 1, "", "");
        check_stops(none[i], "\"END\"", 0, "", "stop");

        s = many(LLM_CHAT_STOPS, 1);
        check_stops(none[i], s, 0, "", "stop");
        free(s);

        s = many(LLM_CHAT_STOPS + 1, 0);
        check_stops(none[i], s, 1, "", "");
        free(s);
    }

    /* the rest is the provider's own */

    check_stops(&llm_dialect_anthropic, "[\"a\",\" \\n\"]", 1, " \n\n", "");
    check_stops(&llm_dialect_openai, "[\"a\"]", 1, "", "");
    check_stops(&llm_dialect_gemini, "[\"a\"]", 1, "", "");
}


/* No more than anybody needs. */
static void
test_stops_bounds(void **state)
{
    char           *s, body[40000];
    size_t          i;
    chat_how_t      how;
    chat_result_t   r;

    static const char  in[] = "{" HI ",\"stop\":[\"a\",\"b\"]}";

    (void) state;

    memset(&how, 0, sizeof(how));
    how.take_stops = 1;

    for (i = 0; i < 2; i++) {
        s = i == 0 ? many(LLM_CHAT_STOPS + 5, 2)
                   : many(3, LLM_CHAT_STOP_BYTES / 2);
        sprintf(body, "{" HI ",\"stop\":%s}", s);

        chat_translate(&r, &llm_dialect_openai, &llm_dialect_flowise, body,
                       strlen(body), &how);
        assert_int_equal(r.rc, LLM_OK);
        assert_string_equal(r.refused, "stop");
        assert_int_equal(strlen(r.stops),
                         i == 0 ? LLM_CHAT_STOPS * 3
                                : LLM_CHAT_STOP_BYTES + 2);
        chat_done(&r);
        free(s);
    }

    for (how.fail_at = 1; ; how.fail_at++) {
        chat_translate(&r, &llm_dialect_openai, &llm_dialect_flowise, in,
                       sizeof(in) - 1, &how);
        i = r.rc == LLM_OK;
        assert_true(i || r.rc == LLM_NOMEM);
        chat_done(&r);

        if (i) {
            break;
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cap_pairs),
        cmocka_unit_test(test_cap_given),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_stops_bounds)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
