/*
 * Ollama, both paths: events to lines, and one answer.
 *
 * A line an event, each with model and time in front.  Tool calls have no
 * fragments: what comes in pieces is gathered until its choice ends.  The
 * reason and the counts are held until END, so that "done" is never said for
 * a stream that was cut.  Of durations nothing is known: they are 0, which
 * to Ollama's own client is the same as absent.  Choice 0 only.
 */

#include "llm_ollama.h"


/* characters of the model's name that are repeated in each line */
#define LLM_OLLAMA_LABEL   256

/* bytes of a time */
#define LLM_OLLAMA_TIME    48


static void
llm_ollama_append(llm_encoder_t *e, llm_block_t *b, const char *s)
{
    if (e->rc == LLM_OK) {
        e->rc = llm_block_append(b, &e->alloc, s, strlen(s));
    }
}


/* ev: the START event, or any other when there was none. */
static void
llm_ollama_begin(llm_encoder_t *e, llm_ollama_stream_t *s,
    const llm_event_t *ev, unsigned generate)
{
    llm_u8       time[LLM_OLLAMA_TIME];
    llm_out_t    out;
    llm_slice_t  model;

    llm_answer_init(&s->kept);

    memset(&out, 0, sizeof(llm_out_t));
    out.pos = time;
    out.end = time + sizeof(time) - 1;
    llm_write_time(&out, e->now);
    *out.pos = '\0';

    llm_ollama_append(e, &s->head, "{\"model\":\"");

    if (e->rc == LLM_OK && ev->type == LLM_EV_START) {
        model = llm_slice_first(&ev->model, LLM_OLLAMA_LABEL);
        e->rc = llm_gather(e, &s->head, &s->kept.total, &model, ev->linesep);
    }

    llm_ollama_append(e, &s->head, "\",\"created_at\":\"");
    llm_ollama_append(e, &s->head, (const char *) time);
    llm_ollama_append(e, &s->head, generate ? "\",\"response\":\""
                      : "\",\"message\":{\"role\":\"assistant\","
                        "\"content\":\"");
}


/* Closes the string that stands open, and the message. */
static inline void
llm_ollama_shut(llm_out_t *out, unsigned generate)
{
    if (generate) {
        llm_out_lit(out, "\"");

    } else {
        llm_out_lit(out, "\"}");
    }
}


/* The end of a line that is not the last. */
static inline void
llm_ollama_next(llm_out_t *out)
{
    llm_out_lit(out, ",\"done\":false}\n");
}


/* {"id":…,"function":{…}}; id and name are null when they were not said.  A
 * slice that is empty counts as such. */
static void
llm_ollama_write_call(llm_out_t *out, unsigned index, const llm_slice_t *id,
    const llm_slice_t *name, const llm_block_t *object, unsigned linesep)
{
    llm_slice_t  raw;

    llm_out_lit(out, "{");

    if (id->n != 0) {
        llm_out_lit(out, "\"id\":");
        llm_write_string(out, id, linesep);
        llm_out_lit(out, ",");
    }

    llm_out_lit(out, "\"function\":{\"index\":");
    llm_write_int(out, index);
    llm_out_lit(out, ",\"name\":\"");
    llm_write_inside(out, name, linesep);
    llm_out_lit(out, "\",\"arguments\":");

    raw = llm_gathered(object);
    llm_write_json(out, &raw, 1);

    llm_out_lit(out, "}}");
}


/* A line with one call. */
static void
llm_ollama_call(llm_encoder_t *e, const llm_ollama_stream_t *s,
    unsigned index, const llm_slice_t *id, const llm_slice_t *name,
    const llm_block_t *object, unsigned linesep)
{
    llm_out(e->out, s->head.p, s->head.n);
    llm_out_lit(e->out, "\",\"tool_calls\":[");
    llm_ollama_write_call(e->out, index, id, name, object, linesep);
    llm_out_lit(e->out, "]}");
    llm_ollama_next(e->out);
}


