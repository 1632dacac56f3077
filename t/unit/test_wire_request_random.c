/*
 * Requests at random: a body and what it is to become are written side by
 * side, from the rules and not from the plan; without duplicates jansson must
 * get the same from the same change.  And what a large body costs.
 */

#include <time.h>

#include "request_support.h"


#define ROUNDS  20000

/* A member of a body: a name and one of the values that fit it. */
typedef struct {
    unsigned                    name;
    unsigned                    value;
} member_t;

typedef struct {
    member_t                    members[24];
    size_t                      n;
    llm_request_set_t           set[5];
    llm_request_change_t        change;
    unsigned                    streams;    /* after the change */
    llm_block_t                 in;
    llm_block_t                 want;
    llm_alloc_t                 alloc;
} round_t;

/* the order of the first three is that of the insertion */

static const char * const  names[] = {
    "model", "stream", "stream_options", "messages", "temperature", "stop",
    "user", "a\"b\\\n", "\xc3\xa9\xf0\x9f\x98\x80", ""
};

#define MODEL    0
#define STREAM   1
#define OPTIONS  2
#define NAMES    (sizeof(names) / sizeof(names[0]))

static const char * const  models[] = {
    "null", "\"gpt\"", "\"\\u0067pt\"", "\"a/b:c \\\" \xc3\xa9\""
};

static const char * const  streams[] = { "null", "true", "false", "true" };

/* as it comes, and with include_usage: true */
static const char * const  options[][2] = {
    { "null", "{\"include_usage\":true}" },
    { "{}", "{\"include_usage\":true}" },
    { "{ \n}", "{\"include_usage\":true \n}" },
    { "{\"include_usage\":true}", "{\"include_usage\":true}" },
    { "{\"a\" : 1, \"include_usage\" : false }",
      "{\"a\" : 1, \"include_usage\" : true }" },
    { "{\"include\\u005Fusage\":null,\"b\":[]}",
      "{\"include\\u005Fusage\":true,\"b\":[]}" },
    { "{ \"a\":{\"include_usage\":false}}",
      "{\"include_usage\":true, \"a\":{\"include_usage\":false}}" }
};

static const char * const  messages[] = {
    "null", "[]", "[ {\"role\":\"user\",\"content\":\"\\ud83d\\ude00 hi\"}]",
    "[{\"c\":[{\"url\":{\"u\":\"AAAA\"}}],\"model\":0,\"stream\":false}]"
};

static const char * const  others[] = {
    "0", "-1.5e3", "true", "null", "\"\"", "\"\xe2\x82\xac \\/ \\t\"",
    "[1,[2,{\"stream\":0}],{}]", "{\"model\":{\"stop\":[\"\\\"}\"]}}",
    "{\"x\" :\t1}", "[\n]"
};

static const char * const  spaces[] = { "", "", "", " ", "\n\t", "\r\n  " };


#define pick(t)   ((t)[unit_random(sizeof(t) / sizeof((t)[0]))])
#define count(t)  (sizeof(t) / sizeof((t)[0]))


static const char *
value_text(const member_t *m)
{
    switch (m->name) {

    case MODEL:
        return models[m->value % count(models)];

    case STREAM:
        return streams[m->value % count(streams)];

    case OPTIONS:
        return options[m->value % count(options)][0];

    case 3:
        return messages[m->value % count(messages)];

    default:
        return others[m->value % count(others)];
    }
}


static void
put(round_t *r, const char *in, const char *want)
{
    assert_int_equal(llm_block_append(&r->in, &r->alloc, in, strlen(in)),
                     LLM_OK);
    assert_int_equal(llm_block_append(&r->want, &r->alloc, want,
                                      strlen(want)), LLM_OK);
}


static void
put_both(round_t *r, const char *s)
{
    put(r, s, s);
}


