/*
 * An error as OpenAI's clients know it: the body of an HTTP answer and the
 * data of an event.  Its words are the caller's to choose.
 */

#include "llm_openai.h"


void
llm_openai_error_body(llm_out_t *out, const llm_error_t *err)
{
    llm_out_lit(out, "{\"error\":{\"message\":");
    llm_write_string(out, &err->message, 1);
    llm_out_lit(out, ",\"type\":");
    llm_write_string(out, &err->type, 1);
    llm_out_lit(out, ",\"param\":");
    llm_write_string(out, &err->param, 1);
    llm_out_lit(out, ",\"code\":");
    llm_write_string(out, &err->code, 1);
    llm_out_lit(out, "}}");
}
