/*
 * OpenAI chat completions: one answer that was gathered, as JSON.
 */

#include "llm_openai.h"


static void
llm_openai_write_calls(llm_out_t *out, const llm_choice_t *c)
{
    size_t             i;
    unsigned           n;
    const llm_item_t  *item;

    n = 0;

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type != LLM_EV_TOOL_CALL) {
            continue;
        }

        llm_write_opening(out, n++, ",\"tool_calls\":[");
        llm_out_lit(out, "{\"id\":");
        llm_write_block(out, &item->id);
        llm_out_lit(out, ",\"type\":\"function\",\"function\":{\"name\":");
        llm_write_block(out, &item->name);
        llm_out_lit(out, ",\"arguments\":");
        llm_write_block(out, &item->text);
        llm_out_lit(out, "}");

        if (item->signature.n != 0) {
            llm_out_lit(out, LLM_OPENAI_SIGNATURE);
            llm_write_block(out, &item->signature);
            llm_out_lit(out, "}}");
        }

        llm_out_lit(out, "}");
    }

    if (n != 0) {
        llm_out_lit(out, "]");
    }
}


/* Whether a text that was thought is signed. */
static unsigned
llm_openai_is_signed(const llm_choice_t *c)
{
    size_t       i;
    llm_item_t  *item;

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type == LLM_EV_REASONING && item->signature.n != 0
            && item->text.n != 0)
        {
            return 1;
        }
    }

    return 0;
}


/* Reasoning that must come back as it is: signed, or withheld.  When texts
 * stand here, all of them do: readers take them from one place. */
static void
llm_openai_write_details(llm_out_t *out, const llm_choice_t *c)
{
    size_t             i;
    unsigned           n, texts;
    const llm_item_t  *item;

    n = 0;
    texts = llm_openai_is_signed(c);

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type != LLM_EV_REASONING
            || (!texts && item->signature.n == 0 && item->raw.n == 0))
        {
            continue;
        }

        llm_write_opening(out, n++, ",\"reasoning_details\":[");

        if (item->raw.n != 0) {
            llm_out_lit(out, "{\"type\":\"reasoning.encrypted\",\"data\":");
            llm_write_block(out, &item->raw);

        } else {
            llm_out_lit(out, "{\"type\":\"reasoning.text\",\"text\":");
            llm_write_block(out, &item->text);

            if (item->signature.n != 0) {
                llm_out_lit(out, ",\"signature\":");
                llm_write_block(out, &item->signature);
            }
        }

        llm_out_lit(out, "}");
    }

    if (n != 0) {
        llm_out_lit(out, "]");
    }
}


static void
llm_openai_write_annotations(llm_out_t *out, const llm_choice_t *c)
{
    size_t             i;
    unsigned           n;
    llm_event_t        ev;
    const llm_item_t  *item;

    n = 0;

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type != LLM_EV_CITATION) {
            continue;
        }

        memset(&ev, 0, sizeof(llm_event_t));

        ev.id = llm_gathered(&item->id);
        ev.name = llm_gathered(&item->name);
        ev.start = item->start;
        ev.end = item->end;

        llm_write_opening(out, n++, ",\"annotations\":[");
        llm_out_lit(out, "{");
        llm_openai_write_annotation(out, &ev);
    }

    if (n != 0) {
        llm_out_lit(out, "]");
    }
}


static void
llm_openai_write_text(llm_out_t *out, const llm_choice_t *c,
    llm_event_type_t type)
{
    llm_out_lit(out, "\"");
    llm_choice_write(out, c, type);
    llm_out_lit(out, "\"");
}


