/*
 * Anthropic messages: events of a stream, and answers, to events of ours.
 */

#include "unit_codec.h"


#define EV(type, data)  "event: " type "\ndata: " data "\n\n"
#define START                                                               \
    EV("message_start", "{\"type\":\"message_start\",\"message\":{"         \
       "\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\","      \
       "\"content\":[],\"model\":\"claude\",\"stop_reason\":null,"          \
       "\"stop_sequence\":null,\"usage\":{\"input_tokens\":5,"              \
       "\"output_tokens\":1}}}")
#define BLOCK(i, block)                                                     \
    EV("content_block_start", "{\"type\":\"content_block_start\","          \
       "\"index\":" i ",\"content_block\":" block "}")
#define DELTA(i, delta)                                                     \
    EV("content_block_delta", "{\"type\":\"content_block_delta\","          \
       "\"index\":" i ",\"delta\":" delta "}")
#define STOP(i)                                                             \
    EV("content_block_stop", "{\"type\":\"content_block_stop\",\"index\":"  \
       i "}")
#define TEXT(i, t)  DELTA(i, "{\"type\":\"text_delta\",\"text\":\"" t "\"}")
#define JSON(i, t)                                                          \
    DELTA(i, "{\"type\":\"input_json_delta\",\"partial_json\":\"" t "\"}")
#define BEGIN(i)  BLOCK(i, "{\"type\":\"text\",\"text\":\"\"}")
#define CALL(i, id, name)                                                   \
    BLOCK(i, "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"" name    \
          "\",\"input\":{}}")
#define FINISH(reason)                                                      \
    EV("message_delta", "{\"type\":\"message_delta\",\"delta\":{"           \
       "\"stop_reason\":\"" reason "\",\"stop_sequence\":null},"            \
       "\"usage\":{\"output_tokens\":7}}")
#define END  EV("message_stop", "{\"type\":\"message_stop\"}")

#define SAID  "\"id\":\"msg_1\",\"model\":\"claude\","
#define USED  "\"usage\":{\"input\":5,\"output\":7},"
#define STOPPED  "\"finish\":\"stop\",\"word\":\"end_turn\""

typedef struct {
    const char  *what;
    const char  *stream;
    const char  *expect;
} row_t;

#define check(rows)  check_rows(rows, sizeof(rows) / sizeof(rows[0]))


static void
check_rows(const row_t *rows, size_t n)
{
    size_t   i;
    json_t  *said;

    for (i = 0; i < n; i++) {
        said = codec_text(&llm_dialect_anthropic, rows[i].stream);
        codec_same(rows[i].what, said, rows[i].expect);
        json_decref(said);
    }
}


static void
test_text(void **state)
{
    static const row_t  rows[] = {
        { "plain", START BEGIN("0")
          EV("ping", "{\"type\": \"ping\"}")
          TEXT("0", "He") TEXT("0", "y \\ud83d") TEXT("0", "\\ude00\\n")
          STOP("0") FINISH("end_turn") END,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"Hey \\ud83d\\ude00\\n\","
          STOPPED "}}," USED
          "\"order\":\"start usage text ping text usage finish end\","
          "\"end\":\"done\"}" },

        { "padding", START BEGIN("0")
          EV("content_block_delta", "{\"type\":\"content_block_delta\","
             "\"index\":0,\"delta\":{\"type\":\"text_delta\","
             "\"text\":\"a\"}          }")
          EV("content_block_delta", "{\"type\":\"content_block_delta\","
             "\"index\":12,\"delta\":{\"type\":\"text_delta\","
             "\"text\":\"b\"} }") END,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"ab\"}},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"order\":\"start usage text end\",\"end\":\"done\"}" },

        { "no event: lines, no space behind the colon",
          "data:{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\","
          "\"model\":\"claude\"}}\n\n"
          "data:{\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
          "{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n"
          "data:{\"type\":\"message_stop\"}\n\n",
          "{" SAID "\"choices\":{\"0\":{\"text\":\"a\"}},"
          "\"order\":\"start text end\",\"end\":\"done\"}" },

        { "the type is only in the event: line",
          EV("message_start", "{\"message\":{\"id\":\"msg_1\","
             "\"model\":\"claude\"}}")
          EV("content_block_delta", "{\"index\":0,\"delta\":{"
             "\"text\":\"a\"}}")
          EV("message_stop", "{}"),
          "{" SAID "\"choices\":{\"0\":{\"text\":\"a\"}},"
          "\"order\":\"start text end\",\"end\":\"done\"}" }
    };

    (void) state;

    check(rows);
}


