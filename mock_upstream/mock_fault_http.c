/*
 * Faults of the connection, the response's head, status, type and framing.
 * Each function writes the bytes that its name promises and no others; the
 * names are those of the table in mock_fault.c.
 */

#include <string.h>

#include "mock_error.h"
#include "mock_fault.h"


static size_t
mock_fault_size(const mock_chat_t *x, size_t otherwise)
{
    return mock_options_given(&x->opt, limit) ? (size_t) x->opt.limit
                                              : otherwise;
}


/* 20 kB in one header, or, with count=N, N short headers. */
void
mock_fault_header_big(mock_chat_t *x)
{
    int64_t  i;

    if (mock_options_given(&x->opt, count)) {
        for (i = 0; i < x->opt.count; i++) {
            mock_buf_fmt(&x->lines, "x-line-%lld: x\r\n", (long long) i);
        }

        return;
    }

    mock_buf_lit(&x->lines, "x-mock-big: ");
    mock_buf_fill(&x->lines, 'b', mock_fault_size(x, 20480));
    mock_buf_lit(&x->lines, "\r\n");
}


/* 1 NUL, 2 bare CR, 3 space before the colon */
void
mock_fault_header_byte(mock_chat_t *x)
{
    switch (x->opt.variant) {

    case 2:
        mock_buf_lit(&x->lines, "x-mock-bad: a\rb\r\n");
        break;

    case 3:
        mock_buf_lit(&x->lines, "x-mock-bad : ab\r\n");
        break;

    default:
        mock_buf_lit(&x->lines, "x-mock-bad: a\0b\r\n");
        break;
    }
}


/* 1 chunked with Content-Length, 2 two Content-Length, 3 "gzip, chunked" */
void
mock_fault_cl_te(mock_chat_t *x)
{
    switch (x->opt.variant) {

    case 2:
        x->framing = MOCK_FRAMING_LENGTH;
        mock_buf_lit(&x->lines, "Content-Length: 7\r\n");
        break;

    case 3:
        x->framing = MOCK_FRAMING_CHUNKED;
        x->coding = "gzip, chunked";
        x->gzip = 1;
        break;

    default:
        x->framing = MOCK_FRAMING_CHUNKED;
        mock_buf_lit(&x->lines, "Content-Length: 7\r\n");
        break;
    }
}


void
mock_fault_interim_100(mock_chat_t *x)
{
    mock_buf_lit(&x->before, "HTTP/1.1 100 Continue\r\n\r\n");
}


/* count=N of them, 1 if not said; with limit= a big one */
void
mock_fault_interim_103(mock_chat_t *x)
{
    int64_t  i, n;

    n = mock_options_given(&x->opt, count) ? x->opt.count : 1;

    for (i = 0; i < n; i++) {
        mock_buf_lit(&x->before, "HTTP/1.1 103 Early Hints\r\n"
                     "Link: </style.css>; rel=preload; as=style\r\n");

        if (mock_options_given(&x->opt, limit)) {
            mock_buf_lit(&x->before, "x-mock-big: ");
            mock_buf_fill(&x->before, 'b', (size_t) x->opt.limit);
            mock_buf_lit(&x->before, "\r\n");
        }

        mock_buf_lit(&x->before, "\r\n");
    }
}


void
mock_fault_x_accel(mock_chat_t *x)
{
    mock_buf_lit(&x->lines, "X-Accel-Redirect: /internal/secret\r\n"
                 "X-Accel-Buffering: yes\r\nX-Accel-Charset: koi8-r\r\n"
                 "X-Accel-Limit-Rate: 10\r\nX-Accel-Expires: 3600\r\n");
}


void
mock_fault_hop_headers(mock_chat_t *x)
{
    mock_buf_lit(&x->lines, "Set-Cookie: session=upstream; Path=/\r\n"
                 "Alt-Svc: h3=\":443\"; ma=86400\r\n"
                 "Strict-Transport-Security: max-age=31536000\r\n"
                 "Access-Control-Allow-Origin: *\r\n"
                 "Access-Control-Allow-Credentials: true\r\n"
                 "x-hop: listed\r\nConnection: x-hop\r\n"
                 "Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n"
                 "Location: https://elsewhere.example/\r\n"
                 "Content-Disposition: attachment\r\n"
                 "openai-processing-ms: 12\r\nretry-after-ms: 7\r\n");
}


