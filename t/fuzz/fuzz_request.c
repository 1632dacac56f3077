/*
 * Fuzzes requests: a body that is accepted must, after the planned edits, be
 * accepted again and have every wanted member as it was wanted; nothing else
 * may have gone.  The first three bytes of the input choose the change, the
 * members of `set`, and the allocation that fails; the rest is the body.
 */

#include "fuzz_support.h"
#include "llm_dialect.h"


#define must  FUZZ_CHECK


typedef struct {
    const llm_u8        *p;
    size_t               n;
} fuzz_body_t;


/*
 * How many members of that name an object has; fewer than all when one of
 * them has another value.  With value.p NULL any value will do.
 */
static size_t
fuzz_members(const fuzz_body_t *b, llm_slice_t name, llm_slice_t value,
    size_t *all)
{
    int              hit;
    size_t           n;
    llm_json_t       j;
    llm_slice_t      raw;
    llm_json_type_t  type;

    llm_json_init(&j, b->p, b->n, LLM_JSON_DEPTH_MAX);
    must(llm_json_next(&j) == LLM_JSON_OBJECT);

    n = 0;
    *all = 0;

    for ( ;; ) {
        type = llm_json_next(&j);

        if (type != LLM_JSON_KEY) {
            break;
        }

        hit = llm_json_eq(&j.tok, (const char *) name.p, name.n);
        must(llm_json_skip(&j, &raw) != LLM_JSON_ERROR);

        if (!hit) {
            continue;
        }

        (*all)++;
        n += value.p == NULL
             || (raw.n == value.n && memcmp(raw.p, value.p, raw.n) == 0);
    }

    must(type == LLM_JSON_OBJECT_END);
    must(llm_json_next(&j) == LLM_JSON_END);

    return n;
}


static size_t
fuzz_count(const fuzz_body_t *b, llm_slice_t name)
{
    size_t  all;

    (void) fuzz_members(b, name, llm_slice_null, &all);

    return all;
}


/* Every stream_options asks for usage. */
static void
fuzz_usage(const fuzz_body_t *b)
{
    size_t           n, all;
    llm_json_t       j;
    fuzz_body_t      o;
    llm_slice_t      raw;
    llm_json_type_t  type;
    unsigned         hit;

    llm_json_init(&j, b->p, b->n, LLM_JSON_DEPTH_MAX);
    must(llm_json_next(&j) == LLM_JSON_OBJECT);

    n = 0;

    while (llm_json_next(&j) == LLM_JSON_KEY) {
        hit = llm_json_is(&j.tok, "stream_options") != 0;
        type = llm_json_skip(&j, &raw);

        if (hit) {
            must(type == LLM_JSON_OBJECT);

            o.p = raw.p;
            o.n = raw.n;
            must(fuzz_members(&o, llm_slice("include_usage"),
                              llm_slice("true"), &all) == all);
            must(all != 0);
            n++;
        }
    }

    must(n != 0);
}


/* A member as the change says; what it does not name has not changed. */
static void
fuzz_member(const fuzz_body_t *in, const fuzz_body_t *out,
    const llm_request_change_t *c, llm_slice_t name, llm_slice_t value)
{
    size_t                    i, n, was, all;
    const llm_request_set_t  *set;

    was = fuzz_count(in, name);

    for (i = 0; i < c->nset; i++) {
        set = &c->set[i];

        if (set->name.n == name.n
            && memcmp(set->name.p, name.p, name.n) == 0
            && !(was != 0 && set->if_absent))
        {
            value = set->value;
        }
    }

    n = fuzz_members(out, name, value, &all);
    must(n == all);
    must(all == (was == 0 && value.p != NULL ? 1 : was));
}


