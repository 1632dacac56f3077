/*
 * The stop stage by itself: its events in, its events out, against the
 * definition, in any cuts and any way of writing the text.
 */

#include "unit_stop.h"


static const char *const  stop_texts[] = {
    "The cat sat on the mat. The end!\n\nUser: and then?\n",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Ґава, їжак і єнот з'їли щедрий борщ — а ти?",
    "我能吞下玻璃而不伤身体。停！我能吞下玻璃。",
    "أنا قادر على أكل الزجاج و هذا لا يؤلمني.",
    "👩‍👩‍👧‍👦 family 🇺🇦🇺🇸🇺🇦 flags é é 👍🏽👍🏿 end",
    "\"quoted\"\\back\tslash/\r\n\x01\x7f\xe2\x80\xa8line\xe2\x80\xa9",
    "aaaaabaaaaabaaaaaabaaaaaaab"
};

#define STOP_TEXTS  (sizeof(stop_texts) / sizeof(stop_texts[0]))


static size_t
stop_char(const llm_u8 *p)
{
    return *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
}


static unsigned
stop_code(const llm_u8 *p)
{
    unsigned  cp, i, n;

    n = (unsigned) stop_char(p);
    cp = n == 1 ? p[0] : p[0] & (0xffU >> (n + 1));

    for (i = 1; i < n; i++) {
        cp = cp << 6 | (p[i] & 0x3fU);
    }

    return cp;
}


/* Writes one character as the inside of a JSON string, in some way. */
static size_t
stop_escape(char *dst, const llm_u8 *p, unsigned how)
{
    unsigned  cp;

    cp = stop_code(p);

    if (cp >= 0x20 && cp != '"' && cp != '\\' && !how) {
        memcpy(dst, p, stop_char(p));
        return stop_char(p);
    }

    if (cp == '\n' && unit_random(2)) {
        memcpy(dst, "\\n", 2);
        return 2;
    }

    if (cp < 0x10000) {
        return (size_t) sprintf(dst, unit_random(2) ? "\\u%04x" : "\\u%04X",
                                cp);
    }

    return (size_t) sprintf(dst, "\\u%04x\\u%04X", 0xd7c0 + (cp >> 10),
                            0xdc00 + (cp & 0x3ff));
}


/*
 * Sends [p, p + n) as one event: 0 as it is, 1 escaped where it must be, 2 all
 * escaped.  With `half`, which has room, a pair of surrogates at the end is
 * parted, and its second half comes with the next event.
 */
static void
stop_piece(stop_run_t *r, unsigned choice, const llm_u8 *p, size_t n,
    unsigned how, char *half)
{
    char    buf[12 * 256];
    size_t  i, len;

    if (how == 0 && *half == '\0') {
        assert_int_equal(stop_send(r, LLM_EV_TEXT, choice, p, n, 0), LLM_OK);
        return;
    }

    strcpy(buf, half);
    len = strlen(buf);
    *half = '\0';

    for (i = 0; i < n; i += stop_char(p + i)) {
        len += stop_escape(buf + len, p + i, how == 2);
    }

    if (how == 2 && n >= 4 && stop_char(p + n - 4) == 4 && unit_random(2)) {
        len -= 6;
        memcpy(half, buf + len, 6);
        half[6] = '\0';
    }

    assert_int_equal(stop_send(r, LLM_EV_TEXT, choice, buf, len, 1), LLM_OK);
}


/* What must have come out when `got` bytes of a text went in.  ended: 1, as
 * the upstream says; 2, in an error. */
