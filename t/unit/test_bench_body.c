/*
 * The request of the client in every dialect: read by the wire library as a
 * server would, and where it goes.
 */

#include "bench_body.h"
#include "bench_memory.h"
#include "unit_support.h"


static bench_options_t
options(const char *dialect)
{
    bench_options_t  o;

    memset(&o, 0, sizeof(o));
    o.base_url = "http://127.0.0.1:8000";
    o.dialect = dialect;
    o.model = "mock";
    o.input_len = 12;
    o.output_len = 77;
    o.seed = 1;

    return o;
}


static char *
written(const bench_body_t *b, uint64_t i)
{
    char    *to;
    size_t   n;

    to = malloc(b->max + 1);
    assert_non_null(to);
    n = bench_body_write(b, i, to);
    assert_true(n <= b->max);
    to[n] = '\0';

    return to;
}


/* The dialect's own reader finds the words, the limit and the stream. */
static void
check_read(const llm_dialect_t *d, const char *body)
{
    size_t             i, words;
    llm_chat_t         chat;
    const llm_part_t  *p;

    llm_chat_init(&chat, &bench_allocator, 0);
    assert_int_equal(d->read_chat(&chat, (const llm_u8 *) body,
                                  strlen(body)), LLM_OK);
    assert_int_equal(llm_chat_nparts(&chat), 1);

    p = llm_chat_parts(&chat);

    for (words = 1, i = 0; i < p->text.n; i++) {
        words += p->text.p[i] == ' ';
    }

    assert_int_equal(p->role, LLM_ROLE_USER);
    assert_int_equal(words, 12);
    assert_int_equal(chat.max_tokens.n, 2);
    assert_memory_equal(chat.max_tokens.p, "77", 2);
    assert_int_equal(chat.stream == 0, 0);

    llm_chat_free(&chat);
}


static void
test_dialects(void **state)
{
    char                 *one, *two;
    size_t                i;
    bench_body_t          b;
    bench_options_t       o;
    const llm_dialect_t  *d;

    (void) state;

    for (i = 0; llm_dialect_at(i) != NULL; i++) {
        d = llm_dialect_at(i);
        o = options((const char *) d->name.p);
        assert_int_equal(bench_body_make(&b, &o), 0);
        assert_ptr_equal(b.dialect, d);

        one = written(&b, 1);
        two = written(&b, 2);
        assert_string_not_equal(one, two);

        if (d->read_chat != NULL || d->decode == NULL) {
            check_read(d->read_chat != NULL ? d : &llm_dialect_openai, one);
        }

        free(one);
        one = written(&b, 2);
        assert_string_equal(one, two);
        free(one);
        free(two);
        bench_body_free(&b);
    }

    assert_true(i >= 12);
}


static void
check_url(const char *base, const char *endpoint, const char *url,
    const char *host, const char *port, const char *target)
{
    bench_body_t     b;
    bench_options_t  o;

    o = options("openai");
    o.base_url = base;
    o.endpoint = endpoint;

    assert_int_equal(bench_body_make(&b, &o), url != NULL ? 0 : -1);

    if (url != NULL) {
        assert_string_equal(b.url, url);
        assert_string_equal(b.host, host);
        assert_string_equal(b.port, port);
        assert_string_equal(b.target, target);
        assert_int_equal(b.tls, url[4] == 's');
    }

    bench_body_free(&b);
}


