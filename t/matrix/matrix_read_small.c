/*
 * Readers of the dialects with few words: Ollama's two, Flowise, and those
 * that only clients speak.
 */

#include "matrix.h"


/* 0: it is no object, or it was an error. */
static int
read_object(json_t *said, const matrix_frame_t *f)
{
    json_t  *error;

    if (!json_is_object(f->doc)) {
        json_object_set_new(said, "unread", json_true());
        return 0;
    }

    error = at(f->doc, "error");

    if (json_is_string(error)) {
        said_error(said, error);
        return 0;
    }

    if (json_is_object(error)) {
        said_error(said, at(error, "message"));
        return 0;
    }

    return 1;
}


static void
read_line(json_t *said, const json_t *doc, const json_t *message,
    const char *text)
{
    char         key[32];
    size_t       k;
    json_t      *one, *call;
    const char  *reason;

    said_once(said, "model", at(doc, "model"));
    said_add(said, 0, "reasoning", at(message, "thinking"));
    said_add(said, 0, "text", at(message, text));

    json_array_foreach(at(doc, "logprobs"), k, one) {
        said_logprob(said, 0, "logprobs", at(one, "token"),
                     at(one, "logprob"));
    }

    json_array_foreach(at(message, "tool_calls"), k, one) {
        (void) snprintf(key, sizeof(key), "#%d",
                        (int) json_array_size(at(said_choice(said, 0),
                                                 "calls")));
        call = said_call(said, 0, key);
        said_call_is(call, at(one, "id"), at(at(one, "function"), "name"));
        said_call_object(call, at(at(one, "function"), "arguments"));
    }

    if (!json_is_true(at(doc, "done"))) {
        return;
    }

    said_usage(said, "input", at(doc, "prompt_eval_count"));
    said_usage(said, "cached", at(doc, "prompt_eval_cached_count"));
    said_usage(said, "output", at(doc, "eval_count"));

    reason = word(doc, "done_reason");

    if (strcmp(reason, "load") == 0 || strcmp(reason, "unload") == 0
        || reason[0] == '\0')
    {
        reason = "stop";
    }

    said_finish(said, 0, strcmp(reason, "stop") == 0
                         && at(said_choice(said, 0), "calls") != NULL
                         ? "tool_calls" : reason);
    said_done(said);
}


void
matrix_read_ollama(json_t *said, const matrix_frame_t *f)
{
    if (read_object(said, f)) {
        read_line(said, f->doc, at(f->doc, "message"), "content");
    }
}


void
matrix_read_generate(json_t *said, const matrix_frame_t *f)
{
    if (read_object(said, f)) {
        read_line(said, f->doc, f->doc, "response");
    }
}


/* What Flowise says beside its texts, by name, in a stream and an answer. */
static void
read_extra(json_t *said, const char *name, const json_t *data)
{
    char     key[32];
    size_t   k;
    json_t  *one, *call, *named;

    if (strcmp(name, "usageMetadata") == 0) {
        said_usage(said, "input", at(data, "input_tokens"));
        said_usage(said, "output", at(data, "output_tokens"));
        said_usage(said, "total", at(data, "total_tokens"));
        said_usage(said, "cached", at(at(data, "input_token_details"),
                                      "cache_read"));
        said_usage(said, "reasoning", at(at(data, "output_token_details"),
                                         "reasoning"));

    } else if (strcmp(name, "sourceDocuments") == 0) {
        json_array_foreach(data, k, one) {
            said_citation(said, 0, at(at(one, "metadata"), "source"));
        }

    } else if (strcmp(name, "calledTools") == 0) {
        json_array_foreach(data, k, one) {
            named = at(one, "tool") != NULL ? at(one, "tool")
                                            : at(one, "name");

            if (named == NULL) {
                continue;
            }

            (void) snprintf(key, sizeof(key), "#%d",
                            (int) json_array_size(at(said_choice(said, 0),
                                                     "calls")));
            call = said_call(said, 0, key);
            said_call_is(call, at(one, "id"), named);
            said_call_object(call, at(one, "toolInput") != NULL
                                   ? at(one, "toolInput") : at(one, "args"));
        }

    } else if (strcmp(name, "chatMessageId") == 0) {
        said_once(said, "id", data);
    }
}


