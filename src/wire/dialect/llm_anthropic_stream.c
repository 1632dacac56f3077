/*
 * Anthropic messages: events to a client's stream.
 *
 *   message_start
 *   content_block_start, content_block_delta ..., content_block_stop   each
 *   message_delta    stop reason and usage: held until END
 *   message_stop     for END only
 *
 * Blocks follow each other: what was closed cannot be opened again.  Calls of
 * other dialects may be interleaved, though, fragment by fragment.  So a call
 * is kept open until its arguments are a whole JSON value; what comes for
 * another block before that waits, in order, as an answer that is gathered
 * within the encoder's bound.  As soon as the open call is whole the ones
 * that wait are written, up to the first that is not whole either, which is
 * then the open one.  The usual stream, call after call, never waits.  A call
 * also waits for its name.  At FINISH all is written, whole or not: arguments
 * that a limit cut are sent as they are, as Anthropic does.
 */

#include "llm_anthropic.h"


#define LLM_ANTHROPIC_FRAME(type)                                           \
    "event: " type "\ndata: {\"type\":\"" type "\""


static void
llm_anthropic_frame(llm_encoder_t *e, llm_anthropic_stream_t *s,
    const char *head, size_t n)
{
    llm_out(e->out, head, n);
    llm_out_lit(e->out, ",\"index\":");
    llm_write_int(e->out, s->blocks - 1);
}


/* content_block_delta up to the value of its delta's only member. */
static void
llm_anthropic_delta(llm_encoder_t *e, llm_anthropic_stream_t *s,
    const char *delta, size_t n)
{
    llm_anthropic_frame(e, s, LLM_ANTHROPIC_FRAME("content_block_delta"),
                  sizeof(LLM_ANTHROPIC_FRAME("content_block_delta")) - 1);
    llm_out(e->out, delta, n);
}

#define llm_anthropic_delta_lit(e, s, type, name)                           \
    llm_anthropic_delta(e, s,                                               \
        ",\"delta\":{\"type\":\"" type "\",\"" name "\":",                  \
        sizeof(",\"delta\":{\"type\":\"" type "\",\"" name "\":") - 1)


static void
llm_anthropic_string(llm_encoder_t *e, const llm_slice_t *s,
    unsigned linesep)
{
    llm_write_string(e->out, s, linesep);
    llm_out_lit(e->out, "}}\n\n");
}


static void
llm_anthropic_begin_stream(llm_encoder_t *e, llm_anthropic_stream_t *s,
    const llm_event_t *ev)
{
    llm_slice_t  id, model;

    id = llm_slice_null;
    model = llm_slice_null;

    if (ev->type == LLM_EV_START) {
        id = ev->id;
        model = ev->model;
    }

    s->started = 1;
    s->usage = llm_usage_none;
    llm_answer_init(&s->waiting);

    llm_out_lit(e->out, LLM_ANTHROPIC_FRAME("message_start") ",\"message\":");
    llm_anthropic_write_head(e, &id, &model, ev->linesep);
    llm_out_lit(e->out, "],\"stop_reason\":null,\"stop_sequence\":null,"
                "\"usage\":{\"input_tokens\":0,\"output_tokens\":0}}}\n\n");
}


static void
llm_anthropic_close_block(llm_encoder_t *e, llm_anthropic_stream_t *s)
{
    if (s->kind == LLM_ANTHROPIC_NONE) {
        return;
    }

    llm_anthropic_frame(e, s, LLM_ANTHROPIC_FRAME("content_block_stop"),
                  sizeof(LLM_ANTHROPIC_FRAME("content_block_stop")) - 1);
    llm_out_lit(e->out, "}\n\n");

    s->kind = LLM_ANTHROPIC_NONE;
}


/* Closes the open block and begins one: up to the members of its object. */
static void
llm_anthropic_open_block(llm_encoder_t *e, llm_anthropic_stream_t *s,
    llm_anthropic_kind_t kind)
{
    llm_anthropic_close_block(e, s);

    s->kind = kind;
    s->blocks++;
    s->sealed = 0;

    llm_anthropic_frame(e, s, LLM_ANTHROPIC_FRAME("content_block_start"),
                  sizeof(LLM_ANTHROPIC_FRAME("content_block_start")) - 1);
    llm_out_lit(e->out, ",\"content_block\":");
}


