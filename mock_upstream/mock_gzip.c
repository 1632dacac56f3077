/*
 * gzip by hand.  Sources: RFC 1951 (deflate), RFC 1952 (gzip).  Only stored
 * blocks are written, and one fixed prefix of a block with dynamic codes.
 */

#include <string.h>

#include "mock_gzip.h"


#define MOCK_GZIP_BLOCK  65535


static uint32_t
mock_gzip_crc(uint32_t crc, const unsigned char *p, size_t n)
{
    unsigned  i;

    crc = ~crc;

    while (n--) {
        crc ^= *p++;

        for (i = 0; i < 8; i++) {
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
        }
    }

    return ~crc;
}


static void
mock_gzip_le(mock_buf_t *b, uint32_t v, unsigned bytes)
{
    unsigned char  c;

    while (bytes--) {
        c = (unsigned char) v;
        mock_buf_add(b, &c, 1);
        v >>= 8;
    }
}


static void
mock_gzip_begin(mock_gzip_t *z, mock_buf_t *b)
{
    if (!z->begun) {
        z->begun = 1;
        mock_buf_lit(b, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff");
    }
}


void
mock_gzip_add(mock_gzip_t *z, mock_buf_t *b, const void *p, size_t n)
{
    size_t                part;
    const unsigned char  *from;

    mock_gzip_begin(z, b);
    from = p;
    z->crc = mock_gzip_crc(z->crc, from, n);
    z->size += (uint32_t) n;

    while (n) {
        part = n < MOCK_GZIP_BLOCK ? n : MOCK_GZIP_BLOCK;
        mock_gzip_le(b, 0, 1);
        mock_gzip_le(b, (uint32_t) part, 2);
        mock_gzip_le(b, (uint32_t) ~part, 2);
        mock_buf_add(b, from, part);
        from += part;
        n -= part;
    }
}


void
mock_gzip_end(mock_gzip_t *z, mock_buf_t *b)
{
    mock_gzip_begin(z, b);
    mock_buf_lit(b, "\x01\x00\x00\xff\xff");
    mock_gzip_le(b, z->crc, 4);
    mock_gzip_le(b, z->size, 4);
}


typedef struct {
    mock_buf_t  *b;
    unsigned     bits;
    unsigned     have;
} mock_gzip_bits_t;


/* n bits of v, the lowest first. */
static void
mock_gzip_put(mock_gzip_bits_t *w, unsigned v, unsigned n)
{
    unsigned char  c;

    w->bits |= v << w->have;
    w->have += n;

    while (w->have >= 8) {
        c = (unsigned char) w->bits;
        mock_buf_add(w->b, &c, 1);
        w->bits >>= 8;
        w->have -= 8;
    }
}


/* Zero lengths, 11 to 138 of them: symbol 18, whose code is "0". */
static void
mock_gzip_zeros(mock_gzip_bits_t *w, unsigned n)
{
    mock_gzip_put(w, 0, 1);
    mock_gzip_put(w, n - 11, 7);
}


/*
 * One block with dynamic codes.  Code length code: 18 has one bit ("0"), 1
 * has two ("10"), 2 has two ("11").  Literal/length codes: 285 (a match of
 * 258) has one bit ("0"), ':' and 256 two ("10", "11"); distance 1: one bit.
 */
void
mock_gzip_bomb(mock_buf_t *b)
{
    unsigned          i;
    mock_gzip_t       z;
    mock_gzip_bits_t  w;

    /* lengths of the code length code, in the order of RFC 1951, 3.2.7:
     * 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1 */
    static const unsigned char  lengths[18] = {
        0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2
    };

    memset(&z, 0, sizeof(z));
    memset(&w, 0, sizeof(w));
    w.b = b;
    mock_gzip_begin(&z, b);

    mock_gzip_put(&w, 1, 1);            /* last block */
    mock_gzip_put(&w, 2, 2);            /* dynamic codes */
    mock_gzip_put(&w, 286 - 257, 5);
    mock_gzip_put(&w, 1 - 1, 5);
    mock_gzip_put(&w, 18 - 4, 4);

    for (i = 0; i < 18; i++) {
        mock_gzip_put(&w, lengths[i], 3);
    }

    /* codes of Huffman are written from their highest bit: "10" is 1 */
    mock_gzip_zeros(&w, ':');           /* 0 .. ':' - 1 */
    mock_gzip_put(&w, 3, 2);            /* ':': 2 */
    mock_gzip_zeros(&w, 138);
    mock_gzip_zeros(&w, 256 - ':' - 1 - 138);
    mock_gzip_put(&w, 3, 2);            /* 256: 2 */
    mock_gzip_zeros(&w, 285 - 257);
    mock_gzip_put(&w, 1, 2);            /* 285: 1 */
    mock_gzip_put(&w, 1, 2);            /* distance 0: 1 */

    mock_gzip_put(&w, 1, 2);            /* the literal ':' */

    /* to the byte's end with halves of matches: it is all zeros from here */
    while (w.have) {
        mock_gzip_put(&w, 0, 1);
    }
}
