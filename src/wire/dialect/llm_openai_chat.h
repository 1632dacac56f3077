/*
 * Parts of OpenAI's chat request that other dialects have in the same form:
 * messages' parts, tools, tool calls, tool choice, response format.
 */

#ifndef LLM_OPENAI_CHAT_H
#define LLM_OPENAI_CHAT_H

#include "llm_dialect.h"


/*
 * "messages", the value that comes next, while it is validated; replaces the
 * parts that are there.  LLM_OK also when it is broken: j says so.
 */
llm_rc_t llm_openai_read_messages(llm_chat_t *c, llm_json_t *j);

/*
 * The content of one message: a string, an array of OpenAI's parts, null.
 * inner: it is what a TOOL_RESULT holds.
 */
llm_rc_t llm_openai_read_content(llm_chat_t *c, llm_role_t role,
    unsigned message, unsigned inner, llm_json_type_t type,
    const llm_slice_t *v);

/* "tool_calls" of a message, an array. */
llm_rc_t llm_openai_read_calls(llm_chat_t *c, unsigned message,
    const llm_slice_t *calls);

/* "tools": [{"type":"function","function":{"name",...}}], and the legacy
 * "functions"; replaces those that are there. */
llm_rc_t llm_openai_read_tools(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v);
llm_rc_t llm_openai_read_functions(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v);

/*
 * "tool_choice" or "function_call".  *allowed: the list of "allowed_tools",
 * if it is that; llm_openai_read_allowed() then drops the other tools, which
 * says the same, when all members were read.
 */
llm_rc_t llm_openai_read_choice(llm_chat_t *c, llm_slice_t *allowed,
    llm_json_type_t type, const llm_slice_t *v, const char *member);
llm_rc_t llm_openai_read_allowed(llm_chat_t *c, const llm_slice_t *allowed,
    const char *member);

/* The members of an object that say a function: name, description,
 * parameters, strict; and those that say a schema: name, schema, strict. */
void llm_openai_read_function(llm_tool_t *tool, const llm_slice_t *raw);
void llm_openai_read_schema(llm_chat_t *c, const llm_slice_t *raw);

/* What a format is by the word for it; its schema was read before. */
llm_rc_t llm_openai_read_format_word(llm_chat_t *c, const llm_slice_t *word,
    const char *member);

/* "response_format". */
llm_rc_t llm_openai_read_format(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v);

/* The media type of OpenAI's word for an audio format ("mp3"), and back:
 * absent for what is none. */
llm_slice_t llm_openai_audio_media(const llm_slice_t *format);
llm_slice_t llm_openai_audio_format(const llm_slice_t *media);

/* "messages" */
void llm_openai_write_messages(llm_chat_writer_t *w, const llm_chat_t *c);

/* A text, an image, audio or a file of a user's content. */
void llm_openai_put_part(llm_chat_writer_t *w, const llm_part_t *part);

/* "tools", each by put() or in OpenAI's form; those that the provider runs
 * itself are lost.  1: there is one. */
int llm_openai_write_tools(llm_chat_writer_t *w, const llm_chat_t *c);
int llm_openai_write_tool_list(llm_chat_writer_t *w, const llm_chat_t *c,
    void (*put)(llm_chat_writer_t *w, const llm_tool_t *tool));

/* "tool_choice"; what stands around the name of a tool is the dialect's. */
void llm_openai_write_tool_choice(llm_chat_writer_t *w, const llm_chat_t *c,
    const char *opening, const char *closing);

/*
 * A body of chat completions; with own() one of completions, which has no
 * messages: it takes a member first, LLM_AGAIN when it is none of its.
 */
llm_rc_t llm_openai_read_body(llm_chat_t *c, const llm_u8 *body, size_t n,
    llm_rc_t (*own)(llm_chat_t *c, const llm_slice_t *key,
        llm_json_type_t type, const llm_slice_t *v));

/* Limit, sampling, seed, penalties, n, stop; "stream" and its options. */
void llm_openai_write_sampling(llm_chat_writer_t *w, const llm_chat_t *c);
void llm_openai_write_stream(llm_chat_writer_t *w);

/* "response_format" */
void llm_openai_write_format(llm_chat_writer_t *w, const llm_chat_t *c);


#endif /* LLM_OPENAI_CHAT_H */
