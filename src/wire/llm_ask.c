/*
 * Reads how much a request asks for.  It must never take a number that a
 * provider could read as more than it read itself: what is in doubt is the
 * higher one, or none.
 */

#include "llm_ask.h"


/* more than anybody answers, and products of them do not overflow */
#define LLM_ASK_MANY  INT32_MAX

/* longer than a member's name that is escaped altogether */
#define LLM_ASK_NAME  256


void
llm_asked_init(llm_asked_t *a)
{
    memset(a, 0, sizeof(llm_asked_t));

    a->output = -1;
    a->answers = 1;
    a->tries = 1;
    a->prompts = 1;
}


int
llm_ask_is(const llm_slice_t *key, const char *name)
{
    size_t         n;
    llm_u8         c, buf[LLM_ASK_NAME];
    const llm_u8  *p, *end;

    if (key->n > LLM_ASK_NAME) {
        return 0;
    }

    p = key->p;
    n = key->n;

    if (key->escaped) {
        n = llm_json_unescape(buf, p, n);
        p = buf;
    }

    for (end = p + n; p < end && *name != '\0'; name++) {
        c = *p++;

        if (c == 0xc5 && p < end && *p == 0xbf) {
            c = 's';                            /* U+017F */
            p++;

        } else if (c == 0xe2 && end - p > 1 && p[0] == 0x84 && p[1] == 0xaa) {
            c = 'k';                            /* U+212A */
            p += 2;

        } else if (c >= 'A' && c <= 'Z') {
            c |= 0x20;
        }

        if (c != (*name >= 'A' && *name <= 'Z' ? *name | 0x20 : *name)) {
            return 0;
        }
    }

    return p == end && *name == '\0';
}


const llm_ask_t *
llm_ask_find(const llm_ask_t *list, const llm_slice_t *key)
{
    for ( /* void */ ; list->name != NULL; list++) {
        if (llm_ask_is(key, list->outer != NULL ? list->outer
                                                : list->name))
        {
            return list;
        }
    }

    return NULL;
}


/* The number that a value is, or that its string holds; 0: none. */
static int
llm_ask_number(llm_json_type_t type, const llm_slice_t *raw, llm_slice_t *v)
{
    llm_json_t  j;

    *v = *raw;

    if (type == LLM_JSON_NUMBER) {
        return 1;
    }

    if (type != LLM_JSON_STRING) {
        return 0;
    }

    llm_json_init(&j, raw->p + 1, raw->n - 2, 1);

    if (llm_json_next(&j) != LLM_JSON_NUMBER) {
        return 0;
    }

    *v = j.tok;

    return llm_json_next(&j) == LLM_JSON_END;
}


int
llm_ask_within(const llm_ask_t *ask, llm_json_type_t type,
    const llm_slice_t *raw, int64_t max)
{
    int64_t      low;
    llm_slice_t  v;

    if (!llm_ask_number(type, raw, &v)) {
        return 0;
    }

    low = llm_json_integer(&v, 0);

    return low >= ((ask->what & LLM_ASK_ZERO) ? 1 : 0)
           && llm_json_integer(&v, 1) <= max;
}


const llm_ask_t *
llm_ask_output(const llm_ask_t *list)
{
    for ( /* void */ ; list != NULL && list->name != NULL; list++) {
        if (list->what & LLM_ASK_SAYS) {
            return list;
        }
    }

    return NULL;
}


static void
llm_asked_more(llm_asked_t *a, const llm_ask_t *ask, int64_t *what, int64_t n)
{
    if (n > LLM_ASK_MANY) {
        n = LLM_ASK_MANY;
    }

    if (n > *what) {
        *what = n;
    }

    if (n > 1 && n >= a->tries && n >= a->prompts) {
        a->more = ask;
    }

    if (a->tries < a->answers) {
        a->tries = a->answers;
    }
}


