/*
 * The form of a Responses stream: numbered events, items and parts that begin
 * and end, each whole text the sum of its pieces, each item of the response
 * as it was when it ended.
 */

#include "matrix.h"


typedef struct {
    json_t   *items;            /* as they began, with parts and "over" */
    json_t   *ended;            /* as they ended */
    size_t    at;
    size_t    checks;
    unsigned  done;
    char     *wrong;
} cycle_t;

/* An event about a text: which member names its part, which says it whole. */
typedef struct {
    const char  *type;
    const char  *part;
    const char  *whole;
    unsigned     opened;        /* its part has to be added before */
} text_t;


static const text_t  texts[] = {
    { "response.output_text", "content_index", "text", 1 },
    { "response.refusal", "content_index", "refusal", 1 },
    { "response.reasoning_summary_text", "summary_index", "text", 1 },
    { "response.reasoning_text", "content_index", "text", 0 },
    { "response.function_call_arguments", NULL, "arguments", 0 }
};


static void
must(cycle_t *c, int ok, const char *what)
{
    c->checks++;

    if (!ok && c->wrong == NULL) {
        c->wrong = matrix_say("event %zu: %s", c->at, what);
    }
}


/* The item that an event is about, which must be open. */
static json_t *
open_item(cycle_t *c, const json_t *doc)
{
    json_t  *item, *index;

    index = at(doc, "output_index");
    item = json_is_integer(index)
           ? json_array_get(c->items, (size_t) json_integer_value(index))
           : NULL;

    must(c, item != NULL, "no such item");
    must(c, item != NULL && at(item, "over") == NULL, "its item is over");

    if (at(doc, "item") == NULL) {
        must(c, item != NULL && json_equal(at(item, "id"),
                                           at(doc, "item_id")), "item_id");
    }

    return item;
}


static void
part_key(char *key, size_t n, const char *what, const json_t *part)
{
    (void) snprintf(key, n, "%s %d", what, (int) json_integer_value(part));
}


/* content_part.added, reasoning_summary_part.done and the like. */
static void
check_part(cycle_t *c, const json_t *doc, unsigned added)
{
    char     key[64];
    json_t  *item, *part;

    item = open_item(c, doc);
    part = at(doc, "content_index") != NULL ? at(doc, "content_index")
                                            : at(doc, "summary_index");
    part_key(key, sizeof(key), "part", part);

    if (item == NULL) {
        return;
    }

    must(c, (at(item, key) == NULL) == added, "its part");

    if (added) {
        json_object_set_new(item, key, json_string("open"));

    } else {
        must(c, strcmp(word(item, key), "open") == 0, "a part ends twice");
        json_object_set_new(item, key, json_string("over"));
        part_key(key, sizeof(key), "text", part);
        must(c, said_same(word(item, key), word(at(doc, "part"), "text"))
                || said_same(word(item, key),
                             word(at(doc, "part"), "refusal")),
             "the part is not the sum of its pieces");
    }
}


static void
check_text(cycle_t *c, const json_t *doc, const text_t *t, unsigned done)
{
    char     key[64];
    json_t  *item, *part, *text;

    item = open_item(c, doc);
    part = t->part != NULL ? at(doc, t->part) : NULL;

    if (item == NULL) {
        return;
    }

    must(c, t->part == NULL || json_is_integer(part), "no index of its part");

    part_key(key, sizeof(key), "part", part);
    must(c, !t->opened || strcmp(word(item, key), "open") == 0,
         "its part is not open");

    part_key(key, sizeof(key), "text", part);

    if (done) {
        must(c, said_same(word(item, key), word(doc, t->whole)),
             "it is not the sum of its pieces");
        return;
    }

    must(c, json_is_string(at(doc, "delta")), "no delta");
    text = json_sprintf("%s%s", word(item, key), word(doc, "delta"));
    json_object_set_new(item, key, text);
}


static void
check_item(cycle_t *c, const json_t *doc, unsigned added)
{
    json_t       *item, *whole;
    json_int_t    index;
    const char   *type;

    item = at(doc, "item");
    type = word(item, "type");
    index = json_integer_value(at(doc, "output_index"));
    must(c, word(item, "id")[0] != '\0', "an item without id");
    must(c, strcmp(type, "function_call") != 0
            || (word(item, "call_id")[0] != '\0'
                && word(item, "name")[0] != '\0'), "a call without a name");

    if (added) {
        must(c, index == (json_int_t) json_array_size(c->items),
             "output_index");
        json_array_append_new(c->items, json_pack("{s:O}", "id",
                                                  at(item, "id")));
        json_array_append_new(c->ended, json_null());
        return;
    }

    whole = open_item(c, doc);

    if (whole != NULL) {
        must(c, json_equal(at(whole, "id"), at(item, "id")), "another id");
        must(c, strcmp(type, "function_call") != 0
                || said_same(word(whole, "text 0"),
                             word(item, "arguments")), "its arguments");
        json_object_set_new(whole, "over", json_true());
        json_array_set(c->ended, (size_t) index, item);
    }
}


