/*
 * One HTTP exchange with an identity service: connect, TLS, the request, the
 * answer, all of it within one time limit.  It runs beside all requests and
 * belongs to none.  Whatever happens it ends in ngx_llm_stream_fetch_end(),
 * which gives everything back before it reports; nothing of the service's
 * bytes is logged.
 */

#include "ngx_llm_stream_fetch.h"


static void ngx_llm_stream_fetch_connect(ngx_llm_stream_fetch_t *f);
static void ngx_llm_stream_fetch_next(ngx_llm_stream_fetch_t *f,
    const char *why);
static void ngx_llm_stream_fetch_connected(ngx_llm_stream_fetch_t *f);
static void ngx_llm_stream_fetch_tls(ngx_llm_stream_fetch_t *f);
static void ngx_llm_stream_fetch_handshaked(ngx_connection_t *c);
static const char *ngx_llm_stream_fetch_verify(ngx_llm_stream_fetch_t *f);
static void ngx_llm_stream_fetch_write_handler(ngx_event_t *wev);
static void ngx_llm_stream_fetch_send(ngx_llm_stream_fetch_t *f);
static void ngx_llm_stream_fetch_read_handler(ngx_event_t *rev);
static void ngx_llm_stream_fetch_idle_handler(ngx_event_t *ev);
static void ngx_llm_stream_fetch_timer_handler(ngx_event_t *ev);
static const char *ngx_llm_stream_fetch_error(ngx_llm_stream_fetch_t *f,
    ngx_err_t err);
static void ngx_llm_stream_fetch_close(ngx_llm_stream_fetch_t *f);
static void ngx_llm_stream_fetch_end(ngx_llm_stream_fetch_t *f,
    const char *why);


ngx_int_t
ngx_llm_stream_fetch(ngx_llm_stream_auth_t *auth)
{
    ngx_pool_t              *pool;
    ngx_llm_stream_fetch_t  *f;

    pool = ngx_create_pool(ngx_pagesize, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    f = ngx_pcalloc(pool, sizeof(ngx_llm_stream_fetch_t));
    if (f == NULL || ngx_llm_stream_fetch_init(f, pool) != NGX_OK) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    f->auth = auth;
    f->send = auth->request;

    /* nginx's own lines about this connection would come at each attempt */

    f->log = *ngx_cycle->log;
    f->log.log_level = NGX_LOG_EMERG;

    f->timer.handler = ngx_llm_stream_fetch_timer_handler;
    f->timer.data = f;
    f->timer.log = &f->log;

    auth->fetch = f;
    ngx_add_timer(&f->timer, auth->timeout);

    ngx_llm_stream_fetch_connect(f);

    return NGX_OK;
}


static void
ngx_llm_stream_fetch_connect(ngx_llm_stream_fetch_t *f)
{
    ngx_int_t          rc;
    ngx_addr_t        *addr;
    ngx_connection_t  *c;

    addr = &f->auth->url.addrs[f->auth->addr];

    f->peer.sockaddr = addr->sockaddr;
    f->peer.socklen = addr->socklen;
    f->peer.name = &addr->name;
    f->peer.get = ngx_event_get_peer;
    f->peer.log = &f->log;
    f->peer.log_error = NGX_ERROR_ERR;

    rc = ngx_event_connect_peer(&f->peer);

    if (rc == NGX_ERROR || rc == NGX_BUSY || rc == NGX_DECLINED) {
        ngx_llm_stream_fetch_next(f, ngx_llm_stream_fetch_error(f,
                                                            ngx_socket_errno));
        return;
    }

    c = f->peer.connection;
    c->data = f;
    c->pool = f->pool;
    c->read->handler = ngx_llm_stream_fetch_idle_handler;
    c->write->handler = ngx_llm_stream_fetch_write_handler;

    if (rc == NGX_OK) {
        ngx_llm_stream_fetch_connected(f);
    }
}


/* This address cannot be used: the secret was sent to nobody, so the next one
 * may be tried within the same time. */

static void
ngx_llm_stream_fetch_next(ngx_llm_stream_fetch_t *f, const char *why)
{
    ngx_llm_stream_auth_t  *auth;

    auth = f->auth;
    auth->addr = (auth->addr + 1) % auth->url.naddrs;

    if (++f->tried == auth->url.naddrs) {
        ngx_llm_stream_fetch_end(f, why);
        return;
    }

    ngx_llm_stream_fetch_close(f);
    ngx_llm_stream_fetch_connect(f);
}


/*
 * Runs while the connection has nothing to say: it fails when written to.
 * Also when worker_shutdown_timeout is over.
 */

static void
ngx_llm_stream_fetch_idle_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    if (c->close) {
        ngx_llm_stream_fetch_end(c->data, NULL);
    }
}


