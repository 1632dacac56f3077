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
    { "tls-alert", MOCK_FAULT_ACCEPT, 0, NULL, NULL },
    { "tls-plaintext-first", MOCK_FAULT_ACCEPT, 0, NULL, NULL },
    { "tls-no-close-notify", MOCK_TRUNCATED,
      mock_fault_delimited, mock_fault_fin },

    /* before-headers */
    { "rst-before-headers", MOCK_FAULT_HEAD, 0, NULL, mock_fault_reset },
    { "fin-before-headers", MOCK_FAULT_HEAD, 0, NULL, mock_fault_fin },
    { "stale-keepalive", MOCK_FAULT_HEAD, 0, NULL, mock_fault_stale },
    { "fin-in-headers", MOCK_FAULT_HEAD, 0, NULL, mock_fault_fin_in_head },
    { "not-http", MOCK_FAULT_HEAD, 0, NULL, mock_fault_not_http },
    { "header-too-big", MOCK_FAULT_PLAN, 0, mock_fault_header_big, NULL },
    { "header-invalid-byte", MOCK_FAULT_PLAN, 0,
      mock_fault_header_byte, NULL },
    { "cl-and-te", MOCK_FAULT_PLAN, 0, mock_fault_cl_te, NULL },
    { "stall-before-headers", MOCK_FAULT_HEAD, 0, NULL, mock_fault_stall },
    { "early-error-while-sending", MOCK_FAULT_HEAD, 0, NULL,
      mock_fault_early_late },
    { "interim-100", MOCK_FAULT_PLAN, 0, mock_fault_interim_100, NULL },
    { "interim-103", MOCK_FAULT_PLAN, 0, mock_fault_interim_103, NULL },
    { "status-101", MOCK_FAULT_HEAD, 0, NULL, mock_fault_101 },

    /* status */
    { "s429", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status },
    { "s401", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status },
    { "s400", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status },
    { "s5xx", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status },
    { "s529", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status },
    { "s3xx", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status },
    { "s204-empty", MOCK_FAULT_HEAD, 0, NULL, mock_fault_status },

    /* body-type */
    { "html-200", MOCK_FAULT_HEAD, 0, NULL, mock_fault_html },
    { "json-200", MOCK_FAULT_PLAN, 0, mock_fault_json, NULL },
    { "json-as-sse", MOCK_FAULT_PLAN, 0, mock_fault_json_as_sse, NULL },
    { "error-event-first", MOCK_FAULT_EVENT, 1, NULL,
      mock_fault_error_event },
    { "gzip-unasked", MOCK_FAULT_PLAN, 0, mock_fault_gzip_setup, NULL },
    { "gzip-bomb", MOCK_FAULT_EVENT, 1, mock_fault_bomb_setup,
      mock_fault_bomb },
    { "charset-other", MOCK_FAULT_PLAN, 0, mock_fault_charset, NULL },

    /* truncation */
    { "rst-mid-event", MOCK_TRUNCATED, NULL, mock_fault_mid_event },
    { "rst-mid-utf8", MOCK_TRUNCATED, NULL, mock_fault_mid_utf8 },
    { "fin-chunked-incomplete", MOCK_TRUNCATED, mock_fault_chunked,
      mock_fault_fin },
    { "last-chunk-no-terminator", MOCK_TRUNCATED, mock_fault_chunked,
      mock_fault_tail },
    { "close-delimited-no-terminator", MOCK_TRUNCATED,
      mock_fault_delimited, mock_fault_fin },
    { "close-delimited-mid-event", MOCK_TRUNCATED, mock_fault_delimited,
      mock_fault_mid_event },
    { "done-without-finish", MOCK_FAULT_PLAN, 0, mock_fault_no_finish,
      NULL },
    { "finish-without-done", MOCK_FAULT_PLAN, 0, mock_fault_no_done, NULL },
    { "half-close", MOCK_TRUNCATED, NULL, mock_fault_half },

    /* framing */
    { "chunk-bad-size", MOCK_FAULT_EVENT, 0, mock_fault_chunked,
      mock_fault_chunk_size },
    { "chunk-overflow", MOCK_FAULT_EVENT, 0, mock_fault_chunked,
      mock_fault_chunk_overflow },
    { "chunk-huge-extension", MOCK_FAULT_EVENT, 0, mock_fault_chunked,
      mock_fault_chunk_extension },
    { "data-after-last-chunk", MOCK_FAULT_TAIL, 0, mock_fault_chunked,
      mock_fault_data_after },
    { "cl-too-big", MOCK_FAULT_TAIL, 0, mock_fault_length_big,
      mock_fault_fin },
    { "cl-too-small", MOCK_FAULT_PLAN, 0, mock_fault_length_small, NULL },
    { "trailers", MOCK_FAULT_TAIL, 0, mock_fault_chunked,
      mock_fault_trailers },
    { "http10-ok", MOCK_FAULT_PLAN, 0, mock_fault_http10, NULL },
    { "connection-close-ok", MOCK_FAULT_PLAN, 0, mock_fault_close, NULL },

    /* time */
    { "stall-after-headers", MOCK_FAULT_HEAD, 0, NULL,
      mock_fault_stall_head },
    { "stall-mid", MOCK_TRUNCATED, NULL, mock_fault_stall },
    { "heartbeat-only", MOCK_FAULT_EVENT, 1, NULL, mock_fault_heartbeat },
    { "slow-trickle", MOCK_FAULT_EACH, 1, NULL, mock_fault_trickle },
    { "total-too-long", MOCK_FAULT_PLAN, 0, mock_fault_endless, NULL },

    /* size */
    { "huge-event", MOCK_FAULT_EVENT, 0, NULL, mock_fault_huge_event },
    { "endless-line", MOCK_FAULT_EVENT, 0, NULL, mock_fault_endless_line },
    { "endless-comment", MOCK_FAULT_EVENT, 0, NULL,
      mock_fault_endless_comment },
    { "tiny-events-burst", MOCK_FAULT_EVENT, 0, NULL, mock_fault_burst },
    { "byte-by-byte", MOCK_FAULT_EACH, 1, mock_fault_chunked,
      mock_fault_bytewise },
    { "many-events-total", MOCK_FAULT_PLAN, 0, mock_fault_many, NULL },

    /* content */
    { "error-event-mid", MOCK_FAULT_EVENT, 0, NULL, mock_fault_error_event },
    { "error-then-done", MOCK_FAULT_EVENT, 0, NULL, mock_fault_error_done },
    { "invalid-json-event", MOCK_FAULT_EVENT, 0, NULL,
      mock_fault_invalid_json },
    { "invalid-utf8", MOCK_FAULT_EVENT, 0, NULL, mock_fault_invalid_utf8 },
    { "eol-variants", MOCK_FAULT_EACH, 1, mock_fault_eol,
      mock_fault_eol_each },
    { "nul-bom", MOCK_FAULT_EACH, 1, NULL, mock_fault_nul_bom },
    { "dup-finish", MOCK_FAULT_EACH, 1, NULL, mock_fault_twice },
    { "content-after-finish", MOCK_FAULT_EVENT, MOCK_AT_DONE, NULL,
      mock_fault_content_late },
    { "events-after-done", MOCK_FAULT_TAIL, 0, NULL,
      mock_fault_after_done },
    { "index-order", MOCK_FAULT_EVENT, 0, NULL, mock_fault_index_order },
    { "unknown-event-type", MOCK_FAULT_EVENT, 0, NULL,
      mock_fault_unknown_type },
    { "key-order-dup", MOCK_FAULT_EVENT, 0, NULL, mock_fault_key_order },
    { "deep-json", MOCK_FAULT_EVENT, 0, NULL, mock_fault_deep },
    { "type-confusion", MOCK_FAULT_EVENT, 0, NULL, mock_fault_types },
    { "newline-injection", MOCK_FAULT_PLAN, 0, mock_fault_injection, NULL },

    /* upstream-headers */
    { "x-accel", MOCK_FAULT_PLAN, 0, mock_fault_x_accel, NULL },
    { "hop-headers", MOCK_FAULT_PLAN, 0, mock_fault_hop_headers, NULL }
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
