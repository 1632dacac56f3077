/*
 * llm_stream_status in JSON: the same numbers as for Prometheus, series by
 * series, with percentiles.  docs/metrics.md has its shape; members are only
 * ever added to a version.  It must stay JSON whatever a label is.
 */

#include "ngx_llm_stream_status.h"

#include "llm_write.h"


#define NGX_LLM_STREAM_JSON_VERSION  1


static void ngx_llm_stream_json_series(ngx_llm_stream_text_t *text,
    ngx_llm_stream_series_t *labels, llm_counts_t *counts, int64_t open);
static void ngx_llm_stream_json_label(ngx_llm_stream_text_t *text,
    const char *name, const ngx_str_t *value);
static llm_rc_t ngx_llm_stream_json_more(llm_out_t *out);
static void ngx_llm_stream_json_ends(ngx_llm_stream_text_t *text,
    llm_counts_t *counts);
static void ngx_llm_stream_json_counts(ngx_llm_stream_text_t *text,
    llm_counts_t *counts);
static ngx_uint_t ngx_llm_stream_json_same(const llm_slice_t *a,
    const llm_slice_t *b);
static void ngx_llm_stream_json_name(ngx_llm_stream_text_t *text,
    const llm_slice_t *name, const char *unit);
static void ngx_llm_stream_json_hist(ngx_llm_stream_text_t *text,
    llm_hist_id_t id, const llm_hist_t *h);
static void ngx_llm_stream_json_quantile(ngx_llm_stream_text_t *text,
    llm_hist_id_t id, const llm_hist_t *h, ngx_uint_t percent);


/* where llm_write_string() writes to */
typedef struct {
    llm_out_t                      out;         /* first */
    ngx_llm_stream_text_t         *text;
    llm_u8                         room[256];
} ngx_llm_stream_json_out_t;


void
ngx_llm_stream_status_json(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_text_t *text)
{
    int64_t                   open;
    ngx_uint_t                i, n;
    llm_counts_t              counts;
    ngx_llm_stream_series_t   labels;

    n = ngx_llm_stream_zone_series(zone);

    ngx_llm_stream_text(text, "{\"version\":%d,\"age\":",
                        NGX_LLM_STREAM_JSON_VERSION);
    ngx_llm_stream_text_scaled(text, ngx_llm_stream_zone_age(zone), 1000);
    ngx_llm_stream_text(text, ",\"zone\":{\"series\":%ui,\"lost\":%uL},"
                        "\"series\":[", n, ngx_llm_stream_zone_lost(zone));

    for (i = 0; i < n; i++) {
        ngx_llm_stream_zone_read(zone, i, &labels, &counts, &open);

        ngx_llm_stream_text(text, i ? ",\n" : "\n");
        ngx_llm_stream_json_series(text, &labels, &counts, open);
    }

    ngx_llm_stream_text(text, "\n]}\n");
}


static void
ngx_llm_stream_json_series(ngx_llm_stream_text_t *text,
    ngx_llm_stream_series_t *labels, llm_counts_t *counts, int64_t open)
{
    ngx_uint_t  i;

    ngx_llm_stream_text(text, "{");
    ngx_llm_stream_json_label(text, "server", &labels->server);
    ngx_llm_stream_text(text, ",");
    ngx_llm_stream_json_label(text, "location", &labels->location);
    ngx_llm_stream_text(text, ",");
    ngx_llm_stream_json_label(text, "upstream", &labels->upstream);
    ngx_llm_stream_text(text, ",");
    ngx_llm_stream_json_label(text, "model", &labels->model);

    /* known of locations, not of models */

    if (open < 0) {
        ngx_llm_stream_text(text, ",\"open\":null");

    } else {
        ngx_llm_stream_text(text, ",\"open\":%L", open);
    }

    ngx_llm_stream_json_ends(text, counts);
    ngx_llm_stream_json_counts(text, counts);

    for (i = 0; i < LLM_HIST_MAX; i++) {
        ngx_llm_stream_json_hist(text, i, &counts->hist[i]);
    }

    ngx_llm_stream_text(text, "}");
}


static void
ngx_llm_stream_json_label(ngx_llm_stream_text_t *text, const char *name,
    const ngx_str_t *value)
{
    ngx_str_t                  label;
    llm_slice_t                slice;
    ngx_llm_stream_json_out_t  jo;

    label = ngx_llm_stream_text_label(text, value);

    slice.p = label.len ? label.data : (const llm_u8 *) "";
    slice.n = label.len;
    slice.escaped = 0;

    jo.text = text;
    jo.out.pos = jo.room;
    jo.out.end = jo.room + sizeof(jo.room);
    jo.out.more = ngx_llm_stream_json_more;
    jo.out.ctx = &jo;
    jo.out.failed = 0;

    ngx_llm_stream_text(text, "\"%s\":", name);

    llm_write_string(&jo.out, &slice, 1);

    ngx_llm_stream_json_more(&jo.out);
}


/* Called when the room is full, and at the end. */

