/*
 * How many tokens a text is, without the model's tokenizer: a price for each
 * character, by its script.  A sum over bytes, so the pieces of a text add up
 * to the whole wherever it was cut.
 *
 * All figures are 1/1000 tokens.
 */

#ifndef LLM_ESTIMATE_H
#define LLM_ESTIMATE_H

#include "llm_chat.h"
#include "llm_stage.h"


uint64_t llm_estimate(const llm_u8 *p, size_t n);

/* The same of a slice that may be the inside of a JSON string: as much as
 * its characters are. */
uint64_t llm_estimate_slice(const llm_slice_t *s);

/* What a request costs: its messages, tools and schema. */
uint64_t llm_estimate_chat(const llm_chat_t *c);


/* The stage that adds what the model says to chain->output.  It observes, has
 * no configuration, and is the first of a chain. */
extern const llm_stage_type_t  llm_stage_estimate;


#endif /* LLM_ESTIMATE_H */
