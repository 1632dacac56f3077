/*
 * The table of dialects, and paths to rows of it.  Which path is whose is
 * said in the README; presets of OpenAI's dialect have other prefixes only.
 */

#include <stdlib.h>
#include <string.h>

#include "mock_dialect.h"


#define MOCK_OPENAI_HEAD                                                     \
    .lines = "openai-version: 2020-10-01\r\n"                                \
             "x-ratelimit-limit-requests: 10000\r\n"                         \
             "x-ratelimit-remaining-requests: 9999\r\n",                     \
    .id_header = "x-request-id"


/* The first row is what is taken when no path tells. */
static const mock_dialect_t  mock_dialects[] = {
    {
        .name = "openai", .tail = "/chat/completions", .own = 1,
        .has = MOCK_HAS_ALL, .id = "chatcmpl-",
        .ping = "{\"choices\":[]}", MOCK_OPENAI_HEAD
    },
    {
        .name = "openai-completions", .tail = "/completions",
        .has = MOCK_HAS_ALL & ~(MOCK_HAS_TOOLS | MOCK_HAS_THOUGHTS),
        .id = "cmpl-", .reason = "\"finish_reason\":\"", .done = { "[DONE]" },
        .ping = "{\"choices\":[]}", MOCK_OPENAI_HEAD
    },
    {
        .name = "openai-responses", .tail = "/responses",
        .has = MOCK_HAS_LINES | MOCK_HAS_INDEX | MOCK_HAS_DONE
               | MOCK_HAS_TOOLS | MOCK_HAS_THOUGHTS,
        .id = "resp_",
        .done = { "\"type\":\"response.completed\"",
                  "\"type\":\"response.incomplete\"" },
        .ping = "{\"type\":\"ping\"}", MOCK_OPENAI_HEAD
    },
    {
        .name = "anthropic", .tail = "/messages", .has = MOCK_HAS_ALL,
        .usage_first = 1, .id = "msg_",
        .finish = "\"type\":\"message_delta\"",
        .done = { "\"type\":\"message_stop\"" },
        .ping = "{\"type\":\"ping\"}", .ping_type = "ping",
        .lines = "anthropic-organization-id: mock\r\n"
                 "anthropic-ratelimit-requests-limit: 10000\r\n"
                 "anthropic-ratelimit-requests-remaining: 9999\r\n",
        .id_header = "request-id"
    },
    {
        .name = "gemini", .tail = ":streamGenerateContent",
        .has = MOCK_HAS_ALL & ~MOCK_HAS_DONE,
        .whole = 1, .crlf = 1, .id = "",
        .reason = "\"finishReason\":\"",
        .ping = "{\"candidates\":[]}",
        .lines = "content-disposition: attachment\r\n"
                 "Vary: Origin, X-Origin, Referer\r\n",
        .id_header = "x-request-id"
    },
    {
        .name = "gemini", .tail = ":generateContent",
        .has = MOCK_HAS_TOOLS | MOCK_HAS_THOUGHTS,
        .whole = 1, .id = "", .ping = "{\"candidates\":[]}",
        .lines = "Vary: Origin, X-Origin, Referer\r\n",
        .id_header = "x-request-id"
    },
    {
        .name = "ollama", .tail = "/api/chat",
        .has = MOCK_HAS_FINISH | MOCK_HAS_DONE | MOCK_HAS_TOOLS
               | MOCK_HAS_THOUGHTS, .whole = 1, .id = "",
        .reason = "\"done_reason\":\"", .done = { "\"done\":true" },
        .ping = "{\"done\":false}", .lines = "", .id_header = "x-request-id"
    },
    {
        .name = "ollama-generate", .tail = "/api/generate",
        .has = MOCK_HAS_FINISH | MOCK_HAS_DONE | MOCK_HAS_THOUGHTS,
        .whole = 1, .id = "",
        .reason = "\"done_reason\":\"", .done = { "\"done\":true" },
        .ping = "{\"done\":false}", .lines = "", .id_header = "x-request-id"
    },
    {
        .name = "flowise", .tail = "/prediction/",
        .has = MOCK_HAS_LINES | MOCK_HAS_DONE | MOCK_HAS_TOOLS
               | MOCK_HAS_THOUGHTS, .whole = 1, .id = "",
        .done = { "\"event\":\"end\"" },
        .ping = "{\"event\":\"nop\"}",
        .lines = "X-Accel-Buffering: no\r\n", .id_header = "x-request-id"
    },
    {
        .name = "cohere", .tail = "/v2/chat", .has = MOCK_HAS_ALL, .id = "",
        .finish = "\"type\":\"message-end\"", .done = { "[DONE]" },
        .ping = "{\"type\":\"ping\"}", .lines = "",
        .id_header = "x-request-id"
    }
};

#define MOCK_DIALECTS  (sizeof(mock_dialects) / sizeof(mock_dialect_t))


