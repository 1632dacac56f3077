/*
 * The search in one text: for any cuts the same as PCRE2 says of the whole
 * text, with rules made at random and texts of many scripts.
 */

#define PCRE2_CODE_UNIT_WIDTH  8

#include <pcre2.h>

#include "unit_support.h"
#include "llm_redact.h"
#include "llm_utf8.h"


#define RULES_MAX  4
#define SPANS_MAX  4096

typedef struct {
    unit_alloc_t         unit;
    llm_alloc_t          alloc;
    llm_redact_t         redact;
    char                 patterns[RULES_MAX][400];
    unsigned             n;
    uint64_t             counts[RULES_MAX];
} rules_t;

static const char *const  masks[] = { "***", "<1>", "", "\xd0\x9c" };

static const char *const  letters[] = {
    "a", "b", "a", "b", "1", "2", "@", ".", " ", "\n", "-", "A",
    "\xc3\xa9", "e\xcc\x81", "\xd1\x8f", "\xd0\x96", "\xd1\x97",
    "\xe4\xbd\xa0", "\xe5\xa5\xbd", "\xd8\xb3", "\xd9\x84\xd9\x8e",
    "\xf0\x9f\x98\x80", "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb",
    "\xf0\x9f\x87\xba\xf0\x9f\x87\xa6"
};

static const char *const  texts[] = {
    "Write to ann.b@mail.example or call 4111 1111 1111 1111, please.",
    "\xd0\x9f\xd0\xb8\xd1\x88\xd0\xb8 \xd0\xbd\xd0\xb0 anna@\xd0\xbf\xd0\xbe"
    "\xd1\x87\xd1\x82\xd0\xb0.\xd1\x80\xd1\x84 \xd0\xb4\xd0\xbe 12.05.2024",
    "\xd0\x87\xd0\xb6\xd0\xb0\xd0\xba \xd1\x97\xd1\x81\xd1\x82\xd1\x8c a@b.c"
    " \xd1\x97\xd0\xb6\xd1\x83 4111111111111111",
    "\xe6\x88\x91\xe7\x94\xa8" "Google@x.cn\xe6\x90\x9c\xe7\xb4\xa2 4111-1111"
    "-1111-1111\xe3\x80\x82",
    "\xd8\xa7\xd9\x84\xd9\x83\xd8\xaa\xd8\xa7\xd8\xa8 \xd9\xa1\xd9\xa2\xd9\xa3"
    " a1@b2.c3",
    "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb e\xcc\x81 \xf0\x9f\x87\xba"
    "\xf0\x9f\x87\xa6 4111\xf0\x9f\x98\x80" "1111 aaaaaaaaaaaaaaaaaaaaaaaa@"
};


static llm_redact_rule_t
rule(const char *with, size_t max)
{
    llm_redact_rule_t  r;

    memset(&r, 0, sizeof(llm_redact_rule_t));

    r.name = llm_slice("rule");
    r.with.p = (const llm_u8 *) with;
    r.with.n = strlen(with);
    r.in = LLM_REDACT_CONTENT;
    r.max = max;

    return r;
}


static void
rules_begin(rules_t *r)
{
    memset(r, 0, sizeof(rules_t));

    r->alloc = unit_alloc(&r->unit);
    llm_redact_init(&r->redact, &r->alloc);
}


static llm_rc_t
rules_add(rules_t *r, const char *pattern, size_t max,
    llm_redact_action_t action)
{
    llm_rc_t           rc;
    llm_redact_why_t   why;
    llm_redact_rule_t  one;

    one = rule(masks[r->n % 4], max);
    one.action = action;

    rc = llm_redact_regex(&r->redact, &one, (const llm_u8 *) pattern,
                          strlen(pattern), &why);

    if (rc == LLM_OK) {
        (void) snprintf(r->patterns[r->n++], sizeof(r->patterns[0]), "%s",
                        pattern);
    }

    return rc;
}


static void
rules_end(rules_t *r)
{
    llm_redact_free(&r->redact);
    assert_int_equal(r->unit.live, 0);
}


