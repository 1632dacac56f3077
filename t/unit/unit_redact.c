/*
 * Rules of redaction in a test.
 */

#include "unit_redact.h"


void
unit_redact_begin(unit_redact_t *u)
{
    memset(u, 0, sizeof(unit_redact_t));

    u->alloc = unit_alloc(&u->unit);
    llm_redact_init(&u->redact, &u->alloc);

    u->conf.redact = &u->redact;
    u->conf.counts = u->counts;
    u->conf.gave_up = &u->gave_up;
}


void
unit_redact_rule(unit_redact_t *u, const char *regex, unsigned in,
    llm_redact_action_t action, const char *with)
{
    llm_rc_t           rc;
    llm_redact_why_t   why;
    llm_redact_rule_t  rule;

    memset(&rule, 0, sizeof(llm_redact_rule_t));

    rule.name = llm_slice("rule");
    rule.with.p = (const llm_u8 *) with;
    rule.with.n = strlen(with);
    rule.action = action;
    rule.in = in;
    rule.max = 200;

    rc = llm_redact_regex(&u->redact, &rule, (const llm_u8 *) regex,
                          strlen(regex), &why);
    assert_int_equal(rc, LLM_OK);
    assert_true(llm_redact_nrules(&u->redact) <= UNIT_REDACT_RULES);
}


llm_stage_conf_t
unit_redact_stage(const unit_redact_t *u)
{
    llm_stage_conf_t  c;

    memset(&c, 0, sizeof(llm_stage_conf_t));

    c.type = &llm_stage_redact;
    c.conf = &u->conf;
    c.observes = llm_stage_redact_observes(&u->redact);

    return c;
}


void
unit_redact_end(unit_redact_t *u)
{
    llm_redact_free(&u->redact);
    assert_int_equal(u->unit.live, 0);
}
