/*
 * Lists of words in any case: whatever case the list and the text are in, what
 * is found is what a plain search for the longest word finds.
 */

#include "unit_support.h"
#include "llm_redact.h"


#define WORDS_MAX   12
#define WORD_MAX    8
#define TEXT_MAX    60

/* no letters, the last of the table: a space and a mark */
#define is_letter(c)  ((c) < LETTERS - 2)
#define is_space(c)   ((c) == LETTERS - 2)

/* in a row: what is one letter in any case */
static const char *const  letters[][5] = {
    { "a", "A" }, { "b", "B" }, { "k", "K", "\xe2\x84\xaa" },
    { "s", "S", "\xc5\xbf" }, { "i", "I" }, { "\xc4\xb0" }, { "\xc4\xb1" },
    { "\xc3\xa9", "\xc3\x89" }, { "\xc3\xa5", "\xc3\x85", "\xe2\x84\xab" },
    { "\xc3\x9f", "\xe1\xba\x9e" }, { "\xc8\xba", "\xe2\xb1\xa5" },
    { "\xc7\x84", "\xc7\x85", "\xc7\x86" }, { "\xd0\xbf", "\xd0\x9f" },
    { "\xd1\x80", "\xd0\xa0" }, { "\xd0\xb2", "\xd0\x92", "\xe1\xb2\x80" },
    { "\xcf\x83", "\xcf\x82", "\xce\xa3" },
    { "\xce\xb8", "\xce\x98", "\xcf\x91", "\xcf\xb4" },
    { "\xcf\x89", "\xce\xa9", "\xe2\x84\xa6" }, { " " }, { "-" }
};

#define LETTERS  (sizeof(letters) / sizeof(letters[0]))

typedef struct {
    unsigned  p[WORD_MAX];
    size_t    n;
} word_t;


/* The text through a rule with the list must be `want`. */
static void
list_is(const char *list, const char *text, const char *want)
{
    llm_u8             *copy;
    uint64_t            count;
    llm_alloc_t         alloc;
    llm_block_t         out;
    unit_alloc_t        unit;
    llm_redact_t        redact;
    llm_redact_run_t    run;
    llm_redact_why_t    why;
    llm_redact_rule_t   rule;
    llm_redact_text_t   t;

    memset(&unit, 0, sizeof(unit_alloc_t));
    memset(&out, 0, sizeof(llm_block_t));
    memset(&rule, 0, sizeof(llm_redact_rule_t));
    memset(&t, 0, sizeof(llm_redact_text_t));

    count = 0;
    alloc = unit_alloc(&unit);
    rule.in = LLM_REDACT_CONTENT;
    rule.with = llm_slice("#");
    t.in = LLM_REDACT_CONTENT;

    llm_redact_init(&redact, &alloc);
    copy = unit_copy(list, strlen(list));
    assert_int_equal(llm_redact_words(&redact, &rule, copy, strlen(list),
                                      &why), LLM_OK);
    free(copy);

    assert_int_equal(llm_redact_open(&run, &redact, &alloc, &count), LLM_OK);
    assert_int_equal(llm_redact_feed(&run, &t, (const llm_u8 *) text,
                                     strlen(text), 1, &out), LLM_OK);

    if (out.n != strlen(want) || memcmp(out.p, want, out.n) != 0) {
        fail_msg("of\n%s\nin %s\nis %.*s\nnot %s", list, text, (int) out.n,
                 (const char *) out.p, want);
    }

    llm_redact_text_free(&run, &t);
    llm_redact_close(&run);
    llm_redact_free(&redact);
    llm_block_free(&out, &alloc);
    assert_int_equal(unit.live, 0);
}