void
mock_fault_charset(mock_chat_t *x)
{
    size_t  n;

    n = strcspn(x->type, ";");
    x->scratch2.n = 0;
    mock_buf_fmt(&x->scratch2, "%.*s; charset=utf-16", (int) n, x->type);
    strncpy(x->opt.type, mock_buf_cstr(&x->scratch2),
            sizeof(x->opt.type) - 1);
    x->type = x->opt.type;
}


void
mock_fault_json(mock_chat_t *x)
{
    x->req.stream = 0;
    x->type = mock_error_type(&x->route);

    if (!mock_options_given(&x->opt, framing)) {
        x->framing = MOCK_FRAMING_LENGTH;
    }
}


void
mock_fault_json_as_sse(mock_chat_t *x)
{
    x->req.stream = 0;
    x->type = (const char *) x->route.row->stream_type.p;
}


/* 1 gzip; 2 br and 3 zstd are said but not done; 4 gzip twice */
void
mock_fault_gzip_setup(mock_chat_t *x)
{
    static const char  *names[] = { "gzip", "br", "zstd", "gzip, gzip" };

    x->gzip = x->opt.variant == 4 ? 2 : x->opt.variant == 1;
    mock_buf_fmt(&x->lines, "Content-Encoding: %s\r\n",
                 names[(x->opt.variant - 1) & 3]);

    if (x->framing == MOCK_FRAMING_LENGTH) {
        x->framing = MOCK_FRAMING_CHUNKED;
    }
}


/* 1 bomb, 2 gzip cut in the middle, 3 gzip inside gzip, said once */
void
mock_fault_bomb_setup(mock_chat_t *x)
{
    mock_buf_lit(&x->lines, "Content-Encoding: gzip\r\n");
    x->gzip = x->opt.variant == 3 ? 2 : x->opt.variant == 2;

    if (x->framing == MOCK_FRAMING_LENGTH) {
        x->framing = MOCK_FRAMING_CHUNKED;
    }

    if (x->opt.variant == 2 && !mock_options_given(&x->opt, at)) {
        (void) mock_options_set(&x->opt, "at", 2, "3", 1, &x->scratch);
    }
}


mock_verdict_t
mock_fault_bomb(mock_chat_t *x)
{
    size_t  n;

    if (x->opt.variant == 3) {
        return MOCK_VERDICT_GO;
    }

    if (x->opt.variant == 2) {
        x->gzip = 0;
        return MOCK_VERDICT_TAIL;
    }

    if (x->pos == 0) {
        mock_gzip_bomb(&x->event);
        mock_chat_body(x, x->event.p, x->event.n);
        x->pos = mock_fault_size(x, (size_t) 1 << 30) / MOCK_GZIP_BOMB_RATIO
                 + 1;
        return MOCK_VERDICT_AGAIN;
    }

    n = x->pos - 1 < 16384 ? (size_t) x->pos - 1 : 16384;
    x->event.n = 0;
    mock_buf_fill(&x->event, 0, n);
    mock_chat_body(x, x->event.p, n);
    x->pos -= n;

    return x->pos > 1 ? MOCK_VERDICT_AGAIN : MOCK_VERDICT_TAIL;
}


void
mock_fault_chunked(mock_chat_t *x)
{
    x->framing = MOCK_FRAMING_CHUNKED;
    x->minor = 1;
}


void
mock_fault_delimited(mock_chat_t *x)
{
    x->framing = MOCK_FRAMING_CLOSE;
    x->close = 1;
}


void
mock_fault_http10(mock_chat_t *x)
{
    mock_fault_delimited(x);
    x->minor = 0;
}


void
mock_fault_close(mock_chat_t *x)
{
    x->close = 1;
}


void
mock_fault_length_big(mock_chat_t *x)
{
    x->framing = MOCK_FRAMING_LENGTH;
    x->more = (int64_t) mock_fault_size(x, 100);
}


