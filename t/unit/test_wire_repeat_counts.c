/*
 * Frames that repeat but for their text and their counts: a decoder that
 * remembers says the same as one that does not, whatever is changed in a
 * frame.
 */

#include "unit_support.h"

#include "llm_dialect.h"
#include "llm_repeat_counts.h"


#define GEMINI  (&llm_dialect_gemini)

#define FRAME(text, out, total)                                             \
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" text "\"}],"   \
    "\"role\":\"model\"},\"index\":0}],\"usageMetadata\":{"                 \
    "\"promptTokenCount\":34,\"candidatesTokenCount\":" out                 \
    ",\"totalTokenCount\":" total ",\"promptTokensDetails\":[{\"modality\":" \
    "\"TEXT\",\"tokenCount\":34}]},\"modelVersion\":\"m\","                 \
    "\"responseId\":\"r\"}"


typedef struct {
    char      text[1024];
    size_t    n;
    unsigned  events;
} said_t;

typedef struct {
    llm_decoder_t  d;
    unit_alloc_t   heap;
} decoder_t;


static llm_rc_t
say(void *ctx, const llm_event_t *ev)
{
    said_t  *s;

    s = ctx;

    s->n += (size_t) snprintf(s->text + s->n, sizeof(s->text) - s->n,
                              "%d:%u:%.*s:%d:%u\n", (int) ev->type,
                              ev->choice, (int) ev->text.n,
                              ev->text.n ? (const char *) ev->text.p : "",
                              (int) ev->finish, ev->linesep);

    if (ev->usage != NULL) {
        s->n += (size_t) snprintf(s->text + s->n, sizeof(s->text) - s->n,
                                  "%lld %lld %lld %lld %lld\n",
                                  (long long) ev->usage->input,
                                  (long long) ev->usage->output,
                                  (long long) ev->usage->cached,
                                  (long long) ev->usage->reasoning,
                                  (long long) ev->usage->total);
    }

    assert_true(s->n < sizeof(s->text));
    s->events++;

    return LLM_OK;
}


static void
decoder_open(decoder_t *x)
{
    memset(&x->d, 0, sizeof(llm_decoder_t));

    x->d.alloc = unit_alloc(&x->heap);
    x->d.started = 1;
    x->d.state = calloc(1, GEMINI->decode_size);
    assert_non_null(x->d.state);
}


static void
decoder_drop(decoder_t *x)
{
    GEMINI->decode_drop(&x->d);
    llm_block_free(&x->d.scratch, &x->d.alloc);
    assert_int_equal(x->heap.live, 0);
    free(x->d.state);
}


static llm_rc_t
decode(decoder_t *x, const void *p, size_t n, said_t *s)
{
    llm_u8       *copy;
    llm_rc_t      rc;
    llm_frame_t   frame;

    memset(s, 0, sizeof(said_t));
    memset(&frame, 0, sizeof(llm_frame_t));

    copy = unit_copy(p, n);
    frame.data = (llm_slice_t) { copy, n, 0 };
    frame.max_depth = LLM_JSON_DEPTH;

    x->d.emit = say;
    x->d.ctx = s;

    rc = GEMINI->decode(&x->d, &frame);

    free(copy);

    return rc;
}


/* One decoder that knows `first` against one that knows nothing. */
static void
check_same(const char *first, const void *p, size_t n)
{
    said_t     a, b;
    llm_rc_t   ra, rb;
    decoder_t  old, new;

    decoder_open(&old);
    decoder_open(&new);

    assert_int_equal(decode(&old, first, strlen(first), &a), LLM_OK);

    ra = decode(&old, p, n, &a);
    rb = decode(&new, p, n, &b);

    if (ra != rb || strcmp(a.text, b.text) != 0) {
        fail_msg("%.*s: %d '%s', %d '%s'", (int) n, (const char *) p, ra,
                 a.text, rb, b.text);
    }

    decoder_drop(&old);
    decoder_drop(&new);
}


static void
test_values(void **state)
{
    size_t  i;

    static const char *const  frames[] = {
        FRAME("b", "1", "35"),
        FRAME("b", "999999999999999999", "1000000000000000033"),
        FRAME("b", "99999999999999999999", "5"),
        FRAME("b", "01", "35"), FRAME("b", "00", "35"),
        FRAME("b", "0", "35"), FRAME("b", "-1", "35"),
        FRAME("b", "1.5", "35"), FRAME("b", "1e1", "35"),
        FRAME("b", "", "35"), FRAME("b", "\"1\"", "35"),
        FRAME("b", "null", "35"), FRAME("b", " 1", "35"),
        FRAME("b", "1", "35 "), FRAME("b", "1", "35") " ",
        FRAME("b", "1", "35") "x", FRAME("", "1", "35"),
        FRAME("\\n\\\"\\\\\\u00e9\\/\\b\\f\\r\\t", "1", "35"),
        FRAME("\\x", "1", "35"), FRAME("\\u12g4", "1", "35"),
        FRAME("\\", "1", "35"), FRAME("\n", "1", "35"),
        FRAME("a long text of more than sixteen bytes \\u00e9 and so on",
              "1", "35"),
        FRAME("a long text of more than sixteen bytes \\q and so on", "1",
              "35"),
        FRAME("b\"},{\"text\":\"c", "1", "35"),
        FRAME("b\",\"thought\":true,\"x\":\"", "1", "35")
    };

    (void) state;

    for (i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        check_same(FRAME("a", "1", "35"), frames[i], strlen(frames[i]));
    }
}