static void
ngx_llm_stream_fetch_write_handler(ngx_event_t *wev)
{
    ngx_connection_t        *c;
    ngx_llm_stream_fetch_t  *f;

    c = wev->data;
    f = c->data;

    if (f->connected) {
        ngx_llm_stream_fetch_send(f);
        return;
    }

    ngx_llm_stream_fetch_connected(f);
}


static void
ngx_llm_stream_fetch_connected(ngx_llm_stream_fetch_t *f)
{
    int                err;
    socklen_t          len;
    ngx_connection_t  *c;

    c = f->peer.connection;
    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        ngx_llm_stream_fetch_next(f, ngx_llm_stream_fetch_error(f, err));
        return;
    }

    if (f->auth->ssl) {
        ngx_llm_stream_fetch_tls(f);
        return;
    }

    f->connected = 1;
    c->read->handler = ngx_llm_stream_fetch_read_handler;
    ngx_llm_stream_fetch_send(f);
}


static void
ngx_llm_stream_fetch_tls(ngx_llm_stream_fetch_t *f)
{
    u_char            *name;
    ngx_int_t          rc;
    ngx_str_t         *host;
    ngx_connection_t  *c;

    c = f->peer.connection;
    host = &f->auth->host;

    c->write->handler = ngx_llm_stream_fetch_idle_handler;

    if (ngx_ssl_create_connection(f->auth->ssl, c,
                                  NGX_SSL_BUFFER|NGX_SSL_CLIENT)
        != NGX_OK)
    {
        ngx_llm_stream_fetch_end(f, "TLS could not be set up");
        return;
    }

    /* an address is no name: RFC 6066, section 3 */

    if (ngx_strlchr(host->data, host->data + host->len, ':') == NULL
        && ngx_inet_addr(host->data, host->len) == INADDR_NONE)
    {
        name = ngx_pnalloc(f->pool, host->len + 1);

        if (name == NULL) {
            ngx_llm_stream_fetch_end(f, "no memory");
            return;
        }

        (void) ngx_cpystrn(name, host->data, host->len + 1);

        if (SSL_set_tlsext_host_name(c->ssl->connection, (char *) name) == 0)
        {
            ngx_llm_stream_fetch_end(f, "TLS could not be set up");
            return;
        }
    }

    c->sendfile = 0;

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_llm_stream_fetch_handshaked;
        return;
    }

    ngx_llm_stream_fetch_handshaked(c);
}


/* Runs when the handshake is over, well or not. */

static void
ngx_llm_stream_fetch_handshaked(ngx_connection_t *c)
{
    const char              *why;
    ngx_llm_stream_fetch_t  *f;

    f = c->data;

    if (!c->ssl->handshaked) {
        ngx_llm_stream_fetch_next(f, "the TLS handshake failed");
        return;
    }

    why = ngx_llm_stream_fetch_verify(f);

    if (why) {
        ngx_llm_stream_fetch_next(f, why);
        return;
    }

    f->connected = 1;
    c->read->handler = ngx_llm_stream_fetch_read_handler;
    c->write->handler = ngx_llm_stream_fetch_write_handler;

    ngx_llm_stream_fetch_send(f);
}


static const char *
ngx_llm_stream_fetch_verify(ngx_llm_stream_fetch_t *f)
{
    long               rc;
    ngx_connection_t  *c;

    if (!f->auth->ssl_verify) {
        return NULL;
    }

    c = f->peer.connection;
    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        *ngx_snprintf((u_char *) f->why, sizeof(f->why) - 1,
                      "certificate verify error: (%l:%s)", rc,
                      X509_verify_cert_error_string(rc)) = '\0';
        return f->why;
    }

    return ngx_ssl_check_host(c, &f->auth->host) == NGX_OK
           ? NULL : "certificate does not match the name in \"url\"";
}


