/*
 * The server-sent events framer: the vectors, a slow reference, every way of
 * cutting the bytes, the blocks as they go on, early ends.
 */

#include "unit_sse.h"
#include "llm_utf8.h"


static sse_bytes_t
base64(const json_t *object, const char *key)
{
    sse_bytes_t  b;

    b.p = unit_base64(json_string_value(json_object_get(object, key)), &b.n);

    return b;
}


/* Whether bytes are, decoded as WHATWG says, what the vector shows. */
static int
decodes_to(const sse_bytes_t *b, const json_t *text)
{
    int           equal;
    llm_alloc_t   a;
    llm_block_t   fixed;
    unit_alloc_t  u;

    a = unit_alloc(&u);
    memset(&fixed, 0, sizeof(llm_block_t));

    assert_int_equal(llm_utf8_repair(&fixed, &a, b->p, b->n), LLM_OK);

    equal = json_string_length(text) == fixed.n
            && (fixed.n == 0
                || memcmp(json_string_value(text), fixed.p, fixed.n) == 0);

    llm_block_free(&fixed, &a);

    return equal;
}


static int64_t
retry_of(const json_t *v)
{
    if (json_is_null(v)) {
        return -1;
    }

    /* too large a number is clamped */

    return json_number_value(v) >= 9.2e18 ? INT64_MAX
                                          : (int64_t) json_number_value(v);
}


static void
check_vector(const char *name, const json_t *v, const sse_result_t *r)
{
    size_t         i, n;
    sse_bytes_t        data, type;
    const json_t  *events, *e;

    events = json_object_get(v, "events");
    n = r->n - r->pending;

    if (json_array_size(events) != n) {
        fail_msg("%s: %zu events, not %zu", name, n, json_array_size(events));
    }

    for (i = 0; i < n; i++) {
        e = json_array_get(events, i);
        data = base64(e, "data_b64");
        type = r->events[i].type;

        if (type.n == 0) {
            type.p = (llm_u8 *) "message";
            type.n = 7;
        }

        if (!sse_same(&data, &r->events[i].data)
            || !decodes_to(&data, json_object_get(e, "data"))
            || !decodes_to(&type, json_object_get(e, "event"))
            || !decodes_to(&r->events[i].id, json_object_get(e, "id"))
            || r->events[i].retry != retry_of(json_object_get(e, "retry")))
        {
            fail_msg("%s: event %zu is not what the vector says", name, i);
        }

        free(data.p);
    }

    if (!decodes_to(&r->last_id, json_object_get(v, "last_event_id"))
        || r->reconnection
           != retry_of(json_object_get(v, "reconnection_time")))
    {
        fail_msg("%s: another id or reconnection time at the end", name);
    }
}


/*
 * An event's block, written out, is one event again; and when nothing but LF
 * ended its lines and no comment was in it, it is the input's own bytes.
 */
static void
check_raw(const char *name, const sse_result_t *r, unsigned plain)
{
    size_t         i;
    sse_bytes_t        block;
    sse_result_t       again;
    const sse_seen_t  *e;

    memset(&block, 0, sizeof(sse_bytes_t));

    for (i = 0; i < r->n; i++) {
        e = &r->events[i];

        /* a block that is not the first: no BOM is looked for in it */

        sse_set(&block, (const llm_u8 *) "\n", 1);
        sse_add(&block, e->raw.p, e->raw.n);

        if (plain && !(r->pending && i == r->n - 1) && !e->in_input) {
            fail_msg("%s: event %zu was copied", name, i);
        }

        sse_run(&again, block.p, block.n, NULL, 0, &sse_no_limits);

        if (again.n != 1 || again.pending || again.comments != 0
            || memchr(e->raw.p, '\r', e->raw.n) != NULL
            || !sse_same(&again.events[0].data, &e->data)
            || !sse_same(&again.events[0].type, &e->type)
            || !sse_same(&again.events[0].raw, &e->raw)
            || again.events[0].retry != e->retry)
        {
            fail_msg("%s: the raw block of event %zu differs", name, i);
        }

        sse_forget(&again);
    }

    free(block.p);
}


