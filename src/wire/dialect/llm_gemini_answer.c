/*
 * Gemini: the pieces that chunks and whole answers are made of, one answer
 * that was gathered, and errors.
 */

#include "llm_gemini.h"


void
llm_gemini_write_call(llm_out_t *out, const llm_item_t *item,
    const llm_block_t *args)
{
    llm_slice_t  raw;

    raw = llm_gathered(args);

    llm_out_lit(out, "{\"functionCall\":{\"name\":");
    llm_write_block(out, &item->name);
    llm_out_lit(out, ",\"args\":");
    llm_write_json(out, &raw, 1);

    if (item->id.n != 0) {
        llm_out_lit(out, ",\"id\":");
        llm_write_block(out, &item->id);
    }

    llm_out_lit(out, "}");

    if (item->signature.n != 0) {
        llm_out_lit(out, ",\"thoughtSignature\":");
        llm_write_block(out, &item->signature);
    }

    llm_out_lit(out, "}");
}


static void
llm_gemini_write_signature(llm_out_t *out, const llm_slice_t *signature,
    unsigned linesep)
{
    if (signature != NULL && signature->n != 0) {
        llm_out_lit(out, ",\"thoughtSignature\":");
        llm_write_string(out, signature, linesep);
    }
}


void
llm_gemini_write_text(llm_out_t *out, const llm_slice_t *text,
    const llm_slice_t *signature, unsigned thought, unsigned linesep)
{
    llm_out_lit(out, "{\"text\":\"");

    if (text != NULL && text->n != 0) {
        llm_write_inside(out, text, linesep);
    }

    llm_out_lit(out, "\"");

    if (thought) {
        llm_out_lit(out, ",\"thought\":true");
    }

    llm_gemini_write_signature(out, signature, linesep);
    llm_out_lit(out, "}");
}


int
llm_gemini_is_part(const llm_slice_t *name)
{
    static const char *const  names[] = {
        "executableCode", "codeExecutionResult", "inlineData", "fileData",
        "toolCall", "toolResponse"
    };

    size_t  i;

    for (i = 0; name->p != NULL && i < sizeof(names) / sizeof(names[0]); i++)
    {
        if (llm_gemini_is(name, names[i])) {
            return 1;
        }
    }

    return 0;
}


void
llm_gemini_write_meta(llm_out_t *out, const llm_event_t *ev)
{
    llm_out_lit(out, "{");
    llm_write_string(out, &ev->name, ev->linesep);
    llm_out_lit(out, ":");
    llm_write_json(out, &ev->raw, ev->linesep);
    llm_gemini_write_signature(out, &ev->signature, ev->linesep);
    llm_out_lit(out, "}");
}


/* The next object of a list of which *items is left; 0 at its end. */
static int
llm_gemini_item(llm_slice_t *items, llm_json_t *j)
{
    llm_slice_t      item;
    const llm_u8    *p, *end;
    llm_json_type_t  type;

    p = items->p;
    end = p + items->n;

    do {
        while (p < end && (*p == ',' || *p <= ' ')) {
            p++;
        }

        llm_json_init(j, p, (size_t) (end - p), LLM_JSON_DEPTH_MAX);
        type = llm_json_skip(j, &item);
        p = j->p;

        if (type == LLM_JSON_ERROR) {
            return 0;
        }

    } while (type != LLM_JSON_OBJECT);

    items->p = p;
    items->n = (size_t) (end - p);
    llm_json_reopen(j, &item);

    return 1;
}


/* Writes {"token":"…","logProbability":-0.1} of an item; returns its
 * alternatives. */