/* The text cut at `cuts`, through the search. */
static llm_rc_t
cut(rules_t *r, llm_block_t *out, const llm_u8 *p, size_t n,
    const size_t *cuts, size_t k)
{
    size_t             i, from, to;
    llm_u8            *copy;
    llm_rc_t           rc;
    llm_redact_run_t   run;
    llm_redact_text_t  t;

    memset(out, 0, sizeof(llm_block_t));
    memset(&t, 0, sizeof(llm_redact_text_t));
    memset(r->counts, 0, sizeof(r->counts));
    t.in = LLM_REDACT_CONTENT;

    rc = llm_redact_open(&run, &r->redact, &r->alloc, r->counts);
    assert_int_equal(rc, LLM_OK);

    for (i = 0, from = 0; i <= k && rc == LLM_OK; i++, from = to) {
        to = i < k ? cuts[i] : n;

        copy = unit_copy(p + from, to - from);
        rc = llm_redact_feed(&run, &t, copy, to - from, i == k, out);
        free(copy);
    }

    llm_redact_text_free(&run, &t);
    llm_redact_close(&run);

    return rc;
}


typedef struct {
    size_t    from;
    size_t    to;
    unsigned  rule;
} span_t;


static int
span_compare(const void *a, const void *b)
{
    const span_t  *x, *y;

    x = a;
    y = b;

    if (x->from != y->from) {
        return x->from < y->from ? -1 : 1;
    }

    return (x->rule > y->rule) - (x->rule < y->rule);
}


/* What PCRE2 itself finds in the whole text, rule by rule, sorted. */
static size_t
spans_of(const rules_t *r, const llm_u8 *p, size_t n, span_t *spans)
{
    int                error;
    size_t             i, at, k;
    PCRE2_SIZE        *v, where;
    pcre2_code        *code;
    pcre2_match_data  *m;

    m = pcre2_match_data_create(1, NULL);
    k = 0;

    for (i = 0; i < r->n; i++) {
        code = pcre2_compile((PCRE2_SPTR) r->patterns[i],
                             PCRE2_ZERO_TERMINATED,
                             PCRE2_UTF|PCRE2_UCP|PCRE2_DOLLAR_ENDONLY
                             |PCRE2_ALT_CIRCUMFLEX
                             |PCRE2_NO_START_OPTIMIZE, &error, &where, NULL);
        assert_non_null(code);

        for (at = 0; at < n; at = spans[k++].to) {
            if (pcre2_match(code, p, n, at, PCRE2_NOTEMPTY, m, NULL) < 0) {
                break;
            }

            assert_true(k < SPANS_MAX);
            v = pcre2_get_ovector_pointer(m);
            spans[k].from = v[0];
            spans[k].to = v[1];
            spans[k].rule = (unsigned) i;
        }

        pcre2_code_free(code);
    }

    pcre2_match_data_free(m);
    qsort(spans, k, sizeof(span_t), span_compare);

    return k;
}


/* The text with its spans masked: what must come out. */
static llm_u8 *
oracle(const rules_t *r, const llm_u8 *p, size_t n, size_t *len,
    uint64_t *counts)
{
    size_t       i, k, at;
    llm_u8      *out;
    const char  *mask;

    static span_t  spans[SPANS_MAX];

    memset(counts, 0, RULES_MAX * sizeof(uint64_t));
    k = spans_of(r, p, n, spans);
    out = malloc(n + 3 * k + 1);
    *len = 0;

    for (i = 0, at = 0; i < k; i++) {
        counts[spans[i].rule]++;

        if (spans[i].from >= at) {
            memcpy(out + *len, p + at, spans[i].from - at);
            *len += spans[i].from - at;
            mask = masks[spans[i].rule % 4];
            memcpy(out + *len, mask, strlen(mask));
            *len += strlen(mask);
        }

        at = spans[i].to > at ? spans[i].to : at;
    }

    memcpy(out + *len, p + at, n - at);
    *len += n - at;

    return out;
}


typedef struct {
    rules_t       *rules;
    const llm_u8  *p;
    size_t         n;
    const llm_u8  *want;
    size_t         nwant;
    uint64_t       counts[RULES_MAX];
} case_t;


