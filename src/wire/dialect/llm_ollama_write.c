/*
 * Ollama, both paths: a request as a body.
 *
 * "stream" is always said, as the server streams when it is not.  A tool
 * choice of "none" is said by leaving the tools out; any other but "auto"
 * cannot be said.  Images must come with their bytes: the server fetches
 * nothing.
 */

#include "llm_ollama.h"
#include "llm_openai_chat.h"
#include "llm_prompt.h"


/* The name of an extra that lies in "options", without its prefix; NULL: it
 * is another one.  Those that we do not know by name are not said. */
static const char *
llm_ollama_extra_option(const llm_extra_t *extra)
{
    size_t  i;

    for (i = LLM_OLLAMA_TOP; llm_ollama_extras[i] != NULL; i++) {
        if (llm_json_eq(&extra->name, llm_ollama_extras[i],
                        strlen(llm_ollama_extras[i])))
        {
            return llm_ollama_extras[i] + LLM_OLLAMA_PREFIX;
        }
    }

    return NULL;
}


/* The name of a member of the options, with its brace or comma. */
static void
llm_ollama_option(llm_chat_writer_t *w, unsigned n, const char *name)
{
    llm_write_opening(w->out, n, "{");
    llm_out_lit(w->out, "\"");
    llm_out(w->out, name, strlen(name));
    llm_out_lit(w->out, "\":");
}


static int
llm_ollama_has_options(const llm_chat_t *c)
{
    size_t                      i;
    const llm_ollama_option_t  *o;

    for (o = llm_ollama_options; o->name != NULL; o++) {
        if (llm_chat_slice(c, o->at)->p != NULL) {
            return 1;
        }
    }

    for (i = 0; i < llm_chat_nextras(c); i++) {
        if (llm_ollama_extra_option(&llm_chat_extras(c)[i]) != NULL) {
            return 1;
        }
    }

    return llm_chat_nstops(c) != 0;
}


static void
llm_ollama_write_options(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t                      i;
    unsigned                    n;
    const char                 *name;
    const llm_slice_t          *v;
    const llm_ollama_option_t  *o;

    if (!llm_ollama_has_options(c)) {

        if (w->cap != 0 && llm_chat_unsaid(w, "options")) {
            llm_ollama_option(w, 0, "num_predict");
            llm_write_int(w->out, w->cap);
            llm_out_lit(w->out, "}");
        }

        return;
    }

    if (!llm_chat_member(w, "options")) {
        return;
    }

    n = 0;

    if (w->cap != 0 && c->max_tokens.p == NULL) {
        llm_ollama_option(w, n++, "num_predict");
        llm_write_int(w->out, w->cap);
    }

    for (o = llm_ollama_options; o->name != NULL; o++) {
        v = llm_chat_slice(c, o->at);

        if (v->p != NULL) {
            llm_ollama_option(w, n++, o->name);
            llm_chat_splice(w, v);
        }
    }

    if (llm_chat_nstops(c) != 0) {
        llm_ollama_option(w, n++, "stop");
        llm_chat_put_stops(w, c);
    }

    for (i = 0; i < llm_chat_nextras(c); i++) {
        name = llm_ollama_extra_option(&llm_chat_extras(c)[i]);

        if (name != NULL) {
            llm_ollama_option(w, n++, name);
            llm_chat_splice(w, &llm_chat_extras(c)[i].raw);
        }
    }

    llm_out_lit(w->out, "}");
}


static void
llm_ollama_write_think(llm_chat_writer_t *w, const llm_chat_t *c)
{
    const char    *value;
    llm_effort_t   effort;

    effort = llm_chat_effort(c);

    switch (effort) {

    case LLM_EFFORT_UNSAID:
        value = c->thoughts == 1 ? "true" : NULL;
        break;

    case LLM_EFFORT_NONE:
        value = "false";
        break;

    case LLM_EFFORT_AUTO:
        value = "true";
        break;

    case LLM_EFFORT_MINIMAL: case LLM_EFFORT_LOW:
        value = "\"low\"";
        break;

    case LLM_EFFORT_MEDIUM:
        value = "\"medium\"";
        break;

    case LLM_EFFORT_MAX:
        value = "\"max\"";
        break;

    default:
        value = "\"high\"";
        break;
    }

    if (value != NULL && llm_chat_member(w, "think")) {
        llm_out(w->out, value, strlen(value));
    }
}


static void
llm_ollama_write_format(llm_chat_writer_t *w, const llm_chat_t *c)
{
    if (c->format == LLM_FORMAT_SCHEMA) {
        llm_chat_raw(w, "format", &c->schema);

    } else if (c->format == LLM_FORMAT_OBJECT
               && llm_chat_member(w, "format"))
    {
        llm_out_lit(w->out, "\"json\"");
    }
}


