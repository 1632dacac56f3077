/*
 * The HTTP/1.1 response parser.  It owns a line that was cut; it must never
 * know what the body is.
 */

#include <strings.h>

#include "bench_http.h"
#include "bench_memory.h"


enum {
    BENCH_HTTP_STATUS = 0,
    BENCH_HTTP_FIELDS,
    BENCH_HTTP_LENGTH,          /* body: so many bytes */
    BENCH_HTTP_CLOSE,           /* body: until the connection is closed */
    BENCH_HTTP_SIZE,            /* body: the line of a chunk's size */
    BENCH_HTTP_CHUNK,
    BENCH_HTTP_CHUNK_END,
    BENCH_HTTP_TRAILERS,
    BENCH_HTTP_OVER
};


void
bench_http_begin(bench_http_t *h)
{
    llm_block_t  line;

    line = h->line;
    memset(h, 0, sizeof(bench_http_t));
    h->line = line;
    h->line.n = 0;
}


void
bench_http_free(bench_http_t *h)
{
    llm_block_free(&h->line, &bench_allocator);
}


static bench_http_rc_t
bench_http_fail(bench_http_t *h, const char *wrong)
{
    h->wrong = wrong;
    h->keep = 0;

    return BENCH_HTTP_WRONG;
}


/*
 * The next line, without its CRLF.  DATA: *line is it, and lives until the
 * next call; AGAIN; WRONG.
 */
static bench_http_rc_t
bench_http_line(bench_http_t *h, const llm_u8 **p, const llm_u8 *end,
    llm_slice_t *line)
{
    size_t         n;
    const llm_u8  *lf;

    lf = memchr(*p, '\n', (size_t) (end - *p));
    n = (size_t) ((lf != NULL ? lf + 1 : end) - *p);

    if (h->line.n + n > BENCH_HTTP_LINE) {
        return bench_http_fail(h, "bad HTTP: a line is too long");
    }

    if (lf == NULL || h->line.n != 0) {
        (void) llm_block_append(&h->line, &bench_allocator, *p, n);
        line->p = h->line.p;
        line->n = h->line.n;

    } else {
        line->p = *p;
        line->n = n;
    }

    *p += n;

    if (lf == NULL) {
        return BENCH_HTTP_AGAIN;
    }

    h->line.n = 0;

    if (line->n < 2 || line->p[line->n - 2] != '\r') {
        return bench_http_fail(h, "bad HTTP: a line without CR");
    }

    line->n -= 2;

    if (memchr(line->p, '\r', line->n) || memchr(line->p, '\0', line->n)) {
        return bench_http_fail(h, "bad HTTP: a control character");
    }

    return BENCH_HTTP_DATA;
}


static bench_http_rc_t
bench_http_status(bench_http_t *h, const llm_slice_t *line)
{
    size_t         i;
    const llm_u8  *p;

    p = line->p;

    if (line->n < 12 || memcmp(p, "HTTP/1.", 7) != 0
        || (p[7] != '0' && p[7] != '1') || p[8] != ' '
        || (line->n > 12 && p[12] != ' '))
    {
        return bench_http_fail(h, "bad HTTP: no status line");
    }

    h->old = p[7] == '0';
    h->code = 0;

    for (i = 9; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return bench_http_fail(h, "bad HTTP: no status line");
        }

        h->code = h->code * 10 + (unsigned) (p[i] - '0');
    }

    h->state = BENCH_HTTP_FIELDS;

    return BENCH_HTTP_DATA;
}


static int
bench_http_is(const llm_slice_t *s, const char *lower)
{
    return s->n == strlen(lower)
           && strncasecmp((const char *) s->p, lower, s->n) == 0;
}


