/*
 * OpenAI Responses: a request as OpenAI's own client would send it.  It must
 * never write a member that the API refuses.
 */

#include "llm_responses.h"
#include "llm_openai_chat.h"


#define LLM_RESPONSES_FUNCTION  "{\"type\":\"function\",\"name\":"

/* extras of any dialect that mean here what they mean there */
static const char *const  llm_responses_extras[] = {
    "store", "service_tier", "prompt_cache_key", "prompt_cache_retention",
    "previous_response_id", "conversation", "prompt", "background",
    "truncation", "max_tool_calls", NULL
};

static const char *const  llm_responses_said[] = {
    "store", "service_tier", "prompt_cache_key", "prompt_cache_retention",
    "previous_response_id", "conversation", "prompt", "background",
    "truncation", "max_tool_calls", "include", "text.verbosity",
    "verbosity", "stream_options.include_obfuscation", NULL
};


static void
llm_responses_put_string(llm_chat_writer_t *w, const char *before,
    const llm_slice_t *s)
{
    llm_out(w->out, before, strlen(before));
    llm_chat_put(w, s);
}


static void
llm_responses_put_bool(llm_chat_writer_t *w, const char *before, int flag)
{
    llm_out(w->out, before, strlen(before));
    llm_chat_bool(w, flag);
}


/* The system's texts that the request begins with; returns where they end. */
static size_t
llm_responses_write_instructions(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t             end, n;
    const llm_part_t  *part;

    part = llm_chat_parts(c);
    n = llm_chat_nparts(c);

    for (end = 0; end < n; end++) {
        if (part[end].role != LLM_ROLE_SYSTEM
            || part[end].type != LLM_PART_TEXT)
        {
            break;
        }
    }

    /* without anything behind it, it is the input */

    if (end == 0 || end == n) {
        return 0;
    }

    if (llm_chat_member(w, "instructions")) {
        llm_out_lit(w->out, "\"");
        llm_chat_texts(w, c, 0, end);
        llm_out_lit(w->out, "\"");
    }

    return end;
}


/* Strict is what a tool is here that does not say otherwise. */
static void
llm_responses_write_tool(llm_chat_writer_t *w, const llm_tool_t *tool)
{
    llm_responses_put_string(w, LLM_RESPONSES_FUNCTION, &tool->name);

    if (tool->description.p != NULL) {
        llm_responses_put_string(w, ",\"description\":", &tool->description);
    }

    llm_out_lit(w->out, ",\"parameters\":");

    if (tool->schema.p != NULL) {
        llm_chat_splice(w, &tool->schema);

    } else {
        llm_out_lit(w->out, "{\"type\":\"object\",\"properties\":{}}");
    }

    llm_responses_put_bool(w, ",\"strict\":", tool->strict == 1);
    llm_out_lit(w->out, "}");
}


static void
llm_responses_write_format(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_slice_t  name;

    switch (c->format) {

    case LLM_FORMAT_SCHEMA:
        name = c->schema_name.n != 0 ? c->schema_name
                                     : llm_slice("response");

        llm_responses_put_string(w, "\"format\":{\"type\":\"json_schema\","
                                 "\"name\":", &name);

        if (c->schema_strict != -1) {
            llm_responses_put_bool(w, ",\"strict\":", c->schema_strict);
        }

        llm_out_lit(w->out, ",\"schema\":");
        llm_chat_splice(w, &c->schema);
        llm_out_lit(w->out, "}");
        break;

    case LLM_FORMAT_OBJECT:
        llm_out_lit(w->out, "\"format\":{\"type\":\"json_object\"}");
        break;

    default:
        llm_out_lit(w->out, "\"format\":{\"type\":\"text\"}");
        break;
    }
}


