/*
 * Cohere's chat API, version 2: what a message holds, to events.  The same
 * members are lists in an answer and single objects in a delta, though their
 * names are plural in both.  Nothing here may keep a slice beyond the call.
 */

#include "llm_cohere.h"


llm_rc_t
llm_cohere_emit(llm_cohere_frame_t *f, llm_event_type_t type)
{
    f->emitted++;
    f->ev.type = type;

    return f->d->emit(f->d->ctx, &f->ev);
}


/* Nothing for an empty text. */
static llm_rc_t
llm_cohere_text(llm_cohere_frame_t *f, llm_event_type_t type,
    const llm_slice_t *text)
{
    llm_rc_t  rc;

    if (text->n == 0) {
        return LLM_OK;
    }

    f->ev.text = *text;
    rc = llm_cohere_emit(f, type);

    f->said = f->ev;
    f->ev.text = llm_slice_null;

    return rc;
}


/* {"type":"text","text":…} or {"type":"thinking","thinking":…}. */
static llm_rc_t
llm_cohere_content(llm_cohere_frame_t *f, const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, text, thinking;
    llm_json_type_t  type;

    text = llm_slice_null;
    thinking = llm_slice_null;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type != LLM_JSON_STRING) {
            continue;
        }

        if (llm_json_is(&key, "text")) {
            text = v;

        } else if (llm_json_is(&key, "thinking")) {
            thinking = v;
        }
    }

    rc = llm_cohere_text(f, LLM_EV_REASONING, &thinking);

    return rc == LLM_OK ? llm_cohere_text(f, LLM_EV_TEXT, &text) : rc;
}


/* {"name":…,"arguments":…} into f->ev. */
static void
llm_cohere_function(llm_cohere_frame_t *f, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (llm_json_is(&key, "name")) {
            if (type == LLM_JSON_STRING && v.n != 0) {
                f->ev.name = v;
            }

        } else if (llm_json_is(&key, "arguments")) {
            if (type == LLM_JSON_STRING || type == LLM_JSON_OBJECT) {
                f->ev.text = v;
            }
        }
    }
}


/* The number of a call, counted from 0 whatever the frames count. */
static unsigned
llm_cohere_tool_index(llm_cohere_frame_t *f)
{
    unsigned             begins;
    llm_cohere_state_t  *s;

    s = f->d->state;

    begins = f->answer || llm_json_is(&f->type, "tool-call-start")
             || s->calls == 0;

    if (begins) {
        if (s->calls == 0) {
            s->base = f->index;
        }

        s->said = 0;

        return s->calls++;
    }

    if (f->index >= s->base && f->index - s->base < (int64_t) s->calls) {
        return (unsigned) (f->index - s->base);
    }

    return s->calls - 1;
}


static llm_rc_t
llm_cohere_call(llm_cohere_frame_t *f, const llm_slice_t *raw)
{
    llm_rc_t             rc;
    llm_json_t           j;
    llm_slice_t          key, v;
    llm_json_type_t      type;
    llm_cohere_state_t  *s;

    s = f->d->state;

    f->ev.text = (llm_slice_t) { (const llm_u8 *) "", 0, 1 };
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && v.n != 0 && llm_json_is(&key, "id")) {
            f->ev.id = v;

        } else if (type == LLM_JSON_OBJECT
                   && llm_json_is(&key, "function"))
        {
            llm_cohere_function(f, &v);
        }
    }

    f->ev.tool_index = llm_cohere_tool_index(f);
    f->ev.whole = f->answer;
    s->said |= f->ev.text.n != 0;

    rc = llm_cohere_emit(f, LLM_EV_TOOL_CALL);

    f->ev.id = llm_slice_null;
    f->ev.name = llm_slice_null;
    f->ev.text = llm_slice_null;
    f->ev.tool_index = 0;
    f->ev.whole = 0;

    return rc;
}


llm_rc_t
llm_cohere_call_end(llm_cohere_frame_t *f)
{
    llm_cohere_state_t  *s;

    s = f->d->state;

    if (s->calls == 0 || s->said) {
        return llm_cohere_emit(f, LLM_EV_PING);
    }

    s->said = 1;
    f->frame->choices = 1;
    f->ev.tool_index = s->calls - 1;
    f->ev.text = llm_slice("{}");

    return llm_cohere_emit(f, LLM_EV_TOOL_CALL);
}


