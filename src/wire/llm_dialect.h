/*
 * The dialect table: one row says all about a wire format.  Adding a dialect
 * is one file (or two) in dialect/ and one row in llm_dialect.c.
 *
 * A row has three parts.  Upstream: bytes of one frame (an SSE event's data,
 * an NDJSON record, an element of a JSON array) or of one whole JSON answer
 * to events.  Client: events to bytes, as a stream or as one answer, and the
 * shape of errors.  Requests: a body to an llm_chat_t and back.  A dialect
 * without decode() is client-only, one without read_chat() is upstream-only.
 */

#ifndef LLM_DIALECT_H
#define LLM_DIALECT_H

#include "llm_answer.h"
#include "llm_ask.h"
#include "llm_chat.h"
#include "llm_event.h"
#include "llm_fault.h"
#include "llm_framer.h"
#include "llm_repeat.h"


/* Receives events of a decoder, in order; anything but LLM_OK stops it and
 * is returned by it. */
typedef llm_rc_t (*llm_emit_pt)(void *ctx, const llm_event_t *ev);

typedef struct {
    llm_slice_t     data;       /* in: valid UTF-8 */
    llm_slice_t     type;       /* in: SSE event type, or absent */
    unsigned        linesep;    /* in: data holds U+2028 and the like */
    unsigned        max_depth;  /* in: of the JSON */
    unsigned        choices;    /* out: number of choices in the frame; 0: it
                                   holds nothing but usage or extras */
} llm_frame_t;

typedef struct {
    llm_emit_pt     emit;
    void           *ctx;
    llm_alloc_t     alloc;
    unsigned        started;    /* START was emitted; starts at 0 */
    llm_repeat_t    repeat;     /* starts at 0 */
    unsigned        padded;     /* out: the upstream pads its events, and
                                   repeat does not show it */
    llm_block_t     scratch;    /* for what a decoder must write anew, within
                                   one call; freed by the flow */
    void           *state;      /* decode_size zeroed bytes, or NULL */
} llm_decoder_t;


/* What an encoder works with; set up by the flow before the first event. */
typedef struct {
    llm_out_t      *out;
    llm_alloc_t     alloc;
    size_t          max_response;   /* bound of what is gathered, bytes */
    unsigned        usage;          /* the client asked for usage */
    unsigned        array;          /* frames are elements of a JSON array:
                                       llm_write_frame() */
    unsigned        elements;       /* of that array so far */
    uint64_t        passed;         /* events that the client got as they came
                                       from an upstream of its own dialect:
                                       an encoder then only says what went
                                       wrong behind them */
    int64_t         now;            /* seconds since 1970, for "created" */
    int64_t         unique;         /* another one for each answer: for ids
                                       that no upstream said */
    llm_rc_t        rc;             /* LLM_OK, LLM_NOMEM, LLM_TOO_BIG,
                                       LLM_INVALID (cannot be said: broken
                                       tool arguments): set by an encoder,
                                       final */
} llm_encoder_t;


typedef struct llm_dialect_s  llm_dialect_t;

struct llm_dialect_s {
    llm_slice_t     name;
    llm_framing_t   framing;        /* of a stream, both sides */
    unsigned        array;          /* application/json is ARRAY framing,
                                       whatever was asked: Gemini */
    unsigned        choices;        /* an answer can have several; else only
                                       choice 0 is said */
    unsigned        failure;        /* a finish can say that the model failed;
                                       else such an answer is an error */
    unsigned        error_member;   /* libraries see an error in a stream only
                                       by the member "error" of its event */
    llm_slice_t     stream_type;    /* Content-Type of a stream */
    llm_slice_t     answer_type;    /* Content-Type of one answer, errors */
    llm_slice_t     blank;          /* what says nothing between events, where
                                       libraries fail on a comment; absent:
                                       a comment does */

    /* requests */
    unsigned        stream_default; /* streams when the request has no
                                       stream member */
    unsigned        usage_option;   /* usage comes only when asked for, by
                                       stream_options.include_usage */
    llm_slice_t     stream_member;  /* "stream"; absent: said by the path */
    llm_slice_t     needs;          /* the member that no request goes
                                       without: "messages" */
    unsigned        model_in_path;  /* else the member "model" */
    const llm_ask_t *asks;          /* where it says how much is asked for;
                                       NULL: nowhere */

    /*
     * Reads a body into c.  LLM_OK; LLM_INVALID: not this dialect's request,
     * c->member names what is wrong; LLM_TOO_DEEP; LLM_NOMEM.
     */
    llm_rc_t      (*read_chat)(llm_chat_t *c, const llm_u8 *body, size_t n);

    /* Writes all members of the body; the braces are the caller's.  What
     * cannot be said goes to llm_chat_lost(). */
    void          (*write_chat)(llm_chat_writer_t *w, const llm_chat_t *c);

    /*
     * Decodes one frame.  LLM_OK; LLM_DONE: the terminator (END was
     * emitted); LLM_INVALID: not this dialect's JSON (nothing or a part was
     * emitted); or what emit() returned.
     */
    llm_rc_t      (*decode)(llm_decoder_t *d, llm_frame_t *frame);

    /* Decodes one whole JSON answer, END included.  Same codes; LLM_OK: it
     * was an error. */
    llm_rc_t      (*decode_answer)(llm_decoder_t *d, llm_frame_t *answer);

    size_t          decode_size;
    void          (*decode_drop)(llm_decoder_t *d);     /* may be NULL */

    /* client half: state is stream_size zeroed bytes given by the flow;
     * stream_drop() releases what it gathered (may be NULL) */
    size_t          stream_size;
    void          (*encode)(llm_encoder_t *e, void *state,
                            const llm_event_t *ev);
    void          (*stream_drop)(llm_encoder_t *e, void *state);

    /* What ends a stream that was passed on as it came and lacks it, though
     * every choice had finished; absent: nothing does. */
    llm_slice_t     terminator;

    /* Writes one answer that was gathered whole; may set e->rc. */
    void          (*write_answer)(llm_encoder_t *e, const llm_answer_t *a);

    /* Writes the body of an HTTP error. */
    void          (*error_body)(llm_out_t *out, const llm_error_t *err);
};


const llm_dialect_t *llm_dialect_find(const llm_u8 *name, size_t n);

/* Row i, or NULL past the last. */
const llm_dialect_t *llm_dialect_at(size_t i);

extern const llm_dialect_t  llm_dialect_openai;
extern const llm_dialect_t  llm_dialect_completions;
extern const llm_dialect_t  llm_dialect_responses;
extern const llm_dialect_t  llm_dialect_anthropic;
extern const llm_dialect_t  llm_dialect_gemini;
extern const llm_dialect_t  llm_dialect_ollama;
extern const llm_dialect_t  llm_dialect_generate;
extern const llm_dialect_t  llm_dialect_flowise;
extern const llm_dialect_t  llm_dialect_cohere;
extern const llm_dialect_t  llm_dialect_simple;
extern const llm_dialect_t  llm_dialect_typed;
extern const llm_dialect_t  llm_dialect_text;


#endif /* LLM_DIALECT_H */
