/*
 * The estimate of tokens.  It must never depend on how a text was cut, nor on
 * whether it is escaped.
 *
 * In UTF-8 the first byte of a character tells its script, so it carries the
 * price and the others are free.  The prices are what tokenizers of byte pairs
 * with 100 to 200 thousand tokens need on average:
 *
 * - OpenAI's rule of thumb of 4 characters or 3/4 of a word a token for
 *   English, at 4.7 letters and a space a word;
 * - characters a token by language, measured on Wikipedia: the model card of
 *   Cohere's multilingual-22-12, C. Wittmann, "Empirically estimating tokens
 *   per word across languages" (2025);
 * - for the scripts in between, the ratios to English in A. Petrov et al.,
 *   "Language Model Tokenizers Introduce Unfairness Between Languages" (2023),
 *   nearer to the newer tokenizers, which are fairer.
 *
 * A mark of punctuation is mostly a token of its own in code and half of one
 * in prose, digits go by up to three, a space goes with its word.
 */

#include "llm_estimate.h"
#include "llm_swar.h"


#define LLM_ESTIMATE_CHAT     3000      /* what opens the answer */
#define LLM_ESTIMATE_MESSAGE  4000      /* role and borders */
#define LLM_ESTIMATE_TOOL     8000
#define LLM_ESTIMATE_MEDIA    1000000   /* an image or so: what it is made of
                                           says nothing */

#define LLM_ESTIMATE_ASTRAL   0xf0      /* first byte above U+FFFF */

/* controls, line feed, space, punctuation, digit, capital, small letter */
#define C  200
#define N  400
#define S  50
#define P  650
#define D  400
#define U  300
#define L  240

#define X4(n)   n, n, n, n
#define X16(n)  X4(n), X4(n), X4(n), X4(n)


static const uint16_t  llm_estimate_price[256] = {
    X4(C), X4(C), C, C, N, C, X4(C), X16(C),
    S, P, P, P, X4(P), X4(P), X4(P),
    X4(D), X4(D), D, D, P, P, X4(P),
    P, U, U, U, X4(U), X4(U), X4(U),
    X4(U), X4(U), U, U, U, P, P, P, P, P,
    P, L, L, L, X4(L), X4(L), X4(L),
    X4(L), X4(L), L, L, L, P, P, P, P, C,

    /* the rest of a character */
    X16(0), X16(0), X16(0), X16(0),

    /* never, never, Latin with marks, signs of phonetics, Greek */
    1000, 1000, 600, 600, 600, 600, 600, 600, 600, 600,
    900, 900, 900, 500, 500, 500,

    /* Cyrillic, Armenian, Hebrew, Arabic, Syriac and others */
    380, 380, 380, 380, 700, 700, 500, 500,
    450, 450, 450, 450, 900, 900, 900, 900,

    /* Devanagari and the other scripts of India, Thai; Georgian, Khmer and
     * others; punctuation, arrows, mathematics; kana */
    500, 900, 800, 700,

    /* CJK, Hangul, private, compatibility and full width */
    750, 750, 750, 750, 750, 750, 750, 750, 750, 750, 1500, 900,

    /* emoji and what is rare; never */
    2000, 2000, 2000, 2000, 2000, 1000, 1000, 1000, X4(1000), X4(1000)
};


#undef C
#undef N
#undef S
#undef P
#undef D
#undef U
#undef L


uint64_t
llm_estimate(const llm_u8 *p, size_t n)
{
    size_t    i;
    uint64_t  sum;

    sum = 0;

    for (i = 0; i < n; i++) {
        sum += llm_estimate_price[p[i]];
    }

    return sum;
}


/* The price of \uXXXX; the second half of a pair is free, as the first one
 * tells the price.  p is behind the "u". */
static unsigned
llm_estimate_unit(const llm_u8 *p)
{
    int       h;
    unsigned  i, u;

    u = 0;

    for (i = 0; i < 4; i++) {
        h = llm_hex_digit(p[i]);
        u = u << 4 | (unsigned) (h < 0 ? 0 : h);
    }

    if (u < 0x80) {
        return llm_estimate_price[u];
    }

    if (u < 0x800) {
        return llm_estimate_price[0xc0 | u >> 6];
    }

    if ((u & 0xfc00) == 0xdc00) {
        return 0;
    }

    return llm_estimate_price[(u & 0xfc00) == 0xd800 ? LLM_ESTIMATE_ASTRAL
                                                     : 0xe0 | u >> 12];
}


static unsigned
llm_estimate_escape(llm_u8 c)
{
    switch (c) {

    case 'b':
        return llm_estimate_price['\b'];

    case 'f':
        return llm_estimate_price['\f'];

    case 'n':
        return llm_estimate_price['\n'];

    case 'r':
        return llm_estimate_price['\r'];

    case 't':
        return llm_estimate_price['\t'];

    default:
        return llm_estimate_price[c];
    }
}


uint64_t
llm_estimate_slice(const llm_slice_t *s)
{
    uint64_t       sum;
    const llm_u8  *p, *end, *next;

    if (s->n == 0) {
        return 0;
    }

    if (!s->escaped) {
        return llm_estimate(s->p, s->n);
    }

    p = s->p;
    end = p + s->n;
    sum = 0;

    while (p < end) {
        next = memchr(p, '\\', (size_t) (end - p));

        if (next == NULL) {
            return sum + llm_estimate(p, (size_t) (end - p));
        }

        sum += llm_estimate(p, (size_t) (next - p));
        p = next + 1;

        if (end - p >= 5 && *p == 'u') {
            sum += llm_estimate_unit(p + 1);
            p += 5;

        } else if (p < end) {
            sum += llm_estimate_escape(*p);
            p++;
        }
    }

    return sum;
}


static uint64_t
llm_estimate_part(const llm_part_t *part)
{
    switch (part->type) {

    case LLM_PART_IMAGE: case LLM_PART_AUDIO: case LLM_PART_FILE:
        return LLM_ESTIMATE_MEDIA;

    case LLM_PART_OTHER:
        return LLM_ESTIMATE_MESSAGE;

    default:
        return llm_estimate_slice(&part->text)
               + llm_estimate_slice(&part->name)
               + llm_estimate_slice(&part->args);
    }
}


uint64_t
llm_estimate_chat(const llm_chat_t *c)
{
    size_t             i;
    unsigned           messages;
    uint64_t           sum;
    const llm_part_t  *part;
    const llm_tool_t  *tool;

    part = llm_chat_parts(c);
    tool = llm_chat_tools(c);

    sum = LLM_ESTIMATE_CHAT + llm_estimate_slice(&c->schema)
          + llm_estimate_slice(&c->suffix);
    messages = 0;

    for (i = 0; i < llm_chat_nparts(c); i++) {
        sum += llm_estimate_part(&part[i]);
        messages += (i == 0 || part[i].message != part[i - 1].message);
    }

    for (i = 0; i < llm_chat_ntools(c); i++) {
        sum += LLM_ESTIMATE_TOOL + llm_estimate_slice(&tool[i].name)
               + llm_estimate_slice(&tool[i].description)
               + llm_estimate_slice(&tool[i].schema);
    }

    return sum + (uint64_t) messages * LLM_ESTIMATE_MESSAGE;
}
