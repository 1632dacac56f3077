/*
 * Anthropic messages: the messages of a request's body.  Roles that follow
 * each other are one message, tool results are the user's, and all system
 * messages, wherever they stood, are the system prompt.  A string is never
 * copied but when an id has characters that Anthropic refuses.
 */

#include "llm_anthropic.h"


/* Letters, digits, _ and -: Anthropic takes no other id of a call. */
static int
llm_anthropic_id_char(llm_u8 ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
           || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-';
}


/* The id of the call or the result at part i, as a string. */
static void
llm_anthropic_write_id(llm_chat_writer_t *w, const llm_chat_t *c, size_t i)
{
    size_t              n;
    llm_u8              ch;
    const llm_slice_t  *id;

    id = &llm_chat_parts(c)[i].id;
    llm_out_lit(w->out, "\"");

    for (n = 0; n < id->n && llm_anthropic_id_char(id->p[n]); n++) {
        /* void */
    }

    if (n == id->n) {
        llm_chat_call_id(w, c, i);

    } else {
        for (n = 0; n < id->n; n++) {
            ch = llm_anthropic_id_char(id->p[n]) ? id->p[n] : '_';
            llm_out(w->out, &ch, 1);
        }
    }

    llm_out_lit(w->out, "\"");
}


/* Whether a part is one that this dialect can say. */
static int
llm_anthropic_has(const llm_part_t *part)
{
    llm_slice_t  media;

    switch (part->type) {

    case LLM_PART_TEXT: case LLM_PART_REFUSAL:
        return part->text.n != 0;

    case LLM_PART_REASONING:
        return part->signature.n != 0 || part->data.n != 0;

    case LLM_PART_IMAGE:
        return part->data.n != 0 || part->url.n != 0;

    case LLM_PART_FILE:
        if (part->url.n != 0) {
            return 1;
        }

        media = llm_chat_media(part);

        return part->data.n != 0 && llm_json_is(&media, "application/pdf");

    case LLM_PART_TOOL_CALL: case LLM_PART_TOOL_RESULT:
        return 1;

    default:
        return 0;
    }
}


/* A part that is not written: what the log or the error names. */
static void
llm_anthropic_lost_part(llm_chat_writer_t *w, const llm_part_t *part)
{
    switch (part->type) {

    case LLM_PART_TEXT: case LLM_PART_REFUSAL:
        break;      /* empty: Anthropic takes no empty text */

    case LLM_PART_REASONING:
        if (part->text.n != 0) {
            llm_chat_lost(w, "messages[].reasoning_content", 0);
        }

        break;

    case LLM_PART_IMAGE:
        llm_chat_lost(w, "messages[].image_url", 1);
        break;

    case LLM_PART_AUDIO:
        llm_chat_lost(w, "messages[].input_audio", 1);
        break;

    case LLM_PART_FILE:
        llm_chat_lost(w, "messages[].file", 1);
        break;

    default:
        llm_chat_lost(w, "messages[].content", 1);
        break;
    }
}


static void
llm_anthropic_write_media(llm_chat_writer_t *w, const llm_part_t *part)
{
    llm_slice_t  media;

    if (part->type == LLM_PART_IMAGE) {
        llm_out_lit(w->out, "{\"type\":\"image\",\"source\":");

    } else {
        llm_out_lit(w->out, "{\"type\":\"document\",\"source\":");
    }

    if (part->data.n != 0) {
        media = llm_chat_media(part);

        llm_out_lit(w->out, "{\"type\":\"base64\",\"media_type\":");
        llm_chat_put(w, &media);
        llm_out_lit(w->out, ",\"data\":");
        llm_chat_put(w, &part->data);

    } else {
        llm_out_lit(w->out, "{\"type\":\"url\",\"url\":");
        llm_chat_put(w, &part->url);
    }

    llm_out_lit(w->out, "}");

    if (part->type == LLM_PART_FILE && part->name.n != 0) {
        llm_out_lit(w->out, ",\"title\":");
        llm_chat_put(w, &part->name);
    }

    llm_out_lit(w->out, "}");
}


