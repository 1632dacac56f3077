/*
 * The bytes of a stamp.  Every field has a fixed width, so that a length can
 * be announced before the time is known; a number that is too big for its
 * field shows its last digits, a lateness the biggest that there is.  What
 * time it is, and what an event is about, is not known here.
 */

#include "mock_stamp.h"


static unsigned char *
mock_stamp_hex(unsigned char *p, uint64_t v, unsigned digits)
{
    unsigned  i;

    for (i = digits; i; i--) {
        p[i - 1] = (unsigned char) "0123456789abcdef"[v & 15];
        v >>= 4;
    }

    return p + digits;
}


void
mock_stamp(mock_buf_t *b, const mock_stamp_t *s, uint64_t k, size_t size)
{
    size_t          i;
    unsigned        sum;
    unsigned char  *p, *from;

    if (size < MOCK_STAMP_SIZE) {
        size = MOCK_STAMP_SIZE;
    }

    mock_buf_reserve(b, size);
    p = b->p + b->n;
    b->n += size;

    *p++ = '~';
    from = p;
    p = mock_stamp_hex(p, k, 6);
    *p++ = '.';
    p = mock_stamp_hex(p, (uint64_t) s->made, 14);
    *p++ = '.';
    p = mock_stamp_hex(p, s->late < UINT32_MAX ? (uint64_t) s->late
                       : UINT32_MAX, 8);

    for (sum = 0; from < p; from++) {
        sum += *from;
    }

    *p++ = '.';
    p = mock_stamp_hex(p, sum, 2);
    *p++ = ';';

    for (i = 0; i < size - MOCK_STAMP_SIZE; i++) {
        *p++ = (unsigned char) ('a' + i % 26);
    }
}
