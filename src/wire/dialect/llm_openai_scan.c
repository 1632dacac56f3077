/*
 * OpenAI chat completions: where things lie in a chunk.  One pass over its
 * JSON that validates all of it and remembers slices; nothing is emitted,
 * copied or allocated here.
 */

#include "llm_openai.h"


typedef enum {
    LLM_OPENAI_OTHER = 0,
    LLM_OPENAI_ID,
    LLM_OPENAI_MODEL,
    LLM_OPENAI_CREATED,
    LLM_OPENAI_OBJECT,
    LLM_OPENAI_CHOICES,
    LLM_OPENAI_USAGE,
    LLM_OPENAI_GROQ,
    LLM_OPENAI_ERROR,
    LLM_OPENAI_INDEX,
    LLM_OPENAI_DELTA,
    LLM_OPENAI_MESSAGE,
    LLM_OPENAI_LOGPROBS,
    LLM_OPENAI_FINISH,
    LLM_OPENAI_TEXT,
    LLM_OPENAI_CONTENT,
    LLM_OPENAI_REASONING,
    LLM_OPENAI_REFUSAL,
    LLM_OPENAI_DETAILS,
    LLM_OPENAI_NOTES,
    LLM_OPENAI_TOOLS,
    LLM_OPENAI_CALL
} llm_openai_key_t;


#define llm_openai_same(p, lit)  (memcmp(p, lit, sizeof(lit) - 1) == 0)


static llm_openai_key_t
llm_openai_key(const llm_u8 *p, size_t n)
{
    switch (n) {

    case 2:
        return llm_openai_same(p, "id") ? LLM_OPENAI_ID : LLM_OPENAI_OTHER;

    case 4:
        return llm_openai_same(p, "text") ? LLM_OPENAI_TEXT
                                          : LLM_OPENAI_OTHER;

    case 5:
        return llm_openai_same(p, "index") ? LLM_OPENAI_INDEX
               : llm_openai_same(p, "delta") ? LLM_OPENAI_DELTA
               : llm_openai_same(p, "model") ? LLM_OPENAI_MODEL
               : llm_openai_same(p, "usage") ? LLM_OPENAI_USAGE
               : llm_openai_same(p, "error") ? LLM_OPENAI_ERROR
               : LLM_OPENAI_OTHER;

    case 6:
        return llm_openai_same(p, "object") ? LLM_OPENAI_OBJECT
               : llm_openai_same(p, "x_groq") ? LLM_OPENAI_GROQ
               : LLM_OPENAI_OTHER;

    case 7:
        return llm_openai_same(p, "choices") ? LLM_OPENAI_CHOICES
               : llm_openai_same(p, "content") ? LLM_OPENAI_CONTENT
               : llm_openai_same(p, "created") ? LLM_OPENAI_CREATED
               : llm_openai_same(p, "refusal") ? LLM_OPENAI_REFUSAL
               : llm_openai_same(p, "message") ? LLM_OPENAI_MESSAGE
               : LLM_OPENAI_OTHER;

    case 8:
        return llm_openai_same(p, "logprobs") ? LLM_OPENAI_LOGPROBS
                                              : LLM_OPENAI_OTHER;

    case 9:
        return llm_openai_same(p, "reasoning") ? LLM_OPENAI_REASONING
                                               : LLM_OPENAI_OTHER;

    case 10:
        return llm_openai_same(p, "tool_calls") ? LLM_OPENAI_TOOLS
                                                : LLM_OPENAI_OTHER;

    case 11:
        return llm_openai_same(p, "annotations") ? LLM_OPENAI_NOTES
                                                 : LLM_OPENAI_OTHER;

    case 13:
        return llm_openai_same(p, "finish_reason") ? LLM_OPENAI_FINISH
               : llm_openai_same(p, "function_call") ? LLM_OPENAI_CALL
               : LLM_OPENAI_OTHER;

    case 17:
        return llm_openai_same(p, "reasoning_content") ? LLM_OPENAI_REASONING
               : llm_openai_same(p, "reasoning_details")
                 ? LLM_OPENAI_DETAILS
               : LLM_OPENAI_OTHER;

    default:
        return LLM_OPENAI_OTHER;
    }
}


