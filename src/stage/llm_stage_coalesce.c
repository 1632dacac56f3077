/*
 * Joins small pieces of a text.  It holds the end of one text at a time, the
 * one that is being said: whatever else comes, another text, a tool call, a
 * finish, is let by only when all of that went first, so the order of
 * different things stays.  It must never hold a byte longer than max_delay,
 * part a character, or change a text.
 *
 * Usage and log probabilities do not interrupt a text, for some providers say
 * them with every token: they wait behind it.
 */

#include "llm_stage_coalesce.h"
#include "llm_arrivals.h"
#include "llm_channel.h"
#include "llm_encode.h"

#include <utf8proc.h>


/* memory kept for the text; one big event does not leave more behind */
#define LLM_COALESCE_KEPT    (4 * LLM_COALESCE_HELD)

#define LLM_COALESCE_PROBS   65536      /* bytes of log probabilities held */


typedef struct {
    llm_channel_t         text;
    llm_break_t           place;
    unsigned              begun;        /* some of it was given out */
} llm_coalesce_text_t;

/* A place in what is held. */
typedef struct {
    size_t                bytes;        /* before it */
    size_t                chars;
} llm_coalesce_cut_t;

typedef struct {
    llm_stage_t           stage;
    const llm_coalesce_conf_t  *conf;
    llm_channels_t        texts;
    llm_coalesce_text_t  *text;         /* the one that is held; NULL: none
                                           was seen */
    llm_block_t           held;
    llm_coalesce_cut_t    cluster;      /* the last places of the kind in what
                                           is held; 0: none */
    llm_coalesce_cut_t    word;
    llm_coalesce_cut_t    unit;         /* what boundary asks for */
    llm_coalesce_cut_t    end;          /* all of it */
    llm_arrivals_t        came;

    /* what waits behind the text; empty while no text is held */
    llm_block_t           probs;        /* the elements, without brackets */
    unsigned              refused;
    llm_usage_t           usage;
    unsigned              has_usage;
} llm_coalesce_t;


static llm_rc_t
llm_coalesce_init(llm_stage_t *stage, const void *conf)
{
    llm_coalesce_t  *s;

    s = (llm_coalesce_t *) stage;

    s->conf = conf;
    s->usage = llm_usage_none;
    llm_channels_init(&s->texts, sizeof(llm_coalesce_text_t));

    return LLM_OK;
}


static void
llm_coalesce_drop(llm_stage_t *stage)
{
    llm_coalesce_t     *s;
    const llm_alloc_t  *a;

    s = (llm_coalesce_t *) stage;
    a = &stage->chain->alloc;

    llm_channels_free(&s->texts, a);
    llm_block_free(&s->held, a);
    llm_block_free(&s->probs, a);
}


/* Log probabilities go with the text that they came behind, or alone when
 * they are many. */
static llm_rc_t
llm_coalesce_give_probs(llm_coalesce_t *s)
{
    llm_rc_t      rc;
    llm_event_t   ev;

    if (s->probs.n == 0) {
        return LLM_OK;
    }

    rc = llm_block_append(&s->probs, &s->stage.chain->alloc, "]", 1);
    if (rc != LLM_OK) {
        return rc;
    }

    ev = llm_channel_event(&s->text->text, NULL, 0);

    ev.type = LLM_EV_LOGPROBS;
    ev.text = llm_slice_null;
    ev.refused = s->refused;
    ev.raw.p = s->probs.p;
    ev.raw.n = s->probs.n;

    s->probs.n = 0;

    return llm_stage_pass(&s->stage, &ev);
}


static llm_rc_t
llm_coalesce_give_usage(llm_coalesce_t *s)
{
    llm_event_t  ev;
    llm_usage_t  usage;

    if (!s->has_usage) {
        return LLM_OK;
    }

    usage = s->usage;

    s->has_usage = 0;
    s->usage = llm_usage_none;

    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = LLM_EV_USAGE;
    ev.created = -1;
    ev.start = -1;
    ev.end = -1;
    ev.usage = &usage;

    return llm_stage_pass(&s->stage, &ev);
}


static void
llm_coalesce_move_cut(llm_coalesce_cut_t *cut, llm_coalesce_cut_t by)
{
    if (cut->bytes <= by.bytes) {
        cut->bytes = 0;
        cut->chars = 0;
        return;
    }

    cut->bytes -= by.bytes;
    cut->chars -= by.chars;
}


/* One big event does not leave its memory behind.  If there is no other it
 * stays. */
static void
llm_coalesce_shrink(llm_coalesce_t *s)
{
    llm_block_t         rest;
    const llm_alloc_t  *a;

    if (s->held.cap <= LLM_COALESCE_KEPT || s->held.n > LLM_COALESCE_HELD) {
        return;
    }

    a = &s->stage.chain->alloc;
    memset(&rest, 0, sizeof(llm_block_t));

    if (s->held.n == 0
        || llm_block_append(&rest, a, s->held.p, s->held.n) == LLM_OK)
    {
        llm_block_free(&s->held, a);
        s->held = rest;
    }
}


