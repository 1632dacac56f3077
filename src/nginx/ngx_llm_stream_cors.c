/*
 * llm_stream_cors: which pages of other origins may read a location.  Owns
 * the preflight, which is answered before the access phase because a browser
 * sends no credentials with it, and the header lines that every answer of the
 * location carries, whoever made it.  It must never name an origin that is
 * not in the configuration, nor pass another's Access-Control-* on.
 */

#include "ngx_llm_stream.h"


#define NGX_LLM_STREAM_CORS_AGE    "7200"   /* s, the most that Chromium keeps
                                               a preflight's answer */
#define NGX_LLM_STREAM_CORS_ASKED  2048     /* bytes of names of headers that
                                               a preflight may list */


static ngx_int_t ngx_llm_stream_cors_handler(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_cors_filter(ngx_http_request_t *r);
static ngx_llm_stream_cors_t *ngx_llm_stream_cors_of(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_cors_remember(ngx_http_request_t *r,
    ngx_llm_stream_cors_t *cors);
static ngx_pool_cleanup_t *ngx_llm_stream_cors_remembered(
    ngx_http_request_t *r);
static void ngx_llm_stream_cors_cleanup(void *data);
static ngx_uint_t ngx_llm_stream_cors_preflight(ngx_http_request_t *r);
static ngx_str_t *ngx_llm_stream_cors_once(ngx_http_request_t *r,
    const char *name);
static ngx_str_t *ngx_llm_stream_cors_allowed(ngx_http_request_t *r,
    ngx_llm_stream_cors_t *cors);
static void ngx_llm_stream_cors_strip(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_cors_allow(ngx_http_request_t *r);
static ngx_uint_t ngx_llm_stream_cors_names(ngx_str_t *list);
static ngx_int_t ngx_llm_stream_cors_expose(ngx_http_request_t *r);
static ngx_uint_t ngx_llm_stream_cors_exposed(ngx_table_elt_t *h);
static ngx_int_t ngx_llm_stream_cors_vary_asked(ngx_http_request_t *r);
static ngx_int_t ngx_llm_stream_cors_vary(ngx_http_request_t *r,
    const char *name);
static ngx_uint_t ngx_llm_stream_cors_has(ngx_str_t *list, const char *name);
static ngx_table_elt_t *ngx_llm_stream_cors_next(ngx_list_part_t **part,
    ngx_uint_t *i);
static ngx_uint_t ngx_llm_stream_cors_named(ngx_table_elt_t *h,
    const char *name);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;

static ngx_str_t  ngx_llm_stream_cors_any = ngx_string("*");


/* What a page has no use for, or may read anyway.  A name that ends in '-' is
 * a prefix. */

static const char  *ngx_llm_stream_cors_hidden[] = {
    "access-control-", "cache-control", "set-cookie", "vary",
    "www-authenticate", "x-accel-", "x-content-type-options", NULL
};


/* In postconfiguration: nothing is hooked in if no location is cross-origin.
 * Before ngx_llm_stream_error_init(), whose filter then runs first and has
 * added its own header lines. */

ngx_int_t
ngx_llm_stream_cors_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt         *h;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_llm_stream_main_conf_t  *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_llm_stream_module);

    if (!lmcf->cors) {
        return NGX_OK;
    }

    /* the last one of a phase runs first: before limit_req and limit_conn */

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_llm_stream_cors_handler;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_llm_stream_cors_filter;

    return NGX_OK;
}


/*
 * Runs for every request in the preaccess phase: the location is known,
 * "if" and "rewrite" included, and nobody has asked for credentials.
 * NGX_DECLINED: not a preflight.  NGX_DONE: answered, and the request may be
 * gone; not by way of an error_page, which could ask a provider.
 */

static ngx_int_t
ngx_llm_stream_cors_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_llm_stream_cors_t      *cors;
    ngx_llm_stream_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_llm_stream_module);
    cors = llcf->cors;

    if (cors == NULL || llcf->provider == NULL || r != r->main) {
        return NGX_DECLINED;
    }

    if (ngx_llm_stream_cors_remember(r, cors) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!cors->on || !ngx_llm_stream_cors_preflight(r)) {
        return NGX_DECLINED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = ngx_llm_stream_cors_allowed(r, cors)
                            ? NGX_HTTP_NO_CONTENT : NGX_HTTP_FORBIDDEN;
    r->headers_out.content_length_n = 0;
    r->header_only = 1;

    rc = ngx_http_send_header(r);

    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}


