/*
 * Anthropic messages: the top level of a client's request.  It must never
 * refuse a member that it does not know: those are extras.
 */

#include "llm_anthropic.h"


/* {"type":"auto"|"any"|"none"|"tool","name":…,
 * "disable_parallel_tool_use":…} */
static llm_rc_t
llm_anthropic_read_choice(llm_chat_t *c, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v, word;
    llm_json_type_t  type;

    static const char  member[] = "tool_choice";

    word = llm_slice_null;
    c->choose_name = llm_slice_null;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (llm_json_is(&key, "disable_parallel_tool_use")) {
            if (type == LLM_JSON_TRUE || type == LLM_JSON_FALSE) {
                c->parallel_tools = type == LLM_JSON_FALSE;
            }

        } else if (type != LLM_JSON_STRING) {
            continue;

        } else if (llm_json_is(&key, "type")) {
            word = v;

        } else if (llm_json_is(&key, "name")) {
            c->choose_name = v;
        }
    }

    c->choose = llm_json_is(&word, "auto") ? LLM_CHOOSE_AUTO
                : llm_json_is(&word, "any") ? LLM_CHOOSE_REQUIRED
                : llm_json_is(&word, "none") ? LLM_CHOOSE_NONE
                : llm_json_is(&word, "tool") ? LLM_CHOOSE_TOOL
                : LLM_CHOOSE_UNSAID;

    if (c->choose == LLM_CHOOSE_UNSAID
        || (c->choose == LLM_CHOOSE_TOOL && c->choose_name.n == 0))
    {
        return llm_chat_wrong(c, member);
    }

    return LLM_OK;
}


static void
llm_anthropic_tool_member(llm_tool_t *tool, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    if (type == LLM_JSON_STRING) {

        if (llm_json_is(key, "name")) {
            tool->name = *v;

        } else if (llm_json_is(key, "description")) {
            tool->description = *v;

        } else if (llm_json_is(key, "type") && !llm_json_is(v, "custom")) {
            tool->type = *v;
        }

    } else if (type == LLM_JSON_OBJECT) {

        if (llm_json_is(key, "input_schema")) {
            tool->schema = *v;
        }

    } else if (type == LLM_JSON_TRUE || type == LLM_JSON_FALSE) {

        if (llm_json_is(key, "strict")) {
            tool->strict = type == LLM_JSON_TRUE;
        }
    }
}


static llm_rc_t
llm_anthropic_read_tools(llm_chat_t *c, const llm_slice_t *raw)
{
    llm_json_t       j, inner;
    llm_tool_t      *tool;
    llm_slice_t      key, v, item;
    llm_json_type_t  type;

    c->tools.n = 0;
    llm_json_reopen(&j, raw);

    while (llm_json_element(&j, &item, &type)) {

        if (type != LLM_JSON_OBJECT) {
            return llm_chat_wrong(c, "tools");
        }

        tool = llm_chat_tool(c);
        if (tool == NULL) {
            return LLM_NOMEM;
        }

        tool->raw = item;
        llm_json_reopen(&inner, &item);

        while (llm_json_member(&inner, &key, &v, &type)) {
            llm_anthropic_tool_member(tool, &key, type, &v);
        }

        if (tool->type.p == NULL && tool->name.n == 0) {
            return llm_chat_wrong(c, "tools[].name");
        }
    }

    return LLM_OK;
}


/* {"type":"enabled","budget_tokens":…}, adaptive, or disabled */
static llm_rc_t
llm_anthropic_read_thinking(llm_chat_t *c, const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, word;
    llm_json_type_t  type;

    rc = LLM_OK;
    word = llm_slice_null;

    llm_json_reopen(&j, raw);

    while (rc == LLM_OK && llm_json_member(&j, &key, &v, &type)) {

        if (llm_json_is(&key, "budget_tokens")) {
            rc = llm_chat_read_number(c, &c->budget, type, &v,
                                      "thinking.budget_tokens");

        } else if (type != LLM_JSON_STRING) {
            continue;

        } else if (llm_json_is(&key, "type")) {
            word = v;

        } else if (llm_json_is(&key, "display")) {
            c->thoughts = !llm_json_is(&v, "omitted");
        }
    }

    if (llm_json_is(&word, "disabled")) {
        c->effort = LLM_EFFORT_NONE;
        c->budget = llm_slice_null;

    } else if (c->effort == LLM_EFFORT_UNSAID && c->budget.p == NULL) {
        c->effort = LLM_EFFORT_AUTO;
    }

    return rc;
}


/* {"type":"json_schema","schema":{…}} */
static llm_rc_t
llm_anthropic_read_format(llm_chat_t *c, const llm_slice_t *raw,
    const char *member)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    c->schema = llm_slice_null;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (type == LLM_JSON_OBJECT && llm_json_is(&key, "schema")) {
            c->schema = v;
        }
    }

    if (c->schema.p == NULL) {
        return llm_chat_wrong(c, member);
    }

    c->format = LLM_FORMAT_SCHEMA;

    return LLM_OK;
}