/* Only between characters, as events are. */
static size_t
whole_characters(const case_t *c, const size_t *cuts, size_t k, size_t *to)
{
    size_t  i, n;

    for (i = 0, n = 0; i < k; i++) {
        if ((c->p[cuts[i]] & 0xc0) != 0x80) {
            to[n++] = cuts[i];
        }
    }

    return n;
}


static void
case_cut(void *ctx, const char *what, const size_t *cuts, size_t k)
{
    size_t        i, *at;
    case_t       *c;
    llm_block_t   out;

    c = ctx;
    at = malloc((k + 1) * sizeof(size_t));
    k = whole_characters(c, cuts, k, at);

    assert_int_equal(cut(c->rules, &out, c->p, c->n, at, k), LLM_OK);

    if (out.n != c->nwant
        || (out.n != 0 && memcmp(out.p, c->want, out.n) != 0))
    {
        for (i = 0; i < c->rules->n; i++) {
            print_error("pattern /%s/\n", c->rules->patterns[i]);
        }

        fail_msg("%s: of \"%.*s\"\n--- \"%.*s\"\n--- \"%.*s\"", what,
                 (int) c->n, (const char *) c->p, (int) c->nwant,
                 (const char *) c->want, (int) out.n, (const char *) out.p);
    }

    assert_memory_equal(c->counts, c->rules->counts, sizeof(c->counts));

    llm_block_free(&out, &c->rules->alloc);
    free(at);
}


/* All cuts of a text, against PCRE2's own idea of the whole. */
static void
check(rules_t *r, const char *text, size_t n)
{
    llm_u8  *want;
    case_t   c;

    memset(&c, 0, sizeof(case_t));

    c.rules = r;
    c.p = (const llm_u8 *) text;
    c.n = n;
    want = oracle(r, c.p, n, &c.nwant, c.counts);
    c.want = want;

    case_cut(&c, "whole", NULL, 0);
    unit_all_cuts("text", n, case_cut, &c);

    free(want);
}


static void
test_examples(void **state)
{
    size_t   i;
    rules_t  r;

    (void) state;

    rules_begin(&r);
    assert_int_equal(rules_add(&r, "[\\w.+-]{1,64}@[\\w-]{1,63}(?:\\.[\\w-]"
                               "{1,24}){1,4}", 300, LLM_REDACT_MASK), LLM_OK);
    assert_int_equal(rules_add(&r, "\\b(?:\\d[ -]?){12,18}\\d\\b", 0,
                               LLM_REDACT_MASK), LLM_OK);
    assert_int_equal(rules_add(&r, "(?i)anna|\xd1\x97\xd0\xb6", 0,
                               LLM_REDACT_MASK), LLM_OK);

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        check(&r, texts[i], strlen(texts[i]));
    }

    rules_end(&r);
}


/* A pattern made at random, of bounded length. */
static void
random_pattern(char *p, size_t room, unsigned depth)
{
    size_t    n, i, count;
    char      inner[120];

    static const char *const  atoms[] = {
        "a", "b", "[ab]", "[^a]", "\\w", "\\d", ".", "\\s", "(?i)a",
        "\xd1\x8f", "\\p{L}", "[\xd0\x90-\xd1\x8f\xd1\x97]", "\xe4\xbd\xa0",
        "\xf0\x9f\x98\x80", "\\W", "@", "\\R", "[[:alpha:]]", "\\x{301}"
    };

    static const char *const  places[] = {
        "\\b", "\\B", "^", "$", "\\A", "\\z", "(?m)^", "(?m)$", "(?=a)",
        "(?!b)", "(?<=a)", "(?<!b)", "(?<=ab)", "(?=.{0,3}b)", "(?<!^a)"
    };

    static const char *const  counts[] = {
        "", "", "", "?", "??", "{2}", "{0,3}", "{1,4}?", "{1,5}", "{1,3}+"
    };

    p[0] = '\0';
    count = 1 + unit_random(4);

    for (i = 0; i < count; i++) {
        n = strlen(p);

        if (room - n < 160) {
            return;
        }

        if (unit_random(5) == 0) {
            (void) strcat(p, places[unit_random(15)]);
            continue;
        }

        if (depth != 0 && unit_random(4) == 0) {
            random_pattern(inner, sizeof(inner), 0);
            (void) sprintf(p + n, "%s%s)", unit_random(3) ? "(?:" : "(",
                           inner);

        } else {
            (void) strcat(p, atoms[unit_random(19)]);
        }

        (void) strcat(p, counts[unit_random(10)]);

        if (unit_random(6) == 0) {
            (void) strcat(p, "|");
        }
    }
}


