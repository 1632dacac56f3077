/*
 * Gemini: what stands beside the text of a candidate: sources, citations,
 * log probabilities.  Positions of theirs count bytes of a text that is not
 * kept here, so they are not said.
 */

#include "llm_gemini.h"


/* sources whose first supported text is looked for, and citations that are
 * remembered so that they are said once */
#define LLM_GEMINI_SOURCES  128
#define LLM_GEMINI_CITED    256


/* Whether this was not cited before in the stream: the metadata of a later
 * chunk repeat those of an earlier one. */
static llm_rc_t
llm_gemini_cite(llm_gemini_chunk_t *c, const llm_event_t *ev)
{
    size_t                i, k, n;
    uint64_t              hash, *old;
    const llm_slice_t    *s;
    llm_gemini_state_t   *state;

    state = c->d->state;
    hash = UINT64_C(14695981039346656037) ^ ev->choice;

    for (k = 0; k < 2; k++) {
        s = k == 0 ? &ev->id : &ev->name;

        for (i = 0; i < s->n; i++) {
            hash = (hash ^ s->p[i]) * UINT64_C(1099511628211);
        }

        hash = (hash ^ 0x100) * UINT64_C(1099511628211);
    }

    old = (uint64_t *) (void *) state->cited.p;
    n = state->cited.n / sizeof(uint64_t);

    for (i = 0; i < n; i++) {
        if (old[i] == hash) {
            return LLM_DONE;
        }
    }

    return n < LLM_GEMINI_CITED
           ? llm_block_append(&state->cited, &c->d->alloc, &hash,
                              sizeof(hash))
           : LLM_DONE;
}


/* Emits c->ev if it says something new, and clears it. */
static llm_rc_t
llm_gemini_emit_citation(llm_gemini_chunk_t *c)
{
    llm_rc_t  rc;

    rc = LLM_OK;

    if (c->ev.id.n != 0 || c->ev.name.n != 0) {
        rc = llm_gemini_cite(c, &c->ev);

        if (rc == LLM_OK) {
            rc = llm_gemini_emit(c, LLM_EV_CITATION);

        } else if (rc == LLM_DONE) {
            rc = LLM_OK;
        }
    }

    c->ev.id = llm_slice_null;
    c->ev.name = llm_slice_null;
    c->ev.text = llm_slice_null;
    c->ev.raw = llm_slice_null;

    return rc;
}


/* Reads {"uri":…,"title":…} into c->ev; a source of documents says its text
 * too. */
static void
llm_gemini_read_source(llm_gemini_chunk_t *c, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type != LLM_JSON_STRING || v.n == 0) {
            continue;
        }

        if (llm_json_is(&key, "uri")) {
            c->ev.id = v;

        } else if (llm_json_is(&key, "title")) {
            c->ev.name = v;

        } else if (llm_json_is(&key, "text")) {
            c->ev.text = v;
        }
    }
}


/* {"web":{…}}, {"retrievedContext":{…}}, {"maps":{…}}; j stands behind the
 * brace. */
static void
llm_gemini_read_chunk(llm_gemini_chunk_t *c, llm_json_t *j)
{
    llm_slice_t      key, v;
    llm_json_type_t  type;

    while (llm_json_member(j, &key, &v, &type)) {
        if (type == LLM_JSON_OBJECT) {
            llm_gemini_read_source(c, &v);
        }
    }
}


/* One of groundingSupports: its text becomes that of the sources that it
 * names, if they have none yet. */
static void
llm_gemini_read_support(llm_json_t *j, llm_slice_t *texts)
{
    int64_t          i;
    llm_json_t       in;
    llm_slice_t      key, v, text, list;
    llm_json_type_t  type;

    text = llm_slice_null;
    list = llm_slice_null;

    while (llm_json_member(j, &key, &v, &type)) {

        if (type == LLM_JSON_ARRAY) {
            if (llm_gemini_is(&key, "groundingChunkIndices")) {
                list = v;
            }

        } else if (type == LLM_JSON_OBJECT && llm_json_is(&key, "segment")) {
            llm_json_reopen(&in, &v);

            while (llm_json_member(&in, &key, &v, &type)) {
                if (type == LLM_JSON_STRING && llm_json_is(&key, "text")) {
                    text = v;
                }
            }
        }
    }

    if (text.n == 0 || list.p == NULL) {
        return;
    }

    llm_json_reopen(&in, &list);

    while (llm_json_element(&in, &v, &type)) {
        i = type == LLM_JSON_NUMBER ? llm_json_uint(&v) : -1;

        if (i >= 0 && i < LLM_GEMINI_SOURCES && texts[i].n == 0) {
            texts[i] = text;
        }
    }
}


