/*
 * llm_stream_status: what its files share.  A format is one function, which
 * writes the whole answer; it must read the zone only by the functions of
 * ngx_llm_stream_zone.h.
 */

#ifndef NGX_LLM_STREAM_STATUS_H
#define NGX_LLM_STREAM_STATUS_H

#include "ngx_llm_stream_zone.h"


/* A growing text: buffers of a pool.  After a failure nothing is written. */
typedef struct {
    ngx_pool_t                    *pool;
    ngx_chain_t                   *out;         /* the first, or NULL */
    ngx_chain_t                  **last;
    ngx_buf_t                     *buf;         /* being written to */
    off_t                          size;
    unsigned                       failed:1;    /* no memory */
} ngx_llm_stream_text_t;


void ngx_llm_stream_text_init(ngx_llm_stream_text_t *text, ngx_pool_t *pool);

/* By ngx_sprintf()'s formats; at most 512 bytes at once. */
void ngx_llm_stream_text(ngx_llm_stream_text_t *text, const char *fmt, ...);

void ngx_llm_stream_text_put(ngx_llm_stream_text_t *text, const void *data,
    size_t n);

/* n, which is kept in 1000ths if the scale is 1000, else as it is. */
void ngx_llm_stream_text_scaled(ngx_llm_stream_text_t *text, uint64_t n,
    ngx_uint_t scale);

/* A label as valid UTF-8, whatever it was; it is still to be escaped. */
ngx_str_t ngx_llm_stream_text_label(ngx_llm_stream_text_t *text,
    const ngx_str_t *label);

/*
 * What a browser may do with the page: run its script and use its style, by
 * their hashes, and ask where it came from.  t/status_page.t says what they
 * are when one of the two has changed.
 */
#define NGX_LLM_STREAM_HTML_POLICY                                          \
    "default-src 'none'; connect-src 'self'; img-src data:; "               \
    "style-src 'sha256-OtTCxdXCT6YZJ5FjfGEfjofsskm6HbGWnNImth2OjYU='; "     \
    "script-src 'sha256-noAjAHrfsDHbehrLXZpbC+lmgEkMNWsJDFdxKQKKdrE='; "    \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* The formats. */
void ngx_llm_stream_status_prometheus(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_text_t *text);
void ngx_llm_stream_status_json(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_text_t *text);
void ngx_llm_stream_status_html(ngx_llm_stream_zone_t *zone,
    ngx_llm_stream_text_t *text);


#endif /* NGX_LLM_STREAM_STATUS_H */
