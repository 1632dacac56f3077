/*
 * Texts of many languages with the borders of their grapheme clusters, from
 * t/vectors/clusters.
 */

#ifndef UNIT_CLUSTERS_H
#define UNIT_CLUSTERS_H

#include "unit_support.h"


typedef struct {
    char       name[40];
    llm_u8    *p;
    size_t     n;
    llm_u8    *border;          /* n + 1 of them: whether a cluster begins, or
                                   the text ends, there */
} clusters_t;

/* Fails the test if there is none. */
void clusters_each(void (*f)(const clusters_t *t, void *ctx), void *ctx);


#endif /* UNIT_CLUSTERS_H */
