/*
 * The JSON scanner: the vectors, the grammar of numbers and strings tried
 * out in full, jansson as an oracle.
 */

#include "unit_json.h"
#include "llm_utf8.h"


/* Grammar and UTF-8 together, as a consumer asks for them. */
static int
accepts(const llm_u8 *p, size_t n)
{
    return json_verdict(p, n, 0) == LLM_OK
           && !(llm_utf8_check(p, n) & LLM_UTF8_INVALID);
}


/* What a path of the index must hit, one after the other. */
typedef struct {
    const char     *file;
    const llm_u8   *doc;
    const json_t   *path;
    const json_t   *hits;
    size_t          n;          /* hits so far */
} search_t;


static void
check_hit(search_t *s, const llm_u8 *from, const llm_u8 *to)
{
    json_t        *value;
    const json_t  *hit, *want;

    hit = json_array_get(s->hits, s->n++);

    if (hit == NULL
        || json_number_value(json_object_get(hit, "start")) != from - s->doc
        || json_number_value(json_object_get(hit, "end")) != to - s->doc)
    {
        fail_msg("%s: hit %zu at %td..%td", s->file, s->n, from - s->doc,
                 to - s->doc);
    }

    want = json_object_get(hit, "value");

    /* numbers are shown as they are written */

    value = strcmp(json_string_value(json_object_get(hit, "type")), "number")
            == 0 ? json_stringn((const char *) from, (size_t) (to - from))
                 : json_build(from, (size_t) (to - from));

    if (!json_equal(value, want)) {
        fail_msg("%s: hit %zu has another value", s->file, s->n);
    }

    json_decref(value);
}


/* Looks for path[at..] in the value that comes next; 0: an array ended. */
static int
search(search_t *s, llm_json_t *j, size_t at)
{
    size_t           i;
    llm_slice_t      raw;
    llm_json_type_t  type;
    const json_t    *step;

    if (at == json_array_size(s->path)) {

        if (llm_json_skip(j, &raw) == LLM_JSON_ARRAY_END) {
            return 0;
        }

        check_hit(s, raw.p, raw.p + raw.n);
        return 1;
    }

    step = json_array_get(s->path, at);
    type = llm_json_next(j);

    if (type == LLM_JSON_OBJECT && json_is_string(step)) {

        while (llm_json_next(j) == LLM_JSON_KEY) {
            if (llm_json_eq(&j->tok, json_string_value(step),
                            json_string_length(step)))
            {
                (void) search(s, j, at + 1);

            } else {
                (void) llm_json_skip(j, &raw);
            }
        }

    } else if (type == LLM_JSON_ARRAY && !json_is_string(step)) {

        for (i = 0; /* void */; i++) {
            if (i == (size_t) json_number_value(step)) {
                if (!search(s, j, at + 1)) {
                    break;
                }

            } else if (llm_json_skip(j, &raw) == LLM_JSON_ARRAY_END) {
                break;
            }
        }

    } else if (type == LLM_JSON_OBJECT || type == LLM_JSON_ARRAY) {
        (void) llm_json_skip_rest(j, &raw);
    }

    return type != LLM_JSON_ARRAY_END;
}


static void
check_extracts(const char *file, const json_t *list, const llm_u8 *p,
    size_t n)
{
    size_t       i;
    json_t      *extract;
    search_t     s;
    llm_json_t   j;

    json_array_foreach (list, i, extract) {
        s.file = file;
        s.doc = p;
        s.path = json_object_get(extract, "path");
        s.hits = json_object_get(extract, "hits");
        s.n = 0;

        llm_json_init(&j, p, n, 0);
        (void) search(&s, &j, 0);

        assert_int_equal(llm_json_next(&j), LLM_JSON_END);
        assert_int_equal(s.n, json_array_size(s.hits));
    }
}


