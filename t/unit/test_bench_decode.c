/*
 * What the client reads out of streams: what the wire library's encoders
 * write in every dialect, cut in every way, and what is wrong with streams.
 */

#include "bench_decode.h"
#include "unit_support.h"


typedef struct {
    const llm_dialect_t  *dialect;
    const llm_u8         *p;
    size_t                n;

    /* what must come out */
    const char           *text;
    uint64_t              events;
    int64_t               output;
    const char           *wrong;        /* NULL: complete */
} decode_case_t;

typedef struct {
    char                  text[256];
    size_t                n;
    uint64_t              events;
    uint64_t              bytes;
} decode_seen_t;


static void
on_text(void *ctx, const llm_u8 *p, size_t n)
{
    decode_seen_t  *seen;

    seen = ctx;
    assert_true(seen->n + n < sizeof(seen->text));
    memcpy(seen->text + seen->n, p, n);
    seen->n += n;
}


static int
feed(bench_decode_t *d, decode_seen_t *seen, const llm_u8 *p, size_t n)
{
    int      rc;
    llm_u8  *copy;

    copy = unit_copy(p, n);
    bench_decode_feed(d, copy, n);

    do {
        rc = bench_decode_next(d);

        if (rc == 1 && d->content) {
            seen->events++;
            seen->bytes += d->bytes;
        }

    } while (rc == 1);

    free(copy);

    return rc;
}


static void
cut(void *ctx, const char *what, const size_t *cuts, size_t k)
{
    int                   complete;
    size_t                i, from, to;
    decode_seen_t         seen;
    bench_decode_t        d;
    const decode_case_t  *c;

    c = ctx;
    memset(&seen, 0, sizeof(seen));
    bench_decode_init(&d, c->dialect, on_text, &seen);
    bench_decode_begin(&d);

    for (from = 0, i = 0; i <= k; i++, from = to) {
        to = i < k ? cuts[i] : c->n;

        if (feed(&d, &seen, c->p + from, to - from) == -1) {
            break;
        }
    }

    complete = bench_decode_finish(&d);
    seen.text[seen.n] = '\0';

    if (complete != (c->wrong == NULL)
        || (c->wrong != NULL && strcmp(c->wrong, d.wrong) != 0)
        || strcmp(seen.text, c->text) != 0
        || (d.decode != NULL && seen.events != c->events)
        || d.usage.output != c->output || seen.bytes > c->n)
    {
        fail_msg("%s: %s: text %s, %llu events of %llu bytes, output %lld, "
                 "%s", c->dialect->name.p, what, seen.text,
                 (unsigned long long) seen.events,
                 (unsigned long long) seen.bytes, (long long) d.usage.output,
                 d.wrong);
    }

    bench_decode_end(&d);
    bench_decode_free(&d);
}


static void
check(decode_case_t c)
{
    cut(&c, "whole", NULL, 0);
    unit_all_cuts("stream", c.n, cut, &c);
}


static void
check_bytes(const llm_dialect_t *dialect, const char *bytes, const char *text,
    uint64_t events, const char *wrong)
{
    check((decode_case_t) { dialect, (const llm_u8 *) bytes, strlen(bytes),
                            text, events, -1, wrong });
}


/* A whole stream of the dialect: three texts, one with escapes. */
static void
encode(const llm_dialect_t *dialect, unit_out_t *o)
{
    size_t         i;
    void          *state;
    llm_event_t    ev;
    llm_usage_t    usage;
    unit_alloc_t   u;
    llm_encoder_t  e;

    static const char *const  texts[] = { "one ", "\"two\"\\n", "three" };

    memset(&u, 0, sizeof(u));
    memset(&e, 0, sizeof(e));
    memset(&ev, 0, sizeof(ev));
    unit_out_init(o, 0, 0);

    e.out = &o->out;
    e.alloc = unit_alloc(&u);
    e.max_response = 1 << 20;
    e.usage = 1;
    state = calloc(1, dialect->stream_size + 1);
    assert_non_null(state);

    ev.type = LLM_EV_START;
    ev.created = 1;
    ev.id = llm_slice("id-1");
    ev.model = llm_slice("m");
    dialect->encode(&e, state, &ev);

    for (i = 0; i < 3; i++) {
        ev.type = LLM_EV_TEXT;
        ev.text.p = (const llm_u8 *) texts[i];
        ev.text.n = strlen(texts[i]);
        ev.text.escaped = 0;
        dialect->encode(&e, state, &ev);
    }

    memset(&ev, 0, sizeof(ev));
    ev.type = LLM_EV_FINISH;
    ev.finish = LLM_FINISH_STOP;
    ev.text = llm_slice("stop");
    dialect->encode(&e, state, &ev);

    usage = (llm_usage_t) { 7, 3, -1, -1, 10, -1 };
    ev.type = LLM_EV_USAGE;
    ev.usage = &usage;
    dialect->encode(&e, state, &ev);

    ev.type = LLM_EV_END;
    dialect->encode(&e, state, &ev);

    if (dialect->stream_drop != NULL) {
        dialect->stream_drop(&e, state);
    }

    assert_int_equal(e.rc, LLM_OK);
    free(state);
    unit_out_end(o);
}


