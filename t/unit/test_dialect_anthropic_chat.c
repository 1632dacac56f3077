/*
 * Anthropic messages: requests, read and written.  Those of other clients
 * come in the words of OpenAI's dialect.
 */

#include "chat_support.h"
#include "unit_codec.h"


#define ASK    "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"
#define MODEL  "\"model\":\"m\","
#define MAX    "\"max_tokens\":9,"

typedef struct {
    const char  *body;
    const char  *expect;
    const char  *lost;
    const char  *refused;
} row_t;

#define check(from, rows)  check_rows(from, rows,                           \
                                      sizeof(rows) / sizeof(rows[0]))


static const llm_provider_t *
provider(void)
{
    const llm_provider_t  *p;

    p = llm_provider_find((const llm_u8 *) "anthropic", 9);
    assert_non_null(p);

    return p;
}


static void
check_rows(const llm_dialect_t *from, const row_t *rows, size_t n)
{
    size_t           i;
    const char      *lost, *refused;
    codec_request_t  r;

    for (i = 0; i < n; i++) {
        codec_request(&r, from, provider(), rows[i].body, 0);

        if (r.rc != LLM_OK) {
            fail_msg("%s: refused, %s", rows[i].body,
                     r.member != NULL ? r.member : "no member");
        }

        codec_same(rows[i].body, r.json, rows[i].expect);

        lost = rows[i].lost != NULL ? rows[i].lost : "";
        refused = rows[i].refused != NULL ? rows[i].refused : "";

        if (strcmp(r.lost, lost) != 0 || strcmp(r.refused, refused) != 0) {
            fail_msg("%s: lost \"%s\", \"%s\"", rows[i].body, r.lost,
                     r.refused);
        }

        codec_request_free(&r);
    }
}


/* The row of providers. */
static void
test_provider(void **state)
{
    const llm_provider_t  *p;

    (void) state;

    p = provider();

    assert_ptr_equal(p->dialect, &llm_dialect_anthropic);
    assert_string_equal((const char *) p->path.p, "/v1/messages");
    assert_string_equal((const char *) p->auth_header.p, "x-api-key");
    assert_null(p->auth_prefix.p);
    assert_string_equal((const char *) p->header.p, "anthropic-version");
    assert_string_equal((const char *) p->header_value.p, "2023-06-01");
}


