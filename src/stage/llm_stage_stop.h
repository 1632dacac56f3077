/*
 * The stage that ends an answer at a stop string.
 *
 * What the model says to the user, text and refusal, is searched, each choice
 * by itself; reasoning and tool calls are not.  A string may lie across any
 * number of events, but what was said must be said in one go: something else
 * of that choice in between, such as a tool call, ends the search and begins
 * a new one.  Log probabilities and citations speak of a text and are nothing
 * in between.
 */

#ifndef LLM_STAGE_STOP_H
#define LLM_STAGE_STOP_H

#include "llm_match.h"
#include "llm_stage.h"


/* conf: const llm_match_t * */
extern const llm_stage_type_t  llm_stage_stop;


#endif /* LLM_STAGE_STOP_H */
