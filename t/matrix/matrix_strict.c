/*
 * The form of a client's stream.
 */

#include "matrix.h"


char *
matrix_strict(const matrix_side_t *side, const matrix_run_t *r,
    unsigned same, size_t *checks)
{
    (void) side;
    (void) r;
    (void) same;

    *checks = 0;

    return NULL;
}
