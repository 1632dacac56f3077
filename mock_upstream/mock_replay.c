/*
 * Replays.  The body goes out in the pieces that the options name, each in
 * one send and, with chunked framing, in one chunk; after each but the last
 * there is a gap in time or an acknowledgement to wait for.
 */

#include <stdlib.h>
#include <string.h>

#include "mock_answer.h"
#include "mock_replay.h"


typedef struct {
    mock_options_t  opt;
    mock_buf_t      head;
    mock_buf_t      body;
    size_t         *cuts;       /* rising, each inside the body */
    size_t          ncuts;
    size_t          piece;      /* next one */
    size_t          from;       /* where it starts */
    unsigned        chunked;
    unsigned        close;
    unsigned        paused;     /* the pause before it is over */
    int             status;
} mock_replay_t;


static void
mock_replay_free(void *data)
{
    mock_replay_t  *x;

    x = data;
    mock_buf_free(&x->head);
    mock_buf_free(&x->body);
    free(x->cuts);
    free(x);
}


/* Adds a cut; one that is not behind the last one, or outside, is none. */
static void
mock_replay_cut(mock_replay_t *x, size_t at)
{
    size_t  last;

    last = x->ncuts ? x->cuts[x->ncuts - 1] : 0;

    if (at <= last || at >= x->body.n) {
        return;
    }

    if ((x->ncuts & (x->ncuts - 1)) == 0) {
        x->cuts = mock_resize(x->cuts, (x->ncuts ? 2 * x->ncuts : 1)
                                       * sizeof(*x->cuts));
    }

    x->cuts[x->ncuts++] = at;
}


/* "a:b:c" */
static int
mock_replay_cuts(mock_replay_t *x)
{
    char        *end;
    size_t       at, last;
    const char  *p;

    last = 0;

    for (p = x->opt.cuts; *p; p = *end ? end + 1 : end) {
        at = strtoull(p, &end, 10);

        if (end == p || (*end && *end != ':') || at < last) {
            return -1;
        }

        mock_replay_cut(x, at);
        last = at;
    }

    if (x->opt.cut) {
        mock_replay_cut(x, (size_t) x->opt.cut);
    }

    return 0;
}


static void
mock_replay_head(mock_replay_t *x)
{
    int          framing;
    mock_buf_t  *b;

    b = &x->head;
    framing = (int) x->opt.framing;
    x->chunked = framing == MOCK_FRAMING_CHUNKED;
    x->close |= framing == MOCK_FRAMING_CLOSE;

    mock_http_status(b, x->opt.http10 ? 0 : 1, x->status);
    mock_buf_fmt(b, "Content-Type: %s\r\n", x->opt.type[0] ? x->opt.type
                 : "text/event-stream; charset=utf-8");

    if (x->chunked) {
        mock_buf_lit(b, "Transfer-Encoding: chunked\r\n");

    } else if (framing == MOCK_FRAMING_LENGTH) {
        mock_buf_fmt(b, "Content-Length: %llu\r\n",
                     (unsigned long long) x->body.n);
    }

    mock_buf_fmt(b, "Connection: %s\r\n%s\r\n",
                 x->close ? "close" : "keep-alive", x->opt.extra_header);
}


static size_t
mock_replay_end(const mock_replay_t *x)
{
    if (x->opt.bytewise) {
        return x->from + 1 < x->body.n ? x->from + 1 : x->body.n;
    }

    return x->piece < x->ncuts ? x->cuts[x->piece] : x->body.n;
}


static mock_step_t
mock_replay_next(mock_answer_t *a)
{
    size_t          end;
    mock_replay_t  *x;

    x = a->data;

    if (x->piece && x->from == x->body.n) {
        return x->close ? MOCK_STEP_CLOSE : MOCK_STEP_DONE;
    }

    if (x->piece && x->opt.ackcut && !x->paused) {
        x->paused = 1;
        return MOCK_STEP_ACK;
    }

    if (x->piece && !x->opt.ackcut && mock_now() < a->due) {
        return MOCK_STEP_SLEEP;
    }

    end = mock_replay_end(x);

    if (x->piece == 0) {
        mock_buf_add(&a->out, x->head.p, x->head.n);
    }

    if (x->chunked && end > x->from) {
        mock_http_chunk(&a->out, end - x->from);
    }

    mock_buf_add(&a->out, x->body.p + x->from, end - x->from);

    if (x->chunked) {
        mock_buf_str(&a->out, end > x->from ? "\r\n" : "");
        mock_buf_str(&a->out, end == x->body.n ? "0\r\n\r\n" : "");
    }

    x->from = end;
    x->piece++;
    x->paused = 0;
    a->events = 1;
    a->due = mock_now() + x->opt.gap;

    return MOCK_STEP_SEND;
}


int
mock_replay(mock_conn_t *c, const mock_request_t *r, const mock_options_t *o,
    mock_buf_t *body, mock_buf_t *err)
{
    mock_replay_t               *x;
    static const mock_source_t   source = {
        mock_replay_next, mock_replay_free
    };

    x = mock_zalloc(sizeof(*x));
    x->opt = *o;
    x->body = *body;
    memset(body, 0, sizeof(*body));
    x->status = o->status ? (int) o->status : 200;
    x->close = !r->keepalive || o->close || o->http10;

    if (!mock_options_given(o, framing) && r->minor == 0) {
        x->opt.framing = MOCK_FRAMING_CLOSE;
    }

    if (o->http10 && x->opt.framing == MOCK_FRAMING_CHUNKED) {
        x->opt.framing = MOCK_FRAMING_CLOSE;
    }

    if (mock_replay_cuts(x) != 0) {
        mock_buf_lit(err, "mock: bad value of option \"cuts\"");
        mock_replay_free(x);
        return -1;
    }

    mock_replay_head(x);
    mock_answer_run(mock_answer_new(c, r, o->lockstep[0] ? o->lockstep
                                    : o->id, &source, x));

    return 0;
}
