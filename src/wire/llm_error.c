/*
 * Errors of providers.  It owns what their words mean; it must never take a
 * number or a word for more than a hint, and never copy what they say.
 */

#include "llm_error.h"
#include "llm_json.h"


/* a hint to wait longer than a day is cut to one; milliseconds */
#define LLM_ERROR_WAIT  86400000


/* What an error's members led to, besides llm_error_t itself. */
typedef struct {
    llm_slice_t     error;
    llm_slice_t     detail;
    llm_slice_t     details;    /* array: Google's */
    llm_slice_t     word;       /* "status" as a word: Google's */
    int64_t         wait;       /* milliseconds, -1 */
    unsigned        object;     /* error is an object */
    unsigned        list;       /* detail is an array */
} llm_error_said_t;


/* What a code, a type or a status word means. */
static const struct {
    llm_slice_t         word;
    int                 status;
    llm_error_class_t   cls;
} llm_error_known[] = {
    { llm_str("invalid_api_key"), 401, LLM_ERROR_AUTH },
    { llm_str("authentication_error"), 401, LLM_ERROR_AUTH },
    { llm_str("UNAUTHENTICATED"), 401, LLM_ERROR_AUTH },
    { llm_str("API_KEY_INVALID"), 400, LLM_ERROR_AUTH },
    { llm_str("billing_error"), 402, LLM_ERROR_CREDIT },
    { llm_str("insufficient_quota"), 429, LLM_ERROR_CREDIT },
    { llm_str("permission_error"), 403, LLM_ERROR_FORBIDDEN },
    { llm_str("permission_denied"), 403, LLM_ERROR_FORBIDDEN },
    { llm_str("PERMISSION_DENIED"), 403, LLM_ERROR_FORBIDDEN },
    { llm_str("model_not_found"), 404, LLM_ERROR_NOT_FOUND },
    { llm_str("not_found_error"), 404, LLM_ERROR_NOT_FOUND },
    { llm_str("NotFoundError"), 404, LLM_ERROR_NOT_FOUND },
    { llm_str("DeploymentNotFound"), 404, LLM_ERROR_NOT_FOUND },
    { llm_str("NOT_FOUND"), 404, LLM_ERROR_NOT_FOUND },
    { llm_str("method_not_allowed"), 405, LLM_ERROR_METHOD },
    { llm_str("request_too_large"), 413, LLM_ERROR_TOO_LARGE },
    { llm_str("context_length_exceeded"), 400, LLM_ERROR_TOO_LARGE },
    { llm_str("exceed_context_size_error"), 400, LLM_ERROR_TOO_LARGE },
    { llm_str("rate_limit_exceeded"), 429, LLM_ERROR_RATE },
    { llm_str("rate_limit_error"), 429, LLM_ERROR_RATE },
    { llm_str("tokens"), 429, LLM_ERROR_RATE },
    { llm_str("requests"), 429, LLM_ERROR_RATE },
    { llm_str("RESOURCE_EXHAUSTED"), 429, LLM_ERROR_RATE },
    { llm_str("content_filter"), 400, LLM_ERROR_BLOCKED },
    { llm_str("content_policy_violation"), 400, LLM_ERROR_BLOCKED },
    { llm_str("invalid_request_error"), 400, LLM_ERROR_BAD_REQUEST },
    { llm_str("BadRequestError"), 400, LLM_ERROR_BAD_REQUEST },
    { llm_str("INVALID_ARGUMENT"), 400, LLM_ERROR_BAD_REQUEST },
    { llm_str("FAILED_PRECONDITION"), 400, LLM_ERROR_BAD_REQUEST },
    { llm_str("server_error"), 500, LLM_ERROR_SERVER },
    { llm_str("internal_server_error"), 500, LLM_ERROR_SERVER },
    { llm_str("InternalServerError"), 500, LLM_ERROR_SERVER },
    { llm_str("api_error"), 500, LLM_ERROR_SERVER },
    { llm_str("INTERNAL"), 500, LLM_ERROR_SERVER },
    { llm_str("overloaded"), 503, LLM_ERROR_OVERLOADED },
    { llm_str("unavailable_error"), 503, LLM_ERROR_OVERLOADED },
    { llm_str("service_unavailable"), 503, LLM_ERROR_OVERLOADED },
    { llm_str("UNAVAILABLE"), 503, LLM_ERROR_OVERLOADED },
    { llm_str("timeout_error"), 504, LLM_ERROR_TIMEOUT },
    { llm_str("DEADLINE_EXCEEDED"), 504, LLM_ERROR_TIMEOUT },
    { llm_str("overloaded_error"), 529, LLM_ERROR_OVERLOADED }
};

