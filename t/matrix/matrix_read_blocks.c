/*
 * Readers of the dialects whose streams are made of blocks: Anthropic and
 * Cohere.
 */

#include "matrix.h"


static json_t *
block_call(json_t *said, const json_t *index)
{
    char  key[32];

    (void) snprintf(key, sizeof(key), "#%d",
                    (int) json_integer_value(index));

    return said_call(said, 0, key);
}


/* input_tokens does not hold what the cache gave: kept apart, added up. */
static void
read_anthropic_usage(json_t *said, const json_t *usage)
{
    size_t       i;
    json_t      *state, *n;
    json_int_t   sum;

    static const char *const  inputs[] = {
        "input_tokens", "cache_read_input_tokens",
        "cache_creation_input_tokens"
    };

    state = json_object_get(said, "state");
    sum = 0;

    for (i = 0; i < 3; i++) {
        n = at(usage, inputs[i]);

        if (json_is_integer(n)) {
            json_object_set(state, inputs[i], n);
        }

        sum += json_integer_value(at(state, inputs[i]));
    }

    if (at(state, "input_tokens") != NULL) {
        n = json_integer(sum);
        said_usage(said, "input", n);
        json_decref(n);
    }

    said_usage(said, "cached", at(state, "cache_read_input_tokens"));
    said_usage(said, "output", at(usage, "output_tokens"));
    said_usage(said, "reasoning", at(at(usage, "output_tokens_details"),
                                     "thinking_tokens"));
}


static void
read_anthropic_reason(json_t *said, const json_t *delta)
{
    size_t       i;
    const char  *reason;

    static const char *const  words[][2] = {
        { "end_turn", "stop" }, { "stop_sequence", "stop" },
        { "pause_turn", "stop" }, { "max_tokens", "length" },
        { "model_context_window_exceeded", "length" },
        { "tool_use", "tool_calls" }, { "refusal", "content_filter" }
    };

    reason = word(delta, "stop_reason");

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(reason, words[i][0]) == 0) {
            reason = words[i][1];
            break;
        }
    }

    if (reason[0] != '\0') {
        said_finish(said, 0, reason);
    }
}


/* A block as it begins, or as it stands in an answer. */
static void
read_block(json_t *said, const json_t *index, const json_t *block,
    unsigned whole)
{
    size_t       k;
    json_t      *call, *note;
    const char  *type;

    type = word(block, "type");

    if (strcmp(type, "text") == 0) {
        said_add(said, 0, "text", at(block, "text"));

        json_array_foreach(at(block, "citations"), k, note) {
            said_citation(said, 0, at(note, "url"));
        }

    } else if (strcmp(type, "thinking") == 0) {
        said_add(said, 0, "reasoning", at(block, "thinking"));
        said_add(said, 0, "signature", at(block, "signature"));

    } else if (strcmp(type, "redacted_thinking") == 0) {
        said_add(said, 0, "withheld", at(block, "data"));

    } else if (strcmp(type, "tool_use") == 0) {
        call = block_call(said, index);
        said_call_is(call, at(block, "id"), at(block, "name"));

        if (whole || json_object_size(at(block, "input")) != 0) {
            said_call_object(call, at(block, "input"));
        }
    }
}


static void
read_anthropic_delta(json_t *said, const json_t *doc)
{
    char         key[32];
    json_t      *delta, *state;
    const char  *type;

    delta = at(doc, "delta");
    type = word(delta, "type");

    if (strcmp(type, "input_json_delta") == 0) {
        state = json_object_get(said, "state");
        (void) snprintf(key, sizeof(key), "tool%d",
                        (int) json_integer_value(at(doc, "index")));

        /* the server's own tools are not the client's */

        if (at(state, key) != NULL) {
            said_call_args(block_call(said, at(doc, "index")),
                           at(delta, "partial_json"));
        }

    } else if (strcmp(type, "citations_delta") == 0) {
        said_citation(said, 0, at(at(delta, "citation"), "url"));

    } else {
        said_add(said, 0, "text", at(delta, "text"));
        said_add(said, 0, "reasoning", at(delta, "thinking"));
        said_add(said, 0, "signature", at(delta, "signature"));
    }
}


static void
read_anthropic_start(json_t *said, const json_t *doc)
{
    char     key[32];
    json_t  *block;

    block = at(doc, "content_block");
    (void) snprintf(key, sizeof(key), "tool%d",
                    (int) json_integer_value(at(doc, "index")));

    if (strcmp(word(block, "type"), "tool_use") == 0) {
        json_object_set_new(json_object_get(said, "state"), key, json_true());
    }

    read_block(said, at(doc, "index"), block, 0);
}


static void
read_message(json_t *said, const json_t *message)
{
    size_t   k;
    json_t  *block, *index;

    said_once(said, "id", at(message, "id"));
    said_once(said, "model", at(message, "model"));
    read_anthropic_usage(said, at(message, "usage"));

    json_array_foreach(at(message, "content"), k, block) {
        index = json_integer((json_int_t) k);
        read_block(said, index, block, 1);
        json_decref(index);
    }

    read_anthropic_reason(said, message);
}


