/*
 * OpenAI chat completions: events gathered to one JSON answer.  It owns what
 * it gathers, bounded by the encoder's max_response; it must never write a
 * byte before END, so that a failure can still become an HTTP error.
 *
 * Text is gathered as the inside of a JSON string: halves of a surrogate
 * pair that came in two events meet again.
 */

#include "llm_openai.h"


typedef struct {
    unsigned      index;
    llm_block_t   id;
    llm_block_t   name;
    llm_block_t   arguments;
} llm_openai_gathered_t;

typedef struct {
    unsigned      index;
    unsigned      logprobs;         /* were said */
    unsigned      tokens;           /* "content" of them was an array */
    unsigned      refused;          /* "refusal" of them was one */
    unsigned      finished;
    llm_block_t   text;
    llm_block_t   reasoning;
    llm_block_t   refusal;
    llm_block_t   finish;
    llm_block_t   token_list;       /* insides of the arrays */
    llm_block_t   refused_list;
    llm_block_t   calls;            /* llm_openai_gathered_t, by index */
} llm_openai_part_t;


#define llm_openai_parts(a)  ((llm_openai_part_t *) (void *) (a)->choices.p)
#define llm_openai_nparts(a) ((a)->choices.n / sizeof(llm_openai_part_t))

#define llm_openai_calls(c)  ((llm_openai_gathered_t *) (void *) (c)->calls.p)
#define llm_openai_ncalls(c) ((c)->calls.n / sizeof(llm_openai_gathered_t))


static void
llm_openai_add(llm_encoder_t *e, llm_openai_answer_t *a, llm_block_t *b,
    const llm_slice_t *s, unsigned linesep)
{
    if (e->rc == LLM_OK) {
        e->rc = llm_gather(e, b, &a->total, s, linesep);
    }
}


/*
 * The element of an array whose first member is its index; a new one goes
 * to its place.  NULL: e->rc is set.
 */
static void *
llm_openai_element(llm_encoder_t *e, llm_block_t *b, unsigned index,
    size_t size)
{
    size_t     at;
    llm_u8    *p;
    unsigned   i;

    for (at = b->n; at != 0; at -= size) {
        memcpy(&i, b->p + at - size, sizeof(unsigned));

        if (i == index) {
            return b->p + at - size;
        }

        if (i < index) {
            break;
        }
    }

    if (b->n / size == LLM_OPENAI_TABLE) {
        e->rc = LLM_TOO_BIG;
        return NULL;
    }

    e->rc = llm_block_reserve(b, &e->alloc, size);
    if (e->rc != LLM_OK) {
        return NULL;
    }

    p = b->p + at;

    memmove(p + size, p, b->n - at);
    memset(p, 0, size);
    memcpy(p, &index, sizeof(unsigned));

    b->n += size;

    return p;
}


static void
llm_openai_gather_call(llm_encoder_t *e, llm_openai_answer_t *a,
    llm_openai_part_t *c, const llm_event_t *ev)
{
    llm_openai_gathered_t  *call;

    call = llm_openai_element(e, &c->calls, ev->tool_index,
                              sizeof(llm_openai_gathered_t));
    if (call == NULL) {
        return;
    }

    /* the first says it; some repeat it, or send it empty later */

    if (call->id.n == 0) {
        llm_openai_add(e, a, &call->id, &ev->id, ev->linesep);
    }

    if (call->name.n == 0) {
        llm_openai_add(e, a, &call->name, &ev->name, ev->linesep);
    }

    llm_openai_add(e, a, &call->arguments, &ev->text, ev->linesep);
}


/* Joins the inside of one more array to those in b. */
static void
llm_openai_gather_list(llm_encoder_t *e, llm_openai_answer_t *a,
    llm_block_t *b, const llm_slice_t *array, unsigned linesep)
{
    llm_slice_t  inside, comma;

    inside.p = array->p + 1;
    inside.n = array->n - 2;
    inside.escaped = 1;

    while (inside.n != 0 && *inside.p <= ' ') {
        inside.p++;
        inside.n--;
    }

    if (inside.n == 0) {
        return;
    }

    if (b->n != 0) {
        comma = llm_slice(",");
        llm_openai_add(e, a, b, &comma, 0);
    }

    llm_openai_add(e, a, b, &inside, linesep);
}


