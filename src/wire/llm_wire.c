/*
 * The growing block and the slow half of the output.  It must never touch
 * memory but through the caller's allocator and sink.
 */

#include "llm_wire.h"


#define LLM_BLOCK_MIN  256


llm_rc_t
llm_block_reserve(llm_block_t *b, const llm_alloc_t *a, size_t need)
{
    void    *p;
    size_t   cap;

    if (need <= b->cap - b->n) {
        return LLM_OK;
    }

    if (need > SIZE_MAX - b->n) {
        return LLM_NOMEM;
    }

    need += b->n;
    cap = b->cap < LLM_BLOCK_MIN ? LLM_BLOCK_MIN : b->cap;

    /* doubling keeps a block that grows byte by byte linear in time */

    while (cap < need) {
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    }

    p = a->resize(a->ctx, b->p, b->cap, cap);
    if (p == NULL) {
        return LLM_NOMEM;
    }

    b->p = p;
    b->cap = cap;

    return LLM_OK;
}


llm_rc_t
llm_block_append(llm_block_t *b, const llm_alloc_t *a, const void *p,
    size_t n)
{
    llm_rc_t  rc;

    if (n == 0) {
        return LLM_OK;
    }

    rc = llm_block_reserve(b, a, n);
    if (rc != LLM_OK) {
        return rc;
    }

    memcpy(b->p + b->n, p, n);
    b->n += n;

    return LLM_OK;
}


void
llm_block_free(llm_block_t *b, const llm_alloc_t *a)
{
    if (b->p != NULL) {
        (void) a->resize(a->ctx, b->p, b->cap, 0);
    }

    b->p = NULL;
    b->n = 0;
    b->cap = 0;
}


void
llm_out_slow(llm_out_t *out, const void *p, size_t n)
{
    size_t         room;
    const llm_u8  *src;

    src = p;

    while (n != 0 && !out->failed) {
        room = (size_t) (out->end - out->pos);

        if (room == 0) {
            if (out->more(out) != LLM_OK || out->end <= out->pos) {
                out->failed = 1;
            }

            continue;
        }

        if (room > n) {
            room = n;
        }

        memcpy(out->pos, src, room);
        out->pos += room;
        src += room;
        n -= room;
    }

    if (out->failed) {

        /* no room is left to llm_out(): what follows is ignored as well */

        out->end = out->pos;
    }
}


static llm_rc_t
llm_block_out_more(llm_out_t *out)
{
    llm_rc_t          rc;
    llm_block_out_t  *bo;

    bo = out->ctx;
    bo->block->n = (size_t) (out->pos - bo->block->p);

    rc = llm_block_reserve(bo->block, bo->alloc, 64);
    if (rc != LLM_OK) {
        return rc;
    }

    out->pos = bo->block->p + bo->block->n;
    out->end = bo->block->p + bo->block->cap;

    return LLM_OK;
}


llm_rc_t
llm_block_out_open(llm_block_out_t *bo, llm_block_t *b, const llm_alloc_t *a)
{
    llm_rc_t  rc;

    rc = llm_block_reserve(b, a, 64);
    if (rc != LLM_OK) {
        return rc;
    }

    bo->block = b;
    bo->alloc = a;
    bo->out.pos = b->p + b->n;
    bo->out.end = b->p + b->cap;
    bo->out.more = llm_block_out_more;
    bo->out.ctx = bo;
    bo->out.failed = 0;

    return LLM_OK;
}


llm_rc_t
llm_block_out_close(llm_block_out_t *bo)
{
    if (bo->out.failed) {
        return LLM_NOMEM;
    }

    bo->block->n = (size_t) (bo->out.pos - bo->block->p);

    return LLM_OK;
}
