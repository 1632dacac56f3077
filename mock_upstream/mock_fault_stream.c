/*
 * Faults of the events: their times, their sizes, what they say.  Each
 * function writes the bytes that its name promises and no others; the names
 * are those of the table in mock_fault.c.  What must be said in OpenAI's own
 * words is here, for the other dialects in mock_fault_wire.c.
 */

#include <string.h>

#include "mock_fault.h"


#define MOCK_FAULT_PIECE  16384
#define MOCK_FAULT_PAUSE  100000    /* microseconds, when no gap= is given */


static int64_t
mock_fault_gap(const mock_chat_t *x, int64_t otherwise)
{
    return mock_options_given(&x->opt, gap) ? x->opt.gap : otherwise;
}


static uint64_t
mock_fault_count(const mock_chat_t *x, uint64_t otherwise)
{
    return mock_options_given(&x->opt, count) ? (uint64_t) x->opt.count
                                              : otherwise;
}


static void
mock_fault_data(mock_chat_t *x, const char *name, const char *data,
    size_t n)
{
    mock_chat_data(x, name, data, n);
    mock_chat_emit_event(x);
}


static void
mock_fault_delta(mock_chat_t *x, unsigned choice, const char *delta)
{
    mock_chat_delta(x, choice, delta, strlen(delta), NULL);
    mock_chat_emit_event(x);
}


void
mock_fault_say(mock_chat_t *x, unsigned choice, const void *text, size_t n)
{
    mock_chat_say(x, choice, text, n);
    mock_chat_emit_event(x);
}


void
mock_fault_no_finish(mock_chat_t *x)
{
    x->no_finish = 1;
}


void
mock_fault_no_done(mock_chat_t *x)
{
    x->no_done = 1;
}


static void
mock_fault_option(mock_chat_t *x, const char *key, const char *value)
{
    (void) mock_options_set(&x->opt, key, strlen(key), value, strlen(value),
                            &x->scratch);
}


void
mock_fault_endless(mock_chat_t *x)
{
    if (!mock_options_given(&x->opt, tokens)) {
        mock_fault_option(x, "tokens", "1024g");
    }

    if (!mock_options_given(&x->opt, itl)) {
        mock_fault_option(x, "itl", "20");
    }
}


void
mock_fault_many(mock_chat_t *x)
{
    if (!mock_options_given(&x->opt, tokens)) {
        mock_fault_option(x, "tokens", "10000000");
    }
}


/* The model's name, which translators copy, holds an event of its own. */
void
mock_fault_injection(mock_chat_t *x)
{
    x->req.model.n = 0;
    mock_buf_lit(&x->req.model, "evil\\r\\nx-injected: 1\\n\\ndata: "
                 "{\\\"injected\\\":true}\\n\\n\\u0000");
    x->id_more = "\\n\\nevent: injected\\ndata: {}\\r\\n\\r\\n";
}


/* 1 comments (without lines of SSE: white space), 2 events without content,
 * with gap= between */
mock_verdict_t
mock_fault_heartbeat(mock_chat_t *x)
{
    x->fault_due = mock_now() + mock_fault_gap(x, MOCK_FAULT_PAUSE);

    if (x->opt.variant == 2) {
        mock_fault_data(x, "ping", "{\"type\":\"ping\"}", 15);
        return MOCK_VERDICT_AGAIN;
    }

    x->event.n = 0;

    if (mock_route_has(&x->route) & MOCK_HAS_LINES) {
        mock_buf_lit(&x->event, ": keep-alive");
        mock_buf_str(&x->event, x->eol);
    }

    mock_buf_str(&x->event, x->eol);
    mock_chat_body(x, x->event.p, x->event.n);

    return MOCK_VERDICT_AGAIN;
}


