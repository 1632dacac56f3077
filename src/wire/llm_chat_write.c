/*
 * What the request writers of all dialects share: top-level members that
 * yield to llm_stream_param, slices that are referred to, and tool
 * arguments.  What the target cannot say is told by llm_chat_lost.c.
 */

#include "llm_chat.h"
#include "llm_dialect.h"


void
llm_chat_writer_init(llm_chat_writer_t *w, const llm_alloc_t *a)
{
    memset(w, 0, sizeof(llm_chat_writer_t));

    llm_rope_init(&w->rope, a);
    w->out = &w->rope.out;
}


void
llm_chat_writer_free(llm_chat_writer_t *w)
{
    llm_block_free(&w->lost, &w->rope.alloc);
    llm_block_free(&w->refused, &w->rope.alloc);
    llm_block_free(&w->stops, &w->rope.alloc);
    llm_block_free(&w->seen, &w->rope.alloc);
    llm_rope_free(&w->rope);
}


static void
llm_chat_name(llm_chat_writer_t *w, const llm_slice_t *name)
{
    if (w->members++ != 0) {
        llm_out_lit(w->out, ",");
    }

    llm_write_string(w->out, name, 0);
    llm_out_lit(w->out, ":");
}


static int
llm_chat_same(const llm_slice_t *a, const llm_slice_t *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}


/*
 * A member, unless one of `set` is to be written in its place.  What was not
 * said gives way to one that is for bodies without the member, too.
 */
static int
llm_chat_begin(llm_chat_writer_t *w, const char *name, unsigned said)
{
    size_t       i;
    unsigned     given;
    llm_slice_t  s;

    s.p = (const llm_u8 *) name;
    s.n = strlen(name);
    s.escaped = 0;
    given = 0;

    for (i = 0; i < w->nset; i++) {
        if (llm_chat_same(&w->set[i].name, &s)) {
            given |= !(said && w->set[i].if_absent);

            if (said && i < w->seen.n) {
                w->seen.p[i] = 1;
            }
        }
    }

    if (given) {
        return 0;
    }

    llm_chat_name(w, &s);

    return 1;
}


int
llm_chat_member(llm_chat_writer_t *w, const char *name)
{
    return llm_chat_begin(w, name, 1);
}


int
llm_chat_unsaid(llm_chat_writer_t *w, const char *name)
{
    return llm_chat_begin(w, name, 0);
}


void
llm_chat_raw(llm_chat_writer_t *w, const char *name, const llm_slice_t *raw)
{
    if (raw->p != NULL && llm_chat_member(w, name)) {
        llm_chat_splice(w, raw);
    }
}


void
llm_chat_string(llm_chat_writer_t *w, const char *name, const llm_slice_t *s)
{
    if (s->p != NULL && llm_chat_member(w, name)) {
        llm_chat_put(w, s);
    }
}


void
llm_chat_put_flag(llm_chat_writer_t *w, const char *name, int flag)
{
    if (flag != -1 && llm_chat_member(w, name)) {
        llm_chat_bool(w, flag);
    }
}


void
llm_chat_put_model(llm_chat_writer_t *w)
{
    if (w->model.p != NULL && llm_chat_member(w, "model")) {
        llm_write_string(w->out, &w->model, 0);
    }
}


void
llm_chat_put_extra(llm_chat_writer_t *w, const llm_chat_t *c,
    const char *name)
{
    const llm_extra_t  *e;

    e = llm_chat_find_extra(c, name);

    if (e != NULL) {
        llm_chat_raw(w, name, &e->raw);
    }
}


int
llm_chat_sets(const llm_chat_writer_t *w, const char *name)
{
    size_t  i;

    for (i = 0; i < w->nset; i++) {
        if (w->set[i].name.n == strlen(name)
            && memcmp(w->set[i].name.p, name, strlen(name)) == 0)
        {
            return 1;
        }
    }

    return 0;
}


void
llm_chat_put_limit(llm_chat_writer_t *w, const llm_chat_t *c,
    const char *name)
{
    if (c->max_tokens.p != NULL) {
        llm_chat_raw(w, name, &c->max_tokens);

    } else if (w->cap != 0 && llm_chat_unsaid(w, name)) {
        llm_write_int(w->out, w->cap);
    }
}


