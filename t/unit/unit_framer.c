/*
 * Running a framer in a test: feeding with cuts, keeping what it says,
 * comparing two runs.  It must never know what a stream should give.
 */

#include "unit_framer.h"


/* What a frame promises, wherever it lies. */
static void
check_frame(const llm_framer_t *f, const llm_framed_t *framed,
    const llm_u8 *p, size_t n)
{
    assert_non_null(framed->raw.p);
    assert_non_null(framed->data.p);
    assert_int_equal(framed->raw.escaped, 0);
    assert_int_equal(framed->data.escaped, 0);

    if (f->framing != LLM_FRAMING_SSE) {
        assert_ptr_equal(framed->raw.p, framed->data.p);
        assert_int_equal(framed->raw.n, framed->data.n);
        assert_true(framed->raw.n != 0);
        assert_null(framed->type.p);
        assert_null(framed->id.p);
        assert_true(framed->retry == -1);
        assert_int_equal(framed->cr, 0);
    }

    if (framed->in_input) {
        assert_int_not_equal(f->framing, LLM_FRAMING_ARRAY);
        assert_true(framed->raw.p >= p);
        assert_true(framed->raw.p + framed->raw.n < p + n);
        assert_int_equal(framed->raw.p[framed->raw.n], '\n');
    }
}


static void
record(framer_result_t *r, const llm_framer_t *f,
    const llm_framed_t *framed, const llm_u8 *p, size_t n)
{
    unit_out_t  out;

    check_frame(f, framed, p, n);

    r->ends = realloc(r->ends, (r->n + 1) * sizeof(size_t));
    assert_non_null(r->ends);

    unit_out_init(&out, 61, 0);
    llm_framer_write_raw(f, &out.out, framed);
    unit_out_end(&out);

    if (framed->in_input) {
        assert_int_equal(out.n, framed->raw.n + 1);
        assert_memory_equal(out.p, framed->raw.p, out.n);
    }

    llm_out(&r->raw.out, out.p, out.n);
    unit_out_free(&out);

    llm_out(&r->frames.out, framed->data.p, framed->data.n);
    r->ends[r->n] = framed->data.n
                    + (r->n != 0 ? r->ends[r->n - 1] + 1 : 0);
    llm_out_lit(&r->frames.out, "\n");

    r->n++;
    r->in_input += framed->in_input;
}


/* Feeds one piece, which is gone afterwards. */
static void
feed(llm_framer_t *f, framer_result_t *r, const llm_u8 *p, size_t n)
{
    llm_u8        *input;
    llm_framed_t   framed;

    input = unit_copy(p, n);
    llm_framer_feed(f, input, n);

    while ((r->end = llm_framer_next(f, &framed)) == LLM_OK) {
        record(r, f, &framed, input, n);
    }

    memset(input, 0xdb, n);
    free(input);
}


void
framer_run(framer_result_t *r, const framer_case_t *c, const llm_u8 *p,
    size_t n, const size_t *cuts, size_t k)
{
    size_t         i, at;
    llm_alloc_t    a;
    llm_framed_t   framed;
    unit_alloc_t   u;
    llm_framer_t   f;

    memset(r, 0, sizeof(framer_result_t));
    unit_out_init(&r->frames, 512, 0);
    unit_out_init(&r->raw, 512, 0);

    a = unit_alloc(&u);
    u.fail_at = c->fail_at;

    llm_framer_init(&f, c->framing, &a, c->max != 0 ? c->max : FRAMER_PLENTY);

    if (c->error_lines) {
        f.sse.error_lines = 1;
    }

    for (at = 0, i = 0; i < k; at = cuts[i++]) {
        feed(&f, r, p + at, cuts[i] - at);
    }

    feed(&f, r, p + at, n - at);

    if (r->end == LLM_AGAIN) {
        r->end = llm_framer_finish(&f, &framed);

        if (r->end == LLM_OK) {
            r->tail = 1;
            record(r, &f, &framed, NULL, 0);
            r->end = llm_framer_finish(&f, &framed);
        }
    }

    unit_out_end(&r->frames);
    unit_out_end(&r->raw);

    r->closed = f.framing == LLM_FRAMING_ARRAY && llm_array_closed(&f.array);
    r->cut = llm_framer_cut(&f);
    r->comments = f.framing == LLM_FRAMING_SSE ? f.sse.comments : 0;
    r->calls = u.calls;
    r->peak = u.peak;

    llm_framer_free(&f);
    assert_int_equal(u.live, 0);
}


void
framer_run_text(framer_result_t *r, const framer_case_t *c, const char *text)
{
    framer_run(r, c, (const llm_u8 *) text, strlen(text), NULL, 0);
}


void
framer_forget(framer_result_t *r)
{
    unit_out_free(&r->frames);
    unit_out_free(&r->raw);
    free(r->ends);
}


static int
differ(const unit_out_t *a, const unit_out_t *b)
{
    return a->n != b->n || memcmp(a->p, b->p, a->n) != 0;
}


