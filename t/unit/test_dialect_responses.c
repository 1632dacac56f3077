/*
 * The openai-responses dialect's decoder: every event, every quirk of the
 * servers that speak it, and bytes that none of them would send.
 */

#include "unit_codec.h"


#define RESPONSES  "t/fixtures/responses/"

#define EV(json)   "data: " json "\n\n"
#define START      EV("{\"type\":\"response.created\",\"response\":"         \
                      "{\"id\":\"r\",\"model\":\"m\",\"created_at\":5}}")
#define DONE       EV("{\"type\":\"response.completed\",\"response\":{}}")
#define SAID       "\"id\":\"r\",\"model\":\"m\",\"created\":5,"
#define STOP       "\"finish\":\"stop\",\"word\":\"completed\""


/* What a stream that begins with START says. */
static void
check(const char *stream, const char *expect)
{
    json_t  *said;

    said = codec_text(&llm_dialect_responses, stream);
    codec_same(stream, said, expect);
    json_decref(said);
}


/* A fixture as it reads, without its order and the raw parts. */
static void
check_file(const char *name, const char *expect)
{
    char     path[128];
    size_t   n;
    llm_u8  *p;
    json_t  *said;

    snprintf(path, sizeof(path), RESPONSES "%s", name);
    p = unit_read(path, &n);

    said = strstr(name, ".json") != NULL
           ? codec_answer(&llm_dialect_responses, p, n)
           : codec_stream(&llm_dialect_responses, p, n);

    json_object_del(said, "order");
    json_object_del(said, "meta");

    codec_same(name, said, expect);

    json_decref(said);
    free(p);
}


#define ABOUT   "\"id\":\"resp_f1x\",\"model\":\"test-model-1\","            \
                "\"created\":1753000000,"
#define RAIN    "\"text\":\"Rain makes the garden \\u2014 \\u82b1 "          \
                "\\ud83d\\ude00 \\u2014 \\\"glad\\\".\\n\""
#define USED(i, o, c, r, t)                                                  \
    "\"usage\":{\"input\":" i ",\"output\":" o ",\"cached\":" c              \
    ",\"reasoning\":" r ",\"total\":" t "},"


static void
test_text_files(void **state)
{
    size_t  i;

    static const char *const  names[] = {
        "text.sse", "text-bare.sse", "text-crlf.sse", "queued.sse",
        "answer-text.json"
    };

    (void) state;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        check_file(names[i], "{" ABOUT "\"choices\":{\"0\":{" RAIN "," STOP
                   "}}," USED("11", "9", "4", "0", "20") "\"end\":\"done\"}");
    }

    check_file("text-rotating-ids.sse", "{\"id\":\"rot-0-id\","
               "\"model\":\"test-model-1\",\"created\":1753000000,"
               "\"choices\":{\"0\":{" RAIN "," STOP "}},"
               USED("11", "9", "4", "0", "20") "\"end\":\"done\"}");

    check_file("truncated.sse", "{" ABOUT "\"choices\":{\"0\":{\"text\":"
               "\"Rain makes the \"}},\"end\":\"ok\"}");
}


static void
test_tool_files(void **state)
{
    (void) state;

    check_file("tools.sse", "{" ABOUT "\"choices\":{\"0\":{"
               "\"text\":\"Let me look.\",\"finish\":\"tool_calls\","
               "\"word\":\"completed\",\"calls\":[{\"id\":\"call_f0\","
               "\"name\":\"weather\",\"args\":"
               "\"{\\\"city\\\":\\\"Z\\u00fcrich\\\",\\\"days\\\":[1,2]}\"},"
               "{\"id\":\"call_f1\",\"name\":\"time\",\"args\":"
               "\"{\\\"zone\\\":\\\"\\\\\\\"UTC\\\\\\\"\\\"}\"},"
               "{\"id\":\"call_f2\",\"name\":\"ping\",\"args\":\"{}\"}]}},"
               USED("50", "30", "0", "0", "80") "\"end\":\"done\"}");
}