void
llm_chat_bool(llm_chat_writer_t *w, int flag)
{
    if (flag) {
        llm_out_lit(w->out, "true");

    } else {
        llm_out_lit(w->out, "false");
    }
}


void
llm_chat_splice(llm_chat_writer_t *w, const llm_slice_t *s)
{
    llm_rope_put(&w->rope, s->p, s->n);
}


void
llm_chat_put_data(llm_chat_writer_t *w, const llm_part_t *part)
{
    llm_slice_t  media;

    media = llm_chat_media(part);

    llm_out_lit(w->out, "\"data:");
    llm_chat_splice(w, &media);
    llm_out_lit(w->out, ";base64,");
    llm_chat_splice(w, &part->data);
    llm_out_lit(w->out, "\"");
}


void
llm_chat_put(llm_chat_writer_t *w, const llm_slice_t *s)
{
    llm_out_lit(w->out, "\"");
    llm_chat_splice(w, s);
    llm_out_lit(w->out, "\"");
}


void
llm_chat_put_stops(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t  i;

    llm_out_lit(w->out, "[");

    for (i = 0; i < llm_chat_nstops(c); i++) {
        if (i != 0) {
            llm_out_lit(w->out, ",");
        }

        llm_chat_put(w, &llm_chat_stops(c)[i]);
    }

    llm_out_lit(w->out, "]");
}


/* Whether it is one JSON object. */
static int
llm_chat_is_object(llm_chat_writer_t *w, const llm_u8 *p, size_t n)
{
    llm_json_t   j;
    llm_slice_t  raw;

    llm_json_init(&j, p, n, w->max_depth);

    return llm_json_skip(&j, &raw) == LLM_JSON_OBJECT
           && llm_json_next(&j) == LLM_JSON_END;
}


/* Whether it is nothing but white space, or null. */
static int
llm_chat_is_empty(const llm_slice_t *s)
{
    size_t  i, n;

    i = 0;
    n = s->n;

    while (i < n && strchr(" \t\r\n", s->p[i]) != NULL && s->p[i] != '\0') {
        i++;
    }

    while (n > i && strchr(" \t\r\n", s->p[n - 1]) != NULL
           && s->p[n - 1] != '\0')
    {
        n--;
    }

    return i == n || (n - i == 4 && memcmp(s->p + i, "null", 4) == 0);
}


int
llm_chat_object(llm_chat_writer_t *w, const llm_slice_t *args,
    unsigned string)
{
    size_t   n;
    llm_u8  *p;

    if (args->p == NULL || llm_chat_is_empty(args)) {
        llm_out_lit(w->out, "{}");
        return 1;
    }

    if (!string || memchr(args->p, '\\', args->n) == NULL) {

        if (!llm_chat_is_object(w, args->p, args->n)) {
            return 0;
        }

        llm_chat_splice(w, args);
        return 1;
    }

    p = llm_rope_room(&w->rope, args->n);

    if (p == NULL) {
        return 1;
    }

    n = llm_json_unescape(p, args->p, args->n);

    if (!llm_chat_is_object(w, p, n)) {
        return 0;
    }

    w->out->pos += n;

    return 1;
}


void
llm_chat_put_object(llm_chat_writer_t *w, const llm_part_t *call)
{
    if (!llm_chat_object(w, &call->args,
                         call->args_string || call->args.escaped))
    {
        llm_out_lit(w->out, "{}");
        llm_chat_lost(w, "messages[].tool_calls[].function.arguments", 1);
    }
}


void
llm_chat_args(llm_chat_writer_t *w, const llm_slice_t *args, unsigned string)
{
    if (args->p == NULL || args->n == 0) {
        llm_out_lit(w->out, "{}");
        return;
    }

    if (string) {
        llm_chat_splice(w, args);
        return;
    }

    llm_write_escaped(w->out, args->p, args->n);
}