static void
llm_openai_gather_logprobs(llm_encoder_t *e, llm_openai_answer_t *a,
    llm_openai_part_t *c, const llm_event_t *ev)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    c->logprobs = 1;
    llm_openai_reopen(&j, &ev->raw);

    while (llm_openai_member(&j, &key, &v, &type)) {

        if (type != LLM_JSON_ARRAY) {
            continue;
        }

        if (llm_json_is(&key, "content")) {
            c->tokens = 1;
            llm_openai_gather_list(e, a, &c->token_list, &v, ev->linesep);

        } else if (llm_json_is(&key, "refusal")) {
            c->refused = 1;
            llm_openai_gather_list(e, a, &c->refused_list, &v, ev->linesep);
        }
    }
}


static void
llm_openai_gather_choice(llm_encoder_t *e, llm_openai_answer_t *a,
    const llm_event_t *ev)
{
    llm_slice_t         word;
    llm_openai_part_t  *c;

    c = llm_openai_element(e, &a->choices, ev->choice,
                           sizeof(llm_openai_part_t));
    if (c == NULL) {
        return;
    }

    switch (ev->type) {

    case LLM_EV_TEXT:
        llm_openai_add(e, a, &c->text, &ev->text, ev->linesep);
        break;

    case LLM_EV_REASONING:
        llm_openai_add(e, a, &c->reasoning, &ev->text, ev->linesep);
        break;

    case LLM_EV_REFUSAL:
        llm_openai_add(e, a, &c->refusal, &ev->text, ev->linesep);
        break;

    case LLM_EV_TOOL_CALL:
        llm_openai_gather_call(e, a, c, ev);
        break;

    case LLM_EV_LOGPROBS:
        llm_openai_gather_logprobs(e, a, c, ev);
        break;

    default:    /* LLM_EV_FINISH; the last one counts */
        word = llm_finish_word(ev);
        c->finished = 1;
        c->finish.n = 0;
        llm_openai_add(e, a, &c->finish, &word, ev->linesep);
        break;
    }
}


static void
llm_openai_write_block(llm_out_t *out, const llm_block_t *b)
{
    llm_out_lit(out, "\"");
    llm_write_gathered(out, b);
    llm_out_lit(out, "\"");
}


/* The bytes of a block that is given out, or "null". */
static void
llm_openai_write_list(llm_out_t *out, const llm_block_t *b, unsigned said)
{
    if (!said) {
        llm_out_lit(out, "null");
        return;
    }

    llm_out_lit(out, "[");
    llm_write_gathered(out, b);
    llm_out_lit(out, "]");
}


static void
llm_openai_write_calls(llm_out_t *out, const llm_openai_part_t *c)
{
    size_t                  i;
    llm_openai_gathered_t  *call;

    llm_out_lit(out, ",\"tool_calls\":[");

    for (i = 0; i < llm_openai_ncalls(c); i++) {
        call = &llm_openai_calls(c)[i];

        if (i != 0) {
            llm_out_lit(out, ",");
        }

        llm_out_lit(out, "{\"id\":");
        llm_openai_write_block(out, &call->id);
        llm_out_lit(out, ",\"type\":\"function\",\"function\":{\"name\":");
        llm_openai_write_block(out, &call->name);
        llm_out_lit(out, ",\"arguments\":");
        llm_openai_write_block(out, &call->arguments);
        llm_out_lit(out, "}}");
    }

    llm_out_lit(out, "]");
}


static void
llm_openai_write_message(llm_out_t *out, const llm_openai_part_t *c)
{
    llm_out_lit(out, "{\"role\":\"assistant\",\"content\":");

    if (c->text.n == 0 && (c->refusal.n != 0 || c->calls.n != 0)) {
        llm_out_lit(out, "null");

    } else {
        llm_openai_write_block(out, &c->text);
    }

    if (c->reasoning.n != 0) {
        llm_out_lit(out, ",\"reasoning_content\":");
        llm_openai_write_block(out, &c->reasoning);
    }

    llm_out_lit(out, ",\"refusal\":");

    if (c->refusal.n != 0) {
        llm_openai_write_block(out, &c->refusal);

    } else {
        llm_out_lit(out, "null");
    }

    if (c->calls.n != 0) {
        llm_openai_write_calls(out, c);
    }

    llm_out_lit(out, "}");
}


