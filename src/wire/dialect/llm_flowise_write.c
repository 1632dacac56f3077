/*
 * Flowise: values to requests.  The last message of the user's is the
 * question, what stands before it the history.  A flow brings its own tools,
 * so a request cannot: what it says of tools is never left out silently.
 */

#include "llm_flowise.h"


/* The first part of the last message of the user's; the number of parts when
 * there is none. */
static size_t
llm_flowise_question(const llm_chat_t *c)
{
    size_t             i, n;
    const llm_part_t  *p;

    p = llm_chat_parts(c);
    n = llm_chat_nparts(c);

    for (i = n; i != 0 && p[i - 1].role != LLM_ROLE_USER; i--) {
        /* void */
    }

    if (i == 0) {
        return n;
    }

    for (i--; i != 0 && p[i - 1].message == p[i].message; i--) {
        /* void */
    }

    return i;
}


/* Whether a range of parts has a text of its own. */
static int
llm_flowise_has_text(const llm_chat_t *c, size_t i, size_t end)
{
    const llm_part_t  *p;

    p = llm_chat_parts(c);

    while (i < end && (p[i].type != LLM_PART_TEXT || p[i].inner)) {
        i++;
    }

    return i < end;
}


/* Whether a message is of the user or of the assistant, with a text. */
static int
llm_flowise_is_message(const llm_chat_t *c, size_t i, size_t end)
{
    const llm_part_t  *p;

    p = &llm_chat_parts(c)[i];

    return (p->role == LLM_ROLE_USER || p->role == LLM_ROLE_ASSISTANT)
           && llm_flowise_has_text(c, i, end);
}


/* All texts of the system's as one; 0: there is none. */
static int
llm_flowise_write_system(llm_chat_writer_t *w, const llm_chat_t *c,
    const char *opening)
{
    size_t             i;
    unsigned           n;
    const llm_part_t  *p;

    n = 0;
    p = llm_chat_parts(c);

    for (i = 0; i < llm_chat_nparts(c); i++) {

        if (p[i].role != LLM_ROLE_SYSTEM || p[i].type != LLM_PART_TEXT) {
            continue;
        }

        if (n++ == 0) {
            llm_out(w->out, opening, strlen(opening));
            llm_out_lit(w->out, "\"systemMessage\":\"");

        } else {
            llm_out_lit(w->out, "\\n\\n");
        }

        llm_chat_splice(w, &p[i].text);
    }

    if (n != 0) {
        llm_out_lit(w->out, "\"");
    }

    return n != 0;
}


/* Whether there is anything to say in overrideConfig. */
static int
llm_flowise_has_config(const llm_chat_t *c)
{
    size_t             i;
    const llm_part_t  *p;

    p = llm_chat_parts(c);

    for (i = 0; i < llm_chat_nparts(c); i++) {
        if (p[i].role == LLM_ROLE_SYSTEM && p[i].type == LLM_PART_TEXT) {
            return 1;
        }
    }

    for (i = 0; i < LLM_FLOWISE_NUMBERS; i++) {
        if (llm_chat_slice(c, llm_flowise_numbers[i].at)->p != NULL) {
            return 1;
        }
    }

    return c->session.p != NULL;
}


static void
llm_flowise_write_config(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t              i;
    const char         *comma;
    const llm_slice_t  *v;

    if (!llm_flowise_has_config(c)
        || !llm_chat_member(w, "overrideConfig"))
    {
        return;
    }

    comma = "";
    llm_out_lit(w->out, "{");

    if (c->session.p != NULL) {
        llm_out_lit(w->out, "\"sessionId\":");
        llm_chat_put(w, &c->session);
        comma = ",";
    }

    if (llm_flowise_write_system(w, c, comma)) {
        comma = ",";
    }

    for (i = 0; i < LLM_FLOWISE_NUMBERS; i++) {
        v = llm_chat_slice(c, llm_flowise_numbers[i].at);

        if (v->p == NULL) {
            continue;
        }

        llm_out(w->out, comma, strlen(comma));
        llm_out_lit(w->out, "\"");
        llm_out(w->out, llm_flowise_numbers[i].name,
                strlen(llm_flowise_numbers[i].name));
        llm_out_lit(w->out, "\":");
        llm_chat_splice(w, v);
        comma = ",";
    }

    llm_out_lit(w->out, "}");
}


/* The messages before the question. */
static void
llm_flowise_write_history(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t question)
{
    size_t             i, end;
    unsigned           n;
    const llm_part_t  *p;

    n = 0;
    p = llm_chat_parts(c);

    for (i = 0; i < question; i = end) {
        end = llm_chat_message_end(c, i);

        if (!llm_flowise_is_message(c, i, end)) {
            continue;
        }

        if (n == 0 && !llm_chat_member(w, "history")) {
            return;
        }

        llm_write_opening(w->out, n++, "[");

        if (p[i].role == LLM_ROLE_USER) {
            llm_out_lit(w->out, "{\"role\":\"userMessage\",\"content\":\"");

        } else {
            llm_out_lit(w->out, "{\"role\":\"apiMessage\",\"content\":\"");
        }

        llm_chat_texts(w, c, i, end);
        llm_out_lit(w->out, "\"}");
    }

    if (n != 0) {
        llm_out_lit(w->out, "]");
    }
}


