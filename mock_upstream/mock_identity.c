/*
 * The identity service, in Evolution's form and OAuth's (client
 * credentials).  It reads the credential, decides by the options what to say,
 * and owns the answer until it is sent.  It must never be asked for a model,
 * and which tokens are good is mock_token.c's to know.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "llm_json.h"
#include "mock_answer.h"
#include "mock_control.h"
#include "mock_identity.h"


#define MOCK_IDENTITY_LATE   1000000    /* microseconds, when not said */
#define MOCK_IDENTITY_LARGE  1048576    /* bytes */
#define MOCK_IDENTITY_CHUNK  16         /* bytes of a body in one */

/* What came in the request; longer values are cut and so are wrong ones. */
typedef struct {
    char          id[1024];
    char          secret[1024];
    char          grant[64];
} mock_identity_said_t;

/* The answer: all its bytes, and how they leave. */
typedef struct {
    mock_buf_t    bytes;
    size_t        sent;
    size_t        piece;        /* bytes of a write */
    size_t        stall;        /* no byte from here on; 0: all of them */
    int64_t       due;          /* of the first byte */
    int64_t       gap;
    unsigned      close;
    unsigned      reset;
} mock_identity_t;


/* 'e' of Evolution, 'o' of OAuth, 0: neither. */
static int
mock_identity_kind(const mock_request_t *r)
{
    size_t       i, n, m;

    static const char  *tails[] = { "/auth/token", "/oauth2/token" };

    n = strlen(r->path);

    for (i = 0; i < 2; i++) {
        m = strlen(tails[i]);

        if (n >= m && strcmp(r->path + n - m, tails[i]) == 0) {
            return i ? 'o' : 'e';
        }
    }

    return 0;
}


int
mock_identity_is(const mock_request_t *r)
{
    return mock_identity_kind(r) != 0;
}


/* Copies the value of a member that is a string, decoded. */
static void
mock_identity_copy(char *dst, size_t size, const llm_slice_t *v)
{
    size_t      n;
    mock_buf_t  b;

    memset(&b, 0, sizeof(b));
    mock_buf_reserve(&b, v->n + 1);
    n = llm_json_unescape(b.p, v->p, v->n);
    n = n < size ? n : size - 1;
    memcpy(dst, b.p, n);
    dst[n] = '\0';
    mock_buf_free(&b);
}


/* Reads a JSON object.  -1: it is none. */
static int
mock_identity_json(mock_identity_said_t *said, int kind,
    const mock_request_t *r)
{
    llm_json_t       j;
    llm_slice_t      key, raw;
    llm_json_type_t  type;

    llm_json_init(&j, r->body.p ? r->body.p : (const llm_u8 *) "", r->body.n,
                  LLM_JSON_DEPTH_MAX);

    if (llm_json_next(&j) != LLM_JSON_OBJECT) {
        return -1;
    }

    while (llm_json_next(&j) == LLM_JSON_KEY) {
        key = j.tok;
        type = llm_json_skip(&j, &raw);

        if (type != LLM_JSON_STRING) {
            continue;
        }

        if (llm_json_eq(&key, kind == 'e' ? "keyId" : "client_id",
                        kind == 'e' ? 5 : 9))
        {
            mock_identity_copy(said->id, sizeof(said->id), &j.tok);

        } else if (llm_json_eq(&key, kind == 'e' ? "secret" : "client_secret",
                               kind == 'e' ? 6 : 13))
        {
            mock_identity_copy(said->secret, sizeof(said->secret), &j.tok);

        } else if (llm_json_is(&key, "grant_type")) {
            mock_identity_copy(said->grant, sizeof(said->grant), &j.tok);
        }
    }

    return j.error == LLM_OK && llm_json_next(&j) == LLM_JSON_END ? 0 : -1;
}


