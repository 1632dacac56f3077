/*
 * Ollama, /api/chat and /api/generate: the rows of the table, and lines to
 * events.  One decoder reads both: they differ in where the text lies.
 *
 * A line is validated whole before the first of its events is emitted; only
 * tool calls are read a second time.  The time is another one in each line,
 * so no line repeats the one before.  It must never keep a slice beyond the
 * call, and never allocate but for the id of a call that has none.
 */

#include "llm_ollama.h"
#include "llm_error.h"


typedef enum {
    LLM_OLLAMA_OTHER = 0,
    LLM_OLLAMA_MODEL,
    LLM_OLLAMA_CREATED,
    LLM_OLLAMA_MESSAGE,
    LLM_OLLAMA_TEXT,
    LLM_OLLAMA_RESPONSE,
    LLM_OLLAMA_THINKING,
    LLM_OLLAMA_TOOLS,
    LLM_OLLAMA_LOGPROBS,
    LLM_OLLAMA_DONE,
    LLM_OLLAMA_REASON,
    LLM_OLLAMA_INPUT,
    LLM_OLLAMA_CACHED,
    LLM_OLLAMA_OUTPUT,
    LLM_OLLAMA_ERROR
} llm_ollama_key_t;

typedef struct {
    llm_decoder_t  *d;
    llm_frame_t    *frame;
    llm_json_t      json;
    llm_slice_t     model;
    llm_slice_t     created;
    llm_slice_t     text;
    llm_slice_t     thinking;
    llm_slice_t     tools;
    llm_slice_t     logprobs;
    llm_slice_t     reason;
    llm_usage_t     usage;
    unsigned        said;       /* a message or a response was there */
    unsigned        done;
    unsigned        more;       /* "done":false */
    unsigned        error;
    unsigned        emitted;    /* events of the choice */
    llm_event_t     ev;
} llm_ollama_line_t;


#define llm_ollama_same(p, lit)  (memcmp(p, lit, sizeof(lit) - 1) == 0)


static inline llm_ollama_key_t
llm_ollama_key(const llm_u8 *p, size_t n)
{
    switch (n) {

    case 4:
        return llm_ollama_same(p, "done") ? LLM_OLLAMA_DONE
                                          : LLM_OLLAMA_OTHER;

    case 5:
        return llm_ollama_same(p, "model") ? LLM_OLLAMA_MODEL
               : llm_ollama_same(p, "error") ? LLM_OLLAMA_ERROR
               : LLM_OLLAMA_OTHER;

    case 7:
        return llm_ollama_same(p, "message") ? LLM_OLLAMA_MESSAGE
               : llm_ollama_same(p, "content") ? LLM_OLLAMA_TEXT
               : LLM_OLLAMA_OTHER;

    case 8:
        return llm_ollama_same(p, "response") ? LLM_OLLAMA_RESPONSE
               : llm_ollama_same(p, "thinking") ? LLM_OLLAMA_THINKING
               : llm_ollama_same(p, "logprobs") ? LLM_OLLAMA_LOGPROBS
               : LLM_OLLAMA_OTHER;

    case 10:
        return llm_ollama_same(p, "created_at") ? LLM_OLLAMA_CREATED
               : llm_ollama_same(p, "tool_calls") ? LLM_OLLAMA_TOOLS
               : llm_ollama_same(p, "eval_count") ? LLM_OLLAMA_OUTPUT
               : LLM_OLLAMA_OTHER;

    case 11:
        return llm_ollama_same(p, "done_reason") ? LLM_OLLAMA_REASON
                                                 : LLM_OLLAMA_OTHER;

    case 17:
        return llm_ollama_same(p, "prompt_eval_count") ? LLM_OLLAMA_INPUT
                                                       : LLM_OLLAMA_OTHER;

    case 24:
        return llm_ollama_same(p, "prompt_eval_cached_count")
               ? LLM_OLLAMA_CACHED : LLM_OLLAMA_OTHER;

    default:
        return LLM_OLLAMA_OTHER;
    }
}


/* The same for a name that is written with escapes. */
static llm_ollama_key_t
llm_ollama_escaped_key(const llm_slice_t *tok)
{
    llm_u8  buf[LLM_OLLAMA_NAME * 6];

    if (tok->n > sizeof(buf)) {
        return LLM_OLLAMA_OTHER;
    }

    return llm_ollama_key(buf, llm_json_unescape(buf, tok->p, tok->n));
}