static void
llm_anthropic_want_text(llm_encoder_t *e, llm_anthropic_stream_t *s)
{
    if (s->kind != LLM_ANTHROPIC_TEXT) {
        llm_anthropic_open_block(e, s, LLM_ANTHROPIC_TEXT);
        llm_out_lit(e->out, "{\"type\":\"text\",\"text\":\"\"}}\n\n");
    }
}


/* A signature ends the thinking of its block. */
static void
llm_anthropic_want_thinking(llm_encoder_t *e, llm_anthropic_stream_t *s)
{
    if (s->kind != LLM_ANTHROPIC_THINKING || s->sealed) {
        llm_anthropic_open_block(e, s, LLM_ANTHROPIC_THINKING);
        llm_out_lit(e->out, "{\"type\":\"thinking\",\"thinking\":\"\","
                    "\"signature\":\"\"}}\n\n");
    }
}


static void
llm_anthropic_reasoning(llm_encoder_t *e, llm_anthropic_stream_t *s,
    const llm_event_t *ev)
{
    if (ev->text.n != 0) {
        llm_anthropic_want_thinking(e, s);
        llm_anthropic_delta_lit(e, s, "thinking_delta", "thinking");
        llm_anthropic_string(e, &ev->text, ev->linesep);
    }

    if (ev->signature.n != 0) {
        llm_anthropic_want_thinking(e, s);
        llm_anthropic_delta_lit(e, s, "signature_delta", "signature");
        llm_anthropic_string(e, &ev->signature, ev->linesep);
        s->sealed = 1;
    }

    if (ev->raw.n != 0) {
        llm_anthropic_open_block(e, s, LLM_ANTHROPIC_OTHER);
        llm_out_lit(e->out, "{\"type\":\"redacted_thinking\",\"data\":");
        llm_anthropic_string(e, &ev->raw, ev->linesep);
    }
}


/* Follows the arguments of the open call: one character of them. */
static inline void
llm_anthropic_args_char(llm_anthropic_args_t *a, llm_u8 ch)
{
    if (a->escape) {
        a->escape = 0;

    } else if (a->string) {
        a->escape = ch == '\\';
        a->string = ch != '"';

    } else if (ch == '"') {
        a->string = 1;

    } else if (ch == '{' || ch == '[') {
        a->begun = 1;
        a->depth++;

    } else if ((ch == '}' || ch == ']') && a->depth != 0) {
        a->depth--;
    }
}


static void
llm_anthropic_args(llm_anthropic_args_t *a, const llm_slice_t *s)
{
    size_t         n;
    llm_u8         ch[6];
    const llm_u8  *p, *end;

    end = s->p + s->n;

    for (p = s->p; p < end; p++) {

        if (!s->escaped || *p != '\\' || end - p < 2) {
            llm_anthropic_args_char(a, *p);
            continue;
        }

        /* an escape of the string that the arguments are the inside of */

        n = p[1] == 'u' && end - p >= 6 ? 6 : 2;
        (void) llm_json_unescape(ch, p, n);
        llm_anthropic_args_char(a, ch[0]);
        p += n - 1;
    }
}


static inline int
llm_anthropic_has_begun(const llm_anthropic_stream_t *s, unsigned n)
{
    return (s->begun[n / 32] & (uint32_t) 1 << (n % 32)) != 0;
}


static inline int
llm_anthropic_whole(const llm_anthropic_stream_t *s)
{
    return s->kind != LLM_ANTHROPIC_TOOL
           || (s->args.begun && s->args.depth == 0);
}


static void
llm_anthropic_fragment(llm_encoder_t *e, llm_anthropic_stream_t *s,
    const llm_event_t *ev)
{
    if (ev->text.n != 0) {
        llm_anthropic_delta_lit(e, s, "input_json_delta", "partial_json");
        llm_anthropic_string(e, &ev->text, ev->linesep);
        llm_anthropic_args(&s->args, &ev->text);
    }

    if (ev->whole) {
        s->args.begun = 1;
        s->args.depth = 0;
    }
}


