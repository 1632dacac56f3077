/*
 * The configuration of a location: defaults, merge, and the setters of the
 * directives that nginx's own slots cannot set.  Setters return what is wrong
 * ("is duplicate"); nginx prefixes the directive and its line.
 */

#include "ngx_llm_stream.h"

#include "llm_json.h"
#include "llm_utf8.h"


static void ngx_llm_stream_unset_controls(ngx_llm_stream_loc_conf_t *conf);
static void ngx_llm_stream_merge_controls(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf);
static void ngx_llm_stream_fixed(ngx_http_upstream_conf_t *conf);
static char *ngx_llm_stream_merge_handler(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *prev, ngx_llm_stream_loc_conf_t *conf);
static char *ngx_llm_stream_merge_upstream(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *prev, ngx_llm_stream_loc_conf_t *conf);
static void ngx_llm_stream_merge_times(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf);
static char *ngx_llm_stream_check_buffer_size(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_llm_stream_check_key(ngx_str_t *key);


ngx_conf_enum_t  ngx_llm_stream_unsupported[] = {
    { ngx_string("error"), 0 },
    { ngx_string("drop"), 1 },
    { ngx_null_string, 0 }
};


ngx_conf_bitmask_t  ngx_llm_stream_next_masks[] = {
    { ngx_string("off"), NGX_LLM_STREAM_NEXT_OFF },
    { ngx_string("error"), NGX_LLM_STREAM_NEXT_ERROR },
    { ngx_string("timeout"), NGX_LLM_STREAM_NEXT_TIMEOUT },
    { ngx_string("stale"), NGX_LLM_STREAM_NEXT_STALE },
    { ngx_string("stream_error"), NGX_LLM_STREAM_NEXT_STREAM_ERROR },
    { ngx_string("invalid"), NGX_LLM_STREAM_NEXT_INVALID },
    { ngx_string("http_403"), NGX_LLM_STREAM_NEXT_HTTP_403 },
    { ngx_string("http_404"), NGX_LLM_STREAM_NEXT_HTTP_404 },
    { ngx_string("http_408"), NGX_LLM_STREAM_NEXT_HTTP_408 },
    { ngx_string("http_409"), NGX_LLM_STREAM_NEXT_HTTP_409 },
    { ngx_string("http_429"), NGX_LLM_STREAM_NEXT_HTTP_429 },
    { ngx_string("http_500"), NGX_LLM_STREAM_NEXT_HTTP_500 },
    { ngx_string("http_502"), NGX_LLM_STREAM_NEXT_HTTP_502 },
    { ngx_string("http_503"), NGX_LLM_STREAM_NEXT_HTTP_503 },
    { ngx_string("http_504"), NGX_LLM_STREAM_NEXT_HTTP_504 },
    { ngx_string("http_529"), NGX_LLM_STREAM_NEXT_HTTP_529 },
    { ngx_null_string, 0 }
};


ngx_conf_post_t  ngx_llm_stream_buffer_size_post = {
    ngx_llm_stream_check_buffer_size
};


ngx_conf_num_bounds_t  ngx_llm_stream_depth_bounds = {
    ngx_conf_check_num_bounds, 8, LLM_JSON_DEPTH_MAX
};


/* What pass_header can never let through: it could steer nginx or the
 * browser, or describes bytes that are not sent. */

static ngx_str_t  ngx_llm_stream_never[] = {
    ngx_string("x-accel-"),
    ngx_string("set-cookie"),
    ngx_string("access-control-"),
    ngx_string("location"),
    ngx_string("refresh"),
    ngx_string("cache-control"),
    ngx_string("content-encoding"),
    ngx_string("content-length"),
    ngx_string("content-type"),
    ngx_string("transfer-encoding"),
    ngx_string("connection"),
    ngx_string("keep-alive"),
    ngx_string("upgrade"),
    ngx_string("trailer"),
    ngx_string("alt-svc"),
    ngx_string("strict-transport-security"),
    ngx_null_string
};


void *
ngx_llm_stream_create_loc_conf(ngx_conf_t *cf)
{
    ngx_llm_stream_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_llm_stream_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->provider, .dialect, .client, .url, .auth, .cors = NULL;
     *     conf->ssl, .next, .ssl_protocols = 0;
     *     conf->auth_name, .ssl_ciphers, .ssl_trusted_certificate,
     *     .ssl_crl = { 0, NULL };
     *     conf->upstream.limit_rate, .pass_trailers, .pass_early_hints,
     *     .socket_rcvbuf, .socket_sndbuf, .ssl_certificate_cache = 0;
     */

    conf->upstream.connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.send_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.buffer_size = NGX_CONF_UNSET_SIZE;
    conf->upstream.ignore_client_abort = NGX_CONF_UNSET;
    conf->upstream.hide_headers = NGX_CONF_UNSET_PTR;
    conf->upstream.pass_headers = NGX_CONF_UNSET_PTR;
    ngx_llm_stream_unset_ssl(conf);
    ngx_llm_stream_unset_retry(conf);

    conf->model = NGX_CONF_UNSET_PTR;
    conf->api_key = NGX_CONF_UNSET_PTR;
    conf->params = NGX_CONF_UNSET_PTR;
    conf->headers = NGX_CONF_UNSET_PTR;

    conf->first_token_timeout = NGX_CONF_UNSET_MSEC;
    conf->idle_timeout = NGX_CONF_UNSET_MSEC;
    conf->total_timeout = NGX_CONF_UNSET_MSEC;
    conf->heartbeat = NGX_CONF_UNSET_MSEC;
    conf->gate_timeout = NGX_CONF_UNSET_MSEC;
    conf->gate = NGX_CONF_UNSET_UINT;

    conf->max_event_size = NGX_CONF_UNSET_SIZE;
    conf->max_response_size = NGX_CONF_UNSET_SIZE;
    conf->max_depth = NGX_CONF_UNSET_UINT;
    conf->usage = NGX_CONF_UNSET;
    conf->unsupported_drop = NGX_CONF_UNSET_UINT;
    conf->intercept_errors = NGX_CONF_UNSET;
    conf->log = NGX_CONF_UNSET_UINT;

    ngx_llm_stream_unset_controls(conf);
    ngx_llm_stream_fixed(&conf->upstream);

    return conf;
}


static void
ngx_llm_stream_unset_controls(ngx_llm_stream_loc_conf_t *conf)
{
    conf->padding = NGX_CONF_UNSET_PTR;
    conf->stop = NGX_CONF_UNSET_PTR;
    conf->coalesce = NGX_CONF_UNSET_PTR;
    conf->store = NGX_CONF_UNSET_PTR;

    ngx_llm_stream_unset_caps(conf);
    ngx_llm_stream_unset_limit(conf);
}


/* What cannot be configured. */

static void
ngx_llm_stream_fixed(ngx_http_upstream_conf_t *conf)
{
    conf->buffering = 0;
    conf->change_buffering = 0;
    conf->request_buffering = 1;
    conf->cyclic_temp_file = 0;
    conf->pass_request_headers = 1;
    conf->pass_request_body = 1;
    conf->ignore_headers = 0xffffffff;          /* X-Accel-* and all */
    ngx_str_set(&conf->module, "llm_stream");
}


char *
ngx_llm_stream_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    char                       *rv;
    ngx_llm_stream_loc_conf_t  *prev = parent;
    ngx_llm_stream_loc_conf_t  *conf = child;

    rv = ngx_llm_stream_merge_handler(cf, prev, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_llm_stream_merge_status(cf, prev, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_llm_stream_merge_key(cf, prev, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_llm_stream_merge_store(cf, prev, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    ngx_llm_stream_merge_times(prev, conf);
    ngx_llm_stream_merge_controls(prev, conf);
    ngx_llm_stream_merge_retry(prev, conf);

    ngx_conf_merge_ptr_value(conf->model, prev->model, NULL);
    ngx_conf_merge_ptr_value(conf->params, prev->params, NULL);
    ngx_conf_merge_ptr_value(conf->headers, prev->headers, NULL);

    ngx_conf_merge_size_value(conf->max_event_size, prev->max_event_size,
                              1024 * 1024);
    ngx_conf_merge_size_value(conf->max_response_size,
                              prev->max_response_size, 1024 * 1024);
    ngx_conf_merge_uint_value(conf->max_depth, prev->max_depth,
                              LLM_JSON_DEPTH);
    ngx_conf_merge_value(conf->usage, prev->usage, 1);
    ngx_conf_merge_uint_value(conf->unsupported_drop,
                              prev->unsupported_drop, 0);
    ngx_conf_merge_value(conf->intercept_errors, prev->intercept_errors,
                         NGX_CONF_UNSET);
    ngx_conf_merge_uint_value(conf->log, prev->log,
                              NGX_LLM_STREAM_LOG_ERRORS);

    if (ngx_llm_stream_zone_place(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_llm_stream_merge_upstream(cf, prev, conf);
}


static void
ngx_llm_stream_merge_controls(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf)
{
    ngx_conf_merge_ptr_value(conf->stop, prev->stop, NULL);
    ngx_conf_merge_ptr_value(conf->coalesce, prev->coalesce, NULL);

    ngx_llm_stream_merge_caps(prev, conf);
    ngx_llm_stream_merge_limit(prev, conf);
    ngx_llm_stream_merge_padding(prev, conf);
    ngx_llm_stream_merge_redact(prev, conf);
}


/* The handler itself is inherited by "if" and "limit_except" only. */

static char *
ngx_llm_stream_merge_handler(ngx_conf_t *cf, ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if ((clcf->noname || clcf->lmt_excpt) && conf->provider == NULL
        && (clcf->handler == NULL || clcf->handler == ngx_llm_stream_handler))
    {
        conf->provider = prev->provider;
        conf->dialect = prev->dialect;
        conf->upstream.upstream = prev->upstream.upstream;
        conf->url = prev->url;
        conf->schema = prev->schema;
        conf->host = prev->host;
        conf->uri = prev->uri;
        conf->ssl = prev->ssl;
    }

    if (clcf->lmt_excpt && clcf->handler == NULL && conf->provider) {
        clcf->handler = ngx_llm_stream_handler;
    }

    if (conf->cors == NULL) {
        conf->cors = prev->cors;
    }

    if (!conf->client_set) {
        conf->client = prev->client;
        conf->client_set = prev->client_set;
    }

    return NGX_CONF_OK;
}


static void
ngx_llm_stream_merge_times(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf)
{
    ngx_conf_merge_msec_value(conf->first_token_timeout,
                              prev->first_token_timeout, 120000);
    ngx_conf_merge_msec_value(conf->idle_timeout, prev->idle_timeout, 60000);
    ngx_conf_merge_msec_value(conf->total_timeout, prev->total_timeout,
                              1800000);
    ngx_conf_merge_msec_value(conf->heartbeat, prev->heartbeat, 15000);

    if (conf->gate == NGX_CONF_UNSET_UINT) {
        conf->gate = prev->gate;
        conf->gate_timeout = prev->gate_timeout;
    }

    ngx_conf_init_uint_value(conf->gate, NGX_LLM_STREAM_GATE_EVENT);
    ngx_conf_init_msec_value(conf->gate_timeout, 0);
}


static char *
ngx_llm_stream_merge_upstream(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *prev, ngx_llm_stream_loc_conf_t *conf)
{
    ngx_hash_init_t  hash;

    static ngx_str_t  hide[] = { ngx_null_string };

    ngx_conf_merge_msec_value(conf->upstream.connect_timeout,
                              prev->upstream.connect_timeout, 5000);
    ngx_conf_merge_msec_value(conf->upstream.send_timeout,
                              prev->upstream.send_timeout, 60000);
    ngx_conf_merge_size_value(conf->upstream.buffer_size,
                              prev->upstream.buffer_size,
                              (size_t) ngx_pagesize);
    ngx_conf_merge_value(conf->upstream.ignore_client_abort,
                         prev->upstream.ignore_client_abort, 0);

    /* all limits in time after the request was sent are ours */

    conf->upstream.read_timeout = NGX_MAX_INT32_VALUE / 2;

    if (ngx_llm_stream_merge_ssl(cf, prev, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    hash.max_size = 512;
    hash.bucket_size = ngx_align(64, ngx_cacheline_size);
    hash.name = "llm_stream_headers_hash";

    if (ngx_http_upstream_hide_headers_hash(cf, &conf->upstream,
                                            &prev->upstream, hide, &hash)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->provider == NULL) {
        return NGX_CONF_OK;
    }

    if ((conf->ssl || conf->url)
        && ngx_llm_stream_set_ssl(cf, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_llm_stream_next_merge(cf, conf);
}


/* llm_stream_param <name> <json> [if_absent] */

char *
ngx_llm_stream_set_param(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    llm_json_t               json;
    ngx_str_t               *value;
    llm_slice_t              raw;
    ngx_llm_stream_param_t  *param;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "has an empty member name";
    }

    if (llcf->params == NGX_CONF_UNSET_PTR) {
        llcf->params = ngx_array_create(cf->pool, 4,
                                        sizeof(ngx_llm_stream_param_t));
        if (llcf->params == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    param = ngx_array_push(llcf->params);
    if (param == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(param, sizeof(ngx_llm_stream_param_t));
    param->name = value[1];

    if (cf->args->nelts == 4) {
        if (ngx_strcmp(value[3].data, "if_absent") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[3]);
            return NGX_CONF_ERROR;
        }

        param->if_absent = 1;
    }

    if (ngx_http_script_variables_count(&value[2]) == 0) {
        llm_json_init(&json, value[2].data, value[2].len, LLM_JSON_DEPTH);

        if (llm_json_skip(&json, &raw) == LLM_JSON_ERROR
            || llm_json_next(&json) != LLM_JSON_END
            || (llm_utf8_check(value[2].data, value[2].len)
                & LLM_UTF8_INVALID))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "value \"%V\" is not valid JSON", &value[2]);
            return NGX_CONF_ERROR;
        }
    }

    return ngx_llm_stream_compile(cf, &value[2], &param->value);
}


/* llm_stream_api_key file:PATH | env:NAME | value | off */

char *
ngx_llm_stream_set_api_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    char       *rv;
    ngx_int_t   rc;
    ngx_str_t  *value, key;

    if (llcf->api_key != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        llcf->api_key = NULL;
        return NGX_CONF_OK;
    }

    llcf->api_key = ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (llcf->api_key == NULL) {
        return NGX_CONF_ERROR;
    }

    rv = ngx_llm_stream_key_or_auth(llcf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rc = ngx_llm_stream_secret(cf, &value[1], &key);

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    if (rc == NGX_DECLINED) {

        if (ngx_http_script_variables_count(&value[1])) {
            return ngx_llm_stream_compile(cf, &value[1], llcf->api_key);
        }

        key = value[1];
    }

    /* never compiled: a "$" in a secret is a "$" */

    llcf->api_key->value = key;

    return ngx_llm_stream_check_key(&key);
}


/* The message must not quote it. */

static char *
ngx_llm_stream_check_key(ngx_str_t *key)
{
    size_t  i;

    if (key->len == 0) {
        return "has an empty key";
    }

    for (i = 0; i < key->len; i++) {
        if (key->data[i] <= 0x20 || key->data[i] >= 0x7f) {
            return "has a key with a space, a control or a non-ASCII byte";
        }
    }

    return NGX_CONF_OK;
}


/* llm_stream_set_header <name> <value> */

char *
ngx_llm_stream_add_header(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    size_t                        i;
    ngx_str_t                    *value;
    ngx_llm_stream_set_header_t  *h;

    value = cf->args->elts;

    if (llcf->headers == NGX_CONF_UNSET_PTR) {
        llcf->headers = ngx_array_create(cf->pool, 4,
                                        sizeof(ngx_llm_stream_set_header_t));
        if (llcf->headers == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 0; i < value[1].len; i++) {
        if (value[1].data[i] <= 0x20 || value[1].data[i] >= 0x7f
            || value[1].data[i] == ':')
        {
            return "has an invalid header name";
        }
    }

    if (value[1].len == 0
        || ngx_strcasecmp(value[1].data, (u_char *) "Content-Length") == 0
        || ngx_strcasecmp(value[1].data, (u_char *) "Transfer-Encoding") == 0
        || ngx_strcasecmp(value[1].data, (u_char *) "Connection") == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the header \"%V\" cannot be set", &value[1]);
        return NGX_CONF_ERROR;
    }

    h = ngx_array_push(llcf->headers);
    if (h == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_llm_stream_set_header_t));
    h->name = value[1];

    return ngx_llm_stream_compile(cf, &value[2], &h->value);
}


char *
ngx_llm_stream_pass_header(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value, *s;

    value = cf->args->elts;

    for (s = ngx_llm_stream_never; s->len; s++) {
        if ((value[1].len == s->len
             || (value[1].len > s->len && s->data[s->len - 1] == '-'))
            && ngx_strncasecmp(value[1].data, s->data, s->len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the header \"%V\" of a provider never passes",
                               &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    return ngx_conf_set_str_array_slot(cf, cmd, conf);
}


/* It must hold the header of an answer, and a byte more than nothing. */

static char *
ngx_llm_stream_check_buffer_size(ngx_conf_t *cf, void *post, void *data)
{
    size_t  *size = data;

    return *size < 1024 ? "must be at least 1k" : NGX_CONF_OK;
}


/* A time at cmd->offset, or "off", which is 0. */

char *
ngx_llm_stream_set_time_or_off(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char        *p = conf;
    ngx_msec_t  *field;
    ngx_str_t   *value;

    field = (ngx_msec_t *) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        *field = 0;
        return NGX_CONF_OK;
    }

    *field = ngx_parse_time(&value[1], 0);

    if (*field == (ngx_msec_t) NGX_ERROR) {
        return "invalid value";
    }

    return NGX_CONF_OK;
}


/* llm_stream_gate off | event [timeout] | content [timeout] */

char *
ngx_llm_stream_set_gate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t *llcf = conf;

    ngx_str_t  *value;

    if (llcf->gate != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    llcf->gate_timeout = 0;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        llcf->gate = NGX_LLM_STREAM_GATE_OFF;

    } else if (ngx_strcmp(value[1].data, "event") == 0) {
        llcf->gate = NGX_LLM_STREAM_GATE_EVENT;

    } else if (ngx_strcmp(value[1].data, "content") == 0) {
        llcf->gate = NGX_LLM_STREAM_GATE_CONTENT;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid value \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (llcf->gate == NGX_LLM_STREAM_GATE_OFF) {
        return "takes no timeout with \"off\"";
    }

    llcf->gate_timeout = ngx_parse_time(&value[2], 0);

    if (llcf->gate_timeout == (ngx_msec_t) NGX_ERROR) {
        return "has an invalid timeout";
    }

    return NGX_CONF_OK;
}


char *
ngx_llm_stream_compile(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t *cv)
{
    ngx_http_compile_complex_value_t  ccv;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = cv;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
