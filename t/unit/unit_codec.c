/*
 * One dialect in a test, whatever it is.
 */

#include "unit_codec.h"

#include "llm_encode.h"


#define CODEC_CHOICES  8
#define CODEC_CALLS    32

/* The inside of a JSON string, put together of pieces. */
typedef struct {
    char           *p;
    size_t          n;
    unsigned        said;
} piece_t;

typedef struct {
    piece_t         id;
    piece_t         name;
    piece_t         args;
    piece_t         signature;
    unsigned        whole;
    unsigned        used;
} call_t;

typedef struct {
    piece_t         text;
    piece_t         reasoning;
    piece_t         refusal;
    piece_t         signature;
    piece_t         withheld;
    piece_t         word;
    piece_t         stop;
    llm_finish_t    finish;
    call_t          calls[CODEC_CALLS];
    json_t         *citations;
    json_t         *logprobs;
    unsigned        used;
} choice_t;

typedef struct {
    piece_t         id;
    piece_t         model;
    piece_t         order;
    int64_t         created;
    llm_usage_t     usage;
    unsigned        has_usage;
    choice_t        choices[CODEC_CHOICES];
    json_t         *errors;
    json_t         *meta;
    llm_event_type_t  last;
    unsigned        events;
    unsigned        starts;

    /* or hands all on to an encoder */
    llm_encoder_t  *e;
    const llm_dialect_t  *to;
    void           *state;
    llm_answer_t   *answer;
} said_t;

/* A decoder with all it needs. */
typedef struct {
    llm_decoder_t   d;
    unit_alloc_t    heap;
    const llm_dialect_t  *dialect;
    llm_rc_t        rc;
} source_t;


static void
piece_add(piece_t *b, const void *p, size_t n)
{
    b->p = realloc(b->p, b->n + n + 1);
    assert_non_null(b->p);

    if (n != 0) {
        memcpy(b->p + b->n, p, n);
    }

    b->n += n;
    b->p[b->n] = '\0';
    b->said = 1;
}


static void
piece_slice(piece_t *b, const llm_slice_t *s)
{
    unit_out_t  o;

    if (s->p == NULL) {
        return;
    }

    unit_out_init(&o, 0, 0);
    llm_write_inside(&o.out, s, 0);
    unit_out_end(&o);
    piece_add(b, o.p, o.n);
    unit_out_free(&o);
}


/* The string that the pieces are; NULL when nothing was said. */
static json_t *
piece_json(piece_t *b)
{
    char    *text;
    json_t  *root, *s;

    if (!b->said) {
        return NULL;
    }

    text = malloc(b->n + 5);
    assert_non_null(text);
    sprintf(text, "[\"%s\"]", b->p);

    root = unit_parse((llm_u8 *) text, b->n + 4, NULL);

    if (root == NULL) {
        fail_msg("no JSON string: %s", b->p);
    }

    free(text);
    s = json_incref(json_array_get(root, 0));
    json_decref(root);

    return s;
}


static void
set(json_t *to, const char *name, json_t *v)
{
    if (v != NULL) {
        assert_int_equal(json_object_set_new(to, name, v), 0);
    }
}


static void
set_slice(json_t *to, const char *name, const llm_slice_t *s)
{
    piece_t  b;

    memset(&b, 0, sizeof(b));
    piece_slice(&b, s);
    set(to, name, piece_json(&b));
    free(b.p);
}


static json_t *
raw_json(const llm_slice_t *raw)
{
    json_t  *v, *inside;
    llm_u8  *text;

    text = malloc(raw->n + 3);
    assert_non_null(text);
    text[0] = '[';
    memcpy(text + 1, raw->p, raw->n);
    text[raw->n + 1] = ']';
    text[raw->n + 2] = '\0';

    v = unit_parse(text, raw->n + 2, NULL);

    if (v == NULL) {
        fail_msg("raw is no JSON: %s", (char *) text);
    }

    free(text);
    inside = json_incref(json_array_get(v, 0));
    json_decref(v);

    return inside;
}


static const char *const  names[] = {
    "start", "text", "reasoning", "refusal", "call", "logprobs", "citation",
    "usage", "finish", "error", "ping", "meta", "end"
};

static const char *const  finishes[] = {
    "none", "stop", "length", "tool_calls", "content_filter", "error",
    "other"
};


static void
said_error(said_t *s, const llm_error_t *err)
{
    json_t  *e;

    e = json_object();
    set_slice(e, "message", &err->message);
    set_slice(e, "type", &err->type);
    set_slice(e, "code", &err->code);

    if (err->status != 0) {
        set(e, "status", json_real((double) err->status));
    }

    if (err->retry_after >= 0) {
        set(e, "retry_after", json_real((double) err->retry_after));
    }

    set(e, "class", json_real((double) err->cls));
    json_array_append_new(s->errors, e);
}


