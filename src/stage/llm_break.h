/*
 * Where a text may be cut: between grapheme clusters, behind words, sentences
 * and lines, in any language.  It sees a text character by character, once,
 * and keeps nothing of it.  What it takes for a word or a sentence is a guess
 * that shapes pieces; that it never parts a cluster is a promise.
 */

#ifndef LLM_BREAK_H
#define LLM_BREAK_H

#include "llm_wire.h"


/* How good a place is; each is also one of those before it. */
typedef enum {
    LLM_BREAK_NONE = 0,
    LLM_BREAK_CLUSTER,
    LLM_BREAK_WORD,
    LLM_BREAK_SENTENCE,
    LLM_BREAK_LINE
} llm_break_at_t;

/* Zeroed at the beginning of a text, but for want. */
typedef struct {
    llm_break_at_t  want;       /* the best that is asked for; sentences are
                                   looked for only then, and words from
                                   LLM_BREAK_WORD on */
    int32_t         last;       /* the last character */
    int32_t         state;      /* utf8proc's */
    unsigned        linked:1;   /* a virama waits for its consonant */
    unsigned        odd:1;      /* half of a flag */
    unsigned        within:1;   /* something stands on this line */
    unsigned        word:2;     /* LLM_BREAK_RUN_* */
    unsigned        end:2;      /* LLM_BREAK_END_* */
    unsigned        spaced:1;   /* white space behind that end */
} llm_break_t;

/* The next character: how good the place before it is. */
llm_break_at_t llm_break_next(llm_break_t *b, int32_t c);

/* How good the place behind the last character is whatever comes next; NONE:
 * that depends. */
llm_break_at_t llm_break_after(const llm_break_t *b);

/* Whether the last character is one that joins what comes next. */
int llm_break_joins(const llm_break_t *b);


#endif /* LLM_BREAK_H */
