/*
 * Signing in to a provider with a token of an identity service: what its
 * files share.
 *
 *   auth_conf  the block llm_stream_auth_provider, the directive
 *   auth_setup what a worker needs of it, made by the master
 *   auth       the token: who fetches it, when, and what a failure means
 *   fetch      the HTTP exchange with the identity service
 *   sign_in    the requests that wait for it
 *
 * Secrets and tokens are in this memory only; no log line, error or variable
 * is made of them.
 */

#ifndef NGX_LLM_STREAM_AUTH_H
#define NGX_LLM_STREAM_AUTH_H

#include "ngx_llm_stream.h"

#include "llm_token.h"


#define NGX_LLM_STREAM_AUTH_MARK  20    /* bytes of a fingerprint, SHA-1 */


/*
 * In shared memory, one a provider block; under the mutex of its zone.  Times
 * are ngx_current_msec, which is the same clock in all workers.
 */
typedef struct {
    u_char                      mark[NGX_LLM_STREAM_AUTH_MARK];
                                            /* of the configuration that the
                                               token was fetched with */
    ngx_uint_t                  number;     /* of the token, from 1 */
    ngx_msec_t                  renew;      /* when to fetch the next one */
    ngx_msec_t                  expires;
    unsigned                    used;       /* since it came */
    unsigned                    accepted;   /* by the model, since it came */

    ngx_pid_t                   fetcher;    /* who fetches, 0: nobody */
    u_char                      asks[NGX_LLM_STREAM_AUTH_MARK];
                                            /* likewise, of what it asks */
    ngx_msec_t                  lease;      /* until when it may take */

    u_char                      tried[NGX_LLM_STREAM_AUTH_MARK];
                                            /* likewise, that failed */
    ngx_uint_t                  failures;   /* in a row */
    ngx_msec_t                  retry;      /* not before, if failures */
    ngx_uint_t                  stale;      /* number of the token that is
                                               to be renewed */
    ngx_uint_t                  refusals;   /* by the model, in a row */
    ngx_msec_t                  refused;    /* when the last one was, that
                                               the token was renewed for */
    ngx_msec_t                  logged;     /* the last line, 0: none yet */

    size_t                      n;          /* 0: no token */
    u_char                      token[LLM_TOKEN_MAX];
} ngx_llm_stream_auth_shared_t;

typedef struct ngx_llm_stream_fetch_s  ngx_llm_stream_fetch_t;

struct ngx_llm_stream_auth_s {
    ngx_str_t                      name;
    u_char                        *file;        /* where it is configured */
    ngx_uint_t                     line;
    llm_token_ask_t                ask;
    ngx_uint_t                     ssl_verify;
    ngx_msec_t                     timeout;
    ngx_str_t                      address;     /* the URL as configured */
    ngx_str_t                      trusted;     /* CA file */

    ngx_url_t                      url;
    ngx_str_t                      host;        /* name for TLS, no port */
    ngx_ssl_t                     *ssl;         /* NULL: plain http */
    ngx_str_t                      request;     /* the whole of it */
    u_char                         mark[NGX_LLM_STREAM_AUTH_MARK];

    ngx_shm_zone_t                *zone;
    ngx_llm_stream_auth_shared_t  *shared;

    /* of this worker */
    ngx_event_t                    renewal;     /* timer */
    ngx_event_t                    poll;        /* timer, while requests wait
                                                   for another worker */
    ngx_queue_t                    waiting;     /* ctx->wait */
    ngx_llm_stream_fetch_t        *fetch;       /* under way here */
    ngx_uint_t                     addr;        /* that worked last */
    u_char                         token[LLM_TOKEN_MAX];
};


/*
 * auth.  NGX_OK: *token is the worker's copy, good until the next call, and
 * *number its number.  NGX_AGAIN: there is none, one can be waited for.
 * NGX_DECLINED: there is none and none is fetched now.
 */
ngx_int_t ngx_llm_stream_auth_get(ngx_llm_stream_auth_t *auth,
    ngx_str_t *token, ngx_uint_t *number);

/* The model refused token `number` with that status.  NGX_OK: there is
 * another one already; NGX_AGAIN: one can be waited for; NGX_DECLINED: not
 * now. */
ngx_int_t ngx_llm_stream_auth_refused(ngx_llm_stream_auth_t *auth,
    ngx_uint_t number, ngx_uint_t status);

/* It took it. */
void ngx_llm_stream_auth_accepted(ngx_llm_stream_auth_t *auth,
    ngx_uint_t number);

/* Sees to it that somebody fetches a token, while requests wait; one that is
 * not number `stale`. */
void ngx_llm_stream_auth_want(ngx_llm_stream_auth_t *auth, ngx_uint_t stale);

/* The end of a fetch of this worker: t, or why there is none; neither: it was
 * given up. */
void ngx_llm_stream_auth_fetched(ngx_llm_stream_auth_t *auth,
    const llm_token_t *t, const char *why);

void ngx_llm_stream_auth_init(ngx_llm_stream_auth_t *auth, ngx_log_t *log);
ngx_int_t ngx_llm_stream_auth_init_zone(ngx_shm_zone_t *zone, void *data);

/* sign_in: all that wait look again */
void ngx_llm_stream_auth_wake(ngx_llm_stream_auth_t *auth);

/* fetch: NGX_OK, and ngx_llm_stream_auth_fetched() is called once, perhaps
 * before this returns; else it never is. */
ngx_int_t ngx_llm_stream_fetch(ngx_llm_stream_auth_t *auth);


#endif /* NGX_LLM_STREAM_AUTH_H */
