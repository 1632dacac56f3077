/*
 * The limit of output for a provider that cannot be asked to keep one: the
 * answer ends, with the finish reason "length", where the estimate of it
 * passes the limit.
 */

#ifndef LLM_STAGE_LENGTH_H
#define LLM_STAGE_LENGTH_H

#include "llm_stage.h"


/* conf is a uint64_t: 1/1000 tokens.  The stage that keeps chain->output has
 * to be before it. */
extern const llm_stage_type_t  llm_stage_length;


#endif /* LLM_STAGE_LENGTH_H */