/* One byte of the event at a time, each framed and sent for itself. */
static mock_verdict_t
mock_fault_bytes(mock_chat_t *x, int64_t gap)
{
    if (x->pos == 0) {
        mock_chat_build(x, x->k);
    }

    mock_chat_body(x, x->event.p + x->pos, 1);
    x->pos++;
    x->fault_due = mock_now() + gap;

    if (x->pos < x->event.n) {
        return MOCK_VERDICT_AGAIN;
    }

    x->answer->events++;

    if (x->due < x->fault_due) {
        x->due = x->fault_due;
    }

    return MOCK_VERDICT_SKIP;
}


mock_verdict_t
mock_fault_trickle(mock_chat_t *x)
{
    return mock_fault_bytes(x, mock_fault_gap(x, MOCK_FAULT_PAUSE));
}


mock_verdict_t
mock_fault_bytewise(mock_chat_t *x)
{
    return mock_fault_bytes(x, mock_fault_gap(x, 0));
}


/* An event whose data has limit + 1 bytes (1 MB and 1 if not said). */
mock_verdict_t
mock_fault_huge_event(mock_chat_t *x)
{
    size_t      size, rest;
    mock_buf_t  b;

    size = mock_options_given(&x->opt, limit) ? (size_t) x->opt.limit
                                              : (size_t) 1 << 20;

    if (x->route.dialect->own) {
        /* what the event has besides its text: "data: " and two line ends
         * are not data */
        mock_chat_say(x, 0, "", 0);
        rest = x->event.n - x->event_at - 6 - 2 * strlen(x->eol);

    } else {
        rest = mock_fault_wire_rest(x);
    }

    memset(&b, 0, sizeof(b));
    mock_buf_fill(&b, 'h', size + 1 > rest ? size + 1 - rest : 0);
    mock_fault_say(x, 0, b.p, b.n);

    mock_buf_free(&b);
    mock_buf_free(&x->event);

    return MOCK_VERDICT_SKIP;
}


/* Bytes without line end, for ever or up to limit=. */
static mock_verdict_t
mock_fault_no_end(mock_chat_t *x, int c)
{
    mock_buf_t  *b;

    b = &x->event;
    mock_buf_fill(b, c, MOCK_FAULT_PIECE);
    mock_chat_body(x, b->p, b->n);
    x->pos += b->n;

    if (mock_options_given(&x->opt, limit)
        && x->pos >= (uint64_t) x->opt.limit)
    {
        return MOCK_VERDICT_FIN;
    }

    x->fault_due = mock_now() + mock_fault_gap(x, 0);

    return MOCK_VERDICT_AGAIN;
}


mock_verdict_t
mock_fault_endless_line(mock_chat_t *x)
{
    x->event.n = 0;

    if (x->pos == 0 && x->route.dialect->own) {
        mock_buf_lit(&x->event, "data: {\"choices\":[{\"index\":0,\"delta\":"
                     "{\"content\":\"");

    } else if (x->pos == 0) {
        mock_fault_wire_open(x);
    }

    return mock_fault_no_end(x, 'l');
}


mock_verdict_t
mock_fault_endless_comment(mock_chat_t *x)
{
    x->event.n = 0;
    mock_buf_str(&x->event, x->pos ? "" : ": ");

    return mock_fault_no_end(x, 'c');
}


/* count= events of 20 bytes or so and their line ends, 100 000 if not said */
mock_verdict_t
mock_fault_burst(mock_chat_t *x)
{
    uint64_t               count;
    mock_buf_t            *b;
    const mock_dialect_t  *d;

    count = mock_fault_count(x, 100000);
    d = x->route.dialect;
    b = &x->scratch;
    b->n = 0;

    while (x->pos < count && b->n < 4 * MOCK_FAULT_PIECE) {
        mock_chat_data(x, d->ping_type, d->ping, strlen(d->ping));
        mock_buf_add(b, x->event.p, x->event.n);
        x->pos++;
        x->answer->events++;
    }

    x->event.n = 0;
    mock_buf_add(&x->event, b->p, b->n);
    mock_chat_body(x, x->event.p, x->event.n);

    return x->pos < count ? MOCK_VERDICT_AGAIN : MOCK_VERDICT_GO;
}


