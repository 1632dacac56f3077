/*
 * Finish reasons, both ways, and token counts.
 */

#include <stdlib.h>

#include "tables_answers.h"


#define TABLES_FINISHES  (LLM_FINISH_OTHER + 1)

static const char *const  tables_reasons[TABLES_FINISHES] = {
    "", "stop", "length", "tool calls", "content filter", "error", "another"
};

typedef struct {
    const llm_dialect_t  *dialect;
    const char           *frame;    /* with %s for the word */
    const char           *words[24];
} table_finish_t;


static const table_finish_t  tables_words[] = {
    { &llm_dialect_openai,
      "{\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{},"
      "\"finish_reason\":\"%s\"}]}",
      { "stop", "eos", "eos_token", "length", "model_length", "tool_calls",
        "function_call", "content_filter", "error",
        "insufficient_system_resource" } },

    { &llm_dialect_responses,
      "{\"type\":\"response.incomplete\",\"response\":{\"id\":\"a\","
      "\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"%s\"},"
      "\"output\":[]}}",
      { "max_output_tokens", "content_filter" } },

    { &llm_dialect_anthropic,
      "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\"},"
      "\"usage\":{\"output_tokens\":1}}",
      { "end_turn", "stop_sequence", "pause_turn", "max_tokens",
        "model_context_window_exceeded", "tool_use", "refusal" } },

    { &llm_dialect_gemini,
      "{\"candidates\":[{\"index\":0,\"content\":{\"parts\":[]},"
      "\"finishReason\":\"%s\"}]}",
      { "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "BLOCKLIST",
        "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
        "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE", "LANGUAGE", "OTHER", "IMAGE_OTHER",
        "NO_IMAGE" } },

    { &llm_dialect_ollama,
      "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":"
      "\"\"},\"done\":true,\"done_reason\":\"%s\"}",
      { "stop", "load", "unload", "length" } },

    { &llm_dialect_cohere,
      "{\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"%s\"}}",
      { "COMPLETE", "STOP_SEQUENCE", "MAX_TOKENS", "ERROR_LIMIT",
        "TOOL_CALL", "ERROR_TOXIC" } }
};


static llm_rc_t
tables_seen(void *ctx, const llm_event_t *ev)
{
    if (ev->type == LLM_EV_FINISH) {
        *(llm_finish_t *) ctx = ev->finish;
    }

    return LLM_OK;
}


static llm_finish_t
tables_reason(const table_finish_t *row, const char *word)
{
    char           data[512];
    llm_frame_t    frame;
    llm_finish_t   seen;
    llm_decoder_t  d;

    memset(&d, 0, sizeof(d));
    memset(&frame, 0, sizeof(frame));
    seen = LLM_FINISH_NONE;

    d.emit = tables_seen;
    d.ctx = &seen;
    d.alloc = tables_alloc;
    d.state = row->dialect->decode_size
              ? calloc(1, row->dialect->decode_size) : NULL;

    snprintf(data, sizeof(data), row->frame, word);
    frame.data = tables_slice(data);
    frame.max_depth = 64;

    (void) row->dialect->decode(&d, &frame);

    if (row->dialect->decode_drop != NULL) {
        row->dialect->decode_drop(&d);
    }

    free(d.state);
    llm_block_free(&d.scratch, &tables_alloc);

    if (seen == LLM_FINISH_NONE) {
        tables_die("no finish", data);
    }

    return seen;
}


/* What the words of providers mean. */
static void
tables_read(void)
{
    size_t                  i, k, reason;
    const char             *comma;
    const table_finish_t   *row;

    tables_open("finish-read");
    printf("| provider |");

    for (reason = 1; reason < LLM_FINISH_OTHER; reason++) {
        printf(" %s |", tables_reasons[reason]);
    }

    printf("\n");
    tables_rule(LLM_FINISH_OTHER);

    for (i = 0; i < sizeof(tables_words) / sizeof(tables_words[0]); i++) {
        row = &tables_words[i];
        printf("| `%s` |", tables_name(&row->dialect->name));

        for (reason = 1; reason < LLM_FINISH_OTHER; reason++) {
            comma = " ";

            for (k = 0; row->words[k] != NULL; k++) {
                if (tables_reason(row, row->words[k]) == reason) {
                    printf("%s`%s`", comma, row->words[k]);
                    comma = ", ";
                }
            }

            printf(" |");
        }

        printf("\n");
    }

    tables_close();
}


