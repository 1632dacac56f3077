/*
 * Shaping: small pieces of a text are joined and given out at a time, a size,
 * or a place in the text.
 */

#ifndef LLM_STAGE_COALESCE_H
#define LLM_STAGE_COALESCE_H

#include "llm_break.h"
#include "llm_stage.h"


/* bytes that are held, at most; more than this goes wherever it can be cut */
#define LLM_COALESCE_HELD  4096

/* What is set goes as soon as one of them is met. */
typedef struct {
    int64_t         time;       /* ms since the oldest byte came, 0: not set */
    int64_t         max_delay;  /* the same, for what should not be cut; not
                                   less than time */
    size_t          size;       /* characters, 0: not set */
    llm_break_at_t  boundary;   /* LLM_BREAK_CLUSTER: not set */
} llm_coalesce_conf_t;

extern const llm_stage_type_t  llm_stage_coalesce;


#endif /* LLM_STAGE_COALESCE_H */
