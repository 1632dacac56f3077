/*
 * Padding: every event as long as promised, and nothing else changed: taken
 * out again, the stream is what it was without.
 */

#include "flow_chunks.h"


typedef struct {
    const llm_dialect_t  *client;
    unsigned              array;
    llm_framing_t         framing;
    unsigned              comments;
} reader_t;

static const reader_t  readers[] = {
    { &llm_dialect_openai, 0, LLM_FRAMING_SSE, 1 },
    { &llm_dialect_completions, 0, LLM_FRAMING_SSE, 1 },
    { &llm_dialect_responses, 0, LLM_FRAMING_SSE, 1 },
    { &llm_dialect_anthropic, 0, LLM_FRAMING_SSE, 1 },
    { &llm_dialect_gemini, 0, LLM_FRAMING_SSE, 0 },
    { &llm_dialect_gemini, 1, LLM_FRAMING_ARRAY, 0 },
    { &llm_dialect_ollama, 0, LLM_FRAMING_NDJSON, 0 },
    { &llm_dialect_generate, 0, LLM_FRAMING_NDJSON, 0 },
    { &llm_dialect_flowise, 0, LLM_FRAMING_SSE, 1 },
    { &llm_dialect_simple, 0, LLM_FRAMING_SSE, 1 },
    { &llm_dialect_typed, 0, LLM_FRAMING_SSE, 1 }
};

#define READERS  (sizeof(readers) / sizeof(readers[0]))


/* Not random: the same in each run of a flow, and all values come up. */
static void
bytes(void *ctx, llm_u8 *p, size_t n)
{
    unsigned  *seed;

    for (seed = ctx; n != 0; n--) {
        *seed = *seed * 1103515245 + 12345;
        *p++ = (llm_u8) (*seed >> 16);
    }
}


/* The end of the event that begins at p. */
static const llm_u8 *
event_end(const reader_t *r, const llm_u8 *p, const llm_u8 *end)
{
    for ( /* void */ ; p < end; p++) {

        if (r->framing == LLM_FRAMING_NDJSON && *p == '\n') {
            return p + 1;
        }

        if (r->framing == LLM_FRAMING_SSE && p[0] == '\n' && p + 1 < end
            && p[1] == '\n')
        {
            return p + 2;
        }
    }

    return end;
}


/* Takes the padding out: comment lines, and spaces before a line's end. */
static size_t
take_out(const reader_t *r, llm_u8 *p, size_t n)
{
    llm_u8        *to;
    const llm_u8  *from, *end;

    to = p;
    end = p + n;

    for (from = p; from < end; from++) {

        if (r->comments && *from == ':' && from > p && from[-1] == '\n') {
            from = memchr(from, '\n', (size_t) (end - from));
            assert_non_null(from);
            continue;
        }

        if (!r->comments
            && (*from == '\n'
                || (r->array && end - from > 2
                    && memcmp(from, ",\r\n", 3) == 0)))
        {
            while (to > p && to[-1] == ' ') {
                to--;
            }
        }

        *to++ = *from;
    }

    while (r->array && to > p && to[-1] == ' ') {
        to--;
    }

    return (size_t) (to - p);
}


static size_t
check_buckets(const reader_t *r, const llm_u8 *p, size_t n, unsigned bucket)
{
    size_t         events;
    const llm_u8  *next, *end;

    events = 0;
    end = p + n;

    for ( /* void */ ; p < end; p = next) {
        next = event_end(r, p, end);
        assert_int_equal((size_t) (next - p) % bucket, 0);
        events++;
    }

    return events;
}


/* One stream to one reader, plain and padded. */
static void
check_reader(const reader_t *r, const char *text, llm_eof_t how,
    llm_pad_conf_t *pad)
{
    size_t         n;
    unsigned       seed;
    flow_case_t    c;
    flow_result_t  plain, padded;

    c = flow_default;
    c.client = r->client;
    c.array_out = r->array;
    c.usage = 1;
    c.how = how;
    c.pass = 1;

    flow_run_text(&plain, &c, text);

    seed = 7;
    pad->bytes = bytes;
    pad->ctx = &seed;
    c.pad = pad;

    flow_run_text(&padded, &c, text);

    assert_int_equal(padded.rc, plain.rc);
    assert_int_equal(padded.fault, plain.fault);
    assert_int_equal(padded.passed, 0);

    if (pad->bucket != 0) {
        n = check_buckets(r, padded.p, padded.n, pad->bucket);
        assert_true(n >= 1);
    }

    assert_true(padded.n > plain.n);

    n = take_out(r, padded.p, padded.n);

    assert_int_equal(n, plain.n);
    assert_memory_equal(padded.p, plain.p, n);

    flow_forget(&plain);
    flow_forget(&padded);
}


static const char  whole[] =
    ROLE TEXT("Hello") TEXT(" \\ud83d\\ude00: \\n\\n:x  ") TEXT("") TEXT("w")
    FIN("0", "stop") USE DONE;

static const char  broken[] =
    ROLE TEXT("Hello") EV("{\"error\":{\"message\":\"no  more\"}}");


