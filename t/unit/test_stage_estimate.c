/*
 * The estimate of tokens: what a script costs, that pieces add up to the
 * whole, and that escaping changes nothing; the stage in a flow.
 */

#include "flow_chunks.h"
#include "llm_estimate.h"
#include "llm_utf8.h"


/* with the tokens that tokenizers of byte pairs make of them, roughly */
static const struct {
    const char  *text;
    double       tokens;
} texts[] = {
    { "The quick brown fox jumps over the lazy dog.", 10 },
    { "Language models read and write text in tokens, which are pieces of "
      "words that often occur together.", 19 },
    { "\xd0\xaf\xd0\xb7\xd1\x8b\xd0\xba\xd0\xbe\xd0\xb2\xd1\x8b\xd0\xb5 "
      "\xd0\xbc\xd0\xbe\xd0\xb4\xd0\xb5\xd0\xbb\xd0\xb8 "
      "\xd1\x87\xd0\xb8\xd1\x82\xd0\xb0\xd1\x8e\xd1\x82 "
      "\xd1\x82\xd0\xb5\xd0\xba\xd1\x81\xd1\x82.", 10 },
    { "\xe6\x88\x91\xe4\xbb\xac\xe4\xbb\x8a\xe5\xa4\xa9\xe5\x8e\xbb"
      "\xe5\x85\xac\xe5\x9b\xad\xe3\x80\x82", 7 },
    { "\xec\x95\x88\xeb\x85\x95\xed\x95\x98\xec\x84\xb8\xec\x9a\x94", 4 },
    { "\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7 "
      "\xd8\xa8\xd8\xa7\xd9\x84\xd8\xb9\xd8\xa7\xd9\x84\xd9\x85", 5 },
    { "\xf0\x9f\x98\x80\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7", 7 },
    { "for (i = 0; i < n; i++) {\n    sum += a[i];\n}\n", 21 },
    { "3.14159265358979", 7 }
};


static void
test_figures(void **state)
{
    size_t  i;
    double  got;

    (void) state;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        got = (double) llm_estimate((const llm_u8 *) texts[i].text,
                                    strlen(texts[i].text)) / 1000;

        if (got < texts[i].tokens * 0.6 || got > texts[i].tokens * 1.6) {
            fail_msg("row %zu: %.1f, not about %.0f", i, got,
                     texts[i].tokens);
        }
    }

    assert_int_equal(llm_estimate(NULL, 0), 0);
    assert_int_equal(llm_estimate((const llm_u8 *) "aaaa", 4), 960);
}


static void
test_cuts(void **state)
{
    size_t         i, k, n;
    uint64_t       whole;
    const llm_u8  *p;

    (void) state;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        p = (const llm_u8 *) texts[i].text;
        n = strlen(texts[i].text);
        whole = llm_estimate(p, n);

        for (k = 0; k <= n; k++) {
            assert_int_equal(llm_estimate(p, k) + llm_estimate(p + k, n - k),
                             whole);
        }
    }
}


/* Writes all of a text as \uXXXX; returns the length. */
static size_t
escape_all(llm_u8 *dst, const llm_u8 *p, size_t n)
{
    size_t    i, k, len;
    uint32_t  u;

    len = 0;

    for (i = 0; i < n; i += k) {
        k = p[i] < 0x80 ? 1 : p[i] < 0xe0 ? 2 : p[i] < 0xf0 ? 3 : 4;
        u = k == 1 ? p[i] : k == 2 ? p[i] & 0x1f : k == 3 ? p[i] & 0x0f
                                                          : p[i] & 0x07;

        if (k > 1) {
            u = u << 6 | (p[i + 1] & 0x3f);
        }

        if (k > 2) {
            u = u << 6 | (p[i + 2] & 0x3f);
        }

        if (k > 3) {
            u = u << 6 | (p[i + 3] & 0x3f);
            len += (size_t) sprintf((char *) dst + len, "\\u%04x\\u%04X",
                                    0xd7c0 + (u >> 10),
                                    0xdc00 | (u & 0x3ff));
            continue;
        }

        len += (size_t) sprintf((char *) dst + len, "\\u%04x", u);
    }

    return len;
}


static uint64_t
estimate_at(const llm_u8 *p, size_t n)
{
    llm_slice_t  s;

    s.p = p;
    s.n = n;
    s.escaped = 1;

    return llm_estimate_slice(&s);
}


static void
test_escaped(void **state)
{
    size_t      i, k, n;
    llm_u8      buf[4096], ch[4];
    uint32_t    u;
    uint64_t    whole;
    llm_slice_t s;

    static const char  escapes[] = "\\\"\\\\\\/\\b\\f\\n\\r\\t";

    (void) state;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        n = strlen(texts[i].text);
        whole = llm_estimate((const llm_u8 *) texts[i].text, n);
        n = escape_all(buf, (const llm_u8 *) texts[i].text, n);

        /* between the halves of a pair, too */

        for (k = 0; k <= n; k += 6) {
            assert_int_equal(estimate_at(buf, k)
                             + estimate_at(buf + k, n - k), whole);
        }
    }

    assert_int_equal(estimate_at((const llm_u8 *) escapes, 16),
                     llm_estimate((const llm_u8 *) "\"\\/\b\f\n\r\t", 8));

    /* every character */

    for (u = 1; u <= 0x10ffff; u += u < 0x3000 ? 1 : 97) {
        if ((u & 0xfffff800) == 0xd800) {
            continue;
        }

        n = llm_utf8_put(ch, u);
        whole = llm_estimate(ch, n);
        n = escape_all(buf, ch, n);
        assert_int_equal(estimate_at(buf, n), whole);
    }

    /* what no scanner lets through: only not past the end */

    for (n = 0; n < 6; n++) {
        memcpy(buf, "\\u12x4", 6);
        (void) estimate_at(buf, n);
    }

    s = llm_slice_null;
    assert_int_equal(llm_estimate_slice(&s), 0);
}


