/*
 * The nginx side: what a location is configured with, and the state of one
 * request.  The files of this folder share this header; each says on top
 * which part of the state it owns.
 *
 *   conf      defaults, merge, setters (conf_dialect, cors_conf: of some)
 *   secret    keys, read by the master
 *   handler   a request comes in, its body is read, an upstream is set up
 *   client    which dialect the client speaks
 *   request   what the client asks
 *   caps      how much may be asked: limits of the request
 *   plan      what the provider is asked instead
 *   sign_in   requests that wait for a token (auth_*, fetch_*: their headers)
 *   send      the bytes of that request
 *   url, ssl  where to
 *   upstream  nginx's callbacks, and the one place that sees the end of the
 *             provider's answer
 *   header    status line and header lines of the answer
 *   kind      what kind of answer it is
 *   response  the gate, its body through the flow
 *   stages    what may happen to its events on the way
 *   padding   how much its events are padded
 *   stop      stop strings
 *   estimate  tokens that nobody else counts
 *   limit     token-rate limits (limit_zone, _model, _conf: their header)
 *   coalesce  one of them: shaping
 *   redact    what must not be said
 *   out       the sink: buffers to the client
 *   store     the answer in a file (file: how that is written)
 *   timer     the one timer of a request
 *   retry     may another peer be tried, or the same one again
 *   wait      the time until the same one is asked again
 *   budget    how many requests of an upstream may be sent again
 *   fallback  the same request without a stream
 *   error     error bodies in the client's dialect
 *   cors      pages of other origins
 *   log       how it ended: one word, one line
 *   variables what is known of a request
 *   metrics   what is counted of it, into a zone of shared memory
 *             (zone_*: where it is kept, status_*: how it is shown; the way
 *             from one to the other is in ngx_llm_stream_zone.h)
 *   owner     processes, as owners of shared memory
 *   compat    what differs between versions of nginx
 *   version   the version of the module
 */

#ifndef NGX_LLM_STREAM_H
#define NGX_LLM_STREAM_H

#include "ngx_llm_stream_compat.h"

#include "llm_dialect.h"
#include "llm_flow.h"
#include "llm_provider.h"
#include "llm_request.h"
#include "llm_stage_coalesce.h"


/* bits of llm_stream_next_upstream; the lowest is NGX_CONF_BITMASK_SET */
#define NGX_LLM_STREAM_NEXT_OFF           0x00010000
#define NGX_LLM_STREAM_NEXT_ERROR         0x00000002
#define NGX_LLM_STREAM_NEXT_TIMEOUT       0x00000004
#define NGX_LLM_STREAM_NEXT_STALE         0x00000008
#define NGX_LLM_STREAM_NEXT_STREAM_ERROR  0x00000010
#define NGX_LLM_STREAM_NEXT_INVALID       0x00000020
#define NGX_LLM_STREAM_NEXT_HTTP_403      0x00000040
#define NGX_LLM_STREAM_NEXT_HTTP_404      0x00000080
#define NGX_LLM_STREAM_NEXT_HTTP_408      0x00000100
#define NGX_LLM_STREAM_NEXT_HTTP_409      0x00000200
#define NGX_LLM_STREAM_NEXT_HTTP_429      0x00000400
#define NGX_LLM_STREAM_NEXT_HTTP_500      0x00000800
#define NGX_LLM_STREAM_NEXT_HTTP_502      0x00001000
#define NGX_LLM_STREAM_NEXT_HTTP_503      0x00002000
#define NGX_LLM_STREAM_NEXT_HTTP_504      0x00004000
#define NGX_LLM_STREAM_NEXT_HTTP_529      0x00008000

/* an answer with a status */
#define NGX_LLM_STREAM_NEXT_STATUS        0x0000ffc0

/* what the same server may be asked for again, after a while */
#define NGX_LLM_STREAM_NEXT_AGAIN         0x0000ff30

/* tokens: of a request, whatever its provider says; of a rate, of a bucket */
#define NGX_LLM_STREAM_TOKENS_MAX         1000000000

/* classes of upstream errors */
#define NGX_LLM_STREAM_FAILURES                                             \
    (LLM_COUNT_ERR_INVALID - LLM_COUNT_ERR_CONNECT + 1)

#define NGX_LLM_STREAM_GATE_OFF           0
#define NGX_LLM_STREAM_GATE_EVENT         1
#define NGX_LLM_STREAM_GATE_CONTENT       2

