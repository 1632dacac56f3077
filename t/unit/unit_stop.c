/*
 * Running the stop stage by itself in a test.
 */

#include "unit_stop.h"
#include "llm_json.h"
#include "llm_utf8.h"


static stop_out_t  stop_out;


static unsigned
stop_type(llm_event_type_t type)
{
    return type == LLM_EV_TEXT ? 0 : type == LLM_EV_REFUSAL ? 1 : 2;
}


static void
stop_record(stop_out_t *o, const llm_event_t *ev)
{
    size_t   *n;
    llm_u8   *p, *at;

    n = &o->n[ev->choice % STOP_CHOICES][stop_type(ev->type)];
    p = o->text[ev->choice % STOP_CHOICES][stop_type(ev->type)];

    assert_true(*n + ev->text.n < STOP_TEXT);

    at = p + *n;

    if (ev->text.escaped) {
        *n += llm_json_unescape(at, ev->text.p, ev->text.n);

    } else if (ev->text.n != 0) {
        memcpy(at, ev->text.p, ev->text.n);
        *n += ev->text.n;
    }

    /* never a part of a character, and what may be in it is said */

    assert_int_equal(llm_utf8_check(at, (size_t) (p + *n - at))
                     & (LLM_UTF8_INVALID
                        | (ev->linesep || ev->text.escaped ? 0
                                                      : LLM_UTF8_LINESEP)),
                     0);
}


static llm_rc_t
stop_last(llm_stage_t *s, const llm_event_t *ev)
{
    stop_run_t  *r;
    stop_out_t  *o;

    static const char  letters[] = "StrfcliuFEpmX";

    r = (stop_run_t *) (void *) ((char *) s - offsetof(stop_run_t, last));
    o = r->out;

    o->log[o->nlog++] = letters[ev->type];
    o->same = ev;

    switch (ev->type) {

    case LLM_EV_TEXT: case LLM_EV_REFUSAL: case LLM_EV_REASONING:
        stop_record(o, ev);
        break;

    case LLM_EV_FINISH:
        assert_int_equal(o->finished[ev->choice], 0);
        assert_int_equal(ev->finish, LLM_FINISH_STOP);

        o->finished[ev->choice] = 1;
        o->nname[ev->choice] = ev->name.n;

        if (ev->name.n != 0) {
            memcpy(o->name[ev->choice], ev->name.p, ev->name.n);
        }

        break;

    default:
        break;
    }

    return LLM_OK;
}


static const llm_stage_type_t  stop_last_type = {
    "last", sizeof(llm_stage_t), NULL, stop_last, NULL, NULL, NULL
};


void
stop_begin(stop_run_t *r, const llm_slice_t *list, unsigned n, size_t fail_at)
{
    llm_rc_t          rc;
    llm_stage_conf_t  conf;

    memset(r, 0, sizeof(stop_run_t));
    memset(&stop_out, 0, sizeof(stop_out_t));

    r->memory = malloc(llm_match_size(list, n));
    assert_non_null(r->memory);
    llm_match_init(&r->match, r->memory, list, n);

    conf = (llm_stage_conf_t) { &llm_stage_stop, &r->match, 0 };

    r->out = &stop_out;
    r->last.type = &stop_last_type;
    r->chain.alloc = unit_alloc(&r->u);

    rc = llm_stage_chain_init(&r->chain, &conf, 1, &r->last);
    assert_int_equal(rc, LLM_OK);

    r->u.fail_at = fail_at != 0 ? r->u.calls + fail_at : 0;
}


void
stop_end(stop_run_t *r)
{
    llm_stage_chain_drop(&r->chain);
    free(r->memory);

    assert_int_equal(r->u.live, 0);
}


llm_event_t
stop_event(llm_event_type_t type, unsigned choice, const void *p, size_t n,
    unsigned escaped)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(llm_event_t));

    ev.type = type;
    ev.choice = choice;
    ev.created = -1;
    ev.linesep = 1;

    if (p != NULL) {
        ev.text = (llm_slice_t) { p, n, escaped };
    }

    return ev;
}


llm_rc_t
stop_send(stop_run_t *r, llm_event_type_t type, unsigned choice,
    const void *p, size_t n, unsigned escaped)
{
    llm_u8       *copy;
    llm_rc_t      rc;
    llm_event_t   ev;

    copy = unit_copy(p, n);
    ev = stop_event(type, choice, copy, n, escaped);
    ev.finish = LLM_FINISH_STOP;
    ev.linesep = (llm_utf8_check(copy, n) & LLM_UTF8_LINESEP) != 0;

    rc = r->chain.first->type->event(r->chain.first, &ev);

    free(copy);

    return rc;
}


void
stop_text(stop_run_t *r, unsigned choice, const char *text)
{
    assert_int_equal(stop_send(r, LLM_EV_TEXT, choice, text, strlen(text), 0),
                     LLM_OK);
}


void
stop_other(stop_run_t *r, llm_event_type_t type, unsigned choice)
{
    assert_int_equal(stop_send(r, type, choice, "x", 1, 1), LLM_OK);
}