static void
llm_openai_write_choice(llm_out_t *out, const llm_openai_part_t *c)
{
    llm_out_lit(out, "{\"index\":");
    llm_write_int(out, c->index);
    llm_out_lit(out, ",\"message\":");
    llm_openai_write_message(out, c);
    llm_out_lit(out, ",\"logprobs\":");

    if (c->logprobs) {
        llm_out_lit(out, "{\"content\":");
        llm_openai_write_list(out, &c->token_list, c->tokens);
        llm_out_lit(out, ",\"refusal\":");
        llm_openai_write_list(out, &c->refused_list, c->refused);
        llm_out_lit(out, "}");

    } else {
        llm_out_lit(out, "null");
    }

    llm_out_lit(out, ",\"finish_reason\":");

    if (c->finished) {
        llm_openai_write_block(out, &c->finish);

    } else {
        llm_out_lit(out, "null");
    }

    llm_out_lit(out, "}");
}


static void
llm_openai_answer_end(llm_encoder_t *e, llm_openai_answer_t *a)
{
    size_t       i;
    llm_out_t   *out;
    llm_slice_t  model;

    out = e->out;
    model = llm_gathered(&a->model);

    llm_out_lit(out, "{\"id\":\"");

    if (a->id.n != 0) {
        llm_write_gathered(out, &a->id);

    } else {
        llm_openai_make_id(out, &model, e->now);
    }

    llm_out_lit(out, "\",\"object\":\"chat.completion\",\"created\":");
    llm_write_int(out, a->created > 0 ? a->created : e->now);
    llm_out_lit(out, ",\"model\":");
    llm_openai_write_block(out, &a->model);
    llm_out_lit(out, ",\"choices\":[");

    for (i = 0; i < llm_openai_nparts(a); i++) {
        if (i != 0) {
            llm_out_lit(out, ",");
        }

        llm_openai_write_choice(out, &llm_openai_parts(a)[i]);
    }

    llm_out_lit(out, "]");

    if (a->has_usage) {
        llm_out_lit(out, ",\"usage\":");
        llm_write_usage(out, &a->usage, 1);
    }

    llm_out_lit(out, "}");
}


void
llm_openai_answer(llm_encoder_t *e, void *state, const llm_event_t *ev)
{
    llm_openai_answer_t  *a;

    if (e->rc != LLM_OK) {
        return;
    }

    a = state;

    switch (ev->type) {

    case LLM_EV_START:
        llm_openai_add(e, a, &a->id, &ev->id, ev->linesep);
        llm_openai_add(e, a, &a->model, &ev->model, ev->linesep);
        a->created = ev->created;
        break;

    case LLM_EV_USAGE:
        a->usage = *ev->usage;
        a->has_usage = 1;
        break;

    case LLM_EV_END:
        llm_openai_answer_end(e, a);
        break;

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
    case LLM_EV_TOOL_CALL: case LLM_EV_LOGPROBS: case LLM_EV_FINISH:
        llm_openai_gather_choice(e, a, ev);
        break;

    default:
        break;
    }
}


static void
llm_openai_drop_choice(llm_encoder_t *e, llm_openai_part_t *c)
{
    size_t                  i;
    llm_openai_gathered_t  *call;

    for (i = 0; i < llm_openai_ncalls(c); i++) {
        call = &llm_openai_calls(c)[i];

        llm_block_free(&call->id, &e->alloc);
        llm_block_free(&call->name, &e->alloc);
        llm_block_free(&call->arguments, &e->alloc);
    }

    llm_block_free(&c->calls, &e->alloc);
    llm_block_free(&c->text, &e->alloc);
    llm_block_free(&c->reasoning, &e->alloc);
    llm_block_free(&c->refusal, &e->alloc);
    llm_block_free(&c->finish, &e->alloc);
    llm_block_free(&c->token_list, &e->alloc);
    llm_block_free(&c->refused_list, &e->alloc);
}


void
llm_openai_answer_drop(llm_encoder_t *e, void *state)
{
    size_t                i;
    llm_openai_answer_t  *a;

    a = state;

    for (i = 0; i < llm_openai_nparts(a); i++) {
        llm_openai_drop_choice(e, &llm_openai_parts(a)[i]);
    }

    llm_block_free(&a->choices, &e->alloc);
    llm_block_free(&a->id, &e->alloc);
    llm_block_free(&a->model, &e->alloc);
}
