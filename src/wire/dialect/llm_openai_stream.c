/*
 * OpenAI chat completions: events to chunks.  It owns the part that all
 * chunks of a stream begin with; it must never write a terminator but for
 * an END.
 */

#include "llm_openai.h"


/* bytes of the first part of a chunk beside the id and the model */
#define LLM_OPENAI_HEAD  160


static llm_rc_t
llm_openai_head_full(llm_out_t *out)
{
    (void) out;

    return LLM_TOO_BIG;
}


/* Writes what all chunks of the stream begin with. */
static void
llm_openai_write_head(llm_out_t *out, const llm_slice_t *id,
    const llm_slice_t *model, const llm_encoder_t *e, const llm_event_t *ev,
    const char *prefix, const char *object)
{
    llm_out_lit(out, "data: {\"id\":\"");

    if (id->n != 0) {
        llm_write_inside(out, id, ev->linesep);

    } else {
        llm_write_id(out, prefix, model, e->unique, 0);
    }

    llm_out_lit(out, "\",\"object\":\"");
    llm_out(out, object, strlen(object));
    llm_out_lit(out, "\",\"created\":");
    llm_write_int(out, ev->created >= 0 ? ev->created : e->now);
    llm_out_lit(out, ",\"model\":\"");
    llm_write_inside(out, model, ev->linesep);
    llm_out_lit(out, "\",\"choices\":[");
}


static void
llm_openai_chunk(llm_encoder_t *e, llm_openai_stream_t *s, unsigned choice)
{
    llm_out(e->out, s->head.p, s->head.n);
    llm_out_lit(e->out, "{\"index\":");
    llm_write_int(e->out, choice);
    llm_out_lit(e->out, ",\"delta\":{");
}


void
llm_openai_chunk_end(llm_encoder_t *e)
{
    if (e->usage) {
        llm_out_lit(e->out, "],\"usage\":null}\n\n");
        return;
    }

    llm_out_lit(e->out, "]}\n\n");
}


static void
llm_openai_chunk_open(llm_encoder_t *e)
{
    llm_out_lit(e->out, "},\"logprobs\":null,\"finish_reason\":null}");
    llm_openai_chunk_end(e);
}


/* The first chunk of each choice says its role. */
static void
llm_openai_role(llm_encoder_t *e, llm_openai_stream_t *s, unsigned choice)
{
    uint32_t   bit;
    uint32_t  *word;

    if (choice >= LLM_OPENAI_TABLE) {
        return;
    }

    word = &s->roles[choice / 32];
    bit = (uint32_t) 1 << (choice % 32);

    if (*word & bit) {
        return;
    }

    *word |= bit;

    llm_openai_chunk(e, s, choice);
    llm_out_lit(e->out, "\"role\":\"assistant\",\"content\":\"\"");
    llm_openai_chunk_open(e);
}


void
llm_openai_begin(llm_encoder_t *e, llm_openai_stream_t *s,
    const llm_event_t *ev, const char *prefix, const char *object)
{
    size_t       n;
    llm_out_t    out;
    llm_slice_t  id, model;

    id = llm_slice_null;
    model = llm_slice_null;

    if (ev->type == LLM_EV_START) {
        id = llm_slice_first(&ev->id, LLM_OPENAI_LABEL);
        model = llm_slice_first(&ev->model, LLM_OPENAI_LABEL);
    }

    n = LLM_OPENAI_HEAD + 6 * (id.n + model.n);

    e->rc = llm_block_reserve(&s->head, &e->alloc, n);
    if (e->rc != LLM_OK) {
        return;
    }

    out.pos = s->head.p;
    out.end = s->head.p + n;
    out.more = llm_openai_head_full;
    out.ctx = NULL;
    out.failed = 0;

    llm_openai_write_head(&out, &id, &model, e, ev, prefix, object);

    s->head.n = (size_t) (out.pos - s->head.p);
}


