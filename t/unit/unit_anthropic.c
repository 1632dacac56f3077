/*
 * An independent reader of the Anthropic dialect.
 */

#include "unit_anthropic.h"


typedef struct {
    const char     *what;
    unsigned        strict;
    json_t         *message;
    json_t         *content;
    json_t         *open;           /* the block that is open, or NULL */
    unsigned        started;
    unsigned        stopped;        /* message_delta with a reason was there */
    unsigned        sealed;         /* the thinking has its signature */
    unsigned        ended;
    char            order[65536];
} reader_t;


#define expect(r, cond)                                                     \
    if ((r)->strict && !(cond)) {                                           \
        fail_msg("%s: not legal: %s after \"%s\"", (r)->what, #cond,        \
                 (r)->order);                                               \
    }


static const char *
text(json_t *o, const char *name)
{
    const char  *s;

    s = json_string_value(json_object_get(o, name));

    return s != NULL ? s : "";
}


static void
append(json_t *o, const char *name, const char *more)
{
    char        *s;
    const char  *old;

    old = text(o, name);
    s = malloc(strlen(old) + strlen(more) + 1);
    assert_non_null(s);
    strcpy(s, old);
    strcat(s, more);
    json_object_set_new(o, name, json_string_nocheck(s));
    free(s);
}


static void
merge(json_t *to, const char *name, json_t *from)
{
    json_t  *o;

    if (!json_is_object(from)) {
        return;
    }

    o = json_object_get(to, name);

    if (o == NULL) {
        o = json_object();
        json_object_set_new(to, name, o);
    }

    json_object_update(o, from);
}


static void
read_start(reader_t *r, json_t *ev)
{
    json_t  *m, *usage;

    expect(r, !r->started);

    m = json_object_get(ev, "message");
    usage = json_object_get(m, "usage");

    expect(r, json_is_object(m));
    expect(r, text(m, "id")[0] != '\0');
    expect(r, strcmp(text(m, "type"), "message") == 0);
    expect(r, strcmp(text(m, "role"), "assistant") == 0);
    expect(r, json_is_string(json_object_get(m, "model")));
    expect(r, json_is_array(json_object_get(m, "content")));
    expect(r, json_array_size(json_object_get(m, "content")) == 0);
    expect(r, json_is_null(json_object_get(m, "stop_reason")));
    expect(r, json_is_null(json_object_get(m, "stop_sequence")));
    expect(r, json_is_number(json_object_get(usage, "input_tokens")));
    expect(r, json_is_number(json_object_get(usage, "output_tokens")));

    if (!r->started) {
        json_object_set(r->message, "id", json_object_get(m, "id"));
        json_object_set(r->message, "model", json_object_get(m, "model"));
    }

    merge(r->message, "usage", usage);
    r->started = 1;
}


static int
is_tool(json_t *block)
{
    const char  *type;

    type = text(block, "type");

    return strlen(type) >= 8 && strcmp(type + strlen(type) - 8, "tool_use")
           == 0;
}


static void
read_block(reader_t *r, json_t *ev)
{
    json_t      *b;
    const char  *type;

    b = json_object_get(ev, "content_block");
    type = text(b, "type");

    expect(r, r->started && !r->stopped && r->open == NULL);
    expect(r, json_integer_value(json_object_get(ev, "index"))
              == (json_int_t) json_array_size(r->content)
              || json_number_value(json_object_get(ev, "index"))
              == (double) json_array_size(r->content));
    expect(r, json_is_object(b) && type[0] != '\0');

    if (strcmp(type, "text") == 0) {
        expect(r, json_is_string(json_object_get(b, "text")));
        expect(r, text(b, "text")[0] == '\0');

    } else if (strcmp(type, "thinking") == 0) {
        expect(r, json_is_string(json_object_get(b, "thinking")));
        expect(r, json_is_string(json_object_get(b, "signature")));

    } else if (strcmp(type, "redacted_thinking") == 0) {
        expect(r, text(b, "data")[0] != '\0');

    } else if (strcmp(type, "tool_use") == 0) {
        expect(r, text(b, "id")[0] != '\0');
        expect(r, json_is_string(json_object_get(b, "name")));
        expect(r, json_is_object(json_object_get(b, "input")));
        expect(r, json_object_size(json_object_get(b, "input")) == 0);
    }

    r->sealed = 0;
    r->open = json_deep_copy(b);
    json_array_append_new(r->content, r->open);
}


