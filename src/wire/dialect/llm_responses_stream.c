/*
 * OpenAI Responses: events to the life cycle of a response.  All that was
 * said is gathered, since the events that close a part, an item and the
 * response repeat it; within the encoder's bound.  It must never write a
 * terminator but for an END, nor anything behind it.
 *
 * A message or a reasoning item is open until another item begins.  Calls
 * stay open beside each other, as their fragments may come in turns.
 */

#include "llm_responses.h"


#define llm_responses_calls(s)                                              \
    ((llm_responses_opened_t *) (void *) (s)->calls.p)
#define llm_responses_ncalls(s)                                             \
    ((s)->calls.n / sizeof(llm_responses_opened_t))


static size_t
llm_responses_nitems(const llm_responses_stream_t *s)
{
    const llm_choice_t  *c;

    c = llm_answer_choice(&s->answer, 0);

    return c != NULL ? llm_choice_nitems(c) : 0;
}


static void
llm_responses_begin(llm_encoder_t *e, llm_responses_stream_t *s,
    const llm_event_t *ev)
{
    llm_responses_end_t  end;

    s->begun = 1;
    s->open.type = LLM_EV_START;
    s->open.part = LLM_EV_START;

    llm_answer_init(&s->answer);

    if (ev->type == LLM_EV_START) {
        llm_answer_event(e, &s->answer, ev);
    }

    if (e->rc != LLM_OK) {
        return;
    }

    memset(&end, 0, sizeof(llm_responses_end_t));
    end.status = "in_progress";
    end.incomplete = UINT32_MAX;

    llm_responses_life_event(e, s, "response.created", &end);
    llm_responses_life_event(e, s, "response.in_progress", &end);
}


/* Closes the open part, whose items end at `end`. */
static void
llm_responses_close_part(llm_encoder_t *e, llm_responses_stream_t *s,
    size_t end)
{
    const llm_choice_t  *c;

    c = llm_answer_choice(&s->answer, 0);

    if (s->open.part == LLM_EV_REASONING) {
        llm_responses_summary_done(e, s, c, end);

    } else if (s->open.part != LLM_EV_START) {
        llm_responses_text_done(e, s, c, end);

        if (s->open.part == LLM_EV_TEXT) {
            s->logprobs = c->logprobs.n;
        }
    }

    s->open.part = LLM_EV_START;
}


/* Closes the open item, other than a call. */
static void
llm_responses_close(llm_encoder_t *e, llm_responses_stream_t *s, size_t end,
    const char *status)
{
    if (s->open.type == LLM_EV_START) {
        return;
    }

    llm_responses_close_part(e, s, end);
    llm_responses_item_done(e, s, s->open.from, end, s->open.index, status);

    s->open.type = LLM_EV_START;
}


/* Begins a message or a reasoning item with the answer's item `from`. */
static void
llm_responses_open_item(llm_encoder_t *e, llm_responses_stream_t *s,
    llm_event_type_t type, size_t from)
{
    s->open.type = type;
    s->open.index = s->items++;
    s->open.from = from;
    s->open.parts = 0;

    llm_responses_added(e, s, type, from, s->open.index);
}


/* Begins a part of the open item, unless it is open. */
static void
llm_responses_open_part(llm_encoder_t *e, llm_responses_stream_t *s,
    llm_event_type_t type, size_t from)
{
    if (s->open.part == type) {
        return;
    }

    llm_responses_close_part(e, s, from);

    s->open.part = type;
    s->open.part_from = from;
    s->open.parts++;
    s->open.citations = 0;

    llm_responses_part_head(e, s);

    if (e->rc != LLM_OK) {
        s->open.part = LLM_EV_START;
        return;
    }

    if (type == LLM_EV_REASONING) {
        llm_responses_part_event(e, s,
                                 "response.reasoning_summary_part.added");
        llm_out_lit(e->out,
                    ",\"part\":{\"type\":\"summary_text\",\"text\":\"\"}");

    } else {
        llm_responses_part_event(e, s, "response.content_part.added");
        llm_out_lit(e->out, ",\"part\":");

        if (type == LLM_EV_TEXT) {
            llm_out_lit(e->out, "{\"type\":\"output_text\","
                        "\"annotations\":[],\"logprobs\":[],\"text\":\"\"}");

        } else {
            llm_out_lit(e->out, "{\"type\":\"refusal\",\"refusal\":\"\"}");
        }
    }

    llm_responses_event_end(e);
}


