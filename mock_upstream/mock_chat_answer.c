/*
 * The answer that carries a completion: the response's head, framing, pace,
 * lock-step, and the moments at which a fault has its turn.  What the events
 * say is built elsewhere.
 */

#include <stdlib.h>
#include <string.h>

#include "mock_error.h"
#include "mock_fault.h"


enum {
    MOCK_PHASE_START = 0,
    MOCK_PHASE_HEAD,
    MOCK_PHASE_EVENTS,
    MOCK_PHASE_LAST
};


void
mock_chat_head(mock_chat_t *x)
{
    uint64_t     k, length;
    mock_buf_t  *b;

    b = &x->answer->out;
    mock_buf_add(b, x->before.p, x->before.n);
    mock_http_status(b, x->minor, x->status);
    mock_buf_fmt(b, "Content-Type: %s\r\nCache-Control: no-cache\r\n"
                 "%s: req_%s\r\n%s", x->type, x->route.dialect->id_header,
                 x->answer->record->id, x->route.dialect->lines);

    if (x->coding) {
        mock_buf_fmt(b, "Transfer-Encoding: %s\r\n", x->coding);
    }

    if (x->framing == MOCK_FRAMING_LENGTH) {
        length = 0;

        for (k = 0; k < x->total; k++) {
            mock_chat_build(x, k);
            length += x->event.n;
        }

        mock_buf_fmt(b, "Content-Length: %llu\r\n",
                     (unsigned long long) (length + (uint64_t) x->more));
    }

    if (x->opt.big_header) {
        mock_buf_lit(b, "x-mock-big: ");
        mock_buf_fill(b, 'b', (size_t) x->opt.big_header);
        mock_buf_lit(b, "\r\n");
    }

    mock_buf_add(b, x->lines.p, x->lines.n);
    mock_buf_fmt(b, "%sConnection: %s\r\n\r\n", x->opt.extra_header,
                 x->close ? "close" : "keep-alive");
}


void
mock_chat_body(mock_chat_t *x, const void *p, size_t n)
{
    unsigned     i;
    mock_buf_t  *out, *z;

    out = &x->answer->out;

    for (i = 0; i < x->gzip; i++) {
        z = i ? &x->scratch2 : &x->scratch;
        z->n = 0;
        mock_gzip_add(&x->z[i], z, p, n);
        p = z->p;
        n = z->n;
    }

    x->answer->body += n;

    if (x->framing != MOCK_FRAMING_CHUNKED) {
        mock_buf_add(out, p, n);

    } else if (n) {
        mock_http_chunk(out, n);
        mock_buf_add(out, p, n);
        mock_buf_lit(out, "\r\n");
    }
}


void
mock_chat_emit_event(mock_chat_t *x)
{
    if (x->event.n) {
        mock_chat_body(x, x->event.p, x->event.n);
        x->answer->events++;
    }
}


void
mock_chat_emit(mock_chat_t *x, uint64_t k)
{
    mock_chat_build(x, k);
    mock_chat_emit_event(x);
}


/* The trailers of the gzip layers, the inner one through the outer. */
static void
mock_chat_gzip_end(mock_chat_t *x)
{
    unsigned    layers;
    mock_buf_t  end;

    layers = x->gzip;
    memset(&end, 0, sizeof(end));
    mock_gzip_end(&x->z[0], &end);

    if (layers == 2) {
        x->scratch.n = 0;
        mock_gzip_add(&x->z[1], &x->scratch, end.p, end.n);
        mock_gzip_end(&x->z[1], &x->scratch);
        end.n = 0;
        mock_buf_add(&end, x->scratch.p, x->scratch.n);
    }

    x->gzip = 0;
    mock_chat_body(x, end.p, end.n);
    mock_buf_free(&end);
}


void
mock_chat_tail(mock_chat_t *x)
{
    if (x->gzip) {
        mock_chat_gzip_end(x);
    }

    if (x->framing == MOCK_FRAMING_CHUNKED) {
        mock_buf_lit(&x->answer->out, "0\r\n\r\n");
    }
}