static void
read_delta(reader_t *r, json_t *ev)
{
    json_t      *d, *list;
    const char  *type, *block;

    d = json_object_get(ev, "delta");
    type = text(d, "type");

    expect(r, r->open != NULL);
    expect(r, json_number_value(json_object_get(ev, "index"))
              == (double) json_array_size(r->content) - 1);

    if (r->open == NULL) {
        return;
    }

    block = text(r->open, "type");

    if (strcmp(type, "text_delta") == 0) {
        expect(r, strcmp(block, "text") == 0);
        append(r->open, "text", text(d, "text"));

    } else if (strcmp(type, "thinking_delta") == 0) {
        expect(r, strcmp(block, "thinking") == 0 && !r->sealed);
        append(r->open, "thinking", text(d, "thinking"));

    } else if (strcmp(type, "signature_delta") == 0) {
        expect(r, strcmp(block, "thinking") == 0 && !r->sealed);
        append(r->open, "signature", text(d, "signature"));
        r->sealed = 1;

    } else if (strcmp(type, "input_json_delta") == 0) {
        expect(r, is_tool(r->open));
        append(r->open, "json", text(d, "partial_json"));

    } else if (strcmp(type, "citations_delta") == 0) {
        expect(r, strcmp(block, "text") == 0);
        expect(r, json_is_object(json_object_get(d, "citation")));
        list = json_object_get(r->open, "citations");

        if (!json_is_array(list)) {
            list = json_array();
            json_object_set_new(r->open, "citations", list);
        }

        json_array_append(list, json_object_get(d, "citation"));

    } else {
        expect(r, strcmp(block, "text") != 0);
    }
}


/* A call that said no arguments has none. */
static void
read_stop(reader_t *r)
{
    if (r->open != NULL && strcmp(text(r->open, "type"), "tool_use") == 0
        && text(r->open, "json")[0] == '\0')
    {
        append(r->open, "json", "{}");
    }

    r->open = NULL;
}


static void
read_message_delta(reader_t *r, json_t *ev)
{
    json_t      *d, *v;
    size_t       i;
    const char  *const  names[] = {
        "stop_reason", "stop_sequence", "stop_details"
    };

    d = json_object_get(ev, "delta");

    expect(r, r->started && r->open == NULL && !r->stopped);
    expect(r, json_is_string(json_object_get(d, "stop_reason")));
    expect(r, json_object_get(d, "stop_sequence") != NULL);
    expect(r, json_is_number(json_object_get(json_object_get(ev, "usage"),
                                             "output_tokens")));

    for (i = 0; i < 3; i++) {
        v = json_object_get(d, names[i]);

        if (v != NULL && !json_is_null(v)) {
            json_object_set(r->message, names[i], v);
        }
    }

    merge(r->message, "usage", json_object_get(ev, "usage"));
    r->stopped = 1;
}