static void
test_text_elsewhere(void **state)
{
    static const row_t  rows[] = {
        { "members in another order, with spaces, repeated",
          START
          EV("x", "{\"delta\": {\"text\": \"a\", \"type\": \"text_delta\"}, "
             "\"index\": 0, \"type\": \"content_block_delta\"}")
          EV("x", "{\"delta\": {\"text\": \"b\", \"type\": \"text_delta\"}, "
             "\"index\": 0, \"type\": \"content_block_delta\"}")
          EV("x", "{\"delta\": {\"text\": \"c\\\"\", \"type\": "
             "\"text_delta\"}, \"index\": 0, "
             "\"type\": \"content_block_delta\"}")
          EV("x", "{\"delta\": {\"text\": \"\", \"type\": \"text_delta\"}, "
             "\"index\": 0, \"type\": \"content_block_delta\"}") END,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"abc\\\"\"}},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"order\":\"start usage text ping end\",\"end\":\"done\"}" },

        { "text before message_start", TEXT("0", "a") START END,
          "{\"choices\":{\"0\":{\"text\":\"a\"}},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"order\":\"start text usage end\",\"end\":\"done\"}" },

        { "text with its block", START
          BLOCK("0", "{\"type\":\"text\",\"text\":\"Hi\"}") END,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"Hi\"}},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"order\":\"start usage text end\",\"end\":\"done\"}" },

        { "content with message_start",
          EV("message_start", "{\"type\":\"message_start\",\"message\":{"
             "\"id\":\"msg_1\",\"model\":\"claude\",\"content\":[1,"
             "{\"type\":\"text\",\"text\":\"Hi\"}]}}") END,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"Hi\"}},"
          "\"order\":\"start text end\",\"end\":\"done\"}" },

        { "no end", START TEXT("0", "a") "data: [DONE]\n\n",
          "{" SAID "\"choices\":{\"0\":{\"text\":\"a\"}},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"order\":\"start usage text ping\",\"end\":\"ok\"}" }
    };

    (void) state;

    check(rows);
}


static void
test_thinking(void **state)
{
    static const row_t  rows[] = {
        { "thinking, signed", START
          BLOCK("0", "{\"type\":\"thinking\",\"thinking\":\"\","
                "\"signature\":\"\"}")
          DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"Hm\"}")
          DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"\"}")
          DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"m\"}")
          DELTA("0", "{\"type\":\"signature_delta\",\"signature\":\"Sg==\"}")
          STOP("0") BEGIN("1") TEXT("1", "4") STOP("1") FINISH("end_turn")
          END,
          "{" SAID "\"choices\":{\"0\":{\"reasoning\":\"Hmm\","
          "\"signature\":\"Sg==\",\"text\":\"4\"," STOPPED "}}," USED
          "\"order\":\"start usage text reasoning ping reasoning text usage "
          "finish end\",\"end\":\"done\"}" },

        { "a signature alone", START
          BLOCK("0", "{\"type\":\"thinking\",\"thinking\":\"\","
                "\"signature\":\"\"}")
          DELTA("0", "{\"type\":\"signature_delta\",\"signature\":\"Sg==\"}")
          STOP("0") END,
          "{" SAID "\"choices\":{\"0\":{\"reasoning\":\"\",\"text\":\"\","
          "\"signature\":\"Sg==\"}},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"order\":\"start usage text reasoning end\",\"end\":\"done\"}" },

        { "thinking with its block", START
          BLOCK("0", "{\"type\":\"thinking\",\"thinking\":\"Hm\","
                "\"signature\":\"Sg==\"}") END,
          "{" SAID "\"choices\":{\"0\":{\"reasoning\":\"Hm\","
          "\"signature\":\"Sg==\"}},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"order\":\"start usage reasoning end\",\"end\":\"done\"}" },

        { "redacted", START
          BLOCK("0", "{\"type\":\"redacted_thinking\",\"data\":\"E\\u0041\"}")
          STOP("0") END,
          "{" SAID "\"choices\":{\"0\":{\"reasoning\":\"\","
          "\"withheld\":\"EA\"}},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"order\":\"start usage reasoning end\",\"end\":\"done\"}" }
    };

    (void) state;

    check(rows);
}


