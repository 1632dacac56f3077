/*
 * Histograms: their bounds, and the arithmetic.  It must never know whose
 * values they are.
 */

#include "llm_hist.h"


#define llm_hist_str(lit)                                                   \
    { (const llm_u8 *) (lit), sizeof(lit) - 1, 0 }


const llm_hist_info_t  llm_hist_infos[LLM_HIST_MAX] = {

    [LLM_HIST_TTFT] = {
        llm_hist_str("time_to_first_token_seconds"),
        llm_hist_str("Time from the request sent to the provider to the "
                     "first content of its answer."),
        1000, 19,
        { 1, 5, 10, 20, 40, 60, 80, 100, 250, 500, 750, 1000, 2500, 5000,
          7500, 10000, 30000, 60000, 120000 } },

    [LLM_HIST_ITL] = {
        llm_hist_str("inter_token_latency_seconds"),
        llm_hist_str("Gap between two successive chunks of content."),
        1000, 17,
        { 1, 5, 10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000,
          2500, 5000, 10000 } },

    [LLM_HIST_DURATION] = {
        llm_hist_str("request_duration_seconds"),
        llm_hist_str("Time from the request received to the end of its "
                     "answer."),
        1000, 17,
        { 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480,
          40960, 81920, 163840, 327680, 655360 } },

    [LLM_HIST_CHUNK_SIZE] = {
        llm_hist_str("chunk_size_characters"),
        llm_hist_str("Characters of a chunk of content."),
        1, 12,
        { 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096 } },

    [LLM_HIST_CHARS_PER_SECOND] = {
        llm_hist_str("characters_per_second"),
        llm_hist_str("Characters per second between the first and the last "
                     "chunk of an answer."),
        1, 12,
        { 5, 10, 25, 50, 100, 200, 400, 800, 1600, 3200, 6400, 12800 } },

    [LLM_HIST_HELD] = {
        llm_hist_str("held_bytes"),
        llm_hist_str("Most bytes of an answer held back at once by "
                     "llm_stream_coalesce, _stop and _redact."),
        1, 8,
        { 4, 16, 64, 256, 1024, 4096, 16384, 65536 } }
};


void
llm_hist_add(llm_hist_t *h, llm_hist_id_t id, int64_t value)
{
    unsigned                i;
    const llm_hist_info_t  *info;

    info = &llm_hist_infos[id];

    if (value < 0) {
        value = 0;
    }

    for (i = 0; i < info->n && value > info->bounds[i]; i++) {
        /* void */
    }

    h->bucket[i]++;
    h->sum += (uint64_t) value;
}


void
llm_hist_merge(llm_hist_t *dst, const llm_hist_t *src)
{
    unsigned  i;

    dst->sum += src->sum;

    for (i = 0; i < LLM_HIST_BUCKETS; i++) {
        dst->bucket[i] += src->bucket[i];
    }
}


uint64_t
llm_hist_count(const llm_hist_t *h)
{
    unsigned  i;
    uint64_t  n;

    n = 0;

    for (i = 0; i < LLM_HIST_BUCKETS; i++) {
        n += h->bucket[i];
    }

    return n;
}


double
llm_hist_quantile(const llm_hist_t *h, llm_hist_id_t id, double q)
{
    double                  rank, below, low, high;
    unsigned                i;
    const llm_hist_info_t  *info;

    info = &llm_hist_infos[id];
    rank = q * (double) llm_hist_count(h);
    below = 0;

    if (llm_hist_count(h) == 0) {
        return -1;
    }

    for (i = 0; i < info->n; i++) {

        if (h->bucket[i] != 0 && below + (double) h->bucket[i] >= rank) {
            low = i == 0 ? 0 : info->bounds[i - 1];
            high = info->bounds[i];

            return low + (high - low) * (rank - below)
                         / (double) h->bucket[i];
        }

        below += (double) h->bucket[i];
    }

    return info->bounds[info->n - 1];
}