static void
read_event(reader_t *r, const char *name, json_t *ev)
{
    const char  *type;

    type = text(ev, "type");

    expect(r, strcmp(name, type) == 0);
    expect(r, !r->ended && json_object_get(r->message, "error") == NULL);

    if (r->order[0] != '\0') {
        strcat(r->order, " ");
    }

    strcat(r->order, type);
    assert_true(strlen(r->order) < sizeof(r->order) - 256);

    if (strcmp(type, "message_start") == 0) {
        read_start(r, ev);

    } else if (strcmp(type, "content_block_start") == 0) {
        read_block(r, ev);

    } else if (strcmp(type, "content_block_delta") == 0) {
        read_delta(r, ev);

    } else if (strcmp(type, "content_block_stop") == 0) {
        expect(r, r->open != NULL);
        expect(r, json_number_value(json_object_get(ev, "index"))
                  == (double) json_array_size(r->content) - 1);
        read_stop(r);

    } else if (strcmp(type, "message_delta") == 0) {
        read_message_delta(r, ev);

    } else if (strcmp(type, "message_stop") == 0) {
        expect(r, r->stopped);
        r->ended = 1;

    } else if (strcmp(type, "error") == 0) {
        json_object_set(r->message, "error", json_object_get(ev, "error"));

    } else {
        expect(r, strcmp(type, "ping") == 0);
    }
}


/* One event: its name, and its data, both with a NUL. */
static void
read_frame(reader_t *r, const char *name, const char *data)
{
    json_t        *ev;
    json_error_t   error;

    if (data[0] == '\0') {
        expect(r, name[0] == '\0');
        return;
    }

    ev = unit_parse((const llm_u8 *) data, strlen(data), &error);

    if (ev == NULL) {
        fail_msg("%s: no JSON: %s: %s", r->what, error.text, data);
    }

    read_event(r, name, ev);
    json_decref(ev);
}


/* The value of a line of a field, or NULL. */
static char *
field(char *line, const char *name)
{
    size_t  n;

    n = strlen(name);

    if (strncmp(line, name, n) != 0 || line[n] != ':') {
        return NULL;
    }

    return line[n + 1] == ' ' ? line + n + 2 : line + n + 1;
}


static void
read_lines(reader_t *r, char *p)
{
    char  *line, *end, *value, *name, *data;

    name = strdup("");
    data = strdup("");

    for (line = p; line != NULL; line = end) {
        end = strchr(line, '\n');

        if (end != NULL) {
            *end++ = '\0';
        }

        if (line[0] == '\0') {
            read_frame(r, name, data);
            name[0] = '\0';
            data[0] = '\0';

        } else if ((value = field(line, "event")) != NULL) {
            free(name);
            name = strdup(value);

        } else if ((value = field(line, "data")) != NULL) {
            expect(r, data[0] == '\0');
            free(data);
            data = strdup(value);

        } else {
            expect(r, line[0] == ':');
        }
    }

    /* a last event without its blank line */

    read_frame(r, name, data);

    free(name);
    free(data);
}


json_t *
anthropic_read(const char *what, const void *p, size_t n, unsigned strict)
{
    char      *copy;
    reader_t   r;

    copy = malloc(n + 1);
    assert_non_null(copy);
    memcpy(copy, p, n);
    copy[n] = '\0';

    memset(&r, 0, sizeof(reader_t));
    r.what = what;
    r.strict = strict;
    r.message = json_object();
    r.content = json_array();
    json_object_set_new(r.message, "content", r.content);

    read_lines(&r, copy);

    json_object_set_new(r.message, "events", json_string(r.order));
    json_object_set_new(r.message, "ended", json_boolean(r.ended));
    free(copy);

    return r.message;
}


json_t *
anthropic_answer(const void *p, size_t n)
{
    json_t        *m;
    json_error_t   error;

    m = unit_parse(p, n, &error);

    if (m == NULL) {
        fail_msg("no JSON: %s: %.*s", error.text, (int) n, (const char *) p);
    }

    return m;
}


char *
anthropic_join(json_t *message, const char *type, const char *member)
{
    char        *all;
    size_t       i, n;
    json_t      *b;
    const char  *s;

    n = 0;
    all = calloc(1, 1);
    assert_non_null(all);

    json_array_foreach(json_object_get(message, "content"), i, b) {

        if (strcmp(text(b, "type"), type) != 0) {
            continue;
        }

        s = text(b, member);
        all = realloc(all, n + strlen(s) + 1);
        assert_non_null(all);
        strcpy(all + n, s);
        n += strlen(s);
    }

    return all;
}
