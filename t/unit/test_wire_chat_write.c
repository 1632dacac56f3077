/*
 * What request writers share, with toy dialects: members and llm_stream_param,
 * slices that are referred to, tool arguments, the list of what is lost, the
 * calls that results answer.
 */

#include "chat_support.h"


/* What the toy writer is to do; the toy reader takes the body's text as the
 * one part, and its "model". */
static void  (*toy_write)(llm_chat_writer_t *w, const llm_chat_t *c);


static llm_rc_t
toy_read(llm_chat_t *c, const llm_u8 *body, size_t n)
{
    llm_part_t  *part;

    if (n == 0) {
        return llm_chat_wrong(c, "toy");
    }

    part = llm_chat_part(c, LLM_PART_TEXT, LLM_ROLE_USER, 0);
    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->text.p = body;
    part->text.n = n;
    part->text.escaped = 1;
    c->model = llm_slice("own");

    return LLM_OK;
}


static void
toy_dispatch(llm_chat_writer_t *w, const llm_chat_t *c)
{
    toy_write(w, c);
}


static const llm_dialect_t  toy = {
    .read_chat = toy_read,
    .write_chat = toy_dispatch
};


static void
run(chat_result_t *r, void (*write)(llm_chat_writer_t *w,
    const llm_chat_t *c), const char *body, const chat_how_t *how)
{
    toy_write = write;
    chat_translate(r, &toy, &toy, body, strlen(body), how);
}


static void
check(void (*write)(llm_chat_writer_t *w, const llm_chat_t *c),
    const char *body, const chat_how_t *how, const char *want)
{
    chat_result_t  r;

    run(&r, write, body, how);
    assert_int_equal(r.rc, LLM_OK);
    assert_string_equal(r.body, want);
    chat_done(&r);
}


static void
write_members(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_slice_t  v;

    if (llm_chat_member(w, "model")) {
        llm_write_string(w->out, &w->model, 0);
    }

    v = llm_slice("0.5");
    llm_chat_raw(w, "t", &v);
    llm_chat_string(w, "text", &llm_chat_parts(c)[0].text);
    llm_chat_raw(w, "absent", &llm_slice_null);
    llm_chat_string(w, "absent", &llm_slice_null);
}


static void
write_nothing(llm_chat_writer_t *w, const llm_chat_t *c)
{
    (void) w;
    (void) c;
}


static void
test_members(void **state)
{
    chat_how_t  how;

    (void) state;

    memset(&how, 0, sizeof(how));

    check(write_nothing, "x", &how, "{}");
    check(write_members, "a\\n\"b", &how,
          "{\"model\":\"own\",\"t\":0.5,\"text\":\"a\\n\"b\"}");

    how.model = "a\"b";
    check(write_members, "x", &how,
          "{\"model\":\"a\\\"b\",\"t\":0.5,\"text\":\"x\"}");
}


static void
test_set(void **state)
{
    chat_how_t               how;
    const llm_request_set_t  set[] = {
        { llm_slice("t"), llm_slice("1"), 0 },
        { llm_slice("new"), llm_slice("{}"), 1 },
        { llm_slice("text"), llm_slice("0"), 1 },
        { llm_slice("t"), llm_slice("2"), 0 },
        { llm_slice("t"), llm_slice("3"), 1 },
        { llm_slice("n\""), llm_slice("null"), 0 }
    };

    (void) state;

    memset(&how, 0, sizeof(how));
    how.set = set;
    how.nset = 6;

    /* the writer's own t yields to the last that is for any body */

    check(write_members, "x", &how,
          "{\"model\":\"own\",\"text\":\"x\",\"new\":{},\"t\":2,"
          "\"n\\\"\":null}");

    /* what it does not write takes the last of all */

    check(write_nothing, "x", &how,
          "{\"new\":{},\"text\":0,\"t\":3,\"n\\\"\":null}");
}


static void
write_unsaid(llm_chat_writer_t *w, const llm_chat_t *c)
{
    (void) c;

    if (llm_chat_unsaid(w, "limit")) {
        llm_write_int(w->out, 7);
    }
}


