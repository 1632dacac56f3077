/*
 * Ollama, both paths: a request's body to a value.
 *
 * /api/chat has messages as OpenAI's, with images and tool results in members
 * of their own; /api/generate has one prompt, which becomes one message of
 * the user's, and a system prompt in front of it.  No string is copied.
 */

#include "llm_ollama.h"
#include "llm_openai_chat.h"


/* what can only be read when all members are known: their order is free */
typedef struct {
    llm_chat_t      *c;
    llm_slice_t      messages;
    llm_slice_t      system;
    llm_slice_t      prompt;
    llm_slice_t      images;
} llm_ollama_body_t;

typedef struct {
    llm_slice_t      content;
    llm_slice_t      thinking;
    llm_slice_t      images;
    llm_slice_t      calls;
    llm_slice_t      name;      /* of the tool */
    llm_slice_t      id;        /* of the call */
    llm_role_t       role;
    unsigned         said;      /* role was there */
} llm_ollama_message_t;


#define llm_ollama_at(field)  offsetof(llm_chat_t, field)

const llm_ollama_option_t  llm_ollama_options[] = {
    { "num_predict", llm_ollama_at(max_tokens) },
    { "temperature", llm_ollama_at(temperature) },
    { "top_k", llm_ollama_at(top_k) },
    { "top_p", llm_ollama_at(top_p) },
    { "min_p", llm_ollama_at(min_p) },
    { "seed", llm_ollama_at(seed) },
    { "presence_penalty", llm_ollama_at(presence) },
    { "frequency_penalty", llm_ollama_at(frequency) },
    { NULL, 0 }
};


const char *const  llm_ollama_extras[] = {
    "keep_alive",
    "truncate",
    "shift",
    "options.num_ctx",
    "options.num_keep",
    "options.num_batch",
    "options.num_gpu",
    "options.num_thread",
    "options.main_gpu",
    "options.low_vram",
    "options.use_mmap",
    "options.use_mlock",
    "options.numa",
    "options.typical_p",
    "options.tfs_z",
    "options.repeat_last_n",
    "options.repeat_penalty",
    "options.penalize_newline",
    "options.mirostat",
    "options.mirostat_tau",
    "options.mirostat_eta",
    NULL
};


/* An option that only Ollama has.  One that is not in the list is none of the
 * server's. */
static llm_rc_t
llm_ollama_read_other(llm_chat_t *c, const llm_slice_t *key,
    const llm_slice_t *raw)
{
    size_t       i;
    const char  *name;
    llm_slice_t  extra;

    extra = llm_slice("options");

    for (i = LLM_OLLAMA_TOP; llm_ollama_extras[i] != NULL; i++) {
        name = llm_ollama_extras[i];

        if (llm_json_eq(key, name + LLM_OLLAMA_PREFIX,
                        strlen(name) - LLM_OLLAMA_PREFIX))
        {
            extra.p = (const llm_u8 *) name;
            extra.n = strlen(name);
        }
    }

    return llm_chat_extra(c, &extra, raw);
}


static llm_rc_t
llm_ollama_read_option(llm_chat_t *c, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    llm_rc_t                    rc;
    llm_slice_t                *to;
    const llm_ollama_option_t  *o;

    if (llm_json_is(key, "stop")) {
        return llm_chat_read_stops(c, type, v, "options.stop");
    }

    for (o = llm_ollama_options; o->name != NULL; o++) {

        if (!llm_json_eq(key, o->name, strlen(o->name))) {
            continue;
        }

        to = (llm_slice_t *) (void *) ((llm_u8 *) c + o->at);
        rc = llm_chat_read_number(c, to, type, v, "options");

        if (rc == LLM_OK && to == &c->max_tokens && to->n != 0
            && to->p[0] == '-')
        {
            *to = llm_slice_null;       /* no limit */
        }

        return rc;
    }

    return type == LLM_JSON_NULL || type == LLM_JSON_STRING
           ? LLM_OK : llm_ollama_read_other(c, key, v);
}