static const mock_dialect_t *
mock_dialect_find(const char *name)
{
    size_t  i;

    for (i = 0; i < MOCK_DIALECTS; i++) {
        if (strcmp(mock_dialects[i].name, name) == 0) {
            return &mock_dialects[i];
        }
    }

    return NULL;
}


int
mock_dialect_known(const char *name)
{
    return mock_dialect_find(name) != NULL;
}


int
mock_dialect_openai(const mock_route_t *route)
{
    return strncmp(route->dialect->name, "openai", 6) == 0;
}


static int
mock_route_ends(const char *path, const char *tail)
{
    size_t  n, m;

    n = strlen(path);
    m = strlen(tail);

    return n >= m && memcmp(path + n - m, tail, m) == 0;
}


/* The last segment of the path, when it stands behind `before`. */
static const char *
mock_route_last(const char *path, const char *before)
{
    const char  *p, *found;

    found = NULL;

    for (p = path; (p = strstr(p, before)) != NULL; p++) {
        found = p + strlen(before);
    }

    return found && *found && strchr(found, '/') == NULL ? found : NULL;
}


static const mock_dialect_t *
mock_route_chat(const char *path)
{
    size_t                 i;
    const mock_dialect_t  *d;

    for (i = 0; i < MOCK_DIALECTS; i++) {
        d = &mock_dialects[i];

        if (d->tail[strlen(d->tail) - 1] == '/'
            ? mock_route_last(path, d->tail) != NULL
            : mock_route_ends(path, d->tail))
        {
            return d;
        }
    }

    return NULL;
}


/* Appends n bytes of a path, %XX decoded. */
static void
mock_route_decode(mock_buf_t *b, const char *p, size_t n)
{
    size_t         i;
    unsigned char  c;

    for (i = 0; i < n; i++) {
        c = (unsigned char) p[i];

        if (c == '%' && i + 2 < n) {
            c = (unsigned char) strtol((char[3]) { p[i + 1], p[i + 2], 0 },
                                       NULL, 16);
            i += 2;
        }

        mock_buf_add(b, &c, 1);
    }
}


/* The model that stands in the path, of those dialects that have it there:
 * Gemini's before the method, a flow's id, Azure's deployment. */
static void
mock_route_model(mock_route_t *route, const char *path)
{
    size_t       n;
    const char  *p, *end;

    static const char  azure[] = "/deployments/";

    p = strrchr(path, '/');
    p = p ? p + 1 : path;
    n = strlen(p);

    if (strcmp(route->dialect->name, "gemini") == 0) {
        end = strrchr(p, ':');
        n = end ? (size_t) (end - p) : n;

    } else if (strcmp(route->dialect->name, "flowise") != 0) {
        p = strstr(path, azure);

        if (p == NULL) {
            return;
        }

        p += sizeof(azure) - 1;
        n = strcspn(p, "/");
    }

    mock_route_decode(&route->model, p, n);
}


/* Gemini's path says whether it is a stream, and the query in which form. */
static void
mock_route_gemini(mock_route_t *route, const mock_request_t *r)
{
    char  alt[8];

    route->stream = strstr(r->path, ":generateContent") == NULL;
    route->array = route->stream
                   && (!mock_http_arg(r, "alt", alt, sizeof(alt))
                       || strcmp(alt, "sse") != 0);
}


void
mock_route(mock_route_t *route, const mock_request_t *r, const char *name)
{
    const mock_dialect_t  *d;

    memset(route, 0, sizeof(*route));
    route->stream = -1;

    d = mock_route_chat(r->path);

    if (mock_route_ends(r->path, "/embeddings")) {
        route->serves = MOCK_SERVES_EMBED;

    } else if (mock_route_ends(r->path, "/api/embed")) {
        route->serves = MOCK_SERVES_EMBED;
        d = mock_dialect_find("ollama");

    } else if (mock_route_last(r->path, "/chatflows-streaming/")) {
        route->serves = MOCK_SERVES_PROBE;
        d = mock_dialect_find("flowise");

    } else if (d != NULL || name[0]) {
        route->serves = MOCK_SERVES_CHAT;
    }

    if (name[0]) {
        d = mock_dialect_find(name);
    }

    route->dialect = d ? d : &mock_dialects[0];
    route->row = llm_dialect_find((const llm_u8 *) route->dialect->name,
                                  strlen(route->dialect->name));

    if (route->serves == MOCK_SERVES_CHAT) {
        mock_route_model(route, r->path);

        if (strcmp(route->dialect->name, "gemini") == 0) {
            mock_route_gemini(route, r);
        }
    }
}


void
mock_route_free(mock_route_t *route)
{
    mock_buf_free(&route->model);
}


unsigned
mock_route_has(const mock_route_t *route)
{
    unsigned  has;

    has = route->dialect->has;

    if (route->array || route->row->framing != LLM_FRAMING_SSE) {
        has &= ~(unsigned) MOCK_HAS_LINES;
    }

    return has;
}
