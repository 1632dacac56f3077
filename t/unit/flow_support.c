/*
 * Running a flow in a test.
 */

#include "flow_support.h"
#include "llm_json.h"


const flow_case_t  flow_default;


typedef struct {
    unit_out_t     *o;
    flow_result_t  *r;
} flow_sink_t;


static llm_rc_t
flow_pass(void *ctx, const llm_u8 *p, size_t n)
{
    flow_sink_t  *sink;

    sink = ctx;

    sink->r->passed += n;
    sink->r->passes++;

    llm_out(&sink->o->out, p, n);

    return sink->o->out.failed ? LLM_NOMEM : LLM_OK;
}


static char *
flow_string(const llm_slice_t *s)
{
    char  *copy;

    if (s->p == NULL) {
        return NULL;
    }

    copy = malloc(s->n + 1);
    assert_non_null(copy);

    memcpy(copy, s->p, s->n);
    copy[s->n] = '\0';

    return copy;
}


static void
flow_conf(llm_flow_conf_t *conf, const flow_case_t *c)
{
    memset(conf, 0, sizeof(llm_flow_conf_t));

    conf->upstream = c->upstream != NULL ? c->upstream
                                         : &llm_dialect_openai;
    conf->client = c->client != NULL ? c->client : &llm_dialect_openai;
    conf->framing = c->framing != 0 ? c->framing : conf->upstream->framing;
    conf->array_out = c->array_out;
    conf->pad = c->pad;
    conf->answer_in = c->answer_in;
    conf->answer_out = c->answer_out;
    conf->hide_usage = c->hide_usage;
    conf->usage = c->usage;
    conf->secret = c->secret;
    conf->max_event = c->max_event != 0 ? c->max_event : FLOW_PLENTY;
    conf->max_response = c->max_response != 0 ? c->max_response
                                              : FLOW_PLENTY;
    conf->max_depth = c->max_depth;
    conf->now = FLOW_NOW;
    conf->stages = c->stages;
    conf->nstages = c->nstages;
    conf->choices = c->choices;
    conf->input = -1;
}


/* The time passes. */
static llm_rc_t
flow_until(llm_flow_t *f, int64_t now)
{
    int64_t   due;
    llm_rc_t  rc;

    rc = LLM_OK;

    while (rc == LLM_OK) {
        due = llm_flow_due(f);

        if (due == -1 || due > now) {
            break;
        }

        rc = llm_flow_tick(f, due);
    }

    return rc;
}


/* Feeds [p, p + n) in pieces, each in memory of its own that is gone
 * afterwards. */
static llm_rc_t
flow_feed(llm_flow_t *f, const llm_u8 *p, size_t n, const size_t *cuts,
    size_t k, const flow_case_t *c)
{
    size_t    i, from, to;
    int64_t   now;
    llm_u8   *copy;
    llm_rc_t  rc;

    from = 0;

    for (i = 0; i <= k; i++) {
        to = i < k ? cuts[i] : n;

        if (to == from && i < k) {
            continue;
        }

        now = c->pace != 0 ? c->pace * (int64_t) i : (int64_t) from;

        rc = flow_until(f, now);
        if (rc != LLM_OK) {
            return rc;
        }

        if (c->forget) {
            memset(&f->decoder.repeat, 0, sizeof(f->decoder.repeat));
        }

        copy = unit_copy(p + from, to - from);
        rc = llm_flow_feed(f, copy, to - from, now);
        free(copy);

        if (rc != LLM_OK) {
            return rc;
        }

        from = to;
    }

    return LLM_OK;
}


static void
flow_body(flow_result_t *r, llm_flow_t *f)
{
    unit_out_t  o;

    unit_out_init(&o, 0, 0);
    llm_flow_error_body(f, &o.out);
    unit_out_end(&o);

    r->body = (char *) o.p;
}


/* What is left to read of a flow that ended with r->rc. */
static void
flow_ended(flow_result_t *r, llm_flow_t *f, unit_out_t *o)
{
    r->before = (size_t) (o->out.pos - o->p);

    if (r->rc == LLM_FAILED) {
        r->fault = f->fault;
        assert_int_not_equal(r->fault, LLM_FAULT_NONE);

        r->message = flow_string(&f->error.message);
        r->code = flow_string(&f->error.code);
        r->type = flow_string(&f->error.type);
        r->status = llm_flow_status(f);
        flow_body(r, f);

        r->fail = llm_flow_fail(f, LLM_FAULT_NONE);

        /* the end is final */

        assert_int_equal(llm_flow_feed(f, (const llm_u8 *) "data: {}\n\n", 10,
                                       0), LLM_FAILED);
        assert_int_equal(llm_flow_eof(f, LLM_EOF_FRAMED), LLM_FAILED);
        (void) llm_flow_fail(f, LLM_FAULT_NONE);

    } else if (r->rc == LLM_DONE) {
        assert_int_equal(f->done, 1);
        assert_int_equal(llm_flow_feed(f, (const llm_u8 *) "data: {}\n\n", 10,
                                       0), LLM_DONE);
        assert_int_equal(llm_flow_eof(f, LLM_EOF_BROKEN), LLM_DONE);
    }

    r->measure = f->measure;
    r->frames = f->frames;
    r->invalid = f->invalid;
    r->repaired = f->repaired;
    r->done = f->done;
    r->finish = f->finish;
}