/* A valid document's proper beginnings are all incomplete. */
static void
check_prefixes(const char *file, const llm_u8 *p, size_t n)
{
    size_t  k, first, step;

    while (n != 0 && strchr(" \t\r\n", p[n - 1]) != NULL) {
        n--;
    }

    for (first = 0; strchr(" \t\r\n", p[first]) != NULL; first++) {
        /* void */
    }

    if (strchr("{[\"", p[first]) == NULL) {
        return;
    }

    step = n > 2000 ? n / 400 : 1;

    for (k = 0; k < n; k += step) {
        if (json_verdict(p, k, 0) != LLM_AGAIN) {
            fail_msg("%s: %zu bytes of it are not incomplete", file, k);
        }
    }

    assert_int_equal(json_verdict(p, n, 0), LLM_OK);
}


static void
test_vectors(void **state)
{
    char          file[256], *path;
    size_t        i, n;
    json_t       *index, *list, *v;
    llm_u8       *p;
    unsigned      grammar, scanner;
    const char   *name;

    (void) state;

    path = unit_path("t/vectors/json/index.json");
    index = unit_json(path);
    free(path);

    list = json_object_get(index, "vectors");
    assert_true(json_array_size(list) >= 199);

    json_array_foreach (list, i, v) {
        name = json_string_value(json_object_get(v, "file"));
        (void) snprintf(file, sizeof(file), "t/vectors/json/%s", name);

        path = unit_path(file);
        p = unit_read(path, &n);
        free(path);

        scanner = strcmp(json_string_value(json_object_get(v, "scanner")),
                         "accept") == 0;
        grammar = strcmp(json_string_value(json_object_get(v, "rfc8259")),
                         "accept") == 0;

        if (accepts(p, n) != (int) scanner) {
            fail_msg("%s: verdict %d", name, json_verdict(p, n, 0));
        }

        if (scanner) {
            check_extracts(name, json_object_get(v, "extract"), p, n);
            check_prefixes(name, p, n);

        } else if (grammar) {
            assert_int_equal(json_verdict(p, n, 0), LLM_TOO_DEEP);
        }

        free(p);
    }

    json_decref(index);
}


/* The grammar of numbers as an automaton: state, class of byte -> state. */
static int
number_reference(const char *s, size_t n)
{
    size_t       i;
    int          state, class;
    const char  *at;

    /* the bytes; 1-9 stand for each other */
    static const char  bytes[] = "-+.eE0";

    /* 0 start, 1 minus, 2 zero, 3 digits, 4 point, 5 fraction, 6 e, 7 sign,
     * 8 exponent; the row's last column is a digit 1-9; -1: no number */
    static const signed char  next[9][7] = {
        { 1, -1, -1, -1, -1, 2, 3 },
        { -1, -1, -1, -1, -1, 2, 3 },
        { -1, -1, 4, 6, 6, -1, -1 },
        { -1, -1, 4, 6, 6, 3, 3 },
        { -1, -1, -1, -1, -1, 5, 5 },
        { -1, -1, -1, 6, 6, 5, 5 },
        { 7, 7, -1, -1, -1, 8, 8 },
        { -1, -1, -1, -1, -1, 8, 8 },
        { -1, -1, -1, -1, -1, 8, 8 }
    };

    state = 0;

    for (i = 0; i < n; i++) {
        at = memchr(bytes, s[i], sizeof(bytes) - 1);
        class = at != NULL ? (int) (at - bytes) : 6;
        state = next[state][class];

        if (state < 0) {
            return -1;
        }
    }

    return state == 2 || state == 3 || state == 5 || state == 8;
}


