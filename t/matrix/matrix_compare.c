/*
 * The rows and columns, what each can say, and whether two answers say the
 * same.
 *
 * Compared, as far as the client's dialect can say it: for each choice text,
 * reasoning, refusal, signature, what is withheld, calls (number, order, id,
 * name, arguments as parsed), finish reason, log probabilities, citations;
 * usage; id and model; how it ended and an upstream's own words of its error.
 * On a round trip: what both can say, a stream as a stream and an answer as
 * an answer; the other two are in the pairs themselves.
 *
 * Not compared, and why:
 *   - created, and ids that no upstream gave: made by the module, from its
 *     clock;
 *   - where one fragment or event ends and the next begins, and the order of
 *     text beside reasoning and calls: clients put them together by kind;
 *   - signatures of text and calls, tops of log probabilities, spans of
 *     citations, the dialects' own extras: few pairs can say them, the unit
 *     tests of these dialects look at them;
 *   - finish and usage of an answer that ended in an error: most dialects
 *     say them in their last event, which does not come then;
 *   - the words of an error that the module found itself.
 */

#include "matrix.h"


#define USAGE    (MATRIX_SAYS_USAGE | MATRIX_SAYS_CACHED                    \
                  | MATRIX_SAYS_DETAILS | MATRIX_SAYS_TOTAL)
#define NAMES    (MATRIX_SAYS_ID | MATRIX_SAYS_MODEL)
#define CALLS    (MATRIX_SAYS_CALLS | MATRIX_SAYS_CALL_IDS)
#define OBJECTS  (CALLS | MATRIX_SAYS_OBJECTS)