static int
llm_flowise_is_upload(const llm_part_t *p)
{
    return (p->type == LLM_PART_IMAGE || p->type == LLM_PART_AUDIO
            || p->type == LLM_PART_FILE)
           && (p->data.p != NULL || p->url.p != NULL);
}


static void
llm_flowise_write_upload(llm_chat_writer_t *w, const llm_part_t *p)
{
    const char   *type;
    llm_slice_t   name, media;

    media = p->media;

    if (p->type == LLM_PART_IMAGE) {
        type = "file";
        name = llm_slice("image");

    } else if (p->type == LLM_PART_AUDIO) {
        type = "audio";
        name = llm_slice("audio");

    } else {
        type = "file:full";
        name = p->name.p != NULL ? p->name : llm_slice("file");
    }

    if (media.p == NULL) {
        media = p->type == LLM_PART_IMAGE
                ? llm_slice("image/*") : llm_slice("application/octet-stream");
    }

    llm_out_lit(w->out, "{\"data\":\"");

    if (p->data.p != NULL) {
        llm_out_lit(w->out, "data:");
        llm_chat_splice(w, &media);
        llm_out_lit(w->out, ";base64,");
        llm_chat_splice(w, &p->data);

    } else {
        llm_chat_splice(w, &p->url);
        type = "url";
    }

    llm_out_lit(w->out, "\",\"type\":\"");
    llm_out(w->out, type, strlen(type));
    llm_out_lit(w->out, "\",\"name\":");
    llm_chat_put(w, &name);
    llm_out_lit(w->out, ",\"mime\":\"");
    llm_chat_splice(w, &media);
    llm_out_lit(w->out, "\"}");
}


static void
llm_flowise_write_uploads(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i)
{
    size_t             end;
    unsigned           n;
    const llm_part_t  *p;

    n = 0;
    p = llm_chat_parts(c);
    end = llm_chat_message_end(c, i);

    for ( /* void */ ; i < end; i++) {

        if (!llm_flowise_is_upload(&p[i])) {
            continue;
        }

        if (n == 0 && !llm_chat_member(w, "uploads")) {
            return;
        }

        llm_write_opening(w->out, n++, "[");
        llm_flowise_write_upload(w, &p[i]);
    }

    if (n != 0) {
        llm_out_lit(w->out, "]");
    }
}


/* Parts that no flow can be sent. */
static void
llm_flowise_lost_part(llm_chat_writer_t *w, const llm_part_t *p,
    unsigned question)
{
    /* an image, a file or audio is of the question only */

    if (question && llm_flowise_is_upload(p)) {
        return;
    }

    llm_chat_lost_part(w, p);
    llm_chat_lost_plain(w, p);
}


static void
llm_flowise_lost_parts(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t question)
{
    size_t             i, end;
    const llm_part_t  *p;

    p = llm_chat_parts(c);
    end = llm_chat_message_end(c, question);

    for (i = 0; i < llm_chat_nparts(c); i++) {
        llm_flowise_lost_part(w, &p[i], i >= question && i < end);
    }

    for (i = end; i < llm_chat_nparts(c); i = end) {
        end = llm_chat_message_end(c, i);

        if (llm_flowise_is_message(c, i, end)) {
            llm_chat_lost(w, "messages", 1);
        }
    }
}


static void
llm_flowise_lost_members(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_chat_lost_members(w, c, LLM_LOST_SUFFIX | LLM_LOST_MIN_P
                          | LLM_LOST_SEED | LLM_LOST_TOP_LOGPROBS
                          | LLM_LOST_USER | LLM_LOST_METADATA | LLM_LOST_N
                          | LLM_LOST_STOPS);

    if (c->budget.p != NULL) {
        llm_chat_lost(w, "thinking.budget_tokens", 0);
    }

    if (llm_chat_ntools(c) != 0) {
        llm_chat_lost(w, "tools", 1);
    }

    if (c->choose == LLM_CHOOSE_REQUIRED || c->choose == LLM_CHOOSE_TOOL) {
        llm_chat_lost(w, "tool_choice", 1);
    }

    llm_chat_lost_members(w, c, LLM_LOST_FORMAT | LLM_LOST_LOGPROBS);

    if (c->parallel_tools >= 0) {
        llm_chat_lost(w, "parallel_tool_calls", 0);
    }

    if (c->effort != LLM_EFFORT_UNSAID || c->thoughts >= 0) {
        llm_chat_lost(w, "reasoning_effort", 0);
    }

    llm_chat_lost_extras(w, c, NULL);
}


void
llm_flowise_write_chat(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t  question;

    question = llm_flowise_question(c);

    if (llm_chat_member(w, "question")) {
        llm_out_lit(w->out, "\"");
        llm_chat_texts(w, c, question, llm_chat_message_end(c, question));
        llm_out_lit(w->out, "\"");
    }

    llm_flowise_write_config(w, c);
    llm_flowise_write_history(w, c, question);
    llm_flowise_write_uploads(w, c, question);

    llm_chat_put_flag(w, "streaming", w->stream != 0);
    llm_flowise_lost_parts(w, c, question);
    llm_flowise_lost_members(w, c);
}
