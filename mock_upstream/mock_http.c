/*
 * HTTP/1.x requests: head, Content-Length and chunked bodies, split at any
 * byte.  It owns the request's memory.  It reads what nginx or a test sends
 * and is strict where a difference could hide a fault of the module (sizes,
 * line ends of the head); it never writes to a connection.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "mock_http.h"


enum {
    MOCK_HTTP_IN_HEAD = 0,
    MOCK_HTTP_IN_BODY,
    MOCK_HTTP_IN_SIZE,      /* chunk size line */
    MOCK_HTTP_IN_CHUNK,
    MOCK_HTTP_IN_CRLF,      /* after a chunk */
    MOCK_HTTP_IN_TRAILER,
    MOCK_HTTP_COMPLETE
};


mock_request_t *
mock_http_request(void)
{
    return mock_zalloc(sizeof(mock_request_t));
}


void
mock_http_free(mock_request_t *r)
{
    mock_buf_free(&r->head);
    mock_buf_free(&r->body);
    free(r->headers);
    free(r);
}


const char *
mock_http_header(const mock_request_t *r, const char *name)
{
    size_t  i;

    for (i = 0; i < r->nheaders; i++) {
        if (strcasecmp(r->headers[i].name, name) == 0) {
            return r->headers[i].value;
        }
    }

    return NULL;
}


/* "POST /path?query HTTP/1.1": cuts the line into its parts. */
static int
mock_http_request_line(mock_request_t *r, char *line)
{
    char  *target, *version;

    target = strchr(line, ' ');
    if (target == NULL || target == line) {
        return -1;
    }

    *target++ = '\0';

    version = strchr(target, ' ');
    if (version == NULL || version == target) {
        return -1;
    }

    *version++ = '\0';

    if (strcmp(version, "HTTP/1.1") == 0) {
        r->minor = 1;

    } else if (strcmp(version, "HTTP/1.0") == 0) {
        r->minor = 0;

    } else {
        return -1;
    }

    r->method = line;
    r->path = target;
    r->query = strchr(target, '?');

    if (r->query) {
        *r->query++ = '\0';
    } else {
        r->query = version + strlen(version);
    }

    return 0;
}


static int
mock_http_header_line(mock_request_t *r, char *line)
{
    char  *value, *end;

    value = strchr(line, ':');
    if (value == NULL || value == line || value[-1] == ' '
        || value[-1] == '\t')
    {
        return -1;
    }

    *value++ = '\0';
    value += strspn(value, " \t");

    for (end = value + strlen(value); end > value; end--) {
        if (end[-1] != ' ' && end[-1] != '\t') {
            break;
        }
    }

    *end = '\0';

    if ((r->nheaders & (r->nheaders - 1)) == 0) {
        r->headers = mock_resize(r->headers, (r->nheaders ? 2 * r->nheaders
                                              : 1) * sizeof(*r->headers));
    }

    r->headers[r->nheaders].name = line;
    r->headers[r->nheaders].value = value;
    r->nheaders++;

    return 0;
}


/* What the headers say about the body and the connection. */
static int
mock_http_framing(mock_request_t *r)
{
    char        *end;
    const char  *length, *coding, *v;

    length = mock_http_header(r, "Content-Length");
    coding = mock_http_header(r, "Transfer-Encoding");
    r->state = MOCK_HTTP_COMPLETE;

    if (coding) {
        if (length || strcasecmp(coding, "chunked") != 0) {
            return 400;
        }

        r->state = MOCK_HTTP_IN_SIZE;

    } else if (length) {
        if (*length < '0' || *length > '9') {
            return 400;
        }

        r->left = strtoull(length, &end, 10);
        if (*end) {
            return 400;
        }

        if (r->left > MOCK_HTTP_BODY_MAX) {
            return 413;
        }

        r->state = r->left ? MOCK_HTTP_IN_BODY : MOCK_HTTP_COMPLETE;
    }

    v = mock_http_header(r, "Connection");
    r->keepalive = r->minor;

    if (v && strcasecmp(v, "close") == 0) {
        r->keepalive = 0;

    } else if (v && strcasecmp(v, "keep-alive") == 0) {
        r->keepalive = 1;
    }

    v = mock_http_header(r, "Expect");
    r->expect = v && strcasecmp(v, "100-continue") == 0 && r->minor;

    return MOCK_HTTP_HEAD;
}


/* The head lies whole in r->head: cuts it into lines. */
static int
mock_http_head(mock_request_t *r)
{
    char   *line, *end;
    size_t  i;

    if (memchr(r->head.p, '\0', r->head.n) != NULL) {
        return 400;
    }

    line = (char *) r->head.p;
    r->head.p[r->head.n - 2] = '\0';

    for (i = 0; *line; i++) {
        end = strstr(line, "\r\n");
        if (end == NULL) {
            return 400;
        }

        *end = '\0';

        if (memchr(line, '\r', (size_t) (end - line))
            || memchr(line, '\n', (size_t) (end - line)))
        {
            return 400;
        }

        if ((i == 0 ? mock_http_request_line(r, line)
                    : mock_http_header_line(r, line))
            != 0)
        {
            return 400;
        }

        line = end + 2;
    }

    return i ? mock_http_framing(r) : 400;
}