#define NGX_LLM_STREAM_LOG_OFF            0
#define NGX_LLM_STREAM_LOG_ERRORS         1
#define NGX_LLM_STREAM_LOG_ALL            2


typedef struct {
    ngx_str_t                   name;
    ngx_http_complex_value_t    value;
    ngx_uint_t                  if_absent;
} ngx_llm_stream_param_t;


typedef struct {
    ngx_str_t                   name;
    ngx_http_complex_value_t    value;
} ngx_llm_stream_set_header_t;


typedef struct {
    ngx_array_t                 origins;    /* ngx_str_t, as browsers send */
    unsigned                    on:1;
    unsigned                    any:1;      /* "*" */
    unsigned                    credentials:1;
} ngx_llm_stream_cors_t;


typedef struct ngx_llm_stream_auth_s      ngx_llm_stream_auth_t;
typedef struct ngx_llm_stream_block_s     ngx_llm_stream_block_t;
typedef struct ngx_llm_stream_budget_s    ngx_llm_stream_budget_t;
typedef struct ngx_llm_stream_file_s      ngx_llm_stream_file_t;
typedef struct ngx_llm_stream_limited_s   ngx_llm_stream_limited_t;
typedef struct ngx_llm_stream_place_s     ngx_llm_stream_place_t;
typedef struct ngx_llm_stream_redact_s    ngx_llm_stream_redact_t;
typedef struct ngx_llm_stream_redacted_s  ngx_llm_stream_redacted_t;
typedef struct ngx_llm_stream_stop_s      ngx_llm_stream_stop_t;
typedef struct ngx_llm_stream_store_s     ngx_llm_stream_store_t;
typedef struct ngx_llm_stream_zone_s      ngx_llm_stream_zone_t;

typedef struct {
    ngx_array_t                *auths;      /* ngx_llm_stream_auth_t * */
    ngx_array_t                *limit_zones;    /* ngx_shm_zone_t *, or NULL */
    ngx_llm_stream_budget_t    *budgets;    /* a list */
    ngx_llm_stream_zone_t      *zone;       /* of metrics, or NULL */
    ngx_uint_t                  cors;       /* unsigned  cors:1 */
    ngx_uint_t                  stores_events;  /* unsigned  :1 */
    ngx_int_t                   request_id;     /* index of $request_id */
} ngx_llm_stream_main_conf_t;


typedef struct {
    /*
     * Three static copies that differ in what nginx's core may retry; see
     * ngx_llm_stream_retry.c.  "upstream" is the identity of the location
     * towards the keepalive cache.
     */
    ngx_http_upstream_conf_t    upstream;
    ngx_http_upstream_conf_t    upstream_sent;
    ngx_http_upstream_conf_t    upstream_resend;

    const llm_provider_t       *provider;   /* NULL: not a location of ours */
    const llm_dialect_t        *dialect;    /* the provider's */
    const llm_dialect_t        *client;     /* NULL: auto */

    ngx_http_complex_value_t   *url;        /* with variables, or NULL */
    ngx_str_t                   schema;
    ngx_str_t                   host;       /* of the Host header */
    ngx_str_t                   uri;        /* without a path: the
                                               provider's own goes before */
    ngx_uint_t                  ssl;        /* unsigned  ssl:1 */

    ngx_http_complex_value_t   *model;
    ngx_http_complex_value_t   *prompt;
    ngx_http_complex_value_t   *system;
    ngx_uint_t                  max_output_tokens;  /* these three: 0 is off */
    ngx_uint_t                  max_choices;
    ngx_uint_t                  max_messages;
    ngx_http_complex_value_t   *api_key;
    ngx_str_t                   auth_name;  /* empty: off */
    u_char                     *auth_file;
    ngx_uint_t                  auth_line;
    ngx_llm_stream_auth_t      *auth;
    ngx_array_t                *params;     /* ngx_llm_stream_param_t */
    ngx_array_t                *headers;    /* ngx_llm_stream_set_header_t */
    ngx_llm_stream_cors_t      *cors;       /* NULL: nothing was said */
    ngx_array_t                *limits;     /* ngx_llm_stream_limit_t; NULL:
                                               off */
    ngx_llm_stream_store_t     *store;      /* NULL: off */
    ngx_llm_stream_place_t     *place;      /* in the metrics; NULL: none */

    ngx_msec_t                  first_token_timeout;
    ngx_msec_t                  idle_timeout;
    ngx_msec_t                  total_timeout;
    ngx_msec_t                  heartbeat;
    llm_pad_conf_t             *padding;    /* NULL: off */
    ngx_msec_t                  gate_timeout;
    ngx_uint_t                  gate;
    ngx_uint_t                  log;        /* NGX_LLM_STREAM_LOG_* */
    ngx_uint_t                  next;       /* NGX_LLM_STREAM_NEXT_* */
    ngx_llm_stream_stop_t      *stop;       /* NULL: off */
    llm_coalesce_conf_t        *coalesce;   /* NULL: off */
    ngx_uint_t                  retry_percent;  /* 0: off */
    ngx_llm_stream_budget_t    *budget;     /* NULL: off */
    ngx_uint_t                  fallback;   /* unsigned  fallback:1 */

    size_t                      max_event_size;
    size_t                      max_response_size;
    ngx_uint_t                  max_depth;
    ngx_flag_t                  usage;
    ngx_flag_t                  intercept_errors;  /* unset: named pages */
    ngx_uint_t                  client_set; /* unsigned  client_set:1 */
    ngx_uint_t                  unsupported_drop;
    ngx_llm_stream_redact_t    *redact;     /* NULL: off */
    ngx_uint_t                  redact_set; /* unsigned  redact_set:1 */
    ngx_uint_t                  status;     /* NGX_LLM_STREAM_STATUS_*; 0:
                                               not a status */
    u_char                     *status_file;
    ngx_uint_t                  status_line;

    ngx_uint_t                  ssl_protocols;
    ngx_str_t                   ssl_ciphers;
    ngx_uint_t                  ssl_verify_depth;
    ngx_str_t                   ssl_trusted_certificate;
    ngx_str_t                   ssl_crl;
    ngx_array_t                *ssl_conf_commands;
} ngx_llm_stream_loc_conf_t;


