/*
 * OpenAI's legacy completions: events to chunks, and one answer.  There is
 * text and nothing else: a refusal is what the model says, so it is text;
 * reasoning, tool calls and citations cannot be said.
 */

#include "llm_completions.h"


static void
llm_completions_text(llm_encoder_t *e, llm_openai_stream_t *s,
    const llm_event_t *ev)
{
    llm_out(e->out, s->head.p, s->head.n);
    llm_out_lit(e->out, "{\"text\":");
    llm_write_string(e->out, &ev->text, ev->linesep);
    llm_out_lit(e->out, ",\"index\":");
    llm_write_int(e->out, ev->choice);
    llm_out_lit(e->out, ",\"logprobs\":null,\"finish_reason\":null}");
    llm_openai_chunk_end(e);
}


/* A chunk without text, with log probabilities or a finish reason. */
static void
llm_completions_other(llm_encoder_t *e, llm_completions_stream_t *s,
    const llm_event_t *ev)
{
    uint32_t     beyond;
    llm_slice_t  word;

    llm_out(e->out, s->stream.head.p, s->stream.head.n);
    llm_out_lit(e->out, "{\"text\":\"\",\"index\":");
    llm_write_int(e->out, ev->choice);
    llm_out_lit(e->out, ",\"logprobs\":");

    if (ev->type == LLM_EV_LOGPROBS) {
        beyond = 0;
        llm_completions_write_items(e->out, &ev->raw, ev->linesep,
                                    ev->choice < LLM_OPENAI_TABLE
                                    ? &s->offsets[ev->choice] : &beyond);
        llm_out_lit(e->out, ",\"finish_reason\":null}");

    } else {
        word = llm_finish_word(ev);

        llm_out_lit(e->out, "null,\"finish_reason\":");
        llm_write_string(e->out, &word, ev->linesep);
        llm_out_lit(e->out, "}");
    }

    llm_openai_chunk_end(e);
}


void
llm_completions_encode(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    llm_completions_stream_t  *s;

    s = state;

    switch (ev->type) {

    case LLM_EV_ERROR:
        llm_out_lit(e->out, "data: ");
        llm_openai_error_body(e->out, ev->error);
        llm_out_lit(e->out, "\n\n");
        return;

    case LLM_EV_END:
        llm_openai_end(e, &s->stream);
        return;

    default:
        break;
    }

    if (s->stream.head.n == 0 && e->rc == LLM_OK) {
        llm_openai_begin(e, &s->stream, ev, "cmpl-", "text_completion");
    }

    if (e->rc != LLM_OK) {
        return;
    }

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REFUSAL:
        if (ev->text.n != 0) {
            llm_completions_text(e, &s->stream, ev);
        }

        break;

    case LLM_EV_LOGPROBS:
        if (ev->raw.n > 2) {
            llm_completions_other(e, s, ev);
        }

        break;

    case LLM_EV_FINISH:
        llm_completions_other(e, s, ev);
        break;

    case LLM_EV_USAGE:
        llm_openai_add_usage(&s->stream, ev->usage);
        break;

    default:
        break;
    }
}


void
llm_completions_stream_drop(llm_encoder_t *e, void *state)
{
    llm_completions_stream_t  *s;

    s = state;

    llm_openai_stream_drop(e, &s->stream);
}


static void
llm_completions_write_choice(llm_out_t *out, const llm_choice_t *c)
{
    size_t             i;
    uint32_t           offset;
    llm_slice_t        items;
    const llm_item_t  *item;

    llm_out_lit(out, "{\"text\":\"");

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type == LLM_EV_TEXT || item->type == LLM_EV_REFUSAL) {
            llm_write_gathered(out, &item->text);
        }
    }

    llm_out_lit(out, "\",\"index\":");
    llm_write_int(out, c->index);
    llm_out_lit(out, ",\"logprobs\":");

    items = llm_gathered(c->logprobs.n != 0 ? &c->logprobs : &c->refused);

    if (items.n != 0) {
        offset = 0;
        llm_completions_write_items(out, &items, 0, &offset);

    } else {
        llm_out_lit(out, "null");
    }

    llm_out_lit(out, ",\"finish_reason\":");
    llm_openai_write_finish(out, c);
    llm_out_lit(out, "}");
}


void
llm_completions_write_answer(llm_encoder_t *e, const llm_answer_t *a)
{
    llm_openai_write_answer_as(e, a, "cmpl-", "text_completion",
                               llm_completions_write_choice);
}
