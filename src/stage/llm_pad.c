/*
 * Padding.  It must never change what a reader of the stream gets, nor cut
 * an event in two.
 */

#include "llm_pad.h"


#define LLM_PAD_COMMENT  2          /* bytes of the shortest: ":", LF */


void
llm_pad_init(llm_pad_t *pad, const llm_pad_conf_t *conf,
    const llm_dialect_t *client, llm_framing_t framing)
{
    memset(pad, 0, sizeof(llm_pad_t));

    pad->conf = conf;
    pad->framing = framing;
    pad->comments = framing == LLM_FRAMING_SSE && client->blank.n == 0;
}


llm_rc_t
llm_pad_open(llm_pad_t *pad, const llm_alloc_t *a)
{
    return llm_block_out_open(&pad->out, &pad->block, a);
}


/* A number from 0 to n, all equally likely; n < 65536. */
static unsigned
llm_pad_number(const llm_pad_conf_t *conf, unsigned n)
{
    llm_u8    b[2];
    unsigned  v, limit;

    limit = 65536 - 65536 % (n + 1);

    do {
        conf->bytes(conf->ctx, b, 2);
        v = (unsigned) b[0] << 8 | b[1];
    } while (v >= limit);

    return v % (n + 1);
}


/* Bytes to add to an event of n bytes. */
static size_t
llm_pad_length(const llm_pad_t *pad, size_t n)
{
    size_t    add, least;
    unsigned  bucket;

    least = pad->comments ? LLM_PAD_COMMENT : 0;
    bucket = pad->conf->bucket;

    if (bucket == 0) {
        add = llm_pad_number(pad->conf, pad->conf->random);
        return add == 0 ? 0 : add + least;
    }

    add = (bucket - n % bucket) % bucket;

    while (add != 0 && add < least) {
        add += bucket;
    }

    return add;
}


static void
llm_pad_spaces(llm_out_t *out, size_t n)
{
    size_t  k;

    static const char  spaces[] =
        "                                                                ";

    for ( /* void */ ; n != 0; n -= k) {
        k = n < sizeof(spaces) - 1 ? n : sizeof(spaces) - 1;
        llm_out(out, spaces, k);
    }
}


/* n bytes of padding.  What they are does not matter to who sees lengths. */
static void
llm_pad_write(const llm_pad_t *pad, llm_out_t *out, size_t n)
{
    if (n == 0 || !pad->comments) {
        llm_pad_spaces(out, n);
        return;
    }

    llm_out_lit(out, ":");
    llm_pad_spaces(out, n - 2);
    llm_out_lit(out, "\n");
}


/* The length of the first event of [p, p + n), n > 0, with its end. */
static size_t
llm_pad_event(const llm_pad_t *pad, const llm_u8 *p, size_t n)
{
    const llm_u8  *lf, *end;

    if (pad->framing == LLM_FRAMING_ARRAY) {
        return n;
    }

    end = p + n;
    lf = p;

    while ((lf = memchr(lf, '\n', (size_t) (end - lf))) != NULL) {
        lf++;

        if (pad->framing == LLM_FRAMING_NDJSON) {
            return (size_t) (lf - p);
        }

        if (lf < end && *lf == '\n') {
            return (size_t) (lf + 1 - p);
        }
    }

    return n;
}


/* Bytes at the end of an event that the padding goes before. */
static size_t
llm_pad_tail(const llm_pad_t *pad, const llm_u8 *p, size_t n)
{
    if (pad->framing == LLM_FRAMING_ARRAY || n == 0 || p[n - 1] != '\n') {
        return 0;
    }

    return pad->framing == LLM_FRAMING_SSE && !pad->comments && n > 1 ? 2 : 1;
}


llm_rc_t
llm_pad_close(llm_pad_t *pad, llm_out_t *out)
{
    size_t         n, left, tail;
    const llm_u8  *p;

    if (llm_block_out_close(&pad->out) != LLM_OK) {
        return LLM_NOMEM;
    }

    p = pad->block.p;

    for (left = pad->block.n; left != 0; left -= n) {
        n = llm_pad_event(pad, p, left);
        tail = llm_pad_tail(pad, p, n);

        llm_out(out, p, n - tail);
        llm_pad_write(pad, out, llm_pad_length(pad, n));
        llm_out(out, p + n - tail, tail);

        p += n;
    }

    pad->block.n = 0;

    return LLM_OK;
}
