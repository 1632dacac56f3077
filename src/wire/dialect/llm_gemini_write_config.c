/*
 * Gemini: the members of a request beside its contents, and what cannot be
 * said in it.
 */

#include "llm_gemini_chat.h"


/* An object that is left out when nothing is in it: its members so far. */
typedef struct {
    llm_chat_writer_t  *w;
    const char         *name;
    unsigned            n;
    unsigned            given;      /* by llm_stream_param */
} llm_gemini_object_t;


/* Begins a member of the object; 0: it must not be written. */
static int
llm_gemini_key(llm_gemini_object_t *o, const char *name)
{
    llm_chat_writer_t  *w;

    w = o->w;

    if (o->given) {
        return 0;
    }

    if (o->n == 0) {
        if (!llm_chat_member(w, o->name)) {
            o->given = 1;
            return 0;
        }

        llm_out_lit(w->out, "{\"");

    } else {
        llm_out_lit(w->out, ",\"");
    }

    o->n++;
    llm_out(w->out, name, strlen(name));
    llm_out_lit(w->out, "\":");

    return 1;
}


static void
llm_gemini_close(llm_gemini_object_t *o)
{
    if (o->n != 0) {
        llm_out_lit(o->w->out, "}");
    }
}


static void
llm_gemini_raw(llm_gemini_object_t *o, const char *name,
    const llm_slice_t *raw)
{
    if (raw->p != NULL && llm_gemini_key(o, name)) {
        llm_chat_splice(o->w, raw);
    }
}


/* The extras whose name with a dot begins with `prefix`. */
static void
llm_gemini_put_extras(llm_gemini_object_t *o, const llm_chat_t *c,
    const char *prefix)
{
    size_t        i, k, n;
    const char   *name;
    llm_extra_t  *extra;

    n = strlen(prefix);

    for (i = 0; i < llm_chat_nextras(c); i++) {
        extra = &llm_chat_extras(c)[i];

        for (k = 0; llm_gemini_extras[k] != NULL; k++) {
            name = llm_gemini_extras[k];

            if (strncmp(name, prefix, n) == 0
                && llm_json_eq(&extra->name, name, strlen(name)))
            {
                llm_gemini_raw(o, name + n, &extra->raw);
            }
        }
    }
}


/* Whether the model thinks in levels (Gemini 3 and later), not in tokens. */
static int
llm_gemini_has_levels(const llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t              i;
    const llm_slice_t  *model;

    model = w->model.p != NULL ? &w->model : &c->model;

    for (i = 0; i + 8 <= model->n; i++) {
        if (memcmp(model->p + i, "gemini-", 7) == 0) {
            return model->p[i + 7] >= '3' && model->p[i + 7] <= '9';
        }
    }

    return 0;
}


static llm_slice_t
llm_gemini_level(llm_effort_t effort)
{
    switch (effort) {

    case LLM_EFFORT_MINIMAL:
        return llm_slice("minimal");

    case LLM_EFFORT_LOW:
        return llm_slice("low");

    case LLM_EFFORT_MEDIUM:
        return llm_slice("medium");

    case LLM_EFFORT_HIGH: case LLM_EFFORT_XHIGH: case LLM_EFFORT_MAX:
        return llm_slice("high");

    default:
        return llm_slice_null;
    }
}


static void
llm_gemini_thinking(llm_gemini_object_t *o, const llm_chat_t *c)
{
    unsigned            n;
    llm_out_t          *out;
    llm_slice_t         level;

    n = 0;
    out = o->w->out;

    if ((c->budget.p == NULL && c->effort == LLM_EFFORT_UNSAID
         && c->thoughts == -1)
        || !llm_gemini_key(o, "thinkingConfig"))
    {
        return;
    }

    llm_out_lit(out, "{");
    level = llm_slice_null;

    if (c->budget.p == NULL && llm_gemini_has_levels(o->w, c)) {
        level = llm_gemini_level(c->effort);
    }

    if (c->budget.p != NULL) {
        llm_out_lit(out, "\"thinkingBudget\":");
        llm_chat_splice(o->w, &c->budget);
        n = 1;

    } else if (level.p != NULL) {
        llm_out_lit(out, "\"thinkingLevel\":");
        llm_chat_put(o->w, &level);
        n = 1;

    } else if (c->effort != LLM_EFFORT_UNSAID) {
        llm_out_lit(out, "\"thinkingBudget\":");
        llm_write_int(out, llm_effort_budget(c->effort));
        n = 1;
    }

    if (c->thoughts != -1) {
        if (n != 0) {
            llm_out_lit(out, ",");
        }

        if (c->thoughts) {
            llm_out_lit(out, "\"includeThoughts\":true");

        } else {
            llm_out_lit(out, "\"includeThoughts\":false");
        }
    }

    llm_out_lit(out, "}");
}


