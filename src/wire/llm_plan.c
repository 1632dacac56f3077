/*
 * A plan's edits carried out: what lies between them is referred to, never
 * copied when it is large.
 */

#include "llm_rope.h"


void
llm_plan_free(llm_plan_t *plan)
{
    if (plan->edits != NULL) {
        (void) plan->alloc.resize(plan->alloc.ctx, plan->edits,
                                  plan->cap * sizeof(llm_edit_t), 0);
    }

    plan->edits = NULL;
    plan->n = 0;
    plan->cap = 0;

    llm_block_free(&plan->text, &plan->alloc);
}


llm_rc_t
llm_plan_rope(const llm_plan_t *plan, const llm_u8 *body, size_t n,
    llm_rope_t *rope)
{
    size_t             i, at;
    const llm_edit_t  *e;

    at = 0;

    for (i = 0; i < plan->n; i++) {
        e = &plan->edits[i];

        llm_rope_put(rope, body + at, e->at - at);
        llm_rope_put(rope, plan->text.p + e->put_at, e->put_n);
        at = e->at + e->cut;
    }

    llm_rope_put(rope, body + at, n - at);

    return llm_rope_end(rope);
}
