/*
 * Cohere's chat API, version 2: events to frames, and one answer, for a mock
 * of the provider.  It keeps no text: of what was said it remembers which
 * block is open.  The end is written for an END only.
 */

#include "llm_cohere.h"


static const char *
llm_cohere_word(llm_finish_t finish)
{
    switch (finish) {

    case LLM_FINISH_LENGTH:
        return "MAX_TOKENS";

    case LLM_FINISH_TOOL_CALLS:
        return "TOOL_CALL";

    case LLM_FINISH_CONTENT_FILTER: case LLM_FINISH_ERROR:
        return "ERROR";

    default:
        return "COMPLETE";
    }
}


static void
llm_cohere_write_usage(llm_out_t *out, const llm_usage_t *u)
{
    unsigned  i;

    for (i = 0; i < 2; i++) {
        llm_write_opening(out, i, "{");

        if (i == 0) {
            llm_out_lit(out, "\"billed_units\":{\"input_tokens\":");

        } else {
            llm_out_lit(out, "\"tokens\":{\"input_tokens\":");
        }

        llm_write_int(out, u->input < 0 ? 0 : u->input);
        llm_out_lit(out, ",\"output_tokens\":");
        llm_write_int(out, u->output < 0 ? 0 : u->output);
        llm_out_lit(out, "}");
    }

    if (u->cached >= 0) {
        llm_out_lit(out, ",\"cached_tokens\":");
        llm_write_int(out, u->cached);
    }

    llm_out_lit(out, "}");
}


static void
llm_cohere_write_citation(llm_out_t *out, const llm_slice_t *text,
    const llm_slice_t *url, const llm_slice_t *title, int64_t start,
    int64_t end, unsigned linesep)
{
    llm_out_lit(out, "{\"start\":");
    llm_write_int(out, start < 0 ? 0 : start);
    llm_out_lit(out, ",\"end\":");
    llm_write_int(out, end < 0 ? 0 : end);
    llm_out_lit(out, ",\"text\":\"");
    llm_write_inside(out, text, linesep);
    llm_out_lit(out, "\",\"sources\":[{\"type\":\"document\",\"id\":\"");
    llm_write_inside(out, url, linesep);
    llm_out_lit(out, "\",\"document\":{\"title\":\"");
    llm_write_inside(out, title, linesep);
    llm_out_lit(out, "\",\"url\":\"");
    llm_write_inside(out, url, linesep);
    llm_out_lit(out, "\"}}],\"type\":\"TEXT_CONTENT\"}");
}


static void
llm_cohere_frame_open(llm_encoder_t *e, const char *type)
{
    llm_frame_open(e, LLM_FRAMING_SSE, type);
    llm_out_lit(e->out, "{\"type\":\"");
    llm_out(e->out, type, strlen(type));
    llm_out_lit(e->out, "\"");
}


/* ev: the START, or any other event when there was none. */
static void
llm_cohere_begin(llm_encoder_t *e, llm_cohere_stream_t *s,
    const llm_event_t *ev)
{
    if (s->begun) {
        return;
    }

    s->begun = 1;
    s->usage = llm_usage_none;

    llm_frame_open(e, LLM_FRAMING_SSE, "message-start");
    llm_out_lit(e->out, "{\"id\":\"");

    if (ev->type == LLM_EV_START && ev->id.n != 0) {
        llm_write_inside(e->out, &ev->id, ev->linesep);

    } else {
        llm_write_id(e->out, "msg-", &ev->model, e->unique, 0);
    }

    llm_out_lit(e->out, "\",\"type\":\"message-start\",\"delta\":{\"message\":"
                "{\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\","
                "\"tool_calls\":[],\"citations\":[]}}}");
    llm_frame_close(e, LLM_FRAMING_SSE);
}


static void
llm_cohere_close(llm_encoder_t *e, llm_cohere_stream_t *s)
{
    if (s->open == LLM_COHERE_NONE) {
        return;
    }

    llm_cohere_frame_open(e, s->open == LLM_COHERE_CALL ? "tool-call-end"
                                                        : "content-end");
    llm_out_lit(e->out, ",\"index\":");
    llm_write_int(e->out, s->open == LLM_COHERE_CALL ? s->call
                                                     : s->index - 1);
    llm_out_lit(e->out, "}");
    llm_frame_close(e, LLM_FRAMING_SSE);

    s->open = LLM_COHERE_NONE;
}