static void
llm_gemini_stops(llm_gemini_object_t *o, const llm_chat_t *c)
{
    size_t  i;

    if (llm_chat_nstops(c) == 0 || !llm_gemini_key(o, "stopSequences")) {
        return;
    }

    for (i = 0; i < llm_chat_nstops(c); i++) {
        llm_write_opening(o->w->out, (unsigned) i, "[");
        llm_chat_put(o->w, &llm_chat_stops(c)[i]);
    }

    llm_out_lit(o->w->out, "]");
}


static void
llm_gemini_format(llm_gemini_object_t *o, const llm_chat_t *c)
{
    if (c->format != LLM_FORMAT_OBJECT && c->format != LLM_FORMAT_SCHEMA) {
        return;
    }

    if (llm_gemini_key(o, "responseMimeType")) {
        llm_out_lit(o->w->out, "\"application/json\"");
    }

    if (c->format == LLM_FORMAT_SCHEMA) {
        llm_gemini_raw(o, "responseJsonSchema", &c->schema);
    }
}


/* The limit that the request does not say: in the object that there is, or in
 * one that gives way to llm_stream_param's. */
static void
llm_gemini_limit(llm_gemini_object_t *o, const llm_chat_t *c)
{
    if (o->w->cap == 0 || c->max_tokens.p != NULL || o->given) {
        return;
    }

    if (o->n != 0) {
        if (llm_gemini_key(o, "maxOutputTokens")) {
            llm_write_int(o->w->out, o->w->cap);
        }

    } else if (llm_chat_unsaid(o->w, o->name)) {
        llm_out_lit(o->w->out, "{\"maxOutputTokens\":");
        llm_write_int(o->w->out, o->w->cap);
        llm_out_lit(o->w->out, "}");
    }
}


static void
llm_gemini_write_settings(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_gemini_object_t  o;

    memset(&o, 0, sizeof(llm_gemini_object_t));
    o.w = w;
    o.name = "generationConfig";

    llm_gemini_raw(&o, "temperature", &c->temperature);
    llm_gemini_raw(&o, "topP", &c->top_p);
    llm_gemini_raw(&o, "topK", &c->top_k);
    llm_gemini_raw(&o, "candidateCount", &c->n);
    llm_gemini_raw(&o, "maxOutputTokens", &c->max_tokens);
    llm_gemini_stops(&o, c);
    llm_gemini_raw(&o, "seed", &c->seed);
    llm_gemini_raw(&o, "presencePenalty", &c->presence);
    llm_gemini_raw(&o, "frequencyPenalty", &c->frequency);
    llm_gemini_format(&o, c);

    if (c->logprobs == 1 && llm_gemini_key(&o, "responseLogprobs")) {
        llm_out_lit(w->out, "true");
    }

    llm_gemini_raw(&o, "logprobs", &c->top_logprobs);
    llm_gemini_thinking(&o, c);

    llm_gemini_put_extras(&o, c, LLM_GEMINI_CONFIG);
    llm_gemini_limit(&o, c);
    llm_gemini_close(&o);
}


static void
llm_gemini_put_function(llm_chat_writer_t *w, const llm_tool_t *tool)
{
    llm_out_lit(w->out, "{\"name\":");
    llm_chat_put(w, &tool->name);

    if (tool->description.p != NULL) {
        llm_out_lit(w->out, ",\"description\":");
        llm_chat_put(w, &tool->description);
    }

    if (tool->schema.p != NULL) {
        llm_out_lit(w->out, ",\"parametersJsonSchema\":");
        llm_chat_splice(w, &tool->schema);
    }

    llm_out_lit(w->out, "}");
}


static int
llm_gemini_is_tool(const llm_slice_t *type)
{
    static const char *const  names[] = {
        "googleSearch", "googleSearchRetrieval", "codeExecution",
        "urlContext", "googleMaps", "fileSearch", "computerUse",
        "enterpriseWebSearch", "retrieval", "mcpServers"
    };

    size_t  i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (llm_gemini_is(type, names[i])) {
            return 1;
        }
    }

    return 0;
}


