/*
 * A gathered answer as lines of text, for a comparison of two: what a dialect
 * can say of it, with strings as their characters and JSON without its white
 * space.  It reads escapes and JSON by itself, not with the library's reader.
 */

#ifndef FUZZ_SAID_H
#define FUZZ_SAID_H

#include "fuzz_support.h"
#include "llm_encode.h"
#include "llm_json.h"


/* what a dialect can say beside text */
#define SAYS_ID          0x000001
#define SAYS_MODEL       0x000002
#define SAYS_CREATED     0x000004
#define SAYS_CHOICES     0x000008
#define SAYS_REASONING   0x000010
#define SAYS_REFUSAL     0x000020   /* else it is text */
#define SAYS_SIGNATURE   0x000040   /* of reasoning */
#define SAYS_WITHHELD    0x000080
#define SAYS_CALLS       0x000100
#define SAYS_CALL_ID     0x000200
#define SAYS_CALL_SIGN   0x000400
#define SAYS_LOGPROBS    0x000800   /* tokens and their numbers */
#define SAYS_BYTES       0x001000   /* and all the rest of them */
#define SAYS_REFUSED     0x002000   /* those of a refusal, apart */
#define SAYS_JOINED      0x10000000 /* those of a refusal are among them */
#define SAYS_SEALED      0x20000000 /* what is withheld and a signature look
                                       the same */
#define SAYS_ENDED       0x40000000 /* "stop" behind a refusal is a filter,
                                       behind a call it is "tool_calls" */
#define SAYS_STOP        0x004000   /* the stop string */
#define SAYS_WORD        0x008000   /* a finish reason of its own */
#define SAYS_URL         0x010000   /* citations */
#define SAYS_TITLE       0x020000
#define SAYS_CITED       0x040000
#define SAYS_RANGE       0x080000   /* 0 when it was not said */
#define SAYS_INPUT       0x100000   /* counts */
#define SAYS_OUTPUT      0x200000
#define SAYS_CACHED      0x400000
#define SAYS_THOUGHT     0x800000
#define SAYS_TOTAL       0x1000000
#define SAYS_WRITTEN     0x2000000
#define SAYS_USAGE       0x3f00000
#define SAYS_DERIVED     0x4000000  /* whether it is tool_calls or stop shows
                                       in the calls only */

/* what becomes of a finish reason */
typedef llm_finish_t  fuzz_finishes_t[LLM_FINISH_OTHER + 1];


static inline void
said_bytes(llm_block_t *to, const void *p, size_t n)
{
    FUZZ_CHECK(llm_block_append(to, &fuzz_alloc, p, n) == LLM_OK);
}


static inline void
said_word(llm_block_t *to, const char *s)
{
    said_bytes(to, s, strlen(s));
}


static inline void
said_number(llm_block_t *to, const char *name, int64_t n)
{
    char  line[64];

    sprintf(line, "%s: %lld\n", name, (long long) n);
    said_word(to, line);
}


/* A code unit, a lone half of a pair as three bytes. */
static inline void
said_char(llm_block_t *to, uint32_t c)
{
    llm_u8    b[4];
    unsigned  n;

    if (c < 0x80) {
        b[0] = (llm_u8) c;
        n = 1;

    } else if (c < 0x800) {
        b[0] = (llm_u8) (0xc0 | c >> 6);
        b[1] = (llm_u8) (0x80 | (c & 0x3f));
        n = 2;

    } else if (c < 0x10000) {
        b[0] = (llm_u8) (0xe0 | c >> 12);
        b[1] = (llm_u8) (0x80 | (c >> 6 & 0x3f));
        b[2] = (llm_u8) (0x80 | (c & 0x3f));
        n = 3;

    } else {
        b[0] = (llm_u8) (0xf0 | c >> 18);
        b[1] = (llm_u8) (0x80 | (c >> 12 & 0x3f));
        b[2] = (llm_u8) (0x80 | (c >> 6 & 0x3f));
        b[3] = (llm_u8) (0x80 | (c & 0x3f));
        n = 4;
    }

    said_bytes(to, b, n);
}