static bench_http_rc_t
bench_http_length(bench_http_t *h, const llm_slice_t *value)
{
    size_t    i;
    uint64_t  n;

    n = 0;

    for (i = 0; i < value->n; i++) {
        if (value->p[i] < '0' || value->p[i] > '9' || n > INT64_MAX / 10 - 9) {
            break;
        }

        n = n * 10 + (uint64_t) (value->p[i] - '0');
    }

    if (i < value->n || i == 0 || (h->has_length && n != h->left)) {
        return bench_http_fail(h, "bad HTTP: Content-Length");
    }

    h->has_length = 1;
    h->left = n;

    return BENCH_HTTP_DATA;
}


static bench_http_rc_t
bench_http_field(bench_http_t *h, const llm_slice_t *line)
{
    llm_slice_t    name, value;
    const llm_u8  *colon;

    colon = memchr(line->p, ':', line->n);

    name = llm_slice_null;
    value = llm_slice_null;

    name.p = line->p;
    name.n = colon != NULL ? (size_t) (colon - line->p) : 0;

    if (name.n == 0 || memchr(name.p, ' ', name.n)
        || memchr(name.p, '\t', name.n))
    {
        return bench_http_fail(h, "bad HTTP: a header field");
    }

    value.p = colon + 1;
    value.n = line->n - name.n - 1;

    while (value.n != 0 && (*value.p == ' ' || *value.p == '\t')) {
        value.p++;
        value.n--;
    }

    while (value.n != 0 && (value.p[value.n - 1] == ' '
                            || value.p[value.n - 1] == '\t'))
    {
        value.n--;
    }

    if (bench_http_is(&name, "content-length")) {
        return bench_http_length(h, &value);
    }

    if (bench_http_is(&name, "transfer-encoding")) {
        if (h->chunked || !bench_http_is(&value, "chunked")) {
            return bench_http_fail(h, "bad HTTP: Transfer-Encoding");
        }

        h->chunked = 1;
    }

    if (bench_http_is(&name, "content-encoding")
        && !bench_http_is(&value, "identity"))
    {
        return bench_http_fail(h, "the body is encoded");
    }

    if (bench_http_is(&name, "connection")) {
        h->asks_close |= bench_http_is(&value, "close");
        h->asks_keep |= bench_http_is(&value, "keep-alive");
    }

    return BENCH_HTTP_DATA;
}


static bench_http_rc_t
bench_http_over(bench_http_t *h)
{
    h->state = BENCH_HTTP_OVER;

    return BENCH_HTTP_DONE;
}


/* The head is complete: DATA, the body follows; DONE, there is none. */
static bench_http_rc_t
bench_http_body(bench_http_t *h)
{
    if (h->code < 200) {
        if (h->code == 101 || h->code < 100
            || ++h->interim > BENCH_HTTP_INTERIM)
        {
            return bench_http_fail(h, "bad HTTP: an interim response");
        }

        h->chunked = 0;
        h->has_length = 0;
        h->state = BENCH_HTTP_STATUS;

        return BENCH_HTTP_DATA;
    }

    if (h->chunked && h->has_length) {
        return bench_http_fail(h, "bad HTTP: chunked and Content-Length");
    }

    h->status = h->code;
    h->keep = !h->asks_close && (!h->old || h->asks_keep);

    if (h->status == 204 || h->status == 304
        || (h->has_length && h->left == 0))
    {
        return bench_http_over(h);
    }

    if (h->chunked) {
        h->state = BENCH_HTTP_SIZE;

    } else if (h->has_length) {
        h->state = BENCH_HTTP_LENGTH;

    } else {
        h->keep = 0;
        h->state = BENCH_HTTP_CLOSE;
    }

    return BENCH_HTTP_DATA;
}


