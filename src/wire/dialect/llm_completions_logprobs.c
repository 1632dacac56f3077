/*
 * Log probabilities of OpenAI's legacy completions, four lists side by side,
 * to the items of chat completions and back.  They are rare, so each list is
 * made by a walk of its own; the time stays linear.
 */

#include "llm_completions.h"


/* The alternatives of one token, the members of an object. */
static void
llm_completions_top(llm_out_t *out, const llm_slice_t *top)
{
    unsigned         n;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    n = 0;
    llm_out_lit(out, ",\"top_logprobs\":[");

    if (top != NULL) {
        llm_json_reopen(&j, top);

        while (llm_json_member(&j, &key, &v, &type)) {

            if (type != LLM_JSON_NUMBER) {
                continue;
            }

            if (n++ != 0) {
                llm_out_lit(out, ",");
            }

            llm_out_lit(out, "{\"token\":\"");
            llm_out(out, key.p, key.n);
            llm_out_lit(out, "\",\"logprob\":");
            llm_out(out, v.p, v.n);
            llm_out_lit(out, ",\"bytes\":null}");
        }
    }

    llm_out_lit(out, "]}");
}


/* The lists run side by side; one that is shorter says nothing more. */
static void
llm_completions_lists(llm_out_t *out, const llm_slice_t *tokens,
    const llm_slice_t *values, const llm_slice_t *tops)
{
    unsigned         n;
    llm_json_t       jt, jv, jo;
    llm_slice_t      token, value, top;
    llm_json_type_t  type, number, object;

    n = 0;
    number = LLM_JSON_END;
    object = LLM_JSON_END;

    llm_json_reopen(&jt, tokens);

    if (values->p != NULL) {
        llm_json_reopen(&jv, values);
    }

    if (tops->p != NULL) {
        llm_json_reopen(&jo, tops);
    }

    llm_out_lit(out, "[");

    while (llm_json_element(&jt, &token, &type)) {

        if (values->p != NULL && !llm_json_element(&jv, &value, &number)) {
            number = LLM_JSON_END;
        }

        if (tops->p != NULL && !llm_json_element(&jo, &top, &object)) {
            object = LLM_JSON_END;
        }

        if (type != LLM_JSON_STRING) {
            continue;
        }

        if (n++ != 0) {
            llm_out_lit(out, ",");
        }

        llm_out_lit(out, "{\"token\":");
        llm_write_string(out, &token, 0);
        llm_out_lit(out, ",\"logprob\":");

        if (number == LLM_JSON_NUMBER) {
            llm_out(out, value.p, value.n);

        } else {
            llm_out_lit(out, "null");       /* the first one of an echo */
        }

        llm_out_lit(out, ",\"bytes\":null");
        llm_completions_top(out, object == LLM_JSON_OBJECT ? &top : NULL);
    }

    llm_out_lit(out, "]");
}


llm_rc_t
llm_completions_items(llm_decoder_t *d, const llm_slice_t *raw,
    llm_slice_t *items)
{
    llm_rc_t          rc;
    llm_json_t        j;
    llm_slice_t       key, v, tokens, values, tops;
    llm_json_type_t   type;
    llm_block_out_t   bo;

    *items = llm_slice_null;
    tokens = llm_slice_null;
    values = llm_slice_null;
    tops = llm_slice_null;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type != LLM_JSON_ARRAY) {
            continue;
        }

        if (llm_json_is(&key, "tokens")) {
            tokens = v;

        } else if (llm_json_is(&key, "token_logprobs")) {
            values = v;

        } else if (llm_json_is(&key, "top_logprobs")) {
            tops = v;

        } else if (llm_json_is(&key, "content")) {
            *items = v;         /* llama.cpp has the new shape here as well */
        }
    }

    if (tokens.p == NULL) {
        return LLM_OK;
    }

    d->scratch.n = 0;

    rc = llm_block_out_open(&bo, &d->scratch, &d->alloc);
    if (rc != LLM_OK) {
        return rc;
    }

    llm_completions_lists(&bo.out, &tokens, &values, &tops);

    rc = llm_block_out_close(&bo);

    if (rc == LLM_OK) {
        *items = (llm_slice_t) { d->scratch.p, d->scratch.n, 0 };
    }

    return rc;
}


typedef struct {
    llm_slice_t      token;
    llm_slice_t      value;     /* absent: null */
    llm_slice_t      top;       /* array, or absent */
    unsigned         more;      /* of alternatives there is one */
} llm_completions_item_t;


