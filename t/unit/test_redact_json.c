/*
 * The search in tool arguments: at any cut the same, always JSON, every
 * string and number as PCRE2's own search of the whole value says.
 */

#include "unit_support.h"
#include "llm_redact.h"


#define TEXT_MAX  4000

typedef struct {
    unit_alloc_t    unit;
    llm_alloc_t     alloc;
    llm_redact_t    redact;
    uint64_t        counts[4];
    const llm_u8   *p;
    size_t          n;
    const llm_u8   *want;
    size_t          nwant;
} json_case_t;

static const char *const  patterns[] = {
    "a.{0,2}b", "\\d{2,5}", "(?i)true|x", "\\b\\w{3}\\b", "[^a]",
    "\xf0\x9f\x98\x80", "\"{1,3}", "\\\\.", "\xd1\x8f$", "^1", "\xe4\xbd\xa0.",
    "\\x{fffd}", "-1|e5", "\\n", "[\\x00-\\x1f]{1,2}"
};

static const char *const  values[] = {
    "a", "b", "ab", "\\\"", "\\\\", "\\/", "\\n", "\\u0061", "\\u001f", "1",
    "23", "x", " ", "true", "\xd1\x8f", "\xe4\xbd\xa0", "\xf0\x9f\x98\x80",
    "\\ud83d\\ude00", "\\ud83d", "\\ude00", "\\ud83d\\ud83d\\ude00", "{",
    "}", ",", ":", "\\u0000", "\xd9\x84\xd9\x8e", "\\u2028", "\\b", "e\xcc\x81"
};


static void
case_begin(json_case_t *c, size_t rules)
{
    const char        *pattern;
    llm_redact_why_t   why;
    llm_redact_rule_t  rule;

    static const char *const  masks[] = { "***", "\"\\\n", "", "\xd0\x9c" };

    memset(c, 0, sizeof(json_case_t));

    c->alloc = unit_alloc(&c->unit);
    llm_redact_init(&c->redact, &c->alloc);

    while (rules-- != 0) {
        pattern = patterns[unit_random(sizeof(patterns)
                                       / sizeof(patterns[0]))];
        memset(&rule, 0, sizeof(llm_redact_rule_t));

        rule.in = LLM_REDACT_TOOL_ARGS;
        rule.with.p = (const llm_u8 *) masks[unit_random(4)];
        rule.with.n = strlen((const char *) rule.with.p);

        assert_int_equal(llm_redact_regex(&c->redact, &rule,
                                          (const llm_u8 *) pattern,
                                          strlen(pattern), &why), LLM_OK);
    }
}


static void
case_end(json_case_t *c)
{
    llm_redact_free(&c->redact);
    assert_int_equal(c->unit.live, 0);
}


static llm_rc_t
run(json_case_t *c, llm_block_t *out, const size_t *cuts, size_t k)
{
    size_t             i, from, to;
    llm_u8            *copy;
    llm_rc_t           rc;
    llm_redact_run_t   r;
    llm_redact_json_t  j;

    memset(out, 0, sizeof(llm_block_t));
    memset(&j, 0, sizeof(llm_redact_json_t));
    j.text.in = LLM_REDACT_TOOL_ARGS;

    rc = llm_redact_open(&r, &c->redact, &c->alloc, c->counts);
    assert_int_equal(rc, LLM_OK);

    for (i = 0, from = 0; i <= k && rc == LLM_OK; i++) {
        to = i < k ? cuts[i] : c->n;

        if (i < k && (c->p[to] & 0xc0) == 0x80) {
            continue;
        }

        copy = unit_copy(c->p + from, to - from);
        rc = llm_redact_json(&r, &j, copy, to - from, i == k, out);
        free(copy);
        from = to;
    }

    llm_redact_json_free(&r, &j);
    llm_redact_close(&r);

    return rc;
}


static void
case_cut(void *ctx, const char *what, const size_t *cuts, size_t k)
{
    json_case_t  *c;
    llm_block_t   out;

    c = ctx;
    assert_int_equal(run(c, &out, cuts, k), LLM_OK);

    if (out.n != c->nwant
        || (out.n != 0 && memcmp(out.p, c->want, out.n) != 0))
    {
        fail_msg("%s: of %.*s\n--- %.*s\n--- %.*s", what, (int) c->n,
                 (const char *) c->p, (int) c->nwant, (const char *) c->want,
                 (int) out.n, (const char *) out.p);
    }

    llm_block_free(&out, &c->alloc);
}


