/*
 * Scripts.  One step a line, compiled before the first byte is sent, so that
 * a mistake is an answer with status 400 and not half a stream.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mock_answer.h"
#include "mock_script.h"


#define MOCK_SCRIPT_FILE_MAX  (64 << 20)

typedef struct {
    mock_step_t   step;
    size_t        from;         /* SEND: bytes in mock_script_t.bytes */
    size_t        n;
    unsigned      event;        /* SEND: counts as one */
    int64_t       us;           /* SLEEP */
} mock_script_step_t;

typedef struct {
    mock_buf_t           bytes;
    mock_script_step_t  *steps;
    size_t               nsteps;
    size_t               at;
    unsigned             slept;     /* steps[at] is a sleep under way */
} mock_script_t;


static int
mock_blob_name(const char *name)
{
    static const char  allowed[] = "abcdefghijklmnopqrstuvwxyz"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    return name[0] && name[0] != '.' && strlen(name) < 64
           && name[strspn(name, allowed)] == '\0';
}


static mock_blob_t *
mock_blob_find(mock_t *mock, int kind, const char *name)
{
    mock_blob_t  *x;

    for (x = mock->blobs; x; x = x->next) {
        if (x->kind == kind && strcmp(x->name, name) == 0) {
            return x;
        }
    }

    return NULL;
}


int
mock_blob_put(mock_t *mock, int kind, const char *name, mock_buf_t *b)
{
    mock_blob_t  *x;

    if (!mock_blob_name(name)) {
        return -1;
    }

    x = mock_blob_find(mock, kind, name);

    if (x == NULL) {
        x = mock_zalloc(sizeof(*x));
        x->kind = kind;
        strcpy(x->name, name);
        x->next = mock->blobs;
        mock->blobs = x;
    }

    mock_buf_free(&x->bytes);
    x->bytes = *b;
    memset(b, 0, sizeof(*b));

    return 0;
}


int
mock_blob_get(mock_t *mock, int kind, const char *name, mock_buf_t *b)
{
    char          path[4096];
    const char   *dir;
    mock_blob_t  *x;

    if (!mock_blob_name(name)) {
        return -1;
    }

    x = mock_blob_find(mock, kind, name);

    if (x) {
        mock_buf_add(b, x->bytes.p, x->bytes.n);
        return 0;
    }

    dir = kind == 's' ? mock->script_dir : mock->replay_dir;

    if (dir == NULL
        || (size_t) snprintf(path, sizeof(path), "%s/%s", dir, name)
           >= sizeof(path))
    {
        return -1;
    }

    return mock_buf_file(b, path, MOCK_SCRIPT_FILE_MAX);
}


void
mock_blob_forget(mock_t *mock)
{
    mock_blob_t  *x;

    while (mock->blobs) {
        x = mock->blobs;
        mock->blobs = x->next;
        mock_buf_free(&x->bytes);
        free(x);
    }
}


/* The escape after a backslash at p.  Returns its length, 0 when there is
 * none of that kind. */
static size_t
mock_script_escape(const char *p, const char *end, char *c)
{
    char         hex[3];
    const char  *at;

    static const char  names[] = "rnt0\"\\";
    static const char  values[] = "\r\n\t\0\"\\";

    if (p == end) {
        return 0;
    }

    at = *p ? strchr(names, *p) : NULL;

    if (at) {
        *c = values[at - names];
        return 1;
    }

    if (*p != 'x' || end - p < 3) {
        return 0;
    }

    memcpy(hex, p + 1, 2);
    hex[2] = '\0';

    if (strspn(hex, "0123456789abcdefABCDEF") != 2) {
        return 0;
    }

    *c = (char) strtoul(hex, NULL, 16);

    return 3;
}


/* "c-escaped bytes": appends them to *b.  Nothing may follow. */
static int
mock_script_bytes(mock_buf_t *b, const char *p, const char *end)
{
    char    c;
    size_t  n;

    if (end - p < 2 || *p != '"' || end[-1] != '"') {
        return -1;
    }

    for (p++, end--; p < end; p++) {
        c = *p;

        if (c == '"') {
            return -1;
        }

        if (c == '\\') {
            n = mock_script_escape(p + 1, end, &c);
            if (n == 0) {
                return -1;
            }

            p += n;
        }

        mock_buf_add(b, &c, 1);
    }

    return 0;
}


static mock_script_step_t *
mock_script_add(mock_script_t *s, mock_step_t step)
{
    mock_script_step_t  *x;

    if ((s->nsteps & (s->nsteps - 1)) == 0) {
        s->steps = mock_resize(s->steps, (s->nsteps ? 2 * s->nsteps : 1)
                                         * sizeof(*s->steps));
    }

    x = &s->steps[s->nsteps++];
    memset(x, 0, sizeof(*x));
    x->step = step;
    x->from = s->bytes.n;

    return x;
}


/* head [status] [content-type] */
static void
mock_script_head(mock_buf_t *b, char *args)
{
    int    status;
    char  *type;

    status = (int) strtol(args, &type, 10);

    if (type == args) {
        status = 200;
    }

    type += strspn(type, " \t");

    mock_http_status(b, 1, status);
    mock_buf_fmt(b, "Content-Type: %s\r\nTransfer-Encoding: chunked\r\n"
                 "Connection: keep-alive\r\n\r\n",
                 *type ? type : "text/event-stream; charset=utf-8");
}


