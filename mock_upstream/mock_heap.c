/*
 * A binary heap.  It owns its list; items are their owners'.  Times stand in
 * the list, too, so that comparing touches nothing else.
 */

#include <stdlib.h>
#include <string.h>

#include "mock_buf.h"
#include "mock_heap.h"


static void
mock_heap_put(mock_heap_t *h, size_t i, int64_t at, mock_heap_item_t *item)
{
    h->slots[i].at = at;
    h->slots[i].item = item;
    item->place = i;
}


/* The place for that time, starting at the free place i. */
static size_t
mock_heap_up(mock_heap_t *h, size_t i, int64_t at)
{
    while (i > 1 && at < h->slots[i / 2].at) {
        mock_heap_put(h, i, h->slots[i / 2].at, h->slots[i / 2].item);
        i /= 2;
    }

    return i;
}


static size_t
mock_heap_down(mock_heap_t *h, size_t i, int64_t at)
{
    size_t  k;

    for ( ;; ) {
        k = 2 * i;

        if (k > h->n) {
            return i;
        }

        if (k < h->n && h->slots[k + 1].at < h->slots[k].at) {
            k++;
        }

        if (at <= h->slots[k].at) {
            return i;
        }

        mock_heap_put(h, i, h->slots[k].at, h->slots[k].item);
        i = k;
    }
}


void
mock_heap_set(mock_heap_t *h, mock_heap_item_t *item, int64_t at)
{
    size_t  i;

    i = item->place;

    if (i == 0) {
        i = ++h->n;

        if (i >= h->size) {
            h->size = h->size ? 2 * h->size : 64;
            h->slots = mock_resize(h->slots, h->size * sizeof(*h->slots));
        }
    }

    item->at = at;
    i = mock_heap_down(h, mock_heap_up(h, i, at), at);
    mock_heap_put(h, i, at, item);
}


void
mock_heap_take(mock_heap_t *h, mock_heap_item_t *item)
{
    size_t             i;
    int64_t            at;
    mock_heap_item_t  *last;

    i = item->place;

    if (i == 0) {
        return;
    }

    item->place = 0;
    last = h->slots[h->n].item;
    at = h->slots[h->n--].at;

    if (last != item) {
        i = mock_heap_down(h, mock_heap_up(h, i, at), at);
        mock_heap_put(h, i, at, last);
    }
}


mock_heap_item_t *
mock_heap_first(const mock_heap_t *h)
{
    return h->n ? h->slots[1].item : NULL;
}


void
mock_heap_free(mock_heap_t *h)
{
    free(h->slots);
    memset(h, 0, sizeof(*h));
}