static size_t
random_text(char *p, size_t chars)
{
    p[0] = '\0';

    while (chars-- != 0) {
        (void) strcat(p, letters[unit_random(sizeof(letters)
                                             / sizeof(letters[0]))]);
    }

    return strlen(p);
}


static void
test_random(void **state)
{
    char      text[2000], pattern[400];
    size_t    i, made;
    rules_t   r;
    unsigned  k;

    (void) state;

    for (i = 0, made = 0; i < 400 || made < 60; i++) {
        rules_begin(&r);

        for (k = 1 + unit_random(3); k != 0; k--) {
            random_pattern(pattern, sizeof(pattern), 1);
            (void) rules_add(&r, pattern, 0, LLM_REDACT_MASK);
        }

        if (r.n != 0) {
            made++;
            check(&r, text, random_text(text, unit_random(60)));
        }

        rules_end(&r);
    }

    print_message("%zu sets of rules\n", made);
}


/* What looks at its place, in texts of which the beginning was forgotten. */
static void
test_places(void **state)
{
    char      text[8000];
    size_t    i, n;
    rules_t   r;

    static const char *const  places[] = {
        "(?m)^.", "(?m).$", "\\s(?m)^", "\\A.|a\\z", "(?<=ab)1", "(?<!^a)b",
        "\\b\xd1\x8f", "^a|^b", "[ab]$", "(?<=\\n)[ab]", "(?<=\\A.)a",
        "(?<=^..)a", "(?<!\\w{3})a", "\\Bb", "(?m)(?<=^a)b|(?<=a$)\\s"
    };

    (void) state;

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        rules_begin(&r);
        assert_int_equal(rules_add(&r, places[i], 0, LLM_REDACT_MASK),
                         LLM_OK);

        for (n = 0; n < 3; n++) {
            check(&r, text, random_text(text, 300 + unit_random(500)));
        }

        rules_end(&r);
    }
}


/* A lookbehind that looks back from where another has looked back to. */
static void
test_nested(void **state)
{
    char         text[600];
    size_t       i, n, at, from;
    rules_t      r;
    llm_block_t  out;

    static const char *const  cases[] = {
        "(?<=(?<=password) is: )\\d{4}", " password is: ",
        "(?<=(?<=key)(?:::::))\\d{4}", " key::::",
        "(?<=(?=(?<=\\bsecret )(?<!1))is )\\d{4}", " secret is ",
        "(?<=(?<=(?<=one )two )three )\\d{4}", " one two three ",
        "(?x)(?<=(?<=(?<=one[ ]) #)\n two[ ])three[ ])\\d{4}",
        " one two three ",
        "(?<=(?<=\\A.{290}) password is: )\\d{4}", " password is: "
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i += 2) {
        for (from = 290; from < 310; from++) {
            rules_begin(&r);
            assert_int_equal(rules_add(&r, cases[i], 9, LLM_REDACT_MASK),
                             LLM_OK);

            memset(text, 'x', from);
            at = from + (size_t) sprintf(text + from, "%s", cases[i + 1]);
            n = at + (size_t) sprintf(text + at, "1234.");

            assert_int_equal(cut(&r, &out, (llm_u8 *) text, n, &at, 1),
                             LLM_OK);
            assert_int_equal(r.counts[0], i != 10 || from == 290);
            llm_block_free(&out, &r.alloc);
            rules_end(&r);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_nested),
    };

    unit_seed();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
