/*
 * Stamps: reading them out of a text in pieces, accounting for them.  It owns
 * the state of one stream's text; it must never read a clock.
 */

#include <stdlib.h>
#include <string.h>

#include "bench_memory.h"
#include "bench_stamp.h"


/* where the fields of a stamp are */
#define BENCH_STAMP_SEQ      1
#define BENCH_STAMP_SEQ_N    6
#define BENCH_STAMP_TIME     8
#define BENCH_STAMP_TIME_N   14
#define BENCH_STAMP_LAG      23
#define BENCH_STAMP_LAG_N    8
#define BENCH_STAMP_SUM      32
#define BENCH_STAMP_SUM_N    2


void
bench_stamps_begin(bench_stamps_t *s, uint64_t expected)
{
    memset(s, 0, sizeof(bench_stamps_t));

    s->expected = expected;
}


/* n lowercase hexadecimal digits; -1: it is something else. */
static int64_t
bench_stamp_hex(const llm_u8 *p, size_t n)
{
    size_t    i;
    int64_t   v;
    unsigned  digit, letter;

    v = 0;

    for (i = 0; i < n; i++) {
        digit = (unsigned) p[i] - '0';
        letter = (unsigned) p[i] - 'a';

        if (digit > 9) {
            if (letter > 5) {
                return -1;
            }

            digit = letter + 10;
        }

        v = v << 4 | (int64_t) digit;
    }

    return v;
}


/* Reads the BENCH_STAMP bytes at p; 0: they are no stamp. */
static int
bench_stamp_read(const llm_u8 *p, bench_stamp_t *stamp)
{
    size_t    i;
    int64_t   seq, sum;
    unsigned  real;

    if (p[0] != '~' || p[7] != '.' || p[22] != '.' || p[31] != '.'
        || p[34] != ';')
    {
        return 0;
    }

    seq = bench_stamp_hex(p + BENCH_STAMP_SEQ, BENCH_STAMP_SEQ_N);
    stamp->sent = bench_stamp_hex(p + BENCH_STAMP_TIME, BENCH_STAMP_TIME_N);
    stamp->lag = bench_stamp_hex(p + BENCH_STAMP_LAG, BENCH_STAMP_LAG_N);
    sum = bench_stamp_hex(p + BENCH_STAMP_SUM, BENCH_STAMP_SUM_N);

    if (seq < 0 || stamp->sent < 0 || stamp->lag < 0) {
        return 0;
    }

    stamp->seq = (uint64_t) seq;

    for (real = 0, i = BENCH_STAMP_SEQ; i < BENCH_STAMP_SUM - 1; i++) {
        real += p[i];
    }

    return sum == (int64_t) (real & 0xff);
}


/* The first number out of order: from here on each one is remembered. */
static void
bench_stamps_remember(bench_stamps_t *s)
{
    uint64_t  i;

    s->seen = bench_alloc((size_t) s->expected / 8 + 1);
    memset(s->seen, 0, (size_t) s->expected / 8 + 1);

    for (i = 1; i <= s->highest; i++) {
        s->seen[i / 8] |= (uint8_t) (1 << i % 8);
    }
}


static void
bench_stamps_account(bench_stamps_t *s, uint64_t seq)
{
    if (seq == s->highest + 1 && s->seen == NULL) {
        s->highest = seq;
        return;
    }

    if (s->seen == NULL) {
        bench_stamps_remember(s);
    }

    if (s->seen[seq / 8] & 1 << seq % 8) {
        s->duplicated++;
        return;
    }

    s->seen[seq / 8] |= (uint8_t) (1 << seq % 8);

    if (seq < s->highest) {
        s->reordered++;

    } else {
        s->highest = seq;
    }
}


/* A whole stamp, or what should be one, of 35 bytes at p. */
static int
bench_stamps_take(bench_stamps_t *s, const llm_u8 *p, bench_stamp_t *stamp)
{
    if (!bench_stamp_read(p, stamp) || stamp->seq == 0
        || stamp->seq > s->expected)
    {
        return 0;
    }

    s->filler = 0;
    s->count++;
    bench_stamps_account(s, stamp->seq);

    return 1;
}


/*
 * The stamp in `cut` is none: its place is damaged.  The next one may begin
 * within what was gathered; *p goes back to nothing, so it is moved down.
 */
static void
bench_stamps_damage(bench_stamps_t *s)
{
    llm_u8  *next;

    s->corrupted++;
    s->damaged = 1;

    next = s->have > 1 ? memchr(s->cut + 1, '~', s->have - 1) : NULL;

    if (next == NULL) {
        s->have = 0;
        return;
    }

    s->damaged = 0;
    s->have -= (size_t) (next - s->cut);
    memmove(s->cut, next, s->have);
}


/* Passes over filler; stops at a '~'. */
static const llm_u8 *
bench_stamps_filler(bench_stamps_t *s, const llm_u8 *p, const llm_u8 *end)
{
    while (p < end && *p != '~') {

        if (!s->damaged && *p != 'a' + s->filler % 26) {
            s->corrupted++;
            s->damaged = 1;
        }

        if (s->count == 0 && !s->damaged) {

            /* filler belongs to a stamp */

            s->corrupted++;
            s->damaged = 1;
        }

        s->filler++;
        p++;
    }

    return p;
}


/* A stamp that was cut before: goes on with it. */
static int
bench_stamps_resume(bench_stamps_t *s, const llm_u8 **p, const llm_u8 *end,
    bench_stamp_t *stamp)
{
    size_t  n;

    n = BENCH_STAMP - s->have;

    if (n > (size_t) (end - *p)) {
        n = (size_t) (end - *p);
    }

    memcpy(s->cut + s->have, *p, n);
    *p += n;
    s->have += n;

    if (s->have < BENCH_STAMP) {
        return 0;
    }

    if (bench_stamps_take(s, s->cut, stamp)) {
        s->have = 0;
        return 1;
    }

    bench_stamps_damage(s);

    return 0;
}


int
bench_stamps_next(bench_stamps_t *s, const llm_u8 **p, const llm_u8 *end,
    bench_stamp_t *stamp)
{
    while (*p < end) {

        if (s->have != 0) {
            if (bench_stamps_resume(s, p, end, stamp)) {
                return 1;
            }

            continue;
        }

        *p = bench_stamps_filler(s, *p, end);

        if (*p == end) {
            return 0;
        }

        s->damaged = 0;

        if (end - *p >= BENCH_STAMP && bench_stamps_take(s, *p, stamp)) {
            *p += BENCH_STAMP;
            return 1;
        }

        /* cut, or damaged: by way of the copy */

        s->cut[0] = **p;
        s->have = 1;
        (*p)++;
    }

    return 0;
}


void
bench_stamps_end(bench_stamps_t *s)
{
    uint64_t  i;

    if (s->have != 0) {
        s->corrupted++;
        s->have = 0;
    }

    for (i = 1; s->seen != NULL && i <= s->expected; i++) {
        if (!(s->seen[i / 8] & 1 << i % 8)) {
            s->lost++;
        }
    }

    if (s->seen == NULL) {
        s->lost = s->expected - s->highest;
    }

    free(s->seen);
    s->seen = NULL;
}
