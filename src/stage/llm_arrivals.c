/*
 * When the bytes came that wait in a block.  A byte may count as older than
 * it is, never as younger.
 */

#include "llm_arrivals.h"


void
llm_arrivals_add(llm_arrivals_t *a, size_t from, int64_t now,
    int64_t longest)
{
    if (a->n == LLM_ARRIVALS_MAX
        || (a->n != 0 && now - a->list[a->n - 1].at
                         <= longest / LLM_ARRIVALS_MAX))
    {
        return;
    }

    a->list[a->n].from = from;
    a->list[a->n].at = now;
    a->n++;
}


/* The number of the entry of the byte at k. */
static unsigned
llm_arrivals_find(const llm_arrivals_t *a, size_t k)
{
    unsigned  low, high, mid;

    low = 0;
    high = a->n;

    while (high - low > 1) {
        mid = (low + high) / 2;

        if (a->list[mid].from <= k) {
            low = mid;

        } else {
            high = mid;
        }
    }

    return low;
}


int64_t
llm_arrivals_at(const llm_arrivals_t *a, size_t k)
{
    return a->list[llm_arrivals_find(a, k)].at;
}


void
llm_arrivals_move(llm_arrivals_t *a, size_t k, size_t n)
{
    unsigned  i, first;

    if (k == n) {
        a->n = 0;
        return;
    }

    first = llm_arrivals_find(a, k);
    a->n -= first;

    for (i = 0; i < a->n; i++) {
        a->list[i] = a->list[i + first];
        a->list[i].from -= a->list[i].from < k ? a->list[i].from : k;
    }
}
