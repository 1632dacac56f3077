/*
 * Flowise: requests to values.  A body has one question; what was said
 * before is its history, the system prompt and the sampling parameters are
 * in overrideConfig under the names of Flowise's own nodes.  The model is the
 * flow, which is in the path.  No byte of the body is copied.
 */

#include "llm_flowise.h"


/* What is read in the order of an llm_chat_t, not of the body. */
typedef struct {
    llm_slice_t       question;
    llm_slice_t       config;
    llm_slice_t       history;
    llm_slice_t       uploads;
    llm_slice_t       chat;         /* chatId */
    unsigned          asked;        /* question was there */
    unsigned          messages;     /* so far */
} llm_flowise_body_t;

typedef struct {
    llm_slice_t       type;
    llm_slice_t       data;
    llm_slice_t       name;
    llm_slice_t       mime;
} llm_flowise_upload_t;

const llm_flowise_number_t  llm_flowise_numbers[LLM_FLOWISE_NUMBERS] = {
    { "temperature", offsetof(llm_chat_t, temperature) },
    { "maxTokens", offsetof(llm_chat_t, max_tokens) },
    { "topP", offsetof(llm_chat_t, top_p) },
    { "topK", offsetof(llm_chat_t, top_k) },
    { "frequencyPenalty", offsetof(llm_chat_t, frequency) },
    { "presencePenalty", offsetof(llm_chat_t, presence) }
};

#define llm_flowise_slice(c, at)                                            \
    ((llm_slice_t *) (void *) ((char *) (c) + (at)))


/* A number, or a string that holds one, as Flowise's forms send it. */
static int
llm_flowise_is_number(const llm_slice_t *v, llm_json_type_t type)
{
    llm_json_t  j;

    if (type != LLM_JSON_STRING) {
        return type == LLM_JSON_NUMBER;
    }

    llm_json_init(&j, v->p, v->n, 1);

    return llm_json_next(&j) == LLM_JSON_NUMBER
           && llm_json_next(&j) == LLM_JSON_END;
}


static llm_rc_t
llm_flowise_read_system(llm_chat_t *c, llm_flowise_body_t *b,
    const llm_slice_t *text)
{
    llm_part_t  *part;

    part = llm_chat_part(c, LLM_PART_TEXT, LLM_ROLE_SYSTEM, b->messages++);

    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->text = *text;

    return LLM_OK;
}


/* One member of overrideConfig.  LLM_AGAIN: not known. */
static llm_rc_t
llm_flowise_read_config_member(llm_chat_t *c, llm_flowise_body_t *b,
    const llm_slice_t *key, const llm_slice_t *v, llm_json_type_t type)
{
    size_t                       i;
    const llm_flowise_number_t  *number;

    if (type == LLM_JSON_STRING) {

        if (llm_json_is(key, "systemMessage")
            || llm_json_is(key, "systemMessagePrompt"))
        {
            return llm_flowise_read_system(c, b, v);
        }

        if (llm_json_is(key, "sessionId")) {
            c->session = *v;
            return LLM_OK;
        }
    }

    for (i = 0; i < LLM_FLOWISE_NUMBERS; i++) {
        number = &llm_flowise_numbers[i];

        if (llm_json_eq(key, number->name, strlen(number->name))
            && llm_flowise_is_number(v, type))
        {
            *llm_flowise_slice(c, number->at) = *v;
            llm_flowise_slice(c, number->at)->escaped = 0;

            return LLM_OK;
        }
    }

    return LLM_AGAIN;
}


static llm_rc_t
llm_flowise_read_config(llm_chat_t *c, llm_flowise_body_t *b)
{
    llm_rc_t         rc;
    unsigned         other;
    llm_json_t       j;
    llm_slice_t      key, v, name;
    llm_json_type_t  type;

    other = 0;
    llm_json_reopen(&j, &b->config);

    while (llm_json_member(&j, &key, &v, &type)) {
        rc = llm_flowise_read_config_member(c, b, &key, &v, type);

        if (rc == LLM_AGAIN) {
            other = 1;

        } else if (rc != LLM_OK) {
            return rc;
        }
    }

    if (!other) {
        return LLM_OK;
    }

    name = llm_slice("overrideConfig");

    return llm_chat_extra(c, &name, &b->config);
}