typedef enum {
    ngx_llm_stream_body_close = 0,
    ngx_llm_stream_body_length,
    ngx_llm_stream_body_chunked
} ngx_llm_stream_framing_e;


typedef enum {
    ngx_llm_stream_wake_none = 0,
    ngx_llm_stream_wake_open,       /* our timer wants process_held() to run */
    ngx_llm_stream_wake_closed,     /* the provider closed its connection */
    ngx_llm_stream_wake_broken      /* it was reset, or TLS failed */
} ngx_llm_stream_wake_e;


/*
 * All that belongs to one attempt at one peer.  Zeroed as a whole before the
 * next attempt.
 */
typedef struct {
    ngx_http_status_t           status;
    size_t                      interim;        /* bytes of 1xx answers */
    ngx_uint_t                  nheaders;

    off_t                       length;         /* Content-Length left, -1 */
    off_t                       bytes;          /* of the body, so far */
    ngx_llm_stream_framing_e    framing;
    ngx_http_chunked_t          chunked;

    ngx_str_t                   content_type;
    int64_t                     retry_after;    /* ms, 0: not said */

    ngx_recv_pt                 recv;           /* the connection's own */
    ngx_llm_stream_wake_e       wake;

    ngx_msec_t                  sent_at;
    ngx_msec_t                  header_at;
    ngx_msec_t                  done_at;

    ngx_msec_t                  wait;           /* until it is sent again */
    ngx_msec_t                  wait_since;

    llm_flow_t                  flow;
    llm_block_t                 error_body;     /* of an answer >= 400 */
    llm_fault_t                 fault;
    ngx_uint_t                  error_status;   /* >= 400: the provider's */

    size_t                      framed;         /* framing since the last
                                                   data: extensions, trailers */
    off_t                       drained;

    unsigned                    sent:1;
    unsigned                    started:1;      /* a byte of the answer came */
    unsigned                    header_done:1;
    unsigned                    flow_live:1;
    unsigned                    flow_done:1;    /* terminator passed on */
    unsigned                    body_end:1;     /* framing says: all of it */
    unsigned                    ended:1;        /* nothing more is written */
    unsigned                    open:1;         /* the gate */
    unsigned                    release:1;      /* it opens whatever came */
    unsigned                    primed:1;       /* held output is to be
                                                   written */
    unsigned                    leftover:1;     /* bytes after the answer */
    unsigned                    told:1;         /* the end, by recv() */
    unsigned                    connection_close:1;
    unsigned                    has_length:1;
    unsigned                    encoded:1;
    unsigned                    no_retry:1;     /* x-should-retry: false */
    unsigned                    may_retry:1;    /* x-should-retry: true */
    unsigned                    retry_exact:1;  /* by retry-after-ms */
    llm_fault_t                 failed;         /* what it waits for, to be
                                                   sent again */

    unsigned                    judged:1;       /* sent again or not: said by
                                                   the whole error */
    unsigned                    waits:1;        /* to be sent again */
} ngx_llm_stream_attempt_t;