static void
stop_check(const stop_run_t *r, const llm_slice_t *list, unsigned n,
    const llm_u8 *p, size_t got, int ended)
{
    size_t        out;
    unit_match_t  o;

    o = unit_match(list, n, p, got);
    out = got - o.held;

    if (o.length != 0 && (o.known || ended == 1)) {
        out = o.begin;

        assert_int_equal(r->out->finished[0], 1);
        assert_int_equal(r->out->nname[0], o.length);
        assert_memory_equal(r->out->name[0], p + o.begin, o.length);
        assert_int_equal(llm_stage_is_cut(&r->chain, 0), 1);
        assert_int_equal(r->chain.cut, LLM_CUT_STOP);

    } else {
        assert_int_equal(llm_stage_is_cut(&r->chain, 0), 0);
        assert_int_equal(r->chain.cut, LLM_CUT_NONE);

        if (ended) {
            out = o.length != 0 ? o.begin : got;
        }
    }

    assert_int_equal(r->out->n[0][0], out);
    assert_memory_equal(r->out->text[0][0], p, out);
}


/* Ends a text in one of the ways that there are. */
static void
stop_over(stop_run_t *r, unsigned how)
{
    switch (how) {

    case 0:
        stop_other(r, LLM_EV_FINISH, 0);
        break;

    case 1:
        stop_other(r, LLM_EV_END, 0);
        break;

    default:
        assert_int_equal(llm_stage_chain_flush(&r->chain), LLM_OK);
        break;
    }

    assert_int_equal(r->chain.first->held, 0);
}


/* One text with its cuts, given as the characters that a piece has. */
static void
stop_pieces(const llm_slice_t *list, unsigned n, const llm_u8 *p, size_t size,
    const size_t *cuts, size_t k, unsigned how)
{
    char        half[7];
    size_t      i, from, to;
    unsigned    end;
    stop_run_t  r;

    stop_begin(&r, list, n, 0);
    half[0] = '\0';
    from = 0;

    for (i = 0; i <= k; i++) {
        to = i < k ? cuts[i] : size;

        while (to < size && (p[to] & 0xc0) == 0x80) {
            to++;
        }

        if (to <= from) {
            continue;
        }

        stop_piece(&r, 0, p + from, to - from, how == 3 ? unit_random(3)
                                                        : how, half);
        from = to;

        if (half[0] == '\0') {
            stop_check(&r, list, n, p, from, 0);
        }
    }

    if (half[0] != '\0') {
        assert_int_equal(stop_send(&r, LLM_EV_TEXT, 0, half, strlen(half), 1),
                         LLM_OK);
    }

    end = unit_random(3);
    stop_over(&r, end);
    stop_check(&r, list, n, p, size, end == 2 ? 2 : 1);
    stop_end(&r);
}


/* A string of a text, or one that almost is. */
static llm_slice_t
stop_string(llm_u8 *dst, const llm_u8 *p, size_t n)
{
    size_t  at, len;

    at = unit_random((uint32_t) n);

    while ((p[at] & 0xc0) == 0x80) {
        at--;
    }

    len = 1 + unit_random(16);
    len = len < n - at ? len : n - at;

    while (at + len < n && (p[at + len] & 0xc0) == 0x80) {
        len++;
    }

    memcpy(dst, p + at, len);

    if (unit_random(3) == 0) {
        dst[len++] = 'a';
    }

    return (llm_slice_t) { dst, len, 0 };
}


static void
test_texts(void **state)
{
    llm_u8         strings[4][32];
    size_t         i, j, n, k, cuts[512];
    unsigned       m, round;
    llm_slice_t    list[4];
    const llm_u8  *p;

    (void) state;

    for (i = 0; i < STOP_TEXTS; i++) {
        p = (const llm_u8 *) stop_texts[i];
        n = strlen(stop_texts[i]);

        for (round = 0; round < 60; round++) {
            m = 1 + unit_random(4);

            for (k = 0; k < m; k++) {
                list[k] = stop_string(strings[k], p, n);
            }

            /* each byte a cut, which makes each character a piece */

            for (j = 0; j + 1 < n; j++) {
                cuts[j] = j + 1;
            }

            stop_pieces(list, m, p, n, cuts, n - 1, 3);
            stop_pieces(list, m, p, n, cuts, n - 1, round % 3);

            for (j = 1; j < n; j++) {
                stop_pieces(list, m, p, n, &j, 1, j % 4);
            }

            for (j = 0; j < 30; j++) {
                k = unit_random_cuts(n, cuts, 32);
                stop_pieces(list, m, p, n, cuts, k, 3);
            }
        }
    }
}


