/*
 * llm_stream_status: its configuration, what format a request gets, and the
 * answer around it.  It must never read a count: the formats do.
 */

#include "ngx_llm_stream_status.h"


#define NGX_LLM_STREAM_STATUS_PROMETHEUS  1
#define NGX_LLM_STREAM_STATUS_HTML        2
#define NGX_LLM_STREAM_STATUS_JSON        3
#define NGX_LLM_STREAM_STATUS_AUTO        4

#define NGX_LLM_STREAM_STATUS_WEIGHT  1000      /* of q=1 */


typedef struct {
    ngx_str_t                      name;        /* in the directive */
    ngx_str_t                      media;       /* in Accept */
    ngx_str_t                      type;
    void                         (*write)(ngx_llm_stream_zone_t *zone,
                                       ngx_llm_stream_text_t *text);
    const char                    *policy;      /* NULL: none */
} ngx_llm_stream_status_format_t;


/* What Accept says of a format, by the range that is most specific. */
typedef struct {
    ngx_uint_t                     specific;    /* 0: nothing, 1: any type,
                                                   2: type, 3: subtype too */
    ngx_uint_t                     weight;      /* 0 to 1000 */
    ngx_uint_t                     place;       /* of the range, from 1 */
} ngx_llm_stream_status_said_t;


