/*
 * Running one dialect in a test.
 */

#include "unit_dialect.h"


static void
seen_add(seen_t *s, const char *fmt, ...)
{
    int      n;
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf(s->text + s->n, sizeof(s->text) - s->n, fmt, args);
    va_end(args);

    assert_true(n >= 0 && (size_t) n < sizeof(s->text) - s->n);
    s->n += (size_t) n;
}


static void
seen_slice(seen_t *s, const char *name, const llm_slice_t *v)
{
    if (v->p != NULL) {
        seen_add(s, " %s%s=%.*s", name, v->escaped ? "" : "(plain)",
                 (int) v->n, (const char *) v->p);
    }
}


llm_rc_t
seen_emit(void *ctx, const llm_event_t *ev)
{
    seen_t  *s;

    static const char *const  names[] = {
        "start", "text", "reasoning", "refusal", "tool", "logprobs",
        "citation", "usage", "finish", "error", "ping", "meta", "end"
    };

    s = ctx;

    if (++s->events == s->stop_at) {
        return LLM_FAILED;
    }

    seen_add(s, "%s", names[ev->type]);

    if (ev->choice != 0) {
        seen_add(s, " #%u", ev->choice);
    }

    if (ev->type == LLM_EV_TOOL_CALL) {
        seen_add(s, " at=%u", ev->tool_index);
    }

    if (ev->created >= 0) {
        seen_add(s, " created=%lld", (long long) ev->created);
    }

    seen_slice(s, "id", &ev->id);
    seen_slice(s, "model", &ev->model);
    seen_slice(s, "name", &ev->name);
    seen_slice(s, "text", &ev->text);

    if (ev->type == LLM_EV_LOGPROBS) {
        seen_add(s, " raw=%.*s", (int) ev->raw.n, (const char *) ev->raw.p);
    }

    if (ev->type == LLM_EV_FINISH) {
        seen_add(s, " finish=%d", ev->finish);
    }

    if (ev->usage != NULL) {
        seen_add(s, " %lld %lld %lld %lld %lld",
                 (long long) ev->usage->input, (long long) ev->usage->output,
                 (long long) ev->usage->cached,
                 (long long) ev->usage->reasoning,
                 (long long) ev->usage->total);
    }

    if (ev->error != NULL) {
        seen_slice(s, "message", &ev->error->message);
        seen_slice(s, "type", &ev->error->type);
        seen_slice(s, "code", &ev->error->code);
        seen_slice(s, "param", &ev->error->param);
        seen_add(s, " status=%d", ev->error->status);
    }

    seen_add(s, "\n");

    return LLM_OK;
}


llm_rc_t
seen_frame(seen_t *s, llm_decoder_t *d, const void *data, size_t n,
    const char *type, unsigned answer)
{
    llm_u8       *copy, *name;
    llm_rc_t      rc;
    llm_frame_t   frame;

    memset(s, 0, sizeof(seen_t));

    d->emit = seen_emit;
    d->ctx = s;

    copy = unit_copy(data, n);
    name = NULL;

    memset(&frame, 0, sizeof(llm_frame_t));
    frame.data = (llm_slice_t) { copy, n, 0 };

    if (type != NULL) {
        name = unit_copy(type, strlen(type));
        frame.type = (llm_slice_t) { name, strlen(type), 0 };
    }

    rc = answer ? llm_dialect_openai.decode_answer(d, &frame)
                : llm_dialect_openai.decode(d, &frame);

    s->choices = frame.choices;

    free(copy);
    free(name);

    return rc;
}


llm_rc_t
seen_decode(seen_t *s, const char *data, const char *type, unsigned started,
    unsigned answer)
{
    llm_decoder_t  d;

    memset(&d, 0, sizeof(llm_decoder_t));
    d.started = started;

    return seen_frame(s, &d, data, strlen(data), type, answer);
}


void
client_open(client_t *c, const llm_dialect_t *d, unsigned answer)
{
    memset(c, 0, sizeof(client_t));

    c->dialect = d;
    c->answer = answer;
    c->size = answer ? 0 : d->stream_size;
    llm_answer_init(&c->gathered);
    c->state = calloc(1, c->size + 1);
    assert_non_null(c->state);

    unit_out_init(&c->o, 0, 0);

    c->e.out = &c->o.out;
    c->e.alloc = unit_alloc(&c->u);
    c->e.max_response = FLOW_PLENTY;
    c->e.now = FLOW_NOW;
}


void
client_event(client_t *c, const llm_event_t *ev)
{
    if (!c->answer) {
        c->dialect->encode(&c->e, c->state, ev);

    } else if (ev->type != LLM_EV_END) {
        llm_answer_event(&c->e, &c->gathered, ev);

    } else if (c->e.rc == LLM_OK) {
        c->dialect->write_answer(&c->e, &c->gathered);
    }
}