static void
llm_cohere_piece(llm_encoder_t *e, llm_cohere_stream_t *s,
    const llm_event_t *ev)
{
    const char         *name;
    llm_cohere_open_t   open;

    open = ev->type == LLM_EV_REASONING ? LLM_COHERE_THINKING
                                        : LLM_COHERE_TEXT;
    name = open == LLM_COHERE_THINKING ? "thinking" : "text";

    if (s->open != open) {
        llm_cohere_close(e, s);
        llm_cohere_frame_open(e, "content-start");
        llm_out_lit(e->out, ",\"index\":");
        llm_write_int(e->out, s->index++);
        llm_out_lit(e->out, ",\"delta\":{\"message\":{\"content\":"
                    "{\"type\":\"");
        llm_out(e->out, name, strlen(name));
        llm_out_lit(e->out, "\",\"");
        llm_out(e->out, name, strlen(name));
        llm_out_lit(e->out, "\":\"\"}}}}");
        llm_frame_close(e, LLM_FRAMING_SSE);
        s->open = open;
    }

    llm_cohere_frame_open(e, "content-delta");
    llm_out_lit(e->out, ",\"index\":");
    llm_write_int(e->out, s->index - 1);
    llm_out_lit(e->out, ",\"delta\":{\"message\":{\"content\":{\"");
    llm_out(e->out, name, strlen(name));
    llm_out_lit(e->out, "\":\"");
    llm_write_inside(e->out, &ev->text, ev->linesep);
    llm_out_lit(e->out, "\"}}}}");
    llm_frame_close(e, LLM_FRAMING_SSE);
}


static void
llm_cohere_tool(llm_encoder_t *e, llm_cohere_stream_t *s,
    const llm_event_t *ev)
{
    if (ev->tool_index >= s->calls) {
        llm_cohere_close(e, s);

        s->open = LLM_COHERE_CALL;
        s->call = ev->tool_index;
        s->calls = ev->tool_index + 1;

        llm_cohere_frame_open(e, "tool-call-start");
        llm_out_lit(e->out, ",\"index\":");
        llm_write_int(e->out, ev->tool_index);
        llm_out_lit(e->out, ",\"delta\":{\"message\":{\"tool_calls\":"
                    "{\"id\":\"");

        if (ev->id.n != 0) {
            llm_write_inside(e->out, &ev->id, ev->linesep);

        } else {
            llm_write_id(e->out, "call-", &ev->name, e->unique, ev->tool_index);
        }

        llm_out_lit(e->out, "\",\"type\":\"function\",\"function\":"
                    "{\"name\":\"");
        llm_write_inside(e->out, &ev->name, ev->linesep);
        llm_out_lit(e->out, "\",\"arguments\":\"\"}}}}}");
        llm_frame_close(e, LLM_FRAMING_SSE);
    }

    if (ev->text.n == 0) {
        return;
    }

    llm_cohere_frame_open(e, "tool-call-delta");
    llm_out_lit(e->out, ",\"index\":");
    llm_write_int(e->out, ev->tool_index);
    llm_out_lit(e->out, ",\"delta\":{\"message\":{\"tool_calls\":"
                "{\"function\":{\"arguments\":\"");
    llm_write_inside(e->out, &ev->text, ev->linesep);
    llm_out_lit(e->out, "\"}}}}}");
    llm_frame_close(e, LLM_FRAMING_SSE);
}


static void
llm_cohere_cite(llm_encoder_t *e, llm_cohere_stream_t *s,
    const llm_event_t *ev)
{
    llm_cohere_frame_open(e, "citation-start");
    llm_out_lit(e->out, ",\"index\":");
    llm_write_int(e->out, s->citations);
    llm_out_lit(e->out, ",\"delta\":{\"message\":{\"citations\":");
    llm_cohere_write_citation(e->out, &ev->text, &ev->id, &ev->name,
                              ev->start, ev->end, ev->linesep);
    llm_out_lit(e->out, "}}}");
    llm_frame_close(e, LLM_FRAMING_SSE);

    llm_cohere_frame_open(e, "citation-end");
    llm_out_lit(e->out, ",\"index\":");
    llm_write_int(e->out, s->citations++);
    llm_out_lit(e->out, "}");
    llm_frame_close(e, LLM_FRAMING_SSE);
}


static void
llm_cohere_write_end(llm_encoder_t *e, llm_cohere_stream_t *s)
{
    const char  *word;

    word = llm_cohere_word(s->finish);

    llm_cohere_close(e, s);
    llm_cohere_frame_open(e, "message-end");
    llm_out_lit(e->out, ",\"delta\":{\"finish_reason\":\"");
    llm_out(e->out, word, strlen(word));
    llm_out_lit(e->out, "\",\"usage\":");
    llm_cohere_write_usage(e->out, &s->usage);
    llm_out_lit(e->out, "}}");
    llm_frame_close(e, LLM_FRAMING_SSE);

    llm_out_lit(e->out, "data: [DONE]\n\n");
}


