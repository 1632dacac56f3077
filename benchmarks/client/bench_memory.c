/*
 * Memory of the client: the C library's, and the end when there is none.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench_memory.h"


static void *
bench_have(void *p)
{
    if (p == NULL) {
        fputs("llm-bench: no memory\n", stderr);
        _exit(1);
    }

    return p;
}


void *
bench_alloc(size_t n)
{
    return bench_have(malloc(n != 0 ? n : 1));
}


void *
bench_alloc_zero(size_t n, size_t size)
{
    return bench_have(calloc(n != 0 ? n : 1, size));
}


void *
bench_resize(void *p, size_t n)
{
    return bench_have(realloc(p, n != 0 ? n : 1));
}


static void *
bench_wire_resize(void *ctx, void *p, size_t old, size_t n)
{
    (void) ctx;
    (void) old;

    if (n == 0) {
        free(p);
        return NULL;
    }

    return bench_resize(p, n);
}


const llm_alloc_t  bench_allocator = { bench_wire_resize, NULL };
