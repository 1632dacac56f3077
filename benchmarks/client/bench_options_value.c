/*
 * Values of options.  Every one is read whole or refused; nothing is guessed,
 * nothing is clipped.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench_figures.h"
#include "bench_options_value.h"
#include "llm_dialect.h"
#include "llm_json.h"
#include "llm_utf8.h"


/* RFC 9110: what names of header fields are made of */
#define BENCH_TOKEN  "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"   \
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


#define bench_member(o, row, type)  ((type *) (void *) ((char *) (o)         \
                                                        + (row)->at))


static int
bench_value_within(const bench_option_t *row, double v)
{
    return v >= row->min && v <= row->max;
}


/* A decimal number as a whole text; strtod() would take " 1", "0x1", "nan"
 * too.  0, or -1. */
static int
bench_value_real(const char *text, double *v)
{
    char  *end;

    if (*text == '\0' || strspn(text, "0123456789.eE+-") != strlen(text)) {
        return -1;
    }

    *v = strtod(text, &end);

    return *end == '\0' && isfinite(*v) ? 0 : -1;
}


static int
bench_value_whole(const char *text, uint64_t *v)
{
    uint64_t  digit;

    if (*text == '\0') {
        return -1;
    }

    for (*v = 0; *text; text++) {
        if (*text < '0' || *text > '9') {
            return -1;
        }

        digit = (uint64_t) (*text - '0');

        if (*v > (UINT64_MAX - digit) / 10) {
            return -1;
        }

        *v = *v * 10 + digit;
    }

    return 0;
}


/* The next item of a list, cut at any of `by`, into item; 0 at its end, -1:
 * too long or empty. */
static int
bench_value_item(const char **list, const char *by, char *item, size_t size)
{
    size_t  n;

    if (*list == NULL) {
        return 0;
    }

    n = strcspn(*list, by);

    if (n == 0 || n >= size) {
        return -1;
    }

    memcpy(item, *list, n);
    item[n] = '\0';
    *list = (*list)[n] ? *list + n + 1 : NULL;

    return 1;
}


static const bench_metric_t *
bench_value_metric(const char *key)
{
    size_t  i;

    for (i = 0; i < BENCH_METRICS; i++) {
        if (strcmp(bench_metrics[i].key, key) == 0) {
            return &bench_metrics[i];
        }
    }

    return NULL;
}


const char *
bench_value_string(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    *bench_member(o, row, const char *) = value;

    return NULL;
}


const char *
bench_value_uint(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    uint64_t  v;

    if (bench_value_whole(value, &v) == -1
        || !bench_value_within(row, (double) v))
    {
        return "no whole number in its range";
    }

    *bench_member(o, row, uint64_t) = v;

    return NULL;
}


const char *
bench_value_number(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    double  v;

    if (bench_value_real(value, &v) == -1 || !bench_value_within(row, v)) {
        return "no number in its range";
    }

    *bench_member(o, row, double) = v;

    return NULL;
}


const char *
bench_value_flag(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    (void) value;
    *bench_member(o, row, int) = 1;

    return NULL;
}


const char *
bench_value_inf(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    if (strcmp(value, "inf") == 0) {
        *bench_member(o, row, double) = 0;
        return NULL;
    }

    return bench_value_number(o, row, value)
           ? "neither \"inf\" nor a number in its range" : NULL;
}


const char *
bench_value_url(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    size_t  n;

    (void) row;

    if (strncmp(value, "http://", 7) == 0) {
        n = 7;

    } else if (strncmp(value, "https://", 8) == 0) {
        n = 8;

    } else {
        return "neither http:// nor https://";
    }

    if (value[n] == '\0' || value[n] == '/') {
        return "no host in it";
    }

    o->base_url = value;

    return NULL;
}


const char *
bench_value_dialect(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    (void) row;

    if (llm_dialect_find((const llm_u8 *) value, strlen(value)) == NULL) {
        return "no such dialect";
    }

    o->dialect = value;

    return NULL;
}