static void
llm_responses_write_text_options(llm_chat_writer_t *w, const llm_chat_t *c)
{
    const llm_extra_t  *verbosity;

    verbosity = llm_chat_find_extra(c, "text.verbosity");

    if (verbosity == NULL) {
        verbosity = llm_chat_find_extra(c, "verbosity");
    }

    if ((c->format == LLM_FORMAT_UNSAID && verbosity == NULL)
        || !llm_chat_member(w, "text"))
    {
        return;
    }

    llm_out_lit(w->out, "{");

    if (c->format != LLM_FORMAT_UNSAID) {
        llm_responses_write_format(w, c);
    }

    if (verbosity != NULL) {
        llm_write_opening(w->out, c->format != LLM_FORMAT_UNSAID, "");
        llm_out_lit(w->out, "\"verbosity\":");
        llm_chat_splice(w, &verbosity->raw);
    }

    llm_out_lit(w->out, "}");
}


static void
llm_responses_write_reasoning(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_slice_t   word;
    llm_effort_t  effort;

    effort = llm_chat_effort(c);

    if (c->budget.p != NULL) {
        llm_chat_lost(w, "reasoning budget", 0);
    }

    word = llm_effort_word(effort);

    if ((word.p == NULL && c->thoughts != 1)
        || !llm_chat_member(w, "reasoning"))
    {
        return;
    }

    llm_out_lit(w->out, "{");

    if (word.p != NULL) {
        llm_responses_put_string(w, "\"effort\":", &word);
    }

    if (c->thoughts == 1) {
        llm_write_opening(w->out, word.p != NULL, "");
        llm_out_lit(w->out, "\"summary\":\"auto\"");
    }

    llm_out_lit(w->out, "}");
}


static void
llm_responses_write_sampling(llm_chat_writer_t *w, const llm_chat_t *c)
{
    const llm_extra_t  *include;

    llm_chat_put_limit(w, c, "max_output_tokens");
    llm_chat_raw(w, "temperature", &c->temperature);
    llm_chat_raw(w, "top_p", &c->top_p);
    llm_chat_raw(w, "top_logprobs", &c->top_logprobs);

    include = llm_chat_find_extra(c, "include");

    if (include != NULL) {
        llm_chat_raw(w, "include", &include->raw);

    } else if (c->logprobs == 1 && llm_chat_member(w, "include")) {
        llm_out_lit(w->out, "[\"message.output_text.logprobs\"]");
    }
}


static void
llm_responses_write_stream(llm_chat_writer_t *w, const llm_chat_t *c)
{
    const llm_extra_t  *e;

    if (!w->stream) {
        return;
    }

    if (llm_chat_member(w, "stream")) {
        llm_out_lit(w->out, "true");
    }

    e = llm_chat_find_extra(c, "stream_options.include_obfuscation");

    if (e != NULL && llm_chat_member(w, "stream_options")) {
        llm_out_lit(w->out, "{\"include_obfuscation\":");
        llm_chat_splice(w, &e->raw);
        llm_out_lit(w->out, "}");
    }
}


void
llm_responses_write_chat(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t  i, from;

    llm_chat_put_model(w);

    from = llm_responses_write_instructions(w, c);

    if (llm_chat_member(w, "input")) {
        llm_responses_write_input(w, c, from);
    }

    llm_responses_write_stream(w, c);
    llm_responses_write_sampling(w, c);
    llm_responses_write_reasoning(w, c);

    if (llm_openai_write_tool_list(w, c, llm_responses_write_tool)) {
        llm_openai_write_tool_choice(w, c, LLM_RESPONSES_FUNCTION, "}");
        llm_chat_put_flag(w, "parallel_tool_calls", c->parallel_tools);
    }

    llm_responses_write_text_options(w, c);
    llm_chat_string(w, "user", &c->user);
    llm_chat_raw(w, "metadata", &c->metadata);

    for (i = 0; llm_responses_extras[i] != NULL; i++) {
        llm_chat_put_extra(w, c, llm_responses_extras[i]);
    }

    llm_chat_lost_members(w, c, LLM_LOST_TOP_K | LLM_LOST_MIN_P
                          | LLM_LOST_SEED | LLM_LOST_PENALTIES
                          | LLM_LOST_SESSION | LLM_LOST_N | LLM_LOST_STOPS
                          | LLM_LOST_SUFFIX);
    llm_chat_lost_extras(w, c, llm_responses_said);
}
