/*
 * Using the JSON scanner in a test.  It must never know what a document
 * should give.
 */

#include "unit_json.h"


/* A token's bytes are where the scanner says they are. */
static void
check_token(const llm_json_t *j, llm_json_type_t type, const llm_u8 *p,
    const llm_u8 *before)
{
    assert_true(j->start >= before);
    assert_true(j->p > j->start);
    assert_true(j->p <= j->end);
    assert_true(j->start >= p);

    switch (type) {

    case LLM_JSON_KEY:
        assert_int_equal(j->p[-1], ':');
        /* fall through */

    case LLM_JSON_STRING:
        assert_int_equal(*j->start, '"');
        assert_ptr_equal(j->tok.p, j->start + 1);
        assert_int_equal(j->tok.p[j->tok.n], '"');
        assert_int_equal(j->tok.escaped,
                         memchr(j->tok.p, '\\', j->tok.n) != NULL);
        break;

    case LLM_JSON_NUMBER:
    case LLM_JSON_TRUE:
    case LLM_JSON_FALSE:
    case LLM_JSON_NULL:
        assert_ptr_equal(j->tok.p, j->start);
        assert_int_equal(j->tok.n, j->p - j->start);
        assert_int_equal(j->tok.escaped, 0);
        break;

    default:
        assert_int_equal(j->p - j->start, 1);
        break;
    }
}


llm_rc_t
json_verdict(const llm_u8 *p, size_t n, unsigned max_depth)
{
    llm_u8           *copy;
    llm_rc_t          rc;
    llm_json_t        j;
    const llm_u8     *before;
    llm_json_type_t   type;

    copy = unit_copy(p, n);
    llm_json_init(&j, copy, n, max_depth);

    for ( ;; ) {
        before = j.p;
        type = llm_json_next(&j);

        if (type == LLM_JSON_END || type == LLM_JSON_ERROR) {
            break;
        }

        check_token(&j, type, copy, before);
        assert_true(j.depth <= j.max_depth);
    }

    rc = type == LLM_JSON_END ? LLM_OK : j.error;

    if (type == LLM_JSON_END) {
        assert_ptr_equal(j.p, j.end);
        assert_int_equal(j.depth, 0);

    } else {
        assert_true(rc == LLM_AGAIN || rc == LLM_INVALID
                    || rc == LLM_TOO_DEEP);
        assert_true(j.p >= copy && j.p <= j.end);
        assert_true(rc != LLM_AGAIN || j.p == j.end);
    }

    /* the answer stays */

    assert_int_equal(llm_json_next(&j), type);
    assert_int_equal(llm_json_next(&j), type);

    free(copy);

    return rc;
}


static json_t *
build_string(const llm_slice_t *tok)
{
    size_t   n;
    json_t  *v;
    llm_u8  *text;

    text = unit_copy(tok->p, tok->n);
    n = llm_json_unescape(text, tok->p, tok->n);
    assert_true(n <= tok->n);

    v = json_stringn((char *) text, n);
    free(text);

    return v;
}


static json_t *
build_number(const llm_slice_t *tok)
{
    char     text[64];
    json_t  *v;

    if (tok->n >= sizeof(text)) {
        return NULL;
    }

    memcpy(text, tok->p, tok->n);
    text[tok->n] = '\0';

    v = json_real(strtod(text, NULL));

    return v;
}


static json_t *build_value(llm_json_t *j, llm_json_type_t type);


/* Fills a container; NULL when one of its values cannot be told. */
static json_t *
build_container(llm_json_t *j, llm_json_type_t open)
{
    json_t           *v, *key, *item;
    llm_json_type_t   type;

    v = open == LLM_JSON_OBJECT ? json_object() : json_array();

    for ( ;; ) {
        type = llm_json_next(j);

        if (type == LLM_JSON_OBJECT_END || type == LLM_JSON_ARRAY_END) {
            assert_int_equal(type == LLM_JSON_OBJECT_END,
                             open == LLM_JSON_OBJECT);
            return v;
        }

        if (open == LLM_JSON_OBJECT) {
            assert_int_equal(type, LLM_JSON_KEY);
            key = build_string(&j->tok);
            type = llm_json_next(j);

        } else {
            key = NULL;
        }

        item = key != NULL || open == LLM_JSON_ARRAY ? build_value(j, type)
                                                     : NULL;

        if (item == NULL) {
            json_decref(key);
            json_decref(v);
            return NULL;
        }

        if (key != NULL) {
            json_object_set_new_nocheck(v, json_string_value(key), item);
            json_decref(key);

        } else {
            json_array_append_new(v, item);
        }
    }
}


static json_t *
build_value(llm_json_t *j, llm_json_type_t type)
{
    switch (type) {

    case LLM_JSON_OBJECT:
    case LLM_JSON_ARRAY:
        return build_container(j, type);

    case LLM_JSON_STRING:
        return build_string(&j->tok);

    case LLM_JSON_NUMBER:
        return build_number(&j->tok);

    case LLM_JSON_TRUE:
        return json_true();

    case LLM_JSON_FALSE:
        return json_false();

    case LLM_JSON_NULL:
        return json_null();

    default:
        fail_msg("token %d where a value was due", type);
        return NULL;
    }
}


json_t *
json_build(const llm_u8 *p, size_t n)
{
    json_t      *v;
    llm_json_t   j;

    if (json_verdict(p, n, 0) != LLM_OK) {
        return NULL;
    }

    llm_json_init(&j, p, n, 0);

    v = build_value(&j, llm_json_next(&j));

    if (v != NULL) {
        assert_int_equal(llm_json_next(&j), LLM_JSON_END);
    }

    return v;
}