static void
llm_asked_list(llm_asked_t *a, const llm_ask_t *ask, size_t n)
{
    int64_t  all;

    all = (int64_t) n + ((ask->what & LLM_ASK_HISTORY) != 0);

    if (a->list == NULL || all > a->messages) {
        a->messages = all;
        a->list = ask;
    }
}


static size_t
llm_asked_elements(const llm_slice_t *raw, llm_json_type_t *first)
{
    size_t           n;
    llm_json_t       j;
    llm_slice_t      v;
    llm_json_type_t  type;

    n = 0;
    *first = LLM_JSON_NULL;
    llm_json_reopen(&j, raw);

    while (llm_json_element(&j, &v, &type)) {
        if (n++ == 0) {
            *first = type;
        }
    }

    return n;
}


/* The value of a member that the list names, of an object or not. */
static void
llm_asked_value(llm_asked_t *a, const llm_ask_t *ask, llm_json_type_t type,
    const llm_slice_t *raw)
{
    int64_t      n;
    llm_slice_t  v;

    if (!(ask->what & (LLM_ASK_OUTPUT|LLM_ASK_ANSWERS|LLM_ASK_TRIES))
        || !llm_ask_number(type, raw, &v))
    {
        return;
    }

    n = llm_json_integer(&v, 1);

    if (ask->what & LLM_ASK_ANSWERS) {
        llm_asked_more(a, ask, &a->answers, n);

    } else if (ask->what & LLM_ASK_TRIES) {
        llm_asked_more(a, ask, &a->tries, n);

    } else if (n > a->output
               && !((ask->what & LLM_ASK_ZERO)
                    && llm_json_integer(&v, 0) == 0))
    {
        a->output = n;
    }
}


static void
llm_asked_object(llm_asked_t *a, const llm_ask_t *list, const char *outer,
    const llm_slice_t *raw)
{
    llm_json_t        j;
    llm_slice_t       key, v;
    llm_json_type_t   type;
    const llm_ask_t  *ask;

    llm_json_reopen(&j, raw);

    while (llm_json_next(&j) == LLM_JSON_KEY) {
        key = j.tok;
        type = llm_json_skip(&j, &v);

        for (ask = list; ask->name != NULL; ask++) {
            if (ask->outer != NULL && strcmp(ask->outer, outer) == 0
                && llm_ask_is(&key, ask->name))
            {
                llm_asked_value(a, ask, type, &v);
                break;
            }
        }
    }
}


void
llm_asked_array(llm_asked_t *a, const llm_ask_t *list, const llm_slice_t *key,
    llm_json_type_t first, size_t n)
{
    for ( /* void */ ; list->name != NULL; list++) {

        if (list->outer != NULL || !llm_ask_is(key, list->name)) {
            continue;
        }

        if (list->what & (LLM_ASK_MESSAGES|LLM_ASK_HISTORY)) {
            llm_asked_list(a, list, n);

        } else if ((list->what & LLM_ASK_PROMPTS)
                   && first != LLM_JSON_NUMBER)     /* one, of tokens */
        {
            llm_asked_more(a, list, &a->prompts, (int64_t) n);
        }
    }
}


void
llm_asked_member(llm_asked_t *a, const llm_ask_t *list,
    const llm_slice_t *key, llm_json_type_t type, const llm_slice_t *raw)
{
    size_t            n;
    llm_json_type_t   first;
    const llm_ask_t  *ask;

    ask = llm_ask_find(list, key);

    if (ask == NULL) {
        return;
    }

    if (type == LLM_JSON_ARRAY && ask->outer == NULL) {
        n = llm_asked_elements(raw, &first);
        llm_asked_array(a, list, key, first, n);

    } else if (type == LLM_JSON_OBJECT && ask->outer != NULL) {
        llm_asked_object(a, list, ask->outer, raw);

    } else if (ask->outer == NULL) {
        llm_asked_value(a, ask, type, raw);
    }
}