static void
read_flowise_end(json_t *said)
{
    said_finish(said, 0, at(said_choice(said, 0), "calls") != NULL
                         ? "tool_calls" : "stop");
    said_done(said);
}


static void
read_flowise_answer(json_t *said, const json_t *doc)
{
    char        *text;
    json_t      *v;
    const char  *key;

    if (json_is_false(at(doc, "success")) && at(doc, "message") != NULL) {
        said_error(said, at(doc, "message"));
        return;
    }

    said_add(said, 0, "text", at(doc, "text"));

    if (json_is_object(at(doc, "json"))) {
        text = json_dumps(at(doc, "json"), 0);
        said_add_text(said, 0, "text", text);
        free(text);
    }

    said_add(said, 0, "reasoning", at(at(doc, "reasonContent"), "thinking"));

    json_object_foreach((json_t *) doc, key, v) {
        read_extra(said, key, v);
    }

    read_flowise_end(said);
}


void
matrix_read_flowise(json_t *said, const matrix_frame_t *f)
{
    json_t      *data;
    const char  *event;

    if (!json_is_object(f->doc)) {
        json_object_set_new(said, "unread", json_true());
        return;
    }

    if (f->answer) {
        read_flowise_answer(said, f->doc);
        return;
    }

    event = word(f->doc, "event");
    data = at(f->doc, "data");

    if (strcmp(event, "token") == 0) {
        said_add(said, 0, "text", data);

    } else if (strcmp(event, "thinking") == 0) {
        said_add(said, 0, "reasoning", data);

    } else if (strcmp(event, "error") == 0) {
        said_error(said, json_is_object(data) ? at(data, "message") : data);

    } else if (strcmp(event, "abort") == 0) {
        said_error(said, NULL);

    } else if (strcmp(event, "metadata") == 0) {
        said_once(said, "id", at(data, "chatMessageId"));

    } else if (strcmp(event, "end") == 0) {
        read_flowise_end(said);

    } else {
        read_extra(said, event, data);
    }
}


void
matrix_read_simple(json_t *said, const matrix_frame_t *f)
{
    if (!read_object(said, f)) {
        return;
    }

    said_add(said, 0, "text", at(f->doc, "content"));

    if (json_is_true(at(f->doc, "done"))) {
        said_done(said);
    }
}


void
matrix_read_typed(json_t *said, const matrix_frame_t *f)
{
    json_t      *data, *usage;
    const char  *type;

    if (!read_object(said, f)) {
        return;
    }

    type = word(f->doc, "type");
    data = at(f->doc, "data");

    said_once(said, "id", at(data, "id"));
    said_once(said, "model", at(data, "model"));

    if (strcmp(type, "token") == 0) {
        said_add(said, 0, "text", at(data, "token"));

    } else if (strcmp(type, "error") == 0) {
        said_error(said, at(data, "message"));

    } else if (strcmp(type, "done") == 0) {
        usage = at(data, "usage");
        said_usage(said, "input", at(usage, "prompt_tokens"));
        said_usage(said, "output", at(usage, "completion_tokens"));
        said_usage(said, "total", at(usage, "total_tokens"));

        if (f->answer) {
            said_add(said, 0, "text", at(data, "full_text"));
        }

        if (word(data, "finish_reason")[0] != '\0') {
            said_finish(said, 0, word(data, "finish_reason"));
        }

        said_done(said);
    }
}


void
matrix_read_text(json_t *said, const matrix_frame_t *f)
{
    json_t  *text;

    text = json_stringn(f->data, f->n);

    if (text == NULL) {
        json_object_set_new(said, "unread", json_true());
    }

    said_add(said, 0, "text", text);
    json_decref(text);
    said_done(said);
}
