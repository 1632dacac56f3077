/*
 * The JSON writer: the wire library's escaper, a file as its sink.
 */

#include <inttypes.h>
#include <math.h>

#include "bench_json.h"
#include "bench_memory.h"
#include "llm_utf8.h"
#include "llm_write.h"


static llm_rc_t
bench_json_more(llm_out_t *out)
{
    size_t         n;
    bench_json_t  *j;

    j = out->ctx;
    n = (size_t) (out->pos - j->buf);

    if (fwrite(j->buf, 1, n, j->file) != n) {
        return LLM_FAILED;
    }

    out->pos = j->buf;
    out->end = j->buf + sizeof(j->buf);

    return LLM_OK;
}


void
bench_json_open(bench_json_t *j, FILE *file)
{
    j->file = file;
    j->comma = 0;
    j->out.pos = j->buf;
    j->out.end = j->buf + sizeof(j->buf);
    j->out.more = bench_json_more;
    j->out.ctx = j;
    j->out.failed = 0;
}


int
bench_json_close(bench_json_t *j)
{
    llm_out_lit(&j->out, "\n");

    if (j->out.failed || bench_json_more(&j->out) != LLM_OK
        || fflush(j->file) != 0)
    {
        return -1;
    }

    return 0;
}


/* A string with its quotes. */
static void
bench_json_text(bench_json_t *j, const char *text)
{
    size_t         n;
    llm_block_t    whole;
    const llm_u8  *p;

    n = strlen(text);
    p = (const llm_u8 *) text;
    whole = (llm_block_t) { NULL, 0, 0 };

    llm_out_lit(&j->out, "\"");

    if (!(llm_utf8_check(p, n) & LLM_UTF8_INVALID)) {
        llm_write_escaped(&j->out, p, n);

    } else {
        (void) llm_utf8_repair(&whole, &bench_allocator, p, n);
        llm_write_escaped(&j->out, whole.p, whole.n);
    }

    llm_block_free(&whole, &bench_allocator);
    llm_out_lit(&j->out, "\"");
}


/* What stands in front of every value. */
static void
bench_json_key(bench_json_t *j, const char *key)
{
    if (j->comma) {
        llm_out_lit(&j->out, ",");
    }

    if (key) {
        bench_json_text(j, key);
        llm_out_lit(&j->out, ":");
    }

    j->comma = 1;
}


void
bench_json_begin(bench_json_t *j, const char *key, const char *open)
{
    bench_json_key(j, key);
    llm_out(&j->out, open, 1);
    j->comma = 0;
}


void
bench_json_end(bench_json_t *j, const char *close)
{
    llm_out(&j->out, close, 1);
    j->comma = 1;
}


void
bench_json_string(bench_json_t *j, const char *key, const char *value)
{
    if (value == NULL) {
        bench_json_null(j, key);
        return;
    }

    bench_json_key(j, key);
    bench_json_text(j, value);
}


void
bench_json_uint(bench_json_t *j, const char *key, uint64_t value)
{
    int   n;
    char  text[24];

    n = snprintf(text, sizeof(text), "%" PRIu64, value);
    bench_json_key(j, key);
    llm_out(&j->out, text, (size_t) n);
}


void
bench_json_number(bench_json_t *j, const char *key, double value)
{
    int   n;
    char  text[40];

    if (!isfinite(value)) {
        bench_json_null(j, key);
        return;
    }

    n = snprintf(text, sizeof(text), "%.15g", value);
    bench_json_key(j, key);
    llm_out(&j->out, text, (size_t) n);
}


void
bench_json_null(bench_json_t *j, const char *key)
{
    bench_json_key(j, key);
    llm_out_lit(&j->out, "null");
}


void
bench_json_flag(bench_json_t *j, const char *key, int value)
{
    bench_json_key(j, key);

    if (value) {
        llm_out_lit(&j->out, "true");

    } else {
        llm_out_lit(&j->out, "false");
    }
}


void
bench_json_hist(bench_json_t *j, const char *key, const bench_hist_t *h,
    double scale)
{
    size_t    i;
    int64_t   edge;
    uint64_t  count;

    static const struct {
        const char  *key;
        double       p;
    } rows[] = {
        { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "p99.9", 99.9 }
    };

    bench_json_begin(j, key, "{");
    bench_json_uint(j, "count", h->count);

    /* of nothing there is no mean: NaN is written as null */
    bench_json_number(j, "mean", h->count ? bench_hist_mean(h) / scale : NAN);
    bench_json_number(j, "min", h->count ? (double) h->min / scale : NAN);
    bench_json_number(j, "max", h->count ? (double) h->max / scale : NAN);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bench_json_number(j, rows[i].key, h->count
                          ? (double) bench_hist_percentile(h, rows[i].p)
                            / scale
                          : NAN);
    }

    bench_json_begin(j, "hist", "[");
    i = 0;

    while (bench_hist_next(h, &i, &edge, &count)) {
        bench_json_begin(j, NULL, "[");
        bench_json_number(j, NULL, (double) edge / scale);
        bench_json_uint(j, NULL, count);
        bench_json_end(j, "]");
    }

    bench_json_end(j, "]");
    bench_json_end(j, "}");
}
