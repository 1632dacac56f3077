/*
 * Readers of OpenAI's three dialects: what a stream or an answer says, by
 * the reference, with a JSON library.  They share nothing with the library
 * that is tested.
 */

#include "matrix.h"


/* Text, or a list of parts with text in them. */
static void
read_content(json_t *said, json_int_t i, const json_t *content)
{
    size_t       k, m;
    json_t      *part, *piece;
    const char  *type;

    said_add(said, i, "text", content);

    json_array_foreach(content, k, part) {
        type = word(part, "type");

        if (strcmp(type, "thinking") == 0 || strcmp(type, "reasoning") == 0) {
            said_add(said, i, "reasoning", at(part, "text"));
            said_add(said, i, "reasoning", at(part, "thinking"));

            json_array_foreach(at(part, "thinking"), m, piece) {
                said_add(said, i, "reasoning", at(piece, "text"));
            }

        } else {
            said_add(said, i, "text", at(part, "text"));
            said_add(said, i, "refusal", at(part, "refusal"));
        }
    }
}


static void
read_reasoning(json_t *said, json_int_t i, const json_t *delta)
{
    size_t   k;
    json_t  *detail, *text;

    text = at(delta, "reasoning_content");

    if (json_string_length(text) == 0) {
        text = at(delta, "reasoning");
    }

    said_add(said, i, "reasoning", text);

    json_array_foreach(at(delta, "reasoning_details"), k, detail) {
        said_add(said, i, "signature", at(detail, "signature"));
        said_add(said, i, "withheld", at(detail, "data"));

        if (json_string_length(text) == 0) {
            said_add(said, i, "reasoning", at(detail, "text"));
            said_add(said, i, "reasoning", at(detail, "summary"));
        }
    }
}


/* The key of a call that has no index: its id, else the one before it. */
static void
call_key(json_t *said, json_int_t i, const json_t *call, char *key, size_t n)
{
    char         last[32];
    json_t      *state;
    const char  *id;

    state = json_object_get(said, "state");
    (void) snprintf(last, sizeof(last), "last%d", (int) i);
    id = word(call, "id");

    if (json_is_integer(at(call, "index"))) {
        (void) snprintf(key, n, "#%d",
                        (int) json_integer_value(at(call, "index")));

    } else if (id[0] != '\0') {
        (void) snprintf(key, n, "%s", id);

    } else {
        (void) snprintf(key, n, "%s", word(state, last));
    }

    json_object_set_new(state, last, json_string(key));
}


static void
read_function(json_t *call, const json_t *id, const json_t *function)
{
    json_t  *args;

    said_call_is(call, id, at(function, "name"));
    args = at(function, "arguments");

    if (json_is_object(args)) {
        said_call_object(call, args);

    } else {
        said_call_args(call, args);
    }
}


static void
read_delta(json_t *said, json_int_t i, const json_t *delta)
{
    char     key[128];
    size_t   k;
    json_t  *call, *note, *cited;

    read_reasoning(said, i, delta);
    read_content(said, i, at(delta, "content"));
    said_add(said, i, "refusal", at(delta, "refusal"));

    json_array_foreach(at(delta, "tool_calls"), k, call) {
        call_key(said, i, call, key, sizeof(key));
        read_function(said_call(said, i, key), at(call, "id"),
                      at(call, "function"));
    }

    if (at(delta, "function_call") != NULL) {
        read_function(said_call(said, i, "function_call"), NULL,
                      at(delta, "function_call"));
    }

    json_array_foreach(at(delta, "annotations"), k, note) {
        cited = at(note, "url_citation");
        said_citation(said, i, at(cited != NULL ? cited : note, "url"));
    }
}


static void
read_finish(json_t *said, json_int_t i, const json_t *choice)
{
    const char  *reason;

    if (!json_is_string(at(choice, "finish_reason"))) {
        return;
    }

    reason = word(choice, "finish_reason");

    if (strcmp(reason, "function_call") == 0) {
        reason = "tool_calls";

    } else if (strcmp(reason, "model_length") == 0) {
        reason = "length";

    } else if (strcmp(reason, "eos") == 0) {
        reason = "stop";
    }

    if (reason[0] != '\0') {
        said_finish(said, i, reason);
    }
}


static void
read_tokens(json_t *said, json_int_t i, const char *member,
    const json_t *tokens)
{
    size_t   k;
    json_t  *one;

    json_array_foreach(tokens, k, one) {
        said_logprob(said, i, member, at(one, "token"), at(one, "logprob"));
    }
}


