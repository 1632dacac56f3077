/*
 * The appending JSON writer.  It must never write a byte that could end a
 * JSON string, an SSE line or an NDJSON record early.
 */

#include "llm_write.h"
#include "llm_swar.h"


/*
 * What is to be done with a byte: 0 it stands for itself, 'u' \u00XX, 2 or 3
 * it may start U+0085 or U+2028, any other: a backslash and that letter.
 */
static const llm_u8  llm_write_class[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
    'b', 't', 'n', 'u', 'f', 'r', 'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
    ['"'] = '"', ['\\'] = '\\', [0x7f] = 'u', [0xc2] = 2, [0xe2] = 3
};


/* The length of a line separator at p (its class is 2 or 3), or 0. */
static inline size_t
llm_write_linesep(const llm_u8 *p, size_t n)
{
    if (p[0] == 0xc2) {
        return n >= 2 && p[1] == 0x85 ? 2 : 0;
    }

    return n >= 3 && p[1] == 0x80 && (p[2] & 0xfe) == 0xa8 ? 3 : 0;
}


/* Writes the byte or the separator at p escaped. */
static void
llm_write_escape(llm_out_t *out, const llm_u8 *p, llm_u8 class)
{
    size_t  n;
    llm_u8  buf[6];

    static const char  hex[] = "0123456789abcdef";

    memcpy(buf, "\\u0000", 6);
    n = 6;

    switch (class) {

    case 'u':
        buf[4] = (llm_u8) hex[p[0] >> 4];
        buf[5] = (llm_u8) hex[p[0] & 15];
        break;

    case 2:
        memcpy(buf + 4, "85", 2);
        break;

    case 3:
        memcpy(buf + 2, "202", 3);
        buf[5] = (llm_u8) hex[p[2] & 15];
        break;

    default:
        buf[1] = class;
        n = 2;
        break;
    }

    llm_out(out, buf, n);
}


/*
 * Writes [p, p + n) with what stands for itself in as few copies as there
 * are.  With `only` set nothing but line separators is escaped.
 */
static void
llm_write_chars(llm_out_t *out, const llm_u8 *p, size_t n, unsigned only)
{
    size_t         len;
    llm_u8         class;
    uint64_t       x, stop;
    const llm_u8  *plain, *end;

    if (n == 0) {
        return;
    }

    plain = p;
    end = p + n;

    while (p < end) {

        if (end - p >= 8) {
            x = llm_swar_load(p);
            stop = llm_swar_equal(x, '"') | llm_swar_equal(x, '\\')
                   | llm_swar_equal(x, 0x7f) | llm_swar_below(x, 0x20);
            stop = llm_swar_mask(stop, x) | (x & LLM_HIGHS);

            if (stop == 0) {
                p += 8;
                continue;
            }

            p += llm_swar_first(stop);
        }

        class = llm_write_class[*p];

        if (class == 2 || class == 3) {
            len = llm_write_linesep(p, (size_t) (end - p));

        } else {
            len = class != 0 && !only;
        }

        if (len == 0) {
            p++;
            continue;
        }

        if (p != plain) {
            llm_out(out, plain, (size_t) (p - plain));
        }

        llm_write_escape(out, p, class);
        p += len;
        plain = p;
    }

    if (p != plain) {
        llm_out(out, plain, (size_t) (p - plain));
    }
}


void
llm_write_escaped(llm_out_t *out, const llm_u8 *p, size_t n)
{
    llm_write_chars(out, p, n, 0);
}


void
llm_write_inside(llm_out_t *out, const llm_slice_t *s, unsigned linesep)
{
    if (s->escaped && !linesep && s->n != 0) {
        llm_out(out, s->p, s->n);
        return;
    }

    llm_write_chars(out, s->p, s->n, s->escaped);
}


void
llm_write_string(llm_out_t *out, const llm_slice_t *s, unsigned linesep)
{
    if (s->p == NULL) {
        llm_out_lit(out, "null");
        return;
    }

    llm_out_lit(out, "\"");
    llm_write_inside(out, s, linesep);
    llm_out_lit(out, "\"");
}


void
llm_write_int(llm_out_t *out, int64_t v)
{
    char       buf[20], *p;
    uint64_t   u;

    u = v < 0 ? 0 - (uint64_t) v : (uint64_t) v;
    p = buf + sizeof(buf);

    do {
        *--p = (char) ('0' + u % 10);
        u /= 10;
    } while (u != 0);

    if (v < 0) {
        *--p = '-';
    }

    llm_out(out, p, (size_t) (buf + sizeof(buf) - p));
}
