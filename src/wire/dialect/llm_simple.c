/*
 * The simple dialect, client side only: what a browser's EventSource needs
 * and no more.
 *
 *   data: {"content":"…","done":false}
 *   data: {"done":true}
 *   data: {"error":"…","code":"…","done":true}
 *
 * One answer is {"content":"…","done":true}.  Choice 0 only; a refusal is
 * what the model says, so it is content.
 */

#include "llm_encode.h"


static void
llm_simple_error_body(llm_out_t *out, const llm_error_t *err)
{
    llm_out_lit(out, "{\"error\":");
    llm_write_string(out, &err->message, 1);
    llm_out_lit(out, ",\"code\":");
    llm_write_string(out, &err->code, 1);
    llm_out_lit(out, ",\"done\":true}");
}


static void
llm_simple_encode(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    (void) state;

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REFUSAL:
        if (ev->choice != 0 || ev->text.n == 0) {
            return;
        }

        llm_out_lit(e->out, "data: {\"content\":\"");
        llm_write_inside(e->out, &ev->text, ev->linesep);
        llm_out_lit(e->out, "\",\"done\":false}\n\n");
        break;

    case LLM_EV_ERROR:
        llm_out_lit(e->out, "data: ");
        llm_simple_error_body(e->out, ev->error);
        llm_out_lit(e->out, "\n\n");
        break;

    case LLM_EV_END:
        llm_out_lit(e->out, "data: {\"done\":true}\n\n");
        break;

    default:
        break;
    }
}


static void
llm_simple_write_answer(llm_encoder_t *e, const llm_answer_t *a)
{
    llm_out_lit(e->out, "{\"content\":\"");
    llm_answer_write_said(e->out, a);
    llm_out_lit(e->out, "\",\"done\":true}");
}


const llm_dialect_t  llm_dialect_simple = {
    .name = llm_str("simple"),
    .framing = LLM_FRAMING_SSE,
    .stream_type = llm_str("text/event-stream; charset=utf-8"),
    .answer_type = llm_str("application/json"),
    .stream_default = 1,

    .encode = llm_simple_encode,

    .write_answer = llm_simple_write_answer,
    .error_body = llm_simple_error_body
};
