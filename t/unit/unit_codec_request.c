/*
 * A request of one dialect in another, in a test.
 */

#include "unit_codec.h"


static char *
copy_bytes(const void *p, size_t n)
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


static char *
rope_bytes(const llm_rope_t *r)
{
    char    *s;
    size_t   i, n;

    s = malloc(llm_rope_length(r) + 1);
    assert_non_null(s);

    for (i = 0, n = 0; i < llm_rope_npieces(r); i++) {
        memcpy(s + n, llm_rope_bytes(r, i), llm_rope_pieces(r)[i].n);
        n += llm_rope_pieces(r)[i].n;
    }

    s[n] = '\0';

    return s;
}


void
codec_request(codec_request_t *r, const llm_dialect_t *from,
    const llm_provider_t *to, const char *body, unsigned stream)
{
    llm_u8             *copy;
    json_error_t        error;
    llm_chat_t          chat;
    llm_alloc_t         a;
    unit_alloc_t        heap;
    llm_chat_writer_t   w;

    memset(r, 0, sizeof(codec_request_t));

    copy = unit_copy(body, strlen(body));
    a = unit_alloc(&heap);

    llm_chat_writer_init(&w, &a);
    w.max_depth = LLM_JSON_DEPTH;
    w.quirks = to->quirks;
    w.stream = stream;
    w.usage = stream;

    r->rc = llm_chat_translate(&w, &chat, from, to->dialect, copy,
                               strlen(body));

    r->stream = chat.stream;
    r->lost = copy_bytes(w.lost.p, w.lost.n);
    r->refused = copy_bytes(w.refused.p, w.refused.n);
    r->member = chat.member != NULL ? strdup(chat.member) : NULL;
    r->model = chat.model.p != NULL ? copy_bytes(chat.model.p, chat.model.n)
                                    : NULL;

    if (r->rc == LLM_OK) {
        r->body = rope_bytes(&w.rope);
        r->json = json_loads(r->body, JSON_DECODE_INT_AS_REAL
                                      |JSON_REJECT_DUPLICATES, &error);

        if (r->json == NULL) {
            fail_msg("%s in %s", error.text, r->body);
        }
    }

    llm_chat_writer_free(&w);
    llm_chat_free(&chat);
    assert_int_equal(heap.live, 0);
    free(copy);
}


void
codec_request_free(codec_request_t *r)
{
    free(r->body);
    free(r->lost);
    free(r->refused);
    free(r->member);
    free(r->model);
    json_decref(r->json);
}
