/*
 * What the encoders of the client dialects share.  It must never gather more
 * than the encoder's bound.
 */

#include "llm_encode.h"


/* bytes that one byte can become when it is escaped */
#define LLM_ENCODE_GROWTH  6


static llm_rc_t
llm_gather_full(llm_out_t *out)
{
    (void) out;

    return LLM_TOO_BIG;
}


llm_rc_t
llm_gather(llm_encoder_t *e, llm_block_t *b, size_t *total,
    const llm_slice_t *s, unsigned linesep)
{
    size_t     n, left;
    llm_rc_t   rc;
    llm_out_t  out;

    left = e->max_response - *total;

    if (s->n > left) {
        return LLM_TOO_BIG;
    }

    if (s->n == 0) {
        return LLM_OK;
    }

    if (s->escaped && !linesep) {
        *total += s->n;
        return llm_block_append(b, &e->alloc, s->p, s->n);
    }

    n = s->n > left / LLM_ENCODE_GROWTH ? left : s->n * LLM_ENCODE_GROWTH;

    rc = llm_block_reserve(b, &e->alloc, n);
    if (rc != LLM_OK) {
        return rc;
    }

    out.pos = b->p + b->n;
    out.end = out.pos + n;
    out.more = llm_gather_full;
    out.ctx = NULL;
    out.failed = 0;

    llm_write_inside(&out, s, linesep);

    if (out.failed) {
        return LLM_TOO_BIG;
    }

    n = (size_t) (out.pos - b->p) - b->n;
    b->n += n;
    *total += n;

    return LLM_OK;
}


llm_slice_t
llm_gathered(const llm_block_t *b)
{
    llm_slice_t  s;

    s.p = b->n != 0 ? b->p : (const llm_u8 *) "";
    s.n = b->n;
    s.escaped = 1;

    return s;
}


void
llm_write_gathered(llm_out_t *out, const llm_block_t *b)
{
    if (b->n != 0) {
        llm_out(out, b->p, b->n);
    }
}


void
llm_write_block(llm_out_t *out, const llm_block_t *b)
{
    llm_out_lit(out, "\"");
    llm_write_gathered(out, b);
    llm_out_lit(out, "\"");
}


void
llm_write_opening(llm_out_t *out, unsigned n, const char *opening)
{
    if (n != 0) {
        llm_out_lit(out, ",");
        return;
    }

    llm_out(out, opening, strlen(opening));
}


llm_slice_t
llm_finish_word(const llm_event_t *ev)
{
    switch (ev->finish) {

    case LLM_FINISH_STOP:
        return llm_slice("stop");

    case LLM_FINISH_LENGTH:
        return llm_slice("length");

    case LLM_FINISH_TOOL_CALLS:
        return llm_slice("tool_calls");

    case LLM_FINISH_CONTENT_FILTER:
        return llm_slice("content_filter");

    case LLM_FINISH_ERROR:
        return llm_slice("error");

    default:
        return ev->text;
    }
}


static void
llm_usage_take(int64_t *to, int64_t from)
{
    if (from >= 0) {
        *to = from;
    }
}


void
llm_usage_merge(llm_usage_t *u, const llm_usage_t *said)
{
    llm_usage_take(&u->input, said->input);
    llm_usage_take(&u->output, said->output);
    llm_usage_take(&u->cached, said->cached);
    llm_usage_take(&u->reasoning, said->reasoning);

    /* a total that was said before the rest is no longer one */

    if (said->input >= 0 || said->output >= 0 || said->total >= 0) {
        u->total = said->total;
    }

    llm_usage_take(&u->cache_write, said->cache_write);
}


static void
llm_write_count(llm_out_t *out, int64_t v)
{
    if (v < 0) {
        llm_out_lit(out, "null");
        return;
    }

    llm_write_int(out, v);
}


void
llm_write_usage(llm_out_t *out, const llm_usage_t *u, unsigned details)
{
    int64_t  input, output, total;

    if (u == NULL) {
        llm_out_lit(out, "null");
        return;
    }

    /* OpenAI's clients read numbers */

    input = details && u->input < 0 ? 0 : u->input;
    output = details && u->output < 0 ? 0 : u->output;
    total = u->total;

    if (total < 0 && input >= 0 && output >= 0) {
        total = input > INT64_MAX - output ? INT64_MAX : input + output;
    }

    llm_out_lit(out, "{\"prompt_tokens\":");
    llm_write_count(out, input);
    llm_out_lit(out, ",\"completion_tokens\":");
    llm_write_count(out, output);
    llm_out_lit(out, ",\"total_tokens\":");
    llm_write_count(out, total);

    if (details && (u->cached >= 0 || u->cache_write >= 0)) {
        llm_out_lit(out, ",\"prompt_tokens_details\":{\"cached_tokens\":");
        llm_write_int(out, u->cached >= 0 ? u->cached : 0);

        if (u->cache_write >= 0) {
            llm_out_lit(out, ",\"cache_write_tokens\":");
            llm_write_int(out, u->cache_write);
        }

        llm_out_lit(out, "}");
    }

    if (details && u->reasoning >= 0) {
        llm_out_lit(out,
                    ",\"completion_tokens_details\":{\"reasoning_tokens\":");
        llm_write_int(out, u->reasoning);
        llm_out_lit(out, "}");
    }

    llm_out_lit(out, "}");
}


/* The length of the character at p, which may be an escape. */
static size_t
llm_slice_char(const llm_u8 *p, size_t n, unsigned escaped)
{
    size_t  len;

    len = 1;

    if (escaped && *p == '\\') {
        len = n > 1 && p[1] == 'u' ? 6 : 2;

        if (n >= 12 && len == 6 && (p[2] | 0x20) == 'd'
            && strchr("89abAB", p[3]) != NULL && p[3] != '\0'
            && p[6] == '\\' && p[7] == 'u' && (p[8] | 0x20) == 'd'
            && strchr("cdefCDEF", p[9]) != NULL && p[9] != '\0')
        {
            len = 12;
        }

    } else {
        while (len < n && len < 4 && (p[len] & 0xc0) == 0x80) {
            len++;
        }
    }

    return len < n ? len : n;
}


llm_slice_t
llm_slice_first(const llm_slice_t *s, size_t chars)
{
    size_t       at;
    llm_slice_t  first;

    for (at = 0; at < s->n && chars != 0; chars--) {
        at += llm_slice_char(s->p + at, s->n - at, s->escaped);
    }

    first = *s;
    first.n = at;

    return first;
}