/* A value that nobody said gives way to every llm_stream_param. */
static void
test_unsaid(void **state)
{
    chat_how_t               how;
    const llm_request_set_t  set[] = {
        { llm_slice("limit"), llm_slice("1"), 0 },
        { llm_slice("limit"), llm_slice("2"), 1 },
        { llm_slice("other"), llm_slice("3"), 1 }
    };

    (void) state;

    memset(&how, 0, sizeof(how));
    check(write_unsaid, "x", &how, "{\"limit\":7}");

    how.set = set;
    how.nset = 1;
    check(write_unsaid, "x", &how, "{\"limit\":1}");

    how.nset = 2;
    check(write_unsaid, "x", &how, "{\"limit\":2}");

    how.set = &set[1];
    check(write_unsaid, "x", &how, "{\"limit\":2,\"other\":3}");

    how.set = &set[2];
    how.nset = 1;
    check(write_unsaid, "x", &how, "{\"limit\":7,\"other\":3}");
}


static void
test_read_fails(void **state)
{
    chat_result_t  r;
    chat_how_t     how;

    (void) state;

    memset(&how, 0, sizeof(how));
    run(&r, write_members, "", &how);
    assert_int_equal(r.rc, LLM_INVALID);
    assert_string_equal(r.member, "toy");
    chat_done(&r);
}


static void
test_splice(void **state)
{
    char           *big;
    chat_how_t      how;
    chat_result_t   r;

    (void) state;

    memset(&how, 0, sizeof(how));
    big = malloc(1000001);
    assert_non_null(big);
    memset(big, 'A', 1000000);
    big[1000000] = '\0';

    run(&r, write_members, big, &how);
    assert_int_equal(r.rc, LLM_OK);
    assert_int_equal(r.n, 1000000 + strlen("{'model':'own','t':0.5,"
                                           "'text':''}"));
    assert_int_equal(r.spliced, 1000000);
    assert_true(r.peak < 4096);
    chat_done(&r);
    free(big);
}


static void
write_lost(llm_chat_writer_t *w, const llm_chat_t *c)
{
    int  i;

    (void) c;

    for (i = 0; i < 3; i++) {
        llm_chat_lost(w, "a", 0);
        llm_chat_lost(w, "ab", 0);
        llm_chat_lost(w, "", 0);
        llm_chat_lost(w, "b", 1);
        llm_chat_lost(w, "a", 1);
        llm_chat_lost(w, "messages[].content[].image", 1);
    }
}


static void
write_many(llm_chat_writer_t *w, const llm_chat_t *c)
{
    int   i;
    char  name[20];

    (void) c;

    for (i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "member%d", i);
        llm_chat_lost(w, name, 1);
    }
}


static void
test_lost(void **state)
{
    chat_how_t     how;
    chat_result_t  r;

    (void) state;

    memset(&how, 0, sizeof(how));

    run(&r, write_lost, "x", &how);
    assert_string_equal(r.lost, "a, ab");
    assert_string_equal(r.refused, "b, a, messages[].content[].image");
    chat_done(&r);

    /* bounded, and names are whole */

    run(&r, write_many, "x", &how);
    assert_true(strlen(r.refused) > 900 && strlen(r.refused) <= 1024);
    assert_memory_equal(r.refused, "member0, member1, ", 18);
    assert_non_null(strstr(r.refused, ", member99, "));
    assert_string_equal(r.lost, "");
    chat_done(&r);
}


static void
write_extras(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_slice_t                name, raw;
    llm_chat_t                *own;
    static const char *const   but[] = { "a", "c", NULL };

    own = (llm_chat_t *) (uintptr_t) c;
    raw = llm_slice("1");

    name = llm_slice("a");
    assert_int_equal(llm_chat_extra(own, &name, &raw), LLM_OK);
    name = llm_slice("\\u0062");
    name.escaped = 1;
    assert_int_equal(llm_chat_extra(own, &name, &raw), LLM_OK);
    name = llm_slice("\\u0063");
    name.escaped = 1;
    assert_int_equal(llm_chat_extra(own, &name, &raw), LLM_OK);

    llm_chat_lost_extras(w, c, but);
}