/* Runs for every response of the server; acts on those of locations that are
 * cross-origin, and of where their error pages led. */

static ngx_int_t
ngx_llm_stream_cors_filter(ngx_http_request_t *r)
{
    ngx_str_t              *origin;
    ngx_uint_t              preflight;
    ngx_llm_stream_cors_t  *cors;

    cors = (r == r->main) ? ngx_llm_stream_cors_of(r) : NULL;

    if (cors == NULL || !cors->on) {
        return ngx_http_next_header_filter(r);
    }

    ngx_llm_stream_cors_strip(r);

    preflight = ngx_llm_stream_cors_preflight(r);

    if ((!cors->any && ngx_llm_stream_cors_vary(r, "Origin") != NGX_OK)
        || (preflight && ngx_llm_stream_cors_vary_asked(r) != NGX_OK))
    {
        return NGX_ERROR;
    }

    origin = ngx_llm_stream_cors_allowed(r, cors);

    if (origin == NULL) {
        return ngx_http_next_header_filter(r);
    }

    if (ngx_llm_stream_add_out_header(r, "Access-Control-Allow-Origin",
                                      (char *) origin->data)
        != NGX_OK
        || (cors->credentials
            && ngx_llm_stream_add_out_header(r,
                                           "Access-Control-Allow-Credentials",
                                           "true")
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    if (preflight && r->headers_out.status == NGX_HTTP_NO_CONTENT) {

        if (ngx_llm_stream_cors_allow(r) != NGX_OK) {
            return NGX_ERROR;
        }

    } else if (ngx_llm_stream_cors_expose(r) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


/* A location with llm_stream decides for itself if anything is said there;
 * else it is what the location before an error_page had. */

static ngx_llm_stream_cors_t *
ngx_llm_stream_cors_of(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t         *cln;
    ngx_llm_stream_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_llm_stream_module);

    if (llcf->provider && llcf->cors) {
        return llcf->cors;
    }

    if (!r->internal) {
        return NULL;
    }

    cln = ngx_llm_stream_cors_remembered(r);

    return cln ? cln->data : NULL;
}


/* In the pool: an internal redirect forgets the contexts of all modules. */

static ngx_int_t
ngx_llm_stream_cors_remember(ngx_http_request_t *r,
    ngx_llm_stream_cors_t *cors)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_llm_stream_cors_remembered(r);

    if (cln == NULL) {

        cln = ngx_pool_cleanup_add(r->pool, 0);
        if (cln == NULL) {
            return NGX_ERROR;
        }

        cln->handler = ngx_llm_stream_cors_cleanup;
    }

    cln->data = cors;

    return NGX_OK;
}


static ngx_pool_cleanup_t *
ngx_llm_stream_cors_remembered(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_llm_stream_cors_cleanup) {
            break;
        }
    }

    return cln;
}


/* Runs with the request's pool: it is only a mark to be found by. */

static void
ngx_llm_stream_cors_cleanup(void *data)
{
}


static ngx_uint_t
ngx_llm_stream_cors_preflight(ngx_http_request_t *r)
{
    static const u_char  origin[] = "origin";
    static const u_char  method[] = "access-control-request-method";

    return r->method == NGX_HTTP_OPTIONS
           && ngx_llm_stream_find_header(r, origin, sizeof(origin) - 1)
           && ngx_llm_stream_find_header(r, method, sizeof(method) - 1);
}


/* A browser sends each of its header lines once: NULL for none, and for more
 * than one, which could mean this to us and that to somebody else. */

