/*
 * NDJSON: any bytes give the same records whole, byte by byte and cut at the
 * places that the first bytes of the input name, and as a slow reference
 * that has the whole stream before it.
 */

#include "fuzz_framer.h"


#define HEADER  3


static void
say(fuzz_run_t *r, const llm_u8 *p, size_t n)
{
    FUZZ_CHECK(n != 0 && memchr(p, '\n', n) == NULL);
    FUZZ_CHECK(strchr(" \t\r", p[0]) == NULL || p[0] == '\0');
    FUZZ_CHECK(strchr(" \t\r", p[n - 1]) == NULL || p[n - 1] == '\0');

    fuzz_say(r, p, n);
}


static void
frame(fuzz_run_t *r, const llm_framed_t *framed, const llm_u8 *in, size_t n)
{
    if (framed->in_input) {
        FUZZ_CHECK(fuzz_inside(&framed->raw, in, n));
        FUZZ_CHECK(framed->raw.p + framed->raw.n < in + n);
        FUZZ_CHECK(framed->raw.p[framed->raw.n] == '\n');
    }

    FUZZ_CHECK(framed->raw.p == framed->data.p
               && framed->raw.n == framed->data.n);

    say(r, framed->data.p, framed->data.n);
}


static void
reference(fuzz_run_t *r, const uint8_t *p, size_t n, size_t max)
{
    const uint8_t  *lf, *end, *last;

    memset(r, 0, sizeof(fuzz_run_t));

    end = p + n;
    p += n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    r->end = LLM_DONE;

    while (p < end) {

        for (lf = p; lf < end && *lf != '\n'; lf++) { /* void */ }

        while (p < lf && (*p == ' ' || *p == '\t' || *p == '\r')) {
            p++;
        }

        if ((size_t) (lf - p) > max) {
            r->end = LLM_TOO_BIG;
            return;
        }

        for (last = lf; last > p; last--) {
            if (last[-1] != ' ' && last[-1] != '\t' && last[-1] != '\r') {
                break;
            }
        }

        if (last > p) {
            say(r, p, (size_t) (last - p));
        }

        p = lf < end ? lf + 1 : end;
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_run_t      want;
    fuzz_framing_t  how;

    if (size < HEADER || size > FUZZ_MAX_SIZE) {
        return 0;
    }

    how = (fuzz_framing_t) { .framing = LLM_FRAMING_NDJSON, .frame = frame };
    how.max = data[2] < 128 ? FUZZ_MAX_SIZE : (size_t) (data[2] - 128);

    reference(&want, data + HEADER, size - HEADER, how.max);
    fuzz_cuts(&want, &how, data, data + HEADER, size - HEADER);
    fuzz_run_free(&want);

    return 0;
}
