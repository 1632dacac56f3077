/*
 * The events of a completion in every dialect but OpenAI's chat: each event
 * of the plan becomes events of the wire library, whose encoder writes them.
 * It has a state, so they are made in order; what was made last is kept, so
 * that an event can be built again, and a dry run starts over.
 */

#include <string.h>

#include "llm_encode.h"
#include "mock_chat.h"


#define MOCK_SIGNATURE  "bW9jay1zaWduYXR1cmU="


/* id and model may hold what a fault put there: they are not escaped anew. */
static void
mock_chat_start_event(const mock_chat_t *x, llm_event_t *ev,
    mock_buf_t *id)
{
    mock_buf_str(id, x->route.dialect->id);
    mock_buf_str(id, x->answer->record->id);
    mock_buf_str(id, x->id_more ? x->id_more : "");

    mock_wire_event(ev, LLM_EV_START, 0);
    ev->id = mock_wire_inside(id->p, id->n);
    ev->model = mock_wire_inside(x->req.model.p, x->req.model.n);
    ev->created = x->opt.created;
}


static void
mock_chat_usage_said(const mock_chat_t *x, llm_usage_t *u)
{
    mock_counts_t  c;

    mock_chat_counts(x, &c);
    *u = llm_usage_none;
    u->input = (int64_t) c.input;
    u->output = (int64_t) c.output;
    u->cached = 0;
    u->total = u->input + u->output;

    if (c.reasoning) {
        u->reasoning = (int64_t) c.reasoning;
    }
}


static void
mock_chat_wire_start(mock_chat_t *x)
{
    size_t       at;
    mock_buf_t   id, input;
    llm_event_t  ev;
    llm_usage_t  u;

    static const char  first[] = "\"input_tokens\":0";

    memset(&id, 0, sizeof(id));
    mock_chat_start_event(x, &ev, &id);
    mock_wire_encode(&x->wire, &x->bytes, &ev);
    mock_buf_free(&id);

    /* the encoder is made for those who do not know it yet */
    at = mock_wire_find(&x->bytes, 0, x->bytes.n, first);

    if (x->route.dialect->usage_first && x->opt.usage != MOCK_USAGE_OFF
        && at != SIZE_MAX)
    {
        memset(&input, 0, sizeof(input));
        mock_chat_usage_said(x, &u);
        mock_buf_uint(&input, (uint64_t) u.input);
        at += sizeof(first) - 2;
        mock_wire_splice(&x->bytes, at, at + 1, input.p, input.n);
        mock_buf_free(&input);
    }
}


static void
mock_chat_wire_reasoning(mock_chat_t *x, unsigned choice, uint64_t i)
{
    llm_event_t  ev;

    mock_chat_tokens(x, MOCK_KIND_REASONING, choice, i);
    mock_wire_event(&ev, LLM_EV_REASONING, choice);
    ev.text = mock_wire_chars(&x->token);
    mock_wire_encode(&x->wire, &x->bytes, &ev);

    if (x->opt.signature && (int64_t) i == x->opt.reasoning - 1) {
        ev.text = llm_slice("");
        ev.signature = llm_slice(MOCK_SIGNATURE);
        mock_wire_encode(&x->wire, &x->bytes, &ev);
    }
}


static void
mock_chat_wire_text(mock_chat_t *x, unsigned choice, uint64_t i)
{
    mock_buf_t   list;
    llm_event_t  ev;

    mock_chat_tokens(x, MOCK_KIND_CONTENT, choice, i);
    mock_wire_event(&ev, x->opt.refusal ? LLM_EV_REFUSAL : LLM_EV_TEXT,
                    choice);
    ev.text = mock_wire_chars(&x->token);

    mock_wire_encode(&x->wire, &x->bytes, &ev);

    if (x->opt.logprobs && !x->opt.refusal) {
        memset(&list, 0, sizeof(list));
        mock_buf_lit(&list, "[");
        mock_chat_logprobs(x, &list);
        mock_buf_lit(&list, "]");

        mock_wire_event(&ev, LLM_EV_LOGPROBS, choice);
        ev.raw = mock_wire_chars(&list);
        mock_wire_encode(&x->wire, &x->bytes, &ev);
        mock_buf_free(&list);
    }
}


