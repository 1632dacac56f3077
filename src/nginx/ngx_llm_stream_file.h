/*
 * A file that is written beside a stream: by a thread where nginx has
 * threads, under another name until it is whole.
 */

#ifndef NGX_LLM_STREAM_FILE_H
#define NGX_LLM_STREAM_FILE_H

#include "ngx_llm_stream.h"


#if !(NGX_THREADS || NGX_COMPAT)
typedef struct ngx_thread_pool_s  ngx_thread_pool_t;
#endif


/* How the names of those that are not whole begin. */
#define NGX_LLM_STREAM_FILE_TEMP  ".llm_stream."


/*
 * Nothing is opened yet.  pool: NULL to write in the worker itself.  log must
 * outlive the request.  *owner, where the caller keeps the file, is set to
 * NULL when it is given up: that was logged then.  NULL: no memory.
 */
ngx_llm_stream_file_t *ngx_llm_stream_file_create(ngx_str_t *path,
    ngx_thread_pool_t *pool, ngx_log_t *log, ngx_llm_stream_file_t **owner);

/* NGX_OK, or NGX_ERROR: it was given up. */
ngx_int_t ngx_llm_stream_file_add(ngx_llm_stream_file_t *file,
    const u_char *p, size_t n);

/* What was added may be written now.  It may be given up. */
void ngx_llm_stream_file_flush(ngx_llm_stream_file_t *file);

/* The owner lets go of it; `whole`: it gets its name, else it is removed. */
void ngx_llm_stream_file_end(ngx_llm_stream_file_t *file, ngx_uint_t whole);

/* The worker exits, its threads have ended. */
void ngx_llm_stream_file_exit(void);


#endif /* NGX_LLM_STREAM_FILE_H */
