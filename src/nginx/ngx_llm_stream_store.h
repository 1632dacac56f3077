/*
 * llm_stream_store: what the answer of a request is stored as, and where.
 */

#ifndef NGX_LLM_STREAM_STORE_H
#define NGX_LLM_STREAM_STORE_H

#include "ngx_llm_stream.h"

#include "llm_stage_tap.h"


/* ngx_llm_stream_stage_t.conf of the tap. */
ngx_int_t ngx_llm_stream_store_stage(ngx_llm_stream_ctx_t *ctx,
    llm_stage_conf_t *conf);


#endif /* NGX_LLM_STREAM_STORE_H */
