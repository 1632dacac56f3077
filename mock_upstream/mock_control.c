/*
 * The control side.  It answers tests at once and is in no statistics.  It
 * owns those who wait (GET /mock/wait): they are looked at again once per
 * turn of the event loop in which something changed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mock_answer.h"
#include "mock_control.h"
#include "mock_error.h"
#include "mock_fault.h"
#include "mock_script.h"


#define MOCK_CONTROL_TIMEOUT  5000  /* milliseconds, when not said */

/* Conditions that a waiter waits for, all of them; -1: not asked. */
struct mock_waiter_s {
    mock_conn_t    *conn;
    int             keepalive;
    char            id[64];
    int64_t         events;
    int64_t         end;
    int64_t         open;
    int64_t         aborts;
    int64_t         requests;
    int64_t         complete;
    int64_t         connections;
    int64_t         open_connections;
    int64_t         sign_ins;
    int64_t         issued;
    struct event    timer;
    mock_waiter_t  *next;
};


int
mock_control_is(const mock_request_t *r)
{
    return strncmp(r->path, "/mock/", 6) == 0;
}


static void
mock_control_send(mock_conn_t *c, int keepalive, int status,
    const mock_buf_t *body)
{
    mock_buf_t  b;

    memset(&b, 0, sizeof(b));
    mock_http_answer(&b, status, "application/json", NULL, keepalive,
                     body->p, body->n);
    (void) mock_conn_send(c, b.p, b.n);
    mock_buf_free(&b);

    if (keepalive) {
        mock_conn_next(c);
    } else {
        mock_conn_finish(c);
    }
}


static void
mock_control_error(mock_conn_t *c, const mock_request_t *r, int status,
    const char *message)
{
    mock_buf_t  body;

    memset(&body, 0, sizeof(body));
    mock_error_openai(&body, message, "invalid_request_error", NULL, NULL);
    mock_control_send(c, (int) r->keepalive, status, &body);
    mock_buf_free(&body);
}


static void
mock_control_ok(mock_conn_t *c, const mock_request_t *r)
{
    mock_buf_t  body;

    memset(&body, 0, sizeof(body));
    mock_buf_lit(&body, "{\"ok\":true}\n");
    mock_control_send(c, (int) r->keepalive, 200, &body);
    mock_buf_free(&body);
}


static int64_t
mock_control_number(const mock_request_t *r, const char *name,
    int64_t otherwise)
{
    char  value[32];

    if (!mock_http_arg(r, name, value, sizeof(value))) {
        return otherwise;
    }

    return strtoll(value, NULL, 10);
}


static void
mock_control_stats(mock_conn_t *c, const mock_request_t *r)
{
    char            id[64];
    mock_buf_t      body;
    mock_record_t  *record;

    memset(&body, 0, sizeof(body));

    if (!mock_http_arg(r, "id", id, sizeof(id))) {
        mock_stats_json(c->mock, &body);

    } else {
        record = mock_stats_find(c->mock, id);

        if (record == NULL) {
            mock_control_error(c, r, 404, "no stream of that id");
            return;
        }

        mock_stats_record(&body, record);
        mock_buf_lit(&body, "\n");
    }

    mock_control_send(c, (int) r->keepalive, 200, &body);
    mock_buf_free(&body);
}


static void
mock_control_requests(mock_conn_t *c, const mock_request_t *r)
{
    int64_t     n;
    mock_buf_t  body;

    memset(&body, 0, sizeof(body));
    n = mock_control_number(r, "last", 1);
    mock_stats_requests(c->mock, &body, n > 0 ? (uint64_t) n : 0);
    mock_control_send(c, (int) r->keepalive, 200, &body);
    mock_buf_free(&body);
}


static void
mock_control_ack(mock_conn_t *c, const mock_request_t *r)
{
    char            id[64];
    int64_t         n;
    mock_buf_t      body;
    mock_record_t  *record;

    (void) mock_http_arg(r, "id", id, sizeof(id));
    n = mock_control_number(r, "n", 1);
    record = mock_stats_find(c->mock, id);

    if (record == NULL || n < 0) {
        mock_control_error(c, r, record ? 400 : 404, "no stream of that id");
        return;
    }

    /* the record is looked up again: the stream may end by this, and its
     * record be dropped */
    mock_answer_ack(record, (uint64_t) n);
    record = mock_stats_find(c->mock, id);
    memset(&body, 0, sizeof(body));

    if (record) {
        mock_stats_record(&body, record);
    }

    mock_buf_lit(&body, "\n");
    mock_control_send(c, (int) r->keepalive, 200, &body);
    mock_buf_free(&body);
}