static inline llm_ollama_key_t
llm_ollama_name(const llm_slice_t *tok)
{
    return tok->escaped ? llm_ollama_escaped_key(tok)
                        : llm_ollama_key(tok->p, tok->n);
}


/* The number of two digits at p; a large one when they are none. */
static int64_t
llm_ollama_two(const llm_u8 *p)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9') {
        return INT32_MAX;
    }

    return (p[0] - '0') * 10 + (p[1] - '0');
}


/* Days from 1970 to a date of the Gregorian calendar. */
static int64_t
llm_ollama_days(int64_t year, int64_t month, int64_t day)
{
    /* years that begin in March: the day that varies is the last one */

    year -= month < 3;
    month += month < 3 ? 9 : -3;

    return year * 365 + year / 4 - year / 100 + year / 400
           + (month * 153 + 2) / 5 + day - 719469;
}


/* RFC 3339 with any fraction to seconds since 1970, -1 when it is none. */
static int64_t
llm_ollama_seconds(const llm_slice_t *s)
{
    int64_t        year, month, day, hour, minute, second, zone;
    const llm_u8  *p, *end;

    p = s->p;

    if (s->n < 20 || p[4] != '-' || p[7] != '-' || p[13] != ':'
        || p[16] != ':')
    {
        return -1;
    }

    end = p + s->n;
    year = llm_ollama_two(p) * 100 + llm_ollama_two(p + 2);
    month = llm_ollama_two(p + 5);
    day = llm_ollama_two(p + 8);
    hour = llm_ollama_two(p + 11);
    minute = llm_ollama_two(p + 14);
    second = llm_ollama_two(p + 17);

    if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1
        || day > 31 || hour > 23 || minute > 59 || second > 60)
    {
        return -1;
    }

    for (p += 19; p < end && (*p == '.' || (*p >= '0' && *p <= '9')); p++) {
        /* void */
    }

    zone = 0;

    if (end - p == 6 && (*p == '+' || *p == '-') && p[3] == ':') {
        zone = llm_ollama_two(p + 1) * 60 + llm_ollama_two(p + 4);
        zone = *p == '-' ? -zone : zone;

    } else if (end - p != 1 || (*p | 0x20) != 'z') {
        return -1;
    }

    if (zone < -1440 || zone > 1440) {
        return -1;
    }

    second += llm_ollama_days(year, month, day) * 86400 + hour * 3600
              + (minute - zone) * 60;

    return second >= 0 ? second : -1;
}


/* The members of a message; j stands behind its brace.  0 when it is not
 * valid. */
static int
llm_ollama_message(llm_ollama_line_t *l, llm_json_t *j)
{
    llm_slice_t       v;
    llm_json_type_t   type;
    llm_ollama_key_t  key;

    l->said = 1;

    while ((type = llm_json_next(j)) == LLM_JSON_KEY) {
        key = llm_ollama_name(&j->tok);
        type = llm_json_value(j, &v);

        if (type == LLM_JSON_STRING) {
            if (key == LLM_OLLAMA_TEXT) {
                l->text = v;

            } else if (key == LLM_OLLAMA_THINKING) {
                l->thinking = v;
            }

        } else if (type == LLM_JSON_ARRAY && key == LLM_OLLAMA_TOOLS) {
            l->tools = v;
        }
    }

    return type == LLM_JSON_OBJECT_END;
}


static void
llm_ollama_string(llm_ollama_line_t *l, llm_ollama_key_t key,
    const llm_slice_t *v)
{
    switch (key) {

    case LLM_OLLAMA_MODEL:
        l->model = *v;
        break;

    case LLM_OLLAMA_CREATED:
        l->created = *v;
        break;

    case LLM_OLLAMA_RESPONSE:
        l->text = *v;
        l->said = 1;
        break;

    case LLM_OLLAMA_THINKING:
        l->thinking = *v;
        l->said = 1;
        break;

    case LLM_OLLAMA_REASON:
        l->reason = *v;
        break;

    case LLM_OLLAMA_ERROR:
        l->error |= v->n != 0;
        break;

    default:
        break;
    }
}