/* A call that came whole goes out at once, unless it is no object: then it
 * depends on the finish reason what that means. */
static void
llm_ollama_whole(llm_encoder_t *e, llm_ollama_stream_t *s,
    const llm_event_t *ev)
{
    int          object;
    size_t       total;
    llm_block_t  text;

    total = s->kept.total;
    s->call.n = 0;

    e->rc = llm_gather(e, &s->call, &total, &ev->text, ev->linesep);
    if (e->rc != LLM_OK) {
        return;
    }

    object = llm_read_arguments(e, &s->call, &text);

    if (object) {
        llm_ollama_call(e, s, ev->tool_index, &ev->id, &ev->name, &text,
                        ev->linesep);
    }

    llm_block_free(&text, &e->alloc);

    if (!object) {
        llm_answer_event(e, &s->kept, ev);
    }
}


/* Whether calls are held: none may go before them, and what came of this one
 * may be among them. */
static int
llm_ollama_held(const llm_ollama_stream_t *s)
{
    const llm_choice_t  *c;

    c = llm_answer_choice(&s->kept, 0);

    return c != NULL && s->calls < llm_choice_nitems(c);
}


/* Whether the call can be said, with its object in *text, which the caller
 * frees.  One that the limit cut is left out, any other is an error. */
static int
llm_ollama_object(llm_encoder_t *e, const llm_choice_t *c,
    const llm_item_t *item, llm_block_t *text)
{
    if (llm_read_arguments(e, &item->text, text)) {
        return 1;
    }

    if (e->rc == LLM_OK && c->finish != LLM_FINISH_LENGTH) {
        e->rc = LLM_INVALID;
    }

    return 0;
}


/* The calls that were gathered and not yet said. */
static void
llm_ollama_calls(llm_encoder_t *e, llm_ollama_stream_t *s)
{
    llm_item_t          *item;
    llm_block_t          text;
    llm_slice_t          id, name;
    const llm_choice_t  *c;

    c = llm_answer_choice(&s->kept, 0);

    while (c != NULL && s->calls < llm_choice_nitems(c) && e->rc == LLM_OK) {
        item = &llm_choice_items(c)[s->calls++];

        if (llm_ollama_object(e, c, item, &text)) {
            id = llm_gathered(&item->id);
            name = llm_gathered(&item->name);

            llm_ollama_call(e, s, item->tool_index, &id, &name, &text, 0);
        }

        llm_block_free(&text, &e->alloc);
    }
}


/* Writes what a last line says beside its text.  c: NULL when the choice was
 * never heard of. */
static void
llm_ollama_write_done(llm_out_t *out, const llm_choice_t *c,
    const llm_slice_t *idle, const llm_usage_t *u)
{
    llm_slice_t  word;

    llm_out_lit(out, ",\"done\":true");

    if (c != NULL && c->finished) {
        word = c->finish == LLM_FINISH_TOOL_CALLS ? llm_slice("stop")
                                                  : llm_choice_finish(c);

        if (c->finish == LLM_FINISH_STOP && idle->p != NULL) {
            word = *idle;
        }

        llm_out_lit(out, ",\"done_reason\":");
        llm_write_string(out, &word, 0);
    }

    llm_out_lit(out, ",\"total_duration\":0,\"load_duration\":0");

    if (u->input >= 0) {
        llm_out_lit(out, ",\"prompt_eval_count\":");
        llm_write_int(out, u->input);
    }

    if (u->cached >= 0) {
        llm_out_lit(out, ",\"prompt_eval_cached_count\":");
        llm_write_int(out, u->cached);
    }

    llm_out_lit(out, ",\"prompt_eval_duration\":0");

    if (u->output >= 0) {
        llm_out_lit(out, ",\"eval_count\":");
        llm_write_int(out, u->output);
    }

    llm_out_lit(out, ",\"eval_duration\":0}");
}


