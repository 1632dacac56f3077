/*
 * The completion generator: the plan of a stream, and its events in OpenAI's
 * chat dialect: role chunk, deltas, finish chunk, usage chunk with empty
 * choices, [DONE].  Every event is computed from its number, so that a
 * stream of a million events costs what a stream of ten costs, and a dry run
 * gives the same bytes.  Nothing here writes to a connection.
 */

#include <string.h>
#include <time.h>

#include "mock_chat.h"


#define MOCK_CHAT_WHOLE_MAX  (1 << 24)
#define MOCK_CHAT_LIST_MAX   ((size_t) 64 << 20)


static void
mock_chat_edges(mock_chat_t *x)
{
    unsigned   i, own;
    uint64_t   n, counts[MOCK_KINDS];

    memset(counts, 0, sizeof(counts));
    n = x->req.n;
    own = x->route.dialect->own;
    x->pieces = x->route.dialect->whole ? 1 : MOCK_CHAT_FRAGMENTS + 1;

    if (!x->req.stream) {
        counts[MOCK_KIND_BODY] = 1;

    } else {
        counts[MOCK_KIND_ROLE] = n;
        counts[MOCK_KIND_REASONING] = (uint64_t) x->opt.reasoning * n;
        counts[MOCK_KIND_CONTENT] = (uint64_t) x->opt.tokens * n;
        counts[MOCK_KIND_CITATION] = (uint64_t) x->opt.citations * n;
        counts[MOCK_KIND_TOOL] = (uint64_t) x->opt.tools * n * x->pieces;
        counts[MOCK_KIND_FINISH] = x->no_finish && own ? 0 : n;
        counts[MOCK_KIND_USAGE] = x->opt.usage == MOCK_USAGE_FORCE
                                  || (x->opt.usage == MOCK_USAGE_FINISH
                                      && !own)
                                  || (x->opt.usage == MOCK_USAGE_ON
                                      && x->req.include_usage);
        counts[MOCK_KIND_DONE] = !(x->no_done && own);
    }

    x->total = 0;

    for (i = 0; i < MOCK_KINDS; i++) {
        x->total += counts[i];
        x->edges[i] = x->total;
    }
}


/* The parts of a chunk that are the same in every one. */
static void
mock_chat_constant(mock_chat_t *x)
{
    mock_buf_t  *b;

    b = &x->lead;
    mock_buf_fmt(b, "data: {\"id\":\"chatcmpl-%s%s\",\"object\":"
                 "\"chat.completion.chunk\",\"created\":%lld,\"model\":\"",
                 x->answer->record->id, x->id_more ? x->id_more : "",
                 (long long) x->opt.created);
    mock_buf_add(b, x->req.model.p, x->req.model.n);
    mock_buf_lit(b, "\",\"service_tier\":\"default\","
                 "\"system_fingerprint\":\"fp_mock\",\"choices\":[");

    if (x->req.include_usage && x->opt.usage != MOCK_USAGE_OFF
        && x->opt.usage != MOCK_USAGE_FINISH)
    {
        mock_buf_lit(&x->rest, ",\"usage\":null");
    }
}


void
mock_chat_plan(mock_chat_t *x)
{
    unsigned  has;
    uint64_t  per;

    static const char  *eols[] = { "\n", "\r\n", "\r" };

    per = (uint64_t) (x->opt.per_event ? x->opt.per_event : 1);
    x->opt.per_event = (int64_t) per;

    has = mock_route_has(&x->route);

    if (!(has & MOCK_HAS_TOOLS)) {
        x->opt.tools = 0;
    }

    if (!(has & MOCK_HAS_THOUGHTS)) {
        x->opt.reasoning = 0;
    }

    if (!mock_options_given(&x->opt, tokens)) {
        if (x->opt.text == MOCK_TEXT_ECHO) {
            x->opt.tokens = (int64_t) ((mock_text_count(&x->text) + per - 1)
                                       / per);
        } else if (x->opt.tools) {
            x->opt.tokens = 0;
        }
    }

    if (!x->req.stream && x->opt.tokens > MOCK_CHAT_WHOLE_MAX) {
        x->opt.tokens = MOCK_CHAT_WHOLE_MAX;
    }

    if (x->opt.finish[0] == '\0') {
        strcpy(x->opt.finish, x->opt.tools ? "tool_calls" : "stop");
    }

    if (x->opt.created == 0) {
        x->opt.created = (int64_t) time(NULL);
    }

    mock_chat_edges(x);
    x->eol = eols[x->opt.eol];

    if (x->route.dialect->own) {
        mock_chat_constant(x);
    }
}


