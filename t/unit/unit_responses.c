/*
 * Reading a stream of the openai-responses dialect as its official SDKs do.
 */

#include "unit_responses.h"


const char *
responses_str(const json_t *o, const char *name)
{
    const char  *s;

    s = json_string_value(json_object_get(o, name));

    return s != NULL ? s : "(none)";
}


static unsigned
num(const json_t *o, const char *name, unsigned below)
{
    json_t  *v;

    v = json_object_get(o, name);
    assert_true(json_is_number(v));
    assert_true(json_number_value(v) >= 0);
    assert_true(json_number_value(v) < below);

    return (unsigned) json_number_value(v);
}


/* The members that the types of the SDKs require of a response. */
static void
check_response(responses_reader_t *r, const json_t *response)
{
    size_t  i;

    static const char *const  names[] = {
        "id", "object", "created_at", "status", "error",
        "incomplete_details", "instructions", "metadata", "model", "output",
        "parallel_tool_calls", "temperature", "tool_choice", "tools",
        "top_p", "usage"
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (json_object_get(response, names[i]) == NULL) {
            fail_msg("no member %s", names[i]);
        }
    }

    assert_string_equal(responses_str(response, "object"), "response");
    assert_true(json_is_array(json_object_get(response, "output")));

    if (r->id == NULL) {
        r->id = json_object_get(response, "id");
    }

    assert_true(json_equal(r->id, json_object_get(response, "id")));
}


static void
read_item(responses_reader_t *r, const char *type, json_t *ev)
{
    unsigned  index;
    json_t   *item;

    index = num(ev, "output_index", RESPONSES_ITEMS);
    item = json_object_get(ev, "item");
    assert_true(json_is_object(item));

    if (strcmp(type, "response.output_item.added") == 0) {
        assert_int_equal(index, r->items);
        r->items++;
        r->added[index] = item;
        return;
    }

    assert_non_null(r->added[index]);
    assert_null(r->done[index]);
    assert_int_equal(r->part_open[index], 0);

    assert_string_equal(responses_str(item, "id"),
                        responses_str(r->added[index], "id"));
    assert_string_equal(responses_str(item, "type"),
                        responses_str(r->added[index], "type"));
    assert_string_equal(responses_str(item, "call_id"),
                        responses_str(r->added[index], "call_id"));
    r->done[index] = item;
}


/* An event about a part: it belongs to an item that is open. */
static unsigned
read_part(responses_reader_t *r, const char *type, json_t *ev, unsigned *index)
{
    unsigned     part;
    const char  *name;

    *index = num(ev, "output_index", RESPONSES_ITEMS);
    assert_non_null(r->added[*index]);
    assert_null(r->done[*index]);
    assert_string_equal(responses_str(ev, "item_id"),
                        responses_str(r->added[*index], "id"));

    if (strstr(type, "arguments") != NULL) {
        return 0;
    }

    name = strstr(type, "summary") != NULL ? "summary_index"
                                           : "content_index";
    part = num(ev, name, RESPONSES_PARTS);

    if (strstr(type, "part.added") != NULL) {
        assert_int_equal(part, r->parts[*index]++);
        assert_int_equal(r->part_open[*index], 0);
        r->part_open[*index] = 1;

    } else {
        assert_int_equal(part + 1, r->parts[*index]);
        assert_int_equal(r->part_open[*index], 1);
    }

    if (strstr(type, "part.done") != NULL) {
        r->part_open[*index] = 0;
    }

    return part;
}


/* Whether the deltas make the whole.  The halves of a surrogate pair that
 * came in two of them are two U+FFFD to a reader of each. */
static int
is_whole(const char *deltas, const char *whole)
{
    static const char  halves[] = "\xef\xbf\xbd\xef\xbf\xbd";

    while (*deltas != '\0') {

        if (strncmp(deltas, halves, 6) == 0
            && (unsigned char) *whole >= 0xf0 && strlen(whole) >= 4)
        {
            deltas += 6;
            whole += 4;

        } else if (*deltas++ != *whole++) {
            return 0;
        }
    }

    return *whole == '\0';
}


