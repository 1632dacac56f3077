/*
 * The automaton against a search that is plain and slow: which match, known
 * as early as it can be, and never a byte more held than must be.
 */

#include "unit_match.h"
#include "llm_match.h"


#define MATCH_STRINGS  8
#define MATCH_TEXT     48


typedef struct {
    llm_match_t   m;
    llm_slice_t   list[LLM_MATCH_STRINGS];
    unsigned      n;
    llm_u8       *bytes[LLM_MATCH_STRINGS];
    void         *memory;
} match_case_t;


static void
match_build(match_case_t *c)
{
    unsigned     i;
    llm_slice_t  list[LLM_MATCH_STRINGS];

    /* the strings in memory of their own, the list gone afterwards */

    for (i = 0; i < c->n; i++) {
        c->bytes[i] = unit_copy(c->list[i].p, c->list[i].n);
        list[i] = (llm_slice_t) { c->bytes[i], c->list[i].n, 0 };
    }

    c->memory = malloc(llm_match_size(list, c->n));
    assert_non_null(c->memory);

    llm_match_init(&c->m, c->memory, list, c->n);
    memset(list, 0, sizeof(list));
}


static void
match_free(match_case_t *c)
{
    unsigned  i;

    for (i = 0; i < c->n; i++) {
        free(c->bytes[i]);
    }

    free(c->memory);
}


static void
match_found(const match_case_t *c, const llm_match_at_t *at, const llm_u8 *p,
    size_t n, const unit_match_t *o)
{
    const llm_slice_t  *s;

    assert_int_not_equal(at->found, 0);
    assert_int_equal(n - at->back, o->begin);

    s = llm_match_found(&c->m, at);

    assert_int_equal(s->n, o->length);
    assert_memory_equal(s->p, p + o->begin, o->length);
}


/* Reads a text in pieces of at most `step` bytes. */
static void
match_check(const match_case_t *c, const llm_u8 *p, size_t n, size_t step)
{
    int             rc;
    llm_u8         *piece;
    size_t          at, size, used;
    llm_slice_t     open;
    llm_match_at_t  state;
    unit_match_t  o;

    memset(&state, 0, sizeof(llm_match_at_t));

    for (at = 0; at < n; at += size) {
        size = 1 + unit_random((uint32_t) step);
        size = size < n - at ? size : n - at;

        piece = unit_copy(p + at, size);
        rc = llm_match_read(&c->m, &state, piece, size, &used);
        free(piece);

        o = unit_match(c->list, c->n, p, at + used);

        if (rc) {
            assert_true(o.known);
            match_found(c, &state, p, at + used, &o);

            /* not a byte later than it had to be */

            o = unit_match(c->list, c->n, p, at + used - 1);
            assert_false(o.known);
            return;
        }

        assert_int_equal(used, size);
        assert_false(o.known);

        open = llm_match_open(&c->m, &state);

        assert_int_equal(open.n, o.held);
        assert_memory_equal(open.p, p + at + size - open.n, open.n);
        assert_int_equal(state.found != 0, o.length != 0);

        if (o.length != 0) {
            match_found(c, &state, p, at + size, &o);
        }
    }
}


static void
match_random(match_case_t *c, llm_u8 *p, unsigned letters)
{
    size_t    at, i;
    unsigned  k;

    at = 0;
    c->n = 1 + unit_random(MATCH_STRINGS);

    for (k = 0; k < c->n; k++) {
        c->list[k] = (llm_slice_t) { p + at, 1 + unit_random(6), 0 };

        for (i = 0; i < c->list[k].n; i++) {
            p[at++] = (llm_u8) ('a' + unit_random(letters));
        }
    }
}


static void
test_oracle(void **state)
{
    llm_u8        strings[MATCH_STRINGS * 6], text[MATCH_TEXT];
    size_t        i, n;
    unsigned      round, k, letters;
    match_case_t  c;

    (void) state;

    for (round = 0; round < 20000; round++) {
        letters = 1 + unit_random(3);

        match_random(&c, strings, letters);
        match_build(&c);

        for (k = 0; k < 8; k++) {
            n = unit_random(MATCH_TEXT);

            for (i = 0; i < n; i++) {
                text[i] = (llm_u8) ('a' + unit_random(letters + (k == 0)));
            }

            match_check(&c, text, n, 1);
            match_check(&c, text, n, 5);
            match_check(&c, text, n, MATCH_TEXT);
        }

        match_free(&c);
    }
}


