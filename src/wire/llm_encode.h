/*
 * What the encoders of the client dialects share: gathering within bounds,
 * the canonical words of finish reasons, OpenAI's usage object, and the
 * beginning of a slice.
 */

#ifndef LLM_ENCODE_H
#define LLM_ENCODE_H

#include "llm_dialect.h"
#include "llm_write.h"


/*
 * Appends a slice to b as the inside of a JSON string.  *total, the bytes
 * gathered so far in all, is raised and never passes e->max_response.
 * LLM_OK, LLM_TOO_BIG (b is as before), LLM_NOMEM.
 */
llm_rc_t llm_gather(llm_encoder_t *e, llm_block_t *b, size_t *total,
    const llm_slice_t *s, unsigned linesep);

/* A block filled by llm_gather() as a slice; never absent. */
llm_slice_t llm_gathered(const llm_block_t *b);

/* Writes the bytes of such a block, without quotes. */
void llm_write_gathered(llm_out_t *out, const llm_block_t *b);

/* The word of a FINISH event: OpenAI's for the canonical reasons, else the
 * upstream's own. */
llm_slice_t llm_finish_word(const llm_event_t *ev);

/*
 * Writes {"prompt_tokens":…,"completion_tokens":…,"total_tokens":…}, with
 * the details of both when they were said and `details` is set.  NULL writes
 * null.  A total that was not said is the sum.
 */
void llm_write_usage(llm_out_t *out, const llm_usage_t *u, unsigned details);

/* The first `chars` characters of a slice, escapes and surrogate pairs kept
 * whole. */
llm_slice_t llm_slice_first(const llm_slice_t *s, size_t chars);


#endif /* LLM_ENCODE_H */