static void
said_call(choice_t *c, const llm_event_t *ev)
{
    call_t  *call;

    assert_true(ev->tool_index < CODEC_CALLS);

    /* calls are counted from 0 without gaps */

    assert_true(ev->tool_index == 0 || c->calls[ev->tool_index - 1].used);

    call = &c->calls[ev->tool_index];
    call->used = 1;
    call->whole |= ev->whole;

    if (!call->id.said) {
        piece_slice(&call->id, &ev->id);
    }

    if (!call->name.said) {
        piece_slice(&call->name, &ev->name);
    }

    piece_slice(&call->signature, &ev->signature);
    piece_slice(&call->args, &ev->text);
}


static void
said_citation(choice_t *c, const llm_event_t *ev)
{
    json_t  *v;

    v = json_object();
    set_slice(v, "url", &ev->id);
    set_slice(v, "title", &ev->name);
    set_slice(v, "text", &ev->text);

    if (ev->start >= 0) {
        set(v, "start", json_real((double) ev->start));
    }

    if (ev->end >= 0) {
        set(v, "end", json_real((double) ev->end));
    }

    if (ev->raw.p != NULL) {
        json_decref(raw_json(&ev->raw));
    }

    json_array_append_new(c->citations, v);
}


static void
said_choice(said_t *s, const llm_event_t *ev)
{
    choice_t  *c;
    json_t    *list;

    assert_true(ev->choice < CODEC_CHOICES);
    assert_int_equal(s->starts, 1);

    c = &s->choices[ev->choice];
    c->used = 1;

    switch (ev->type) {

    case LLM_EV_TEXT:
        piece_slice(&c->text, &ev->text);
        break;

    case LLM_EV_REASONING:
        piece_slice(&c->reasoning, &ev->text);
        piece_slice(&c->signature, &ev->signature);
        piece_slice(&c->withheld, &ev->raw);
        break;

    case LLM_EV_REFUSAL:
        piece_slice(&c->refusal, &ev->text);
        break;

    case LLM_EV_TOOL_CALL:
        said_call(c, ev);
        break;

    case LLM_EV_CITATION:
        said_citation(c, ev);
        break;

    case LLM_EV_LOGPROBS:
        list = raw_json(&ev->raw);
        assert_true(json_is_array(list));
        json_array_extend(c->logprobs, list);
        json_decref(list);
        break;

    default:    /* LLM_EV_FINISH */
        c->finish = ev->finish;
        c->word.n = 0;
        piece_slice(&c->word, &ev->text);
        piece_slice(&c->stop, &ev->name);
        break;
    }
}


static void
said_meta(said_t *s, const llm_event_t *ev)
{
    json_t  *v;

    v = json_object();
    set_slice(v, "name", &ev->name);

    if (ev->raw.p != NULL) {
        set(v, "raw", raw_json(&ev->raw));
    }

    json_array_append_new(s->meta, v);
}


static llm_rc_t
said_emit(void *ctx, const llm_event_t *ev)
{
    said_t  *s;

    s = ctx;

    if (s->to != NULL) {

        if (s->answer == NULL) {
            s->to->encode(s->e, s->state, ev);

        } else if (ev->type != LLM_EV_END) {
            llm_answer_event(s->e, s->answer, ev);
        }

        return ev->type == LLM_EV_ERROR ? LLM_FAILED : s->e->rc;
    }

    if (s->events++ == 0 || s->last != ev->type) {
        if (s->order.said) {
            piece_add(&s->order, " ", 1);
        }

        piece_add(&s->order, names[ev->type], strlen(names[ev->type]));
    }

    s->last = ev->type;

    switch (ev->type) {

    case LLM_EV_START:
        s->starts++;
        piece_slice(&s->id, &ev->id);
        piece_slice(&s->model, &ev->model);
        s->created = ev->created;
        break;

    case LLM_EV_USAGE:
        assert_non_null(ev->usage);
        llm_usage_merge(&s->usage, ev->usage);
        s->has_usage = 1;
        break;

    case LLM_EV_ERROR:
        said_error(s, ev->error);
        return LLM_FAILED;

    case LLM_EV_META:
        said_meta(s, ev);
        break;

    case LLM_EV_PING: case LLM_EV_END:
        break;

    default:
        said_choice(s, ev);
        break;
    }

    return LLM_OK;
}


