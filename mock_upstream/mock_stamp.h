/*
 * Stamps: tokens that say which they are and when they were made, so that
 * whoever reads the text, behind any number of proxies, knows how long it
 * was under way, and whether all of it came, once and in order.
 */

#ifndef MOCK_STAMP_H
#define MOCK_STAMP_H

#include "mock_buf.h"


/* ~SSSSSS.TTTTTTTTTTTTTT.LLLLLLLL.CC; */
#define MOCK_STAMP_SIZE  35

/* When an event was made.  Nanoseconds. */
typedef struct {
    int64_t  made;      /* CLOCK_MONOTONIC */
    int64_t  late;      /* by which that is behind its time; not below 0 */
} mock_stamp_t;

/*
 * Appends the stamp of token k (from 1).  size: bytes of the token, stamp and
 * filler; below MOCK_STAMP_SIZE there is no filler.
 */
void mock_stamp(mock_buf_t *b, const mock_stamp_t *s, uint64_t k,
    size_t size);


#endif /* MOCK_STAMP_H */
