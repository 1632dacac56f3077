/*
 * Where a text may be cut.  Clusters are those of Unicode's UAX 29, by
 * utf8proc; ends of sentences are those of its sentence breaks, simplified.
 * No place is ever better than a border of clusters.
 */

#include "llm_break.h"

#include <utf8proc.h>


/* llm_break_t.word: what stands before a full stop */
#define LLM_BREAK_RUN_NONE    0
#define LLM_BREAK_RUN_LETTER  1     /* a single one */
#define LLM_BREAK_RUN_NUMBER  2     /* of a list, at the beginning of a line */
#define LLM_BREAK_RUN_LONG    3

/* llm_break_t.end, the surest last */
#define LLM_BREAK_END_NONE    0
#define LLM_BREAK_END_STOP    1     /* no end before a small letter */
#define LLM_BREAK_END_MARK    2
#define LLM_BREAK_END_WIDE    3     /* needs no white space */


typedef struct {
    int32_t  from;
    int32_t  to;
} llm_break_range_t;


/* Unicode's STerm beside ASCII and the wide ones. */
static const llm_break_range_t  llm_break_terms[] = {
    { 0x589, 0x589 }, { 0x61d, 0x61f }, { 0x6d4, 0x6d4 }, { 0x700, 0x702 },
    { 0x7f9, 0x7f9 }, { 0x837, 0x837 }, { 0x839, 0x839 }, { 0x83d, 0x83e },
    { 0x964, 0x965 }, { 0x104a, 0x104b }, { 0x1362, 0x1362 },
    { 0x1367, 0x1368 }, { 0x166e, 0x166e }, { 0x1735, 0x1736 },
    { 0x17d4, 0x17d5 }, { 0x1803, 0x1803 }, { 0x1809, 0x1809 },
    { 0x1944, 0x1945 }, { 0x1aa8, 0x1aab }, { 0x1b5a, 0x1b5b },
    { 0x1b5e, 0x1b5f }, { 0x1b7d, 0x1b7e }, { 0x1c3b, 0x1c3c },
    { 0x1c7e, 0x1c7f }, { 0x203c, 0x203d }, { 0x2047, 0x2049 },
    { 0x2e2e, 0x2e2e }, { 0x2e3c, 0x2e3c }, { 0x2e53, 0x2e54 },
    { 0xa4ff, 0xa4ff }, { 0xa60e, 0xa60f }, { 0xa6f3, 0xa6f3 },
    { 0xa6f7, 0xa6f7 }, { 0xa876, 0xa877 }, { 0xa8ce, 0xa8cf },
    { 0xa92f, 0xa92f }, { 0xa9c8, 0xa9c9 }, { 0xaa5d, 0xaa5f },
    { 0xaaf0, 0xaaf1 }, { 0xabeb, 0xabeb }, { 0x10a56, 0x10a57 },
    { 0x10f55, 0x10f59 }, { 0x10f86, 0x10f89 }, { 0x11047, 0x11048 },
    { 0x110be, 0x110c1 }, { 0x11141, 0x11143 }, { 0x111c5, 0x111c6 },
    { 0x111cd, 0x111cd }, { 0x111de, 0x111df }, { 0x11238, 0x11239 },
    { 0x1123b, 0x1123c }, { 0x112a9, 0x112a9 }, { 0x1144b, 0x1144c },
    { 0x115c2, 0x115c3 }, { 0x115c9, 0x115d7 }, { 0x11641, 0x11642 },
    { 0x1173c, 0x1173e }, { 0x11944, 0x11944 }, { 0x11946, 0x11946 },
    { 0x11a42, 0x11a43 }, { 0x11a9b, 0x11a9c }, { 0x11c41, 0x11c42 },
    { 0x11ef7, 0x11ef8 }, { 0x16a6e, 0x16a6f }, { 0x16af5, 0x16af5 },
    { 0x16b37, 0x16b38 }, { 0x16b44, 0x16b44 }, { 0x16e98, 0x16e98 },
    { 0x1bc9f, 0x1bc9f }, { 0x1da88, 0x1da88 }
};


/* Ideographs and kana: scripts in which each character stands by itself. */
static const llm_break_range_t  llm_break_cjk[] = {
    { 0x2e80, 0x2fdf }, { 0x3005, 0x3007 }, { 0x3021, 0x3029 },
    { 0x3041, 0x3096 }, { 0x309d, 0x309f }, { 0x30a1, 0x30fa },
    { 0x30fc, 0x30ff }, { 0x3105, 0x312f }, { 0x31a0, 0x31bf },
    { 0x31f0, 0x31ff }, { 0x3400, 0x4dbf }, { 0x4e00, 0x9fff },
    { 0xf900, 0xfaff }, { 0xff66, 0xff9d }, { 0x1b000, 0x1b16f },
    { 0x20000, 0x3fffd }
};


