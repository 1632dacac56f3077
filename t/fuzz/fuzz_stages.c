/*
 * A chain of stages over any events, in any pieces, at any times: what comes
 * out says the same in the same order, nothing is lost however it ends, and
 * what waits is bounded.
 *
 * The first bytes of the input choose the chain, how texts are cut, how the
 * time passes, the end, and the allocation that fails; the rest is a list of
 * events (fuzz_events.h), or one text.  A stage is tested by a row of
 * chains[].
 */

#include "fuzz_events.h"
#include "llm_channel.h"
#include "llm_encode.h"
#include "llm_json.h"
#include "llm_stage_coalesce.h"


#define MAX_SIZE  16384
#define HEADER    6

/* the flags of the second byte */
#define PIECES    1             /* texts are cut */
#define TIME      2             /* it passes between events */
#define FLUSH     4             /* the end is none of the upstream's */
#define ONE_TEXT  8

/* A chain, and what holds for it. */
typedef struct {
    llm_stage_conf_t  stages[4];
    unsigned          n;
    unsigned          same;     /* what is said does not change */
    size_t            held;     /* bytes that may wait, 0: any number */
} chain_t;

static const llm_coalesce_conf_t  coalesce[] = {
    { 40, 100, 0, LLM_BREAK_CLUSTER },
    { 0, 100, 16, LLM_BREAK_CLUSTER },
    { 0, 100, 0, LLM_BREAK_WORD },
    { 30, 250, 8, LLM_BREAK_SENTENCE },
    { 0, 100, 0, LLM_BREAK_LINE }
};

#define COALESCE(i)  { &llm_stage_coalesce, &coalesce[i], 0 }

static const chain_t  chains[] = {
    { { COALESCE(0) }, 1, 1, LLM_COALESCE_HELD },
    { { COALESCE(1) }, 1, 1, LLM_COALESCE_HELD },
    { { COALESCE(2) }, 1, 1, LLM_COALESCE_HELD },
    { { COALESCE(3) }, 1, 1, LLM_COALESCE_HELD },
    { { COALESCE(4) }, 1, 1, LLM_COALESCE_HELD },
    { { COALESCE(0), COALESCE(3) }, 2, 1, 2 * LLM_COALESCE_HELD }
};

/* What was said, as far as its order is to be kept: texts joined, with their
 * halves of characters put together. */
typedef struct {
    llm_channels_t    channels;
    llm_channel_t    *last;     /* whose text it was, NULL: no text */
    llm_block_t       said;
    llm_block_t       probs;    /* elements, in their own order */
    llm_usage_t       usage;
} heard_t;

typedef struct {
    llm_stage_chain_t  chain;
    llm_stage_t        last;
    heard_t            heard;
    uint32_t           random;
} run_t;


static void
heard_init(heard_t *h)
{
    memset(h, 0, sizeof(heard_t));

    h->usage = llm_usage_none;
    llm_channels_init(&h->channels, sizeof(llm_channel_t));
}


static void
heard_free(heard_t *h)
{
    llm_channels_free(&h->channels, &fuzz_alloc);
    llm_block_free(&h->said, &fuzz_alloc);
    llm_block_free(&h->probs, &fuzz_alloc);
}


static void
heard_bytes(llm_block_t *b, const void *p, size_t n)
{
    FUZZ_CHECK(llm_block_append(b, &fuzz_alloc, p, n) == LLM_OK);
}


static void
heard_slice(heard_t *h, const llm_slice_t *s)
{
    heard_bytes(&h->said, "\x1f", 1);

    if (!s->escaped) {
        heard_bytes(&h->said, s->p, s->n);
        return;
    }

    FUZZ_CHECK(llm_block_reserve(&h->said, &fuzz_alloc, s->n) == LLM_OK);
    h->said.n += llm_json_unescape(h->said.p + h->said.n, s->p, s->n);
}


static void
heard_tag(heard_t *h, llm_event_type_t type, unsigned choice, unsigned tool)
{
    char  tag[64];

    sprintf(tag, "\x1e%u %u %u ", (unsigned) type, choice, tool);
    heard_bytes(&h->said, tag, strlen(tag));
}


/* Text of a channel; `s` NULL: it ended. */
static void
heard_text(heard_t *h, llm_channel_t *c, const llm_slice_t *s)
{
    llm_rc_t     rc;
    llm_block_t  b;

    memset(&b, 0, sizeof(llm_block_t));

    rc = s != NULL ? llm_channel_decode(c, &b, &fuzz_alloc, s)
                   : llm_channel_end(c, &b, &fuzz_alloc);
    FUZZ_CHECK(rc == LLM_OK);

    if (b.n != 0) {

        if (h->last != c) {
            heard_tag(h, c->type, c->choice, c->tool_index);
            h->last = c;
        }

        heard_bytes(&h->said, b.p, b.n);
    }

    llm_block_free(&b, &fuzz_alloc);
}


static void
heard_end(heard_t *h, const llm_event_t *finish)
{
    size_t          i;
    llm_channel_t  *c;

    for (i = 0; (c = llm_channel_at(&h->channels, i)) != NULL; i++) {
        if (finish == NULL || c->choice == finish->choice) {
            heard_text(h, c, NULL);
        }
    }
}


