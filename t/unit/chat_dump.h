/*
 * A toy dialect whose request is all that a reader found, as JSON: so that a
 * reader is tested without any writer.
 */

#ifndef CHAT_DUMP_H
#define CHAT_DUMP_H

#include "chat_support.h"


/* A member of an object inside; the comma is in front of all but the first. */
static inline void
dump_slice(llm_out_t *out, unsigned *n, const char *name,
    const llm_slice_t *s, unsigned string)
{
    if (s->p == NULL) {
        return;
    }

    llm_out(out, ",", (*n)++ != 0);
    llm_out_lit(out, "\"");
    llm_out(out, name, strlen(name));
    llm_out_lit(out, "\":");

    if (string) {
        llm_write_string(out, s, 0);
        return;
    }

    llm_out(out, s->p, s->n);
}


static inline void
dump_int(llm_out_t *out, unsigned *n, const char *name, int64_t v)
{
    llm_out(out, ",", (*n)++ != 0);
    llm_out_lit(out, "\"");
    llm_out(out, name, strlen(name));
    llm_out_lit(out, "\":");
    llm_write_int(out, v);
}


static inline void
dump_part(llm_out_t *out, const llm_part_t *p)
{
    unsigned     n;
    llm_slice_t  s;

    static const char * const  types[] = {
        "text", "image", "audio", "file", "call", "result", "reasoning",
        "refusal", "other"
    };
    static const char * const  roles[] = {
        "system", "user", "assistant", "tool"
    };

    n = 0;
    llm_out_lit(out, "{");

    s.escaped = 0;
    s.p = (const llm_u8 *) types[p->type];
    s.n = strlen(types[p->type]);
    dump_slice(out, &n, "type", &s, 1);

    s.p = (const llm_u8 *) roles[p->role];
    s.n = strlen(roles[p->role]);
    dump_slice(out, &n, "role", &s, 1);

    dump_int(out, &n, "message", p->message);

    if (p->inner) {
        dump_int(out, &n, "inner", 1);
    }

    if (p->error) {
        dump_int(out, &n, "error", 1);
    }

    dump_slice(out, &n, "text", &p->text, 1);
    dump_slice(out, &n, "id", &p->id, 1);
    dump_slice(out, &n, "name", &p->name, 1);
    dump_slice(out, &n, "args", &p->args, p->args_string);
    dump_slice(out, &n, "media", &p->media, 1);
    dump_slice(out, &n, "data", &p->data, 1);
    dump_slice(out, &n, "url", &p->url, 1);
    dump_slice(out, &n, "signature", &p->signature, 1);
    llm_out_lit(out, "}");
}


static inline void
dump_tool(llm_out_t *out, const llm_tool_t *t)
{
    unsigned  n;

    n = 0;
    llm_out_lit(out, "{");
    dump_slice(out, &n, "name", &t->name, 1);
    dump_slice(out, &n, "description", &t->description, 1);
    dump_slice(out, &n, "schema", &t->schema, 0);
    dump_slice(out, &n, "type", &t->type, 1);

    if (t->strict != -1) {
        dump_int(out, &n, "strict", t->strict);
    }

    llm_out_lit(out, "}");
}