mock_verdict_t
mock_chat_respond(mock_chat_t *x, int status, const char *type,
    const char *lines, const void *body, size_t n)
{
    mock_buf_t  *b;

    b = &x->answer->out;
    mock_http_status(b, x->minor, status);
    mock_buf_fmt(b, "Content-Type: %s\r\n%s: req_%s\r\n", type,
                 x->route.dialect->id_header, x->answer->record->id);

    if (status != 204) {
        mock_buf_fmt(b, "Content-Length: %llu\r\n", (unsigned long long) n);
    }

    mock_buf_fmt(b, "%s%sConnection: %s\r\n\r\n", lines ? lines : "",
                 x->opt.extra_header, x->close ? "close" : "keep-alive");
    mock_buf_add(b, body, n);
    x->answer->body += n;

    return MOCK_VERDICT_DONE;
}


/* status=NNN: an error of the dialect instead of the answer. */
static mock_verdict_t
mock_chat_status(mock_chat_t *x)
{
    int64_t         retry;
    mock_buf_t      body, lines;
    mock_verdict_t  rc;

    memset(&body, 0, sizeof(body));
    memset(&lines, 0, sizeof(lines));
    retry = -1;

    if (mock_options_given(&x->opt, retry_after)) {
        retry = x->opt.retry_after * 1000;
        mock_error_retry(&x->route, &lines, retry);
    }

    if (x->opt.should_retry[0]) {
        mock_buf_fmt(&lines, "x-should-retry: %s\r\n", x->opt.should_retry);
    }

    mock_error_status(&x->route, &body, (int) x->opt.status, retry);
    rc = mock_chat_respond(x, (int) x->opt.status,
                           mock_error_type(&x->route),
                           mock_buf_cstr(&lines), body.p, body.n);

    mock_buf_free(&body);
    mock_buf_free(&lines);

    return rc;
}


/* Turns a verdict that ends the answer into the last step. */
static mock_step_t
mock_chat_last(mock_chat_t *x, mock_verdict_t verdict)
{
    mock_step_t  last;

    switch (verdict) {

    case MOCK_VERDICT_TAIL:
        mock_chat_tail(x);
        last = x->close ? MOCK_STEP_CLOSE : MOCK_STEP_DONE;
        break;
    case MOCK_VERDICT_FIN:
        last = MOCK_STEP_FIN;
        break;
    case MOCK_VERDICT_RESET:
        last = MOCK_STEP_RESET;
        break;
    case MOCK_VERDICT_HALF:
        last = MOCK_STEP_HALF;
        break;
    case MOCK_VERDICT_STALL:
        last = MOCK_STEP_STALL;
        break;
    default:
        last = x->close ? MOCK_STEP_CLOSE : MOCK_STEP_DONE;
        break;
    }

    x->last = last;
    x->phase = MOCK_PHASE_LAST;
    x->due = mock_now();

    if (mock_options_given(&x->opt, gap) && verdict >= MOCK_VERDICT_FIN) {
        x->due += x->opt.gap;
    }

    return MOCK_STEP_SEND;
}


/* The end of the events: last chunk, or what a fault puts there. */
static mock_step_t
mock_chat_finished(mock_chat_t *x)
{
    if (x->fault && x->fault->where == MOCK_FAULT_TAIL) {
        return mock_chat_last(x, x->fault->fn(x));
    }

    return mock_chat_last(x, MOCK_VERDICT_TAIL);
}


static int
mock_chat_faulty(mock_chat_t *x)
{
    if (x->fault == NULL || x->fault->fn == NULL) {
        return 0;
    }

    if (x->again) {
        return 1;
    }

    if (x->k < x->at || x->fault->where < MOCK_FAULT_EVENT
        || x->fault->where > MOCK_FAULT_EACH || x->through)
    {
        return 0;
    }

    /* what works on an event's bytes waits for one that has any */
    if (x->fault->needs & MOCK_NEEDS_BYTES) {
        mock_chat_build(x, x->k);

        if (x->event.n == 0) {
            return 0;
        }
    }

    x->through = x->fault->where == MOCK_FAULT_EVENT;

    return 1;
}


