/*
 * OpenAI chat completions: the messages of a request as OpenAI's own client
 * would send them.  What they hold that is large is referred to.
 */

#include "llm_openai.h"
#include "llm_openai_chat.h"


static void
llm_openai_put_image(llm_chat_writer_t *w, const llm_part_t *part)
{
    llm_out_lit(w->out, "{\"type\":\"image_url\",\"image_url\":{\"url\":");

    if (part->data.p != NULL) {
        llm_chat_put_data(w, part);

    } else {
        llm_chat_put(w, &part->url);
    }

    if (part->name.n != 0) {
        llm_out_lit(w->out, ",\"detail\":");
        llm_chat_put(w, &part->name);
    }

    llm_out_lit(w->out, "}}");
}


static void
llm_openai_put_audio(llm_chat_writer_t *w, const llm_part_t *part,
    const llm_slice_t *format)
{
    llm_out_lit(w->out, "{\"type\":\"input_audio\",\"input_audio\":"
                        "{\"data\":");
    llm_chat_put(w, &part->data);
    llm_out_lit(w->out, ",\"format\":");
    llm_chat_put(w, format);
    llm_out_lit(w->out, "}}");
}


static void
llm_openai_put_file(llm_chat_writer_t *w, const llm_part_t *part)
{
    llm_out_lit(w->out, "{\"type\":\"file\",\"file\":{");

    if (part->data.p != NULL) {
        llm_out_lit(w->out, "\"file_data\":");
        llm_chat_put_data(w, part);
        llm_out_lit(w->out, ",\"filename\":");

        if (part->name.n != 0) {
            llm_chat_put(w, &part->name);

        } else {
            llm_out_lit(w->out, "\"file\"");
        }

    } else {
        llm_out_lit(w->out, "\"file_id\":");
        llm_chat_put(w, &part->id);
    }

    llm_out_lit(w->out, "}}");
}


/*
 * Whether a part can be said; any: in a user's message, else only a text is.
 * An empty text that is there for its signature is none.
 */
static int
llm_openai_can(const llm_part_t *part, unsigned any)
{
    if (part->type == LLM_PART_TEXT) {
        return part->text.n != 0 || part->signature.n == 0;
    }

    if (!any) {
        return 0;
    }

    switch (part->type) {

    case LLM_PART_IMAGE:
        return part->url.p != NULL || part->data.p != NULL;

    case LLM_PART_AUDIO:
        return part->data.p != NULL
               && llm_openai_audio_format(&part->media).p != NULL;

    case LLM_PART_FILE:
        return part->id.p != NULL || part->data.p != NULL;

    default:
        return 0;
    }
}


void
llm_openai_put_part(llm_chat_writer_t *w, const llm_part_t *part)
{
    llm_slice_t  format;

    switch (part->type) {

    case LLM_PART_TEXT:
        llm_out_lit(w->out, "{\"type\":\"text\",\"text\":");
        llm_chat_put(w, &part->text);
        llm_out_lit(w->out, "}");
        break;

    case LLM_PART_IMAGE:
        llm_openai_put_image(w, part);
        break;

    case LLM_PART_AUDIO:
        format = llm_openai_audio_format(&part->media);
        llm_openai_put_audio(w, part, &format);
        break;

    default:
        llm_openai_put_file(w, part);
        break;
    }
}


/*
 * The content that parts [i, end) say: a string when it is one text, else an
 * array.  Only texts are taken unless it is a user's.  0: there was none,
 * nothing was written.
 */
static int
llm_openai_put_content(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end, unsigned any)
{
    size_t             at, n;
    const llm_part_t  *parts;

    parts = llm_chat_parts(c);
    n = 0;
    at = i;

    for ( /* void */ ; i < end; i++) {

        if (llm_openai_can(&parts[i], any)) {
            at = n++ == 0 ? i : at;

        } else {
            llm_chat_lost_part(w, &parts[i]);
        }
    }

    if (n == 0) {
        return 0;
    }

    if (n == 1 && parts[at].type == LLM_PART_TEXT) {
        llm_chat_put(w, &parts[at].text);
        return 1;
    }

    llm_out_lit(w->out, "[");

    for (i = at; i < end && n != 0; i++) {

        if (!llm_openai_can(&parts[i], any)) {
            continue;
        }

        llm_openai_put_part(w, &parts[i]);

        if (--n != 0) {
            llm_out_lit(w->out, ",");
        }
    }

    llm_out_lit(w->out, "]");

    return 1;
}


