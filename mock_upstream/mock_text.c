/*
 * Texts.  A token is a word with the white space before it, or with `size` a
 * run of that many bytes, moved to the next border of a character.  Joined
 * tokens give the text back, which then starts over.
 */

#include <stdlib.h>
#include <string.h>

#include "mock_text.h"


static const char  mock_text_lorem[] =
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod"
    " tempor incididunt ut labore et dolore magna aliqua. Ut enim ad minim"
    " veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex"
    " ea commodo consequat. Duis aute irure dolor in reprehenderit in"
    " voluptate velit esse cillum dolore eu fugiat nulla pariatur. Excepteur"
    " sint occaecat cupidatat non proident, sunt in culpa qui officia"
    " deserunt mollit anim id est laborum.";

/* two, three and four bytes, joined emoji, a combining mark, right to left,
 * and what JSON must escape */
static const char  mock_text_unicode[] =
    "Gr\xc3\xbc\xc3\x9f""e \xce\xa9\xce\xbc\xce\xad\xce\xb3\xce\xb1"
    " \xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"
    " \xe4\xb8\xad\xe6\x96\x87 \xed\x95\x9c\xea\xb5\xad\xec\x96\xb4"
    " \xe2\x82\xac \xf0\x9f\x98\x80 \xf0\x9f\x91\xa9\xe2\x80\x8d"
    "\xf0\x9f\x9a\x80 e\xcc\x81t\xc3\xa9 \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"
    " \"quoted\" back\\slash tab\there\nline </script> & \xf0\x9f\x87\xa9"
    "\xf0\x9f\x87\xaa.";


static int
mock_text_space(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}


static void
mock_text_split(mock_text_t *t)
{
    size_t  i, cap;

    cap = 0;
    t->nwords = 0;

    for (i = 0; i < t->n; ) {
        if (t->nwords + 1 >= cap) {
            cap = cap ? 2 * cap : 64;
            t->words = mock_resize(t->words, cap * sizeof(*t->words));
        }

        t->words[t->nwords++] = i;

        while (i < t->n && mock_text_space(t->p[i])) {
            i++;
        }

        while (i < t->n && !mock_text_space(t->p[i])) {
            i++;
        }
    }

    if (t->nwords) {
        t->words[t->nwords] = t->n;
    }
}


void
mock_text_init(mock_text_t *t, const mock_options_t *o,
    const mock_buf_t *user, const mock_buf_t *file, const char *id)
{
    memset(t, 0, sizeof(*t));
    t->kind = o->text == MOCK_TEXT_STAMP ? MOCK_TEXT_LOREM : (int) o->text;
    t->size = (size_t) o->size;

    switch (t->kind) {

    case MOCK_TEXT_LOREM:
        t->p = (const unsigned char *) mock_text_lorem;
        t->n = sizeof(mock_text_lorem) - 1;
        break;

    case MOCK_TEXT_UNICODE:
        t->p = (const unsigned char *) mock_text_unicode;
        t->n = sizeof(mock_text_unicode) - 1;
        break;

    case MOCK_TEXT_ECHO:
        mock_buf_add(&t->own, user->p, user->n);
        t->p = t->own.p;
        t->n = t->own.n;
        break;

    case MOCK_TEXT_FILE:
        t->p = file->p;
        t->n = file->n;
        break;

    case MOCK_TEXT_MARKER:
        mock_buf_str(&t->own, o->marker[0] ? o->marker : id);
        break;

    default:
        break;
    }

    if (t->size == 0) {
        mock_text_split(t);
    }
}


void
mock_text_free(mock_text_t *t)
{
    mock_buf_free(&t->own);
    free(t->words);
    t->words = NULL;
}


uint64_t
mock_text_count(const mock_text_t *t)
{
    return t->size ? (t->n + t->size - 1) / t->size : t->nwords;
}


/* The first border of a character at or after at. */
static size_t
mock_text_border(const mock_text_t *t, size_t at)
{
    while (at < t->n && (t->p[at] & 0xc0) == 0x80) {
        at++;
    }

    return at;
}


/* Bytes k * size up to (k + 1) * size of the text written again and again. */
static void
mock_text_run(const mock_text_t *t, uint64_t k, mock_buf_t *b)
{
    size_t    from, to;
    uint64_t  left;

    if (t->n == 0) {
        return;
    }

    /* an echo says the message and no more; it starts over as a whole */
    if (t->kind == MOCK_TEXT_ECHO) {
        k %= mock_text_count(t);
    }

    from = (size_t) (k * t->size % t->n);
    left = t->size;

    if (t->kind == MOCK_TEXT_ECHO && left > t->n - from) {
        left = t->n - from;
    }

    while (left) {
        to = left < t->n - from ? from + (size_t) left : t->n;
        left -= to - from;
        from = mock_text_border(t, from);
        to = mock_text_border(t, to);

        if (to > from) {
            mock_buf_add(b, t->p + from, to - from);
        }

        from = 0;
    }
}


void
mock_text_token(const mock_text_t *t, unsigned choice, uint64_t k,
    mock_buf_t *b)
{
    size_t  i, from;

    switch (t->kind) {

    case MOCK_TEXT_DIGITS:
    case MOCK_TEXT_MARKER:
        from = b->n;

        if (t->kind == MOCK_TEXT_MARKER) {
            mock_buf_fmt(b, "<%.*s:%u:", (int) t->own.n, t->own.p, choice);
            mock_buf_uint(b, k);
            mock_buf_lit(b, ">");

        } else {
            mock_buf_str(b, k ? " " : "");
            mock_buf_uint(b, k + 1);
        }

        if (b->n - from < t->size) {
            mock_buf_fill(b, '.', t->size - (b->n - from));
        }

        return;

    default:
        break;
    }

    /* choices of one request are told apart by where they start */
    if (t->kind == MOCK_TEXT_LOREM) {
        k += choice * 7;
    }

    if (t->size) {
        mock_text_run(t, k, b);
        return;
    }

    if (t->nwords == 0) {
        return;
    }

    i = (size_t) (k % t->nwords);

    if (k && i == 0) {
        mock_buf_lit(b, " ");
    }

    mock_buf_add(b, t->p + t->words[i], t->words[i + 1] - t->words[i]);
}
