/*
 * A conversation as one prompt, for the dialects that have no messages:
 * /api/generate of Ollama, and OpenAI's legacy completions.
 */

#ifndef LLM_PROMPT_H
#define LLM_PROMPT_H

#include "llm_chat.h"


#define LLM_PROMPT_SYSTEM  1    /* the system prompt is part of it */
#define LLM_PROMPT_IMAGES  2    /* images can be said beside it */

/*
 * Writes the inside of a JSON string.  One message beside the system prompt is
 * the prompt as it is, with the system prompt and an empty line in front.
 * With more of them each, the system prompt included, begins with "System: ",
 * "User: " or "Assistant: ", has an empty line behind it, and "Assistant:"
 * stands at the end, where the model goes on; if the last message is the
 * assistant's, that is where it goes on.
 */
void llm_prompt_write(llm_chat_writer_t *w, const llm_chat_t *c,
    unsigned flags);

/* Says what a prompt cannot hold: tools, calls, results, files. */
void llm_prompt_lost(llm_chat_writer_t *w, const llm_chat_t *c,
    unsigned flags);

/* Whether some message of that role says a text. */
int llm_prompt_has(const llm_chat_t *c, llm_role_t role);


#endif /* LLM_PROMPT_H */
