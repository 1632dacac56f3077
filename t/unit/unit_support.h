/*
 * What the unit tests of src/wire share: an allocator that counts and can
 * fail, an output sink, files, base64, random numbers from a printed seed.
 * It must never know what is being tested.
 */

#ifndef UNIT_SUPPORT_H
#define UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "llm_wire.h"


/*
 * The allocator.  Every call moves the block to a new place of exactly the
 * size asked for and checks the old size it is told, so that a stale pointer
 * or a wrong size is found by the sanitizers or here.
 */
typedef struct {
    size_t          calls;      /* that asked for memory */
    size_t          fail_at;    /* the n-th such call fails, 0: none */
    size_t          live;       /* blocks not freed */
    size_t          bytes;      /* of them */
    size_t          peak;
} unit_alloc_t;

llm_alloc_t unit_alloc(unit_alloc_t *u);


/*
 * The sink.  It grows without bound, gives `step` bytes of room at a time
 * (0: plenty) and fails when it would hold more than `limit` (0: never).
 */
typedef struct {
    llm_out_t       out;
    llm_u8         *p;
    size_t          n;          /* valid after unit_out_end() */
    size_t          cap;
    size_t          step;
    size_t          limit;
    size_t          grown;      /* how often more() was called */
} unit_out_t;

void unit_out_init(unit_out_t *o, size_t step, size_t limit);

/* Ends the output, which is then o->p, o->n and a NUL. */
void unit_out_end(unit_out_t *o);
void unit_out_free(unit_out_t *o);


/*
 * The path of a file of the project: `name` is relative to its root, which
 * is the working directory or $LLM_ROOT.  The caller frees it.
 */
char *unit_path(const char *name);

/* A whole file, NUL-terminated; fails the test if it cannot be read. */
llm_u8 *unit_read(const char *path, size_t *n);

/*
 * Calls f for each *.ext file in a folder of the project, in the order of
 * their names; returns how many there were and fails the test if none.
 */
size_t unit_each(const char *folder, const char *ext,
    void (*f)(const char *path, const char *name));

/* The same for a folder of the recorded streams beside the project, which may
 * be missing: 0, and it is printed why. */
size_t unit_each_recorded(const char *folder, const char *ext,
    void (*f)(const char *path, const char *name));

/*
 * A document as jansson reads it, all numbers as reals, or NULL.  Lone
 * surrogates, which it would refuse, are replaced with U+FFFD before.
 */
json_t *unit_parse(const llm_u8 *p, size_t n, json_error_t *error);

/* The same for a file that must be right. */
json_t *unit_json(const char *path);

/* A copy of exactly n bytes: an overread is then seen by the sanitizers. */
llm_u8 *unit_copy(const void *p, size_t n);

/* Decodes base64; the caller frees it. */
llm_u8 *unit_base64(const char *s, size_t *n);


/* Random numbers.  The seed is $LLM_SEED or the time; it is printed. */
uint64_t unit_seed(void);
uint32_t unit_random(uint32_t below);

/* Fills `cuts` with up to max ascending offsets in 1..n-1. */
size_t unit_random_cuts(size_t n, size_t *cuts, size_t max);

/*
 * Calls f with every way that n bytes are to be cut in: byte by byte, in two
 * at each place (300 bytes at most), a hundred times at random.  `what` names
 * the run; cuts: k ascending offsets.
 */
typedef void (*unit_cut_pt)(void *ctx, const char *what, const size_t *cuts,
    size_t k);

void unit_all_cuts(const char *name, size_t n, unit_cut_pt f, void *ctx);


#endif /* UNIT_SUPPORT_H */
