/*
 * The limit of output in a plan of edits: every place of a body where a limit
 * can be said says one that is not above it, and one place says it if the
 * body does not.  It must never let a value pass that a provider could read
 * as more: what is not a number in range is replaced.
 *
 * A null is left alone where the limit is said under another name: OpenAI
 * refuses two of them.  Until that is known it is an edit that cuts and puts
 * nothing, with the number of its entry in put_at.
 */

#include "llm_request_private.h"
#include "llm_write.h"


static int
llm_cap_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}


static unsigned
llm_cap_bit(const llm_planner_t *pl, const llm_ask_t *ask)
{
    return 1u << (ask - pl->cap.asks);
}


static size_t
llm_cap_digits(int64_t v)
{
    size_t  n;

    for (n = 1; v > 9; n++) {
        v /= 10;
    }

    return n;
}


/* Puts {"name":N}"name":N,N-1 into the plan's text; each form is a part. */
static llm_rc_t
llm_cap_write(llm_planner_t *pl, const llm_slice_t *name)
{
    llm_rc_t         rc;
    llm_cap_t       *cap;
    llm_block_out_t  bo;

    cap = &pl->cap;

    cap->nnumber = llm_cap_digits(cap->max);
    cap->nobject = cap->nnumber + name->n + 5;
    cap->nmember = cap->nnumber + name->n + 4;
    cap->nless = llm_cap_digits(cap->max - 1);

    cap->object = pl->plan->text.n;
    cap->number = cap->object + name->n + 4;
    cap->member = cap->object + cap->nobject;
    cap->less = cap->member + cap->nmember;

    rc = llm_block_out_open(&bo, &pl->plan->text, &pl->plan->alloc);
    if (rc != LLM_OK) {
        return rc;
    }

    llm_out_lit(&bo.out, "{");
    llm_write_string(&bo.out, name, 0);
    llm_out_lit(&bo.out, ":");
    llm_write_int(&bo.out, cap->max);
    llm_out_lit(&bo.out, "}");
    llm_write_string(&bo.out, name, 0);
    llm_out_lit(&bo.out, ":");
    llm_write_int(&bo.out, cap->max);
    llm_out_lit(&bo.out, ",");
    llm_write_int(&bo.out, cap->max - 1);

    return llm_block_out_close(&bo);
}


static llm_slice_t
llm_cap_slice(const char *name)
{
    llm_slice_t  s;

    s.p = (const llm_u8 *) name;
    s.n = strlen(name);
    s.escaped = 0;

    return s;
}


/* What the provider calls a member. */
static llm_slice_t
llm_cap_name(const llm_request_change_t *change, const char *name)
{
    llm_slice_t          s;
    const llm_rename_t  *r;

    s = llm_cap_slice(name);

    for (r = change->renames; r != NULL && r->from.p != NULL; r++) {
        if (r->from.n == s.n && memcmp(r->from.p, s.p, s.n) == 0) {
            return r->to;
        }
    }

    return s;
}


/* The target for a body that says no limit. */
static llm_rc_t
llm_cap_target(llm_planner_t *pl, const llm_slice_t *name)
{
    llm_rc_t            rc;
    llm_cap_t          *cap;
    llm_target_t       *t;
    llm_request_set_t   set;

    cap = &pl->cap;

    memset(&set, 0, sizeof(llm_request_set_t));

    set.name = *name;
    set.value = llm_slice("0");
    set.if_absent = 1;

    rc = llm_target_set(pl, &set, &t);
    if (rc != LLM_OK) {
        return rc;
    }

    t->cap = 1;

    if (cap->says->outer != NULL) {
        t->absent.at = cap->object;
        t->absent.n = cap->nobject;

    } else {
        t->absent.at = cap->number;
        t->absent.n = cap->nnumber;
    }

    return LLM_OK;
}


llm_rc_t
llm_cap_begin(llm_planner_t *pl, const llm_request_change_t *change)
{
    llm_rc_t      rc;
    llm_cap_t    *cap;
    llm_slice_t   name;

    if (change->cap == 0 || change->dialect == NULL
        || change->dialect->asks == NULL)
    {
        return LLM_OK;
    }

    cap = &pl->cap;
    cap->asks = change->dialect->asks;
    cap->says = llm_ask_output(cap->asks);
    cap->max = change->cap;

    name = cap->says == NULL ? llm_slice("")
           : cap->says->outer != NULL ? llm_cap_slice(cap->says->name)
           : llm_cap_name(change, cap->says->name);

    rc = llm_cap_write(pl, &name);

    if (rc != LLM_OK || cap->says == NULL || change->no_insert) {
        return rc;
    }

    if (cap->says->outer != NULL) {
        name = llm_cap_name(change, cap->says->outer);
    }

    return llm_cap_target(pl, &name);
}