#define SEALED  "\"withheld\":\"c2VjcmV0LXRob3VnaHRz+/==\","


/* What is said several times is emitted once, whatever was left out. */
static void
test_whole_files(void **state)
{
    size_t  i;

    static const char *const  names[] = {
        "done-only.sse", "completed-only.sse", "answer-all.json"
    };

    (void) state;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        check_file(names[i], "{" ABOUT "\"choices\":{\"0\":{"
                   "\"text\":\"Let me look.\","
                   "\"reasoning\":\"**Sum**\\n\\nfirstsecond\"," SEALED
                   "\"citations\":[{\"url\":\"https://example.org/a\","
                   "\"title\":\"A \\\"page\\\"\",\"start\":0,\"end\":4}],"
                   "\"finish\":\"tool_calls\",\"word\":\"completed\","
                   "\"calls\":[{\"id\":\"call_f0\",\"name\":\"weather\","
                   "\"whole\":true,\"args\":\"{\\\"city\\\":"
                   "\\\"Z\\u00fcrich\\\",\\\"days\\\":[1,2]}\"},"
                   "{\"id\":\"call_f2\",\"name\":\"ping\",\"args\":\"{}\","
                   "\"whole\":true}]}}," USED("8", "9", "0", "0", "17")
                   "\"end\":\"done\"}");
    }
}


static void
test_reasoning_files(void **state)
{
    (void) state;

    check_file("reasoning.sse", "{" ABOUT "\"choices\":{\"0\":{"
               "\"reasoning\":\"**Sum**\\n\\nfirstsecond\"," SEALED
               "\"text\":\"42\"," STOP "}},"
               USED("20", "70", "0", "64", "90") "\"end\":\"done\"}");

    check_file("reasoning-text.sse", "{" ABOUT "\"choices\":{\"0\":{"
               "\"reasoning\":\"open thoughts\",\"text\":\"yes\"," STOP
               "}}," USED("5", "6", "0", "4", "11") "\"end\":\"done\"}");

    check_file("refusal.sse", "{" ABOUT "\"choices\":{\"0\":{"
               "\"refusal\":\"I will not do that.\"," STOP "}},"
               USED("7", "6", "0", "0", "13") "\"end\":\"done\"}");
}


static void
test_citation_files(void **state)
{
    (void) state;

    check_file("citations.sse", "{" ABOUT "\"choices\":{\"0\":{"
               "\"text\":\"Page said so\"," STOP ",\"citations\":[{"
               "\"url\":\"https://example.org/a\",\"title\":"
               "\"A \\\"page\\\"\",\"start\":0,\"end\":4},"
               "{\"title\":\"notes.txt\"}]}},"
               USED("90", "4", "0", "0", "94") "\"end\":\"done\"}");

    check_file("logprobs.sse", "{" ABOUT "\"choices\":{\"0\":{"
               "\"text\":\"Hi!\"," STOP ",\"logprobs\":[{\"token\":\"Hi\","
               "\"logprob\":-0.25,\"bytes\":[72,105],\"top_logprobs\":["
               "{\"token\":\"Hi\",\"logprob\":-0.25,\"bytes\":[72,105]}]},"
               "{\"token\":\"!\",\"logprob\":-1.5,\"bytes\":[33],"
               "\"top_logprobs\":[]}]}}," USED("3", "2", "0", "0", "5")
               "\"end\":\"done\"}");
}


static void
test_end_files(void **state)
{
    size_t  i;

    static const char *const  names[] = {
        "incomplete.sse", "answer-incomplete.json"
    };

    (void) state;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        check_file(names[i], "{" ABOUT "\"choices\":{\"0\":{"
                   "\"text\":\"Half a\",\"finish\":\"length\","
                   "\"word\":\"max_output_tokens\"}},"
                   USED("5", "3", "0", "0", "8") "\"end\":\"done\"}");
    }

    check_file("filtered.sse", "{" ABOUT "\"choices\":{\"0\":{"
               "\"text\":\"Half a\",\"finish\":\"content_filter\","
               "\"word\":\"content_filter\"}},"
               USED("5", "3", "0", "0", "8") "\"end\":\"done\"}");
}


