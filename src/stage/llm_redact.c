/*
 * Rules and their patterns: read, refused or compiled, once, when the
 * configuration is.  It must never search.
 */

#define PCRE2_CODE_UNIT_WIDTH  8

#include <pcre2.h>

#include "llm_redact.h"


/* in front of what PCRE2 gets: how much it was, for it does not say */
#define LLM_REDACT_HEADER  16

/* of groups in groups: a list of words makes as many as a word is long */
#define LLM_REDACT_NEST    (LLM_REDACT_LIMIT * 2)


static void *
llm_redact_take(PCRE2_SIZE n, void *ctx)
{
    char               *p;
    const llm_alloc_t  *a;

    a = ctx;
    n += LLM_REDACT_HEADER;

    p = a->resize(a->ctx, NULL, 0, n);
    if (p == NULL) {
        return NULL;
    }

    memcpy(p, &n, sizeof(n));

    return p + LLM_REDACT_HEADER;
}


static void
llm_redact_give(void *block, void *ctx)
{
    char               *p;
    size_t              n;
    const llm_alloc_t  *a;

    if (block == NULL) {
        return;
    }

    a = ctx;
    p = (char *) block - LLM_REDACT_HEADER;
    memcpy(&n, p, sizeof(n));

    (void) a->resize(a->ctx, p, n, 0);
}


void *
llm_redact_general(const llm_alloc_t *a)
{
    return pcre2_general_context_create(llm_redact_take, llm_redact_give,
                                        (void *) (uintptr_t) a);
}


void
llm_redact_init(llm_redact_t *r, const llm_alloc_t *a)
{
    memset(r, 0, sizeof(llm_redact_t));

    r->alloc = *a;
}


void
llm_redact_free(llm_redact_t *r)
{
    size_t  i;

    for (i = 0; i < llm_redact_npatterns(r); i++) {
        pcre2_code_free(llm_redact_patterns(r)[i].search);
        pcre2_code_free(llm_redact_patterns(r)[i].place);
    }

    llm_block_free(&r->patterns, &r->alloc);
    llm_block_free(&r->rules, &r->alloc);
}


llm_rc_t
llm_redact_why(llm_redact_why_t *why, long at, const char *text)
{
    size_t  n;

    n = strlen(text);

    if (n > sizeof(why->text) - 1) {
        n = sizeof(why->text) - 1;
    }

    memcpy(why->text, text, n);
    why->text[n] = '\0';
    why->at = at;

    return LLM_INVALID;
}


llm_rc_t
llm_redact_add(llm_redact_t *r, const llm_redact_rule_t *rule)
{
    llm_rc_t  rc;

    rc = llm_block_append(&r->rules, &r->alloc, rule,
                          sizeof(llm_redact_rule_t));

    if (rc == LLM_OK) {
        r->in |= rule->in;
        r->changes |= rule->action == LLM_REDACT_LOG ? 0 : rule->in;
    }

    return rc;
}


/* A match in UTF-8 that is the same whatever PCRE2 was built with.  $ and ^
 * do not ask whether a line end is the last byte that is there: it may be so
 * for now only, and PCRE2 does not call that partial. */
static pcre2_code *
llm_redact_code(llm_redact_t *r, const llm_u8 *p, size_t n, uint32_t options,
    int *error, PCRE2_SIZE *at)
{
    pcre2_code             *code;
    pcre2_compile_context  *context;
    pcre2_general_context  *general;

    options |= PCRE2_UTF|PCRE2_UCP|PCRE2_NEVER_BACKSLASH_C
               |PCRE2_DOLLAR_ENDONLY|PCRE2_ALT_CIRCUMFLEX;

    *error = PCRE2_ERROR_NOMEMORY;
    *at = 0;

    general = llm_redact_general(&r->alloc);
    if (general == NULL) {
        return NULL;
    }

    code = NULL;
    context = pcre2_compile_context_create(general);

    if (context != NULL) {
        (void) pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        (void) pcre2_set_bsr(context, PCRE2_BSR_UNICODE);
        (void) pcre2_set_parens_nest_limit(context, LLM_REDACT_NEST);

        code = pcre2_compile(p, n, options, error, at, context);
        pcre2_compile_context_free(context);
    }

    pcre2_general_context_free(general);

    return code;
}


