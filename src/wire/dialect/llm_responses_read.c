/*
 * OpenAI Responses: a request's body to a value.  What is unknown at the top
 * level is kept as it came; it must never copy a string.
 */

#include "llm_responses.h"
#include "llm_openai_chat.h"


/* What is read, but settled only when all members were. */
typedef struct {
    llm_chat_t      *c;
    llm_slice_t      instructions;
    llm_slice_t      safety;        /* safety_identifier */
    llm_slice_t      allowed;       /* of tool_choice: array of tools */
} llm_responses_body_t;


/* A member without a place of its own; meaning: see llm_extra_t. */
static llm_rc_t
llm_responses_extra(llm_chat_t *c, const llm_slice_t *name,
    llm_json_type_t type, const llm_slice_t *v, unsigned meaning)
{
    llm_rc_t  rc;

    if (type == LLM_JSON_NULL) {
        return LLM_OK;
    }

    rc = llm_chat_extra(c, name, v);

    if (rc == LLM_OK) {
        llm_chat_extras(c)[llm_chat_nextras(c) - 1].meaning = meaning;
    }

    return rc;
}


/* A tool, or what tool_choice says of one. */
static void
llm_responses_read_tool(llm_tool_t *tool, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    tool->raw = *raw;
    llm_openai_read_function(tool, raw);
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (type == LLM_JSON_STRING && llm_json_is(&key, "type")
            && !llm_json_is(&v, "function"))
        {
            tool->type = v;
        }
    }
}


static llm_rc_t
llm_responses_read_tools(llm_responses_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_json_t       j;
    llm_tool_t      *tool;
    llm_slice_t      raw;
    llm_json_type_t  t;

    b->c->tools.n = 0;

    if (type != LLM_JSON_ARRAY) {
        return type == LLM_JSON_NULL ? LLM_OK
                                     : llm_chat_wrong(b->c, "tools");
    }

    llm_json_reopen(&j, v);

    while (llm_json_element(&j, &raw, &t)) {

        if (t != LLM_JSON_OBJECT) {
            return llm_chat_wrong(b->c, "tools");
        }

        tool = llm_chat_tool(b->c);
        if (tool == NULL) {
            return LLM_NOMEM;
        }

        llm_responses_read_tool(tool, &raw);

        if (tool->type.n == 0 && tool->name.n == 0) {
            return llm_chat_wrong(b->c, "tools");
        }
    }

    return LLM_OK;
}


static llm_rc_t
llm_responses_choice_word(llm_chat_t *c, const llm_slice_t *word)
{
    c->choose = llm_json_is(word, "auto") ? LLM_CHOOSE_AUTO
                : llm_json_is(word, "none") ? LLM_CHOOSE_NONE
                : llm_json_is(word, "required") ? LLM_CHOOSE_REQUIRED
                : LLM_CHOOSE_UNSAID;

    return c->choose != LLM_CHOOSE_UNSAID
           ? LLM_OK : llm_chat_wrong(c, "tool_choice");
}


static llm_rc_t
llm_responses_read_choice(llm_responses_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_json_t       j;
    llm_slice_t      key, s, word, name, mode;
    llm_json_type_t  t;

    b->c->choose = LLM_CHOOSE_UNSAID;
    b->allowed = llm_slice_null;

    if (type == LLM_JSON_STRING) {
        return llm_responses_choice_word(b->c, v);
    }

    if (type != LLM_JSON_OBJECT) {
        return type == LLM_JSON_NULL
               ? LLM_OK : llm_chat_wrong(b->c, "tool_choice");
    }

    word = llm_slice_null;
    name = llm_slice_null;
    mode = llm_slice("auto");
    llm_json_reopen(&j, v);

    while (llm_json_member(&j, &key, &s, &t)) {

        if (t == LLM_JSON_ARRAY && llm_json_is(&key, "tools")) {
            b->allowed = s;

        } else if (t != LLM_JSON_STRING) {
            continue;

        } else if (llm_json_is(&key, "type")) {
            word = s;

        } else if (llm_json_is(&key, "name")) {
            name = s;

        } else if (llm_json_is(&key, "mode")) {
            mode = s;
        }
    }

    if (llm_json_is(&word, "allowed_tools") && b->allowed.p != NULL) {
        return llm_responses_choice_word(b->c, &mode);
    }

    b->allowed = llm_slice_null;
    b->c->choose = LLM_CHOOSE_TOOL;

    /* a tool that the provider runs is chosen by its type */

    b->c->choose_name = name.n != 0 ? name : word;

    return b->c->choose_name.n != 0
           ? LLM_OK : llm_chat_wrong(b->c, "tool_choice");
}