/* Link and title of the first source that has a document. */
static void
llm_cohere_source(llm_cohere_frame_t *f, const llm_slice_t *sources)
{
    llm_json_t       j, document;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, sources);

    while (f->ev.id.p == NULL && llm_json_object(&j)) {

        while (llm_json_member(&j, &key, &v, &type)) {

            if (type != LLM_JSON_OBJECT || !llm_json_is(&key, "document")) {
                continue;
            }

            llm_json_reopen(&document, &v);

            while (llm_json_member(&document, &key, &v, &type)) {

                if (type != LLM_JSON_STRING) {
                    continue;
                }

                if (llm_json_is(&key, "url")) {
                    f->ev.id = v;

                } else if (llm_json_is(&key, "title")) {
                    f->ev.name = v;
                }
            }
        }
    }
}


static llm_rc_t
llm_cohere_citation(llm_cohere_frame_t *f, const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    f->ev.raw = *raw;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && llm_json_is(&key, "text")) {
            f->ev.text = v;

        } else if (type == LLM_JSON_NUMBER && llm_json_is(&key, "start")) {
            f->ev.start = llm_json_uint(&v);

        } else if (type == LLM_JSON_NUMBER && llm_json_is(&key, "end")) {
            f->ev.end = llm_json_uint(&v);

        } else if (type == LLM_JSON_ARRAY && llm_json_is(&key, "sources")) {
            llm_cohere_source(f, &v);
        }
    }

    rc = llm_cohere_emit(f, LLM_EV_CITATION);

    f->ev.id = llm_slice_null;
    f->ev.name = llm_slice_null;
    f->ev.text = llm_slice_null;
    f->ev.raw = llm_slice_null;
    f->ev.start = -1;
    f->ev.end = -1;

    return rc;
}


/* One object, or each of a list. */
static llm_rc_t
llm_cohere_each(llm_cohere_frame_t *f, const llm_cohere_value_t *list,
    llm_rc_t (*one)(llm_cohere_frame_t *f, const llm_slice_t *raw))
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      v;
    llm_json_type_t  type;

    if (list->type == LLM_JSON_OBJECT) {
        return one(f, &list->v);
    }

    rc = LLM_OK;

    if (list->type != LLM_JSON_ARRAY) {
        return rc;
    }

    llm_json_reopen(&j, &list->v);

    while (rc == LLM_OK && llm_json_element(&j, &v, &type)) {
        if (type == LLM_JSON_OBJECT) {
            rc = one(f, &v);
        }
    }

    return rc;
}


static void
llm_cohere_read_message(llm_cohere_message_t *m, const llm_slice_t *raw)
{
    llm_json_t           j;
    llm_slice_t          key;
    llm_cohere_value_t   value;

    memset(m, 0, sizeof(llm_cohere_message_t));
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &value.v, &value.type)) {

        if (llm_json_is(&key, "content")) {
            m->content = value;

        } else if (llm_json_is(&key, "tool_plan")) {
            m->plan = value;

        } else if (llm_json_is(&key, "tool_calls")) {
            m->calls = value;

        } else if (llm_json_is(&key, "citations")) {
            m->citations = value;
        }
    }
}


llm_rc_t
llm_cohere_message(llm_cohere_frame_t *f, const llm_slice_t *raw)
{
    llm_rc_t              rc;
    llm_cohere_message_t  m;

    llm_cohere_read_message(&m, raw);

    rc = LLM_OK;

    if (m.plan.type == LLM_JSON_STRING) {
        rc = llm_cohere_text(f, LLM_EV_REASONING, &m.plan.v);
    }

    if (rc == LLM_OK && m.content.type == LLM_JSON_STRING) {
        rc = llm_cohere_text(f, LLM_EV_TEXT, &m.content.v);
    }

    if (rc == LLM_OK) {
        rc = llm_cohere_each(f, &m.content, llm_cohere_content);
    }

    if (rc == LLM_OK) {
        rc = llm_cohere_each(f, &m.calls, llm_cohere_call);
    }

    if (rc == LLM_OK) {
        rc = llm_cohere_each(f, &m.citations, llm_cohere_citation);
    }

    return rc;
}