static llm_rc_t
llm_redact_failed(llm_redact_why_t *why, int error, PCRE2_SIZE at)
{
    char  text[sizeof(why->text)];

    if (error == PCRE2_ERROR_NOMEMORY || error == PCRE2_ERROR_HEAP_FAILED) {
        return LLM_NOMEM;
    }

    if (error == PCRE2_ERROR_PATTERN_TOO_LARGE) {
        (void) llm_redact_why(why, -1, "is too large");
        return LLM_TOO_BIG;
    }

    if (pcre2_get_error_message(error, (PCRE2_UCHAR *) text, sizeof(text))
        < 0)
    {
        return llm_redact_why(why, (long) at, "is not valid");
    }

    return llm_redact_why(why, (long) at, text);
}


/*
 * Does PCRE2's machine code count all that this pattern tries?  That of 10.42
 * does not in repeated lookarounds that are not atomic, "(?*", "(?<*" and
 * "(*n...": a limit that is milliseconds was seconds.  Zero, too, where
 * these letters stand for themselves: it is only slower then.
 */
static unsigned
llm_redact_counts(const llm_u8 *p, size_t n)
{
    size_t  i;

    for (i = 0; i + 2 < n; i++) {

        if (p[i] != '(') {
            continue;
        }

        if (memcmp(p + i + 1, "?*", 2) == 0
            || memcmp(p + i + 1, "*n", 2) == 0)
        {
            return 0;
        }

        if (i + 3 < n && memcmp(p + i + 1, "?<*", 3) == 0) {
            return 0;
        }
    }

    return 1;
}


/* Compiles it for the search, and once more for one place. */
static llm_rc_t
llm_redact_codes(llm_redact_t *r, llm_redact_pattern_t *one, const llm_u8 *p,
    size_t n, llm_redact_why_t *why)
{
    int         error;
    uint32_t    options;
    PCRE2_SIZE  at;

    /* what ends in a check of the length must be able to try another */

    options = one->limited ? PCRE2_NO_AUTO_POSSESS|PCRE2_NO_DOTSTAR_ANCHOR
                           : 0;

    one->search = llm_redact_code(r, p, n, options, &error, &at);
    if (one->search == NULL) {
        return llm_redact_failed(why, error, at);
    }

    /* PCRE2's guesses of what must be there are for a search that is not
     * partial, and were wrong more than once */

    options |= PCRE2_ANCHORED|PCRE2_NO_START_OPTIMIZE;

    one->place = llm_redact_code(r, p, n, options, &error, &at);
    if (one->place == NULL) {
        return llm_redact_failed(why, error, at);
    }

    /* without it, it is slower */

    if (llm_redact_counts(p, n)) {
        (void) pcre2_jit_compile(one->search, PCRE2_JIT_PARTIAL_HARD);
        (void) pcre2_jit_compile(one->place, PCRE2_JIT_COMPLETE);
    }

    return LLM_OK;
}


/* How far the latest pattern looks back.  PCRE2 says it of one lookbehind: one
 * in another begins where that has come to. */
static void
llm_redact_looks(llm_redact_t *r, unsigned nested)
{
    size_t                       behind;
    uint32_t                     one;
    const llm_redact_pattern_t  *p;

    p = &llm_redact_patterns(r)[llm_redact_npatterns(r) - 1];
    one = 0;
    (void) pcre2_pattern_info(p->search, PCRE2_INFO_MAXLOOKBEHIND, &one);

    /* \b looks back, too; and ^ and \A at the far end must still see that
     * something is before them */

    behind = (size_t) one * (nested != 0 ? nested : 1) + 2;

    r->behind = behind > r->behind ? behind : r->behind;
}


