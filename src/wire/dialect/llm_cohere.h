/*
 * What the files of the cohere dialect share.  Private to them.
 */

#ifndef LLM_COHERE_H
#define LLM_COHERE_H

#include "llm_dialect.h"
#include "llm_encode.h"
#include "llm_error.h"
#include "llm_json.h"


/* What a decoder remembers between frames. */
typedef struct {
    unsigned         calls;         /* tool calls so far */
    unsigned         said;          /* the last has arguments */
    int64_t          base;          /* "index" of the first of them */
} llm_cohere_state_t;

/* A value and its type; LLM_JSON_END: absent. */
typedef struct {
    llm_slice_t      v;
    llm_json_type_t  type;
} llm_cohere_value_t;

/* A message, or what a delta adds to one. */
typedef struct {
    llm_cohere_value_t  content;
    llm_cohere_value_t  plan;
    llm_cohere_value_t  calls;
    llm_cohere_value_t  citations;
} llm_cohere_message_t;

typedef struct {
    llm_decoder_t   *d;
    llm_frame_t     *frame;
    llm_slice_t      type;
    llm_slice_t      id;
    llm_slice_t      delta;         /* or, in an answer, absent */
    llm_slice_t      message;
    llm_slice_t      finish;
    llm_slice_t      usage;
    llm_slice_t      error;
    llm_slice_t      logprobs;
    int64_t          index;
    unsigned         answer;        /* one JSON answer */
    unsigned         emitted;
    llm_event_t      ev;
    llm_event_t      said;          /* the last piece of text */
} llm_cohere_frame_t;

/* A block of content, or a call, that was opened. */
typedef enum {
    LLM_COHERE_NONE = 0,
    LLM_COHERE_TEXT,
    LLM_COHERE_THINKING,
    LLM_COHERE_CALL
} llm_cohere_open_t;

typedef struct {
    llm_cohere_open_t  open;
    unsigned           begun;       /* message-start was written */
    unsigned           index;       /* of the next block of content */
    unsigned           call;        /* index of the call that is open */
    unsigned           calls;       /* begun so far */
    unsigned           citations;
    unsigned           finished;
    llm_finish_t       finish;
    llm_usage_t        usage;
} llm_cohere_stream_t;


/* The events of a message, in the order that an answer would have them. */
llm_rc_t llm_cohere_message(llm_cohere_frame_t *f, const llm_slice_t *raw);

/* A call without arguments has no delta: it is said to have none, {}. */
llm_rc_t llm_cohere_call_end(llm_cohere_frame_t *f);

llm_rc_t llm_cohere_emit(llm_cohere_frame_t *f, llm_event_type_t type);

void llm_cohere_encode(llm_encoder_t *e, void *state, const llm_event_t *ev);
void llm_cohere_write_answer(llm_encoder_t *e, const llm_answer_t *a);
void llm_cohere_error_body(llm_out_t *out, const llm_error_t *err);

void llm_cohere_write_chat(llm_chat_writer_t *w, const llm_chat_t *c);


#endif /* LLM_COHERE_H */
