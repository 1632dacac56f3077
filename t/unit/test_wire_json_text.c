/*
 * Around the JSON scanner: skipping, depth, comparing names, decoding and
 * counting the inside of strings, whole numbers.
 */

#include "unit_json.h"
#include "llm_utf8.h"
#include "llm_write.h"


static void
start(llm_json_t *j, const char *doc, unsigned max_depth)
{
    llm_json_init(j, (const llm_u8 *) doc, strlen(doc), max_depth);
}


static void
expect_raw(const llm_slice_t *raw, const char *want)
{
    if (raw->n != strlen(want) || memcmp(raw->p, want, raw->n) != 0) {
        fail_msg("\"%.*s\", not \"%s\"", (int) raw->n, raw->p, want);
    }

    assert_int_equal(raw->escaped, 0);
}


/* Each kind of value is skipped from its first to its last byte. */
static void
test_skip(void **state)
{
    size_t       i;
    llm_json_t   j;
    llm_slice_t  raw;

    static const struct {
        const char       *text;
        llm_json_type_t   type;
    } rows[] = {
        { "{}", LLM_JSON_OBJECT },
        { "{\"a\" : [1,{\"b\":\"]}\"}] }", LLM_JSON_OBJECT },
        { "[]", LLM_JSON_ARRAY },
        { "[[[]],{}]", LLM_JSON_ARRAY },
        { "\"a\\\"b\"", LLM_JSON_STRING },
        { "\"\"", LLM_JSON_STRING },
        { "\"0123456789abcdef0123456789abcdef\"", LLM_JSON_STRING },
        { "-1.5e+3", LLM_JSON_NUMBER },
        { "0", LLM_JSON_NUMBER },
        { "12345678901234567890", LLM_JSON_NUMBER },
        { "true", LLM_JSON_TRUE },
        { "false", LLM_JSON_FALSE },
        { "null", LLM_JSON_NULL }
    };

    char  doc[128];

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void) snprintf(doc, sizeof(doc), " [ %s\n, %s ]", rows[i].text,
                        rows[i].text);

        start(&j, doc, 0);
        assert_int_equal(llm_json_next(&j), LLM_JSON_ARRAY);
        assert_int_equal(llm_json_skip(&j, &raw), rows[i].type);
        expect_raw(&raw, rows[i].text);
        assert_int_equal(j.depth, 1);
        assert_int_equal(llm_json_skip(&j, &raw), rows[i].type);
        expect_raw(&raw, rows[i].text);
        assert_int_equal(llm_json_skip(&j, &raw), LLM_JSON_ARRAY_END);
        assert_int_equal(llm_json_next(&j), LLM_JSON_END);

        /* as a member, and as the whole */

        (void) snprintf(doc, sizeof(doc), "{\"k\":%s}", rows[i].text);

        start(&j, doc, 0);
        assert_int_equal(llm_json_next(&j), LLM_JSON_OBJECT);
        assert_int_equal(llm_json_next(&j), LLM_JSON_KEY);
        assert_int_equal(llm_json_skip(&j, &raw), rows[i].type);
        expect_raw(&raw, rows[i].text);
        assert_int_equal(llm_json_next(&j), LLM_JSON_OBJECT_END);
        assert_int_equal(llm_json_next(&j), LLM_JSON_END);

        start(&j, rows[i].text, 0);
        assert_int_equal(llm_json_skip(&j, &raw), rows[i].type);
        expect_raw(&raw, rows[i].text);
        assert_int_equal(llm_json_next(&j), LLM_JSON_END);
    }
}


static void
test_skip_rest(void **state)
{
    llm_json_t   j;
    llm_slice_t  raw;

    (void) state;

    start(&j, "{\"a\":[1,[2,3]],\"b\":{\"c\":{}},\"d\":0}", 0);

    assert_int_equal(llm_json_next(&j), LLM_JSON_OBJECT);
    assert_int_equal(llm_json_next(&j), LLM_JSON_KEY);
    assert_int_equal(llm_json_next(&j), LLM_JSON_ARRAY);
    assert_int_equal(llm_json_skip_rest(&j, &raw), LLM_JSON_ARRAY);
    expect_raw(&raw, "[1,[2,3]]");

    assert_int_equal(llm_json_next(&j), LLM_JSON_KEY);
    assert_int_equal(llm_json_next(&j), LLM_JSON_OBJECT);
    assert_int_equal(llm_json_skip_rest(&j, &raw), LLM_JSON_OBJECT);
    expect_raw(&raw, "{\"c\":{}}");

    assert_int_equal(llm_json_next(&j), LLM_JSON_KEY);
    assert_true(llm_json_is(&j.tok, "d"));
    assert_int_equal(llm_json_skip(&j, &raw), LLM_JSON_NUMBER);
    assert_int_equal(llm_json_next(&j), LLM_JSON_OBJECT_END);
    assert_int_equal(llm_json_next(&j), LLM_JSON_END);
}