static void
mock_control_put(mock_conn_t *c, const mock_request_t *r, int kind,
    const char *name)
{
    mock_buf_t  b, err;

    memset(&b, 0, sizeof(b));
    memset(&err, 0, sizeof(err));

    if (kind == 's' && mock_script_check(&r->body, &err) != 0) {
        mock_control_error(c, r, 400, mock_buf_cstr(&err));

    } else {
        mock_buf_add(&b, r->body.p, r->body.n);

        if (mock_blob_put(c->mock, kind, name, &b) != 0) {
            mock_control_error(c, r, 400, "not a name");
        } else {
            mock_control_ok(c, r);
        }
    }

    mock_buf_free(&b);
    mock_buf_free(&err);
}


static void
mock_control_reset(mock_conn_t *c, const mock_request_t *r)
{
    mock_stats_reset(c->mock);
    mock_blob_forget(c->mock);
    c->mock->defaults = c->mock->started;
    mock_control_ok(c, r);
}


/* Options over those of the command line, not over earlier ones. */
static void
mock_control_defaults(mock_conn_t *c, const mock_request_t *r)
{
    mock_buf_t      err;
    mock_options_t  o;

    memset(&err, 0, sizeof(err));
    o = c->mock->started;

    if (mock_options_parse(&o, (const char *) r->body.p, r->body.n, &err)
        != 0)
    {
        mock_control_error(c, r, 400, mock_buf_cstr(&err));

    } else if (o.fault[0] && mock_fault_find(o.fault) == NULL) {
        mock_control_error(c, r, 400, "mock: unknown fault");

    } else {
        c->mock->defaults = o;
        mock_control_ok(c, r);
    }

    mock_buf_free(&err);
}


static void
mock_control_revoke(mock_conn_t *c, const mock_request_t *r)
{
    mock_buf_t  body;

    memset(&body, 0, sizeof(body));
    mock_buf_fmt(&body, "{\"revoked\":%llu}\n",
                 (unsigned long long) mock_token_revoke(&c->mock->tokens));
    mock_control_send(c, (int) r->keepalive, 200, &body);
    mock_buf_free(&body);
}


static void
mock_control_faults(mock_conn_t *c, const mock_request_t *r)
{
    mock_buf_t  body;

    memset(&body, 0, sizeof(body));
    mock_fault_names(&body);
    mock_control_send(c, (int) r->keepalive, 200, &body);
    mock_buf_free(&body);
}


static int
mock_control_least(int64_t wanted, uint64_t is)
{
    return wanted < 0 || is >= (uint64_t) wanted;
}


static int
mock_control_exact(int64_t wanted, uint64_t is)
{
    return wanted < 0 || is == (uint64_t) wanted;
}


static int
mock_control_holds(const mock_waiter_t *w)
{
    mock_t               *mock;
    const mock_stats_t   *s;
    const mock_record_t  *record;

    mock = w->conn->mock;
    s = &mock->stats;

    if (w->id[0]) {
        record = mock_stats_find(mock, w->id);

        if (record == NULL
            || !mock_control_least(w->events, record->events)
            || (w->end > 0 && record->end == MOCK_END_OPEN))
        {
            return 0;
        }
    }

    return mock_control_exact(w->open, s->open)
           && mock_control_exact(w->open_connections, s->open_connections)
           && mock_control_least(w->aborts, s->aborts)
           && mock_control_least(w->requests, s->requests)
           && mock_control_least(w->complete, s->complete)
           && mock_control_least(w->connections, s->connections)
           && mock_control_least(w->sign_ins, mock->tokens.requests)
           && mock_control_least(w->issued, mock->tokens.issued);
}


/* Ends the waiting with 200 or 504; both say how things stand. */
static void
mock_control_answer(mock_waiter_t *w, int status)
{
    int             keepalive;
    mock_buf_t      body;
    mock_conn_t    *c;
    mock_record_t  *record;

    c = w->conn;
    keepalive = w->keepalive;
    memset(&body, 0, sizeof(body));
    mock_buf_fmt(&body, "{\"ok\":%s,", status == 200 ? "true" : "false");
    mock_stats_counters(c->mock, &body);

    record = w->id[0] ? mock_stats_find(c->mock, w->id) : NULL;

    if (record) {
        mock_buf_lit(&body, ",\"stream\":");
        mock_stats_record(&body, record);
    }

    mock_buf_lit(&body, "}\n");

    mock_control_forget(w);
    mock_control_send(c, keepalive, status, &body);
    mock_buf_free(&body);
}


