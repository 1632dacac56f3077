/*
 * From a request to its answer: options are gathered, then a script, a
 * replay, a completion or an error is started.  It owns the request from the
 * moment it is whole and hands it to the statistics.
 */

#include <string.h>
#include <strings.h>

#include "llm_json.h"
#include "mock_answer.h"
#include "mock_chat.h"
#include "mock_control.h"
#include "mock_embed.h"
#include "mock_error.h"
#include "mock_fault.h"
#include "mock_identity.h"
#include "mock_replay.h"
#include "mock_script.h"
#include "mock_serve.h"


/* Answers with a whole body at once. */
static void
mock_serve_whole(mock_conn_t *c, const mock_request_t *r, int status,
    const char *type, const char *lines, mock_buf_t *body)
{
    int         keepalive;
    size_t      n;
    mock_buf_t  b;

    memset(&b, 0, sizeof(b));
    n = body->n;
    keepalive = (int) r->keepalive;
    mock_http_answer(&b, status, type, lines, keepalive, body->p, body->n);

    /* an answer to HEAD has no body */
    if (strcmp(r->method, "HEAD") == 0) {
        b.n -= n;
        n = 0;
    }

    mock_answer_whole(c, r, "", &b, n, keepalive);
}


static void
mock_serve_bad(mock_conn_t *c, const mock_request_t *r,
    const mock_route_t *route, const char *message, const char *param)
{
    mock_buf_t  body;

    memset(&body, 0, sizeof(body));
    mock_error_said(route, &body, 400, message, param, NULL);
    mock_serve_whole(c, r, 400, mock_error_type(route), NULL, &body);
    mock_buf_free(&body);
}


/* Options of the header, which may come several times. */
static int
mock_serve_header(mock_options_t *o, const mock_request_t *r,
    mock_buf_t *err)
{
    size_t                i;
    const mock_header_t  *h;

    for (i = 0; i < r->nheaders; i++) {
        h = &r->headers[i];

        if (strcasecmp(h->name, "X-Mock") == 0
            && mock_options_parse(o, h->value, strlen(h->value), err) != 0)
        {
            return -1;
        }
    }

    return 0;
}


/* Options of a model named "mock:key=value,...". */
static int
mock_serve_model(mock_options_t *o, const mock_buf_t *model,
    mock_buf_t *err)
{
    int         rc;
    mock_buf_t  name;

    if (model->n < 5 || memcmp(model->p, "mock:", 5) != 0) {
        return 0;
    }

    memset(&name, 0, sizeof(name));
    mock_buf_reserve(&name, model->n);
    name.n = llm_json_unescape(name.p, model->p, model->n);
    rc = mock_options_parse(o, (const char *) name.p + 5, name.n - 5, err);
    mock_buf_free(&name);

    return rc;
}


/* 1: served by a script or a replay; 0: neither is asked for; -1: see err. */
static int
mock_serve_bytes(mock_conn_t *c, const mock_request_t *r,
    const mock_options_t *o, mock_buf_t *err)
{
    int          rc, kind;
    mock_buf_t   b;
    const char  *name;

    memset(&b, 0, sizeof(b));
    kind = o->replay[0] ? 'r' : 's';
    name = kind == 'r' ? o->replay : o->script;

    if (*name == '\0' && !c->mock->scripted) {
        return 0;
    }

    if (*name == '\0') {
        mock_buf_add(&b, c->mock->script.p, c->mock->script.n);

    } else if (mock_blob_get(c->mock, kind, name, &b) != 0) {
        mock_buf_fmt(err, "mock: no %s named \"%s\"",
                     kind == 'r' ? "replay" : "script", name);
        mock_buf_free(&b);
        return -1;
    }

    if (kind == 'r') {
        rc = mock_replay(c, r, o, &b, err);
    } else {
        rc = mock_script(c, r, o->lockstep[0] ? o->lockstep : o->id, &b, err);
    }

    mock_buf_free(&b);

    return rc == 0 ? 1 : -1;
}


