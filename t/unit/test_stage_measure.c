/*
 * The measuring stage: what counts, and what words it keeps.
 */

#include "unit_support.h"
#include "llm_stage_measure.h"


static llm_event_t
event(llm_event_type_t type, const char *text)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(llm_event_t));
    ev.type = type;
    ev.created = -1;

    if (text != NULL) {
        ev.text = (llm_slice_t) { (const llm_u8 *) text, strlen(text), 1 };
    }

    return ev;
}


static void
test_chunks(void **state)
{
    size_t         i;
    llm_event_t    ev;
    llm_measure_t  m;

    static const struct {
        llm_event_type_t  type;
        const char       *text;
        unsigned          plain;
        uint64_t          chunks;
        uint64_t          chars;
    } rows[] = {
        { LLM_EV_START, NULL, 0, 0, 0 },
        { LLM_EV_TEXT, "", 0, 0, 0 },
        { LLM_EV_TEXT, "ab", 0, 1, 2 },
        { LLM_EV_TEXT, "\xc3\xa9\\n\\u00e9\\ud83d\\ude00", 0, 1, 4 },
        { LLM_EV_TEXT, "\\n\xc3\xa9", 1, 1, 3 },
        { LLM_EV_REASONING, "abc", 0, 1, 3 },
        { LLM_EV_REASONING, NULL, 0, 0, 0 },
        { LLM_EV_REFUSAL, "no", 0, 1, 2 },
        { LLM_EV_TOOL_CALL, "{}", 0, 1, 0 },
        { LLM_EV_TOOL_CALL, "", 0, 0, 0 },
        { LLM_EV_LOGPROBS, "x", 0, 0, 0 },
        { LLM_EV_FINISH, "stop", 0, 0, 0 },
        { LLM_EV_PING, "x", 0, 0, 0 },
        { LLM_EV_META, "x", 0, 0, 0 },
        { LLM_EV_END, NULL, 0, 0, 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        llm_measure_init(&m);
        ev = event(rows[i].type, rows[i].text);
        ev.text.escaped = !rows[i].plain;
        llm_measure(&m, &ev, 5);

        assert_int_equal(m.chunks, rows[i].chunks);
        assert_int_equal(m.chars, rows[i].chars);
        assert_int_equal(m.first, rows[i].chunks ? 5 : 0);
    }

    /* a call that has but a name or an id counts */

    llm_measure_init(&m);
    ev = event(LLM_EV_TOOL_CALL, NULL);
    ev.name = llm_slice("f");
    llm_measure(&m, &ev, 7);
    ev.name = llm_slice_null;
    ev.id = llm_slice("i");
    llm_measure(&m, &ev, 9);

    assert_int_equal(m.chunks, 2);
    assert_int_equal(m.first, 7);
    assert_int_equal(m.last, 9);
}


/* An absolute time may be 0 or negative: it is the first one that counts. */
static void
test_times(void **state)
{
    llm_event_t    ev;
    llm_measure_t  m;

    (void) state;

    llm_measure_init(&m);
    ev = event(LLM_EV_TEXT, "a");

    llm_measure(&m, &ev, 0);
    llm_measure(&m, &ev, 30);
    llm_measure(&m, &ev, 40);

    assert_int_equal(m.first, 0);
    assert_int_equal(m.last, 40);
}


static void
test_usage(void **state)
{
    llm_event_t    ev;
    llm_usage_t    u;
    llm_measure_t  m;

    (void) state;

    llm_measure_init(&m);
    assert_int_equal(m.has_usage, 0);
    assert_int_equal(m.usage.input, -1);
    assert_int_equal(m.usage.output, -1);
    assert_int_equal(m.usage.cached, -1);
    assert_int_equal(m.usage.reasoning, -1);
    assert_int_equal(m.usage.total, -1);

    ev = event(LLM_EV_USAGE, NULL);
    ev.usage = &u;

    u = (llm_usage_t) { 1, 2, 3, 4, 5, -1 };
    llm_measure(&m, &ev, 0);
    u = (llm_usage_t) { 6, 7, -1, 9, 10, -1 };
    llm_measure(&m, &ev, 0);

    assert_int_equal(m.has_usage, 1);
    assert_int_equal(m.usage.input, 6);
    assert_int_equal(m.usage.cached, 3);     /* what is not said stays */
    assert_int_equal(m.usage.total, 10);
    assert_int_equal(m.chunks, 0);
}


/* Runs `word` through a START, or a FINISH; returns what was kept. */
static const char *
kept(const char *word, unsigned escaped, unsigned model)
{
    llm_event_t    ev;
    llm_measure_t  m;

    static char  text[LLM_MEASURE_MODEL + 1];

    llm_measure_init(&m);
    ev = event(model ? LLM_EV_START : LLM_EV_FINISH, NULL);

    if (model) {
        ev.model = (llm_slice_t) { (const llm_u8 *) word, strlen(word),
                                   escaped };
    } else {
        ev.text = (llm_slice_t) { (const llm_u8 *) word, strlen(word),
                                  escaped };
    }

    llm_measure(&m, &ev, 0);

    memset(text, 0, sizeof(text));
    memcpy(text, model ? m.model : m.finish, model ? m.nmodel : m.nfinish);

    return text;
}


static void
test_words(void **state)
{
    size_t  i;
    char    word[2048];

    (void) state;

    assert_string_equal(kept("stop", 1, 0), "stop");
    assert_string_equal(kept("a\\u0062\\/c", 1, 1), "ab/c");
    assert_string_equal(kept("a\\u0062", 0, 1), "a\\u0062");

    /* what could break a log line or a header is left out */

    assert_string_equal(kept("a\\r\\n\\u0000b\\u007f\x7f" "c", 1, 1), "abc");
    assert_string_equal(kept("a\r\nb", 0, 0), "ab");

    /* the room is used, never more, never half a character */

    memset(word, 'x', 40);
    word[40] = '\0';
    assert_int_equal(strlen(kept(word, 1, 0)), 32);

    memset(word, 'x', 200);
    word[200] = '\0';
    assert_int_equal(strlen(kept(word, 1, 1)), 128);

    for (i = 0; i < 4; i++) {
        memset(word, 'x', i);
        word[i] = '\0';

        while (strlen(word) < 160) {
            strcat(word, "\xf0\x9f\x98\x80");
        }

        assert_int_equal(strlen(kept(word, 0, 1)), i + (128 - i) / 4 * 4);
    }

    word[0] = '\0';

    for (i = 0; i < 140; i++) {
        strcat(word, "\\ud83d\\ude00");
    }

    assert_int_equal(strlen(kept(word, 1, 1)), 128);
    assert_memory_equal(kept(word, 1, 1) + 124, "\xf0\x9f\x98\x80", 4);

    /* an absent model keeps the one that was said */

    assert_string_equal(kept("", 1, 1), "");
}


/* What passes is added up beside, however many streams share it. */
static void
test_live(void **state)
{
    llm_event_t    ev;
    llm_hist_t     size, itl;
    llm_counts_t   counts, none;
    llm_measure_t  a, b;

    (void) state;

    memset(&counts, 0, sizeof(counts));
    memset(&size, 0, sizeof(size));
    memset(&itl, 0, sizeof(itl));

    llm_measure_init(&a);
    llm_measure_init(&b);
    a.live = &counts;
    b.live = &counts;

    ev = event(LLM_EV_TEXT, "abc");
    llm_measure(&a, &ev, 1000);
    llm_measure(&b, &ev, 1005);

    ev = event(LLM_EV_REASONING, "\\ud83d\\ude00");
    llm_measure(&a, &ev, 1012);

    ev = event(LLM_EV_TOOL_CALL, "{}");
    llm_measure(&b, &ev, 1005);

    ev = event(LLM_EV_FINISH, "stop");
    llm_measure(&a, &ev, 2000);

    llm_hist_add(&size, LLM_HIST_CHUNK_SIZE, 3);
    llm_hist_add(&size, LLM_HIST_CHUNK_SIZE, 3);
    llm_hist_add(&size, LLM_HIST_CHUNK_SIZE, 1);
    llm_hist_add(&size, LLM_HIST_CHUNK_SIZE, 0);
    llm_hist_add(&itl, LLM_HIST_ITL, 12);
    llm_hist_add(&itl, LLM_HIST_ITL, 0);

    assert_int_equal(counts.n[LLM_COUNT_CHUNKS], 4);
    assert_int_equal(counts.n[LLM_COUNT_CHARS], 7);
    assert_int_equal(a.chunks + b.chunks, 4);
    assert_int_equal(a.chars + b.chars, 7);
    assert_memory_equal(&counts.hist[LLM_HIST_CHUNK_SIZE], &size,
                        sizeof(size));
    assert_memory_equal(&counts.hist[LLM_HIST_ITL], &itl, sizeof(itl));

    /* and nothing else */

    counts.n[LLM_COUNT_CHUNKS] = 0;
    counts.n[LLM_COUNT_CHARS] = 0;
    memset(&counts.hist[LLM_HIST_CHUNK_SIZE], 0, sizeof(size));
    memset(&counts.hist[LLM_HIST_ITL], 0, sizeof(itl));

    memset(&none, 0, sizeof(none));
    assert_memory_equal(&counts, &none, sizeof(counts));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_live)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
