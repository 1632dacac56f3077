/*
 * The search in one text; llm_redact.h says what is found.  It must never give
 * away a byte that can still become a match, nor let what is found depend on
 * the pieces that the text came in.
 */

#define PCRE2_CODE_UNIT_WIDTH  8

#include <pcre2.h>

#include "llm_redact.h"
#include "llm_utf8.h"


/* what one attempt may cost */
#define LLM_REDACT_MATCHES  50000
#define LLM_REDACT_DEPTH    5000
#define LLM_REDACT_HEAP     1024        /* kB */

/* llm_redact_state_t.found */
#define LLM_REDACT_TO_DO    0
#define LLM_REDACT_NOTHING  1           /* at: the end of what is there */
#define LLM_REDACT_PARTIAL  2           /* at: may become a match */
#define LLM_REDACT_MATCH    3

/* bytes behind the text that are there and set: PCRE2's machine code reads
 * whole words of the machine, though it makes nothing of what is behind */
#define LLM_REDACT_BEHIND   32

/* context that is moved away no sooner than it is that much */
#define LLM_REDACT_SLACK    256


/* Runs where a match would end: not zero looks for another. */
static int
llm_redact_callout(pcre2_callout_block *block, void *data)
{
    size_t             n;
    const llm_u8      *p;
    llm_redact_run_t  *run;

    run = data;
    n = block->current_position - block->start_match;
    p = block->subject + block->start_match;

    return n > run->max && llm_utf8_count(p, n) > run->max;
}


llm_rc_t
llm_redact_open(llm_redact_run_t *run, const llm_redact_t *r,
    const llm_alloc_t *a, uint64_t *counts)
{
    memset(run, 0, sizeof(llm_redact_run_t));

    run->redact = r;
    run->alloc = *a;
    run->counts = counts;

    run->general = llm_redact_general(&run->alloc);
    if (run->general == NULL) {
        return LLM_NOMEM;
    }

    run->match = pcre2_match_data_create(1, run->general);
    run->context = pcre2_match_context_create(run->general);

    if (run->match == NULL || run->context == NULL) {
        return LLM_NOMEM;
    }

    (void) pcre2_set_match_limit(run->context, LLM_REDACT_MATCHES);
    (void) pcre2_set_depth_limit(run->context, LLM_REDACT_DEPTH);
    (void) pcre2_set_heap_limit(run->context, LLM_REDACT_HEAP);
    (void) pcre2_set_callout(run->context, llm_redact_callout, run);

    return LLM_OK;
}


void
llm_redact_close(llm_redact_run_t *run)
{
    pcre2_match_context_free(run->context);
    pcre2_match_data_free(run->match);
    pcre2_general_context_free(run->general);
    llm_block_free(&run->text, &run->alloc);
}


/* The end of the window that begins at `at`; *full: the text goes on behind
 * it, which `$` has to know. */
static size_t
llm_redact_window(const llm_redact_text_t *t, const llm_redact_pattern_t *p,
    size_t at, unsigned *full)
{
    size_t  chars, n;

    chars = p->max + LLM_REDACT_AHEAD;
    n = t->buf.n;
    *full = 0;

    if (n - at < chars) {
        return n;
    }

    while (at < n && chars != 0) {
        at++;

        while (at < n && (t->buf.p[at] & 0xc0) == 0x80) {
            at++;
        }

        chars--;
    }

    *full = at < n;

    return at;
}


/*
 * One call of PCRE2: from st->at to `stop`.  place: at st->at and nowhere
 * else, and `stop` is the end.  Sets st->found, and st->at, st->to with it.
 */
static llm_rc_t
llm_redact_match(llm_redact_run_t *run, const llm_redact_text_t *t,
    const llm_redact_pattern_t *p, llm_redact_state_t *st, size_t stop,
    unsigned place)
{
    int                rc;
    uint32_t           options;
    PCRE2_SIZE        *at;
    const pcre2_code  *code;

    code = place ? p->place : p->search;
    options = PCRE2_NO_UTF_CHECK|PCRE2_NOTEMPTY
              |(!place ? PCRE2_PARTIAL_HARD
                : stop != t->buf.n ? PCRE2_NOTEOL : 0);

    run->max = p->max;

    rc = pcre2_match(code, t->buf.p, stop, st->at, options, run->match,
                     run->context);

    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
        rc = pcre2_match(code, t->buf.p, stop, st->at,
                         options|PCRE2_NO_JIT, run->match, run->context);
    }

    at = pcre2_get_ovector_pointer(run->match);

    if (rc >= 0) {
        st->found = LLM_REDACT_MATCH;
        st->at = at[0];
        st->to = at[1];
        return LLM_OK;
    }

    if (rc == PCRE2_ERROR_NOMATCH) {
        st->found = LLM_REDACT_NOTHING;
        return LLM_OK;
    }

    if (rc == PCRE2_ERROR_PARTIAL) {
        st->found = LLM_REDACT_PARTIAL;
        st->at = at[0];
        return LLM_OK;
    }

    run->rule = p->rule;

    return rc == PCRE2_ERROR_NOMEMORY ? LLM_NOMEM : LLM_FAILED;
}


