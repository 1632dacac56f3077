/*
 * llm_stream_status in Prometheus' text format, version 0.0.4: all series of
 * a metric are together, so what the zone holds is read once, before.  It
 * must never write a label as it came.
 */

#include "ngx_llm_stream_status.h"


#define NGX_LLM_STREAM_METRIC  "nginx_llm_stream_"


/* A series as it was read. */
typedef struct {
    ngx_str_t                      place;       /* its labels as they are
                                                   written; not the model */
    ngx_str_t                      labels;      /* all of them */
    llm_counts_t                   counts;
    int64_t                        open;
} ngx_llm_stream_status_series_t;

typedef struct {
    ngx_llm_stream_text_t           *text;
    ngx_llm_stream_status_series_t  *series;
    ngx_uint_t                       n;
} ngx_llm_stream_prometheus_t;


static ngx_int_t ngx_llm_stream_prometheus_read(
    ngx_llm_stream_prometheus_t *prom, ngx_llm_stream_zone_t *zone);
static ngx_int_t ngx_llm_stream_prometheus_labels(ngx_llm_stream_text_t *text,
    ngx_llm_stream_status_series_t *s, ngx_llm_stream_series_t *labels);
static u_char *ngx_llm_stream_prometheus_label(u_char *p, const char *name,
    ngx_str_t *value);
static void ngx_llm_stream_prometheus_head(ngx_llm_stream_prometheus_t *prom,
    const llm_slice_t *name, const char *help, size_t len, const char *type);
static void ngx_llm_stream_prometheus_line(ngx_llm_stream_prometheus_t *prom,
    const llm_slice_t *name, const char *suffix, const ngx_str_t *labels);
static void ngx_llm_stream_prometheus_ends(ngx_llm_stream_prometheus_t *prom);
static void ngx_llm_stream_prometheus_errors(
    ngx_llm_stream_prometheus_t *prom);
static void ngx_llm_stream_prometheus_counts(
    ngx_llm_stream_prometheus_t *prom);
static void ngx_llm_stream_prometheus_count(ngx_llm_stream_prometheus_t *prom,
    const llm_count_info_t *info, ngx_llm_stream_status_series_t *s,
    uint64_t n);
static void ngx_llm_stream_prometheus_open(ngx_llm_stream_prometheus_t *prom);
static void ngx_llm_stream_prometheus_hist(ngx_llm_stream_prometheus_t *prom,
    llm_hist_id_t id);
static void ngx_llm_stream_prometheus_buckets(
    ngx_llm_stream_prometheus_t *prom, llm_hist_id_t id,
    ngx_llm_stream_status_series_t *s);
static void ngx_llm_stream_prometheus_zone(ngx_llm_stream_prometheus_t *prom,
    ngx_llm_stream_zone_t *zone);


#define ngx_llm_stream_prometheus_title(prom, name, lit, type)              \
    ngx_llm_stream_prometheus_head(prom, name, lit, sizeof(lit) - 1, type)


void
ngx_llm_stream_status_prometheus(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_text_t *text)
{
    ngx_uint_t                   i;
    ngx_llm_stream_prometheus_t  prom;

    prom.text = text;

    if (ngx_llm_stream_prometheus_read(&prom, zone) != NGX_OK) {
        text->failed = 1;
        return;
    }

    ngx_llm_stream_prometheus_ends(&prom);
    ngx_llm_stream_prometheus_errors(&prom);
    ngx_llm_stream_prometheus_counts(&prom);
    ngx_llm_stream_prometheus_open(&prom);

    for (i = 0; i < LLM_HIST_MAX; i++) {
        ngx_llm_stream_prometheus_hist(&prom, i);
    }

    ngx_llm_stream_prometheus_zone(&prom, zone);
}