void
client_drop(client_t *c)
{
    if (!c->answer && c->dialect->stream_drop != NULL) {
        c->dialect->stream_drop(&c->e, c->state);
    }

    llm_answer_free(&c->e, &c->gathered);

    assert_int_equal(c->u.live, 0);

    free(c->state);
    unit_out_free(&c->o);
}


void
client_close(client_t *c, const char *expect)
{
    unit_out_end(&c->o);

    if (strcmp((char *) c->o.p, expect) != 0) {
        fail_msg("got:\n%s\nexpected:\n%s", (char *) c->o.p, expect);
    }

    client_drop(c);
}


llm_event_t
client_ev(llm_event_type_t type)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(llm_event_t));
    ev.type = type;
    ev.created = -1;

    return ev;
}


llm_slice_t
client_slice(const char *s)
{
    return (llm_slice_t) { (const llm_u8 *) s, strlen(s), 1 };
}


void
client_text(client_t *c, llm_event_type_t type, unsigned choice,
    const char *text)
{
    llm_event_t  ev;

    ev = client_ev(type);
    ev.choice = choice;
    ev.text = client_slice(text);
    client_event(c, &ev);
}


void
client_finish(client_t *c, unsigned choice, llm_finish_t finish,
    const char *word)
{
    llm_event_t  ev;

    ev = client_ev(LLM_EV_FINISH);
    ev.choice = choice;
    ev.finish = finish;
    ev.text = client_slice(word);
    client_event(c, &ev);
}


void
client_start(client_t *c)
{
    llm_event_t  ev;

    ev = client_ev(LLM_EV_START);
    ev.id = client_slice("c\\u0031");
    ev.model = client_slice("river");
    ev.created = 17;
    client_event(c, &ev);
}


void
client_usage(client_t *c, int64_t cached)
{
    llm_event_t  ev;
    llm_usage_t  u;

    u = (llm_usage_t) { 3, 4, cached, cached, -1, -1 };
    ev = client_ev(LLM_EV_USAGE);
    ev.usage = &u;
    client_event(c, &ev);
}


void
client_end(client_t *c)
{
    llm_event_t  ev;

    ev = client_ev(LLM_EV_END);
    client_event(c, &ev);
}


void
client_error(client_t *c, const char *message)
{
    llm_event_t  ev;
    llm_error_t  err;

    memset(&err, 0, sizeof(llm_error_t));
    err.message = (llm_slice_t) { (const llm_u8 *) message, strlen(message),
                                  0 };
    err.type = client_slice("server_error");
    err.code = client_slice("tide");

    ev = client_ev(LLM_EV_ERROR);
    ev.error = &err;
    client_event(c, &ev);
}


void
client_script(client_t *c)
{
    llm_event_t  ev;

    client_start(c);
    client_text(c, LLM_EV_TEXT, 0, "");
    client_text(c, LLM_EV_REASONING, 0, "Hm");
    client_text(c, LLM_EV_TEXT, 0, "One\\n");
    client_text(c, LLM_EV_TEXT, 1, "Two");

    ev = client_ev(LLM_EV_TOOL_CALL);
    ev.choice = 1;
    ev.tool_index = 1;
    ev.id = client_slice("call");
    ev.name = client_slice("f");
    ev.text = client_slice("");
    client_event(c, &ev);

    ev.id = llm_slice_null;
    ev.name = llm_slice_null;
    ev.text = (llm_slice_t) { (const llm_u8 *) "{\"a\":1}", 7, 0 };
    client_event(c, &ev);

    ev = client_ev(LLM_EV_LOGPROBS);
    ev.raw = client_slice("[\r\n {\"token\":\"O\"} ]");
    client_event(c, &ev);
    client_event(c, &ev);

    ev = client_ev(LLM_EV_PING);
    client_event(c, &ev);
    ev = client_ev(LLM_EV_META);
    client_event(c, &ev);

    client_usage(c, -1);
    client_text(c, LLM_EV_REFUSAL, 0, "No");
    client_finish(c, 1, LLM_FINISH_TOOL_CALLS, "function_call");
    client_finish(c, 0, LLM_FINISH_OTHER, "ti\\u0064al");
    client_usage(c, 2);
    client_end(c);
}


void
client_call(client_t *c, unsigned choice, unsigned index, const char *id,
    const char *name, const char *text)
{
    llm_event_t  ev;

    ev = client_ev(LLM_EV_TOOL_CALL);
    ev.choice = choice;
    ev.tool_index = index;
    ev.id = id != NULL ? client_slice(id) : llm_slice_null;
    ev.name = name != NULL ? client_slice(name) : llm_slice_null;
    ev.text = client_slice(text);
    client_event(c, &ev);
}
