/*
 * Reader of Gemini: chunks of a stream of either framing, and answers, which
 * have the same form.
 */

#include "matrix.h"


/* A member in either spelling: finishReason, finish_reason. */
static json_t *
get(const json_t *o, const char *name)
{
    char         snake[64];
    size_t       n;
    const char  *p;

    for (n = 0, p = name; *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            snake[n++] = '_';
            snake[n++] = (char) (*p + 'a' - 'A');

        } else {
            snake[n++] = *p;
        }
    }

    snake[n] = '\0';

    return at(o, name) != NULL ? at(o, name) : at(o, snake);
}


static void
read_reason(json_t *said, json_int_t i, const char *reason)
{
    size_t  k;

    static const char *const  words[][2] = {
        { "STOP", "stop" }, { "MAX_TOKENS", "length" },
        { "SAFETY", "content_filter" }, { "RECITATION", "content_filter" },
        { "BLOCKLIST", "content_filter" },
        { "PROHIBITED_CONTENT", "content_filter" },
        { "SPII", "content_filter" }, { "IMAGE_SAFETY", "content_filter" },
        { "MODEL_ARMOR", "content_filter" },
        { "MALFORMED_FUNCTION_CALL", "error" },
        { "UNEXPECTED_TOOL_CALL", "error" },
        { "TOO_MANY_TOOL_CALLS", "error" },
        { "OTHER", "error" }, { "LANGUAGE", "error" }
    };

    if (reason[0] == '\0'
        || strcmp(reason, "FINISH_REASON_UNSPECIFIED") == 0)
    {
        return;
    }

    for (k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
        if (strcmp(reason, words[k][0]) == 0) {
            reason = words[k][1];
            break;
        }
    }

    if (strcmp(reason, "stop") == 0
        && at(said_choice(said, i), "calls") != NULL)
    {
        reason = "tool_calls";
    }

    said_finish(said, i, reason);
}


/* The place of a path in o, made if need be; the last step is set to v, or
 * v is appended if it is a string that goes on. */
static void
set_path(json_t *o, const char *path, json_t *v)
{
    char         name[128];
    size_t       n;
    json_t      *next, *old;
    unsigned     index, last;
    const char  *p;

    for (p = path + (*path == '$'); *p != '\0'; o = next) {
        index = *p == '[' && p[1] != '\'';
        p += *p == '.' || *p == '[';
        p += *p == '\'';
        n = strcspn(p, ".[]'");
        (void) snprintf(name, sizeof(name), "%.*s", (int) n, p);
        p += n;
        p += *p == '\'';
        p += *p == ']';
        last = *p == '\0';

        old = index ? json_array_get(o, (size_t) atoi(name))
                    : json_object_get(o, name);

        if (last && json_is_string(old) && json_is_string(v)) {
            next = json_sprintf("%s%s", json_string_value(old),
                                json_string_value(v));

        } else if (last) {
            next = json_incref(v);

        } else if (old != NULL) {
            next = json_incref(old);

        } else {
            next = *p == '[' ? json_array() : json_object();
        }

        if (index && old == NULL) {
            json_array_append(o, next);

        } else if (index) {
            json_array_set(o, (size_t) atoi(name), next);

        } else {
            json_object_set(o, name, next);
        }

        json_decref(next);
    }
}


static json_t *
partial_value(const json_t *piece)
{
    if (at(piece, "stringValue") != NULL) {
        return at(piece, "stringValue");
    }

    return at(piece, "numberValue") != NULL ? at(piece, "numberValue")
           : at(piece, "boolValue") != NULL ? at(piece, "boolValue")
           : json_null();
}


/* A call that comes in pieces is one until it does not go on. */
static void
read_partial(json_t *said, json_int_t i, const json_t *call)
{
    char     key[32], open[32];
    size_t   k;
    json_t  *state, *to, *args, *piece;

    state = json_object_get(said, "state");
    (void) snprintf(open, sizeof(open), "open%d", (int) i);

    if (at(state, open) == NULL) {
        (void) snprintf(key, sizeof(key), "#%d",
                        (int) json_array_size(at(said_choice(said, i),
                                                 "calls")));
        json_object_set_new(state, open, json_string(key));
    }

    to = said_call(said, i, word(state, open));
    said_call_is(to, at(call, "id"), at(call, "name"));
    args = at(to, "args");

    if (args == NULL) {
        args = json_object();
        json_object_set_new(to, "args", args);
    }

    json_array_foreach(at(call, "partialArgs"), k, piece) {
        set_path(args, word(piece, "jsonPath"), partial_value(piece));
    }

    if (!json_is_true(at(call, "willContinue"))) {
        json_object_del(state, open);
    }
}


/* The choice has finished: a call that was to go on was cut, unless it stops
 * as it should. */
static void
close_partial(json_t *said, json_int_t i, const char *reason)
{
    char     open[32];
    json_t  *state, *args;

    state = json_object_get(said, "state");
    (void) snprintf(open, sizeof(open), "open%d", (int) i);

    if (at(state, open) != NULL && strcmp(reason, "STOP") != 0) {
        args = json_object();
        json_object_set_new(args, "broken", json_true());
        said_call_object(said_call(said, i, word(state, open)), args);
        json_decref(args);
    }

    json_object_del(state, open);
}


