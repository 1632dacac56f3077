/*
 * NDJSON framing: LF is the only separator, lines of white space are
 * skipped, one leading BOM is dropped, surrounding space, TAB and CR are not
 * part of a record.  Source: the ndjson specification and Ollama's server.
 */

#ifndef LLM_NDJSON_H
#define LLM_NDJSON_H

#include "llm_wire.h"


typedef struct {
    llm_alloc_t     alloc;
    size_t          max;
    llm_block_t     carry;
    /* private */
    const llm_u8   *p;
    const llm_u8   *end;
    llm_rc_t        failed;
    unsigned        bom;        /* its bytes seen so far, then "past it" */
    unsigned        handed;     /* the carried record was handed out */
} llm_ndjson_t;

/* max: bytes of one line from its first character on, without its LF. */
void llm_ndjson_init(llm_ndjson_t *s, const llm_alloc_t *a, size_t max);
void llm_ndjson_free(llm_ndjson_t *s);
void llm_ndjson_feed(llm_ndjson_t *s, const llm_u8 *p, size_t n);

/* LLM_OK: *record is the next line, not yet checked; lives until the next
 * call.  LLM_AGAIN, LLM_TOO_BIG, LLM_NOMEM as llm_sse_next(). */
llm_rc_t llm_ndjson_next(llm_ndjson_t *s, llm_slice_t *record);

/* At the end: LLM_OK and the line that had no LF, or LLM_DONE. */
llm_rc_t llm_ndjson_finish(llm_ndjson_t *s, llm_slice_t *record);


#endif /* LLM_NDJSON_H */
