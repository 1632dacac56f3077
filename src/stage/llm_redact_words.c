/*
 * A list of words as patterns: read, sorted, and written as a tree of what the
 * words have in common, so that at a place no more is tried than fits so far.
 * A long list is several patterns.
 */

#include "llm_redact.h"
#include "llm_utf8.h"

#include <utf8proc.h>


/* bytes of words in one pattern, as long as it is not too large */
#define LLM_REDACT_PART  8192

/*
 * A letter or digit of a script that puts spaces between words: a word that
 * begins or ends with one is whole where no other follows.  The others are
 * found anywhere.
 */
#define LLM_REDACT_LETTER                                                   \
    "(?![\\p{Han}\\p{Hiragana}\\p{Katakana}\\p{Hangul}\\p{Bopomofo}"        \
    "\\p{Thai}\\p{Lao}\\p{Khmer}\\p{Myanmar}\\p{Tibetan}])[\\p{L}\\p{N}_]"

#define LLM_REDACT_BEGINS  "(?<!" LLM_REDACT_LETTER ")"

/* group 1 of every pattern, and what calls it */
#define LLM_REDACT_ENDS    "(?(DEFINE)((?!" LLM_REDACT_LETTER ")))"
#define LLM_REDACT_END     "(?1)"


typedef struct {
    const llm_u8       *p;
    size_t              n;
} llm_redact_word_t;

typedef struct {
    llm_redact_t       *redact;
    llm_block_t         folded;         /* their bytes */
    llm_block_t         words;          /* llm_redact_word_t */
    llm_block_t         source;         /* of a pattern */
    llm_redact_run_t    run;            /* of `letter` */
    llm_redact_t        letter;
    uint64_t            count;
    size_t              cap;            /* characters of a word */
    size_t              max;            /* of the longest */
} llm_redact_list_t;

#define llm_redact_word(l, i)                                               \
    (&((llm_redact_word_t *) (void *) (l)->words.p)[i])


static llm_rc_t
llm_redact_say(llm_redact_list_t *l, const char *text)
{
    return llm_block_append(&l->source, &l->redact->alloc, text,
                            strlen(text));
}


static size_t
llm_redact_char(const llm_u8 *p, size_t n)
{
    size_t  i;

    for (i = 1; i < n && (p[i] & 0xc0) == 0x80; i++) { /* void */ }

    return i;
}


/* Characters, none of them with a meaning. */
static llm_rc_t
llm_redact_spell(llm_redact_list_t *l, const llm_u8 *p, size_t n)
{
    size_t    i;
    llm_u8    c;
    llm_rc_t  rc;

    rc = LLM_OK;

    for (i = 0; i < n && rc == LLM_OK; i++) {
        c = p[i];

        if (c < 0x80 && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
            && !(c >= '0' && c <= '9'))
        {
            rc = llm_redact_say(l, "\\");
        }

        if (rc == LLM_OK) {
            rc = llm_block_append(&l->source, &l->redact->alloc, &c, 1);
        }
    }

    return rc;
}


/* LLM_OK: it is a letter or digit; LLM_AGAIN: it is not. */
static llm_rc_t
llm_redact_is_letter(llm_redact_list_t *l, const llm_u8 *p, size_t n)
{
    llm_rc_t           rc;
    uint64_t           before;
    llm_redact_text_t  t;

    memset(&t, 0, sizeof(llm_redact_text_t));

    t.in = LLM_REDACT_CONTENT;
    before = l->count;

    rc = llm_redact_feed(&l->run, &t, p, n, 1, &l->run.text);
    llm_redact_text_free(&l->run, &t);
    l->run.text.n = 0;

    return rc != LLM_OK ? rc : l->count != before ? LLM_OK : LLM_AGAIN;
}


/* What stands behind a word: LLM_OK or a failure. */
static llm_rc_t
llm_redact_end(llm_redact_list_t *l, const llm_redact_word_t *w)
{
    size_t    n;
    llm_rc_t  rc;

    for (n = 1; n < w->n && (w->p[w->n - n] & 0xc0) == 0x80; n++) {
        /* void */
    }

    rc = llm_redact_is_letter(l, w->p + w->n - n, n);

    if (rc == LLM_OK) {
        return llm_redact_say(l, LLM_REDACT_END);
    }

    return rc == LLM_AGAIN ? LLM_OK : rc;
}