/* Behind the character at `at`. */
static size_t
llm_redact_next(const llm_redact_text_t *t, size_t at)
{
    do {
        at++;
    } while (at < t->buf.n && (t->buf.p[at] & 0xc0) == 0x80);

    return at;
}


/*
 * Looks for the pattern's next match.  A place is done with when the pattern
 * fails there without having asked for what is behind the window; the first
 * place of a search has a window that reaches as far as the search, those
 * behind it have one that reaches further, so they are asked again.
 */
static llm_rc_t
llm_redact_search(llm_redact_run_t *run, const llm_redact_text_t *t,
    const llm_redact_pattern_t *p, llm_redact_state_t *st, unsigned last)
{
    size_t    from, stop;
    llm_rc_t  rc;
    unsigned  full;

    while (st->at < t->buf.n) {
        from = st->at;
        stop = llm_redact_window(t, p, from, &full);

        rc = llm_redact_match(run, t, p, st, stop, 0);

        if (rc != LLM_OK || st->found == LLM_REDACT_MATCH) {
            return rc;
        }

        if (st->found == LLM_REDACT_NOTHING) {
            st->at = stop;
            continue;
        }

        /* it wants more than there is: is that all there will be? */

        if (!full && !last) {
            return LLM_OK;
        }

        if (full && st->at != from) {
            continue;
        }

        from = st->at;
        rc = llm_redact_match(run, t, p, st, stop, 1);

        if (rc != LLM_OK || st->found == LLM_REDACT_MATCH) {
            return rc;
        }

        st->at = llm_redact_next(t, from);
    }

    st->found = LLM_REDACT_NOTHING;

    return LLM_OK;
}


/* Counts the matches of a pattern that changes nothing. */
static llm_rc_t
llm_redact_count(llm_redact_run_t *run, llm_redact_text_t *t,
    const llm_redact_pattern_t *p, llm_redact_state_t *st, unsigned last)
{
    llm_rc_t  rc;

    for ( ;; ) {
        rc = llm_redact_search(run, t, p, st, last);

        if (rc != LLM_OK || st->found != LLM_REDACT_MATCH) {
            return rc;
        }

        run->counts[p->rule]++;
        st->at = st->to;
    }
}


/* Appends the text up to `to` that was not given yet. */
static llm_rc_t
llm_redact_put(llm_redact_run_t *run, llm_redact_text_t *t, size_t to,
    llm_block_t *out)
{
    llm_rc_t  rc;

    if (to <= t->out) {
        return LLM_OK;
    }

    rc = llm_block_append(out, &run->alloc, t->buf.p + t->out, to - t->out);
    t->out = to;

    return rc;
}


/* The first match of all: LLM_DONE: it blocks. */
static llm_rc_t
llm_redact_apply(llm_redact_run_t *run, llm_redact_text_t *t,
    const llm_redact_pattern_t *p, llm_redact_state_t *st, llm_block_t *out)
{
    llm_rc_t                  rc;
    unsigned                  begins;
    const llm_redact_rule_t  *rule;

    rule = &llm_redact_rules(run->redact)[p->rule];
    begins = st->at >= t->out;

    rc = llm_redact_put(run, t, st->at, out);
    if (rc != LLM_OK) {
        return rc;
    }

    run->counts[p->rule]++;

    if (rule->action == LLM_REDACT_BLOCK) {
        run->rule = p->rule;
        return LLM_DONE;
    }

    run->changed++;

    if (begins) {
        rc = llm_block_append(out, &run->alloc, rule->with.p, rule->with.n);
    }

    if (st->to > t->out) {
        t->out = st->to;
    }

    st->at = st->to;
    st->found = LLM_REDACT_TO_DO;

    return rc;
}


/* The pattern whose next match, or what may become one, begins first; of two
 * that begin together the first as configured.  *best: NULL: there is none. */
static llm_rc_t
llm_redact_first(llm_redact_run_t *run, llm_redact_text_t *t, unsigned last,
    const llm_redact_pattern_t **best)
{
    size_t                       i;
    llm_rc_t                     rc;
    llm_redact_state_t          *st, *first;
    const llm_redact_pattern_t  *p;

    *best = NULL;
    first = NULL;

    for (i = 0; i < llm_redact_npatterns(run->redact); i++) {
        p = &llm_redact_patterns(run->redact)[i];
        st = &t->states[i];

        if (!(p->in & t->in) || p->log) {
            continue;
        }

        if (st->found == LLM_REDACT_TO_DO) {
            rc = llm_redact_search(run, t, p, st, last);
            if (rc != LLM_OK) {
                return rc;
            }
        }

        if (st->found != LLM_REDACT_NOTHING
            && (first == NULL || st->at < first->at))
        {
            first = st;
            *best = p;
        }
    }

    return LLM_OK;
}


