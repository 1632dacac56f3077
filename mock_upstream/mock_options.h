/*
 * What a request may ask of the mock: `key=value` items, from the command
 * line, from POST /mock/defaults, from the model name and from the header
 * X-Mock, each over the one before.
 */

#ifndef MOCK_OPTIONS_H
#define MOCK_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "mock_buf.h"


enum { MOCK_TEXT_LOREM = 0, MOCK_TEXT_DIGITS, MOCK_TEXT_UNICODE,
       MOCK_TEXT_ECHO, MOCK_TEXT_MARKER, MOCK_TEXT_FILE, MOCK_TEXT_STAMP };
enum { MOCK_USAGE_ON = 0, MOCK_USAGE_OFF, MOCK_USAGE_FINISH,
       MOCK_USAGE_FORCE };
enum { MOCK_EOL_LF = 0, MOCK_EOL_CRLF, MOCK_EOL_CR };
enum { MOCK_IDENTITY_OK = 0, MOCK_IDENTITY_401, MOCK_IDENTITY_500,
       MOCK_IDENTITY_SLOW, MOCK_IDENTITY_GARBAGE, MOCK_IDENTITY_OVERSIZED,
       MOCK_IDENTITY_NO_TOKEN, MOCK_IDENTITY_RESET, MOCK_IDENTITY_STALL };
enum { MOCK_FRAMING_CHUNKED = 0, MOCK_FRAMING_LENGTH, MOCK_FRAMING_CLOSE };

/* Numbers as written; times in microseconds; strings end in zero. */
typedef struct {
    uint64_t  set;          /* a bit per row of the table: was given */

    int64_t   tokens;
    int64_t   text;
    int64_t   size;
    int64_t   per_event;
    int64_t   reasoning;
    int64_t   tools;
    int64_t   refusal;
    int64_t   logprobs;
    int64_t   citations;
    int64_t   signature;
    int64_t   dimensions;
    int64_t   usage;
    int64_t   stamp;
    int64_t   pad;
    int64_t   created;

    int64_t   ttft;
    int64_t   ttft_spread;
    int64_t   itl;
    int64_t   dist;
    int64_t   spread;
    int64_t   seed;
    int64_t   header_delay;

    int64_t   comments;
    int64_t   eol;
    int64_t   framing;
    int64_t   http10;
    int64_t   burst;
    int64_t   close;
    int64_t   sndbuf;
    int64_t   big_header;

    int64_t   status;
    int64_t   retry_after;

    int64_t   at;
    int64_t   byte;
    int64_t   limit;
    int64_t   count;
    int64_t   variant;
    int64_t   gap;

    int64_t   cut;
    int64_t   bytewise;
    int64_t   ackcut;

    int64_t   identity;
    int64_t   identity_delay;
    int64_t   life;
    int64_t   token;
    int64_t   token_status;

    char      should_retry[16];
    char      reasoning_name[32];
    char      finish[32];
    char      dialect[24];
    char      id[64];
    char      lockstep[64];
    char      marker[64];
    char      fault[40];
    char      script[64];
    char      replay[64];
    char      type[96];
    char      cuts[1024];
    char      says[64];
    char      identity_id[256];
    char      identity_secret[256];
    char      extra_header[1024];   /* whole lines, each with CRLF */
} mock_options_t;

void mock_options_init(mock_options_t *o);

/*
 * Applies items separated by commas or white space to *o.  0, or -1 with a
 * sentence for the user in *err (an unknown key, a value out of range).
 */
int mock_options_parse(mock_options_t *o, const char *p, size_t n,
    mock_buf_t *err);

/* One item of the command line: "itl", "20". */
int mock_options_set(mock_options_t *o, const char *key, size_t nkey,
    const char *value, size_t nvalue, mock_buf_t *err);

/* Was the option given anywhere?  offset: offsetof() in mock_options_t. */
int mock_options_given_at(const mock_options_t *o, size_t offset);
#define mock_options_given(o, member)                                        \
    mock_options_given_at(o, offsetof(mock_options_t, member))

/* Makes the number of tokens a default again, with the value it has. */
void mock_options_forget_tokens(mock_options_t *o);


#endif /* MOCK_OPTIONS_H */
