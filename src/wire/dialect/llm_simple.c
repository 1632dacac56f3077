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


#define llm_simple_str(lit)                                                 \
    { (const llm_u8 *) (lit), sizeof(lit) - 1, 0 }


typedef struct {
    size_t       total;
    llm_block_t  text;
} llm_simple_answer_t;


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
llm_simple_answer(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    llm_simple_answer_t  *a;

    a = state;

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REFUSAL:
        if (ev->choice == 0 && e->rc == LLM_OK) {
            e->rc = llm_gather(e, &a->text, &a->total, &ev->text,
                               ev->linesep);
        }

        break;

    case LLM_EV_END:
        llm_out_lit(e->out, "{\"content\":\"");
        llm_write_gathered(e->out, &a->text);
        llm_out_lit(e->out, "\",\"done\":true}");
        break;

    default:
        break;
    }
}


static void
llm_simple_answer_drop(llm_encoder_t *e, void *state)
{
    llm_simple_answer_t  *a;

    a = state;

    llm_block_free(&a->text, &e->alloc);
}


const llm_dialect_t  llm_dialect_simple = {
    .name = llm_simple_str("simple"),
    .framing = LLM_FRAMING_SSE,
    .stream_type = llm_simple_str("text/event-stream; charset=utf-8"),
    .answer_type = llm_simple_str("application/json"),
    .stream_default = 1,

    .encode = llm_simple_encode,

    .answer_size = sizeof(llm_simple_answer_t),
    .answer = llm_simple_answer,
    .answer_drop = llm_simple_answer_drop,

    .error_body = llm_simple_error_body
};
