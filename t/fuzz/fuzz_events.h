/*
 * Bytes of a fuzzer, read as what a model says: a list of events as our
 * decoders give them, whatever the bytes are.  It knows no dialect.
 *
 * Slices are characters, or the inside of a JSON string; a fragment of a
 * call's arguments ends between characters or escapes, never inside.  Calls
 * are numbered 0, 1, ... by choice, may be interleaved, and their arguments
 * are one JSON object in all.  Nothing of a choice follows its FINISH.
 */

#ifndef FUZZ_EVENTS_H
#define FUZZ_EVENTS_H

#include "fuzz_support.h"
#include "llm_event.h"
#include "llm_utf8.h"


#define FUZZ_EVENTS   96
#define FUZZ_STRINGS  1024
#define FUZZ_CHOICES  3
#define FUZZ_CALLS    6

/* a call that was begun */
typedef struct {
    llm_slice_t     args;
    size_t          said;       /* bytes of them */
} fuzz_call_t;

typedef struct {
    const uint8_t  *p;          /* what is left of the input */
    const uint8_t  *end;
    llm_event_t     ev[FUZZ_EVENTS];
    unsigned        n;
    llm_usage_t     total;      /* what all USAGE events say a part of */
    llm_usage_t     usage[FUZZ_EVENTS];
    llm_error_t     error;
    fuzz_call_t     calls[FUZZ_CHOICES][FUZZ_CALLS];
    unsigned        ncalls[FUZZ_CHOICES];
    unsigned        finished[FUZZ_CHOICES];
    unsigned        refused[FUZZ_CHOICES];  /* log probabilities: 1: of a
                                               refusal, 2: of the text */
    unsigned        nchoices;
    unsigned        in_order;   /* calls follow each other */
    llm_u8         *strings[FUZZ_STRINGS];
    unsigned        nstrings;
} fuzz_events_t;


static inline unsigned
fuzz_take(fuzz_events_t *l)
{
    return l->p < l->end ? *l->p++ : 0;
}


static inline void
fuzz_put(llm_block_t *b, const char *s)
{
    FUZZ_CHECK(llm_block_append(b, &fuzz_alloc, s, strlen(s)) == LLM_OK);
}


/* A block as a slice that lives as long as the list. */
static inline llm_slice_t
fuzz_keep(fuzz_events_t *l, llm_block_t *b, unsigned escaped)
{
    llm_slice_t  s;

    FUZZ_CHECK(l->nstrings < FUZZ_STRINGS);

    s.p = fuzz_copy(b->p, b->n);
    s.n = b->n;
    s.escaped = escaped;

    l->strings[l->nstrings++] = (llm_u8 *) (uintptr_t) s.p;
    llm_block_free(b, &fuzz_alloc);

    return s;
}


