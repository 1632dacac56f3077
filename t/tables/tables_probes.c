/*
 * The probes of requests, member by member.
 */

#include "tables_probes.h"


#define HI  "{\"role\":\"user\",\"content\":\"hi\"}"

/* a request of each dialect that says nothing else */

#define OPENAI(more)  "{\"model\":\"m\"," more "\"messages\":[" HI "]}"

#define ANTHROPIC(more)                                                     \
    "{\"model\":\"m\",\"max_tokens\":5000," more "\"messages\":[" HI "]}"

#define OLLAMA(more)  "{\"model\":\"m\"," more "\"messages\":[" HI "]}"

#define RESPONSES(more)  "{\"model\":\"m\"," more "\"input\":\"hi\"}"

#define GEMINI(more)                                                        \
    "{" more "\"contents\":[{\"role\":\"user\",\"parts\":"                  \
    "[{\"text\":\"hi\"}]}]}"

#define COMPLETIONS(more)  "{\"model\":\"m\"," more "\"prompt\":\"hi\"}"

#define FLOWISE(more)  "{" more "\"question\":\"hi\"}"

/* the same, with a list of messages, or parts of the last one */

#define SAID(list)  "{\"model\":\"m\",\"messages\":[" list "]}"

#define PART(part)                                                          \
    SAID("{\"role\":\"user\",\"content\":[{\"type\":\"text\","              \
         "\"text\":\"hi\"}" part "]}")

#define PICTURE(more)                                                       \
    ",{\"type\":\"image_url\",\"image_url\":{\"url\":"                       \
    "\"data:image/png;base64,iVBORw0KGgoQ\"" more "}}"

#define BLOCKS(list)                                                        \
    "{\"model\":\"m\",\"max_tokens\":5000,\"messages\":[" list "]}"

#define TOOL  "\"type\":\"function\",\"function\":{\"name\":\"f\","         \
              "\"parameters\":{\"type\":\"object\"}"
#define TOOLS(more)  "\"tools\":[{" TOOL more "}}],"

#define CALL                                                                \
    HI ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":" \
    "\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\","        \
    "\"arguments\":\"{\\\"a\\\":\\\"MARKED\\\"}\"}}]}"

#define RESULT(more)                                                        \
    HI ",{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\","      \
    "\"id\":\"t_1\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\","     \
    "\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t_1\"" more   \
    "}]}"

#define THOUGHT(block)                                                      \
    HI ",{\"role\":\"assistant\",\"content\":[" block "{\"type\":\"text\"," \
    "\"text\":\"ho\"}]}," HI

#define openai(group, what, more, mark)                                     \
    { "requests-" group, what, &llm_dialect_openai, OPENAI(""),             \
      OPENAI(more), mark }
#define openai_part(what, part, mark)                                       \
    { "requests-messages", what, &llm_dialect_openai, PART(""), PART(part), \
      mark }
#define openai_said(what, without, with, mark)                              \
    { "requests-messages", what, &llm_dialect_openai, SAID(without),        \
      SAID(with), mark }
#define blocks(what, without, with, mark)                                   \
    { "requests-messages", what, &llm_dialect_anthropic, BLOCKS(without),   \
      BLOCKS(with), mark }
#define other(group, what, dialect, body, more, mark)                       \
    { "requests-" group, what, &llm_dialect_ ## dialect, body(""),          \
      body(more), mark }


