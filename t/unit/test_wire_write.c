/*
 * The writer, the output and the growing block: every escape, every size of
 * the sink's room, jansson as the judge of what was written.
 */

#include "unit_support.h"
#include "llm_utf8.h"
#include "llm_write.h"


/* Room sizes that make writes end at every place; 0: plenty. */
static const size_t  steps[] = { 0, 1, 2, 3, 5, 7, 8, 64 };

#define N_STEPS  (sizeof(steps) / sizeof(steps[0]))


static llm_slice_t
slice(const char *s, unsigned escaped)
{
    llm_slice_t  v;

    v.p = (const llm_u8 *) s;
    v.n = s != NULL ? strlen(s) : 0;
    v.escaped = escaped;

    return v;
}


static void
expect(unit_out_t *o, const char *want)
{
    unit_out_end(o);
    assert_int_equal(o->out.failed, 0);
    assert_string_equal((char *) o->p, want);
    unit_out_free(o);
}


static void
test_escaped(void **state)
{
    size_t       i, k;
    llm_u8      *in;
    unit_out_t   o;

    static const char *const  rows[][2] = {
        { "", "" },
        { "plain text, long enough for two words", NULL },
        { "\"", "\\\"" },
        { "\\", "\\\\" },
        { "a\b\f\n\r\tz", "a\\b\\f\\n\\r\\tz" },
        { "\x01\x0b\x1f\x7f", "\\u0001\\u000b\\u001f\\u007f" },
        { "/<>&'", NULL },
        { "h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80 \xc2\x84\xe2\x80\xa7",
          NULL },
        { "a\xc2\x85" "b", "a\\u0085b" },
        { "\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029" },
        { "0123456\xe2\x80\xa8", "0123456\\u2028" },
        { "01234567\"89", "01234567\\\"89" },

        /* cut characters are copied, nothing behind them is looked at */

        { "a\xc2", NULL },
        { "a\xe2\x80", NULL },
        { "a\xe2", NULL }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        in = unit_copy(rows[i][0], strlen(rows[i][0]));

        for (k = 0; k < N_STEPS; k++) {
            unit_out_init(&o, steps[k], 0);
            llm_write_escaped(&o.out, in, strlen(rows[i][0]));
            expect(&o, rows[i][1] != NULL ? rows[i][1] : rows[i][0]);
        }

        free(in);
    }

    unit_out_init(&o, 0, 0);
    llm_write_escaped(&o.out, (const llm_u8 *) "a\0b", 3);
    expect(&o, "a\\u0000b");
}


