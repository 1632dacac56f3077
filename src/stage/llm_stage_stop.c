/*
 * The stop stage.  What it holds is always the beginning of a stop string, so
 * that a text needs no memory but its place in the automaton.  It must never
 * hold a byte that cannot become part of a match, nor let one out behind a
 * match.
 */

#include "llm_stage_stop.h"
#include "llm_channel.h"


/* choices from here on are not tracked, and never cut */
#define LLM_STOP_CHOICES  128
#define LLM_STOP_ALL      LLM_STOP_CHOICES


typedef struct {
    llm_channel_t       channel;
    llm_match_at_t      at;
    size_t              held;       /* with half a character of the wire's */
} llm_stop_text_t;

typedef struct {
    llm_stage_t         stage;
    const llm_match_t  *match;
    llm_channels_t      texts;
    llm_block_t         plain;      /* what was held, and the new piece */
    unsigned            broken;     /* the answer ends in an error: what is
                                       held goes, but nothing says that the
                                       answer is whole */
} llm_stop_t;


static llm_rc_t
llm_stop_init(llm_stage_t *s, const void *conf)
{
    llm_stop_t  *st;

    st = (llm_stop_t *) s;

    st->match = conf;
    llm_channels_init(&st->texts, sizeof(llm_stop_text_t));

    return LLM_OK;
}


/* Counts anew what waits in a text. */
static void
llm_stop_held(llm_stop_t *st, llm_stop_text_t *t)
{
    size_t  held;

    held = llm_match_open(st->match, &t->at).n + t->channel.nhalf;

    if (held != t->held) {
        llm_stage_held(&st->stage, st->stage.held - t->held + held);
        t->held = held;
    }
}


/* The answer of this choice ends here. */
static llm_rc_t
llm_stop_cut(llm_stop_t *st, llm_stop_text_t *t)
{
    llm_rc_t     rc;
    llm_event_t  ev;

    ev = llm_channel_event(&t->channel, NULL, 0);

    ev.type = LLM_EV_FINISH;
    ev.finish = LLM_FINISH_STOP;
    ev.text = llm_slice("stop");
    ev.name = *llm_match_found(st->match, &t->at);

    memset(&t->at, 0, sizeof(llm_match_at_t));
    t->channel.nhalf = 0;
    llm_stop_held(st, t);

    rc = llm_stage_pass(&st->stage, &ev);

    llm_stage_cut(&st->stage, t->channel.choice, LLM_CUT_STOP);

    return rc;
}


/*
 * Nothing more comes of a text, or something else comes first: what waits of
 * it goes out, up to a match that could have become longer.
 */
static llm_rc_t
llm_stop_release(llm_stop_t *st, llm_stop_text_t *t)
{
    int           over;
    size_t        n, used;
    llm_rc_t      rc;
    llm_slice_t   open;
    llm_block_t  *b;
    llm_event_t   ev;

    if (t->held == 0) {
        return LLM_OK;
    }

    b = &st->plain;
    b->n = 0;
    open = llm_match_open(st->match, &t->at);

    rc = llm_block_append(b, &st->stage.chain->alloc, open.p, open.n);

    if (rc == LLM_OK) {
        rc = llm_channel_end(&t->channel, b, &st->stage.chain->alloc);
    }

    if (rc != LLM_OK) {
        return rc;
    }

    over = llm_match_read(st->match, &t->at, b->p + open.n, b->n - open.n,
                          &used);
    n = open.n + used;

    if (t->at.found != 0) {
        over = 1;
        n -= t->at.back;
    }

    if (st->broken) {
        over = 0;
    }

    if (!over) {
        memset(&t->at, 0, sizeof(llm_match_at_t));
        llm_stop_held(st, t);
    }

    if (n != 0) {
        ev = llm_channel_event(&t->channel, b->p, n);
        rc = llm_stage_pass(&st->stage, &ev);
    }

    return (over && rc == LLM_OK) ? llm_stop_cut(st, t) : rc;
}


/* The same for what waits of a choice, or of all, in other texts than t. */
static llm_rc_t
llm_stop_release_choice(llm_stop_t *st, unsigned choice,
    const llm_stop_text_t *t)
{
    size_t            i;
    llm_rc_t          rc;
    llm_stop_text_t  *other;

    rc = LLM_OK;

    for (i = 0; rc == LLM_OK && st->stage.held != 0; i++) {
        other = (llm_stop_text_t *) llm_channel_at(&st->texts, i);

        if (other == NULL) {
            break;
        }

        if (other != t && (choice == LLM_STOP_ALL
                           || other->channel.choice == choice))
        {
            rc = llm_stop_release(st, other);
        }
    }

    return rc;
}


/*
 * The bytes to search: as they came, or, if something was held before them or
 * they have escapes, in st->plain, behind what was held.  *open is the length
 * of that.
 */
