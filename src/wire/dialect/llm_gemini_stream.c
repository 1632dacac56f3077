/*
 * Gemini: events to chunks.  Parts go out as they come.  Calls have no
 * fragments, so they are held until they are whole, at the latest until their
 * choice has finished; finish reasons, sources and usage belong to the last
 * chunk and are held until the END.  It must never close the array of a
 * stream before the END or an error.
 */

#include "llm_gemini.h"


/* bytes of a chunk's tail beside its id and model */
#define LLM_GEMINI_TAIL  96


static llm_rc_t
llm_gemini_tail_full(llm_out_t *out)
{
    (void) out;

    return LLM_TOO_BIG;
}


/* ev: the START event, or any other when there was none. */
static void
llm_gemini_begin(llm_encoder_t *e, llm_gemini_stream_t *s,
    const llm_event_t *ev)
{
    size_t       n;
    llm_out_t    out;
    llm_slice_t  id, model;

    llm_answer_init(&s->a);

    id = llm_slice_null;
    model = llm_slice_null;

    if (ev->type == LLM_EV_START) {
        id = llm_slice_first(&ev->id, LLM_GEMINI_LABEL);
        model = llm_slice_first(&ev->model, LLM_GEMINI_LABEL);
    }

    n = LLM_GEMINI_TAIL + 6 * (id.n + model.n);

    e->rc = llm_block_reserve(&s->tail, &e->alloc, n);
    if (e->rc != LLM_OK) {
        return;
    }

    out.pos = s->tail.p;
    out.end = s->tail.p + n;
    out.more = llm_gemini_tail_full;
    out.ctx = NULL;
    out.failed = 0;

    llm_gemini_write_label(&out, &model, &id, e->unique, ev->linesep);
    llm_out_lit(&out, "}");

    s->tail.n = (size_t) (out.pos - s->tail.p);
}


static void
llm_gemini_chunk(llm_encoder_t *e)
{
    llm_frame_open(e, LLM_FRAMING_SSE, NULL);
    llm_out_lit(e->out, "{\"candidates\":[{\"content\":{\"parts\":[");
}


static void
llm_gemini_chunk_end(llm_encoder_t *e, const llm_gemini_stream_t *s)
{
    llm_out_lit(e->out, "}],");
    llm_out(e->out, s->tail.p, s->tail.n);
    llm_frame_close(e, LLM_FRAMING_SSE);
}


static void
llm_gemini_content_end(llm_encoder_t *e, unsigned choice)
{
    llm_out_lit(e->out, "],\"role\":\"model\"},\"index\":");
    llm_write_int(e->out, choice);
}


static void
llm_gemini_encode_text(llm_encoder_t *e, const llm_gemini_stream_t *s,
    const llm_event_t *ev)
{
    if (ev->text.n == 0 && ev->signature.n == 0) {
        return;
    }

    llm_gemini_chunk(e);
    llm_gemini_write_text(e->out, &ev->text, &ev->signature,
                          ev->type == LLM_EV_REASONING, ev->linesep);
    llm_gemini_content_end(e, ev->choice);
    llm_gemini_chunk_end(e, s);
}


static void
llm_gemini_encode_meta(llm_encoder_t *e, const llm_gemini_stream_t *s,
    const llm_event_t *ev)
{
    if (!llm_gemini_is_part(&ev->name)) {
        return;
    }

    llm_gemini_chunk(e);
    llm_gemini_write_meta(e->out, ev);
    llm_gemini_content_end(e, ev->choice);
    llm_gemini_chunk_end(e, s);
}


static void
llm_gemini_encode_logprobs(llm_encoder_t *e, const llm_gemini_stream_t *s,
    const llm_event_t *ev)
{
    llm_slice_t  items;

    if (ev->raw.n <= 2) {
        return;
    }

    items.p = ev->raw.p + 1;
    items.n = ev->raw.n - 2;
    items.escaped = 0;

    llm_gemini_chunk(e);
    llm_gemini_write_text(e->out, NULL, NULL, 0, 0);
    llm_gemini_content_end(e, ev->choice);
    llm_gemini_write_logprobs(e->out, &items, ev->linesep);
    llm_gemini_chunk_end(e, s);
}