llm_rc_t
llm_gemini_emit_grounding(llm_gemini_chunk_t *c, const llm_slice_t *raw)
{
    size_t           i;
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, chunks, supports;
    llm_slice_t      texts[LLM_GEMINI_SOURCES];
    const llm_u8    *start;
    llm_json_type_t  type;

    chunks = llm_slice_null;
    supports = llm_slice_null;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type != LLM_JSON_ARRAY) {
            continue;
        }

        if (llm_gemini_is(&key, "groundingChunks")) {
            chunks = v;

        } else if (llm_gemini_is(&key, "groundingSupports")) {
            supports = v;
        }
    }

    if (chunks.p == NULL) {
        return LLM_OK;
    }

    memset(texts, 0, sizeof(texts));

    if (supports.p != NULL) {
        llm_json_reopen(&j, &supports);

        while (llm_json_object(&j)) {
            llm_gemini_read_support(&j, texts);
        }
    }

    llm_json_reopen(&j, &chunks);

    for (i = 0; llm_json_object(&j); i++) {
        start = j.start;
        llm_gemini_read_chunk(c, &j);

        if (i < LLM_GEMINI_SOURCES && texts[i].n != 0) {
            c->ev.text = texts[i];
        }

        c->ev.raw = (llm_slice_t) { start, (size_t) (j.p - start), 0 };

        rc = llm_gemini_emit_citation(c);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* citationSources, or citations as Vertex calls them. */
llm_rc_t
llm_gemini_emit_citations(llm_gemini_chunk_t *c, const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, list;
    llm_json_type_t  type;

    list = llm_slice_null;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (type == LLM_JSON_ARRAY
            && (llm_gemini_is(&key, "citationSources")
                || llm_json_is(&key, "citations")))
        {
            list = v;
        }
    }

    if (list.p == NULL) {
        return LLM_OK;
    }

    llm_json_reopen(&j, &list);

    while (llm_json_element(&j, &v, &type)) {

        if (type != LLM_JSON_OBJECT) {
            continue;
        }

        llm_gemini_read_source(c, &v);
        c->ev.text = llm_slice_null;
        c->ev.raw = v;

        rc = llm_gemini_emit_citation(c);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* {"token":"…","logProbability":-0.1} as OpenAI says it, with its last brace
 * left out; j stands behind the brace. */
static llm_rc_t
llm_gemini_token(llm_gemini_chunk_t *c, llm_json_t *j)
{
    llm_rc_t         rc;
    llm_slice_t      key, v, token, value;
    llm_json_type_t  type;

    token = llm_slice_null;
    value = llm_slice("0");

    while (llm_json_member(j, &key, &v, &type)) {

        if (type == LLM_JSON_STRING && llm_json_is(&key, "token")) {
            token = v;

        } else if (type == LLM_JSON_NUMBER
                   && llm_gemini_is(&key, "logProbability"))
        {
            value = v;
        }
    }

    rc = llm_gemini_put_lit(c, "{\"token\":\"");

    if (rc == LLM_OK && token.n != 0) {
        rc = llm_gemini_put(c, token.p, token.n);
    }

    if (rc == LLM_OK) {
        rc = llm_gemini_put_lit(c, "\",\"logprob\":");
    }

    if (rc == LLM_OK) {
        rc = llm_gemini_put(c, value.p, value.n);
    }

    return rc == LLM_OK ? llm_gemini_put_lit(c, ",\"bytes\":null") : rc;
}


/* The alternatives of one token: {"candidates":[…]}; NULL: there are none. */
static llm_rc_t
llm_gemini_top(llm_gemini_chunk_t *c, llm_json_t *top)
{
    size_t           n;
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, list;
    llm_json_type_t  type;

    rc = llm_gemini_put_lit(c, ",\"top_logprobs\":[");
    list = llm_slice_null;

    while (top != NULL && llm_json_member(top, &key, &v, &type)) {
        if (type == LLM_JSON_ARRAY && llm_json_is(&key, "candidates")) {
            list = v;
        }
    }

    if (list.p != NULL) {
        llm_json_reopen(&j, &list);

        for (n = 0; rc == LLM_OK && llm_json_object(&j); n++) {
            rc = n != 0 ? llm_gemini_put_lit(c, ",") : LLM_OK;

            if (rc == LLM_OK) {
                rc = llm_gemini_token(c, &j);
            }

            if (rc == LLM_OK) {
                rc = llm_gemini_put_lit(c, "}");
            }
        }
    }

    return rc == LLM_OK ? llm_gemini_put_lit(c, "]}") : rc;
}


/* Writes the items of both lists, which run side by side. */
static llm_rc_t
llm_gemini_items(llm_gemini_chunk_t *c, const llm_slice_t *chosen,
    const llm_slice_t *tops)
{
    size_t      n;
    llm_rc_t    rc;
    unsigned    more;
    llm_json_t  j, top;

    llm_json_reopen(&j, chosen);
    more = tops->p != NULL;

    if (more) {
        llm_json_reopen(&top, tops);
    }

    rc = llm_gemini_put_lit(c, "[");

    for (n = 0; rc == LLM_OK && llm_json_object(&j); n++) {
        rc = n != 0 ? llm_gemini_put_lit(c, ",") : LLM_OK;

        if (rc == LLM_OK) {
            rc = llm_gemini_token(c, &j);
        }

        if (rc == LLM_OK) {
            more = more && llm_json_object(&top);
            rc = llm_gemini_top(c, more ? &top : NULL);
        }
    }

    return rc == LLM_OK ? llm_gemini_put_lit(c, "]") : rc;
}


llm_rc_t
llm_gemini_emit_logprobs(llm_gemini_chunk_t *c, const llm_slice_t *raw)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      key, v, chosen, tops;
    llm_json_type_t  type;

    chosen = llm_slice_null;
    tops = llm_slice_null;
    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (type != LLM_JSON_ARRAY) {
            continue;
        }

        if (llm_gemini_is(&key, "chosenCandidates")) {
            chosen = v;

        } else if (llm_gemini_is(&key, "topCandidates")) {
            tops = v;
        }
    }

    if (chosen.p == NULL) {
        return LLM_OK;
    }

    c->d->scratch.n = 0;

    rc = llm_gemini_items(c, &chosen, &tops);

    if (rc == LLM_OK && c->d->scratch.n > 2) {
        c->ev.raw = (llm_slice_t) { c->d->scratch.p, c->d->scratch.n, 0 };
        rc = llm_gemini_emit(c, LLM_EV_LOGPROBS);
        c->ev.raw = llm_slice_null;
    }

    return rc;
}
