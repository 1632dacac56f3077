/*
 * Frames that repeat: what is compared instead of scanned gives the same
 * events as what is scanned.  Every fixture's frames are decoded twice, by
 * one decoder for all of them and by a new one for each; then the limits of
 * a match one by one.
 */

#include "unit_support.h"

#include "llm_dialect.h"
#include "llm_sse.h"


typedef struct {
    char    *p;
    size_t   n;
    size_t   cap;
    unsigned events;
} repeat_log_t;


static void
repeat_say(repeat_log_t *log, const char *p, size_t n)
{
    if (log->cap - log->n < n) {
        log->cap = 2 * (log->cap + n);
        log->p = realloc(log->p, log->cap);
        assert_non_null(log->p);
    }

    memcpy(log->p + log->n, p, n);
    log->n += n;
}


static llm_rc_t
repeat_emit(void *ctx, const llm_event_t *ev)
{
    int            n;
    char           head[80];
    repeat_log_t  *log = ctx;

    n = snprintf(head, sizeof(head), "%d:%u:%u:%u:%d:", (int) ev->type,
                 ev->choice, ev->linesep, ev->text.escaped != 0,
                 (int) ev->finish);
    repeat_say(log, head, (size_t) n);

    if (ev->text.n != 0) {
        repeat_say(log, (const char *) ev->text.p, ev->text.n);
    }

    repeat_say(log, "\n", 1);
    log->events++;

    return LLM_OK;
}


static llm_rc_t
repeat_decode(llm_decoder_t *d, repeat_log_t *log, const llm_slice_t *data)
{
    llm_frame_t  frame;

    memset(&frame, 0, sizeof(frame));
    frame.data = *data;
    frame.max_depth = 128;

    d->emit = repeat_emit;
    d->ctx = log;

    return llm_dialect_openai.decode(d, &frame);
}


static unsigned  repeat_matched;


/* The decoder that remembers against one that never does. */

static void
repeat_file(const char *path, const char *name)
{
    size_t            n;
    llm_u8           *bytes;
    llm_rc_t          rc, plain_rc;
    llm_sse_t         sse;
    llm_alloc_t       alloc;
    llm_slice_t       text;
    repeat_log_t      log, plain;
    unit_alloc_t      u;
    llm_decoder_t     d, fresh;
    llm_sse_event_t   ev;

    (void) name;

    bytes = unit_read(path, &n);

    memset(&u, 0, sizeof(u));
    memset(&d, 0, sizeof(d));
    memset(&log, 0, sizeof(log));
    memset(&plain, 0, sizeof(plain));

    alloc = unit_alloc(&u);
    llm_sse_init(&sse, &alloc, 1 << 24);
    llm_sse_feed(&sse, bytes, n);

    while (llm_sse_next(&sse, &ev) == LLM_OK) {

        if (llm_repeat_match(&d.repeat, &ev.data, &text)) {
            repeat_matched++;
        }

        memset(&fresh, 0, sizeof(fresh));
        fresh.started = d.started;

        rc = repeat_decode(&d, &log, &ev.data);
        plain_rc = repeat_decode(&fresh, &plain, &ev.data);

        assert_int_equal(rc, plain_rc);
        assert_int_equal(log.events, plain.events);
        assert_int_equal(log.n, plain.n);

        if (log.n != 0) {
            assert_memory_equal(log.p, plain.p, log.n);
        }
    }

    llm_sse_free(&sse);
    assert_int_equal(u.live, 0);
    free(log.p);
    free(plain.p);
    free(bytes);
}


static void
repeat_fixtures(void **state)
{
    (void) state;

    repeat_matched = 0;
    (void) unit_each("t/fixtures/openai", "sse", repeat_file);

    /* else the test says nothing */

    assert_true(repeat_matched > 10);
}


static llm_slice_t
repeat_slice(const char *s)
{
    return (llm_slice_t) { (const llm_u8 *) s, strlen(s), 0 };
}


static void
repeat_learned(llm_repeat_t *r, const char *frame, const char *text)
{
    llm_event_t  ev;
    llm_slice_t  data;

    memset(r, 0, sizeof(*r));
    memset(&ev, 0, sizeof(ev));

    data = repeat_slice(frame);
    ev.type = LLM_EV_TEXT;
    ev.text.p = (const llm_u8 *) strstr(frame, text);
    ev.text.n = strlen(text);

    llm_repeat_learn(r, &data, &ev);
}


