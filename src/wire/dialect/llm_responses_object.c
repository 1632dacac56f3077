/*
 * OpenAI Responses: the response object and its output items, from an answer
 * that was gathered.  It must never write a member that the official SDKs
 * read as required with another type, nor leave one out; what only the
 * request could tell is null.
 */

#include "llm_openai.h"
#include "llm_responses.h"


#define llm_responses_is_said(type)                                         \
    ((type) == LLM_EV_TEXT || (type) == LLM_EV_REFUSAL                      \
     || (type) == LLM_EV_CITATION)


static void
llm_responses_out(llm_out_t *out, const char *s)
{
    llm_out(out, s, strlen(s));
}


size_t
llm_responses_item_end(const llm_choice_t *c, size_t i)
{
    size_t             n;
    const llm_item_t  *item;

    n = llm_choice_nitems(c);
    item = llm_choice_items(c);

    if (llm_responses_is_said(item[i].type)) {
        while (i < n && llm_responses_is_said(item[i].type)) {
            i++;
        }

        return i;
    }

    /* what is encrypted comes after the summary, and is of the same item */

    if (item[i].type == LLM_EV_REASONING && item[i].text.n != 0
        && item[i].signature.n == 0 && item[i].raw.n == 0
        && i + 1 < n && item[i + 1].type == LLM_EV_REASONING
        && item[i + 1].text.n == 0 && item[i + 1].raw.n != 0)
    {
        return i + 2;
    }

    return i + 1;
}


size_t
llm_responses_part_end(const llm_choice_t *c, size_t i, size_t end)
{
    unsigned           refusal;
    const llm_item_t  *item;

    item = llm_choice_items(c);
    refusal = item[i].type == LLM_EV_REFUSAL;

    while (i < end && (item[i].type == LLM_EV_REFUSAL) == refusal) {
        i++;
    }

    return i;
}


void
llm_responses_write_id(llm_out_t *out, const llm_answer_t *a, int64_t unique,
    const char *prefix, unsigned index)
{
    llm_slice_t  seed;

    seed = llm_gathered(a->id.n != 0 ? &a->id : &a->model);

    llm_out_lit(out, "\"");
    llm_write_id(out, prefix, &seed, unique, index + 1);
    llm_out_lit(out, "\"");
}


void
llm_responses_write_text(llm_out_t *out, const llm_choice_t *c, size_t i,
    size_t end, llm_event_type_t type)
{
    llm_out_lit(out, "\"");

    for ( /* void */ ; i < end; i++) {
        if (llm_choice_items(c)[i].type == type) {
            llm_write_gathered(out, &llm_choice_items(c)[i].text);
        }
    }

    llm_out_lit(out, "\"");
}


/* Whether raw is an annotation of this dialect that refers to a file. */
static int
llm_responses_file(const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    if (raw->n == 0) {
        return 0;
    }

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {
        if (type == LLM_JSON_STRING && llm_json_is(&key, "type")) {
            return llm_json_is(&v, "file_citation")
                   || llm_json_is(&v, "container_file_citation")
                   || llm_json_is(&v, "file_path");
        }
    }

    return 0;
}


void
llm_responses_write_citation(llm_out_t *out, const llm_event_t *ev)
{
    if (ev->id.n == 0 && llm_responses_file(&ev->raw)) {
        llm_write_json(out, &ev->raw, ev->linesep);
        return;
    }

    if (ev->id.n == 0) {
        llm_out_lit(out, "{\"type\":\"file_citation\",\"file_id\":\"\","
                    "\"filename\":\"");
        llm_write_inside(out, &ev->name, ev->linesep);
        llm_out_lit(out, "\",\"index\":");
        llm_write_int(out, ev->end > 0 ? ev->end : 0);
        llm_out_lit(out, "}");
        return;
    }

    llm_out_lit(out, "{\"type\":\"url_citation\",\"start_index\":");
    llm_write_int(out, ev->start > 0 ? ev->start : 0);
    llm_out_lit(out, ",\"end_index\":");
    llm_write_int(out, ev->end > 0 ? ev->end : 0);
    llm_out_lit(out, ",\"title\":\"");
    llm_write_inside(out, &ev->name, ev->linesep);
    llm_out_lit(out, "\",\"url\":");
    llm_write_string(out, &ev->id, ev->linesep);
    llm_out_lit(out, "}");
}