void
matrix_read_anthropic(json_t *said, const matrix_frame_t *f)
{
    const char  *type;

    if (!json_is_object(f->doc)) {
        json_object_set_new(said, "unread", json_true());
        return;
    }

    type = word(f->doc, "type");

    if (strcmp(type, "error") == 0) {
        said_error(said, at(at(f->doc, "error"), "message"));

    } else if (f->answer) {
        read_message(said, f->doc);
        said_done(said);

    } else if (strcmp(type, "message_start") == 0) {
        read_message(said, at(f->doc, "message"));

    } else if (strcmp(type, "content_block_start") == 0) {
        read_anthropic_start(said, f->doc);

    } else if (strcmp(type, "content_block_delta") == 0) {
        read_anthropic_delta(said, f->doc);

    } else if (strcmp(type, "message_delta") == 0) {
        read_anthropic_reason(said, at(f->doc, "delta"));
        read_anthropic_usage(said, at(f->doc, "usage"));

    } else if (strcmp(type, "message_stop") == 0) {
        said_done(said);
    }
}


static void
read_cohere_end(json_t *said, const json_t *delta)
{
    size_t       i;
    json_t      *tokens;
    const char  *reason;

    static const char *const  words[][2] = {
        { "COMPLETE", "stop" }, { "STOP_SEQUENCE", "stop" },
        { "MAX_TOKENS", "length" }, { "TOOL_CALL", "tool_calls" }
    };

    reason = word(delta, "finish_reason");
    tokens = at(at(delta, "usage"), "tokens");

    if (strcmp(reason, "ERROR") == 0 || strcmp(reason, "TIMEOUT") == 0) {
        said_error(said, at(delta, "error"));
        return;
    }

    for (i = 0; i < 4; i++) {
        if (strcmp(reason, words[i][0]) == 0) {
            reason = words[i][1];
            break;
        }
    }

    if (reason[0] != '\0') {
        said_finish(said, 0, reason);
    }

    if (tokens == NULL) {
        tokens = at(at(delta, "usage"), "billed_units");
    }

    said_usage(said, "input", at(tokens, "input_tokens"));
    said_usage(said, "output", at(tokens, "output_tokens"));
    said_usage(said, "cached", at(at(delta, "usage"), "cached_tokens"));
}


/* Log probabilities: of a text that may be several tokens, then they cannot
 * be told apart. */
static void
read_cohere_logprobs(json_t *said, const json_t *probs)
{
    size_t   k;
    json_t  *one;

    if (json_array_size(at(probs, "logprobs")) == 1
        && json_is_string(at(probs, "text")))
    {
        said_logprob(said, 0, "logprobs", at(probs, "text"),
                     json_array_get(at(probs, "logprobs"), 0));
    }

    json_array_foreach(probs, k, one) {
        read_cohere_logprobs(said, one);
    }
}


static void
read_cohere_call(json_t *said, const json_t *index, const json_t *call)
{
    json_t  *to;

    to = block_call(said, index);
    said_call_is(to, at(call, "id"), at(at(call, "function"), "name"));
    said_call_args(to, at(at(call, "function"), "arguments"));
}


/* Its first source that is a document. */
static void
read_cohere_citation(json_t *said, const json_t *citation)
{
    size_t   k;
    json_t  *source, *url;

    json_array_foreach(at(citation, "sources"), k, source) {
        url = at(at(source, "document"), "url");

        if (url != NULL) {
            said_citation(said, 0, url);
            return;
        }
    }
}


/* The message of a delta, or of an answer. */
static void
read_cohere_message(json_t *said, const json_t *index, const json_t *m)
{
    size_t   k;
    json_t  *one, *calls, *i;

    said_add(said, 0, "reasoning", at(m, "tool_plan"));
    said_add(said, 0, "reasoning", at(at(m, "content"), "thinking"));
    said_add(said, 0, "text", at(at(m, "content"), "text"));

    json_array_foreach(at(m, "content"), k, one) {
        said_add(said, 0, "reasoning", at(one, "thinking"));
        said_add(said, 0, "text", at(one, "text"));
    }

    calls = at(m, "tool_calls");

    if (json_is_object(calls)) {
        read_cohere_call(said, index, calls);
    }

    json_array_foreach(calls, k, one) {
        i = json_integer((json_int_t) k);
        read_cohere_call(said, i, one);
        json_decref(i);
    }

    json_array_foreach(at(m, "citations"), k, one) {
        read_cohere_citation(said, one);
    }

    read_cohere_citation(said, at(m, "citations"));
}


void
matrix_read_cohere(json_t *said, const matrix_frame_t *f)
{
    const char  *type;

    if (!f->answer && f->n >= 6 && memcmp(f->data, "[DONE]", 6) == 0) {
        return;
    }

    if (!json_is_object(f->doc)) {
        json_object_set_new(said, "unread", json_true());
        return;
    }

    type = word(f->doc, "type");

    if (at(f->doc, "message") != NULL
        && !json_is_object(at(f->doc, "message")))
    {
        said_error(said, at(f->doc, "message"));

    } else if (f->answer) {
        said_once(said, "id", at(f->doc, "id"));
        read_cohere_message(said, NULL, at(f->doc, "message"));
        read_cohere_logprobs(said, at(f->doc, "logprobs"));
        read_cohere_end(said, f->doc);

        if (!said_over(said)) {
            said_done(said);
        }

    } else if (strcmp(type, "message-end") == 0) {
        read_cohere_end(said, at(f->doc, "delta"));

        if (!said_over(said)) {
            said_done(said);
        }

    } else {
        said_once(said, "id", at(f->doc, "id"));
        read_cohere_message(said, at(f->doc, "index"),
                            at(at(f->doc, "delta"), "message"));
        read_cohere_logprobs(said, at(f->doc, "logprobs"));
    }
}
