/*
 * Gemini: tools, toolConfig and generationConfig of a request, as values.
 * Schemas in OpenAPI's words ("STRING") are turned into JSON Schema's, which
 * is the only change that is made to anything.
 */

#include "llm_gemini_chat.h"


/* bytes that are looked at to find all tools in a list of names */
#define LLM_GEMINI_ALLOWED  (16 * 1024 * 1024)


const char *const  llm_gemini_extras[] = {
    "safetySettings", "cachedContent", "labels", "modelArmorConfig",
    "serviceTier", "toolConfig.retrievalConfig",
    "toolConfig.includeServerSideToolInvocations",
    LLM_GEMINI_CONFIG "responseModalities",
    LLM_GEMINI_CONFIG "speechConfig",
    LLM_GEMINI_CONFIG "mediaResolution",
    LLM_GEMINI_CONFIG "imageConfig",
    LLM_GEMINI_CONFIG "responseMimeType",
    LLM_GEMINI_CONFIG "audioTimestamp",
    LLM_GEMINI_CONFIG "routingConfig",
    LLM_GEMINI_CONFIG "modelSelectionConfig",
    LLM_GEMINI_CONFIG "enableEnhancedCivicAnswers",
    LLM_GEMINI_CONFIG "enableAffectiveDialog",
    NULL
};


/* Keeps a member of an object inside the body, whose name with a dot is
 * `prefix`; one that is not in the list has its own name. */
static llm_rc_t
llm_gemini_inner_extra(llm_chat_t *c, const char *prefix,
    const llm_slice_t *key, llm_json_type_t type, const llm_slice_t *v)
{
    size_t       i, n;
    llm_slice_t  name;
    const char  *extra;

    name = *key;
    n = strlen(prefix);

    for (i = 0; llm_gemini_extras[i] != NULL; i++) {
        extra = llm_gemini_extras[i];

        if (strncmp(extra, prefix, n) == 0 && llm_gemini_is(key, extra + n))
        {
            name.p = (const llm_u8 *) extra;
            name.n = strlen(extra);
            name.escaped = 0;
        }
    }

    return llm_gemini_extra(c, &name, type, v);
}


/* A type in OpenAPI's words. */
static int
llm_gemini_is_type(const llm_slice_t *s)
{
    static const char *const  types[] = {
        "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"
    };

    size_t  i;

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (s->n == strlen(types[i]) && memcmp(s->p, types[i], s->n) == 0) {
            return 1;
        }
    }

    return 0;
}


/*
 * Turns "type":"STRING" into "type":"string" wherever it stands in the n
 * bytes; to: where to write, or NULL to look only.  Returns how many.
 */
static size_t
llm_gemini_types(const llm_u8 *p, size_t n, llm_u8 *to)
{
    size_t           k, found;
    unsigned         is_type;
    llm_json_t       j;
    llm_slice_t      v;
    llm_json_type_t  type;

    found = 0;
    is_type = 0;
    llm_json_init(&j, p, n, LLM_JSON_DEPTH_MAX);

    do {
        type = llm_json_next(&j);

        if (type == LLM_JSON_KEY) {
            is_type = llm_json_is(&j.tok, "type");
            continue;
        }

        v = j.tok;

        if (type == LLM_JSON_STRING && is_type && llm_gemini_is_type(&v)) {
            found++;

            for (k = 0; to != NULL && k < v.n; k++) {
                to[(size_t) (v.p - p) + k] = v.p[k] | 0x20;
            }
        }

        is_type = 0;

    } while (type != LLM_JSON_END && type != LLM_JSON_ERROR);

    return found;
}


/* The schema in JSON Schema's words: itself, or a copy. */
static llm_rc_t
llm_gemini_schema(llm_chat_t *c, const llm_slice_t *raw, llm_slice_t *schema)
{
    llm_u8  *copy;

    *schema = *raw;

    if (llm_gemini_types(raw->p, raw->n, NULL) == 0) {
        return LLM_OK;
    }

    copy = llm_chat_copy(c, raw->p, raw->n);
    if (copy == NULL) {
        return LLM_NOMEM;
    }

    (void) llm_gemini_types(raw->p, raw->n, copy);
    schema->p = copy;

    return LLM_OK;
}