static void
test_buckets(void **state)
{
    size_t          i, k;
    llm_pad_conf_t  pad;

    static const unsigned  buckets[] = { 64, 128, 256 };

    (void) state;

    for (i = 0; i < READERS; i++) {
        for (k = 0; k < 3; k++) {
            memset(&pad, 0, sizeof(llm_pad_conf_t));
            pad.bucket = buckets[k];

            check_reader(&readers[i], whole, LLM_EOF_FRAMED, &pad);
            check_reader(&readers[i], broken, LLM_EOF_FRAMED, &pad);
            check_reader(&readers[i], ROLE TEXT("cut"), LLM_EOF_BROKEN,
                         &pad);
        }
    }
}


static void
test_random(void **state)
{
    size_t          i;
    llm_pad_conf_t  pad;

    (void) state;

    for (i = 0; i < READERS; i++) {
        memset(&pad, 0, sizeof(llm_pad_conf_t));
        pad.random = 32;

        check_reader(&readers[i], whole, LLM_EOF_FRAMED, &pad);
    }
}


/* All lengths up to the limit come up, none beyond it. */
static void
test_random_lengths(void **state)
{
    char            text[64];
    size_t          i, n, seen[9];
    unsigned        seed;
    llm_rc_t        rc;
    llm_pad_t       p;
    unit_out_t      o;
    llm_alloc_t     a;
    unit_alloc_t    u;
    llm_pad_conf_t  pad;

    (void) state;

    memset(&pad, 0, sizeof(llm_pad_conf_t));
    memset(seen, 0, sizeof(seen));

    seed = 3;
    pad.random = 8;
    pad.bytes = bytes;
    pad.ctx = &seed;

    a = unit_alloc(&u);
    n = (size_t) snprintf(text, sizeof(text), "{\"a\":1}\n");

    llm_pad_init(&p, &pad, &llm_dialect_ollama, LLM_FRAMING_NDJSON);
    assert_int_equal(llm_pad_open(&p, &a), LLM_OK);

    for (i = 0; i < 900; i++) {
        unit_out_init(&o, 2048, 0);

        llm_out(&p.out.out, text, n);
        assert_int_equal(llm_pad_close(&p, &o.out), LLM_OK);
        rc = llm_pad_open(&p, &a);
        assert_int_equal(rc, LLM_OK);

        unit_out_end(&o);

        assert_in_range(o.n, n, n + 8);
        seen[o.n - n]++;
        unit_out_free(&o);
    }

    for (i = 0; i < 9; i++) {
        assert_in_range(seen[i], 50, 200);
    }

    llm_block_free(&p.block, &a);
    assert_int_equal(u.live, 0);
}


/* A provider's padding that is lost in translation is replaced; where it is
 * passed on, or where there was none, nothing is added. */
static void
test_lost(void **state)
{
    size_t          i, k, n;
    unsigned        seed;
    flow_case_t     c;
    flow_result_t   r, plain;
    llm_pad_conf_t  pad;

    static const char  padded[] =
        EV("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"abc\"}}],"
           "\"obfuscation\":\"Xy\"}")
        EV("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"de\"}}],"
           "\"obfuscation\":\"Xyzt\"}")
        EV("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"fgh\"}}],"
           "\"obfuscation\":\"X\"}")
        FIN("0", "stop") DONE;

    static const char *const  texts[] = { padded, whole };

    (void) state;

    memset(&pad, 0, sizeof(llm_pad_conf_t));

    pad.random = 32;
    pad.lost = 1;
    pad.bytes = bytes;
    pad.ctx = &seed;

    for (i = 0; i < READERS; i++) {
        for (k = 0; k < 2; k++) {
            seed = 5;

            c = flow_default;
            c.client = readers[i].client;
            c.array_out = readers[i].array;

            flow_run_text(&plain, &c, texts[k]);

            c.pad = &pad;
            n = strlen(texts[k]) / 2;
            flow_run(&r, &c, texts[k], strlen(texts[k]), &n, 1);

            assert_int_equal(r.rc, LLM_DONE);

            if (k == 1 || i == 0) {
                assert_int_equal(r.n, plain.n);

            } else {
                assert_true(r.n > plain.n);
                r.n = take_out(&readers[i], r.p, r.n);
                assert_int_equal(r.n, plain.n);
            }

            assert_memory_equal(r.p, plain.p, plain.n);

            flow_forget(&r);
            flow_forget(&plain);
        }
    }
}


/* Without memory the answer ends with a fault, and nothing is lost of what
 * was freed. */
static void
test_no_memory(void **state)
{
    size_t          i;
    unsigned        seed, failed;
    flow_case_t     c;
    flow_result_t   r;
    llm_pad_conf_t  pad;

    (void) state;

    memset(&pad, 0, sizeof(llm_pad_conf_t));

    pad.bucket = 256;
    pad.bytes = bytes;
    pad.ctx = &seed;
    failed = 0;

    for (i = 1; i < 40; i++) {
        seed = 5;

        c = flow_default;
        c.client = &llm_dialect_simple;
        c.pad = &pad;
        c.fail_at = i;

        flow_run_text(&r, &c, whole);

        failed += r.rc != LLM_DONE;
        flow_forget(&r);
    }

    assert_true(failed > 1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_random_lengths),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_no_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
