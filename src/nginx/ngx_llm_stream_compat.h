/*
 * Every difference between nginx 1.22.1 and 1.31.5 that this module meets.
 * No other file asks for nginx_version.
 */

#ifndef NGX_LLM_STREAM_COMPAT_H
#define NGX_LLM_STREAM_COMPAT_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* 1.23.0: headers are linked lists, "next" must be set on every push */
#if (nginx_version >= 1023000)
#define ngx_llm_stream_header_init(h)  (h)->next = NULL
#else
#define ngx_llm_stream_header_init(h)
#endif


/* 1.27.2: a fourth argument, whether to keep the trailers */
#if (nginx_version >= 1027002)
#define ngx_llm_stream_parse_chunked(r, b, ctx)                             \
    ngx_http_parse_chunked(r, b, ctx, 0)
#else
#define ngx_llm_stream_parse_chunked(r, b, ctx)                             \
    ngx_http_parse_chunked(r, b, ctx)
#endif


/* before 1.23.0 a header alone was not flushed over HTTP/2 with TLS until
 * the first byte of the body */
#if (nginx_version >= 1023000)
#define NGX_LLM_STREAM_HEADER_FLUSHES  1
#else
#define NGX_LLM_STREAM_HEADER_FLUSHES  0
#endif


/* 1.27.3 */
#ifndef NGX_SSL_DEFAULT_PROTOCOLS
#define NGX_SSL_DEFAULT_PROTOCOLS                                           \
    (NGX_SSL_TLSv1|NGX_SSL_TLSv1_1|NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3)
#endif


#endif /* NGX_LLM_STREAM_COMPAT_H */
