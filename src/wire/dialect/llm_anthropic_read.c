/*
 * Anthropic messages: a client's request as a value.  It must never copy a
 * string of the body.
 *
 * A user message may hold tool results beside its text; they become messages
 * of their own, of the role TOOL, in the order in which they stand there.
 * Marks for the prompt cache are passed over: they change what a request
 * costs, not what it says.
 */

#include "llm_anthropic.h"


/* A content block of a request. */
typedef struct {
    llm_slice_t      type;
    llm_slice_t      text;
    llm_slice_t      thinking;
    llm_slice_t      signature;
    llm_slice_t      data;
    llm_slice_t      id;            /* and tool_use_id */
    llm_slice_t      name;
    llm_slice_t      title;
    llm_slice_t      input;
    llm_slice_t      content;       /* of a tool result */
    llm_json_type_t  content_type;
    unsigned         error;
    llm_slice_t      kind;          /* of the source, with what it holds */
    llm_slice_t      media;
    llm_slice_t      bytes;
    llm_slice_t      url;
    llm_slice_t      file;
    llm_slice_t      raw;
} llm_anthropic_input_t;


static void
llm_anthropic_source(llm_anthropic_input_t *b, llm_json_t *j)
{
    llm_slice_t      key, v;
    llm_json_type_t  type;

    while (llm_json_member(j, &key, &v, &type)) {

        if (type != LLM_JSON_STRING) {
            continue;
        }

        if (llm_json_is(&key, "type")) {
            b->kind = v;

        } else if (llm_json_is(&key, "media_type")) {
            b->media = v;

        } else if (llm_json_is(&key, "data")) {
            b->bytes = v;

        } else if (llm_json_is(&key, "url")) {
            b->url = v;

        } else if (llm_json_is(&key, "file_id")) {
            b->file = v;
        }
    }
}


static void
llm_anthropic_string_member(llm_anthropic_input_t *b, const llm_slice_t *key,
    const llm_slice_t *v)
{
    if (llm_json_is(key, "type")) {
        b->type = *v;

    } else if (llm_json_is(key, "text")) {
        b->text = *v;

    } else if (llm_json_is(key, "thinking")) {
        b->thinking = *v;

    } else if (llm_json_is(key, "signature")) {
        b->signature = *v;

    } else if (llm_json_is(key, "data")) {
        b->data = *v;

    } else if (llm_json_is(key, "id") || llm_json_is(key, "tool_use_id")) {
        b->id = *v;

    } else if (llm_json_is(key, "name")) {
        b->name = *v;

    } else if (llm_json_is(key, "title")) {
        b->title = *v;
    }
}


/* Reads a block; j stands behind its brace.  A source is not read twice: it
 * may be large. */
static void
llm_anthropic_input_block(llm_anthropic_input_t *b, llm_json_t *j)
{
    llm_slice_t      key, v;
    const llm_u8    *start;
    llm_json_type_t  type;

    memset(b, 0, sizeof(llm_anthropic_input_t));
    start = j->start;

    while (llm_json_next(j) == LLM_JSON_KEY) {
        key = j->tok;

        if (llm_json_is(&key, "source")) {
            type = llm_json_next(j);

            if (type == LLM_JSON_OBJECT) {
                llm_anthropic_source(b, j);

            } else if (type == LLM_JSON_ARRAY) {
                (void) llm_json_skip_rest(j, &v);
            }

            continue;
        }

        type = llm_json_value(j, &v);

        if (llm_json_is(&key, "content")) {
            b->content = v;
            b->content_type = type;

        } else if (type == LLM_JSON_STRING) {
            llm_anthropic_string_member(b, &key, &v);

        } else if (type == LLM_JSON_OBJECT && llm_json_is(&key, "input")) {
            b->input = v;

        } else if (llm_json_is(&key, "is_error")) {
            b->error = type == LLM_JSON_TRUE;
        }
    }

    b->raw.p = start;
    b->raw.n = (size_t) (j->p - start);
}


static llm_part_t *
llm_anthropic_media(llm_chat_t *c, const llm_anthropic_input_t *b,
    llm_role_t role, unsigned message)
{
    llm_part_t  *part;

    if (llm_json_is(&b->type, "document") && llm_json_is(&b->kind, "text")) {

        /* a document of plain characters */

        part = llm_chat_part(c, LLM_PART_TEXT, role, message);

        if (part != NULL) {
            part->text = b->bytes;
        }

        return part;
    }

    part = llm_chat_part(c, llm_json_is(&b->type, "image") ? LLM_PART_IMAGE
                                                           : LLM_PART_FILE,
                         role, message);

    if (part != NULL) {
        part->media = b->media;
        part->data = b->bytes;
        part->url = b->url;
        part->id = b->file;
        part->name = b->title;
    }

    return part;
}