/* 1 plain, 2 with event: error, 3 a number as code (status=, else 429),
 * 4 a word as code */
static void
mock_fault_error(mock_chat_t *x)
{
    char         code[32];
    const char  *type;
    mock_buf_t  *b;

    if (!x->route.dialect->own) {
        mock_fault_wire_error(x);
        return;
    }

    type = "server_error";
    strcpy(code, "null");

    if (x->opt.variant == 3) {
        x->scratch2.n = 0;
        mock_buf_uint(&x->scratch2, x->opt.status
                      ? (uint64_t) x->opt.status : 429);
        strncpy(code, mock_buf_cstr(&x->scratch2), sizeof(code) - 1);

    } else if (x->opt.variant == 4) {
        type = "tokens";
        strcpy(code, "\"rate_limit_exceeded\"");
    }

    b = &x->scratch;
    b->n = 0;
    mock_buf_fmt(b, "{\"error\":{\"message\":\"The mock failed as asked.\","
                 "\"type\":\"%s\",\"param\":null,\"code\":%s}}", type, code);
    mock_fault_data(x, x->opt.variant == 2 ? "error" : NULL,
                    (const char *) b->p, b->n);
}


mock_verdict_t
mock_fault_error_event(mock_chat_t *x)
{
    mock_fault_error(x);

    return MOCK_VERDICT_TAIL;
}


mock_verdict_t
mock_fault_error_done(mock_chat_t *x)
{
    mock_fault_error(x);

    if (x->route.dialect->own) {
        mock_fault_data(x, NULL, "[DONE]", 6);
    } else {
        mock_fault_wire_done(x);
    }

    return MOCK_VERDICT_TAIL;
}


/* 1 cut off, 2 no JSON at all, 3 more after the object */
mock_verdict_t
mock_fault_invalid_json(mock_chat_t *x)
{
    static const char  *texts[] = {
        "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b",
        "upstream says no",
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]} tail"
    };

    const char  *text;

    if (!x->route.dialect->own) {
        mock_fault_wire_invalid(x, (unsigned) (x->opt.variant - 1) % 3);
        return MOCK_VERDICT_SKIP;
    }

    text = texts[(x->opt.variant - 1) % 3];
    mock_fault_data(x, NULL, text, strlen(text));

    return MOCK_VERDICT_SKIP;
}


/* 1 a byte FF, 2 an overlong form, 3 a cut character before the line's end,
 * 4 a surrogate */
mock_verdict_t
mock_fault_invalid_utf8(mock_chat_t *x)
{
    const char  *text;

    static const char  cut[] = "{\"choices\":[{\"index\":0,\"delta\":"
                               "{\"content\":\"cut \xe2\x82";
    static const char  *texts[] = {
        " bad\377byte", " over\xc0\xaflong", "", " half\xed\xa0\xbdpair"
    };

    text = texts[(x->opt.variant - 1) & 3];

    if (*text) {
        mock_fault_say(x, 0, text, strlen(text));

    } else if (x->route.dialect->own) {
        mock_fault_data(x, NULL, cut, sizeof(cut) - 1);

    } else {
        mock_fault_wire_cut(x, "cut \xe2\x82");
    }

    return MOCK_VERDICT_SKIP;
}


/* 1 CRLF, 2 CR, 3 mixed, 4 CRLF with sends that end between CR and LF */
void
mock_fault_eol(mock_chat_t *x)
{
    x->opt.eol = x->opt.variant == 2 ? MOCK_EOL_CR : MOCK_EOL_CRLF;
}