static llm_slice_t
llm_gemini_write_token(llm_out_t *out, llm_json_t *j, unsigned linesep)
{
    llm_slice_t      key, v, token, value, top;
    llm_json_type_t  type;

    token = llm_slice("");
    value = llm_slice("0");
    top = llm_slice_null;

    while (llm_json_member(j, &key, &v, &type)) {

        if (llm_json_is(&key, "token")) {
            token = type == LLM_JSON_STRING ? v : token;

        } else if (llm_json_is(&key, "logprob")) {
            value = type == LLM_JSON_NUMBER ? v : value;

        } else if (llm_json_is(&key, "top_logprobs")) {
            top = type == LLM_JSON_ARRAY ? v : top;
        }
    }

    llm_out_lit(out, "{\"token\":");
    llm_write_string(out, &token, linesep);
    llm_out_lit(out, ",\"logProbability\":");
    llm_out(out, value.p, value.n);
    llm_out_lit(out, "}");

    return top;
}


/* The alternatives of each item. */
static void
llm_gemini_write_top(llm_out_t *out, llm_json_t *j, unsigned linesep)
{
    unsigned         n;
    llm_json_t       in;
    llm_slice_t      key, v, top;
    llm_json_type_t  type;

    top = llm_slice_null;

    while (llm_json_member(j, &key, &v, &type)) {
        if (type == LLM_JSON_ARRAY && llm_json_is(&key, "top_logprobs")) {
            top = v;
        }
    }

    llm_out_lit(out, "{\"candidates\":[");

    if (top.p != NULL) {
        llm_json_reopen(&in, &top);

        for (n = 0; llm_json_object(&in); n++) {
            llm_write_opening(out, n, "");
            (void) llm_gemini_write_token(out, &in, linesep);
        }
    }

    llm_out_lit(out, "]}");
}


void
llm_gemini_write_logprobs(llm_out_t *out, const llm_slice_t *items,
    unsigned linesep)
{
    unsigned     n, tops;
    llm_json_t   j;
    llm_slice_t  left, top;

    tops = 0;
    left = *items;

    llm_out_lit(out, ",\"logprobsResult\":{\"chosenCandidates\":[");

    for (n = 0; llm_gemini_item(&left, &j); n++) {
        llm_write_opening(out, n, "");
        top = llm_gemini_write_token(out, &j, linesep);
        tops |= top.n > 2;
    }

    llm_out_lit(out, "]");

    if (tops) {
        left = *items;

        llm_out_lit(out, ",\"topCandidates\":[");

        for (n = 0; llm_gemini_item(&left, &j); n++) {
            llm_write_opening(out, n, "");
            llm_gemini_write_top(out, &j, linesep);
        }

        llm_out_lit(out, "]");
    }

    llm_out_lit(out, "}");
}


static llm_slice_t
llm_gemini_word(const llm_choice_t *c)
{
    llm_slice_t  word;

    word = llm_gathered(&c->word);

    if (word.n != 0 && c->finish != LLM_FINISH_OTHER
        && llm_gemini_reason(&word) == c->finish)
    {
        return word;
    }

    switch (c->finish) {

    case LLM_FINISH_STOP: case LLM_FINISH_TOOL_CALLS:
        return llm_slice("STOP");

    case LLM_FINISH_LENGTH:
        return llm_slice("MAX_TOKENS");

    case LLM_FINISH_CONTENT_FILTER:
        return llm_slice("SAFETY");

    default:
        return llm_slice("OTHER");
    }
}


static int
llm_gemini_is_source(const llm_item_t *item)
{
    return item->type == LLM_EV_CITATION
           && (item->id.n != 0 || item->name.n != 0);
}


