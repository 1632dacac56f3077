/*
 * Gemini: a request's body to a value.  Google takes one object where a list
 * of objects is asked for, and snake_case; so do we.
 */

#include "llm_gemini_chat.h"


typedef struct {
    llm_chat_t      *c;
    llm_slice_t      system;
    llm_json_type_t  system_type;
    llm_slice_t      allowed;   /* names of functions that may be called */
    unsigned         contents;
} llm_gemini_body_t;


llm_rc_t
llm_gemini_extra(llm_chat_t *c, const llm_slice_t *name,
    llm_json_type_t type, const llm_slice_t *v)
{
    return type == LLM_JSON_NULL ? LLM_OK : llm_chat_extra(c, name, v);
}


void
llm_gemini_list(llm_json_t *j, llm_json_type_t type, const llm_slice_t *v)
{
    if (type == LLM_JSON_ARRAY) {
        llm_json_reopen(j, v);

    } else {
        llm_json_init(j, v->p, v->n, LLM_JSON_DEPTH_MAX);
    }
}


/* systemInstruction: a content, or (against the rules) a string. */
static llm_rc_t
llm_gemini_read_system(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v)
{
    size_t        i;
    llm_rc_t      rc;
    unsigned      message;
    llm_json_t    j;
    llm_part_t   *part;

    if (type == LLM_JSON_STRING) {
        part = llm_chat_part(c, LLM_PART_TEXT, LLM_ROLE_SYSTEM, 0);
        if (part == NULL) {
            return LLM_NOMEM;
        }

        part->text = *v;

        return LLM_OK;
    }

    if (type != LLM_JSON_OBJECT) {
        return type == LLM_JSON_NULL
               ? LLM_OK : llm_chat_wrong(c, "systemInstruction");
    }

    i = llm_chat_nparts(c);
    message = 0;
    llm_json_reopen(&j, v);

    rc = llm_gemini_read_content(c, &j, &message);

    for ( /* void */ ; i < llm_chat_nparts(c); i++) {
        llm_chat_parts(c)[i].role = LLM_ROLE_SYSTEM;
        llm_chat_parts(c)[i].message = 0;
    }

    return rc;
}


/* Puts the n parts at the end before all others. */
static llm_rc_t
llm_gemini_to_front(llm_chat_t *c, size_t n)
{
    size_t       i, size;
    llm_block_t  copy;

    if (n == 0) {
        return LLM_OK;
    }

    memset(&copy, 0, sizeof(llm_block_t));
    size = n * sizeof(llm_part_t);

    if (llm_block_append(&copy, &c->alloc, c->parts.p + c->parts.n - size,
                         size)
        != LLM_OK)
    {
        return LLM_NOMEM;
    }

    memmove(c->parts.p + size, c->parts.p, c->parts.n - size);
    memcpy(c->parts.p, copy.p, size);
    llm_block_free(&copy, &c->alloc);

    for (i = n; i < llm_chat_nparts(c); i++) {
        llm_chat_parts(c)[i].message++;
    }

    return LLM_OK;
}


static llm_rc_t
llm_gemini_read_model(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_rc_t  rc;

    rc = llm_chat_read_string(c, &c->model, type, v, "model");

    if (rc == LLM_OK && c->model.n > 7
        && memcmp(c->model.p, "models/", 7) == 0)
    {
        c->model.p += 7;
        c->model.n -= 7;
    }

    return rc;
}


/* A member other than the contents and the system's instruction. */
static llm_rc_t
llm_gemini_read_member(llm_chat_t *c, llm_slice_t *allowed,
    const llm_slice_t *key, llm_json_type_t type, const llm_slice_t *v)
{
    size_t       i;
    llm_slice_t  name;

    if (llm_json_is(key, "model")) {
        return llm_gemini_read_model(c, type, v);
    }

    if (llm_json_is(key, "tools")) {
        return llm_gemini_read_tools(c, type, v);
    }

    if (llm_gemini_is(key, "toolConfig")) {
        return llm_gemini_read_tool_config(c, type, v, allowed);
    }

    if (llm_gemini_is(key, "generationConfig")) {
        return llm_gemini_read_config(c, type, v);
    }

    name = *key;

    for (i = 0; llm_gemini_extras[i] != NULL; i++) {
        if (llm_gemini_is(key, llm_gemini_extras[i])) {
            name.p = (const llm_u8 *) llm_gemini_extras[i];
            name.n = strlen(llm_gemini_extras[i]);
            name.escaped = 0;
        }
    }

    return llm_gemini_extra(c, &name, type, v);
}


/* What needs all members: the system's instruction goes to the front, and
 * tools that may not be called go. */
static llm_rc_t
llm_gemini_settle(llm_gemini_body_t *b)
{
    size_t    n;
    llm_rc_t  rc;

    n = llm_chat_nparts(b->c);
    rc = LLM_OK;

    if (b->system_type != LLM_JSON_NULL) {
        rc = llm_gemini_read_system(b->c, b->system_type, &b->system);
    }

    if (rc == LLM_OK) {
        rc = llm_gemini_to_front(b->c, llm_chat_nparts(b->c) - n);
    }

    return rc == LLM_OK ? llm_gemini_read_allowed(b->c, &b->allowed) : rc;
}


/* One member; j stands behind its name.  LLM_OK also when it is broken. */
static llm_rc_t
llm_gemini_read_next(llm_gemini_body_t *b, llm_json_t *j)
{
    llm_slice_t      key, v;
    llm_json_type_t  type;

    key = j->tok;
    key.escaped = 1;

    if (llm_json_is(&key, "contents")) {
        b->contents = 1;
        b->c->parts.n = 0;

        return llm_gemini_read_contents(b->c, j);
    }

    type = llm_json_value(j, &v);

    if (type == LLM_JSON_ERROR) {
        return LLM_OK;
    }

    if (llm_gemini_is(&key, "systemInstruction")) {
        b->system = v;
        b->system_type = type;

        return LLM_OK;
    }

    return llm_gemini_read_member(b->c, &b->allowed, &key, type, &v);
}


llm_rc_t
llm_gemini_read_chat(llm_chat_t *c, const llm_u8 *body, size_t n)
{
    llm_rc_t            rc;
    llm_json_t          j;
    llm_gemini_body_t   b;

    memset(&b, 0, sizeof(llm_gemini_body_t));
    b.c = c;
    b.system_type = LLM_JSON_NULL;

    llm_json_init(&j, body, n, c->max_depth);

    if (llm_json_next(&j) != LLM_JSON_OBJECT) {
        return j.error == LLM_TOO_DEEP ? LLM_TOO_DEEP : LLM_INVALID;
    }

    while (llm_json_next(&j) == LLM_JSON_KEY) {
        rc = llm_gemini_read_next(&b, &j);
        if (rc == LLM_NOMEM) {
            return rc;
        }
    }

    if (llm_json_next(&j) != LLM_JSON_END) {
        c->member = NULL;
        return j.error == LLM_TOO_DEEP ? LLM_TOO_DEEP : LLM_INVALID;
    }

    if (!b.contents) {
        (void) llm_chat_wrong(c, "contents");
    }

    return c->member != NULL ? LLM_INVALID : llm_gemini_settle(&b);
}