static inline void
dump_lists(llm_chat_writer_t *w, const llm_chat_t *c)
{
    size_t    i;
    unsigned  n;

    if (llm_chat_nparts(c) != 0 && llm_chat_member(w, "parts")) {
        for (i = 0; i < llm_chat_nparts(c); i++) {
            llm_out(w->out, i == 0 ? "[" : ",", 1);
            dump_part(w->out, &llm_chat_parts(c)[i]);
        }

        llm_out_lit(w->out, "]");
    }

    if (llm_chat_ntools(c) != 0 && llm_chat_member(w, "tools")) {
        for (i = 0; i < llm_chat_ntools(c); i++) {
            llm_out(w->out, i == 0 ? "[" : ",", 1);
            dump_tool(w->out, &llm_chat_tools(c)[i]);
        }

        llm_out_lit(w->out, "]");
    }

    if (llm_chat_nstops(c) != 0 && llm_chat_member(w, "stops")) {
        for (i = 0; i < llm_chat_nstops(c); i++) {
            llm_out(w->out, i == 0 ? "[" : ",", 1);
            llm_write_string(w->out, &llm_chat_stops(c)[i], 0);
        }

        llm_out_lit(w->out, "]");
    }

    if (llm_chat_nextras(c) != 0 && llm_chat_member(w, "extras")) {
        for (i = 0; i < llm_chat_nextras(c); i++) {
            n = 0;
            llm_out(w->out, i == 0 ? "[{" : ",{", 2);
            dump_slice(w->out, &n, "name", &llm_chat_extras(c)[i].name, 1);
            dump_slice(w->out, &n, "raw", &llm_chat_extras(c)[i].raw, 0);
            llm_out_lit(w->out, "}");
        }

        llm_out_lit(w->out, "]");
    }
}


static inline void
dump_flag(llm_chat_writer_t *w, const char *name, int v, int unsaid)
{
    if (v != unsaid && llm_chat_member(w, name)) {
        llm_write_int(w->out, v);
    }
}


static inline void
dump_write(llm_chat_writer_t *w, const llm_chat_t *c)
{
    static const char * const  chooses[] = {
        "unsaid", "auto", "none", "required", "tool"
    };
    static const char * const  formats[] = {
        "unsaid", "text", "object", "schema"
    };

    llm_chat_string(w, "model", &c->model);
    dump_flag(w, "stream", c->stream, -1);
    dump_flag(w, "include_usage", c->include_usage, -1);
    llm_chat_raw(w, "max_tokens", &c->max_tokens);
    llm_chat_raw(w, "temperature", &c->temperature);
    llm_chat_raw(w, "top_p", &c->top_p);
    llm_chat_raw(w, "top_k", &c->top_k);
    llm_chat_raw(w, "min_p", &c->min_p);
    llm_chat_raw(w, "seed", &c->seed);
    llm_chat_raw(w, "presence", &c->presence);
    llm_chat_raw(w, "frequency", &c->frequency);
    llm_chat_raw(w, "n", &c->n);
    llm_chat_raw(w, "top_logprobs", &c->top_logprobs);
    llm_chat_raw(w, "budget", &c->budget);
    dump_flag(w, "logprobs", c->logprobs, -1);
    dump_flag(w, "parallel_tools", c->parallel_tools, -1);
    dump_flag(w, "thoughts", c->thoughts, -1);
    dump_flag(w, "effort", (int) c->effort, LLM_EFFORT_UNSAID);
    llm_chat_string(w, "user", &c->user);
    llm_chat_raw(w, "metadata", &c->metadata);
    llm_chat_string(w, "suffix", &c->suffix);
    llm_chat_string(w, "session", &c->session);

    if (c->choose != LLM_CHOOSE_UNSAID && llm_chat_member(w, "choose")) {
        llm_out_lit(w->out, "\"");
        llm_out(w->out, chooses[c->choose], strlen(chooses[c->choose]));
        llm_out_lit(w->out, "\"");
    }

    llm_chat_string(w, "choose_name", &c->choose_name);

    if (c->format != LLM_FORMAT_UNSAID && llm_chat_member(w, "format")) {
        llm_out_lit(w->out, "\"");
        llm_out(w->out, formats[c->format], strlen(formats[c->format]));
        llm_out_lit(w->out, "\"");
    }

    llm_chat_raw(w, "schema", &c->schema);
    llm_chat_string(w, "schema_name", &c->schema_name);
    dump_flag(w, "schema_strict", c->schema_strict, -1);
    dump_lists(w, c);
}


static const llm_dialect_t  dump_row = { .write_chat = dump_write };


#endif /* CHAT_DUMP_H */
