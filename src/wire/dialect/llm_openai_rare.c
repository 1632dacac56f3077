/*
 * OpenAI chat completions: the events of what is rare in a choice, all that
 * has to be read a second time: lists of parts, tool calls, logprobs.
 */

#include "llm_openai.h"


/* Emits REASONING with what was read into c->ev, if it says anything. */
static llm_rc_t
llm_openai_reasoning(llm_openai_chunk_t *c)
{
    llm_rc_t  rc;

    rc = LLM_OK;

    if (c->ev.text.n != 0 || c->ev.signature.n != 0 || c->ev.raw.n != 0) {
        rc = llm_openai_emit(c, LLM_EV_REASONING);
    }

    c->ev.text = llm_slice_null;
    c->ev.signature = llm_slice_null;
    c->ev.raw = llm_slice_null;

    return rc;
}


/* The objects of reasoning_details, or of Mistral's "thinking".  texts: their
 * texts are not known yet. */
static llm_rc_t
llm_openai_texts(llm_openai_chunk_t *c, const llm_slice_t *raw,
    unsigned texts)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    rc = LLM_OK;
    c->ev.text = llm_slice_null;
    llm_json_reopen(&j, raw);

    while (rc == LLM_OK && llm_json_object(&j)) {

        while (llm_json_member(&j, &key, &v, &type)) {

            if (type != LLM_JSON_STRING || v.n == 0) {
                continue;
            }

            if (llm_json_is(&key, "text") || llm_json_is(&key, "summary")) {
                c->ev.text = texts ? v : llm_slice_null;

            } else if (llm_json_is(&key, "signature")) {
                c->ev.signature = v;

            } else if (llm_json_is(&key, "data")) {
                c->ev.raw = v;
            }
        }

        rc = llm_openai_reasoning(c);
    }

    return rc;
}


/* Whether one of reasoning_details has a text. */
static unsigned
llm_openai_has_texts(const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_object(&j)) {
        while (llm_json_member(&j, &key, &v, &type)) {
            if (type == LLM_JSON_STRING && v.n != 0
                && (llm_json_is(&key, "text")
                    || llm_json_is(&key, "summary")))
            {
                return 1;
            }
        }
    }

    return 0;
}


/*
 * Both say the same text.  An answer may have several signed ones: there
 * each stands beside its signature in the details.
 */