static void
llm_openai_put_result(llm_chat_writer_t *w, const llm_chat_t *c, size_t i)
{
    const llm_part_t  *part;

    part = &llm_chat_parts(c)[i];

    llm_out_lit(w->out, "{\"role\":\"tool\",\"tool_call_id\":\"");
    llm_chat_call_id(w, c, i);
    llm_out_lit(w->out, "\",\"content\":");

    if (!llm_openai_put_content(w, c, i + 1, llm_chat_inner_end(c, i + 1),
                                0))
    {
        llm_out_lit(w->out, "\"\"");
    }

    llm_out_lit(w->out, "}");

    if (part->error) {
        llm_chat_lost(w, "messages[].content[].is_error", 0);
    }
}


static void
llm_openai_put_call(llm_chat_writer_t *w, const llm_chat_t *c, size_t i)
{
    const llm_part_t  *part;

    part = &llm_chat_parts(c)[i];

    llm_out_lit(w->out, "{\"id\":\"");
    llm_chat_call_id(w, c, i);
    llm_out_lit(w->out, "\",\"type\":\"function\",\"function\":{\"name\":");
    llm_chat_put(w, &part->name);
    llm_out_lit(w->out, ",\"arguments\":\"");
    llm_chat_args(w, &part->args, part->args_string);
    llm_out_lit(w->out, "\"}");

    if (part->signature.n != 0) {
        llm_out_lit(w->out, LLM_OPENAI_SIGNATURE);
        llm_chat_put(w, &part->signature);
        llm_out_lit(w->out, "}}");
    }

    llm_out_lit(w->out, "}");
}


/* The member `name` with the texts of all parts of a type in [i, end). */
static void
llm_openai_put_texts(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end, llm_part_type_t type, const char *name)
{
    size_t             n;
    const llm_part_t  *part;

    n = 0;

    for ( /* void */ ; i < end; i++) {
        part = &llm_chat_parts(c)[i];

        if (part->type != type || part->text.n == 0) {
            continue;
        }

        if (n++ == 0) {
            llm_out_lit(w->out, ",\"");
            llm_out(w->out, name, strlen(name));
            llm_out_lit(w->out, "\":\"");
        }

        llm_chat_splice(w, &part->text);
    }

    if (n != 0) {
        llm_out_lit(w->out, "\"");
    }
}


/* OpenRouter's reasoning_details. */
static void
llm_openai_put_details(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end)
{
    size_t             n;
    const llm_part_t  *part;

    n = 0;

    for ( /* void */ ; i < end; i++) {
        part = &llm_chat_parts(c)[i];

        if (part->type != LLM_PART_REASONING) {
            continue;
        }

        if (n == 0) {
            llm_out_lit(w->out, ",\"reasoning_details\":[");

        } else {
            llm_out_lit(w->out, ",");
        }

        if (part->data.p != NULL) {
            llm_out_lit(w->out, "{\"type\":\"reasoning.encrypted\","
                                "\"data\":");
            llm_chat_put(w, &part->data);

        } else {
            llm_out_lit(w->out, "{\"type\":\"reasoning.text\",\"text\":");
            llm_chat_put(w, &part->text);
        }

        if (part->signature.n != 0) {
            llm_out_lit(w->out, ",\"signature\":");
            llm_chat_put(w, &part->signature);
        }

        llm_out_lit(w->out, ",\"index\":");
        llm_write_int(w->out, (int64_t) n++);
        llm_out_lit(w->out, "}");
    }

    if (n != 0) {
        llm_out_lit(w->out, "]");
    }
}


/* How many parts of a type there are in [i, end). */
static size_t
llm_openai_parts(const llm_chat_t *c, size_t i, size_t end,
    llm_part_type_t type)
{
    size_t  n;

    for (n = 0; i < end; i++) {
        n += llm_chat_parts(c)[i].type == type;
    }

    return n;
}


static void
llm_openai_put_reasoning(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i, size_t end)
{
    if (w->quirks & LLM_QUIRK_DETAILS) {
        llm_openai_put_details(w, c, i, end);

    } else if (w->quirks & LLM_QUIRK_REASONING) {
        llm_openai_put_texts(w, c, i, end, LLM_PART_REASONING,
                             "reasoning_content");

    } else if (llm_openai_parts(c, i, end, LLM_PART_REASONING) != 0) {
        llm_chat_lost(w, "messages[].reasoning", 0);
    }
}