/* Reads what the request says.  -1: it cannot be read. */
static int
mock_identity_read(mock_identity_said_t *said, int kind,
    const mock_request_t *r)
{
    mock_buf_t   form;
    const char  *type, *text;

    memset(said, 0, sizeof(*said));
    type = mock_http_header(r, "Content-Type");

    if (type == NULL) {
        return -1;
    }

    if (strncasecmp(type, "application/json", 16) == 0) {
        return mock_identity_json(said, kind, r);
    }

    if (kind == 'e'
        || strncasecmp(type, "application/x-www-form-urlencoded", 33) != 0)
    {
        return -1;
    }

    memset(&form, 0, sizeof(form));
    mock_buf_add(&form, r->body.p, r->body.n);
    text = mock_buf_cstr(&form);

    (void) mock_http_field(text, "client_id", said->id, sizeof(said->id));
    (void) mock_http_field(text, "client_secret", said->secret,
                           sizeof(said->secret));
    (void) mock_http_field(text, "grant_type", said->grant,
                           sizeof(said->grant));
    mock_buf_free(&form);

    return 0;
}


static int
mock_identity_accepts(const char *value, const char *wanted)
{
    return *wanted ? strcmp(value, wanted) == 0 : *value != '\0';
}


/* The status for the request, by what it says itself. */
static int
mock_identity_status(const mock_request_t *r, const mock_options_t *o)
{
    int                   kind;
    mock_identity_said_t  said;

    kind = mock_identity_kind(r);

    if (strcmp(r->method, "POST") != 0) {
        return 405;
    }

    if (mock_identity_read(&said, kind, r) != 0
        || (kind == 'o' && strcmp(said.grant, "client_credentials") != 0))
    {
        return 400;
    }

    if (!mock_identity_accepts(said.id, o->identity_id)
        || !mock_identity_accepts(said.secret, o->identity_secret))
    {
        return 401;
    }

    return 200;
}


static void
mock_identity_error(mock_buf_t *body, int status)
{
    const char  *word;

    word = status == 401 ? "invalid_client"
           : status < 500 ? "invalid_request" : "server_error";
    mock_buf_fmt(body, "{\"error\":\"%s\",\"error_description\":"
                 "\"The mock refuses this sign-in.\"}", word);
}


/* An answer of 200: with a token, or nearly so. */
static void
mock_identity_token(mock_t *mock, const mock_options_t *o, mock_buf_t *body)
{
    uint64_t  size;

    static const char  end[] = "\"token_type\":\"Bearer\"}";

    if (o->identity == MOCK_IDENTITY_GARBAGE) {
        mock_buf_lit(body, "{\"access_token\":\"mock\xff\x01 <html>\n\n");
        return;
    }

    mock_buf_lit(body, "{");

    if (o->identity != MOCK_IDENTITY_NO_TOKEN) {
        mock_buf_lit(body, "\"access_token\":\"");
        mock_token_issue(&mock->tokens, o->life, body);
        mock_buf_lit(body, "\",");
    }

    if (o->says[0] == '\0') {
        mock_buf_fmt(body, "\"expires_in\":%lld,",
                     (long long) (o->life / 1000000));

    } else if (strcmp(o->says, "none") != 0) {
        mock_buf_fmt(body, "\"expires_in\":%s,", o->says);
    }

    if (o->identity == MOCK_IDENTITY_OVERSIZED) {
        size = o->limit ? (uint64_t) o->limit : MOCK_IDENTITY_LARGE;
        mock_buf_lit(body, "\"pad\":\"");
        size -= size < body->n + sizeof(end) + 1
                ? size : body->n + sizeof(end) + 1;
        mock_buf_fill(body, 'p', (size_t) size);
        mock_buf_lit(body, "\",");
    }

    mock_buf_lit(body, end);
}


/* The body in chunks, each a few bytes. */
static void
mock_identity_chunks(mock_buf_t *b, const mock_buf_t *body)
{
    size_t  n, from;

    for (from = 0; from < body->n; from += n) {
        n = body->n - from;
        n = n < MOCK_IDENTITY_CHUNK || n > 4096 ? n : MOCK_IDENTITY_CHUNK;

        mock_http_chunk(b, n);
        mock_buf_add(b, body->p + from, n);
        mock_buf_lit(b, "\r\n");
    }

    mock_buf_lit(b, "0\r\n\r\n");
}


