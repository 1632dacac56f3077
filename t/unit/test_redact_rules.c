/*
 * The rules: how long a pattern's match can be, what is refused, and lists of
 * words.
 */

#include "unit_support.h"
#include "llm_redact.h"


typedef struct {
    unit_alloc_t  unit;
    llm_alloc_t   alloc;
    llm_redact_t  redact;
    uint64_t      counts[4];
} rules_t;


static void
rules_begin(rules_t *r)
{
    memset(r, 0, sizeof(rules_t));

    r->alloc = unit_alloc(&r->unit);
    llm_redact_init(&r->redact, &r->alloc);
}


static void
rules_end(rules_t *r)
{
    llm_redact_free(&r->redact);
    assert_int_equal(r->unit.live, 0);
}


static llm_redact_rule_t
rule(size_t max)
{
    llm_redact_rule_t  one;

    memset(&one, 0, sizeof(llm_redact_rule_t));

    one.name = llm_slice("rule");
    one.with = llm_slice("#");
    one.in = LLM_REDACT_CONTENT;
    one.max = max;

    return one;
}


/* The text through the search, whole and byte by byte, must be `want`. */
static void
text_is(rules_t *r, const char *text, const char *want)
{
    size_t             i, n, at;
    unsigned           bytes;
    llm_block_t        out;
    llm_redact_run_t   run;
    llm_redact_text_t  t;

    n = strlen(text);

    for (bytes = 0; bytes < 2; bytes++) {
        memset(&out, 0, sizeof(llm_block_t));
        memset(&t, 0, sizeof(llm_redact_text_t));
        t.in = LLM_REDACT_CONTENT;

        assert_int_equal(llm_redact_open(&run, &r->redact, &r->alloc,
                                         r->counts), LLM_OK);

        for (at = 0; at < n && bytes; at = i) {
            for (i = at + 1; (text[i] & 0xc0) == 0x80; i++) { /* void */ }

            assert_int_equal(llm_redact_feed(&run, &t,
                                 (const llm_u8 *) text + at, i - at, 0, &out),
                             LLM_OK);
        }

        assert_int_equal(llm_redact_feed(&run, &t, (const llm_u8 *) text,
                                         bytes ? 0 : n, 1, &out), LLM_OK);
        assert_int_equal(llm_block_append(&out, &r->alloc, "", 1), LLM_OK);
        assert_string_equal((char *) out.p, want);

        llm_redact_text_free(&run, &t);
        llm_redact_close(&run);
        llm_block_free(&out, &r->alloc);
    }
}


static void
bound_is(const char *pattern, long want)
{
    llm_rc_t            rc;
    llm_redact_bound_t  bound;

    rc = llm_redact_bound((const llm_u8 *) pattern, strlen(pattern), &bound);

    if (rc == LLM_OK ? want != (long) bound.max
                     : rc == LLM_AGAIN ? want != -1 : want != -2)
    {
        fail_msg("/%s/: rc %d, %zu, not %ld", pattern, rc, bound.max, want);
    }
}