/* Small alphabets, in which everything overlaps. */
static void
test_overlaps(void **state)
{
    llm_u8       strings[6][6], text[40];
    size_t       i, k, n, cuts[40];
    unsigned     m, round, letters;
    llm_slice_t  list[6];

    (void) state;

    for (round = 0; round < 30000; round++) {
        m = 1 + unit_random(6);
        letters = 1 + unit_random(3);

        for (k = 0; k < m; k++) {
            list[k] = (llm_slice_t) { strings[k], 1 + unit_random(6), 0 };

            for (i = 0; i < list[k].n; i++) {
                strings[k][i] = (llm_u8) ('a' + unit_random(letters));
            }
        }

        n = 1 + unit_random(sizeof(text));

        for (i = 0; i < n; i++) {
            text[i] = (llm_u8) ('a' + unit_random(letters + 1));
        }

        k = unit_random_cuts(n, cuts, 40);
        stop_pieces(list, m, text, n, cuts, k, 3);
    }
}


/* Several choices, each as if it were alone. */
static void
test_choices(void **state)
{
    size_t         i, k, at[STOP_CHOICES], size, len, out;
    llm_u8         strings[2][32];
    unsigned       round, left;
    stop_run_t     r;
    llm_slice_t    list[2];
    unit_match_t   o;
    const llm_u8  *p;

    (void) state;

    for (round = 0; round < 2000; round++) {
        p = (const llm_u8 *) stop_texts[round % STOP_TEXTS];
        size = strlen((const char *) p);

        for (k = 0; k < 2; k++) {
            list[k] = stop_string(strings[k], p, size);
        }

        stop_begin(&r, list, 2, 0);
        memset(at, 0, sizeof(at));
        left = STOP_CHOICES;

        /* choice i gets the text without its last i characters */

        while (left != 0) {
            i = unit_random(STOP_CHOICES);

            if (at[i] >= size - 4 * i) {
                left -= at[i] != SIZE_MAX;
                at[i] = SIZE_MAX;
                continue;
            }

            len = 1 + unit_random(9);

            while (at[i] + len < size && (p[at[i] + len] & 0xc0) == 0x80) {
                len++;
            }

            len = at[i] + len < size ? len : size - at[i];

            assert_int_equal(stop_send(&r, LLM_EV_TEXT, (unsigned) i,
                                       p + at[i], len, 0), LLM_OK);
            at[i] += len;

            /* how far each is can be told by what came out, and the end */

            o = unit_match(list, 2, p, at[i]);
            out = o.known ? o.begin : at[i] - o.held;

            assert_int_equal(r.out->n[i][0], out);
            assert_memory_equal(r.out->text[i][0], p, out);
            assert_int_equal(llm_stage_is_cut(&r.chain, (unsigned) i),
                             o.known);
        }

        stop_other(&r, LLM_EV_END, 0);
        assert_int_equal(r.chain.first->held, 0);
        stop_end(&r);
    }
}


static void
stop_expect(const stop_run_t *r, const char *log, const char *text,
    const char *refusal)
{
    assert_string_equal(r->out->log, log);
    assert_int_equal(r->out->n[0][0], strlen(text));
    assert_memory_equal(r->out->text[0][0], text, strlen(text));
    assert_int_equal(r->out->n[0][1], strlen(refusal));
    assert_memory_equal(r->out->text[0][1], refusal, strlen(refusal));
}


/* What is held comes out before anything else of the choice, and a string
 * does not go on behind it. */