void
flow_run(flow_result_t *r, const flow_case_t *c, const void *p, size_t n,
    const size_t *cuts, size_t k)
{
    llm_flow_t       f;
    unit_out_t       o;
    flow_sink_t      sink;
    unit_alloc_t     u;
    llm_flow_conf_t  conf;

    memset(r, 0, sizeof(flow_result_t));

    flow_conf(&conf, c);
    conf.alloc = unit_alloc(&u);
    u.fail_at = c->fail_at;

    unit_out_init(&o, c->step != 0 ? c->step : 2048, c->limit);

    sink.o = &o;
    sink.r = r;

    if (c->pass) {
        conf.pass = flow_pass;
        conf.pass_ctx = &sink;
    }

    r->rc = llm_flow_init(&f, &conf, &o.out);

    if (r->rc == LLM_OK) {
        r->rc = flow_feed(&f, p, n, cuts, k, c);
    }

    if (r->rc == LLM_OK) {
        r->rc = llm_flow_eof(&f, c->how);
        assert_int_not_equal(r->rc, LLM_OK);
    }

    flow_ended(r, &f, &o);
    llm_flow_free(&f);

    assert_int_equal(u.live, 0);

    unit_out_end(&o);

    r->p = o.p;
    r->n = o.n;
    r->peak = u.peak;
    r->calls = u.calls;
}


void
flow_run_text(flow_result_t *r, const flow_case_t *c, const char *text)
{
    flow_run(r, c, text, strlen(text), NULL, 0);
}


void
flow_forget(flow_result_t *r)
{
    free(r->p);
    free(r->message);
    free(r->code);
    free(r->type);
    free(r->body);

    memset(r, 0, sizeof(flow_result_t));
}


static int
flow_differ(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a != b : strcmp(a, b) != 0;
}


void
flow_same(const char *what, const flow_result_t *a, const flow_result_t *b)
{
    if (a->n != b->n || memcmp(a->p, b->p, a->n) != 0) {
        fail_msg("%s: output differs:\n--- %s\n--- %s", what,
                 (const char *) a->p, (const char *) b->p);
    }

    if (a->rc != b->rc || a->fault != b->fault || a->fail != b->fail
        || a->before != b->before || a->frames != b->frames
        || a->invalid != b->invalid || a->repaired != b->repaired
        || a->finish != b->finish || a->status != b->status)
    {
        fail_msg("%s: the end differs: rc %d %d, fault %d %d", what, a->rc,
                 b->rc, a->fault, b->fault);
    }

    if (a->measure.chunks != b->measure.chunks
        || a->measure.chars != b->measure.chars
        || a->measure.nfinish != b->measure.nfinish
        || memcmp(&a->measure.usage, &b->measure.usage,
                  sizeof(llm_usage_t)) != 0)
    {
        fail_msg("%s: the measure differs", what);
    }

    if (flow_differ(a->message, b->message) || flow_differ(a->code, b->code)
        || flow_differ(a->body, b->body))
    {
        fail_msg("%s: the error differs", what);
    }
}


static void
flow_cut(const char *what, const flow_result_t *whole, const flow_case_t *c,
    const llm_u8 *p, size_t n, const size_t *cuts, size_t k)
{
    char           name[200];
    flow_result_t  r;

    (void) snprintf(name, sizeof(name), "%s, %zu cuts, first at %zu", what, k,
                    k != 0 ? cuts[0] : 0);

    flow_run(&r, c, p, n, cuts, k);
    flow_same(name, whole, &r);
    flow_forget(&r);
}