/* The name as a key; in bodies with some characters escaped. */
static void
put_key(round_t *r, const char *name, unsigned body)
{
    char         buf[8];
    const char  *in;

    in = body ? "\"" : "";
    put(r, in, "\"");

    for ( /* void */ ; *name != '\0'; name++) {
        buf[0] = *name;
        buf[1] = '\0';

        if ((llm_u8) *name < 0x80 && body && unit_random(12) == 0) {
            (void) snprintf(buf, sizeof(buf), "\\u%04x", *name);

        } else if (*name == '"' || *name == '\\') {
            (void) snprintf(buf, sizeof(buf), "\\%c", *name);

        } else if (*name == '\n') {
            (void) snprintf(buf, sizeof(buf), "\\n");
        }

        put(r, body ? buf : "", buf);
    }

    put(r, in, "\"");
}


static unsigned
is_name(const llm_request_set_t *set, unsigned name)
{
    return set->name.n == strlen(names[name])
           && memcmp(set->name.p, names[name], set->name.n) == 0;
}


/* The value that the change has for a member, or NULL: leave it. */
static const char *
changed(const round_t *r, unsigned name, unsigned there)
{
    size_t  i;

    for (i = r->change.nset; i != 0; i--) {
        if (is_name(&r->set[i - 1], name)
            && !(there && r->set[i - 1].if_absent))
        {
            return (const char *) r->set[i - 1].value.p;
        }
    }

    if (name == MODEL && r->change.model.p != NULL) {
        return "\"m\\\"1\"";
    }

    if (name == STREAM && r->change.stream != -1) {
        return r->change.stream ? "true" : "false";
    }

    if (name == OPTIONS && r->change.usage && !there && r->streams) {
        return "{\"include_usage\":true}";
    }

    return NULL;
}


static const member_t *
last_of(const round_t *r, unsigned name)
{
    size_t  i;

    for (i = r->n; i != 0; i--) {
        if (r->members[i - 1].name == name) {
            return &r->members[i - 1];
        }
    }

    return NULL;
}


static void
random_change(round_t *r)
{
    size_t     i;
    member_t   m;

    r->change.stream = (int) unit_random(3) - 1;
    r->change.usage = unit_random(2);
    r->change.model = chars(unit_random(2) ? "m\"1" : NULL);
    r->change.set = r->set;
    r->change.nset = unit_random(2) ? 0 : unit_random(count(r->set) + 1);

    for (i = 0; i < r->change.nset; i++) {
        m.name = unit_random(NAMES);
        m.value = unit_random(1000);

        r->set[i].name = chars(names[m.name]);
        r->set[i].value = chars(value_text(&m));
        r->set[i].if_absent = unit_random(2);
    }
}


static void
random_members(round_t *r, unsigned duplicates)
{
    size_t        i, n;
    member_t      m;
    const char   *s;

    n = unit_random(4) ? unit_random(count(r->members)) : 0;
    r->n = 0;

    for (i = 0; i < n; i++) {
        m.name = unit_random(NAMES);
        m.value = unit_random(1000);

        if (duplicates || last_of(r, m.name) == NULL) {
            r->members[r->n++] = m;
        }
    }

    s = changed(r, STREAM, last_of(r, STREAM) != NULL);

    if (s == NULL && last_of(r, STREAM) != NULL) {
        s = value_text(last_of(r, STREAM));
    }

    r->streams = s != NULL && strcmp(s, "true") == 0;
}


/* What the body lacks, in the order: model, stream, options, set. */
static void
put_insertion(round_t *r)
{
    size_t        i;
    unsigned      k, done, order[3 + count(r->set)];
    const char   *value;

    for (i = 0; i < 3 + r->change.nset; i++) {
        order[i] = (unsigned) i;

        if (i >= 3) {
            for (k = 0; !is_name(&r->set[i - 3], k); k++) { /* void */ }

            order[i] = k;
        }

        done = last_of(r, order[i]) != NULL;

        for (k = 0; k < i; k++) {
            done |= order[k] == order[i];
        }

        value = changed(r, order[i], 0);

        if (done || value == NULL) {
            continue;
        }

        if (r->want.p[r->want.n - 1] != '{') {
            put(r, "", ",");
        }

        put_key(r, names[order[i]], 0);
        put(r, "", ":");
        put(r, "", value);
    }
}