mock_kind_t
mock_chat_kind(const mock_chat_t *x, uint64_t k)
{
    unsigned  i;

    for (i = 0; i < MOCK_KINDS - 1; i++) {
        if (k < x->edges[i]) {
            break;
        }
    }

    return i;
}


static void
mock_chat_usage(const mock_chat_t *x, mock_buf_t *b)
{
    mock_counts_t  c;

    mock_chat_counts(x, &c);
    mock_buf_fmt(b, "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,"
                 "\"total_tokens\":%llu,\"prompt_tokens_details\":"
                 "{\"cached_tokens\":0,\"audio_tokens\":0},"
                 "\"completion_tokens_details\":{\"reasoning_tokens\":%llu,"
                 "\"audio_tokens\":0,\"accepted_prediction_tokens\":0,"
                 "\"rejected_prediction_tokens\":0}}",
                 (unsigned long long) c.input,
                 (unsigned long long) c.output,
                 (unsigned long long) (c.input + c.output),
                 (unsigned long long) c.reasoning);
}


/* 1 to 16 characters, the same whenever event k is built. */
static void
mock_chat_padding(const mock_chat_t *x, mock_buf_t *b, uint64_t k)
{
    unsigned       i, n;
    uint64_t       r;
    unsigned char  s[16];

    static const char  letters[] = "abcdefghijklmnopqrstuvwxyz"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    r = mock_delay_hash((uint64_t) x->opt.seed, 2 * k);
    n = 1 + (unsigned) (r & 15);
    r = mock_delay_hash((uint64_t) x->opt.seed, 2 * k + 1);

    for (i = 0; i < n; i++) {
        s[i] = (unsigned char) letters[r % 62];
        r = r / 62 + (r << 58);
    }

    mock_buf_lit(b, ",\"obfuscation\":\"");
    mock_buf_add(b, s, n);
    mock_buf_lit(b, "\"");
}


void
mock_chat_marks(mock_chat_t *x, mock_buf_t *b, uint64_t k)
{
    size_t  from;

    if (x->opt.pad) {
        mock_chat_padding(x, b, k);
    }

    if (x->opt.stamp) {
        mock_buf_lit(b, ",\"mock\":{\"seq\":");
        mock_buf_uint(b, k + 1);
        mock_buf_lit(b, ",\"sent\":");
        from = b->n;
        mock_buf_uint(b, (uint64_t) mock_now());

        /* a length that is announced must not depend on the time */
        if (x->framing == MOCK_FRAMING_LENGTH && b->n - from < 20) {
            mock_buf_fill(b, ' ', 20 - (b->n - from));
        }

        mock_buf_lit(b, "}");
    }
}


/* Ends the chunk being built as the options want it. */
static void
mock_chat_close(mock_chat_t *x, uint64_t k)
{
    mock_chat_marks(x, &x->event, k);
    mock_buf_lit(&x->event, "}");
    mock_buf_str(&x->event, x->eol);
    mock_buf_str(&x->event, x->eol);
}


static void
mock_chat_open(mock_chat_t *x, unsigned choice)
{
    mock_buf_add(&x->event, x->lead.p, x->lead.n);
    mock_buf_lit(&x->event, "{\"index\":");
    mock_buf_uint(&x->event, choice);
    mock_buf_lit(&x->event, ",\"delta\":");
}


static void
mock_chat_end_choice(mock_chat_t *x, const char *finish)
{
    mock_buf_lit(&x->event, ",\"finish_reason\":");

    if (finish) {
        mock_buf_lit(&x->event, "\"");
        mock_buf_json(&x->event, finish, strlen(finish));
        mock_buf_lit(&x->event, "\"");
    } else {
        mock_buf_lit(&x->event, "null");
    }

    mock_buf_lit(&x->event, "}]");
}


void
mock_chat_delta(mock_chat_t *x, unsigned choice, const char *delta, size_t n,
    const char *finish)
{
    x->event.n = 0;
    x->event_at = 0;
    mock_chat_open(x, choice);
    mock_buf_add(&x->event, delta, n);
    mock_buf_lit(&x->event, ",\"logprobs\":null");
    mock_chat_end_choice(x, finish);
    mock_buf_add(&x->event, x->rest.p, x->rest.n);
    mock_chat_close(x, x->k);
}