static void
random_string(char *p)
{
    unsigned  n;

    (void) strcat(p, "\"");

    for (n = unit_random(7); n != 0; n--) {
        (void) strcat(p, values[unit_random(sizeof(values)
                                            / sizeof(values[0]))]);
    }

    (void) strcat(p, "\"");
}


static void
random_value(char *p, unsigned depth)
{
    unsigned  i, n, kind;

    static const char *const  scalars[] = {
        "true", "false", "null", "0", "-1.5e5", "1234567", "11.25", "1E-2"
    };

    static const char *const  spaces[] = { "", "", " ", "\n\t" };

    kind = unit_random(depth < 4 && strlen(p) < TEXT_MAX / 2 ? 5 : 3);

    if (kind < 2) {
        random_string(p);
        return;
    }

    if (kind == 2) {
        (void) strcat(p, scalars[unit_random(8)]);
        return;
    }

    (void) strcat(p, kind == 3 ? "{" : "[");

    for (i = 0, n = unit_random(5); i < n; i++) {
        (void) strcat(p, i != 0 ? "," : "");
        (void) strcat(p, spaces[unit_random(4)]);

        if (kind == 3) {
            (void) sprintf(p + strlen(p), "\"k%u\\\"a\":%s", i,
                           spaces[unit_random(4)]);
        }

        random_value(p, depth + 1);
    }

    (void) strcat(p, kind == 3 ? "}" : "]");
}


/* What the text of a value becomes, by a search of it alone. */
static char *
masked(json_case_t *c, const char *text, size_t n, size_t *len)
{
    char              *copy;
    llm_block_t        out;
    llm_redact_run_t   r;
    llm_redact_text_t  t;

    memset(&out, 0, sizeof(llm_block_t));
    memset(&t, 0, sizeof(llm_redact_text_t));
    t.in = LLM_REDACT_TOOL_ARGS;

    assert_int_equal(llm_redact_open(&r, &c->redact, &c->alloc, c->counts),
                     LLM_OK);
    assert_int_equal(llm_redact_feed(&r, &t, (const llm_u8 *) text, n, 1,
                                     &out), LLM_OK);
    llm_redact_text_free(&r, &t);
    llm_redact_close(&r);

    *len = out.n;
    copy = calloc(1, *len + 1);

    if (*len != 0) {
        memcpy(copy, out.p, *len);
    }

    llm_block_free(&out, &c->alloc);

    return copy;
}


/* Compares a value with what it became. */
static void
compare(json_case_t *c, json_t *before, json_t *after)
{
    char        *text;
    size_t       i, n;
    json_t      *v;
    const char  *key;

    if (json_is_object(before)) {
        assert_int_equal(json_object_size(before), json_object_size(after));

        json_object_foreach(before, key, v) {
            compare(c, v, json_object_get(after, key));
        }

        return;
    }

    if (json_is_array(before)) {
        n = json_array_size(before);
        assert_int_equal(n, json_array_size(after));

        for (i = 0; i < n; i++) {
            compare(c, json_array_get(before, i), json_array_get(after, i));
        }

        return;
    }

    if (json_is_string(before)) {
        text = masked(c, json_string_value(before),
                      json_string_length(before), &n);
        assert_true(json_is_string(after));
        assert_int_equal(n, json_string_length(after));
        assert_memory_equal(text, json_string_value(after), n);
        free(text);
        return;
    }

    /* a number or a word: itself, or a string */

    assert_true(json_is_string(after) || json_equal(before, after));
}