static llm_rc_t
llm_anthropic_read_output(llm_chat_t *c, const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    rc = LLM_OK;
    llm_json_reopen(&j, raw);

    while (rc == LLM_OK && llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && llm_json_is(&key, "effort")) {
            if (c->effort != LLM_EFFORT_NONE) {
                c->effort = llm_effort_find(&v);
            }

        } else if (type == LLM_JSON_OBJECT && llm_json_is(&key, "format")) {
            rc = llm_anthropic_read_format(c, &v, "output_config.format");
        }
    }

    return rc;
}


static void
llm_anthropic_read_metadata(llm_chat_t *c, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (type == LLM_JSON_STRING && llm_json_is(&key, "user_id")) {
            c->user = v;
        }
    }
}


/* A member whose value is an object, or an array. */
static llm_rc_t
llm_anthropic_read_object(llm_chat_t *c, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    static const struct {
        const char       *name;
        llm_json_type_t   type;
        llm_rc_t        (*read)(llm_chat_t *c, const llm_slice_t *raw);
    } members[] = {
        { "tools", LLM_JSON_ARRAY, llm_anthropic_read_tools },
        { "tool_choice", LLM_JSON_OBJECT, llm_anthropic_read_choice },
        { "thinking", LLM_JSON_OBJECT, llm_anthropic_read_thinking },
        { "output_config", LLM_JSON_OBJECT, llm_anthropic_read_output }
    };

    size_t  i;

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (llm_json_eq(key, members[i].name, strlen(members[i].name))) {

            if (type == members[i].type) {
                return members[i].read(c, v);
            }

            return type == LLM_JSON_NULL ? LLM_OK
                                         : llm_chat_wrong(c,
                                                          members[i].name);
        }
    }

    if (llm_json_is(key, "metadata")) {
        if (type == LLM_JSON_OBJECT) {
            llm_anthropic_read_metadata(c, v);
        }

        return LLM_OK;
    }

    if (llm_json_is(key, "output_format") && type == LLM_JSON_OBJECT) {
        return llm_anthropic_read_format(c, v, "output_format");
    }

    if (llm_json_is(key, "cache_control") || type == LLM_JSON_NULL) {
        return LLM_OK;
    }

    return llm_chat_extra(c, key, v);
}


static llm_rc_t
llm_anthropic_read_member(llm_chat_t *c, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    size_t  i;

    const struct {
        const char   *name;
        llm_slice_t  *to;
    } numbers[] = {
        { "max_tokens", &c->max_tokens },
        { "temperature", &c->temperature },
        { "top_p", &c->top_p },
        { "top_k", &c->top_k }
    };

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (llm_json_eq(key, numbers[i].name, strlen(numbers[i].name))) {
            return llm_chat_read_number(c, numbers[i].to, type, v,
                                        numbers[i].name);
        }
    }

    if (llm_json_is(key, "model")) {
        return llm_chat_read_string(c, &c->model, type, v, "model");
    }

    if (llm_json_is(key, "stream")) {
        return llm_chat_read_flag(c, &c->stream, type, "stream");
    }

    if (llm_json_is(key, "stop_sequences")) {
        return llm_chat_read_stops(c, type, v, "stop_sequences");
    }

    return llm_anthropic_read_object(c, key, type, v);
}


llm_rc_t
llm_anthropic_read_chat(llm_chat_t *c, const llm_u8 *body, size_t n)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, system;
    llm_json_type_t  type;

    system = llm_slice_null;
    llm_json_init(&j, body, n, c->max_depth);

    if (llm_json_next(&j) != LLM_JSON_OBJECT) {
        return j.error == LLM_TOO_DEEP ? LLM_TOO_DEEP : LLM_INVALID;
    }

    while (llm_json_next(&j) == LLM_JSON_KEY) {
        key = j.tok;
        rc = LLM_OK;

        if (llm_json_is(&key, "messages")) {
            rc = llm_anthropic_read_messages(c, &j);

        } else if (llm_json_is(&key, "system")) {
            (void) llm_json_skip(&j, &system);

        } else {
            type = llm_json_value(&j, &v);

            if (type != LLM_JSON_ERROR) {
                rc = llm_anthropic_read_member(c, &key, type, &v);
            }
        }

        if (rc != LLM_OK) {
            return rc;
        }
    }

    if (llm_json_next(&j) != LLM_JSON_END) {
        return j.error == LLM_TOO_DEEP ? LLM_TOO_DEEP : LLM_INVALID;
    }

    return system.p != NULL ? llm_anthropic_read_system(c, &system) : LLM_OK;
}