static int
llm_responses_same(const llm_slice_t *a, const llm_slice_t *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}


/* Whether tools[from..] has a tool. */
static int
llm_responses_allowed(const llm_tool_t *list, size_t n,
    const llm_tool_t *tool)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (llm_responses_same(&list[i].name, &tool->name)
            && llm_responses_same(&list[i].type, &tool->type))
        {
            return 1;
        }
    }

    return 0;
}


/* "allowed_tools" says the same as a shorter list of tools. */
static llm_rc_t
llm_responses_settle_tools(llm_responses_body_t *b)
{
    size_t           i, n, all, kept;
    llm_json_t       j;
    llm_tool_t      *tool;
    llm_slice_t      raw;
    llm_json_type_t  t;

    n = llm_chat_ntools(b->c);
    llm_json_reopen(&j, &b->allowed);

    while (llm_json_element(&j, &raw, &t)) {

        if (t != LLM_JSON_OBJECT) {
            continue;
        }

        if (llm_chat_ntools(b->c) - n == LLM_RESPONSES_ITEMS) {
            return llm_chat_wrong(b->c, "tool_choice");
        }

        tool = llm_chat_tool(b->c);
        if (tool == NULL) {
            return LLM_NOMEM;
        }

        llm_responses_read_tool(tool, &raw);
    }

    all = llm_chat_ntools(b->c);
    tool = llm_chat_tools(b->c);
    kept = 0;

    for (i = 0; i < n; i++) {
        if (llm_responses_allowed(tool + n, all - n, &tool[i])) {
            tool[kept++] = tool[i];
        }
    }

    b->c->tools.n = kept * sizeof(llm_tool_t);

    return LLM_OK;
}


static llm_rc_t
llm_responses_read_format(llm_chat_t *c, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v, word;
    llm_json_type_t  type;

    word = llm_slice_null;
    llm_openai_read_schema(c, raw);
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (type == LLM_JSON_STRING && llm_json_is(&key, "type")) {
            word = v;
        }
    }

    return llm_openai_read_format_word(c, &word, "text");
}


