/*
 * The request, built once: by the wire library's own writers, so that every
 * dialect is asked as its clients ask.  It must never print a header's value.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bench_body.h"
#include "bench_memory.h"
#include "llm_provider.h"
#include "llm_utf8.h"
#include "mock_delay.h"


#define BENCH_BODY_EXTRA  64        /* members of --extra-body */
#define BENCH_BODY_WORD   9         /* bytes of the longest word, its space */

/* stands for the words of the prompt while the body is built */
#define BENCH_BODY_PLACE  "llm-bench-words"


static int
bench_body_wrong(const char *fmt, ...)
{
    va_list  args;

    fputs("llm-bench: ", stderr);

    va_start(args, fmt);
    (void) vfprintf(stderr, fmt, args);
    va_end(args);

    fputs("\n", stderr);

    return -1;
}


/* printf() into new memory. */
static char *
bench_body_print(const char *fmt, ...)
{
    int      n;
    char    *text;
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);

    text = bench_alloc((size_t) n + 1);

    va_start(args, fmt);
    (void) vsnprintf(text, (size_t) n + 1, fmt, args);
    va_end(args);

    return text;
}


/* What speaks the dialect to its clients: client-only ones are asked as
 * OpenAI is. */
static const llm_provider_t *
bench_body_provider(const bench_body_t *b)
{
    const llm_provider_t  *p;

    p = llm_provider_find(b->dialect->name.p, b->dialect->name.n);

    if (p == NULL) {
        p = llm_provider_find((const llm_u8 *) "openai", 6);
    }

    return p;
}


/* The dialect's own path, the model put in. */
static char *
bench_body_path(const llm_provider_t *p, const char *model)
{
    char         *path, *place, *whole;
    static const char  name[] = "{model}";

    path = bench_body_print("%.*s", (int) p->path.n,
                            (const char *) p->path.p);
    place = strstr(path, name);

    if (place == NULL) {
        return path;
    }

    *place = '\0';
    whole = bench_body_print("%s%s%s", path, model,
                             place + sizeof(name) - 1);
    free(path);

    return whole;
}


/* Splits http://host:port/path; what stands behind the host is kept as a
 * beginning of the path.  0, or -1. */
static int
bench_body_split(bench_body_t *b)
{
    size_t       n;
    const char  *p, *end, *host, *port;

    b->tls = strncmp(b->url, "https://", 8) == 0;

    if (!b->tls && strncmp(b->url, "http://", 7) != 0) {
        return -1;
    }

    p = b->url + (b->tls ? 8 : 7);
    end = p + strcspn(p, "/?#");

    if (end == p || *end != '/' || memchr(p, '@', (size_t) (end - p))) {
        return -1;
    }

    b->authority = p;
    b->authority_n = (size_t) (end - p);
    b->target = end;

    host = p;
    port = p + strcspn(p, *p == '[' ? "]" : ":/");
    n = (size_t) (port - p);

    if (*p == '[') {
        if (*port != ']') {
            return -1;
        }

        host++;
        n--;
        port++;
    }

    if (n == 0 || n >= sizeof(b->host)) {
        return -1;
    }

    memcpy(b->host, host, n);
    b->host[n] = '\0';

    (void) strcpy(b->port, b->tls ? "443" : "80");

    if (port == end) {
        return 0;
    }

    n = (size_t) (end - port) - 1;

    if (*port != ':' || n == 0 || n >= sizeof(b->port)
        || strspn(port + 1, "0123456789") < n)
    {
        return -1;
    }

    memcpy(b->port, port + 1, n);
    b->port[n] = '\0';

    return 0;
}


static int
bench_body_url(bench_body_t *b, const bench_options_t *o)
{
    int     n;
    char   *path;

    path = o->endpoint != NULL
           ? bench_body_print("%s", o->endpoint)
           : bench_body_path(bench_body_provider(b), o->model);

    n = (int) strlen(o->base_url);

    while (n > 0 && o->base_url[n - 1] == '/') {
        n--;
    }

    b->url = bench_body_print("%.*s%s%s", n, o->base_url,
                              *path == '/' ? "" : "/", path);
    free(path);

    if (bench_body_split(b) == -1) {

        /* not shown: it may hold a key */

        return bench_body_wrong("--base-url and --endpoint are no URL of a "
                                "host and a path");
    }

    return 0;
}


