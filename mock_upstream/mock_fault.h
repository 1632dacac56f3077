/*
 * The table of faults: one row each, by the names of the project's list of
 * faults.
 */

#ifndef MOCK_FAULT_H
#define MOCK_FAULT_H

#include "mock_chat.h"


typedef enum {
    MOCK_FAULT_ACCEPT = 0,  /* on the TLS port, before a request */
    MOCK_FAULT_PLAN,        /* setup() does it all */
    MOCK_FAULT_HEAD,        /* fn() in place of the response's head */
    MOCK_FAULT_EVENT,       /* fn() once, before event `at` */
    MOCK_FAULT_EACH,        /* fn() before every event from `at` on */
    MOCK_FAULT_TAIL         /* fn() in place of the framing's end */
} mock_fault_where_t;

/* default for `at`: numbers from 1, or one of these */
#define MOCK_AT_FINISH  -1
#define MOCK_AT_DONE    -2

/* besides MOCK_HAS_*: an event that has bytes */
#define MOCK_NEEDS_BYTES  0x100

struct mock_fault_s {
    const char           *name;
    mock_fault_where_t    where;
    int64_t               at;
    void                (*setup)(mock_chat_t *x);
    mock_verdict_t      (*fn)(mock_chat_t *x);
    unsigned              needs;    /* what the stream must have for it */
};

/* The row of that name, or NULL. */
const mock_fault_t *mock_fault_find(const char *name);

/* All names, as a JSON array. */
void mock_fault_names(mock_buf_t *b);

/* The whole response of early-error-while-sending. */
void mock_fault_early(mock_buf_t *b, const mock_route_t *route,
    int64_t variant);

/* mock_fault_http.c */
void mock_fault_header_big(mock_chat_t *x);
void mock_fault_header_byte(mock_chat_t *x);
void mock_fault_cl_te(mock_chat_t *x);
void mock_fault_interim_100(mock_chat_t *x);
void mock_fault_interim_103(mock_chat_t *x);
void mock_fault_x_accel(mock_chat_t *x);
void mock_fault_hop_headers(mock_chat_t *x);
void mock_fault_charset(mock_chat_t *x);
void mock_fault_json(mock_chat_t *x);
void mock_fault_json_as_sse(mock_chat_t *x);
void mock_fault_gzip_setup(mock_chat_t *x);
void mock_fault_bomb_setup(mock_chat_t *x);
void mock_fault_chunked(mock_chat_t *x);
void mock_fault_delimited(mock_chat_t *x);
void mock_fault_http10(mock_chat_t *x);
void mock_fault_close(mock_chat_t *x);
void mock_fault_length_big(mock_chat_t *x);
void mock_fault_length_small(mock_chat_t *x);
mock_verdict_t mock_fault_reset(mock_chat_t *x);
mock_verdict_t mock_fault_fin(mock_chat_t *x);
mock_verdict_t mock_fault_stale(mock_chat_t *x);
mock_verdict_t mock_fault_fin_in_head(mock_chat_t *x);
mock_verdict_t mock_fault_not_http(mock_chat_t *x);
mock_verdict_t mock_fault_stall(mock_chat_t *x);
mock_verdict_t mock_fault_stall_head(mock_chat_t *x);
mock_verdict_t mock_fault_early_late(mock_chat_t *x);
mock_verdict_t mock_fault_101(mock_chat_t *x);
mock_verdict_t mock_fault_status(mock_chat_t *x);
mock_verdict_t mock_fault_html(mock_chat_t *x);
mock_verdict_t mock_fault_bomb(mock_chat_t *x);
mock_verdict_t mock_fault_tail(mock_chat_t *x);
mock_verdict_t mock_fault_half(mock_chat_t *x);
mock_verdict_t mock_fault_mid_event(mock_chat_t *x);
mock_verdict_t mock_fault_mid_utf8(mock_chat_t *x);
mock_verdict_t mock_fault_chunk_size(mock_chat_t *x);
mock_verdict_t mock_fault_chunk_overflow(mock_chat_t *x);
mock_verdict_t mock_fault_chunk_extension(mock_chat_t *x);
mock_verdict_t mock_fault_data_after(mock_chat_t *x);
mock_verdict_t mock_fault_trailers(mock_chat_t *x);

