/*
 * Token counts of OpenAI and its look-alikes, in our sense: input includes
 * what was cached, output includes reasoning.
 */

#include "llm_openai.h"


static int64_t
llm_openai_count(const llm_slice_t *v, llm_json_type_t type)
{
    return type == LLM_JSON_NUMBER ? llm_json_uint(v) : -1;
}


int
llm_openai_usage(llm_usage_t *u, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    *u = llm_usage_none;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (llm_json_is(&key, "prompt_tokens")) {
            u->input = llm_openai_count(&v, type);

        } else if (llm_json_is(&key, "completion_tokens")) {
            u->output = llm_openai_count(&v, type);

        } else if (llm_json_is(&key, "total_tokens")) {
            u->total = llm_openai_count(&v, type);

        } else if (llm_json_is(&key, "prompt_cache_hit_tokens")) {
            u->cached = llm_openai_count(&v, type);

        } else if (type != LLM_JSON_OBJECT) {
            continue;

        } else if (llm_json_is(&key, "prompt_tokens_details")) {
            u->cached = llm_json_count(&v, "cached_tokens");
            u->cache_write = llm_json_count(&v, "cache_write_tokens");

        } else if (llm_json_is(&key, "completion_tokens_details")) {
            u->reasoning = llm_json_count(&v, "reasoning_tokens");
        }
    }

    /* xAI counts reasoning beside the output: the total tells */

    if (u->input >= 0 && u->output >= 0 && u->reasoning > 0
        && u->total >= u->input && u->total - u->input >= u->output
        && u->total - u->input - u->output == u->reasoning)
    {
        u->output += u->reasoning;
    }

    return u->input >= 0 || u->output >= 0 || u->total >= 0;
}