static void
test_tools(void **state)
{
    static const row_t  rows[] = {
        { "fragments, and a call without arguments", START
          BEGIN("0") TEXT("0", "Let me") STOP("0")
          CALL("1", "t1", "f") JSON("1", "") JSON("1", "{\\\"a\\\"")
          JSON("1", ":1}") STOP("1")
          CALL("2", "t2", "g") JSON("2", "") STOP("2") FINISH("tool_use")
          END,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"Let me\",\"calls\":["
          "{\"id\":\"t1\",\"name\":\"f\",\"args\":\"{\\\"a\\\":1}\"},"
          "{\"id\":\"t2\",\"name\":\"g\",\"args\":\"{}\"}],"
          "\"finish\":\"tool_calls\",\"word\":\"tool_use\"}}," USED
          "\"order\":\"start usage text call ping call ping call usage "
          "finish end\",\"end\":\"done\"}" },

        { "blocks that are never stopped", START CALL("0", "t1", "f")
          CALL("1", "t2", "g") JSON("1", "[]") FINISH("tool_use") END,
          "{" SAID "\"choices\":{\"0\":{\"calls\":["
          "{\"id\":\"t1\",\"name\":\"f\",\"args\":\"{}\"},"
          "{\"id\":\"t2\",\"name\":\"g\",\"args\":\"[]\"}],"
          "\"finish\":\"tool_calls\",\"word\":\"tool_use\"}}," USED
          "\"order\":\"start usage call usage finish end\","
          "\"end\":\"done\"}" },

        { "arguments with the block, and again", START
          BLOCK("0", "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\","
                "\"input\":{\"a\": [1]}}")
          JSON("0", "{\\\"a\\\":[1]}") STOP("0")
          BLOCK("1", "{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\","
                "\"input\":\"{}\"}") STOP("1") END,
          "{" SAID "\"choices\":{\"0\":{\"calls\":["
          "{\"id\":\"t1\",\"name\":\"f\",\"args\":\"{\\\"a\\\": [1]}\","
          "\"whole\":true},"
          "{\"id\":\"t2\",\"name\":\"g\",\"args\":\"{}\",\"whole\":true}]}},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"order\":\"start usage call ping call end\","
          "\"end\":\"done\"}" },

        { "cut by the limit", START CALL("0", "t1", "f")
          JSON("0", "{\\\"a\\\":\\\"x") STOP("0") FINISH("max_tokens") END,
          "{" SAID "\"choices\":{\"0\":{\"calls\":["
          "{\"id\":\"t1\",\"name\":\"f\",\"args\":\"{\\\"a\\\":\\\"x\"}],"
          "\"finish\":\"length\",\"word\":\"max_tokens\"}}," USED
          "\"order\":\"start usage call usage finish end\","
          "\"end\":\"done\"}" },

        { "a fragment for no block, without index", START JSON("0", "{}")
          CALL("4", "t1", "f")
          EV("content_block_delta", "{\"type\":\"content_block_delta\","
             "\"delta\":{\"type\":\"input_json_delta\","
             "\"partial_json\":\"{}\"}}") END,
          "{" SAID "\"choices\":{\"0\":{\"calls\":["
          "{\"id\":\"t1\",\"name\":\"f\",\"args\":\"{}\"}]}},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"order\":\"start usage ping call end\",\"end\":\"done\"}" },

        { "interleaved by a gateway", START CALL("0", "t1", "f")
          CALL("1", "t2", "g") JSON("0", "{\\\"a\\\":") JSON("1", "{}")
          JSON("0", "1}") STOP("0") STOP("1") END,
          "{" SAID "\"choices\":{\"0\":{\"calls\":["
          "{\"id\":\"t1\",\"name\":\"f\",\"args\":\"{\\\"a\\\":1}\"},"
          "{\"id\":\"t2\",\"name\":\"g\",\"args\":\"{}\"}]}},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"order\":\"start usage call end\",\"end\":\"done\"}" }
    };

    (void) state;

    check(rows);
}


