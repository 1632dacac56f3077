/*
 * Gathers one answer from events.  It must never hold more bytes than the
 * encoder's max_response, nor more choices and items than the tables say.
 */

#include "llm_encode.h"


static void
llm_answer_add(llm_encoder_t *e, llm_answer_t *a, llm_block_t *b,
    const llm_slice_t *s, unsigned linesep)
{
    if (e->rc == LLM_OK && s->n != 0) {
        e->rc = llm_gather(e, b, &a->total, s, linesep);
    }
}


/* As it came: not to be escaped. */
static void
llm_answer_raw(llm_encoder_t *e, llm_answer_t *a, llm_block_t *b,
    const llm_slice_t *raw, unsigned linesep)
{
    llm_slice_t  s;

    s = *raw;
    s.escaped = 1;

    llm_answer_add(e, a, b, &s, linesep);
}


/* Room for one more element at `at`, zeroed; NULL: e->rc is set. */
static void *
llm_answer_insert(llm_encoder_t *e, llm_block_t *b, size_t at, size_t size,
    size_t max)
{
    if (b->n / size == max) {
        e->rc = LLM_TOO_BIG;
        return NULL;
    }

    e->rc = llm_block_reserve(b, &e->alloc, size);
    if (e->rc != LLM_OK) {
        return NULL;
    }

    memmove(b->p + at + size, b->p + at, b->n - at);
    memset(b->p + at, 0, size);

    b->n += size;

    return b->p + at;
}


static llm_choice_t *
llm_answer_find(llm_encoder_t *e, llm_answer_t *a, unsigned index)
{
    size_t         i;
    llm_choice_t  *c;

    for (i = llm_answer_nchoices(a); i != 0; i--) {
        c = &llm_answer_choices(a)[i - 1];

        if (c->index == index) {
            return c;
        }

        if (c->index < index) {
            break;
        }
    }

    c = llm_answer_insert(e, &a->choices, i * sizeof(llm_choice_t),
                          sizeof(llm_choice_t), LLM_ANSWER_CHOICES);
    if (c != NULL) {
        c->index = index;
    }

    return c;
}


/* A new item, the i-th. */
static llm_item_t *
llm_answer_item(llm_encoder_t *e, llm_choice_t *c, size_t i,
    llm_event_type_t type)
{
    llm_item_t  *item;

    item = llm_answer_insert(e, &c->items, i * sizeof(llm_item_t),
                             sizeof(llm_item_t), LLM_ANSWER_ITEMS);
    if (item != NULL) {
        item->type = type;
        item->start = -1;
        item->end = -1;
    }

    return item;
}


/* TEXT, REASONING, REFUSAL: goes on with the last item, or begins one. */
static void
llm_answer_text(llm_encoder_t *e, llm_answer_t *a, llm_choice_t *c,
    const llm_event_t *ev)
{
    size_t       n;
    llm_item_t  *item;

    if (ev->text.n == 0 && ev->signature.n == 0 && ev->raw.n == 0) {
        return;
    }

    n = llm_choice_nitems(c);
    item = n != 0 ? &llm_choice_items(c)[n - 1] : NULL;

    if (item == NULL || item->type != ev->type || ev->raw.n != 0
        || item->raw.n != 0 || item->signature.n != 0)
    {
        item = llm_answer_item(e, c, n, ev->type);
        if (item == NULL) {
            return;
        }
    }

    llm_answer_add(e, a, &item->text, &ev->text, ev->linesep);
    llm_answer_add(e, a, &item->signature, &ev->signature, ev->linesep);

    if (ev->type == LLM_EV_REASONING) {
        llm_answer_raw(e, a, &item->raw, &ev->raw, ev->linesep);
    }
}


