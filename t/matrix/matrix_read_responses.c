/*
 * Reader of OpenAI Responses.  Texts and arguments are said up to three
 * times (deltas, done events, the whole response): what came first counts,
 * whole ones only for items of which nothing came in pieces.
 */

#include "matrix.h"


/* Whether something of that item and part is said for the first time. */
static int
first(json_t *said, const char *what, const json_t *item,
    const json_t *part, unsigned delta)
{
    int      is_first;
    char     key[96];
    json_t  *state, *before;

    (void) snprintf(key, sizeof(key), "%s %d %d", what,
                    (int) json_integer_value(item),
                    (int) json_integer_value(part));

    state = json_object_get(said, "state");
    before = json_object_get(state, key);
    is_first = before == NULL || (delta && json_is_true(before));

    json_object_set_new(state, key, json_boolean(delta));

    return is_first;
}


static json_t *
item_call(json_t *said, const json_t *index)
{
    char  key[32];

    (void) snprintf(key, sizeof(key), "#%d",
                    (int) json_integer_value(index));

    return said_call(said, 0, key);
}


static void
read_tokens(json_t *said, const json_t *tokens)
{
    size_t   k;
    json_t  *one;

    json_array_foreach(tokens, k, one) {
        said_logprob(said, 0, "logprobs", at(one, "token"), at(one, "logprob"));
    }
}


/* A part of a message that came whole. */
static void
read_part(json_t *said, const json_t *item, const json_t *part,
    const json_t *p)
{
    size_t   k;
    json_t  *note;

    if (at(p, "text") != NULL && first(said, "text", item, part, 0)) {
        said_add(said, 0, "text", at(p, "text"));
    }

    if (json_array_size(at(p, "logprobs")) != 0
        && first(said, "probs", item, part, 0))
    {
        read_tokens(said, at(p, "logprobs"));
    }

    if (at(p, "refusal") != NULL && first(said, "refusal", item, part, 0)) {
        said_add(said, 0, "refusal", at(p, "refusal"));
    }

    json_array_foreach(at(p, "annotations"), k, note) {
        if (k == 0 && !first(said, "note", item, part, 0)) {
            break;
        }

        said_citation(said, 0, at(note, "url"));
    }
}


static void
read_thought(json_t *said, const char *what, const json_t *item,
    const json_t *list)
{
    size_t   k;
    json_t  *one, *part;

    json_array_foreach(list, k, one) {
        part = json_integer((json_int_t) k);

        if (first(said, what, item, part, 0)) {
            said_add(said, 0, "reasoning", at(one, "text"));
        }

        json_decref(part);
    }
}


static void
read_item(json_t *said, const json_t *index, const json_t *item,
    unsigned whole)
{
    size_t       k;
    json_t      *p, *part, *call;
    const char  *type;

    type = word(item, "type");

    if (strcmp(type, "function_call") == 0) {
        call = item_call(said, index);
        said_call_is(call, at(item, "call_id"), at(item, "name"));

        if (whole && first(said, "args", index, NULL, 0)) {
            said_call_args(call, at(item, "arguments"));
        }

    } else if (strcmp(type, "message") == 0 && whole) {
        json_array_foreach(at(item, "content"), k, p) {
            part = json_integer((json_int_t) k);
            read_part(said, index, part, p);
            json_decref(part);
        }

    } else if (strcmp(type, "reasoning") == 0 && whole) {
        read_thought(said, "summary", index, at(item, "summary"));
        read_thought(said, "thought", index, at(item, "content"));

        if (at(item, "encrypted_content") != NULL
            && first(said, "sealed", index, NULL, 0))
        {
            said_add(said, 0, "withheld", at(item, "encrypted_content"));
        }
    }
}


static void
read_object(json_t *said, const json_t *r)
{
    size_t       k;
    json_t      *item, *index, *usage, *details;
    const char  *reason;

    json_array_foreach(at(r, "output"), k, item) {
        index = json_integer((json_int_t) k);
        read_item(said, index, item, 1);
        json_decref(index);
    }

    usage = at(r, "usage");
    said_usage(said, "input", at(usage, "input_tokens"));
    said_usage(said, "output", at(usage, "output_tokens"));
    said_usage(said, "total", at(usage, "total_tokens"));

    details = at(usage, "input_tokens_details");
    said_usage(said, "cached", at(details, "cached_tokens"));
    details = at(usage, "output_tokens_details");
    said_usage(said, "reasoning", at(details, "reasoning_tokens"));

    said_once(said, "id", at(r, "id"));
    said_once(said, "model", at(r, "model"));

    reason = word(at(r, "incomplete_details"), "reason");

    if (strcmp(word(r, "status"), "incomplete") == 0) {
        said_finish(said, 0, reason[0] == '\0'
                             || strcmp(reason, "max_output_tokens") == 0
                             ? "length" : reason);

    } else {
        said_finish(said, 0, at(said_choice(said, 0), "calls") != NULL
                             ? "tool_calls" : "stop");
    }
}


