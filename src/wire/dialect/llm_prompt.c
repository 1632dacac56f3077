/*
 * A conversation as one prompt: see llm_prompt.h.  Texts are spliced, never
 * copied or looked into: a message that says "User: " itself is the client's
 * own affair.
 */

#include "llm_prompt.h"


/* Whether one of the parts [i, end) is a text of the message's own. */
static int
llm_prompt_text(const llm_chat_t *c, size_t i, size_t end)
{
    for ( /* void */ ; i < end; i++) {
        if (llm_chat_parts(c)[i].type == LLM_PART_TEXT
            && !llm_chat_parts(c)[i].inner)
        {
            return 1;
        }
    }

    return 0;
}


int
llm_prompt_has(const llm_chat_t *c, llm_role_t role)
{
    size_t  i, end;

    for (i = 0; i < llm_chat_nparts(c); i = end) {
        end = llm_chat_message_end(c, i);

        if (llm_chat_parts(c)[i].role == role && llm_prompt_text(c, i, end)) {
            return 1;
        }
    }

    return 0;
}


/* Messages that say a text, beside the system prompt. */
static size_t
llm_prompt_turns(const llm_chat_t *c)
{
    size_t  i, n, end;

    n = 0;

    for (i = 0; i < llm_chat_nparts(c); i = end) {
        end = llm_chat_message_end(c, i);

        if (llm_chat_parts(c)[i].role != LLM_ROLE_SYSTEM
            && llm_prompt_text(c, i, end))
        {
            n++;
        }
    }

    return n;
}


static void
llm_prompt_label(llm_out_t *out, llm_role_t role)
{
    switch (role) {

    case LLM_ROLE_SYSTEM:
        llm_out_lit(out, "System: ");
        break;

    case LLM_ROLE_ASSISTANT:
        llm_out_lit(out, "Assistant: ");
        break;

    default:
        llm_out_lit(out, "User: ");
        break;
    }
}


void
llm_prompt_write(llm_chat_writer_t *w, const llm_chat_t *c, unsigned flags)
{
    size_t      i, n, end;
    unsigned    labels;
    llm_role_t  role, last;

    n = 0;
    last = LLM_ROLE_USER;
    labels = llm_prompt_turns(c) > 1;

    for (i = 0; i < llm_chat_nparts(c); i = end) {
        end = llm_chat_message_end(c, i);
        role = llm_chat_parts(c)[i].role;

        if (!llm_prompt_text(c, i, end)
            || (role == LLM_ROLE_SYSTEM && !(flags & LLM_PROMPT_SYSTEM)))
        {
            continue;
        }

        if (n++ != 0) {
            llm_out_lit(w->out, "\\n\\n");
        }

        if (labels) {
            llm_prompt_label(w->out, role);
        }

        /* its own texts, even when a tool's are among them */

        while (llm_chat_parts(c)[i].inner) {
            i++;
        }

        llm_chat_texts(w, c, i, end);
        last = role;
    }

    if (labels && last != LLM_ROLE_ASSISTANT) {
        llm_out_lit(w->out, "\\n\\nAssistant:");
    }
}


static void
llm_prompt_lost_part(llm_chat_writer_t *w, const llm_part_t *part,
    unsigned flags)
{
    switch (part->type) {

    case LLM_PART_IMAGE:
        if (!(flags & LLM_PROMPT_IMAGES) || part->data.p == NULL) {
            llm_chat_lost(w, "messages[].image_url", 1);
        }

        break;

    case LLM_PART_AUDIO:
        llm_chat_lost(w, "messages[].input_audio", 1);
        break;

    case LLM_PART_FILE:
        llm_chat_lost(w, "messages[].file", 1);
        break;

    case LLM_PART_OTHER:
        llm_chat_lost(w, "messages[].content", 1);
        break;

    default:
        llm_chat_lost_plain(w, part);
        break;
    }
}


void
llm_prompt_lost(llm_chat_writer_t *w, const llm_chat_t *c, unsigned flags)
{
    size_t  i;

    for (i = 0; i < llm_chat_nparts(c); i++) {
        llm_prompt_lost_part(w, &llm_chat_parts(c)[i], flags);
    }

    if (llm_chat_ntools(c) != 0 && c->choose != LLM_CHOOSE_NONE) {
        llm_chat_lost(w, "tools", 1);
    }
}
