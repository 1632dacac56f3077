/*
 * A request as a value: its lists, and what the readers of all dialects
 * share.  It must never copy a string of the client's body.
 */

#include "llm_chat.h"


/* bytes between "data:" and the comma of a data URL, at most */
#define LLM_CHAT_MEDIA_MAX  (LLM_CHAT_MEDIA + 55)


void
llm_chat_init(llm_chat_t *c, const llm_alloc_t *a, unsigned max_depth)
{
    memset(c, 0, sizeof(llm_chat_t));

    c->alloc = *a;
    c->max_depth = max_depth;

    c->stream = -1;
    c->include_usage = -1;
    c->logprobs = -1;
    c->parallel_tools = -1;
    c->thoughts = -1;
    c->schema_strict = -1;
}


static void
llm_chat_free_copies(llm_chat_t *c)
{
    size_t        i;
    llm_block_t  *copy;

    copy = (llm_block_t *) (void *) c->copies.p;

    for (i = 0; i < c->copies.n / sizeof(llm_block_t); i++) {
        llm_block_free(&copy[i], &c->alloc);
    }

    llm_block_free(&c->copies, &c->alloc);
}


void
llm_chat_free(llm_chat_t *c)
{
    llm_block_free(&c->stops, &c->alloc);
    llm_block_free(&c->parts, &c->alloc);
    llm_block_free(&c->tools, &c->alloc);
    llm_block_free(&c->extras, &c->alloc);
    llm_chat_free_copies(c);
}


/* A new, zeroed element of n bytes at the end of a list. */
static void *
llm_chat_push(llm_chat_t *c, llm_block_t *list, size_t n)
{
    void  *p;

    if (llm_block_reserve(list, &c->alloc, n) != LLM_OK) {
        return NULL;
    }

    p = list->p + list->n;
    list->n += n;
    memset(p, 0, n);

    return p;
}


llm_part_t *
llm_chat_part(llm_chat_t *c, llm_part_type_t type, llm_role_t role,
    unsigned message)
{
    llm_part_t  *part;

    part = llm_chat_push(c, &c->parts, sizeof(llm_part_t));

    if (part != NULL) {
        part->type = type;
        part->role = role;
        part->message = message;
    }

    return part;
}


llm_tool_t *
llm_chat_tool(llm_chat_t *c)
{
    llm_tool_t  *tool;

    tool = llm_chat_push(c, &c->tools, sizeof(llm_tool_t));

    if (tool != NULL) {
        tool->strict = -1;
    }

    return tool;
}


llm_rc_t
llm_chat_stop(llm_chat_t *c, const llm_slice_t *s)
{
    return llm_block_append(&c->stops, &c->alloc, s, sizeof(llm_slice_t));
}


llm_rc_t
llm_chat_extra(llm_chat_t *c, const llm_slice_t *name, const llm_slice_t *v)
{
    llm_extra_t  extra;

    extra.name = *name;
    extra.raw = *v;
    extra.meaning = 0;

    if (v->escaped) {
        extra.raw.p--;
        extra.raw.n += 2;
        extra.raw.escaped = 0;
    }

    return llm_block_append(&c->extras, &c->alloc, &extra, sizeof(extra));
}


const llm_extra_t *
llm_chat_find_extra(const llm_chat_t *c, const char *name)
{
    size_t              i;
    const llm_extra_t  *e;

    e = llm_chat_extras(c);

    for (i = llm_chat_nextras(c); i != 0; i--) {
        if (llm_json_eq(&e[i - 1].name, name, strlen(name))) {
            return &e[i - 1];
        }
    }

    return NULL;
}


/* Room for n bytes that lives as long as c. */
static llm_block_t *
llm_chat_room(llm_chat_t *c, size_t n)
{
    llm_block_t  *copy;

    copy = llm_chat_push(c, &c->copies, sizeof(llm_block_t));

    if (copy == NULL || llm_block_reserve(copy, &c->alloc, n) != LLM_OK) {
        return NULL;
    }

    return copy;
}


