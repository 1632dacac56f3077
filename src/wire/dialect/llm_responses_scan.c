/*
 * OpenAI Responses: where things lie in a frame and in a response object.
 * One pass over the JSON that validates all of it and remembers slices;
 * nothing is emitted, copied or allocated here.
 */

#include "llm_responses.h"


/* bytes of an event's type that was written with escapes */
#define LLM_RESPONSES_TYPE  64

#define llm_responses_same(p, lit)  (memcmp(p, lit, sizeof(lit) - 1) == 0)


typedef enum {
    LLM_RESPONSES_K_NONE = 0,
    LLM_RESPONSES_K_TYPE,
    LLM_RESPONSES_K_DELTA,
    LLM_RESPONSES_K_WHOLE,
    LLM_RESPONSES_K_LOGPROBS,
    LLM_RESPONSES_K_ANNOTATION,
    LLM_RESPONSES_K_PART,
    LLM_RESPONSES_K_ITEM,
    LLM_RESPONSES_K_RESPONSE,
    LLM_RESPONSES_K_ERROR,
    LLM_RESPONSES_K_OUTPUT,
    LLM_RESPONSES_K_CONTENT,
    LLM_RESPONSES_K_PADDING,
    LLM_RESPONSES_K_SEQUENCE
} llm_responses_key_t;


static llm_responses_key_t
llm_responses_key(const llm_u8 *p, size_t n)
{
    switch (n) {

    case 4:
        return llm_responses_same(p, "type") ? LLM_RESPONSES_K_TYPE
               : llm_responses_same(p, "text") ? LLM_RESPONSES_K_WHOLE
               : llm_responses_same(p, "item") ? LLM_RESPONSES_K_ITEM
               : llm_responses_same(p, "part") ? LLM_RESPONSES_K_PART
               : LLM_RESPONSES_K_NONE;

    case 5:
        return llm_responses_same(p, "delta") ? LLM_RESPONSES_K_DELTA
               : llm_responses_same(p, "error") ? LLM_RESPONSES_K_ERROR
               : LLM_RESPONSES_K_NONE;

    case 7:
        return llm_responses_same(p, "refusal") ? LLM_RESPONSES_K_WHOLE
                                                : LLM_RESPONSES_K_NONE;

    case 8:
        return llm_responses_same(p, "logprobs") ? LLM_RESPONSES_K_LOGPROBS
               : llm_responses_same(p, "response")
                 ? LLM_RESPONSES_K_RESPONSE
               : LLM_RESPONSES_K_NONE;

    case 9:
        return llm_responses_same(p, "arguments") ? LLM_RESPONSES_K_WHOLE
                                                  : LLM_RESPONSES_K_NONE;

    case 10:
        return llm_responses_same(p, "annotation")
               ? LLM_RESPONSES_K_ANNOTATION : LLM_RESPONSES_K_NONE;

    case 11:
        return llm_responses_same(p, "obfuscation")
               ? LLM_RESPONSES_K_PADDING : LLM_RESPONSES_K_NONE;

    case 12:
        return llm_responses_same(p, "output_index")
               ? LLM_RESPONSES_K_OUTPUT : LLM_RESPONSES_K_NONE;

    case 13:
        return llm_responses_same(p, "content_index")
               || llm_responses_same(p, "summary_index")
               ? LLM_RESPONSES_K_CONTENT : LLM_RESPONSES_K_NONE;

    case 15:
        return llm_responses_same(p, "sequence_number")
               ? LLM_RESPONSES_K_SEQUENCE : LLM_RESPONSES_K_NONE;

    default:
        return LLM_RESPONSES_K_NONE;
    }
}


/* The same for a name that is written with escapes. */
static llm_responses_key_t
llm_responses_escaped_key(const llm_slice_t *tok)
{
    llm_u8  buf[LLM_RESPONSES_TYPE * 2];

    if (tok->n > sizeof(buf)) {
        return LLM_RESPONSES_K_NONE;
    }

    return llm_responses_key(buf, llm_json_unescape(buf, tok->p, tok->n));
}


static void
llm_responses_string(llm_responses_frame_t *f, llm_responses_key_t key,
    const llm_slice_t *v)
{
    switch (key) {

    case LLM_RESPONSES_K_DELTA:
        f->delta = *v;
        break;

    case LLM_RESPONSES_K_WHOLE:
        f->text = *v;
        break;

    case LLM_RESPONSES_K_PADDING:
        f->padding = *v;
        f->d->padded = 1;
        break;

    case LLM_RESPONSES_K_ERROR:
        if (v->n != 0) {
            f->error = *v;
        }

        break;

    default:
        break;
    }
}


