/*
 * The bound of a pattern holds: whatever PCRE2 makes of it, no match is
 * longer.  Patterns are put together at random of what stands between an atom
 * and its quantifier, and of what could be taken for it.
 */

#define PCRE2_CODE_UNIT_WIDTH  8

#include <pcre2.h>

#include "unit_support.h"
#include "llm_redact.h"
#include "llm_utf8.h"


#define PATTERNS  100000
#define TEXT_MAX  400

/* of these a pattern is made */
static const char *const  pieces[] = {
    "a", "a", "b", "\xd1\x8f", "\\d", "\\w", ".", "[ab]", "[^a]", "\\Qab\\E",
    "\\Qa", "(?#c)", "(?#c)", "(?#)", "\\E", "\\E", "\\Q\\E", "{3}", "{3}",
    "{2,5}", "{2, 5}", "{ 2,5 }", "{,5}", "{ , 5 }", "{7 }", "{4,}", "{4, }",
    "{,}", "{ }", "{", "}", "+", "*", "?", "(", ")", "(?:", "|", "(?>", "(?=",
    "(?!", "(?<=a", "(?i)", "(?i:", "(?x)", "(?-x)", "(?x:", "(?xx)", "(?^)",
    "(?^x:", " ", "#", "\n", "# c\n", "[", "]", "[\\E", "[\\Q\\E", "[^\\E",
    "[\\c", "\\c]", "\\c", "\\x", "\\x4", "\\xag", "\\x{61}", "\\061", "\\0",
    "[[:alpha:]]", "[[:<:]]", "[:", ":]", "(?#]", "(?#])", "\\pL", "\\p{Lu}",
    "\\R", "\\b", "^", "$", "\\", "g", "1", ",", "(?<n>", "(?'m'", "(?|",
    "\\N{U+61}", "\\N", "\\N{", "\\X", "(?1)", "\\1", "\\g{-1}", "\\o{141}",
    "(?(1)", "(?(?=a)", "(?(DEFINE)", "\xe2\x80\x83", "\t", "\\ "
};

static const char *const  runs[] = {
    "a", "ab", "1", "\xd1\x8f", " ", "{", "}", "]", "(?#]", "#", ",", "A",
    "\r\n", "\n", "a{2, 5}", "g", "[", "\\", "?", "c", "x", "5", ":"
};


static void
random_pattern(char *p)
{
    unsigned  n;

    *p = '\0';

    for (n = 1 + unit_random(9); n != 0; n--) {
        (void) strcat(p, pieces[unit_random(sizeof(pieces)
                                            / sizeof(pieces[0]))]);
    }
}


/* Runs of the same, so that quantifiers have something to take; returns its
 * length. */
static size_t
random_text(char *p)
{
    size_t       n, len, times;
    const char  *run;

    for (n = 0; n < TEXT_MAX - 100; /* void */ ) {
        run = runs[unit_random(sizeof(runs) / sizeof(runs[0]))];
        len = strlen(run);

        for (times = unit_random(40 / (unsigned) len + 1); times != 0;
             times--)
        {
            memcpy(p + n, run, len);
            n += len;
        }

        n += (size_t) sprintf(p + n, "%s", unit_random(2) ? "a" : "b");
    }

    return n;
}


/* No match in the text may have more than `max` characters. */
static void
matches_are(const char *pattern, const pcre2_code *code, size_t max,
    const char *text, size_t n)
{
    size_t             at, chars;
    PCRE2_SIZE        *found;
    pcre2_match_data  *match;

    match = pcre2_match_data_create(1, NULL);
    assert_non_null(match);
    found = pcre2_get_ovector_pointer(match);

    for (at = 0;
         at < n && pcre2_match(code, (PCRE2_SPTR) text, n, at, PCRE2_NOTEMPTY,
                               match, NULL) >= 0;
         at = found[0] + 1)
    {
        chars = llm_utf8_count((const llm_u8 *) text + found[0],
                               found[1] - found[0]);

        if (chars > max) {
            fail_msg("/%s/ matches %zu characters, not %zu: %.*s", pattern,
                     chars, max, (int) (found[1] - found[0]),
                     text + found[0]);
        }

        while (found[0] + 1 < n && (text[found[0] + 1] & 0xc0) == 0x80) {
            found[0]++;
        }
    }

    pcre2_match_data_free(match);
}


static void
test_random(void **state)
{
    int                 error;
    char                pattern[200], text[TEXT_MAX];
    size_t              i, n, bounded;
    PCRE2_SIZE          at;
    pcre2_code         *code;
    llm_redact_bound_t  bound;

    (void) state;

    for (i = 0, bounded = 0; i < PATTERNS; i++) {
        random_pattern(pattern);

        code = pcre2_compile((PCRE2_SPTR) pattern, PCRE2_ZERO_TERMINATED,
                             PCRE2_UTF|PCRE2_UCP|PCRE2_NEVER_BACKSLASH_C
                             |PCRE2_DOLLAR_ENDONLY|PCRE2_ALT_CIRCUMFLEX,
                             &error, &at, NULL);

        if (code == NULL) {
            continue;
        }

        if (llm_redact_bound((const llm_u8 *) pattern, strlen(pattern),
                             &bound)
            == LLM_OK)
        {
            n = random_text(text);
            matches_are(pattern, code, bound.max, text, n);
            bounded++;
        }

        pcre2_code_free(code);
    }

    assert_true(bounded > PATTERNS / 20);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
    };

    unit_seed();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
