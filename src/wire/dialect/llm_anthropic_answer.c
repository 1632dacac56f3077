/*
 * Anthropic messages: one answer that was gathered, errors, and the objects
 * that an answer and a stream have in common.
 */

#include "llm_anthropic.h"


void
llm_anthropic_write_head(llm_encoder_t *e, const llm_slice_t *id,
    const llm_slice_t *model, unsigned linesep)
{
    llm_out_lit(e->out, "{\"id\":\"");

    if (id->n != 0) {
        llm_write_inside(e->out, id, linesep);

    } else {
        llm_write_id(e->out, "msg_", model, e->unique, 0);
    }

    llm_out_lit(e->out, "\",\"type\":\"message\",\"role\":\"assistant\","
                "\"model\":\"");
    llm_write_inside(e->out, model, linesep);
    llm_out_lit(e->out, "\",\"content\":[");
}


/* What of the input was neither read from nor written to a cache. */
static int64_t
llm_anthropic_uncached(const llm_usage_t *u)
{
    int64_t  n;

    n = u->input;

    if (u->cached > 0) {
        n = u->cached < n ? n - u->cached : 0;
    }

    if (u->cache_write > 0) {
        n = u->cache_write < n ? n - u->cache_write : 0;
    }

    return n > 0 ? n : 0;
}


void
llm_anthropic_write_usage(llm_out_t *out, const llm_usage_t *u,
    unsigned always)
{
    llm_out_lit(out, "{");

    if (always || u->input >= 0) {
        llm_out_lit(out, "\"input_tokens\":");
        llm_write_int(out, llm_anthropic_uncached(u));
        llm_out_lit(out, ",");
    }

    if (u->cache_write >= 0) {
        llm_out_lit(out, "\"cache_creation_input_tokens\":");
        llm_write_int(out, u->cache_write);
        llm_out_lit(out, ",");
    }

    if (u->cached >= 0) {
        llm_out_lit(out, "\"cache_read_input_tokens\":");
        llm_write_int(out, u->cached);
        llm_out_lit(out, ",");
    }

    llm_out_lit(out, "\"output_tokens\":");
    llm_write_int(out, u->output > 0 ? u->output : 0);

    if (u->reasoning >= 0) {
        llm_out_lit(out, ",\"output_tokens_details\":{\"thinking_tokens\":");
        llm_write_int(out, u->reasoning);
        llm_out_lit(out, "}");
    }

    llm_out_lit(out, "}");
}


/* The word for a reason that did not come in this dialect's words. */
static llm_slice_t
llm_anthropic_finish_word(llm_finish_t finish, const llm_block_t *stop,
    unsigned refused, unsigned calls)
{
    switch (finish) {

    case LLM_FINISH_LENGTH:
        return llm_slice("max_tokens");

    case LLM_FINISH_TOOL_CALLS:
        return llm_slice("tool_use");

    case LLM_FINISH_CONTENT_FILTER:
        return llm_slice("refusal");

    default:
        break;
    }

    /* some say "stop" after a call that they were made to do */

    return refused ? llm_slice("refusal")
           : stop->n != 0 ? llm_slice("stop_sequence")
           : calls != 0 ? llm_slice("tool_use") : llm_slice("end_turn");
}


void
llm_anthropic_write_reason(llm_out_t *out, llm_finish_t finish,
    const llm_block_t *word, const llm_block_t *stop, unsigned refused,
    unsigned calls)
{
    llm_slice_t  own, none;

    none = llm_slice_null;
    own = llm_gathered(word);

    /* a word that this dialect has, or that nobody else has */

    if (own.n == 0 || llm_anthropic_reason(&own) != finish) {
        own = llm_anthropic_finish_word(finish, stop, refused, calls);
    }

    llm_out_lit(out, "\"stop_reason\":");
    llm_write_string(out, &own, 0);
    llm_out_lit(out, ",\"stop_sequence\":");

    if (stop->n != 0) {
        own = llm_gathered(stop);
        llm_write_string(out, &own, 0);

    } else {
        llm_write_string(out, &none, 0);
    }
}


/* Whether it is a citation of this dialect: its type is a location. */
static int
llm_anthropic_is_citation(const llm_slice_t *raw)
{
    int              is;
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    static const llm_slice_t  end = llm_str("_location");

    if (raw->n == 0) {
        return 0;
    }

    is = 0;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (type == LLM_JSON_STRING && llm_json_is(&key, "type")) {
            is = v.n > end.n
                 && memcmp(v.p + v.n - end.n, end.p, end.n) == 0;
        }
    }

    return is;
}


