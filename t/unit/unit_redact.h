/*
 * Rules of redaction in a test, and the stage that goes by them.
 */

#ifndef UNIT_REDACT_H
#define UNIT_REDACT_H

#include "unit_support.h"
#include "llm_stage_redact.h"


#define UNIT_REDACT_RULES  4
#define UNIT_REDACT_ALL                                                     \
    (LLM_REDACT_CONTENT|LLM_REDACT_REASONING|LLM_REDACT_TOOL_ARGS)

typedef struct {
    unit_alloc_t             unit;
    llm_alloc_t              alloc;
    llm_redact_t             redact;
    uint64_t                 counts[UNIT_REDACT_RULES];
    unsigned                 gave_up;
    llm_stage_redact_conf_t  conf;
} unit_redact_t;


void unit_redact_begin(unit_redact_t *u);

/* with: the mask, or the refusal. */
void unit_redact_rule(unit_redact_t *u, const char *regex, unsigned in,
    llm_redact_action_t action, const char *with);

/* The stage of these rules, for a chain. */
llm_stage_conf_t unit_redact_stage(const unit_redact_t *u);

/* Nothing may be left behind. */
void unit_redact_end(unit_redact_t *u);


#endif /* UNIT_REDACT_H */