static void
mock_control_on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;

    mock_control_answer(arg, 504);
}


void
mock_control_forget(mock_waiter_t *w)
{
    mock_waiter_t  **p;

    for (p = &w->conn->mock->waiters; *p != w; p = &(*p)->next) {
        continue;
    }

    *p = w->next;
    w->conn->waiter = NULL;
    evtimer_del(&w->timer);
    free(w);
}


static void
mock_control_wait(mock_conn_t *c, const mock_request_t *r)
{
    int64_t         ms;
    mock_waiter_t  *w;
    struct timeval  tv;

    w = mock_zalloc(sizeof(*w));
    w->conn = c;
    w->keepalive = (int) r->keepalive;
    (void) mock_http_arg(r, "id", w->id, sizeof(w->id));
    w->events = mock_control_number(r, "events", -1);
    w->end = mock_control_number(r, "end", -1);
    w->open = mock_control_number(r, "open", -1);
    w->aborts = mock_control_number(r, "aborts", -1);
    w->requests = mock_control_number(r, "requests", -1);
    w->complete = mock_control_number(r, "complete", -1);
    w->connections = mock_control_number(r, "connections", -1);
    w->open_connections = mock_control_number(r, "open_connections", -1);
    w->sign_ins = mock_control_number(r, "sign_ins", -1);
    w->issued = mock_control_number(r, "issued", -1);

    c->waiter = w;
    w->next = c->mock->waiters;
    c->mock->waiters = w;
    evtimer_assign(&w->timer, c->mock->base, mock_control_on_timeout, w);

    if (mock_control_holds(w)) {
        mock_control_answer(w, 200);
        return;
    }

    ms = mock_control_number(r, "timeout", MOCK_CONTROL_TIMEOUT);
    tv.tv_sec = ms / 1000;
    tv.tv_usec = ms % 1000 * 1000;
    evtimer_add(&w->timer, &tv);
}


void
mock_control_kick(mock_t *mock)
{
    struct timeval  now;

    if (mock->waiters && !evtimer_pending(&mock->kick, NULL)) {
        now.tv_sec = 0;
        now.tv_usec = 0;
        evtimer_add(&mock->kick, &now);
    }
}


void
mock_control_on_kick(evutil_socket_t fd, short what, void *arg)
{
    mock_t         *mock;
    mock_waiter_t  *w, *next;

    (void) fd;
    (void) what;
    mock = arg;

    /* what one answer sets off can close other waiters' connections only
     * through the event loop, so `next` stays */
    for (w = mock->waiters; w; w = next) {
        next = w->next;

        if (mock_control_holds(w)) {
            mock_control_answer(w, 200);
        }
    }
}


void
mock_control(mock_conn_t *c, const mock_request_t *r)
{
    size_t       i;
    const char  *path;

    static const struct {
        const char  *method;
        const char  *path;
        void       (*fn)(mock_conn_t *c, const mock_request_t *r);
    } rows[] = {
        { "GET", "stats", mock_control_stats },
        { "GET", "requests", mock_control_requests },
        { "GET", "wait", mock_control_wait },
        { "GET", "faults", mock_control_faults },
        { "POST", "ack", mock_control_ack },
        { "POST", "reset", mock_control_reset },
        { "POST", "revoke", mock_control_revoke },
        { "POST", "defaults", mock_control_defaults }
    };

    path = r->path + 6;

    if (strcmp(r->method, "PUT") == 0) {

        if (strncmp(path, "script/", 7) == 0) {
            mock_control_put(c, r, 's', path + 7);
            return;
        }

        if (strncmp(path, "replay/", 7) == 0) {
            mock_control_put(c, r, 'r', path + 7);
            return;
        }
    }

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(path, rows[i].path) == 0) {

            if (strcmp(r->method, rows[i].method) != 0) {
                mock_control_error(c, r, 405, "other method");
                return;
            }

            rows[i].fn(c, r);
            return;
        }
    }

    mock_control_error(c, r, 404, "no such control");
}
