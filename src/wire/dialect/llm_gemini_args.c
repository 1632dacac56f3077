/*
 * Gemini: function arguments that come in pieces, as Vertex AI streams them:
 * values with JSON paths.
 *
 *   {"jsonPath":"$.a[0].b","stringValue":"Bos","willContinue":true}
 *   {"jsonPath":"$.a[0].b","stringValue":"ton"}
 *   {"jsonPath":"$.a[0].c","numberValue":2}
 *
 * Values come in the order of the document, so that they are turned into
 * fragments of its JSON at once: what is kept is the way down to the last
 * value, and the names that the objects on it have.  A value that would need
 * an object that was closed, or a name twice, cannot be said that way: it is
 * LLM_INVALID, never JSON that means something else.
 */

#include "llm_gemini.h"


/* names of one object, and bytes of all names on the way down */
#define LLM_GEMINI_NAMES  1024
#define LLM_GEMINI_PATH   65536

/* containers inside each other */
#define LLM_GEMINI_DEPTH  128


/* A container that is open, and its last element. */
typedef struct {
    size_t              from;       /* its names in call->names: for each its
                                       length and its bytes */
    size_t              last;       /* the last of them */
    unsigned            count;      /* elements so far */
    unsigned            array;
} llm_gemini_level_t;

/* One step of a path: a name, or an index. */
typedef struct {
    llm_slice_t         name;       /* the inside of a JSON string */
    int64_t             index;      /* -1: a name */
} llm_gemini_step_t;

typedef struct {
    llm_slice_t         path;
    llm_slice_t         text;       /* of a string, or the value's JSON */
    unsigned            string;
    unsigned            more;
} llm_gemini_value_t;

#define llm_gemini_levels(call)                                             \
    ((llm_gemini_level_t *) (void *) (call)->levels.p)
#define llm_gemini_nlevels(call)                                            \
    ((call)->levels.n / sizeof(llm_gemini_level_t))


/* "[0]" or "['name']", of which *p is left. */
static llm_rc_t
llm_gemini_bracket(llm_slice_t *p, llm_gemini_step_t *step)
{
    size_t         n, quote;
    llm_slice_t    digits;
    const llm_u8  *at, *end;

    at = p->p;
    end = at + p->n;

    if (p->n < 3) {
        return LLM_INVALID;
    }

    /* a double quote has a backslash before it: this is JSON's inside */

    quote = at[1] == '\'' ? 1 : at[1] == '\\' && at[2] == '"' ? 2 : 0;
    at += 1 + quote;

    for (n = 0; at + n + quote < end; n++) {
        if (quote != 0 ? memcmp(at + n, at - quote, quote) == 0
                       : at[n] == ']')
        {
            break;
        }

        if (at[n] == '\\') {
            return LLM_INVALID;     /* a name that nobody gives a member */
        }
    }

    if (at + n + quote >= end || at[n + quote] != ']') {
        return LLM_INVALID;
    }

    step->name = (llm_slice_t) { at, n, 1 };

    if (quote == 0) {
        digits = (llm_slice_t) { at, n, 0 };
        step->index = n < 10 ? llm_json_uint(&digits) : -1;

        if (n == 0 || step->index < 0) {
            return LLM_INVALID;
        }
    }

    at += n + quote + 1;
    p->p = at;
    p->n = (size_t) (end - at);

    return LLM_OK;
}


/*
 * The next step of a path of which *p is left: ".name", "[0]", "['name']".
 * LLM_DONE at its end, LLM_INVALID for anything else.
 */
static llm_rc_t
llm_gemini_step(llm_slice_t *p, llm_gemini_step_t *step)
{
    size_t  n;

    if (p->n == 0) {
        return LLM_DONE;
    }

    step->index = -1;

    if (*p->p != '.') {
        return *p->p == '[' ? llm_gemini_bracket(p, step) : LLM_INVALID;
    }

    for (n = 1; n < p->n && p->p[n] != '.' && p->p[n] != '['; n++) {
        /* void */
    }

    step->name = (llm_slice_t) { p->p + 1, n - 1, 1 };
    p->p += n;
    p->n -= n;

    return n > 1 ? LLM_OK : LLM_INVALID;
}


/* The n-th name at `at` of the names. */
static llm_slice_t
llm_gemini_name(const llm_gemini_call_t *call, size_t at)
{
    uint32_t     n;
    llm_slice_t  name;

    memcpy(&n, call->names.p + at, sizeof(n));

    name.p = call->names.p + at + sizeof(n);
    name.n = n;
    name.escaped = 1;

    return name;
}


