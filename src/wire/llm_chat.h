/*
 * A request as a value: what a client asks, whatever its dialect.  Readers
 * fill it, writers say it in another dialect.  All slices borrow from the
 * client's body (or are literals); strings are the insides of JSON strings,
 * still escaped as the client wrote them, so a base64 image of 10 MB is one
 * slice from the client's body to the provider's socket.
 *
 * Parts are one flat list in the order of the body: the parts of one message
 * follow each other and have the same `message`.  A system prompt that a
 * dialect keeps apart comes first, with the role SYSTEM.
 */

#ifndef LLM_CHAT_H
#define LLM_CHAT_H

#include "llm_json.h"
#include "llm_rope.h"
#include "llm_write.h"


typedef enum {
    LLM_ROLE_SYSTEM = 0,        /* and "developer" */
    LLM_ROLE_USER,
    LLM_ROLE_ASSISTANT,
    LLM_ROLE_TOOL               /* a message of TOOL_RESULTs */
} llm_role_t;

typedef enum {
    LLM_PART_TEXT = 0,          /* text */
    LLM_PART_IMAGE,             /* media and data (base64), or url; name =
                                   detail ("low", "high") */
    LLM_PART_AUDIO,             /* media, data */
    LLM_PART_FILE,              /* media, data, or url; name = file name; id =
                                   the provider's own id of an uploaded one */
    LLM_PART_TOOL_CALL,         /* id, name, args */
    LLM_PART_TOOL_RESULT,       /* id, name (may be absent), error; its
                                   content are the parts behind it that have
                                   `inner` set */
    LLM_PART_REASONING,         /* text, signature; data = withheld but must
                                   go back (redacted_thinking) */
    LLM_PART_REFUSAL,           /* text */
    LLM_PART_OTHER              /* name = its type, raw: no other dialect can
                                   say it */
} llm_part_type_t;

typedef struct {
    llm_part_type_t  type;
    llm_role_t       role;
    unsigned         message;   /* number of the message, from 0 */
    unsigned         inner;     /* content of the TOOL_RESULT before it */
    unsigned         error;     /* TOOL_RESULT: the tool failed */
    llm_slice_t      text;
    llm_slice_t      id;
    llm_slice_t      name;
    llm_slice_t      args;      /* JSON text.  escaped set or args_string: the
                                   inside of a string; else an object */
    unsigned         args_string;
    llm_slice_t      media;     /* "image/png" */
    llm_slice_t      data;
    llm_slice_t      url;
    llm_slice_t      signature;
    llm_slice_t      raw;       /* the part as it came, JSON */
} llm_part_t;

typedef struct {
    llm_slice_t      name;
    llm_slice_t      description;
    llm_slice_t      schema;    /* JSON object, or absent */
    llm_slice_t      type;      /* absent: a function; else a tool that the
                                   provider runs itself ("web_search") */
    int              strict;    /* -1 not said */
    llm_slice_t      raw;
} llm_tool_t;

typedef enum {
    LLM_CHOOSE_UNSAID = 0,
    LLM_CHOOSE_AUTO,
    LLM_CHOOSE_NONE,
    LLM_CHOOSE_REQUIRED,
    LLM_CHOOSE_TOOL             /* choose_name */
} llm_choose_t;

typedef enum {
    LLM_FORMAT_UNSAID = 0,
    LLM_FORMAT_TEXT,
    LLM_FORMAT_OBJECT,          /* any JSON object */
    LLM_FORMAT_SCHEMA           /* schema, schema_name, schema_strict */
} llm_format_t;

typedef enum {
    LLM_EFFORT_UNSAID = 0,
    LLM_EFFORT_NONE,
    LLM_EFFORT_MINIMAL,
    LLM_EFFORT_LOW,
    LLM_EFFORT_MEDIUM,
    LLM_EFFORT_HIGH,
    LLM_EFFORT_XHIGH,
    LLM_EFFORT_MAX,
    LLM_EFFORT_AUTO             /* think, as much as you like */
} llm_effort_t;

