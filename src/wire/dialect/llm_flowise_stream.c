/*
 * Flowise: events to frames, and one answer.  Frames are Flowise's own to the
 * byte ("message:", no space behind "data:"), as its SDK cuts them by hand.
 * A text goes out at once; calls and documents are gathered, since their
 * events hold all of them.  "end" is written for an END only, and nothing
 * follows an error.
 */

#include "llm_flowise.h"


static void
llm_flowise_frame_open(llm_out_t *out, const char *event)
{
    llm_out_lit(out, "message:\ndata:{\"event\":\"");
    llm_out(out, event, strlen(event));
    llm_out_lit(out, "\",\"data\":");
}


static void
llm_flowise_frame_close(llm_out_t *out)
{
    llm_out_lit(out, "}\n\n");
}


static void
llm_flowise_begin(llm_encoder_t *e, llm_flowise_stream_t *s)
{
    if (s->begun) {
        return;
    }

    s->begun = 1;

    llm_flowise_frame_open(e->out, "start");
    llm_out_lit(e->out, "\"\"");
    llm_flowise_frame_close(e->out);
}


/* "name":n with a comma before it, or nothing. */
static void
llm_flowise_write_number(llm_out_t *out, const char *comma, const char *name,
    int64_t n)
{
    if (n < 0) {
        return;
    }

    llm_out(out, comma, strlen(comma));
    llm_out_lit(out, "\"");
    llm_out(out, name, strlen(name));
    llm_out_lit(out, "\":");
    llm_write_int(out, n);
}


static void
llm_flowise_write_usage(llm_out_t *out, const llm_usage_t *u)
{
    int64_t  input, output;

    input = u->input < 0 ? 0 : u->input;
    output = u->output < 0 ? 0 : u->output;

    llm_out_lit(out, "{\"input_tokens\":");
    llm_write_int(out, input);
    llm_out_lit(out, ",\"output_tokens\":");
    llm_write_int(out, output);
    llm_out_lit(out, ",\"total_tokens\":");

    if (u->total >= 0) {
        llm_write_int(out, u->total);

    } else {
        llm_write_int(out, input > INT64_MAX - output ? INT64_MAX
                                                      : input + output);
    }

    if (u->cached >= 0 || u->cache_write >= 0) {
        llm_out_lit(out, ",\"input_token_details\":{");
        llm_flowise_write_number(out, "", "cache_read", u->cached);
        llm_flowise_write_number(out, u->cached >= 0 ? "," : "",
                                 "cache_creation", u->cache_write);
        llm_out_lit(out, "}");
    }

    if (u->reasoning >= 0) {
        llm_out_lit(out, ",\"output_token_details\":{");
        llm_flowise_write_number(out, "", "reasoning", u->reasoning);
        llm_out_lit(out, "}");
    }

    llm_out_lit(out, "}");
}


/* Whether an object is a document of Flowise's. */
static int
llm_flowise_is_document(const llm_block_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_init(&j, raw->p, raw->n, LLM_JSON_DEPTH_MAX);

    if (raw->n == 0 || llm_json_next(&j) != LLM_JSON_OBJECT) {
        return 0;
    }

    while (llm_json_member(&j, &key, &v, &type)) {
        if (type == LLM_JSON_STRING && llm_json_is(&key, "pageContent")) {
            return 1;
        }
    }

    return 0;
}


static void
llm_flowise_write_document(llm_out_t *out, const llm_item_t *item)
{
    llm_slice_t  raw;

    if (llm_flowise_is_document(&item->raw)) {
        raw = llm_gathered(&item->raw);
        llm_write_json(out, &raw, 0);
        return;
    }

    llm_out_lit(out, "{\"pageContent\":");
    llm_write_block(out, &item->text);
    llm_out_lit(out, ",\"metadata\":{\"source\":");
    llm_write_block(out, &item->id);

    if (item->name.n != 0) {
        llm_out_lit(out, ",\"title\":");
        llm_write_block(out, &item->name);
    }

    llm_out_lit(out, "}}");
}


static void
llm_flowise_write_call(llm_encoder_t *e, const llm_item_t *item)
{
    llm_out_lit(e->out, "{\"tool\":");
    llm_write_block(e->out, &item->name);
    llm_out_lit(e->out, ",\"toolInput\":");

    (void) llm_write_arguments(e, &item->text);
    llm_out_lit(e->out, ",\"toolOutput\":\"\"");

    if (item->id.n != 0) {
        llm_out_lit(e->out, ",\"id\":");
        llm_write_block(e->out, &item->id);
    }

    llm_out_lit(e->out, "}");
}