static void
llm_gemini_write_grounding(llm_out_t *out, const llm_choice_t *c)
{
    size_t       i;
    unsigned     n, k;
    llm_item_t  *item;

    n = 0;

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (!llm_gemini_is_source(item)) {
            continue;
        }

        llm_write_opening(out, n++,
                          ",\"groundingMetadata\":{\"groundingChunks\":[");
        llm_out_lit(out, "{\"web\":{\"uri\":");
        llm_write_block(out, &item->id);
        llm_out_lit(out, ",\"title\":");
        llm_write_block(out, &item->name);
        llm_out_lit(out, "}}");
    }

    if (n == 0) {
        return;
    }

    llm_out_lit(out, "]");
    n = 0;
    k = 0;

    for (i = 0; i < llm_choice_nitems(c); i++) {
        item = &llm_choice_items(c)[i];

        if (!llm_gemini_is_source(item)) {
            continue;
        }

        k++;

        if (item->text.n == 0) {
            continue;
        }

        llm_write_opening(out, n++, ",\"groundingSupports\":[");
        llm_out_lit(out, "{\"segment\":{\"text\":");
        llm_write_block(out, &item->text);
        llm_out_lit(out, "},\"groundingChunkIndices\":[");
        llm_write_int(out, k - 1);
        llm_out_lit(out, "]}");
    }

    if (n != 0) {
        llm_out_lit(out, "]");
    }

    llm_out_lit(out, "}");
}


void
llm_gemini_write_end(llm_out_t *out, const llm_choice_t *c)
{
    llm_slice_t  word, items;

    word = c->finished ? llm_gemini_word(c) : llm_slice("STOP");

    llm_out_lit(out, ",\"finishReason\":");
    llm_write_string(out, &word, 0);

    llm_out_lit(out, ",\"index\":");
    llm_write_int(out, c->index);
    llm_gemini_write_grounding(out, c);

    items = llm_gathered(c->logprobs.n != 0 ? &c->logprobs : &c->refused);

    if (items.n != 0) {
        llm_gemini_write_logprobs(out, &items, 0);
    }

    llm_out_lit(out, "}");
}


static void
llm_gemini_write_count(llm_out_t *out, unsigned *n, const char *name,
    int64_t v)
{
    if (v < 0) {
        return;
    }

    llm_write_opening(out, (*n)++, "");
    llm_out_lit(out, "\"");
    llm_out(out, name, strlen(name));
    llm_out_lit(out, "\":");
    llm_write_int(out, v);
}


void
llm_gemini_write_usage(llm_out_t *out, const llm_usage_t *u)
{
    int64_t   output, total;
    unsigned  n;

    n = 0;
    output = u->output;
    total = u->total;

    if (output >= 0 && u->reasoning > 0) {
        output = output > u->reasoning ? output - u->reasoning : 0;
    }

    if (total < 0 && u->input >= 0 && u->output >= 0
        && u->input <= INT64_MAX - u->output)
    {
        total = u->input + u->output;
    }

    llm_out_lit(out, "\"usageMetadata\":{");
    llm_gemini_write_count(out, &n, "promptTokenCount", u->input);
    llm_gemini_write_count(out, &n, "cachedContentTokenCount", u->cached);
    llm_gemini_write_count(out, &n, "candidatesTokenCount", output);
    llm_gemini_write_count(out, &n, "thoughtsTokenCount", u->reasoning);
    llm_gemini_write_count(out, &n, "totalTokenCount", total);
    llm_out_lit(out, "},");
}


void
llm_gemini_write_label(llm_out_t *out, const llm_slice_t *model,
    const llm_slice_t *id, int64_t unique, unsigned linesep)
{
    if (model->n != 0) {
        llm_out_lit(out, "\"modelVersion\":");
        llm_write_string(out, model, linesep);
        llm_out_lit(out, ",");
    }

    llm_out_lit(out, "\"responseId\":\"");

    if (id->n != 0) {
        llm_write_inside(out, id, linesep);

    } else {
        llm_write_id(out, "", model, unique, 0);
    }

    llm_out_lit(out, "\"");
}


