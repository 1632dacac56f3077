/*
 * Anthropic messages: where things lie in an event's JSON.  What is read is
 * validated whole before any of it is used; nothing is emitted, copied or
 * allocated here.
 */

#include "llm_anthropic.h"


void
llm_anthropic_open(llm_anthropic_frame_t *f, llm_decoder_t *d,
    llm_frame_t *frame)
{
    memset(f, 0, sizeof(llm_anthropic_frame_t));

    f->d = d;
    f->s = d->state;
    f->frame = frame;
    f->index = -1;

    f->ev.linesep = frame->linesep;
    f->ev.created = -1;
    f->ev.start = -1;
    f->ev.end = -1;

    if (!f->s->has_usage) {
        f->s->usage = llm_usage_none;
        f->s->has_usage = 1;
    }

    frame->choices = 0;
}


/* Takes a member of a message, or of a message_delta's delta. */
static void
llm_anthropic_stop_member(llm_anthropic_frame_t *f, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    if (type == LLM_JSON_STRING && llm_json_is(key, "stop_reason")) {
        f->reason = *v;

    } else if (type == LLM_JSON_STRING && llm_json_is(key, "stop_sequence")) {
        f->sequence = *v;

    } else if (type == LLM_JSON_OBJECT && llm_json_is(key, "stop_details")) {
        f->details = *v;
    }
}


static void
llm_anthropic_message_member(llm_anthropic_frame_t *f,
    const llm_slice_t *key, llm_json_type_t type, const llm_slice_t *v)
{
    if (type == LLM_JSON_STRING && llm_json_is(key, "id")) {
        f->id = *v;

    } else if (type == LLM_JSON_STRING && llm_json_is(key, "model")) {
        f->model = *v;

    } else if (type == LLM_JSON_ARRAY && llm_json_is(key, "content")) {
        f->content = *v;

    } else if (type == LLM_JSON_OBJECT && llm_json_is(key, "usage")) {
        f->usage = *v;

    } else {
        llm_anthropic_stop_member(f, key, type, v);
    }
}


void
llm_anthropic_message(llm_anthropic_frame_t *f, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        llm_anthropic_message_member(f, &key, type, &v);
    }
}


void
llm_anthropic_stopped(llm_anthropic_frame_t *f, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        llm_anthropic_stop_member(f, &key, type, &v);
    }
}


static void
llm_anthropic_member(llm_anthropic_frame_t *f, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    if (type == LLM_JSON_STRING) {

        if (llm_json_is(key, "type")) {
            f->type = *v;
            return;
        }

        if (v->n != 0 && llm_json_is(key, "error")) {
            f->error = *v;
            return;
        }

    } else if (type == LLM_JSON_NUMBER) {

        if (llm_json_is(key, "index")) {
            f->index = llm_json_uint(v);
            return;
        }

    } else if (type == LLM_JSON_OBJECT) {

        if (llm_json_is(key, "delta")) {
            f->delta = *v;
            return;
        }

        if (llm_json_is(key, "content_block")) {
            f->block = *v;
            return;
        }

        if (llm_json_is(key, "message")) {
            f->message = *v;
            return;
        }

        if (llm_json_is(key, "error")) {
            f->error = *v;
            return;
        }
    }

    llm_anthropic_message_member(f, key, type, v);
}


int
llm_anthropic_scan(llm_anthropic_frame_t *f)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_init(&j, f->frame->data.p, f->frame->data.n,
                  f->frame->max_depth);

    if (llm_json_next(&j) != LLM_JSON_OBJECT) {
        return 0;
    }

    while (llm_json_member(&j, &key, &v, &type)) {
        llm_anthropic_member(f, &key, type, &v);
    }

    return llm_json_next(&j) == LLM_JSON_END;
}


/* Takes the input of a tool_use block when it says anything: in a stream it
 * is {} and the fragments say it. */
static void
llm_anthropic_input(llm_anthropic_block_t *b, llm_json_type_t type,
    const llm_slice_t *v)
{
    llm_json_t  j;

    if (type == LLM_JSON_STRING) {
        if (v->n != 0) {
            b->input = *v;
        }

        return;
    }

    if (type == LLM_JSON_OBJECT) {
        llm_json_reopen(&j, v);

        if (llm_json_next(&j) == LLM_JSON_KEY) {
            b->input = *v;
        }
    }
}


void
llm_anthropic_block(llm_anthropic_block_t *b, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    memset(b, 0, sizeof(llm_anthropic_block_t));
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (llm_json_is(&key, "input")) {
            llm_anthropic_input(b, type, &v);

        } else if (type == LLM_JSON_ARRAY && llm_json_is(&key, "citations")) {
            b->citations = v;

        } else if (type != LLM_JSON_STRING) {
            continue;

        } else if (llm_json_is(&key, "type")) {
            b->type = v;

        } else if (llm_json_is(&key, "text")) {
            b->text = v;

        } else if (llm_json_is(&key, "thinking")) {
            b->thinking = v;

        } else if (llm_json_is(&key, "signature")) {
            b->signature = v;

        } else if (llm_json_is(&key, "data")) {
            b->data = v;

        } else if (llm_json_is(&key, "id")) {
            b->id = v;

        } else if (llm_json_is(&key, "name")) {
            b->name = v;
        }
    }
}