static void
llm_cohere_write_error(llm_encoder_t *e, const llm_error_t *err)
{
    llm_cohere_frame_open(e, "message-end");
    llm_out_lit(e->out, ",\"delta\":{\"finish_reason\":\"ERROR\","
                "\"error\":");
    llm_write_string(e->out, &err->message, 1);
    llm_out_lit(e->out, "}}");
    llm_frame_close(e, LLM_FRAMING_SSE);
}


void
llm_cohere_encode(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    llm_cohere_stream_t  *s;

    s = state;

    if (ev->type == LLM_EV_PING || ev->type == LLM_EV_META
        || ev->choice != 0)
    {
        return;
    }

    llm_cohere_begin(e, s, ev);

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
        if (ev->text.n != 0) {
            llm_cohere_piece(e, s, ev);
        }

        break;

    case LLM_EV_TOOL_CALL:
        llm_cohere_tool(e, s, ev);
        break;

    case LLM_EV_CITATION:
        llm_cohere_cite(e, s, ev);
        break;

    case LLM_EV_FINISH:
        s->finish = ev->finish;
        break;

    case LLM_EV_USAGE:
        llm_usage_merge(&s->usage, ev->usage);
        break;

    case LLM_EV_ERROR:
        llm_cohere_write_error(e, ev->error);
        break;

    case LLM_EV_END:
        llm_cohere_write_end(e, s);
        break;

    default:
        break;
    }
}


/* One block of content, call or citation of an answer. */
static void
llm_cohere_write_item(llm_out_t *out, const llm_item_t *item)
{
    llm_slice_t  text, url, title;

    text = llm_gathered(&item->text);

    switch (item->type) {

    case LLM_EV_TOOL_CALL:
        llm_out_lit(out, "{\"id\":");
        llm_write_block(out, &item->id);
        llm_out_lit(out, ",\"type\":\"function\",\"function\":{\"name\":");
        llm_write_block(out, &item->name);
        llm_out_lit(out, ",\"arguments\":");
        llm_write_block(out, &item->text);
        llm_out_lit(out, "}}");
        break;

    case LLM_EV_CITATION:
        url = llm_gathered(&item->id);
        title = llm_gathered(&item->name);
        llm_cohere_write_citation(out, &text, &url, &title, item->start,
                                  item->end, 0);
        break;

    case LLM_EV_REASONING:
        llm_out_lit(out, "{\"type\":\"thinking\",\"thinking\":");
        llm_write_block(out, &item->text);
        llm_out_lit(out, "}");
        break;

    default:
        llm_out_lit(out, "{\"type\":\"text\",\"text\":");
        llm_write_block(out, &item->text);
        llm_out_lit(out, "}");
        break;
    }
}


/* A list of all items of the types, or nothing when there is none. */
static void
llm_cohere_write_items(llm_out_t *out, const llm_choice_t *c,
    unsigned types, const char *opening)
{
    size_t             i;
    unsigned           n;
    const llm_item_t  *item;

    n = 0;

    for (i = 0; c != NULL && i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (types & (1u << item->type)) {
            llm_write_opening(out, n++, opening);
            llm_cohere_write_item(out, item);
        }
    }

    if (n != 0) {
        llm_out_lit(out, "]");
    }
}


void
llm_cohere_write_answer(llm_encoder_t *e, const llm_answer_t *a)
{
    llm_out_t           *out;
    const char          *word;
    llm_slice_t          model;
    const llm_choice_t  *c;

    out = e->out;
    c = llm_answer_choice(a, 0);
    word = llm_cohere_word(c != NULL ? c->finish : LLM_FINISH_NONE);

    llm_out_lit(out, "{\"id\":\"");

    if (a->id.n != 0) {
        llm_write_gathered(out, &a->id);

    } else {
        model = llm_gathered(&a->model);
        llm_write_id(out, "msg-", &model, e->unique, 0);
    }

    llm_out_lit(out, "\",\"finish_reason\":\"");
    llm_out(out, word, strlen(word));
    llm_out_lit(out, "\",\"message\":{\"role\":\"assistant\"");

    llm_cohere_write_items(out, c, (1u << LLM_EV_TEXT)
                           | (1u << LLM_EV_REASONING)
                           | (1u << LLM_EV_REFUSAL), ",\"content\":[");
    llm_cohere_write_items(out, c, 1u << LLM_EV_TOOL_CALL,
                           ",\"tool_calls\":[");
    llm_cohere_write_items(out, c, 1u << LLM_EV_CITATION,
                           ",\"citations\":[");

    llm_out_lit(out, "}");

    if (a->has_usage) {
        llm_out_lit(out, ",\"usage\":");
        llm_cohere_write_usage(out, &a->usage);
    }

    llm_out_lit(out, "}");
}


void
llm_cohere_error_body(llm_out_t *out, const llm_error_t *err)
{
    llm_out_lit(out, "{\"message\":");
    llm_write_string(out, &err->message, 1);
    llm_out_lit(out, "}");
}