#define LLM_ERROR_KNOWN  (sizeof(llm_error_known) / sizeof(llm_error_known[0]))


static const llm_error_words_t  llm_error_all[LLM_ERROR_MAX] = {

    [LLM_ERROR_UNKNOWN] = { 502,
        llm_str("server_error"), llm_str("upstream_error"),
        llm_str("api_error"), 502, llm_str("UNKNOWN") },

    [LLM_ERROR_BAD_REQUEST] = { 400,
        llm_str("invalid_request_error"), { NULL, 0, 0 },
        llm_str("invalid_request_error"), 400, llm_str("INVALID_ARGUMENT") },

    [LLM_ERROR_AUTH] = { 401,
        llm_str("invalid_request_error"), llm_str("invalid_api_key"),
        llm_str("authentication_error"), 401, llm_str("UNAUTHENTICATED") },

    [LLM_ERROR_CREDIT] = { 429,
        llm_str("insufficient_quota"), llm_str("insufficient_quota"),
        llm_str("billing_error"), 402, llm_str("RESOURCE_EXHAUSTED") },

    [LLM_ERROR_FORBIDDEN] = { 403,
        llm_str("permission_error"), llm_str("permission_denied"),
        llm_str("permission_error"), 403, llm_str("PERMISSION_DENIED") },

    [LLM_ERROR_NOT_FOUND] = { 404,
        llm_str("invalid_request_error"), llm_str("model_not_found"),
        llm_str("not_found_error"), 404, llm_str("NOT_FOUND") },

    [LLM_ERROR_METHOD] = { 405,
        llm_str("invalid_request_error"), llm_str("method_not_allowed"),
        llm_str("invalid_request_error"), 405, llm_str("UNIMPLEMENTED") },

    [LLM_ERROR_TOO_LARGE] = { 400,
        llm_str("invalid_request_error"), llm_str("context_length_exceeded"),
        llm_str("request_too_large"), 413, llm_str("INVALID_ARGUMENT") },

    [LLM_ERROR_RATE] = { 429,
        llm_str("requests"), llm_str("rate_limit_exceeded"),
        llm_str("rate_limit_error"), 429, llm_str("RESOURCE_EXHAUSTED") },

    [LLM_ERROR_TIMEOUT] = { 504,
        llm_str("server_error"), llm_str("timeout"),
        llm_str("timeout_error"), 504, llm_str("DEADLINE_EXCEEDED") },

    [LLM_ERROR_SERVER] = { 500,
        llm_str("server_error"), { NULL, 0, 0 },
        llm_str("api_error"), 500, llm_str("INTERNAL") },

    [LLM_ERROR_OVERLOADED] = { 503,
        llm_str("server_error"), llm_str("overloaded"),
        llm_str("overloaded_error"), 529, llm_str("UNAVAILABLE") },

    [LLM_ERROR_GATEWAY] = { 502,
        llm_str("server_error"), { NULL, 0, 0 },
        llm_str("api_error"), 502, llm_str("UNAVAILABLE") },

    [LLM_ERROR_BLOCKED] = { 400,
        llm_str("invalid_request_error"), llm_str("content_filter"),
        llm_str("invalid_request_error"), 400, llm_str("INVALID_ARGUMENT") }
};


const llm_error_words_t *
llm_error_words(llm_error_class_t cls)
{
    if ((unsigned) cls >= LLM_ERROR_MAX) {
        cls = LLM_ERROR_UNKNOWN;
    }

    return &llm_error_all[cls];
}