static void
llm_anthropic_call(llm_encoder_t *e, llm_anthropic_stream_t *s,
    const llm_event_t *ev)
{
    llm_slice_t  name;

    name = ev->name.p != NULL ? ev->name : llm_slice("");

    llm_anthropic_open_block(e, s, LLM_ANTHROPIC_TOOL);
    llm_out_lit(e->out, "{\"type\":\"tool_use\",\"id\":");
    llm_anthropic_write_call_id(e, &ev->id, &name, s->blocks, ev->linesep);
    llm_out_lit(e->out, ",\"name\":");
    llm_write_string(e->out, &name, ev->linesep);
    llm_out_lit(e->out, ",\"input\":{}}}\n\n");

    s->calls++;
    s->tool_index = ev->tool_index;
    s->begun[ev->tool_index / 32] |= (uint32_t) 1 << (ev->tool_index % 32);
    memset(&s->args, 0, sizeof(llm_anthropic_args_t));

    llm_anthropic_fragment(e, s, ev);
}


/* Writes what an event says, in the open block or in one of its own. */
static void
llm_anthropic_say(llm_encoder_t *e, llm_anthropic_stream_t *s,
    const llm_event_t *ev)
{
    switch (ev->type) {

    case LLM_EV_REFUSAL:
        s->refused = 1;

        /* fall through */

    case LLM_EV_TEXT:
        llm_anthropic_want_text(e, s);
        llm_anthropic_delta_lit(e, s, "text_delta", "text");
        llm_anthropic_string(e, &ev->text, ev->linesep);
        break;

    case LLM_EV_REASONING:
        llm_anthropic_reasoning(e, s, ev);
        break;

    case LLM_EV_TOOL_CALL:
        llm_anthropic_call(e, s, ev);
        break;

    default:    /* LLM_EV_CITATION */
        llm_anthropic_want_text(e, s);
        llm_anthropic_delta_lit(e, s, "citations_delta", "citation");
        llm_anthropic_write_citation(e->out, ev);
        llm_out_lit(e->out, "}}\n\n");
        break;
    }
}


static void
llm_anthropic_say_item(llm_encoder_t *e, llm_anthropic_stream_t *s,
    const llm_item_t *item)
{
    llm_event_t  ev;

    llm_anthropic_item_event(&ev, item);
    llm_anthropic_say(e, s, &ev);
}


static size_t
llm_anthropic_nwaiting(const llm_anthropic_stream_t *s)
{
    const llm_choice_t  *c;

    c = llm_answer_choice(&s->waiting, 0);

    return c != NULL ? llm_choice_nitems(c) : 0;
}


/* Writes what waits, as far as the open call is whole; force: all. */
static void
llm_anthropic_pump(llm_encoder_t *e, llm_anthropic_stream_t *s,
    unsigned force)
{
    size_t             n;
    const llm_item_t  *item;

    n = llm_anthropic_nwaiting(s);

    if (n == 0 || e->rc != LLM_OK) {
        return;
    }

    while (s->written < n) {
        item = &llm_choice_items(llm_answer_choice(&s->waiting, 0))
                   [s->written];

        if (!force && (!llm_anthropic_whole(s)
                       || (item->type == LLM_EV_TOOL_CALL
                           && item->name.n == 0)))
        {
            return;
        }

        s->written++;
        llm_anthropic_say_item(e, s, item);
    }

    llm_answer_free(e, &s->waiting);
    llm_answer_init(&s->waiting);
    s->written = 0;
}


/*
 * An answer keeps its calls in the order of their indexes: a new one may
 * stand before those that were written.  It is put behind them.
 */
static void
llm_anthropic_reorder(llm_anthropic_stream_t *s)
{
    size_t         i;
    llm_item_t    *items, item;
    llm_choice_t  *c;

    c = llm_answer_choices(&s->waiting);
    items = llm_choice_items(c);

    for (i = 0; i < s->written; i++) {
        if (items[i].type == LLM_EV_TOOL_CALL
            && !llm_anthropic_has_begun(s, items[i].tool_index))
        {
            item = items[i];
            memmove(&items[i], &items[i + 1],
                    (s->written - i) * sizeof(llm_item_t));
            items[s->written] = item;
            return;
        }
    }
}


