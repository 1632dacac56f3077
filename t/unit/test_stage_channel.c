/*
 * The texts of an answer: each by itself, and read the same whatever way and
 * in whatever pieces it was written.
 */

#include "unit_support.h"
#include "llm_channel.h"


static llm_event_t
piece(llm_event_type_t type, unsigned choice, unsigned tool)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = type;
    ev.choice = choice;
    ev.tool_index = tool;

    return ev;
}


/* What is a text of its own, and what is not. */
static void
test_find(void **state)
{
    size_t           i, k;
    llm_event_t      ev;
    llm_alloc_t      a;
    unit_alloc_t     u;
    llm_channel_t   *c, *known[6];
    llm_channels_t   cs;

    static const struct {
        llm_event_type_t  type;
        unsigned          choice;
        unsigned          tool;
    } rows[] = {
        { LLM_EV_TEXT, 0, 0 }, { LLM_EV_TEXT, 1, 0 },
        { LLM_EV_REASONING, 0, 0 }, { LLM_EV_REFUSAL, 0, 0 },
        { LLM_EV_TOOL_CALL, 0, 0 }, { LLM_EV_TOOL_CALL, 0, 1 }
    };

    (void) state;

    a = unit_alloc(&u);
    llm_channels_init(&cs, sizeof(llm_channel_t) + 100);

    for (k = 0; k < 3; k++) {
        for (i = 0; i < 6; i++) {
            ev = piece(rows[i].type, rows[i].choice, rows[i].tool);

            assert_int_equal(llm_channel_find(&cs, &a, &ev, &c), LLM_OK);

            if (k == 0) {
                known[i] = c;
                memset(c + 1, 'x', 100);
            }

            assert_ptr_equal(c, known[i]);
            assert_ptr_equal(llm_channel_at(&cs, i), c);
        }
    }

    assert_null(llm_channel_at(&cs, 6));

    /* a text has no tool_index, whatever an event says */

    ev = piece(LLM_EV_TEXT, 0, 7);
    assert_int_equal(llm_channel_find(&cs, &a, &ev, &c), LLM_OK);
    assert_ptr_equal(c, known[0]);

    llm_channels_free(&cs, &a);
    assert_int_equal(u.live, 0);
}


static void
test_too_many(void **state)
{
    unsigned         i;
    llm_event_t      ev;
    llm_alloc_t      a;
    unit_alloc_t     u;
    llm_channel_t   *c;
    llm_channels_t   cs;

    (void) state;

    a = unit_alloc(&u);
    llm_channels_init(&cs, sizeof(llm_channel_t));

    for (i = 0; i < LLM_CHANNELS_MAX; i++) {
        ev = piece(LLM_EV_TEXT, i, 0);
        assert_int_equal(llm_channel_find(&cs, &a, &ev, &c), LLM_OK);
    }

    ev = piece(LLM_EV_TEXT, i, 0);
    assert_int_equal(llm_channel_find(&cs, &a, &ev, &c), LLM_TOO_BIG);

    llm_channels_free(&cs, &a);
    assert_int_equal(u.live, 0);
}


static void
test_no_memory(void **state)
{
    size_t           fail;
    llm_rc_t         rc;
    unsigned         i, failed;
    llm_event_t      ev;
    llm_alloc_t      a;
    unit_alloc_t     u;
    llm_channel_t   *c;
    llm_channels_t   cs;

    (void) state;

    failed = 0;

    for (fail = 1; fail < 12; fail++) {
        a = unit_alloc(&u);
        u.fail_at = fail;
        llm_channels_init(&cs, sizeof(llm_channel_t));

        for (i = 0, rc = LLM_OK; i < 20 && rc == LLM_OK; i++) {
            ev = piece(LLM_EV_TEXT, i, 0);
            rc = llm_channel_find(&cs, &a, &ev, &c);
        }

        if (rc != LLM_OK) {
            assert_int_equal(rc, LLM_NOMEM);
            failed++;
        }

        llm_channels_free(&cs, &a);
        assert_int_equal(u.live, 0);
    }

    assert_true(failed > 5);
}


