/*
 * Frames that repeat: a decoder that compares a frame with the one before it
 * says the same as one that scans every frame.
 *
 * The first byte of the input chooses the dialect; each line behind it is a
 * frame.
 */

#include "fuzz_support.h"
#include "llm_dialect.h"
#include "llm_utf8.h"


static const llm_dialect_t *const  dialects[] = {
    &llm_dialect_openai,
    &llm_dialect_completions,
    &llm_dialect_anthropic,
    &llm_dialect_cohere,
    &llm_dialect_flowise
};


static llm_rc_t
hear(void *ctx, const llm_event_t *ev)
{
    fuzz_run_t  *r;

    r = ctx;

    fuzz_say(r, &ev->type, sizeof(ev->type));
    fuzz_say(r, &ev->choice, sizeof(ev->choice));
    fuzz_say(r, &ev->tool_index, sizeof(ev->tool_index));
    fuzz_say(r, &ev->finish, sizeof(ev->finish));
    fuzz_say(r, ev->text.p, ev->text.n);
    fuzz_say(r, ev->id.p, ev->id.n);
    fuzz_say(r, ev->name.p, ev->name.n);
    fuzz_say(r, ev->raw.p, ev->raw.n);
    fuzz_say(r, ev->signature.p, ev->signature.n);

    if (ev->text.n != 0) {
        fuzz_say(r, &ev->text.escaped, sizeof(ev->text.escaped));
    }

    if (ev->usage != NULL) {
        fuzz_say(r, ev->usage, sizeof(llm_usage_t));
    }

    return LLM_OK;
}


static void
decode(const llm_dialect_t *dialect, const uint8_t *p, size_t n,
    unsigned forget, fuzz_run_t *r)
{
    llm_u8          *in;
    llm_frame_t      frame;
    const uint8_t   *line;
    llm_decoder_t    d;

    memset(&d, 0, sizeof(llm_decoder_t));
    memset(r, 0, sizeof(fuzz_run_t));

    d.emit = hear;
    d.ctx = r;
    d.alloc = fuzz_alloc;

    if (dialect->decode_size != 0) {
        d.state = calloc(1, dialect->decode_size);
        FUZZ_CHECK(d.state != NULL);
    }

    for ( ;; ) {
        line = n != 0 ? memchr(p, '\n', n) : NULL;

        memset(&frame, 0, sizeof(llm_frame_t));
        frame.data.n = line != NULL ? (size_t) (line - p) : n;
        in = fuzz_copy(p, frame.data.n);
        frame.data.p = in;
        frame.max_depth = 32;

        if (forget) {
            memset(&d.repeat, 0, sizeof(llm_repeat_t));
        }

        r->end = dialect->decode(&d, &frame);
        free(in);

        fuzz_say(r, &r->end, sizeof(r->end));
        fuzz_say(r, &frame.choices, sizeof(frame.choices));

        if (line == NULL || (r->end != LLM_OK && r->end != LLM_INVALID)) {
            break;
        }

        n -= (size_t) (line - p) + 1;
        p = line + 1;
    }

    if (dialect->decode_drop != NULL) {
        dialect->decode_drop(&d);
    }

    free(d.state);
    llm_block_free(&d.scratch, &fuzz_alloc);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_run_t            keeps, forgets;
    const llm_dialect_t  *dialect;

    if (size == 0 || (llm_utf8_check(data + 1, size - 1)
                      & LLM_UTF8_INVALID))
    {
        return 0;
    }

    dialect = dialects[data[0] % (sizeof(dialects) / sizeof(dialects[0]))];

    decode(dialect, data + 1, size - 1, 0, &keeps);
    decode(dialect, data + 1, size - 1, 1, &forgets);
    fuzz_same(&keeps, &forgets);
    fuzz_run_free(&keeps);

    return 0;
}
