/*
 * The token of a provider block: who fetches it, when, and what a failure
 * means.  Owns the shared memory and the two timers of a block; all decisions
 * are made under the zone's mutex, so that of all workers one fetches.  It
 * never sees a socket, and never waits.
 */

#include "ngx_llm_stream_auth.h"


#define NGX_LLM_STREAM_AUTH_POLL      20        /* ms */
#define NGX_LLM_STREAM_AUTH_EARLY     60000     /* ms before the end */
#define NGX_LLM_STREAM_AUTH_BACKOFF   60000     /* ms, at most */
#define NGX_LLM_STREAM_AUTH_LOG       60000     /* ms between two lines */


#define ngx_llm_stream_auth_left(t)                                         \
    ((ngx_msec_int_t) ((t) - ngx_current_msec))


static ngx_llm_stream_auth_shared_t *ngx_llm_stream_auth_lock(
    ngx_llm_stream_auth_t *auth);
static void ngx_llm_stream_auth_unlock(ngx_llm_stream_auth_t *auth);
static ngx_uint_t ngx_llm_stream_auth_valid(ngx_llm_stream_auth_t *auth);
static ngx_uint_t ngx_llm_stream_auth_barred(ngx_llm_stream_auth_t *auth);
static ngx_uint_t ngx_llm_stream_auth_leased(ngx_llm_stream_auth_t *auth);
static ngx_uint_t ngx_llm_stream_auth_take(ngx_llm_stream_auth_t *auth);
static void ngx_llm_stream_auth_start(ngx_llm_stream_auth_t *auth);
static void ngx_llm_stream_auth_keep(ngx_llm_stream_auth_t *auth,
    const llm_token_t *t);
static ngx_uint_t ngx_llm_stream_auth_missed(ngx_llm_stream_auth_t *auth);
static ngx_msec_t ngx_llm_stream_auth_backoff(ngx_uint_t n);
static void ngx_llm_stream_auth_log(ngx_llm_stream_auth_t *auth,
    const char *why, ngx_uint_t first);
static void ngx_llm_stream_auth_renew_at(ngx_llm_stream_auth_t *auth,
    ngx_msec_t at);
static void ngx_llm_stream_auth_renewal_handler(ngx_event_t *ev);
static void ngx_llm_stream_auth_poll_handler(ngx_event_t *ev);


/* What a worker has of a block; runs at configuration. */

void
ngx_llm_stream_auth_init(ngx_llm_stream_auth_t *auth, ngx_log_t *log)
{
    ngx_queue_init(&auth->waiting);

    auth->renewal.handler = ngx_llm_stream_auth_renewal_handler;
    auth->renewal.data = auth;
    auth->renewal.log = log;
    auth->renewal.cancelable = 1;

    auth->poll.handler = ngx_llm_stream_auth_poll_handler;
    auth->poll.data = auth;
    auth->poll.log = log;
}


/*
 * Runs in the master at start and reload.  `data` is the zone of the
 * configuration before: a token that was fetched with the same secrets goes
 * on, see ngx_llm_stream_auth_valid().
 */

ngx_int_t
ngx_llm_stream_auth_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t        *pool;
    ngx_llm_stream_auth_t  *before = data;
    ngx_llm_stream_auth_t  *auth;

    auth = zone->data;

    if (before) {
        auth->shared = before->shared;
        return NGX_OK;
    }

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        auth->shared = pool->data;
        return NGX_OK;
    }

    auth->shared = ngx_slab_calloc(pool,
                                   sizeof(ngx_llm_stream_auth_shared_t));
    if (auth->shared == NULL) {
        return NGX_ERROR;
    }

    pool->data = auth->shared;

    return NGX_OK;
}


static ngx_llm_stream_auth_shared_t *
ngx_llm_stream_auth_lock(ngx_llm_stream_auth_t *auth)
{
    ngx_slab_pool_t  *pool;

    pool = (ngx_slab_pool_t *) auth->zone->shm.addr;
    ngx_shmtx_lock(&pool->mutex);

    return auth->shared;
}


static void
ngx_llm_stream_auth_unlock(ngx_llm_stream_auth_t *auth)
{
    ngx_slab_pool_t  *pool;

    pool = (ngx_slab_pool_t *) auth->zone->shm.addr;
    ngx_shmtx_unlock(&pool->mutex);
}


/* A token is there, is of these secrets, and lives.  Under the mutex. */

