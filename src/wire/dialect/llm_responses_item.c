/*
 * OpenAI Responses: output items to events.  An item that comes whole is
 * read for what its deltas did not say, so that nothing is emitted twice
 * whatever a server leaves out or repeats.
 */

#include "llm_responses.h"


#define llm_responses_seen_at(s)                                            \
    ((llm_responses_seen_t *) (void *) (s)->items.p)


llm_responses_seen_t *
llm_responses_seen(llm_responses_frame_t *f, int64_t index)
{
    size_t                  i, n;
    llm_responses_seen_t   *seen, one;
    llm_responses_state_t  *s;

    s = f->d->state;
    n = s->items.n / sizeof(llm_responses_seen_t);
    seen = llm_responses_seen_at(s);

    /* without an index it is the item that the last event was about */

    if (n != 0 && (index < 0 || seen[s->last].index == index)) {
        return &seen[s->last];
    }

    if (index < 0) {
        index = 0;
    }

    for (i = n; i != 0; i--) {
        if (seen[i - 1].index == index) {
            s->last = i - 1;
            return &seen[i - 1];
        }
    }

    if (n == LLM_RESPONSES_ITEMS) {
        f->rc = LLM_TOO_BIG;
        return NULL;
    }

    memset(&one, 0, sizeof(llm_responses_seen_t));
    one.index = index;

    f->rc = llm_block_append(&s->items, &f->d->alloc, &one, sizeof(one));
    if (f->rc != LLM_OK) {
        return NULL;
    }

    s->last = n;

    return &llm_responses_seen_at(s)[n];
}


llm_rc_t
llm_responses_call(llm_responses_frame_t *f, llm_responses_seen_t *seen,
    const llm_slice_t *id, const llm_slice_t *name, const llm_slice_t *args)
{
    llm_rc_t                rc;
    llm_responses_state_t  *s;

    s = f->d->state;
    f->frame->choices = 1;
    seen->kind = LLM_RESPONSES_CALL;

    if (!seen->named && name != NULL && (id->n != 0 || name->n != 0)) {
        seen->named = 1;
        f->ev.id = *id;
        f->ev.name = *name;
    }

    f->ev.text = (llm_slice_t) { (const llm_u8 *) "", 0, 1 };

    if (args != NULL && args->n != 0) {
        seen->args = 1;
        f->ev.text = *args;
    }

    if (f->ev.id.p == NULL && f->ev.name.p == NULL && f->ev.text.n == 0) {
        f->ev.text = llm_slice_null;
        return LLM_OK;
    }

    /* calls are counted as they are said */

    if (!seen->counted) {
        seen->counted = 1;
        seen->tool_index = s->calls++;
    }

    f->ev.tool_index = seen->tool_index;

    rc = llm_responses_emit(f, LLM_EV_TOOL_CALL);

    f->ev.id = llm_slice_null;
    f->ev.name = llm_slice_null;
    f->ev.text = llm_slice_null;
    f->ev.tool_index = 0;

    return rc;
}


llm_rc_t
llm_responses_citation(llm_responses_frame_t *f, const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    f->frame->choices = 1;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING) {

            if (llm_json_is(&key, "url")) {
                f->ev.id = v;

            } else if (llm_json_is(&key, "title")
                       || llm_json_is(&key, "filename"))
            {
                f->ev.name = v;
            }

        } else if (type == LLM_JSON_NUMBER) {

            if (llm_json_is(&key, "start_index")) {
                f->ev.start = llm_json_uint(&v);

            } else if (llm_json_is(&key, "end_index")) {
                f->ev.end = llm_json_uint(&v);
            }
        }
    }

    f->ev.raw = *raw;

    rc = llm_responses_emit(f, LLM_EV_CITATION);

    f->ev.id = llm_slice_null;
    f->ev.name = llm_slice_null;
    f->ev.raw = llm_slice_null;
    f->ev.start = -1;
    f->ev.end = -1;

    return rc;
}


