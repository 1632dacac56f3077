/*
 * One answer, gathered from events: for clients that did not ask for a
 * stream, and for dialects whose last event repeats the whole.  It owns what
 * it holds, bounded by the encoder's max_response; it writes nothing.
 *
 * All text is kept as the inside of a JSON string (escaped), so that halves
 * of a surrogate pair that came in two events meet again, and so that it is
 * written with one copy.  What is in a list is in order of appearance.
 */

#ifndef LLM_ANSWER_H
#define LLM_ANSWER_H

#include "llm_event.h"


/* choices of an answer, and items of a choice */
#define LLM_ANSWER_CHOICES  128
#define LLM_ANSWER_ITEMS    1024

/* pieces of TEXT, REASONING or REFUSAL that follow each other are one item;
 * a TOOL_CALL is one item, found again by its index */
typedef struct {
    llm_event_type_t  type;     /* TEXT, REASONING, REFUSAL, TOOL_CALL,
                                   CITATION */
    unsigned          tool_index;
    llm_block_t       text;     /* or a TOOL_CALL's arguments: JSON text, as
                                   the inside of a string */
    llm_block_t       id;
    llm_block_t       name;
    llm_block_t       signature;
    llm_block_t       raw;      /* as it came: CITATION, REASONING */
    int64_t           start;
    int64_t           end;
} llm_item_t;

typedef struct {
    unsigned          index;
    unsigned          finished;
    llm_finish_t      finish;
    llm_block_t       word;     /* the upstream's own for its finish */
    llm_block_t       stop;     /* the stop string that was hit */
    llm_block_t       items;    /* llm_item_t */
    llm_block_t       logprobs; /* elements with commas between them */
    llm_block_t       refused;  /* those of the refusal */
} llm_choice_t;

typedef struct {
    size_t            total;    /* bytes gathered */
    llm_block_t       id;
    llm_block_t       model;
    int64_t           created;  /* -1: not said */
    llm_usage_t       usage;
    unsigned          has_usage;
    llm_block_t       choices;  /* llm_choice_t, by index */
} llm_answer_t;

#define llm_answer_choices(a)  ((llm_choice_t *) (void *) (a)->choices.p)
#define llm_answer_nchoices(a) ((a)->choices.n / sizeof(llm_choice_t))
#define llm_choice_items(c)    ((llm_item_t *) (void *) (c)->items.p)
#define llm_choice_nitems(c)   ((c)->items.n / sizeof(llm_item_t))


#endif /* LLM_ANSWER_H */
