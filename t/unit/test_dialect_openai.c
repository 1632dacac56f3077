/*
 * The openai dialect's decoder: every kind of event and every quirk of the
 * servers that speak it.  What a frame becomes is written down as lines of
 * text.
 */

#include "unit_dialect.h"


typedef struct {
    const char  *data;
    const char  *expect;        /* lines; "" nothing */
} row_t;


static void
expect_rows(const row_t *rows, size_t n, unsigned started, llm_rc_t rc)
{
    size_t    i;
    seen_t    s;
    llm_rc_t  got;

    for (i = 0; i < n; i++) {
        got = seen_decode(&s, rows[i].data, NULL, started, 0);

        if (got != rc || strcmp(s.text, rows[i].expect) != 0) {
            fail_msg("%s\nrc %d, got:\n%s-- expected:\n%s", rows[i].data, got,
                     s.text, rows[i].expect);
        }
    }
}

#define expect_all(rows, started, rc)                                       \
    expect_rows(rows, sizeof(rows) / sizeof(rows[0]), started, rc)


#define CH(delta)  "{\"choices\":[{\"index\":0,\"delta\":" delta "}]}"


static void
test_text(void **state)
{
    static const row_t  rows[] = {
        { CH("{\"content\":\"Hi\"}"), "text text=Hi\n" },
        { CH("{\"content\":\"a\\n\\u00e9\"}"), "text text=a\\n\\u00e9\n" },
        { CH("{\"content\":\"0\"}"), "text text=0\n" },
        { CH("{\"content\":\"\"}"), "text text=\n" },
        { CH("{\"content\":null}"), "text text=\n" },
        { CH("{\"role\":\"assistant\"}"), "text text=\n" },
        { CH("{\"refusal\":\"No.\",\"content\":\"\"}"),
          "refusal text=No.\n" },
        { CH("{\"reasoning\":\"Hm\",\"content\":\"\"}"),
          "reasoning text=Hm\n" },
        { CH("{\"reasoning_content\":\"Hm\",\"content\":\"Hi\"}"),
          "reasoning text=Hm\ntext text=Hi\n" },
        { CH("{\"reasoning\":\"Hm\",\"reasoning_content\":\"Hm\"}"),
          "reasoning text=Hm\n" },
        { CH("{\"reasoning\":\"\",\"reasoning_content\":\"Hm\"}"),
          "reasoning text=Hm\n" },
        { CH("{\"reasoning\":\"Hm\",\"reasoning_content\":\"\"}"),
          "reasoning text=Hm\n" },
        { "{\"choices\":[{\"index\":0}]}", "text text=\n" },
        { "{\"choices\":[{\"index\":0,\"delta\":null}]}", "text text=\n" },
        { "{\"choices\":[{\"index\":0,\"delta\":[1,{}]}]}", "text text=\n" },
        { "{\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"index\":3}]}",
          "text #3 text=Hi\n" },
        { "{\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}",
          "text text=Hi\n" },
        { "{\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"index\":-1}]}",
          "text text=Hi\n" },
        { "{\"choices\":[{\"delta\":{\"content\":\"Hi\"},"
          "\"index\":99999999999}]}", "text #2147483647 text=Hi\n" },
        { "{\"ch\\u006fices\":[{\"\\u0069ndex\":0,\"delta\":"
          "{\"c\\u006fntent\":\"Hi\"}}]}", "text text=Hi\n" },
        { "{\"choices\":[{\"message\":{\"content\":\"old\"},\"index\":0,"
          "\"delta\":{\"content\":\"Hi\"}}]}", "text text=Hi\n" },
        { "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"Hi\"}}]}",
          "text text=Hi\n" },
        { " {\"choices\" : [ { \"delta\" : { \"content\" : \"Hi\" } } ] } ",
          "text text=Hi\n" },
        { "{\"object\":\"chat.completion.chunk\",\"obfuscation\":\"xyz\","
          "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},"
          "\"content_filter_results\":{\"hate\":{\"filtered\":false}}}]}",
          "text text=Hi\n" }
    };

    (void) state;

    expect_all(rows, 1, LLM_OK);
}


