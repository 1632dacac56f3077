/*
 * The table of providers: that it can be used as it stands, and what it says
 * of those whose habits differ.
 */

#include "llm_provider.h"
#include "unit_support.h"


static const llm_provider_t *
find(const char *name)
{
    const llm_provider_t  *p;

    p = llm_provider_find((const llm_u8 *) name, strlen(name));

    if (p == NULL) {
        fail_msg("no provider \"%s\"", name);
    }

    return p;
}


static void
is(const llm_slice_t *s, const char *expect)
{
    if (expect == NULL) {
        assert_null(s->p);
        return;
    }

    assert_non_null(s->p);
    assert_int_equal(s->n, strlen(expect));
    assert_memory_equal(s->p, expect, s->n);
}


/* Whether a path names the model once, or not at all. */
static unsigned
has_model(const llm_slice_t *path)
{
    size_t    i;
    unsigned  n;

    for (n = 0, i = 0; i + 7 <= path->n; i++) {
        n += memcmp(path->p + i, "{model}", 7) == 0;
    }

    return n;
}


static void
check_path(const llm_provider_t *p, const llm_slice_t *path)
{
    size_t  i;

    if (path->p == NULL) {
        return;
    }

    assert_true(path->n > 1 && path->p[0] == '/');
    assert_int_equal(has_model(path), p->dialect->model_in_path ? 1 : 0);

    for (i = 0; i < path->n; i++) {
        assert_true(path->p[i] > ' ' && path->p[i] < 0x7f);
    }
}


static void
test_rows(void **state)
{
    size_t                 i;
    const llm_rename_t    *r;
    const llm_provider_t  *p;

    (void) state;

    for (i = 0; (p = llm_provider_at(i)) != NULL; i++) {
        assert_ptr_equal(llm_provider_find(p->name.p, p->name.n), p);

        assert_non_null(p->dialect);
        assert_non_null(p->dialect->decode);
        assert_non_null(p->dialect->write_chat);

        assert_non_null(p->path.p);
        check_path(p, &p->path);
        check_path(p, &p->answer_path);
        check_path(p, &p->array_path);

        assert_true(p->auth_header.p != NULL || p->auth_prefix.p == NULL);
        assert_int_equal(p->header.p != NULL, p->header_value.p != NULL);

        for (r = p->renames; r != NULL && r->from.p != NULL; r++) {
            assert_true(r->from.n != 0 && r->to.n != 0);
        }
    }

    assert_true(i >= 12);
    assert_null(llm_provider_at(i + 1));
}


/* Each dialect with an upstream half is a row of its own name. */
static void
test_dialects(void **state)
{
    size_t                 i;
    const llm_dialect_t   *d;
    const llm_provider_t  *p;

    (void) state;

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {
        p = llm_provider_find(d->name.p, d->name.n);

        if (d->decode == NULL) {
            assert_null(p);
            continue;
        }

        assert_non_null(p);
        assert_ptr_equal(p->dialect, d);
    }
}


static void
test_unknown(void **state)
{
    (void) state;

    assert_null(llm_provider_find((const llm_u8 *) "", 0));
    assert_null(llm_provider_find((const llm_u8 *) "OpenAI", 6));
    assert_null(llm_provider_find((const llm_u8 *) "openai ", 7));
    assert_null(llm_provider_find((const llm_u8 *) "opena", 5));
}


static const struct {
    const char  *name;
    const char  *dialect;
    const char  *path;
    const char  *auth;
    const char  *prefix;
    unsigned     quirks;
} rows[] = {
    { "openai", "openai", "/v1/chat/completions", "Authorization",
      "Bearer ", 0 },
    { "openrouter", "openai", "/api/v1/chat/completions", "Authorization",
      "Bearer ",
      LLM_QUIRK_MAX_TOKENS|LLM_QUIRK_TOP_K|LLM_QUIRK_DETAILS },
    { "azure", "openai", "/openai/v1/chat/completions", "api-key", NULL, 0 },
    { "deepseek", "openai", "/chat/completions", "Authorization", "Bearer ",
      LLM_QUIRK_MAX_TOKENS|LLM_QUIRK_REASONING },
    { "mistral", "openai", "/v1/chat/completions", "Authorization",
      "Bearer ", LLM_QUIRK_MAX_TOKENS|LLM_QUIRK_NO_OPTIONS
      |LLM_QUIRK_RANDOM_SEED },
    { "groq", "openai", "/openai/v1/chat/completions", "Authorization",
      "Bearer ", 0 },
    { "xai", "openai", "/v1/chat/completions", "Authorization", "Bearer ",
      0 },
    { "qwen", "openai", "/compatible-mode/v1/chat/completions",
      "Authorization", "Bearer ",
      LLM_QUIRK_MAX_TOKENS|LLM_QUIRK_REASONING },
    { "evolution", "openai", "/v1/chat/completions", "Authorization",
      "Bearer ", 0 },
    { "vllm", "openai", "/v1/chat/completions", "Authorization", "Bearer ",
      LLM_QUIRK_TOP_K|LLM_QUIRK_REASONING },
    { "llama-cpp", "openai", "/v1/chat/completions", "Authorization",
      "Bearer ",
      LLM_QUIRK_MAX_TOKENS|LLM_QUIRK_TOP_K|LLM_QUIRK_REASONING },
    { "flowise", "flowise", "/api/v1/prediction/{model}", "Authorization",
      "Bearer ", 0 },
    { "cohere", "cohere", "/v2/chat", "Authorization", "Bearer ", 0 }
};


static void
test_presets(void **state)
{
    size_t                 i;
    const llm_provider_t  *p;

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        p = find(rows[i].name);

        is(&p->dialect->name, rows[i].dialect);
        is(&p->path, rows[i].path);
        is(&p->auth_header, rows[i].auth);
        is(&p->auth_prefix, rows[i].prefix);
        assert_int_equal(p->quirks, rows[i].quirks);
    }
}


/* A quirk and a rename say the same: one is for requests that are written
 * anew, the other for those that go through as they came. */
static void
test_renames(void **state)
{
    size_t                 i;
    unsigned               quirks;
    const llm_rename_t    *r;
    const llm_provider_t  *p;

    (void) state;

    for (i = 0; (p = llm_provider_at(i)) != NULL; i++) {
        quirks = 0;

        for (r = p->renames; r != NULL && r->from.p != NULL; r++) {

            if (r->from.n == 4) {
                is(&r->from, "seed");
                is(&r->to, "random_seed");
                quirks |= LLM_QUIRK_RANDOM_SEED;

            } else {
                is(&r->from, "max_completion_tokens");
                is(&r->to, "max_tokens");
                quirks |= LLM_QUIRK_MAX_TOKENS;
            }
        }

        assert_int_equal(quirks, p->quirks & (LLM_QUIRK_RANDOM_SEED
                                              |LLM_QUIRK_MAX_TOKENS));
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_dialects),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_renames)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
