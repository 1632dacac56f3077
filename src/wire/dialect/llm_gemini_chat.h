/*
 * What the files of the gemini dialect share that are about requests.
 * Private to them.
 */

#ifndef LLM_GEMINI_CHAT_H
#define LLM_GEMINI_CHAT_H

#include "llm_gemini.h"


/* Members, of the body or of a member of it, that nothing but Gemini has;
 * ended by NULL.  Those of the generationConfig have its name before them. */
extern const char *const  llm_gemini_extras[];

#define LLM_GEMINI_CONFIG  "generationConfig."


/* Keeps a member whose value is as llm_json_member() gives it. */
llm_rc_t llm_gemini_extra(llm_chat_t *c, const llm_slice_t *name,
    llm_json_type_t type, const llm_slice_t *v);

/* Starts to read an array of objects, or one object in its place, with
 * llm_json_object(). */
void llm_gemini_list(llm_json_t *j, llm_json_type_t type,
    const llm_slice_t *v);

/* "contents", the value that comes next, while it is validated.  LLM_OK also
 * when it is broken: j says so. */
llm_rc_t llm_gemini_read_contents(llm_chat_t *c, llm_json_t *j);

/* A content; j stands behind its brace.  Its parts are those of *message,
 * which is raised. */
llm_rc_t llm_gemini_read_content(llm_chat_t *c, llm_json_t *j,
    unsigned *message);

llm_rc_t llm_gemini_read_tools(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v);

/* *allowed: the names that may be called, if there is such a list; to be
 * carried out by llm_gemini_read_allowed() when the tools were read. */
llm_rc_t llm_gemini_read_tool_config(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v, llm_slice_t *allowed);
llm_rc_t llm_gemini_read_allowed(llm_chat_t *c, const llm_slice_t *allowed);

llm_rc_t llm_gemini_read_config(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v);

/* Writes the members contents and systemInstruction; generationConfig. */
void llm_gemini_write_contents(llm_chat_writer_t *w, const llm_chat_t *c);


#endif /* LLM_GEMINI_CHAT_H */