static void
test_nothing(void **state)
{
    static const row_t  rows[] = {
        { "{}", "" },
        { "{\"choices\":[]}", "" },
        { "{\"choices\":null}", "" },
        { "{\"choices\":{\"index\":0}}", "" },
        { "{\"choices\":\"x\"}", "" },
        { "{\"choices\":[1,null,[{}],\"x\"]}", "" },
        { "{\"choices\":[],\"moderation\":{\"a\":[1,2,{\"b\":null}]}}", "" },
        { "{\"usage\":null,\"error\":null}", "" },
        { "{\"usage\":{}}", "" },
        { "{\"error\":\"\"}", "" },
        { "{\"error\":false}", "" },
        { "{\"x_groq\":{\"id\":\"req\"}}", "" }
    };

    (void) state;

    expect_all(rows, 0, LLM_OK);
    expect_all(rows, 1, LLM_OK);
}


static void
test_start(void **state)
{
    seen_t  s;

    static const row_t  rows[] = {

        /* the first frame that says who it is */

        { "{\"id\":\"c1\",\"created\":17,\"model\":\"m\",\"choices\":[]}",
          "start created=17 id=c1 model=m\n" },
        { "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}],"
          "\"model\":\"m\",\"id\":\"c1\"}",
          "start id=c1 model=m\ntext text=Hi\n" },
        { "{\"id\":\"c1\",\"choices\":[{\"index\":1,\"delta\":{}}]}",
          "start id=c1\ntext #1 text=\n" },

        /* Azure's first one does not */

        { "{\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\","
          "\"prompt_filter_results\":[{\"prompt_index\":0}]}", "" },
        { "{\"id\":\"\",\"choices\":[{\"delta\":{\"role\":\"assistant\","
          "\"content\":\"\"}}]}", "" },

        /* content, without any id */

        { "{\"id\":\"\",\"created\":0,\"model\":\"m\","
          "\"choices\":[{\"delta\":{\"content\":\"4\"}}]}",
          "start model=m\ntext text=4\n" },
        { "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}",
          "start\nfinish text=stop finish=1\n" },
        { "{\"usage\":{\"total_tokens\":3}}",
          "start\nusage -1 -1 -1 -1 3\n" },
        { "{\"choices\":[{\"index\":2,\"delta\":{\"tool_calls\":"
          "[{\"id\":\"a\"}]}}]}", "start\ntool #2 at=0 id=a\n" },

        /* milliseconds, wrong types */

        { "{\"id\":\"c1\",\"created\":1700000001123}",
          "start created=1700000001 id=c1\n" },
        { "{\"id\":\"c1\",\"created\":1.5}", "start id=c1\n" },
        { "{\"id\":\"c1\",\"created\":\"17\",\"model\":null}",
          "start id=c1\n" },
        { "{\"id\":7,\"model\":[]}", "" }
    };

    (void) state;

    expect_all(rows, 0, LLM_OK);

    assert_int_equal(seen_decode(&s, rows[0].data, NULL, 1, 0), LLM_OK);
    assert_string_equal(s.text, "");
}