static llm_rc_t
ngx_llm_stream_json_more(llm_out_t *out)
{
    ngx_llm_stream_json_out_t *jo = out->ctx;

    ngx_llm_stream_text_put(jo->text, jo->room, out->pos - jo->room);
    out->pos = jo->room;

    return LLM_OK;
}


static void
ngx_llm_stream_json_ends(ngx_llm_stream_text_t *text, llm_counts_t *counts)
{
    ngx_uint_t   i;
    llm_slice_t  word;

    for (i = 0; i < LLM_END_MAX; i++) {
        word = llm_end_name(i);

        ngx_llm_stream_text(text, "%s\"%*s\":%uL",
                            i ? "," : ",\"requests\":{", word.n, word.p,
                            counts->end[i]);
    }

    for (i = LLM_FAULT_NONE + 1; i < LLM_FAULT_MAX; i++) {
        word = llm_fault_info(i)->code;

        ngx_llm_stream_text(text, "%s\"%*s\":%uL",
                            i > LLM_FAULT_NONE + 1 ? "," : "},\"errors\":{",
                            word.n, word.p, counts->error[i]);
    }

    ngx_llm_stream_text(text, "}");
}


/* A metric without labels is a number, one label makes it an object of
 * numbers, two an object of those.  Rows of one metric are adjacent. */

static void
ngx_llm_stream_json_counts(ngx_llm_stream_text_t *text, llm_counts_t *counts)
{
    ngx_uint_t               i, more, again;
    const llm_count_info_t  *row, *next;

    static const llm_count_info_t  none;

    again = 0;          /* the row goes on with the object of the one before */
    more = 0;           /* ... with that within it */

    for (i = 0; i < LLM_COUNT_MAX; i++) {

        row = &llm_count_infos[i];
        next = (i + 1 < LLM_COUNT_MAX) ? row + 1 : &none;

        ngx_llm_stream_text(text, ",");

        if (!again) {
            ngx_llm_stream_json_name(text, &row->name, "_total");
            ngx_llm_stream_text(text, row->label.p ? "{" : "");
        }

        if (row->label.p && !more) {
            ngx_llm_stream_json_name(text, &row->value, "");
            ngx_llm_stream_text(text, row->label2.p ? "{" : "");
        }

        if (row->label2.p) {
            ngx_llm_stream_json_name(text, &row->value2, "");
        }

        ngx_llm_stream_text(text, "%uL", counts->n[i]);

        again = ngx_llm_stream_json_same(&row->name, &next->name);
        more = again && ngx_llm_stream_json_same(&row->value, &next->value);

        ngx_llm_stream_text(text, "%s%s", row->label2.p && !more ? "}" : "",
                            row->label.p && !again ? "}" : "");
    }
}


static ngx_uint_t
ngx_llm_stream_json_same(const llm_slice_t *a, const llm_slice_t *b)
{
    return a->n == b->n && ngx_memcmp(a->p, b->p, a->n) == 0;
}


/* The name of a member: without the unit at its end, if it has that. */

static void
ngx_llm_stream_json_name(ngx_llm_stream_text_t *text, const llm_slice_t *name,
    const char *unit)
{
    size_t  n, len;

    n = name->n;
    len = ngx_strlen(unit);

    if (n > len && ngx_memcmp(name->p + n - len, unit, len) == 0) {
        n -= len;
    }

    ngx_llm_stream_text(text, "\"%*s\":", n, name->p);
}


static void
ngx_llm_stream_json_hist(ngx_llm_stream_text_t *text, llm_hist_id_t id,
    const llm_hist_t *h)
{
    uint64_t                count;
    ngx_uint_t              i;
    const llm_hist_info_t  *info;

    info = &llm_hist_infos[id];

    ngx_llm_stream_text(text, ",");
    ngx_llm_stream_json_name(text, &info->name, "_seconds");
    ngx_llm_stream_text(text, "{\"count\":%uL,\"sum\":", llm_hist_count(h));
    ngx_llm_stream_text_scaled(text, h->sum, info->scale);

    ngx_llm_stream_json_quantile(text, id, h, 50);
    ngx_llm_stream_json_quantile(text, id, h, 90);
    ngx_llm_stream_json_quantile(text, id, h, 99);

    ngx_llm_stream_text(text, ",\"buckets\":[");
    count = 0;

    for (i = 0; i < info->n; i++) {
        count += h->bucket[i];

        ngx_llm_stream_text(text, "{\"le\":");
        ngx_llm_stream_text_scaled(text, info->bounds[i], info->scale);
        ngx_llm_stream_text(text, ",\"count\":%uL},", count);
    }

    ngx_llm_stream_text(text, "{\"le\":null,\"count\":%uL}]}",
                        count + h->bucket[i]);
}


static void
ngx_llm_stream_json_quantile(ngx_llm_stream_text_t *text, llm_hist_id_t id,
    const llm_hist_t *h, ngx_uint_t percent)
{
    double  value;

    value = llm_hist_quantile(h, id, (double) percent / 100);

    if (value < 0) {
        ngx_llm_stream_text(text, ",\"p%ui\":null", percent);
        return;
    }

    ngx_llm_stream_text(text, ",\"p%ui\":%.6f", percent,
                        value / llm_hist_infos[id].scale);
}