/* A field of our own, unless --header says it. */
static void
bench_body_field(bench_body_t *b, const bench_options_t *o, const char *name,
    const char *value)
{
    size_t  i, n;

    n = strlen(name);

    for (i = 0; i < o->nheaders; i++) {
        if (strcspn(o->headers[i], "=") == n
            && strncasecmp(o->headers[i], name, n) == 0)
        {
            return;
        }
    }

    b->fields[b->nfields++] = bench_body_print("%s: %s", name, value);
}


static int
bench_body_fields(bench_body_t *b, const bench_options_t *o)
{
    size_t                 i, n;
    const llm_provider_t  *p;

    p = bench_body_provider(b);

    bench_body_field(b, o, "Content-Type", "application/json");
    bench_body_field(b, o, "Accept", "*/*");

    if (p->header.p != NULL) {
        bench_body_field(b, o, (const char *) p->header.p,
                         (const char *) p->header_value.p);
    }

    for (i = 0; i < o->nheaders; i++) {
        n = strcspn(o->headers[i], "=");

        if (strpbrk(o->headers[i], "\r\n") != NULL) {
            return bench_body_wrong("a header with a line end: %.*s", (int) n,
                                    o->headers[i]);
        }

        b->fields[b->nfields++] = bench_body_print("%.*s: %s", (int) n,
            o->headers[i], o->headers[i] + n + (o->headers[i][n] != '\0'));
    }

    return 0;
}


/* The members of --extra-body, which win over those of the request. */
static int
bench_body_extra(const char *json, llm_request_set_t *set, size_t *n)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    if (json == NULL) {
        return 0;
    }

    llm_json_init(&j, (const llm_u8 *) json, strlen(json), 0);

    if (llm_json_next(&j) != LLM_JSON_OBJECT
        || (llm_utf8_check(j.p, strlen(json) - 1) & LLM_UTF8_INVALID))
    {
        return bench_body_wrong("--extra-body is no JSON object");
    }

    while (llm_json_member(&j, &key, &v, &type)) {

        if (*n == BENCH_BODY_EXTRA || key.escaped) {
            return bench_body_wrong("--extra-body has too many members, or "
                                    "an escape in a name");
        }

        if (type == LLM_JSON_STRING) {
            v.p--;
            v.n += 2;
        }

        set[*n].name = key;
        set[*n].value = v;
        set[*n].if_absent = 0;
        (*n)++;
    }

    if (j.error != LLM_OK || llm_json_next(&j) != LLM_JSON_END) {
        return bench_body_wrong("--extra-body is no JSON object");
    }

    return 0;
}


/* What is asked, as OpenAI's client would ask it. */
static void
bench_body_ask(llm_block_t *b, const bench_options_t *o)
{
    llm_block_out_t  bo;

    (void) llm_block_out_open(&bo, b, &bench_allocator);

    llm_out_lit(&bo.out, "{\"model\":\"");
    llm_write_escaped(&bo.out, (const llm_u8 *) o->model, strlen(o->model));
    llm_out_lit(&bo.out, "\",\"messages\":[{\"role\":\"user\",\"content\":\""
                BENCH_BODY_PLACE "\"}]");

    if (o->output_len != 0) {
        llm_out_lit(&bo.out, ",\"max_completion_tokens\":");
        llm_write_int(&bo.out, (int64_t) o->output_len);
    }

    llm_out_lit(&bo.out, "}");

    (void) llm_block_out_close(&bo);
}


