/*
 * The flow, for every pair of dialects: what an upstream sends, whatever it
 * is, becomes the same output however it is cut and whether or not the
 * decoder learned from earlier frames; the output is UTF-8 and in the
 * client's framing with valid JSON, and a terminator is there only if the
 * upstream had finished.
 *
 * The first bytes of the input choose the pair, the forms, the bounds, the
 * cuts, and the allocation that fails.
 */

#include "fuzz_support.h"
#include "llm_flow.h"
#include "llm_json.h"
#include "llm_utf8.h"


#define MAX_SIZE  200000
#define HEADER    7

#define LEARNS    0
#define FORGETS   1


typedef struct {
    unsigned        calls;
    unsigned        fail_at;
    size_t          live;
} heap_t;

typedef struct {
    fuzz_out_t      out;
    size_t          before;     /* bytes before llm_flow_fail() */
    llm_rc_t        rc;
    llm_fault_t     fault;
    llm_rc_t        fail;
    unsigned        finish;
    unsigned        passing;
    uint64_t        frames;
    uint64_t        invalid;
    uint64_t        repaired;
    llm_measure_t   measure;
    fuzz_out_t      body;       /* of an HTTP error */
} result_t;


static void *
heap_resize(void *ctx, void *p, size_t old, size_t n)
{
    void    *to;
    heap_t  *h;

    h = ctx;

    if (n != 0 && ++h->calls == h->fail_at) {
        return NULL;
    }

    to = fuzz_resize(NULL, p, old, n);

    h->live += n;
    h->live -= old;

    return to;
}


static llm_rc_t
pass(void *ctx, const llm_u8 *p, size_t n)
{
    llm_out(ctx, p, n);

    return LLM_OK;
}


/* The n-th dialect, modulo how many there are, that is an upstream's or a
 * client's. */
static const llm_dialect_t *
dialect(unsigned n, unsigned upstream)
{
    size_t                i, k;
    const llm_dialect_t  *d, *found[32];

    k = 0;

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {
        if (upstream ? d->decode != NULL : d->encode != NULL) {
            found[k++] = d;
        }
    }

    return found[n % k];
}


static void
configure(llm_flow_conf_t *conf, const uint8_t *header)
{
    memset(conf, 0, sizeof(llm_flow_conf_t));

    conf->upstream = dialect(header[5], 1);
    conf->client = dialect(header[6], 0);
    conf->answer_in = (header[0] & 4) != 0;
    conf->answer_out = (header[0] & 8) != 0;
    conf->framing = conf->upstream->array && (header[0] & 2)
                    ? LLM_FRAMING_ARRAY : conf->upstream->framing;
    conf->array_out = conf->client->array && (header[0] & 1)
                      && !conf->answer_out;
    conf->usage = (header[0] & 16) != 0;
    conf->hide_usage = (header[0] & 32) != 0;
    conf->pass = header[0] & 64 ? pass : NULL;
    conf->max_event = header[1] & 64 ? 128 : MAX_SIZE;
    conf->max_response = header[1] & 128 ? 64 : MAX_SIZE;
    conf->max_depth = 16;
    conf->now = 1700000000;
    conf->unique = 17;
    conf->model = llm_slice("asked");
}


/* Feeds pieces of `step` bytes, the first one of `first`. */
static llm_rc_t
feed(llm_flow_t *f, const uint8_t *p, size_t n, size_t first, size_t step,
    unsigned forgets)
{
    size_t    at, k;
    llm_u8   *in;
    llm_rc_t  rc;

    at = 0;
    k = first;

    do {
        k = k < n - at ? k : n - at;

        if (forgets) {
            memset(&f->decoder.repeat, 0, sizeof(f->decoder.repeat));
        }

        in = fuzz_copy(p + at, k);
        rc = llm_flow_feed(f, in, k, (int64_t) at);
        free(in);

        at += k;
        k = step;
    } while (at < n && rc == LLM_OK);

    return rc;
}


