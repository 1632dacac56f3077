/*
 * The one timer of the mock: calls what waits for a time when it has come.
 */

#ifndef MOCK_TIMER_H
#define MOCK_TIMER_H

#include <event2/event_struct.h>

#include "mock_heap.h"


/* Part of whatever waits; it must not move meanwhile. */
typedef struct {
    mock_heap_item_t   item;        /* first: the heap gives it back */
    void             (*fn)(void *arg);
    void              *arg;
} mock_timer_t;

typedef struct {
    int                fd;
    mock_heap_t        heap;
    int64_t            armed;       /* the kernel's, 0: not */
    unsigned           busy;        /* calling those whose time has come */
    struct event       event;
} mock_timers_t;

/* 0, or -1 with errno set. */
int mock_timers_open(mock_timers_t *timers, struct event_base *base);
void mock_timers_close(mock_timers_t *timers);

/* Calls t->fn(t->arg) once, from the event loop; at: in microseconds of
 * CLOCK_MONOTONIC. */
void mock_timer_set(mock_timers_t *timers, mock_timer_t *t, int64_t at);

/* Not any more. */
void mock_timer_take(mock_timers_t *timers, mock_timer_t *t);

/* Does it wait? */
#define mock_timer_waits(t)  ((t)->item.place != 0)


#endif /* MOCK_TIMER_H */
