/*
 * ngx_llm_stream: LLM completion streams through nginx.  This file is the
 * module's face: its directives and its hooks.  It has no logic of its own;
 * src/nginx/ngx_llm_stream.h says where which part lives.
 */

#include "ngx_llm_stream.h"


#define NGX_LLM_STREAM_ANY                                                  \
    NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF

#define ngx_llm_stream_directive(name, where, set, field, post)             \
    { ngx_string("llm_stream" name), where, set, NGX_HTTP_LOC_CONF_OFFSET,  \
      offsetof(ngx_llm_stream_loc_conf_t, field), post }


static ngx_int_t ngx_llm_stream_init(ngx_conf_t *cf);


static ngx_command_t  ngx_llm_stream_commands[] = {

    ngx_llm_stream_directive("",
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_HTTP_LMT_CONF|NGX_CONF_TAKE2,
      ngx_llm_stream_set, provider, NULL),

    ngx_llm_stream_directive("_client", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_set_client, client, NULL),

    ngx_llm_stream_directive("_model", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot, model, NULL),

    ngx_llm_stream_directive("_param", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE23,
      ngx_llm_stream_set_param, params, NULL),

    ngx_llm_stream_directive("_prompt", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot, prompt, NULL),

    ngx_llm_stream_directive("_system", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot, system, NULL),

    ngx_llm_stream_directive("_max_output_tokens",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_set_count, max_output_tokens, NULL),

    ngx_llm_stream_directive("_max_choices",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_set_count, max_choices, NULL),

    ngx_llm_stream_directive("_max_messages",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_set_count, max_messages, NULL),

    ngx_llm_stream_directive("_api_key", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_set_api_key, api_key, NULL),

    ngx_llm_stream_directive("_auth", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_set_auth, auth_name, NULL),

    { ngx_string("llm_stream_auth_provider"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_llm_stream_auth_block,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_stream_limit_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE3,
      ngx_llm_stream_limit_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_stream_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_llm_stream_set_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    ngx_llm_stream_directive("_limit", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE12,
      ngx_llm_stream_set_limit, limits, NULL),

    ngx_llm_stream_directive("_set_header",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE2,
      ngx_llm_stream_add_header, headers, NULL),

    ngx_llm_stream_directive("_hide_header",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_str_array_slot, upstream.hide_headers, NULL),

    ngx_llm_stream_directive("_pass_header",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_pass_header, upstream.pass_headers, NULL),

    ngx_llm_stream_directive("_connect_timeout",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot, upstream.connect_timeout, NULL),

    ngx_llm_stream_directive("_send_timeout",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot, upstream.send_timeout, NULL),

    ngx_llm_stream_directive("_first_token_timeout",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_set_time_or_off, first_token_timeout, NULL),

    ngx_llm_stream_directive("_idle_timeout",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_set_time_or_off, idle_timeout, NULL),

    ngx_llm_stream_directive("_total_timeout",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_set_time_or_off, total_timeout, NULL),

    ngx_llm_stream_directive("_next_upstream",
      NGX_LLM_STREAM_ANY|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot, next, &ngx_llm_stream_next_masks),

    ngx_llm_stream_directive("_next_upstream_tries",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot, upstream.next_upstream_tries, NULL),

    ngx_llm_stream_directive("_next_upstream_timeout",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot, upstream.next_upstream_timeout, NULL),

    ngx_llm_stream_directive("_retry_budget",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_set_budget, retry_percent, NULL),

    ngx_llm_stream_directive("_fallback",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot, fallback, &ngx_llm_stream_fallbacks),

    ngx_llm_stream_directive("_intercept_errors",
      NGX_LLM_STREAM_ANY|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot, intercept_errors, NULL),

    ngx_llm_stream_directive("_ignore_client_abort",
      NGX_LLM_STREAM_ANY|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot, upstream.ignore_client_abort, NULL),

    ngx_llm_stream_directive("_usage", NGX_LLM_STREAM_ANY|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot, usage, NULL),

    ngx_llm_stream_directive("_unsupported",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot, unsupported_drop, &ngx_llm_stream_unsupported),

    ngx_llm_stream_directive("_gate", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE12,
      ngx_llm_stream_set_gate, gate, NULL),

    ngx_llm_stream_directive("_coalesce",
      NGX_LLM_STREAM_ANY|NGX_CONF_1MORE,
      ngx_llm_stream_set_coalesce, coalesce, NULL),

    ngx_llm_stream_directive("_redact", NGX_LLM_STREAM_ANY|NGX_CONF_1MORE,
      ngx_llm_stream_set_redact, redact, NULL),

    ngx_llm_stream_directive("_heartbeat", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_set_time_or_off, heartbeat, NULL),

    ngx_llm_stream_directive("_padding", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_set_padding, padding, NULL),

    ngx_llm_stream_directive("_cors", NGX_LLM_STREAM_ANY|NGX_CONF_1MORE,
      ngx_llm_stream_set_cors, cors, NULL),

    ngx_llm_stream_directive("_stop", NGX_LLM_STREAM_ANY|NGX_CONF_1MORE,
      ngx_llm_stream_set_stop, stop, NULL),

    ngx_llm_stream_directive("_store", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE12,
      ngx_llm_stream_set_store, store, NULL),

    ngx_llm_stream_directive("_log", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot, log, &ngx_llm_stream_log_enum),

    ngx_llm_stream_directive("_status",
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_llm_stream_set_status, status, NULL),

    ngx_llm_stream_directive("_buffer_size",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot, upstream.buffer_size,
      &ngx_llm_stream_buffer_size_post),

    ngx_llm_stream_directive("_max_event_size",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot, max_event_size, NULL),

    ngx_llm_stream_directive("_max_response_size",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot, max_response_size, NULL),

    ngx_llm_stream_directive("_max_depth", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot, max_depth, &ngx_llm_stream_depth_bounds),

    ngx_llm_stream_directive("_ssl_session_reuse",
      NGX_LLM_STREAM_ANY|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot, upstream.ssl_session_reuse, NULL),

    ngx_llm_stream_directive("_ssl_protocols",
      NGX_LLM_STREAM_ANY|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot, ssl_protocols,
      &ngx_llm_stream_ssl_protocols),

    ngx_llm_stream_directive("_ssl_ciphers",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot, ssl_ciphers, NULL),

    ngx_llm_stream_directive("_ssl_name", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot, upstream.ssl_name, NULL),

    ngx_llm_stream_directive("_ssl_server_name",
      NGX_LLM_STREAM_ANY|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot, upstream.ssl_server_name, NULL),

    ngx_llm_stream_directive("_ssl_verify", NGX_LLM_STREAM_ANY|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot, upstream.ssl_verify, NULL),

    ngx_llm_stream_directive("_ssl_verify_depth",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot, ssl_verify_depth, NULL),

    ngx_llm_stream_directive("_ssl_trusted_certificate",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot, ssl_trusted_certificate, NULL),

    ngx_llm_stream_directive("_ssl_crl", NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot, ssl_crl, NULL),

    ngx_llm_stream_directive("_ssl_certificate",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_zero_slot, upstream.ssl_certificate, NULL),

    ngx_llm_stream_directive("_ssl_certificate_key",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_zero_slot, upstream.ssl_certificate_key,
      NULL),

    ngx_llm_stream_directive("_ssl_password_file",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE1,
      ngx_llm_stream_ssl_password_file, upstream.ssl_passwords, NULL),

    ngx_llm_stream_directive("_ssl_conf_command",
      NGX_LLM_STREAM_ANY|NGX_CONF_TAKE2,
      ngx_conf_set_keyval_slot, ssl_conf_commands,
      &ngx_llm_stream_ssl_conf_command_post),

    ngx_null_command
};


static ngx_http_module_t  ngx_llm_stream_module_ctx = {
    ngx_llm_stream_add_variables,          /* preconfiguration */
    ngx_llm_stream_init,                   /* postconfiguration */

    ngx_llm_stream_create_main_conf,       /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_llm_stream_create_loc_conf,        /* create location configuration */
    ngx_llm_stream_merge_loc_conf          /* merge location configuration */
};


ngx_module_t  ngx_llm_stream_module = {
    NGX_MODULE_V1,
    &ngx_llm_stream_module_ctx,            /* module context */
    ngx_llm_stream_commands,               /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_llm_stream_limit_init_process,     /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_llm_stream_exit_process,           /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* The whole of "http" was read, and all levels merged. */

static ngx_int_t
ngx_llm_stream_init(ngx_conf_t *cf)
{
    if (ngx_llm_stream_auth_finish(cf) != NGX_OK
        || ngx_llm_stream_cors_init(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_llm_stream_store_init(cf) != NGX_OK
        || ngx_llm_stream_log_init(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_llm_stream_error_init(cf);
}
