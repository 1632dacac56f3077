/*
 * Running one dialect in a test: a frame to a transcript of its events, and
 * events to a client's bytes.
 */

#ifndef UNIT_DIALECT_H
#define UNIT_DIALECT_H

#include "flow_support.h"
#include "llm_encode.h"


/* What a decoder said, a line an event. */
typedef struct {
    char                  text[8192];
    size_t                n;
    size_t                events;
    size_t                stop_at;  /* emit() says LLM_FAILED at this event */
    unsigned              choices;  /* of the frame */
} seen_t;

llm_rc_t seen_emit(void *ctx, const llm_event_t *ev);

/* Decodes one frame, or one answer, of the openai dialect with a decoder
 * that may have seen others before. */
llm_rc_t seen_frame(seen_t *s, llm_decoder_t *d, const void *data, size_t n,
    const char *type, unsigned answer);

/* The same with a new one. */
llm_rc_t seen_decode(seen_t *s, const char *data, const char *type,
    unsigned started, unsigned answer);


/* The client half of a dialect, as a stream or as one answer. */
typedef struct {
    const llm_dialect_t  *dialect;
    llm_encoder_t         e;
    unit_out_t            o;
    unit_alloc_t          u;
    void                 *state;
    size_t                size;
    unsigned              answer;
    llm_answer_t          gathered;
} client_t;

void client_open(client_t *c, const llm_dialect_t *d, unsigned answer);
void client_drop(client_t *c);

/* Ends the client; the output must be as expected. */
void client_close(client_t *c, const char *expect);

llm_event_t client_ev(llm_event_type_t type);

/* The inside of a JSON string. */
llm_slice_t client_slice(const char *s);

void client_event(client_t *c, const llm_event_t *ev);
void client_text(client_t *c, llm_event_type_t type, unsigned choice,
    const char *text);
void client_finish(client_t *c, unsigned choice, llm_finish_t finish,
    const char *word);
void client_start(client_t *c);
void client_usage(client_t *c, int64_t cached);
void client_end(client_t *c);
void client_error(client_t *c, const char *message);
void client_call(client_t *c, unsigned choice, unsigned index,
    const char *id, const char *name, const char *text);

/* All kinds of events, the same for every dialect. */
void client_script(client_t *c);


#endif /* UNIT_DIALECT_H */