static void
test_strings(void **state)
{
    size_t       i, k;
    unit_out_t   o;
    llm_slice_t  s;

    static const struct {
        const char  *in;
        unsigned     escaped, linesep;
        const char  *out;
    } rows[] = {
        { NULL, 0, 0, "null" },
        { NULL, 1, 1, "null" },
        { "", 0, 0, "\"\"" },
        { "", 1, 1, "\"\"" },
        { "a\"b", 0, 0, "\"a\\\"b\"" },
        { "a\\\"b\\n", 1, 0, "\"a\\\"b\\n\"" },
        { "a\\\"b\\n", 1, 1, "\"a\\\"b\\n\"" },
        { "a\xe2\x80\xa8" "b", 1, 0, "\"a\xe2\x80\xa8" "b\"" },
        { "a\\t\xe2\x80\xa9\x7f\xc2\x85", 1, 1,
          "\"a\\t\\u2029\x7f\\u0085\"" },
        { "a\xe2\x80\xa8" "b", 0, 0, "\"a\\u2028b\"" },
        { "\xe4\xb8\xad\xe6\x96\x87", 1, 1, "\"\xe4\xb8\xad\xe6\x96\x87\"" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        s = slice(rows[i].in, rows[i].escaped);

        for (k = 0; k < N_STEPS; k++) {
            unit_out_init(&o, steps[k], 0);
            llm_write_string(&o.out, &s, rows[i].linesep);
            expect(&o, rows[i].out);
        }
    }

    /* without quotes; an absent slice is nothing at all */

    s = slice(NULL, 0);
    unit_out_init(&o, 0, 0);
    llm_write_inside(&o.out, &s, 0);
    s = slice("a\n", 0);
    llm_write_inside(&o.out, &s, 0);
    s = slice("\\n\xc2\x85", 1);
    llm_write_inside(&o.out, &s, 1);
    expect(&o, "a\\n\\n\\u0085");
}


static void
test_int(void **state)
{
    size_t      i, k;
    unit_out_t  o;

    static const struct {
        int64_t      v;
        const char  *text;
    } rows[] = {
        { 0, "0" },
        { 7, "7" },
        { -1, "-1" },
        { 10, "10" },
        { 1770853433, "1770853433" },
        { INT64_MAX, "9223372036854775807" },
        { INT64_MIN, "-9223372036854775808" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (k = 0; k < N_STEPS; k++) {
            unit_out_init(&o, steps[k], 0);
            llm_write_int(&o.out, rows[i].v);
            expect(&o, rows[i].text);
        }
    }
}


/* A text of random characters, well-formed; returns its length. */
static size_t
random_text(llm_u8 *p, size_t max)
{
    size_t    n;
    uint32_t  cp;

    n = 0;

    while (n + 4 <= max) {

        switch (unit_random(8)) {

        case 0:
            cp = unit_random(0x21);
            break;

        case 1:
            cp = (uint32_t) "\"\\\x7f/"[unit_random(4)];
            break;

        case 2:
            cp = unit_random(2) ? 0x2027 + unit_random(4)
                                : 0x84 + unit_random(3);
            break;

        case 3:
            cp = unit_random(0xd800);
            break;

        case 4:
            cp = 0xe000 + unit_random(0x102000);
            break;

        default:
            cp = ' ' + unit_random(0x5f);
            break;
        }

        n += llm_utf8_put(p + n, cp);
    }

    return n;
}


/* What is written is the string, for jansson; and no byte that may end it. */
static void
test_random(void **state)
{
    size_t        i, k, n;
    llm_u8        p[160], *in;
    json_t       *v;
    unit_out_t    o;
    llm_slice_t   s;
    json_error_t  error;

    (void) state;

    for (i = 0; i < 20000; i++) {
        n = random_text(p, unit_random(sizeof(p)));
        in = unit_copy(p, n);

        s.p = in;
        s.n = n;
        s.escaped = 0;

        unit_out_init(&o, steps[i % N_STEPS], 0);
        llm_write_string(&o.out, &s, 0);
        unit_out_end(&o);

        for (k = 0; k < o.n; k++) {
            assert_true(o.p[k] >= 0x20 && o.p[k] != 0x7f);
        }

        assert_false(llm_utf8_check(o.p, o.n)
                     & (LLM_UTF8_INVALID | LLM_UTF8_LINESEP));

        v = unit_parse(o.p, o.n, &error);
        assert_non_null(v);
        assert_int_equal(json_string_length(v), n);
        assert_memory_equal(json_string_value(v), p, n);

        json_decref(v);
        unit_out_free(&o);
        free(in);
    }
}


static void
write_some(unit_out_t *o)
{
    llm_slice_t  s;

    s = slice("a\nb", 0);
    llm_write_string(&o->out, &s, 0);
    llm_write_int(&o->out, -12345);
    llm_out_lit(&o->out, ",");
    s = slice("plain", 1);
    llm_write_string(&o->out, &s, 0);
}


/* The sink fails at every place: what went before is right, the rest gone. */
static void
test_sink_fails(void **state)
{
    size_t      limit, k, n, grown;
    unit_out_t  o;

    static const char  want[] = "\"a\\nb\"-12345,\"plain\"";

    (void) state;

    n = sizeof(want) - 1;

    for (limit = 1; limit <= n; limit++) {
        for (k = 0; k < N_STEPS; k++) {
            unit_out_init(&o, steps[k], limit);
            write_some(&o);
            unit_out_end(&o);

            assert_int_equal(o.out.failed, limit < n);
            assert_int_equal(o.n, limit);
            assert_memory_equal(o.p, want, limit);

            /* nothing is written after a failure, however small */

            if (o.out.failed) {
                grown = o.grown;
                llm_out_lit(&o.out, "x");
                assert_int_equal(o.grown, grown);
                assert_ptr_equal(o.out.pos, o.p + o.n);
            }

            unit_out_free(&o);
        }
    }
}


static llm_rc_t
no_room(llm_out_t *out)
{
    (void) out;

    return LLM_OK;
}


static llm_rc_t
room_but_no(llm_out_t *out)
{
    out->pos = out->ctx;
    out->end = out->pos + 8;

    return LLM_NOMEM;
}


/*
 * A sink that says yes and gives no room must not loop for ever, and what
 * one gives while it says no is not written to.
 */
static void
test_sink_lies(void **state)
{
    llm_u8     byte, room[8];
    llm_out_t  out;

    (void) state;

    memset(&out, 0, sizeof(llm_out_t));
    out.pos = &byte;
    out.end = &byte;
    out.more = no_room;

    llm_out_lit(&out, "abc");
    assert_int_equal(out.failed, 1);

    memset(room, '-', sizeof(room));
    memset(&out, 0, sizeof(llm_out_t));
    out.pos = &byte;
    out.end = &byte;
    out.more = room_but_no;
    out.ctx = room;

    llm_out_lit(&out, "abc");
    llm_out_lit(&out, "d");
    assert_int_equal(out.failed, 1);
    assert_memory_equal(room, "--------", 8);
}


static void
test_block(void **state)
{
    size_t        i;
    llm_u8        c;
    llm_alloc_t   a;
    llm_block_t   b;
    unit_alloc_t  u;

    (void) state;

    a = unit_alloc(&u);
    memset(&b, 0, sizeof(llm_block_t));

    /* growing byte by byte takes few calls */

    for (i = 0; i < 100000; i++) {
        c = (llm_u8) (i * 7);
        assert_int_equal(llm_block_append(&b, &a, &c, 1), LLM_OK);
    }

    for (i = 0; i < 100000; i++) {
        assert_int_equal(b.p[i], (llm_u8) (i * 7));
    }

    assert_int_equal(b.n, 100000);
    assert_true(u.calls <= 20);

    /* reserved room is there, and what is in the block stays */

    assert_int_equal(llm_block_reserve(&b, &a, 200000), LLM_OK);
    assert_true(b.cap - b.n >= 200000);
    assert_int_equal(b.p[99999], (llm_u8) (99999 * 7));

    i = u.calls;
    assert_int_equal(llm_block_reserve(&b, &a, 200000), LLM_OK);
    assert_int_equal(u.calls, i);

    /* sizes that no memory could have */

    assert_int_equal(llm_block_reserve(&b, &a, SIZE_MAX), LLM_NOMEM);
    assert_int_equal(llm_block_reserve(&b, &a, SIZE_MAX - 100000 + 1),
                     LLM_NOMEM);

    /* a failure leaves the block as it was */

    u.fail_at = u.calls + 1;
    assert_int_equal(llm_block_reserve(&b, &a, 1000000), LLM_NOMEM);
    assert_int_equal(b.n, 100000);
    assert_int_equal(b.p[1], 7);

    llm_block_free(&b, &a);
    assert_int_equal(u.live, 0);
    assert_null(b.p);
    assert_int_equal(b.n, 0);

    llm_block_free(&b, &a);
    assert_int_equal(llm_block_append(&b, &a, NULL, 0), LLM_OK);
    assert_int_equal(u.live, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_escaped),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_int),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_sink_fails),
        cmocka_unit_test(test_sink_lies),
        cmocka_unit_test(test_block)
    };

    (void) unit_seed();

    return cmocka_run_group_tests_name("wire_write", tests, NULL, NULL);
}
