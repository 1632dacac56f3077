/*
 * The tap: hands out what the model says in choice 0, text and refusals, as
 * UTF-8, and lets every event pass as it came.  The last of a chain sees what
 * the client is told.
 */

#ifndef LLM_STAGE_TAP_H
#define LLM_STAGE_TAP_H

#include "llm_stage.h"


typedef struct {
    /* The next n bytes, whole characters; p is NULL when there was no memory
     * for a piece, which is lost then.  An event never fails by it. */
    void  (*text)(void *ctx, const llm_u8 *p, size_t n);
    void   *ctx;
} llm_tap_conf_t;

extern const llm_stage_type_t  llm_stage_tap;


#endif /* LLM_STAGE_TAP_H */
