/*
 * Gemini: where things lie in a GenerateContentResponse.  One pass over its
 * JSON that validates all of it and remembers slices; nothing is emitted,
 * copied or allocated here.
 */

#include "llm_gemini.h"


#define llm_gemini_same(p, lit)  (memcmp(p, lit, sizeof(lit) - 1) == 0)

/* names that are rare; all names, for those that are written with escapes or
 * in snake_case */
static const struct {
    const char        *name;
    llm_gemini_key_t   key;
} llm_gemini_names[] = {
    { "candidates", LLM_GEMINI_CANDIDATES },
    { "content", LLM_GEMINI_CONTENT },
    { "parts", LLM_GEMINI_PARTS },
    { "text", LLM_GEMINI_TEXT },
    { "thought", LLM_GEMINI_THOUGHT },
    { "index", LLM_GEMINI_INDEX },
    { "error", LLM_GEMINI_ERROR },
    { "usageMetadata", LLM_GEMINI_USAGE },
    { "modelVersion", LLM_GEMINI_MODEL },
    { "responseId", LLM_GEMINI_ID },
    { "createTime", LLM_GEMINI_CREATED },
    { "promptFeedback", LLM_GEMINI_FEEDBACK },
    { "finishReason", LLM_GEMINI_FINISH },
    { "groundingMetadata", LLM_GEMINI_GROUNDING },
    { "citationMetadata", LLM_GEMINI_CITATION },
    { "logprobsResult", LLM_GEMINI_LOGPROBS },
    { "thoughtSignature", LLM_GEMINI_SIGNATURE },
    { "functionCall", LLM_GEMINI_CALL },
    { "executableCode", LLM_GEMINI_EXTRA },
    { "codeExecutionResult", LLM_GEMINI_EXTRA },
    { "inlineData", LLM_GEMINI_EXTRA },
    { "fileData", LLM_GEMINI_EXTRA },
    { "toolCall", LLM_GEMINI_EXTRA },
    { "toolResponse", LLM_GEMINI_EXTRA },
    { "promptTokenCount", LLM_GEMINI_PROMPT },
    { "candidatesTokenCount", LLM_GEMINI_OUTPUT },
    { "thoughtsTokenCount", LLM_GEMINI_THOUGHTS },
    { "toolUsePromptTokenCount", LLM_GEMINI_TOOL_USE },
    { "cachedContentTokenCount", LLM_GEMINI_CACHED },
    { "totalTokenCount", LLM_GEMINI_TOTAL }
};


int
llm_gemini_is(const llm_slice_t *tok, const char *name)
{
    llm_u8         buf[LLM_GEMINI_NAME * 6];
    const llm_u8  *p, *end;

    p = tok->p;
    end = p + tok->n;

    if (tok->escaped && memchr(p, '\\', tok->n) != NULL) {
        if (tok->n > sizeof(buf)) {
            return 0;
        }

        end = buf + llm_json_unescape(buf, p, tok->n);
        p = buf;
    }

    for ( /* void */ ; *name != '\0'; name++) {

        if (p < end && *p == (llm_u8) *name) {
            p++;
            continue;
        }

        if (*name < 'A' || *name > 'Z' || end - p < 2 || *p != '_'
            || p[1] != (*name | 0x20))
        {
            return 0;
        }

        p += 2;
    }

    return p == end;
}


/* What is not among the usual names. */
static llm_gemini_key_t
llm_gemini_rare(const llm_slice_t *tok)
{
    size_t  i;

    for (i = 0; i < sizeof(llm_gemini_names) / sizeof(llm_gemini_names[0]);
         i++)
    {
        if (llm_gemini_is(tok, llm_gemini_names[i].name)) {
            return llm_gemini_names[i].key;
        }
    }

    return LLM_GEMINI_OTHER;
}


