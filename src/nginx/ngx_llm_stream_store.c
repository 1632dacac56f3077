/*
 * llm_stream_store: whether and where the answer of a request is stored.  The
 * text comes from the tap, the last stage; the events are the bytes that go
 * to the client.  Owns the path, and the choice between keeping and dropping;
 * how a file is written is the file's.
 *
 * Storing must never fail, change or delay an answer, and what a client says
 * must never lead the path out of where the configuration put it.
 */

#include "ngx_llm_stream_store.h"
#include "ngx_llm_stream_file.h"


struct ngx_llm_stream_store_s {
    ngx_http_complex_value_t    path;
    ngx_uint_t                  events;
    ngx_thread_pool_t          *pool;
};


static char *ngx_llm_stream_store_path(ngx_conf_t *cf, ngx_str_t *path,
    ngx_http_complex_value_t *cv);
static const char *ngx_llm_stream_store_unfit(ngx_str_t *path);
static ngx_llm_stream_file_t *ngx_llm_stream_store_open(
    ngx_llm_stream_ctx_t *ctx);
static ngx_thread_pool_t *ngx_llm_stream_store_pool(
    ngx_llm_stream_ctx_t *ctx);
static void ngx_llm_stream_store_text(void *data, const llm_u8 *p, size_t n);
static ngx_int_t ngx_llm_stream_store_filter(ngx_http_request_t *r,
    ngx_chain_t *in);


static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


/* llm_stream_store off | <path> [text | events] */

char *
ngx_llm_stream_set_store(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_stream_loc_conf_t  *llcf = conf;

    char                    *rv;
    ngx_str_t               *value;
    ngx_llm_stream_store_t  *store;

    if (llcf->store != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {

        if (cf->args->nelts == 3) {
            return "is invalid: \"off\" takes no form";
        }

        llcf->store = NULL;
        return NGX_CONF_OK;
    }

    store = ngx_pcalloc(cf->pool, sizeof(ngx_llm_stream_store_t));
    if (store == NULL) {
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 3) {

        if (ngx_strcmp(value[2].data, "events") == 0) {
            store->events = 1;

        } else if (ngx_strcmp(value[2].data, "text") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\", it must be \"text\" "
                               "or \"events\"", &value[2]);
            return NGX_CONF_ERROR;
        }
    }

    rv = ngx_llm_stream_store_path(cf, &value[1], &store->path);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    llcf->store = store;

    return NGX_CONF_OK;
}


static char *
ngx_llm_stream_store_path(ngx_conf_t *cf, ngx_str_t *path,
    ngx_http_complex_value_t *cv)
{
    const char                        *unfit;
    ngx_http_compile_complex_value_t   ccv;

    if (path->len == 0 || path->data[path->len - 1] == '/') {
        return "has a path that does not name a file";
    }

    if (path->data[0] == '$') {
        return "has a path that begins with a variable and not with "
               "a directory";
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = path;
    ccv.complex_value = cv;
    ccv.root_prefix = 1;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* with nginx's prefix, which is a part of it from here on */

    unfit = ngx_llm_stream_store_unfit(path);

    if (unfit) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the path \"%V\" has %s", path, unfit);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Why nothing may be stored there, or NULL. */

static const char *
ngx_llm_stream_store_unfit(ngx_str_t *path)
{
    size_t      i, start;
    u_char     *p;
    ngx_str_t   temp;

    start = 0;
    p = path->data;

    for (i = 0; i < path->len; i++) {

        if (p[i] < 0x20 || p[i] == 0x7f) {
            return "a control character";
        }
    }

    for (i = 0; i <= path->len; i++) {

        if (i < path->len && p[i] != '/') {
            continue;
        }

        if (i - start == 2 && p[start] == '.' && p[start + 1] == '.') {
            return "a \"..\"";
        }

        if (i < path->len) {
            start = i + 1;
        }
    }

    ngx_str_set(&temp, NGX_LLM_STREAM_FILE_TEMP);

    if (path->len - start >= temp.len
        && ngx_memcmp(p + start, temp.data, temp.len) == 0)
    {
        return "the name of a temporary file";
    }

    return NULL;
}


char *
ngx_llm_stream_merge_store(ngx_conf_t *cf, ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf)
{
    ngx_llm_stream_main_conf_t  *lmcf;
#if (NGX_THREADS)
    ngx_http_core_loc_conf_t    *clcf;
#endif

    ngx_conf_merge_ptr_value(conf->store, prev->store, NULL);

    if (conf->store == NULL || conf->provider == NULL) {
        return NGX_CONF_OK;
    }

    if (conf->store->events) {
        lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_llm_stream_module);
        lmcf->stores_events = 1;
    }

#if (NGX_THREADS)

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if ((clcf->aio != NGX_HTTP_AIO_THREADS || clcf->thread_pool == NULL)
        && conf->store->pool == NULL)
    {
        conf->store->pool = ngx_thread_pool_add(cf, NULL);
        if (conf->store->pool == NULL) {
            return NGX_CONF_ERROR;
        }
    }

#endif

    return NGX_CONF_OK;
}


/* A filter of bodies, only where one is needed. */