/* Every byte changed, every beginning. */
static void
test_bytes(void **state)
{
    size_t  i, k, n;
    char    frame[512];

    static const char  first[] = FRAME("a\\n", "12", "46");
    static const char  bytes[] = "\"\\0}, x";

    (void) state;

    n = sizeof(first) - 1;

    for (i = 0; i < n; i++) {
        for (k = 0; k < sizeof(bytes) - 1; k++) {
            memcpy(frame, first, n);
            frame[i] = bytes[k];
            check_same(first, frame, n);
        }

        check_same(first, first, i);
    }
}


static llm_slice_t
find(const char *in, const char *what)
{
    return (llm_slice_t) { (const llm_u8 *) strstr(in, what), strlen(what),
                           0 };
}


/* What is learned is what is matched, and the limits of learning. */
static void
test_learn(void **state)
{
    int64_t              values[LLM_REPEAT_COUNTS];
    llm_event_t          ev;
    llm_slice_t          data, text, counts[LLM_REPEAT_COUNTS + 1];
    llm_repeat_counts_t  r;

    static const char  one[] = "[\"ab\",12,x,34]";
    static const char  two[] = "[\"c\\n\",5,x,678]";

    (void) state;

    memset(&ev, 0, sizeof(llm_event_t));
    memset(&r, 0, sizeof(llm_repeat_counts_t));

    ev.type = LLM_EV_REASONING;
    ev.choice = 3;
    ev.text = find(one, "ab");
    counts[0] = find(one, "12");
    counts[1] = find(one, "34");
    data = (llm_slice_t) { (const llm_u8 *) one, strlen(one), 0 };

    assert_false(llm_repeat_counts_match(&r, &data, &text, values));

    llm_repeat_counts_learn(&r, &data, &ev, counts, 2);
    assert_int_equal(r.type, LLM_EV_REASONING);
    assert_int_equal(r.choice, 3);
    assert_int_equal(r.counts, 2);

    data = (llm_slice_t) { (const llm_u8 *) two, strlen(two), 0 };
    assert_true(llm_repeat_counts_match(&r, &data, &text, values));
    assert_int_equal(text.n, 3);
    assert_memory_equal(text.p, "c\\n", 3);
    assert_int_equal(values[0], 5);
    assert_int_equal(values[1], 678);

    /* none at all */

    data = (llm_slice_t) { (const llm_u8 *) one, strlen(one), 0 };
    llm_repeat_counts_learn(&r, &data, &ev, counts, 0);
    assert_true(llm_repeat_counts_match(&r, &data, &text, values));
    data = (llm_slice_t) { (const llm_u8 *) two, strlen(two), 0 };
    assert_false(llm_repeat_counts_match(&r, &data, &text, values));

    /* in front of the text, too many, too large */

    data = (llm_slice_t) { (const llm_u8 *) one, strlen(one), 0 };
    ev.text = find(one, "34");
    llm_repeat_counts_learn(&r, &data, &ev, counts, 1);
    assert_int_equal(r.head, 0);

    ev.text = find(one, "ab");
    llm_repeat_counts_learn(&r, &data, &ev, counts, LLM_REPEAT_COUNTS + 1);
    assert_int_equal(r.head, 0);
    assert_false(llm_repeat_counts_match(&r, &data, &text, values));
}


static void
test_large(void **state)
{
    size_t               n;
    int64_t              values[LLM_REPEAT_COUNTS];
    llm_u8              *p;
    llm_event_t          ev;
    llm_slice_t          data, text;
    llm_repeat_counts_t  r;

    (void) state;

    memset(&ev, 0, sizeof(llm_event_t));

    for (n = LLM_REPEAT_MAX - 1; n <= LLM_REPEAT_MAX + 1; n++) {
        p = calloc(1, n + 1);
        assert_non_null(p);
        memset(p, 'x', n + 1);
        p[1] = '"';
        p[3] = '"';

        data = (llm_slice_t) { p, n + 1, 0 };
        ev.text = (llm_slice_t) { p + 2, 1, 1 };
        llm_repeat_counts_learn(&r, &data, &ev, NULL, 0);

        assert_int_equal(r.head != 0, n <= LLM_REPEAT_MAX);
        assert_int_equal(llm_repeat_counts_match(&r, &data, &text, values),
                         n <= LLM_REPEAT_MAX);
        free(p);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_learn),
        cmocka_unit_test(test_large)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