/* TEXT, REFUSAL, CITATION, LOGPROBS. */
static void
llm_responses_said(llm_encoder_t *e, llm_responses_stream_t *s,
    const llm_event_t *ev)
{
    size_t            n;
    llm_event_type_t  part;

    if (ev->type == LLM_EV_LOGPROBS && s->open.part != LLM_EV_TEXT) {

        /* of a token without characters: said when the text is whole */

        llm_answer_event(e, &s->answer, ev);
        return;
    }

    n = llm_responses_nitems(s);
    part = ev->type == LLM_EV_REFUSAL ? LLM_EV_REFUSAL : LLM_EV_TEXT;

    if (s->open.type != LLM_EV_TEXT) {
        llm_responses_close(e, s, n, "completed");
        llm_responses_open_item(e, s, LLM_EV_TEXT, n);
    }

    llm_responses_open_part(e, s, part, n);

    if (e->rc != LLM_OK) {
        return;
    }

    llm_answer_event(e, &s->answer, ev);

    if (e->rc == LLM_OK) {
        llm_responses_write_said(e, s, ev);
    }
}


static void
llm_responses_thought(llm_encoder_t *e, llm_responses_stream_t *s,
    const llm_event_t *ev)
{
    size_t               n, after;
    const llm_choice_t  *c;

    n = llm_responses_nitems(s);

    if (s->open.type != LLM_EV_REASONING) {
        llm_responses_close(e, s, n, "completed");
    }

    llm_answer_event(e, &s->answer, ev);

    if (e->rc != LLM_OK) {
        return;
    }

    c = llm_answer_choice(&s->answer, 0);
    after = llm_choice_nitems(c);

    if (s->open.type == LLM_EV_REASONING
        && llm_responses_item_end(c, s->open.from) != after)
    {
        llm_responses_close(e, s, n, "completed");
    }

    if (s->open.type != LLM_EV_REASONING) {
        llm_responses_open_item(e, s, LLM_EV_REASONING, n);
    }

    if (ev->text.n == 0) {
        return;
    }

    llm_responses_open_part(e, s, LLM_EV_REASONING, s->open.from);

    if (e->rc != LLM_OK) {
        return;
    }

    llm_responses_part_event(e, s, "response.reasoning_summary_text.delta");
    llm_out_lit(e->out, ",\"delta\":");
    llm_write_string(e->out, &ev->text, ev->linesep);
    llm_responses_event_end(e);
}


static llm_responses_opened_t *
llm_responses_opened(llm_responses_stream_t *s, unsigned tool_index)
{
    size_t                   i;
    llm_responses_opened_t  *call;

    for (i = llm_responses_ncalls(s); i != 0; i--) {
        call = &llm_responses_calls(s)[i - 1];

        if (call->tool_index == tool_index) {
            return call;
        }
    }

    return NULL;
}


static void
llm_responses_close_call(llm_encoder_t *e, llm_responses_stream_t *s,
    llm_responses_opened_t *call, const char *status)
{
    llm_slice_t        none;
    const llm_item_t  *item;

    if (call->closed) {
        return;
    }

    call->closed = 1;
    item = &llm_choice_items(llm_answer_choice(&s->answer, 0))[call->item];
    none = llm_slice("{}");

    if (item->text.n == 0) {
        llm_responses_args_delta(e, s, call->index, &none, 0);
    }

    llm_responses_item_event(e, s, "response.function_call_arguments.done",
                             "fc_", call->index);
    llm_out_lit(e->out, ",\"name\":");
    llm_write_block(e->out, &item->name);
    llm_out_lit(e->out, ",\"arguments\":");

    if (item->text.n != 0) {
        llm_write_block(e->out, &item->text);

    } else {
        llm_write_string(e->out, &none, 0);
    }

    llm_responses_event_end(e);

    llm_responses_item_done(e, s, call->item, call->item + 1, call->index,
                            status);
}


/* A call that was not seen before; NULL: e->rc is set. */
static llm_responses_opened_t *
llm_responses_open_call(llm_encoder_t *e, llm_responses_stream_t *s,
    const llm_event_t *ev)
{
    size_t                  n;
    llm_responses_opened_t  call;

    n = llm_responses_nitems(s);

    llm_responses_close(e, s, n, "completed");
    llm_answer_event(e, &s->answer, ev);

    if (e->rc != LLM_OK) {
        return NULL;
    }

    call.item = n;
    call.tool_index = ev->tool_index;
    call.index = s->items++;
    call.closed = 0;

    e->rc = llm_block_append(&s->calls, &e->alloc, &call, sizeof(call));
    if (e->rc != LLM_OK) {
        return NULL;
    }

    llm_responses_added(e, s, LLM_EV_TOOL_CALL, n, call.index);

    return &llm_responses_calls(s)[llm_responses_ncalls(s) - 1];
}