/* What an Anthropic client asks is the same when it is written again. */
static const char *const  same_bodies[] = {
    "{" MODEL MAX ASK "}",

    "{" MODEL MAX "\"system\":\"Be kind.\"," ASK ","
    "\"temperature\":0.5,\"top_k\":40,"
    "\"stop_sequences\":[\"#\",\"\\n\\nHuman\"],"
    "\"metadata\":{\"user_id\":\"u1\"}}",

    "{" MODEL MAX "\"system\":[{\"type\":\"text\",\"text\":\"A\"},"
    "{\"type\":\"text\",\"text\":\"B\\\"\"}]," ASK "}",

    "{" MODEL MAX "\"messages\":["
    "{\"role\":\"user\",\"content\":["
    "{\"type\":\"text\",\"text\":\"Look\"},"
    "{\"type\":\"image\",\"source\":{\"type\":\"base64\","
    "\"media_type\":\"image/png\",\"data\":\"iVBORw0KGgo=\"}},"
    "{\"type\":\"image\",\"source\":{\"type\":\"url\","
    "\"url\":\"https://x/y.png\"}},"
    "{\"type\":\"document\",\"source\":{\"type\":\"base64\","
    "\"media_type\":\"application/pdf\",\"data\":\"JVBERi0=\"},"
    "\"title\":\"T\"},{\"type\":\"document\",\"source\":{"
    "\"type\":\"url\",\"url\":\"https://x/y.pdf\"}}]},"
    "{\"role\":\"assistant\",\"content\":\"Pre\"}]}",

    "{" MODEL "\"max_tokens\":4096,\"thinking\":{\"type\":\"enabled\","
    "\"budget_tokens\":1024},\"messages\":["
    "{\"role\":\"user\",\"content\":\"Time?\"},"
    "{\"role\":\"assistant\",\"content\":["
    "{\"type\":\"thinking\",\"thinking\":\"Hm\",\"signature\":\"Sg==\"},"
    "{\"type\":\"redacted_thinking\",\"data\":\"Eg==\"},"
    "{\"type\":\"text\",\"text\":\"I'll look.\"},"
    "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"now\","
    "\"input\":{}},{\"type\":\"tool_use\",\"id\":\"toolu_2\","
    "\"name\":\"f\",\"input\":{\"a\":[1,{\"b\":null}]}}]},"
    "{\"role\":\"user\",\"content\":["
    "{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_1\","
    "\"content\":\"six\"},"
    "{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_2\","
    "\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
    "{\"type\":\"image\",\"source\":{\"type\":\"base64\","
    "\"media_type\":\"image/png\",\"data\":\"AA==\"}}],"
    "\"is_error\":true},"
    "{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_3\"},"
    "{\"type\":\"text\",\"text\":\"And?\"}]}],"
    "\"tools\":[{\"name\":\"now\",\"description\":\"The time\","
    "\"input_schema\":{\"type\":\"object\",\"properties\":{}}},"
    "{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"},"
    "\"strict\":true}]}",

    "{" MODEL MAX ASK ",\"thinking\":{\"type\":\"adaptive\"}}",
    "{" MODEL MAX ASK ",\"thinking\":{\"type\":\"disabled\"}}",
    "{" MODEL MAX ASK ",\"output_config\":{\"format\":{"
    "\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}}}",
    "{" MODEL MAX ASK ",\"tools\":[{\"name\":\"f\",\"input_schema\":{}}],"
    "\"tool_choice\":{\"type\":\"any\","
    "\"disable_parallel_tool_use\":true}}",
    "{" MODEL MAX ASK ",\"tools\":[{\"name\":\"f\",\"input_schema\":{}}],"
    "\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}}",
    "{" MODEL MAX ASK ",\"tools\":[{\"name\":\"f\",\"input_schema\":{}}],"
    "\"tool_choice\":{\"type\":\"none\"}}",
    "{" MODEL MAX ASK ",\"tools\":[{\"name\":\"f\",\"input_schema\":{}}],"
    "\"tool_choice\":{\"type\":\"auto\"}}"
};


static void
test_same(void **state)
{
    size_t  i;
    row_t   row;

    (void) state;

    for (i = 0; i < sizeof(same_bodies) / sizeof(same_bodies[0]); i++) {
        row = (row_t) { same_bodies[i], same_bodies[i], NULL, NULL };
        check_rows(&llm_dialect_anthropic, &row, 1);
    }
}


