/*
 * Memory of the client.  A measurement that lacks memory is none: these end
 * the program with a message and never return NULL.
 */

#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stddef.h>

#include "llm_wire.h"


/* Not zeroed; free() it. */
void *bench_alloc(size_t n);

/* n zeroed elements of that size. */
void *bench_alloc_zero(size_t n, size_t size);

/* As realloc(). */
void *bench_resize(void *p, size_t n);

/* The wire library's allocator on top of it. */
extern const llm_alloc_t  bench_allocator;


#endif /* BENCH_MEMORY_H */