static llm_rc_t
llm_ollama_read_options(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, s;
    llm_json_type_t  t;

    if (type != LLM_JSON_OBJECT) {
        return type == LLM_JSON_NULL ? LLM_OK : llm_chat_wrong(c, "options");
    }

    llm_json_reopen(&j, v);

    while (llm_json_member(&j, &key, &s, &t)) {
        rc = llm_ollama_read_option(c, &key, t, &s);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


static llm_rc_t
llm_ollama_read_format(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v)
{
    c->format = LLM_FORMAT_UNSAID;

    if (type == LLM_JSON_OBJECT) {
        c->format = LLM_FORMAT_SCHEMA;
        c->schema = *v;

    } else if (type == LLM_JSON_STRING && llm_json_is(v, "json")) {
        c->format = LLM_FORMAT_OBJECT;

    } else if (type != LLM_JSON_NULL
               && !(type == LLM_JSON_STRING && v->n == 0))
    {
        return llm_chat_wrong(c, "format");
    }

    return LLM_OK;
}


/* Who asks for thinking is shown it. */
static llm_rc_t
llm_ollama_read_think(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v)
{
    c->effort = LLM_EFFORT_UNSAID;
    c->thoughts = -1;

    if (type == LLM_JSON_NULL) {
        return LLM_OK;
    }

    c->effort = type == LLM_JSON_TRUE ? LLM_EFFORT_AUTO
                : type == LLM_JSON_FALSE ? LLM_EFFORT_NONE
                : type == LLM_JSON_STRING ? llm_effort_find(v)
                : LLM_EFFORT_UNSAID;

    if (c->effort == LLM_EFFORT_UNSAID) {
        return llm_chat_wrong(c, "think");
    }

    if (c->effort != LLM_EFFORT_NONE) {
        c->thoughts = 1;
    }

    return LLM_OK;
}


/* Takes a member that both paths have; LLM_AGAIN: it is none. */
static llm_rc_t
llm_ollama_read_common(llm_chat_t *c, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    if (llm_json_is(key, "model")) {
        return llm_chat_read_string(c, &c->model, type, v, "model");
    }

    if (llm_json_is(key, "stream")) {
        return llm_chat_read_flag(c, &c->stream, type, "stream");
    }

    if (llm_json_is(key, "options")) {
        return llm_ollama_read_options(c, type, v);
    }

    if (llm_json_is(key, "format")) {
        return llm_ollama_read_format(c, type, v);
    }

    if (llm_json_is(key, "think")) {
        return llm_ollama_read_think(c, type, v);
    }

    if (llm_json_is(key, "logprobs")) {
        return llm_chat_read_flag(c, &c->logprobs, type, "logprobs");
    }

    if (llm_json_is(key, "top_logprobs")) {
        return llm_chat_read_number(c, &c->top_logprobs, type, v,
                                    "top_logprobs");
    }

    return LLM_AGAIN;
}


static llm_rc_t
llm_ollama_read_array(llm_chat_t *c, llm_slice_t *to, llm_json_type_t type,
    const llm_slice_t *v, const char *member)
{
    *to = llm_slice_null;

    if (type == LLM_JSON_ARRAY) {
        *to = *v;
        return LLM_OK;
    }

    return type == LLM_JSON_NULL ? LLM_OK : llm_chat_wrong(c, member);
}


static llm_rc_t
llm_ollama_chat_member(llm_ollama_body_t *b, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    if (llm_json_is(key, "messages")) {
        return llm_ollama_read_array(b->c, &b->messages, type, v,
                                     "messages");
    }

    if (llm_json_is(key, "tools")) {
        return llm_openai_read_tools(b->c, type, v);
    }

    return LLM_AGAIN;
}


static llm_rc_t
llm_generate_member(llm_ollama_body_t *b, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    llm_json_t       j;
    llm_slice_t      s;
    llm_json_type_t  t;

    if (llm_json_is(key, "prompt")) {
        return llm_chat_read_string(b->c, &b->prompt, type, v, "prompt");
    }

    if (llm_json_is(key, "system")) {
        return llm_chat_read_string(b->c, &b->system, type, v, "system");
    }

    if (llm_json_is(key, "suffix")) {
        return llm_chat_read_string(b->c, &b->c->suffix, type, v, "suffix");
    }

    if (llm_json_is(key, "images")) {
        return llm_ollama_read_array(b->c, &b->images, type, v, "images");
    }

    if (llm_json_is(key, "context") && type == LLM_JSON_ARRAY) {
        llm_json_reopen(&j, v);

        /* the Python client sends an empty one */

        return llm_json_element(&j, &s, &t) ? LLM_AGAIN : LLM_OK;
    }

    return LLM_AGAIN;
}


/* A member that is neither's; the Python client sends some without a value. */
static llm_rc_t
llm_ollama_read_extra(llm_chat_t *c, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    llm_rc_t  rc;

    if (type == LLM_JSON_NULL || (type == LLM_JSON_STRING && v->n == 0)
        || (type == LLM_JSON_FALSE && llm_json_is(key, "raw")))
    {
        return LLM_OK;
    }

    rc = llm_chat_extra(c, key, v);

    /* how the prompt is to be read: without it, it is another one */

    if (rc == LLM_OK && (llm_json_is(key, "raw")
                         || llm_json_is(key, "template")
                         || llm_json_is(key, "context")))
    {
        llm_chat_extras(c)[llm_chat_nextras(c) - 1].meaning = 1;
    }

    return rc;
}


/* The top level of a body; `member` takes what only one path has. */
static llm_rc_t
llm_ollama_read_body(llm_ollama_body_t *b, const llm_u8 *body, size_t n,
    llm_rc_t (*member)(llm_ollama_body_t *b, const llm_slice_t *key,
        llm_json_type_t type, const llm_slice_t *v))
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_init(&j, body, n, b->c->max_depth);

    if (llm_json_next(&j) == LLM_JSON_OBJECT) {

        while (llm_json_member(&j, &key, &v, &type)) {
            rc = llm_ollama_read_common(b->c, &key, type, &v);

            if (rc == LLM_AGAIN) {
                rc = member(b, &key, type, &v);
            }

            if (rc == LLM_AGAIN) {
                rc = llm_ollama_read_extra(b->c, &key, type, &v);
            }

            if (rc != LLM_OK) {
                return rc;
            }
        }

        if (llm_json_next(&j) == LLM_JSON_END) {
            return LLM_OK;
        }
    }

    return j.error == LLM_TOO_DEEP ? LLM_TOO_DEEP : LLM_INVALID;
}


/* Base64, or a data URL as other APIs have them. */
static llm_rc_t
llm_ollama_read_images(llm_chat_t *c, const llm_slice_t *images,
    llm_role_t role, unsigned message, unsigned inner)
{
    llm_json_t        j;
    llm_slice_t       v;
    llm_part_t       *part;
    llm_json_type_t   type;

    if (images->p == NULL) {
        return LLM_OK;
    }

    llm_json_reopen(&j, images);

    while (llm_json_element(&j, &v, &type)) {

        if (type != LLM_JSON_STRING) {
            return llm_chat_wrong(c, "images");
        }

        part = llm_chat_part(c, LLM_PART_IMAGE, role, message);
        if (part == NULL) {
            return LLM_NOMEM;
        }

        part->inner = inner;

        if (!llm_chat_data_url(&v, &part->media, &part->data)) {
            part->data = v;
        }
    }

    return LLM_OK;
}


static llm_rc_t
llm_ollama_read_text(llm_chat_t *c, llm_part_type_t type, llm_role_t role,
    unsigned message, const llm_slice_t *text)
{
    llm_part_t  *part;

    part = llm_chat_part(c, type, role, message);
    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->text = *text;

    return LLM_OK;
}


static llm_rc_t
llm_ollama_read_role(llm_chat_t *c, llm_ollama_message_t *m,
    const llm_slice_t *word)
{
    static const struct {
        const char  *word;
        llm_role_t   role;
    } roles[] = {
        { "system", LLM_ROLE_SYSTEM },
        { "developer", LLM_ROLE_SYSTEM },
        { "user", LLM_ROLE_USER },
        { "assistant", LLM_ROLE_ASSISTANT },
        { "tool", LLM_ROLE_TOOL }
    };

    size_t  i;

    for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (llm_json_eq(word, roles[i].word, strlen(roles[i].word))) {
            m->role = roles[i].role;
            m->said = 1;
            return LLM_OK;
        }
    }

    return llm_chat_wrong(c, "messages[].role");
}