/* mock_fault_wire.c: what faults of events are in the dialects that the wire
 * library writes */

/* An event of one character; returns how many bytes the data of its last
 * frame has besides the text. */
size_t mock_fault_wire_rest(mock_chat_t *x);

/* The beginning of an event, up to its text, to x->event. */
void mock_fault_wire_open(mock_chat_t *x);

/* The dialect's error, and its terminator. */
void mock_fault_wire_error(mock_chat_t *x);
void mock_fault_wire_done(mock_chat_t *x);

/* An event whose data is cut off behind that text. */
void mock_fault_wire_cut(mock_chat_t *x, const char *text);

/* 0 cut off, 1 no JSON, 2 more behind the object */
void mock_fault_wire_invalid(mock_chat_t *x, unsigned variant);

/* The last event with each of its frames twice; the same with content
 * before its terminator. */
void mock_fault_wire_twice(mock_chat_t *x);
void mock_fault_wire_late(mock_chat_t *x);

/* An event of content behind the end. */
void mock_fault_wire_after(mock_chat_t *x);

/* Content of that choice or block. */
void mock_fault_wire_indexed(mock_chat_t *x, unsigned index,
    const char *text);

void mock_fault_wire_order(mock_chat_t *x);
void mock_fault_wire_deep(mock_chat_t *x, size_t n, unsigned closed);
void mock_fault_wire_types(mock_chat_t *x);

/* mock_fault_stream.c */

/* An event of text, see mock_chat_say(). */
void mock_fault_say(mock_chat_t *x, unsigned choice, const void *text,
    size_t n);

void mock_fault_no_finish(mock_chat_t *x);
void mock_fault_no_done(mock_chat_t *x);
void mock_fault_endless(mock_chat_t *x);
void mock_fault_many(mock_chat_t *x);
void mock_fault_eol(mock_chat_t *x);
void mock_fault_injection(mock_chat_t *x);
mock_verdict_t mock_fault_heartbeat(mock_chat_t *x);
mock_verdict_t mock_fault_trickle(mock_chat_t *x);
mock_verdict_t mock_fault_bytewise(mock_chat_t *x);
mock_verdict_t mock_fault_huge_event(mock_chat_t *x);
mock_verdict_t mock_fault_endless_line(mock_chat_t *x);
mock_verdict_t mock_fault_endless_comment(mock_chat_t *x);
mock_verdict_t mock_fault_burst(mock_chat_t *x);
mock_verdict_t mock_fault_error_event(mock_chat_t *x);
mock_verdict_t mock_fault_error_done(mock_chat_t *x);
mock_verdict_t mock_fault_invalid_json(mock_chat_t *x);
mock_verdict_t mock_fault_invalid_utf8(mock_chat_t *x);
mock_verdict_t mock_fault_eol_each(mock_chat_t *x);
mock_verdict_t mock_fault_nul_bom(mock_chat_t *x);
mock_verdict_t mock_fault_twice(mock_chat_t *x);
mock_verdict_t mock_fault_content_late(mock_chat_t *x);
mock_verdict_t mock_fault_after_done(mock_chat_t *x);
mock_verdict_t mock_fault_index_order(mock_chat_t *x);
mock_verdict_t mock_fault_unknown_type(mock_chat_t *x);
mock_verdict_t mock_fault_key_order(mock_chat_t *x);
mock_verdict_t mock_fault_deep(mock_chat_t *x);
mock_verdict_t mock_fault_types(mock_chat_t *x);


#endif /* MOCK_FAULT_H */