/* An event of choice 0, as one line; an END as the last. */
static void
llm_ollama_write_line(llm_encoder_t *e, llm_ollama_stream_t *s,
    const llm_event_t *ev, unsigned generate)
{
    llm_out_t  *out;

    out = e->out;
    llm_out(out, s->head.p, s->head.n);

    switch (ev->type) {

    case LLM_EV_REASONING:
        llm_out_lit(out, "\",\"thinking\":\"");
        llm_write_inside(out, &ev->text, ev->linesep);
        llm_ollama_shut(out, generate);
        llm_ollama_next(out);
        break;

    case LLM_EV_LOGPROBS:
        llm_ollama_shut(out, generate);
        llm_out_lit(out, ",\"logprobs\":");
        llm_write_json(out, &ev->raw, ev->linesep);
        llm_ollama_next(out);
        break;

    case LLM_EV_END:
        llm_ollama_shut(out, generate);
        llm_ollama_write_done(out, llm_answer_choice(&s->kept, 0), &s->idle,
                              &s->kept.usage);
        llm_out_lit(out, "\n");
        break;

    default:    /* LLM_EV_TEXT, LLM_EV_REFUSAL */
        llm_write_inside(out, &ev->text, ev->linesep);
        llm_ollama_shut(out, generate);
        llm_ollama_next(out);
        break;
    }
}


static void
llm_ollama_finish(llm_encoder_t *e, llm_ollama_stream_t *s,
    const llm_event_t *ev)
{
    llm_answer_event(e, &s->kept, ev);

    s->idle = llm_json_is(&ev->text, "load") ? llm_slice("load")
              : llm_json_is(&ev->text, "unload") ? llm_slice("unload")
              : llm_slice_null;

    llm_ollama_calls(e, s);
}


static void
llm_ollama_event(llm_encoder_t *e, llm_ollama_stream_t *s,
    const llm_event_t *ev, unsigned generate)
{
    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
        if (ev->text.n != 0) {
            llm_ollama_write_line(e, s, ev, generate);
        }

        break;

    case LLM_EV_LOGPROBS:
        if (ev->raw.n > 2) {
            llm_ollama_write_line(e, s, ev, generate);
        }

        break;

    case LLM_EV_TOOL_CALL:
        if (generate) {
            break;
        }

        if (ev->whole && !llm_ollama_held(s)) {
            llm_ollama_whole(e, s, ev);

        } else {
            llm_answer_event(e, &s->kept, ev);
        }

        break;

    case LLM_EV_USAGE:
        llm_answer_event(e, &s->kept, ev);
        break;

    case LLM_EV_FINISH:
        llm_ollama_finish(e, s, ev);
        break;

    case LLM_EV_END:
        llm_ollama_calls(e, s);

        if (e->rc == LLM_OK) {
            llm_ollama_write_line(e, s, ev, generate);
        }

        break;

    default:
        break;
    }
}


static inline void
llm_ollama_encode_as(llm_encoder_t *e, void *state, const llm_event_t *ev,
    unsigned generate)
{
    llm_ollama_stream_t  *s;

    s = state;

    if (ev->type == LLM_EV_ERROR) {
        llm_ollama_error_body(e->out, ev->error);
        llm_out_lit(e->out, "\n");
        return;
    }

    if (ev->choice != 0 || e->rc != LLM_OK) {
        return;
    }

    if (s->head.n == 0) {
        llm_ollama_begin(e, s, ev, generate);
    }

    if (e->rc == LLM_OK) {
        llm_ollama_event(e, s, ev, generate);
    }
}


void
llm_ollama_encode(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    llm_ollama_encode_as(e, state, ev, 0);
}


void
llm_generate_encode(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    llm_ollama_encode_as(e, state, ev, 1);
}


void
llm_ollama_stream_drop(llm_encoder_t *e, void *state)
{
    llm_ollama_stream_t  *s;

    s = state;

    llm_answer_free(e, &s->kept);
    llm_block_free(&s->call, &e->alloc);
    llm_block_free(&s->head, &e->alloc);
}


