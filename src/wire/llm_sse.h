/*
 * Server-sent events, both ways.  Source: HTML Standard, section 9.2.6,
 * "Interpreting an event stream".
 *
 * The framer is incremental and never looks at a byte twice: lines that lie
 * whole in the input are handed out as slices of it, an event that is cut is
 * gathered in `carry`.  CR, LF and CRLF end lines and may be mixed; a
 * leading BOM is removed once; nothing is looked ahead after a CR.
 */

#ifndef LLM_SSE_H
#define LLM_SSE_H

#include "llm_wire.h"


/*
 * One event.  All slices live until the next call of llm_sse_next() or
 * until the input is gone.  An event without data is never handed out.
 *
 * raw: the block's lines, field lines only (comments left out), from the
 * first byte of the first line through the end of its last line, without
 * the blank line that ends it.  Every byte is as it came when `cr` is 0;
 * when `cr` is 1 some lines end in CR or CRLF and llm_sse_write_raw()
 * writes them with LF.
 */
typedef struct {
    llm_slice_t     raw;
    llm_slice_t     data;       /* lines joined with LF */
    llm_slice_t     type;       /* value of the last event: line; absent
                                   also when that is empty */
    llm_slice_t     id;         /* last event ID at dispatch (persists);
                                   absent also when it is empty */
    int64_t         retry;      /* valid retry: of this block, or -1 */
    unsigned        cr:1;
    unsigned        in_input:1; /* raw lies in the caller's input bytes and
                                   is followed there by one LF (so raw.n + 1
                                   bytes can be passed on as they are) */
} llm_sse_event_t;

typedef struct llm_sse_s  llm_sse_t;   /* below; treat as opaque */

/*
 * max: bytes of one event's lines, each with its end counted as one byte,
 * comments and the blank line excluded; above: LLM_TOO_BIG, wherever the
 * input was cut.
 */
void llm_sse_init(llm_sse_t *s, const llm_alloc_t *a, size_t max);
void llm_sse_free(llm_sse_t *s);

/* Gives the framer the next n bytes.  They must stay until
 * llm_sse_next() has returned LLM_AGAIN. */
void llm_sse_feed(llm_sse_t *s, const llm_u8 *p, size_t n);

/*
 * LLM_OK: *ev is the next event.  LLM_AGAIN: input used up (what is left of
 * an event was copied to carry).  LLM_TOO_BIG, LLM_NOMEM: final.
 * Comments are counted in s->comments, never stored.
 */
llm_rc_t llm_sse_next(llm_sse_t *s, llm_sse_event_t *ev);

/*
 * At the end of the stream, after LLM_AGAIN: LLM_OK and *ev when an event
 * lacks only its final blank line (its last data: line was complete, with or
 * without its line end, as some providers really end); LLM_DONE when nothing
 * is left.  The caller decides whether such an event counts.  A last line
 * without its end that is not data is left out of it, as it may be cut; the
 * event's own id is shown but not committed.  LLM_TOO_BIG, LLM_NOMEM as
 * llm_sse_next().
 */
llm_rc_t llm_sse_finish(llm_sse_t *s, llm_sse_event_t *ev);

/* Writes the block with LF line ends and the closing blank line. */
void llm_sse_write_raw(llm_out_t *out, const llm_sse_event_t *ev);


struct llm_sse_s {
    llm_alloc_t     alloc;
    size_t          max;
    llm_block_t     carry;
    llm_block_t     last_id;    /* last event ID string */
    uint64_t        comments;
    int64_t         reconnection;   /* last valid retry:, or -1 */
    unsigned        error_lines;    /* set by the caller, 0 at first: a line
                                       "error: ..." is data of type "error",
                                       as llama.cpp sent it */
    /* private */
    const llm_u8   *p;              /* next byte of the input */
    const llm_u8   *end;
    const llm_u8   *lf;             /* next LF, CR in the input; end: none */
    const llm_u8   *cr;
    const llm_u8   *block;          /* the block's start in the input */
    llm_block_t     joined;         /* data of several lines */
    size_t          size;           /* the block so far, line ends as LF */
    size_t          line;           /* start of the cut line in carry */
    size_t          data_lines;
    size_t          data_off;       /* offsets are from the block's start */
    size_t          data_n;
    size_t          type_off;
    size_t          type_n;
    size_t          id_off;
    size_t          id_n;
    int64_t         retry;
    llm_rc_t        failed;
    unsigned        pending;        /* what the last input left open */
    unsigned        bom;            /* its bytes seen so far */
    unsigned        has_id;
    unsigned        has_cr;
    unsigned        gathered;       /* the block lies in carry */
    unsigned        handed;         /* the event was handed out */
};


#endif /* LLM_SSE_H */