static void
test_tools(void **state)
{
    static const row_t  rows[] = {
        { CH("{\"role\":\"assistant\",\"content\":null,\"tool_calls\":"
             "[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\","
             "\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}"),
          "tool at=0 id=call_1 name=f text=\n" },
        { CH("{\"tool_calls\":[{\"index\":2,\"function\":"
             "{\"arguments\":\"{\\\"a\\\":\"}}]}"),
          "tool at=2 text={\\\"a\\\":\n" },

        /* null arguments, empty id and name, index last or missing */

        { CH("{\"tool_calls\":[{\"index\":0,\"id\":\"0\",\"function\":"
             "{\"name\":\"f\",\"arguments\":null}}]}"),
          "tool at=0 id=0 name=f\n" },
        { CH("{\"tool_calls\":[{\"id\":\"\",\"function\":{\"name\":\"\","
             "\"arguments\":\"x\"},\"index\":1}]}"), "tool at=1 text=x\n" },
        { CH("{\"tool_calls\":[{\"id\":\"\",\"function\":"
             "{\"arguments\":\"\"},\"index\":1}]}"), "text text=\n" },
        { CH("{\"tool_calls\":[{\"id\":\"a\",\"function\":"
             "{\"arguments\":\"1\"}},{\"id\":\"b\",\"function\":"
             "{\"arguments\":\"2\"}}]}"),
          "tool at=0 id=a text=1\ntool at=1 id=b text=2\n" },
        { CH("{\"tool_calls\":[3,{\"function\":{\"arguments\":{\"a\":[1]},"
             "\"name\":\"f\"}},[{\"id\":\"x\"}]]}"),
          "tool at=0 name=f text(plain)={\"a\":[1]}\n" },
        { CH("{\"tool_calls\":[{\"function\":[1],\"id\":\"a\"}]}"),
          "tool at=0 id=a\n" },
        { CH("{\"tool_calls\":null}"), "text text=\n" },
        { CH("{\"tool_calls\":[]}"), "text text=\n" },

        /* the call of old */

        { CH("{\"function_call\":{\"name\":\"f\",\"arguments\":\"\"}}"),
          "tool at=0 name=f text=\n" },
        { CH("{\"function_call\":{\"arguments\":\"{}\"}}"),
          "tool at=0 text={}\n" },
        { CH("{\"function_call\":null}"), "text text=\n" },

        /* all of it in one chunk */

        { "{\"choices\":[{\"finish_reason\":\"tool_calls\",\"delta\":"
          "{\"content\":\"Now\",\"tool_calls\":[{\"id\":\"a\",\"function\":"
          "{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"index\":1}]}",
          "text #1 text=Now\ntool #1 at=0 id=a name=f text={}\n"
          "finish #1 text=tool_calls finish=3\n" }
    };

    (void) state;

    expect_all(rows, 1, LLM_OK);
}


static void
test_lists(void **state)
{
    static const row_t  rows[] = {
        { CH("{\"content\":[{\"type\":\"thinking\",\"thinking\":"
             "[{\"type\":\"text\",\"text\":\"Deep\"},"
             "{\"type\":\"text\",\"text\":\"er\"}]}]}"),
          "reasoning text=Deep\nreasoning text=er\n" },
        { CH("{\"content\":[{\"text\":\"A\",\"type\":\"text\"},"
             "{\"type\":\"reference\",\"reference_ids\":[1]},5,[{}],"
             "{\"type\":\"text\",\"text\":\"B\"}]}"),
          "text text=A\ntext text=B\n" },
        { CH("{\"content\":[{\"type\":\"thinking\",\"thinking\":\"x\"},"
             "{\"text\":\"y\",\"type\":\"reasoning\"},"
             "{\"type\":\"refusal\",\"refusal\":\"z\"}]}"),
          "reasoning text=x\nreasoning text=y\nrefusal text=z\n" },
        { CH("{\"content\":[]}"), "text text=\n" },

        { CH("{\"reasoning_details\":[{\"type\":\"reasoning.text\","
             "\"text\":\"a\",\"index\":0},{\"type\":\"reasoning.summary\","
             "\"summary\":\"b\"},{\"type\":\"reasoning.encrypted\","
             "\"data\":\"QQ==\"}]}"),
          "reasoning text=a\nreasoning text=b\nreasoning\n" },
        { CH("{\"reasoning\":null,\"reasoning_details\":"
             "[{\"text\":\"a\"}]}"), "reasoning text=a\n" },
        { CH("{\"reasoning\":\"a\",\"reasoning_details\":"
             "[{\"text\":\"a\"}]}"), "reasoning text=a\n" },
        { CH("{\"reasoning\":\"\",\"reasoning_details\":"
             "[{\"text\":\"a\"}]}"), "reasoning text=a\n" },

        { "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"F\"},"
          "\"logprobs\":{\"content\":[{\"token\":\"F\"}],\"refusal\":null}"
          "}]}",
          "text text=F\nlogprobs raw=[{\"token\":\"F\"}]\n" },
        { "{\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null}]}",
          "text text=\n" }
    };

    (void) state;

    expect_all(rows, 1, LLM_OK);
}


