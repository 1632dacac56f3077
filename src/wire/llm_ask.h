/*
 * How much a request asks for: in each dialect the members that say a limit of
 * output, a number of answers, or hold messages.  A dialect's row refers to
 * its list.
 */

#ifndef LLM_ASK_H
#define LLM_ASK_H

#include "llm_json.h"


#define LLM_ASK_OUTPUT    0x01  /* a limit of output, tokens */
#define LLM_ASK_SAYS      0x02  /* ... that every provider of the dialect
                                   keeps; the first one is said where there is
                                   none */
#define LLM_ASK_ZERO      0x04  /* ... of which 0 means none */
#define LLM_ASK_BUDGET    0x08  /* of reasoning: has to be below the limit */
#define LLM_ASK_ANSWERS   0x10  /* a number of answers */
#define LLM_ASK_TRIES     0x20  /* ... that are generated, to give the best */
#define LLM_ASK_PROMPTS   0x40  /* an array of prompts, an answer for each */
#define LLM_ASK_MESSAGES  0x80  /* an array of messages */
#define LLM_ASK_HISTORY   0x100 /* ... but for the last, which is elsewhere */

/* Lists of them end with one without a name. */
typedef struct {
    const char       *outer;    /* the object at the top level that holds it;
                                   NULL: it is there itself */
    const char       *name;
    unsigned          what;     /* LLM_ASK_* */
    int64_t           least;    /* BUDGET: a lower one is refused; */
    const char       *off;      /* the object that asks for none */
} llm_ask_t;

/* What a whole request asks.  Of members that say the same the highest
 * counts: whichever a provider takes, it is not more. */
typedef struct {
    int64_t           output;   /* -1: no limit is said */
    int64_t           answers;  /* of each prompt, 1 unless said */
    int64_t           tries;    /* as many as the answers, or more */
    int64_t           prompts;
    int64_t           messages;
    const llm_ask_t  *more;     /* where more than one answer is said */
    const llm_ask_t  *list;     /* where the messages are */
} llm_asked_t;

void llm_asked_init(llm_asked_t *a);

/* The first entry that a member of the top level is named by, be it for what
 * is in it; NULL: there is none. */
const llm_ask_t *llm_ask_find(const llm_ask_t *list, const llm_slice_t *key);

/* Looks at one member of the top level: its name, and its value as
 * llm_json_skip() gives it. */
void llm_asked_member(llm_asked_t *a, const llm_ask_t *list,
    const llm_slice_t *key, llm_json_type_t type, const llm_slice_t *raw);

/* The same of an array that was walked already: n elements, the first of that
 * type. */
void llm_asked_array(llm_asked_t *a, const llm_ask_t *list,
    const llm_slice_t *key, llm_json_type_t first, size_t n);

/*
 * Whether a member has that name, for what must not be got around: servers in
 * Go take names in letters of either case, and two that Unicode folds to
 * letters.
 */
int llm_ask_is(const llm_slice_t *key, const char *name);

/* Whether a value is a limit that is not above max; some servers take a
 * string that holds a number for one. */
int llm_ask_within(const llm_ask_t *ask, llm_json_type_t type,
    const llm_slice_t *raw, int64_t max);

/* Where a limit of output is said when there is none; NULL: the dialect
 * cannot say it. */
const llm_ask_t *llm_ask_output(const llm_ask_t *list);


#endif /* LLM_ASK_H */