/* The words of one finish for a client, " " between them. */
static void
tables_word(const llm_dialect_t *d, llm_finish_t finish)
{
    int              found;
    size_t           i, k, n;
    table_text_t     text;
    table_leaves_t   leaves;
    llm_event_t      ev[4];
    json_t          *json;
    const char      *said;

    static const char *const  names[] = {
        "finish_reason", "stop_reason", "finishReason", "done_reason",
        "status", "reason"
    };

    n = 0;
    ev[n++] = tables_start();

    if (finish == LLM_FINISH_TOOL_CALLS) {
        ev[n] = tables_event(LLM_EV_TOOL_CALL);
        ev[n].id = llm_slice("c");
        ev[n].name = llm_slice("f");
        ev[n].text = llm_slice("{}");
        ev[n++].whole = 1;
    }

    ev[n++] = tables_finish(finish);
    ev[n++] = tables_event(LLM_EV_END);

    if (tables_answer(&text, d, ev, n) != LLM_OK) {
        printf(" an error |");
        return;
    }

    said = tables_text_end(&text);
    json = json_loads(said, 0, NULL);
    memset(&leaves, 0, sizeof(leaves));

    if (json != NULL) {
        tables_walk(&leaves, json);
        json_decref(json);
    }

    found = 0;

    for (i = 0; i < leaves.n; i++) {
        said = strrchr(leaves.leaf[i].path, '.');
        said = said != NULL ? said + 1 : leaves.leaf[i].path;

        for (k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            if (strcmp(said, names[k]) == 0
                && strncmp(leaves.leaf[i].path, "output[]", 8) != 0)
            {
                printf(" `%s`", leaves.leaf[i].value);
                found = 1;
            }
        }
    }

    printf(found ? " |" : " – |");
}


static void
tables_written(void)
{
    size_t                i, finish;
    const llm_dialect_t  *d;

    tables_open("finish-written");
    printf("| client |");

    for (finish = 1; finish < TABLES_FINISHES; finish++) {
        printf(" %s |", tables_reasons[finish]);
    }

    printf("\n");
    tables_rule(TABLES_FINISHES);

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {

        if (!tables_is_client(d)) {
            continue;
        }

        printf("| `%s` |", tables_name(&d->name));

        for (finish = 1; finish < TABLES_FINISHES; finish++) {
            tables_word(d, (llm_finish_t) finish);
        }

        printf("\n");
    }

    tables_close();
}


/* What a number in an answer is made of, or NULL. */
static const char *
tables_count(const char *value)
{
    size_t  i;

    static const struct {
        const char  *value;
        const char  *what;
    } counts[] = {
        { "10000", "input" }, { "2000", "output" }, { "300", "cached" },
        { "70", "reasoning" }, { "12000", "total" }, { "11", "cache write" },
        { "9689", "input without cached and cache write" },
        { "9700", "input without cached" },
        { "1930", "output without reasoning" }
    };

    for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (strcmp(counts[i].value, value) == 0) {
            return counts[i].what;
        }
    }

    return NULL;
}


static void
tables_usage_row(const llm_dialect_t *d)
{
    size_t           i;
    json_t          *json;
    const char      *comma, *what;
    llm_event_t      ev[4];
    table_text_t     text;
    table_leaves_t   leaves;

    static const llm_usage_t  usage = { 10000, 2000, 300, 70, 12000, 11 };

    ev[0] = tables_start();
    ev[1] = tables_finish(LLM_FINISH_STOP);
    ev[2] = tables_usage(&usage);
    ev[3] = tables_event(LLM_EV_END);

    if (tables_answer(&text, d, ev, 4) != LLM_OK) {
        tables_die("no answer", tables_name(&d->name));
    }

    json = json_loads(tables_text_end(&text), 0, NULL);
    memset(&leaves, 0, sizeof(leaves));

    if (json != NULL) {
        tables_walk(&leaves, json);
        json_decref(json);
    }

    printf("| `%s` |", tables_name(&d->name));
    comma = " ";

    for (i = 0; i < leaves.n; i++) {
        what = tables_count(leaves.leaf[i].value);

        if (what != NULL) {
            printf("%s`%s` %s", comma, leaves.leaf[i].path, what);
            comma = ", ";
        }
    }

    printf("%s |\n", *comma == ' ' ? " –" : "");
}


static void
tables_usages(void)
{
    size_t                i;
    const llm_dialect_t  *d;

    tables_open("usage");
    printf("| client | members of one answer |\n");
    tables_rule(2);

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {
        if (tables_is_client(d)) {
            tables_usage_row(d);
        }
    }

    tables_close();
}


void
tables_finishes(void)
{
    tables_read();
    tables_written();
    tables_usages();
}