static void
check_end(cycle_t *c, const json_t *doc, const char *type, unsigned last)
{
    json_t  *response;

    response = at(doc, "response");

    must(c, last, "something follows the end");
    must(c, strncmp(type, "response.", 9) == 0
            && strcmp(word(response, "status"), type + 9) == 0, "status");
    must(c, strcmp(type, "response.failed") == 0
            || json_equal(at(response, "output"), c->ended),
         "the output is not the items as they ended");
    must(c, (strcmp(type, "response.failed") == 0)
            == (at(response, "error") != NULL), "error");
    must(c, (strcmp(type, "response.incomplete") == 0)
            == (at(response, "incomplete_details") != NULL),
         "incomplete_details");
    must(c, c->done || strcmp(type, "response.failed") == 0,
         "an end that was none");
}


static void
check_event(cycle_t *c, const json_t *doc, const char *type, unsigned last)
{
    size_t  i, n;

    must(c, (strcmp(type, "response.created") == 0) == (c->at == 0),
         "response.created is first and once");
    must(c, (strcmp(type, "response.in_progress") == 0) == (c->at == 1),
         "response.in_progress is second and once");

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        n = strlen(texts[i].type);

        if (strncmp(type, texts[i].type, n) == 0 && type[n] == '.'
            && (strcmp(type + n, ".delta") == 0
                || strcmp(type + n, ".done") == 0))
        {
            check_text(c, doc, &texts[i], strcmp(type + n, ".done") == 0);
            return;
        }
    }

    if (strncmp(type, "response.output_item.", 21) == 0) {
        check_item(c, doc, strcmp(type + 21, "added") == 0);

    } else if (strncmp(type, "response.content_part.", 22) == 0) {
        check_part(c, doc, strcmp(type + 22, "added") == 0);

    } else if (strncmp(type, "response.reasoning_summary_part.", 32) == 0) {
        check_part(c, doc, strcmp(type + 32, "added") == 0);

    } else if (strcmp(type, "response.completed") == 0
               || strcmp(type, "response.incomplete") == 0
               || strcmp(type, "response.failed") == 0)
    {
        check_end(c, doc, type, last);

    } else {
        must(c, c->at < 2 || strcmp(type, "error") == 0
                || strcmp(type, "response.output_text.annotation.added") == 0,
             "an event of no known type");
    }
}


static void
collect(json_t *said, const matrix_frame_t *f)
{
    json_array_append_new(json_object_get(said, "frames"),
                          json_pack("{s:s?, s:O?}", "type", f->type, "doc",
                                    f->doc));
}


char *
matrix_strict_responses(const matrix_side_t *side, const matrix_run_t *r,
    size_t *checks)
{
    size_t          n;
    json_t         *said, *frame, *doc, *frames;
    cycle_t         c;
    const char     *type;
    matrix_side_t   reader;

    memset(&c, 0, sizeof(c));
    reader = *side;
    reader.read = collect;
    said = matrix_frames(&reader, r->p, r->n);
    frames = json_object_get(said, "frames");
    n = json_array_size(frames);

    c.items = json_array();
    c.ended = json_array();
    c.done = r->rc == LLM_DONE;
    type = "";

    json_array_foreach(frames, c.at, frame) {
        doc = at(frame, "doc");
        type = word(doc, "type");

        must(&c, strcmp(word(frame, "type"), type) == 0,
             "event: and type are not the same");
        must(&c, json_is_integer(at(doc, "sequence_number"))
                 && json_integer_value(at(doc, "sequence_number"))
                    == (json_int_t) c.at, "sequence_number");
        check_event(&c, doc, type, c.at + 1 == n);
    }

    must(&c, strcmp(type, "response.failed") == 0
             || (c.done && (strcmp(type, "response.completed") == 0
                            || strcmp(type, "response.incomplete") == 0)),
         "no end");

    json_decref(c.items);
    json_decref(c.ended);
    json_decref(said);
    *checks = c.checks;

    return c.wrong;
}
