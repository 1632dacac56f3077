/*
 * The status page: its parts that never change.  They stand between the tags
 * of style and script exactly as they are here: the policy of
 * ngx_llm_stream_status.h names their hashes.
 */

#ifndef NGX_LLM_STREAM_STATUS_PAGE_H
#define NGX_LLM_STREAM_STATUS_PAGE_H

#include "ngx_llm_stream.h"


extern const ngx_str_t  ngx_llm_stream_page_style;
extern const ngx_str_t  ngx_llm_stream_page_script;


#endif /* NGX_LLM_STREAM_STATUS_PAGE_H */
