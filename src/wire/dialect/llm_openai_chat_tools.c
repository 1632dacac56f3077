/*
 * OpenAI's tools in a request: definitions, legacy functions, and the choice
 * among them.  Other dialects have them in the same form.
 */

#include "llm_openai_chat.h"


/* bytes that are looked at to find all tools in "allowed_tools" */
#define LLM_OPENAI_ALLOWED  (16 * 1024 * 1024)


void
llm_openai_read_function(llm_tool_t *tool, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, s;
    llm_json_type_t  t;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &s, &t)) {

        if (t == LLM_JSON_STRING && llm_json_is(&key, "name")) {
            tool->name = s;

        } else if (t == LLM_JSON_STRING && llm_json_is(&key, "description")) {
            tool->description = s;

        } else if (t == LLM_JSON_OBJECT && llm_json_is(&key, "parameters")) {
            tool->schema = s;

        } else if (llm_json_is(&key, "strict")) {
            tool->strict = llm_json_flag(t);
        }
    }
}


llm_rc_t
llm_openai_read_functions(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_json_t       j;
    llm_tool_t      *tool;
    llm_slice_t      s;
    llm_json_type_t  t;

    if (type == LLM_JSON_NULL) {
        return LLM_OK;
    }

    if (type != LLM_JSON_ARRAY) {
        return llm_chat_wrong(c, "functions");
    }

    c->tools.n = 0;
    llm_json_reopen(&j, v);

    while (llm_json_element(&j, &s, &t)) {

        if (t != LLM_JSON_OBJECT) {
            return llm_chat_wrong(c, "functions");
        }

        tool = llm_chat_tool(c);
        if (tool == NULL) {
            return LLM_NOMEM;
        }

        tool->raw = s;
        llm_openai_read_function(tool, &s);

        if (tool->name.n == 0) {
            return llm_chat_wrong(c, "functions");
        }
    }

    return LLM_OK;
}


static void
llm_openai_read_tool(llm_tool_t *tool, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, s;
    llm_json_type_t  t;

    tool->raw = *raw;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &s, &t)) {

        if (t == LLM_JSON_STRING && llm_json_is(&key, "type")) {
            if (!llm_json_is(&s, "function")) {
                tool->type = s;
            }

        } else if (t == LLM_JSON_OBJECT
                   && (llm_json_is(&key, "function")
                       || llm_json_is(&key, "custom")))
        {
            llm_openai_read_function(tool, &s);
        }
    }
}


llm_rc_t
llm_openai_read_tools(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_json_t       j;
    llm_tool_t      *tool;
    llm_slice_t      s;
    llm_json_type_t  t;

    c->tools.n = 0;

    if (type == LLM_JSON_NULL) {
        return LLM_OK;
    }

    if (type != LLM_JSON_ARRAY) {
        return llm_chat_wrong(c, "tools");
    }

    llm_json_reopen(&j, v);

    while (llm_json_element(&j, &s, &t)) {

        if (t != LLM_JSON_OBJECT) {
            return llm_chat_wrong(c, "tools");
        }

        tool = llm_chat_tool(c);
        if (tool == NULL) {
            return LLM_NOMEM;
        }

        llm_openai_read_tool(tool, &s);

        if (tool->name.n == 0 && tool->type.n == 0) {
            return llm_chat_wrong(c, "tools");
        }
    }

    return LLM_OK;
}


/* "auto" and the like. */
static llm_rc_t
llm_openai_read_choice_word(llm_chat_t *c, const llm_slice_t *s,
    const char *member)
{
    if (llm_json_is(s, "auto")) {
        c->choose = LLM_CHOOSE_AUTO;

    } else if (llm_json_is(s, "none")) {
        c->choose = LLM_CHOOSE_NONE;

    } else if (llm_json_is(s, "required") || llm_json_is(s, "any")) {
        c->choose = LLM_CHOOSE_REQUIRED;

    } else {
        return llm_chat_wrong(c, member);
    }

    return LLM_OK;
}


/* The inside of "function", "custom" or "allowed_tools" of a choice. */
static llm_rc_t
llm_openai_read_choice_inside(llm_chat_t *c, llm_slice_t *allowed,
    const llm_slice_t *raw, const char *member)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, s;
    llm_json_type_t  t;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &s, &t)) {

        if (t == LLM_JSON_STRING && llm_json_is(&key, "name")) {
            c->choose = LLM_CHOOSE_TOOL;
            c->choose_name = s;

        } else if (t == LLM_JSON_ARRAY && llm_json_is(&key, "tools")) {
            *allowed = s;

        } else if (t == LLM_JSON_STRING && llm_json_is(&key, "mode")) {
            rc = llm_openai_read_choice_word(c, &s, member);
            if (rc != LLM_OK) {
                return rc;
            }
        }
    }

    return LLM_OK;
}


