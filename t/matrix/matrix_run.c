/*
 * Runs of the flow, whole and cut.
 */

#include "matrix.h"


static size_t  live;

static const size_t  sink_room = 4096;


static void *
resize(void *ctx, void *p, size_t old, size_t n)
{
    (void) ctx;
    (void) old;

    live += p == NULL && n != 0;
    live -= p != NULL && n == 0;

    if (n == 0) {
        free(p);
        return NULL;
    }

    p = realloc(p, n);

    if (p == NULL) {
        abort();
    }

    return p;
}


typedef struct {
    llm_out_t   out;
    llm_u8     *p;
    size_t      cap;
} sink_t;


static llm_rc_t
sink_more(llm_out_t *out)
{
    size_t   n;
    sink_t  *s;

    s = out->ctx;
    n = s->p != NULL ? (size_t) (out->pos - s->p) : 0;
    s->cap = 2 * s->cap + sink_room;
    s->p = realloc(s->p, s->cap + 1);

    if (s->p == NULL) {
        abort();
    }

    out->pos = s->p + n;
    out->end = s->p + s->cap;

    return LLM_OK;
}


static void
sink_init(sink_t *s)
{
    memset(s, 0, sizeof(sink_t));
    s->out.more = sink_more;
    s->out.ctx = s;
    (void) sink_more(&s->out);
}


static char *
sink_end(sink_t *s, size_t *n)
{
    *n = (size_t) (s->out.pos - s->p);
    s->p[*n] = '\0';

    return (char *) s->p;
}


static void
configure(llm_flow_conf_t *conf, const matrix_case_t *c)
{
    memset(conf, 0, sizeof(llm_flow_conf_t));

    conf->upstream = c->from->dialect;
    conf->client = c->to->dialect;
    conf->framing = c->from->framing;
    conf->answer_in = c->answer_in;
    conf->answer_out = c->answer_out;
    conf->array_out = !c->answer_out
                      && c->to->framing == LLM_FRAMING_ARRAY;
    conf->usage = 1;
    conf->max_event = MATRIX_BOUND;
    conf->max_response = MATRIX_BOUND;
    conf->now = MATRIX_NOW;
    conf->alloc.resize = resize;
}


/* Feeds the pieces, each from memory of its own that is gone then. */
static llm_rc_t
feed(llm_flow_t *f, const char *p, size_t n, const size_t *cuts, size_t k)
{
    size_t     i, from, to;
    llm_u8    *copy;
    llm_rc_t   rc;

    from = 0;

    for (i = 0; i <= k; i++) {
        to = i < k ? cuts[i] : n;
        copy = malloc(to - from + 1);

        if (copy == NULL) {
            abort();
        }

        memcpy(copy, p + from, to - from);
        rc = llm_flow_feed(f, copy, to - from, 0);
        free(copy);

        if (rc != LLM_OK) {
            return rc;
        }

        from = to;
    }

    return LLM_OK;
}


void
matrix_run(matrix_run_t *r, const matrix_case_t *c, const char *p, size_t n,
    const size_t *cuts, size_t k)
{
    size_t            len;
    sink_t            sink, body;
    llm_flow_t        f;
    llm_flow_conf_t   conf;

    memset(r, 0, sizeof(matrix_run_t));
    configure(&conf, c);
    sink_init(&sink);
    live = 0;

    r->rc = llm_flow_init(&f, &conf, &sink.out);

    if (r->rc == LLM_OK) {
        r->rc = feed(&f, p, n, cuts, k);
    }

    if (r->rc == LLM_OK) {
        r->rc = llm_flow_eof(&f, LLM_EOF_FRAMED);
    }

    if (r->rc == LLM_FAILED) {
        r->fault = f.fault;
        r->status = llm_flow_status(&f);
        sink_init(&body);
        llm_flow_error_body(&f, &body.out);
        r->body = sink_end(&body, &len);
        r->fail = llm_flow_fail(&f, LLM_FAULT_NONE);
    }

    llm_flow_free(&f);
    r->leaked = live;
    r->p = sink_end(&sink, &r->n);
}