static void
test_choices(void **state)
{
    seen_t  s;

    static const row_t  rows[] = {
        { "{\"choices\":[{\"delta\":{\"content\":\"a\"},\"index\":1},"
          "{\"delta\":{\"content\":\"b\"},\"index\":0},"
          "{\"delta\":{\"content\":\"c\"},\"finish_reason\":\"length\"}]}",
          "text #1 text=a\ntext text=b\n"
          "text #2 text=c\nfinish #2 text=length finish=2\n" },
        { "{\"choices\":[{\"index\":7,\"delta\":{}}, 4, {\"index\":1,"
          "\"delta\":{\"content\":\"b\"}}]}",
          "text #7 text=\ntext #1 text=b\n" }
    };

    (void) state;

    expect_all(rows, 1, LLM_OK);

    (void) seen_decode(&s, rows[0].data, NULL, 1, 0);
    assert_int_equal(s.choices, 3);

    (void) seen_decode(&s, "{\"choices\":[]}", NULL, 1, 0);
    assert_int_equal(s.choices, 0);
}


static void
test_finish(void **state)
{
    size_t  i;
    seen_t  s;
    char    data[200], expect[200];

    static const struct {
        const char    *word;
        llm_finish_t   finish;
    } rows[] = {
        { "stop", LLM_FINISH_STOP }, { "length", LLM_FINISH_LENGTH },
        { "tool_calls", LLM_FINISH_TOOL_CALLS },
        { "function_call", LLM_FINISH_TOOL_CALLS },
        { "content_filter", LLM_FINISH_CONTENT_FILTER },
        { "error", LLM_FINISH_ERROR },
        { "insufficient_system_resource", LLM_FINISH_ERROR },
        { "eos", LLM_FINISH_STOP }, { "model_length", LLM_FINISH_LENGTH },
        { "\\u0073top", LLM_FINISH_STOP }, { "tide", LLM_FINISH_OTHER },
        { "stopp", LLM_FINISH_OTHER }
    };

    static const row_t  none[] = {
        { "{\"choices\":[{\"delta\":{},\"finish_reason\":null}]}",
          "text text=\n" },
        { "{\"choices\":[{\"delta\":{},\"finish_reason\":\"null\"}]}",
          "text text=\n" },
        { "{\"choices\":[{\"delta\":{},\"finish_reason\":\"\"}]}",
          "text text=\n" },
        { "{\"choices\":[{\"delta\":{},\"finish_reason\":5}]}",
          "text text=\n" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void) snprintf(data, sizeof(data), "{\"choices\":[{\"delta\":{},"
                        "\"finish_reason\":\"%s\"}]}", rows[i].word);
        (void) snprintf(expect, sizeof(expect), "finish text=%s finish=%d\n",
                        rows[i].word, rows[i].finish);

        assert_int_equal(seen_decode(&s, data, NULL, 1, 0), LLM_OK);
        assert_string_equal(s.text, expect);
    }

    expect_all(none, 1, LLM_OK);
}