/* What an Anthropic client may write otherwise. */
static void
test_read(void **state)
{
    static const row_t  rows[] = {
        { "{\"messages\":[{\"content\":[{\"text\":\"Hi\",\"type\":\"text\","
          "\"cache_control\":{\"type\":\"ephemeral\"}}],\"role\":\"user\"}],"
          "\"system\":[{\"type\":\"text\",\"text\":\"A\","
          "\"cache_control\":{\"type\":\"ephemeral\"}}],"
          "\"cache_control\":{\"type\":\"ephemeral\"},"
          "\"stop_sequences\":null,\"tools\":null,\"metadata\":null,"
          "\"temperature\":null,\"max_tokens\":9,\"model\":\"m\"}",
          "{" MODEL MAX "\"system\":\"A\"," ASK "}", NULL, NULL },

        /* duplicates: the last one counts */

        { "{" MODEL "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
          "\"system\":\"y\"," ASK ",\"system\":\"A\",\"max_tokens\":1,"
          "\"max_tokens\":9}",
          "{" MODEL MAX "\"system\":\"A\"," ASK "}", NULL, NULL },
        { "{" MODEL MAX "\"messages\":[{\"role\":\"assistant\","
          "\"content\":\"x\",\"content\":[{\"type\":\"text\","
          "\"text\":\"Hi\"}],\"role\":\"user\"}]}",
          "{" MODEL MAX ASK "}", NULL, NULL },

        /* escapes in names and words */

        { "{\"mod\\u0065l\":\"m\"," MAX "\"messag\\u0065s\":[{\"rol\\u0065\":"
          "\"us\\u0065r\",\"content\":[{\"typ\\u0065\":\"t\\u0065xt\","
          "\"text\":\"Hi\"}]}]}", "{" MODEL MAX ASK "}", NULL, NULL },

        /* roles that follow each other, results between texts, a system
         * message among them */

        { "{" MODEL MAX "\"messages\":["
          "{\"role\":\"user\",\"content\":\"a\"},"
          "{\"role\":\"user\",\"content\":[{\"type\":\"text\","
          "\"text\":\"b\"},{\"type\":\"tool_result\",\"tool_use_id\":\"t\","
          "\"content\":\"\"},{\"type\":\"text\",\"text\":\"c\"}]},"
          "{\"role\":\"system\",\"content\":\"S\"},"
          "{\"role\":\"user\",\"content\":\"\"},"
          "{\"role\":\"user\",\"content\":[]},"
          "{\"role\":\"assistant\",\"content\":null}]}",
          "{" MODEL MAX "\"system\":\"S\",\"messages\":[{\"role\":\"user\","
          "\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
          "{\"type\":\"text\",\"text\":\"b\"},{\"type\":\"tool_result\","
          "\"tool_use_id\":\"t\"},{\"type\":\"text\",\"text\":\"c\"}]}]}",
          NULL, NULL }
    };

    (void) state;

    check(&llm_dialect_anthropic, rows);
}


/* What has no place in a value, or comes in other words. */
static void
test_read_odd(void **state)
{
    static const row_t  rows[] = {
        { "{" MODEL MAX "\"messages\":[{\"role\":\"user\",\"content\":["
          "{\"type\":\"document\",\"source\":{\"type\":\"text\","
          "\"media_type\":\"text/plain\",\"data\":\"words\"}},"
          "{\"type\":\"document\",\"source\":{\"type\":\"file\","
          "\"file_id\":\"file_1\"}},{\"type\":\"document\",\"source\":{"
          "\"type\":\"content\",\"content\":[]}},{\"type\":\"search_result\","
          "\"source\":\"u\",\"title\":\"t\"}]}]}",
          "{" MODEL MAX "\"messages\":[{\"role\":\"user\","
          "\"content\":\"words\"}]}", NULL,
          "messages[].file, messages[].content" },

        /* extras, the provider's own tools, thinking in other words */

        { "{" MODEL MAX ASK ",\"service_tier\":\"auto\",\"container\":null,"
          "\"mcp_servers\":[{\"name\":\"x\"}],\"tools\":["
          "{\"type\":\"web_search_20250305\",\"name\":\"web_search\"},"
          "{\"type\":\"custom\",\"name\":\"f\"}]}",
          "{" MODEL MAX ASK ",\"tools\":[{\"name\":\"f\",\"input_schema\":{"
          "\"type\":\"object\",\"properties\":{}}}]}",
          "service_tier, mcp_servers", "tools" },
        { "{" MODEL "\"max_tokens\":30000," ASK ",\"output_config\":{"
          "\"effort\":\"medium\"},\"thinking\":{\"type\":\"adaptive\","
          "\"display\":\"omitted\"},\"temperature\":1}",
          "{" MODEL "\"max_tokens\":30000," ASK ",\"thinking\":{"
          "\"type\":\"enabled\",\"budget_tokens\":8192}}", NULL, NULL },
        { "{" MODEL MAX ASK ",\"output_format\":{\"type\":\"json_schema\","
          "\"schema\":{\"a\":1}},\"thinking\":{\"type\":\"disabled\"},"
          "\"output_config\":{\"effort\":\"high\"}}",
          "{" MODEL MAX ASK ",\"thinking\":{\"type\":\"disabled\"},"
          "\"output_config\":{\"format\":{\"type\":\"json_schema\","
          "\"schema\":{\"a\":1}}}}", NULL, NULL }
    };

    (void) state;

    check(&llm_dialect_anthropic, rows);
}