/* The first word behind i, before `to`, with another character at `depth`. */
static size_t
llm_redact_sibling(const llm_redact_list_t *l, size_t i, size_t to,
    size_t depth)
{
    size_t                    n;
    const llm_redact_word_t  *w, *next;

    w = llm_redact_word(l, i);
    n = llm_redact_char(w->p + depth, w->n - depth);

    for (i++; i < to; i++) {
        next = llm_redact_word(l, i);

        if (next->n < depth + n
            || memcmp(next->p + depth, w->p + depth, n) != 0)
        {
            break;
        }
    }

    return i;
}


/* What the words of [i, to), which have `depth` bytes in common, go on with:
 * the longer first.  No deeper than a word is long. */
static llm_rc_t
llm_redact_tree(llm_redact_list_t *l, size_t i, size_t to, size_t depth)
{
    size_t                    n, next;
    llm_rc_t                  rc;
    unsigned                  whole;
    const char               *opening;
    const llm_redact_word_t  *w, *first;

    rc = LLM_OK;
    first = llm_redact_word(l, i);
    whole = first->n == depth;
    i += whole;

    if (i == to) {
        return llm_redact_end(l, first);
    }

    opening = whole || llm_redact_sibling(l, i, to, depth) != to ? "(?:" : "";
    n = strlen(opening);

    for ( /* void */ ; i < to && rc == LLM_OK; i = next) {
        w = llm_redact_word(l, i);
        next = llm_redact_sibling(l, i, to, depth);

        rc = llm_redact_say(l, opening);
        opening = "|";

        if (rc == LLM_OK) {
            rc = llm_redact_spell(l, w->p + depth,
                                  llm_redact_char(w->p + depth,
                                                  w->n - depth));
        }

        if (rc == LLM_OK) {
            rc = llm_redact_tree(l, i, next, depth
                                 + llm_redact_char(w->p + depth,
                                                   w->n - depth));
        }
    }

    if (rc == LLM_OK && whole) {
        rc = llm_redact_say(l, "|");

        if (rc == LLM_OK) {
            rc = llm_redact_end(l, first);
        }
    }

    return rc == LLM_OK && n != 0 ? llm_redact_say(l, ")") : rc;
}


/* The words of [i, to) whose first character is a letter, or is none. */
static llm_rc_t
llm_redact_branch(llm_redact_list_t *l, size_t i, size_t to, llm_rc_t letter,
    unsigned *some)
{
    size_t                    n, next;
    llm_rc_t                  rc;
    const llm_redact_word_t  *w;

    for ( /* void */ ; i < to; i = next) {
        w = llm_redact_word(l, i);
        n = llm_redact_char(w->p, w->n);
        next = llm_redact_sibling(l, i, to, 0);

        rc = llm_redact_is_letter(l, w->p, n);

        if (rc != letter) {
            if (rc == LLM_OK || rc == LLM_AGAIN) {
                continue;
            }

            return rc;
        }

        rc = llm_redact_say(l, *some == 0 ? "" : "|");

        if (rc == LLM_OK && letter == LLM_OK) {
            rc = llm_redact_say(l, LLM_REDACT_BEGINS);
        }

        if (rc == LLM_OK) {
            rc = llm_redact_spell(l, w->p, n);
        }

        if (rc == LLM_OK) {
            rc = llm_redact_tree(l, i, next, n);
        }

        if (rc != LLM_OK) {
            return rc;
        }

        *some = 1;
    }

    return LLM_OK;
}


/* The words of [i, to) as one pattern, or as two of half as many. */
static llm_rc_t
llm_redact_part(llm_redact_list_t *l, size_t i, size_t to,
    llm_redact_why_t *why)
{
    llm_rc_t  rc;
    unsigned  some;

    l->source.n = 0;
    some = 0;

    rc = llm_redact_say(l, "(?i)(?:");

    if (rc == LLM_OK) {
        rc = llm_redact_branch(l, i, to, LLM_OK, &some);
    }

    if (rc == LLM_OK) {
        rc = llm_redact_branch(l, i, to, LLM_AGAIN, &some);
    }

    if (rc == LLM_OK) {
        rc = llm_redact_say(l, ")" LLM_REDACT_ENDS);
    }

    if (rc == LLM_OK) {
        rc = llm_redact_compile(l->redact, l->source.p, l->source.n, l->max,
                                0, why);
    }

    if (rc != LLM_TOO_BIG || to - i < 2) {
        return rc == LLM_TOO_BIG ? LLM_INVALID : rc;
    }

    rc = llm_redact_part(l, i, i + (to - i) / 2, why);

    return rc == LLM_OK ? llm_redact_part(l, i + (to - i) / 2, to, why) : rc;
}