/* One function; j stands behind its brace. */
static llm_rc_t
llm_gemini_read_function(llm_chat_t *c, llm_json_t *j)
{
    llm_rc_t          rc;
    llm_tool_t       *tool;
    llm_slice_t       key, v, schema;
    const llm_u8     *start;
    llm_json_type_t   type;

    start = j->start;
    schema = llm_slice_null;

    tool = llm_chat_tool(c);
    if (tool == NULL) {
        return LLM_NOMEM;
    }

    while (llm_json_member(j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && llm_json_is(&key, "name")) {
            tool->name = v;

        } else if (type == LLM_JSON_STRING
                   && llm_json_is(&key, "description"))
        {
            tool->description = v;

        } else if (type != LLM_JSON_OBJECT) {
            continue;

        } else if (llm_gemini_is(&key, "parametersJsonSchema")) {
            tool->schema = v;

        } else if (llm_json_is(&key, "parameters")) {
            schema = v;
        }
    }

    tool->raw = (llm_slice_t) { start, (size_t) (j->p - start), 0 };

    if (tool->schema.p == NULL && schema.p != NULL) {
        rc = llm_gemini_schema(c, &schema, &tool->schema);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return tool->name.n != 0 ? LLM_OK : llm_chat_wrong(c, "tools");
}


/* One element of the list: functions, and tools that Google runs, each a
 * member of it. */
static llm_rc_t
llm_gemini_read_tool(llm_chat_t *c, llm_json_t *j)
{
    llm_rc_t          rc;
    llm_tool_t       *tool;
    llm_json_t        in;
    llm_slice_t       key, v;
    llm_json_type_t   type;

    while (llm_json_member(j, &key, &v, &type)) {

        if (llm_gemini_is(&key, "functionDeclarations")) {

            if (type != LLM_JSON_ARRAY && type != LLM_JSON_OBJECT) {
                continue;
            }

            llm_gemini_list(&in, type, &v);

            while (llm_json_object(&in)) {
                rc = llm_gemini_read_function(c, &in);
                if (rc != LLM_OK) {
                    return rc;
                }
            }

        } else if (type == LLM_JSON_OBJECT) {
            tool = llm_chat_tool(c);
            if (tool == NULL) {
                return LLM_NOMEM;
            }

            tool->type = key;
            tool->type.escaped = 1;
            tool->raw = v;
        }
    }

    return LLM_OK;
}


llm_rc_t
llm_gemini_read_tools(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_rc_t    rc;
    llm_json_t  j;

    c->tools.n = 0;

    if (type != LLM_JSON_ARRAY && type != LLM_JSON_OBJECT) {
        return type == LLM_JSON_NULL ? LLM_OK : llm_chat_wrong(c, "tools");
    }

    llm_gemini_list(&j, type, v);

    while (llm_json_object(&j)) {
        rc = llm_gemini_read_tool(c, &j);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


static void
llm_gemini_read_mode(llm_chat_t *c, const llm_slice_t *v)
{
    c->choose = llm_json_is(v, "AUTO") || llm_json_is(v, "VALIDATED")
                ? LLM_CHOOSE_AUTO
                : llm_json_is(v, "NONE") ? LLM_CHOOSE_NONE
                : llm_json_is(v, "ANY") ? LLM_CHOOSE_REQUIRED
                : LLM_CHOOSE_UNSAID;
}


/* functionCallingConfig.  One name that must be called is a choice; other
 * lists are said by leaving the other tools out, when all were read. */
static llm_rc_t
llm_gemini_read_calling(llm_chat_t *c, const llm_slice_t *raw,
    llm_slice_t *allowed)
{
    unsigned         n;
    llm_json_t       j, in;
    llm_slice_t      key, v, name, list;
    llm_json_type_t  type;

    n = 0;
    name = llm_slice_null;
    list = llm_slice_null;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && llm_json_is(&key, "mode")) {
            llm_gemini_read_mode(c, &v);

        } else if (type == LLM_JSON_ARRAY
                   && llm_gemini_is(&key, "allowedFunctionNames"))
        {
            list = v;
        }
    }

    if (list.p == NULL) {
        return LLM_OK;
    }

    llm_json_reopen(&in, &list);

    while (llm_json_element(&in, &v, &type)) {

        if (type != LLM_JSON_STRING) {
            return llm_chat_wrong(c, "toolConfig");
        }

        name = v;
        n++;
    }

    if (n == 1 && c->choose == LLM_CHOOSE_REQUIRED) {
        c->choose = LLM_CHOOSE_TOOL;
        c->choose_name = name;

    } else if (n != 0) {
        *allowed = list;
    }

    return LLM_OK;
}


/* Whether the list of names has this one. */
static int
llm_gemini_allows(const llm_slice_t *allowed, const llm_slice_t *name)
{
    llm_json_t       j;
    llm_slice_t      v;
    llm_json_type_t  type;

    llm_json_reopen(&j, allowed);

    while (llm_json_element(&j, &v, &type)) {
        if (v.n == name->n && memcmp(v.p, name->p, v.n) == 0) {
            return 1;
        }
    }

    return 0;
}


llm_rc_t
llm_gemini_read_allowed(llm_chat_t *c, const llm_slice_t *allowed)
{
    size_t       i, n;
    llm_tool_t  *tools;

    if (allowed->p == NULL) {
        return LLM_OK;
    }

    if (llm_chat_ntools(c) > LLM_GEMINI_ALLOWED / (allowed->n + 1)) {
        return llm_chat_wrong(c, "toolConfig");
    }

    tools = llm_chat_tools(c);
    n = 0;

    for (i = 0; i < llm_chat_ntools(c); i++) {
        if (tools[i].type.p != NULL
            || llm_gemini_allows(allowed, &tools[i].name))
        {
            tools[n++] = tools[i];
        }
    }

    c->tools.n = n * sizeof(llm_tool_t);

    return LLM_OK;
}


llm_rc_t
llm_gemini_read_tool_config(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v, llm_slice_t *allowed)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, s;
    llm_json_type_t  t;

    if (type != LLM_JSON_OBJECT) {
        return type == LLM_JSON_NULL ? LLM_OK
                                     : llm_chat_wrong(c, "toolConfig");
    }

    llm_json_reopen(&j, v);

    while (llm_json_member(&j, &key, &s, &t)) {

        if (llm_gemini_is(&key, "functionCallingConfig")) {
            rc = t == LLM_JSON_OBJECT
                 ? llm_gemini_read_calling(c, &s, allowed) : LLM_OK;

        } else {
            rc = llm_gemini_inner_extra(c, "toolConfig.", &key, t, &s);
        }

        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


static llm_effort_t
llm_gemini_level(const llm_slice_t *v)
{
    size_t       i;
    llm_u8       buf[16];
    llm_slice_t  word;

    if (v->n > sizeof(buf)) {
        return LLM_EFFORT_UNSAID;
    }

    for (i = 0; i < v->n; i++) {
        buf[i] = v->p[i] >= 'A' && v->p[i] <= 'Z' ? v->p[i] | 0x20 : v->p[i];
    }

    word = (llm_slice_t) { buf, v->n, 0 };

    return llm_effort_find(&word);
}


static llm_rc_t
llm_gemini_read_thinking(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_json_t       j;
    llm_slice_t      key, s;
    llm_json_type_t  t;

    if (type != LLM_JSON_OBJECT) {
        return LLM_OK;
    }

    llm_json_reopen(&j, v);

    while (llm_json_member(&j, &key, &s, &t)) {

        if (llm_gemini_is(&key, "thinkingBudget")) {
            if (t == LLM_JSON_NUMBER) {
                c->budget = s;
            }

        } else if (llm_gemini_is(&key, "thinkingLevel")) {
            if (t == LLM_JSON_STRING) {
                c->effort = llm_gemini_level(&s);
            }

        } else if (llm_gemini_is(&key, "includeThoughts")) {
            c->thoughts = llm_json_flag(t);
        }
    }

    return LLM_OK;
}


/* responseMimeType; a schema says more, whichever comes first. */
static llm_rc_t
llm_gemini_read_mime(llm_chat_t *c, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    if (type == LLM_JSON_STRING && llm_json_is(v, "application/json")) {
        if (c->format != LLM_FORMAT_SCHEMA) {
            c->format = LLM_FORMAT_OBJECT;
        }

    } else if (type == LLM_JSON_STRING && llm_json_is(v, "text/plain")) {
        if (c->format != LLM_FORMAT_SCHEMA) {
            c->format = LLM_FORMAT_TEXT;
        }

    } else {
        return llm_gemini_inner_extra(c, LLM_GEMINI_CONFIG, key, type, v);
    }

    return LLM_OK;
}


static llm_rc_t
llm_gemini_read_schema(llm_chat_t *c, unsigned json, llm_json_type_t type,
    const llm_slice_t *v)
{
    if (type != LLM_JSON_OBJECT) {
        return type == LLM_JSON_NULL
               ? LLM_OK : llm_chat_wrong(c, "generationConfig");
    }

    c->format = LLM_FORMAT_SCHEMA;

    if (json) {
        c->schema = *v;
        return LLM_OK;
    }

    return llm_gemini_schema(c, v, &c->schema);
}


/* Anything but text changes what is asked. */
static llm_rc_t
llm_gemini_read_modalities(llm_chat_t *c, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    size_t           n;
    llm_rc_t         rc;
    unsigned         other;
    llm_json_t       j;
    llm_slice_t      s;
    llm_json_type_t  t;

    n = llm_chat_nextras(c);
    other = 0;

    rc = llm_gemini_inner_extra(c, LLM_GEMINI_CONFIG, key, type, v);

    if (rc != LLM_OK || type != LLM_JSON_ARRAY) {
        return rc;
    }

    llm_json_reopen(&j, v);

    while (llm_json_element(&j, &s, &t)) {
        other |= t != LLM_JSON_STRING || !llm_json_is(&s, "TEXT");
    }

    llm_chat_extras(c)[n].meaning = other;

    return LLM_OK;
}


/* The members that are not plain numbers. */
static llm_rc_t
llm_gemini_read_setting(llm_chat_t *c, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    if (llm_gemini_is(key, "stopSequences")) {
        return llm_chat_read_stops(c, type, v, "generationConfig");
    }

    if (llm_gemini_is(key, "responseLogprobs")) {
        return llm_chat_read_flag(c, &c->logprobs, type, "generationConfig");
    }

    if (llm_gemini_is(key, "responseMimeType")) {
        return llm_gemini_read_mime(c, key, type, v);
    }

    if (llm_gemini_is(key, "responseJsonSchema")) {
        return llm_gemini_read_schema(c, 1, type, v);
    }

    if (llm_gemini_is(key, "responseSchema")) {
        return llm_gemini_read_schema(c, 0, type, v);
    }

    if (llm_gemini_is(key, "responseModalities")) {
        return llm_gemini_read_modalities(c, key, type, v);
    }

    if (llm_gemini_is(key, "thinkingConfig")) {
        return llm_gemini_read_thinking(c, type, v);
    }

    return llm_gemini_inner_extra(c, LLM_GEMINI_CONFIG, key, type, v);
}


llm_rc_t
llm_gemini_read_config(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *raw)
{
    static const struct {
        const char  *name;
        size_t       at;
    } numbers[] = {
        { "temperature", offsetof(llm_chat_t, temperature) },
        { "topP", offsetof(llm_chat_t, top_p) },
        { "topK", offsetof(llm_chat_t, top_k) },
        { "candidateCount", offsetof(llm_chat_t, n) },
        { "maxOutputTokens", offsetof(llm_chat_t, max_tokens) },
        { "seed", offsetof(llm_chat_t, seed) },
        { "presencePenalty", offsetof(llm_chat_t, presence) },
        { "frequencyPenalty", offsetof(llm_chat_t, frequency) },
        { "logprobs", offsetof(llm_chat_t, top_logprobs) }
    };

    size_t           i, n;
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v;

    if (type != LLM_JSON_OBJECT) {
        return type == LLM_JSON_NULL
               ? LLM_OK : llm_chat_wrong(c, "generationConfig");
    }

    n = sizeof(numbers) / sizeof(numbers[0]);
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        for (i = 0; i < n && !llm_gemini_is(&key, numbers[i].name); i++) {
            /* void */
        }

        if (i < n) {
            rc = llm_chat_read_number(c, (llm_slice_t *) (void *)
                                         ((llm_u8 *) c + numbers[i].at),
                                      type, &v, "generationConfig");

        } else {
            rc = llm_gemini_read_setting(c, &key, type, &v);
        }

        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}
