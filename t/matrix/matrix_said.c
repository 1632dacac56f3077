/*
 * What an answer says, put together by the readers piece by piece.  It knows
 * no dialect.
 */

#include <stdarg.h>

#include "matrix.h"


/* halves of surrogate pairs, for which JSON libraries have no character, are
 * kept as these characters of plane 15 until their text is whole */
#define HALF_FIRST  0xf0000


char *
matrix_say(const char *format, ...)
{
    int      n;
    char    *text;
    va_list  args;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);

    text = malloc((size_t) n + 1);
    if (text == NULL) {
        abort();
    }

    va_start(args, format);
    (void) vsnprintf(text, (size_t) n + 1, format, args);
    va_end(args);

    return text;
}


json_t *
at(const json_t *o, const char *member)
{
    json_t  *v;

    v = json_object_get(o, member);

    return v == NULL || json_is_null(v) ? NULL : v;
}


const char *
word(const json_t *o, const char *member)
{
    const char  *s;

    s = json_string_value(at(o, member));

    return s != NULL ? s : "";
}


/* The code unit of the escape at p, or -1. */
static long
escape(const char *p, const char *end)
{
    char  digits[5];

    if (end - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return -1;
    }

    memcpy(digits, p + 2, 4);
    digits[4] = '\0';

    return strtol(digits, NULL, 16);
}


/* Copies JSON text; a half of a pair becomes a whole one of plane 15. */
static size_t
mend(char *to, const char *p, size_t n)
{
    long         u, next;
    char        *o;
    const char  *end;

    o = to;
    end = p + n;

    while (p < end) {
        if (*p != '\\' || end - p < 2) {
            *o++ = *p++;
            continue;
        }

        u = escape(p, end);
        next = u >= 0xd800 && u < 0xdc00 ? escape(p + 6, end) : -1;

        if (u < 0xd800 || u > 0xdfff) {
            *o++ = *p++;
            *o++ = *p++;

        } else if (next >= 0xdc00 && next <= 0xdfff) {
            memcpy(o, p, 12);
            o += 12;
            p += 12;

        } else {
            u -= 0xd800;
            o += sprintf(o, "\\u%04lx\\u%04lx", 0xdb80 + (u >> 10),
                         0xdc00 + (u & 0x3ff));
            p += 6;
        }
    }

    return (size_t) (o - to);
}


json_t *
matrix_load(const char *p, size_t n)
{
    char    *text;
    size_t   len;
    json_t  *doc;

    text = malloc(2 * n + 16);
    if (text == NULL) {
        abort();
    }

    len = mend(text, p, n);
    doc = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    free(text);

    return doc;
}


/* The code point of a half at p, which has n bytes, or 0. */
static unsigned
half_at(const unsigned char *p, size_t n)
{
    unsigned  u;

    if (n < 4 || p[0] != 0xf3 || p[1] != 0xb0) {
        return 0;
    }

    u = (unsigned) (p[2] & 0x3f) << 6 | (p[3] & 0x3f);

    return u < 0x800 ? 0xd800 + u : 0;
}


/* Joins the halves in a text that is whole; a single one is U+FFFD. */
static json_t *
joined(const json_t *text)
{
    size_t          i, n, o;
    char           *to;
    json_t         *whole;
    unsigned        u, v, c;
    const unsigned char  *p;

    p = (const unsigned char *) json_string_value(text);
    n = json_string_length(text);
    to = malloc(n + 1);

    if (to == NULL) {
        abort();
    }

    for (i = 0, o = 0; i < n; ) {
        u = half_at(p + i, n - i);

        if (u == 0) {
            to[o++] = (char) p[i++];
            continue;
        }

        v = half_at(p + i + 4, n - i > 4 ? n - i - 4 : 0);

        if (u < 0xdc00 && v >= 0xdc00) {
            c = 0x10000 + ((u & 0x3ff) << 10 | (v & 0x3ff));
            to[o++] = (char) (0xf0 | c >> 18);
            to[o++] = (char) (0x80 | (c >> 12 & 0x3f));
            to[o++] = (char) (0x80 | (c >> 6 & 0x3f));
            to[o++] = (char) (0x80 | (c & 0x3f));
            i += 8;

        } else {
            memcpy(to + o, "\xef\xbf\xbd", 3);
            o += 3;
            i += 4;
        }
    }

    whole = json_stringn(to, o);
    free(to);

    return whole;
}