/* A top-level member (or an option) that has no place in llm_chat_t. */
typedef struct {
    llm_slice_t      name;      /* "store", "generationConfig.foo" */
    llm_slice_t      raw;       /* JSON */
    unsigned         meaning;   /* losing it changes what is asked: set by the
                                   reader after llm_chat_extra() */
} llm_extra_t;

typedef struct {
    llm_alloc_t      alloc;
    unsigned         max_depth;
    const char      *member;    /* after LLM_INVALID: the member that is
                                   wrong, a literal; NULL: no JSON object */

    llm_slice_t      model;
    int              stream;    /* -1 not said, 0, 1 */
    int              include_usage;

    /* numbers as written; absent: not said */
    llm_slice_t      max_tokens;
    llm_slice_t      temperature;
    llm_slice_t      top_p;
    llm_slice_t      top_k;
    llm_slice_t      min_p;
    llm_slice_t      seed;
    llm_slice_t      presence;
    llm_slice_t      frequency;
    llm_slice_t      n;
    llm_slice_t      top_logprobs;
    llm_slice_t      budget;    /* of reasoning, tokens */

    int              logprobs;          /* -1 not said */
    int              parallel_tools;    /* -1 not said */
    int              thoughts;  /* show the reasoning: -1 not said */
    llm_effort_t     effort;

    llm_slice_t      user;      /* id of the end user */
    llm_slice_t      metadata;  /* JSON object of strings */
    llm_slice_t      suffix;    /* completions: text behind the insertion */
    llm_slice_t      session;   /* id of the conversation (Flowise) */

    llm_choose_t     choose;
    llm_slice_t      choose_name;

    llm_format_t     format;
    llm_slice_t      schema;            /* JSON object */
    llm_slice_t      schema_name;
    int              schema_strict;     /* -1 not said */

    llm_block_t      stops;     /* llm_slice_t */
    llm_block_t      parts;     /* llm_part_t */
    llm_block_t      tools;     /* llm_tool_t */
    llm_block_t      extras;    /* llm_extra_t */
    llm_block_t      copies;    /* llm_block_t, by llm_chat_copy() */
} llm_chat_t;

/* bytes of a media type; a longer one is none */
#define LLM_CHAT_MEDIA  200

#define llm_chat_parts(c)    ((llm_part_t *) (void *) (c)->parts.p)
#define llm_chat_nparts(c)   ((c)->parts.n / sizeof(llm_part_t))
#define llm_chat_tools(c)    ((llm_tool_t *) (void *) (c)->tools.p)
#define llm_chat_ntools(c)   ((c)->tools.n / sizeof(llm_tool_t))
#define llm_chat_stops(c)    ((llm_slice_t *) (void *) (c)->stops.p)
#define llm_chat_nstops(c)   ((c)->stops.n / sizeof(llm_slice_t))
#define llm_chat_extras(c)   ((llm_extra_t *) (void *) (c)->extras.p)
#define llm_chat_nextras(c)  ((c)->extras.n / sizeof(llm_extra_t))

/* The number or text that is so many bytes behind the beginning (offsetof):
 * for tables of members. */
#define llm_chat_slice(c, at)                                               \
    ((const llm_slice_t *) (const void *) ((const char *) (c) + (at)))

/* All unsaid and absent. */
void llm_chat_init(llm_chat_t *c, const llm_alloc_t *a, unsigned max_depth);
void llm_chat_free(llm_chat_t *c);

/* A new, zeroed element at the end of the list; NULL: no memory. */
llm_part_t *llm_chat_part(llm_chat_t *c, llm_part_type_t type,
    llm_role_t role, unsigned message);
llm_tool_t *llm_chat_tool(llm_chat_t *c);
llm_rc_t llm_chat_stop(llm_chat_t *c, const llm_slice_t *s);

/* v: a value in the body as llm_json_member() gives it; the inside of a
 * string is kept with its quotes. */
llm_rc_t llm_chat_extra(llm_chat_t *c, const llm_slice_t *name,
    const llm_slice_t *v);