/* The same for a name that is written with escapes. */
static llm_openai_key_t
llm_openai_escaped_key(const llm_slice_t *tok)
{
    llm_u8  buf[LLM_OPENAI_NAME * 6];

    if (tok->n > sizeof(buf)) {
        return LLM_OPENAI_OTHER;
    }

    return llm_openai_key(buf, llm_json_unescape(buf, tok->p, tok->n));
}


static inline llm_openai_key_t
llm_openai_name(const llm_slice_t *tok)
{
    return tok->escaped ? llm_openai_escaped_key(tok)
                        : llm_openai_key(tok->p, tok->n);
}


/* The members of a delta or a message; j stands behind its brace.  0 when
 * it is not valid. */
static int
llm_openai_delta(llm_json_t *j, llm_openai_choice_t *ch)
{
    llm_slice_t       v;
    llm_json_type_t   type;
    llm_openai_key_t  key;

    while ((type = llm_json_next(j)) == LLM_JSON_KEY) {
        key = llm_openai_name(&j->tok);
        type = llm_json_value(j, &v);

        if (type == LLM_JSON_STRING) {

            if (key == LLM_OPENAI_CONTENT) {
                ch->content = v;

            } else if (key == LLM_OPENAI_REASONING) {

                /* both names may be there, with the same text */

                if (ch->reasoning.n == 0) {
                    ch->reasoning = v;
                }

            } else if (key == LLM_OPENAI_REFUSAL) {
                ch->refusal = v;
            }

        } else if (type == LLM_JSON_ARRAY) {

            if (key == LLM_OPENAI_CONTENT) {
                ch->parts = v;

            } else if (key == LLM_OPENAI_TOOLS) {
                ch->tools = v;

            } else if (key == LLM_OPENAI_DETAILS) {
                ch->details = v;

            } else if (key == LLM_OPENAI_NOTES) {
                ch->notes = v;
            }

        } else if (type == LLM_JSON_OBJECT && key == LLM_OPENAI_CALL) {
            ch->call = v;
        }
    }

    return type == LLM_JSON_OBJECT_END;
}


/* Takes a member of a choice other than its delta. */
static void
llm_openai_choice_member(llm_openai_choice_t *ch, llm_openai_key_t key,
    llm_json_type_t type, const llm_slice_t *v)
{
    int64_t  n;

    if (key == LLM_OPENAI_INDEX && type == LLM_JSON_NUMBER) {
        n = llm_json_uint(v);

        if (n >= 0) {
            ch->index = n > INT32_MAX ? INT32_MAX : (unsigned) n;
            ch->has_index = 1;
        }

    } else if (key == LLM_OPENAI_FINISH && type == LLM_JSON_STRING) {

        /* DashScope says the word "null" until the end */

        if (!llm_json_is(v, "null")) {
            ch->finish = *v;
        }

    } else if (key == LLM_OPENAI_LOGPROBS && type == LLM_JSON_OBJECT) {
        ch->logprobs = *v;
    }
}


