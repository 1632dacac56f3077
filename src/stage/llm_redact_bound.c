/*
 * How long the longest match of a pattern can be.  PCRE2 does not say, so the
 * pattern is read here, after PCRE2 has compiled it.  It may say too much or
 * "cannot be told", but never too little.
 */

#include "llm_redact.h"


typedef struct {
    const llm_u8    *p;
    const llm_u8    *end;
    const char      *refused;
    unsigned         unbounded;
    unsigned         extended;          /* 1: (?x), 2: (?xx) */
    unsigned         behind;            /* lookbehinds around this place */
    unsigned         nested;            /* the most of them at any */
    unsigned         nothing;           /* what was read is no atom: what is
                                           behind it quantifies the last */
} llm_redact_scan_t;


#define LLM_REDACT_MUCH  ((size_t) 1 << 30)


static size_t llm_redact_alternatives(llm_redact_scan_t *s);


static size_t
llm_redact_add_sizes(size_t a, size_t b)
{
    return a + b > LLM_REDACT_MUCH ? LLM_REDACT_MUCH : a + b;
}


static size_t
llm_redact_times(size_t n, size_t most)
{
    return n != 0 && most > LLM_REDACT_MUCH / n ? LLM_REDACT_MUCH : n * most;
}


static int
llm_redact_is(const llm_redact_scan_t *s, size_t at, llm_u8 c)
{
    return (size_t) (s->end - s->p) > at && s->p[at] == c;
}


static int
llm_redact_digit(const llm_redact_scan_t *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}


/* Behind the next c, or to the end. */
static void
llm_redact_behind(llm_redact_scan_t *s, llm_u8 c)
{
    while (s->p < s->end && *s->p++ != c) { /* void */ }
}


static size_t
llm_redact_number(llm_redact_scan_t *s)
{
    size_t  n;

    for (n = 0; llm_redact_digit(s); s->p++) {
        n = llm_redact_add_sizes(n * 10, (size_t) (*s->p - '0'));
    }

    return n;
}


/* A literal between \Q and \E; p is behind the Q. */
static size_t
llm_redact_literal(llm_redact_scan_t *s)
{
    size_t  n;

    for (n = 0; s->p < s->end; s->p++) {

        if (llm_redact_is(s, 0, '\\') && llm_redact_is(s, 1, 'E')) {
            s->p += 2;
            break;
        }

        n += (*s->p & 0xc0) != 0x80;
    }

    s->nothing = n == 0;

    return n;
}


/* The argument of an escape: in braces, else a letter, or hexadecimal digits,
 * two at most. */
static void
llm_redact_argument(llm_redact_scan_t *s, llm_u8 escape)
{
    unsigned  i;

    if (llm_redact_is(s, 0, '{')) {
        llm_redact_behind(s, '}');
        return;
    }

    if (escape != 'x') {
        s->p += s->p < s->end;
        return;
    }

    for (i = 0; i < 2 && s->p < s->end
                && (llm_redact_digit(s) || ((*s->p | 0x20) >= 'a'
                                            && (*s->p | 0x20) <= 'f'));
         i++)
    {
        s->p++;
    }
}


/* A group is called here.  In a lookbehind it could look back from there, and
 * so on: nobody says how far. */
static void
llm_redact_called(llm_redact_scan_t *s)
{
    s->unbounded = 1;

    if (s->behind != 0) {
        s->refused = "a recursion in a lookbehind is not supported";
    }
}


/* A reference to a group, of any spelling; \g<n> and \g'n' are calls. */
static void
llm_redact_reference(llm_redact_scan_t *s, llm_u8 escape)
{
    s->unbounded = 1;

    if (escape == 'g' && (llm_redact_is(s, 0, '<')
                          || llm_redact_is(s, 0, '\'')))
    {
        llm_redact_called(s);
    }

    if (llm_redact_is(s, 0, '<')) {
        llm_redact_behind(s, '>');

    } else if (llm_redact_is(s, 0, '\'')) {
        s->p++;
        llm_redact_behind(s, '\'');

    } else if (llm_redact_is(s, 0, '{')) {
        llm_redact_behind(s, '}');

    } else {
        s->p += llm_redact_is(s, 0, '-') || llm_redact_is(s, 0, '+');
        (void) llm_redact_number(s);
    }
}