/* Forgets what was given out. */
static void
llm_coalesce_move(llm_coalesce_t *s, llm_coalesce_cut_t to)
{
    llm_arrivals_move(&s->came, to.bytes, s->end.bytes);
    llm_coalesce_move_cut(&s->unit, to);
    llm_coalesce_move_cut(&s->word, to);
    llm_coalesce_move_cut(&s->cluster, to);
    llm_coalesce_move_cut(&s->end, to);

    memmove(s->held.p, s->held.p + to.bytes, s->end.bytes);
    s->held.n = s->end.bytes;

    llm_coalesce_shrink(s);
}


static llm_rc_t
llm_coalesce_give(llm_coalesce_t *s, llm_coalesce_cut_t to)
{
    llm_rc_t     rc;
    llm_event_t  ev;

    if (to.bytes == 0) {
        return LLM_OK;
    }

    ev = llm_channel_event(&s->text->text, s->held.p, to.bytes);
    s->text->begun = 1;

    rc = llm_stage_pass(&s->stage, &ev);

    if (rc != LLM_OK) {
        return rc;
    }

    llm_coalesce_move(s, to);

    rc = llm_coalesce_give_probs(s);
    if (rc != LLM_OK) {
        return rc;
    }

    return s->end.bytes == 0 ? llm_coalesce_give_usage(s) : LLM_OK;
}


/* Milliseconds that the byte at k has waited. */
static int64_t
llm_coalesce_age(const llm_coalesce_t *s, size_t k)
{
    return s->stage.chain->now - llm_arrivals_at(&s->came, k);
}


/* Whether what lies behind a cut may go on waiting.  least: no place is
 * behind it, so neither time nor size could move more. */
static int
llm_coalesce_waits(const llm_coalesce_t *s, const llm_coalesce_cut_t *cut,
    unsigned least)
{
    int64_t                     age;
    const llm_coalesce_conf_t  *conf;

    if (cut->bytes == s->end.bytes) {
        return 1;
    }

    conf = s->conf;
    age = llm_coalesce_age(s, cut->bytes);

    if (age >= conf->max_delay
        || s->end.bytes - cut->bytes > LLM_COALESCE_HELD)
    {
        return 0;
    }

    return least
           || ((conf->time == 0 || age < conf->time)
               && (conf->size == 0
                   || s->end.chars - cut->chars < conf->size));
}


/* ms that arguments of a tool call wait for more of them. */
static inline int64_t
llm_coalesce_patience(const llm_coalesce_t *s)
{
    return s->conf->time != 0 ? s->conf->time : s->conf->max_delay;
}


static inline int
llm_coalesce_is_call(const llm_coalesce_t *s)
{
    return s->text->text.type == LLM_EV_TOOL_CALL;
}


static llm_coalesce_cut_t
llm_coalesce_text_place(const llm_coalesce_t *s)
{
    if (!s->text->begun && !llm_break_joins(&s->text->place)) {
        return s->end;
    }

    if (s->text->begun || s->cluster.bytes == 0) {

        if (llm_coalesce_waits(s, &s->unit,
                               s->unit.bytes == s->cluster.bytes))
        {
            return s->unit;
        }

        if (s->word.bytes != 0
            && llm_coalesce_waits(s, &s->word,
                                  s->word.bytes == s->cluster.bytes))
        {
            return s->word;
        }
    }

    return llm_coalesce_waits(s, &s->cluster, 1) ? s->cluster : s->end;
}


/*
 * What goes now: as little as may be, ending at the best place there is.
 * What boundary asks for goes at once; beyond that a word is better than a
 * cluster, and a cluster than a character.
 */
static llm_coalesce_cut_t
llm_coalesce_place(const llm_coalesce_t *s)
{
    static const llm_coalesce_cut_t  nothing;

    if (!llm_coalesce_is_call(s)) {
        return llm_coalesce_text_place(s);
    }

    return llm_coalesce_age(s, 0) < llm_coalesce_patience(s)
           && s->end.bytes <= LLM_COALESCE_HELD ? nothing : s->end;
}


/* When the oldest byte must go, or can and is to. */
static int64_t
llm_coalesce_due(const llm_coalesce_t *s)
{
    if (s->end.bytes == 0) {
        return -1;
    }

    return llm_arrivals_at(&s->came, 0)
           + (llm_coalesce_is_call(s) || s->cluster.bytes != 0
              ? llm_coalesce_patience(s) : s->conf->max_delay);
}


static llm_rc_t
llm_coalesce_settled(llm_coalesce_t *s, llm_rc_t rc)
{
    s->stage.due = llm_coalesce_due(s);
    llm_stage_held(&s->stage, s->end.bytes);

    return rc;
}