static ngx_int_t
ngx_llm_stream_prometheus_read(ngx_llm_stream_prometheus_t *prom,
    ngx_llm_stream_zone_t *zone)
{
    ngx_uint_t                       i;
    ngx_llm_stream_series_t          labels;
    ngx_llm_stream_status_series_t  *s;

    prom->n = ngx_llm_stream_zone_series(zone);

    prom->series = ngx_palloc(prom->text->pool, (prom->n + 1)
                              * sizeof(ngx_llm_stream_status_series_t));
    if (prom->series == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < prom->n; i++) {

        s = &prom->series[i];

        ngx_llm_stream_zone_read(zone, i, &labels, &s->counts, &s->open);

        if (ngx_llm_stream_prometheus_labels(prom->text, s, &labels)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_prometheus_labels(ngx_llm_stream_text_t *text,
    ngx_llm_stream_status_series_t *s, ngx_llm_stream_series_t *labels)
{
    u_char     *p;
    size_t      size;
    ngx_str_t   server, location, upstream, model;

    server = ngx_llm_stream_text_label(text, &labels->server);
    location = ngx_llm_stream_text_label(text, &labels->location);
    upstream = ngx_llm_stream_text_label(text, &labels->upstream);
    model = ngx_llm_stream_text_label(text, &labels->model);

    size = sizeof("server=\"\",location=\"\",upstream=\"\",model=\"\"") - 1
           + 2 * (server.len + location.len + upstream.len + model.len);

    p = ngx_pnalloc(text->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    s->labels.data = p;
    s->place.data = p;

    p = ngx_llm_stream_prometheus_label(p, "server", &server);
    *p++ = ',';
    p = ngx_llm_stream_prometheus_label(p, "location", &location);
    *p++ = ',';
    p = ngx_llm_stream_prometheus_label(p, "upstream", &upstream);

    s->place.len = p - s->place.data;

    *p++ = ',';
    p = ngx_llm_stream_prometheus_label(p, "model", &model);

    s->labels.len = p - s->labels.data;

    return NGX_OK;
}


/* name="value": a backslash, a quote and a line feed are escaped. */

static u_char *
ngx_llm_stream_prometheus_label(u_char *p, const char *name, ngx_str_t *value)
{
    size_t  i;

    p = ngx_cpymem(p, name, ngx_strlen(name));
    *p++ = '=';
    *p++ = '"';

    for (i = 0; i < value->len; i++) {

        switch (value->data[i]) {

        case '\\':
        case '"':
            *p++ = '\\';
            *p++ = value->data[i];
            break;

        case '\n':
            *p++ = '\\';
            *p++ = 'n';
            break;

        default:
            *p++ = value->data[i];
            break;
        }
    }

    *p++ = '"';

    return p;
}


static void
ngx_llm_stream_prometheus_head(ngx_llm_stream_prometheus_t *prom,
    const llm_slice_t *name, const char *help, size_t len, const char *type)
{
    ngx_llm_stream_text(prom->text, "# HELP " NGX_LLM_STREAM_METRIC "%*s ",
                        name->n, name->p);
    ngx_llm_stream_text_put(prom->text, help, len);
    ngx_llm_stream_text(prom->text, "\n# TYPE " NGX_LLM_STREAM_METRIC
                        "%*s %s\n", name->n, name->p, type);
}


/* What is before the value, and its labels but for the brace that closes
 * them: they may be longer than a format. */

static void
ngx_llm_stream_prometheus_line(ngx_llm_stream_prometheus_t *prom,
    const llm_slice_t *name, const char *suffix, const ngx_str_t *labels)
{
    ngx_llm_stream_text(prom->text, NGX_LLM_STREAM_METRIC "%*s%s{",
                        name->n, name->p, suffix);
    ngx_llm_stream_text_put(prom->text, labels->data, labels->len);
}


static void
ngx_llm_stream_prometheus_ends(ngx_llm_stream_prometheus_t *prom)
{
    ngx_uint_t                       i, end;
    llm_slice_t                      word;
    ngx_llm_stream_status_series_t  *s;

    static const llm_slice_t  name = llm_str("requests_total");

    ngx_llm_stream_prometheus_title(prom, &name,
        "Requests that ended, by $llm_stream_end.", "counter");

    for (i = 0; i < prom->n; i++) {

        s = &prom->series[i];

        for (end = 0; end < LLM_END_MAX; end++) {

            word = llm_end_name(end);

            ngx_llm_stream_prometheus_line(prom, &name, "", &s->labels);
            ngx_llm_stream_text(prom->text, ",end=\"%*s\"} %uL\n",
                                word.n, word.p, s->counts.end[end]);
        }
    }
}


static void
ngx_llm_stream_prometheus_errors(ngx_llm_stream_prometheus_t *prom)
{
    ngx_uint_t                       i, fault;
    const llm_slice_t               *code;
    ngx_llm_stream_status_series_t  *s;

    static const llm_slice_t  name = llm_str("errors_total");

    ngx_llm_stream_prometheus_title(prom, &name,
        "Requests that ended with an error, by $llm_stream_error.",
        "counter");

    for (i = 0; i < prom->n; i++) {

        s = &prom->series[i];

        for (fault = LLM_FAULT_NONE + 1; fault < LLM_FAULT_MAX; fault++) {

            code = &llm_fault_info(fault)->code;

            ngx_llm_stream_prometheus_line(prom, &name, "", &s->labels);
            ngx_llm_stream_text(prom->text, ",error=\"%*s\"} %uL\n",
                                code->n, code->p, s->counts.error[fault]);
        }
    }
}


/* Rows of one metric are adjacent: [first, i) are those of one. */

static void
ngx_llm_stream_prometheus_counts(ngx_llm_stream_prometheus_t *prom)
{
    ngx_uint_t               i, first, row, n;
    const llm_count_info_t  *info;

    for (first = 0; first < LLM_COUNT_MAX; first = i) {

        info = &llm_count_infos[first];

        for (i = first + 1; i < LLM_COUNT_MAX; i++) {
            if (llm_count_infos[i].name.n != info->name.n
                || ngx_memcmp(llm_count_infos[i].name.p, info->name.p,
                              info->name.n)
                   != 0)
            {
                break;
            }
        }

        ngx_llm_stream_prometheus_head(prom, &info->name,
                                       (const char *) info->help.p,
                                       info->help.n, "counter");

        for (n = 0; n < prom->n; n++) {
            for (row = first; row < i; row++) {
                ngx_llm_stream_prometheus_count(prom, &llm_count_infos[row],
                                                &prom->series[n],
                                             prom->series[n].counts.n[row]);
            }
        }
    }
}


static void
ngx_llm_stream_prometheus_count(ngx_llm_stream_prometheus_t *prom,
    const llm_count_info_t *info, ngx_llm_stream_status_series_t *s,
    uint64_t n)
{
    ngx_llm_stream_prometheus_line(prom, &info->name, "", &s->labels);

    if (info->label.p) {
        ngx_llm_stream_text(prom->text, ",%*s=\"%*s\"",
                            info->label.n, info->label.p,
                            info->value.n, info->value.p);
    }

    if (info->label2.p) {
        ngx_llm_stream_text(prom->text, ",%*s=\"%*s\"",
                            info->label2.n, info->label2.p,
                            info->value2.n, info->value2.p);
    }

    ngx_llm_stream_text(prom->text, "} %uL\n", n);
}


/* What is open is known of locations, not of models. */

static void
ngx_llm_stream_prometheus_open(ngx_llm_stream_prometheus_t *prom)
{
    ngx_uint_t                       i;
    ngx_llm_stream_status_series_t  *s;

    static const llm_slice_t  name = llm_str("streams_open");

    ngx_llm_stream_prometheus_title(prom, &name,
        "Requests being answered, streams or not.", "gauge");

    for (i = 0; i < prom->n; i++) {

        s = &prom->series[i];

        if (s->open < 0) {
            continue;
        }

        ngx_llm_stream_prometheus_line(prom, &name, "", &s->place);
        ngx_llm_stream_text(prom->text, "} %L\n", s->open);
    }
}


static void
ngx_llm_stream_prometheus_hist(ngx_llm_stream_prometheus_t *prom,
    llm_hist_id_t id)
{
    ngx_uint_t              i;
    const llm_hist_info_t  *info;

    info = &llm_hist_infos[id];

    ngx_llm_stream_prometheus_head(prom, &info->name,
                                   (const char *) info->help.p, info->help.n,
                                   "histogram");

    for (i = 0; i < prom->n; i++) {
        ngx_llm_stream_prometheus_buckets(prom, id, &prom->series[i]);
    }
}


static void
ngx_llm_stream_prometheus_buckets(ngx_llm_stream_prometheus_t *prom,
    llm_hist_id_t id, ngx_llm_stream_status_series_t *s)
{
    uint64_t                count;
    ngx_uint_t              i;
    const llm_hist_t       *h;
    const llm_hist_info_t  *info;

    info = &llm_hist_infos[id];
    h = &s->counts.hist[id];
    count = 0;

    for (i = 0; i < info->n; i++) {
        count += h->bucket[i];

        ngx_llm_stream_prometheus_line(prom, &info->name, "_bucket",
                                       &s->labels);
        ngx_llm_stream_text(prom->text, ",le=\"");
        ngx_llm_stream_text_scaled(prom->text, info->bounds[i], info->scale);
        ngx_llm_stream_text(prom->text, "\"} %uL\n", count);
    }

    count += h->bucket[info->n];

    ngx_llm_stream_prometheus_line(prom, &info->name, "_bucket", &s->labels);
    ngx_llm_stream_text(prom->text, ",le=\"+Inf\"} %uL\n", count);

    ngx_llm_stream_prometheus_line(prom, &info->name, "_sum", &s->labels);
    ngx_llm_stream_text(prom->text, "} ");
    ngx_llm_stream_text_scaled(prom->text, h->sum, info->scale);

    ngx_llm_stream_text(prom->text, "\n");

    ngx_llm_stream_prometheus_line(prom, &info->name, "_count", &s->labels);
    ngx_llm_stream_text(prom->text, "} %uL\n", count);
}


static void
ngx_llm_stream_prometheus_zone(ngx_llm_stream_prometheus_t *prom,
    ngx_llm_stream_zone_t *zone)
{
    static const llm_slice_t  lost = llm_str("zone_lost_total");
    static const llm_slice_t  age = llm_str("zone_age_seconds");

    ngx_llm_stream_prometheus_title(prom, &lost,
        "Requests that llm_stream_zone had no room to count.", "counter");
    ngx_llm_stream_text(prom->text, NGX_LLM_STREAM_METRIC "%*s %uL\n",
                        lost.n, lost.p, ngx_llm_stream_zone_lost(zone));

    ngx_llm_stream_prometheus_title(prom, &age,
        "Time since llm_stream_zone was made, empty.", "gauge");
    ngx_llm_stream_text(prom->text, NGX_LLM_STREAM_METRIC "%*s ",
                        age.n, age.p);
    ngx_llm_stream_text_scaled(prom->text, ngx_llm_stream_zone_age(zone),
                               1000);
    ngx_llm_stream_text(prom->text, "\n");
}