static int
mock_http_read_head(mock_request_t *r, struct evbuffer *in)
{
    size_t               n;
    struct evbuffer_ptr  from, at;

    n = evbuffer_get_length(in);

    /* empty lines before a request are allowed (RFC 9112, 2.2) */
    while (r->scanned == 0 && n >= 2) {
        at = evbuffer_search(in, "\r\n", 2, NULL);
        if (at.pos != 0) {
            break;
        }

        evbuffer_drain(in, 2);
        n -= 2;
    }

    if (n < 4) {
        return MOCK_HTTP_AGAIN;
    }

    evbuffer_ptr_set(in, &from, r->scanned, EVBUFFER_PTR_SET);
    at = evbuffer_search(in, "\r\n\r\n", 4, &from);

    if (at.pos == -1) {
        r->scanned = n - 3;
        return n > MOCK_HTTP_HEAD_MAX ? 431 : MOCK_HTTP_AGAIN;
    }

    n = (size_t) at.pos + 4;
    mock_buf_reserve(&r->head, n);
    evbuffer_remove(in, r->head.p, n);
    r->head.n = n;

    return mock_http_head(r);
}


/* Moves up to r->left bytes into the body. */
static void
mock_http_take(mock_request_t *r, struct evbuffer *in)
{
    size_t  n;

    n = evbuffer_get_length(in);

    if (n > r->left) {
        n = r->left;
    }

    if (n == 0) {
        return;
    }

    mock_buf_reserve(&r->body, n);
    evbuffer_remove(in, r->body.p + r->body.n, n);
    r->body.n += n;
    r->left -= n;
}


/* A line of the chunked coding; NULL: not whole yet.  The caller frees it. */
static char *
mock_http_line(struct evbuffer *in, int *rc)
{
    char  *line;

    line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF_STRICT);

    *rc = MOCK_HTTP_AGAIN;

    if (line == NULL && evbuffer_get_length(in) > 8192) {
        *rc = 400;
    }

    return line;
}


static int
mock_http_read_size(mock_request_t *r, struct evbuffer *in)
{
    int    rc;
    char  *line, *end;

    line = mock_http_line(in, &rc);
    if (line == NULL) {
        return rc;
    }

    if (strspn(line, "0123456789abcdefABCDEF") == 0) {
        free(line);
        return 400;
    }

    r->left = strtoull(line, &end, 16);

    if (*end != '\0' && *end != ';') {
        free(line);
        return 400;
    }

    free(line);

    if (r->left > MOCK_HTTP_BODY_MAX
        || r->left + r->body.n > MOCK_HTTP_BODY_MAX)
    {
        return 413;
    }

    r->state = r->left ? MOCK_HTTP_IN_CHUNK : MOCK_HTTP_IN_TRAILER;

    return MOCK_HTTP_DONE;
}


static int
mock_http_read_line(mock_request_t *r, struct evbuffer *in)
{
    int       rc;
    char     *line;
    unsigned  empty;

    line = mock_http_line(in, &rc);
    if (line == NULL) {
        return rc;
    }

    empty = *line == '\0';
    free(line);

    if (r->state == MOCK_HTTP_IN_CRLF) {
        r->state = MOCK_HTTP_IN_SIZE;
        return empty ? MOCK_HTTP_DONE : 400;
    }

    if (empty) {
        r->state = MOCK_HTTP_COMPLETE;
    }

    return MOCK_HTTP_DONE;
}


int
mock_http_read(mock_request_t *r, struct evbuffer *in)
{
    int  rc;

    for ( ;; ) {

        switch (r->state) {

        case MOCK_HTTP_IN_HEAD:
            return mock_http_read_head(r, in);

        case MOCK_HTTP_IN_BODY:
        case MOCK_HTTP_IN_CHUNK:
            mock_http_take(r, in);

            if (r->left) {
                return MOCK_HTTP_AGAIN;
            }

            r->state = r->state == MOCK_HTTP_IN_BODY ? MOCK_HTTP_COMPLETE
                                                     : MOCK_HTTP_IN_CRLF;
            break;

        case MOCK_HTTP_IN_SIZE:
            rc = mock_http_read_size(r, in);
            if (rc != MOCK_HTTP_DONE) {
                return rc;
            }
            break;

        case MOCK_HTTP_COMPLETE:
            return MOCK_HTTP_DONE;

        default:
            rc = mock_http_read_line(r, in);
            if (rc != MOCK_HTTP_DONE) {
                return rc;
            }
            break;
        }
    }
}