/* Takes a member of the line that is no string. */
static void
llm_ollama_value(llm_ollama_line_t *l, llm_ollama_key_t key,
    llm_json_type_t type, const llm_slice_t *v)
{
    if (type == LLM_JSON_NUMBER) {
        if (key == LLM_OLLAMA_INPUT) {
            l->usage.input = llm_json_uint(v);

        } else if (key == LLM_OLLAMA_OUTPUT) {
            l->usage.output = llm_json_uint(v);

        } else if (key == LLM_OLLAMA_CACHED) {
            l->usage.cached = llm_json_uint(v);
        }

    } else if (type == LLM_JSON_ARRAY) {
        if (key == LLM_OLLAMA_LOGPROBS) {
            l->logprobs = *v;

        } else if (key == LLM_OLLAMA_TOOLS) {
            l->tools = *v;
        }

    } else if (key == LLM_OLLAMA_DONE) {
        l->done = type == LLM_JSON_TRUE;
        l->more = type == LLM_JSON_FALSE;

    } else if (key == LLM_OLLAMA_ERROR) {
        l->error |= type == LLM_JSON_OBJECT;
    }
}


/* Reads the line to its end; 0 when it is not one JSON object. */
static int
llm_ollama_scan(llm_ollama_line_t *l)
{
    llm_json_t       *j;
    llm_slice_t       v;
    llm_json_type_t   type;
    llm_ollama_key_t  key;

    j = &l->json;

    if (llm_json_next(j) != LLM_JSON_OBJECT) {
        return 0;
    }

    while (llm_json_next(j) == LLM_JSON_KEY) {
        key = llm_ollama_name(&j->tok);

        if (key == LLM_OLLAMA_MESSAGE) {
            type = llm_json_next(j);

            if (type == LLM_JSON_OBJECT) {
                if (!llm_ollama_message(l, j)) {
                    return 0;
                }

            } else if (type == LLM_JSON_ARRAY) {
                (void) llm_json_skip_rest(j, &v);
            }

            continue;
        }

        type = llm_json_value(j, &v);

        if (type == LLM_JSON_STRING) {
            llm_ollama_string(l, key, &v);

        } else if (key != LLM_OLLAMA_OTHER) {
            llm_ollama_value(l, key, type, &v);
        }
    }

    return llm_json_next(j) == LLM_JSON_END;
}


static inline llm_rc_t
llm_ollama_emit(llm_ollama_line_t *l, llm_event_type_t type)
{
    l->emitted++;
    l->ev.type = type;

    return l->d->emit(l->d->ctx, &l->ev);
}


static llm_rc_t
llm_ollama_start(llm_ollama_line_t *l)
{
    llm_rc_t  rc;

    l->d->started = 1;

    l->ev.model = l->model.n != 0 ? l->model : llm_slice_null;
    l->ev.created = llm_ollama_seconds(&l->created);

    rc = llm_ollama_emit(l, LLM_EV_START);

    l->ev.model = llm_slice_null;
    l->ev.created = -1;

    return rc;
}


static inline llm_rc_t
llm_ollama_text(llm_ollama_line_t *l, llm_event_type_t type,
    const llm_slice_t *text)
{
    if (text->n == 0) {
        return LLM_OK;
    }

    l->ev.text = *text;

    return llm_ollama_emit(l, type);
}


/* Reads the name and the arguments of a call. */
static void
llm_ollama_function(llm_event_t *ev, const llm_slice_t *raw)
{
    llm_json_t       j;
    llm_slice_t      v, key;
    llm_json_type_t  type;

    llm_json_reopen(&j, raw);

    while (llm_json_member(&j, &key, &v, &type)) {

        if (llm_json_is(&key, "name")) {
            if (type == LLM_JSON_STRING) {
                ev->name = v;
            }

        } else if (llm_json_is(&key, "arguments")) {

            /* a string is against the rules, but seen: it holds an object */

            if (type == LLM_JSON_OBJECT || type == LLM_JSON_STRING) {
                ev->text = v;
            }
        }
    }
}


/* An id for a call that came without: the line holds the time in nanoseconds,
 * so that calls of several turns differ. */
static llm_rc_t
llm_ollama_make_id(llm_ollama_line_t *l)
{
    llm_rc_t      rc;
    llm_out_t     out;
    llm_block_t  *b;

    b = &l->d->scratch;
    b->n = 0;

    rc = llm_block_reserve(b, &l->d->alloc, 64);
    if (rc != LLM_OK) {
        return rc;
    }

    memset(&out, 0, sizeof(llm_out_t));
    out.pos = b->p;
    out.end = b->p + b->cap;

    llm_write_id(&out, "call_", &l->frame->data, 0, l->ev.tool_index);

    l->ev.id = (llm_slice_t) { b->p, (size_t) (out.pos - b->p), 1 };

    return LLM_OK;
}


/* One of tool_calls, which is always whole; j stands behind its brace.  The
 * index that newer servers say counts what is counted here. */