int
said_same(const char *a, const char *b)
{
    int      same;
    json_t  *x, *y, *p, *q;

    x = json_string(a);
    y = json_string(b);
    p = joined(x);
    q = joined(y);
    same = json_equal(p, q);

    json_decref(x);
    json_decref(y);
    json_decref(p);
    json_decref(q);

    return same;
}


/* The same for every string in v. */
static json_t *
joined_all(const json_t *v)
{
    size_t       i;
    json_t      *member, *copy;
    const char  *key;

    if (json_is_string(v)) {
        return joined(v);
    }

    if (json_is_array(v)) {
        copy = json_array();
        json_array_foreach(v, i, member) {
            json_array_append_new(copy, joined_all(member));
        }

        return copy;
    }

    if (!json_is_object(v)) {
        return json_deep_copy(v);
    }

    copy = json_object();
    json_object_foreach((json_t *) v, key, member) {
        json_object_set_new(copy, key, joined_all(member));
    }

    return copy;
}


json_t *
said_choice(json_t *said, json_int_t index)
{
    char     name[32];
    json_t  *choices, *choice;

    choices = json_object_get(said, "choices");
    (void) snprintf(name, sizeof(name), "%d", (int) index);
    choice = json_object_get(choices, name);

    if (choice == NULL) {
        choice = json_object();
        json_object_set_new(choices, name, choice);
    }

    return choice;
}


static void
append(json_t *o, const char *member, const char *p, size_t n)
{
    char    *text;
    size_t   before;
    json_t  *old;

    old = json_object_get(o, member);
    before = old != NULL ? json_string_length(old) : 0;
    text = malloc(before + n + 1);

    if (text == NULL) {
        abort();
    }

    if (old != NULL) {
        memcpy(text, json_string_value(old), before);
    }

    memcpy(text + before, p, n);
    json_object_set_new(o, member, json_stringn(text, before + n));
    free(text);
}


void
said_add(json_t *said, json_int_t index, const char *member,
    const json_t *text)
{
    if (json_is_string(text) && json_string_length(text) != 0) {
        append(said_choice(said, index), member, json_string_value(text),
               json_string_length(text));
    }

    if (strcmp(member, "signature") == 0 || strcmp(member, "withheld") == 0) {
        said_add(said, index, "sealed", text);
    }
}


void
said_add_text(json_t *said, json_int_t index, const char *member,
    const char *text)
{
    append(said_choice(said, index), member, text, strlen(text));
}


static json_t *
list(json_t *o, const char *member)
{
    json_t  *v;

    v = json_object_get(o, member);

    if (v == NULL) {
        v = json_array();
        json_object_set_new(o, member, v);
    }

    return v;
}


json_t *
said_call(json_t *said, json_int_t index, const char *key)
{
    size_t   i;
    json_t  *calls, *call;

    calls = list(said_choice(said, index), "calls");

    json_array_foreach(calls, i, call) {
        if (strcmp(word(call, "key"), key) == 0) {
            return call;
        }
    }

    call = json_object();
    json_object_set_new(call, "key", json_string(key));
    json_array_append_new(calls, call);

    return call;
}


void
said_call_is(json_t *call, const json_t *id, const json_t *name)
{
    if (json_string_length(id) != 0 && at(call, "id") == NULL) {
        json_object_set(call, "id", (json_t *) id);
    }

    if (json_string_length(name) != 0 && at(call, "name") == NULL) {
        json_object_set(call, "name", (json_t *) name);
    }
}


void
said_call_args(json_t *call, const json_t *piece)
{
    if (json_is_string(piece)) {
        append(call, "text", json_string_value(piece),
               json_string_length(piece));
    }
}


void
said_call_object(json_t *call, const json_t *object)
{
    if (object != NULL) {
        json_object_set(call, "args", (json_t *) object);
    }
}