static bench_http_rc_t
bench_http_size(bench_http_t *h, const llm_slice_t *line)
{
    size_t    i;
    unsigned  digit, letter;
    uint64_t  n;

    n = 0;

    for (i = 0; i < line->n; i++) {
        digit = (unsigned) line->p[i] - '0';
        letter = (unsigned) (line->p[i] | 0x20) - 'a';

        if (digit > 9) {
            if (letter > 5) {
                break;
            }

            digit = letter + 10;
        }

        if (n > INT64_MAX >> 4) {
            return bench_http_fail(h, "bad HTTP: a chunk's size");
        }

        n = n << 4 | digit;
    }

    if (i == 0 || (i < line->n && line->p[i] != ';' && line->p[i] != ' '
                   && line->p[i] != '\t'))
    {
        return bench_http_fail(h, "bad HTTP: a chunk's size");
    }

    h->left = n;
    h->head = 0;
    h->state = n != 0 ? BENCH_HTTP_CHUNK : BENCH_HTTP_TRAILERS;

    return BENCH_HTTP_DATA;
}


/* What a line means depends on where it is. */
static bench_http_rc_t
bench_http_take_line(bench_http_t *h, const llm_slice_t *line)
{
    h->head += line->n;

    if (h->head > BENCH_HTTP_LINE) {
        return bench_http_fail(h, "bad HTTP: a head is too large");
    }

    switch (h->state) {

    case BENCH_HTTP_STATUS:
        return bench_http_status(h, line);

    case BENCH_HTTP_FIELDS:
        return line->n != 0 ? bench_http_field(h, line) : bench_http_body(h);

    case BENCH_HTTP_SIZE:
        return bench_http_size(h, line);

    case BENCH_HTTP_CHUNK_END:
        if (line->n != 0) {
            return bench_http_fail(h, "bad HTTP: no end of a chunk");
        }

        h->head = 0;
        h->state = BENCH_HTTP_SIZE;

        return BENCH_HTTP_DATA;

    default:
        return line->n != 0 ? BENCH_HTTP_DATA : bench_http_over(h);
    }
}


static bench_http_rc_t
bench_http_data(bench_http_t *h, const llm_u8 **p, const llm_u8 *end,
    llm_slice_t *data)
{
    size_t  n;

    n = (size_t) (end - *p);

    if (h->state != BENCH_HTTP_CLOSE && n > h->left) {
        n = (size_t) h->left;
    }

    data->p = *p;
    data->n = n;
    data->escaped = 0;
    *p += n;

    if (h->state != BENCH_HTTP_CLOSE) {
        h->left -= n;
    }

    if (h->left == 0 && h->state == BENCH_HTTP_CHUNK) {
        h->state = BENCH_HTTP_CHUNK_END;
    }

    return BENCH_HTTP_DATA;
}


bench_http_rc_t
bench_http_next(bench_http_t *h, const llm_u8 **p, const llm_u8 *end,
    llm_slice_t *data)
{
    llm_slice_t      line;
    bench_http_rc_t  rc;

    if (h->wrong != NULL) {
        return BENCH_HTTP_WRONG;
    }

    if (h->state == BENCH_HTTP_LENGTH && h->left == 0) {
        return bench_http_over(h);
    }

    while (*p < end && h->state != BENCH_HTTP_OVER) {

        if (h->state == BENCH_HTTP_LENGTH || h->state == BENCH_HTTP_CLOSE
            || h->state == BENCH_HTTP_CHUNK)
        {
            return bench_http_data(h, p, end, data);
        }

        rc = bench_http_line(h, p, end, &line);

        if (rc == BENCH_HTTP_DATA) {
            rc = bench_http_take_line(h, &line);
        }

        if (rc != BENCH_HTTP_DATA) {
            return rc;
        }
    }

    return h->state == BENCH_HTTP_OVER ? BENCH_HTTP_DONE : BENCH_HTTP_AGAIN;
}


bench_http_rc_t
bench_http_eof(bench_http_t *h)
{
    if (h->state == BENCH_HTTP_CLOSE || h->state == BENCH_HTTP_OVER) {
        return BENCH_HTTP_DONE;
    }

    return bench_http_fail(h, h->status == 0 ? "closed before an answer"
                                             : "closed within the body");
}
