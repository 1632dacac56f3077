/*
 * What the files of the openai-responses dialect share.  Private to them.
 */

#ifndef LLM_RESPONSES_H
#define LLM_RESPONSES_H

#include "llm_dialect.h"
#include "llm_encode.h"
#include "llm_error.h"
#include "llm_json.h"
#include "llm_repeat_counts.h"


/* output items of a response that a decoder tells apart */
#define LLM_RESPONSES_ITEMS  1024


typedef enum {
    LLM_RESPONSES_OTHER = 0,        /* of the provider's own tools */
    LLM_RESPONSES_MESSAGE,
    LLM_RESPONSES_CALL,
    LLM_RESPONSES_REASONING
} llm_responses_kind_t;

typedef enum {
    LLM_RESPONSES_UNKNOWN = 0,
    LLM_RESPONSES_TEXT_DELTA,
    LLM_RESPONSES_TEXT_DONE,
    LLM_RESPONSES_REFUSAL_DELTA,
    LLM_RESPONSES_REFUSAL_DONE,
    LLM_RESPONSES_ARGS_DELTA,
    LLM_RESPONSES_ARGS_DONE,
    LLM_RESPONSES_SUMMARY_DELTA,
    LLM_RESPONSES_SUMMARY_DONE,
    LLM_RESPONSES_THOUGHT_DELTA,
    LLM_RESPONSES_THOUGHT_DONE,
    LLM_RESPONSES_ANNOTATION,
    LLM_RESPONSES_PART_DONE,
    LLM_RESPONSES_ITEM_ADDED,
    LLM_RESPONSES_ITEM_DONE,
    LLM_RESPONSES_LIFE,             /* created, in_progress, queued */
    LLM_RESPONSES_QUIET,            /* says nothing that others do not */
    LLM_RESPONSES_COMPLETED,
    LLM_RESPONSES_INCOMPLETE,
    LLM_RESPONSES_FAILED,
    LLM_RESPONSES_ERROR
} llm_responses_type_t;


/* What was said of one output item so far: the rest is taken from the events
 * that repeat it whole. */
typedef struct {
    int64_t               index;    /* output_index */
    llm_responses_kind_t  kind;
    unsigned              tool_index;
    uint32_t              texts;    /* a bit for each content_index */
    uint32_t              thoughts;
    uint32_t              summaries;
    unsigned              citations;
    unsigned              counted;  /* tool_index is set */
    unsigned              named;    /* a call's name and id were said */
    unsigned              args;     /* some of its arguments were */
    unsigned              logprobs;
    unsigned              sealed;   /* encrypted_content was */
    unsigned              closed;   /* an item of no kind of ours was */
} llm_responses_seen_t;

/*
 * A delta like the one before it but for its text, its number and its
 * padding, which come in any order: see llm_repeat.h for why.
 */

#define LLM_RESPONSES_HOLES  3

typedef enum {
    LLM_RESPONSES_HOLE_TEXT = 0,
    LLM_RESPONSES_HOLE_PADDING,     /* another string */
    LLM_RESPONSES_HOLE_NUMBER
} llm_responses_hole_t;

typedef struct {
    llm_event_type_t      type;
    llm_responses_kind_t  kind;
    size_t                at;       /* of the list of items */
    unsigned              holes;    /* 0: nothing learned */
    llm_responses_hole_t  hole[LLM_RESPONSES_HOLES];
    unsigned              cut[LLM_RESPONSES_HOLES + 1]; /* where they were in
                                       bytes, and the end */
    llm_u8                bytes[LLM_REPEAT_MAX];
} llm_responses_repeat_t;

typedef struct {
    llm_block_t     items;          /* llm_responses_seen_t, as they came */
    size_t          last;           /* the one that was looked for last */
    unsigned        calls;
    unsigned        ended;
    unsigned        failed;
    llm_responses_repeat_t  repeat;
} llm_responses_state_t;

/* A frame, or a response object, as slices. */
typedef struct {
    llm_decoder_t  *d;
    llm_frame_t    *frame;
    llm_slice_t     type;
    llm_slice_t     delta;
    llm_slice_t     text;           /* text, arguments or refusal, whole */
    llm_slice_t     logprobs;
    llm_slice_t     annotation;
    llm_slice_t     part;
    llm_slice_t     item;
    llm_slice_t     response;
    llm_slice_t     error;
    int64_t         output;         /* -1: not said */
    int64_t         content;        /* content_index or summary_index */
    llm_slice_t     number;         /* sequence_number */
    llm_slice_t     padding;        /* obfuscation */
    llm_rc_t        rc;             /* why llm_responses_seen() failed */
    llm_event_t     ev;
} llm_responses_frame_t;