mock_verdict_t
mock_fault_eol_each(mock_chat_t *x)
{
    size_t  end;

    static const char  *mixed[] = { "\n", "\r\n", "\r" };

    if (x->opt.variant == 3) {
        x->eol = mixed[x->k % 3];
        return MOCK_VERDICT_GO;
    }

    if (x->opt.variant != 4) {
        return MOCK_VERDICT_GO;
    }

    if (x->pos == 0) {
        mock_chat_build(x, x->k);
        end = x->event.n - 3;

    } else {
        end = x->pos == x->event.n - 3 ? x->event.n - 1 : x->event.n;
    }

    mock_chat_body(x, x->event.p + x->pos, end - x->pos);
    x->pos = end;
    x->fault_due = mock_now() + mock_fault_gap(x, 0);

    if (end < x->event.n) {
        return MOCK_VERDICT_AGAIN;
    }

    x->answer->events++;

    return MOCK_VERDICT_SKIP;
}


/* A BOM at the start; at the third event 1 an escaped NUL and a BOM in the
 * text, 2 a raw NUL in the text, 3 a BOM before "data:" */
mock_verdict_t
mock_fault_nul_bom(mock_chat_t *x)
{
    static const char  raw[] = " raw\0nul";
    static const char  marks[] = " nul\\u0000 bom\xef\xbb\xbf";
    static const char  unseen[] = " unseen";

    if (x->k == 0) {
        mock_chat_body(x, "\xef\xbb\xbf", 3);
    }

    if (x->k != 2) {
        return MOCK_VERDICT_GO;
    }

    switch (x->opt.variant) {

    case 2:
        mock_fault_say(x, 0, raw, sizeof(raw) - 1);
        break;

    case 3:
        mock_chat_body(x, "\xef\xbb\xbf", 3);
        mock_fault_say(x, 0, unseen, sizeof(unseen) - 1);
        break;

    default:
        mock_fault_say(x, 0, marks, sizeof(marks) - 1);
        break;
    }

    return MOCK_VERDICT_SKIP;
}


mock_verdict_t
mock_fault_twice(mock_chat_t *x)
{
    mock_kind_t  kind;

    kind = mock_chat_kind(x, x->k);

    if (kind == MOCK_KIND_DONE && !x->route.dialect->own) {
        mock_fault_wire_twice(x);
        return MOCK_VERDICT_SKIP;
    }

    if (kind == MOCK_KIND_FINISH || kind == MOCK_KIND_DONE) {
        mock_chat_emit(x, x->k);
    }

    return MOCK_VERDICT_GO;
}


mock_verdict_t
mock_fault_content_late(mock_chat_t *x)
{
    if (!x->route.dialect->own) {
        mock_fault_wire_late(x);
        return MOCK_VERDICT_SKIP;
    }

    mock_fault_delta(x, 0, "{\"content\":\" late\"}");

    return MOCK_VERDICT_GO;
}


mock_verdict_t
mock_fault_after_done(mock_chat_t *x)
{
    uint64_t  i, n;

    n = mock_fault_count(x, 2);

    for (i = 0; i < n; i++) {
        if (x->route.dialect->own) {
            mock_fault_delta(x, 0, "{\"content\":\" after done\"}");
        } else {
            mock_fault_wire_after(x);
        }
    }

    return MOCK_VERDICT_TAIL;
}


static void
mock_fault_indexed(mock_chat_t *x, unsigned index, const char *text)
{
    if (x->route.dialect->own) {
        mock_fault_say(x, index, text, strlen(text));
    } else {
        mock_fault_wire_indexed(x, index, text);
    }
}


/* Indexes 1, 0, 7; with count=N also N rising ones. */
mock_verdict_t
mock_fault_index_order(mock_chat_t *x)
{
    uint64_t  i, n;

    mock_fault_indexed(x, 1, " one");
    mock_fault_indexed(x, 0, " zero");
    mock_fault_indexed(x, 7, " seven");

    n = mock_fault_count(x, 0);

    for (i = 0; i < n; i++) {
        mock_fault_indexed(x, (unsigned) i, "+");
    }

    return MOCK_VERDICT_GO;
}


