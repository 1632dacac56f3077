/*
 * Histograms of fixed buckets: how many values were at most each bound, and
 * their sum.  No locks and no memory of its own: one writer, any readers,
 * who may see a value in its bucket before they see it in the sum.
 *
 * Bounds follow OpenTelemetry's advice for gen_ai metrics where it has some,
 * and go on above it, since answers with reasoning take minutes.
 */

#ifndef LLM_HIST_H
#define LLM_HIST_H

#include "llm_wire.h"


#define LLM_HIST_BUCKETS  24        /* the last used is "all above" */

typedef enum {
    LLM_HIST_TTFT = 0,              /* ms, of a request */
    LLM_HIST_ITL,                   /* ms, of a gap between two chunks */
    LLM_HIST_DURATION,              /* ms, of a request */
    LLM_HIST_CHUNK_SIZE,            /* characters, of a chunk */
    LLM_HIST_CHARS_PER_SECOND,      /* of a request, first to last chunk */
    LLM_HIST_HELD,                  /* bytes held back at most, of a request
                                       that held some */
    LLM_HIST_MAX
} llm_hist_id_t;

typedef struct {
    llm_slice_t     name;           /* "time_to_first_token_seconds" */
    llm_slice_t     help;           /* one sentence */
    unsigned        scale;          /* 1000: kept in ms, shown in seconds; 1 */
    unsigned        n;              /* bounds, ascending, < BUCKETS */
    uint32_t        bounds[LLM_HIST_BUCKETS - 1];
} llm_hist_info_t;

typedef struct {
    uint64_t        sum;
    uint64_t        bucket[LLM_HIST_BUCKETS];   /* not cumulative */
} llm_hist_t;


/* The bounds and the words of a histogram; by llm_hist_id_t. */
extern const llm_hist_info_t  llm_hist_infos[LLM_HIST_MAX];

/* One value more.  Values below 0 count as 0. */
void llm_hist_add(llm_hist_t *h, llm_hist_id_t id, int64_t value);

/* dst += src, bucket by bucket. */
void llm_hist_merge(llm_hist_t *dst, const llm_hist_t *src);

/* Values in all buckets. */
uint64_t llm_hist_count(const llm_hist_t *h);

/*
 * The value below which the share q (0 to 1) of all values is, interpolated
 * within its bucket, as PromQL's histogram_quantile() does: above the last
 * bound it is that bound.  In the units kept; -1 without values.
 */
double llm_hist_quantile(const llm_hist_t *h, llm_hist_id_t id, double q);


#endif /* LLM_HIST_H */