/* Whether the arguments of a call are an object. */
static int
llm_flowise_is_whole(llm_encoder_t *e, const llm_item_t *item)
{
    int          whole;
    llm_block_t  text;

    whole = llm_read_arguments(e, &item->text, &text);
    llm_block_free(&text, &e->alloc);

    return whole;
}


/* Sets e->rc when the arguments of a call are no object: nothing of a frame
 * may be written that cannot be ended.  One that the limit cut is left out. */
static void
llm_flowise_check_calls(llm_encoder_t *e, const llm_choice_t *c)
{
    size_t             i;
    const llm_item_t  *item;

    for (i = 0; i < llm_choice_nitems(c) && e->rc == LLM_OK; i++) {
        item = &llm_choice_items(c)[i];

        if (item->type == LLM_EV_TOOL_CALL
            && c->finish != LLM_FINISH_LENGTH
            && !llm_flowise_is_whole(e, item) && e->rc == LLM_OK)
        {
            e->rc = LLM_INVALID;
        }
    }
}


/* Writes all items of a type with commas between them; how many. */
static unsigned
llm_flowise_write_items(llm_encoder_t *e, const llm_answer_t *a,
    llm_event_type_t type, const char *opening)
{
    size_t               i;
    unsigned             n;
    const llm_item_t    *item;
    const llm_choice_t  *c;

    n = 0;
    c = llm_answer_choice(a, 0);

    if (c != NULL && type == LLM_EV_TOOL_CALL) {
        llm_flowise_check_calls(e, c);
    }

    if (c == NULL || e->rc != LLM_OK) {
        return 0;
    }

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type != type
            || (type == LLM_EV_TOOL_CALL && !llm_flowise_is_whole(e, item)))
        {
            continue;
        }

        llm_write_opening(e->out, n++, opening);

        if (type == LLM_EV_TOOL_CALL) {
            llm_flowise_write_call(e, item);

        } else {
            llm_flowise_write_document(e->out, item);
        }
    }

    return n;
}


/* What was gathered so far and not written yet. */
static void
llm_flowise_flush(llm_encoder_t *e, llm_flowise_stream_t *s)
{
    if (!s->called) {
        s->called = llm_flowise_write_items(e, &s->answer, LLM_EV_TOOL_CALL,
                        "message:\ndata:{\"event\":\"calledTools\","
                        "\"data\":[");
        if (s->called) {
            llm_out_lit(e->out, "]");
            llm_flowise_frame_close(e->out);
        }
    }

    if (!s->cited) {
        s->cited = llm_flowise_write_items(e, &s->answer, LLM_EV_CITATION,
                        "message:\ndata:{\"event\":\"sourceDocuments\","
                        "\"data\":[");
        if (s->cited) {
            llm_out_lit(e->out, "]");
            llm_flowise_frame_close(e->out);
        }
    }
}


/* "chatId":…,"chatMessageId":… */
static void
llm_flowise_write_ids(llm_encoder_t *e, const llm_answer_t *a)
{
    llm_slice_t  seed;

    seed = llm_gathered(&a->id);

    llm_out_lit(e->out, "\"chatId\":\"");
    llm_write_id(e->out, "chat-", &seed, e->unique, 0);
    llm_out_lit(e->out, "\",\"chatMessageId\":\"");

    if (a->id.n != 0) {
        llm_write_gathered(e->out, &a->id);

    } else {
        seed = llm_gathered(&a->model);
        llm_write_id(e->out, "msg-", &seed, e->unique, 1);
    }

    llm_out_lit(e->out, "\"");
}


static void
llm_flowise_stream_end(llm_encoder_t *e, llm_flowise_stream_t *s)
{
    llm_flowise_flush(e, s);

    if (e->rc != LLM_OK) {
        return;
    }

    if (s->answer.has_usage) {
        llm_flowise_frame_open(e->out, "usageMetadata");
        llm_flowise_write_usage(e->out, &s->answer.usage);
        llm_flowise_frame_close(e->out);
    }

    if (!s->metadata) {
        llm_flowise_frame_open(e->out, "metadata");
        llm_out_lit(e->out, "{");
        llm_flowise_write_ids(e, &s->answer);
        llm_out_lit(e->out, "}");
        llm_flowise_frame_close(e->out);
    }

    llm_flowise_frame_open(e->out, "end");
    llm_out_lit(e->out, "\"[DONE]\"");
    llm_flowise_frame_close(e->out);
}


/* The text of an error: never null, as it is shown to somebody. */
static void
llm_flowise_write_message(llm_out_t *out, const llm_error_t *err)
{
    llm_slice_t  s;

    s = err->message;

    if (s.p == NULL) {
        s = err->type.p != NULL ? err->type
                                : llm_error_words(err->cls)->anthropic_type;
    }

    llm_write_string(out, &s, 1);
}


