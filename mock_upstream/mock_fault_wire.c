/*
 * What the faults of events are in the dialects that the wire library
 * writes.  Where the stream's own encoder would not say something (content
 * after its end), an encoder of its own, an aside, says it, and its last
 * frame is put into the stream.
 */

#include <string.h>

#include "llm_error.h"
#include "llm_json.h"
#include "mock_fault.h"


/* values of one event that are changed, replacements for each */
#define MOCK_FAULT_VALUES  64
#define MOCK_FAULT_NEST    16


/* Sends bytes that an encoder wrote, without marks. */
static void
mock_fault_put(mock_chat_t *x, const mock_buf_t *b)
{
    mock_chat_put(x, b, 0);
    mock_chat_emit_event(x);
}


/* The last frame of b.  0: there is none. */
static int
mock_fault_last(const mock_chat_t *x, const mock_buf_t *b, mock_frame_t *f)
{
    int           found;
    mock_frame_t  next;

    found = 0;
    memset(&next, 0, sizeof(next));
    *f = next;

    while (mock_wire_next(&x->wire, b, &next)) {
        *f = next;
        found = 1;
    }

    return found;
}


/* Leaves only the last frame in b. */
static void
mock_fault_keep_last(const mock_chat_t *x, mock_buf_t *b)
{
    mock_frame_t  f;

    if (mock_fault_last(x, b, &f)) {
        b->n = f.end;
        mock_wire_splice(b, 0, f.from, "", 0);
    }
}


/* What a fresh encoder says of an event of this type with this text, when it
 * has started; an array goes on as the stream's own. */
static void
mock_fault_aside(mock_chat_t *x, mock_buf_t *b, llm_event_type_t type,
    const char *text)
{
    mock_wire_t  w;
    llm_event_t  ev;

    mock_wire_init(&w, x->route.row, x->route.array, x->opt.created,
                   x->opt.seed);
    w.e.elements = x->wire.e.elements;
    mock_wire_event(&ev, LLM_EV_START, 0);
    ev.id = mock_wire_inside("aside", 5);
    ev.model = mock_wire_inside(x->req.model.p, x->req.model.n);
    ev.created = x->opt.created;
    mock_wire_encode(&w, b, &ev);

    if (type != LLM_EV_START) {
        b->n = 0;
        mock_wire_event(&ev, type, 0);
        ev.text = mock_wire_inside(text, strlen(text));
        ev.finish = LLM_FINISH_STOP;
        mock_wire_encode(&w, b, &ev);
    }

    if (type == LLM_EV_FINISH) {
        mock_wire_event(&ev, LLM_EV_END, 0);
        mock_wire_encode(&w, b, &ev);
    }

    x->wire.e.elements = w.e.elements;
    mock_wire_free(&w);
}


/* One frame of content from an aside. */
static void
mock_fault_content(mock_chat_t *x, mock_buf_t *b, const char *text)
{
    mock_fault_aside(x, b, LLM_EV_TEXT, text);
    mock_fault_keep_last(x, b);
}


size_t
mock_fault_wire_rest(mock_chat_t *x)
{
    size_t        rest;
    mock_buf_t    b;
    llm_event_t   ev;
    mock_frame_t  f;

    memset(&b, 0, sizeof(b));
    mock_wire_event(&ev, LLM_EV_TEXT, 0);
    ev.text = llm_slice("h");
    mock_wire_encode(&x->wire, &b, &ev);
    mock_fault_put(x, &b);
    rest = mock_fault_last(x, &b, &f) ? f.data_end - f.data - 1 : 0;
    mock_buf_free(&b);

    return rest;
}


void
mock_fault_wire_open(mock_chat_t *x)
{
    size_t      at;
    mock_buf_t  b;

    memset(&b, 0, sizeof(b));
    mock_fault_content(x, &b, "lllll");
    at = mock_wire_find(&b, 0, b.n, "lllll");
    b.n = at == SIZE_MAX ? b.n : at;
    mock_buf_add(&x->event, b.p, b.n);
    mock_buf_free(&b);
}


/* The error event that OpenAI's Responses really has, without the member that
 * its libraries look for, and no response.failed behind it. */
static void
mock_fault_flat(mock_buf_t *b)
{
    size_t  at, end;

    at = mock_wire_find(b, 0, b->n, ",\"error\":{");
    end = at == SIZE_MAX ? at : mock_wire_find(b, at, b->n, "\n\n");

    if (end != SIZE_MAX) {
        b->n = end + 2;
        mock_wire_splice(b, at, end - 1, "", 0);
    }
}