static const struct {
    const char   *text;
    llm_rc_t      error;
} wrong[] = {
    { "", LLM_AGAIN },
    { "  ", LLM_AGAIN },
    { "{\"a\":[1,}", LLM_INVALID },
    { "[1,]", LLM_INVALID },
    { "[1", LLM_AGAIN },
    { "[1 2]", LLM_INVALID },
    { "[}", LLM_INVALID },
    { "{]", LLM_INVALID },
    { "{,}", LLM_INVALID },
    { "{\"a\",1}", LLM_INVALID },
    { "{\"a\" 1}", LLM_INVALID },
    { "{\"a\":1,}", LLM_INVALID },
    { "{\"a\":,}", LLM_INVALID },
    { "{\"a\":1 \"b\":2}", LLM_INVALID },
    { "{\"a\":\"\x01\"}", LLM_INVALID },
    { "{1:2}", LLM_INVALID },
    { "{\"a\"", LLM_AGAIN },
    { "{\"a\":", LLM_AGAIN },
    { "{\"a\":1,", LLM_AGAIN },
    { "[tru", LLM_AGAIN },
    { "[trux]", LLM_INVALID },
    { "[nul ]", LLM_INVALID },
    { "[falsE]", LLM_INVALID },
    { "[[[[", LLM_TOO_DEEP },
    { "[[[{", LLM_TOO_DEEP },
    { "]", LLM_INVALID },
    { ",", LLM_INVALID },
    { ":", LLM_INVALID }
};


/* Skipping validates: what is wrong inside a skipped value is found. */
static void
test_skip_errors(void **state)
{
    size_t       i;
    llm_json_t   j;
    llm_slice_t  raw;

    (void) state;

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        start(&j, wrong[i].text, 3);

        if (llm_json_skip(&j, &raw) != LLM_JSON_ERROR
            || j.error != wrong[i].error)
        {
            fail_msg("%s: error %d", wrong[i].text, j.error);
        }

        assert_int_equal(llm_json_skip(&j, &raw), LLM_JSON_ERROR);
        assert_int_equal(llm_json_next(&j), LLM_JSON_ERROR);
        assert_int_equal(j.error, wrong[i].error);
        assert_null(j.tok.p);
    }

    /* two values: the second is the error */

    start(&j, "1 2", 0);
    assert_int_equal(llm_json_skip(&j, &raw), LLM_JSON_NUMBER);
    assert_int_equal(llm_json_next(&j), LLM_JSON_ERROR);
    assert_int_equal(j.error, LLM_INVALID);
    assert_int_equal(j.p - raw.p, 2);

    start(&j, "{} ,", 0);
    assert_int_equal(llm_json_skip(&j, &raw), LLM_JSON_OBJECT);
    assert_int_equal(llm_json_next(&j), LLM_JSON_ERROR);
    assert_int_equal(j.error, LLM_INVALID);
}


/* n containers open, of both kinds by a pattern, then all closed again. */
static llm_rc_t
nested(unsigned n, uint32_t pattern, unsigned max_depth)
{
    size_t    k;
    llm_u8   *doc, *p;
    llm_rc_t  rc;
    unsigned  i;

    doc = malloc(n * 6 + 1);
    assert_non_null(doc);
    p = doc;

    for (i = 0; i < n; i++) {
        k = pattern >> (i % 32) & 1;
        memcpy(p, k ? "{\"\":" : "[", k ? 4 : 1);
        p += k ? 4 : 1;
    }

    *p++ = '0';

    for (i = n; i-- != 0; /* void */) {
        *p++ = pattern >> (i % 32) & 1 ? '}' : ']';
    }

    rc = json_verdict(doc, (size_t) (p - doc), max_depth);

    /* one bracket of the wrong kind anywhere is found */

    if (rc == LLM_OK && n != 0) {
        k = unit_random(n);
        p[-1 - (long) k] ^= ']' ^ '}';
        assert_int_equal(json_verdict(doc, (size_t) (p - doc), max_depth),
                         LLM_INVALID);
    }

    free(doc);

    return rc;
}