/* All strings of up to 6 bytes that a number is made of. */
static void
test_numbers(void **state)
{
    char      doc[16];
    int       want;
    size_t    i, k, n, all;
    llm_rc_t  root, item;

    static const char  bytes[] = "-+.eE07";

    (void) state;

    for (n = 1; n <= 6; n++) {

        for (all = 1, i = 0; i < n; i++) {
            all *= sizeof(bytes) - 1;
        }

        for (i = 0; i < all; i++) {
            doc[0] = '[';

            for (k = 0, want = (int) i; k < n; k++) {
                doc[1 + k] = bytes[want % 7];
                want /= 7;
            }

            doc[1 + n] = ']';
            want = number_reference(doc + 1, n);

            root = json_verdict((llm_u8 *) doc + 1, n, 0);
            item = json_verdict((llm_u8 *) doc, n + 2, 0);

            /* 1: a number; 0: only the beginning of one; -1: neither */

            if (root != (want == 1 ? LLM_OK : want == 0 ? LLM_AGAIN
                                                        : LLM_INVALID)
                || item != (want == 1 ? LLM_OK : LLM_INVALID))
            {
                fail_msg("%.*s: %d, in an array %d", (int) n, doc + 1, root,
                         item);
            }
        }
    }
}


/* Each byte at each place of a string, at each distance from the end. */
static void
test_strings(void **state)
{
    size_t    n, at, tail;
    llm_u8    doc[128];
    llm_rc_t  want, got;
    unsigned  c;

    (void) state;

    for (c = 0; c < 256; c++) {
        for (n = 1; n <= 40; n++) {
            for (at = 0; at < n; at++) {

                tail = c % 2 ? 20 : 0;
                memset(doc, ' ', sizeof(doc));
                memset(doc + 1, 'x', n);
                doc[0] = '"';
                doc[n + 1] = '"';
                doc[at + 1] = (llm_u8) c;

                want = c < 0x20 ? LLM_INVALID : LLM_OK;

                if (c == '"') {
                    want = LLM_INVALID;

                } else if (c == '\\') {
                    want = at + 1 == n ? LLM_AGAIN : LLM_INVALID;
                }

                got = json_verdict(doc, n + 2 + tail, 0);

                /* an escaped quote, then spaces up to the end */

                if (got != want) {
                    fail_msg("byte %02x at %zu of %zu: %d", c, at, n, got);
                }
            }
        }
    }
}


static void
test_escapes(void **state)
{
    char      doc[16];
    unsigned  c, i, want;

    (void) state;

    for (c = 0; c < 256; c++) {
        (void) snprintf(doc, sizeof(doc), "\"\\%c\"", (char) c);
        want = c != 0 && c != 'u' && strchr("\"\\/bfnrt", (int) c) != NULL;
        assert_int_equal(json_verdict((llm_u8 *) doc, 4, 0),
                         want ? LLM_OK : LLM_INVALID);

        for (i = 0; i < 4; i++) {
            (void) snprintf(doc, sizeof(doc), "\"\\u0aF9\"");
            doc[3 + i] = (char) c;
            want = c != 0 && strchr("0123456789abcdefABCDEF", (int) c);
            assert_int_equal(json_verdict((llm_u8 *) doc, 8, 0),
                             want ? LLM_OK : LLM_INVALID);
        }
    }
}


static json_t *
random_value(unsigned depth)
{
    char      key[32];
    llm_u8    text[64];
    size_t    n;
    json_t   *v;
    unsigned  k;

    switch (unit_random(depth < 5 ? 9 : 6)) {

    case 0:
        return json_integer((json_int_t) unit_random(100000) - 50000);

    case 1:
        return json_real((double) unit_random(1000000) / 64);

    case 2:
        return unit_random(2) ? json_true() : json_false();

    case 3:
        return json_null();

    case 4:
    case 5:
        for (n = 0, k = unit_random(15); k != 0; k--) {
            n += llm_utf8_put(text + n, unit_random(4) ? unit_random(128)
                                            : 0xe000 + unit_random(0x2000));
        }

        return json_stringn((char *) text, n);

    case 6:
        v = json_array();

        for (k = unit_random(5); k != 0; k--) {
            json_array_append_new(v, random_value(depth + 1));
        }

        return v;

    default:
        v = json_object();

        for (k = unit_random(6); k != 0; k--) {
            (void) snprintf(key, sizeof(key), "k\"\\%u\n\xc3\xa9",
                            unit_random(20));
            json_object_set_new(v, key + unit_random(3), random_value(depth));
        }

        return v;
    }
}