static void
test_between(void **state)
{
    size_t       i;
    stop_run_t   r;
    llm_slice_t  list[2];

    static const llm_event_type_t  ends[] = {
        LLM_EV_REASONING, LLM_EV_REFUSAL, LLM_EV_TOOL_CALL, LLM_EV_META
    };

    static const llm_event_type_t  passes[] = {
        LLM_EV_LOGPROBS, LLM_EV_CITATION, LLM_EV_USAGE, LLM_EV_PING,
        LLM_EV_START
    };

    (void) state;

    list[0] = llm_slice("xyz");
    list[1] = llm_slice("STOP");

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        stop_begin(&r, list, 2, 0);

        stop_text(&r, 0, "abxy");
        assert_string_equal(r.out->log, "t");
        assert_int_equal(r.chain.first->held, 2);

        stop_other(&r, ends[i], 1);     /* of another choice */
        assert_int_equal(r.out->nlog, ends[i] == LLM_EV_REFUSAL ? 1 : 2);
        assert_int_equal(r.out->n[0][0], 2);
        r.out->nlog = 1;

        stop_other(&r, ends[i], 0);
        assert_int_equal(r.out->n[0][0], 4);
        assert_int_equal(r.out->log[1], 't');

        stop_text(&r, 0, "zSTO");
        stop_text(&r, 0, "Pq");
        assert_int_equal(r.out->n[0][0], 5);
        assert_int_equal(r.out->finished[0], 1);
        stop_end(&r);
    }

    for (i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
        stop_begin(&r, list, 2, 0);

        stop_text(&r, 0, "abxy");
        stop_other(&r, passes[i], 0);
        assert_int_equal(r.out->nlog, 2);
        assert_int_equal(r.out->n[0][0], 2);

        stop_text(&r, 0, "zq");
        assert_int_equal(r.out->n[0][0], 2);
        assert_int_equal(r.out->finished[0], 1);
        stop_end(&r);
    }
}


static void
test_after(void **state)
{
    stop_run_t   r;
    llm_slice_t  list[2];

    (void) state;

    list[0] = llm_slice("xyz");
    list[1] = llm_slice("xyzxyz");

    stop_begin(&r, list, 2, 0);

    stop_text(&r, 1, "other ");
    stop_text(&r, 0, "abxyz");
    assert_int_equal(r.out->finished[0], 0);
    stop_other(&r, LLM_EV_LOGPROBS, 0);
    stop_text(&r, 0, "?");
    assert_string_equal(r.out->log, "ttlF");

    /* all of choice 0 is dropped, the rest goes on */

    stop_text(&r, 0, "more");
    stop_other(&r, LLM_EV_TOOL_CALL, 0);
    stop_other(&r, LLM_EV_REASONING, 0);
    stop_other(&r, LLM_EV_REFUSAL, 0);
    stop_other(&r, LLM_EV_LOGPROBS, 0);
    stop_other(&r, LLM_EV_CITATION, 0);
    stop_other(&r, LLM_EV_META, 0);
    stop_other(&r, LLM_EV_FINISH, 0);
    assert_string_equal(r.out->log, "ttlF");

    stop_other(&r, LLM_EV_USAGE, 0);
    stop_other(&r, LLM_EV_TOOL_CALL, 1);
    stop_text(&r, 1, "xyz");
    stop_other(&r, LLM_EV_FINISH, 1);
    assert_string_equal(r.out->log, "ttlFucF");
    assert_int_equal(r.out->nname[1], 3);
    assert_int_equal(r.out->n[1][0], 6);

    stop_other(&r, LLM_EV_END, 0);
    stop_expect(&r, "ttlFucFX", "ab", "");
    stop_end(&r);

    /* beyond the choices that can be cut all passes */

    stop_begin(&r, list, 2, 0);
    stop_text(&r, 128, "abxyzc");
    assert_int_equal(r.out->n[0][0], 6);
    assert_int_equal(r.chain.cut, LLM_CUT_NONE);
    stop_end(&r);

    /* a refusal is searched as well, tool arguments and reasoning are not */

    stop_begin(&r, list, 1, 0);
    assert_int_equal(stop_send(&r, LLM_EV_REASONING, 0, "xyz", 3, 0), LLM_OK);
    assert_int_equal(stop_send(&r, LLM_EV_TOOL_CALL, 0, "xyz", 3, 0), LLM_OK);
    stop_text(&r, 0, "axy");
    assert_int_equal(stop_send(&r, LLM_EV_REFUSAL, 0, "nxyzn", 5, 0), LLM_OK);
    stop_expect(&r, "rcttfF", "axy", "n");
    stop_end(&r);
}