static void
test_wrong(void **state)
{
    static const struct {
        const char  *body;
        const char  *member;
    } rows[] = {
        { "[]", NULL },
        { "{" ASK, NULL },
        { "{" ASK "}}", NULL },
        { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":", NULL },
        { "{\"messages\":[{\"role\":\"user\"", NULL },
        { "{\"messages\":{}}", "messages" },
        { "{\"messages\":\"Hi\"}", "messages" },
        { "{\"messages\":[[]]}", "messages" },
        { "{\"messages\":[\"Hi\"]}", "messages" },
        { "{\"messages\":[{\"content\":\"Hi\"}]}", "messages[].role" },
        { "{\"messages\":[{\"role\":\"tool\",\"content\":\"Hi\"}]}",
          "messages[].role" },
        { "{\"messages\":[{\"role\":7,\"content\":\"Hi\"}]}",
          "messages[].role" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":7}]}",
          "messages[].content" },
        { "{" ASK ",\"system\":{}}", "system" },
        { "{" ASK ",\"model\":7}", "model" },
        { "{" ASK ",\"stream\":\"yes\"}", "stream" },
        { "{" ASK ",\"max_tokens\":\"9\"}", "max_tokens" },
        { "{" ASK ",\"stop_sequences\":[7]}", "stop_sequences" },
        { "{" ASK ",\"tools\":{}}", "tools" },
        { "{" ASK ",\"tools\":[1]}", "tools" },
        { "{" ASK ",\"tools\":[{}]}", "tools[].name" },
        { "{" ASK ",\"tool_choice\":\"auto\"}", "tool_choice" },
        { "{" ASK ",\"tool_choice\":{\"type\":\"tool\"}}", "tool_choice" },
        { "{" ASK ",\"tool_choice\":{}}", "tool_choice" },
        { "{" ASK ",\"thinking\":{\"budget_tokens\":\"x\"}}",
          "thinking.budget_tokens" },
        { "{" ASK ",\"output_config\":{\"format\":{}}}",
          "output_config.format" }
    };

    size_t           i;
    codec_request_t  r;

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        codec_request(&r, &llm_dialect_anthropic, provider(), rows[i].body,
                      0);

        if (r.rc != LLM_INVALID
            || strcmp(r.member != NULL ? r.member : "none",
                      rows[i].member != NULL ? rows[i].member : "none") != 0)
        {
            fail_msg("%s: %d, %s", rows[i].body, r.rc,
                     r.member != NULL ? r.member : "no member");
        }

        codec_request_free(&r);
    }
}


