/*
 * gzip without compression, to answer in a coding that nobody asked for, and
 * a gzip file that is much larger inside than outside.
 */

#ifndef MOCK_GZIP_H
#define MOCK_GZIP_H

#include "mock_buf.h"


typedef struct {
    unsigned  begun;
    uint32_t  crc;
    uint32_t  size;
} mock_gzip_t;

/* Appends the bytes as stored blocks; the header goes before the first. */
void mock_gzip_add(mock_gzip_t *z, mock_buf_t *b, const void *p, size_t n);

void mock_gzip_end(mock_gzip_t *z, mock_buf_t *b);

/* The start of a bomb: header, codes, and one literal (':').  Every zero
 * byte that follows inflates to 4 * 258 times that character. */
void mock_gzip_bomb(mock_buf_t *b);
#define MOCK_GZIP_BOMB_RATIO  1032


#endif /* MOCK_GZIP_H */
