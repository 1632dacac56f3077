/*
 * The HTTP answer of an identity service: nginx's parsers over one buffer
 * that holds all of it.  It must be whole: half a token is a wrong token.
 */

#include "ngx_llm_stream_fetch.h"


static ngx_int_t ngx_llm_stream_fetch_status(ngx_llm_stream_fetch_t *f,
    const char **why);
static ngx_int_t ngx_llm_stream_fetch_header(ngx_llm_stream_fetch_t *f,
    const char **why);
static const char *ngx_llm_stream_fetch_line(ngx_llm_stream_fetch_t *f);
static ngx_int_t ngx_llm_stream_fetch_body(ngx_llm_stream_fetch_t *f,
    ngx_uint_t eof, const char **why);
static ngx_int_t ngx_llm_stream_fetch_chunks(ngx_llm_stream_fetch_t *f,
    const char **why);
static ngx_uint_t ngx_llm_stream_fetch_is(u_char *p, u_char *end,
    const char *word);


ngx_int_t
ngx_llm_stream_fetch_init(ngx_llm_stream_fetch_t *f, ngx_pool_t *pool)
{
    f->pool = pool;
    f->length = -1;

    f->in.start = ngx_palloc(pool, NGX_LLM_STREAM_FETCH_MAX);
    f->parser = ngx_pcalloc(pool, sizeof(ngx_http_request_t));

    if (f->in.start == NULL || f->parser == NULL) {
        return NGX_ERROR;
    }

    f->in.pos = f->in.start;
    f->in.last = f->in.start;
    f->in.end = f->in.start + NGX_LLM_STREAM_FETCH_MAX;
    f->in.memory = 1;

    return NGX_OK;
}


ngx_int_t
ngx_llm_stream_fetch_parse(ngx_llm_stream_fetch_t *f, ngx_uint_t eof,
    const char **why)
{
    ngx_int_t  rc;

    f->parser->connection = f->peer.connection;

    if (!f->status_done) {
        rc = ngx_llm_stream_fetch_status(f, why);
        if (rc != NGX_OK) {
            goto done;
        }
    }

    if (!f->header_done) {
        rc = ngx_llm_stream_fetch_header(f, why);
        if (rc != NGX_OK) {
            goto done;
        }
    }

    rc = ngx_llm_stream_fetch_body(f, eof, why);

    if (rc == NGX_OK) {
        *why = llm_token_read(f->body, f->body_last - f->body, &f->token);
        return *why ? NGX_ERROR : NGX_OK;
    }

done:

    if (rc == NGX_AGAIN && eof) {
        *why = "answer ended before it was complete";
        return NGX_ERROR;
    }

    return rc;
}