static void
test_depth(void **state)
{
    size_t    i, k;
    unsigned  n, max;

    static const uint32_t  patterns[] = {
        0, 0xffffffff, 0x55555555, 0xcccccccc, 0x80000001, 0x7ffffffe
    };

    /* asked for, and what it then is */
    static const unsigned  bounds[][2] = {
        { 0, LLM_JSON_DEPTH },
        { 1, 1 },
        { 31, 31 },
        { 32, 32 },
        { 33, 33 },
        { LLM_JSON_DEPTH_MAX, LLM_JSON_DEPTH_MAX },
        { LLM_JSON_DEPTH_MAX + 1, LLM_JSON_DEPTH_MAX },
        { UINT32_MAX, LLM_JSON_DEPTH_MAX }
    };

    (void) state;

    for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        for (k = 0; k < sizeof(bounds) / sizeof(bounds[0]); k++) {
            max = bounds[k][1];

            for (n = max > 40 ? max - 40 : 0; n <= max; n++) {
                assert_int_equal(nested(n, patterns[i], bounds[k][0]),
                                 LLM_OK);
            }

            assert_int_equal(nested(max + 1, patterns[i], bounds[k][0]),
                             LLM_TOO_DEEP);
        }
    }

    assert_int_equal(nested(200000, 0x12345678, 0), LLM_TOO_DEEP);
}


static void
test_nothing(void **state)
{
    llm_u8       byte;
    llm_json_t   j;
    llm_slice_t  s;

    (void) state;

    llm_json_init(&j, NULL, 0, 0);
    assert_int_equal(llm_json_next(&j), LLM_JSON_ERROR);
    assert_int_equal(j.error, LLM_AGAIN);

    s = llm_slice_null;
    assert_true(llm_json_eq(&s, "", 0));
    assert_false(llm_json_is(&s, "a"));
    s.escaped = 1;
    assert_true(llm_json_eq(&s, "", 0));
    assert_false(llm_json_is(&s, "a"));
    assert_int_equal(llm_json_unescape(&byte, NULL, 0), 0);
    assert_int_equal(llm_json_chars(NULL, 0), 0);
    assert_int_equal(llm_json_uint(&s), -1);
}