/* A copy of n bytes that lives as long as c, for the rare string that must be
 * changed; NULL: no memory. */
llm_u8 *llm_chat_copy(llm_chat_t *c, const llm_u8 *p, size_t n);

/* The bytes of a JSON value as the inside of a string that says them (a tool
 * result that is an object, for dialects that know texts only). */
llm_rc_t llm_chat_quote(llm_chat_t *c, const llm_slice_t *raw,
    llm_slice_t *text);

/* The last of the extras of that name, or NULL. */
const llm_extra_t *llm_chat_find_extra(const llm_chat_t *c,
    const char *name);

/* LLM_INVALID, and c->member says `member` unless one was named before. */
llm_rc_t llm_chat_wrong(llm_chat_t *c, const char *member);

/*
 * What readers share: the value of a known member as llm_json_member() gives
 * it, of the type that the name says; null is as if not said.  LLM_OK, or
 * LLM_INVALID by llm_chat_wrong().
 */
llm_rc_t llm_chat_read_number(llm_chat_t *c, llm_slice_t *to,
    llm_json_type_t type, const llm_slice_t *v, const char *member);
llm_rc_t llm_chat_read_string(llm_chat_t *c, llm_slice_t *to,
    llm_json_type_t type, const llm_slice_t *v, const char *member);
llm_rc_t llm_chat_read_flag(llm_chat_t *c, int *to, llm_json_type_t type,
    const char *member);

/* Stop strings: one string, or an array of strings; replaces those that are
 * there. */
llm_rc_t llm_chat_read_stops(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v, const char *member);

/*
 * Splits the inside of a JSON string that is a data URL
 * ("data:image/png;base64,AAAA") into media and data, without a copy.  0:
 * it is none (a link), or not base64.
 */
int llm_chat_data_url(const llm_slice_t *url, llm_slice_t *media,
    llm_slice_t *data);

/* The word of an effort ("none" ... "max"), and back; UNSAID for a word that
 * is none. */
llm_slice_t llm_effort_word(llm_effort_t effort);
llm_effort_t llm_effort_find(const llm_slice_t *word);

/*
 * Between effort and budget, for a target that has the other one: the table
 * that Google documents for its OpenAI endpoint.  -1: none to say (UNSAID,
 * AUTO).  A budget that is no unsigned integer (Gemini's -1) is AUTO, an
 * absent one UNSAID.
 */
int64_t llm_effort_budget(llm_effort_t effort);
llm_effort_t llm_effort_of_budget(const llm_slice_t *budget);

/* The effort that a request says, else that of the budget it says. */
llm_effort_t llm_chat_effort(const llm_chat_t *c);

/* The media type of an IMAGE's or a FILE's data: as said, else by the first
 * bytes (Ollama's images come without one). */
llm_slice_t llm_chat_media(const llm_part_t *part);


/* What a provider understands otherwise than the dialect's inventor. */
#define LLM_QUIRK_MAX_TOKENS   0x01     /* "max_tokens" instead of
                                           "max_completion_tokens" */
#define LLM_QUIRK_NO_OPTIONS   0x02     /* no "stream_options": usage comes
                                           unasked; no "user", "logprobs" or
                                           member that is not its own: these
                                           are errors to it */
#define LLM_QUIRK_RANDOM_SEED  0x04     /* "random_seed" instead of "seed" */
#define LLM_QUIRK_TOP_K        0x08     /* takes "top_k" and "min_p" */
#define LLM_QUIRK_REASONING    0x10     /* takes "reasoning_content" back in
                                           a message */
#define LLM_QUIRK_DETAILS      0x20     /* "reasoning" (effort, max_tokens,
                                           exclude) and "reasoning_details" */

struct llm_dialect_s;

