/*
 * A tally through a pipe, between two processes of the same program.
 */

#ifndef BENCH_PIPE_H
#define BENCH_PIPE_H

#include <stddef.h>

#include "bench.h"


/* All n bytes, whatever signals and short reads; 0, or -1. */
int bench_pipe_write(int fd, const void *p, size_t n);
int bench_pipe_read(int fd, void *p, size_t n);

/* 0, or -1: the other side is gone. */
int bench_pipe_send(int fd, const bench_tally_t *t);

/* NULL: what came is not a whole tally. */
bench_tally_t *bench_pipe_receive(int fd);


#endif /* BENCH_PIPE_H */
