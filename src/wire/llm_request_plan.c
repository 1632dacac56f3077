/*
 * Writes requests: the plan of the edits that turn a client's body into the
 * upstream's.  It must never write to the client's body, nor re-serialise what
 * it leaves alone.
 */

#include "llm_dialect.h"
#include "llm_json.h"
#include "llm_request_private.h"
#include "llm_write.h"


/* The first targets of every plan; the members of `set` follow. */
#define LLM_TARGET_MODEL    0
#define LLM_TARGET_STREAM   1
#define LLM_TARGET_OPTIONS  2
#define LLM_TARGET_N        3

/*
 * When usage is asked for, the plan's text begins with all forms that this
 * takes, so that such an edit is known by its put_at.  It may have to be
 * taken back: "stream" can come after "stream_options".
 */
#define LLM_USAGE_TEXT      "{\"include_usage\":true}\"include_usage\":true,"
#define LLM_USAGE_WHOLE     0
#define LLM_USAGE_WHOLE_N   22
#define LLM_USAGE_TRUE      17
#define LLM_USAGE_TRUE_N    4
#define LLM_USAGE_MEMBER    22
#define LLM_USAGE_MEMBER_N  21


llm_rc_t
llm_plan_edit(llm_plan_t *plan, size_t at, size_t cut, size_t put_at,
    size_t put_n)
{
    size_t       cap;
    llm_edit_t  *edits;

    /* one more is the insertion */

    if (plan->n == LLM_REQUEST_EDITS_MAX + 1) {
        return LLM_INVALID;
    }

    if (plan->n == plan->cap) {
        cap = plan->cap == 0 ? 8 : plan->cap * 2;

        edits = plan->alloc.resize(plan->alloc.ctx, plan->edits,
                                   plan->cap * sizeof(llm_edit_t),
                                   cap * sizeof(llm_edit_t));
        if (edits == NULL) {
            return LLM_NOMEM;
        }

        plan->edits = edits;
        plan->cap = cap;
    }

    plan->edits[plan->n].at = at;
    plan->edits[plan->n].cut = cut;
    plan->edits[plan->n].put_at = put_at;
    plan->edits[plan->n].put_n = put_n;
    plan->n++;

    return LLM_OK;
}


/* What is as it is to be needs no edit. */
llm_rc_t
llm_plan_replace(llm_planner_t *pl, const llm_slice_t *raw, size_t put_at,
    size_t put_n)
{
    if (raw->n == put_n
        && memcmp(raw->p, pl->plan->text.p + put_at, put_n) == 0)
    {
        return LLM_OK;
    }

    return llm_plan_edit(pl->plan, (size_t) (raw->p - pl->body), raw->n,
                         put_at, put_n);
}


/* Puts characters as a JSON string, and what is to follow, into the text. */
static llm_rc_t
llm_target_string(llm_planner_t *pl, const llm_slice_t *chars,
    const char *then, llm_target_value_t *v)
{
    llm_rc_t         rc;
    llm_block_t     *text;
    llm_block_out_t  bo;

    text = &pl->plan->text;
    v->at = text->n;
    v->type = LLM_JSON_STRING;

    rc = llm_block_out_open(&bo, text, &pl->plan->alloc);
    if (rc != LLM_OK) {
        return rc;
    }

    llm_out_lit(&bo.out, "\"");
    llm_write_inside(&bo.out, chars, 0);
    llm_out_lit(&bo.out, "\"");
    llm_out(&bo.out, then, strlen(then));

    rc = llm_block_out_close(&bo);
    if (rc != LLM_OK) {
        return rc;
    }

    v->n = text->n - v->at;

    return LLM_OK;
}


/* The target's name as it is inserted, once. */
static llm_rc_t
llm_target_key(llm_planner_t *pl, llm_target_t *t)
{
    if (t->key.n != 0) {
        return LLM_OK;
    }

    return llm_target_string(pl, &t->name, ":", &t->key);
}


/* Puts a JSON value into the text; LLM_INVALID when it is none. */
static llm_rc_t
llm_target_json(llm_planner_t *pl, llm_target_t *t, const llm_slice_t *value,
    llm_target_value_t *v)
{
    llm_rc_t      rc;
    llm_json_t    j;
    llm_slice_t   raw;
    llm_block_t  *text;

    llm_json_init(&j, value->p, value->n, LLM_JSON_DEPTH_MAX);

    v->type = llm_json_skip(&j, &raw);

    if (v->type == LLM_JSON_ERROR || llm_json_next(&j) != LLM_JSON_END) {
        return LLM_INVALID;
    }

    rc = llm_target_key(pl, t);
    if (rc != LLM_OK) {
        return rc;
    }

    text = &pl->plan->text;
    v->at = text->n;
    v->n = raw.n;

    return llm_block_append(text, &pl->plan->alloc, raw.p, raw.n);
}


