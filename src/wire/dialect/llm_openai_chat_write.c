/*
 * OpenAI chat completions: a request as OpenAI's own client would send it,
 * or, with a quirk, as that of a provider with the same dialect would.
 */

#include "llm_openai.h"
#include "llm_openai_chat.h"


#define LLM_OPENAI_EXTRAS                                                   \
    "logit_bias", "service_tier", "store", "prompt_cache_key",              \
    "prompt_cache_retention", "verbosity", "modalities", "audio",           \
    "prediction", "web_search_options", "moderation"

#define LLM_OPENAI_FUNCTION                                                 \
    "{\"type\":\"function\",\"function\":{\"name\":"

/* extras of any dialect that mean here what they mean there */
static const char *const  llm_openai_extras[] = {
    LLM_OPENAI_EXTRAS, NULL
};

static const char *const  llm_openai_said[] = {
    LLM_OPENAI_EXTRAS, "text.verbosity", NULL
};


/* ,"strict": of a tool or a schema, -1: not said. */
static void
llm_openai_put_strict(llm_chat_writer_t *w, int strict)
{
    if (strict != -1) {
        llm_out_lit(w->out, ",\"strict\":");
        llm_chat_bool(w, strict);
    }
}


static void
llm_openai_put_tool(llm_chat_writer_t *w, const llm_tool_t *tool)
{
    llm_out_lit(w->out, LLM_OPENAI_FUNCTION);
    llm_chat_put(w, &tool->name);

    if (tool->description.p != NULL) {
        llm_out_lit(w->out, ",\"description\":");
        llm_chat_put(w, &tool->description);
    }

    if (tool->schema.p != NULL) {
        llm_out_lit(w->out, ",\"parameters\":");
        llm_chat_splice(w, &tool->schema);
    }

    llm_openai_put_strict(w, tool->strict);
    llm_out_lit(w->out, "}}");
}


int
llm_openai_write_tool_list(llm_chat_writer_t *w, const llm_chat_t *c,
    void (*put)(llm_chat_writer_t *w, const llm_tool_t *tool))
{
    size_t             i, n, left;
    const llm_tool_t  *tools;

    tools = llm_chat_tools(c);
    n = llm_chat_ntools(c);
    left = 0;

    for (i = 0; i < n; i++) {
        if (tools[i].type.p == NULL) {
            left++;

        } else {
            llm_chat_lost(w, "tools[].type", 1);
        }
    }

    if (left == 0) {
        return 0;
    }

    if (!llm_chat_member(w, "tools")) {
        return 1;
    }

    llm_out_lit(w->out, "[");

    for (i = 0; i < n; i++) {

        if (tools[i].type.p != NULL) {
            continue;
        }

        put(w, &tools[i]);

        if (--left != 0) {
            llm_out_lit(w->out, ",");
        }
    }

    llm_out_lit(w->out, "]");

    return 1;
}


int
llm_openai_write_tools(llm_chat_writer_t *w, const llm_chat_t *c)
{
    return llm_openai_write_tool_list(w, c, llm_openai_put_tool);
}


void
llm_openai_write_tool_choice(llm_chat_writer_t *w, const llm_chat_t *c,
    const char *opening, const char *closing)
{
    if (c->choose == LLM_CHOOSE_UNSAID
        || !llm_chat_member(w, "tool_choice"))
    {
        return;
    }

    switch (c->choose) {

    case LLM_CHOOSE_AUTO:
        llm_out_lit(w->out, "\"auto\"");
        break;

    case LLM_CHOOSE_NONE:
        llm_out_lit(w->out, "\"none\"");
        break;

    case LLM_CHOOSE_REQUIRED:
        llm_out_lit(w->out, "\"required\"");
        break;

    default:
        llm_out(w->out, opening, strlen(opening));
        llm_chat_put(w, &c->choose_name);
        llm_out(w->out, closing, strlen(closing));
        break;
    }
}


static void
llm_openai_write_schema(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_slice_t  name;

    name = c->schema_name.n != 0 ? c->schema_name : llm_slice("response");

    llm_out_lit(w->out, "{\"type\":\"json_schema\",\"json_schema\":"
                        "{\"name\":");
    llm_chat_put(w, &name);
    llm_out_lit(w->out, ",\"schema\":");
    llm_chat_splice(w, &c->schema);

    llm_openai_put_strict(w, c->schema_strict);
    llm_out_lit(w->out, "}}");
}


void
llm_openai_write_format(llm_chat_writer_t *w, const llm_chat_t *c)
{
    if (c->format == LLM_FORMAT_UNSAID
        || !llm_chat_member(w, "response_format"))
    {
        return;
    }

    switch (c->format) {

    case LLM_FORMAT_SCHEMA:
        llm_openai_write_schema(w, c);
        break;

    case LLM_FORMAT_OBJECT:
        llm_out_lit(w->out, "{\"type\":\"json_object\"}");
        break;

    default:
        llm_out_lit(w->out, "{\"type\":\"text\"}");
        break;
    }
}