static void
random_body(round_t *r)
{
    size_t            i;
    const char       *in, *want;
    const member_t   *m;

    r->in.n = 0;
    r->want.n = 0;

    put_both(r, pick(spaces));
    put_both(r, "{");
    put_insertion(r);

    if (r->n != 0 && r->want.p[r->want.n - 1] != '{') {
        put(r, "", ",");
    }

    for (i = 0; i < r->n; i++) {
        m = &r->members[i];

        in = value_text(m);
        want = changed(r, m->name, 1);

        if (want == NULL) {
            want = in;

            if (m->name == OPTIONS && r->change.usage && r->streams) {
                want = options[m->value % count(options)][1];
            }
        }

        put_both(r, i != 0 ? "," : "");
        put_both(r, pick(spaces));
        put_key(r, names[m->name], 1);
        put_both(r, pick(spaces));
        put_both(r, ":");
        put_both(r, pick(spaces));
        put(r, in, want);
        put_both(r, pick(spaces));
    }

    if (r->n == 0) {
        put_both(r, pick(spaces));
    }

    put_both(r, "}");
    put_both(r, pick(spaces));
}


/* The same change made by jansson: members in any order, values equal. */
static void
check_jansson(const round_t *r, const char *in, const char *out)
{
    json_t      *tree, *after, *o;
    unsigned     k;
    const char  *value;

    tree = json_loads(in, JSON_REJECT_DUPLICATES, NULL);
    after = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(tree);
    assert_non_null(after);

    for (k = 0; k < NAMES; k++) {
        value = changed(r, k, json_object_get(tree, names[k]) != NULL);

        if (value != NULL) {
            json_object_set_new(tree, names[k],
                                json_loads(value, JSON_DECODE_ANY, NULL));
            continue;
        }

        o = json_object_get(tree, names[k]);

        if (k == OPTIONS && o != NULL && r->change.usage
            && json_is_true(json_object_get(tree, "stream")))
        {
            if (!json_is_object(o)) {
                o = json_object();
                json_object_set_new(tree, names[k], o);
            }

            json_object_set_new(o, "include_usage", json_true());
        }
    }

    assert_true(json_equal(tree, after));

    json_decref(tree);
    json_decref(after);
}


static void
check_round(const round_t *r, unsigned duplicates)
{
    char           *in, *out;
    size_t          edits;
    llm_request_t   before, after;

    in = strndup((char *) r->in.p, r->in.n);
    assert_non_null(in);

    assert_int_equal(llm_request_read(&before, r->in.p, r->in.n, 0,
                                      &llm_dialect_openai),
                     LLM_OK);
    assert_int_equal(before.empty, r->n == 0);

    out = change_body(in, &r->change, &edits);

    if (strlen(out) != r->want.n || memcmp(out, r->want.p, r->want.n)) {
        fail_msg("model %d stream %d usage %u nset %zu\n in: %s\nout: %s\n"
                 "not: %.*s", r->change.model.p != NULL, r->change.stream,
                 r->change.usage, r->change.nset, in, out, (int) r->want.n,
                 r->want.p);
    }

    assert_int_equal(edits == 0, strcmp(in, out) == 0);

    assert_int_equal(llm_request_read(&after, (llm_u8 *) out, strlen(out),
                                      0, &llm_dialect_openai), LLM_OK);
    assert_int_equal(after.stream == 1, r->streams);

    if (!duplicates) {
        check_jansson(r, in, out);
    }

    free(in);
    free(out);
}