mock_verdict_t
mock_fault_unknown_type(mock_chat_t *x)
{
    static const char  data[] = "{\"type\":\"mock.unknown\",\"value\":1}";
    static const char  flow[] = "{\"event\":\"mock.unknown\",\"data\":1}";

    if (strcmp(x->route.dialect->name, "flowise") == 0) {
        mock_fault_data(x, NULL, flow, sizeof(flow) - 1);
    } else {
        mock_fault_data(x, "mock.unknown", data, sizeof(data) - 1);
    }

    return MOCK_VERDICT_GO;
}


/* Members in another order and with escapes; then a duplicate. */
mock_verdict_t
mock_fault_key_order(mock_chat_t *x)
{
    static const char  order[] = "{\"choices\":[{\"finish_reason\":null,"
        "\"delta\":{\"\\u0063ontent\":\" order\"},\"index\":0}],"
        "\"model\":\"m\",\"object\":\"chat.completion.chunk\",\"id\":\"i\"}";

    if (!x->route.dialect->own) {
        mock_fault_wire_order(x);
        return MOCK_VERDICT_GO;
    }

    mock_fault_data(x, NULL, order, sizeof(order) - 1);
    mock_fault_delta(x, 0, "{\"content\":\" first\",\"content\":"
                     "\" second\"}");

    return MOCK_VERDICT_GO;
}


/* count= brackets (100 000), 1 left open, 2 closed */
mock_verdict_t
mock_fault_deep(mock_chat_t *x)
{
    size_t       n;
    mock_buf_t  *b;

    n = (size_t) mock_fault_count(x, 100000);

    if (!x->route.dialect->own) {
        mock_fault_wire_deep(x, n, x->opt.variant == 2);
        return MOCK_VERDICT_GO;
    }

    b = &x->scratch;
    b->n = 0;
    mock_buf_lit(b, "{\"choices\":[{\"index\":0,\"delta\":{\"content\":"
                 "\" deep\"},\"deep\":");
    mock_buf_fill(b, '[', n);

    if (x->opt.variant == 2) {
        mock_buf_fill(b, ']', n);
        mock_buf_lit(b, "}]}");
    }

    mock_fault_data(x, NULL, (const char *) b->p, b->n);

    return MOCK_VERDICT_GO;
}


/* Every member that a reader looks at, with the wrong type. */
mock_verdict_t
mock_fault_types(mock_chat_t *x)
{
    size_t  i;

    static const char  *deltas[] = {
        "{\"content\":1}", "{\"content\":null}", "{\"content\":[\"a\"]}",
        "{\"content\":{\"text\":\"a\"}}", "{\"content\":true}",
        "{\"role\":7,\"content\":\" ok\"}", "{\"tool_calls\":{}}",
        "{\"tool_calls\":[1,null]}", "{\"refusal\":false}", "null", "[]",
        "\"text\"", "3"
    };
    static const char  *events[] = {
        "{\"choices\":{\"index\":0}}", "{\"choices\":null}",
        "{\"choices\":\"x\"}", "{\"choices\":[null,1,[]]}",
        "{\"choices\":[{\"index\":\"0\",\"finish_reason\":5}]}",
        "{\"choices\":[],\"usage\":[]}",
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":\"1\"}}",
        "{\"id\":5,\"model\":[],\"created\":\"now\",\"choices\":[]}"
    };

    if (!x->route.dialect->own) {
        mock_fault_wire_types(x);
        return MOCK_VERDICT_GO;
    }

    for (i = 0; i < sizeof(deltas) / sizeof(deltas[0]); i++) {
        mock_fault_delta(x, 0, deltas[i]);
    }

    for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        mock_fault_data(x, NULL, events[i], strlen(events[i]));
    }

    return MOCK_VERDICT_GO;
}