static void
llm_responses_write_gathered_citation(llm_out_t *out, const llm_item_t *item)
{
    llm_event_t  ev;

    memset(&ev, 0, sizeof(llm_event_t));

    ev.id = llm_gathered(&item->id);
    ev.name = llm_gathered(&item->name);
    ev.raw = llm_gathered(&item->raw);
    ev.start = item->start;
    ev.end = item->end;

    llm_responses_write_citation(out, &ev);
}


void
llm_responses_write_part(llm_out_t *out, const llm_choice_t *c, size_t i,
    size_t end, const llm_slice_t *logprobs)
{
    size_t             k;
    unsigned           n;
    const llm_item_t  *item;

    item = llm_choice_items(c);

    if (i < end && item[i].type == LLM_EV_REFUSAL) {
        llm_out_lit(out, "{\"type\":\"refusal\",\"refusal\":");
        llm_responses_write_text(out, c, i, end, LLM_EV_REFUSAL);
        llm_out_lit(out, "}");
        return;
    }

    llm_out_lit(out, "{\"type\":\"output_text\",\"annotations\":[");

    for (n = 0, k = i; k < end; k++) {
        if (item[k].type == LLM_EV_CITATION) {
            llm_write_opening(out, n++, "");
            llm_responses_write_gathered_citation(out, &item[k]);
        }
    }

    llm_out_lit(out, "],\"logprobs\":[");
    llm_write_json(out, logprobs, 0);
    llm_out_lit(out, "],\"text\":");
    llm_responses_write_text(out, c, i, end, LLM_EV_TEXT);
    llm_out_lit(out, "}");
}


/* The parts of a message.  Whose token a logprob is cannot be told: those
 * of all the answer go to its first text. */
static void
llm_responses_write_parts(llm_out_t *out, const llm_choice_t *c, size_t i,
    size_t end)
{
    size_t             k, next;
    unsigned           n;
    llm_slice_t        logprobs, none;
    const llm_item_t  *item;

    item = llm_choice_items(c);
    logprobs = llm_gathered(&c->logprobs);
    none = llm_slice("");

    for (k = 0; k < i; k++) {
        if (item[k].type == LLM_EV_TEXT || item[k].type == LLM_EV_CITATION) {
            logprobs = none;
        }
    }

    for (n = 0; i < end; i = next) {
        next = llm_responses_part_end(c, i, end);

        llm_write_opening(out, n++, "");
        llm_responses_write_part(out, c, i, next, &logprobs);

        if (item[i].type != LLM_EV_REFUSAL) {
            logprobs = none;
        }
    }
}


/* A signature goes where our own encrypted_content would: it must come back
 * with the item. */
static void
llm_responses_write_thoughts(llm_encoder_t *e, const llm_answer_t *a,
    const llm_choice_t *c, size_t i, size_t end, unsigned index)
{
    const llm_item_t   *item;
    const llm_block_t  *sealed;

    item = llm_choice_items(c);

    llm_out_lit(e->out, "{\"id\":");
    llm_responses_write_id(e->out, a, e->unique, "rs_", index);
    llm_out_lit(e->out, ",\"type\":\"reasoning\",\"summary\":[");

    if (i < end && item[i].text.n != 0) {
        llm_out_lit(e->out, "{\"type\":\"summary_text\",\"text\":");
        llm_responses_write_text(e->out, c, i, end, LLM_EV_REASONING);
        llm_out_lit(e->out, "}");
    }

    llm_out_lit(e->out, "]");

    for ( /* void */ ; i < end; i++) {
        sealed = item[i].signature.n != 0 ? &item[i].signature
                                          : &item[i].raw;

        if (sealed->n != 0) {
            llm_out_lit(e->out, ",\"encrypted_content\":");
            llm_write_block(e->out, sealed);
            break;
        }
    }

    llm_out_lit(e->out, "}");
}


static void
llm_responses_write_call(llm_encoder_t *e, const llm_answer_t *a,
    const llm_item_t *item, unsigned index, const char *status,
    unsigned whole)
{
    llm_out_t  *out;

    out = e->out;

    llm_out_lit(out, "{\"id\":");
    llm_responses_write_id(e->out, a, e->unique, "fc_", index);
    llm_out_lit(out, ",\"type\":\"function_call\",\"status\":\"");
    llm_responses_out(out, status);
    llm_out_lit(out, "\",\"arguments\":\"");

    if (whole) {
        if (item->text.n != 0) {
            llm_write_gathered(out, &item->text);

        } else {
            llm_out_lit(out, "{}");
        }
    }

    llm_out_lit(out, "\",\"call_id\":");

    if (item->id.n != 0) {
        llm_write_block(out, &item->id);

    } else {
        llm_responses_write_id(e->out, a, e->unique, "call_", index);
    }

    llm_out_lit(out, ",\"name\":");
    llm_write_block(out, &item->name);

    if (whole && item->signature.n != 0) {
        llm_out_lit(out, LLM_OPENAI_SIGNATURE);
        llm_write_block(out, &item->signature);
        llm_out_lit(out, "}}");
    }

    llm_out_lit(out, "}");
}


