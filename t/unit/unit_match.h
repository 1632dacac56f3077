/*
 * Which of some strings comes first in a text, by the definition: plain, slow,
 * and without any state.
 */

#ifndef UNIT_MATCH_H
#define UNIT_MATCH_H

#include "unit_support.h"


/* A text, as far as it was read. */
typedef struct {
    int           known;        /* the match cannot change any more */
    size_t        begin;        /* of the match, if any */
    size_t        length;       /* 0: none */
    size_t        held;         /* bytes at the end that may be part of one */
} unit_match_t;

unit_match_t unit_match(const llm_slice_t *list, unsigned n, const llm_u8 *p,
    size_t size);


#endif /* UNIT_MATCH_H */