const matrix_side_t  matrix_sides[] = {
    { "openai", &llm_dialect_openai, matrix_read_openai,
      LLM_FRAMING_SSE, 1, 1,
      MATRIX_SAYS_CHOICES | MATRIX_SAYS_REASONING | MATRIX_SAYS_REFUSAL
      | CALLS | MATRIX_SAYS_LOGPROBS | MATRIX_SAYS_FINISH | USAGE | NAMES
      | MATRIX_SAYS_SIGNATURE | MATRIX_SAYS_WITHHELD
      | MATRIX_SAYS_CITATIONS },

    { "openai-completions", &llm_dialect_completions,
      matrix_read_completions, LLM_FRAMING_SSE, 1, 1,
      MATRIX_SAYS_CHOICES | MATRIX_SAYS_LOGPROBS | MATRIX_SAYS_FINISH
      | USAGE | NAMES },

    { "openai-responses", &llm_dialect_responses, matrix_read_responses,
      LLM_FRAMING_SSE, 1, 1,
      MATRIX_SAYS_REASONING | MATRIX_SAYS_REFUSAL | CALLS
      | MATRIX_SAYS_LOGPROBS | MATRIX_SAYS_FINISH | MATRIX_SAYS_DERIVED
      | MATRIX_SAYS_FAILED | USAGE | NAMES | MATRIX_SAYS_WITHHELD
      | MATRIX_SAYS_SEALED | MATRIX_SAYS_CITATIONS },

    { "anthropic", &llm_dialect_anthropic, matrix_read_anthropic,
      LLM_FRAMING_SSE, 1, 1,
      MATRIX_SAYS_REASONING | CALLS | MATRIX_SAYS_FINISH
      | MATRIX_SAYS_REFUSED | MATRIX_SAYS_FAILED | MATRIX_SAYS_USAGE
      | MATRIX_SAYS_CACHED | MATRIX_SAYS_DETAILS | NAMES
      | MATRIX_SAYS_SIGNATURE | MATRIX_SAYS_WITHHELD
      | MATRIX_SAYS_CITATIONS },

    { "gemini", &llm_dialect_gemini, matrix_read_gemini,
      LLM_FRAMING_SSE, 1, 1,
      MATRIX_SAYS_CHOICES | MATRIX_SAYS_REASONING | OBJECTS
      | MATRIX_SAYS_LOGPROBS | MATRIX_SAYS_FINISH | MATRIX_SAYS_DERIVED
      | USAGE | NAMES | MATRIX_SAYS_SIGNATURE | MATRIX_SAYS_CITATIONS },

    { "gemini-array", &llm_dialect_gemini, matrix_read_gemini,
      LLM_FRAMING_ARRAY, 1, 1,
      MATRIX_SAYS_CHOICES | MATRIX_SAYS_REASONING | OBJECTS
      | MATRIX_SAYS_LOGPROBS | MATRIX_SAYS_FINISH | MATRIX_SAYS_DERIVED
      | USAGE | NAMES | MATRIX_SAYS_SIGNATURE | MATRIX_SAYS_CITATIONS },

    { "ollama", &llm_dialect_ollama, matrix_read_ollama,
      LLM_FRAMING_NDJSON, 1, 1,
      MATRIX_SAYS_REASONING | OBJECTS | MATRIX_SAYS_LOGPROBS
      | MATRIX_SAYS_FINISH | MATRIX_SAYS_DERIVED | MATRIX_SAYS_USAGE
      | MATRIX_SAYS_CACHED | MATRIX_SAYS_MODEL },

    { "ollama-generate", &llm_dialect_generate, matrix_read_generate,
      LLM_FRAMING_NDJSON, 1, 1,
      MATRIX_SAYS_REASONING | MATRIX_SAYS_LOGPROBS | MATRIX_SAYS_FINISH
      | MATRIX_SAYS_DERIVED | MATRIX_SAYS_USAGE | MATRIX_SAYS_CACHED
      | MATRIX_SAYS_MODEL },

    { "flowise", &llm_dialect_flowise, matrix_read_flowise,
      LLM_FRAMING_SSE, 1, 1,
      MATRIX_SAYS_REASONING | OBJECTS | MATRIX_SAYS_FAILED | USAGE
      | MATRIX_SAYS_ID | MATRIX_SAYS_CITATIONS },

    { "cohere", &llm_dialect_cohere, matrix_read_cohere,
      LLM_FRAMING_SSE, 1, 0, 0 },

    { "simple", &llm_dialect_simple, matrix_read_simple,
      LLM_FRAMING_SSE, 0, 1, MATRIX_SAYS_FAILED },

    { "typed", &llm_dialect_typed, matrix_read_typed,
      LLM_FRAMING_SSE, 0, 1,
      MATRIX_SAYS_FINISH | MATRIX_SAYS_USAGE | MATRIX_SAYS_TOTAL | NAMES },

    { "text", &llm_dialect_text, matrix_read_text,
      LLM_FRAMING_NONE, 0, 1, MATRIX_SAYS_FAILED }
};

const size_t  matrix_nsides = sizeof(matrix_sides) / sizeof(matrix_sides[0]);


static void
drop_unless(unsigned can, json_t *o, const char *member)
{
    if (!can) {
        json_object_del(o, member);
    }
}


static int
is_known(const char *reason)
{
    return strcmp(reason, "stop") == 0 || strcmp(reason, "length") == 0
           || strcmp(reason, "tool_calls") == 0
           || strcmp(reason, "content_filter") == 0
           || strcmp(reason, "error") == 0;
}


/* Calls whose arguments are no object, where only an object can be said: a
 * limit explains one that was cut, nothing else does. */
static void
project_calls(json_t *all, json_t *choice, const matrix_side_t *side,
    unsigned answer)
{
    size_t       i, broken;
    unsigned     objects;
    json_t      *calls, *call;
    const char  *finish;

    calls = at(choice, "calls");
    finish = word(choice, "finish");
    broken = 0;
    objects = (side->says & MATRIX_SAYS_OBJECTS)
              || (answer && side->dialect == &llm_dialect_anthropic);

    for (i = json_array_size(calls); i != 0; i--) {
        call = json_array_get(calls, i - 1);

        if (objects && at(at(call, "args"), "broken") != NULL) {
            broken++;
            json_array_remove(calls, i - 1);

        } else if (!(side->says & MATRIX_SAYS_CALL_IDS)) {
            json_object_del(call, "id");
        }
    }

    if (json_array_size(calls) == 0) {
        json_object_del(choice, "calls");
    }

    if (broken == 0 || strcmp(finish, "length") == 0) {
        return;
    }

    if (side->dialect == &llm_dialect_gemini) {
        json_object_set_new(choice, "finish", json_string("error"));

    } else {
        json_object_set_new(all, "outcome", json_string("error"));
    }
}


