/*
 * Events of a dialect by the wire library's encoder, one after another: it
 * has a state, so that they come in order only.
 */

#ifndef MOCK_WIRE_H
#define MOCK_WIRE_H

#include "mock_dialect.h"


typedef struct {
    const llm_dialect_t  *row;
    llm_encoder_t         e;
    llm_out_t             out;
    void                 *state;
} mock_wire_t;

/* One frame within bytes that an encoder wrote: offsets. */
typedef struct {
    size_t  from;           /* with its event: line or comma */
    size_t  data;           /* the payload */
    size_t  data_end;
    size_t  end;            /* with its blank line or LF */
} mock_frame_t;

/* now: seconds since 1970, "created"; unique: what ids are made of */
void mock_wire_init(mock_wire_t *w, const llm_dialect_t *row,
    unsigned array, int64_t now, int64_t unique);

/* Safe on one that is zeroed. */
void mock_wire_free(mock_wire_t *w);

/* Zeroes an event, with "not said" where that is not zero. */
void mock_wire_event(llm_event_t *ev, llm_event_type_t type,
    unsigned choice);

/* Characters, and the inside of a JSON string, which encoders copy as it
 * is, legal or not. */
llm_slice_t mock_wire_chars(const mock_buf_t *b);
llm_slice_t mock_wire_inside(const void *p, size_t n);

/* Appends what the dialect says of an event, often nothing. */
void mock_wire_encode(mock_wire_t *w, mock_buf_t *b, const llm_event_t *ev);

/* A frame with that payload; type: its event: line or NULL. */
void mock_wire_frame(mock_wire_t *w, mock_buf_t *b, const char *type,
    const void *data, size_t n);

/* The next frame at or behind f->end, which starts at 0.  0: none; then
 * [f->end, b->n) is what stands behind the last one (a bracket). */
int mock_wire_next(const mock_wire_t *w, const mock_buf_t *b,
    mock_frame_t *f);

/* Puts n bytes in place of [from, to) of b. */
void mock_wire_splice(mock_buf_t *b, size_t from, size_t to, const void *p,
    size_t n);

/* Offset of n bytes in [from, to) of b, or SIZE_MAX. */
size_t mock_wire_find(const mock_buf_t *b, size_t from, size_t to,
    const char *s);

/* One answer of events that were gathered: give them in order, then end,
 * which writes the body. */
void mock_wire_gather(mock_wire_t *w, llm_answer_t *a,
    const llm_event_t *ev);
void mock_wire_answer(mock_wire_t *w, llm_answer_t *a, mock_buf_t *b);

/* An HTTP error's body. */
void mock_wire_error(const llm_dialect_t *row, mock_buf_t *b,
    const llm_error_t *err);


#endif /* MOCK_WIRE_H */
