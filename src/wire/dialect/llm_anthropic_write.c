/*
 * Anthropic messages: a request as a body, as Anthropic's own SDK would send
 * it for the same call.  It must never change a limit that was said.
 *
 * max_tokens has to be there: 4096 when it was not said, above the budget of
 * what is thought.  Thinking is left out where Anthropic refuses it: with a
 * tool that must be called, below the least budget, and when the last turn
 * called tools without a signed thought before (the client's dialect had no
 * place for it).
 */

#include "llm_anthropic.h"


#define LLM_ANTHROPIC_MAX_TOKENS  4096


/* Whether the last turn of the assistant called a tool without a thought
 * that Anthropic could check. */
static int
llm_anthropic_unvouchedcall(const llm_chat_t *c)
{
    size_t             i;
    unsigned           called, vouched;
    const llm_part_t  *part;

    called = 0;
    vouched = 0;

    for (i = llm_chat_nparts(c); i != 0; i--) {
        part = &llm_chat_parts(c)[i - 1];

        if (part->role == LLM_ROLE_USER) {
            break;
        }

        called |= part->type == LLM_PART_TOOL_CALL;
        vouched |= part->type == LLM_PART_REASONING
                   && (part->signature.n != 0 || part->data.n != 0);
    }

    return called && !vouched;
}


/* How a request thinks. */
typedef struct {
    const char   *type;         /* NULL: not said */
    int64_t       budget;       /* of "enabled" */
    unsigned      on;
} llm_anthropic_thinking_t;


static void
llm_anthropic_enabled(llm_anthropic_thinking_t *t,
    const llm_chat_writer_t *w, const llm_chat_t *c, int64_t budget)
{
    int64_t  max;

    max = c->max_tokens.p != NULL ? llm_json_integer(&c->max_tokens, 0) : -1;

    if (w->cap != 0 && (max < 0 || max > w->cap)) {
        max = w->cap;
    }

    if (budget < LLM_ANTHROPIC_MIN_BUDGET) {
        budget = LLM_ANTHROPIC_MIN_BUDGET;
    }

    if (max >= 0 && budget >= max) {
        budget = max - 1;
    }

    if (budget >= LLM_ANTHROPIC_MIN_BUDGET) {
        t->type = "enabled";
        t->budget = budget;
        t->on = 1;
    }
}


static void
llm_anthropic_think(llm_anthropic_thinking_t *t, llm_chat_writer_t *w,
    const llm_chat_t *c)
{
    int64_t       budget;
    llm_effort_t  effort;

    memset(t, 0, sizeof(llm_anthropic_thinking_t));

    effort = c->effort;
    budget = llm_effort_budget(effort);

    if (c->budget.p != NULL) {
        effort = llm_effort_of_budget(&c->budget);
        budget = llm_json_uint(&c->budget);
    }

    if (effort == LLM_EFFORT_UNSAID) {
        return;
    }

    if (effort == LLM_EFFORT_NONE) {
        t->type = "disabled";
        return;
    }

    if (!llm_anthropic_unvouchedcall(c)
        && (llm_chat_ntools(c) == 0
            || (c->choose != LLM_CHOOSE_REQUIRED
                && c->choose != LLM_CHOOSE_TOOL)))
    {
        if (effort == LLM_EFFORT_AUTO) {
            t->type = "adaptive";
            t->on = 1;

        } else {
            llm_anthropic_enabled(t, w, c, budget);
        }
    }

    if (t->type == NULL) {
        llm_chat_lost(w, "reasoning_effort", 0);
    }
}


static void
llm_anthropic_write_max_tokens(llm_chat_writer_t *w, const llm_chat_t *c,
    int64_t budget)
{
    unsigned  said;

    /* Ollama's "no limit" is -1 */

    said = c->max_tokens.n != 0 && c->max_tokens.p[0] != '-';

    if (!said && budget == 0) {
        if (llm_chat_unsaid(w, "max_tokens")) {
            llm_write_int(w->out, w->cap != 0 ? w->cap
                                              : LLM_ANTHROPIC_MAX_TOKENS);
        }

        return;
    }

    if (!llm_chat_member(w, "max_tokens")) {
        return;
    }

    if (said) {
        llm_chat_splice(w, &c->max_tokens);

    } else {
        llm_write_int(w->out, w->cap != 0 ? w->cap
                              : budget + LLM_ANTHROPIC_MAX_TOKENS);
    }
}


static void
llm_anthropic_write_tools(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t             i;
    unsigned           n;
    const llm_tool_t  *tool;

    n = 0;

    for (i = 0; i < llm_chat_ntools(c); i++) {
        tool = &llm_chat_tools(c)[i];

        if (tool->type.p != NULL) {
            llm_chat_lost(w, "tools", 1);
            continue;
        }

        if (n++ != 0) {
            llm_out_lit(w->out, ",");

        } else if (llm_chat_member(w, "tools")) {
            llm_out_lit(w->out, "[");

        } else {
            return;
        }

        llm_out_lit(w->out, "{\"name\":");
        llm_chat_put(w, &tool->name);

        if (tool->description.n != 0) {
            llm_out_lit(w->out, ",\"description\":");
            llm_chat_put(w, &tool->description);
        }

        llm_out_lit(w->out, ",\"input_schema\":");

        if (tool->schema.n != 0) {
            llm_chat_splice(w, &tool->schema);

        } else {
            llm_out_lit(w->out, "{\"type\":\"object\",\"properties\":{}}");
        }

        if (tool->strict == 1) {
            llm_out_lit(w->out, ",\"strict\":true");
        }

        llm_out_lit(w->out, "}");
    }

    if (n != 0) {
        llm_out_lit(w->out, "]");
    }
}