static void
test_url(void **state)
{
    bench_body_t     b;
    bench_options_t  o;

    (void) state;

    check_url("http://127.0.0.1:8000", NULL,
              "http://127.0.0.1:8000/v1/chat/completions", "127.0.0.1",
              "8000", "/v1/chat/completions");
    check_url("https://host.test/", "/x?y=z", "https://host.test/x?y=z",
              "host.test", "443", "/x?y=z");
    check_url("http://[::1]:81/base", "chat", "http://[::1]:81/base/chat",
              "::1", "81", "/base/chat");
    check_url("http://[::1]", "/", "http://[::1]/", "::1", "80", "/");

    check_url("ftp://host.test", NULL, NULL, NULL, NULL, NULL);
    check_url("http://", NULL, NULL, NULL, NULL, NULL);
    check_url("http://host.test:", NULL, NULL, NULL, NULL, NULL);
    check_url("http://host.test:8x", NULL, NULL, NULL, NULL, NULL);
    check_url("http://[::1", NULL, NULL, NULL, NULL, NULL);
    check_url("http://[::1]8", NULL, NULL, NULL, NULL, NULL);
    check_url("http://me:key@host.test", NULL, NULL, NULL, NULL, NULL);

    o = options("gemini");
    o.model = "m-1";
    assert_int_equal(bench_body_make(&b, &o), 0);
    assert_string_equal(b.target,
                        "/v1beta/models/m-1:streamGenerateContent?alt=sse");
    bench_body_free(&b);
}


static int
has(const bench_body_t *b, const char *field)
{
    size_t  i, n;

    for (n = 0, i = 0; i < b->nfields; i++) {
        n += strcmp(b->fields[i], field) == 0;
    }

    return (int) n;
}


static void
test_fields(void **state)
{
    bench_body_t     b;
    bench_options_t  o;

    (void) state;

    o = options("anthropic");
    o.headers[0] = "Authorization=Bearer a=b";
    o.headers[1] = "X-Mock=";
    o.nheaders = 2;
    assert_int_equal(bench_body_make(&b, &o), 0);
    assert_int_equal(has(&b, "Authorization: Bearer a=b"), 1);
    assert_int_equal(has(&b, "anthropic-version: 2023-06-01"), 1);
    assert_int_equal(has(&b, "Content-Type: application/json"), 1);
    bench_body_free(&b);

    o.headers[0] = "content-type=text/plain";
    o.headers[1] = "Anthropic-Version=x=y";
    assert_int_equal(bench_body_make(&b, &o), 0);
    assert_int_equal(has(&b, "content-type: text/plain"), 1);
    assert_int_equal(has(&b, "Anthropic-Version: x=y"), 1);
    assert_int_equal(b.nfields, 3);
    bench_body_free(&b);

    o.headers[0] = "X=a\r\nY: b";
    assert_int_equal(bench_body_make(&b, &o), -1);
    bench_body_free(&b);
}


static void
check_extra(const char *extra, const char *has_text, const char *has_not)
{
    char             *body;
    bench_body_t      b;
    bench_options_t   o;

    o = options("openai");
    o.extra_body = extra;
    assert_int_equal(bench_body_make(&b, &o), has_text != NULL ? 0 : -1);

    if (has_text != NULL) {
        body = written(&b, 0);

        if (strstr(body, has_text) == NULL
            || strstr(body, has_not) != NULL)
        {
            fail_msg("%s gives %s", extra, body);
        }

        free(body);
    }

    bench_body_free(&b);
}


static void
test_extra(void **state)
{
    (void) state;

    check_extra("{\"temperature\":0.5,\"user\":\"x\\n\"}",
                "\"temperature\":0.5", "\"user\":x");
    check_extra("{\"user\":\"x\\n\"}", "\"user\":\"x\\n\"", "mock\",\"mock");
    check_extra("{\"model\":\"other\"}", "\"model\":\"other\"", "mock");
    check_extra("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
                "\"content\":\"hi\"", "llm-bench-words");
    check_extra("{}", "\"model\":\"mock\"", "llm-bench-words");

    check_extra("", NULL, NULL);
    check_extra("[]", NULL, NULL);
    check_extra("{\"a\":1", NULL, NULL);
    check_extra("{\"a\":1} x", NULL, NULL);
    check_extra("{\"a\":\"\xff\"}", NULL, NULL);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_dialects),
        cmocka_unit_test(test_url),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_extra)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