static void
run(result_t *r, const uint8_t *header, const uint8_t *p, size_t n,
    size_t first, size_t step, unsigned forgets, unsigned fail_at)
{
    heap_t           h;
    llm_flow_t       f;
    llm_flow_conf_t  conf;

    memset(r, 0, sizeof(result_t));
    memset(&h, 0, sizeof(heap_t));

    fuzz_out_init(&r->out);
    fuzz_out_init(&r->body);

    h.fail_at = fail_at;
    configure(&conf, header);
    conf.alloc.resize = heap_resize;
    conf.alloc.ctx = &h;
    conf.pass_ctx = &r->out.out;

    r->rc = llm_flow_init(&f, &conf, &r->out.out);

    if (r->rc == LLM_OK) {
        r->rc = feed(&f, p, n, first, step, forgets);
    }

    if (r->rc == LLM_OK) {
        r->rc = llm_flow_eof(&f, (llm_eof_t) (header[1] % 3));
        FUZZ_CHECK(r->rc != LLM_OK);
    }

    r->before = r->out.block.n + (size_t) (r->out.out.pos - r->out.room);
    r->fault = f.fault;

    if (r->rc == LLM_FAILED) {
        FUZZ_CHECK(r->fault != LLM_FAULT_NONE);
        llm_flow_error_body(&f, &r->body.out);
        FUZZ_CHECK(llm_flow_status(&f) >= 400 && llm_flow_status(&f) < 600);
        r->fail = llm_flow_fail(&f, LLM_FAULT_NONE);
    }

    r->finish = f.finish;
    r->passing = f.passing;
    r->frames = f.frames;
    r->invalid = f.invalid;
    r->repaired = f.repaired;
    r->measure = f.measure;
    r->measure.first = r->measure.last = 0;

    llm_flow_free(&f);
    FUZZ_CHECK(h.live == 0);

    fuzz_out_end(&r->out);
    fuzz_out_end(&r->body);
}


static void
drop(result_t *r)
{
    fuzz_out_free(&r->out);
    fuzz_out_free(&r->body);
}


static void
same(const result_t *a, result_t *b)
{
    FUZZ_CHECK(a->out.block.n == b->out.block.n
               && memcmp(a->out.block.p, b->out.block.p, a->out.block.n)
                  == 0);
    FUZZ_CHECK(a->body.block.n == b->body.block.n
               && memcmp(a->body.block.p, b->body.block.p, a->body.block.n)
                  == 0);

    FUZZ_CHECK(a->rc == b->rc && a->fault == b->fault && a->fail == b->fail);
    FUZZ_CHECK(a->before == b->before && a->finish == b->finish);
    FUZZ_CHECK(a->frames == b->frames && a->invalid == b->invalid
               && a->repaired == b->repaired);
    FUZZ_CHECK(a->measure.chunks == b->measure.chunks
               && a->measure.chars == b->measure.chars);
    FUZZ_CHECK(memcmp(&a->measure.usage, &b->measure.usage,
                      sizeof(llm_usage_t)) == 0);

    drop(b);
}


static void
check_json(const llm_u8 *p, size_t n)
{
    llm_json_t   j;
    llm_slice_t  raw;

    llm_json_init(&j, p, n, 0);

    FUZZ_CHECK(llm_json_skip(&j, &raw) == LLM_JSON_OBJECT);
    FUZZ_CHECK(llm_json_next(&j) == LLM_JSON_END);
}


/* The JSON of an event's data: line, or [DONE]. */
static void
check_data(const llm_u8 *p, size_t n)
{
    if (n != 0 && *p == ' ') {
        p++;
        n--;
    }

    if (n != 6 || memcmp(p, "[DONE]", 6) != 0) {
        check_json(p, n);
    }
}


/* Events of one data: line each, with an event: line or Flowise's message:
 * before it. */
static void
check_events(const llm_u8 *p, size_t n)
{
    unsigned       data;
    const llm_u8  *end, *eol;

    FUZZ_CHECK(n == 0 || memchr(p, '\r', n) == NULL);

    for (data = 0, end = p + n; p < end; p = eol + 1) {
        eol = memchr(p, '\n', (size_t) (end - p));
        FUZZ_CHECK(eol != NULL);

        if (eol == p) {
            FUZZ_CHECK(data == 1);
            data = 0;

        } else if (eol - p > 5 && memcmp(p, "data:", 5) == 0) {
            check_data(p + 5, (size_t) (eol - p) - 5);
            data++;

        } else {
            FUZZ_CHECK(data == 0);
            FUZZ_CHECK(memcmp(p, "event: ", 7) == 0
                       || memcmp(p, "message:\n", 9) == 0);
        }
    }

    FUZZ_CHECK(data == 0);
}


static void
check_lines(const llm_u8 *p, size_t n)
{
    const llm_u8  *end, *eol;

    for (end = p + n; p < end; p = eol + 1) {
        eol = memchr(p, '\n', (size_t) (end - p));
        FUZZ_CHECK(eol != NULL);
        check_json(p, (size_t) (eol - p));
    }
}


/* A closed array when the flow has ended, whether well or not. */
static void
check_array(const llm_u8 *p, size_t n)
{
    llm_json_t   j;
    llm_slice_t  raw;

    if (n == 0) {
        return;
    }

    llm_json_init(&j, p, n, 0);

    FUZZ_CHECK(llm_json_skip(&j, &raw) == LLM_JSON_ARRAY);
    FUZZ_CHECK(llm_json_next(&j) == LLM_JSON_END);
}


