/*
 * What the events of a completion consist of, whatever its dialect: texts,
 * logprobs, a tool call's arguments, links, token counts.  All of it is
 * computed from numbers, so that any event can be built at any time.
 */

#include <string.h>

#include "mock_chat.h"


#define MOCK_CHAT_JSON_MAX  ((size_t) 64 << 20)


void
mock_chat_counts(const mock_chat_t *x, mock_counts_t *counts)
{
    counts->input = (x->req.prompt + 3) / 4;
    counts->reasoning = (uint64_t) (x->opt.reasoning * x->opt.per_event)
                        * x->req.n;
    counts->output = counts->reasoning + x->req.n
                     * (uint64_t) (x->opt.tokens * x->opt.per_event
                                   + x->opt.tools * MOCK_CHAT_FRAGMENTS);
}


void
mock_chat_tokens(mock_chat_t *x, mock_kind_t kind, unsigned choice,
    uint64_t i)
{
    int       stamp;
    uint64_t  k, per;

    per = (uint64_t) x->opt.per_event;
    stamp = x->opt.text == MOCK_TEXT_STAMP && kind == MOCK_KIND_CONTENT;
    x->token.n = 0;

    for (k = i * per; k < (i + 1) * per; k++) {
        if (stamp) {
            mock_stamp(&x->token, &x->stamp, k + 1, (size_t) x->opt.size);
        } else {
            mock_text_token(&x->text, choice, k, &x->token);
        }
    }
}


void
mock_chat_whole(mock_chat_t *x, mock_kind_t kind, unsigned choice,
    mock_buf_t *b)
{
    int64_t  i, tokens;

    tokens = kind == MOCK_KIND_CONTENT ? x->opt.tokens : x->opt.reasoning;

    for (i = 0; i < tokens && b->n < MOCK_CHAT_JSON_MAX; i++) {
        mock_chat_tokens(x, kind, choice, (uint64_t) i);
        mock_buf_json(b, x->token.p, x->token.n);
    }
}


void
mock_chat_logprobs(const mock_chat_t *x, mock_buf_t *b)
{
    size_t  i;

    mock_buf_lit(b, "{\"token\":\"");
    mock_buf_json(b, x->token.p, x->token.n);
    mock_buf_lit(b, "\",\"logprob\":-0.0025,\"bytes\":[");

    for (i = 0; i < x->token.n; i++) {
        mock_buf_str(b, i ? "," : "");
        mock_buf_uint(b, x->token.p[i]);
    }

    mock_buf_lit(b, "],\"top_logprobs\":[]}");
}


void
mock_chat_arguments(mock_buf_t *b, unsigned fragment, uint64_t call)
{
    static const char  *fragments[MOCK_CHAT_FRAGMENTS] = {
        "{\"location\":", "\"Paris\",\"unit\"", ":\"cel", "sius\",\"n\":"
    };

    mock_buf_str(b, fragments[fragment]);

    if (fragment == MOCK_CHAT_FRAGMENTS - 1) {
        mock_buf_uint(b, call);
        mock_buf_lit(b, "}");
    }
}


void
mock_chat_call_id(mock_buf_t *b, unsigned choice, uint64_t call)
{
    mock_buf_fmt(b, "call_mock_%u_%llu", choice, (unsigned long long) call);
}


void
mock_chat_link(mock_buf_t *b, uint64_t i)
{
    mock_buf_fmt(b, "https://mock.example/source/%llu",
                 (unsigned long long) i + 1);
}