/* The call's item; calls are in the order of their indexes. */
static llm_item_t *
llm_answer_find_call(llm_encoder_t *e, llm_choice_t *c, unsigned index)
{
    size_t       i, at;
    llm_item_t  *item;

    at = llm_choice_nitems(c);

    for (i = at; i != 0; i--) {
        item = &llm_choice_items(c)[i - 1];

        if (item->type != LLM_EV_TOOL_CALL) {
            continue;
        }

        if (item->tool_index == index) {
            return item;
        }

        if (item->tool_index < index) {
            break;
        }

        at = i - 1;
    }

    item = llm_answer_item(e, c, at, LLM_EV_TOOL_CALL);
    if (item != NULL) {
        item->tool_index = index;
    }

    return item;
}


static void
llm_answer_call(llm_encoder_t *e, llm_answer_t *a, llm_choice_t *c,
    const llm_event_t *ev)
{
    llm_item_t  *item;

    item = llm_answer_find_call(e, c, ev->tool_index);
    if (item == NULL) {
        return;
    }

    /* the first says it; some repeat it, or send it empty later */

    if (item->id.n == 0) {
        llm_answer_add(e, a, &item->id, &ev->id, ev->linesep);
    }

    if (item->name.n == 0) {
        llm_answer_add(e, a, &item->name, &ev->name, ev->linesep);
    }

    if (item->signature.n == 0) {
        llm_answer_add(e, a, &item->signature, &ev->signature, ev->linesep);
    }

    llm_answer_add(e, a, &item->text, &ev->text, ev->linesep);
}


static void
llm_answer_citation(llm_encoder_t *e, llm_answer_t *a, llm_choice_t *c,
    const llm_event_t *ev)
{
    llm_item_t  *item;

    item = llm_answer_item(e, c, llm_choice_nitems(c), LLM_EV_CITATION);
    if (item == NULL) {
        return;
    }

    item->start = ev->start;
    item->end = ev->end;

    llm_answer_add(e, a, &item->id, &ev->id, ev->linesep);
    llm_answer_add(e, a, &item->name, &ev->name, ev->linesep);
    llm_answer_add(e, a, &item->text, &ev->text, ev->linesep);
    llm_answer_raw(e, a, &item->raw, &ev->raw, ev->linesep);
}


/* Joins the elements of one more array to those in b. */
static void
llm_answer_list(llm_encoder_t *e, llm_answer_t *a, llm_block_t *b,
    const llm_event_t *ev)
{
    llm_slice_t  inside, comma;

    if (ev->raw.n < 2) {
        return;
    }

    inside.p = ev->raw.p + 1;
    inside.n = ev->raw.n - 2;
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
        llm_answer_raw(e, a, b, &comma, 0);
    }

    llm_answer_raw(e, a, b, &inside, ev->linesep);
}


/* The last one counts. */
static void
llm_answer_finish(llm_encoder_t *e, llm_answer_t *a, llm_choice_t *c,
    const llm_event_t *ev)
{
    c->finished = 1;
    c->finish = ev->finish;
    c->word.n = 0;
    c->stop.n = 0;

    llm_answer_add(e, a, &c->word, &ev->text, ev->linesep);

    llm_answer_add(e, a, &c->stop, &ev->name, ev->linesep);
}


static void
llm_answer_choice_event(llm_encoder_t *e, llm_answer_t *a,
    const llm_event_t *ev)
{
    llm_choice_t  *c;

    c = llm_answer_find(e, a, ev->choice);
    if (c == NULL) {
        return;
    }

    switch (ev->type) {

    case LLM_EV_TOOL_CALL:
        llm_answer_call(e, a, c, ev);
        break;

    case LLM_EV_LOGPROBS:
        llm_answer_list(e, a, ev->refused ? &c->refused : &c->logprobs, ev);
        break;

    case LLM_EV_CITATION:
        llm_answer_citation(e, a, c, ev);
        break;

    case LLM_EV_FINISH:
        llm_answer_finish(e, a, c, ev);
        break;

    default:    /* LLM_EV_TEXT, LLM_EV_REASONING, LLM_EV_REFUSAL */
        llm_answer_text(e, a, c, ev);
        break;
    }
}


