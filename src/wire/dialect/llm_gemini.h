/*
 * What the files of the gemini dialect share.  Private to them.
 *
 * Source: Google's REST reference of generateContent and
 * streamGenerateContent (v1beta), and Vertex AI's streaming of function call
 * arguments.  Names are camelCase; snake_case is accepted as Google does.
 */

#ifndef LLM_GEMINI_H
#define LLM_GEMINI_H

#include "llm_dialect.h"
#include "llm_encode.h"
#include "llm_error.h"
#include "llm_json.h"
#include "llm_repeat_counts.h"


/* choices of which something is remembered; a larger index is none */
#define LLM_GEMINI_CHOICES  128

/* characters of an id or a model's name that are repeated in each chunk */
#define LLM_GEMINI_LABEL    256

/* bytes of a name that is unescaped to be looked at */
#define LLM_GEMINI_NAME     32


typedef enum {
    LLM_GEMINI_OTHER = 0,
    LLM_GEMINI_CANDIDATES,
    LLM_GEMINI_USAGE,
    LLM_GEMINI_MODEL,
    LLM_GEMINI_ID,
    LLM_GEMINI_CREATED,
    LLM_GEMINI_FEEDBACK,
    LLM_GEMINI_ERROR,
    LLM_GEMINI_CONTENT,
    LLM_GEMINI_FINISH,
    LLM_GEMINI_INDEX,
    LLM_GEMINI_GROUNDING,
    LLM_GEMINI_CITATION,
    LLM_GEMINI_LOGPROBS,
    LLM_GEMINI_PARTS,
    LLM_GEMINI_TEXT,
    LLM_GEMINI_THOUGHT,
    LLM_GEMINI_SIGNATURE,
    LLM_GEMINI_CALL,
    LLM_GEMINI_EXTRA,           /* a part of a kind that is kept as META */
    LLM_GEMINI_PROMPT,          /* the last ones: as LLM_GEMINI_N_PROMPT */
    LLM_GEMINI_OUTPUT,
    LLM_GEMINI_THOUGHTS,
    LLM_GEMINI_TOOL_USE,
    LLM_GEMINI_CACHED,
    LLM_GEMINI_TOTAL
} llm_gemini_key_t;

typedef struct {
    llm_slice_t     text;
    llm_slice_t     signature;
    llm_slice_t     call;       /* functionCall */
    llm_slice_t     name;       /* of another kind of part, and its value */
    llm_slice_t     value;
    unsigned        thought;
} llm_gemini_part_t;

typedef struct {
    llm_slice_t         parts;
    llm_slice_t         finish;
    llm_slice_t         grounding;
    llm_slice_t         citation;
    llm_slice_t         logprobs;
    unsigned            nparts;
    unsigned            index;
    unsigned            has_index;
    llm_gemini_part_t   first;
} llm_gemini_candidate_t;

/* usageMetadata; -1: not said */
enum {
    LLM_GEMINI_N_PROMPT = 0,
    LLM_GEMINI_N_OUTPUT,
    LLM_GEMINI_N_THOUGHTS,
    LLM_GEMINI_N_TOOL_USE,
    LLM_GEMINI_N_CACHED,
    LLM_GEMINI_N_TOTAL,
    LLM_GEMINI_N
};

typedef struct {
    int64_t         n[LLM_GEMINI_N];
} llm_gemini_counts_t;

typedef struct {
    llm_decoder_t           *d;
    llm_frame_t             *frame;
    unsigned                 emitted;   /* events of this candidate */
    unsigned                 usage_said;
    unsigned                 ncounts;
    llm_gemini_counts_t      counts;
    llm_slice_t              count[LLM_REPEAT_COUNTS];  /* as written */
    unsigned                 which[LLM_REPEAT_COUNTS];  /* of counts */
    llm_json_t               json;
    llm_slice_t              id;
    llm_slice_t              model;
    llm_slice_t              created;
    llm_slice_t              candidates;
    llm_slice_t              feedback;
    llm_slice_t              error;
    llm_usage_t              usage;
    llm_gemini_candidate_t   first;
    llm_event_t              ev;
} llm_gemini_chunk_t;


/* A call whose arguments come in pieces; owned by its choice. */
typedef struct {
    unsigned            index;
    unsigned            any;        /* a fragment was emitted */
    unsigned            string;     /* the last value is a string that goes
                                       on */
    llm_block_t         levels;
    llm_block_t         names;
} llm_gemini_call_t;

typedef struct {
    unsigned            tools;      /* calls so far */
    unsigned            finished;
    llm_gemini_call_t  *call;       /* the one that goes on, or NULL */
} llm_gemini_choice_t;

typedef struct {
    llm_block_t           choices;  /* llm_gemini_choice_t, by index */
    llm_block_t           cited;    /* uint64_t: hashes of what was cited */
    llm_repeat_counts_t   repeat;   /* the last chunk of nothing but text */
    llm_gemini_counts_t   counts;   /* its usage */
    unsigned              which[LLM_REPEAT_COUNTS];
    unsigned              usage_said;
} llm_gemini_state_t;

#define llm_gemini_choices(s)                                               \
    ((llm_gemini_choice_t *) (void *) (s)->choices.p)
#define llm_gemini_nchoices(s)                                              \
    ((s)->choices.n / sizeof(llm_gemini_choice_t))


/* Whether a name is `name` (camelCase), in either spelling. */
int llm_gemini_is(const llm_slice_t *tok, const char *name);