/* Path, method and credential.  1: refused. */
static int
mock_serve_gate(mock_conn_t *c, const mock_request_t *r,
    const mock_options_t *o, const mock_route_t *route)
{
    int          status;
    char         key[1024];
    mock_buf_t   body, text;
    const char  *lines, *method;

    memset(&body, 0, sizeof(body));
    memset(&text, 0, sizeof(text));
    method = route->serves == MOCK_SERVES_PROBE ? "GET" : "POST";
    status = 0;
    lines = NULL;
    mock_http_key(r, key, sizeof(key));

    if (route->serves == MOCK_SERVES_NOTHING) {
        status = 404;
        mock_buf_fmt(&text, "Invalid URL (%s %s)", r->method, r->path);
        mock_error_said(route, &body, status, mock_buf_cstr(&text), NULL,
                        NULL);

    } else if (strcmp(r->method, method) != 0) {
        status = 405;
        lines = method[0] == 'G' ? "Allow: GET\r\n" : "Allow: POST\r\n";
        mock_buf_fmt(&text, "Not allowed to use this method on %s.",
                     r->path);
        mock_error_said(route, &body, status, mock_buf_cstr(&text), NULL,
                        "method_not_supported");

    } else if (c->mock->require_key
               && strcmp(key, c->mock->require_key) != 0)
    {
        status = mock_error_key(route, &body, 401, key);

    } else if (o->token
               && !mock_token_check(&c->mock->tokens,
                                    mock_http_header(r, "Authorization")))
    {
        status = (int) o->token_status;
        mock_error_status(route, &body, status, -1);
    }

    if (status) {
        mock_serve_whole(c, r, status, mock_error_type(route), lines, &body);
    }

    mock_buf_free(&body);
    mock_buf_free(&text);

    return status != 0;
}


