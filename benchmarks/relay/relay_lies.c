/*
 * Answers cut into units, and what is done to them.  An event is a chunk with
 * a stamp of the mock in it; all else (heads, beginnings, endings) is passed
 * on, delayed like the events, so that a stream stays one.  What is no
 * answer in HTTP/1.1 is passed on as it comes.  Nothing is sent here.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bench_memory.h"
#include "relay.h"


#define RELAY_HEAD_MAX   (256 << 10)
#define RELAY_CHUNK_MAX  (64 << 20)
#define RELAY_STAMP      35


/* The first stamp in a chunk, or NULL. */
static unsigned char *
relay_lies_stamp(unsigned char *p, size_t n)
{
    unsigned char  *end;

    end = p + n;

    while ((p = memchr(p, '~', (size_t) (end - p)))
           && end - p >= RELAY_STAMP)
    {
        if (p[7] == '.' && p[22] == '.' && p[31] == '.' && p[34] == ';') {
            return p;
        }

        p++;
    }

    return NULL;
}


/* It goes not before its time, and not before what came before it. */
static void
relay_lies_put(relay_pair_t *p, relay_unit_t *u, int64_t more)
{
    if (relay.options.delay || relay.options.stall) {
        u->due = u->came + relay.options.delay + more;

        if (u->due < p->latest) {
            u->due = p->latest;
        }

        p->latest = u->due;
    }

    relay_pair_put(&p->client, u);
}


static void
relay_lies_let_go(relay_pair_t *p)
{
    if (p->held) {
        relay_lies_put(p, p->held, 0);
        p->held = NULL;
    }
}


/* What is no event. */
static void
relay_lies_pass(relay_pair_t *p, const unsigned char *b, size_t n,
    int64_t now)
{
    relay_lies_let_go(p);
    relay_lies_put(p, relay_unit(b, n, now), 0);
}


static int
relay_lies_turn(uint64_t every)
{
    return every && relay.counts.events % every == 0;
}


/* An event: at most one lie, the first of these whose turn it is. */
static void
relay_lies_event(relay_pair_t *p, relay_unit_t *u, unsigned char *stamp)
{
    int64_t                 more;
    relay_unit_t           *copy;
    const relay_options_t  *o;

    o = &relay.options;
    copy = NULL;
    more = 0;

    if (relay_lies_turn(o->drop)) {
        relay.counts.dropped++;
        free(u);
        return;
    }

    if (relay_lies_turn(o->duplicate)) {
        relay.counts.duplicated++;
        copy = relay_unit(u->bytes, u->n, u->came);

    } else if (relay_lies_turn(o->swap) && p->held == NULL) {
        p->held = u;
        return;

    } else if (relay_lies_turn(o->corrupt)) {
        /* each byte of a stamp in turn; none becomes one that ends a string */
        stamp[relay.counts.corrupted++ % RELAY_STAMP] ^= 1;
    }

    if (relay_lies_turn(o->stall)) {
        relay.counts.stalled++;
        more = o->stall_for;
    }

    relay_lies_put(p, u, more);

    if (copy) {
        relay_lies_put(p, copy, 0);
    }

    if (p->held) {
        relay.counts.swapped++;
        relay_lies_let_go(p);
    }
}


static void
relay_lies_chunk(relay_pair_t *p, const unsigned char *b, size_t n,
    int64_t now)
{
    relay_unit_t   *u;
    unsigned char  *stamp;

    relay.counts.chunks++;
    u = relay_unit(b, n, now);
    stamp = relay_lies_stamp(u->bytes, n);

    if (stamp == NULL) {
        free(u);
        relay_lies_pass(p, b, n, now);
        return;
    }

    u->event = 1;
    relay.counts.events++;
    relay_lies_event(p, u, stamp);
}


/* The value of a header line, if it is that one. */
static const char *
relay_lies_header(const char *line, const char *name)
{
    size_t  n;

    n = strlen(name);

    if (strncasecmp(line, name, n) != 0 || line[n] != ':') {
        return NULL;
    }

    line += n + 1;

    return line + strspn(line, " \t");
}