/* Functions are one element of the list, each of Google's own tools is
 * another. */
static void
llm_gemini_write_tools(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t             i, own, functions;
    unsigned           n, k;
    const llm_tool_t  *tool;

    own = 0;
    functions = 0;

    for (i = 0; i < llm_chat_ntools(c); i++) {
        tool = &llm_chat_tools(c)[i];

        if (tool->type.p == NULL) {
            functions++;

        } else if (llm_gemini_is_tool(&tool->type)) {
            own++;

        } else {
            llm_chat_lost(w, "tools[].type", 1);
        }
    }

    if (own + functions == 0 || !llm_chat_member(w, "tools")) {
        return;
    }

    llm_out_lit(w->out, "[");
    n = 0;
    k = 0;

    for (i = 0; functions != 0 && i < llm_chat_ntools(c); i++) {
        tool = &llm_chat_tools(c)[i];

        if (tool->type.p == NULL) {
            llm_write_opening(w->out, k++, "{\"functionDeclarations\":[");
            llm_gemini_put_function(w, tool);
            n = 1;
        }
    }

    if (n != 0) {
        llm_out_lit(w->out, "]}");
    }

    for (i = 0; own != 0 && i < llm_chat_ntools(c); i++) {
        tool = &llm_chat_tools(c)[i];

        if (tool->type.p != NULL && llm_gemini_is_tool(&tool->type)) {
            llm_write_opening(w->out, n++, "");
            llm_out_lit(w->out, "{");
            llm_chat_put(w, &tool->type);
            llm_out_lit(w->out, ":");
            llm_chat_splice(w, &tool->raw);
            llm_out_lit(w->out, "}");
        }
    }

    llm_out_lit(w->out, "]");
}


static void
llm_gemini_write_choice(llm_gemini_object_t *o, const llm_chat_t *c)
{
    llm_out_t  *out;

    out = o->w->out;

    if (c->choose == LLM_CHOOSE_UNSAID || llm_chat_ntools(c) == 0
        || !llm_gemini_key(o, "functionCallingConfig"))
    {
        return;
    }

    switch (c->choose) {

    case LLM_CHOOSE_NONE:
        llm_out_lit(out, "{\"mode\":\"NONE\"}");
        break;

    case LLM_CHOOSE_REQUIRED:
        llm_out_lit(out, "{\"mode\":\"ANY\"}");
        break;

    case LLM_CHOOSE_TOOL:
        llm_out_lit(out, "{\"mode\":\"ANY\",\"allowedFunctionNames\":[");
        llm_chat_put(o->w, &c->choose_name);
        llm_out_lit(out, "]}");
        break;

    default:
        llm_out_lit(out, "{\"mode\":\"AUTO\"}");
        break;
    }
}


/* toolConfig, and the extras that are members of the body. */
static void
llm_gemini_write_extras(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t               i, k;
    const char          *name;
    llm_extra_t         *extra;
    llm_gemini_object_t  o;

    memset(&o, 0, sizeof(llm_gemini_object_t));
    o.w = w;
    o.name = "toolConfig";

    llm_gemini_write_choice(&o, c);
    llm_gemini_put_extras(&o, c, "toolConfig.");
    llm_gemini_close(&o);

    for (i = 0; i < llm_chat_nextras(c); i++) {
        extra = &llm_chat_extras(c)[i];

        for (k = 0; llm_gemini_extras[k] != NULL; k++) {
            name = llm_gemini_extras[k];

            if (strchr(name, '.') == NULL
                && llm_json_eq(&extra->name, name, strlen(name)))
            {
                llm_chat_raw(w, name, &extra->raw);
            }
        }
    }
}


void
llm_gemini_write_chat(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_gemini_write_contents(w, c);
    llm_gemini_write_tools(w, c);
    llm_gemini_write_extras(w, c);
    llm_gemini_write_settings(w, c);
    llm_chat_lost_members(w, c, LLM_LOST_SUFFIX | LLM_LOST_MIN_P
                          | LLM_LOST_PARALLEL | LLM_LOST_USER
                          | LLM_LOST_METADATA | LLM_LOST_SESSION);
    llm_chat_lost_extras(w, c, llm_gemini_extras);
}
