/*
 * What the files of OpenAI's legacy completions share.  Private to them.
 */

#ifndef LLM_COMPLETIONS_H
#define LLM_COMPLETIONS_H

#include "llm_openai.h"


typedef struct {
    llm_openai_stream_t  stream;
    uint32_t             offsets[LLM_OPENAI_TABLE]; /* text_offset of the next
                                                       token, by choice */
} llm_completions_stream_t;


/*
 * Writes OpenAI's items, elements of an array with or without its brackets,
 * as completions have them: {"tokens":[…],"token_logprobs":[…],
 * "top_logprobs":[…],"text_offset":[…]}.  *offset is that of the first token
 * and is moved on.
 */
void llm_completions_write_items(llm_out_t *out, const llm_slice_t *items,
    unsigned linesep, uint32_t *offset);

void llm_completions_encode(llm_encoder_t *e, void *state,
    const llm_event_t *ev);
void llm_completions_stream_drop(llm_encoder_t *e, void *state);
void llm_completions_write_answer(llm_encoder_t *e, const llm_answer_t *a);

llm_rc_t llm_completions_read_chat(llm_chat_t *c, const llm_u8 *body,
    size_t n);
void llm_completions_write_chat(llm_chat_writer_t *w, const llm_chat_t *c);


#endif /* LLM_COMPLETIONS_H */