static void
test_provider_tools(void **state)
{
    static const row_t  rows[] = {
        { "a search", START
          BLOCK("0", "{\"type\":\"server_tool_use\",\"id\":\"s1\","
                "\"name\":\"web_search\",\"input\":{}}")
          JSON("0", "") JSON("0", "{\\\"q\\\":1}") STOP("0")
          BLOCK("1", "{\"type\":\"web_search_tool_result\","
                "\"tool_use_id\":\"s1\",\"content\":[{\"url\":\"u\"}]}")
          STOP("1")
          BLOCK("2", "{\"citations\":[],\"type\":\"text\",\"text\":\"\"}")
          DELTA("2", "{\"type\":\"citations_delta\",\"citation\":{"
                "\"type\":\"web_search_result_location\",\"url\":\"u\","
                "\"title\":\"T\",\"cited_text\":\"c\","
                "\"encrypted_index\":\"x\"}}")
          TEXT("2", "So.") STOP("2") FINISH("end_turn") END,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"So.\",\"citations\":["
          "{\"url\":\"u\",\"title\":\"T\",\"text\":\"c\"}]," STOPPED "}},"
          USED "\"meta\":[{\"name\":\"content_block\",\"raw\":{"
          "\"type\":\"server_tool_use\",\"id\":\"s1\","
          "\"name\":\"web_search\",\"input\":{}}},"
          "{\"name\":\"content_block_delta\",\"raw\":{"
          "\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"q\\\":1}\"}}"
          ",{\"name\":\"content_block\",\"raw\":{"
          "\"type\":\"web_search_tool_result\",\"tool_use_id\":\"s1\","
          "\"content\":[{\"url\":\"u\"}]}}],"
          "\"order\":\"start usage meta ping meta text citation text usage "
          "finish end\",\"end\":\"done\"}" },

        { "of a later version", START
          EV("tide", "{\"type\":\"tide\",\"x\":[1]}")
          DELTA("0", "{\"type\":\"moon_delta\",\"moon\":\"x\"}")
          DELTA("0", "{\"moon\":\"x\"}") DELTA("0", "null") END,
          "{" SAID "\"choices\":{},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"meta\":[{\"name\":\"tide\",\"raw\":{\"type\":\"tide\","
          "\"x\":[1]}},{\"name\":\"content_block_delta\",\"raw\":{"
          "\"type\":\"moon_delta\",\"moon\":\"x\"}}],"
          "\"order\":\"start usage meta ping end\",\"end\":\"done\"}" }
    };

    (void) state;

    check(rows);
}


#define USE_START(u)                                                        \
    EV("message_start", "{\"type\":\"message_start\",\"message\":{"         \
       "\"id\":\"msg_1\",\"model\":\"claude\",\"usage\":" u "}}")
