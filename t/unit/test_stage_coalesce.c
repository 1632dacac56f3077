/*
 * The shaping of text: whatever the pieces and the times at which they come,
 * the text is the same, nothing waits too long, no cluster is parted without
 * need, and what is asked for decides when it goes.
 */

#include "unit_clusters.h"
#include "unit_stage.h"
#include "llm_stage_coalesce.h"


#define MAX_TEXT  2000

/* A text with the time at which each byte of it came and went. */
typedef struct {
    const clusters_t           *t;
    const llm_coalesce_conf_t  *conf;
    int64_t                     came[MAX_TEXT];
    int64_t                     went[MAX_TEXT];
    size_t                      first;      /* bytes of the first event */
    int64_t                     end;        /* when END came */
} flow_t;

static const llm_coalesce_conf_t  confs[] = {
    { 40, 100, 0, LLM_BREAK_CLUSTER },
    { 0, 100, 16, LLM_BREAK_CLUSTER },
    { 40, 100, 16, LLM_BREAK_CLUSTER },
    { 300, 300, 0, LLM_BREAK_CLUSTER },
    { 0, 100, 1, LLM_BREAK_CLUSTER },
    { 0, 100, 0, LLM_BREAK_WORD },
    { 0, 250, 0, LLM_BREAK_SENTENCE },
    { 0, 100, 0, LLM_BREAK_LINE },
    { 40, 250, 8, LLM_BREAK_SENTENCE },
    { 40, 100, 0, LLM_BREAK_WORD },
    { 0, 5000, 0, LLM_BREAK_LINE },
    { 1, 1, 0, LLM_BREAK_CLUSTER }
};

#define CONFS  (sizeof(confs) / sizeof(confs[0]))


static void
open_one(stage_run_t *r, const llm_coalesce_conf_t *conf, size_t fail_at)
{
    llm_stage_conf_t  c;

    memset(&c, 0, sizeof(llm_stage_conf_t));
    c.type = &llm_stage_coalesce;
    c.conf = conf;

    stage_open(r, &c, 1, fail_at);
}


/* Bytes of n characters from i on. */
static size_t
characters(const clusters_t *t, size_t i, size_t n)
{
    size_t  from;

    for (from = i; i < t->n && n != 0; n--) {
        for (i++; i < t->n && (t->p[i] & 0xc0) == 0x80; i++) { /* void */ }
    }

    return i - from;
}