static llm_rc_t
llm_target_model(llm_planner_t *pl, const llm_slice_t *model)
{
    llm_rc_t       rc;
    llm_target_t  *t;

    t = &pl->targets[LLM_TARGET_MODEL];

    rc = llm_target_key(pl, t);
    if (rc != LLM_OK) {
        return rc;
    }

    rc = llm_target_string(pl, model, "", &t->there);
    t->absent = t->there;

    return rc;
}


static llm_rc_t
llm_target_usage(llm_planner_t *pl)
{
    llm_rc_t       rc;
    llm_target_t  *t;

    pl->usage_n = sizeof(LLM_USAGE_TEXT) - 1;

    rc = llm_block_append(&pl->plan->text, &pl->plan->alloc, LLM_USAGE_TEXT,
                          pl->usage_n);
    if (rc != LLM_OK) {
        return rc;
    }

    t = &pl->targets[LLM_TARGET_OPTIONS];
    t->usage = 1;
    t->absent.at = LLM_USAGE_WHOLE;
    t->absent.n = LLM_USAGE_WHOLE_N;

    return llm_target_key(pl, t);
}


llm_rc_t
llm_target_set(llm_planner_t *pl, const llm_request_set_t *set,
    llm_target_t **target)
{
    size_t         i;
    llm_rc_t       rc;
    llm_target_t  *t;

    for (i = 0; i < pl->n; i++) {
        t = &pl->targets[i];

        if (!t->none && t->name.n == set->name.n
            && (t->name.n == 0
                || memcmp(t->name.p, set->name.p, t->name.n) == 0))
        {
            break;
        }
    }

    t = &pl->targets[i];

    if (i == pl->n) {
        t->name = set->name;
        pl->n++;
    }

    *target = t;
    t->cap = 0;

    rc = llm_target_json(pl, t, &set->value, &t->absent);
    if (rc != LLM_OK) {
        return rc;
    }

    if (!set->if_absent) {
        t->there = t->absent;
        t->usage = 0;
    }

    return LLM_OK;
}


/* A provider refuses them in a request for no stream; null is none. */
static llm_rc_t
llm_target_no_options(llm_planner_t *pl)
{
    llm_slice_t    none;
    llm_target_t  *t;

    t = &pl->targets[LLM_TARGET_OPTIONS];
    none = llm_slice("null");

    return llm_target_json(pl, t, &none, &t->there);
}


/* stream_options: with the usage, as they are, or not at all. */
static llm_rc_t
llm_target_options(llm_planner_t *pl, const llm_request_change_t *change)
{
    if (change->no_options) {
        return llm_target_no_options(pl);
    }

    if (change->usage
        && (change->dialect == NULL || change->dialect->usage_option))
    {
        return llm_target_usage(pl);
    }

    return LLM_OK;
}


