/*
 * The version of the module, and the only place where it is said: make dist,
 * the Debian package and llm_stream_status take it from here.  It must hold
 * nothing else.
 */

#ifndef NGX_LLM_STREAM_VERSION_H
#define NGX_LLM_STREAM_VERSION_H

#define NGX_LLM_STREAM_VERSION  "0.7.0"

#endif /* NGX_LLM_STREAM_VERSION_H */
