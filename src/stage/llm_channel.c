/*
 * The texts of an answer.  A piece of text is decoded once, here; a stage
 * never sees an escape, nor half a character.
 */

#include "llm_channel.h"
#include "llm_json.h"


#define llm_channel_list(cs)  ((llm_channel_t **) (void *) (cs)->list.p)
#define llm_channel_n(cs)     ((cs)->list.n / sizeof(llm_channel_t *))


void
llm_channels_init(llm_channels_t *cs, size_t size)
{
    memset(cs, 0, sizeof(llm_channels_t));

    cs->size = size;
}


llm_channel_t *
llm_channel_at(const llm_channels_t *cs, size_t i)
{
    return i < llm_channel_n(cs) ? llm_channel_list(cs)[i] : NULL;
}


static llm_rc_t
llm_channel_create(llm_channels_t *cs, const llm_alloc_t *a,
    llm_channel_t **c)
{
    llm_rc_t        rc;
    llm_channel_t  *new;

    if (llm_channel_n(cs) == LLM_CHANNELS_MAX) {
        return LLM_TOO_BIG;
    }

    new = a->resize(a->ctx, NULL, 0, cs->size);
    if (new == NULL) {
        return LLM_NOMEM;
    }

    memset(new, 0, cs->size);

    rc = llm_block_append(&cs->list, a, &new, sizeof(llm_channel_t *));
    if (rc != LLM_OK) {
        (void) a->resize(a->ctx, new, cs->size, 0);
        return rc;
    }

    *c = new;

    return LLM_OK;
}


llm_rc_t
llm_channel_find(llm_channels_t *cs, const llm_alloc_t *a,
    const llm_event_t *ev, llm_channel_t **c)
{
    size_t           i;
    llm_rc_t         rc;
    unsigned         tool;
    llm_channel_t  **list;

    list = llm_channel_list(cs);
    tool = ev->type == LLM_EV_TOOL_CALL ? ev->tool_index : 0;

    /* the latest is the likeliest */

    for (i = llm_channel_n(cs); i > 0; i--) {
        *c = list[i - 1];

        if ((*c)->type == ev->type && (*c)->choice == ev->choice
            && (*c)->tool_index == tool)
        {
            return LLM_OK;
        }
    }

    rc = llm_channel_create(cs, a, c);

    if (rc == LLM_OK) {
        (*c)->type = ev->type;
        (*c)->choice = ev->choice;
        (*c)->tool_index = tool;
    }

    return rc;
}


void
llm_channels_free(llm_channels_t *cs, const llm_alloc_t *a)
{
    size_t          i;
    llm_channel_t  *c;

    for (i = 0; (c = llm_channel_at(cs, i)) != NULL; i++) {
        (void) a->resize(a->ctx, c, cs->size, 0);
    }

    llm_block_free(&cs->list, a);
}


/* Whether p begins with a \uXXXX of the class: D8 for a high surrogate, DC
 * for a low one. */
static int
llm_channel_surrogate(const llm_u8 *p, size_t n, int low)
{
    llm_u8  c;

    if (n < 6 || p[0] != '\\' || p[1] != 'u' || (p[2] | 0x20) != 'd') {
        return 0;
    }

    c = p[3] | 0x20;

    return low ? c >= 'c' && c <= 'f'
               : p[3] == '8' || p[3] == '9' || c == 'a' || c == 'b';
}


size_t
llm_channel_low(const llm_slice_t *s)
{
    return s->escaped && llm_channel_surrogate(s->p, s->n, 1) ? 6 : 0;
}


/* Bytes of a high surrogate at the end of an escaped piece: 6, or 0. */
static size_t
llm_channel_open(const llm_slice_t *s)
{
    size_t  i;

    if (!s->escaped || s->n < 6
        || !llm_channel_surrogate(s->p + s->n - 6, 6, 0))
    {
        return 0;
    }

    /* its backslash must not be the second of a pair */

    for (i = s->n - 6; i > 0 && s->p[i - 1] == '\\'; i--) { /* void */ }

    return (s->n - 6 - i) % 2 == 0 ? 6 : 0;
}


static llm_rc_t
llm_channel_append(llm_block_t *b, const llm_alloc_t *a, const llm_u8 *p,
    size_t n, unsigned escaped)
{
    llm_rc_t  rc;

    if (n == 0) {
        return LLM_OK;
    }

    if (!escaped) {
        return llm_block_append(b, a, p, n);
    }

    rc = llm_block_reserve(b, a, n);

    if (rc == LLM_OK) {
        b->n += llm_json_unescape(b->p + b->n, p, n);
    }

    return rc;
}


llm_rc_t
llm_channel_decode(llm_channel_t *c, llm_block_t *b, const llm_alloc_t *a,
    const llm_slice_t *s)
{
    size_t       open;
    llm_u8       pair[12];
    llm_rc_t     rc;
    llm_slice_t  rest;

    if (s->n == 0) {
        return LLM_OK;
    }

    rest = *s;

    if (c->nhalf != 0 && llm_channel_low(&rest)) {
        memcpy(pair, c->half, 6);
        memcpy(pair + 6, rest.p, 6);
        c->nhalf = 0;

        rc = llm_channel_append(b, a, pair, 12, 1);
        if (rc != LLM_OK) {
            return rc;
        }

        rest.p += 6;
        rest.n -= 6;

    } else if (c->nhalf != 0) {
        rc = llm_channel_end(c, b, a);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    open = llm_channel_open(&rest);

    if (open != 0) {
        memcpy(c->half, rest.p + rest.n - open, open);
        c->nhalf = (unsigned) open;
        rest.n -= open;
    }

    return llm_channel_append(b, a, rest.p, rest.n, rest.escaped);
}


llm_rc_t
llm_channel_end(llm_channel_t *c, llm_block_t *b, const llm_alloc_t *a)
{
    size_t  n;

    n = c->nhalf;
    c->nhalf = 0;

    return llm_channel_append(b, a, c->half, n, 1);
}


llm_event_t
llm_channel_event(const llm_channel_t *c, const llm_u8 *p, size_t n)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = c->type;
    ev.choice = c->choice;
    ev.tool_index = c->tool_index;
    ev.text.p = p;
    ev.text.n = n;
    ev.linesep = 1;
    ev.created = -1;
    ev.start = -1;
    ev.end = -1;

    return ev;
}