static llm_rc_t
llm_ollama_call(llm_ollama_line_t *l, llm_json_t *j)
{
    llm_rc_t              rc;
    llm_slice_t           v, key;
    llm_json_type_t       type;
    llm_ollama_decode_t  *s;

    s = l->d->state;

    l->ev.id = llm_slice_null;
    l->ev.name = llm_slice_null;
    l->ev.text = llm_slice("{}");

    while (llm_json_member(j, &key, &v, &type)) {

        if (type == LLM_JSON_OBJECT && llm_json_is(&key, "function")) {
            llm_ollama_function(&l->ev, &v);

        } else if (type == LLM_JSON_STRING && v.n != 0
                   && llm_json_is(&key, "id"))
        {
            l->ev.id = v;
        }
    }

    l->ev.tool_index = s->calls++;
    l->ev.whole = 1;

    rc = l->ev.id.p == NULL ? llm_ollama_make_id(l) : LLM_OK;

    if (rc == LLM_OK) {
        rc = llm_ollama_emit(l, LLM_EV_TOOL_CALL);
    }

    l->ev.id = llm_slice_null;
    l->ev.name = llm_slice_null;
    l->ev.tool_index = 0;
    l->ev.whole = 0;

    return rc;
}


static llm_rc_t
llm_ollama_rare(llm_ollama_line_t *l)
{
    llm_rc_t    rc;
    llm_json_t  j;

    rc = LLM_OK;

    if (l->tools.p != NULL) {
        llm_json_reopen(&j, &l->tools);

        while (rc == LLM_OK && llm_json_object(&j)) {
            rc = llm_ollama_call(l, &j);
        }
    }

    if (rc == LLM_OK && l->logprobs.p != NULL) {
        l->ev.text = llm_slice_null;
        l->ev.raw = l->logprobs;
        rc = llm_ollama_emit(l, LLM_EV_LOGPROBS);
        l->ev.raw = llm_slice_null;
    }

    return rc;
}


/* The server says "stop" behind tool calls as well. */
static llm_finish_t
llm_ollama_reason(const llm_ollama_line_t *l)
{
    const llm_ollama_decode_t  *s;

    s = l->d->state;

    if (llm_json_is(&l->reason, "stop")) {
        return s->calls != 0 ? LLM_FINISH_TOOL_CALLS : LLM_FINISH_STOP;
    }

    if (llm_json_is(&l->reason, "length")) {
        return LLM_FINISH_LENGTH;
    }

    /* not the server's own, but of gateways that speak for others */

    if (llm_json_is(&l->reason, "content_filter")) {
        return LLM_FINISH_CONTENT_FILTER;
    }

    if (llm_json_is(&l->reason, "error")) {
        return LLM_FINISH_ERROR;
    }

    return llm_ollama_idle(&l->reason) ? LLM_FINISH_STOP
                                       : LLM_FINISH_OTHER;
}


static llm_rc_t
llm_ollama_finish(llm_ollama_line_t *l)
{
    llm_rc_t  rc;

    /* older servers give no reason: the end is one */

    if (l->reason.n == 0) {
        l->reason = llm_slice("stop");
    }

    l->ev.text = l->reason;
    l->ev.finish = llm_ollama_reason(l);

    rc = llm_ollama_emit(l, LLM_EV_FINISH);

    l->ev.finish = LLM_FINISH_NONE;
    l->ev.text = llm_slice_null;

    if (rc != LLM_OK || (l->usage.input < 0 && l->usage.output < 0)) {
        return rc;
    }

    l->ev.usage = &l->usage;
    rc = llm_ollama_emit(l, LLM_EV_USAGE);
    l->ev.usage = NULL;

    return rc;
}


static llm_rc_t
llm_ollama_emit_error(llm_ollama_line_t *l)
{
    llm_rc_t     rc;
    llm_error_t  err;

    (void) llm_error_read(&l->frame->data, &err);

    l->ev.error = &err;
    rc = llm_ollama_emit(l, LLM_EV_ERROR);
    l->ev.error = NULL;

    return rc;
}