static ngx_uint_t
ngx_llm_stream_auth_valid(ngx_llm_stream_auth_t *auth)
{
    ngx_llm_stream_auth_shared_t  *sh;

    sh = auth->shared;

    return sh->n && ngx_llm_stream_auth_left(sh->expires) > 0
           && ngx_memcmp(sh->mark, auth->mark, NGX_LLM_STREAM_AUTH_MARK) == 0;
}


/* The last attempts failed, and the time for the next one has not come.  Other
 * secrets, after a reload, begin anew. */

static ngx_uint_t
ngx_llm_stream_auth_barred(ngx_llm_stream_auth_t *auth)
{
    ngx_llm_stream_auth_shared_t  *sh;

    sh = auth->shared;

    return sh->failures && ngx_llm_stream_auth_left(sh->retry) > 0
           && ngx_memcmp(sh->tried, auth->mark, NGX_LLM_STREAM_AUTH_MARK)
              == 0;
}


/*
 * Somebody fetches, and is alive: a worker may be killed while it does.  One
 * of before a reload, that asks with other secrets, is none to wait for.
 */

static ngx_uint_t
ngx_llm_stream_auth_leased(ngx_llm_stream_auth_t *auth)
{
    ngx_llm_stream_auth_shared_t  *sh;

    sh = auth->shared;

    return sh->fetcher && ngx_llm_stream_auth_left(sh->lease) > 0
           && ngx_memcmp(sh->asks, auth->mark, NGX_LLM_STREAM_AUTH_MARK) == 0
           && (kill(sh->fetcher, 0) == 0 || ngx_errno != NGX_ESRCH);
}


ngx_int_t
ngx_llm_stream_auth_get(ngx_llm_stream_auth_t *auth, ngx_str_t *token,
    ngx_uint_t *number)
{
    ngx_int_t                      rc;
    ngx_msec_t                     at;
    ngx_llm_stream_auth_shared_t  *sh;

    at = 0;
    sh = ngx_llm_stream_auth_lock(auth);

    if (ngx_llm_stream_auth_valid(auth)) {
        ngx_memcpy(auth->token, sh->token, sh->n);
        token->data = auth->token;
        token->len = sh->n;
        *number = sh->number;

        sh->used = 1;
        at = ngx_llm_stream_auth_barred(auth) ? sh->retry : sh->renew;
        rc = NGX_OK;

    } else if (ngx_llm_stream_auth_barred(auth)
               && !ngx_llm_stream_auth_leased(auth))
    {
        rc = NGX_DECLINED;

    } else {
        rc = NGX_AGAIN;
    }

    ngx_llm_stream_auth_unlock(auth);

    if (rc == NGX_OK && !auth->renewal.timer_set) {
        ngx_llm_stream_auth_renew_at(auth, at);
    }

    return rc;
}


/*
 * A token that worked and is refused now was revoked, or says too much of its
 * life: one renewal helps all who had it.  If a new one is refused as well, or
 * 403 says that it may not do this, something else is wrong, and the identity
 * service must not pay for it.  The others use the token on meanwhile.
 */

ngx_int_t
ngx_llm_stream_auth_refused(ngx_llm_stream_auth_t *auth, ngx_uint_t number,
    ngx_uint_t status)
{
    ngx_int_t                      rc;
    ngx_msec_int_t                 gap, since;
    ngx_llm_stream_auth_shared_t  *sh;

    sh = ngx_llm_stream_auth_lock(auth);

    /* another worker's clock may be a little ahead */

    since = (ngx_msec_int_t) (ngx_current_msec - sh->refused);

    if (since >= 2 * NGX_LLM_STREAM_AUTH_BACKOFF
        || (sh->accepted && status == NGX_HTTP_UNAUTHORIZED))
    {
        sh->refusals = ngx_min(sh->refusals, 1);
    }

    gap = sh->refusals ? ngx_llm_stream_auth_backoff(sh->refusals) : 0;

    if (sh->number != number && ngx_llm_stream_auth_valid(auth)) {
        rc = NGX_OK;

    } else if (ngx_llm_stream_auth_leased(auth)) {
        rc = NGX_AGAIN;

    } else if (ngx_llm_stream_auth_barred(auth)) {
        rc = NGX_DECLINED;

    } else if (sh->stale == number) {
        /* decided for another request, which has no lease yet */
        rc = NGX_AGAIN;

    } else if (sh->refusals && since < gap) {
        rc = NGX_DECLINED;

    } else {
        sh->stale = number;
        sh->refusals++;
        sh->refused = ngx_current_msec;
        rc = NGX_AGAIN;
    }

    ngx_llm_stream_auth_unlock(auth);

    return rc;
}