/* \uXXXX for each character: pairs are parted as a decoder would. */
static size_t
escape(char *to, const llm_u8 *p, size_t n)
{
    size_t    i, k;
    uint32_t  c;

    for (i = 0, k = 0; i < n; ) {

        if (p[i] < 0x80) {
            c = p[i++];

        } else if (p[i] < 0xe0) {
            c = (p[i] & 0x1fu) << 6 | (p[i + 1] & 0x3fu);
            i += 2;

        } else if (p[i] < 0xf0) {
            c = (p[i] & 0xfu) << 12 | (p[i + 1] & 0x3fu) << 6
                | (p[i + 2] & 0x3fu);
            i += 3;

        } else {
            c = (p[i] & 7u) << 18 | (p[i + 1] & 0x3fu) << 12
                | (p[i + 2] & 0x3fu) << 6 | (p[i + 3] & 0x3fu);
            i += 4;

            k += (size_t) sprintf(to + k, "\\u%04x",
                                  0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }

        k += (size_t) sprintf(to + k, "\\u%04x", c);
    }

    return k;
}


/* Sends the text in events of up to `step` characters (0: any number), at
 * most `gap` ms apart. */
static void
run_text(stage_run_t *r, flow_t *f, size_t step, unsigned gap, unsigned esc)
{
    char         *text;
    size_t        i, k, n;
    int64_t       now;
    llm_event_t   ev;

    now = 1000;
    f->first = 0;
    text = malloc(12 * f->t->n + 1);
    assert_non_null(text);

    for (i = 0; i < f->t->n; i += n) {
        n = characters(f->t, i, step != 0 ? step : 1 + unit_random(9));

        for (k = i; k < i + n; k++) {
            f->came[k] = now;
        }

        if (esc) {
            ev = stage_ev(LLM_EV_TEXT);
            ev.text.n = escape(text, f->t->p + i, n);
            ev.text.p = (llm_u8 *) text;
            ev.text.escaped = 1;
            stage_event(r, &ev, now);

        } else {
            stage_text(r, LLM_EV_TEXT, 0, f->t->p + i, n, now);
        }

        f->first = f->first != 0 ? f->first : n;
        now += unit_random(gap + 1);
    }

    f->end = now;
    ev = stage_ev(LLM_EV_END);
    stage_event(r, &ev, now);
    assert_int_equal(r->rc, LLM_OK);
    free(text);
}


/* The text is the same, in whole characters; sets f->went. */
static void
check_text(const char *what, flow_t *f, const stage_run_t *r)
{
    size_t              i, k;
    const stage_out_t  *o;

    if (r->ntext != f->t->n || memcmp(r->text, f->t->p, f->t->n) != 0) {
        fail_msg("%s: the text differs", what);
    }

    assert_int_equal(r->out[r->nout - 1].type, LLM_EV_END);

    for (i = 0; i + 1 < r->nout; i++) {
        o = &r->out[i];

        assert_int_equal(o->type, LLM_EV_TEXT);

        if (o->n == 0 || (f->t->p[o->from] & 0xc0) == 0x80) {
            fail_msg("%s: an empty piece, or half a character", what);
        }

        for (k = o->from; k < o->from + o->n; k++) {
            f->went[k] = o->at;
        }
    }
}


/* Where the cluster begins that has the byte at i; a virama joins it to the
 * one before. */
static size_t
cluster_of(const clusters_t *t, size_t i)
{
    size_t  k;

    static const char  viramas[][4] = {
        "\xe0\xa5\x8d", "\xe1\x9f\x92", "\xe1\x80\xb9"
    };

    while (!t->border[i]) {
        i--;
    }

    for (k = i; k >= 3; k--) {

        if (memcmp(t->p + k - 3, viramas[0], 3) == 0
            || memcmp(t->p + k - 3, viramas[1], 3) == 0
            || memcmp(t->p + k - 3, viramas[2], 3) == 0)
        {
            return cluster_of(t, k - 3);
        }

        if (k < i && t->border[k]) {
            break;
        }
    }

    return i;
}


/* The end of a piece at `to`, given out at `at`.  The first piece ends where
 * the events did. */
static void
check_border(const char *what, const flow_t *f, size_t from, size_t to,
    int64_t at)
{
    if (to == f->t->n || f->t->border[to]
        || (from == 0 && f->came[to] >= at))
    {
        return;
    }

    /* times are known to a 128th of the delay */

    if (at - f->came[cluster_of(f->t, to)]
        < f->conf->max_delay - f->conf->max_delay / 128)
    {
        fail_msg("%s: a cluster is cut at %zu, after %lld ms", what, to,
                 (long long) (at - f->came[cluster_of(f->t, to)]));
    }
}


/* When a piece that begins at `from` may go at all: something of it is old
 * enough, or enough of it is there, or it ends as was asked. */
static void
check_reason(const char *what, const flow_t *f, size_t from, size_t to,
    int64_t at)
{
    size_t                      i, chars;
    int64_t                     age;
    const llm_coalesce_conf_t  *c;

    c = f->conf;
    age = at - f->came[from] + c->max_delay / 128;

    for (i = from, chars = 0; i < f->t->n && f->came[i] <= at; i++) {
        chars += (f->t->p[i] & 0xc0) != 0x80;
    }

    if (from == 0 || at == f->end || age >= c->max_delay
        || (c->time != 0 && age >= c->time)
        || (c->size != 0 && chars >= c->size))
    {
        return;
    }

    /* an end that was asked for: lines are the ones that are sure */

    if (c->boundary == LLM_BREAK_CLUSTER
        || (c->boundary == LLM_BREAK_LINE && f->t->p[to - 1] != '\n'
            && f->t->p[to - 1] != 0xa8 && f->t->p[to - 1] != 0xa9))
    {
        fail_msg("%s: bytes %zu to %zu went too early", what, from, to);
    }
}


/* Whether a text has syllables of several clusters, which Perl does not know
 * and which are not parted. */
static int
conjuncts(const clusters_t *t)
{
    size_t  i;

    static const char *const  names[] = {
        "random", "hindi", "khmer", "burmese"
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strncmp(t->name, names[i], strlen(names[i])) == 0) {
            return 1;
        }
    }

    return 0;
}


/* Nothing waits too long: max_delay for all, time for what can be cut once
 * the character behind it is known. */
static void
check_waits(const char *what, const flow_t *f)
{
    size_t   i, next;
    int64_t  last;

    for (i = 0; i < f->t->n; i++) {

        last = f->came[i] + f->conf->max_delay;

        for (next = i + 1; !f->t->border[next]; next++) { /* void */ }

        if (f->conf->time != 0 && next < f->t->n && !conjuncts(f->t)
            && f->came[i] + f->conf->time < last)
        {
            last = f->came[i] + f->conf->time;
            last = last > f->came[next] ? last : f->came[next];
        }

        if (f->went[i] > last) {
            fail_msg("%s: byte %zu waited %lld ms", what, i,
                     (long long) (f->went[i] - f->came[i]));
        }
    }
}


static void
one_run(const clusters_t *t, const llm_coalesce_conf_t *conf, size_t step,
    unsigned gap, unsigned esc)
{
    char                what[200];
    size_t              i;
    flow_t              f;
    stage_run_t         r;
    const stage_out_t  *o;

    (void) snprintf(what, sizeof(what),
                    "%s, time=%d size=%zu boundary=%d max=%d, step %zu, "
                    "gap %u", t->name, (int) conf->time, conf->size,
                    conf->boundary, (int) conf->max_delay, step, gap);

    assert_true(t->n < MAX_TEXT);
    f.t = t;
    f.conf = conf;

    open_one(&r, conf, 0);
    run_text(&r, &f, step, gap, esc);
    check_text(what, &f, &r);
    check_waits(what, &f);

    for (i = 0; i + 1 < r.nout; i++) {
        o = &r.out[i];
        check_border(what, &f, o->from, o->from + o->n, o->at);
        check_reason(what, &f, o->from, o->from + o->n, o->at);
    }

    /* the first piece is the first event, unless that does not end yet */

    if (f.t->p[f.first - 1] >= ' ' && f.t->p[f.first - 1] < 0x7f
        && r.out[0].n < f.first)
    {
        fail_msg("%s: the first piece waits", what);
    }

    stage_close(&r);
}


