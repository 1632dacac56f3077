/*
 * The rope: bytes written one after the other, and slices that are referred
 * to between them.  It must never copy a slice of LLM_ROPE_SPLICE bytes or
 * more, nor lose the order in which things came.
 */

#include "llm_rope.h"


/* Room that the text must always have when it grows. */
#define LLM_ROPE_ROOM  64


/* The text ends where the output stands; before the first byte is written
 * there is no text. */
static void
llm_rope_sync(llm_rope_t *r)
{
    if (r->text.p != NULL) {
        r->text.n = (size_t) (r->out.pos - r->text.p);
    }
}


static void
llm_rope_fail(llm_rope_t *r)
{
    r->rc = LLM_NOMEM;
    r->out.failed = 1;
    r->out.end = r->out.pos;
}


static llm_rc_t
llm_rope_grow(llm_rope_t *r, size_t n)
{
    llm_rc_t  rc;

    llm_rope_sync(r);

    rc = llm_block_reserve(&r->text, &r->alloc, n);
    if (rc != LLM_OK) {
        llm_rope_fail(r);
        return rc;
    }

    r->out.pos = r->text.p + r->text.n;
    r->out.end = r->text.p + r->text.cap;

    return LLM_OK;
}


static llm_rc_t
llm_rope_more(llm_out_t *out)
{
    return llm_rope_grow(out->ctx, LLM_ROPE_ROOM);
}


static void
llm_rope_piece(llm_rope_t *r, const llm_u8 *p, size_t at, size_t n)
{
    llm_rope_piece_t  piece;

    piece.p = p;
    piece.at = at;
    piece.n = n;

    if (llm_block_append(&r->pieces, &r->alloc, &piece, sizeof(piece))
        != LLM_OK)
    {
        llm_rope_fail(r);
    }
}


/* Makes a piece of the text that none refers to. */
static void
llm_rope_flush(llm_rope_t *r)
{
    llm_rope_sync(r);

    if (r->text.n != r->done) {
        llm_rope_piece(r, NULL, r->done, r->text.n - r->done);
        r->done = r->text.n;
    }
}


void
llm_rope_init(llm_rope_t *r, const llm_alloc_t *a)
{
    memset(r, 0, sizeof(llm_rope_t));

    r->alloc = *a;
    r->out.more = llm_rope_more;
    r->out.ctx = r;

    /* no room, at an address that is one: llm_out() copies nothing there */

    r->out.pos = (llm_u8 *) r;
    r->out.end = r->out.pos;
}


void
llm_rope_free(llm_rope_t *r)
{
    llm_block_free(&r->text, &r->alloc);
    llm_block_free(&r->pieces, &r->alloc);

    r->done = 0;
    r->out.pos = (llm_u8 *) r;
    r->out.end = r->out.pos;
}


void
llm_rope_put(llm_rope_t *r, const llm_u8 *p, size_t n)
{
    if (n < LLM_ROPE_SPLICE) {
        llm_out(&r->out, n != 0 ? (const void *) p : "", n);
        return;
    }

    if (r->out.failed) {
        return;
    }

    llm_rope_flush(r);
    llm_rope_piece(r, p, 0, n);
}


llm_u8 *
llm_rope_room(llm_rope_t *r, size_t n)
{
    if (r->out.failed) {
        return NULL;
    }

    if ((size_t) (r->out.end - r->out.pos) < n || r->text.p == NULL) {
        if (llm_rope_grow(r, n) != LLM_OK) {
            return NULL;
        }
    }

    return r->out.pos;
}


llm_rc_t
llm_rope_end(llm_rope_t *r)
{
    if (!r->out.failed) {
        llm_rope_flush(r);
    }

    if (r->out.failed) {
        r->rc = LLM_NOMEM;
    }

    return r->rc;
}


size_t
llm_rope_length(const llm_rope_t *r)
{
    size_t                   i, n;
    const llm_rope_piece_t  *piece;

    piece = llm_rope_pieces(r);
    n = 0;

    for (i = 0; i < llm_rope_npieces(r); i++) {
        n += piece[i].n;
    }

    return n;
}


const llm_u8 *
llm_rope_bytes(const llm_rope_t *r, size_t i)
{
    const llm_rope_piece_t  *piece;

    piece = &llm_rope_pieces(r)[i];

    return piece->p != NULL ? piece->p : r->text.p + piece->at;
}