static void
llm_responses_nested(llm_responses_frame_t *f, llm_responses_key_t key,
    const llm_slice_t *v)
{
    switch (key) {

    case LLM_RESPONSES_K_ANNOTATION:
        f->annotation = *v;
        break;

    case LLM_RESPONSES_K_PART:
        f->part = *v;
        break;

    case LLM_RESPONSES_K_ITEM:
        f->item = *v;
        break;

    case LLM_RESPONSES_K_RESPONSE:
        f->response = *v;
        break;

    case LLM_RESPONSES_K_ERROR:
        f->error = *v;
        break;

    case LLM_RESPONSES_K_WHOLE:

        /* arguments that are an object: their bytes are the text */

        f->text = *v;
        f->text.escaped = 0;
        break;

    default:
        break;
    }
}


static void
llm_responses_number(llm_responses_frame_t *f, llm_responses_key_t key,
    const llm_slice_t *v)
{
    switch (key) {

    case LLM_RESPONSES_K_OUTPUT:
        f->output = llm_json_uint(v);
        break;

    case LLM_RESPONSES_K_CONTENT:
        f->content = llm_json_uint(v);
        break;

    case LLM_RESPONSES_K_SEQUENCE:
        f->number = *v;
        break;

    default:
        break;
    }
}


int
llm_responses_scan(llm_responses_frame_t *f)
{
    llm_json_t           j;
    llm_slice_t          v;
    llm_json_type_t      type;
    llm_responses_key_t  key;

    llm_json_init(&j, f->frame->data.p, f->frame->data.n,
                  f->frame->max_depth);

    if (llm_json_next(&j) != LLM_JSON_OBJECT) {
        return 0;
    }

    while (llm_json_next(&j) == LLM_JSON_KEY) {
        key = j.tok.escaped ? llm_responses_escaped_key(&j.tok)
                            : llm_responses_key(j.tok.p, j.tok.n);
        type = llm_json_value(&j, &v);

        if (type == LLM_JSON_STRING && key == LLM_RESPONSES_K_TYPE) {

            /* escaped only if it is: it is compared, not written */

            f->type = j.tok;

        } else if (type == LLM_JSON_STRING) {
            llm_responses_string(f, key, &v);

        } else if (type == LLM_JSON_NUMBER) {
            llm_responses_number(f, key, &v);

        } else if (type == LLM_JSON_OBJECT) {
            llm_responses_nested(f, key, &v);

        } else if (type == LLM_JSON_ARRAY
                   && key == LLM_RESPONSES_K_LOGPROBS)
        {
            f->logprobs = v;
        }
    }

    return llm_json_next(&j) == LLM_JSON_END;
}


static void
llm_responses_reason(llm_responses_object_t *r, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (type == LLM_JSON_STRING && llm_json_is(&key, "reason")) {
            r->reason = v;
        }
    }
}


static void
llm_responses_object_member(llm_responses_object_t *r,
    const llm_slice_t *key, llm_json_type_t type, const llm_slice_t *v)
{
    if (type == LLM_JSON_STRING) {

        if (llm_json_is(key, "id")) {
            r->id = *v;

        } else if (llm_json_is(key, "model")) {
            r->model = *v;

        } else if (llm_json_is(key, "status")) {
            r->status = *v;

        } else if (llm_json_is(key, "error") && v->n != 0) {
            r->error = *v;
        }

    } else if (type == LLM_JSON_NUMBER) {

        if (llm_json_is(key, "created_at")) {
            r->created = llm_json_uint(v);
        }

    } else if (type == LLM_JSON_ARRAY) {

        if (llm_json_is(key, "output")) {
            r->output = *v;
        }

    } else if (type == LLM_JSON_OBJECT) {

        if (llm_json_is(key, "usage")) {
            r->usage = *v;

        } else if (llm_json_is(key, "error")) {
            r->error = *v;

        } else if (llm_json_is(key, "incomplete_details")) {
            llm_responses_reason(r, v);
        }
    }
}


