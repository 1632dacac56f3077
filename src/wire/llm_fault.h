/*
 * What can go wrong, one row a fault: the code that clients and logs see,
 * the fixed English sentence, the error type and HTTP status in OpenAI's
 * sense, and the class that $llm_stream_end shows.  No upstream text is ever
 * part of it.
 */

#ifndef LLM_FAULT_H
#define LLM_FAULT_H

#include "llm_wire.h"


typedef enum {
    LLM_FAULT_NONE = 0,

    /* the provider could not be used */
    LLM_FAULT_CONNECT,              /* upstream_connect, 502 */
    LLM_FAULT_CONNECT_TIMEOUT,      /* upstream_connect_timeout, 504 */
    LLM_FAULT_DNS,                  /* upstream_dns, 502 */
    LLM_FAULT_UNAVAILABLE,          /* upstream_unavailable, 503 */
    LLM_FAULT_TLS,                  /* upstream_tls, 502 */
    LLM_FAULT_TLS_VERIFY,           /* upstream_tls_verify, 502 */
    LLM_FAULT_AUTH,                 /* upstream_auth, 502 */

    /* it broke its promise */
    LLM_FAULT_RESET,                /* upstream_reset, 502 */
    LLM_FAULT_PROTOCOL,             /* upstream_protocol, 502 */
    LLM_FAULT_CONTENT_TYPE,         /* upstream_content_type, 502 */
    LLM_FAULT_ENCODING,             /* upstream_encoding, 502 */
    LLM_FAULT_REDIRECT,             /* upstream_redirect, 502 */
    LLM_FAULT_EMPTY,                /* upstream_empty, 502 */
    LLM_FAULT_INVALID_STREAM,       /* upstream_invalid_stream, 502 */
    LLM_FAULT_INVALID_EVENT,        /* upstream_invalid_event, 502 */
    LLM_FAULT_TRUNCATED,            /* upstream_truncated, 502 */
    LLM_FAULT_UPSTREAM_ERROR,       /* upstream_error: it said so itself */

    /* time and size */
    LLM_FAULT_TIMEOUT_HEADER,       /* upstream_timeout_header, 504 */
    LLM_FAULT_TIMEOUT_FIRST,        /* upstream_timeout_first_event, 504 */
    LLM_FAULT_TIMEOUT_IDLE,         /* upstream_timeout_idle, 504 */
    LLM_FAULT_TOO_LONG,             /* stream_too_long, 504 */
    LLM_FAULT_EVENT_TOO_LARGE,      /* event_too_large, 502 */
    LLM_FAULT_RESPONSE_TOO_LARGE,   /* response_too_large, 502 */

    /* the client's doing */
    LLM_FAULT_BAD_JSON,             /* invalid_json, 400 */
    LLM_FAULT_BAD_REQUEST,          /* invalid_request, 400; names a member */
    LLM_FAULT_UNSUPPORTED,          /* unsupported_parameter, 400; names what
                                       the provider cannot do */
    LLM_FAULT_TOO_LARGE,            /* request_too_large, 413 */
    LLM_FAULT_METHOD,               /* method_not_allowed, 405 */
    LLM_FAULT_UNAUTHORIZED,         /* unauthorized, 401/403 */
    LLM_FAULT_RATE_LIMIT,           /* rate_limit_exceeded, 429 */
    LLM_FAULT_CLIENT_ABORT,         /* client_abort, 499; never sent */

    /* ours */
    LLM_FAULT_BUSY,                 /* server_busy, 503 */
    LLM_FAULT_SHUTDOWN,             /* server_shutdown, 503 */
    LLM_FAULT_INTERNAL,             /* internal, 500 */
    LLM_FAULT_MAX
} llm_fault_t;

/* how a request ended: what $llm_stream_end says */
typedef enum {
    LLM_END_COMPLETE = 0,
    LLM_END_BLOCKED,                /* by llm_stream_redact */
    LLM_END_TRUNCATED,
    LLM_END_UPSTREAM_ERROR,
    LLM_END_INVALID,
    LLM_END_TIMEOUT,
    LLM_END_LIMIT,
    LLM_END_CLIENT_ABORT,
    LLM_END_REJECTED,
    LLM_END_UNREACHABLE,
    LLM_END_INTERNAL,
    LLM_END_MAX
} llm_end_t;

typedef struct {
    llm_slice_t     code;
    llm_slice_t     message;
    llm_slice_t     type;       /* invalid_request_error, server_error, … */
    llm_end_t       end;
    int             status;
} llm_fault_info_t;

/* "truncated": the word of an ending. */
llm_slice_t llm_end_name(llm_end_t end);

const llm_fault_info_t *llm_fault_info(llm_fault_t fault);

/* The row that fits a bare HTTP status (for errors made by nginx itself). */
llm_fault_t llm_fault_by_status(int status);


#endif /* LLM_FAULT_H */