/* Gives away what is to go by now. */
static llm_rc_t
llm_coalesce_settle(llm_coalesce_t *s)
{
    if (s->end.bytes == 0) {
        return LLM_OK;
    }

    return llm_coalesce_settled(s, llm_coalesce_give(s,
                                                     llm_coalesce_place(s)));
}


/* Gives away all that is held, so that something else may follow. */
static llm_rc_t
llm_coalesce_give_all(llm_coalesce_t *s)
{
    if (s->end.bytes == 0) {
        return LLM_OK;
    }

    return llm_coalesce_settled(s, llm_coalesce_give(s, s->end));
}


static inline size_t
llm_coalesce_next(const llm_u8 *p, size_t n, int32_t *c)
{
    utf8proc_ssize_t  k;

    if (*p < 0x80) {
        *c = *p;
        return 1;
    }

    k = utf8proc_iterate(p, (utf8proc_ssize_t) n, c);

    if (k <= 0) {
        *c = 0xfffd;
        return 1;
    }

    return (size_t) k;
}


/* The end is a place of this kind. */
static inline void
llm_coalesce_found(llm_coalesce_t *s, llm_break_at_t at)
{
    if (at == LLM_BREAK_NONE) {
        return;
    }

    s->cluster = s->end;

    if (s->conf->boundary == LLM_BREAK_CLUSTER) {
        return;
    }

    if (at >= LLM_BREAK_WORD) {
        s->word = s->end;
    }

    if (at >= s->conf->boundary) {
        s->unit = s->end;
    }
}


/* Takes in what was appended to held: the time, and the places in it. */
static void
llm_coalesce_scan(llm_coalesce_t *s)
{
    size_t        n;
    int32_t       c;
    llm_break_t  *b;

    if (s->end.bytes == s->held.n) {
        return;
    }

    llm_arrivals_add(&s->came, s->end.bytes, s->stage.chain->now,
                     s->conf->max_delay);

    if (llm_coalesce_is_call(s)) {
        s->end.bytes = s->held.n;
        return;
    }

    b = &s->text->place;

    while (s->end.bytes < s->held.n) {
        n = llm_coalesce_next(s->held.p + s->end.bytes,
                              s->held.n - s->end.bytes, &c);

        llm_coalesce_found(s, llm_break_next(b, c));
        s->end.bytes += n;
        s->end.chars++;
    }

    llm_coalesce_found(s, llm_break_after(b));
}


/* The text that ev is a piece of becomes the one that is held.  LLM_TOO_BIG:
 * there are too many. */
static llm_rc_t
llm_coalesce_turn(llm_coalesce_t *s, const llm_event_t *ev)
{
    llm_rc_t              rc;
    llm_channel_t        *c;
    llm_coalesce_text_t  *text;

    text = s->text;

    if (text != NULL && text->text.type == ev->type
        && text->text.choice == ev->choice
        && (ev->type != LLM_EV_TOOL_CALL
            || text->text.tool_index == ev->tool_index))
    {
        return LLM_OK;
    }

    rc = llm_coalesce_give_all(s);
    if (rc != LLM_OK) {
        return rc;
    }

    rc = llm_channel_find(&s->texts, &s->stage.chain->alloc, ev, &c);

    if (rc == LLM_OK) {
        s->text = (llm_coalesce_text_t *) c;
        s->text->place.want = s->conf->boundary;
    }

    return rc;
}


/* A call begins: its arguments so far go with it. */
static llm_rc_t
llm_coalesce_call(llm_coalesce_t *s, const llm_event_t *ev)
{
    llm_rc_t     rc;
    llm_event_t  begin;

    rc = llm_coalesce_give_all(s);

    if (rc != LLM_OK || ev->whole) {
        return rc == LLM_OK ? llm_stage_pass(&s->stage, ev) : rc;
    }

    rc = llm_channel_decode(&s->text->text, &s->held,
                            &s->stage.chain->alloc, &ev->text);
    if (rc != LLM_OK) {
        return rc;
    }

    begin = *ev;

    if (begin.text.n != 0) {
        begin.text.p = s->held.n != 0 ? s->held.p : (const llm_u8 *) "";
        begin.text.n = s->held.n;
        begin.text.escaped = 0;
        begin.linesep = 1;
    }

    s->held.n = 0;

    return llm_stage_pass(&s->stage, &begin);
}


