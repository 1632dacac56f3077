/*
 * OpenAI chat completions: a request's body to a value.  What is unknown at
 * the top level is kept as it came; it must never copy a string.
 */

#include "llm_openai.h"
#include "llm_openai_chat.h"


typedef struct {
    llm_chat_t      *c;
    llm_slice_t      max_tokens;    /* the old name */
    llm_slice_t      safety;        /* safety_identifier */
    llm_slice_t      allowed;       /* tool_choice: array of tools */
} llm_openai_body_t;

typedef enum {
    LLM_OPENAI_NUMBER = 0,
    LLM_OPENAI_STRING,
    LLM_OPENAI_FLAG,
    LLM_OPENAI_READ
} llm_openai_kind_t;

typedef struct {
    const char         *name;
    llm_openai_kind_t   kind;
    size_t              at;         /* in llm_chat_t, of a plain one */
    llm_rc_t          (*read)(llm_openai_body_t *b, llm_json_type_t type,
                              const llm_slice_t *v);
} llm_openai_member_t;


static llm_rc_t
llm_openai_read_options(llm_openai_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_json_t       j;
    llm_slice_t      key, s, name;
    llm_json_type_t  t;

    b->c->include_usage = -1;

    if (type != LLM_JSON_OBJECT) {
        return type == LLM_JSON_NULL
               ? LLM_OK : llm_chat_wrong(b->c, "stream_options");
    }

    llm_json_reopen(&j, v);

    while (llm_json_member(&j, &key, &s, &t)) {
        if (llm_json_is(&key, "include_usage")) {
            b->c->include_usage = llm_json_flag(t);

        } else if (llm_json_is(&key, "include_obfuscation")) {
            name = llm_slice("stream_options.include_obfuscation");

            if (llm_chat_extra(b->c, &name, &s) != LLM_OK) {
                return LLM_NOMEM;
            }
        }
    }

    return LLM_OK;
}


static llm_rc_t
llm_openai_read_max(llm_openai_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    return llm_chat_read_number(b->c, &b->max_tokens, type, v, "max_tokens");
}


static llm_rc_t
llm_openai_read_safety(llm_openai_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    return llm_chat_read_string(b->c, &b->safety, type, v,
                                "safety_identifier");
}


static llm_rc_t
llm_openai_read_metadata(llm_openai_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    b->c->metadata = llm_slice_null;

    if (type == LLM_JSON_OBJECT) {
        b->c->metadata = *v;
        return LLM_OK;
    }

    return type == LLM_JSON_NULL ? LLM_OK : llm_chat_wrong(b->c, "metadata");
}


static llm_rc_t
llm_openai_read_stop(llm_openai_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    return llm_chat_read_stops(b->c, type, v, "stop");
}


static llm_rc_t
llm_openai_read_effort(llm_openai_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    b->c->effort = LLM_EFFORT_UNSAID;

    if (type == LLM_JSON_NULL) {
        return LLM_OK;
    }

    if (type == LLM_JSON_STRING) {
        b->c->effort = llm_effort_find(v);
    }

    return b->c->effort != LLM_EFFORT_UNSAID
           ? LLM_OK : llm_chat_wrong(b->c, "reasoning_effort");
}


/* OpenRouter's object. */
static llm_rc_t
llm_openai_read_reasoning(llm_openai_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_json_t       j;
    llm_slice_t      key, s;
    llm_json_type_t  t;

    if (type != LLM_JSON_OBJECT) {
        return type == LLM_JSON_NULL
               ? LLM_OK : llm_chat_wrong(b->c, "reasoning");
    }

    llm_json_reopen(&j, v);

    while (llm_json_member(&j, &key, &s, &t)) {

        if (t == LLM_JSON_STRING && llm_json_is(&key, "effort")) {
            b->c->effort = llm_effort_find(&s);

        } else if (t == LLM_JSON_NUMBER && llm_json_is(&key, "max_tokens")) {
            b->c->budget = s;

        } else if (llm_json_is(&key, "exclude")) {
            b->c->thoughts = t == LLM_JSON_TRUE ? 0
                             : t == LLM_JSON_FALSE ? 1 : -1;

        } else if (llm_json_is(&key, "enabled")
                   && b->c->effort == LLM_EFFORT_UNSAID)
        {
            b->c->effort = t == LLM_JSON_TRUE ? LLM_EFFORT_AUTO
                           : t == LLM_JSON_FALSE ? LLM_EFFORT_NONE
                           : LLM_EFFORT_UNSAID;
        }
    }

    return LLM_OK;
}


static llm_rc_t
llm_openai_read_response_format(llm_openai_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    return llm_openai_read_format(b->c, type, v);
}


static llm_rc_t
llm_openai_read_tool_list(llm_openai_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    return llm_openai_read_tools(b->c, type, v);
}


static llm_rc_t
llm_openai_read_function_list(llm_openai_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    return llm_openai_read_functions(b->c, type, v);
}


static llm_rc_t
llm_openai_read_tool_choice(llm_openai_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    return llm_openai_read_choice(b->c, &b->allowed, type, v,
                                  "tool_choice");
}


static llm_rc_t
llm_openai_read_function_call(llm_openai_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    return llm_openai_read_choice(b->c, &b->allowed, type, v,
                                  "function_call");
}


