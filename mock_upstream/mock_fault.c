/*
 * The table of faults.  A fault that concerns the response as a whole has a
 * setup function, one that happens at a place has a function that is called
 * there; both are in mock_fault_http.c and mock_fault_stream.c.
 */

#include <string.h>

#include "mock_fault.h"


#define MOCK_TRUNCATED  MOCK_FAULT_EVENT, 0


static const mock_fault_t  mock_fault_table[] = {

    /* tls */
    { "tls-alert", MOCK_FAULT_ACCEPT, 0, NULL, NULL, 0 },
    { "tls-plaintext-first", MOCK_FAULT_ACCEPT, 0, NULL, NULL, 0 },
    { "tls-no-close-notify", MOCK_TRUNCATED, mock_fault_delimited,
      mock_fault_fin, 0 },

    /* before-headers */
    { "rst-before-headers", MOCK_FAULT_HEAD, 0, NULL, mock_fault_reset, 0 },
    { "fin-before-headers", MOCK_FAULT_HEAD, 0, NULL, mock_fault_fin, 0 },
    { "stale-keepalive", MOCK_FAULT_HEAD, 0, NULL, mock_fault_stale, 0 },
    { "fin-in-headers", MOCK_FAULT_HEAD, 0, NULL, mock_fault_fin_in_head, 0 },
    { "not-http", MOCK_FAULT_HEAD, 0, NULL, mock_fault_not_http, 0 },
    { "header-too-big", MOCK_FAULT_PLAN, 0, mock_fault_header_big, NULL, 0 },
    { "header-invalid-byte", MOCK_FAULT_PLAN, 0, mock_fault_header_byte,
      NULL, 0 },
    { "cl-and-te", MOCK_FAULT_PLAN, 0, mock_fault_cl_te, NULL, 0 },
    { "stall-before-headers", MOCK_FAULT_HEAD, 0, NULL, mock_fault_stall, 0 },
    { "early-error-while-sending", MOCK_FAULT_HEAD, 0, NULL,
      mock_fault_early_late, 0 },
    { "interim-100", MOCK_FAULT_PLAN, 0, mock_fault_interim_100, NULL, 0 },
    { "interim-103", MOCK_FAULT_PLAN, 0, mock_fault_interim_103, NULL, 0 },
    { "status-101", MOCK_FAULT_HEAD, 0, NULL, mock_fault_101, 0 },

    /* status */
    { "s429", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status, 0 },
    { "s401", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status, 0 },
    { "s400", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status, 0 },
    { "s5xx", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status, 0 },
    { "s529", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status, 0 },
    { "s3xx", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status, 0 },
    { "s204-empty", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status, 0 },

    /* body-type */
    { "html-200", MOCK_FAULT_HEAD, 0, NULL, mock_fault_html, 0 },
    { "json-200", MOCK_FAULT_PLAN, 0, mock_fault_json, NULL, 0 },
    { "json-as-sse", MOCK_FAULT_PLAN, 0, mock_fault_json_as_sse, NULL, 0 },
    { "error-event-first", MOCK_FAULT_EVENT, 1, NULL, mock_fault_error_event,
      0 },
    { "gzip-unasked", MOCK_FAULT_PLAN, 0, mock_fault_gzip_setup, NULL, 0 },
    { "gzip-bomb", MOCK_FAULT_EVENT, 1, mock_fault_bomb_setup,
      mock_fault_bomb, 0 },
    { "charset-other", MOCK_FAULT_PLAN, 0, mock_fault_charset, NULL, 0 },

    /* truncation */
    { "rst-mid-event", MOCK_TRUNCATED, NULL, mock_fault_mid_event,
      MOCK_NEEDS_BYTES },
    { "rst-mid-utf8", MOCK_TRUNCATED, NULL, mock_fault_mid_utf8, 0 },
    { "fin-chunked-incomplete", MOCK_TRUNCATED, mock_fault_chunked,
      mock_fault_fin, 0 },
    { "last-chunk-no-terminator", MOCK_TRUNCATED, mock_fault_chunked,
      mock_fault_tail, 0 },
    { "close-delimited-no-terminator", MOCK_TRUNCATED, mock_fault_delimited,
      mock_fault_fin, 0 },
    { "close-delimited-mid-event", MOCK_TRUNCATED, mock_fault_delimited,
      mock_fault_mid_event, MOCK_NEEDS_BYTES },
    { "done-without-finish", MOCK_FAULT_PLAN, 0, mock_fault_no_finish, NULL,
      MOCK_HAS_FINISH },
    { "finish-without-done", MOCK_FAULT_PLAN, 0, mock_fault_no_done, NULL,
      MOCK_HAS_DONE },
    { "half-close", MOCK_TRUNCATED, NULL, mock_fault_half, 0 },

    /* framing */
    { "chunk-bad-size", MOCK_FAULT_EVENT, 0, mock_fault_chunked,
      mock_fault_chunk_size, MOCK_NEEDS_BYTES },
    { "chunk-overflow", MOCK_FAULT_EVENT, 0, mock_fault_chunked,
      mock_fault_chunk_overflow, MOCK_NEEDS_BYTES },
    { "chunk-huge-extension", MOCK_FAULT_EVENT, 0, mock_fault_chunked,
      mock_fault_chunk_extension, MOCK_NEEDS_BYTES },
    { "data-after-last-chunk", MOCK_FAULT_TAIL, 0, mock_fault_chunked,
      mock_fault_data_after, 0 },
    { "cl-too-big", MOCK_FAULT_TAIL, 0, mock_fault_length_big,
      mock_fault_fin, 0 },
    { "cl-too-small", MOCK_FAULT_PLAN, 0, mock_fault_length_small, NULL, 0 },
    { "trailers", MOCK_FAULT_TAIL, 0, mock_fault_chunked,
      mock_fault_trailers, 0 },
    { "http10-ok", MOCK_FAULT_PLAN, 0, mock_fault_http10, NULL, 0 },
    { "connection-close-ok", MOCK_FAULT_PLAN, 0, mock_fault_close, NULL, 0 },

    /* time */
    { "stall-after-headers", MOCK_FAULT_HEAD, 0, NULL, mock_fault_stall_head,
      0 },
    { "stall-mid", MOCK_TRUNCATED, NULL, mock_fault_stall, 0 },
    { "heartbeat-only", MOCK_FAULT_EVENT, 1, NULL, mock_fault_heartbeat, 0 },
    { "slow-trickle", MOCK_FAULT_EACH, 1, NULL, mock_fault_trickle,
      MOCK_NEEDS_BYTES },
    { "total-too-long", MOCK_FAULT_PLAN, 0, mock_fault_endless, NULL, 0 },

    /* size */
    { "huge-event", MOCK_FAULT_EVENT, 0, NULL, mock_fault_huge_event, 0 },
    { "endless-line", MOCK_FAULT_EVENT, 0, NULL, mock_fault_endless_line, 0 },
    { "endless-comment", MOCK_FAULT_EVENT, 0, NULL,
      mock_fault_endless_comment, MOCK_HAS_LINES },
    { "tiny-events-burst", MOCK_FAULT_EVENT, 0, NULL, mock_fault_burst, 0 },
    { "byte-by-byte", MOCK_FAULT_EACH, 1, mock_fault_chunked,
      mock_fault_bytewise, MOCK_NEEDS_BYTES },
    { "many-events-total", MOCK_FAULT_PLAN, 0, mock_fault_many, NULL, 0 },

    /* content */
    { "error-event-mid", MOCK_FAULT_EVENT, 0, NULL, mock_fault_error_event,
      0 },
    { "error-then-done", MOCK_FAULT_EVENT, 0, NULL, mock_fault_error_done, 0 },
    { "invalid-json-event", MOCK_FAULT_EVENT, 0, NULL,
      mock_fault_invalid_json, 0 },
    { "invalid-utf8", MOCK_FAULT_EVENT, 0, NULL, mock_fault_invalid_utf8, 0 },
    { "eol-variants", MOCK_FAULT_EACH, 1, mock_fault_eol,
      mock_fault_eol_each, MOCK_HAS_LINES | MOCK_NEEDS_BYTES },
    { "nul-bom", MOCK_FAULT_EACH, 1, NULL, mock_fault_nul_bom, 0 },
    { "dup-finish", MOCK_FAULT_EACH, 1, NULL, mock_fault_twice, 0 },
    { "content-after-finish", MOCK_FAULT_EVENT, MOCK_AT_DONE, NULL,
      mock_fault_content_late, MOCK_HAS_LATE },
    { "events-after-done", MOCK_FAULT_TAIL, 0, NULL, mock_fault_after_done,
      0 },
    { "index-order", MOCK_FAULT_EVENT, 0, NULL, mock_fault_index_order,
      MOCK_HAS_INDEX },
    { "unknown-event-type", MOCK_FAULT_EVENT, 0, NULL,
      mock_fault_unknown_type, 0 },
    { "key-order-dup", MOCK_FAULT_EVENT, 0, NULL, mock_fault_key_order, 0 },
    { "deep-json", MOCK_FAULT_EVENT, 0, NULL, mock_fault_deep, 0 },
    { "type-confusion", MOCK_FAULT_EVENT, 0, NULL, mock_fault_types, 0 },
    { "newline-injection", MOCK_FAULT_PLAN, 0, mock_fault_injection, NULL, 0 },

    /* upstream-headers */
    { "x-accel", MOCK_FAULT_PLAN, 0, mock_fault_x_accel, NULL, 0 },
    { "hop-headers", MOCK_FAULT_PLAN, 0, mock_fault_hop_headers, NULL, 0 }
};

#define MOCK_FAULTS  (sizeof(mock_fault_table) / sizeof(mock_fault_t))


const mock_fault_t *
mock_fault_find(const char *name)
{
    size_t  i;

    for (i = 0; i < MOCK_FAULTS; i++) {
        if (strcmp(mock_fault_table[i].name, name) == 0) {
            return &mock_fault_table[i];
        }
    }

    return NULL;
}


void
mock_fault_names(mock_buf_t *b)
{
    size_t  i;

    mock_buf_lit(b, "[");

    for (i = 0; i < MOCK_FAULTS; i++) {
        mock_buf_fmt(b, "%s\"%s\"", i ? "," : "", mock_fault_table[i].name);
    }

    mock_buf_lit(b, "]\n");
}