/* The error of a file that says nothing else but perhaps a text. */
static void
check_error(const char *name, const char *message, const char *code,
    const char *type, int status)
{
    char     path[128];
    size_t   n;
    llm_u8  *p;
    json_t  *said, *err;

    snprintf(path, sizeof(path), RESPONSES "%s", name);
    p = unit_read(path, &n);

    said = strstr(name, ".json") != NULL
           ? codec_answer(&llm_dialect_responses, p, n)
           : codec_stream(&llm_dialect_responses, p, n);

    /* response.failed behind the error event does not say it again */

    assert_int_equal(json_array_size(json_object_get(said, "errors")), 1);
    err = json_array_get(json_object_get(said, "errors"), 0);

    assert_string_equal(json_string_value(json_object_get(err, "message")),
                        message);
    assert_string_equal(json_string_value(json_object_get(err, "code")),
                        code);
    assert_int_equal((int) json_number_value(json_object_get(err, "status")),
                     status);

    if (type == NULL) {
        assert_null(json_object_get(err, "type"));

    } else {
        assert_string_equal(json_string_value(json_object_get(err, "type")),
                            type);
    }

    assert_string_not_equal(codec_string(said, "end", NULL, NULL), "done");

    json_decref(said);
    free(p);
}


static void
test_error_files(void **state)
{
    (void) state;

    check_error("error-nested.sse", "Slow down, please.",
                "rate_limit_exceeded", "requests", 429);
    check_error("error-flat.sse", "Slow down, please.",
                "rate_limit_exceeded", NULL, 429);
    check_error("failed.sse", "Slow down, please.", "rate_limit_exceeded",
                NULL, 429);
    check_error("error-first.sse", "Slow down, please.",
                "rate_limit_exceeded", "requests", 429);
    check_error("answer-failed.json", "It broke.", "server_error", NULL,
                500);
    check_error("answer-error.json", "No such model.", "model_not_found",
                "invalid_request_error", 404);
}


/* Events one by one. */
static void
test_events(void **state)
{
    (void) state;

    check(START EV("{\"type\":\"response.output_text.delta\","
                   "\"output_index\":0,\"content_index\":0,"
                   "\"delta\":\"a\\ud83d\"}")
          EV("{\"type\":\"response.output_text.delta\",\"delta\":"
             "\"\\ude00\",\"content_index\":0,\"output_index\":0}")
          EV("{\"type\":\"keepalive\",\"sequence_number\":3}") DONE,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"a\\ud83d\\ude00\"," STOP
          "}},\"order\":\"start text ping finish end\",\"end\":\"done\"}");

    /* the type is the event's when the data does not say it */

    check("event: response.output_text.delta\n"
          EV("{\"delta\":\"x\"}")
          "event: response.completed\n" EV("{}"),
          "{\"choices\":{\"0\":{\"text\":\"x\"," STOP "}},"
          "\"order\":\"start text finish end\",\"end\":\"done\"}");

    /* [DONE] ends nothing, before or behind the end */

    check(START EV("[DONE]") "data: \n\n",
          "{" SAID "\"choices\":{},\"order\":\"start\",\"end\":\"ok\"}");

    /* members of a wrong type are as if they were not there */

    check(START EV("{\"type\":\"response.output_text.delta\",\"delta\":5}")
          EV("{\"type\":\"response.output_text.delta\",\"delta\":null,"
             "\"output_index\":\"x\",\"content_index\":-1}")
          EV("{\"type\":\"response.output_text.delta\",\"delta\":\"x\","
             "\"logprobs\":{},\"output_index\":1.5}")
          EV("{\"type\":\"response.output_item.added\",\"item\":[]}")
          EV("{\"type\":\"response.output_item.done\",\"item\":null}")
          EV("{\"type\":\"response.output_text.annotation.added\"}")
          EV("{\"type\":17}") EV("{\"typ\\u0065\":\"response."
                                 "output_text.delta\",\"delta\":\"y\"}")
          EV("{\"type\":\"response.c\\u006fmpleted\",\"response\":[]}"),
          "{" SAID "\"choices\":{\"0\":{\"text\":\"xy\"," STOP "}},"
          "\"order\":\"start text finish end\",\"end\":\"done\"}");
}