/* {"role","content"}, or {"type","message"} as it was. */
static llm_rc_t
llm_flowise_read_message(llm_chat_t *c, llm_flowise_body_t *b, llm_json_t *j)
{
    llm_part_t       *part;
    llm_role_t        role;
    llm_slice_t       key, v, text;
    llm_json_type_t   type;

    role = LLM_ROLE_USER;
    text = llm_slice_null;

    while (llm_json_member(j, &key, &v, &type)) {

        if (type != LLM_JSON_STRING) {
            continue;
        }

        if (llm_json_is(&key, "role") || llm_json_is(&key, "type")) {
            if (llm_json_is(&v, "apiMessage")
                || llm_json_is(&v, "assistant"))
            {
                role = LLM_ROLE_ASSISTANT;
            }

        } else if (llm_json_is(&key, "content")
                   || llm_json_is(&key, "message"))
        {
            text = v;
        }
    }

    if (text.p == NULL) {
        return llm_chat_wrong(c, "history");
    }

    part = llm_chat_part(c, LLM_PART_TEXT, role, b->messages++);

    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->text = text;

    return LLM_OK;
}


static llm_rc_t
llm_flowise_read_history(llm_chat_t *c, llm_flowise_body_t *b)
{
    llm_rc_t    rc;
    llm_json_t  j;

    rc = LLM_OK;
    llm_json_reopen(&j, &b->history);

    while (rc == LLM_OK && llm_json_object(&j)) {
        rc = llm_flowise_read_message(c, b, &j);
    }

    return rc;
}


static int
llm_flowise_begins(const llm_slice_t *s, const char *with)
{
    size_t  n;

    n = strlen(with);

    return s->n >= n && memcmp(s->p, with, n) == 0;
}


/* One upload, raw, as a part of the question. */
static llm_rc_t
llm_flowise_read_upload(llm_chat_t *c, llm_flowise_body_t *b,
    const llm_flowise_upload_t *u, const llm_slice_t *raw)
{
    llm_part_t       *part;
    llm_slice_t       media, data;
    llm_part_type_t   type;

    media = u->mime;
    data = llm_slice_null;

    if (!llm_chat_data_url(&u->data, &media, &data)
        && !llm_flowise_begins(&u->data, "http"))
    {
        type = LLM_PART_OTHER;      /* a file that the flow has already */

    } else if (llm_flowise_begins(&media, "image/")) {
        type = LLM_PART_IMAGE;

    } else if (llm_flowise_begins(&media, "audio/") && data.p != NULL) {
        type = LLM_PART_AUDIO;

    } else {
        type = LLM_PART_FILE;
    }

    part = llm_chat_part(c, type, LLM_ROLE_USER, b->messages);

    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->raw = *raw;
    part->media = media;
    part->data = data;

    if (type == LLM_PART_OTHER) {
        part->name = llm_slice("uploads");

    } else if (data.p == NULL) {
        part->url = u->data;
    }

    if (type == LLM_PART_FILE) {
        part->name = u->name;
    }

    return LLM_OK;
}


static llm_rc_t
llm_flowise_read_uploads(llm_chat_t *c, llm_flowise_body_t *b)
{
    llm_rc_t              rc;
    llm_json_t            j, inner;
    llm_slice_t           raw, key, v;
    llm_json_type_t       type;
    llm_flowise_upload_t  u;

    rc = LLM_OK;
    llm_json_reopen(&j, &b->uploads);

    while (rc == LLM_OK && llm_json_element(&j, &raw, &type)) {

        if (type != LLM_JSON_OBJECT) {
            return llm_chat_wrong(c, "uploads");
        }

        memset(&u, 0, sizeof(llm_flowise_upload_t));
        llm_json_reopen(&inner, &raw);

        while (llm_json_member(&inner, &key, &v, &type)) {

            if (type != LLM_JSON_STRING) {
                continue;
            }

            if (llm_json_is(&key, "data")) {
                u.data = v;

            } else if (llm_json_is(&key, "name")) {
                u.name = v;

            } else if (llm_json_is(&key, "mime")) {
                u.mime = v;
            }
        }

        rc = llm_flowise_read_upload(c, b, &u, &raw);
    }

    return rc;
}


