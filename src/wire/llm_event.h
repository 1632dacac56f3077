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
    LLM_EV_REASONING,   /* text (may be empty), signature; raw = what is
                           withheld but must come back (redacted_thinking's
                           or encrypted "data") */
    LLM_EV_REFUSAL,     /* text */
    LLM_EV_TOOL_CALL,   /* tool_index, id, name, text = arguments fragment
                           (JSON text), whole, signature */
    LLM_EV_LOGPROBS,    /* raw = array of {"token","logprob","bytes",
                           "top_logprobs"}, OpenAI's; refused */
    LLM_EV_CITATION,    /* id = URL, name = title, text = what is cited,
                           start, end; raw = the dialect's own object */
    LLM_EV_USAGE,       /* usage (only what was said now), raw */
    LLM_EV_FINISH,      /* finish, text = the dialect's own word, name = the
                           stop string that was hit, if said */
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

/* Token counts, -1 = not said.  input includes cached and cache_write, output
 * includes reasoning (OpenAI's sense).  Never a difference: a later event
 * replaces what it says and leaves the rest (llm_usage_merge()). */
typedef struct {
    int64_t         input;
    int64_t         output;
    int64_t         cached;
    int64_t         reasoning;
    int64_t         total;
    int64_t         cache_write;
} llm_usage_t;

#define llm_usage_none  ((llm_usage_t) { -1, -1, -1, -1, -1, -1 })

/* What kind of error it is; the rows of llm_error.c. */
typedef enum {
    LLM_ERROR_UNKNOWN = 0,
    LLM_ERROR_BAD_REQUEST,
    LLM_ERROR_AUTH,             /* a bad key */
    LLM_ERROR_CREDIT,
    LLM_ERROR_FORBIDDEN,
    LLM_ERROR_NOT_FOUND,
    LLM_ERROR_METHOD,
    LLM_ERROR_TOO_LARGE,
    LLM_ERROR_RATE,
    LLM_ERROR_TIMEOUT,
    LLM_ERROR_SERVER,
    LLM_ERROR_OVERLOADED,
    LLM_ERROR_GATEWAY,
    LLM_ERROR_BLOCKED,          /* the prompt was filtered */
    LLM_ERROR_MAX
} llm_error_class_t;

typedef struct {
    llm_slice_t     type;
    llm_slice_t     code;       /* string or number, as written */
    llm_slice_t     message;
    llm_slice_t     param;
    int             status;     /* 400..599, 0 = not said */
    int64_t         retry_after;/* milliseconds, -1 = not said */
    llm_error_class_t cls;      /* by llm_error_classify() */
} llm_error_t;

typedef struct {
    llm_event_type_t  type;
    unsigned          choice;
    unsigned          linesep;  /* slices may hold raw U+2028 and the like */
    unsigned          whole;    /* TOOL_CALL: text is all of the arguments */
    unsigned          refused;  /* LOGPROBS: of a refusal */
    llm_slice_t       text;
    llm_slice_t       id;
    llm_slice_t       name;
    llm_slice_t       model;
    llm_slice_t       raw;
    llm_slice_t       signature;
    int64_t           created;  /* seconds, -1 = not said */
    int64_t           start;    /* CITATION: characters of the text, -1 */
    int64_t           end;
    unsigned          tool_index;   /* 0, 1, ... within the choice */
    llm_finish_t      finish;
    const llm_usage_t *usage;
    const llm_error_t *error;
} llm_event_t;


#endif /* LLM_EVENT_H */
