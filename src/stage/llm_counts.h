/*
 * What is counted of streams: one row a metric, for everything that shows
 * them.  Only numbers: whose they are (location, model) the keeper knows.
 */

#ifndef LLM_COUNTS_H
#define LLM_COUNTS_H

#include "llm_fault.h"
#include "llm_hist.h"


typedef enum {
    LLM_COUNT_STREAMING = 0,        /* requests that asked for a stream */
    LLM_COUNT_PARALLEL,             /* later: always 0 */
    LLM_COUNT_CACHE_EXACT,          /* later: always 0 */
    LLM_COUNT_CACHE_SEMANTIC,       /* later: always 0 */

    LLM_COUNT_INPUT_USAGE,          /* tokens, the provider's word */
    LLM_COUNT_INPUT_ESTIMATE,
    LLM_COUNT_OUTPUT_USAGE,
    LLM_COUNT_OUTPUT_ESTIMATE,
    LLM_COUNT_CACHED,               /* part of the input; usage only */
    LLM_COUNT_REASONING,            /* part of the output; usage only */

    LLM_COUNT_CHUNKS,
    LLM_COUNT_CHARS,
    LLM_COUNT_BYTES_IN,             /* of providers' answers */
    LLM_COUNT_BYTES_OUT,            /* of bodies, to clients */

    LLM_COUNT_ERR_CONNECT,          /* attempts: refused, DNS, TLS, no peer */
    LLM_COUNT_ERR_TIMEOUT,
    LLM_COUNT_ERR_AUTH,             /* no token */
    LLM_COUNT_ERR_429,
    LLM_COUNT_ERR_4XX,              /* others */
    LLM_COUNT_ERR_5XX,
    LLM_COUNT_ERR_STREAM,           /* an error event in a stream */
    LLM_COUNT_ERR_TRUNCATED,
    LLM_COUNT_ERR_INVALID,          /* what came is no answer */

    LLM_COUNT_RETRIES,              /* attempts beyond the first */
    LLM_COUNT_HEARTBEATS,
    LLM_COUNT_LIMITED,              /* refused by llm_stream_limit */
    LLM_COUNT_REDACTED,             /* matches of llm_stream_redact */
    LLM_COUNT_MAX
} llm_count_id_t;

/*
 * Rows of one metric are adjacent.  label and label2 are null slices where a
 * metric has none.  e.g. "tokens_total", "type" "input", "source" "usage".
 */
typedef struct {
    llm_slice_t     name;           /* without "nginx_llm_stream_" */
    llm_slice_t     help;           /* one sentence */
    llm_slice_t     label;
    llm_slice_t     value;
    llm_slice_t     label2;
    llm_slice_t     value2;
} llm_count_info_t;

/* All of one series: plain 64-bit numbers, one writer. */
typedef struct {
    uint64_t        end[LLM_END_MAX];       /* requests, by $llm_stream_end */
    uint64_t        error[LLM_FAULT_MAX];   /* requests, by
                                               $llm_stream_error */
    uint64_t        n[LLM_COUNT_MAX];
    llm_hist_t      hist[LLM_HIST_MAX];
} llm_counts_t;


extern const llm_count_info_t  llm_count_infos[LLM_COUNT_MAX];

/*
 * The LLM_COUNT_ERR_* of an attempt that ended like that; LLM_COUNT_MAX: the
 * provider did not fail.  An error status has one of its own.
 */
llm_count_id_t llm_counts_of_fault(llm_fault_t fault);
llm_count_id_t llm_counts_of_status(int status);

/* dst += src */
void llm_counts_merge(llm_counts_t *dst, const llm_counts_t *src);


#endif /* LLM_COUNTS_H */
