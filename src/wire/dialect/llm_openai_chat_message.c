/*
 * OpenAI chat completions: the messages of a request, one part after the
 * other.  A large string is looked at twice, and never copied.
 */

#include "llm_openai_chat.h"


/* Members of one message. */
typedef struct {
    llm_slice_t      content;
    llm_json_type_t  content_type;
    llm_slice_t      role;
    llm_slice_t      name;
    llm_slice_t      id;            /* tool_call_id */
    llm_slice_t      reasoning;
    llm_slice_t      details;
    llm_slice_t      refusal;
    llm_slice_t      calls;
    llm_slice_t      function;      /* function_call */
    llm_slice_t      audio;
} llm_openai_message_t;


/* The member `name` of an object if it is of that type, or absent. */
static llm_slice_t
llm_openai_find(const llm_slice_t *object, const char *name,
    llm_json_type_t wanted)
{
    llm_json_t       j;
    llm_slice_t      key, v, found;
    llm_json_type_t  type;

    found = llm_slice_null;
    llm_json_reopen(&j, object);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (llm_json_eq(&key, name, strlen(name))) {
            found = type == wanted ? v : llm_slice_null;
        }
    }

    return found;
}


static void
llm_openai_read_detail(llm_part_t *part, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type != LLM_JSON_STRING) {
            continue;
        }

        if (llm_json_is(&key, "text") || llm_json_is(&key, "summary")) {
            part->text = v;

        } else if (llm_json_is(&key, "signature")) {
            part->signature = v;

        } else if (llm_json_is(&key, "data")) {
            part->data = v;
        }
    }
}


/* OpenRouter's reasoning_details.  *text: what reasoning_content said, for a
 * signature that came without the text. */
static llm_rc_t
llm_openai_read_details(llm_chat_t *c, unsigned message,
    const llm_slice_t *details, llm_slice_t *text)
{
    size_t           at;
    llm_json_t       j;
    llm_part_t      *part;
    llm_slice_t      raw;
    llm_json_type_t  type;

    at = c->parts.n;
    llm_json_reopen(&j, details);

    while (llm_json_element(&j, &raw, &type)) {

        if (type != LLM_JSON_OBJECT) {
            continue;
        }

        part = llm_chat_part(c, LLM_PART_REASONING, LLM_ROLE_ASSISTANT,
                             message);
        if (part == NULL) {
            return LLM_NOMEM;
        }

        llm_openai_read_detail(part, &raw);

        if (part->text.n != 0) {
            *text = llm_slice_null;
        }
    }

    if (text->n == 0) {
        return LLM_OK;
    }

    for ( /* void */ ; at < c->parts.n; at += sizeof(llm_part_t)) {
        part = (llm_part_t *) (void *) (c->parts.p + at);

        if (part->signature.n != 0) {
            part->text = *text;
            *text = llm_slice_null;
            break;
        }
    }

    return LLM_OK;
}


static llm_rc_t
llm_openai_read_message_reasoning(llm_chat_t *c, unsigned message,
    const llm_openai_message_t *m)
{
    llm_rc_t      rc;
    llm_part_t   *part;
    llm_slice_t   text;

    text = m->reasoning;

    if (m->details.p != NULL) {
        rc = llm_openai_read_details(c, message, &m->details, &text);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    if (text.n == 0) {
        return LLM_OK;
    }

    part = llm_chat_part(c, LLM_PART_REASONING, LLM_ROLE_ASSISTANT, message);
    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->text = text;

    return LLM_OK;
}


/* {"name":…,"arguments":…} */
static void
llm_openai_read_call(llm_part_t *part, const llm_slice_t *function)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, function);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && llm_json_is(&key, "name")) {
            part->name = v;

        } else if (llm_json_is(&key, "arguments")) {

            if (type == LLM_JSON_STRING || type == LLM_JSON_OBJECT) {
                part->args = v;
                part->args_string = type == LLM_JSON_STRING;
            }
        }
    }
}