llm_u8 *
llm_chat_copy(llm_chat_t *c, const llm_u8 *p, size_t n)
{
    llm_block_t  *copy;

    copy = llm_chat_room(c, n + 1);

    if (copy == NULL) {
        return NULL;
    }

    if (n != 0) {
        memcpy(copy->p, p, n);
    }

    copy->n = n;

    return copy->p;
}


static llm_rc_t
llm_chat_full(llm_out_t *out)
{
    (void) out;

    return LLM_TOO_BIG;
}


/* Bytes that the escaper of llm_write.h makes of n bytes, at most. */
static size_t
llm_chat_quoted(const llm_u8 *p, size_t n)
{
    size_t  i, more;

    more = 0;

    for (i = 0; i < n; i++) {
        more += p[i] == '"' || p[i] == '\\' ? 1
                : p[i] < 0x20 || p[i] >= 0x7f ? 5 : 0;
    }

    return n + more;
}


llm_rc_t
llm_chat_quote(llm_chat_t *c, const llm_slice_t *raw, llm_slice_t *text)
{
    size_t        n;
    llm_out_t     out;
    llm_block_t  *copy;

    n = llm_chat_quoted(raw->p, raw->n);
    copy = llm_chat_room(c, n + 1);

    if (copy == NULL) {
        return LLM_NOMEM;
    }

    out.pos = copy->p;
    out.end = copy->p + n + 1;
    out.more = llm_chat_full;
    out.ctx = NULL;
    out.failed = 0;

    llm_write_escaped(&out, raw->p, raw->n);

    copy->n = (size_t) (out.pos - copy->p);
    *text = (llm_slice_t) { copy->p, copy->n, 1 };

    return LLM_OK;
}


llm_rc_t
llm_chat_wrong(llm_chat_t *c, const char *member)
{
    if (c->member == NULL) {
        c->member = member;
    }

    return LLM_INVALID;
}


llm_rc_t
llm_chat_read_number(llm_chat_t *c, llm_slice_t *to, llm_json_type_t type,
    const llm_slice_t *v, const char *member)
{
    if (type == LLM_JSON_NUMBER) {
        *to = *v;
        return LLM_OK;
    }

    *to = llm_slice_null;

    return type == LLM_JSON_NULL ? LLM_OK : llm_chat_wrong(c, member);
}


llm_rc_t
llm_chat_read_string(llm_chat_t *c, llm_slice_t *to, llm_json_type_t type,
    const llm_slice_t *v, const char *member)
{
    if (type == LLM_JSON_STRING) {
        *to = *v;
        return LLM_OK;
    }

    *to = llm_slice_null;

    return type == LLM_JSON_NULL ? LLM_OK : llm_chat_wrong(c, member);
}


llm_rc_t
llm_chat_read_flag(llm_chat_t *c, int *to, llm_json_type_t type,
    const char *member)
{
    if (type == LLM_JSON_TRUE || type == LLM_JSON_FALSE) {
        *to = type == LLM_JSON_TRUE;
        return LLM_OK;
    }

    *to = -1;

    return type == LLM_JSON_NULL ? LLM_OK : llm_chat_wrong(c, member);
}


llm_rc_t
llm_chat_read_stops(llm_chat_t *c, llm_json_type_t type,
    const llm_slice_t *v, const char *member)
{
    llm_rc_t         rc;
    llm_json_t       j;
    llm_slice_t      s;
    llm_json_type_t  inside;

    c->stops.n = 0;

    if (type == LLM_JSON_NULL) {
        return LLM_OK;
    }

    if (type == LLM_JSON_STRING) {
        return llm_chat_stop(c, v);
    }

    if (type != LLM_JSON_ARRAY) {
        return llm_chat_wrong(c, member);
    }

    llm_json_reopen(&j, v);

    while (llm_json_element(&j, &s, &inside)) {
        if (inside != LLM_JSON_STRING) {
            return llm_chat_wrong(c, member);
        }

        rc = llm_chat_stop(c, &s);
        if (rc != LLM_OK) {
            return rc;
        }
    }

    return LLM_OK;
}