/* The last whole error that a provider answered with, for the case that no
 * further attempt gets any answer. */

typedef struct {
    llm_block_t                 body;
    ngx_uint_t                  status;         /* 0: none */
    int64_t                     retry_after;    /* ms, > 0 if said */
    unsigned                    encoded:1;
    unsigned                    ready:1;        /* in the client's dialect */
} ngx_llm_stream_said_t;


/* What the provider's body is made of; needed until it was sent for good, and
 * gone in one piece then: a heap of small pieces would not shrink again. */

typedef struct {
    ngx_pool_t                 *pool;           /* this lives in it, too */
    llm_alloc_t                 alloc;          /* of that pool */
    llm_chat_writer_t           writer;         /* its rope: the body */
    llm_plan_t                  plan;           /* in the same dialect */
    llm_chat_t                  chat;           /* between dialects */
} ngx_llm_stream_plan_t;


typedef struct {
    /* first: nginx's debug log reads ev->data as a connection */
    ngx_http_request_t         *request;
    ngx_llm_stream_loc_conf_t  *conf;
    const llm_dialect_t        *client;
    const llm_dialect_t        *asker;          /* of the request's body */

    ngx_llm_stream_attempt_t    a;

    /* the client's request */
    ngx_str_t                   body;
    llm_request_t               req;
    ngx_str_t                   request_model;  /* decoded, or empty */
    ngx_str_t                   model;          /* sent upstream */
    ngx_str_t                   member;         /* what a 400 complains of */
    ngx_str_t                   host;
    ngx_str_t                   uri;
    ngx_int_t                   path_stream;    /* -1: not said there */
    llm_block_t                 prompt;
    u_char                     *copy;           /* of the body, or NULL */
    ngx_llm_stream_plan_t      *plan;
    ngx_array_t                *stops;          /* ngx_str_t, UTF-8: those that
                                                   the provider cannot be
                                                   asked for; NULL: none */
    ngx_llm_stream_stop_t      *stop;           /* of these and the
                                                   location's, or NULL */
    int64_t                     max_output;     /* tokens, as the provider is
                                                   asked; -1: no limit */
    ngx_uint_t                  choices;        /* likewise, at least 1 */
    ngx_chain_t                *request_bufs;
    ngx_str_t                   token;          /* of llm_stream_auth */
    ngx_uint_t                  token_number;
    ngx_queue_t                 wait;           /* while waiting */
    ngx_event_t                 resume;         /* posted, after that */
    llm_alloc_t                 alloc;

    /* estimates, where something needs them */
    uint64_t                    input;          /* 1/1000 tokens */
    uint64_t                    output;         /* the same, at the end */
    ngx_llm_stream_limited_t   *limited;        /* NULL: by nothing */
    /* further attempts */
    ngx_llm_stream_said_t       said;
    ngx_uint_t                  states;         /* of others, before ours */
    ngx_uint_t                  uncounted;      /* attempts that are none */
    ngx_uint_t                  rounds;         /* asked the same anew */
    ngx_msec_t                  waited;         /* all waits together */

    /* what is counted of the request */
    ngx_llm_stream_block_t     *block;          /* of its model, or NULL */
    ngx_llm_stream_block_t     *opened;         /* it is open there, or NULL */
    uint32_t                    tried;          /* upstream_states before that
                                                   of the attempt */
    uint32_t                    retries;
    uint32_t                    heartbeats;
    uint16_t                    failures[NGX_LLM_STREAM_FAILURES];

    /* the sink */
    llm_out_t                   out;
    ngx_chain_t                *out_tail;       /* of u->out_bufs */
    ngx_buf_t                  *out_buf;        /* being written to */
    ngx_buf_t                  *out_ref;        /* refers to u->buffer */
    size_t                      out_bytes;      /* of the answer, so far */
    size_t                      out_size;       /* of the latest buffer */

    ngx_llm_stream_file_t      *store;          /* of the answer, or NULL */

    ngx_event_t                 timer;
    ngx_msec_t                  start;
    ngx_msec_t                  written_at;     /* last output */

    /* how it ended */
    llm_measure_t               measure;
    llm_cut_t                   cut;            /* by a stage */
    ngx_llm_stream_redacted_t  *redacted;       /* or NULL */
    size_t                      held;           /* bytes, most at once */
    ngx_msec_t                  duration;
    llm_fault_t                 fault;
    llm_end_t                   end;            /* if "has_end" */

    ngx_buf_t                  *error;          /* body put in place of
                                                   nginx's own error page */

    unsigned                    stream:1;       /* the client gets a stream */
    unsigned                    ask_stream:1;   /* the provider is asked */
    unsigned                    ask_usage:1;    /* by us, not the client */
    unsigned                    show_usage:1;   /* the client gets it */
    unsigned                    array:1;        /* its stream is an array */
    unsigned                    client_known:1;
    unsigned                    model_set:1;    /* by llm_stream_model */
    unsigned                    key_ours:1;
    unsigned                    response:1;     /* the answer is ours */
    unsigned                    finished:1;
    unsigned                    over:1;         /* "duration" is known */
    unsigned                    has_end:1;      /* by the upstream's end */
    unsigned                    error_sent:1;
    unsigned                    body_read:1;
    unsigned                    waiting:1;      /* for a token */
    unsigned                    renewed:1;      /* the token was refused */
    unsigned                    rebuild:1;      /* send another request */
    unsigned                    answered:1;     /* what came was an answer */
    unsigned                    own_path:1;     /* the provider's, not of
                                                   the URL */
    unsigned                    fallen:1;       /* back to no stream */
    unsigned                    replan:1;       /* ... with the next attempt */
    unsigned                    as_said:1;      /* ended with ctx->said */
    unsigned                    counts:1;       /* in the metrics */
    unsigned                    streaming:1;    /* a stream was asked for */
    unsigned                    keepalive:1;    /* of the client, before an
                                                   error page took it */
} ngx_llm_stream_ctx_t;


