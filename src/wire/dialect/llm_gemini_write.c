/*
 * Gemini: contents of a request.  Turns of one role that follow each other
 * become one content; system prompts, wherever they stand, become the
 * systemInstruction.
 */

#include "llm_gemini_chat.h"


static void
llm_gemini_put_signature(llm_chat_writer_t *w, const llm_part_t *part)
{
    if (part->signature.n != 0) {
        llm_out_lit(w->out, ",\"thoughtSignature\":");
        llm_chat_put(w, &part->signature);
    }
}


/* The media type of a link, by how it ends; absent for what is not known. */
static llm_slice_t
llm_gemini_link_media(const llm_slice_t *url)
{
    static const struct {
        llm_slice_t  end;
        llm_slice_t  media;
    } types[] = {
        { llm_str(".png"), llm_str("image/png") },
        { llm_str(".jpg"), llm_str("image/jpeg") },
        { llm_str(".jpeg"), llm_str("image/jpeg") },
        { llm_str(".webp"), llm_str("image/webp") },
        { llm_str(".gif"), llm_str("image/gif") },
        { llm_str(".heic"), llm_str("image/heic") },
        { llm_str(".pdf"), llm_str("application/pdf") },
        { llm_str(".mp3"), llm_str("audio/mp3") },
        { llm_str(".wav"), llm_str("audio/wav") },
        { llm_str(".mp4"), llm_str("video/mp4") }
    };

    size_t              i, k, n;
    const llm_slice_t  *end;

    /* what is behind a question mark is no part of the name */

    for (n = 0; n < url->n && url->p[n] != '?' && url->p[n] != '#'; n++) {
        /* void */
    }

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        end = &types[i].end;

        for (k = 0; k < end->n && end->n <= n; k++) {
            if ((url->p[n - end->n + k] | 0x20) != (end->p[k] | 0x20)) {
                break;
            }
        }

        if (k == end->n) {
            return types[i].media;
        }
    }

    return llm_slice_null;
}


static void
llm_gemini_put_media(llm_chat_writer_t *w, const llm_part_t *part)
{
    llm_slice_t  media;

    if (part->data.p != NULL) {
        media = llm_chat_media(part);

        llm_out_lit(w->out, "{\"inlineData\":{\"mimeType\":");
        llm_chat_put(w, &media);
        llm_out_lit(w->out, ",\"data\":");
        llm_chat_put(w, &part->data);

    } else {
        media = part->media;

        if (media.p == NULL) {
            media = llm_gemini_link_media(&part->url);
        }

        llm_out_lit(w->out, "{\"fileData\":{");

        if (media.p != NULL) {
            llm_out_lit(w->out, "\"mimeType\":");
            llm_chat_put(w, &media);
            llm_out_lit(w->out, ",");
        }

        llm_out_lit(w->out, "\"fileUri\":");
        llm_chat_put(w, &part->url);
    }

    llm_out_lit(w->out, "}");
    llm_gemini_put_signature(w, part);
    llm_out_lit(w->out, "}");
}


static void
llm_gemini_put_call(llm_chat_writer_t *w, const llm_part_t *part)
{
    llm_out_lit(w->out, "{\"functionCall\":{\"name\":");
    llm_chat_put(w, &part->name);
    llm_out_lit(w->out, ",\"args\":");
    llm_chat_put_object(w, part);

    if (part->id.n != 0) {
        llm_out_lit(w->out, ",\"id\":");
        llm_chat_put(w, &part->id);
    }

    llm_out_lit(w->out, "}");
    llm_gemini_put_signature(w, part);
    llm_out_lit(w->out, "}");
}


/* Whether a text may be an object: llm_chat_object() takes nothing for an
 * empty one. */
static int
llm_gemini_may_be_object(const llm_slice_t *text)
{
    size_t  i;

    for (i = 0; i < text->n; i++) {
        if (text->p[i] != ' ') {
            return text->p[i] == '{';
        }
    }

    return 0;
}


/* The answer of a function, which must be an object: a text that says one is
 * that object, any other is its result. */
static void
llm_gemini_put_response(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end, unsigned error)
{
    size_t             k, n, at;
    const llm_part_t  *parts;

    parts = llm_chat_parts(c);
    at = i;
    n = 0;

    for (k = i; k < end; k++) {
        if (parts[k].type == LLM_PART_TEXT) {
            at = n++ == 0 ? k : at;
        }
    }

    if (n == 1 && !error && llm_gemini_may_be_object(&parts[at].text)
        && llm_chat_object(w, &parts[at].text, 1))
    {
        return;
    }

    if (error) {
        llm_out_lit(w->out, "{\"error\":\"");

    } else {
        llm_out_lit(w->out, "{\"result\":\"");
    }

    llm_chat_texts(w, c, i, end);
    llm_out_lit(w->out, "\"}");
}


