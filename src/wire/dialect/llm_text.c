/*
 * Plain text, client side only: the characters of choice 0 as they come, a
 * refusal included.  There is no error event: an error after the first byte
 * can only be an unclean end.
 *
 * The halves of a surrogate pair may come in two events: the first one waits
 * here, and is U+FFFD when the second does not come.
 */

#include "llm_encode.h"
#include "llm_utf8.h"


typedef struct {
    uint32_t           high;    /* first half of a pair, or 0 */
} llm_text_stream_t;


static void
llm_text_char(llm_out_t *out, uint32_t c)
{
    llm_u8  buf[4];

    llm_out(out, buf, llm_utf8_put(buf, c));
}


static void
llm_text_flush(llm_text_stream_t *s, llm_out_t *out)
{
    if (s->high != 0) {
        s->high = 0;
        llm_text_char(out, 0xfffd);
    }
}


/* A code unit of an escape. */
static void
llm_text_unit(llm_text_stream_t *s, llm_out_t *out, uint32_t u)
{
    uint32_t  high;

    if ((u & 0xfffffc00) == 0xdc00 && s->high != 0) {
        high = s->high;
        s->high = 0;
        llm_text_char(out, 0x10000 + ((high & 0x3ff) << 10 | (u & 0x3ff)));
        return;
    }

    llm_text_flush(s, out);

    if ((u & 0xfffffc00) == 0xd800) {
        s->high = u;

    } else {
        llm_text_char(out, (u & 0xfffffc00) == 0xdc00 ? 0xfffd : u);
    }
}


/* The code unit of the escape at p; the scanner has checked its form. */
static size_t
llm_text_escape(const llm_u8 *p, uint32_t *u)
{
    int  i;

    switch (p[1]) {

    case 'b':
        *u = '\b';
        return 2;

    case 'f':
        *u = '\f';
        return 2;

    case 'n':
        *u = '\n';
        return 2;

    case 'r':
        *u = '\r';
        return 2;

    case 't':
        *u = '\t';
        return 2;

    case 'u':
        *u = 0;

        for (i = 2; i < 6; i++) {
            *u = *u << 4 | (uint32_t) ((p[i] & 15) + (p[i] > '9' ? 9 : 0));
        }

        return 6;

    default:
        *u = p[1];
        return 2;
    }
}


static void
llm_text_write(llm_text_stream_t *s, llm_out_t *out, const llm_slice_t *text)
{
    size_t         n;
    uint32_t       u;
    const llm_u8  *p, *end, *next;

    if (text->n == 0) {
        return;
    }

    p = text->p;
    end = p + text->n;

    while (p < end) {
        next = text->escaped ? memchr(p, '\\', (size_t) (end - p)) : NULL;
        n = (size_t) ((next != NULL ? next : end) - p);

        if (n != 0) {
            llm_text_flush(s, out);
            llm_out(out, p, n);
        }

        if (next == NULL) {
            return;
        }

        p = next + llm_text_escape(next, &u);
        llm_text_unit(s, out, u);
    }
}


static void
llm_text_encode(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REFUSAL:
        if (ev->choice == 0) {
            llm_text_write(state, e->out, &ev->text);
        }

        break;

    case LLM_EV_END:
        llm_text_flush(state, e->out);
        break;

    default:
        break;
    }
}


static void
llm_text_write_answer(llm_encoder_t *e, const llm_answer_t *a)
{
    size_t               i;
    llm_slice_t          text;
    llm_item_t          *item;
    const llm_choice_t  *c;
    llm_text_stream_t    s;

    s.high = 0;
    c = llm_answer_choice(a, 0);

    for (i = 0; c != NULL && i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type == LLM_EV_TEXT || item->type == LLM_EV_REFUSAL) {
            text = llm_gathered(&item->text);
            llm_text_write(&s, e->out, &text);
        }
    }

    llm_text_flush(&s, e->out);
}


/* The message as characters and a line end. */
static void
llm_text_error_body(llm_out_t *out, const llm_error_t *err)
{
    llm_text_stream_t  s;

    s.high = 0;

    llm_text_write(&s, out, &err->message);
    llm_text_flush(&s, out);
    llm_out_lit(out, "\n");
}


const llm_dialect_t  llm_dialect_text = {
    .name = llm_str("text"),
    .framing = LLM_FRAMING_NONE,
    .stream_type = llm_str("text/plain; charset=utf-8"),
    .answer_type = llm_str("text/plain; charset=utf-8"),
    .stream_default = 1,

    .stream_size = sizeof(llm_text_stream_t),
    .encode = llm_text_encode,

    .write_answer = llm_text_write_answer,
    .error_body = llm_text_error_body
};