static void
llm_anthropic_wait(llm_encoder_t *e, llm_anthropic_stream_t *s,
    const llm_event_t *ev)
{
    llm_answer_event(e, &s->waiting, ev);

    if (s->written != 0) {
        llm_anthropic_reorder(s);
    }

    llm_anthropic_pump(e, s, 0);
}


/* An event of a call. */
static void
llm_anthropic_tool(llm_encoder_t *e, llm_anthropic_stream_t *s,
    const llm_event_t *ev)
{
    unsigned  n;

    n = ev->tool_index;

    if (n >= LLM_ANTHROPIC_CALLS) {
        e->rc = LLM_TOO_BIG;

    } else if (s->kind == LLM_ANTHROPIC_TOOL && s->tool_index == n) {
        llm_anthropic_fragment(e, s, ev);

        if (llm_anthropic_whole(s)) {
            llm_anthropic_pump(e, s, 0);
        }

    } else if (llm_anthropic_has_begun(s, n)) {

        /* its block was closed: only space may follow */

        if (!llm_anthropic_blank(&ev->text)) {
            e->rc = LLM_INVALID;
        }

    } else if (llm_anthropic_nwaiting(s) != 0 || !llm_anthropic_whole(s)
               || ev->name.n == 0)
    {
        llm_anthropic_wait(e, s, ev);

    } else {
        llm_anthropic_call(e, s, ev);
    }
}


/* All that waits, and the end of the open block. */
static void
llm_anthropic_settle(llm_encoder_t *e, llm_anthropic_stream_t *s)
{
    llm_anthropic_pump(e, s, 1);

    if (e->rc == LLM_OK) {
        llm_anthropic_close_block(e, s);
    }
}


static void
llm_anthropic_keep(llm_encoder_t *e, llm_anthropic_stream_t *s,
    llm_block_t *b, const llm_slice_t *v, unsigned linesep)
{
    s->total -= b->n;
    b->n = 0;

    if (v->n != 0 && e->rc == LLM_OK) {
        e->rc = llm_gather(e, b, &s->total, v, linesep);
    }
}


/* The extras of our own dialect go out as they came; there are none of
 * others that this one could say. */
static void
llm_anthropic_extra(llm_encoder_t *e, llm_anthropic_stream_t *s,
    const llm_event_t *ev)
{
    llm_slice_t  raw;

    if (llm_json_is(&ev->name, LLM_ANTHROPIC_STOP)) {
        raw = ev->raw;
        raw.escaped = 1;
        llm_anthropic_keep(e, s, &s->details, &raw, ev->linesep);

    } else if (llm_json_is(&ev->name, LLM_ANTHROPIC_BLOCK)) {
        llm_anthropic_settle(e, s);
        llm_anthropic_open_block(e, s, LLM_ANTHROPIC_OTHER);
        llm_write_json(e->out, &ev->raw, ev->linesep);
        llm_out_lit(e->out, "}\n\n");

    } else if (llm_json_is(&ev->name, LLM_ANTHROPIC_DELTA)
               && s->kind == LLM_ANTHROPIC_OTHER)
    {
        llm_anthropic_frame(e, s,
                  LLM_ANTHROPIC_FRAME("content_block_delta"),
                  sizeof(LLM_ANTHROPIC_FRAME("content_block_delta")) - 1);
        llm_out_lit(e->out, ",\"delta\":");
        llm_write_json(e->out, &ev->raw, ev->linesep);
        llm_out_lit(e->out, "}\n\n");
    }
}


static void
llm_anthropic_error_frame(llm_encoder_t *e, const llm_error_t *err)
{
    llm_out_lit(e->out, "event: error\ndata: ");
    llm_anthropic_error_body(e->out, err);
    llm_out_lit(e->out, "\n\n");
}