/* 1 the server's, 2 overloaded, 3 status= (429), 4 the limit of a rate, with
 * a time, 5 as 1, for Responses in the API's own form */
void
mock_fault_wire_error(mock_chat_t *x)
{
    mock_buf_t   b;
    llm_error_t  err;
    llm_event_t  ev;

    static const int  statuses[] = { 500, 503, 429, 429 };

    memset(&err, 0, sizeof(err));
    err.status = statuses[(x->opt.variant - 1) & 3];
    err.retry_after = x->opt.variant == 4 ? 2000 : -1;
    err.message = llm_slice("The mock failed as asked.");

    if (x->opt.variant == 3 && x->opt.status) {
        err.status = (int) x->opt.status;
    }

    llm_error_classify(&err);

    if (mock_dialect_openai(&x->route)) {
        err.type = llm_error_words(err.cls)->openai_type;
        err.code = llm_error_words(err.cls)->openai_code;
    }

    mock_wire_event(&ev, LLM_EV_ERROR, 0);
    ev.error = &err;

    memset(&b, 0, sizeof(b));
    mock_wire_encode(&x->wire, &b, &ev);

    if (x->opt.variant == 5 && x->wire.row == &llm_dialect_responses) {
        mock_fault_flat(&b);
    }

    mock_fault_put(x, &b);
    mock_buf_free(&b);
}


void
mock_fault_wire_done(mock_chat_t *x)
{
    mock_buf_t  b;

    memset(&b, 0, sizeof(b));
    mock_fault_aside(x, &b, LLM_EV_FINISH, "stop");
    mock_fault_keep_last(x, &b);
    mock_fault_put(x, &b);
    mock_buf_free(&b);
}


/* Takes out of b what stands between a place in its last frame and the end
 * of that frame's data. */
static void
mock_fault_cut_at(const mock_chat_t *x, mock_buf_t *b, const char *text,
    size_t n)
{
    size_t        at;
    mock_frame_t  f;

    if (mock_fault_last(x, b, &f)) {
        at = mock_wire_find(b, f.data, f.data_end, text);

        if (at != SIZE_MAX) {
            mock_wire_splice(b, at + n, f.data_end, "", 0);
        }
    }
}


void
mock_fault_wire_cut(mock_chat_t *x, const char *text)
{
    mock_buf_t  b;

    memset(&b, 0, sizeof(b));
    mock_fault_content(x, &b, text);
    mock_fault_cut_at(x, &b, text, strlen(text));
    mock_fault_put(x, &b);
    mock_buf_free(&b);
}


void
mock_fault_wire_invalid(mock_chat_t *x, unsigned variant)
{
    mock_buf_t    b;
    mock_frame_t  f;

    static const char  no[] = "upstream says no";

    if (variant == 0) {
        mock_fault_wire_cut(x, " broken");
        return;
    }

    memset(&b, 0, sizeof(b));
    mock_fault_content(x, &b, "x");

    if (mock_fault_last(x, &b, &f)) {
        if (variant == 1) {
            mock_wire_splice(&b, f.data, f.data_end, no, sizeof(no) - 1);
        } else {
            mock_wire_splice(&b, f.data_end, f.data_end, " tail", 5);
        }
    }

    mock_fault_put(x, &b);
    mock_buf_free(&b);
}


void
mock_fault_wire_twice(mock_chat_t *x)
{
    size_t        n;
    mock_buf_t    b;
    mock_frame_t  f;

    mock_chat_encode(x, x->k);
    memset(&b, 0, sizeof(b));
    memset(&f, 0, sizeof(f));

    while (mock_wire_next(&x->wire, &x->bytes, &f)) {
        n = f.end - f.from;
        mock_buf_add(&b, x->bytes.p + f.from, n);
        mock_buf_add(&b, x->bytes.p + f.from, n);
    }

    mock_buf_add(&b, x->bytes.p + f.end, x->bytes.n - f.end);
    mock_fault_put(x, &b);
    mock_buf_free(&b);
}


void
mock_fault_wire_late(mock_chat_t *x)
{
    size_t        at;
    mock_buf_t    b;
    mock_frame_t  f;
    const char   *done;

    mock_chat_encode(x, x->k);
    memset(&b, 0, sizeof(b));
    memset(&f, 0, sizeof(f));
    mock_fault_content(x, &b, " late");
    done = x->route.dialect->done[0];
    at = SIZE_MAX;

    while (mock_wire_next(&x->wire, &x->bytes, &f)) {
        if (at == SIZE_MAX && done
            && mock_wire_find(&x->bytes, f.data, f.data_end, done)
               != SIZE_MAX)
        {
            at = f.from;
        }
    }

    at = at == SIZE_MAX ? f.end : at;
    mock_wire_splice(&x->bytes, at, at, b.p, b.n);
    mock_fault_put(x, &x->bytes);
    mock_buf_free(&b);
}