static void
llm_openai_put_assistant(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i, size_t end)
{
    size_t  n;

    llm_out_lit(w->out, "{\"role\":\"assistant\",\"content\":");

    if (!llm_openai_put_content(w, c, i, end, 0)) {
        llm_out_lit(w->out, "null");
    }

    llm_openai_put_reasoning(w, c, i, end);
    llm_openai_put_texts(w, c, i, end, LLM_PART_REFUSAL, "refusal");

    n = llm_openai_parts(c, i, end, LLM_PART_TOOL_CALL);

    if (n != 0) {
        llm_out_lit(w->out, ",\"tool_calls\":[");

        for ( /* void */ ; i < end; i++) {

            if (llm_chat_parts(c)[i].type != LLM_PART_TOOL_CALL) {
                continue;
            }

            llm_openai_put_call(w, c, i);

            if (--n != 0) {
                llm_out_lit(w->out, ",");
            }
        }

        llm_out_lit(w->out, "]");
    }

    llm_out_lit(w->out, "}");
}


/* Whether a message would say anything. */
static int
llm_openai_says(const llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end, llm_role_t role)
{
    llm_part_type_t    type;
    const llm_part_t  *part;

    for ( /* void */ ; i < end; i++) {
        part = &llm_chat_parts(c)[i];
        type = part->type;

        if (llm_openai_can(part, role == LLM_ROLE_USER)) {
            return 1;
        }

        if (role != LLM_ROLE_ASSISTANT) {
            continue;
        }

        if (type == LLM_PART_TOOL_CALL
            || (type == LLM_PART_REFUSAL && part->text.n != 0))
        {
            return 1;
        }

        if (type == LLM_PART_REASONING
            && ((w->quirks & LLM_QUIRK_DETAILS)
                || ((w->quirks & LLM_QUIRK_REASONING) && part->text.n != 0)))
        {
            return 1;
        }
    }

    return 0;
}


/* One string: several providers (Groq) refuse a list in a system message. */
static void
llm_openai_put_system(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end)
{
    llm_out_lit(w->out, "{\"role\":\"system\",\"content\":\"");
    llm_chat_texts(w, c, i, end);
    llm_out_lit(w->out, "\"}");

    for ( /* void */ ; i < end; i++) {
        llm_chat_lost_part(w, &llm_chat_parts(c)[i]);
    }
}


/* One message of parts that are no results; 0: it would say nothing. */
static int
llm_openai_put_message(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end, unsigned comma)
{
    llm_role_t  role;

    role = llm_chat_parts(c)[i].role;

    if (!llm_openai_says(w, c, i, end, role)) {
        for ( /* void */ ; i < end; i++) {
            llm_chat_lost_part(w, &llm_chat_parts(c)[i]);

            if (llm_chat_parts(c)[i].type == LLM_PART_REASONING) {
                llm_chat_lost(w, "messages[].reasoning", 0);
            }
        }

        return 0;
    }

    if (comma) {
        llm_out_lit(w->out, ",");
    }

    if (role == LLM_ROLE_ASSISTANT) {
        llm_openai_put_assistant(w, c, i, end);
        return 1;
    }

    if (role == LLM_ROLE_SYSTEM) {
        llm_openai_put_system(w, c, i, end);
        return 1;
    }

    llm_out_lit(w->out, "{\"role\":\"user\",\"content\":");
    (void) llm_openai_put_content(w, c, i, end, role == LLM_ROLE_USER);
    llm_out_lit(w->out, "}");

    return 1;
}


void
llm_openai_write_messages(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t             i, n, end;
    unsigned           written;
    const llm_part_t  *parts;

    if (!llm_chat_member(w, "messages")) {
        return;
    }

    parts = llm_chat_parts(c);
    n = llm_chat_nparts(c);
    written = 0;

    llm_out_lit(w->out, "[");

    for (i = 0; i < n; i = end) {

        if (parts[i].type == LLM_PART_TOOL_RESULT) {
            end = llm_chat_inner_end(c, i + 1);

            if (written++ != 0) {
                llm_out_lit(w->out, ",");
            }

            llm_openai_put_result(w, c, i);
            continue;
        }

        /* results can stand between the other parts of a message */

        end = i + 1;

        while (end < n && parts[end].message == parts[i].message
               && parts[end].role == parts[i].role
               && parts[end].type != LLM_PART_TOOL_RESULT)
        {
            end++;
        }

        written += (unsigned) llm_openai_put_message(w, c, i, end,
                                                     written != 0);
    }

    llm_out_lit(w->out, "]");
}
