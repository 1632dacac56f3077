/*
 * The fault table.  It owns the words of every fault of our own; it must
 * never hold anything that an upstream said.
 */

#include "llm_fault.h"


#define llm_fault_str(lit)                                                  \
    { (const llm_u8 *) (lit), sizeof(lit) - 1, 0 }

#define llm_fault_row(code, message, type, end, status)                     \
    { llm_fault_str(code), llm_fault_str(message), llm_fault_str(type),     \
      LLM_END_##end, status }


static const llm_slice_t  llm_end_names[LLM_END_MAX] = {
    [LLM_END_COMPLETE]       = llm_fault_str("complete"),
    [LLM_END_BLOCKED]        = llm_fault_str("blocked"),
    [LLM_END_TRUNCATED]      = llm_fault_str("truncated"),
    [LLM_END_UPSTREAM_ERROR] = llm_fault_str("upstream_error"),
    [LLM_END_INVALID]        = llm_fault_str("invalid"),
    [LLM_END_TIMEOUT]        = llm_fault_str("timeout"),
    [LLM_END_LIMIT]          = llm_fault_str("limit"),
    [LLM_END_CLIENT_ABORT]   = llm_fault_str("client_abort"),
    [LLM_END_REJECTED]       = llm_fault_str("rejected"),
    [LLM_END_UNREACHABLE]    = llm_fault_str("unreachable"),
    [LLM_END_INTERNAL]       = llm_fault_str("internal")
};


static const llm_fault_info_t  llm_faults[LLM_FAULT_MAX] = {

    [LLM_FAULT_NONE] = llm_fault_row("none",
        "Nothing went wrong.",
        "server_error", COMPLETE, 200),

    [LLM_FAULT_CONNECT] = llm_fault_row("upstream_connect",
        "The provider could not be reached: the connection was refused or "
        "failed. Try again in a moment.",
        "server_error", UNREACHABLE, 502),

    [LLM_FAULT_CONNECT_TIMEOUT] = llm_fault_row("upstream_connect_timeout",
        "The provider could not be reached in time. Try again in a moment.",
        "server_error", UNREACHABLE, 504),

    [LLM_FAULT_DNS] = llm_fault_row("upstream_dns",
        "The provider's name could not be resolved.",
        "server_error", UNREACHABLE, 502),

    [LLM_FAULT_UNAVAILABLE] = llm_fault_row("upstream_unavailable",
        "No provider is available at the moment. Try again later.",
        "server_error", UNREACHABLE, 503),

    [LLM_FAULT_TLS] = llm_fault_row("upstream_tls",
        "No secure connection to the provider could be set up.",
        "server_error", UNREACHABLE, 502),

    [LLM_FAULT_TLS_VERIFY] = llm_fault_row("upstream_tls_verify",
        "The provider's certificate could not be verified; the request was "
        "not sent.",
        "server_error", UNREACHABLE, 502),

    [LLM_FAULT_AUTH] = llm_fault_row("upstream_auth",
        "The proxy could not sign in to the provider.",
        "server_error", UNREACHABLE, 502),

    [LLM_FAULT_RESET] = llm_fault_row("upstream_reset",
        "The provider broke the connection before the answer was finished.",
        "server_error", TRUNCATED, 502),

    [LLM_FAULT_PROTOCOL] = llm_fault_row("upstream_protocol",
        "The provider sent an answer that is not valid HTTP.",
        "server_error", INVALID, 502),

    [LLM_FAULT_CONTENT_TYPE] = llm_fault_row("upstream_content_type",
        "The provider answered with a content type that is neither a stream "
        "nor JSON.",
        "server_error", INVALID, 502),

    [LLM_FAULT_ENCODING] = llm_fault_row("upstream_encoding",
        "The provider compressed its answer although it was asked not to.",
        "server_error", INVALID, 502),

    [LLM_FAULT_REDIRECT] = llm_fault_row("upstream_redirect",
        "The provider answered with a redirect, which is never followed.",
        "server_error", INVALID, 502),

    [LLM_FAULT_EMPTY] = llm_fault_row("upstream_empty",
        "The provider sent an empty answer.",
        "server_error", TRUNCATED, 502),

    [LLM_FAULT_INVALID_STREAM] = llm_fault_row("upstream_invalid_stream",
        "The provider's answer is not in the format that was expected of "
        "it.",
        "server_error", INVALID, 502),

    [LLM_FAULT_INVALID_EVENT] = llm_fault_row("upstream_invalid_event",
        "The provider sent an event that could not be read; the answer is "
        "not complete.",
        "server_error", INVALID, 502),

    [LLM_FAULT_TRUNCATED] = llm_fault_row("upstream_truncated",
        "The provider closed the stream before it was finished.",
        "server_error", TRUNCATED, 502),

    [LLM_FAULT_UPSTREAM_ERROR] = llm_fault_row("upstream_error",
        "The provider reported an error.",
        "server_error", UPSTREAM_ERROR, 502),

    [LLM_FAULT_TIMEOUT_HEADER] = llm_fault_row("upstream_timeout_header",
        "The provider did not answer in time.",
        "server_error", TIMEOUT, 504),

    [LLM_FAULT_TIMEOUT_FIRST] = llm_fault_row("upstream_timeout_first_event",
        "The provider accepted the request but sent no content in time.",
        "server_error", TIMEOUT, 504),

    [LLM_FAULT_TIMEOUT_IDLE] = llm_fault_row("upstream_timeout_idle",
        "The provider stopped sending before the answer was finished.",
        "server_error", TIMEOUT, 504),

    [LLM_FAULT_TOO_LONG] = llm_fault_row("stream_too_long",
        "The answer took longer than this server allows.",
        "server_error", LIMIT, 504),

    [LLM_FAULT_EVENT_TOO_LARGE] = llm_fault_row("event_too_large",
        "The provider sent an event larger than this server allows.",
        "server_error", LIMIT, 502),

    [LLM_FAULT_RESPONSE_TOO_LARGE] = llm_fault_row("response_too_large",
        "The answer is larger than this server gathers; ask for a stream "
        "instead.",
        "server_error", LIMIT, 502),

    [LLM_FAULT_BAD_JSON] = llm_fault_row("invalid_json",
        "The request body is not a JSON object.",
        "invalid_request_error", REJECTED, 400),

    [LLM_FAULT_BAD_REQUEST] = llm_fault_row("invalid_request",
        "The request is not valid.",
        "invalid_request_error", REJECTED, 400),

    [LLM_FAULT_UNSUPPORTED] = llm_fault_row("unsupported_parameter",
        "The provider cannot do what the request asks.",
        "invalid_request_error", REJECTED, 400),

    [LLM_FAULT_TOO_LARGE] = llm_fault_row("request_too_large",
        "The request body is larger than this server accepts.",
        "invalid_request_error", REJECTED, 413),

    [LLM_FAULT_METHOD] = llm_fault_row("method_not_allowed",
        "This method is not allowed here; send a POST request.",
        "invalid_request_error", REJECTED, 405),

    [LLM_FAULT_UNAUTHORIZED] = llm_fault_row("unauthorized",
        "The request was not authorized.",
        "authentication_error", REJECTED, 401),

    [LLM_FAULT_RATE_LIMIT] = llm_fault_row("rate_limit_exceeded",
        "Too many requests. Wait a moment and try again.",
        "rate_limit_error", LIMIT, 429),

    [LLM_FAULT_CLIENT_ABORT] = llm_fault_row("client_abort",
        "The client closed the connection.",
        "invalid_request_error", CLIENT_ABORT, 499),

    [LLM_FAULT_BUSY] = llm_fault_row("server_busy",
        "This server has no room for the request at the moment. Try again "
        "later.",
        "server_error", LIMIT, 503),

    [LLM_FAULT_SHUTDOWN] = llm_fault_row("server_shutdown",
        "This server is shutting down before the answer was finished. Try "
        "again.",
        "server_error", INTERNAL, 503),

    [LLM_FAULT_INTERNAL] = llm_fault_row("internal",
        "This server could not handle the request.",
        "server_error", INTERNAL, 500)
};


const llm_fault_info_t *
llm_fault_info(llm_fault_t fault)
{
    if ((unsigned) fault >= LLM_FAULT_MAX) {
        fault = LLM_FAULT_INTERNAL;
    }

    return &llm_faults[fault];
}


llm_fault_t
llm_fault_by_status(int status)
{
    switch (status) {

    case 401: case 403:
        return LLM_FAULT_UNAUTHORIZED;

    case 405:
        return LLM_FAULT_METHOD;

    case 413:
        return LLM_FAULT_TOO_LARGE;

    case 429:
        return LLM_FAULT_RATE_LIMIT;

    case 499:
        return LLM_FAULT_CLIENT_ABORT;

    case 502:
        return LLM_FAULT_CONNECT;

    case 503:
        return LLM_FAULT_BUSY;

    case 504:
        return LLM_FAULT_TIMEOUT_HEADER;

    default:
        return status >= 400 && status < 500 ? LLM_FAULT_BAD_REQUEST
                                             : LLM_FAULT_INTERNAL;
    }
}


llm_slice_t
llm_end_name(llm_end_t end)
{
    return llm_end_names[end];
}
