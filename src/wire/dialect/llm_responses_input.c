/*
 * OpenAI Responses: the input of a request, item by item, in the one pass
 * that validates it.  A large string is looked at once, and never copied.
 */

#include "llm_responses.h"
#include "llm_openai_chat.h"


/* The message that the next item may belong to. */
typedef struct {
    unsigned        message;
    llm_role_t      role;
    unsigned        said;           /* it has a text */
    unsigned        calls;
    unsigned        any;
} llm_responses_turn_t;

typedef struct {
    llm_slice_t     type;
    llm_slice_t     role;
    llm_slice_t     id;
    llm_slice_t     call_id;
    llm_slice_t     name;
    llm_slice_t     args;
    llm_slice_t     encrypted;
    llm_slice_t     signature;
    llm_slice_t     raw;
    unsigned        args_string;
    unsigned        content;        /* was there */
    unsigned        output;
} llm_responses_input_t;

/* One part of a content. */
typedef struct {
    llm_slice_t     type;
    llm_slice_t     text;
    llm_slice_t     url;            /* image_url, file_url */
    llm_slice_t     detail;
    llm_slice_t     file_id;
    llm_slice_t     file_data;
    llm_slice_t     filename;
    llm_slice_t     audio;
    llm_slice_t     raw;
} llm_responses_content_t;


static void
llm_responses_content_member(llm_responses_content_t *p,
    const llm_slice_t *key, llm_json_type_t type, const llm_slice_t *v)
{
    if (type == LLM_JSON_OBJECT) {

        if (llm_json_is(key, "input_audio")) {
            p->audio = *v;
        }

    } else if (type != LLM_JSON_STRING) {
        return;

    } else if (llm_json_is(key, "type")) {
        p->type = *v;

    } else if (llm_json_is(key, "text") || llm_json_is(key, "refusal")) {
        p->text = *v;

    } else if (llm_json_is(key, "image_url") || llm_json_is(key, "file_url"))
    {
        p->url = *v;

    } else if (llm_json_is(key, "detail")) {
        p->detail = *v;

    } else if (llm_json_is(key, "file_id")) {
        p->file_id = *v;

    } else if (llm_json_is(key, "file_data")) {
        p->file_data = *v;

    } else if (llm_json_is(key, "filename")) {
        p->filename = *v;
    }
}


static llm_part_type_t
llm_responses_content_type(const llm_responses_content_t *p)
{
    if (llm_json_is(&p->type, "input_text")
        || llm_json_is(&p->type, "output_text")
        || llm_json_is(&p->type, "text"))
    {
        return LLM_PART_TEXT;
    }

    if (llm_json_is(&p->type, "reasoning_text")
        || llm_json_is(&p->type, "summary_text"))
    {
        return LLM_PART_REASONING;
    }

    if (llm_json_is(&p->type, "refusal")) {
        return LLM_PART_REFUSAL;
    }

    /* what lies at OpenAI no other provider can read */

    if (llm_json_is(&p->type, "input_image") && p->url.n != 0) {
        return LLM_PART_IMAGE;
    }

    if (llm_json_is(&p->type, "input_file")
        && (p->url.n != 0 || p->file_data.n != 0 || p->file_id.n != 0))
    {
        return LLM_PART_FILE;
    }

    if (llm_json_is(&p->type, "input_audio") && p->audio.p != NULL) {
        return LLM_PART_AUDIO;
    }

    return LLM_PART_OTHER;
}


static void
llm_responses_set_audio(llm_part_t *part, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && llm_json_is(&key, "data")) {
            part->data = v;

        } else if (type == LLM_JSON_STRING && llm_json_is(&key, "format")) {
            part->media = llm_openai_audio_media(&v);
        }
    }
}


static void
llm_responses_set_file(llm_part_t *part, const llm_responses_content_t *p)
{
    part->name = p->filename;
    part->id = p->file_id;
    part->url = p->url;

    if (p->file_data.n != 0
        && !llm_chat_data_url(&p->file_data, &part->media, &part->data))
    {
        part->media = llm_slice("application/pdf");
        part->data = p->file_data;
    }
}


