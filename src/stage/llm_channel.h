/*
 * The texts of an answer, each by itself: what choice 0 says, what it thinks,
 * the arguments of its second tool call.  A stage keeps a state for each, and
 * reads it as plain UTF-8 whatever way the upstream wrote it.
 */

#ifndef LLM_CHANNEL_H
#define LLM_CHANNEL_H

#include "llm_event.h"


#define LLM_CHANNELS_MAX  1024

/* Begins the state that a stage has of one text. */
typedef struct {
    llm_event_type_t  type;         /* TEXT, REASONING, REFUSAL, TOOL_CALL */
    unsigned          choice;
    unsigned          tool_index;   /* of a TOOL_CALL, else 0 */
    llm_u8            half[6];      /* \uD83D that waits for its other half */
    unsigned          nhalf;
} llm_channel_t;

typedef struct {
    llm_block_t       list;         /* of llm_channel_t *, in the order in
                                       which they began */
    size_t            size;         /* of one state */
} llm_channels_t;

/* Zeroed states of `size` bytes, each beginning with an llm_channel_t. */
void llm_channels_init(llm_channels_t *cs, size_t size);

/* Number i, or NULL past the last. */
llm_channel_t *llm_channel_at(const llm_channels_t *cs, size_t i);

/* The text that ev, one of the four types, is a piece of; made when it is
 * new.  LLM_OK, LLM_NOMEM, LLM_TOO_BIG. */
llm_rc_t llm_channel_find(llm_channels_t *cs, const llm_alloc_t *a,
    const llm_event_t *ev, llm_channel_t **c);

/* The states themselves must hold nothing any more. */
void llm_channels_free(llm_channels_t *cs, const llm_alloc_t *a);

/*
 * Appends the next piece of the text to b, decoded.  A high surrogate at its
 * end waits for the next piece; one that gets no partner becomes U+FFFD, as
 * does a low one by itself.
 */
llm_rc_t llm_channel_decode(llm_channel_t *c, llm_block_t *b,
    const llm_alloc_t *a, const llm_slice_t *s);

/* Bytes of a low surrogate at the beginning of a piece: 6, or 0.  It belongs
 * to what came before. */
size_t llm_channel_low(const llm_slice_t *s);

/* The text ended: a half that still waits becomes U+FFFD. */
llm_rc_t llm_channel_end(llm_channel_t *c, llm_block_t *b,
    const llm_alloc_t *a);

/* An event like the channel's, with the bytes as its text, plain. */
llm_event_t llm_channel_event(const llm_channel_t *c, const llm_u8 *p,
    size_t n);


#endif /* LLM_CHANNEL_H */
