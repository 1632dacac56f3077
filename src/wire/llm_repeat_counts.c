/*
 * Frames that repeat but for their text and their counts: see
 * llm_repeat_counts.h.  It must never accept a byte that was not compared, or
 * checked to be part of a JSON string, or a digit of a JSON number.
 */

#include "llm_repeat_counts.h"


/* digits that an int64_t surely holds */
#define LLM_REPEAT_DIGITS  18


void
llm_repeat_counts_learn(llm_repeat_counts_t *r, const llm_slice_t *data,
    const llm_event_t *ev, const llm_slice_t *counts, unsigned n)
{
    size_t         head, rest, len;
    unsigned       i;
    llm_u8        *to;
    const llm_u8  *p, *last;

    r->head = 0;

    last = data->p + data->n;
    p = ev->text.p + ev->text.n;
    head = (size_t) (ev->text.p - data->p);
    rest = (size_t) (last - p);

    if (n > LLM_REPEAT_COUNTS || head > LLM_REPEAT_MAX
        || rest > LLM_REPEAT_MAX - head)
    {
        return;
    }

    memcpy(r->bytes, data->p, head);
    to = r->bytes + head;

    for (i = 0; i < n; i++) {
        if (counts[i].p < p) {
            return;
        }

        len = (size_t) (counts[i].p - p);
        memcpy(to, p, len);
        to += len;
        r->cut[i] = (unsigned) (to - r->bytes - head);
        p = counts[i].p + counts[i].n;
    }

    len = (size_t) (last - p);
    memcpy(to, p, len);
    to += len;

    r->cut[n] = (unsigned) (to - r->bytes - head);
    r->type = ev->type;
    r->choice = ev->choice;
    r->counts = n;
    r->head = (unsigned) head;
}


int
llm_repeat_count(const llm_u8 **p, const llm_u8 *last, int64_t *value)
{
    int64_t        v;
    const llm_u8  *at, *end;

    at = *p;
    end = last - at > LLM_REPEAT_DIGITS ? at + LLM_REPEAT_DIGITS : last;
    v = 0;

    while (at < end && (unsigned) (*at - '0') <= 9) {
        v = v * 10 + (*at++ - '0');
    }

    /* no digit, a leading zero, or too many digits (the bytes that follow
     * were learned, and begin with none) */

    if (at == *p || (**p == '0' && at != *p + 1)) {
        return 0;
    }

    *p = at;
    *value = v;

    return 1;
}


int
llm_repeat_counts_match(const llm_repeat_counts_t *r,
    const llm_slice_t *data, llm_slice_t *text, int64_t *values)
{
    size_t         len;
    unsigned       i, from;
    const llm_u8  *p, *last, *bytes;

    if (r->head == 0 || data->n < r->head + r->cut[r->counts]
        || memcmp(data->p, r->bytes, r->head) != 0)
    {
        return 0;
    }

    last = data->p + data->n;
    bytes = r->bytes + r->head;

    text->p = data->p + r->head;
    text->escaped = 1;

    p = llm_repeat_text(text->p, last);

    if (p == NULL || p == text->p) {
        return 0;
    }

    text->n = (size_t) (p - text->p);
    from = 0;

    for (i = 0; i <= r->counts; i++) {
        len = r->cut[i] - from;

        if ((size_t) (last - p) < len || memcmp(p, bytes + from, len) != 0) {
            return 0;
        }

        from = r->cut[i];
        p += len;

        if (i < r->counts && !llm_repeat_count(&p, last, &values[i])) {
            return 0;
        }
    }

    return p == last;
}