static llm_rc_t
llm_stop_plain(llm_stop_t *st, llm_stop_text_t *t, const llm_event_t *ev,
    llm_slice_t *text, size_t *open)
{
    llm_rc_t            rc;
    llm_block_t        *b;
    llm_slice_t         held;
    const llm_alloc_t  *a;

    *text = ev->text;
    *open = 0;

    if (text->n == 0 && t->held == 0) {
        *text = llm_slice("");
        return LLM_OK;
    }

    if (t->held == 0
        && !(text->escaped && memchr(text->p, '\\', text->n) != NULL))
    {
        return LLM_OK;
    }

    a = &st->stage.chain->alloc;
    b = &st->plain;
    b->n = 0;
    held = llm_match_open(st->match, &t->at);

    rc = llm_block_append(b, a, held.p, held.n);

    if (rc == LLM_OK) {
        rc = llm_channel_decode(&t->channel, b, a, &ev->text);
    }

    *text = b->n != 0 ? (llm_slice_t) { b->p, b->n, 0 } : llm_slice("");
    *open = held.n;

    return rc;
}


static llm_rc_t
llm_stop_text(llm_stop_t *st, llm_stop_text_t *t, const llm_event_t *ev)
{
    int          over;
    size_t       n, used, open;
    llm_rc_t     rc;
    llm_slice_t  text;
    llm_event_t  part;

    rc = llm_stop_plain(st, t, ev, &text, &open);
    if (rc != LLM_OK) {
        return rc;
    }

    over = llm_match_read(st->match, &t->at, text.p + open, text.n - open,
                          &used);

    if (!over) {
        n = t->held;
        llm_stop_held(st, t);

        if (n == 0 && t->held == 0) {
            return llm_stage_pass(&st->stage, ev);
        }
    }

    n = open + used
        - (over ? t->at.back : llm_match_open(st->match, &t->at).n);

    if (n != 0 || (!over && ev->signature.n != 0)) {
        part = *ev;
        part.text = text;
        part.text.n = n;
        part.linesep |= text.p != ev->text.p;

        rc = llm_stage_pass(&st->stage, &part);
    }

    return (over && rc == LLM_OK) ? llm_stop_cut(st, t) : rc;
}


/* A piece of a text that is searched. */
static llm_rc_t
llm_stop_said(llm_stop_t *st, const llm_event_t *ev)
{
    llm_rc_t          rc;
    llm_channel_t    *c;
    llm_stop_text_t  *t;

    if (ev->text.n == 0) {
        return llm_stage_pass(&st->stage, ev);
    }

    rc = llm_channel_find(&st->texts, &st->stage.chain->alloc, ev, &c);
    if (rc != LLM_OK) {
        return rc;
    }

    t = (llm_stop_text_t *) c;

    if (st->stage.held != t->held) {
        rc = llm_stop_release_choice(st, ev->choice, t);

        if (rc != LLM_OK || llm_stage_is_cut(st->stage.chain, ev->choice)) {
            return rc;
        }
    }

    return llm_stop_text(st, t, ev);
}


static llm_rc_t
llm_stop_choice(llm_stop_t *st, const llm_event_t *ev)
{
    llm_rc_t  rc;

    if (ev->choice >= LLM_STOP_CHOICES) {
        return llm_stage_pass(&st->stage, ev);
    }

    if (llm_stage_is_cut(st->stage.chain, ev->choice)) {
        return LLM_OK;
    }

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REFUSAL:
        return llm_stop_said(st, ev);

    case LLM_EV_LOGPROBS: case LLM_EV_CITATION:
        break;

    default:
        rc = llm_stop_release_choice(st, ev->choice, NULL);

        if (rc != LLM_OK || llm_stage_is_cut(st->stage.chain, ev->choice)) {
            return rc;
        }

        break;
    }

    return llm_stage_pass(&st->stage, ev);
}


static llm_rc_t
llm_stop_flush(llm_stage_t *s)
{
    llm_stop_t  *st;

    st = (llm_stop_t *) s;
    st->broken = 1;

    return llm_stop_release_choice(st, LLM_STOP_ALL, NULL);
}


static llm_rc_t
llm_stop_event(llm_stage_t *s, const llm_event_t *ev)
{
    llm_rc_t  rc;

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
    case LLM_EV_TOOL_CALL: case LLM_EV_LOGPROBS: case LLM_EV_CITATION:
    case LLM_EV_META: case LLM_EV_FINISH:
        return llm_stop_choice((llm_stop_t *) s, ev);

    case LLM_EV_END:
        rc = llm_stop_release_choice((llm_stop_t *) s, LLM_STOP_ALL, NULL);
        if (rc != LLM_OK) {
            return rc;
        }

        break;

    default:
        break;
    }

    return llm_stage_pass(s, ev);
}


static void
llm_stop_drop(llm_stage_t *s)
{
    llm_stop_t  *st;

    st = (llm_stop_t *) s;

    llm_channels_free(&st->texts, &s->chain->alloc);
    llm_block_free(&st->plain, &s->chain->alloc);
}


const llm_stage_type_t  llm_stage_stop = {
    "stop", sizeof(llm_stop_t), llm_stop_init, llm_stop_event,
    llm_stop_flush, NULL, llm_stop_drop
};
