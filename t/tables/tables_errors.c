/*
 * Errors: what statuses and words mean, each dialect's words for it, and the
 * shapes.
 */

#include "llm_error.h"
#include "tables_answers.h"


static const char *const  tables_classes[LLM_ERROR_MAX] = {
    [LLM_ERROR_UNKNOWN] = "not known",
    [LLM_ERROR_BAD_REQUEST] = "a bad request",
    [LLM_ERROR_AUTH] = "a bad key",
    [LLM_ERROR_CREDIT] = "no credit",
    [LLM_ERROR_FORBIDDEN] = "forbidden",
    [LLM_ERROR_NOT_FOUND] = "not found",
    [LLM_ERROR_METHOD] = "a wrong method",
    [LLM_ERROR_TOO_LARGE] = "too large",
    [LLM_ERROR_RATE] = "too many requests",
    [LLM_ERROR_TIMEOUT] = "too slow",
    [LLM_ERROR_SERVER] = "a server's fault",
    [LLM_ERROR_OVERLOADED] = "overloaded",
    [LLM_ERROR_GATEWAY] = "a gateway's fault",
    [LLM_ERROR_BLOCKED] = "the prompt was filtered"
};

static const char *const  tables_error_words[] = {
    "invalid_request_error", "BadRequestError", "INVALID_ARGUMENT",
    "FAILED_PRECONDITION", "invalid_api_key", "authentication_error",
    "UNAUTHENTICATED", "API_KEY_INVALID", "billing_error",
    "insufficient_quota", "permission_error", "permission_denied",
    "PERMISSION_DENIED", "model_not_found", "not_found_error",
    "NotFoundError", "DeploymentNotFound", "NOT_FOUND",
    "method_not_allowed", "request_too_large", "context_length_exceeded",
    "exceed_context_size_error", "rate_limit_exceeded", "rate_limit_error",
    "tokens", "requests", "RESOURCE_EXHAUSTED", "timeout_error",
    "DEADLINE_EXCEEDED", "server_error", "internal_server_error",
    "InternalServerError", "api_error", "INTERNAL", "overloaded",
    "overloaded_error", "unavailable_error", "service_unavailable",
    "UNAVAILABLE", "content_filter", "content_policy_violation"
};

/* bytes of a line that are shown */
#define TABLES_LINE  220

#define TABLES_ERROR_WORDS                                                  \
    (sizeof(tables_error_words) / sizeof(tables_error_words[0]))


static llm_error_class_t
tables_class(const char *word, int status)
{
    char         body[128];
    llm_error_t  err;
    llm_slice_t  data;

    if (word == NULL) {
        memset(&err, 0, sizeof(err));
        err.status = status;
        llm_error_classify(&err);
        return err.cls;
    }

    snprintf(body, sizeof(body), "{\"error\":{\"type\":\"%s\",\"message\":"
             "\"x\"}}", word);
    data = tables_slice(body);

    if (llm_error_read(&data, &err) != LLM_OK) {
        tables_die("no error", body);
    }

    return err.cls;
}


/* Statuses and words that mean a class. */
static void
tables_means(llm_error_class_t cls)
{
    size_t       i;
    const char  *comma;

    static const int  statuses[] = {
        400, 401, 402, 403, 404, 405, 408, 409, 413, 422, 429, 500, 502, 503,
        504, 529
    };

    comma = " ";

    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (tables_class(NULL, statuses[i]) == cls) {
            printf("%s%d", comma, statuses[i]);
            comma = ", ";
        }
    }

    printf(" |");
    comma = " ";

    for (i = 0; i < TABLES_ERROR_WORDS; i++) {
        if (tables_class(tables_error_words[i], 0) == cls) {
            printf("%s`%s`", comma, tables_error_words[i]);
            comma = ", ";
        }
    }

    printf(" |");
}


static void
tables_error_classes(void)
{
    size_t                    i;
    const llm_error_words_t  *w;

    tables_open("errors-read");
    printf("| error | status | words |\n");
    tables_rule(3);

    for (i = 1; i < LLM_ERROR_MAX; i++) {
        printf("| %s |", tables_classes[i]);
        tables_means((llm_error_class_t) i);
        printf("\n");
    }

    tables_close();
    tables_open("errors-written");
    printf("| error | OpenAI's `type` | `code` | Anthropic's `type` |"
           " Gemini's `status` |\n");
    tables_rule(5);

    for (i = 1; i < LLM_ERROR_MAX; i++) {
        w = llm_error_words((llm_error_class_t) i);

        printf("| %s |", tables_classes[i]);
        printf(" `%s` |", tables_name(&w->openai_type));

        if (w->openai_code.p != NULL) {
            printf(" `%s` |", tables_name(&w->openai_code));

        } else {
            printf(" null |");
        }

        printf(" `%s` |", tables_name(&w->anthropic_type));
        printf(" `%s` |\n", tables_name(&w->gemini_status));
    }

    tables_close();
}


/* A provider's error in the middle of a stream, as a client gets it. */
static void
tables_error_event(const llm_dialect_t *d, const llm_error_t *err)
{
    size_t           n;
    llm_event_t      ev;
    const char      *p, *end;
    table_stream_t   s;

    tables_stream_open(&s, d);
    ev = tables_start();
    tables_stream_say(&s, &ev);
    ev = tables_event(LLM_EV_TEXT);
    ev.text = llm_slice("x");
    tables_stream_say(&s, &ev);
    tables_text(&s.text);

    ev = tables_event(LLM_EV_ERROR);
    ev.error = err;
    tables_stream_say(&s, &ev);
    tables_stream_close(&s);

    for (p = tables_text_end(&s.text); *p != '\0'; p = *end ? end + 1 : end) {
        end = p + strcspn(p, "\n");
        n = (size_t) (end - p);

        if (n != 0) {
            printf(" `%.*s%s`", n > TABLES_LINE ? TABLES_LINE : (int) n, p,
                   n > TABLES_LINE ? "…" : "");
        }
    }

    printf(" |\n");
}


static void
tables_error_shapes(void)
{
    size_t                i;
    llm_error_t           err;
    const char           *body;
    table_text_t          text;
    const llm_dialect_t  *d;

    memset(&err, 0, sizeof(err));
    err.type = llm_slice("requests");
    err.code = llm_slice("rate_limit_exceeded");
    err.message = llm_slice("Slow down.");
    err.status = 429;
    err.retry_after = 7000;
    err.cls = LLM_ERROR_RATE;

    tables_open("error-bodies");
    printf("| client | body |\n");
    tables_rule(2);

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {
        if (tables_is_client(d)) {
            tables_text(&text);
            d->error_body(&text.out, &err);
            body = tables_text_end(&text);
            printf("| `%s` | `%.*s` |\n", tables_name(&d->name),
                   (int) strcspn(body, "\n"), body);
        }
    }

    tables_close();
    tables_open("error-events");
    printf("| client | last event |\n");
    tables_rule(2);

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {

        if (!tables_is_client(d)) {
            continue;
        }

        printf("| `%s` |", tables_name(&d->name));

        if (d->framing == LLM_FRAMING_NONE) {
            printf(" none: the response ends uncleanly |\n");
            continue;
        }

        tables_error_event(d, &err);
    }

    tables_close();
}


void
tables_errors(void)
{
    tables_error_classes();
    tables_error_shapes();
}
