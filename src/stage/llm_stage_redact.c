/*
 * The stage of llm_stage_redact.h: events to texts and back.  It must never
 * pass on a text that a rule covers without a search, whatever kind of event
 * it comes in, nor give anything away after a fault.
 */

#include "llm_stage_redact.h"
#include "llm_channel.h"
#include "llm_json.h"


typedef struct {
    llm_channel_t                   channel;
    llm_redact_json_t               json;       /* .text: of all kinds */
    unsigned                        open;       /* a piece came since its
                                                   end */
    unsigned                        masked;     /* a place in it moved */
} llm_stage_redact_text_t;

typedef struct {
    llm_stage_t                     stage;
    const llm_stage_redact_conf_t  *conf;
    llm_redact_run_t                run;
    llm_channels_t                  channels;   /* texts that rules change */
    llm_channels_t                  counted;    /* and those that are only
                                                   counted */
    size_t                          held;       /* bytes, in all texts */
    llm_block_t                     in;
    llm_block_t                     out;
    llm_block_t                     also[3];    /* of an event's other texts */
    unsigned                        failed;
    unsigned                        over;       /* it is only given away: an
                                                   error comes */
    unsigned                        stopped;    /* a rule that only counts
                                                   gave up */
} llm_stage_redact_t;


/* Number i, of those that are counted first; NULL past the last. */
static llm_stage_redact_text_t *
llm_stage_redact_text(const llm_stage_redact_t *r, size_t i)
{
    size_t          n;
    llm_channel_t  *c;

    n = r->counted.list.n / sizeof(llm_channel_t *);
    c = i < n ? llm_channel_at(&r->counted, i)
              : llm_channel_at(&r->channels, i - n);

    return (llm_stage_redact_text_t *) (void *) c;
}


static llm_rc_t
llm_stage_redact_init(llm_stage_t *s, const void *conf)
{
    llm_stage_redact_t  *r;

    r = (llm_stage_redact_t *) s;

    r->conf = conf;
    llm_channels_init(&r->channels, sizeof(llm_stage_redact_text_t));
    llm_channels_init(&r->counted, sizeof(llm_stage_redact_text_t));

    return llm_redact_open(&r->run, r->conf->redact, &s->chain->alloc,
                           r->conf->counts);
}


static void
llm_stage_redact_drop(llm_stage_t *s)
{
    size_t                    i;
    llm_stage_redact_t       *r;
    llm_stage_redact_text_t  *t;

    r = (llm_stage_redact_t *) s;

    for (i = 0; (t = llm_stage_redact_text(r, i)) != NULL; i++) {
        llm_redact_json_free(&r->run, &t->json);
    }

    llm_channels_free(&r->channels, &s->chain->alloc);
    llm_channels_free(&r->counted, &s->chain->alloc);

    for (i = 0; i < 3; i++) {
        llm_block_free(&r->also[i], &s->chain->alloc);
    }

    llm_block_free(&r->in, &s->chain->alloc);
    llm_block_free(&r->out, &s->chain->alloc);
    llm_redact_close(&r->run);
}


static unsigned
llm_stage_redact_kind(llm_event_type_t type)
{
    return type == LLM_EV_REASONING ? LLM_REDACT_REASONING
           : type == LLM_EV_TOOL_CALL ? LLM_REDACT_TOOL_ARGS
           : LLM_REDACT_CONTENT;
}


/* Whether texts of that kind are only counted. */
#define llm_stage_redact_observed(r, type)                                  \
    (((r)->conf->redact->changes & llm_stage_redact_kind(type)) == 0)


/* Remembers what is held, and which rule made the search give up. */
static llm_rc_t
llm_stage_redact_after(llm_stage_redact_t *r, llm_rc_t rc)
{
    if (rc == LLM_FAILED) {
        *r->conf->gave_up = r->run.rule + 1;
    }

    if (r->held != r->stage.held) {
        llm_stage_held(&r->stage, r->held);
    }

    return rc;
}


/* What waits of a text. */
static size_t
llm_stage_redact_waits(const llm_stage_redact_text_t *t)
{
    return llm_redact_waiting(&t->json.text) + t->json.scalar.n;
}