static void
llm_gemini_put_result(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end)
{
    llm_slice_t        name;
    const llm_part_t  *part;

    part = &llm_chat_parts(c)[i];
    name = llm_chat_call_name(c, i);

    if (name.n == 0) {
        name = llm_slice("function");
        llm_chat_lost(w, "messages[].tool_call_id", 1);
    }

    llm_out_lit(w->out, "{\"functionResponse\":{\"name\":");
    llm_chat_put(w, &name);
    llm_out_lit(w->out, ",\"response\":");
    llm_gemini_put_response(w, c, i + 1, end, part->error);

    if (part->id.n != 0) {
        llm_out_lit(w->out, ",\"id\":");
        llm_chat_put(w, &part->id);
    }

    llm_out_lit(w->out, "}}");
}


/* Whether a part can be said; if not, it is lost. */
static int
llm_gemini_can(llm_chat_writer_t *w, const llm_part_t *part)
{
    switch (part->type) {

    case LLM_PART_TEXT: case LLM_PART_REFUSAL:
        return part->text.n != 0 || part->signature.n != 0;

    case LLM_PART_REASONING:
        if (part->text.n != 0 || part->signature.n != 0) {
            return 1;
        }

        llm_chat_lost(w, "messages[].reasoning", 0);
        return 0;

    case LLM_PART_TOOL_CALL: case LLM_PART_TOOL_RESULT:
        return 1;

    case LLM_PART_IMAGE: case LLM_PART_AUDIO: case LLM_PART_FILE:
        if ((part->data.p != NULL && llm_chat_media(part).p != NULL)
            || part->url.p != NULL)
        {
            return 1;
        }

        llm_chat_lost(w, "messages[].content[].file", 1);
        return 0;

    default:
        if (part->raw.p != NULL && llm_gemini_is_part(&part->name)) {
            return 1;
        }

        llm_chat_lost(w, "messages[].content[].type", 1);
        return 0;
    }
}


/* One part that is no inner one. */
static void
llm_gemini_put_part(llm_chat_writer_t *w, const llm_chat_t *c, size_t i)
{
    const llm_part_t  *part;

    part = &llm_chat_parts(c)[i];

    switch (part->type) {

    case LLM_PART_TOOL_CALL:
        llm_gemini_put_call(w, part);
        break;

    case LLM_PART_TOOL_RESULT:
        llm_gemini_put_result(w, c, i, llm_chat_inner_end(c, i + 1));
        break;

    case LLM_PART_IMAGE: case LLM_PART_AUDIO: case LLM_PART_FILE:
        llm_gemini_put_media(w, part);
        break;

    case LLM_PART_OTHER:
        llm_chat_splice(w, &part->raw);
        break;

    default:
        llm_out_lit(w->out, "{\"text\":");
        llm_chat_put(w, &part->text);

        if (part->type == LLM_PART_REASONING) {
            llm_out_lit(w->out, ",\"thought\":true");
        }

        llm_gemini_put_signature(w, part);
        llm_out_lit(w->out, "}");
        break;
    }
}


/* Begins a part of that role: the next in the open content, or the first of
 * a new one. */
static void
llm_gemini_put_turn(llm_chat_writer_t *w, int *open, int model)
{
    if (*open == model) {
        llm_out_lit(w->out, ",");
        return;
    }

    if (*open != -1) {
        llm_out_lit(w->out, "]},");
    }

    if (model) {
        llm_out_lit(w->out, "{\"role\":\"model\",\"parts\":[");

    } else {
        llm_out_lit(w->out, "{\"role\":\"user\",\"parts\":[");
    }

    *open = model;
}


static void
llm_gemini_write_turns(llm_chat_writer_t *w, const llm_chat_t *c)
{
    int                open;
    size_t             i;
    const llm_part_t  *part;

    open = -1;
    llm_out_lit(w->out, "[");

    for (i = 0; i < llm_chat_nparts(c); i++) {
        part = &llm_chat_parts(c)[i];

        /* the texts of a function's answer went with it; an image of it
         * follows */

        if (part->role == LLM_ROLE_SYSTEM
            || (part->inner && part->type == LLM_PART_TEXT)
            || !llm_gemini_can(w, part))
        {
            continue;
        }

        llm_gemini_put_turn(w, &open, part->role == LLM_ROLE_ASSISTANT);
        llm_gemini_put_part(w, c, i);
    }

    if (open != -1) {
        llm_out_lit(w->out, "]}");
    }

    llm_out_lit(w->out, "]");
}


static void
llm_gemini_write_system(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t             i;
    unsigned           n;
    const llm_part_t  *part;

    n = 0;

    for (i = 0; i < llm_chat_nparts(c); i++) {
        part = &llm_chat_parts(c)[i];

        if (part->role != LLM_ROLE_SYSTEM || !llm_gemini_can(w, part)) {
            continue;
        }

        if (n == 0) {
            if (!llm_chat_member(w, "systemInstruction")) {
                return;
            }

            llm_out_lit(w->out, "{\"parts\":[");

        } else {
            llm_out_lit(w->out, ",");
        }

        llm_gemini_put_part(w, c, i);
        n++;
    }

    if (n != 0) {
        llm_out_lit(w->out, "]}");
    }
}


void
llm_gemini_write_contents(llm_chat_writer_t *w, const llm_chat_t *c)
{
    if (llm_chat_member(w, "contents")) {
        llm_gemini_write_turns(w, c);
    }

    llm_gemini_write_system(w, c);
}
