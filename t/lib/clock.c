/*
 * A clock that a test turns by hand: preloaded into nginx, it answers for
 * the C library's clocks and for epoll_wait().  It owns the mapping of a file
 * in which the test says what time it is, see LLMTest::Clock.  It must never
 * keep a process from seeing its descriptors or its signals, or touch any
 * other clock.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>


#define CLOCK_LOOK  2       /* milliseconds between two looks at the file */

static int  (*clock_real_gettime)(clockid_t, struct timespec *);
static int  (*clock_real_wait)(int, struct epoll_event *, int, int);
static int  (*clock_real_action)(int, const struct sigaction *,
    struct sigaction *);

/* Twice the microseconds since the start; odd: added to the real ones. */
static volatile int64_t  *clock_file;
static int64_t            clock_mono;       /* at the start */
static int64_t            clock_wall;
static int64_t            clock_seen;       /* last told to the process */

static volatile sig_atomic_t  clock_signals;        /* that were handled */
static struct sigaction       clock_handlers[NSIG];


static int64_t
clock_real(clockid_t id)
{
    struct timespec  ts;

    (void) clock_real_gettime(id, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


__attribute__((constructor))
static void
clock_init(void)
{
    int          fd;
    void        *map;
    const char  *name, *start;

    clock_real_gettime = (int (*)(clockid_t, struct timespec *))
                         dlsym(RTLD_NEXT, "clock_gettime");
    clock_real_wait = (int (*)(int, struct epoll_event *, int, int))
                      dlsym(RTLD_NEXT, "epoll_wait");
    clock_real_action = (int (*)(int, const struct sigaction *,
                                 struct sigaction *))
                        dlsym(RTLD_NEXT, "sigaction");

    name = getenv("LLM_TEST_CLOCK");
    start = getenv("LLM_TEST_CLOCK_START");
    fd = name && start ? open(name, O_RDONLY | O_CLOEXEC) : -1;

    if (fd == -1) {
        return;
    }

    clock_mono = strtoll(start, NULL, 10);
    clock_wall = clock_real(CLOCK_REALTIME)
                 - (clock_real(CLOCK_MONOTONIC) - clock_mono);

    map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);

    if (map == MAP_FAILED) {
        abort();
    }

    (void) close(fd);
    clock_file = map;
}


/* Microseconds since the start, as the test will have it. */
static int64_t
clock_passed(void)
{
    int64_t  value;

    value = *clock_file;

    if (value & 1) {
        return (value - 1) / 2 + clock_real(CLOCK_MONOTONIC) - clock_mono;
    }

    return value / 2;
}


int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int64_t  us;

    if (clock_real_gettime == NULL) {
        clock_init();
    }

    switch (clock_file ? id : -1) {

    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        us = clock_wall;
        break;

    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
        us = clock_mono;
        break;

    default:
        return clock_real_gettime(id, ts);
    }

    clock_seen = clock_passed();
    us += clock_seen;
    ts->tv_sec = us / 1000000;
    ts->tv_nsec = us % 1000000 * 1000;

    return 0;
}


int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec  ts;

    (void) zone;
    (void) clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;

    return 0;
}


time_t
time(time_t *t)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    if (t) {
        *t = ts.tv_sec;
    }

    return ts.tv_sec;
}


static void
clock_signal(int signo, siginfo_t *info, void *context)
{
    clock_signals++;
    clock_handlers[signo].sa_sigaction(signo, info, context);
}


/* Counts the signals of the handlers that a process sets. */
int
sigaction(int signo, const struct sigaction *restrict act,
    struct sigaction *restrict old)
{
    struct sigaction  counted;

    if (clock_real_action == NULL) {
        clock_init();
    }

    if (act == NULL || !(act->sa_flags & SA_SIGINFO)) {
        return clock_real_action(signo, act, old);
    }

    clock_handlers[signo] = *act;
    counted = *act;
    counted.sa_sigaction = clock_signal;

    return clock_real_action(signo, &counted, old);
}


/*
 * Waits in short steps, so that a turn of the clock is seen, also one since
 * the process has looked at it and reckoned its time-out.  A signal between
 * two steps ends it as one within a step does: the process would never look
 * at what its handler has noted.
 */
int
epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
    int                  n;
    int64_t              until;
    static sig_atomic_t  signals;

    if (timeout <= 0 || clock_file == NULL) {
        return clock_real_wait(fd, events, max, timeout);
    }

    until = clock_seen + (int64_t) timeout * 1000;

    for ( ;; ) {
        n = clock_real_wait(fd, events, max, CLOCK_LOOK);

        if (n == 0 && clock_signals != signals) {
            n = -1;
            errno = EINTR;
        }

        if (n != 0 || clock_passed() >= until) {
            signals = clock_signals;
            return n;
        }
    }
}