void
llm_chat_texts(llm_chat_writer_t *w, const llm_chat_t *c, size_t i,
    size_t end)
{
    size_t             n;
    unsigned           inner;
    const llm_part_t  *parts;

    if (i >= end) {
        return;
    }

    parts = llm_chat_parts(c);
    inner = parts[i].inner;
    n = 0;

    for ( /* void */ ; i < end; i++) {

        if (parts[i].type != LLM_PART_TEXT || parts[i].inner != inner) {
            continue;
        }

        if (n++ != 0) {
            llm_out_lit(w->out, "\\n\\n");
        }

        llm_chat_splice(w, &parts[i].text);
    }
}


size_t
llm_chat_message_end(const llm_chat_t *c, size_t i)
{
    size_t             n;
    unsigned           message;
    const llm_part_t  *parts;

    parts = llm_chat_parts(c);
    n = llm_chat_nparts(c);

    if (i >= n) {
        return n;
    }

    message = parts[i].message;

    while (i < n && parts[i].message == message) {
        i++;
    }

    return i;
}


size_t
llm_chat_inner_end(const llm_chat_t *c, size_t i)
{
    size_t  end;

    end = llm_chat_message_end(c, i);

    while (i < end && llm_chat_parts(c)[i].inner) {
        i++;
    }

    return i;
}


/* The call by id, at part i or before it. */
static size_t
llm_chat_call_by_id(const llm_chat_t *c, size_t i)
{
    size_t             left, at;
    const llm_part_t  *parts;

    parts = llm_chat_parts(c);
    at = i;

    for (left = LLM_CHAT_LOOK_BACK; left != 0 && at != 0; left--) {
        at--;

        if (parts[at].type == LLM_PART_TOOL_CALL
            && llm_chat_same(&parts[at].id, &parts[i].id))
        {
            return at;
        }
    }

    return llm_chat_nparts(c);
}


/* Whether a result without an id may answer this call. */
static int
llm_chat_fits(const llm_part_t *call, const llm_part_t *result)
{
    return call->type == LLM_PART_TOOL_CALL && call->id.n == 0
           && (result->name.n == 0
               || llm_chat_same(&call->name, &result->name));
}


size_t
llm_chat_call(const llm_chat_t *c, size_t i)
{
    size_t             n, at, left, before;
    const llm_part_t  *p;

    p = llm_chat_parts(c);
    n = llm_chat_nparts(c);

    if (p[i].id.n != 0) {
        return llm_chat_call_by_id(c, i);
    }

    /* back to the last call, over the results that came before this one */

    before = 0;
    at = i;
    left = LLM_CHAT_LOOK_BACK;

    for ( ;; ) {
        if (at == 0 || left-- == 0) {
            return n;
        }

        at--;

        if (p[at].type == LLM_PART_TOOL_CALL) {
            break;
        }

        if (p[at].type == LLM_PART_TOOL_RESULT && p[at].id.n == 0
            && llm_chat_same(&p[at].name, &p[i].name))
        {
            before++;
        }
    }

    while (at != 0 && left-- != 0 && p[at - 1].message == p[at].message) {
        at--;
    }

    for ( /* void */ ; at < i; at++) {
        if (llm_chat_fits(&p[at], &p[i]) && before-- == 0) {
            return at;
        }
    }

    return n;
}


llm_slice_t
llm_chat_call_name(const llm_chat_t *c, size_t i)
{
    size_t             call;
    const llm_part_t  *parts;

    parts = llm_chat_parts(c);

    if (parts[i].name.n != 0) {
        return parts[i].name;
    }

    call = llm_chat_call(c, i);

    return call < llm_chat_nparts(c) ? parts[call].name : llm_slice_null;
}


void
llm_chat_call_id(llm_chat_writer_t *w, const llm_chat_t *c, size_t i)
{
    size_t             call;
    const llm_part_t  *part;

    part = &llm_chat_parts(c)[i];

    if (part->id.n != 0) {
        llm_chat_splice(w, &part->id);
        return;
    }

    call = i;

    if (part->type == LLM_PART_TOOL_RESULT) {
        call = llm_chat_call(c, i);

        if (call == llm_chat_nparts(c)) {
            call = i;
        }
    }

    llm_out_lit(w->out, "call_");
    llm_write_int(w->out, (int64_t) call);
}