static void
llm_anthropic_write_thought(llm_chat_writer_t *w, const llm_part_t *part)
{
    if (part->signature.n != 0) {
        llm_out_lit(w->out, "{\"type\":\"thinking\",\"thinking\":");
        llm_chat_put(w, &part->text);
        llm_out_lit(w->out, ",\"signature\":");
        llm_chat_put(w, &part->signature);
        llm_out_lit(w->out, "}");

        if (part->data.n == 0) {
            return;
        }

        llm_out_lit(w->out, ",");
    }

    llm_out_lit(w->out, "{\"type\":\"redacted_thinking\",\"data\":");
    llm_chat_put(w, &part->data);
    llm_out_lit(w->out, "}");
}


static void
llm_anthropic_write_part(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i)
{
    const llm_part_t  *part;

    part = &llm_chat_parts(c)[i];

    switch (part->type) {

    case LLM_PART_IMAGE: case LLM_PART_FILE:
        llm_anthropic_write_media(w, part);
        break;

    case LLM_PART_REASONING:
        llm_anthropic_write_thought(w, part);
        break;

    case LLM_PART_TOOL_CALL:
        llm_out_lit(w->out, "{\"type\":\"tool_use\",\"id\":");
        llm_anthropic_write_id(w, c, i);
        llm_out_lit(w->out, ",\"name\":");
        llm_chat_put(w, &part->name);
        llm_out_lit(w->out, ",\"input\":");
        llm_chat_put_object(w, part);
        llm_out_lit(w->out, "}");
        break;

    default:    /* text */
        llm_out_lit(w->out, "{\"type\":\"text\",\"text\":");
        llm_chat_put(w, &part->text);
        llm_out_lit(w->out, "}");
        break;
    }
}


static const llm_part_t *
llm_anthropic_parts_end(const llm_chat_t *c)
{
    return llm_chat_parts(c) + llm_chat_nparts(c);
}


/*
 * How many of the parts [i, end) that are as `inner` says can be said; *text
 * is the only one when it is a text.
 */
static size_t
llm_anthropic_count(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end, unsigned inner, const llm_part_t **text)
{
    size_t             n;
    const llm_part_t  *part;

    n = 0;
    *text = NULL;

    for ( /* void */ ; i < end; i++) {
        part = &llm_chat_parts(c)[i];

        if (part->inner != inner || part->role == LLM_ROLE_SYSTEM) {
            continue;
        }

        if (!llm_anthropic_has(part)) {
            llm_anthropic_lost_part(w, part);
            continue;
        }

        if (n++ == 0 && (part->type == LLM_PART_TEXT
                         || part->type == LLM_PART_REFUSAL))
        {
            *text = part;

        } else {
            *text = NULL;
        }
    }

    return n;
}


static void llm_anthropic_write_result(llm_chat_writer_t *w,
    const llm_chat_t *c, size_t i, size_t end);


/* The value of a content: a string for a text alone, else an array. */
static void
llm_anthropic_write_content(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i, size_t end, unsigned inner, const llm_part_t *text)
{
    unsigned           n;
    const llm_part_t  *part;

    if (text != NULL) {
        llm_chat_put(w, &text->text);
        return;
    }

    n = 0;

    for ( /* void */ ; i < end; i++) {
        part = &llm_chat_parts(c)[i];

        if (part->inner != inner || part->role == LLM_ROLE_SYSTEM
            || !llm_anthropic_has(part))
        {
            continue;
        }

        llm_write_opening(w->out, n++, "[");

        if (part->type == LLM_PART_TOOL_RESULT && !inner) {
            llm_anthropic_write_result(w, c, i, end);

        } else {
            llm_anthropic_write_part(w, c, i);
        }
    }

    llm_out_lit(w->out, "]");
}