static const struct {
    const char  *in;
    const char  *out;
    size_t       n;         /* of out */
    size_t       chars;
} inside[] = {
    { "plain", "plain", 5, 5 },
    { "\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8, 8 },
    { "a\\u0041b", "aAb", 3, 3 },
    { "\\u0000", "\0", 1, 1 },
    { "\\u00e9\\u20AC", "\xc3\xa9\xe2\x82\xac", 5, 2 },
    { "\\ud83d\\ude00", "\xf0\x9f\x98\x80", 4, 1 },
    { "x\\uD83D\\uDE00y", "x\xf0\x9f\x98\x80y", 6, 3 },
    { "\\udbff\\udfff", "\xf4\x8f\xbf\xbf", 4, 1 },
    { "\\ud83d", "\xef\xbf\xbd", 3, 1 },
    { "\\ude00", "\xef\xbf\xbd", 3, 1 },
    { "\\ude00\\ud83d", "\xef\xbf\xbd\xef\xbf\xbd", 6, 2 },
    { "\\ud83d\\ud83d\\ude00", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7, 2 },
    { "\\ud83d\\n", "\xef\xbf\xbd\n", 4, 2 },
    { "\\ud83dx", "\xef\xbf\xbdx", 4, 2 },
    { "\\ud83d\\u0041", "\xef\xbf\xbd" "A", 4, 2 },
    { "\xe4\xb8\xad\\n\xf0\x9f\x98\x80", "\xe4\xb8\xad\n\xf0\x9f\x98\x80",
      8, 3 },

    /* never valid, but nothing may be read or written out of bounds */

    { "a\\", "a\\", 2, 2 },
    { "\\u12", "\\u12", 4, 4 },
    { "\\u12x4", "\\u12x4", 6, 6 },
    { "\\x", "\\x", 2, 2 },
    { "\\ud83d\\", "\xef\xbf\xbd\\", 4, 2 },
    { "\\ud83d\\ude0", "\xef\xbf\xbd\\ude0", 8, 6 }
};


/* The inside of a string, what it decodes to, its characters. */
static void
test_unescape(void **state)
{
    size_t       i, n;
    llm_u8       out[64], *in;
    llm_slice_t  tok;

    (void) state;

    for (i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        n = strlen(inside[i].in);
        in = unit_copy(inside[i].in, n);

        assert_int_equal(llm_json_unescape(out, in, n), inside[i].n);
        assert_memory_equal(out, inside[i].out, inside[i].n);
        assert_int_equal(llm_json_chars(in, n), inside[i].chars);

        memcpy(out, in, n);
        assert_int_equal(llm_json_unescape(out, out, n), inside[i].n);
        assert_memory_equal(out, inside[i].out, inside[i].n);

        tok.p = in;
        tok.n = n;
        tok.escaped = memchr(in, '\\', n) != NULL;

        /* a lone half equals nothing, not even what replaces it */

        assert_int_equal(llm_json_eq(&tok, inside[i].out, inside[i].n),
                         strstr(inside[i].out, "\xef\xbf\xbd") == NULL);
        assert_false(llm_json_eq(&tok, inside[i].out, inside[i].n - 1));

        (void) memcpy(out, inside[i].out, inside[i].n);
        out[inside[i].n] = 'z';
        assert_false(llm_json_eq(&tok, (char *) out, inside[i].n + 1));
        out[inside[i].n - 1] ^= 1;
        assert_false(llm_json_eq(&tok, (char *) out, inside[i].n));

        free(in);
    }
}


static void
test_names(void **state)
{
    llm_json_t  j;

    (void) state;

    start(&j, "{\"content\":1,\"c\\u006Fntent\":2,\"Content\":3,"
              "\"content\\u0000\":4,\"\":5}", 0);

    assert_int_equal(llm_json_next(&j), LLM_JSON_OBJECT);

    assert_int_equal(llm_json_next(&j), LLM_JSON_KEY);
    assert_true(llm_json_is(&j.tok, "content"));
    assert_false(llm_json_is(&j.tok, "conten"));
    assert_false(llm_json_is(&j.tok, "contents"));
    assert_int_equal(llm_json_next(&j), LLM_JSON_NUMBER);

    assert_int_equal(llm_json_next(&j), LLM_JSON_KEY);
    assert_int_equal(j.tok.escaped, 1);
    assert_true(llm_json_is(&j.tok, "content"));
    assert_int_equal(llm_json_next(&j), LLM_JSON_NUMBER);

    assert_int_equal(llm_json_next(&j), LLM_JSON_KEY);
    assert_false(llm_json_is(&j.tok, "content"));
    assert_int_equal(llm_json_next(&j), LLM_JSON_NUMBER);

    assert_int_equal(llm_json_next(&j), LLM_JSON_KEY);
    assert_false(llm_json_is(&j.tok, "content"));
    assert_true(llm_json_is(&j.tok, "content\0"));
    assert_int_equal(llm_json_next(&j), LLM_JSON_NUMBER);

    assert_int_equal(llm_json_next(&j), LLM_JSON_KEY);
    assert_true(llm_json_is(&j.tok, ""));
}


static void
test_uint(void **state)
{
    size_t       i;
    llm_slice_t  tok;

    static const struct {
        const char  *text;
        int64_t      v;
    } rows[] = {
        { "0", 0 },
        { "7", 7 },
        { "1770853433", 1770853433 },
        { "9223372036854775807", INT64_MAX },
        { "9223372036854775808", -1 },
        { "9223372036854775810", -1 },
        { "99999999999999999999999", -1 },
        { "-1", -1 },
        { "-0", -1 },
        { "1.0", -1 },
        { "1e3", -1 },
        { "1:", -1 },
        { "/1", -1 }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tok.p = (const llm_u8 *) rows[i].text;
        tok.n = strlen(rows[i].text);
        tok.escaped = 0;
        assert_int_equal(llm_json_uint(&tok), rows[i].v);
    }
}


/* unescape(escape(x)) is x, whatever the bytes; its length is as counted. */
static void
test_round_trip(void **state)
{
    size_t      i, k, n, len;
    llm_u8      p[100], back[1000];
    unit_out_t  o;

    (void) state;

    for (i = 0; i < 50000; i++) {
        n = unit_random(sizeof(p));

        for (k = 0; k < n; k++) {
            p[k] = (llm_u8) unit_random(unit_random(2) ? 128 : 256);
        }

        unit_out_init(&o, 0, 0);
        llm_write_escaped(&o.out, p, n);
        unit_out_end(&o);
        assert_true(o.n <= sizeof(back));

        len = llm_json_unescape(back, o.p, o.n);
        assert_int_equal(len, n);
        assert_memory_equal(back, p, n);

        if (!(llm_utf8_check(p, n) & LLM_UTF8_INVALID)) {
            assert_int_equal(llm_json_chars(o.p, o.n), llm_utf8_count(p, n));
        }

        unit_out_free(&o);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_skip_rest),
        cmocka_unit_test(test_skip_errors),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_uint),
        cmocka_unit_test(test_round_trip)
    };

    (void) unit_seed();

    return cmocka_run_group_tests_name("wire_json_text", tests, NULL, NULL);
}
