/*
 * The tapping stage.  It must never change, hold or fail an event, and it
 * never gives out half a character.
 */

#include "llm_stage_tap.h"
#include "llm_channel.h"


typedef struct {
    llm_stage_t            stage;
    const llm_tap_conf_t  *conf;
    llm_channel_t          text;
    llm_channel_t          refusal;
    llm_block_t            plain;       /* what was escaped */
} llm_tap_t;


static llm_rc_t
llm_tap_init(llm_stage_t *s, const void *conf)
{
    llm_tap_t  *tap;

    tap = (llm_tap_t *) s;
    tap->conf = conf;

    return LLM_OK;
}


/* Hands out what was decoded with rc. */
static void
llm_tap_plain(llm_tap_t *tap, llm_rc_t rc)
{
    if (rc != LLM_OK) {
        tap->conf->text(tap->conf->ctx, NULL, 0);

    } else if (tap->plain.n != 0) {
        tap->conf->text(tap->conf->ctx, tap->plain.p, tap->plain.n);
    }

    tap->plain.n = 0;
}


static void
llm_tap_piece(llm_tap_t *tap, llm_channel_t *c, const llm_slice_t *s)
{
    llm_rc_t  rc;

    if (!s->escaped && c->nhalf == 0) {

        if (s->n != 0) {
            tap->conf->text(tap->conf->ctx, s->p, s->n);
        }

        return;
    }

    rc = llm_channel_decode(c, &tap->plain, &tap->stage.chain->alloc, s);

    llm_tap_plain(tap, rc);
}


static void
llm_tap_end(llm_tap_t *tap, llm_channel_t *c)
{
    llm_rc_t  rc;

    if (c->nhalf != 0) {
        rc = llm_channel_end(c, &tap->plain, &tap->stage.chain->alloc);
        llm_tap_plain(tap, rc);
    }
}


static void
llm_tap_take(llm_tap_t *tap, const llm_event_t *ev)
{
    switch (ev->type) {

    case LLM_EV_TEXT:
        if (ev->choice == 0) {
            llm_tap_piece(tap, &tap->text, &ev->text);
        }

        break;

    case LLM_EV_REFUSAL:
        if (ev->choice == 0) {
            llm_tap_piece(tap, &tap->refusal, &ev->text);
        }

        break;

    case LLM_EV_FINISH: case LLM_EV_END:
        if (ev->choice == 0) {
            llm_tap_end(tap, &tap->text);
            llm_tap_end(tap, &tap->refusal);
        }

        break;

    default:
        break;
    }
}


/* The client first: what it was not told was not said. */
static llm_rc_t
llm_tap_event(llm_stage_t *s, const llm_event_t *ev)
{
    llm_rc_t  rc;

    rc = llm_stage_pass(s, ev);

    if (rc == LLM_OK) {
        llm_tap_take((llm_tap_t *) s, ev);
    }

    return rc;
}


static void
llm_tap_drop(llm_stage_t *s)
{
    llm_tap_t  *tap;

    tap = (llm_tap_t *) s;

    llm_block_free(&tap->plain, &s->chain->alloc);
}


const llm_stage_type_t  llm_stage_tap = {
    "tap", sizeof(llm_tap_t), llm_tap_init, llm_tap_event, NULL, NULL,
    llm_tap_drop
};