static void
test_encoded(void **state)
{
    size_t                i, n;
    int64_t               output;
    unit_out_t            o;
    const llm_dialect_t  *d;

    (void) state;

    for (n = 0, i = 0; llm_dialect_at(i) != NULL; i++) {
        d = llm_dialect_at(i);

        if (d->encode == NULL) {
            continue;
        }

        encode(d, &o);

        output = d == &llm_dialect_simple || d == &llm_dialect_text ? -1 : 3;

        check((decode_case_t) { d, o.p, o.n, "one \"two\"\\nthree", 3,
                                output, NULL });

        unit_out_free(&o);
        n++;
    }

    assert_true(n >= 11);
}


#define CHUNK(text)                                                          \
    "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{" text         \
    "},\"finish_reason\":null}]}\n\n"


static void
test_content(void **state)
{
    (void) state;

    /* neither a role nor nothing is content; reasoning is, but no text */

    check_bytes(&llm_dialect_openai,
        CHUNK("\"role\":\"assistant\",\"content\":\"\"")
        CHUNK("\"reasoning_content\":\"hm\"") CHUNK("\"content\":\"a\"")
        CHUNK("\"content\":\"\"") CHUNK("\"content\":\"\\u00e9\"")
        ": comment\n\ndata: [DONE]\n\n", "a\xc3\xa9", 3, NULL);

    /* other choices are content, their text is not choice 0's */

    check_bytes(&llm_dialect_openai,
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\n"
        CHUNK("\"content\":\"a\"") "data: [DONE]\n\n", "a", 2, NULL);

    check_bytes(&llm_dialect_simple,
        "data: {\"content\":\"a\",\"done\":false}\n\n"
        "data: {\"content\":\"\",\"done\":false}\n\n"
        "data: {\"content\":\"b\\\"\",\"done\":false}\n\n"
        "data: {\"done\":true}\n\n", "ab\"", 2, NULL);
}


static void
test_ends(void **state)
{
    (void) state;

    check_bytes(&llm_dialect_openai, CHUNK("\"content\":\"a\""), "a", 1,
                "no terminator");
    check_bytes(&llm_dialect_openai, "<html></html>\n", "", 0, "no event");
    check_bytes(&llm_dialect_openai, "data: [DONE]", "", 0, "no event");
    check_bytes(&llm_dialect_simple, "data: {\"content\":\"a\"}\n\n", "a", 1,
                "no terminator");
    check_bytes(&llm_dialect_ollama,
        "{\"message\":{\"role\":\"assistant\",\"content\":\"a\"},"
        "\"done\":false}\n", "a", 1, "no terminator");
    check_bytes(&llm_dialect_gemini, "data: {\"candidates\":[{\"content\":{"
        "\"parts\":[{\"text\":\"a\"}]}}]}\n\n", "a", 1, "no terminator");
    check_bytes(&llm_dialect_gemini, "data: {\"candidates\":[{\"content\":{"
        "\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"}]}\n\n",
        "a", 1, NULL);
}


static void
test_errors(void **state)
{
    (void) state;

    check_bytes(&llm_dialect_openai, CHUNK("\"content\":\"a\"")
        "data: {\"error\":{\"message\":\"sk-1\",\"type\":\"overloaded\"}}\n\n"
        "data: [DONE]\n\n", "a", 1, "error event: overloaded");
    check_bytes(&llm_dialect_anthropic, "event: error\ndata: {\"type\":"
        "\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
        "\"x\"}}\n\n", "", 0, "error event: overloaded_error");
    check_bytes(&llm_dialect_simple, "data: {\"error\":\"no\",\"code\":"
        "\"rate\",\"done\":true}\n\n", "", 0, "error event: rate");
    check_bytes(&llm_dialect_simple, "data: {\"error\":\"no\",\"code\":null,"
        "\"done\":true}\n\n", "", 0, "error event");
    check_bytes(&llm_dialect_typed, "data: {\"type\":\"error\",\"data\":{"
        "\"message\":\"x\",\"type\":\"server_error\",\"code\":null}}\n\n",
        "", 0, "error event: server_error");

    /* words of a server go to a terminal */

    check_bytes(&llm_dialect_openai, "data: {\"error\":{\"message\":\"m\","
        "\"type\":\"\xc2\x9b" "31m\"}}\n\n", "", 0, "error event: ??31m");
}


static void
test_bad(void **state)
{
    size_t                i;
    const llm_dialect_t  *d;

    (void) state;

    check_bytes(&llm_dialect_openai, CHUNK("\"content\":\"a\"")
                "data: {\"choices\":[\n\n", "a", 1, "invalid event");
    check_bytes(&llm_dialect_openai, CHUNK("\"content\":\"\xff\""), "", 0,
                "event is not UTF-8");
    check_bytes(&llm_dialect_simple, "data: {\"content\":\"a\"} x\n\n", "", 0,
                "invalid event");
    check_bytes(&llm_dialect_typed, "data: {\"type\":\"token\"}\n\n", "", 0,
                "invalid event");
    check_bytes(&llm_dialect_typed, "data: [1]\n\n", "", 0, "invalid event");

    for (i = 0; llm_dialect_at(i) != NULL; i++) {
        d = llm_dialect_at(i);
        cut(&(decode_case_t) { d, (const llm_u8 *) "", 0, "", 0, -1,
                               "no event" }, "nothing", NULL, 0);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_encoded),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_bad)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