static void
fuzz_check(const fuzz_body_t *in, const fuzz_body_t *out,
    const llm_request_change_t *c)
{
    size_t         i;
    llm_slice_t    value;
    unsigned       own;
    llm_request_t  r;

    must(llm_request_read(&r, out->p, out->n, LLM_JSON_DEPTH_MAX,
                          &llm_dialect_openai) == LLM_OK);

    value = c->model.p == NULL ? llm_slice_null : llm_slice("\"m\\\"\"");
    fuzz_member(in, out, c, llm_slice("model"), value);

    value = c->stream == -1 ? llm_slice_null
            : c->stream ? llm_slice("true") : llm_slice("false");
    fuzz_member(in, out, c, llm_slice("stream"), value);

    own = 0;

    for (i = 0; i < c->nset; i++) {

        if (llm_json_is(&c->set[i].name, "stream_options")) {
            own = 1;

        } else if (!llm_json_is(&c->set[i].name, "model")
                   && !llm_json_is(&c->set[i].name, "stream"))
        {
            fuzz_member(in, out, c, c->set[i].name, llm_slice_null);
        }
    }

    if (own || !c->usage || r.stream != 1) {
        fuzz_member(in, out, c, llm_slice("stream_options"),
                    llm_slice_null);

    } else {
        must(r.include_usage == 1);
        fuzz_usage(out);
    }
}


/* The length of the body after the edits. */
static size_t
fuzz_edited(const llm_plan_t *plan, size_t n)
{
    size_t  i;

    for (i = 0; i < plan->n; i++) {
        n = n - plan->edits[i].cut + plan->edits[i].put_n;
    }

    return n;
}



static llm_u8 *
fuzz_apply(const llm_plan_t *plan, const fuzz_body_t *in, size_t *len)
{
    size_t             i, at, k;
    llm_u8            *out;
    const llm_edit_t  *e;

    *len = fuzz_edited(plan, in->n);

    out = malloc(*len + 1);
    must(out != NULL);

    at = 0;
    k = 0;

    for (i = 0; i < plan->n; i++) {
        e = &plan->edits[i];

        must(e->at > at || (i == 0 && e->at == 0));
        must(e->at <= in->n && e->cut <= in->n - e->at);
        must(e->put_at <= plan->text.n);
        must(e->put_n != 0 && e->put_n <= plan->text.n - e->put_at);
        must(k + (e->at - at) + e->put_n <= *len);

        memcpy(out + k, in->p + at, e->at - at);
        k += e->at - at;
        memcpy(out + k, plan->text.p + e->put_at, e->put_n);
        k += e->put_n;
        at = e->at + e->cut;
    }

    must(k + (in->n - at) == *len);
    memcpy(out + k, in->p + at, in->n - at);

    return out;
}


/* The same as pieces of a rope. */
static void
fuzz_rope(const llm_plan_t *plan, const fuzz_body_t *in,
    const fuzz_body_t *out, const llm_alloc_t *a)
{
    size_t       i, at, n;
    llm_rc_t     rc;
    llm_rope_t   rope;

    llm_rope_init(&rope, a);
    rc = llm_plan_rope(plan, in->p, in->n, &rope);

    if (rc == LLM_OK) {
        must(llm_rope_length(&rope) == out->n);

        for (i = 0, at = 0; i < llm_rope_npieces(&rope); i++) {
            n = llm_rope_pieces(&rope)[i].n;
            must(n != 0 && n <= out->n - at);
            must(memcmp(llm_rope_bytes(&rope, i), out->p + at, n) == 0);
            at += n;
        }

    } else {
        must(rc == LLM_NOMEM);
    }

    llm_rope_free(&rope);
}


/* A member that the provider calls otherwise has only that name left. */
static void
fuzz_renamed(const fuzz_body_t *in, const fuzz_body_t *out)
{
    must(fuzz_count(out, llm_slice("top_p")) == 0);
    must(fuzz_count(out, llm_slice("p"))
         == fuzz_count(in, llm_slice("p"))
            + fuzz_count(in, llm_slice("top_p")));
}


