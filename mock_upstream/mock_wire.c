/*
 * Between the wire library's encoders and the mock's buffers.  What events
 * there are, and when, is decided elsewhere; what they look like, in the
 * library.
 */

#include <stdlib.h>
#include <string.h>

#include "llm_encode.h"
#include "llm_json.h"
#include "mock_wire.h"


/* what an answer may gather: more than any test wants */
#define MOCK_WIRE_MAX  ((size_t) 256 << 20)


void
mock_wire_init(mock_wire_t *w, const llm_dialect_t *row, unsigned array,
    int64_t now, int64_t unique)
{
    memset(w, 0, sizeof(*w));
    w->row = row;
    w->e.out = &w->out;
    w->e.alloc = mock_buf_alloc;
    w->e.max_response = MOCK_WIRE_MAX;
    w->e.array = array;
    w->e.now = now;
    w->e.unique = unique;
    w->state = mock_zalloc(row->stream_size + 1);
}


void
mock_wire_free(mock_wire_t *w)
{
    if (w->row && w->row->stream_drop) {
        w->row->stream_drop(&w->e, w->state);
    }

    free(w->state);
    memset(w, 0, sizeof(*w));
}


void
mock_wire_event(llm_event_t *ev, llm_event_type_t type, unsigned choice)
{
    memset(ev, 0, sizeof(*ev));
    ev->type = type;
    ev->choice = choice;
    ev->created = -1;
    ev->start = -1;
    ev->end = -1;
}


llm_slice_t
mock_wire_chars(const mock_buf_t *b)
{
    return (llm_slice_t) { b->p ? b->p : (const llm_u8 *) "", b->n, 0 };
}


llm_slice_t
mock_wire_inside(const void *p, size_t n)
{
    return (llm_slice_t) { p ? p : "", n, 1 };
}


void
mock_wire_encode(mock_wire_t *w, mock_buf_t *b, const llm_event_t *ev)
{
    mock_buf_open(b, &w->out);
    w->row->encode(&w->e, w->state, ev);
    mock_buf_close(b, &w->out);
}


void
mock_wire_frame(mock_wire_t *w, mock_buf_t *b, const char *type,
    const void *data, size_t n)
{
    mock_buf_open(b, &w->out);
    llm_frame_open(&w->e, w->row->framing, type);
    llm_out(&w->out, data, n);
    llm_frame_close(&w->e, w->row->framing);
    mock_buf_close(b, &w->out);
}


size_t
mock_wire_find(const mock_buf_t *b, size_t from, size_t to, const char *s)
{
    const unsigned char  *p;

    if (from >= to) {
        return SIZE_MAX;
    }

    p = memmem(b->p + from, to - from, s, strlen(s));

    return p ? (size_t) (p - b->p) : SIZE_MAX;
}


/* An element of an array: what is in front of it, and its JSON. */
static int
mock_wire_element(const mock_buf_t *b, mock_frame_t *f)
{
    llm_json_t   j;
    llm_slice_t  raw;

    f->from = f->end;
    f->data = f->from;

    while (f->data < b->n && b->p[f->data] != '{') {
        f->data++;
    }

    llm_json_init(&j, b->p + f->data, b->n - f->data, LLM_JSON_DEPTH_MAX);

    if (f->data == b->n || llm_json_skip(&j, &raw) != LLM_JSON_OBJECT) {
        return 0;
    }

    f->data_end = f->data + raw.n;
    f->end = f->data_end;

    return 1;
}


int
mock_wire_next(const mock_wire_t *w, const mock_buf_t *b, mock_frame_t *f)
{
    int     sse;
    size_t  at;

    if (f->end >= b->n) {
        return 0;
    }

    if (w->e.array) {
        return mock_wire_element(b, f);
    }

    sse = w->row->framing == LLM_FRAMING_SSE;
    at = mock_wire_find(b, f->end, b->n, sse ? "\n\n" : "\n");

    if (at == SIZE_MAX) {
        return 0;
    }

    f->from = f->end;
    f->data = f->from;
    f->data_end = at;
    f->end = at + (sse ? 2 : 1);

    if (sse) {
        at = mock_wire_find(b, f->from, f->end, "data:");
        f->data = at == SIZE_MAX ? f->data_end : at + 5;
        f->data += f->data < f->data_end && b->p[f->data] == ' ';
    }

    return 1;
}


void
mock_wire_splice(mock_buf_t *b, size_t from, size_t to, const void *p,
    size_t n)
{
    mock_buf_reserve(b, n);
    memmove(b->p + from + n, b->p + to, b->n - to);

    if (n) {
        memcpy(b->p + from, p, n);
    }

    b->n = b->n - (to - from) + n;
}


void
mock_wire_gather(mock_wire_t *w, llm_answer_t *a, const llm_event_t *ev)
{
    llm_answer_event(&w->e, a, ev);
}


void
mock_wire_answer(mock_wire_t *w, llm_answer_t *a, mock_buf_t *b)
{
    mock_buf_open(b, &w->out);
    w->row->write_answer(&w->e, a);
    mock_buf_close(b, &w->out);
    llm_answer_free(&w->e, a);
}


void
mock_wire_error(const llm_dialect_t *row, mock_buf_t *b,
    const llm_error_t *err)
{
    llm_out_t  out;

    mock_buf_open(b, &out);
    row->error_body(&out, err);
    mock_buf_close(b, &out);
}