/* Runs for every answer: the mutex is taken once a token. */

void
ngx_llm_stream_auth_accepted(ngx_llm_stream_auth_t *auth, ngx_uint_t number)
{
    ngx_llm_stream_auth_shared_t  *sh;

    if (auth->shared->accepted) {
        return;
    }

    sh = ngx_llm_stream_auth_lock(auth);

    if (sh->number == number) {
        sh->accepted = 1;
    }

    ngx_llm_stream_auth_unlock(auth);
}


/* 1, 2, 4 … 60 s for n = 1, 2, 3 … */

static ngx_msec_t
ngx_llm_stream_auth_backoff(ngx_uint_t n)
{
    ngx_msec_t  ms;

    ms = (ngx_msec_t) 1000 << (n > 7 ? 6 : n - 1);

    return ngx_min(ms, NGX_LLM_STREAM_AUTH_BACKOFF);
}


void
ngx_llm_stream_auth_want(ngx_llm_stream_auth_t *auth, ngx_uint_t stale)
{
    ngx_uint_t                     mine;
    ngx_llm_stream_auth_shared_t  *sh;

    if (auth->fetch) {
        return;
    }

    sh = ngx_llm_stream_auth_lock(auth);

    mine = (!ngx_llm_stream_auth_valid(auth) || sh->number == stale)
           && ngx_llm_stream_auth_take(auth);

    ngx_llm_stream_auth_unlock(auth);

    if (mine) {
        ngx_llm_stream_auth_start(auth);

    } else if (!auth->poll.timer_set) {
        ngx_add_timer(&auth->poll, NGX_LLM_STREAM_AUTH_POLL);
    }
}


/* Takes the lease, if nobody has it and none is to be waited for.  Under the
 * mutex. */

static ngx_uint_t
ngx_llm_stream_auth_take(ngx_llm_stream_auth_t *auth)
{
    ngx_llm_stream_auth_shared_t  *sh;

    sh = auth->shared;

    if (ngx_llm_stream_auth_barred(auth) || ngx_llm_stream_auth_leased(auth)) {
        return 0;
    }

    sh->fetcher = ngx_pid;
    ngx_memcpy(sh->asks, auth->mark, NGX_LLM_STREAM_AUTH_MARK);
    sh->lease = ngx_current_msec + auth->timeout + 1000;

    return 1;
}


/* This worker has the lease. */

static void
ngx_llm_stream_auth_start(ngx_llm_stream_auth_t *auth)
{
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "llm_stream auth \"%V\" fetches a token", &auth->name);

    if (ngx_llm_stream_fetch(auth) != NGX_OK) {
        ngx_llm_stream_auth_fetched(auth, NULL, "no memory or connection");
    }
}


void
ngx_llm_stream_auth_fetched(ngx_llm_stream_auth_t *auth,
    const llm_token_t *t, const char *why)
{
    ngx_uint_t                     mine, first;
    ngx_msec_t                     at;
    ngx_llm_stream_auth_shared_t  *sh;

    first = 0;
    at = ngx_current_msec;
    sh = ngx_llm_stream_auth_lock(auth);

    /* the workers of after a reload may have taken the lease over; the token
     * counts all the same, or the two would take it from each other for ever */

    mine = sh->fetcher == ngx_pid
           && ngx_memcmp(sh->asks, auth->mark, NGX_LLM_STREAM_AUTH_MARK) == 0;

    if (mine) {
        sh->fetcher = 0;
    }

    if (t) {
        ngx_llm_stream_auth_keep(auth, t);
        at = sh->renew;

    } else if (why) {
        first = ngx_llm_stream_auth_missed(auth);
        at = sh->retry;
    }

    ngx_llm_stream_auth_unlock(auth);

    if (why) {
        ngx_llm_stream_auth_log(auth, why, first);
    }

    ngx_llm_stream_auth_renew_at(auth, at);
    ngx_llm_stream_auth_wake(auth);
}


/* Under the mutex. */

