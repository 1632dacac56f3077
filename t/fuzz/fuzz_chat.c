/*
 * Fuzzes request translation between all dialects.  The first four bytes of
 * the input choose the client's dialect, the provider's, quirks and what is
 * asked for, and the allocation that fails; the rest is the body.
 *
 * What comes out is one JSON object in valid UTF-8 that the target's own
 * reader takes; no piece of it lies outside what it refers to; what is large
 * is referred to; and in OpenAI's dialect translating again changes nothing.
 */

#include "fuzz_support.h"
#include "llm_dialect.h"
#include "llm_utf8.h"


#define HEADER    4
#define MAX_SIZE  100000


typedef struct {
    llm_u8         *p;
    size_t          n;
    size_t          extras;     /* of the request that it was made of */
} fuzz_bytes_t;


/* The dialect that a byte chooses, among those that read or write requests. */
static const llm_dialect_t *
fuzz_dialect(uint8_t which, unsigned writes)
{
    size_t                i, n;
    const llm_dialect_t  *d;

    n = 0;

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {
        n += writes ? d->write_chat != NULL : d->read_chat != NULL;
    }

    which = (uint8_t) (which % n);

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {
        if ((writes ? d->write_chat != NULL : d->read_chat != NULL)
            && which-- == 0)
        {
            break;
        }
    }

    return d;
}


static void
fuzz_flat(fuzz_bytes_t *out, const llm_rope_t *rope)
{
    size_t                   i, at;
    const llm_rope_piece_t  *piece;

    out->n = llm_rope_length(rope);
    out->p = malloc(out->n + 1);
    FUZZ_CHECK(out->p != NULL);

    for (i = 0, at = 0; i < llm_rope_npieces(rope); i++) {
        piece = &llm_rope_pieces(rope)[i];

        FUZZ_CHECK(piece->n != 0 && piece->n <= out->n - at);
        FUZZ_CHECK(piece->p == NULL || piece->n >= LLM_ROPE_SPLICE);
        FUZZ_CHECK(piece->p != NULL
                   || (piece->at <= rope->text.n
                       && piece->n <= rope->text.n - piece->at));

        memcpy(out->p + at, llm_rope_bytes(rope, i), piece->n);
        at += piece->n;
    }

    FUZZ_CHECK(at == out->n);
}


/* A large slice of the request is a piece, as it lies there. */
static void
fuzz_referred(const llm_rope_t *rope, const llm_slice_t *s)
{
    size_t                   i;
    const llm_rope_piece_t  *piece;

    if (s->n < LLM_ROPE_SPLICE) {
        return;
    }

    for (i = 0; i < llm_rope_npieces(rope); i++) {
        piece = &llm_rope_pieces(rope)[i];

        if (piece->p == s->p && piece->n == s->n) {
            return;
        }
    }

    FUZZ_CHECK(!"a large string was copied");
}


static void
fuzz_large(const llm_rope_t *rope, const llm_chat_t *c)
{
    size_t             i;
    const llm_part_t  *part;

    for (i = 0; i < llm_chat_nparts(c); i++) {
        part = &llm_chat_parts(c)[i];

        if (part->type == LLM_PART_TEXT) {
            fuzz_referred(rope, &part->text);
        }

        if (part->type == LLM_PART_IMAGE && part->role == LLM_ROLE_USER) {
            fuzz_referred(rope, part->data.p != NULL ? &part->data
                                                     : &part->url);
        }
    }
}


static void
fuzz_json(const fuzz_bytes_t *b)
{
    llm_u8       *p;
    llm_json_t    j;
    llm_slice_t   raw;

    p = fuzz_copy(b->p, b->n);

    FUZZ_CHECK((llm_utf8_check(p, b->n) & LLM_UTF8_INVALID) == 0);

    llm_json_init(&j, p, b->n, LLM_JSON_DEPTH_MAX);
    FUZZ_CHECK(llm_json_skip(&j, &raw) == LLM_JSON_OBJECT);
    FUZZ_CHECK(llm_json_next(&j) == LLM_JSON_END);

    free(p);
}


/* LLM_OK: *out is to be freed. */
static llm_rc_t
fuzz_translate(fuzz_bytes_t *out, const llm_dialect_t *from,
    const llm_dialect_t *to, const uint8_t *how, const fuzz_bytes_t *in,
    unsigned fail)
{
    llm_rc_t           rc;
    llm_chat_t         c;
    fuzz_heap_t        heap;
    llm_alloc_t        a;
    llm_chat_writer_t  w;

    a = fuzz_heap(&heap, fail);

    llm_chat_writer_init(&w, &a);
    w.max_depth = LLM_JSON_DEPTH;
    w.quirks = how[2] & 0x3f;
    w.stream = how[2] >> 6 & 1;
    w.usage = how[2] >> 7;

    rc = llm_chat_translate(&w, &c, from, to, in->p, in->n);

    FUZZ_CHECK(rc == LLM_OK || rc == LLM_INVALID || rc == LLM_TOO_DEEP
               || (rc == LLM_NOMEM && fail != 0));

    if (rc == LLM_OK) {
        fuzz_flat(out, &w.rope);
        out->extras = llm_chat_nextras(&c);

        if (from == &llm_dialect_openai && to == from) {
            fuzz_large(&w.rope, &c);
        }
    }

    llm_chat_free(&c);
    llm_chat_writer_free(&w);
    FUZZ_CHECK(heap.live == 0);

    return rc;
}


/* What was written is read, and, by OpenAI's writer, written the same. */
static void
fuzz_again(const fuzz_bytes_t *out, const llm_dialect_t *d,
    const uint8_t *how)
{
    llm_rc_t      rc;
    fuzz_bytes_t  again;

    if (d->read_chat == NULL) {
        return;
    }

    /* an extra of that name may have had any value */

    rc = fuzz_translate(&again, d, d, how, out, 0);
    FUZZ_CHECK(rc == LLM_OK || rc == LLM_TOO_DEEP || out->extras != 0);

    if (rc != LLM_OK) {
        return;
    }

    fuzz_json(&again);

    if (d == &llm_dialect_openai) {
        FUZZ_CHECK(again.n == out->n
                   && memcmp(again.p, out->p, again.n) == 0);
    }

    free(again.p);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    llm_rc_t              rc;
    fuzz_bytes_t          in, out;
    const llm_dialect_t  *from, *to;

    if (size < HEADER || size > MAX_SIZE) {
        return 0;
    }

    from = fuzz_dialect(data[0], 0);
    to = fuzz_dialect(data[1], 1);

    in.n = size - HEADER;
    in.p = fuzz_copy(data + HEADER, in.n);

    /* the proxy has refused any other before */

    if (llm_utf8_check(in.p, in.n) & LLM_UTF8_INVALID) {
        free(in.p);
        return 0;
    }

    rc = fuzz_translate(&out, from, to, data, &in, data[3] % 32);

    if (rc == LLM_OK) {
        fuzz_json(&out);
        fuzz_again(&out, to, data);
        free(out.p);
    }

    free(in.p);

    return 0;
}
