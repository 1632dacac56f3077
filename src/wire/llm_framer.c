/*
 * One interface over the framings.  It owns nothing but the one that is in
 * use; it must never copy a frame.
 */

#include "llm_framer.h"


void
llm_framer_init(llm_framer_t *f, llm_framing_t framing, const llm_alloc_t *a,
    size_t max)
{
    f->framing = framing;

    switch (framing) {

    case LLM_FRAMING_NDJSON:
        llm_ndjson_init(&f->ndjson, a, max);
        break;

    case LLM_FRAMING_ARRAY:
        llm_array_init(&f->array, a, max);
        break;

    default:
        f->framing = LLM_FRAMING_SSE;
        llm_sse_init(&f->sse, a, max);
    }
}


void
llm_framer_free(llm_framer_t *f)
{
    switch (f->framing) {

    case LLM_FRAMING_NDJSON:
        llm_ndjson_free(&f->ndjson);
        break;

    case LLM_FRAMING_ARRAY:
        llm_array_free(&f->array);
        break;

    default:
        llm_sse_free(&f->sse);
    }
}


void
llm_framer_feed_other(llm_framer_t *f, const llm_u8 *p, size_t n)
{
    if (f->framing == LLM_FRAMING_ARRAY) {
        llm_array_feed(&f->array, p, n);

    } else {
        llm_ndjson_feed(&f->ndjson, p, n);
    }
}


/* What a line or an element has not. */
static void
llm_framer_plain(llm_framed_t *framed)
{
    framed->raw = framed->data;
    framed->type = llm_slice_null;
    framed->id = llm_slice_null;
    framed->retry = -1;
    framed->cr = 0;
    framed->in_input = 0;
}


llm_rc_t
llm_framer_next_other(llm_framer_t *f, llm_framed_t *framed)
{
    llm_rc_t  rc;

    if (f->framing == LLM_FRAMING_ARRAY) {
        rc = llm_array_next(&f->array, &framed->data);

    } else {
        rc = llm_ndjson_next(&f->ndjson, &framed->data);
    }

    if (rc != LLM_OK) {
        return rc;
    }

    llm_framer_plain(framed);

    /* a line in the input is followed there by a LF at least */

    framed->in_input = f->framing == LLM_FRAMING_NDJSON && !f->ndjson.handed
                       && framed->raw.p[framed->raw.n] == '\n';

    return LLM_OK;
}


llm_rc_t
llm_framer_finish(llm_framer_t *f, llm_framed_t *framed)
{
    llm_rc_t  rc;

    switch (f->framing) {

    case LLM_FRAMING_NDJSON:
        rc = llm_ndjson_finish(&f->ndjson, &framed->data);
        break;

    case LLM_FRAMING_ARRAY:
        return llm_array_finish(&f->array);

    default:
        return llm_sse_finish(&f->sse, framed);
    }

    if (rc == LLM_OK) {
        llm_framer_plain(framed);
    }

    return rc;
}


int
llm_framer_cut(const llm_framer_t *f)
{
    return f->framing == LLM_FRAMING_ARRAY && llm_array_cut(&f->array);
}


void
llm_framer_write_raw(const llm_framer_t *f, llm_out_t *out,
    const llm_framed_t *framed)
{
    switch (f->framing) {

    case LLM_FRAMING_NDJSON:
        llm_out(out, framed->raw.p, framed->raw.n);
        llm_out_lit(out, "\n");
        break;

    case LLM_FRAMING_ARRAY:
        llm_out(out, framed->raw.p, framed->raw.n);
        break;

    default:
        llm_sse_write_raw(out, framed);
    }
}