/* Whether nothing in the stream makes the framer copy a block. */
static int
is_plain(const sse_result_t *r, const llm_u8 *p, size_t n)
{
    return r->comments == 0 && memchr(p, '\r', n) == NULL
           && (n < 3 || p[0] != 0xef || p[2] == 0xbf);
}


static void
one_vector(const char *path, const char *name)
{
    size_t     i, k, cuts[SSE_MAX_CUTS];
    json_t    *v, *splits, *list, *at;
    sse_bytes_t    in;
    sse_result_t   whole, r;

    v = unit_json(path);
    in = base64(v, "input_b64");

    sse_run(&whole, in.p, in.n, NULL, 0, &sse_no_limits);
    check_vector(name, v, &whole);
    check_raw(name, &whole, is_plain(&whole, in.p, in.n));
    sse_all_cuts(name, in.p, in.n, &whole);

    splits = json_object_get(v, "splits");

    json_array_foreach (splits, i, list) {
        assert_true(json_array_size(list) <= SSE_MAX_CUTS);

        json_array_foreach (list, k, at) {
            cuts[k] = (size_t) json_number_value(at);
        }

        sse_run(&r, in.p, in.n, cuts, k, &sse_no_limits);
        sse_compare(name, &whole, &r);
    }

    sse_forget(&whole);
    free(in.p);
    json_decref(v);
}


static void
test_vectors(void **state)
{
    (void) state;

    assert_true(unit_each("t/vectors/sse", ".json", one_vector) >= 151);
}


/*
 * The reference: the whole stream in memory, lines found byte by byte, the
 * standard's steps in the standard's words.
 */
typedef struct {
    sse_bytes_t         data;
    sse_bytes_t         type;
    sse_bytes_t         id;
    sse_bytes_t         last_id;
    int64_t         retry;
    int64_t         reconnection;
    unsigned        data_seen;
    sse_result_t       *result;
} reference_t;


static int
named(const char *name, const llm_u8 *p, size_t n)
{
    return strlen(name) == n && memcmp(name, p, n) == 0;
}


static void
reference_field(reference_t *f, const llm_u8 *p, size_t n)
{
    size_t         i, len;
    int64_t        v;
    const llm_u8  *value;

    for (len = 0; len < n && p[len] != ':'; len++) { /* void */ }

    if (n != 0 && len == 0) {
        f->result->comments++;
        return;
    }

    value = p + len + (len < n);
    value += value < p + n && *value == ' ';
    i = (size_t) (p + n - value);

    if (named("data", p, len)) {
        sse_add(&f->data, value, i);
        sse_add(&f->data, (const llm_u8 *) "\n", 1);
        f->data_seen = 1;

    } else if (named("event", p, len)) {
        sse_set(&f->type, value, i);

    } else if (named("id", p, len) && memchr(value, 0, i) == NULL) {
        sse_set(&f->id, value, i);

    } else if (named("retry", p, len) && i != 0) {
        for (v = 0; i != 0 && *value >= '0' && *value <= '9'; i--) {
            v = v * 10 + *value++ - '0';
        }

        if (i == 0) {
            f->retry = v;
            f->reconnection = v;
        }
    }
}


static void
reference_blank(reference_t *f)
{
    sse_seen_t    *e;
    sse_result_t  *r;

    r = f->result;
    sse_set(&f->last_id, f->id.p, f->id.n);

    if (f->data_seen) {
        r->events = realloc(r->events, (r->n + 1) * sizeof(sse_seen_t));
        assert_non_null(r->events);

        e = &r->events[r->n++];
        e->type = sse_keep(f->type.p, f->type.n);
        e->data = sse_keep(f->data.p, f->data.n - 1);
        e->id = sse_keep(f->last_id.p, f->last_id.n);
        e->raw = sse_keep(NULL, 0);
        e->retry = f->retry;
    }

    f->data.n = 0;
    f->type.n = 0;
    f->data_seen = 0;
    f->retry = -1;
}


