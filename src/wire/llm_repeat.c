/*
 * Frames that repeat: see llm_repeat.h.  It must never accept a byte that was
 * not either compared or checked to be part of a JSON string.
 */

#include "llm_repeat.h"
#include "llm_swar.h"


static const llm_slice_t  llm_repeat_padding[] = {
    { (const llm_u8 *) "\"obfuscation\":\"", 15, 0 },
    { (const llm_u8 *) "\"p\":\"", 5, 0 }
};


/* Behind the escape whose backslash is at p, or NULL. */
static const llm_u8 *
llm_repeat_escape(const llm_u8 *p, const llm_u8 *end)
{
    int  i;

    if (end - p < 2) {
        return NULL;
    }

    switch (p[1]) {

    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r':
    case 't':
        return p + 2;

    case 'u':
        if (end - p < 6) {
            return NULL;
        }

        for (i = 2; i < 6; i++) {
            if (llm_hex_digit(p[i]) < 0) {
                return NULL;
            }
        }

        return p + 6;

    default:
        return NULL;
    }
}


const llm_u8 *
llm_repeat_text(const llm_u8 *p, const llm_u8 *end)
{
    llm_marks_t  marks;

    while (p != NULL && p < end) {

        if (end - p >= LLM_STRIDE) {
            marks = llm_marks(p);

            if (marks == 0) {
                p += LLM_STRIDE;
                continue;
            }

            p += llm_marks_first(marks);
        }

        if (*p == '"') {
            return p;
        }

        if (*p < 0x20) {
            return NULL;
        }

        p = *p == '\\' ? llm_repeat_escape(p, end) : p + 1;
    }

    return NULL;
}


/*
 * Where the string of a padding member begins in the n bytes at p, or NULL.
 * A quote inside a string has a backslash before it, and then the byte behind
 * the name would be one: so what is found is a key.
 */
static const llm_u8 *
llm_repeat_pad(const llm_u8 *p, size_t n)
{
    size_t              i, k;
    const llm_slice_t  *pad;

    for (k = 0; k < 2; k++) {
        pad = &llm_repeat_padding[k];

        for (i = 0; i + pad->n <= n; i++) {
            if (p[i] == '"' && memcmp(p + i, pad->p, pad->n) == 0) {
                return p + i + pad->n;
            }
        }
    }

    return NULL;
}


void
llm_repeat_learn(llm_repeat_t *r, const llm_slice_t *data,
    const llm_event_t *ev)
{
    size_t         head, rest, end;
    const llm_u8  *p, *last, *pad, *close;

    /* where nothing repeats, only now and then: what was learned stays true */

    r->missed++;

    if (r->missed > LLM_REPEAT_MISSES && r->missed % LLM_REPEAT_MISSES != 0) {
        return;
    }

    r->head = 0;

    last = data->p + data->n;
    p = ev->text.p + ev->text.n;
    head = (size_t) (ev->text.p - data->p);
    rest = (size_t) (last - p);

    pad = llm_repeat_pad(p, rest);
    end = 0;

    if (pad != NULL) {
        close = llm_repeat_text(pad, last);

        if (close == NULL) {
            return;
        }

        end = (size_t) (last - close);
        rest = (size_t) (pad - p);
    }

    if (head + rest + end > LLM_REPEAT_MAX) {
        return;
    }

    memcpy(r->bytes, data->p, head);
    memcpy(r->bytes + head, p, rest);
    memcpy(r->bytes + head + rest, last - end, end);

    r->type = ev->type;
    r->choice = ev->choice;
    r->head = (unsigned) head;
    r->tail = (unsigned) rest;
    r->end = (unsigned) end;
}


int
llm_repeat_match(llm_repeat_t *r, const llm_slice_t *data,
    llm_slice_t *text)
{
    const llm_u8  *p, *last, *bytes;

    if (r->head == 0 || data->n < r->head + r->tail + r->end
        || memcmp(data->p, r->bytes, r->head) != 0)
    {
        return 0;
    }

    last = data->p + data->n;
    bytes = r->bytes + r->head;

    text->p = data->p + r->head;
    text->escaped = 1;

    p = llm_repeat_text(text->p, last);

    if (p == NULL || (size_t) (last - p) < r->tail
        || memcmp(p, bytes, r->tail) != 0)
    {
        return 0;
    }

    text->n = (size_t) (p - text->p);
    p += r->tail;
    bytes += r->tail;

    if (r->end != 0) {
        p = llm_repeat_text(p, last);

        if (p == NULL) {
            return 0;
        }
    }

    /* an empty text is no content: leave what it means to the decoder */

    if (text->n == 0 || (size_t) (last - p) != r->end
        || memcmp(p, bytes, r->end) != 0)
    {
        return 0;
    }

    r->missed = 0;

    return 1;
}