/* What comes from OpenAI's clients: the messages. */
static void
test_messages(void **state)
{
    static const row_t  rows[] = {
        { "{" MODEL "\"messages\":[{\"role\":\"system\",\"content\":\"A\"},"
          "{\"role\":\"user\",\"content\":\"Hi\"},"
          "{\"role\":\"developer\",\"content\":\"B\"}]}",
          "{" MODEL "\"max_tokens\":4096,\"system\":["
          "{\"type\":\"text\",\"text\":\"A\"},"
          "{\"type\":\"text\",\"text\":\"B\"}]," ASK "}", NULL, NULL },

        /* results are merged into one message, ids made legal */

        { "{" MODEL "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},"
          "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":["
          "{\"id\":\"functions.f:0\",\"type\":\"function\",\"function\":{"
          "\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\\\"\\\\n\\\"}\"}},"
          "{\"id\":\"c2\",\"type\":\"function\",\"function\":{"
          "\"name\":\"g\",\"arguments\":\"\"}}]},"
          "{\"role\":\"tool\",\"tool_call_id\":\"functions.f:0\","
          "\"content\":\"1\"},{\"role\":\"tool\",\"tool_call_id\":\"c2\","
          "\"content\":[{\"type\":\"text\",\"text\":\"2\"}]},"
          "{\"role\":\"user\",\"content\":\"So?\"}]}",
          "{" MODEL "\"max_tokens\":4096,\"messages\":["
          "{\"role\":\"user\",\"content\":\"Hi\"},"
          "{\"role\":\"assistant\",\"content\":["
          "{\"type\":\"tool_use\",\"id\":\"functions_f_0\",\"name\":\"f\","
          "\"input\":{\"a\":\"\\n\"}},{\"type\":\"tool_use\",\"id\":\"c2\","
          "\"name\":\"g\",\"input\":{}}]},{\"role\":\"user\",\"content\":["
          "{\"type\":\"tool_result\",\"tool_use_id\":\"functions_f_0\","
          "\"content\":\"1\"},{\"type\":\"tool_result\","
          "\"tool_use_id\":\"c2\",\"content\":\"2\"},"
          "{\"type\":\"text\",\"text\":\"So?\"}]}]}", NULL, NULL },

        { "{" MODEL "\"messages\":[{\"role\":\"assistant\","
          "\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
          "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\"}}]}]}",
          "{" MODEL "\"max_tokens\":4096,\"messages\":["
          "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\","
          "\"id\":\"c\",\"name\":\"f\",\"input\":{}}]}]}", NULL,
          "messages[].tool_calls[].function.arguments" }
    };

    (void) state;

    check(&llm_dialect_openai, rows);
}


/* Images, files, thoughts. */
static void
test_parts(void **state)
{
    static const row_t  rows[] = {
        { "{" MODEL "\"messages\":[{\"role\":\"user\",\"content\":["
          "{\"type\":\"image_url\",\"image_url\":{\"url\":"
          "\"data:image/jpeg;base64,/9j/AA==\",\"detail\":\"low\"}},"
          "{\"type\":\"image_url\",\"image_url\":{\"url\":"
          "\"https://x/y.png\"}},{\"type\":\"file\",\"file\":{"
          "\"filename\":\"a.pdf\",\"file_data\":"
          "\"data:application/pdf;base64,JVBERi0=\"}},"
          "{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}},"
          "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA==\","
          "\"format\":\"wav\"}}]}]}",
          "{" MODEL "\"max_tokens\":4096,\"messages\":[{\"role\":\"user\","
          "\"content\":[{\"type\":\"image\",\"source\":{"
          "\"type\":\"base64\",\"media_type\":\"image/jpeg\","
          "\"data\":\"/9j/AA==\"}},{\"type\":\"image\",\"source\":{"
          "\"type\":\"url\",\"url\":\"https://x/y.png\"}},"
          "{\"type\":\"document\",\"source\":{\"type\":\"base64\","
          "\"media_type\":\"application/pdf\",\"data\":\"JVBERi0=\"},"
          "\"title\":\"a.pdf\"}]}]}", NULL,
          "messages[].file, messages[].input_audio" },

        /* thoughts without a signature are of no use to Anthropic */

        { "{" MODEL "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},"
          "{\"role\":\"assistant\",\"content\":\"Ho\","
          "\"reasoning_content\":\"Hm\"}]}",
          "{" MODEL "\"max_tokens\":4096,\"messages\":["
          "{\"role\":\"user\",\"content\":\"Hi\"},"
          "{\"role\":\"assistant\",\"content\":\"Ho\"}]}",
          "messages[].reasoning_content", NULL }
    };

    (void) state;

    check(&llm_dialect_openai, rows);
}


/* The parameters. */
static void
test_parameters(void **state)
{
    static const row_t  rows[] = {
        { "{" MODEL ASK ",\"max_completion_tokens\":9,\"temperature\":0.7,"
          "\"top_p\":0.5,\"stop\":\"#\",\"user\":\"u1\",\"n\":1}",
          "{" MODEL MAX ASK ",\"temperature\":0.7,"
          "\"stop_sequences\":[\"#\"],\"metadata\":{\"user_id\":\"u1\"}}",
          "top_p", NULL },
        { "{" MODEL MAX ASK ",\"stop\":[\"\\n\",\" \",\"a\",\"b\"]}",
          "{" MODEL MAX ASK ",\"stop_sequences\":[\"a\",\"b\"]}", NULL,
          "stop" },
        { "{" MODEL MAX ASK ",\"stop\":\"\\n\\n\"}", "{" MODEL MAX ASK "}",
          NULL, "stop" },
        { "{" MODEL MAX ASK ",\"n\":2,\"seed\":1,\"presence_penalty\":1,"
          "\"frequency_penalty\":1,\"logprobs\":true,\"top_logprobs\":2,"
          "\"metadata\":{\"a\":\"b\"},\"store\":true}",
          "{" MODEL MAX ASK "}",
          "seed, presence_penalty, frequency_penalty, top_logprobs, "
          "metadata, logprobs, store", "n" },
        { "{" MODEL MAX ASK ",\"response_format\":{\"type\":\"json_object\"}}",
          "{" MODEL MAX ASK "}", NULL, "response_format" },
        { "{" MODEL MAX ASK ",\"response_format\":{\"type\":\"json_schema\","
          "\"json_schema\":{\"name\":\"x\",\"strict\":true,\"schema\":{"
          "\"type\":\"object\"}}}}",
          "{" MODEL MAX ASK ",\"output_config\":{\"format\":{"
          "\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}}}",
          NULL, NULL },

        /* tools */

        { "{" MODEL MAX ASK ",\"tools\":[{\"type\":\"function\","
          "\"function\":{\"name\":\"f\",\"description\":\"d\","
          "\"parameters\":{\"type\":\"object\"}}},{\"type\":\"function\","
          "\"function\":{\"name\":\"g\",\"strict\":true}}],"
          "\"tool_choice\":\"required\",\"parallel_tool_calls\":false}",
          "{" MODEL MAX ASK ",\"tools\":[{\"name\":\"f\","
          "\"description\":\"d\",\"input_schema\":{\"type\":\"object\"}},"
          "{\"name\":\"g\",\"input_schema\":{\"type\":\"object\","
          "\"properties\":{}},\"strict\":true}],\"tool_choice\":{"
          "\"type\":\"any\",\"disable_parallel_tool_use\":true}}", NULL,
          NULL },
        { "{" MODEL MAX ASK ",\"tools\":[{\"type\":\"function\","
          "\"function\":{\"name\":\"f\"}}],\"parallel_tool_calls\":false}",
          "{" MODEL MAX ASK ",\"tools\":[{\"name\":\"f\",\"input_schema\":{"
          "\"type\":\"object\",\"properties\":{}}}],\"tool_choice\":{"
          "\"type\":\"auto\",\"disable_parallel_tool_use\":true}}", NULL,
          NULL },
        { "{" MODEL MAX ASK ",\"tool_choice\":\"none\"}",
          "{" MODEL MAX ASK "}", NULL, NULL }
    };

    (void) state;

    check(&llm_dialect_openai, rows);
}


#define TEMPERATURE(t, as, lost)                                            \
    { "{" MODEL MAX ASK ",\"temperature\":" t "}",                          \
      "{" MODEL MAX ASK ",\"temperature\":" as "}", lost, NULL }


static void
test_temperature(void **state)
{
    static const row_t  rows[] = {
        TEMPERATURE("0", "0", NULL),
        TEMPERATURE("1", "1", NULL),
        TEMPERATURE("1.0", "1", NULL),
        TEMPERATURE("0.999", "0.999", NULL),
        TEMPERATURE("10e-1", "1", NULL),
        TEMPERATURE("0.05e1", "0.5", NULL),
        TEMPERATURE("1E-2", "0.01", NULL),
        TEMPERATURE("1.0000001", "1", "temperature"),
        TEMPERATURE("2", "1", "temperature"),
        TEMPERATURE("1.5", "1", "temperature"),
        TEMPERATURE("12", "1", "temperature"),
        TEMPERATURE("0.2e+1", "1", "temperature"),
        TEMPERATURE("0.0002E4", "1", "temperature"),
        TEMPERATURE("11e-1", "1", "temperature"),
        TEMPERATURE("-2", "-2", NULL),
        TEMPERATURE("0.00e9", "0", NULL),
        TEMPERATURE("1e-99999999999999999999", "0", NULL)
    };

    (void) state;

    check(&llm_dialect_openai, rows);
}


#define CALLED                                                              \
    "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},"                 \
    "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\","                \
    "\"type\":\"function\",\"function\":{\"name\":\"f\","                   \
    "\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c\","   \
    "\"content\":\"1\"}]"


/* Efforts as budgets, below the limit; left out where it would be refused. */
static void
test_thinking(void **state)
{
    static const row_t  rows[] = {
        { "{" MODEL ASK ",\"reasoning_effort\":\"low\"}",
          "{" MODEL "\"max_tokens\":5120," ASK ",\"thinking\":{"
          "\"type\":\"enabled\",\"budget_tokens\":1024}}", NULL, NULL },
        { "{" MODEL ASK ",\"reasoning_effort\":\"high\","
          "\"max_completion_tokens\":2000,\"temperature\":0.5,"
          "\"top_p\":0.5}",
          "{" MODEL "\"max_tokens\":2000," ASK ",\"thinking\":{"
          "\"type\":\"enabled\",\"budget_tokens\":1999}}",
          "temperature, top_p", NULL },
        { "{" MODEL ASK ",\"reasoning_effort\":\"high\","
          "\"max_completion_tokens\":1024,\"temperature\":0.5}",
          "{" MODEL "\"max_tokens\":1024," ASK ",\"temperature\":0.5}",
          "reasoning_effort", NULL },
        { "{" MODEL ASK ",\"reasoning_effort\":\"none\"}",
          "{" MODEL "\"max_tokens\":4096," ASK ",\"thinking\":{"
          "\"type\":\"disabled\"}}", NULL, NULL },
        { "{" MODEL MAX ASK ",\"reasoning_effort\":\"low\",\"tools\":["
          "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
          "\"tool_choice\":{\"type\":\"function\",\"function\":{"
          "\"name\":\"f\"}}}",
          "{" MODEL MAX ASK ",\"tools\":[{\"name\":\"f\",\"input_schema\":{"
          "\"type\":\"object\",\"properties\":{}}}],\"tool_choice\":{"
          "\"type\":\"tool\",\"name\":\"f\"}}", "reasoning_effort", NULL },
        { "{" MODEL CALLED ",\"reasoning_effort\":\"low\"}",
          "{" MODEL "\"max_tokens\":4096,\"messages\":["
          "{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\","
          "\"content\":[{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\","
          "\"input\":{}}]},{\"role\":\"user\",\"content\":["
          "{\"type\":\"tool_result\",\"tool_use_id\":\"c\","
          "\"content\":\"1\"}]}]}", "reasoning_effort", NULL }
    };

    static const row_t  own[] = {
        { "{" MODEL "\"max_tokens\":900," ASK ",\"thinking\":{"
          "\"type\":\"enabled\",\"budget_tokens\":100}}",
          "{" MODEL "\"max_tokens\":900," ASK "}", "reasoning_effort", NULL },
        { "{" MODEL "\"max_tokens\":9000," ASK ",\"thinking\":{"
          "\"type\":\"enabled\",\"budget_tokens\":100},\"top_k\":4}",
          "{" MODEL "\"max_tokens\":9000," ASK ",\"thinking\":{"
          "\"type\":\"enabled\",\"budget_tokens\":1024}}", "top_k", NULL }
    };

    (void) state;

    check(&llm_dialect_openai, rows);
    check(&llm_dialect_anthropic, own);
}


static void
test_stream(void **state)
{
    codec_request_t  r;

    (void) state;

    codec_request(&r, &llm_dialect_openai, provider(),
                  "{" MODEL MAX ASK ",\"stream\":true,\"stream_options\":{"
                  "\"include_usage\":true}}", 1);
    assert_int_equal(r.rc, LLM_OK);
    assert_int_equal(r.stream, 1);
    codec_same("stream", r.json, "{" MODEL MAX ASK ",\"stream\":true}");
    codec_request_free(&r);

    codec_request(&r, &llm_dialect_anthropic, provider(),
                  "{\"stream\":false," ASK "}", 0);
    assert_int_equal(r.rc, LLM_OK);
    assert_int_equal(r.stream, 0);
    assert_null(r.model);
    codec_same("no model", r.json, "{\"max_tokens\":4096," ASK "}");
    codec_request_free(&r);
}


/* The limit that it must have is llm_stream_param's if the client said none;
 * one that was said, or follows from a budget, stays. */
static void
test_limit(void **state)
{
    size_t                   i;
    chat_how_t               how;
    chat_result_t            r;
    const llm_request_set_t  set = {
        llm_slice("max_tokens"), llm_slice("16000"), 1
    };

    static const struct {
        const char  *said;
        const char  *limit;
    } cases[] = {
        { "", "16000" },
        { "\"max_tokens\":9,", "9" },
        { "\"max_tokens\":null,", "16000" },
        { "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":32000},",
          "36096" }
    };

    (void) state;

    memset(&how, 0, sizeof(how));
    how.set = &set;
    how.nset = 1;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char    body[256];
        json_t  *got;

        snprintf(body, sizeof(body), "{%s" ASK "}", cases[i].said);
        chat_translate(&r, &llm_dialect_anthropic, &llm_dialect_anthropic,
                       body, strlen(body), &how);
        assert_int_equal(r.rc, LLM_OK);

        got = json_loads(r.body, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(got);
        assert_int_equal(json_integer_value(json_object_get(got,
                             "max_tokens")), atoi(cases[i].limit));
        json_decref(got);
        chat_done(&r);
    }
}


