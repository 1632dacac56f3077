/*
 * Per-request options: one table row each, values checked for range.  It
 * owns the table and the defaults; what an option does is not known here.
 */

#include <stdlib.h>
#include <string.h>

#include "mock_delay.h"
#include "mock_dialect.h"
#include "mock_options.h"


typedef enum {
    MOCK_OPT_UINT,      /* with k, m, g: powers of 1024 */
    MOCK_OPT_MS,        /* milliseconds with fraction, kept in microseconds */
    MOCK_OPT_SECONDS,   /* the same of seconds */
    MOCK_OPT_WORD,      /* one of a list */
    MOCK_OPT_STRING,
    MOCK_OPT_DIALECT,   /* a string: one of the mock's dialects */
    MOCK_OPT_HEADER     /* Name:value, may be repeated */
} mock_option_type_t;

typedef struct {
    const char          *name;
    mock_option_type_t   type;
    size_t               offset;
    size_t               size;      /* of a string's member */
    int64_t              max;
    int64_t              value;     /* default */
    const char          *words;     /* "a|b|c"; or a string's default */
} mock_option_t;

#define MOCK_OPT_AT(m)      offsetof(mock_options_t, m)
#define MOCK_OPT_SIZE(m)    sizeof(((mock_options_t *) 0)->m)
#define MOCK_UINT(m, max, v)                                                 \
    { #m, MOCK_OPT_UINT, MOCK_OPT_AT(m), 0, max, v, NULL }
#define MOCK_MS(m, v)                                                        \
    { #m, MOCK_OPT_MS, MOCK_OPT_AT(m), 0, 86400000, v, NULL }
#define MOCK_WORD(m, words)                                                  \
    { #m, MOCK_OPT_WORD, MOCK_OPT_AT(m), 0, 0, 0, words }
#define MOCK_STRING(m, v)                                                    \
    { #m, MOCK_OPT_STRING, MOCK_OPT_AT(m), MOCK_OPT_SIZE(m), 0, 0, v }

#define MOCK_BIG  ((int64_t) 1 << 40)


/* at most 64 rows: mock_options_t.set has a bit for each */
static const mock_option_t  mock_option_table[] = {
    MOCK_UINT(tokens, MOCK_BIG, 20),
    MOCK_WORD(text, "lorem|digits|unicode|echo|marker|file|stamp"),
    MOCK_UINT(size, 16 << 20, 0),
    MOCK_UINT(per_event, 4096, 1),
    MOCK_UINT(reasoning, MOCK_BIG, 0),
    MOCK_STRING(reasoning_name, "reasoning_content"),
    MOCK_UINT(tools, 1024, 0),
    MOCK_UINT(refusal, 1, 0),
    MOCK_UINT(logprobs, 1, 0),
    MOCK_UINT(citations, 1024, 0),
    MOCK_UINT(signature, 1, 1),
    MOCK_UINT(dimensions, 65536, 256),
    MOCK_WORD(usage, "on|off|finish|force"),
    MOCK_UINT(stamp, 1, 0),
    MOCK_UINT(pad, 1, 0),
    MOCK_UINT(created, MOCK_BIG, 0),
    MOCK_STRING(finish, ""),
    { "dialect", MOCK_OPT_DIALECT, MOCK_OPT_AT(dialect),
      MOCK_OPT_SIZE(dialect), 0, 0, "" },
    MOCK_STRING(id, ""),
    MOCK_STRING(marker, ""),

    MOCK_MS(ttft, 0),
    MOCK_MS(ttft_spread, 0),
    MOCK_MS(itl, 0),
    MOCK_WORD(dist, "constant|uniform|normal|lognormal|gamma"),
    MOCK_MS(spread, 0),
    MOCK_UINT(seed, INT64_MAX, 0),
    MOCK_MS(header_delay, 0),

    MOCK_UINT(comments, 1000, 0),
    MOCK_WORD(eol, "lf|crlf|cr"),
    MOCK_WORD(framing, "chunked|length|close"),
    MOCK_UINT(http10, 1, 0),
    MOCK_UINT(burst, 100000, 1),
    MOCK_UINT(close, 1, 0),
    MOCK_STRING(lockstep, ""),
    MOCK_UINT(sndbuf, 64 << 20, 0),
    MOCK_UINT(big_header, 16 << 20, 0),
    { "extra_header", MOCK_OPT_HEADER, MOCK_OPT_AT(extra_header),
      MOCK_OPT_SIZE(extra_header), 0, 0, "" },

    MOCK_UINT(status, 999, 0),
    MOCK_UINT(retry_after, 86400, 0),
    MOCK_STRING(should_retry, ""),

    MOCK_STRING(fault, ""),
    MOCK_UINT(at, MOCK_BIG, 0),
    MOCK_UINT(byte, MOCK_BIG, 0),
    MOCK_UINT(limit, MOCK_BIG, 0),
    MOCK_UINT(count, MOCK_BIG, 0),
    MOCK_UINT(variant, 100, 1),
    MOCK_MS(gap, 1000),

    MOCK_STRING(script, ""),
    MOCK_STRING(replay, ""),
    MOCK_STRING(type, ""),
    MOCK_UINT(cut, MOCK_BIG, 0),
    MOCK_STRING(cuts, ""),
    MOCK_UINT(bytewise, 1, 0),
    MOCK_UINT(ackcut, 1, 0),

    MOCK_WORD(identity,
              "ok|401|500|slow|garbage|oversized|no-token|reset|stall"),
    MOCK_MS(identity_delay, 0),
    { "life", MOCK_OPT_SECONDS, MOCK_OPT_AT(life), 0, MOCK_BIG,
      (int64_t) 3600 * 1000000, NULL },
    MOCK_STRING(says, ""),
    MOCK_STRING(identity_id, ""),
    MOCK_STRING(identity_secret, ""),
    MOCK_UINT(token, 1, 0),
    MOCK_UINT(token_status, 999, 401)
};

#define MOCK_OPTIONS  (sizeof(mock_option_table) / sizeof(mock_option_t))

_Static_assert(MOCK_OPTIONS <= 64, "one bit an option");


static int64_t *
mock_options_number(mock_options_t *o, const mock_option_t *row)
{
    return (int64_t *) (void *) ((char *) o + row->offset);
}


void
mock_options_init(mock_options_t *o)
{
    size_t                i;
    const mock_option_t  *row;

    memset(o, 0, sizeof(*o));

    for (i = 0; i < MOCK_OPTIONS; i++) {
        row = &mock_option_table[i];

        if (row->type == MOCK_OPT_STRING) {
            memcpy((char *) o + row->offset, row->words,
                   strlen(row->words) + 1);

        } else if (row->type < MOCK_OPT_STRING) {
            *mock_options_number(o, row) = row->value;
        }
    }
}


static const mock_option_t *
mock_options_find(const char *key, size_t n)
{
    size_t                i, k;
    const mock_option_t  *row;

    for (i = 0; i < MOCK_OPTIONS; i++) {
        row = &mock_option_table[i];

        if (strlen(row->name) != n) {
            continue;
        }

        for (k = 0; k < n; k++) {
            if (row->name[k] != (key[k] == '-' ? '_' : key[k])) {
                break;
            }
        }

        if (k == n) {
            return row;
        }
    }

    return NULL;
}


int
mock_options_given_at(const mock_options_t *o, size_t offset)
{
    size_t  i;

    for (i = 0; i < MOCK_OPTIONS; i++) {
        if (mock_option_table[i].offset == offset) {
            return (int) (o->set >> i & 1);
        }
    }

    return 0;
}


void
mock_options_forget_tokens(mock_options_t *o)
{
    size_t  i;

    for (i = 0; i < MOCK_OPTIONS; i++) {
        if (mock_option_table[i].offset == MOCK_OPT_AT(tokens)) {
            o->set &= ~((uint64_t) 1 << i);
        }
    }
}


/* Index of the value in "a|b|c", or -1. */
static int64_t
mock_options_word(const char *words, const char *value)
{
    size_t       n;
    int64_t      i;
    const char  *p;

    n = strlen(value);

    for (i = 0, p = words; p; i++) {
        if (strncmp(p, value, n) == 0 && (p[n] == '|' || p[n] == '\0')) {
            return i;
        }

        p = strchr(p, '|');
        p = p ? p + 1 : NULL;
    }

    return -1;
}


static int64_t
mock_options_uint(const char *value)
{
    char     *end;
    int64_t   v;
    unsigned  shift;

    if (value[0] < '0' || value[0] > '9') {
        return -1;
    }

    v = strtoll(value, &end, 10);
    shift = 0;

    switch (*end) {
    case 'g':
        shift += 10;
        /* fall through */
    case 'm':
        shift += 10;
        /* fall through */
    case 'k':
        shift += 10;
        end++;
        break;
    default:
        break;
    }

    if (*end != '\0' || v > (INT64_MAX >> shift)) {
        return -1;
    }

    return v << shift;
}


static int
mock_options_header(mock_options_t *o, const char *value)
{
    size_t       n, used;
    const char  *colon;

    colon = strchr(value, ':');
    n = strlen(value);
    used = strlen(o->extra_header);

    if (colon == NULL || colon == value
        || used + n + 4 > sizeof(o->extra_header))
    {
        return -1;
    }

    n = (size_t) (colon - value) + 1;
    memcpy(o->extra_header + used, value, n);
    used += n;
    o->extra_header[used++] = ' ';
    strcpy(o->extra_header + used, colon + 1);
    strcat(o->extra_header, "\r\n");

    return 0;
}


static int
mock_options_store(mock_options_t *o, const mock_option_t *row,
    const char *value)
{
    char     *end;
    double    time;
    int64_t   v;

    switch (row->type) {

    case MOCK_OPT_DIALECT:
        if (!mock_dialect_known(value)) {
            return -1;
        }

        /* fall through */

    case MOCK_OPT_STRING:
        if (strlen(value) >= row->size) {
            return -1;
        }

        strcpy((char *) o + row->offset, value);
        return 0;

    case MOCK_OPT_HEADER:
        return mock_options_header(o, value);

    case MOCK_OPT_MS:
    case MOCK_OPT_SECONDS:
        time = strtod(value, &end);
        if (end == value || *end
            || !(time >= 0 && time <= (double) row->max))
        {
            return -1;
        }

        time *= row->type == MOCK_OPT_MS ? 1e3 : 1e6;
        v = (int64_t) (time + 0.5);
        break;

    case MOCK_OPT_WORD:
        v = mock_options_word(row->words, value);
        break;

    default:
        v = mock_options_uint(value);
        if (v > row->max) {
            return -1;
        }
        break;
    }

    if (v < 0) {
        return -1;
    }

    *mock_options_number(o, row) = v;

    return 0;
}


static int
mock_options_nibble(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c = (char) (c | 0x20);

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


/* Copies the value, %XX decoded (a comma or a space cannot stand itself). */
static int
mock_options_decode(char *dst, size_t size, const char *p, size_t n)
{
    size_t  i, k;

    for (i = 0, k = 0; i < n && k + 1 < size; i++, k++) {
        dst[k] = p[i];

        if (p[i] == '%' && i + 2 < n && mock_options_nibble(p[i + 1]) >= 0
            && mock_options_nibble(p[i + 2]) >= 0)
        {
            dst[k] = (char) (mock_options_nibble(p[i + 1]) << 4
                             | mock_options_nibble(p[i + 2]));
            i += 2;
        }

        if (dst[k] == '\0') {
            return -1;
        }
    }

    dst[k] = '\0';

    return i == n ? 0 : -1;
}


int
mock_options_set(mock_options_t *o, const char *key, size_t nkey,
    const char *value, size_t nvalue, mock_buf_t *err)
{
    char                  decoded[1024];
    const mock_option_t  *row;

    row = mock_options_find(key, nkey);
    if (row == NULL) {
        mock_buf_fmt(err, "mock: unknown option \"%.*s\"",
                     (int) (nkey < 64 ? nkey : 64), key);
        return -1;
    }

    if (mock_options_decode(decoded, sizeof(decoded), value, nvalue) != 0
        || mock_options_store(o, row, decoded) != 0)
    {
        mock_buf_fmt(err, "mock: bad value of option \"%s\"", row->name);
        return -1;
    }

    o->set |= (uint64_t) 1 << (row - mock_option_table);

    return 0;
}


int
mock_options_parse(mock_options_t *o, const char *p, size_t n,
    mock_buf_t *err)
{
    size_t       nkey;
    const char  *end, *item, *eq;

    end = p + n;

    while (p < end) {
        if (strchr(", \t\r\n", *p) != NULL) {
            p++;
            continue;
        }

        for (item = p; p < end && strchr(", \t\r\n", *p) == NULL; p++) {
            continue;
        }

        eq = memchr(item, '=', (size_t) (p - item));
        nkey = (size_t) ((eq ? eq : p) - item);

        if (mock_options_set(o, item, nkey, eq ? eq + 1 : "1",
                             eq ? (size_t) (p - eq - 1) : 1, err)
            != 0)
        {
            return -1;
        }
    }

    return 0;
}
