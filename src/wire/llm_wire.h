/*
 * Basic types of the wire library: slices, the caller's allocator, and the
 * output that every encoder writes to.
 *
 * Everything in src/wire is pure C11: no nginx header, no global state, no
 * allocation of its own.  Sizes are bytes.  A slice borrows: whoever hands
 * one out says how long its bytes live.
 */

#ifndef LLM_WIRE_H
#define LLM_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>


typedef unsigned char  llm_u8;

/* LLM_AGAIN: not finished, no fault.  LLM_NOMEM: the allocator said no. */
typedef enum {
    LLM_OK = 0,
    LLM_AGAIN,
    LLM_DONE,
    LLM_INVALID,
    LLM_TOO_BIG,
    LLM_TOO_DEEP,
    LLM_NOMEM,
    LLM_FAILED                  /* a fault was recorded by the callee */
} llm_rc_t;

/*
 * escaped: the bytes are the inside of a JSON string, still escaped and
 * already checked by the scanner; they can be copied between two quotes.
 * Otherwise the bytes are characters (UTF-8).  p == NULL: absent.
 */
typedef struct {
    const llm_u8  *p;
    size_t         n;
    unsigned       escaped;
} llm_slice_t;

#define llm_slice(lit)       ((llm_slice_t) { (const llm_u8 *) (lit),       \
                                              sizeof(lit) - 1, 0 })
#define llm_slice_null       ((llm_slice_t) { NULL, 0, 0 })

/* of a table's row */
#define llm_str(lit)         { (const llm_u8 *) (lit), sizeof(lit) - 1, 0 }


/*
 * The caller's allocator.  resize(ctx, NULL, 0, n) allocates,
 * resize(ctx, p, old, n) moves and grows, resize(ctx, p, old, 0) frees and
 * returns NULL.  A NULL return with n != 0 means "no memory".
 */
typedef struct {
    void          *(*resize)(void *ctx, void *p, size_t old, size_t n);
    void          *ctx;
} llm_alloc_t;


/* A growing block of memory, e.g. an event that came in pieces. */
typedef struct {
    llm_u8        *p;
    size_t         n;
    size_t         cap;
} llm_block_t;

/* Makes room for `need` bytes after the b->n that are there. */
llm_rc_t llm_block_reserve(llm_block_t *b, const llm_alloc_t *a,
    size_t need);
llm_rc_t llm_block_append(llm_block_t *b, const llm_alloc_t *a,
    const void *p, size_t n);
void llm_block_free(llm_block_t *b, const llm_alloc_t *a);

/* Frees a block whose bytes nobody needs, if it is larger than `keep`. */
static inline void
llm_block_trim(llm_block_t *b, const llm_alloc_t *a, size_t keep)
{
    if (b->cap > keep) {
        llm_block_free(b, a);
    }
}


/*
 * Where encoders write.  [pos, end) is free room owned by the sink; when it
 * is used up, more() publishes what was written and gives at least one byte
 * of new room, or fails.  After a failure `failed` stays set and all further
 * writes are ignored, so that an encoder needs no check per write.
 */
typedef struct llm_out_s  llm_out_t;

struct llm_out_s {
    llm_u8        *pos;
    llm_u8        *end;
    llm_rc_t     (*more)(llm_out_t *out);
    void          *ctx;
    unsigned       failed;
};

void llm_out_slow(llm_out_t *out, const void *p, size_t n);

static inline void
llm_out(llm_out_t *out, const void *p, size_t n)
{
    if ((size_t) (out->end - out->pos) >= n) {
        memcpy(out->pos, p, n);
        out->pos += n;
        return;
    }

    llm_out_slow(out, p, n);
}

#define llm_out_lit(out, lit)  llm_out(out, lit, sizeof(lit) - 1)


/* An output that grows a block; open it, write to bo.out, close it.  It must
 * stay where it is in between.  LLM_OK or LLM_NOMEM. */
typedef struct {
    llm_out_t            out;
    llm_block_t         *block;
    const llm_alloc_t   *alloc;
} llm_block_out_t;

llm_rc_t llm_block_out_open(llm_block_out_t *bo, llm_block_t *b,
    const llm_alloc_t *a);
llm_rc_t llm_block_out_close(llm_block_out_t *bo);


#endif /* LLM_WIRE_H */