void
llm_anthropic_write_citation(llm_out_t *out, const llm_event_t *ev)
{
    llm_slice_t  empty;

    if (llm_anthropic_is_citation(&ev->raw)) {
        llm_write_json(out, &ev->raw, ev->linesep);
        return;
    }

    empty = llm_slice("");

    llm_out_lit(out, "{\"type\":\"web_search_result_location\",\"url\":");
    llm_write_string(out, ev->id.p != NULL ? &ev->id : &empty, ev->linesep);
    llm_out_lit(out, ",\"title\":");
    llm_write_string(out, &ev->name, ev->linesep);
    llm_out_lit(out, ",\"cited_text\":");
    llm_write_string(out, ev->text.p != NULL ? &ev->text : &empty,
                     ev->linesep);
    llm_out_lit(out, ",\"encrypted_index\":\"\"}");
}


void
llm_anthropic_write_call_id(llm_encoder_t *e, const llm_slice_t *id,
    const llm_slice_t *name, unsigned n, unsigned linesep)
{
    llm_out_lit(e->out, "\"");

    if (id->n != 0) {
        llm_write_inside(e->out, id, linesep);

    } else {
        llm_write_id(e->out, "toolu_", name, e->unique, n);
    }

    llm_out_lit(e->out, "\"");
}


static llm_slice_t
llm_anthropic_block_slice(const llm_block_t *b)
{
    return b->n != 0 ? llm_gathered(b) : llm_slice_null;
}


void
llm_anthropic_item_event(llm_event_t *ev, const llm_item_t *item)
{
    memset(ev, 0, sizeof(llm_event_t));

    ev->type = item->type;
    ev->tool_index = item->tool_index;
    ev->text = llm_gathered(&item->text);
    ev->id = llm_anthropic_block_slice(&item->id);
    ev->name = llm_anthropic_block_slice(&item->name);
    ev->signature = llm_anthropic_block_slice(&item->signature);
    ev->raw = llm_anthropic_block_slice(&item->raw);
    ev->created = -1;
    ev->start = item->start;
    ev->end = item->end;
}


int
llm_anthropic_blank(const llm_slice_t *s)
{
    size_t         n;
    llm_u8         ch[6];
    const llm_u8  *p, *end;

    if (s->n == 0) {
        return 1;
    }

    end = s->p + s->n;

    for (p = s->p; p < end; p += n) {

        n = 1;
        ch[0] = *p;

        if (*p == '\\' && s->escaped && end - p > 1) {
            n = p[1] == 'u' && end - p >= 6 ? 6 : 2;
            (void) llm_json_unescape(ch, p, n);
        }

        if (ch[0] != ' ' && ch[0] != '\t' && ch[0] != '\n'
            && ch[0] != '\r')
        {
            return 0;
        }
    }

    return 1;
}


static inline int
llm_anthropic_is_text(const llm_item_t *item)
{
    return item->type == LLM_EV_TEXT || item->type == LLM_EV_REFUSAL
           || item->type == LLM_EV_CITATION;
}


/* One text block of the items [i, end): what is said, and what is cited. */
static void
llm_anthropic_write_text(llm_encoder_t *e, const llm_item_t *item,
    const llm_item_t *end)
{
    unsigned           cited;
    llm_event_t        ev;
    const llm_item_t  *p;

    llm_out_lit(e->out, "{\"type\":\"text\",\"text\":\"");

    for (p = item; p < end; p++) {
        if (p->type != LLM_EV_CITATION) {
            llm_write_gathered(e->out, &p->text);
        }
    }

    llm_out_lit(e->out, "\"");
    cited = 0;

    for (p = item; p < end; p++) {
        if (p->type == LLM_EV_CITATION) {
            llm_anthropic_item_event(&ev, p);
            llm_write_opening(e->out, cited++, ",\"citations\":[");
            llm_anthropic_write_citation(e->out, &ev);
        }
    }

    if (cited) {
        llm_out_lit(e->out, "]");
    }

    llm_out_lit(e->out, "}");
}


static void
llm_anthropic_write_thought(llm_encoder_t *e, const llm_item_t *item)
{
    if (item->text.n != 0 || item->signature.n != 0) {
        llm_out_lit(e->out, "{\"type\":\"thinking\",\"thinking\":");
        llm_write_block(e->out, &item->text);
        llm_out_lit(e->out, ",\"signature\":");
        llm_write_block(e->out, &item->signature);
        llm_out_lit(e->out, "}");

        if (item->raw.n != 0) {
            llm_out_lit(e->out, ",");
        }
    }

    if (item->raw.n != 0) {
        llm_out_lit(e->out, "{\"type\":\"redacted_thinking\",\"data\":");
        llm_write_block(e->out, &item->raw);
        llm_out_lit(e->out, "}");
    }
}