typedef struct {
    llm_rope_t               rope;
    llm_out_t               *out;       /* the rope's: for llm_write_*() */
    unsigned                 max_depth;
    unsigned                 quirks;
    unsigned                 stream;    /* ask for a stream */
    unsigned                 usage;     /* ask for usage in it */
    llm_slice_t              model;     /* characters or escaped; absent: none
                                           was said */
    const llm_request_set_t *set;       /* llm_stream_param: wins */
    size_t                   nset;
    int64_t                  cap;       /* of output, tokens: a limit that is
                                           higher is lowered, and it is said
                                           where there is none; 0: none */
    unsigned                 take_stops;/* stop strings that the target cannot
                                           say are given back, not lost */
    unsigned                 members;   /* written so far at the top level */
    llm_block_t              lost;      /* names, ", " between them */
    llm_block_t              refused;   /* names of those that change the
                                           meaning */
    llm_block_t              stops;     /* llm_slice_t, as they are in c: what
                                           take_stops gives back */
    llm_block_t              seen;      /* private: a byte for each of `set`:
                                           the writer came to its name */
    llm_u8                   limit[20];     /* private: cap, and one less, */
    llm_u8                   budget[20];    /* as c has them */
} llm_chat_writer_t;

/*
 * Begins a top-level member: writes the comma, the name and the colon.  0:
 * llm_stream_param provides this one, the value must not be written.
 */
int llm_chat_member(llm_chat_writer_t *w, const char *name);

/* The same for a value that nobody asked for, but the provider needs one. */
int llm_chat_unsaid(llm_chat_writer_t *w, const char *name);

/* The same with a value behind it; nothing when it is absent. */
void llm_chat_raw(llm_chat_writer_t *w, const char *name,
    const llm_slice_t *raw);
void llm_chat_string(llm_chat_writer_t *w, const char *name,
    const llm_slice_t *s);

/* The same of a flag, -1: not said; of the model that is asked; of the last
 * extra of that name. */
void llm_chat_put_flag(llm_chat_writer_t *w, const char *name, int flag);
void llm_chat_put_model(llm_chat_writer_t *w);
void llm_chat_put_extra(llm_chat_writer_t *w, const llm_chat_t *c,
    const char *name);

/* The limit of output, or cap where the request says none. */
void llm_chat_put_limit(llm_chat_writer_t *w, const llm_chat_t *c,
    const char *name);

/* Whether one of `set` is a member of that name. */
int llm_chat_sets(const llm_chat_writer_t *w, const char *name);

/* true or false */
void llm_chat_bool(llm_chat_writer_t *w, int flag);

/* A string's or a JSON value's bytes anywhere: copied when small, else
 * referred to (quotes are the caller's). */
void llm_chat_splice(llm_chat_writer_t *w, const llm_slice_t *s);

/* The same of a string, with its quotes. */
void llm_chat_put(llm_chat_writer_t *w, const llm_slice_t *s);

/* The stop strings as an array. */
void llm_chat_put_stops(llm_chat_writer_t *w, const llm_chat_t *c);

/* A part's data as a data URL, with its quotes. */
void llm_chat_put_data(llm_chat_writer_t *w, const llm_part_t *part);

/*
 * Something that the target cannot say.  meaning: dropping it changes what
 * is asked; name: characters ("n", "tools", "messages[].image_url").
 */
void llm_chat_lost(llm_chat_writer_t *w, const char *name,
    unsigned meaning);

/*
 * A stop string that the target cannot say: given back with take_stops, for
 * as long as they are not more than anybody needs; else lost.
 */
#define LLM_CHAT_STOPS       32
#define LLM_CHAT_STOP_BYTES  4096

void llm_chat_lost_stop(llm_chat_writer_t *w, const llm_slice_t *stop);

/* The loss of an IMAGE, AUDIO, FILE or OTHER; nothing for the other types. */
void llm_chat_lost_part(llm_chat_writer_t *w, const llm_part_t *part);

/* Members of llm_chat_t: those that are said are lost (n: more than one;
 * format: JSON; logprobs: asked for; parallel: forbidden). */