static inline uint32_t
said_hex(const llm_u8 *p)
{
    char  digits[5];

    memcpy(digits, p, 4);
    digits[4] = '\0';

    return (uint32_t) strtoul(digits, NULL, 16);
}


/* The characters of the inside of a JSON string. */
static inline void
said_inside(llm_block_t *to, const llm_u8 *p, size_t n)
{
    size_t       i;
    uint32_t     c, low;
    const char  *at;

    static const char  names[] = "\"\\/bfnrt";
    static const char  chars[] = "\"\\/\b\f\n\r\t";

    for (i = 0; i < n; i++) {

        if (p[i] != '\\') {
            FUZZ_CHECK(p[i] != '"' && p[i] >= ' ');
            said_bytes(to, p + i, 1);
            continue;
        }

        FUZZ_CHECK(++i < n);

        if (p[i] != 'u') {
            at = memchr(names, p[i], sizeof(names) - 1);
            FUZZ_CHECK(at != NULL);
            said_bytes(to, chars + (at - names), 1);
            continue;
        }

        FUZZ_CHECK(n - i > 4);
        c = said_hex(p + i + 1);
        i += 4;

        if (c >= 0xd800 && c < 0xdc00 && n - i > 6 && p[i + 1] == '\\'
            && p[i + 2] == 'u')
        {
            low = said_hex(p + i + 3);

            if (low >= 0xdc00 && low < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                i += 6;
            }
        }

        said_char(to, c);
    }
}


/* JSON without its white space, strings as characters between 0x01. */
static inline void
said_json(llm_block_t *to, const llm_u8 *p, size_t n)
{
    size_t  i, from;

    for (i = 0; i < n; i++) {

        if (p[i] != '"') {
            if (p[i] > ' ') {
                said_bytes(to, p + i, 1);
            }

            continue;
        }

        for (from = ++i; i < n && p[i] != '"'; i++) {
            i += p[i] == '\\';
        }

        FUZZ_CHECK(i < n);
        said_bytes(to, "\x01", 1);
        said_inside(to, p + from, i - from);
        said_bytes(to, "\x01", 1);
    }
}


static inline void
said_line(llm_block_t *to, const char *name, const llm_block_t *inside)
{
    said_word(to, name);
    said_word(to, ": ");
    said_inside(to, inside->p, inside->n);
    said_word(to, "\n");
}


/* All items of two types, as one text. */
static inline void
said_text(llm_block_t *to, const char *name, const llm_choice_t *c,
    llm_event_type_t type, llm_event_type_t also)
{
    size_t       i;
    llm_item_t  *item;
    llm_block_t  all;

    memset(&all, 0, sizeof(llm_block_t));

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type == type || item->type == also) {
            said_bytes(&all, item->text.p, item->text.n);
        }
    }

    if (all.n != 0) {
        said_line(to, name, &all);
    }

    llm_block_free(&all, &fuzz_alloc);
}


/* The call of that index, or NULL. */
static inline const llm_item_t *
said_find(const llm_choice_t *c, unsigned tool_index)
{
    size_t       i;
    llm_item_t  *item;

    for (i = 0; c != NULL && i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type == LLM_EV_TOOL_CALL && item->tool_index == tool_index)
        {
            return item;
        }
    }

    return NULL;
}


/* intended: an id that was made up is not compared. */
static inline void
said_call(llm_block_t *to, const llm_item_t *item, const llm_item_t *intended,
    unsigned says)
{
    llm_block_t  args;

    memset(&args, 0, sizeof(llm_block_t));

    said_number(to, "call", item->tool_index);
    said_line(to, " name", &item->name);

    if ((says & SAYS_CALL_ID) && intended != NULL && intended->id.n != 0) {
        said_line(to, " id", &item->id);
    }

    if (says & SAYS_CALL_SIGN) {
        said_line(to, " signature", &item->signature);
    }

    said_word(to, " arguments: ");
    said_inside(&args, item->text.p, item->text.n);

    if (args.n == 0) {
        said_word(to, "{}");

    } else {
        said_json(to, args.p, args.n);
    }

    said_word(to, "\n");
    llm_block_free(&args, &fuzz_alloc);
}