/* Event k is over; an empty one waited for no acknowledgement, so the next
 * one takes its place. */
static void
mock_chat_passed(mock_chat_t *x, unsigned sent)
{
    x->k++;
    x->pos = 0;
    x->again = 0;
    x->ready = 0;
    x->acked = !sent;
}


/* Where a dialect says nothing more at its end, the framing's end must go
 * with the last event. */
static void
mock_chat_look_ahead(mock_chat_t *x)
{
    while (!x->route.dialect->own && x->fault == NULL && x->k < x->total
           && mock_chat_kind(x, x->k) > MOCK_KIND_TOOL)
    {
        mock_chat_encode(x, x->k);

        if (x->bytes.n) {
            return;
        }

        x->k++;
    }
}


/* Events of one write, into answer->out. */
static mock_step_t
mock_chat_events(mock_chat_t *x)
{
    size_t          before;
    int64_t         i;
    mock_verdict_t  verdict;

    for (i = 0; i < x->opt.burst && x->k < x->total; ) {
        verdict = MOCK_VERDICT_GO;
        before = x->answer->out.n;

        if (mock_chat_faulty(x)) {
            verdict = x->fault->fn(x);
        }

        if (verdict == MOCK_VERDICT_AGAIN) {
            x->again = 1;
            return MOCK_STEP_SEND;
        }

        if (verdict > MOCK_VERDICT_AGAIN) {
            return mock_chat_last(x, verdict);
        }

        if (verdict == MOCK_VERDICT_GO) {
            mock_chat_emit(x, x->k);
        }

        i += x->answer->out.n > before;
        mock_chat_passed(x, x->answer->out.n > before);
    }

    mock_chat_look_ahead(x);

    return x->k == x->total ? mock_chat_finished(x) : MOCK_STEP_SEND;
}


/* When event k is due: a gap after the one before it for everything that is
 * generated token by token, except the very first token. */
static void
mock_chat_pace(mock_chat_t *x)
{
    mock_kind_t  kind;

    x->ready = 1;

    if (x->answer->blocked) {
        x->answer->blocked = 0;
        x->due = mock_now();
    }

    kind = mock_chat_kind(x, x->k);

    if (x->k <= x->edges[MOCK_KIND_ROLE] || kind > MOCK_KIND_TOOL
        || x->k % x->req.n != 0)
    {
        return;
    }

    x->due += mock_delay_next(&x->delay);
}


static mock_step_t
mock_chat_sleep(mock_chat_t *x, int64_t due)
{
    x->answer->due = due;

    return MOCK_STEP_SLEEP;
}


static mock_step_t
mock_chat_next_event(mock_chat_t *x)
{
    if (x->again) {
        if (mock_now() < x->fault_due) {
            return mock_chat_sleep(x, x->fault_due);
        }

        return mock_chat_events(x);
    }

    if (x->k == x->total) {
        return mock_chat_finished(x);
    }

    if (x->opt.lockstep[0] && x->k && !x->acked) {
        x->acked = 1;
        return MOCK_STEP_ACK;
    }

    if (!x->ready) {
        mock_chat_pace(x);
    }

    if (mock_now() < x->due) {
        return mock_chat_sleep(x, x->due);
    }

    return mock_chat_events(x);
}


/* The head; alone if the first event has to wait for its time. */
static mock_step_t
mock_chat_first(mock_chat_t *x)
{
    mock_verdict_t  verdict;

    x->phase = MOCK_PHASE_EVENTS;
    verdict = MOCK_VERDICT_GO;

    if (x->fault && x->fault->where == MOCK_FAULT_HEAD) {
        verdict = x->fault->fn(x);

    } else if (x->status != 200) {
        verdict = mock_chat_status(x);
    }

    if (verdict != MOCK_VERDICT_GO) {
        return mock_chat_last(x, verdict);
    }

    mock_chat_head(x);

    if (mock_now() < x->due && !x->opt.lockstep[0]) {
        return MOCK_STEP_SEND;
    }

    return mock_chat_next_event(x);
}