static void
repeat_limits(void **state)
{
    size_t        i;
    llm_slice_t   data, text;
    llm_repeat_t  r;

    static const struct {
        const char  *frame;
        const char  *text;      /* NULL: must not match */
    } cases[] = {
        { "{\"a\":1,\"c\":\"other words, longer than a stride\",\"b\":2}",
          "other words, longer than a stride" },
        { "{\"a\":1,\"c\":\"x\",\"b\":2}", "x" },
        { "{\"a\":1,\"c\":\"\",\"b\":2}", NULL },
        { "{\"a\":1,\"c\":\"x\",\"b\":3}", NULL },
        { "{\"a\":2,\"c\":\"x\",\"b\":2}", NULL },
        { "{\"a\":1,\"c\":\"x\",\"b\":2} ", NULL },
        { "{\"a\":1,\"c\":\"x\",\"b\":2", NULL },
        { "{\"a\":1,\"c\":\"x", NULL },
        { "{\"a\":1,\"c\":\"", NULL },
        { "{\"a\":1,\"c\":\"a\\nb\",\"b\":2}", "a\\nb" },
        { "{\"a\":1,\"c\":\"\\\"\",\"b\":2}", "\\\"" },
        { "{\"a\":1,\"c\":\"a \\ud83d\\uDE00 in a longer text\",\"b\":2}",
          "a \\ud83d\\uDE00 in a longer text" },
        { "{\"a\":1,\"c\":\"\\q\",\"b\":2}", NULL },
        { "{\"a\":1,\"c\":\"\\u00g0\",\"b\":2}", NULL },
        { "{\"a\":1,\"c\":\"\\", NULL },
        { "{\"a\":1,\"c\":\"\\\",\"b\":2}", NULL },
        { "{\"a\":1,\"c\":\"a\tb\",\"b\":2}", NULL },
        { "{\"a\":1,\"c\":\"a long one with a tab\there\",\"b\":2}", NULL },
        { "{\"a\":1,\"c\":\"x\",\"d\":\"y\",\"b\":2}", NULL }
    };

    (void) state;
    repeat_learned(&r, "{\"a\":1,\"c\":\"words\",\"b\":2}", "words");

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        data = repeat_slice(cases[i].frame);

        if (cases[i].text == NULL) {
            assert_false(llm_repeat_match(&r, &data, &text));
            continue;
        }

        assert_true(llm_repeat_match(&r, &data, &text));
        assert_int_equal(text.n, strlen(cases[i].text));
        assert_memory_equal(text.p, cases[i].text, text.n);
        assert_int_equal(text.escaped, 1);
    }
}


static void
repeat_padding(void **state)
{
    llm_slice_t   data, text;
    llm_repeat_t  r;

    (void) state;

    repeat_learned(&r, "{\"c\":\"words\",\"obfuscation\":\"aQ3\",\"z\":0}",
                   "words");

    data = repeat_slice("{\"c\":\"w\",\"obfuscation\":\"bbbbbbbb\",\"z\":0}");
    assert_true(llm_repeat_match(&r, &data, &text));
    assert_int_equal(text.n, 1);

    data = repeat_slice("{\"c\":\"w\",\"obfuscation\":\"bb\",\"z\":1}");
    assert_false(llm_repeat_match(&r, &data, &text));

    data = repeat_slice("{\"c\":\"w\",\"obfuscation\":\"b\\nb\",\"z\":0}");
    assert_true(llm_repeat_match(&r, &data, &text));

    data = repeat_slice("{\"c\":\"w\",\"obfuscation\":\"b\",\"error\":0}");
    assert_false(llm_repeat_match(&r, &data, &text));

    /* a name that only looks like it: its value may mean something */

    repeat_learned(&r, "{\"c\":\"words\",\"error\":\"\",\"z\":0}", "words");
    data = repeat_slice("{\"c\":\"words\",\"error\":\"boom\",\"z\":0}");
    assert_false(llm_repeat_match(&r, &data, &text));
}


/* Where nothing repeats not every frame is learned; what was learned before
 * holds, and what repeats again is found. */

static void
repeat_in_vain(void **state)
{
    char          frame[64];
    unsigned      i, found;
    llm_slice_t   data, text;
    llm_event_t   ev;
    llm_repeat_t  r;

    (void) state;

    memset(&r, 0, sizeof(r));
    memset(&ev, 0, sizeof(ev));
    ev.type = LLM_EV_TEXT;

    for (i = 0; i < 100; i++) {
        (void) snprintf(frame, sizeof(frame), "{\"n\":%u,\"c\":\"w\"}", i);
        data = repeat_slice(frame);
        assert_false(llm_repeat_match(&r, &data, &text));

        ev.text = repeat_slice(strstr(frame, "w"));
        ev.text.n = 1;
        llm_repeat_learn(&r, &data, &ev);
    }

    data = repeat_slice("{\"c\":\"w\"}");
    ev.text.p = data.p + 6;

    for (i = 0, found = 0; i < LLM_REPEAT_MISSES * 2; i++) {
        if (llm_repeat_match(&r, &data, &text)) {
            found++;

        } else {
            assert_int_equal(found, 0);
            llm_repeat_learn(&r, &data, &ev);
        }
    }

    assert_true(found >= LLM_REPEAT_MISSES);
}


static void
repeat_too_large(void **state)
{
    char          frame[LLM_REPEAT_MAX + 64];
    llm_slice_t   data, text;
    llm_repeat_t  r;

    (void) state;

    memset(frame, ' ', sizeof(frame));
    memcpy(frame, "{\"c\":\"w\"", 8);
    frame[sizeof(frame) - 2] = '}';
    frame[sizeof(frame) - 1] = '\0';

    repeat_learned(&r, frame, "w");
    data = repeat_slice(frame);
    assert_false(llm_repeat_match(&r, &data, &text));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(repeat_fixtures),
        cmocka_unit_test(repeat_limits),
        cmocka_unit_test(repeat_padding),
        cmocka_unit_test(repeat_in_vain),
        cmocka_unit_test(repeat_too_large)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
