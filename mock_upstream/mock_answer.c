/*
 * Runs an answer's steps.  The next step is asked for only when the kernel
 * has taken everything before it, so that a peer that does not read stops
 * the source, and what is counted as sent was sent.
 */

#include <stdlib.h>
#include <string.h>

#include "mock_answer.h"
#include "mock_control.h"


/* steps without a pause before other connections get their turn */
#define MOCK_ANSWER_TURN  64


static void
mock_answer_on_timer(void *arg)
{
    mock_answer_run(arg);
}


mock_answer_t *
mock_answer_new(mock_conn_t *c, const mock_request_t *r, const char *id,
    const mock_source_t *source, void *data)
{
    mock_answer_t  *a;

    a = mock_zalloc(sizeof(*a));
    a->conn = c;
    a->source = source;
    a->data = data;
    a->record = mock_stats_open(c->mock, id, r->method, r->path, c->number);
    a->record->answer = a;
    c->answer = a;

    a->timer.fn = mock_answer_on_timer;
    a->timer.arg = a;

    return a;
}


void
mock_answer_count(mock_answer_t *a, size_t n)
{
    if (n && a->record->first_sent == 0) {
        a->record->first_sent = mock_now();
    }

    a->record->bytes += n;
    a->conn->mock->stats.bytes_sent += n;
}


void
mock_answer_end(mock_answer_t *a, mock_end_t end)
{
    mock_conn_t  *c;

    c = a->conn;
    c->answer = NULL;
    mock_stats_end(c->mock, a->record, end);

    mock_timer_take(&c->mock->timers, &a->timer);

    if (a->source->free) {
        a->source->free(a->data);
    }

    mock_buf_free(&a->out);
    free(a);
}


static int
mock_answer_send(mock_answer_t *a)
{
    int              rc;
    mock_stats_t    *stats;

    stats = &a->conn->mock->stats;

    if (a->out.n) {
        rc = mock_conn_send(a->conn, a->out.p, a->out.n);
        if (rc != 0) {
            return rc;
        }
    }

    a->record->events += a->events;
    stats->events_sent += a->events;
    a->record->body += a->body;
    stats->body_sent += a->body;

    if (a->events) {
        mock_control_kick(a->conn->mock);
    }

    a->events = 0;
    a->body = 0;
    a->out.n = 0;

    /* one huge event must not stay in memory for the rest of the stream */
    if (a->out.cap > 262144) {
        mock_buf_free(&a->out);
    }

    return 0;
}


/* Ends the answer and does with the connection what the step says. */
static void
mock_answer_finish(mock_answer_t *a, mock_step_t step)
{
    mock_conn_t  *c;

    c = a->conn;

    switch (step) {

    case MOCK_STEP_DONE:
        mock_answer_end(a, MOCK_END_COMPLETE);
        mock_conn_next(c);
        break;

    case MOCK_STEP_CLOSE:
        mock_answer_end(a, MOCK_END_COMPLETE);
        mock_conn_close(c, MOCK_CLOSE_CLEAN);
        break;

    case MOCK_STEP_HALF:
        mock_answer_end(a, MOCK_END_FAULT);
        mock_conn_half_close(c);
        break;

    case MOCK_STEP_RESET:
        mock_answer_end(a, MOCK_END_FAULT);
        mock_conn_close(c, MOCK_CLOSE_RESET);
        break;

    default:
        mock_answer_end(a, MOCK_END_FAULT);
        mock_conn_close(c, MOCK_CLOSE_FIN);
        break;
    }
}


static int
mock_answer_take_ack(mock_record_t *r)
{
    if (r->acks == r->acks_used) {
        return 0;
    }

    r->acks_used++;

    return 1;
}


/* One step.  0: go on; 1: wait, or the answer is gone. */
static int
mock_answer_step(mock_answer_t *a)
{
    mock_conn_t  *c;
    mock_step_t   step;

    c = a->conn;
    step = a->source->next(a);

    switch (step) {

    case MOCK_STEP_SEND:
        if (mock_answer_send(a) != 0) {
            mock_answer_end(a, MOCK_END_ABORTED);
            mock_conn_close(c, MOCK_CLOSE_FIN);
            return 1;
        }

        return 0;

    case MOCK_STEP_SLEEP:
        if (a->due <= mock_now()) {
            return 0;
        }

        a->waits = step;
        mock_timer_set(&c->mock->timers, &a->timer, a->due);
        return 1;

    case MOCK_STEP_ACK:
        if (mock_answer_take_ack(a->record)) {
            return 0;
        }

        a->waits = step;
        return 1;

    case MOCK_STEP_STALL:
        a->waits = step;
        return 1;

    case MOCK_STEP_SHUT:
        (void) shutdown(c->fd, SHUT_WR);
        return 0;

    default:
        mock_answer_finish(a, step);
        return 1;
    }
}


void
mock_answer_run(mock_answer_t *a)
{
    unsigned  turn;

    /* an acknowledgement is consumed by the step that waited for it */
    if (a->waits == MOCK_STEP_STALL
        || (a->waits == MOCK_STEP_ACK && !mock_answer_take_ack(a->record))
        || (a->waits == MOCK_STEP_SLEEP && mock_timer_waits(&a->timer)
            && a->due > mock_now()))
    {
        return;
    }

    a->waits = MOCK_STEP_SEND;

    for (turn = 0; turn < MOCK_ANSWER_TURN; turn++) {

        if (mock_conn_pending(a->conn)) {
            a->blocked = 1;
            return;
        }

        if (mock_answer_step(a)) {
            return;
        }
    }

    mock_timer_set(&a->conn->mock->timers, &a->timer, mock_now());
}


void
mock_answer_ack(mock_record_t *r, uint64_t k)
{
    r->acks += k;

    if (r->answer && r->answer->waits == MOCK_STEP_ACK) {
        mock_answer_run(r->answer);
    }
}


/* The source of an answer that is there as a whole. */
typedef struct {
    mock_buf_t  bytes;
    size_t      body;
    int         keepalive;
    int         sent;
} mock_whole_t;


static mock_step_t
mock_answer_whole_next(mock_answer_t *a)
{
    mock_buf_t     b;
    mock_whole_t  *w;

    w = a->data;

    if (w->sent) {
        return w->keepalive ? MOCK_STEP_DONE : MOCK_STEP_CLOSE;
    }

    w->sent = 1;
    b = a->out;
    a->out = w->bytes;
    w->bytes = b;
    a->body = w->body;

    return MOCK_STEP_SEND;
}


static void
mock_answer_whole_free(void *data)
{
    mock_whole_t  *w;

    w = data;
    mock_buf_free(&w->bytes);
    free(w);
}


void
mock_answer_whole(mock_conn_t *c, const mock_request_t *r, const char *id,
    mock_buf_t *b, size_t n, int keepalive)
{
    mock_whole_t                *w;
    static const mock_source_t   source = {
        mock_answer_whole_next, mock_answer_whole_free
    };

    w = mock_zalloc(sizeof(*w));
    w->bytes = *b;
    w->body = n;
    w->keepalive = keepalive;
    memset(b, 0, sizeof(*b));

    mock_answer_run(mock_answer_new(c, r, id, &source, w));
}
