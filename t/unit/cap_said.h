/*
 * What tests and fuzzers hold a capped body against: whichever of duplicated
 * members a provider takes, and whether or not it cares for the case of their
 * names, it reads a limit, and one that is not above the cap.  It must never
 * use the code that it checks.
 */

#ifndef CAP_SAID_H
#define CAP_SAID_H

#include <stdlib.h>
#include <strings.h>

#include "llm_dialect.h"


typedef struct {
    const llm_dialect_t  *dialect;
    const char           *outer;
    const char           *names[3];
    unsigned              nsays;    /* the first of the names */
    double                least;
} cap_said_t;

static const cap_said_t  cap_said[] = {
    { &llm_dialect_openai, NULL,
      { "max_completion_tokens", "max_tokens", "n_predict" }, 2, 0 },
    { &llm_dialect_completions, NULL, { "max_tokens", "n_predict" }, 1, 0 },
    { &llm_dialect_responses, NULL, { "max_output_tokens" }, 1, 0 },
    { &llm_dialect_anthropic, NULL, { "max_tokens" }, 1, 0 },
    { &llm_dialect_gemini, "generationConfig",
      { "maxOutputTokens", "max_output_tokens" }, 2, 1 },
    { &llm_dialect_gemini, "generation_config",
      { "maxOutputTokens", "max_output_tokens" }, 2, 1 },
    { &llm_dialect_ollama, "options", { "num_predict" }, 1, 1 },
    { &llm_dialect_flowise, "overrideConfig", { "maxTokens" }, 0, 0 }
};

#define CAP_SAID  (sizeof(cap_said) / sizeof(cap_said[0]))


static inline int
cap_said_is(const llm_slice_t *key, const char *name)
{
    size_t  n;
    char    buf[256];

    if (name == NULL || key->n >= sizeof(buf)) {
        return 0;
    }

    n = llm_json_unescape((llm_u8 *) buf, key->p, key->n);

    if (n != strlen(name)) {
        return 0;
    }

    return strncmp(buf, name, n) == 0 ? 2 : strncasecmp(buf, name, n) == 0;
}


/* Whether a server could read more than max, or no limit, in a value. */
static inline int
cap_said_high(const cap_said_t *c, llm_json_type_t type,
    const llm_slice_t *raw, double max)
{
    char    buf[400], *end;
    double  v;

    if (type != LLM_JSON_NUMBER && type != LLM_JSON_STRING) {
        return 1;
    }

    /* a long one was left as it is only if it is small */

    if (raw->n >= sizeof(buf)) {
        return type == LLM_JSON_STRING;
    }

    memcpy(buf, raw->p, raw->n);
    buf[raw->n] = '\0';

    if (type == LLM_JSON_STRING) {
        buf[raw->n - 1] = '\0';
        v = strtod(buf + 1, &end);

    } else {
        v = strtod(buf, &end);
    }

    end += strspn(end, " \t\r\n");

    return *end != '\0' || !(v >= c->least && v <= max);
}


/* What is wrong with the members of an object; NULL: nothing. */
static inline const char *
cap_said_object(const cap_said_t *c, const llm_slice_t *raw, double max,
    unsigned needed)
{
    int               is;
    unsigned          i, said[3], null[3];
    llm_json_t        j;
    llm_slice_t       key, v;
    llm_json_type_t   type;

    memset(said, 0, sizeof(said));
    memset(null, 0, sizeof(null));

    llm_json_init(&j, raw->p, raw->n, LLM_JSON_DEPTH_MAX);
    (void) llm_json_next(&j);

    while (llm_json_next(&j) == LLM_JSON_KEY) {
        key = j.tok;
        type = llm_json_skip(&j, &v);

        for (i = 0; i < 3; i++) {
            is = cap_said_is(&key, c->names[i]);

            if (is == 0) {
                continue;
            }

            if (type == LLM_JSON_NULL && (is == 2 || i >= c->nsays)) {
                null[i] = 1;

            } else if (cap_said_high(c, type, &v, max)) {
                return "a limit is above";

            } else {
                said[i] |= is == 2;
            }
        }
    }

    for (i = 0; i < c->nsays; i++) {
        needed &= !said[i];

        if (null[i] && said[i]) {
            return "a null beside a limit";
        }
    }

    return needed ? "no limit" : NULL;
}


/* What is wrong with a body; NULL: nothing. */
static inline const char *
cap_wrong(const llm_dialect_t *d, const llm_u8 *p, size_t n, double max)
{
    int                is;
    size_t             i;
    unsigned           found, inside;
    llm_json_t         j;
    llm_slice_t        key, v, body;
    const char        *wrong;
    llm_json_type_t    type;
    const cap_said_t  *c;

    body.p = p;
    body.n = n;
    body.escaped = 0;
    found = 0;
    inside = 0;

    for (i = 0; i < CAP_SAID; i++) {
        c = &cap_said[i];

        if (c->dialect != d) {
            continue;
        }

        if (c->outer == NULL) {
            return cap_said_object(c, &body, max, 1);
        }

        inside = c->nsays != 0;

        llm_json_init(&j, p, n, LLM_JSON_DEPTH_MAX);
        (void) llm_json_next(&j);

        while (llm_json_next(&j) == LLM_JSON_KEY) {
            key = j.tok;
            type = llm_json_skip(&j, &v);
            is = cap_said_is(&key, c->outer);

            if (is == 0 || (type == LLM_JSON_NULL && c->nsays == 0)) {
                continue;
            }

            if (type != LLM_JSON_OBJECT) {
                return "no object";
            }

            wrong = cap_said_object(c, &v, max, c->nsays != 0);
            if (wrong != NULL) {
                return wrong;
            }

            found |= is == 2;
        }
    }

    return found || !inside ? NULL : "no object with a limit";
}


#endif /* CAP_SAID_H */