static inline void
said_citation(llm_block_t *to, const llm_item_t *item, unsigned says)
{
    said_word(to, "citation\n");
    said_line(to, " url", &item->id);

    if (says & SAYS_TITLE) {
        said_line(to, " title", &item->name);
    }

    if (says & SAYS_CITED) {
        said_line(to, " text", &item->text);
    }

    if (says & SAYS_RANGE) {
        said_number(to, " start", item->start < 0 ? 0 : item->start);
        said_number(to, " end", item->end < 0 ? 0 : item->end);
    }
}


static inline void
said_items(llm_block_t *to, const llm_choice_t *c,
    const llm_choice_t *intended, unsigned says)
{
    size_t       i;
    llm_item_t  *item;

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type == LLM_EV_TOOL_CALL && (says & SAYS_CALLS)) {
            said_call(to, item, said_find(intended, item->tool_index), says);
        }
    }

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type == LLM_EV_CITATION && (says & SAYS_URL)) {
            said_citation(to, item, says);
        }
    }

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type != LLM_EV_REASONING) {
            continue;
        }

        if (item->signature.n != 0 && (says & SAYS_SIGNATURE)) {
            said_line(to, says & SAYS_SEALED ? "sealed" : "signature",
                      &item->signature);
        }

        if (item->raw.n != 0 && (says & SAYS_WITHHELD)) {
            said_line(to, says & SAYS_SEALED ? "sealed" : "withheld",
                      &item->raw);
        }
    }
}


/* The members of the elements that all dialects have: of "token" and
 * "logprob", those that stand first in each. */
static inline void
said_tokens(llm_block_t *to, const llm_u8 *p, size_t n)
{
    llm_json_t       j, in;
    llm_slice_t      list, key, v;
    llm_block_t      all;
    llm_json_type_t  type;

    memset(&all, 0, sizeof(llm_block_t));
    said_word(&all, "[");
    said_bytes(&all, p, n);
    said_word(&all, "]");

    list.p = all.p;
    list.n = all.n;
    llm_json_reopen(&j, &list);

    while (llm_json_element(&j, &v, &type)) {
        FUZZ_CHECK(type == LLM_JSON_OBJECT);
        llm_json_reopen(&in, &v);

        while (llm_json_member(&in, &key, &v, &type)) {
            if (llm_json_is(&key, "token")) {
                said_inside(to, v.p, v.n);
                said_word(to, " ");

            } else if (llm_json_is(&key, "logprob")) {
                said_bytes(to, v.p, v.n);
                said_word(to, "; ");
            }
        }
    }

    llm_block_free(&all, &fuzz_alloc);
}


static inline void
said_logprobs(llm_block_t *to, const char *name, const llm_block_t *list,
    unsigned says)
{
    if (list->n == 0) {
        return;
    }

    said_word(to, name);

    if (says & SAYS_BYTES) {
        said_json(to, list->p, list->n);

    } else {
        said_tokens(to, list->p, list->n);
    }

    said_word(to, "\n");
}


static inline unsigned
said_has(const llm_choice_t *c, llm_event_type_t type)
{
    size_t  i;

    for (i = 0; i < llm_choice_nitems(c); i++) {
        if (llm_choice_items(c)[i].type == type) {
            return 1;
        }
    }

    return 0;
}


/* The reason that comes back for one that is intended. */
static inline llm_finish_t
said_reason(const llm_choice_t *c, unsigned says, llm_finish_t finish)
{
    unsigned  calls;

    calls = (says & SAYS_CALLS) && said_has(c, LLM_EV_TOOL_CALL);

    if ((says & SAYS_DERIVED)
        && (finish == LLM_FINISH_STOP || finish == LLM_FINISH_TOOL_CALLS))
    {
        return calls ? LLM_FINISH_TOOL_CALLS : LLM_FINISH_STOP;
    }

    if ((says & SAYS_ENDED) && finish == LLM_FINISH_STOP) {
        return said_has(c, LLM_EV_REFUSAL) ? LLM_FINISH_CONTENT_FILTER
               : calls && c->stop.n == 0 ? LLM_FINISH_TOOL_CALLS : finish;
    }

    return finish;
}