static int
llm_redact_compare(const llm_redact_word_t *a, const llm_redact_word_t *b)
{
    int  rc;

    rc = memcmp(a->p, b->p, a->n < b->n ? a->n : b->n);

    return rc != 0 ? rc : (a->n > b->n) - (a->n < b->n);
}


/* Makes a heap of n words again, of which only the one at i is not in
 * place. */
static void
llm_redact_sift(llm_redact_list_t *l, size_t i, size_t n)
{
    size_t             child;
    llm_redact_word_t  w;

    w = *llm_redact_word(l, i);

    while ((child = 2 * i + 1) < n) {

        if (child + 1 < n
            && llm_redact_compare(llm_redact_word(l, child),
                                  llm_redact_word(l, child + 1)) < 0)
        {
            child++;
        }

        if (llm_redact_compare(&w, llm_redact_word(l, child)) >= 0) {
            break;
        }

        *llm_redact_word(l, i) = *llm_redact_word(l, child);
        i = child;
    }

    *llm_redact_word(l, i) = w;
}


/* Sorts the words, takes out those that are there twice; how many. */
static size_t
llm_redact_sort(llm_redact_list_t *l)
{
    size_t             i, n;
    llm_redact_word_t  w;

    n = l->words.n / sizeof(llm_redact_word_t);

    for (i = n / 2; i > 0; i--) {
        llm_redact_sift(l, i - 1, n);
    }

    for (i = n; i > 1; i--) {
        w = *llm_redact_word(l, 0);
        *llm_redact_word(l, 0) = *llm_redact_word(l, i - 1);
        *llm_redact_word(l, i - 1) = w;
        llm_redact_sift(l, 0, i - 1);
    }

    for (i = 1, l->words.n = n != 0; i < n; i++) {
        if (llm_redact_compare(llm_redact_word(l, i),
                               llm_redact_word(l, l->words.n - 1)) != 0)
        {
            *llm_redact_word(l, l->words.n++) = *llm_redact_word(l, i);
        }
    }

    n = l->words.n;
    l->words.n *= sizeof(llm_redact_word_t);

    return n;
}


/* The one letter that stands for all that PCRE2 finds for it in any case. */
static utf8proc_int32_t
llm_redact_fold(utf8proc_int32_t c)
{
    /* PCRE2 has no other case of the dotted I and of the i without a dot */

    if (c == 0x130 || c == 0x131) {
        return c;
    }

    /* some have a small letter only, some, as the long s, a large one only */

    return utf8proc_tolower(utf8proc_toupper(utf8proc_tolower(c)));
}


/* Adds a word.  The tree is one of bytes, so that letters that are found alike
 * must be alike. */
static llm_rc_t
llm_redact_add_word(llm_redact_list_t *l, const llm_u8 *p, size_t n)
{
    llm_u8             *dst;
    llm_redact_word_t   w;
    utf8proc_int32_t    c;
    utf8proc_ssize_t    k;

    dst = l->folded.p + l->folded.n;
    w.p = dst;

    while (n != 0) {
        k = utf8proc_iterate(p, (utf8proc_ssize_t) n, &c);
        dst += llm_utf8_put(dst, (uint32_t) llm_redact_fold(c));
        p += k;
        n -= (size_t) k;
    }

    w.n = (size_t) (dst - w.p);
    l->folded.n += w.n;

    return llm_block_append(&l->words, &l->redact->alloc, &w,
                            sizeof(llm_redact_word_t));
}