void
mock_fault_wire_after(mock_chat_t *x)
{
    mock_buf_t  b;

    memset(&b, 0, sizeof(b));
    mock_fault_content(x, &b, " after done");
    mock_fault_put(x, &b);
    mock_buf_free(&b);
}


/* Where there are choices the encoder says them; blocks are those of an
 * aside, which begins with the first, with another number. */
void
mock_fault_wire_indexed(mock_chat_t *x, unsigned index, const char *text)
{
    size_t        at;
    unsigned      i;
    mock_buf_t    b, number;

    static const char  *members[] = {
        "\"output_index\":0", "\"index\":0"
    };

    memset(&b, 0, sizeof(b));
    memset(&number, 0, sizeof(number));
    mock_buf_uint(&number, index);
    mock_fault_aside(x, &b, LLM_EV_TEXT, text);

    for (i = 0; i < 2; i++) {
        for (at = mock_wire_find(&b, 0, b.n, members[i]);
             at != SIZE_MAX;
             at = mock_wire_find(&b, at + 1, b.n, members[i]))
        {
            at += strlen(members[i]) - 1;
            mock_wire_splice(&b, at, at + 1, number.p, number.n);
        }
    }

    mock_fault_put(x, &b);
    mock_buf_free(&number);
    mock_buf_free(&b);
}


/* Appends a JSON value with the members of its objects in reverse order and
 * the first letter of every name as an escape. */
static void
mock_fault_reverse(mock_buf_t *b, const llm_slice_t *value, unsigned depth)
{
    size_t           i, n;
    llm_json_t       j;
    llm_slice_t      names[MOCK_FAULT_VALUES], values[MOCK_FAULT_VALUES];
    llm_json_type_t  type;

    llm_json_init(&j, value->p, value->n, LLM_JSON_DEPTH_MAX);
    type = llm_json_next(&j);

    if (depth == MOCK_FAULT_NEST
        || (type != LLM_JSON_OBJECT && type != LLM_JSON_ARRAY))
    {
        mock_buf_add(b, value->p, value->n);
        return;
    }

    for (n = 0; n < MOCK_FAULT_VALUES; n++) {
        if (type == LLM_JSON_OBJECT) {
            if (llm_json_next(&j) != LLM_JSON_KEY) {
                break;
            }

            names[n] = j.tok;
        }

        if (llm_json_skip(&j, &values[n]) == LLM_JSON_ARRAY_END) {
            break;
        }
    }

    mock_buf_str(b, type == LLM_JSON_OBJECT ? "{" : "[");

    for (i = 0; i < n; i++) {
        mock_buf_str(b, i ? "," : "");

        if (type == LLM_JSON_ARRAY) {
            mock_fault_reverse(b, &values[i], depth + 1);
            continue;
        }

        mock_buf_fmt(b, "\"\\u00%02x", names[n - 1 - i].p[0]);
        mock_buf_add(b, names[n - 1 - i].p + 1, names[n - 1 - i].n - 1);
        mock_buf_lit(b, "\":");
        mock_fault_reverse(b, &values[n - 1 - i], depth + 1);
    }

    mock_buf_str(b, type == LLM_JSON_OBJECT ? "}" : "]");
}


/* Members in another order and with escapes; then a duplicate of the text. */
void
mock_fault_wire_order(mock_chat_t *x)
{
    size_t        at, key;
    mock_buf_t    b, other;
    llm_slice_t   data;
    mock_frame_t  f;

    static const char  first[] = ":\" first\"";

    memset(&b, 0, sizeof(b));
    memset(&other, 0, sizeof(other));
    mock_fault_content(x, &b, " order");

    if (mock_fault_last(x, &b, &f)) {
        data = (llm_slice_t) { b.p + f.data, f.data_end - f.data, 0 };
        mock_fault_reverse(&other, &data, 0);
        mock_wire_splice(&b, f.data, f.data_end, other.p, other.n);
        mock_fault_put(x, &b);
    }

    b.n = 0;
    other.n = 0;
    mock_fault_content(x, &b, " first");
    at = mock_wire_find(&b, 0, b.n, first);

    if (at != SIZE_MAX) {
        for (key = at - 1; b.p[key - 1] != '"'; key--) {
            continue;
        }

        mock_buf_lit(&other, ",");
        mock_buf_add(&other, b.p + key - 1, at - key + 1);
        mock_buf_lit(&other, ":\" second\"");
        at += sizeof(first) - 1;
        mock_wire_splice(&b, at, at, other.p, other.n);
    }

    mock_fault_put(x, &b);
    mock_buf_free(&other);
    mock_buf_free(&b);
}


