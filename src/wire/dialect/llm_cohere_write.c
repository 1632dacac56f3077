/*
 * Cohere's chat API, version 2: a request as Cohere's own client would send
 * it.  Messages, parts and calls are OpenAI's in form; names of parameters
 * are not.  It must never write a member that Cohere refuses.
 */

#include "llm_cohere.h"
#include "llm_openai_chat.h"


/* Members of the same meaning under Cohere's name. */
static const struct {
    const char  *name;
    size_t       at;            /* llm_slice_t in llm_chat_t */
} llm_cohere_numbers[] = {
    { "temperature", offsetof(llm_chat_t, temperature) },
    { "p", offsetof(llm_chat_t, top_p) },
    { "k", offsetof(llm_chat_t, top_k) },
    { "seed", offsetof(llm_chat_t, seed) },
    { "frequency_penalty", offsetof(llm_chat_t, frequency) },
    { "presence_penalty", offsetof(llm_chat_t, presence) }
};

/* extras of other dialects that Cohere has under the same name */
static const char *const  llm_cohere_extras[] = {
    "documents", "citation_options", "safety_mode", NULL
};


/* Whether a part can be said in the content of a message of that role. */
static int
llm_cohere_can(const llm_part_t *p, llm_role_t role)
{
    if (p->inner != (role == LLM_ROLE_TOOL)) {
        return 0;
    }

    switch (p->type) {

    case LLM_PART_TEXT:
        return 1;

    case LLM_PART_REASONING:
        return role == LLM_ROLE_ASSISTANT && p->text.n != 0;

    case LLM_PART_IMAGE:
        return role == LLM_ROLE_USER
               && (p->url.p != NULL || p->data.p != NULL);

    default:
        return 0;
    }
}


static void
llm_cohere_write_part(llm_chat_writer_t *w, const llm_part_t *p)
{
    if (p->type != LLM_PART_REASONING) {
        llm_openai_put_part(w, p);
        return;
    }

    llm_out_lit(w->out, "{\"type\":\"thinking\",\"thinking\":");
    llm_chat_put(w, &p->text);
    llm_out_lit(w->out, "}");
}


/*
 * ,"content": a string when it is one text, else a list.  Nothing when there
 * is none and it need not be.
 */
static void
llm_cohere_write_content(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i, size_t end, llm_role_t role)
{
    size_t             at, n, last;
    unsigned           written;
    const llm_part_t  *p;

    p = llm_chat_parts(c);
    n = 0;
    last = end;

    for (at = i; at < end; at++) {

        if (llm_cohere_can(&p[at], role)) {
            last = at;
            n++;

        } else if (p[at].inner == (role == LLM_ROLE_TOOL)) {
            llm_chat_lost_part(w, &p[at]);
        }
    }

    if (n == 0 && role == LLM_ROLE_ASSISTANT) {
        return;
    }

    llm_out_lit(w->out, ",\"content\":");

    if (n == 0) {
        llm_out_lit(w->out, "\"\"");
        return;
    }

    if (n == 1 && p[last].type == LLM_PART_TEXT) {
        llm_chat_put(w, &p[last].text);
        return;
    }

    for (written = 0; i < end; i++) {
        if (llm_cohere_can(&p[i], role)) {
            llm_write_opening(w->out, written++, "[");
            llm_cohere_write_part(w, &p[i]);
        }
    }

    llm_out_lit(w->out, "]");
}


static void
llm_cohere_write_call(llm_chat_writer_t *w, const llm_chat_t *c, size_t i)
{
    const llm_part_t  *p;

    p = &llm_chat_parts(c)[i];

    llm_out_lit(w->out, "{\"id\":\"");
    llm_chat_call_id(w, c, i);
    llm_out_lit(w->out, "\",\"type\":\"function\",\"function\":{\"name\":");
    llm_chat_put(w, &p->name);
    llm_out_lit(w->out, ",\"arguments\":\"");
    llm_chat_args(w, &p->args, p->args_string);
    llm_out_lit(w->out, "\"}}");

    if (p->signature.n != 0) {
        llm_chat_lost(w, "messages[].tool_calls[].extra_content", 0);
    }
}


static void
llm_cohere_write_calls(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end)
{
    unsigned  n;

    for (n = 0; i < end; i++) {
        if (llm_chat_parts(c)[i].type == LLM_PART_TOOL_CALL) {
            llm_write_opening(w->out, n++, ",\"tool_calls\":[");
            llm_cohere_write_call(w, c, i);
        }
    }

    if (n != 0) {
        llm_out_lit(w->out, "]");
    }
}


