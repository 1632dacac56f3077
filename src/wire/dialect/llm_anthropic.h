/*
 * What the files of the anthropic dialect share.  Private to them.
 */

#ifndef LLM_ANTHROPIC_H
#define LLM_ANTHROPIC_H

#include "llm_dialect.h"
#include "llm_encode.h"
#include "llm_error.h"
#include "llm_json.h"


/* names of META events that hold pieces of a message as they came */
/* the least that can be thought, tokens */
#define LLM_ANTHROPIC_MIN_BUDGET  1024

#define LLM_ANTHROPIC_BLOCK  "content_block"
#define LLM_ANTHROPIC_DELTA  "content_block_delta"
#define LLM_ANTHROPIC_STOP   "stop_details"


/* A block of the stream that input_json_delta belongs to. */
typedef struct {
    int64_t                  index;     /* as said, -1: not said */
    unsigned                 tool_index;
    unsigned                 tool;      /* else one that the provider runs */
    unsigned                 said;      /* arguments were said */
    unsigned                 whole;     /* all of them, with the block */
} llm_anthropic_open_t;

/* Blocks follow each other; more than one open at a time is a fault of a
 * gateway, so the oldest gives way. */
#define LLM_ANTHROPIC_OPEN   8

typedef struct {
    unsigned                 calls;     /* tool_use blocks so far */
    unsigned                 nopen;
    llm_anthropic_open_t     open[LLM_ANTHROPIC_OPEN];
    llm_usage_t              usage;     /* counts of the input as last said:
                                           input without both caches */
    unsigned                 has_usage;
} llm_anthropic_decoder_t;

/* One frame, or one answer: where things lie in it. */
typedef struct {
    llm_decoder_t           *d;
    llm_anthropic_decoder_t *s;
    llm_frame_t             *frame;
    llm_slice_t              type;
    llm_slice_t              delta;     /* objects */
    llm_slice_t              block;
    llm_slice_t              message;
    llm_slice_t              usage;
    llm_slice_t              error;     /* or a string */
    llm_slice_t              id;        /* of a message */
    llm_slice_t              model;
    llm_slice_t              content;
    llm_slice_t              reason;    /* stop_reason, stop_sequence, */
    llm_slice_t              sequence;
    llm_slice_t              details;   /* stop_details */
    int64_t                  index;
    unsigned                 whole;     /* blocks are whole */
    llm_event_t              ev;
} llm_anthropic_frame_t;

/* A content block, of a stream or of an answer. */
typedef struct {
    llm_slice_t              type;
    llm_slice_t              text;
    llm_slice_t              thinking;
    llm_slice_t              signature;
    llm_slice_t              data;
    llm_slice_t              id;
    llm_slice_t              name;
    llm_slice_t              input;     /* arguments, when they say any */
    llm_slice_t              citations;
} llm_anthropic_block_t;


void llm_anthropic_open(llm_anthropic_frame_t *f, llm_decoder_t *d,
    llm_frame_t *frame);

/* Reads the members of the frame; 0 when it is not one JSON object. */
int llm_anthropic_scan(llm_anthropic_frame_t *f);

/* Reads the members of a message. */
void llm_anthropic_message(llm_anthropic_frame_t *f, const llm_slice_t *raw);

/* Reads the members of a message that f->reason and the two behind it are
 * found in. */
void llm_anthropic_stopped(llm_anthropic_frame_t *f, const llm_slice_t *raw);

void llm_anthropic_block(llm_anthropic_block_t *b, const llm_slice_t *raw);


llm_rc_t llm_anthropic_emit(llm_anthropic_frame_t *f, llm_event_type_t type);

/* START, unless there was one. */
llm_rc_t llm_anthropic_begin(llm_anthropic_frame_t *f);

/* What is said with the beginning of a block, or by a whole one (f->whole);
 * raw is the object that b was read from. */
llm_rc_t llm_anthropic_emit_block(llm_anthropic_frame_t *f,
    const llm_anthropic_block_t *b, const llm_slice_t *raw);

/* The blocks of f->content. */
llm_rc_t llm_anthropic_emit_content(llm_anthropic_frame_t *f);

llm_rc_t llm_anthropic_emit_citation(llm_anthropic_frame_t *f,
    const llm_slice_t *raw);