void
llm_cap_given(llm_planner_t *pl, const llm_request_change_t *change)
{
    size_t            i;
    llm_slice_t       name;
    const llm_ask_t  *ask;

    for (ask = pl->cap.asks; ask != NULL && ask->name != NULL; ask++) {

        if (!(ask->what & LLM_ASK_SAYS)) {
            continue;
        }

        name = llm_cap_name(change, ask->outer != NULL ? ask->outer
                                                       : ask->name);

        for (i = 0; i < change->nset; i++) {
            if (change->set[i].name.n == name.n
                && memcmp(change->set[i].name.p, name.p, name.n) == 0)
            {
                pl->cap.said |= llm_cap_bit(pl, ask);
            }
        }
    }
}


/* The value of a limit, at the top level or in an object. */
static llm_rc_t
llm_cap_value(llm_planner_t *pl, const llm_ask_t *ask, llm_json_type_t type,
    const llm_slice_t *raw)
{
    if (llm_ask_within(ask, type, raw, pl->cap.max)
        || (type == LLM_JSON_NULL && !(ask->what & LLM_ASK_SAYS)))
    {
        return LLM_OK;
    }

    return llm_plan_replace(pl, raw, pl->cap.number, pl->cap.nnumber);
}


/* A limit at the top level; exact: its name is just so. */
static llm_rc_t
llm_cap_plain(llm_planner_t *pl, const llm_ask_t *ask, unsigned exact)
{
    llm_slice_t      raw;
    llm_json_type_t  type;

    type = llm_json_skip(&pl->json, &raw);

    if (type == LLM_JSON_ERROR) {
        return LLM_INVALID;
    }

    if (exact && (ask->what & LLM_ASK_SAYS)) {

        if (type == LLM_JSON_NULL) {
            return llm_plan_edit(pl->plan, (size_t) (raw.p - pl->body),
                                 raw.n, (size_t) (ask - pl->cap.asks), 0);
        }

        pl->cap.said |= llm_cap_bit(pl, ask);
    }

    return llm_cap_value(pl, ask, type, &raw);
}


/* The members of an object that limits are in; behind its opening brace. */
static llm_rc_t
llm_cap_inside(llm_planner_t *pl, const llm_ask_t *outer)
{
    size_t            at;
    llm_rc_t          rc;
    unsigned          members, said;
    llm_json_t       *j;
    llm_slice_t       key, raw;
    llm_json_type_t   type;
    const llm_ask_t  *ask;

    j = &pl->json;
    at = pl->plan->n;
    said = !(outer->what & LLM_ASK_SAYS);

    /* one that is only known to be needed at the end */

    rc = llm_plan_edit(pl->plan, (size_t) (j->p - pl->body), 0, 0, 0);

    for (members = 0; rc == LLM_OK; members = 1) {

        if (llm_json_next(j) != LLM_JSON_KEY) {
            break;
        }

        key = j->tok;
        type = llm_json_skip(j, &raw);

        if (type == LLM_JSON_ERROR) {
            return LLM_INVALID;
        }

        for (ask = pl->cap.asks; ask->name != NULL; ask++) {
            if ((ask->what & LLM_ASK_OUTPUT)
                && llm_cap_same(ask->outer, outer->outer)
                && llm_ask_is(&key, ask->name))
            {
                said |= llm_json_eq(&key, ask->name, strlen(ask->name));
                rc = llm_cap_value(pl, ask, type, &raw);
                break;
            }
        }
    }

    if (rc == LLM_OK && !said) {
        pl->plan->edits[at].put_at = pl->cap.member;
        pl->plan->edits[at].put_n = pl->cap.nmember - !members;
    }

    return rc;
}


static llm_rc_t
llm_cap_object(llm_planner_t *pl, const llm_ask_t *ask, unsigned exact)
{
    llm_slice_t  raw;
    llm_json_t  *j;

    j = &pl->json;

    switch (llm_json_next(j)) {

    case LLM_JSON_OBJECT:
        break;

    case LLM_JSON_NULL:
        if (!(ask->what & LLM_ASK_SAYS)) {
            return LLM_OK;
        }

        raw = j->tok;
        pl->cap.said |= exact ? llm_cap_bit(pl, ask) : 0;

        return llm_plan_replace(pl, &raw, pl->cap.object, pl->cap.nobject);

    default:
        pl->plan->member = ask->outer;
        return LLM_INVALID;
    }

    if (exact && (ask->what & LLM_ASK_SAYS)) {
        pl->cap.said |= llm_cap_bit(pl, ask);
    }

    return llm_cap_inside(pl, ask);
}


/*
 * A budget of reasoning that is not below the limit is lowered, or, when none
 * is left that the provider would take, its object asks for none.
 */
static llm_rc_t
llm_cap_budget(llm_planner_t *pl, const llm_ask_t *ask)
{
    size_t           off;
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, raw;
    llm_json_type_t  type;

    type = llm_json_skip(&pl->json, &raw);

    if (type != LLM_JSON_OBJECT) {
        return type == LLM_JSON_ERROR ? LLM_INVALID : LLM_OK;
    }

    llm_json_reopen(&j, &raw);

    while (llm_json_next(&j) == LLM_JSON_KEY) {
        key = j.tok;
        type = llm_json_skip(&j, &v);

        if (type != LLM_JSON_NUMBER || !llm_ask_is(&key, ask->name)
            || llm_json_integer(&v, 1) < pl->cap.max)
        {
            continue;
        }

        if (pl->cap.max > ask->least) {
            rc = llm_plan_replace(pl, &v, pl->cap.less, pl->cap.nless);
            if (rc != LLM_OK) {
                return rc;
            }

            continue;
        }

        off = pl->plan->text.n;

        rc = llm_block_append(&pl->plan->text, &pl->plan->alloc, ask->off,
                              strlen(ask->off));
        if (rc != LLM_OK) {
            return rc;
        }

        return llm_plan_replace(pl, &raw, off, pl->plan->text.n - off);
    }

    return LLM_OK;
}