/* Behind a backslash. */
static size_t
llm_redact_escape(llm_redact_scan_t *s)
{
    llm_u8  c;

    if (s->p == s->end) {
        return 0;
    }

    c = *s->p++;

    switch (c) {

    case 'b': case 'B': case 'A': case 'z':
        return 0;

    case 'E':
        s->nothing = 1;
        return 0;

    case 'Z':
        s->refused = "\\Z is not supported, \\z is";
        return 0;

    case 'G': case 'K': case 'C':
        s->refused = "\\G, \\K and \\C are not supported";
        return 0;

    case 'Q':
        return llm_redact_literal(s);

    case 'R':
        return 2;

    case 'X':
        s->unbounded = 1;
        return 1;

    case 'p': case 'P': case 'o': case 'x':
        llm_redact_argument(s, c);
        return 1;

    case 'c':
        s->p += s->p < s->end;
        return 1;

    case 'N':

        if (llm_redact_is(s, 0, '{') && llm_redact_is(s, 1, 'U')) {
            llm_redact_behind(s, '}');
        }

        return 1;

    case 'g': case 'k':
        llm_redact_reference(s, c);
        return 1;

    default:

        if (c >= '1' && c <= '9') {
            s->unbounded = 1;
            (void) llm_redact_number(s);
        }

        while (s->p < s->end && (*s->p & 0xc0) == 0x80) {
            s->p++;
        }

        return 1;
    }
}


/* [:alpha:] inside of a class; p is at its bracket. */
static int
llm_redact_posix(llm_redact_scan_t *s)
{
    const llm_u8  *p;

    if (!llm_redact_is(s, 1, ':')) {
        return 0;
    }

    for (p = s->p + 2; p < s->end && (*p == '^' || (*p >= 'a' && *p <= 'z'));
         p++) { /* void */ }

    if (s->end - p < 2 || p[0] != ':' || p[1] != ']') {
        return 0;
    }

    s->p = p + 2;

    return 1;
}


/* Whether a backslash and c are next: then they are behind. */
static int
llm_redact_escaped(llm_redact_scan_t *s, llm_u8 c)
{
    if (!llm_redact_is(s, 0, '\\') || !llm_redact_is(s, 1, c)) {
        return 0;
    }

    s->p += 2;

    return 1;
}


/* Behind the bracket of a class: to its first member, which is a ] that does
 * not end it, too. */
static void
llm_redact_class_begins(llm_redact_scan_t *s)
{
    unsigned  negated;

    for (negated = 0; s->p < s->end; /* void */ ) {

        if (llm_redact_is(s, 0, '^') && !negated) {
            negated = 1;
            s->p++;

        } else if (s->extended > 1 && (*s->p == ' ' || *s->p == '\t')) {
            s->p++;

        } else if (s->end - s->p > 3 && memcmp(s->p, "\\Q\\E", 4) == 0) {
            s->p += 4;

        } else if (!llm_redact_escaped(s, 'E')) {
            break;
        }
    }

    s->p += llm_redact_is(s, 0, ']');
}


/* Behind the bracket of a class. */
static size_t
llm_redact_class(llm_redact_scan_t *s)
{
    llm_redact_class_begins(s);

    while (s->p < s->end) {

        if (*s->p == ']') {
            s->p++;
            break;
        }

        if (*s->p == '[' && llm_redact_posix(s)) {
            continue;
        }

        if (llm_redact_escaped(s, 'Q')) {
            (void) llm_redact_literal(s);
            continue;
        }

        /* the ] of \c] and of \] */

        if (!llm_redact_escaped(s, 'c') && *s->p == '\\') {
            s->p++;
        }

        s->p += s->p < s->end;
    }

    s->nothing = 0;

    return 1;
}