llm_rc_t
llm_openai_emit_details(llm_openai_chunk_t *c, const llm_openai_choice_t *ch)
{
    llm_rc_t  rc;
    unsigned  texts;

    texts = ch->reasoning.n == 0
            || (c->answer && llm_openai_has_texts(&ch->details));

    rc = texts ? LLM_OK
               : llm_openai_text(c, LLM_EV_REASONING, &ch->reasoning);

    return rc == LLM_OK ? llm_openai_texts(c, &ch->details, texts) : rc;
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

    rc = list.p != NULL ? llm_openai_texts(c, &list, 1) : LLM_OK;

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


/* Whether the call that was read into c->ev says anything. */
static int
llm_openai_has_call(const llm_openai_chunk_t *c)
{
    return c->ev.id.p != NULL || c->ev.name.p != NULL || c->ev.text.n != 0;
}


static llm_rc_t
llm_openai_call(llm_openai_chunk_t *c)
{
    llm_rc_t  rc;

    c->ev.whole = c->answer;

    rc = llm_openai_has_call(c) ? llm_openai_emit(c, LLM_EV_TOOL_CALL)
                                : LLM_OK;

    c->ev.whole = 0;

    c->ev.id = llm_slice_null;
    c->ev.name = llm_slice_null;
    c->ev.text = llm_slice_null;
    c->ev.signature = llm_slice_null;
    c->ev.tool_index = 0;

    return rc;
}


static uint64_t
llm_openai_hash(const llm_slice_t *s)
{
    size_t    i;
    uint64_t  hash;

    if (s->n == 0) {
        return 0;
    }

    hash = UINT64_C(14695981039346656037);      /* FNV-1a */

    for (i = 0; i < s->n; i++) {
        hash = (hash ^ s->p[i]) * UINT64_C(1099511628211);
    }

    return hash | 1;
}


/* The call that c->ev goes on with; NULL: it begins one. */
static llm_openai_known_t *
llm_openai_find_call(llm_openai_chunk_t *c, unsigned index,
    unsigned has_index, uint64_t id)
{
    size_t               i;
    llm_openai_known_t  *call, *calls;
    llm_openai_state_t  *s;

    s = c->d->state;
    calls = (llm_openai_known_t *) (void *) s->calls.p;

    if (c->answer) {

        /* each is whole, whatever its id says */

        return NULL;
    }

    for (i = s->calls.n / sizeof(*calls); i != 0; i--) {
        call = &calls[i - 1];

        if (call->choice != c->ev.choice) {
            continue;
        }

        if (!has_index && id != 0) {
            if (call->id == id) {
                return call;
            }

        } else if (call->index == index) {
            return id != 0 && call->id != 0 && call->id != id
                   && c->ev.name.p != NULL ? NULL : call;
        }
    }

    return NULL;
}


/* Adds the call in c->ev to those that are known. */
static llm_rc_t
llm_openai_new_call(llm_openai_chunk_t *c, unsigned index, uint64_t id)
{
    size_t               i, n;
    llm_openai_known_t   call, *calls;
    llm_openai_state_t  *s;

    s = c->d->state;
    n = s->calls.n / sizeof(call);
    calls = (llm_openai_known_t *) (void *) s->calls.p;

    if (n == LLM_OPENAI_CALLS) {
        c->ev.tool_index = index;
        return LLM_OK;
    }

    call.choice = c->ev.choice;
    call.index = index;
    call.number = 0;
    call.id = id;

    for (i = 0; i < n; i++) {
        call.number += calls[i].choice == call.choice;
    }

    c->ev.tool_index = call.number;

    return llm_block_append(&s->calls, &c->d->alloc, &call, sizeof(call));
}


/*
 * Numbers the call in c->ev.  Mistral leaves the index out; Gemini's OpenAI
 * endpoint and others say 0 for each of several whole calls: one with a name
 * and another id is another call.
 */
static llm_rc_t
llm_openai_number(llm_openai_chunk_t *c, unsigned index, unsigned has_index)
{
    uint64_t             id;
    llm_openai_known_t  *call;

    if (c->d->state == NULL) {
        c->ev.tool_index = index;
        return LLM_OK;
    }

    id = llm_openai_hash(&c->ev.id);
    call = llm_openai_find_call(c, index, has_index, id);

    if (call == NULL) {
        return llm_openai_new_call(c, index, id);
    }

    if (call->id == 0) {
        call->id = id;
    }

    c->ev.tool_index = call->number;

    return LLM_OK;
}


/* extra_content: {"google": {"thought_signature": …}} */
static void
llm_openai_signature(llm_openai_chunk_t *c, const llm_slice_t *raw)
{
    llm_json_t       j, inner;
    llm_slice_t      v, key;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type != LLM_JSON_OBJECT || !llm_json_is(&key, "google")) {
            continue;
        }

        llm_json_reopen(&inner, &v);

        while (llm_json_member(&inner, &key, &v, &type)) {
            if (type == LLM_JSON_STRING && v.n != 0
                && llm_json_is(&key, "thought_signature"))
            {
                c->ev.signature = v;
            }
        }
    }
}


