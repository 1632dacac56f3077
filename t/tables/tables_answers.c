/*
 * Answers: one thing at a time is said by a provider, and looked for in what
 * a client of each dialect gets, as a stream and as one answer.
 */

#include <stdlib.h>

#include "llm_encode.h"
#include "tables_answers.h"


typedef enum {
    TABLE_NOT = 0,
    TABLE_AT_ONCE,
    TABLE_FINISH,           /* with the finish reason */
    TABLE_END               /* with the end */
} table_when_t;

typedef struct {
    table_when_t   when;
    char           stream[320];     /* where it is; "" when it is not */
    char           answer[256];
} table_found_t;


static void
tables_encoder(llm_encoder_t *e, table_text_t *text)
{
    memset(e, 0, sizeof(llm_encoder_t));
    tables_text(text);

    e->out = &text->out;
    e->alloc = tables_alloc;
    e->max_response = TABLES_TEXT;
    e->usage = 1;
    e->now = 1700000000;
    e->unique = 1;
}


void
tables_stream_open(table_stream_t *s, const llm_dialect_t *d)
{
    s->dialect = d;
    s->state = calloc(1, d->stream_size + 1);
    tables_encoder(&s->encoder, &s->text);
}


void
tables_stream_say(table_stream_t *s, const llm_event_t *ev)
{
    s->dialect->encode(&s->encoder, s->state, ev);
}


void
tables_stream_close(table_stream_t *s)
{
    if (s->dialect->stream_drop != NULL) {
        s->dialect->stream_drop(&s->encoder, s->state);
    }

    free(s->state);
}


llm_rc_t
tables_answer(table_text_t *text, const llm_dialect_t *d,
    const llm_event_t *ev, size_t n)
{
    llm_answer_t   a;
    llm_encoder_t  e;

    tables_encoder(&e, text);
    llm_answer_init(&a);

    while (n-- != 0) {
        llm_answer_event(&e, &a, ev++);
    }

    d->write_answer(&e, &a);
    llm_answer_free(&e, &a);

    return e.rc;
}


/* The place of a value in a document; 0: it is not there. */
static int
tables_place(char *to, size_t n, const char *text, size_t length,
    const char *mark)
{
    size_t           i;
    json_t          *json;
    const char      *type;
    table_leaf_t    *leaf;
    table_leaves_t  *leaves;

    json = json_loadb(text, length, 0, NULL);

    if (json == NULL) {
        return 0;
    }

    leaves = calloc(1, sizeof(table_leaves_t));
    tables_walk(leaves, json);

    type = json_string_value(json_object_get(json, "event"));
    type = type != NULL ? type
                        : json_string_value(json_object_get(json, "type"));

    for (i = 0; i < leaves->n; i++) {
        leaf = &leaves->leaf[i];

        if (strstr(leaf->value, mark) != NULL) {
            snprintf(to, n, "`%s`%s%s%s", leaf->path,
                     type != NULL ? " of `" : "", type != NULL ? type : "",
                     type != NULL ? "`" : "");
            i = leaves->n;
        }
    }

    json_decref(json);
    free(leaves);

    return *to != '\0';
}


/* The same in the first frame of a stream that has it. */
static int
tables_place_stream(char *to, size_t n, const char *text, const char *mark)
{
    const char  *line, *end;

    *to = '\0';

    for (line = text; *line != '\0'; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");

        if (strncmp(line, "data:", 5) == 0) {
            line += 5;
        }

        if (tables_place(to, n, line, (size_t) (end - line), mark)) {
            return 1;
        }
    }

    if (strstr(text, mark) == NULL) {
        return 0;
    }

    snprintf(to, n, "yes");

    return 1;
}


static void
tables_find(table_found_t *found, const llm_dialect_t *d,
    const table_said_t *said)
{
    size_t          i;
    llm_event_t     events[TABLES_EVENTS];
    const char     *text;
    table_stream_t  s;
    table_text_t    answer;

    memset(found, 0, sizeof(table_found_t));
    tables_stream_open(&s, d);

    for (i = 0; i < said->n; i++) {
        events[i] = said->events[i];
        tables_stream_say(&s, &events[i]);
        text = tables_text_end(&s.text);

        if (found->when != TABLE_NOT
            || !tables_place_stream(found->stream, sizeof(found->stream),
                                    text, said->mark))
        {
            continue;
        }

        found->when = events[i].type == LLM_EV_END ? TABLE_END
                      : events[i].type == LLM_EV_FINISH
                        || events[i].type == LLM_EV_USAGE ? TABLE_FINISH
                      : TABLE_AT_ONCE;
    }

    tables_stream_close(&s);

    if (tables_answer(&answer, d, events, said->n) != LLM_OK) {
        tables_die("no answer", said->what);
    }

    text = tables_text_end(&answer);

    if (!tables_place(found->answer, sizeof(found->answer), text,
                      strlen(text), said->mark)
        && strstr(text, said->mark) != NULL)
    {
        snprintf(found->answer, sizeof(found->answer), "yes");
    }
}


static const char *
tables_when(const table_found_t *found)
{
    static const char *const  words[] = {
        "", "at once", "with the finish", "at the end"
    };

    return words[found->when];
}


/* What a client of one dialect gets. */
static void
tables_client(const llm_dialect_t *d)
{
    size_t               i;
    char                 name[64];
    table_found_t        found;
    const table_said_t  *said;

    snprintf(name, sizeof(name), "client-%s", tables_name(&d->name));
    tables_open(name);
    printf("| of the answer | in a stream | when | in one answer |\n");
    tables_rule(4);

    for (i = 0; (said = tables_said(i)) != NULL; i++) {
        tables_find(&found, d, said);

        if (*found.stream != '\0' || *found.answer != '\0') {
            printf("| %s | %s | %s | %s |\n", said->what,
                   *found.stream ? found.stream : "–", tables_when(&found),
                   *found.answer ? found.answer : "–");
        }
    }

    tables_close();
}


/* All of them side by side. */
static void
tables_overview_row(const table_said_t *said)
{
    size_t                i;
    table_found_t         found, plain;
    const table_said_t   *text;
    const llm_dialect_t  *d;

    printf("| %s |", said->what);
    text = tables_said_text();

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {

        if (!tables_is_client(d)) {
            continue;
        }

        tables_find(&found, d, said);
        tables_find(&plain, d, text);

        printf(" %s |", found.when == TABLE_NOT
                        ? *found.answer ? "one answer" : "no"
                        : found.when != TABLE_AT_ONCE && said->text
                        ? "gathered"
                        : said->plain
                          && strcmp(found.stream, plain.stream) == 0
                        ? "as text" : "yes");
    }

    printf("\n");
}


static void
tables_overview(void)
{
    size_t                i, n;
    const table_said_t   *said;
    const llm_dialect_t  *d;

    tables_open("answers");
    printf("| of the answer |");
    n = 1;

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {
        if (tables_is_client(d)) {
            printf(" `%s` |", tables_name(&d->name));
            n++;
        }
    }

    printf("\n");
    tables_rule(n);

    for (i = 0; (said = tables_said(i)) != NULL; i++) {
        tables_overview_row(said);
    }

    tables_close();
}


void
tables_answers(void)
{
    size_t                i;
    const llm_dialect_t  *d;

    tables_overview();

    for (i = 0; (d = llm_dialect_at(i)) != NULL; i++) {
        if (tables_is_client(d)) {
            tables_client(d);
        }
    }
}