/* A call that was written is nothing any more. */
static void
llm_gemini_forget(llm_encoder_t *e, llm_gemini_stream_t *s, llm_item_t *item)
{
    s->a.total -= item->text.n + item->id.n + item->name.n
                  + item->signature.n;

    llm_block_free(&item->text, &e->alloc);
    llm_block_free(&item->id, &e->alloc);
    llm_block_free(&item->name, &e->alloc);
    llm_block_free(&item->signature, &e->alloc);

    item->type = LLM_EV_PING;
}


/* Writes a call as a chunk of its own.  0: it is no JSON. */
static int
llm_gemini_call(llm_encoder_t *e, llm_gemini_stream_t *s,
    const llm_choice_t *c, llm_item_t *item)
{
    int          ok;
    llm_block_t  args;

    ok = llm_read_arguments(e, &item->text, &args);

    if (ok) {
        llm_gemini_chunk(e);
        llm_gemini_write_call(e->out, item, &args);
        llm_gemini_content_end(e, c->index);
        llm_gemini_chunk_end(e, s);
        llm_gemini_forget(e, s, item);
    }

    llm_block_free(&args, &e->alloc);

    return ok;
}


/*
 * The choice has finished, or the stream has: writes the calls that are held.
 * One that is no JSON is left out; if nothing explains why, it was
 * malformed.
 */
static void
llm_gemini_calls(llm_encoder_t *e, llm_gemini_stream_t *s, llm_choice_t *c)
{
    size_t       i;
    llm_item_t  *item;
    llm_slice_t  word;

    for (i = 0; i < llm_choice_nitems(c) && e->rc == LLM_OK; i++) {
        item = &llm_choice_items(c)[i];

        if (item->type != LLM_EV_TOOL_CALL
            || llm_gemini_call(e, s, c, item) || e->rc != LLM_OK)
        {
            continue;
        }

        llm_gemini_forget(e, s, item);

        if (c->finish != LLM_FINISH_LENGTH) {
            word = llm_slice("MALFORMED_FUNCTION_CALL");

            c->finished = 1;
            c->finish = LLM_FINISH_ERROR;
            c->word.n = 0;
            e->rc = llm_gather(e, &c->word, &s->a.total, &word, 0);
        }
    }
}


static llm_choice_t *
llm_gemini_find(llm_gemini_stream_t *s, unsigned index)
{
    size_t  i;

    for (i = 0; i < llm_answer_nchoices(&s->a); i++) {
        if (llm_answer_choices(&s->a)[i].index == index) {
            return &llm_answer_choices(&s->a)[i];
        }
    }

    return NULL;
}


/* A call that came whole need not be held, if no other is. */
static void
llm_gemini_encode_call(llm_encoder_t *e, llm_gemini_stream_t *s,
    const llm_event_t *ev)
{
    size_t         i, held;
    llm_item_t    *item;
    llm_choice_t  *c;

    llm_answer_event(e, &s->a, ev);

    if (e->rc != LLM_OK || !ev->whole) {
        return;
    }

    c = llm_gemini_find(s, ev->choice);
    item = NULL;
    held = 0;

    for (i = 0; c != NULL && i < llm_choice_nitems(c); i++) {
        if (llm_choice_items(c)[i].type == LLM_EV_TOOL_CALL) {
            item = &llm_choice_items(c)[i];
            held++;
        }
    }

    if (held == 1) {
        (void) llm_gemini_call(e, s, c, item);
    }
}


/* The upstream's end is the end of what had no reason for it: here nothing
 * else says that it was one. */