/* Head and body; with a length unless the options say something else. */
static void
mock_identity_write(mock_identity_t *x, const mock_request_t *r,
    const mock_options_t *o, int status, const mock_buf_t *body)
{
    int          framing;
    size_t       head;
    mock_buf_t  *b;

    b = &x->bytes;
    framing = mock_options_given(o, framing) ? (int) o->framing
                                             : MOCK_FRAMING_LENGTH;

    if ((o->http10 || r->minor == 0) && framing == MOCK_FRAMING_CHUNKED) {
        framing = MOCK_FRAMING_CLOSE;
    }

    x->close = !r->keepalive || o->close || o->http10
               || framing == MOCK_FRAMING_CLOSE;

    mock_http_status(b, o->http10 ? 0 : 1, status);
    mock_buf_lit(b, "Content-Type: application/json\r\n"
                    "Cache-Control: no-store\r\n");

    if (framing == MOCK_FRAMING_CHUNKED) {
        mock_buf_lit(b, "Transfer-Encoding: chunked\r\n");

    } else if (framing == MOCK_FRAMING_LENGTH) {
        mock_buf_fmt(b, "Content-Length: %llu\r\n",
                     (unsigned long long) body->n);
    }

    mock_buf_fmt(b, "Connection: %s\r\n%s\r\n",
                 x->close ? "close" : "keep-alive", o->extra_header);
    head = b->n;

    if (framing == MOCK_FRAMING_CHUNKED) {
        mock_identity_chunks(b, body);
    } else {
        mock_buf_add(b, body->p, body->n);
    }

    if (o->identity == MOCK_IDENTITY_STALL) {
        x->stall = head + body->n / 2;
    }
}


static mock_step_t
mock_identity_next(mock_answer_t *a)
{
    size_t            n;
    mock_identity_t  *x;

    x = a->data;

    if (mock_now() < x->due) {
        a->due = x->due;
        return MOCK_STEP_SLEEP;
    }

    if (x->reset) {
        return MOCK_STEP_RESET;
    }

    if (x->stall && x->sent == x->stall) {
        return MOCK_STEP_STALL;
    }

    n = x->stall ? x->stall - x->sent : x->bytes.n - x->sent;

    if (n == 0) {
        return x->close ? MOCK_STEP_CLOSE : MOCK_STEP_DONE;
    }

    n = n < x->piece ? n : x->piece;
    mock_buf_add(&a->out, x->bytes.p + x->sent, n);
    x->sent += n;
    x->due = x->piece == 1 ? mock_now() + x->gap : 0;

    return MOCK_STEP_SEND;
}


static void
mock_identity_free(void *data)
{
    mock_identity_t  *x;

    x = data;
    mock_buf_free(&x->bytes);
    free(x);
}


void
mock_identity(mock_conn_t *c, const mock_request_t *r,
    const mock_options_t *o)
{
    int                          status;
    int64_t                      delay;
    mock_buf_t                   body;
    mock_identity_t             *x;
    static const mock_source_t   source = {
        mock_identity_next, mock_identity_free
    };

    memset(&body, 0, sizeof(body));
    c->mock->tokens.requests++;
    status = mock_identity_status(r, o);

    if (o->identity == MOCK_IDENTITY_401) {
        status = 401;

    } else if (o->identity == MOCK_IDENTITY_500) {
        status = 500;
    }

    if (status == 200) {
        mock_identity_token(c->mock, o, &body);

    } else {
        c->mock->tokens.refused++;
        mock_identity_error(&body, status);
    }

    delay = o->identity_delay;

    if (o->identity == MOCK_IDENTITY_SLOW
        && !mock_options_given(o, identity_delay))
    {
        delay = MOCK_IDENTITY_LATE;
    }

    x = mock_zalloc(sizeof(*x));
    x->piece = o->bytewise ? 1 : SIZE_MAX;
    x->gap = o->gap;
    x->due = mock_now() + delay;
    x->reset = o->identity == MOCK_IDENTITY_RESET;
    mock_identity_write(x, r, o, status, &body);
    mock_buf_free(&body);

    mock_answer_run(mock_answer_new(c, r, "identity", &source, x));
}