void
mock_fault_wire_deep(mock_chat_t *x, size_t n, unsigned closed)
{
    mock_buf_t    b, deep;
    mock_frame_t  f;

    memset(&b, 0, sizeof(b));
    memset(&deep, 0, sizeof(deep));
    mock_fault_content(x, &b, " deep");
    mock_buf_lit(&deep, ",\"deep\":");
    mock_buf_fill(&deep, '[', n);

    if (closed) {
        mock_buf_fill(&deep, ']', n);
        mock_buf_lit(&deep, "}");
    }

    if (mock_fault_last(x, &b, &f)) {
        mock_wire_splice(&b, f.data_end - 1, f.data_end, deep.p, deep.n);
    }

    mock_fault_put(x, &b);
    mock_buf_free(&deep);
    mock_buf_free(&b);
}


/* Where the values of a document are: offset and length of each. */
static size_t
mock_fault_values(const unsigned char *p, size_t n, size_t *at, size_t *size,
    llm_json_type_t *types)
{
    size_t           i;
    llm_json_t       j, rest;
    llm_slice_t      raw;
    llm_json_type_t  type;

    i = 0;
    llm_json_init(&j, p, n, LLM_JSON_DEPTH_MAX);

    for (type = llm_json_next(&j);
         type != LLM_JSON_END && type != LLM_JSON_ERROR
         && i < MOCK_FAULT_VALUES;
         type = llm_json_next(&j))
    {
        if (type == LLM_JSON_KEY || type == LLM_JSON_OBJECT_END
            || type == LLM_JSON_ARRAY_END || j.start == p)
        {
            continue;
        }

        at[i] = (size_t) (j.start - p);
        llm_json_init(&rest, j.start, n - at[i], LLM_JSON_DEPTH_MAX);
        types[i] = llm_json_skip(&rest, &raw);
        size[i++] = raw.n;
    }

    return i;
}


/* The frame, once for every value in it and every other type. */
static void
mock_fault_confuse(mock_chat_t *x, const mock_buf_t *b)
{
    size_t            i, n, at[MOCK_FAULT_VALUES], size[MOCK_FAULT_VALUES];
    unsigned          k;
    mock_buf_t        one;
    mock_frame_t      f;
    llm_json_type_t   types[MOCK_FAULT_VALUES];

    static const struct {
        const char       *text;
        llm_json_type_t   type;
    } others[] = {
        { "7", LLM_JSON_NUMBER }, { "\"7\"", LLM_JSON_STRING },
        { "null", LLM_JSON_NULL }, { "true", LLM_JSON_TRUE },
        { "[null,1,[]]", LLM_JSON_ARRAY },
        { "{\"text\":\"a\"}", LLM_JSON_OBJECT }
    };

    if (!mock_fault_last(x, b, &f) || b->p[f.data] != '{') {
        return;
    }

    memset(&one, 0, sizeof(one));
    n = mock_fault_values(b->p + f.data, f.data_end - f.data, at, size,
                          types);

    for (i = 0; i < n; i++) {
        for (k = 0; k < sizeof(others) / sizeof(others[0]); k++) {
            if (others[k].type == types[i]
                || (others[k].type == LLM_JSON_TRUE
                    && types[i] == LLM_JSON_FALSE))
            {
                continue;
            }

            one.n = 0;
            mock_buf_add(&one, b->p + f.from, f.end - f.from);
            mock_wire_splice(&one, f.data - f.from + at[i],
                             f.data - f.from + at[i] + size[i],
                             others[k].text, strlen(others[k].text));
            mock_fault_put(x, &one);
        }
    }

    mock_buf_free(&one);
}


/* Every value of the events that begin a stream and carry its text, with
 * every wrong type. */
void
mock_fault_wire_types(mock_chat_t *x)
{
    unsigned    i;
    mock_buf_t  b;

    static const llm_event_type_t  types[] = {
        LLM_EV_START, LLM_EV_REASONING, LLM_EV_TEXT
    };

    memset(&b, 0, sizeof(b));

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        b.n = 0;
        mock_fault_aside(x, &b, types[i], " odd");
        mock_fault_confuse(x, &b);
    }

    mock_buf_free(&b);
}
