/*
 * The state of one exchange with an identity service; see
 * ngx_llm_stream_fetch.c (the connection) and ngx_llm_stream_fetch_parse.c
 * (the answer).
 */

#ifndef NGX_LLM_STREAM_FETCH_H
#define NGX_LLM_STREAM_FETCH_H

#include "ngx_llm_stream_auth.h"


#define NGX_LLM_STREAM_FETCH_MAX  65536     /* bytes of an answer in all */


struct ngx_llm_stream_fetch_s {
    ngx_llm_stream_auth_t    *auth;
    ngx_pool_t               *pool;
    ngx_log_t                 log;          /* quiet */
    ngx_peer_connection_t     peer;
    ngx_event_t               timer;
    ngx_str_t                 send;         /* what is left of the request */
    ngx_uint_t                tried;        /* addresses in vain */

    ngx_buf_t                 in;           /* the answer */
    ngx_http_request_t       *parser;       /* nginx's parsers want one */
    ngx_http_status_t         status;
    ngx_http_chunked_t        chunked;
    off_t                     length;       /* of the body, -1: not said */
    u_char                   *body;         /* decoded so far */
    u_char                   *body_last;

    llm_token_t               token;
    char                      why[128];

    unsigned                  connected:1;
    unsigned                  status_done:1;
    unsigned                  header_done:1;
    unsigned                  is_chunked:1;
    unsigned                  done:1;       /* the token is there */
};


/* Buffers and parser state, from the pool. */
ngx_int_t ngx_llm_stream_fetch_init(ngx_llm_stream_fetch_t *f,
    ngx_pool_t *pool);

/*
 * Reads what is new in f->in.  NGX_OK: f->token is there; NGX_AGAIN: more is
 * needed; NGX_ERROR: *why says what is wrong.
 */
ngx_int_t ngx_llm_stream_fetch_parse(ngx_llm_stream_fetch_t *f,
    ngx_uint_t eof, const char **why);


#endif /* NGX_LLM_STREAM_FETCH_H */