static void
test_random(void **state)
{
    char          text[TEXT_MAX * 3];
    size_t        i;
    json_t       *before, *after;
    json_case_t   c;
    llm_block_t   out;
    json_error_t  error;

    (void) state;

    for (i = 0; i < 150; i++) {
        case_begin(&c, 1 + unit_random(3));

        text[0] = '\0';
        random_value(text, 0);
        c.p = (const llm_u8 *) text;
        c.n = strlen(text);

        assert_int_equal(run(&c, &out, NULL, 0), LLM_OK);
        c.want = out.p;
        c.nwant = out.n;

        before = unit_parse(c.p, c.n, &error);
        assert_non_null(before);
        after = unit_parse(out.p, out.n, &error);

        if (after == NULL) {
            fail_msg("no JSON: %s: of %s\n%.*s", error.text, text,
                     (int) out.n, (const char *) out.p);
        }

        compare(&c, before, after);
        json_decref(before);
        json_decref(after);

        unit_all_cuts("arguments", c.n, case_cut, &c);

        llm_block_free(&out, &c.alloc);
        case_end(&c);
    }
}


/* Anything at all: no crash, and the same at every cut. */
static void
test_noise(void **state)
{
    char         text[TEXT_MAX];
    size_t       i;
    unsigned     n;
    json_case_t  c;
    llm_block_t  out;

    static const char *const  bits[] = {
        "{", "}", "[", "]", ":", ",", "\"", "\"", "\\", "\\u", "d83d", " ",
        "1", "-", "true", "a", "b", "\xd1\x8f", "\\\"", "\n", "'"
    };

    (void) state;

    for (i = 0; i < 300; i++) {
        case_begin(&c, 1 + unit_random(3));
        text[0] = '\0';

        for (n = unit_random(40); n != 0; n--) {
            (void) strcat(text, bits[unit_random(sizeof(bits)
                                                 / sizeof(bits[0]))]);
        }

        c.p = (const llm_u8 *) text;
        c.n = strlen(text);

        assert_int_equal(run(&c, &out, NULL, 0), LLM_OK);
        c.want = out.p;
        c.nwant = out.n;
        unit_all_cuts("noise", c.n, case_cut, &c);
        llm_block_free(&out, &c.alloc);
        case_end(&c);
    }
}


/* The first n bytes of arguments, with what makes them whole, are JSON. */
static void
check_closed(json_case_t *c, const char *text, size_t n)
{
    json_t            *root;
    llm_block_t        out;
    json_error_t       error;
    llm_redact_run_t   r;
    llm_redact_json_t  j;

    memset(&out, 0, sizeof(llm_block_t));
    memset(&j, 0, sizeof(llm_redact_json_t));
    j.text.in = LLM_REDACT_TOOL_ARGS;

    assert_int_equal(llm_redact_open(&r, &c->redact, &c->alloc, c->counts),
                     LLM_OK);
    assert_int_equal(llm_redact_json(&r, &j, (const llm_u8 *) text, n, 0,
                                     &out), LLM_OK);
    assert_int_equal(llm_redact_json_close(&r, &j, &out), LLM_OK);

    root = unit_parse(out.p, out.n, &error);

    if (root == NULL) {
        fail_msg("%s: %.*s\n%.*s", error.text, (int) n, text, (int) out.n,
                 (const char *) out.p);
    }

    json_decref(root);
    llm_redact_json_free(&r, &j);
    llm_redact_close(&r);
    llm_block_free(&out, &c->alloc);
}


/* Whatever was given so far can be made whole. */
static void
test_close(void **state)
{
    char         text[TEXT_MAX * 3];
    size_t       i, at;
    json_case_t  c;

    (void) state;

    for (i = 0; i < 40; i++) {
        case_begin(&c, 1);
        text[0] = '\0';
        random_value(text, 0);

        for (at = 1; at < strlen(text); at++) {

            if ((text[at] & 0xc0) != 0x80) {
                check_closed(&c, text, at);
            }
        }

        case_end(&c);
    }
}


/* A name that is cut anywhere, also in an escape, can be made whole. */
static void
test_close_name(void **state)
{
    size_t       at;
    json_case_t  c;

    static const char  text[] = "{\"a\\\\\\\"\\u00e9\\u000a\\\\u12\":1}";

    (void) state;

    case_begin(&c, 1);

    for (at = 1; at < sizeof(text); at++) {
        check_closed(&c, text, at);
    }

    case_end(&c);
}