void
mock_fault_length_small(mock_chat_t *x)
{
    x->framing = MOCK_FRAMING_LENGTH;
    x->more = -(int64_t) mock_fault_size(x, 10);
}


mock_verdict_t
mock_fault_reset(mock_chat_t *x)
{
    (void) x;

    return MOCK_VERDICT_RESET;
}


mock_verdict_t
mock_fault_fin(mock_chat_t *x)
{
    (void) x;

    return MOCK_VERDICT_FIN;
}


mock_verdict_t
mock_fault_half(mock_chat_t *x)
{
    (void) x;

    return MOCK_VERDICT_HALF;
}


mock_verdict_t
mock_fault_stall(mock_chat_t *x)
{
    (void) x;

    return MOCK_VERDICT_STALL;
}


mock_verdict_t
mock_fault_tail(mock_chat_t *x)
{
    (void) x;

    return MOCK_VERDICT_TAIL;
}


mock_verdict_t
mock_fault_stall_head(mock_chat_t *x)
{
    mock_chat_head(x);

    return MOCK_VERDICT_STALL;
}


/* The first request of a connection is served, a later one finds it closed
 * (variant 1: FIN, 2: RST). */
mock_verdict_t
mock_fault_stale(mock_chat_t *x)
{
    if (x->reused == 0) {
        return MOCK_VERDICT_GO;
    }

    return x->opt.variant == 2 ? MOCK_VERDICT_RESET : MOCK_VERDICT_FIN;
}


/* byte=N bytes of the head, else up to the middle of a name. */
mock_verdict_t
mock_fault_fin_in_head(mock_chat_t *x)
{
    mock_buf_t  *out;

    out = &x->answer->out;
    mock_chat_head(x);
    x->pos = mock_options_given(&x->opt, byte) ? (uint64_t) x->opt.byte : 42;

    if (x->pos < out->n) {
        out->n = (size_t) x->pos;
    }

    return MOCK_VERDICT_FIN;
}


mock_verdict_t
mock_fault_not_http(mock_chat_t *x)
{
    mock_buf_lit(&x->answer->out, "220 mock.example ESMTP ready\r\n"
                 "data: {\"choices\":[]}\n\n");

    return MOCK_VERDICT_FIN;
}


void
mock_fault_early(mock_buf_t *b, const mock_route_t *route, int64_t variant)
{
    mock_buf_t  body;

    memset(&body, 0, sizeof(body));
    mock_error_status(route, &body, variant == 2 ? 400 : 413, -1);
    mock_http_answer(b, variant == 2 ? 400 : 413, mock_error_type(route),
                     NULL, 0, body.p, body.n);
    mock_buf_free(&body);
}


/* The body had come already when the fault was known (model name). */
mock_verdict_t
mock_fault_early_late(mock_chat_t *x)
{
    mock_fault_early(&x->answer->out, &x->route, x->opt.variant);
    x->close = 1;

    return MOCK_VERDICT_DONE;
}


mock_verdict_t
mock_fault_101(mock_chat_t *x)
{
    mock_buf_lit(&x->answer->out, "HTTP/1.1 101 Switching Protocols\r\n"
                 "Upgrade: mock\r\nConnection: Upgrade\r\n\r\n"
                 "raw bytes of another protocol\n");

    return MOCK_VERDICT_STALL;
}


/* s204-empty: 1 204, 2 200 with length 0, 3 200 and no chunk. */
static mock_verdict_t
mock_fault_empty(mock_chat_t *x)
{
    if (x->opt.variant == 3) {
        mock_fault_chunked(x);
        x->coding = "chunked";
        mock_chat_head(x);
        return MOCK_VERDICT_TAIL;
    }

    return mock_chat_respond(x, x->opt.variant == 2 ? 200 : 204,
                             x->type, NULL, "", 0);
}


typedef struct {
    const char  *name;
    int          status[4];     /* by variant */
    int64_t      retry;         /* milliseconds, -1: not said */
    const char  *lines;
} mock_fault_row_t;


