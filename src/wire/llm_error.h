/*
 * Errors of providers, whatever their dialect: the shapes they come in, the
 * class they belong to, and the words that each dialect has for a class.
 *
 * Shapes: {"error":{…}}, {"error":"…"}, {"type":"error","error":{…}},
 * {"object":"error","message":…}, {"message":…}, {"detail":"…"},
 * {"detail":[{"msg":…}]}, {"statusCode":…,"message":…}, and each of them as
 * the only element of an array.
 */

#ifndef LLM_ERROR_H
#define LLM_ERROR_H

#include "llm_event.h"


typedef struct {
    int             status;         /* HTTP, where the provider said none */
    llm_slice_t     openai_type;
    llm_slice_t     openai_code;    /* absent: null */
    llm_slice_t     anthropic_type;
    int             anthropic_status;
    llm_slice_t     gemini_status;
} llm_error_words_t;

/*
 * Reads an error body or error event's data into *err (slices borrow from
 * data), with its status (by number, code, type or status word), retry hint
 * (Google's retryDelay, Hugging Face's estimated_time, of a rate limit also
 * the message's "try again in 6.78s") and class.  LLM_OK, or LLM_INVALID when
 * it holds no error of any shape above: *err then has the code, type or
 * status of a document that is one object, and is else empty but for
 * retry_after = -1.
 */
llm_rc_t llm_error_read(const llm_slice_t *data, llm_error_t *err);

/* Sets err->cls from its code, type and status; to be called again when the
 * status becomes known, or better known, from elsewhere. */
void llm_error_classify(llm_error_t *err);

/* The words of a class, never NULL. */
const llm_error_words_t *llm_error_words(llm_error_class_t cls);


#endif /* LLM_ERROR_H */