static void
test_usage(void **state)
{
    static const row_t  rows[] = {
        { "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,"
          "\"completion_tokens\":2,\"total_tokens\":11,"
          "\"prompt_tokens_details\":{\"audio_tokens\":0,"
          "\"cached_tokens\":5},\"completion_tokens_details\":"
          "{\"reasoning_tokens\":1}}}", "usage 9 2 5 1 11\n" },
        { "{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,"
          "\"prompt_cache_hit_tokens\":4},\"choices\":[{\"delta\":{},"
          "\"finish_reason\":\"stop\",\"index\":0}]}",
          "finish text=stop finish=1\nusage 9 2 4 -1 -1\n" },
        { "{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,"
          "\"total_tokens\":11,\"prompt_tokens_details\":null,"
          "\"completion_tokens_details\":null}}", "usage 9 2 -1 -1 11\n" },

        /* xAI: reasoning beside the output; OpenRouter: more than it */

        { "{\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":1,"
          "\"total_tokens\":303,\"completion_tokens_details\":"
          "{\"reasoning_tokens\":290}}}", "usage 12 291 -1 290 303\n" },
        { "{\"usage\":{\"prompt_tokens\":43,\"completion_tokens\":10,"
          "\"total_tokens\":53,\"completion_tokens_details\":"
          "{\"reasoning_tokens\":11}}}", "usage 43 10 -1 11 53\n" },

        /* Groq's own place */

        { "{\"x_groq\":{\"id\":\"r\",\"usage\":{\"prompt_tokens\":1,"
          "\"completion_tokens\":2,\"total_tokens\":3}}}",
          "usage 1 2 -1 -1 3\n" },
        { "{\"x_groq\":{\"usage\":{\"prompt_tokens\":1}},\"usage\":"
          "{\"prompt_tokens\":2}}", "usage 2 -1 -1 -1 -1\n" },

        /* numbers that are none */

        { "{\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1.5,"
          "\"total_tokens\":7}}", "usage -1 -1 -1 -1 7\n" },
        { "{\"usage\":{\"prompt_tokens\":\"9\",\"completion_tokens\":"
          "99999999999999999999}}", "" },
        { "{\"usage\":{\"prompt_tokens\":9223372036854775807,"
          "\"completion_tokens\":9223372036854775807,\"total_tokens\":1,"
          "\"completion_tokens_details\":{\"reasoning_tokens\":1}}}",
          "usage 9223372036854775807 9223372036854775807 -1 1 1\n" }
    };

    (void) state;

    expect_all(rows, 1, LLM_OK);
}


static void
test_terminators(void **state)
{
    size_t  i;
    seen_t  s;

    static const char *const  done[] = { "[DONE]", " [DONE]", "[DONE] x" };
    static const char *const  blank[] = { "", " ", "\n" };

    static const char *const  invalid[] = {
        "[DONE", "[DONEX", "{", "{}}", "[]", "7", "null", "\"x\"", "not json",
        "{\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]",
        "{\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}x",
        "{\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"Hi\"}},{]}",
        "{\"choices\":[{\"delta\":{\"content\":\"Hi\"}}],\"a\":tru}"
    };

    (void) state;

    for (i = 0; i < 3; i++) {
        assert_int_equal(seen_decode(&s, done[i], NULL, 1, 0), LLM_DONE);
        assert_string_equal(s.text, "end\n");
        assert_int_equal(seen_decode(&s, blank[i], NULL, 1, 0), LLM_OK);
        assert_string_equal(s.text, "ping\n");
    }

    /* nothing of a frame that is not valid to its end */

    for (i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        assert_int_equal(seen_decode(&s, invalid[i], NULL, 0, 0), LLM_INVALID);
        assert_string_equal(s.text, "");
    }
}


