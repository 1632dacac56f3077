/*
 * OpenAI Responses: the events of a stream, one function each.  It owns how
 * an event looks; which one comes when is said in llm_responses_stream.c.
 */

#include "llm_responses.h"


/* Begins an event; its members follow, each with a comma in front. */
void
llm_responses_event(llm_encoder_t *e, llm_responses_stream_t *s,
    const char *type)
{
    llm_frame_open(e, LLM_FRAMING_SSE, type);
    llm_out_lit(e->out, "{\"type\":\"");
    llm_out(e->out, type, strlen(type));
    llm_out_lit(e->out, "\",\"sequence_number\":");
    llm_write_int(e->out, s->sequence++);
}


void
llm_responses_event_end(llm_encoder_t *e)
{
    llm_out_lit(e->out, "}");
    llm_frame_close(e, LLM_FRAMING_SSE);
}


/* Begins an event about an item. */
void
llm_responses_item_event(llm_encoder_t *e, llm_responses_stream_t *s,
    const char *type, const char *prefix, unsigned index)
{
    llm_responses_event(e, s, type);
    llm_out_lit(e->out, ",\"item_id\":");
    llm_responses_write_id(e->out, &s->answer, e->unique, prefix, index);
    llm_out_lit(e->out, ",\"output_index\":");
    llm_write_int(e->out, index);
}


/* Begins an event about the open part of the open item. */
void
llm_responses_part_event(llm_encoder_t *e, llm_responses_stream_t *s,
    const char *type)
{
    llm_responses_event(e, s, type);
    llm_out(e->out, s->head.p, s->head.n);
}


/* The members that all events about a part have, written once. */
void
llm_responses_part_head(llm_encoder_t *e, llm_responses_stream_t *s)
{
    const char       *prefix, *name;
    llm_block_out_t   bo;

    s->head.n = 0;

    e->rc = llm_block_out_open(&bo, &s->head, &e->alloc);
    if (e->rc != LLM_OK) {
        return;
    }

    if (s->open.type == LLM_EV_REASONING) {
        prefix = "rs_";
        name = ",\"summary_index\":";

    } else {
        prefix = "msg_";
        name = ",\"content_index\":";
    }

    llm_out_lit(&bo.out, ",\"item_id\":");
    llm_responses_write_id(&bo.out, &s->answer, e->unique, prefix,
                           s->open.index);
    llm_out_lit(&bo.out, ",\"output_index\":");
    llm_write_int(&bo.out, s->open.index);
    llm_out(&bo.out, name, strlen(name));
    llm_write_int(&bo.out, s->open.parts - 1);

    e->rc = llm_block_out_close(&bo);
}


void
llm_responses_life_event(llm_encoder_t *e, llm_responses_stream_t *s,
    const char *type, const llm_responses_end_t *end)
{
    llm_responses_event(e, s, type);
    llm_out_lit(e->out, ",\"response\":");
    llm_responses_write_object(e, &s->answer, end);
    llm_responses_event_end(e);
}


/* An item that begins. */
void
llm_responses_added(llm_encoder_t *e, llm_responses_stream_t *s,
    llm_event_type_t type, size_t item, unsigned index)
{
    llm_responses_event(e, s, "response.output_item.added");
    llm_out_lit(e->out, ",\"output_index\":");
    llm_write_int(e->out, index);
    llm_out_lit(e->out, ",\"item\":");
    llm_responses_write_empty(e, &s->answer, item, type, index);
    llm_responses_event_end(e);
}


/* An item that is whole: those of the answer's in [i, end). */
void
llm_responses_item_done(llm_encoder_t *e, llm_responses_stream_t *s,
    size_t i, size_t end, unsigned index, const char *status)
{
    llm_responses_event(e, s, "response.output_item.done");
    llm_out_lit(e->out, ",\"output_index\":");
    llm_write_int(e->out, index);
    llm_out_lit(e->out, ",\"item\":");
    llm_responses_write_item(e, &s->answer, i, end, index, status);
    llm_responses_event_end(e);
}


/* The logprobs that came since the last text was whole. */
static llm_slice_t
llm_responses_part_logprobs(llm_responses_stream_t *s,
    const llm_choice_t *c)
{
    llm_slice_t  all;

    all = llm_gathered(&c->logprobs);
    all.p += s->logprobs;
    all.n -= s->logprobs;

    if (s->logprobs != 0 && all.n != 0) {
        all.p++;                /* the comma behind those before */
        all.n--;
    }

    return all;
}