/* An extra of Flowise's own; others have no place here. */
static void
llm_flowise_extra(llm_encoder_t *e, llm_flowise_stream_t *s,
    const llm_event_t *ev)
{
    if (ev->name.p == NULL || ev->raw.n == 0
        || !llm_flowise_is_extra(&ev->name))
    {
        return;
    }

    s->metadata |= llm_json_is(&ev->name, "metadata");

    if (s->metadata) {
        llm_flowise_flush(e, s);
    }

    llm_out_lit(e->out, "message:\ndata:{\"event\":");
    llm_write_string(e->out, &ev->name, ev->linesep);
    llm_out_lit(e->out, ",\"data\":");
    llm_write_json(e->out, &ev->raw, ev->linesep);
    llm_flowise_frame_close(e->out);
}


static void
llm_flowise_piece(llm_encoder_t *e, llm_flowise_stream_t *s,
    const llm_event_t *ev)
{
    if (ev->choice != 0 || ev->text.n == 0) {
        return;
    }

    llm_flowise_begin(e, s);

    if (ev->type == LLM_EV_REASONING) {
        llm_flowise_frame_open(e->out, "thinking");

    } else {
        llm_flowise_frame_open(e->out, "token");
    }

    llm_write_string(e->out, &ev->text, ev->linesep);
    llm_flowise_frame_close(e->out);
}


void
llm_flowise_encode(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    llm_flowise_stream_t  *s;

    s = state;

    if (ev->type == LLM_EV_ERROR) {
        llm_flowise_frame_open(e->out, "error");
        llm_flowise_write_message(e->out, ev->error);
        llm_flowise_frame_close(e->out);
        return;
    }

    if (e->rc != LLM_OK) {
        return;
    }

    if (!s->ready) {
        s->ready = 1;
        llm_answer_init(&s->answer);
    }

    switch (ev->type) {

    case LLM_EV_START:
        llm_flowise_begin(e, s);
        llm_answer_event(e, &s->answer, ev);
        break;

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
        llm_flowise_piece(e, s, ev);
        break;

    case LLM_EV_TOOL_CALL: case LLM_EV_CITATION:
        if (ev->choice == 0) {
            llm_flowise_begin(e, s);
            llm_answer_event(e, &s->answer, ev);
        }

        break;

    case LLM_EV_USAGE:
        llm_answer_event(e, &s->answer, ev);
        break;

    case LLM_EV_FINISH:
        if (ev->choice == 0) {
            llm_answer_event(e, &s->answer, ev);
            llm_flowise_flush(e, s);
        }

        break;

    case LLM_EV_META:
        llm_flowise_extra(e, s, ev);
        break;

    case LLM_EV_END:
        llm_flowise_stream_end(e, s);
        break;

    default:
        break;
    }
}


void
llm_flowise_stream_drop(llm_encoder_t *e, void *state)
{
    llm_flowise_stream_t  *s;

    s = state;

    llm_answer_free(e, &s->answer);
}


void
llm_flowise_write_answer(llm_encoder_t *e, const llm_answer_t *a)
{
    const llm_choice_t  *c;

    c = llm_answer_choice(a, 0);

    if (c != NULL) {
        llm_flowise_check_calls(e, c);
    }

    if (e->rc != LLM_OK) {
        return;
    }

    llm_out_lit(e->out, "{\"text\":\"");

    llm_answer_write_said(e->out, a);

    llm_out_lit(e->out, "\",");
    llm_flowise_write_ids(e, a);

    if (c != NULL && llm_choice_length(c, LLM_EV_REASONING) != 0) {
        llm_out_lit(e->out, ",\"reasonContent\":{\"thinking\":\"");
        llm_choice_write(e->out, c, LLM_EV_REASONING);
        llm_out_lit(e->out, "\"}");
    }

    if (llm_flowise_write_items(e, a, LLM_EV_TOOL_CALL,
                                ",\"calledTools\":["))
    {
        llm_out_lit(e->out, "]");
    }

    if (llm_flowise_write_items(e, a, LLM_EV_CITATION,
                                ",\"sourceDocuments\":["))
    {
        llm_out_lit(e->out, "]");
    }

    if (a->has_usage) {
        llm_out_lit(e->out, ",\"usageMetadata\":");
        llm_flowise_write_usage(e->out, &a->usage);
    }

    llm_out_lit(e->out, "}");
}


void
llm_flowise_error_body(llm_out_t *out, const llm_error_t *err)
{
    llm_out_lit(out, "{\"statusCode\":");
    llm_write_int(out, err->status ? err->status
                                   : llm_error_words(err->cls)->status);
    llm_out_lit(out, ",\"success\":false,\"message\":");
    llm_flowise_write_message(out, err);
    llm_out_lit(out, ",\"stack\":{}}");
}
