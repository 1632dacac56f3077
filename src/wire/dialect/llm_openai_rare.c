/*
 * OpenAI chat completions: the events of what is rare in a choice, all that
 * has to be read a second time: lists of parts, tool calls, logprobs.
 */

#include "llm_openai.h"


/* The strings "text" or "summary" of an array's objects. */
static llm_rc_t
llm_openai_texts(llm_openai_chunk_t *c, const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, text;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_object(&j)) {
        text = llm_slice_null;

        while (llm_json_member(&j, &key, &v, &type)) {
            if (type == LLM_JSON_STRING
                && (llm_json_is(&key, "text")
                    || llm_json_is(&key, "summary")))
            {
                text = v;
            }
        }

        rc = llm_openai_text(c, LLM_EV_REASONING, &text);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* One object of a content that is an array; j stands behind its brace. */
static llm_rc_t
llm_openai_part(llm_openai_chunk_t *c, llm_json_t *j)
{
    llm_rc_t          rc;
    llm_slice_t       key, v, text, refusal, list;
    llm_json_type_t   type;
    llm_event_type_t  ev;

    ev = LLM_EV_TEXT;
    text = llm_slice_null;
    refusal = llm_slice_null;
    list = llm_slice_null;

    while (llm_json_member(j, &key, &v, &type)) {

        if (llm_json_is(&key, "thinking") && type == LLM_JSON_ARRAY) {
            list = v;

        } else if (type != LLM_JSON_STRING) {
            continue;

        } else if (llm_json_is(&key, "type")) {
            if (llm_json_is(&v, "thinking") || llm_json_is(&v, "reasoning")) {
                ev = LLM_EV_REASONING;
            }

        } else if (llm_json_is(&key, "text")
                   || llm_json_is(&key, "thinking"))
        {
            text = v;

        } else if (llm_json_is(&key, "refusal")) {
            refusal = v;
        }
    }

    rc = list.p != NULL ? llm_openai_texts(c, &list) : LLM_OK;

    if (rc == LLM_OK) {
        rc = llm_openai_text(c, ev, &text);
    }

    if (rc == LLM_OK) {
        rc = llm_openai_text(c, LLM_EV_REFUSAL, &refusal);
    }

    return rc;
}


/* Content that is an array: Mistral's text and thinking parts. */
static llm_rc_t
llm_openai_parts(llm_openai_chunk_t *c, const llm_slice_t *raw)
{
    llm_rc_t    rc;
    llm_json_t  j;

    llm_json_reopen(&j, raw);

    while (llm_json_object(&j)) {
        rc = llm_openai_part(c, &j);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* Reads the name and the arguments of a call into c->ev. */
static void
llm_openai_function(llm_openai_chunk_t *c, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      v, key;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (llm_json_is(&key, "name")) {
            if (type == LLM_JSON_STRING && v.n != 0) {
                c->ev.name = v;
            }

        } else if (llm_json_is(&key, "arguments")) {

            /* an object is against the rules, but seen: its bytes are text */

            if (type == LLM_JSON_STRING || type == LLM_JSON_OBJECT) {
                c->ev.text = v;
            }
        }
    }
}


/* Emits the call that was read into c->ev, if it says anything. */
static llm_rc_t
llm_openai_call(llm_openai_chunk_t *c)
{
    llm_rc_t  rc;

    rc = LLM_OK;

    if (c->ev.id.p != NULL || c->ev.name.p != NULL || c->ev.text.n != 0) {
        rc = llm_openai_emit(c, LLM_EV_TOOL_CALL);
    }

    c->ev.id = llm_slice_null;
    c->ev.name = llm_slice_null;
    c->ev.text = llm_slice_null;
    c->ev.tool_index = 0;

    return rc;
}


/* One of tool_calls, the pos-th; j stands behind its brace. */
static llm_rc_t
llm_openai_tool(llm_openai_chunk_t *c, llm_json_t *j, unsigned pos)
{
    int64_t          index;
    llm_slice_t      v, key;
    llm_json_type_t  type;

    c->ev.text = llm_slice_null;
    c->ev.tool_index = pos;

    while (llm_json_member(j, &key, &v, &type)) {

        if (type == LLM_JSON_OBJECT && llm_json_is(&key, "function")) {
            llm_openai_function(c, &v);

        } else if (type == LLM_JSON_STRING && llm_json_is(&key, "id")) {
            if (v.n != 0) {
                c->ev.id = v;
            }

        } else if (type == LLM_JSON_NUMBER && llm_json_is(&key, "index")) {
            index = llm_json_uint(&v);

            if (index >= 0 && index <= INT32_MAX) {
                c->ev.tool_index = (unsigned) index;
            }
        }
    }

    return llm_openai_call(c);
}


static llm_rc_t
llm_openai_tools(llm_openai_chunk_t *c, const llm_slice_t *raw)
{
    llm_rc_t    rc;
    unsigned    pos;
    llm_json_t  j;

    llm_json_reopen(&j, raw);

    for (pos = 0; llm_json_object(&j); pos++) {
        rc = llm_openai_tool(c, &j, pos);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* The lists "content" and "refusal" of a choice's logprobs. */
static llm_rc_t
llm_openai_emit_logprobs(llm_openai_chunk_t *c, const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    rc = LLM_OK;
    c->ev.text = llm_slice_null;
    llm_json_reopen(&j, raw);

    while (rc == LLM_OK && llm_json_member(&j, &key, &v, &type)) {

        c->ev.refused = llm_json_is(&key, "refusal");

        if (type == LLM_JSON_ARRAY
            && (c->ev.refused || llm_json_is(&key, "content")))
        {
            c->ev.raw = v;
            rc = llm_openai_emit(c, LLM_EV_LOGPROBS);
        }
    }

    c->ev.raw = llm_slice_null;
    c->ev.refused = 0;

    return rc;
}


/* The same of completions, which have another shape. */
static llm_rc_t
llm_openai_emit_items(llm_openai_chunk_t *c, const llm_slice_t *raw)
{
    llm_rc_t  rc;

    c->ev.text = llm_slice_null;
    rc = llm_completions_items(c->d, raw, &c->ev.raw);

    if (rc == LLM_OK && c->ev.raw.p != NULL) {
        rc = llm_openai_emit(c, LLM_EV_LOGPROBS);
    }

    c->ev.raw = llm_slice_null;

    return rc;
}


llm_rc_t
llm_openai_emit_rare(llm_openai_chunk_t *c, const llm_openai_choice_t *ch)
{
    llm_rc_t  rc;

    rc = LLM_OK;

    if (ch->details.p != NULL && ch->reasoning.n == 0) {
        rc = llm_openai_texts(c, &ch->details);
    }

    if (rc == LLM_OK && ch->parts.p != NULL) {
        rc = llm_openai_parts(c, &ch->parts);
    }

    if (rc == LLM_OK && ch->tools.p != NULL) {
        rc = llm_openai_tools(c, &ch->tools);
    }

    if (rc == LLM_OK && ch->call.p != NULL) {
        c->ev.text = llm_slice_null;
        llm_openai_function(c, &ch->call);
        rc = llm_openai_call(c);
    }

    if (rc == LLM_OK && ch->logprobs.p != NULL) {
        rc = c->legacy ? llm_openai_emit_items(c, &ch->logprobs)
                       : llm_openai_emit_logprobs(c, &ch->logprobs);
    }

    return rc;
}