/* One of tool_calls, the pos-th; j stands behind its brace. */
static llm_rc_t
llm_openai_tool(llm_openai_chunk_t *c, llm_json_t *j, unsigned pos)
{
    int64_t          n;
    llm_rc_t         rc;
    unsigned         index, has_index;
    llm_slice_t      v, key;
    llm_json_type_t  type;

    c->ev.text = llm_slice_null;
    index = pos;
    has_index = 0;

    while (llm_json_member(j, &key, &v, &type)) {

        if (type == LLM_JSON_OBJECT && llm_json_is(&key, "function")) {
            llm_openai_function(c, &v);

        } else if (type == LLM_JSON_OBJECT
                   && llm_json_is(&key, "extra_content"))
        {
            llm_openai_signature(c, &v);

        } else if (type == LLM_JSON_STRING && llm_json_is(&key, "id")) {
            if (v.n != 0) {
                c->ev.id = v;
            }

        } else if (type == LLM_JSON_NUMBER && llm_json_is(&key, "index")) {
            n = llm_json_uint(&v);

            if (n >= 0 && n <= INT32_MAX) {
                index = (unsigned) n;
                has_index = 1;
            }
        }
    }

    if (llm_openai_has_call(c)) {
        rc = llm_openai_number(c, index, has_index);
        if (rc != LLM_OK) {
            return rc;
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


/* "url_citation"; j stands behind its brace. */
static void
llm_openai_note(llm_openai_chunk_t *c, llm_json_t *j)
{
    llm_slice_t      key, v;
    llm_json_type_t  type;

    while (llm_json_member(j, &key, &v, &type)) {

        if (type == LLM_JSON_NUMBER) {

            if (llm_json_is(&key, "start_index")) {
                c->ev.start = llm_json_uint(&v);

            } else if (llm_json_is(&key, "end_index")) {
                c->ev.end = llm_json_uint(&v);
            }

        } else if (type != LLM_JSON_STRING || v.n == 0) {
            continue;

        } else if (llm_json_is(&key, "url")) {
            c->ev.id = v;

        } else if (llm_json_is(&key, "title")) {
            c->ev.name = v;

        } else if (llm_json_is(&key, "content")) {
            c->ev.text = v;
        }
    }
}


/* annotations: [{"type":"url_citation","url_citation":{…}}] */
static llm_rc_t
llm_openai_emit_notes(llm_openai_chunk_t *c, const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j, note, inner;
    llm_slice_t      key, v, element;
    llm_json_type_t  type;

    rc = LLM_OK;
    llm_json_reopen(&j, raw);

    while (rc == LLM_OK && llm_json_element(&j, &element, &type)) {

        if (type != LLM_JSON_OBJECT) {
            continue;
        }

        c->ev.text = llm_slice_null;
        c->ev.start = -1;
        c->ev.end = -1;
        llm_json_reopen(&note, &element);

        while (llm_json_member(&note, &key, &v, &type)) {
            if (type == LLM_JSON_OBJECT
                && llm_json_is(&key, "url_citation"))
            {
                llm_json_reopen(&inner, &v);
                llm_openai_note(c, &inner);
            }
        }

        if (c->ev.id.p != NULL) {
            c->ev.raw = element;
            rc = llm_openai_emit(c, LLM_EV_CITATION);
        }

        c->ev.id = llm_slice_null;
        c->ev.name = llm_slice_null;
        c->ev.raw = llm_slice_null;
    }

    return rc;
}


llm_rc_t
llm_openai_emit_rare(llm_openai_chunk_t *c, const llm_openai_choice_t *ch)
{
    llm_rc_t  rc;

    rc = ch->parts.p != NULL ? llm_openai_parts(c, &ch->parts) : LLM_OK;

    if (rc == LLM_OK && ch->tools.p != NULL) {
        rc = llm_openai_tools(c, &ch->tools);
    }

    if (rc == LLM_OK && ch->call.p != NULL) {
        c->ev.text = llm_slice_null;
        llm_openai_function(c, &ch->call);
        rc = llm_openai_call(c);
    }

    if (rc == LLM_OK && ch->notes.p != NULL) {
        rc = llm_openai_emit_notes(c, &ch->notes);
    }

    if (rc == LLM_OK && ch->logprobs.p != NULL) {
        rc = c->legacy ? llm_openai_emit_items(c, &ch->logprobs)
                       : llm_openai_emit_logprobs(c, &ch->logprobs);
    }

    return rc;
}
