/*
 * Reads a request's body: what is to be known of its top level.  It must
 * never copy or decode a value: a large string costs one look.
 */

#include "llm_dialect.h"
#include "llm_json.h"
#include "llm_request.h"
#include "llm_utf8.h"


/* What the row of the body's dialect comes to. */
typedef struct {
    llm_slice_t     stream;     /* the switch; absent: it has none */
    llm_slice_t     needs;      /* absent: nothing */
    unsigned        list;       /* what it needs is an array */
    unsigned        model;      /* it is a member */
    unsigned        usage;      /* it is an option */
    const llm_ask_t *asks;
} llm_request_rules_t;

typedef struct {
    llm_slice_t     name;
    unsigned        shape;
} llm_request_shape_t;


static const llm_request_shape_t  llm_request_shapes[] = {
    { llm_str("messages"), LLM_SHAPE_MESSAGES },
    { llm_str("contents"), LLM_SHAPE_CONTENTS },
    { llm_str("input"), LLM_SHAPE_INPUT },
    { llm_str("prompt"), LLM_SHAPE_PROMPT },
    { llm_str("question"), LLM_SHAPE_QUESTION },
    { llm_str("system"), LLM_SHAPE_SYSTEM },
    { llm_str("options"), LLM_SHAPE_OPTIONS },
    { llm_str("keep_alive"), LLM_SHAPE_KEEP_ALIVE },
    { llm_str("max_tokens"), LLM_SHAPE_MAX_TOKENS },
    { llm_str("generationConfig"), LLM_SHAPE_GENERATION_CONFIG },
    { llm_str("anthropic_version"), LLM_SHAPE_ANTHROPIC_VERSION }
};


static llm_json_type_t
llm_request_rest(llm_json_t *j, llm_json_type_t type)
{
    llm_slice_t  raw;

    if (type == LLM_JSON_OBJECT || type == LLM_JSON_ARRAY) {
        return llm_json_skip_rest(j, &raw);
    }

    return type;
}


/* The first wrong member is the one that is reported. */
static llm_json_type_t
llm_request_wrong(llm_request_t *r, llm_json_t *j, llm_json_type_t type,
    const char *member)
{
    if (r->member == NULL) {
        r->member = member;
    }

    return llm_request_rest(j, type);
}


static llm_json_type_t
llm_request_model(llm_request_t *r, llm_json_t *j)
{
    llm_json_type_t  type;

    type = llm_json_next(j);

    if (type == LLM_JSON_STRING) {
        r->model = j->tok;
        return type;
    }

    r->model = llm_slice_null;

    if (type == LLM_JSON_NULL) {
        return type;
    }

    return llm_request_wrong(r, j, type, "model");
}


static llm_json_type_t
llm_request_stream(llm_request_t *r, llm_json_t *j,
    const llm_request_rules_t *rules)
{
    llm_json_type_t  type;

    type = llm_json_next(j);

    switch (type) {

    case LLM_JSON_TRUE:
        r->stream = 1;
        return type;

    case LLM_JSON_FALSE:
        r->stream = 0;
        return type;

    case LLM_JSON_NULL:
        r->stream = -1;
        return type;

    case LLM_JSON_STRING:
        if (llm_json_is(&rules->stream, "stream")) {
            break;
        }

        if (llm_json_is(&j->tok, "true") || llm_json_is(&j->tok, "false")) {
            r->stream = llm_json_is(&j->tok, "true") != 0;
            return type;
        }

        break;

    default:
        break;
    }

    return llm_request_wrong(r, j, type, (const char *) rules->stream.p);
}


/* The rest of the array whose bracket was just read: how many elements. */
static llm_json_type_t
llm_request_elements(llm_request_t *r, llm_json_t *j,
    const llm_request_rules_t *rules, const llm_slice_t *key, size_t *n)
{
    llm_slice_t      raw;
    llm_json_type_t  type, first;

    first = LLM_JSON_NULL;

    for (*n = 0; /* void */; (*n)++) {
        type = llm_json_skip(j, &raw);

        if (type == LLM_JSON_ARRAY_END || type == LLM_JSON_ERROR) {
            break;
        }

        if (*n == 0) {
            first = type;
        }
    }

    if (rules->asks != NULL) {
        llm_asked_array(&r->asked, rules->asks, key, first, *n);
    }

    return type;
}


/* What the dialect needs; an empty one is not enough. */
static llm_json_type_t
llm_request_needed(llm_request_t *r, llm_json_t *j,
    const llm_request_rules_t *rules)
{
    size_t           n;
    llm_json_type_t  type;

    r->needed = 0;

    type = llm_json_next(j);

    if (type == LLM_JSON_NULL) {
        return type;
    }

    if (type == LLM_JSON_STRING && !rules->list) {
        r->needed = j->tok.n != 0;
        return type;
    }

    if (type != LLM_JSON_ARRAY) {
        return llm_request_wrong(r, j, type, (const char *) rules->needs.p);
    }

    type = llm_request_elements(r, j, rules, &rules->needs, &n);
    r->needed = n != 0;

    return type;
}