/* The row of a word, LLM_ERROR_KNOWN for one that is not there. */
static size_t
llm_error_find(const llm_slice_t *word)
{
    size_t              i;
    const llm_slice_t  *w;

    for (i = 0; word->p != NULL && i < LLM_ERROR_KNOWN; i++) {
        w = &llm_error_known[i].word;

        if (llm_json_eq(word, (const char *) w->p, w->n)) {
            return i;
        }
    }

    return LLM_ERROR_KNOWN;
}


static void
llm_error_status(llm_error_t *err, const llm_slice_t *word)
{
    size_t  i;

    if (err->status != 0) {
        return;
    }

    i = llm_error_find(word);

    if (i != LLM_ERROR_KNOWN) {
        err->status = llm_error_known[i].status;
    }
}


static llm_error_class_t
llm_error_class(const llm_slice_t *word)
{
    size_t  i;

    i = llm_error_find(word);

    return i != LLM_ERROR_KNOWN ? llm_error_known[i].cls : LLM_ERROR_UNKNOWN;
}


static llm_error_class_t
llm_error_by_status(int status)
{
    switch (status) {

    case 401:
        return LLM_ERROR_AUTH;

    case 402:
        return LLM_ERROR_CREDIT;

    case 403:
        return LLM_ERROR_FORBIDDEN;

    case 404:
        return LLM_ERROR_NOT_FOUND;

    case 405:
        return LLM_ERROR_METHOD;

    case 408: case 504:
        return LLM_ERROR_TIMEOUT;

    case 413:
        return LLM_ERROR_TOO_LARGE;

    case 429:
        return LLM_ERROR_RATE;

    case 502:
        return LLM_ERROR_GATEWAY;

    case 503: case 529:
        return LLM_ERROR_OVERLOADED;

    default:
        return status >= 400 && status < 500 ? LLM_ERROR_BAD_REQUEST
               : status >= 500 && status < 600 ? LLM_ERROR_SERVER
               : LLM_ERROR_UNKNOWN;
    }
}


/* These two words are said of anything: a status says more. */
static inline int
llm_error_is_vague(llm_error_class_t cls)
{
    return cls == LLM_ERROR_UNKNOWN || cls == LLM_ERROR_BAD_REQUEST
           || cls == LLM_ERROR_SERVER;
}


void
llm_error_classify(llm_error_t *err)
{
    llm_error_class_t  code, type;

    code = llm_error_class(&err->code);
    type = llm_error_class(&err->type);

    if (!llm_error_is_vague(code)) {
        err->cls = code;

    } else if (!llm_error_is_vague(type)) {
        err->cls = type;

    } else {
        err->cls = llm_error_by_status(err->status);

        if (err->cls == LLM_ERROR_UNKNOWN) {
            err->cls = code != LLM_ERROR_UNKNOWN ? code : type;
        }
    }
}


static inline int
llm_error_is_digit(llm_u8 c)
{
    return c >= '0' && c <= '9';
}


/* Reads digits and perhaps a fraction as thousandths, rounded up and cut at
 * some large number.  Returns the bytes that were read. */
static size_t
llm_error_decimal(const llm_u8 *p, size_t n, int64_t *v)
{
    size_t    i;
    int64_t   scale;
    unsigned  more;

    *v = 0;

    for (i = 0; i < n && llm_error_is_digit(p[i]); i++) {
        *v = *v < 100000000 ? *v * 10 + (p[i] - '0') : *v;
    }

    *v *= 1000;

    if (i == 0 || i == n || p[i] != '.') {
        return i;
    }

    more = 0;

    for (i++, scale = 100; i < n && llm_error_is_digit(p[i]); i++) {
        *v += (p[i] - '0') * scale;
        more |= scale == 0 && p[i] != '0';
        scale /= 10;
    }

    *v += more;

    return i;
}


/* The unit at p in milliseconds, 0: none. */
static int64_t
llm_error_unit(const llm_u8 *p, size_t n, size_t *used)
{
    *used = 1;

    if (n >= 2 && p[0] == 'm' && p[1] == 's') {
        *used = 2;
        return 1;
    }

    if (n == 0) {
        return 0;
    }

    return p[0] == 's' ? 1000 : p[0] == 'm' ? 60000
           : p[0] == 'h' ? 3600000 : 0;
}