static void
match_strings(match_case_t *c, const char *const *s)
{
    c->n = 0;

    for ( /* void */ ; *s != NULL; s++) {
        c->list[c->n++] = (llm_slice_t) { (const llm_u8 *) *s, strlen(*s),
                                          0 };
    }

    match_build(c);
}


/* What the definition means: text, what was found, where. */
static void
test_examples(void **state)
{
    int             known;
    size_t          i, n, used;
    match_case_t    c;
    llm_match_at_t  at;

    static const struct {
        const char  *strings[5];
        const char  *text;
        const char  *found;         /* NULL: nothing */
        size_t       begin;
        int          known;         /* without the end of the text */
    } rows[] = {
        { { "abcd", "bc" }, "abcx", "bc", 1, 1 },
        { { "abcd", "bc" }, "abc", "bc", 1, 0 },
        { { "abcd", "bc" }, "abcd", "abcd", 0, 1 },
        { { "bc", "abcd" }, "xbcd", "bc", 1, 1 },
        { { "a", "ab", "abc" }, "xab", "ab", 1, 0 },
        { { "a", "ab", "abc" }, "xabx", "ab", 1, 1 },
        { { "a", "ab", "abc" }, "xabc", "abc", 1, 1 },
        { { "a", "abc" }, "abd", "a", 0, 1 },
        { { "b", "abcd" }, "abc", "b", 1, 0 },
        { { "b", "abcd" }, "abca", "b", 1, 1 },
        { { "c", "bcd", "abcde" }, "abcd", "bcd", 1, 0 },
        { { "c", "bcd", "abcde" }, "abcdx", "bcd", 1, 1 },
        { { "aa" }, "aaa", "aa", 0, 1 },
        { { "x", "x" }, "yx", "x", 1, 1 },
        { { "abc" }, "ababab", NULL, 0, 0 },
        { { "\xff\xfe" }, "\xff\xff\xfe", "\xff\xfe", 1, 1 }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        match_strings(&c, rows[i].strings);
        memset(&at, 0, sizeof(llm_match_at_t));

        n = strlen(rows[i].text);
        known = llm_match_read(&c.m, &at, (const llm_u8 *) rows[i].text, n,
                               &used);

        assert_int_equal(known, rows[i].known);
        assert_int_equal(at.found != 0, rows[i].found != NULL);

        if (rows[i].found != NULL) {
            assert_int_equal(used - at.back, rows[i].begin);
            assert_int_equal(llm_match_found(&c.m, &at)->n,
                             strlen(rows[i].found));
            assert_memory_equal(llm_match_found(&c.m, &at)->p, rows[i].found,
                                strlen(rows[i].found));
        }

        match_free(&c);
    }
}


/* As many strings as there may be, as long as they may be: no two with the
 * same beginning, all with the same, every first byte. */
static void
test_largest(void **state)
{
    size_t          i, used;
    llm_u8          bytes[LLM_MATCH_STRINGS][LLM_MATCH_LENGTH];
    llm_u8          text[4 * LLM_MATCH_LENGTH];
    unsigned        k, how;
    match_case_t    c;
    llm_match_at_t  at;

    (void) state;

    for (how = 0; how < 3; how++) {
        c.n = LLM_MATCH_STRINGS;

        for (k = 0; k < c.n; k++) {
            memset(bytes[k], 'a', LLM_MATCH_LENGTH);
            c.list[k] = (llm_slice_t) { bytes[k], LLM_MATCH_LENGTH, 0 };

            if (how == 2) {
                c.list[k].n = LLM_MATCH_LENGTH - k;

            } else {
                bytes[k][how == 0 ? 0 : LLM_MATCH_LENGTH - 1]
                    = (llm_u8) (k + 128);
            }
        }

        match_build(&c);

        for (i = 0; i < sizeof(text); i++) {
            text[i] = how != 0 ? 'a' : (llm_u8) (128 + i % 128);
        }

        memset(&at, 0, sizeof(llm_match_at_t));

        assert_int_equal(llm_match_read(&c.m, &at, text, sizeof(text), &used),
                         how == 2);

        if (how == 2) {
            assert_int_equal(used, LLM_MATCH_LENGTH);
            assert_int_equal(at.back, LLM_MATCH_LENGTH);

        } else {
            assert_int_equal(llm_match_open(&c.m, &at).n,
                             how == 0 ? 1 : LLM_MATCH_LENGTH - 1);
        }

        match_free(&c);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_oracle),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_largest)
    };

    (void) unit_seed();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