void
llm_answer_init(llm_answer_t *a)
{
    memset(a, 0, sizeof(llm_answer_t));

    a->created = -1;
    a->usage = llm_usage_none;
}


void
llm_answer_event(llm_encoder_t *e, llm_answer_t *a, const llm_event_t *ev)
{
    if (e->rc != LLM_OK) {
        return;
    }

    switch (ev->type) {

    case LLM_EV_START:
        llm_answer_add(e, a, &a->id, &ev->id, ev->linesep);
        llm_answer_add(e, a, &a->model, &ev->model, ev->linesep);
        a->created = ev->created;
        break;

    case LLM_EV_USAGE:
        llm_usage_merge(&a->usage, ev->usage);
        a->has_usage = 1;
        break;

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
    case LLM_EV_TOOL_CALL: case LLM_EV_LOGPROBS: case LLM_EV_CITATION:
    case LLM_EV_FINISH:
        llm_answer_choice_event(e, a, ev);
        break;

    default:
        break;
    }
}


static void
llm_answer_free_choice(llm_encoder_t *e, llm_choice_t *c)
{
    size_t       i;
    llm_item_t  *item;

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        llm_block_free(&item->text, &e->alloc);
        llm_block_free(&item->id, &e->alloc);
        llm_block_free(&item->name, &e->alloc);
        llm_block_free(&item->signature, &e->alloc);
        llm_block_free(&item->raw, &e->alloc);
    }

    llm_block_free(&c->items, &e->alloc);
    llm_block_free(&c->word, &e->alloc);
    llm_block_free(&c->stop, &e->alloc);
    llm_block_free(&c->logprobs, &e->alloc);
    llm_block_free(&c->refused, &e->alloc);
}


void
llm_answer_free(llm_encoder_t *e, llm_answer_t *a)
{
    size_t  i;

    for (i = 0; i < llm_answer_nchoices(a); i++) {
        llm_answer_free_choice(e, &llm_answer_choices(a)[i]);
    }

    llm_block_free(&a->choices, &e->alloc);
    llm_block_free(&a->id, &e->alloc);
    llm_block_free(&a->model, &e->alloc);
}


const llm_choice_t *
llm_answer_choice(const llm_answer_t *a, unsigned index)
{
    size_t  i;

    for (i = 0; i < llm_answer_nchoices(a); i++) {
        if (llm_answer_choices(a)[i].index == index) {
            return &llm_answer_choices(a)[i];
        }
    }

    return NULL;
}


size_t
llm_choice_length(const llm_choice_t *c, llm_event_type_t type)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < llm_choice_nitems(c); i++) {
        if (llm_choice_items(c)[i].type == type) {
            n += llm_choice_items(c)[i].text.n;
        }
    }

    return n;
}


void
llm_choice_write(llm_out_t *out, const llm_choice_t *c,
    llm_event_type_t type)
{
    size_t  i;

    for (i = 0; i < llm_choice_nitems(c); i++) {
        if (llm_choice_items(c)[i].type == type) {
            llm_write_gathered(out, &llm_choice_items(c)[i].text);
        }
    }
}


llm_slice_t
llm_choice_finish(const llm_choice_t *c)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(llm_event_t));

    ev.finish = c->finish;
    ev.text = llm_gathered(&c->word);

    return llm_finish_word(&ev);
}


void
llm_answer_write_said(llm_out_t *out, const llm_answer_t *a)
{
    size_t               i;
    llm_item_t          *item;
    const llm_choice_t  *c;

    c = llm_answer_choice(a, 0);

    for (i = 0; c != NULL && i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (item->type == LLM_EV_TEXT || item->type == LLM_EV_REFUSAL) {
            llm_write_gathered(out, &item->text);
        }
    }
}