static mock_step_t
mock_chat_next(mock_answer_t *a)
{
    mock_chat_t  *x;

    x = a->data;

    switch (x->phase) {

    case MOCK_PHASE_START:
        if (mock_now() < x->due) {
            return mock_chat_sleep(x, x->due);
        }

        x->phase = MOCK_PHASE_HEAD;
        x->due += x->req.stream ? x->opt.ttft : 0;
        /* fall through */

    case MOCK_PHASE_HEAD:
        return mock_chat_first(x);

    case MOCK_PHASE_EVENTS:
        return mock_chat_next_event(x);

    default:
        if (mock_now() < x->due) {
            return mock_chat_sleep(x, x->due);
        }

        return x->last;
    }
}


static void
mock_chat_free(void *data)
{
    mock_chat_t  *x;

    x = data;
    mock_chat_request_free(&x->req);
    mock_route_free(&x->route);
    mock_text_free(&x->text);
    mock_wire_free(&x->wire);
    mock_buf_free(&x->bytes);
    mock_buf_free(&x->before);
    mock_buf_free(&x->lines);
    mock_buf_free(&x->lead);
    mock_buf_free(&x->rest);
    mock_buf_free(&x->event);
    mock_buf_free(&x->token);
    mock_buf_free(&x->scratch);
    mock_buf_free(&x->scratch2);
    free(x);
}


/* Content-Type, by the dialect. */
static const char *
mock_chat_type(const mock_chat_t *x)
{
    const llm_dialect_t  *row;

    row = x->route.row;

    if (x->opt.type[0]) {
        return x->opt.type;
    }

    return (const char *) (x->req.stream && !x->route.array
                           ? row->stream_type.p : row->answer_type.p);
}


/* Head and framing, from options and request. */
static void
mock_chat_shape(mock_chat_t *x, const mock_request_t *r)
{
    int              given;
    mock_options_t  *o;

    o = &x->opt;
    given = mock_options_given(o, framing);
    x->type = mock_chat_type(x);

    if (x->route.dialect->crlf && !x->route.array
        && !mock_options_given(o, eol))
    {
        o->eol = MOCK_EOL_CRLF;
    }

    x->status = o->status && x->fault == NULL ? (int) o->status : 200;
    x->minor = !o->http10;
    x->framing = (int) o->framing;
    if (!x->req.stream && !given) {
        x->framing = MOCK_FRAMING_LENGTH;
    }

    if (x->framing == MOCK_FRAMING_CHUNKED
        && (o->http10 || (r->minor == 0 && !given)))
    {
        x->framing = MOCK_FRAMING_CLOSE;
    }

    x->close = !r->keepalive || o->close || o->http10
               || x->framing == MOCK_FRAMING_CLOSE;
}


static void
mock_chat_times(mock_chat_t *x)
{
    mock_delay_t     first;
    mock_options_t  *o;

    o = &x->opt;
    mock_delay_init(&first, o->ttft_spread ? (int) o->dist
                    : MOCK_DIST_CONSTANT, (double) o->ttft,
                    (double) o->ttft_spread, (uint64_t) o->seed + 1);
    o->ttft = mock_delay_next(&first);

    mock_delay_init(&x->delay, (int) o->dist, (double) o->itl,
                    mock_options_given(o, spread) ? (double) o->spread
                    : (double) o->itl / 4, (uint64_t) o->seed);

    x->due = x->answer->record->started + o->header_delay;
}