static void
fuzz_change(llm_request_change_t *c, llm_request_set_t *set, uint8_t how,
    uint8_t which)
{
    size_t  i;

    static const llm_rename_t  renames[] = {
        { llm_str("top_p"), llm_str("p") }, { { NULL, 0, 0 }, { NULL, 0, 0 } }
    };

    const llm_request_set_t  all[] = {
        { llm_slice("temperature"), llm_slice("0.5"), 0 },
        { llm_slice("temperature"), llm_slice("{\"a\":[1]}"), 1 },
        { llm_slice("stream"), llm_slice("true"), 0 },
        { llm_slice("stream"), llm_slice("false"), 1 },
        { llm_slice("stream_options"), llm_slice("{}"), 0 },
        { llm_slice("model"), llm_slice("\"s\""), 1 },
        { llm_slice("u\"\n"), llm_slice("null"), 1 },
        { llm_slice("temperature"), llm_slice("1"), 0 }
    };

    memset(c, 0, sizeof(llm_request_change_t));
    c->stream = how % 3 - 1;
    c->usage = how / 3 % 2;
    c->model = how / 6 % 2 ? llm_slice("m\"") : llm_slice_null;
    c->renames = how / 12 % 2 ? renames : NULL;
    c->set = set;

    for (i = 0; i < 8; i++) {
        if (which & 1 << i) {
            set[c->nset++] = all[i];
        }
    }
}


static void
fuzz_prompt(const fuzz_body_t *in, fuzz_heap_t *heap, const llm_alloc_t *a)
{
    llm_rc_t       rc;
    llm_slice_t    system, prompt;
    llm_block_t    b;
    llm_request_t  r;

    memset(&b, 0, sizeof(b));

    system.p = in->p;
    system.n = in->n / 3;
    system.escaped = 0;

    prompt.p = in->p + system.n;
    prompt.n = in->n - system.n;
    prompt.escaped = 0;

    rc = llm_request_prompt(&b, a, &system, &prompt);

    if (rc == LLM_OK) {
        must(llm_request_read(&r, b.p, b.n, 3, &llm_dialect_openai) == LLM_OK);
        must(r.needed && r.stream == -1 && r.model.p == NULL);
        must(r.asked.messages == 1 + (system.n != 0));

    } else {
        must(rc == LLM_NOMEM && b.n == 0);
    }

    llm_block_free(&b, a);
    must(heap->live == 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    llm_u8                *p;
    llm_rc_t               rc, was;
    llm_plan_t             plan;
    llm_alloc_t            a;
    fuzz_body_t            in, out;
    fuzz_heap_t            heap;
    llm_request_t          r;
    llm_request_set_t      set[8];
    llm_request_change_t   change;

    if (size < 3) {
        return 0;
    }

    fuzz_change(&change, set, data[0], data[1]);

    in.p = data + 3;
    in.n = size - 3;

    a = fuzz_heap(&heap, data[2] % 16);

    was = llm_request_read(&r, in.p, in.n, 0, &llm_dialect_openai);
    must(was == LLM_OK || was == LLM_INVALID || was == LLM_TOO_DEEP);
    must(was == LLM_INVALID || r.member == NULL);

    rc = llm_request_plan(&plan, in.p, in.n, &change, &a);

    if (rc == LLM_OK) {
        p = fuzz_apply(&plan, &in, &out.n);
        out.p = p;

        if (was == LLM_OK) {
            fuzz_check(&in, &out, &change);
        }

        if (was == LLM_OK && change.renames != NULL) {
            fuzz_renamed(&in, &out);
        }

        fuzz_rope(&plan, &in, &out, &a);

        must(plan.n != 0 || out.n == in.n);
        free(p);

    } else if (rc == LLM_NOMEM) {
        must(heap.fail != 0);

    } else {
        must(rc == LLM_INVALID);
        must(was != LLM_OK || in.n > 4 * LLM_REQUEST_EDITS_MAX);
    }

    llm_plan_free(&plan);
    must(heap.live == 0);

    fuzz_prompt(&in, &heap, &a);

    return 0;
}
