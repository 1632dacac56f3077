/*
 * When the bytes came that wait in a block: a bounded list of times.
 */

#ifndef LLM_ARRIVALS_H
#define LLM_ARRIVALS_H

#include "llm_wire.h"


#define LLM_ARRIVALS_MAX  128

/* Zeroed: nothing waits. */
typedef struct {
    struct {
        size_t   from;          /* the first byte that came then */
        int64_t  at;
    }            list[LLM_ARRIVALS_MAX];
    unsigned     n;
} llm_arrivals_t;

/*
 * The bytes from `from` on came at `now`, not before those that were added.
 * No byte waits for more than `longest`: less than 1/LLM_ARRIVALS_MAX of that
 * is not told apart.
 */
void llm_arrivals_add(llm_arrivals_t *a, size_t from, int64_t now,
    int64_t longest);

/* When the byte at k came, or that little before; there is one. */
int64_t llm_arrivals_at(const llm_arrivals_t *a, size_t k);

/* The first k of n bytes are gone. */
void llm_arrivals_move(llm_arrivals_t *a, size_t k, size_t n);


#endif /* LLM_ARRIVALS_H */
