/*
 * OpenAI Responses: deltas that repeat.  They differ in their text, their
 * sequence_number and their padding; a frame that has the same bytes around
 * these three is the same valid document with other values in it.  It must
 * never accept a byte that was not compared, or checked to be part of a JSON
 * string, or a digit of a JSON number.
 */

#include "llm_responses.h"


typedef struct {
    llm_slice_t           s;
    llm_responses_hole_t  hole;
} llm_responses_place_t;


/* Puts a place where it belongs by its address. */
static void
llm_responses_place(llm_responses_place_t *list, unsigned *n,
    const llm_slice_t *s, llm_responses_hole_t hole)
{
    unsigned  i;

    if (s->p == NULL) {
        return;
    }

    for (i = (*n)++; i != 0 && list[i - 1].s.p > s->p; i--) {
        list[i] = list[i - 1];
    }

    list[i].s = *s;
    list[i].hole = hole;
}


/* Copies what is around the places. */
static void
llm_responses_keep(llm_responses_repeat_t *r, const llm_slice_t *data,
    const llm_responses_place_t *list, unsigned n)
{
    size_t         len, used;
    unsigned       i;
    const llm_u8  *p, *end;

    p = data->p;
    used = 0;

    for (i = 0; i <= n; i++) {
        end = i < n ? list[i].s.p : data->p + data->n;
        len = (size_t) (end - p);

        if (len > LLM_REPEAT_MAX - used) {
            return;
        }

        memcpy(r->bytes + used, p, len);
        used += len;
        r->cut[i] = (unsigned) used;

        if (i < n) {
            r->hole[i] = list[i].hole;
            p = list[i].s.p + list[i].s.n;
        }
    }

    r->holes = n;
}


void
llm_responses_learn(llm_responses_frame_t *f, llm_responses_type_t type)
{
    unsigned                 n;
    llm_responses_state_t   *s;
    llm_responses_place_t    list[LLM_RESPONSES_HOLES];
    llm_responses_repeat_t  *r;

    s = f->d->state;
    r = &s->repeat;

    if (f->delta.n == 0 || f->logprobs.n > 2
        || (type != LLM_RESPONSES_TEXT_DELTA
            && type != LLM_RESPONSES_SUMMARY_DELTA
            && type != LLM_RESPONSES_THOUGHT_DELTA)
        || (f->number.p != NULL && llm_json_uint(&f->number) < 0))
    {
        return;
    }

    n = 0;
    llm_responses_place(list, &n, &f->delta, LLM_RESPONSES_HOLE_TEXT);
    llm_responses_place(list, &n, &f->padding, LLM_RESPONSES_HOLE_PADDING);
    llm_responses_place(list, &n, &f->number, LLM_RESPONSES_HOLE_NUMBER);

    r->holes = 0;
    r->type = type == LLM_RESPONSES_TEXT_DELTA ? LLM_EV_TEXT
                                               : LLM_EV_REASONING;
    r->kind = type == LLM_RESPONSES_TEXT_DELTA ? LLM_RESPONSES_MESSAGE
                                               : LLM_RESPONSES_REASONING;
    r->at = s->last;

    llm_responses_keep(r, &f->frame->data, list, n);
}


/* Passes over what is in a hole; 0: it is something else. */
static inline int
llm_responses_fill(llm_responses_hole_t hole, const llm_u8 **p,
    const llm_u8 *last, llm_slice_t *text)
{
    int64_t        number;
    const llm_u8  *end;

    if (hole == LLM_RESPONSES_HOLE_NUMBER) {
        return llm_repeat_count(p, last, &number);
    }

    end = llm_repeat_text(*p, last);

    if (end == NULL) {
        return 0;
    }

    if (hole == LLM_RESPONSES_HOLE_TEXT) {
        text->p = *p;
        text->n = (size_t) (end - *p);
        text->escaped = 1;
    }

    *p = end;

    return 1;
}


int
llm_responses_match(llm_responses_state_t *s, const llm_slice_t *data,
    llm_slice_t *text)
{
    size_t                         len;
    unsigned                       i, from;
    const llm_u8                  *p, *last;
    llm_responses_seen_t          *seen;
    const llm_responses_repeat_t  *r;

    r = &s->repeat;

    if (r->holes == 0) {
        return 0;
    }

    p = data->p;
    last = p + data->n;
    from = 0;

    for (i = 0; i <= r->holes; i++) {
        len = r->cut[i] - from;

        if ((size_t) (last - p) < len
            || memcmp(p, r->bytes + from, len) != 0)
        {
            return 0;
        }

        from = r->cut[i];
        p += len;

        if (i < r->holes && !llm_responses_fill(r->hole[i], &p, last, text)) {
            return 0;
        }
    }

    /* an empty text is left to the decoder */

    if (p != last || text->n == 0) {
        return 0;
    }

    seen = (llm_responses_seen_t *) (void *) s->items.p;
    seen[r->at].kind = r->kind;
    s->last = r->at;

    return 1;
}