/* Gives away what can be given. */
static llm_rc_t
llm_redact_work(llm_redact_run_t *run, llm_redact_text_t *t, unsigned last,
    llm_block_t *out)
{
    size_t                       i;
    llm_rc_t                     rc;
    llm_redact_state_t          *st;
    const llm_redact_pattern_t  *p, *patterns;

    patterns = llm_redact_patterns(run->redact);

    for (i = 0; i < llm_redact_npatterns(run->redact); i++) {
        p = &patterns[i];

        if ((p->in & t->in) && p->log) {
            rc = llm_redact_count(run, t, p, &t->states[i], last);
            if (rc != LLM_OK) {
                return rc;
            }
        }
    }

    for ( ;; ) {
        rc = llm_redact_first(run, t, last, &p);
        if (rc != LLM_OK) {
            return rc;
        }

        if (p == NULL) {
            return llm_redact_put(run, t, t->buf.n, out);
        }

        st = &t->states[p - patterns];

        if (st->found == LLM_REDACT_PARTIAL) {
            return llm_redact_put(run, t, st->at, out);
        }

        rc = llm_redact_apply(run, t, p, st, out);
        if (rc != LLM_OK) {
            return rc;
        }
    }
}


/* Forgets what nothing looks at any more. */
static void
llm_redact_compact(llm_redact_run_t *run, llm_redact_text_t *t)
{
    size_t  i, from, chars;

    from = t->out;

    for (i = 0; i < llm_redact_npatterns(run->redact); i++) {
        if ((llm_redact_patterns(run->redact)[i].in & t->in)
            && t->states[i].at < from)
        {
            from = t->states[i].at;
        }
    }

    for (chars = run->redact->behind; chars != 0 && from != 0; chars--) {
        from--;

        while (from != 0 && (t->buf.p[from] & 0xc0) == 0x80) {
            from--;
        }
    }

    if (from < LLM_REDACT_SLACK) {
        return;
    }

    memmove(t->buf.p, t->buf.p + from, t->buf.n - from);

    t->buf.n -= from;
    t->out -= from;

    for (i = 0; i < llm_redact_npatterns(run->redact); i++) {
        if (llm_redact_patterns(run->redact)[i].in & t->in) {
            t->states[i].at -= from;
            t->states[i].to -= t->states[i].found == LLM_REDACT_MATCH ? from
                                                                      : 0;
        }
    }
}


/* Room for the states, when the text is the first; and those that waited are
 * to be asked again. */
static llm_rc_t
llm_redact_begin(llm_redact_run_t *run, llm_redact_text_t *t)
{
    size_t  i, n;

    n = llm_redact_npatterns(run->redact);

    if (t->states == NULL) {
        t->states = run->alloc.resize(run->alloc.ctx, NULL, 0,
                                      n * sizeof(llm_redact_state_t));
        if (t->states == NULL) {
            return LLM_NOMEM;
        }

        memset(t->states, 0, n * sizeof(llm_redact_state_t));
    }

    llm_redact_compact(run, t);

    for (i = 0; i < n; i++) {
        if (t->states[i].found != LLM_REDACT_MATCH) {
            t->states[i].found = LLM_REDACT_TO_DO;
        }
    }

    return LLM_OK;
}


static llm_rc_t
llm_redact_append(llm_redact_run_t *run, llm_redact_text_t *t,
    const llm_u8 *p, size_t n)
{
    llm_rc_t  rc;

    if (n == 0) {
        return LLM_OK;
    }

    rc = llm_block_reserve(&t->buf, &run->alloc, n + LLM_REDACT_BEHIND);
    if (rc != LLM_OK) {
        return rc;
    }

    memcpy(t->buf.p + t->buf.n, p, n);
    t->buf.n += n;
    memset(t->buf.p + t->buf.n, 0, LLM_REDACT_BEHIND);

    return LLM_OK;
}


llm_rc_t
llm_redact_feed(llm_redact_run_t *run, llm_redact_text_t *t, const llm_u8 *p,
    size_t n, unsigned last, llm_block_t *out)
{
    llm_rc_t  rc;

    /* PCRE2 is told not to look */

    if (llm_utf8_check(p, n) & LLM_UTF8_INVALID) {
        return LLM_INVALID;
    }

    if (n == 0 && (!last || t->states == NULL)) {
        return LLM_OK;
    }

    rc = llm_redact_begin(run, t);

    if (rc == LLM_OK) {
        rc = llm_redact_append(run, t, p, n);
    }

    if (rc == LLM_OK && t->buf.n != 0) {
        rc = llm_redact_work(run, t, last, out);
    }

    if (rc == LLM_OK && last) {
        memset(t->states, 0, llm_redact_npatterns(run->redact)
                             * sizeof(llm_redact_state_t));
        t->buf.n = 0;
        t->out = 0;
        llm_block_trim(&t->buf, &run->alloc, LLM_REDACT_KEPT);
    }

    return rc;
}


size_t
llm_redact_waiting(const llm_redact_text_t *t)
{
    return t->buf.n - t->out;
}


void
llm_redact_text_free(llm_redact_run_t *run, llm_redact_text_t *t)
{
    if (t->states != NULL) {
        (void) run->alloc.resize(run->alloc.ctx, t->states,
                                 llm_redact_npatterns(run->redact)
                                 * sizeof(llm_redact_state_t), 0);
        t->states = NULL;
    }

    llm_block_free(&t->buf, &run->alloc);
}