int
mock_http_field(const char *fields, const char *name, char *dst,
    size_t size)
{
    int          hex;
    size_t       n, i;
    const char  *p;

    n = strlen(name);

    for (p = fields; p && *p; p = strchr(p, '&'), p = p ? p + 1 : NULL) {
        if (strncmp(p, name, n) != 0 || p[n] != '=') {
            continue;
        }

        for (p += n + 1, i = 0; *p && *p != '&' && i + 1 < size; p++) {
            dst[i] = *p == '+' ? ' ' : *p;

            if (*p == '%' && p[1] && p[2]) {
                hex = (int) strtol((char[3]) { p[1], p[2], 0 }, NULL, 16);
                dst[i] = (char) hex;
                p += 2;
            }

            i++;
        }

        dst[i] = '\0';
        return 1;
    }

    dst[0] = '\0';
    return 0;
}


int
mock_http_arg(const mock_request_t *r, const char *name, char *dst,
    size_t size)
{
    return mock_http_field(r->query, name, dst, size);
}


void
mock_http_key(const mock_request_t *r, char *dst, size_t size)
{
    size_t       i;
    const char  *key;

    static const char  *headers[] = {
        "x-api-key", "api-key", "x-goog-api-key"
    };

    key = mock_http_header(r, "Authorization");
    key = key && strncmp(key, "Bearer ", 7) == 0 ? key + 7 : NULL;

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]) && !key; i++) {
        key = mock_http_header(r, headers[i]);
    }

    if (key) {
        (void) snprintf(dst, size, "%s", key);
    } else {
        (void) mock_http_arg(r, "key", dst, size);
    }
}


void
mock_http_seal(mock_request_t *r, size_t max)
{
    unsigned       i, n;
    unsigned char  md[EVP_MAX_MD_SIZE];

    n = 0;
    r->body_length = r->body.n;

    if (EVP_Digest(r->body.n ? (const void *) r->body.p : "", r->body.n, md,
                   &n, EVP_sha256(), NULL)
        != 1)
    {
        n = 0;
    }

    for (i = 0; i < n && i < 32; i++) {
        r->sha256[2 * i] = "0123456789abcdef"[md[i] >> 4];
        r->sha256[2 * i + 1] = "0123456789abcdef"[md[i] & 15];
    }

    if (r->body.n > max) {
        r->body.p = mock_resize(r->body.p, max);
        r->body.n = max;
        r->body.cap = max;
    }
}


static void
mock_http_member(mock_buf_t *b, const char *name, const char *value)
{
    mock_buf_fmt(b, "\"%s\":\"", name);
    mock_buf_json(b, value, strlen(value));
    mock_buf_lit(b, "\",");
}


void
mock_http_json(const mock_request_t *r, mock_buf_t *b)
{
    size_t  i;

    mock_buf_lit(b, "{");
    mock_http_member(b, "method", r->method);
    mock_http_member(b, "path", r->path);
    mock_http_member(b, "query", r->query);
    mock_buf_fmt(b, "\"version\":\"1.%u\",\"headers\":[", r->minor);

    for (i = 0; i < r->nheaders; i++) {
        mock_buf_str(b, i ? ",[\"" : "[\"");
        mock_buf_json(b, r->headers[i].name, strlen(r->headers[i].name));
        mock_buf_lit(b, "\",\"");
        mock_buf_json(b, r->headers[i].value, strlen(r->headers[i].value));
        mock_buf_lit(b, "\"]");
    }

    mock_buf_fmt(b, "],\"connection\":%llu,\"body_length\":%llu,",
                 (unsigned long long) r->connection,
                 (unsigned long long) r->body_length);
    mock_http_member(b, "body_sha256", r->sha256);

    if (r->sni[0]) {
        mock_http_member(b, "sni", r->sni);
    } else {
        mock_buf_lit(b, "\"sni\":null,");
    }

    mock_buf_lit(b, "\"body\":\"");
    mock_buf_json(b, r->body.p, r->body.n);
    mock_buf_lit(b, "\"}");
}


const char *
mock_http_reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 302: return "Found";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 529: return "Overloaded";
    default: return "Status";
    }
}


void
mock_http_status(mock_buf_t *b, unsigned minor, int status)
{
    mock_buf_fmt(b, "HTTP/1.%u %03d %s\r\nServer: llm-mock\r\n", minor,
                 status, mock_http_reason(status));
}


void
mock_http_answer(mock_buf_t *b, int status, const char *type,
    const char *lines, int keepalive, const void *body, size_t n)
{
    mock_http_status(b, 1, status);
    mock_buf_fmt(b, "Content-Type: %s\r\nContent-Length: %llu\r\n"
                 "Connection: %s\r\n%s\r\n", type, (unsigned long long) n,
                 keepalive ? "keep-alive" : "close", lines ? lines : "");
    mock_buf_add(b, body, n);
}


void
mock_http_chunk(mock_buf_t *b, size_t n)
{
    mock_buf_hex(b, n);
    mock_buf_lit(b, "\r\n");
}