static void
test_chat(void **state)
{
    uint64_t      one, two, image;
    llm_chat_t    c;
    llm_alloc_t   a;
    unit_alloc_t  u;

    static const char  short_body[] = "{\"messages\":[{\"role\":\"user\","
        "\"content\":\"hello\"}]}";
    static const char  long_body[] = "{\"messages\":[{\"role\":\"system\","
        "\"content\":\"be\"},{\"role\":\"user\",\"content\":\"hello\"}],"
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}}]}";
    static const char  image_body[] = "{\"messages\":[{\"role\":\"user\","
        "\"content\":[{\"type\":\"text\",\"text\":\"hello\"},{\"type\":"
        "\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}]}]}";

    (void) state;

    a = unit_alloc(&u);

    llm_chat_init(&c, &a, 0);
    assert_int_equal(llm_dialect_openai.read_chat(&c,
                         (const llm_u8 *) short_body, strlen(short_body)),
                     LLM_OK);
    one = llm_estimate_chat(&c);
    llm_chat_free(&c);

    /* the text, and a few for what is around it */

    assert_in_range(one, 5 * 240 + 4000, 5 * 240 + 10000);

    llm_chat_init(&c, &a, 0);
    assert_int_equal(llm_dialect_openai.read_chat(&c,
                         (const llm_u8 *) long_body, strlen(long_body)),
                     LLM_OK);
    two = llm_estimate_chat(&c);
    llm_chat_free(&c);

    assert_true(two > one + 4000 + 8000);

    llm_chat_init(&c, &a, 0);
    assert_int_equal(llm_dialect_openai.read_chat(&c,
                         (const llm_u8 *) image_body, strlen(image_body)),
                     LLM_OK);
    image = llm_estimate_chat(&c);
    llm_chat_free(&c);

    assert_int_equal(image, one + 1000000);
}


/* A whole stream in two pieces; the estimate, and in *o what was written. */
static uint64_t
run_flow(unit_out_t *o, const llm_dialect_t *client, const char *in, size_t n,
    size_t cut, unsigned staged)
{
    uint64_t          output;
    llm_flow_t        f;
    unit_alloc_t      u;
    llm_flow_conf_t   conf;

    static const llm_stage_conf_t  stage = { &llm_stage_estimate, NULL, 1 };

    memset(&conf, 0, sizeof(llm_flow_conf_t));
    conf.upstream = &llm_dialect_openai;
    conf.client = client;
    conf.framing = LLM_FRAMING_SSE;
    conf.max_event = FLOW_PLENTY;
    conf.max_response = FLOW_PLENTY;
    conf.now = FLOW_NOW;
    conf.input = -1;
    conf.alloc = unit_alloc(&u);
    conf.stages = &stage;
    conf.nstages = staged;

    unit_out_init(o, 0, 0);
    assert_int_equal(llm_flow_init(&f, &conf, &o->out), LLM_OK);

    assert_int_equal(llm_flow_feed(&f, (const llm_u8 *) in, cut, 1), LLM_OK);
    assert_int_equal(llm_flow_feed(&f, (const llm_u8 *) in + cut, n - cut,
                                   2), LLM_DONE);
    output = f.stages.output;
    llm_flow_free(&f);
    unit_out_end(o);

    assert_int_equal(u.live, 0);

    return output;
}


#define CALL(args)  CH("{\"tool_calls\":[{\"index\":0,\"id\":\"c\","          \
                       "\"type\":\"function\",\"function\":{\"name\":"      \
                       "\"f\",\"arguments\":\"" args "\"}}]}")

/* All that the model says, whatever it is, counts once; bytes are as ever. */
static void
test_stage(void **state)
{
    size_t       i, cut, n;
    uint64_t     output;
    unit_out_t   o, plain;

    static const llm_dialect_t *const  clients[] = {
        &llm_dialect_openai, &llm_dialect_anthropic, &llm_dialect_simple
    };

    static const char  in[] = ROLE TEXT("ab") TEXT("\\ud83d")
        TEXT("\\ude00") CH("{\"reasoning_content\":\"abc\"}")
        CALL("{\\\"a\\\":1}") FIN("0", "stop") USE DONE;

    (void) state;

    n = sizeof(in) - 1;

    /* five letters, an emoji, {"a":1} */

    output = 5 * 240 + 2000 + 240 + 400 + 5 * 650;

    for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        assert_int_equal(run_flow(&plain, clients[i], in, n, 0, 0), 0);

        for (cut = 0; cut < n - 2; cut++) {
            assert_int_equal(run_flow(&o, clients[i], in, n, cut, 1),
                             output);
            assert_int_equal(o.n, plain.n);
            assert_memory_equal(o.p, plain.p, o.n);
            unit_out_free(&o);
        }

        unit_out_free(&plain);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_escaped),
        cmocka_unit_test(test_chat),
        cmocka_unit_test(test_stage)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