static void
write_all_extras(llm_chat_writer_t *w, const llm_chat_t *c)
{
    write_extras(w, c);
    w->lost.n = 0;
    llm_chat_extras(c)[1].meaning = 1;
    llm_chat_lost_extras(w, c, NULL);
}


static void
test_lost_extras(void **state)
{
    chat_how_t     how;
    chat_result_t  r;

    (void) state;

    memset(&how, 0, sizeof(how));

    run(&r, write_extras, "x", &how);
    assert_string_equal(r.lost, "\\u0062");
    chat_done(&r);

    run(&r, write_all_extras, "x", &how);
    assert_string_equal(r.lost, "a, \\u0063");
    assert_string_equal(r.refused, "\\u0062");
    chat_done(&r);
}


static unsigned  args_string;


static void
write_object(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_slice_t  args;

    args = llm_chat_parts(c)[0].text;

    if (llm_json_is(&args, "absent")) {
        args = llm_slice_null;
    }

    if (llm_chat_member(w, "o") && !llm_chat_object(w, &args, args_string)) {
        llm_out_lit(w->out, "false");
    }
}


static void
write_args(llm_chat_writer_t *w, const llm_chat_t *c)
{
    llm_slice_t  args;

    args = llm_chat_parts(c)[0].text;

    if (llm_json_is(&args, "absent")) {
        args = llm_slice_null;
    }

    if (llm_chat_member(w, "s")) {
        llm_out_lit(w->out, "\"");
        llm_chat_args(w, &args, args_string);
        llm_out_lit(w->out, "\"");
    }
}


static void
test_arguments(void **state)
{
    chat_how_t  how;

    (void) state;

    memset(&how, 0, sizeof(how));

    args_string = 1;
    check(write_object, "{}", &how, "{\"o\":{}}");
    check(write_object, " {\\\"a\\\":\\\"\\\\u00e9\\\\n\\u20ac\\\"} ", &how,
          "{\"o\": {\"a\":\"\\u00e9\\n\xe2\x82\xac\"} }");
    check(write_object, "absent", &how, "{\"o\":{}}");
    check(write_object, "null", &how, "{\"o\":{}}");
    check(write_object, " \\n", &how, "{\"o\":false}");
    check(write_object, "  ", &how, "{\"o\":{}}");
    check(write_object, "[]", &how, "{\"o\":false}");
    check(write_object, "{\\\"a\\\":1", &how, "{\"o\":false}");
    check(write_object, "{}{}", &how, "{\"o\":false}");
    check(write_object, "{\\\"a\\\":\\\"\\u0000\\\"}", &how,
          "{\"o\":false}");
    check(write_args, "{\\\"a\\\":1}", &how, "{\"s\":\"{\\\"a\\\":1}\"}");
    check(write_args, "absent", &how, "{\"s\":\"{}\"}");

    args_string = 0;
    check(write_object, "{\"a\":\"\\u00e9\"}", &how,
          "{\"o\":{\"a\":\"\\u00e9\"}}");
    check(write_object, "1", &how, "{\"o\":false}");
    check(write_args, "{\"a\":\"\\n\"}", &how,
          "{\"s\":\"{\\\"a\\\":\\\"\\\\n\\\"}\"}");
}


/* Arguments as deep as a request may be are an object, deeper ones none. */
static void
test_arguments_depth(void **state)
{
    chat_how_t  how;

    (void) state;

    memset(&how, 0, sizeof(how));
    how.max_depth = 3;
    args_string = 1;

    check(write_object, "{\\\"a\\\":[[]]}", &how, "{\"o\":{\"a\":[[]]}}");
    check(write_object, "{\\\"a\\\":[[[]]]}", &how, "{\"o\":false}");
}


/* A conversation: T text, C call, R result, r what it holds, then its name
 * and its id; "|" ends a message. */