/* A text in pieces; "raw" ones begin with a plus, the others are escaped. */
typedef struct {
    const char  *pieces[6];
    const char  *text;
} text_t;


static void
test_decode(void **state)
{
    size_t         i, k;
    llm_alloc_t    a;
    llm_block_t    b;
    llm_slice_t    s;
    unit_alloc_t   u;
    llm_channel_t  c;

    static const text_t  rows[] = {
        { { "a", "b\\n", "", "c" }, "ab\nc" },
        { { "+a\\n", "\\n" }, "a\\n\n" },

        /* halves of a character */

        { { "x\\ud83d", "\\ude00y" }, "x\xf0\x9f\x98\x80y" },
        { { "\\uD83D", "", "\\uDE00" }, "\xf0\x9f\x98\x80" },
        { { "\\ud83d\\ude00\\ud83d", "\\ude00" },
          "\xf0\x9f\x98\x80\xf0\x9f\x98\x80" },

        /* without the other one */

        { { "\\ud83d", "y" }, "\xef\xbf\xbdy" },
        { { "\\ud83d", "+y" }, "\xef\xbf\xbdy" },
        { { "\\ud83d", "+\\ude00" }, "\xef\xbf\xbd\\ude00" },
        { { "\\ude00", "y" }, "\xef\xbf\xbdy" },
        { { "\\ud83d", "\\ud83d", "\\ude00" },
          "\xef\xbf\xbd\xf0\x9f\x98\x80" },
        { { "\\ud83d" }, "\xef\xbf\xbd" },
        { { "\\ud83d", "" }, "\xef\xbf\xbd" },

        /* what only looks like one */

        { { "\\\\ud83d", "\\ude00" }, "\\ud83d\xef\xbf\xbd" },
        { { "\\\\\\ud83d", "\\ude00" }, "\\\xf0\x9f\x98\x80" },
        { { "+\\ud83d", "\\ude00" }, "\\ud83d\xef\xbf\xbd" },
        { { "ud83d", "\\ude00" }, "ud83d\xef\xbf\xbd" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        a = unit_alloc(&u);
        memset(&b, 0, sizeof(llm_block_t));
        memset(&c, 0, sizeof(llm_channel_t));

        for (k = 0; k < 6 && rows[i].pieces[k] != NULL; k++) {
            s.p = (const llm_u8 *) rows[i].pieces[k];
            s.n = strlen(rows[i].pieces[k]);
            s.escaped = s.n == 0 || s.p[0] != '+';

            if (!s.escaped) {
                s.p++;
                s.n--;
            }

            assert_int_equal(llm_channel_decode(&c, &b, &a, &s), LLM_OK);
        }

        assert_int_equal(llm_channel_end(&c, &b, &a), LLM_OK);
        assert_int_equal(llm_channel_end(&c, &b, &a), LLM_OK);

        assert_int_equal(b.n, strlen(rows[i].text));
        assert_memory_equal(b.p, rows[i].text, b.n);

        llm_block_free(&b, &a);
        assert_int_equal(u.live, 0);
    }
}


static void
test_event(void **state)
{
    llm_event_t    ev;
    llm_channel_t  c;

    (void) state;

    memset(&c, 0, sizeof(llm_channel_t));

    c.type = LLM_EV_TOOL_CALL;
    c.choice = 3;
    c.tool_index = 2;

    ev = llm_channel_event(&c, (const llm_u8 *) "abc", 3);

    assert_int_equal(ev.type, LLM_EV_TOOL_CALL);
    assert_int_equal(ev.choice, 3);
    assert_int_equal(ev.tool_index, 2);
    assert_int_equal(ev.text.n, 3);
    assert_int_equal(ev.text.escaped, 0);
    assert_int_equal(ev.whole, 0);
    assert_null(ev.id.p);
    assert_int_equal(ev.created, -1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_event)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
