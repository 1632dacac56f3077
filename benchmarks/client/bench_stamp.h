/*
 * The mock's stamps (text=stamp) as they come out of a proxy: which tokens
 * are missing, came twice or late, and what was damaged.
 *
 *     ~SSSSSS.TTTTTTTTTTTTTT.LLLLLLLL.CC;
 *
 * S: number of the token, from 1.  T: when it was built, ns.  L: by how much
 * that was late, ns.  CC: the sum of the 30 bytes S.T.L, mod 256.  Lowercase
 * hexadecimal.  Behind it may be filler, byte i of which is 'a' + i % 26.
 *
 * The text comes in any pieces: where they are cut must never matter.
 */

#ifndef BENCH_STAMP_H
#define BENCH_STAMP_H

#include <stddef.h>
#include <stdint.h>

#include "llm_wire.h"


#define BENCH_STAMP  35         /* bytes */

typedef struct {
    uint64_t      seq;
    int64_t       sent;         /* T */
    int64_t       lag;          /* L */
} bench_stamp_t;

/* Of one stream.  All counts are valid at any time, `lost` after
 * bench_stamps_end(). */
typedef struct {
    uint64_t      expected;     /* numbers go from 1 to this */
    uint64_t      highest;
    uint64_t      count;        /* stamps that were whole */
    uint64_t      lost;
    uint64_t      duplicated;
    uint64_t      reordered;
    uint64_t      corrupted;    /* places */
    /* private */
    uint8_t      *seen;         /* a bit for each number; NULL while all came
                                   in order */
    size_t        have;         /* bytes of a stamp that was cut */
    size_t        filler;       /* bytes of filler so far */
    unsigned      damaged;      /* skips to the next '~' */
    llm_u8        cut[BENCH_STAMP];
} bench_stamps_t;


void bench_stamps_begin(bench_stamps_t *s, uint64_t expected);

/*
 * Takes up to *n bytes from p and returns behind them.  1: *stamp is the next
 * one; 0: all bytes were taken.  For a loop:
 *
 *     while (bench_stamps_next(s, &p, end, &stamp)) { ... }
 */
int bench_stamps_next(bench_stamps_t *s, const llm_u8 **p, const llm_u8 *end,
    bench_stamp_t *stamp);

/* Counts what is missing.  A stamp that was cut is a damaged place. */
void bench_stamps_end(bench_stamps_t *s);


#endif /* BENCH_STAMP_H */