/* The members that both paths have, behind those of the prompt. */
static void
llm_ollama_write_common(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t  i;

    llm_ollama_write_format(w, c);
    llm_ollama_write_options(w, c);
    llm_ollama_write_think(w, c);

    if (c->logprobs == 1) {
        llm_chat_put_flag(w, "logprobs", 1);
        llm_chat_raw(w, "top_logprobs", &c->top_logprobs);
    }

    llm_chat_put_flag(w, "stream", w->stream != 0);

    for (i = 0; i < LLM_OLLAMA_TOP; i++) {
        llm_chat_put_extra(w, c, llm_ollama_extras[i]);
    }

    llm_chat_lost_extras(w, c, llm_ollama_extras);
    llm_chat_lost_members(w, c, LLM_LOST_N | LLM_LOST_PARALLEL
                          | LLM_LOST_USER | LLM_LOST_METADATA
                          | LLM_LOST_SESSION);
}


static void
llm_ollama_write_model(llm_chat_writer_t *w)
{
    if (w->model.p != NULL && llm_chat_member(w, "model")) {
        llm_write_string(w->out, &w->model, 0);
    }
}


/* Whether a part belongs to the message itself and is of one of two types. */
static int
llm_ollama_is(const llm_part_t *part, llm_part_type_t a, llm_part_type_t b)
{
    return !part->inner && (part->type == a || part->type == b);
}


/* The texts of the parts of two types, joined. */
static void
llm_ollama_write_texts(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end, llm_part_type_t a, llm_part_type_t b)
{
    unsigned           n;
    const llm_part_t  *part;

    for (n = 0; i < end; i++) {
        part = &llm_chat_parts(c)[i];

        if (llm_ollama_is(part, a, b)) {
            if (n++ != 0) {
                llm_out_lit(w->out, "\\n\\n");
            }

            llm_chat_splice(w, &part->text);
        }
    }
}


/* The elements of an array of images; how many there are after them. */
static unsigned
llm_ollama_write_images(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end, unsigned inner, const char *opening)
{
    unsigned           n;
    const llm_part_t  *part;

    for (n = 0; i < end; i++) {
        part = &llm_chat_parts(c)[i];

        if (part->type != LLM_PART_IMAGE || part->inner != inner) {
            continue;
        }

        if (part->data.p == NULL) {
            llm_chat_lost(w, "messages[].image_url", 1);
            continue;
        }

        llm_write_opening(w->out, n++, opening);
        llm_chat_put(w, &part->data);
    }

    return n;
}


static void
llm_ollama_member_images(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i, size_t end, unsigned inner)
{
    if (llm_ollama_write_images(w, c, i, end, inner, ",\"images\":[") != 0) {
        llm_out_lit(w->out, "]");
    }
}


static void
llm_ollama_write_call(llm_chat_writer_t *w, const llm_part_t *part)
{
    llm_out_lit(w->out, "{");

    if (part->id.n != 0) {
        llm_out_lit(w->out, "\"id\":");
        llm_chat_put(w, &part->id);
        llm_out_lit(w->out, ",");
    }

    llm_out_lit(w->out, "\"function\":{\"name\":");
    llm_chat_put(w, &part->name);
    llm_out_lit(w->out, ",\"arguments\":");
    llm_chat_put_object(w, part);
    llm_out_lit(w->out, "}}");
}


/* What of a part a message cannot hold. */
static void
llm_ollama_lost_part(llm_chat_writer_t *w, const llm_part_t *part)
{
    switch (part->type) {

    case LLM_PART_AUDIO:
        llm_chat_lost(w, "messages[].input_audio", 1);
        break;

    case LLM_PART_FILE:
        llm_chat_lost(w, "messages[].file", 1);
        break;

    case LLM_PART_REASONING:
        if (part->signature.p != NULL || part->data.p != NULL) {
            llm_chat_lost(w, "messages[].reasoning.signature", 0);
        }

        break;

    case LLM_PART_OTHER:
        llm_chat_lost(w, "messages[].content", 1);
        break;

    default:
        break;
    }
}


/* {"role":…,"content":… with the brace left open. */
static void
llm_ollama_open_message(llm_chat_writer_t *w, unsigned *n, const char *role)
{
    if ((*n)++ != 0) {
        llm_out_lit(w->out, ",");
    }

    llm_out_lit(w->out, "{\"role\":\"");
    llm_out(w->out, role, strlen(role));
    llm_out_lit(w->out, "\",\"content\":\"");
}


/* The result of the call at part i is a message of its own. */
static void
llm_ollama_write_result(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    unsigned *n)
{
    size_t             end;
    llm_slice_t        name;
    const llm_part_t  *part;

    part = &llm_chat_parts(c)[i];
    end = llm_chat_inner_end(c, i + 1);
    name = llm_chat_call_name(c, i);

    llm_ollama_open_message(w, n, "tool");
    llm_chat_texts(w, c, i + 1, end);
    llm_out_lit(w->out, "\"");
    llm_ollama_member_images(w, c, i + 1, end, 1);

    if (name.n != 0) {
        llm_out_lit(w->out, ",\"tool_name\":");
        llm_chat_put(w, &name);
    }

    if (part->id.n != 0) {
        llm_out_lit(w->out, ",\"tool_call_id\":");
        llm_chat_put(w, &part->id);
    }

    llm_out_lit(w->out, "}");
}