static void
test_answer(void **state)
{
    seen_t  s;

    (void) state;

    assert_int_equal(seen_decode(&s,
        "{\n  \"id\":\"c1\",\"object\":\"chat.completion\",\"created\":17,\n"
        "  \"model\":\"m\",\"usage\":{\"prompt_tokens\":1,"
        "\"completion_tokens\":2,\"total_tokens\":3},\"choices\":[\n"
        "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
        "\"Hi\",\"reasoning_content\":\"Hm\",\"refusal\":null},"
        "\"logprobs\":{\"content\":[],\"refusal\":[1]},"
        "\"finish_reason\":\"stop\"},\n"
        "{\"index\":1,\"message\":{\"content\":null,\"tool_calls\":"
        "[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":\"{}\"}},{\"id\":\"b\",\"function\":{\"name\":\"g\","
        "\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n",
        NULL, 0, 1), LLM_DONE);

    assert_string_equal(s.text,
        "start created=17 id=c1 model=m\n"
        "reasoning text=Hm\ntext text=Hi\n"
        "logprobs raw=[]\nlogprobs raw=[1]\n"
        "finish text=stop finish=1\n"
        "tool #1 at=0 id=a name=f text={}\n"
        "tool #1 at=1 id=b name=g text={}\n"
        "finish #1 text=tool_calls finish=3\n"
        "usage 1 2 -1 -1 3\nend\n");

    /* a message of parts; a choice without one (Azure's filter) */

    assert_int_equal(seen_decode(&s,
        "{\"id\":\"c1\",\"choices\":[{\"finish_reason\":\"content_filter\","
        "\"index\":0},{\"message\":{\"content\":[{\"type\":\"text\","
        "\"text\":\"A\"}]}}]}", NULL, 0, 1), LLM_DONE);
    assert_string_equal(s.text,
        "start id=c1\nfinish text=content_filter finish=4\n"
        "text #1 text=A\nend\n");

    assert_int_equal(seen_decode(&s, "{\"error\":{\"message\":\"No.\"}}",
                                 NULL, 0, 1), LLM_OK);
    assert_string_equal(s.text, "error message=No. status=0\n");

    assert_int_equal(seen_decode(&s, "{\"choices\":[]}", NULL, 0, 1),
                     LLM_INVALID);
    assert_int_equal(seen_decode(&s, "{\"id\":\"c1\"}", NULL, 0, 1),
                     LLM_INVALID);
    assert_string_equal(s.text, "");
    assert_int_equal(seen_decode(&s, "<html>", NULL, 0, 1), LLM_INVALID);
    assert_int_equal(seen_decode(&s, "{\"choices\":[{}]", NULL, 0, 1),
                     LLM_INVALID);
}


/* What emit() returns ends the decoder and is returned, at every event. */
static void
test_emit_stops(void **state)
{
    size_t         i;
    seen_t         s;
    llm_rc_t       rc;
    llm_frame_t    frame;
    llm_decoder_t  d;

    static const char  data[] =
        "{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":"
        "\"r\",\"content\":[{\"type\":\"thinking\",\"thinking\":"
        "[{\"text\":\"p\"}]},{\"text\":\"t\",\"refusal\":\"x\"}],"
        "\"refusal\":\"n\",\"tool_calls\":[{\"id\":\"a\"},{\"id\":\"b\"}],"
        "\"function_call\":{\"name\":\"f\"}},\"logprobs\":{\"content\":[]},"
        "\"finish_reason\":\"stop\"},{\"index\":1,\"delta\":{\"content\":"
        "\"c\",\"reasoning_details\":[{\"text\":\"d\"}]}}],"
        "\"usage\":{\"total_tokens\":1},\"error\":{}}";

    (void) state;

    memset(&frame, 0, sizeof(llm_frame_t));

    for (i = 1; ; i++) {
        memset(&s, 0, sizeof(seen_t));
        memset(&d, 0, sizeof(llm_decoder_t));
        s.stop_at = i;

        frame.data = (llm_slice_t) { (const llm_u8 *) data, sizeof(data) - 1,
                                     0 };
        d.emit = seen_emit;
        d.ctx = &s;
        d.started = 0;

        rc = llm_dialect_openai.decode(&d, &frame);

        if (rc == LLM_OK) {
            break;
        }

        assert_int_equal(rc, LLM_FAILED);
        assert_int_equal(s.events, i);
    }

    assert_int_equal(i, 16);
}