static void
reference(sse_result_t *r, const llm_u8 *p, size_t n)
{
    size_t       i, start;
    reference_t  f;

    memset(r, 0, sizeof(sse_result_t));
    memset(&f, 0, sizeof(reference_t));

    f.result = r;
    f.retry = -1;
    f.reconnection = -1;
    sse_set(&f.id, p, 0);
    sse_set(&f.type, p, 0);

    start = n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

    for (i = start; i < n; i++) {

        if (p[i] != '\n' && p[i] != '\r') {
            continue;
        }

        if (i == start) {
            reference_blank(&f);

        } else {
            reference_field(&f, p + start, i - start);
        }

        i += p[i] == '\r' && i + 1 < n && p[i + 1] == '\n';
        start = i + 1;
    }

    r->reconnection = f.reconnection;
    r->last_id = sse_keep(f.last_id.p, f.last_id.n);

    free(f.data.p);
    free(f.type.p);
    free(f.id.p);
    free(f.last_id.p);
}


/* A stream of odd pieces, of a length that the caller has room for. */
static size_t
random_stream(llm_u8 *p, size_t max)
{
    size_t       n, k, len;
    const char  *piece;

    static const char *const  pieces[] = {
        "\n", "\n", "\n", "\r", "\r\n", "\n\n", "\r\r", "data: ", "data:",
        "data", "data: x\n", "data: {\"a\":1}\n\n", "event: e\n", "event",
        "id: 7\n", "id:\r", "id", "retry: 5\n", "retry:9x\n", ":", ": c\n",
        ":\r", " ", "x", "datax: ", "\xef\xbb\xbf", "\xef\xbb", "\xc3\xa9",
        "unknown: 1\n", "01234567890123456789"
    };

    n = 0;

    for (k = unit_random(30); k != 0; k--) {
        piece = pieces[unit_random(sizeof(pieces) / sizeof(pieces[0]))];
        len = strlen(piece);

        if (n + len + 1 > max) {
            break;
        }

        memcpy(p + n, piece, len);
        n += len;

        if (unit_random(40) == 0) {
            p[n++] = '\0';
        }
    }

    return n;
}


static void
test_reference(void **state)
{
    char      what[64];
    size_t    i, k, n, e, cuts[SSE_MAX_CUTS];
    llm_u8    p[700];
    sse_result_t  want, whole, r;

    (void) state;

    for (i = 0; i < 20000; i++) {
        n = random_stream(p, sizeof(p));
        (void) snprintf(what, sizeof(what), "random stream %zu", i);

        reference(&want, p, n);
        sse_run(&whole, p, n, NULL, 0, &sse_no_limits);

        if (want.n != whole.n - whole.pending
            || want.comments != whole.comments
            || want.reconnection != whole.reconnection
            || !sse_same(&want.last_id, &whole.last_id))
        {
            fail_msg("%s: not as the reference: %zu events, not %zu", what,
                     whole.n - whole.pending, want.n);
        }

        for (e = 0; e < want.n; e++) {
            if (!sse_same(&want.events[e].type, &whole.events[e].type)
                || !sse_same(&want.events[e].data, &whole.events[e].data)
                || !sse_same(&want.events[e].id, &whole.events[e].id)
                || want.events[e].retry != whole.events[e].retry)
            {
                fail_msg("%s: event %zu not as the reference", what, e);
            }
        }

        check_raw(what, &whole, is_plain(&whole, p, n));

        for (k = 0; k < 4; k++) {
            sse_run(&r, p, n, cuts, unit_random_cuts(n, cuts, 16),
                    &sse_no_limits);
            sse_compare(what, &whole, &r);
        }

        sse_forget(&want);
        sse_forget(&whole);
    }
}