static ngx_str_t *
ngx_llm_stream_cors_once(ngx_http_request_t *r, const char *name)
{
    size_t            n;
    ngx_str_t        *value;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = ngx_strlen(name);
    value = NULL;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != n
                || ngx_strncasecmp(h[i].key.data, (u_char *) name, n) != 0)
            {
                continue;
            }

            if (value) {
                return NULL;
            }

            value = &h[i].value;
        }
    }

    return value;
}


/* What Access-Control-Allow-Origin says; NULL: this origin may not read. */

static ngx_str_t *
ngx_llm_stream_cors_allowed(ngx_http_request_t *r,
    ngx_llm_stream_cors_t *cors)
{
    ngx_str_t   *origin, *allowed;
    ngx_uint_t   i;

    if (cors->any) {
        return &ngx_llm_stream_cors_any;
    }

    origin = ngx_llm_stream_cors_once(r, "origin");

    if (origin == NULL) {
        return NULL;
    }

    allowed = cors->origins.elts;

    for (i = 0; i < cors->origins.nelts; i++) {
        if (allowed[i].len == origin->len
            && ngx_memcmp(allowed[i].data, origin->data, origin->len) == 0)
        {
            return &allowed[i];
        }
    }

    return NULL;
}


/* What another has said of origins, behind an error_page: only the
 * configuration of the location counts. */

static void
ngx_llm_stream_cors_strip(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &r->headers_out.headers.part;
    i = 0;

    while ((h = ngx_llm_stream_cors_next(&part, &i)) != NULL) {
        if (ngx_llm_stream_cors_named(h, "access-control-")) {
            h->hash = 0;
        }
    }
}


/* What a preflight asks for.  The names of headers are given back: a list of
 * what client libraries send would be too short tomorrow, and what goes to
 * the provider is decided elsewhere. */

static ngx_int_t
ngx_llm_stream_cors_allow(ngx_http_request_t *r)
{
    u_char                     *names;
    ngx_str_t                  *asked;
    ngx_llm_stream_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_llm_stream_module);

    if (ngx_llm_stream_add_out_header(r, "Access-Control-Allow-Methods",
                                      llcf->prompt ? "GET, POST" : "POST")
        != NGX_OK
        || ngx_llm_stream_add_out_header(r, "Access-Control-Max-Age",
                                         NGX_LLM_STREAM_CORS_AGE)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    asked = ngx_llm_stream_cors_once(r, "access-control-request-headers");

    if (asked == NULL || !ngx_llm_stream_cors_names(asked)) {
        return NGX_OK;
    }

    names = ngx_pnalloc(r->pool, asked->len + 1);
    if (names == NULL) {
        return NGX_ERROR;
    }

    ngx_cpystrn(names, asked->data, asked->len + 1);

    return ngx_llm_stream_add_out_header(r, "Access-Control-Allow-Headers",
                                         (char *) names);
}


/* Whether it is a list of names of headers, and nothing else. */

static ngx_uint_t
ngx_llm_stream_cors_names(ngx_str_t *list)
{
    u_char      c;
    size_t      i;
    ngx_uint_t  name;

    if (list->len > NGX_LLM_STREAM_CORS_ASKED) {
        return 0;
    }

    name = 0;

    for (i = 0; i < list->len; i++) {

        c = list->data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9')
            || (c && ngx_strchr("!#$%&'*+-.^_`|~", c)))
        {
            if (name == 2) {
                /* a space in a name */
                return 0;
            }

            name = 1;

        } else if (c == ',') {

            if (name == 0) {
                return 0;
            }

            name = 0;

        } else if (c == ' ' || c == '\t') {
            name = name ? 2 : 0;

        } else {
            return 0;
        }
    }

    return name;
}


/* The headers that a script may read: those there are. */