static void
llm_openai_write_call(llm_out_t *out, const llm_event_t *ev)
{
    llm_out_lit(out, "\"tool_calls\":[{\"index\":");
    llm_write_int(out, ev->tool_index);

    if (ev->id.p != NULL) {
        llm_out_lit(out, ",\"id\":");
        llm_write_string(out, &ev->id, ev->linesep);
    }

    if (ev->id.p != NULL || ev->name.p != NULL) {
        llm_out_lit(out, ",\"type\":\"function\"");
    }

    llm_out_lit(out, ",\"function\":{");

    if (ev->name.p != NULL) {
        llm_out_lit(out, "\"name\":");
        llm_write_string(out, &ev->name, ev->linesep);
        llm_out_lit(out, ",");
    }

    llm_out_lit(out, "\"arguments\":\"");
    llm_write_inside(out, &ev->text, ev->linesep);
    llm_out_lit(out, "\"}");

    if (ev->signature.n != 0) {
        llm_out_lit(out, LLM_OPENAI_SIGNATURE);
        llm_write_string(out, &ev->signature, ev->linesep);
        llm_out_lit(out, "}}");
    }

    llm_out_lit(out, "}]");
}


/* NULL: no memory, which ends the stream. */
static llm_openai_elements_t *
llm_openai_elements(llm_encoder_t *e, llm_openai_stream_t *s)
{
    if (s->elements == NULL) {
        s->elements = e->alloc.resize(e->alloc.ctx, NULL, 0,
                                      sizeof(llm_openai_elements_t));
        if (s->elements == NULL) {
            e->rc = LLM_NOMEM;
            return NULL;
        }

        memset(s->elements, 0, sizeof(llm_openai_elements_t));
    }

    return s->elements;
}


/*
 * Begins an object in a list of a delta.  Libraries that put deltas together
 * join the objects of lists by their index, and fail where there is none.
 */
static void
llm_openai_element(llm_out_t *out, unsigned choice, uint16_t *counts)
{
    llm_out_lit(out, "[{\"index\":");
    llm_write_int(out, counts && choice < LLM_OPENAI_TABLE
                       ? counts[choice]++ : 0);
    llm_out_lit(out, ",");
}


/* Reasoning; what must come back as it is (signed, or withheld) in the form
 * of OpenRouter. */
static void
llm_openai_write_reasoning(llm_encoder_t *e, llm_openai_stream_t *s,
    const llm_event_t *ev)
{
    llm_out_t              *out;
    llm_openai_elements_t  *el;

    out = e->out;

    if (ev->text.n != 0) {
        llm_out_lit(out, "\"reasoning_content\":");
        llm_write_string(out, &ev->text, ev->linesep);
    }

    if (ev->signature.n == 0 && ev->raw.n == 0) {
        return;
    }

    if (ev->text.n != 0) {
        llm_out_lit(out, ",");
    }

    el = llm_openai_elements(e, s);

    llm_out_lit(out, "\"reasoning_details\":");
    llm_openai_element(out, ev->choice, el ? el->details : NULL);

    if (ev->raw.n != 0) {
        llm_out_lit(out, "\"type\":\"reasoning.encrypted\",\"data\":");
        llm_write_string(out, &ev->raw, ev->linesep);

    } else {
        llm_out_lit(out, "\"type\":\"reasoning.text\",\"signature\":");
        llm_write_string(out, &ev->signature, ev->linesep);
    }

    llm_out_lit(out, "}]");
}


/* An annotation behind its opening brace. */
void
llm_openai_write_annotation(llm_out_t *out, const llm_event_t *ev)
{
    llm_out_lit(out, "\"type\":\"url_citation\",\"url_citation\":{\"url\":\"");
    llm_write_inside(out, &ev->id, ev->linesep);
    llm_out_lit(out, "\",\"title\":\"");
    llm_write_inside(out, &ev->name, ev->linesep);
    llm_out_lit(out, "\",\"start_index\":");
    llm_write_int(out, ev->start >= 0 ? ev->start : 0);
    llm_out_lit(out, ",\"end_index\":");
    llm_write_int(out, ev->end >= 0 ? ev->end : 0);
    llm_out_lit(out, "}}");
}


static void
llm_openai_write_logprobs(llm_out_t *out, const llm_event_t *ev)
{
    if (ev->refused) {
        llm_out_lit(out, "{\"content\":null,\"refusal\":");
        llm_write_json(out, &ev->raw, ev->linesep);
        llm_out_lit(out, "}");
        return;
    }

    llm_out_lit(out, "{\"content\":");
    llm_write_json(out, &ev->raw, ev->linesep);
    llm_out_lit(out, ",\"refusal\":null}");
}


static void
llm_openai_string(llm_encoder_t *e, llm_openai_stream_t *s,
    const llm_event_t *ev, const char *name, size_t n)
{
    llm_openai_chunk(e, s, ev->choice);
    llm_out(e->out, name, n);
    llm_write_string(e->out, &ev->text, ev->linesep);
    llm_openai_chunk_open(e);
}