static void
test_examples(void **state)
{
    size_t  i;

    static const struct {
        const char  *list;
        const char  *text;
        const char  *want;
    } cases[] = {
        { "Проект\nпроект Буран\n", "это проект Буран! ПРОЕКТ", "это #! #" },
        { "École\nécole primaire\n", "une ÉCOLE primaire", "une #" },
        { "CAFÉ\ncafé royal\n", "Café Royal, café", "#, #" },
        { "ΟΔΟΣ\nοδος ένα\n", "Οδός, οδοσ ΈΝΑ, οδος", "Οδός, #, #" },
        { "straße\nSTRAẞE 1\n", "Straße 1, strasse", "#, strasse" },
        { "\xe2\x84\xaa\nk 9\n\xc5\xbf\ns 9\n", "K 9, S 9, k, s",
          "#, #, #, #" },
        { "\xef\xbf\xbf\n\xf4\x8f\xbf\xbf\n\xef\xb7\x90", "\xef\xbf\xbf",
          "#" },
        { "İx\nix y\n", "İx, ix y, ix, ıx", "#, #, ix, ıx" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        list_is(cases[i].list, cases[i].text, cases[i].want);
    }
}


/* `of`: letters to choose from, few of them begin alike more often. */
static void
random_letters(unsigned *p, size_t n, unsigned of)
{
    while (n-- != 0) {
        *p++ = unit_random(6) == 0
               ? (unsigned) LETTERS - 1 - unit_random(2)
               : unit_random(of) * 7 % ((unsigned) LETTERS - 2);
    }
}


/* Writes a letter in some case; returns its end. */
static char *
spelled(char *s, unsigned letter)
{
    unsigned  n;

    for (n = 0; n < 5 && letters[letter][n] != NULL; n++) { /* void */ }

    return s + sprintf(s, "%s", letters[letter][unit_random(n)]);
}


static void
random_words(word_t *w, size_t n, unsigned of, char *list)
{
    size_t  i;

    for ( /* void */ ; n != 0; n--, w++) {
        w->n = 1 + unit_random(WORD_MAX);

        do {
            random_letters(w->p, w->n, of);
        } while (is_space(w->p[0]) || is_space(w->p[w->n - 1]));

        for (i = 0; i < w->n; i++) {
            list = spelled(list, w->p[i]);
        }

        *list++ = '\n';
    }

    *list = '\0';
}


/* Of the n letters, of which some are words. */
static size_t
random_text(unsigned *p, const word_t *w, size_t words, unsigned of)
{
    size_t         i, n;
    const word_t  *one;

    n = unit_random(8);
    random_letters(p, n, of);

    for (i = 0; i < 5; i++) {
        one = &w[unit_random((uint32_t) words)];
        memcpy(p + n, one->p, one->n * sizeof(unsigned));
        n += one->n;
        random_letters(p + n++, 1, of);
    }

    return n;
}


/* How long the longest word at a place is, 0: there is none. */
static size_t
longest(const word_t *w, size_t words, const unsigned *p, size_t n, size_t at)
{
    size_t  most, end;

    for (most = 0; words != 0; words--, w++) {
        end = at + w->n;

        if (w->n > most && end <= n
            && memcmp(w->p, p + at, w->n * sizeof(unsigned)) == 0
            && !(at != 0 && is_letter(p[at]) && is_letter(p[at - 1]))
            && !(end < n && is_letter(p[end]) && is_letter(p[end - 1])))
        {
            most = w->n;
        }
    }

    return most;
}


static void
test_random(void **state)
{
    char      list[600], text[400], want[400], *s, *d, *end;
    size_t    i, n, k, at, to;
    word_t    w[WORDS_MAX];
    unsigned  p[TEXT_MAX], of;

    (void) state;

    for (i = 0; i < 4000; i++) {
        of = 1 + unit_random(LETTERS - 2);
        k = 1 + unit_random(WORDS_MAX);

        random_words(w, k, of, list);
        n = random_text(p, w, k, of);
        s = text;
        d = want;

        for (at = 0, to = 0; at < n; at++) {
            end = spelled(s, p[at]);

            if (at == to) {
                to = at + longest(w, k, p, n, at);

                if (to != at) {
                    *d++ = '#';
                }
            }

            if (at >= to) {
                memcpy(d, s, (size_t) (end - s));
                d += end - s;
                to = at + 1;
            }

            s = end;
        }

        *d = '\0';
        list_is(list, text, want);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_random),
    };

    unit_seed();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
