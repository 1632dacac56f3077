/*
 * The timer.  It owns a timerfd, because epoll_wait() counts in milliseconds,
 * and asks the kernel only when the first time is another.  libevent's own
 * timers would cost two system calls more an event.
 */

#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "mock.h"
#include "mock_timer.h"


/* microseconds in which those who become due meanwhile are called, too,
 * before connections get their turn */
#define MOCK_TIMER_TURN  500


static void
mock_timers_arm(mock_timers_t *timers)
{
    mock_heap_item_t   *first;
    struct itimerspec   t;

    first = mock_heap_first(&timers->heap);

    if (first == NULL || first->at == timers->armed) {
        return;
    }

    memset(&t, 0, sizeof(t));
    t.it_value.tv_sec = first->at / 1000000;
    t.it_value.tv_nsec = first->at % 1000000 * 1000;
    timers->armed = first->at;

    /* fails for no time that there is */
    (void) timerfd_settime(timers->fd, TFD_TIMER_ABSTIME, &t, NULL);
}


static void
mock_timers_on_time(evutil_socket_t fd, short what, void *arg)
{
    int64_t         now, until;
    mock_timer_t   *t;
    mock_timers_t  *timers;

    (void) fd;
    (void) what;

    timers = arg;
    timers->busy = 1;
    now = mock_now();
    until = now + MOCK_TIMER_TURN;

    while ((t = (mock_timer_t *) mock_heap_first(&timers->heap))) {

        if (t->item.at > now) {
            now = mock_now();
        }

        if (t->item.at > now || now > until) {
            break;
        }

        mock_heap_take(&timers->heap, &t->item);
        t->fn(t->arg);
    }

    timers->busy = 0;
    timers->armed = 0;
    mock_timers_arm(timers);
}


int
mock_timers_open(mock_timers_t *timers, struct event_base *base)
{
    timers->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK|TFD_CLOEXEC);

    if (timers->fd == -1) {
        return -1;
    }

    /* by edge: it is never read, setting it anew is enough */
    event_assign(&timers->event, base, timers->fd,
                 EV_READ | EV_ET | EV_PERSIST, mock_timers_on_time, timers);

    return event_add(&timers->event, NULL);
}


void
mock_timers_close(mock_timers_t *timers)
{
    event_del(&timers->event);
    (void) close(timers->fd);
    mock_heap_free(&timers->heap);
}


void
mock_timer_set(mock_timers_t *timers, mock_timer_t *t, int64_t at)
{
    mock_heap_set(&timers->heap, &t->item, at);

    if (!timers->busy) {
        mock_timers_arm(timers);
    }
}


void
mock_timer_take(mock_timers_t *timers, mock_timer_t *t)
{
    mock_heap_take(&timers->heap, &t->item);
}