static void
ngx_llm_stream_auth_keep(ngx_llm_stream_auth_t *auth, const llm_token_t *t)
{
    ngx_msec_t                     life, early;
    ngx_llm_stream_auth_shared_t  *sh;

    sh = auth->shared;

    /* what lives less than it takes to use it would be fetched for ever */

    life = (ngx_msec_t) ngx_max(ngx_min(t->life, NGX_MAX_INT_T_VALUE / 2),
                                1000);

    early = ngx_max(life / 5, NGX_LLM_STREAM_AUTH_EARLY);
    early = ngx_min(early, life / 2);

    sh->expires = ngx_current_msec + life;
    sh->renew = sh->expires - early;
    sh->number++;
    sh->used = 0;
    sh->accepted = 0;
    sh->failures = 0;

    ngx_memcpy(sh->mark, auth->mark, NGX_LLM_STREAM_AUTH_MARK);
    ngx_memcpy(sh->token, t->token, t->n);
    sh->n = t->n;
}


/* Under the mutex.  Returns whether the log is to say it aloud. */

static ngx_uint_t
ngx_llm_stream_auth_missed(ngx_llm_stream_auth_t *auth)
{
    ngx_llm_stream_auth_shared_t  *sh;

    sh = auth->shared;

    if (ngx_memcmp(sh->tried, auth->mark, NGX_LLM_STREAM_AUTH_MARK) != 0) {
        ngx_memcpy(sh->tried, auth->mark, NGX_LLM_STREAM_AUTH_MARK);
        sh->failures = 0;
    }

    sh->failures++;
    sh->retry = ngx_current_msec + ngx_llm_stream_auth_backoff(sh->failures);

    if (sh->logged
        && ngx_llm_stream_auth_left(sh->logged + NGX_LLM_STREAM_AUTH_LOG) > 0)
    {
        return 0;
    }

    sh->logged = ngx_current_msec;

    return 1;
}


static void
ngx_llm_stream_auth_log(ngx_llm_stream_auth_t *auth, const char *why,
    ngx_uint_t first)
{
    ngx_uint_t  level;

    level = first ? NGX_LOG_ERR : NGX_LOG_INFO;

    ngx_log_error(level, ngx_cycle->log, 0,
                  "llm_stream auth \"%V\" failed: %s", &auth->name, why);
}


/* One timer a worker; the first of all workers that fires does it. */

static void
ngx_llm_stream_auth_renew_at(ngx_llm_stream_auth_t *auth, ngx_msec_t at)
{
    ngx_msec_int_t  left;

    if (ngx_exiting) {
        return;
    }

    if (auth->renewal.timer_set) {
        ngx_del_timer(&auth->renewal);
    }

    left = ngx_llm_stream_auth_left(at);
    ngx_add_timer(&auth->renewal, (ngx_msec_t) ngx_max(left, 1));
}


/*
 * Runs when the token is to be renewed, or a failed renewal repeated.  A
 * token that nobody used since it came is left to expire; the next request
 * that finds a token sets the timer again.
 */

static void
ngx_llm_stream_auth_renewal_handler(ngx_event_t *ev)
{
    ngx_uint_t                     mine;
    ngx_llm_stream_auth_t         *auth;
    ngx_llm_stream_auth_shared_t  *sh;

    auth = ev->data;

    if (ngx_exiting || auth->fetch) {
        return;
    }

    sh = ngx_llm_stream_auth_lock(auth);

    mine = ngx_llm_stream_auth_valid(auth) && sh->used
           && ngx_llm_stream_auth_left(sh->renew) <= 0
           && ngx_llm_stream_auth_take(auth);

    ngx_llm_stream_auth_unlock(auth);

    if (mine) {
        ngx_llm_stream_auth_start(auth);
    }
}


/* Runs while requests of this worker wait for another worker's fetch. */

static void
ngx_llm_stream_auth_poll_handler(ngx_event_t *ev)
{
    ngx_uint_t              busy;
    ngx_llm_stream_auth_t  *auth;

    auth = ev->data;

    if (ngx_queue_empty(&auth->waiting)) {
        return;
    }

    (void) ngx_llm_stream_auth_lock(auth);
    busy = ngx_llm_stream_auth_leased(auth);
    ngx_llm_stream_auth_unlock(auth);

    if (busy) {
        ngx_add_timer(ev, NGX_LLM_STREAM_AUTH_POLL);
        return;
    }

    /* they look for themselves, and want a token again if there is none */

    ngx_llm_stream_auth_wake(auth);
}