#define LLM_LOST_N             0x0001
#define LLM_LOST_SUFFIX        0x0002
#define LLM_LOST_STOPS         0x0004
#define LLM_LOST_FORMAT        0x0008
#define LLM_LOST_TOP_K         0x0010
#define LLM_LOST_MIN_P         0x0020
#define LLM_LOST_SEED          0x0040
#define LLM_LOST_PENALTIES     0x0080
#define LLM_LOST_LOGPROBS      0x0100
#define LLM_LOST_TOP_LOGPROBS  0x0200
#define LLM_LOST_PARALLEL      0x0400
#define LLM_LOST_USER          0x0800
#define LLM_LOST_METADATA      0x1000
#define LLM_LOST_SESSION       0x2000

void llm_chat_lost_members(llm_chat_writer_t *w, const llm_chat_t *c,
    unsigned members);

/* The loss of a TOOL_CALL, TOOL_RESULT, REASONING or REFUSAL in a target whose
 * messages are plain texts; nothing for the other types. */
void llm_chat_lost_plain(llm_chat_writer_t *w, const llm_part_t *part);

/* All extras, or those whose name is not in the list (ended by NULL). */
void llm_chat_lost_extras(llm_chat_writer_t *w, const llm_chat_t *c,
    const char *const *but);

/* Tool arguments as a JSON object: an inside of a string is unescaped and
 * checked; empty, absent or null is {}.  0: it is no object (nothing was
 * written). */
int llm_chat_object(llm_chat_writer_t *w, const llm_slice_t *args,
    unsigned string);

/* The arguments of a TOOL_CALL as a JSON object; {} when they are none, and
 * they are lost. */
void llm_chat_put_object(llm_chat_writer_t *w, const llm_part_t *call);

/* Tool arguments as the inside of a JSON string; absent is {}. */
void llm_chat_args(llm_chat_writer_t *w, const llm_slice_t *args,
    unsigned string);

/* Writes the texts of the parts [i, end), joined with LF LF, as the inside of
 * one JSON string.  Parts of other types are passed over, as are the inner
 * ones unless part i is one. */
void llm_chat_texts(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end);

/* The end of the message, or of the inner parts, that begins at part i (i
 * itself when it is no inner one). */
size_t llm_chat_message_end(const llm_chat_t *c, size_t i);
size_t llm_chat_inner_end(const llm_chat_t *c, size_t i);

/*
 * The TOOL_CALL that the TOOL_RESULT at part i answers: the one with the same
 * id among the LLM_CHAT_LOOK_BACK parts before it; without an id the one
 * that its name and its place among such results tell.  The number of parts
 * when there is none.
 */
#define LLM_CHAT_LOOK_BACK     512

size_t llm_chat_call(const llm_chat_t *c, size_t i);

/* The name for a TOOL_RESULT (dialects that know it by id only): its own, or
 * that of the call; may be absent. */
llm_slice_t llm_chat_call_name(const llm_chat_t *c, size_t i);

/* Writes the id of the TOOL_CALL or TOOL_RESULT at part i (inside of the
 * quotes): its own, or a made one, the same for a call and its result. */
void llm_chat_call_id(llm_chat_writer_t *w, const llm_chat_t *c, size_t i);

/*
 * A whole body for the target: reads body, which is valid UTF-8, as `from`
 * into *c, which it initialises, and writes it as `to`.  w is by
 * llm_chat_writer_init() and max_depth, quirks, stream, usage, model, set are
 * given (model absent: the request's own).  LLM_OK: the rope was ended;
 * LLM_INVALID: c->member names what is wrong (NULL: no JSON object);
 * LLM_TOO_DEEP; LLM_NOMEM.  c is the caller's to free in every case, not
 * before the rope was sent: its pieces refer to the body.
 */
llm_rc_t llm_chat_translate(llm_chat_writer_t *w, llm_chat_t *c,
    const struct llm_dialect_s *from, const struct llm_dialect_s *to,
    const llm_u8 *body, size_t n);

/* w must stay where it is from then on (see llm_rope_init()). */
void llm_chat_writer_init(llm_chat_writer_t *w, const llm_alloc_t *a);
void llm_chat_writer_free(llm_chat_writer_t *w);


#endif /* LLM_CHAT_H */