/* Writes the parts of a choice; returns 1 when a call was no JSON. */
static int
llm_gemini_write_parts(llm_encoder_t *e, const llm_choice_t *c)
{
    int          broken;
    size_t       i;
    unsigned     n;
    llm_item_t  *item;
    llm_slice_t  text, signature;
    llm_block_t  args;

    n = 0;
    broken = 0;

    for (i = 0; i < llm_choice_nitems(c) && e->rc == LLM_OK; i++) {
        item = &llm_choice_items(c)[i];

        switch (item->type) {

        case LLM_EV_TEXT: case LLM_EV_REFUSAL: case LLM_EV_REASONING:
            text = llm_gathered(&item->text);
            signature = llm_gathered(&item->signature);

            if (text.n != 0 || signature.n != 0) {
                llm_write_opening(e->out, n++, "");
                llm_gemini_write_text(e->out, &text, &signature,
                                      item->type == LLM_EV_REASONING, 0);
            }

            break;

        case LLM_EV_TOOL_CALL:
            if (llm_read_arguments(e, &item->text, &args)) {
                llm_write_opening(e->out, n++, "");
                llm_gemini_write_call(e->out, item, &args);

            } else {
                broken = 1;
            }

            llm_block_free(&args, &e->alloc);
            break;

        default:
            break;
        }
    }

    if (n == 0) {
        llm_gemini_write_text(e->out, NULL, NULL, 0, 0);
    }

    return broken;
}


void
llm_gemini_write_answer(llm_encoder_t *e, const llm_answer_t *a)
{
    size_t        i;
    llm_slice_t   model, id;
    llm_choice_t  c;

    static const char  malformed[] = "MALFORMED_FUNCTION_CALL";

    llm_out_lit(e->out, "{\"candidates\":[");

    for (i = 0; i < llm_answer_nchoices(a); i++) {
        c = llm_answer_choices(a)[i];

        llm_write_opening(e->out, (unsigned) i, "");
        llm_out_lit(e->out, "{\"content\":{\"parts\":[");

        if (llm_gemini_write_parts(e, &c)
            && c.finish != LLM_FINISH_LENGTH)
        {
            c.finished = 1;
            c.finish = LLM_FINISH_ERROR;
            c.word.p = (llm_u8 *) (uintptr_t) malformed;
            c.word.n = sizeof(malformed) - 1;
        }

        llm_out_lit(e->out, "],\"role\":\"model\"}");
        llm_gemini_write_end(e->out, &c);
    }

    llm_out_lit(e->out, "],");

    if (a->has_usage) {
        llm_gemini_write_usage(e->out, &a->usage);
    }

    model = llm_gathered(&a->model);
    id = llm_gathered(&a->id);

    llm_gemini_write_label(e->out, &model, &id, e->unique, 0);
    llm_out_lit(e->out, "}");
}


/* Milliseconds as protobuf's Duration: "34.4s". */
static void
llm_gemini_write_duration(llm_out_t *out, int64_t ms)
{
    llm_u8    digits[4];
    unsigned  n;

    llm_out_lit(out, "\"");
    llm_write_int(out, ms / 1000);

    ms %= 1000;
    n = 0;

    if (ms != 0) {
        digits[n++] = '.';
    }

    while (ms != 0) {
        digits[n++] = (llm_u8) ('0' + ms / 100);
        ms = ms % 100 * 10;
    }

    llm_out(out, digits, n);
    llm_out_lit(out, "s\"");
}


void
llm_gemini_error_body(llm_out_t *out, const llm_error_t *err)
{
    int                       status;
    const llm_error_words_t  *words;

    words = llm_error_words(err->cls);
    status = words->status;

    if (err->cls == LLM_ERROR_UNKNOWN && err->status >= 400
        && err->status < 600)
    {
        status = err->status;
    }

    llm_out_lit(out, "{\"error\":{\"code\":");
    llm_write_int(out, status);
    llm_out_lit(out, ",\"message\":\"");

    if (err->message.n != 0) {
        llm_write_inside(out, &err->message, 1);
    }

    llm_out_lit(out, "\",\"status\":");
    llm_write_string(out, &words->gemini_status, 0);

    if (err->retry_after >= 0) {
        llm_out_lit(out, ",\"details\":[{\"@type\":"
                         "\"type.googleapis.com/google.rpc.RetryInfo\","
                         "\"retryDelay\":");
        llm_gemini_write_duration(out, err->retry_after);
        llm_out_lit(out, "}]");
    }

    llm_out_lit(out, "}}");
}
