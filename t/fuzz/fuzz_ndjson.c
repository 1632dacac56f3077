/*
 * NDJSON: any bytes give the same records whole, byte by byte and cut at the
 * places that the first bytes of the input name, and as a slow reference
 * that has the whole stream before it.
 */

#include "fuzz_support.h"
#include "llm_ndjson.h"


#define MAX_SIZE  1000000
#define HEADER    3


typedef struct {
    llm_block_t     said;       /* records, each with a LF */
    llm_rc_t        end;
} run_t;


static void
say(run_t *r, const llm_u8 *p, size_t n)
{
    FUZZ_CHECK(n != 0 && memchr(p, '\n', n) == NULL);
    FUZZ_CHECK(strchr(" \t\r", p[0]) == NULL || p[0] == '\0');
    FUZZ_CHECK(strchr(" \t\r", p[n - 1]) == NULL || p[n - 1] == '\0');

    FUZZ_CHECK(llm_block_append(&r->said, &fuzz_alloc, p, n) == LLM_OK);
    FUZZ_CHECK(llm_block_append(&r->said, &fuzz_alloc, "\n", 1) == LLM_OK);
}


static void
run(run_t *r, const uint8_t *p, size_t n, size_t first, size_t step,
    size_t max)
{
    size_t         at, k;
    llm_u8        *in;
    llm_slice_t    record;
    llm_ndjson_t   s;

    memset(r, 0, sizeof(run_t));
    llm_ndjson_init(&s, &fuzz_alloc, max);

    at = 0;
    k = first;

    do {
        k = k < n - at ? k : n - at;
        in = fuzz_copy(p + at, k);
        llm_ndjson_feed(&s, in, k);

        while ((r->end = llm_ndjson_next(&s, &record)) == LLM_OK) {
            FUZZ_CHECK(record.n <= max);
            say(r, record.p, record.n);
        }

        free(in);
        at += k;
        k = step;
    } while (at < n);

    if (r->end == LLM_AGAIN) {
        r->end = llm_ndjson_finish(&s, &record);

        if (r->end == LLM_OK) {
            say(r, record.p, record.n);
            r->end = llm_ndjson_finish(&s, &record);
        }
    }

    FUZZ_CHECK(r->end == LLM_DONE || r->end == LLM_TOO_BIG);

    llm_ndjson_free(&s);
}


static void
reference(run_t *r, const uint8_t *p, size_t n, size_t max)
{
    const uint8_t  *lf, *end, *last;

    memset(r, 0, sizeof(run_t));

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


static void
same(const run_t *a, run_t *b)
{
    FUZZ_CHECK(a->end == b->end);
    FUZZ_CHECK(a->said.n == b->said.n
               && (a->said.n == 0
                   || memcmp(a->said.p, b->said.p, a->said.n) == 0));

    llm_block_free(&b->said, &fuzz_alloc);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          n, max;
    run_t           want, r;
    const uint8_t  *p;

    if (size < HEADER || size > MAX_SIZE) {
        return 0;
    }

    p = data + HEADER;
    n = size - HEADER;
    max = data[2] < 128 ? MAX_SIZE : (size_t) (data[2] - 128);

    reference(&want, p, n, max);

    run(&r, p, n, n, n, max);
    same(&want, &r);

    run(&r, p, n, 1, 1, max);
    same(&want, &r);

    run(&r, p, n, n != 0 ? (data[0] | data[1] << 8) % (n + 1) : 0, n, max);
    same(&want, &r);

    run(&r, p, n, data[0] % 8, 1 + data[1] % 31, max);
    same(&want, &r);

    llm_block_free(&want.said, &fuzz_alloc);

    return 0;
}
