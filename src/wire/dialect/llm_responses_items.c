/*
 * OpenAI Responses: messages of a request as input items.  It must never say
 * what only the provider of another dialect could read: that is lost, and
 * said to be.
 */

#include "llm_responses.h"
#include "llm_openai.h"
#include "llm_openai_chat.h"


/* Whether a part of a user's message, or of a result, can be said. */
static int
llm_responses_can(const llm_part_t *part)
{
    switch (part->type) {

    case LLM_PART_TEXT:
        return 1;

    case LLM_PART_IMAGE:
        return part->url.n != 0 || part->data.n != 0;

    case LLM_PART_FILE:
        return part->url.n != 0 || part->data.n != 0 || part->id.n != 0;

    case LLM_PART_AUDIO:
        return part->data.n != 0
               && llm_openai_audio_format(&part->media).p != NULL;

    default:
        return 0;
    }
}


static void
llm_responses_put_image(llm_chat_writer_t *w, const llm_part_t *part)
{
    llm_out_lit(w->out, "{\"type\":\"input_image\",\"image_url\":");

    if (part->data.n != 0) {
        llm_chat_put_data(w, part);

    } else {
        llm_chat_put(w, &part->url);
    }

    llm_out_lit(w->out, ",\"detail\":\"");

    if (part->name.n != 0) {
        llm_chat_splice(w, &part->name);

    } else {
        llm_out_lit(w->out, "auto");
    }

    llm_out_lit(w->out, "\"}");
}


static void
llm_responses_put_file(llm_chat_writer_t *w, const llm_part_t *part)
{
    llm_slice_t  name;

    llm_out_lit(w->out, "{\"type\":\"input_file\",");

    if (part->data.n != 0) {
        name = part->name.n != 0 ? part->name : llm_slice("file");

        llm_out_lit(w->out, "\"filename\":");
        llm_chat_put(w, &name);
        llm_out_lit(w->out, ",\"file_data\":");
        llm_chat_put_data(w, part);

    } else if (part->url.n != 0) {
        llm_out_lit(w->out, "\"file_url\":");
        llm_chat_put(w, &part->url);

    } else {
        llm_out_lit(w->out, "\"file_id\":");
        llm_chat_put(w, &part->id);
    }

    llm_out_lit(w->out, "}");
}


static void
llm_responses_put_part(llm_chat_writer_t *w, const llm_part_t *part)
{
    llm_slice_t  format;

    switch (part->type) {

    case LLM_PART_IMAGE:
        llm_responses_put_image(w, part);
        break;

    case LLM_PART_FILE:
        llm_responses_put_file(w, part);
        break;

    case LLM_PART_AUDIO:
        format = llm_openai_audio_format(&part->media);

        llm_out_lit(w->out, "{\"type\":\"input_audio\",\"input_audio\":"
                    "{\"data\":");
        llm_chat_put(w, &part->data);
        llm_out_lit(w->out, ",\"format\":");
        llm_chat_put(w, &format);
        llm_out_lit(w->out, "}}");
        break;

    default:
        llm_out_lit(w->out, "{\"type\":\"input_text\",\"text\":");
        llm_chat_put(w, &part->text);
        llm_out_lit(w->out, "}");
        break;
    }
}


/* What parts [i, end) say: a string when it is one text, else an array. */
static void
llm_responses_put_content(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i, size_t end)
{
    unsigned           n;
    const llm_part_t  *part;

    part = llm_chat_parts(c);

    if (i == end) {
        llm_out_lit(w->out, "\"\"");
        return;
    }

    if (end - i == 1 && part[i].type == LLM_PART_TEXT) {
        llm_chat_put(w, &part[i].text);
        return;
    }

    llm_out_lit(w->out, "[");

    for (n = 0; i < end; i++) {

        if (!llm_responses_can(&part[i])) {
            llm_chat_lost_part(w, &part[i]);
            continue;
        }

        llm_write_opening(w->out, n++, "");
        llm_responses_put_part(w, &part[i]);
    }

    llm_out_lit(w->out, "]");
}


static void
llm_responses_put_call(llm_chat_writer_t *w, const llm_chat_t *c, size_t i)
{
    const llm_part_t  *part;

    part = &llm_chat_parts(c)[i];

    llm_out_lit(w->out, "{\"type\":\"function_call\",\"call_id\":\"");
    llm_chat_call_id(w, c, i);
    llm_out_lit(w->out, "\",\"name\":");
    llm_chat_put(w, &part->name);
    llm_out_lit(w->out, ",\"arguments\":\"");
    llm_chat_args(w, &part->args, part->args_string);
    llm_out_lit(w->out, "\"}");
}


static void
llm_responses_put_result_item(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i, size_t end)
{
    llm_out_lit(w->out, "{\"type\":\"function_call_output\",\"call_id\":\"");
    llm_chat_call_id(w, c, i);
    llm_out_lit(w->out, "\",\"output\":");
    llm_responses_put_content(w, c, i + 1, end);
    llm_out_lit(w->out, "}");

    if (llm_chat_parts(c)[i].error) {
        llm_chat_lost(w, "messages[].content[].is_error", 0);
    }
}


/* Texts and refusals of the model in [i, end). */
static void
llm_responses_put_said(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end)
{
    unsigned           n;
    const llm_part_t  *part;

    part = llm_chat_parts(c);

    llm_out_lit(w->out, "{\"role\":\"assistant\",\"content\":");

    if (end - i == 1 && part[i].type == LLM_PART_TEXT) {
        llm_chat_put(w, &part[i].text);
        llm_out_lit(w->out, "}");
        return;
    }

    llm_out_lit(w->out, "[");

    for (n = 0; i < end; i++) {
        llm_write_opening(w->out, n++, "");

        if (part[i].type == LLM_PART_REFUSAL) {
            llm_out_lit(w->out, "{\"type\":\"refusal\",\"refusal\":");
            llm_chat_put(w, &part[i].text);
            llm_out_lit(w->out, "}");

        } else {
            llm_out_lit(w->out, "{\"type\":\"output_text\",\"text\":");
            llm_chat_put(w, &part[i].text);
            llm_out_lit(w->out, ",\"annotations\":[]}");
        }
    }

    llm_out_lit(w->out, "]}");
}