static void
llm_anthropic_end(llm_encoder_t *e, llm_anthropic_stream_t *s)
{
    llm_error_t  err;
    llm_slice_t  details;

    llm_anthropic_settle(e, s);

    if (e->rc != LLM_OK) {
        return;
    }

    if (s->finish == LLM_FINISH_ERROR) {

        /* no reason of this dialect says so */

        memset(&err, 0, sizeof(llm_error_t));
        err.cls = LLM_ERROR_SERVER;
        err.message = llm_slice("The provider ended the answer with an "
                                "error.");
        llm_anthropic_error_frame(e, &err);
        return;
    }

    llm_out_lit(e->out, LLM_ANTHROPIC_FRAME("message_delta") ",\"delta\":{");
    llm_anthropic_write_reason(e->out, s->finish, &s->word, &s->stop,
                               s->refused, s->calls);

    if (s->details.n != 0) {
        details = llm_gathered(&s->details);
        llm_out_lit(e->out, ",\"stop_details\":");
        llm_write_json(e->out, &details, 0);
    }

    llm_out_lit(e->out, "},\"usage\":");
    llm_anthropic_write_usage(e->out, &s->usage, 0);
    llm_out_lit(e->out, "}\n\n" LLM_ANTHROPIC_FRAME("message_stop") "}\n\n");
}


/* An event of choice 0 that says something. */
static void
llm_anthropic_encode_choice(llm_encoder_t *e, llm_anthropic_stream_t *s,
    const llm_event_t *ev)
{
    switch (ev->type) {

    case LLM_EV_FINISH:
        llm_anthropic_settle(e, s);
        s->finish = ev->finish;
        llm_anthropic_keep(e, s, &s->word, &ev->text, ev->linesep);
        llm_anthropic_keep(e, s, &s->stop, &ev->name, ev->linesep);
        break;

    case LLM_EV_META:
        llm_anthropic_extra(e, s, ev);
        break;

    case LLM_EV_TOOL_CALL:
        llm_anthropic_tool(e, s, ev);
        break;

    default:    /* TEXT, REASONING, REFUSAL, CITATION */

        if (llm_anthropic_whole(s) && llm_anthropic_nwaiting(s) == 0) {
            llm_anthropic_say(e, s, ev);

        } else {
            llm_anthropic_wait(e, s, ev);
        }

        break;
    }
}


/* Whether an event says nothing that this dialect can say. */
static int
llm_anthropic_is_empty(const llm_event_t *ev)
{
    switch (ev->type) {

    case LLM_EV_PING: case LLM_EV_LOGPROBS:
        return 1;

    case LLM_EV_TEXT: case LLM_EV_REFUSAL:
        return ev->choice != 0 || ev->text.n == 0;

    case LLM_EV_REASONING:
        return ev->choice != 0
               || (ev->text.n == 0 && ev->signature.n == 0
                   && ev->raw.n == 0);

    case LLM_EV_TOOL_CALL: case LLM_EV_CITATION: case LLM_EV_FINISH:
        return ev->choice != 0;

    default:
        return 0;
    }
}


void
llm_anthropic_encode(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    llm_anthropic_stream_t  *s;

    s = state;

    if (ev->type == LLM_EV_ERROR) {
        llm_anthropic_error_frame(e, ev->error);
        return;
    }

    if (e->rc != LLM_OK || llm_anthropic_is_empty(ev)) {
        return;
    }

    if (!s->started) {
        llm_anthropic_begin_stream(e, s, ev);
    }

    switch (ev->type) {

    case LLM_EV_START:
        break;

    case LLM_EV_USAGE:
        llm_usage_merge(&s->usage, ev->usage);
        break;

    case LLM_EV_END:
        llm_anthropic_end(e, s);
        break;

    default:
        llm_anthropic_encode_choice(e, s, ev);
        break;
    }
}


void
llm_anthropic_stream_drop(llm_encoder_t *e, void *state)
{
    llm_anthropic_stream_t  *s;

    s = state;

    llm_answer_free(e, &s->waiting);
    llm_block_free(&s->word, &e->alloc);
    llm_block_free(&s->stop, &e->alloc);
    llm_block_free(&s->details, &e->alloc);
}