/* Viramas that Unicode counts as linkers of conjuncts; that a utf8proc older
 * than Unicode 15.1 does not know of them must not part a syllable. */
static const llm_break_range_t  llm_break_linkers[] = {
    { 0x94d, 0x94d }, { 0x9cd, 0x9cd }, { 0xacd, 0xacd }, { 0xb4d, 0xb4d },
    { 0xc4d, 0xc4d }, { 0xd4d, 0xd4d }, { 0x1039, 0x1039 },
    { 0x17d2, 0x17d2 }, { 0x1a60, 0x1a60 }, { 0x1b44, 0x1b44 }
};


static int
llm_break_search(const llm_break_range_t *r, size_t n, int32_t c)
{
    size_t  low, high, mid;

    low = 0;
    high = n;

    while (low < high) {
        mid = (low + high) / 2;

        if (c > r[mid].to) {
            low = mid + 1;

        } else if (c < r[mid].from) {
            high = mid;

        } else {
            return 1;
        }
    }

    return 0;
}

#define llm_break_in(table, c)                                              \
    ((c) >= (table)[0].from                                                 \
     && llm_break_search(table, sizeof(table) / sizeof((table)[0]), c))


static inline int
llm_break_plain(int32_t c)
{
    return c >= 0x20 && c < 0x7f;
}


/* Those that end a line or a paragraph. */
static inline int
llm_break_newline(int32_t c)
{
    return c == '\n' || c == 0x2028 || c == 0x2029;
}


/* White space that may end a line: not the spaces made to join words. */
static inline int
llm_break_space(int32_t c)
{
    if (c < 0x80) {
        return c == ' ' || (c >= '\t' && c <= '\r');
    }

    return c != 0xa0 && c != 0x2007 && c != 0x202f
           && (c == 0x85 || llm_break_newline(c)
               || utf8proc_category(c) == UTF8PROC_CATEGORY_ZS);
}


static int
llm_break_cluster(llm_break_t *b, int32_t c)
{
    int  border;

    /* the state is that of the last character, and all of these are alike */

    if (llm_break_plain(b->last) && llm_break_plain(c)) {
        return 1;
    }

    border = utf8proc_grapheme_break_stateful(b->last, c, &b->state);

    if (border) {
        border = !(b->linked
                   && utf8proc_category(c) == UTF8PROC_CATEGORY_LO);
        b->linked = 0;
    }

    if (llm_break_in(llm_break_linkers, c)) {
        b->linked = 1;
    }

    b->odd = utf8proc_get_property(c)->boundclass
             == UTF8PROC_BOUNDCLASS_REGIONAL_INDICATOR && !b->odd;

    return border;
}


/* What an end of a sentence c is. */
static unsigned
llm_break_end(int32_t c)
{
    switch (c) {

    case '.': case 0x2024: case 0x2026: case 0xfe52:
        return LLM_BREAK_END_STOP;

    case '!': case '?':
        return LLM_BREAK_END_MARK;

    case 0x3002: case 0xfe56: case 0xfe57: case 0xff01: case 0xff0e:
    case 0xff1f: case 0xff61:
        return LLM_BREAK_END_WIDE;

    default:
        return llm_break_in(llm_break_terms, c) ? LLM_BREAK_END_MARK
                                                : LLM_BREAK_END_NONE;
    }
}


/* Quotes, brackets and Markdown's marks that close a sentence behind its
 * end.  Which of the quotes closes differs from language to language; behind
 * a wide end, where no white space tells, it is as in Chinese. */
static int
llm_break_closes(const llm_break_t *b, int32_t c)
{
    switch (utf8proc_category(c)) {

    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PF:
        return 1;

    case UTF8PROC_CATEGORY_PI:
        return b->end != LLM_BREAK_END_WIDE;

    default:
        return c == '"' || c == '\'' || c == '*' || c == '_';
    }
}


static int
llm_break_punctuation(int32_t c)
{
    utf8proc_category_t  k;

    k = utf8proc_category(c);

    return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}


/* A character of a script without spaces, or its punctuation. */
static inline int
llm_break_wide(int32_t c)
{
    return c >= 0x2e80
           && (llm_break_in(llm_break_cjk, c) || (c >= 0x3001 && c <= 0x303f)
               || (c >= 0xff01 && c <= 0xff65));
}


/* Whether a word ends between the last character and c, which is no white
 * space. */
static int
llm_break_is_word(const llm_break_t *b, int32_t c)
{
    int32_t  last;

    last = b->last;

    if (llm_break_space(last)) {
        return 1;
    }

    if (last < 0x2e80 && c < 0x2e80) {
        return 0;
    }

    if (utf8proc_category(last) == UTF8PROC_CATEGORY_PS
        || utf8proc_category(last) == UTF8PROC_CATEGORY_PI)
    {
        return 0;
    }

    return llm_break_in(llm_break_cjk, c)
           || (llm_break_wide(last) && !llm_break_punctuation(c));
}