static ngx_int_t ngx_llm_stream_status_handler(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_status_header(ngx_http_request_t *r,
    const ngx_llm_stream_status_format_t *format, ngx_uint_t negotiated);
static ngx_int_t ngx_llm_stream_status_send(ngx_http_request_t *r,
    ngx_llm_stream_text_t *text);
static ngx_uint_t ngx_llm_stream_status_accept(ngx_http_request_t *r);
static void ngx_llm_stream_status_ranges(ngx_str_t *accept,
    ngx_llm_stream_status_said_t *said, ngx_uint_t *place);
static void ngx_llm_stream_status_range(ngx_str_t *range,
    ngx_llm_stream_status_said_t *said, ngx_uint_t place);
static ngx_int_t ngx_llm_stream_status_weight(ngx_str_t *params);
static ngx_uint_t ngx_llm_stream_status_specific(ngx_str_t *range,
    const ngx_str_t *media);
static ngx_str_t ngx_llm_stream_status_token(ngx_str_t *list, u_char end);


/* by NGX_LLM_STREAM_STATUS_*; among equals the first one is taken */

static const ngx_llm_stream_status_format_t  ngx_llm_stream_formats[] = {
    { ngx_null_string, ngx_null_string, ngx_null_string, NULL, NULL },

    { ngx_string("prometheus"), ngx_string("text/plain"),
      ngx_string("text/plain; version=0.0.4; charset=utf-8"),
      ngx_llm_stream_status_prometheus, NULL },

    { ngx_string("html"), ngx_string("text/html"),
      ngx_string("text/html; charset=utf-8"),
      ngx_llm_stream_status_html, NGX_LLM_STREAM_HTML_POLICY },

    { ngx_string("json"), ngx_string("application/json"),
      ngx_string("application/json"),
      ngx_llm_stream_status_json, NULL }
};


/* llm_stream_status [prometheus | json | html] */

char *
ngx_llm_stream_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_core_loc_conf_t  *clcf;

    if (llcf->status) {
        return "is duplicate";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "cannot be used where another directive answers requests";
    }

    clcf->handler = ngx_llm_stream_status_handler;
    llcf->status_file = cf->conf_file->file.name.data;
    llcf->status_line = cf->conf_file->line;

    if (cf->args->nelts == 1) {
        llcf->status = NGX_LLM_STREAM_STATUS_AUTO;
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    for (i = 1; i < NGX_LLM_STREAM_STATUS_AUTO; i++) {

        if (value[1].len == ngx_llm_stream_formats[i].name.len
            && ngx_strcmp(value[1].data, ngx_llm_stream_formats[i].name.data)
               == 0)
        {
            llcf->status = i;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "unknown format \"%V\"",
                       &value[1]);

    return NGX_CONF_ERROR;
}


/* The whole of "http" was read: it is known whether there is a zone, and what
 * answers a location in the end. */

char *
ngx_llm_stream_merge_status(ngx_conf_t *cf, ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t    *clcf;
    ngx_llm_stream_main_conf_t  *lmcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if ((clcf->noname || clcf->lmt_excpt) && clcf->handler == NULL
        && prev->status)
    {
        conf->status = prev->status;
        conf->status_file = prev->status_file;
        conf->status_line = prev->status_line;
        clcf->handler = ngx_llm_stream_status_handler;
    }

    if (conf->status == 0) {
        return NGX_CONF_OK;
    }

    if (clcf->handler != ngx_llm_stream_status_handler) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "another directive answers the requests of "
                      "\"llm_stream_status\" in %s:%ui",
                      conf->status_file, conf->status_line);
        return NGX_CONF_ERROR;
    }

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_llm_stream_module);

    if (lmcf->zone == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no \"llm_stream_zone\" for \"llm_stream_status\" in "
                      "%s:%ui", conf->status_file, conf->status_line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Runs in the content phase.  What it returns finalizes the request. */

static ngx_int_t
ngx_llm_stream_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                              rc;
    ngx_uint_t                             i;
    ngx_llm_stream_text_t                  text;
    ngx_llm_stream_loc_conf_t             *llcf;
    ngx_llm_stream_main_conf_t            *lmcf;
    const ngx_llm_stream_status_format_t  *format;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    llcf = ngx_http_get_module_loc_conf(r, ngx_llm_stream_module);
    lmcf = ngx_http_get_module_main_conf(r, ngx_llm_stream_module);

    i = llcf->status;

    if (i == NGX_LLM_STREAM_STATUS_AUTO) {
        i = ngx_llm_stream_status_accept(r);
    }

    format = &ngx_llm_stream_formats[i];

    ngx_llm_stream_text_init(&text, r->pool);

    format->write(lmcf->zone, &text);

    if (text.failed || text.out == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.content_length_n = text.size;

    if (ngx_llm_stream_status_header(r, format,
                                     llcf->status
                                     == NGX_LLM_STREAM_STATUS_AUTO)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_llm_stream_status_send(r, &text);
}


static ngx_int_t
ngx_llm_stream_status_header(ngx_http_request_t *r,
    const ngx_llm_stream_status_format_t *format, ngx_uint_t negotiated)
{
    r->headers_out.status = NGX_HTTP_OK;

    /* without parameters it is what gzip_types are compared with */

    r->headers_out.content_type = format->type;
    r->headers_out.content_type_len = format->media.len;
    r->headers_out.content_type_lowcase = NULL;

    if (ngx_llm_stream_add_out_header(r, "Cache-Control", "no-store")
        != NGX_OK
        || ngx_llm_stream_add_out_header(r, "X-Content-Type-Options",
                                         "nosniff")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (format->policy
        && ngx_llm_stream_add_out_header(r, "Content-Security-Policy",
                                         format->policy)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return negotiated ? ngx_llm_stream_add_out_header(r, "Vary", "Accept")
                      : NGX_OK;
}


static ngx_int_t
ngx_llm_stream_status_send(ngx_http_request_t *r,
    ngx_llm_stream_text_t *text)
{
    ngx_int_t  rc;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    text->buf->last_buf = (r == r->main) ? 1 : 0;
    text->buf->last_in_chain = 1;

    return ngx_http_output_filter(r, text->out);
}


/*
 * The format that the client likes best, by RFC 9110, 12.5.1.  Of those that
 * it likes as much: the one that it names first.  A client that wants none of
 * them gets the first one, as if it had said nothing.
 */

static ngx_uint_t
ngx_llm_stream_status_accept(ngx_http_request_t *r)
{
    ngx_uint_t                    i, best, place;
    ngx_list_part_t              *part;
    ngx_table_elt_t              *h;
    ngx_llm_stream_status_said_t  said[NGX_LLM_STREAM_STATUS_AUTO];

    ngx_memzero(said, sizeof(said));
    place = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == sizeof("accept") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "accept",
                                   sizeof("accept") - 1)
                   == 0)
            {
                ngx_llm_stream_status_ranges(&h[i].value, said, &place);
            }
        }
    }

    best = NGX_LLM_STREAM_STATUS_PROMETHEUS;

    for (i = best + 1; i < NGX_LLM_STREAM_STATUS_AUTO; i++) {
        if (said[i].weight > said[best].weight
            || (said[i].weight && said[i].weight == said[best].weight
                && said[i].place < said[best].place))
        {
            best = i;
        }
    }

    return best;
}