/* One part as it was read; its role and message are set with the item's. */
static llm_rc_t
llm_responses_add(llm_chat_t *c, unsigned inner,
    const llm_responses_content_t *p)
{
    llm_part_t  *part;

    part = llm_chat_part(c, llm_responses_content_type(p), LLM_ROLE_USER, 0);
    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->inner = inner;
    part->raw = p->raw;

    switch (part->type) {

    case LLM_PART_IMAGE:
        part->name = p->detail;

        if (!llm_chat_data_url(&p->url, &part->media, &part->data)) {
            part->url = p->url;
        }

        break;

    case LLM_PART_FILE:
        llm_responses_set_file(part, p);
        break;

    case LLM_PART_AUDIO:
        llm_responses_set_audio(part, &p->audio);
        break;

    case LLM_PART_OTHER:
        part->name = p->type;
        break;

    default:
        part->text = p->text;
        break;
    }

    return LLM_OK;
}


/* A content, the value that comes next: a string or an array of parts. */
static llm_rc_t
llm_responses_read_content(llm_chat_t *c, llm_json_t *j, unsigned inner)
{
    llm_rc_t                 rc;
    llm_slice_t              key, v;
    llm_json_type_t          type;
    llm_responses_content_t  p;

    memset(&p, 0, sizeof(llm_responses_content_t));
    type = llm_json_next(j);

    if (type == LLM_JSON_STRING) {
        p.type = llm_slice("text");
        p.text = j->tok;
        p.text.escaped = 1;

        return llm_responses_add(c, inner, &p);
    }

    if (type == LLM_JSON_OBJECT) {

        /* a screenshot: of an item that is kept as it came */

        (void) llm_json_skip_rest(j, &v);
        return LLM_OK;
    }

    if (type != LLM_JSON_ARRAY) {
        return LLM_OK;
    }

    while (llm_json_object(j)) {
        memset(&p, 0, sizeof(llm_responses_content_t));
        p.raw.p = j->start;

        while (llm_json_member(j, &key, &v, &type)) {
            llm_responses_content_member(&p, &key, type, &v);
        }

        p.raw.n = (size_t) (j->p - p.raw.p);

        rc = llm_responses_add(c, inner, &p);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


static void
llm_responses_input_string(llm_responses_input_t *it,
    const llm_slice_t *key, const llm_slice_t *v)
{
    if (llm_json_is(key, "type")) {
        it->type = *v;

    } else if (llm_json_is(key, "role")) {
        it->role = *v;

    } else if (llm_json_is(key, "id")) {
        it->id = *v;

    } else if (llm_json_is(key, "call_id")) {
        it->call_id = *v;

    } else if (llm_json_is(key, "name")) {
        it->name = *v;

    } else if (llm_json_is(key, "encrypted_content")) {
        it->encrypted = *v;

    } else if (llm_json_is(key, "arguments")) {
        it->args = *v;
        it->args_string = 1;
    }
}


/* Gemini's signature of a call, where OpenAI's chat has it as well. */
static llm_slice_t
llm_responses_signature(const llm_slice_t *extra)
{
    llm_json_t       j;
    llm_slice_t      key, v, s;
    llm_json_t       inside;
    llm_json_type_t  type;

    s = llm_slice_null;
    llm_json_reopen(&j, extra);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type != LLM_JSON_OBJECT || !llm_json_is(&key, "google")) {
            continue;
        }

        llm_json_reopen(&inside, &v);

        while (llm_json_member(&inside, &key, &v, &type)) {
            if (type == LLM_JSON_STRING
                && llm_json_is(&key, "thought_signature"))
            {
                s = v;
            }
        }
    }

    return s;
}


/* The members of an item; j stands behind its brace.  Its contents become
 * parts. */
static llm_rc_t
llm_responses_input_members(llm_chat_t *c, llm_json_t *j,
    llm_responses_input_t *it)
{
    llm_rc_t         rc;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    memset(it, 0, sizeof(llm_responses_input_t));
    it->raw.p = j->start;

    while (llm_json_next(j) == LLM_JSON_KEY) {
        key = j->tok;
        rc = LLM_OK;

        if (llm_json_is(&key, "content") || llm_json_is(&key, "summary")) {
            it->content = 1;
            rc = llm_responses_read_content(c, j, 0);

        } else if (llm_json_is(&key, "output")) {
            it->output = 1;
            rc = llm_responses_read_content(c, j, 1);

        } else {
            type = llm_json_value(j, &v);

            if (type == LLM_JSON_STRING) {
                llm_responses_input_string(it, &key, &v);

            } else if (type != LLM_JSON_OBJECT) {
                continue;

            } else if (llm_json_is(&key, "arguments")) {
                it->args = v;

            } else if (llm_json_is(&key, "extra_content")) {
                it->signature = llm_responses_signature(&v);
            }
        }

        if (rc != LLM_OK) {
            return rc;
        }
    }

    it->raw.n = (size_t) (j->p - it->raw.p);

    return LLM_OK;
}