static void
read_said(responses_reader_t *r, const char *type, json_t *ev)
{
    unsigned     index, part;
    const char  *s;
    unit_out_t  *text;

    part = read_part(r, type, ev, &index);
    text = &r->text[index][part];

    if (strstr(type, ".delta") != NULL) {
        s = json_string_value(json_object_get(ev, "delta"));
        assert_non_null(s);

        if (text->p == NULL) {
            unit_out_init(text, 0, 0);
        }

        llm_out(&text->out, s, strlen(s));

        if (strcmp(type, "response.output_text.delta") == 0) {
            assert_true(json_is_array(json_object_get(ev, "logprobs")));
        }

    } else if (strstr(type, "part.") == NULL && strstr(type, ".done") != NULL)
    {
        s = strstr(type, "arguments") != NULL ? responses_str(ev, "arguments")
            : strstr(type, "refusal") != NULL ? responses_str(ev, "refusal")
            : responses_str(ev, "text");

        if (text->p == NULL) {
            unit_out_init(text, 0, 0);
        }

        unit_out_end(text);

        if (!is_whole((char *) text->p, s)) {
            fail_msg("%s: %s, of %s", type, s, (char *) text->p);
        }
    }
}


/* One event; it must fit all that came before it. */
static void
read_event(responses_reader_t *r, const char *name, json_t *ev)
{
    const char  *type;

    type = responses_str(ev, "type");

    assert_string_equal(type, name);
    assert_int_equal(num(ev, "sequence_number", 1000), r->events);
    assert_int_equal(r->events == 0, strcmp(type, "response.created") == 0);

    strcat(r->order, r->events != 0 ? " " : "");
    strcat(r->order, strncmp(type, "response.", 9) == 0 ? type + 9 : type);
    r->events++;
    json_decref(r->last);
    r->last = json_incref(ev);

    if (json_object_get(ev, "response") != NULL) {
        check_response(r, json_object_get(ev, "response"));

    } else if (strstr(type, "output_item") != NULL) {
        read_item(r, type, ev);

    } else if (strcmp(type, "error") != 0) {
        read_said(r, type, ev);
    }
}


void
responses_check_output(responses_reader_t *r)
{
    size_t   i;
    json_t  *output, *list;

    output = json_object_get(json_object_get(r->last, "response"), "output");
    list = json_array();

    for (i = 0; i < r->items; i++) {
        assert_non_null(r->done[i]);
        json_array_append(list, r->done[i]);
    }

    if (!json_equal(list, output)) {
        fail_msg("output is\n%s\nitems were\n%s",
                 json_dumps(output, JSON_INDENT(1)),
                 json_dumps(list, JSON_INDENT(1)));
    }

    json_decref(list);
}


void
responses_read(responses_reader_t *r, char *stream, json_t **keep)
{
    char    *p, *name, *data, *end;
    json_t  *ev;

    memset(r, 0, sizeof(responses_reader_t));
    *keep = json_array();

    for (p = stream; *p != '\0'; p = end + 2) {
        end = strstr(p, "\n\n");
        assert_non_null(end);
        assert_int_equal(strncmp(p, "event: ", 7), 0);

        name = p + 7;
        data = strchr(p, '\n');
        assert_int_equal(strncmp(data, "\ndata: ", 7), 0);
        *data = '\0';
        data += 7;
        assert_ptr_equal(strchr(data, '\n'), end);

        ev = unit_parse((llm_u8 *) data, (size_t) (end - data), NULL);

        if (ev == NULL) {
            fail_msg("no JSON: %s", data);
        }

        json_array_append_new(*keep, ev);
        read_event(r, name, ev);
    }
}


void
responses_close(responses_reader_t *r, json_t *keep)
{
    size_t  i, k;

    for (i = 0; i < RESPONSES_ITEMS; i++) {
        for (k = 0; k < RESPONSES_PARTS; k++) {
            if (r->text[i][k].p != NULL) {
                unit_out_free(&r->text[i][k]);
            }
        }
    }

    json_decref(r->last);
    json_decref(keep);
}