llm_rc_t
llm_cap_member(llm_planner_t *pl, const llm_slice_t *name)
{
    unsigned          exact;
    const char       *s;
    const llm_ask_t  *ask;

    ask = llm_ask_find(pl->cap.asks, name);

    if (ask == NULL || !(ask->what & (LLM_ASK_OUTPUT|LLM_ASK_BUDGET))) {
        return LLM_AGAIN;
    }

    if (ask->what & LLM_ASK_BUDGET) {
        return llm_cap_budget(pl, ask);
    }

    s = ask->outer != NULL ? ask->outer : ask->name;
    exact = llm_json_eq(name, s, strlen(s)) != 0;

    return ask->outer != NULL ? llm_cap_object(pl, ask, exact)
                              : llm_cap_plain(pl, ask, exact);
}


/* Now it is known which of the nulls are to say the limit. */
void
llm_cap_end(llm_planner_t *pl)
{
    size_t       i;
    unsigned     bit, was;
    llm_edit_t  *e;

    was = pl->cap.said;

    for (i = 0; pl->cap.asks != NULL && i < pl->plan->n; i++) {
        e = &pl->plan->edits[i];

        if (e->cut == 0 || e->put_n != 0) {
            continue;
        }

        bit = 1u << e->put_at;

        if (was == 0 || (was & bit)) {
            e->put_at = pl->cap.number;
            e->put_n = pl->cap.nnumber;
            pl->cap.said |= bit;
        }
    }
}


/* The bytes of a plan carried out, behind those of b. */
static llm_rc_t
llm_cap_apply(llm_block_t *b, const llm_alloc_t *a, const llm_plan_t *plan,
    const llm_block_t *body)
{
    size_t             i, at;
    llm_rc_t           rc;
    const llm_edit_t  *e;

    at = 0;

    for (i = 0; i < plan->n; i++) {
        e = &plan->edits[i];

        rc = llm_block_append(b, a, body->p + at, e->at - at);

        if (rc == LLM_OK) {
            rc = llm_block_append(b, a, plan->text.p + e->put_at, e->put_n);
        }

        if (rc != LLM_OK) {
            return rc;
        }

        at = e->at + e->cut;
    }

    return llm_block_append(b, a, body->p + at, body->n - at);
}


/* {"name":value */
static llm_rc_t
llm_cap_body(llm_block_t *body, const llm_alloc_t *a,
    const llm_request_set_t *set, size_t *value)
{
    llm_rc_t         rc;
    llm_block_out_t  bo;

    rc = llm_block_out_open(&bo, body, a);
    if (rc != LLM_OK) {
        return rc;
    }

    llm_out_lit(&bo.out, "{");
    llm_write_string(&bo.out, &set->name, 0);
    llm_out_lit(&bo.out, ":");

    rc = llm_block_out_close(&bo);
    if (rc != LLM_OK) {
        return rc;
    }

    *value = body->n;

    rc = llm_block_append(body, a, set->value.p, set->value.n);

    return rc == LLM_OK ? llm_block_append(body, a, "}", 1) : rc;
}


llm_rc_t
llm_request_cap_value(llm_block_t *b, const llm_alloc_t *a,
    const llm_dialect_t *dialect, int64_t cap, const llm_request_set_t *set)
{
    size_t                at;
    llm_rc_t              rc;
    llm_plan_t            plan;
    llm_block_t           body;
    llm_request_change_t  change;

    if (dialect->asks == NULL
        || llm_ask_find(dialect->asks, &set->name) == NULL)
    {
        return LLM_AGAIN;
    }

    memset(&body, 0, sizeof(llm_block_t));
    memset(&change, 0, sizeof(llm_request_change_t));

    change.stream = -1;
    change.dialect = dialect;
    change.cap = cap;
    change.no_insert = 1;

    rc = llm_cap_body(&body, a, set, &at);

    if (rc == LLM_OK) {
        rc = llm_request_plan(&plan, body.p, body.n, &change, a);
    }

    if (rc == LLM_OK) {

        rc = plan.n == 0 ? LLM_AGAIN : llm_cap_apply(b, a, &plan, &body);

        if (rc == LLM_OK) {
            b->n -= at + 1;         /* the braces are not the value's */
            memmove(b->p, b->p + at, b->n);
        }

        llm_plan_free(&plan);
    }

    llm_block_free(&body, a);

    if (rc != LLM_OK) {
        llm_block_free(b, a);
    }

    return rc;
}
