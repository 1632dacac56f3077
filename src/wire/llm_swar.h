/*
 * Eight bytes at a time: the word tricks and other small inline helpers that
 * the scanners of this library share.  Private to src/wire.  It must never
 * read a byte that the caller did not vouch for, and never rely on alignment.
 */

#ifndef LLM_SWAR_H
#define LLM_SWAR_H

#include "llm_wire.h"

#if (defined(__SSE2__) && !defined(LLM_NO_SSE2))
#include <emmintrin.h>
#endif


#define LLM_ONES   UINT64_C(0x0101010101010101)
#define LLM_HIGHS  UINT64_C(0x8080808080808080)

/*
 * For a mask of the bytes of x that are c, or below k (both <= 0x80): bit 7
 * of each.  To be or-ed together and then cut with llm_swar_mask(); the
 * lowest bit set is always right, a borrow can only make false ones above.
 */
#define llm_swar_equal(x, c)  (((x) ^ (LLM_ONES * (c))) - LLM_ONES)
#define llm_swar_below(x, k)  ((x) - LLM_ONES * (k))
#define llm_swar_mask(m, x)   ((m) & ~(x) & LLM_HIGHS)

/* for what a hostile or rare input needs: kept out of the common path */
#define llm_likely(e)    __builtin_expect(!!(e), 1)
#define llm_unlikely(e)  __builtin_expect(!!(e), 0)
#define llm_noinline     __attribute__((noinline))


/* The first byte in memory is the lowest of the word on every machine. */
static inline uint64_t
llm_swar_load(const llm_u8 *p)
{
    uint64_t  x;

    memcpy(&x, p, sizeof(x));

#if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
    x = __builtin_bswap64(x);
#endif

    return x;
}


/* Index of the first byte marked in a mask that is not 0. */
static inline size_t
llm_swar_first(uint64_t mask)
{
    return (size_t) __builtin_ctzll(mask) >> 3;
}


/*
 * The bytes that end a run of plain characters in a JSON string: a quote, a
 * backslash, a control character.  llm_marks() looks at LLM_STRIDE bytes;
 * llm_marks_first() is the index of the first one marked, if any.
 */
#if (defined(__SSE2__) && !defined(LLM_NO_SSE2))

#define LLM_STRIDE  16

typedef unsigned  llm_marks_t;

static inline llm_marks_t
llm_marks(const llm_u8 *p)
{
    __m128i  x, m;

    x = _mm_loadu_si128((const __m128i *) p);
    m = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
    m = _mm_or_si128(m, _mm_cmpeq_epi8(x, _mm_set1_epi8('"')));
    m = _mm_or_si128(m, _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));

    return (llm_marks_t) _mm_movemask_epi8(m);
}

#define llm_marks_first(m)  ((size_t) (unsigned) __builtin_ctz(m))

/* The same for what tells where a JSON value ends: a quote, a bracket, a
 * brace.  Bit 0x20 is all that tells the two apart. */
static inline llm_marks_t
llm_brackets(const llm_u8 *p)
{
    __m128i  x, y, m;

    x = _mm_loadu_si128((const __m128i *) p);
    y = _mm_or_si128(x, _mm_set1_epi8(0x20));
    m = _mm_cmpeq_epi8(x, _mm_set1_epi8('"'));
    m = _mm_or_si128(m, _mm_cmpeq_epi8(y, _mm_set1_epi8('{')));
    m = _mm_or_si128(m, _mm_cmpeq_epi8(y, _mm_set1_epi8('}')));

    return (llm_marks_t) _mm_movemask_epi8(m);
}

#else

#define LLM_STRIDE  8

typedef uint64_t  llm_marks_t;

static inline llm_marks_t
llm_marks(const llm_u8 *p)
{
    uint64_t  x;

    x = llm_swar_load(p);

    return llm_swar_mask(llm_swar_equal(x, '"') | llm_swar_equal(x, '\\')
                         | llm_swar_below(x, 0x20), x);
}

#define llm_marks_first(m)  llm_swar_first(m)

static inline llm_marks_t
llm_brackets(const llm_u8 *p)
{
    uint64_t  x, y;

    x = llm_swar_load(p);
    y = x | LLM_ONES * 0x20;

    return llm_swar_mask(llm_swar_equal(x, '"') | llm_swar_equal(y, '{')
                         | llm_swar_equal(y, '}'), x);
}

#endif


/* Value of a hexadecimal digit, or -1. */
static inline int
llm_hex_digit(llm_u8 c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


#endif /* LLM_SWAR_H */
