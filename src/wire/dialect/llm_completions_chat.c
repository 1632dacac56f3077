/*
 * OpenAI's legacy completions: requests.  One prompt is one message of the
 * user's; several, or tokens, are nothing that another dialect could say.  A
 * conversation is written as llm_prompt.h says.
 */

#include "llm_completions.h"
#include "llm_openai_chat.h"
#include "llm_prompt.h"


/* What a request without a limit gets from a chat: the server's own default
 * is 16 tokens, which is meant for words, not for answers. */
#define LLM_COMPLETIONS_TOKENS  "1024"


static llm_rc_t
llm_completions_prompt(llm_chat_t *c, const llm_slice_t *text)
{
    llm_part_t  *part;

    part = llm_chat_part(c, LLM_PART_TEXT, LLM_ROLE_USER, 0);
    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->text = *text;

    return LLM_OK;
}


/* An array of prompts: one text, several, or tokens. */
static llm_rc_t
llm_completions_prompts(llm_chat_t *c, const llm_slice_t *prompts)
{
    size_t           n, texts;
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      v, first, name;
    llm_json_type_t  type;

    n = 0;
    texts = 0;
    first = llm_slice_null;
    llm_json_reopen(&j, prompts);

    while (llm_json_element(&j, &v, &type)) {
        n++;

        if (type == LLM_JSON_STRING && texts++ == 0) {
            first = v;
        }
    }

    if (n == 0) {
        return llm_chat_wrong(c, "prompt");
    }

    if (texts != 0) {
        rc = llm_completions_prompt(c, &first);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    if (n == 1 && texts == 1) {
        return LLM_OK;
    }

    name = llm_slice("prompt");

    rc = llm_chat_extra(c, &name, prompts);
    if (rc != LLM_OK) {
        return rc;
    }

    llm_chat_extras(c)[llm_chat_nextras(c) - 1].meaning = 1;

    return LLM_OK;
}


/* Of two prompts the last one counts. */
static void
llm_completions_forget(llm_chat_t *c)
{
    size_t        i, k, n;
    llm_extra_t  *extras;

    k = 0;
    extras = llm_chat_extras(c);
    n = llm_chat_nextras(c);

    for (i = 0; i < n; i++) {
        if (!llm_json_is(&extras[i].name, "prompt")) {
            extras[k++] = extras[i];
        }
    }

    c->extras.n = k * sizeof(llm_extra_t);
    c->parts.n = 0;
}


/* The members that chat completions have not, or otherwise. */
static llm_rc_t
llm_completions_member(llm_chat_t *c, const llm_slice_t *key,
    llm_json_type_t type, const llm_slice_t *v)
{
    if (llm_json_is(key, "prompt")) {
        llm_completions_forget(c);

        return type == LLM_JSON_STRING ? llm_completions_prompt(c, v)
               : type == LLM_JSON_ARRAY ? llm_completions_prompts(c, v)
               : type == LLM_JSON_NULL ? LLM_OK
               : llm_chat_wrong(c, "prompt");
    }

    if (llm_json_is(key, "suffix")) {
        return llm_chat_read_string(c, &c->suffix, type, v, "suffix");
    }

    if (llm_json_is(key, "logprobs")) {
        c->logprobs = type == LLM_JSON_NUMBER ? 1 : -1;

        return llm_chat_read_number(c, &c->top_logprobs, type, v,
                                    "logprobs");
    }

    return LLM_AGAIN;
}


llm_rc_t
llm_completions_read_chat(llm_chat_t *c, const llm_u8 *body, size_t n)
{
    return llm_openai_read_body(c, body, n, llm_completions_member);
}


static void
llm_completions_lost(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_prompt_lost(w, c, LLM_PROMPT_SYSTEM);

    if ((c->effort != LLM_EFFORT_UNSAID && c->effort != LLM_EFFORT_NONE)
        || c->budget.p != NULL)
    {
        llm_chat_lost(w, "reasoning_effort", 0);
    }

    llm_chat_lost_members(w, c, LLM_LOST_FORMAT | LLM_LOST_METADATA
                          | LLM_LOST_SESSION);
}


void
llm_completions_write_chat(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t  i;

    static const char *const  extras[] = {
        "echo", "best_of", "logit_bias", NULL
    };

    llm_chat_put_model(w);

    if (llm_chat_member(w, "prompt")) {
        llm_out_lit(w->out, "\"");
        llm_prompt_write(w, c, LLM_PROMPT_SYSTEM);
        llm_out_lit(w->out, "\"");
    }

    llm_chat_string(w, "suffix", &c->suffix);

    if (c->max_tokens.p == NULL && w->cap == 0
        && llm_chat_unsaid(w, "max_tokens"))
    {
        llm_out_lit(w->out, LLM_COMPLETIONS_TOKENS);
    }

    w->quirks |= LLM_QUIRK_MAX_TOKENS;      /* there is no other name here */

    llm_openai_write_sampling(w, c);

    if (c->logprobs == 1 && llm_chat_member(w, "logprobs")) {
        if (c->top_logprobs.p != NULL) {
            llm_chat_splice(w, &c->top_logprobs);

        } else {
            llm_out_lit(w->out, "0");
        }
    }

    llm_chat_string(w, "user", &c->user);
    llm_openai_write_stream(w);

    for (i = 0; extras[i] != NULL; i++) {
        llm_chat_put_extra(w, c, extras[i]);
    }

    llm_chat_lost_extras(w, c, extras);
    llm_completions_lost(w, c);
}