/* Whether a sentence ends there. */
static int
llm_break_is_sentence(const llm_break_t *b, int32_t c)
{
    if (b->end == LLM_BREAK_END_NONE) {
        return 0;
    }

    if (b->spaced) {
        return !(b->end == LLM_BREAK_END_STOP
                 && utf8proc_category(c) == UTF8PROC_CATEGORY_LL);
    }

    if (llm_break_end(c) != LLM_BREAK_END_NONE || llm_break_closes(b, c)) {
        return 0;
    }

    return b->end == LLM_BREAK_END_WIDE
           || (b->end == LLM_BREAK_END_MARK && llm_break_in(llm_break_cjk, c));
}


/* The place before c, a border of clusters. */
static llm_break_at_t
llm_break_place(const llm_break_t *b, int32_t c)
{
    if (llm_break_newline(b->last)) {
        return LLM_BREAK_LINE;
    }

    if (llm_break_space(c)) {
        return LLM_BREAK_CLUSTER;
    }

    if (llm_break_is_sentence(b, c)) {
        return LLM_BREAK_SENTENCE;
    }

    return llm_break_is_word(b, c) ? LLM_BREAK_WORD : LLM_BREAK_CLUSTER;
}


/* The letters or digits that c goes on with. */
static unsigned
llm_break_run(const llm_break_t *b, int32_t c)
{
    utf8proc_category_t  k;

    k = utf8proc_category(c);

    if (k == UTF8PROC_CATEGORY_ND
        && (!b->within || b->word == LLM_BREAK_RUN_NUMBER))
    {
        return LLM_BREAK_RUN_NUMBER;
    }

    if (k == UTF8PROC_CATEGORY_ND
        || (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO))
    {
        return b->word == LLM_BREAK_RUN_NONE && k != UTF8PROC_CATEGORY_ND
               ? LLM_BREAK_RUN_LETTER : LLM_BREAK_RUN_LONG;
    }

    return LLM_BREAK_RUN_NONE;
}


/* c begins a cluster: what it does to the sentence. */
static void
llm_break_take(llm_break_t *b, int32_t c)
{
    unsigned  end;

    if (llm_break_newline(c)) {
        b->word = LLM_BREAK_RUN_NONE;
        b->end = LLM_BREAK_END_NONE;
        b->within = 0;
        return;
    }

    if (llm_break_space(c)) {
        b->word = LLM_BREAK_RUN_NONE;
        b->spaced = 1;
        return;
    }

    end = llm_break_end(c);

    if (b->spaced || (end == LLM_BREAK_END_NONE && !llm_break_closes(b, c))) {
        b->end = LLM_BREAK_END_NONE;
        b->spaced = 0;
    }

    /* "J. Smith", "1. Item" */

    if (end == LLM_BREAK_END_STOP && (b->word == LLM_BREAK_RUN_LETTER
                                      || b->word == LLM_BREAK_RUN_NUMBER))
    {
        end = LLM_BREAK_END_NONE;
    }

    if (end > b->end) {
        b->end = end & 3;
    }

    b->word = llm_break_run(b, c) & 3;
    b->within = 1;
}


llm_break_at_t
llm_break_next(llm_break_t *b, int32_t c)
{
    llm_break_at_t  at;

    at = LLM_BREAK_NONE;

    if (llm_break_cluster(b, c)) {
        at = b->want > LLM_BREAK_CLUSTER ? llm_break_place(b, c)
                                         : LLM_BREAK_CLUSTER;

        if (b->want == LLM_BREAK_SENTENCE) {
            llm_break_take(b, c);
        }
    }

    b->last = c;

    return at;
}


llm_break_at_t
llm_break_after(const llm_break_t *b)
{
    if (llm_break_newline(b->last)) {
        return LLM_BREAK_LINE;
    }

    return b->last != '\r'
           && utf8proc_get_property(b->last)->boundclass
              == UTF8PROC_BOUNDCLASS_CONTROL
           ? LLM_BREAK_CLUSTER : LLM_BREAK_NONE;
}


int
llm_break_joins(const llm_break_t *b)
{
    if (b->last < 0x80) {
        return b->last == '\r';
    }

    if (b->odd || b->linked) {
        return 1;
    }

    switch (utf8proc_get_property(b->last)->boundclass) {

    case UTF8PROC_BOUNDCLASS_ZWJ:
    case UTF8PROC_BOUNDCLASS_PREPEND:
    case UTF8PROC_BOUNDCLASS_L:
    case UTF8PROC_BOUNDCLASS_V:
        return 1;

    default:
        return 0;
    }
}
