/*
 * Framing as a JSON array: the stream is one array whose elements come one
 * after another, in any white space and cut anywhere.  Source: what Gemini
 * sends without alt=sse; JSON by RFC 8259.
 *
 * Bare values without the array around them, one or several, are taken too:
 * it is how one answer looks, and an error.  Values may be parted by white
 * space, commas, or nothing.  Only where a value ends is looked for; that it
 * is valid is the decoder's to say.
 */

#ifndef LLM_ARRAY_H
#define LLM_ARRAY_H

#include "llm_wire.h"


typedef struct {
    llm_alloc_t     alloc;
    size_t          max;
    llm_block_t     carry;      /* an element that was cut */
    /* private */
    const llm_u8   *p;
    const llm_u8   *end;
    size_t          depth;      /* brackets open in the element */
    llm_rc_t        failed;
    unsigned        state;
    unsigned        any;        /* a byte other than white space came */
    unsigned        array;      /* it was the array's bracket */
    unsigned        closed;     /* the bracket that closes it came */
    unsigned        handed;     /* the carried element was handed out */
} llm_array_t;

/* max: bytes of one element. */
void llm_array_init(llm_array_t *s, const llm_alloc_t *a, size_t max);
void llm_array_free(llm_array_t *s);

/* The next n bytes; they must stay until llm_array_next() has returned
 * LLM_AGAIN. */
void llm_array_feed(llm_array_t *s, const llm_u8 *p, size_t n);

/*
 * LLM_OK: *element is the next one, a slice of the input when it lies whole
 * in it; lives until the next call.  LLM_AGAIN: input used up.  Final:
 * LLM_INVALID (a byte between elements that begins no value, or any behind
 * the array but white space), LLM_TOO_BIG, LLM_NOMEM.
 */
llm_rc_t llm_array_next(llm_array_t *s, llm_slice_t *element);

/* At the end: LLM_DONE, or what was final before.  What was begun is not
 * handed out, not even a bare number that only the end would end. */
llm_rc_t llm_array_finish(llm_array_t *s);

/* Whether the bracket that closes the array was seen. */
static inline int
llm_array_closed(const llm_array_t *s)
{
    return (int) s->closed;
}

/* Whether the stream, if it ends here, was cut: inside an element, or before
 * the bracket that closes the array. */
int llm_array_cut(const llm_array_t *s);


#endif /* LLM_ARRAY_H */