/* The names of a usual chunk, by their length. */
static inline llm_gemini_key_t
llm_gemini_key(const llm_slice_t *tok)
{
    const llm_u8  *p;

    if (tok->escaped) {
        return llm_gemini_rare(tok);
    }

    p = tok->p;

    switch (tok->n) {

    case 4:
        return llm_gemini_same(p, "text") ? LLM_GEMINI_TEXT
                                          : LLM_GEMINI_OTHER;

    case 5:
        return llm_gemini_same(p, "index") ? LLM_GEMINI_INDEX
               : llm_gemini_same(p, "parts") ? LLM_GEMINI_PARTS
               : llm_gemini_same(p, "error") ? LLM_GEMINI_ERROR
               : LLM_GEMINI_OTHER;

    case 7:
        return llm_gemini_same(p, "content") ? LLM_GEMINI_CONTENT
               : llm_gemini_same(p, "thought") ? LLM_GEMINI_THOUGHT
               : LLM_GEMINI_OTHER;

    case 10:
        if (llm_gemini_same(p, "candidates")) {
            return LLM_GEMINI_CANDIDATES;
        }

        return llm_gemini_same(p, "responseId") ? LLM_GEMINI_ID
                                                : llm_gemini_rare(tok);

    case 12:
        if (llm_gemini_same(p, "modelVersion")) {
            return LLM_GEMINI_MODEL;
        }

        return llm_gemini_rare(tok);

    case 13:
        if (llm_gemini_same(p, "usageMetadata")) {
            return LLM_GEMINI_USAGE;
        }

        return llm_gemini_rare(tok);

    case 15:
        return llm_gemini_same(p, "totalTokenCount") ? LLM_GEMINI_TOTAL
                                                     : llm_gemini_rare(tok);

    case 16:
        return llm_gemini_same(p, "promptTokenCount") ? LLM_GEMINI_PROMPT
                                                      : llm_gemini_rare(tok);

    case 18:
        return llm_gemini_same(p, "thoughtsTokenCount")
               ? LLM_GEMINI_THOUGHTS : llm_gemini_rare(tok);

    case 20:
        return llm_gemini_same(p, "candidatesTokenCount")
               ? LLM_GEMINI_OUTPUT : llm_gemini_rare(tok);

    /* seen in nearly each chunk, of no use here */

    case 11:
        if (llm_gemini_same(p, "serviceTier")
            || llm_gemini_same(p, "trafficType"))
        {
            return LLM_GEMINI_OTHER;
        }

        return llm_gemini_rare(tok);

    case 19:
        if (llm_gemini_same(p, "promptTokensDetails")) {
            return LLM_GEMINI_OTHER;
        }

        return llm_gemini_rare(tok);

    default:
        return tok->n < 8 ? LLM_GEMINI_OTHER : llm_gemini_rare(tok);
    }
}


int
llm_gemini_part(llm_json_t *j, llm_gemini_part_t *part)
{
    llm_slice_t       v, name;
    llm_json_type_t   type;
    llm_gemini_key_t  key;

    while ((type = llm_json_next(j)) == LLM_JSON_KEY) {
        name = j->tok;
        name.escaped = 1;
        key = llm_gemini_key(&j->tok);
        type = llm_json_value(j, &v);

        if (key == LLM_GEMINI_TEXT) {
            if (type == LLM_JSON_STRING) {
                part->text = v;
            }

        } else if (key == LLM_GEMINI_THOUGHT) {
            part->thought = type == LLM_JSON_TRUE;

        } else if (key == LLM_GEMINI_SIGNATURE) {
            if (type == LLM_JSON_STRING && v.n != 0) {
                part->signature = v;
            }

        } else if (type != LLM_JSON_OBJECT) {
            continue;

        } else if (key == LLM_GEMINI_CALL) {
            part->call = v;

        } else if (key == LLM_GEMINI_EXTRA) {
            part->name = name;
            part->value = v;
        }
    }

    return type == LLM_JSON_OBJECT_END;
}


/* The list of parts: the first is read at once, the others are validated
 * and read again later. */
static int
llm_gemini_parts(llm_json_t *j, llm_gemini_candidate_t *cd)
{
    unsigned       n;
    llm_slice_t    v;
    const llm_u8  *start;

    start = j->start;

    for (n = 0; llm_json_object(j); n++) {
        if (n == 0) {
            if (!llm_gemini_part(j, &cd->first)) {
                return 0;
            }

        } else if (llm_json_skip_rest(j, &v) == LLM_JSON_ERROR) {
            return 0;
        }
    }

    cd->parts.p = start;
    cd->parts.n = (size_t) (j->p - start);
    cd->parts.escaped = 0;
    cd->nparts = n;

    return 1;
}


/* A content; j stands behind its brace. */
static int
llm_gemini_content(llm_json_t *j, llm_gemini_candidate_t *cd)
{
    llm_slice_t       v;
    llm_json_type_t   type;
    llm_gemini_key_t  key;

    while ((type = llm_json_next(j)) == LLM_JSON_KEY) {
        key = llm_gemini_key(&j->tok);

        if (key != LLM_GEMINI_PARTS) {
            (void) llm_json_value(j, &v);
            continue;
        }

        type = llm_json_next(j);

        if (type == LLM_JSON_ARRAY) {
            memset(&cd->first, 0, sizeof(llm_gemini_part_t));

            if (!llm_gemini_parts(j, cd)) {
                return 0;
            }

        } else if (type == LLM_JSON_OBJECT) {
            (void) llm_json_skip_rest(j, &v);
        }
    }

    return type == LLM_JSON_OBJECT_END;
}