static void
project_finish(json_t *all, json_t *choice, const matrix_side_t *side)
{
    unsigned     plain, refused;
    const char  *finish;

    finish = word(choice, "finish");
    plain = strcmp(finish, "stop") == 0 || strcmp(finish, "tool_calls") == 0;
    refused = at(choice, "refusal") != NULL;

    /* a response that is over is completed, whatever it was called */

    plain |= side->dialect == &llm_dialect_responses && !is_known(finish);

    if (((side->says & MATRIX_SAYS_FAILED) || !side->dialect->failure)
        && strcmp(finish, "error") == 0)
    {
        json_object_set_new(all, "outcome", json_string("error"));

    } else if (side->dialect == &llm_dialect_flowise) {
        json_object_set_new(choice, "finish",
                            json_string(at(choice, "calls") != NULL
                                        ? "tool_calls" : "stop"));

    } else if (!(side->says & MATRIX_SAYS_FINISH)) {
        json_object_del(choice, "finish");

    } else if (side->dialect == &llm_dialect_gemini && finish[0] != '\0'
               && !is_known(finish))
    {
        json_object_set_new(choice, "finish", json_string("error"));

    } else if ((side->says & MATRIX_SAYS_REFUSED) && refused
               && strcmp(finish, "stop") == 0)
    {
        json_object_set_new(choice, "finish", json_string("content_filter"));

    } else if ((side->says & MATRIX_SAYS_REFUSED) && plain
               && at(choice, "calls") != NULL)
    {
        json_object_set_new(choice, "finish", json_string("tool_calls"));

    } else if ((side->says & MATRIX_SAYS_DERIVED) && plain) {
        json_object_set_new(choice, "finish",
                            json_string(at(choice, "calls") != NULL
                                        ? "tool_calls" : "stop"));
    }
}


/* Only this is left of what was sealed. */
static void
seal(json_t *choice, const char *member)
{
    json_object_del(choice, "sealed");

    if (at(choice, member) != NULL) {
        json_object_set(choice, "sealed", at(choice, member));
    }
}


/* Appends one text to another, which takes its place. */
static void
join(json_t *choice, const char *to, const char *from)
{
    if (at(choice, from) != NULL) {
        json_object_set_new(choice, to,
                            json_sprintf("%s%s", word(choice, to),
                                         word(choice, from)));
        json_object_del(choice, from);
    }
}


static void
join_lists(json_t *choice, const char *to, const char *from)
{
    if (at(choice, from) != NULL) {
        if (at(choice, to) == NULL) {
            json_object_set_new(choice, to, json_array());
        }

        json_array_extend(at(choice, to), at(choice, from));
        json_object_del(choice, from);
    }
}


