/*
 * Where a text may be cut: clusters as another library sees them, words,
 * sentences and lines by examples of many languages.
 */

#include "unit_clusters.h"
#include "llm_break.h"

#include <utf8proc.h>


/* Marks of a text: each "|" is a place. */
static void
places(const char *marked, llm_break_at_t want)
{
    char             got[2000];
    size_t           k, n;
    int32_t          c;
    const char      *p;
    llm_break_t      b;
    llm_break_at_t   at;

    memset(&b, 0, sizeof(llm_break_t));
    b.want = want;
    k = 0;

    for (p = marked; *p != '\0'; p += n) {
        n = 1;

        if (*p == '|') {
            continue;
        }

        n = (size_t) utf8proc_iterate((const utf8proc_uint8_t *) p, -1, &c);
        at = llm_break_next(&b, c);

        if (k != 0 && at >= want) {
            got[k++] = '|';
        }

        memcpy(got + k, p, n);
        k += n;
    }

    got[k] = '\0';

    assert_string_equal(got, marked);
}


static void
test_words(void **state)
{
    size_t  i;

    static const char *const  texts[] = {
        "Hello |there  |world, |it's |me.",
        "Привет, |мир! |Как |дела?",
        "Добрий |день, |м’ята",
        "مرحبا |بالعالم |كيف",
        "नमस्ते |दुनिया।",
        "你|好，|世|界！|今|天",
        "使|用|GPT|模|型 |and |more",
        "「は|い。」|と|言|っ|た",
        "안녕하세요 |잘 |지내세요",
        "a\n|b\t|c\r\n|d",
        "10\xc2\xa0km |weit, |\xc2\xab\xc2\xa0oui\xc2\xa0\xc2\xbb |non",
        "no-break/here,at_all.com"
    };

    (void) state;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        places(texts[i], LLM_BREAK_WORD);
    }
}


static void
test_sentences(void **state)
{
    size_t  i;

    static const char *const  texts[] = {
        "One. |Two! |Three? |Four",
        "It is 3.14 or 2.5e3. |Next",
        "As in e.g. the U.S. case, J. Smith said. |Then",
        "and so on... and on... |But",
        "Wait\xe2\x80\xa6 |Now. wait\xe2\x80\xa6 small",
        "\"Really?\" |he asked. |(Yes.) |\xe2\x80\x9cNo.\xe2\x80\x9d |End",
        "**Bold.** |Next *one.* |Last",
        "What?! |No!!! |Ok",
        "1. First one. |Second.\n|2. Third",
        "In 2020. |Then",
        "A line\n|another\n|\n|end",
        "\xc2\xab" "Да.\xc2\xbb |Нет. |Т. е. да, т. к. нет. |Всё",
        "\xe2\x80\x9e" "Так.\xe2\x80\x9c |Чи ні? |Кінець",
        "你好。|今天！|好吗？|“好的。”|他说。 |完",
        "真的?|是!v2.0很好",
        "「はい。」|と言った！|終",
        "كيف حالك؟ |جيد۔ |نعم. |لا",
        "नमस्ते। |कैसे हैं? |ठीक॥ |हाँ",
        "Բարեւ։ |Ինչպես։ |ես",
        "ሰላም። |እንዴት። |ደህና",
        "ជំរាបសួរ។ |សុខ។ |បាទ",
        "example.com and file.txt. |Next"
    };

    (void) state;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        places(texts[i], LLM_BREAK_SENTENCE);
    }
}


static void
test_lines(void **state)
{
    (void) state;

    places("One. Two\n|\n|three\r\n|four\xe2\x80\xa8|five\xe2\x80\xa9|six",
           LLM_BREAK_LINE);
    places("no\rline", LLM_BREAK_LINE);
}


/* Never a place that Unicode, as Perl knows it, would not have; and all of
 * those, but behind a virama. */
static void
one_text(const clusters_t *t, void *ctx)
{
    size_t           i, n;
    unsigned         missed, viramas;
    int32_t          c, last;
    llm_break_t      b;
    llm_break_at_t   at;

    missed = 0;
    viramas = 0;
    last = 0;

    memset(&b, 0, sizeof(llm_break_t));
    b.want = *(llm_break_at_t *) ctx;

    for (i = 0; i < t->n; i += n) {
        n = (size_t) utf8proc_iterate(t->p + i, -1, &c);

        if (i != 0 && llm_break_after(&b) != LLM_BREAK_NONE
            && !t->border[i])
        {
            fail_msg("%s: a certain place at %zu is none", t->name, i);
        }

        at = llm_break_next(&b, c);

        if (at != LLM_BREAK_NONE && !t->border[i]) {
            fail_msg("%s: cut inside a cluster at %zu", t->name, i);
        }

        missed += at == LLM_BREAK_NONE && t->border[i];
        viramas += last == 0x94d || last == 0x17d2 || last == 0x1039;
        last = c;
    }

    /* a conjunct with a joiner in it hides the virama */

    if (strncmp(t->name, "random", 6) != 0 && missed > viramas + 1) {
        fail_msg("%s: %u borders not found", t->name, missed);
    }
}


static void
test_clusters(void **state)
{
    llm_break_at_t  want;

    (void) state;

    for (want = LLM_BREAK_CLUSTER; want <= LLM_BREAK_LINE; want++) {
        clusters_each(one_text, &want);
    }
}


static void
test_joins(void **state)
{
    size_t       i;
    int32_t      c;
    const char  *p;
    llm_break_t  b;

    static const struct {
        const char  *text;
        int          joins;
    } cases[] = {
        { "a", 0 }, { "e\xcc\x81", 0 }, { "\r", 1 }, { "\r\n", 0 },
        { "\xf0\x9f\x91\xa8", 0 }, { "\xf0\x9f\x91\xa8\xe2\x80\x8d", 1 },
        { "\xf0\x9f\x87\xba", 1 }, { "\xf0\x9f\x87\xba\xf0\x9f\x87\xa6", 0 },
        { "\xf0\x9f\x87\xba\xf0\x9f\x87\xa6\xf0\x9f\x87\xa9", 1 },
        { "x\xf0\x9f\x87\xba", 1 }, { "\xd8\x80", 1 },
        { "\xe1\x84\x92", 1 }, { "\xe1\x84\x92\xe1\x85\xa1", 1 },
        { "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", 0 },
        { "\xea\xb0\x80", 0 }, { "\xe0\xa4\x95", 0 },
        { "\xe0\xa4\x95\xe0\xa5\x8d", 1 },
        { "\xe0\xa4\x95\xe0\xa5\x8d\xe0\xa4\xb7", 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&b, 0, sizeof(llm_break_t));
        b.want = LLM_BREAK_CLUSTER;

        for (p = cases[i].text; *p != '\0'; ) {
            p += utf8proc_iterate((const utf8proc_uint8_t *) p, -1, &c);
            (void) llm_break_next(&b, c);
        }

        if (llm_break_joins(&b) != cases[i].joins) {
            fail_msg("case %zu", i);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_clusters),
        cmocka_unit_test(test_joins)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