static llm_rc_t
llm_redact_append(llm_redact_t *r, llm_redact_pattern_t *one, const llm_u8 *p,
    size_t n, llm_redact_why_t *why)
{
    llm_rc_t  rc;

    rc = llm_redact_codes(r, one, p, n, why);

    if (rc == LLM_OK) {
        rc = llm_block_append(&r->patterns, &r->alloc, one,
                              sizeof(llm_redact_pattern_t));
    }

    if (rc != LLM_OK) {
        pcre2_code_free(one->search);
        pcre2_code_free(one->place);
        return rc;
    }

    llm_redact_looks(r, 1);

    return LLM_OK;
}


llm_rc_t
llm_redact_compile(llm_redact_t *r, const llm_u8 *p, size_t n, size_t max,
    unsigned limited, llm_redact_why_t *why)
{
    llm_rc_t              rc;
    llm_block_t           b;
    llm_redact_rule_t    *rule;
    llm_redact_pattern_t  one;

    rule = &llm_redact_rules(r)[llm_redact_nrules(r) - 1];
    memset(&one, 0, sizeof(llm_redact_pattern_t));

    one.rule = (unsigned) llm_redact_nrules(r) - 1;
    one.in = rule->in;
    one.log = rule->action == LLM_REDACT_LOG;
    one.limited = limited;
    one.max = max;

    if (!limited) {
        return llm_redact_append(r, &one, p, n, why);
    }

    /* behind the pattern its length is checked */

    memset(&b, 0, sizeof(llm_block_t));
    rc = llm_block_append(&b, &r->alloc, "(?:", 3);

    if (rc == LLM_OK) {
        rc = llm_block_append(&b, &r->alloc, p, n);
    }

    if (rc == LLM_OK) {
        rc = llm_block_append(&b, &r->alloc, ")(?C1)", 6);
    }

    if (rc == LLM_OK) {
        rc = llm_redact_append(r, &one, b.p, b.n, why);
    }

    llm_block_free(&b, &r->alloc);

    return rc;
}


/* Whether PCRE2 takes it, and it cannot match nothing. */
static llm_rc_t
llm_redact_check(llm_redact_t *r, const llm_u8 *p, size_t n,
    llm_redact_why_t *why)
{
    int          error;
    uint32_t     empty;
    PCRE2_SIZE   at;
    pcre2_code  *code;

    code = llm_redact_code(r, p, n, 0, &error, &at);
    if (code == NULL) {
        return llm_redact_failed(why, error, at);
    }

    empty = 1;
    (void) pcre2_pattern_info(code, PCRE2_INFO_MATCHEMPTY, &empty);
    pcre2_code_free(code);

    if (empty) {
        return llm_redact_why(why, -1, "can match an empty string");
    }

    return LLM_OK;
}


llm_rc_t
llm_redact_regex(llm_redact_t *r, const llm_redact_rule_t *rule,
    const llm_u8 *p, size_t n, llm_redact_why_t *why)
{
    size_t              max;
    llm_rc_t            rc, known;
    llm_redact_bound_t  bound;

    rc = llm_redact_check(r, p, n, why);
    if (rc != LLM_OK) {
        return rc == LLM_TOO_BIG ? LLM_INVALID : rc;
    }

    known = llm_redact_bound(p, n, &bound);

    if (known == LLM_INVALID) {
        return llm_redact_why(why, -1, bound.why);
    }

    if (rule->max == 0 && known != LLM_OK) {
        return llm_redact_why(why, -1, "can match without a limit, "
                              "\"max=\" is needed");
    }

    if (rule->max == 0 && bound.max > LLM_REDACT_MAX) {
        return llm_redact_why(why, -1, "can match more than 256 characters, "
                              "\"max=\" is needed");
    }

    max = known == LLM_OK && (rule->max == 0 || bound.max < rule->max)
          ? bound.max : rule->max;

    rc = llm_redact_add(r, rule);

    if (rc == LLM_OK) {
        rc = llm_redact_compile(r, p, n, max,
                                known != LLM_OK || bound.max > max, why);
    }

    if (rc == LLM_OK) {
        llm_redact_looks(r, bound.nested);
    }

    if (rc == LLM_INVALID) {

        /* it had compiled before something was put behind it */

        return llm_redact_why(why, -1, "must not end in a comment or in \\Q");
    }

    return rc == LLM_TOO_BIG ? LLM_INVALID : rc;
}