static void
converse(llm_chat_t *c, const char *s)
{
    llm_part_t       *part;
    unsigned          message;
    llm_part_type_t   type;

    c->parts.n = 0;
    message = 0;

    for ( /* void */ ; *s != '\0'; s++) {

        if (*s == '|') {
            message++;
            continue;
        }

        type = *s == 'C' ? LLM_PART_TOOL_CALL
               : *s == 'R' ? LLM_PART_TOOL_RESULT : LLM_PART_TEXT;

        part = llm_chat_part(c, type, LLM_ROLE_USER, message);
        assert_non_null(part);
        part->inner = *s == 'r';

        if (*s == 'T' || *s == 'r') {
            part->text.p = (const llm_u8 *) ++s;
            part->text.n = 1;
            continue;
        }

        if (*++s != '-') {
            part->name.p = (const llm_u8 *) s;
            part->name.n = 1;
        }

        if (*++s != '-') {
            part->id.p = (const llm_u8 *) s;
            part->id.n = 1;
        }
    }
}


static void
test_calls(void **state)
{
    size_t        i;
    llm_chat_t    c;
    llm_alloc_t   a;
    llm_slice_t   name;
    unit_alloc_t  heap;

    static const struct {
        const char  *chat;
        size_t       result;
        size_t       call;      /* 99: none */
        const char  *name;      /* NULL: none */
    } cases[] = {

        /* by id, the nearest */

        { "Ca1Cb2|R-2|R-1", 2, 1, "b" },
        { "Ca1Cb2|R-2|R-1", 3, 0, "a" },
        { "Ca1|R-1|Cb1|R-1", 3, 2, "b" },
        { "Ca1|R-2", 1, 99, NULL },
        { "Ca1|Rx2", 1, 99, "x" },
        { "Ca1|Rx1", 1, 0, "x" },

        /* by name and place */

        { "Ca-Cb-|Rb-|Ra-", 2, 1, "b" },
        { "Ca-Cb-|Rb-|Ra-", 3, 0, "a" },
        { "Ca-Ca-|Ra-|Ra-", 2, 0, "a" },
        { "Ca-Ca-|Ra-|Ra-", 3, 1, "a" },
        { "Ca-Ca-|Ra-rxRa-ry", 4, 1, "a" },
        { "Ca-|Ra-|Ca-|Ra-", 3, 2, "a" },
        { "Ca-|Ra-|Ra-", 2, 99, "a" },
        { "TxCa-TyCb-|R--|R--", 4, 1, "a" },
        { "TxCa-TyCb-|R--|R--", 5, 3, "b" },
        { "Tx|R--", 1, 99, NULL },
        { "R--", 0, 99, NULL }
    };

    (void) state;

    a = unit_alloc(&heap);
    llm_chat_init(&c, &a, 0);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        converse(&c, cases[i].chat);

        assert_int_equal(llm_chat_call(&c, cases[i].result),
                         cases[i].call == 99 ? llm_chat_nparts(&c)
                                             : cases[i].call);

        name = llm_chat_call_name(&c, cases[i].result);

        if (cases[i].name == NULL) {
            assert_null(name.p);

        } else {
            assert_int_equal(name.n, 1);
            assert_int_equal(name.p[0], cases[i].name[0]);
        }
    }

    llm_chat_free(&c);
    assert_int_equal(heap.live, 0);
}


/* How far back a call is looked for is bounded. */
static void
test_calls_bound(void **state)
{
    size_t        i;
    llm_chat_t    c;
    llm_part_t   *part;
    llm_alloc_t   a;
    unit_alloc_t  heap;

    (void) state;

    a = unit_alloc(&heap);
    llm_chat_init(&c, &a, 0);

    for (i = 0; i < LLM_CHAT_LOOK_BACK + 2; i++) {
        part = llm_chat_part(&c, i == 0 ? LLM_PART_TOOL_CALL
                                        : LLM_PART_TOOL_RESULT,
                             LLM_ROLE_TOOL, (unsigned) i);
        part->id = llm_slice("x");
    }

    assert_int_equal(llm_chat_call(&c, LLM_CHAT_LOOK_BACK), 0);
    assert_int_equal(llm_chat_call(&c, LLM_CHAT_LOOK_BACK + 1),
                     LLM_CHAT_LOOK_BACK + 2);

    llm_chat_free(&c);
}