int
llm_openai_choice(llm_openai_chunk_t *c, llm_json_t *j,
    llm_openai_choice_t *ch)
{
    llm_json_t        inner;
    llm_slice_t       v;
    llm_json_type_t   type;
    llm_openai_key_t  key, delta, other;

    delta = c->answer ? LLM_OPENAI_MESSAGE : LLM_OPENAI_DELTA;
    other = c->answer ? LLM_OPENAI_DELTA : LLM_OPENAI_MESSAGE;

    while ((type = llm_json_next(j)) == LLM_JSON_KEY) {
        key = llm_openai_name(&j->tok);

        if (key == delta) {
            type = llm_json_next(j);

            if (type == LLM_JSON_OBJECT) {
                ch->delta = 1;

                if (!llm_openai_delta(j, ch)) {
                    return 0;
                }

            } else if (type == LLM_JSON_ARRAY) {
                (void) llm_json_skip_rest(j, &v);
            }

            continue;
        }

        type = llm_json_value(j, &v);

        if (key == LLM_OPENAI_TEXT) {

            /* Together's chat chunks have it beside the same delta */

            if (c->legacy && type == LLM_JSON_STRING) {
                ch->content = v;
            }

        } else if (key != other) {
            llm_openai_choice_member(ch, key, type, &v);

        } else if (type == LLM_JSON_OBJECT) {
            ch->other = v;
        }
    }

    if (type == LLM_JSON_OBJECT_END && !ch->delta && ch->other.p != NULL) {
        llm_json_reopen(&inner, &ch->other);
        (void) llm_openai_delta(&inner, ch);
    }

    return type == LLM_JSON_OBJECT_END;
}


/*
 * The value of choices.  The first choice is read at once, further ones are
 * only counted and validated: they are read again later.
 */
static int
llm_openai_choices(llm_openai_chunk_t *c)
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

    memset(&c->first, 0, sizeof(llm_openai_choice_t));

    for (n = 0; llm_json_object(j); n++) {
        if (n == 0) {
            if (!llm_openai_choice(c, j, &c->first)) {
                return 0;
            }

        } else if (llm_json_skip_rest(j, &v) == LLM_JSON_ERROR) {
            return 0;
        }
    }

    c->choices.p = start;
    c->choices.n = (size_t) (j->p - start);
    c->frame->choices = n;

    return 1;
}


/* Takes a member of the chunk other than its choices. */
static void
llm_openai_chunk_member(llm_openai_chunk_t *c, llm_openai_key_t key,
    llm_json_type_t type, const llm_slice_t *v)
{
    switch (key) {

    case LLM_OPENAI_ID:
        if (type == LLM_JSON_STRING) {
            c->id = *v;
        }

        break;

    case LLM_OPENAI_MODEL:
        if (type == LLM_JSON_STRING) {
            c->model = *v;
        }

        break;

    case LLM_OPENAI_CREATED:
        if (type == LLM_JSON_NUMBER && !c->d->started) {
            c->created = llm_json_uint(v);
        }

        break;

    case LLM_OPENAI_OBJECT:
        c->flat = type == LLM_JSON_STRING && llm_json_is(v, "error");
        break;

    case LLM_OPENAI_USAGE:
        if (type == LLM_JSON_OBJECT) {
            c->usage = *v;
        }

        break;

    case LLM_OPENAI_GROQ:
        if (type == LLM_JSON_OBJECT) {
            c->groq = *v;
        }

        break;

    case LLM_OPENAI_ERROR:
        if (type == LLM_JSON_OBJECT
            || (type == LLM_JSON_STRING && v->n != 0))
        {
            c->error = *v;
        }

        break;

    default:
        break;
    }
}


int
llm_openai_scan(llm_openai_chunk_t *c)
{
    llm_json_t       *j;
    llm_slice_t       v;
    llm_json_type_t   type;
    llm_openai_key_t  key;

    j = &c->json;

    if (llm_json_next(j) != LLM_JSON_OBJECT) {
        return 0;
    }

    while (llm_json_next(j) == LLM_JSON_KEY) {
        key = llm_openai_name(&j->tok);

        if (key == LLM_OPENAI_CHOICES) {
            if (!llm_openai_choices(c)) {
                return 0;
            }

            continue;
        }

        type = llm_json_value(j, &v);

        if (key != LLM_OPENAI_OTHER) {
            llm_openai_chunk_member(c, key, type, &v);
        }
    }

    return llm_json_next(j) == LLM_JSON_END;
}