static ngx_int_t
ngx_llm_stream_cors_expose(ngx_http_request_t *r)
{
    size_t            n;
    u_char           *list, *p;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = 0;
    part = &r->headers_out.headers.part;
    i = 0;

    while ((h = ngx_llm_stream_cors_next(&part, &i)) != NULL) {
        if (ngx_llm_stream_cors_exposed(h)) {
            n += h->key.len + sizeof(", ") - 1;
        }
    }

    if (n == 0) {
        return NGX_OK;
    }

    list = ngx_pnalloc(r->pool, n);
    if (list == NULL) {
        return NGX_ERROR;
    }

    p = list;
    part = &r->headers_out.headers.part;
    i = 0;

    while ((h = ngx_llm_stream_cors_next(&part, &i)) != NULL) {

        if (!ngx_llm_stream_cors_exposed(h)) {
            continue;
        }

        if (p != list) {
            *p++ = ',';
            *p++ = ' ';
        }

        p = ngx_cpymem(p, h->key.data, h->key.len);
    }

    *p = '\0';

    return ngx_llm_stream_add_out_header(r, "Access-Control-Expose-Headers",
                                         (char *) list);
}


static ngx_uint_t
ngx_llm_stream_cors_exposed(ngx_table_elt_t *h)
{
    const char  **name;

    for (name = ngx_llm_stream_cors_hidden; *name; name++) {
        if (ngx_llm_stream_cors_named(h, *name)) {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_llm_stream_cors_vary_asked(ngx_http_request_t *r)
{
    if (ngx_llm_stream_cors_vary(r, "Access-Control-Request-Method")
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_llm_stream_cors_vary(r, "Access-Control-Request-Headers");
}


/* Adds a name to the Vary that is there, or a Vary. */

static ngx_int_t
ngx_llm_stream_cors_vary(ngx_http_request_t *r, const char *name)
{
    u_char           *p;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *vary;

    vary = NULL;
    part = &r->headers_out.headers.part;
    i = 0;

    while ((h = ngx_llm_stream_cors_next(&part, &i)) != NULL) {

        if (!ngx_llm_stream_cors_named(h, "vary")) {
            continue;
        }

        if (ngx_llm_stream_cors_has(&h->value, name)
            || ngx_llm_stream_cors_has(&h->value, "*"))
        {
            return NGX_OK;
        }

        vary = h;
    }

    if (vary == NULL || vary->value.len == 0) {
        return ngx_llm_stream_add_out_header(r, "Vary", name);
    }

    p = ngx_pnalloc(r->pool, vary->value.len + sizeof(", ") - 1
                             + ngx_strlen(name));
    if (p == NULL) {
        return NGX_ERROR;
    }

    vary->value.len = ngx_sprintf(p, "%V, %s", &vary->value, name) - p;
    vary->value.data = p;

    return NGX_OK;
}


/* Whether a list of tokens has that one, in any case. */

static ngx_uint_t
ngx_llm_stream_cors_has(ngx_str_t *list, const char *name)
{
    size_t   n;
    u_char  *p, *last, *start;

    n = ngx_strlen(name);
    p = list->data;
    last = p + list->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        start = p;

        while (p < last && *p != ' ' && *p != '\t' && *p != ',') {
            p++;
        }

        if ((size_t) (p - start) == n
            && ngx_strncasecmp(start, (u_char *) name, n) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* The next header line of a list that is still to be sent, NULL at its
 * end. */

static ngx_table_elt_t *
ngx_llm_stream_cors_next(ngx_list_part_t **part, ngx_uint_t *i)
{
    ngx_table_elt_t  *h;

    for (;; (*i)++) {

        if (*i >= (*part)->nelts) {

            if ((*part)->next == NULL) {
                return NULL;
            }

            *part = (*part)->next;
            *i = 0;

            if ((*part)->nelts == 0) {
                continue;
            }
        }

        h = (*part)->elts;

        if (h[*i].hash) {
            return &h[(*i)++];
        }
    }
}


static ngx_uint_t
ngx_llm_stream_cors_named(ngx_table_elt_t *h, const char *name)
{
    size_t  n;

    n = ngx_strlen(name);

    return (h->key.len == n || (h->key.len > n && name[n - 1] == '-'))
           && ngx_strncasecmp(h->key.data, (u_char *) name, n) == 0;
}