typedef struct {
    llm_slice_t     id;
    llm_slice_t     model;
    llm_slice_t     status;
    llm_slice_t     reason;         /* of incomplete_details */
    llm_slice_t     output;
    llm_slice_t     usage;
    llm_slice_t     error;
    int64_t         created;
} llm_responses_object_t;


/* Reads a frame's data; 0 when it is not one JSON object. */
int llm_responses_scan(llm_responses_frame_t *f);

/* Reads a response object, likewise. */
int llm_responses_object(llm_responses_object_t *r, const llm_slice_t *raw,
    unsigned max_depth);

llm_responses_type_t llm_responses_type(const llm_slice_t *word);

/* Reads a usage object into *u; 0 when it says nothing. */
int llm_responses_usage(llm_usage_t *u, const llm_slice_t *raw);


/* Emits f->ev as `type`, after a START if there was none. */
llm_rc_t llm_responses_emit(llm_responses_frame_t *f, llm_event_type_t type);

/* TEXT, REFUSAL or REASONING; nothing for an empty or absent string. */
llm_rc_t llm_responses_say(llm_responses_frame_t *f, llm_event_type_t type,
    const llm_slice_t *text);

/* The entry of an output item, made when there is none; NULL: f->rc says no
 * memory, or more than LLM_RESPONSES_ITEMS. */
llm_responses_seen_t *llm_responses_seen(llm_responses_frame_t *f,
    int64_t index);

/* Emits of a function call what was not said before; NULL: nothing. */
llm_rc_t llm_responses_call(llm_responses_frame_t *f,
    llm_responses_seen_t *seen, const llm_slice_t *id,
    const llm_slice_t *name, const llm_slice_t *args);

llm_rc_t llm_responses_citation(llm_responses_frame_t *f,
    const llm_slice_t *raw);

/* Before the whole output is read: log probabilities of which some were said
 * are not read again, in whichever item they stand there. */
void llm_responses_settle_tokens(llm_responses_state_t *s);

/* An array of logprobs, if it holds any. */
llm_rc_t llm_responses_tokens(llm_responses_frame_t *f,
    llm_responses_seen_t *seen, const llm_slice_t *raw);

/* An output item that was added (done = 0) or is whole: emits what was not
 * said of it before. */
llm_rc_t llm_responses_item(llm_responses_frame_t *f, int64_t index,
    const llm_slice_t *raw, unsigned done);

/* A content part or a summary part that is whole. */
llm_rc_t llm_responses_part(llm_responses_frame_t *f,
    llm_responses_seen_t *seen, int64_t index, const llm_slice_t *raw);

/* The output items of a response object that is whole. */
llm_rc_t llm_responses_output(llm_responses_frame_t *f,
    const llm_slice_t *raw);

/* Remembers a delta that said nothing but its text. */
void llm_responses_learn(llm_responses_frame_t *f,
    llm_responses_type_t type);

/* 1: the frame is like it; *text is its text, the inside of a JSON string. */
int llm_responses_match(llm_responses_state_t *s, const llm_slice_t *data,
    llm_slice_t *text);

/* The bit of a part. */
static inline uint32_t
llm_responses_bit(int64_t index)
{
    return (uint32_t) 1 << (index < 0 ? 0 : index > 31 ? 31 : index);
}


/* The client half: see llm_responses_stream.c, llm_responses_object.c. */

/* The output item that is being written, other than a call. */
typedef struct {
    llm_event_type_t  type;         /* TEXT: a message, REASONING, or START:
                                       there is none */
    unsigned          index;        /* its output_index */
    size_t            from;         /* its first one of the answer's items */
    llm_event_type_t  part;         /* TEXT, REFUSAL, REASONING: the part that
                                       is open, or START */
    unsigned          parts;        /* of it so far */
    unsigned          citations;    /* of the part */
    size_t            part_from;
} llm_responses_open_t;

/* A call that was begun. */
typedef struct {
    size_t            item;         /* of the answer's items */
    unsigned          tool_index;
    unsigned          index;        /* output_index */
    unsigned          closed;
} llm_responses_opened_t;

typedef struct {
    llm_answer_t          answer;
    llm_block_t           calls;    /* llm_responses_opened_t */
    llm_responses_open_t  open;
    llm_block_t           head;     /* what the events about its open part
                                       have in common */
    size_t                logprobs; /* bytes of them that parts have said */
    unsigned              items;    /* output items so far */
    unsigned              begun;    /* response.created was written */
    unsigned              over;
    int64_t               sequence;
} llm_responses_stream_t;

/* What a response is at its end, or at its beginning. */
typedef struct {
    const char           *status;
    const char           *reason;       /* of incomplete_details, or NULL */
    const llm_error_t    *error;        /* or NULL */
    unsigned              whole;        /* with output and usage */
    unsigned              incomplete;   /* output_index of the item that was
                                           cut, or UINT32_MAX */
} llm_responses_end_t;