static int
llm_gemini_same_name(const llm_slice_t *a, const llm_slice_t *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}


/* Whether the step leads to the last element of the level. */
static int
llm_gemini_is_last(const llm_gemini_call_t *call,
    const llm_gemini_level_t *level, const llm_gemini_step_t *step)
{
    llm_slice_t  name;

    if (level->count == 0 || level->array != (step->index >= 0)) {
        return 0;
    }

    if (level->array) {
        return step->index == level->count - 1;
    }

    name = llm_gemini_name(call, level->last);

    return llm_gemini_same_name(&name, &step->name);
}


/* Remembers the name of a new element; LLM_INVALID: it is not new. */
static llm_rc_t
llm_gemini_new_name(llm_gemini_chunk_t *c, llm_gemini_call_t *call,
    llm_gemini_level_t *level, const llm_slice_t *name)
{
    size_t       at;
    llm_rc_t     rc;
    uint32_t     n;
    llm_slice_t  old;

    for (at = level->from; at < call->names.n; at += sizeof(n) + old.n) {
        old = llm_gemini_name(call, at);

        if (llm_gemini_same_name(&old, name)) {
            return LLM_INVALID;
        }
    }

    if (level->count == LLM_GEMINI_NAMES
        || name->n > LLM_GEMINI_PATH - sizeof(n)
        || call->names.n > LLM_GEMINI_PATH - sizeof(n) - name->n)
    {
        return LLM_INVALID;
    }

    level->last = call->names.n;
    n = (uint32_t) name->n;

    rc = llm_block_append(&call->names, &c->d->alloc, &n, sizeof(n));

    return rc == LLM_OK
           ? llm_block_append(&call->names, &c->d->alloc, name->p, name->n)
           : rc;
}


/* Writes what comes before a new element of the innermost level. */
static llm_rc_t
llm_gemini_element(llm_gemini_chunk_t *c, llm_gemini_call_t *call,
    const llm_gemini_step_t *step)
{
    llm_rc_t             rc;
    llm_gemini_level_t  *level;

    level = &llm_gemini_levels(call)[llm_gemini_nlevels(call) - 1];

    if (level->array != (step->index >= 0)) {
        return LLM_INVALID;
    }

    rc = level->count != 0 ? llm_gemini_put_lit(c, ",") : LLM_OK;

    if (rc != LLM_OK) {
        return rc;
    }

    if (level->array) {
        return step->index == level->count++ ? LLM_OK : LLM_INVALID;
    }

    rc = llm_gemini_new_name(c, call, level, &step->name);
    level->count++;

    if (rc == LLM_OK) {
        rc = llm_gemini_put_lit(c, "\"");
    }

    if (rc == LLM_OK) {
        rc = llm_gemini_put(c, step->name.p, step->name.n);
    }

    return rc == LLM_OK ? llm_gemini_put_lit(c, "\":") : rc;
}


static llm_rc_t
llm_gemini_push(llm_gemini_chunk_t *c, llm_gemini_call_t *call,
    unsigned array)
{
    llm_rc_t            rc;
    llm_gemini_level_t  level;

    if (llm_gemini_nlevels(call) == LLM_GEMINI_DEPTH) {
        return LLM_INVALID;
    }

    level.from = call->names.n;
    level.last = 0;
    level.count = 0;
    level.array = array;

    rc = llm_block_append(&call->levels, &c->d->alloc, &level,
                          sizeof(llm_gemini_level_t));

    return rc == LLM_OK ? llm_gemini_put(c, array ? "[" : "{", 1) : rc;
}


llm_rc_t
llm_gemini_close_args(llm_gemini_chunk_t *c, llm_gemini_call_t *call,
    size_t keep)
{
    size_t               n;
    llm_rc_t             rc;
    llm_gemini_level_t  *level;

    rc = call->string ? llm_gemini_put_lit(c, "\"") : LLM_OK;
    call->string = 0;

    for (n = llm_gemini_nlevels(call); rc == LLM_OK && n > keep; n--) {
        level = &llm_gemini_levels(call)[n - 1];

        rc = llm_gemini_put(c, level->array ? "]" : "}", 1);

        call->names.n = level->from;
        call->levels.n -= sizeof(llm_gemini_level_t);
    }

    return rc;
}


