/*
 * The bodies of a sign-in.  An identity service is no more trusted than a
 * provider: a token becomes a header line, so it is visible ASCII or it is
 * none.
 */

#include "llm_token.h"

#include "llm_json.h"
#include "llm_write.h"

#include <stdlib.h>


static void llm_token_json_member(llm_out_t *out, const char *name,
    const llm_slice_t *value);
static void llm_token_form_member(llm_out_t *out, const char *name,
    const llm_slice_t *value);
static const char *llm_token_take(llm_token_t *t, const llm_slice_t *v,
    llm_json_type_t type);
static int llm_token_seconds(const llm_slice_t *v, llm_json_type_t type,
    int64_t *life);
static int llm_token_is_bearer(const llm_slice_t *v, llm_json_type_t type);


void
llm_token_write(llm_out_t *out, const llm_token_ask_t *ask)
{
    void              (*put)(llm_out_t *out, const char *name,
                             const llm_slice_t *value);
    const llm_slice_t   grant = llm_str("client_credentials");

    if (ask->format == LLM_TOKEN_EVOLUTION) {
        llm_out_lit(out, "{");
        llm_token_json_member(out, "\"keyId\":", &ask->id);
        llm_token_json_member(out, ",\"secret\":", &ask->secret);
        llm_out_lit(out, "}");
        return;
    }

    if (ask->format == LLM_TOKEN_JSON) {
        llm_out_lit(out, "{");
        llm_token_json_member(out, "\"grant_type\":", &grant);
        llm_token_json_member(out, ",\"client_id\":", &ask->id);
        llm_token_json_member(out, ",\"client_secret\":", &ask->secret);

        if (ask->scope.n) {
            llm_token_json_member(out, ",\"scope\":", &ask->scope);
        }

        llm_out_lit(out, "}");
        return;
    }

    put = llm_token_form_member;
    put(out, "grant_type=", &grant);
    put(out, "&client_id=", &ask->id);
    put(out, "&client_secret=", &ask->secret);

    if (ask->scope.n) {
        put(out, "&scope=", &ask->scope);
    }
}


static void
llm_token_json_member(llm_out_t *out, const char *name,
    const llm_slice_t *value)
{
    llm_out(out, name, strlen(name));
    llm_out_lit(out, "\"");
    llm_write_escaped(out, value->p, value->n);
    llm_out_lit(out, "\"");
}


/* Everything but RFC 3986's unreserved characters as %XX. */

static void
llm_token_form_member(llm_out_t *out, const char *name,
    const llm_slice_t *value)
{
    size_t  i;
    llm_u8  c, code[3];

    static const char  hex[] = "0123456789ABCDEF";
    static const char  plain[] = "-._~";

    llm_out(out, name, strlen(name));

    for (i = 0; i < value->n; i++) {
        c = value->p[i];

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
            || (c >= 'A' && c <= 'Z') || (c && strchr(plain, c)))
        {
            llm_out(out, &c, 1);
            continue;
        }

        code[0] = '%';
        code[1] = (llm_u8) hex[c >> 4];
        code[2] = (llm_u8) hex[c & 15];
        llm_out(out, code, 3);
    }
}


const char *
llm_token_read(const llm_u8 *p, size_t n, llm_token_t *t)
{
    llm_json_t       json;
    const char      *why;
    llm_slice_t      key, v;
    llm_json_type_t  type;

    t->n = 0;
    t->life = (int64_t) LLM_TOKEN_LIFE * 1000;

    llm_json_init(&json, p, n, 0);

    if (llm_json_next(&json) != LLM_JSON_OBJECT) {
        return "no JSON object in the answer";
    }

    while (llm_json_member(&json, &key, &v, &type)) {
        why = NULL;

        if (llm_json_is(&key, "access_token")) {
            why = llm_token_take(t, &v, type);

        } else if (llm_json_is(&key, "expires_in")) {
            why = llm_token_seconds(&v, type, &t->life)
                  ? NULL : "no valid \"expires_in\" in the answer";

        } else if (llm_json_is(&key, "token_type")) {
            why = llm_token_is_bearer(&v, type)
                  ? NULL : "a token in the answer that is no bearer token";
        }

        if (why) {
            return why;
        }
    }

    if (json.error || llm_json_next(&json) != LLM_JSON_END) {
        return "no valid JSON in the answer";
    }

    return t->n ? NULL : "no \"access_token\" in the answer";
}


static const char *
llm_token_take(llm_token_t *t, const llm_slice_t *v, llm_json_type_t type)
{
    size_t  i;

    if (type != LLM_JSON_STRING || v->n == 0) {
        return "no \"access_token\" in the answer";
    }

    if (v->n > LLM_TOKEN_MAX) {
        return "an \"access_token\" that is too long";
    }

    t->n = llm_json_unescape(t->token, v->p, v->n);

    for (i = 0; i < t->n; i++) {
        if (t->token[i] <= 0x20 || t->token[i] >= 0x7f) {
            return "an \"access_token\" with invalid characters";
        }
    }

    return NULL;
}


/*
 * A number of seconds, or a string of digits; null is as if it was not there.
 * Fractions are kept to the millisecond, what is beyond the limit is the
 * limit.  0: it is no number, or not more than nothing.
 */

static int
llm_token_seconds(const llm_slice_t *v, llm_json_type_t type, int64_t *life)
{
    char    *end, text[64];
    double   seconds;

    if (type == LLM_JSON_NULL) {
        return 1;
    }

    if ((type != LLM_JSON_NUMBER && type != LLM_JSON_STRING)
        || v->n == 0 || v->n >= sizeof(text))
    {
        return 0;
    }

    memcpy(text, v->p, v->n);
    text[v->n] = '\0';

    if (type == LLM_JSON_STRING && strspn(text, "0123456789") != v->n) {
        return 0;
    }

    seconds = strtod(text, &end);

    if (*end != '\0' || !(seconds >= 0.001)) {
        return 0;
    }

    if (seconds > LLM_TOKEN_LIFE_MAX) {
        seconds = LLM_TOKEN_LIFE_MAX;
    }

    *life = (int64_t) (seconds * 1000 + 0.5);

    return 1;
}


static int
llm_token_is_bearer(const llm_slice_t *v, llm_json_type_t type)
{
    size_t  i;

    static const char  word[] = "bearer";

    if (type == LLM_JSON_NULL) {
        return 1;
    }

    if (type != LLM_JSON_STRING || v->n != sizeof(word) - 1) {
        return 0;
    }

    for (i = 0; i < v->n; i++) {
        if ((v->p[i] | 0x20) != (llm_u8) word[i]) {
            return 0;
        }
    }

    return 1;
}