ngx_int_t
ngx_llm_stream_store_init(ngx_conf_t *cf)
{
    ngx_llm_stream_main_conf_t  *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_llm_stream_module);

    if (lmcf->stores_events) {
        ngx_http_next_body_filter = ngx_http_top_body_filter;
        ngx_http_top_body_filter = ngx_llm_stream_store_filter;
    }

    return NGX_OK;
}


/*
 * Runs before the flow of an attempt is set up.  NGX_DECLINED: no tap, as
 * nothing is stored or no text.
 */

ngx_int_t
ngx_llm_stream_store_stage(ngx_llm_stream_ctx_t *ctx, llm_stage_conf_t *conf)
{
    llm_tap_conf_t  *tap;

    ngx_llm_stream_store_drop(ctx);

    if (ctx->conf->store == NULL) {
        return NGX_DECLINED;
    }

    ctx->store = ngx_llm_stream_store_open(ctx);

    if (ctx->store == NULL || ctx->conf->store->events) {
        return NGX_DECLINED;
    }

    tap = ngx_palloc(ctx->request->pool, sizeof(llm_tap_conf_t));
    if (tap == NULL) {
        return NGX_ERROR;
    }

    tap->text = ngx_llm_stream_store_text;
    tap->ctx = ctx;

    conf->conf = tap;
    conf->observes = 1;

    return NGX_OK;
}


/* NULL: nothing is stored, and the log says why if that is not meant. */

static ngx_llm_stream_file_t *
ngx_llm_stream_store_open(ngx_llm_stream_ctx_t *ctx)
{
    ngx_str_t                  path;
    const char                *unfit;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;

    if (ngx_http_complex_value(r, &ctx->conf->store->path, &path) != NGX_OK) {
        return NULL;
    }

    if (path.data[path.len - 1] == '/') {
        /* a name that is empty */
        return NULL;
    }

    unfit = ngx_llm_stream_store_unfit(&path);

    if (unfit) {
        /* without the path: it could look like a line of this log */
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "llm_stream does not store an answer: "
                      "the path has %s", unfit);
        return NULL;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    return ngx_llm_stream_file_create(&path, ngx_llm_stream_store_pool(ctx),
                                      clcf->error_log, &ctx->store);
}


static ngx_thread_pool_t *
ngx_llm_stream_store_pool(ngx_llm_stream_ctx_t *ctx)
{
#if (NGX_THREADS)

    ngx_str_t                  name;
    ngx_thread_pool_t         *pool;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->aio != NGX_HTTP_AIO_THREADS) {
        return ctx->conf->store->pool;
    }

    if (clcf->thread_pool) {
        return clcf->thread_pool;
    }

    if (ngx_http_complex_value(r, clcf->thread_pool_value, &name) == NGX_OK) {
        pool = ngx_thread_pool_get((ngx_cycle_t *) ngx_cycle, &name);

        if (pool) {
            return pool;
        }

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "thread pool \"%V\" not found", &name);
    }

#endif

    return ctx->conf->store->pool;
}


/* llm_tap_conf_t.text */

static void
ngx_llm_stream_store_text(void *data, const llm_u8 *p, size_t n)
{
    ngx_llm_stream_ctx_t  *ctx = data;

    if (ctx->store == NULL) {
        return;
    }

    if (p == NULL) {
        ngx_llm_stream_store_drop(ctx);
        return;
    }

    if (ngx_llm_stream_file_add(ctx->store, p, n) == NGX_OK) {
        ngx_llm_stream_file_flush(ctx->store);
    }
}


/*
 * Runs for every piece of every response, if events are stored anywhere: what
 * comes here goes to the client and was not taken back.
 */

static ngx_int_t
ngx_llm_stream_store_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t             *b;
    ngx_chain_t           *cl;
    ngx_llm_stream_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_llm_stream_module);

    if (in == NULL || ctx == NULL || ctx->store == NULL
        || !ctx->conf->store->events)
    {
        return ngx_http_next_body_filter(r, in);
    }

    for (cl = in; cl; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_in_memory(b)
            && ngx_llm_stream_file_add(ctx->store, b->pos, b->last - b->pos)
               != NGX_OK)
        {
            return ngx_http_next_body_filter(r, in);
        }
    }

    ngx_llm_stream_file_flush(ctx->store);

    return ngx_http_next_body_filter(r, in);
}


/* How the answer ended is known. */

void
ngx_llm_stream_store_end(ngx_llm_stream_ctx_t *ctx)
{
    ngx_llm_stream_file_t  *file;

    file = ctx->store;

    if (file) {
        ctx->store = NULL;
        ngx_llm_stream_file_end(file, ctx->fault == LLM_FAULT_NONE
                                      && ctx->cut != LLM_CUT_BLOCK);
    }
}


/* What was stored is not, or not any more, the answer. */

void
ngx_llm_stream_store_drop(ngx_llm_stream_ctx_t *ctx)
{
    ngx_llm_stream_file_t  *file;

    file = ctx->store;

    if (file) {
        ctx->store = NULL;
        ngx_llm_stream_file_end(file, 0);
    }
}


/* Runs when a worker exits, after its threads have ended. */

void
ngx_llm_stream_exit_process(ngx_cycle_t *cycle)
{
    ngx_llm_stream_file_exit();
    ngx_llm_stream_zone_exit(cycle);
}