static void
heard_probs(heard_t *h, const llm_event_t *ev)
{
    size_t          n;
    const llm_u8   *p;

    p = ev->raw.p;
    n = ev->raw.n;

    FUZZ_CHECK(n >= 2 && p[0] == '[' && p[n - 1] == ']');

    if (n > 2) {
        heard_bytes(&h->probs, ev->refused ? "\x1er" : "\x1et", 2);
        heard_bytes(&h->probs, p + 1, n - 2);
    }
}


/* All that an event says beside text of the four channels. */
static void
heard_other(heard_t *h, const llm_event_t *ev)
{
    h->last = NULL;

    heard_tag(h, ev->type, ev->choice, ev->tool_index);
    heard_slice(h, &ev->id);
    heard_slice(h, &ev->name);
    heard_slice(h, &ev->signature);
    heard_slice(h, &ev->raw);
}


static void
heard_event(heard_t *h, const llm_event_t *ev)
{
    unsigned        other;
    llm_channel_t  *c;

    other = ev->id.p != NULL || ev->name.p != NULL || ev->signature.n != 0
            || ev->raw.n != 0;

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REASONING: case LLM_EV_REFUSAL:
    case LLM_EV_TOOL_CALL:
        if (ev->text.n == 0 && !other) {
            return;
        }

        FUZZ_CHECK(llm_channel_find(&h->channels, &fuzz_alloc, ev, &c)
                   == LLM_OK);

        if (ev->type == LLM_EV_TOOL_CALL && other) {
            heard_other(h, ev);
        }

        heard_text(h, c, &ev->text);

        if (ev->type != LLM_EV_TOOL_CALL && other) {
            heard_other(h, ev);
        }

        return;

    case LLM_EV_LOGPROBS:
        heard_probs(h, ev);
        return;

    case LLM_EV_USAGE:
        llm_usage_merge(&h->usage, ev->usage);
        return;

    case LLM_EV_PING:
        return;

    case LLM_EV_FINISH:
        heard_end(h, ev);
        break;

    case LLM_EV_END:
        heard_end(h, NULL);
        break;

    default:
        break;
    }

    heard_other(h, ev);
    heard_slice(h, &ev->text);
}


static llm_rc_t
run_last(llm_stage_t *s, const llm_event_t *ev)
{
    run_t  *r;

    r = (run_t *) (void *) ((char *) s - offsetof(run_t, last));
    heard_event(&r->heard, ev);

    return LLM_OK;
}


static const llm_stage_type_t  run_last_type = {
    "fuzz", sizeof(llm_stage_t), NULL, run_last, NULL, NULL, NULL
};


static unsigned
run_random(run_t *r, unsigned below)
{
    r->random = r->random * 1664525 + 1013904223;

    return (r->random >> 16) % below;
}