/* The number of the message that an item belongs to. */
static unsigned
llm_responses_turn(llm_responses_turn_t *t, llm_role_t role, unsigned said,
    unsigned call)
{
    /* what the model did in one turn is one message, so are the results */

    if (!t->any || t->role != role
        || (role != LLM_ROLE_ASSISTANT && role != LLM_ROLE_TOOL)
        || (said && t->said && !t->calls))
    {
        t->message++;
        t->role = role;
        t->said = 0;
        t->calls = 0;
        t->any = 1;
    }

    t->said |= said;
    t->calls |= call;

    return t->message;
}


/* Parts [at, end of the list) become content of a message. */
static llm_rc_t
llm_responses_put_message(llm_chat_t *c, llm_responses_turn_t *t, size_t at,
    const llm_responses_input_t *it)
{
    size_t       n;
    unsigned     message;
    llm_part_t  *part;
    llm_role_t   role;

    if (llm_json_is(&it->role, "assistant")) {
        role = LLM_ROLE_ASSISTANT;

    } else if (llm_json_is(&it->role, "system")
               || llm_json_is(&it->role, "developer"))
    {
        role = LLM_ROLE_SYSTEM;

    } else if (llm_json_is(&it->role, "user")) {
        role = LLM_ROLE_USER;

    } else {
        return llm_chat_wrong(c, "input");
    }

    message = llm_responses_turn(t, role, 1, 0);

    /* the place that was kept for the item itself is not needed */

    n = llm_chat_nparts(c) - at - 1;
    part = &llm_chat_parts(c)[at];

    memmove(part, part + 1, n * sizeof(llm_part_t));
    c->parts.n -= sizeof(llm_part_t);

    for ( /* void */ ; n != 0; n--, part++) {
        part->role = role;
        part->message = message;
        part->inner = 0;
    }

    return LLM_OK;
}


static llm_rc_t
llm_responses_put_result(llm_chat_t *c, llm_responses_turn_t *t, size_t at,
    const llm_responses_input_t *it)
{
    size_t       i;
    unsigned     message;
    llm_part_t  *part;

    message = llm_responses_turn(t, LLM_ROLE_TOOL, 0, 0);
    part = llm_chat_parts(c);

    part[at].type = LLM_PART_TOOL_RESULT;
    part[at].id = it->call_id;
    part[at].name = it->name;
    part[at].raw = it->raw;

    for (i = at; i < llm_chat_nparts(c); i++) {
        part[i].role = LLM_ROLE_TOOL;
        part[i].message = message;
        part[i].inner = i != at;
    }

    return LLM_OK;
}


/*
 * Summaries and reasoning texts are parts by now.  What is encrypted comes
 * back where it was said: as the signature of a text, or alone.
 */
static llm_rc_t
llm_responses_put_reasoning(llm_chat_t *c, llm_responses_turn_t *t,
    size_t at, const llm_responses_input_t *it)
{
    size_t       i, n;
    unsigned     message;
    llm_part_t  *part;

    message = llm_responses_turn(t, LLM_ROLE_ASSISTANT, 0, 0);
    part = llm_chat_parts(c);
    n = at;

    for (i = at + 1; i < llm_chat_nparts(c); i++) {
        if (part[i].type == LLM_PART_REASONING && part[i].text.n != 0) {
            part[n] = part[i];
            part[n].role = LLM_ROLE_ASSISTANT;
            part[n].message = message;
            part[n].inner = 0;
            part[n].raw = llm_slice_null;
            n++;
        }
    }

    if (n == at) {
        part[n].type = LLM_PART_REASONING;
        part[n].role = LLM_ROLE_ASSISTANT;
        part[n].message = message;

        if (it->encrypted.n != 0) {
            part[n].data = it->encrypted;
            n++;
        }

    } else {
        part[n - 1].signature = it->encrypted;
    }

    /* the first one stands for the item, which has an id */

    if (n != at) {
        part[at].id = it->id;
        part[at].raw = it->raw;
    }

    c->parts.n = n * sizeof(llm_part_t);

    return LLM_OK;
}