void
matrix_run_so_far(matrix_run_t *r, const matrix_case_t *c, const char *p,
    size_t n)
{
    sink_t            sink;
    llm_flow_t        f;
    llm_flow_conf_t   conf;

    memset(r, 0, sizeof(matrix_run_t));
    configure(&conf, c);
    sink_init(&sink);

    r->rc = llm_flow_init(&f, &conf, &sink.out);

    if (r->rc == LLM_OK) {
        r->rc = feed(&f, p, n, NULL, 0);
    }

    llm_flow_free(&f);

    if (c->to->framing == LLM_FRAMING_ARRAY && r->rc == LLM_OK) {
        llm_out_lit(&sink.out, "]");
    }

    r->p = sink_end(&sink, &r->n);
}


size_t
matrix_event_end(const matrix_side_t *side, const char *p, size_t n)
{
    char        *blank, *crlf;
    const char  *from;

    from = p + n;

    if (side->framing == LLM_FRAMING_NDJSON) {
        blank = strchr(from, '\n');
        return blank != NULL ? (size_t) (blank - p) + 1 : 0;
    }

    blank = strstr(from, "\n\n");
    crlf = strstr(from, "\r\n\r\n");

    if (crlf != NULL && (blank == NULL || crlf < blank)) {
        return (size_t) (crlf - p) + 4;
    }

    return blank != NULL ? (size_t) (blank - p) + 2 : 0;
}


void
matrix_run_free(matrix_run_t *r)
{
    free(r->p);
    free(r->body);
    memset(r, 0, sizeof(matrix_run_t));
}


static int
same(const matrix_run_t *a, const matrix_run_t *b)
{
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0 && a->rc == b->rc
           && a->fault == b->fault && a->fail == b->fail
           && a->status == b->status && a->leaked == b->leaked
           && strcmp(a->body != NULL ? a->body : "",
                     b->body != NULL ? b->body : "") == 0;
}


static void
cut(const matrix_run_t *whole, const matrix_case_t *c, const char *p,
    size_t n, const size_t *cuts, size_t k, char **differ)
{
    matrix_run_t  r;

    matrix_run(&r, c, p, n, cuts, k);

    if (*differ == NULL && !same(whole, &r)) {
        *differ = matrix_say("with %zu cuts, the first at %zu, it is "
                             "another: %.300s\n--- whole: %.300s", k,
                             cuts[0], r.p, whole->p);
    }

    matrix_run_free(&r);
}


size_t
matrix_run_cuts(matrix_run_t *r, const matrix_case_t *c, const char *p,
    size_t n, size_t cuts, char **differ)
{
    size_t         i, place, checks, seed, *all;

    *differ = NULL;
    matrix_run(r, c, p, n, NULL, 0);

    if (n < 2 || cuts == 0) {
        return 0;
    }

    all = malloc(n * sizeof(size_t));
    if (all == NULL) {
        abort();
    }

    for (i = 1; i < n; i++) {
        all[i - 1] = i;
    }

    cut(r, c, p, n, all, n - 1, differ);
    checks = 1;
    seed = n;

    /* the same places each time: a number of a fixed sequence for each part */

    for (i = 1; n - 1 <= cuts && i < n; i++, checks++) {
        cut(r, c, p, n, &i, 1, differ);
    }

    for (i = 0; n - 1 > cuts && i < cuts; i++, checks++) {
        seed = (seed * 1103515245 + 12345) & 0x7fffffff;
        place = 1 + i * (n - 1) / cuts + (seed >> 8) % ((n - 1) / cuts + 1);
        place = place < n ? place : n - 1;
        cut(r, c, p, n, &place, 1, differ);
    }

    free(all);

    return checks;
}