static void
project_choice(json_t *all, json_t *choice, const matrix_side_t *side,
    unsigned answer)
{
    unsigned  says;

    says = side->says;

    if ((says & MATRIX_SAYS_SEALED) && at(choice, "sealed") != NULL) {
        json_object_set(choice, "withheld", at(choice, "sealed"));
    }

    if (!(says & MATRIX_SAYS_REFUSAL)) {
        join_lists(choice, "logprobs", "refused");

    } else if (side->dialect != &llm_dialect_openai) {
        json_object_del(choice, "refused");
    }

    drop_unless(says & MATRIX_SAYS_REASONING, choice, "reasoning");
    drop_unless(says & MATRIX_SAYS_WITHHELD, choice, "withheld");
    drop_unless(says & MATRIX_SAYS_SIGNATURE, choice, "signature");

    if (!(says & MATRIX_SAYS_WITHHELD)) {
        seal(choice, "signature");

    } else if (!(says & MATRIX_SAYS_SIGNATURE)) {
        seal(choice, "withheld");
    }

    drop_unless(says & MATRIX_SAYS_CALLS, choice, "calls");
    drop_unless(says & MATRIX_SAYS_LOGPROBS, choice, "logprobs");
    drop_unless(says & MATRIX_SAYS_CITATIONS, choice, "citations");

    project_calls(all, choice, side, answer);
    project_finish(all, choice, side);

    if (!(says & MATRIX_SAYS_REFUSAL)) {
        join(choice, "text", "refusal");
    }
}


static void
project_usage(json_t *all, const matrix_side_t *side)
{
    json_t  *usage;

    usage = at(all, "usage");

    drop_unless(side->says & MATRIX_SAYS_CACHED, usage, "cached");
    drop_unless(side->says & MATRIX_SAYS_DETAILS, usage, "reasoning");
    drop_unless(side->says & MATRIX_SAYS_TOTAL, usage, "total");

    if (!(side->says & MATRIX_SAYS_USAGE) || json_object_size(usage) == 0) {
        json_object_del(all, "usage");
    }
}


json_t *
matrix_project(const json_t *said, const matrix_side_t *side,
    unsigned answer)
{
    void        *next;
    json_t      *all, *choice, *choices;
    const char  *key;

    all = json_deep_copy(said);
    choices = json_object_get(all, "choices");

    json_object_foreach_safe(choices, next, key, choice) {
        if (!(side->says & MATRIX_SAYS_CHOICES) && strcmp(key, "0") != 0) {
            json_object_del(choices, key);

        } else {
            project_choice(all, choice, side, answer);
        }
    }

    drop_unless(side->says & MATRIX_SAYS_ID, all, "id");
    drop_unless(side->says & MATRIX_SAYS_MODEL, all, "model");
    project_usage(all, side);

    if (strcmp(word(all, "outcome"), "cut") == 0) {
        json_object_set_new(all, "outcome", json_string("error"));
    }

    return all;
}


void
matrix_carried(json_t *said, const matrix_side_t *side, unsigned answer)
{
    if (side->dialect == &llm_dialect_flowise && !answer) {
        json_object_del(said, "id");
    }
}


typedef struct {
    size_t   checks;
    char    *differ;
} compare_t;


static void
check(compare_t *c, const char *what, const char *key, const json_t *expect,
    const json_t *got)
{
    char  *a, *b;

    c->checks++;

    if (c->differ != NULL || json_equal(expect, got)
        || (expect == NULL && got == NULL))
    {
        return;
    }

    a = expect != NULL ? json_dumps(expect, JSON_ENCODE_ANY) : NULL;
    b = got != NULL ? json_dumps(got, JSON_ENCODE_ANY) : NULL;
    c->differ = matrix_say("%s %s: expected %.600s, got %.600s", what, key,
                           a != NULL ? a : "nothing",
                           b != NULL ? b : "nothing");
    free(a);
    free(b);
}


static void
compare_calls(compare_t *c, const json_t *expect, const json_t *got)
{
    size_t   i;
    json_t  *a, *b, *n, *m;

    n = json_integer((json_int_t) json_array_size(expect));
    m = json_integer((json_int_t) json_array_size(got));
    check(c, "number of", "calls", n, m);
    json_decref(n);
    json_decref(m);

    json_array_foreach(expect, i, a) {
        b = json_array_get(got, i);

        if (at(a, "id") != NULL) {
            check(c, "call", "id", at(a, "id"), at(b, "id"));
        }

        check(c, "call", "name", at(a, "name"), at(b, "name"));
        check(c, "call", "args", at(a, "args"), at(b, "args"));
    }
}


