/*
 * Fuzzes the limit of output: whatever a body is, once it was capped no
 * server reads a higher limit in it than the cap, or none (cap_said.h); a
 * second time changes nothing; and what the request asks for then is no more.
 * The first byte chooses the dialect, the second the allocation that fails;
 * the rest is the body.
 */

#include "cap_said.h"
#include "fuzz_support.h"


#define must  FUZZ_CHECK

#define FUZZ_CAP  100


static llm_u8 *
fuzz_apply(const llm_plan_t *plan, const llm_u8 *p, size_t n, size_t *len)
{
    size_t             i, at, k;
    llm_u8            *out;
    const llm_edit_t  *e;

    for (i = 0, *len = n; i < plan->n; i++) {
        *len = *len - plan->edits[i].cut + plan->edits[i].put_n;
    }

    out = malloc(*len + 1);
    must(out != NULL);

    at = 0;
    k = 0;

    for (i = 0; i < plan->n; i++) {
        e = &plan->edits[i];

        must(e->at >= at && e->at <= n && e->cut <= n - e->at);
        must(e->put_n != 0 && e->put_at <= plan->text.n
             && e->put_n <= plan->text.n - e->put_at);

        memcpy(out + k, p + at, e->at - at);
        k += e->at - at;
        memcpy(out + k, plan->text.p + e->put_at, e->put_n);
        k += e->put_n;
        at = e->at + e->cut;
    }

    memcpy(out + k, p + at, n - at);

    return out;
}


static void
fuzz_capped(const llm_request_change_t *change, const llm_u8 *p, size_t n)
{
    llm_plan_t     plan;
    llm_alloc_t    a;
    fuzz_heap_t    heap;
    llm_request_t  r;

    must(cap_wrong(change->dialect, p, n, FUZZ_CAP) == NULL);

    if (llm_request_read(&r, p, n, LLM_JSON_DEPTH_MAX, change->dialect)
        == LLM_OK)
    {
        must(r.asked.output <= FUZZ_CAP);
        must(r.asked.output >= 0 || llm_ask_output(change->dialect->asks)
             == NULL);
        must(r.asked.answers >= 1 && r.asked.tries >= r.asked.answers);
        must(r.asked.messages == 0 || r.asked.list != NULL);
    }

    a = fuzz_heap(&heap, 0);
    must(llm_request_plan(&plan, p, n, change, &a) == LLM_OK);
    must(plan.n == 0);
    llm_plan_free(&plan);
    must(heap.live == 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                 n;
    llm_u8                *p;
    llm_rc_t               rc;
    llm_plan_t             plan;
    llm_alloc_t            a;
    fuzz_heap_t            heap;
    llm_request_change_t   change;

    static const llm_dialect_t *const  dialects[] = {
        &llm_dialect_openai, &llm_dialect_completions,
        &llm_dialect_responses, &llm_dialect_anthropic, &llm_dialect_gemini,
        &llm_dialect_ollama, &llm_dialect_flowise
    };

    if (size < 2) {
        return 0;
    }

    memset(&change, 0, sizeof(change));
    change.stream = -1;
    change.dialect = dialects[data[0] % 7];
    change.cap = FUZZ_CAP;

    a = fuzz_heap(&heap, data[1] % 16);
    rc = llm_request_plan(&plan, data + 2, size - 2, &change, &a);

    if (rc == LLM_OK) {
        p = fuzz_apply(&plan, data + 2, size - 2, &n);
        llm_plan_free(&plan);
        fuzz_capped(&change, p, n);
        free(p);

    } else {
        must(rc == LLM_INVALID || (rc == LLM_NOMEM && heap.fail != 0));
    }

    must(heap.live == 0);

    return 0;
}