/* Sets e->rc when a call cannot be said: before anything is written. */
static void
llm_ollama_check_calls(llm_encoder_t *e, const llm_choice_t *c)
{
    size_t        i;
    llm_item_t   *item;
    llm_block_t   text;

    for (i = 0; i < llm_choice_nitems(c) && e->rc == LLM_OK; i++) {
        item = &llm_choice_items(c)[i];

        if (item->type == LLM_EV_TOOL_CALL) {
            (void) llm_ollama_object(e, c, item, &text);
            llm_block_free(&text, &e->alloc);
        }
    }
}


static void
llm_ollama_answer_calls(llm_encoder_t *e, const llm_choice_t *c)
{
    size_t        i;
    unsigned      n;
    llm_item_t   *item;
    llm_block_t   text;
    llm_slice_t   id, name;

    n = 0;

    for (i = 0; i < llm_choice_nitems(c) && e->rc == LLM_OK; i++) {
        item = &llm_choice_items(c)[i];

        if (item->type != LLM_EV_TOOL_CALL) {
            continue;
        }

        if (llm_ollama_object(e, c, item, &text)) {
            id = llm_gathered(&item->id);
            name = llm_gathered(&item->name);

            llm_write_opening(e->out, n++, ",\"tool_calls\":[");
            llm_ollama_write_call(e->out, item->tool_index, &id, &name,
                                  &text, 0);
        }

        llm_block_free(&text, &e->alloc);
    }

    if (n != 0) {
        llm_out_lit(e->out, "]");
    }
}


static void
llm_ollama_answer(llm_encoder_t *e, const llm_answer_t *a, unsigned generate)
{
    llm_out_t           *out;
    llm_slice_t          idle;
    const llm_choice_t  *c;

    out = e->out;
    c = llm_answer_choice(a, 0);
    idle = llm_slice_null;

    if (c != NULL && !generate) {
        llm_ollama_check_calls(e, c);

        if (e->rc != LLM_OK) {
            return;
        }
    }

    llm_out_lit(out, "{\"model\":");
    llm_write_block(out, &a->model);
    llm_out_lit(out, ",\"created_at\":\"");
    llm_write_time(out, a->created >= 0 ? a->created : e->now);

    if (generate) {
        llm_out_lit(out, "\",\"response\":\"");

    } else {
        llm_out_lit(out, "\",\"message\":{\"role\":\"assistant\","
                         "\"content\":\"");
    }

    llm_answer_write_said(out, a);

    if (c != NULL && llm_choice_length(c, LLM_EV_REASONING) != 0) {
        llm_out_lit(out, "\",\"thinking\":\"");
        llm_choice_write(out, c, LLM_EV_REASONING);
    }

    llm_out_lit(out, "\"");

    if (!generate) {
        if (c != NULL) {
            llm_ollama_answer_calls(e, c);
        }

        llm_out_lit(out, "}");
    }

    if (c != NULL && (c->logprobs.n != 0 || c->refused.n != 0)) {
        llm_out_lit(out, ",\"logprobs\":[");
        llm_write_gathered(out, &c->logprobs);

        if (c->logprobs.n != 0 && c->refused.n != 0) {
            llm_out_lit(out, ",");
        }

        llm_write_gathered(out, &c->refused);
        llm_out_lit(out, "]");
    }

    llm_ollama_write_done(out, c, &idle, &a->usage);
}


void
llm_ollama_write_answer(llm_encoder_t *e, const llm_answer_t *a)
{
    llm_ollama_answer(e, a, 0);
}


void
llm_generate_write_answer(llm_encoder_t *e, const llm_answer_t *a)
{
    llm_ollama_answer(e, a, 1);
}


/* {"error":"…"}: the most telling word that there is. */
void
llm_ollama_error_body(llm_out_t *out, const llm_error_t *err)
{
    llm_slice_t  word;

    word = err->message.n != 0 ? err->message
           : err->type.n != 0 ? err->type
           : err->code.n != 0 ? err->code : llm_slice("error");

    llm_out_lit(out, "{\"error\":");
    llm_write_string(out, &word, 1);
    llm_out_lit(out, "}");
}