/* finishes: NULL for what was decoded. */
static inline void
said_finish(llm_block_t *to, const llm_choice_t *c, unsigned says,
    const llm_finish_t *finishes)
{
    llm_finish_t  finish;

    finish = finishes == NULL ? c->finish
             : said_reason(c, says, finishes[c->finish]);

    said_number(to, "finish", finish);

    if (finish == LLM_FINISH_OTHER && (says & SAYS_WORD)) {
        said_line(to, "word", &c->word);
    }

    if (says & SAYS_STOP) {
        said_line(to, "stop", &c->stop);
    }
}


/* usage: which of the counts were intended. */
static inline void
said_usage(llm_block_t *to, const llm_usage_t *u, const llm_usage_t *which,
    unsigned says)
{
    if ((says & SAYS_INPUT) && which->input >= 0) {
        said_number(to, "input", u->input);
    }

    if ((says & SAYS_OUTPUT) && which->output >= 0) {
        said_number(to, "output", u->output);
    }

    if ((says & SAYS_CACHED) && which->cached >= 0) {
        said_number(to, "cached", u->cached);
    }

    if ((says & SAYS_THOUGHT) && which->reasoning >= 0) {
        said_number(to, "thought", u->reasoning);
    }

    if ((says & SAYS_TOTAL) && which->total >= 0) {
        said_number(to, "total", u->total);
    }

    if ((says & SAYS_WRITTEN) && which->cache_write >= 0) {
        said_number(to, "written", u->cache_write);
    }
}


static inline void
said_choice(llm_block_t *to, const llm_choice_t *c,
    const llm_choice_t *intended, unsigned says,
    const llm_finish_t *finishes)
{
    said_number(to, "choice", c->index);

    said_text(to, "text", c, LLM_EV_TEXT,
              says & SAYS_REFUSAL ? LLM_EV_TEXT : LLM_EV_REFUSAL);

    if (says & SAYS_REFUSAL) {
        said_text(to, "refusal", c, LLM_EV_REFUSAL, LLM_EV_REFUSAL);
    }

    if (says & SAYS_REASONING) {
        said_text(to, "reasoning", c, LLM_EV_REASONING, LLM_EV_REASONING);
    }

    said_items(to, c, intended, says);

    if (says & SAYS_LOGPROBS) {
        said_logprobs(to, "logprobs: ", &c->logprobs, says);
    }

    if (says & (SAYS_REFUSED | SAYS_JOINED)) {
        said_logprobs(to, says & SAYS_JOINED ? "logprobs: " : "refused: ",
                      &c->refused, says);
    }

    said_finish(to, c, says, finishes);
}


/*
 * All of an answer; `intended` is what was meant, a itself or the one that a
 * is to be compared with: what it leaves unsaid is not looked at.
 */
static inline void
said_answer(llm_block_t *to, const llm_answer_t *a,
    const llm_answer_t *intended, unsigned says,
    const llm_finish_t *finishes)
{
    size_t               i;
    const llm_choice_t  *c;

    if ((says & SAYS_ID) && intended->id.n != 0) {
        said_line(to, "id", &a->id);
    }

    if ((says & SAYS_MODEL) && intended->model.n != 0) {
        said_line(to, "model", &a->model);
    }

    if ((says & SAYS_CREATED) && intended->created >= 0) {
        said_number(to, "created", a->created);
    }

    for (i = 0; i < llm_answer_nchoices(a); i++) {
        c = &llm_answer_choices(a)[i];

        if (c->index == 0 || (says & SAYS_CHOICES)) {
            said_choice(to, c, llm_answer_choice(intended, c->index), says,
                        finishes);
        }
    }

    said_usage(to, &a->usage, &intended->usage, says);
}


#endif /* FUZZ_SAID_H */