static void
llm_responses_write_message(llm_encoder_t *e, const llm_answer_t *a,
    unsigned index, const char *status)
{
    llm_out_lit(e->out, "{\"id\":");
    llm_responses_write_id(e->out, a, e->unique, "msg_", index);
    llm_out_lit(e->out, ",\"type\":\"message\",\"status\":\"");
    llm_responses_out(e->out, status);
    llm_out_lit(e->out, "\",\"role\":\"assistant\",\"content\":[");
}


void
llm_responses_write_item(llm_encoder_t *e, const llm_answer_t *a, size_t i,
    size_t end, unsigned index, const char *status)
{
    const llm_item_t    *item;
    const llm_choice_t  *c;

    c = llm_answer_choice(a, 0);
    item = &llm_choice_items(c)[i];

    switch (item->type) {

    case LLM_EV_TOOL_CALL:
        llm_responses_write_call(e, a, item, index, status, 1);
        break;

    case LLM_EV_REASONING:
        llm_responses_write_thoughts(e, a, c, i, end, index);
        break;

    default:
        llm_responses_write_message(e, a, index, status);
        llm_responses_write_parts(e->out, c, i, end);
        llm_out_lit(e->out, "]}");
        break;
    }
}


void
llm_responses_write_empty(llm_encoder_t *e, const llm_answer_t *a, size_t i,
    llm_event_type_t type, unsigned index)
{
    const llm_choice_t  *c;

    c = llm_answer_choice(a, 0);

    switch (type) {

    case LLM_EV_TOOL_CALL:
        llm_responses_write_call(e, a, &llm_choice_items(c)[i], index,
                                 "in_progress", 0);
        break;

    case LLM_EV_REASONING:
        llm_responses_write_thoughts(e, a, c, 0, 0, index);
        break;

    default:
        llm_responses_write_message(e, a, index, "in_progress");
        llm_out_lit(e->out, "]}");
        break;
    }
}


static void
llm_responses_write_output(llm_encoder_t *e, const llm_answer_t *a,
    unsigned incomplete)
{
    size_t               i, next;
    unsigned             index;
    const llm_choice_t  *c;

    c = llm_answer_choice(a, 0);

    if (c == NULL) {
        return;
    }

    index = 0;

    for (i = 0; i < llm_choice_nitems(c); i = next) {
        next = llm_responses_item_end(c, i);

        llm_write_opening(e->out, index, "");
        llm_responses_write_item(e, a, i, next, index,
                                 index == incomplete ? "incomplete"
                                                     : "completed");
        index++;
    }
}


/* The SDKs read every count as a number. */
static void
llm_responses_count(llm_out_t *out, const char *name, int64_t n)
{
    llm_responses_out(out, name);
    llm_write_int(out, n > 0 ? n : 0);
}


static void
llm_responses_write_usage(llm_out_t *out, const llm_usage_t *u)
{
    int64_t  total;

    total = u->total;

    if (total < 0) {
        total = u->input > 0 ? u->input : 0;
        total += u->output > 0 && u->output <= INT64_MAX - total
                 ? u->output : 0;
    }

    llm_responses_count(out, "{\"input_tokens\":", u->input);
    llm_responses_count(out, ",\"input_tokens_details\":{\"cached_tokens\":",
                        u->cached);
    llm_responses_count(out, ",\"cache_write_tokens\":", u->cache_write);
    llm_responses_count(out, "},\"output_tokens\":", u->output);
    llm_responses_count(out,
                        ",\"output_tokens_details\":{\"reasoning_tokens\":",
                        u->reasoning);
    llm_responses_count(out, "},\"total_tokens\":", total);
    llm_out_lit(out, "}");
}


/* The error of a failed response: a code, which must be one, and a message;
 * and the type, without which some readers take the answer for no JSON. */