static void
said_open(said_t *s)
{
    size_t  i;

    memset(s, 0, sizeof(said_t));

    s->created = -1;
    s->usage = llm_usage_none;
    s->errors = json_array();
    s->meta = json_array();

    for (i = 0; i < CODEC_CHOICES; i++) {
        s->choices[i].citations = json_array();
        s->choices[i].logprobs = json_array();
    }
}


/* A list, or nothing when it is empty. */
static void
set_list(json_t *to, const char *name, json_t *list)
{
    if (json_array_size(list) == 0) {
        json_decref(list);
        return;
    }

    set(to, name, list);
}


static json_t *
said_calls(choice_t *c)
{
    size_t   i;
    call_t  *call;
    json_t  *list, *v;

    list = json_array();

    for (i = 0; i < CODEC_CALLS && c->calls[i].used; i++) {
        call = &c->calls[i];
        v = json_object();

        set(v, "id", piece_json(&call->id));
        set(v, "name", piece_json(&call->name));
        set(v, "args", piece_json(&call->args));
        set(v, "signature", piece_json(&call->signature));

        if (call->whole) {
            set(v, "whole", json_true());
        }

        json_array_append_new(list, v);

        free(call->id.p);
        free(call->name.p);
        free(call->args.p);
        free(call->signature.p);
    }

    return list;
}


static json_t *
said_close_choice(choice_t *c)
{
    json_t  *v;

    v = json_object();

    set(v, "text", piece_json(&c->text));
    set(v, "reasoning", piece_json(&c->reasoning));
    set(v, "refusal", piece_json(&c->refusal));
    set(v, "signature", piece_json(&c->signature));
    set(v, "withheld", piece_json(&c->withheld));
    set(v, "word", piece_json(&c->word));
    set(v, "stop", piece_json(&c->stop));

    if (c->finish != LLM_FINISH_NONE) {
        set(v, "finish", json_string(finishes[c->finish]));
    }

    set_list(v, "calls", said_calls(c));
    set_list(v, "citations", c->citations);
    set_list(v, "logprobs", c->logprobs);

    free(c->text.p);
    free(c->reasoning.p);
    free(c->refusal.p);
    free(c->signature.p);
    free(c->withheld.p);
    free(c->word.p);
    free(c->stop.p);

    return v;
}


static void
set_count(json_t *to, const char *name, int64_t n)
{
    if (n >= 0) {
        set(to, name, json_real((double) n));
    }
}


static json_t *
said_close(said_t *s, llm_rc_t rc)
{
    char     index[32];
    size_t   i;
    json_t  *root, *choices, *usage;

    root = json_object();
    choices = json_object();

    set(root, "id", piece_json(&s->id));
    set(root, "model", piece_json(&s->model));
    set_count(root, "created", s->created);

    for (i = 0; i < CODEC_CHOICES; i++) {
        if (s->choices[i].used) {
            sprintf(index, "%zu", i);
            set(choices, index, said_close_choice(&s->choices[i]));

        } else {
            json_decref(s->choices[i].citations);
            json_decref(s->choices[i].logprobs);
        }
    }

    set(root, "choices", choices);

    if (s->has_usage) {
        usage = json_object();
        set_count(usage, "input", s->usage.input);
        set_count(usage, "output", s->usage.output);
        set_count(usage, "cached", s->usage.cached);
        set_count(usage, "reasoning", s->usage.reasoning);
        set_count(usage, "total", s->usage.total);
        set_count(usage, "cache_write", s->usage.cache_write);
        set(root, "usage", usage);
    }

    set_list(root, "errors", s->errors);
    set_list(root, "meta", s->meta);
    set(root, "order", piece_json(&s->order));
    set(root, "end", json_string(rc == LLM_DONE ? "done"
                                 : rc == LLM_OK ? "ok"
                                 : rc == LLM_INVALID ? "invalid" : "failed"));
    free(s->id.p);
    free(s->model.p);
    free(s->order.p);

    return root;
}


static void
source_open(source_t *s, const llm_dialect_t *dialect, said_t *said)
{
    memset(s, 0, sizeof(source_t));

    s->dialect = dialect;
    s->d.emit = said_emit;
    s->d.ctx = said;
    s->d.alloc = unit_alloc(&s->heap);

    if (dialect->decode_size != 0) {
        s->d.state = calloc(1, dialect->decode_size);
        assert_non_null(s->d.state);
    }
}


static void
source_close(source_t *s)
{
    if (s->dialect->decode_drop != NULL) {
        s->dialect->decode_drop(&s->d);
    }

    llm_block_free(&s->d.scratch, &s->d.alloc);
    free(s->d.state);
    assert_int_equal(s->heap.live, 0);
}