/* n bytes of the text, decoded, through the search; the result to r->out. */
static llm_rc_t
llm_stage_redact_search(llm_stage_redact_t *r, llm_stage_redact_text_t *t,
    const llm_u8 *p, size_t n, unsigned last)
{
    size_t    before;
    llm_rc_t  rc;
    uint64_t  changed;

    before = llm_stage_redact_waits(t);
    changed = r->run.changed;
    t->open = !last;

    rc = t->channel.type == LLM_EV_TOOL_CALL
         ? llm_redact_json(&r->run, &t->json, p, n, last, &r->out)
         : llm_redact_feed(&r->run, &t->json.text, p, n, last, &r->out);

    t->masked |= changed != r->run.changed;

    /* what waits of it goes with the block */

    t->open |= rc == LLM_DONE;

    if (!llm_stage_redact_observed(r, t->channel.type)) {
        r->held += llm_stage_redact_waits(t);
        r->held -= before;
        return llm_stage_redact_after(r, rc);
    }

    if (rc == LLM_OK || rc == LLM_NOMEM) {
        return rc;
    }

    r->stopped = 1;
    (void) llm_stage_redact_after(r, rc);

    return LLM_OK;
}


/* Passes what is in r->out on as a piece of the text. */
static llm_rc_t
llm_stage_redact_give(llm_stage_redact_t *r, llm_stage_redact_text_t *t)
{
    llm_event_t  ev;

    if (r->out.n == 0 || llm_stage_redact_observed(r, t->channel.type)) {
        return LLM_OK;
    }

    ev = llm_channel_event(&t->channel, r->out.p, r->out.n);

    return llm_stage_pass(&r->stage, &ev);
}


/* Nothing more comes of a text: what waits is dropped. */
static void
llm_stage_redact_forget(llm_stage_redact_t *r, llm_stage_redact_text_t *t)
{
    r->held -= llm_stage_redact_waits(t);
    t->open = 0;

    llm_redact_json_free(&r->run, &t->json);
    (void) llm_stage_redact_after(r, LLM_OK);
}


