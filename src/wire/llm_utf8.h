/*
 * UTF-8: validation, repair, counting.  Source: RFC 3629, and the WHATWG
 * Encoding standard for how many U+FFFD an ill-formed run becomes
 * ("maximal subpart").
 */

#ifndef LLM_UTF8_H
#define LLM_UTF8_H

#include "llm_wire.h"


/* bits of llm_utf8_check()'s answer */
#define LLM_UTF8_INVALID   0x1   /* not UTF-8: repair before use */
#define LLM_UTF8_MULTI     0x2   /* holds a byte above 0x7f */
#define LLM_UTF8_LINESEP   0x4   /* holds U+0085, U+2028 or U+2029 */

/* One pass over [p, p + n).  Pure ASCII costs about one test in 8 bytes. */
unsigned llm_utf8_check(const llm_u8 *p, size_t n);

/*
 * Appends [p, p + n) to *b, each maximal ill-formed subpart as U+FFFD.  The
 * whole input is given: a character cut at its end is ill-formed.
 */
llm_rc_t llm_utf8_repair(llm_block_t *b, const llm_alloc_t *a,
    const llm_u8 *p, size_t n);

/* Number of code points of well-formed UTF-8. */
size_t llm_utf8_count(const llm_u8 *p, size_t n);

/*
 * A name for people out of hostile bytes: what is ill-formed and control
 * characters become "?", and no character is cut.  At most size bytes go to
 * dst; returns how many.
 */
size_t llm_utf8_label(llm_u8 *dst, size_t size, const llm_u8 *p, size_t n);

/* Writes a code point (<= 0x10ffff, no surrogate), returns 1..4. */
size_t llm_utf8_put(llm_u8 *dst, uint32_t cp);


#endif /* LLM_UTF8_H */