/* What is left of a message beside its tool results. */
static void
llm_ollama_write_own(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end, unsigned *n)
{
    size_t             k;
    unsigned           calls, thinking;
    const llm_part_t  *part;

    static const char *const  roles[] = {
        "system", "user", "assistant", "user"
    };

    llm_ollama_open_message(w, n, roles[llm_chat_parts(c)[i].role]);
    llm_ollama_write_texts(w, c, i, end, LLM_PART_TEXT, LLM_PART_REFUSAL);
    llm_out_lit(w->out, "\"");

    calls = 0;
    thinking = 0;

    for (k = i; k < end; k++) {
        part = &llm_chat_parts(c)[k];
        thinking |= part->type == LLM_PART_REASONING && part->text.n != 0;
    }

    if (thinking) {
        llm_out_lit(w->out, ",\"thinking\":\"");
        llm_ollama_write_texts(w, c, i, end, LLM_PART_REASONING,
                               LLM_PART_REASONING);
        llm_out_lit(w->out, "\"");
    }

    llm_ollama_member_images(w, c, i, end, 0);

    for (k = i; k < end; k++) {
        part = &llm_chat_parts(c)[k];

        if (part->type == LLM_PART_TOOL_CALL) {
            llm_write_opening(w->out, calls++, ",\"tool_calls\":[");
            llm_ollama_write_call(w, part);
        }
    }

    if (calls != 0) {
        llm_out_lit(w->out, "]");
    }

    llm_out_lit(w->out, "}");
}


static void
llm_ollama_write_message(llm_chat_writer_t *w, const llm_chat_t *c,
    size_t i, size_t end, unsigned *n)
{
    size_t             k;
    unsigned           own;
    const llm_part_t  *part;

    own = 0;

    for (k = i; k < end; k++) {
        part = &llm_chat_parts(c)[k];
        llm_ollama_lost_part(w, part);

        if (part->type == LLM_PART_TOOL_RESULT) {
            llm_ollama_write_result(w, c, k, n);

        } else if (!part->inner) {
            own = 1;
        }
    }

    if (own) {
        llm_ollama_write_own(w, c, i, end, n);
    }
}


static void
llm_ollama_write_messages(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t    i, end;
    unsigned  n;

    if (!llm_chat_member(w, "messages")) {
        return;
    }

    n = 0;
    llm_out_lit(w->out, "[");

    for (i = 0; i < llm_chat_nparts(c); i = end) {
        end = llm_chat_message_end(c, i);
        llm_ollama_write_message(w, c, i, end, &n);
    }

    llm_out_lit(w->out, "]");
}


void
llm_ollama_write_chat(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_ollama_write_model(w);
    llm_ollama_write_messages(w, c);

    if (c->choose != LLM_CHOOSE_NONE) {
        (void) llm_openai_write_tools(w, c);
    }

    llm_ollama_write_common(w, c);

    if (c->choose == LLM_CHOOSE_REQUIRED || c->choose == LLM_CHOOSE_TOOL) {
        llm_chat_lost(w, "tool_choice", 1);
    }

    if (c->suffix.n != 0) {
        llm_chat_lost(w, "suffix", 1);
    }
}


/* The system prompt, whatever number of messages it comes in. */
static void
llm_generate_write_system(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t    i, end;
    unsigned  n;

    if (!llm_prompt_has(c, LLM_ROLE_SYSTEM) || !llm_chat_member(w, "system"))
    {
        return;
    }

    n = 0;
    llm_out_lit(w->out, "\"");

    for (i = 0; i < llm_chat_nparts(c); i = end) {
        end = llm_chat_message_end(c, i);

        if (llm_chat_parts(c)[i].role == LLM_ROLE_SYSTEM) {
            if (n++ != 0) {
                llm_out_lit(w->out, "\\n\\n");
            }

            llm_chat_texts(w, c, i, end);
        }
    }

    llm_out_lit(w->out, "\"");
}


/* All images, in the order in which they came. */
static int
llm_generate_has_images(const llm_chat_t *c)
{
    size_t  i;

    for (i = 0; i < llm_chat_nparts(c); i++) {
        if (llm_chat_parts(c)[i].type == LLM_PART_IMAGE
            && !llm_chat_parts(c)[i].inner
            && llm_chat_parts(c)[i].data.p != NULL)
        {
            return 1;
        }
    }

    return 0;
}


void
llm_generate_write_chat(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_ollama_write_model(w);

    if (llm_chat_member(w, "prompt")) {
        llm_out_lit(w->out, "\"");
        llm_prompt_write(w, c, 0);
        llm_out_lit(w->out, "\"");
    }

    llm_generate_write_system(w, c);
    llm_chat_string(w, "suffix", &c->suffix);

    if (llm_generate_has_images(c) && llm_chat_member(w, "images")) {
        (void) llm_ollama_write_images(w, c, 0, llm_chat_nparts(c), 0, "[");
        llm_out_lit(w->out, "]");
    }

    llm_ollama_write_common(w, c);
    llm_prompt_lost(w, c, LLM_PROMPT_IMAGES);
}