/* {"format":{…},"verbosity":…} */
static llm_rc_t
llm_responses_read_text(llm_responses_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, s, name;
    llm_json_type_t  t;

    if (type != LLM_JSON_OBJECT) {
        return type == LLM_JSON_NULL ? LLM_OK : llm_chat_wrong(b->c, "text");
    }

    llm_json_reopen(&j, v);

    while (llm_json_member(&j, &key, &s, &t)) {
        rc = LLM_OK;

        if (t == LLM_JSON_OBJECT && llm_json_is(&key, "format")) {
            rc = llm_responses_read_format(b->c, &s);

        } else if (llm_json_is(&key, "verbosity")) {
            name = llm_slice("text.verbosity");
            rc = llm_responses_extra(b->c, &name, t, &s, 0);
        }

        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* {"effort":…,"summary":…} */
static llm_rc_t
llm_responses_read_reasoning(llm_responses_body_t *b, llm_json_type_t type,
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

        if (t != LLM_JSON_STRING) {
            continue;
        }

        if (llm_json_is(&key, "effort")) {
            b->c->effort = llm_effort_find(&s);

            if (b->c->effort == LLM_EFFORT_UNSAID) {
                return llm_chat_wrong(b->c, "reasoning");
            }

        } else if (llm_json_is(&key, "summary")
                   || llm_json_is(&key, "generate_summary"))
        {
            b->c->thoughts = 1;
        }
    }

    return LLM_OK;
}


/* What of the answer is to be said beside its text. */
static llm_rc_t
llm_responses_read_include(llm_responses_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    unsigned         other;
    llm_json_t       j;
    llm_slice_t      s, name;
    llm_json_type_t  t;

    if (type != LLM_JSON_ARRAY) {
        return type == LLM_JSON_NULL
               ? LLM_OK : llm_chat_wrong(b->c, "include");
    }

    other = 0;
    llm_json_reopen(&j, v);

    while (llm_json_element(&j, &s, &t)) {

        if (t == LLM_JSON_STRING
            && llm_json_is(&s, "message.output_text.logprobs"))
        {
            b->c->logprobs = 1;

        } else {
            other = 1;
        }
    }

    name = llm_slice("include");

    return other ? llm_responses_extra(b->c, &name, type, v, 0) : LLM_OK;
}


static llm_rc_t
llm_responses_read_options(llm_responses_body_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, s, name;
    llm_json_type_t  t;

    if (type != LLM_JSON_OBJECT) {
        return type == LLM_JSON_NULL
               ? LLM_OK : llm_chat_wrong(b->c, "stream_options");
    }

    name = llm_slice("stream_options.include_obfuscation");
    llm_json_reopen(&j, v);

    while (llm_json_member(&j, &key, &s, &t)) {

        if (llm_json_is(&key, "include_obfuscation")) {
            rc = llm_responses_extra(b->c, &name, t, &s, 0);
            if (rc != LLM_OK) {
                return rc;
            }
        }
    }

    return LLM_OK;
}


/* Members that are read into one place; LLM_AGAIN: it is none of them. */
static llm_rc_t
llm_responses_read_plain(llm_responses_body_t *b, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    llm_chat_t  *c;

    c = b->c;

    if (llm_json_is(key, "model")) {
        return llm_chat_read_string(c, &c->model, type, v, "model");
    }

    if (llm_json_is(key, "stream")) {
        return llm_chat_read_flag(c, &c->stream, type, "stream");
    }

    if (llm_json_is(key, "instructions")) {
        return llm_chat_read_string(c, &b->instructions, type, v,
                                    "instructions");
    }

    if (llm_json_is(key, "max_output_tokens")) {
        return llm_chat_read_number(c, &c->max_tokens, type, v,
                                    "max_output_tokens");
    }

    if (llm_json_is(key, "temperature")) {
        return llm_chat_read_number(c, &c->temperature, type, v,
                                    "temperature");
    }

    if (llm_json_is(key, "top_p")) {
        return llm_chat_read_number(c, &c->top_p, type, v, "top_p");
    }

    if (llm_json_is(key, "top_logprobs")) {
        return llm_chat_read_number(c, &c->top_logprobs, type, v,
                                    "top_logprobs");
    }

    if (llm_json_is(key, "parallel_tool_calls")) {
        return llm_chat_read_flag(c, &c->parallel_tools, type,
                                  "parallel_tool_calls");
    }

    if (llm_json_is(key, "user")) {
        return llm_chat_read_string(c, &c->user, type, v, "user");
    }

    if (llm_json_is(key, "safety_identifier")) {
        return llm_chat_read_string(c, &b->safety, type, v,
                                    "safety_identifier");
    }

    return LLM_AGAIN;
}


static llm_rc_t
llm_responses_read_member(llm_responses_body_t *b, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    llm_rc_t  rc;
    unsigned  meaning;

    rc = llm_responses_read_plain(b, key, type, v);
    if (rc != LLM_AGAIN) {
        return rc;
    }

    if (llm_json_is(key, "tools")) {
        return llm_responses_read_tools(b, type, v);
    }

    if (llm_json_is(key, "tool_choice")) {
        return llm_responses_read_choice(b, type, v);
    }

    if (llm_json_is(key, "text")) {
        return llm_responses_read_text(b, type, v);
    }

    if (llm_json_is(key, "reasoning")) {
        return llm_responses_read_reasoning(b, type, v);
    }

    if (llm_json_is(key, "include")) {
        return llm_responses_read_include(b, type, v);
    }

    if (llm_json_is(key, "stream_options")) {
        return llm_responses_read_options(b, type, v);
    }

    if (llm_json_is(key, "metadata")) {
        b->c->metadata = type == LLM_JSON_OBJECT ? *v : llm_slice_null;

        return type == LLM_JSON_OBJECT || type == LLM_JSON_NULL
               ? LLM_OK : llm_chat_wrong(b->c, "metadata");
    }

    /* these lead to words that no other provider has */

    meaning = llm_json_is(key, "previous_response_id")
              || llm_json_is(key, "conversation")
              || llm_json_is(key, "prompt")
              || (llm_json_is(key, "background") && type == LLM_JSON_TRUE);

    return llm_responses_extra(b->c, key, type, v, meaning);
}


/* What several members say together. */
static llm_rc_t
llm_responses_settle(llm_responses_body_t *b)
{
    llm_part_t  *part, first;

    if (b->c->user.p == NULL) {
        b->c->user = b->safety;
    }

    /* who asks for other tokens asks for their probabilities */

    if (b->c->top_logprobs.p != NULL && b->c->logprobs == -1) {

        if (llm_json_uint(&b->c->top_logprobs) > 0) {
            b->c->logprobs = 1;

        } else {
            b->c->top_logprobs = llm_slice_null;
        }
    }

    if (b->instructions.n != 0) {
        part = llm_chat_part(b->c, LLM_PART_TEXT, LLM_ROLE_SYSTEM, 0);
        if (part == NULL) {
            return LLM_NOMEM;
        }

        part->text = b->instructions;

        /* in front of the others, wherever the member stood */

        first = *part;
        part = llm_chat_parts(b->c);
        memmove(part + 1, part, b->c->parts.n - sizeof(llm_part_t));
        *part = first;
    }

    return b->allowed.p != NULL ? llm_responses_settle_tools(b) : LLM_OK;
}


llm_rc_t
llm_responses_read_chat(llm_chat_t *c, const llm_u8 *body, size_t n)
{
    llm_rc_t              rc;
    llm_json_t            j;
    llm_slice_t           key, v;
    llm_json_type_t       type;
    llm_responses_body_t  b;

    memset(&b, 0, sizeof(llm_responses_body_t));
    b.c = c;

    llm_json_init(&j, body, n, c->max_depth);

    if (llm_json_next(&j) != LLM_JSON_OBJECT) {
        return j.error == LLM_TOO_DEEP ? LLM_TOO_DEEP : LLM_INVALID;
    }

    while (llm_json_next(&j) == LLM_JSON_KEY) {
        key = j.tok;

        if (llm_json_is(&key, "input")) {
            rc = llm_responses_read_input(c, &j);

        } else {
            type = llm_json_value(&j, &v);

            if (type == LLM_JSON_ERROR) {
                break;
            }

            rc = llm_responses_read_member(&b, &key, type, &v);
        }

        if (rc == LLM_NOMEM) {
            return rc;
        }
    }

    if (llm_json_next(&j) != LLM_JSON_END) {
        c->member = NULL;
        return j.error == LLM_TOO_DEEP ? LLM_TOO_DEEP : LLM_INVALID;
    }

    return c->member != NULL ? LLM_INVALID : llm_responses_settle(&b);
}