static const mock_fault_row_t *
mock_fault_row(const char *name)
{
    size_t  i;

    static const mock_fault_row_t  rows[] = {
        { "s204-empty", { 204, 204, 204, 204 }, -1, "" },
        { "s429", { 429, 429, 429, 429 }, 2000, "retry-after-ms: 1500\r\n" },
        { "s401", { 401, 403, 401, 403 }, -1,
          "WWW-Authenticate: Bearer realm=\"mock\"\r\n" },
        { "s400", { 400, 404, 413, 422 }, -1, "" },
        { "s5xx", { 500, 502, 503, 500 }, -1, "" },
        { "s529", { 529, 529, 529, 529 }, -1, "" },
        { "s3xx", { 302, 301, 307, 308 }, -1,
          "Location: http://elsewhere.example/v1/chat/completions\r\n" }
    };

    for (i = 1; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }

    return &rows[0];
}


/* The header lines; retry: what the body says too. */
static void
mock_fault_lines(mock_chat_t *x, const mock_fault_row_t *row, int status,
    mock_buf_t *lines, int64_t *retry)
{
    *retry = row->retry;

    if (mock_options_given(&x->opt, retry_after)) {
        *retry = x->opt.retry_after * 1000;
    }

    if (*retry >= 0) {
        mock_error_retry(&x->route, lines, *retry);
    }

    /* those of a row with a time say it too: only where headers say it, and
     * only the row's own */
    if (row->retry < 0 ? *retry < 0 : *retry == row->retry && lines->n) {
        mock_buf_str(lines, row->lines);
    }

    mock_buf_fmt(lines, "x-should-retry: %s\r\n", x->opt.should_retry[0]
                 ? x->opt.should_retry : status >= 429 ? "true" : "false");
}


/* s429, s401 (403), s400 (404, 413, 422), s5xx (500, 502, 503), s529, s3xx:
 * the numbers by variant, or any with status= */
mock_verdict_t
mock_fault_status(mock_chat_t *x)
{
    int                      status;
    int64_t                  retry;
    mock_buf_t               body, lines;
    mock_verdict_t           rc;
    const mock_fault_row_t  *row;

    row = mock_fault_row(x->fault->name);

    if (row->status[0] == 204) {
        return mock_fault_empty(x);
    }

    status = x->opt.status ? (int) x->opt.status
                           : row->status[(x->opt.variant - 1) & 3];
    memset(&body, 0, sizeof(body));
    memset(&lines, 0, sizeof(lines));
    mock_fault_lines(x, row, status, &lines, &retry);

    if (row->status[0] == 401) {
        status = mock_error_key(&x->route, &body, status, x->key);
    } else {
        mock_error_status(&x->route, &body, status, retry);
    }

    rc = mock_chat_respond(x, status, mock_error_type(&x->route),
                           mock_buf_cstr(&lines), body.p, body.n);
    mock_buf_free(&body);
    mock_buf_free(&lines);

    return rc;
}


mock_verdict_t
mock_fault_html(mock_chat_t *x)
{
    static const char  page[] = "<!DOCTYPE html>\n<html><head><title>Sign "
        "in</title></head>\n<body><h1>Welcome</h1></body></html>\n";

    return mock_chat_respond(x, 200, "text/html; charset=utf-8", NULL, page,
                             sizeof(page) - 1);
}


/* Event k with its chunk's size, then only the first n bytes of it. */
static mock_verdict_t
mock_fault_partial(mock_chat_t *x, size_t n)
{
    mock_buf_t  *out;

    out = &x->answer->out;

    if (x->framing == MOCK_FRAMING_CHUNKED) {
        mock_http_chunk(out, x->event.n);
    }

    mock_buf_add(out, x->event.p, n < x->event.n ? n : x->event.n);

    return x->framing == MOCK_FRAMING_CLOSE ? MOCK_VERDICT_FIN
                                            : MOCK_VERDICT_RESET;
}


/* byte=N bytes of the event, else half of it; then RST, or FIN when the
 * body ends with the connection */
mock_verdict_t
mock_fault_mid_event(mock_chat_t *x)
{
    mock_chat_build(x, x->k);

    return mock_fault_partial(x, mock_options_given(&x->opt, byte)
                              ? x->event_at + (size_t) x->opt.byte
                              : x->event.n / 2);
}