/*
 * The events of a stream, see llm_responses_event.c.  An event is begun, its
 * members follow with a comma in front of each, then it is ended.  Those about
 * a part have its members written by llm_responses_part_head(), which sets
 * e->rc when it cannot.
 */
void llm_responses_event(llm_encoder_t *e, llm_responses_stream_t *s,
    const char *type);
void llm_responses_event_end(llm_encoder_t *e);
void llm_responses_item_event(llm_encoder_t *e, llm_responses_stream_t *s,
    const char *type, const char *prefix, unsigned index);
void llm_responses_part_event(llm_encoder_t *e, llm_responses_stream_t *s,
    const char *type);
void llm_responses_part_head(llm_encoder_t *e, llm_responses_stream_t *s);
void llm_responses_life_event(llm_encoder_t *e, llm_responses_stream_t *s,
    const char *type, const llm_responses_end_t *end);

/* An item that begins; one that is whole, those of the answer's in [i, end);
 * a part that is whole. */
void llm_responses_added(llm_encoder_t *e, llm_responses_stream_t *s,
    llm_event_type_t type, size_t item, unsigned index);
void llm_responses_item_done(llm_encoder_t *e, llm_responses_stream_t *s,
    size_t i, size_t end, unsigned index, const char *status);
void llm_responses_text_done(llm_encoder_t *e, llm_responses_stream_t *s,
    const llm_choice_t *c, size_t end);
void llm_responses_summary_done(llm_encoder_t *e, llm_responses_stream_t *s,
    const llm_choice_t *c, size_t end);

void llm_responses_write_said(llm_encoder_t *e, llm_responses_stream_t *s,
    const llm_event_t *ev);
void llm_responses_args_delta(llm_encoder_t *e, llm_responses_stream_t *s,
    unsigned index, const llm_slice_t *text, unsigned linesep);

/* An error, and the response that failed. */
void llm_responses_stream_error(llm_encoder_t *e, llm_responses_stream_t *s,
    const llm_error_t *err);

void llm_responses_encode(llm_encoder_t *e, void *state,
    const llm_event_t *ev);
void llm_responses_stream_drop(llm_encoder_t *e, void *state);
void llm_responses_write_answer(llm_encoder_t *e, const llm_answer_t *a);

/*
 * The items of a choice fall into output items: a message of texts, refusals
 * and citations that follow each other, a reasoning item, a call.  The end of
 * the one that begins with item i; and the end of the part of a message.
 */
size_t llm_responses_item_end(const llm_choice_t *c, size_t i);
size_t llm_responses_part_end(const llm_choice_t *c, size_t i, size_t end);

/* Writes an id with its quotes: index is the output_index. */
void llm_responses_write_id(llm_out_t *out, const llm_answer_t *a,
    int64_t unique, const char *prefix, unsigned index);

/* Writes an output item whole, or as it is when nothing is in it yet. */
void llm_responses_write_item(llm_encoder_t *e, const llm_answer_t *a,
    size_t i, size_t end, unsigned index, const char *status);
void llm_responses_write_empty(llm_encoder_t *e, const llm_answer_t *a,
    size_t i, llm_event_type_t type, unsigned index);

/* Writes one part of a message whole. */
void llm_responses_write_part(llm_out_t *out, const llm_choice_t *c,
    size_t i, size_t end, const llm_slice_t *logprobs);

/* Writes the texts of a type among items [i, end) as one string. */
void llm_responses_write_text(llm_out_t *out, const llm_choice_t *c,
    size_t i, size_t end, llm_event_type_t type);

/* Writes an annotation; raw is taken over where it is one of ours that has
 * no link. */
void llm_responses_write_citation(llm_out_t *out, const llm_event_t *ev);

void llm_responses_write_object(llm_encoder_t *e, const llm_answer_t *a,
    const llm_responses_end_t *end);

/* What a finish reason makes of a response of so many output items. */
void llm_responses_end(llm_responses_end_t *end, const llm_choice_t *c,
    unsigned items);

/* Requests: see llm_responses_read.c, llm_responses_write.c. */

llm_rc_t llm_responses_read_chat(llm_chat_t *c, const llm_u8 *body,
    size_t n);

/* "input", the value that comes next: replaces the parts that are there. */
llm_rc_t llm_responses_read_input(llm_chat_t *c, llm_json_t *j);

void llm_responses_write_chat(llm_chat_writer_t *w, const llm_chat_t *c);

/* Writes the parts from i on as the value of "input". */
void llm_responses_write_input(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i);


#endif /* LLM_RESPONSES_H */