static void
llm_responses_write_failure(llm_out_t *out, const llm_error_t *err)
{
    llm_slice_t  code, type;

    if (err == NULL) {
        llm_out_lit(out, "null");
        return;
    }

    code = err->code.n != 0 ? err->code
           : err->type.n != 0 ? err->type : llm_slice("server_error");
    type = err->type.n != 0 ? err->type : llm_slice("server_error");

    llm_out_lit(out, "{\"type\":");
    llm_write_string(out, &type, 1);
    llm_out_lit(out, ",\"code\":");
    llm_write_string(out, &code, 1);
    llm_out_lit(out, ",\"message\":\"");
    llm_write_inside(out, &err->message, 1);
    llm_out_lit(out, "\"}");
}


static void
llm_responses_write_head(llm_encoder_t *e, const llm_answer_t *a,
    const llm_responses_end_t *end)
{
    llm_out_t  *out;

    out = e->out;

    llm_out_lit(out, "{\"id\":");

    if (a->id.n != 0) {
        llm_write_block(out, &a->id);

    } else {
        llm_responses_write_id(e->out, a, e->unique, "resp_", UINT32_MAX);
    }

    llm_out_lit(out, ",\"object\":\"response\",\"created_at\":");
    llm_write_int(out, a->created > 0 ? a->created : e->now);
    llm_out_lit(out, ",\"status\":\"");
    llm_responses_out(out, end->status);
    llm_out_lit(out, "\",\"background\":false,\"error\":");
    llm_responses_write_failure(out, end->error);
    llm_out_lit(out, ",\"incomplete_details\":");

    if (end->reason != NULL) {
        llm_out_lit(out, "{\"reason\":\"");
        llm_responses_out(out, end->reason);
        llm_out_lit(out, "\"}");

    } else {
        llm_out_lit(out, "null");
    }
}


void
llm_responses_write_object(llm_encoder_t *e, const llm_answer_t *a,
    const llm_responses_end_t *end)
{
    llm_out_t  *out;

    out = e->out;

    llm_responses_write_head(e, a, end);

    llm_out_lit(out, ",\"instructions\":null,\"max_output_tokens\":null,"
                "\"model\":");
    llm_write_block(out, &a->model);
    llm_out_lit(out, ",\"output\":[");

    if (end->whole) {
        llm_responses_write_output(e, a, end->incomplete);
    }

    llm_out_lit(out, "],\"parallel_tool_calls\":true,"
                "\"previous_response_id\":null,"
                "\"reasoning\":{\"effort\":null,\"summary\":null},"
                "\"store\":false,\"temperature\":null,"
                "\"text\":{\"format\":{\"type\":\"text\"}},"
                "\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":null,"
                "\"truncation\":\"disabled\",\"usage\":");

    if (end->whole && a->has_usage) {
        llm_responses_write_usage(out, &a->usage);

    } else {
        llm_out_lit(out, "null");
    }

    llm_out_lit(out, ",\"user\":null,\"metadata\":{}}");
}


void
llm_responses_end(llm_responses_end_t *end, const llm_choice_t *c,
    unsigned items)
{
    static const llm_error_t  failed = {
        .code = llm_str("server_error"),
        .message = llm_str("The response ended with an error."),
        .retry_after = -1,
        .cls = LLM_ERROR_SERVER
    };

    memset(end, 0, sizeof(llm_responses_end_t));

    end->status = "completed";
    end->incomplete = UINT32_MAX;
    end->whole = 1;

    if (c == NULL || !c->finished) {
        return;
    }

    switch (c->finish) {

    case LLM_FINISH_LENGTH:
        end->reason = "max_output_tokens";
        break;

    case LLM_FINISH_CONTENT_FILTER:
        end->reason = "content_filter";
        break;

    case LLM_FINISH_ERROR:
        end->status = "failed";
        end->error = &failed;
        end->incomplete = items - 1;
        return;

    default:
        return;
    }

    end->status = "incomplete";
    end->incomplete = items - 1;
}


void
llm_responses_write_answer(llm_encoder_t *e, const llm_answer_t *a)
{
    size_t                i;
    unsigned              items;
    llm_responses_end_t   end;
    const llm_choice_t   *c;

    c = llm_answer_choice(a, 0);
    items = 0;

    for (i = 0; c != NULL && i < llm_choice_nitems(c);
         i = llm_responses_item_end(c, i))
    {
        items++;
    }

    llm_responses_end(&end, c, items);
    llm_responses_write_object(e, a, &end);
}