/* One of tool_calls; Google keeps Gemini's signature in extra_content. */
static llm_rc_t
llm_openai_read_tool_call(llm_chat_t *c, unsigned message,
    const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_part_t      *part;
    llm_slice_t      key, v, type, google;
    llm_json_type_t  t;

    part = llm_chat_part(c, LLM_PART_TOOL_CALL, LLM_ROLE_ASSISTANT, message);
    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->raw = *raw;
    type = llm_slice_null;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &t)) {

        if (t == LLM_JSON_STRING && llm_json_is(&key, "id")) {
            part->id = v;

        } else if (t == LLM_JSON_STRING && llm_json_is(&key, "type")) {
            type = v;

        } else if (t == LLM_JSON_OBJECT && llm_json_is(&key, "function")) {
            llm_openai_read_call(part, &v);

        } else if (t == LLM_JSON_OBJECT
                   && llm_json_is(&key, "extra_content"))
        {
            google = llm_openai_find(&v, "google", LLM_JSON_OBJECT);

            if (google.p != NULL) {
                part->signature = llm_openai_find(&google,
                                                  "thought_signature",
                                                  LLM_JSON_STRING);
            }
        }
    }

    if (part->name.n == 0) {

        if (type.n == 0 || llm_json_is(&type, "function")) {
            return llm_chat_wrong(c, "messages");
        }

        part->type = LLM_PART_OTHER;
        part->name = type;
    }

    return LLM_OK;
}