static void
llm_gemini_finish(llm_encoder_t *e, llm_gemini_stream_t *s)
{
    size_t        i;
    llm_event_t   ev;

    memset(&ev, 0, sizeof(llm_event_t));
    ev.type = LLM_EV_FINISH;
    ev.finish = LLM_FINISH_STOP;

    if (llm_answer_nchoices(&s->a) == 0) {
        llm_answer_event(e, &s->a, &ev);
    }

    for (i = 0; i < llm_answer_nchoices(&s->a) && e->rc == LLM_OK; i++) {
        if (!llm_answer_choices(&s->a)[i].finished) {
            ev.choice = llm_answer_choices(&s->a)[i].index;
            llm_answer_event(e, &s->a, &ev);
        }
    }
}


static void
llm_gemini_end(llm_encoder_t *e, llm_gemini_stream_t *s)
{
    size_t  i;

    llm_gemini_finish(e, s);

    for (i = 0; i < llm_answer_nchoices(&s->a); i++) {
        llm_gemini_calls(e, s, &llm_answer_choices(&s->a)[i]);
    }

    if (e->rc != LLM_OK) {
        return;
    }

    llm_frame_open(e, LLM_FRAMING_SSE, NULL);

    for (i = 0; i < llm_answer_nchoices(&s->a); i++) {
        llm_write_opening(e->out, (unsigned) i, "{\"candidates\":[");
        llm_out_lit(e->out, "{\"content\":{\"parts\":[");
        llm_gemini_write_text(e->out, NULL, NULL, 0, 0);
        llm_out_lit(e->out, "],\"role\":\"model\"}");
        llm_gemini_write_end(e->out, &llm_answer_choices(&s->a)[i]);
    }

    llm_out_lit(e->out, "],");

    if (s->a.has_usage) {
        llm_gemini_write_usage(e->out, &s->a.usage);
    }

    llm_out(e->out, s->tail.p, s->tail.n);
    llm_frame_close(e, LLM_FRAMING_SSE);
    llm_frame_end(e);
}


static void
llm_gemini_encode_choice(llm_encoder_t *e, llm_gemini_stream_t *s,
    const llm_event_t *ev)
{
    llm_choice_t  *c;

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
        llm_gemini_encode_text(e, s, ev);
        break;

    case LLM_EV_TOOL_CALL:
        llm_gemini_encode_call(e, s, ev);
        break;

    case LLM_EV_LOGPROBS:
        llm_gemini_encode_logprobs(e, s, ev);
        break;

    case LLM_EV_META:
        llm_gemini_encode_meta(e, s, ev);
        break;

    case LLM_EV_FINISH:
        llm_answer_event(e, &s->a, ev);
        c = llm_gemini_find(s, ev->choice);

        if (c != NULL && e->rc == LLM_OK) {
            llm_gemini_calls(e, s, c);
        }

        break;

    case LLM_EV_CITATION: case LLM_EV_USAGE:
        llm_answer_event(e, &s->a, ev);
        break;

    default:
        break;
    }
}


void
llm_gemini_encode(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    llm_gemini_stream_t  *s;

    s = state;

    if (ev->type == LLM_EV_ERROR) {
        llm_frame_open(e, LLM_FRAMING_SSE, NULL);
        llm_gemini_error_body(e->out, ev->error);
        llm_frame_close(e, LLM_FRAMING_SSE);
        llm_frame_end(e);
        return;
    }

    if (ev->type == LLM_EV_PING || e->rc != LLM_OK) {
        return;
    }

    if (s->tail.n == 0) {
        llm_gemini_begin(e, s, ev);

        if (e->rc != LLM_OK) {
            return;
        }
    }

    if (ev->type == LLM_EV_END) {
        llm_gemini_end(e, s);

    } else {
        llm_gemini_encode_choice(e, s, ev);
    }
}


void
llm_gemini_stream_drop(llm_encoder_t *e, void *state)
{
    llm_gemini_stream_t  *s;

    s = state;

    llm_answer_free(e, &s->a);
    llm_block_free(&s->tail, &e->alloc);
}