static int
mock_script_send(mock_script_t *s, const char *word, char *args, char *end)
{
    mock_buf_t           chunk;
    mock_script_step_t  *x;

    x = mock_script_add(s, MOCK_STEP_SEND);

    if (strcmp(word, "head") == 0) {
        mock_script_head(&s->bytes, args);

    } else if (strcmp(word, "last") == 0) {
        mock_buf_lit(&s->bytes, "0\r\n\r\n");

    } else if (strcmp(word, "send") == 0) {
        if (mock_script_bytes(&s->bytes, args, end) != 0) {
            return -1;
        }

    } else {
        memset(&chunk, 0, sizeof(chunk));

        if (mock_script_bytes(&chunk, args, end) != 0) {
            mock_buf_free(&chunk);
            return -1;
        }

        mock_http_chunk(&s->bytes, chunk.n);
        mock_buf_add(&s->bytes, chunk.p, chunk.n);
        mock_buf_lit(&s->bytes, "\r\n");
        mock_buf_free(&chunk);
    }

    x->n = s->bytes.n - x->from;
    x->event = *word == 's' || *word == 'c';

    return 0;
}


static int
mock_script_line(mock_script_t *s, char *line, char *end)
{
    char    *args, *stop;
    double   ms;
    size_t   i;

    static const struct {
        const char   *word;
        mock_step_t   step;
    } words[] = {
        { "head", MOCK_STEP_SEND },
        { "send", MOCK_STEP_SEND },
        { "chunk", MOCK_STEP_SEND },
        { "last", MOCK_STEP_SEND },
        { "sleep", MOCK_STEP_SLEEP },
        { "ack", MOCK_STEP_ACK },
        { "fin", MOCK_STEP_SHUT },
        { "close", MOCK_STEP_CLOSE },
        { "reset", MOCK_STEP_RESET },
        { "stall", MOCK_STEP_STALL },
        { "keep", MOCK_STEP_DONE }
    };

    args = line + strcspn(line, " \t");

    if (args < end) {
        *args++ = '\0';
        args += strspn(args, " \t");
    }

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(line, words[i].word) == 0) {
            break;
        }
    }

    if (i == sizeof(words) / sizeof(words[0])) {
        return -1;
    }

    if (words[i].step == MOCK_STEP_SEND) {
        return mock_script_send(s, line, args, end);
    }

    if (words[i].step == MOCK_STEP_SLEEP) {
        ms = strtod(args, &stop);
        if (stop == args || stop != end || !(ms >= 0 && ms < 1e8)) {
            return -1;
        }

        mock_script_add(s, MOCK_STEP_SLEEP)->us = (int64_t) (ms * 1000);
        return 0;
    }

    mock_script_add(s, words[i].step);

    return args == end ? 0 : -1;
}


static void
mock_script_free(void *data)
{
    mock_script_t  *s;

    s = data;
    mock_buf_free(&s->bytes);
    free(s->steps);
    free(s);
}


static mock_script_t *
mock_script_compile(const mock_buf_t *text, mock_buf_t *err)
{
    char           *line, *end, *next, *stop;
    unsigned        number;
    mock_buf_t      copy;
    mock_script_t  *s;

    memset(&copy, 0, sizeof(copy));
    mock_buf_add(&copy, text->p, text->n);
    mock_buf_add(&copy, "\n", 1);
    line = (char *) copy.p;
    stop = line + copy.n;
    s = mock_zalloc(sizeof(*s));

    for (number = 1; line < stop; number++, line = next) {
        end = memchr(line, '\n', (size_t) (stop - line));
        next = end + 1;
        *end = '\0';
        line += strspn(line, " \t");

        while (end > line && (end[-1] == ' ' || end[-1] == '\t'
                              || end[-1] == '\r'))
        {
            *--end = '\0';
        }

        if (*line == '\0' || *line == '#') {
            continue;
        }

        if (mock_script_line(s, line, end) != 0) {
            mock_buf_fmt(err, "mock: script line %u: bad step", number);
            mock_script_free(s);
            s = NULL;
            break;
        }
    }

    mock_buf_free(&copy);

    return s;
}


static mock_step_t
mock_script_next(mock_answer_t *a)
{
    mock_script_t       *s;
    mock_script_step_t  *x;

    s = a->data;

    for ( ;; ) {
        if (s->at == s->nsteps) {
            return MOCK_STEP_CLOSE;
        }

        x = &s->steps[s->at];

        if (x->step != MOCK_STEP_SLEEP) {
            break;
        }

        if (!s->slept) {
            s->slept = 1;
            a->due = mock_now() + x->us;
        }

        if (mock_now() < a->due) {
            return MOCK_STEP_SLEEP;
        }

        s->slept = 0;
        s->at++;
    }

    s->at++;

    if (x->step == MOCK_STEP_SEND) {
        mock_buf_add(&a->out, s->bytes.p + x->from, x->n);
        a->events = x->event;
    }

    return x->step;
}


int
mock_script_check(const mock_buf_t *text, mock_buf_t *err)
{
    mock_script_t  *s;

    s = mock_script_compile(text, err);
    if (s == NULL) {
        return -1;
    }

    mock_script_free(s);

    return 0;
}


int
mock_script(mock_conn_t *c, const mock_request_t *r, const char *id,
    const mock_buf_t *text, mock_buf_t *err)
{
    mock_script_t               *s;
    static const mock_source_t   source = {
        mock_script_next, mock_script_free
    };

    s = mock_script_compile(text, err);
    if (s == NULL) {
        return -1;
    }

    mock_answer_run(mock_answer_new(c, r, id, &source, s));

    return 0;
}