/* OpenRouter's "reasoning". */
static void
llm_openai_write_thinking(llm_chat_writer_t *w, const llm_chat_t *c)
{
    const char   *comma;
    llm_slice_t   word;

    if ((c->effort == LLM_EFFORT_UNSAID && c->budget.p == NULL
         && c->thoughts == -1)
        || !llm_chat_member(w, "reasoning"))
    {
        return;
    }

    comma = "";
    word = llm_effort_word(c->effort);

    if (c->budget.p != NULL && llm_json_uint(&c->budget) == 0) {
        word = llm_slice("none");
    }

    llm_out_lit(w->out, "{");

    if (c->budget.p != NULL && llm_json_uint(&c->budget) > 0) {
        llm_out_lit(w->out, "\"max_tokens\":");
        llm_chat_splice(w, &c->budget);
        comma = ",";

    } else if (word.p != NULL) {
        llm_out_lit(w->out, "\"effort\":");
        llm_chat_put(w, &word);
        comma = ",";

    } else if (c->effort == LLM_EFFORT_AUTO || c->budget.p != NULL) {
        llm_out_lit(w->out, "\"enabled\":true");
        comma = ",";
    }

    if (c->thoughts != -1) {
        llm_out(w->out, comma, strlen(comma));
        llm_out_lit(w->out, "\"exclude\":");

        llm_chat_bool(w, !c->thoughts);
    }

    llm_out_lit(w->out, "}");
}


static void
llm_openai_write_reasoning(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_slice_t   word;
    llm_effort_t  effort;

    if (w->quirks & LLM_QUIRK_DETAILS) {
        llm_openai_write_thinking(w, c);
        return;
    }

    effort = llm_chat_effort(c);

    word = llm_effort_word(effort);
    llm_chat_string(w, "reasoning_effort", &word);

    if (c->budget.p != NULL) {
        llm_chat_lost(w, "reasoning budget", 0);
    }

    if (c->thoughts == 0) {
        llm_chat_lost(w, "reasoning visibility", 0);
    }
}


void
llm_openai_write_sampling(llm_chat_writer_t *w, const llm_chat_t *c)
{
    if (w->quirks & LLM_QUIRK_MAX_TOKENS) {
        llm_chat_put_limit(w, c, "max_tokens");

    } else if (c->max_tokens.p != NULL || !llm_chat_sets(w, "max_tokens")) {
        llm_chat_put_limit(w, c, "max_completion_tokens");
    }

    llm_chat_raw(w, "temperature", &c->temperature);
    llm_chat_raw(w, "top_p", &c->top_p);

    if (w->quirks & LLM_QUIRK_TOP_K) {
        llm_chat_raw(w, "top_k", &c->top_k);
        llm_chat_raw(w, "min_p", &c->min_p);

    } else {
        llm_chat_lost_members(w, c, LLM_LOST_TOP_K | LLM_LOST_MIN_P);
    }

    llm_chat_raw(w, w->quirks & LLM_QUIRK_RANDOM_SEED
                    ? "random_seed" : "seed", &c->seed);
    llm_chat_raw(w, "presence_penalty", &c->presence);
    llm_chat_raw(w, "frequency_penalty", &c->frequency);
    llm_chat_raw(w, "n", &c->n);

    if (llm_chat_nstops(c) != 0 && llm_chat_member(w, "stop")) {
        llm_chat_put_stops(w, c);
    }
}


void
llm_openai_write_stream(llm_chat_writer_t *w)
{
    if (w->stream && llm_chat_member(w, "stream")) {
        llm_out_lit(w->out, "true");
    }

    if (w->stream && w->usage && !(w->quirks & LLM_QUIRK_NO_OPTIONS)
        && llm_chat_member(w, "stream_options"))
    {
        llm_out_lit(w->out, "{\"include_usage\":true}");
    }
}


/* What other dialects have at the top level under the same name. */
static void
llm_openai_write_extras(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t              i;
    const llm_extra_t  *e;

    if (w->quirks & LLM_QUIRK_NO_OPTIONS) {
        llm_chat_lost_extras(w, c, NULL);
        return;
    }

    for (i = 0; llm_openai_extras[i] != NULL; i++) {
        e = llm_chat_find_extra(c, llm_openai_extras[i]);

        if (e == NULL && strcmp(llm_openai_extras[i], "verbosity") == 0) {
            e = llm_chat_find_extra(c, "text.verbosity");
        }

        if (e != NULL) {
            llm_chat_raw(w, llm_openai_extras[i], &e->raw);
        }
    }

    llm_chat_lost_extras(w, c, llm_openai_said);
}


static void
llm_openai_write_logprobs(llm_chat_writer_t *w, const llm_chat_t *c)
{
    if (w->quirks & LLM_QUIRK_NO_OPTIONS) {
        llm_chat_lost_members(w, c, LLM_LOST_LOGPROBS
                                    | LLM_LOST_TOP_LOGPROBS);
        return;
    }

    llm_chat_put_flag(w, "logprobs", c->logprobs);
    llm_chat_raw(w, "top_logprobs", &c->top_logprobs);
}


void
llm_openai_write_chat(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_chat_put_model(w);

    llm_openai_write_messages(w, c);

    llm_openai_write_stream(w);
    llm_openai_write_sampling(w, c);
    llm_openai_write_logprobs(w, c);
    llm_openai_write_reasoning(w, c);

    if (llm_openai_write_tools(w, c)) {
        llm_openai_write_tool_choice(w, c, LLM_OPENAI_FUNCTION, "}}");
        llm_chat_put_flag(w, "parallel_tool_calls", c->parallel_tools);
    }

    llm_openai_write_format(w, c);

    if (w->quirks & LLM_QUIRK_NO_OPTIONS) {
        llm_chat_lost_members(w, c, LLM_LOST_USER);

    } else {
        llm_chat_string(w, "user", &c->user);
    }

    llm_chat_raw(w, "metadata", &c->metadata);
    llm_openai_write_extras(w, c);

    llm_chat_lost_members(w, c, LLM_LOST_SUFFIX | LLM_LOST_SESSION);
}