/* Each result of a message is a message of its own.  How many were written,
 * n of them before. */
static unsigned
llm_cohere_write_results(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end, unsigned n)
{
    const llm_part_t  *p;

    for ( /* void */ ; i < end; i++) {
        p = &llm_chat_parts(c)[i];

        if (p->type != LLM_PART_TOOL_RESULT) {
            continue;
        }

        llm_write_opening(w->out, n++, "[");
        llm_out_lit(w->out, "{\"role\":\"tool\",\"tool_call_id\":\"");
        llm_chat_call_id(w, c, i);
        llm_out_lit(w->out, "\"");
        llm_cohere_write_content(w, c, i + 1, llm_chat_inner_end(c, i + 1),
                                 LLM_ROLE_TOOL);
        llm_out_lit(w->out, "}");

        if (p->error) {
            llm_chat_lost(w, "messages[].content[].is_error", 0);
        }
    }

    return n;
}


/* The part behind the results that a message begins with. */
static size_t
llm_cohere_rest(const llm_chat_t *c, size_t i, size_t end)
{
    const llm_part_t  *p;

    p = llm_chat_parts(c);

    while (i < end && (p[i].type == LLM_PART_TOOL_RESULT || p[i].inner)) {
        i++;
    }

    return i;
}


static void
llm_cohere_write_messages(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t             i, end;
    unsigned           n;
    llm_role_t         role;

    static const char *const  roles[] = {
        "{\"role\":\"system\"", "{\"role\":\"user\"",
        "{\"role\":\"assistant\"", "{\"role\":\"user\""
    };

    n = 0;

    for (i = 0; i < llm_chat_nparts(c); i = end) {
        end = llm_chat_message_end(c, i);
        n = llm_cohere_write_results(w, c, i, end, n);
        i = llm_cohere_rest(c, i, end);

        if (i == end) {
            continue;
        }

        role = llm_chat_parts(c)[i].role;

        llm_write_opening(w->out, n++, "[");
        llm_out(w->out, roles[role], strlen(roles[role]));
        llm_cohere_write_content(w, c, i, end, role);
        llm_cohere_write_calls(w, c, i, end);
        llm_out_lit(w->out, "}");
    }

    if (n == 0) {
        llm_out_lit(w->out, "[");
    }

    llm_out_lit(w->out, "]");
}


/* Whether a tool is to be offered: to have one called, only that one is. */
static int
llm_cohere_offers(const llm_chat_t *c, const llm_tool_t *tool)
{
    if (tool->type.p != NULL) {
        return 0;
    }

    return c->choose != LLM_CHOOSE_TOOL
           || (tool->name.n == c->choose_name.n
               && memcmp(tool->name.p, c->choose_name.p, tool->name.n) == 0);
}


static void
llm_cohere_write_tool(llm_chat_writer_t *w, const llm_tool_t *tool)
{
    llm_out_lit(w->out, "{\"type\":\"function\",\"function\":{\"name\":");
    llm_chat_put(w, &tool->name);

    if (tool->description.p != NULL) {
        llm_out_lit(w->out, ",\"description\":");
        llm_chat_put(w, &tool->description);
    }

    llm_out_lit(w->out, ",\"parameters\":");

    if (tool->schema.p != NULL) {
        llm_chat_splice(w, &tool->schema);

    } else {
        llm_out_lit(w->out, "{\"type\":\"object\",\"properties\":{}}");
    }

    llm_out_lit(w->out, "}}");
}


static void
llm_cohere_write_tools(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t             i;
    unsigned           n, strict;
    const llm_tool_t  *tool;

    n = 0;
    strict = 0;

    for (i = 0; i < llm_chat_ntools(c); i++) {
        tool = &llm_chat_tools(c)[i];

        if (tool->type.p != NULL) {
            llm_chat_lost(w, "tools[].type", 1);
        }

        if (!llm_cohere_offers(c, tool)) {
            continue;
        }

        if (n == 0 && !llm_chat_member(w, "tools")) {
            return;
        }

        strict |= tool->strict == 1;
        llm_write_opening(w->out, n++, "[");
        llm_cohere_write_tool(w, tool);
    }

    if (n == 0) {
        return;
    }

    llm_out_lit(w->out, "]");

    if (strict && llm_chat_member(w, "strict_tools")) {
        llm_out_lit(w->out, "true");
    }

    if (c->choose == LLM_CHOOSE_NONE) {
        if (llm_chat_member(w, "tool_choice")) {
            llm_out_lit(w->out, "\"NONE\"");
        }

    } else if (c->choose == LLM_CHOOSE_REQUIRED
               || c->choose == LLM_CHOOSE_TOOL)
    {
        if (llm_chat_member(w, "tool_choice")) {
            llm_out_lit(w->out, "\"REQUIRED\"");
        }
    }
}