/* One line without its end. */
static llm_rc_t
llm_redact_line(llm_redact_list_t *l, const llm_u8 *p, size_t n, long line,
    llm_redact_why_t *why)
{
    size_t  chars;

    if (llm_utf8_check(p, n) & LLM_UTF8_INVALID) {
        return llm_redact_why(why, line, "is not UTF-8");
    }

    while (n != 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'
                      || p[n - 1] == '\r'))
    {
        n--;
    }

    while (n != 0 && (*p == ' ' || *p == '\t')) {
        p++;
        n--;
    }

    if (n == 0 || *p == '#') {
        return LLM_OK;
    }

    if (memchr(p, '\0', n) != NULL) {
        return llm_redact_why(why, line, "has a null byte");
    }

    chars = llm_utf8_count(p, n);

    if (chars > l->cap) {
        return llm_redact_why(why, line, "is longer than \"max=\"");
    }

    l->max = chars > l->max ? chars : l->max;

    return llm_redact_add_word(l, p, n);
}


static llm_rc_t
llm_redact_lines(llm_redact_list_t *l, const llm_u8 *p, size_t n,
    llm_redact_why_t *why)
{
    long           line;
    llm_rc_t       rc;
    const llm_u8  *end, *eol;

    /* words point into it, so it must not grow: a letter has 4 bytes at most */

    rc = llm_block_reserve(&l->folded, &l->redact->alloc, n * 4);
    if (rc != LLM_OK) {
        return rc;
    }

    end = p + n;

    if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
        p += 3;
    }

    for (line = 1; p < end; line++) {
        eol = memchr(p, '\n', (size_t) (end - p));
        eol = eol != NULL ? eol : end;

        rc = llm_redact_line(l, p, (size_t) (eol - p), line, why);
        if (rc != LLM_OK) {
            return rc;
        }

        p = eol < end ? eol + 1 : end;
    }

    return l->words.n != 0 ? LLM_OK
                           : llm_redact_why(why, -1, "has no words");
}


/* What tells letters. */
static llm_rc_t
llm_redact_letters(llm_redact_list_t *l, llm_redact_why_t *why)
{
    llm_rc_t           rc;
    llm_redact_rule_t  rule;

    memset(&rule, 0, sizeof(llm_redact_rule_t));

    rule.in = LLM_REDACT_CONTENT;
    rule.action = LLM_REDACT_LOG;

    llm_redact_init(&l->letter, &l->redact->alloc);

    rc = llm_redact_regex(&l->letter, &rule,
                          (const llm_u8 *) LLM_REDACT_LETTER,
                          sizeof(LLM_REDACT_LETTER) - 1, why);

    return rc != LLM_OK ? rc
                        : llm_redact_open(&l->run, &l->letter,
                                          &l->redact->alloc, &l->count);
}


static llm_rc_t
llm_redact_parts(llm_redact_list_t *l, llm_redact_why_t *why)
{
    size_t    i, to, n, bytes;
    llm_rc_t  rc;

    n = llm_redact_sort(l);
    rc = LLM_OK;

    for (i = 0; i < n && rc == LLM_OK; i = to) {
        bytes = 0;

        for (to = i; to < n && bytes < LLM_REDACT_PART; to++) {
            bytes += llm_redact_word(l, to)->n;
        }

        rc = llm_redact_part(l, i, to, why);
    }

    return rc;
}


llm_rc_t
llm_redact_words(llm_redact_t *r, const llm_redact_rule_t *rule,
    const llm_u8 *p, size_t n, llm_redact_why_t *why)
{
    llm_rc_t           rc;
    llm_redact_list_t  l;

    memset(&l, 0, sizeof(llm_redact_list_t));

    l.redact = r;
    l.cap = rule->max != 0 ? rule->max : LLM_REDACT_MAX;

    rc = llm_redact_letters(&l, why);

    if (rc == LLM_OK) {
        rc = llm_redact_lines(&l, p, n, why);
    }

    if (rc == LLM_OK) {
        rc = llm_redact_add(r, rule);
    }

    if (rc == LLM_OK) {
        rc = llm_redact_parts(&l, why);
    }

    llm_redact_close(&l.run);
    llm_redact_free(&l.letter);
    llm_block_free(&l.folded, &r->alloc);
    llm_block_free(&l.words, &r->alloc);
    llm_block_free(&l.source, &r->alloc);

    return rc;
}
