/*
 * What must not be said: rules, each with its patterns, and the search for
 * them in one text that comes in pieces.  The result depends on the text and
 * the rules, never on the pieces:
 *
 *   A rule's matches are looked for by themselves, from the left.  At a place
 *   its pattern is matched within a window: the text up to `max` +
 *   LLM_REDACT_AHEAD characters on from there, and what comes before, as far
 *   as the pattern looks back.  A match has 1 to `max` characters; what would
 *   be longer is not one, though a shorter way to match at the same place may
 *   be.  Behind a match the search goes on where it ended; where there is
 *   none, at the next character.
 *
 *   Matches of several rules are joined where they overlap.  What is joined
 *   becomes one mask, that of the match which begins first, and of two that
 *   begin together that of the rule configured first.  A mask is never
 *   searched again.
 *
 *   The first match of a blocking rule, by the same order, ends the text in
 *   front of it.
 *
 *   A rule that only counts neither hides nor delays anything.
 *
 * So text waits only while it can still become a match: while some pattern,
 * begun at a place, has come to the end of what is there, and the window is
 * not full.  The time for it is bounded by the window for each character.
 */

#ifndef LLM_REDACT_H
#define LLM_REDACT_H

#include "llm_wire.h"


/* characters of a match, when max= does not say; and the most it can say */
#define LLM_REDACT_MAX      256
#define LLM_REDACT_LIMIT    1024

/* characters behind the longest match that an assertion can look at */
#define LLM_REDACT_AHEAD    32

/* bytes of memory that is kept for what comes next: more than any window; one
 * large text leaves no more behind */
#define LLM_REDACT_KEPT     16384

/* bytes of a file of words */
#define LLM_REDACT_FILE     (256 * 1024)

/* what a rule reads: a set of these */
#define LLM_REDACT_CONTENT    0x1
#define LLM_REDACT_REASONING  0x2
#define LLM_REDACT_TOOL_ARGS  0x4

typedef enum {
    LLM_REDACT_MASK = 0,
    LLM_REDACT_BLOCK,
    LLM_REDACT_LOG
} llm_redact_action_t;

/* The slices live as long as the rules. */
typedef struct {
    llm_slice_t           name;
    llm_slice_t           with;         /* the mask, or the refusal */
    llm_redact_action_t   action;
    unsigned              in;
    size_t                max;          /* characters, 0: not said */
} llm_redact_rule_t;

/* One of a rule's: a long list of words is several. */
typedef struct {
    void                 *search;       /* PCRE2's, for the next place */
    void                 *place;        /* the same for one place */
    unsigned              rule;
    unsigned              in;
    unsigned              log;          /* it only counts */
    unsigned              limited;      /* could match more than max */
    size_t                max;          /* characters */
} llm_redact_pattern_t;

typedef struct {
    llm_alloc_t           alloc;
    llm_block_t           rules;        /* llm_redact_rule_t */
    llm_block_t           patterns;     /* llm_redact_pattern_t, as rules */
    size_t                behind;       /* characters that are looked back */
    unsigned              in;           /* what any rule reads */
    unsigned              changes;      /* what is not only counted */
} llm_redact_t;

#define llm_redact_rules(r)      ((llm_redact_rule_t *) (void *) (r)->rules.p)
#define llm_redact_nrules(r)     ((r)->rules.n / sizeof(llm_redact_rule_t))
#define llm_redact_patterns(r)                                              \
    ((llm_redact_pattern_t *) (void *) (r)->patterns.p)
#define llm_redact_npatterns(r)                                             \
    ((r)->patterns.n / sizeof(llm_redact_pattern_t))

/* Why a rule was refused: words, with the offset in the pattern or the line of
 * the file where there is one, else -1. */
typedef struct {
    char                  text[160];
    long                  at;
} llm_redact_why_t;


void llm_redact_init(llm_redact_t *r, const llm_alloc_t *a);
void llm_redact_free(llm_redact_t *r);

/* Adds a rule with a pattern in PCRE2's syntax.  LLM_OK, LLM_NOMEM,
 * LLM_INVALID: *why is set. */
llm_rc_t llm_redact_regex(llm_redact_t *r, const llm_redact_rule_t *rule,
    const llm_u8 *p, size_t n, llm_redact_why_t *why);

/*
 * The same with a list of words or phrases, one a line; lines that are blank
 * or begin with # are none.  They are found in any case, and, where their ends
 * are letters of a script that puts spaces between words, as whole words.
 */
llm_rc_t llm_redact_words(llm_redact_t *r, const llm_redact_rule_t *rule,
    const llm_u8 *p, size_t n, llm_redact_why_t *why);