/* (?i), (?i-s:…: p is at the first letter.  Whether a group begins. */
static int
llm_redact_options(llm_redact_scan_t *s)
{
    llm_u8    c;
    unsigned  on;

    for (on = 1; s->p < s->end; /* void */ ) {
        c = *s->p++;

        if (c == ':') {
            return 1;
        }

        if (c == ')') {
            s->p--;
            return 0;
        }

        if (c == '^' || (c == 'x' && !on)) {
            s->extended = 0;

        } else if (c == 'x') {
            s->extended = llm_redact_is(s, 0, 'x') ? 2 : 1;
            s->p += s->extended - 1;
        }

        on = on && c != '-';

        /* with x what stands there is not what is matched */

        if (c == 'x' || !((c >= 'a' && c <= 'z') || c == 'J' || c == 'U'
                          || c == '^' || c == '-'))
        {
            s->unbounded = 1;
        }
    }

    return 0;
}


/* A reference, a recursion: up to the end of the group. */
static void
llm_redact_call(llm_redact_scan_t *s)
{
    s->unbounded = 1;

    if (!llm_redact_is(s, 0, 'P') || !llm_redact_is(s, 1, '=')) {
        llm_redact_called(s);
    }

    while (s->p < s->end && *s->p != ')') {
        s->p++;
    }
}


/* Behind "(?": whether alternatives follow; *zero: what they match does not
 * count. */
static int
llm_redact_special(llm_redact_scan_t *s, int *zero)
{
    llm_u8  c;

    c = s->p < s->end ? *s->p : 0;

    switch (c) {

    case ':': case '|': case '>':
        s->p++;
        return 1;

    case '=': case '!': case '*':
        s->p++;
        *zero = 1;
        return 1;

    case '#':
        while (s->p < s->end && *s->p != ')') {
            s->p++;
        }

        return 0;

    case '<': case '\'': case 'P':

        if (c == '<' && (llm_redact_is(s, 1, '=') || llm_redact_is(s, 1, '!')
                         || llm_redact_is(s, 1, '*')))
        {
            s->p += 2;
            s->behind++;
            s->nested = s->behind > s->nested ? s->behind : s->nested;
            *zero = 1;
            return 1;
        }

        if (c == 'P' && !llm_redact_is(s, 1, '<')) {
            llm_redact_call(s);
            return 0;
        }

        s->p += c == 'P' ? 2 : 1;
        llm_redact_behind(s, c == '\'' ? '\'' : '>');
        return 1;

    case '(':
        s->unbounded = 1;
        return 1;

    case 'C':
        s->refused = "callouts are not supported";
        return 0;

    case 'R': case '&': case '+':
        llm_redact_call(s);
        return 0;

    default:

        if ((c >= '0' && c <= '9')
            || (c == '-' && s->end - s->p > 1 && s->p[1] >= '0'
                && s->p[1] <= '9'))
        {
            llm_redact_call(s);
            return 0;
        }

        return llm_redact_options(s);
    }
}


/* Behind a parenthesis. */
static size_t
llm_redact_group(llm_redact_scan_t *s)
{
    int       zero, more;
    size_t    n;
    unsigned  behind, extended;

    zero = 0;
    more = 1;
    behind = s->behind;
    extended = s->extended;

    if (llm_redact_is(s, 0, '*')) {
        s->refused = "(*...) is not supported";
        return 0;
    }

    if (llm_redact_is(s, 0, '?')) {
        s->p++;
        more = llm_redact_special(s, &zero);
    }

    n = 0;
    s->nothing = !more;

    /* an option holds to the end of the group around it */

    if (more) {
        n = llm_redact_alternatives(s);
        s->extended = extended;
        s->behind = behind;
    }

    s->p += llm_redact_is(s, 0, ')');

    return zero ? 0 : n;
}


/* What (?x) skips: a space, a comment. */
static size_t
llm_redact_skip(llm_redact_scan_t *s, llm_u8 c)
{
    s->nothing = 1;

    if (c == '#') {
        llm_redact_behind(s, '\n');
    }

    return 0;
}


static size_t
llm_redact_atom(llm_redact_scan_t *s)
{
    llm_u8  c;

    c = *s->p++;

    if (s->extended && (c == ' ' || (c >= '\t' && c <= '\r') || c == '#')) {
        return llm_redact_skip(s, c);
    }

    switch (c) {

    case '\\':
        return llm_redact_escape(s);

    case '[':
        return llm_redact_class(s);

    case '(':
        return llm_redact_group(s);

    case '^': case '$':
        return 0;

    default:

        while (s->p < s->end && (*s->p & 0xc0) == 0x80) {
            s->p++;
        }

        return 1;
    }
}


