/*
 * Ollama and the legacy completions through the flow: what a client gets
 * never depends on where the upstream's bytes were cut, and an end is only
 * said when there was one.
 */

#include "unit_codec.h"

#include "llm_flow.h"


#define NOW  1700000000


typedef struct {
    char           *p;
    size_t          n;
    llm_rc_t        rc;
    llm_fault_t     fault;
    int             status;
    size_t          calls;      /* of the allocator */
} result_t;

/* what is the same for the runs of one test */
static struct {
    size_t          fail_at;    /* allocation that fails, 0: none */
    size_t          max;        /* of what is gathered, 0: plenty */
} limits;


/* Feeds [p, p + n) in two pieces, or byte by byte (cut == n + 1), each in
 * memory of its own. */
static llm_rc_t
feed(llm_flow_t *f, const llm_u8 *p, size_t n, size_t cut)
{
    size_t    from, to;
    llm_u8   *copy;
    llm_rc_t  rc;

    for (from = 0; from < n; from = to) {
        to = cut > n ? from + 1 : from < cut ? cut : n;

        copy = unit_copy(p + from, to - from);
        rc = llm_flow_feed(f, copy, to - from, (int64_t) from);
        free(copy);

        if (rc != LLM_OK) {
            return rc;
        }
    }

    return llm_flow_eof(f, LLM_EOF_FRAMED);
}


static void
run(result_t *r, const llm_dialect_t *upstream, const llm_dialect_t *client,
    unsigned answer_out, const llm_u8 *p, size_t n, size_t cut)
{
    llm_flow_t       f;
    unit_out_t       o;
    unit_alloc_t     heap;
    llm_flow_conf_t  conf;

    memset(r, 0, sizeof(result_t));
    memset(&conf, 0, sizeof(llm_flow_conf_t));

    conf.upstream = upstream;
    conf.framing = upstream->framing;
    conf.client = client;
    conf.answer_out = answer_out;
    conf.usage = 1;
    conf.max_event = 1 << 20;
    conf.max_response = limits.max != 0 ? limits.max : 1 << 20;
    conf.now = NOW;
    conf.alloc = unit_alloc(&heap);
    heap.fail_at = limits.fail_at;

    unit_out_init(&o, 0, 0);

    r->rc = llm_flow_init(&f, &conf, &o.out);

    if (r->rc == LLM_OK) {
        r->rc = feed(&f, p, n, cut);
    }

    if (r->rc == LLM_FAILED) {
        r->fault = f.fault;
        r->status = llm_flow_status(&f);
        (void) llm_flow_fail(&f, LLM_FAULT_NONE);
    }

    llm_flow_free(&f);
    assert_int_equal(heap.live, 0);
    r->calls = heap.calls;

    unit_out_end(&o);
    r->n = o.n;
    r->p = malloc(o.n + 1);
    assert_non_null(r->p);
    memcpy(r->p, o.p, o.n + 1);
    unit_out_free(&o);
}


static const struct {
    const llm_dialect_t  *upstream;
    const char           *name;
    llm_rc_t              rc;
} streams[] = {
    { &llm_dialect_ollama, "ollama/text.ndjson", LLM_DONE },
    { &llm_dialect_ollama, "ollama/thinking-length.ndjson", LLM_DONE },
    { &llm_dialect_ollama, "ollama/tool-calls.ndjson", LLM_DONE },
    { &llm_dialect_ollama, "ollama/logprobs.ndjson", LLM_DONE },
    { &llm_dialect_ollama, "ollama/error-mid-stream.ndjson", LLM_FAILED },
    { &llm_dialect_generate, "ollama-generate/text.ndjson", LLM_DONE },
    { &llm_dialect_generate, "ollama-generate/load.ndjson", LLM_DONE },
    { &llm_dialect_completions, "openai-completions/text-usage.sse",
      LLM_DONE },
    { &llm_dialect_completions, "openai-completions/choices-logprobs.sse",
      LLM_DONE },
    { &llm_dialect_completions, "openai-completions/error-mid-stream.sse",
      LLM_FAILED }
};

#define STREAMS  (sizeof(streams) / sizeof(streams[0]))


static llm_u8 *
fixture(size_t i, size_t *n)
{
    char    *path, name[128];
    llm_u8  *p;

    sprintf(name, "t/fixtures/%s", streams[i].name);
    path = unit_path(name);
    p = unit_read(path, n);
    free(path);

    return p;
}


/* Every stream to every client, as a stream and as one answer. */
static void
test_cuts(void **state)
{
    size_t                i, k, n, cut, step;
    llm_u8               *p;
    unsigned              answer;
    result_t              whole, r;
    const llm_dialect_t  *client;

    (void) state;

    for (i = 0; i < STREAMS; i++) {
        p = fixture(i, &n);

        for (k = 0; (client = llm_dialect_at(k)) != NULL; k++) {
            if (client->encode == NULL) {
                continue;
            }

            for (answer = 0; answer < 2; answer++) {
                run(&whole, streams[i].upstream, client, answer, p, n, n);
                assert_int_equal(whole.rc, streams[i].rc);

                step = k % 3 == 0 ? 1 : 7;

                for (cut = 1; cut <= n + 1; cut += step) {
                    run(&r, streams[i].upstream, client, answer, p, n, cut);

                    if (r.rc != whole.rc || r.fault != whole.fault
                        || r.n != whole.n
                        || memcmp(r.p, whole.p, r.n) != 0)
                    {
                        fail_msg("%s to %.*s, cut at %zu:\n%s\n%s",
                                 streams[i].name, (int) client->name.n,
                                 (const char *) client->name.p, cut, r.p,
                                 whole.p);
                    }

                    free(r.p);
                }

                free(whole.p);
            }
        }

        free(p);
    }
}