static void
test_bounds(void **state)
{
    size_t  i;

    static const struct {
        const char  *pattern;
        long         bound;         /* -1: none; -2: refused */
    } cases[] = {
        { "abc", 3 }, { "a|bcd|ef", 3 }, { "a{3}b?", 4 }, { "a{2,5}?", 5 },
        { "(a|bc){2,3}+x", 7 }, { "(?:ab){0}c", 1 }, { "a{2}{3}", 6 },
        { "[]a]{2}", 2 }, { "[^]a]b", 2 }, { "[[:alpha:]]b", 2 },
        { "[a\\]b]c", 2 }, { "[\\Q]\\E]c", 2 }, { "\\Qa*b\\Ec", 4 },
        { "\\x{1f600}\\x41\\o{101}\\101", -1 }, { "\\x{1f600}\\x41", 2 },
        { "\\p{L}\\pN\\P{Lu}", 3 }, { "\\N{2}", 2 }, { "\\N{U+41}b", 2 },
        { "\\cAb", 2 }, { "\\c{2}", 3 }, { "\\R", 2 }, { "\\bx\\b$", 1 },
        { "(?=abc)d(?!e)(?<=f)(?<!gh)", 1 }, { "(?i)a(?-i:b)", 2 },
        { "(?<n>ab)(?'m'c)(?P<o>d)", 4 }, { "(?>ab|c)", 2 },
        { "(?|ab|c)d", 3 }, { "a(?#comment+)b", 2 }, { "a{x}", 4 },
        { "a{,2}b", 7 }, { "a{2, 8}", 14 }, { "a{ 2,\t8 }b", 17 },
        { "a{ 9 }", 14 }, { "a{9 ,}", -1 }, { "a{ }{ , }{,}", 12 },
        { "a{,0}", 5 }, { "a{1, 2}{3}", 24 }, { "a{1, 2}+", -1 },
        { "a(?#b){3}", 3 }, { "a(?#b)+", -1 }, { "ab\\E{3}", 4 },
        { "ab\\Q\\E(?#c)\\E?(?#d){3}", 4 }, { "a\\E+", -1 },
        { "(?:ab\\E)(?#c){3}|\\Ed", 6 }, { "\\Qab\\E(?#c){3}", 6 },
        { "[\\E](?#]{3}", 3 }, { "[\\Q\\E^\\E](?#]{3}", 3 },
        { "[\\c](?#]{3}", 3 }, { "[\\c\\]{3}", 3 }, { "\\xg{3}", 4 },
        { "\\x4g{3}", 4 }, { "\xd1\x8f{3}\xf0\x9f\x98\x80", 4 },
        { "\\+\\*\\(\\[", 4 }, { "(?:\\b)*a", 1 }, { "\\0{3}a", 4 },
        { "a*", -1 }, { "a+", -1 }, { "a{3,}", -1 }, { "(ab?)*", -1 },
        { "\\X", -1 }, { "(a)\\1", -1 }, { "(a)\\g{-1}", -1 },
        { "(?<n>a)\\k<n>", -1 }, { "a(?R)?", -1 }, { "(a)(?1)", -1 },
        { "(?<n>a)(?&n)", -1 }, { "(?P<n>a)(?P>n)(?P=n)", -1 },
        { "(?x) a {3}", -1 }, { "(?(?=a)b|c)", -1 }, { "(?<n>a)\\g'n'", -1 },
        { "(a)(?-1)", -1 }, { "(?i-x:a)", -1 },
        { "\\Ka", -2 }, { "a\\G", -2 }, { "\\C", -2 }, { "a\\Z", -2 },
        { "(*UTF)a", -2 }, { "a(*FAIL)", -2 }, { "a(?C)", -2 },
        { "(?=a\\K)b", -2 }, { "(?x)# [\n\\Ka", -2 },
        { "(?x:a#(\n)\\Ka", -2 }, { "(?x)(?-x)#\\Ka", -2 },
        { "(?x-x)#\\Ka", -2 }, { "(?x:(?^)#\\Ka)", -2 },
        { "(?<=(?1))(a)", -2 }, { "((?<=(?=(?1)|b)..)a)", -2 },
        { "(?<n>a)(?<!(?:\\g<n>))b", -2 }, { "(a)(?<=\\g'1')b", -2 },
        { "(?<n>a)(?<=(?P>n))", -2 }, { "(?<n>a)(?<=(?&n))", -2 },
        { "(?<=(?=a(?R))b)a", -2 }, { "(?<n>a)(?<=(?P=n)\\1\\g1)b", -1 },
        { "(?<=a)(b)(?1)", -1 }, { "(?<n>a)(?=(?<=a)\\g<n>)", -1 },
        { "(?xx)[ ](?#]\\Ka", -2 }, { "(?x)[ ](?#]\\Ka)", -1 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bound_is(cases[i].pattern, cases[i].bound);
    }
}


static void
masked_is(const char *pattern, size_t max, const char *text,
    const char *want)
{
    rules_t            r;
    llm_redact_why_t   why;
    llm_redact_rule_t  one;

    rules_begin(&r);
    one = rule(max);
    assert_int_equal(llm_redact_regex(&r.redact, &one,
                                      (const llm_u8 *) pattern,
                                      strlen(pattern), &why), LLM_OK);
    text_is(&r, text, want);
    rules_end(&r);
}


/* A long text in which nothing matches, in one piece. */
static void
long_is(const char *pattern, size_t max, const char *text, size_t n)
{
    rules_t            r;
    llm_block_t        out;
    llm_redact_run_t   run;
    llm_redact_why_t   why;
    llm_redact_text_t  t;
    llm_redact_rule_t  one;

    rules_begin(&r);
    one = rule(max);
    memset(&out, 0, sizeof(llm_block_t));
    memset(&t, 0, sizeof(llm_redact_text_t));
    t.in = LLM_REDACT_CONTENT;

    assert_int_equal(llm_redact_regex(&r.redact, &one,
                                      (const llm_u8 *) pattern,
                                      strlen(pattern), &why), LLM_OK);
    assert_int_equal(llm_redact_open(&run, &r.redact, &r.alloc, r.counts),
                     LLM_OK);
    assert_int_equal(llm_redact_feed(&run, &t, (const llm_u8 *) text, n, 1,
                                     &out), LLM_OK);
    assert_int_equal(out.n, n);
    assert_memory_equal(out.p, text, n);

    llm_redact_text_free(&run, &t);
    llm_redact_close(&run);
    llm_block_free(&out, &r.alloc);
    rules_end(&r);
}


/* No match is longer than the rule says, wherever it could be. */
static void
test_max(void **state)
{
    (void) state;

    masked_is("\\d+", 3, "1 12 123 1234 12345678.", "# # # ## ###.");
    masked_is("a.*b|\\b\\d+\\b", 3, "a b acb axxb axbb 123 1234",
              "# # axxb #b # 1234");
    masked_is(".*b", 3, "axxxxxb", "axxx#");

    /* what stands between an atom and its quantifier is no atom */

    masked_is("\\b\\d(?#digits){10,16}\\b|sk\\E-\\w\\Q\\E{4,9}", 0,
              "x 0123456789012345 sk-abcdefg x", "x # # x");

    /* less than the pattern's own limit */

    masked_is("(?:ab|.){1,9}\\.", 3, "xxab. \xd1\x8f\xd1\x8f\xd1\x8f.",
              "xx# \xd1\x8f#");

    /* what is behind a match can be looked at, up to a limit */

    masked_is("a(?=.{0,20}z)", 0, "a aaaaaaaaaaaaaaaaaaaaaaaaaaz",
              "a aaaaa#####################z");

    /* where the window ends is no end of the text */

    masked_is("a(?=b*$)", 1, "abbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbc "
              "abbb", "abbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbc #bbb");
}


static llm_rc_t
words(rules_t *r, const char *text, size_t max, llm_redact_why_t *why)
{
    llm_u8             *copy;
    llm_rc_t            rc;
    llm_redact_rule_t   one;

    one = rule(max);
    copy = unit_copy(text, strlen(text));
    rc = llm_redact_words(&r->redact, &one, copy, strlen(text), why);
    free(copy);

    return rc;
}


static void
test_words(void **state)
{
    rules_t           r;
    llm_redact_why_t  why;

    (void) state;

    rules_begin(&r);
    assert_int_equal(words(&r, "\xef\xbb\xbf" "cat\n# no\n\n  Foo Bar\t\r\n"
        "foo\nC++\nc\n.net\ncatalogue\nCAT\n"
        "\xd0\xb9\xd0\xbe\xd0\xb6\n\xe4\xbd\xa0\xe5\xa5\xbd\n"
        "\xd8\xb3\xd9\x84\xd8\xa7\xd9\x85\n\xf0\x9f\x98\x80\na\\b(c|d]*$",
        0, &why), LLM_OK);

    text_is(&r, "Cat concatenate CATALOGUE cats cat_ cat-cat",
            "# concatenate # cats cat_ #-#");
    text_is(&r, "foo bar, foo  bar, FOO BARS, food", "#, #  bar, # BARS, food");
    text_is(&r, "C++ C+ c, c++x ASP.NET", "# #+ #, #x ASP#");
    text_is(&r, "\xd0\x99\xd0\x9e\xd0\x96, \xd0\xb9\xd0\xbe\xd0\xb6\xd0\xb8",
            "#, \xd0\xb9\xd0\xbe\xd0\xb6\xd0\xb8");
    text_is(&r, "\xe5\xa5\xbd\xe4\xbd\xa0\xe5\xa5\xbd\xe5\xa5\xbd",
            "\xe5\xa5\xbd#\xe5\xa5\xbd");
    text_is(&r, "\xe7\x94\xa8" "cat\xe6\x90\x9c",
            "\xe7\x94\xa8#\xe6\x90\x9c");
    text_is(&r, "\xd8\xb3\xd9\x84\xd8\xa7\xd9\x85 \xd9\x88\xd8\xb3\xd9\x84"
            "\xd8\xa7\xd9\x85", "# \xd9\x88\xd8\xb3\xd9\x84\xd8\xa7\xd9\x85");
    text_is(&r, "a\xf0\x9f\x98\x80\xe2\x80\x8d" "b A\\B(C|D]*$x",
            "a#\xe2\x80\x8d" "b #x");
    rules_end(&r);
}


static void
test_words_refused(void **state)
{
    size_t            i;
    rules_t           r;
    llm_redact_why_t  why;

    static const struct {
        const char  *text;
        long         at;
        const char  *why;
    } cases[] = {
        { "", -1, "no words" }, { "\n# x\n", -1, "no words" },
        { "a\n\xff\n", 2, "not UTF-8" }, { "a\nb\n\xe4\xbd", 3, "not UTF-8" },
        { "abcd\nabcde\n", 2, "longer than" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rules_begin(&r);
        assert_int_equal(words(&r, cases[i].text, 4, &why), LLM_INVALID);
        assert_int_equal(why.at, cases[i].at);
        assert_non_null(strstr(why.text, cases[i].why));
        rules_end(&r);
    }
}


/* More words than one pattern of PCRE2 can hold; words that begin alike. */
static void
test_words_many(void **state)
{
    char              *list, *p, text[200];
    size_t             i;
    rules_t            r;
    llm_redact_why_t   why;

    (void) state;

    list = malloc(LLM_REDACT_FILE);
    p = list;

    for (i = 0; i < 20000; i++) {
        p += sprintf(p, "w%zx\n", i * 7919 % 65536);
    }

    for (i = 1; i < 250; i++) {
        memset(p, 'a', i);
        p += i;
        *p++ = '\n';
    }

    *p = '\0';

    rules_begin(&r);
    assert_int_equal(words(&r, list, 0, &why), LLM_OK);
    assert_true(llm_redact_npatterns(&r.redact) > 1);

    (void) snprintf(text, sizeof(text), "x w%x w%x wzz aaaaaaaaaaaaaaaaaaaaaa "
                    "aaab", 7919 * 19999 % 65536, 0);
    text_is(&r, text, "x # # wzz # aaab");
    rules_end(&r);
    free(list);
}


/* A text that nearly matches at every place takes no more than so much for
 * each: a search from each place to the end would not come to one here. */
static void
test_hostile(void **state)
{
    char    *text;
    size_t   i, k, n, len;

    static const char *const  runs[] = { "a", "a@", "1 ", "a.-1", "-" };

    (void) state;

    n = 400000;
    text = malloc(n + 2);

    for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        for (k = 0, len = strlen(runs[i]); k < n; k++) {
            text[k] = runs[i][k % len];
        }

        text[n] = '!';
        text[n + 1] = '\0';

        long_is("[\\w.+-]+@[\\w-]+\\.x+!|(?:a|1 ?){1,30}\\z", 40, text, n + 1);
    }

    free(text);
}


/* What takes memory can fail anywhere. */
static void
test_memory(void **state)
{
    size_t             i;
    rules_t            r;
    llm_rc_t           rc;
    llm_redact_why_t   why;
    llm_redact_rule_t  one;

    (void) state;

    for (i = 1; i < 400; i++) {
        rules_begin(&r);
        r.unit.fail_at = i;
        one = rule(9);

        rc = llm_redact_regex(&r.redact, &one, (const llm_u8 *) "a+b", 3,
                              &why);

        if (rc == LLM_OK) {
            rc = words(&r, "one\ntwo\n\xe4\xbd\xa0\n", 0, &why);
        }

        rules_end(&r);

        if (rc == LLM_OK) {
            break;
        }

        assert_int_equal(rc, LLM_NOMEM);
    }

    assert_true(i > 10 && i < 400);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_max),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_words_refused),
        cmocka_unit_test(test_words_many),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
