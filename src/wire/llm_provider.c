/*
 * The table of providers: paths, credentials and quirks of those that speak
 * one of our dialects.  What a row means is said in llm_provider.h.
 */

#include "llm_provider.h"


#define LLM_PROVIDER_BEARER                                                 \
    .auth_header = llm_str("Authorization"),                                \
    .auth_prefix = llm_str("Bearer ")


/* members that a provider knows by their older name */
static const llm_rename_t  llm_provider_max_tokens[] = {
    { llm_str("max_completion_tokens"), llm_str("max_tokens") },
    { { NULL, 0, 0 }, { NULL, 0, 0 } }
};

static const llm_rename_t  llm_provider_mistral[] = {
    { llm_str("max_completion_tokens"), llm_str("max_tokens") },
    { llm_str("seed"), llm_str("random_seed") },
    { { NULL, 0, 0 }, { NULL, 0, 0 } }
};


static const llm_provider_t  llm_providers[] = {

    {
        .name = llm_str("openai"),
        .dialect = &llm_dialect_openai,
        .path = llm_str("/v1/chat/completions"),
        LLM_PROVIDER_BEARER
    },

    {
        .name = llm_str("openai-completions"),
        .dialect = &llm_dialect_completions,
        .path = llm_str("/v1/completions"),
        LLM_PROVIDER_BEARER
    },

    {
        .name = llm_str("openai-responses"),
        .dialect = &llm_dialect_responses,
        .path = llm_str("/v1/responses"),
        LLM_PROVIDER_BEARER
    },

    {
        .name = llm_str("anthropic"),
        .dialect = &llm_dialect_anthropic,
        .path = llm_str("/v1/messages"),
        .auth_header = llm_str("x-api-key"),
        .header = llm_str("anthropic-version"),
        .header_value = llm_str("2023-06-01")
    },

    {
        .name = llm_str("gemini"),
        .dialect = &llm_dialect_gemini,
        .path = llm_str("/v1beta/models/{model}:streamGenerateContent"
                        "?alt=sse"),
        .answer_path = llm_str("/v1beta/models/{model}:generateContent"),
        .array_path = llm_str("/v1beta/models/{model}"
                              ":streamGenerateContent"),
        .auth_header = llm_str("x-goog-api-key")
    },

    {
        .name = llm_str("ollama"),
        .dialect = &llm_dialect_ollama,
        .path = llm_str("/api/chat"),
        LLM_PROVIDER_BEARER
    },

    {
        .name = llm_str("ollama-generate"),
        .dialect = &llm_dialect_generate,
        .path = llm_str("/api/generate"),
        LLM_PROVIDER_BEARER
    },

    {
        .name = llm_str("flowise"),
        .dialect = &llm_dialect_flowise,
        .path = llm_str("/api/v1/prediction/{model}"),
        LLM_PROVIDER_BEARER
    },

    {
        .name = llm_str("cohere"),
        .dialect = &llm_dialect_cohere,
        .path = llm_str("/v2/chat"),
        LLM_PROVIDER_BEARER
    },

    /* those that speak openai, with other paths, headers or habits */

    {
        .name = llm_str("openrouter"),
        .dialect = &llm_dialect_openai,
        .path = llm_str("/api/v1/chat/completions"),
        LLM_PROVIDER_BEARER,
        .quirks = LLM_QUIRK_MAX_TOKENS|LLM_QUIRK_TOP_K|LLM_QUIRK_DETAILS,
        .renames = llm_provider_max_tokens
    },

    {
        .name = llm_str("azure"),
        .dialect = &llm_dialect_openai,
        .path = llm_str("/openai/v1/chat/completions"),
        .auth_header = llm_str("api-key")
    },

    {
        .name = llm_str("deepseek"),
        .dialect = &llm_dialect_openai,
        .path = llm_str("/chat/completions"),
        LLM_PROVIDER_BEARER,
        .quirks = LLM_QUIRK_MAX_TOKENS|LLM_QUIRK_REASONING,
        .renames = llm_provider_max_tokens
    },

    {
        .name = llm_str("mistral"),
        .dialect = &llm_dialect_openai,
        .path = llm_str("/v1/chat/completions"),
        LLM_PROVIDER_BEARER,
        .quirks = LLM_QUIRK_MAX_TOKENS|LLM_QUIRK_NO_OPTIONS
                  |LLM_QUIRK_RANDOM_SEED,
        .renames = llm_provider_mistral
    },

    {
        .name = llm_str("groq"),
        .dialect = &llm_dialect_openai,
        .path = llm_str("/openai/v1/chat/completions"),
        LLM_PROVIDER_BEARER
    },

    {
        .name = llm_str("xai"),
        .dialect = &llm_dialect_openai,
        .path = llm_str("/v1/chat/completions"),
        LLM_PROVIDER_BEARER
    },

    {
        .name = llm_str("qwen"),
        .dialect = &llm_dialect_openai,
        .path = llm_str("/compatible-mode/v1/chat/completions"),
        LLM_PROVIDER_BEARER,
        .quirks = LLM_QUIRK_MAX_TOKENS|LLM_QUIRK_REASONING,
        .renames = llm_provider_max_tokens
    },

    {
        .name = llm_str("evolution"),
        .dialect = &llm_dialect_openai,
        .path = llm_str("/v1/chat/completions"),
        LLM_PROVIDER_BEARER
    },

    {
        .name = llm_str("vllm"),
        .dialect = &llm_dialect_openai,
        .path = llm_str("/v1/chat/completions"),
        LLM_PROVIDER_BEARER,
        .quirks = LLM_QUIRK_TOP_K|LLM_QUIRK_REASONING
    },

    {
        .name = llm_str("llama-cpp"),
        .dialect = &llm_dialect_openai,
        .path = llm_str("/v1/chat/completions"),
        LLM_PROVIDER_BEARER,
        .quirks = LLM_QUIRK_MAX_TOKENS|LLM_QUIRK_TOP_K|LLM_QUIRK_REASONING,
        .renames = llm_provider_max_tokens
    }
};


const llm_provider_t *
llm_provider_at(size_t i)
{
    if (i >= sizeof(llm_providers) / sizeof(llm_providers[0])) {
        return NULL;
    }

    return &llm_providers[i];
}


const llm_provider_t *
llm_provider_find(const llm_u8 *name, size_t n)
{
    size_t                 i;
    const llm_provider_t  *p;

    for (i = 0; (p = llm_provider_at(i)) != NULL; i++) {
        if (p->name.n == n && memcmp(p->name.p, name, n) == 0) {
            return p;
        }
    }

    return NULL;
}