static llm_rc_t
llm_ollama_message_member(llm_chat_t *c, llm_ollama_message_t *m,
    const llm_slice_t *key, llm_json_type_t type, const llm_slice_t *v)
{
    if (llm_json_is(key, "role")) {
        return type == LLM_JSON_STRING
               ? llm_ollama_read_role(c, m, v)
               : llm_chat_wrong(c, "messages[].role");
    }

    if (llm_json_is(key, "content")) {
        return llm_chat_read_string(c, &m->content, type, v,
                                    "messages[].content");
    }

    if (llm_json_is(key, "thinking")) {
        return llm_chat_read_string(c, &m->thinking, type, v,
                                    "messages[].thinking");
    }

    if (llm_json_is(key, "images")) {
        return llm_ollama_read_array(c, &m->images, type, v,
                                     "messages[].images");
    }

    if (llm_json_is(key, "tool_calls")) {
        return llm_ollama_read_array(c, &m->calls, type, v,
                                     "messages[].tool_calls");
    }

    if (llm_json_is(key, "tool_name")) {
        return llm_chat_read_string(c, &m->name, type, v,
                                    "messages[].tool_name");
    }

    if (llm_json_is(key, "tool_call_id")) {
        return llm_chat_read_string(c, &m->id, type, v,
                                    "messages[].tool_call_id");
    }

    return LLM_OK;
}