llm_rc_t
llm_openai_read_choice(llm_chat_t *c, llm_slice_t *allowed,
    llm_json_type_t type, const llm_slice_t *v, const char *member)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, s;
    llm_json_type_t  t;

    c->choose = LLM_CHOOSE_UNSAID;
    c->choose_name = llm_slice_null;
    *allowed = llm_slice_null;

    if (type == LLM_JSON_NULL) {
        return LLM_OK;
    }

    if (type == LLM_JSON_STRING) {
        return llm_openai_read_choice_word(c, v, member);
    }

    if (type != LLM_JSON_OBJECT) {
        return llm_chat_wrong(c, member);
    }

    llm_json_reopen(&j, v);

    while (llm_json_member(&j, &key, &s, &t)) {

        if (t == LLM_JSON_STRING && llm_json_is(&key, "name")) {
            c->choose = LLM_CHOOSE_TOOL;     /* function_call */
            c->choose_name = s;

        } else if (t == LLM_JSON_OBJECT) {
            rc = llm_openai_read_choice_inside(c, allowed, &s,
                                               member);
            if (rc != LLM_OK) {
                return rc;
            }
        }
    }

    return c->choose != LLM_CHOOSE_UNSAID
           ? LLM_OK : llm_chat_wrong(c, member);
}


/* Whether the list of allowed tools has this one. */
static int
llm_openai_allowed(const llm_slice_t *list, const llm_tool_t *tool)
{
    llm_json_t       j;
    llm_slice_t      s;
    llm_tool_t       ref;
    llm_json_type_t  t;

    llm_json_reopen(&j, list);

    while (llm_json_element(&j, &s, &t)) {

        if (t != LLM_JSON_OBJECT) {
            continue;
        }

        memset(&ref, 0, sizeof(llm_tool_t));
        llm_openai_read_tool(&ref, &s);

        if (tool->name.n != 0
            ? llm_json_eq(&ref.name, (const char *) tool->name.p,
                          tool->name.n)
            : llm_json_eq(&ref.type, (const char *) tool->type.p,
                          tool->type.n))
        {
            return 1;
        }
    }

    return 0;
}


llm_rc_t
llm_openai_read_allowed(llm_chat_t *c, const llm_slice_t *allowed,
    const char *member)
{
    size_t       i, n;
    llm_tool_t  *tools;

    tools = llm_chat_tools(c);
    n = llm_chat_ntools(c);

    if (n != 0 && allowed->n > LLM_OPENAI_ALLOWED / n) {
        return llm_chat_wrong(c, member);
    }

    c->tools.n = 0;

    for (i = 0; i < n; i++) {
        if (llm_openai_allowed(allowed, &tools[i])) {
            tools[llm_chat_ntools(c)] = tools[i];
            c->tools.n += sizeof(llm_tool_t);
        }
    }

    return LLM_OK;
}


/* The inside of "json_schema". */
void
llm_openai_read_schema(llm_chat_t *c, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_OBJECT && llm_json_is(&key, "schema")) {
            c->schema = v;

        } else if (type == LLM_JSON_STRING && llm_json_is(&key, "name")) {
            c->schema_name = v;

        } else if (llm_json_is(&key, "strict")) {
            c->schema_strict = llm_json_flag(type);
        }
    }
}


llm_rc_t
llm_openai_read_format_word(llm_chat_t *c, const llm_slice_t *word,
    const char *member)
{
    if (llm_json_is(word, "text")) {
        c->format = LLM_FORMAT_TEXT;

    } else if (llm_json_is(word, "json_object")) {
        c->format = LLM_FORMAT_OBJECT;

    } else if (llm_json_is(word, "json_schema") && c->schema.p != NULL) {
        c->format = LLM_FORMAT_SCHEMA;

    } else {
        return llm_chat_wrong(c, member);
    }

    return LLM_OK;
}


llm_rc_t
llm_openai_read_format(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_json_t       j;
    llm_slice_t      key, s, word;
    llm_json_type_t  t;

    c->format = LLM_FORMAT_UNSAID;
    c->schema = llm_slice_null;
    c->schema_name = llm_slice_null;
    c->schema_strict = -1;

    if (type == LLM_JSON_NULL) {
        return LLM_OK;
    }

    if (type != LLM_JSON_OBJECT) {
        return llm_chat_wrong(c, "response_format");
    }

    word = llm_slice_null;
    llm_json_reopen(&j, v);

    while (llm_json_member(&j, &key, &s, &t)) {

        if (t == LLM_JSON_STRING && llm_json_is(&key, "type")) {
            word = s;

        } else if (t == LLM_JSON_OBJECT && llm_json_is(&key, "json_schema")) {
            llm_openai_read_schema(c, &s);
        }
    }

    return llm_openai_read_format_word(c, &word, "response_format");
}