static void
read_call(json_t *said, json_int_t i, const json_t *call)
{
    char     key[32], open[32];
    json_t  *to;

    (void) snprintf(open, sizeof(open), "open%d", (int) i);

    if (at(call, "partialArgs") != NULL || at(call, "willContinue") != NULL
        || (at(json_object_get(said, "state"), open) != NULL
            && at(call, "name") == NULL))
    {
        read_partial(said, i, call);
        return;
    }

    /* the end of one that was closed before */

    if (json_object_size(call) == 0) {
        return;
    }

    (void) snprintf(key, sizeof(key), "#%d",
                    (int) json_array_size(at(said_choice(said, i),
                                             "calls")));
    to = said_call(said, i, key);
    said_call_is(to, at(call, "id"), at(call, "name"));
    said_call_object(to, at(call, "args"));
}


static void
read_part(json_t *said, json_int_t i, const json_t *part)
{
    json_t  *call;

    call = get(part, "functionCall");

    if (call != NULL) {
        read_call(said, i, call);

    } else if (json_is_true(get(part, "thought"))) {
        said_add(said, i, "reasoning", get(part, "text"));
        said_add(said, i, "signature", get(part, "thoughtSignature"));

    } else {
        said_add(said, i, "text", get(part, "text"));
    }
}


static void
read_candidate(json_t *said, size_t k, const json_t *candidate)
{
    size_t       m, s;
    json_t      *one;
    json_int_t   i;
    const char  *reason;

    static const char *const  sources[] = {
        "web", "retrievedContext", "maps"
    };

    i = json_is_integer(get(candidate, "index"))
        ? json_integer_value(get(candidate, "index")) : (json_int_t) k;

    (void) said_choice(said, i);

    json_array_foreach(get(get(candidate, "content"), "parts"), m, one) {
        read_part(said, i, one);
    }

    json_array_foreach(get(get(candidate, "logprobsResult"),
                          "chosenCandidates"), m, one)
    {
        said_logprob(said, i, "logprobs", get(one, "token"),
                     get(one, "logProbability"));
    }

    json_array_foreach(get(get(candidate, "groundingMetadata"),
                          "groundingChunks"), m, one)
    {
        for (s = 0; s < 3; s++) {
            said_citation(said, i, get(get(one, sources[s]), "uri"));
        }
    }

    json_array_foreach(get(get(candidate, "citationMetadata"),
                          "citationSources"), m, one)
    {
        said_citation(said, i, get(one, "uri"));
    }

    reason = json_string_value(get(candidate, "finishReason"));

    if (reason != NULL) {
        close_partial(said, i, reason);
        read_reason(said, i, reason);
    }
}


/* The counts are of the whole stream so far. */
static void
read_usage(json_t *said, const json_t *usage)
{
    json_t      *n;
    json_int_t   sum;

    if (usage == NULL) {
        return;
    }

    sum = json_integer_value(get(usage, "promptTokenCount"))
          + json_integer_value(get(usage, "toolUsePromptTokenCount"));

    if (get(usage, "promptTokenCount") != NULL) {
        n = json_integer(sum);
        said_usage(said, "input", n);
        json_decref(n);
    }

    sum = json_integer_value(get(usage, "candidatesTokenCount"))
          + json_integer_value(get(usage, "thoughtsTokenCount"));

    if (get(usage, "candidatesTokenCount") != NULL
        || get(usage, "thoughtsTokenCount") != NULL)
    {
        n = json_integer(sum);
        said_usage(said, "output", n);
        json_decref(n);
    }

    said_usage(said, "reasoning", get(usage, "thoughtsTokenCount"));
    said_usage(said, "cached", get(usage, "cachedContentTokenCount"));
    said_usage(said, "total", get(usage, "totalTokenCount"));
}


void
matrix_read_gemini(json_t *said, const matrix_frame_t *f)
{
    size_t   k;
    json_t  *one, *error, *doc;

    doc = f->doc;

    if (json_is_array(doc) && json_array_size(doc) == 1) {
        doc = json_array_get(doc, 0);
    }

    if (!json_is_object(doc)) {
        json_object_set_new(said, "unread", json_true());
        return;
    }

    error = get(doc, "error");

    if (error != NULL) {
        said_error(said, get(error, "message"));
        return;
    }

    said_once(said, "id", get(doc, "responseId"));
    said_once(said, "model", get(doc, "modelVersion"));

    json_array_foreach(get(doc, "candidates"), k, one) {
        read_candidate(said, k, one);
    }

    if (json_string_length(get(get(doc, "promptFeedback"), "blockReason"))
        && get(said_choice(said, 0), "finish") == NULL)
    {
        said_finish(said, 0, "content_filter");
    }

    read_usage(said, get(doc, "usageMetadata"));

    if (f->answer) {
        said_done(said);
    }
}