static void
ngx_llm_stream_fetch_send(ngx_llm_stream_fetch_t *f)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = f->peer.connection;

    while (f->send.len) {
        n = c->send(c, f->send.data, f->send.len);

        if (n == NGX_AGAIN) {

            if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
                ngx_llm_stream_fetch_end(f, "no event for the connection");
            }

            return;
        }

        if (n <= 0) {
            ngx_llm_stream_fetch_end(f, "the connection was closed");
            return;
        }

        f->send.data += n;
        f->send.len -= n;
    }

    c->write->handler = ngx_llm_stream_fetch_idle_handler;

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        ngx_llm_stream_fetch_end(f, "no event for the connection");
        return;
    }

    /* TLS may have read it already */

    ngx_llm_stream_fetch_read_handler(c->read);
}


/* Runs when the service has sent something, or closed. */

static void
ngx_llm_stream_fetch_read_handler(ngx_event_t *rev)
{
    ssize_t                  n;
    ngx_int_t                rc;
    const char              *why;
    ngx_connection_t        *c;
    ngx_llm_stream_fetch_t  *f;

    c = rev->data;
    f = c->data;

    if (c->close) {
        ngx_llm_stream_fetch_end(f, NULL);
        return;
    }

    for ( ;; ) {

        if (f->in.last == f->in.end) {
            ngx_llm_stream_fetch_end(f, "answer is too large");
            return;
        }

        n = c->recv(c, f->in.last, f->in.end - f->in.last);

        if (n == NGX_AGAIN) {

            if (ngx_handle_read_event(rev, 0) != NGX_OK) {
                ngx_llm_stream_fetch_end(f, "no event for the connection");
            }

            return;
        }

        if (n == NGX_ERROR) {
            ngx_llm_stream_fetch_end(f, "the connection was reset");
            return;
        }

        f->in.last += n;
        why = NULL;

        rc = ngx_llm_stream_fetch_parse(f, n == 0, &why);

        if (rc != NGX_AGAIN) {
            f->done = rc == NGX_OK;
            ngx_llm_stream_fetch_end(f, why);
            return;
        }
    }
}


static void
ngx_llm_stream_fetch_timer_handler(ngx_event_t *ev)
{
    ngx_llm_stream_fetch_t  *f;

    f = ev->data;

    if (!f->connected) {
        f->auth->addr = (f->auth->addr + 1) % f->auth->url.naddrs;
    }

    ngx_llm_stream_fetch_end(f, "timed out");
}


static const char *
ngx_llm_stream_fetch_error(ngx_llm_stream_fetch_t *f, ngx_err_t err)
{
    u_char  *p, *last;

    p = (u_char *) f->why;
    last = p + sizeof(f->why) - 1;

    p = ngx_snprintf(p, last - p, "connect() failed (%d: ", (int) err);
    p = ngx_strerror(err, p, last - p);
    *ngx_snprintf(p, last - p, ")") = '\0';

    return f->why;
}


static void
ngx_llm_stream_fetch_close(ngx_llm_stream_fetch_t *f)
{
    ngx_connection_t  *c;

    c = f->peer.connection;

    if (c == NULL) {
        return;
    }

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = !f->connected;
        (void) ngx_ssl_shutdown(c);
    }

    ngx_close_connection(c);
    f->peer.connection = NULL;
}


/* The one end: f->done, or why not; neither when it was given up. */

static void
ngx_llm_stream_fetch_end(ngx_llm_stream_fetch_t *f, const char *why)
{
    ngx_llm_stream_auth_t  *auth;

    auth = f->auth;

    if (f->timer.timer_set) {
        ngx_del_timer(&f->timer);
    }

    ngx_llm_stream_fetch_close(f);
    auth->fetch = NULL;

    ngx_llm_stream_auth_fetched(auth, f->done ? &f->token : NULL, why);

    ngx_explicit_memzero(&f->token, sizeof(llm_token_t));
    ngx_explicit_memzero(f->in.start, f->in.end - f->in.start);
    ngx_destroy_pool(f->pool);
}
