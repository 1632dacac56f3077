/*
 * One interface over the three framings of a stream: server-sent events,
 * lines of JSON, the elements of a JSON array.  It adds nothing to what they
 * do; which one it is costs one comparison a frame.
 */

#ifndef LLM_FRAMER_H
#define LLM_FRAMER_H

#include "llm_array.h"
#include "llm_ndjson.h"
#include "llm_sse.h"


typedef enum {
    LLM_FRAMING_SSE = 0,
    LLM_FRAMING_NDJSON,
    LLM_FRAMING_ARRAY,          /* one JSON array of chunks, or one chunk */
    LLM_FRAMING_NONE            /* bare text, client side only */
} llm_framing_t;

/*
 * One frame: an event as llm_sse.h says.  A line or an element has no type,
 * no id and no retry; its data is raw: the line without the white space
 * around it, the element from its first byte to its last.
 *
 * in_input: raw lies in the input and one LF stands at raw.n, so raw.n + 1
 * bytes can go out as they are; never set for an element of an array, whose
 * separators the caller writes.
 */
typedef llm_sse_event_t  llm_framed_t;

typedef struct {
    llm_framing_t   framing;
    union {
        llm_sse_t       sse;
        llm_ndjson_t    ndjson;
        llm_array_t     array;
    };
} llm_framer_t;


/* framing: SSE (also for NONE), NDJSON or ARRAY.  max: bytes of a frame, as
 * each says. */
void llm_framer_init(llm_framer_t *f, llm_framing_t framing,
    const llm_alloc_t *a, size_t max);
void llm_framer_free(llm_framer_t *f);

/* The two below for what is not an event stream: not to be called. */
void llm_framer_feed_other(llm_framer_t *f, const llm_u8 *p, size_t n);
llm_rc_t llm_framer_next_other(llm_framer_t *f, llm_framed_t *framed);

/* The next n bytes; they must stay until llm_framer_next() has returned
 * LLM_AGAIN. */
static inline void
llm_framer_feed(llm_framer_t *f, const llm_u8 *p, size_t n)
{
    if (f->framing == LLM_FRAMING_SSE) {
        llm_sse_feed(&f->sse, p, n);
        return;
    }

    llm_framer_feed_other(f, p, n);
}

/* LLM_OK: *framed is the next frame; it lives until the next call or until
 * the input is gone.  Else as llm_sse_next(); LLM_INVALID, which is final:
 * the bytes are no array of values. */
static inline llm_rc_t
llm_framer_next(llm_framer_t *f, llm_framed_t *framed)
{
    if (f->framing == LLM_FRAMING_SSE) {
        return llm_sse_next(&f->sse, framed);
    }

    return llm_framer_next_other(f, framed);
}

/*
 * At the end of the stream, after LLM_AGAIN: LLM_OK and *framed when a frame
 * lacks only what would have ended it (an event's blank line, a line's LF);
 * LLM_DONE when nothing is left.  A line may have been cut; an element of an
 * array that was is never handed out.
 */
llm_rc_t llm_framer_finish(llm_framer_t *f, llm_framed_t *framed);

/* After llm_framer_finish(): whether the framing shows that bytes are
 * missing: an array without its bracket, or an element that was cut. */
int llm_framer_cut(const llm_framer_t *f);

/* Writes a frame as it came: an event with its blank line, a line with its
 * LF, an element alone. */
void llm_framer_write_raw(const llm_framer_t *f, llm_out_t *out,
    const llm_framed_t *framed);


#endif /* LLM_FRAMER_H */