/* pl->targets has room for all of them and is zeroed. */
static llm_rc_t
llm_plan_targets(llm_planner_t *pl, const llm_request_change_t *change)
{
    size_t                i;
    llm_rc_t              rc;
    llm_target_t         *t;
    llm_request_set_t     set;
    const llm_dialect_t  *d;

    d = change->dialect;

    pl->targets[LLM_TARGET_MODEL].name = llm_slice("model");
    pl->targets[LLM_TARGET_STREAM].name = llm_slice("stream");
    pl->targets[LLM_TARGET_OPTIONS].name = llm_slice("stream_options");
    pl->n = LLM_TARGET_N;

    if (d != NULL) {
        pl->targets[LLM_TARGET_STREAM].name = d->stream_member;
        pl->targets[LLM_TARGET_STREAM].none = d->stream_member.p == NULL;
    }

    rc = llm_target_options(pl, change);
    if (rc != LLM_OK) {
        return rc;
    }

    if (change->model.p != NULL && (d == NULL || !d->model_in_path)) {
        rc = llm_target_model(pl, &change->model);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    if (change->stream != -1 && !pl->targets[LLM_TARGET_STREAM].none) {
        set.name = pl->targets[LLM_TARGET_STREAM].name;
        set.value = change->stream ? llm_slice("true") : llm_slice("false");
        set.if_absent = 0;

        rc = llm_target_set(pl, &set, &t);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    rc = llm_cap_begin(pl, change);
    if (rc != LLM_OK) {
        return rc;
    }

    for (i = 0; i < change->nset; i++) {
        rc = llm_target_set(pl, &change->set[i], &t);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    llm_cap_given(pl, change);

    return LLM_OK;
}


/* The members of stream_options; behind its opening brace. */
static llm_rc_t
llm_plan_usage(llm_planner_t *pl)
{
    size_t            inside;
    unsigned          usage, members, found;
    llm_rc_t          rc;
    llm_json_t       *j;
    llm_slice_t       raw;
    llm_json_type_t   type;

    j = &pl->json;
    inside = (size_t) (j->p - pl->body);
    members = 0;
    found = 0;

    for ( ;; ) {
        type = llm_json_next(j);

        if (type != LLM_JSON_KEY) {
            break;
        }

        members = 1;
        usage = llm_json_is(&j->tok, "include_usage") != 0;

        type = llm_json_skip(j, &raw);
        if (type == LLM_JSON_ERROR) {
            return LLM_INVALID;
        }

        if (usage) {
            found = 1;

            rc = llm_plan_replace(pl, &raw, LLM_USAGE_TRUE,
                                  LLM_USAGE_TRUE_N);
            if (rc != LLM_OK) {
                return rc;
            }
        }
    }

    if (type == LLM_JSON_ERROR) {
        return LLM_INVALID;
    }

    if (found) {
        return LLM_OK;
    }

    /* an only member takes no comma */

    return llm_plan_edit(pl->plan, inside, 0, LLM_USAGE_MEMBER,
                         LLM_USAGE_MEMBER_N - !members);
}


/* The value of stream_options, of which include_usage is to be set. */
static llm_rc_t
llm_plan_options(llm_planner_t *pl)
{
    llm_json_t  *j;

    j = &pl->json;

    switch (llm_json_next(j)) {

    case LLM_JSON_OBJECT:
        return llm_plan_usage(pl);

    case LLM_JSON_NULL:
        return llm_plan_replace(pl, &j->tok, LLM_USAGE_WHOLE,
                                LLM_USAGE_WHOLE_N);

    default:
        return LLM_INVALID;
    }
}


/* Renames the member whose name was just read; *name is what it is called
 * then. */
static llm_rc_t
llm_plan_rename(llm_planner_t *pl, llm_slice_t *name)
{
    size_t               at;
    llm_rc_t             rc;
    llm_block_t         *text;
    const llm_rename_t  *r;

    *name = pl->json.tok;

    for (r = pl->renames; r != NULL && r->from.p != NULL; r++) {
        if (llm_json_eq(name, (const char *) r->from.p, r->from.n)) {
            break;
        }
    }

    if (r == NULL || r->from.p == NULL) {
        return LLM_OK;
    }

    text = &pl->plan->text;
    at = text->n;

    rc = llm_block_append(text, &pl->plan->alloc, r->to.p, r->to.n);
    if (rc != LLM_OK) {
        return rc;
    }

    rc = llm_plan_replace(pl, name, at, r->to.n);
    *name = r->to;

    return rc;
}


/* The value of the member whose name was just read. */
static llm_rc_t
llm_plan_member(llm_planner_t *pl)
{
    size_t            i;
    llm_rc_t          rc;
    llm_slice_t       name, raw;
    llm_target_t     *t;
    llm_json_type_t   type;

    rc = llm_plan_rename(pl, &name);
    if (rc != LLM_OK) {
        return rc;
    }

    for (i = 0; i < pl->n; i++) {
        t = &pl->targets[i];

        if (!t->none
            && llm_json_eq(&name, (const char *) t->name.p, t->name.n))
        {
            break;
        }
    }

    if (i < pl->n) {
        pl->targets[i].seen = 1;

        if (pl->targets[i].usage) {
            return llm_plan_options(pl);
        }
    }

    if (pl->cap.asks != NULL
        && (i == pl->n || pl->targets[i].there.n == 0))
    {
        rc = llm_cap_member(pl, &name);
        if (rc != LLM_AGAIN) {
            return rc;
        }
    }

    type = llm_json_skip(&pl->json, &raw);

    if (type == LLM_JSON_ERROR) {
        return LLM_INVALID;
    }

    if (i == LLM_TARGET_STREAM) {
        pl->stream = type;
    }

    if (i == pl->n || pl->targets[i].there.n == 0) {
        return LLM_OK;
    }

    return llm_plan_replace(pl, &raw, pl->targets[i].there.at,
                            pl->targets[i].there.n);
}


static llm_rc_t
llm_plan_walk(llm_planner_t *pl, size_t n)
{
    llm_rc_t          rc;
    llm_json_t       *j;
    llm_json_type_t   type;

    j = &pl->json;
    llm_json_init(j, pl->body, n, LLM_JSON_DEPTH_MAX);

    if (llm_json_next(j) != LLM_JSON_OBJECT) {
        return LLM_INVALID;
    }

    /* the place of the insertion, which is known at the end */

    rc = llm_plan_edit(pl->plan, (size_t) (j->p - pl->body), 0, 0, 0);
    if (rc != LLM_OK) {
        return rc;
    }

    for ( ;; ) {
        type = llm_json_next(j);

        if (type != LLM_JSON_KEY) {
            break;
        }

        pl->members = 1;

        rc = llm_plan_member(pl);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    if (type != LLM_JSON_OBJECT_END || llm_json_next(j) != LLM_JSON_END) {
        return LLM_INVALID;
    }

    return LLM_OK;
}


/* Whether the edited request asks for a stream. */
static unsigned
llm_plan_streams(const llm_planner_t *pl)
{
    const llm_target_t  *t;

    t = &pl->targets[LLM_TARGET_STREAM];

    if (!t->seen) {
        return t->absent.n != 0 && t->absent.type == LLM_JSON_TRUE;
    }

    return (t->there.n != 0 ? t->there.type : pl->stream) == LLM_JSON_TRUE;
}


/* Puts the members that the body does not have into one edit. */
static llm_rc_t
llm_plan_insert(llm_planner_t *pl, unsigned streams)
{
    size_t         i, at, need;
    llm_rc_t       rc;
    llm_block_t   *text;
    llm_target_t  *t;

    text = &pl->plan->text;
    need = 0;

    for (i = 0; i < pl->n; i++) {
        t = &pl->targets[i];

        if (t->seen || (t->cap && pl->cap.said)
            || (!streams && t->absent.at < pl->usage_n))
        {
            t->absent.n = 0;
        }

        if (t->absent.n != 0) {
            need += t->key.n + t->absent.n + 1;
        }
    }

    if (need == 0) {
        return LLM_OK;
    }

    rc = llm_block_reserve(text, &pl->plan->alloc, need);
    if (rc != LLM_OK) {
        return rc;
    }

    at = text->n;

    for (i = 0; i < pl->n; i++) {
        t = &pl->targets[i];

        if (t->absent.n == 0) {
            continue;
        }

        memcpy(text->p + text->n, text->p + t->key.at, t->key.n);
        text->n += t->key.n;
        memcpy(text->p + text->n, text->p + t->absent.at, t->absent.n);
        text->n += t->absent.n;
        text->p[text->n++] = ',';
    }

    pl->plan->edits[0].put_at = at;
    pl->plan->edits[0].put_n = need - !pl->members;

    return LLM_OK;
}


/* Drops the insertion when it is empty, and usage when nothing streams. */
static void
llm_plan_compact(llm_planner_t *pl, unsigned streams)
{
    size_t       i, n;
    llm_plan_t  *plan;
    llm_edit_t  *e;

    plan = pl->plan;
    n = 0;

    for (i = 0; i < plan->n; i++) {
        e = &plan->edits[i];

        if (e->put_n == 0 || (!streams && e->put_at < pl->usage_n)) {
            continue;
        }

        plan->edits[n++] = *e;
    }

    plan->n = n;
}


static llm_rc_t
llm_plan_make(llm_planner_t *pl, size_t n, const llm_request_change_t *change)
{
    unsigned  streams;
    llm_rc_t  rc;

    rc = llm_plan_targets(pl, change);
    if (rc != LLM_OK) {
        return rc;
    }

    rc = llm_plan_walk(pl, n);
    if (rc != LLM_OK) {
        return rc;
    }

    streams = llm_plan_streams(pl);
    llm_cap_end(pl);

    rc = llm_plan_insert(pl, streams);
    if (rc != LLM_OK) {
        return rc;
    }

    llm_plan_compact(pl, streams);

    return LLM_OK;
}


llm_rc_t
llm_request_plan(llm_plan_t *plan, const llm_u8 *body, size_t n,
    const llm_request_change_t *change, const llm_alloc_t *a)
{
    size_t         size;
    llm_rc_t       rc;
    llm_planner_t  pl;

    memset(plan, 0, sizeof(llm_plan_t));
    plan->alloc = *a;

    /* one more is that of the limit of output */

    if (change->nset > SIZE_MAX / sizeof(llm_target_t) - LLM_TARGET_N - 1) {
        return LLM_NOMEM;
    }

    size = (LLM_TARGET_N + 1 + change->nset) * sizeof(llm_target_t);

    memset(&pl, 0, sizeof(llm_planner_t));
    pl.plan = plan;
    pl.body = body;
    pl.renames = change->renames;
    pl.stream = LLM_JSON_NULL;

    pl.targets = a->resize(a->ctx, NULL, 0, size);
    if (pl.targets == NULL) {
        return LLM_NOMEM;
    }

    memset(pl.targets, 0, size);

    rc = llm_plan_make(&pl, n, change);

    (void) a->resize(a->ctx, pl.targets, size, 0);

    if (rc != LLM_OK) {
        llm_plan_free(plan);
    }

    return rc;
}