static void
llm_redact_spaces(llm_redact_scan_t *s, unsigned *odd)
{
    while (llm_redact_is(s, 0, ' ') || llm_redact_is(s, 0, '\t')) {
        *odd = 1;
        s->p++;
    }
}


/* {n}, {n,}, {n,m}: the most; 0: there is none here.  *odd: with spaces, or
 * without n: PCRE2 takes it for a quantifier since 10.43, for text before. */
static int
llm_redact_braces(llm_redact_scan_t *s, size_t *most, unsigned *odd)
{
    unsigned       digits;
    const llm_u8  *p;

    p = s->p++;
    *odd = 0;

    llm_redact_spaces(s, odd);
    digits = llm_redact_digit(s) != 0;
    *most = llm_redact_number(s);
    llm_redact_spaces(s, odd);

    if (llm_redact_is(s, 0, ',')) {
        s->p++;
        *odd |= !digits;

        llm_redact_spaces(s, odd);
        digits |= llm_redact_digit(s) != 0 ? 2 : 0;
        *most = digits & 2 ? llm_redact_number(s) : LLM_REDACT_MUCH;
        llm_redact_spaces(s, odd);
    }

    if (digits == 0 || !llm_redact_is(s, 0, '}')) {
        s->p = p;
        return 0;
    }

    s->p++;

    return 1;
}


/* What follows an atom of n characters. */
static size_t
llm_redact_quantified(llm_redact_scan_t *s, size_t n)
{
    size_t         most;
    unsigned       odd;
    const llm_u8  *p;

    for (p = s->p; s->p < s->end; p = s->p) {
        odd = 0;

        if (*s->p == '*' || *s->p == '+') {
            s->p++;
            most = LLM_REDACT_MUCH;

        } else if (*s->p == '?') {
            s->p++;
            most = 1;

        } else if (*s->p != '{' || !llm_redact_braces(s, &most, &odd)) {
            break;
        }

        if (most == LLM_REDACT_MUCH && n != 0) {
            s->unbounded = 1;
        }

        if (odd) {

            /* not less than either reading: what follows is of its last
             * character, then, or of both */

            most = most != 0 ? most : 1;
            n = llm_redact_times(n, most);
            n = llm_redact_add_sizes(n, (size_t) (s->p - p));
            continue;
        }

        n = llm_redact_times(n, most);
        s->p += llm_redact_is(s, 0, '?') || llm_redact_is(s, 0, '+');
    }

    return n;
}


/* Up to the end of a group, or of the pattern; no deeper than PCRE2 allows. */
static size_t
llm_redact_alternatives(llm_redact_scan_t *s)
{
    size_t  most, n, atom, last;

    most = 0;
    n = 0;
    last = 0;

    while (s->p < s->end && *s->p != ')' && s->refused == NULL) {

        if (*s->p == '|') {
            s->p++;
            n = llm_redact_add_sizes(n, last);
            most = n > most ? n : most;
            n = 0;
            last = 0;
            continue;
        }

        s->nothing = 0;
        atom = llm_redact_atom(s);

        if (!s->nothing) {
            n = llm_redact_add_sizes(n, last);
            last = atom;
        }

        last = llm_redact_quantified(s, last);
    }

    n = llm_redact_add_sizes(n, last);
    s->nothing = 0;

    return n > most ? n : most;
}


llm_rc_t
llm_redact_bound(const llm_u8 *p, size_t n, llm_redact_bound_t *b)
{
    llm_redact_scan_t  s;

    memset(&s, 0, sizeof(llm_redact_scan_t));

    s.p = p;
    s.end = p + n;

    b->max = llm_redact_alternatives(&s);
    b->nested = s.nested;
    b->why = s.refused;

    if (s.refused != NULL) {
        return LLM_INVALID;
    }

    /* not all was read: it was not understood */

    return s.unbounded || s.p != s.end ? LLM_AGAIN : LLM_OK;
}