void
flow_all_cuts(const char *what, flow_result_t *r, const flow_case_t *c,
    const llm_u8 *p, size_t n, size_t step, size_t random)
{
    size_t       i, k, *cuts;
    flow_case_t  slow;

    flow_run(r, c, p, n, NULL, 0);

    cuts = malloc((n + 1) * sizeof(size_t));
    assert_non_null(cuts);

    for (i = 1; i < n; i++) {
        cuts[i - 1] = i;
    }

    if (n > 1) {

        /* no frame is read as a repetition of another here */

        slow = *c;
        slow.forget = 1;

        flow_cut(what, r, c, p, n, cuts, n - 1);
        flow_cut(what, r, &slow, p, n, cuts, n - 1);
    }

    for (i = 1; i < n; i += step) {
        flow_cut(what, r, c, p, n, &i, 1);
    }

    for (i = 0; i < random; i++) {
        k = unit_random_cuts(n, cuts, n < 64 ? n : 64);
        flow_cut(what, r, c, p, n, cuts, k);
    }

    free(cuts);
}


llm_u8 *
flow_fixture(const char *name, size_t *n)
{
    char    *path, file[200];
    llm_u8  *p;

    (void) snprintf(file, sizeof(file), "t/fixtures/openai/%s", name);

    path = unit_path(file);
    p = unit_read(path, n);
    free(path);

    return p;
}


void
flow_events(unit_out_t *o, const llm_u8 *p, size_t n, const char *last)
{
    llm_rc_t         rc;
    llm_sse_t        s;
    llm_alloc_t      a;
    unit_alloc_t     u;
    llm_sse_event_t  ev;

    unit_out_init(o, 2048, 0);

    a = unit_alloc(&u);
    llm_sse_init(&s, &a, FLOW_PLENTY);
    llm_sse_feed(&s, p, n);

    for ( ;; ) {
        rc = llm_sse_next(&s, &ev);

        if (rc == LLM_AGAIN) {
            rc = llm_sse_finish(&s, &ev);
        }

        if (rc != LLM_OK) {
            break;
        }

        llm_sse_write_raw(&o->out, &ev);

        if (last != NULL && ev.data.n >= strlen(last)
            && memcmp(ev.data.p, last, strlen(last)) == 0)
        {
            break;
        }
    }

    llm_sse_free(&s);
    unit_out_end(o);
}


static int
flow_half(const char *p, const char *from, const char *to)
{
    return p[0] == '\\' && p[1] == 'u' && (p[2] == 'd' || p[2] == 'D')
           && strchr("0123456789abcdefABCDEF", p[3]) != NULL
           && p[3] != '\0' && (p[3] | 0x20) >= from[0]
           && (p[3] | 0x20) <= to[0];
}


json_t *
flow_json(const void *p, size_t n)
{
    char          *copy, *q;
    json_t        *root;
    json_error_t   error;

    copy = (char *) unit_copy(p, n + 1);
    copy[n] = '\0';

    for (q = copy; (q = strchr(q, '\\')) != NULL; ) {

        if (q[1] != 'u') {
            q += q[1] == '\0' ? 1 : 2;

        } else if (flow_half(q, "8", "b") && strlen(q) >= 12
                   && flow_half(q + 6, "c", "f"))
        {
            q += 12;

        } else {
            if (flow_half(q, "8", "f")) {
                memcpy(q + 2, "fffd", 4);
            }

            q += 6;
        }
    }

    root = json_loadb(copy, n, JSON_DECODE_ANY | JSON_ALLOW_NUL
                      | JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        fail_msg("no JSON: %s: %s", error.text, copy);
    }

    free(copy);

    return root;
}


size_t
flow_check_sse(const char *what, const llm_u8 *p, size_t n)
{
    size_t         count;
    json_t        *root;
    const llm_u8  *end, *eol;

    if (n != 0 && memchr(p, '\r', n) != NULL) {
        fail_msg("%s: a CR", what);
    }

    for (count = 0, end = p + n; p < end; count++) {
        eol = memchr(p, '\n', (size_t) (end - p));

        if (eol == NULL || eol + 1 >= end || eol[1] != '\n'
            || (size_t) (eol - p) < 6 || memcmp(p, "data: ", 6) != 0)
        {
            fail_msg("%s: not an event: %s", what, (const char *) p);
        }

        if (eol - p != 12 || memcmp(p + 6, "[DONE]", 6) != 0) {
            root = flow_json(p + 6, (size_t) (eol - p) - 6);
            json_decref(root);
        }

        p = eol + 2;
    }

    return count;
}


json_t *
flow_event(const llm_u8 *p, size_t n, size_t at)
{
    const llm_u8  *end, *eol;

    for (end = p + n; p < end; p = eol + 2) {
        eol = memchr(p, '\n', (size_t) (end - p));
        assert_non_null(eol);

        if (at-- == 0) {
            return flow_json(p + 6, (size_t) (eol - p) - 6);
        }
    }

    fail_msg("no such event");

    return NULL;
}
