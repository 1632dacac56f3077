/*
 * A rope: a body put together of pieces, some of which are bytes of its own
 * and some refer to bytes elsewhere (the client's body), so that what is
 * large is never copied.  Pieces are in the order in which they go out.
 */

#ifndef LLM_ROPE_H
#define LLM_ROPE_H

#include "llm_request.h"


/* slices of at least this many bytes are referred to, smaller ones copied */
#define LLM_ROPE_SPLICE  1024

/* p == NULL: n bytes at offset `at` of the rope's text */
typedef struct {
    const llm_u8   *p;
    size_t          at;
    size_t          n;
} llm_rope_piece_t;

typedef struct llm_rope_s  llm_rope_t;

struct llm_rope_s {
    llm_out_t       out;        /* writes to the end of the rope */
    llm_alloc_t     alloc;
    llm_block_t     text;
    llm_block_t     pieces;     /* llm_rope_piece_t */
    size_t          done;       /* bytes of text that pieces refer to */
    llm_rc_t        rc;         /* LLM_NOMEM, final */
};

#define llm_rope_pieces(r)   ((llm_rope_piece_t *) (void *) (r)->pieces.p)
#define llm_rope_npieces(r)  ((r)->pieces.n / sizeof(llm_rope_piece_t))

/* r must stay where it is from then on: its output refers to it. */
void llm_rope_init(llm_rope_t *r, const llm_alloc_t *a);
void llm_rope_free(llm_rope_t *r);

/* Puts n bytes at the end that must outlive the rope; small ones are
 * copied. */
void llm_rope_put(llm_rope_t *r, const llm_u8 *p, size_t n);

/*
 * n bytes of room at the end, for what is not known to be kept before it was
 * made: r->out.pos is moved by the caller when it is.  NULL: no memory.
 */
llm_u8 *llm_rope_room(llm_rope_t *r, size_t n);

/* To be called once when all was written, before pieces are read.  LLM_OK or
 * LLM_NOMEM. */
llm_rc_t llm_rope_end(llm_rope_t *r);

/* Length of the whole. */
size_t llm_rope_length(const llm_rope_t *r);

/* The bytes of a piece. */
const llm_u8 *llm_rope_bytes(const llm_rope_t *r, size_t i);


#endif /* LLM_ROPE_H */