static void
llm_anthropic_write_call(llm_encoder_t *e, const llm_item_t *item,
    unsigned n)
{
    llm_slice_t  id, name;

    id = llm_gathered(&item->id);
    name = llm_gathered(&item->name);

    llm_out_lit(e->out, "{\"type\":\"tool_use\",\"id\":");
    llm_anthropic_write_call_id(e, &id, &name, n, 0);
    llm_out_lit(e->out, ",\"name\":");
    llm_write_block(e->out, &item->name);
    llm_out_lit(e->out, ",\"input\":");

    (void) llm_write_arguments(e, &item->text);
    llm_out_lit(e->out, "}");
}


static int
llm_anthropic_is_object(llm_encoder_t *e, const llm_item_t *item)
{
    int          object;
    llm_block_t  text;

    object = llm_read_arguments(e, &item->text, &text);
    llm_block_free(&text, &e->alloc);

    return object;
}


/* Whether this dialect can say the choice: it has no reason for a failure,
 * and takes arguments only as an object.  A call that the limit cut is left
 * out. */
static int
llm_anthropic_can_say(llm_encoder_t *e, const llm_choice_t *c)
{
    size_t             i;
    const llm_item_t  *item;

    if (c->finish == LLM_FINISH_ERROR || c->finish == LLM_FINISH_LENGTH) {
        return c->finish == LLM_FINISH_LENGTH;
    }

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type == LLM_EV_TOOL_CALL
            && !llm_anthropic_is_object(e, item))
        {
            return 0;
        }
    }

    return 1;
}


/* Writes the blocks of a choice; the numbers of calls and of refusals. */
static void
llm_anthropic_write_content(llm_encoder_t *e, const llm_choice_t *c,
    unsigned *calls, unsigned *refused)
{
    unsigned           blocks;
    const llm_item_t  *item, *end, *next;

    if (llm_choice_nitems(c) == 0) {
        return;
    }

    blocks = 0;
    item = llm_choice_items(c);
    end = item + llm_choice_nitems(c);

    for ( /* void */ ; item < end && e->rc == LLM_OK; item = next) {
        next = item + 1;

        if (item->type == LLM_EV_TOOL_CALL
            && !llm_anthropic_is_object(e, item))
        {
            continue;
        }

        if (blocks++ != 0) {
            llm_out_lit(e->out, ",");
        }

        if (item->type == LLM_EV_TOOL_CALL) {
            llm_anthropic_write_call(e, item, blocks);
            (*calls)++;

        } else if (item->type == LLM_EV_REASONING) {
            llm_anthropic_write_thought(e, item);

        } else {
            for (next = item; next < end; next++) {
                if (!llm_anthropic_is_text(next)) {
                    break;
                }

                *refused |= next->type == LLM_EV_REFUSAL;
            }

            llm_anthropic_write_text(e, item, next);
        }
    }
}


void
llm_anthropic_write_answer(llm_encoder_t *e, const llm_answer_t *a)
{
    unsigned             calls, refused;
    llm_block_t          none;
    llm_slice_t          id, model;
    const llm_choice_t  *c;

    calls = 0;
    refused = 0;
    memset(&none, 0, sizeof(llm_block_t));

    id = llm_gathered(&a->id);
    model = llm_gathered(&a->model);
    c = llm_answer_choice(a, 0);

    if (c != NULL && !llm_anthropic_can_say(e, c)) {
        if (e->rc == LLM_OK) {
            e->rc = LLM_INVALID;
        }

        return;
    }

    llm_anthropic_write_head(e, &id, &model, 0);

    if (c != NULL) {
        llm_anthropic_write_content(e, c, &calls, &refused);
    }

    llm_out_lit(e->out, "],");
    llm_anthropic_write_reason(e->out, c != NULL ? c->finish
                                                 : LLM_FINISH_NONE,
                               c != NULL ? &c->word : &none,
                               c != NULL ? &c->stop : &none,
                               refused, calls);
    llm_out_lit(e->out, ",\"usage\":");
    llm_anthropic_write_usage(e->out, &a->usage, 1);
    llm_out_lit(e->out, "}");
}


void
llm_anthropic_error_body(llm_out_t *out, const llm_error_t *err)
{
    llm_slice_t  message;

    message = err->message.p != NULL ? err->message
              : llm_slice("The request failed.");

    llm_out_lit(out, "{\"type\":\"error\",\"error\":{\"type\":");
    llm_write_string(out, &llm_error_words(err->cls)->anthropic_type, 0);
    llm_out_lit(out, ",\"message\":");
    llm_write_string(out, &message, 1);
    llm_out_lit(out, "}}");
}