/* One header line: ranges with commas between them. */

static void
ngx_llm_stream_status_ranges(ngx_str_t *accept,
    ngx_llm_stream_status_said_t *said, ngx_uint_t *place)
{
    ngx_str_t  list, range;

    list = *accept;

    while (list.len) {
        range = ngx_llm_stream_status_token(&list, ',');
        (*place)++;

        ngx_llm_stream_status_range(&range, said, *place);
    }
}


/* "text/html;level=1;q=0.5": parameters but q make no difference. */

static void
ngx_llm_stream_status_range(ngx_str_t *range,
    ngx_llm_stream_status_said_t *said, ngx_uint_t place)
{
    ngx_int_t   weight;
    ngx_str_t   params, media;
    ngx_uint_t  i, specific;

    params = *range;
    media = ngx_llm_stream_status_token(&params, ';');
    weight = ngx_llm_stream_status_weight(&params);

    if (weight == NGX_ERROR) {
        return;
    }

    for (i = 1; i < NGX_LLM_STREAM_STATUS_AUTO; i++) {

        specific = ngx_llm_stream_status_specific(&media,
                                            &ngx_llm_stream_formats[i].media);

        if (specific == 0 || specific < said[i].specific
            || (specific == said[i].specific
                && (ngx_uint_t) weight <= said[i].weight))
        {
            continue;
        }

        said[i].specific = specific;
        said[i].weight = weight;
        said[i].place = place;
    }
}


/* q in thousandths, 1000 without one; NGX_ERROR: it is no number from 0 to
 * 1. */

static ngx_int_t
ngx_llm_stream_status_weight(ngx_str_t *params)
{
    ngx_int_t  weight;
    ngx_str_t  param;

    while (params->len) {
        param = ngx_llm_stream_status_token(params, ';');

        if (param.len < 2 || (param.data[0] | 0x20) != 'q'
            || param.data[1] != '=')
        {
            continue;
        }

        weight = ngx_atofp(param.data + 2, param.len - 2, 3);

        return weight > NGX_LLM_STREAM_STATUS_WEIGHT ? NGX_ERROR : weight;
    }

    return NGX_LLM_STREAM_STATUS_WEIGHT;
}


static ngx_uint_t
ngx_llm_stream_status_specific(ngx_str_t *range, const ngx_str_t *media)
{
    size_t  n;

    if (range->len == media->len
        && ngx_strncasecmp(range->data, media->data, media->len) == 0)
    {
        return 3;
    }

    if (range->len < 3 || range->data[range->len - 2] != '/'
        || range->data[range->len - 1] != '*')
    {
        return 0;
    }

    n = range->len - 1;

    if (n == 2 && range->data[0] == '*') {
        return 1;
    }

    return n < media->len
           && ngx_strncasecmp(range->data, media->data, n) == 0 ? 2 : 0;
}


/* Takes what is before the next `end` off the list, without the spaces around
 * it; what is quoted ends nothing. */

static ngx_str_t
ngx_llm_stream_status_token(ngx_str_t *list, u_char end)
{
    size_t      i;
    ngx_str_t   token;
    ngx_uint_t  quoted;

    quoted = 0;

    for (i = 0; i < list->len; i++) {

        if (list->data[i] == '"') {
            quoted = !quoted;

        } else if (quoted && list->data[i] == '\\') {
            i++;

        } else if (!quoted && list->data[i] == end) {
            break;
        }
    }

    token.data = list->data;
    token.len = ngx_min(i, list->len);

    list->data += ngx_min(i + 1, list->len);
    list->len -= ngx_min(i + 1, list->len);

    while (token.len && (token.data[0] == ' ' || token.data[0] == '\t')) {
        token.data++;
        token.len--;
    }

    while (token.len && (token.data[token.len - 1] == ' '
                         || token.data[token.len - 1] == '\t'))
    {
        token.len--;
    }

    return token;
}