/* The depth is bounded, and what is too deep is not valid. */
static void
test_depth(void **state)
{
    seen_t         s;
    llm_frame_t    frame;
    llm_decoder_t  d;

    static const char  data[] = "{\"a\":[[[1]]],\"id\":\"c\"}";

    (void) state;

    memset(&s, 0, sizeof(seen_t));
    memset(&d, 0, sizeof(llm_decoder_t));
    memset(&frame, 0, sizeof(llm_frame_t));

    frame.data = (llm_slice_t) { (const llm_u8 *) data, sizeof(data) - 1, 0 };
    d.emit = seen_emit;
    d.ctx = &s;
    d.started = 0;

    frame.max_depth = 3;
    assert_int_equal(llm_dialect_openai.decode(&d, &frame), LLM_INVALID);

    frame.max_depth = 4;
    assert_int_equal(llm_dialect_openai.decode(&d, &frame), LLM_OK);
    assert_string_equal(s.text, "start id=c\n");
}


/* Decodes a frame by a decoder that has just seen `before`, and by one that
 * has not: it must make no difference. */
static void
check_repeat(const char *before, const char *frame, size_t n)
{
    seen_t         s, fresh;
    llm_rc_t       rc, fresh_rc;
    llm_decoder_t  d;

    memset(&d, 0, sizeof(llm_decoder_t));
    d.started = 1;
    assert_int_equal(seen_frame(&s, &d, before, strlen(before), NULL, 0),
                     LLM_OK);
    assert_int_equal(s.events, 1);

    rc = seen_frame(&s, &d, frame, n, NULL, 0);

    memset(&d, 0, sizeof(llm_decoder_t));
    d.started = 1;
    fresh_rc = seen_frame(&fresh, &d, frame, n, NULL, 0);

    if (rc != fresh_rc || s.choices != fresh.choices
        || strcmp(s.text, fresh.text) != 0)
    {
        fail_msg("after %s\n%.*s is:\n%s(%d) but alone:\n%s(%d)", before,
                 (int) n, frame, s.text, rc, fresh.text, fresh_rc);
    }
}


/* Frames that look much like the one before them: every byte of it changed,
 * missing, doubled, and in all forms that a text can have. */
static void
test_repeat(void **state)
{
    char    frame[600];
    size_t  i, k, b, n;

    static const char *const  frames[] = {
        CH("{\"content\":\"token\"}"),
        CH("{\"reasoning\":\"token\"}"),
        "{\"choices\":[{\"delta\":{\"content\":\"a\"},\"logprobs\":null,"
        "\"index\":1}],\"usage\":null,\"obfuscation\":\"zzz\"}",
        "{\"p\":\"x\",\"choices\":[{\"delta\":{\"content\":\"a\",\"p\":"
        "\"y\"},\"index\":1}],\"p\":\"zz\"}",
        "{\"choices\":[{\"delta\":{\"reasoning\":\"a\",\"reasoning_content"
        "\":\"a\"}}],\"x\":\"\\\"obfuscation\\\":\\\"\"}"
    };

    static const char *const  swaps[] = {
        "\"", "\\", "\\\\", "\n", "\\\"", "", "x", "\",\"content\":\"y",
        "\\u12", "\x7f", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    };

    (void) state;

    for (i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        n = strlen(frames[i]);
        check_repeat(frames[i], frames[i], n);

        for (b = 0; b < n; b++) {
            check_repeat(frames[i], frames[i], b);

            for (k = 0; k < 2 * sizeof(swaps) / sizeof(swaps[0]); k++) {
                (void) snprintf(frame, sizeof(frame), "%.*s%s%s", (int) b,
                                frames[i], swaps[k / 2],
                                frames[i] + b + k % 2);
                check_repeat(frames[i], frame, strlen(frame));
            }
        }

        for (k = 0; k < sizeof(frames) / sizeof(frames[0]); k++) {
            check_repeat(frames[i], frames[k], strlen(frames[k]));
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_terminators),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_emit_stops),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_repeat)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