void
said_finish(json_t *said, json_int_t index, const char *reason)
{
    json_object_set_new(said_choice(said, index), "finish",
                        json_string(reason));
}


void
said_usage(json_t *said, const char *member, const json_t *n)
{
    json_t  *usage;

    if (!json_is_number(n)) {
        return;
    }

    usage = json_object_get(said, "usage");

    if (usage == NULL) {
        usage = json_object();
        json_object_set_new(said, "usage", usage);
    }

    json_object_set_new(usage, member,
                        json_integer((json_int_t) json_number_value(n)));
}


void
said_logprob(json_t *said, json_int_t index, const char *member,
    const json_t *token, const json_t *logprob)
{
    json_t  *one;

    one = json_object();
    json_object_set(one, "token", (json_t *) token);
    json_object_set_new(one, "logprob",
                        json_real(json_number_value(logprob)));
    json_array_append_new(list(said_choice(said, index), member), one);
}


void
said_citation(json_t *said, json_int_t index, const json_t *url)
{
    size_t   i;
    json_t  *all, *one;

    if (json_string_length(url) == 0) {
        return;
    }

    all = list(said_choice(said, index), "citations");

    json_array_foreach(all, i, one) {
        if (json_equal(one, url)) {
            return;
        }
    }

    json_array_append(all, (json_t *) url);
}


void
said_once(json_t *said, const char *member, const json_t *text)
{
    if (json_string_length(text) != 0 && at(said, member) == NULL) {
        json_object_set(said, member, (json_t *) text);
    }
}


void
said_error(json_t *said, const json_t *message)
{
    json_object_set_new(said, "outcome", json_string("error"));

    if (json_is_string(message)) {
        json_object_set(said, "error", (json_t *) message);

    } else {
        json_object_set_new(said, "error", json_string(""));
    }
}


void
said_done(json_t *said)
{
    json_object_set_new(said, "outcome", json_string("done"));
}


int
said_over(const json_t *said)
{
    return at(said, "outcome") != NULL;
}


/* Arguments that came as text, as an object. */
static void
close_call(json_t *call)
{
    json_t      *text, *whole, *args;
    const char  *p;
    size_t       n;

    json_object_del(call, "key");
    text = json_object_get(call, "text");

    if (at(call, "args") != NULL || text == NULL) {
        if (at(call, "args") == NULL) {
            json_object_set_new(call, "args", json_object());
        }

        json_object_del(call, "text");
        return;
    }

    whole = joined(text);
    p = json_string_value(whole);
    n = json_string_length(whole);

    args = strspn(p, " \t\r\n") == n ? json_object() : matrix_load(p, n);

    if (!json_is_object(args)) {
        json_decref(args);
        args = json_object();
        json_object_set_new(args, "broken", json_true());
    }

    json_object_set_new(call, "args", args);
    json_object_del(call, "text");
    json_decref(whole);
}


/* What was said is whole now: its end, its calls, its texts. */
static json_t *
close_said(json_t *said)
{
    size_t       i, open, any;
    json_t      *choice, *call, *whole;
    const char  *key;

    open = 0;
    any = 0;

    json_object_foreach(json_object_get(said, "choices"), key, choice) {
        any++;
        open += at(choice, "finish") == NULL;

        json_array_foreach(at(choice, "calls"), i, call) {
            close_call(call);
        }
    }

    if (!said_over(said)) {
        json_object_set_new(said, "outcome",
                            json_string(any != 0 && open == 0 ? "done"
                                                              : "cut"));
    }

    if (at(said, "error") == NULL) {
        json_object_set_new(said, "error", json_string(""));
    }

    json_object_del(said, "state");
    whole = joined_all(said);
    json_decref(said);

    return whole;
}


/* A frame for the reader; *type is NULL when it has none. */
static void
give(json_t *said, const matrix_side_t *side, const char *type,
    const char *p, size_t n, unsigned answer)
{
    matrix_frame_t  f;

    f.type = type;
    f.data = p;
    f.n = n;
    f.answer = answer;
    f.doc = matrix_load(p, n);

    /* data that is blank is nothing to any of them */

    if (!said_over(said)
        && (side->framing != LLM_FRAMING_SSE || strspn(p, " \t\n") < n))
    {
        side->read(said, &f);
    }

    json_decref(f.doc);
}