/* A reasoning item is of use only with what was encrypted; part i is that,
 * [from, i) are its summary. */
static void
llm_responses_put_reasoning_item(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t from, size_t i)
{
    unsigned           n;
    const llm_part_t  *part;

    part = llm_chat_parts(c);

    llm_out_lit(w->out, "{\"type\":\"reasoning\",\"summary\":[");

    for (n = 0; from < i; from++) {
        llm_write_opening(w->out, n++, "");
        llm_out_lit(w->out, "{\"type\":\"summary_text\",\"text\":");
        llm_chat_put(w, &part[from].text);
        llm_out_lit(w->out, "}");
    }

    llm_out_lit(w->out, "],\"encrypted_content\":");
    llm_chat_put(w, &part[i].data);
    llm_out_lit(w->out, "}");
}


/* The parts of a kind that follow each other. */
static size_t
llm_responses_run(const llm_chat_t *c, size_t i, size_t end)
{
    unsigned           said;
    const llm_part_t  *part;

    part = llm_chat_parts(c);
    said = part[i].type == LLM_PART_TEXT || part[i].type == LLM_PART_REFUSAL;

    if (!said && part[i].type != LLM_PART_REASONING) {
        return i + 1;
    }

    while (i < end && (said ? part[i].type == LLM_PART_TEXT
                              || part[i].type == LLM_PART_REFUSAL
                            : part[i].type == LLM_PART_REASONING))
    {
        i++;
    }

    return i;
}


/* Reasoning parts [i, end). */
static void
llm_responses_put_reasoning(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i, size_t end, unsigned *n)
{
    size_t             from;
    const llm_part_t  *part;

    part = llm_chat_parts(c);

    for (from = i; i < end; i++) {

        if (part[i].data.n != 0) {
            llm_write_opening(w->out, (*n)++, "");
            llm_responses_put_reasoning_item(w, c, from, i);
            from = i + 1;

        } else if (part[i].signature.n != 0) {

            /* signed by another provider */

            llm_chat_lost(w, "messages[].reasoning", 0);
            from = i + 1;
        }
    }

    if (from < end) {
        llm_chat_lost(w, "messages[].reasoning", 0);
    }
}


static void
llm_responses_put_assistant(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i, size_t end, unsigned *n)
{
    size_t             next;
    const llm_part_t  *part;

    part = llm_chat_parts(c);

    for ( /* void */ ; i < end; i = next) {
        next = llm_responses_run(c, i, end);

        switch (part[i].type) {

        case LLM_PART_REASONING:
            llm_responses_put_reasoning(w, c, i, next, n);
            break;

        case LLM_PART_TEXT: case LLM_PART_REFUSAL:
            llm_write_opening(w->out, (*n)++, "");
            llm_responses_put_said(w, c, i, next);
            break;

        case LLM_PART_TOOL_CALL:
            llm_write_opening(w->out, (*n)++, "");
            llm_responses_put_call(w, c, i);
            break;

        default:
            llm_chat_lost_part(w, &part[i]);
            break;
        }
    }
}


/* A message of the user's, or of the system's; a result among it is an item
 * of its own. */
static void
llm_responses_put_user(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end, unsigned *n)
{
    size_t             next;
    const llm_part_t  *part;

    part = llm_chat_parts(c);

    while (i < end) {

        if (part[i].type == LLM_PART_TOOL_RESULT) {
            next = llm_chat_inner_end(c, i + 1);

            llm_write_opening(w->out, (*n)++, "");
            llm_responses_put_result_item(w, c, i, next);
            i = next;
            continue;
        }

        for (next = i; next < end && part[next].type != LLM_PART_TOOL_RESULT;
             next++)
        {
            /* void */
        }

        llm_write_opening(w->out, (*n)++, "");

        if (part[i].role == LLM_ROLE_SYSTEM) {
            llm_out_lit(w->out, "{\"role\":\"system\",\"content\":");

        } else {
            llm_out_lit(w->out, "{\"role\":\"user\",\"content\":");
        }

        llm_responses_put_content(w, c, i, next);
        llm_out_lit(w->out, "}");
        i = next;
    }
}


/* Whether all there is from part i on is one text of the user's. */
static int
llm_responses_is_prompt(const llm_chat_t *c, size_t i)
{
    const llm_part_t  *part;

    part = llm_chat_parts(c);

    return i + 1 == llm_chat_nparts(c) && part[i].type == LLM_PART_TEXT
           && part[i].role == LLM_ROLE_USER;
}


void
llm_responses_write_input(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i)
{
    size_t             end;
    unsigned           n;
    const llm_part_t  *part;

    part = llm_chat_parts(c);

    if (llm_responses_is_prompt(c, i)) {
        llm_chat_put(w, &part[i].text);
        return;
    }

    llm_out_lit(w->out, "[");

    for (n = 0; i < llm_chat_nparts(c); i = end) {
        end = llm_chat_message_end(c, i);

        if (part[i].role == LLM_ROLE_ASSISTANT) {
            llm_responses_put_assistant(w, c, i, end, &n);

        } else {
            llm_responses_put_user(w, c, i, end, &n);
        }
    }

    llm_out_lit(w->out, "]");
}
