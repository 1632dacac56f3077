/*
 * The form of a client's stream: each dialect's life cycle as its official
 * SDK reads it, told from the bytes alone.  A terminator is there for a
 * stream that finished, and for no other; nothing follows it.
 */

#include "matrix.h"


typedef struct {
    json_t              *frames;    /* [{type, doc}]; doc a string for data
                                       that is no object */
    json_t              *state;
    unsigned             done;      /* the run says that it has finished */
    size_t               checks;
    size_t               at;        /* frame that is looked at */
    char                *wrong;
} strict_t;


static void
collect(json_t *said, const matrix_frame_t *f)
{
    json_t  *frame;

    frame = json_object();

    if (f->type != NULL) {
        json_object_set_new(frame, "type", json_string(f->type));
    }

    if (json_is_object(f->doc)) {
        json_object_set(frame, "doc", f->doc);

    } else {
        json_object_set_new(frame, "doc", json_stringn(f->data, f->n));
    }

    json_array_append_new(json_object_get(said, "frames"), frame);
}


static void
must(strict_t *s, int ok, const char *what)
{
    s->checks++;

    if (!ok && s->wrong == NULL) {
        s->wrong = matrix_say("event %zu: %s", s->at, what);
    }
}


static int
is(const json_t *o, const char *member, const char *value)
{
    return strcmp(word(o, member), value) == 0;
}


static json_int_t
number(const json_t *o, const char *member)
{
    return json_is_integer(at(o, member)) ? json_integer_value(at(o, member))
                                          : -1;
}


/* Chunks of both OpenAI's: one id, one model, [DONE] last. */
static void
strict_openai(strict_t *s, const json_t *frame, unsigned last)
{
    json_t  *doc, *head, *choice, *first;
    size_t   k;

    doc = at(frame, "doc");

    if (json_is_string(doc)) {
        must(s, strcmp(json_string_value(doc), "[DONE]") == 0, "bare data");
        must(s, last && s->done, "[DONE] is not the end");
        return;
    }

    must(s, !last || !s->done, "no [DONE]");

    if (at(doc, "error") != NULL) {
        must(s, last, "something follows an error");
        return;
    }

    head = json_pack("{s:O*, s:O*, s:O*, s:O*}", "id", at(doc, "id"),
                     "object", at(doc, "object"), "model", at(doc, "model"),
                     "created", at(doc, "created"));
    first = at(s->state, "head");
    must(s, word(doc, "id")[0] != '\0', "no id");
    must(s, json_is_integer(at(doc, "created")), "no time");
    must(s, first == NULL || json_equal(first, head), "another head");
    must(s, json_is_array(at(doc, "choices")), "no choices");
    json_object_set_new(s->state, "head", head);

    if (json_array_size(at(doc, "choices")) == 0) {
        must(s, json_is_object(at(doc, "usage")), "an empty chunk");
    }

    json_array_foreach(at(doc, "choices"), k, choice) {
        must(s, number(choice, "index") >= 0, "no index");
        must(s, json_object_get(choice, "finish_reason") != NULL,
             "no finish_reason");
    }
}


static void
strict_anthropic_block(strict_t *s, const json_t *doc, const char *type)
{
    json_int_t  index, open;

    index = number(doc, "index");
    open = number(s->state, "open");

    if (strcmp(type, "content_block_start") == 0) {
        must(s, open == -1, "a block begins inside another");
        must(s, index == number(s->state, "next"), "a block's index");
        json_object_set_new(s->state, "open", json_integer(index));
        json_object_set_new(s->state, "next", json_integer(index + 1));
        must(s, !is(at(doc, "content_block"), "type", "tool_use")
                || (word(at(doc, "content_block"), "id")[0] != '\0'
                    && word(at(doc, "content_block"), "name")[0] != '\0'),
             "a call without id or name");
        return;
    }

    must(s, open == index && index >= 0, "not the block that is open");

    if (strcmp(type, "content_block_stop") == 0) {
        json_object_set_new(s->state, "open", json_integer(-1));
    }
}