/* Same verdict and same value, but for what jansson says it cannot hold. */
static void
check_oracle(const llm_u8 *p, size_t n)
{
    int            ours;
    json_t        *theirs, *value;
    json_error_t   error;

    ours = accepts(p, n);

    if (memchr(p, '\0', n) != NULL) {

        /* jansson takes a raw NUL behind the document for its end */

        assert_false(ours);
        return;
    }

    theirs = unit_parse(p, n, &error);

    if (theirs == NULL) {

        switch (json_error_code(&error)) {

        case json_error_numeric_overflow:
        case json_error_null_byte_in_key:
        case json_error_stack_overflow:
            return;

        default:
            break;
        }
    }

    if (ours != (theirs != NULL)) {
        fail_msg("verdict %d, jansson: %s, on: %.*s", json_verdict(p, n, 0),
                 theirs != NULL ? "valid" : error.text, (int) n, p);
    }

    if (ours) {
        value = json_build(p, n);

        if (value == NULL || !json_equal(value, theirs)) {
            fail_msg("another value than jansson's: %.*s", (int) n, p);
        }

        json_decref(value);
        json_decref(theirs);
    }
}


/* Changes a few bytes; returns the new length (at most n + 24). */
static size_t
mutate(llm_u8 *p, size_t n)
{
    size_t       at, len;
    unsigned     k;
    const char  *piece;

    static const char *const  pieces[] = {
        "\"", "\\", "{", "}", "[", "]", ",", ":", "0", "-", "1e5", ".", "x",
        " ", "\n", "true", "null", "\\u0000", "\\ud83d", "\\ude00", "\x01",
        "\xff", "\xc3", "\xe2\x80\xa8", "\\"
    };

    for (k = 1 + unit_random(3); k != 0 && n != 0; k--) {
        at = unit_random((uint32_t) n);

        switch (unit_random(4)) {

        case 0:
            p[at] = (llm_u8) unit_random(256);
            break;

        case 1:
            memmove(p + at, p + at + 1, n - at - 1);
            n--;
            break;

        case 2:
            n = unit_random(4) == 0 ? at : n;
            break;

        default:
            piece = pieces[unit_random(sizeof(pieces) / sizeof(pieces[0]))];
            len = strlen(piece);
            memmove(p + at + len, p + at, n - at);
            memcpy(p + at, piece, len);
            n += len;
            break;
        }
    }

    return n;
}


static void
test_oracle(void **state)
{
    char    *text;
    size_t   i, k, n, len;
    json_t  *v, *value;
    llm_u8  *p;

    static const size_t  flags[] = {
        JSON_COMPACT, JSON_INDENT(2), JSON_ENSURE_ASCII, JSON_ESCAPE_SLASH, 0
    };

    (void) state;

    for (i = 0; i < 8000; i++) {
        v = random_value(0);
        text = json_dumps(v, JSON_ENCODE_ANY | flags[i % 5]);

        if (text == NULL) {
            fail_msg("jansson cannot write its own value");
        }

        n = strlen(text);
        check_oracle((llm_u8 *) text, n);

        value = json_build((llm_u8 *) text, n);
        assert_non_null(value);
        json_decref(value);

        p = malloc(n + 32);
        assert_non_null(p);

        for (k = 0; k < 8; k++) {
            memcpy(p, text, n);
            len = mutate(p, n);
            check_oracle(p, len);
        }

        free(p);
        free(text);
        json_decref(v);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_oracle)
    };

    (void) unit_seed();

    return cmocka_run_group_tests_name("wire_json", tests, NULL, NULL);
}