#define llm_openai_plain(name, kind, field)                                 \
    { name, LLM_OPENAI_ ## kind, offsetof(llm_chat_t, field), NULL }
#define llm_openai_other(name, read)                                        \
    { name, LLM_OPENAI_READ, 0, read }

static const llm_openai_member_t  llm_openai_members[] = {
    llm_openai_plain("model", STRING, model),
    llm_openai_plain("stream", FLAG, stream),
    llm_openai_plain("max_completion_tokens", NUMBER, max_tokens),
    llm_openai_plain("temperature", NUMBER, temperature),
    llm_openai_plain("top_p", NUMBER, top_p),
    llm_openai_plain("top_k", NUMBER, top_k),
    llm_openai_plain("min_p", NUMBER, min_p),
    llm_openai_plain("seed", NUMBER, seed),
    llm_openai_plain("random_seed", NUMBER, seed),
    llm_openai_plain("presence_penalty", NUMBER, presence),
    llm_openai_plain("frequency_penalty", NUMBER, frequency),
    llm_openai_plain("n", NUMBER, n),
    llm_openai_plain("logprobs", FLAG, logprobs),
    llm_openai_plain("top_logprobs", NUMBER, top_logprobs),
    llm_openai_plain("parallel_tool_calls", FLAG, parallel_tools),
    llm_openai_plain("user", STRING, user),
    llm_openai_other("max_tokens", llm_openai_read_max),
    llm_openai_other("stream_options", llm_openai_read_options),
    llm_openai_other("safety_identifier", llm_openai_read_safety),
    llm_openai_other("metadata", llm_openai_read_metadata),
    llm_openai_other("stop", llm_openai_read_stop),
    llm_openai_other("reasoning_effort", llm_openai_read_effort),
    llm_openai_other("reasoning", llm_openai_read_reasoning),
    llm_openai_other("response_format", llm_openai_read_response_format),
    llm_openai_other("tools", llm_openai_read_tool_list),
    llm_openai_other("functions", llm_openai_read_function_list),
    llm_openai_other("tool_choice", llm_openai_read_tool_choice),
    llm_openai_other("function_call", llm_openai_read_function_call),
    { NULL, LLM_OPENAI_NUMBER, 0, NULL }
};


static llm_rc_t
llm_openai_read_member(llm_openai_body_t *b, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    void                       *at;
    const llm_openai_member_t  *m;

    for (m = llm_openai_members; m->name != NULL; m++) {
        if (llm_json_eq(key, m->name, strlen(m->name))) {
            break;
        }
    }

    if (m->name == NULL) {
        return type == LLM_JSON_NULL ? LLM_OK : llm_chat_extra(b->c, key, v);
    }

    at = (llm_u8 *) b->c + m->at;

    switch (m->kind) {

    case LLM_OPENAI_NUMBER:
        return llm_chat_read_number(b->c, at, type, v, m->name);

    case LLM_OPENAI_STRING:
        return llm_chat_read_string(b->c, at, type, v, m->name);

    case LLM_OPENAI_FLAG:
        return llm_chat_read_flag(b->c, at, type, m->name);

    default:
        return m->read(b, type, v);
    }
}


/* What two members say is settled when all were read. */
static llm_rc_t
llm_openai_settle(llm_openai_body_t *b)
{
    llm_chat_t  *c;

    c = b->c;

    if (c->max_tokens.p == NULL) {
        c->max_tokens = b->max_tokens;
    }

    if (c->user.p == NULL) {
        c->user = b->safety;
    }

    if (b->allowed.p != NULL) {
        return llm_openai_read_allowed(c, &b->allowed, "tool_choice");
    }

    return LLM_OK;
}


llm_rc_t
llm_openai_read_body(llm_chat_t *c, const llm_u8 *body, size_t n,
    llm_rc_t (*own)(llm_chat_t *c, const llm_slice_t *key,
        llm_json_type_t type, const llm_slice_t *v))
{
    llm_rc_t           rc;
    llm_json_t         j;
    llm_slice_t        key, v;
    llm_json_type_t    type;
    llm_openai_body_t  b;

    memset(&b, 0, sizeof(llm_openai_body_t));
    b.c = c;

    llm_json_init(&j, body, n, c->max_depth);

    if (llm_json_next(&j) != LLM_JSON_OBJECT) {
        return j.error == LLM_TOO_DEEP ? LLM_TOO_DEEP : LLM_INVALID;
    }

    while (llm_json_next(&j) == LLM_JSON_KEY) {
        key = j.tok;

        if (own == NULL && llm_json_is(&key, "messages")) {
            rc = llm_openai_read_messages(c, &j);

        } else {
            type = llm_json_value(&j, &v);

            if (type == LLM_JSON_ERROR) {
                break;
            }

            rc = own != NULL ? own(c, &key, type, &v) : LLM_AGAIN;

            if (rc == LLM_AGAIN) {
                rc = llm_openai_read_member(&b, &key, type, &v);
            }
        }

        if (rc == LLM_NOMEM) {
            return rc;
        }
    }

    if (llm_json_next(&j) != LLM_JSON_END) {
        c->member = NULL;
        return j.error == LLM_TOO_DEEP ? LLM_TOO_DEEP : LLM_INVALID;
    }

    return c->member != NULL ? LLM_INVALID : llm_openai_settle(&b);
}


llm_rc_t
llm_openai_read_chat(llm_chat_t *c, const llm_u8 *body, size_t n)
{
    return llm_openai_read_body(c, body, n, NULL);
}