/* An event goes on as it came unless something of it must wait. */
static void
test_untouched(void **state)
{
    llm_rc_t      rc;
    stop_run_t    r;
    llm_event_t   ev;
    llm_slice_t   list[1];

    static const llm_u8  text[] = "x\\n\\u00e9\\\\";

    (void) state;

    list[0] = llm_slice("END");
    stop_begin(&r, list, 1, 0);

    ev = stop_event(LLM_EV_TEXT, 0, text, sizeof(text) - 1, 1);
    rc = r.chain.first->type->event(r.chain.first, &ev);
    assert_int_equal(rc, LLM_OK);
    assert_ptr_equal(r.out->same, &ev);

    /* empty: the choice is there; a signature is not lost with its text */

    ev.text = llm_slice("");
    rc = r.chain.first->type->event(r.chain.first, &ev);
    assert_int_equal(rc, LLM_OK);
    assert_ptr_equal(r.out->same, &ev);

    ev.text = llm_slice("E");
    rc = r.chain.first->type->event(r.chain.first, &ev);
    assert_int_equal(rc, LLM_OK);
    assert_int_equal(r.out->nlog, 2);

    ev.signature = llm_slice("sig");
    ev.text = llm_slice("N");
    rc = r.chain.first->type->event(r.chain.first, &ev);
    assert_int_equal(rc, LLM_OK);
    assert_int_equal(r.out->nlog, 3);
    assert_int_equal(r.chain.held_max, 2);

    ev.text = llm_slice("d");
    rc = r.chain.first->type->event(r.chain.first, &ev);
    assert_int_equal(rc, LLM_OK);
    assert_int_equal(r.chain.first->held, 0);
    assert_int_equal(r.chain.held_max, 2);

    stop_end(&r);
}


/* Once warm, no event takes memory. */
static void
test_memory(void **state)
{
    size_t       i, calls;
    llm_rc_t     rc;
    stop_run_t   r;
    llm_slice_t  list[1];

    (void) state;

    list[0] = llm_slice("\xf0\x9f\x98\x80 end");
    stop_begin(&r, list, 1, 0);
    calls = 0;

    for (i = 0; i < 200; i++) {
        stop_text(&r, 0, "\xf0\x9f\x98\x80 e");
        assert_int_equal(stop_send(&r, LLM_EV_TEXT, 0, "n\\ud83d", 7, 1),
                         LLM_OK);

        calls = i == 20 ? r.u.calls : calls;
    }

    assert_int_equal(r.u.calls, calls);
    stop_end(&r);

    for (i = 1; i < 8; i++) {
        stop_begin(&r, list, 1, i);

        rc = stop_send(&r, LLM_EV_TEXT, 0, "\\ud83d", 6, 1);

        if (rc == LLM_OK) {
            rc = stop_send(&r, LLM_EV_TEXT, 0, "\\ude00 en", 9, 1);
        }

        if (rc == LLM_OK) {
            rc = stop_send(&r, LLM_EV_FINISH, 0, "", 0, 0);
        }

        assert_true(rc == LLM_NOMEM || (i > 3 && rc == LLM_OK));
        stop_end(&r);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_between),
        cmocka_unit_test(test_after),
        cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_memory)
    };

    (void) unit_seed();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
