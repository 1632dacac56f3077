/*
 * What the encoders of the client dialects share: gathering within bounds,
 * the canonical words of finish reasons, OpenAI's usage object, and the
 * beginning of a slice.
 */

#ifndef LLM_ENCODE_H
#define LLM_ENCODE_H

#include "llm_dialect.h"
#include "llm_write.h"


/*
 * Appends a slice to b as the inside of a JSON string.  *total, the bytes
 * gathered so far in all, is raised and never passes e->max_response.
 * LLM_OK, LLM_TOO_BIG (b is as before), LLM_NOMEM.
 */
llm_rc_t llm_gather(llm_encoder_t *e, llm_block_t *b, size_t *total,
    const llm_slice_t *s, unsigned linesep);

/* A block filled by llm_gather() as a slice; never absent. */
llm_slice_t llm_gathered(const llm_block_t *b);

/* Writes the bytes of such a block, without quotes. */
void llm_write_gathered(llm_out_t *out, const llm_block_t *b);

/* The same with quotes. */
void llm_write_block(llm_out_t *out, const llm_block_t *b);

/* Before element n of a list that is left out when it is empty: `opening`
 * for the first, a comma for the others. */
void llm_write_opening(llm_out_t *out, unsigned n, const char *opening);

/* The word of a FINISH event: OpenAI's for the canonical reasons, else the
 * upstream's own. */
llm_slice_t llm_finish_word(const llm_event_t *ev);

/* Takes what ev->usage says over into *u, which starts as llm_usage_none. */
void llm_usage_merge(llm_usage_t *u, const llm_usage_t *said);

/* Gathers one event; e->rc is set when it cannot.  END, ERROR, PING and META
 * are not kept.  *a is by llm_answer_init(). */
void llm_answer_init(llm_answer_t *a);
void llm_answer_event(llm_encoder_t *e, llm_answer_t *a,
    const llm_event_t *ev);
void llm_answer_free(llm_encoder_t *e, llm_answer_t *a);

/* The choice of that index, or NULL. */
const llm_choice_t *llm_answer_choice(const llm_answer_t *a, unsigned index);

/* Writes what the model says in choice 0, text and refusal, as the inside of
 * a JSON string. */
void llm_answer_write_said(llm_out_t *out, const llm_answer_t *a);

/* Bytes of, and the insides of, all items of a type in order: "" for none. */
size_t llm_choice_length(const llm_choice_t *c, llm_event_type_t type);
void llm_choice_write(llm_out_t *out, const llm_choice_t *c,
    llm_event_type_t type);

/* The word of its finish reason, as llm_finish_word(). */
llm_slice_t llm_choice_finish(const llm_choice_t *c);

/* Writes JSON of the upstream's that may have line ends between its tokens,
 * without these. */
void llm_write_json(llm_out_t *out, const llm_slice_t *raw,
    unsigned linesep);

/*
 * Writes tool arguments that were gathered (the inside of a string) as a JSON
 * object, {} for none.  0: they are no JSON object, nothing was written; e->rc
 * may be LLM_NOMEM.  For dialects that have no fragments.
 */
int llm_write_arguments(llm_encoder_t *e, const llm_block_t *arguments);

/* The first half of it, for those who must know before they begin a frame:
 * the object's bytes in *text, which the caller frees in every case. */
int llm_read_arguments(llm_encoder_t *e, const llm_block_t *arguments,
    llm_block_t *text);

/*
 * Puts a frame around what is written between the two: "data: " and a blank
 * line for SSE (with an event: line when `type` is not NULL), a line of
 * NDJSON, an element of an array with its comma.  `framing` is the
 * dialect's; e->array wins.
 */
void llm_frame_open(llm_encoder_t *e, llm_framing_t framing,
    const char *type);
void llm_frame_close(llm_encoder_t *e, llm_framing_t framing);

/* Closes the array of an ARRAY stream; nothing for the others. */
void llm_frame_end(llm_encoder_t *e);

/* Writes prefix and sixteen hexadecimal digits that are the same for the same
 * seed and numbers: an id for an answer, a call, an item that came without. */
void llm_write_id(llm_out_t *out, const char *prefix,
    const llm_slice_t *seed, int64_t unique, unsigned n);

/* Seconds since 1970 as "2024-01-02T03:04:05Z". */
void llm_write_time(llm_out_t *out, int64_t seconds);

/*
 * Writes {"prompt_tokens":…,"completion_tokens":…,"total_tokens":…}, with
 * the details of both when they were said and `details` is set.  NULL writes
 * null.  A total that was not said is the sum; another count is 0 with
 * details, else null.
 */
void llm_write_usage(llm_out_t *out, const llm_usage_t *u, unsigned details);

/* The first `chars` characters of a slice, escapes and surrogate pairs kept
 * whole. */
llm_slice_t llm_slice_first(const llm_slice_t *s, size_t chars);


#endif /* LLM_ENCODE_H */
