/*
 * Times between events: the distributions of a stream's pace.
 */

#ifndef MOCK_DELAY_H
#define MOCK_DELAY_H

#include <stdint.h>


enum {
    MOCK_DIST_CONSTANT = 0,
    MOCK_DIST_UNIFORM,
    MOCK_DIST_NORMAL,
    MOCK_DIST_LOGNORMAL,
    MOCK_DIST_GAMMA
};

typedef struct {
    uint64_t  state;
    int       dist;
    double    mean;         /* microseconds */
    double    spread;       /* uniform: half of the range; else the standard
                               deviation; microseconds */
} mock_delay_t;

void mock_delay_init(mock_delay_t *d, int dist, double mean, double spread,
    uint64_t seed);

/* The next gap in microseconds, never below 0. */
int64_t mock_delay_next(mock_delay_t *d);

/* A number that depends on seed and k alone: for what must come out the
 * same whenever it is built (padding). */
uint64_t mock_delay_hash(uint64_t seed, uint64_t k);


#endif /* MOCK_DELAY_H */