/* xAI counts reasoning beside the output: then the sum is the total. */
static void
read_usage(json_t *said, const json_t *usage)
{
    json_t      *n, *cached;
    json_int_t   input, output, total, reasoning;

    if (!json_is_object(usage)) {
        return;
    }

    input = json_integer_value(at(usage, "prompt_tokens"));
    output = json_integer_value(at(usage, "completion_tokens"));
    total = json_integer_value(at(usage, "total_tokens"));
    n = at(at(usage, "completion_tokens_details"), "reasoning_tokens");
    reasoning = json_integer_value(n);

    said_usage(said, "input", at(usage, "prompt_tokens"));
    said_usage(said, "output", at(usage, "completion_tokens"));
    said_usage(said, "total", at(usage, "total_tokens"));
    said_usage(said, "reasoning", n);

    if (reasoning > 0 && input + output + reasoning == total) {
        n = json_integer(output + reasoning);
        said_usage(said, "output", n);
        json_decref(n);
    }

    cached = at(at(usage, "prompt_tokens_details"), "cached_tokens");
    said_usage(said, "cached", at(usage, "prompt_cache_hit_tokens"));
    said_usage(said, "cached", cached);
}


/* An error in one of its shapes; 0: it is none. */
static int
read_error(json_t *said, const json_t *doc)
{
    json_t  *error;

    error = at(doc, "error");

    if (json_is_object(error)) {
        said_error(said, at(error, "message"));

    } else if (json_is_string(error)) {
        said_error(said, error);

    } else if (strcmp(word(doc, "object"), "error") == 0) {
        said_error(said, at(doc, "message"));

    } else {
        return 0;
    }

    return 1;
}


static json_int_t
index_of(const json_t *choice, size_t k, unsigned answer)
{
    json_t  *index;

    index = at(choice, "index");

    return json_is_integer(index) ? json_integer_value(index)
           : answer ? (json_int_t) k : 0;
}


/* What all chunks of both dialects begin with; 0: nothing else is there. */
static int
begin(json_t *said, const matrix_frame_t *f)
{
    if (!f->answer && f->n >= 6 && memcmp(f->data, "[DONE]", 6) == 0) {
        said_done(said);
        return 0;
    }

    if (!json_is_object(f->doc)) {
        json_object_set_new(said, "unread", json_true());
        return 0;
    }

    if (f->answer && !json_is_array(at(f->doc, "choices"))
        && !read_error(said, f->doc))
    {
        json_object_set_new(said, "unread", json_true());
        return 0;
    }

    said_once(said, "id", at(f->doc, "id"));
    said_once(said, "model", at(f->doc, "model"));

    read_usage(said, at(at(f->doc, "x_groq"), "usage"));
    read_usage(said, at(f->doc, "usage"));

    return 1;
}


/* What they end with: an error chunk may still say something. */
static void
finish(json_t *said, const matrix_frame_t *f)
{
    if (!read_error(said, f->doc) && f->answer) {
        said_done(said);
    }
}


void
matrix_read_openai(json_t *said, const matrix_frame_t *f)
{
    size_t       k;
    json_t      *choice, *probs;
    json_int_t   i;

    if (!begin(said, f)) {
        return;
    }

    json_array_foreach(at(f->doc, "choices"), k, choice) {
        i = index_of(choice, k, f->answer);

        read_delta(said, i, at(choice, "delta") != NULL
                            ? at(choice, "delta") : at(choice, "message"));

        probs = at(choice, "logprobs");
        read_tokens(said, i, "logprobs", at(probs, "content"));
        read_tokens(said, i, "refused", at(probs, "refusal"));
        read_finish(said, i, choice);
    }

    finish(said, f);
}


void
matrix_read_completions(json_t *said, const matrix_frame_t *f)
{
    size_t       k, m;
    json_t      *choice, *token, *probs, *p;
    json_int_t   i;

    if (!begin(said, f)) {
        return;
    }

    json_array_foreach(at(f->doc, "choices"), k, choice) {
        i = index_of(choice, k, f->answer);
        said_add(said, i, "text", at(choice, "text"));

        probs = at(choice, "logprobs");

        json_array_foreach(at(probs, "tokens"), m, token) {
            p = json_array_get(at(probs, "token_logprobs"), m);
            said_logprob(said, i, "logprobs", token, p);
        }

        read_finish(said, i, choice);
    }

    finish(said, f);
}
