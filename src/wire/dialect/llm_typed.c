/*
 * The typed dialect, client side only: every event says what it is.
 *
 *   data: {"type":"metadata","data":{"id":"…","model":"…","created":1}}
 *   data: {"type":"token","data":{"token":"…"}}
 *   data: {"type":"done","data":{"full_text":"…","finish_reason":"stop",
 *          "usage":{…}}}
 *   data: {"type":"error","data":{"message":"…","type":"…","code":"…"}}
 *
 * One answer is the done event with id and model.  Choice 0 only; a refusal
 * is what the model says, so it is text.  The full text is gathered up to
 * the encoder's bound, then given up and said so.
 */

#include "llm_encode.h"


typedef struct {
    size_t       total;
    llm_block_t  text;
    llm_block_t  finish;
    llm_usage_t  usage;
    unsigned     has_usage;
    unsigned     omitted;       /* the text was too long */
} llm_typed_stream_t;


static void
llm_typed_gather(llm_encoder_t *e, llm_typed_stream_t *s, llm_block_t *b,
    const llm_slice_t *text, unsigned linesep)
{
    if (e->rc == LLM_OK) {
        e->rc = llm_gather(e, b, &s->total, text, linesep);
    }
}


static void
llm_typed_count(llm_typed_stream_t *s, const llm_usage_t *said)
{
    if (!s->has_usage) {
        s->has_usage = 1;
        s->usage = llm_usage_none;
    }

    llm_usage_merge(&s->usage, said);
}


static void
llm_typed_finish(llm_encoder_t *e, llm_typed_stream_t *s,
    const llm_event_t *ev)
{
    llm_slice_t  word;

    if (ev->choice != 0) {
        return;
    }

    word = llm_finish_word(ev);
    s->finish.n = 0;
    llm_typed_gather(e, s, &s->finish, &word, ev->linesep);
}


static void
llm_typed_write_word(llm_out_t *out, const llm_slice_t *word)
{
    if (word->n == 0) {
        llm_out_lit(out, "null");
        return;
    }

    llm_write_string(out, word, 0);
}


/* What stands behind the text in a done event; usage: NULL when not said. */
static void
llm_typed_write_rest(llm_out_t *out, const llm_slice_t *finish,
    const llm_usage_t *usage)
{
    llm_out_lit(out, ",\"finish_reason\":");
    llm_typed_write_word(out, finish);
    llm_out_lit(out, ",\"usage\":");
    llm_write_usage(out, usage, 0);
}


/* {"type":"done","data":{… without the last brackets. */
static void
llm_typed_write_done(llm_out_t *out, const llm_typed_stream_t *s)
{
    llm_slice_t  finish;

    llm_out_lit(out, "{\"type\":\"done\",\"data\":{\"full_text\":");

    if (s->omitted) {
        llm_out_lit(out, "null,\"full_text_omitted\":true");

    } else {
        llm_write_block(out, &s->text);
    }

    finish = llm_gathered(&s->finish);
    llm_typed_write_rest(out, &finish, s->has_usage ? &s->usage : NULL);
}


static void
llm_typed_error_body(llm_out_t *out, const llm_error_t *err)
{
    llm_out_lit(out, "{\"type\":\"error\",\"data\":{\"message\":");
    llm_write_string(out, &err->message, 1);
    llm_out_lit(out, ",\"type\":");
    llm_write_string(out, &err->type, 1);
    llm_out_lit(out, ",\"code\":");
    llm_write_string(out, &err->code, 1);
    llm_out_lit(out, "}}");
}


static void
llm_typed_metadata(llm_out_t *out, const llm_event_t *ev)
{
    llm_out_lit(out, "data: {\"type\":\"metadata\",\"data\":{\"id\":");
    llm_write_string(out, &ev->id, ev->linesep);
    llm_out_lit(out, ",\"model\":");
    llm_write_string(out, &ev->model, ev->linesep);
    llm_out_lit(out, ",\"created\":");

    if (ev->created >= 0) {
        llm_write_int(out, ev->created);

    } else {
        llm_out_lit(out, "null");
    }

    llm_out_lit(out, "}}\n\n");
}


static void
llm_typed_token(llm_encoder_t *e, llm_typed_stream_t *s,
    const llm_event_t *ev)
{
    if (ev->choice != 0 || ev->text.n == 0 || e->rc != LLM_OK) {
        return;
    }

    llm_out_lit(e->out, "data: {\"type\":\"token\",\"data\":{\"token\":\"");
    llm_write_inside(e->out, &ev->text, ev->linesep);
    llm_out_lit(e->out, "\"}}\n\n");

    if (s->omitted) {
        return;
    }

    llm_typed_gather(e, s, &s->text, &ev->text, ev->linesep);

    if (e->rc == LLM_TOO_BIG) {
        e->rc = LLM_OK;
        s->total -= s->text.n;
        s->omitted = 1;
        llm_block_free(&s->text, &e->alloc);
    }
}


static void
llm_typed_encode(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    llm_typed_stream_t  *s;

    s = state;

    switch (ev->type) {

    case LLM_EV_START:
        llm_typed_metadata(e->out, ev);
        break;

    case LLM_EV_TEXT: case LLM_EV_REFUSAL:
        llm_typed_token(e, s, ev);
        break;

    case LLM_EV_USAGE:
        llm_typed_count(s, ev->usage);
        break;

    case LLM_EV_FINISH:
        llm_typed_finish(e, s, ev);
        break;

    case LLM_EV_ERROR:
        llm_out_lit(e->out, "data: ");
        llm_typed_error_body(e->out, ev->error);
        llm_out_lit(e->out, "\n\n");
        break;

    case LLM_EV_END:
        llm_out_lit(e->out, "data: ");
        llm_typed_write_done(e->out, s);
        llm_out_lit(e->out, "}}\n\n");
        break;

    default:
        break;
    }
}


static void
llm_typed_write_answer(llm_encoder_t *e, const llm_answer_t *a)
{
    llm_slice_t          finish, id, model;
    const llm_choice_t  *c;

    c = llm_answer_choice(a, 0);
    finish = c != NULL && c->finished ? llm_choice_finish(c)
                                      : llm_slice_null;
    id = llm_gathered(&a->id);
    model = llm_gathered(&a->model);

    llm_out_lit(e->out, "{\"type\":\"done\",\"data\":{\"full_text\":\"");
    llm_answer_write_said(e->out, a);
    llm_out_lit(e->out, "\"");
    llm_typed_write_rest(e->out, &finish, a->has_usage ? &a->usage : NULL);
    llm_out_lit(e->out, ",\"id\":");
    llm_typed_write_word(e->out, &id);
    llm_out_lit(e->out, ",\"model\":");
    llm_typed_write_word(e->out, &model);
    llm_out_lit(e->out, "}}");
}


static void
llm_typed_drop(llm_encoder_t *e, void *state)
{
    llm_typed_stream_t  *s;

    s = state;

    llm_block_free(&s->text, &e->alloc);
    llm_block_free(&s->finish, &e->alloc);
}


const llm_dialect_t  llm_dialect_typed = {
    .name = llm_str("typed"),
    .framing = LLM_FRAMING_SSE,
    .failure = 1,
    .stream_type = llm_str("text/event-stream; charset=utf-8"),
    .answer_type = llm_str("application/json"),
    .stream_default = 1,

    .stream_size = sizeof(llm_typed_stream_t),
    .encode = llm_typed_encode,
    .stream_drop = llm_typed_drop,

    .write_answer = llm_typed_write_answer,
    .error_body = llm_typed_error_body
};