static void
check_stream(const llm_flow_conf_t *conf, const llm_block_t *out)
{
    if (conf->array_out) {
        check_array(out->p, out->n);

    } else if (conf->client->framing == LLM_FRAMING_NDJSON) {
        check_lines(out->p, out->n);

    } else {
        check_events(out->p, out->n);
    }
}


static int
ends_with(const llm_u8 *p, size_t n, const char *s)
{
    size_t  k;

    k = strlen(s);

    return n >= k && memcmp(p + n - k, s, k) == 0;
}


static int
contains(const uint8_t *p, size_t n, const char *s)
{
    size_t  i, k;

    k = strlen(s);

    for (i = 0; i + k <= n; i++) {
        if (memcmp(p + i, s, k) == 0) {
            return 1;
        }
    }

    return 0;
}


/* Whether what was written before llm_flow_fail() has the client's
 * terminator; -1 for those of which none is looked for. */
static int
terminated(const llm_flow_conf_t *conf, const result_t *r)
{
    size_t         i;
    const llm_u8  *p;

    static const struct {
        const llm_dialect_t  *client;
        const char           *last;
    } ends[] = {
        { &llm_dialect_openai, "data: [DONE]\n\n" },
        { &llm_dialect_completions, "data: [DONE]\n\n" },
        { &llm_dialect_simple, "data: {\"done\":true}\n\n" },
        { &llm_dialect_anthropic, "event: message_stop\n"
                                  "data: {\"type\":\"message_stop\"}\n\n" }
    };

    p = r->out.block.p;

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (conf->client == ends[i].client) {
            return ends_with(p, r->before, ends[i].last);
        }
    }

    if (conf->client == &llm_dialect_typed) {
        return contains(p, r->before, "data: {\"type\":\"done\",");
    }

    return -1;
}


static void
check_output(const llm_flow_conf_t *conf, const result_t *r,
    const uint8_t *p, size_t n)
{
    const llm_block_t  *out;

    out = &r->out.block;

    FUZZ_CHECK(!(llm_utf8_check(out->p, out->n) & LLM_UTF8_INVALID));
    FUZZ_CHECK(!(llm_utf8_check(r->body.block.p, r->body.block.n)
                 & LLM_UTF8_INVALID));

    if (r->rc == LLM_FAILED && conf->client != &llm_dialect_text) {
        check_json(r->body.block.p, r->body.block.n);
    }

    /* Anthropic's message_stop ends a message that never said a reason */

    if (r->rc == LLM_DONE && !conf->answer_in) {
        FUZZ_CHECK(contains(p, n, "[DONE]") || r->measure.nfinish != 0
                   || r->finish || conf->upstream == &llm_dialect_anthropic);
    }

    if (conf->answer_out) {
        FUZZ_CHECK(r->rc == LLM_DONE || out->n == 0);

        if (r->rc == LLM_DONE && !r->passing
            && conf->client != &llm_dialect_text)
        {
            check_json(out->p, out->n);
        }

        return;
    }

    if (conf->client == &llm_dialect_text) {
        FUZZ_CHECK(r->before == out->n);
        return;
    }

    FUZZ_CHECK(r->passing || terminated(conf, r) == -1
               || (r->rc == LLM_DONE) == terminated(conf, r));
    FUZZ_CHECK((r->rc == LLM_FAILED) == (r->before != out->n));

    if (r->passing) {
        return;
    }

    FUZZ_CHECK(!(llm_utf8_check(out->p, out->n) & LLM_UTF8_LINESEP));
    check_stream(conf, out);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t           n;
    result_t         whole, r;
    const uint8_t   *p;
    llm_flow_conf_t  conf;

    if (size < HEADER || size > MAX_SIZE / 2) {
        return 0;
    }

    p = data + HEADER;
    n = size - HEADER;

    configure(&conf, data);
    run(&whole, data, p, n, n, n, LEARNS, 0);
    check_output(&conf, &whole, p, n);

    run(&r, data, p, n, 1, 1, FORGETS, 0);
    same(&whole, &r);

    run(&r, data, p, n, (data[2] | data[3] << 8) % (n + 1), n, LEARNS, 0);
    same(&whole, &r);

    run(&r, data, p, n, data[2] % 8, 1 + data[3] % 61, FORGETS, 0);
    same(&whole, &r);

    if (data[4] != 0) {
        run(&r, data, p, n, data[2], 1 + data[3], LEARNS, data[4]);
        FUZZ_CHECK(r.before <= whole.out.block.n);
        FUZZ_CHECK(memcmp(r.out.block.p, whole.out.block.p, r.before) == 0
                   || r.before > whole.before);
        drop(&r);
    }

    drop(&whole);

    return 0;
}