/* Cut short anywhere: no last line, no terminator, a typed error instead. */
static void
test_truncated(void **state)
{
    size_t    i, n, cut, last;
    llm_u8   *p;
    result_t  r;

    (void) state;

    for (i = 0; i < STREAMS; i++) {
        if (streams[i].rc != LLM_DONE
            || streams[i].upstream == &llm_dialect_completions)
        {
            continue;
        }

        p = fixture(i, &n);

        for (last = n - 1; last != 0 && p[last - 1] != '\n'; last--) {
            /* void */
        }

        for (cut = 0; cut < n - 1; cut += 5) {
            run(&r, streams[i].upstream, &llm_dialect_openai, 0, p, cut, 0);
            assert_int_equal(r.rc, LLM_FAILED);
            assert_null(strstr(r.p, "[DONE]"));
            free(r.p);

            run(&r, streams[i].upstream,
                streams[i].upstream == &llm_dialect_ollama
                ? &llm_dialect_generate : &llm_dialect_ollama, 0, p, cut, 0);
            assert_int_equal(r.rc, LLM_FAILED);
            assert_null(strstr(r.p, "\"done\":true"));
            assert_non_null(strstr(r.p, "{\"error\":"));
            free(r.p);
        }

        free(p);
    }
}


/* Not this dialect's JSON: said so, never passed on between dialects. */
static void
test_invalid(void **state)
{
    size_t    i;
    result_t  r;

    static const char *const  lines[] = {
        "{\"message\":{\"content\":\"a\"}}\n{\"message\":\n",
        "{\"message\":{\"content\":\"a\"}}\nnope\n",
        "{\"message\":{\"content\":\"a\"}}\n[1]\n"
    };

    (void) state;

    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        run(&r, &llm_dialect_ollama, &llm_dialect_openai, 0,
            (const llm_u8 *) lines[i], strlen(lines[i]), strlen(lines[i]));
        assert_int_equal(r.rc, LLM_FAILED);
        assert_int_equal(r.fault, LLM_FAULT_INVALID_EVENT);
        assert_null(strstr(r.p, "[DONE]"));
        free(r.p);
    }
}


static void
test_error(void **state)
{
    result_t  r;

    static const char  line[] =
        "{\"error\":\"full\",\"status_code\":503}\n";

    (void) state;

    run(&r, &llm_dialect_ollama, &llm_dialect_openai, 0,
        (const llm_u8 *) line, sizeof(line) - 1, sizeof(line) - 1);
    assert_int_equal(r.rc, LLM_FAILED);
    assert_int_equal(r.fault, LLM_FAULT_UPSTREAM_ERROR);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.p, "\"message\":\"full\""));
    free(r.p);
}


/* Whatever allocation fails: no leak, no success. */
static void
test_no_memory(void **state)
{
    size_t                i, k, n, at;
    llm_u8               *p;
    unsigned              answer;
    result_t              r;
    const llm_dialect_t  *clients[3];

    (void) state;

    clients[0] = &llm_dialect_ollama;
    clients[1] = &llm_dialect_generate;
    clients[2] = &llm_dialect_completions;

    for (i = 0; i < STREAMS; i++) {
        if (streams[i].rc != LLM_DONE) {
            continue;
        }

        p = fixture(i, &n);

        for (k = 0; k < 3; k++) {
            for (answer = 0; answer < 2; answer++) {
                limits.fail_at = 0;
                run(&r, streams[i].upstream, clients[k], answer, p, n, n);
                assert_int_equal(r.rc, LLM_DONE);
                at = r.calls;
                free(r.p);

                for ( /* void */ ; at != 0; at--) {
                    limits.fail_at = at;
                    run(&r, streams[i].upstream, clients[k], answer, p, n, n);
                    assert_int_not_equal(r.rc, LLM_DONE);
                    free(r.p);
                }
            }
        }

        free(p);
    }

    limits.fail_at = 0;
}


/* What is gathered is bounded: a call in pieces, one that is whole, an
 * answer. */
static void
test_too_big(void **state)
{
    size_t    i, n;
    llm_u8   *p;
    result_t  r;

    static const char  pieces[] =
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,"
        "\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":"
        "\"{\\\"a\\\":[1,2,3,4,5,6,7,8,9,10,11,12]}\"}}]}}]}\n\n";

    (void) state;

    limits.max = 32;

    run(&r, &llm_dialect_openai, &llm_dialect_ollama, 0,
        (const llm_u8 *) pieces, sizeof(pieces) - 1, sizeof(pieces) - 1);
    assert_int_equal(r.rc, LLM_FAILED);
    assert_int_equal(r.fault, LLM_FAULT_RESPONSE_TOO_LARGE);
    free(r.p);

    for (i = 0; i < 2; i++) {
        p = fixture(2, &n);
        run(&r, &llm_dialect_ollama, i == 0 ? &llm_dialect_generate
                                            : &llm_dialect_openai, 1, p, n,
            n);
        assert_int_equal(r.rc, LLM_FAILED);
        assert_int_equal(r.fault, LLM_FAULT_RESPONSE_TOO_LARGE);
        free(r.p);
        free(p);
    }

    limits.max = 0;
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_too_big)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
