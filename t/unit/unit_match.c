/*
 * The first of some strings in a text, by the definition.
 */

#include "unit_match.h"


/* The longest string that is at p, whole: its length, or 0. */
static size_t
unit_match_at(const llm_slice_t *list, unsigned n, const llm_u8 *p,
    size_t size)
{
    size_t    best;
    unsigned  i;

    best = 0;

    for (i = 0; i < n; i++) {
        if (list[i].n <= size && list[i].n > best
            && memcmp(list[i].p, p, list[i].n) == 0)
        {
            best = list[i].n;
        }
    }

    return best;
}


/* Whether all of [p, p + size) is the beginning of a string that is longer. */
static int
unit_match_begins(const llm_slice_t *list, unsigned n, const llm_u8 *p,
    size_t size)
{
    unsigned  i;

    for (i = 0; i < n; i++) {
        if (list[i].n > size && memcmp(list[i].p, p, size) == 0) {
            return 1;
        }
    }

    return 0;
}


unit_match_t
unit_match(const llm_slice_t *list, unsigned n, const llm_u8 *p, size_t size)
{
    size_t        i;
    unit_match_t  o;

    memset(&o, 0, sizeof(unit_match_t));

    for (i = 0; i < size && o.length == 0; i++) {
        o.length = unit_match_at(list, n, p + i, size - i);
        o.begin = i;
    }

    /* one that begins at the same place or before can still take its place */

    for (i = 0; i < size && (o.length == 0 || i <= o.begin); i++) {

        if (unit_match_begins(list, n, p + i, size - i)) {
            o.held = size - i;
            return o;
        }
    }

    o.known = o.length != 0;

    return o;
}