const char *
bench_value_header(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    size_t  n;

    (void) row;
    n = strspn(value, BENCH_TOKEN);

    if (n == 0 || value[n] != '=') {
        return "not NAME=VALUE";
    }

    if (strpbrk(value, "\r\n")) {
        return "a line break in it";
    }

    if (o->nheaders == BENCH_HEADERS) {
        return "too many";
    }

    o->headers[o->nheaders++] = value;

    return NULL;
}


const char *
bench_value_json(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    size_t         n;
    llm_json_t     j;
    llm_slice_t    raw;
    const llm_u8  *p;

    (void) row;
    n = strlen(value);
    p = (const llm_u8 *) value;

    llm_json_init(&j, p, n, 0);

    if ((llm_utf8_check(p, n) & LLM_UTF8_INVALID)
        || llm_json_skip(&j, &raw) != LLM_JSON_OBJECT
        || llm_json_next(&j) != LLM_JSON_END)
    {
        return "no JSON object";
    }

    o->extra_body = value;

    return NULL;
}


const char *
bench_value_http(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    (void) row;
    o->http2 = strcmp(value, "2") == 0;

    return o->http2 || strcmp(value, "1.1") == 0 ? NULL
                                                 : "neither 1.1 nor 2";
}


const char *
bench_value_processes(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    uint64_t  v;

    if (bench_value_whole(value, &v) == -1
        || !bench_value_within(row, (double) v))
    {
        return "no whole number in its range";
    }

    o->processes = (unsigned) v;

    return NULL;
}


const char *
bench_value_pids(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    int       rc;
    char      item[16];
    uint64_t  v;

    while ((rc = bench_value_item(&value, ",", item, sizeof(item))) == 1) {
        if (bench_value_whole(item, &v) == -1
            || !bench_value_within(row, (double) v))
        {
            return "no number of a process";
        }

        if (o->npids == BENCH_PIDS) {
            return "too many";
        }

        o->pids[o->npids++] = (pid_t) v;
    }

    return rc == 0 ? NULL : "no number of a process";
}


const char *
bench_value_engine(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    (void) row;

    if (strcmp(value, "curl") == 0) {
        o->engine = BENCH_ENGINE_CURL;

    } else if (strcmp(value, "raw") == 0) {
        o->engine = BENCH_ENGINE_RAW;

    } else {
        return "neither curl nor raw";
    }

    return NULL;
}


const char *
bench_value_metrics(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    int                    rc;
    char                   item[16];
    const bench_metric_t  *m;

    (void) row;
    o->metrics = 0;

    while ((rc = bench_value_item(&value, ",", item, sizeof(item))) == 1) {
        m = bench_value_metric(item);

        if (m == NULL) {
            break;
        }

        o->metrics |= m->bit;
    }

    return rc == 0 ? NULL : "something else than ttft, tpot, itl, e2el";
}


const char *
bench_value_percentiles(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    int     rc;
    char    item[16];
    double  p;

    o->npercentiles = 0;

    while ((rc = bench_value_item(&value, ",", item, sizeof(item))) == 1) {
        if (bench_value_real(item, &p) == -1 || !bench_value_within(row, p)) {
            break;
        }

        if (o->npercentiles == BENCH_PERCENTILES) {
            return "too many";
        }

        o->percentiles[o->npercentiles++] = p;
    }

    return rc == 0 ? NULL : "something else than percentages";
}


/* vLLM knows these three, too: ITL is not of one request. */
const char *
bench_value_goodput(bench_options_t *o, const bench_option_t *row,
    const char *value)
{
    int                    rc;
    char                   item[40], *colon;
    double                 ms;
    const bench_metric_t  *m;

    static const char  wrong[] = "not ttft:MS, tpot:MS or e2el:MS";

    while ((rc = bench_value_item(&value, ", ", item, sizeof(item))) == 1) {
        colon = strchr(item, ':');

        if (colon == NULL) {
            return wrong;
        }

        *colon = '\0';
        m = bench_value_metric(item);

        if (m == NULL || m->bit == BENCH_ITL
            || bench_value_real(colon + 1, &ms) == -1
            || !bench_value_within(row, ms))
        {
            return wrong;
        }

        o->goodput[m - bench_metrics] = ms;
    }

    return rc == 0 ? NULL : wrong;
}
