/*
 * The body for a mere prompt, as OpenAI's clients would send it.  It must
 * never let a byte through that is not UTF-8.
 */

#include "llm_request.h"
#include "llm_utf8.h"
#include "llm_write.h"


/* Characters as the inside of a JSON string. */
static llm_rc_t
llm_prompt_text(llm_out_t *out, const llm_alloc_t *a, const llm_slice_t *s)
{
    llm_rc_t     rc;
    llm_block_t  good;

    if (!(llm_utf8_check(s->p, s->n) & LLM_UTF8_INVALID)) {
        llm_write_escaped(out, s->p, s->n);
        return LLM_OK;
    }

    memset(&good, 0, sizeof(llm_block_t));

    rc = llm_utf8_repair(&good, a, s->p, s->n);

    if (rc == LLM_OK) {
        llm_write_escaped(out, good.p, good.n);
    }

    llm_block_free(&good, a);

    return rc;
}


llm_rc_t
llm_request_prompt(llm_block_t *b, const llm_alloc_t *a,
    const llm_slice_t *system, const llm_slice_t *prompt)
{
    size_t           was;
    llm_rc_t         rc, closed;
    llm_block_out_t  bo;

    was = b->n;

    rc = llm_block_out_open(&bo, b, a);
    if (rc != LLM_OK) {
        return rc;
    }

    llm_out_lit(&bo.out, "{\"messages\":[");

    if (system->n != 0) {
        llm_out_lit(&bo.out, "{\"role\":\"system\",\"content\":\"");
        rc = llm_prompt_text(&bo.out, a, system);
        llm_out_lit(&bo.out, "\"},");
    }

    if (rc == LLM_OK) {
        llm_out_lit(&bo.out, "{\"role\":\"user\",\"content\":\"");
        rc = llm_prompt_text(&bo.out, a, prompt);
        llm_out_lit(&bo.out, "\"}]}");
    }

    closed = llm_block_out_close(&bo);

    if (rc == LLM_OK) {
        rc = closed;
    }

    if (rc != LLM_OK) {
        b->n = was;
    }

    return rc;
}