/* Nothing more comes of the texts of a choice: arguments are made whole. */
static llm_rc_t
llm_stage_redact_close(llm_stage_redact_t *r, unsigned choice)
{
    size_t                    i;
    llm_rc_t                  rc;
    llm_stage_redact_text_t  *t;

    for (i = 0; (t = llm_stage_redact_text(r, i)) != NULL; i++) {

        if (t->channel.choice != choice || !t->open
            || llm_stage_redact_observed(r, t->channel.type))
        {
            continue;
        }

        r->out.n = 0;

        rc = t->channel.type == LLM_EV_TOOL_CALL
             ? llm_redact_json_close(&r->run, &t->json, &r->out) : LLM_OK;

        llm_stage_redact_forget(r, t);

        if (rc == LLM_OK) {
            rc = llm_stage_redact_give(r, t);
        }

        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* A blocking rule matched: what is before was passed on. */
static llm_rc_t
llm_stage_redact_block(llm_stage_redact_t *r, unsigned choice)
{
    llm_rc_t                  rc;
    llm_event_t               ev;
    const llm_redact_rule_t  *rule;

    rule = &llm_redact_rules(r->conf->redact)[r->run.rule];

    rc = llm_stage_redact_close(r, choice);
    if (rc != LLM_OK) {
        return rc;
    }

    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = LLM_EV_REFUSAL;
    ev.choice = choice;
    ev.linesep = 1;
    ev.created = -1;
    ev.start = -1;
    ev.end = -1;
    ev.text = rule->with;

    rc = llm_stage_pass(&r->stage, &ev);
    if (rc != LLM_OK) {
        return rc;
    }

    ev.type = LLM_EV_FINISH;
    ev.text = llm_slice_null;
    ev.finish = LLM_FINISH_CONTENT_FILTER;

    rc = llm_stage_pass(&r->stage, &ev);
    if (rc != LLM_OK) {
        return rc;
    }

    llm_stage_cut(&r->stage, choice, LLM_CUT_BLOCK);

    /* a choice too many to be cut would go on */

    return llm_stage_is_cut(r->stage.chain, choice) ? LLM_OK : LLM_TOO_BIG;
}


/* The end of a text.  LLM_DONE: its choice was blocked. */
static llm_rc_t
llm_stage_redact_end(llm_stage_redact_t *r, llm_stage_redact_text_t *t)
{
    llm_rc_t  rc, passed;

    if (!t->open
        || (r->stopped && llm_stage_redact_observed(r, t->channel.type)))
    {
        return LLM_OK;
    }

    r->in.n = 0;
    r->out.n = 0;

    rc = llm_channel_end(&t->channel, &r->in, &r->stage.chain->alloc);

    if (rc == LLM_OK) {
        rc = llm_stage_redact_search(r, t, r->in.p, r->in.n, 1);
    }

    if (rc != LLM_OK && rc != LLM_DONE) {
        return rc;
    }

    passed = llm_stage_redact_give(r, t);

    if (rc == LLM_DONE && r->over) {
        llm_stage_redact_forget(r, t);

    } else if (passed == LLM_OK && rc == LLM_DONE) {
        passed = llm_stage_redact_block(r, t->channel.choice);
    }

    return passed != LLM_OK ? passed : rc;
}


/* Ends the texts of a choice, but for those whose types are in the set `but`.
 * LLM_DONE: it was blocked. */
static llm_rc_t
llm_stage_redact_end_choice(llm_stage_redact_t *r, unsigned choice,
    unsigned but)
{
    size_t                    i;
    llm_rc_t                  rc;
    llm_stage_redact_text_t  *t;

    for (i = 0; (t = llm_stage_redact_text(r, i)) != NULL; i++) {
        if (t->channel.choice != choice || (but >> t->channel.type & 1)) {
            continue;
        }

        rc = llm_stage_redact_end(r, t);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* Ends all texts of all choices. */
static llm_rc_t
llm_stage_redact_end_all(llm_stage_redact_t *r)
{
    size_t                    i;
    llm_rc_t                  rc;
    llm_stage_redact_text_t  *t;

    for (i = 0; !r->failed && (t = llm_stage_redact_text(r, i)) != NULL; i++)
    {
        if (llm_stage_is_cut(r->stage.chain, t->channel.choice)) {
            continue;
        }

        rc = llm_stage_redact_end(r, t);

        if (rc != LLM_OK && rc != LLM_DONE) {
            r->failed = 1;
            return rc;
        }
    }

    return LLM_OK;
}


/* An error comes: an answer that would be blocked says no finish before it. */
static llm_rc_t
llm_stage_redact_flush(llm_stage_t *s)
{
    llm_stage_redact_t  *r;

    r = (llm_stage_redact_t *) s;
    r->over = 1;

    return llm_stage_redact_end_all(r);
}


/* A text of an event that is whole: *s becomes what may be said of it, in b.
 * LLM_DONE: a blocking rule matched. */
static llm_rc_t
llm_stage_redact_whole(llm_stage_redact_t *r, llm_block_t *b, llm_slice_t *s,
    unsigned json)
{
    llm_rc_t           rc;
    llm_redact_json_t  j;

    if (s->n == 0) {
        return LLM_OK;
    }

    memset(&j, 0, sizeof(llm_redact_json_t));

    j.text.in = LLM_REDACT_CONTENT;
    b->n = 0;
    r->in.n = 0;

    rc = llm_block_append(&r->in, &r->stage.chain->alloc, s->p, s->n);

    if (rc == LLM_OK && s->escaped) {
        r->in.n = llm_json_unescape(r->in.p, r->in.p, r->in.n);
    }

    if (rc == LLM_OK) {
        rc = json ? llm_redact_json(&r->run, &j, r->in.p, r->in.n, 1, b)
                  : llm_redact_feed(&r->run, &j.text, r->in.p, r->in.n, 1, b);
    }

    llm_redact_json_free(&r->run, &j);

    s->p = b->p;
    s->n = b->n;
    s->escaped = 0;

    return llm_stage_redact_after(r, rc);
}


/* CITATION, META, FINISH: their texts are searched as they are. */
static llm_rc_t
llm_stage_redact_extra(llm_stage_redact_t *r, const llm_event_t *ev)
{
    llm_rc_t     rc;
    unsigned     blocked;
    llm_event_t  copy;

    copy = *ev;
    rc = LLM_OK;

    if (ev->type == LLM_EV_CITATION) {
        rc = llm_stage_redact_whole(r, &r->also[0], &copy.text, 0);
    }

    if (rc == LLM_OK && ev->type != LLM_EV_META) {
        rc = llm_stage_redact_whole(r, &r->also[1], &copy.name, 0);
    }

    if (rc == LLM_OK && ev->type != LLM_EV_FINISH) {
        rc = llm_stage_redact_whole(r, &r->also[2], &copy.raw, 1);
    }

    if (rc == LLM_DONE && llm_stage_is_cut(r->stage.chain, ev->choice)) {
        return LLM_OK;
    }

    if (rc == LLM_DONE) {
        blocked = r->run.rule;
        rc = llm_stage_redact_end_choice(r, ev->choice, 0);
        r->run.rule = blocked;
        return rc == LLM_OK ? llm_stage_redact_block(r, ev->choice) : rc;
    }

    copy.linesep = 1;

    return rc == LLM_OK ? llm_stage_pass(&r->stage, &copy) : rc;
}


/* Where in the text a citation belongs is not known once a mask is in it. */
static llm_rc_t
llm_stage_redact_citation(llm_stage_redact_t *r, const llm_event_t *ev)
{
    size_t                    i;
    llm_event_t               copy;
    llm_stage_redact_text_t  *t;

    copy = *ev;

    for (i = 0; (t = llm_stage_redact_text(r, i)) != NULL; i++) {
        if (t->channel.choice == ev->choice && t->masked
            && t->channel.type == LLM_EV_TEXT)
        {
            copy.start = -1;
            copy.end = -1;
        }
    }

    return llm_stage_redact_extra(r, &copy);
}


/* The text that ev is a piece of, decoded to r->in.  LLM_TOO_BIG: there are
 * too many. */
static llm_rc_t
llm_stage_redact_piece(llm_stage_redact_t *r, const llm_event_t *ev,
    llm_stage_redact_text_t **t)
{
    llm_rc_t            rc;
    llm_channels_t     *texts;
    const llm_alloc_t  *a;

    a = &r->stage.chain->alloc;
    texts = llm_stage_redact_observed(r, ev->type) ? &r->counted
                                                   : &r->channels;

    rc = llm_channel_find(texts, a, ev, (llm_channel_t **) (void *) t);
    if (rc != LLM_OK) {
        return rc;
    }

    (*t)->json.text.in = llm_stage_redact_kind(ev->type);
    r->in.n = 0;
    r->out.n = 0;

    rc = llm_channel_decode(&(*t)->channel, &r->in, a, &ev->text);

    return rc == LLM_OK && ev->whole ? llm_channel_end(&(*t)->channel, &r->in,
                                                       a) : rc;
}


/* A piece that is only counted. */
static llm_rc_t
llm_stage_redact_count(llm_stage_redact_t *r, const llm_event_t *ev)
{
    llm_rc_t                  rc;
    llm_stage_redact_text_t  *t;

    if (r->stopped
        || !(r->conf->redact->in & llm_stage_redact_kind(ev->type)))
    {
        return LLM_OK;
    }

    rc = llm_stage_redact_piece(r, ev, &t);

    /* one text too many is not counted: it goes on like the others */

    if (rc == LLM_TOO_BIG) {
        return LLM_OK;
    }

    return rc == LLM_OK ? llm_stage_redact_search(r, t, r->in.p, r->in.n,
                                                  ev->whole) : rc;
}


/* TEXT, REASONING, REFUSAL, TOOL_CALL of a kind that is covered. */
static llm_rc_t
llm_stage_redact_covered(llm_stage_redact_t *r, const llm_event_t *ev)
{
    llm_rc_t                  rc, passed;
    llm_event_t               copy;
    llm_stage_redact_text_t  *t;

    rc = llm_stage_redact_piece(r, ev, &t);

    if (rc == LLM_OK) {
        rc = llm_stage_redact_search(r, t, r->in.p, r->in.n, ev->whole);
    }

    if (rc != LLM_OK && rc != LLM_DONE) {
        return rc;
    }

    copy = *ev;
    copy.linesep = 1;
    passed = LLM_OK;

    if (ev->text.n != 0 || r->out.n != 0) {
        copy.text.p = r->out.p;
        copy.text.n = r->out.n;
        copy.text.escaped = 0;
    }

    if (rc == LLM_DONE && ev->type == LLM_EV_TOOL_CALL) {

        /* the rest of it comes with the block */

        copy.whole = 0;
    }

    if (copy.text.n != 0 || ev->text.n == 0 || ev->id.n != 0
        || ev->name.n != 0 || ev->signature.n != 0 || ev->raw.n != 0)
    {
        passed = llm_stage_pass(&r->stage, &copy);
    }

    if (passed == LLM_OK && rc == LLM_DONE) {
        passed = llm_stage_redact_block(r, ev->choice);
    }

    return passed;
}


/* A piece of a text, or what belongs to one. */
static llm_rc_t
llm_stage_redact_said(llm_stage_redact_t *r, const llm_event_t *ev)
{
    llm_rc_t     rc;
    unsigned     calls;
    llm_event_t  piece, rest;

    /* arguments end with their choice only */

    calls = 1u << LLM_EV_TOOL_CALL;

    if (ev->text.n != 0 || ev->type == LLM_EV_TOOL_CALL) {
        rc = llm_stage_redact_end_choice(r, ev->choice,
                                         calls | 1u << ev->type);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    if (llm_stage_redact_observed(r, ev->type)) {
        rc = llm_stage_pass(&r->stage, ev);
        return rc == LLM_OK ? llm_stage_redact_count(r, ev) : rc;
    }

    if (ev->type == LLM_EV_TOOL_CALL
        || (ev->signature.n == 0 && ev->raw.n == 0))
    {
        return llm_stage_redact_covered(r, ev);
    }

    /* what signs a text, or stands in for one, comes behind it */

    piece = *ev;
    piece.signature = llm_slice_null;
    piece.raw = llm_slice_null;

    rc = piece.text.n != 0 ? llm_stage_redact_covered(r, &piece) : LLM_OK;

    if (rc == LLM_OK && !llm_stage_is_cut(r->stage.chain, ev->choice)) {
        rc = llm_stage_redact_end_choice(r, ev->choice, calls);
    }

    if (rc != LLM_OK || llm_stage_is_cut(r->stage.chain, ev->choice)) {
        return rc;
    }

    rest = *ev;
    rest.text = llm_slice_null;

    return llm_stage_pass(&r->stage, &rest);
}


static llm_rc_t
llm_stage_redact_choice(llm_stage_redact_t *r, const llm_event_t *ev)
{
    llm_rc_t  rc;
    unsigned  content;

    content = r->conf->redact->changes & LLM_REDACT_CONTENT;

    if (llm_stage_is_cut(r->stage.chain, ev->choice)) {
        return LLM_OK;
    }

    switch (ev->type) {

    case LLM_EV_LOGPROBS:
        return content ? LLM_OK : llm_stage_pass(&r->stage, ev);

    case LLM_EV_CITATION:
        return content ? llm_stage_redact_citation(r, ev)
                       : llm_stage_pass(&r->stage, ev);

    case LLM_EV_FINISH:
        rc = llm_stage_redact_end_choice(r, ev->choice, 0);
        if (rc != LLM_OK) {
            return rc;
        }

        return content ? llm_stage_redact_extra(r, ev)
                       : llm_stage_pass(&r->stage, ev);

    default:    /* TEXT, REASONING, REFUSAL, TOOL_CALL */
        return llm_stage_redact_said(r, ev);
    }
}


/* One large event does not leave its memory behind. */
static void
llm_stage_redact_trim(llm_stage_redact_t *r)
{
    size_t              i;
    const llm_alloc_t  *a;

    a = &r->stage.chain->alloc;

    for (i = 0; i < 3; i++) {
        llm_block_trim(&r->also[i], a, LLM_REDACT_KEPT);
    }

    llm_block_trim(&r->in, a, LLM_REDACT_KEPT);
    llm_block_trim(&r->out, a, LLM_REDACT_KEPT);
    llm_block_trim(&r->run.text, a, LLM_REDACT_KEPT);
}


static llm_rc_t
llm_stage_redact_event(llm_stage_t *s, const llm_event_t *ev)
{
    llm_rc_t             rc;
    llm_stage_redact_t  *r;

    r = (llm_stage_redact_t *) s;

    if (r->failed) {
        return LLM_FAILED;
    }

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
    case LLM_EV_TOOL_CALL: case LLM_EV_LOGPROBS: case LLM_EV_CITATION:
    case LLM_EV_FINISH:
        rc = llm_stage_redact_choice(r, ev);
        break;

    case LLM_EV_META:
        rc = r->conf->redact->changes & LLM_REDACT_CONTENT
             ? llm_stage_redact_extra(r, ev) : llm_stage_pass(s, ev);
        break;

    case LLM_EV_END:
        rc = llm_stage_redact_end_all(r);
        rc = rc == LLM_OK ? llm_stage_pass(s, ev) : rc;
        break;

    default:
        rc = llm_stage_pass(s, ev);
        break;
    }

    llm_stage_redact_trim(r);

    /* LLM_DONE: the choice is blocked, and all was said */

    if (rc == LLM_DONE) {
        return LLM_OK;
    }

    r->failed = rc != LLM_OK;

    return rc;
}


const llm_stage_type_t  llm_stage_redact = {
    "redact", sizeof(llm_stage_redact_t), llm_stage_redact_init,
    llm_stage_redact_event, llm_stage_redact_flush, NULL,
    llm_stage_redact_drop
};