/* A citation of the first word; one buffer for both of its strings. */
static void
mock_chat_citation_said(llm_event_t *ev, mock_buf_t *b, unsigned choice,
    uint64_t i)
{
    size_t  link;

    static const char  cited[] = "Lorem";

    mock_wire_event(ev, LLM_EV_CITATION, choice);
    mock_chat_link(b, i);
    link = b->n;
    mock_buf_fmt(b, "Source %llu", (unsigned long long) i + 1);

    ev->id = (llm_slice_t) { b->p, link, 0 };
    ev->name = (llm_slice_t) { b->p + link, b->n - link, 0 };
    ev->text = llm_slice(cited);
    ev->start = 0;
    ev->end = sizeof(cited) - 1;
}


/* A call: the whole of it, or (i % pieces) its name or a fragment of its
 * arguments. */
static void
mock_chat_call_said(const mock_chat_t *x, llm_event_t *ev, mock_buf_t *b,
    unsigned choice, uint64_t call, unsigned piece)
{
    size_t    id;
    unsigned  f;

    mock_wire_event(ev, LLM_EV_TOOL_CALL, choice);
    ev->tool_index = (unsigned) call;

    mock_chat_call_id(b, choice, call);
    id = b->n;

    if (x->pieces == 1) {
        ev->whole = 1;

        for (f = 0; f < MOCK_CHAT_FRAGMENTS; f++) {
            mock_chat_arguments(b, f, call);
        }

    } else if (piece) {
        mock_chat_arguments(b, piece - 1, call);
    }

    ev->text = (llm_slice_t) { b->p + id, b->n - id, 0 };

    if (piece == 0) {
        ev->id = (llm_slice_t) { b->p, id, 0 };
        ev->name = llm_slice("get_weather");
    }
}


static void
mock_chat_finish_said(const mock_chat_t *x, llm_event_t *ev,
    unsigned choice)
{
    size_t  i;

    static const struct {
        const char    *word;
        llm_finish_t   finish;
    } rows[] = {
        { "stop", LLM_FINISH_STOP },
        { "length", LLM_FINISH_LENGTH },
        { "tool_calls", LLM_FINISH_TOOL_CALLS },
        { "content_filter", LLM_FINISH_CONTENT_FILTER },
        { "error", LLM_FINISH_ERROR }
    };

    mock_wire_event(ev, LLM_EV_FINISH, choice);
    ev->finish = LLM_FINISH_OTHER;
    ev->text = (llm_slice_t) { (const llm_u8 *) x->opt.finish,
                               strlen(x->opt.finish), 0 };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].word, x->opt.finish) == 0) {
            ev->finish = rows[i].finish;
        }
    }
}


/* What event k of the plan consists of, to x->bytes. */
static void
mock_chat_wire_event(mock_chat_t *x, uint64_t k)
{
    uint64_t     i;
    unsigned     choice;
    mock_buf_t   b;
    llm_event_t  ev;
    llm_usage_t  u;

    memset(&b, 0, sizeof(b));
    i = mock_chat_which(x, k, &choice);

    switch (mock_chat_kind(x, k)) {

    case MOCK_KIND_ROLE:
        if (choice == 0) {
            mock_chat_wire_start(x);
        }

        return;

    case MOCK_KIND_REASONING:
        mock_chat_wire_reasoning(x, choice, i);
        return;

    case MOCK_KIND_CONTENT:
        mock_chat_wire_text(x, choice, i);
        return;

    case MOCK_KIND_CITATION:
        mock_chat_citation_said(&ev, &b, choice, i);
        break;

    case MOCK_KIND_TOOL:
        mock_chat_call_said(x, &ev, &b, choice, i / x->pieces,
                            (unsigned) (i % x->pieces));
        break;

    case MOCK_KIND_FINISH:
        mock_chat_finish_said(x, &ev, choice);
        break;

    case MOCK_KIND_USAGE:
        mock_chat_usage_said(x, &u);
        mock_wire_event(&ev, LLM_EV_USAGE, 0);
        ev.usage = &u;
        break;

    default:
        mock_wire_event(&ev, LLM_EV_END, 0);
        break;
    }

    mock_wire_encode(&x->wire, &x->bytes, &ev);
    mock_buf_free(&b);
}


/* Takes the member that begins with `member` out of [from, to) of b, with
 * its comma.  Its value is a string without a quote in it. */
