/*
 * What the tests of requests share: the edits of a plan carried out.  It must
 * never look into a plan but through what llm_request.h promises.
 */

#ifndef REQUEST_SUPPORT_H
#define REQUEST_SUPPORT_H

#include "llm_dialect.h"
#include "unit_support.h"


static inline llm_slice_t
chars(const char *s)
{
    llm_slice_t  c;

    c = llm_slice_null;

    if (s != NULL) {
        c.p = (const llm_u8 *) s;
        c.n = strlen(s);
    }

    return c;
}


/* The length of the body after the edits. */
static inline size_t
edited(const llm_plan_t *plan, size_t n)
{
    size_t  i;

    for (i = 0; i < plan->n; i++) {
        n = n - plan->edits[i].cut + plan->edits[i].put_n;
    }

    return n;
}


/* The edited body, with a zero behind it, to be freed. */
static inline char *
apply(const llm_plan_t *plan, const llm_u8 *body, size_t n, size_t *len)
{
    char              *out;
    size_t             i, at, k;
    const llm_edit_t  *e;

    *len = edited(plan, n);
    out = malloc(*len + 1);
    assert_non_null(out);

    at = 0;
    k = 0;

    for (i = 0; i < plan->n; i++) {
        e = &plan->edits[i];

        assert_true(e->at > at || (i == 0 && e->at == at));
        assert_true(e->at <= n && e->cut <= n - e->at);
        assert_true(e->put_at <= plan->text.n);
        assert_true(e->put_n != 0 && e->put_n <= plan->text.n - e->put_at);

        memcpy(out + k, body + at, e->at - at);
        k += e->at - at;
        memcpy(out + k, plan->text.p + e->put_at, e->put_n);
        k += e->put_n;
        at = e->at + e->cut;
    }

    memcpy(out + k, body + at, n - at);
    k += n - at;
    assert_int_equal(k, *len);
    out[k] = '\0';

    return out;
}


/* The rope of a plan is the edited body, and refers to what is large. */
static inline void
check_rope(const llm_plan_t *plan, const llm_u8 *body, size_t n,
    const char *want, size_t len)
{
    size_t                   i, at;
    llm_rope_t               rope;
    llm_alloc_t              a;
    unit_alloc_t             heap;
    const llm_rope_piece_t  *piece;

    a = unit_alloc(&heap);
    llm_rope_init(&rope, &a);

    assert_int_equal(llm_plan_rope(plan, body, n, &rope), LLM_OK);
    assert_int_equal(llm_rope_length(&rope), len);

    for (i = 0, at = 0; i < llm_rope_npieces(&rope); i++) {
        piece = &llm_rope_pieces(&rope)[i];
        assert_true(piece->n <= len - at);
        assert_memory_equal(llm_rope_bytes(&rope, i), want + at, piece->n);
        at += piece->n;

        assert_true(piece->p == NULL || piece->n >= LLM_ROPE_SPLICE);
    }

    assert_int_equal(at, len);
    llm_rope_free(&rope);
    assert_int_equal(heap.live, 0);
}


/* Plans and applies; "invalid" when the plan says so. */
static inline char *
change_body(const char *in, const llm_request_change_t *change,
    size_t *edits)
{
    char          *out;
    size_t         n, len;
    llm_u8        *body;
    llm_rc_t       rc;
    llm_plan_t     plan;
    llm_alloc_t    a;
    unit_alloc_t   heap;

    n = strlen(in);
    body = unit_copy(in, n);
    a = unit_alloc(&heap);

    rc = llm_request_plan(&plan, body, n, change, &a);

    if (rc == LLM_INVALID) {
        assert_int_equal(heap.live, 0);
        free(body);
        return strdup("invalid");
    }

    assert_int_equal(rc, LLM_OK);

    out = apply(&plan, body, n, &len);
    assert_int_equal(strlen(out), len);
    *edits = plan.n;
    check_rope(&plan, body, n, out, len);

    llm_plan_free(&plan);
    assert_int_equal(heap.live, 0);
    free(body);

    return out;
}


#endif /* REQUEST_SUPPORT_H */
