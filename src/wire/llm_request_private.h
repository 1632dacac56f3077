/*
 * What the files of a plan of edits share: llm_request_plan.c, which walks
 * over the body, and llm_request_cap.c, which knows the limit of output.
 */

#ifndef LLM_REQUEST_PRIVATE_H
#define LLM_REQUEST_PRIVATE_H

#include "llm_dialect.h"
#include "llm_request.h"


/* New bytes: [at, at + n) of the plan's text; n == 0: leave it. */
typedef struct {
    size_t               at;
    size_t               n;
    llm_json_type_t      type;
} llm_target_value_t;

/* A top-level member that the plan looks for. */
typedef struct {
    llm_slice_t          name;
    llm_target_value_t   key;       /* the name, quoted, and a colon */
    llm_target_value_t   there;     /* the value when the body has it */
    llm_target_value_t   absent;    /* the value when it has not */
    unsigned             none;      /* the dialect has no such member */
    unsigned             seen;
    unsigned             usage;     /* when there: include_usage inside */
    unsigned             cap;       /* absent is the limit of output's own */
} llm_target_t;

/* The limit of output in all forms that it takes in a plan. */
typedef struct {
    const llm_ask_t     *asks;      /* NULL: there is none */
    const llm_ask_t     *says;      /* where to say it, or NULL */
    int64_t              max;
    size_t               number;    /* in the plan's text, and lengths */
    size_t               nnumber;
    size_t               less;      /* the limit of a budget */
    size_t               nless;
    size_t               member;    /* "name":N, */
    size_t               nmember;
    size_t               object;    /* {"name":N} */
    size_t               nobject;
    unsigned             said;      /* bit: entry of asks that the body has */
} llm_cap_t;

typedef struct {
    llm_plan_t          *plan;
    const llm_u8        *body;
    llm_target_t        *targets;
    size_t               n;
    size_t               usage_n;   /* text that belongs to usage */
    const llm_rename_t  *renames;
    unsigned             members;   /* the object has one */
    llm_json_type_t      stream;    /* the body's own, the last one */
    llm_cap_t            cap;
    llm_json_t           json;
} llm_planner_t;


/* Leaves out `cut` bytes of the body at `at`, and puts those of the plan's
 * text there.  One that puts nothing is dropped at the end. */
llm_rc_t llm_plan_edit(llm_plan_t *plan, size_t at, size_t cut,
    size_t put_at, size_t put_n);

/* The same for a value; what is as it is to be needs no edit. */
llm_rc_t llm_plan_replace(llm_planner_t *pl, const llm_slice_t *raw,
    size_t put_at, size_t put_n);

/* A member of `set` takes its target over; with if_absent it does so only for
 * a body that has no such member. */
llm_rc_t llm_target_set(llm_planner_t *pl, const llm_request_set_t *set,
    llm_target_t **target);

/* The limit of output: what it comes to, before the targets of `set`; which
 * of these say it; one member of the body, LLM_AGAIN when it is another's;
 * and what the whole body says, before anything is inserted. */
llm_rc_t llm_cap_begin(llm_planner_t *pl, const llm_request_change_t *change);
void llm_cap_given(llm_planner_t *pl, const llm_request_change_t *change);
llm_rc_t llm_cap_member(llm_planner_t *pl, const llm_slice_t *name);
void llm_cap_end(llm_planner_t *pl);


#endif /* LLM_REQUEST_PRIVATE_H */