static void
llm_gemini_candidate_member(llm_gemini_candidate_t *cd, llm_gemini_key_t key,
    llm_json_type_t type, const llm_slice_t *v)
{
    int64_t  index;

    switch (key) {

    case LLM_GEMINI_INDEX:
        index = type == LLM_JSON_NUMBER ? llm_json_uint(v) : -1;

        if (index >= 0 && index < LLM_GEMINI_CHOICES) {
            cd->index = (unsigned) index;
            cd->has_index = 1;
        }

        break;

    case LLM_GEMINI_FINISH:
        if (type == LLM_JSON_STRING
            && !llm_json_is(v, "FINISH_REASON_UNSPECIFIED"))
        {
            cd->finish = *v;
        }

        break;

    case LLM_GEMINI_GROUNDING:
        if (type == LLM_JSON_OBJECT && v->n > 2) {
            cd->grounding = *v;
        }

        break;

    case LLM_GEMINI_CITATION:
        if (type == LLM_JSON_OBJECT) {
            cd->citation = *v;
        }

        break;

    case LLM_GEMINI_LOGPROBS:
        if (type == LLM_JSON_OBJECT) {
            cd->logprobs = *v;
        }

        break;

    default:
        break;
    }
}


int
llm_gemini_candidate(llm_json_t *j, llm_gemini_candidate_t *cd)
{
    llm_slice_t       v;
    llm_json_type_t   type;
    llm_gemini_key_t  key;

    while ((type = llm_json_next(j)) == LLM_JSON_KEY) {
        key = llm_gemini_key(&j->tok);

        if (key != LLM_GEMINI_CONTENT) {
            type = llm_json_value(j, &v);
            llm_gemini_candidate_member(cd, key, type, &v);
            continue;
        }

        type = llm_json_next(j);

        if (type == LLM_JSON_OBJECT) {
            if (!llm_gemini_content(j, cd)) {
                return 0;
            }

        } else if (type == LLM_JSON_ARRAY) {
            (void) llm_json_skip_rest(j, &v);
        }
    }

    return type == LLM_JSON_OBJECT_END;
}


/* The value of candidates, as llm_gemini_parts(). */
static int
llm_gemini_candidates(llm_gemini_chunk_t *c)
{
    unsigned          n;
    llm_json_t       *j;
    llm_slice_t       v;
    const llm_u8     *start;
    llm_json_type_t   type;

    j = &c->json;
    type = llm_json_next(j);
    start = j->start;

    if (type != LLM_JSON_ARRAY) {
        return type != LLM_JSON_OBJECT
               || llm_json_skip_rest(j, &v) != LLM_JSON_ERROR;
    }

    memset(&c->first, 0, sizeof(llm_gemini_candidate_t));

    for (n = 0; llm_json_object(j); n++) {
        if (n == 0) {
            if (!llm_gemini_candidate(j, &c->first)) {
                return 0;
            }

        } else if (llm_json_skip_rest(j, &v) == LLM_JSON_ERROR) {
            return 0;
        }
    }

    c->candidates.p = start;
    c->candidates.n = (size_t) (j->p - start);
    c->frame->choices = n;

    return 1;
}


/* The sum of two counts; one that was not said is nothing. */
static int64_t
llm_gemini_sum(int64_t a, int64_t b)
{
    if (a < 0 || b < 0) {
        return a < 0 ? b : a;
    }

    return a <= INT64_MAX - b ? a + b : -1;
}


/*
 * The prompt of Google's own tools is input beside the prompt, thoughts are
 * output beside the candidates'.
 */
int
llm_gemini_usage(llm_usage_t *u, const llm_gemini_counts_t *counts)
{
    const int64_t  *n;

    n = counts->n;
    *u = llm_usage_none;

    if (n[LLM_GEMINI_N_PROMPT] >= 0) {
        u->input = llm_gemini_sum(n[LLM_GEMINI_N_PROMPT],
                                  n[LLM_GEMINI_N_TOOL_USE]);
    }

    u->output = llm_gemini_sum(n[LLM_GEMINI_N_OUTPUT],
                               n[LLM_GEMINI_N_THOUGHTS]);
    u->reasoning = n[LLM_GEMINI_N_THOUGHTS];
    u->cached = n[LLM_GEMINI_N_CACHED];
    u->total = n[LLM_GEMINI_N_TOTAL];

    return u->input >= 0 || u->output >= 0 || u->total >= 0;
}


