/*
 * The NDJSON framer.  It owns the line that is cut between two inputs,
 * nothing else.  It must never track quotes: a raw LF always ends a record,
 * or a fault of the sender would hide the records after it.
 */

#include "llm_ndjson.h"


/* s->bom: how much of a byte order mark was seen, LLM_NDJSON_PAST: over */
#define LLM_NDJSON_PAST  3

/* memory above this is given back after the record that needed it */
#define LLM_NDJSON_KEEP  65536


static const llm_u8  llm_ndjson_bom[3] = { 0xef, 0xbb, 0xbf };


static inline int
llm_ndjson_space(llm_u8 c)
{
    return c == ' ' || c == '\t' || c == '\r';
}


void
llm_ndjson_init(llm_ndjson_t *s, const llm_alloc_t *a, size_t max)
{
    memset(s, 0, sizeof(llm_ndjson_t));

    s->alloc = *a;
    s->max = max;
}


void
llm_ndjson_free(llm_ndjson_t *s)
{
    llm_block_free(&s->carry, &s->alloc);
}


void
llm_ndjson_feed(llm_ndjson_t *s, const llm_u8 *p, size_t n)
{
    s->p = p;
    s->end = n != 0 ? p + n : p;
}


/* Hands out [p, end), which starts with no space, without those at its end. */
static void
llm_ndjson_trim(llm_slice_t *record, const llm_u8 *p, const llm_u8 *end)
{
    while (llm_ndjson_space(end[-1])) {
        end--;
    }

    record->p = p;
    record->n = (size_t) (end - p);
    record->escaped = 0;
}


/* Forgets a carried record that was handed out. */
static inline void
llm_ndjson_reset(llm_ndjson_t *s)
{
    if (!s->handed) {
        return;
    }

    s->handed = 0;
    s->carry.n = 0;

    llm_block_trim(&s->carry, &s->alloc, LLM_NDJSON_KEEP);
}


/* Adds input to the line in carry. */
static llm_rc_t
llm_ndjson_carry(llm_ndjson_t *s, const llm_u8 *p, size_t n)
{
    if (n > s->max - s->carry.n) {
        return LLM_TOO_BIG;
    }

    return llm_block_append(&s->carry, &s->alloc, p, n);
}


/* Goes over a byte order mark at the start of the stream. */
static llm_rc_t
llm_ndjson_start(llm_ndjson_t *s)
{
    unsigned  n;

    while (s->p != s->end && s->bom < 3 && *s->p == llm_ndjson_bom[s->bom]) {
        s->p++;
        s->bom++;
    }

    if (s->bom == LLM_NDJSON_PAST) {
        return LLM_OK;
    }

    if (s->p == s->end) {
        return LLM_AGAIN;
    }

    /* it was none: its bytes begin the first line */

    n = s->bom;
    s->bom = LLM_NDJSON_PAST;

    return llm_ndjson_carry(s, llm_ndjson_bom, n);
}


static llm_rc_t
llm_ndjson_line(llm_ndjson_t *s, llm_slice_t *record)
{
    size_t         n;
    llm_rc_t       rc;
    const llm_u8  *p, *eol;

    p = s->p;

    if (s->carry.n == 0) {
        while (p != s->end && (*p == '\n' || llm_ndjson_space(*p))) {
            p++;
        }
    }

    s->p = s->end;

    if (p == s->end) {
        return LLM_AGAIN;
    }

    eol = memchr(p, '\n', (size_t) (s->end - p));
    n = (size_t) ((eol != NULL ? eol : s->end) - p);

    if (eol != NULL && s->carry.n == 0) {

        if (n > s->max) {
            return LLM_TOO_BIG;
        }

        s->p = eol + 1;
        llm_ndjson_trim(record, p, eol);

        return LLM_OK;
    }

    rc = llm_ndjson_carry(s, p, n);

    if (rc != LLM_OK) {
        return rc;
    }

    if (eol == NULL) {
        return LLM_AGAIN;
    }

    s->p = eol + 1;
    s->handed = 1;
    llm_ndjson_trim(record, s->carry.p, s->carry.p + s->carry.n);

    return LLM_OK;
}


llm_rc_t
llm_ndjson_next(llm_ndjson_t *s, llm_slice_t *record)
{
    llm_rc_t  rc;

    if (s->failed) {
        return s->failed;
    }

    llm_ndjson_reset(s);

    rc = s->bom == LLM_NDJSON_PAST ? LLM_OK : llm_ndjson_start(s);

    if (rc == LLM_OK) {
        rc = llm_ndjson_line(s, record);
    }

    if (rc != LLM_OK && rc != LLM_AGAIN) {
        s->failed = rc;
    }

    return rc;
}


llm_rc_t
llm_ndjson_finish(llm_ndjson_t *s, llm_slice_t *record)
{
    llm_rc_t  rc;
    unsigned  n;

    if (s->failed) {
        return s->failed;
    }

    llm_ndjson_reset(s);

    if (s->bom != LLM_NDJSON_PAST) {
        n = s->bom;
        s->bom = LLM_NDJSON_PAST;

        rc = llm_ndjson_carry(s, llm_ndjson_bom, n);
        if (rc != LLM_OK) {
            s->failed = rc;
            return rc;
        }
    }

    if (s->carry.n == 0) {
        return LLM_DONE;
    }

    s->handed = 1;
    llm_ndjson_trim(record, s->carry.p, s->carry.p + s->carry.n);

    return LLM_OK;
}