/* A call that is begun by its fragments, and named later. */
static void
test_calls(void **state)
{
    (void) state;

    check(START EV("{\"type\":\"response.function_call_arguments.delta\","
                   "\"output_index\":4,\"delta\":\"{}\"}")
          EV("{\"type\":\"response.output_item.done\",\"output_index\":4,"
             "\"item\":{\"type\":\"function_call\",\"call_id\":\"c\","
             "\"name\":\"f\",\"arguments\":\"{}\"}}")
          EV("{\"type\":\"response.output_item.added\",\"output_index\":9,"
             "\"item\":{\"type\":\"function_call\",\"id\":\"fc\","
             "\"name\":\"g\",\"arguments\":\"\"}}")
          EV("{\"type\":\"response.function_call_arguments.done\","
             "\"output_index\":9,\"arguments\":{\"a\":1}}")
          EV("{\"type\":\"response.output_item.added\",\"output_index\":2,"
             "\"item\":{\"type\":\"function_call\",\"call_id\":\"d\","
             "\"name\":\"h\"}}") DONE,
          "{" SAID "\"choices\":{\"0\":{\"finish\":\"tool_calls\","
          "\"word\":\"completed\",\"calls\":[{\"id\":\"c\",\"name\":\"f\","
          "\"args\":\"{}\"},{\"id\":\"fc\",\"name\":\"g\",\"args\":"
          "\"{\\\"a\\\":1}\",\"whole\":true},{\"id\":\"d\",\"name\":\"h\","
          "\"args\":\"\"}]}},\"order\":\"start call finish end\","
          "\"end\":\"done\"}");

    /* one that says nothing is not counted */

    check(START EV("{\"type\":\"response.output_item.done\","
                   "\"output_index\":0,\"item\":{\"type\":"
                   "\"function_call\",\"name\":\"\"}}")
          EV("{\"type\":\"response.output_item.done\",\"output_index\":1,"
             "\"item\":{\"type\":\"function_call\",\"call_id\":\"c\","
             "\"name\":\"f\",\"arguments\":\"{}\"}}") DONE,
          "{" SAID "\"choices\":{\"0\":{\"finish\":\"tool_calls\","
          "\"word\":\"completed\",\"calls\":[{\"id\":\"c\",\"name\":\"f\","
          "\"args\":\"{}\",\"whole\":true}]}},"
          "\"order\":\"start call finish end\",\"end\":\"done\"}");

    /* two at once, in turns */

    check(START EV("{\"type\":\"response.output_item.added\","
                   "\"output_index\":0,\"item\":{\"type\":\"function_call\","
                   "\"call_id\":\"a\",\"name\":\"f\"}}")
          EV("{\"type\":\"response.output_item.added\",\"output_index\":1,"
             "\"item\":{\"type\":\"function_call\",\"call_id\":\"b\","
             "\"name\":\"g\"}}")
          EV("{\"type\":\"response.function_call_arguments.delta\","
             "\"output_index\":0,\"delta\":\"{\\\"x\\\"\"}")
          EV("{\"type\":\"response.function_call_arguments.delta\","
             "\"output_index\":1,\"delta\":\"{\\\"y\\\"\"}")
          EV("{\"type\":\"response.function_call_arguments.delta\","
             "\"output_index\":0,\"delta\":\":1}\"}")
          EV("{\"type\":\"response.function_call_arguments.delta\","
             "\"output_index\":1,\"delta\":\":2}\"}") DONE,
          "{" SAID "\"choices\":{\"0\":{\"finish\":\"tool_calls\","
          "\"word\":\"completed\",\"calls\":[{\"id\":\"a\",\"name\":\"f\","
          "\"args\":\"{\\\"x\\\":1}\"},{\"id\":\"b\",\"name\":\"g\","
          "\"args\":\"{\\\"y\\\":2}\"}]}},"
          "\"order\":\"start call finish end\",\"end\":\"done\"}");
}