/*
 * Members of `set` that are to be written: those whose name the writer came
 * to need one that is for such a body, the others take the last of equals.
 */
static void
llm_chat_set(llm_chat_writer_t *w)
{
    size_t                    i, k;
    const llm_request_set_t  *set;

    set = w->set;

    for (i = 0; i < w->nset; i++) {

        if (w->seen.p[i] && set[i].if_absent) {
            continue;
        }

        for (k = i + 1; k < w->nset; k++) {
            if (llm_chat_same(&set[k].name, &set[i].name)
                && !(w->seen.p[k] && set[k].if_absent))
            {
                break;
            }
        }

        if (k == w->nset) {
            llm_chat_name(w, &set[i].name);
            llm_chat_splice(w, &set[i].value);
        }
    }
}


/* What no dialect can do without: the name of a call, and of a tool. */
static llm_rc_t
llm_chat_check(llm_chat_t *c, const llm_dialect_t *from)
{
    size_t             i;
    const llm_part_t  *part;
    const llm_tool_t  *tool;

    part = llm_chat_parts(c);
    tool = llm_chat_tools(c);

    for (i = 0; i < llm_chat_nparts(c); i++) {
        if (part[i].type == LLM_PART_TOOL_CALL && part[i].name.n == 0) {
            return llm_chat_wrong(c, (const char *) from->needs.p);
        }
    }

    for (i = 0; i < llm_chat_ntools(c); i++) {
        if (tool[i].name.n == 0 && tool[i].type.n == 0) {
            return llm_chat_wrong(c, "tools");
        }
    }

    return LLM_OK;
}


static llm_slice_t
llm_chat_number(llm_u8 *buf, size_t n, int64_t v)
{
    llm_slice_t  s;

    s.n = 0;
    s.escaped = 0;

    do {
        buf[n - ++s.n] = (llm_u8) ('0' + v % 10);
        v /= 10;
    } while (v != 0);

    s.p = buf + n - s.n;

    return s;
}


/* Lowers the limit of output that a request says, and a budget of reasoning
 * that would not be below it. */
static void
llm_chat_cap(llm_chat_writer_t *w, llm_chat_t *c, const llm_dialect_t *to)
{
    const llm_ask_t  *ask;

    if (c->budget.p != NULL && llm_json_integer(&c->budget, 1) >= w->cap) {
        c->budget = llm_chat_number(w->budget, sizeof(w->budget), w->cap - 1);
    }

    ask = to->asks;

    while (ask != NULL && ask->name != NULL
           && !(ask->what & LLM_ASK_OUTPUT))
    {
        ask++;
    }

    if (c->max_tokens.p != NULL && ask != NULL
        && !llm_ask_within(ask, LLM_JSON_NUMBER, &c->max_tokens, w->cap))
    {
        c->max_tokens = llm_chat_number(w->limit, sizeof(w->limit), w->cap);
    }
}


llm_rc_t
llm_chat_translate(llm_chat_writer_t *w, llm_chat_t *c,
    const llm_dialect_t *from, const llm_dialect_t *to, const llm_u8 *body,
    size_t n)
{
    llm_rc_t  rc;

    llm_chat_init(c, &w->rope.alloc, w->max_depth);

    rc = from->read_chat(c, body, n);
    if (rc != LLM_OK) {
        return rc;
    }

    rc = llm_chat_check(c, from);
    if (rc != LLM_OK) {
        return rc;
    }

    if (w->cap != 0) {
        llm_chat_cap(w, c, to);
    }

    if (w->model.p == NULL) {
        w->model = c->model;
    }

    w->seen.n = 0;

    if (w->nset != 0) {
        rc = llm_block_reserve(&w->seen, &w->rope.alloc, w->nset);
        if (rc != LLM_OK) {
            return rc;
        }

        memset(w->seen.p, 0, w->nset);
        w->seen.n = w->nset;
    }

    llm_out_lit(w->out, "{");
    to->write_chat(w, c);
    llm_chat_set(w);
    llm_out_lit(w->out, "}");

    return llm_rope_end(&w->rope);
}