static void
test_raw(void **state)
{
    size_t    i;
    sse_result_t  r;

    static const char *const  rows[][2] = {
        { "data: a\n\n", "data: a\n\n" },
        { "data:a\r\nid: 1\r\r\n", "data:a\nid: 1\n\n" },
        { "data: a\r\r", "data: a\n\n" },
        { "data: a\n\r", "data: a\n\n" },
        { "event: e\n: c\ndata: a\n\n", "event: e\ndata: a\n\n" },
        { ":c\n:d\ndata: a\n:e\n\n", "data: a\n\n" },
        { "data: a\r\n:\r\ndata: b\n\n", "data: a\ndata: b\n\n" },
        { "\xef\xbb\xbf" "data: a\n\n", "data: a\n\n" },
        { "x: 1\ndata: a\nretry: 3\n\n", "x: 1\ndata: a\nretry: 3\n\n" },
        { "\n\r\n\rdata: a\n\n", "data: a\n\n" },
        { "event: x\n\ndata: a\n\n", "data: a\n\n" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sse_run_text(&r, rows[i][0], &sse_no_limits);
        assert_int_equal(r.n, 1);
        sse_expect(&r.events[0].raw, rows[i][1]);
        sse_all_cuts(rows[i][0], (const llm_u8 *) rows[i][0],
                 strlen(rows[i][0]), &r);
        sse_forget(&r);
    }
}


/* Streams that end early: the text, the pending event's data and raw. */
static void
test_finish(void **state)
{
    size_t    i;
    sse_result_t  r;

    static const char *const  rows[][3] = {
        { "data: a\n\ndata: b\n", "b", "data: b\n\n" },
        { "data: a\n\ndata: b", "b", "data: b\n\n" },
        { "data: a\n\ndata: b\r", "b", "data: b\n\n" },
        { "data: a\n\ndata: b\r\n", "b", "data: b\n\n" },
        { "data: a\n\ndata: b\ndata: c", "b\nc", "data: b\ndata: c\n\n" },
        { "data: a\n\nevent: e\ndata: b", "b", "event: e\ndata: b\n\n" },
        { "data: a\n\ndata: b\n:com", "b", "data: b\n\n" },
        { "data: a\n\ndata: b\nid: 5", "b", "data: b\n\n" },
        { "data: a\n\ndata", "", "data\n\n" },
        { "data: a\n\ndat", NULL, NULL },
        { "data: a\n\nevent: e\n", NULL, NULL },
        { "data: a\n\n", NULL, NULL },
        { "data: a\n\n\n", NULL, NULL },
        { "data: a\n\r", NULL, NULL },
        { "data: a\n\n:com", NULL, NULL },
        { "data: a\n\n: com\n", NULL, NULL }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sse_run_text(&r, rows[i][0], &sse_no_limits);

        assert_int_equal(r.end, LLM_DONE);
        assert_int_equal(r.pending, rows[i][1] != NULL);
        assert_int_equal(r.n, 1 + r.pending);
        sse_expect(&r.events[0].data, "a");

        if (r.pending) {
            sse_expect(&r.events[1].data, rows[i][1]);
            sse_expect(&r.events[1].raw, rows[i][2]);
        }

        sse_all_cuts(rows[i][0], (const llm_u8 *) rows[i][0],
                 strlen(rows[i][0]), &r);
        sse_forget(&r);
    }

    /* a pending event shows its own id, which is not committed */

    sse_run_text(&r, "id: 1\ndata: a\n\nid: 2\ndata: b\n", &sse_no_limits);
    assert_int_equal(r.pending, 1);
    sse_expect(&r.events[1].id, "2");
    sse_expect(&r.last_id, "1");
    sse_forget(&r);

    /* neither BOM nor its beginning is an event */

    sse_run_text(&r, "\xef\xbb", &sse_no_limits);
    assert_int_equal(r.end, LLM_DONE);
    assert_int_equal(r.n, 0);
    sse_forget(&r);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_finish)
    };

    (void) unit_seed();

    return cmocka_run_group_tests_name("wire_sse", tests, NULL, NULL);
}
