/*
 * What a request writer cannot say in its dialect: names for the log, and
 * for the error when losing them changes what is asked.  The names are
 * OpenAI's, whatever dialect the request came in.  It must never write into
 * the body.
 */

#include "llm_chat.h"


/* bytes of names that are kept for the log and for the error */
#define LLM_CHAT_LOST_MAX  1024


/* Whether the list, with ", " between its names, has this one. */
static int
llm_chat_listed(const llm_block_t *list, const char *name, size_t n)
{
    size_t         left;
    const llm_u8  *p, *end;

    p = list->p;
    left = list->n;

    while (left != 0) {
        end = memchr(p, ',', left);

        if (end == NULL) {
            end = p + left;
        }

        if ((size_t) (end - p) == n && memcmp(p, name, n) == 0) {
            return 1;
        }

        left -= (size_t) (end - p);
        p = end;

        if (left >= 2) {
            p += 2;
            left -= 2;

        } else {
            left = 0;
        }
    }

    return 0;
}


static void
llm_chat_list(llm_chat_writer_t *w, llm_block_t *list, const char *name,
    size_t n)
{
    size_t  need;

    need = n + (list->n != 0 ? 2 : 0);

    /* who loses that much does not read it all */

    if (n == 0 || need > LLM_CHAT_LOST_MAX - list->n
        || llm_chat_listed(list, name, n))
    {
        return;
    }

    if (llm_block_reserve(list, &w->rope.alloc, need) != LLM_OK) {
        w->rope.rc = LLM_NOMEM;
        return;
    }

    if (list->n != 0) {
        memcpy(list->p + list->n, ", ", 2);
        list->n += 2;
    }

    memcpy(list->p + list->n, name, n);
    list->n += n;
}


void
llm_chat_lost(llm_chat_writer_t *w, const char *name, unsigned meaning)
{
    llm_chat_list(w, meaning ? &w->refused : &w->lost, name, strlen(name));
}


void
llm_chat_lost_stop(llm_chat_writer_t *w, const llm_slice_t *stop)
{
    size_t              i, n, bytes;
    const llm_slice_t  *s;

    s = (const llm_slice_t *) (const void *) w->stops.p;
    n = w->stops.n / sizeof(llm_slice_t);
    bytes = stop->n;

    for (i = 0; i < n; i++) {
        bytes += s[i].n;
    }

    if (!w->take_stops || n == LLM_CHAT_STOPS || bytes > LLM_CHAT_STOP_BYTES)
    {
        llm_chat_lost(w, "stop", 1);
        return;
    }

    if (stop->n != 0
        && llm_block_append(&w->stops, &w->rope.alloc, stop,
                            sizeof(llm_slice_t))
           != LLM_OK)
    {
        w->rope.rc = LLM_NOMEM;
    }
}


void
llm_chat_lost_part(llm_chat_writer_t *w, const llm_part_t *part)
{
    switch (part->type) {

    case LLM_PART_IMAGE:
        llm_chat_lost(w, "messages[].content[].image", 1);
        break;

    case LLM_PART_AUDIO:
        llm_chat_lost(w, "messages[].content[].audio", 1);
        break;

    case LLM_PART_FILE:
        llm_chat_lost(w, "messages[].content[].file", 1);
        break;

    case LLM_PART_OTHER:
        llm_chat_lost(w, "messages[].content[].type", 1);
        break;

    default:
        break;
    }
}


void
llm_chat_lost_plain(llm_chat_writer_t *w, const llm_part_t *part)
{
    switch (part->type) {

    case LLM_PART_TOOL_CALL:
        llm_chat_lost(w, "messages[].tool_calls", 1);
        break;

    case LLM_PART_TOOL_RESULT:
        llm_chat_lost(w, "messages[].tool_call_id", 1);
        break;

    case LLM_PART_REASONING:
        llm_chat_lost(w, "messages[].reasoning", 0);
        break;

    case LLM_PART_REFUSAL:
        llm_chat_lost(w, "messages[].refusal", 0);
        break;

    default:
        break;
    }
}


void
llm_chat_lost_extras(llm_chat_writer_t *w, const llm_chat_t *c,
    const char *const *but)
{
    size_t              i, k;
    const llm_extra_t  *e;

    e = llm_chat_extras(c);

    for (i = 0; i < llm_chat_nextras(c); i++, e++) {

        for (k = 0; but != NULL && but[k] != NULL; k++) {
            if (llm_json_eq(&e->name, but[k], strlen(but[k]))) {
                break;
            }
        }

        if (but == NULL || but[k] == NULL) {
            llm_chat_list(w, e->meaning ? &w->refused : &w->lost,
                          (const char *) e->name.p, e->name.n);
        }
    }
}


void
llm_chat_lost_members(llm_chat_writer_t *w, const llm_chat_t *c,
    unsigned members)
{
    size_t  i;

    const struct {
        unsigned     bit;       /* LLM_LOST_* */
        int          said;
        const char  *name;
        unsigned     meaning;
    } all[] = {
        { LLM_LOST_SUFFIX, c->suffix.p != NULL, "suffix", 1 },
        { LLM_LOST_N, c->n.p != NULL && !llm_json_is(&c->n, "1"), "n", 1 },
        { LLM_LOST_FORMAT, c->format == LLM_FORMAT_OBJECT
                           || c->format == LLM_FORMAT_SCHEMA,
          "response_format", 1 },
        { LLM_LOST_TOP_K, c->top_k.p != NULL, "top_k", 0 },
        { LLM_LOST_MIN_P, c->min_p.p != NULL, "min_p", 0 },
        { LLM_LOST_SEED, c->seed.p != NULL, "seed", 0 },
        { LLM_LOST_PENALTIES, c->presence.p != NULL, "presence_penalty", 0 },
        { LLM_LOST_PENALTIES, c->frequency.p != NULL, "frequency_penalty",
          0 },
        { LLM_LOST_TOP_LOGPROBS, c->top_logprobs.p != NULL, "top_logprobs",
          0 },
        { LLM_LOST_PARALLEL, c->parallel_tools == 0, "parallel_tool_calls",
          0 },
        { LLM_LOST_USER, c->user.p != NULL, "user", 0 },
        { LLM_LOST_METADATA, c->metadata.p != NULL, "metadata", 0 },
        { LLM_LOST_SESSION, c->session.p != NULL, "session", 0 },
        { LLM_LOST_LOGPROBS, c->logprobs == 1, "logprobs", 0 }
    };

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if ((members & all[i].bit) && all[i].said) {
            llm_chat_lost(w, all[i].name, all[i].meaning);
        }
    }

    for (i = 0; (members & LLM_LOST_STOPS) && i < llm_chat_nstops(c); i++) {
        llm_chat_lost_stop(w, &llm_chat_stops(c)[i]);
    }
}