static void
mock_chat_text(mock_chat_t *x, mock_kind_t kind, unsigned choice,
    uint64_t i)
{
    mock_buf_t  *b;
    const char  *member;

    b = &x->event;
    member = x->opt.refusal ? "refusal" : "content";

    if (kind == MOCK_KIND_REASONING) {
        member = x->opt.reasoning_name;
    }

    mock_chat_tokens(x, kind, choice, i);
    mock_chat_open(x, choice);
    mock_buf_lit(b, "{\"");
    mock_buf_str(b, member);
    mock_buf_lit(b, "\":\"");
    mock_buf_json(b, x->token.p, x->token.n);
    mock_buf_lit(b, "\"},\"logprobs\":");

    if (x->opt.logprobs && strcmp(member, "content") == 0) {
        mock_buf_lit(b, "{\"content\":[");
        mock_chat_logprobs(x, b);
        mock_buf_lit(b, "],\"refusal\":null}");
    } else {
        mock_buf_lit(b, "null");
    }

    mock_chat_end_choice(x, NULL);
}


static void
mock_chat_tool(mock_chat_t *x, unsigned choice, uint64_t i)
{
    uint64_t     call;
    unsigned     fragment;
    mock_buf_t  *b;

    b = &x->event;
    call = i / x->pieces;
    fragment = (unsigned) (i % x->pieces);

    mock_chat_open(x, choice);
    mock_buf_lit(b, "{\"tool_calls\":[{\"index\":");
    mock_buf_uint(b, call);

    if (fragment == 0) {
        mock_buf_lit(b, ",\"id\":\"");
        mock_chat_call_id(b, choice, call);
        mock_buf_lit(b, "\",\"type\":\"function\",\"function\":{\"name\":"
                     "\"get_weather\",\"arguments\":\"");

    } else {
        x->token.n = 0;
        mock_chat_arguments(&x->token, fragment - 1, call);
        mock_buf_lit(b, ",\"function\":{\"arguments\":\"");
        mock_buf_json(b, x->token.p, x->token.n);
    }

    mock_buf_lit(b, "\"}}]},\"logprobs\":null");
    mock_chat_end_choice(x, NULL);
}


/* One url_citation of the list "annotations". */
static void
mock_chat_annotation(mock_buf_t *b, uint64_t i)
{
    mock_buf_lit(b, "{\"type\":\"url_citation\",\"url_citation\":"
                 "{\"start_index\":0,\"end_index\":5,\"title\":\"Source ");
    mock_buf_uint(b, i + 1);
    mock_buf_lit(b, "\",\"url\":\"");
    mock_chat_link(b, i);
    mock_buf_lit(b, "\"}}");
}


static void
mock_chat_citation(mock_chat_t *x, unsigned choice, uint64_t i)
{
    mock_chat_open(x, choice);
    mock_buf_lit(&x->event, "{\"annotations\":[");
    mock_chat_annotation(&x->event, i);
    mock_buf_lit(&x->event, "]},\"logprobs\":null");
    mock_chat_end_choice(x, NULL);
}


static void
mock_chat_role(mock_chat_t *x, unsigned choice)
{
    mock_chat_open(x, choice);

    if (x->opt.tools && x->opt.tokens == 0) {
        mock_buf_lit(&x->event, "{\"role\":\"assistant\",\"content\":null,"
                     "\"refusal\":null},\"logprobs\":null");
    } else {
        mock_buf_lit(&x->event, "{\"role\":\"assistant\",\"content\":\"\","
                     "\"refusal\":null},\"logprobs\":null");
    }

    mock_chat_end_choice(x, NULL);
}


/* The finish chunk's tail: with usage=finish the usage is in it. */
static void
mock_chat_finish(mock_chat_t *x, unsigned choice)
{
    mock_chat_open(x, choice);
    mock_buf_lit(&x->event, "{},\"logprobs\":null");
    mock_chat_end_choice(x, x->opt.finish);

    if (x->opt.usage == MOCK_USAGE_FINISH && choice == x->req.n - 1) {
        mock_buf_lit(&x->event, ",\"usage\":");
        mock_chat_usage(x, &x->event);
    }
}


