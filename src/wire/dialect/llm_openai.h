/*
 * What the files of the openai dialect share.  Private to them.
 */

#ifndef LLM_OPENAI_H
#define LLM_OPENAI_H

#include "llm_dialect.h"
#include "llm_encode.h"
#include "llm_json.h"


/* a static slice */
#define llm_openai_str(lit)                                                 \
    { (const llm_u8 *) (lit), sizeof(lit) - 1, 0 }


/* bytes of a name that is unescaped to be looked at; longer ones are none
 * of ours */
#define LLM_OPENAI_NAME    32

/* choices, and tool calls of a choice, that one answer is gathered of */
#define LLM_OPENAI_TABLE   128

/* characters of an id or a model's name that are repeated in each chunk */
#define LLM_OPENAI_LABEL   256


typedef struct {
    llm_slice_t     content;
    llm_slice_t     parts;          /* content, when it is an array */
    llm_slice_t     reasoning;
    llm_slice_t     details;        /* reasoning_details */
    llm_slice_t     refusal;
    llm_slice_t     tools;          /* tool_calls */
    llm_slice_t     call;           /* function_call */
    llm_slice_t     logprobs;
    llm_slice_t     finish;
    llm_slice_t     other;          /* message where delta is expected, or
                                       the other way round */
    unsigned        index;
    unsigned        has_index;
    unsigned        delta;          /* the expected one was there */
} llm_openai_choice_t;

typedef struct {
    llm_decoder_t        *d;
    llm_frame_t          *frame;
    unsigned              answer;   /* one JSON answer, not a chunk */
    unsigned              flat;     /* "object": "error" */
    unsigned              emitted;  /* events of the current choice */
    llm_json_t            json;
    llm_slice_t           id;
    llm_slice_t           model;
    llm_slice_t           choices;
    llm_slice_t           usage;
    llm_slice_t           groq;     /* x_groq, which may hold the usage */
    llm_slice_t           error;
    int64_t               created;
    llm_openai_choice_t   first;
    llm_event_t           ev;
} llm_openai_chunk_t;

typedef struct {
    llm_block_t     head;       /* a chunk up to its choices; empty: START
                                   was not seen */
    llm_usage_t     usage;
    unsigned        has_usage;
    uint32_t        roles[LLM_OPENAI_TABLE / 32];
} llm_openai_stream_t;

typedef struct {
    size_t          total;      /* bytes gathered */
    llm_block_t     id;
    llm_block_t     model;
    llm_block_t     choices;    /* llm_openai_part_t, by index */
    int64_t         created;
    llm_usage_t     usage;
    unsigned        has_usage;
} llm_openai_answer_t;


/*
 * The value that comes next: the inside of a string, or the bytes of any
 * other value.  Its type as llm_json_skip() gives it.
 */
llm_json_type_t llm_openai_value(llm_json_t *j, llm_slice_t *v);

/*
 * The next member of the object that j stands in: its name, its value as
 * above, and the value's type.  0 at the object's end.
 */
int llm_openai_member(llm_json_t *j, llm_slice_t *key, llm_slice_t *v,
    llm_json_type_t *type);

/* Starts to read an array or an object that was validated before. */
void llm_openai_reopen(llm_json_t *j, const llm_slice_t *raw);

/* Goes into the next object of the array that j stands in; 0 at its end. */
int llm_openai_object(llm_json_t *j);

/* Reads c->json to its end; 0 when it is not one JSON object. */
int llm_openai_scan(llm_openai_chunk_t *c);

/* Reads one choice; j stands behind its brace.  0 when it is not valid. */
int llm_openai_choice(llm_openai_chunk_t *c, llm_json_t *j,
    llm_openai_choice_t *ch);


/* Reads a usage object into *u; 0 when it says nothing. */
int llm_openai_usage(llm_usage_t *u, const llm_slice_t *raw);

llm_rc_t llm_openai_decode_error(const llm_slice_t *data, llm_error_t *err);

void llm_openai_encode(llm_encoder_t *e, void *state, const llm_event_t *ev);
void llm_openai_stream_drop(llm_encoder_t *e, void *state);

void llm_openai_answer(llm_encoder_t *e, void *state, const llm_event_t *ev);
void llm_openai_answer_drop(llm_encoder_t *e, void *state);

void llm_openai_error_body(llm_out_t *out, const llm_error_t *err);

/* Writes the inside of an id for an answer that came without one. */
void llm_openai_make_id(llm_out_t *out, const llm_slice_t *model,
    int64_t now);


#endif /* LLM_OPENAI_H */