static const table_probe_t  tables_all[] = {

    openai("sampling", "limit of tokens (`max_completion_tokens`)",
           "\"max_completion_tokens\":77,", "77"),
    { "requests-sampling", "no limit of tokens", &llm_dialect_openai,
      OPENAI("\"max_completion_tokens\":77,"), OPENAI(""), "" },
    openai("sampling", "`temperature`", "\"temperature\":0.7,", "0.7"),
    openai("sampling", "`temperature` 1.7", "\"temperature\":1.7,", "1.7"),
    openai("sampling", "`top_p`", "\"top_p\":0.9,", "0.9"),
    other("sampling", "`top_k`", ollama, OLLAMA,
          "\"options\":{\"top_k\":40},", "40"),
    other("sampling", "`min_p`", ollama, OLLAMA,
          "\"options\":{\"min_p\":0.05},", "0.05"),
    openai("sampling", "`seed`", "\"seed\":42,", "42"),
    openai("sampling", "`presence_penalty`", "\"presence_penalty\":0.5,",
           "0.5"),
    openai("sampling", "`frequency_penalty`", "\"frequency_penalty\":0.5,",
           "0.5"),
    openai("sampling", "stop strings (`stop`)", "\"stop\":[\"STOP-HERE\"],",
           "STOP-HERE"),
    openai("sampling", "several answers (`n`)", "\"n\":2,", "2"),
    openai("sampling", "`logprobs`",
           "\"logprobs\":true,\"top_logprobs\":3,", "3"),
    openai("sampling", "`logit_bias`", "\"logit_bias\":{\"17\":5},", "5"),
    other("sampling", "text behind the gap (`suffix`)", completions,
          COMPLETIONS, "\"suffix\":\"BEHIND-IT\",", "BEHIND-IT"),

    openai("format", "any JSON object (`response_format`)",
           "\"response_format\":{\"type\":\"json_object\"},", "json_object"),
    openai("format", "JSON of a schema (`response_format`)",
           "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":"
           "{\"name\":\"s\",\"schema\":{\"type\":\"object\",\"title\":"
           "\"THE-SCHEMA\"}}},", "THE-SCHEMA"),
    openai("format", "`verbosity`", "\"verbosity\":\"low\",", "low"),

    openai("tools", "functions (`tools`)",
           "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
           "\"MY-TOOL\",\"parameters\":{\"type\":\"object\"}}}],",
           "MY-TOOL"),
    openai("tools", "the old `functions`",
           "\"functions\":[{\"name\":\"OLD-TOOL\",\"parameters\":{}}],",
           "OLD-TOOL"),
    { "requests-tools", "`strict` of a function", &llm_dialect_openai,
      OPENAI(TOOLS("")), OPENAI(TOOLS(",\"strict\":true")), "true" },
    { "requests-tools", "`tool_choice` auto", &llm_dialect_openai,
      OPENAI(TOOLS("")), OPENAI(TOOLS("") "\"tool_choice\":\"auto\","),
      "auto" },
    { "requests-tools", "`tool_choice` none", &llm_dialect_openai,
      OPENAI(TOOLS("")), OPENAI(TOOLS("") "\"tool_choice\":\"none\","),
      "none" },
    { "requests-tools", "`tool_choice` required", &llm_dialect_openai,
      OPENAI(TOOLS("")), OPENAI(TOOLS("") "\"tool_choice\":\"required\","),
      "required" },
    { "requests-tools", "`tool_choice` of one function", &llm_dialect_openai,
      OPENAI(TOOLS("")), OPENAI(TOOLS("") "\"tool_choice\":{\"type\":"
      "\"function\",\"function\":{\"name\":\"f\"}},"), "f" },
    { "requests-tools", "`parallel_tool_calls` false", &llm_dialect_openai,
      OPENAI(TOOLS("")), OPENAI(TOOLS("") "\"parallel_tool_calls\":false,"),
      "false" },
    other("tools", "a tool that the provider runs (Anthropic's)", anthropic,
          ANTHROPIC, "\"tools\":[{\"type\":\"web_search_20250305\","
          "\"name\":\"web_search\"}],", "web_search_20250305"),

    openai("reasoning", "`reasoning_effort` high",
           "\"reasoning_effort\":\"high\",", "high"),
    openai("reasoning", "`reasoning_effort` none",
           "\"reasoning_effort\":\"none\",", "none"),
    other("reasoning", "budget in tokens (`thinking.budget_tokens` 2048)",
          anthropic, ANTHROPIC, "\"thinking\":{\"type\":\"enabled\","
          "\"budget_tokens\":2048},", "2048"),
    other("reasoning", "to be shown (`includeThoughts`)", gemini, GEMINI,
          "\"generationConfig\":{\"thinkingConfig\":{\"includeThoughts\":"
          "true}},", "true"),

    openai_said("system prompt", HI,
                "{\"role\":\"system\",\"content\":\"THE-SYSTEM\"}," HI,
                "THE-SYSTEM"),
    openai_said("name of a speaker", HI,
                "{\"role\":\"user\",\"content\":\"hi\",\"name\":"
                "\"SPEAKER\"}", "SPEAKER"),
    openai_said("what the assistant said", HI "," HI,
                HI ",{\"role\":\"assistant\",\"content\":\"SAID-BEFORE\"},"
                HI, "SAID-BEFORE"),
    openai_part("image, base64", ",{\"type\":\"image_url\",\"image_url\":"
                "{\"url\":\"data:image/png;base64,iVBORw0KGgoQ\"}}",
                "iVBORw0KGgoQ"),
    { "requests-messages", "its `detail`", &llm_dialect_openai,
      PART(PICTURE("")), PART(PICTURE(",\"detail\":\"low\"")), "low" },
    openai_part("image, a link", ",{\"type\":\"image_url\",\"image_url\":"
                "{\"url\":\"https://host/i.png\"}}", "https://host/i.png"),
    openai_part("file, base64", ",{\"type\":\"file\",\"file\":{\"filename\":"
                "\"a.pdf\",\"file_data\":"
                "\"data:application/pdf;base64,JVBERi0xLjQK\"}}",
                "JVBERi0xLjQK"),
    blocks("file, a link", "{\"role\":\"user\",\"content\":[{\"type\":"
           "\"text\",\"text\":\"hi\"}]}", "{\"role\":\"user\",\"content\":"
           "[{\"type\":\"text\",\"text\":\"hi\"},{\"type\":\"document\","
           "\"source\":{\"type\":\"url\",\"url\":\"https://host/a.pdf\"}}]}",
           "https://host/a.pdf"),
    openai_part("file, by the provider's id", ",{\"type\":\"file\",\"file\":"
                "{\"file_id\":\"file-THE-ID\"}}", "file-THE-ID"),
    openai_part("audio", ",{\"type\":\"input_audio\",\"input_audio\":"
                "{\"data\":\"UklGRiQAAABX\",\"format\":\"wav\"}}",
                "UklGRiQAAABX"),
    openai_part("a part of another type",
                ",{\"type\":\"video_url\",\"video_url\":{}}", "video_url"),
    openai_said("tool call", HI, CALL, "MARKED"),
    blocks("result of a tool", RESULT(""),
           RESULT(",\"content\":\"IT-RETURNED\""), "IT-RETURNED"),
    blocks("result: the tool failed", RESULT(",\"content\":\"x\""),
           RESULT(",\"content\":\"x\",\"is_error\":true"), "true"),
    blocks("result with an image", RESULT(",\"content\":\"x\""),
           RESULT(",\"content\":[{\"type\":\"text\",\"text\":\"x\"},"
                  "{\"type\":\"image\",\"source\":{\"type\":\"base64\","
                  "\"media_type\":\"image/png\",\"data\":"
                  "\"iVBORw0KGgoQ\"}}]"), "iVBORw0KGgoQ"),
    blocks("reasoning of before", THOUGHT(""),
           THOUGHT("{\"type\":\"thinking\",\"thinking\":\"I-THOUGHT\","
                   "\"signature\":\"s\"},"), "I-THOUGHT"),
    blocks("its signature",
           THOUGHT("{\"type\":\"thinking\",\"thinking\":\"x\","
                   "\"signature\":\"\"},"),
           THOUGHT("{\"type\":\"thinking\",\"thinking\":\"x\","
                   "\"signature\":\"SIGNATURE\"},"), "SIGNATURE"),
    blocks("withheld reasoning", THOUGHT(""),
           THOUGHT("{\"type\":\"redacted_thinking\",\"data\":\"REDACTED\"},"),
           "REDACTED"),
    openai_said("refusal of before", HI ",{\"role\":\"assistant\","
                "\"content\":\"x\"}," HI, HI ",{\"role\":\"assistant\","
                "\"content\":\"x\",\"refusal\":\"I-REFUSED\"}," HI,
                "I-REFUSED"),

    openai("rest", "id of the end user (`user`)", "\"user\":\"END-USER\",",
           "END-USER"),
    openai("rest", "`metadata`", "\"metadata\":{\"k\":\"META-DATA\"},",
           "META-DATA"),
    openai("rest", "`modalities` text and audio",
           "\"modalities\":[\"text\",\"audio\"],", "audio"),
    openai("rest", "`web_search_options`",
           "\"web_search_options\":{\"search_context_size\":\"THIS-SIZE\"},",
           "THIS-SIZE"),
    openai("rest", "`store`", "\"store\":true,", "true"),
    openai("rest", "`service_tier`", "\"service_tier\":\"flex\",", "flex"),
    openai("rest", "`prompt_cache_key`",
           "\"prompt_cache_key\":\"CACHE-KEY\",", "CACHE-KEY"),
    other("rest", "id of a session (Flowise's `overrideConfig.sessionId`)",
          flowise, FLOWISE, "\"overrideConfig\":{\"sessionId\":"
          "\"SESSION-ID\"},", "SESSION-ID"),
    other("rest", "a stored conversation (`previous_response_id`)",
          responses, RESPONSES, "\"previous_response_id\":\"resp_MARK\",",
          "resp_MARK"),
    other("rest", "Gemini's `safetySettings`", gemini, GEMINI,
          "\"safetySettings\":[{\"category\":\"C\",\"threshold\":"
          "\"THRESHOLD\"}],", "THRESHOLD"),
    other("rest", "Ollama's `keep_alive`", ollama, OLLAMA,
          "\"keep_alive\":\"17m\",", "17m"),
    openai("rest", "a member that nobody knows", "\"foo\":\"UNKNOWN\",",
           "UNKNOWN"),
};


const table_probe_t *
tables_probe(size_t i)
{
    return i < sizeof(tables_all) / sizeof(tables_all[0])
           ? &tables_all[i] : NULL;
}