/* The time passes: what is due is woken, when it is. */
static llm_rc_t
run_until(run_t *r, int64_t now)
{
    int64_t   due;
    llm_rc_t  rc;

    for ( ;; ) {
        due = llm_stage_chain_due(&r->chain);

        if (due == -1 || due > now) {
            break;
        }

        FUZZ_CHECK(due > r->chain.now);
        r->chain.now = due;

        rc = llm_stage_chain_tick(&r->chain);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    r->chain.now = now;

    return LLM_OK;
}


/* One event, its text in memory that is gone when it returns. */
static llm_rc_t
run_event(run_t *r, const llm_event_t *ev, unsigned flags)
{
    llm_u8       *p;
    llm_rc_t      rc;
    llm_event_t   copy;

    if (flags & TIME) {
        rc = run_until(r, r->chain.now + run_random(r, 70));
        if (rc != LLM_OK) {
            return rc;
        }
    }

    copy = *ev;
    p = fuzz_copy(ev->text.p, ev->text.n);

    if (ev->text.p != NULL) {
        copy.text.p = p;
    }

    rc = r->chain.first->type->event(r->chain.first, &copy);
    free(p);

    return rc;
}


/* An event, its text in pieces if it may be cut. */
static llm_rc_t
run_pieces(run_t *r, const llm_event_t *ev, unsigned flags)
{
    size_t       n;
    llm_rc_t     rc;
    llm_event_t  piece;

    if (!(flags & PIECES) || ev->type > LLM_EV_REFUSAL
        || ev->type < LLM_EV_TEXT)
    {
        return run_event(r, ev, flags);
    }

    piece = *ev;
    piece.signature = llm_slice_null;
    piece.raw = llm_slice_null;
    rc = LLM_OK;

    while (rc == LLM_OK && piece.text.n != 0) {
        n = piece.text.n;
        piece.text.n = fuzz_units(piece.text.p, n, ev->text.escaped,
                                  1 + run_random(r, 5));
        rc = run_event(r, &piece, flags);

        piece.text.p += piece.text.n;
        piece.text.n = n - piece.text.n;
    }

    if (rc == LLM_OK && (ev->signature.n != 0 || ev->raw.n != 0)) {
        piece = *ev;
        piece.text = llm_slice_null;
        rc = run_event(r, &piece, flags);
    }

    return rc;
}


static llm_rc_t
run_events(run_t *r, const fuzz_events_t *l, unsigned flags)
{
    unsigned  i;
    llm_rc_t  rc;

    rc = LLM_OK;

    for (i = 0; i < l->n && rc == LLM_OK; i++) {
        rc = run_pieces(r, &l->ev[i], flags);
    }

    return rc;
}


static void
run_chain(run_t *r, const chain_t *c, const fuzz_events_t *l,
    const uint8_t *header, unsigned flags, unsigned fail)
{
    llm_rc_t     rc;
    llm_event_t  end;
    fuzz_heap_t  heap;

    memset(r, 0, sizeof(run_t));
    heard_init(&r->heard);

    r->random = header[2] | (uint32_t) header[3] << 8;
    r->last.type = &run_last_type;
    r->chain.alloc = fuzz_heap(&heap, fail);
    r->chain.now = 1000;

    rc = llm_stage_chain_init(&r->chain, c->stages, c->n, &r->last);

    if (rc == LLM_OK) {
        rc = run_events(r, l, flags);
    }

    if (rc == LLM_OK && (flags & FLUSH)) {
        rc = llm_stage_chain_flush(&r->chain);
        heard_end(&r->heard, NULL);

    } else if (rc == LLM_OK) {
        memset(&end, 0, sizeof(llm_event_t));
        end.type = LLM_EV_END;
        rc = run_event(r, &end, flags);
    }

    FUZZ_CHECK(rc == LLM_OK || (fail != 0 && rc == LLM_NOMEM));

    /* at its end nothing waits */

    if (rc == LLM_OK) {
        FUZZ_CHECK(llm_stage_chain_due(&r->chain) == -1);
        FUZZ_CHECK(r->chain.first->held == 0);
    }

    FUZZ_CHECK(c->held == 0 || r->chain.held_max <= c->held);

    llm_stage_chain_drop(&r->chain);
    FUZZ_CHECK(heap.live == 0);
}


static int
heard_differ(const llm_block_t *a, const llm_block_t *b)
{
    return a->n != b->n || (a->n != 0 && memcmp(a->p, b->p, a->n) != 0);
}


/* The elements without what joins them. */
static void
heard_squeeze(llm_block_t *b)
{
    size_t    i, k;
    unsigned  refused, changed;

    refused = 2;

    for (i = 0, k = 0; i < b->n; i++) {

        if (b->p[i] == 0x1e) {
            changed = refused != (b->p[i + 1] == 'r');
            refused = b->p[++i] == 'r';
            b->p[k++] = changed ? b->p[i] : ',';

        } else if (b->p[i] > ' ') {
            b->p[k++] = b->p[i];
        }
    }

    b->n = k;
}


static void
check(const chain_t *c, const fuzz_events_t *l, const uint8_t *header)
{
    run_t        r;
    heard_t      whole;
    unsigned     i;
    llm_event_t  end;

    heard_init(&whole);

    for (i = 0; i < l->n; i++) {
        heard_event(&whole, &l->ev[i]);
    }

    heard_end(&whole, NULL);

    if (!(header[1] & FLUSH)) {
        memset(&end, 0, sizeof(llm_event_t));
        end.type = LLM_EV_END;
        heard_event(&whole, &end);
    }

    run_chain(&r, c, l, header, header[1], 0);

    if (c->same) {
        heard_squeeze(&whole.probs);
        heard_squeeze(&r.heard.probs);

        FUZZ_CHECK(!heard_differ(&whole.said, &r.heard.said));
        FUZZ_CHECK(!heard_differ(&whole.probs, &r.heard.probs));
        FUZZ_CHECK(memcmp(&whole.usage, &r.heard.usage, sizeof(llm_usage_t))
                   == 0);
    }

    heard_free(&r.heard);
    heard_free(&whole);

    if (header[4] != 0) {
        run_chain(&r, c, l, header, header[1], header[4]);
        heard_free(&r.heard);
    }
}


/* All of the input as one text, whatever its bytes are. */
static void
one_text(fuzz_events_t *l, const uint8_t *p, size_t n)
{
    llm_event_t  *ev;
    llm_block_t   b;

    memset(l, 0, sizeof(fuzz_events_t));
    memset(&b, 0, sizeof(llm_block_t));

    FUZZ_CHECK(llm_utf8_repair(&b, &fuzz_alloc, p, n) == LLM_OK);

    ev = fuzz_add(l, LLM_EV_TEXT, 0);
    ev->text = fuzz_keep(l, &b, 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_events_t  l;
    const chain_t  *c;

    if (size < HEADER || size > MAX_SIZE) {
        return 0;
    }

    c = &chains[data[0] % (sizeof(chains) / sizeof(chains[0]))];

    if (data[1] & ONE_TEXT) {
        one_text(&l, data + HEADER, size - HEADER);

    } else {
        fuzz_events_read(&l, data + HEADER, size - HEADER, data[5]);
    }

    check(c, &l, data);
    fuzz_events_free(&l);

    return 0;
}
