/*
 * Walking over JSON member by member, on top of the pull scanner.  It keeps
 * nothing and decodes nothing: what it hands out are slices of the document.
 */

#include "llm_json.h"


llm_json_type_t
llm_json_value(llm_json_t *j, llm_slice_t *v)
{
    llm_json_type_t  type;

    type = llm_json_next(j);

    if (type == LLM_JSON_OBJECT || type == LLM_JSON_ARRAY) {
        return llm_json_skip_rest(j, v);
    }

    *v = j->tok;
    v->escaped = type == LLM_JSON_STRING;

    return type;
}


int
llm_json_member(llm_json_t *j, llm_slice_t *key, llm_slice_t *v,
    llm_json_type_t *type)
{
    if (llm_json_next(j) != LLM_JSON_KEY) {
        return 0;
    }

    *key = j->tok;
    *type = llm_json_value(j, v);

    return *type != LLM_JSON_ERROR;
}


int
llm_json_element(llm_json_t *j, llm_slice_t *v, llm_json_type_t *type)
{
    *type = llm_json_value(j, v);

    return *type != LLM_JSON_ERROR && *type != LLM_JSON_ARRAY_END
           && *type != LLM_JSON_END;
}


void
llm_json_reopen(llm_json_t *j, const llm_slice_t *raw)
{
    llm_json_init(j, raw->p, raw->n, LLM_JSON_DEPTH_MAX);
    (void) llm_json_next(j);
}


int
llm_json_object(llm_json_t *j)
{
    llm_slice_t  v;

    for ( ;; ) {
        switch (llm_json_next(j)) {

        case LLM_JSON_OBJECT:
            return 1;

        case LLM_JSON_ARRAY:
            (void) llm_json_skip_rest(j, &v);
            break;

        case LLM_JSON_ARRAY_END: case LLM_JSON_END: case LLM_JSON_ERROR:
            return 0;

        default:
            break;
        }
    }
}


int
llm_json_find(const llm_json_word_t *words, const llm_slice_t *tok,
    int otherwise)
{
    for ( /* void */ ; words->word.p != NULL; words++) {
        if (llm_json_eq(tok, (const char *) words->word.p, words->word.n)) {
            return words->means;
        }
    }

    return otherwise;
}


int64_t
llm_json_count(const llm_slice_t *raw, const char *name)
{
    size_t           n;
    int64_t          count;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    count = -1;
    n = strlen(name);
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (llm_json_eq(&key, name, n)) {
            count = type == LLM_JSON_NUMBER ? llm_json_uint(&v) : -1;
        }
    }

    return count;
}