static void
one_text(const clusters_t *t, void *ctx)
{
    size_t  i, step;

    (void) ctx;

    for (i = 0; i < CONFS; i++) {
        for (step = 0; step < 4; step++) {
            one_run(t, &confs[i], step, 0, step & 1);
            one_run(t, &confs[i], step, 9, 0);
            one_run(t, &confs[i], step, 90, 1);
            one_run(t, &confs[i], step, 150, 0);
        }

        one_run(t, &confs[i], t->n, 0, 0);
    }
}


static void
test_every_text(void **state)
{
    (void) state;

    clusters_each(one_text, NULL);
}


/* Cut in two at every character, the second half at once or late. */
static void
one_cut(const clusters_t *t, void *ctx)
{
    size_t       i, k, late;
    stage_run_t  r;
    llm_event_t  end;

    (void) ctx;
    end = stage_ev(LLM_EV_END);

    for (k = 0; k < CONFS; k++) {
        for (i = 0, late = 0; i < t->n; i += characters(t, i, 1), late++) {

            open_one(&r, &confs[k], 0);
            stage_text(&r, LLM_EV_TEXT, 0, t->p, i, 0);
            stage_text(&r, LLM_EV_TEXT, 0, t->p + i, t->n - i,
                       late % 2 ? 60 : 0);
            stage_event(&r, &end, 70);

            if (r.ntext != t->n || memcmp(r.text, t->p, t->n) != 0) {
                fail_msg("%s, cut at %zu: the text differs", t->name, i);
            }

            stage_close(&r);
        }
    }
}


static void
test_every_cut(void **state)
{
    (void) state;

    clusters_each(one_cut, NULL);
}


/* What came out, "first|second|" and words for what is no text. */
static void
expect(const char *what, const llm_coalesce_conf_t *conf,
    const char *const *pieces, const char *expected)
{
    char         got[1000];
    size_t       i, k;
    int64_t      now;
    stage_run_t  r;
    llm_event_t  end;

    open_one(&r, conf, 0);
    end = stage_ev(LLM_EV_END);

    for (i = 0, now = 0; pieces[i] != NULL; i++) {

        if (pieces[i][0] == '+') {
            now += atoi(pieces[i]);

        } else {
            stage_text(&r, LLM_EV_TEXT, 0, pieces[i], strlen(pieces[i]),
                       now);
        }
    }

    stage_until(&r, now);
    stage_event(&r, &end, now);

    for (i = 0, k = 0; i + 1 < r.nout; i++) {
        k += (size_t) sprintf(got + k, "%.*s@%d|", (int) r.out[i].n,
                              (char *) r.text + r.out[i].from,
                              (int) r.out[i].at);
    }

    if (strcmp(got, expected) != 0) {
        fail_msg("%s: %s, not %s", what, got, expected);
    }

    stage_close(&r);
}

#define P(...)  (const char *const []) { __VA_ARGS__, NULL }


static void
test_examples(void **state)
{
    (void) state;

    expect("time", &confs[0], P("Hel", "lo", " wor", "+10", "ld", "+100"),
           "Hel@0|lo worl@40|d@110|");
    expect("a joiner first", &confs[0],
           P("\xf0\x9f\x91\xa8\xe2\x80\x8d", "+5", "\xf0\x9f\x91\xa9", "!"),
           "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9@5|!@5|");
    expect("a joiner alone", &confs[0],
           P("a\xe2\x80\x8d", "+100", "b"), "a\xe2\x80\x8d@100|b@100|");
    expect("size", &confs[1],
           P("a", "bcdefgh", "ijklmnop", "qr", "+100"),
           "a@0|bcdefghijklmnopq@0|r@100|");
    expect("words", &confs[5],
           P("Hi", " there", " my", " fri", "end", ".", "+100", "x"),
           "Hi@0| @0|there @0|my @0|friend.@100|x@100|");
    expect("sentences", &confs[6],
           P("So", ". One", " two.", " Three", "? Four", "\n", "+1", "Five"),
           "So@0|. @0|One two. @0|Three? @0|Four\n@0|Five@1|");
    expect("a sentence too long", &confs[8],
           P("a", "b cde", " fghij", " k. lm"),
           "a@0|b cde @0|fghij k. @0|lm@0|");
    expect("lines", &confs[7], P("a", "b\nc", "d\n", "e", "+200"),
           "a@0|b\n@0|cd\n@0|e@100|");
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_text),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_examples)
    };

    printf("seed %llu\n", (unsigned long long) unit_seed());

    return cmocka_run_group_tests(tests, NULL, NULL);
}
