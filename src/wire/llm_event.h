/*
 * The event model: what a completion consists of, whatever its dialect.
 * A tagged value with borrowed slices; it owns nothing and lives for the
 * duration of the call that hands it on.
 */

#ifndef LLM_EVENT_H
#define LLM_EVENT_H

#include "llm_wire.h"


typedef enum {
    LLM_EV_START = 0,   /* id, model, created; once, before anything else */
    LLM_EV_TEXT,        /* text */
    LLM_EV_REASONING,   /* text (may be absent), signature */
    LLM_EV_REFUSAL,     /* text */
    LLM_EV_TOOL_CALL,   /* tool_index, id, name, text = arguments fragment */
    LLM_EV_LOGPROBS,    /* raw */
    LLM_EV_USAGE,       /* usage, raw */
    LLM_EV_FINISH,      /* finish, text = the dialect's own word */
    LLM_EV_ERROR,       /* error */
    LLM_EV_PING,
    LLM_EV_META,        /* name, raw: extras of the dialect, kept as they are */
    LLM_EV_END          /* the dialect's terminator was seen */
} llm_event_type_t;

/* Canonical finish reasons; dialects map theirs to and from these. */
typedef enum {
    LLM_FINISH_NONE = 0,
    LLM_FINISH_STOP,
    LLM_FINISH_LENGTH,
    LLM_FINISH_TOOL_CALLS,
    LLM_FINISH_CONTENT_FILTER,
    LLM_FINISH_ERROR,
    LLM_FINISH_OTHER            /* a word we do not know: carried as text */
} llm_finish_t;

/* Token counts, -1 = not said.  input includes cached, output includes
 * reasoning (OpenAI's sense). */
typedef struct {
    int64_t         input;
    int64_t         output;
    int64_t         cached;
    int64_t         reasoning;
    int64_t         total;
} llm_usage_t;

typedef struct {
    llm_slice_t     type;
    llm_slice_t     code;       /* string or number, as written */
    llm_slice_t     message;
    llm_slice_t     param;
    int             status;     /* 400..599, 0 = not said */
    int64_t         retry_after;/* milliseconds, -1 = not said */
} llm_error_t;

typedef struct {
    llm_event_type_t  type;
    unsigned          choice;
    unsigned          linesep;  /* slices may hold raw U+2028 and the like */
    llm_slice_t       text;
    llm_slice_t       id;
    llm_slice_t       name;
    llm_slice_t       model;
    llm_slice_t       raw;
    llm_slice_t       signature;
    int64_t           created;  /* seconds, -1 = not said */
    unsigned          tool_index;
    llm_finish_t      finish;
    const llm_usage_t *usage;
    const llm_error_t *error;
} llm_event_t;


#endif /* LLM_EVENT_H */