static void
case_rule(json_case_t *c, const char *regex)
{
    llm_redact_why_t   why;
    llm_redact_rule_t  rule;

    case_begin(c, 0);
    memset(&rule, 0, sizeof(llm_redact_rule_t));

    rule.in = LLM_REDACT_TOOL_ARGS;
    rule.with = llm_slice("***");

    assert_int_equal(llm_redact_regex(&c->redact, &rule,
                                      (const llm_u8 *) regex, strlen(regex),
                                      &why), LLM_OK);
}


/* What is no JSON is one text, also where it begins like JSON. */
static void
test_no_json(void **state)
{
    size_t       i, n;
    json_case_t  c;
    llm_block_t  out;

    static const char *const  texts[] = {
        "41 42", "***", "41  42", "41  42", "[1,41 42]", "[1,***]",
        "{\"a\":41 42", "{\"a\":***", "41\n42", "41\n42", "x 41 42", "x ***",
        "true 41 42", "true ***", "[41 ,\"41 42\" ]", "[41 ,\"***\" ]",
        "[43 , 42]", "[\"***\" , 42]", " 43 ", " \"***\" "
    };

    (void) state;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i += 2) {
        case_rule(&c, "41 42|43");

        c.p = (const llm_u8 *) texts[i];
        c.n = strlen(texts[i]);
        n = strlen(texts[i + 1]);

        assert_int_equal(run(&c, &out, NULL, 0), LLM_OK);

        if (out.n != n || memcmp(out.p, texts[i + 1], n) != 0) {
            fail_msg("%s: %.*s", texts[i], (int) out.n, (char *) out.p);
        }

        c.want = out.p;
        c.nwant = out.n;
        unit_all_cuts(texts[i], c.n, case_cut, &c);

        llm_block_free(&out, &c.alloc);
        case_end(&c);
    }
}


/* A model that writes spaces for ever ends nothing. */
static void
test_spaces(void **state)
{
    char         text[TEXT_MAX];
    json_case_t  c;
    llm_block_t  out;

    (void) state;

    case_rule(&c, "41");

    (void) snprintf(text, sizeof(text), "[1%2500s,2%700s]", "", "");

    c.p = (const llm_u8 *) text;
    c.n = strlen(text);

    assert_int_equal(run(&c, &out, NULL, 0), LLM_OK);
    c.want = c.p;
    c.nwant = c.n;
    case_cut(&c, "spaces", NULL, 0);
    llm_block_free(&out, &c.alloc);
    case_end(&c);
}


/* What begins like a number and goes on for ever is no JSON. */
static void
test_long(void **state)
{
    char         text[TEXT_MAX], want[TEXT_MAX];
    size_t       i, n;
    json_case_t  c;

    static const char *const  begins[] = {
        "2024", "-", "[1,t", "{\"a\":nope", "41"
    };

    (void) state;

    for (i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        case_rule(&c, "(?<=\xe5\xb9\xb4)41");

        n = (size_t) sprintf(text, "%s", begins[i]);

        while (n < 2048) {
            n += (size_t) sprintf(text + n, "\xe5\xb9\xb4");
        }

        memcpy(want, text, n);
        (void) sprintf(text + n, "41 , \"41\"");
        (void) sprintf(want + n, "*** , \"41\"");

        c.p = (const llm_u8 *) text;
        c.n = strlen(text);
        c.want = (const llm_u8 *) want;
        c.nwant = strlen(want);
        unit_all_cuts(begins[i], c.n, case_cut, &c);
        case_end(&c);
    }
}


/* A number is JSON however long it is, and so are the escapes behind it: they
 * would hide what is looked for. */
static void
test_long_number(void **state)
{
    char         text[TEXT_MAX];
    size_t       i, cut;
    json_case_t  c;
    llm_block_t  out;

    (void) state;

    for (i = 1024; i < 1027; i++) {
        case_rule(&c, "41");

        c.p = (const llm_u8 *) text;
        c.n = (size_t) sprintf(text, "[-%0*d,\"4\\u0031\"]", (int) i - 1, 0);

        for (cut = 1020; cut < 1030; cut++) {
            assert_int_equal(run(&c, &out, &cut, 1),
                             i == 1024 ? LLM_OK : LLM_TOO_BIG);
            llm_block_free(&out, &c.alloc);
        }

        case_end(&c);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_close_name),
        cmocka_unit_test(test_no_json),
        cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_long_number),
    };

    unit_seed();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