static ngx_int_t
ngx_llm_stream_fetch_status(ngx_llm_stream_fetch_t *f, const char **why)
{
    ngx_int_t  rc;

    rc = ngx_http_parse_status_line(f->parser, &f->in, &f->status);

    if (rc == NGX_ERROR) {
        *why = "answer is not HTTP";
        return NGX_ERROR;
    }

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (f->status.code >= 100 && f->status.code < 200
        && f->status.code != NGX_HTTP_SWITCHING_PROTOCOLS)
    {
        /* its header ends as any other does, then comes the answer */
        f->status_done = 1;
        return NGX_OK;
    }

    if (f->status.code != NGX_HTTP_OK && f->status.code != NGX_HTTP_CREATED) {
        *ngx_snprintf((u_char *) f->why, sizeof(f->why) - 1, "status %ui",
                      f->status.code) = '\0';
        *why = f->why;
        return NGX_ERROR;
    }

    f->status_done = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_llm_stream_fetch_header(ngx_llm_stream_fetch_t *f, const char **why)
{
    ngx_int_t  rc;

    for ( ;; ) {

        rc = ngx_http_parse_header_line(f->parser, &f->in, 1);

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        if (rc == NGX_HTTP_PARSE_HEADER_DONE) {
            break;
        }

        *why = rc == NGX_OK ? ngx_llm_stream_fetch_line(f)
                            : "answer has an invalid header";
        if (*why) {
            return NGX_ERROR;
        }
    }

    if (f->status.code < NGX_HTTP_OK) {
        f->status_done = 0;
        f->parser->state = 0;
        ngx_memzero(&f->status, sizeof(ngx_http_status_t));

        if (ngx_llm_stream_fetch_status(f, why) != NGX_OK) {
            return *why ? NGX_ERROR : NGX_AGAIN;
        }

        return ngx_llm_stream_fetch_header(f, why);
    }

    f->header_done = 1;
    f->body = f->in.pos;
    f->body_last = f->in.pos;

    return NGX_OK;
}


/* NULL, or what is wrong with the line. */

static const char *
ngx_llm_stream_fetch_line(ngx_llm_stream_fetch_t *f)
{
    u_char              *name, *name_end, *value, *value_end;
    ngx_http_request_t  *r;

    r = f->parser;
    name = r->header_name_start;
    name_end = r->header_name_end;
    value = r->header_start;
    value_end = r->header_end;

    if (ngx_llm_stream_fetch_is(name, name_end, "content-length")) {

        if (f->length != -1) {
            return "answer has two lengths";
        }

        f->length = ngx_atoof(value, value_end - value);

        return f->length == NGX_ERROR ? "answer has an invalid length" : NULL;
    }

    if (ngx_llm_stream_fetch_is(name, name_end, "transfer-encoding")) {
        f->is_chunked = ngx_llm_stream_fetch_is(value, value_end, "chunked");
        return f->is_chunked ? NULL : "answer has an unknown encoding";
    }

    if (ngx_llm_stream_fetch_is(name, name_end, "content-encoding")
        && !ngx_llm_stream_fetch_is(value, value_end, "identity"))
    {
        return "answer is compressed";
    }

    return NULL;
}


static ngx_uint_t
ngx_llm_stream_fetch_is(u_char *p, u_char *end, const char *word)
{
    size_t  n;

    n = ngx_strlen(word);

    return (size_t) (end - p) == n
           && ngx_strncasecmp(p, (u_char *) word, n) == 0;
}


static ngx_int_t
ngx_llm_stream_fetch_body(ngx_llm_stream_fetch_t *f, ngx_uint_t eof,
    const char **why)
{
    if (f->is_chunked) {
        return ngx_llm_stream_fetch_chunks(f, why);
    }

    f->body_last = f->in.last;

    if (f->length == -1) {
        return eof ? NGX_OK : NGX_AGAIN;
    }

    if (f->length > NGX_LLM_STREAM_FETCH_MAX) {
        *why = "answer is too large";
        return NGX_ERROR;
    }

    if (f->body_last - f->body < f->length) {
        return NGX_AGAIN;
    }

    f->body_last = f->body + f->length;

    return NGX_OK;
}


/* The data moves to the front of the body, over the framing. */

static ngx_int_t
ngx_llm_stream_fetch_chunks(ngx_llm_stream_fetch_t *f, const char **why)
{
    size_t     n;
    ngx_int_t  rc;

    for ( ;; ) {

        rc = ngx_llm_stream_parse_chunked(f->parser, &f->in, &f->chunked);

        if (rc == NGX_OK) {
            n = ngx_min((off_t) (f->in.last - f->in.pos), f->chunked.size);

            ngx_memmove(f->body_last, f->in.pos, n);
            f->body_last += n;
            f->in.pos += n;
            f->chunked.size -= n;

            continue;
        }

        if (rc == NGX_DONE || rc == NGX_AGAIN) {
            return rc == NGX_DONE ? NGX_OK : NGX_AGAIN;
        }

        *why = "answer has an invalid chunk";
        return NGX_ERROR;
    }
}