/* An event whose text ends in U+1F600; byte=1..3 of its four bytes. */
mock_verdict_t
mock_fault_mid_utf8(mock_chat_t *x)
{
    size_t                n;
    const unsigned char  *p;
    static const char     text[] = " na\xc3\xafve \xf0\x9f\x98\x80";

    mock_chat_say(x, 0, text, sizeof(text) - 1);
    p = memchr(x->event.p, 0xf0, x->event.n);
    n = p ? (size_t) (p - x->event.p) : 0;

    return mock_fault_partial(x, n + (mock_options_given(&x->opt, byte)
                                      ? (size_t) x->opt.byte : 2));
}


/* 1 "zz", 2 bare LF, 3 bad extension, 4 no CRLF after the data */
mock_verdict_t
mock_fault_chunk_size(mock_chat_t *x)
{
    mock_buf_t  *out;

    out = &x->answer->out;
    mock_chat_build(x, x->k);

    switch (x->opt.variant) {

    case 2:
        mock_buf_hex(out, x->event.n);
        mock_buf_lit(out, "\n");
        break;

    case 3:
        mock_buf_hex(out, x->event.n);
        mock_buf_lit(out, " \x01;=\r\n");
        break;

    case 4:
        mock_http_chunk(out, x->event.n);
        break;

    default:
        mock_buf_lit(out, "zz\r\n");
        break;
    }

    mock_buf_add(out, x->event.p, x->event.n);
    mock_buf_str(out, x->opt.variant == 4 ? "" : "\r\n");
    x->answer->events++;

    return MOCK_VERDICT_SKIP;
}


/* 1 ffffffffffffffff, 2 7fffffffffffffff, 3 one digit too many */
mock_verdict_t
mock_fault_chunk_overflow(mock_chat_t *x)
{
    static const char  *sizes[] = {
        "ffffffffffffffff", "7fffffffffffffff", "10000000000000000"
    };

    mock_chat_build(x, x->k);
    mock_buf_fmt(&x->answer->out, "%s\r\n",
                 sizes[(x->opt.variant - 1) % 3]);
    mock_buf_add(&x->answer->out, x->event.p, x->event.n);
    mock_buf_lit(&x->answer->out, "\r\n");
    x->answer->events++;

    return MOCK_VERDICT_SKIP;
}


mock_verdict_t
mock_fault_chunk_extension(mock_chat_t *x)
{
    mock_buf_t  *out;

    out = &x->answer->out;
    mock_chat_build(x, x->k);
    mock_buf_hex(out, x->event.n);
    mock_buf_lit(out, ";mock=");
    mock_buf_fill(out, 'e', mock_fault_size(x, 1 << 20));
    mock_buf_lit(out, "\r\n");
    mock_buf_add(out, x->event.p, x->event.n);
    mock_buf_lit(out, "\r\n");
    x->answer->events++;

    return MOCK_VERDICT_SKIP;
}


mock_verdict_t
mock_fault_data_after(mock_chat_t *x)
{
    static const char  body[] = "data: {\"choices\":[{\"index\":0,\"delta\":"
        "{\"content\":\"smuggled\"},\"finish_reason\":null}]}\n\n";

    mock_chat_tail(x);
    mock_http_answer(&x->answer->out, 200, x->type, NULL, 1, body,
                     sizeof(body) - 1);

    return MOCK_VERDICT_DONE;
}


mock_verdict_t
mock_fault_trailers(mock_chat_t *x)
{
    mock_buf_t  *out;

    out = &x->answer->out;
    mock_buf_lit(out, "0\r\nx-mock-trailer: yes\r\n");

    if (mock_options_given(&x->opt, limit)) {
        mock_buf_lit(out, "x-mock-big: ");
        mock_buf_fill(out, 'b', (size_t) x->opt.limit);
        mock_buf_lit(out, "\r\n");
    }

    mock_buf_lit(out, "Content-Length: 5\r\nSet-Cookie: trailer=1\r\n\r\n");

    return MOCK_VERDICT_DONE;
}