/* One piece of a text: as characters, or as the inside of a JSON string. */
static inline void
fuzz_piece_of(llm_block_t *b, unsigned which, unsigned escaped)
{
    size_t  k;
    char    ascii[2];

    static const struct {
        const char  *escaped;
        const char  *raw;
    } pieces[] = {
        { "\\n", "\n" }, { "\\r\\n", "\r\n" }, { "\\t", "\t" },
        { "\\\"", "\"" }, { "\\\\", "\\" }, { "\\/", "/" },
        { "\\u0000", "\x01" }, { "\\u001f", "\x1f" }, { "\x7f", "\x7f" },
        { "\xc3\xa9", "\xc3\xa9" }, { "\\u00e9", "\xc3\xa9" },
        { "\xe6\xb0\xb4", "\xe6\xb0\xb4" },
        { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
        { "\\ud83d\\ude00", "\xf0\x9f\x98\x80" },
        { "\\ud83d", "x" }, { "\\ude00", "y" }, { "\\uD83D", "z" },
        { "\xe2\x80\xa8", "\xe2\x80\xa8" }, { "\\u2028", "\xe2\x80\xa9" },
        { "\xc2\x85", "\xc2\x85" }, { "\\ufffe", "\xef\xbf\xbe" },
        { "\\b\\f", "\b\f" }, { "\xef\xbb\xbf", "\xef\xbb\xbf" },
        { "[DONE]", "[DONE]" }, { "\\n\\ndata: x", "\n\ndata: x" },
        { "<think>", "<think>" }, { "</think>", "</think>" },
        { "{\\\"a\\\":1}", "{\"a\":1}" }, { "}]", "}]" }, { ": ", ": " },
        { "\\u003c", "<" }, { "'&", "'&" }
    };

    k = sizeof(pieces) / sizeof(pieces[0]);

    if (which % 128 < k) {
        fuzz_put(b, escaped ? pieces[which % 128].escaped
                            : pieces[which % 128].raw);
        return;
    }

    ascii[0] = (char) ('a' + which % 26);
    ascii[1] = '\0';
    fuzz_put(b, ascii);
}


/* A text of `least` pieces or more; inside: of a string in any case. */
static inline llm_slice_t
fuzz_text_as(fuzz_events_t *l, unsigned least, unsigned inside)
{
    unsigned     n, escaped;
    llm_block_t  b;

    memset(&b, 0, sizeof(llm_block_t));

    n = fuzz_take(l);
    escaped = inside || (n & 1) == 0;
    n = least + (n >> 1) % 9;

    while (n-- != 0) {
        fuzz_piece_of(&b, fuzz_take(l), escaped);
    }

    return fuzz_keep(l, &b, escaped);
}


static inline llm_slice_t
fuzz_text(fuzz_events_t *l, unsigned least)
{
    return fuzz_text_as(l, least, 0);
}


/* Half of the time absent, or empty. */
static inline llm_slice_t
fuzz_maybe(fuzz_events_t *l)
{
    unsigned  n;

    n = fuzz_take(l);

    return n % 4 == 0 ? llm_slice_null
           : n % 4 == 1 ? llm_slice("") : fuzz_text(l, 1);
}


/* A JSON string. */
static inline void
fuzz_json_string(fuzz_events_t *l, llm_block_t *b)
{
    unsigned  n;

    fuzz_put(b, "\"");

    for (n = fuzz_take(l) % 6; n != 0; n--) {
        fuzz_piece_of(b, fuzz_take(l), 1);
    }

    fuzz_put(b, "\"");
}


/* A JSON value; lists of up to three, `depth` levels at most. */
static inline void
fuzz_json_value(fuzz_events_t *l, llm_block_t *b)
{
    unsigned  n;

    static const char *const  values[] = {
        "0", "-1", "1e5", "-0.5E-3", "12345678901234567890", "true",
        "false", "null", "{}", "[]", "[ ]", "{ }", "[1, [2,{\"x\":[]}]]",
        "{\"a\" :{\"b\":\"}\"}}", "\"\"", "\"\\\\\"", "[\"]\",\"\\\"\"]"
    };

    n = fuzz_take(l);

    if (n & 1) {
        fuzz_json_string(l, b);
        return;
    }

    n = (n >> 1) % (sizeof(values) / sizeof(values[0]));
    fuzz_put(b, values[n]);
}


/* The arguments of a call: a JSON object, "" for none. */
static inline void
fuzz_object(fuzz_events_t *l, llm_block_t *b)
{
    char      key[16];
    unsigned  i, n, space;

    n = fuzz_take(l);
    space = n & 8;

    if (n == 0) {
        return;
    }

    fuzz_put(b, n & 16 ? " {" : "{");

    for (i = 0; i < n % 4; i++) {
        sprintf(key, "%s\"k%u", i ? "," : "", i);
        fuzz_put(b, space ? "\n  " : "");
        fuzz_put(b, key);
        fuzz_piece_of(b, fuzz_take(l), 1);
        fuzz_put(b, space ? "\" : " : "\":");
        fuzz_json_value(l, b);
    }

    fuzz_put(b, n & 32 ? "}\n" : "}");
}


/* The arguments as a slice: raw, or the inside of a string in which every
 * quote, backslash and control is escaped, some as \uXXXX. */
static inline llm_slice_t
fuzz_args(fuzz_events_t *l)
{
    char         u[8];
    size_t       i;
    unsigned     form;
    llm_block_t  args, b;

    memset(&args, 0, sizeof(llm_block_t));
    memset(&b, 0, sizeof(llm_block_t));

    form = fuzz_take(l);
    fuzz_object(l, &args);

    if ((form & 3) == 0) {
        return fuzz_keep(l, &args, 0);
    }

    for (i = 0; i < args.n; i++) {

        if (args.p[i] < ' ' || ((form & 3) == 3 && args.p[i] < 0x40)) {
            sprintf(u, "\\u%04x", args.p[i]);
            fuzz_put(&b, u);
            continue;
        }

        if (args.p[i] == '"' || args.p[i] == '\\') {
            fuzz_put(&b, "\\");
        }

        FUZZ_CHECK(llm_block_append(&b, &fuzz_alloc, &args.p[i], 1)
                   == LLM_OK);
    }

    llm_block_free(&args, &fuzz_alloc);

    return fuzz_keep(l, &b, 1);
}


/* The bytes of up to k characters or escapes. */
static inline size_t
fuzz_units(const llm_u8 *p, size_t n, unsigned escaped, unsigned k)
{
    size_t  i;

    for (i = 0; i < n && k != 0; k--) {

        if (escaped && p[i] == '\\') {
            i += p[i + 1] == 'u' ? 6 : 2;
            continue;
        }

        for (i++; i < n && (p[i] & 0xc0) == 0x80; i++) { /* void */ }
    }

    return i;
}


static inline llm_slice_t
fuzz_fragment(fuzz_call_t *call, unsigned k)
{
    size_t       n;
    llm_slice_t  s;

    n = fuzz_units(call->args.p + call->said, call->args.n - call->said,
                   call->args.escaped, k);

    s.p = call->args.p + call->said;
    s.n = n;
    s.escaped = call->args.escaped;

    call->said += n;

    return s;
}


/* Room is kept for what must follow: see fuzz_events_read(). */
static inline llm_event_t *
fuzz_add(fuzz_events_t *l, llm_event_type_t type, unsigned choice)
{
    llm_event_t  *ev;

    FUZZ_CHECK(l->n < FUZZ_EVENTS);

    ev = &l->ev[l->n++];
    memset(ev, 0, sizeof(llm_event_t));

    ev->type = type;
    ev->choice = choice;
    ev->created = -1;
    ev->start = -1;
    ev->end = -1;

    return ev;
}


static inline void
fuzz_add_call(fuzz_events_t *l, unsigned choice)
{
    unsigned      k;
    llm_event_t  *ev;
    fuzz_call_t  *call;

    if (l->ncalls[choice] == FUZZ_CALLS) {
        return;
    }

    call = &l->calls[choice][l->ncalls[choice]];
    ev = fuzz_add(l, LLM_EV_TOOL_CALL, choice);

    ev->tool_index = l->ncalls[choice]++;
    ev->id = fuzz_maybe(l);
    ev->name = fuzz_text(l, 1);

    k = fuzz_take(l);
    ev->signature = k & 16 ? fuzz_maybe(l) : llm_slice_null;
    ev->whole = (k & 32) != 0;

    call->args = fuzz_args(l);
    ev->text = fuzz_fragment(call, ev->whole ? UINT32_MAX : k % 16);
}


/* The next fragment of a call. */
static inline void
fuzz_add_fragment(fuzz_events_t *l, unsigned choice, unsigned index,
    unsigned k)
{
    llm_event_t  *ev;
    fuzz_call_t  *call;

    call = &l->calls[choice][index];

    if (call->said == call->args.n) {
        return;
    }

    ev = fuzz_add(l, LLM_EV_TOOL_CALL, choice);
    ev->tool_index = index;
    ev->text = fuzz_fragment(call, k);
}


static inline void
fuzz_add_reasoning(fuzz_events_t *l, unsigned choice)
{
    unsigned      k;
    llm_event_t  *ev;

    ev = fuzz_add(l, LLM_EV_REASONING, choice);
    k = fuzz_take(l);

    if (k % 4 == 3) {
        ev->raw = fuzz_text_as(l, 1, 1);
        return;
    }

    if (k % 4 != 2) {
        ev->text = fuzz_text(l, 0);
    }

    if (k % 4 == 2 || k % 16 == 1) {
        ev->signature = fuzz_text(l, 1);
    }
}


static inline void
fuzz_add_logprobs(fuzz_events_t *l, unsigned choice)
{
    unsigned      i, n;
    llm_block_t   b;
    llm_event_t  *ev;

    static const char *const  rest[] = {
        ",\"logprob\":-0.5,\"bytes\":[104,105],\"top_logprobs\":[]}",
        ",\"logprob\":0,\"bytes\":null,\"top_logprobs\":[]}",
        ",\"logprob\":-9999.0,\"bytes\":[240,159],\"top_logprobs\":"
        "[{\"token\":\"b\",\"logprob\":-1e-3,\"bytes\":[98]}]}",
        ",\"logprob\":-0.00012,\"bytes\":[],\"top_logprobs\":"
        "[{\"token\":\"\\u00e9\",\"logprob\":-2,\"bytes\":null},"
        "{\"token\":\"\\\"\",\"logprob\":-3.25,\"bytes\":[34]}]}"
    };

    memset(&b, 0, sizeof(llm_block_t));

    n = fuzz_take(l);

    if (!l->refused[choice]) {
        l->refused[choice] = n & 64 ? 1 : 2;
    }

    /* of a text that came with them */

    ev = fuzz_add(l, l->refused[choice] == 1 ? LLM_EV_REFUSAL : LLM_EV_TEXT,
                  choice);
    ev->text = fuzz_text(l, 1);

    ev = fuzz_add(l, LLM_EV_LOGPROBS, choice);
    ev->refused = l->refused[choice] == 1;

    fuzz_put(&b, "[");

    for (i = 0; i < n % 4; i++) {
        fuzz_put(&b, i ? ", {\"token\":" : "{\"token\":");
        fuzz_json_string(l, &b);
        fuzz_put(&b, rest[fuzz_take(l) % 4]);
    }

    fuzz_put(&b, "]");

    ev->raw = fuzz_keep(l, &b, 0);
}


static inline void
fuzz_add_citation(fuzz_events_t *l, unsigned choice)
{
    char          url[16];
    unsigned      k;
    llm_block_t   b;
    llm_event_t  *ev;

    /* no source twice */

    memset(&b, 0, sizeof(llm_block_t));
    sprintf(url, "https://%u/", l->n);
    fuzz_put(&b, url);
    fuzz_piece_of(&b, fuzz_take(l), 1);

    ev = fuzz_add(l, LLM_EV_CITATION, choice);
    ev->id = fuzz_keep(l, &b, 1);
    ev->name = fuzz_maybe(l);
    ev->text = fuzz_maybe(l);

    k = fuzz_take(l);

    if (k & 1) {
        ev->start = k >> 1;
        ev->end = ev->start + fuzz_take(l);
    }
}


/* A part of what is known in all: counts are never taken back. */
static inline void
fuzz_add_usage(fuzz_events_t *l)
{
    unsigned      k;
    llm_event_t  *ev;
    llm_usage_t  *u;

    k = fuzz_take(l);
    k |= (k & 3) == 0 || (k & 16) ? 3 : 0;  /* a total of both */

    u = &l->usage[l->n];
    *u = llm_usage_none;

    u->input = k & 1 ? l->total.input : -1;
    u->output = k & 2 ? l->total.output : -1;
    u->cached = k & 4 ? l->total.cached : -1;
    u->reasoning = k & 8 ? l->total.reasoning : -1;
    u->total = k & 16 ? l->total.total : -1;
    u->cache_write = k & 32 ? l->total.cache_write : -1;

    ev = fuzz_add(l, LLM_EV_USAGE, 0);
    ev->usage = u;
}


static inline void
fuzz_add_finish(fuzz_events_t *l, unsigned choice)
{
    unsigned      i, k;
    llm_event_t  *ev;

    static const llm_slice_t  words[] = {
        llm_str("weird"), llm_str("a\\\"b"), llm_str("new_reason")
    };

    for (i = 0; i < l->ncalls[choice]; i++) {
        fuzz_add_fragment(l, choice, i, UINT32_MAX);
    }

    l->finished[choice] = 1;

    k = fuzz_take(l);
    ev = fuzz_add(l, LLM_EV_FINISH, choice);

    ev->finish = (llm_finish_t) (1 + k % 6);

    if (ev->finish == LLM_FINISH_OTHER) {
        ev->text = words[(k / 6) % 3];
        ev->text.escaped = 1;

    } else if (ev->finish == LLM_FINISH_STOP && k >= 128) {
        ev->name = fuzz_text(l, 1);
    }
}


/* One event, or none when it cannot come now. */
static inline void
fuzz_add_any(fuzz_events_t *l)
{
    unsigned      op, choice, k;
    llm_event_t  *ev;

    op = fuzz_take(l);
    choice = (op >> 4) % l->nchoices;

    if (l->finished[choice] && op % 16 < 12) {
        return;
    }

    if (l->in_order && op % 16 < 12 && op % 16 != 8 && l->ncalls[choice]) {
        fuzz_add_fragment(l, choice, l->ncalls[choice] - 1, UINT32_MAX);
    }

    switch (op % 16) {

    case 0: case 1: case 2:
        ev = fuzz_add(l, LLM_EV_TEXT, choice);
        ev->text = fuzz_text(l, 0);
        break;

    case 3:
        ev = fuzz_add(l, LLM_EV_REFUSAL, choice);
        ev->text = fuzz_text(l, 0);
        break;

    case 4: case 5:
        fuzz_add_reasoning(l, choice);
        break;

    case 6: case 7:
        fuzz_add_call(l, choice);
        break;

    case 8: case 9:
        k = fuzz_take(l);

        if (l->ncalls[choice] != 0) {
            fuzz_add_fragment(l, choice, l->in_order
                              ? l->ncalls[choice] - 1
                              : k % l->ncalls[choice], 1 + (k >> 4));
        }

        break;

    case 10:
        fuzz_add_logprobs(l, choice);
        break;

    case 11:
        fuzz_add_citation(l, choice);
        break;

    case 12:
        fuzz_add_usage(l);
        break;

    case 13:
        if (!l->finished[choice]) {
            fuzz_add_finish(l, choice);
        }

        break;

    case 14:
        (void) fuzz_add(l, LLM_EV_PING, 0);
        break;

    default:
        ev = fuzz_add(l, LLM_EV_META, 0);
        ev->name = llm_slice("extra");
        ev->raw = llm_slice("{\"a\": [1]}");
        break;
    }
}


static inline unsigned
fuzz_linesep(const llm_slice_t *s)
{
    return s->p != NULL && (llm_utf8_check(s->p, s->n) & LLM_UTF8_LINESEP);
}


static inline void
fuzz_events_free(fuzz_events_t *l)
{
    unsigned  i;

    for (i = 0; i < l->nstrings; i++) {
        free(l->strings[i]);
    }
}


/* Whether the i-th choice said something. */
static inline int
fuzz_is_seen(const fuzz_events_t *l, unsigned choice)
{
    unsigned  i;

    for (i = 0; i < l->n; i++) {
        if (l->ev[i].choice == choice && l->ev[i].type != LLM_EV_START
            && l->ev[i].type != LLM_EV_USAGE && l->ev[i].type != LLM_EV_PING
            && l->ev[i].type != LLM_EV_META)
        {
            return 1;
        }
    }

    return 0;
}


/* START or none, what is said, and a FINISH of each choice; no END. */
static inline void
fuzz_events_read(fuzz_events_t *l, const uint8_t *p, size_t n,
    unsigned in_order)
{
    unsigned      i, k;
    llm_event_t  *ev;

    memset(l, 0, sizeof(fuzz_events_t));

    l->p = p;
    l->end = p + n;
    l->in_order = in_order;

    k = fuzz_take(l);
    l->nchoices = k & 64 ? 1 + k % FUZZ_CHOICES : 1;

    l->total.cached = fuzz_take(l) * (k & 32 ? 1000003 : 1);
    l->total.cache_write = fuzz_take(l);
    l->total.reasoning = fuzz_take(l);
    l->total.input = l->total.cached + l->total.cache_write + k;
    l->total.output = l->total.reasoning + fuzz_take(l);
    l->total.total = l->total.input + l->total.output;

    if (!(k & 128)) {
        ev = fuzz_add(l, LLM_EV_START, 0);
        ev->id = fuzz_maybe(l);
        ev->model = fuzz_maybe(l);
        ev->created = k & 16 ? 1700000000 + (int64_t) k : -1;
    }

    l->error.message = llm_slice("It \\u00e9 failed: \\\"x\\\".");
    l->error.message.escaped = 1;
    l->error.cls = LLM_ERROR_SERVER;
    l->error.retry_after = -1;

    /* what follows: fragments of all calls and a FINISH, of each choice */

    while (l->p < l->end
           && l->n + FUZZ_CHOICES * (FUZZ_CALLS + 1) + 10 < FUZZ_EVENTS)
    {
        fuzz_add_any(l);
    }

    for (i = 0; i < l->nchoices; i++) {
        if (!l->finished[i] && (i == 0 || fuzz_is_seen(l, i))) {
            fuzz_add_finish(l, i);
        }
    }

    for (i = 0; i < l->n; i++) {
        ev = &l->ev[i];
        ev->linesep = fuzz_linesep(&ev->text) || fuzz_linesep(&ev->id)
                      || fuzz_linesep(&ev->name) || fuzz_linesep(&ev->raw)
                      || fuzz_linesep(&ev->model)
                      || fuzz_linesep(&ev->signature);
    }
}


#endif /* FUZZ_EVENTS_H */