static void
mock_chat_message(mock_chat_t *x, unsigned choice, mock_buf_t *b)
{
    int64_t   i;
    unsigned  f;

    mock_buf_lit(b, "\"message\":{\"role\":\"assistant\",\"content\":");

    if (x->opt.tokens == 0 || x->opt.refusal) {
        mock_buf_lit(b, "null");
    }

    if (x->opt.tokens) {
        mock_buf_str(b, x->opt.refusal ? ",\"refusal\":\"" : "\"");
        mock_chat_whole(x, MOCK_KIND_CONTENT, choice, b);
        mock_buf_lit(b, "\"");
    }

    if (!x->opt.refusal || x->opt.tokens == 0) {
        mock_buf_lit(b, ",\"refusal\":null");
    }

    if (x->opt.reasoning) {
        mock_buf_lit(b, ",\"");
        mock_buf_json(b, x->opt.reasoning_name,
                      strlen(x->opt.reasoning_name));
        mock_buf_lit(b, "\":\"");
        mock_chat_whole(x, MOCK_KIND_REASONING, choice, b);
        mock_buf_lit(b, "\"");
    }

    for (i = 0; i < x->opt.citations; i++) {
        mock_buf_str(b, i ? "," : ",\"annotations\":[");
        mock_chat_annotation(b, (uint64_t) i);
    }

    mock_buf_str(b, x->opt.citations ? "]" : "");

    for (i = 0; i < x->opt.tools; i++) {
        mock_buf_fmt(b, "%s{\"id\":\"", i ? "," : ",\"tool_calls\":[");
        mock_chat_call_id(b, choice, (uint64_t) i);
        mock_buf_lit(b, "\",\"type\":\"function\",\"function\":{\"name\":"
                     "\"get_weather\",\"arguments\":\"");
        x->token.n = 0;

        for (f = 0; f < MOCK_CHAT_FRAGMENTS; f++) {
            mock_chat_arguments(&x->token, f, (uint64_t) i);
        }

        mock_buf_json(b, x->token.p, x->token.n);
        mock_buf_lit(b, "\"}}");
    }

    mock_buf_str(b, x->opt.tools ? "]}" : "}");
}


static void
mock_chat_json_logprobs(mock_chat_t *x, unsigned choice, mock_buf_t *b)
{
    int64_t  k;

    mock_buf_lit(b, ",\"logprobs\":");

    if (!x->opt.logprobs || x->opt.tokens == 0) {
        mock_buf_lit(b, "null");
        return;
    }

    mock_buf_lit(b, "{\"content\":[");

    for (k = 0; k < x->opt.tokens && b->n < MOCK_CHAT_LIST_MAX; k++) {
        mock_buf_str(b, k ? "," : "");
        mock_chat_tokens(x, MOCK_KIND_CONTENT, choice, (uint64_t) k);
        mock_chat_logprobs(x, b);
    }

    mock_buf_lit(b, "],\"refusal\":null}");
}


static void
mock_chat_object(mock_chat_t *x)
{
    unsigned     i;
    mock_buf_t  *b;

    b = &x->event;
    mock_buf_fmt(b, "{\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion\","
                 "\"created\":%lld,\"model\":\"", x->answer->record->id,
                 (long long) x->opt.created);
    mock_buf_add(b, x->req.model.p, x->req.model.n);
    mock_buf_lit(b, "\",\"choices\":[");

    for (i = 0; i < x->req.n; i++) {
        mock_buf_fmt(b, "%s{\"index\":%u,", i ? "," : "", i);
        mock_chat_message(x, i, b);
        mock_chat_json_logprobs(x, i, b);
        mock_buf_lit(b, ",\"finish_reason\":\"");
        mock_buf_json(b, x->opt.finish, strlen(x->opt.finish));
        mock_buf_lit(b, "\"}");
    }

    mock_buf_lit(b, "]");

    if (x->opt.usage != MOCK_USAGE_OFF) {
        mock_buf_lit(b, ",\"usage\":");
        mock_chat_usage(x, b);
    }

    mock_buf_lit(b, ",\"service_tier\":\"default\","
                 "\"system_fingerprint\":\"fp_mock\"}");
}


static void
mock_chat_usage_event(mock_chat_t *x, uint64_t k)
{
    mock_buf_add(&x->event, x->lead.p, x->lead.n);
    mock_buf_lit(&x->event, "],\"usage\":");
    mock_chat_usage(x, &x->event);
    mock_chat_close(x, k);
}


uint64_t
mock_chat_which(const mock_chat_t *x, uint64_t k, unsigned *choice)
{
    mock_kind_t  kind;

    kind = mock_chat_kind(x, k);
    k -= kind ? x->edges[kind - 1] : 0;
    *choice = (unsigned) (k % x->req.n);

    return k / x->req.n;
}


