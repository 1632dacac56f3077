/*
 * What is said for the tables of answers, and how it is written.
 */

#ifndef TABLES_ANSWERS_H
#define TABLES_ANSWERS_H

#include "tables.h"


#define TABLES_EVENTS  8

typedef struct {
    const char      *what;
    const char      *mark;
    unsigned         text;      /* grows with the answer: worth a word when
                                   it is gathered */
    unsigned         plain;     /* may come as if it were plain text */
    llm_event_t      events[TABLES_EVENTS];
    size_t           n;
} table_said_t;

/* A stream for a client. */
typedef struct {
    const llm_dialect_t  *dialect;
    void                 *state;
    llm_encoder_t         encoder;
    table_text_t          text;
} table_stream_t;

/* Row i, or NULL past the last. */
const table_said_t *tables_said(size_t i);

/* The row of plain text, which the next call leaves as it is. */
const table_said_t *tables_said_text(void);

/* Events that every answer has; finish by tables_finish(). */
llm_event_t tables_event(llm_event_type_t type);
llm_event_t tables_start(void);
llm_event_t tables_finish(llm_finish_t finish);
llm_event_t tables_usage(const llm_usage_t *usage);

void tables_stream_open(table_stream_t *s, const llm_dialect_t *d);
void tables_stream_say(table_stream_t *s, const llm_event_t *ev);
void tables_stream_close(table_stream_t *s);

/* The same events as one answer.  LLM_OK, or why there is none. */
llm_rc_t tables_answer(table_text_t *text, const llm_dialect_t *d,
    const llm_event_t *ev, size_t n);


#endif /* TABLES_ANSWERS_H */