/* Where the fault happens, as an event's number from 0. */
static uint64_t
mock_chat_at(const mock_chat_t *x)
{
    int64_t   at;
    uint64_t  k;

    at = x->fault->at ? x->fault->at : 3;

    if (mock_options_given(&x->opt, at) && x->opt.at > 0) {
        at = x->opt.at;
    }

    if (at == MOCK_AT_FINISH) {
        k = x->edges[MOCK_KIND_TOOL];

    } else if (at == MOCK_AT_DONE) {
        k = x->edges[MOCK_KIND_USAGE];

    } else {
        k = (uint64_t) at - 1;
    }

    return k < x->total ? k : x->total - (x->total != 0);
}


static void
mock_chat_start(mock_chat_t *x, const mock_request_t *r)
{
    mock_http_key(r, x->key, sizeof(x->key));
    mock_chat_shape(x, r);

    if (x->fault && x->fault->setup) {
        x->fault->setup(x);
    }

    if (x->framing == MOCK_FRAMING_CHUNKED && x->coding == NULL) {
        x->coding = "chunked";
    }

    mock_chat_times(x);
    mock_chat_plan(x);

    if (!x->route.dialect->own) {
        mock_chat_begin(x);
    }

    if (!x->req.stream) {
        x->due += x->opt.ttft + x->opt.itl * x->opt.tokens;
    }

    if (x->fault) {
        x->at = mock_chat_at(x);
    }
}


/* Can the options be served?  0, with the fault's row in *fault, or -1. */
static int
mock_chat_check(mock_conn_t *c, const mock_options_t *o,
    const mock_route_t *route, const mock_fault_t **fault, mock_buf_t *err)
{
    unsigned  has;

    *fault = NULL;
    has = mock_route_has(route);

    if (o->text == MOCK_TEXT_FILE && c->mock->text.n == 0) {
        mock_buf_lit(err, "mock: text=file needs --text FILE");
        return -1;
    }

    if (o->fault[0]) {
        *fault = mock_fault_find(o->fault);

        if (*fault == NULL) {
            mock_buf_fmt(err, "mock: unknown fault \"%s\"", o->fault);
            return -1;
        }

        if ((*fault)->needs & ~has & MOCK_HAS_ALL) {
            mock_buf_fmt(err, "mock: the fault \"%s\" makes no sense in "
                         "the dialect \"%s\"%s", o->fault,
                         route->dialect->name,
                         route->array ? " as an array" : "");
            return -1;
        }
    }

    if (!(has & MOCK_HAS_LINES) && (o->comments || o->eol == MOCK_EOL_CR)) {
        mock_buf_fmt(err, "mock: \"%s\" makes no sense in the dialect "
                     "\"%s\"", o->comments ? "comments" : "eol",
                     route->dialect->name);
        return -1;
    }

    return 0;
}


int
mock_chat(mock_conn_t *c, const mock_request_t *r, const mock_options_t *o,
    mock_route_t *route, mock_chat_request_t *req, mock_buf_t *err)
{
    mock_chat_t                 *x;
    const mock_fault_t          *fault;
    static const mock_source_t   source = {
        mock_chat_next, mock_chat_free
    };

    if (mock_chat_check(c, o, route, &fault, err) != 0) {
        return -1;
    }

    x = mock_zalloc(sizeof(*x));
    x->opt = *o;
    x->req = *req;
    x->route = *route;
    memset(req, 0, sizeof(*req));
    memset(&route->model, 0, sizeof(route->model));
    x->opt.variant += x->opt.variant == 0;
    x->fault = fault;
    x->reused = c->requests - 1;
    x->answer = mock_answer_new(c, r, o->lockstep[0] ? o->lockstep : o->id,
                                &source, x);

    if (!mock_options_given(o, seed)) {
        x->opt.seed = (int64_t) (c->mock->stats.requests & INT64_MAX);
    }

    mock_text_init(&x->text, &x->opt, &x->req.user, &c->mock->text,
                   x->answer->record->id);
    mock_chat_start(x, r);
    mock_answer_run(x->answer);

    return 0;
}