/* Lines up to `end`; the data lines of an event are put together. */
static void
read_sse(json_t *said, const matrix_side_t *side, const char *p, size_t n)
{
    char        *data, type[64];
    size_t       len, i, from, to, value;
    const char  *colon;

    data = malloc(n + 2);
    if (data == NULL) {
        abort();
    }

    len = 0;
    type[0] = '\0';

    if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
        p += 3;
        n -= 3;
    }

    for (i = 0; i <= n; i = to + (p[to] == '\r' && to + 1 < n
                                  && p[to + 1] == '\n' ? 2 : 1))
    {
        from = i;
        for (to = from; to < n && p[to] != '\n' && p[to] != '\r'; to++) {
            /* to the end of the line */
        }

        if (to == from) {
            if (len != 0) {
                give(said, side, type[0] ? type : NULL, data, len - 1, 0);
            }

            len = 0;
            type[0] = '\0';

        } else if (p[from] != ':') {
            colon = memchr(p + from, ':', to - from);
            value = colon != NULL ? (size_t) (colon - p) + 1 : to;
            value += value < to && p[value] == ' ';

            if (strncmp(p + from, "data", 4) == 0
                && (p[from + 4] == ':' || from + 4 == to))
            {
                memcpy(data + len, p + value, to - value);
                len += to - value;
                data[len++] = '\n';

            } else if (strncmp(p + from, "event:", 6) == 0) {
                (void) snprintf(type, sizeof(type), "%.*s",
                                (int) (to - value), p + value);
            }
        }

        if (to >= n) {
            break;
        }
    }

    if (len != 0) {
        give(said, side, type[0] ? type : NULL, data, len - 1, 0);
    }

    free(data);
}


static void
read_lines(json_t *said, const matrix_side_t *side, const char *p, size_t n)
{
    size_t  from, to;

    for (from = 0; from < n; from = to + 1) {
        for (to = from; to < n && p[to] != '\n'; to++) {
            /* to the end of the line */
        }

        if (strspn(p + from, " \t\r") < to - from) {
            give(said, side, NULL, p + from, to - from, 0);
        }
    }
}


static void
read_array(json_t *said, const matrix_side_t *side, const char *p, size_t n)
{
    size_t          i;
    json_t         *all, *element;
    matrix_frame_t  f;

    all = matrix_load(p, n);

    if (!json_is_array(all)) {
        json_object_set_new(said, "unread", json_true());
        json_decref(all);
        return;
    }

    json_array_foreach(all, i, element) {
        memset(&f, 0, sizeof(f));
        f.doc = element;
        f.data = "";

        if (!said_over(said)) {
            side->read(said, &f);
        }
    }

    json_decref(all);
}


static void
read_stream(json_t *said, const matrix_side_t *side, const char *p, size_t n)
{
    switch (side->framing) {

    case LLM_FRAMING_NDJSON:
        read_lines(said, side, p, n);
        break;

    case LLM_FRAMING_ARRAY:
        read_array(said, side, p, n);
        break;

    case LLM_FRAMING_NONE:
        give(said, side, NULL, p, n, 0);
        break;

    default:
        read_sse(said, side, p, n);
        break;
    }
}


json_t *
matrix_frames(const matrix_side_t *side, const char *p, size_t n)
{
    json_t  *said;

    said = json_object();
    json_object_set_new(said, "frames", json_array());
    read_stream(said, side, p, n);

    return said;
}


json_t *
matrix_read(const matrix_side_t *side, const char *p, size_t n,
    unsigned answer)
{
    json_t  *said;

    said = json_object();
    json_object_set_new(said, "choices", json_object());
    json_object_set_new(said, "state", json_object());

    if (answer) {
        give(said, side, NULL, p, n, 1);

    } else {
        read_stream(said, side, p, n);
    }

    return close_said(said);
}