/* An item that says nothing but itself. */
static llm_rc_t
llm_responses_put_item(llm_chat_t *c, llm_responses_turn_t *t, size_t at,
    const llm_responses_input_t *it)
{
    unsigned     call;
    llm_part_t  *part;

    call = llm_json_is(&it->type, "function_call");
    part = &llm_chat_parts(c)[at];

    c->parts.n = (at + 1) * sizeof(llm_part_t);

    part->role = LLM_ROLE_ASSISTANT;
    part->message = llm_responses_turn(t, LLM_ROLE_ASSISTANT, 0, call);
    part->raw = it->raw;

    if (!call) {
        part->name = it->type.n != 0 ? it->type
                                     : llm_slice("item_reference");
        return LLM_OK;
    }

    if (it->name.n == 0) {
        return llm_chat_wrong(c, "input");
    }

    part->type = LLM_PART_TOOL_CALL;
    part->id = it->call_id.n != 0 ? it->call_id : it->id;
    part->name = it->name;
    part->args = it->args;
    part->args_string = it->args_string;
    part->signature = it->signature;

    return LLM_OK;
}


/* One item; j stands behind its brace. */
static llm_rc_t
llm_responses_read_item(llm_chat_t *c, llm_json_t *j,
    llm_responses_turn_t *t)
{
    size_t                 at;
    llm_rc_t               rc;
    llm_responses_input_t  it;

    at = llm_chat_nparts(c);

    if (llm_chat_part(c, LLM_PART_OTHER, LLM_ROLE_USER, 0) == NULL) {
        return LLM_NOMEM;
    }

    rc = llm_responses_input_members(c, j, &it);
    if (rc != LLM_OK) {
        return rc;
    }

    if (llm_json_is(&it.type, "message")
        || (it.type.p == NULL && it.role.p != NULL))
    {
        return llm_responses_put_message(c, t, at, &it);
    }

    if (llm_json_is(&it.type, "function_call_output")) {
        return llm_responses_put_result(c, t, at, &it);
    }

    if (llm_json_is(&it.type, "reasoning")) {
        return llm_responses_put_reasoning(c, t, at, &it);
    }

    if (it.type.p == NULL && it.id.p == NULL) {
        return llm_chat_wrong(c, "input");
    }

    return llm_responses_put_item(c, t, at, &it);
}


llm_rc_t
llm_responses_read_input(llm_chat_t *c, llm_json_t *j)
{
    llm_rc_t              rc;
    llm_part_t           *part;
    llm_slice_t           v;
    llm_json_type_t       type;
    llm_responses_turn_t  t;

    c->parts.n = 0;
    memset(&t, 0, sizeof(llm_responses_turn_t));
    type = llm_json_next(j);

    if (type == LLM_JSON_STRING) {
        part = llm_chat_part(c, LLM_PART_TEXT, LLM_ROLE_USER, 1);
        if (part == NULL) {
            return LLM_NOMEM;
        }

        part->text = j->tok;
        part->text.escaped = 1;
        return LLM_OK;
    }

    if (type == LLM_JSON_OBJECT) {
        (void) llm_json_skip_rest(j, &v);
        return llm_chat_wrong(c, "input");
    }

    if (type != LLM_JSON_ARRAY) {
        return type == LLM_JSON_NULL || type == LLM_JSON_ERROR
               ? LLM_OK : llm_chat_wrong(c, "input");
    }

    rc = LLM_OK;

    while ((type = llm_json_next(j)) != LLM_JSON_ARRAY_END
           && type != LLM_JSON_ERROR)
    {
        if (type == LLM_JSON_OBJECT && rc == LLM_OK) {
            rc = llm_responses_read_item(c, j, &t);

            if (rc == LLM_NOMEM) {
                return rc;
            }

            continue;
        }

        /* once an item is wrong the rest is only validated */

        rc = llm_chat_wrong(c, "input");

        if (type == LLM_JSON_OBJECT || type == LLM_JSON_ARRAY) {
            (void) llm_json_skip_rest(j, &v);
        }
    }

    return rc;
}