/* A piece of a text. */
static llm_rc_t
llm_coalesce_piece(llm_coalesce_t *s, const llm_event_t *ev)
{
    llm_rc_t     rc;
    unsigned     begins, sealed;
    llm_event_t  rest;

    begins = ev->type == LLM_EV_TOOL_CALL
             && (ev->id.p != NULL || ev->name.p != NULL
                 || ev->signature.n != 0 || ev->whole);

    sealed = ev->signature.n != 0 || ev->raw.n != 0;

    if (ev->text.n == 0 && !begins && !sealed) {
        return LLM_OK;
    }

    rc = llm_coalesce_turn(s, ev);

    if (rc == LLM_TOO_BIG) {
        return llm_stage_pass(&s->stage, ev);
    }

    if (rc != LLM_OK) {
        return rc;
    }

    if (begins) {
        return llm_coalesce_call(s, ev);
    }

    rc = llm_channel_decode(&s->text->text, &s->held,
                            &s->stage.chain->alloc, &ev->text);
    if (rc != LLM_OK) {
        return rc;
    }

    llm_coalesce_scan(s);

    if (!sealed) {
        return llm_coalesce_settle(s);
    }

    /* it is of all the text before it */

    rc = llm_coalesce_give_all(s);
    if (rc != LLM_OK) {
        return rc;
    }

    rest = *ev;
    rest.text = llm_slice_null;

    return llm_stage_pass(&s->stage, &rest);
}


static llm_rc_t
llm_coalesce_probs(llm_coalesce_t *s, const llm_event_t *ev)
{
    size_t              n;
    llm_rc_t            rc;
    const llm_u8       *p;
    const llm_alloc_t  *a;

    p = ev->raw.p;
    n = ev->raw.n;

    if (s->end.bytes == 0 || s->text->text.choice != ev->choice || n < 2
        || p[0] != '[' || p[n - 1] != ']')
    {
        rc = llm_coalesce_give_all(s);
        return rc == LLM_OK ? llm_stage_pass(&s->stage, ev) : rc;
    }

    for (p++, n -= 2; n != 0 && *p <= ' '; p++, n--) { /* void */ }

    if (n == 0) {
        return LLM_OK;
    }

    if (s->refused != ev->refused || s->probs.n > LLM_COALESCE_PROBS) {
        rc = llm_coalesce_give_probs(s);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    a = &s->stage.chain->alloc;
    s->refused = ev->refused;

    rc = llm_block_append(&s->probs, a, s->probs.n == 0 ? "[" : ",", 1);

    return rc == LLM_OK ? llm_block_append(&s->probs, a, p, n) : rc;
}


/* No more of the texts of a choice, or of all: what is left of them. */
static llm_rc_t
llm_coalesce_end(llm_coalesce_t *s, const unsigned *choice)
{
    size_t          i;
    llm_rc_t        rc;
    llm_channel_t  *c;

    rc = llm_coalesce_give_all(s);

    for (i = 0; rc == LLM_OK; i++) {

        c = llm_channel_at(&s->texts, i);
        if (c == NULL) {
            break;
        }

        if (c->nhalf == 0 || (choice != NULL && c->choice != *choice)) {
            continue;
        }

        s->text = (llm_coalesce_text_t *) c;

        rc = llm_channel_end(c, &s->held, &s->stage.chain->alloc);

        if (rc == LLM_OK) {
            llm_coalesce_scan(s);
            rc = llm_coalesce_give_all(s);
        }
    }

    return rc;
}


static llm_rc_t
llm_coalesce_event(llm_stage_t *stage, const llm_event_t *ev)
{
    llm_rc_t         rc;
    llm_coalesce_t  *s;

    s = (llm_coalesce_t *) stage;

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
    case LLM_EV_TOOL_CALL:
        return llm_coalesce_piece(s, ev);

    case LLM_EV_LOGPROBS:
        return llm_coalesce_probs(s, ev);

    case LLM_EV_USAGE:
        if (s->end.bytes != 0) {
            llm_usage_merge(&s->usage, ev->usage);
            s->has_usage = 1;
            return LLM_OK;
        }

        return llm_stage_pass(stage, ev);

    case LLM_EV_PING:
        return llm_stage_pass(stage, ev);

    case LLM_EV_FINISH:
        rc = llm_coalesce_end(s, &ev->choice);
        break;

    case LLM_EV_END:
        rc = llm_coalesce_end(s, NULL);
        break;

    default:
        rc = llm_coalesce_give_all(s);
        break;
    }

    return rc == LLM_OK ? llm_stage_pass(stage, ev) : rc;
}


static llm_rc_t
llm_coalesce_flush(llm_stage_t *stage)
{
    return llm_coalesce_end((llm_coalesce_t *) stage, NULL);
}


static llm_rc_t
llm_coalesce_tick(llm_stage_t *stage)
{
    return llm_coalesce_settle((llm_coalesce_t *) stage);
}


const llm_stage_type_t  llm_stage_coalesce = {
    "coalesce", sizeof(llm_coalesce_t), llm_coalesce_init,
    llm_coalesce_event, llm_coalesce_flush, llm_coalesce_tick,
    llm_coalesce_drop
};