/*
 * A duration as Go and protobuf write it, "34.4s", "1m26.4s", "350ms", in
 * milliseconds, rounded up; -1: there is none.  It may be followed by
 * anything but a letter or a digit.
 */
static int64_t
llm_error_duration(const llm_u8 *p, size_t n)
{
    size_t   i, used;
    int64_t  v, unit, total;

    i = 0;
    total = -1;

    while (i < n && llm_error_is_digit(p[i])) {
        i += llm_error_decimal(p + i, n - i, &v);
        unit = llm_error_unit(p + i, n - i, &used);

        if (unit == 0) {
            return -1;
        }

        i += used;
        v = (v * unit + 999) / 1000;
        total = (total < 0 ? 0 : total) + v;
        total = total < LLM_ERROR_WAIT ? total : LLM_ERROR_WAIT;
    }

    if (i < n && (p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'z') {
        return -1;
    }

    return total;
}


/* The hint in a message: "Please try again in 6.78s." */
static int64_t
llm_error_text_wait(const llm_slice_t *message)
{
    size_t         n;
    const llm_u8  *p;

    static const char  words[] = "try again in ";

    p = message->p;
    n = message->n;

    while (n >= sizeof(words) - 1) {

        if (memcmp(p, words, sizeof(words) - 1) == 0) {
            return llm_error_duration(p + sizeof(words) - 1,
                                      n - (sizeof(words) - 1));
        }

        p++;
        n--;
    }

    return -1;
}


/* Takes a number, or a string of digits, that is an error status. */
static void
llm_error_number(llm_error_t *err, const llm_slice_t *v)
{
    int64_t  n;

    n = llm_json_uint(v);

    if (n >= 400 && n <= 599 && err->status == 0) {
        err->status = (int) n;
    }
}


/* Hugging Face's: seconds until a model is loaded. */
static void
llm_error_estimated(llm_error_said_t *said, const llm_slice_t *v)
{
    int64_t  wait;

    if (llm_error_decimal(v->p, v->n, &wait) == v->n) {
        said->wait = wait < LLM_ERROR_WAIT ? wait : LLM_ERROR_WAIT;
    }
}


/* Takes a scalar member that an error object or a flat error may have. */
static void
llm_error_scalar(llm_error_t *err, llm_error_said_t *said,
    const llm_slice_t *key, const llm_slice_t *v, llm_json_type_t type)
{
    unsigned  string;

    string = type == LLM_JSON_STRING;

    if (llm_json_is(key, "message") || llm_json_is(key, "msg")) {
        if (string && err->message.p == NULL) {
            err->message = *v;
        }

    } else if (llm_json_is(key, "type")) {

        /* of an event, not of an error */

        if (string && !llm_json_is(v, "error")) {
            err->type = *v;
        }

    } else if (llm_json_is(key, "param")) {
        if (string) {
            err->param = *v;
        }

    } else if (llm_json_is(key, "code")) {
        err->code = *v;
        err->code.escaped = 1;
        llm_error_number(err, v);

    } else if (llm_json_is(key, "status") || llm_json_is(key, "status_code")
               || llm_json_is(key, "statusCode"))
    {
        llm_error_number(err, v);

        if (string) {
            said->word = *v;
        }

    } else if (llm_json_is(key, "estimated_time") && !string) {
        llm_error_estimated(said, v);
    }
}


/* Reads the members of an error object, or of a document that is or holds
 * one; j stands behind its brace.  0 when it is not valid. */
static int
llm_error_members(llm_json_t *j, llm_error_t *err, llm_error_said_t *said)
{
    llm_slice_t      key, v;
    llm_json_type_t  type;

    while ((type = llm_json_next(j)) == LLM_JSON_KEY) {
        key = j->tok;
        type = llm_json_value(j, &v);

        if (type == LLM_JSON_STRING || type == LLM_JSON_NUMBER) {
            llm_error_scalar(err, said, &key, &v, type);
        }

        if (llm_json_is(&key, "error")
            && (type == LLM_JSON_OBJECT || type == LLM_JSON_STRING))
        {
            said->error = v;
            said->object = type == LLM_JSON_OBJECT;

        } else if (llm_json_is(&key, "detail")
                   && (type == LLM_JSON_ARRAY || type == LLM_JSON_STRING))
        {
            said->detail = v;
            said->list = type == LLM_JSON_ARRAY;

        } else if (llm_json_is(&key, "details") && type == LLM_JSON_ARRAY) {
            said->details = v;
        }
    }

    return type == LLM_JSON_OBJECT_END;
}


/* Google's details: when to try again; a reason that says more than the
 * number that is the code. */
static void
llm_error_details(llm_error_t *err, llm_error_said_t *said)
{
    llm_json_t       j;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    llm_json_reopen(&j, &said->details);

    while (llm_json_object(&j)) {

        while (llm_json_member(&j, &key, &v, &type)) {

            if (type != LLM_JSON_STRING) {
                continue;
            }

            if (llm_json_is(&key, "retryDelay")) {
                said->wait = llm_error_duration(v.p, v.n);

            } else if (llm_json_is(&key, "reason")
                       && (err->code.p == NULL
                           || llm_json_uint(&err->code) >= 0)
                       && llm_error_find(&v) != LLM_ERROR_KNOWN)
            {
                err->code = v;
            }
        }
    }
}


/* Follows what the document's own members lead to. */
static void
llm_error_inner(llm_error_t *err, llm_error_said_t *said)
{
    llm_json_t        j;
    llm_error_said_t  deeper;

    if (said->error.p != NULL && said->object) {

        /* what stands beside "error" belongs to the chunk, not to it */

        *err = (llm_error_t) { .status = err->status, .retry_after = -1 };
        said->details = llm_slice_null;

        llm_json_reopen(&j, &said->error);
        (void) llm_error_members(&j, err, said);

        if (said->details.p != NULL) {
            llm_error_details(err, said);
        }

    } else if (said->error.p != NULL) {
        err->message = said->error;

    } else if (said->detail.p != NULL && said->list) {
        llm_json_reopen(&j, &said->detail);

        if (llm_json_object(&j)) {
            memset(&deeper, 0, sizeof(llm_error_said_t));
            (void) llm_error_members(&j, err, &deeper);
        }

    } else if (said->detail.p != NULL && err->message.p == NULL) {
        err->message = said->detail;
    }
}


/* Whether data is one object, or an array of nothing else, and is valid;
 * its members are read. */
static int
llm_error_document(const llm_slice_t *data, llm_error_t *err,
    llm_error_said_t *said)
{
    llm_json_t       j;
    llm_json_type_t  type;

    llm_json_init(&j, data->p, data->n, LLM_JSON_DEPTH_MAX);

    type = llm_json_next(&j);

    if (type == LLM_JSON_ARRAY) {
        return llm_json_next(&j) == LLM_JSON_OBJECT
               && llm_error_members(&j, err, said)
               && llm_json_next(&j) == LLM_JSON_ARRAY_END
               && llm_json_next(&j) == LLM_JSON_END;
    }

    return type == LLM_JSON_OBJECT
           && llm_error_members(&j, err, said)
           && llm_json_next(&j) == LLM_JSON_END;
}


llm_rc_t
llm_error_read(const llm_slice_t *data, llm_error_t *err)
{
    llm_error_said_t  said;

    memset(err, 0, sizeof(llm_error_t));
    memset(&said, 0, sizeof(llm_error_said_t));

    err->retry_after = -1;
    said.wait = -1;

    if (!llm_error_document(data, err, &said)) {
        memset(err, 0, sizeof(llm_error_t));
        err->retry_after = -1;
        return LLM_INVALID;
    }

    llm_error_inner(err, &said);

    llm_error_status(err, &err->code);
    llm_error_status(err, &said.word);
    llm_error_status(err, &err->type);

    if (said.wait >= 0 && err->status == 0) {
        err->status = 503;
    }

    llm_error_classify(err);

    if (said.wait < 0 && err->cls == LLM_ERROR_RATE) {
        said.wait = llm_error_text_wait(&err->message);
    }

    err->retry_after = said.wait;

    return err->message.p != NULL || said.error.p != NULL ? LLM_OK
                                                          : LLM_INVALID;
}