extern ngx_module_t  ngx_llm_stream_module;


/* handler */
ngx_int_t ngx_llm_stream_handler(ngx_http_request_t *r);
ngx_llm_stream_ctx_t *ngx_llm_stream_create_ctx(ngx_http_request_t *r);
void ngx_llm_stream_over(ngx_llm_stream_ctx_t *ctx);
void *ngx_llm_stream_resize(void *data, void *p, size_t old, size_t n);
void ngx_llm_stream_go(ngx_llm_stream_ctx_t *ctx, ngx_int_t rc);

/* client: which dialect it speaks */
void ngx_llm_stream_guess_client(ngx_llm_stream_ctx_t *ctx);
const llm_dialect_t *ngx_llm_stream_by_shape(unsigned shape,
    const llm_dialect_t *preferred);
ngx_int_t ngx_llm_stream_read_path(ngx_llm_stream_ctx_t *ctx);
ngx_table_elt_t *ngx_llm_stream_find_header(ngx_http_request_t *r,
    const u_char *name, size_t n);

/* request: reads the client's body */
ngx_int_t ngx_llm_stream_read_request(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_refuse(ngx_llm_stream_ctx_t *ctx, llm_fault_t fault,
    const char *member);
ngx_int_t ngx_llm_stream_check_model(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *model);

/* caps: how much may be asked */
void ngx_llm_stream_unset_caps(ngx_llm_stream_loc_conf_t *conf);
void ngx_llm_stream_merge_caps(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf);
char *ngx_llm_stream_set_count(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_llm_stream_check_caps(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_cap_params(ngx_llm_stream_ctx_t *ctx,
    llm_request_set_t *set, size_t nset);
void ngx_llm_stream_asked(ngx_llm_stream_ctx_t *ctx,
    const llm_request_set_t *set, size_t nset);
ngx_int_t ngx_llm_stream_take_stops(ngx_llm_stream_ctx_t *ctx);
ngx_uint_t ngx_llm_stream_keeps_length(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_length_conf(ngx_llm_stream_ctx_t *ctx,
    llm_stage_conf_t *conf);

/* plan: model and body for the provider */
ngx_int_t ngx_llm_stream_eval_model(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_plan_request(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_plan_again(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_plan_drop(ngx_llm_stream_ctx_t *ctx);

/* sign_in: a token first */
ngx_int_t ngx_llm_stream_sign_in(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_sign_in_again(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t status);
ngx_int_t ngx_llm_stream_peers_again(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t tries);
void ngx_llm_stream_wait_no_more(ngx_llm_stream_ctx_t *ctx);

/* send: the bytes of the request */
ngx_int_t ngx_llm_stream_build_request(ngx_llm_stream_ctx_t *ctx);

/* url */
char *ngx_llm_stream_url(ngx_conf_t *cf, ngx_llm_stream_loc_conf_t *llcf,
    ngx_str_t *url);
ngx_int_t ngx_llm_stream_eval_url(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_schema(ngx_str_t *url, size_t *add,
    in_port_t *port, ngx_uint_t *ssl);
void ngx_llm_stream_url_host(ngx_url_t *u, ngx_str_t *host);

/* upstream */
void ngx_llm_stream_init_upstream(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_watch(ngx_llm_stream_ctx_t *ctx);
ngx_uint_t ngx_llm_stream_woken(ngx_llm_stream_ctx_t *ctx);

/* header */
ngx_int_t ngx_llm_stream_retry_after(ngx_llm_stream_ctx_t *ctx, int64_t ms);
ngx_int_t ngx_llm_stream_process_status_line(ngx_http_request_t *r);

/* kind */
llm_fault_t ngx_llm_stream_classify(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t *answer, llm_framing_t *framing);

/* response */
ngx_int_t ngx_llm_stream_response(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_feed(ngx_llm_stream_ctx_t *ctx, ngx_buf_t *b);
void ngx_llm_stream_eof(ngx_llm_stream_ctx_t *ctx, llm_eof_t how);
void ngx_llm_stream_end(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_fed(ngx_llm_stream_ctx_t *ctx, llm_rc_t rc);
ngx_int_t ngx_llm_stream_add_out_header(ngx_http_request_t *r,
    const char *name, const char *value);

/* stages */
ngx_int_t ngx_llm_stream_set_stages(ngx_llm_stream_ctx_t *ctx,
    llm_flow_conf_t *flow);
void ngx_llm_stream_stages_due(ngx_llm_stream_ctx_t *ctx);

/* padding */
void ngx_llm_stream_merge_padding(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf);
char *ngx_llm_stream_set_padding(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
/* stop */
char *ngx_llm_stream_set_stop(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_llm_stream_plan_stop(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_stage_stop(ngx_llm_stream_ctx_t *ctx,
    llm_stage_conf_t *conf);
/* estimate */
ngx_uint_t ngx_llm_stream_needs_estimate(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_estimate_stage(ngx_llm_stream_ctx_t *ctx,
    llm_stage_conf_t *conf);
void ngx_llm_stream_estimate_request(ngx_llm_stream_ctx_t *ctx);
int64_t ngx_llm_stream_estimated_input(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_estimate_end(ngx_llm_stream_ctx_t *ctx);

/* limit */
ngx_int_t ngx_llm_stream_limit(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_limit_used(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_limit_settle(ngx_llm_stream_ctx_t *ctx);
ngx_uint_t ngx_llm_stream_limit_says(ngx_llm_stream_ctx_t *ctx,
    ngx_str_t *name);
ngx_int_t ngx_llm_stream_limit_headers(ngx_llm_stream_ctx_t *ctx);
int64_t ngx_llm_stream_limit_wait(ngx_llm_stream_ctx_t *ctx);
llm_slice_t ngx_llm_stream_limit_status(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_limit_init_process(ngx_cycle_t *cycle);
char *ngx_llm_stream_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_llm_stream_set_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_llm_stream_unset_limit(ngx_llm_stream_loc_conf_t *conf);
void ngx_llm_stream_merge_limit(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf);
/* zone_conf */
char *ngx_llm_stream_set_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_llm_stream_zone_size(ngx_conf_t *cf, ngx_str_t *arg,
    size_t skip, ngx_str_t *name, ssize_t *size);
ngx_int_t ngx_llm_stream_zone_place(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *conf);

/* zone */
void ngx_llm_stream_zone_exit(ngx_cycle_t *cycle);

/* coalesce */
char *ngx_llm_stream_set_coalesce(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_llm_stream_coalesce(ngx_llm_stream_ctx_t *ctx,
    llm_stage_conf_t *conf);
/* redact */
char *ngx_llm_stream_set_redact(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_llm_stream_merge_redact(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf);
ngx_int_t ngx_llm_stream_redact_stage(ngx_llm_stream_ctx_t *ctx,
    llm_stage_conf_t *conf);
void ngx_llm_stream_redact_log(ngx_llm_stream_ctx_t *ctx);
int64_t ngx_llm_stream_redact_count(ngx_llm_stream_ctx_t *ctx);

/* out */
void ngx_llm_stream_out_init(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_out_begin(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_out_end(ngx_llm_stream_ctx_t *ctx);
llm_rc_t ngx_llm_stream_out_pass(void *data, const llm_u8 *p, size_t n);
void ngx_llm_stream_out_comment(ngx_llm_stream_ctx_t *ctx, const char *line);
void ngx_llm_stream_out_drop(ngx_llm_stream_ctx_t *ctx);

/* Whether something that says nothing can go between its events. */
#define ngx_llm_stream_comments(ctx)                                        \
    ((ctx)->stream && !(ctx)->array                                         \
     && (ctx)->client->framing == LLM_FRAMING_SSE)

/* store */
char *ngx_llm_stream_set_store(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_llm_stream_merge_store(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *prev, ngx_llm_stream_loc_conf_t *conf);
ngx_int_t ngx_llm_stream_store_init(ngx_conf_t *cf);
void ngx_llm_stream_store_end(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_store_drop(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_exit_process(ngx_cycle_t *cycle);

/* timer */
void ngx_llm_stream_timer_init(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_timer_update(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_timer_stop(ngx_llm_stream_ctx_t *ctx);

/* retry */
void ngx_llm_stream_unset_retry(ngx_llm_stream_loc_conf_t *conf);
void ngx_llm_stream_merge_retry(ngx_llm_stream_loc_conf_t *prev,
    ngx_llm_stream_loc_conf_t *conf);
char *ngx_llm_stream_next_merge(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *llcf);
void ngx_llm_stream_retry_sent(ngx_llm_stream_ctx_t *ctx);
ngx_uint_t ngx_llm_stream_retry_may_be_stale(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_retry_is_taken(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_retry_unfit(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_leave_peer(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_retry_tls(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_retry_invalid(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_retry_stream(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t status);
ngx_int_t ngx_llm_stream_retry_status(ngx_llm_stream_ctx_t *ctx);
ngx_uint_t ngx_llm_stream_retry_judges(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_resend(ngx_llm_stream_ctx_t *ctx);
ngx_uint_t ngx_llm_stream_tries_left(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_count_attempt(ngx_llm_stream_ctx_t *ctx);
ngx_uint_t ngx_llm_stream_intercepts(ngx_llm_stream_ctx_t *ctx,
    ngx_uint_t status);

/* wait */
void ngx_llm_stream_park(ngx_llm_stream_ctx_t *ctx,
    ngx_int_t (*process_header)(ngx_http_request_t *r));
void ngx_llm_stream_unpark(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_wait_time(ngx_llm_stream_ctx_t *ctx, int64_t said,
    ngx_msec_t *wait);
ngx_int_t ngx_llm_stream_wait_retry(ngx_llm_stream_ctx_t *ctx,
    ngx_msec_t wait);

/* budget */
char *ngx_llm_stream_set_budget(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_llm_stream_budget_merge(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *llcf);
void ngx_llm_stream_budget_request(ngx_llm_stream_ctx_t *ctx);
ngx_int_t ngx_llm_stream_budget_retry(ngx_llm_stream_ctx_t *ctx);

/* fallback */
extern ngx_conf_enum_t  ngx_llm_stream_fallbacks[];
ngx_uint_t ngx_llm_stream_of_stream(ngx_uint_t status);
ngx_uint_t ngx_llm_stream_can_fall_back(ngx_llm_stream_ctx_t *ctx);
ngx_uint_t ngx_llm_stream_says_stream(const llm_block_t *body);
ngx_int_t ngx_llm_stream_fall_back(ngx_llm_stream_ctx_t *ctx, int64_t said);
ngx_int_t ngx_llm_stream_without_stream(ngx_llm_stream_ctx_t *ctx);

/* error */
int64_t ngx_llm_stream_said_wait(ngx_llm_stream_ctx_t *ctx);
ngx_uint_t ngx_llm_stream_keep_said(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_end_as_said(ngx_llm_stream_ctx_t *ctx, ngx_uint_t latest,
    ngx_int_t rc);
ngx_int_t ngx_llm_stream_error_init(ngx_conf_t *cf);
ngx_uint_t ngx_llm_stream_provider_error(ngx_llm_stream_ctx_t *ctx,
    llm_out_t *out, int64_t *retry_after);

/* cors */
char *ngx_llm_stream_set_cors(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_llm_stream_cors_init(ngx_conf_t *cf);

/* log */
extern ngx_conf_enum_t  ngx_llm_stream_log_enum[];
ngx_int_t ngx_llm_stream_log_init(ngx_conf_t *cf);
void ngx_llm_stream_finish(ngx_llm_stream_ctx_t *ctx, ngx_int_t rc);
ngx_uint_t ngx_llm_stream_ending(ngx_llm_stream_ctx_t *ctx, llm_end_t *end);

/* metrics */
void ngx_llm_stream_metrics_open(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_metrics_close(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_metrics_accepted(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_metrics_sent(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_metrics_again(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_metrics_attempts(ngx_llm_stream_ctx_t *ctx);
void ngx_llm_stream_metrics_end(ngx_llm_stream_ctx_t *ctx);

/* variables */
ngx_int_t ngx_llm_stream_add_variables(ngx_conf_t *cf);
llm_measure_t *ngx_llm_stream_measured(ngx_llm_stream_ctx_t *ctx);
int64_t ngx_llm_stream_ttft(ngx_llm_stream_ctx_t *ctx);
int64_t ngx_llm_stream_rate(ngx_llm_stream_ctx_t *ctx, uint64_t n);
int64_t ngx_llm_stream_bytes_out(ngx_llm_stream_ctx_t *ctx);
int64_t ngx_llm_stream_held(ngx_llm_stream_ctx_t *ctx);
ngx_msec_t ngx_llm_stream_elapsed(ngx_llm_stream_ctx_t *ctx);

/* ssl */
void ngx_llm_stream_unset_ssl(ngx_llm_stream_loc_conf_t *conf);
ngx_int_t ngx_llm_stream_merge_ssl(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *prev, ngx_llm_stream_loc_conf_t *conf);
ngx_int_t ngx_llm_stream_set_ssl(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *conf);
ngx_int_t ngx_llm_stream_ssl_trust(ngx_conf_t *cf, ngx_ssl_t *ssl,
    ngx_str_t *file, ngx_uint_t depth);
ngx_uint_t ngx_llm_stream_ssl_fits(ngx_llm_stream_ctx_t *ctx);
char *ngx_llm_stream_ssl_password_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
extern ngx_conf_bitmask_t  ngx_llm_stream_ssl_protocols[];
extern ngx_conf_post_t  ngx_llm_stream_ssl_conf_command_post;

/* status */
char *ngx_llm_stream_set_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_llm_stream_merge_status(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *prev, ngx_llm_stream_loc_conf_t *conf);

/* secret: what only the master reads */
ngx_int_t ngx_llm_stream_secret(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *secret);

/* auth_conf */
void *ngx_llm_stream_create_main_conf(ngx_conf_t *cf);
char *ngx_llm_stream_auth_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_llm_stream_set_auth(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_llm_stream_auth_finish(ngx_conf_t *cf);
char *ngx_llm_stream_key_or_auth(ngx_llm_stream_loc_conf_t *llcf);
char *ngx_llm_stream_merge_key(ngx_conf_t *cf,
    ngx_llm_stream_loc_conf_t *prev, ngx_llm_stream_loc_conf_t *conf);

/* conf */
void *ngx_llm_stream_create_loc_conf(ngx_conf_t *cf);
char *ngx_llm_stream_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
char *ngx_llm_stream_compile(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t *cv);
char *ngx_llm_stream_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_llm_stream_set_client(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_llm_stream_set_param(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_llm_stream_set_api_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_llm_stream_add_header(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_llm_stream_pass_header(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_llm_stream_set_time_or_off(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_llm_stream_set_gate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
extern ngx_conf_enum_t  ngx_llm_stream_unsupported[];
extern ngx_conf_bitmask_t  ngx_llm_stream_next_masks[];
extern ngx_conf_num_bounds_t  ngx_llm_stream_depth_bounds;
extern ngx_conf_post_t  ngx_llm_stream_buffer_size_post;


#endif /* NGX_LLM_STREAM_H */
