/*
 * A heap of times: which of many comes first.  The unit is the caller's.
 */

#ifndef MOCK_HEAP_H
#define MOCK_HEAP_H

#include <stddef.h>
#include <stdint.h>


/* Part of whatever waits.  All zero: it does not. */
typedef struct {
    int64_t  at;
    size_t   place;     /* in the heap, from 1; 0: not in it */
} mock_heap_item_t;

/* All zero: empty. */
typedef struct {
    struct {
        int64_t            at;
        mock_heap_item_t  *item;
    }      *slots;
    size_t  n;
    size_t  size;
} mock_heap_t;

/* Puts the item in, or moves it, to that time. */
void mock_heap_set(mock_heap_t *h, mock_heap_item_t *item, int64_t at);

/* Takes it out, if it is in. */
void mock_heap_take(mock_heap_t *h, mock_heap_item_t *item);

/* The one with the smallest time, which stays; NULL: there is none. */
mock_heap_item_t *mock_heap_first(const mock_heap_t *h);

void mock_heap_free(mock_heap_t *h);


#endif /* MOCK_HEAP_H */