void
llm_responses_text_done(llm_encoder_t *e, llm_responses_stream_t *s,
    const llm_choice_t *c, size_t end)
{
    llm_slice_t  logprobs;

    logprobs = llm_slice("");

    if (s->open.part == LLM_EV_TEXT) {
        logprobs = llm_responses_part_logprobs(s, c);

        llm_responses_part_event(e, s, "response.output_text.done");
        llm_out_lit(e->out, ",\"text\":");
        llm_responses_write_text(e->out, c, s->open.part_from, end,
                                 LLM_EV_TEXT);
        llm_out_lit(e->out, ",\"logprobs\":[");
        llm_write_json(e->out, &logprobs, 0);
        llm_out_lit(e->out, "]");

    } else {
        llm_responses_part_event(e, s, "response.refusal.done");
        llm_out_lit(e->out, ",\"refusal\":");
        llm_responses_write_text(e->out, c, s->open.part_from, end,
                                 LLM_EV_REFUSAL);
    }

    llm_responses_event_end(e);

    llm_responses_part_event(e, s, "response.content_part.done");
    llm_out_lit(e->out, ",\"part\":");
    llm_responses_write_part(e->out, c, s->open.part_from, end, &logprobs);
    llm_responses_event_end(e);
}


void
llm_responses_summary_done(llm_encoder_t *e, llm_responses_stream_t *s,
    const llm_choice_t *c, size_t end)
{
    llm_responses_part_event(e, s, "response.reasoning_summary_text.done");
    llm_out_lit(e->out, ",\"text\":");
    llm_responses_write_text(e->out, c, s->open.part_from, end,
                             LLM_EV_REASONING);
    llm_responses_event_end(e);

    llm_responses_part_event(e, s, "response.reasoning_summary_part.done");
    llm_out_lit(e->out, ",\"part\":{\"type\":\"summary_text\",\"text\":");
    llm_responses_write_text(e->out, c, s->open.part_from, end,
                             LLM_EV_REASONING);
    llm_out_lit(e->out, "}");
    llm_responses_event_end(e);
}


/* What a message consists of: the event that says so. */
void
llm_responses_write_said(llm_encoder_t *e, llm_responses_stream_t *s,
    const llm_event_t *ev)
{
    static const llm_slice_t  empty = llm_str("");

    switch (ev->type) {

    case LLM_EV_REFUSAL:
        llm_responses_part_event(e, s, "response.refusal.delta");
        llm_out_lit(e->out, ",\"delta\":");
        llm_write_string(e->out, &ev->text, ev->linesep);
        break;

    case LLM_EV_CITATION:
        llm_responses_part_event(e, s,
                                 "response.output_text.annotation.added");
        llm_out_lit(e->out, ",\"annotation_index\":");
        llm_write_int(e->out, s->open.citations++);
        llm_out_lit(e->out, ",\"annotation\":");
        llm_responses_write_citation(e->out, ev);
        break;

    default:    /* LLM_EV_TEXT, LLM_EV_LOGPROBS */
        llm_responses_part_event(e, s, "response.output_text.delta");
        llm_out_lit(e->out, ",\"delta\":");
        llm_write_string(e->out, ev->type == LLM_EV_TEXT ? &ev->text : &empty,
                         ev->linesep);
        llm_out_lit(e->out, ",\"logprobs\":");

        if (ev->type == LLM_EV_LOGPROBS) {
            llm_write_json(e->out, &ev->raw, ev->linesep);

        } else {
            llm_out_lit(e->out, "[]");
        }

        break;
    }

    llm_responses_event_end(e);
}


void
llm_responses_args_delta(llm_encoder_t *e, llm_responses_stream_t *s,
    unsigned index, const llm_slice_t *text, unsigned linesep)
{
    llm_responses_item_event(e, s, "response.function_call_arguments.delta",
                             "fc_", index);
    llm_out_lit(e->out, ",\"delta\":");
    llm_write_string(e->out, text, linesep);
    llm_responses_event_end(e);
}


/*
 * The members of an error that is no HTTP error.  The API nests them, its
 * documentation and the types of the SDKs do not: both are there.
 */
static void
llm_responses_error_members(llm_out_t *out, const llm_error_t *err)
{
    llm_out_lit(out, "\"code\":");
    llm_write_string(out, &err->code, 1);
    llm_out_lit(out, ",\"message\":\"");
    llm_write_inside(out, &err->message, 1);
    llm_out_lit(out, "\",\"param\":");
    llm_write_string(out, &err->param, 1);
}


/*
 * An error, and the response that failed.  Behind a response that another
 * wrote there is only the error, with the next number: helpers of SDKs take
 * a response with another id, and a second beginning, for a bug of theirs.
 */
void
llm_responses_stream_error(llm_encoder_t *e, llm_responses_stream_t *s,
    const llm_error_t *err)
{
    llm_responses_end_t  end;

    s->over = 1;

    if (!s->begun) {
        s->sequence = (int64_t) e->passed;
    }

    llm_responses_event(e, s, "error");
    llm_out_lit(e->out, ",");
    llm_responses_error_members(e->out, err);
    llm_out_lit(e->out, ",\"error\":{\"type\":");
    llm_write_string(e->out, &err->type, 1);
    llm_out_lit(e->out, ",");
    llm_responses_error_members(e->out, err);
    llm_out_lit(e->out, "}");
    llm_responses_event_end(e);

    if (!s->begun) {
        return;
    }

    memset(&end, 0, sizeof(llm_responses_end_t));
    end.status = "failed";
    end.error = err;
    end.incomplete = s->items - 1;
    end.whole = 1;

    llm_responses_life_event(e, s, "response.failed", &end);
}
