/*
 * What the files of the two Ollama dialects share, /api/chat and
 * /api/generate.  Private to them.
 */

#ifndef LLM_OLLAMA_H
#define LLM_OLLAMA_H

#include "llm_dialect.h"
#include "llm_encode.h"
#include "llm_json.h"


/* bytes of the longest member name of ours */
#define LLM_OLLAMA_NAME   32

/* the words of a line that ends a load or an unload of a model: there was
 * nothing to say, which other dialects call "stop" */
#define llm_ollama_idle(word)                                               \
    (llm_json_is(word, "load") || llm_json_is(word, "unload"))


typedef struct {
    unsigned        calls;      /* tool calls of the stream so far */
} llm_ollama_decode_t;

typedef struct {
    llm_answer_t    kept;       /* model, unfinished calls, usage, finish */
    llm_block_t     call;       /* arguments of a call that came whole */
    llm_block_t     head;       /* a line up to its text; empty: not begun */
    llm_slice_t     idle;       /* "load" or "unload", else absent */
    size_t          calls;      /* of the kept ones, those that were said */
} llm_ollama_stream_t;


llm_rc_t llm_ollama_decode(llm_decoder_t *d, llm_frame_t *frame);
llm_rc_t llm_ollama_decode_answer(llm_decoder_t *d, llm_frame_t *answer);

void llm_ollama_encode(llm_encoder_t *e, void *state, const llm_event_t *ev);
void llm_ollama_stream_drop(llm_encoder_t *e, void *state);
void llm_ollama_write_answer(llm_encoder_t *e, const llm_answer_t *a);
void llm_ollama_error_body(llm_out_t *out, const llm_error_t *err);

void llm_generate_encode(llm_encoder_t *e, void *state,
    const llm_event_t *ev);
void llm_generate_write_answer(llm_encoder_t *e, const llm_answer_t *a);


/* The options that other dialects have as well, ended by a NULL. */
typedef struct {
    const char     *name;
    size_t          at;         /* of a number in llm_chat_t */
} llm_ollama_option_t;

extern const llm_ollama_option_t  llm_ollama_options[];

/*
 * The names of extras that both paths have, ended by NULL: so many of the top
 * level, then those of "options", with so many bytes in front.
 */
#define LLM_OLLAMA_TOP     3
#define LLM_OLLAMA_PREFIX  (sizeof("options.") - 1)

extern const char *const  llm_ollama_extras[];

llm_rc_t llm_ollama_read_chat(llm_chat_t *c, const llm_u8 *body, size_t n);
llm_rc_t llm_generate_read_chat(llm_chat_t *c, const llm_u8 *body, size_t n);

void llm_ollama_write_chat(llm_chat_writer_t *w, const llm_chat_t *c);
void llm_generate_write_chat(llm_chat_writer_t *w, const llm_chat_t *c);


#endif /* LLM_OLLAMA_H */
