/*
 * The appending JSON writer: the one escaper of the project, and what
 * encoders put between the bytes that they copy.
 */

#ifndef LLM_WRITE_H
#define LLM_WRITE_H

#include "llm_wire.h"


/*
 * Writes [p, p + n), UTF-8 characters, as the inside of a JSON string: ", \,
 * bytes below 0x20 and 0x7f as escapes, U+0085, U+2028 and U+2029 as \uXXXX
 * (they break clients that split lines with a library helper).
 */
void llm_write_escaped(llm_out_t *out, const llm_u8 *p, size_t n);

/*
 * Writes a slice with its quotes: one copy when it is still escaped and
 * linesep is not set, else escaped as above.  An absent slice is null.
 * linesep: the slice may hold a raw U+0085, U+2028, U+2029 (see
 * LLM_UTF8_LINESEP) that is to be escaped although the rest is copied.
 */
void llm_write_string(llm_out_t *out, const llm_slice_t *s,
    unsigned linesep);

/* The same without the quotes. */
void llm_write_inside(llm_out_t *out, const llm_slice_t *s,
    unsigned linesep);

void llm_write_int(llm_out_t *out, int64_t v);


#endif /* LLM_WRITE_H */