/* The next item of the elements, which are used up; 0 at their end. */
static int
llm_completions_next(llm_slice_t *list, llm_completions_item_t *item)
{
    llm_json_t       j, inside;
    llm_slice_t      key, v, raw;
    llm_json_type_t  type;

    while (list->n != 0 && (*list->p <= ' ' || *list->p == ','
                            || *list->p == '['))
    {
        list->p++;
        list->n--;
    }

    llm_json_init(&j, list->p, list->n, LLM_JSON_DEPTH_MAX);

    if (llm_json_skip(&j, &raw) != LLM_JSON_OBJECT) {
        return 0;
    }

    list->n -= (size_t) (raw.p + raw.n - list->p);
    list->p = raw.p + raw.n;

    memset(item, 0, sizeof(llm_completions_item_t));
    llm_json_reopen(&j, &raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && llm_json_is(&key, "token")) {
            item->token = v;

        } else if (type == LLM_JSON_NUMBER && llm_json_is(&key, "logprob")) {
            item->value = v;

        } else if (type == LLM_JSON_ARRAY
                   && llm_json_is(&key, "top_logprobs"))
        {
            item->top = v;
            llm_json_reopen(&inside, &v);
            item->more = llm_json_object(&inside) != 0;
        }
    }

    return 1;
}


/* {"a":-0.1,…} of the alternatives. */
static void
llm_completions_write_top(llm_out_t *out, const llm_slice_t *top,
    unsigned linesep)
{
    unsigned                n;
    llm_slice_t             list;
    llm_completions_item_t  item;

    n = 0;
    list = *top;
    llm_out_lit(out, "{");

    while (list.p != NULL && llm_completions_next(&list, &item)) {

        if (item.token.p == NULL || item.value.p == NULL) {
            continue;
        }

        if (n++ != 0) {
            llm_out_lit(out, ",");
        }

        llm_write_string(out, &item.token, linesep);
        llm_out_lit(out, ":");
        llm_out(out, item.value.p, item.value.n);
    }

    llm_out_lit(out, "}");
}


static void
llm_completions_write_tops(llm_out_t *out, const llm_slice_t *items,
    unsigned linesep)
{
    unsigned                n, more;
    llm_slice_t             list;
    llm_completions_item_t  item;

    more = 0;
    list = *items;

    while (!more && llm_completions_next(&list, &item)) {
        more = item.more;
    }

    llm_out_lit(out, ",\"top_logprobs\":");

    if (!more) {
        llm_out_lit(out, "null");
        return;
    }

    llm_out_lit(out, "[");

    list = *items;

    for (n = 0; llm_completions_next(&list, &item); n++) {
        if (n != 0) {
            llm_out_lit(out, ",");
        }

        llm_completions_write_top(out, &item.top, linesep);
    }

    llm_out_lit(out, "]");
}


void
llm_completions_write_items(llm_out_t *out, const llm_slice_t *items,
    unsigned linesep, uint32_t *offset)
{
    unsigned                n;
    llm_slice_t             list;
    llm_completions_item_t  item;

    llm_out_lit(out, "{\"tokens\":[");

    list = *items;

    for (n = 0; llm_completions_next(&list, &item); n++) {
        llm_write_opening(out, n, "\"");

        if (n != 0) {
            llm_out_lit(out, "\"");
        }

        llm_write_inside(out, &item.token, linesep);
        llm_out_lit(out, "\"");
    }

    llm_out_lit(out, "],\"token_logprobs\":[");

    list = *items;

    for (n = 0; llm_completions_next(&list, &item); n++) {
        if (n != 0) {
            llm_out_lit(out, ",");
        }

        if (item.value.p != NULL) {
            llm_out(out, item.value.p, item.value.n);

        } else {
            llm_out_lit(out, "null");
        }
    }

    llm_out_lit(out, "]");
    llm_completions_write_tops(out, items, linesep);
    llm_out_lit(out, ",\"text_offset\":[");

    list = *items;

    for (n = 0; llm_completions_next(&list, &item); n++) {
        if (n != 0) {
            llm_out_lit(out, ",");
        }

        llm_write_int(out, *offset);
        *offset += (uint32_t) llm_json_chars(item.token.p, item.token.n);
    }

    llm_out_lit(out, "]}");
}
