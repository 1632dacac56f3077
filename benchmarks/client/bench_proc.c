/*
 * Reads /proc: the trees of processes, their threads' processor time, their
 * memory.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench_proc.h"


#define BENCH_PROC_MAX  1024        /* processes of all trees together */

typedef struct {
    pid_t       pid[BENCH_PROC_MAX];
    size_t      n;
} bench_proc_set_t;

/* Adds to a sum what a process has, or returns -1: it is not there. */
typedef int (*bench_proc_pt)(pid_t pid, int64_t *sum);


const char  *bench_proc_root = "/proc";


/* Reads a file whole into a string, cut to the size; -1 if it is not there. */
static int
bench_proc_read(const char *path, char *text, size_t size)
{
    int      fd;
    size_t   n;
    ssize_t  got;

    fd = open(path, O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return -1;
    }

    n = 0;

    for ( ;; ) {
        got = read(fd, text + n, size - 1 - n);

        if (got <= 0) {
            break;
        }

        n += (size_t) got;
    }

    text[n] = '\0';
    close(fd);

    return got == 0 ? 0 : -1;
}


static int
bench_proc_has(const bench_proc_set_t *set, pid_t pid)
{
    size_t  i;

    for (i = 0; i < set->n; i++) {
        if (set->pid[i] == pid) {
            return 1;
        }
    }

    return 0;
}


static void
bench_proc_add(bench_proc_set_t *set, pid_t pid)
{
    if (pid > 0 && set->n < BENCH_PROC_MAX && !bench_proc_has(set, pid)) {
        set->pid[set->n++] = pid;
    }
}


/* The next number among a directory's names, or 0. */
static long
bench_proc_number(DIR *dir)
{
    char           *end;
    long            number;
    struct dirent  *entry;

    for ( ;; ) {
        entry = readdir(dir);
        if (entry == NULL) {
            return 0;
        }

        number = strtol(entry->d_name, &end, 10);

        if (number > 0 && *end == '\0') {
            return number;
        }
    }
}


static DIR *
bench_proc_threads(pid_t pid)
{
    char  path[256];

    snprintf(path, sizeof(path), "%s/%ld/task", bench_proc_root, (long) pid);

    return opendir(path);
}


/* Children by each thread's list; -1 when this kernel has no such lists. */
static int
bench_proc_listed(bench_proc_set_t *set, pid_t pid)
{
    int    listed;
    DIR   *dir;
    char   path[256], text[16384], *p, *end;
    long   tid, child;

    dir = bench_proc_threads(pid);
    if (dir == NULL) {
        return 0;
    }

    listed = 1;

    while ((tid = bench_proc_number(dir)) > 0) {
        snprintf(path, sizeof(path), "%s/%ld/task/%ld/children",
                 bench_proc_root, (long) pid, tid);

        if (bench_proc_read(path, text, sizeof(text)) == -1) {
            /* a thread that just ended, or no thread has one? */
            snprintf(path, sizeof(path), "%s/%ld/task/%ld",
                     bench_proc_root, (long) pid, tid);
            listed = listed && access(path, F_OK) == -1;
            continue;
        }

        for (p = text; ; p = end) {
            child = strtol(p, &end, 10);

            if (end == p) {
                break;
            }

            bench_proc_add(set, (pid_t) child);
        }
    }

    closedir(dir);

    return listed ? 0 : -1;
}


/* The parent of a process: the second field behind its name, which is in
 * brackets and may hold anything, brackets too. */
static pid_t
bench_proc_parent(long pid)
{
    char   path[256], text[1024];
    char  *p;
    long   parent;

    snprintf(path, sizeof(path), "%s/%ld/stat", bench_proc_root, pid);

    if (bench_proc_read(path, text, sizeof(text)) == -1) {
        return 0;
    }

    p = strrchr(text, ')');

    if (p == NULL || sscanf(p, ") %*c %ld", &parent) != 1) {
        return 0;
    }

    return (pid_t) parent;
}


/* The same without those lists: all processes are asked for their parent, as
 * often as that finds more. */
static void
bench_proc_search(bench_proc_set_t *set)
{
    DIR     *dir;
    long     pid;
    size_t   before;

    do {
        before = set->n;
        dir = opendir(bench_proc_root);

        if (dir == NULL) {
            return;
        }

        while ((pid = bench_proc_number(dir)) > 0) {
            if (bench_proc_has(set, bench_proc_parent(pid))) {
                bench_proc_add(set, (pid_t) pid);
            }
        }

        closedir(dir);

    } while (set->n > before);
}


/* The sum over the trees; -1 when one of their roots is not there. */
static int64_t
bench_proc_sum(const pid_t *pids, size_t n, bench_proc_pt f)
{
    int               rc;
    size_t            i;
    int64_t           sum;
    bench_proc_set_t  set;

    set.n = 0;
    sum = 0;

    for (i = 0; i < n; i++) {
        bench_proc_add(&set, pids[i]);
    }

    n = set.n;

    for (i = 0; i < set.n; i++) {
        if (bench_proc_listed(&set, set.pid[i]) == -1) {
            bench_proc_search(&set);
            break;
        }
    }

    for (i = 0; i < set.n; i++) {
        rc = f(set.pid[i], &sum);

        /* others than the roots may come and go */
        if (rc == -1 && i < n) {
            return -1;
        }
    }

    return n ? sum : -1;
}


/* schedstat of all threads: what they ran, or what they stood ready without
 * a processor. */
static int
bench_proc_schedstat(pid_t pid, int64_t *sum, int waited)
{
    DIR        *dir;
    int         threads;
    char        path[256], text[128];
    long        tid;
    long long   ran, wait;

    dir = bench_proc_threads(pid);
    if (dir == NULL) {
        return -1;
    }

    threads = 0;

    while ((tid = bench_proc_number(dir)) > 0) {
        snprintf(path, sizeof(path), "%s/%ld/task/%ld/schedstat",
                 bench_proc_root, (long) pid, tid);

        if (bench_proc_read(path, text, sizeof(text)) == 0
            && sscanf(text, "%lld %lld", &ran, &wait) == 2)
        {
            *sum += waited ? wait : ran;
            threads++;
        }
    }

    closedir(dir);

    return threads ? 0 : -1;
}


static int
bench_proc_cpu_of(pid_t pid, int64_t *sum)
{
    return bench_proc_schedstat(pid, sum, 0);
}


static int
bench_proc_wait_of(pid_t pid, int64_t *sum)
{
    return bench_proc_schedstat(pid, sum, 1);
}


/* A process that ended and was not waited for has no memory: 0. */
static int
bench_proc_rss_of(pid_t pid, int64_t *sum)
{
    char       path[256], text[16384];
    char      *p;
    long long  kb;

    snprintf(path, sizeof(path), "%s/%ld/status", bench_proc_root, (long) pid);

    if (bench_proc_read(path, text, sizeof(text)) == -1) {
        return -1;
    }

    p = strstr(text, "\nRssAnon:");

    if (p && sscanf(p, "\nRssAnon: %lld kB", &kb) == 1) {
        *sum += kb;
    }

    return 0;
}


int64_t
bench_proc_cpu(const pid_t *pids, size_t n)
{
    return bench_proc_sum(pids, n, bench_proc_cpu_of);
}


int64_t
bench_proc_wait(const pid_t *pids, size_t n)
{
    return bench_proc_sum(pids, n, bench_proc_wait_of);
}


int64_t
bench_proc_rss(const pid_t *pids, size_t n)
{
    return bench_proc_sum(pids, n, bench_proc_rss_of);
}


int64_t
bench_proc_self(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}