int
llm_responses_object(llm_responses_object_t *r, const llm_slice_t *raw,
    unsigned max_depth)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    memset(r, 0, sizeof(llm_responses_object_t));
    r->created = -1;

    llm_json_init(&j, raw->p, raw->n, max_depth);

    if (llm_json_next(&j) != LLM_JSON_OBJECT) {
        return 0;
    }

    while ((type = llm_json_next(&j)) == LLM_JSON_KEY) {
        key = j.tok;
        type = llm_json_value(&j, &v);
        llm_responses_object_member(r, &key, type, &v);
    }

    return type == LLM_JSON_OBJECT_END && llm_json_next(&j) == LLM_JSON_END;
}


llm_responses_type_t
llm_responses_type(const llm_slice_t *word)
{
    static const llm_json_word_t  types[] = {
        { llm_str("response.output_text.delta"), LLM_RESPONSES_TEXT_DELTA },
        { llm_str("response.function_call_arguments.delta"),
          LLM_RESPONSES_ARGS_DELTA },
        { llm_str("response.reasoning_summary_text.delta"),
          LLM_RESPONSES_SUMMARY_DELTA },
        { llm_str("response.reasoning_text.delta"),
          LLM_RESPONSES_THOUGHT_DELTA },
        { llm_str("response.refusal.delta"), LLM_RESPONSES_REFUSAL_DELTA },
        { llm_str("response.output_text.done"), LLM_RESPONSES_TEXT_DONE },
        { llm_str("response.function_call_arguments.done"),
          LLM_RESPONSES_ARGS_DONE },
        { llm_str("response.reasoning_summary_text.done"),
          LLM_RESPONSES_SUMMARY_DONE },
        { llm_str("response.reasoning_text.done"),
          LLM_RESPONSES_THOUGHT_DONE },
        { llm_str("response.refusal.done"), LLM_RESPONSES_REFUSAL_DONE },
        { llm_str("response.output_text.annotation.added"),
          LLM_RESPONSES_ANNOTATION },
        { llm_str("response.content_part.added"), LLM_RESPONSES_QUIET },
        { llm_str("response.content_part.done"), LLM_RESPONSES_PART_DONE },
        { llm_str("response.reasoning_summary_part.added"),
          LLM_RESPONSES_QUIET },
        { llm_str("response.reasoning_summary_part.done"),
          LLM_RESPONSES_PART_DONE },
        { llm_str("response.output_item.added"), LLM_RESPONSES_ITEM_ADDED },
        { llm_str("response.output_item.done"), LLM_RESPONSES_ITEM_DONE },
        { llm_str("response.created"), LLM_RESPONSES_LIFE },
        { llm_str("response.in_progress"), LLM_RESPONSES_LIFE },
        { llm_str("response.queued"), LLM_RESPONSES_LIFE },
        { llm_str("response.completed"), LLM_RESPONSES_COMPLETED },
        { llm_str("response.incomplete"), LLM_RESPONSES_INCOMPLETE },
        { llm_str("response.failed"), LLM_RESPONSES_FAILED },
        { llm_str("response.cancelled"), LLM_RESPONSES_FAILED },
        { llm_str("error"), LLM_RESPONSES_ERROR },
        { { NULL, 0, 0 }, 0 }
    };

    return (llm_responses_type_t) llm_json_find(types, word,
                                                LLM_RESPONSES_UNKNOWN);
}


/* The counts of a details object. */
static void
llm_responses_details(llm_usage_t *u, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type != LLM_JSON_NUMBER) {
            continue;
        }

        if (llm_json_is(&key, "cached_tokens")) {
            u->cached = llm_json_uint(&v);

        } else if (llm_json_is(&key, "cache_write_tokens")) {
            u->cache_write = llm_json_uint(&v);

        } else if (llm_json_is(&key, "reasoning_tokens")) {
            u->reasoning = llm_json_uint(&v);
        }
    }
}


int
llm_responses_usage(llm_usage_t *u, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    *u = llm_usage_none;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_OBJECT) {
            if (llm_json_is(&key, "input_tokens_details")
                || llm_json_is(&key, "output_tokens_details"))
            {
                llm_responses_details(u, &v);
            }

        } else if (type != LLM_JSON_NUMBER) {
            continue;

        } else if (llm_json_is(&key, "input_tokens")) {
            u->input = llm_json_uint(&v);

        } else if (llm_json_is(&key, "output_tokens")) {
            u->output = llm_json_uint(&v);

        } else if (llm_json_is(&key, "total_tokens")) {
            u->total = llm_json_uint(&v);
        }
    }

    return u->input >= 0 || u->output >= 0 || u->total >= 0;
}
