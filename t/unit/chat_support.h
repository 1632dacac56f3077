/*
 * What the tests of requests as values share: a body carried from a reader
 * to a writer, and what came of it.  It must never know a dialect.
 */

#ifndef CHAT_SUPPORT_H
#define CHAT_SUPPORT_H

#include "llm_dialect.h"
#include "unit_support.h"


typedef struct {
    unsigned                  quirks;
    unsigned                  stream;
    unsigned                  usage;
    const char               *model;
    const llm_request_set_t  *set;
    size_t                    nset;
    unsigned                  max_depth;
    size_t                    fail_at;      /* this allocation fails */
    int64_t                   cap;
    unsigned                  take_stops;
} chat_how_t;

typedef struct {
    llm_rc_t     rc;
    char        *member;        /* of LLM_INVALID, or NULL */
    char        *body;          /* of LLM_OK */
    size_t       n;
    char        *lost;          /* "" for none */
    char        *refused;
    char        *stops;         /* given back, decoded, a line each */
    size_t       calls;         /* for memory */
    size_t       peak;          /* bytes */
    size_t       spliced;       /* bytes that were referred to */
} chat_result_t;


static inline char *
chat_strdup(const void *p, size_t n)
{
    char  *s;

    s = malloc(n + 1);
    assert_non_null(s);

    if (n != 0) {
        memcpy(s, p, n);
    }

    s[n] = '\0';

    return s;
}


static inline void
chat_flat(chat_result_t *r, const llm_rope_t *rope)
{
    size_t  i, n, at;

    r->n = llm_rope_length(rope);
    r->body = malloc(r->n + 1);
    assert_non_null(r->body);

    for (i = 0, at = 0; i < llm_rope_npieces(rope); i++) {
        n = llm_rope_pieces(rope)[i].n;
        memcpy(r->body + at, llm_rope_bytes(rope, i), n);
        at += n;

        if (llm_rope_pieces(rope)[i].p != NULL) {
            r->spliced += n;
        }
    }

    assert_int_equal(at, r->n);
    r->body[at] = '\0';
}


static inline char *
chat_stops(const llm_chat_writer_t *w)
{
    char               *s;
    size_t              i, n, at;
    const llm_slice_t  *stop;

    stop = (const llm_slice_t *) (const void *) w->stops.p;
    n = 1;

    for (i = 0; i < w->stops.n / sizeof(llm_slice_t); i++) {
        n += stop[i].n + 1;
    }

    s = malloc(n);
    assert_non_null(s);

    for (i = 0, at = 0; i < w->stops.n / sizeof(llm_slice_t); i++) {
        at += llm_json_unescape((llm_u8 *) s + at, stop[i].p, stop[i].n);
        s[at++] = '\n';
    }

    s[at] = '\0';

    return s;
}


static inline void
chat_translate(chat_result_t *r, const llm_dialect_t *from,
    const llm_dialect_t *to, const char *in, size_t n, const chat_how_t *how)
{
    llm_u8             *body;
    llm_chat_t          c;
    llm_alloc_t         a;
    unit_alloc_t        heap;
    llm_chat_writer_t   w;

    memset(r, 0, sizeof(chat_result_t));

    body = unit_copy(in, n);
    a = unit_alloc(&heap);
    heap.fail_at = how->fail_at;

    llm_chat_writer_init(&w, &a);
    w.max_depth = how->max_depth;
    w.quirks = how->quirks;
    w.stream = how->stream;
    w.usage = how->usage;
    w.set = how->set;
    w.nset = how->nset;
    w.cap = how->cap;
    w.take_stops = how->take_stops;

    if (how->model != NULL) {
        w.model.p = (const llm_u8 *) how->model;
        w.model.n = strlen(how->model);
    }

    r->rc = llm_chat_translate(&w, &c, from, to, body, n);
    r->lost = chat_strdup(w.lost.p, w.lost.n);
    r->refused = chat_strdup(w.refused.p, w.refused.n);
    r->stops = chat_stops(&w);

    if (r->rc == LLM_OK) {
        chat_flat(r, &w.rope);
    }

    if (r->rc == LLM_INVALID && c.member != NULL) {
        r->member = strdup(c.member);
    }

    llm_chat_free(&c);
    llm_chat_writer_free(&w);

    r->calls = heap.calls;
    r->peak = heap.peak;
    assert_int_equal(heap.live, 0);

    free(body);
}


static inline void
chat_done(chat_result_t *r)
{
    free(r->member);
    free(r->body);
    free(r->lost);
    free(r->refused);
    free(r->stops);
}


/* The same JSON; says both when it is not. */
static inline void
chat_same(const char *got, const char *want)
{
    json_t        *a, *b;
    json_error_t   error;

    a = json_loads(got, JSON_REJECT_DUPLICATES, &error);

    if (a == NULL) {
        fail_msg("%s: %s", error.text, got);
    }

    b = json_loads(want, 0, &error);

    if (b == NULL) {
        fail_msg("%s: %s", error.text, want);
    }

    if (!json_equal(a, b)) {
        fail_msg("\n got: %s\nwant: %s", got, want);
    }

    json_decref(a);
    json_decref(b);
}


#endif /* CHAT_SUPPORT_H */