static llm_rc_t
llm_ollama_tool_result(llm_chat_t *c, const llm_ollama_message_t *m,
    unsigned message)
{
    llm_part_t  *part;

    part = llm_chat_part(c, LLM_PART_TOOL_RESULT, LLM_ROLE_TOOL, message);
    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->id = m->id;
    part->name = m->name;

    part = llm_chat_part(c, LLM_PART_TEXT, LLM_ROLE_TOOL, message);
    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->inner = 1;
    part->text = m->content.p != NULL ? m->content : llm_slice("");

    return llm_ollama_read_images(c, &m->images, LLM_ROLE_TOOL, message, 1);
}


static llm_rc_t
llm_ollama_parts(llm_chat_t *c, const llm_ollama_message_t *m,
    unsigned message)
{
    size_t       n;
    llm_rc_t     rc;
    llm_slice_t  text;

    if (m->role == LLM_ROLE_TOOL) {
        return llm_ollama_tool_result(c, m, message);
    }

    rc = LLM_OK;
    n = llm_chat_nparts(c);

    if (m->thinking.n != 0) {
        rc = llm_ollama_read_text(c, LLM_PART_REASONING, m->role, message,
                                  &m->thinking);
    }

    if (rc == LLM_OK && m->content.n != 0) {
        rc = llm_ollama_read_text(c, LLM_PART_TEXT, m->role, message,
                                  &m->content);
    }

    if (rc == LLM_OK) {
        rc = llm_ollama_read_images(c, &m->images, m->role, message, 0);
    }

    if (rc == LLM_OK && m->calls.p != NULL) {
        rc = llm_openai_read_calls(c, message, &m->calls);
    }

    if (rc == LLM_OK && llm_chat_nparts(c) == n) {

        /* a message without anything is still one */

        text = llm_slice("");
        rc = llm_ollama_read_text(c, LLM_PART_TEXT, m->role, message, &text);
    }

    return rc;
}


static llm_rc_t
llm_ollama_read_messages(llm_chat_t *c, const llm_slice_t *messages)
{
    llm_rc_t              rc;
    unsigned              message;
    llm_json_t            j, inside;
    llm_slice_t           key, v;
    llm_json_type_t       type;
    llm_ollama_message_t  m;

    llm_json_reopen(&j, messages);

    for (message = 0; llm_json_element(&j, &v, &type); message++) {

        if (type != LLM_JSON_OBJECT) {
            return llm_chat_wrong(c, "messages");
        }

        memset(&m, 0, sizeof(llm_ollama_message_t));
        llm_json_reopen(&inside, &v);

        while (llm_json_member(&inside, &key, &v, &type)) {
            rc = llm_ollama_message_member(c, &m, &key, type, &v);
            if (rc != LLM_OK) {
                return rc;
            }
        }

        if (!m.said) {
            return llm_chat_wrong(c, "messages[].role");
        }

        rc = llm_ollama_parts(c, &m, message);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


llm_rc_t
llm_ollama_read_chat(llm_chat_t *c, const llm_u8 *body, size_t n)
{
    llm_rc_t           rc;
    llm_ollama_body_t  b;

    memset(&b, 0, sizeof(llm_ollama_body_t));
    b.c = c;

    rc = llm_ollama_read_body(&b, body, n, llm_ollama_chat_member);

    if (rc == LLM_OK && b.messages.p != NULL) {
        rc = llm_ollama_read_messages(c, &b.messages);
    }

    return rc;
}


llm_rc_t
llm_generate_read_chat(llm_chat_t *c, const llm_u8 *body, size_t n)
{
    llm_rc_t           rc;
    llm_ollama_body_t  b;

    memset(&b, 0, sizeof(llm_ollama_body_t));
    b.c = c;

    rc = llm_ollama_read_body(&b, body, n, llm_generate_member);

    if (rc == LLM_OK && b.system.n != 0) {
        rc = llm_ollama_read_text(c, LLM_PART_TEXT, LLM_ROLE_SYSTEM, 0,
                                  &b.system);
    }

    if (rc == LLM_OK && (b.prompt.n != 0 || b.images.p == NULL)) {
        if (b.prompt.p == NULL) {
            b.prompt = llm_slice("");
        }

        rc = llm_ollama_read_text(c, LLM_PART_TEXT, LLM_ROLE_USER, 1,
                                  &b.prompt);
    }

    if (rc == LLM_OK) {
        rc = llm_ollama_read_images(c, &b.images, LLM_ROLE_USER, 1, 0);
    }

    return rc;
}