static void
strict_anthropic(strict_t *s, const json_t *frame, unsigned last)
{
    json_t      *doc;
    const char  *type;

    doc = at(frame, "doc");
    type = word(doc, "type");

    must(s, is(frame, "type", type), "event: and type are not the same");
    must(s, (strcmp(type, "message_stop") == 0 || strcmp(type, "error") == 0)
            == last, "message_stop or error in another place than the end");

    if (strcmp(type, "error") == 0) {
        must(s, word(at(doc, "error"), "type")[0] != '\0', "error.type");
        return;
    }

    must(s, (strcmp(type, "message_start") == 0) == (s->at == 0),
         "message_start is first and once");

    if (s->at == 0) {
        json_object_set_new(s->state, "open", json_integer(-1));
        json_object_set_new(s->state, "next", json_integer(0));
        must(s, word(at(doc, "message"), "id")[0] != '\0', "no id");
        must(s, number(at(at(doc, "message"), "usage"), "input_tokens") >= 0,
             "no usage");

    } else if (strncmp(type, "content_block_", 14) == 0) {
        must(s, at(s->state, "over") == NULL, "a block after the end");
        strict_anthropic_block(s, doc, type);

    } else if (strcmp(type, "message_delta") == 0) {
        must(s, number(s->state, "open") == -1, "a block is open");
        must(s, word(at(doc, "delta"), "stop_reason")[0] != '\0',
             "no stop_reason");
        must(s, number(at(doc, "usage"), "output_tokens") >= 0, "no usage");
        json_object_set_new(s->state, "over", json_true());

    } else if (strcmp(type, "message_stop") == 0) {
        must(s, at(s->state, "over") != NULL, "no message_delta");
    }
}


static void
strict_gemini(strict_t *s, const json_t *frame, unsigned last)
{
    size_t   k;
    json_t  *doc, *one, *first;

    doc = at(frame, "doc");

    if (at(doc, "error") != NULL) {
        must(s, last && number(at(doc, "error"), "code") >= 400
                && word(at(doc, "error"), "status")[0] != '\0', "the error");
        return;
    }

    first = at(s->state, "id");
    must(s, word(doc, "responseId")[0] != '\0', "no responseId");
    must(s, first == NULL || json_equal(first, at(doc, "responseId")),
         "another responseId");
    json_object_set(s->state, "id", at(doc, "responseId"));

    json_array_foreach(at(doc, "candidates"), k, one) {
        must(s, is(at(one, "content"), "role", "model"), "no role");
        must(s, json_is_array(at(at(one, "content"), "parts")), "no parts");
        must(s, (at(one, "finishReason") != NULL) == (last && s->done),
             "finishReason in another place than the end");
    }
}


static void
strict_ollama(strict_t *s, const json_t *frame, unsigned last)
{
    json_t  *doc;

    doc = at(frame, "doc");

    if (at(doc, "error") != NULL) {
        must(s, last && json_is_string(at(doc, "error")), "the error");
        return;
    }

    must(s, json_is_string(at(doc, "model")), "no model");
    must(s, strlen(word(doc, "created_at")) >= 20, "no created_at");
    must(s, json_is_boolean(at(doc, "done")), "no done");
    must(s, json_is_true(at(doc, "done")) == (last && s->done),
         "done in another place than the end");
    must(s, is(at(doc, "message"), "role", "assistant")
            || json_is_string(at(doc, "response")), "no message");
}


static void
strict_flowise(strict_t *s, const json_t *frame, unsigned last)
{
    json_t      *doc;
    const char  *event;

    doc = at(frame, "doc");
    event = word(doc, "event");

    must(s, (strcmp(event, "end") == 0) == (last && s->done),
         "end in another place than the end");
    must(s, (strcmp(event, "error") == 0) == (last && !s->done),
         "error in another place than the end");
    must(s, strcmp(event, "start") != 0 || s->at == 0,
         "start is first and once");
    must(s, strcmp(event, "token") != 0 || s->at != 0, "no start");
}


