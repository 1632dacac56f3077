/*
 * The measuring stage: counts what passes, changes nothing.
 */

#ifndef LLM_STAGE_MEASURE_H
#define LLM_STAGE_MEASURE_H

#include "llm_counts.h"
#include "llm_event.h"


#define LLM_MEASURE_WORD   32
#define LLM_MEASURE_MODEL  128

typedef struct {
    uint64_t        chunks;         /* events with non-empty content: TEXT,
                                       REASONING, REFUSAL, TOOL_CALL */
    uint64_t        chars;          /* characters of TEXT, REASONING and
                                       REFUSAL */
    int64_t         first;          /* time of the first chunk, caller's ms */
    int64_t         last;           /* time of the last chunk */
    llm_usage_t     usage;          /* last said; all -1 when never */
    unsigned        has_usage;
    unsigned        estimated;      /* usage is not the upstream's word */
    unsigned        input_said;     /* ... but that of the input is, */
    unsigned        output_said;    /* and that of the output so far */
    unsigned        nfinish;        /* bytes of finish, the upstream's word */
    unsigned        nmodel;
    llm_u8          finish[LLM_MEASURE_WORD];
    llm_u8          model[LLM_MEASURE_MODEL];   /* as the upstream said,
                                       unescaped, control bytes left out */
    llm_counts_t   *live;           /* chunks count here as they pass; or
                                       NULL */
} llm_measure_t;

void llm_measure_init(llm_measure_t *m);
void llm_measure(llm_measure_t *m, const llm_event_t *ev, int64_t now);


#endif /* LLM_STAGE_MEASURE_H */