static void
run_rounds(unsigned duplicates)
{
    size_t         i;
    round_t        r;
    unit_alloc_t   u;

    (void) unit_seed();
    memset(&r, 0, sizeof(r));
    r.alloc = unit_alloc(&u);

    for (i = 0; i < ROUNDS; i++) {
        random_change(&r);
        random_members(&r, duplicates);
        random_body(&r);
        check_round(&r, duplicates);
    }

    llm_block_free(&r.in, &r.alloc);
    llm_block_free(&r.want, &r.alloc);
}


static void
test_random(void **state)
{
    (void) state;

    run_rounds(0);
}


static void
test_random_duplicates(void **state)
{
    (void) state;

    run_rounds(1);
}


/* {"messages":[ unit, unit, … ]} or the like, of about n bytes */
static llm_u8 *
large(const char *head, const char *unit, const char *tail, size_t n,
    size_t *len)
{
    size_t   i, k, h;
    llm_u8  *p;

    h = strlen(head);
    k = strlen(unit);
    n = n / k;

    p = malloc(h + n * k + strlen(tail));
    assert_non_null(p);

    memcpy(p, head, h);

    for (i = 0; i < n; i++) {
        memcpy(p + h + i * k, unit, k);
    }

    memcpy(p + h + n * k, tail, strlen(tail));
    *len = h + n * k + strlen(tail);

    return p;
}


/* Processor time of reading and planning, the best of five. */
static double
cost(const llm_u8 *body, size_t n)
{
    double                 t, best;
    size_t                 i;
    clock_t                from;
    llm_plan_t             plan;
    llm_alloc_t            a;
    unit_alloc_t           u;
    llm_request_t          r;
    llm_request_change_t   change;

    memset(&change, 0, sizeof(change));
    change.model = chars("m");
    change.stream = 1;
    change.usage = 1;
    best = 0;

    for (i = 0; i < 5; i++) {
        a = unit_alloc(&u);
        from = clock();

        assert_int_equal(llm_request_read(&r, body, n, 0,
                                          &llm_dialect_openai), LLM_OK);
        assert_int_equal(llm_request_plan(&plan, body, n, &change, &a),
                         LLM_OK);

        t = (double) (clock() - from);
        best = i == 0 || t < best ? t : best;

        assert_int_equal(plan.n, 2);
        assert_int_equal(edited(&plan, n), n + 51);

        /* nothing of the body is copied */

        assert_true(u.peak < 4096);

        llm_plan_free(&plan);
    }

    return best;
}


/*
 * Eight times the bytes take eight times as long; twenty-four is allowed for
 * caches and for what else the machine does, sixty-four would be quadratic.
 */
static void
test_large(void **state)
{
    size_t   i, n, m;
    double   t;
    llm_u8  *small, *big;

    static const char * const  shapes[][3] = {
        { "{\"messages\":[{\"content\":[{\"url\":\"data:image/png;base64,",
          "iVBORw0KGgoAAAANSUhEUgAA", "\"}]}],\"stream\":false}" },
        { "{\"messages\":[\"", "\\u00e9\\n\\\"\xc3\xa9",
          "\"],\"stream\":false}" },
        { "{\"messages\":[", "{\"role\":\"user\"},[[]],",
          "0],\"stream\":false}" },
        { "{", "\"\\u0061\":{},\"bcd\":[],", "\"stream\":false}" },
        { "{\"x\":[\n", " \n\t\r", "1],\"stream\":false}" },
        { "{\"", "modelmodel\\u006d", "\":1,\"stream\":false}" }
    };

    (void) state;

    for (i = 0; i < count(shapes); i++) {
        small = large(shapes[i][0], shapes[i][1], shapes[i][2], 1310720,
                      &n);
        big = large(shapes[i][0], shapes[i][1], shapes[i][2], 10485760,
                    &m);

        t = cost(small, n);
        assert_true(cost(big, m) < 24 * (t < 100 ? 100 : t));

        free(small);
        free(big);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_random_duplicates),
        cmocka_unit_test(test_large)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
