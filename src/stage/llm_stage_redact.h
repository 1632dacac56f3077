/*
 * The stage that hides or counts what the rules say; llm_redact.h has what a
 * match is.  Read are, each text by itself:
 *
 *   content     what a choice says, and its refusals
 *   reasoning   what it thinks
 *   tool_args   every string and number in the arguments of a tool call
 *
 * A text ends with its choice, and where its choice goes on with another of
 * them: a tool call ends the text before it, so that what waits keeps its
 * place.  Arguments end with their choice only.
 *
 * With rules for content that do not only count, log probabilities are left
 * out, they spell the text; citations and what a dialect says besides are
 * searched, each text in them by itself.  The signature of a thought, and
 * thoughts that came encrypted, go on as they are: they are no text.
 *
 * A match of a blocking rule ends its choice: what is before it goes out, then
 * the rule's words as a refusal, then the finish.
 */

#ifndef LLM_STAGE_REDACT_H
#define LLM_STAGE_REDACT_H

#include "llm_redact.h"
#include "llm_stage.h"


/* For one answer. */
typedef struct {
    const llm_redact_t   *redact;
    uint64_t             *counts;       /* matches of each rule; the caller's,
                                           zeroed, as is the next */
    unsigned             *gave_up;      /* 1 + the rule whose limits were
                                           reached; 0 */
} llm_stage_redact_conf_t;

extern const llm_stage_type_t  llm_stage_redact;

/* Whether no rule changes anything: the stage then observes. */
#define llm_stage_redact_observes(r)  ((r)->changes == 0)


#endif /* LLM_STAGE_REDACT_H */
