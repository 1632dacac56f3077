/*
 * What stands around and beside the JSON of a client's stream: frames, ids
 * and times that a provider did not say, JSON that was gathered in pieces.
 */

#include "llm_encode.h"
#include "llm_json.h"


#define LLM_FRAME_DAY  86400


void
llm_frame_open(llm_encoder_t *e, llm_framing_t framing, const char *type)
{
    if (e->array) {
        if (e->elements++ == 0) {
            llm_out_lit(e->out, "[");

        } else {
            llm_out_lit(e->out, ",\r\n");
        }

        return;
    }

    if (framing != LLM_FRAMING_SSE) {
        return;
    }

    if (type != NULL) {
        llm_out_lit(e->out, "event: ");
        llm_out(e->out, type, strlen(type));
        llm_out_lit(e->out, "\n");
    }

    llm_out_lit(e->out, "data: ");
}


void
llm_frame_close(llm_encoder_t *e, llm_framing_t framing)
{
    if (e->array) {
        return;
    }

    if (framing == LLM_FRAMING_SSE) {
        llm_out_lit(e->out, "\n\n");

    } else {
        llm_out_lit(e->out, "\n");
    }
}


void
llm_frame_end(llm_encoder_t *e)
{
    if (!e->array) {
        return;
    }

    if (e->elements == 0) {
        llm_out_lit(e->out, "[");
    }

    llm_out_lit(e->out, "]");
}


void
llm_write_id(llm_out_t *out, const char *prefix, const llm_slice_t *seed,
    int64_t unique, unsigned n)
{
    size_t    i;
    llm_u8    digits[16];
    uint64_t  hash;

    static const char  hex[] = "0123456789abcdef";

    /* FNV-1a: the same id for the same answer, no randomness needed */

    hash = UINT64_C(14695981039346656037) ^ (uint64_t) unique
           ^ ((uint64_t) n << 48);

    for (i = 0; i < 8; i++) {
        hash = (hash ^ (hash >> 32)) * UINT64_C(1099511628211);
    }

    for (i = 0; i < seed->n; i++) {
        hash = (hash ^ seed->p[i]) * UINT64_C(1099511628211);
    }

    for (i = 0; i < sizeof(digits); i++) {
        digits[i] = (llm_u8) hex[hash & 15];
        hash >>= 4;
    }

    llm_out(out, prefix, strlen(prefix));
    llm_out(out, digits, sizeof(digits));
}


static void
llm_write_two(llm_out_t *out, int64_t v, const char *after)
{
    llm_u8  c[2];

    c[0] = (llm_u8) ('0' + v / 10 % 10);
    c[1] = (llm_u8) ('0' + v % 10);

    llm_out(out, c, 2);
    llm_out(out, after, 1);
}


void
llm_write_time(llm_out_t *out, int64_t seconds)
{
    int64_t  day, era, year, month, of_era, of_year, t;

    if (seconds < 0) {
        seconds = 0;
    }

    /* civil date from days, in years that begin in March */

    day = seconds / LLM_FRAME_DAY + 719468;
    era = day / 146097;
    of_era = day - era * 146097;
    year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    of_year = of_era - (365 * year + year / 4 - year / 100);
    month = (5 * of_year + 2) / 153;
    day = of_year - (153 * month + 2) / 5 + 1;
    month = month < 10 ? month + 3 : month - 9;
    year += era * 400 + (month <= 2);
    t = seconds % LLM_FRAME_DAY;

    llm_write_int(out, year);
    llm_out_lit(out, "-");
    llm_write_two(out, month, "-");
    llm_write_two(out, day, "T");
    llm_write_two(out, t / 3600, ":");
    llm_write_two(out, t / 60 % 60, ":");
    llm_write_two(out, t % 60, "Z");
}


void
llm_write_json(llm_out_t *out, const llm_slice_t *raw, unsigned linesep)
{
    llm_slice_t    run;
    const llm_u8  *p, *end;

    p = raw->p;
    end = p + raw->n;
    run.escaped = 1;

    while (p < end) {
        for (run.p = p; p < end && *p != '\n' && *p != '\r'; p++) {
            /* void */
        }

        run.n = (size_t) (p - run.p);
        llm_write_inside(out, &run, linesep);

        while (p < end && (*p == '\n' || *p == '\r')) {
            p++;
        }
    }
}


int
llm_read_arguments(llm_encoder_t *e, const llm_block_t *arguments,
    llm_block_t *text)
{
    llm_json_t   j;
    llm_slice_t  raw;

    memset(text, 0, sizeof(llm_block_t));

    e->rc = llm_block_reserve(text, &e->alloc, arguments->n + 2);
    if (e->rc != LLM_OK) {
        return 0;
    }

    if (arguments->n == 0) {
        memcpy(text->p, "{}", 2);
        text->n = 2;
        return 1;
    }

    text->n = llm_json_unescape(text->p, arguments->p, arguments->n);

    llm_json_init(&j, text->p, text->n, LLM_JSON_DEPTH);

    return llm_json_skip(&j, &raw) == LLM_JSON_OBJECT
           && llm_json_next(&j) == LLM_JSON_END;
}


int
llm_write_arguments(llm_encoder_t *e, const llm_block_t *arguments)
{
    int          object;
    llm_block_t  text;
    llm_slice_t  raw;

    object = llm_read_arguments(e, arguments, &text);

    if (object) {
        raw = llm_gathered(&text);
        llm_write_json(e->out, &raw, 1);
    }

    llm_block_free(&text, &e->alloc);

    return object;
}
