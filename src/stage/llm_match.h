/*
 * Which of some strings comes first in a text that arrives in pieces: an
 * automaton of Aho and Corasick over bytes.  It reads each byte once, and
 * says how many of the last ones can still become part of a match.
 *
 * The match of a text is the one that begins first; of those that begin at
 * the same place, the longest.  Where the pieces were cut changes nothing.
 */

#ifndef LLM_MATCH_H
#define LLM_MATCH_H

#include "llm_wire.h"


#define LLM_MATCH_STRINGS  128
#define LLM_MATCH_LENGTH   256      /* of one string, bytes */

typedef struct llm_match_node_s  llm_match_node_t;

typedef struct {
    const llm_slice_t  *strings;        /* in order, each as it was given */
    llm_match_node_t   *nodes;
    uint16_t            root[256];      /* the node behind a first byte */
} llm_match_t;

/* Where a text is; zeroed at its beginning. */
typedef struct {
    uint16_t            node;
    uint16_t            back;       /* bytes since the match found began */
    uint16_t            found;      /* 0: none; else by llm_match_found() */
} llm_match_at_t;


/*
 * Bytes of memory, aligned as for a pointer, that the automaton of n strings
 * needs: 1 to LLM_MATCH_STRINGS of 1 to LLM_MATCH_LENGTH bytes, not escaped.
 */
size_t llm_match_size(const llm_slice_t *s, unsigned n);

/* The strings' bytes and the memory outlive it.  A string may come twice. */
void llm_match_init(llm_match_t *m, void *memory, const llm_slice_t *s,
    unsigned n);

/*
 * Reads on in a text.  1: the match is known, at->found; it began at->back
 * bytes before the *used that were read.  0: not yet; at->found may be one
 * that is the match if the text ends here, at->back bytes before its end.
 */
int llm_match_read(const llm_match_t *m, llm_match_at_t *at, const llm_u8 *p,
    size_t n, size_t *used);

/* The last bytes that were read, as many as can still be part of a match: the
 * beginning of a string.  They live as long as the automaton. */
llm_slice_t llm_match_open(const llm_match_t *m, const llm_match_at_t *at);

static inline const llm_slice_t *
llm_match_found(const llm_match_t *m, const llm_match_at_t *at)
{
    return &m->strings[at->found - 1];
}


#endif /* LLM_MATCH_H */