/* A member that nothing else is known of: how much it asks for. */
static llm_json_type_t
llm_request_asked(llm_request_t *r, llm_json_t *j,
    const llm_request_rules_t *rules)
{
    size_t            n;
    llm_slice_t       key, raw;
    llm_json_type_t   type;
    const llm_ask_t  *ask;

    key = j->tok;
    ask = rules->asks != NULL ? llm_ask_find(rules->asks, &key) : NULL;

    if (ask == NULL) {
        return llm_json_skip(j, &raw);
    }

    /* it may be large: it is walked over once */

    if (ask->what & (LLM_ASK_MESSAGES|LLM_ASK_HISTORY)) {
        type = llm_json_next(j);

        return type == LLM_JSON_ARRAY
               ? llm_request_elements(r, j, rules, &key, &n)
               : llm_request_rest(j, type);
    }

    type = llm_json_skip(j, &raw);

    if (type != LLM_JSON_ERROR) {
        llm_asked_member(&r->asked, rules->asks, &key, type, &raw);
    }

    return type;
}


/* include_usage of another type than a boolean is not asking for usage. */
static llm_json_type_t
llm_request_options(llm_request_t *r, llm_json_t *j)
{
    unsigned         usage;
    llm_slice_t      raw;
    llm_json_type_t  type;

    r->include_usage = -1;

    type = llm_json_next(j);

    if (type == LLM_JSON_NULL) {
        return type;
    }

    if (type != LLM_JSON_OBJECT) {
        return llm_request_wrong(r, j, type, "stream_options");
    }

    for ( ;; ) {
        type = llm_json_next(j);

        if (type != LLM_JSON_KEY) {
            return type;
        }

        usage = llm_json_is(&j->tok, "include_usage") != 0;

        type = llm_json_skip(j, &raw);
        if (type == LLM_JSON_ERROR) {
            return type;
        }

        if (usage) {
            r->include_usage = llm_json_flag(type);
        }
    }
}


static void
llm_request_shape(llm_request_t *r, const llm_slice_t *name)
{
    size_t                      i, n;
    const llm_request_shape_t  *s;

    n = sizeof(llm_request_shapes) / sizeof(llm_request_shapes[0]);

    for (i = 0; i < n; i++) {
        s = &llm_request_shapes[i];

        if (llm_json_eq(name, (const char *) s->name.p, s->name.n)) {
            r->shape |= s->shape;
            return;
        }
    }
}


static int
llm_request_is(const llm_slice_t *name, const llm_slice_t *what)
{
    return what->p != NULL
           && llm_json_eq(name, (const char *) what->p, what->n);
}


/* The value of the member whose name was just read. */
static llm_json_type_t
llm_request_member(llm_request_t *r, llm_json_t *j,
    const llm_request_rules_t *rules)
{
    llm_request_shape(r, &j->tok);

    if (rules->model && llm_json_is(&j->tok, "model")) {
        return llm_request_model(r, j);
    }

    if (llm_request_is(&j->tok, &rules->stream)) {
        return llm_request_stream(r, j, rules);
    }

    if (llm_request_is(&j->tok, &rules->needs)) {
        return llm_request_needed(r, j, rules);
    }

    if (rules->usage && llm_json_is(&j->tok, "stream_options")) {
        return llm_request_options(r, j);
    }

    return llm_request_asked(r, j, rules);
}


static void
llm_request_rules(llm_request_rules_t *rules, const llm_dialect_t *d)
{
    memset(rules, 0, sizeof(llm_request_rules_t));

    if (d == NULL) {
        rules->stream = llm_slice("stream");
        rules->model = 1;
        rules->usage = 1;
        return;
    }

    rules->stream = d->stream_member;
    rules->needs = d->needs;
    rules->list = llm_json_is(&d->needs, "messages")
                  || llm_json_is(&d->needs, "contents");
    rules->model = !d->model_in_path;
    rules->usage = d->usage_option;
    rules->asks = d->asks;
}


llm_rc_t
llm_request_read(llm_request_t *r, const llm_u8 *body, size_t n,
    unsigned max_depth, const llm_dialect_t *dialect)
{
    llm_json_t            j;
    llm_json_type_t       type;
    llm_request_rules_t   rules;

    llm_request_rules(&rules, dialect);

    memset(r, 0, sizeof(llm_request_t));
    r->stream = -1;
    r->include_usage = -1;
    r->needed = rules.needs.p == NULL;
    r->empty = 1;
    llm_asked_init(&r->asked);

    llm_json_init(&j, body, n, max_depth);

    type = llm_json_next(&j);

    if (type != LLM_JSON_OBJECT) {
        return LLM_INVALID;
    }

    do {
        type = llm_json_next(&j);

        if (type == LLM_JSON_KEY) {
            r->empty = 0;
            type = llm_request_member(r, &j, &rules);

        } else if (type == LLM_JSON_OBJECT_END) {
            type = llm_json_next(&j);
        }

    } while (type != LLM_JSON_ERROR && type != LLM_JSON_END);

    /* a broken document is no reason to name one of its members */

    if (type == LLM_JSON_ERROR) {
        r->member = NULL;
        return j.error == LLM_TOO_DEEP ? LLM_TOO_DEEP : LLM_INVALID;
    }

    if (llm_utf8_check(body, n) & LLM_UTF8_INVALID) {
        r->member = NULL;
        return LLM_INVALID;
    }

    return r->member == NULL ? LLM_OK : LLM_INVALID;
}