#define llm_openai_member_string(e, s, ev, lit)                             \
    llm_openai_string(e, s, ev, lit, sizeof(lit) - 1)


/* An event of a choice, as one chunk. */
static void
llm_openai_encode_choice(llm_encoder_t *e, llm_openai_stream_t *s,
    const llm_event_t *ev)
{
    llm_slice_t             word;
    llm_openai_elements_t  *el;

    llm_openai_role(e, s, ev->choice);

    switch (ev->type) {

    case LLM_EV_TEXT:
        llm_openai_member_string(e, s, ev, "\"content\":");
        break;

    case LLM_EV_REASONING:
        llm_openai_chunk(e, s, ev->choice);
        llm_openai_write_reasoning(e, s, ev);
        llm_openai_chunk_open(e);
        break;

    case LLM_EV_REFUSAL:
        llm_openai_member_string(e, s, ev, "\"refusal\":");
        break;

    case LLM_EV_TOOL_CALL:
        llm_openai_chunk(e, s, ev->choice);
        llm_openai_write_call(e->out, ev);
        llm_openai_chunk_open(e);
        break;

    case LLM_EV_LOGPROBS:
        llm_openai_chunk(e, s, ev->choice);
        llm_out_lit(e->out, "},\"logprobs\":");
        llm_openai_write_logprobs(e->out, ev);
        llm_out_lit(e->out, ",\"finish_reason\":null}");
        llm_openai_chunk_end(e);
        break;

    case LLM_EV_CITATION:
        el = llm_openai_elements(e, s);
        llm_openai_chunk(e, s, ev->choice);
        llm_out_lit(e->out, "\"annotations\":");
        llm_openai_element(e->out, ev->choice, el ? el->annotations : NULL);
        llm_openai_write_annotation(e->out, ev);
        llm_out_lit(e->out, "]");
        llm_openai_chunk_open(e);
        break;

    case LLM_EV_FINISH:
        word = llm_finish_word(ev);

        llm_openai_chunk(e, s, ev->choice);
        llm_out_lit(e->out, "},\"logprobs\":null,\"finish_reason\":");
        llm_write_string(e->out, &word, ev->linesep);
        llm_out_lit(e->out, "}");
        llm_openai_chunk_end(e);
        break;

    default:
        break;
    }
}


void
llm_openai_end(llm_encoder_t *e, llm_openai_stream_t *s)
{
    if (e->usage && s->has_usage) {
        llm_out(e->out, s->head.p, s->head.n);
        llm_out_lit(e->out, "],\"usage\":");
        llm_write_usage(e->out, &s->usage, 1);
        llm_out_lit(e->out, "}\n\n");
    }

    llm_out_lit(e->out, "data: [DONE]\n\n");
}


void
llm_openai_add_usage(llm_openai_stream_t *s, const llm_usage_t *said)
{
    if (!s->has_usage) {
        s->has_usage = 1;
        s->usage = llm_usage_none;
    }

    llm_usage_merge(&s->usage, said);
}


void
llm_openai_encode(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    llm_openai_stream_t  *s;

    s = state;

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
        if (ev->text.n == 0 && ev->signature.n == 0 && ev->raw.n == 0) {
            return;
        }

        break;

    case LLM_EV_ERROR:
        llm_out_lit(e->out, "data: ");
        llm_openai_error_body(e->out, ev->error);
        llm_out_lit(e->out, "\n\n");
        return;

    case LLM_EV_END:
        llm_openai_end(e, s);
        return;

    case LLM_EV_PING: case LLM_EV_META:
        return;

    default:
        break;
    }

    if (s->head.n == 0 && e->rc == LLM_OK) {
        llm_openai_begin(e, s, ev, "chatcmpl-", "chat.completion.chunk");

        if (e->rc == LLM_OK) {
            llm_openai_role(e, s, 0);
        }
    }

    if (e->rc != LLM_OK) {
        return;
    }

    if (ev->type == LLM_EV_USAGE) {
        llm_openai_add_usage(s, ev->usage);

    } else {
        llm_openai_encode_choice(e, s, ev);
    }
}


void
llm_openai_stream_drop(llm_encoder_t *e, void *state)
{
    llm_openai_stream_t  *s;

    s = state;

    llm_block_free(&s->head, &e->alloc);

    if (s->elements) {
        (void) e->alloc.resize(e->alloc.ctx, s->elements,
                               sizeof(llm_openai_elements_t), 0);
        s->elements = NULL;
    }
}