/* The end of a response, of whatever kind. */
static void
read_end(json_t *said, const json_t *r)
{
    if (at(r, "error") != NULL || strcmp(word(r, "status"), "failed") == 0) {
        said_error(said, at(at(r, "error"), "message"));
        return;
    }

    read_object(said, r);
    said_done(said);
}


static void
read_piece(json_t *said, const json_t *doc, const char *type)
{
    json_t  *item, *part, *delta;

    item = at(doc, "output_index");
    part = at(doc, "content_index");
    delta = at(doc, "delta");

    if (json_string_length(delta) == 0) {
        return;
    }

    if (strcmp(type, "response.output_text.delta") == 0) {
        (void) first(said, "text", item, part, 1);
        said_add(said, 0, "text", delta);

        if (json_array_size(at(doc, "logprobs")) != 0) {
            (void) first(said, "probs", item, part, 1);
            read_tokens(said, at(doc, "logprobs"));
        }

    } else if (strcmp(type, "response.refusal.delta") == 0) {
        (void) first(said, "refusal", item, part, 1);
        said_add(said, 0, "refusal", delta);

    } else if (strcmp(type, "response.reasoning_summary_text.delta") == 0) {
        (void) first(said, "summary", item, at(doc, "summary_index"), 1);
        said_add(said, 0, "reasoning", delta);

    } else if (strcmp(type, "response.reasoning_text.delta") == 0) {
        (void) first(said, "thought", item, part, 1);
        said_add(said, 0, "reasoning", delta);

    } else if (strcmp(type, "response.function_call_arguments.delta") == 0) {
        (void) first(said, "args", item, NULL, 1);
        said_call_args(item_call(said, item), delta);
    }
}


/* A text, or arguments, said whole without any piece before. */
static void
read_whole(json_t *said, const json_t *doc, const char *type)
{
    json_t  *item, *part;

    item = at(doc, "output_index");
    part = at(doc, "content_index");

    if (strcmp(type, "response.output_text.done") == 0
        && first(said, "text", item, part, 0))
    {
        said_add(said, 0, "text", at(doc, "text"));

    } else if (strcmp(type, "response.refusal.done") == 0
               && first(said, "refusal", item, part, 0))
    {
        said_add(said, 0, "refusal", at(doc, "refusal"));

    } else if (strcmp(type, "response.reasoning_summary_text.done") == 0
               && first(said, "summary", item, at(doc, "summary_index"), 0))
    {
        said_add(said, 0, "reasoning", at(doc, "text"));

    } else if (strcmp(type, "response.function_call_arguments.done") == 0
               && first(said, "args", item, NULL, 0))
    {
        said_call_args(item_call(said, item), at(doc, "arguments"));
    }
}


static void
read_event(json_t *said, const json_t *doc, const char *type)
{
    json_t  *error, *item;

    item = at(doc, "output_index");
    error = at(doc, "error");

    if (strcmp(type, "error") == 0 || (error != NULL && type[0] == '\0')) {
        said_error(said, at(error != NULL ? error : doc, "message"));

    } else if (strcmp(type, "response.output_item.added") == 0) {
        read_item(said, item, at(doc, "item"), 0);

    } else if (strcmp(type, "response.output_item.done") == 0) {
        read_item(said, item, at(doc, "item"), 1);

    } else if (strcmp(type, "response.output_text.annotation.added") == 0) {
        (void) first(said, "note", item, at(doc, "content_index"), 1);
        said_citation(said, 0, at(at(doc, "annotation"), "url"));

    } else if (strcmp(type, "response.completed") == 0
               || strcmp(type, "response.incomplete") == 0
               || strcmp(type, "response.failed") == 0)
    {
        read_end(said, at(doc, "response"));

    } else if (at(doc, "response") != NULL) {
        said_once(said, "id", at(at(doc, "response"), "id"));
        said_once(said, "model", at(at(doc, "response"), "model"));

    } else {
        read_piece(said, doc, type);
        read_whole(said, doc, type);
    }
}


void
matrix_read_responses(json_t *said, const matrix_frame_t *f)
{
    const char  *type;

    if (!f->answer && f->n >= 6 && memcmp(f->data, "[DONE]", 6) == 0) {
        return;
    }

    if (!json_is_object(f->doc)) {
        json_object_set_new(said, "unread", json_true());
        return;
    }

    if (f->answer) {
        if (at(f->doc, "output") == NULL && at(f->doc, "error") != NULL) {
            said_error(said, at(at(f->doc, "error"), "message"));

        } else if (strcmp(word(f->doc, "type"), "error") == 0) {
            said_error(said, at(f->doc, "message"));

        } else {
            read_end(said, f->doc);
        }

        return;
    }

    type = word(f->doc, "type");
    read_event(said, f->doc, type[0] == '\0' && f->type != NULL ? f->type
                                                                : type);
}