void
llm_responses_settle_tokens(llm_responses_state_t *s)
{
    size_t                 i, n;
    unsigned               any;
    llm_responses_seen_t  *seen;

    any = 0;
    seen = llm_responses_seen_at(s);
    n = s->items.n / sizeof(llm_responses_seen_t);

    for (i = 0; i < n; i++) {
        any |= seen[i].logprobs;
    }

    for (i = 0; i < n; i++) {
        seen[i].logprobs = any;
    }
}


llm_rc_t
llm_responses_tokens(llm_responses_frame_t *f, llm_responses_seen_t *seen,
    const llm_slice_t *raw)
{
    llm_rc_t    rc;
    llm_json_t  j;

    llm_json_reopen(&j, raw);

    if (!llm_json_object(&j)) {
        return LLM_OK;
    }

    seen->logprobs = 1;
    f->frame->choices = 1;
    f->ev.raw = *raw;

    rc = llm_responses_emit(f, LLM_EV_LOGPROBS);

    f->ev.raw = llm_slice_null;

    return rc;
}


/* The annotations of a part, `base` of the item's being in front of them. */
static llm_rc_t
llm_responses_citations(llm_responses_frame_t *f,
    llm_responses_seen_t *seen, const llm_slice_t *raw, unsigned *base)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_element(&j, &v, &type)) {

        if (type != LLM_JSON_OBJECT || (*base)++ < seen->citations) {
            continue;
        }

        seen->citations++;

        rc = llm_responses_citation(f, &v);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


typedef struct {
    llm_slice_t     type;
    llm_slice_t     text;
    llm_slice_t     refusal;
    llm_slice_t     annotations;
    llm_slice_t     logprobs;
} llm_responses_part_t;


/* Reads a part; j stands behind its brace. */
static void
llm_responses_read_part(llm_responses_part_t *p, llm_json_t *j)
{
    llm_slice_t      key, v;
    llm_json_type_t  type;

    memset(p, 0, sizeof(llm_responses_part_t));

    while (llm_json_member(j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING) {

            if (llm_json_is(&key, "type")) {
                p->type = v;

            } else if (llm_json_is(&key, "text")) {
                p->text = v;

            } else if (llm_json_is(&key, "refusal")) {
                p->refusal = v;
            }

        } else if (type == LLM_JSON_ARRAY) {

            if (llm_json_is(&key, "annotations")) {
                p->annotations = v;

            } else if (llm_json_is(&key, "logprobs")) {
                p->logprobs = v;
            }
        }
    }
}


/* The text of a part, unless something of it was said before. */
static llm_rc_t
llm_responses_part_text(llm_responses_frame_t *f, uint32_t *mask,
    int64_t index, llm_event_type_t type, const llm_slice_t *text)
{
    uint32_t  bit;

    bit = llm_responses_bit(index);

    if ((*mask & bit) || text->n == 0) {
        return LLM_OK;
    }

    *mask |= bit;

    return llm_responses_say(f, type, text);
}


static llm_rc_t
llm_responses_emit_part(llm_responses_frame_t *f,
    llm_responses_seen_t *seen, int64_t index, const llm_responses_part_t *p)
{
    llm_rc_t  rc;

    if (llm_json_is(&p->type, "summary_text")) {
        return llm_responses_part_text(f, &seen->summaries, index,
                                       LLM_EV_REASONING, &p->text);
    }

    if (llm_json_is(&p->type, "reasoning_text")
        || seen->kind == LLM_RESPONSES_REASONING)
    {
        return llm_responses_part_text(f, &seen->thoughts, index,
                                       LLM_EV_REASONING, &p->text);
    }

    if (p->refusal.n != 0) {
        return llm_responses_part_text(f, &seen->texts, index,
                                       LLM_EV_REFUSAL, &p->refusal);
    }

    rc = llm_responses_part_text(f, &seen->texts, index, LLM_EV_TEXT,
                                 &p->text);

    return rc == LLM_OK && p->logprobs.p != NULL && !seen->logprobs
           ? llm_responses_tokens(f, seen, &p->logprobs) : rc;
}


llm_rc_t
llm_responses_part(llm_responses_frame_t *f, llm_responses_seen_t *seen,
    int64_t index, const llm_slice_t *raw)
{
    llm_json_t            j;
    llm_responses_part_t  p;

    llm_json_reopen(&j, raw);
    llm_responses_read_part(&p, &j);

    return llm_responses_emit_part(f, seen, index, &p);
}


/* The parts of a message or of a reasoning item. */
static llm_rc_t
llm_responses_parts(llm_responses_frame_t *f, llm_responses_seen_t *seen,
    const llm_slice_t *raw)
{
    int64_t               i;
    llm_rc_t              rc;
    unsigned              base;
    llm_json_t            j;
    llm_responses_part_t  p;

    if (raw->p == NULL) {
        return LLM_OK;
    }

    base = 0;
    llm_json_reopen(&j, raw);

    for (i = 0; llm_json_object(&j); i++) {
        llm_responses_read_part(&p, &j);

        rc = llm_responses_emit_part(f, seen, i, &p);

        if (rc == LLM_OK && p.annotations.p != NULL) {
            rc = llm_responses_citations(f, seen, &p.annotations, &base);
        }

        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


typedef struct {
    llm_responses_kind_t  kind;
    llm_slice_t           type;
    llm_slice_t           name;
    llm_slice_t           call_id;
    llm_slice_t           id;
    llm_slice_t           args;
    llm_slice_t           encrypted;
    llm_slice_t           content;
    llm_slice_t           summary;
} llm_responses_item_t;


static void
llm_responses_item_string(llm_responses_item_t *it, const llm_slice_t *key,
    const llm_slice_t *v)
{
    if (llm_json_is(key, "type")) {
        it->type = *v;
        it->kind = llm_json_is(v, "message") ? LLM_RESPONSES_MESSAGE
                   : llm_json_is(v, "function_call") ? LLM_RESPONSES_CALL
                   : llm_json_is(v, "reasoning") ? LLM_RESPONSES_REASONING
                   : LLM_RESPONSES_OTHER;

    } else if (llm_json_is(key, "name")) {
        it->name = *v;

    } else if (llm_json_is(key, "call_id")) {
        it->call_id = *v;

    } else if (llm_json_is(key, "id")) {
        it->id = *v;

    } else if (llm_json_is(key, "arguments")) {
        it->args = *v;

    } else if (llm_json_is(key, "encrypted_content")) {
        it->encrypted = *v;
    }
}


static void
llm_responses_read_item(llm_responses_item_t *it, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    memset(it, 0, sizeof(llm_responses_item_t));
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING) {
            llm_responses_item_string(it, &key, &v);

        } else if (type == LLM_JSON_ARRAY) {

            if (llm_json_is(&key, "content")) {
                it->content = v;

            } else if (llm_json_is(&key, "summary")) {
                it->summary = v;
            }

        } else if (type == LLM_JSON_OBJECT
                   && llm_json_is(&key, "arguments"))
        {
            it->args = v;
            it->args.escaped = 0;
        }
    }

    if (it->call_id.n == 0) {
        it->call_id = it->id.n != 0 ? it->id : llm_slice_null;
    }
}


/* A reasoning item that is whole. */
static llm_rc_t
llm_responses_thoughts(llm_responses_frame_t *f, llm_responses_seen_t *seen,
    const llm_responses_item_t *it)
{
    llm_rc_t  rc;

    rc = llm_responses_parts(f, seen, &it->summary);

    if (rc == LLM_OK) {
        rc = llm_responses_parts(f, seen, &it->content);
    }

    if (rc != LLM_OK || seen->sealed || it->encrypted.n == 0) {
        return rc;
    }

    seen->sealed = 1;
    f->frame->choices = 1;

    f->ev.text = (llm_slice_t) { (const llm_u8 *) "", 0, 1 };
    f->ev.raw = it->encrypted;
    rc = llm_responses_emit(f, LLM_EV_REASONING);
    f->ev.text = llm_slice_null;
    f->ev.raw = llm_slice_null;

    return rc;
}


/* An item that is whole. */
static llm_rc_t
llm_responses_whole(llm_responses_frame_t *f, llm_responses_seen_t *seen,
    const llm_responses_item_t *it, const llm_slice_t *raw)
{
    llm_rc_t  rc;

    switch (it->kind) {

    case LLM_RESPONSES_MESSAGE:
        seen->kind = LLM_RESPONSES_MESSAGE;
        return llm_responses_parts(f, seen, &it->content);

    case LLM_RESPONSES_REASONING:
        seen->kind = LLM_RESPONSES_REASONING;
        return llm_responses_thoughts(f, seen, it);

    case LLM_RESPONSES_CALL:
        f->ev.whole = !seen->args && it->args.n != 0;
        rc = llm_responses_call(f, seen, &it->call_id, &it->name,
                                seen->args ? NULL : &it->args);
        f->ev.whole = 0;
        return rc;

    default:
        if (seen->closed) {
            return LLM_OK;
        }

        seen->closed = 1;

        f->ev.name = it->type;
        f->ev.raw = *raw;
        rc = llm_responses_emit(f, LLM_EV_META);
        f->ev.name = llm_slice_null;
        f->ev.raw = llm_slice_null;
        return rc;
    }
}


llm_rc_t
llm_responses_item(llm_responses_frame_t *f, int64_t index,
    const llm_slice_t *raw, unsigned done)
{
    llm_responses_item_t   it;
    llm_responses_seen_t  *seen;

    seen = llm_responses_seen(f, index);
    if (seen == NULL) {
        return f->rc;
    }

    llm_responses_read_item(&it, raw);

    if (done) {
        return llm_responses_whole(f, seen, &it, raw);
    }

    if (it.kind == LLM_RESPONSES_CALL) {
        return llm_responses_call(f, seen, &it.call_id, &it.name, NULL);
    }

    seen->kind = it.kind;

    return LLM_OK;
}


/*
 * The entry of the at-th item of a kind, or NULL.  Items of the response
 * object are counted by kind: its output leaves out some of those that the
 * stream had, so that positions do not say which is which.
 */
static llm_responses_seen_t *
llm_responses_nth(llm_responses_state_t *s, llm_responses_kind_t kind,
    unsigned at)
{
    size_t                 i;
    llm_responses_seen_t  *seen;

    for (i = 0; i < s->items.n / sizeof(llm_responses_seen_t); i++) {
        seen = &llm_responses_seen_at(s)[i];

        if (seen->kind == kind && at-- == 0) {
            return seen;
        }
    }

    return NULL;
}


llm_rc_t
llm_responses_output(llm_responses_frame_t *f, const llm_slice_t *raw)
{
    int64_t                 next;
    llm_rc_t                rc;
    unsigned                n[LLM_RESPONSES_REASONING + 1];
    llm_json_t              j;
    llm_slice_t             v;
    llm_json_type_t         type;
    llm_responses_item_t    it;
    llm_responses_seen_t   *seen;
    llm_responses_state_t  *s;

    s = f->d->state;
    next = INT64_MAX - LLM_RESPONSES_ITEMS;
    memset(n, 0, sizeof(n));
    llm_json_reopen(&j, raw);

    while (llm_json_element(&j, &v, &type)) {

        if (type != LLM_JSON_OBJECT) {
            continue;
        }

        llm_responses_read_item(&it, &v);
        seen = llm_responses_nth(s, it.kind, n[it.kind]++);

        if (seen == NULL) {

            /* one that the stream did not have, at an index of its own */

            seen = llm_responses_seen(f, next++);
            if (seen == NULL) {
                return f->rc;
            }
        }

        rc = llm_responses_whole(f, seen, &it, &v);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}