static void
llm_anthropic_write_choice(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_choose_t  choose;

    choose = c->choose;

    if (choose == LLM_CHOOSE_UNSAID && c->parallel_tools == 0) {
        choose = LLM_CHOOSE_AUTO;
    }

    /* Anthropic takes a choice only among tools */

    if (choose == LLM_CHOOSE_UNSAID || llm_chat_ntools(c) == 0
        || !llm_chat_member(w, "tool_choice"))
    {
        return;
    }

    switch (choose) {

    case LLM_CHOOSE_NONE:
        llm_out_lit(w->out, "{\"type\":\"none\"}");
        return;

    case LLM_CHOOSE_REQUIRED:
        llm_out_lit(w->out, "{\"type\":\"any\"");
        break;

    case LLM_CHOOSE_TOOL:
        llm_out_lit(w->out, "{\"type\":\"tool\",\"name\":");
        llm_chat_put(w, &c->choose_name);
        break;

    default:
        llm_out_lit(w->out, "{\"type\":\"auto\"");
        break;
    }

    if (c->parallel_tools == 0) {
        llm_out_lit(w->out, ",\"disable_parallel_tool_use\":true");
    }

    llm_out_lit(w->out, "}");
}


static void
llm_anthropic_write_thinking(llm_chat_writer_t *w,
    const llm_anthropic_thinking_t *t)
{
    if (t->type == NULL || !llm_chat_member(w, "thinking")) {
        return;
    }

    llm_out_lit(w->out, "{\"type\":\"");
    llm_out(w->out, t->type, strlen(t->type));
    llm_out_lit(w->out, "\"");

    if (t->budget != 0) {
        llm_out_lit(w->out, ",\"budget_tokens\":");
        llm_write_int(w->out, t->budget);
    }

    llm_out_lit(w->out, "}");
}


static void
llm_anthropic_write_format(llm_chat_writer_t *w, const llm_chat_t *c)
{
    if (c->format == LLM_FORMAT_OBJECT) {
        llm_chat_lost(w, "response_format", 1);
        return;
    }

    if (c->format == LLM_FORMAT_SCHEMA && llm_chat_member(w, "output_config"))
    {
        llm_out_lit(w->out, "{\"format\":{\"type\":\"json_schema\","
                    "\"schema\":");
        llm_chat_splice(w, &c->schema);
        llm_out_lit(w->out, "}}");
    }
}


/* Anthropic takes no stop string of white space alone. */
static void
llm_anthropic_write_stops(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t              i;
    unsigned            n;
    const llm_slice_t  *stop;

    n = 0;

    for (i = 0; i < llm_chat_nstops(c); i++) {
        stop = &llm_chat_stops(c)[i];

        if (llm_anthropic_blank(stop)) {
            llm_chat_lost_stop(w, stop);
            continue;
        }

        if (n++ != 0) {
            llm_out_lit(w->out, ",");

        } else if (llm_chat_member(w, "stop_sequences")) {
            llm_out_lit(w->out, "[");

        } else {
            return;
        }

        llm_chat_put(w, stop);
    }

    if (n != 0) {
        llm_out_lit(w->out, "]");
    }
}


/* With thinking Anthropic takes no other sampling than its own. */
static void
llm_anthropic_write_sampling(llm_chat_writer_t *w, const llm_chat_t *c,
    unsigned thinking)
{
    llm_slice_t  one;

    if (thinking) {
        if (c->temperature.p != NULL && !llm_json_is(&c->temperature, "1")
            && !llm_json_is(&c->temperature, "1.0"))
        {
            llm_chat_lost(w, "temperature", 0);
        }

        if (c->top_p.p != NULL) {
            llm_chat_lost(w, "top_p", 0);
        }

        if (c->top_k.p != NULL) {
            llm_chat_lost(w, "top_k", 0);
        }

        return;
    }

    one = llm_slice("1");

    if (c->temperature.p != NULL && llm_json_integer(&c->temperature, 1) > 1)
    {
        llm_chat_lost(w, "temperature", 0);
        llm_chat_raw(w, "temperature", &one);

    } else {
        llm_chat_raw(w, "temperature", &c->temperature);
    }

    /* newer models refuse the two together */

    if (c->temperature.p != NULL && c->top_p.p != NULL) {
        llm_chat_lost(w, "top_p", 0);

    } else {
        llm_chat_raw(w, "top_p", &c->top_p);
    }

    llm_chat_raw(w, "top_k", &c->top_k);
}


void
llm_anthropic_write_chat(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_anthropic_thinking_t  thinking;

    llm_anthropic_think(&thinking, w, c);

    llm_chat_put_model(w);

    llm_anthropic_write_max_tokens(w, c, thinking.budget);
    llm_anthropic_write_messages(w, c);
    llm_anthropic_write_tools(w, c);
    llm_anthropic_write_choice(w, c);
    llm_anthropic_write_thinking(w, &thinking);
    llm_anthropic_write_format(w, c);
    llm_anthropic_write_sampling(w, c, thinking.on);
    llm_anthropic_write_stops(w, c);

    if (c->user.p != NULL && llm_chat_member(w, "metadata")) {
        llm_out_lit(w->out, "{\"user_id\":");
        llm_chat_put(w, &c->user);
        llm_out_lit(w->out, "}");
    }

    llm_chat_put_flag(w, "stream", w->stream ? 1 : -1);

    llm_chat_lost_members(w, c, LLM_LOST_SEED | LLM_LOST_MIN_P
                          | LLM_LOST_PENALTIES | LLM_LOST_TOP_LOGPROBS
                          | LLM_LOST_METADATA | LLM_LOST_SESSION
                          | LLM_LOST_SUFFIX | LLM_LOST_N
                          | LLM_LOST_LOGPROBS);
    llm_chat_lost_extras(w, c, NULL);
}