/* The response object leaves items out, or has some that are new. */
static void
test_output_matching(void **state)
{
    (void) state;

    check(START EV("{\"type\":\"response.reasoning_text.delta\","
                   "\"output_index\":0,\"delta\":\"hm\"}")
          EV("{\"type\":\"response.output_text.delta\",\"output_index\":1,"
             "\"delta\":\"one\"}")
          EV("{\"type\":\"response.completed\",\"response\":{\"output\":["
             "{\"type\":\"message\",\"content\":[{\"type\":\"output_text\","
             "\"text\":\"one\"},{\"type\":\"output_text\",\"text\":\"+\"}]},"
             "{\"type\":\"message\",\"content\":[{\"type\":\"output_text\","
             "\"text\":\"two\"}]},7,null,{},{\"type\":\"function_call\","
             "\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"\"}]}}"),
          "{" SAID "\"choices\":{\"0\":{\"reasoning\":\"hm\","
          "\"text\":\"one+two\",\"finish\":\"tool_calls\","
          "\"word\":\"completed\",\"calls\":[{\"id\":\"c\",\"name\":\"f\","
          "\"args\":\"\"}]}},\"meta\":[{\"raw\":{}}],"
          "\"order\":\"start reasoning text meta call finish end\","
          "\"end\":\"done\"}");
}


static void
test_endings(void **state)
{
    (void) state;

    check(START EV("{\"type\":\"response.incomplete\",\"response\":{"
                   "\"incomplete_details\":null}}"),
          "{" SAID "\"choices\":{\"0\":{\"finish\":\"length\","
          "\"word\":\"incomplete\"}},\"order\":\"start finish end\","
          "\"end\":\"done\"}");

    check(START EV("{\"type\":\"response.incomplete\",\"response\":{"
                   "\"incomplete_details\":{\"reason\":\"bored\"}}}"),
          "{" SAID "\"choices\":{\"0\":{\"finish\":\"other\","
          "\"word\":\"bored\"}},\"order\":\"start finish end\","
          "\"end\":\"done\"}");

    check(EV("{\"type\":\"response.failed\",\"response\":{}}"),
          "{\"choices\":{},\"errors\":[{\"message\":\"the response failed\","
          "\"class\":0}],\"order\":\"error\",\"end\":\"failed\"}");

    check(START EV("{\"type\":\"response.completed\",\"response\":{"
                   "\"status\":\"failed\",\"error\":{\"message\":\"no\","
                   "\"code\":\"server_error\"}}}"),
          "{" SAID "\"choices\":{},\"errors\":[{\"message\":\"no\","
          "\"code\":\"server_error\",\"status\":500,\"class\":10}],"
          "\"order\":\"start error\",\"end\":\"failed\"}");

    /* a gateway's own, of no event type */

    check(START EV("{\"error\":{\"message\":\"gone\",\"code\":502}}"),
          "{" SAID "\"choices\":{},\"errors\":[{\"message\":\"gone\","
          "\"code\":\"502\",\"status\":502,\"class\":12}],"
          "\"order\":\"start error\",\"end\":\"failed\"}");

    check(START "event: error\ndata: broken\n\n",
          "{" SAID "\"choices\":{},\"errors\":[{\"message\":\"error\","
          "\"class\":0}],\"order\":\"start error\",\"end\":\"failed\"}");
}


/* The n-th frame is broken, whatever it is. */
static void
test_invalid(void **state)
{
    size_t   i;
    char     stream[512];
    json_t  *said;

    static const char *const  rows[] = {
        "{", "[]", "7", "\"x\"", "null", "x",
        "{\"type\":\"response.output_text.delta\",\"delta\":\"a\"",
        "{\"type\":\"response.output_text.delta\",\"delta\":\"a\"}}",
        "{\"type\":\"response.output_text.delta\",\"delta\":\"\\x\"}",
        "{\"type\":\"response.completed\",\"response\":{\"output\":[{]}}}"
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(stream, sizeof(stream), START "data: %s\n\n", rows[i]);

        said = codec_text(&llm_dialect_responses, stream);
        codec_same(rows[i], said, "{" SAID "\"choices\":{},"
                   "\"order\":\"start\",\"end\":\"invalid\"}");
        json_decref(said);
    }
}


