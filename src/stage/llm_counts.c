/*
 * The table of counts: the words of each.  It must never count.
 */

#include "llm_counts.h"


#define llm_counts_str(lit)                                                 \
    { (const llm_u8 *) (lit), sizeof(lit) - 1, 0 }

#define llm_counts_row(name, help)                                          \
    { llm_counts_str(name), llm_counts_str(help),                           \
      { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 } }

#define llm_counts_row1(name, help, label, value)                           \
    { llm_counts_str(name), llm_counts_str(help), llm_counts_str(label),    \
      llm_counts_str(value), { NULL, 0, 0 }, { NULL, 0, 0 } }

#define llm_counts_row2(name, help, label, value, label2, value2)           \
    { llm_counts_str(name), llm_counts_str(help), llm_counts_str(label),    \
      llm_counts_str(value), llm_counts_str(label2), llm_counts_str(value2) }

#define llm_counts_cache(type)                                              \
    llm_counts_row1("cache_hits_total",                                     \
        "Requests answered from a cache.", "type", type)

#define llm_counts_tokens(type, source)                                     \
    llm_counts_row2("tokens_total",                                         \
        "Tokens of prompts and answers, as the provider says or as "        \
        "estimated. Cached tokens are part of the input, reasoning is "     \
        "part of the output.", "type", type, "source", source)

#define llm_counts_upstream(kind)                                           \
    llm_counts_row1("upstream_errors_total",                                \
        "Attempts at a provider that failed, also those after which "       \
        "another was made.", "class", kind)


const llm_count_info_t  llm_count_infos[LLM_COUNT_MAX] = {

    [LLM_COUNT_STREAMING] = llm_counts_row("streaming_requests_total",
        "Requests of clients that asked for a stream."),

    [LLM_COUNT_PARALLEL] = llm_counts_row("parallel_requests_total",
        "Requests sent to several providers at once."),

    [LLM_COUNT_CACHE_EXACT]     = llm_counts_cache("exact"),
    [LLM_COUNT_CACHE_SEMANTIC]  = llm_counts_cache("semantic"),

    [LLM_COUNT_INPUT_USAGE]     = llm_counts_tokens("input", "usage"),
    [LLM_COUNT_INPUT_ESTIMATE]  = llm_counts_tokens("input", "estimate"),
    [LLM_COUNT_OUTPUT_USAGE]    = llm_counts_tokens("output", "usage"),
    [LLM_COUNT_OUTPUT_ESTIMATE] = llm_counts_tokens("output", "estimate"),
    [LLM_COUNT_CACHED]          = llm_counts_tokens("cached", "usage"),
    [LLM_COUNT_REASONING]       = llm_counts_tokens("reasoning", "usage"),

    [LLM_COUNT_CHUNKS] = llm_counts_row("chunks_total",
        "Events with content that providers sent."),

    [LLM_COUNT_CHARS] = llm_counts_row("characters_total",
        "Characters of text, reasoning and refusals that providers sent."),

    [LLM_COUNT_BYTES_IN] = llm_counts_row("received_bytes_total",
        "Bytes of the bodies of providers' answers, of the last attempt of "
        "each request."),

    [LLM_COUNT_BYTES_OUT] = llm_counts_row("sent_bytes_total",
        "Bytes of the bodies of answers to clients."),

    [LLM_COUNT_ERR_CONNECT]     = llm_counts_upstream("connect"),
    [LLM_COUNT_ERR_TIMEOUT]     = llm_counts_upstream("timeout"),
    [LLM_COUNT_ERR_AUTH]        = llm_counts_upstream("auth"),
    [LLM_COUNT_ERR_429]         = llm_counts_upstream("http_429"),
    [LLM_COUNT_ERR_4XX]         = llm_counts_upstream("http_4xx"),
    [LLM_COUNT_ERR_5XX]         = llm_counts_upstream("http_5xx"),
    [LLM_COUNT_ERR_STREAM]      = llm_counts_upstream("stream_error"),
    [LLM_COUNT_ERR_TRUNCATED]   = llm_counts_upstream("truncated"),
    [LLM_COUNT_ERR_INVALID]     = llm_counts_upstream("invalid"),

    [LLM_COUNT_RETRIES] = llm_counts_row("retries_total",
        "Attempts at a provider beyond the first of a request."),

    [LLM_COUNT_HEARTBEATS] = llm_counts_row("heartbeats_total",
        "Heartbeats sent to clients."),

    [LLM_COUNT_LIMITED] = llm_counts_row("limit_rejections_total",
        "Requests refused by llm_stream_limit."),

    [LLM_COUNT_REDACTED] = llm_counts_row("redactions_total",
        "Matches of llm_stream_redact.")
};


llm_count_id_t
llm_counts_of_fault(llm_fault_t fault)
{
    switch (fault) {

    case LLM_FAULT_CONNECT: case LLM_FAULT_DNS: case LLM_FAULT_UNAVAILABLE:
    case LLM_FAULT_TLS: case LLM_FAULT_TLS_VERIFY:
        return LLM_COUNT_ERR_CONNECT;

    case LLM_FAULT_CONNECT_TIMEOUT: case LLM_FAULT_TIMEOUT_HEADER:
    case LLM_FAULT_TIMEOUT_FIRST: case LLM_FAULT_TIMEOUT_IDLE:
    case LLM_FAULT_TOO_LONG:
        return LLM_COUNT_ERR_TIMEOUT;

    case LLM_FAULT_AUTH:
        return LLM_COUNT_ERR_AUTH;

    case LLM_FAULT_UPSTREAM_ERROR:
        return LLM_COUNT_ERR_STREAM;

    case LLM_FAULT_RESET: case LLM_FAULT_EMPTY: case LLM_FAULT_TRUNCATED:
        return LLM_COUNT_ERR_TRUNCATED;

    case LLM_FAULT_PROTOCOL: case LLM_FAULT_CONTENT_TYPE:
    case LLM_FAULT_ENCODING: case LLM_FAULT_REDIRECT:
    case LLM_FAULT_INVALID_STREAM: case LLM_FAULT_INVALID_EVENT:
    case LLM_FAULT_EVENT_TOO_LARGE: case LLM_FAULT_RESPONSE_TOO_LARGE:
        return LLM_COUNT_ERR_INVALID;

    default:
        return LLM_COUNT_MAX;
    }
}


llm_count_id_t
llm_counts_of_status(int status)
{
    if (status == 429) {
        return LLM_COUNT_ERR_429;
    }

    return status >= 500 ? LLM_COUNT_ERR_5XX
                         : status >= 400 ? LLM_COUNT_ERR_4XX : LLM_COUNT_MAX;
}


void
llm_counts_merge(llm_counts_t *dst, const llm_counts_t *src)
{
    unsigned  i;

    for (i = 0; i < LLM_END_MAX; i++) {
        dst->end[i] += src->end[i];
    }

    for (i = 0; i < LLM_FAULT_MAX; i++) {
        dst->error[i] += src->error[i];
    }

    for (i = 0; i < LLM_COUNT_MAX; i++) {
        dst->n[i] += src->n[i];
    }

    for (i = 0; i < LLM_HIST_MAX; i++) {
        llm_hist_merge(&dst->hist[i], &src->hist[i]);
    }
}