/* What searching needs besides the rules; one for an answer. */
typedef struct {
    const llm_redact_t   *redact;
    llm_alloc_t           alloc;
    void                 *general;      /* PCRE2's */
    void                 *match;
    void                 *context;
    size_t                max;          /* of the pattern that is matched */
    uint64_t             *counts;       /* matches of each rule */
    uint64_t              changed;      /* masks written */
    unsigned              rule;         /* with LLM_DONE, LLM_FAILED: whose */
    llm_block_t           text;         /* for what is made in one call */
} llm_redact_run_t;

/* counts: one for each rule, zeroed, the caller's.  LLM_OK, LLM_NOMEM;
 * llm_redact_close() is to be called in both cases. */
llm_rc_t llm_redact_open(llm_redact_run_t *run, const llm_redact_t *r,
    const llm_alloc_t *a, uint64_t *counts);
void llm_redact_close(llm_redact_run_t *run);


/* Where a pattern is in a text. */
typedef struct {
    size_t                at;           /* found: the match's, else what is
                                           before is done with */
    size_t                to;
    unsigned              found;        /* private: llm_redact_text.c */
} llm_redact_state_t;

/* One text.  Zeroed, and `in` set, before its first piece. */
typedef struct {
    unsigned              in;           /* one of the set above */
    llm_block_t           buf;
    size_t                out;          /* of buf: the next to be given */
    llm_redact_state_t   *states;       /* one for each pattern */
} llm_redact_text_t;

/*
 * Appends what can be given away after the next piece to `out`; last: the
 * text ends with it, and the next piece begins another.  LLM_OK; LLM_DONE: a
 * blocking rule matched, `out` has what is before, and no piece may follow;
 * LLM_NOMEM; LLM_INVALID: not UTF-8; LLM_FAILED: PCRE2 gave up, its limits
 * were reached.
 */
llm_rc_t llm_redact_feed(llm_redact_run_t *run, llm_redact_text_t *t,
    const llm_u8 *p, size_t n, unsigned last, llm_block_t *out);

/* Bytes that wait. */
size_t llm_redact_waiting(const llm_redact_text_t *t);
void llm_redact_text_free(llm_redact_run_t *run, llm_redact_text_t *t);


/*
 * JSON that comes in pieces.  Every string that is a value is a text by
 * itself, matched as it reads without its escapes; what is written is escaped
 * anew.  A number is a text, and a string if anything in it matched.  Names
 * stay.  Where it is no JSON the rest is one text.
 */
typedef struct {
    llm_redact_text_t     text;
    llm_block_t           scalar;
    unsigned              state;
    unsigned              open;         /* what the innermost still lacks */
    unsigned              escape;       /* of a name: how far in one */
    unsigned              depth;
    unsigned              nesc;
    llm_u8                esc[12];
    uint32_t              stack[32];    /* bit: 1 = object */
} llm_redact_json_t;

/* As llm_redact_feed(), and LLM_TOO_BIG for a number that is too long. */
llm_rc_t llm_redact_json(llm_redact_run_t *run, llm_redact_json_t *j,
    const llm_u8 *p, size_t n, unsigned last, llm_block_t *out);

/* Appends what makes a whole document of what was given so far. */
llm_rc_t llm_redact_json_close(llm_redact_run_t *run, llm_redact_json_t *j,
    llm_block_t *out);
void llm_redact_json_free(llm_redact_run_t *run, llm_redact_json_t *j);


/* Private to the files of llm_redact*.c. */

/* PCRE2's general context over an allocator that outlives it; NULL. */
void *llm_redact_general(const llm_alloc_t *a);

typedef struct {
    size_t                max;          /* characters of a match */
    unsigned              nested;       /* lookbehinds, one in the other */
    const char           *why;          /* it is refused, else NULL */
} llm_redact_bound_t;

/*
 * The most characters that a pattern, which compiles, can match, if they can
 * be told: LLM_OK, or LLM_AGAIN when they cannot.  LLM_INVALID: it has what
 * has no meaning in a stream, b->why says what.
 */
llm_rc_t llm_redact_bound(const llm_u8 *p, size_t n, llm_redact_bound_t *b);

/* Adds a rule and says which it is. */
llm_rc_t llm_redact_add(llm_redact_t *r, const llm_redact_rule_t *rule);

/* Compiles a pattern of the latest rule.  LLM_TOO_BIG: more than PCRE2 can
 * compile at once. */
llm_rc_t llm_redact_compile(llm_redact_t *r, const llm_u8 *p, size_t n,
    size_t max, unsigned limited, llm_redact_why_t *why);

llm_rc_t llm_redact_why(llm_redact_why_t *why, long at, const char *text);


#endif /* LLM_REDACT_H */