/* usageMetadata: the counts so far. */
static int
llm_gemini_read_usage(llm_gemini_chunk_t *c)
{
    unsigned          i, at;
    llm_json_t       *j;
    llm_slice_t       v;
    llm_json_type_t   type;
    llm_gemini_key_t  key;

    j = &c->json;
    type = llm_json_next(j);

    if (type != LLM_JSON_OBJECT) {
        return type != LLM_JSON_ARRAY
               || llm_json_skip_rest(j, &v) != LLM_JSON_ERROR;
    }

    c->ncounts = 0;

    for (i = 0; i < LLM_GEMINI_N; i++) {
        c->counts.n[i] = -1;
    }

    while ((type = llm_json_next(j)) == LLM_JSON_KEY) {
        key = llm_gemini_key(&j->tok);

        if (llm_json_value(j, &v) != LLM_JSON_NUMBER
            || key < LLM_GEMINI_PROMPT)
        {
            continue;
        }

        at = key - LLM_GEMINI_PROMPT;
        c->counts.n[at] = llm_json_uint(&v);

        if (c->ncounts < LLM_REPEAT_COUNTS) {
            c->count[c->ncounts] = v;
            c->which[c->ncounts] = at;
        }

        c->ncounts++;
    }

    c->usage_said = llm_gemini_usage(&c->usage, &c->counts);

    return type == LLM_JSON_OBJECT_END;
}


static void
llm_gemini_chunk_member(llm_gemini_chunk_t *c, llm_gemini_key_t key,
    llm_json_type_t type, const llm_slice_t *v)
{
    if (key == LLM_GEMINI_ERROR) {
        if (type == LLM_JSON_OBJECT
            || (type == LLM_JSON_STRING && v->n != 0))
        {
            c->error = *v;
        }

    } else if (key == LLM_GEMINI_FEEDBACK) {
        if (type == LLM_JSON_OBJECT) {
            c->feedback = *v;
        }

    } else if (type != LLM_JSON_STRING) {
        return;

    } else if (key == LLM_GEMINI_MODEL) {
        c->model = *v;

    } else if (key == LLM_GEMINI_ID) {
        c->id = *v;

    } else if (key == LLM_GEMINI_CREATED) {
        c->created = *v;
    }
}


int
llm_gemini_scan(llm_gemini_chunk_t *c)
{
    llm_json_t       *j;
    llm_slice_t       v;
    llm_json_type_t   type;
    llm_gemini_key_t  key;

    j = &c->json;

    if (llm_json_next(j) != LLM_JSON_OBJECT) {
        return 0;
    }

    while (llm_json_next(j) == LLM_JSON_KEY) {
        key = llm_gemini_key(&j->tok);

        if (key == LLM_GEMINI_CANDIDATES) {
            if (!llm_gemini_candidates(c)) {
                return 0;
            }

        } else if (key == LLM_GEMINI_USAGE) {
            if (!llm_gemini_read_usage(c)) {
                return 0;
            }

        } else {
            type = llm_json_value(j, &v);

            if (key != LLM_GEMINI_OTHER) {
                llm_gemini_chunk_member(c, key, type, &v);
            }
        }
    }

    return llm_json_next(j) == LLM_JSON_END;
}


/* The number of n digits at p, or -1. */
static int64_t
llm_gemini_digits(const llm_u8 *p, size_t n)
{
    size_t   i;
    int64_t  v;

    v = 0;

    for (i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return -1;
        }

        v = v * 10 + (p[i] - '0');
    }

    return v;
}


int64_t
llm_gemini_time(const llm_slice_t *v)
{
    int64_t        year, month, day, hour, minute, second, era;
    const llm_u8  *p;

    p = v->p;

    if (v->n < 20 || p[v->n - 1] != 'Z') {
        return -1;
    }

    year = llm_gemini_digits(p, 4);
    month = llm_gemini_digits(p + 5, 2);
    day = llm_gemini_digits(p + 8, 2);
    hour = llm_gemini_digits(p + 11, 2);
    minute = llm_gemini_digits(p + 14, 2);
    second = llm_gemini_digits(p + 17, 2);

    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31
        || hour < 0 || minute < 0 || second < 0)
    {
        return -1;
    }

    /* days from the civil date, in years that begin in March */

    year -= month <= 2;
    month = month > 2 ? month - 3 : month + 9;
    era = year / 400;
    year -= era * 400;

    day += era * 146097 + year * 365 + year / 4 - year / 100
           + (153 * month + 2) / 5 - 1 - 719468;

    return ((day * 24 + hour) * 60 + minute) * 60 + second;
}
