/*
 * What the files of the flowise dialect share.  Private to them.
 */

#ifndef LLM_FLOWISE_H
#define LLM_FLOWISE_H

#include "llm_dialect.h"
#include "llm_encode.h"
#include "llm_error.h"
#include "llm_json.h"


#define llm_flowise_count(table)  (sizeof(table) / sizeof(table[0]))


typedef struct {
    unsigned         calls;         /* tool calls so far */
} llm_flowise_state_t;

typedef struct {
    llm_decoder_t   *d;
    llm_frame_t     *frame;
    llm_slice_t      event;
    llm_slice_t      data;
    llm_json_type_t  type;          /* of data; LLM_JSON_END: absent */
    llm_event_t      ev;
} llm_flowise_frame_t;

/* A sampling parameter and its name in overrideConfig. */
typedef struct {
    const char       *name;
    size_t            at;           /* llm_slice_t in llm_chat_t */
} llm_flowise_number_t;

#define LLM_FLOWISE_NUMBERS  6

extern const llm_flowise_number_t  llm_flowise_numbers[LLM_FLOWISE_NUMBERS];

/* What a stream of events to a client remembers. */
typedef struct {
    llm_answer_t    answer;     /* calls and citations, id, usage */
    unsigned        ready;      /* answer is set up */
    unsigned        begun;      /* start was written */
    unsigned        called;     /* calledTools was written */
    unsigned        cited;      /* sourceDocuments was written */
    unsigned        metadata;   /* metadata was written */
} llm_flowise_stream_t;


/* Starts to read a frame or an answer. */
void llm_flowise_open(llm_flowise_frame_t *f, llm_decoder_t *d,
    llm_frame_t *frame);

llm_rc_t llm_flowise_emit(llm_flowise_frame_t *f, llm_event_type_t type);

/* START, once; id may be NULL. */
llm_rc_t llm_flowise_start(llm_flowise_frame_t *f, const llm_slice_t *id);

/* TEXT or REASONING; an empty text says that the choice is there. */
llm_rc_t llm_flowise_text(llm_flowise_frame_t *f, llm_event_type_t type,
    const llm_slice_t *text);

llm_rc_t llm_flowise_meta(llm_flowise_frame_t *f, const llm_slice_t *name,
    const llm_slice_t *raw);

/* calledTools, sourceDocuments: arrays; usageMetadata: an object. */
llm_rc_t llm_flowise_calls(llm_flowise_frame_t *f, const llm_slice_t *list);
llm_rc_t llm_flowise_documents(llm_flowise_frame_t *f,
    const llm_slice_t *list);
llm_rc_t llm_flowise_usage(llm_flowise_frame_t *f, const llm_slice_t *raw);

/* FINISH and END: the end of an answer is one of calls when there are any.
 * LLM_DONE, or what emit() returned. */
llm_rc_t llm_flowise_end(llm_flowise_frame_t *f);

/* The JSON of a value as it stands in the frame. */
llm_slice_t llm_flowise_raw(const llm_slice_t *v, llm_json_type_t type);

llm_rc_t llm_flowise_decode_answer(llm_decoder_t *d, llm_frame_t *answer);

void llm_flowise_encode(llm_encoder_t *e, void *state, const llm_event_t *ev);
void llm_flowise_stream_drop(llm_encoder_t *e, void *state);
void llm_flowise_write_answer(llm_encoder_t *e, const llm_answer_t *a);
void llm_flowise_error_body(llm_out_t *out, const llm_error_t *err);

llm_rc_t llm_flowise_read_chat(llm_chat_t *c, const llm_u8 *body, size_t n);
void llm_flowise_write_chat(llm_chat_writer_t *w, const llm_chat_t *c);

/* Whether a name is that of an event, or of a member of an answer, that says
 * what only Flowise says: it is carried as META and written again. */
int llm_flowise_is_extra(const llm_slice_t *name);


#endif /* LLM_FLOWISE_H */
