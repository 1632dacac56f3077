/*
 * Flowise: one JSON answer to events.  What an answer holds beside its text
 * has the same names as in a stream, so that both become the same events.
 * Nothing here may keep a slice beyond the call.
 */

#include "llm_flowise.h"


/* Members of one JSON answer. */
typedef struct {
    llm_slice_t      text;
    llm_slice_t      json;          /* instead of a text */
    llm_slice_t      thinking;      /* reasonContent */
    llm_slice_t      calls;
    llm_slice_t      sources;
    llm_slice_t      usage;
    llm_slice_t      id;
    unsigned         known;         /* members of such an answer */
    unsigned         error;         /* "success": false */
} llm_flowise_answer_t;


/* Members of an answer that a stream has in its metadata event. */
static const llm_json_word_t  llm_flowise_metadata[] = {
    { llm_str("chatId"), 1 },
    { llm_str("chatMessageId"), 1 },
    { llm_str("question"), 1 },
    { llm_str("sessionId"), 1 },
    { llm_str("memoryType"), 1 },
    { llm_str("followUpPrompts"), 1 },
    { llm_str("flowVariables"), 1 },
    { { NULL, 0, 0 }, 0 }
};


/* reasonContent: {"thinking":"…"} */
static void
llm_flowise_thinking(llm_flowise_answer_t *a, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (type == LLM_JSON_STRING && llm_json_is(&key, "thinking")) {
            a->thinking = v;
        }
    }
}


static void
llm_flowise_answer_member(llm_flowise_answer_t *a, const llm_slice_t *key,
    const llm_slice_t *v, llm_json_type_t type)
{
    if (llm_json_is(key, "text")) {
        if (type == LLM_JSON_STRING) {
            a->text = *v;
            a->known = 1;
        }

    } else if (llm_json_is(key, "json")) {
        if (type == LLM_JSON_OBJECT || type == LLM_JSON_ARRAY) {
            a->json = *v;
            a->known = 1;
        }

    } else if (llm_json_is(key, "chatMessageId")) {
        if (type == LLM_JSON_STRING) {
            a->id = *v;
            a->known = 1;
        }

    } else if (llm_json_is(key, "success")) {
        a->error = type == LLM_JSON_FALSE;

    } else if (type == LLM_JSON_ARRAY) {

        if (llm_json_is(key, "calledTools")) {
            a->calls = *v;

        } else if (llm_json_is(key, "sourceDocuments")) {
            a->sources = *v;
        }

    } else if (type == LLM_JSON_OBJECT) {

        if (llm_json_is(key, "usageMetadata")) {
            a->usage = *v;

        } else if (llm_json_is(key, "reasonContent")) {
            llm_flowise_thinking(a, v);
        }
    }
}


/* 0: no JSON object. */
static int
llm_flowise_scan_answer(llm_flowise_answer_t *a, const llm_frame_t *answer)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    memset(a, 0, sizeof(llm_flowise_answer_t));

    llm_json_init(&j, answer->data.p, answer->data.n, answer->max_depth);

    if (llm_json_next(&j) != LLM_JSON_OBJECT) {
        return 0;
    }

    while (llm_json_member(&j, &key, &v, &type)) {
        llm_flowise_answer_member(a, &key, &v, type);
    }

    return llm_json_next(&j) == LLM_JSON_END;
}


/* Appends a member to the object in scratch. */
static llm_rc_t
llm_flowise_gather(llm_decoder_t *d, const llm_slice_t *name,
    const llm_slice_t *raw)
{
    llm_rc_t      rc;
    llm_block_t  *b;

    b = &d->scratch;
    rc = llm_block_reserve(b, &d->alloc, name->n + raw->n + 4);

    if (rc == LLM_OK) {
        b->p[b->n] = b->n == 0 ? '{' : ',';
        b->p[b->n + 1] = '"';
        memcpy(b->p + b->n + 2, name->p, name->n);
        b->n += name->n + 2;
        memcpy(b->p + b->n, "\":", 2);
        memcpy(b->p + b->n + 2, raw->p, raw->n);
        b->n += raw->n + 2;
    }

    return rc;
}


/* The extras of an answer, in its order, and then its metadata. */
static llm_rc_t
llm_flowise_answer_extras(llm_flowise_frame_t *f)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, raw;
    llm_json_type_t  type;

    rc = LLM_OK;
    f->d->scratch.n = 0;
    llm_json_reopen(&j, &f->frame->data);

    while (rc == LLM_OK && llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_NULL) {
            continue;
        }

        raw = llm_flowise_raw(&v, type);

        if (llm_flowise_is_extra(&key)) {
            rc = llm_flowise_meta(f, &key, &raw);

        } else if (llm_json_find(llm_flowise_metadata, &key, 0)) {
            rc = llm_flowise_gather(f->d, &key, &raw);
        }
    }

    if (rc == LLM_OK && f->d->scratch.n != 0) {
        rc = llm_block_append(&f->d->scratch, &f->d->alloc, "}", 1);
    }

    if (rc == LLM_OK && f->d->scratch.n != 0) {
        raw = (llm_slice_t) { f->d->scratch.p, f->d->scratch.n, 0 };
        key = llm_slice("metadata");
        rc = llm_flowise_meta(f, &key, &raw);
    }

    return rc;
}


static llm_rc_t
llm_flowise_answer_events(llm_flowise_frame_t *f,
    const llm_flowise_answer_t *a)
{
    llm_rc_t  rc;

    rc = llm_flowise_start(f, &a->id);

    if (rc == LLM_OK && a->thinking.n != 0) {
        rc = llm_flowise_text(f, LLM_EV_REASONING, &a->thinking);
    }

    if (rc == LLM_OK) {
        rc = llm_flowise_text(f, LLM_EV_TEXT, a->text.p != NULL ? &a->text
                                                                : &a->json);
    }

    if (rc == LLM_OK && a->calls.p != NULL) {
        rc = llm_flowise_calls(f, &a->calls);
    }

    if (rc == LLM_OK && a->sources.p != NULL) {
        rc = llm_flowise_documents(f, &a->sources);
    }

    if (rc == LLM_OK && a->usage.p != NULL) {
        rc = llm_flowise_usage(f, &a->usage);
    }

    return rc == LLM_OK ? llm_flowise_answer_extras(f) : rc;
}


llm_rc_t
llm_flowise_decode_answer(llm_decoder_t *d, llm_frame_t *answer)
{
    llm_rc_t              rc;
    llm_error_t           err;
    llm_flowise_frame_t   f;
    llm_flowise_answer_t  a;

    llm_flowise_open(&f, d, answer);

    if (!llm_flowise_scan_answer(&a, answer)) {
        return LLM_INVALID;
    }

    if (a.error || !a.known) {
        if (llm_error_read(&answer->data, &err) != LLM_OK) {
            return LLM_INVALID;
        }

        f.ev.error = &err;

        return llm_flowise_emit(&f, LLM_EV_ERROR);
    }

    answer->choices = 1;
    rc = llm_flowise_answer_events(&f, &a);

    return rc == LLM_OK ? llm_flowise_end(&f) : rc;
}