void
framer_compare(const char *what, const framer_result_t *a,
    framer_result_t *b)
{
    if (a->n != b->n || a->end != b->end || a->tail != b->tail
        || a->comments != b->comments || a->closed != b->closed
        || a->cut != b->cut || differ(&a->frames, &b->frames)
        || differ(&a->raw, &b->raw)
        || (a->n != 0
            && memcmp(a->ends, b->ends, a->n * sizeof(size_t)) != 0))
    {
        fail_msg("%s: another result: %zu frames, end %d:\n%s", what, b->n,
                 b->end, (const char *) b->frames.p);
    }

    framer_forget(b);
}


typedef struct {
    const framer_case_t    *c;
    const llm_u8           *p;
    size_t                  n;
    const framer_result_t  *whole;
} cut_t;


static void
cut_run(void *ctx, const char *what, const size_t *cuts, size_t k)
{
    cut_t            *cut;
    framer_result_t   r;

    cut = ctx;

    framer_run(&r, cut->c, cut->p, cut->n, cuts, k);
    framer_compare(what, cut->whole, &r);
}


void
framer_all_cuts(const char *name, const framer_case_t *c, const llm_u8 *p,
    size_t n, const framer_result_t *whole)
{
    cut_t  cut;

    cut = (cut_t) { c, p, n, whole };

    unit_all_cuts(name, n, cut_run, &cut);
}


llm_slice_t
framer_frame(const framer_result_t *r, size_t i)
{
    size_t  from;

    assert_true(i < r->n);

    from = i != 0 ? r->ends[i - 1] + 1 : 0;

    return (llm_slice_t) { r->frames.p + from, r->ends[i] - from, 0 };
}


void
framer_expect(const framer_case_t *c, const char *text, const char *frames,
    llm_rc_t end, int closed, int cut)
{
    framer_result_t  r;

    framer_run_text(&r, c, text);

    if (strcmp((char *) r.frames.p, frames) != 0 || r.end != end
        || r.closed != closed || r.cut != cut)
    {
        fail_msg("%s\nend %d, closed %d, cut %d, got:\n%s-- expected:\n%s",
                 text, r.end, r.closed, r.cut, (char *) r.frames.p, frames);
    }

    framer_all_cuts(text, c, (const llm_u8 *) text, strlen(text), &r);
    framer_forget(&r);
}


void
framer_bounds(const framer_case_t *c, const char *text, size_t bound,
    size_t before)
{
    size_t           k, n, all, cut;
    framer_case_t    with;
    framer_result_t  r;

    with = *c;
    n = strlen(text);

    framer_run_text(&r, c, text);
    all = r.n;
    assert_true(before < all);
    framer_forget(&r);

    for (k = 0; k < 2; k++) {
        with.max = bound - k;

        for (cut = 0; cut <= n; cut++) {
            framer_run(&r, &with, (const llm_u8 *) text, n, &cut, 1);

            assert_int_equal(r.end, k == 0 ? LLM_DONE : LLM_TOO_BIG);
            assert_int_equal(r.n, k == 0 ? all : before);
            framer_forget(&r);
        }
    }
}


void
framer_no_memory(const framer_case_t *c, const char *text)
{
    size_t           cut, n, calls;
    framer_case_t    with;
    framer_result_t  good, r;

    with = *c;
    n = strlen(text);
    calls = 0;

    for (cut = 0; cut <= n; cut++) {
        framer_run(&good, c, (const llm_u8 *) text, n, &cut, 1);
        assert_int_equal(good.end, LLM_DONE);
        calls += good.calls;

        for (with.fail_at = 1; with.fail_at <= good.calls; with.fail_at++) {
            framer_run(&r, &with, (const llm_u8 *) text, n, &cut, 1);
            assert_int_equal(r.end, LLM_NOMEM);
            assert_true(r.n < good.n);
            framer_forget(&r);
        }

        framer_forget(&good);
    }

    assert_true(calls >= n / 2);
}


void
framer_memory(const framer_case_t *c, const char *after)
{
    size_t         i;
    llm_u8         piece[65536];
    llm_alloc_t    a;
    llm_framer_t   f;
    llm_framed_t   framed;
    unit_alloc_t   u;

    a = unit_alloc(&u);
    llm_framer_init(&f, c->framing, &a, FRAMER_PLENTY);

    memset(piece, ' ', sizeof(piece));

    for (i = 0; i < 256; i++) {
        llm_framer_feed(&f, piece, sizeof(piece));
        assert_int_equal(llm_framer_next(&f, &framed), LLM_AGAIN);
    }

    assert_int_equal(u.calls, 0);

    memset(piece, '1', sizeof(piece));

    for (i = 0; i < 32; i++) {
        llm_framer_feed(&f, piece, sizeof(piece));
        assert_int_equal(llm_framer_next(&f, &framed), LLM_AGAIN);
    }

    llm_framer_feed(&f, (const llm_u8 *) after, strlen(after));
    assert_int_equal(llm_framer_next(&f, &framed), LLM_OK);
    assert_int_equal(framed.data.n, 32 * sizeof(piece));
    assert_true(u.bytes >= framed.data.n);

    assert_int_equal(llm_framer_next(&f, &framed), LLM_AGAIN);
    assert_int_equal(u.bytes, 0);

    llm_framer_free(&f);
}


llm_u8 *
framer_vector(const char *path, json_t **v, size_t *n)
{
    *v = unit_json(path);

    return unit_base64(json_string_value(json_object_get(*v, "input_b64")),
                       n);
}