static size_t
mock_chat_strip(mock_buf_t *b, size_t from, size_t to, const char *member)
{
    size_t  at, end;

    at = mock_wire_find(b, from, to, member);

    if (at == SIZE_MAX) {
        return 0;
    }

    end = mock_wire_find(b, at + strlen(member), to, "\"");
    end = end == SIZE_MAX ? to : end + 1;

    if (b->p[at - 1] == ',') {
        at--;

    } else if (b->p[end] == ',') {
        end++;
    }

    mock_wire_splice(b, at, end, "", 0);

    return end - at;
}


/* Is it a terminator? */
static int
mock_chat_is_done(const mock_chat_t *x, const mock_frame_t *f)
{
    unsigned  i;

    for (i = 0; i < 2; i++) {
        if (x->route.dialect->done[i]
            && mock_wire_find(&x->bytes, f->data, f->data_end,
                              x->route.dialect->done[i]) != SIZE_MAX)
        {
            return 1;
        }
    }

    return 0;
}


/* The frame without what the fault leaves out.  Lines of NDJSON stay and
 * say that they are not the last. */
static void
mock_chat_left_out(mock_chat_t *x, mock_frame_t *f)
{
    size_t                 at;
    mock_buf_t            *b;
    const mock_dialect_t  *d;

    b = &x->bytes;
    d = x->route.dialect;

    if (x->no_finish && d->reason) {
        at = mock_chat_strip(b, f->data, f->data_end, d->reason);
        f->data_end -= at;
        f->end -= at;
    }

    if (x->no_finish && d->finish
        && mock_wire_find(b, f->data, f->data_end, d->finish) != SIZE_MAX)
    {
        mock_wire_splice(b, f->from, f->end, "", 0);
        f->end = f->from;
        return;
    }

    if (!x->no_done || !mock_chat_is_done(x, f)) {
        return;
    }

    if (x->wire.row->framing == LLM_FRAMING_NDJSON) {
        at = mock_wire_find(b, f->data, f->end, "\"done\":true");
        mock_wire_splice(b, at + 7, at + 11, "false", 5);
        f->end++;

    } else {
        mock_wire_splice(b, f->from, f->end, "", 0);
        f->end = f->from;
    }
}


void
mock_chat_begin(mock_chat_t *x)
{
    unsigned  usage;

    usage = x->req.include_usage || x->opt.usage == MOCK_USAGE_FORCE
            || x->opt.usage == MOCK_USAGE_FINISH;

    mock_wire_free(&x->wire);
    mock_wire_init(&x->wire, x->route.row, x->route.array, x->opt.created,
                   x->opt.seed);
    x->wire.e.usage = usage && x->opt.usage != MOCK_USAGE_OFF;
    x->encoded = 0;
}


void
mock_chat_encode(mock_chat_t *x, uint64_t k)
{
    mock_frame_t  f;

    if (k + 1 == x->encoded) {
        return;
    }

    if (k < x->encoded) {
        mock_chat_begin(x);
    }

    while (x->encoded <= k) {
        x->bytes.n = 0;
        mock_chat_wire_event(x, x->encoded++);
    }

    if (x->no_finish || x->no_done) {
        memset(&f, 0, sizeof(f));

        while (k >= x->edges[MOCK_KIND_TOOL]
               && mock_wire_next(&x->wire, &x->bytes, &f))
        {
            mock_chat_left_out(x, &f);
        }
    }
}


/* Bytes of the framing, with the line ends that are asked for. */
static void
mock_chat_put_lines(mock_chat_t *x, const unsigned char *p, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (p[i] == '\n' && !x->wire.e.array) {
            mock_buf_str(&x->event, x->eol);
        } else {
            mock_buf_add(&x->event, p + i, 1);
        }
    }
}


void
mock_chat_put(mock_chat_t *x, const mock_buf_t *bytes, uint64_t seq)
{
    int64_t               c;
    size_t                n;
    mock_frame_t          f;
    const unsigned char  *p;

    x->event.n = 0;
    x->event_at = 0;

    if (bytes->n == 0) {
        return;
    }

    for (c = 0; c < x->opt.comments; c++) {
        mock_buf_fmt(&x->event, ": keep-alive%s%s", x->eol, x->eol);
    }

    x->event_at = x->event.n;
    memset(&f, 0, sizeof(f));

    while (mock_wire_next(&x->wire, bytes, &f)) {
        p = bytes->p + f.data;
        n = f.data_end - f.data;
        mock_chat_put_lines(x, bytes->p + f.from, f.data - f.from);

        if (seq && n > 2 && p[0] == '{' && p[n - 1] == '}') {
            mock_buf_add(&x->event, p, n - 1);
            mock_chat_marks(x, &x->event, seq - 1);
            mock_buf_lit(&x->event, "}");

        } else {
            mock_buf_add(&x->event, p, n);
        }

        mock_chat_put_lines(x, bytes->p + f.data_end, f.end - f.data_end);
    }

    mock_buf_add(&x->event, bytes->p + f.end, bytes->n - f.end);
}


