/*
 * What the files of the openai dialect share.  Private to them.
 */

#ifndef LLM_OPENAI_H
#define LLM_OPENAI_H

#include "llm_dialect.h"
#include "llm_encode.h"
#include "llm_json.h"


/* bytes of a name that is unescaped to be looked at; longer ones are none
 * of ours */
#define LLM_OPENAI_NAME    32

/* choices of which it is remembered that their role was said */
#define LLM_OPENAI_TABLE   128

/* tool calls that are told apart by more than their index */
#define LLM_OPENAI_CALLS   64

/* characters of an id or a model's name that are repeated in each chunk */
#define LLM_OPENAI_LABEL   256

/* Gemini's signature of a call, where Google's own OpenAI endpoint has it */
#define LLM_OPENAI_SIGNATURE                                                \
    ",\"extra_content\":{\"google\":{\"thought_signature\":"


typedef struct {
    llm_slice_t     content;
    llm_slice_t     parts;          /* content, when it is an array */
    llm_slice_t     reasoning;
    llm_slice_t     details;        /* reasoning_details */
    llm_slice_t     notes;          /* annotations */
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

/* A tool call that was begun. */
typedef struct {
    unsigned        choice;
    unsigned        index;          /* as the provider counts */
    unsigned        number;         /* 0, 1, ... within the choice */
    uint64_t        id;             /* hash, 0: none was said */
} llm_openai_known_t;

/* What a decoder remembers between chunks; most streams call no tool. */
typedef struct {
    llm_block_t         calls;      /* llm_openai_known_t */
} llm_openai_state_t;

typedef struct {
    llm_decoder_t        *d;
    llm_frame_t          *frame;
    unsigned              answer;   /* one JSON answer, not a chunk */
    unsigned              legacy;   /* of completions: choices have a text */
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

/* Objects that lists of deltas had so far, of each choice. */
typedef struct {
    uint16_t        annotations[LLM_OPENAI_TABLE];
    uint16_t        details[LLM_OPENAI_TABLE];      /* of its reasoning */
} llm_openai_elements_t;

typedef struct {
    llm_block_t     head;       /* a chunk up to its choices; empty: START
                                   was not seen */
    llm_usage_t     usage;
    unsigned        has_usage;
    uint32_t        roles[LLM_OPENAI_TABLE / 32];
    llm_openai_elements_t  *elements;   /* NULL: there were none */
} llm_openai_stream_t;


static inline llm_rc_t
llm_openai_emit(llm_openai_chunk_t *c, llm_event_type_t type)
{
    c->emitted++;
    c->ev.type = type;

    return c->d->emit(c->d->ctx, &c->ev);
}


/* TEXT, REASONING or REFUSAL; nothing for an empty or absent string. */
static inline llm_rc_t
llm_openai_text(llm_openai_chunk_t *c, llm_event_type_t type,
    const llm_slice_t *text)
{
    if (text->n == 0) {
        return LLM_OK;
    }

    c->ev.text = *text;

    return llm_openai_emit(c, type);
}


static inline int
llm_openai_is_rare(const llm_openai_choice_t *ch)
{
    return ch->details.p != NULL || ch->parts.p != NULL
           || ch->tools.p != NULL || ch->call.p != NULL
           || ch->logprobs.p != NULL || ch->notes.p != NULL;
}


/* The reasoning of a choice whose reasoning_details say more of it: its
 * signatures, and what is withheld. */
llm_rc_t llm_openai_emit_details(llm_openai_chunk_t *c,
    const llm_openai_choice_t *ch);

/* The events of what else is rare in a choice. */
llm_rc_t llm_openai_emit_rare(llm_openai_chunk_t *c,
    const llm_openai_choice_t *ch);

/* Reads c->json to its end; 0 when it is not one JSON object. */
int llm_openai_scan(llm_openai_chunk_t *c);

/* Reads one choice; j stands behind its brace.  0 when it is not valid. */
int llm_openai_choice(llm_openai_chunk_t *c, llm_json_t *j,
    llm_openai_choice_t *ch);


/* Chunks and answers of chat completions, or (legacy) of completions. */
llm_rc_t llm_openai_decode_chunk(llm_decoder_t *d, llm_frame_t *frame,
    unsigned legacy);
llm_rc_t llm_openai_decode_whole(llm_decoder_t *d, llm_frame_t *answer,
    unsigned legacy);

/* The logprobs object of completions as an array of OpenAI's items, in the
 * decoder's scratch; absent when it says nothing. */
llm_rc_t llm_completions_items(llm_decoder_t *d, const llm_slice_t *raw,
    llm_slice_t *items);

/* Reads a usage object into *u; 0 when it says nothing. */
int llm_openai_usage(llm_usage_t *u, const llm_slice_t *raw);

/*
 * What streams of both have: the part up to the choices, made of the first
 * event, with an id of that prefix when none was said; the end of a chunk
 * behind its choices; the counts; the last chunk and the terminator.
 */
void llm_openai_begin(llm_encoder_t *e, llm_openai_stream_t *s,
    const llm_event_t *ev, const char *prefix, const char *object);
void llm_openai_chunk_end(llm_encoder_t *e);
void llm_openai_add_usage(llm_openai_stream_t *s, const llm_usage_t *said);
void llm_openai_end(llm_encoder_t *e, llm_openai_stream_t *s);

void llm_openai_encode(llm_encoder_t *e, void *state, const llm_event_t *ev);
void llm_openai_stream_drop(llm_encoder_t *e, void *state);

void llm_openai_write_answer(llm_encoder_t *e, const llm_answer_t *a);

/* An answer of either, its choices by write(). */
void llm_openai_write_answer_as(llm_encoder_t *e, const llm_answer_t *a,
    const char *prefix, const char *object,
    void (*write)(llm_out_t *out, const llm_choice_t *c));

/* Elements that were gathered as an array, or null for none; the finish
 * reason of a choice, or null. */
void llm_openai_write_list(llm_out_t *out, const llm_block_t *b);
void llm_openai_write_finish(llm_out_t *out, const llm_choice_t *c);

/* Writes a citation as one annotation of a message, behind its brace. */
void llm_openai_write_annotation(llm_out_t *out, const llm_event_t *ev);

void llm_openai_error_body(llm_out_t *out, const llm_error_t *err);

llm_rc_t llm_openai_read_chat(llm_chat_t *c, const llm_u8 *body, size_t n);
void llm_openai_write_chat(llm_chat_writer_t *w, const llm_chat_t *c);


#endif /* LLM_OPENAI_H */