llm_rc_t llm_anthropic_emit_usage(llm_anthropic_frame_t *f);
llm_rc_t llm_anthropic_emit_finish(llm_anthropic_frame_t *f);
llm_rc_t llm_anthropic_emit_error(llm_anthropic_frame_t *f);

llm_rc_t llm_anthropic_decode(llm_decoder_t *d, llm_frame_t *frame);
llm_rc_t llm_anthropic_decode_answer(llm_decoder_t *d, llm_frame_t *answer);

llm_finish_t llm_anthropic_reason(const llm_slice_t *word);


/* The block that a stream is writing. */
typedef enum {
    LLM_ANTHROPIC_NONE = 0,
    LLM_ANTHROPIC_TEXT,
    LLM_ANTHROPIC_THINKING,
    LLM_ANTHROPIC_TOOL,
    LLM_ANTHROPIC_OTHER         /* a provider's own, as it came */
} llm_anthropic_kind_t;

/* Whether what was said of a call's arguments is a whole JSON value. */
typedef struct {
    unsigned                 depth;
    unsigned                 begun;
    unsigned                 string;
    unsigned                 escape;
} llm_anthropic_args_t;

/* tool_use blocks of a stream */
#define LLM_ANTHROPIC_CALLS  LLM_ANSWER_ITEMS

typedef struct {
    unsigned                 started;
    llm_anthropic_kind_t     kind;
    unsigned                 blocks;        /* begun so far */
    unsigned                 sealed;       /* THINKING: has its signature */
    unsigned                 tool_index;    /* TOOL */
    llm_anthropic_args_t     args;
    unsigned                 calls;         /* tool_use blocks so far */
    uint32_t                 begun[LLM_ANTHROPIC_CALLS / 32];
    llm_answer_t             waiting;       /* what came while the open call
                                               was not whole */
    size_t                   written;       /* items of it */
    llm_usage_t              usage;
    unsigned                 refused;
    llm_finish_t             finish;
    size_t                   total;         /* bytes of the three below */
    llm_block_t              word;          /* the upstream's own reason */
    llm_block_t              stop;          /* the stop string */
    llm_block_t              details;       /* stop_details, JSON */
} llm_anthropic_stream_t;

void llm_anthropic_encode(llm_encoder_t *e, void *state,
    const llm_event_t *ev);
void llm_anthropic_stream_drop(llm_encoder_t *e, void *state);

void llm_anthropic_write_answer(llm_encoder_t *e, const llm_answer_t *a);
void llm_anthropic_error_body(llm_out_t *out, const llm_error_t *err);

/* Writes {"type":…,"id":…, … "content":[ of a message. */
void llm_anthropic_write_head(llm_encoder_t *e, const llm_slice_t *id,
    const llm_slice_t *model, unsigned linesep);

/* Writes a usage object; always: write input_tokens even when not known. */
void llm_anthropic_write_usage(llm_out_t *out, const llm_usage_t *u,
    unsigned always);

/* Writes "stop_reason":…,"stop_sequence":… for a finish reason. */
void llm_anthropic_write_reason(llm_out_t *out, llm_finish_t finish,
    const llm_block_t *word, const llm_block_t *stop, unsigned refused,
    unsigned calls);

void llm_anthropic_write_citation(llm_out_t *out, const llm_event_t *ev);

/* The event that would say what an item says. */
void llm_anthropic_item_event(llm_event_t *ev, const llm_item_t *item);

/* Whether a string is nothing but white space. */
int llm_anthropic_blank(const llm_slice_t *s);

/* Writes the id of a call as a string; one that came without gets one. */
void llm_anthropic_write_call_id(llm_encoder_t *e, const llm_slice_t *id,
    const llm_slice_t *name, unsigned n, unsigned linesep);


llm_rc_t llm_anthropic_read_chat(llm_chat_t *c, const llm_u8 *body,
    size_t n);

/* The value of messages, which comes next in j.  LLM_OK when j has failed,
 * too. */
llm_rc_t llm_anthropic_read_messages(llm_chat_t *c, llm_json_t *j);

/* The value of system, JSON; to be called after the messages were read. */
llm_rc_t llm_anthropic_read_system(llm_chat_t *c, const llm_slice_t *raw);

void llm_anthropic_write_chat(llm_chat_writer_t *w, const llm_chat_t *c);

/* Writes "system" and "messages". */
void llm_anthropic_write_messages(llm_chat_writer_t *w,
    const llm_chat_t *c);


#endif /* LLM_ANTHROPIC_H */