/* A frame as a copy of exactly its bytes: an overread is then seen. */
static llm_rc_t
source_frame(source_t *s, const llm_framed_t *framed)
{
    llm_u8       *data, *type;
    llm_rc_t      rc;
    llm_frame_t   frame;

    memset(&frame, 0, sizeof(llm_frame_t));

    data = unit_copy(framed->data.p, framed->data.n);
    type = unit_copy(framed->type.p, framed->type.n);

    frame.data = (llm_slice_t) { data, framed->data.n, 0 };

    if (framed->type.p != NULL) {
        frame.type = (llm_slice_t) { type, framed->type.n, 0 };
    }

    rc = s->dialect->decode(&s->d, &frame);

    free(data);
    free(type);

    return rc;
}


static llm_rc_t
source_stream(source_t *s, const void *p, size_t n)
{
    llm_rc_t      rc;
    llm_framer_t  f;
    llm_framed_t  framed;

    llm_framer_init(&f, s->dialect->framing, &s->d.alloc, 1 << 24);

    if (s->dialect->framing == LLM_FRAMING_SSE) {
        f.sse.error_lines = 1;
    }

    llm_framer_feed(&f, p, n);

    rc = LLM_OK;

    while (rc == LLM_OK && llm_framer_next(&f, &framed) == LLM_OK) {
        rc = source_frame(s, &framed);
    }

    if (rc == LLM_OK && llm_framer_finish(&f, &framed) == LLM_OK) {
        rc = source_frame(s, &framed);
    }

    llm_framer_free(&f);

    return rc;
}


static llm_rc_t
source_answer(source_t *s, const void *p, size_t n)
{
    llm_u8       *data;
    llm_rc_t      rc;
    llm_frame_t   frame;

    memset(&frame, 0, sizeof(llm_frame_t));

    data = unit_copy(p, n);
    frame.data = (llm_slice_t) { data, n, 0 };

    rc = s->dialect->decode_answer(&s->d, &frame);

    free(data);

    return rc;
}


static json_t *
codec_read(const llm_dialect_t *d, const void *p, size_t n, unsigned answer)
{
    said_t    said;
    llm_rc_t  rc;
    source_t  source;

    said_open(&said);
    source_open(&source, d, &said);

    rc = answer ? source_answer(&source, p, n)
                : source_stream(&source, p, n);

    source_close(&source);

    return said_close(&said, rc);
}


json_t *
codec_stream(const llm_dialect_t *d, const void *p, size_t n)
{
    return codec_read(d, p, n, 0);
}


json_t *
codec_answer(const llm_dialect_t *d, const void *p, size_t n)
{
    return codec_read(d, p, n, 1);
}


json_t *
codec_text(const llm_dialect_t *d, const char *stream)
{
    return codec_read(d, stream, strlen(stream), 0);
}


/* What codec_convert() needs beside the decoder. */
typedef struct {
    llm_encoder_t   e;
    unit_alloc_t    heap;
    unit_out_t      o;
    llm_answer_t    answer;
} target_t;


static void
target_open(target_t *t, said_t *said, const llm_dialect_t *to,
    unsigned answer)
{
    memset(t, 0, sizeof(target_t));
    memset(said, 0, sizeof(said_t));

    unit_out_init(&t->o, 0, 0);

    t->e.out = &t->o.out;
    t->e.alloc = unit_alloc(&t->heap);
    t->e.max_response = 1 << 24;
    t->e.usage = 1;
    t->e.now = CODEC_NOW;

    said->e = &t->e;
    said->to = to;
    said->state = calloc(1, to->stream_size + 1);
    assert_non_null(said->state);

    llm_answer_init(&t->answer);
    said->answer = answer ? &t->answer : NULL;
}


char *
codec_convert(const llm_dialect_t *from, const llm_dialect_t *to,
    const void *p, size_t n, unsigned answer_in, unsigned answer_out,
    llm_rc_t *rc)
{
    char      *out;
    said_t     said;
    source_t   source;
    target_t   t;

    target_open(&t, &said, to, answer_out);
    source_open(&source, from, &said);

    *rc = answer_in ? source_answer(&source, p, n)
                    : source_stream(&source, p, n);

    source_close(&source);

    if (*rc == LLM_DONE && answer_out) {
        to->write_answer(&t.e, &t.answer);
    }

    *rc = t.e.rc;

    if (to->stream_drop != NULL) {
        to->stream_drop(&t.e, said.state);
    }

    llm_answer_free(&t.e, &t.answer);
    assert_int_equal(t.heap.live, 0);
    free(said.state);

    unit_out_end(&t.o);
    out = strdup((char *) t.o.p);
    assert_non_null(out);
    unit_out_free(&t.o);

    return out;
}