/* The two halves of the finished body, around the words. */
static int
bench_body_halves(bench_body_t *b, const llm_rope_t *rope)
{
    char         *place;
    size_t        i;
    llm_block_t   whole;

    memset(&whole, 0, sizeof(whole));

    for (i = 0; i < llm_rope_npieces(rope); i++) {
        (void) llm_block_append(&whole, &bench_allocator,
                                llm_rope_bytes(rope, i),
                                llm_rope_pieces(rope)[i].n);
    }

    place = memmem(whole.p, whole.n, BENCH_BODY_PLACE,
                   sizeof(BENCH_BODY_PLACE) - 1);

    if (place == NULL) {

        /* --extra-body says the messages itself */

        b->before = whole;
        b->words = 0;

        return 0;
    }

    i = (size_t) (place - (char *) whole.p);

    (void) llm_block_append(&b->before, &bench_allocator, whole.p, i);

    i += sizeof(BENCH_BODY_PLACE) - 1;

    (void) llm_block_append(&b->after, &bench_allocator, whole.p + i,
                            whole.n - i);
    llm_block_free(&whole, &bench_allocator);

    return 0;
}


static int
bench_body_json(bench_body_t *b, const bench_options_t *o)
{
    int                    failed;
    llm_rc_t               rc;
    llm_chat_t             chat;
    llm_block_t            ask;
    llm_chat_writer_t      w;
    llm_request_set_t      set[BENCH_BODY_EXTRA];
    const llm_provider_t  *p;

    memset(&ask, 0, sizeof(ask));
    llm_chat_writer_init(&w, &bench_allocator);

    p = bench_body_provider(b);
    w.max_depth = LLM_JSON_DEPTH;
    w.quirks = p->quirks;
    w.stream = 1;
    w.usage = 1;
    w.set = set;

    if (bench_body_extra(o->extra_body, set, &w.nset) == -1) {
        llm_chat_writer_free(&w);
        return -1;
    }

    bench_body_ask(&ask, o);

    rc = llm_chat_translate(&w, &chat, &llm_dialect_openai, p->dialect, ask.p,
                            ask.n);
    failed = rc == LLM_OK ? bench_body_halves(b, &w.rope)
                          : bench_body_wrong("the request cannot be written");

    llm_chat_free(&chat);
    llm_chat_writer_free(&w);
    llm_block_free(&ask, &bench_allocator);

    return failed;
}


int
bench_body_make(bench_body_t *b, const bench_options_t *o)
{
    memset(b, 0, sizeof(bench_body_t));

    b->dialect = llm_dialect_find((const llm_u8 *) o->dialect,
                                  strlen(o->dialect));
    if (b->dialect == NULL) {
        return bench_body_wrong("unknown dialect %s", o->dialect);
    }

    b->seed = o->seed;
    b->words = o->input_len;

    if (bench_body_url(b, o) == -1 || bench_body_fields(b, o) == -1
        || bench_body_json(b, o) == -1)
    {
        return -1;
    }

    b->max = b->before.n + b->words * BENCH_BODY_WORD + b->after.n;

    return 0;
}


void
bench_body_free(bench_body_t *b)
{
    size_t  i;

    for (i = 0; i < b->nfields; i++) {
        free(b->fields[i]);
    }

    free(b->url);
    llm_block_free(&b->before, &bench_allocator);
    llm_block_free(&b->after, &bench_allocator);
}


size_t
bench_body_write(const bench_body_t *b, uint64_t i, char *to)
{
    char        *p;
    uint64_t     k, seed;
    const char  *word;

    static const char *const  words[] = {
        "alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "linden",
        "maple", "oak", "pine", "poplar", "rowan", "spruce", "willow", "yew"
    };

    p = to;
    seed = mock_delay_hash(b->seed, i);

    memcpy(p, b->before.p, b->before.n);
    p += b->before.n;

    for (k = 0; k < b->words; k++) {
        word = words[mock_delay_hash(seed, k) % 16];

        if (k != 0) {
            *p++ = ' ';
        }

        p = stpcpy(p, word);
    }

    if (b->after.n != 0) {
        memcpy(p, b->after.p, b->after.n);
        p += b->after.n;
    }

    return (size_t) (p - to);
}
