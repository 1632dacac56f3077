/*
 * Redaction: any pattern, list of words and text gives the same whole, cut at
 * the place that the input names, and character by character.  JSON stays JSON
 * is for the unit tests; here no byte may be read that is not there.
 *
 * The input: a byte of flags, the step of the cuts, max=, then a pattern and,
 * behind a null byte, the text.
 */

#include "fuzz_support.h"
#include "llm_redact.h"
#include "llm_utf8.h"


#define HEADER     3

#define WORDS      0x1
#define JSON       0x2
#define LOG        0x4


typedef struct {
    const llm_redact_t  *redact;
    const uint8_t       *text;
    size_t               n;
    unsigned             flags;
} fuzz_redact_t;


static void
cut(const fuzz_redact_t *f, fuzz_run_t *r, size_t step)
{
    size_t             at, k;
    llm_u8            *copy;
    uint64_t           count;
    unsigned           last;
    llm_redact_run_t   run;
    llm_redact_json_t  j;

    memset(r, 0, sizeof(fuzz_run_t));
    memset(&j, 0, sizeof(llm_redact_json_t));
    j.text.in = LLM_REDACT_CONTENT;
    count = 0;
    at = 0;

    FUZZ_CHECK(llm_redact_open(&run, f->redact, &fuzz_alloc, &count)
               == LLM_OK);

    do {
        k = f->n - at < step ? f->n - at : step;

        while (at + k < f->n && (f->text[at + k] & 0xc0) == 0x80) {
            k++;
        }

        copy = fuzz_copy(f->text + at, k);
        at += k;
        last = at == f->n;

        r->end = f->flags & JSON
                 ? llm_redact_json(&run, &j, copy, k, last, &r->said)
                 : llm_redact_feed(&run, &j.text, copy, k, last, &r->said);
        free(copy);
    } while (r->end == LLM_OK && !last);

    llm_redact_json_free(&run, &j);
    llm_redact_close(&run);
}


static void
cuts(const fuzz_redact_t *f, size_t step)
{
    fuzz_run_t  whole, pieces;

    cut(f, &whole, f->n + 1);
    cut(f, &pieces, step);

    /* a search that gives up may do so a piece earlier or later */

    if (whole.end == LLM_FAILED || pieces.end == LLM_FAILED) {
        fuzz_run_free(&pieces);

    } else {
        fuzz_same(&whole, &pieces);
    }

    fuzz_run_free(&whole);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    llm_u8             *copy;
    size_t              n, step;
    llm_rc_t            rc;
    llm_redact_t        redact;
    fuzz_redact_t       f;
    const uint8_t      *null;
    llm_redact_why_t    why;
    llm_redact_rule_t   rule;

    null = size > HEADER ? memchr(data + HEADER, '\0', size - HEADER) : NULL;

    if (null == NULL || size > 4096) {
        return 0;
    }

    n = (size_t) (null - data) - HEADER;

    f.flags = data[0];
    step = (size_t) data[1] + 1;
    f.text = null + 1;
    f.n = size - (size_t) (f.text - data);
    f.redact = &redact;

    memset(&rule, 0, sizeof(llm_redact_rule_t));

    rule.name = llm_slice("rule");
    rule.with = llm_slice("#");
    rule.in = LLM_REDACT_CONTENT;
    rule.action = f.flags & LOG ? LLM_REDACT_LOG : LLM_REDACT_MASK;
    rule.max = data[2];

    llm_redact_init(&redact, &fuzz_alloc);
    copy = fuzz_copy(data + HEADER, n);

    rc = LLM_INVALID;

    if (f.flags & WORDS) {
        rc = llm_redact_words(&redact, &rule, copy, n, &why);

    } else if (!(llm_utf8_check(copy, n) & LLM_UTF8_INVALID)) {
        rc = llm_redact_regex(&redact, &rule, copy, n, &why);
    }

    if (rc == LLM_OK && !(llm_utf8_check(f.text, f.n) & LLM_UTF8_INVALID)) {
        cuts(&f, step);
        cuts(&f, 1);
    }

    llm_redact_free(&redact);
    free(copy);

    return 0;
}
