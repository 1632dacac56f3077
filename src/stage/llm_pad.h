/*
 * Padding against those who read the lengths of encrypted events: what was
 * written for the client is made longer event by event, after all rewriting.
 *
 * Where it goes: a comment line within the event's block for event streams;
 * spaces behind the JSON where there are no comments (NDJSON, a JSON array)
 * or libraries fail on them (llm_dialect_t.blank).  Both are legal by the
 * HTML standard, section 9.2.6, and RFC 8259, section 2.
 */

#ifndef LLM_PAD_H
#define LLM_PAD_H

#include "llm_dialect.h"


#define LLM_PAD_MAX  1024           /* bytes, of a bucket and at random */

typedef struct {
    unsigned          bucket;       /* an event's length becomes a multiple of
                                       it; 0: by random */
    unsigned          random;       /* 0 to so many bytes are added, all equally
                                       likely */
    unsigned          lost;         /* only once the upstream was seen to pad,
                                       where its padding is not passed on */

    /* n bytes that nobody can guess */
    void            (*bytes)(void *ctx, llm_u8 *p, size_t n);
    void             *ctx;
} llm_pad_conf_t;

typedef struct {
    const llm_pad_conf_t  *conf;    /* NULL: off */
    llm_framing_t          framing;
    unsigned               comments;
    llm_block_t            block;   /* what is written, until it is padded */
    llm_block_out_t        out;     /* write here; it fills the block */
} llm_pad_t;


/* framing: of the client's stream. */
void llm_pad_init(llm_pad_t *pad, const llm_pad_conf_t *conf,
    const llm_dialect_t *client, llm_framing_t framing);

/* Opens pad->out.  LLM_OK or LLM_NOMEM. */
llm_rc_t llm_pad_open(llm_pad_t *pad, const llm_alloc_t *a);

/* What was written, whole events, goes to out, padded.  LLM_OK or
 * LLM_NOMEM; pad->out is to be opened again. */
llm_rc_t llm_pad_close(llm_pad_t *pad, llm_out_t *out);


#endif /* LLM_PAD_H */