/* All that a line says, but its END. */
static llm_rc_t
llm_ollama_emit_line(llm_ollama_line_t *l)
{
    llm_rc_t  rc;

    rc = LLM_OK;

    if (!l->d->started) {
        rc = llm_ollama_start(l);
    }

    l->emitted = 0;

    if (rc == LLM_OK) {
        rc = llm_ollama_text(l, LLM_EV_REASONING, &l->thinking);
    }

    if (rc == LLM_OK) {
        rc = llm_ollama_text(l, LLM_EV_TEXT, &l->text);
    }

    if (rc == LLM_OK && (l->tools.p != NULL || l->logprobs.p != NULL)) {
        rc = llm_ollama_rare(l);
    }

    if (rc == LLM_OK && l->done) {
        rc = llm_ollama_finish(l);
    }

    if (rc == LLM_OK && l->emitted == 0) {

        /* an empty text says that the choice is there */

        l->ev.text = (llm_slice_t) { (const llm_u8 *) "", 0, 1 };
        rc = llm_ollama_emit(l, LLM_EV_TEXT);
    }

    l->ev.text = llm_slice_null;

    return rc;
}


static llm_rc_t
llm_ollama_line(llm_decoder_t *d, llm_frame_t *frame, unsigned answer)
{
    llm_rc_t           rc;
    llm_ollama_line_t  l;

    frame->choices = 0;

    l.d = d;
    l.frame = frame;
    l.usage = llm_usage_none;

    memset(&l.model, 0, offsetof(llm_ollama_line_t, usage)
                        - offsetof(llm_ollama_line_t, model));
    memset(&l.said, 0, sizeof(llm_ollama_line_t)
                       - offsetof(llm_ollama_line_t, said));

    l.ev.linesep = frame->linesep;
    l.ev.created = -1;
    l.ev.start = -1;
    l.ev.end = -1;

    llm_json_init(&l.json, frame->data.p, frame->data.n, frame->max_depth);

    if (!llm_ollama_scan(&l)) {
        return LLM_INVALID;
    }

    if (answer && l.more && !l.error) {
        return LLM_INVALID;     /* one line of a stream */
    }

    rc = LLM_OK;

    if (l.said || l.done) {
        frame->choices = 1;
        rc = llm_ollama_emit_line(&l);

    } else if (answer && !l.error) {
        return LLM_INVALID;
    }

    if (rc != LLM_OK) {
        return rc;
    }

    if (l.error) {
        return llm_ollama_emit_error(&l);
    }

    if (!l.done && !answer) {
        return LLM_OK;
    }

    rc = llm_ollama_emit(&l, LLM_EV_END);

    return rc == LLM_OK ? LLM_DONE : rc;
}


llm_rc_t
llm_ollama_decode(llm_decoder_t *d, llm_frame_t *frame)
{
    return llm_ollama_line(d, frame, 0);
}


llm_rc_t
llm_ollama_decode_answer(llm_decoder_t *d, llm_frame_t *answer)
{
    return llm_ollama_line(d, answer, 1);
}


/* -1 and -2 are no limit, and so is 0 */
static const llm_ask_t  llm_ollama_asks[] = {
    { "options", "num_predict", LLM_ASK_OUTPUT|LLM_ASK_SAYS|LLM_ASK_ZERO, 0,
      NULL },
    { NULL, "messages", LLM_ASK_MESSAGES, 0, NULL },
    { NULL, NULL, 0, 0, NULL }
};


/* nothing is needed: a request without a prompt loads or unloads a model */
#define LLM_OLLAMA_ROW                                                      \
    .framing = LLM_FRAMING_NDJSON,                                          \
    .failure = 1,                                                           \
    .stream_type = llm_str("application/x-ndjson"),                         \
    .answer_type = llm_str("application/json; charset=utf-8"),              \
    .stream_default = 1,                                                    \
    .stream_member = llm_str("stream"),                                     \
    .asks = llm_ollama_asks,                                                \
                                                                            \
    .decode = llm_ollama_decode,                                            \
    .decode_answer = llm_ollama_decode_answer,                              \
    .decode_size = sizeof(llm_ollama_decode_t),                             \
                                                                            \
    .stream_size = sizeof(llm_ollama_stream_t),                             \
    .stream_drop = llm_ollama_stream_drop,                                  \
    .error_body = llm_ollama_error_body


const llm_dialect_t  llm_dialect_ollama = {
    .name = llm_str("ollama"),
    LLM_OLLAMA_ROW,

    .read_chat = llm_ollama_read_chat,
    .write_chat = llm_ollama_write_chat,

    .encode = llm_ollama_encode,
    .write_answer = llm_ollama_write_answer
};


const llm_dialect_t  llm_dialect_generate = {
    .name = llm_str("ollama-generate"),
    LLM_OLLAMA_ROW,

    .read_chat = llm_generate_read_chat,
    .write_chat = llm_generate_write_chat,

    .encode = llm_generate_encode,
    .write_answer = llm_generate_write_answer
};