#define USE_DELTA(u)                                                        \
    EV("message_delta", "{\"type\":\"message_delta\",\"delta\":{},"         \
       "\"usage\":" u "}")
#define USE(what, stream, u)                                                \
    { what, stream, "{" SAID "\"choices\":{},\"usage\":" u ","              \
      "\"order\":\"start usage\",\"end\":\"ok\"}" }


/* The input is said without the caches, by the first event, by the last, or
 * by both; the output grows. */
static void
test_usage(void **state)
{
    static const row_t  rows[] = {
        USE("caches", USE_START("{\"input_tokens\":3,"
            "\"cache_creation_input_tokens\":20,"
            "\"cache_read_input_tokens\":100,\"output_tokens\":1}")
            USE_DELTA("{\"output_tokens\":9}"),
            "{\"input\":123,\"cached\":100,\"cache_write\":20,"
            "\"output\":9}"),

        USE("said again", USE_START("{\"input_tokens\":3,"
            "\"cache_read_input_tokens\":100,\"output_tokens\":1}")
            USE_DELTA("{\"input_tokens\":3,\"output_tokens\":4}")
            USE_DELTA("{\"input_tokens\":3,\"cache_read_input_tokens\":100,"
            "\"output_tokens\":9,\"output_tokens_details\":{"
            "\"thinking_tokens\":6}}"),
            "{\"input\":103,\"cached\":100,\"output\":9,\"reasoning\":6}"),

        USE("put right", USE_START("{\"input_tokens\":34824,"
            "\"output_tokens\":0}")
            USE_DELTA("{\"input_tokens\":3883,\"output_tokens\":49,"
            "\"cache_creation_input_tokens\":0,"
            "\"cache_read_input_tokens\":30464,"
            "\"prompt_tokens_details\":{\"cached_tokens\":30464}}"),
            "{\"input\":34347,\"cached\":30464,\"cache_write\":0,"
            "\"output\":49}"),

        USE("only at the end", EV("message_start",
            "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\","
            "\"model\":\"claude\"}}")
            USE_DELTA("{\"input_tokens\":3,\"output_tokens\":4}"),
            "{\"input\":3,\"output\":4}"),

        USE("no number", USE_START("{\"input_tokens\":null,"
            "\"cache_read_input_tokens\":\"7\",\"output_tokens\":-1,"
            "\"output_tokens_details\":[]}") USE_DELTA("[]")
            USE_DELTA("{\"output_tokens\":2}"), "{\"output\":2}"),

        USE("too large", USE_START("{\"input_tokens\":9223372036854775807,"
            "\"cache_read_input_tokens\":9223372036854775807,"
            "\"cache_creation_input_tokens\":9223372036854775807}"),
            "{\"input\":9223372036854775807,"
            "\"cached\":9223372036854775807,"
            "\"cache_write\":9223372036854775807}")
    };

    (void) state;

    check(rows);
}


#define REASON(word, finish)                                                \
    { word, START FINISH(word) END, "{" SAID "\"choices\":{\"0\":{"         \
      "\"finish\":\"" finish "\",\"word\":\"" word "\"}}," USED             \
      "\"order\":\"start usage finish end\",\"end\":\"done\"}" }