static void
strict_simple(strict_t *s, const json_t *frame, unsigned last)
{
    json_t  *doc;

    doc = at(frame, "doc");

    must(s, json_is_boolean(at(doc, "done"))
            && json_is_true(at(doc, "done")) == last, "done");
    must(s, (at(doc, "error") != NULL) == (last && !s->done), "error");
}


static void
strict_typed(strict_t *s, const json_t *frame, unsigned last)
{
    json_t      *doc;
    const char  *type;

    doc = at(frame, "doc");
    type = word(doc, "type");

    must(s, json_is_object(at(doc, "data")), "no data");
    must(s, (strcmp(type, "done") == 0) == (last && s->done), "done");
    must(s, (strcmp(type, "error") == 0) == (last && !s->done), "error");
    must(s, strcmp(type, "metadata") != 0 || s->at == 0, "metadata");

    if (strcmp(type, "token") == 0) {
        said_add(s->state, 0, "text", at(at(doc, "data"), "token"));

    } else if (strcmp(type, "done") == 0) {
        must(s, said_same(word(at(doc, "data"), "full_text"),
                          word(said_choice(s->state, 0), "text")),
             "full_text");
    }
}


/* One data line an event, as JSON or [DONE], after at most one other line;
 * LF only. */
static void
strict_lines(strict_t *s, const matrix_side_t *side, const matrix_run_t *r)
{
    const char  *p, *end, *flowise;

    must(s, side->framing == LLM_FRAMING_ARRAY
            || memchr(r->p, '\r', r->n) == NULL, "a carriage return");

    if (side->framing != LLM_FRAMING_SSE || r->n == 0) {
        return;
    }

    flowise = side->dialect == &llm_dialect_flowise ? "message:\n" : "";
    end = r->p + r->n;

    for (p = r->p; p < end; p = strstr(p, "\n\n") + 2) {
        if (strncmp(p, "event: ", 7) == 0) {
            p = strchr(p, '\n') + 1;
        }

        must(s, strncmp(p, flowise, strlen(flowise)) == 0, "its first line");
        p += strlen(flowise);
        must(s, strncmp(p, "data:", 5) == 0, "no data");

        if (strstr(p, "\n\n") == NULL || s->wrong != NULL) {
            must(s, 0, "no blank line");
            return;
        }

        must(s, strchr(p, '\n') == strstr(p, "\n\n"), "two lines of data");
    }
}


static void (*
strict_of(const llm_dialect_t *d))(strict_t *s, const json_t *f, unsigned l)
{
    return d == &llm_dialect_openai || d == &llm_dialect_completions
           ? strict_openai
           : d == &llm_dialect_anthropic ? strict_anthropic
           : d == &llm_dialect_gemini ? strict_gemini
           : d == &llm_dialect_ollama || d == &llm_dialect_generate
           ? strict_ollama
           : d == &llm_dialect_flowise ? strict_flowise
           : d == &llm_dialect_simple ? strict_simple
           : d == &llm_dialect_typed ? strict_typed : NULL;
}


char *
matrix_strict(const matrix_side_t *side, const matrix_run_t *r,
    size_t *checks)
{
    json_t         *said, *frame;
    size_t          n;
    strict_t        s;
    void          (*check)(strict_t *s, const json_t *f, unsigned last);
    matrix_side_t   reader;

    memset(&s, 0, sizeof(s));
    check = strict_of(side->dialect);

    if (side->dialect == &llm_dialect_responses) {
        return matrix_strict_responses(side, r, checks);
    }

    strict_lines(&s, side, r);

    if (check != NULL && s.wrong == NULL) {
        reader = *side;
        reader.read = collect;
        said = matrix_frames(&reader, r->p, r->n);
        s.frames = json_object_get(said, "frames");
        s.state = json_pack("{s:{}, s:{}}", "choices", "state");
        s.done = r->rc == LLM_DONE;
        n = json_array_size(s.frames);
        must(&s, n != 0, "nothing at all");

        json_array_foreach(s.frames, s.at, frame) {
            check(&s, frame, s.at + 1 == n);
        }

        json_decref(s.state);
        json_decref(said);
    }

    *checks = s.checks;

    return s.wrong;
}
