/*
 * Requests: what the proxy must know of a client's JSON body, and the list
 * of edits that turns it into the upstream's.  The body is spliced: every
 * byte that is not replaced goes upstream as it came.
 */

#ifndef LLM_REQUEST_H
#define LLM_REQUEST_H

#include "llm_ask.h"


struct llm_dialect_s;

struct llm_rope_s;


/* Top-level members that tell whose client wrote a body. */
#define LLM_SHAPE_MESSAGES           0x001
#define LLM_SHAPE_CONTENTS           0x002
#define LLM_SHAPE_INPUT              0x004
#define LLM_SHAPE_PROMPT             0x008
#define LLM_SHAPE_QUESTION           0x010
#define LLM_SHAPE_SYSTEM             0x020
#define LLM_SHAPE_OPTIONS            0x040
#define LLM_SHAPE_KEEP_ALIVE         0x080
#define LLM_SHAPE_MAX_TOKENS         0x100
#define LLM_SHAPE_GENERATION_CONFIG  0x200      /* generationConfig */
#define LLM_SHAPE_ANTHROPIC_VERSION  0x400

typedef struct {
    llm_slice_t     model;          /* inside of the string, or absent; the
                                       last one when duplicated */
    int             stream;         /* -1 absent, 0, 1 */
    int             include_usage;  /* stream_options.include_usage likewise */
    unsigned        needed;         /* what the dialect needs is there and
                                       not empty, or it needs nothing */
    unsigned        shape;          /* LLM_SHAPE_* that are there */
    unsigned        empty;          /* the object has no member */
    llm_asked_t     asked;          /* how much, by the dialect's list */
    const char     *member;         /* after LLM_INVALID: the member that is
                                       wrong ("stream"), or NULL: the body is
                                       not a JSON object */
} llm_request_t;

/*
 * Reads the top level of a body of a dialect; NULL: of any, by OpenAI's names
 * and needing nothing.  LLM_OK; LLM_INVALID: not one JSON object, or a known
 * member has a wrong type ("model" not a string, unless the path has it; the
 * stream switch not a boolean, "stream_options" neither an object nor null
 * where usage is an option; what the dialect needs not an array where it is
 * a list of messages, else neither that nor a string; null counts as absent),
 * or not UTF-8; LLM_TOO_DEEP.  What is needed may be absent (the caller
 * decides).  An include_usage of another type counts as absent.  A switch
 * that is not called "stream" may be the string "true" or "false" (Flowise).
 * Of duplicates the last one counts.
 */
llm_rc_t llm_request_read(llm_request_t *r, const llm_u8 *body, size_t n,
    unsigned max_depth, const struct llm_dialect_s *dialect);

/* A top-level member that is to be set. */
typedef struct {
    llm_slice_t     name;       /* characters */
    llm_slice_t     value;      /* valid JSON */
    unsigned        if_absent;  /* for a body that has no such member; for
                                   any other this is as if not given */
} llm_request_set_t;

/* A top-level member that the provider calls otherwise. */
typedef struct {
    llm_slice_t     from;
    llm_slice_t     to;
} llm_rename_t;

typedef struct {
    llm_slice_t              model;     /* characters, valid UTF-8; absent:
                                           leave as it is */
    int                      stream;    /* -1 leave, 0, 1 */
    unsigned                 usage;     /* have include_usage: true */
    unsigned                 no_options;    /* stream_options, if there, are
                                               null: no stream has none */
    const llm_request_set_t *set;
    size_t                   nset;      /* set wins over the above; the last
                                           of equal names wins */

    /* of the body: what the switch is called, whether usage is an option and
     * the model a member; NULL: as OpenAI's */
    const struct llm_dialect_s *dialect;

    const llm_rename_t      *renames;   /* ended by an absent one, or NULL */

    int64_t                  cap;       /* of output, tokens: a limit that is
                                           higher is lowered, in `set` it is
                                           the caller's to do; 0: none */
    unsigned                 no_insert; /* a limit is not added to a body
                                           that says none */
} llm_request_change_t;

/* At offset `at` of the body leave out `cut` bytes and put `put` there. */
typedef struct {
    size_t          at;
    size_t          cut;
    size_t          put_at;     /* offset of the new bytes in plan->text */
    size_t          put_n;
} llm_edit_t;

/* Sorted by `at`, not overlapping.  Memory by the given allocator. */
typedef struct {
    llm_alloc_t     alloc;
    llm_edit_t     *edits;
    size_t          n;
    size_t          cap;
    llm_block_t     text;
    const char     *member;         /* after LLM_INVALID: the object for the
                                       limit of output that is none; NULL:
                                       something else is wrong */
} llm_plan_t;

/* Bounds what a body of nothing but duplicates can cost (renamed names count
 * as such). */
#define LLM_REQUEST_EDITS_MAX  1024

/*
 * Plans the edits for a body that llm_request_read() accepted.  Duplicated
 * members are all replaced; what already reads as wanted has no edit.  usage
 * is for a request that streams after the change: any other keeps its
 * stream_options.  `set` finds a renamed member under its new name.  LLM_OK;
 * LLM_INVALID: not such a body, a value that is not JSON, more than
 * LLM_REQUEST_EDITS_MAX values to replace, or plan->member; LLM_NOMEM.  Only
 * after LLM_OK there is something to free.
 */
llm_rc_t llm_request_plan(llm_plan_t *plan, const llm_u8 *body, size_t n,
    const llm_request_change_t *change, const llm_alloc_t *a);
void llm_plan_free(llm_plan_t *plan);

/*
 * Writes the value of a member of `set` to b, with every limit of output in
 * it, in the dialect, lowered to cap.  LLM_OK; LLM_AGAIN: there is none to
 * lower; LLM_INVALID: it is an object that limits are in, but is none;
 * LLM_NOMEM.  b holds nothing but after LLM_OK.
 */
llm_rc_t llm_request_cap_value(llm_block_t *b, const llm_alloc_t *a,
    const struct llm_dialect_s *dialect, int64_t cap,
    const llm_request_set_t *set);

/* Puts the body after the edits on a rope and ends it: LLM_OK or LLM_NOMEM.
 * Its pieces refer to the body and to the plan. */
llm_rc_t llm_plan_rope(const llm_plan_t *plan, const llm_u8 *body, size_t n,
    struct llm_rope_s *rope);

/* Appends {"messages":[{"role":"user","content":…}]} for a prompt given as
 * characters (repaired when not UTF-8) to b, with a system message before it
 * unless that is empty.  LLM_OK; LLM_NOMEM: b holds what it held. */
llm_rc_t llm_request_prompt(llm_block_t *b, const llm_alloc_t *a,
    const llm_slice_t *system, const llm_slice_t *prompt);


#endif /* LLM_REQUEST_H */