static void
llm_openai_write_message(llm_out_t *out, const llm_choice_t *c)
{
    size_t    i;
    unsigned  other;

    other = 0;

    for (i = 0; i < llm_choice_nitems(c); i++) {
        other |= llm_choice_items(c)[i].type == LLM_EV_REFUSAL
                 || llm_choice_items(c)[i].type == LLM_EV_TOOL_CALL;
    }

    llm_out_lit(out, "{\"role\":\"assistant\",\"content\":");

    if (other && llm_choice_length(c, LLM_EV_TEXT) == 0) {
        llm_out_lit(out, "null");

    } else {
        llm_openai_write_text(out, c, LLM_EV_TEXT);
    }

    if (llm_choice_length(c, LLM_EV_REASONING) != 0) {
        llm_out_lit(out, ",\"reasoning_content\":");
        llm_openai_write_text(out, c, LLM_EV_REASONING);
    }

    llm_openai_write_details(out, c);
    llm_out_lit(out, ",\"refusal\":");

    if (llm_choice_length(c, LLM_EV_REFUSAL) != 0) {
        llm_openai_write_text(out, c, LLM_EV_REFUSAL);

    } else {
        llm_out_lit(out, "null");
    }

    llm_openai_write_annotations(out, c);
    llm_openai_write_calls(out, c);
    llm_out_lit(out, "}");
}


void
llm_openai_write_list(llm_out_t *out, const llm_block_t *b)
{
    if (b->n == 0) {
        llm_out_lit(out, "null");
        return;
    }

    llm_out_lit(out, "[");
    llm_write_gathered(out, b);
    llm_out_lit(out, "]");
}


void
llm_openai_write_finish(llm_out_t *out, const llm_choice_t *c)
{
    llm_slice_t  word;

    if (c->finished) {
        word = llm_choice_finish(c);
        llm_write_string(out, &word, 0);

    } else {
        llm_out_lit(out, "null");
    }
}


static void
llm_openai_write_choice(llm_out_t *out, const llm_choice_t *c)
{
    llm_out_lit(out, "{\"index\":");
    llm_write_int(out, c->index);
    llm_out_lit(out, ",\"message\":");
    llm_openai_write_message(out, c);
    llm_out_lit(out, ",\"logprobs\":");

    if (c->logprobs.n != 0 || c->refused.n != 0) {
        llm_out_lit(out, "{\"content\":");
        llm_openai_write_list(out, &c->logprobs);
        llm_out_lit(out, ",\"refusal\":");
        llm_openai_write_list(out, &c->refused);
        llm_out_lit(out, "}");

    } else {
        llm_out_lit(out, "null");
    }

    llm_out_lit(out, ",\"finish_reason\":");
    llm_openai_write_finish(out, c);
    llm_out_lit(out, "}");
}


void
llm_openai_write_answer_as(llm_encoder_t *e, const llm_answer_t *a,
    const char *prefix, const char *object,
    void (*write)(llm_out_t *out, const llm_choice_t *c))
{
    size_t       i;
    llm_out_t   *out;
    llm_slice_t  model;

    out = e->out;
    model = llm_gathered(&a->model);

    llm_out_lit(out, "{\"id\":\"");

    if (a->id.n != 0) {
        llm_write_gathered(out, &a->id);

    } else {
        llm_write_id(out, prefix, &model, e->unique, 0);
    }

    llm_out_lit(out, "\",\"object\":\"");
    llm_out(out, object, strlen(object));
    llm_out_lit(out, "\",\"created\":");
    llm_write_int(out, a->created > 0 ? a->created : e->now);
    llm_out_lit(out, ",\"model\":");
    llm_write_block(out, &a->model);
    llm_out_lit(out, ",\"choices\":[");

    for (i = 0; i < llm_answer_nchoices(a); i++) {
        if (i != 0) {
            llm_out_lit(out, ",");
        }

        write(out, &llm_answer_choices(a)[i]);
    }

    llm_out_lit(out, "]");

    if (a->has_usage) {
        llm_out_lit(out, ",\"usage\":");
        llm_write_usage(out, &a->usage, 1);
    }

    llm_out_lit(out, "}");
}


void
llm_openai_write_answer(llm_encoder_t *e, const llm_answer_t *a)
{
    llm_openai_write_answer_as(e, a, "chatcmpl-", "chat.completion",
                               llm_openai_write_choice);
}