/* Goes to the place of a value; LLM_DONE: the last value was there. */
static llm_rc_t
llm_gemini_go(llm_gemini_chunk_t *c, llm_gemini_call_t *call,
    const llm_slice_t *path)
{
    size_t             keep;
    llm_rc_t           rc;
    llm_slice_t        left;
    llm_gemini_step_t  step;

    if (path->n == 0 || *path->p != '$') {
        return LLM_INVALID;
    }

    left = (llm_slice_t) { path->p + 1, path->n - 1, 1 };

    if (llm_gemini_nlevels(call) == 0) {
        rc = llm_gemini_push(c, call, 0);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    keep = 0;

    for ( ;; ) {
        rc = llm_gemini_step(&left, &step);
        if (rc != LLM_OK) {
            break;
        }

        if (keep++ == llm_gemini_nlevels(call)) {
            return LLM_INVALID;     /* into what is a value */
        }

        if (!llm_gemini_is_last(call, &llm_gemini_levels(call)[keep - 1],
                                &step))
        {
            break;
        }
    }

    if (rc == LLM_DONE) {
        return keep == llm_gemini_nlevels(call) && keep != 0 ? LLM_DONE
                                                             : LLM_INVALID;
    }

    if (rc == LLM_OK) {
        rc = llm_gemini_close_args(c, call, keep);
    }

    while (rc == LLM_OK) {
        rc = llm_gemini_element(c, call, &step);

        if (rc == LLM_OK) {
            rc = llm_gemini_step(&left, &step);
        }

        if (rc == LLM_OK) {
            rc = llm_gemini_push(c, call, step.index >= 0);
        }
    }

    return rc == LLM_DONE ? LLM_OK : rc;
}


static llm_rc_t
llm_gemini_value(llm_gemini_chunk_t *c, llm_gemini_call_t *call,
    const llm_gemini_value_t *v)
{
    llm_rc_t  rc;

    rc = llm_gemini_go(c, call, &v->path);

    if (rc == LLM_DONE) {

        /* the same place again: more of a string, or its end */

        if (!v->string || (!call->string && v->text.n != 0)) {
            return LLM_INVALID;
        }

        rc = LLM_OK;

    } else if (rc == LLM_OK && v->string) {
        rc = llm_gemini_put_lit(c, "\"");
        call->string = 1;
    }

    if (rc == LLM_OK) {
        rc = llm_gemini_put(c, v->text.p, v->text.n);
    }

    if (rc == LLM_OK && call->string && !v->more) {
        rc = llm_gemini_put_lit(c, "\"");
        call->string = 0;
    }

    return rc;
}


/* Reads one of partialArgs; 0: it holds no value. */
static int
llm_gemini_read_value(llm_json_t *j, llm_gemini_value_t *value)
{
    llm_slice_t      key, v;
    llm_json_type_t  type;

    memset(value, 0, sizeof(llm_gemini_value_t));

    while (llm_json_member(j, &key, &v, &type)) {

        if (llm_gemini_is(&key, "jsonPath")) {
            if (type == LLM_JSON_STRING) {
                value->path = v;
            }

        } else if (llm_gemini_is(&key, "willContinue")) {
            value->more = type == LLM_JSON_TRUE;

        } else if (llm_gemini_is(&key, "stringValue")) {
            if (type == LLM_JSON_STRING) {
                value->text = v;
                value->string = 1;
            }

        } else if (llm_gemini_is(&key, "numberValue")) {
            if (type == LLM_JSON_NUMBER) {
                value->text = v;
            }

        } else if (llm_gemini_is(&key, "boolValue")) {
            if (type == LLM_JSON_TRUE || type == LLM_JSON_FALSE) {
                value->text = v;
            }

        } else if (llm_gemini_is(&key, "nullValue")) {
            value->text = llm_slice("null");
        }
    }

    return value->path.p != NULL && value->text.p != NULL;
}


llm_rc_t
llm_gemini_partial_args(llm_gemini_chunk_t *c, llm_gemini_call_t *call,
    const llm_slice_t *raw)
{
    llm_rc_t            rc;
    llm_json_t          j;
    llm_gemini_value_t  value;

    llm_json_reopen(&j, raw);

    while (llm_json_object(&j)) {
        if (!llm_gemini_read_value(&j, &value)) {
            continue;
        }

        rc = llm_gemini_value(c, call, &value);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}
