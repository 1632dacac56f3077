/*
 * Whose something in shared memory is: a process, and whether it still lives.
 * A number alone does not say it, since numbers are given again.
 */

#ifndef NGX_LLM_STREAM_OWNER_H
#define NGX_LLM_STREAM_OWNER_H

#include "ngx_llm_stream_compat.h"


typedef struct {
    ngx_pid_t       pid;
    ngx_msec_t      born;
} ngx_llm_stream_owner_t;


/* When a process starts.  1: it is a new one, 0: the same after a reload. */
ngx_uint_t ngx_llm_stream_owner_begin(void);

/* This process; valid after that. */
ngx_llm_stream_owner_t *ngx_llm_stream_owner_self(void);

ngx_uint_t ngx_llm_stream_owner_is_self(ngx_llm_stream_owner_t *owner);
ngx_uint_t ngx_llm_stream_owner_is_dead(ngx_llm_stream_owner_t *owner);


#endif /* NGX_LLM_STREAM_OWNER_H */