static void
llm_responses_call_event(llm_encoder_t *e, llm_responses_stream_t *s,
    const llm_event_t *ev)
{
    llm_event_t              more;
    llm_responses_opened_t  *call;

    call = llm_responses_opened(s, ev->tool_index);

    if (call == NULL) {
        call = llm_responses_open_call(e, s, ev);

    } else if (call->closed) {
        return;

    } else {

        /* the id that it was begun with stays */

        more = *ev;
        more.id = llm_slice_null;
        llm_answer_event(e, &s->answer, &more);
    }

    if (e->rc != LLM_OK) {
        return;
    }

    if (ev->text.n != 0) {
        llm_responses_args_delta(e, s, call->index, &ev->text, ev->linesep);
    }

    if (ev->whole) {
        llm_responses_close_call(e, s, call, "completed");
    }
}


/* Closes all that is open, in the order in which it began. */
static void
llm_responses_close_all(llm_encoder_t *e, llm_responses_stream_t *s,
    llm_responses_end_t *end)
{
    size_t                   i, n;
    llm_responses_opened_t  *call;

    n = llm_responses_nitems(s);

    for (i = 0; i < llm_responses_ncalls(s); i++) {
        call = &llm_responses_calls(s)[i];

        if (call->closed) {
            if (call->index == end->incomplete) {
                end->incomplete = UINT32_MAX;
            }

            continue;
        }

        if (s->open.index < call->index) {
            llm_responses_close(e, s, n, "completed");
        }

        llm_responses_close_call(e, s, call, call->index == end->incomplete
                                             ? "incomplete" : "completed");
    }

    llm_responses_close(e, s, n, s->open.index == end->incomplete
                                 ? "incomplete" : "completed");
}


static void
llm_responses_stream_end(llm_encoder_t *e, llm_responses_stream_t *s)
{
    llm_responses_end_t  end;

    llm_responses_end(&end, llm_answer_choice(&s->answer, 0), s->items);

    if (end.error == NULL) {
        llm_responses_close_all(e, s, &end);
    }

    llm_responses_life_event(e, s, end.error != NULL ? "response.failed"
                                   : end.reason != NULL
                                     ? "response.incomplete"
                                     : "response.completed", &end);
    s->over = 1;
}


/* Whether an event says something that a client of this dialect is told. */
static int
llm_responses_is_content(const llm_event_t *ev)
{
    if (ev->choice != 0) {
        return 0;
    }

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REFUSAL:
        return ev->text.n != 0;

    case LLM_EV_REASONING:
        return ev->text.n != 0 || ev->signature.n != 0 || ev->raw.n != 0;

    case LLM_EV_LOGPROBS:
        return !ev->refused && ev->raw.n > 2
               && memchr(ev->raw.p, '{', ev->raw.n) != NULL;

    case LLM_EV_TOOL_CALL: case LLM_EV_CITATION: case LLM_EV_FINISH:
    case LLM_EV_USAGE:
        return 1;

    default:
        return 0;
    }
}


void
llm_responses_encode(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    llm_responses_stream_t  *s;

    s = state;

    if (s->over || (e->rc != LLM_OK && ev->type != LLM_EV_ERROR)) {
        return;
    }

    if (!s->begun && e->passed == 0
        && (ev->type == LLM_EV_START || ev->type == LLM_EV_ERROR
            || ev->type == LLM_EV_END || llm_responses_is_content(ev)))
    {
        llm_responses_begin(e, s, ev);
    }

    if (ev->type == LLM_EV_ERROR) {
        llm_responses_stream_error(e, s, ev->error);
        return;
    }

    if (e->rc != LLM_OK) {
        return;
    }

    if (ev->type == LLM_EV_END) {
        llm_responses_stream_end(e, s);
        return;
    }

    if (!llm_responses_is_content(ev)) {
        return;
    }

    switch (ev->type) {

    case LLM_EV_REASONING:
        llm_responses_thought(e, s, ev);
        break;

    case LLM_EV_TOOL_CALL:
        llm_responses_call_event(e, s, ev);
        break;

    case LLM_EV_FINISH: case LLM_EV_USAGE:
        llm_answer_event(e, &s->answer, ev);
        break;

    default:
        llm_responses_said(e, s, ev);
        break;
    }
}


void
llm_responses_stream_drop(llm_encoder_t *e, void *state)
{
    llm_responses_stream_t  *s;

    s = state;

    llm_answer_free(e, &s->answer);
    llm_block_free(&s->calls, &e->alloc);
    llm_block_free(&s->head, &e->alloc);
}