/* The result at part i; what it says are the inner parts behind it. */
static void
llm_anthropic_write_result(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i, size_t end)
{
    size_t             first, n;
    const llm_part_t  *parts, *text;

    parts = llm_chat_parts(c);
    first = i + 1;

    for (n = first; n < end && parts[n].inner; n++) {
        /* void */
    }

    end = n;

    llm_out_lit(w->out, "{\"type\":\"tool_result\",\"tool_use_id\":");
    llm_anthropic_write_id(w, c, i);

    if (llm_anthropic_count(w, c, first, end, 1, &text) != 0) {
        llm_out_lit(w->out, ",\"content\":");
        llm_anthropic_write_content(w, c, first, end, 1, text);
    }

    if (parts[i].error) {
        llm_out_lit(w->out, ",\"is_error\":true");
    }

    llm_out_lit(w->out, "}");
}


static inline int
llm_anthropic_is_assistant(const llm_part_t *part)
{
    return part->role == LLM_ROLE_ASSISTANT;
}


/* The parts of one message: up to another role, system parts in between. */
static size_t
llm_anthropic_turn_end(const llm_chat_t *c, size_t i)
{
    int                assistant;
    const llm_part_t  *part, *end;

    part = &llm_chat_parts(c)[i];
    end = llm_anthropic_parts_end(c);
    assistant = llm_anthropic_is_assistant(part);

    while (part < end && (part->role == LLM_ROLE_SYSTEM
                          || llm_anthropic_is_assistant(part) == assistant))
    {
        part++;
    }

    return (size_t) (part - llm_chat_parts(c));
}


static void
llm_anthropic_write_turns(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t             i, n, end;
    unsigned           messages;
    const llm_part_t  *parts, *text;

    parts = llm_chat_parts(c);
    n = llm_chat_nparts(c);
    messages = 0;

    for (i = 0; i < n; i = end) {
        end = i + 1;

        if (parts[i].role == LLM_ROLE_SYSTEM) {
            continue;
        }

        end = llm_anthropic_turn_end(c, i);

        if (llm_anthropic_count(w, c, i, end, 0, &text) == 0) {
            continue;
        }

        if (messages++ != 0) {
            llm_out_lit(w->out, ",");
        }

        if (llm_anthropic_is_assistant(&parts[i])) {
            llm_out_lit(w->out, "{\"role\":\"assistant\",\"content\":");

        } else {
            llm_out_lit(w->out, "{\"role\":\"user\",\"content\":");
        }

        llm_anthropic_write_content(w, c, i, end, 0, text);
        llm_out_lit(w->out, "}");
    }
}


static int
llm_anthropic_is_system(llm_chat_writer_t *w, const llm_part_t *part)
{
    if (part->role != LLM_ROLE_SYSTEM) {
        return 0;
    }

    if (part->type != LLM_PART_TEXT) {
        llm_anthropic_lost_part(w, part);
        return 0;
    }

    return part->text.n != 0;
}


static void
llm_anthropic_write_system(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t             n;
    unsigned           written;
    const llm_part_t  *part, *end, *text;

    n = 0;
    text = NULL;
    end = llm_anthropic_parts_end(c);

    for (part = llm_chat_parts(c); part < end; part++) {
        if (llm_anthropic_is_system(w, part)) {
            text = part;
            n++;
        }
    }

    if (n == 0 || !llm_chat_member(w, "system")) {
        return;
    }

    if (n == 1) {
        llm_chat_put(w, &text->text);
        return;
    }

    written = 0;

    for (part = llm_chat_parts(c); part < end; part++) {
        if (llm_anthropic_is_system(w, part)) {
            llm_write_opening(w->out, written++, "[");
            llm_out_lit(w->out, "{\"type\":\"text\",\"text\":");
            llm_chat_put(w, &part->text);
            llm_out_lit(w->out, "}");
        }
    }

    llm_out_lit(w->out, "]");
}


void
llm_anthropic_write_messages(llm_chat_writer_t *w, const llm_chat_t *c)
{
    if (llm_chat_nparts(c) != 0) {
        llm_anthropic_write_system(w, c);
    }

    if (llm_chat_member(w, "messages")) {
        llm_out_lit(w->out, "[");
        llm_anthropic_write_turns(w, c);
        llm_out_lit(w->out, "]");
    }
}