/* true, false, or one of these words as a string. */
static llm_rc_t
llm_flowise_read_streaming(llm_chat_t *c, const llm_slice_t *v,
    llm_json_type_t type)
{
    if (type == LLM_JSON_STRING) {
        c->stream = llm_json_is(v, "true");
        return LLM_OK;
    }

    return llm_chat_read_flag(c, &c->stream, type, "streaming");
}


/* A value of the type that a member must have; null is none. */
static llm_rc_t
llm_flowise_read_value(llm_chat_t *c, llm_slice_t *to, const llm_slice_t *v,
    llm_json_type_t type, llm_json_type_t expected, const char *member)
{
    if (type == expected) {
        *to = *v;
        return LLM_OK;
    }

    return type == LLM_JSON_NULL ? LLM_OK : llm_chat_wrong(c, member);
}


static llm_rc_t
llm_flowise_read_member(llm_chat_t *c, llm_flowise_body_t *b,
    const llm_slice_t *key, const llm_slice_t *v, llm_json_type_t type)
{
    if (llm_json_is(key, "question")) {
        b->asked = type == LLM_JSON_STRING;

        return llm_chat_read_string(c, &b->question, type, v, "question");
    }

    if (llm_json_is(key, "streaming")) {
        return llm_flowise_read_streaming(c, v, type);
    }

    if (llm_json_is(key, "overrideConfig")) {
        return llm_flowise_read_value(c, &b->config, v, type,
                                      LLM_JSON_OBJECT, "overrideConfig");
    }

    if (llm_json_is(key, "history")) {
        return llm_flowise_read_value(c, &b->history, v, type,
                                      LLM_JSON_ARRAY, "history");
    }

    if (llm_json_is(key, "uploads")) {
        return llm_flowise_read_value(c, &b->uploads, v, type,
                                      LLM_JSON_ARRAY, "uploads");
    }

    if (llm_json_is(key, "chatId")) {
        return llm_chat_read_string(c, &b->chat, type, v, "chatId");
    }

    /* the SDK says the flow here as well as in the path */

    if (llm_json_is(key, "chatflowId") && type == LLM_JSON_STRING) {
        c->model = *v;
        return LLM_OK;
    }

    return llm_chat_extra(c, key, v);
}


/* Puts what was found in the order of an llm_chat_t. */
static llm_rc_t
llm_flowise_read_order(llm_chat_t *c, llm_flowise_body_t *b)
{
    llm_rc_t     rc;
    llm_part_t  *part;

    rc = b->config.p != NULL ? llm_flowise_read_config(c, b) : LLM_OK;

    if (rc == LLM_OK && b->history.p != NULL) {
        rc = llm_flowise_read_history(c, b);
    }

    if (rc == LLM_OK && b->uploads.p != NULL) {
        rc = llm_flowise_read_uploads(c, b);
    }

    if (rc != LLM_OK) {
        return rc;
    }

    part = llm_chat_part(c, LLM_PART_TEXT, LLM_ROLE_USER, b->messages);

    if (part == NULL) {
        return LLM_NOMEM;
    }

    part->text = b->question;

    if (c->session.p == NULL) {
        c->session = b->chat;
    }

    return LLM_OK;
}


llm_rc_t
llm_flowise_read_chat(llm_chat_t *c, const llm_u8 *body, size_t n)
{
    llm_rc_t            rc;
    llm_json_t          j;
    llm_slice_t         key, v;
    llm_json_type_t     type;
    llm_flowise_body_t  b;

    memset(&b, 0, sizeof(llm_flowise_body_t));
    llm_json_init(&j, body, n, c->max_depth);

    if (llm_json_next(&j) != LLM_JSON_OBJECT) {
        return j.error == LLM_TOO_DEEP ? LLM_TOO_DEEP : LLM_INVALID;
    }

    while (llm_json_member(&j, &key, &v, &type)) {
        rc = llm_flowise_read_member(c, &b, &key, &v, type);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    if (llm_json_next(&j) != LLM_JSON_END) {
        return j.error == LLM_TOO_DEEP ? LLM_TOO_DEEP : LLM_INVALID;
    }

    return b.asked ? llm_flowise_read_order(c, &b)
                   : llm_chat_wrong(c, "question");
}