static void
test_finish(void **state)
{
    static const row_t  rows[] = {
        REASON("end_turn", "stop"),
        REASON("max_tokens", "length"),
        REASON("stop_sequence", "stop"),
        REASON("tool_use", "tool_calls"),
        REASON("pause_turn", "stop"),
        REASON("refusal", "content_filter"),
        REASON("model_context_window_exceeded", "length"),
        REASON("compaction", "other"),

        { "the stop string", START
          EV("message_delta", "{\"type\":\"message_delta\",\"delta\":{"
             "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"\\n#\"}}")
          END,
          "{" SAID "\"choices\":{\"0\":{\"finish\":\"stop\","
          "\"word\":\"stop_sequence\",\"stop\":\"\\n#\"}},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"order\":\"start usage finish end\",\"end\":\"done\"}" },

        { "a refusal with its details, after text", START BEGIN("0")
          TEXT("0", "Hi") STOP("0")
          EV("message_delta", "{\"type\":\"message_delta\",\"delta\":{"
             "\"stop_reason\":\"refusal\",\"stop_sequence\":null,"
             "\"stop_details\":{\"type\":\"refusal\",\"category\":null}},"
             "\"usage\":{\"output_tokens\":7}}") END,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"Hi\","
          "\"finish\":\"content_filter\",\"word\":\"refusal\"}}," USED
          "\"meta\":[{\"name\":\"stop_details\",\"raw\":{"
          "\"type\":\"refusal\",\"category\":null}}],"
          "\"order\":\"start usage text meta usage finish end\","
          "\"end\":\"done\"}" },

        { "reasons that are none", START
          EV("message_delta", "{\"type\":\"message_delta\",\"delta\":{"
             "\"stop_reason\":null,\"stop_sequence\":7}}")
          EV("message_delta", "{\"type\":\"message_delta\",\"delta\":[]}")
          EV("message_delta", "{\"type\":\"message_delta\"}") END,
          "{" SAID "\"choices\":{},\"usage\":{\"input\":5,\"output\":1},"
          "\"order\":\"start usage end\",\"end\":\"done\"}" }
    };

    (void) state;

    check(rows);
}


static void
test_twice(void **state)
{
    static const row_t  rows[] = {
        { "message_start twice", START START BEGIN("0") TEXT("0", "a")
          STOP("0") FINISH("end_turn") END,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"a\"," STOPPED "}}," USED
          "\"order\":\"start usage text usage finish end\","
          "\"end\":\"done\"}" },

        { "a second message whose indexes start again", START
          CALL("0", "t1", "f") JSON("0", "{}") START
          CALL("0", "t2", "g") JSON("0", "{\\\"b\\\":2}") STOP("0")
          FINISH("tool_use") END,
          "{" SAID "\"choices\":{\"0\":{\"calls\":["
          "{\"id\":\"t1\",\"name\":\"f\",\"args\":\"{}\"},"
          "{\"id\":\"t2\",\"name\":\"g\",\"args\":\"{\\\"b\\\":2}\"}],"
          "\"finish\":\"tool_calls\",\"word\":\"tool_use\"}}," USED
          "\"order\":\"start usage call usage call usage finish end\","
          "\"end\":\"done\"}" }
    };

    (void) state;

    check(rows);
}


#define FAILED(text, type, status, class)                                   \
    "\"errors\":[{\"message\":\"" text "\",\"type\":\"" type "\","          \
    "\"status\":" status ",\"class\":" class "}],"


static void
test_errors(void **state)
{
    static const row_t  rows[] = {
        { "the first event",
          EV("error", "{\"type\":\"error\",\"error\":{\"details\":null,"
             "\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}"),
          "{\"choices\":{}," FAILED("Overloaded", "overloaded_error", "529",
                                    "11")
          "\"order\":\"error\",\"end\":\"failed\"}" },

        { "in the middle, no event: line", START
          "data: {\"error\":{\"type\":\"rate_limit_error\","
          "\"message\":\"Slow\"}}\n\n",
          "{" SAID "\"choices\":{},\"usage\":{\"input\":5,\"output\":1},"
          FAILED("Slow", "rate_limit_error", "429", "8")
          "\"order\":\"start usage error\",\"end\":\"failed\"}" },

        { "bare text", EV("error", "the tide is out"),
          "{\"choices\":{},\"errors\":[{\"message\":\"the tide is out\","
          "\"class\":0}],\"order\":\"error\",\"end\":\"failed\"}" },

        { "an error event that looks like text",
          START EV("error", "{\"type\":\"content_block_delta\",\"index\":0,"
                   "\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}"),
          "{" SAID "\"choices\":{},\"usage\":{\"input\":5,\"output\":1},"
          "\"errors\":[{\"type\":\"content_block_delta\",\"class\":0}],"
          "\"order\":\"start usage error\",\"end\":\"failed\"}" }
    };

    (void) state;

    check(rows);
}


/* Known members of a wrong type count as absent; only what is no JSON object
 * is refused. */
static void
test_hostile(void **state)
{
    static const char *const  invalid[] = {
        "x", "1", "\"x\"", "[]", "{", "{}}", "{\"type\":}",
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
        "\"text_delta\",\"text\":\"a\"}",
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
        "\"text_delta\",\"text\":\"a\"}}}",
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
        "\"text_delta\",\"text\":\"a\"} x }",
        "{\"type\":\"content_block_delta\",\"index\":00,\"delta\":{\"type\":"
        "\"text_delta\",\"text\":\"a\"}}",
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
        "\"text_delta\",\"text\":\"\\x\"}}",
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
        "\"text_delta\",\"text\":\"a\t\"}}",
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
        "\"text_delta\",\"text\":\"a"
    };

    static const row_t  rows[] = {
        { "types", START
          EV("a", "{\"type\":5}") EV("a", "{}") EV("a", "{\"type\":null}")
          BLOCK("\"x\"", "[]") BLOCK("-1", "{\"type\":7,\"text\":{}}")
          BLOCK("1.5", "{\"type\":\"text\",\"text\":null,\"citations\":{}}")
          BLOCK("2", "{\"type\":\"text\",\"citations\":[1,[{}],null]}")
          BLOCK("3", "{\"type\":\"thinking\",\"thinking\":[]}")
          DELTA("null", "{\"type\":\"text_delta\",\"text\":{\"a\":1}}")
          DELTA("[1]", "{\"type\":\"citations_delta\",\"citation\":\"x\"}")
          STOP("{}") STOP("9")
          EV("message_start", "{\"type\":\"message_start\",\"message\":[]}")
          END,
          "{" SAID "\"choices\":{\"0\":{\"text\":\"\"}},"
          "\"usage\":{\"input\":5,\"output\":1},"
          "\"meta\":[{\"name\":\"a\",\"raw\":{\"type\":5}},"
          "{\"name\":\"a\",\"raw\":{}},"
          "{\"name\":\"a\",\"raw\":{\"type\":null}},"
          "{\"name\":\"content_block\",\"raw\":{\"type\":7,\"text\":{}}}],"
          "\"order\":\"start usage meta ping meta text ping end\","
          "\"end\":\"done\"}" }
    };

    size_t   i;
    char     stream[1024];
    json_t  *said;

    (void) state;

    check(rows);

    for (i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        sprintf(stream, START "data: %s\n\n", invalid[i]);
        said = codec_text(&llm_dialect_anthropic, stream);

        if (strcmp(codec_string(said, "end", NULL, NULL), "invalid") != 0) {
            fail_msg("taken: %s", invalid[i]);
        }

        json_decref(said);
    }
}


/* More blocks at once than are followed: the last ones are. */
static void
test_many_blocks(void **state)
{
    int          i;
    char         name[16];
    json_t      *said, *calls;
    unit_out_t   o;
    char         buf[512];

    (void) state;

    unit_out_init(&o, 0, 0);

    for (i = 0; i < 20; i++) {
        sprintf(buf, BLOCK("%d", "{\"type\":\"tool_use\",\"id\":\"t%d\","
                           "\"name\":\"f\",\"input\":{}}"), i, i);
        llm_out(&o.out, buf, strlen(buf));
    }

    for (i = 0; i < 20; i++) {
        sprintf(buf, JSON("%d", "[%d]"), i, i);
        llm_out(&o.out, buf, strlen(buf));
    }

    unit_out_end(&o);

    said = codec_stream(&llm_dialect_anthropic, o.p, o.n);
    calls = codec_at(said, "choices", "0", "calls");
    assert_int_equal(json_array_size(calls), 20);

    for (i = 0; i < 20; i++) {
        sprintf(name, "[%d]", i);
        assert_string_equal(json_string_value(json_object_get(
                                json_array_get(calls, (size_t) i), "args")),
                            i < 12 ? "" : name);
    }

    json_decref(said);
    unit_out_free(&o);
}


static void
test_answers(void **state)
{
    static const row_t  rows[] = {
        { "all there is",
          "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\","
          "\"model\":\"claude\",\"content\":[{\"type\":\"thinking\","
          "\"thinking\":\"Hm\",\"signature\":\"Sg==\"},"
          "{\"type\":\"redacted_thinking\",\"data\":\"Eg\"},"
          "{\"type\":\"text\",\"text\":\"Hi\",\"citations\":[{\"type\":"
          "\"char_location\",\"cited_text\":\"c\",\"document_title\":\"D\"}]}"
          ",{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\","
          "\"input\":{ \"a\": 1 }},{\"type\":\"tool_use\",\"id\":\"t2\","
          "\"name\":\"g\",\"input\":{}},{\"type\":\"server_tool_use\"}],"
          "\"stop_reason\":\"tool_use\",\"stop_sequence\":null,"
          "\"usage\":{\"input_tokens\":5,\"output_tokens\":7}}",
          "{" SAID "\"choices\":{\"0\":{\"reasoning\":\"Hm\","
          "\"signature\":\"Sg==\",\"withheld\":\"Eg\",\"text\":\"Hi\","
          "\"citations\":[{\"title\":\"D\",\"text\":\"c\"}],\"calls\":["
          "{\"id\":\"t1\",\"name\":\"f\",\"args\":\"{ \\\"a\\\": 1 }\","
          "\"whole\":true},{\"id\":\"t2\",\"name\":\"g\",\"args\":\"{}\","
          "\"whole\":true}],\"finish\":\"tool_calls\","
          "\"word\":\"tool_use\"}}," USED
          "\"meta\":[{\"name\":\"content_block\",\"raw\":{"
          "\"type\":\"server_tool_use\"}}],\"order\":\"start reasoning "
          "citation text call meta usage finish end\",\"end\":\"done\"}" },

        { "no content",
          "{\"id\":\"msg_1\",\"model\":\"claude\",\"content\":[],"
          "\"stop_reason\":\"refusal\",\"stop_details\":{\"a\":1}}",
          "{" SAID "\"choices\":{\"0\":{\"finish\":\"content_filter\","
          "\"word\":\"refusal\"}},\"meta\":[{\"name\":\"stop_details\","
          "\"raw\":{\"a\":1}}],\"order\":\"start meta finish end\","
          "\"end\":\"done\"}" },

        { "an error", "{\"type\":\"error\",\"error\":{\"type\":"
          "\"not_found_error\",\"message\":\"model: x\"}}",
          "{\"choices\":{}," FAILED("model: x", "not_found_error", "404", "5")
          "\"order\":\"error\",\"end\":\"failed\"}" },

        { "no message", "{}", "{\"choices\":{},\"end\":\"invalid\"}" },
        { "no object", "[]", "{\"choices\":{},\"end\":\"invalid\"}" },
        { "cut", "{\"content\":[]", "{\"choices\":{},\"end\":\"invalid\"}" }
    };

    size_t   i;
    json_t  *said;

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        said = codec_answer(&llm_dialect_anthropic, rows[i].stream,
                            strlen(rows[i].stream));
        codec_same(rows[i].what, said, rows[i].expect);
        json_decref(said);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_elsewhere),
        cmocka_unit_test(test_thinking),
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_provider_tools),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_many_blocks),
        cmocka_unit_test(test_answers)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