static void
compare_choice(compare_t *c, const char *key, const json_t *expect,
    const json_t *got, unsigned done)
{
    size_t  i;

    static const char *const  members[] = {
        "text", "reasoning", "refusal", "signature", "withheld", "logprobs",
        "refused", "citations"
    };

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        check(c, members[i], key, at(expect, members[i]),
              at(got, members[i]));
    }

    /* calls that are held until their end go under with an error */

    if (done || at(got, "calls") != NULL) {
        compare_calls(c, at(expect, "calls"), at(got, "calls"));
    }

    if (done && is_known(word(expect, "finish"))) {
        check(c, "finish", key, at(expect, "finish"), at(got, "finish"));
    }
}


/* Counts that were said must be the same; those that were not are 0. */
static void
compare_usage(compare_t *c, const json_t *expect, const json_t *got)
{
    size_t   i;
    json_t  *a, *b;

    static const char *const  members[] = {
        "input", "output", "cached", "reasoning", "total"
    };

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        a = at(expect, members[i]);
        b = at(got, members[i]);

        if (a != NULL) {
            check(c, "usage", members[i], a, b);

        } else if (i != 4) {
            check(c, "usage", members[i], NULL,
                  json_integer_value(b) != 0 ? b : NULL);
        }
    }
}


/* A message may have been shortened. */
static void
compare_error(compare_t *c, const json_t *expect, const json_t *got)
{
    const char  *a, *b;

    a = word(expect, "error");
    b = word(got, "error");

    c->checks++;

    if (c->differ == NULL && a[0] != '\0'
        && (b[0] == '\0' || strncmp(a, b, strlen(b)) != 0))
    {
        c->differ = matrix_say("error: expected %s, got %s", a, b);
    }
}


/* An empty choice is none. */
static const json_t *
choice_at(const json_t *said, const char *key)
{
    return at(at(said, "choices"), key);
}


size_t
matrix_compare_so_far(const json_t *expect, const json_t *got,
    char **differ)
{
    json_t      *choice;
    compare_t    c;
    const char  *key, *text;

    memset(&c, 0, sizeof(c));

    json_object_foreach((json_t *) at(expect, "choices"), key, choice) {
        text = word(choice, "text");

        /* half of a pair waits for the other where there are no escapes */

        if (strlen(text) < 3
            || strcmp(text + strlen(text) - 3, "\xef\xbf\xbd") != 0)
        {
            check(&c, "text so far", key, at(choice, "text"),
                  at(choice_at(got, key), "text"));
        }

        check(&c, "reasoning so far", key, at(choice, "reasoning"),
              at(choice_at(got, key), "reasoning"));
    }

    *differ = c.differ;

    return c.checks;
}


size_t
matrix_compare(const json_t *expect, const json_t *got, unsigned whole,
    char **differ)
{
    unsigned     done;
    json_t      *choice;
    compare_t    c;
    const char  *key;

    memset(&c, 0, sizeof(c));
    done = strcmp(word(expect, "outcome"), "done") == 0;

    check(&c, "outcome", "", at(expect, "outcome"), at(got, "outcome"));

    if (done || whole) {
        json_object_foreach((json_t *) at(expect, "choices"), key, choice) {
            compare_choice(&c, key, choice, choice_at(got, key), done);
        }

        json_object_foreach((json_t *) at(got, "choices"), key, choice) {
            if (choice_at(expect, key) == NULL) {
                compare_choice(&c, key, NULL, choice, 0);
            }
        }
    }

    if (done) {
        compare_usage(&c, at(expect, "usage"), at(got, "usage"));

        if (at(expect, "id") != NULL) {
            check(&c, "id", "", at(expect, "id"), at(got, "id"));
        }

        if (at(expect, "model") != NULL) {
            check(&c, "model", "", at(expect, "model"), at(got, "model"));
        }

    } else {
        compare_error(&c, expect, got);
    }

    *differ = c.differ;

    return c.checks;
}