static const char  *conversation;
static size_t       first, last;


static void
write_texts(llm_chat_writer_t *w, const llm_chat_t *c)
{
    converse((llm_chat_t *) (uintptr_t) c, conversation);

    if (llm_chat_member(w, "t")) {
        llm_out_lit(w->out, "\"");
        llm_chat_texts(w, c, first, last);
        llm_out_lit(w->out, "\"");
    }
}


static void
write_ids(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t  i;

    converse((llm_chat_t *) (uintptr_t) c, conversation);

    for (i = 0; i < llm_chat_nparts(c); i++) {
        if (llm_chat_parts(c)[i].type != LLM_PART_TEXT) {
            llm_out_lit(w->out, "/");
            llm_chat_call_id(w, c, i);
        }
    }
}


static void
test_texts(void **state)
{
    chat_how_t  how;

    (void) state;

    memset(&how, 0, sizeof(how));
    conversation = "TaCx1TbR-1rcTd|Te";

    first = 0;
    last = 6;
    check(write_texts, "x", &how, "{\"t\":\"a\\n\\nb\\n\\nd\"}");
    first = 4;
    last = 5;
    check(write_texts, "x", &how, "{\"t\":\"c\"}");
    first = last = 7;
    check(write_texts, "x", &how, "{\"t\":\"\"}");

    conversation = "Ca1Ca-Ca-|R-1|Ra-|Ra-|Rb-";
    check(write_ids, "x", &how,
          "{/1/call_1/call_2/1/call_1/call_2/call_6}");
}


static void
test_ends(void **state)
{
    llm_chat_t    c;
    llm_alloc_t   a;
    unit_alloc_t  heap;

    (void) state;

    a = unit_alloc(&heap);
    llm_chat_init(&c, &a, 0);
    converse(&c, "TaTb|R-1rcrdR-2re|Tf");

    assert_int_equal(llm_chat_message_end(&c, 0), 2);
    assert_int_equal(llm_chat_message_end(&c, 1), 2);
    assert_int_equal(llm_chat_message_end(&c, 2), 7);
    assert_int_equal(llm_chat_message_end(&c, 7), 8);
    assert_int_equal(llm_chat_message_end(&c, 8), 8);

    assert_int_equal(llm_chat_inner_end(&c, 3), 5);
    assert_int_equal(llm_chat_inner_end(&c, 5), 5);
    assert_int_equal(llm_chat_inner_end(&c, 6), 7);
    assert_int_equal(llm_chat_inner_end(&c, 0), 0);
    assert_int_equal(llm_chat_inner_end(&c, 8), 8);

    llm_chat_free(&c);
}


static void
write_everything(llm_chat_writer_t *w, const llm_chat_t *c)
{
    write_members(w, c);
    write_lost(w, c);
    write_object(w, c);
}


static void
test_nomem(void **state)
{
    size_t                   k;
    chat_how_t               how;
    chat_result_t            r;
    const llm_request_set_t  set[] = {
        { llm_slice("t"), llm_slice("1"), 0 }
    };

    (void) state;

    memset(&how, 0, sizeof(how));
    how.set = set;
    how.nset = 1;
    args_string = 1;

    for (k = 1; ; k++) {
        how.fail_at = k;
        run(&r, write_everything, "{\\\"a\\\":1}", &how);

        if (r.rc == LLM_OK) {
            assert_true(k > r.calls);
            chat_done(&r);
            break;
        }

        assert_int_equal(r.rc, LLM_NOMEM);
        chat_done(&r);
    }

    assert_true(k > 5);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_unsaid),
        cmocka_unit_test(test_read_fails),
        cmocka_unit_test(test_splice),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_lost_extras),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_arguments_depth),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_calls_bound),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_nomem)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
