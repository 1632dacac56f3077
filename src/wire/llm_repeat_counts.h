/*
 * Frames that repeat but for their text and their counts: llm_repeat.h for
 * dialects that say the usage so far in each chunk (Gemini).  What differs
 * behind the text may be a few numbers whose places were learned.
 */

#ifndef LLM_REPEAT_COUNTS_H
#define LLM_REPEAT_COUNTS_H

#include "llm_repeat.h"


#define LLM_REPEAT_COUNTS  8

typedef struct {
    llm_event_type_t  type;
    unsigned          choice;
    unsigned          head;     /* bytes before the text; 0: nothing learned */
    unsigned          counts;
    unsigned          cut[LLM_REPEAT_COUNTS + 1];   /* of what is behind the
                                   text: where each count was, and the end */
    llm_u8            bytes[LLM_REPEAT_MAX];
} llm_repeat_counts_t;


/*
 * As llm_repeat_learn().  counts: n unsigned integers of the document, in its
 * order; nothing is learned unless all of them lie behind the text.
 */
void llm_repeat_counts_learn(llm_repeat_counts_t *r, const llm_slice_t *data,
    const llm_event_t *ev, const llm_slice_t *counts, unsigned n);

/* As llm_repeat_match(); values: r->counts numbers in the order of the
 * document. */
int llm_repeat_counts_match(const llm_repeat_counts_t *r,
    const llm_slice_t *data, llm_slice_t *text, int64_t *values);

/* Reads the unsigned integer at *p, which must be followed by no digit; 0:
 * it is none, or has more digits than an int64_t surely holds. */
int llm_repeat_count(const llm_u8 **p, const llm_u8 *last, int64_t *value);


#endif /* LLM_REPEAT_COUNTS_H */