/* Compares bytes with lower-case letters, digits and signs. */
static int
llm_chat_like(const llm_u8 *p, const char *lower, size_t n)
{
    size_t  i;
    llm_u8  ch;

    for (i = 0; i < n; i++) {
        ch = p[i];

        if (ch >= 'A' && ch <= 'Z') {
            ch |= 0x20;
        }

        if (ch != (llm_u8) lower[i]) {
            return 0;
        }
    }

    return 1;
}


int
llm_chat_data_url(const llm_slice_t *url, llm_slice_t *media,
    llm_slice_t *data)
{
    size_t         n;
    const llm_u8  *p, *comma, *semi;

    if (url->n < 5 || !llm_chat_like(url->p, "data:", 5)) {
        return 0;
    }

    p = url->p + 5;
    n = url->n - 5;

    if (n > LLM_CHAT_MEDIA_MAX) {
        n = LLM_CHAT_MEDIA_MAX;
    }

    comma = n != 0 ? memchr(p, ',', n) : NULL;

    if (comma == NULL || comma - p < 7
        || !llm_chat_like(comma - 7, ";base64", 7))
    {
        return 0;
    }

    /* parameters such as charset= are of no use to any provider */

    semi = memchr(p, ';', (size_t) (comma - p));

    *media = *url;
    media->p = p;
    media->n = (size_t) (semi - p);

    if (media->n == 0) {
        *media = llm_slice("text/plain");
    }

    *data = *url;
    data->p = comma + 1;
    data->n = (size_t) (url->p + url->n - data->p);

    return 1;
}


static const llm_slice_t  llm_efforts[] = {
    { NULL, 0, 0 },
    { (const llm_u8 *) "none", 4, 0 },
    { (const llm_u8 *) "minimal", 7, 0 },
    { (const llm_u8 *) "low", 3, 0 },
    { (const llm_u8 *) "medium", 6, 0 },
    { (const llm_u8 *) "high", 4, 0 },
    { (const llm_u8 *) "xhigh", 5, 0 },
    { (const llm_u8 *) "max", 3, 0 },
    { NULL, 0, 0 }
};


llm_slice_t
llm_effort_word(llm_effort_t effort)
{
    return llm_efforts[effort];
}


llm_effort_t
llm_effort_find(const llm_slice_t *word)
{
    unsigned  i;

    for (i = LLM_EFFORT_NONE; i <= LLM_EFFORT_MAX; i++) {
        if (llm_json_eq(word, (const char *) llm_efforts[i].p,
                        llm_efforts[i].n))
        {
            return (llm_effort_t) i;
        }
    }

    return LLM_EFFORT_UNSAID;
}


int64_t
llm_effort_budget(llm_effort_t effort)
{
    switch (effort) {

    case LLM_EFFORT_NONE:
        return 0;

    case LLM_EFFORT_MINIMAL: case LLM_EFFORT_LOW:
        return 1024;

    case LLM_EFFORT_MEDIUM:
        return 8192;

    case LLM_EFFORT_HIGH:
        return 24576;

    case LLM_EFFORT_XHIGH: case LLM_EFFORT_MAX:
        return 32768;

    default:
        return -1;
    }
}


llm_effort_t
llm_effort_of_budget(const llm_slice_t *budget)
{
    int64_t  n;

    if (budget->p == NULL) {
        return LLM_EFFORT_UNSAID;
    }

    n = llm_json_uint(budget);

    return n < 0 ? LLM_EFFORT_AUTO
           : n == 0 ? LLM_EFFORT_NONE
           : n <= 1024 ? LLM_EFFORT_LOW
           : n <= 8192 ? LLM_EFFORT_MEDIUM : LLM_EFFORT_HIGH;
}


llm_effort_t
llm_chat_effort(const llm_chat_t *c)
{
    return c->effort != LLM_EFFORT_UNSAID
           ? c->effort : llm_effort_of_budget(&c->budget);
}
