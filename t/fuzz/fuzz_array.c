/*
 * JSON arrays as a framing: any bytes give the same elements whole, byte by
 * byte and cut at the places that the first bytes of the input name, and as
 * a slow reference that has the whole stream before it.  What is a valid
 * array has the elements that the JSON scanner finds.
 */

#include "fuzz_framer.h"
#include "llm_json.h"


#define HEADER  3

typedef struct {
    const uint8_t  *p;
    const uint8_t  *end;
    unsigned        any;
    unsigned        array;
    unsigned        closed;
} reader_t;


static void
frame(fuzz_run_t *r, const llm_framed_t *framed, const llm_u8 *in, size_t n)
{
    (void) in;
    (void) n;

    FUZZ_CHECK(framed->raw.n != 0 && !framed->in_input);
    FUZZ_CHECK(framed->raw.p == framed->data.p
               && framed->raw.n == framed->data.n);

    fuzz_say(r, framed->data.p, framed->data.n);
}


static void
say_end(fuzz_run_t *r, int closed, int cut)
{
    fuzz_say(r, closed ? "closed" : "open", closed ? 6 : 4);

    if (r->end == LLM_DONE) {
        fuzz_say(r, cut ? "cut" : "whole", cut ? 3 : 5);
    }
}


static void
end(fuzz_run_t *r, const llm_framer_t *f)
{
    say_end(r, f->framing == LLM_FRAMING_ARRAY && llm_array_closed(&f->array),
            llm_framer_cut(f));
}


static int
is_word(uint8_t c)
{
    return c != '\0'
           && strchr("0123456789+-.abcdefghijklmnopqrstuvwxyz"
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ", c) != NULL;
}


/* The end of the element at p, NULL: it is cut. */
static const uint8_t *
element(const uint8_t *p, const uint8_t *stop)
{
    size_t    depth;
    unsigned  string;

    if (is_word(*p)) {
        while (p < stop && is_word(*p)) {
            p++;
        }

        return p < stop ? p : NULL;
    }

    depth = 0;
    string = 0;

    for ( /* void */ ; p < stop; p++) {

        if (string && *p == '\\') {
            p++;
            continue;
        }

        if (*p == '"') {
            string = !string;

        } else if (!string) {
            depth += *p == '{' || *p == '[';
            depth -= *p == '}' || *p == ']';
        }

        if (depth == 0 && !string && strchr("\"}]", *p) != NULL && *p != '\0')
        {
            return p + 1;
        }
    }

    return NULL;
}


/* What stands between elements.  LLM_OK: an element comes. */
static llm_rc_t
between(reader_t *d)
{
    unsigned  first;

    for ( /* void */ ; d->p < d->end; d->p++) {

        if (*d->p == ' ' || *d->p == '\t' || *d->p == '\r' || *d->p == '\n') {
            continue;
        }

        first = !d->any;
        d->any = 1;

        if (d->closed || (*d->p == ']' && !d->array)) {
            return LLM_INVALID;
        }

        if (*d->p == ']') {
            d->closed = 1;

        } else if (*d->p == '[' && first) {
            d->array = 1;

        } else if (*d->p != ',') {
            return *d->p != '\0' && strchr("{[\"-0123456789tfn", *d->p) != NULL
                   ? LLM_OK : LLM_INVALID;
        }
    }

    return LLM_DONE;
}


static void
reference(fuzz_run_t *r, const uint8_t *p, size_t n, size_t max)
{
    int             cut;
    reader_t        d;
    const uint8_t  *stop;

    memset(r, 0, sizeof(fuzz_run_t));
    memset(&d, 0, sizeof(reader_t));

    d.p = p;
    d.end = p + n;
    cut = 0;

    while ((r->end = between(&d)) == LLM_OK) {
        stop = element(d.p, d.end);

        if ((size_t) ((stop != NULL ? stop : d.end) - d.p) > max) {
            r->end = LLM_TOO_BIG;
            break;
        }

        if (stop == NULL) {
            r->end = LLM_DONE;
            cut = 1;
            break;
        }

        fuzz_say(r, d.p, (size_t) (stop - d.p));
        d.p = stop;
    }

    say_end(r, (int) d.closed, cut || (d.array && !d.closed));
}


/* A document that is a valid array: its elements. */
static void
check_valid(const fuzz_run_t *want, const uint8_t *p, size_t n)
{
    llm_json_t       j;
    fuzz_run_t       r;
    llm_slice_t      raw;
    llm_json_type_t  type;

    llm_json_init(&j, p, n, LLM_JSON_DEPTH_MAX);

    if (llm_json_next(&j) != LLM_JSON_ARRAY
        || llm_json_skip_rest(&j, &raw) != LLM_JSON_ARRAY
        || llm_json_next(&j) != LLM_JSON_END)
    {
        return;
    }

    memset(&r, 0, sizeof(fuzz_run_t));
    llm_json_init(&j, p, n, LLM_JSON_DEPTH_MAX);
    (void) llm_json_next(&j);

    while ((type = llm_json_skip(&j, &raw)) != LLM_JSON_ARRAY_END) {
        FUZZ_CHECK(type != LLM_JSON_ERROR);
        fuzz_say(&r, raw.p, raw.n);
    }

    r.end = LLM_DONE;
    say_end(&r, 1, 0);
    fuzz_same(want, &r);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          n;
    fuzz_run_t      want;
    fuzz_framing_t  how;
    const uint8_t  *p;

    if (size < HEADER || size > FUZZ_MAX_SIZE) {
        return 0;
    }

    p = data + HEADER;
    n = size - HEADER;

    how = (fuzz_framing_t) {
        LLM_FRAMING_ARRAY, FUZZ_MAX_SIZE, frame, end, 0
    };

    if (data[2] >= 128) {
        how.max = (size_t) (data[2] - 128);
    }

    reference(&want, p, n, how.max);

    if (how.max == FUZZ_MAX_SIZE) {
        check_valid(&want, p, n);
    }

    fuzz_cuts(&want, &how, data, p, n);
    fuzz_run_free(&want);

    return 0;
}