llm_rc_t
llm_openai_read_calls(llm_chat_t *c, unsigned message,
    const llm_slice_t *calls)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      raw;
    llm_json_type_t  type;

    llm_json_reopen(&j, calls);

    while (llm_json_element(&j, &raw, &type)) {

        if (type != LLM_JSON_OBJECT) {
            return llm_chat_wrong(c, "messages");
        }

        rc = llm_openai_read_tool_call(c, message, &raw);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* A member that is a string. */
static void
llm_openai_message_string(llm_openai_message_t *m, const llm_slice_t *key,
    const llm_slice_t *v)
{
    if (llm_json_is(key, "role")) {
        m->role = *v;

    } else if (llm_json_is(key, "name")) {
        m->name = *v;

    } else if (llm_json_is(key, "tool_call_id")) {
        m->id = *v;

    } else if (llm_json_is(key, "refusal")) {
        m->refusal = *v;

    } else if (llm_json_is(key, "reasoning_content")
               || (llm_json_is(key, "reasoning") && m->reasoning.n == 0))
    {
        m->reasoning = *v;
    }
}


/* The members of a message; j stands behind its brace.  0: it is broken. */
static int
llm_openai_message_members(llm_openai_message_t *m, llm_json_t *j)
{
    llm_slice_t      key, v;
    llm_json_type_t  type;

    memset(m, 0, sizeof(llm_openai_message_t));
    m->content_type = LLM_JSON_NULL;

    while (llm_json_member(j, &key, &v, &type)) {

        if (llm_json_is(&key, "content")) {
            m->content = v;
            m->content_type = type;

        } else if (type == LLM_JSON_STRING) {
            llm_openai_message_string(m, &key, &v);

        } else if (type == LLM_JSON_ARRAY) {

            if (llm_json_is(&key, "tool_calls")) {
                m->calls = v;

            } else if (llm_json_is(&key, "reasoning_details")) {
                m->details = v;
            }

        } else if (type == LLM_JSON_OBJECT) {

            if (llm_json_is(&key, "function_call")) {
                m->function = v;

            } else if (llm_json_is(&key, "audio")) {
                m->audio = v;
            }
        }
    }

    return j->error == LLM_OK;
}


static llm_rc_t
llm_openai_read_assistant(llm_chat_t *c, unsigned message,
    const llm_openai_message_t *m)
{
    llm_rc_t     rc;
    llm_part_t  *part;

    rc = llm_openai_read_message_reasoning(c, message, m);
    if (rc != LLM_OK) {
        return rc;
    }

    rc = llm_openai_read_content(c, LLM_ROLE_ASSISTANT, message, 0,
                                 m->content_type, &m->content);
    if (rc != LLM_OK) {
        return rc;
    }

    if (m->refusal.n != 0) {
        part = llm_chat_part(c, LLM_PART_REFUSAL, LLM_ROLE_ASSISTANT,
                             message);
        if (part == NULL) {
            return LLM_NOMEM;
        }

        part->text = m->refusal;
    }

    if (m->calls.p != NULL) {
        return llm_openai_read_calls(c, message, &m->calls);
    }

    if (m->function.p != NULL) {
        part = llm_chat_part(c, LLM_PART_TOOL_CALL, LLM_ROLE_ASSISTANT,
                             message);
        if (part == NULL) {
            return LLM_NOMEM;
        }

        llm_openai_read_call(part, &m->function);
    }

    return LLM_OK;
}


/* A result of a tool: what it holds are inner parts. */
static llm_rc_t
llm_openai_read_result(llm_chat_t *c, unsigned message,
    const llm_openai_message_t *m)
{
    llm_part_t  *part;

    part = llm_chat_part(c, LLM_PART_TOOL_RESULT, LLM_ROLE_TOOL, message);
    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->id = m->id;
    part->name = m->name;

    return llm_openai_read_content(c, LLM_ROLE_TOOL, message, 1,
                                   m->content_type, &m->content);
}


/* What no other dialect has a place for. */
static llm_rc_t
llm_openai_message_extras(llm_chat_t *c, const llm_openai_message_t *m)
{
    llm_rc_t     rc;
    llm_slice_t  name;

    if (m->name.n != 0) {
        name = llm_slice("messages[].name");

        rc = llm_chat_extra(c, &name, &m->name);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    if (m->audio.p == NULL) {
        return LLM_OK;
    }

    name = llm_slice("messages[].audio");

    return llm_chat_extra(c, &name, &m->audio);
}


static llm_rc_t
llm_openai_read_message(llm_chat_t *c, unsigned message,
    const llm_openai_message_t *m)
{
    llm_rc_t    rc;
    llm_role_t  role;

    if (llm_json_is(&m->role, "tool") || llm_json_is(&m->role, "function")) {
        return llm_openai_read_result(c, message, m);
    }

    rc = llm_openai_message_extras(c, m);
    if (rc != LLM_OK) {
        return rc;
    }

    if (llm_json_is(&m->role, "assistant")) {
        return llm_openai_read_assistant(c, message, m);
    }

    if (llm_json_is(&m->role, "user")) {
        role = LLM_ROLE_USER;

    } else if (llm_json_is(&m->role, "system")
               || llm_json_is(&m->role, "developer"))
    {
        role = LLM_ROLE_SYSTEM;

    } else {
        return llm_chat_wrong(c, "messages");
    }

    return llm_openai_read_content(c, role, message, 0, m->content_type,
                                   &m->content);
}


/*
 * The list is read while it is validated.  Once a message is wrong the rest
 * is only skipped.
 */
llm_rc_t
llm_openai_read_messages(llm_chat_t *c, llm_json_t *j)
{
    llm_rc_t               rc;
    unsigned               n;
    llm_slice_t            raw;
    llm_json_type_t        type;
    llm_openai_message_t   m;

    c->parts.n = 0;
    type = llm_json_next(j);

    if (type == LLM_JSON_NULL || type == LLM_JSON_ERROR) {
        return LLM_OK;
    }

    if (type != LLM_JSON_ARRAY) {
        rc = llm_chat_wrong(c, "messages");

        if (type == LLM_JSON_OBJECT) {
            (void) llm_json_skip_rest(j, &raw);
        }

        return rc;
    }

    for (n = 0, rc = LLM_OK; rc == LLM_OK; n++) {
        type = llm_json_next(j);

        if (type == LLM_JSON_ARRAY_END || type == LLM_JSON_ERROR) {
            return LLM_OK;
        }

        if (type != LLM_JSON_OBJECT) {
            if (type == LLM_JSON_ARRAY) {
                (void) llm_json_skip_rest(j, &raw);
            }

            rc = llm_chat_wrong(c, "messages");
            break;
        }

        if (!llm_openai_message_members(&m, j)) {
            return LLM_OK;
        }

        rc = llm_openai_read_message(c, n, &m);
    }

    while (llm_json_element(j, &raw, &type)) {
        /* void */
    }

    return rc;
}
