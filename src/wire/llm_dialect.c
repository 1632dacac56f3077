/*
 * The dialect table: the list of rows and how one is found.  What a row
 * means is the business of its file in dialect/.
 */

#include "llm_dialect.h"


static const llm_dialect_t *const  llm_dialects[] = {
    &llm_dialect_openai,
    &llm_dialect_completions,
    &llm_dialect_responses,
    &llm_dialect_anthropic,
    &llm_dialect_gemini,
    &llm_dialect_ollama,
    &llm_dialect_generate,
    &llm_dialect_flowise,
    &llm_dialect_cohere,
    &llm_dialect_simple,
    &llm_dialect_typed,
    &llm_dialect_text
};


const llm_dialect_t *
llm_dialect_at(size_t i)
{
    if (i >= sizeof(llm_dialects) / sizeof(llm_dialects[0])) {
        return NULL;
    }

    return llm_dialects[i];
}


const llm_dialect_t *
llm_dialect_find(const llm_u8 *name, size_t n)
{
    size_t                i;
    const llm_dialect_t  *d;

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {
        if (d->name.n == n && memcmp(d->name.p, name, n) == 0) {
            return d;
        }
    }

    return NULL;
}