static llm_part_t *
llm_anthropic_other(llm_chat_t *c, const llm_anthropic_input_t *b,
    llm_role_t role, unsigned message)
{
    llm_part_t  *part;

    part = llm_chat_part(c, LLM_PART_OTHER, role, message);

    if (part != NULL) {
        part->name = b->type;
        part->raw = b->raw;
    }

    return part;
}


/* The part of a block that is no tool result; NULL: no memory. */
static llm_part_t *
llm_anthropic_part(llm_chat_t *c, const llm_anthropic_input_t *b,
    llm_role_t role, unsigned message)
{
    llm_part_t  *part;

    if (llm_json_is(&b->type, "text")) {
        part = llm_chat_part(c, LLM_PART_TEXT, role, message);

        if (part != NULL) {
            part->text = b->text.p != NULL ? b->text : llm_slice("");
        }

        return part;
    }

    if (b->kind.p != NULL && !llm_json_is(&b->kind, "content")
        && (llm_json_is(&b->type, "image")
            || llm_json_is(&b->type, "document")))
    {
        return llm_anthropic_media(c, b, role, message);
    }

    if (llm_json_is(&b->type, "tool_use")) {
        part = llm_chat_part(c, LLM_PART_TOOL_CALL, role, message);

        if (part != NULL) {
            part->id = b->id;
            part->name = b->name;
            part->args = b->input;
        }

        return part;
    }

    if (!llm_json_is(&b->type, "thinking")
        && !llm_json_is(&b->type, "redacted_thinking"))
    {
        return llm_anthropic_other(c, b, role, message);
    }

    part = llm_chat_part(c, LLM_PART_REASONING, role, message);

    if (part != NULL) {
        part->text = b->thinking.p != NULL ? b->thinking : llm_slice("");
        part->signature = b->signature;
        part->data = b->data;
    }

    return part;
}


/* What a tool said: a string, or blocks. */
static llm_rc_t
llm_anthropic_result_content(llm_chat_t *c, const llm_anthropic_input_t *b,
    unsigned message)
{
    llm_json_t              j;
    llm_part_t             *part;
    llm_anthropic_input_t   inner;

    if (b->content_type == LLM_JSON_STRING) {
        part = llm_chat_part(c, LLM_PART_TEXT, LLM_ROLE_TOOL, message);

        if (part == NULL) {
            return LLM_NOMEM;
        }

        part->text = b->content;
        part->inner = 1;

        return LLM_OK;
    }

    if (b->content_type != LLM_JSON_ARRAY) {
        return LLM_OK;
    }

    llm_json_reopen(&j, &b->content);

    while (llm_json_object(&j)) {
        llm_anthropic_input_block(&inner, &j);

        part = llm_anthropic_part(c, &inner, LLM_ROLE_TOOL, message);

        if (part == NULL) {
            return LLM_NOMEM;
        }

        part->inner = 1;
    }

    return LLM_OK;
}


static llm_rc_t
llm_anthropic_result(llm_chat_t *c, const llm_anthropic_input_t *b,
    unsigned message)
{
    llm_part_t  *part;

    part = llm_chat_part(c, LLM_PART_TOOL_RESULT, LLM_ROLE_TOOL, message);

    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->id = b->id;
    part->error = b->error;

    return llm_anthropic_result_content(c, b, message);
}


/*
 * The blocks of a message, j stands behind the bracket; *message is its
 * number, and that of its last part when it is split.
 */