/* What follows a head of n bytes, which ends in an empty line. */
static relay_state_t
relay_lies_after(relay_pair_t *p, const unsigned char *b, size_t n)
{
    int             status;
    char           *head, *line, *more;
    const char     *value;
    relay_state_t   state;

    head = bench_alloc(n + 1);
    memcpy(head, b, n);
    head[n] = '\0';

    state = RELAY_RAW;
    status = strncmp(head, "HTTP/1.", 7) == 0 && n > 12 ? atoi(head + 9) : 0;

    for (line = strtok_r(head, "\r\n", &more); line;
         line = strtok_r(NULL, "\r\n", &more))
    {
        value = relay_lies_header(line, "Transfer-Encoding");

        if (value && strcasecmp(value, "chunked") == 0) {
            state = RELAY_CHUNK;
        }

        value = relay_lies_header(line, "Content-Length");

        if (value && state == RELAY_RAW) {
            state = RELAY_BODY;
            p->left = strtoull(value, NULL, 10);
        }
    }

    free(head);

    if (status < 100 || status == 101) {
        relay.counts.unread++;
        return RELAY_RAW;
    }

    if (status < 200 || status == 204 || status == 304
        || (state == RELAY_BODY && p->left == 0))
    {
        return RELAY_HEAD;
    }

    return state;
}


/* The length of the chunk at b with its lines; 0: it is not complete, -1: it
 * is none.  *last: it is the last, with its trailers. */
static ssize_t
relay_lies_chunk_size(const unsigned char *b, size_t n, int *last)
{
    char                *digits;
    size_t               size, line;
    const unsigned char  *end;

    *last = 0;
    end = memchr(b, '\n', n);

    if (end == NULL) {
        return n > RELAY_HEAD_MAX ? -1 : 0;
    }

    line = (size_t) (end + 1 - b);
    size = strtoul((const char *) b, &digits, 16);

    if (digits == (const char *) b || size > RELAY_CHUNK_MAX || line < 3) {
        return -1;
    }

    if (size == 0) {
        *last = 1;
        end = memmem(b + line - 2, n - line + 2, "\r\n\r\n", 4);
        return end ? end + 4 - b : n > RELAY_HEAD_MAX ? -1 : 0;
    }

    return n < line + size + 2 ? 0 : (ssize_t) (line + size + 2);
}


/* Takes the unit at b.  Bytes it took; 0: it is not complete, or nothing can
 * be read any more. */
static size_t
relay_lies_take(relay_pair_t *p, const unsigned char *b, size_t n,
    int64_t now)
{
    int                   last;
    ssize_t               size;
    const unsigned char  *end;

    switch (p->state) {

    case RELAY_HEAD:
        end = memmem(b, n, "\r\n\r\n", 4);

        if (end == NULL) {
            size = n > RELAY_HEAD_MAX ? -1 : 0;
            break;
        }

        size = end + 4 - b;
        p->state = relay_lies_after(p, b, (size_t) size);
        relay_lies_pass(p, b, (size_t) size, now);
        break;

    case RELAY_BODY:
        size = (ssize_t) (n < p->left ? n : p->left);
        p->left -= (uint64_t) size;
        p->state = p->left ? RELAY_BODY : RELAY_HEAD;
        relay_lies_pass(p, b, (size_t) size, now);
        break;

    case RELAY_CHUNK:
        size = relay_lies_chunk_size(b, n, &last);

        if (size > 0 && last) {
            p->state = RELAY_HEAD;
            relay_lies_pass(p, b, (size_t) size, now);

        } else if (size > 0) {
            relay_lies_chunk(p, b, (size_t) size, now);
        }

        break;

    default:
        size = (ssize_t) n;
        relay_lies_pass(p, b, n, now);
        break;
    }

    if (size < 0) {
        relay.counts.unread++;
        p->state = RELAY_RAW;
        return relay_lies_take(p, b, n, now);
    }

    return (size_t) size;
}


void
relay_lies_feed(relay_pair_t *p, const unsigned char *b, size_t n,
    int64_t now)
{
    size_t  at, took;

    /* one byte more: numbers are read to the first that is no digit */
    if (p->size - p->n < n + 1) {
        p->size = 2 * (p->n + n + 1);
        p->in = bench_resize(p->in, p->size);
    }

    memcpy(p->in + p->n, b, n);
    p->n += n;
    p->in[p->n] = '\0';

    for (at = 0; at < p->n; at += took) {
        took = relay_lies_take(p, p->in + at, p->n - at, now);

        if (took == 0) {
            break;
        }
    }

    p->n -= at;
    memmove(p->in, p->in + at, p->n);
}


void
relay_lies_end(relay_pair_t *p, int64_t now)
{
    relay_lies_let_go(p);

    if (p->n) {
        relay_lies_pass(p, p->in, p->n, now);
        p->n = 0;
    }
}
