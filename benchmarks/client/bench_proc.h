/*
 * Processor time and memory of processes and all that descend from them, as
 * /proc says.  It must never stop what is measured, and never fail because a
 * process ended while it was looked at.
 */

#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>


/* Processor time of all threads that live now, ns; of a thread that ended
 * before, nothing is known.  -1: there is no such process, or it cannot be
 * read.  A process that is in two of the trees counts once. */
int64_t bench_proc_cpu(const pid_t *pids, size_t n);

/* How long their threads stood ready without a processor, ns; otherwise the
 * same. */
int64_t bench_proc_wait(const pid_t *pids, size_t n);

/* Resident memory that is not of a file (RssAnon), kB; -1 as above. */
int64_t bench_proc_rss(const pid_t *pids, size_t n);

/* Processor time of our own process, ns. */
int64_t bench_proc_self(void);

/* "/proc"; tests have their own. */
extern const char  *bench_proc_root;


#endif /* BENCH_PROC_H */
