/*
 * Gemini: function calls.  Google's own come whole; Vertex AI can stream
 * their arguments:
 *
 *   {"name":"f","willContinue":true}
 *   {"partialArgs":[…],"willContinue":true}
 *   {}
 *
 * The last piece may have arguments too, and the empty one may never come:
 * then the finish reason ends the call.
 */

#include "llm_gemini.h"


/* bytes at the end of a chunk, with its counts, that an id is made of when the
 * answer has none */
#define LLM_GEMINI_SEED  256


typedef struct {
    llm_slice_t         id;
    llm_slice_t         name;
    llm_slice_t         args;
    llm_slice_t         partial;
    unsigned            more;
} llm_gemini_function_t;


void
llm_gemini_drop_call(llm_decoder_t *d, llm_gemini_choice_t *ch)
{
    llm_gemini_call_t  *call;

    call = ch->call;

    if (call == NULL) {
        return;
    }

    llm_block_free(&call->levels, &d->alloc);
    llm_block_free(&call->names, &d->alloc);

    (void) d->alloc.resize(d->alloc.ctx, call, sizeof(llm_gemini_call_t), 0);
    ch->call = NULL;
}


static void
llm_gemini_read_call(const llm_slice_t *raw, llm_gemini_function_t *f)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    memset(f, 0, sizeof(llm_gemini_function_t));
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING) {

            if (llm_json_is(&key, "name") && v.n != 0) {
                f->name = v;

            } else if (llm_json_is(&key, "id") && v.n != 0) {
                f->id = v;
            }

        } else if (type == LLM_JSON_OBJECT) {

            if (llm_json_is(&key, "args")) {
                f->args = v;
            }

        } else if (type == LLM_JSON_ARRAY) {

            if (llm_gemini_is(&key, "partialArgs")) {
                f->partial = v;
            }

        } else if (llm_gemini_is(&key, "willContinue")) {
            f->more = type == LLM_JSON_TRUE;
        }
    }
}


static llm_rc_t
llm_gemini_id_full(llm_out_t *out)
{
    (void) out;

    return LLM_TOO_BIG;
}


/* An id for a call that came without one, as the first bytes of the
 * scratch. */
static llm_rc_t
llm_gemini_make_id(llm_gemini_chunk_t *c, unsigned index)
{
    size_t       n;
    llm_u8       buf[64];
    llm_out_t    out;
    llm_slice_t  seed;

    seed = c->id;

    if (seed.n == 0) {
        seed = c->frame->data;
        n = seed.n < LLM_GEMINI_SEED ? seed.n : LLM_GEMINI_SEED;
        seed.p += seed.n - n;
        seed.n = n;
    }

    out.pos = buf;
    out.end = buf + sizeof(buf);
    out.more = llm_gemini_id_full;
    out.ctx = NULL;
    out.failed = 0;

    llm_write_id(&out, "call_", &seed, 0, c->ev.choice << 16 | index);

    return llm_gemini_put(c, buf, (size_t) (out.pos - buf));
}


/*
 * Emits what is in the scratch behind the first `skip` bytes, or *args, as a
 * fragment of call `index`.  f: the call begins here, or NULL.
 */
static llm_rc_t
llm_gemini_fragment(llm_gemini_chunk_t *c, unsigned index, size_t skip,
    const llm_gemini_function_t *f, const llm_slice_t *args)
{
    llm_rc_t      rc;
    llm_block_t  *b;

    b = &c->d->scratch;

    c->ev.tool_index = index;

    if (args != NULL) {
        c->ev.text = *args;

    } else {
        c->ev.text = (llm_slice_t) { (const llm_u8 *) "", b->n - skip, 0 };

        if (b->n != skip) {
            c->ev.text.p = b->p + skip;
        }
    }

    if (f != NULL) {
        c->ev.name = f->name;
        c->ev.id = f->id;

        if (f->id.n == 0) {
            c->ev.id = (llm_slice_t) { b->p, skip, 1 };
        }
    }

    rc = llm_gemini_emit(c, LLM_EV_TOOL_CALL);

    c->ev.text = llm_slice_null;
    c->ev.name = llm_slice_null;
    c->ev.id = llm_slice_null;
    c->ev.tool_index = 0;

    return rc;
}


/* The end of a call's arguments, as the last bytes of the scratch. */
static llm_rc_t
llm_gemini_finish_args(llm_gemini_chunk_t *c, llm_gemini_call_t *call)
{
    if (!call->any && call->levels.n == 0) {
        return llm_gemini_put_lit(c, "{}");
    }

    return llm_gemini_close_args(c, call, 0);
}