static llm_rc_t
llm_anthropic_blocks(llm_chat_t *c, llm_json_t *j, llm_role_t role,
    unsigned *message)
{
    int                    result, last;
    llm_rc_t               rc;
    llm_anthropic_input_t  b;

    last = -1;

    while (llm_json_object(j)) {
        llm_anthropic_input_block(&b, j);

        result = llm_json_is(&b.type, "tool_result");

        if (last >= 0 && result != last) {
            (*message)++;
        }

        last = result;

        if (result) {
            rc = llm_anthropic_result(c, &b, *message);

        } else {
            rc = llm_anthropic_part(c, &b, role, *message) != NULL
                 ? LLM_OK : LLM_NOMEM;
        }

        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* The value of content or system, which comes next in j. */
static llm_rc_t
llm_anthropic_content(llm_chat_t *c, llm_json_t *j, llm_role_t role,
    unsigned *message, const char *member)
{
    llm_part_t  *part;

    switch (llm_json_next(j)) {

    case LLM_JSON_STRING:
        part = llm_chat_part(c, LLM_PART_TEXT, role, *message);

        if (part == NULL) {
            return LLM_NOMEM;
        }

        part->text = j->tok;
        part->text.escaped = 1;

        return LLM_OK;

    case LLM_JSON_ARRAY:
        return llm_anthropic_blocks(c, j, role, message);

    case LLM_JSON_NULL: case LLM_JSON_ERROR:
        return LLM_OK;

    default:
        return llm_chat_wrong(c, member);
    }
}


/*
 * The role may stand behind the content: then the parts that were read are
 * given it.
 */
static void
llm_anthropic_set_role(llm_chat_t *c, size_t first, llm_role_t role)
{
    size_t  i;

    for (i = first; i < llm_chat_nparts(c); i++) {
        if (llm_chat_parts(c)[i].role != LLM_ROLE_TOOL) {
            llm_chat_parts(c)[i].role = role;
        }
    }
}


static llm_rc_t
llm_anthropic_role(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v, llm_role_t *role)
{
    if (type == LLM_JSON_STRING) {

        if (llm_json_is(v, "user")) {
            *role = LLM_ROLE_USER;
            return LLM_OK;
        }

        if (llm_json_is(v, "assistant")) {
            *role = LLM_ROLE_ASSISTANT;
            return LLM_OK;
        }

        if (llm_json_is(v, "system")) {
            *role = LLM_ROLE_SYSTEM;
            return LLM_OK;
        }
    }

    return type == LLM_JSON_ERROR ? LLM_OK
                                  : llm_chat_wrong(c, "messages[].role");
}


/* One message; j stands behind its brace. */
static llm_rc_t
llm_anthropic_read_message(llm_chat_t *c, llm_json_t *j, unsigned *message)
{
    size_t           first;
    llm_rc_t         rc;
    unsigned         said;
    llm_role_t       role;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    said = 0;
    role = LLM_ROLE_USER;
    first = llm_chat_nparts(c);

    while (llm_json_next(j) == LLM_JSON_KEY) {
        key = j->tok;

        if (llm_json_is(&key, "content")) {

            /* of duplicates the last one counts */

            c->parts.n = first * sizeof(llm_part_t);

            rc = llm_anthropic_content(c, j, role, message,
                                       "messages[].content");

        } else {
            type = llm_json_value(j, &v);
            rc = LLM_OK;

            if (llm_json_is(&key, "role")) {
                rc = llm_anthropic_role(c, type, &v, &role);
                said = 1;
            }
        }

        if (rc != LLM_OK) {
            return rc;
        }
    }

    if (!said && j->error == LLM_OK) {
        return llm_chat_wrong(c, "messages[].role");
    }

    llm_anthropic_set_role(c, first, role);

    return LLM_OK;
}


llm_rc_t
llm_anthropic_read_messages(llm_chat_t *c, llm_json_t *j)
{
    llm_rc_t         rc;
    unsigned         message;
    llm_slice_t      v;
    llm_json_type_t  type;

    c->parts.n = 0;
    type = llm_json_next(j);

    if (type != LLM_JSON_ARRAY) {
        return type == LLM_JSON_ERROR ? LLM_OK
                                      : llm_chat_wrong(c, "messages");
    }

    /* 0 is the system prompt's */

    for (message = 1; (type = llm_json_next(j)) != LLM_JSON_ARRAY_END;
         message++)
    {
        if (type == LLM_JSON_ERROR) {
            return LLM_OK;
        }

        if (type != LLM_JSON_OBJECT) {
            if (type == LLM_JSON_ARRAY) {
                (void) llm_json_skip_rest(j, &v);
            }

            return llm_chat_wrong(c, "messages");
        }

        rc = llm_anthropic_read_message(c, j, &message);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


llm_rc_t
llm_anthropic_read_system(llm_chat_t *c, const llm_slice_t *raw)
{
    size_t       n, added;
    llm_rc_t     rc;
    unsigned     message;
    llm_json_t   j;
    llm_part_t  *parts;

    n = llm_chat_nparts(c);
    message = 0;

    llm_json_init(&j, raw->p, raw->n, LLM_JSON_DEPTH_MAX);

    rc = llm_anthropic_content(c, &j, LLM_ROLE_SYSTEM, &message, "system");
    if (rc != LLM_OK) {
        return rc;
    }

    /* it stood anywhere in the body, but comes first */

    added = (llm_chat_nparts(c) - n) * sizeof(llm_part_t);

    if (n == 0 || added == 0) {
        return LLM_OK;
    }

    rc = llm_block_reserve(&c->parts, &c->alloc, added);
    if (rc != LLM_OK) {
        return rc;
    }

    parts = llm_chat_parts(c);

    memmove(c->parts.p + added, parts, c->parts.n);
    memmove(parts, c->parts.p + c->parts.n, added);

    return LLM_OK;
}
