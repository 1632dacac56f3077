/*
 * From a request to its answer: options are gathered, then a script, a
 * replay, a completion or an error is started.  It owns the request from the
 * moment it is whole and hands it to the statistics.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "llm_json.h"
#include "mock_answer.h"
#include "mock_chat.h"
#include "mock_control.h"
#include "mock_fault.h"
#include "mock_replay.h"
#include "mock_script.h"
#include "mock_serve.h"


void
mock_serve_error(mock_buf_t *b, const char *message, const char *type,
    const char *param, const char *code)
{
    mock_buf_lit(b, "{\"error\":{\"message\":\"");
    mock_buf_json(b, message, strlen(message));
    mock_buf_fmt(b, "\",\"type\":\"%s\",\"param\":", type);

    if (param) {
        mock_buf_fmt(b, "\"%s\"", param);
    } else {
        mock_buf_lit(b, "null");
    }

    if (code) {
        mock_buf_fmt(b, ",\"code\":\"%s\"}}", code);
    } else {
        mock_buf_lit(b, ",\"code\":null}}");
    }
}


void
mock_serve_status_error(mock_buf_t *b, int status)
{
    size_t  i;

    static const struct {
        int          status;
        const char  *type;
        const char  *code;
        const char  *message;
    } rows[] = {
        { 400, "invalid_request_error", NULL,
          "The mock calls this request bad, as asked." },
        { 401, "invalid_request_error", "invalid_api_key",
          "Incorrect API key provided." },
        { 403, "invalid_request_error", "permission_denied",
          "The mock does not permit this, as asked." },
        { 404, "invalid_request_error", "model_not_found",
          "The model does not exist or you do not have access to it." },
        { 408, "timeout", NULL, "The mock timed out, as asked." },
        { 413, "invalid_request_error", "context_length_exceeded",
          "The request is too large." },
        { 422, "invalid_request_error", NULL,
          "The mock cannot process this, as asked." },
        { 429, "requests", "rate_limit_exceeded",
          "Rate limit reached. Please try again later." },
        { 500, "server_error", NULL,
          "The server had an error while processing your request." },
        { 502, "server_error", NULL, "Bad gateway." },
        { 503, "server_error", "overloaded",
          "The engine is currently overloaded." },
        { 504, "server_error", NULL, "Gateway timeout." },
        { 529, "overloaded_error", "overloaded", "Overloaded." }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].status == status) {
            mock_serve_error(b, rows[i].message, rows[i].type, NULL,
                             rows[i].code);
            return;
        }
    }

    mock_serve_error(b, "The mock failed as asked.", status < 500
                     ? "invalid_request_error" : "server_error", NULL, NULL);
}


/* Answers with an error at once. */
static void
mock_serve_fail(mock_conn_t *c, const mock_request_t *r, int status,
    const char *lines, mock_buf_t *body)
{
    int         keepalive;
    mock_buf_t  b;

    memset(&b, 0, sizeof(b));
    keepalive = (int) r->keepalive;
    mock_http_answer(&b, status, "application/json", lines, keepalive,
                     body->p, body->n);

    /* an answer to HEAD has no body */
    if (strcmp(r->method, "HEAD") == 0) {
        b.n -= body->n;
    }

    mock_answer_whole(c, r, "", &b, keepalive);
}


static void
mock_serve_bad(mock_conn_t *c, const mock_request_t *r, const char *message,
    const char *param)
{
    mock_buf_t  body;

    memset(&body, 0, sizeof(body));
    mock_serve_error(&body, message, "invalid_request_error", param, NULL);
    mock_serve_fail(c, r, 400, NULL, &body);
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
mock_serve_gate(mock_conn_t *c, const mock_request_t *r)
{
    int                status;
    char               auth[1024];
    size_t             n;
    mock_buf_t         body, text;
    const char        *lines, *given;
    static const char  end[] = "/chat/completions";

    memset(&body, 0, sizeof(body));
    memset(&text, 0, sizeof(text));
    n = strlen(r->path);
    status = 0;
    lines = NULL;

    if (n < sizeof(end) - 1
        || strcmp(r->path + n - (sizeof(end) - 1), end) != 0)
    {
        status = 404;
        mock_buf_fmt(&text, "Invalid URL (%s %s)", r->method, r->path);
        mock_serve_error(&body, mock_buf_cstr(&text),
                         "invalid_request_error", NULL, NULL);

    } else if (strcmp(r->method, "POST") != 0) {
        status = 405;
        lines = "Allow: POST\r\n";
        mock_serve_error(&body, "Not allowed to use this method on "
                         "/v1/chat/completions.", "invalid_request_error",
                         NULL, "method_not_supported");

    } else if (c->mock->require_key) {
        given = mock_http_header(r, "Authorization");
        (void) snprintf(auth, sizeof(auth), "Bearer %s",
                        c->mock->require_key);

        if (given == NULL || strcmp(given, auth) != 0) {
            status = 401;
            mock_serve_status_error(&body, status);
        }
    }

    if (status) {
        mock_serve_fail(c, r, status, lines, &body);
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


static void
mock_serve_request(mock_conn_t *c, const mock_request_t *r)
{
    int                   rc, bad;
    mock_buf_t            err;
    const char           *why, *param;
    mock_options_t        o;
    mock_chat_request_t   req;

    memset(&err, 0, sizeof(err));
    why = NULL;
    param = NULL;

    /* the body is read even where a replay or a script answers: its model
     * may be what asks for them */
    bad = mock_chat_request(&req, r->body.p, r->body.n, &why, &param);

    o = c->mock->defaults;

    if (mock_serve_model(&o, &req.model, &err) != 0
        || mock_serve_header(&o, r, &err) != 0)
    {
        mock_serve_bad(c, r, mock_buf_cstr(&err), NULL);
        goto done;
    }

    mock_serve_sndbuf(c, &o);
    rc = mock_serve_bytes(c, r, &o, &err);

    if (rc < 0) {
        mock_serve_bad(c, r, mock_buf_cstr(&err), NULL);
        goto done;
    }

    if (rc == 1 || mock_serve_gate(c, r)) {
        goto done;
    }

    if (bad) {
        mock_serve_bad(c, r, why, param);
        goto done;
    }

    if (mock_chat(c, r, &o, &req, &err) != 0) {
        mock_serve_bad(c, r, mock_buf_cstr(&err), NULL);
    }

done:

    mock_chat_request_free(&req);
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

    mock_serve_request(c, r);
    mock_stats_keep(mock, r);
}


void
mock_serve_refuse(mock_conn_t *c, int status)
{
    mock_buf_t  b, body;

    memset(&b, 0, sizeof(b));
    memset(&body, 0, sizeof(body));
    mock_serve_error(&body, "The mock cannot read this HTTP request.",
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
    mock_record_t   *record;
    mock_request_t  *r;

    r = c->request;
    c->request = NULL;
    c->busy = 1;
    memset(&b, 0, sizeof(b));

    record = mock_stats_open(c->mock, o->id, r->method, r->path, c->number);
    mock_fault_early(&b, o->variant);
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