/* A call begins whose arguments come later, or in pieces. */
static llm_rc_t
llm_gemini_begin(llm_gemini_chunk_t *c, llm_gemini_choice_t *ch)
{
    llm_gemini_call_t  *call;

    call = c->d->alloc.resize(c->d->alloc.ctx, NULL, 0,
                              sizeof(llm_gemini_call_t));
    if (call == NULL) {
        return LLM_NOMEM;
    }

    memset(call, 0, sizeof(llm_gemini_call_t));

    call->index = ch->tools++;
    ch->call = call;

    return LLM_OK;
}


/* What one part says of the call that goes on; f->name: it begins here. */
static llm_rc_t
llm_gemini_go_on(llm_gemini_chunk_t *c, llm_gemini_choice_t *ch,
    const llm_gemini_function_t *f, unsigned begins)
{
    size_t              skip;
    llm_rc_t            rc;
    llm_gemini_call_t  *call;

    call = ch->call;
    c->d->scratch.n = 0;

    rc = begins && f->id.n == 0 ? llm_gemini_make_id(c, call->index)
                                : LLM_OK;
    skip = c->d->scratch.n;

    if (rc == LLM_OK && f->partial.p != NULL) {
        rc = llm_gemini_partial_args(c, call, &f->partial);

    } else if (rc == LLM_OK && f->args.p != NULL && call->levels.n == 0) {
        rc = llm_gemini_put(c, f->args.p, f->args.n);
        call->any = 1;
    }

    if (rc == LLM_OK && !f->more) {
        rc = llm_gemini_finish_args(c, call);
    }

    if (rc == LLM_OK && (begins || c->d->scratch.n != skip)) {
        call->any |= c->d->scratch.n != skip;
        rc = llm_gemini_fragment(c, call->index, skip, begins ? f : NULL,
                                 NULL);
    }

    if (rc != LLM_OK || !f->more) {
        llm_gemini_drop_call(c->d, ch);
    }

    return rc;
}


llm_rc_t
llm_gemini_end_call(llm_gemini_chunk_t *c, llm_gemini_choice_t *ch,
    unsigned cut)
{
    llm_rc_t            rc;
    llm_gemini_call_t  *call;

    call = ch->call;

    if (call == NULL) {
        return LLM_OK;
    }

    rc = LLM_OK;

    if (!cut && call->string) {
        rc = LLM_INVALID;

    } else if (!cut) {
        c->d->scratch.n = 0;

        rc = llm_gemini_finish_args(c, call);

        if (rc == LLM_OK && c->d->scratch.n != 0) {
            rc = llm_gemini_fragment(c, call->index, 0, NULL, NULL);
        }
    }

    llm_gemini_drop_call(c->d, ch);

    return rc;
}


/* A call with all of its arguments. */
static llm_rc_t
llm_gemini_whole(llm_gemini_chunk_t *c, llm_gemini_choice_t *ch,
    const llm_gemini_function_t *f)
{
    llm_rc_t     rc;
    llm_slice_t  args;

    rc = LLM_OK;
    args = f->args;

    if (args.p == NULL) {
        args = llm_slice("{}");
    }

    c->d->scratch.n = 0;

    if (f->id.n == 0) {
        rc = llm_gemini_make_id(c, ch->tools);
    }

    if (rc == LLM_OK) {
        c->ev.whole = 1;
        rc = llm_gemini_fragment(c, ch->tools, c->d->scratch.n, f, &args);
        c->ev.whole = 0;
    }

    ch->tools++;

    return rc;
}


llm_rc_t
llm_gemini_emit_call(llm_gemini_chunk_t *c, const llm_gemini_part_t *part)
{
    llm_rc_t                rc;
    unsigned                begins;
    llm_gemini_choice_t    *ch;
    llm_gemini_function_t   f;

    ch = llm_gemini_choice(c);
    if (ch == NULL) {
        return LLM_NOMEM;
    }

    llm_gemini_read_call(&part->call, &f);

    /* only the first piece of a call has its name */

    if (ch->call != NULL && f.name.p != NULL) {
        rc = llm_gemini_end_call(c, ch, 0);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    begins = ch->call == NULL;

    if (begins && f.name.p == NULL) {

        /* the end of a call that was over before */

        return f.partial.p == NULL ? LLM_OK : LLM_INVALID;
    }

    c->ev.signature = part->signature;

    if (begins && !f.more && f.partial.p == NULL) {
        rc = llm_gemini_whole(c, ch, &f);

    } else {
        rc = begins ? llm_gemini_begin(c, ch) : LLM_OK;

        if (rc == LLM_OK) {
            rc = llm_gemini_go_on(c, ch, &f, begins);
        }
    }

    c->ev.signature = llm_slice_null;

    return rc;
}