/* Answers that are none, or are not whole. */
static void
test_answers(void **state)
{
    size_t   i;
    json_t  *said;

    static const struct {
        const char  *answer;
        const char  *end;
    } rows[] = {
        { "{}", "invalid" },
        { "{\"id\":\"r\",\"output\":{}}", "invalid" },
        { "[]", "invalid" },
        { "{\"output\":[]", "invalid" },
        { "{\"output\":[],\"status\":\"queued\"}", "failed" },
        { "{\"output\":[],\"status\":\"in_progress\"}", "failed" },
        { "{\"output\":[],\"status\":\"cancelled\"}", "failed" },
        { "{\"output\":[],\"status\":\"completed\"}", "done" },
        { "{\"output\":[]}", "done" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        said = codec_answer(&llm_dialect_responses, rows[i].answer,
                            strlen(rows[i].answer));

        if (strcmp(codec_string(said, "end", NULL, NULL), rows[i].end) != 0)
        {
            fail_msg("%s: %s", rows[i].answer,
                     codec_string(said, "end", NULL, NULL));
        }

        json_decref(said);
    }
}


/* More items than are told apart are refused, not mixed up. */
static void
test_many_items(void **state)
{
    size_t       i;
    json_t      *said;
    unit_out_t   o;
    char         line[160];

    (void) state;

    unit_out_init(&o, 0, 0);
    llm_out_lit(&o.out, START);

    for (i = 0; i < 1025; i++) {
        snprintf(line, sizeof(line),
                 EV("{\"type\":\"response.output_text.delta\","
                    "\"output_index\":%zu,\"delta\":\"x\"}"), i);
        llm_out(&o.out, line, strlen(line));
    }

    unit_out_end(&o);

    said = codec_stream(&llm_dialect_responses, o.p, o.n);

    assert_string_equal(codec_string(said, "end", NULL, NULL), "failed");
    assert_int_equal(strlen(codec_string(said, "choices", "0", "text")),
                     1024);

    json_decref(said);
    unit_out_free(&o);
}


/* Frames that differ only in their text are read the short way, to the same
 * end; a *.done event behind them says nothing new. */
static void
test_repeated(void **state)
{
    (void) state;

    check(START
          EV("{\"type\":\"response.output_text.delta\",\"output_index\":0,"
             "\"content_index\":0,\"delta\":\"a\"}")
          EV("{\"type\":\"response.output_text.delta\",\"output_index\":0,"
             "\"content_index\":0,\"delta\":\"b\"}")
          EV("{\"type\":\"response.output_text.delta\",\"output_index\":0,"
             "\"content_index\":1,\"delta\":\"c\"}")
          EV("{\"type\":\"response.output_text.delta\",\"output_index\":0,"
             "\"content_index\":1,\"delta\":\"d\"}")
          EV("{\"type\":\"response.output_text.done\",\"output_index\":0,"
             "\"content_index\":0,\"text\":\"ab\"}")
          EV("{\"type\":\"response.output_text.done\",\"output_index\":0,"
             "\"content_index\":1,\"text\":\"cd\"}") DONE,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"abcd\"," STOP "}},"
          "\"order\":\"start text finish end\",\"end\":\"done\"}");
}


/* Numbers and padding may differ too, wherever they stand. */
static void
test_numbered(void **state)
{
    (void) state;

#define TEXT  "\"type\":\"response.output_text.delta\",\"output_index\":0,"
#define THINK "\"type\":\"response.reasoning_text.delta\","                  \
              "\"output_index\":1,"

    check(START
          EV("{" TEXT "\"sequence_number\":9,\"delta\":\"a\","
             "\"obfuscation\":\"xx\"}")
          EV("{" TEXT "\"sequence_number\":10,\"delta\":\"\\u00e9\","
             "\"obfuscation\":\"\"}")
          EV("{" TEXT "\"sequence_number\":11,\"delta\":\"\\\"}\","
             "\"obfuscation\":\"\\\\\"}")
          EV("{" TEXT "\"sequence_number\":12,\"delta\":\"\","
             "\"obfuscation\":\"x\"}")
          EV("{" TEXT "\"sequence_number\":13,\"delta\":\"b\","
             "\"obfuscation\":\"x\",\"logprobs\":[]}")
          EV("{\"obfuscation\":\"x\"," THINK "\"delta\":\"c\","
             "\"sequence_number\":14}")
          EV("{\"obfuscation\":\"yy\"," THINK "\"delta\":\"d\","
             "\"sequence_number\":150}")
          EV("{\"delta\":\"e\"," TEXT "\"sequence_number\":-1}")
          EV("{\"delta\":\"f\"," TEXT "\"sequence_number\":-1.5}")
          EV("{\"type\":\"response.output_text.done\",\"output_index\":0,"
             "\"text\":\"again\"}") DONE,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"a\\u00e9\\\"}bef\","
          "\"reasoning\":\"cd\"," STOP "}},\"order\":\"start text "
          "reasoning text finish end\",\"end\":\"done\"}");

    /* broken where it differs: no delta like the one before */

    check(START EV("{" TEXT "\"sequence_number\":9,\"delta\":\"a\"}")
          EV("{" TEXT "\"sequence_number\":09,\"delta\":\"b\"}"),
          "{" SAID "\"choices\":{\"0\":{\"text\":\"a\"}},"
          "\"order\":\"start text\",\"end\":\"invalid\"}");

    check(START EV("{" TEXT "\"sequence_number\":9,\"delta\":\"a\"}")
          EV("{" TEXT "\"sequence_number\":9,\"delta\":\"\\b\\x\"}"),
          "{" SAID "\"choices\":{\"0\":{\"text\":\"a\"}},"
          "\"order\":\"start text\",\"end\":\"invalid\"}");

    /* the same data under another event */

    check(START "event: response.output_text.delta\n"
          EV("{\"delta\":\"a\"}") "event: response.refusal.delta\n"
          EV("{\"delta\":\"b\"}") DONE,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"a\","
          "\"refusal\":\"b\"," STOP "}},\"order\":\"start text refusal "
          "finish end\",\"end\":\"done\"}");
}


/* With a space in every other frame none is like the one before. */
static void
check_unlike(const char *path, const char *name)
{
    size_t        i, n, frames;
    json_t       *a, *b;
    llm_u8       *p;
    unit_out_t    o;

    p = unit_read(path, &n);
    unit_out_init(&o, 0, 0);

    for (i = 0, frames = 0; i < n; i++) {
        llm_out(&o.out, p + i, 1);

        if (p[i] == '{' && i >= 5 && memcmp(p + i - 5, "ata: ", 5) == 0
            && frames++ % 2 == 0)
        {
            llm_out(&o.out, " ", 1);
        }
    }

    unit_out_end(&o);

    a = codec_stream(&llm_dialect_responses, p, n);
    b = codec_stream(&llm_dialect_responses, o.p, o.n);

    if (!json_equal(a, b)) {
        fail_msg("%s: not the same without repeats", name);
    }

    json_decref(a);
    json_decref(b);
    unit_out_free(&o);
    free(p);
}


static void
test_unlike(void **state)
{
    (void) state;

    (void) unit_each("t/fixtures/responses", ".sse", check_unlike);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_files),
        cmocka_unit_test(test_tool_files),
        cmocka_unit_test(test_whole_files),
        cmocka_unit_test(test_reasoning_files),
        cmocka_unit_test(test_citation_files),
        cmocka_unit_test(test_end_files),
        cmocka_unit_test(test_error_files),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_output_matching),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_many_items),
        cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_numbered),
        cmocka_unit_test(test_unlike)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
