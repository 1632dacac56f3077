/*
 * The dialect table: one row says all about a wire format.  Adding a dialect
 * is one file in dialect/ and one row in llm_dialect.c.
 *
 * A row has two halves.  Upstream: bytes of one frame (an SSE event's data,
 * an NDJSON record) or of one whole JSON answer to events.  Client: events to
 * bytes, as a stream or as one answer, and the shape of errors.  A dialect
 * without decode() is client-only.
 */

#ifndef LLM_DIALECT_H
#define LLM_DIALECT_H

#include "llm_event.h"
#include "llm_fault.h"
#include "llm_repeat.h"


typedef enum {
    LLM_FRAMING_SSE = 0,
    LLM_FRAMING_NDJSON,
    LLM_FRAMING_NONE            /* bare text, client side only */
} llm_framing_t;


/* Receives events of a decoder, in order; anything but LLM_OK stops it and
 * is returned by it. */
typedef llm_rc_t (*llm_emit_pt)(void *ctx, const llm_event_t *ev);

typedef struct {
    llm_slice_t     data;       /* in: valid UTF-8 */
    llm_slice_t     type;       /* in: SSE event type, or absent */
    unsigned        linesep;    /* in: data holds U+2028 and the like */
    unsigned        max_depth;  /* in: of the JSON */
    unsigned        choices;    /* out: number of choices in the frame */
} llm_frame_t;

typedef struct {
    llm_emit_pt     emit;
    void           *ctx;
    unsigned        started;    /* START was emitted; starts at 0 */
    llm_repeat_t    repeat;     /* starts at 0 */
} llm_decoder_t;


/* What an encoder works with; set up by the flow before the first event. */
typedef struct {
    llm_out_t      *out;
    llm_alloc_t     alloc;
    size_t          max_response;   /* bound of what is gathered, bytes */
    unsigned        usage;          /* the client asked for usage */
    int64_t         now;            /* seconds since 1970, for "created" */
    llm_rc_t        rc;             /* LLM_OK, LLM_NOMEM, LLM_TOO_BIG: set by
                                       an encoder, final */
} llm_encoder_t;


typedef struct llm_dialect_s  llm_dialect_t;

struct llm_dialect_s {
    llm_slice_t     name;
    llm_framing_t   framing;
    llm_slice_t     stream_type;    /* Content-Type of a stream */
    llm_slice_t     answer_type;    /* Content-Type of one answer, errors */
    unsigned        stream_default; /* streams when the request has no
                                       "stream" member */

    /* upstream half */
    llm_slice_t     path;           /* "/v1/chat/completions" */
    llm_slice_t     auth_header;    /* "Authorization" */
    llm_slice_t     auth_prefix;    /* "Bearer " */

    /*
     * Decodes one frame.  LLM_OK; LLM_DONE: the terminator (END was
     * emitted); LLM_INVALID: not this dialect's JSON (nothing or a part was
     * emitted); or what emit() returned.
     */
    llm_rc_t      (*decode)(llm_decoder_t *d, llm_frame_t *frame);

    /* Decodes one whole JSON answer, END included.  Same codes; LLM_OK: it
     * was an error. */
    llm_rc_t      (*decode_answer)(llm_decoder_t *d, llm_frame_t *answer);

    /* Reads an error body or error event's data into *err (slices borrow
     * from data).  LLM_OK, or LLM_INVALID when it holds no error of any shape
     * that is known for OpenAI look-alikes. */
    llm_rc_t      (*decode_error)(const llm_slice_t *data, llm_error_t *err);

    /* client half: state is stream_size (or answer_size) zeroed bytes given
     * by the flow; drop() releases what state gathered (may be NULL) */
    size_t          stream_size;
    void          (*encode)(llm_encoder_t *e, void *state,
                            const llm_event_t *ev);
    void          (*stream_drop)(llm_encoder_t *e, void *state);

    size_t          answer_size;
    void          (*answer)(llm_encoder_t *e, void *state,
                            const llm_event_t *ev);
    void          (*answer_drop)(llm_encoder_t *e, void *state);

    /* Writes the body of an HTTP error. */
    void          (*error_body)(llm_out_t *out, const llm_error_t *err);
};


const llm_dialect_t *llm_dialect_find(const llm_u8 *name, size_t n);

/* Row i, or NULL past the last. */
const llm_dialect_t *llm_dialect_at(size_t i);

extern const llm_dialect_t  llm_dialect_openai;
extern const llm_dialect_t  llm_dialect_simple;
extern const llm_dialect_t  llm_dialect_typed;
extern const llm_dialect_t  llm_dialect_text;


#endif /* LLM_DIALECT_H */
