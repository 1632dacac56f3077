/*
 * A chain of stages in a test, with a recorder at its end.
 */

#include "unit_stage.h"
#include "llm_json.h"


static void
stage_say(stage_run_t *r, const llm_slice_t *s)
{
    r->text = realloc(r->text, r->ntext + s->n + 1);
    assert_non_null(r->text);

    if (s->escaped) {
        r->ntext += llm_json_unescape(r->text + r->ntext, s->p, s->n);

    } else if (s->n != 0) {
        memcpy(r->text + r->ntext, s->p, s->n);
        r->ntext += s->n;
    }
}


static llm_rc_t
stage_last(llm_stage_t *s, const llm_event_t *ev)
{
    stage_out_t  *o;
    stage_run_t  *r;

    r = (stage_run_t *) (void *) ((char *) s - offsetof(stage_run_t, last));

    if (r->room != 0 && r->nout == r->room) {
        s->chain->closed = 1;
        return LLM_FAILED;
    }

    if (r->nout % 64 == 0) {
        r->out = realloc(r->out, (r->nout + 64) * sizeof(stage_out_t));
        assert_non_null(r->out);
    }

    o = &r->out[r->nout++];
    memset(o, 0, sizeof(stage_out_t));

    o->type = ev->type;
    o->choice = ev->choice;
    o->tool = ev->tool_index;
    o->refused = ev->refused;
    o->at = r->chain.now;
    o->from = r->ntext;
    o->output = ev->usage != NULL ? ev->usage->output : -1;
    o->named = ev->id.p != NULL || ev->name.p != NULL || ev->signature.n != 0
               || ev->raw.n != 0;

    stage_say(r, ev->type == LLM_EV_LOGPROBS ? &ev->raw : &ev->text);
    o->n = r->ntext - o->from;

    return LLM_OK;
}


static const llm_stage_type_t  stage_last_type = {
    "test", sizeof(llm_stage_t), NULL, stage_last, NULL, NULL, NULL
};


void
stage_open(stage_run_t *r, const llm_stage_conf_t *conf, unsigned n,
    size_t fail_at)
{
    memset(r, 0, sizeof(stage_run_t));

    r->chain.alloc = unit_alloc(&r->u);
    r->u.fail_at = fail_at;
    r->last.type = &stage_last_type;
    r->rc = llm_stage_chain_init(&r->chain, conf, n, &r->last);
}


void
stage_until(stage_run_t *r, int64_t now)
{
    int64_t  due;

    for ( ;; ) {
        due = llm_stage_chain_due(&r->chain);

        if (due == -1 || due > now || r->rc != LLM_OK) {
            break;
        }

        /* it is always ahead: what was due is done */

        assert_true(due > r->chain.now);

        r->chain.now = due;
        r->rc = llm_stage_chain_tick(&r->chain);
    }

    r->chain.now = now;
}


void
stage_event(stage_run_t *r, const llm_event_t *ev, int64_t now)
{
    stage_until(r, now);

    if (r->rc == LLM_OK) {
        r->rc = r->chain.first->type->event(r->chain.first, ev);
    }
}


void
stage_text(stage_run_t *r, llm_event_type_t type, unsigned choice,
    const void *p, size_t n, int64_t now)
{
    llm_u8       *copy;
    llm_event_t   ev;

    copy = unit_copy(p, n);

    ev = stage_ev(type);
    ev.choice = choice;
    ev.text.p = copy;
    ev.text.n = n;

    stage_event(r, &ev, now);
    free(copy);
}


void
stage_close(stage_run_t *r)
{
    llm_stage_chain_drop(&r->chain);
    assert_int_equal(r->u.live, 0);

    free(r->out);
    free(r->text);
}


llm_event_t
stage_ev(llm_event_type_t type)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = type;
    ev.created = -1;
    ev.start = -1;
    ev.end = -1;

    return ev;
}