/* A chunk of OpenAI's, or its end. */
static void
mock_chat_chunk(mock_chat_t *x, uint64_t k)
{
    uint64_t  i;
    unsigned  choice;

    i = mock_chat_which(x, k, &choice);

    switch (mock_chat_kind(x, k)) {

    case MOCK_KIND_ROLE:
        mock_chat_role(x, choice);
        break;

    case MOCK_KIND_REASONING:
    case MOCK_KIND_CONTENT:
        mock_chat_text(x, mock_chat_kind(x, k), choice, i);
        break;

    case MOCK_KIND_CITATION:
        mock_chat_citation(x, choice, i);
        break;

    case MOCK_KIND_TOOL:
        mock_chat_tool(x, choice, i);
        break;

    case MOCK_KIND_FINISH:
        mock_chat_finish(x, choice);
        break;

    case MOCK_KIND_USAGE:
        mock_chat_usage_event(x, k);
        return;

    default:
        mock_buf_fmt(&x->event, "data: [DONE]%s%s", x->eol, x->eol);
        return;
    }

    mock_buf_add(&x->event, x->rest.p, x->rest.n);
    mock_chat_close(x, k);
}


/* Has event k a time of its own?  Without a pace the first token has, and
 * an event that waits for an acknowledgement has none. */
static int
mock_chat_timed(const mock_chat_t *x, uint64_t k)
{
    if (x->opt.lockstep[0]) {
        return 0;
    }

    return x->opt.itl || (x->opt.ttft && (!x->req.stream
                                          || k == x->edges[MOCK_KIND_ROLE]));
}


static void
mock_chat_stamp(mock_chat_t *x, uint64_t k)
{
    x->stamp.made = mock_now_ns();
    x->stamp.late = 0;

    if (mock_chat_timed(x, k) && x->stamp.made > x->due * 1000) {
        x->stamp.late = x->stamp.made - x->due * 1000;
    }
}


void
mock_chat_build(mock_chat_t *x, uint64_t k)
{
    int64_t  c;

    x->event.n = 0;
    x->event_at = 0;

    if (x->opt.text == MOCK_TEXT_STAMP) {
        mock_chat_stamp(x, k);
    }

    if (mock_chat_kind(x, k) == MOCK_KIND_BODY) {
        if (x->route.serves == MOCK_SERVES_EMBED) {
            mock_embed(x);

        } else if (x->route.dialect->own) {
            mock_chat_object(x);

        } else {
            mock_chat_json(x);
        }

        return;
    }

    if (!x->route.dialect->own) {
        mock_chat_encode(x, k);
        mock_chat_put(x, &x->bytes, k + 1);
        return;
    }

    for (c = 0; c < x->opt.comments; c++) {
        mock_buf_fmt(&x->event, ": keep-alive%s%s", x->eol, x->eol);
    }

    x->event_at = x->event.n;
    mock_chat_chunk(x, k);
}


void
mock_chat_say(mock_chat_t *x, unsigned choice, const void *text, size_t n)
{
    mock_buf_t   b;
    llm_event_t  ev;

    memset(&b, 0, sizeof(b));

    if (x->route.dialect->own) {
        mock_buf_lit(&b, "{\"content\":\"");
        mock_buf_add(&b, text, n);
        mock_buf_lit(&b, "\"}");
        mock_chat_delta(x, choice, (const char *) b.p, b.n, NULL);

    } else {
        mock_wire_event(&ev, LLM_EV_TEXT, choice);
        ev.text = mock_wire_inside(text, n);
        mock_wire_encode(&x->wire, &b, &ev);
        mock_chat_put(x, &b, x->k + 1);
    }

    mock_buf_free(&b);
}


void
mock_chat_data(mock_chat_t *x, const char *type, const void *data, size_t n)
{
    mock_buf_t  b;

    if (!x->route.dialect->own) {
        memset(&b, 0, sizeof(b));
        mock_wire_frame(&x->wire, &b, type, data, n);
        mock_chat_put(x, &b, 0);
        mock_buf_free(&b);
        return;
    }

    x->event.n = 0;
    x->event_at = 0;

    if (type) {
        mock_buf_fmt(&x->event, "event: %s%s", type, x->eol);
    }

    mock_buf_lit(&x->event, "data: ");
    mock_buf_add(&x->event, data, n);
    mock_buf_str(&x->event, x->eol);
    mock_buf_str(&x->event, x->eol);
}