/* Reads c->json to its end; 0 when it is not one JSON object. */
int llm_gemini_scan(llm_gemini_chunk_t *c);

/* The usage that counts say; 0: none. */
int llm_gemini_usage(llm_usage_t *u, const llm_gemini_counts_t *counts);

/* Reads one candidate; j stands behind its brace.  0 when it is not
 * valid. */
int llm_gemini_candidate(llm_json_t *j, llm_gemini_candidate_t *cd);

/* Reads one part, likewise. */
int llm_gemini_part(llm_json_t *j, llm_gemini_part_t *part);

/* Seconds since 1970 of "2026-04-02T17:03:50.399550Z", or -1. */
int64_t llm_gemini_time(const llm_slice_t *v);

/* Emits c->ev as an event of that type. */
llm_rc_t llm_gemini_emit(llm_gemini_chunk_t *c, llm_event_type_t type);

/* The choice of c->ev, or NULL: no memory. */
llm_gemini_choice_t *llm_gemini_choice(llm_gemini_chunk_t *c);

/* The events of a functionCall part. */
llm_rc_t llm_gemini_emit_call(llm_gemini_chunk_t *c,
    const llm_gemini_part_t *part);

/*
 * The choice finishes: a call that was not ended is, when all of its values
 * are whole and the model came to its end (cut = 0).  LLM_INVALID: it cannot
 * be, nothing was emitted.
 */
llm_rc_t llm_gemini_end_call(llm_gemini_chunk_t *c, llm_gemini_choice_t *ch,
    unsigned cut);
void llm_gemini_drop_call(llm_decoder_t *d, llm_gemini_choice_t *ch);

/*
 * Writes the fragment of JSON that a list of partialArgs says to the end of
 * the scratch.  LLM_INVALID: they are no part of one document.
 */
llm_rc_t llm_gemini_partial_args(llm_gemini_chunk_t *c,
    llm_gemini_call_t *call, const llm_slice_t *raw);

/* Writes the end of a string that goes on, and of all but the outermost
 * `keep` containers. */
llm_rc_t llm_gemini_close_args(llm_gemini_chunk_t *c,
    llm_gemini_call_t *call, size_t keep);

/* Writes to the end of the scratch. */
static inline llm_rc_t
llm_gemini_put(llm_gemini_chunk_t *c, const void *p, size_t n)
{
    return llm_block_append(&c->d->scratch, &c->d->alloc, p, n);
}

#define llm_gemini_put_lit(c, lit)  llm_gemini_put(c, lit, sizeof(lit) - 1)

/* groundingMetadata, citationMetadata, logprobsResult to events. */
llm_rc_t llm_gemini_emit_grounding(llm_gemini_chunk_t *c,
    const llm_slice_t *raw);
llm_rc_t llm_gemini_emit_citations(llm_gemini_chunk_t *c,
    const llm_slice_t *raw);
llm_rc_t llm_gemini_emit_logprobs(llm_gemini_chunk_t *c,
    const llm_slice_t *raw);


/*
 * A client's stream: what cannot be said before it is whole (calls), or must
 * be said last (finish reasons, usage, sources), is gathered as an answer.
 */
typedef struct {
    llm_answer_t        a;
    llm_block_t         tail;   /* of each chunk; empty: none was written */
} llm_gemini_stream_t;


void llm_gemini_encode(llm_encoder_t *e, void *state, const llm_event_t *ev);
void llm_gemini_stream_drop(llm_encoder_t *e, void *state);
void llm_gemini_write_answer(llm_encoder_t *e, const llm_answer_t *a);
void llm_gemini_error_body(llm_out_t *out, const llm_error_t *err);

/* The reason that a word of this dialect stands for. */
llm_finish_t llm_gemini_reason(const llm_slice_t *word);

/* Writes a call as a part, with such arguments. */
void llm_gemini_write_call(llm_out_t *out, const llm_item_t *item,
    const llm_block_t *args);

/* Writes a part that is a text (NULL: an empty one). */
void llm_gemini_write_text(llm_out_t *out, const llm_slice_t *text,
    const llm_slice_t *signature, unsigned thought, unsigned linesep);

/* Whether a META event of that name is a part of this dialect; writes it. */
int llm_gemini_is_part(const llm_slice_t *name);
void llm_gemini_write_meta(llm_out_t *out, const llm_event_t *ev);

/* Writes the members of a candidate behind its content: finishReason, index,
 * groundingMetadata, logprobsResult. */
void llm_gemini_write_end(llm_out_t *out, const llm_choice_t *c);

/* Writes ,"logprobsResult":{…} from OpenAI's items, the inside of their
 * list. */
void llm_gemini_write_logprobs(llm_out_t *out, const llm_slice_t *items,
    unsigned linesep);

/* Writes "usageMetadata":{…} and a comma. */
void llm_gemini_write_usage(llm_out_t *out, const llm_usage_t *u);

/* Writes "modelVersion":"…","responseId":"…". */
void llm_gemini_write_label(llm_out_t *out, const llm_slice_t *model,
    const llm_slice_t *id, int64_t unique, unsigned linesep);


llm_rc_t llm_gemini_read_chat(llm_chat_t *c, const llm_u8 *body, size_t n);
void llm_gemini_write_chat(llm_chat_writer_t *w, const llm_chat_t *c);


#endif /* LLM_GEMINI_H */