/* Every body cut at every byte is refused, never read beyond its end. */
static void
test_cuts(void **state)
{
    size_t           n;
    char            *cut;
    codec_request_t  r;

    static const char  body[] =
        "{" MODEL MAX "\"system\":[{\"type\":\"text\",\"text\":\"A\"}],"
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\","
        "\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\","
        "\"data\":\"AAAA\"}},{\"type\":\"tool_result\",\"tool_use_id\":\"t\","
        "\"content\":[{\"type\":\"text\",\"text\":\"a\"}],"
        "\"is_error\":true}]}],\"tools\":[{\"name\":\"f\","
        "\"input_schema\":{\"a\":[1]}}],\"tool_choice\":{\"type\":\"any\"},"
        "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024},"
        "\"output_config\":{\"effort\":\"low\"},\"metadata\":{"
        "\"user_id\":\"u\"},\"stop_sequences\":[\"a\"],\"x\":{\"y\":1}}";

    (void) state;

    for (n = 0; n <= sizeof(body) - 1; n++) {
        cut = strndup(body, n);
        codec_request(&r, &llm_dialect_anthropic, provider(), cut, 0);
        assert_int_equal(r.rc, n == sizeof(body) - 1 ? LLM_OK : LLM_INVALID);
        codec_request_free(&r);
        free(cut);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_provider),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_odd),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_thinking),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_cuts)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