static void
mock_serve_sndbuf(mock_conn_t *c, const mock_options_t *o)
{
    int  size;

    if (o->sndbuf) {
        size = (int) o->sndbuf;
        (void) setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
}


/* Flowise's clients ask first whether the flow can stream. */
static void
mock_serve_probe(mock_conn_t *c, const mock_request_t *r)
{
    mock_buf_t  body;

    memset(&body, 0, sizeof(body));
    mock_buf_lit(&body, "{\"isStreaming\":true}");
    mock_serve_whole(c, r, 200, "application/json", NULL, &body);
    mock_buf_free(&body);
}


/* The answer to a request whose options and body were read; bad: the body's
 * fault is in err.  Returns -1 with a sentence in err. */
static int
mock_serve_answer(mock_conn_t *c, const mock_request_t *r,
    const mock_options_t *o, mock_route_t *route, mock_chat_request_t *req,
    mock_buf_t *err, int bad)
{
    int         rc;
    mock_buf_t  why;

    memset(&why, 0, sizeof(why));
    mock_serve_sndbuf(c, o);
    rc = mock_serve_bytes(c, r, o, &why);

    if (rc < 0) {
        err->n = 0;
        mock_buf_add(err, why.p, why.n);
    }

    mock_buf_free(&why);

    if (rc != 0) {
        return rc < 0 ? -1 : 0;
    }

    if (mock_serve_gate(c, r, o, route)) {
        return 0;
    }

    if (route->serves == MOCK_SERVES_PROBE) {
        mock_serve_probe(c, r);
        return 0;
    }

    return bad ? -1 : mock_chat(c, r, o, route, req, err);
}


static void
mock_serve_request(mock_conn_t *c, const mock_request_t *r)
{
    int                   bad;
    mock_buf_t            err, why;
    const char           *param;
    mock_route_t          route;
    mock_options_t        o;
    mock_chat_request_t   req;

    memset(&err, 0, sizeof(err));
    memset(&why, 0, sizeof(why));

    /* the header can name the dialect that the body is read by; its options
     * win over those of the model's name, so they are read again below */
    o = c->mock->defaults;
    (void) mock_serve_header(&o, r, &err);
    mock_route(&route, r, o.dialect);

    /* the body is read even where a replay or a script answers: its model
     * may be what asks for them */
    bad = route.serves == MOCK_SERVES_EMBED
          ? mock_embed_request(&req, r->body.p, r->body.n, &why, &param)
          : mock_chat_request(&req, &route, r->body.p, r->body.n, &why,
                              &param);

    o = c->mock->defaults;
    err.n = 0;

    if (mock_serve_model(&o, &req.model, &err) != 0
        || mock_serve_header(&o, r, &err) != 0)
    {
        mock_serve_bad(c, r, &route, mock_buf_cstr(&err), NULL);

    } else if (mock_serve_answer(c, r, &o, &route, &req, &why, bad) != 0) {
        mock_serve_bad(c, r, &route, mock_buf_cstr(&why),
                       bad ? param : NULL);
    }

    mock_route_free(&route);
    mock_chat_request_free(&req);
    mock_buf_free(&err);
    mock_buf_free(&why);
}


static void
mock_serve_identity(mock_conn_t *c, const mock_request_t *r)
{
    mock_buf_t      err;
    mock_route_t    route;
    mock_options_t  o;

    memset(&err, 0, sizeof(err));
    o = c->mock->defaults;

    if (mock_serve_header(&o, r, &err) == 0) {
        mock_identity(c, r, &o);

    } else {
        mock_route(&route, r, "");
        mock_serve_bad(c, r, &route, mock_buf_cstr(&err), NULL);
        mock_route_free(&route);
    }

    mock_buf_free(&err);
}


void
mock_serve(mock_conn_t *c)
{
    mock_t          *mock;
    mock_request_t  *r;

    mock = c->mock;
    r = c->request;
    c->request = NULL;

    if (mock_control_is(r)) {
        mock_control(c, r);
        mock_http_free(r);
        return;
    }

    if (mock_identity_is(r)) {
        mock_serve_identity(c, r);
    } else {
        mock_serve_request(c, r);
    }

    mock_stats_keep(mock, r);
}


void
mock_serve_refuse(mock_conn_t *c, int status)
{
    mock_buf_t  b, body;

    memset(&b, 0, sizeof(b));
    memset(&body, 0, sizeof(body));
    mock_error_openai(&body, "The mock cannot read this HTTP request.",
                      "invalid_request_error", NULL, NULL);
    mock_http_answer(&b, status, "application/json", NULL, 0, body.p,
                     body.n);

    /* it is no request, so it has no record and is not counted */
    (void) mock_conn_send(c, b.p, b.n);
    mock_conn_finish(c);
    mock_buf_free(&b);
    mock_buf_free(&body);
}


/* The answer before the body: 1 and 2 close at once, what comes then is
 * answered by the kernel with RST; 3 sends FIN and throws the rest away. */
static void
mock_serve_early(mock_conn_t *c, const mock_options_t *o)
{
    mock_buf_t       b;
    mock_route_t     route;
    mock_record_t   *record;
    mock_request_t  *r;

    r = c->request;
    c->request = NULL;
    c->busy = 1;
    memset(&b, 0, sizeof(b));

    record = mock_stats_open(c->mock, o->id, r->method, r->path, c->number);
    mock_route(&route, r, o->dialect);
    mock_fault_early(&b, &route, o->variant);
    mock_route_free(&route);
    (void) mock_conn_send(c, b.p, b.n);
    record->bytes = b.n;
    mock_buf_free(&b);

    if (o->variant == 3) {
        mock_conn_half_close(c);
    } else {
        mock_conn_finish(c);
    }

    mock_stats_end(c->mock, record, MOCK_END_FAULT);
    mock_stats_keep(c->mock, r);
}


void
mock_serve_head(mock_conn_t *c)
{
    mock_buf_t        err;
    mock_options_t    o;
    mock_request_t   *r;
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

    r = c->request;

    if (c->mock->defaults.fault[0] || mock_http_header(r, "X-Mock")) {
        memset(&err, 0, sizeof(err));
        o = c->mock->defaults;

        if (!mock_control_is(r) && mock_serve_header(&o, r, &err) == 0
            && strcmp(o.fault, "early-error-while-sending") == 0)
        {
            mock_serve_early(c, &o);
        }

        mock_buf_free(&err);
    }

    if (!c->busy && r->expect) {
        (void) mock_conn_send(c, go_on, sizeof(go_on) - 1);
    }
}