static void
llm_cohere_write_format(llm_chat_writer_t *w, const llm_chat_t *c)
{
    if ((c->format != LLM_FORMAT_OBJECT && c->format != LLM_FORMAT_SCHEMA)
        || !llm_chat_member(w, "response_format"))
    {
        return;
    }

    llm_out_lit(w->out, "{\"type\":\"json_object\"");

    if (c->format == LLM_FORMAT_SCHEMA && c->schema.p != NULL) {
        llm_out_lit(w->out, ",\"json_schema\":");
        llm_chat_splice(w, &c->schema);
    }

    llm_out_lit(w->out, "}");
}


static void
llm_cohere_write_thinking(llm_chat_writer_t *w, const llm_chat_t *c)
{
    int64_t  budget;

    if ((c->effort == LLM_EFFORT_UNSAID && c->budget.p == NULL)
        || !llm_chat_member(w, "thinking"))
    {
        return;
    }

    /* -1 is Gemini's word for as much as it likes */

    budget = c->budget.p != NULL ? llm_json_uint(&c->budget) : -1;

    if (c->effort == LLM_EFFORT_NONE || budget == 0) {
        llm_out_lit(w->out, "{\"type\":\"disabled\"}");
        return;
    }

    if (c->budget.p == NULL && c->effort != LLM_EFFORT_AUTO) {
        budget = llm_effort_budget(c->effort);
    }

    llm_out_lit(w->out, "{\"type\":\"enabled\"");

    if (budget > 0) {
        llm_out_lit(w->out, ",\"token_budget\":");
        llm_write_int(w->out, budget);
    }

    llm_out_lit(w->out, "}");
}


/* What Cohere has no name for. */
static void
llm_cohere_lost_members(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t             i;
    const llm_part_t  *p;

    for (i = 0; i < llm_chat_nparts(c); i++) {
        p = &llm_chat_parts(c)[i];

        if (p->type == LLM_PART_REFUSAL) {
            llm_chat_lost(w, "messages[].refusal", 0);

        } else if (p->type == LLM_PART_REASONING && p->text.n == 0) {
            llm_chat_lost(w, "messages[].reasoning", 0);
        }
    }

    llm_chat_lost_members(w, c, LLM_LOST_SUFFIX | LLM_LOST_MIN_P
                          | LLM_LOST_TOP_LOGPROBS | LLM_LOST_USER
                          | LLM_LOST_METADATA | LLM_LOST_SESSION
                          | LLM_LOST_N | LLM_LOST_PARALLEL);
    llm_chat_lost_extras(w, c, llm_cohere_extras);
}


void
llm_cohere_write_chat(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t  i;

    llm_chat_put_model(w);

    if (llm_chat_member(w, "messages")) {
        llm_cohere_write_messages(w, c);
    }

    llm_chat_put_flag(w, "stream", w->stream != 0);
    llm_chat_put_limit(w, c, "max_tokens");

    for (i = 0;
         i < sizeof(llm_cohere_numbers) / sizeof(llm_cohere_numbers[0]);
         i++)
    {
        llm_chat_raw(w, llm_cohere_numbers[i].name,
                     llm_chat_slice(c, llm_cohere_numbers[i].at));
    }

    if (llm_chat_nstops(c) != 0 && llm_chat_member(w, "stop_sequences")) {
        llm_chat_put_stops(w, c);
    }

    llm_cohere_write_tools(w, c);
    llm_cohere_write_format(w, c);
    llm_cohere_write_thinking(w, c);

    if (c->logprobs == 1 && llm_chat_member(w, "logprobs")) {
        llm_out_lit(w->out, "true");
    }

    for (i = 0; llm_cohere_extras[i] != NULL; i++) {
        llm_chat_put_extra(w, c, llm_cohere_extras[i]);
    }

    llm_cohere_lost_members(w, c);
}