/* The texts of one choice. */
static void
mock_chat_gather_texts(mock_chat_t *x, llm_answer_t *a, unsigned choice)
{
    mock_buf_t   b;
    llm_event_t  ev;

    memset(&b, 0, sizeof(b));

    if (x->opt.reasoning) {
        mock_chat_whole(x, MOCK_KIND_REASONING, choice, &b);
        mock_wire_event(&ev, LLM_EV_REASONING, choice);
        ev.text = mock_wire_inside(b.p, b.n);

        if (x->opt.signature) {
            ev.signature = llm_slice(MOCK_SIGNATURE);
        }

        mock_wire_gather(&x->wire, a, &ev);
        b.n = 0;
    }

    if (x->opt.tokens) {
        mock_chat_whole(x, MOCK_KIND_CONTENT, choice, &b);
        mock_wire_event(&ev, x->opt.refusal ? LLM_EV_REFUSAL : LLM_EV_TEXT,
                        choice);
        ev.text = mock_wire_inside(b.p, b.n);
        mock_wire_gather(&x->wire, a, &ev);
    }

    mock_buf_free(&b);
}


static void
mock_chat_gather_logprobs(mock_chat_t *x, llm_answer_t *a, unsigned choice)
{
    int64_t      k;
    mock_buf_t   b;
    llm_event_t  ev;

    memset(&b, 0, sizeof(b));
    mock_buf_lit(&b, "[");

    for (k = 0; k < x->opt.tokens; k++) {
        mock_buf_str(&b, k ? "," : "");
        mock_chat_tokens(x, MOCK_KIND_CONTENT, choice, (uint64_t) k);
        mock_chat_logprobs(x, &b);
    }

    mock_buf_lit(&b, "]");
    mock_wire_event(&ev, LLM_EV_LOGPROBS, choice);
    ev.raw = mock_wire_chars(&b);
    mock_wire_gather(&x->wire, a, &ev);
    mock_buf_free(&b);
}


static void
mock_chat_gather_choice(mock_chat_t *x, llm_answer_t *a, unsigned choice)
{
    int64_t      i;
    mock_buf_t   b;
    llm_event_t  ev;

    memset(&b, 0, sizeof(b));
    mock_chat_gather_texts(x, a, choice);

    if (x->opt.logprobs && x->opt.tokens && !x->opt.refusal) {
        mock_chat_gather_logprobs(x, a, choice);
    }

    for (i = 0; i < x->opt.citations; i++) {
        b.n = 0;
        mock_chat_citation_said(&ev, &b, choice, (uint64_t) i);
        mock_wire_gather(&x->wire, a, &ev);
    }

    x->pieces = 1;

    for (i = 0; i < x->opt.tools; i++) {
        b.n = 0;
        mock_chat_call_said(x, &ev, &b, choice, (uint64_t) i, 0);
        mock_wire_gather(&x->wire, a, &ev);
    }

    mock_chat_finish_said(x, &ev, choice);
    mock_wire_gather(&x->wire, a, &ev);
    mock_buf_free(&b);
}


void
mock_chat_json(mock_chat_t *x)
{
    unsigned      i;
    mock_buf_t    id;
    llm_event_t   ev;
    llm_usage_t   u;
    llm_answer_t  a;

    memset(&id, 0, sizeof(id));
    llm_answer_init(&a);
    mock_wire_free(&x->wire);
    mock_wire_init(&x->wire, x->route.row, 0, x->opt.created, x->opt.seed);
    x->wire.e.usage = 1;

    mock_chat_start_event(x, &ev, &id);
    mock_wire_gather(&x->wire, &a, &ev);

    for (i = 0; i < x->req.n; i++) {
        mock_chat_gather_choice(x, &a, i);
    }

    if (x->opt.usage != MOCK_USAGE_OFF) {
        mock_chat_usage_said(x, &u);
        mock_wire_event(&ev, LLM_EV_USAGE, 0);
        ev.usage = &u;
        mock_wire_gather(&x->wire, &a, &ev);
    }

    mock_wire_answer(&x->wire, &a, &x->event);
    mock_buf_free(&id);
}
