/*
 * A tally through a pipe: the structure as it lies in memory, for both sides
 * are one program, and then what its pointers point to.  It must never trust
 * a length that the header does not confirm.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_memory.h"
#include "bench_pipe.h"
#include "bench_tally.h"


#define BENCH_PIPE_MAGIC  "llmbenc1"

typedef struct {
    char      magic[8];
    uint64_t  tally;            /* sizes of the structures */
    uint64_t  record;
    uint64_t  nrecords;
    uint64_t  nseconds;
} bench_pipe_head_t;


int
bench_pipe_write(int fd, const void *p, size_t n)
{
    ssize_t      done;
    const char  *at;

    for (at = p; n != 0; at += done, n -= (size_t) done) {
        done = write(fd, at, n);

        if (done == -1) {
            if (errno != EINTR) {
                return -1;
            }

            done = 0;
        }
    }

    return 0;
}


int
bench_pipe_read(int fd, void *p, size_t n)
{
    char     *at;
    ssize_t   done;

    for (at = p; n != 0; at += done, n -= (size_t) done) {
        done = read(fd, at, n);

        if (done == 0) {
            return -1;
        }

        if (done == -1) {
            if (errno != EINTR) {
                return -1;
            }

            done = 0;
        }
    }

    return 0;
}


/* How many gaps a record has. */
static size_t
bench_pipe_gaps(const bench_record_t *r)
{
    return r->gaps != NULL && r->events > 1 ? (size_t) r->events - 1 : 0;
}


static void
bench_pipe_head(bench_pipe_head_t *h, const bench_tally_t *t)
{
    memset(h, 0, sizeof(bench_pipe_head_t));
    memcpy(h->magic, BENCH_PIPE_MAGIC, sizeof(h->magic));

    h->tally = sizeof(bench_tally_t);
    h->record = sizeof(bench_record_t);
    h->nrecords = t->nrecords;
    h->nseconds = t->nper_second;
}


int
bench_pipe_send(int fd, const bench_tally_t *t)
{
    size_t              i;
    bench_pipe_head_t   h;

    bench_pipe_head(&h, t);

    if (bench_pipe_write(fd, &h, sizeof(h)) == -1
        || bench_pipe_write(fd, t, sizeof(bench_tally_t)) == -1
        || bench_pipe_write(fd, t->records,
                            t->nrecords * sizeof(bench_record_t)) == -1
        || bench_pipe_write(fd, t->per_second,
                            t->nper_second * sizeof(uint64_t)) == -1)
    {
        return -1;
    }

    for (i = 0; i < t->nrecords; i++) {
        if (bench_pipe_write(fd, t->records[i].gaps,
                             bench_pipe_gaps(&t->records[i])
                             * sizeof(int64_t)) == -1)
        {
            return -1;
        }
    }

    return 0;
}


/* What the pointers of the records point to. */
static int
bench_pipe_receive_gaps(int fd, bench_tally_t *t)
{
    size_t           i, n;
    bench_record_t  *r;

    for (i = 0; i < t->nrecords; i++) {
        r = &t->records[i];
        n = bench_pipe_gaps(r);
        r->gaps = NULL;

        if (n == 0) {
            continue;
        }

        r->gaps = bench_alloc(n * sizeof(int64_t));

        if (bench_pipe_read(fd, r->gaps, n * sizeof(int64_t)) == -1) {

            /* those behind it still are the other process's */

            t->nrecords = i + 1;
            return -1;
        }
    }

    return 0;
}


bench_tally_t *
bench_pipe_receive(int fd)
{
    bench_tally_t      *t;
    bench_pipe_head_t   h, want;

    t = bench_alloc_zero(1, sizeof(bench_tally_t));

    if (bench_pipe_read(fd, &h, sizeof(h)) == -1
        || bench_pipe_read(fd, t, sizeof(bench_tally_t)) == -1)
    {
        free(t);
        return NULL;
    }

    bench_pipe_head(&want, t);
    t->records = NULL;
    t->per_second = NULL;

    if (memcmp(&h, &want, sizeof(h)) != 0) {
        free(t);
        return NULL;
    }

    t->records = bench_alloc_zero(t->nrecords, sizeof(bench_record_t));
    t->per_second = bench_alloc_zero(t->nper_second, sizeof(uint64_t));

    if (bench_pipe_read(fd, t->records,
                        t->nrecords * sizeof(bench_record_t)) == -1)
    {
        t->nrecords = 0;
        bench_tally_free(t);
        return NULL;
    }

    if (bench_pipe_read(fd, t->per_second,
                        t->nper_second * sizeof(uint64_t)) == -1)
    {
        t->nrecords = 0;
        bench_tally_free(t);
        return NULL;
    }

    if (bench_pipe_receive_gaps(fd, t) == -1) {
        bench_tally_free(t);
        return NULL;
    }

    return t;
}
